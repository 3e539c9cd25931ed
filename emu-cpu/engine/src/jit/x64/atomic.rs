//! Atomic operations of FEAT_LSE and exclusives, by the host's locked instructions.

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::ir::{AtomicOp, MemSize};
use emu_pe::offset::{MONITOR_BYTES, MONITOR_VA, MONITOR_VALUE};

use super::memory::{READ, WRITE};
use super::{Emitter, RAX, RCX, RDX, asm, state};
use crate::interp::uop::{SpecialAccess, Uop};
use crate::jit::state::JitState;

impl Emitter<'_> {
    /// Atomic operations; false if it is something else, or one that has no code in line.
    pub(super) fn atomic(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::Rmw { d, a, b, op, access } => {
                let Some(how) = self.plain(access) else { return false };
                let compares =
                    matches!(op, AtomicOp::Smax | AtomicOp::Smin | AtomicOp::Umax | AtomicOp::Umin);
                if compares && matches!(how.size, MemSize::B1 | MemSize::B2) {
                    return false;
                }
                let back = self.find_aligned(a, how.size, WRITE);
                asm!(self; add rcx, rax);
                match op {
                    AtomicOp::Add | AtomicOp::Swp => self.exchange(d, b, op, how.size),
                    _ => self.retry(d, b, op, how.size),
                }
                self.resume(back);
                true
            }
            Uop::Cas { d, a, b, c, access, .. } => {
                let Some(how) = self.plain(access) else { return false };
                let back = self.find_aligned(a, how.size, WRITE);
                asm!(self; add rcx, rax);
                self.load(RAX, b);
                self.load(RDX, c);
                self.compare_exchange(how.size);
                self.extend_old(RAX, how.size);
                self.store(d, RAX);
                self.resume(back);
                true
            }
            Uop::LdEx { d, a, access, .. } => self.load_exclusive(d, a, access),
            Uop::StEx { d, a, b, access, .. } => self.store_exclusive(d, a, b, access),
            Uop::ClearEx => {
                asm!(self; mov rax, [r15 + state!(cpu)] ; mov QWORD [rax + MONITOR_BYTES], 0);
                true
            }
            _ => false,
        }
    }

    /// The host's loads acquire.
    fn load_exclusive(&mut self, d: u8, a: u8, access: u16) -> bool {
        let Some(how) = self.plain(access).filter(|how| !self.is_watched(how)) else { return false };
        let back = self.find_aligned(a, how.size, READ);
        match how.size {
            MemSize::B1 => asm!(self; movzx edx, BYTE [rax + rcx]),
            MemSize::B2 => asm!(self; movzx edx, WORD [rax + rcx]),
            MemSize::B4 => asm!(self; mov edx, [rax + rcx]),
            _ => asm!(self; mov rdx, [rax + rcx]),
        }
        asm!(self
            ; mov rcx, [r15 + state!(cpu)]
            ; mov [rcx + MONITOR_VA], rax
            ; mov QWORD [rcx + MONITOR_BYTES], how.size.bytes() as i32
            ; mov [rcx + MONITOR_VALUE], rdx
            ; mov QWORD [rcx + MONITOR_VALUE + 8], 0
        );
        self.store(d, RDX);
        self.resume(back);
        true
    }

    /// The result is 0 if it stored. A page that cannot be written in line is the interpreter's, and so is a monitor that is
    /// closed, or open for another size.
    fn store_exclusive(&mut self, d: u8, a: u8, b: u8, access: u16) -> bool {
        let Some(how) = self.plain(access).filter(|how| !self.is_watched(how)) else { return false };
        let (out, other) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let back = self.find_aligned(a, how.size, WRITE);
        let watched = self.or_interpret(other);
        asm!(self
            ; mov rdx, [r15 + state!(cpu)]
            ; cmp QWORD [rdx + MONITOR_BYTES], how.size.bytes() as i32
            ; jne =>other
            ; mov QWORD [rdx + MONITOR_BYTES], 0
            ; cmp rax, [rdx + MONITOR_VA]
            ; jne =>out
            ; add rcx, rax
            ; mov rax, [rdx + MONITOR_VALUE]
        );
        self.load(RDX, b);
        self.compare_exchange(how.size);
        asm!(self; =>out ; setne cl ; movzx ecx, cl);
        self.store(d, RCX);
        self.resume(watched);
        self.resume(back);
        true
    }

    /// Others may have to be looked for between the two exclusives ([`emu_pe::mem::exclusive`]).
    fn is_watched(&self, how: &SpecialAccess) -> bool {
        how.interleaved && self.input.cpu.mem.has_peers()
    }

    fn plain(&self, access: u16) -> Option<SpecialAccess> {
        let how = *self.input.code.accesses.get(access as usize)?;
        (how.size != MemSize::B16 && !how.acc.unpriv).then_some(how)
    }

    fn exchange(&mut self, d: u8, b: u8, op: AtomicOp, size: MemSize) {
        self.load(RDX, b);
        match (op, size) {
            (AtomicOp::Add, MemSize::B1) => asm!(self; lock xadd [rcx], dl),
            (AtomicOp::Add, MemSize::B2) => asm!(self; lock xadd [rcx], dx),
            (AtomicOp::Add, MemSize::B4) => asm!(self; lock xadd [rcx], edx),
            (AtomicOp::Add, _) => asm!(self; lock xadd [rcx], rdx),
            (_, MemSize::B1) => asm!(self; xchg [rcx], dl),
            (_, MemSize::B2) => asm!(self; xchg [rcx], dx),
            (_, MemSize::B4) => asm!(self; xchg [rcx], edx),
            _ => asm!(self; xchg [rcx], rdx),
        }
        self.extend_old(RDX, size);
        self.store(d, RDX);
    }

    /// Computes and compares until nobody was in between.
    fn retry(&mut self, d: u8, b: u8, op: AtomicOp, size: MemSize) {
        match size {
            MemSize::B1 => asm!(self; movzx eax, BYTE [rcx]),
            MemSize::B2 => asm!(self; movzx eax, WORD [rcx]),
            MemSize::B4 => asm!(self; mov eax, [rcx]),
            _ => asm!(self; mov rax, [rcx]),
        }
        let again = self.ops.new_dynamic_label();
        asm!(self; =>again);
        self.load(RDX, b);
        let wide = size == MemSize::B8;
        match op {
            AtomicOp::Clr => asm!(self; not rdx ; and rdx, rax),
            AtomicOp::Eor => asm!(self; xor rdx, rax),
            AtomicOp::Set => asm!(self; or rdx, rax),
            _ if wide => asm!(self; cmp rax, rdx),
            _ => asm!(self; cmp eax, edx),
        }
        match op {
            AtomicOp::Smax => asm!(self; cmovg rdx, rax),
            AtomicOp::Smin => asm!(self; cmovl rdx, rax),
            AtomicOp::Umax => asm!(self; cmova rdx, rax),
            AtomicOp::Umin => asm!(self; cmovb rdx, rax),
            _ => {}
        }
        self.compare_exchange(size);
        asm!(self; jne =>again);
        self.store(d, RAX);
    }

    /// [rcx] = rdx if it is rax; rax = what it was.
    fn compare_exchange(&mut self, size: MemSize) {
        match size {
            MemSize::B1 => asm!(self; lock cmpxchg [rcx], dl),
            MemSize::B2 => asm!(self; lock cmpxchg [rcx], dx),
            MemSize::B4 => asm!(self; lock cmpxchg [rcx], edx),
            _ => asm!(self; lock cmpxchg [rcx], rdx),
        }
    }

    /// Zero-extends the old value.
    fn extend_old(&mut self, r: u8, size: MemSize) {
        match size {
            MemSize::B1 => asm!(self; movzx Rd(r), Rb(r)),
            MemSize::B2 => asm!(self; movzx Rd(r), Rw(r)),
            MemSize::B4 => asm!(self; mov Rd(r), Rd(r)),
            _ => {}
        }
    }
}
