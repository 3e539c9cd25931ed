//! What was asked of a PE and is not done yet. It is part of its state.

/// See the module's head.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Requests {
    serror: Option<u32>,
    standby: bool,
}

impl Requests {
    /// These.
    pub(crate) fn new(serror: Option<u32>, standby: bool) -> Self {
        Self { serror, standby }
    }

    /// The ISS that a physical SError would report which is pending.
    pub(crate) fn serror(&self) -> Option<u32> {
        self.serror
    }

    /// The physical SError is taken or deferred.
    pub(crate) fn take_serror(&mut self) -> Option<u32> {
        self.serror.take()
    }

    /// PSCI CPU_SUSPEND asked for a sleep as by WFI.
    pub(crate) fn standby(&self) -> bool {
        self.standby
    }

    pub(crate) fn ask_for_standby(&mut self) {
        self.standby = true;
    }

    /// True if the PE was to sleep: now it does, or has no time to.
    pub fn take_standby(&mut self) -> bool {
        std::mem::take(&mut self.standby)
    }
}
