//! Guest memory by its host address: the only way in which code here loads and stores.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Host memory that may be read, checked for the whole access.
#[derive(Clone, Copy)]
pub(super) struct HostPtr(*const u8);

/// Host memory that may be written, too: directly, by a write tag, or inside [`emu_core::page::Place::write`].
#[derive(Clone, Copy)]
pub(super) struct HostMut(HostPtr);

impl std::ops::Deref for HostMut {
    type Target = HostPtr;
    #[inline(always)]
    fn deref(&self) -> &HostPtr {
        &self.0
    }
}

macro_rules! word {
    ($load:ident, $store:ident, $ty:ty, $atomic:ty) => {
        impl HostPtr {
            /// Loads a little-endian value; atomic if aligned, or as FEAT_LSE2 asks ([`super::wide`]).
            #[inline(always)]
            pub(super) fn $load(self) -> $ty {
                if self.0 as usize % size_of::<$ty>() == 0 {
                    // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                    <$ty>::from_le(unsafe { <$atomic>::from_ptr(self.0.cast_mut().cast()) }.load(Relaxed))
                } else {
                    self.unaligned_load(size_of::<$ty>()) as $ty
                }
            }
        }

        impl HostMut {
            /// Stores a little-endian value; atomic if aligned, or as FEAT_LSE2 asks.
            #[inline(always)]
            pub(super) fn $store(self, value: $ty) {
                if self.raw() as usize % size_of::<$ty>() == 0 {
                    // SAFETY: points to guest RAM that holds the whole value, aligned; guest RAM is accessed by atomics.
                    unsafe { <$atomic>::from_ptr(self.raw().cast()) }.store(value.to_le(), Relaxed);
                } else {
                    self.unaligned_store(size_of::<$ty>(), value as u64);
                }
            }
        }
    };
}

word!(load_u16, store_u16, u16, AtomicU16);
word!(load_u32, store_u32, u32, AtomicU32);
word!(load_u64, store_u64, u64, AtomicU64);

impl HostPtr {
    /// From the address of guest memory that holds the whole access.
    #[must_use]
    pub(super) fn new(p: *const u8) -> Self {
        Self(p)
    }

    /// The address.
    pub(super) fn raw(self) -> *const u8 {
        self.0
    }

    /// Loads `bytes` (2, 4 or 8), zero-extended: one access of the host, which atomics of Rust cannot make unaligned.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn unaligned_load(self, bytes: usize) -> u64 {
        let value: u64;
        // SAFETY: the value is inside guest RAM and is only read; writing 32 bits of a register clears the rest.
        unsafe {
            match bytes {
                2 => {
                    asm!("movzx {:e}, word ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
                4 => {
                    asm!("mov {:e}, dword ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
                _ => {
                    asm!("mov {}, qword ptr [{}]", out(reg) value, in(reg) self.0, options(nostack, preserves_flags, readonly))
                }
            }
        }
        value
    }

    /// Loads `bytes`, zero-extended, one by one.
    #[cfg(not(target_arch = "x86_64"))]
    fn unaligned_load(self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |value, i| value | u64::from(self.offset(i as i64).load_u8()) << (8 * i))
    }

    /// Loads a byte.
    #[inline(always)]
    pub(super) fn load_u8(self) -> u8 {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.0.cast_mut()) }.load(Relaxed)
    }
    /// The second doubleword of a 16-byte access.
    #[inline(always)]
    pub(super) fn high(self) -> Self {
        // SAFETY: callers use this for accesses of 16 bytes, all inside guest RAM.
        Self(unsafe { self.0.add(8) })
    }
    /// The byte `n` further on.
    pub(super) fn offset(self, n: i64) -> Self {
        Self(self.0.wrapping_offset(n as isize))
    }

    /// Loads `N` bytes, 1 to 8, zero-extended.
    #[inline(always)]
    pub(super) fn load<const N: u64>(self) -> u64 {
        match N {
            1 => u64::from(self.load_u8()),
            2 => u64::from(self.load_u16()),
            4 => u64::from(self.load_u32()),
            _ => self.load_u64(),
        }
    }
}

impl HostMut {
    /// From an address that may be written (see the type), and that holds the whole access.
    #[must_use]
    #[inline(always)]
    pub(super) fn new(p: *mut u8) -> Self {
        Self(HostPtr(p))
    }

    /// The address, for atomic operations on it.
    #[inline(always)]
    pub(super) fn raw(self) -> *mut u8 {
        self.0.0.cast_mut()
    }

    /// Stores the low `bytes` (2, 4 or 8).
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn unaligned_store(self, bytes: usize, value: u64) {
        let p = self.raw();
        // SAFETY: the value is inside guest RAM.
        unsafe {
            match bytes {
                2 => {
                    asm!("mov word ptr [{}], {:x}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
                4 => {
                    asm!("mov dword ptr [{}], {:e}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
                _ => {
                    asm!("mov qword ptr [{}], {}", in(reg) p, in(reg) value, options(nostack, preserves_flags))
                }
            }
        }
    }

    /// Stores the low `bytes`, one by one.
    #[cfg(not(target_arch = "x86_64"))]
    fn unaligned_store(self, bytes: usize, value: u64) {
        (0..bytes).for_each(|i| self.offset(i as i64).store_u8((value >> (8 * i)) as u8));
    }

    /// Stores a byte.
    #[inline(always)]
    pub(super) fn store_u8(self, value: u8) {
        // SAFETY: points to a byte of guest RAM.
        unsafe { AtomicU8::from_ptr(self.raw()) }.store(value, Relaxed);
    }
    /// The second doubleword of a 16-byte access.
    #[inline(always)]
    pub(super) fn high(self) -> Self {
        Self(self.0.high())
    }
    /// The byte `n` further on.
    pub(super) fn offset(self, n: i64) -> Self {
        Self(self.0.offset(n))
    }

    /// Stores the low `N` bytes, 1 to 8.
    #[inline(always)]
    pub(super) fn store<const N: u64>(self, value: u64) {
        match N {
            1 => self.store_u8(value as u8),
            2 => self.store_u16(value as u16),
            4 => self.store_u32(value as u32),
            _ => self.store_u64(value),
        }
    }
}
