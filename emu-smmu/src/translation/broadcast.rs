//! Whether TLB maintenance that CPUs broadcast concerns an SMMU. CPUs ask at every such instruction, and most of the time the
//! answer is no: software does not want it, or nothing has been translated yet.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;

/// What the answer follows from.
#[derive(Default)]
struct Reasons {
    wanted: bool,
    translates: bool,
    /// Something may have been translated since nothing was known.
    used: bool,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Broadcast {
    reasons: Mutex<Reasons>,
    concerns: AtomicBool,
}

impl Broadcast {
    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.reasons.lock();
        change(&mut reasons);
        self.concerns.store(reasons.wanted && reasons.used, SeqCst);
    }

    /// It is wanted, and transactions may be translated from now on.
    pub(super) fn set(&self, wanted: bool, translates: bool) {
        self.change(|r| {
            let used = r.used || translates;
            *r = Reasons { wanted, translates, used };
        });
    }

    /// Nothing is known any more.
    pub(super) fn forgotten(&self) {
        self.change(|r| r.used = r.translates);
    }

    #[inline]
    pub(super) fn concerns(&self) -> bool {
        self.concerns.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_concerns_who_wants_it_and_may_have_translated() {
        let broadcast = Broadcast::default();
        let after = |wanted, translates| {
            broadcast.set(wanted, translates);
            broadcast.concerns()
        };
        assert!(!after(true, false), "nothing was translated");
        assert!(after(true, true) && after(true, false), "what was translated is still known");
        assert!(!after(false, true));
        assert!(after(true, true));
        broadcast.forgotten();
        assert!(broadcast.concerns(), "it goes on translating, as after a restore");
        broadcast.set(true, false);
        broadcast.forgotten();
        assert!(!broadcast.concerns());
    }
}
