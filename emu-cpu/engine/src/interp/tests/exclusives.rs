//! Exclusives, as the interpreter does them and as host code does.

use super::calls::{HVC, both};
use super::mapped;

#[test]
fn what_was_loaded_decides() {
    let words = [
        0xd2a8_0001, // mov x1, #0x4000_0000
        0x9140_1021, // add x1, x1, #4, lsl #12
        0x9100_2027, // add x7, x1, #8
        0xd280_0c82, // mov x2, #100
        0xf900_003f, // str xzr, [x1]
        0xf900_00ff, // str xzr, [x7]
        0xc85f_7c23, // ldxr x3, [x1]
        0x8b02_0063, // add x3, x3, x2
        0xc804_7c23, // stxr w4, x3, [x1]
        0x8b04_00a5, // add x5, x5, x4
        0xc804_7c22, // stxr w4, x2, [x1]
        0x8b04_00c6, // add x6, x6, x4
        0x885f_fc23, // ldaxr w3, [x1]
        0x8804_fce2, // stlxr w4, w2, [x7]
        0x8b04_00c6, // add x6, x6, x4
        0x485f_7c23, // ldxrh w3, [x1]
        0x0804_7c22, // stxrb w4, w2, [x1]
        0x8b04_00c6, // add x6, x6, x4
        0x085f_7ce3, // ldxrb w3, [x7]
        0xd503_3f5f, // clrex
        0x0804_7ce2, // stxrb w4, w2, [x7]
        0x8b04_00c6, // add x6, x6, x4
        0xc85f_7ce3, // ldxr x3, [x7]
        0xf900_00e2, // str x2, [x7]
        0xc804_7ce3, // stxr w4, x3, [x7]
        0x8b04_00c6, // add x6, x6, x4
        0x085f_7ce3, // ldxrb w3, [x7]
        0x1101_0063, // add w3, w3, #64
        0x0804_fce3, // stlxrb w4, w3, [x7]
        0x8b04_00a5, // add x5, x5, x4
        0x485f_7ce8, // ldxrh w8, [x7]
        0xf100_0442, // subs x2, x2, #1
        0x54ff_fcc1, // b.ne 18 (ldxr)
        0xf940_0029, // ldr x9, [x1]
        HVC,
    ];
    let regs = both(|| mapped(&[], 0), &[(0, &words)]).cpu.regs;
    assert_eq!(regs.x[9], 5050, "the sum of 100 to 1");
    assert_eq!(regs.x[5], 0, "nothing was in between");
    // Closed by a store-exclusive; another address; another size; closed by CLREX; another value since.
    assert_eq!(regs.x[6], 5 * 100);
    assert_eq!(regs.x[8], 65, "only a byte of the last 1 was stored");
}
