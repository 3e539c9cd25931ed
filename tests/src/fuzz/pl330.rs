//! Garbage for the DMA controller: programs that are mostly instructions, registers of any value, and accesses that are stalled and
//! answered, or never.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, DmaAttrs, DmaFault, DmaPort, Master, Ports, StallTag};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_devices::pl330::{Config, Pl330};
use parking_lot::Mutex;

use super::source::Source;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 16;
const STEPS: usize = 200;
/// First bytes of instructions.
const FIRST: [u8; 22] = [
    0x00, 0x01, 0x04, 0x05, 0x07, 0x08, 0x09, 0x0c, 0x12, 0x18, 0x20, 0x22, 0x28, 0x34, 0x36, 0x38, 0x3c,
    0x54, 0x5e, 0xbc, 0xbc, 0x30,
];

/// A port that stalls now and then.
#[derive(Default)]
struct Way {
    inner: OnceLock<(DirectPort, Master)>,
    /// Transactions until the next stall; what is stalled; the next tag.
    state: Mutex<(u64, Vec<StallTag>, u64)>,
}

impl Way {
    fn pass(&self) -> Result<&DirectPort, DmaFault> {
        let (until, stalled, tag) = &mut *self.state.lock();
        *until = until.saturating_sub(1);
        if *until == 0 {
            (*until, *tag) = (*tag % 7 + 2, *tag + 1);
            stalled.push(StallTag(*tag));
            return Err(DmaFault::Stalled(StallTag(*tag)));
        }
        self.inner.get().map(|(port, _)| port).ok_or(DmaFault::Abort)
    }
}

impl DmaPort for Way {
    fn stream_id(&self) -> u32 {
        1
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.pass()?.read(attrs, addr, buf)
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.pass()?.write(attrs, addr, bytes)
    }
}

struct OnlyWay(Arc<Way>, Arc<Bus>);

impl Ports for OnlyWay {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        let _ = self.0.inner.set((DirectPort::new(self.1.clone(), master.clone()), master));
        self.0.clone()
    }
}

struct Rig {
    ram: &'static GuestRam,
    clock: Arc<Clock>,
    way: Arc<Way>,
    dmac: Arc<Pl330>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has the address space");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the only region");
        let (clock, way) = (Clock::new(Mode::Counted), Arc::<Way>::default());
        let dmac = Pl330::new(Config {
            name: "pl330",
            stream: 1,
            ports: &OnlyWay(way.clone(), bus),
            irq: IrqLine::new(Arc::new(Unconnected), 0),
            clock: &clock,
            counters: &Arc::default(),
        });
        Self { ram, clock, way, dmac }
    }

    fn set(&self, offset: u64, value: u64) {
        let _ = MmioDevice::write(&*self.dmac, offset, Size::B4, value, Requester::Cpu(0));
    }

    /// A program somewhere, mostly of instructions, with operands that mostly lead somewhere.
    fn program(&self, s: &mut Source) {
        let mut at = s.below(RAM_SIZE / 64) * 64;
        for _ in 0..s.below(12) {
            let first = if s.one_in(20) { s.u8() } else { s.pick(&FIRST) };
            let operand = match (s.below(4), first) {
                (0, _) => s.u64() >> 16,
                (1, 0xbc) => 1 | u64::from(s.u32() & 0x3fff_3fff | 0x0080_0200) << 8,
                (_, 0xbc) => 2 * s.below(2) + ((RAM + s.below(RAM_SIZE)) << 8),
                (_, 0x34 | 0x36) => s.below(4) << 3,
                _ => s.below(16),
            };
            let bytes = (operand << 8 | u64::from(first)).to_le_bytes();
            let _ = self.ram.write(at.min(RAM_SIZE - 8), &bytes);
            at += match first {
                0xbc => 6,
                0x54 | 0x5e => 3,
                0x20..=0x3f => 2,
                _ => 1,
            };
        }
    }

    fn go(&self, s: &mut Source) {
        let pc = RAM + s.below(RAM_SIZE / 64) * 64;
        let first = match s.below(8) {
            0 => s.u32().into(),
            1 => 1 | s.below(8) << 8 | 1 << 16,
            2 => 0x34 << 16 | s.below(4) << 27,
            _ => 0xa2 << 16 | s.below(8) << 24,
        };
        self.set(0xd08, first);
        self.set(0xd0c, pc);
        self.set(0xd04, 0);
    }

    fn answer(&self, s: &mut Source) {
        let tag = self.way.state.lock().1.pop();
        if let (Some(tag), Some((_, master))) = (tag, self.way.inner.get()) {
            master.resume(tag, !s.one_in(8));
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

pub(super) fn run(data: &[u8]) {
    RIG.with(|rig| {
        let rig = rig.get_or_init(Rig::new);
        rig.dmac.reset();
        *rig.way.state.lock() = (5, Vec::new(), 0);
        let _ = rig.ram.write(0, &vec![0; RAM_SIZE as usize]);
        let s = &mut Source::new(data);
        for _ in 0..STEPS {
            if s.is_empty() {
                break;
            }
            match s.below(8) {
                0 | 1 => rig.program(s),
                2 | 3 => rig.go(s),
                4 => rig.answer(s),
                5 => {
                    let (offset, size) = (s.below(0x1000), s.pick(&[Size::B1, Size::B2, Size::B4, Size::B8]));
                    let _ = MmioDevice::write(&*rig.dmac, offset, size, s.value(), Requester::Cpu(0));
                    let _ = rig.dmac.read(offset, size, Requester::Cpu(0));
                }
                6 => {
                    let saved = rig.dmac.save();
                    rig.dmac.reset();
                    rig.dmac.restore(saved).expect("its own state fits");
                    rig.dmac.resume();
                }
                _ => (0..s.below(20)).for_each(|_| rig.clock.advance(1000)),
            }
        }
    });
}
