//! Garbage for the ITS: commands, tables that other software overwrites, messages; and LPIs at the redistributors.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::irq::GicPort;
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_devices::gic::{GicConfig, Gicv3, REDISTRIBUTOR_STRIDE};

use super::source::Source;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 20;
const QUEUE: u64 = RAM;
const DEVICES: u64 = RAM + 0x1_0000;
const COLLECTIONS: u64 = RAM + 0x3_0000;
const TRANSLATIONS: u64 = RAM + 0x4_0000;
const CONFIGURATION: u64 = RAM + 0x8_0000;
const PENDING: u64 = RAM + 0xc_0000;
const VALID: u64 = 1 << 63;
const CPUS: usize = 2;
const STEPS: usize = 400;

struct Rig {
    ram: &'static GuestRam,
    gic: Arc<Gicv3>,
    distributor: Arc<dyn MmioDevice>,
    redistributors: Arc<dyn MmioDevice>,
    its: Arc<dyn MmioDevice>,
    ports: Vec<Arc<dyn GicPort>>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the only region");
        let gic = Gicv3::new(GicConfig { cpus: &[0, 1], spis: 64, its: true, bus, counters: Arc::default() })
            .expect("a GIC for two PEs");
        Self {
            ram,
            distributor: gic.distributor(),
            redistributors: gic.redistributors(0, CPUS).expect("there are two"),
            its: gic.its().expect("there is one"),
            ports: (0..CPUS).filter_map(|i| gic.port(i)).collect(),
            gic,
        }
    }

    fn its(&self, offset: u64, value: u64) {
        let _ = self.its.write(offset, Size::B8, value, Requester::Cpu(0));
    }
    fn poke(&self, pa: u64, value: u64) {
        let _ = self.ram.store_u64(pa.wrapping_sub(RAM), value);
    }
}

/// As software sets an ITS up, with some of it wrong.
fn set_up(rig: &Rig, s: &mut Source) {
    let _ = rig.distributor.write(0, Size::B4, 0x13, Requester::Cpu(0));
    for pe in 0..CPUS as u64 {
        let frame = pe * REDISTRIBUTOR_STRIDE;
        let write = |offset: u64, value| {
            let _ = rig.redistributors.write(frame + offset, Size::B8, value, Requester::Cpu(0));
        };
        let bits = if s.one_in(4) { s.u8() & 31 } else { 15 };
        write(0x70, CONFIGURATION | u64::from(bits));
        write(0x78, if s.one_in(8) { s.value() } else { PENDING + pe * 0x1_0000 });
        let _ = rig.redistributors.write(frame, Size::B4, 1, Requester::Cpu(0));
        rig.ports[pe as usize].set_group_enables(true, true);
    }
    let table = |s: &mut Source, at: u64| {
        let indirect = u64::from(s.one_in(4)) << 62;
        let value = VALID | indirect | at | u64::from(s.u8() & 0xf) | (u64::from(s.u8()) & 3) << 8;
        if s.one_in(8) { s.value() } else { value }
    };
    let (devices, collections) = (table(s, DEVICES), table(s, COLLECTIONS));
    rig.its(0x100, devices);
    rig.its(0x108, collections);
    rig.its(0x80, VALID | QUEUE | u64::from(s.u8() & 0xf));
    rig.its(0, 1);
    // Every LPI enabled, priorities as they come.
    for i in 0..64 {
        rig.poke(CONFIGURATION + 8 * i, 0x0101_0101_0101_0101 * u64::from(s.u8() | 1));
    }
}

/// A command, with operands that often fit others.
fn command(s: &mut Source) -> [u64; 4] {
    let any = s.u8().into();
    let number = s.pick(&[1, 3, 4, 5, 8, 8, 9, 9, 0xa, 0xa, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, any]);
    let small = |s: &mut Source, n: u64| if s.one_in(16) { s.value() } else { s.below(n) };
    let device = small(s, 4);
    let (event, intid) = (small(s, 32), small(s, 64).wrapping_add(8192));
    let third = match number {
        8 => (TRANSLATIONS + (s.below(16) << 12)) | VALID,
        9 => small(s, 3) << 16 | small(s, 4) | VALID,
        _ => small(s, 4),
    };
    let third = if s.one_in(8) { third ^ VALID } else { third };
    [device << 32 | number, intid << 32 | event, third, small(s, 3) << 16]
}

fn steps(rig: &Rig, s: &mut Source) {
    set_up(rig, s);
    let mut writer = 0;
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        match s.u8() % 16 {
            0..=7 => {
                for (i, word) in (0..).zip(command(s)) {
                    rig.poke(QUEUE + writer + 8 * i, word);
                }
                writer = (writer + 32) % 0x1000;
                rig.its(0x88, writer);
            }
            8 | 9 => {
                let event = s.below(40);
                let from = Requester::Device(s.below(5) as u32);
                let _ = rig.its.write(0x1_0040, Size::B4, event, from);
            }
            10 | 11 => {
                let port = &rig.ports[s.below(CPUS as u64) as usize];
                if let Some(pending) = port.highest_pending() {
                    port.acknowledge(pending.intid);
                    port.deactivate(pending.intid);
                }
            }
            12 => rig.poke(DEVICES + (s.below(0x4_0000) & !7), s.value()),
            13 => rig.its(s.pick(&[0, 0x80, 0x88, 0x90, 0x100, 0x108, 0x110]), s.value()),
            14 => {
                let at = s.below(2) * REDISTRIBUTOR_STRIDE + s.pick(&[0, 0x70, 0x78, 0x40, 0x48, 0xa0, 0xb0]);
                let _ = rig.redistributors.write(at, Size::B8, s.value(), Requester::Cpu(0));
            }
            _ => set_up(rig, s),
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for the ITS.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.gic.reset();
        rig.ram.write(0, &vec![0; RAM_SIZE as usize]).expect("it is as large as RAM");
        steps(rig, &mut Source::new(data));
        let saved = rig.gic.save();
        rig.gic.restore(saved).unwrap_or_else(|e| panic!("{e}"));
    });
}
