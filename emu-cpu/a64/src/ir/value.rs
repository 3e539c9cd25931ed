//! Values and their types.

use super::text::words;

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

words! {
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
        /// 128 bits.
        V128,
        /// N, Z, C, V.
        Flags,
    }
}
