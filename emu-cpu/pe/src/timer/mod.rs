//! The generic timer (Arm ARM, D11): two counters, four timers, the event stream.

use std::sync::Arc;

use emu_core::clock::{Clock, Timer};
use emu_core::irq::{Kick, ppi};

use crate::cpu::Cpu;
use crate::doorbell::Doorbell;
use crate::sysreg::{Reg, hcr};

/// CNTx_CTL.
pub(crate) mod ctl {
    pub(crate) const ENABLE: u64 = 1;
    pub(crate) const IMASK: u64 = 2;
    pub(crate) const ISTATUS: u64 = 4;
}

/// One of the timers of a PE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum TimerId {
    /// EL1 physical timer.
    Physical,
    /// EL1 virtual timer.
    Virtual,
    /// EL2 physical timer.
    HypPhysical,
    /// EL2 virtual timer (FEAT_VHE).
    HypVirtual,
}

impl TimerId {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Physical, Self::Virtual, Self::HypPhysical, Self::HypVirtual];

    /// Its control and compare registers.
    const fn regs(self) -> (Reg, Reg) {
        match self {
            Self::Physical => (Reg::CNTP_CTL_EL0, Reg::CNTP_CVAL_EL0),
            Self::Virtual => (Reg::CNTV_CTL_EL0, Reg::CNTV_CVAL_EL0),
            Self::HypPhysical => (Reg::CNTHP_CTL_EL2, Reg::CNTHP_CVAL_EL2),
            Self::HypVirtual => (Reg::CNTHV_CTL_EL2, Reg::CNTHV_CVAL_EL2),
        }
    }

    const fn ppi(self) -> u32 {
        match self {
            Self::Physical => ppi::PHYSICAL,
            Self::Virtual => ppi::VIRTUAL,
            Self::HypPhysical => ppi::HYP_PHYSICAL,
            Self::HypVirtual => ppi::HYP_VIRTUAL,
        }
    }
}

/// What the timers keep beside their registers.
pub struct Timers {
    /// Levels of the four wires, as last driven.
    level: [bool; 4],
    /// Rings the doorbell when the next timer fires.
    alarm: Timer,
    /// What the alarm was last set to.
    deadline: Option<u64>,
}

impl Timers {
    /// Timers whose alarm rings `doorbell`.
    #[must_use]
    pub fn new(clock: &Arc<Clock>, doorbell: Arc<Doorbell>) -> Self {
        Self { level: [false; 4], alarm: Timer::new(clock, move || doorbell.kick()), deadline: None }
    }
}

impl Timers {
    /// Levels of the wires, for a snapshot: the GIC saves its side of them.
    pub(crate) fn levels(&self) -> [bool; 4] {
        self.level
    }

    /// The wires are at these levels; [`Cpu::update_timers`] follows.
    pub(crate) fn restore(&mut self, levels: [bool; 4]) {
        self.level = levels;
        self.deadline = None;
        self.alarm.clear();
    }
}

impl Cpu {
    /// The physical counter, CNTPCT_EL0.
    #[must_use]
    pub fn physical_count(&self) -> u64 {
        self.model.ticks(self.clock.now_ns())
    }

    /// CNTPCT_EL0 as read at the current Exception level: CNTPOFF_EL2 counts below EL2 (FEAT_ECV).
    #[must_use]
    pub fn physical_counter(&self) -> u64 {
        let offset = if self.pstate.el < 2 { self.physical_offset } else { 0 };
        self.physical_count().wrapping_sub(offset)
    }

    /// What CNTPOFF_EL2 takes from the count that EL1's physical timer compares with: nothing unless CNTHCTL_EL2.ECV
    /// says so, nor while EL0 is a host's.
    fn current_physical_offset(&self) -> u64 {
        /// CNTHCTL_EL2.ECV.
        const ECV: u64 = 1 << 12;
        let host = self.hcr & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE;
        if self.el2 && !host && self.sys[Reg::CNTHCTL_EL2] & ECV != 0 {
            self.sys[Reg::CNTPOFF_EL2]
        } else {
            0
        }
    }

    /// Finds the physical offset again after a change of what it depends on.
    pub(crate) fn refresh_physical_offset(&mut self) {
        let offset = self.current_physical_offset();
        if offset != self.physical_offset {
            self.physical_offset = offset;
            self.update_timers();
        }
    }

    /// The count that a timer compares with. The offsets apply to EL1's timers only; without EL2 they are 0.
    fn count_of(&self, id: TimerId, physical: u64) -> u64 {
        match id {
            TimerId::Virtual => physical.wrapping_sub(self.sys[Reg::CNTVOFF_EL2]),
            TimerId::Physical => physical.wrapping_sub(self.physical_offset),
            _ => physical,
        }
    }

    /// The virtual counter as read at the current Exception level: CNTVOFF_EL2 does not count at EL2 with E2H, nor in
    /// the EL0 of a host.
    #[must_use]
    pub fn virtual_count(&self) -> u64 {
        let no_offset = match self.pstate.el {
            2 => self.hcr & hcr::E2H != 0,
            0 => self.hcr & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE,
            _ => false,
        };
        let offset = if no_offset { 0 } else { self.sys[Reg::CNTVOFF_EL2] };
        self.physical_count().wrapping_sub(offset)
    }

    /// The timer's condition is met: its count has reached CVAL (as a 64-bit unsigned comparison).
    fn condition(&self, id: TimerId, physical: u64) -> bool {
        self.count_of(id, physical) >= self.sys[id.regs().1]
    }

    pub(crate) fn timer_ctl(&self, id: TimerId) -> u64 {
        let control = self.sys[id.regs().0];
        let met = control & ctl::ENABLE != 0 && self.condition(id, self.physical_count());
        control | if met { ctl::ISTATUS } else { 0 }
    }

    pub(crate) fn set_timer_ctl(&mut self, id: TimerId, value: u64) {
        self.sys[id.regs().0] = value & (ctl::ENABLE | ctl::IMASK);
        self.update_timers();
    }

    /// CNTVOFF_EL2.
    pub(crate) fn set_counter_offset(&mut self, value: u64) {
        self.sys[Reg::CNTVOFF_EL2] = value;
        self.update_timers();
    }

    pub(crate) fn timer_cval(&self, id: TimerId) -> u64 {
        self.sys[id.regs().1]
    }

    pub(crate) fn set_timer_cval(&mut self, id: TimerId, value: u64) {
        self.sys[id.regs().1] = value;
        self.update_timers();
    }

    /// TVAL: CVAL minus the count, as a signed 32-bit number that reads zero-extended.
    pub(crate) fn timer_tval(&self, id: TimerId) -> u64 {
        self.sys[id.regs().1].wrapping_sub(self.count_of(id, self.physical_count())) & 0xffff_ffff
    }

    pub(crate) fn set_timer_tval(&mut self, id: TimerId, value: u64) {
        let count = self.count_of(id, self.physical_count());
        self.sys[id.regs().1] = count.wrapping_add(value as u32 as i32 as u64);
        self.update_timers();
    }

    /// Drives the timers' wires and sets the alarm for the next one. Called when a register of a timer has changed and
    /// when the doorbell was rung for interrupts.
    pub fn update_timers(&mut self) {
        let physical = self.physical_count();
        for id in TimerId::ALL {
            let control = self.sys[id.regs().0];
            let on = control & (ctl::ENABLE | ctl::IMASK) == ctl::ENABLE && self.condition(id, physical);
            if on != self.timers.level[id as usize] {
                self.timers.level[id as usize] = on;
                self.port.set_ppi(id.ppi(), on);
            }
        }
        // A deadline that is still to come is still set: setting it again would take the clock's locks for nothing.
        // By the same count: a timer whose time comes in between would have neither its wire nor an alarm.
        let deadline = self.deadline_after(physical);
        if deadline != self.timers.deadline {
            self.timers.deadline = deadline;
            match deadline {
                Some(ns) => self.timers.alarm.set(ns),
                None => self.timers.alarm.clear(),
            }
        }
    }

    /// When the next timer fires that is enabled, not masked and has not fired: virtual nanoseconds.
    #[must_use]
    pub fn next_timer_deadline(&self) -> Option<u64> {
        self.deadline_after(self.physical_count())
    }

    /// See [`Cpu::next_timer_deadline`]; as of a value of the physical counter.
    fn deadline_after(&self, physical: u64) -> Option<u64> {
        TimerId::ALL
            .into_iter()
            .filter(|id| self.sys[id.regs().0] & (ctl::ENABLE | ctl::IMASK) == ctl::ENABLE)
            .filter(|id| !self.condition(*id, physical))
            .filter_map(|id| {
                let left = self.sys[id.regs().1].wrapping_sub(self.count_of(id, physical));
                // A deadline beyond the end of virtual time never comes.
                physical.checked_add(left).and_then(|t| self.model.ns_of(t))
            })
            .min()
    }

    /// The period of the event stream that wakes WFE at the current Exception level, if it is on (CNTKCTL_EL1 and
    /// CNTHCTL_EL2: EVNTEN, EVNTI).
    #[must_use]
    pub fn event_stream_period_ns(&self) -> Option<u64> {
        let of = |control: u64| {
            // EVNTEN is bit 2, EVNTI bits 7:4 in both: an event for each 0 to 1 (or 1 to 0) change of a counter bit,
            // which is 8 higher with EVNTIS, bit 17 (FEAT_ECV).
            let bit = (control >> 4 & 15) + (control >> 17 & 1) * 8;
            (control & 4 != 0).then(|| 2u64 << bit).and_then(|ticks| self.model.ns_of(ticks))
        };
        let host = self.hcr & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE;
        let kernel = if host { None } else { of(self.sys[Reg::CNTKCTL_EL1]) };
        let hyp = if self.el2 { of(self.sys[Reg::CNTHCTL_EL2]) } else { None };
        kernel.into_iter().chain(hyp).min()
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::SysEnc;

    use super::*;
    use crate::model::Model;
    use crate::test_pe::{Bench, bench, max};

    const CNTV_TVAL: SysEnc = SysEnc::new(3, 3, 14, 3, 0);
    const CNTV_CTL: SysEnc = SysEnc::new(3, 3, 14, 3, 1);
    const CNTV_CVAL: SysEnc = SysEnc::new(3, 3, 14, 3, 2);
    const CNTVCT: SysEnc = SysEnc::new(3, 3, 14, 0, 2);
    const CNTVOFF: SysEnc = SysEnc::new(3, 4, 14, 0, 3);

    /// Lets time pass, and the PE look at its timers if it was rung.
    fn pass(b: &mut Bench, ns: u64) -> bool {
        b.clock.advance(ns);
        let rung = b.cpu.doorbell.take() != 0;
        if rung {
            b.cpu.update_timers();
        }
        rung
    }

    #[test]
    fn a_timer_rings_and_drives_its_wire() {
        let mut b = max();
        b.clock.advance(1000);
        b.cpu.msr(CNTVOFF, 0, 600).unwrap();
        b.cpu.set_level(1, true);
        assert_eq!(b.cpu.mrs(CNTVCT, 0), Ok(400));
        b.cpu.msr(CNTV_TVAL, 0, 100).unwrap();
        assert_eq!(b.cpu.mrs(CNTV_CVAL, 0), Ok(500));
        b.cpu.msr(CNTV_CTL, 0, 1).unwrap();
        assert_eq!(b.cpu.next_timer_deadline(), Some(1100));
        assert!(!pass(&mut b, 99) && !b.port.ppi(27));
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(1));
        assert!(pass(&mut b, 1) && b.port.ppi(27));
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(5), "ISTATUS");
        assert_eq!(b.cpu.next_timer_deadline(), None);
        b.cpu.msr(CNTV_CTL, 0, 3).unwrap();
        assert!(!b.port.ppi(27), "IMASK");
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(7));
        b.cpu.msr(CNTV_CTL, 0, 0).unwrap();
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(0), "ISTATUS is 0 while disabled");
        // A negative TVAL is in the past.
        b.cpu.msr(CNTV_TVAL, 0, 0xffff_ffff).unwrap();
        b.cpu.msr(CNTV_CTL, 0, 1).unwrap();
        assert!(b.port.ppi(27));
        assert_eq!(b.cpu.mrs(CNTV_TVAL, 0), Ok(0xffff_ffff));
    }

    #[test]
    fn the_offset_moves_the_deadline() {
        let mut b = max();
        b.clock.advance(500);
        b.cpu.sys[Reg::CNTV_CVAL_EL0] = 1000;
        b.cpu.set_timer_ctl(TimerId::Virtual, 1);
        assert_eq!(b.cpu.next_timer_deadline(), Some(1000));
        b.cpu.msr(CNTVOFF, 0, 500).unwrap();
        assert_eq!(b.cpu.next_timer_deadline(), Some(1500));
        // A guest's clock that is ahead of the machine's.
        b.cpu.msr(CNTVOFF, 0, 400u64.wrapping_neg()).unwrap();
        assert_eq!(b.cpu.next_timer_deadline(), Some(600));
        b.cpu.set_timer_cval(TimerId::Virtual, u64::MAX);
        assert_eq!(b.cpu.next_timer_deadline(), Some(u64::MAX - 400));
        b.cpu.msr(CNTVOFF, 0, 5).unwrap();
        assert_eq!(b.cpu.next_timer_deadline(), None, "beyond the end of time");
        // The comparison is unsigned: an offset ahead of the counter makes a count that is past everything.
        b.cpu.set_timer_cval(TimerId::Virtual, 1000);
        b.cpu.msr(CNTVOFF, 0, 501).unwrap();
        assert!(b.port.ppi(27));
    }

    #[test]
    fn the_virtual_counter_by_level() {
        let mut b = max();
        b.clock.advance(1000);
        b.cpu.sys[Reg::CNTVOFF_EL2] = 1;
        for (el, hcr_el2, count) in [
            (2, 0, 999),
            (2, hcr::E2H, 1000),
            (1, hcr::E2H, 999),
            (0, hcr::E2H, 999),
            (0, hcr::E2H | hcr::TGE, 1000),
            (0, hcr::TGE, 999),
        ] {
            b.cpu.sys[Reg::HCR_EL2] = hcr_el2;
            b.cpu.set_level(el, el > 0);
            assert_eq!(b.cpu.virtual_count(), count, "EL{el} {hcr_el2:#x}");
        }
    }

    #[test]
    fn sixteen_nanoseconds_per_tick() {
        let mut b = bench(Model::cortex_a72(), true);
        b.clock.advance(1600);
        assert_eq!(b.cpu.physical_count(), 100);
        b.cpu.set_timer_cval(TimerId::HypPhysical, 101);
        b.cpu.set_timer_ctl(TimerId::HypPhysical, 1);
        assert_eq!(b.cpu.next_timer_deadline(), Some(1616));
        assert!(pass(&mut b, 16) && b.port.ppi(26));
    }

    #[test]
    fn event_stream() {
        let mut b = bench(Model::cortex_a72(), true);
        assert_eq!(b.cpu.event_stream_period_ns(), None);
        // EVNTEN, EVNTI = 11: bit 11 changes from 0 to 1 every 4096 ticks.
        b.cpu.sys[Reg::CNTKCTL_EL1] = 4 | 11 << 4;
        assert_eq!(b.cpu.event_stream_period_ns(), Some(4096 * 16));
        b.cpu.sys[Reg::CNTHCTL_EL2] |= 4 | 10 << 4;
        assert_eq!(b.cpu.event_stream_period_ns(), Some(2048 * 16));
    }

    #[test]
    fn reset_lowers_the_wires() {
        let mut b = max();
        b.cpu.set_timer_ctl(TimerId::Physical, 1);
        assert!(b.port.ppi(30));
        b.cpu.reset(crate::cpu::Entry::default());
        assert!(!b.port.ppi(30));
    }
}
