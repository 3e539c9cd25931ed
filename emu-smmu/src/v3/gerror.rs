//! Global errors (Arm IHI 0070, 7.5, 6.3.19 and 6.3.20).

use serde::{Deserialize, Serialize};

/// A global error, by the number of its bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Error {
    /// CMDQ_ERR: a command cannot be executed.
    Cmdq = 0,
    /// EVENTQ_ABT_ERR: the event queue cannot be written.
    EventqAbort = 2,
    /// PRIQ_ABT_ERR: the PRI queue cannot be written.
    PriqAbort = 3,
    /// MSI_CMDQ_ABT_ERR: the MSI of a CMD_SYNC was aborted.
    MsiCmdqAbort = 4,
    /// MSI_EVENTQ_ABT_ERR: that of the event queue.
    MsiEventqAbort = 5,
    /// MSI_PRIQ_ABT_ERR: that of the PRI queue.
    MsiPriqAbort = 6,
    /// MSI_GERROR_ABT_ERR: that of global errors.
    MsiGerrorAbort = 7,
}

/// The bits that there are; SFM_ERR is one of them, and is never activated.
pub(super) const ERRORS: u64 = 0x1fd;
/// Those of the PRI queue.
pub(super) const PRIQ_ERRORS: u32 = 1 << Error::PriqAbort as u32 | 1 << Error::MsiPriqAbort as u32;

/// SMMU_GERROR and SMMU_GERRORN: an error is active while its bits differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gerror {
    pub(super) gerror: u32,
    pub(super) gerrorn: u32,
}

impl Gerror {
    /// The error is there, and software has not acknowledged it yet.
    pub(super) fn is_active(&self, error: Error) -> bool {
        (self.gerror ^ self.gerrorn) >> error as u32 & 1 != 0
    }

    /// Activates an error. True if software is to be told: it is not if the error was active already, and not of an MSI
    /// that says that there is an error.
    pub(super) fn activate(&mut self, error: Error) -> bool {
        let new = !self.is_active(error);
        if new {
            self.gerror ^= 1 << error as u32;
        }
        new && error != Error::MsiGerrorAbort
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_active_until_it_is_acknowledged() {
        let mut g = Gerror::default();
        assert!(g.activate(Error::EventqAbort));
        assert_eq!((g.gerror, g.is_active(Error::EventqAbort)), (4, true));
        assert!(!g.activate(Error::EventqAbort), "not told twice");
        assert_eq!(g.gerror, 4, "and not toggled back");
        g.gerrorn = 4;
        assert!(!g.is_active(Error::EventqAbort));
        assert!(g.activate(Error::EventqAbort));
        assert_eq!(g.gerror, 0, "the second time is the other way round");
        assert!(g.is_active(Error::EventqAbort));
    }

    #[test]
    fn the_abort_of_the_message_of_an_error_sends_no_message() {
        let mut g = Gerror::default();
        assert!(!g.activate(Error::MsiGerrorAbort));
        assert_eq!(g.gerror, 1 << 7);
    }
}
