//! Loads, stores and atomic accesses: base and offset, pairs, the accesses that are not plain.

use emu_a64::ir::{Acc, AtomicOp, BinOp, MemSize, Memory, Op, Ty, Val};

use super::{Predecoder, TooBig};
use crate::interp::liveness::{constant, is_plain};
use crate::interp::uop::{Extension, SpecialAccess, Uop};

/// True if another access to memory comes before an exclusive.
fn is_access_first<'a>(mut ops: impl Iterator<Item = &'a Op>) -> bool {
    ops.find_map(|op| match op.facts().memory {
        Memory::None => None,
        Memory::Access | Memory::MayAccess => Some(true),
        Memory::Exclusive | Memory::ClearsMonitor => Some(false),
    })
    .unwrap_or(false)
}

impl Predecoder<'_> {
    /// The slot and offset of an access's address.
    pub(super) fn address(&mut self, addr: Val, acc: &Acc) -> Result<(u8, i32), TooBig> {
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

    pub(super) fn access(&mut self, size: MemSize, acc: Acc, extend: Extension) -> u16 {
        self.code.accesses.push(SpecialAccess { size, acc, extend, interleaved: false });
        (self.code.accesses.len() - 1) as u16
    }

    /// As `access`, of an exclusive that is instruction `i` of the IR.
    fn exclusive(&mut self, i: usize, size: MemSize, acc: Acc) -> u16 {
        let (before, after) = self.block.insts.split_at(i);
        let interleaved = match self.block.insts[i].op {
            Op::LoadEx { .. } => is_access_first(after.iter().skip(1).map(|inst| &inst.op)),
            _ => is_access_first(before.iter().rev().map(|inst| &inst.op)),
        };
        self.code.accesses.push(SpecialAccess { size, acc, extend: Extension::Zero, interleaved });
        (self.code.accesses.len() - 1) as u16
    }

    pub(super) fn load_exclusive(
        &mut self,
        i: usize,
        size: MemSize,
        acc: Acc,
        addr: Val,
    ) -> Result<(), TooBig> {
        let (a, _) = self.address(addr, &acc)?;
        let (vector, access) = (size == MemSize::B16, self.exclusive(i, size, acc));
        self.value(i, [], |d, []| Uop::LdEx { d, a, vector, access })
    }

    pub(super) fn store_exclusive(
        &mut self,
        i: usize,
        size: MemSize,
        acc: Acc,
        addr: Val,
        val: Val,
    ) -> Result<(), TooBig> {
        let (a, _) = self.address(addr, &acc)?;
        let (vector, access) = (size == MemSize::B16, self.exclusive(i, size, acc));
        self.value(i, [val], |d, [b]| Uop::StEx { d, a, b, vector, access })
    }

    pub(super) fn read_modify_write(
        &mut self,
        i: usize,
        op: AtomicOp,
        size: MemSize,
        acc: Acc,
        [addr, val]: [Val; 2],
    ) -> Result<(), TooBig> {
        let (a, _) = self.address(addr, &acc)?;
        let access = self.access(size, acc, Extension::Zero);
        self.value(i, [val], |d, [b]| Uop::Rmw { d, a, b, op, access })
    }

    pub(super) fn compare_and_swap(
        &mut self,
        i: usize,
        size: MemSize,
        acc: Acc,
        [addr, expected, new]: [Val; 3],
    ) -> Result<(), TooBig> {
        let (a, _) = self.address(addr, &acc)?;
        let (vector, access) = (size == MemSize::B16, self.access(size, acc, Extension::Zero));
        self.value(i, [expected, new], |d, [b, c]| Uop::Cas { d, a, b, c, vector, access })
    }

    pub(super) fn load(
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
            let extend = match (signed, ty) {
                (false, _) => Extension::Zero,
                (true, Ty::I64) => Extension::Sign64,
                (true, _) => Extension::Sign32,
            };
            let access = self.access(size, acc, extend);
            let d = self.dest(i)?;
            self.emit(Uop::LdAcc { d, a, vector: ty == Ty::V, access });
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
            (Ty::V, ..) => Uop::LdV { d, a, size, elem, off },
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
    pub(super) fn lanes_of(&self, i: usize, size: MemSize, elem: MemSize) -> Option<[usize; 2]> {
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

    pub(super) fn store(&mut self, size: MemSize, acc: Acc, addr: Val, val: Val) -> Result<(), TooBig> {
        let vector = self.block.ty(val) == Ty::V;
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
            let access = self.access(size, acc, Extension::Zero);
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
}
