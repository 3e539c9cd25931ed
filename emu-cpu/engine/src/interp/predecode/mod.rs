//! From IR to the predecoded form: values get slots, constants become immediates, register reads and writes vanish
//! into the operations that use and make them.
//!
//! A value lives in a guest register's slot if it was read from there, or if it is about to be written there and nothing
//! in between can see the difference (another read, a fault). A register that is overwritten while an older value in its
//! slot is still needed is first copied to a temporary.

mod ends;
mod flags;
mod integer;
mod memory;
mod places;
mod temps;
mod vector;

use emu_a64::ir::{Block, Op, Ty};

use self::temps::Temps;
use super::block::Code;
use super::liveness::Liveness;
use super::uop::{NZCV, Uop};

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
            Op::Pac { op, ptr, modifier } => {
                let (a, b) = (self.clean(ptr)?, self.clean(modifier)?);
                let d = self.dest(i)?;
                self.emit(Uop::Pac { d, a, b, op });
            }
            Op::MopsCheck { size, nzcv, insn } => {
                let (a, b) = (self.clean(size)?, self.clean(nzcv)?);
                self.emit(Uop::MopsCheck { a, b, insn });
            }
            Op::MopsMove { to, from, size, insn } => {
                let (a, b, c) = (self.clean(to)?, self.clean(from)?, self.clean(size)?);
                let d = self.dest(i)?;
                self.emit(Uop::MopsMove { d, a, b, c, insn });
            }
            Op::MsrImm { field, imm } => {
                self.sp_checked = false;
                self.emit(Uop::MsrImm { field, imm });
            }
            Op::SendEvent { all } => self.emit(Uop::SendEvent { all }),
            Op::CountAccesses(n) => self.emit(Uop::CountAccesses { n }),
        }
        Ok(())
    }
}
