//! Typed addresses. A virtual address never becomes a physical one but through a translation.

use std::fmt;

use crate::security::Security;

/// Bytes in the smallest page that any part of the machine tracks.
pub const PAGE_SIZE: u64 = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `bytes` further on; wraps at 2^64 as the architecture's arithmetic does.
            #[must_use]
            pub const fn offset(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }
            /// The start of the 4 KiB page that holds this address.
            #[must_use]
            pub const fn page_base(self) -> Self {
                Self(self.0 & !(PAGE_SIZE - 1))
            }
            /// The number of the 4 KiB page that holds this address.
            #[must_use]
            pub const fn page_number(self) -> u64 {
                self.0 >> PAGE_SHIFT
            }
            /// The offset inside the 4 KiB page, in bytes.
            #[must_use]
            pub const fn page_offset(self) -> u64 {
                self.0 & (PAGE_SIZE - 1)
            }
            /// True if the address is a multiple of `align`, which is a power of two.
            #[must_use]
            pub const fn is_aligned(self, align: u64) -> bool {
                self.0 & (align - 1) == 0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

address!(
    /// A virtual address: what a program uses, before stage 1.
    Va
);
address!(
    /// An intermediate physical address: between stage 1 and stage 2.
    Ipa
);
address!(
    /// A physical address: what the bus decodes. The number is the address within a physical address space, with the space
    /// in the two bits above the largest address of all; the Non-secure space has zeroes there. So the same address in two
    /// spaces is two addresses to whatever compares, keeps or maps them.
    Pa
);

impl fmt::Display for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Ipa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Pa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space() {
            Security::NonSecure => write!(f, "{:#x}", self.0),
            space => write!(f, "{space}:{:#x}", self.0 & !(3 << SPACE_SHIFT)),
        }
    }
}

/// log2 of the largest physical address space of the architecture, plus one byte (FEAT_D128).
const PA_BITS: u32 = 56;
/// Where the number of the space is in a [`Pa`].
const SPACE_SHIFT: u32 = 62;

impl Pa {
    /// An address that somebody gives, in `space`. `None` if it is beyond what an implementation can have.
    #[must_use]
    pub const fn new(address: u64, space: Security) -> Option<Self> {
        if address >> PA_BITS == 0 { Some(Self(address).in_space(space)) } else { None }
    }

    /// The same address in another space.
    #[must_use]
    pub const fn in_space(self, space: Security) -> Self {
        Self(self.0 & !(3 << SPACE_SHIFT) | (space as u64) << SPACE_SHIFT)
    }

    /// The space that the address is in.
    #[must_use]
    pub const fn space(self) -> Security {
        Security::from_bits(self.0 >> SPACE_SHIFT)
    }
}

/// The size of one access on the bus.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Size {
    /// One byte.
    B1 = 0,
    /// A halfword.
    B2 = 1,
    /// A word.
    B4 = 2,
    /// A doubleword.
    B8 = 3,
}

impl Size {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self as u32
    }
    /// The value bits that an access of this size carries.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
    /// The size of `n` bytes, if there is such an access.
    #[must_use]
    pub const fn from_bytes(n: u64) -> Option<Self> {
        Some(match n {
            1 => Self::B1,
            2 => Self::B2,
            4 => Self::B4,
            8 => Self::B8,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_offsets() {
        let a = Pa(0x4000_1234);
        assert_eq!(a.page_base(), Pa(0x4000_1000));
        assert_eq!(a.page_offset(), 0x234);
        assert_eq!(a.page_number(), 0x40001);
        assert!(!a.is_aligned(8) && a.is_aligned(4));
        assert_eq!(Va(u64::MAX).offset(1), Va(0));
    }

    #[test]
    fn spaces() {
        use Security::{NonSecure, Realm, Root, Secure};
        assert_eq!(Pa(0x1000).space(), NonSecure);
        for space in [NonSecure, Secure, Realm, Root] {
            let there = Pa(0x1000).in_space(space);
            assert_eq!((there.space(), there.page_offset(), there.offset(8).space()), (space, 0, space));
            assert_eq!(there == Pa(0x1000), space == NonSecure);
            assert_eq!(there.in_space(NonSecure), Pa(0x1000));
            assert_eq!(Pa::new(0x1000, space), Some(there));
            assert_eq!((Pa::new(1 << 56, space), Pa::new(u64::MAX, space)), (None, None));
        }
        assert_eq!(format!("{} {:?}", Pa(16), Pa(16).in_space(Secure)), "0x10 Pa(Secure:0x10)");
    }

    #[test]
    fn sizes() {
        assert_eq!(Size::B8.mask(), u64::MAX);
        assert_eq!(Size::B2.mask(), 0xffff);
        assert_eq!(Size::from_bytes(4), Some(Size::B4));
        assert_eq!(Size::from_bytes(3), None);
    }
}
