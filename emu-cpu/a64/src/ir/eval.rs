//! A slow and direct evaluator of blocks for the tests of lowerings: integers, flags, moves between register files, and a
//! memory of single bytes. It shares no code with the interpreter.

use std::collections::BTreeMap;

use super::{AtomicOp, BinOp, Block, Cond, MemSize, Op, Term, Ty, UnOp, VECTOR_BITS, Val};
use crate::regs::Regs;

/// A machine of registers, bytes and an exclusive monitor.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) regs: Regs,
    /// Bytes that exist; all others fault.
    pub(crate) mem: BTreeMap<u64, u8>,
    /// The address that a load-exclusive has opened.
    pub(crate) monitor: Option<u64>,
    /// Operations with effects outside, in order.
    pub(crate) effects: Vec<Op>,
}

/// Where a block leads.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The address of the next instruction.
    At(u64),
    /// The block's end, where it is not a branch.
    Term(Term),
    /// A fault at an address.
    Fault(u64),
}

/// The flags of a + b + carry on `bits` bits, at 31:28.
fn add_flags(bits: u32, a: u128, b: u128, carry: u128) -> u128 {
    let mask = (1u128 << bits) - 1;
    let wide = a + b + carry;
    let r = wide & mask;
    let sign = |v: u128| v >> (bits - 1) & 1;
    let overflow = sign(a) == sign(b) && sign(a) != sign(r);
    sign(r) << 31 | u128::from(r == 0) << 30 | u128::from(wide > mask) << 29 | u128::from(overflow) << 28
}

/// The low `bits` as a signed number.
fn signed(bits: u32, v: u128) -> i128 {
    ((v << (128 - bits)) as i128) >> (128 - bits)
}

fn crc(poly: u32, acc: u32, data: u64, bytes: u64) -> u32 {
    let mut crc = acc;
    for i in 0..bytes * 8 {
        let bit = (crc ^ (data >> i) as u32) & 1;
        crc = crc >> 1 ^ if bit != 0 { poly } else { 0 };
    }
    crc
}

fn width(ty: Ty) -> u32 {
    match ty {
        Ty::I1 => 1,
        Ty::I64 => 64,
        Ty::V => VECTOR_BITS,
        _ => 32,
    }
}

fn truncate(ty: Ty, v: u128) -> u128 {
    if ty == Ty::V { v } else { v & ((1 << width(ty)) - 1) }
}

fn binary(op: BinOp, ty: Ty, a: u128, b: u128) -> u128 {
    let w = width(ty);
    let n = (b % u128::from(w)) as u32;
    let (sa, sb) = (signed(w, a), signed(w, b));
    let r = match op {
        BinOp::Add => a + b,
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a * b,
        BinOp::SMulH => ((sa * sb) >> 64) as u128,
        BinOp::UMulH => (a * b) >> 64,
        BinOp::SDiv => sa.checked_div(sb).unwrap_or(0) as u128,
        BinOp::UDiv => a.checked_div(b).unwrap_or(0),
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::AndNot => a & !b,
        BinOp::OrNot => a | !b,
        BinOp::XorNot => a ^ !b,
        BinOp::Shl => a << n,
        BinOp::Lsr => a >> n,
        BinOp::Asr => (sa >> n) as u128,
        BinOp::Ror => a >> n | a << (w - n),
    };
    truncate(ty, r)
}

fn unary(op: UnOp, ty: Ty, a: u128) -> u128 {
    let w = width(ty);
    let bytes = |v: u128, group: u32| {
        (0..w / 8).fold(0, |r, i| {
            let to = i / group * group + (group - 1 - i % group);
            r | (v >> (8 * i) & 0xff) << (8 * to)
        })
    };
    let r = match op {
        UnOp::Not => !a,
        UnOp::Neg => a.wrapping_neg(),
        UnOp::Clz => u128::from(a.leading_zeros() - (128 - w)),
        UnOp::Cls => {
            let s = signed(w, a);
            u128::from((s ^ s >> 127).leading_zeros() - (128 - w) - 1)
        }
        UnOp::Rbit => a.reverse_bits() >> (128 - w),
        UnOp::Rev => bytes(a, w / 8),
        UnOp::Rev16 => bytes(a, 2),
        UnOp::Rev32 => bytes(a, 4),
    };
    truncate(ty, r)
}

fn atomic(op: AtomicOp, size: MemSize, old: u128, val: u128) -> u128 {
    let bits = 8 * size.bytes() as u32;
    let (so, sv) = (signed(bits, old), signed(bits, val));
    match op {
        AtomicOp::Swp => val,
        AtomicOp::Add => old + val,
        AtomicOp::Clr => old & !val,
        AtomicOp::Eor => old ^ val,
        AtomicOp::Set => old | val,
        AtomicOp::Smax => so.max(sv) as u128,
        AtomicOp::Smin => so.min(sv) as u128,
        AtomicOp::Umax => old.max(val),
        AtomicOp::Umin => old.min(val),
    }
}

impl Machine {
    /// Makes `bytes` exist at `addr`.
    pub(crate) fn put(&mut self, addr: u64, bytes: &[u8]) {
        self.mem.extend(bytes.iter().enumerate().map(|(i, b)| (addr + i as u64, *b)));
    }

    fn load(&self, addr: u64, size: MemSize) -> Result<u128, u64> {
        (0..size.bytes()).try_fold(0, |v, i| {
            let at = addr.wrapping_add(i);
            Ok(v | u128::from(*self.mem.get(&at).ok_or(at)?) << (8 * i))
        })
    }

    fn store(&mut self, addr: u64, size: MemSize, v: u128) -> Result<(), u64> {
        self.load(addr, size)?;
        self.put(addr, &v.to_le_bytes()[..size.bytes() as usize]);
        Ok(())
    }

    /// The low `size` bytes of a number.
    fn low(size: MemSize, v: u128) -> u128 {
        if size == MemSize::B16 { v } else { v & ((1 << (8 * size.bytes())) - 1) }
    }

    /// Runs a block whose first instruction is at `regs.pc`; system registers read as zero.
    pub(crate) fn run(&mut self, block: &Block) -> Next {
        let mut vals: Vec<u128> = Vec::new();
        for inst in &block.insts {
            match self.op(inst.op, &vals) {
                Ok(v) => vals.push(v),
                Err(addr) => return Next::Fault(addr),
            }
        }
        let at = |rel: i64| Next::At(self.regs.pc.wrapping_add(rel as u64));
        match block.term {
            Term::Goto { rel, .. } => at(rel),
            Term::If { cond, then_rel, else_rel } => {
                at(if vals[cond.0 as usize] != 0 { then_rel } else { else_rel })
            }
            Term::Indirect { target, .. } => Next::At(vals[target.0 as usize] as u64),
            other => Next::Term(other),
        }
    }

    fn op(&mut self, op: Op, vals: &[u128]) -> Result<u128, u64> {
        let get = |v: Val| vals[v.0 as usize];
        let carry = |f: Val| get(f) >> 29 & 1;
        let field = |ty, signed_field, lsb: u8, width: u8, a: Val| {
            let v = get(a) >> lsb & ((1 << width) - 1);
            truncate(ty, if signed_field { signed(width.into(), v) as u128 } else { v })
        };
        Ok(match op {
            Op::Const(_, v) => v.into(),
            Op::PcRel(n) => self.regs.pc.wrapping_add(n as u64).into(),
            Op::PcPage(n) => (self.regs.pc & !0xfff).wrapping_add(n as u64).into(),
            Op::GetX(r) => self.regs.x[r as usize].into(),
            Op::SetX(r, v) => {
                self.regs.x[r as usize] = get(v) as u64;
                0
            }
            Op::GetV(r) => self.regs.v[r as usize],
            Op::SetV(r, v) => {
                self.regs.v[r as usize] = get(v);
                0
            }
            Op::GetFlags => self.regs.nzcv.into(),
            Op::SetFlags(v) => {
                self.regs.nzcv = get(v) as u32;
                0
            }
            Op::Bin(op, ty, a, b) => binary(op, ty, get(a), get(b)),
            Op::Un(op, ty, a) => unary(op, ty, get(a)),
            Op::Ext { bits, signed, to, a } => field(to, signed, 0, bits, a),
            Op::Bfx { ty, signed, lsb, width, a } => field(ty, signed, lsb, width, a),
            Op::Bfi { ty, lsb, width, dst, src } => {
                let mask = ((1u128 << width) - 1) << lsb;
                truncate(ty, get(dst) & !mask | get(src) << lsb & mask)
            }
            Op::Extr { ty, lsb, hi, lo } => truncate(ty, (get(hi) << width(ty) | get(lo)) >> lsb),
            Op::AddCarry(ty, a, b, f) => truncate(ty, get(a) + get(b) + carry(f)),
            Op::FlagsAdd(ty, a, b) => add_flags(width(ty), get(a), get(b), 0),
            Op::FlagsSub(ty, a, b) => add_flags(width(ty), get(a), truncate(ty, !get(b)), 1),
            Op::FlagsAdc(ty, a, b, f) => add_flags(width(ty), get(a), get(b), carry(f)),
            Op::FlagsLogic(ty, a) => add_flags(width(ty), get(a), 0, 0),
            Op::FlagsConst(n) => u128::from(n) << 28,
            Op::FlagsFromNzcv(a) | Op::NzcvFromFlags(a) => get(a) & 0xf000_0000,
            Op::Test(cond, f) => Cond::holds(cond, get(f) as u32).into(),
            Op::IsZero(_, a) => (get(a) == 0).into(),
            Op::NonZero(_, a) => (get(a) != 0).into(),
            Op::Bit(n, a) => get(a) >> n & 1,
            Op::NotI1(a) => get(a) ^ 1,
            Op::Select(_, c, a, b) => get(if get(c) != 0 { a } else { b }),
            Op::Crc32 { castagnoli, size, acc, data } => {
                let poly = if castagnoli { 0x82f6_3b78 } else { 0xedb8_8320 };
                crc(poly, get(acc) as u32, get(data) as u64, size.bytes()).into()
            }
            Op::VFromInt(a) => get(a),
            Op::VFromPair(lo, hi) => get(hi) << 64 | get(lo),
            Op::VLane(esize, lane, v) => {
                Self::low(MemSize::from_log2(esize.into()), get(v) >> ((8 << esize) * lane))
            }
            Op::VSetLane(esize, lane, v, a) => {
                let (at, mask) =
                    ((8 << esize) * lane, Self::low(MemSize::from_log2(esize.into()), u128::MAX));
                get(v) & !(mask << at) | (get(a) & mask) << at
            }
            Op::VLow(bytes, v) => get(v) & ((1 << (8 * bytes)) - 1),
            other => return self.memory_op(other, vals),
        })
    }

    fn memory_op(&mut self, op: Op, vals: &[u128]) -> Result<u128, u64> {
        let get = |v: Val| vals[v.0 as usize];
        let addr = |v: Val| get(v) as u64;
        Ok(match op {
            Op::Load { ty, size, signed: sign, addr: a, .. } => {
                let v = self.load(addr(a), size)?;
                truncate(ty, if sign { signed(8 * size.bytes() as u32, v) as u128 } else { v })
            }
            Op::Store { size, addr: a, val, .. } => {
                self.store(addr(a), size, get(val))?;
                0
            }
            Op::LoadEx { size, addr: a, .. } => {
                let v = self.load(addr(a), size)?;
                self.monitor = Some(addr(a));
                v
            }
            Op::StoreEx { size, addr: a, val, .. } => {
                let open = self.monitor.take() == Some(addr(a));
                if open {
                    self.store(addr(a), size, get(val))?;
                }
                (!open).into()
            }
            Op::Rmw { op, size, addr: a, val, .. } => {
                let old = self.load(addr(a), size)?;
                self.store(addr(a), size, atomic(op, size, old, Self::low(size, get(val))))?;
                old
            }
            Op::Cas { size, addr: a, expected, new, .. } => {
                let old = self.load(addr(a), size)?;
                if old == Self::low(size, get(expected)) {
                    self.store(addr(a), size, get(new))?;
                }
                old
            }
            Op::ClearEx => {
                self.monitor = None;
                0
            }
            other => {
                self.effects.push(other);
                0
            }
        })
    }
}
