//! The functions that host code calls.
//!
//! Each gets the frame, whose registers are up to date. One that is given up puts the reason into
//! [`JitState::fault`](super::state::JitState) and leaves `faulted` set; host code then leaves through its exit.

use emu_a64::fp::{FpEnv, fpsr};
use emu_a64::ir::MemSize;
use emu_a64::ir::mops::MopsInsn;
use emu_a64::simd::QC;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::Stop;
use emu_pe::mem::access;
use emu_pe::mem::mops;

use super::state::FlagKind;
use crate::interp::cache::Cache;
use crate::interp::exec::{self, End};
use crate::interp::lockstep::repeatable;
use crate::interp::uop::{Frame, NZCV, Uop};

/// The CPU that a frame belongs to.
fn cpu<'a>(f: *const Frame) -> &'a mut Cpu {
    // SAFETY: host code runs only inside `Native::enter`, which was given the CPU and the frame exclusively, put the
    // CPU's address there, and uses neither until host code returns. Functions of the runtime make one such reference.
    unsafe { &mut *std::ptr::with_exposed_provenance_mut::<Cpu>((*f).jit.cpu as usize) }
}

/// As [`cpu`], for an access that was not found in the fast TLB.
fn for_access<'a>(f: *mut Frame) -> &'a mut Cpu {
    if let Some(profile) = &frame(f).jit.profile {
        profile.missed();
    }
    cpu(f)
}

/// The frame.
fn frame<'a>(f: *mut Frame) -> &'a mut Frame {
    // SAFETY: as for `cpu`: the frame is the one that host code was entered with, and nobody else uses it meanwhile.
    unsafe { &mut *f }
}

#[cold]
fn fault(f: *mut Frame, stop: Stop) {
    let jit = &mut frame(f).jit;
    jit.fault = Some(stop);
    jit.faulted = 1;
}

fn value<T: Default>(f: *mut Frame, r: Result<T, Stop>) -> T {
    r.unwrap_or_else(|e| {
        fault(f, e);
        T::default()
    })
}

/// Loads `N` bytes.
pub(super) extern "sysv64" fn load<const N: u64>(f: *mut Frame, va: u64) -> u64 {
    value(f, access::load::<N>(for_access(f), va))
}

/// Stores `N` bytes.
pub(super) extern "sysv64" fn store<const N: u64>(f: *mut Frame, va: u64, v: u64) {
    value(f, access::store::<N>(for_access(f), va, v));
}

/// Loads two words as one doubleword.
pub(super) extern "sysv64" fn load_words(f: *mut Frame, va: u64) -> u64 {
    value(f, access::load_vector(for_access(f), va, MemSize::B8, MemSize::B4)) as u64
}

/// Stores two words.
pub(super) extern "sysv64" fn store_words(f: *mut Frame, va: u64, v: u64) {
    value(f, access::store_vector(for_access(f), va, MemSize::B8, MemSize::B4, u128::from(v)));
}

/// Loads two doublewords into `out`.
pub(super) extern "sysv64" fn load_pair(f: *mut Frame, va: u64) {
    let pair = value(f, access::load_vector(for_access(f), va, MemSize::B16, MemSize::B8));
    frame(f).jit.out = [pair as u64, (pair >> 64) as u64];
}

/// Stores two doublewords.
pub(super) extern "sysv64" fn store_pair(f: *mut Frame, va: u64, low: u64, high: u64) {
    let pair = u128::from(high) << 64 | u128::from(low);
    value(f, access::store_vector(for_access(f), va, MemSize::B16, MemSize::B8, pair));
}

/// Slot, size and element of a vector access as one number.
pub(super) const fn vector_access(slot: u8, size: MemSize, elem: MemSize) -> u32 {
    slot as u32 | (size as u32) << 8 | (elem as u32) << 16
}

fn parts(how: u32) -> (usize, MemSize, MemSize) {
    (how as usize & 0xff, MemSize::from_log2(how >> 8 & 0xff), MemSize::from_log2(how >> 16))
}

/// Loads a vector slot.
pub(super) extern "sysv64" fn load_vector(f: *mut Frame, va: u64, how: u32) {
    let (slot, size, elem) = parts(how);
    match access::load_vector(for_access(f), va, size, elem) {
        Ok(v) => frame(f).v[slot] = v,
        Err(e) => fault(f, e),
    }
}

/// Stores a vector slot.
pub(super) extern "sysv64" fn store_vector(f: *mut Frame, va: u64, how: u32) {
    let (slot, size, elem) = parts(how);
    let v = frame(f).v[slot];
    value(f, access::store_vector(for_access(f), va, size, elem, v));
}

/// Goes on with the main instruction of FEAT_MOPS whose word is in `out`; gives the new Xn.
pub(super) extern "sysv64" fn copy_or_set(f: *mut Frame, to: u64, from: u64, size: u64) -> u64 {
    let insn = MopsInsn(frame(f).jit.out[0] as u32);
    materialise_flags(frame(f));
    value(f, mops::proceed(cpu(f), to, from, size, insn))
}

/// Executes operation `n` of block `block` as the interpreter does.
pub(super) extern "sysv64" fn operation(f: *mut Frame, block: u32, n: u32) {
    let frame = frame(f);
    materialise_flags(frame);
    let cpu = cpu(f);
    count(frame, cpu);
    collect(frame, cpu);
    // SAFETY: `Native::enter` put the cache's address there and does not touch the cache until host code returns;
    // nothing that an operation does changes the cache.
    let cache = unsafe { &*std::ptr::with_exposed_provenance::<Cache>(frame.jit.cache as usize) };
    let Some(code) = cache.get(block).map(|b| &b.code) else { return };
    if cpu.mem.is_recording()
        && let Some(uop) = code.uops.get(n as usize)
        && !repeatable::is_repeatable(uop, cpu)
    {
        return fault(f, Stop::NotReplayable);
    }
    cpu.counters.bump(Metric::Interpreted);
    if let (Some(profile), Some(uop)) = (&frame.jit.profile, code.uops.get(n as usize)) {
        profile.interpreted(uop);
    }
    if let End::Fault(e, _) = exec::run_one(code, n as usize, 0, frame, cpu) {
        fault(f, e);
    }
}

/// Computes operation `n` of block `block`, a call of an exact function.
pub(super) extern "sysv64" fn exact(f: *mut Frame, block: u32, n: u32) {
    let frame = frame(f);
    let cpu = cpu(f);
    collect(frame, cpu);
    // SAFETY: as in `operation`.
    let cache = unsafe { &*std::ptr::with_exposed_provenance::<Cache>(frame.jit.cache as usize) };
    if let Some(code) = cache.get(block).map(|b| &b.code)
        && let Some(&Uop::Call { d, a, b, c, call }) = code.uops.get(n as usize)
        && let Some(call) = code.calls.get(call as usize)
    {
        cpu.counters.bump(Metric::Exact);
        if let Some(profile) = &frame.jit.profile {
            profile.exact(call.op);
        }
        let mut env = FpEnv { fpcr: cpu.regs.fpcr, fpsr: cpu.regs.fpsr };
        let [a, b, c] = [a, b, c].map(|slot| frame.v[slot as usize]);
        frame.v[d as usize] = (call.f)(&mut env, call.imm, a, b, c);
        cpu.regs.fpsr = env.fpsr;
    }
}

/// Moves the exceptions that host code has collected to FPSR. What host code keeps has raised them as Arm's operations do, but
/// for the host's denormal-operand exception, which is nothing on Arm without FPCR.FZ.
pub(super) fn collect(f: &mut Frame, cpu: &mut Cpu) {
    const FLAGS: u32 = 0x3f;
    /// Invalid, divide by zero, overflow, underflow, inexact, with their flags in FPSR.
    const PAIRS: [(u32, u32); 5] = [
        (1 << 0, fpsr::IOC),
        (1 << 2, fpsr::DZC),
        (1 << 3, fpsr::OFC),
        (1 << 4, fpsr::UFC),
        (1 << 5, fpsr::IXC),
    ];
    if f.jit.mxcsr & FLAGS != 0 {
        for (host, arm) in PAIRS {
            if f.jit.mxcsr & host != 0 {
                cpu.regs.fpsr |= arm;
            }
        }
        f.jit.mxcsr &= !FLAGS;
    }
    if f.jit.saturated != 0 {
        f.jit.saturated = 0;
        cpu.regs.fpsr |= QC;
    }
}

/// Computes the flags into their slot, if that was not done yet.
pub(super) fn materialise_flags(f: &mut Frame) {
    let (a, b) = (f.jit.flag_a, f.jit.flag_b);
    f.x[NZCV as usize] = match FlagKind::from_number(f.jit.flag_kind) {
        FlagKind::None => return,
        FlagKind::Sub64 => exec::sub_flags64(a, b),
        FlagKind::Sub32 => exec::sub_flags32(a as u32, b as u32),
        FlagKind::Add64 => exec::add_flags64(a, b, false),
        FlagKind::Add32 => exec::add_flags32(a as u32, b as u32, false),
        FlagKind::Logic64 => exec::nz64(a),
        FlagKind::Logic32 => exec::nz32(a as u32),
        FlagKind::Host => (a >> 14 & 3) << 30 | (a >> 8 & 1 ^ 1) << 29 | (a & 1) << 28,
    };
    f.jit.flag_kind = FlagKind::None as u32;
}

/// Counts the instructions that host code has executed.
pub(super) fn count(f: &mut Frame, cpu: &Cpu) {
    let new = f.jit.count.wrapping_sub(f.jit.counted);
    cpu.counters.bump_by(Metric::Instructions, new);
    f.jit.counted = f.jit.count;
}
