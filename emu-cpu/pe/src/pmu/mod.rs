//! The performance monitors, FEAT_PMUv3 (Arm ARM, D13).
//!
//! # How it counts
//! Nothing is counted while guest code runs. The PE keeps running totals ([`Totals`]), and what they have grown by since
//! the last time goes to the counters that are enabled ([`Cpu::sync_pmu`]) whenever the answer to "which are enabled"
//! changes: at a change of Exception level and at an access to one of the PMU's registers, both of which end a block, so
//! that instruction counts are exact. An overflow that interrupts is found by an alarm; it may be reported up to
//! [`SKID_NS`] late, but before a write that may take it away ([`Cpu::finds_overflow`]).
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

use emu_a64::features::{Feat, FeatureSet};
use emu_a64::level::{El, Levels};
use emu_core::clock::{Clock, Timer};
use emu_core::irq::{GicConnection, Kick, ppi};
use emu_core::metrics::{Counters, Metric};
use event::Source;

use crate::cpu::{Cpu, CpuConfig};
use crate::sysreg::{Reg, SysState, mdcr};

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

/// The performance monitors of one PE. Their registers are among the stored ones, which the methods are given.
pub struct Pmu {
    clock: Arc<Clock>,
    /// Where totals come from.
    counters: Arc<Counters>,
    /// Where the interrupt leads.
    port: GicConnection,
    features: FeatureSet,
    levels: Levels,
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
    /// The PMU of a PE.
    #[must_use]
    pub fn new(config: &CpuConfig) -> Self {
        let CpuConfig { model, levels, counters, clock, port, .. } = config;
        let doorbell = config.doorbell.clone();
        Self {
            clock: clock.clone(),
            counters: counters.clone(),
            port: port.clone(),
            features: model.features,
            levels: *levels,
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

impl Pmu {
    fn totals(&self, accesses: u64) -> Totals {
        let count = |m| self.counters.get(m);
        [
            count(Metric::Instructions),
            self.clock.now_ns().wrapping_sub(self.asleep_ns),
            count(Metric::ExcToEl1).wrapping_add(count(Metric::ExcToEl2)),
            count(Metric::ExceptionReturns),
            accesses,
        ]
    }

    /// Number of event counters that are EL1's and EL0's: MDCR_EL2.HPMN. The others are EL2's own.
    fn guest_counters(&self, sys: &SysState) -> usize {
        if self.levels.contains(El::El2) {
            (sys[Reg::MDCR_EL2] & 31).min(EVENT_COUNTERS as u64) as usize
        } else {
            EVENT_COUNTERS
        }
    }

    fn is_hyp_counter(&self, sys: &SysState, n: usize) -> bool {
        n != CYCLE && n >= self.guest_counters(sys)
    }

    /// PMCR_EL0.E, or MDCR_EL2.HPME for EL2's own.
    fn globally_enabled(&self, sys: &SysState, n: usize) -> bool {
        if self.is_hyp_counter(sys, n) {
            sys[Reg::MDCR_EL2] & mdcr::HPME != 0
        } else {
            sys[Reg::PMCR_EL0] & pmcr::E != 0
        }
    }

    fn counter_enabled(&self, sys: &SysState, n: usize) -> bool {
        self.globally_enabled(sys, n) && sys[Reg::PMCNTENSET_EL0] & bit(n) != 0
    }

    /// The counter counts what happens at the current Exception level (pseudocode function CountPMUEvents).
    fn counts_here(&self, sys: &SysState, el: El, n: usize) -> bool {
        let control = sys[Reg::MDCR_EL2];
        let prohibited = el == El::El2
            && if n == CYCLE {
                control & mdcr::HCCD != 0 || control & mdcr::HPMD != 0 && sys[Reg::PMCR_EL0] & pmcr::DP != 0
            } else {
                control & mdcr::HPMD != 0 && !self.is_hyp_counter(sys, n)
            };
        let filters = sys[if n == CYCLE { Reg::PMCCFILTR_EL0 } else { event_regs(n).1 }];
        let wanted = match el {
            El::El0 => filters & filter::U == 0,
            El::El1 => filters & filter::P == 0,
            El::El2 | El::El3 => filters & filter::NSH != 0,
        };
        self.counter_enabled(sys, n) && !prohibited && wanted
    }

    fn source_of(sys: &SysState, n: usize) -> Source {
        if n == CYCLE { Source::Total(event::CYCLES) } else { event::source(sys[event_regs(n).1] & 0xffff) }
    }

    /// The event counter overflows at 64 bits rather than 32: PMCR_EL0.LP, or MDCR_EL2.HLP for EL2's own.
    fn is_long(&self, sys: &SysState, n: usize) -> bool {
        let (reg, long) =
            if self.is_hyp_counter(sys, n) { (Reg::MDCR_EL2, mdcr::HLP) } else { (Reg::PMCR_EL0, pmcr::LP) };
        self.features.has(Feat::Pmuv3p5) && sys[reg] & long != 0
    }

    /// Gives the counters what has happened since the last time. Called before anything changes that decides which of
    /// them count.
    #[inline]
    fn sync(&mut self, sys: &mut SysState, el: El, accesses: u64) {
        if self.counting {
            self.give_counts(sys, el, accesses);
        }
    }

    fn give_counts(&mut self, sys: &mut SysState, el: El, accesses: u64) {
        let now = self.totals(accesses);
        self.give(sys, el, now);
    }

    fn give(&mut self, sys: &mut SysState, el: El, now: Totals) {
        let given = std::mem::replace(&mut self.given, now);
        for n in COUNTERS {
            if let Source::Total(i) = Self::source_of(sys, n)
                && self.counts_here(sys, el, n)
            {
                self.add_to_counter(sys, el, n, now[i].wrapping_sub(given[i]));
            }
        }
    }

    /// Adds to a counter, with its overflow and the CHAIN events that follow (IncrementEventCounter).
    fn add_to_counter(&mut self, sys: &mut SysState, el: El, n: usize, by: u64) {
        if by == 0 {
            return;
        }
        if n == CYCLE {
            let (value, wrapped) = sys[Reg::PMCCNTR_EL0].overflowing_add(by);
            sys[Reg::PMCCNTR_EL0] = value;
            return self.overflowed(sys, n, wrapped);
        }
        let (counter, _) = event_regs(n);
        let old = sys[counter];
        let (sum, wrapped) = old.overflowing_add(by);
        let long = self.is_long(sys, n);
        let wraps = u64::from(wrapped) << 32 | sum >> 32;
        let wraps = if long { u64::from(wrapped) } else { wraps.wrapping_sub(old >> 32) };
        sys[counter] = if self.features.has(Feat::Pmuv3p5) { sum } else { sum & 0xffff_ffff };
        self.overflowed(sys, n, wraps != 0);
        let next = n + 1;
        if n.is_multiple_of(2)
            && !long
            && next < EVENT_COUNTERS
            && Self::source_of(sys, next) == Source::Chain
            && self.counts_here(sys, el, next)
        {
            self.add_to_counter(sys, el, next, wraps);
        }
    }

    fn overflowed(&mut self, sys: &mut SysState, n: usize, yes: bool) {
        if yes {
            sys[Reg::PMOVSSET_EL0] |= bit(n);
            self.drive(sys);
        }
    }

    /// Counts up to before the instruction that is being executed. True if a counter has overflowed that interrupts.
    fn finds_overflow(&mut self, sys: &mut SysState, el: El, accesses: u64) -> bool {
        if self.deadline.is_none() || self.level {
            return false;
        }
        let mut before = self.totals(accesses);
        // It is the last one that was counted, if one was since the last time.
        if before[event::INSTRUCTIONS] != self.given[event::INSTRUCTIONS] {
            before[event::INSTRUCTIONS] = before[event::INSTRUCTIONS].wrapping_sub(1);
        }
        self.give(sys, el, before);
        self.level
    }

    /// Drives the interrupt (CheckForPMUOverflow).
    fn drive(&mut self, sys: &SysState) {
        let pending = sys[Reg::PMOVSSET_EL0] & sys[Reg::PMINTENSET_EL1];
        let level = COUNTERS.into_iter().any(|n| pending & bit(n) != 0 && self.globally_enabled(sys, n));
        if level != self.level {
            self.level = level;
            self.port.set_ppi(ppi::PMU, level);
        }
    }

    /// Counts up to now, and sets the alarm for the next look. True if other code runs from now on.
    fn update(&mut self, sys: &mut SysState, el: El, accesses: u64) -> bool {
        self.sync(sys, el, accesses);
        let counting = COUNTERS.into_iter().any(|n| self.counter_enabled(sys, n));
        if !counting && !self.counting {
            self.drive(sys);
            return false;
        }
        if counting && !self.counting {
            self.given = self.totals(accesses);
        }
        self.counting = counting;
        let wanted = Source::Total(event::ACCESSES);
        let wanted =
            COUNTERS.into_iter().any(|n| self.counter_enabled(sys, n) && Self::source_of(sys, n) == wanted);
        let other_code = wanted != self.counts_accesses;
        self.counts_accesses = wanted;
        self.drive(sys);
        let wait = COUNTERS.into_iter().filter_map(|n| self.wait_for(sys, n)).min();
        let deadline = wait.map(|ns| self.clock.now_ns().saturating_add(ns.clamp(SKID_NS, LONGEST_LOOK_NS)));
        if deadline != self.deadline {
            self.deadline = deadline;
            match deadline {
                Some(ns) => self.alarm.set(ns),
                None => self.alarm.clear(),
            }
        }
        other_code
    }

    /// How long to wait, at most, before looking whether a counter has overflowed that then interrupts.
    fn wait_for(&self, sys: &SysState, n: usize) -> Option<u64> {
        let interrupts = sys[Reg::PMINTENSET_EL1] & !sys[Reg::PMOVSSET_EL0] & bit(n) != 0;
        if !interrupts || !self.counter_enabled(sys, n) {
            return None;
        }
        let mut left = self.until_overflow(sys, n);
        let mut source = Self::source_of(sys, n);
        if source == Source::Chain && n % 2 == 1 {
            let whole = left.saturating_sub(1).saturating_mul(1 << 32);
            left = whole.saturating_add(self.until_overflow(sys, n - 1));
            source = Self::source_of(sys, n - 1);
        }
        match source {
            Source::Total(event::CYCLES) => Some(left),
            // Nothing runs faster than two instructions per nanosecond.
            Source::Total(_) => Some(left / 2),
            _ => None,
        }
    }

    fn until_overflow(&self, sys: &SysState, n: usize) -> u64 {
        if n == CYCLE {
            return sys[Reg::PMCCNTR_EL0].wrapping_neg();
        }
        let value = sys[event_regs(n).0];
        if self.is_long(sys, n) { value.wrapping_neg() } else { (1 << 32) - (value & 0xffff_ffff) }
    }
}

impl Cpu {
    /// Gives the counters what has happened since the last time. Called before anything changes that decides which of
    /// them count.
    #[inline]
    pub fn sync_pmu(&mut self) {
        self.pmu.sync(&mut self.sys, self.pstate.el, self.regs.accesses);
    }

    /// Before a write that ends a block, where instructions are counted exactly: true if a counter has overflowed whose interrupt
    /// was not known yet. Then the interrupt comes first, for the write may be what takes it away: by the PMU's registers,
    /// MDCR_EL2, the GIC's or PSTATE's masks.
    #[inline]
    pub(crate) fn finds_overflow(&mut self) -> bool {
        self.pmu.finds_overflow(&mut self.sys, self.pstate.el, self.regs.accesses)
    }

    /// Counts up to now, and sets the alarm for the next look. Called after a change and when the doorbell was rung.
    pub fn update_pmu(&mut self) {
        let changed = self.pmu.update(&mut self.sys, self.pstate.el, self.regs.accesses);
        self.derived.note_change_if(changed);
    }

    /// Forgets what is not in the registers: after reset and when a snapshot was restored.
    pub(crate) fn restart_pmu(&mut self) {
        self.pmu.counting = false;
        self.update_pmu();
    }
}
