//! Loads and stores.
//!
//! An access looks its page up in the fast TLB in line. What is not found there, or is more than a plain access to RAM,
//! calls the runtime, in code at the end of the block.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::{Emitter, RAX, RCX, RDX, Slow, e, pinned, st, x};
use crate::features::Feat;
use crate::interp::uop::{Access, Uop};
use crate::ir::{MemSize, Order};
use crate::jit::runtime::vector_access;
use crate::jit::state::JitState;
use crate::mem::fast::ENTRIES;

/// Selects the entry of an address shifted right by 7: entries have 32 bytes.
const INDEX: i32 = ((ENTRIES - 1) << 5) as i32;
/// Offsets in an entry.
pub(super) const READ: i32 = 0;
pub(super) const WRITE: i32 = 8;
const ADDEND: i32 = 16;

/// What is done with a loaded value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    Zero,
    Sign32,
    Sign64,
}

/// A call of the runtime for an access that was not found in the fast TLB. Its address is in rax.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Load {
        d: u8,
        size: MemSize,
        extend: Extension,
    },
    Store {
        b: u8,
        size: MemSize,
    },
    LoadWords {
        d: u8,
    },
    StoreWords {
        b: u8,
    },
    LoadPair {
        d: u8,
        e: u8,
    },
    StorePair {
        b: u8,
        c: u8,
    },
    LoadVector {
        how: u32,
    },
    StoreVector {
        how: u32,
    },
    /// The interpreter's version of operation `n`; flags were kept in this way before it.
    Operation {
        n: usize,
        kind: i32,
    },
    /// The exact function of operation `n`.
    Exact {
        n: usize,
    },
    /// The same, and the low element of its result `v` to an integer slot.
    ExactLane {
        n: usize,
        v: u8,
        d: u8,
        wide: bool,
    },
}

impl Emitter<'_> {
    /// Accesses to memory; false if it is something else, or one that has no code in line.
    pub(super) fn memory(&mut self, uop: Uop) -> bool {
        use Extension::{Sign32, Sign64, Zero};
        use MemSize::{B1, B2, B4, B8};
        match uop {
            Uop::Ld8 { d, a, off } => self.load_int(d, a, off, B1, Zero),
            Uop::Ld16 { d, a, off } => self.load_int(d, a, off, B2, Zero),
            Uop::Ld32 { d, a, off } => self.load_int(d, a, off, B4, Zero),
            Uop::Ld64 { d, a, off } => self.load_int(d, a, off, B8, Zero),
            Uop::Ld8s32 { d, a, off } => self.load_int(d, a, off, B1, Sign32),
            Uop::Ld16s32 { d, a, off } => self.load_int(d, a, off, B2, Sign32),
            Uop::Ld8s64 { d, a, off } => self.load_int(d, a, off, B1, Sign64),
            Uop::Ld16s64 { d, a, off } => self.load_int(d, a, off, B2, Sign64),
            Uop::Ld32s64 { d, a, off } => self.load_int(d, a, off, B4, Sign64),
            Uop::St8 { a, b, off } => self.store_int(a, b, off, B1),
            Uop::St16 { a, b, off } => self.store_int(a, b, off, B2),
            Uop::St32 { a, b, off } => self.store_int(a, b, off, B4),
            Uop::St64 { a, b, off } => self.store_int(a, b, off, B8),
            Uop::LdWords { d, a, off } => {
                let back = self.find(a, off, 8, READ, Call::LoadWords { d });
                self.load_value(d, B8, Zero);
                self.resume(back);
            }
            Uop::StWords { a, b, off } => {
                let back = self.find(a, off, 8, WRITE, Call::StoreWords { b });
                self.store_value(b, B8);
                self.resume(back);
            }
            Uop::LdPair { d, e, a, off } => self.load_pair(d, e, a, off),
            Uop::StPair { a, b, c, off } => self.store_pair(a, b, c, off),
            Uop::LdV { d, a, size, elem, off } => self.load_vector(d, a, size, elem, off),
            Uop::StV { a, b, size, elem, off } => self.store_vector(a, b, size, elem, off),
            Uop::LdAcc { d, a, vector, access } => return self.load_ordered(d, a, vector, access),
            Uop::StAcc { a, b, vector, access } => return self.store_ordered(a, b, vector, access),
            _ => return false,
        }
        true
    }

    /// The address of an access in rax.
    fn address(&mut self, a: u8, off: i32) {
        match (pinned(a), off) {
            (Some(a), 0) => e!(self; mov rax, Rq(a)),
            (Some(a), _) => e!(self; lea rax, [Rq(a) + off]),
            (None, _) => {
                e!(self; mov rax, [r15 + x(a)]);
                if off != 0 {
                    e!(self; lea rax, [rax + off]);
                }
            }
        }
    }

    /// Looks an access up: its address comes to rax, and what to add to it for the host's address to rcx. Changes rdx.
    /// Gives the label behind the access, to which the slow path returns.
    fn find(&mut self, a: u8, off: i32, bytes: i32, tag: i32, call: Call) -> DynamicLabel {
        self.address(a, off);
        let start = self.ops.new_dynamic_label();
        self.look_up(bytes, tag, start);
        self.put_off(start, call)
    }

    pub(super) fn look_up(&mut self, bytes: i32, tag: i32, slow: DynamicLabel) {
        e!(self; mov ecx, eax ; shr ecx, 7 ; and ecx, INDEX);
        if bytes == 1 {
            e!(self; mov rdx, rax);
        } else {
            // The page of the last byte: an access that crosses into the next page is not found.
            e!(self; lea rdx, [rax + (bytes - 1)]);
        }
        e!(self
            ; and rdx, -4096
            ; cmp rdx, [r14 + rcx + tag]
            ; jne =>slow
            ; mov rcx, [r14 + rcx + ADDEND]
        );
    }

    pub(super) fn put_off(&mut self, start: DynamicLabel, call: Call) -> DynamicLabel {
        let back = self.ops.new_dynamic_label();
        self.slow.push(Slow { start, back, insn: self.insn, call });
        back
    }

    pub(super) fn resume(&mut self, back: DynamicLabel) {
        e!(self; =>back);
    }

    fn load_int(&mut self, d: u8, a: u8, off: i32, size: MemSize, extend: Extension) {
        let back = self.find(a, off, size.bytes() as i32, READ, Call::Load { d, size, extend });
        self.load_value(d, size, extend);
        self.resume(back);
    }

    /// Loads from host address rax + rcx into a slot.
    fn load_value(&mut self, d: u8, size: MemSize, extend: Extension) {
        use Extension::{Sign32, Sign64, Zero};
        let r = self.result(d, RAX);
        match (size, extend) {
            (MemSize::B1, Zero) => e!(self; movzx Rd(r), BYTE [rax + rcx]),
            (MemSize::B1, Sign32) => e!(self; movsx Rd(r), BYTE [rax + rcx]),
            (MemSize::B1, Sign64) => e!(self; movsx Rq(r), BYTE [rax + rcx]),
            (MemSize::B2, Zero) => e!(self; movzx Rd(r), WORD [rax + rcx]),
            (MemSize::B2, Sign32) => e!(self; movsx Rd(r), WORD [rax + rcx]),
            (MemSize::B2, Sign64) => e!(self; movsx Rq(r), WORD [rax + rcx]),
            (MemSize::B4, Sign64) => e!(self; movsxd Rq(r), DWORD [rax + rcx]),
            (MemSize::B4, _) => e!(self; mov Rd(r), [rax + rcx]),
            _ => e!(self; mov Rq(r), [rax + rcx]),
        }
        self.store(d, r);
    }

    fn store_int(&mut self, a: u8, b: u8, off: i32, size: MemSize) {
        let back = self.find(a, off, size.bytes() as i32, WRITE, Call::Store { b, size });
        self.store_value(b, size);
        self.resume(back);
    }

    /// Stores a slot to host address rax + rcx.
    fn store_value(&mut self, b: u8, size: MemSize) {
        let b = self.read(b, RDX);
        match size {
            MemSize::B1 => e!(self; mov [rax + rcx], Rb(b)),
            MemSize::B2 => e!(self; mov [rax + rcx], Rw(b)),
            MemSize::B4 => e!(self; mov [rax + rcx], Rd(b)),
            _ => e!(self; mov [rax + rcx], Rq(b)),
        }
    }

    /// With FEAT_LSE2 a pair of doublewords at an address that is a multiple of 16 is one access, as the host's vectors
    /// are.
    fn pairs_are_whole(&self) -> bool {
        self.input.cpu.features.has(Feat::Lse2)
    }

    fn load_pair(&mut self, d: u8, e: u8, a: u8, off: i32) {
        let back = self.find(a, off, 16, READ, Call::LoadPair { d, e });
        if self.pairs_are_whole() {
            e!(self; movups xmm0, [rax + rcx]);
            let r = self.result(d, RDX);
            e!(self; movq Rq(r), xmm0);
            self.store(d, r);
            let r = self.result(e, RDX);
            e!(self; pextrq Rq(r), xmm0, 1);
            self.store(e, r);
        } else {
            let r = self.result(d, RDX);
            e!(self; mov Rq(r), [rax + rcx]);
            self.store(d, r);
            let r = self.result(e, RDX);
            e!(self; mov Rq(r), [rax + rcx + 8]);
            self.store(e, r);
        }
        self.resume(back);
    }

    fn store_pair(&mut self, a: u8, b: u8, c: u8, off: i32) {
        let back = self.find(a, off, 16, WRITE, Call::StorePair { b, c });
        let b = self.read(b, RDX);
        if self.pairs_are_whole() {
            e!(self; movq xmm0, Rq(b));
            let c = self.read(c, RDX);
            e!(self; pinsrq xmm0, Rq(c), 1 ; movups [rax + rcx], xmm0);
        } else {
            e!(self; mov [rax + rcx], Rq(b));
            let c = self.read(c, RDX);
            e!(self; mov [rax + rcx + 8], Rq(c));
        }
        self.resume(back);
    }

    fn load_vector(&mut self, d: u8, a: u8, size: MemSize, elem: MemSize, off: i32) {
        let how = vector_access(d, size, elem);
        let back = self.find(a, off, size.bytes() as i32, READ, Call::LoadVector { how });
        let r = self.vresult(d, &[], 0);
        match size {
            MemSize::B16 => e!(self; movups Rx(r), [rax + rcx]),
            MemSize::B8 => e!(self; movq Rx(r), [rax + rcx]),
            MemSize::B4 => e!(self; movd Rx(r), [rax + rcx]),
            MemSize::B2 => e!(self; movzx eax, WORD [rax + rcx] ; movd Rx(r), eax),
            MemSize::B1 => e!(self; movzx eax, BYTE [rax + rcx] ; movd Rx(r), eax),
        }
        self.vstore_sized(d, r, size.bytes().max(4) as u8);
        self.resume(back);
    }

    fn store_vector(&mut self, a: u8, b: u8, size: MemSize, elem: MemSize, off: i32) {
        let how = vector_access(b, size, elem);
        let back = self.find(a, off, size.bytes() as i32, WRITE, Call::StoreVector { how });
        let r = self.vread(b, 0);
        match size {
            MemSize::B16 => e!(self; movups [rax + rcx], Rx(r)),
            MemSize::B8 => e!(self; movq [rax + rcx], Rx(r)),
            MemSize::B4 => e!(self; movd [rax + rcx], Rx(r)),
            MemSize::B2 => e!(self; pextrw [rax + rcx], Rx(r), 0),
            MemSize::B1 => e!(self; pextrb [rax + rcx], Rx(r), 0),
        }
        self.resume(back);
    }

    /// The access, if it has code in line: ordered, by the current privilege, of an integer.
    fn ordered(&self, vector: bool, access: u16) -> Option<Access> {
        let how = *self.input.code.accesses.get(access as usize)?;
        (!vector && !how.acc.unpriv && how.size != MemSize::B16 && how.acc.elem_align.is_none())
            .then_some(how)
    }

    /// As `find`, for an access that must be aligned.
    pub(super) fn find_aligned(&mut self, a: u8, size: MemSize, tag: i32) -> DynamicLabel {
        self.address(a, 0);
        let start = self.ops.new_dynamic_label();
        if size != MemSize::B1 {
            e!(self; test al, size.bytes() as i8 - 1 ; jne =>start);
        }
        self.look_up(size.bytes() as i32, tag, start);
        self.or_interpret(start)
    }

    /// From `start` the current operation is left to the interpreter. Gives the label where that goes on.
    pub(super) fn or_interpret(&mut self, start: DynamicLabel) -> DynamicLabel {
        let call = Call::Operation { n: self.number, kind: self.flags.kind_number() };
        self.put_off(start, call)
    }

    /// The host's loads acquire.
    fn load_ordered(&mut self, d: u8, a: u8, vector: bool, access: u16) -> bool {
        let Some(how) = self.ordered(vector, access) else { return false };
        let extend = match how.signed {
            0 => Extension::Zero,
            32 => Extension::Sign32,
            _ => Extension::Sign64,
        };
        let back = self.find_aligned(a, how.size, READ);
        self.load_value(d, how.size, extend);
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
            MemSize::B1 => e!(self; xchg [rax + rcx], dl),
            MemSize::B2 => e!(self; xchg [rax + rcx], dx),
            MemSize::B4 => e!(self; xchg [rax + rcx], edx),
            _ => e!(self; xchg [rax + rcx], rdx),
        }
        self.resume(back);
        true
    }

    /// The code that was put off.
    pub(super) fn slow_paths(&mut self) {
        for Slow { start, back, insn, call } in std::mem::take(&mut self.slow) {
            self.insn = insn;
            e!(self; =>start);
            self.note_place();
            self.slow_path(call);
            e!(self; jmp =>back);
        }
        let event = self.event;
        e!(self; =>event);
        self.leave(super::Kind::Event);
    }

    fn slow_path(&mut self, call: Call) {
        match call {
            Call::Load { d, size, extend } => {
                self.call_thunk(self.thunks.load[size as usize]);
                match (size, extend) {
                    (MemSize::B1, Extension::Sign32) => e!(self; movsx eax, al),
                    (MemSize::B1, Extension::Sign64) => e!(self; movsx rax, al),
                    (MemSize::B2, Extension::Sign32) => e!(self; movsx eax, ax),
                    (MemSize::B2, Extension::Sign64) => e!(self; movsx rax, ax),
                    (MemSize::B4, Extension::Sign64) => e!(self; movsxd rax, eax),
                    _ => {}
                }
                self.put(d, RAX);
            }
            Call::Store { b, size } => {
                self.load(RDX, b);
                self.call_thunk(self.thunks.store[size as usize]);
            }
            Call::LoadWords { d } => {
                self.call_thunk(self.thunks.load_words);
                self.put(d, RAX);
            }
            Call::StoreWords { b } => {
                self.load(RDX, b);
                self.call_thunk(self.thunks.store_words);
            }
            Call::LoadPair { d, e } => {
                self.call_thunk(self.thunks.load_pair);
                e!(self; mov rax, [r15 + st!(out)]);
                self.put(d, RAX);
                e!(self; mov rax, [r15 + st!(out) + 8]);
                self.put(e, RAX);
            }
            Call::StorePair { b, c } => {
                self.load(RDX, b);
                self.load(RCX, c);
                self.call_thunk(self.thunks.store_pair);
            }
            Call::LoadVector { how } => {
                e!(self; mov edx, how as i32);
                self.call_thunk(self.thunks.load_vector);
            }
            Call::StoreVector { how } => {
                e!(self; mov edx, how as i32);
                self.call_thunk(self.thunks.store_vector);
            }
            Call::Exact { n } => self.call_exact(n),
            Call::ExactLane { n, v, d, wide } => {
                self.call_exact(n);
                let at = super::v(v);
                if wide {
                    e!(self; mov rax, [r15 + at]);
                } else {
                    e!(self; mov eax, [r15 + at]);
                }
                self.put(d, RAX);
            }
            Call::Operation { n, kind } => {
                e!(self; mov eax, self.input.block as i32 ; mov edx, n as i32);
                self.call_thunk(self.thunks.operation);
                if kind != 0 {
                    // The flags went to their slot, but the code that follows counts on how they are kept.
                    e!(self; mov DWORD [r15 + st!(flag_kind)], kind);
                }
            }
        }
    }

    /// As `store`, where what is known about flags is that of another place.
    fn put(&mut self, slot: u8, r: u8) {
        match pinned(slot) {
            Some(p) => e!(self; mov Rq(p), Rq(r)),
            None => e!(self; mov [r15 + x(slot)], Rq(r)),
        }
    }

    /// Computes operation `n` by its exact function.
    pub(super) fn call_exact(&mut self, n: usize) {
        e!(self; mov eax, self.input.block as i32 ; mov edx, n as i32);
        self.call_thunk(self.thunks.exact);
    }

    fn call_thunk(&mut self, thunk: u64) {
        e!(self; call extern thunk as usize);
    }
}
