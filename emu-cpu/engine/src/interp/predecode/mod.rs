//! From IR to the predecoded form: values get slots, constants become immediates, register reads and writes vanish
//! into the operations that use and make them.
//!
//! A value lives in a guest register's slot if it was read from there, or if it is about to be written there and nothing
//! in between can see the difference (another read, a fault). A register that is overwritten while an older value in its
//! slot is still needed is first copied to a temporary.

mod calls;
mod ends;
mod flags;
mod integer;
mod locations;
mod memory;
mod temps;

use emu_a64::ir::{Block, Op, Ty, Val};

use self::temps::Temps;
use super::block::Code;
use super::liveness::Liveness;
use super::uop::{Call, Exact, NZCV, Uop, ZERO};

/// The block needs more temporaries than there are slots: translate fewer instructions at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ValueLocation {
    None,
    Const(u64),
    /// In a slot; `dirty`: an I32 whose slot has other things in the high half.
    Slot {
        slot: u8,
        dirty: bool,
    },
}

/// Which file a value lives in.
fn is_vector(ty: Ty) -> bool {
    ty == Ty::V
}

struct Predecoder<'a> {
    block: &'a Block,
    live: Liveness,
    locations: Vec<ValueLocation>,
    /// Values that live in a guest register's slot: (vector file, slot, value).
    aliases: Vec<(bool, u8, u16)>,
    ints: Temps,
    vecs: Temps,
    code: Code,
    now: u16,
    /// SP was checked for alignment and not written since.
    sp_checked: bool,
}

/// Predecodes a block.
pub fn predecode(block: &Block) -> Result<Code, TooBig> {
    let mut p = Predecoder {
        live: Liveness::new(block),
        locations: vec![ValueLocation::None; block.insts.len()],
        aliases: Vec::new(),
        ints: Temps::new(),
        vecs: Temps::new(),
        code: Code { words: block.insns.iter().map(|i| i.word).collect(), ..Code::default() },
        now: 0,
        sp_checked: false,
        block,
    };
    for i in 0..block.insts.len() {
        p.now = i as u16;
        if p.live.live[i] && !p.live.uses[i].deferred {
            p.op(i)?;
        }
        p.ints.expire(p.now);
        p.vecs.expire(p.now);
        let live_after = &p.live;
        let now = p.now;
        p.aliases.retain(|a| live_after.uses[a.2 as usize].last > Some(now));
    }
    p.now = block.insts.len() as u16;
    p.term()?;
    Ok(p.code)
}

impl Predecoder<'_> {
    fn emit(&mut self, uop: Uop) {
        let insn = match self.block.insts.get(self.now as usize) {
            Some(i) => i.insn,
            None => self.block.insns.len().saturating_sub(1) as u16,
        };
        self.code.uops.push(uop);
        self.code.insn_of.push(insn);
    }

    /// Places value `i`, and emits what makes it.
    fn op(&mut self, i: usize) -> Result<(), TooBig> {
        // The second result of a load of a pair is placed by the load.
        if self.locations[i] != ValueLocation::None {
            return Ok(());
        }
        match self.block.insts[i].op {
            Op::Const(_, c) => self.locations[i] = ValueLocation::Const(c),
            Op::PcRel(rel) => self.value(i, [], |d, []| Uop::PcRel { d, rel })?,
            Op::PcPage(rel) => self.value(i, [], |d, []| Uop::PcPage { d, rel })?,

            Op::GetX(r) | Op::GetV(r) => self.alias(i, r, false),
            Op::GetFlags => self.alias(i, NZCV, false),
            Op::SetX(r, v) => {
                if r == 31 {
                    self.sp_checked = false;
                }
                self.set(false, r, v)?;
            }
            Op::SetV(r, v) => self.set(true, r, v)?,
            Op::SetFlags(v) => self.set(false, NZCV, v)?,

            Op::Bin(op, ty, a, b) => self.binary(i, op, ty, a, b)?,
            Op::Un(op, ty, a) => self.unary(i, op, ty, a)?,
            Op::Ext { bits, signed, to, a } => self.extend(i, bits, signed, to, a)?,
            Op::Bfx { ty, signed, lsb, width, a } => self.value(i, [a], |d, [a]| match (signed, ty) {
                (false, _) => Uop::Ubfx { d, a, lsb, width },
                (true, Ty::I64) => Uop::Sbfx64 { d, a, lsb, width },
                (true, _) => Uop::Sbfx32 { d, a, lsb, width },
            })?,
            Op::Bfi { ty, lsb, width, dst, src } => {
                self.value(i, [dst, src], |d, [a, b]| Uop::Bfi { d, a, b, lsb, width, word: ty == Ty::I32 })?;
            }
            Op::Extr { ty: Ty::I64, lsb, hi, lo } => {
                self.value(i, [hi, lo], |d, [a, b]| Uop::Extr64 { d, a, b, lsb })?;
            }
            Op::Extr { lsb, hi, lo, .. } => {
                self.value(i, [hi, lo], |d, [a, b]| Uop::Extr32 { d, a, b, lsb })?
            }
            Op::AddCarry(Ty::I64, a, b, f) => {
                self.value(i, [a, b, f], |d, [a, b, c]| Uop::AddCarry64 { d, a, b, c })?;
            }
            Op::AddCarry(_, a, b, f) => {
                self.value(i, [a, b, f], |d, [a, b, c]| Uop::AddCarry32 { d, a, b, c })?;
            }
            Op::Crc32 { castagnoli, size, acc, data } => {
                self.value(i, [acc, data], |d, [a, b]| Uop::Crc32 { d, a, b, size, castagnoli })?;
            }

            Op::FlagsAdd(Ty::I64, a, b) => self.value(i, [a, b], |d, [a, b]| Uop::FlagsAdd64 { d, a, b })?,
            Op::FlagsAdd(_, a, b) => self.value(i, [a, b], |d, [a, b]| Uop::FlagsAdd32 { d, a, b })?,
            Op::FlagsSub(ty, a, b) => self.flags_of_difference(i, ty, a, b)?,
            Op::FlagsAdc(Ty::I64, a, b, f) => {
                self.value(i, [a, b, f], |d, [a, b, c]| Uop::FlagsAdc64 { d, a, b, c })?;
            }
            Op::FlagsAdc(_, a, b, f) => {
                self.value(i, [a, b, f], |d, [a, b, c]| Uop::FlagsAdc32 { d, a, b, c })?;
            }
            Op::FlagsLogic(Ty::I64, a) => self.value(i, [a], |d, [a]| Uop::FlagsLogic64 { d, a })?,
            Op::FlagsLogic(_, a) => self.value(i, [a], |d, [a]| Uop::FlagsLogic32 { d, a })?,
            Op::FlagsConst(nzcv) => self.locations[i] = ValueLocation::Const(u64::from(nzcv) << 28),
            Op::FlagsFromNzcv(a) | Op::NzcvFromFlags(a) => self.value(i, [a], |d, [a]| Uop::Nzcv { d, a })?,
            Op::Test(cond, f) => self.value(i, [f], |d, [a]| Uop::Test { d, a, cond })?,
            Op::IsZero(Ty::I64, a) => self.value(i, [a], |d, [a]| Uop::IsZero64 { d, a })?,
            Op::IsZero(_, a) => self.value(i, [a], |d, [a]| Uop::IsZero32 { d, a })?,
            Op::NonZero(Ty::I64, a) => self.value(i, [a], |d, [a]| Uop::NonZero64 { d, a })?,
            Op::NonZero(_, a) => self.value(i, [a], |d, [a]| Uop::NonZero32 { d, a })?,
            Op::Bit(n, a) => self.value(i, [a], |d, [a]| Uop::Bit { d, a, n })?,
            Op::NotI1(a) => self.value(i, [a], |d, [a]| Uop::NotI1 { d, a })?,
            Op::Select(ty, c, a, b) => self.select(i, ty, c, a, b)?,

            Op::VFromInt(a) => {
                self.clean(a)?;
                self.value(i, [a], |d, [a]| Uop::VFromInt { d, a })?;
            }
            Op::VFromPair(a, b) => self.value(i, [a, b], |d, [a, b]| Uop::VFromPair { d, a, b })?,
            Op::VLane(esize, lane, v) => self.value(i, [v], |d, [a]| Uop::VLane { d, a, esize, lane })?,
            Op::VSetLane(esize, lane, v, x) => {
                self.value(i, [v, x], |d, [a, b]| Uop::VSetLane { d, a, b, esize, lane })?;
            }
            Op::VDup(esize, bytes, a) => self.value(i, [a], |d, [a]| Uop::VDup { d, a, esize, bytes })?,
            Op::VLow(bytes, v) => self.value(i, [v], |d, [a]| Uop::VLow { d, a, bytes })?,
            Op::Vec { op, imm, args } => {
                self.call(i, Call { op: Exact::Vec(op), f: op.func(), imm }, args)?
            }
            Op::Fp { op, imm, args } => self.call(i, Call { op: Exact::Fp(op), f: op.func(), imm }, args)?,

            Op::Load { ty, size, signed, acc, addr } => self.load(i, ty, size, signed, acc, addr)?,
            Op::Store { size, acc, addr, val } => self.store(size, acc, addr, val)?,
            Op::LoadEx { size, acc, addr } => self.load_exclusive(i, size, acc, addr)?,
            Op::StoreEx { size, acc, addr, val } => self.store_exclusive(i, size, acc, addr, val)?,
            Op::ClearEx => self.emit(Uop::ClearEx),
            Op::Rmw { op, size, acc, addr, val } => self.read_modify_write(i, op, size, acc, [addr, val])?,
            Op::Cas { size, acc, addr, expected, new } => {
                self.compare_and_swap(i, size, acc, [addr, expected, new])?;
            }
            Op::Barrier(kind) => self.emit(Uop::Barrier(kind)),
            Op::MopsCheck { size, nzcv, insn } => {
                let (a, b) = (self.clean(size)?, self.clean(nzcv)?);
                self.emit(Uop::MopsCheck { a, b, insn });
            }
            Op::MopsMove { to, from, size, insn } => {
                for v in [to, from, size] {
                    self.clean(v)?;
                }
                self.value(i, [to, from, size], |d, [a, b, c]| Uop::MopsMove { d, a, b, c, insn })?;
            }

            Op::Mrs { enc, rt } => self.value(i, [], |d, []| Uop::Mrs { d, rt, enc })?,
            Op::Msr { enc, rt, val } => {
                let a = self.clean(val)?;
                self.emit(Uop::Msr { a, rt, enc });
            }
            Op::Sys { enc, rt, val } => {
                let a = self.clean(val)?;
                self.emit(Uop::Sys { a, rt, enc });
            }
            Op::MsrImm { field, imm } => {
                self.sp_checked = false;
                self.emit(Uop::MsrImm { field, imm });
            }
            Op::Pac { op, ptr, modifier } => {
                for v in [ptr, modifier] {
                    self.clean(v)?;
                }
                self.value(i, [ptr, modifier], |d, [a, b]| Uop::Pac { d, a, b, op })?;
            }
            Op::SendEvent { all } => self.emit(Uop::SendEvent { all }),
            Op::CountAccesses(n) => self.emit(Uop::CountAccesses { n }),
        }
        Ok(())
    }

    /// An operation that makes value `i` of others. The high half of an I32 among them may be anything.
    fn value<const N: usize>(
        &mut self,
        i: usize,
        operands: [Val; N],
        make: impl FnOnce(u8, [u8; N]) -> Uop,
    ) -> Result<(), TooBig> {
        let mut slots = [ZERO; N];
        for (slot, v) in slots.iter_mut().zip(operands) {
            *slot = self.any(v)?;
        }
        let d = self.dest(i)?;
        self.emit(make(d, slots));
        Ok(())
    }
}
