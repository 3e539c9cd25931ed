//! Data processing.

use super::{Next, PC, lower, nzcv, run, x0};
use crate::ir::{ExcOp, Op, Term, Ty};
use crate::lower::logical::bit_mask;

const MIN: u64 = 1 << 63;
const MIN32: u64 = 1 << 31;

#[test]
fn add_and_subtract() {
    assert_eq!(x0(0x8b02_0020 /* add x0, x1, x2 */, [u64::MAX, 2, 0], 0), 1);
    assert_eq!(x0(0x0b02_0020 /* add w0, w1, w2 */, [0xffff_ffff_ffff_ffff, 2, 0], 0), 1);
    assert_eq!(x0(0x5100_0420 /* sub w0, w1, #1 */, [0, 0, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0x917f_fc20 /* add x0, x1, #0xfff, lsl #12 */, [1, 0, 0], 0), 0xff_f001);
    assert_eq!(x0(0x8b02_fc20 /* add x0, x1, x2, lsl #63 */, [1, 3, 0], 0), MIN + 1);
    assert_eq!(x0(0xcb82_1020 /* sub x0, x1, x2, asr #4 */, [0, MIN, 0], 0), 1 << 59);
    assert_eq!(x0(0x0b42_7c20 /* add w0, w1, w2, lsr #31 */, [5, 0xf_8000_0000, 0], 0), 6);
    assert_eq!(x0(0x4b02_03e0 /* neg w0, w2 */, [0, 1, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0x8b22_1020 /* add x0, x1, w2, uxtb #4 */, [1, 0x1ff, 0], 0), 0xff1);
    assert_eq!(x0(0x8b22_a420 /* add x0, x1, w2, sxth #1 */, [0, 0x8000, 0], 0), 0xffff_ffff_ffff_0000);
    assert_eq!(x0(0xcb22_c020 /* sub x0, x1, w2, sxtw */, [0, 0xffff_ffff, 0], 0), 1);
    assert_eq!(x0(0x0b22_8020 /* add w0, w1, w2, sxtb */, [0, 0x80, 0], 0), 0xffff_ff80);
}

#[test]
fn stack_pointer_and_zero_register() {
    let sp = |word| run(&[word], |m| (m.regs.x[31], m.regs.x[1]) = (0x1000, 0x20)).0.regs.x;
    assert_eq!(sp(0x9100_43ff /* add sp, sp, #16 */)[31], 0x1010);
    assert_eq!(sp(0x9100_003f /* mov sp, x1 */)[31], 0x20);
    assert_eq!(sp(0x8b21_67ff /* add sp, sp, x1, lsl #1 */)[31], 0x1040);
    assert_eq!(sp(0x9240_0c3f /* and sp, x1, #0xf */)[31], 0);
    assert_eq!(sp(0xf100_43ff /* cmp sp, #16 */)[31], 0x1000);
    assert_eq!(sp(0x8b01_003f /* add xzr, x1, x1 */)[31], 0x1000);
    assert_eq!(sp(0xaa1f_03e1 /* mov x1, xzr */)[1], 0);
    assert_eq!(sp(0x9100_03e1 /* mov x1, sp */)[1], 0x1000);
}

#[test]
fn flags_of_additions() {
    assert_eq!(nzcv(0xeb02_003f /* cmp x1, x2 */, [5, 5], 0), 0b0110);
    assert_eq!(nzcv(0xeb02_003f /* cmp x1, x2 */, [4, 5], 0), 0b1000);
    assert_eq!(nzcv(0xeb02_003f /* cmp x1, x2 */, [MIN, 1], 0), 0b0011);
    assert_eq!(nzcv(0x6b02_003f /* cmp w1, w2 */, [MIN32, 1], 0), 0b0011);
    assert_eq!(nzcv(0x7100_003f /* cmp w1, #0 */, [1 << 32, 0], 0), 0b0110);
    assert_eq!(nzcv(0xab02_003f /* cmn x1, x2 */, [u64::MAX, 1], 0), 0b0110);
    assert_eq!(nzcv(0xab02_003f /* cmn x1, x2 */, [MIN - 1, 1], 0), 0b1001);
    assert_eq!(nzcv(0x2b02_003f /* cmn w1, w2 */, [MIN32, MIN32], 0), 0b0111);
    assert_eq!(nzcv(0xeb22_403f /* cmp x1, w2, uxtw */, [1, 0xf_0000_0001], 0), 0b0110);
    assert_eq!(nzcv(0xeb02_03e0 /* negs x0, x2 */, [0, 0], 0), 0b0110);
}

#[test]
fn carries() {
    assert_eq!(x0(0x9a02_0020 /* adc x0, x1, x2 */, [1, 2, 0], 0b0010), 4);
    assert_eq!(x0(0x1a02_0020 /* adc w0, w1, w2 */, [0xffff_ffff, 0, 0], 0b0010), 0);
    assert_eq!(x0(0xda02_0020 /* sbc x0, x1, x2 */, [5, 3, 0], 0b0010), 2);
    assert_eq!(x0(0xda02_0020 /* sbc x0, x1, x2 */, [5, 3, 0], 0), 1);
    assert_eq!(x0(0xda1f_0020 /* sbc x0, x1, xzr */, [5, 0, 0], 0), 4);
    assert_eq!(x0(0x5a02_03e0 /* ngc w0, w2 */, [0, 0, 0], 0), 0xffff_ffff);
    assert_eq!(nzcv(0xba02_0020 /* adcs x0, x1, x2 */, [u64::MAX, 0], 0b0010), 0b0110);
    assert_eq!(nzcv(0xfa02_0020 /* sbcs x0, x1, x2 */, [0, 0], 0), 0b1000);
    assert_eq!(nzcv(0x7a02_0020 /* sbcs w0, w1, w2 */, [MIN32, 0], 0), 0b0011);
}

#[test]
fn logic_and_moves() {
    assert_eq!(x0(0x8ac2_1020 /* and x0, x1, x2, ror #4 */, [0xff, 0x123, 0], 0), 0x12);
    assert_eq!(x0(0x8a22_0020 /* bic x0, x1, x2 */, [0xff, 0x0f, 0], 0), 0xf0);
    assert_eq!(x0(0x2a22_0020 /* orn w0, w1, w2 */, [0, 0xf, 0], 0), 0xffff_fff0);
    assert_eq!(x0(0xca22_0020 /* eon x0, x1, x2 */, [1, 1, 0], 0), u64::MAX);
    assert_eq!(x0(0x2a22_03e0 /* mvn w0, w2 */, [0, 0, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0x2a01_03e0 /* mov w0, w1 */, [u64::MAX, 0, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0xd201_f020 /* eor x0, x1, #0xaaaaaaaaaaaaaaaa */, [0, 0, 0], 0), 0xaaaa_aaaa_aaaa_aaaa);
    assert_eq!(x0(0xd2f7_dde0 /* movz x0, #0xbeef, lsl #48 */, [0; 3], 0), 0xbeef << 48);
    assert_eq!(x0(0x1280_0000 /* movn w0, #0 */, [0; 3], 0), 0xffff_ffff);
    assert_eq!(x0(0x92bf_ffe0 /* movn x0, #0xffff, lsl #16 */, [0; 3], 0), 0xffff_ffff_0000_ffff);
    assert_eq!(x0(0xf2c2_4680 /* movk x0, #0x1234, lsl #32 */, [0; 3], 0), 0xffff_1234_ffff_ffff);
    assert_eq!(x0(0x7282_4680 /* movk w0, #0x1234 */, [0; 3], 0), 0xffff_1234);
    assert_eq!(nzcv(0xea02_003f /* tst x1, x2 */, [MIN, MIN], 0b0111), 0b1000);
    assert_eq!(nzcv(0x7200_003f /* tst w1, #1 */, [2, 0], 0b1011), 0b0100);
    assert_eq!(nzcv(0xea22_0020 /* bics x0, x1, x2 */, [1, 1], 0), 0b0100);
}

#[test]
fn moves_are_single_copies() {
    let ops = |word| lower(&[word]).insts.iter().map(|i| i.op).collect::<Vec<_>>();
    assert_eq!(ops(0xaa1f_03e0 /* mov x0, xzr */), [Op::Const(Ty::I64, 0), Op::SetX(0, crate::ir::Val(0))]);
    assert_eq!(ops(0xaa01_03e0 /* mov x0, x1 */), [Op::GetX(1), Op::SetX(0, crate::ir::Val(0))]);
    assert_eq!(ops(0x3200_f3e0 /* mov w0, #0x55555555 */)[0], Op::Const(Ty::I32, 0x5555_5555));
    assert_eq!(ops(0x5303_7c20 /* lsr w0, w1, #3 */).len(), 3);
    assert_eq!(ops(0xf980_0020 /* prfm pldl1keep, [x1] */), []);
}

#[test]
fn logical_immediates() {
    // 5,334 of the 8,192 combinations of N, immr and imms are allocated (13 bits; 64-bit forms).
    let all = (0..1 << 13).filter_map(|n| bit_mask(n >> 12, n & 63, n >> 6 & 63));
    let values: std::collections::HashSet<u64> = all.collect();
    assert_eq!(values.len(), 5334);
    assert_eq!(bit_mask(1, 0, 0), Some(1));
    assert_eq!(bit_mask(1, 0, 1), Some(MIN));
    assert_eq!(bit_mask(0, 0b111100, 0), Some(0x5555_5555_5555_5555));
    assert_eq!(bit_mask(0, 0b111101, 0), None);
    assert_eq!(bit_mask(1, 63, 0), None);
    assert_eq!(bit_mask(0, 0b100111, 4), Some(0xf00f_f00f_f00f_f00f));
}

#[test]
fn bitfields() {
    let x = 0x1234_5678_9abc_def0;
    assert_eq!(x0(0xd37c_ec20 /* lsl x0, x1, #4 */, [x, 0, 0], 0), x << 4);
    assert_eq!(x0(0x5301_0020 /* lsl w0, w1, #31 */, [3, 0, 0], 0), MIN32);
    assert_eq!(x0(0xd37c_fc20 /* lsr x0, x1, #60 */, [x, 0, 0], 0), 1);
    assert_eq!(x0(0x531c_7c20 /* lsr w0, w1, #28 */, [x, 0, 0], 0), 9);
    assert_eq!(x0(0x5300_7c20 /* lsr w0, w1, #0 */, [x, 0, 0], 0), 0x9abc_def0);
    assert_eq!(x0(0x937f_fc20 /* asr x0, x1, #63 */, [MIN, 0, 0], 0), u64::MAX);
    assert_eq!(x0(0x131f_7c20 /* asr w0, w1, #31 */, [MIN32, 0, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0xd348_4c20 /* ubfx x0, x1, #8, #12 */, [x, 0, 0], 0), 0xcde);
    assert_eq!(x0(0x5308_4c20 /* ubfx w0, w1, #8, #12 */, [x, 0, 0], 0), 0xcde);
    assert_eq!(x0(0x9348_3c20 /* sbfx x0, x1, #8, #8 */, [x, 0, 0], 0), 0xffff_ffff_ffff_ffde);
    assert_eq!(x0(0x1308_3c20 /* sbfx w0, w1, #8, #8 */, [x, 0, 0], 0), 0xffff_ffde);
    assert_eq!(x0(0xd378_1c20 /* ubfiz x0, x1, #8, #8 */, [x, 0, 0], 0), 0xf000);
    assert_eq!(x0(0x530c_1c20 /* ubfiz w0, w1, #20, #8 */, [x, 0, 0], 0), 0x0f00_0000);
    assert_eq!(x0(0x9378_1c20 /* sbfiz x0, x1, #8, #8 */, [x, 0, 0], 0), 0xffff_ffff_ffff_f000);
    assert_eq!(x0(0x131c_1c20 /* sbfiz w0, w1, #4, #8 */, [x, 0, 0], 0), 0xffff_ff00);
    assert_eq!(x0(0x937c_7c20 /* sbfiz x0, x1, #4, #32 */, [x, 0, 0], 0), 0xffff_fff9_abcd_ef00);
    assert_eq!(x0(0xb378_1c20 /* bfi x0, x1, #8, #8 */, [0x12, 0, 0], 0), 0xffff_ffff_ffff_12ff);
    assert_eq!(x0(0xb348_3c20 /* bfxil x0, x1, #8, #8 */, [0x1200, 0, 0], 0), 0xffff_ffff_ffff_ff12);
    assert_eq!(x0(0x331c_7c20 /* bfxil w0, w1, #28, #4 */, [0, 0, 0], 0), 0xffff_fff0);
    assert_eq!(x0(0x331c_0fe0 /* bfi w0, wzr, #4, #4 */, [0, 0, 0], 0), 0xffff_ff0f);
    assert_eq!(x0(0x5300_1c20 /* uxtb w0, w1 */, [x, 0, 0], 0), 0xf0);
    assert_eq!(x0(0x9340_1c20 /* sxtb x0, w1 */, [x, 0, 0], 0), 0xffff_ffff_ffff_fff0);
    assert_eq!(x0(0x1300_3c20 /* sxth w0, w1 */, [x, 0, 0], 0), 0xffff_def0);
    assert_eq!(x0(0x9340_7c20 /* sxtw x0, w1 */, [x, 0, 0], 0), 0xffff_ffff_9abc_def0);
    assert_eq!(x0(0x93c2_2020 /* extr x0, x1, x2, #8 */, [0xab, x, 0], 0), 0xab12_3456_789a_bcde);
    assert_eq!(x0(0x1382_2020 /* extr w0, w1, w2, #8 */, [0xab, x, 0], 0), 0xab9a_bcde);
    assert_eq!(x0(0x1381_1020 /* ror w0, w1, #4 */, [x, 0, 0], 0), 0x09ab_cdef);
    assert_eq!(x0(0x93c2_0020 /* extr x0, x1, x2, #0 */, [1, x, 0], 0), x);
}

#[test]
fn variable_shifts_are_modulo_the_width() {
    assert_eq!(x0(0x9ac2_2020 /* lsl x0, x1, x2 */, [1, 64, 0], 0), 1);
    assert_eq!(x0(0x1ac2_2020 /* lsl w0, w1, w2 */, [1, 33, 0], 0), 2);
    assert_eq!(x0(0x1ac2_2420 /* lsr w0, w1, w2 */, [0xf_8000_0000, 31, 0], 0), 1);
    assert_eq!(x0(0x1ac2_2820 /* asr w0, w1, w2 */, [MIN32, 4, 0], 0), 0xf800_0000);
    assert_eq!(x0(0x9ac2_2c20 /* ror x0, x1, x2 */, [1, 1, 0], 0), MIN);
}

#[test]
fn multiply_and_divide() {
    assert_eq!(x0(0x9b02_0c20 /* madd x0, x1, x2, x3 */, [3, 5, 7], 0), 22);
    assert_eq!(x0(0x9b02_8c20 /* msub x0, x1, x2, x3 */, [3, 5, 7], 0), 8u64.wrapping_neg());
    assert_eq!(x0(0x1b02_fc20 /* mneg w0, w1, w2 */, [3, 5, 0], 0), 0xffff_fff1);
    assert_eq!(x0(0x9b22_7c20 /* smull x0, w1, w2 */, [0xffff_ffff, 5, 0], 0), 5u64.wrapping_neg());
    assert_eq!(x0(0x9ba2_0c20 /* umaddl x0, w1, w2, x3 */, [0xf_ffff_ffff, 2, 1], 0), 0x1_ffff_ffff);
    assert_eq!(x0(0x9b22_8c20 /* smsubl x0, w1, w2, x3 */, [0xffff_ffff, 2, 1], 0), 3);
    assert_eq!(x0(0x9b42_7c20 /* smulh x0, x1, x2 */, [u64::MAX, u64::MAX, 0], 0), 0);
    assert_eq!(x0(0x9b42_7c20 /* smulh x0, x1, x2 */, [MIN, 2, 0], 0), u64::MAX);
    assert_eq!(x0(0x9bc2_7c20 /* umulh x0, x1, x2 */, [u64::MAX, u64::MAX, 0], 0), u64::MAX - 1);
    assert_eq!(x0(0x9ac2_0c20 /* sdiv x0, x1, x2 */, [MIN, u64::MAX, 0], 0), MIN);
    assert_eq!(x0(0x1ac2_0c20 /* sdiv w0, w1, w2 */, [MIN32, 0xffff_ffff, 0], 0), MIN32);
    assert_eq!(x0(0x9ac2_0c20 /* sdiv x0, x1, x2 */, [7u64.wrapping_neg(), 2, 0], 0), 3u64.wrapping_neg());
    assert_eq!(x0(0x9ac2_0c20 /* sdiv x0, x1, x2 */, [7, 0, 0], 0), 0);
    assert_eq!(x0(0x1ac2_0820 /* udiv w0, w1, w2 */, [u64::MAX, 1 << 32 | 16, 0], 0), 0x0fff_ffff);
    assert_eq!(x0(0x9ac2_0820 /* udiv x0, x1, x2 */, [7, 0, 0], 0), 0);
}

#[test]
fn bits_and_bytes() {
    let x = 0x0123_4567_89ab_cdef;
    assert_eq!(x0(0xdac0_0020 /* rbit x0, x1 */, [1, 0, 0], 0), MIN);
    assert_eq!(x0(0x5ac0_0020 /* rbit w0, w1 */, [1, 0, 0], 0), MIN32);
    assert_eq!(x0(0xdac0_0c20 /* rev x0, x1 */, [x, 0, 0], 0), 0xefcd_ab89_6745_2301);
    assert_eq!(x0(0x5ac0_0820 /* rev w0, w1 */, [x, 0, 0], 0), 0xefcd_ab89);
    assert_eq!(x0(0xdac0_0420 /* rev16 x0, x1 */, [x, 0, 0], 0), 0x2301_6745_ab89_efcd);
    assert_eq!(x0(0xdac0_0820 /* rev32 x0, x1 */, [x, 0, 0], 0), 0x6745_2301_efcd_ab89);
    assert_eq!(x0(0xdac0_1020 /* clz x0, x1 */, [0, 0, 0], 0), 64);
    assert_eq!(x0(0x5ac0_1020 /* clz w0, w1 */, [MIN, 0, 0], 0), 32);
    assert_eq!(x0(0xdac0_1420 /* cls x0, x1 */, [u64::MAX, 0, 0], 0), 63);
    assert_eq!(x0(0x5ac0_1420 /* cls w0, w1 */, [0x0fff_ffff, 0, 0], 0), 3);
}

#[test]
fn crc32_known_values() {
    // CRC-32 of "1" is 83DCEFB7, CRC-32C of "123456789" is E3069283.
    assert_eq!(x0(0x1ac2_4020 /* crc32b w0, w1, w2 */, [0xffff_ffff, 0x31, 0], 0) ^ 0xffff_ffff, 0x83dc_efb7);
    let x =
        x0(0x9ac2_5c20 /* crc32cx w0, w1, x2 */, [0xffff_ffff, u64::from_le_bytes(*b"12345678"), 0], 0);
    assert_eq!(x0(0x1ac2_5020 /* crc32cb w0, w1, w2 */, [x, 0x39, 0], 0) ^ 0xffff_ffff, 0xe306_9283);
    let h = x0(0x1ac2_4420 /* crc32h w0, w1, w2 */, [0, 0x1234_5678, 0], 0);
    let b = x0(0x1ac2_4020 /* crc32b w0, w1, w2 */, [0, 0x78, 0], 0);
    assert_eq!(h, x0(0x1ac2_4020 /* crc32b w0, w1, w2 */, [b, 0x56, 0], 0));
}

#[test]
fn conditional_select_and_compare() {
    assert_eq!(x0(0x9a82_0020 /* csel x0, x1, x2, eq */, [1, 2, 0], 0b0100), 1);
    assert_eq!(x0(0x1a82_0020 /* csel w0, w1, w2, eq */, [1, u64::MAX, 0], 0), 0xffff_ffff);
    assert_eq!(x0(0x9a82_c420 /* csinc x0, x1, x2, gt */, [1, 2, 0], 0b1000), 3);
    assert_eq!(x0(0x5a82_8020 /* csinv w0, w1, w2, hi */, [1, 2, 0], 0), 0xffff_fffd);
    assert_eq!(x0(0xda82_b420 /* csneg x0, x1, x2, lt */, [1, 2, 0], 0b1001), 2u64.wrapping_neg());
    assert_eq!(x0(0x1a9f_07e0 /* cset w0, ne */, [0; 3], 0), 1);
    assert_eq!(x0(0xda9f_13e0 /* csetm x0, eq */, [0; 3], 0b0100), u64::MAX);
    assert_eq!(nzcv(0xfa42_0025 /* ccmp x1, x2, #5, eq */, [3, 3], 0b0100), 0b0110);
    assert_eq!(nzcv(0xfa42_0025 /* ccmp x1, x2, #5, eq */, [3, 3], 0), 0b0101);
    assert_eq!(nzcv(0x3a5f_e82f /* ccmn w1, #31, #15, al */, [0xffff_ffe1, 0], 0), 0b0110);
    assert_eq!(nzcv(0xfa43_1820 /* ccmp x1, #3, #0, ne */, [2, 0], 0), 0b1000);
}

#[test]
fn flag_manipulation() {
    assert_eq!(nzcv(0xd500_401f /* cfinv */, [0, 0], 0b1111), 0b1101);
    for f in 0..16 {
        let (n, z, c, v) = (f >> 3 & 1, f >> 2 & 1, f >> 1 & 1, f & 1);
        assert_eq!(
            nzcv(0xd500_405f /* axflag */, [0, 0], f),
            (z | v) << 2 | (c & !v) << 1,
            "AXFLAG {n}{z}{c}{v}"
        );
        let want = (!c & !z & 1) << 3 | (z & c) << 2 | (c | z) << 1 | (!c & z & 1);
        assert_eq!(nzcv(0xd500_403f /* xaflag */, [0, 0], f), want, "XAFLAG {n}{z}{c}{v}");
    }
    assert_eq!(nzcv(0xba00_042f /* rmif x1, #0, #15 */, [0b1010, 0], 0), 0b1010);
    assert_eq!(nzcv(0xba1f_8426 /* rmif x1, #63, #6 */, [0b1010_0101, 0], 0b1001), 0b1011);
    assert_eq!(nzcv(0xba02_0420 /* rmif x1, #4, #0 */, [u64::MAX, 0], 0b0110), 0b0110);
    assert_eq!(nzcv(0x3a00_082d /* setf8 w1 */, [0x80, 0], 0b0110), 0b1011);
    assert_eq!(nzcv(0x3a00_082d /* setf8 w1 */, [0x180, 0], 0), 0b1000);
    assert_eq!(nzcv(0x3a00_482d /* setf16 w1 */, [0x1_0000, 0], 0), 0b0101);
    assert_eq!(nzcv(0x3a00_482d /* setf16 w1 */, [0x7fff, 0], 0b0010), 0b0010);
}

#[test]
fn pc_relative_addresses() {
    assert_eq!(x0(0x10ff_ffe0 /* adr x0, .-4 */, [0; 3], 0), PC - 4);
    let (m, _) =
        run(&[0xd503_201f /* nop */, 0x3000_0800 /* adr x0, .+0x101 */, 0x9000_0001, 0xb0ff_ffe2], |_| {});
    assert_eq!(m.regs.x[..3], [PC + 0x105, PC & !0xfff, (PC & !0xfff) - 0x3000]);
}

#[test]
fn reserved_fields_are_undefined() {
    let words = [
        0x0b02_8020, // ADD W0, W1, W2, LSL #32
        0x8bc2_0020, // ADD (shifted register) with shift type 3
        0x8b22_1420, // ADD (extended register) with shift 5
        0x1200_fc20, // AND (immediate) with imms of a whole element
        0x5300_8020, // UBFM W with imms 32
        0x52c0_0000, // MOVZ W with hw 2
        0xdac0_0020 | 7 << 10,
        0x0000_0000, // UDF
    ];
    for word in words {
        let block = lower(&[0xd503_201f /* nop */, word]);
        assert_eq!(block.term, Term::Exception(ExcOp::Undefined), "{word:08x}");
        assert!(block.insts.is_empty());
        assert_eq!(block.insns.len(), 2);
    }
}

#[test]
fn blocks_end_where_they_must() {
    let (_, next) = run(&[0xd503_201f /* nop */; 3], |_| {});
    assert_eq!(next, Next::At(PC + 12));
    let nops = |features| {
        super::translate(
            |_| Some(0xd503_201f /* nop */),
            super::Implementation::cautious(features),
            super::EL1,
            64,
        )
    };
    let block = nops(super::FeatureSet::default());
    assert_eq!(block.term, Term::Exception(ExcOp::Undefined));
    assert_eq!(nops(super::FeatureSet::of(&[super::Feat::Base])).insns.len(), 64);
}
