//! The GICv2 as software and devices see it.

mod interface;
mod life;
mod routing;
mod virtual_interface;

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{MmioDevice, Requester};
use emu_core::irq::{GicWires, IrqSink, Signals};
use emu_core::metrics::{Counters, Metric};
use test_kit::wires::Kicks;

use super::*;

/// Offsets in the distributor.
mod gicd {
    pub(super) const CTLR: u64 = 0x000;
    pub(super) const IGROUPR: u64 = 0x080;
    pub(super) const ISENABLER: u64 = 0x100;
    pub(super) const ICENABLER: u64 = 0x180;
    pub(super) const ISPENDR: u64 = 0x200;
    pub(super) const ICPENDR: u64 = 0x280;
    pub(super) const ISACTIVER: u64 = 0x300;
    pub(super) const IPRIORITYR: u64 = 0x400;
    pub(super) const ITARGETSR: u64 = 0x800;
    pub(super) const ICFGR: u64 = 0xc00;
    pub(super) const SGIR: u64 = 0xf00;
    pub(super) const CPENDSGIR: u64 = 0xf10;
    pub(super) const SPENDSGIR: u64 = 0xf20;
}

/// Offsets in a CPU interface, and in a virtual one.
mod gicc {
    pub(super) const CTLR: u64 = 0x00;
    pub(super) const PMR: u64 = 0x04;
    pub(super) const BPR: u64 = 0x08;
    pub(super) const IAR: u64 = 0x0c;
    pub(super) const EOIR: u64 = 0x10;
    pub(super) const RPR: u64 = 0x14;
    pub(super) const HPPIR: u64 = 0x18;
    pub(super) const ABPR: u64 = 0x1c;
    pub(super) const AIAR: u64 = 0x20;
    pub(super) const AEOIR: u64 = 0x24;
    pub(super) const AHPPIR: u64 = 0x28;
    pub(super) const APR: u64 = 0xd0;
    pub(super) const NSAPR: u64 = 0xe0;
    pub(super) const DIR: u64 = 0x1000;
}

/// What an IAR gives when there is nothing.
const NOTHING: u32 = 1023;

const NONE: Signals = Signals { irq: false, fiq: false, virq: false, vfiq: false };
const IRQ: Signals = Signals { irq: true, ..NONE };
const FIQ: Signals = Signals { fiq: true, ..NONE };

/// A GIC with everything that is connected to it.
struct Rig {
    gic: Arc<Gicv2>,
    dist: Arc<dyn MmioDevice>,
    cpu: Arc<dyn MmioDevice>,
    control: Arc<dyn MmioDevice>,
    virt: Arc<dyn MmioDevice>,
    wires: Vec<Arc<dyn GicWires>>,
    spi: Arc<dyn IrqSink>,
    kicks: Vec<Arc<Kicks>>,
    counters: Arc<Counters>,
}

fn read(device: &Arc<dyn MmioDevice>, cpu: usize, offset: u64) -> u32 {
    device.read(offset, Size::B4, Requester::Cpu(cpu as u32)).unwrap() as u32
}

fn write(device: &Arc<dyn MmioDevice>, cpu: usize, offset: u64, value: u32) {
    device.write(offset, Size::B4, value.into(), Requester::Cpu(cpu as u32)).unwrap();
}

impl Rig {
    /// As after power-on, with 64 SPIs.
    fn cold(cpus: usize) -> Self {
        let counters = Arc::<Counters>::default();
        let gic = Gicv2::new(Config { cpus, spis: 64, counters: counters.clone() }).unwrap();
        let kicks: Vec<_> = (0..cpus).map(|_| Arc::<Kicks>::default()).collect();
        for (i, k) in kicks.iter().enumerate() {
            gic.set_kick(i, k.clone());
        }
        Self {
            dist: gic.distributor(),
            cpu: gic.cpu_interfaces(),
            control: gic.virtual_control(),
            virt: gic.virtual_interfaces(),
            wires: (0..cpus).map(|i| gic.wires(i).unwrap()).collect(),
            spi: gic.spi_sink(),
            kicks,
            counters,
            gic,
        }
    }

    /// Brought up as an operating system does: Group 0 only, everything at priority 0xa0, nothing masked.
    fn warm(cpus: usize) -> Self {
        let rig = Self::cold(cpus);
        rig.gicd(gicd::CTLR, 1);
        for n in (32..96).step_by(4) {
            rig.gicd(gicd::IPRIORITYR + n, 0xa0a0_a0a0);
        }
        for cpu in 0..cpus {
            for n in (0..32).step_by(4) {
                write(&rig.dist, cpu, gicd::IPRIORITYR + n, 0xa0a0_a0a0);
            }
            rig.gicc(cpu, gicc::PMR, 0xf0);
            rig.gicc(cpu, gicc::CTLR, 1);
        }
        rig.kicks.iter().for_each(|k| k.forget());
        rig
    }

    fn gicd(&self, offset: u64, value: u32) {
        write(&self.dist, 0, offset, value);
    }
    fn gicd_read(&self, offset: u64) -> u32 {
        read(&self.dist, 0, offset)
    }
    fn byte(&self, offset: u64, value: u8) {
        self.dist.write(offset, Size::B1, value.into(), Requester::Cpu(0)).unwrap();
    }
    fn gicc(&self, cpu: usize, offset: u64, value: u32) {
        write(&self.cpu, cpu, offset, value);
    }
    fn gicc_read(&self, cpu: usize, offset: u64) -> u32 {
        read(&self.cpu, cpu, offset)
    }
    fn gich(&self, offset: u64, value: u32) {
        write(&self.control, 0, offset, value);
    }
    fn gich_read(&self, offset: u64) -> u32 {
        read(&self.control, 0, offset)
    }
    fn lr(&self, n: u64, value: u32) {
        self.gich(0x100 + 4 * n, value);
    }
    fn gicv(&self, offset: u64, value: u32) {
        write(&self.virt, 0, offset, value);
    }
    fn gicv_read(&self, offset: u64) -> u32 {
        read(&self.virt, 0, offset)
    }
    /// Enables an SPI and routes it to these PEs.
    fn enable(&self, intid: u32, targets: u8) {
        self.byte(gicd::ITARGETSR + u64::from(intid), targets);
        self.gicd(gicd::ISENABLER + u64::from(intid / 32) * 4, 1 << (intid % 32));
    }
    fn raise(&self, intid: u32) {
        self.spi.set_level(intid - 32, true);
    }
    fn lower(&self, intid: u32) {
        self.spi.set_level(intid - 32, false);
    }
    fn signals(&self, cpu: usize) -> Signals {
        self.wires[cpu].signals()
    }
    fn kicked(&self, cpu: usize) -> u32 {
        self.kicks[cpu].take()
    }
    fn anomalies(&self) -> u64 {
        self.counters.get(Metric::Anomalies)
    }
}
