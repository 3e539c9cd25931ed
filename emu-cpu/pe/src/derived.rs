//! What is found again of registers and PSTATE when they change, because it is asked all the time.

use std::mem::offset_of;

use crate::sysreg::Permits;

/// See the module's head. It is no state: a snapshot has nothing of it.
pub struct Derived {
    hcr: u64,
    fp_enabled: bool,
    mops_enabled: bool,
    permits: Permits,
    context_changed: bool,
    has_masked_pending_event: bool,
}

impl Derived {
    pub(crate) const HCR: usize = offset_of!(Self, hcr);
    pub(crate) const PERMITS: usize = offset_of!(Self, permits);
    pub(crate) const CONTEXT_CHANGED: usize = offset_of!(Self, context_changed);
    pub(crate) const HAS_MASKED_PENDING_EVENT: usize = offset_of!(Self, has_masked_pending_event);

    /// Nothing has been found yet.
    pub(crate) fn new() -> Self {
        Self {
            hcr: 0,
            fp_enabled: false,
            mops_enabled: false,
            permits: Permits::default(),
            context_changed: true,
            has_masked_pending_event: true,
        }
    }

    /// The effective value of HCR_EL2.
    #[inline]
    #[must_use]
    pub const fn hcr(&self) -> u64 {
        self.hcr
    }

    pub(crate) fn set_hcr(&mut self, effective: u64) {
        self.hcr = effective;
    }

    /// SIMD&FP registers may be used at the current Exception level.
    #[inline]
    #[must_use]
    pub const fn fp_enabled(&self) -> bool {
        self.fp_enabled
    }

    /// The instructions of FEAT_MOPS may be executed at the current Exception level.
    #[inline]
    #[must_use]
    pub const fn mops_enabled(&self) -> bool {
        self.mops_enabled
    }

    pub(crate) fn set_enabled(&mut self, fp: bool, mops: bool) {
        (self.fp_enabled, self.mops_enabled) = (fp, mops);
    }

    /// What needs no check in the context that was selected last.
    #[must_use]
    pub const fn permits(&self) -> &Permits {
        &self.permits
    }

    /// The context is selected, and this needs no check in it.
    pub(crate) fn context_is_selected(&mut self, permits: Permits) {
        self.permits = permits;
        self.context_changed = false;
    }

    /// Something has changed that translation, [`crate::cpu::Cpu::mode`] or the choice of interrupts depends on: Exception level,
    /// PSTATE, control registers. It is looked at before the next block.
    #[inline]
    pub fn note_change(&mut self) {
        self.context_changed = true;
    }

    /// As [`Derived::note_change`], if something has.
    #[inline]
    pub(crate) fn note_change_if(&mut self, changed: bool) {
        self.context_changed |= changed;
    }

    /// An interrupt or a debug exception is pending that PSTATE masks now, so that clearing a mask must be followed by a poll.
    /// Whatever makes it true later rings the doorbell or notes a change.
    pub(crate) fn set_masked_pending_event(&mut self, there_is: bool) {
        self.has_masked_pending_event = there_is;
    }

    /// True if the run loop can go on without polling after an instruction that may have changed PSTATE's masks, translation
    /// or the choice of interrupts: it has changed none of them, or nothing waits for the change.
    #[inline]
    #[must_use]
    pub const fn needs_no_poll(&self) -> bool {
        !self.context_changed && !self.has_masked_pending_event
    }
}
