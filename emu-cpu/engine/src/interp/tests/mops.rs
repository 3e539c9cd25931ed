//! Programs of FEAT_MOPS, MMU off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use emu_a64::level::El;
use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, BusFault, MmioDevice, Requester};
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::sysreg::{Reg, hcrx};

use super::{RAM, mapped, vcpu};
use crate::interp::vcpu::Vcpu;

const CPYF: [u32; 3] = [0x1901_0440, 0x1941_0440, 0x1981_0440];
const CPY: [u32; 3] = [0x1d01_0440, 0x1d41_0440, 0x1d81_0440];
const SET: [u32; 3] = [0x19c3_0440, 0x19c3_4440, 0x19c3_8440];
/// Where the blocks are, from the start of RAM.
const BLOCK: u64 = 0x4000;

/// How a program is run.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Interpreted,
    Baseline,
    Host,
    Lockstep,
}

impl Way {
    /// False where there is no host code.
    fn prepare(self, v: &mut Vcpu) -> bool {
        match self {
            Self::Interpreted => true,
            Self::Baseline => v.use_baseline_jit(1 << 20, 1),
            Self::Host => v.use_jit(1 << 20, 1),
            Self::Lockstep => v.use_jit(1 << 20, 1) && v.check_lockstep(7),
        }
    }
}

/// Runs a program with X0 to X3 until the first exception. As host code it does the same, also in lockstep.
fn run(program: &[u32], x: [u64; 4]) -> (Vcpu, &'static GuestRam) {
    let (v, ram) = run_as(Way::Interpreted, program, x);
    for way in [Way::Baseline, Way::Host, Way::Lockstep] {
        let (other, memory) = run_as(way, program, x);
        assert_eq!(other.cpu.regs.x, v.cpu.regs.x, "{way:?}");
        assert_eq!(other.cpu.regs.nzcv, v.cpu.regs.nzcv, "{way:?}");
        for reg in [Reg::ESR_EL2, Reg::FAR_EL2, Reg::ELR_EL2, Reg::SPSR_EL2] {
            assert_eq!(other.cpu.sys[reg], v.cpu.sys[reg], "{way:?}: {reg:?}");
        }
        let differs = (0..0x2000).map(|n| 8 * n).find(|at| memory.load_u64(*at) != ram.load_u64(*at));
        assert_eq!(differs, None, "{way:?}");
        if let Some(totals) = other.lockstep_totals() {
            assert_eq!(totals.unchecked, 0, "all of it is done twice");
        }
    }
    (v, ram)
}

fn run_as(way: Way, program: &[u32], x: [u64; 4]) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    for at in 0..0x8000 {
        ram.store_u8(BLOCK + at, pattern(at)).unwrap();
    }
    v.cpu.regs.x[..4].copy_from_slice(&x);
    // Where there is no host code all is interpreted.
    way.prepare(&mut v);
    to_the_first_exception(&mut v);
    (v, ram)
}

fn to_the_first_exception(v: &mut Vcpu) {
    for _ in 0..1000 {
        v.run_turns(1);
        assert_eq!(v.take_difference(), None);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            break;
        }
    }
}

/// The byte that a test finds at an offset in the blocks.
fn pattern(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 13) as u8
}

fn esr(v: &Vcpu) -> u64 {
    v.cpu.sys[Reg::ESR_EL2]
}

/// ESR_EL2 of the HVC at the end of a program.
const DONE: u64 = 0x16 << 26 | 1 << 25 | 0x123;

#[test]
fn copies_move_blocks() {
    // Offsets of target and source, size: apart, across pages, overlapping in both ways, nothing.
    for (to, from, size) in [
        (0x3000, 0x100, 0x40),
        (0x3003, 0x101, 0x1234),
        (0x5000, 0xffd, 7),
        (0x0ff9, 0x3ff1, 0x2005),
        (0x200, 0x201, 0x1801),
        (0x200, 0x20b, 0x1801),
        (0x20b, 0x200, 0x1801),
        (0x201, 0x200, 0x1801),
        (0x300, 0x300, 0x80),
        (0x300, 0x400, 0),
    ] {
        for (program, both_ways) in [(CPYF, false), (CPY, true)] {
            if !both_ways && to > from && to < from + size {
                continue;
            }
            let (v, ram) = run(&program, [RAM + BLOCK + to, RAM + BLOCK + from, size, 0]);
            assert_eq!(esr(&v), DONE, "{:08x} {to:#x} {from:#x} {size:#x}", program[0]);
            for at in 0..0x8000 {
                let expected =
                    if (to..to + size).contains(&at) { pattern(at - to + from) } else { pattern(at) };
                assert_eq!(ram.load_u8(BLOCK + at), Some(expected), "{to:#x} {from:#x} {size:#x}: {at:#x}");
            }
            let backward = both_ways && to > from && to < from + size;
            let moved = if backward { 0 } else { size };
            assert_eq!(v.cpu.regs.x[..3], [RAM + BLOCK + to + moved, RAM + BLOCK + from + moved, 0]);
            assert_eq!(v.cpu.regs.nzcv, 0);
        }
    }
}

#[test]
fn set_fills_a_block() {
    for (to, size) in [(0x100, 0x10), (0xffb, 0x2011), (0x123, 1), (0x123, 0)] {
        let (v, ram) = run(&SET, [RAM + BLOCK + to, 0, size, 0xab5a]);
        assert_eq!(esr(&v), DONE);
        for at in 0..0x8000 {
            let expected = if (to..to + size).contains(&at) { 0x5a } else { pattern(at) };
            assert_eq!(ram.load_u8(BLOCK + at), Some(expected), "{at:#x}");
        }
        assert_eq!(v.cpu.regs.x[0], RAM + BLOCK + to + size);
        assert_eq!(v.cpu.regs.x[2], 0);
    }
}

#[test]
fn the_prologue_sets_the_registers_up() {
    let (v, _) = run(&CPYF[..1], [0x1000, 0x5000, 0x30, 0]);
    assert_eq!(v.cpu.regs.x[..3], [0x1030, 0x5030, 0x30u64.wrapping_neg()]);
    let (v, _) = run(&CPY[..1], [0x5010, 0x5000, 0x30, 0]);
    assert_eq!(v.cpu.regs.x[..3], [0x5010, 0x5000, 0x30], "backward");
    // The limits.
    let (v, _) = run(&CPYF[..1], [0, 0, 1 << 63, 0]);
    assert_eq!(v.cpu.regs.x[2], (i64::MAX as u64).wrapping_neg());
    let (v, _) = run(&CPY[..1], [0, 1 << 40, u64::MAX, 0]);
    assert_eq!(v.cpu.regs.x[2], ((1u64 << 55) - 1).wrapping_neg());
}

/// ISS: MemInst 24, options 22:19, FromEpilogue 18, WrongOption 17, OptionA 16, registers.
#[test]
fn a_sequence_must_fit_together() {
    let registers = 1 << 5 | 2;
    let mismatch = 0x27 << 26 | 1 << 25 | 1 << 16 | registers;
    let here = RAM + BLOCK;
    let (v, _) = run(&CPYF[1..2], [here, here, 8, 0]);
    assert_eq!(esr(&v), mismatch, "a positive size goes nowhere forward");
    let (v, _) = run(&CPY[2..], [here, here, 8, 0]);
    assert_eq!(esr(&v), mismatch | 1 << 18, "an epilogue with bytes left");
    // mov x4, #0x20000000; msr nzcv, x4
    let option_b = [0xd2a4_0004, 0xd51b_4204];
    let (v, _) = run(&[option_b[0], option_b[1], CPYF[1]], [here, here, 8u64.wrapping_neg(), 0]);
    assert_eq!(esr(&v), mismatch | 1 << 17);
    assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + 8);
    let (v, _) = run(&[option_b[0], option_b[1], 0x19c3_5440 /* setmt */], [here, 0, 8u64.wrapping_neg(), 0]);
    assert_eq!(esr(&v), 0x27 << 26 | 1 << 25 | 1 << 24 | 1 << 19 | 1 << 17 | 1 << 16 | 3 << 5 | 2);
    let (v, _) = run(&[option_b[0], option_b[1], CPYF[1], CPYF[2]], [here, here, 0, 0]);
    assert_eq!(esr(&v), DONE, "nothing is left, nothing is asked");
}

#[test]
fn a_fault_leaves_what_is_left() {
    // To the end of RAM, which is 0x100 bytes too early.
    let (v, ram) = run(&CPYF, [RAM + 0xff00, RAM + BLOCK, 0x200, 0]);
    assert_eq!(esr(&v) >> 26, 0x25);
    assert_eq!(esr(&v) >> 6 & 1, 1, "WnR");
    assert_eq!(v.cpu.sys[Reg::FAR_EL2], RAM + 0x1_0000);
    assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + 4);
    assert_eq!(v.cpu.regs.x[2], 0x100u64.wrapping_neg());
    assert_eq!(ram.load_u8(0xffff), Some(pattern(0xff)));
    let (v, _) = run(&CPY, [RAM + BLOCK, RAM + 0xffff, 2, 0]);
    assert_eq!((esr(&v) >> 26, esr(&v) >> 6 & 1), (0x25, 0), "a read");
}

#[test]
fn more_than_is_moved_at_a_time() {
    let (v, _) = run(&SET, [RAM + 0x1000, 0, 0xe000, 1]);
    assert_eq!(esr(&v), DONE);
}

/// Normal memory behind tables, where pages are found without a call of anything.
#[test]
fn in_mapped_memory() {
    const DATA: u64 = 0x9000;
    for (program, to, from, size) in [
        (CPY, 0x123, 0x2001, 0x1f00),
        (CPY, 0x801, 0x700, 0x1800),
        (CPYF, 8, 0x10, 0x2345),
        (SET, 0xfe, 0, 0x2002),
    ] {
        for way in [Way::Interpreted, Way::Baseline, Way::Host, Way::Lockstep] {
            let (mut v, ram) = mapped(&program, 0);
            (0..0x6000).for_each(|at| ram.store_u8(DATA + at, pattern(at)).unwrap());
            if !way.prepare(&mut v) {
                continue;
            }
            v.cpu.regs.x[..4].copy_from_slice(&[RAM + DATA + to, RAM + DATA + from, size, 0x5a]);
            to_the_first_exception(&mut v);
            assert_eq!(esr(&v), DONE, "{way:?}");
            for at in 0..0x6000 {
                let expected = match at {
                    at if !(to..to + size).contains(&at) => pattern(at),
                    _ if program == SET => 0x5a,
                    at => pattern(at - to + from),
                };
                assert_eq!(ram.load_u8(DATA + at), Some(expected), "{:08x} {way:?}: {at:#x}", program[0]);
            }
            if way == Way::Host {
                assert_eq!(v.cpu.counters.get(Metric::Interpreted), 0, "nothing is left to the interpreter");
            }
        }
    }
}

/// Counts bytes that are written.
#[derive(Default)]
struct Counts(AtomicU64);

impl MmioDevice for Counts {
    fn name(&self) -> &str {
        "counts"
    }
    fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
        Ok(0)
    }
    fn write(&self, _: u64, _: Size, _: u64, _: Requester) -> Result<(), BusFault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A device behind the last page of RAM: what is in RAM is moved, and the device sees each byte once.
#[test]
fn registers_of_devices_are_written_once_also_in_lockstep() {
    for way in [Way::Interpreted, Way::Host, Way::Lockstep] {
        let (mut v, ram) = vcpu(&SET);
        let device = Arc::new(Counts::default());
        v.cpu.mem.bus().map(Pa(RAM + 0x1_0000), 0x1000, Backing::Mmio(device.clone())).unwrap();
        v.cpu.mem.refresh_view();
        if !way.prepare(&mut v) {
            continue;
        }
        v.cpu.regs.x[..4].copy_from_slice(&[RAM + 0xfff0, 0, 0x18, 0x77]);
        to_the_first_exception(&mut v);
        assert_eq!(esr(&v), DONE, "{way:?}");
        assert_eq!(ram.load_u64(0xfff8), Some(0x7777_7777_7777_7777));
        assert_eq!(device.0.load(Ordering::Relaxed), 8, "{way:?}");
    }
}

#[test]
fn undefined_unless_enabled() {
    for (el, control, allowed) in
        [(El::El2, 0, true), (El::El1, 0, false), (El::El1, hcrx::MSCEN, true), (El::El0, hcrx::MSCEN, false)]
    {
        let (mut v, _) = vcpu(&SET);
        v.cpu.sys[Reg::HCRX_EL2] = control;
        v.cpu.set_level(el, el.is_privileged());
        assert_eq!(v.cpu.mode().mops, allowed, "{el} {control:#x}");
    }
}
