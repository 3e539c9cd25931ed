//! The generic timer (Arm ARM, D11): two counters, four timers, the event stream.
//!
//! Its registers are among the stored ones, which the methods of [`Timers`] are given.

use std::sync::Arc;

use emu_a64::level::{El, Levels};
use emu_core::clock::{Clock, Timer};
use emu_core::irq::{GicConnection, Kick, ppi};

use crate::doorbell::Doorbell;
use crate::level::is_in_host;
use crate::model::Model;
use crate::sysreg::{Reg, SysState};

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

/// The counters and timers of one PE.
pub struct Timers {
    clock: Arc<Clock>,
    model: Arc<Model>,
    /// Where the wires lead.
    port: GicConnection,
    levels: Levels,
    /// Levels of the four wires, as last driven.
    level: [bool; 4],
    /// Rings the doorbell when the next timer fires.
    alarm: Timer,
    /// What the alarm was last set to.
    deadline: Option<u64>,
    /// What CNTPOFF_EL2 takes from the count that EL1's physical timer compares with: see [`Timers::refresh`].
    physical_offset: u64,
}

impl Timers {
    /// Timers whose alarm rings `doorbell`, and whose wires lead to `port`.
    #[must_use]
    pub fn new(
        clock: &Arc<Clock>,
        model: &Arc<Model>,
        port: &GicConnection,
        levels: Levels,
        doorbell: Arc<Doorbell>,
    ) -> Self {
        Self {
            clock: clock.clone(),
            model: model.clone(),
            port: port.clone(),
            levels,
            level: [false; 4],
            alarm: Timer::new(clock, move || doorbell.kick()),
            deadline: None,
            physical_offset: 0,
        }
    }

    /// Levels of the wires, for a snapshot: the GIC saves its side of them.
    pub(crate) fn levels(&self) -> [bool; 4] {
        self.level
    }

    /// The wires are at these levels; [`Timers::update`] follows.
    pub(crate) fn restore(&mut self, levels: [bool; 4]) {
        self.level = levels;
        self.deadline = None;
        self.alarm.clear();
    }

    /// The physical counter, CNTPCT_EL0.
    #[must_use]
    pub fn physical_count(&self) -> u64 {
        self.model.ticks(self.clock.now_ns())
    }

    /// CNTPCT_EL0 as read at an Exception level: CNTPOFF_EL2 counts below EL2 (FEAT_ECV).
    #[must_use]
    pub fn physical_counter(&self, el: El) -> u64 {
        let offset = if el < El::El2 { self.physical_offset } else { 0 };
        self.physical_count().wrapping_sub(offset)
    }

    /// Finds the physical offset again, after a change of what it depends on: there is none unless CNTHCTL_EL2.ECV says so,
    /// nor while EL0 is a host's. `hcr` is the effective value of HCR_EL2.
    pub(crate) fn refresh(&mut self, sys: &SysState, hcr: u64) {
        /// CNTHCTL_EL2.ECV.
        const ECV: u64 = 1 << 12;
        let counts =
            self.levels.contains(El::El2) && !is_in_host(El::El0, hcr) && sys[Reg::CNTHCTL_EL2] & ECV != 0;
        let offset = if counts { sys[Reg::CNTPOFF_EL2] } else { 0 };
        if offset != self.physical_offset {
            self.physical_offset = offset;
            self.update(sys);
        }
    }

    /// The count that a timer compares with. The offsets apply to EL1's timers only; without EL2 they are 0.
    fn count_of(&self, sys: &SysState, id: TimerId, physical: u64) -> u64 {
        match id {
            TimerId::Virtual => physical.wrapping_sub(sys[Reg::CNTVOFF_EL2]),
            TimerId::Physical => physical.wrapping_sub(self.physical_offset),
            _ => physical,
        }
    }

    /// CNTVCT_EL0 as read at an Exception level: CNTVOFF_EL2 does not count at EL2 with E2H, nor in the EL0 of a host. `hcr` is
    /// the effective value of HCR_EL2.
    #[must_use]
    pub fn virtual_counter(&self, sys: &SysState, el: El, hcr: u64) -> u64 {
        let offset = if is_in_host(el, hcr) { 0 } else { sys[Reg::CNTVOFF_EL2] };
        self.physical_count().wrapping_sub(offset)
    }

    /// The timer's condition is met: its count has reached CVAL (as a 64-bit unsigned comparison).
    fn condition(&self, sys: &SysState, id: TimerId, physical: u64) -> bool {
        self.count_of(sys, id, physical) >= sys[id.regs().1]
    }

    pub(crate) fn ctl(&self, sys: &SysState, id: TimerId) -> u64 {
        let control = sys[id.regs().0];
        let met = control & ctl::ENABLE != 0 && self.condition(sys, id, self.physical_count());
        control | if met { ctl::ISTATUS } else { 0 }
    }

    pub(crate) fn set_ctl(&mut self, sys: &mut SysState, id: TimerId, value: u64) {
        sys[id.regs().0] = value & (ctl::ENABLE | ctl::IMASK);
        self.update(sys);
    }

    /// CNTVOFF_EL2.
    pub(crate) fn set_virtual_offset(&mut self, sys: &mut SysState, value: u64) {
        sys[Reg::CNTVOFF_EL2] = value;
        self.update(sys);
    }

    pub(crate) fn cval(&self, sys: &SysState, id: TimerId) -> u64 {
        sys[id.regs().1]
    }

    pub(crate) fn set_cval(&mut self, sys: &mut SysState, id: TimerId, value: u64) {
        sys[id.regs().1] = value;
        self.update(sys);
    }

    /// TVAL: CVAL minus the count, as a signed 32-bit number that reads zero-extended.
    pub(crate) fn tval(&self, sys: &SysState, id: TimerId) -> u64 {
        sys[id.regs().1].wrapping_sub(self.count_of(sys, id, self.physical_count())) & 0xffff_ffff
    }

    pub(crate) fn set_tval(&mut self, sys: &mut SysState, id: TimerId, value: u64) {
        let count = self.count_of(sys, id, self.physical_count());
        sys[id.regs().1] = count.wrapping_add(value as u32 as i32 as u64);
        self.update(sys);
    }

    /// Drives the timers' wires and sets the alarm for the next one. Called when a register of a timer has changed and
    /// when the doorbell was rung for interrupts.
    pub fn update(&mut self, sys: &SysState) {
        let physical = self.physical_count();
        for id in TimerId::ALL {
            let control = sys[id.regs().0];
            let on = control & (ctl::ENABLE | ctl::IMASK) == ctl::ENABLE && self.condition(sys, id, physical);
            if on != self.level[id as usize] {
                self.level[id as usize] = on;
                self.port.set_ppi(id.ppi(), on);
            }
        }
        // A deadline that is still to come is still set: setting it again would take the clock's locks for nothing.
        // By the same count: a timer whose time comes in between would have neither its wire nor an alarm.
        let deadline = self.deadline_after(sys, physical);
        if deadline != self.deadline {
            self.deadline = deadline;
            match deadline {
                Some(ns) => self.alarm.set(ns),
                None => self.alarm.clear(),
            }
        }
    }

    /// When the next timer fires that is enabled, not masked and has not fired: virtual nanoseconds.
    #[must_use]
    pub fn next_deadline(&self, sys: &SysState) -> Option<u64> {
        self.deadline_after(sys, self.physical_count())
    }

    /// See [`Timers::next_deadline`]; as of a value of the physical counter.
    fn deadline_after(&self, sys: &SysState, physical: u64) -> Option<u64> {
        TimerId::ALL
            .into_iter()
            .filter(|id| sys[id.regs().0] & (ctl::ENABLE | ctl::IMASK) == ctl::ENABLE)
            .filter(|id| !self.condition(sys, *id, physical))
            .filter_map(|id| {
                let left = sys[id.regs().1].wrapping_sub(self.count_of(sys, id, physical));
                // A deadline beyond the end of virtual time never comes.
                physical.checked_add(left).and_then(|t| self.model.ns_of(t))
            })
            .min()
    }

    /// The period of the event stream that wakes WFE, if it is on (CNTKCTL_EL1 and CNTHCTL_EL2: EVNTEN, EVNTI). `hcr` is the
    /// effective value of HCR_EL2.
    #[must_use]
    pub fn event_stream_period_ns(&self, sys: &SysState, hcr: u64) -> Option<u64> {
        let of = |control: u64| {
            // EVNTEN is bit 2, EVNTI bits 7:4 in both: an event for each 0 to 1 (or 1 to 0) change of a counter bit,
            // which is 8 higher with EVNTIS, bit 17 (FEAT_ECV).
            let bit = (control >> 4 & 15) + (control >> 17 & 1) * 8;
            (control & 4 != 0).then(|| 2u64 << bit).and_then(|ticks| self.model.ns_of(ticks))
        };
        let kernel = if is_in_host(El::El0, hcr) { None } else { of(sys[Reg::CNTKCTL_EL1]) };
        let hyp = if self.levels.contains(El::El2) { of(sys[Reg::CNTHCTL_EL2]) } else { None };
        kernel.into_iter().chain(hyp).min()
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::SysEnc;

    use super::*;
    use crate::model::Model;
    use crate::sysreg::hcr;
    use crate::test_pe::{Bench, bench, max};

    const CNTV_TVAL: SysEnc = SysEnc::new(3, 3, 14, 3, 0);
    const CNTV_CTL: SysEnc = SysEnc::new(3, 3, 14, 3, 1);
    const CNTV_CVAL: SysEnc = SysEnc::new(3, 3, 14, 3, 2);
    const CNTVCT: SysEnc = SysEnc::new(3, 3, 14, 0, 2);
    const CNTVOFF: SysEnc = SysEnc::new(3, 4, 14, 0, 3);

    /// Lets time pass, and the PE look at its timers if it was rung.
    fn pass(b: &mut Bench, ns: u64) -> bool {
        b.clock.advance(ns);
        let rung = b.cpu.wires.doorbell().take() != 0;
        if rung {
            b.cpu.timers.update(&b.cpu.sys);
        }
        rung
    }

    #[test]
    fn a_timer_rings_and_drives_its_wire() {
        let mut b = max();
        b.clock.advance(1000);
        b.cpu.msr(CNTVOFF, 0, 600).unwrap();
        b.cpu.set_level(El::El1, true);
        assert_eq!(b.cpu.mrs(CNTVCT, 0), Ok(400));
        b.cpu.msr(CNTV_TVAL, 0, 100).unwrap();
        assert_eq!(b.cpu.mrs(CNTV_CVAL, 0), Ok(500));
        b.cpu.msr(CNTV_CTL, 0, 1).unwrap();
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(1100));
        assert!(!pass(&mut b, 99) && !b.port.ppi(27));
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(1));
        assert!(pass(&mut b, 1) && b.port.ppi(27));
        assert_eq!(b.cpu.mrs(CNTV_CTL, 0), Ok(5), "ISTATUS");
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), None);
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
        b.cpu.timers.set_ctl(&mut b.cpu.sys, TimerId::Virtual, 1);
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(1000));
        b.cpu.msr(CNTVOFF, 0, 500).unwrap();
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(1500));
        // A guest's clock that is ahead of the machine's.
        b.cpu.msr(CNTVOFF, 0, 400u64.wrapping_neg()).unwrap();
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(600));
        b.cpu.timers.set_cval(&mut b.cpu.sys, TimerId::Virtual, u64::MAX);
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(u64::MAX - 400));
        b.cpu.msr(CNTVOFF, 0, 5).unwrap();
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), None, "beyond the end of time");
        // The comparison is unsigned: an offset ahead of the counter makes a count that is past everything.
        b.cpu.timers.set_cval(&mut b.cpu.sys, TimerId::Virtual, 1000);
        b.cpu.msr(CNTVOFF, 0, 501).unwrap();
        assert!(b.port.ppi(27));
    }

    #[test]
    fn the_virtual_counter_by_level() {
        let mut b = max();
        b.clock.advance(1000);
        b.cpu.sys[Reg::CNTVOFF_EL2] = 1;
        for (el, hcr_el2, count) in [
            (El::El2, 0, 999),
            (El::El2, hcr::E2H, 1000),
            (El::El1, hcr::E2H, 999),
            (El::El0, hcr::E2H, 999),
            (El::El0, hcr::E2H | hcr::TGE, 1000),
            (El::El0, hcr::TGE, 999),
        ] {
            b.cpu.sys[Reg::HCR_EL2] = hcr_el2;
            b.cpu.set_level(el, el.is_privileged());
            assert_eq!(b.cpu.timers.virtual_counter(&b.cpu.sys, el, b.cpu.hcr()), count, "{el} {hcr_el2:#x}");
        }
    }

    #[test]
    fn sixteen_nanoseconds_per_tick() {
        let mut b = bench(Model::cortex_a72());
        b.clock.advance(1600);
        assert_eq!(b.cpu.timers.physical_count(), 100);
        b.cpu.timers.set_cval(&mut b.cpu.sys, TimerId::HypPhysical, 101);
        b.cpu.timers.set_ctl(&mut b.cpu.sys, TimerId::HypPhysical, 1);
        assert_eq!(b.cpu.timers.next_deadline(&b.cpu.sys), Some(1616));
        assert!(pass(&mut b, 16) && b.port.ppi(26));
    }

    #[test]
    fn event_stream() {
        let mut b = bench(Model::cortex_a72());
        assert_eq!(b.cpu.timers.event_stream_period_ns(&b.cpu.sys, b.cpu.hcr()), None);
        // EVNTEN, EVNTI = 11: bit 11 changes from 0 to 1 every 4096 ticks.
        b.cpu.sys[Reg::CNTKCTL_EL1] = 4 | 11 << 4;
        assert_eq!(b.cpu.timers.event_stream_period_ns(&b.cpu.sys, b.cpu.hcr()), Some(4096 * 16));
        b.cpu.sys[Reg::CNTHCTL_EL2] |= 4 | 10 << 4;
        assert_eq!(b.cpu.timers.event_stream_period_ns(&b.cpu.sys, b.cpu.hcr()), Some(2048 * 16));
    }

    #[test]
    fn reset_lowers_the_wires() {
        let mut b = max();
        b.cpu.timers.set_ctl(&mut b.cpu.sys, TimerId::Physical, 1);
        assert!(b.port.ppi(30));
        b.cpu.reset(crate::cpu::Entry::default());
        assert!(!b.port.ppi(30));
    }
}
