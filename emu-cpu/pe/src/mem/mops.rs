//! Memory copy and set instructions, FEAT_MOPS (Arm ARM, C3.2.13 and the pseudocode of CPY, CPYF and SET).
//!
//! Of the two algorithms that the architecture offers this is option A: after the prologue a forward operation has the
//! ends of its blocks in Xd and Xs and minus the bytes that are left in Xn. The prologue moves nothing, the main
//! instruction everything, the epilogue nothing, so that an epilogue that finds bytes left over has been separated from
//! its main instruction: that is the exception from which software starts again.

use emu_a64::ir::mops::{Kind, MopsInsn, Stage};
use emu_a64::level::El;
use emu_core::page::Place;
use emu_mmu::Access;

use super::access::{byte_of, put_byte};
use super::pointer::{HostMut, HostPtr};
use super::translate::{AccessRequest, Target, data, unprivileged_acts};
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::level::Banked;

/// Bytes that one execution of a main instruction moves at most before it looks for interrupts.
const BUDGET: u64 = 1 << 14;
const PAGE: u64 = 4096;
/// PSTATE.C in the place where MRS of NZCV has it: option B.
pub const C: u64 = 1 << 29;

/// ESR_ELx.ISS of the exception of a sequence that does not fit together (EC 0x27).
const fn mismatch(insn: MopsInsn, wrong_option: bool) -> u32 {
    const MEM_SET: u32 = 1 << 24;
    const OPTION_A: u32 = 1 << 16;
    let set = matches!(insn.kind(), Kind::Set);
    let options = if set { MEM_SET | (insn.options() & 3) << 19 } else { insn.options() << 19 };
    let epilogue = matches!(insn.stage(), Some(Stage::Epilogue));
    let [d, s, n] = insn.registers();
    let registers = d << 10 | s << 5 | n;
    options | (epilogue as u32) << 18 | (wrong_option as u32) << 17 | OPTION_A | registers
}

/// Checks that a main or epilogue instruction continues what went before: `size` is Xn, `nzcv` the flags. Nothing is
/// asked of a sequence that has no bytes left (which the architecture leaves to the implementation).
#[inline]
pub fn check(size: u64, nzcv: u64, insn: MopsInsn) -> Result<(), Exception> {
    if size == 0 {
        return Ok(());
    }
    let wrong_option = nzcv & C != 0;
    let forward_only = insn.kind() != Kind::Copy;
    let ill_formed = insn.stage() == Some(Stage::Epilogue) || forward_only && (size as i64) > 0;
    if wrong_option || ill_formed {
        return Err(Exception::MemoryCopy { iss: mismatch(insn, wrong_option) });
    }
    Ok(())
}

/// Where a chunk goes.
enum Destination {
    /// RAM that needs nothing more.
    Direct(HostMut),
    /// RAM.
    Ram(Place),
    /// Anything else: byte by byte.
    Other,
}

/// Where the bytes of a chunk come from; `None`: byte by byte.
fn source(cpu: &mut Cpu, va: u64, unprivileged: bool) -> Result<Option<HostPtr>, Stop> {
    let fast = if unprivileged && unprivileged_acts(cpu) {
        cpu.mem.fast.user_read(va, 1)
    } else {
        cpu.mem.fast.read::<1>(va)
    };
    if fast.is_some() {
        return Ok(fast);
    }
    let asked = AccessRequest { access: Access::Read, unprivileged, unaligned: false, bytes: 1 };
    // Of a page with watched bytes, each byte is looked at by itself.
    let watched = super::watch::page_is_watched(cpu, va);
    Ok(match data(cpu, va, asked)? {
        Target::Ram(place) | Target::Rom(place, _) if !watched => Some(HostPtr::new(place.host())),
        _ => None,
    })
}

fn destination(cpu: &mut Cpu, va: u64, unprivileged: bool) -> Result<Destination, Stop> {
    let fast = if unprivileged && unprivileged_acts(cpu) {
        cpu.mem.fast.user_write(va, 1)
    } else {
        cpu.mem.fast.write::<1>(va)
    };
    if let Some(p) = fast {
        return Ok(Destination::Direct(p));
    }
    let asked = AccessRequest { access: Access::Write, unprivileged, unaligned: false, bytes: 1 };
    let watched = super::watch::page_is_watched(cpu, va);
    Ok(match data(cpu, va, asked)? {
        Target::Ram(place) if !watched => Destination::Ram(place),
        _ => Destination::Other,
    })
}

/// Goes on with a main instruction: `to` is Xd, `from` Xs (the value, for SET), `size` Xn. Gives the new Xn; unless that
/// is zero the instruction is to be executed again, for it stopped in front of a fault, or to let interrupts in.
#[inline(never)]
pub fn proceed(cpu: &mut Cpu, to: u64, from: u64, size: u64, insn: MopsInsn) -> Result<u64, Stop> {
    let mut left = size;
    let mut budget = BUDGET;
    while left != 0 && budget != 0 {
        match chunk(cpu, to, from, left, insn) {
            Ok(n) => {
                left = if (left as i64) < 0 { left.wrapping_add(n) } else { left - n };
                budget = budget.saturating_sub(n);
            }
            Err(e) if left == size => return Err(e),
            // It is in front of the instruction when that comes again.
            Err(_) => break,
        }
    }
    Ok(left)
}

/// Moves what is left of a pair of pages; gives how much that was.
fn chunk(cpu: &mut Cpu, to: u64, from: u64, left: u64, insn: MopsInsn) -> Result<u64, Stop> {
    let forward = (left as i64) < 0;
    let (to, from_at) = (to.wrapping_add(left), from.wrapping_add(left));
    let set = insn.kind() == Kind::Set;
    // Bytes from an address to the end of its page, or from the start of its page to the address.
    let room = |at: u64| if forward { PAGE - at % PAGE } else { at.wrapping_sub(1) % PAGE + 1 };
    let mut n = left.cast_signed().unsigned_abs().min(room(to));
    if !set {
        n = n.min(room(from_at));
    }
    // Where the first byte is, and how far the lowest is from there.
    let first = |at: u64| if forward { at } else { at.wrapping_sub(1) };
    let lowest = if forward { 0 } else { 1 - n.cast_signed() };
    let bytes = if set { None } else { Some(source(cpu, first(from_at), insn.unprivileged_read())?) };
    let target = destination(cpu, first(to), insn.unprivileged_write())?;
    let act = |p: HostMut| match bytes.flatten() {
        None => p.offset(lowest).fill(from as u8, n),
        Some(source) => p.offset(lowest).copy_from(source.offset(lowest), n, forward),
    };
    match (target, bytes) {
        (Destination::Other, _) | (_, Some(None)) => {
            return one_byte(cpu, first(to), first(from_at), from, insn);
        }
        (Destination::Direct(p), _) => act(p),
        (Destination::Ram(place), _) => place.write(|p| act(HostMut::new(p))),
    }
    Ok(n)
}

/// Moves a byte from or to something that is not RAM.
#[cold]
fn one_byte(cpu: &mut Cpu, to: u64, from_at: u64, value: u64, insn: MopsInsn) -> Result<u64, Stop> {
    let byte =
        if insn.kind() == Kind::Set { value as u8 } else { byte_of(cpu, from_at, insn.unprivileged_read())? };
    put_byte(cpu, to, byte, insn.unprivileged_write())?;
    Ok(1)
}

impl Cpu {
    /// The instructions of FEAT_MOPS may be executed here: HCRX_EL2.MSCEn below EL2 and SCTLR_ELx.MSCEn at EL0
    /// (pseudocode function CheckMOPSEnabled).
    pub(crate) fn mops_allowed(&self) -> bool {
        use crate::sysreg::{Reg, hcrx, sctlr};
        if !self.identity.has(emu_a64::features::Feat::Mops) {
            return false;
        }
        let el = self.pstate.el;
        let by_hypervisor = !self.is_in_guest() || self.sys[Reg::HCRX_EL2] & hcrx::MSCEN != 0;
        let controller = self.controller_of(el);
        by_hypervisor && (el.is_privileged() || self.sys[Banked::SCTLR.at(controller)] & sctlr::MSCEN != 0)
    }

    /// Where the exception of a mismatched sequence goes (pseudocode function MismatchedCpySetTargetEL).
    pub(crate) fn mops_target(&self) -> El {
        use crate::sysreg::{Reg, hcrx};
        let to_el2 =
            self.pstate.el == El::El1 && self.el2_enabled() && self.sys[Reg::HCRX_EL2] & hcrx::MCE2 != 0;
        if to_el2 { El::El2 } else { self.default_target() }
    }
}
