//! The few instructions that are written by hand.

use firmware::guest_tests::registers::SysReg;

pub(super) const ERET: u32 = 0xd69f_03e0;
pub(super) const RET: u32 = 0xd65f_03c0;
pub(super) const NOP: u32 = 0xd503_201f;
pub(super) const ISB: u32 = 0xd503_3fdf;
pub(super) const DSB: u32 = 0xd503_3f9f;
/// Conditions.
pub(super) const HI: u32 = 8;
pub(super) const LS: u32 = 9;

pub(super) fn msr(register: SysReg, rt: u32) -> u32 {
    0xd500_0000 | register.field() | rt
}
pub(super) fn mrs(register: SysReg, rt: u32) -> u32 {
    0xd520_0000 | register.field() | rt
}
/// MOVZ Xd, imm, LSL 16 * `half`.
pub(super) fn movz(rd: u32, imm: u64, half: u32) -> u32 {
    0xd280_0000 | half << 21 | (imm as u32 & 0xffff) << 5 | rd
}
/// MOVK.
pub(super) fn movk(rd: u32, imm: u64, half: u32) -> u32 {
    0xf280_0000 | half << 21 | (imm as u32 & 0xffff) << 5 | rd
}
/// A register gets a constant.
pub(super) fn constant(rd: u32, value: u64) -> Vec<u32> {
    let mut out = vec![movz(rd, value, 0)];
    out.extend(
        (1..4)
            .filter(|half| value >> (16 * half) & 0xffff != 0)
            .map(|half| movk(rd, value >> (16 * half), half)),
    );
    out
}
/// Branches take distances in bytes.
pub(super) fn b(distance: i64) -> u32 {
    0x1400_0000 | (distance / 4) as u32 & 0x3ff_ffff
}
pub(super) fn bl(distance: i64) -> u32 {
    0x9400_0000 | (distance / 4) as u32 & 0x3ff_ffff
}
pub(super) fn b_cond(cond: u32, distance: i64) -> u32 {
    0x5400_0000 | ((distance / 4) as u32 & 0x7_ffff) << 5 | cond
}
pub(super) fn cbnz(rt: u32, distance: i64) -> u32 {
    0xb500_0000 | ((distance / 4) as u32 & 0x7_ffff) << 5 | rt
}
pub(super) fn cbz(rt: u32, distance: i64) -> u32 {
    0xb400_0000 | ((distance / 4) as u32 & 0x7_ffff) << 5 | rt
}
pub(super) fn tbz(rt: u32, bit: u32, distance: i64) -> u32 {
    0x3600_0000 | (bit >> 5) << 31 | (bit & 31) << 19 | ((distance / 4) as u32 & 0x3fff) << 5 | rt
}
pub(super) fn br(rn: u32) -> u32 {
    0xd61f_0000 | rn << 5
}
pub(super) fn blr(rn: u32) -> u32 {
    0xd63f_0000 | rn << 5
}
/// ADR Xd, here + `distance`.
pub(super) fn adr(rd: u32, distance: i64) -> u32 {
    let d = distance as u32;
    0x1000_0000 | (d & 3) << 29 | (d >> 2 & 0x7_ffff) << 5 | rd
}
/// LDR Xt, [Xn, `offset`].
pub(super) fn ldr(rt: u32, rn: u32, offset: u64) -> u32 {
    0xf940_0000 | ((offset as u32 / 8) & 0xfff) << 10 | rn << 5 | rt
}
/// LDR Qt, [Xn, `offset`].
pub(super) fn ldr_q(rt: u32, rn: u32, offset: u64) -> u32 {
    0x3dc0_0000 | ((offset as u32 / 16) & 0xfff) << 10 | rn << 5 | rt
}
