//! From IR to the predecoded form: values get slots, constants become immediates, register reads and writes vanish
//! into the operations that use and make them.
//!
//! A value lives in a guest register's slot if it was read from there, or if it is about to be written there and nothing
//! in between can see the difference (another read, a fault). A register that is overwritten while an older value in its
//! slot is still needed is first copied to a temporary.

use super::block::{Code, Exit};
use super::liveness::{Liveness, constant, is_plain};
use super::uop::{Access, Call, FIRST_TEMP, NZCV, Uop, ZERO};
use crate::ir::{Acc, BinOp, Block, MemSize, Op, Term, Ty, UnOp, Val};

/// The block needs more temporaries than there are slots: translate fewer instructions at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
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
    ty == Ty::V128
}

/// The temporaries of one file.
struct Temps {
    free: Vec<u8>,
    /// Slots in use, with the operation after which they are free.
    busy: Vec<(u8, u16)>,
}

impl Temps {
    fn new() -> Self {
        Self { free: (FIRST_TEMP..=255).rev().collect(), busy: Vec::new() }
    }
    fn expire(&mut self, now: u16) {
        let free = &mut self.free;
        self.busy.retain(|&(slot, last)| {
            let keep = last > now;
            if !keep {
                free.push(slot);
            }
            keep
        });
    }
    fn take(&mut self, last: u16) -> Result<u8, TooBig> {
        let slot = self.free.pop().ok_or(TooBig)?;
        self.busy.push((slot, last));
        Ok(slot)
    }
    fn extend(&mut self, slot: u8, last: u16) {
        if let Some(e) = self.busy.iter_mut().find(|e| e.0 == slot) {
            e.1 = e.1.max(last);
        }
    }
}

struct Predecoder<'a> {
    block: &'a Block,
    live: Liveness,
    places: Vec<Place>,
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
        places: vec![Place::None; block.insts.len()],
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

    fn last(&self, v: Val) -> u16 {
        self.live.uses[v.0 as usize].last.unwrap_or(0)
    }

    fn temps(&mut self, vector: bool) -> &mut Temps {
        if vector { &mut self.vecs } else { &mut self.ints }
    }

    /// A slot that holds `v`; for an I32 the high half may be anything.
    fn any(&mut self, v: Val) -> Result<u8, TooBig> {
        match self.places[v.0 as usize] {
            Place::Slot { slot, .. } => Ok(slot),
            Place::Const(0) => Ok(ZERO),
            Place::Const(imm) => {
                let d = self.ints.take(self.last(v))?;
                self.emit(Uop::Const { d, imm });
                self.places[v.0 as usize] = Place::Slot { slot: d, dirty: false };
                Ok(d)
            }
            // An unused operand of a call, or one whose definition was deferred into this use.
            Place::None => self.force(v),
        }
    }

    /// A slot that holds exactly `v`.
    fn clean(&mut self, v: Val) -> Result<u8, TooBig> {
        let slot = self.any(v)?;
        if let Place::Slot { dirty: true, .. } = self.places[v.0 as usize] {
            let d = self.ints.take(self.last(v))?;
            self.emit(Uop::Zext32 { d, a: slot });
            self.places[v.0 as usize] = Place::Slot { slot: d, dirty: false };
            return Ok(d);
        }
        Ok(slot)
    }

    /// Computes a value that was deferred, but whose user cannot take it in.
    fn force(&mut self, v: Val) -> Result<u8, TooBig> {
        if !v.is_some() {
            return Ok(ZERO);
        }
        self.op(v.0 as usize)?;
        match self.places[v.0 as usize] {
            Place::Slot { slot, .. } => Ok(slot),
            _ => Ok(ZERO),
        }
    }

    /// True if value `i` can be made directly in the slot of the register that it will be written to.
    fn target(&self, i: usize) -> Option<u8> {
        let me = Val(i as u16);
        let vector = is_vector(self.block.ty(me));
        let insn = self.block.insts[i].insn;
        let reads = |op: &Op, slot: u8| match *op {
            Op::GetX(r) => !vector && r == slot,
            Op::GetV(r) => vector && r == slot,
            Op::GetFlags => !vector && slot == NZCV,
            _ => false,
        };
        let writes = |op: &Op| match *op {
            Op::SetX(r, v) => Some((r, v)),
            Op::SetV(r, v) => Some((r, v)),
            Op::SetFlags(v) => Some((NZCV, v)),
            _ => None,
        };
        let rest = self.block.insts[i + 1..].iter().take_while(|x| x.insn == insn);
        let (mut slot, mut distance) = (None, 0);
        for (n, x) in rest.clone().enumerate() {
            match writes(&x.op) {
                Some((r, v)) if v == me && self.live.live[i + 1 + n] => {
                    slot = Some(r);
                    distance = n;
                    break;
                }
                _ if x.op.can_fault() => return None,
                _ => {}
            }
        }
        let slot = slot?;
        let clash = rest.take(distance).any(|x| {
            reads(&x.op, slot)
                || writes(&x.op).is_some_and(|(r, v)| r == slot && is_vector(self.block.ty(v)) == vector)
        });
        let held = self.aliases.iter().any(|&(v, s, val)| {
            v == vector && s == slot && self.live.uses[val as usize].last > Some(i as u16)
        });
        (!clash && !held).then_some(slot)
    }

    /// Where to put value `i`.
    fn dest(&mut self, i: usize) -> Result<u8, TooBig> {
        let vector = is_vector(self.block.ty(Val(i as u16)));
        if let Some(slot) = self.target(i) {
            self.place(i, slot, false);
            self.aliases.push((vector, slot, i as u16));
            return Ok(slot);
        }
        let last = self.last(Val(i as u16));
        let now = self.now;
        let temps = self.temps(vector);
        // A value that was deferred is computed inside its user, whose other operands are still needed.
        if i == now as usize {
            temps.expire(now);
        }
        let slot = temps.take(last)?;
        self.place(i, slot, false);
        Ok(slot)
    }

    fn place(&mut self, i: usize, slot: u8, dirty: bool) {
        self.places[i] = Place::Slot { slot, dirty };
    }

    /// Value `i` is what `slot` already holds.
    fn alias(&mut self, i: usize, slot: u8, dirty: bool) {
        let vector = is_vector(self.block.ty(Val(i as u16)));
        self.place(i, slot, dirty);
        if slot < FIRST_TEMP {
            self.aliases.push((vector, slot, i as u16));
        } else {
            let last = self.last(Val(i as u16));
            self.temps(vector).extend(slot, last);
        }
    }

    /// A guest register's slot is about to be overwritten by `except`: saves older values in it that are still needed.
    fn spill(&mut self, vector: bool, slot: u8, except: Val) -> Result<(), TooBig> {
        let now = self.now;
        let held: Vec<u16> = self
            .aliases
            .iter()
            .filter(|a| a.0 == vector && a.1 == slot && a.2 != except.0)
            .map(|a| a.2)
            .filter(|v| self.live.uses[*v as usize].last > Some(now))
            .collect();
        let Some(last) = held.iter().map(|v| self.last(Val(*v))).max() else { return Ok(()) };
        let d = self.temps(vector).take(last)?;
        self.emit(if vector { Uop::VMov { d, a: slot } } else { Uop::Mov { d, a: slot } });
        for v in held {
            if let Place::Slot { slot, .. } = &mut self.places[v as usize] {
                *slot = d;
            }
            self.aliases.retain(|a| a.2 != v);
        }
        Ok(())
    }

    /// Writes a guest register.
    fn set(&mut self, vector: bool, slot: u8, v: Val) -> Result<(), TooBig> {
        if self.places[v.0 as usize] == (Place::Slot { slot, dirty: false }) && self.written_in_place(v, slot)
        {
            return Ok(());
        }
        self.spill(vector, slot, v)?;
        match self.places[v.0 as usize] {
            Place::Const(imm) if !vector => {
                self.emit(if imm == 0 { Uop::Mov { d: slot, a: ZERO } } else { Uop::Const { d: slot, imm } })
            }
            Place::Slot { slot: a, dirty: true } => self.emit(Uop::Zext32 { d: slot, a }),
            _ => {
                let a = self.any(v)?;
                if a != slot {
                    self.emit(if vector { Uop::VMov { d: slot, a } } else { Uop::Mov { d: slot, a } });
                }
            }
        }
        Ok(())
    }

    /// True if `v` was made in `slot` itself, or read from it and not overwritten.
    fn written_in_place(&self, v: Val, slot: u8) -> bool {
        self.places[v.0 as usize] == Place::Slot { slot, dirty: false }
    }

    /// The slot and offset of an access's address.
    fn address(&mut self, addr: Val, acc: &Acc) -> Result<(u8, i32), TooBig> {
        if acc.sp_base && !self.sp_checked {
            self.emit(Uop::CheckSp);
            self.sp_checked = true;
        }
        if self.live.uses[addr.0 as usize].deferred
            && let Op::Bin(BinOp::Add, _, base, c) = self.block.insts[addr.0 as usize].op
            && let Some(off) = constant(self.block, c).and_then(|c| i32::try_from(c as i64).ok())
        {
            return Ok((self.any(base)?, off));
        }
        Ok((self.any(addr)?, 0))
    }

    fn access(&mut self, size: MemSize, acc: Acc, signed: u8) -> u16 {
        self.code.accesses.push(Access { size, acc, signed });
        (self.code.accesses.len() - 1) as u16
    }

    fn op(&mut self, i: usize) -> Result<(), TooBig> {
        // The second result of a load of a pair is placed by the load.
        if self.places[i] != Place::None {
            return Ok(());
        }
        let op = self.block.insts[i].op;
        match op {
            Op::Const(_, c) => self.places[i] = Place::Const(c),
            Op::GetX(r) => self.alias(i, r, false),
            Op::GetV(r) => self.alias(i, r, false),
            Op::GetFlags => self.alias(i, NZCV, false),
            Op::SetX(r, v) => {
                if r == 31 {
                    self.sp_checked = false;
                }
                self.set(false, r, v)?;
            }
            Op::SetV(r, v) => self.set(true, r, v)?,
            Op::SetFlags(v) => self.set(false, NZCV, v)?,
            Op::PcRel(rel) => {
                let d = self.dest(i)?;
                self.emit(Uop::PcRel { d, rel });
            }
            Op::PcPage(rel) => {
                let d = self.dest(i)?;
                self.emit(Uop::PcPage { d, rel });
            }
            Op::Bin(op, ty, a, b) => self.binary(i, op, ty, a, b)?,
            Op::Un(op, ty, a) => self.unary(i, op, ty, a)?,
            Op::Ext { bits, signed, to, a } => self.extend(i, bits, signed, to, a)?,
            Op::Bfx { .. } | Op::Bfi { .. } | Op::Extr { .. } | Op::AddCarry(..) | Op::Crc32 { .. } => {
                self.fields(i, op)?;
            }
            Op::FlagsAdd(..)
            | Op::FlagsSub(..)
            | Op::FlagsAdc(..)
            | Op::FlagsLogic(..)
            | Op::FlagsConst(_)
            | Op::FlagsFromNzcv(_)
            | Op::NzcvFromFlags(_)
            | Op::Test(..)
            | Op::IsZero(..)
            | Op::NonZero(..)
            | Op::Bit(..)
            | Op::NotI1(_)
            | Op::Select(..) => self.flags(i, op)?,
            Op::VFromInt(_)
            | Op::VFromPair(..)
            | Op::VLane(..)
            | Op::VSetLane(..)
            | Op::VDup(..)
            | Op::VLow(..)
            | Op::Vec { .. }
            | Op::Fp { .. } => self.vector(i, op)?,
            Op::Load { .. }
            | Op::Store { .. }
            | Op::LoadEx { .. }
            | Op::StoreEx { .. }
            | Op::Rmw { .. }
            | Op::Cas { .. } => self.memory(i, op)?,
            Op::ClearEx => self.emit(Uop::ClearEx),
            Op::Barrier(kind) => self.emit(Uop::Barrier(kind)),
            Op::Mrs { enc, rt } => {
                let d = self.dest(i)?;
                self.emit(Uop::Mrs { d, rt, enc });
            }
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
            Op::SendEvent { all } => self.emit(Uop::SendEvent { all }),
        }
        Ok(())
    }

    fn binary(&mut self, i: usize, op: BinOp, ty: Ty, a: Val, b: Val) -> Result<(), TooBig> {
        let wide = ty == Ty::I64;
        let commutes = matches!(op, BinOp::Add | BinOp::And | BinOp::Or | BinOp::Xor);
        let (a, b) = if commutes && constant(self.block, a).is_some() { (b, a) } else { (a, b) };
        if let Some(imm) = constant(self.block, b)
            && constant(self.block, a).is_none()
            && self.binary_immediate(i, op, wide, a, imm)?
        {
            return Ok(());
        }
        if op == BinOp::Add && wide {
            for (base, shifted) in [(a, b), (b, a)] {
                if self.live.uses[shifted.0 as usize].deferred
                    && let Op::Bin(BinOp::Shl, _, x, n) = self.block.insts[shifted.0 as usize].op
                    && let Some(n) = constant(self.block, n)
                    && self.places[shifted.0 as usize] == Place::None
                {
                    let (a, b) = (self.any(base)?, self.any(x)?);
                    let d = self.dest(i)?;
                    self.emit(Uop::AddShl64 { d, a, b, n: n as u8 & 63 });
                    return Ok(());
                }
            }
        }
        let (a, b) = (self.any(a)?, self.any(b)?);
        let d = self.dest(i)?;
        use BinOp::*;
        self.emit(match (op, wide) {
            (Add, true) => Uop::Add64 { d, a, b },
            (Add, false) => Uop::Add32 { d, a, b },
            (Sub, true) => Uop::Sub64 { d, a, b },
            (Sub, false) => Uop::Sub32 { d, a, b },
            (And, true) => Uop::And64 { d, a, b },
            (And, false) => Uop::And32 { d, a, b },
            (Or, true) => Uop::Or64 { d, a, b },
            (Or, false) => Uop::Or32 { d, a, b },
            (Xor, true) => Uop::Xor64 { d, a, b },
            (Xor, false) => Uop::Xor32 { d, a, b },
            (AndNot, true) => Uop::AndNot64 { d, a, b },
            (AndNot, false) => Uop::AndNot32 { d, a, b },
            (OrNot, true) => Uop::OrNot64 { d, a, b },
            (OrNot, false) => Uop::OrNot32 { d, a, b },
            (XorNot, true) => Uop::XorNot64 { d, a, b },
            (XorNot, false) => Uop::XorNot32 { d, a, b },
            (Mul, true) => Uop::Mul64 { d, a, b },
            (Mul, false) => Uop::Mul32 { d, a, b },
            (SMulH, _) => Uop::SMulH { d, a, b },
            (UMulH, _) => Uop::UMulH { d, a, b },
            (SDiv, true) => Uop::SDiv64 { d, a, b },
            (SDiv, false) => Uop::SDiv32 { d, a, b },
            (UDiv, true) => Uop::UDiv64 { d, a, b },
            (UDiv, false) => Uop::UDiv32 { d, a, b },
            (Shl, true) => Uop::Shl64 { d, a, b },
            (Shl, false) => Uop::Shl32 { d, a, b },
            (Lsr, true) => Uop::Lsr64 { d, a, b },
            (Lsr, false) => Uop::Lsr32 { d, a, b },
            (Asr, true) => Uop::Asr64 { d, a, b },
            (Asr, false) => Uop::Asr32 { d, a, b },
            (Ror, true) => Uop::Ror64 { d, a, b },
            (Ror, false) => Uop::Ror32 { d, a, b },
        });
        Ok(())
    }

    /// Forms with an immediate; false if the operation has none.
    fn binary_immediate(
        &mut self,
        i: usize,
        op: BinOp,
        wide: bool,
        a: Val,
        imm: u64,
    ) -> Result<bool, TooBig> {
        use BinOp::*;
        if !matches!(op, Add | Sub | And | Or | Xor | AndNot | Shl | Lsr | Asr | Ror) {
            return Ok(false);
        }
        let a = self.any(a)?;
        let d = self.dest(i)?;
        let w = imm as u32;
        let (n64, n32) = (imm as u8 & 63, imm as u8 & 31);
        self.emit(match (op, wide) {
            (Sub, true) => Uop::AddI64 { d, a, imm: imm.wrapping_neg() },
            (Sub, false) => Uop::AddI32 { d, a, imm: w.wrapping_neg() },
            (And, true) => Uop::AndI64 { d, a, imm },
            (And, false) => Uop::AndI32 { d, a, imm: w },
            (AndNot, true) => Uop::AndI64 { d, a, imm: !imm },
            (AndNot, false) => Uop::AndI32 { d, a, imm: !w },
            (Or, true) => Uop::OrI64 { d, a, imm },
            (Or, false) => Uop::OrI32 { d, a, imm: w },
            (Xor, true) => Uop::XorI64 { d, a, imm },
            (Xor, false) => Uop::XorI32 { d, a, imm: w },
            (Shl, true) => Uop::ShlI64 { d, a, n: n64 },
            (Shl, false) => Uop::ShlI32 { d, a, n: n32 },
            (Lsr, true) => Uop::LsrI64 { d, a, n: n64 },
            (Lsr, false) => Uop::LsrI32 { d, a, n: n32 },
            (Asr, true) => Uop::AsrI64 { d, a, n: n64 },
            (Asr, false) => Uop::AsrI32 { d, a, n: n32 },
            (Ror, true) => Uop::RorI64 { d, a, n: n64 },
            (Ror, false) => Uop::RorI32 { d, a, n: n32 },
            (_, true) => Uop::AddI64 { d, a, imm },
            (_, false) => Uop::AddI32 { d, a, imm: w },
        });
        Ok(true)
    }

    fn unary(&mut self, i: usize, op: UnOp, ty: Ty, a: Val) -> Result<(), TooBig> {
        let a = self.any(a)?;
        let d = self.dest(i)?;
        let wide = ty == Ty::I64;
        self.emit(match (op, wide) {
            (UnOp::Not, true) => Uop::Not64 { d, a },
            (UnOp::Not, false) => Uop::Not32 { d, a },
            (UnOp::Neg, true) => Uop::Neg64 { d, a },
            (UnOp::Neg, false) => Uop::Neg32 { d, a },
            (UnOp::Clz, true) => Uop::Clz64 { d, a },
            (UnOp::Clz, false) => Uop::Clz32 { d, a },
            (UnOp::Cls, true) => Uop::Cls64 { d, a },
            (UnOp::Cls, false) => Uop::Cls32 { d, a },
            (UnOp::Rbit, true) => Uop::Rbit64 { d, a },
            (UnOp::Rbit, false) => Uop::Rbit32 { d, a },
            (UnOp::Rev, true) => Uop::Rev64 { d, a },
            (UnOp::Rev, false) => Uop::Rev32 { d, a },
            (UnOp::Rev16, _) => Uop::Rev16 { d, a },
            (UnOp::Rev32, _) => Uop::RevW { d, a },
        });
        if !wide && op == UnOp::Rev16 {
            self.emit(Uop::Zext32 { d, a: d });
        }
        Ok(())
    }

    fn extend(&mut self, i: usize, bits: u8, signed: bool, to: Ty, a: Val) -> Result<(), TooBig> {
        let from = self.block.ty(a);
        if bits == 32 && !signed {
            let slot = self.any(a)?;
            let dirty = match self.places[a.0 as usize] {
                Place::Slot { dirty, .. } => dirty || from == Ty::I64,
                _ => from == Ty::I64,
            };
            if to == Ty::I32 || !dirty {
                self.alias(i, slot, dirty);
                return Ok(());
            }
            let d = self.dest(i)?;
            self.emit(Uop::Zext32 { d, a: slot });
            return Ok(());
        }
        if bits == 32 && to == Ty::I32 {
            let slot = self.any(a)?;
            self.alias(i, slot, true);
            return Ok(());
        }
        let a = self.any(a)?;
        let d = self.dest(i)?;
        self.emit(match (bits, signed, to) {
            (8, false, _) => Uop::Zext8 { d, a },
            (16, false, _) => Uop::Zext16 { d, a },
            (8, true, Ty::I32) => Uop::Sext8To32 { d, a },
            (16, true, Ty::I32) => Uop::Sext16To32 { d, a },
            (8, true, _) => Uop::Sext8 { d, a },
            (16, true, _) => Uop::Sext16 { d, a },
            _ => Uop::Sext32 { d, a },
        });
        Ok(())
    }

    fn fields(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        let uop = match op {
            Op::Bfx { ty, signed, lsb, width, a } => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                match (signed, ty) {
                    (false, _) => Uop::Ubfx { d, a, lsb, width },
                    (true, Ty::I64) => Uop::Sbfx64 { d, a, lsb, width },
                    (true, _) => Uop::Sbfx32 { d, a, lsb, width },
                }
            }
            Op::Bfi { ty, lsb, width, dst, src } => {
                let (a, b) = (self.any(dst)?, self.any(src)?);
                let d = self.dest(i)?;
                Uop::Bfi { d, a, b, lsb, width, word: ty == Ty::I32 }
            }
            Op::Extr { ty, lsb, hi, lo } => {
                let (a, b) = (self.any(hi)?, self.any(lo)?);
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::Extr64 { d, a, b, lsb } } else { Uop::Extr32 { d, a, b, lsb } }
            }
            Op::AddCarry(ty, a, b, f) => {
                let (a, b, c) = (self.any(a)?, self.any(b)?, self.any(f)?);
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::AddCarry64 { d, a, b, c } } else { Uop::AddCarry32 { d, a, b, c } }
            }
            Op::Crc32 { castagnoli, size, acc, data } => {
                let (a, b) = (self.any(acc)?, self.any(data)?);
                let d = self.dest(i)?;
                Uop::Crc32 { d, a, b, size, castagnoli }
            }
            _ => return Ok(()),
        };
        self.emit(uop);
        Ok(())
    }

    fn flags(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        let uop = match op {
            Op::FlagsConst(nzcv) => {
                self.places[i] = Place::Const(u64::from(nzcv) << 28);
                return Ok(());
            }
            Op::FlagsSub(ty, a, b) if constant(self.block, b).is_some() => {
                let imm = constant(self.block, b).unwrap_or(0);
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 {
                    Uop::FlagsSubI64 { d, a, imm }
                } else {
                    Uop::FlagsSubI32 { d, a, imm: imm as u32 }
                }
            }
            Op::FlagsAdd(ty, a, b) | Op::FlagsSub(ty, a, b) => {
                let add = matches!(op, Op::FlagsAdd(..));
                let (a, b) = (self.any(a)?, self.any(b)?);
                let d = self.dest(i)?;
                match (add, ty == Ty::I64) {
                    (true, true) => Uop::FlagsAdd64 { d, a, b },
                    (true, false) => Uop::FlagsAdd32 { d, a, b },
                    (false, true) => Uop::FlagsSub64 { d, a, b },
                    (false, false) => Uop::FlagsSub32 { d, a, b },
                }
            }
            Op::FlagsAdc(ty, a, b, f) => {
                let (a, b, c) = (self.any(a)?, self.any(b)?, self.any(f)?);
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::FlagsAdc64 { d, a, b, c } } else { Uop::FlagsAdc32 { d, a, b, c } }
            }
            Op::FlagsLogic(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::FlagsLogic64 { d, a } } else { Uop::FlagsLogic32 { d, a } }
            }
            Op::FlagsFromNzcv(a) | Op::NzcvFromFlags(a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::Nzcv { d, a }
            }
            Op::Test(cond, f) => {
                let a = self.any(f)?;
                let d = self.dest(i)?;
                Uop::Test { d, a, cond }
            }
            Op::IsZero(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::IsZero64 { d, a } } else { Uop::IsZero32 { d, a } }
            }
            Op::NonZero(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::NonZero64 { d, a } } else { Uop::NonZero32 { d, a } }
            }
            Op::Bit(n, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::Bit { d, a, n }
            }
            Op::NotI1(a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::NotI1 { d, a }
            }
            Op::Select(ty, c, a, b) => return self.select(i, ty, c, a, b),
            _ => return Ok(()),
        };
        self.emit(uop);
        Ok(())
    }

    fn select(&mut self, i: usize, ty: Ty, c: Val, a: Val, b: Val) -> Result<(), TooBig> {
        if ty == Ty::V128 {
            let c = self.any(c)?;
            let (a, b) = (self.any(a)?, self.any(b)?);
            let d = self.dest(i)?;
            self.emit(Uop::VSelect { d, c, a, b });
            return Ok(());
        }
        let (sa, sb) = (self.any(a)?, self.any(b)?);
        let dirty = |p: Place| matches!(p, Place::Slot { dirty: true, .. });
        let wash = dirty(self.places[a.0 as usize]) || dirty(self.places[b.0 as usize]);
        let test = match self.block.insts[c.0 as usize].op {
            Op::Test(cond, f) if self.live.uses[c.0 as usize].deferred => Some((cond, f)),
            _ => None,
        };
        let d = if let Some((cond, f)) = test {
            let f = self.any(f)?;
            let d = self.dest(i)?;
            self.emit(Uop::SelectCond { d, f, cond, a: sa, b: sb });
            d
        } else {
            let c = self.any(c)?;
            let d = self.dest(i)?;
            self.emit(Uop::Select { d, c, a: sa, b: sb });
            d
        };
        if wash {
            self.emit(Uop::Zext32 { d, a: d });
        }
        Ok(())
    }

    fn vector(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        let uop = match op {
            Op::VFromInt(a) => {
                let a = self.clean(a)?;
                let d = self.dest(i)?;
                Uop::VFromInt { d, a }
            }
            Op::VFromPair(a, b) => {
                let (a, b) = (self.any(a)?, self.any(b)?);
                let d = self.dest(i)?;
                Uop::VFromPair { d, a, b }
            }
            Op::VLane(esize, lane, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VLane { d, a, esize, lane }
            }
            Op::VSetLane(esize, lane, v, x) => {
                let (a, b) = (self.any(v)?, self.any(x)?);
                let d = self.dest(i)?;
                Uop::VSetLane { d, a, b, esize, lane }
            }
            Op::VDup(esize, bytes, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VDup { d, a, esize, bytes }
            }
            Op::VLow(bytes, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VLow { d, a, bytes }
            }
            Op::Vec { op, imm, args } => {
                self.code.calls.push(Call { f: op.func(), imm });
                return self.call(i, args);
            }
            Op::Fp { op, imm, args } => {
                self.code.calls.push(Call { f: op.func(), imm });
                return self.call(i, args);
            }
            _ => return Ok(()),
        };
        self.emit(uop);
        Ok(())
    }

    fn call(&mut self, i: usize, args: [Val; 3]) -> Result<(), TooBig> {
        let call = (self.code.calls.len() - 1) as u16;
        let mut slots = [ZERO; 3];
        for (slot, v) in slots.iter_mut().zip(args) {
            if v.is_some() {
                *slot = self.any(v)?;
            }
        }
        let [a, b, c] = slots;
        let d = self.dest(i)?;
        self.emit(Uop::Call { d, a, b, c, call });
        Ok(())
    }

    fn memory(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        match op {
            Op::Load { ty, size, signed, acc, addr } => self.load(i, ty, size, signed, acc, addr),
            Op::Store { size, acc, addr, val } => self.store(size, acc, addr, val),
            Op::LoadEx { size, acc, addr } => {
                let (a, _) = self.address(addr, &acc)?;
                let access = self.access(size, acc, 0);
                let d = self.dest(i)?;
                self.emit(Uop::LdEx { d, a, access });
                Ok(())
            }
            Op::StoreEx { size, acc, addr, val } => {
                let (a, _) = self.address(addr, &acc)?;
                let b = self.any(val)?;
                let access = self.access(size, acc, 0);
                let d = self.dest(i)?;
                self.emit(Uop::StEx { d, a, b, access });
                Ok(())
            }
            Op::Rmw { op, size, acc, addr, val } => {
                let (a, _) = self.address(addr, &acc)?;
                let b = self.any(val)?;
                let access = self.access(size, acc, 0);
                let d = self.dest(i)?;
                self.emit(Uop::Rmw { d, a, b, op, access });
                Ok(())
            }
            Op::Cas { size, acc, addr, expected, new } => {
                let (a, _) = self.address(addr, &acc)?;
                let (b, c) = (self.any(expected)?, self.any(new)?);
                let access = self.access(size, acc, 0);
                let d = self.dest(i)?;
                self.emit(Uop::Cas { d, a, b, c, access });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn load(
        &mut self,
        i: usize,
        ty: Ty,
        size: MemSize,
        signed: bool,
        acc: Acc,
        addr: Val,
    ) -> Result<(), TooBig> {
        let (a, off) = self.address(addr, &acc)?;
        if !is_plain(&acc) {
            let signed = if signed { if ty == Ty::I64 { 64 } else { 32 } } else { 0 };
            let access = self.access(size, acc, signed);
            let d = self.dest(i)?;
            self.emit(Uop::LdAcc { d, a, vector: ty == Ty::V128, access });
            return Ok(());
        }
        let elem = acc.elem_align.unwrap_or(size);
        if let Some([low, high]) = self.lanes_of(i, size, elem) {
            let (d, e) = (self.dest(low)?, self.dest(high)?);
            self.emit(Uop::LdPair { d, e, a, off });
            return Ok(());
        }
        let d = self.dest(i)?;
        self.emit(match (ty, size, signed) {
            (Ty::V128, ..) => Uop::LdV { d, a, size, elem, off },
            (_, MemSize::B8, _) if elem != size => Uop::LdWords { d, a, off },
            (_, MemSize::B1, false) => Uop::Ld8 { d, a, off },
            (_, MemSize::B2, false) => Uop::Ld16 { d, a, off },
            (Ty::I32, MemSize::B4, _) | (_, MemSize::B4, false) => Uop::Ld32 { d, a, off },
            (Ty::I32, MemSize::B1, true) => Uop::Ld8s32 { d, a, off },
            (Ty::I32, MemSize::B2, true) => Uop::Ld16s32 { d, a, off },
            (_, MemSize::B1, true) => Uop::Ld8s64 { d, a, off },
            (_, MemSize::B2, true) => Uop::Ld16s64 { d, a, off },
            (_, MemSize::B4, true) => Uop::Ld32s64 { d, a, off },
            _ => Uop::Ld64 { d, a, off },
        });
        Ok(())
    }

    /// The two lane reads that are all that is done with load `i`, if it loads a pair of doublewords.
    fn lanes_of(&self, i: usize, size: MemSize, elem: MemSize) -> Option<[usize; 2]> {
        if size != MemSize::B16 || elem != MemSize::B8 || self.live.uses[i].count != 2 {
            return None;
        }
        let me = Val(i as u16);
        let find = |lane: u8| {
            let rest = self.block.insts.iter().enumerate().skip(i + 1).take(4);
            rest.filter(|(n, x)| {
                self.live.live[*n] && matches!(x.op, Op::VLane(3, l, v) if l == lane && v == me)
            })
            .map(|(n, _)| n)
            .next()
        };
        Some([find(0)?, find(1)?])
    }

    fn store(&mut self, size: MemSize, acc: Acc, addr: Val, val: Val) -> Result<(), TooBig> {
        let vector = self.block.ty(val) == Ty::V128;
        let (a, off) = self.address(addr, &acc)?;
        let elem = acc.elem_align.unwrap_or(size);
        if let Op::VFromPair(low, high) = self.block.insts[val.0 as usize].op
            && self.live.uses[val.0 as usize].deferred
        {
            let (b, c) = (self.any(low)?, self.any(high)?);
            self.emit(Uop::StPair { a, b, c, off });
            return Ok(());
        }
        let b = if size == MemSize::B8 && !vector { self.clean(val)? } else { self.any(val)? };
        if !is_plain(&acc) {
            let access = self.access(size, acc, 0);
            self.emit(Uop::StAcc { a, b, vector, access });
            return Ok(());
        }
        self.emit(match (vector, size) {
            (true, _) => Uop::StV { a, b, size, elem, off },
            (_, MemSize::B8) if elem != size => Uop::StWords { a, b, off },
            (_, MemSize::B1) => Uop::St8 { a, b, off },
            (_, MemSize::B2) => Uop::St16 { a, b, off },
            (_, MemSize::B4) => Uop::St32 { a, b, off },
            _ => Uop::St64 { a, b, off },
        });
        Ok(())
    }

    fn term(&mut self) -> Result<(), TooBig> {
        let exit = |rel| Exit { rel, ..Exit::default() };
        match self.block.term {
            Term::Goto { rel, .. } => {
                self.code.exits[0] = exit(rel);
                self.emit(Uop::Goto);
            }
            Term::If { cond, then_rel, else_rel } => {
                self.code.exits = [exit(then_rel), exit(else_rel)];
                let uop = self.branch(cond)?;
                self.emit(uop);
            }
            Term::Indirect { target, .. } => {
                let a = self.any(target)?;
                self.emit(Uop::Indirect { a });
            }
            Term::Exception(e) => self.emit(Uop::Exception(e)),
            Term::Leave { kind, next } => {
                self.code.exits[0] = exit(next);
                self.emit(Uop::Leave { kind });
            }
        }
        Ok(())
    }

    fn branch(&mut self, cond: Val) -> Result<Uop, TooBig> {
        if self.live.uses[cond.0 as usize].deferred {
            let op = self.block.insts[cond.0 as usize].op;
            return Ok(match op {
                Op::Test(cond, f) => Uop::IfCond { f: self.any(f)?, cond },
                Op::IsZero(Ty::I64, a) => Uop::IfZero64 { a: self.any(a)? },
                Op::IsZero(_, a) => Uop::IfZero32 { a: self.any(a)? },
                Op::NonZero(Ty::I64, a) => Uop::IfNonZero64 { a: self.any(a)? },
                Op::NonZero(_, a) => Uop::IfNonZero32 { a: self.any(a)? },
                Op::Bit(n, a) => Uop::IfBit { a: self.any(a)?, n, set: true },
                Op::NotI1(v) => match self.block.insts[v.0 as usize].op {
                    Op::Bit(n, a) if self.live.uses[v.0 as usize].deferred => {
                        Uop::IfBit { a: self.any(a)?, n, set: false }
                    }
                    _ => Uop::IfZero64 { a: self.any(v)? },
                },
                _ => Uop::IfI1 { a: self.force(cond)? },
            });
        }
        Ok(Uop::IfI1 { a: self.any(cond)? })
    }
}
