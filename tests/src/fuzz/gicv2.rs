//! Garbage for the GICv2: accesses of its four kinds of registers by several PEs, wires, messages, and its life.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{MmioDevice, Requester};
use emu_core::irq::{GicWires, IrqSink};
use emu_core::lifecycle::Component;
use emu_devices::gicv2::{Config, Gicv2};
use emu_devices::gicv2m::Gicv2m;

use super::source::Source;

const CPUS: usize = 3;
const SPIS: u32 = 64;
const STEPS: usize = 400;

struct Rig {
    gic: Arc<Gicv2>,
    frames: [Arc<dyn MmioDevice>; 4],
    wires: Vec<Arc<dyn GicWires>>,
    spis: Arc<dyn IrqSink>,
    messages: Arc<Gicv2m>,
}

impl Rig {
    fn new() -> Self {
        let config = Config { cpus: CPUS, spis: SPIS, counters: Arc::default() };
        let gic = Gicv2::new(config).expect("a GIC for three PEs");
        Self {
            frames: [
                gic.distributor(),
                gic.cpu_interfaces(),
                gic.virtual_control(),
                gic.virtual_interfaces(),
            ],
            wires: (0..CPUS).filter_map(|i| gic.wires(i)).collect(),
            spis: gic.spi_sink(),
            messages: Gicv2m::new(gic.spi_sink(), 16, SPIS - 16, &Arc::default()),
            gic,
        }
    }
}

/// An offset that mostly is one of a register.
fn offset(s: &mut Source) -> u64 {
    match s.u8() % 8 {
        0 => s.below(0x1_0000),
        1 => 0x1000,
        2 => s.below(0x1000) & !3,
        3 => 0x800 + s.below(0x80),
        4 => 0xf00 + s.below(0x30),
        5 => 0x100 + 4 * s.below(4),
        _ => 4 * s.below(0x40),
    }
}

fn access(rig: &Rig, s: &mut Source) {
    let frame = &rig.frames[s.below(4) as usize];
    let size = if s.one_in(4) { s.pick(&[Size::B1, Size::B2, Size::B8]) } else { Size::B4 };
    let from = Requester::Cpu(s.below(CPUS as u64) as u32);
    let at = offset(s);
    if s.one_in(3) {
        let value = frame.read(at, size, from).expect("a PE may read anything");
        assert!(value <= size.mask(), "{} {at:#x}", frame.name());
    } else {
        let value = if s.one_in(2) { s.value() } else { u64::MAX };
        frame.write(at, size, value, from).expect("a PE may write anything");
    }
}

/// Serves what is signalled to a PE, as an operating system does.
fn serve(rig: &Rig, s: &mut Source) {
    let cpu = s.below(CPUS as u64);
    let from = Requester::Cpu(cpu as u32);
    let frame = &rig.frames[if s.one_in(3) { 3 } else { 1 }];
    let (iar, eoir) = if s.one_in(4) { (0x20, 0x24) } else { (0x0c, 0x10) };
    let value = frame.read(iar, Size::B4, from).expect("a PE may read anything");
    let intid = value & 0x3ff;
    assert!(intid >= 1022 || value >> 10 <= 7, "{value:#x}");
    if intid < 1020 {
        frame.write(eoir, Size::B4, value, from).expect("a PE may write anything");
    }
}

fn steps(rig: &Rig, s: &mut Source) {
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        match s.u8() % 16 {
            0..=8 => access(rig, s),
            9..=11 => serve(rig, s),
            12 => rig.spis.set_level(u32::from(s.u8()), s.one_in(2)),
            13 => rig.wires[s.below(CPUS as u64) as usize].set_ppi(u32::from(s.u8() % 40), s.one_in(2)),
            14 => {
                let _ = rig.messages.write(0x40, Size::B4, s.u16().into(), Requester::Device(8));
            }
            _ => {
                // What is signalled is a function of the state.
                let before: Vec<_> = rig.wires.iter().map(|w| w.signals()).collect();
                let saved = rig.gic.save();
                rig.gic.restore(saved).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(rig.wires.iter().map(|w| w.signals()).collect::<Vec<_>>(), before);
            }
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for the GICv2.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.gic.reset();
        steps(rig, &mut Source::new(data));
    });
}
