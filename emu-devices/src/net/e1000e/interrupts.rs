//! Causes, masks, and how software is told (82574 datasheet, 7.4).

use super::registers::{at, statistic};
use super::state::{Moderation, State, VECTORS};
use super::{Shared, control_ext};

/// Bits of ICR, ICS, IMS and IMC.
pub(super) mod cause {
    pub(in super::super) const TXDW: u32 = 1;
    pub(in super::super) const TXQE: u32 = 1 << 1;
    pub(in super::super) const LSC: u32 = 1 << 2;
    pub(in super::super) const RXDMT0: u32 = 1 << 4;
    pub(in super::super) const RXO: u32 = 1 << 6;
    pub(in super::super) const RXT0: u32 = 1 << 7;
    pub(in super::super) const MDAC: u32 = 1 << 9;
    pub(in super::super) const RXQ0: u32 = 1 << 20;
    pub(in super::super) const TXQ0: u32 = 1 << 22;
    pub(in super::super) const OTHER: u32 = 1 << 24;
    /// Some cause is not masked.
    pub(in super::super) const ASSERTED: u32 = 1 << 31;
    /// Those that have a field in IVAR.
    pub(in super::super) const ALLOCATED: u32 = 0x01f0_0000;
}

/// The first cause that has a field in IVAR.
const FIRST: u32 = 20;
/// Nanoseconds of the moderation's unit.
const UNIT: u64 = 256;

/// The vector of the cause of the n-th field of IVAR, if it has one.
fn vector(ivar: u32, field: u32) -> Option<usize> {
    let allocation = ivar >> (4 * field);
    let vector = (allocation & 7) as usize;
    (allocation & 8 != 0 && vector < VECTORS).then_some(vector)
}

impl State {
    /// The causes that software wants to know of.
    pub(super) fn asserted(&self) -> u32 {
        self.get(at::ICR) & self.get(at::IMS) & !cause::ASSERTED
    }

    /// What ICR reads as.
    pub(super) fn causes(&self) -> u32 {
        let asserted = if self.asserted() != 0 { cause::ASSERTED } else { 0 };
        self.get(at::ICR) & !cause::ASSERTED | asserted
    }

    /// Masks what IAM says, if that is to be done by itself when ICR is read or written.
    fn mask_by_itself(&mut self) {
        if self.has(at::CTRL_EXT, control_ext::IAME) {
            self.set(at::IMS, self.get(at::IMS) & !self.get(at::IAM));
        }
    }
}

impl Shared {
    /// These things have happened.
    pub(super) fn raise(&self, state: &mut State, causes: u32) {
        state.set(at::ICR, state.get(at::ICR) | causes & !cause::ASSERTED);
        self.deliver(state, causes);
    }

    /// Tells of those of `causes` that are there and not masked.
    pub(super) fn deliver(&self, state: &mut State, causes: u32) {
        let mut live = causes & state.asserted();
        if self.core.msix().is_none_or(|m| !m.enabled()) {
            if live != 0 {
                self.moderate(state, 0, live);
            }
            return self.update_pin(state);
        }
        if live & !cause::ALLOCATED != 0 {
            state.set(at::ICR, state.get(at::ICR) | cause::OTHER);
            live |= cause::OTHER & state.get(at::IMS);
        }
        let ivar = state.get(at::IVAR);
        for (field, one) in (0..5).map(|field| (field, 1u32 << (FIRST + field))) {
            if let Some(vector) = vector(ivar, field).filter(|_| live & one != 0) {
                self.moderate(state, vector, one);
            }
        }
    }

    /// Sends a message, or asserts the pin, if it is not too early for that.
    fn moderate(&self, state: &mut State, vector: usize, causes: u32) {
        let msix = self.core.msix().is_some_and(|m| m.enabled());
        let interval = if msix { state.get(at::EITR + 4 * vector as u32) } else { state.get(at::ITR) };
        let Some(moderation) = state.moderation.get_mut(vector) else { return };
        let now = self.clock.now_ns();
        moderation.waiting |= causes;
        if now >= moderation.open_at {
            moderation.open_at = now + u64::from(interval) * UNIT;
            let causes = std::mem::take(&mut moderation.waiting);
            self.send(state, vector, causes, msix);
        }
    }

    fn send(&self, state: &mut State, vector: usize, causes: u32, msix: bool) {
        state.count(statistic::IAC, 1);
        if msix {
            // Those that clear and mask themselves do so when the message goes.
            state.set(at::ICR, state.get(at::ICR) & !(causes & state.get(at::EIAC)));
            if state.has(at::CTRL_EXT, control_ext::EIAME) {
                state.set(at::IMS, state.get(at::IMS) & !(causes & state.get(at::IAM)));
            }
            self.core.raise_msix(vector as u16);
        } else if self.core.msi_enabled() {
            self.core.raise_msi();
        } else {
            state.pin = true;
        }
    }

    /// The pin follows what there is to tell.
    pub(super) fn update_pin(&self, state: &mut State) {
        state.pin &= state.asserted() != 0;
        self.core.set_intx(state.pin);
    }

    /// The time has come for what was too early. Gives the next such time.
    pub(super) fn expire(&self, state: &mut State) -> Option<u64> {
        let now = self.clock.now_ns();
        for vector in 0..VECTORS {
            let Moderation { waiting, open_at } = state.moderation[vector];
            if waiting != 0 && now >= open_at {
                state.moderation[vector].waiting = 0;
                self.deliver(state, waiting);
            }
        }
        let waiting = state.moderation.iter().filter(|m| m.waiting != 0);
        waiting.map(|m| m.open_at).min()
    }

    /// Reads ICR, with what that does: nothing if software has something unmasked and that has not happened.
    pub(super) fn read_causes(&self, state: &mut State) -> u32 {
        let causes = state.causes();
        if causes & cause::ASSERTED != 0 || state.get(at::IMS) == 0 {
            if causes & cause::ASSERTED != 0 {
                state.mask_by_itself();
            }
            state.set(at::ICR, 0);
            self.update_pin(state);
        }
        causes
    }

    /// Clears causes by a write of ICR.
    pub(super) fn clear_causes(&self, state: &mut State, causes: u32) {
        if state.causes() & cause::ASSERTED != 0 {
            state.mask_by_itself();
        }
        state.set(at::ICR, state.get(at::ICR) & !causes);
        self.update_pin(state);
    }

    /// Unmasks causes; those that have happened are told of.
    pub(super) fn unmask(&self, state: &mut State, causes: u32) {
        state.set(at::IMS, state.get(at::IMS) | causes);
        self.deliver(state, causes);
    }

    /// Masks causes.
    pub(super) fn mask(&self, state: &mut State, causes: u32) {
        state.set(at::IMS, state.get(at::IMS) & !causes);
        self.update_pin(state);
    }
}
