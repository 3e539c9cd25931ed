//! Accesses in a row that come to the end of their page, as the interpreter does them and as host code does.

use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::sysreg::{Reg, sctlr};

use super::{RAM, mapped};
use crate::interp::vcpu::Vcpu;

/// Data fault status of an alignment fault.
const ALIGNMENT: u64 = 0x21;

/// Virtual addresses of two pages of data in a row; no third one follows.
const DATA: u64 = RAM + 0x20_000;
/// Where they are in RAM: not next to one another.
const AT: [u64; 2] = [0x4000, 0x6000];

/// In a loop: the accesses, a step of the base X0 by `by` if it is not 0, and the way back.
fn program(accesses: &[u32], by: u32) -> Vec<u32> {
    let mut words = accesses.to_vec();
    if by != 0 {
        words.push(0x9100_0000 | by << 10);
    }
    let back = words.len() as u32;
    words.push(0x1400_0000 | back.wrapping_neg() & 0x03ff_ffff);
    words
}

/// Runs a program with X0 at an offset in the data until it faults: its state and the data then. `host`: as host code,
/// for any host or for this one.
fn run(words: &[u32], at: u64, second: bool, host: Option<bool>) -> (Vcpu, &'static GuestRam) {
    run_under(0, words, at, second, host)
}

/// The same with these bits of SCTLR_EL2 set, too.
fn run_under(
    control: u64,
    words: &[u32],
    at: u64,
    second: bool,
    host: Option<bool>,
) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = mapped(words, 0);
    let page = |at: u64| (RAM + at) | 1 << 10 | 1 << 6 | 3;
    ram.store_u64(0x8008, (RAM + 0x9000) | 3).unwrap();
    ram.store_u64(0x9000, (RAM + 0xa000) | 3).unwrap();
    ram.store_u64(0xa000, page(0)).unwrap();
    ram.store_u64(0xa000 + 0x20 * 8, page(AT[0])).unwrap();
    if second {
        ram.store_u64(0xa000 + 0x21 * 8, page(AT[1])).unwrap();
    }
    for n in 0..0x1000 {
        ram.store_u8(AT[0] + n, (n * 7) as u8).unwrap();
        ram.store_u8(AT[1] + n, (n * 5 + 1) as u8).unwrap();
    }
    v.cpu.sys[Reg::SCTLR_EL2] |= control;
    v.cpu.refresh();
    let regs = &mut v.cpu.regs;
    for n in 0..31 {
        regs.x[n] = (n as u64 + 1).wrapping_mul(0x0102_0408_1020_4081);
    }
    regs.x[0] = DATA + at;
    match host {
        None => {}
        Some(false) => assert!(v.use_baseline_jit(1 << 20, 1) || cfg!(not(target_arch = "x86_64"))),
        Some(true) => assert!(v.use_jit(1 << 20, 1) || cfg!(not(target_arch = "x86_64"))),
    }
    for _ in 0..10_000 {
        v.run_turns(1);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            return (v, ram);
        }
    }
    panic!("no fault");
}

/// Both ways agree wherever the accesses start.
fn same(accesses: &[u32], by: u32) {
    same_under(0, accesses, by, if by == 0 { 1 } else { 11 });
}

fn same_under(control: u64, accesses: &[u32], by: u32, starts: usize) {
    let words = program(accesses, by);
    for at in (0xe00..0xe21).step_by(starts) {
        for (second, this) in [(false, false), (false, true), (true, false), (true, true)] {
            let (a, ram) = run_under(control, &words, at, second, None);
            let (b, other) = run_under(control, &words, at, second, Some(this));
            let what = format!("{accesses:x?} from {at:#x}, {second}, {control:#x}");
            assert_eq!(a.cpu.regs.x, b.cpu.regs.x, "{what}");
            assert_eq!(a.cpu.regs.v, b.cpu.regs.v, "{what}");
            for reg in [Reg::ESR_EL2, Reg::FAR_EL2, Reg::ELR_EL2] {
                assert_eq!(a.cpu.sys[reg], b.cpu.sys[reg], "{what}: {reg:?}");
            }
            let end = if second { DATA + 0x2000 } else { DATA + 0x1000 };
            if a.cpu.sys[Reg::ESR_EL2] & 0x3f == ALIGNMENT {
                assert_eq!(control & sctlr::A, sctlr::A, "{what}");
                assert!(a.cpu.sys[Reg::FAR_EL2] % 16 != 0, "{what}");
            } else {
                assert_eq!(a.cpu.sys[Reg::FAR_EL2], end, "{what}: the first byte that cannot be accessed");
            }
            for n in (0..0x1000).step_by(8) {
                for at in AT {
                    assert_eq!(ram.load_u64(at + n), other.load_u64(at + n), "{what}: {:#x}", at + n);
                }
            }
        }
    }
}

#[test]
fn stores_of_vectors() {
    // stp q0, q1, [x0]; stp q2, q3, [x0, #32]
    same(&[0xad00_0400, 0xad01_0c02], 8);
    // stp q0, q1, [x0, #32]; stp q0, q1, [x0, #64]!
    same(&[0xad01_0400, 0xad82_0400], 0);
}

#[test]
fn loads_of_vectors() {
    // ldp q4, q5, [x0, #-32]; ldp q6, q7, [x0]
    same(&[0xad7f_1404, 0xad40_1c06], 8);
    // ldp q0, q1, [x0, #32]!
    same(&[0xadc1_0400], 0);
    // ldp q0, q1, [x0], #32
    same(&[0xacc1_0400], 0);
    // ldr d0, [x0]; ldr s1, [x0, #8]; ldur q2, [x0, #12]
    same(&[0xfd40_0000, 0xbd40_0801, 0x3cc0_c002], 4);
}

#[test]
fn stores_of_integers() {
    // stp x1, x2, [x0]; str w3, [x0, #16]; strb w3, [x0, #20]; str x21, [x0, #24]
    same(&[0xa900_0801, 0xb900_1003, 0x3900_5003, 0xf900_0c15], 4);
}

#[test]
fn with_alignment_checked_each_access_faults_by_itself() {
    let checked = |accesses, by| same_under(sctlr::A, accesses, by, if by == 0 { 1 } else { 5 });
    // stp q0, q1, [x0]; stp q2, q3, [x0, #32]: 16 bytes each.
    checked(&[0xad00_0400, 0xad01_0c02], 16);
    checked(&[0xad00_0400, 0xad01_0c02], 8);
    // stp x1, x2, [x0]; stp x3, x4, [x0, #16]
    checked(&[0xa900_0801, 0xa901_1003], 8);
    // st1 {v0.16b, v1.16b}, [x0]; st1 {v0.4s, v1.4s}, [x0]
    checked(&[0x4c00_a000], 7);
    checked(&[0x4c00_a800], 4);
    // ldp q4, q5, [x0, #-32]; ldp q6, q7, [x0]
    checked(&[0xad7f_1404, 0xad40_1c06], 16);
    // ldr d0, [x0]; ldr s1, [x0, #8]; ldur q2, [x0, #12]: they cannot all be aligned.
    checked(&[0xfd40_0000, 0xbd40_0801, 0x3cc0_c002], 4);
    // ldp q0, q1, [x0], #32; ldp x1, x2, [x0], #16
    checked(&[0xacc1_0400], 0);
    checked(&[0xa8c1_0801], 0);
    // stp x1, x2, [x0]; str w3, [x0, #16]; strb w3, [x0, #20]; str x21, [x0, #24]
    checked(&[0xa900_0801, 0xb900_1003, 0x3900_5003, 0xf900_0c15], 8);
    checked(&[0xa900_0801, 0xb900_1003, 0x3900_5003, 0xf900_0c15], 4);
}

#[test]
fn trailing_zeros() {
    // rbit x5, x0; clz x5, x5; rbit w2, w0; clz w2, w2
    let words = [0xdac0_0005, 0xdac0_10a5, 0x5ac0_0002, 0x5ac0_1042];
    for (value, wide, narrow) in
        [(0, 64, 32), (1, 0, 0), (0x8000_0000, 31, 31), (1 << 40, 40, 32), (u64::MAX << 63, 63, 32)]
    {
        for baseline in [false, true] {
            let (mut v, _) = super::vcpu(&words);
            let _ = if baseline { v.use_baseline_jit(1 << 20, 1) } else { v.use_jit(1 << 20, 1) };
            v.cpu.regs.x[0] = value;
            while v.cpu.counters.get(Metric::ExcToEl2) == 0 {
                v.run_turns(1);
            }
            assert_eq!((v.cpu.regs.x[5], v.cpu.regs.x[2]), (wide, narrow), "{value:#x}");
        }
    }
}

#[test]
fn a_copy_of_the_stack_pointer_stays() {
    // MOV X29, SP; SUB SP, SP, #0xe8; SUB X29, X29, #0x40; LDR X1, [X0]
    let words = program(&[0x9100_03fd, 0xd103_a3ff, 0xd101_03bd, 0xf940_0001], 8);
    let [interpreted, baseline, host] = [None, Some(false), Some(true)].map(|host| {
        let regs = run(&words, 0x100, true, host).0.cpu.regs;
        (regs.x[29], regs.x[31])
    });
    assert_eq!((baseline, host), (interpreted, interpreted));
    assert_eq!(host.0.wrapping_sub(host.1), 0xe8 - 0x40);
}
