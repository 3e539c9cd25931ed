//! Values and their types.

use std::fmt::{self, Formatter};

use super::text::{Shown, Text, lower_case};

/// Bits of a vector register. What depends on that says so by this name, or by [`Vector`].
pub const VECTOR_BITS: u32 = Vector::BITS;

/// The contents of a vector register.
pub type Vector = u128;

/// A value: the number of the operation that makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u16);

impl Val {
    /// Stands for an operand that an operation does not have.
    pub const NONE: Self = Self(u16::MAX);
    /// True unless this is [`Val::NONE`].
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != u16::MAX
    }
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// No value.
    None,
    /// A truth value.
    I1,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// A vector register.
    V,
    /// N, Z, C, V.
    Flags,
}

impl Text for Ty {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::V => write!(f, "v{VECTOR_BITS}"),
            Self::None | Self::I1 | Self::I32 | Self::I64 | Self::Flags => f.write_str(&lower_case(self)),
        }
    }
    fn read(text: &str) -> Option<Self> {
        let types = [Self::I1, Self::I32, Self::I64, Self::V, Self::Flags];
        types.into_iter().find(|ty| Shown(*ty).to_string() == text)
    }
}
