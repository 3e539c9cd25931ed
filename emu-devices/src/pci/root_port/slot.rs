//! A slot that can be filled and emptied while the machine runs (PCIe 6.0, 6.7).

use serde::{Deserialize, Serialize};

use super::capability::reg;

/// What of a slot is not in its registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Something is in it.
    pub(super) occupied: bool,
    /// Software was asked to let go of that.
    pub(super) asked: bool,
    /// The condition of the interrupt is true: a message is sent when it becomes so.
    pub(super) asserted: bool,
}

/// Whether the registers ask for an interrupt: some event and its enable, and the enable of all (6.7.3.4).
pub(super) fn interrupt(control: u16, status: u16) -> bool {
    let link = control & reg::LINK_CHANGED_ENABLE != 0 && status & reg::LINK_CHANGED != 0;
    let events = control & status & reg::EVENTS != 0;
    control & reg::INTERRUPT_ENABLE != 0 && (link || events)
}
