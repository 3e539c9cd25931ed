//! CoreLink DMA-330 (Arm DDI 0424, r1p2; PL330): a DMA controller that runs programs, with eight channel threads and 32 events.
//!
//! A program is in memory, and is fetched by DMA like the data that it moves: privileged, as an instruction, a line of the channel's
//! cache at a time. The cache is emptied by DMAGO and by DMAWFE with `invalid`.
//!
//! The controller is Non-secure and has no peripheral requests, so what names a peripheral is an invalid operand. The manager starts
//! Stopped (`boot_from_pc` is low), and executes what the debug registers say; there that is done when the write of DBGCMD is. All its
//! interrupts, and `irq_abort`, are one wire.
//!
//! Channels take turns, an instruction each, on a thread of the device's. One whose access is stalled keeps its place, and the others
//! go on. Where the specification leaves a choice:
//!
//! | what | here |
//! |---|---|
//! | a DMALD without room in the MFIFO | waits for the stores of others; when no access is under way that could make some, it is a lock-up |
//! | DMASEV while threads wait for the event | all of them go on, and none is left pending |
//! | requests, of which there are none | single |
//! | debug instructions other than DMAGO, DMAKILL, DMASEV | undefined |
//! | an access at a save | is made again after the restore |

mod channel;
mod execute;
mod instruction;
mod registers;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::clock::Clock;
use emu_core::dma::{DmaClient, DmaPort, Master, Ports, StallTable, StallTag, Stalls};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::Listed;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::channel::{Channel, Status};
use self::instruction::Instruction;
use self::registers::{CHANNELS, FIFO_BYTES, fault};
pub use self::registers::{MAP, Reg};
use crate::registers::RegisterBank;
use crate::turns::Turns;

/// Steps of one turn.
const TURN: usize = 64;

/// What a controller is made of.
pub struct Config<'a> {
    /// A name for logs, maps and saved states.
    pub name: &'a str,
    /// The StreamID of all its transactions.
    pub stream: u32,
    /// What stands between it and memory.
    pub ports: &'a dyn Ports,
    /// Its interrupts, a level.
    pub irq: IrqLine,
    /// The machine's time.
    pub clock: &'a Arc<Clock>,
    /// Where accesses are counted that no sane program makes.
    pub counters: &'a Arc<Counters>,
}

/// All that a guest sees.
#[derive(Default, Serialize, Deserialize)]
struct State {
    enabled: u32,
    /// INT_EVENT_RIS.
    pending: u32,
    /// FTRD; the manager faults if it is not zero.
    manager_fault: u32,
    debug: [u32; 2],
    watchdog: u32,
    /// The watchdog has found a lock-up, and WD says that it is to be told of and no more.
    locked_up: bool,
    channels: [Channel; CHANNELS],
}

impl SavedState for State {
    const KIND: &'static str = "pl330";
    const VERSION: u32 = 1;
}

impl State {
    /// FSRC.
    fn faulting(&self) -> u32 {
        let bit = |(n, c): (usize, &Channel)| u32::from(c.status == Status::Faulting) << n;
        self.channels.iter().enumerate().map(bit).sum()
    }

    fn irq(&self) -> bool {
        let abort = self.faulting() != 0 || self.manager_fault != 0 || self.locked_up;
        abort || self.pending & self.enabled != 0
    }

    fn peek(&self, reg: Reg, n: usize) -> u32 {
        const NON_SECURE: u32 = 1 << 9;
        let channel = self.channels.get(n).unwrap_or(&self.channels[0]);
        match reg {
            Reg::Dsr => NON_SECURE | if self.manager_fault == 0 { 0 } else { Status::Faulting as u32 },
            // The manager has run no program. The others are write-only; debug instructions have ended.
            Reg::Dpc | Reg::Intclr | Reg::Dbgcmd | Reg::Dbginst0 | Reg::Dbginst1 | Reg::Dbgstatus => 0,
            Reg::Inten => self.enabled,
            Reg::Ris => self.pending,
            Reg::Mis => self.pending & self.enabled,
            Reg::Fsrd => (self.manager_fault != 0).into(),
            Reg::Fsrc => self.faulting(),
            Reg::Ftrd => self.manager_fault,
            Reg::Ftr => channel.fault,
            Reg::Csr => channel.csr(),
            Reg::Cpc => channel.pc,
            Reg::Sar => channel.source,
            Reg::Dar => channel.destination,
            Reg::Ccr => channel.control,
            Reg::Lc0 => channel.counters[0].into(),
            Reg::Lc1 => channel.counters[1].into(),
            Reg::Wd => self.watchdog,
        }
    }

    fn is_possible(&self) -> bool {
        let fifo: usize = self.channels.iter().map(|c| c.fifo.len()).sum();
        self.channels.iter().all(Channel::is_possible)
            && fifo <= FIFO_BYTES
            && MAP.holds(|reg, n| Some(self.peek(reg, n as usize).into()))
    }
}

/// The way to memory.
struct Way {
    port: Arc<dyn DmaPort>,
    stalls: Arc<StallTable>,
}

/// The controller: see the module's head.
pub struct Pl330 {
    bank: RegisterBank<Reg>,
    state: Mutex<State>,
    way: Way,
    irq: IrqLine,
    turns: Turns,
}

impl Pl330 {
    /// The controller; all threads are Stopped.
    #[must_use]
    pub fn new(config: Config<'_>) -> Arc<Self> {
        let Config { name, stream, ports, irq, clock, counters } = config;
        Arc::new_cyclic(|this: &Weak<Self>| {
            let device = this.clone();
            Self {
                bank: RegisterBank::new(name, &MAP, counters),
                state: Mutex::default(),
                way: Way {
                    port: ports.port(Master::new(stream, Stalls::Notify(this.clone()))),
                    stalls: Arc::default(),
                },
                irq,
                turns: Turns::new(clock, move || device.upgrade().is_some_and(|this| this.turn())),
            }
        })
    }

    /// Some steps; true if there are more to do.
    fn turn(&self) -> bool {
        let mut state = self.state.lock();
        let idle = (0..TURN).any(|_| !state.round(&self.way, &|what, at| self.bank.anomaly(at, what)));
        self.irq.set(state.irq());
        !idle
    }

    fn write(&self, state: &mut State, reg: Reg, value: u32) {
        match reg {
            Reg::Inten => state.enabled = value,
            Reg::Intclr => state.pending &= !(value & state.enabled),
            Reg::Dbgcmd if value == 0 => self.debug(state),
            Reg::Dbgcmd => self.bank.anomaly(0xd04, "a reserved debug command"),
            Reg::Dbginst0 => state.debug[0] = value,
            Reg::Dbginst1 => state.debug[1] = value,
            Reg::Wd => state.watchdog = value,
            // Read-only: the map lets no write through.
            _ => {}
        }
        self.irq.set(state.irq());
    }

    /// Executes the instruction in the debug registers (DDI 0424, 3.3.17 to 3.3.20).
    fn debug(&self, state: &mut State) {
        let [first, rest] = state.debug;
        let [a, b, c, d] = rest.to_le_bytes();
        let what = instruction::decode([(first >> 16) as u8, (first >> 24) as u8, a, b, c, d]);
        let channel = (first & 1 != 0).then_some((first >> 8 & 7) as usize);
        let faulting = match channel {
            Some(n) => state.channels[n].status == Status::Faulting,
            None => state.manager_fault != 0,
        };
        let outcome = match (what, channel) {
            (Some(Instruction::Kill), Some(n)) => {
                state.channels[n].stop();
                Ok(())
            }
            (Some(Instruction::Kill), None) => {
                state.manager_fault = 0;
                Ok(())
            }
            // Whoever faults waits for DMAKILL.
            _ if faulting => {
                self.bank.anomaly(0xd04, "a debug instruction for a thread that faults");
                Ok(())
            }
            (Some(Instruction::SendEvent(event)), _) => {
                state.send(event);
                Ok(())
            }
            (Some(Instruction::Go { non_secure, channel, pc }), None) => match state.channels[channel].status
            {
                _ if !non_secure => Err(fault::GO),
                Status::Stopped => {
                    state.channels[channel].go(pc);
                    Ok(())
                }
                // DMAGO of a thread that is not Stopped is a DMANOP.
                _ => Ok(()),
            },
            _ => Err(fault::UNDEFINED),
        };
        if let Err(why) = outcome {
            self.bank.anomaly(0xd04, "a debug instruction that aborts");
            match channel {
                Some(n) => state.channels[n].fail(why | fault::DEBUG),
                None => state.manager_fault |= why | fault::DEBUG,
            }
        }
        self.turns.wake();
    }
}

impl MmioDevice for Pl330 {
    fn name(&self) -> &str {
        self.bank.name()
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let state = self.state.lock();
        Ok(self.bank.read(offset, size, |reg, n| state.peek(reg, n as usize)))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let mut state = self.state.lock();
        self.bank.write(offset, size, value, |reg, _, value| self.write(&mut state, reg, value));
        Ok(())
    }

    /// Its own transactions would wait for it.
    fn cpu_only(&self) -> bool {
        true
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let state = self.state.lock();
        MAP.list(0, |reg, n| Some(state.peek(reg, n as usize).into()))
    }
}

impl DmaClient for Pl330 {
    fn resume(&self, tag: StallTag, retry: bool) {
        if self.way.stalls.resume(tag, retry).is_some() {
            self.turns.wake();
        }
    }
}

impl Component for Pl330 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn reset(&self) {
        *self.state.lock() = State::default();
        self.irq.set(false);
    }
    fn start(&self) -> std::io::Result<()> {
        self.turns.start(self.bank.name())
    }
    fn pause(&self) {
        self.turns.pause();
    }
    fn resume(&self) {
        self.turns.resume();
    }
    fn halt(&self) {
        self.turns.stop();
    }
    fn save(&self) -> Payload {
        Payload::new(self.bank.name(), &*self.state.lock())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        if !state.is_possible() {
            return Err(saved.unfit("it was saved by another device"));
        }
        Ok(Restore::new(move || {
            self.irq.set(state.irq());
            *self.state.lock() = state;
        }))
    }
}
