//! What keeps an instruction from being completed.

use super::Exception;
use crate::mem::watch::WatchHit;

/// Why an instruction was given up. Only the first case is something that the guest sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It raises an exception.
    Exception(Exception),
    /// It would make an access that the debugger watches. It has not made it.
    Watchpoint(WatchHit),
    /// It cannot be taken back, and is yet to be done for good: what it does is being recorded, to be done again
    /// ([`crate::mem::journal`]). It has done nothing.
    NotReplayable,
    /// An interrupt that came before it is known only now. It has done nothing, and is executed again when interrupts
    /// have been looked at.
    Interrupted,
}

impl From<Exception> for Stop {
    fn from(e: Exception) -> Self {
        Self::Exception(e)
    }
}
