//! Sixteen bytes of guest RAM at once: what LDXP, CASP and, with FEAT_LSE2, LDP and STP need; and atomic updates of
//! unaligned values inside an aligned quantity of sixteen bytes (Arm ARM, B2.2.1).

use super::pointer::{HostMut, HostPtr};

/// The address is that of an aligned quantity.
fn is_aligned(p: HostPtr) -> bool {
    (p.raw() as usize).is_multiple_of(16)
}

/// Loads 16 bytes; at once if they are aligned (and the host can: [`crate::host::is_atomic`]).
#[inline(always)]
pub(super) fn load(p: HostPtr) -> u128 {
    #[cfg(target_arch = "x86_64")]
    if is_aligned(p) {
        let value: std::arch::x86_64::__m128i;
        // SAFETY: `p` is the aligned address of 16 bytes of guest RAM, which are only read.
        unsafe {
            std::arch::asm!(
                "movdqa {}, xmmword ptr [{}]",
                out(xmm_reg) value,
                in(reg) p.raw(),
                options(nostack, preserves_flags, readonly)
            );
        }
        // SAFETY: both types are 16 bytes without invalid values.
        return unsafe { std::mem::transmute::<std::arch::x86_64::__m128i, u128>(value) };
    }
    u128::from(p.high().load_u64()) << 64 | u128::from(p.load_u64())
}

/// Stores 16 bytes; at once if they are aligned (and the host can).
#[inline(always)]
pub(super) fn store(p: HostMut, value: u128) {
    #[cfg(target_arch = "x86_64")]
    if is_aligned(*p) {
        // SAFETY: both types are 16 bytes without invalid values.
        let value = unsafe { std::mem::transmute::<u128, std::arch::x86_64::__m128i>(value) };
        // SAFETY: `p` is the aligned address of 16 bytes of guest RAM.
        unsafe {
            std::arch::asm!(
                "movdqa xmmword ptr [{}], {}",
                in(reg) p.raw(),
                in(xmm_reg) value,
                options(nostack, preserves_flags)
            );
        }
        return;
    }
    p.store_u64(value as u64);
    p.high().store_u64((value >> 64) as u64);
}

/// Atomically replaces `expected` by `new` at an aligned address; gives what was there.
#[cfg(target_arch = "x86_64")]
pub(super) fn compare_exchange(p: HostMut, expected: u128, new: u128) -> u128 {
    let (mut low, mut high) = (expected as u64, (expected >> 64) as u64);
    // RBX cannot be named as an operand: it is exchanged around the instruction.
    // SAFETY: `p` is a 16-aligned address of guest RAM that holds 16 bytes, and every x86-64-v2 host (which is what
    // this project asks for) has the instruction.
    unsafe {
        std::arch::asm!(
            "xchg rsi, rbx",
            "lock cmpxchg16b [rdi]",
            "mov rbx, rsi",
            inout("rsi") new as u64 => _,
            in("rdi") p.raw(),
            in("rcx") (new >> 64) as u64,
            inout("rax") low,
            inout("rdx") high,
            options(nostack)
        );
    }
    u128::from(high) << 64 | u128::from(low)
}

/// Hosts without a 16-byte compare-exchange: one lock for all such accesses.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn compare_exchange(p: HostMut, expected: u128, new: u128) -> u128 {
    static LOCK: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _guard = LOCK.lock();
    let seen = load(*p);
    if seen == expected {
        store(p, new);
    }
    seen
}

/// Loads 16 aligned bytes at once on any host.
pub(super) fn load_atomic(p: HostPtr) -> u128 {
    if crate::host::is_atomic() {
        return load(p);
    }
    let mut seen = load(p);
    // What is there is replaced by itself, which is no write.
    let place = HostMut::new(p.raw().cast_mut());
    loop {
        let again = compare_exchange(place, seen, seen);
        if again == seen {
            return seen;
        }
        seen = again;
    }
}

/// Atomically replaces the value of `bytes` (up to 8) at `p`, which need not be aligned but lies in an aligned quantity
/// of 16 bytes, by what `new` makes of it; `None` leaves it. Gives the value before.
pub(super) fn update(p: HostMut, bytes: u64, new: impl Fn(u64) -> Option<u64>) -> u64 {
    let at = p.raw() as usize % 16;
    let quantity = p.offset(-(at as i64));
    let shift = 8 * at as u32;
    let mask = u128::MAX >> (128 - 8 * bytes as u32);
    let mut seen = load_atomic(*quantity);
    loop {
        let old = (seen >> shift & mask) as u64;
        let Some(value) = new(old) else { return old };
        let replaced = seen & !(mask << shift) | (u128::from(value) & mask) << shift;
        let found = compare_exchange(quantity, seen, replaced);
        if found == seen {
            return old;
        }
        seen = found;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use emu_core::ram::GuestRam;

    fn at(ram: &'static GuestRam, offset: u64) -> HostMut {
        HostMut::new(ram.place(0).unwrap().page().direct().unwrap()).offset(offset as i64)
    }

    /// Unaligned values inside 16 bytes, and aligned quantities, are never seen half-written.
    #[test]
    fn nothing_is_torn() {
        if !crate::host::is_atomic() {
            return;
        }
        let ram = GuestRam::new(0x1000).unwrap();
        thread::scope(|s| {
            s.spawn(|| {
                let (unaligned, quantity) = (at(ram, 5), at(ram, 0x20));
                for n in 0..200_000u64 {
                    let pattern = (n & 0xff) * 0x0101_0101_0101_0101;
                    unaligned.store_u64(pattern);
                    store(quantity, u128::from(pattern) << 64 | u128::from(pattern));
                }
            });
            let (unaligned, quantity) = (at(ram, 5), at(ram, 0x20));
            for _ in 0..200_000 {
                let v = unaligned.load_u64();
                assert_eq!(v, (v & 0xff) * 0x0101_0101_0101_0101);
                let v = load(*quantity);
                assert_eq!(v as u64, (v >> 64) as u64);
            }
        });
    }

    #[test]
    fn updates_of_two_threads_all_count() {
        let ram = GuestRam::new(0x1000).unwrap();
        let count = || {
            let p = at(ram, 7);
            (0..20_000).for_each(|_| assert!(update(p, 8, |v| Some(v.wrapping_add(1))) < 40_000));
        };
        thread::scope(|s| {
            s.spawn(count);
            count();
        });
        assert_eq!(at(ram, 7).load_u64(), 40_000);
        assert_eq!((ram.load_u8(6), ram.load_u8(15)), (Some(0), Some(0)), "neighbours");
        assert_eq!(update(at(ram, 7), 2, |_| None), 40_000);
    }
}
