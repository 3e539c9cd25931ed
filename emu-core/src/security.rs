//! Security states and physical address spaces (Arm ARM, D1.2 and D7.2).

use std::fmt;

/// A Security state, or the physical address space that has its name. Which of them a PE in a state can reach is the
/// architecture's rule: each state its own space and the Non-secure one, Root all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
#[repr(u8)]
pub enum Security {
    /// Non-secure: the only one of a machine without EL3.
    #[default]
    NonSecure = 0,
    /// Secure.
    Secure = 1,
    /// Realm (FEAT_RME).
    Realm = 2,
    /// Root (FEAT_RME).
    Root = 3,
}

impl Security {
    /// The one with this number, of which two bits count.
    #[must_use]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::NonSecure,
            1 => Self::Secure,
            2 => Self::Realm,
            _ => Self::Root,
        }
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonSecure => "Non-secure",
            Self::Secure => "Secure",
            Self::Realm => "Realm",
            Self::Root => "Root",
        })
    }
}
