//! Loads and stores.
//!
//! An access compares its page with that in the slot of its site in line, and looks it up in the table of the fast TLB in
//! code at the end of the block. What is not found there, or is more than a plain access to RAM,
//! calls the runtime, in code at the end of the block.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::features::Feat;
use emu_a64::ir::{MemSize, Order};
use emu_pe::mem::tables::offset;

use super::{Emitter, RAX, RCX, RDX, SlowPath, asm, int_disp, state};
use crate::interp::uop::{Extension, PlainAccess, SpecialAccess, Transfer, Uop};
use crate::jit::runtime::vector_access;
use crate::jit::state::JitState;

/// Where an access finds its tag in an entry of the fast TLB.
pub(super) const READ: i32 = offset::tag(false);
pub(super) const WRITE: i32 = offset::tag(true);

/// An access that was found: it is at the host address `base` + rcx + `off`.
pub(super) struct Found {
    pub base: u8,
    pub off: i32,
    /// Behind the access: the slow path, which has done it, goes on there.
    pub back: DynamicLabel,
}

/// Looks for a page that the slot of an access does not have: in the table of pages.
#[derive(Clone, Copy)]
pub(super) struct Search {
    pub base: u8,
    pub off: i32,
    pub bytes: i32,
    pub tag: i32,
    /// Displacement of the slot.
    pub slot: i32,
    /// What its address must be a multiple of, 1 if nothing.
    pub align: i32,
    /// The access itself, when it was found.
    pub go: DynamicLabel,
}

/// A call of the runtime for an access that was not found in the fast TLB. Its address is in rax.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// A plain access.
    Plain(PlainAccess),
    /// The members of a span, one by one.
    Span { n: usize },
    /// The interpreter's version of operation `n`; before it the flags in the frame were of this kind.
    Operation { n: usize, kind: i32 },
    /// The exact function of operation `n`.
    Exact { n: usize },
    /// The same, and the low element of its result `v` to an integer slot.
    ExactLane { n: usize, v: u8, d: u8, wide: bool },
}

/// Bytes of an access, and of what it is made of.
pub(super) const fn of_elements(access: &PlainAccess) -> (i32, i32) {
    let (bytes, elem) = (access.size.bytes() as i32, access.elem.bytes() as i32);
    (bytes, if elem < bytes { elem } else { bytes })
}

impl Emitter<'_> {
    /// Accesses to memory; false if it is something else, or one that has no code in line.
    pub(super) fn memory(&mut self, uop: Uop) -> bool {
        if self.starts_span(&uop) && self.span() {
            return true;
        }
        if let Some(access) = uop.facts().plain {
            self.plain_access(access);
            return true;
        }
        match uop {
            Uop::LdAcc { d, a, vector, access } => self.load_ordered(d, a, vector, access),
            Uop::StAcc { a, b, vector, access } => self.store_ordered(a, b, vector, access),
            _ => false,
        }
    }

    fn plain_access(&mut self, access: PlainAccess) {
        let found = self.find(&access);
        let size = access.size;
        match access.transfer {
            Transfer::Load { d, extend } => {
                self.load_value(d, size, extend, &found);
                return self.resume_with_result(found.back);
            }
            Transfer::LoadWords { d } => self.load_value(d, size, Extension::Zero, &found),
            Transfer::LoadPair { d, e } => self.load_pair_at(d, e, &found),
            Transfer::LoadVector { d } => self.load_vector_at(d, size, &found),
            Transfer::Store { b } | Transfer::StoreWords { b } => self.store_value(b, size, &found),
            Transfer::StorePair { b, c } => self.store_pair_at(b, c, &found),
            Transfer::StoreVector { b } => self.store_vector_at(b, size, &found),
        }
        self.resume(found.back);
    }

    /// The address of an access in rax.
    pub(super) fn address(&mut self, a: u8, off: i32) {
        match (self.reg(a), off) {
            (Some(a), 0) => asm!(self; mov rax, Rq(a)),
            (Some(a), _) => asm!(self; lea rax, [Rq(a) + off]),
            (None, _) => {
                self.load(RAX, a);
                if off != 0 {
                    asm!(self; lea rax, [rax + off]);
                }
            }
        }
    }

    /// Looks an access up: changes rax, rcx and rdx.
    ///
    /// In line is only the site's own slot. What is not aligned to its size is found on the slower way, but for sixteen bytes,
    /// which only must not cross into another page. Where alignment is checked, neither finds what is not aligned to its
    /// elements, and the runtime raises the fault.
    fn find(&mut self, access: &PlainAccess) -> Found {
        let (off, (bytes, elem)) = (access.off, of_elements(access));
        let tag = if access.transfer.is_store() { WRITE } else { READ };
        let base = self.read(access.base, RAX);
        let (start, go) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let slot = self.next_slot(tag);
        let align = self.checked(elem);
        if bytes == 16 {
            self.page_of(base, off, (bytes, align), start);
        } else {
            if off == 0 {
                asm!(self; mov rdx, Rq(base));
            } else {
                asm!(self; lea rdx, [Rq(base) + off]);
            }
            asm!(self; and rdx, -4096 | (bytes - 1));
        }
        asm!(self
            ; cmp rdx, [r14 + slot + offset::SLOT_TAG]
            ; jne =>start
            ; mov rcx, [r14 + slot + offset::SLOT_ADDEND]
            ; =>go
        );
        let search = Search { base, off, bytes, tag, slot, align, go };
        let back = self.defer_search(start, Some(search), Call::Plain(*access));
        Found { base, off, back }
    }

    /// What the address of an access must be a multiple of that is made of elements of so many bytes.
    pub(super) fn checked(&self, elem: i32) -> i32 {
        if self.input.mode.aligned { elem } else { 1 }
    }

    /// The page of `bytes` bytes at `base` + `off` to rdx, with bits of the misalignment below it; to `start` if they may cross
    /// into another page.
    pub(super) fn page_of(&mut self, base: u8, off: i32, (bytes, align): (i32, i32), start: DynamicLabel) {
        // The last multiple of `align` is in the page of the last byte, if the first byte is at one.
        let last = (bytes - 1) & !(align - 1);
        // It is not among the first bytes of its page: then the first byte is in that page as well.
        let before = if align == 1 { bytes } else { last };
        asm!(self; lea rdx, [Rq(base) + (off + last)]);
        if before != 0 {
            let elsewhere = 4096 - before.unsigned_abs().next_power_of_two() as i32;
            asm!(self; test edx, elsewhere ; jz =>start);
        }
        asm!(self; and rdx, -4096 | (align - 1));
    }

    pub(super) fn next_slot(&mut self, tag: i32) -> i32 {
        let n = *self.next_slot;
        *self.next_slot = n.wrapping_add(1);
        offset::slot(tag == WRITE, n as usize)
    }

    /// Looks the page of `bytes` at rax up in the table; what to add to it for the host's address comes to rcx. Changes
    /// rdx.
    pub(super) fn look_up(&mut self, bytes: i32, tag: i32, slow: DynamicLabel) {
        if bytes == 1 {
            asm!(self; mov rdx, rax);
        } else {
            // The page of the last byte: an access that crosses into the next page is not found.
            asm!(self; lea rdx, [rax + (bytes - 1)]);
        }
        asm!(self
            ; mov ecx, eax
            ; shr ecx, 7
            ; and ecx, [r14 + offset::MASK]
            ; add rcx, [r14 + offset::START]
            ; and rdx, -4096
            ; cmp rdx, [rcx + tag]
            ; jne =>slow
            ; mov rcx, [rcx + offset::ADDEND]
        );
    }

    pub(super) fn defer(&mut self, start: DynamicLabel, call: Call) -> DynamicLabel {
        self.defer_search(start, None, call)
    }

    pub(super) fn defer_search(
        &mut self,
        start: DynamicLabel,
        search: Option<Search>,
        call: Call,
    ) -> DynamicLabel {
        let back = self.ops.new_dynamic_label();
        let (insn, block, flags) = (self.insn, self.block_index, self.flags.location);
        self.slow_paths.push(SlowPath { start, back, insn, block, flags, search, call });
        back
    }

    pub(super) fn resume(&mut self, back: DynamicLabel) {
        self.held = None;
        asm!(self; =>back);
    }

    /// As `resume`, where the slow path has the result in the same register as the code before it.
    fn resume_with_result(&mut self, back: DynamicLabel) {
        asm!(self; =>back);
    }

    fn load_value(&mut self, d: u8, size: MemSize, extend: Extension, at: &Found) {
        use Extension::{Sign32, Sign64, Zero};
        let r = self.result(d, RAX);
        let (b, off) = (at.base, at.off);
        match (size, extend) {
            (MemSize::B1, Zero) => asm!(self; movzx Rd(r), BYTE [Rq(b) + rcx + off]),
            (MemSize::B1, Sign32) => asm!(self; movsx Rd(r), BYTE [Rq(b) + rcx + off]),
            (MemSize::B1, Sign64) => asm!(self; movsx Rq(r), BYTE [Rq(b) + rcx + off]),
            (MemSize::B2, Zero) => asm!(self; movzx Rd(r), WORD [Rq(b) + rcx + off]),
            (MemSize::B2, Sign32) => asm!(self; movsx Rd(r), WORD [Rq(b) + rcx + off]),
            (MemSize::B2, Sign64) => asm!(self; movsx Rq(r), WORD [Rq(b) + rcx + off]),
            (MemSize::B4, Sign64) => asm!(self; movsxd Rq(r), DWORD [Rq(b) + rcx + off]),
            (MemSize::B4, _) => asm!(self; mov Rd(r), [Rq(b) + rcx + off]),
            _ => asm!(self; mov Rq(r), [Rq(b) + rcx + off]),
        }
        self.store(d, r);
    }

    pub(super) fn store_value(&mut self, v: u8, size: MemSize, at: &Found) {
        let v = self.read(v, RDX);
        let (b, off) = (at.base, at.off);
        match size {
            MemSize::B1 => asm!(self; mov [Rq(b) + rcx + off], Rb(v)),
            MemSize::B2 => asm!(self; mov [Rq(b) + rcx + off], Rw(v)),
            MemSize::B4 => asm!(self; mov [Rq(b) + rcx + off], Rd(v)),
            _ => asm!(self; mov [Rq(b) + rcx + off], Rq(v)),
        }
    }

    /// With FEAT_LSE2 a pair of doublewords at an address that is a multiple of 16 is one access, as the host's vectors
    /// are.
    fn pairs_are_whole(&self) -> bool {
        self.input.cpu.identity.has(Feat::Lse2)
    }

    fn load_pair_at(&mut self, d: u8, e: u8, found: &Found) {
        let (b, off) = (found.base, found.off);
        if self.pairs_are_whole() {
            asm!(self; movups xmm0, [Rq(b) + rcx + off]);
            let r = self.result(d, RDX);
            asm!(self; movq Rq(r), xmm0);
            self.store(d, r);
            let r = self.result(e, RDX);
            asm!(self; pextrq Rq(r), xmm0, 1);
            self.store(e, r);
        } else {
            // The base may be one of the registers that are loaded.
            asm!(self; mov rdx, [Rq(b) + rcx + off] ; mov rcx, [Rq(b) + rcx + off + 8]);
            self.store(d, RDX);
            self.store(e, RCX);
        }
    }

    pub(super) fn store_pair_at(&mut self, v: u8, w: u8, found: &Found) {
        let (b, off) = (found.base, found.off);
        let v = self.read(v, RDX);
        if self.pairs_are_whole() {
            asm!(self; movq xmm0, Rq(v));
            let w = self.read(w, RDX);
            asm!(self; pinsrq xmm0, Rq(w), 1 ; movups [Rq(b) + rcx + off], xmm0);
        } else {
            asm!(self; mov [Rq(b) + rcx + off], Rq(v));
            let w = self.read(w, RDX);
            asm!(self; mov [Rq(b) + rcx + off + 8], Rq(w));
        }
    }

    pub(super) fn load_vector_at(&mut self, d: u8, size: MemSize, found: &Found) {
        let (b, off) = (found.base, found.off);
        let r = self.vresult(d, &[], 0);
        match size {
            MemSize::B16 => asm!(self; movups Rx(r), [Rq(b) + rcx + off]),
            MemSize::B8 => asm!(self; movq Rx(r), [Rq(b) + rcx + off]),
            MemSize::B4 => asm!(self; movd Rx(r), [Rq(b) + rcx + off]),
            MemSize::B2 => asm!(self; movzx eax, WORD [Rq(b) + rcx + off] ; movd Rx(r), eax),
            MemSize::B1 => asm!(self; movzx eax, BYTE [Rq(b) + rcx + off] ; movd Rx(r), eax),
        }
        self.vstore_sized(d, r, size.bytes().max(4) as u8);
    }

    pub(super) fn store_vector_at(&mut self, s: u8, size: MemSize, found: &Found) {
        let (b, off) = (found.base, found.off);
        let r = self.vread(s, 0);
        match size {
            MemSize::B16 => asm!(self; movups [Rq(b) + rcx + off], Rx(r)),
            MemSize::B8 => asm!(self; movq [Rq(b) + rcx + off], Rx(r)),
            MemSize::B4 => asm!(self; movd [Rq(b) + rcx + off], Rx(r)),
            MemSize::B2 => asm!(self; pextrw [Rq(b) + rcx + off], Rx(r), 0),
            MemSize::B1 => asm!(self; pextrb [Rq(b) + rcx + off], Rx(r), 0),
        }
    }

    /// The access, if it has code in line: ordered, by the current privilege, of an integer.
    fn ordered(&self, vector: bool, access: u16) -> Option<SpecialAccess> {
        let how = *self.input.code.accesses.get(access as usize)?;
        (!vector && !how.acc.unpriv && how.size != MemSize::B16 && how.acc.elem_align.is_none())
            .then_some(how)
    }

    /// As `find`, for an access that must be aligned: its address comes to rax, and what to add to it to rcx. What is not
    /// found is left to the interpreter.
    pub(super) fn find_aligned(&mut self, a: u8, size: MemSize, tag: i32) -> DynamicLabel {
        self.address(a, 0);
        let (start, go) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let (slot, bytes) = (self.next_slot(tag), size.bytes() as i32);
        asm!(self
            ; mov rdx, rax
            ; and rdx, -4096 | (bytes - 1)
            ; cmp rdx, [r14 + slot + offset::SLOT_TAG]
            ; jne =>start
            ; mov rcx, [r14 + slot + offset::SLOT_ADDEND]
            ; =>go
        );
        let search = Search { base: RAX, off: 0, bytes, tag, slot, align: bytes, go };
        let call = Call::Operation { n: self.uop_index, kind: self.flags.kind_number() };
        self.defer_search(start, Some(search), call)
    }

    /// From `start` the current operation is left to the interpreter. Gives the label where that goes on.
    pub(super) fn or_interpret(&mut self, start: DynamicLabel) -> DynamicLabel {
        let call = Call::Operation { n: self.uop_index, kind: self.flags.kind_number() };
        self.defer(start, call)
    }

    /// The host's loads acquire.
    fn load_ordered(&mut self, d: u8, a: u8, vector: bool, access: u16) -> bool {
        let Some(how) = self.ordered(vector, access) else { return false };
        let back = self.find_aligned(a, how.size, READ);
        self.load_value(d, how.size, how.extend, &Found { base: RAX, off: 0, back });
        self.resume(back);
        true
    }

    /// The host's stores release, but a later load-acquire must not pass them: an exchange is a full barrier.
    fn store_ordered(&mut self, a: u8, b: u8, vector: bool, access: u16) -> bool {
        let Some(how) = self.ordered(vector, access).filter(|how| how.acc.order == Order::Release) else {
            return false;
        };
        let back = self.find_aligned(a, how.size, WRITE);
        self.load(RDX, b);
        match how.size {
            MemSize::B1 => asm!(self; xchg [rax + rcx], dl),
            MemSize::B2 => asm!(self; xchg [rax + rcx], dx),
            MemSize::B4 => asm!(self; xchg [rax + rcx], edx),
            _ => asm!(self; xchg [rax + rcx], rdx),
        }
        self.resume(back);
        true
    }

    /// All slow paths.
    pub(super) fn emit_slow_paths(&mut self) {
        for SlowPath { start, back, insn, block, flags, search, call } in std::mem::take(&mut self.slow_paths)
        {
            self.set_current_block(block);
            self.insn = insn;
            asm!(self; =>start);
            if let Some(search) = search {
                self.search(search);
            }
            if !matches!(call, Call::Exact { .. } | Call::ExactLane { .. }) {
                self.spill_flags(flags);
            }
            self.note_place();
            self.emit_slow_path(call);
            asm!(self; jmp =>back);
        }
    }

    /// To `to` if rax is no multiple of `align`.
    pub(super) fn test_alignment(&mut self, align: i32, to: DynamicLabel) {
        if align > 1 {
            asm!(self; test al, align as i8 - 1 ; jnz =>to);
        }
    }

    /// Looks for a page in the table, fills the slot with it and goes back; goes on with the address in rax if it is not
    /// there.
    fn search(&mut self, s: Search) {
        let call = self.ops.new_dynamic_label();
        if s.base != RAX || s.off != 0 {
            asm!(self; lea rax, [Rq(s.base) + s.off]);
        }
        self.test_alignment(s.align, call);
        self.look_up(s.bytes, s.tag, call);
        asm!(self
            ; mov [r14 + s.slot + offset::SLOT_TAG], rdx
            ; mov [r14 + s.slot + offset::SLOT_ADDEND], rcx
        );
        if s.base == RAX && s.off != 0 {
            // The access itself has the offset.
            asm!(self; lea rax, [rax - s.off]);
        }
        asm!(self
            ; jmp =>s.go
            ; =>call
        );
    }

    pub(super) fn emit_slow_path(&mut self, call: Call) {
        match call {
            Call::Plain(access) => self.call_access(&access),
            Call::Span { n } => self.span_by_parts(n),
            Call::Exact { n } => self.call_exact(n),
            Call::ExactLane { n, v, d, wide } => {
                self.call_exact(n);
                let at = super::vec_disp(v);
                if wide {
                    asm!(self; mov rax, [r15 + at]);
                } else {
                    asm!(self; mov eax, [r15 + at]);
                }
                self.put(d, RAX);
            }
            Call::Operation { n, kind } => {
                asm!(self; mov eax, self.input.number as i32 ; mov edx, n as i32);
                self.call_thunk(|calls| calls.operation);
                if kind != 0 {
                    // The flags went to their slot, but the code that follows counts on their kind.
                    asm!(self; mov DWORD [r15 + state!(flag_kind)], kind);
                }
            }
        }
    }

    /// Calls the function of the runtime for a plain access.
    pub(super) fn call_access(&mut self, access: &PlainAccess) {
        let (size, elem) = (access.size, access.elem);
        match access.transfer {
            Transfer::Load { d, extend } => {
                self.call_thunk(|calls| calls.load[size as usize]);
                match (size, extend) {
                    (MemSize::B1, Extension::Sign32) => asm!(self; movsx eax, al),
                    (MemSize::B1, Extension::Sign64) => asm!(self; movsx rax, al),
                    (MemSize::B2, Extension::Sign32) => asm!(self; movsx eax, ax),
                    (MemSize::B2, Extension::Sign64) => asm!(self; movsx rax, ax),
                    (MemSize::B4, Extension::Sign64) => asm!(self; movsxd rax, eax),
                    _ => {}
                }
                self.put(d, RAX);
            }
            Transfer::LoadWords { d } => {
                self.call_thunk(|calls| calls.load_words);
                self.put(d, RAX);
            }
            Transfer::LoadPair { d, e } => {
                self.call_thunk(|calls| calls.load_pair);
                asm!(self; mov rax, [r15 + state!(out)]);
                self.put(d, RAX);
                asm!(self; mov rax, [r15 + state!(out) + 8]);
                self.put(e, RAX);
            }
            Transfer::LoadVector { d } => {
                asm!(self; mov edx, vector_access(d, size, elem) as i32);
                self.call_thunk(|calls| calls.load_vector);
            }
            Transfer::Store { b } => {
                self.load(RDX, b);
                self.call_thunk(|calls| calls.store[size as usize]);
            }
            Transfer::StoreWords { b } => {
                self.load(RDX, b);
                self.call_thunk(|calls| calls.store_words);
            }
            Transfer::StorePair { b, c } => {
                self.load(RDX, b);
                self.load(RCX, c);
                self.call_thunk(|calls| calls.store_pair);
            }
            Transfer::StoreVector { b } => {
                asm!(self; mov edx, vector_access(b, size, elem) as i32);
                self.call_thunk(|calls| calls.store_vector);
            }
        }
    }

    /// As `store`, where what is known about flags is that of other code.
    fn put(&mut self, slot: u8, r: u8) {
        match self.reg(slot) {
            Some(p) => asm!(self; mov Rq(p), Rq(r)),
            None => asm!(self; mov [r15 + int_disp(slot)], Rq(r)),
        }
    }

    /// Computes operation `n` by its exact function.
    pub(super) fn call_exact(&mut self, n: usize) {
        asm!(self; mov eax, self.input.number as i32 ; mov edx, n as i32);
        self.call_thunk(|calls| calls.exact);
    }
}
