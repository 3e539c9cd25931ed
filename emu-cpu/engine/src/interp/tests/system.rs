//! System instructions that host code does by itself where nothing traps them, as the interpreter does them and as host
//! code does.

use emu_core::ram::GuestRam;
use emu_pe::sysreg::{Reg, sctlr};

use super::calls::{HVC, both};
use super::{RAM, mapped};
use crate::interp::vcpu::Vcpu;

/// EL2 with these bits of SCTLR_EL2, and keys.
fn with_keys(enabled: u64) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = mapped(&[], 0);
    let sys = &mut v.cpu.sys;
    sys[Reg::SCTLR_EL2] |= enabled;
    for (n, reg) in [
        Reg::APIAKeyLo_EL1,
        Reg::APIAKeyHi_EL1,
        Reg::APIBKeyLo_EL1,
        Reg::APIBKeyHi_EL1,
        Reg::APDAKeyLo_EL1,
        Reg::APDAKeyHi_EL1,
        Reg::APDBKeyLo_EL1,
        Reg::APDBKeyHi_EL1,
    ]
    .into_iter()
    .enumerate()
    {
        sys[reg] = 0x0123_4567_89ab_cdef_u64.rotate_left(n as u32 * 7);
    }
    v.cpu.refresh();
    (v, ram)
}

/// For each key: `sign X0, X1; eor X3, X3, X0; check X0, X1`, in a loop that goes on with other values.
fn signs_and_checks() -> Vec<u32> {
    let mut words = vec![
        0xd282_4680, // mov x0, #0x1234
        0xf2a0_0020, // movk x0, #1, lsl #16
        0xd280_1f42, // mov x2, #250
    ];
    let body = words.len();
    for key in 0..4 {
        words.push(0xdac1_0020 | key << 10);
        words.push(0xca00_0063);
        words.push(0xdac1_1020 | key << 10);
    }
    words.push(0x9113_3c21); // add x1, x1, #0x4cf
    words.push(0x8b02_0000); // add x0, x0, x2
    words.push(0xf100_0442); // subs x2, x2, #1
    let back = words.len() - body;
    words.push(0x5400_0001 | (back as u32).wrapping_neg() << 5 & 0x00ff_ffe0);
    words
}

#[test]
fn pointers_are_signed_and_checked() {
    let all = sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
    let run = |enabled: u64| {
        let mut words = signs_and_checks();
        words.push(HVC);
        both(|| with_keys(enabled), &[(0, &words)]).cpu.regs
    };
    let (on, off, some) = (run(all), run(0), run(sctlr::ENIB));
    assert_eq!((on.x[0], off.x[0]), (some.x[0], some.x[0]), "what was signed comes back");
    assert_eq!(on.x[0] >> 48, 0);
    assert_ne!(on.x[3], some.x[3]);
    assert_ne!(off.x[3], some.x[3]);
}

#[test]
fn a_wrong_code_is_an_exception() {
    let mut words = signs_and_checks();
    // pacia x0, x1; eor x0, x0, #1 << 50; autia x0, x1
    let at = words.len() as u64 * 4;
    words.extend([0xdac1_0020, 0xd24e_0000, 0xdac1_1020, HVC]);
    let v = both(|| with_keys(sctlr::ENIA), &[(0, &words)]);
    assert_eq!(v.cpu.sys[Reg::ESR_EL2] >> 26, 0x1c, "FPAC");
    assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + at + 8);
}

#[test]
fn lines_are_cleaned_and_zeroed() {
    let words = [
        0xd2a8_0001, // mov x1, #0x4000_0000
        0x9140_1021, // add x1, x1, #4, lsl #12
        0xd280_0802, // mov x2, #64
        0xf900_0422, // str x2, [x1, #8]
        0xd50b_7e21, // dc civac, x1
        0xd503_3f9f, // dsb sy
        0xd53b_00e3, // mrs x3, dczid_el0
        0xd50b_7b21, // dc cvau, x1
        0xd50b_7521, // ic ivau, x1
        0x3610_0042, // tbz w2, #2, + 8
        0xd50b_7421, // dc zva, x1
        0xf940_0424, // ldr x4, [x1, #8]
        0x8b04_00a5, // add x5, x5, x4
        0x9101_0021, // add x1, x1, #64
        0xf100_0442, // subs x2, x2, #1
        0x54ff_fe81, // b.ne (str)
        HVC,
    ];
    let regs = both(|| mapped(&[], 0), &[(0, &words)]).cpu.regs;
    assert_eq!(regs.x[3], 4);
    // Where bit 2 of the count is set the line was zeroed.
    assert_eq!(regs.x[5], (1..=64).filter(|n| n & 4 == 0).sum::<u64>());
}
