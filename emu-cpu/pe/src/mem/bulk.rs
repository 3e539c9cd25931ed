//! Many bytes of guest RAM at once: what FEAT_MOPS moves inside pages. Nothing larger than a byte is single-copy atomic there
//! (Arm ARM, B2.2.1).

use super::pointer::{HostMut, HostPtr};

/// Bytes that are moved at once.
const BLOCK: u64 = 64;
const VECTOR: u64 = 16;

impl HostMut {
    /// Stores `n` times the byte `value`; all of them are in guest RAM.
    pub(super) fn fill(self, value: u8, n: u64) {
        let pattern = u64::from_ne_bytes([value; 8]);
        let mut at = 0;
        if n >= VECTOR {
            at = n - n % VECTOR;
            fill_vectors(self, pattern, at / VECTOR);
        }
        if n - at >= 8 {
            self.offset(at.cast_signed()).store_u64(pattern);
            at += 8;
        }
        for at in at..n {
            self.offset(at.cast_signed()).store_u8(value);
        }
    }

    /// Copies `n` bytes from `source`, from the lowest to the highest if `forward`; all of them are in guest RAM. What the
    /// blocks share is moved rightly if the target is the lower one of a forward copy, or the higher one of a backward copy.
    pub(super) fn copy_from(self, source: HostPtr, n: u64, forward: bool) {
        // How many are done, from the one end or the other.
        let mut done = 0;
        let mut part = |unit: u64, step: fn(Self, HostPtr, u64, bool)| {
            let count = (n - done) / unit;
            if count != 0 {
                let first = if forward { done } else { n - done - unit };
                let first = first.cast_signed();
                step(self.offset(first), source.offset(first), count, forward);
                done += count * unit;
            }
        };
        part(BLOCK, copy_blocks);
        part(VECTOR, copy_vectors);
        part(8, |to, from, count, forward| {
            each(count, 8, forward, |at| to.offset(at).store_u64(from.offset(at).load_u64()));
        });
        part(1, |to, from, count, forward| {
            each(count, 1, forward, |at| to.offset(at).store_u8(from.offset(at).load_u8()));
        });
    }
}

/// The places of `count` units, the first one at 0.
fn each(count: u64, unit: i64, forward: bool, mut at: impl FnMut(i64)) {
    let step = if forward { unit } else { -unit };
    (0..count.cast_signed()).for_each(|n| at(n * step));
}

/// Stores 16 bytes `count` times, not 0.
#[cfg(target_arch = "x86_64")]
fn fill_vectors(to: HostMut, pattern: u64, count: u64) {
    // SAFETY: callers name only bytes of guest RAM, which nobody has a reference to.
    unsafe {
        std::arch::asm!(
            "movq {v}, {p}",
            "punpcklqdq {v}, {v}",
            "2:",
            "movups xmmword ptr [{to}], {v}",
            "add {to}, 16",
            "dec {n}",
            "jnz 2b",
            v = out(xmm_reg) _,
            p = in(reg) pattern,
            to = inout(reg) to.raw() => _,
            n = inout(reg) count => _,
            options(nostack)
        );
    }
}

/// Copies 64 bytes `count` times, not 0. All of a block is loaded before any of it is stored.
#[cfg(target_arch = "x86_64")]
fn copy_blocks(to: HostMut, from: HostPtr, count: u64, forward: bool) {
    let step = if forward { 64i64 } else { -64 };
    // SAFETY: callers name only bytes of guest RAM, which nobody has a reference to.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, xmmword ptr [{from}]",
            "movups {b}, xmmword ptr [{from} + 16]",
            "movups {c}, xmmword ptr [{from} + 32]",
            "movups {d}, xmmword ptr [{from} + 48]",
            "movups xmmword ptr [{to}], {a}",
            "movups xmmword ptr [{to} + 16], {b}",
            "movups xmmword ptr [{to} + 32], {c}",
            "movups xmmword ptr [{to} + 48], {d}",
            "add {from}, {step}",
            "add {to}, {step}",
            "dec {n}",
            "jnz 2b",
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            from = inout(reg) from.raw() => _,
            to = inout(reg) to.raw() => _,
            n = inout(reg) count => _,
            step = in(reg) step,
            options(nostack)
        );
    }
}

/// The same of 16 bytes.
#[cfg(target_arch = "x86_64")]
fn copy_vectors(to: HostMut, from: HostPtr, count: u64, forward: bool) {
    let step = if forward { 16i64 } else { -16 };
    // SAFETY: as for `copy_blocks`.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {v}, xmmword ptr [{from}]",
            "movups xmmword ptr [{to}], {v}",
            "add {from}, {step}",
            "add {to}, {step}",
            "dec {n}",
            "jnz 2b",
            v = out(xmm_reg) _,
            from = inout(reg) from.raw() => _,
            to = inout(reg) to.raw() => _,
            n = inout(reg) count => _,
            step = in(reg) step,
            options(nostack)
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn fill_vectors(to: HostMut, pattern: u64, count: u64) {
    each(2 * count, 8, true, |at| to.offset(at).store_u64(pattern));
}

#[cfg(not(target_arch = "x86_64"))]
fn copy_blocks(to: HostMut, from: HostPtr, count: u64, forward: bool) {
    let end = if forward { 0 } else { 56 };
    let word = |at: i64| to.offset(end + at).store_u64(from.offset(end + at).load_u64());
    each(8 * count, 8, forward, word);
}

#[cfg(not(target_arch = "x86_64"))]
fn copy_vectors(to: HostMut, from: HostPtr, count: u64, forward: bool) {
    let end = if forward { 0 } else { 8 };
    let word = |at: i64| to.offset(end + at).store_u64(from.offset(end + at).load_u64());
    each(2 * count, 8, forward, word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_core::ram::GuestRam;

    const SIZE: u64 = 0x1000;

    fn filled() -> &'static GuestRam {
        let ram = GuestRam::new(SIZE).unwrap();
        (0..SIZE).for_each(|at| ram.store_u8(at, (at * 7 + at / 256) as u8).unwrap());
        ram
    }

    fn bytes(ram: &GuestRam) -> Vec<u8> {
        (0..SIZE).map(|at| ram.load_u8(at).unwrap()).collect()
    }

    fn at(ram: &'static GuestRam, offset: u64) -> HostMut {
        HostMut::new(ram.place(0).unwrap().page().direct().unwrap()).offset(offset as i64)
    }

    #[test]
    fn copies_of_every_length_that_overlap_as_they_may() {
        let ram = filled();
        for n in (0..200).chain([255, 256, 257, 511, 700]) {
            for (to, from) in [(0, 800), (3, 4), (3, 11), (5, 21), (7, 80), (9, 9), (1, 0), (17, 1), (90, 3)]
            {
                let forward = to <= from;
                let mut expected = bytes(ram);
                expected.copy_within(from as usize..(from + n) as usize, to as usize);
                at(ram, to).copy_from(*at(ram, from), n, forward);
                assert_eq!(bytes(ram), expected, "{n} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn fills_of_every_length() {
        for n in (0..100).chain([1000, 4000]) {
            let ram = filled();
            let mut expected = bytes(ram);
            expected[5..5 + n as usize].fill(0xa5);
            at(ram, 5).fill(0xa5, n);
            assert_eq!(bytes(ram), expected, "{n} bytes");
        }
    }
}
