//! Running one predecoded block.

use emu_a64::fp::FpEnv;
use emu_a64::ir::{ExcOp, LeaveKind, MemSize};
use emu_a64::regs::SP;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::{Exception, Stop};
use emu_pe::mem::{self, access, atomic, exclusive, mops};

use super::block::Code;
use super::uop::{Extension, Frame, NZCV, Uop};

/// How a block ended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// At exit 0 or 1 of the block.
    Exit(usize),
    /// At an address.
    Indirect(u64),
    /// At an address, with PSTATE.BTYPE.
    IndirectTyped(u64, u8),
    /// The last instruction asks for an exception.
    Exception(ExcOp),
    /// Hands over to the machine, after the last instruction.
    Leave(LeaveKind),
    /// The instruction with this index was given up.
    Fault(Stop, u16),
    /// Not: only one operation was asked for.
    Next,
}

const SIGN: u64 = 1 << 63;

/// N and Z of a 64-bit result.
#[inline(always)]
pub(crate) fn nz64(r: u64) -> u64 {
    (r >> 63) << 31 | u64::from(r == 0) << 30
}
/// N and Z of a 32-bit result.
#[inline(always)]
pub(crate) fn nz32(r: u32) -> u64 {
    u64::from(r >> 31) << 31 | u64::from(r == 0) << 30
}
/// Flags of a + b + carry.
#[inline(always)]
pub(crate) fn add_flags64(a: u64, b: u64, carry: bool) -> u64 {
    let (s, c1) = a.overflowing_add(b);
    let (r, c2) = s.overflowing_add(u64::from(carry));
    let v = (a ^ r) & (b ^ r) & SIGN != 0;
    nz64(r) | u64::from(c1 | c2) << 29 | u64::from(v) << 28
}
/// Flags of a + b + carry.
#[inline(always)]
pub(crate) fn add_flags32(a: u32, b: u32, carry: bool) -> u64 {
    let (s, c1) = a.overflowing_add(b);
    let (r, c2) = s.overflowing_add(u32::from(carry));
    let v = ((a ^ r) & (b ^ r)) >> 31 != 0;
    nz32(r) | u64::from(c1 | c2) << 29 | u64::from(v) << 28
}
/// Flags of a - b.
#[inline(always)]
pub(crate) fn sub_flags64(a: u64, b: u64) -> u64 {
    let r = a.wrapping_sub(b);
    let v = (a ^ b) & (a ^ r) & SIGN != 0;
    nz64(r) | u64::from(a >= b) << 29 | u64::from(v) << 28
}
/// Flags of a - b.
#[inline(always)]
pub(crate) fn sub_flags32(a: u32, b: u32) -> u64 {
    let r = a.wrapping_sub(b);
    let v = ((a ^ b) & (a ^ r)) >> 31 != 0;
    nz32(r) | u64::from(a >= b) << 29 | u64::from(v) << 28
}

/// All elements of 1 << `esize` bytes in the low `bytes` set to `a`.
fn duplicate(a: u64, esize: u8, bytes: u8) -> u128 {
    let bits = 8u32 << esize;
    let element = u128::from(a) & (u128::MAX >> (128 - bits));
    let mut v = 0;
    let mut at = 0;
    while at < u32::from(bytes) * 8 {
        v |= element << at;
        at += bits;
    }
    v
}

/// CRC-32 (reflected) of the low `size` bytes of `data`.
fn crc32(acc: u32, data: u64, size: MemSize, castagnoli: bool) -> u32 {
    let poly = if castagnoli { 0x82f6_3b78 } else { 0xedb8_8320 };
    let mut crc = acc;
    for i in 0..size.bytes() {
        crc ^= (data >> (8 * i)) as u32 & 0xff;
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { poly } else { 0 };
        }
    }
    crc
}

/// Runs `code`, which starts at address `pc`.
pub fn run(code: &Code, pc: u64, f: &mut Frame, cpu: &mut Cpu) -> End {
    execute::<false>(code, 0, pc, f, cpu)
}

/// Runs operation `n` of `code`, which starts at address `pc`. It ends in [`End::Next`] unless it ends the block.
pub fn run_one(code: &Code, n: usize, pc: u64, f: &mut Frame, cpu: &mut Cpu) -> End {
    execute::<true>(code, n, pc, f, cpu)
}

#[inline(always)]
fn execute<const ONE: bool>(code: &Code, first: usize, pc: u64, f: &mut Frame, cpu: &mut Cpu) -> End {
    let mut rest = code.uops.get(first..).unwrap_or_default().iter();
    macro_rules! x {
        ($s:expr) => {
            f.x[$s as usize]
        };
    }
    macro_rules! v {
        ($s:expr) => {
            f.v[$s as usize]
        };
    }
    macro_rules! w {
        ($s:expr) => {
            f.x[$s as usize] as u32
        };
    }
    macro_rules! ok {
        ($e:expr) => {
            match $e {
                Ok(value) => value,
                Err(e) => return End::Fault(e.into(), code.insn_before(rest.len())),
            }
        };
    }
    macro_rules! addr {
        ($a:expr, $off:expr) => {
            x!($a).wrapping_add($off as i64 as u64)
        };
    }
    // The operation is matched in place: each arm loads only the operands that it has.
    while let Some(uop) = rest.next() {
        match *uop {
            Uop::Mov { d, a } => x!(d) = x!(a),
            Uop::Const { d, imm } => x!(d) = imm,
            Uop::PcRel { d, rel } => x!(d) = pc.wrapping_add(rel as u64),
            Uop::PcPage { d, rel } => x!(d) = (pc & !0xfff).wrapping_add(rel as u64),

            Uop::Add64 { d, a, b } => x!(d) = x!(a).wrapping_add(x!(b)),
            Uop::Add32 { d, a, b } => x!(d) = u64::from(w!(a).wrapping_add(w!(b))),
            Uop::Sub64 { d, a, b } => x!(d) = x!(a).wrapping_sub(x!(b)),
            Uop::Sub32 { d, a, b } => x!(d) = u64::from(w!(a).wrapping_sub(w!(b))),
            Uop::And64 { d, a, b } => x!(d) = x!(a) & x!(b),
            Uop::And32 { d, a, b } => x!(d) = u64::from(w!(a) & w!(b)),
            Uop::Or64 { d, a, b } => x!(d) = x!(a) | x!(b),
            Uop::Or32 { d, a, b } => x!(d) = u64::from(w!(a) | w!(b)),
            Uop::Xor64 { d, a, b } => x!(d) = x!(a) ^ x!(b),
            Uop::Xor32 { d, a, b } => x!(d) = u64::from(w!(a) ^ w!(b)),
            Uop::AndNot64 { d, a, b } => x!(d) = x!(a) & !x!(b),
            Uop::AndNot32 { d, a, b } => x!(d) = u64::from(w!(a) & !w!(b)),
            Uop::OrNot64 { d, a, b } => x!(d) = x!(a) | !x!(b),
            Uop::OrNot32 { d, a, b } => x!(d) = u64::from(w!(a) | !w!(b)),
            Uop::XorNot64 { d, a, b } => x!(d) = x!(a) ^ !x!(b),
            Uop::XorNot32 { d, a, b } => x!(d) = u64::from(w!(a) ^ !w!(b)),
            Uop::Mul64 { d, a, b } => x!(d) = x!(a).wrapping_mul(x!(b)),
            Uop::Mul32 { d, a, b } => x!(d) = u64::from(w!(a).wrapping_mul(w!(b))),
            Uop::SMulH { d, a, b } => {
                x!(d) = ((i128::from(x!(a) as i64) * i128::from(x!(b) as i64)) >> 64) as u64;
            }
            Uop::UMulH { d, a, b } => x!(d) = ((u128::from(x!(a)) * u128::from(x!(b))) >> 64) as u64,
            Uop::SDiv64 { d, a, b } => {
                let (n, m) = (x!(a) as i64, x!(b) as i64);
                x!(d) = if m == 0 { 0 } else { n.wrapping_div(m) as u64 };
            }
            Uop::SDiv32 { d, a, b } => {
                let (n, m) = (w!(a) as i32, w!(b) as i32);
                x!(d) = if m == 0 { 0 } else { u64::from(n.wrapping_div(m) as u32) };
            }
            Uop::UDiv64 { d, a, b } => x!(d) = x!(a).checked_div(x!(b)).unwrap_or(0),
            Uop::UDiv32 { d, a, b } => x!(d) = u64::from(w!(a).checked_div(w!(b)).unwrap_or(0)),
            Uop::Shl64 { d, a, b } => x!(d) = x!(a).wrapping_shl(w!(b)),
            Uop::Shl32 { d, a, b } => x!(d) = u64::from(w!(a).wrapping_shl(w!(b))),
            Uop::Lsr64 { d, a, b } => x!(d) = x!(a).wrapping_shr(w!(b)),
            Uop::Lsr32 { d, a, b } => x!(d) = u64::from(w!(a).wrapping_shr(w!(b))),
            Uop::Asr64 { d, a, b } => x!(d) = (x!(a) as i64).wrapping_shr(w!(b)) as u64,
            Uop::Asr32 { d, a, b } => x!(d) = u64::from((w!(a) as i32).wrapping_shr(w!(b)) as u32),
            Uop::Ror64 { d, a, b } => x!(d) = x!(a).rotate_right(w!(b) & 63),
            Uop::Ror32 { d, a, b } => x!(d) = u64::from(w!(a).rotate_right(w!(b) & 31)),

            Uop::AddI64 { d, a, imm } => x!(d) = x!(a).wrapping_add(imm),
            Uop::AddI32 { d, a, imm } => x!(d) = u64::from(w!(a).wrapping_add(imm)),
            Uop::AndI64 { d, a, imm } => x!(d) = x!(a) & imm,
            Uop::AndI32 { d, a, imm } => x!(d) = u64::from(w!(a) & imm),
            Uop::OrI64 { d, a, imm } => x!(d) = x!(a) | imm,
            Uop::OrI32 { d, a, imm } => x!(d) = u64::from(w!(a) | imm),
            Uop::XorI64 { d, a, imm } => x!(d) = x!(a) ^ imm,
            Uop::XorI32 { d, a, imm } => x!(d) = u64::from(w!(a) ^ imm),
            Uop::ShlI64 { d, a, n } => x!(d) = x!(a) << (n & 63),
            Uop::ShlI32 { d, a, n } => x!(d) = u64::from(w!(a) << (n & 31)),
            Uop::LsrI64 { d, a, n } => x!(d) = x!(a) >> (n & 63),
            Uop::LsrI32 { d, a, n } => x!(d) = u64::from(w!(a) >> (n & 31)),
            Uop::AsrI64 { d, a, n } => x!(d) = (x!(a) as i64 >> (n & 63)) as u64,
            Uop::AsrI32 { d, a, n } => x!(d) = u64::from((w!(a) as i32 >> (n & 31)) as u32),
            Uop::RorI64 { d, a, n } => x!(d) = x!(a).rotate_right(u32::from(n & 63)),
            Uop::RorI32 { d, a, n } => x!(d) = u64::from(w!(a).rotate_right(u32::from(n & 31))),
            Uop::AddShl64 { d, a, b, n } => x!(d) = x!(a).wrapping_add(x!(b) << (n & 63)),

            Uop::Not64 { d, a } => x!(d) = !x!(a),
            Uop::Not32 { d, a } => x!(d) = u64::from(!w!(a)),
            Uop::Neg64 { d, a } => x!(d) = x!(a).wrapping_neg(),
            Uop::Neg32 { d, a } => x!(d) = u64::from(w!(a).wrapping_neg()),
            Uop::Clz64 { d, a } => x!(d) = u64::from(x!(a).leading_zeros()),
            Uop::Clz32 { d, a } => x!(d) = u64::from(w!(a).leading_zeros()),
            Uop::Cls64 { d, a } => {
                let n = x!(a) as i64;
                x!(d) = u64::from((n ^ n >> 63).leading_zeros() - 1);
            }
            Uop::Cls32 { d, a } => {
                let n = w!(a) as i32;
                x!(d) = u64::from((n ^ n >> 31).leading_zeros() - 1);
            }
            Uop::Rbit64 { d, a } => x!(d) = x!(a).reverse_bits(),
            Uop::Rbit32 { d, a } => x!(d) = u64::from(w!(a).reverse_bits()),
            Uop::Rev64 { d, a } => x!(d) = x!(a).swap_bytes(),
            Uop::Rev32 { d, a } => x!(d) = u64::from(w!(a).swap_bytes()),
            Uop::Rev16 { d, a } => {
                const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
                x!(d) = (x!(a) & EVEN) << 8 | x!(a) >> 8 & EVEN;
            }
            Uop::RevW { d, a } => x!(d) = x!(a).swap_bytes().rotate_right(32),
            Uop::Zext8 { d, a } => x!(d) = u64::from(x!(a) as u8),
            Uop::Zext16 { d, a } => x!(d) = u64::from(x!(a) as u16),
            Uop::Zext32 { d, a } => x!(d) = u64::from(w!(a)),
            Uop::Sext8To32 { d, a } => x!(d) = u64::from(x!(a) as i8 as u32),
            Uop::Sext16To32 { d, a } => x!(d) = u64::from(x!(a) as i16 as u32),
            Uop::Sext8 { d, a } => x!(d) = x!(a) as i8 as u64,
            Uop::Sext16 { d, a } => x!(d) = x!(a) as i16 as u64,
            Uop::Sext32 { d, a } => x!(d) = x!(a) as i32 as u64,
            Uop::Ubfx { d, a, lsb, width } => {
                x!(d) = x!(a) >> (lsb & 63) & (u64::MAX >> (64 - u32::from(width)));
            }
            Uop::Sbfx64 { d, a, lsb, width } => {
                let up = 64 - u32::from(width);
                x!(d) = ((x!(a) >> (lsb & 63) << up) as i64 >> up) as u64;
            }
            Uop::Sbfx32 { d, a, lsb, width } => {
                let up = 64 - u32::from(width);
                x!(d) = u64::from(((x!(a) >> (lsb & 63) << up) as i64 >> up) as u32);
            }
            Uop::Bfi { d, a, b, lsb, width, word } => {
                let mask = (u64::MAX >> (64 - u32::from(width))) << (lsb & 63);
                let r = x!(a) & !mask | x!(b) << (lsb & 63) & mask;
                x!(d) = if word { u64::from(r as u32) } else { r };
            }
            Uop::Extr64 { d, a, b, lsb } => {
                x!(d) = ((u128::from(x!(a)) << 64 | u128::from(x!(b))) >> (lsb & 63)) as u64;
            }
            Uop::Extr32 { d, a, b, lsb } => {
                x!(d) = u64::from(((u64::from(w!(a)) << 32 | u64::from(w!(b))) >> (lsb & 31)) as u32);
            }
            Uop::AddCarry64 { d, a, b, c } => x!(d) = x!(a).wrapping_add(x!(b)).wrapping_add(x!(c) >> 29 & 1),
            Uop::AddCarry32 { d, a, b, c } => {
                x!(d) = u64::from(w!(a).wrapping_add(w!(b)).wrapping_add(w!(c) >> 29 & 1));
            }

            Uop::FlagsAdd64 { d, a, b } => x!(d) = add_flags64(x!(a), x!(b), false),
            Uop::FlagsAdd32 { d, a, b } => x!(d) = add_flags32(w!(a), w!(b), false),
            Uop::FlagsSub64 { d, a, b } => x!(d) = sub_flags64(x!(a), x!(b)),
            Uop::FlagsSub32 { d, a, b } => x!(d) = sub_flags32(w!(a), w!(b)),
            Uop::FlagsSubI64 { d, a, imm } => x!(d) = sub_flags64(x!(a), imm),
            Uop::FlagsSubI32 { d, a, imm } => x!(d) = sub_flags32(w!(a), imm),
            Uop::FlagsAdc64 { d, a, b, c } => x!(d) = add_flags64(x!(a), x!(b), x!(c) >> 29 & 1 != 0),
            Uop::FlagsAdc32 { d, a, b, c } => x!(d) = add_flags32(w!(a), w!(b), x!(c) >> 29 & 1 != 0),
            Uop::FlagsLogic64 { d, a } => x!(d) = nz64(x!(a)),
            Uop::FlagsLogic32 { d, a } => x!(d) = nz32(w!(a)),
            Uop::Nzcv { d, a } => x!(d) = x!(a) & 0xf000_0000,
            Uop::Test { d, a, cond } => x!(d) = u64::from(cond.holds(w!(a))),
            Uop::IsZero64 { d, a } => x!(d) = u64::from(x!(a) == 0),
            Uop::IsZero32 { d, a } => x!(d) = u64::from(w!(a) == 0),
            Uop::NonZero64 { d, a } => x!(d) = u64::from(x!(a) != 0),
            Uop::NonZero32 { d, a } => x!(d) = u64::from(w!(a) != 0),
            Uop::Bit { d, a, n } => x!(d) = x!(a) >> (n & 63) & 1,
            Uop::NotI1 { d, a } => x!(d) = x!(a) ^ 1,
            Uop::Select { d, c, a, b } => x!(d) = if x!(c) != 0 { x!(a) } else { x!(b) },
            Uop::SelectCond { d, f: flags, cond, a, b } => {
                x!(d) = if cond.holds(w!(flags)) { x!(a) } else { x!(b) };
            }
            Uop::Crc32 { d, a, b, size, castagnoli } => {
                x!(d) = u64::from(crc32(w!(a), x!(b), size, castagnoli));
            }

            Uop::VMov { d, a } => v!(d) = v!(a),
            Uop::VSelect { d, c, a, b } => v!(d) = if x!(c) != 0 { v!(a) } else { v!(b) },
            Uop::VFromInt { d, a } => v!(d) = u128::from(x!(a)),
            Uop::VFromPair { d, a, b } => v!(d) = u128::from(x!(b)) << 64 | u128::from(x!(a)),
            Uop::VLane { d, a, esize, lane } => {
                let bits = 8u32 << (esize & 3);
                let shift = (bits * u32::from(lane)) & 127;
                x!(d) = (v!(a) >> shift) as u64 & (u64::MAX >> (64 - bits));
            }
            Uop::VSetLane { d, a, b, esize, lane } => {
                let bits = 8u32 << (esize & 3);
                let shift = (bits * u32::from(lane)) & 127;
                let mask = u128::from(u64::MAX >> (64 - bits)) << shift;
                v!(d) = v!(a) & !mask | u128::from(x!(b)) << shift & mask;
            }
            Uop::VDup { d, a, esize, bytes } => v!(d) = duplicate(x!(a), esize & 3, bytes),
            Uop::VLow { d, a, bytes } => v!(d) = v!(a) & (u128::MAX >> (128 - 8 * u32::from(bytes))),
            Uop::Call { d, a, b, c, call } => {
                let call = code.calls[call as usize];
                let mut env = FpEnv { fpcr: cpu.regs.fpcr, fpsr: cpu.regs.fpsr };
                v!(d) = (call.f)(&mut env, call.imm, v!(a), v!(b), v!(c));
                cpu.regs.fpsr = env.fpsr;
            }

            Uop::CheckSp => {
                if f.x[SP] & 15 != 0 && mem::sp_check_enabled(cpu) {
                    return End::Fault(Exception::SpAlignment.into(), code.insn_before(rest.len()));
                }
            }
            Uop::Ld8 { d, a, off } => x!(d) = ok!(access::load::<1>(cpu, addr!(a, off))),
            Uop::Ld16 { d, a, off } => x!(d) = ok!(access::load::<2>(cpu, addr!(a, off))),
            Uop::Ld32 { d, a, off } => x!(d) = ok!(access::load::<4>(cpu, addr!(a, off))),
            Uop::Ld64 { d, a, off } => x!(d) = ok!(access::load::<8>(cpu, addr!(a, off))),
            Uop::Ld8s32 { d, a, off } => {
                x!(d) = u64::from(ok!(access::load::<1>(cpu, addr!(a, off))) as i8 as u32);
            }
            Uop::Ld16s32 { d, a, off } => {
                x!(d) = u64::from(ok!(access::load::<2>(cpu, addr!(a, off))) as i16 as u32);
            }
            Uop::Ld8s64 { d, a, off } => x!(d) = ok!(access::load::<1>(cpu, addr!(a, off))) as i8 as u64,
            Uop::Ld16s64 { d, a, off } => x!(d) = ok!(access::load::<2>(cpu, addr!(a, off))) as i16 as u64,
            Uop::Ld32s64 { d, a, off } => x!(d) = ok!(access::load::<4>(cpu, addr!(a, off))) as i32 as u64,
            Uop::LdV { d, a, size, elem, off } => {
                v!(d) = ok!(access::load_vector(cpu, addr!(a, off), size, elem));
            }
            Uop::LdWords { d, a, off } => {
                x!(d) = ok!(access::load_vector(cpu, addr!(a, off), MemSize::B8, MemSize::B4)) as u64;
            }
            Uop::LdPair { d, e, a, off } => {
                let pair = ok!(access::load_vector(cpu, addr!(a, off), MemSize::B16, MemSize::B8));
                x!(d) = pair as u64;
                x!(e) = (pair >> 64) as u64;
            }
            Uop::St8 { a, b, off } => ok!(access::store::<1>(cpu, addr!(a, off), x!(b))),
            Uop::St16 { a, b, off } => ok!(access::store::<2>(cpu, addr!(a, off), x!(b))),
            Uop::St32 { a, b, off } => ok!(access::store::<4>(cpu, addr!(a, off), x!(b))),
            Uop::St64 { a, b, off } => ok!(access::store::<8>(cpu, addr!(a, off), x!(b))),
            Uop::StV { a, b, size, elem, off } => {
                ok!(access::store_vector(cpu, addr!(a, off), size, elem, v!(b)));
            }
            Uop::StWords { a, b, off } => {
                ok!(access::store_vector(cpu, addr!(a, off), MemSize::B8, MemSize::B4, u128::from(x!(b))));
            }
            Uop::StPair { a, b, c, off } => {
                let pair = u128::from(x!(c)) << 64 | u128::from(x!(b));
                ok!(access::store_vector(cpu, addr!(a, off), MemSize::B16, MemSize::B8, pair));
            }
            Uop::LdAcc { d, a, vector, access } => {
                let how = &code.accesses[access as usize];
                let value = ok!(access::load_with(cpu, x!(a), how.size, how.acc));
                if vector {
                    v!(d) = value;
                } else {
                    x!(d) = extend(value as u64, how.size, how.extend);
                }
            }
            Uop::StAcc { a, b, vector, access } => {
                let how = &code.accesses[access as usize];
                let value = if vector { v!(b) } else { u128::from(x!(b)) };
                ok!(access::store_with(cpu, x!(a), how.size, how.acc, value));
            }
            Uop::LdEx { d, a, vector, access } => {
                let how = &code.accesses[access as usize];
                let value = ok!(exclusive::load_exclusive(cpu, x!(a), how.size, how.acc, how.interleaved));
                if vector {
                    v!(d) = value;
                } else {
                    x!(d) = value as u64;
                }
            }
            Uop::StEx { d, a, b, vector, access } => {
                let how = &code.accesses[access as usize];
                let value = if vector { v!(b) } else { u128::from(x!(b)) };
                x!(d) = u64::from(!ok!(exclusive::store_exclusive(
                    cpu,
                    x!(a),
                    how.size,
                    (how.acc, how.interleaved),
                    value
                )));
            }
            Uop::ClearEx => cpu.mem.clear_exclusive(),
            Uop::Rmw { d, a, b, op, access } => {
                let how = &code.accesses[access as usize];
                x!(d) = ok!(atomic::rmw(cpu, op, x!(a), how.size, how.acc, x!(b)));
            }
            Uop::Cas { d, a, b, c, vector, access } => {
                let how = &code.accesses[access as usize];
                let (expected, new) =
                    if vector { (v!(b), v!(c)) } else { (u128::from(x!(b)), u128::from(x!(c))) };
                let old = ok!(atomic::compare_and_swap(cpu, x!(a), how.size, how.acc, expected, new));
                if vector {
                    v!(d) = old;
                } else {
                    x!(d) = old as u64;
                }
            }
            Uop::Barrier(kind) => mem::barrier(cpu, kind),

            Uop::Mrs { d, rt, enc } => {
                lend(f, cpu);
                x!(d) = ok!(cpu.mrs(enc, rt));
            }
            Uop::Msr { a, rt, enc } => {
                lend(f, cpu);
                ok!(cpu.msr(enc, rt, x!(a)));
                take_back(f, cpu);
            }
            Uop::Sys { a, rt, enc } => ok!(cpu.sys_insn(enc, rt, x!(a))),
            Uop::Pac { d, a, b, op } => x!(d) = ok!(cpu.authenticate(op, x!(a), x!(b))),
            Uop::MopsCheck { a, b, insn } => ok!(mops::check(x!(a), x!(b), insn)),
            Uop::MopsMove { d, a, b, c, insn } => {
                x!(d) = ok!(mops::proceed(cpu, x!(a), x!(b), x!(c), insn));
            }
            Uop::MsrImm { field, imm } => {
                lend(f, cpu);
                ok!(cpu.msr_imm(field, imm));
                take_back(f, cpu);
            }
            Uop::SendEvent { all } => mem::send_event(cpu, all),
            Uop::CountAccesses { n } => cpu.regs.accesses = cpu.regs.accesses.wrapping_add(n.into()),

            Uop::Goto => return End::Exit(0),
            Uop::IfCond { f: flags, cond } => return End::Exit(usize::from(!cond.holds(w!(flags)))),
            Uop::IfI1 { a } | Uop::IfNonZero64 { a } => return End::Exit(usize::from(x!(a) == 0)),
            Uop::IfNonZero32 { a } => return End::Exit(usize::from(w!(a) == 0)),
            Uop::IfZero64 { a } => return End::Exit(usize::from(x!(a) != 0)),
            Uop::IfZero32 { a } => return End::Exit(usize::from(w!(a) != 0)),
            Uop::IfBit { a, n, set } => return End::Exit(usize::from((x!(a) >> (n & 63) & 1 != 0) != set)),
            Uop::Indirect { a } => return End::Indirect(x!(a)),
            Uop::IndirectTyped { a, btype } => return End::IndirectTyped(x!(a), btype),
            Uop::Exception(e) => return End::Exception(e),
            Uop::Leave { kind } => return End::Leave(kind),
        }
        if ONE {
            return End::Next;
        }
    }
    // Every block ends in one of the operations above; predecoding appends it.
    cpu.counters.bump(Metric::Anomalies);
    End::Leave(LeaveKind::Context)
}

fn extend(value: u64, size: MemSize, how: Extension) -> u64 {
    let bits = 8 * size.bytes() as u32;
    match how {
        Extension::Zero => value,
        _ if bits >= 64 => value,
        Extension::Sign32 => u64::from(((value << (64 - bits)) as i64 >> (64 - bits)) as u32),
        Extension::Sign64 => ((value << (64 - bits)) as i64 >> (64 - bits)) as u64,
    }
}

/// What a system register access may look at: the stack pointer and the flags.
#[inline]
fn lend(f: &Frame, cpu: &mut Cpu) {
    cpu.regs.x[SP] = f.x[SP];
    cpu.regs.nzcv = f.x[NZCV as usize] as u32;
}

/// And may change.
#[inline]
fn take_back(f: &mut Frame, cpu: &Cpu) {
    f.x[SP] = cpu.regs.x[SP];
    f.x[NZCV as usize] = u64::from(cpu.regs.nzcv);
}

/// Copies the registers that the rest of the CPU may look at or change out of the frame.
pub fn to_regs(f: &Frame, cpu: &mut Cpu) {
    cpu.regs.x.copy_from_slice(&f.x[..32]);
    cpu.regs.nzcv = f.x[NZCV as usize] as u32;
}

/// Copies them back.
pub fn from_regs(f: &mut Frame, cpu: &Cpu) {
    f.x[..32].copy_from_slice(&cpu.regs.x);
    f.x[NZCV as usize] = u64::from(cpu.regs.nzcv);
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::Cond;

    use super::*;

    #[test]
    fn flags_of_sums_and_differences() {
        // N Z C V in bits 31:28.
        assert_eq!(add_flags64(u64::MAX, 1, false) >> 28, 0b0110);
        assert_eq!(add_flags64(i64::MAX as u64, 1, false) >> 28, 0b1001);
        assert_eq!(add_flags64(u64::MAX, u64::MAX, true) >> 28, 0b1010);
        assert_eq!(add_flags32(0x7fff_ffff, 0, true) >> 28, 0b1001);
        assert_eq!(add_flags32(0xffff_ffff, 0xffff_ffff, true) >> 28, 0b1010);
        assert_eq!(sub_flags64(0, 1) >> 28, 0b1000);
        assert_eq!(sub_flags64(5, 5) >> 28, 0b0110);
        assert_eq!(sub_flags32(0x8000_0000, 1) >> 28, 0b0011);
        assert_eq!(add_flags64(1, !1, true), sub_flags64(1, 1));
    }

    #[test]
    fn crc_check_values() {
        // The check value of a CRC is that of the digits 1 to 9; the registers hold it inverted.
        let digits = u64::from_le_bytes(*b"12345678");
        let crc = |castagnoli| {
            let first = crc32(u32::MAX, digits, MemSize::B8, castagnoli);
            !crc32(first, u64::from(b'9'), MemSize::B1, castagnoli)
        };
        assert_eq!(crc(false), 0xcbf4_3926);
        assert_eq!(crc(true), 0xe306_9283);
    }

    #[test]
    fn conditions_pair_up() {
        for nzcv in 0..16u32 {
            for c in (0..14).step_by(2) {
                let (yes, no) = (Cond::from_bits(c), Cond::from_bits(c + 1));
                assert_ne!(yes.holds(nzcv << 28), no.holds(nzcv << 28));
            }
        }
    }
}
