//! Loops that go through calls, indirect branches and several pages: host code does what the interpreter does.

use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::sysreg::Reg;

use super::{RAM, mapped, vcpu};
use crate::interp::vcpu::Vcpu;

pub(super) const HVC: u32 = 0xd400_2462;
/// Bit GP of a descriptor: the page is guarded.
const GUARDED: u64 = 1 << 50;

/// Runs to the first exception.
fn run(mut v: Vcpu) -> Vcpu {
    for _ in 0..100_000 {
        v.run_turns(1);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            return v;
        }
    }
    panic!("PC {:#x}", v.cpu.regs.pc);
}

/// Runs code at offsets in RAM with the interpreter and as host code, which must do the same. Gives the latter's end.
pub(super) fn both(make: impl Fn() -> (Vcpu, &'static GuestRam), code: &[(u64, &[u32])]) -> Vcpu {
    let made = || {
        let (v, ram) = make();
        for (at, words) in code {
            for (i, word) in words.iter().enumerate() {
                ram.store_u32(at + 4 * i as u64, *word).unwrap();
            }
        }
        v
    };
    let interpreted = run(made());
    let mut last = None;
    for baseline in [true, false] {
        let mut v = made();
        let has_jit = if baseline { v.use_baseline_jit(1 << 20, 1) } else { v.use_jit(1 << 20, 1) };
        assert!(has_jit || cfg!(not(all(target_arch = "x86_64", target_os = "linux"))));
        let v = run(v);
        assert_eq!(v.cpu.regs.x, interpreted.cpu.regs.x);
        for reg in [Reg::ESR_EL2, Reg::ELR_EL2, Reg::SPSR_EL2] {
            assert_eq!(v.cpu.sys[reg], interpreted.cpu.sys[reg], "{reg:?}");
        }
        let count = |v: &Vcpu| v.cpu.counters.get(Metric::Instructions);
        assert_eq!(count(&v), count(&interpreted));
        last = Some(v);
    }
    last.unwrap()
}

const PROGRAM: [u32; 12] = [
    0xd280_0000, // mov x0, #0
    0xd280_0001, // mov x1, #0
    0xd281_7702, // mov x2, #3000
    0xd282_0004, // mov x4, #0x1000
    0xf2a8_0004, // movk x4, #0x4000, lsl #16
    0x9240_0445, // and x5, x2, #3
    0x8b05_3083, // add x3, x4, x5, lsl #12
    0xd63f_0060, // blr x3
    0x8b00_0c21, // add x1, x1, x0, lsl #3
    0xf100_0442, // subs x2, x2, #1
    0x54ff_ff61, // b.ne (and)
    HVC,
];
const FUNCTION: [u32; 5] = [
    0x9100_0400, // add x0, x0, #1
    0xca00_0021, // eor x1, x1, x0
    0xeb01_001f, // cmp x0, x1
    0x9a81_8400, // csinc x0, x0, x1, hi
    0xd65f_03c0, // ret
];

#[test]
fn functions_in_other_pages() {
    let function = |n: u32| {
        let mut words = FUNCTION;
        words[0] += n << 10;
        words
    };
    let [f, g, h, i] = [1, 2, 3, 4].map(function);
    let code: [(u64, &[u32]); 5] = [(0, &PROGRAM), (0x1000, &f), (0x2000, &g), (0x3000, &h), (0x4000, &i)];
    both(|| vcpu(&[]), &code);
    both(|| mapped(&[], 0), &code);
    // One target only.
    let mut program = PROGRAM;
    program[5] = 0xd280_0005; // mov x5, #0
    both(|| vcpu(&[]), &[(0, &program), (0x1000, &f)]);
    // Two of them.
    program[5] = 0x9240_0045; // and x5, x2, #1
    both(|| mapped(&[], 0), &[(0, &program), (0x1000, &f), (0x2000, &g)]);
}

#[test]
fn a_function_that_changes() {
    let program = [
        0xd280_0000, // mov x0, #0
        0xd280_fa02, // mov x2, #2000
        0xd282_0004, // mov x4, #0x1000
        0xf2a8_0004, // movk x4, #0x4000, lsl #16
        0x5282_8006, // mov w6, #0x1400
        0x72b2_2006, // movk w6, #0x9100, lsl #16
        0x9400_03fa, // bl (function)
        0xf100_0442, // subs x2, x2, #1
        0xf10f_a05f, // cmp x2, #1000
        0x5400_0060, // b.eq (str)
        0xb5ff_ff82, // cbnz x2, (bl)
        HVC,
        0xb900_0086, // str w6, [x4]
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0x17ff_fff7, // b (bl)
    ];
    // add x0, x0, #1, later #5; ret
    let code: [(u64, &[u32]); 2] = [(0, &program), (0x1000, &[0x9100_0400, 0xd65f_03c0])];
    for v in [both(|| vcpu(&[]), &code), both(|| mapped(&[], 0), &code)] {
        assert_eq!(v.cpu.regs.x[0], 1000 + 5 * 1000);
    }
}

/// Calls a function in another page, half of the times after `instruction`.
fn a_loop_around(instruction: u32) -> Vcpu {
    let program = [
        0xd280_0000, // mov x0, #0
        0xd281_7702, // mov x2, #3000
        0x9400_03fe, // bl (function)
        0xf100_0442, // subs x2, x2, #1
        0xf117_705f, // cmp x2, #1500
        0x5400_0060, // b.eq (instruction)
        0xb5ff_ff82, // cbnz x2, (bl)
        HVC,
        instruction,
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0x17ff_fff7, // b (bl)
    ];
    // add x0, x0, #1; ret
    let v = both(|| mapped(&[], 0), &[(0, &program), (0x1000, &[0x9100_0400, 0xd65f_03c0])]);
    assert_eq!(v.cpu.regs.x[0], 3000);
    v
}

/// After a TLBI the function might be elsewhere; when the loop has gone round a while it is compiled again, to go there
/// directly.
#[test]
fn a_loop_is_made_anew_where_it_is_in_another_context() {
    let compiled = |v: &Vcpu| v.cpu.counters.get(Metric::Compiled);
    let (same, other) =
        (a_loop_around(0xd50c_879f /* tlbi alle1 */), a_loop_around(0xd50c_871f /* tlbi alle2 */));
    let has_jit = cfg!(all(target_arch = "x86_64", target_os = "linux"));
    assert_eq!(has_jit, compiled(&other) > compiled(&same), "{} {}", compiled(&other), compiled(&same));
}

#[test]
fn calls_land_in_guarded_pages() {
    let program = [
        0xd280_0000, // mov x0, #0
        0xd280_fa02, // mov x2, #2000
        0xd282_0003, // mov x3, #0x1000
        0xf2a8_0003, // movk x3, #0x4000, lsl #16
        0xd63f_0060, // blr x3
        0xf117_701f, // cmp x0, #1500
        0x5400_0041, // b.ne (subs)
        0x9100_3063, // add x3, x3, #12
        0xf100_0442, // subs x2, x2, #1
        0x54ff_ff61, // b.ne (blr)
        HVC,
    ];
    // bti c; add x0, x0, #1; ret; then the same where one must not land.
    let function = [0xd503_245f, 0x9100_0400, 0xd65f_03c0, 0x9100_0400, 0xd65f_03c0];
    let code: [(u64, &[u32]); 2] = [(0, &program), (0x1000, &function)];
    let v = both(|| mapped(&[], GUARDED), &code);
    assert_eq!((v.cpu.sys[Reg::ESR_EL2], v.cpu.sys[Reg::ELR_EL2]), (0x3600_0002, RAM + 0x100c));
    let v = both(|| mapped(&[], 0), &code);
    assert_eq!(v.cpu.regs.x[0], 2000);
}

#[test]
fn a_loop_over_the_end_of_a_page() {
    // mov x0, #0; mov x2, #3000; b 0xff4
    let start = [0xd280_0000, 0xd281_7702, 0x1400_03fb];
    let body = [
        0x8b02_0000, // add x0, x0, x2
        0x3618_0042, // tbz w2, #3, (nop)
        0xd240_1c00, // eor x0, x0, #0xff
        0xd503_201f, // nop
        0xd503_201f, // nop
        0xf100_0442, // subs x2, x2, #1
        0x54ff_ff41, // b.ne (add)
        HVC,
    ];
    both(|| vcpu(&[]), &[(0, &start), (0xff4, &body)]);
    both(|| mapped(&[], 0), &[(0, &start), (0xff4, &body)]);
}

#[test]
fn a_comparison_of_numbers_is_the_last_one_when_its_loop_ends() {
    let program = [
        0xd280_7d03, // mov x3, #1000
        0x9e62_0061, // scvtf d1, x3
        0x9e67_03e0, // fmov d0, xzr
        0x1e6e_1002, // fmov d2, #1.0
        0xd280_fa02, // mov x2, #2000
        0xb500_00c8, // cbnz x8, (hvc)
        0x1e61_2000, // fcmp d0, d1
        0x1e62_2800, // fadd d0, d0, d2
        0xd100_0442, // sub x2, x2, #1
        0xb5ff_ff82, // cbnz x2, (cbnz x8)
        0xd53b_4205, // mrs x5, nzcv
        HVC,
    ];
    let v = both(|| mapped(&[], 0), &[(0, &program)]);
    assert_eq!(v.cpu.regs.x[5], 0x2000_0000, "greater");
}
