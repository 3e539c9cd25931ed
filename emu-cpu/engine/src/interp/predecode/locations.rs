//! Where values live: reading one, making one, and writing a guest register.

use emu_a64::ir::{Op, Register, Val};

use super::temps::Temps;
use super::{Predecoder, TooBig, ValueLocation, is_vector};
use crate::interp::uop::{FIRST_TEMP, NZCV, Uop, ZERO};

/// Where a guest register lives: whether in the vector file, and its slot.
fn slot_of(register: Register) -> (bool, u8) {
    match register {
        Register::X(r) => (false, r),
        Register::V(r) => (true, r),
        Register::Nzcv => (false, NZCV),
    }
}

impl Predecoder<'_> {
    pub(super) fn last(&self, v: Val) -> u16 {
        self.live.uses[v.0 as usize].last.unwrap_or(0)
    }

    pub(super) fn temps(&mut self, vector: bool) -> &mut Temps {
        if vector { &mut self.vecs } else { &mut self.ints }
    }

    /// A slot that holds `v`; for an I32 the high half may be anything.
    pub(super) fn any(&mut self, v: Val) -> Result<u8, TooBig> {
        match self.locations[v.0 as usize] {
            ValueLocation::Slot { slot, .. } => Ok(slot),
            ValueLocation::Const(0) => Ok(ZERO),
            ValueLocation::Const(imm) => {
                let d = self.ints.take(self.last(v))?;
                self.emit(Uop::Const { d, imm });
                self.locations[v.0 as usize] = ValueLocation::Slot { slot: d, dirty: false };
                Ok(d)
            }
            // An unused operand of a call, or one whose definition was deferred into this use.
            ValueLocation::None => self.force(v),
        }
    }

    /// A slot that holds exactly `v`.
    pub(super) fn clean(&mut self, v: Val) -> Result<u8, TooBig> {
        let slot = self.any(v)?;
        if let ValueLocation::Slot { dirty: true, .. } = self.locations[v.0 as usize] {
            let d = self.ints.take(self.last(v))?;
            self.emit(Uop::Zext32 { d, a: slot });
            self.locations[v.0 as usize] = ValueLocation::Slot { slot: d, dirty: false };
            return Ok(d);
        }
        Ok(slot)
    }

    /// Computes a value that was deferred, but whose user cannot take it in.
    pub(super) fn force(&mut self, v: Val) -> Result<u8, TooBig> {
        if !v.is_some() {
            return Ok(ZERO);
        }
        self.op(v.0 as usize)?;
        match self.locations[v.0 as usize] {
            ValueLocation::Slot { slot, .. } => Ok(slot),
            _ => Ok(ZERO),
        }
    }

    /// True if value `i` can be made directly in the slot of the register that it will be written to.
    pub(super) fn target(&self, i: usize) -> Option<u8> {
        let me = Val(i as u16);
        let vector = is_vector(self.block.ty(me));
        let insn = self.block.insts[i].insn;
        let reads = |op: &Op| op.facts().reads.map(slot_of);
        let writes = |op: &Op| op.facts().writes.map(slot_of);
        let rest = self.block.insts[i + 1..].iter().take_while(|x| x.insn == insn);
        let (mut slot, mut distance) = (None, 0);
        for (n, x) in rest.clone().enumerate() {
            match writes(&x.op) {
                Some((_, r)) if x.op.args()[0] == me && self.live.live[i + 1 + n] => {
                    slot = Some(r);
                    distance = n;
                    break;
                }
                _ if x.op.can_fault() => return None,
                _ => {}
            }
        }
        let slot = slot?;
        let own = Some((vector, slot));
        let clash = rest.take(distance).any(|x| reads(&x.op) == own || writes(&x.op) == own);
        let held = self.aliases.iter().any(|&(v, s, val)| {
            v == vector && s == slot && self.live.uses[val as usize].last > Some(i as u16)
        });
        (!clash && !held).then_some(slot)
    }

    /// Where to put value `i`.
    pub(super) fn dest(&mut self, i: usize) -> Result<u8, TooBig> {
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

    pub(super) fn place(&mut self, i: usize, slot: u8, dirty: bool) {
        self.locations[i] = ValueLocation::Slot { slot, dirty };
    }

    /// Value `i` is what `slot` already holds.
    pub(super) fn alias(&mut self, i: usize, slot: u8, dirty: bool) {
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
    pub(super) fn spill(&mut self, vector: bool, slot: u8, except: Val) -> Result<(), TooBig> {
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
            if let ValueLocation::Slot { slot, .. } = &mut self.locations[v as usize] {
                *slot = d;
            }
            self.aliases.retain(|a| a.2 != v);
        }
        Ok(())
    }

    /// Writes a guest register.
    pub(super) fn set(&mut self, vector: bool, slot: u8, v: Val) -> Result<(), TooBig> {
        if self.locations[v.0 as usize] == (ValueLocation::Slot { slot, dirty: false })
            && self.written_in_place(v, slot)
        {
            return Ok(());
        }
        self.spill(vector, slot, v)?;
        match self.locations[v.0 as usize] {
            ValueLocation::Const(imm) if !vector => {
                self.emit(if imm == 0 { Uop::Mov { d: slot, a: ZERO } } else { Uop::Const { d: slot, imm } })
            }
            ValueLocation::Slot { slot: a, dirty: true } => self.emit(Uop::Zext32 { d: slot, a }),
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
    pub(super) fn written_in_place(&self, v: Val, slot: u8) -> bool {
        self.locations[v.0 as usize] == ValueLocation::Slot { slot, dirty: false }
    }
}
