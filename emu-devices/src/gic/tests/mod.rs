//! The GIC as software and devices see it.

mod distributor;
mod its;
mod life;
mod reset;

use std::sync::Arc;

use emu_core::addr::{Pa, Size};
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::irq::{GicPort, Group, IrqSink, Pending};
use emu_core::metrics::{Counters, Metric};
use emu_core::ram::GuestRam;
use test_kit::wires::Kicks;

use super::*;

/// Where the guest RAM of these tests is.
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 0x40_0000;

/// A GIC with an ITS, and everything that is connected to it.
struct Rig {
    gic: Arc<Gicv3>,
    bus: Arc<Bus>,
    dist: Arc<dyn MmioDevice>,
    redist: Arc<dyn MmioDevice>,
    its: Arc<dyn MmioDevice>,
    ports: Vec<Arc<dyn GicPort>>,
    spi: Arc<dyn IrqSink>,
    kicks: Vec<Arc<Kicks>>,
    counters: Arc<Counters>,
}

const CPU: Requester = Requester::Cpu(0);

impl Rig {
    /// As after power-on.
    fn cold(cpus: &[u64]) -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(GuestRam::new(RAM_SIZE).unwrap(), 0)).unwrap();
        let counters = Arc::new(Counters::default());
        let config = GicConfig { cpus, spis: 256, its: true, bus: bus.clone(), counters: counters.clone() };
        let gic = Gicv3::new(config).unwrap();
        let kicks: Vec<_> = cpus.iter().map(|_| Arc::<Kicks>::default()).collect();
        for (i, k) in kicks.iter().enumerate() {
            gic.set_kick(i, k.clone());
        }
        Self {
            bus,
            dist: gic.distributor(),
            redist: gic.redistributors(0, cpus.len()).unwrap(),
            its: gic.its().unwrap(),
            ports: (0..cpus.len()).map(|i| gic.port(i).unwrap()).collect(),
            spi: gic.spi_sink(),
            kicks,
            counters,
            gic,
        }
    }

    /// Brought up as an operating system does: both groups on, all awake, everything Group 1 at priority 0xa0.
    fn warm(cpus: &[u64]) -> Self {
        let rig = Self::cold(cpus);
        rig.gicd(0x0, 0b11);
        for n in (0x84..0xa4).step_by(4) {
            rig.gicd(n, !0);
        }
        for n in (0x420..0x520).step_by(4) {
            rig.gicd(n, 0xa0a0_a0a0);
        }
        for pe in 0..cpus.len() {
            rig.gicr(pe, 0x14, 0);
            rig.sgi(pe, 0x80, !0);
            for n in (0x400..0x420).step_by(4) {
                rig.sgi(pe, n, 0xa0a0_a0a0);
            }
            rig.ports[pe].set_group_enables(true, true);
        }
        rig.forget_kicks();
        rig
    }

    fn gicd(&self, offset: u64, value: u32) {
        self.dist.write(offset, Size::B4, value.into(), CPU).unwrap();
    }
    fn gicd_read(&self, offset: u64) -> u32 {
        self.dist.read(offset, Size::B4, CPU).unwrap() as u32
    }
    fn gicr(&self, pe: usize, offset: u64, value: u32) {
        self.redist.write(pe as u64 * REDISTRIBUTOR_STRIDE + offset, Size::B4, value.into(), CPU).unwrap();
    }
    fn gicr64(&self, pe: usize, offset: u64, value: u64) {
        self.redist.write(pe as u64 * REDISTRIBUTOR_STRIDE + offset, Size::B8, value, CPU).unwrap();
    }
    fn gicr_read(&self, pe: usize, offset: u64, size: Size) -> u64 {
        self.redist.read(pe as u64 * REDISTRIBUTOR_STRIDE + offset, size, CPU).unwrap()
    }
    fn sgi(&self, pe: usize, offset: u64, value: u32) {
        self.gicr(pe, 0x1_0000 + offset, value);
    }
    fn enable(&self, intid: u32) {
        self.gicd(0x100 + u64::from(intid / 32) * 4, 1 << (intid % 32));
    }
    fn route(&self, intid: u32, value: u64) {
        self.dist.write(0x6000 + u64::from(intid) * 8, Size::B8, value, CPU).unwrap();
    }
    fn raise(&self, intid: u32) {
        self.spi.set_level(intid - 32, true);
    }
    fn lower(&self, intid: u32) {
        self.spi.set_level(intid - 32, false);
    }
    fn pending(&self, pe: usize) -> Option<Pending> {
        self.ports[pe].highest_pending()
    }
    fn intid(&self, pe: usize) -> Option<u32> {
        self.pending(pe).map(|p| p.intid)
    }
    fn kicked(&self, pe: usize) -> u32 {
        self.kicks[pe].take()
    }
    fn forget_kicks(&self) {
        self.kicks.iter().for_each(|k| k.forget());
    }
    fn anomalies(&self) -> u64 {
        self.counters.get(Metric::Anomalies)
    }
}
