//! Loads, stores and atomics.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use emu_a64::features::Feat;
use emu_a64::ir::{Acc, AtomicOp, MemSize, Order};
use emu_core::Pa;
use emu_core::metrics::Metric;
use emu_mmu::Access;

use super::fast::{HostMut, HostPtr};
use super::maintenance::ZVA_BYTES;
use super::translate::{
    How, Target, UNSUPPORTED_ATOMIC, alignment_fault, data, mmio_read, mmio_write, plain_abort,
    unprivileged_acts,
};
use super::wide;
use crate::cpu::Cpu;
use crate::exception::{Abort, Exception, Stop};
use crate::sysreg::sctlr;

const PAGE_OFFSET: u64 = 4095;

/// Loads `N` bytes (1, 2, 4, 8), zero-extended.
#[inline(always)]
pub fn load<const N: u64>(cpu: &mut Cpu, va: u64) -> Result<u64, Stop> {
    match cpu.mem.fast.read::<N>(va) {
        Some(p) => Ok(p.load::<N>()),
        None => load_slow(cpu, va, N, false).map(|v| v as u64),
    }
}

/// Stores the low `N` bytes (1, 2, 4, 8).
#[inline(always)]
pub fn store<const N: u64>(cpu: &mut Cpu, va: u64, value: u64) -> Result<(), Stop> {
    match cpu.mem.fast.write::<N>(va) {
        Some(p) => {
            p.store::<N>(value);
            Ok(())
        }
        None => store_slow(cpu, va, N, u128::from(value), false),
    }
}

/// Loads `size` bytes that are made of elements of `elem`, zero-extended: a vector register's worth, or a pair.
#[inline]
pub fn load_vector(cpu: &mut Cpu, va: u64, size: MemSize, elem: MemSize) -> Result<u128, Stop> {
    let fast = match size {
        MemSize::B16 => {
            let p = cpu.mem.fast.read::<16>(va);
            p.map(wide::load)
        }
        MemSize::B8 => cpu.mem.fast.read::<8>(va).map(|p| u128::from(p.load_u64())),
        MemSize::B4 => cpu.mem.fast.read::<4>(va).map(|p| u128::from(p.load_u32())),
        MemSize::B2 => cpu.mem.fast.read::<2>(va).map(|p| u128::from(p.load_u16())),
        MemSize::B1 => cpu.mem.fast.read::<1>(va).map(|p| u128::from(p.load_u8())),
    };
    match fast {
        Some(value) => Ok(value),
        None => load_elements(cpu, va, size.bytes(), elem.bytes()),
    }
}

/// Stores the low `size` bytes, which are made of elements of `elem`.
#[inline]
pub fn store_vector(cpu: &mut Cpu, va: u64, size: MemSize, elem: MemSize, value: u128) -> Result<(), Stop> {
    let fast = match size {
        MemSize::B16 => cpu.mem.fast.write::<16>(va),
        MemSize::B8 => cpu.mem.fast.write::<8>(va),
        MemSize::B4 => cpu.mem.fast.write::<4>(va),
        MemSize::B2 => cpu.mem.fast.write::<2>(va),
        MemSize::B1 => cpu.mem.fast.write::<1>(va),
    };
    match fast {
        Some(p) => {
            store_host(p, size.bytes(), value);
            Ok(())
        }
        None => store_elements(cpu, va, size.bytes(), elem.bytes(), value),
    }
}

/// The whole access at once if it is aligned, else element by element: each is checked for its own alignment.
#[cold]
fn load_elements(cpu: &mut Cpu, va: u64, bytes: u64, elem: u64) -> Result<u128, Stop> {
    if va & (bytes - 1) == 0 || elem >= bytes {
        return load_slow(cpu, va, bytes, false);
    }
    if is_pair_of_words(cpu, va, bytes, Access::Read)
        && let Some(p) = cpu.mem.fast.read::<8>(va)
    {
        return Ok(u128::from(p.load_u64()));
    }
    let mut value = 0;
    for at in (0..bytes).step_by(elem as usize) {
        value |= load_slow(cpu, va.wrapping_add(at), elem, false)? << (8 * at);
    }
    Ok(value)
}

/// Two words inside an aligned quantity of 16 bytes, which FEAT_LSE2 makes one access of Normal memory (Arm ARM, B2.2.1): then
/// the page is looked up before either is accessed, so that both can be at once. Faults are left to the words.
fn is_pair_of_words(cpu: &mut Cpu, va: u64, bytes: u64, access: Access) -> bool {
    let pair = bytes == 8 && va & 15 <= 8;
    if pair {
        let _ = data(cpu, va, How { access, unprivileged: false, unaligned: false, bytes: 0 });
    }
    pair
}

/// As [`load_elements`]. What was stored before a fault stays stored.
#[cold]
fn store_elements(cpu: &mut Cpu, va: u64, bytes: u64, elem: u64, value: u128) -> Result<(), Stop> {
    if va & (bytes - 1) == 0 || elem >= bytes {
        return store_slow(cpu, va, bytes, value, false);
    }
    if is_pair_of_words(cpu, va, bytes, Access::Write)
        && let Some(p) = cpu.mem.fast.write::<8>(va)
    {
        store_host(p, bytes, value);
        return Ok(());
    }
    for at in (0..bytes).step_by(elem as usize) {
        store_slow(cpu, va.wrapping_add(at), elem, value >> (8 * at), false)?;
    }
    Ok(())
}

/// SCTLR_ELx.A: every unaligned access is a fault.
fn alignment_checked(cpu: &Cpu) -> bool {
    super::context::sctlr(cpu) >> 1 & 1 != 0
}

#[cold]
#[inline(never)]
fn load_slow(cpu: &mut Cpu, va: u64, bytes: u64, unprivileged: bool) -> Result<u128, Stop> {
    if unprivileged
        && unprivileged_acts(cpu)
        && let Some(p) = cpu.mem.fast.user_read(va, bytes)
    {
        return Ok(load_host(p, bytes));
    }
    let unaligned = va & (bytes - 1) != 0;
    if unaligned && alignment_checked(cpu) {
        return Err(alignment_fault(va, false).into());
    }
    if !unprivileged && let Some(p) = cpu.mem.fast.device_read(va, bytes) {
        return Ok(load_host(p, bytes));
    }
    let how = How { access: Access::Read, unprivileged, unaligned, bytes };
    if (va & PAGE_OFFSET) + bytes > 4096 {
        return load_crossing(cpu, va, bytes, how);
    }
    match data(cpu, va, how)? {
        Target::Ram(place) | Target::Rom(place, _) => Ok(load_host(HostPtr::new(place.host()), bytes)),
        Target::Mmio(pa) => Ok(load_mmio(cpu, pa, va, bytes)?),
    }
}

fn load_mmio(cpu: &mut Cpu, pa: Pa, va: u64, bytes: u64) -> Result<u128, Exception> {
    if bytes < 16 {
        return mmio_read(cpu, pa, va, bytes).map(u128::from);
    }
    let low = mmio_read(cpu, pa, va, 8)?;
    Ok(u128::from(mmio_read(cpu, pa.offset(8), va.wrapping_add(8), 8)?) << 64 | u128::from(low))
}

/// Finds both pages of an access to be accessible, then asks watchpoints, if there are any; gives how its bytes are
/// accessed.
fn cross(cpu: &mut Cpu, va: u64, bytes: u64, how: How) -> Result<How, Stop> {
    let seen = How { bytes: 0, ..how };
    data(cpu, va, seen)?;
    data(cpu, va.wrapping_add(bytes - 1) & !PAGE_OFFSET, seen)?;
    if cpu.mem.watch.is_on() {
        data(cpu, va, how)?;
    }
    Ok(seen)
}

/// Both pages of an access that goes from one into the next, if both need nothing more: where its first bytes are, where its
/// last byte is, and how many are in the first page.
fn both_pages<P>(va: u64, bytes: u64, how: How, find: impl Fn(u64) -> Option<P>) -> Option<(P, P, u64)> {
    if how.unprivileged {
        return None;
    }
    Some((find(va)?, find(va.wrapping_add(bytes - 1))?, 4096 - (va & PAGE_OFFSET)))
}

/// Byte `i` of such an access of `bytes`: relative to which of the two, and how far from there.
fn byte_at<P>((first, last, split): (P, P, u64), bytes: u64, i: u64) -> (P, i64) {
    if i < split { (first, i.cast_signed()) } else { (last, (i + 1).cast_signed() - bytes.cast_signed()) }
}

/// Byte by byte, after both pages were found to be accessible.
fn load_crossing(cpu: &mut Cpu, va: u64, bytes: u64, how: How) -> Result<u128, Stop> {
    if let Some(pages) = both_pages(va, bytes, how, |va| cpu.mem.fast.read::<1>(va)) {
        let byte = |i| {
            let (p, offset) = byte_at(pages, bytes, i);
            u128::from(p.offset(offset).load_u8())
        };
        return Ok((0..bytes).fold(0, |v, i| v | byte(i) << (8 * i)));
    }
    let seen = cross(cpu, va, bytes, how)?;
    let mut value = 0;
    for i in 0..bytes {
        let at = va.wrapping_add(i);
        let byte = match data(cpu, at, seen)? {
            Target::Ram(place) | Target::Rom(place, _) => u64::from(HostPtr::new(place.host()).load_u8()),
            Target::Mmio(pa) => mmio_read(cpu, pa, at, 1)?,
        };
        value |= u128::from(byte & 0xff) << (8 * i);
    }
    Ok(value)
}

fn load_host(p: HostPtr, bytes: u64) -> u128 {
    match bytes {
        1 => u128::from(p.load_u8()),
        2 => u128::from(p.load_u16()),
        4 => u128::from(p.load_u32()),
        8 => u128::from(p.load_u64()),
        _ => wide::load(p),
    }
}

fn store_host(p: HostMut, bytes: u64, value: u128) {
    match bytes {
        1 => p.store_u8(value as u8),
        2 => p.store_u16(value as u16),
        4 => p.store_u32(value as u32),
        8 => p.store_u64(value as u64),
        _ => wide::store(p, value),
    }
}

#[cold]
#[inline(never)]
fn store_slow(cpu: &mut Cpu, va: u64, bytes: u64, value: u128, unprivileged: bool) -> Result<(), Stop> {
    if unprivileged
        && unprivileged_acts(cpu)
        && let Some(p) = cpu.mem.fast.user_write(va, bytes)
    {
        store_host(p, bytes, value);
        return Ok(());
    }
    let unaligned = va & (bytes - 1) != 0;
    if unaligned && alignment_checked(cpu) {
        return Err(alignment_fault(va, true).into());
    }
    if !unprivileged && let Some(p) = cpu.mem.fast.device_write(va, bytes) {
        store_host(p, bytes, value);
        return Ok(());
    }
    let how = How { access: Access::Write, unprivileged, unaligned, bytes };
    if (va & PAGE_OFFSET) + bytes > 4096 {
        return store_crossing(cpu, va, bytes, value, how);
    }
    match data(cpu, va, how)? {
        Target::Ram(place) => {
            place.write(|p| store_host(HostMut::new(p), bytes, value));
            Ok(())
        }
        Target::Rom(_, pa) | Target::Mmio(pa) => Ok(store_mmio(cpu, pa, va, bytes, value)?),
    }
}

fn store_mmio(cpu: &mut Cpu, pa: Pa, va: u64, bytes: u64, value: u128) -> Result<(), Exception> {
    if bytes < 16 {
        return mmio_write(cpu, pa, va, bytes, value as u64);
    }
    mmio_write(cpu, pa, va, 8, value as u64)?;
    mmio_write(cpu, pa.offset(8), va.wrapping_add(8), 8, (value >> 64) as u64)
}

fn store_crossing(cpu: &mut Cpu, va: u64, bytes: u64, value: u128, how: How) -> Result<(), Stop> {
    if let Some(pages) = both_pages(va, bytes, how, |va| cpu.mem.fast.write::<1>(va)) {
        for i in 0..bytes {
            let (p, offset) = byte_at(pages, bytes, i);
            p.offset(offset).store_u8((value >> (8 * i)) as u8);
        }
        return Ok(());
    }
    let seen = cross(cpu, va, bytes, how)?;
    for i in 0..bytes {
        let at = va.wrapping_add(i);
        let byte = (value >> (8 * i)) as u8;
        match data(cpu, at, seen)? {
            Target::Ram(place) => place.write(|p| HostMut::new(p).store_u8(byte)),
            Target::Rom(_, pa) | Target::Mmio(pa) => mmio_write(cpu, pa, at, 1, u64::from(byte))?,
        }
    }
    Ok(())
}

/// A byte of whatever is at `va`.
pub(super) fn byte_of(cpu: &mut Cpu, va: u64, unprivileged: bool) -> Result<u8, Stop> {
    load_slow(cpu, va, 1, unprivileged).map(|v| v as u8)
}

/// Stores a byte to whatever is at `va`.
pub(super) fn put_byte(cpu: &mut Cpu, va: u64, byte: u8, unprivileged: bool) -> Result<(), Stop> {
    store_slow(cpu, va, 1, u128::from(byte), unprivileged)
}

/// Exclusive and atomic accesses must be aligned, or with FEAT_LSE2 lie in an aligned quantity of 16 bytes (pseudocode
/// function AArch64.UnalignedAccessFaults).
pub(super) fn check_atomic(cpu: &Cpu, va: u64, bytes: u64, write: bool) -> Result<(), Exception> {
    if va & (bytes - 1) == 0 || is_in_quantity(cpu, va, bytes) {
        Ok(())
    } else {
        Err(alignment_fault(va, write))
    }
}

/// So must ordered accesses, unless SCTLR_ELx.nAA takes the second condition away.
fn check_ordered(cpu: &Cpu, va: u64, bytes: u64, write: bool) -> Result<(), Exception> {
    let relaxed = || {
        let control = super::context::sctlr(cpu);
        cpu.features.has(Feat::Lse2) && control & (sctlr::NAA | sctlr::A) == sctlr::NAA
    };
    check_atomic(cpu, va, bytes, write).or_else(|e| if relaxed() { Ok(()) } else { Err(e) })
}

/// An unaligned access that FEAT_LSE2 makes atomic.
fn is_in_quantity(cpu: &Cpu, va: u64, bytes: u64) -> bool {
    cpu.features.has(Feat::Lse2) && va % 16 + bytes <= 16 && !alignment_checked(cpu)
}

/// A load that is not plain: ordered, unprivileged, or of elements.
pub fn load_with(cpu: &mut Cpu, va: u64, size: MemSize, acc: Acc) -> Result<u128, Stop> {
    let bytes = size.bytes();
    if acc.order != Order::Plain {
        check_ordered(cpu, va, bytes, false)?;
    }
    let value = if acc.unpriv { load_slow(cpu, va, bytes, true)? } else { load_vector(cpu, va, size, size)? };
    if acc.order != Order::Plain {
        fence(Ordering::Acquire);
    }
    Ok(value)
}

/// A store that is not plain. A store-release is also ordered before later load-acquires (Arm ARM, B2.3.7).
pub fn store_with(cpu: &mut Cpu, va: u64, size: MemSize, acc: Acc, value: u128) -> Result<(), Stop> {
    let bytes = size.bytes();
    if acc.order != Order::Plain {
        check_ordered(cpu, va, bytes, true)?;
        fence(Ordering::Release);
    }
    if acc.unpriv {
        store_slow(cpu, va, bytes, value, true)?;
    } else {
        store_vector(cpu, va, size, size, value)?;
    }
    if acc.order != Order::Plain {
        fence(Ordering::SeqCst);
    }
    Ok(())
}

/// Loads 16 bytes at once.
pub(super) fn load_atomic(cpu: &mut Cpu, va: u64) -> Result<u128, Stop> {
    check_atomic(cpu, va, 16, false)?;
    let how = How { access: Access::Read, unprivileged: false, unaligned: va & 15 != 0, bytes: 16 };
    match data(cpu, va, how)? {
        Target::Ram(place) | Target::Rom(place, _) => Ok(wide::load_atomic(HostPtr::new(place.host()))),
        Target::Mmio(_) => Err(unsupported_atomic(cpu, va, false)),
    }
}

fn unsupported_atomic(cpu: &mut Cpu, va: u64, write: bool) -> Stop {
    cpu.counters.bump(Metric::Anomalies);
    Exception::Data(plain_abort(va, UNSUPPORTED_ATOMIC, write)).into()
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
    check_atomic(cpu, va, bytes, access == Access::Write)?;
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
    let how = How { access, unprivileged: false, unaligned: va & (bytes - 1) != 0, bytes };
    match data(cpu, va, how)? {
        Target::Ram(place) => Ok(place.write(|p| act(HostMut::new(p)))),
        Target::Rom(..) | Target::Mmio(_) => Err(unsupported_atomic(cpu, va, access == Access::Write)),
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

/// DC ZVA of the block at `block`; `va` is what the instruction named, for the syndrome.
pub(super) fn zero_block(cpu: &mut Cpu, block: u64, va: u64) -> Result<(), Stop> {
    // Device memory refuses it as an unaligned access.
    let how = How { access: Access::Write, unprivileged: false, unaligned: true, bytes: ZVA_BYTES };
    let zero = |host: HostMut| {
        (0..ZVA_BYTES).step_by(8).for_each(|at| host.offset(at.cast_signed()).store_u64(0));
    };
    if let Some(p) = cpu.mem.fast.write::<1>(block) {
        zero(p);
        return Ok(());
    }
    match data(cpu, block, how).map_err(|stop| name_va(stop, va))? {
        Target::Ram(place) => {
            place.write(|p| zero(HostMut::new(p)));
            Ok(())
        }
        Target::Rom(..) | Target::Mmio(_) => Err(alignment_fault(va, true).into()),
    }
}

/// The fault of a block operation reports the address that the instruction named.
fn name_va(stop: Stop, va: u64) -> Stop {
    match stop {
        Stop::Exception(Exception::Data(abort)) => Exception::Data(Abort { va, ..abort }).into(),
        other => other,
    }
}
