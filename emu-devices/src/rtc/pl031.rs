//! PL031 real-time clock (Arm DDI 0224, r1p3): seconds in a 32-bit counter, and a match interrupt.
//!
//! The counter runs on the machine's virtual clock from the UNIX time that the board gives. It runs from power-on and
//! a reset of the machine does not stop or change it, like a clock with a battery.

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::clock::{Clock, Timer};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Listed, Map, constants, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::registers::{PCELL_ID, RegisterBank, WINDOW, periph_id};

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// Data: the counter.
    Dr,
    /// Match.
    Mr,
    /// Load.
    Lr,
    /// Control.
    Cr,
    /// Interrupt mask.
    Imsc,
    /// Raw interrupt status.
    Ris,
    /// Masked interrupt status.
    Mis,
    /// Interrupt clear.
    Icr,
}

/// The registers (DDI 0224, table 3-1). The counter is always enabled: RTCCR reads as one.
pub static MAP: Map<Reg> = Map {
    specification: "Arm DDI 0224 (PL031)",
    window: WINDOW,
    rows: &[
        word("RTCDR", 0x00, Reg::Dr).read_only(0xffff_ffff).varies(),
        word("RTCMR", 0x04, Reg::Mr),
        word("RTCLR", 0x08, Reg::Lr),
        word("RTCCR", 0x0c, Reg::Cr).bits(1).reset(1),
        word("RTCIMSC", 0x10, Reg::Imsc).bits(1),
        word("RTCRIS", 0x14, Reg::Ris).read_only(1),
        word("RTCMIS", 0x18, Reg::Mis).read_only(1),
        word("RTCICR", 0x1c, Reg::Icr).write_only(1),
        constants("RTCPeriphID", 0xfe0, &periph_id(0x31, 1)),
        constants("RTCPCellID", 0xff0, PCELL_ID),
    ],
};

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// What the counter is ahead of the virtual clock's seconds, modulo 2^32.
    offset: u32,
    mr: u32,
    lr: u32,
    imsc: bool,
    ris: bool,
    /// When the counter reaches the match register, virtual nanoseconds.
    alarm: Option<u64>,
}

impl SavedState for State {
    const KIND: &'static str = "pl031";
    const VERSION: u32 = 1;
}

/// The clock.
pub struct Pl031 {
    bank: RegisterBank<Reg>,
    state: Mutex<State>,
    clock: Arc<Clock>,
    timer: Timer,
    irq: IrqLine,
}

impl Pl031 {
    /// A clock that shows `unix_time` (seconds) when the virtual clock is at zero.
    pub fn new(
        name: &str,
        clock: &Arc<Clock>,
        unix_time: u64,
        irq: IrqLine,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let weak = weak.clone();
            let timer = Timer::new(clock, move || {
                if let Some(rtc) = weak.upgrade() {
                    rtc.strike();
                }
            });
            let state =
                State { offset: unix_time as u32, mr: 0, lr: 0, imsc: false, ris: false, alarm: None };
            Self {
                bank: RegisterBank::new(name, &MAP, counters),
                state: Mutex::new(state),
                clock: clock.clone(),
                timer,
                irq,
            }
        })
    }

    fn ticks(&self) -> u32 {
        (self.clock.now_ns() / SECOND) as u32
    }

    fn with(&self, f: impl FnOnce(&mut State)) {
        let mut s = self.state.lock();
        let before = s.alarm;
        f(&mut s);
        self.irq.set(s.ris && s.imsc);
        let alarm = s.alarm.filter(|_| s.alarm != before);
        drop(s);
        if let Some(at) = alarm {
            self.timer.set(at);
        }
    }

    fn strike(&self) {
        let now = self.clock.now_ns();
        self.with(|s| {
            if s.alarm.is_some_and(|at| now >= at) {
                s.alarm = None;
                s.ris = true;
            }
        });
    }

    /// Finds the moment of the next match; a match that holds already counts.
    fn set_alarm(&self, s: &mut State) {
        let seconds = self.clock.now_ns() / SECOND;
        let ahead = s.mr.wrapping_sub((seconds as u32).wrapping_add(s.offset));
        if ahead == 0 {
            s.ris = true;
            s.alarm = None;
        } else {
            s.alarm = Some(seconds.saturating_add(ahead.into()).saturating_mul(SECOND));
        }
    }

    fn peek(&self, reg: Reg) -> u32 {
        let s = self.state.lock();
        match reg {
            Reg::Dr => self.ticks().wrapping_add(s.offset),
            Reg::Mr => s.mr,
            Reg::Lr => s.lr,
            Reg::Cr => 1,
            Reg::Imsc => s.imsc.into(),
            Reg::Ris => s.ris.into(),
            Reg::Mis => (s.ris && s.imsc).into(),
            // Write-only.
            Reg::Icr => 0,
        }
    }

    fn write_word(&self, reg: Reg, value: u32) {
        self.with(|s| match reg {
            Reg::Mr => {
                s.mr = value;
                self.set_alarm(s);
            }
            Reg::Lr => {
                s.lr = value;
                s.offset = value.wrapping_sub(self.ticks());
                self.set_alarm(s);
            }
            Reg::Imsc => s.imsc = value != 0,
            Reg::Icr => s.ris &= value == 0,
            // Once started, the counter cannot be stopped.
            Reg::Cr => {}
            // Read-only: the map lets no write through.
            Reg::Dr | Reg::Ris | Reg::Mis => {}
        });
    }
}

impl MmioDevice for Pl031 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        Ok(self.bank.read(offset, size, |reg, _| self.peek(reg)))
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        self.bank.write(offset, size, value, |reg, _, v| self.write_word(reg, v));
        Ok(())
    }
    fn registers(&self, _: Requester) -> Vec<Listed> {
        MAP.list(0, |reg, _| Some(self.peek(reg).into()))
    }
}

impl Component for Pl031 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn reset(&self) {
        self.with(|s| *s = State { offset: s.offset, mr: 0, lr: 0, imsc: false, ris: false, alarm: None });
    }
    fn save(&self) -> Payload {
        Payload::new(self.bank.name(), &*self.state.lock())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        Ok(Restore::new(move || {
            let alarm = state.alarm;
            self.with(|s| *s = state);
            match alarm {
                Some(at) => self.timer.set(at),
                None => self.timer.clear(),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use emu_core::clock::Mode;
    use test_kit::master::{read, write};
    use test_kit::wires::Wires;

    use super::*;

    const DR: u64 = 0x00;
    const MR: u64 = 0x04;
    const LR: u64 = 0x08;
    const CR: u64 = 0x0c;
    const IMSC: u64 = 0x10;
    const RIS: u64 = 0x14;
    const MIS: u64 = 0x18;
    const ICR: u64 = 0x1c;

    const T0: u32 = 1_700_000_000;

    fn rtc() -> (Arc<Pl031>, Arc<Wires>, Arc<Clock>) {
        let clock = Clock::new(Mode::Counted);
        let wire = Arc::new(Wires::default());
        let irq = IrqLine::new(wire.clone(), 0);
        (Pl031::new("pl031", &clock, T0.into(), irq, &Arc::default()), wire, clock)
    }

    #[test]
    fn counts_and_loads() {
        let (r, _, clock) = rtc();
        assert_eq!((read(&*r, DR), read(&*r, CR), read(&*r, 0xfe0)), (T0, 1, 0x31));
        clock.advance(2 * SECOND + 1);
        assert_eq!(read(&*r, DR), T0 + 2);
        write(&*r, LR, 100);
        clock.advance(SECOND);
        assert_eq!((read(&*r, DR), read(&*r, LR)), (101, 100));
        r.reset();
        assert_eq!(read(&*r, DR), 101, "a reset does not touch the time");
    }

    #[test]
    fn alarm() {
        let (r, wire, clock) = rtc();
        write(&*r, IMSC, 1);
        write(&*r, MR, T0 + 5);
        clock.advance(4 * SECOND);
        assert_eq!((read(&*r, RIS), wire.level(0)), (0, false));
        clock.advance(SECOND);
        assert_eq!((read(&*r, MIS), wire.level(0)), (1, true));
        write(&*r, ICR, 1);
        assert!(!wire.level(0));
        // A match register that is taken back does not strike.
        write(&*r, MR, T0 + 8);
        write(&*r, MR, T0 + 100);
        clock.advance(10 * SECOND);
        assert_eq!(read(&*r, RIS), 0);
        write(&*r, MR, read(&*r, DR));
        assert_eq!(read(&*r, RIS), 1);
    }

    #[test]
    fn save_and_restore() {
        let (r, ..) = rtc();
        write(&*r, IMSC, 1);
        write(&*r, MR, T0 + 3);
        let saved = r.save();
        let (q, wire, clock) = rtc();
        q.restore(saved.clone()).unwrap();
        assert_eq!(q.save(), saved);
        clock.advance(3 * SECOND);
        assert!(wire.level(0));
    }
}
