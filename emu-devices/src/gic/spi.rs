//! Shared peripheral interrupts: their state, where they are routed, and the best of them for each PE.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::bank::{Bank, Groups};
use super::regs::IROUTER;
use super::{Best, Gicv3, flag};

/// GICD_IROUTER.Interrupt_Routing_Mode: any participating PE (1 of N).
const IRM: u64 = 1 << 31;

/// Where GICD_IROUTER points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    /// One PE.
    Pe(usize),
    /// Any participating PE.
    Any,
    /// An affinity that no PE has: the interrupt stays pending in the distributor.
    Nobody,
}

/// What a snapshot holds of the SPIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SpiState {
    pub(super) bank: Bank,
    /// GICD_IROUTER per SPI.
    pub(super) router: Vec<u64>,
}

/// All SPIs.
pub(super) struct Spis {
    pub(super) state: SpiState,
    /// Decoded `router`.
    target: Vec<Target>,
    /// By packed affinity.
    pes: HashMap<u32, usize>,
    /// The last selection, per PE.
    best: Vec<Best>,
}

impl Spis {
    pub(super) fn new(count: u32, pes: &HashMap<u32, usize>) -> Self {
        let bank = Bank::new(32, count, 0);
        let mut spis = Self {
            state: SpiState { bank, router: vec![0; count as usize] },
            target: Vec::new(),
            pes: pes.clone(),
            best: vec![Best::NONE; pes.len()],
        };
        spis.decode_all();
        spis
    }

    pub(super) fn reset(&mut self) {
        self.state.bank.reset();
        self.state.router.fill(0);
        self.decode_all();
    }

    /// True if a saved state is one of a GIC like this.
    pub(super) fn fits(&self, state: &SpiState) -> bool {
        let possible = state.router.iter().all(|r| r & !IROUTER == 0);
        self.state.bank.same_shape(&state.bank) && self.state.router.len() == state.router.len() && possible
    }

    /// Takes a saved state that fits.
    pub(super) fn restore(&mut self, state: SpiState) {
        self.state = state;
        self.decode_all();
    }

    fn decode(&self, router: u64) -> Target {
        if router & IRM != 0 {
            return Target::Any;
        }
        self.pes.get(&super::pack_affinity(router)).map_or(Target::Nobody, |&pe| Target::Pe(pe))
    }

    fn decode_all(&mut self) {
        self.target = self.state.router.iter().map(|&r| self.decode(r)).collect();
    }

    /// GICD_IROUTER of the n-th SPI.
    pub(super) fn router(&self, n: usize) -> Option<u64> {
        self.state.router.get(n).copied()
    }

    /// Writes GICD_IROUTER of the n-th SPI.
    pub(super) fn set_router(&mut self, n: usize, value: u64) {
        if n < self.target.len() {
            self.state.router[n] = value;
            self.target[n] = self.decode(value);
        }
    }

    /// Finds the best SPI of every PE.
    pub(super) fn select(&mut self, gic: &Gicv3) {
        self.best.fill(Best::NONE);
        let ctlr = gic.ctlr.load(std::sync::atomic::Ordering::SeqCst);
        let groups = Groups { g0: ctlr & flag::G0 != 0, g1: ctlr & flag::G1 != 0 };
        let (target, best) = (&self.target, &mut self.best);
        self.state.bank.for_each_ready(groups, |p| {
            let n = p.intid as usize - 32;
            let pe = match target[n] {
                Target::Pe(pe) if gic.groups(&gic.pes[pe]).has(p.group) => pe,
                // The choice depends on the INTID only, so it stays while the same PEs take part.
                Target::Any => {
                    let willing = || (0..gic.pes.len()).filter(|&i| gic.takes_one_of_n(&gic.pes[i], p.group));
                    match willing().count() {
                        0 => return,
                        count => willing().nth(n % count).unwrap_or(0),
                    }
                }
                _ => return,
            };
            best[pe] = best[pe].min(Best::of(Some(p)));
        });
    }

    /// What the last selection found for a PE.
    pub(super) fn best(&self, pe: usize) -> Best {
        self.best[pe]
    }

    /// True if `intid` may be signalled to `pe` now.
    pub(super) fn is_for(&self, intid: u32, pe: usize) -> bool {
        let n = (intid as usize).wrapping_sub(32);
        match self.target.get(n) {
            Some(Target::Pe(t)) => *t == pe,
            // Only what was chosen for this PE: another one may be about to take it.
            Some(Target::Any) => self.best[pe].get().is_some_and(|p| p.intid == intid),
            _ => false,
        }
    }
}
