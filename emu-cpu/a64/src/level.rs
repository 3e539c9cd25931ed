//! Exception levels, and which of them an implementation has (Arm ARM, D1.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An Exception level: the higher, the more privileged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum El {
    /// Applications.
    #[default]
    El0 = 0,
    /// Operating systems.
    El1 = 1,
    /// Hypervisors, and operating systems with FEAT_VHE.
    El2 = 2,
    /// The secure monitor. No PE has it so far.
    El3 = 3,
}

impl El {
    /// How many there are in the architecture.
    pub const COUNT: usize = 4;
    /// All of them, the lowest first.
    pub const ALL: [Self; Self::COUNT] = [Self::El0, Self::El1, Self::El2, Self::El3];

    /// The level in bits 3:2 of CurrentEL and of SPSR_ELx.M.
    #[must_use]
    pub const fn from_bits(value: u64) -> Self {
        match value >> 2 & 3 {
            0 => Self::El0,
            1 => Self::El1,
            2 => Self::El2,
            _ => Self::El3,
        }
    }

    /// Where [`El::from_bits`] finds it.
    #[must_use]
    pub const fn bits(self) -> u64 {
        (self as u64) << 2
    }

    /// All levels but that of applications.
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        !matches!(self, Self::El0)
    }
}

impl fmt::Display for El {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EL{}", *self as u8)
    }
}

impl From<El> for u8 {
    fn from(el: El) -> Self {
        el as Self
    }
}

/// A number that is no Exception level's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no EL{0}")]
pub struct NoSuchLevel(u8);

impl TryFrom<u8> for El {
    type Error = NoSuchLevel;
    fn try_from(number: u8) -> Result<Self, NoSuchLevel> {
        if usize::from(number) < Self::COUNT {
            Ok(Self::from_bits(u64::from(number) << 2))
        } else {
            Err(NoSuchLevel(number))
        }
    }
}

/// The Exception levels that a PE implements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub struct Levels(u8);

impl Levels {
    /// EL0 and EL1, which every PE has.
    pub const BASE: Self = Self(1 << El::El0 as u8 | 1 << El::El1 as u8);

    /// These, and `el`.
    #[must_use]
    pub const fn with(self, el: El) -> Self {
        Self(self.0 | 1 << el as u8)
    }

    /// The PE has `el` (pseudocode function HaveEL).
    #[must_use]
    pub const fn contains(self, el: El) -> bool {
        self.0 >> el as u8 & 1 != 0
    }

    /// The one that a PE is in after reset.
    #[must_use]
    pub const fn highest(self) -> El {
        El::from_bits((self.0.ilog2() as u64) << 2)
    }
}

impl From<Levels> for u8 {
    fn from(levels: Levels) -> Self {
        levels.0
    }
}

/// A set of Exception levels that no PE has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no PE has the Exception levels {0:#06b}")]
pub struct NoSuchLevels(u8);

impl TryFrom<u8> for Levels {
    type Error = NoSuchLevels;
    fn try_from(bits: u8) -> Result<Self, NoSuchLevels> {
        let has_base = bits & Self::BASE.0 == Self::BASE.0;
        if has_base && bits >> El::COUNT == 0 { Ok(Self(bits)) } else { Err(NoSuchLevels(bits)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bits() {
        for (n, el) in El::ALL.into_iter().enumerate() {
            assert_eq!((El::try_from(n as u8).unwrap(), El::from_bits(el.bits() | 0x3c1)), (el, el));
            assert_eq!((u8::from(el), el.to_string()), (n as u8, format!("EL{n}")));
        }
        assert_eq!(El::try_from(4).unwrap_err().to_string(), "there is no EL4");
        assert!(El::ALL.is_sorted());
    }

    #[test]
    fn sets() {
        let has = |levels: Levels| El::ALL.map(|el| levels.contains(el));
        assert_eq!((has(Levels::BASE), Levels::BASE.highest()), ([true, true, false, false], El::El1));
        let two = Levels::BASE.with(El::El2);
        assert_eq!((has(two), two.highest()), ([true, true, true, false], El::El2));
        assert_eq!(Levels::try_from(u8::from(two)), Ok(two));
        for none in [0, 0b0110, 0b1_0011] {
            assert_eq!(Levels::try_from(none), Err(NoSuchLevels(none)));
        }
    }
}
