//! The life of the GIC: reset, save, restore.

use std::sync::atomic::Ordering::SeqCst;

use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use serde::{Deserialize, Serialize};

use super::bank::Bank;
use super::its::ItsState;
use super::lpi::Lpis;
use super::regs::gicd_ctlr;
use super::spi::SpiState;
use super::{Gicv3, flag};

const NAME: &str = "gicv3";

/// One redistributor.
#[derive(Serialize, Deserialize)]
struct PeState {
    affinity: u32,
    flags: u32,
    private: Bank,
    lpis: Lpis,
}

/// All of it.
#[derive(Serialize, Deserialize)]
struct State {
    ctlr: u32,
    spis: SpiState,
    pes: Vec<PeState>,
    its: Option<ItsState>,
}

impl SavedState for State {
    const KIND: &'static str = "gicv3";
    const VERSION: u32 = 1;
}

impl Gicv3 {
    pub(super) fn reset_state(&self) {
        self.ctlr.store(0, SeqCst);
        if let Some(its) = &self.its {
            its.lock().reset();
        }
        for (n, pe) in self.pes.iter().enumerate() {
            pe.flags.store(flag::ASLEEP, SeqCst);
            self.with_private(n, Bank::reset);
            self.with_lpis(n, |l| *l = Lpis::default());
        }
        self.with_spis(super::spi::Spis::reset);
    }

    fn snapshot(&self) -> State {
        let pe = |pe: &super::Pe| PeState {
            affinity: pe.affinity,
            flags: pe.flags.load(SeqCst),
            private: pe.private.lock().clone(),
            lpis: pe.lpis.lock().clone(),
        };
        State {
            ctlr: self.ctlr.load(SeqCst),
            spis: self.spis.lock().state.clone(),
            pes: self.pes.iter().map(pe).collect(),
            its: self.its.as_ref().map(|i| i.lock().state.clone()),
        }
    }

    /// What does not fit, if the state is one of a GIC that is configured otherwise.
    fn misfit(&self, state: &State) -> Option<&'static str> {
        let banks = || self.pes.iter().zip(&state.pes).all(|(p, s)| p.private.lock().same_shape(&s.private));
        let same = || self.pes.iter().zip(&state.pes).all(|(p, s)| p.affinity == s.affinity);
        if self.pes.len() != state.pes.len() || !same() {
            Some("it has other CPUs")
        } else if !banks() {
            Some("a bank of private interrupts is malformed")
        } else if !self.spis.lock().fits(&state.spis) {
            Some("it has another number of SPIs")
        } else if !state.pes.iter().all(|p| p.lpis.is_consistent() && p.flags & !flag::ALL == 0) {
            Some("a redistributor is in a state that there is not")
        } else if u64::from(state.ctlr) & !gicd_ctlr::WRITABLE != 0 {
            Some("GICD_CTLR has bits that there are not")
        } else if state.its.as_ref().is_some_and(|its| !its.is_possible()) {
            Some("the ITS is in a state that there is not")
        } else if self.its.is_some() != state.its.is_some() {
            Some("only one of the two has an ITS")
        } else {
            None
        }
    }
}

impl Component for Gicv3 {
    fn name(&self) -> &str {
        NAME
    }

    fn reset(&self) {
        self.reset_state();
    }

    fn save(&self) -> Payload {
        Payload::new(NAME, &self.snapshot())
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        match self.misfit(&state) {
            Some(why) => Err(saved.unfit(why)),
            None => Ok(Restore::new(move || self.take(state))),
        }
    }
}

impl Gicv3 {
    /// Goes into a state that fits.
    fn take(&self, state: State) {
        self.with_spis(|s| s.restore(state.spis));
        self.ctlr.store(state.ctlr, SeqCst);
        if let (Some(its), Some(s)) = (&self.its, state.its) {
            its.lock().restore(s);
        }
        for (n, s) in state.pes.into_iter().enumerate() {
            self.pes[n].flags.store(s.flags, SeqCst);
            self.with_private(n, |b| *b = s.private);
            self.with_lpis(n, |l| *l = s.lpis);
        }
        self.with_spis(|_| ());
    }
}
