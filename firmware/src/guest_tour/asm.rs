//! The few things that an assembler program wants beside instructions: constants of 64 bits, text in the middle of
//! code, and a system register set with a line that says why.

use dynasmrt::aarch64::Aarch64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler};

use super::sysreg;

/// Assembles into a vector of bytes. Nothing is executed on the host, so this works on any host.
pub(super) type Asm = VecAssembler<Aarch64Relocation>;

/// `dynasm!` for AArch64. `->name:` is a label of the whole program, `name:` one that `<name` and `>name` find backwards
/// and forwards, and a statement after `;;` is Rust that runs while assembling.
macro_rules! asm {
    ($a:ident $($code:tt)*) => { ::dynasmrt::dynasm!($a ; .arch aarch64 $($code)*) };
}
pub(super) use asm;

/// `Xn = value`, with as few instructions as its 16-bit parts need.
pub(super) fn load(a: &mut Asm, n: u8, value: u64) {
    let part = |i: u32| (value >> (16 * i)) as u32 & 0xffff;
    let first = (0..4).find(|i| part(*i) != 0).unwrap_or(0);
    asm!(a ; movz X(n), part(first), lsl #16 * first);
    for i in first + 1..4 {
        if part(i) != 0 {
            asm!(a ; movk X(n), part(i), lsl #16 * i);
        }
    }
}

/// Prints `text`. The text lies in the code right after the call: the routine finds it through the return address,
/// and returns to the instruction behind it. Changes X0 to X3.
pub(super) fn say(a: &mut Asm, text: &str) {
    asm!(a ; bl ->say ; .bytes text.as_bytes() ; .u8 0 ; .align 4, 0);
}

/// Sets a system register of EL2, reads it back and prints `NAME = value: why`. Changes X0 to X3.
pub(super) fn set(a: &mut Asm, register: u32, value: u64, why: &str) {
    load(a, 1, value);
    set_to_x1(a, register, why);
}

/// [`set`] with a value that is only known when the program runs: in X1.
pub(super) fn set_to_x1(a: &mut Asm, register: u32, why: &str) {
    asm!(a ; msr register, x1 ; isb);
    say(a, &format!("   {} = ", sysreg::name(register)));
    asm!(a ; mrs x0, register ; bl ->print_hex);
    say(a, &format!(": {why}\n"));
}
