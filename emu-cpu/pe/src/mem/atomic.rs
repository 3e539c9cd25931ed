//! Accesses that are single-copy atomic whatever their size, and atomic updates of memory (Arm ARM, B2.2.1).

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use emu_a64::features::Feat;
use emu_a64::ir::{Acc, AtomicOp, MemSize};
use emu_core::metrics::Metric;
use emu_mmu::Access;

use super::pointer::{HostMut, HostPtr};
use super::translate::{AccessRequest, Target, UNSUPPORTED_ATOMIC, alignment_fault, data, plain_abort};
use super::{Mem, wide};
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::sysreg::sctlr;

impl Mem {
    /// Exclusive and atomic accesses must be aligned, or with FEAT_LSE2 lie in an aligned quantity of 16 bytes (pseudocode
    /// function AArch64.UnalignedAccessFaults).
    pub(super) fn check_atomic(&self, va: u64, bytes: u64, write: bool) -> Result<(), Exception> {
        if va & (bytes - 1) == 0 || self.fits_lse2_granule(va, bytes) {
            Ok(())
        } else {
            Err(alignment_fault(va, write))
        }
    }

    /// So must ordered accesses, unless SCTLR_ELx.nAA takes the second condition away.
    pub(super) fn check_ordered(&self, va: u64, bytes: u64, write: bool) -> Result<(), Exception> {
        let relaxed = || {
            let control = self.fast.context().sctlr();
            self.features.has(Feat::Lse2) && control & (sctlr::NAA | sctlr::A) == sctlr::NAA
        };
        self.check_atomic(va, bytes, write).or_else(|e| if relaxed() { Ok(()) } else { Err(e) })
    }

    /// True if the bytes are inside one aligned 16-byte granule, where FEAT_LSE2 makes an unaligned access atomic.
    fn fits_lse2_granule(&self, va: u64, bytes: u64) -> bool {
        self.features.has(Feat::Lse2) && va % 16 + bytes <= 16 && !self.checks_alignment()
    }

    fn unsupported_atomic(&self, va: u64, write: bool) -> Stop {
        self.counters.bump(Metric::Anomalies);
        Exception::Data(plain_abort(va, UNSUPPORTED_ATOMIC, write)).into()
    }
}

/// Loads 16 bytes at once.
pub(super) fn load_atomic(cpu: &mut Cpu, va: u64) -> Result<u128, Stop> {
    cpu.mem.check_atomic(va, 16, false)?;
    let asked =
        AccessRequest { access: Access::Read, unprivileged: false, unaligned: va & 15 != 0, bytes: 16 };
    match data(cpu, va, asked)? {
        Target::Ram(place) | Target::Rom(place, _) => Ok(wide::load_atomic(HostPtr::new(place.host()))),
        Target::Mmio(_) => Err(cpu.mem.unsupported_atomic(va, false)),
    }
}

/// Does an atomic access that writes. Memory that has no atomics (registers) is an unsupported atomic fault.
///
/// A fault of what reads and writes says that it was a read, where a read would fault, too (ESR_ELx.WnR): so does one of
/// alignment.
pub(super) fn atomically<T>(
    cpu: &mut Cpu,
    va: u64,
    bytes: u64,
    access: Access,
    act: impl FnOnce(HostMut) -> T,
) -> Result<T, Stop> {
    cpu.mem.check_atomic(va, bytes, access == Access::Write)?;
    let fast = match bytes {
        1 => cpu.mem.fast.write::<1>(va),
        2 => cpu.mem.fast.write::<2>(va),
        4 => cpu.mem.fast.write::<4>(va),
        8 => cpu.mem.fast.write::<8>(va),
        _ => cpu.mem.fast.write::<16>(va),
    };
    if let Some(p) = fast {
        return Ok(act(p));
    }
    let asked = AccessRequest { access, unprivileged: false, unaligned: va & (bytes - 1) != 0, bytes };
    match data(cpu, va, asked)? {
        Target::Ram(place) => Ok(place.write(|p| act(HostMut::new(p)))),
        Target::Rom(..) | Target::Mmio(_) => Err(cpu.mem.unsupported_atomic(va, access == Access::Write)),
    }
}

/// CAS; gives what memory held.
pub fn compare_and_swap(
    cpu: &mut Cpu,
    va: u64,
    size: MemSize,
    _acc: Acc,
    expected: u128,
    new: u128,
) -> Result<u128, Stop> {
    let mask = u128::MAX >> (128 - 8 * size.bytes() as u32);
    atomically(cpu, va, size.bytes(), Access::ReadWrite, |p| {
        exchange_if(p, size, expected & mask, new & mask)
    })
}

/// Atomic read-modify-write; gives the old value, zero-extended. Always sequentially consistent, which is stronger than
/// any order that the instruction may ask for.
pub fn rmw(
    cpu: &mut Cpu,
    op: AtomicOp,
    va: u64,
    size: MemSize,
    _acc: Acc,
    operand: u64,
) -> Result<u64, Stop> {
    atomically(cpu, va, size.bytes(), Access::ReadWrite, |p| rmw_host(p, op, size, operand))
}

/// The same on guest RAM.
fn rmw_host(p: HostMut, op: AtomicOp, size: MemSize, operand: u64) -> u64 {
    if p.raw() as usize as u64 & (size.bytes() - 1) != 0 {
        return wide::update(p, size.bytes(), |old| Some(applied(op, size, old, operand)));
    }
    macro_rules! on {
        ($atomic:ty, $u:ty, $s:ty) => {{
            // SAFETY: the caller passes the address of guest RAM, and it is aligned.
            let cell = unsafe { <$atomic>::from_ptr(p.raw().cast()) };
            let v = operand as $u;
            let o = Ordering::SeqCst;
            u64::from(match op {
                AtomicOp::Swp => cell.swap(v, o),
                AtomicOp::Add => cell.fetch_add(v, o),
                AtomicOp::Clr => cell.fetch_and(!v, o),
                AtomicOp::Eor => cell.fetch_xor(v, o),
                AtomicOp::Set => cell.fetch_or(v, o),
                AtomicOp::Umax => cell.fetch_max(v, o),
                AtomicOp::Umin => cell.fetch_min(v, o),
                AtomicOp::Smax | AtomicOp::Smin => {
                    let pick = |old: $u| {
                        let (a, b) = (old as $s, v as $s);
                        Some((if op == AtomicOp::Smax { a.max(b) } else { a.min(b) }) as $u)
                    };
                    cell.fetch_update(o, o, pick).unwrap_or_else(|old| old)
                }
            })
        }};
    }
    match size {
        MemSize::B1 => on!(AtomicU8, u8, i8),
        MemSize::B2 => on!(AtomicU16, u16, i16),
        MemSize::B4 => on!(AtomicU32, u32, i32),
        _ => on!(AtomicU64, u64, i64),
    }
}

/// What an atomic operation makes of a value.
fn applied(op: AtomicOp, size: MemSize, old: u64, operand: u64) -> u64 {
    let bits = 8 * size.bytes() as u32;
    let signed = |v: u64| (v << (64 - bits)) as i64;
    let operand = operand & u64::MAX >> (64 - bits);
    let pick = |first: bool| if first { old } else { operand };
    match op {
        AtomicOp::Swp => operand,
        AtomicOp::Add => old.wrapping_add(operand),
        AtomicOp::Clr => old & !operand,
        AtomicOp::Eor => old ^ operand,
        AtomicOp::Set => old | operand,
        AtomicOp::Umax => old.max(operand),
        AtomicOp::Umin => old.min(operand),
        AtomicOp::Smax => pick(signed(old) >= signed(operand)),
        AtomicOp::Smin => pick(signed(old) <= signed(operand)),
    }
}

/// Atomically replaces `expected` by `new`; gives what was there.
pub(super) fn exchange_if(p: HostMut, size: MemSize, expected: u128, new: u128) -> u128 {
    if p.raw() as usize as u64 & (size.bytes() - 1) != 0 {
        let (expected, new) = (expected as u64, new as u64);
        return u128::from(wide::update(p, size.bytes(), |old| (old == expected).then_some(new)));
    }
    macro_rules! on {
        ($atomic:ty, $u:ty) => {{
            // SAFETY: callers pass an aligned address of guest RAM (see `atomically`).
            let cell = unsafe { <$atomic>::from_ptr(p.raw().cast()) };
            let done = cell.compare_exchange(expected as $u, new as $u, Ordering::SeqCst, Ordering::SeqCst);
            u128::from(done.unwrap_or_else(|seen| seen))
        }};
    }
    match size {
        MemSize::B1 => on!(AtomicU8, u8),
        MemSize::B2 => on!(AtomicU16, u16),
        MemSize::B4 => on!(AtomicU32, u32),
        MemSize::B8 => on!(AtomicU64, u64),
        MemSize::B16 => wide::compare_exchange(p, expected, new),
    }
}
