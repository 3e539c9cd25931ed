//! The performance monitors, FEAT_PMUv3 (Arm ARM, D13).
//!
//! # How it counts
//! Nothing is counted while guest code runs. The PE keeps running totals ([`Totals`]), and what they have grown by since
//! the last time goes to the counters that are enabled ([`Cpu::sync_pmu`]) whenever the answer to "which are enabled"
//! changes: at a change of Exception level and at an access to one of the PMU's registers, both of which end a block, so
//! that instruction counts are exact. An overflow that interrupts is found by an alarm; it may be reported up to
//! [`SKID_NS`] late.
//!
//! # Memory accesses
//! Code counts them only while an enabled counter wants them: then each instruction that accesses memory is translated to
//! count that, too ([`emu_a64::mode::Mode`]). Up to sixteen bytes are one access, a pair of Q registers is two, and a step of
//! a memory copy or set is one. An instruction that faults counts none. DC ZVA is not counted.
//!
//! # Cycles
//! A cycle is a nanosecond of virtual time: the PE is one with a 1 GHz clock. The clock stops in WFI and WFE.

mod event;
pub(crate) mod registers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use emu_a64::features::Feat;
use emu_core::clock::{Clock, Timer};
use emu_core::irq::{Kick, ppi};
use emu_core::metrics::Metric;
use event::Source;

use crate::cpu::Cpu;
use crate::doorbell::Doorbell;
use crate::sysreg::{Reg, mdcr};

/// Event counters of every model, beside the cycle counter.
pub(crate) const EVENT_COUNTERS: usize = 6;
/// Number of the cycle counter in the registers that have one bit per counter.
const CYCLE: usize = 31;
/// All counters.
const COUNTERS: [usize; EVENT_COUNTERS + 1] = [0, 1, 2, 3, 4, 5, CYCLE];
/// An overflow is reported at most this much later than it happens.
const SKID_NS: u64 = 20_000;
/// The longest time between two looks at a counter whose overflow interrupts.
const LONGEST_LOOK_NS: u64 = 10_000_000;

/// Bits of PMCR_EL0.
mod pmcr {
    pub(super) const E: u64 = 1;
    pub(super) const P: u64 = 1 << 1;
    pub(super) const C: u64 = 1 << 2;
    pub(super) const X: u64 = 1 << 4;
    pub(super) const DP: u64 = 1 << 5;
    /// RES1 without AArch32: the cycle counter overflows at 64 bits, and D is RES0.
    pub(super) const LC: u64 = 1 << 6;
    pub(super) const LP: u64 = 1 << 7;
}

/// Bits of `PMEVTYPER<n>_EL0` and PMCCFILTR_EL0. The others that the architecture names belong to EL3 or to Secure state.
mod filter {
    pub(super) const P: u64 = 1 << 31;
    pub(super) const U: u64 = 1 << 30;
    pub(super) const NSH: u64 = 1 << 27;
}

/// Instructions, cycles, exceptions taken, exception returns, since the PE was made; memory accesses, as far as they were
/// counted.
pub(crate) type Totals = [u64; 5];

/// What the PMU keeps beside its registers.
pub struct Pmu {
    /// The totals that the counters have been given.
    given: Totals,
    /// Time that the PE has slept.
    asleep_ns: u64,
    /// Some counter is enabled.
    counting: bool,
    /// One that is enabled counts memory accesses.
    counts_accesses: bool,
    /// Level of the overflow interrupt.
    level: bool,
    alarm: Timer,
    deadline: Option<u64>,
}

impl Pmu {
    /// A PMU whose alarm rings `doorbell`.
    #[must_use]
    pub fn new(clock: &Arc<Clock>, doorbell: Arc<Doorbell>) -> Self {
        Self {
            given: [0; 5],
            asleep_ns: 0,
            counting: false,
            counts_accesses: false,
            level: false,
            alarm: Timer::new(clock, move || doorbell.kick()),
            deadline: None,
        }
    }

    /// Code must count its memory accesses.
    #[inline]
    pub(crate) fn counts_accesses(&self) -> bool {
        self.counts_accesses
    }

    /// The PE slept for this long.
    pub fn slept(&mut self, ns: u64) {
        self.asleep_ns = self.asleep_ns.wrapping_add(ns);
    }

    /// The interrupt wire is at this level: restoring a snapshot. [`Cpu::restart_pmu`] follows.
    pub(crate) fn restore(&mut self, level: bool) {
        self.level = level;
    }

    /// The level of the interrupt wire, for a snapshot.
    pub(crate) fn level(&self) -> bool {
        self.level
    }
}

/// The counter's place in the registers that have a bit for each.
const fn bit(n: usize) -> u64 {
    1 << n
}

/// The registers of event counter `n`.
fn event_regs(n: usize) -> (Reg, Reg) {
    (Reg::PMEVCNTR0_EL0.plus(n), Reg::PMEVTYPER0_EL0.plus(n))
}

impl Cpu {
    fn totals(&self) -> Totals {
        let count = |m| self.counters.get(m);
        [
            count(Metric::Instructions),
            self.clock.now_ns().wrapping_sub(self.pmu.asleep_ns),
            count(Metric::ExcToEl1).wrapping_add(count(Metric::ExcToEl2)),
            count(Metric::ExceptionReturns),
            self.regs.accesses,
        ]
    }

    /// Number of event counters that are EL1's and EL0's: MDCR_EL2.HPMN. The others are EL2's own.
    fn guest_counters(&self) -> usize {
        if self.el2 {
            (self.sys[Reg::MDCR_EL2] & 31).min(EVENT_COUNTERS as u64) as usize
        } else {
            EVENT_COUNTERS
        }
    }

    fn is_hyp_counter(&self, n: usize) -> bool {
        n != CYCLE && n >= self.guest_counters()
    }

    /// PMCR_EL0.E, or MDCR_EL2.HPME for EL2's own.
    fn globally_enabled(&self, n: usize) -> bool {
        if self.is_hyp_counter(n) {
            self.sys[Reg::MDCR_EL2] & mdcr::HPME != 0
        } else {
            self.sys[Reg::PMCR_EL0] & pmcr::E != 0
        }
    }

    fn counter_enabled(&self, n: usize) -> bool {
        self.globally_enabled(n) && self.sys[Reg::PMCNTENSET_EL0] & bit(n) != 0
    }

    /// The counter counts what happens at the current Exception level (pseudocode function CountPMUEvents).
    fn counts_here(&self, n: usize) -> bool {
        let control = self.sys[Reg::MDCR_EL2];
        let prohibited = self.pstate.el == 2
            && if n == CYCLE {
                control & mdcr::HCCD != 0
                    || control & mdcr::HPMD != 0 && self.sys[Reg::PMCR_EL0] & pmcr::DP != 0
            } else {
                control & mdcr::HPMD != 0 && !self.is_hyp_counter(n)
            };
        let filters = self.sys[if n == CYCLE { Reg::PMCCFILTR_EL0 } else { event_regs(n).1 }];
        let wanted = match self.pstate.el {
            0 => filters & filter::U == 0,
            1 => filters & filter::P == 0,
            _ => filters & filter::NSH != 0,
        };
        self.counter_enabled(n) && !prohibited && wanted
    }

    fn source_of(&self, n: usize) -> Source {
        if n == CYCLE {
            Source::Total(event::CYCLES)
        } else {
            event::source(self.sys[event_regs(n).1] & 0xffff)
        }
    }

    /// The event counter overflows at 64 bits rather than 32: PMCR_EL0.LP, or MDCR_EL2.HLP for EL2's own.
    fn is_long(&self, n: usize) -> bool {
        let (reg, long) =
            if self.is_hyp_counter(n) { (Reg::MDCR_EL2, mdcr::HLP) } else { (Reg::PMCR_EL0, pmcr::LP) };
        self.features.has(Feat::Pmuv3p5) && self.sys[reg] & long != 0
    }

    /// Gives the counters what has happened since the last time. Called before anything changes that decides which of
    /// them count.
    #[inline]
    pub fn sync_pmu(&mut self) {
        if self.pmu.counting {
            self.give_counts();
        }
    }

    fn give_counts(&mut self) {
        let now = self.totals();
        let given = std::mem::replace(&mut self.pmu.given, now);
        for n in COUNTERS {
            if let Source::Total(i) = self.source_of(n)
                && self.counts_here(n)
            {
                self.add_to_counter(n, now[i].wrapping_sub(given[i]));
            }
        }
    }

    /// Adds to a counter, with its overflow and the CHAIN events that follow (IncrementEventCounter).
    fn add_to_counter(&mut self, n: usize, by: u64) {
        if by == 0 {
            return;
        }
        if n == CYCLE {
            let (value, wrapped) = self.sys[Reg::PMCCNTR_EL0].overflowing_add(by);
            self.sys[Reg::PMCCNTR_EL0] = value;
            return self.overflowed(n, wrapped);
        }
        let (counter, _) = event_regs(n);
        let old = self.sys[counter];
        let (sum, wrapped) = old.overflowing_add(by);
        let long = self.is_long(n);
        let wraps = u64::from(wrapped) << 32 | sum >> 32;
        let wraps = if long { u64::from(wrapped) } else { wraps.wrapping_sub(old >> 32) };
        self.sys[counter] = if self.features.has(Feat::Pmuv3p5) { sum } else { sum & 0xffff_ffff };
        self.overflowed(n, wraps != 0);
        let next = n + 1;
        if n.is_multiple_of(2)
            && !long
            && next < EVENT_COUNTERS
            && self.source_of(next) == Source::Chain
            && self.counts_here(next)
        {
            self.add_to_counter(next, wraps);
        }
    }

    fn overflowed(&mut self, n: usize, yes: bool) {
        if yes {
            self.sys[Reg::PMOVSSET_EL0] |= bit(n);
            self.drive_pmu();
        }
    }

    /// Drives the interrupt (CheckForPMUOverflow).
    fn drive_pmu(&mut self) {
        let pending = self.sys[Reg::PMOVSSET_EL0] & self.sys[Reg::PMINTENSET_EL1];
        let level = COUNTERS.into_iter().any(|n| pending & bit(n) != 0 && self.globally_enabled(n));
        if level != self.pmu.level {
            self.pmu.level = level;
            self.port.set_ppi(ppi::PMU, level);
        }
    }

    /// Counts up to now, and sets the alarm for the next look. Called after a change and when the doorbell was rung.
    pub fn update_pmu(&mut self) {
        self.sync_pmu();
        let counting = COUNTERS.into_iter().any(|n| self.counter_enabled(n));
        if !counting && !self.pmu.counting {
            return self.drive_pmu();
        }
        if counting && !self.pmu.counting {
            self.pmu.given = self.totals();
        }
        self.pmu.counting = counting;
        let accesses = Source::Total(event::ACCESSES);
        let accesses = COUNTERS.into_iter().any(|n| self.counter_enabled(n) && self.source_of(n) == accesses);
        // Other code runs from now on.
        self.context_changed |= accesses != self.pmu.counts_accesses;
        self.pmu.counts_accesses = accesses;
        self.drive_pmu();
        let wait = COUNTERS.into_iter().filter_map(|n| self.wait_for(n)).min();
        let deadline = wait.map(|ns| self.clock.now_ns().saturating_add(ns.clamp(SKID_NS, LONGEST_LOOK_NS)));
        if deadline != self.pmu.deadline {
            self.pmu.deadline = deadline;
            match deadline {
                Some(ns) => self.pmu.alarm.set(ns),
                None => self.pmu.alarm.clear(),
            }
        }
    }

    /// Forgets what is not in the registers: after reset and when a snapshot was restored.
    pub(crate) fn restart_pmu(&mut self) {
        self.pmu.counting = false;
        self.update_pmu();
    }

    /// How long to wait, at most, before looking whether a counter has overflowed that then interrupts.
    fn wait_for(&self, n: usize) -> Option<u64> {
        let interrupts = self.sys[Reg::PMINTENSET_EL1] & !self.sys[Reg::PMOVSSET_EL0] & bit(n) != 0;
        if !interrupts || !self.counter_enabled(n) {
            return None;
        }
        let mut left = self.until_overflow(n);
        let mut source = self.source_of(n);
        if source == Source::Chain && n % 2 == 1 {
            let whole = left.saturating_sub(1).saturating_mul(1 << 32);
            left = whole.saturating_add(self.until_overflow(n - 1));
            source = self.source_of(n - 1);
        }
        match source {
            Source::Total(event::CYCLES) => Some(left),
            // Nothing runs faster than two instructions per nanosecond.
            Source::Total(_) => Some(left / 2),
            _ => None,
        }
    }

    fn until_overflow(&self, n: usize) -> u64 {
        if n == CYCLE {
            return self.sys[Reg::PMCCNTR_EL0].wrapping_neg();
        }
        let value = self.sys[event_regs(n).0];
        if self.is_long(n) { value.wrapping_neg() } else { (1 << 32) - (value & 0xffff_ffff) }
    }
}
