//! Loads and stores.

use std::sync::atomic::{Ordering, fence};

use emu_a64::ir::{Acc, MemSize, Order};
use emu_mmu::Access;

use super::maintenance::ZVA_BYTES;
use super::pointer::{HostMut, HostPtr};
use super::translate::{AccessRequest, Target, alignment_fault, data, unprivileged_acts};
use super::wide;
use crate::cpu::Cpu;
use crate::exception::{Abort, Exception, Stop};

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
    if lse2_word_pair(cpu, va, bytes, Access::Read)
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

/// True for two words inside one aligned 16-byte granule, which FEAT_LSE2 makes a single access of Normal memory (Arm ARM,
/// B2.2.1). Fills the fast TLB for their page, so that the caller can access both at once. A fault is ignored here: the
/// accesses of the single words raise it.
fn lse2_word_pair(cpu: &mut Cpu, va: u64, bytes: u64, access: Access) -> bool {
    let pair = bytes == 8 && va & 15 <= 8;
    if pair {
        let _ = data(cpu, va, AccessRequest { access, unprivileged: false, unaligned: false, bytes: 0 });
    }
    pair
}

/// As [`load_elements`]. What was stored before a fault stays stored.
#[cold]
fn store_elements(cpu: &mut Cpu, va: u64, bytes: u64, elem: u64, value: u128) -> Result<(), Stop> {
    if va & (bytes - 1) == 0 || elem >= bytes {
        return store_slow(cpu, va, bytes, value, false);
    }
    if lse2_word_pair(cpu, va, bytes, Access::Write)
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
    if unaligned && cpu.mem.checks_alignment() {
        return Err(alignment_fault(va, false).into());
    }
    if !unprivileged && let Some(p) = cpu.mem.fast.device_read(va, bytes) {
        return Ok(load_host(p, bytes));
    }
    let asked = AccessRequest { access: Access::Read, unprivileged, unaligned, bytes };
    if (va & PAGE_OFFSET) + bytes > 4096 {
        return load_crossing(cpu, va, bytes, asked);
    }
    match data(cpu, va, asked)? {
        Target::Ram(place) | Target::Rom(place, _) => Ok(load_host(HostPtr::new(place.host()), bytes)),
        Target::Mmio(pa) => Ok(cpu.mem.load_device(pa, va, bytes)?),
    }
}

/// Finds both pages of an access to be accessible, then asks watchpoints, if there are any; gives how its bytes are
/// accessed.
fn cross(cpu: &mut Cpu, va: u64, bytes: u64, asked: AccessRequest) -> Result<AccessRequest, Stop> {
    let seen = AccessRequest { bytes: 0, ..asked };
    data(cpu, va, seen)?;
    data(cpu, va.wrapping_add(bytes - 1) & !PAGE_OFFSET, seen)?;
    if cpu.mem.watch.is_on() {
        data(cpu, va, asked)?;
    }
    Ok(seen)
}

/// Both pages of an access that goes from one into the next, if both need nothing more: where its first bytes are, where its
/// last byte is, and how many are in the first page.
fn both_pages<P>(
    va: u64,
    bytes: u64,
    asked: AccessRequest,
    find: impl Fn(u64) -> Option<P>,
) -> Option<(P, P, u64)> {
    if asked.unprivileged {
        return None;
    }
    Some((find(va)?, find(va.wrapping_add(bytes - 1))?, 4096 - (va & PAGE_OFFSET)))
}

/// Byte `i` of such an access of `bytes`: relative to which of the two, and how far from there.
fn byte_at<P>((first, last, split): (P, P, u64), bytes: u64, i: u64) -> (P, i64) {
    if i < split { (first, i.cast_signed()) } else { (last, (i + 1).cast_signed() - bytes.cast_signed()) }
}

/// Byte by byte, after both pages were found to be accessible.
fn load_crossing(cpu: &mut Cpu, va: u64, bytes: u64, asked: AccessRequest) -> Result<u128, Stop> {
    if let Some(pages) = both_pages(va, bytes, asked, |va| cpu.mem.fast.read::<1>(va)) {
        let byte = |i| {
            let (p, offset) = byte_at(pages, bytes, i);
            u128::from(p.offset(offset).load_u8())
        };
        return Ok((0..bytes).fold(0, |v, i| v | byte(i) << (8 * i)));
    }
    let seen = cross(cpu, va, bytes, asked)?;
    let mut value = 0;
    for i in 0..bytes {
        let at = va.wrapping_add(i);
        let byte = match data(cpu, at, seen)? {
            Target::Ram(place) | Target::Rom(place, _) => u64::from(HostPtr::new(place.host()).load_u8()),
            Target::Mmio(pa) => cpu.mem.read_register(pa, at, 1)?,
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
    if unaligned && cpu.mem.checks_alignment() {
        return Err(alignment_fault(va, true).into());
    }
    if !unprivileged && let Some(p) = cpu.mem.fast.device_write(va, bytes) {
        store_host(p, bytes, value);
        return Ok(());
    }
    let asked = AccessRequest { access: Access::Write, unprivileged, unaligned, bytes };
    if (va & PAGE_OFFSET) + bytes > 4096 {
        return store_crossing(cpu, va, bytes, value, asked);
    }
    match data(cpu, va, asked)? {
        Target::Ram(place) => {
            place.write(|p| store_host(HostMut::new(p), bytes, value));
            Ok(())
        }
        Target::Rom(_, pa) | Target::Mmio(pa) => Ok(cpu.mem.store_device(pa, va, bytes, value)?),
    }
}

fn store_crossing(cpu: &mut Cpu, va: u64, bytes: u64, value: u128, asked: AccessRequest) -> Result<(), Stop> {
    if let Some(pages) = both_pages(va, bytes, asked, |va| cpu.mem.fast.write::<1>(va)) {
        for i in 0..bytes {
            let (p, offset) = byte_at(pages, bytes, i);
            p.offset(offset).store_u8((value >> (8 * i)) as u8);
        }
        return Ok(());
    }
    let seen = cross(cpu, va, bytes, asked)?;
    for i in 0..bytes {
        let at = va.wrapping_add(i);
        let byte = (value >> (8 * i)) as u8;
        match data(cpu, at, seen)? {
            Target::Ram(place) => place.write(|p| HostMut::new(p).store_u8(byte)),
            Target::Rom(_, pa) | Target::Mmio(pa) => cpu.mem.write_register(pa, at, 1, u64::from(byte))?,
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

/// A load that is not plain: ordered, unprivileged, or of elements.
pub fn load_with(cpu: &mut Cpu, va: u64, size: MemSize, acc: Acc) -> Result<u128, Stop> {
    let bytes = size.bytes();
    if acc.order != Order::Plain {
        cpu.mem.check_ordered(va, bytes, false)?;
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
        cpu.mem.check_ordered(va, bytes, true)?;
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

/// DC ZVA of the block at `block`; `va` is what the instruction named, for the syndrome.
pub(super) fn zero_block(cpu: &mut Cpu, block: u64, va: u64) -> Result<(), Stop> {
    // Device memory refuses it as an unaligned access.
    let asked =
        AccessRequest { access: Access::Write, unprivileged: false, unaligned: true, bytes: ZVA_BYTES };
    let zero = |host: HostMut| {
        (0..ZVA_BYTES).step_by(8).for_each(|at| host.offset(at.cast_signed()).store_u64(0));
    };
    if let Some(p) = cpu.mem.fast.write::<1>(block) {
        zero(p);
        return Ok(());
    }
    match data(cpu, block, asked).map_err(|stop| name_va(stop, va))? {
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
