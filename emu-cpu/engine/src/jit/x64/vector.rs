//! Where vector slots live, and moves between, into and out of them.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::sse::{
    self, INSERTPS, MOVAPS, MOVDDUP, MOVQ, MOVSD, MOVSS, PSHUFB, PSHUFD, PSHUFLW, PUNPCKLQDQ, Shift, Src,
};
use super::{Emitter, RAX, RCX, asm, vec_disp};
use crate::interp::uop::{Uop, ZERO};

/// For each vector slot, how many of its low bytes can be other than zero: what is written there by a scalar operation has
/// zeros above it, and the next scalar operation need not make them again. Known inside straight-line code only.
#[derive(Clone)]
pub(super) struct Sizes([u8; 256]);

impl Default for Sizes {
    fn default() -> Self {
        Self([16; 256])
    }
}

/// Where vector slots live. Code for an operation may use xmm0 to xmm4 as it likes; the others belong to slots.
impl Emitter<'_> {
    /// The register of a vector slot, if it has one.
    pub(super) fn vassigned(&self, slot: u8) -> Option<u8> {
        self.assignment.vector(slot)
    }

    /// The register that has the value of a vector slot, if there is one.
    pub(super) fn vcurrent(&self, slot: u8) -> Option<u8> {
        self.assignment.current_vector(slot)
    }

    /// Nothing is known any more about the high parts of slots: where paths come together, and after an operation that
    /// writes slots unseen.
    pub(super) fn forget_vector_sizes(&mut self) {
        self.sizes = Sizes::default();
    }

    /// True if a slot has only zeros above its low `bytes`.
    pub(super) fn vfits(&self, slot: u8, bytes: u8) -> bool {
        self.sizes.0[slot as usize] <= bytes
    }

    /// A slot as an operand.
    pub(super) fn vsrc(&self, slot: u8) -> Src {
        self.vcurrent(slot).map_or(Src::Mem(vec_disp(slot)), Src::Reg)
    }

    /// All of a slot in a register, which must not be changed: its own, or `scratch`. Keeps the host's flags.
    pub(super) fn vread(&mut self, slot: u8, scratch: u8) -> u8 {
        if let Some(r) = self.vcurrent(slot) {
            return r;
        }
        self.vload(scratch, slot);
        scratch
    }

    /// A copy of a slot in this register. Keeps the host's flags.
    pub(super) fn vload(&mut self, r: u8, slot: u8) {
        match self.vsrc(slot) {
            Src::Mem(_) if self.vfits(slot, 0) => self.clear(r),
            from if from != Src::Reg(r) => self.op2(MOVAPS, r, from),
            _ => {}
        }
    }

    /// The low 4, 8 or 16 bytes of a slot with zeros above, in a register that must not be changed: its own, or `scratch`.
    pub(super) fn vread_low(&mut self, slot: u8, bytes: u8, scratch: u8) -> u8 {
        match self.vcurrent(slot) {
            Some(r) if self.vfits(slot, bytes) => r,
            _ => {
                self.vload_low(scratch, slot, bytes);
                scratch
            }
        }
    }

    /// A copy of the low 4, 8 or 16 bytes of a slot in this register, with zeros above.
    pub(super) fn vload_low(&mut self, r: u8, slot: u8, bytes: u8) {
        match self.vsrc(slot) {
            Src::Mem(_) if bytes == 16 || self.vfits(slot, 0) => self.vload(r, slot),
            Src::Mem(at) if bytes == 8 => self.op2(MOVSD, r, Src::Mem(at)),
            Src::Mem(at) => self.op2(MOVSS, r, Src::Mem(at)),
            Src::Reg(from) if self.vfits(slot, bytes) => self.copy(r, from),
            Src::Reg(from) => self.low(r, from, bytes),
        }
    }

    /// The low 8 bytes of a slot, twice, in this register.
    pub(super) fn vload_twice(&mut self, r: u8, slot: u8) {
        let from = self.vsrc(slot);
        self.op2(MOVDDUP, r, from);
    }

    /// d = the low 4, 8 or 16 bytes of a, with zeros above.
    pub(super) fn low(&mut self, d: u8, a: u8, bytes: u8) {
        match bytes {
            8 => self.op2(MOVQ, d, Src::Reg(a)),
            // Bits 3:0 clear elements.
            4 => self.op3i(INSERTPS, d, a, Src::Reg(a), 0x0e),
            _ => self.copy(d, a),
        }
    }

    /// Where to compute a result for a slot, if `reads` are read after something was written there: its register, or
    /// `scratch`. Operands of an operation that can still go to a slow path are read again by that.
    pub(super) fn vresult(&self, slot: u8, reads: &[u8], scratch: u8) -> u8 {
        match self.vassigned(slot) {
            Some(r) if !reads.contains(&slot) => r,
            _ => scratch,
        }
    }

    /// Puts a register into a slot. Keeps the host's flags.
    pub(super) fn vstore(&mut self, slot: u8, r: u8) {
        self.vstore_sized(slot, r, 16);
    }

    /// Puts a register, which has zeros above its low `bytes`, into a slot.
    pub(super) fn vstore_sized(&mut self, slot: u8, r: u8, bytes: u8) {
        self.sizes.0[slot as usize] = bytes;
        let own = self.vassigned(slot);
        if let Some(own) = own {
            self.copy(own, r);
        }
        if self.assignment.fill_vector(slot) || own.is_none() {
            if self.host.avx {
                asm!(self; vmovaps [r15 + vec_disp(slot)], Rx(r));
            } else {
                asm!(self; movaps [r15 + vec_disp(slot)], Rx(r));
            }
        }
    }

    /// Puts the low 4, 8 or 16 bytes of a register into a slot, with zeros above. Changes the register.
    pub(super) fn vstore_low(&mut self, slot: u8, r: u8, bytes: u8) {
        let to = self.vassigned(slot).unwrap_or(r);
        self.low(to, r, bytes);
        self.vstore_sized(slot, to, bytes);
    }

    /// A general register, zero-extended from `bytes`, to a slot.
    pub(super) fn vstore_general(&mut self, slot: u8, from: u8, bytes: u8) {
        let r = self.vresult(slot, &[], 0);
        if bytes == 8 {
            asm!(self; movq Rx(r), Rq(from));
        } else {
            asm!(self; movd Rx(r), Rd(from));
        }
        self.vstore_sized(slot, r, bytes);
    }
}

impl Emitter<'_> {
    /// Moves of vectors; false if it is something else, or one that has no code in line.
    pub(super) fn vector(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::VMov { d, a } => {
                let size = self.sizes.0[a as usize];
                let r = self.vresult(d, &[], 0);
                self.vload(r, a);
                self.vstore_sized(d, r, size);
            }
            Uop::VFromInt { d, a: ZERO } | Uop::VDup { d, a: ZERO, .. } => {
                let r = self.vresult(d, &[], 0);
                self.clear(r);
                self.vstore_sized(d, r, 0);
            }
            Uop::VFromInt { d, a } => {
                if !self.fused_from_int(d, a) {
                    let a = self.read(a, RAX);
                    self.vstore_general(d, a, 8);
                }
            }
            Uop::VFromPair { d, a, b } => {
                let (a, b) = (self.read(a, RAX), self.read(b, RCX));
                asm!(self; movq xmm0, Rq(a) ; pinsrq xmm0, Rq(b), 1);
                self.vstore(d, 0);
            }
            Uop::VLow { d, a, bytes: bytes @ (4 | 8) } => {
                let r = self.vresult(d, &[], 0);
                self.vload_low(r, a, bytes);
                self.vstore_sized(d, r, bytes);
            }
            Uop::VLane { d, a, esize, lane } => self.vector_lane(d, a, esize & 3, lane),
            Uop::VSetLane { d, a, b, esize, lane } => {
                let b = self.read(b, RAX);
                let lane = lane as i8;
                let r = self.vresult(d, &[], 0);
                self.vload(r, a);
                match esize & 3 {
                    0 => asm!(self; pinsrb Rx(r), Rd(b), lane & 15),
                    1 => asm!(self; pinsrw Rx(r), Rd(b), lane & 7),
                    2 => asm!(self; pinsrd Rx(r), Rd(b), lane & 3),
                    _ => asm!(self; pinsrq Rx(r), Rq(b), lane & 1),
                }
                self.vstore(d, r);
            }
            Uop::VDup { d, a, esize: 3, bytes: 8 } => {
                let a = self.read(a, RAX);
                self.vstore_general(d, a, 8);
            }
            Uop::VDup { d, a, esize, bytes } => {
                let a = self.read(a, RAX);
                asm!(self; movq xmm0, Rq(a));
                self.broadcast(u32::from(esize & 3));
                self.vstore_low(d, 0, bytes);
            }
            Uop::VSelect { d, c, a, b } => {
                let c = self.read(c, RAX);
                let size = self.sizes.0[a as usize].max(self.sizes.0[b as usize]);
                let r = self.vresult(d, &[b], 0);
                let (keep, a) = (self.ops.new_dynamic_label(), a);
                self.vload(r, a);
                asm!(self; test Rq(c), Rq(c) ; jne =>keep);
                self.vload(r, b);
                asm!(self; =>keep);
                self.vstore_sized(d, r, size);
            }
            _ => return false,
        }
        true
    }

    /// The lowest element of xmm0 in all of them. Changes xmm1.
    pub(super) fn broadcast(&mut self, log2: u32) {
        match log2 {
            0 => {
                self.clear(1);
                self.op3(PSHUFB, 0, 0, Src::Reg(1));
            }
            1 => {
                self.op2i(PSHUFLW, 0, Src::Reg(0), 0);
                self.op3(PUNPCKLQDQ, 0, 0, Src::Reg(0));
            }
            2 => self.op2i(PSHUFD, 0, Src::Reg(0), 0),
            _ => self.op3(PUNPCKLQDQ, 0, 0, Src::Reg(0)),
        }
    }

    /// An element to an integer slot.
    fn vector_lane(&mut self, d: u8, a: u8, esize: u8, lane: u8) {
        let r = self.result(d, RAX);
        match self.vcurrent(a) {
            None => {
                let at = vec_disp(a) + ((i32::from(lane) << esize) & 15);
                match esize {
                    0 => asm!(self; movzx Rd(r), BYTE [r15 + at]),
                    1 => asm!(self; movzx Rd(r), WORD [r15 + at]),
                    2 => asm!(self; mov Rd(r), [r15 + at]),
                    _ => asm!(self; mov Rq(r), [r15 + at]),
                }
            }
            Some(x) => match (esize, lane) {
                (2, 0) => self.move_to_general(r, x, false),
                (3, 0) => self.move_to_general(r, x, true),
                (0, _) => asm!(self; pextrb Rd(r), Rx(x), lane as i8 & 15),
                (1, _) => asm!(self; pextrw Rd(r), Rx(x), lane as i8 & 7),
                (2, _) => asm!(self; pextrd Rd(r), Rx(x), lane as i8 & 3),
                _ => asm!(self; pextrq Rq(r), Rx(x), lane as i8 & 1),
            },
        }
        self.store(d, r);
    }

    /// Half of a slot in the low half of a register, with anything above; `scratch` if it has to be moved.
    pub(super) fn vhalf(&mut self, slot: u8, high: bool, scratch: u8) -> Src {
        match self.vsrc(slot) {
            Src::Mem(at) => Src::Mem(at + if high { 8 } else { 0 }),
            Src::Reg(r) if high => {
                self.shift(Shift::BYTES_RIGHT, scratch, r, 8);
                Src::Reg(scratch)
            }
            own => own,
        }
    }

    /// The instruction of a family for elements of this size.
    pub(super) fn of(family: sse::ByElem, log2: u32) -> Option<sse::Insn> {
        family[log2 as usize & 3]
    }
}
