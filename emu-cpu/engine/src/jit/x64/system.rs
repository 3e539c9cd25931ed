//! Barriers, the stack pointer check, and the system registers that are read all the time.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::ir::{BarrierKind, PstateField, SysEnc};
use emu_a64::regs::{Pstate, Regs, SP};
use emu_pe::cpu::Cpu;
use emu_pe::mem::maintenance::ZVA_BYTES;
use emu_pe::offset;
use emu_pe::sysreg::{DCZID, Direct, InLine, Permits, hcr, row};

use super::memory::{READ, WRITE};
use super::{Emitter, RAX, RCX, RDX, asm, int_disp, state};
use crate::interp::uop::Uop;
use crate::jit::state::JitState;

/// Offsets in [`Cpu`].
const CPU_DAIF: i32 = (std::mem::offset_of!(Cpu, pstate) + std::mem::offset_of!(Pstate, daif)) as i32;
const CPU_SP_SEL: i32 = (std::mem::offset_of!(Cpu, pstate) + std::mem::offset_of!(Pstate, sp_sel)) as i32;
const CPU_FPCR: i32 = (std::mem::offset_of!(Cpu, regs) + std::mem::offset_of!(Regs, fpcr)) as i32;
const CPU_ACCESSES: i32 = (std::mem::offset_of!(Cpu, regs) + std::mem::offset_of!(Regs, accesses)) as i32;

impl Emitter<'_> {
    /// System operations; false if it is something else, or one that has no code in line.
    pub(super) fn system(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::CheckSp => {
                let start = self.ops.new_dynamic_label();
                match self.reg(SP as u8) {
                    Some(sp) => asm!(self; test Rb(sp), 15),
                    None => asm!(self; test BYTE [r15 + int_disp(SP as u8)], 15),
                }
                asm!(self; jne =>start);
                let back = self.or_interpret(start);
                self.resume(back);
                true
            }
            // The host orders loads before loads and stores before stores by itself.
            Uop::Barrier(BarrierKind::DmbLoad | BarrierKind::DmbStore | BarrierKind::Speculation) => true,
            // Maintenance that others still do must be waited for.
            Uop::Barrier(BarrierKind::Dsb) => {
                let start = self.ops.new_dynamic_label();
                asm!(self
                    ; mov rax, [r15 + state!(cpu)]
                    ; cmp BYTE [rax + offset::UNSYNCHRONISED], 0
                    ; jne =>start
                    ; lock or DWORD [rsp], 0
                );
                let back = self.or_interpret(start);
                self.resume(back);
                true
            }
            Uop::Barrier(BarrierKind::DmbFull) => {
                asm!(self; lock or DWORD [rsp], 0);
                true
            }
            Uop::CountAccesses { n } => {
                // Without the host's flags, which may be the guest's.
                asm!(self
                    ; mov rax, [r15 + state!(cpu)]
                    ; mov rdx, [rax + CPU_ACCESSES]
                    ; lea rdx, [rdx + i32::from(n)]
                    ; mov [rax + CPU_ACCESSES], rdx
                );
                true
            }
            Uop::Mrs { d, enc, .. } => self.read_in_line(d, enc) || self.read_register(d, enc),
            Uop::Msr { a, enc, .. } => self.write_in_line(a, enc) || self.write_register(a, enc),
            Uop::MsrImm { field: PstateField::DaifClr, imm } if self.input.mode.el.is_privileged() => {
                asm!(self; mov rax, [r15 + state!(cpu)] ; and BYTE [rax + CPU_DAIF], (!imm & 15) as i8);
                true
            }
            Uop::MsrImm { field: PstateField::DaifSet, imm } if self.input.mode.el.is_privileged() => {
                asm!(self; mov rax, [r15 + state!(cpu)] ; or BYTE [rax + CPU_DAIF], (imm & 15) as i8);
                true
            }
            Uop::Sys { a, enc, .. } => self.instruction(a, enc),
            _ => false,
        }
    }

    /// MRS of a register that is more than a stored value.
    fn read_in_line(&mut self, d: u8, enc: SysEnc) -> bool {
        match row(enc).and_then(|row| row.in_line) {
            Some(InLine::Daif) if self.input.mode.el.is_privileged() => {
                asm!(self; mov rax, [r15 + state!(cpu)] ; movzx eax, BYTE [rax + CPU_DAIF] ; shl eax, 6);
                self.store(d, RAX);
                true
            }
            // The C library asks for the rounding mode in every second function. It traps where all of FP does.
            Some(InLine::Fpcr) if self.input.mode.fp_enabled => {
                asm!(self; mov rax, [r15 + state!(cpu)] ; mov eax, [rax + CPU_FPCR]);
                self.store(d, RAX);
                true
            }
            Some(InLine::ZeroSize) => {
                let start = self.permit(std::mem::offset_of!(Permits, zero_size));
                asm!(self; mov eax, DCZID as i32);
                self.store(d, RAX);
                let back = self.or_interpret(start);
                self.resume(back);
                true
            }
            _ => false,
        }
    }

    /// MSR of a register that is more than a stored value.
    fn write_in_line(&mut self, a: u8, enc: SysEnc) -> bool {
        match row(enc).and_then(|row| row.in_line) {
            Some(InLine::Daif) if self.input.mode.el.is_privileged() => {
                self.load(RAX, a);
                asm!(self
                    ; shr eax, 6
                    ; and eax, 15
                    ; mov rdx, [r15 + state!(cpu)]
                    ; mov [rdx + CPU_DAIF], al
                );
                true
            }
            _ => false,
        }
    }

    /// SYS.
    fn instruction(&mut self, a: u8, enc: SysEnc) -> bool {
        match row(enc).and_then(|row| row.in_line) {
            Some(InLine::ZeroBlock) => self.zero_block(a),
            Some(InLine::Clean) => self.clean(a),
            _ => return false,
        }
        true
    }

    /// Looks for one of [`Permits`]. Gives the label of what is interpreted, where there is none.
    fn permit(&mut self, which: usize) -> DynamicLabel {
        let start = self.ops.new_dynamic_label();
        asm!(self
            ; mov rdx, [r15 + state!(cpu)]
            ; cmp BYTE [rdx + (offset::PERMITS + which as i32)], 0
            ; je =>start
        );
        start
    }

    fn read_register(&mut self, d: u8, enc: SysEnc) -> bool {
        let Some(direct) = self.input.cpu.direct_register(enc, self.input.mode.el, true) else {
            return false;
        };
        let back = self.guard(&direct);
        let r = self.result(d, RAX);
        asm!(self; mov Rq(r), [rax + direct.offset as i32]);
        self.store(d, r);
        if let Some(back) = back {
            self.resume(back);
        }
        true
    }

    fn write_register(&mut self, a: u8, enc: SysEnc) -> bool {
        let Some(direct) = self.input.cpu.direct_register(enc, self.input.mode.el, false) else {
            return false;
        };
        let back = self.guard(&direct);
        let (writable, ones) = (direct.writable, direct.ones & !direct.writable);
        if writable == u64::MAX {
            let r = self.read(a, RDX);
            asm!(self; mov [rax + direct.offset as i32], Rq(r));
        } else {
            asm!(self; mov rdx, QWORD writable as i64);
            let r = self.read(a, RCX);
            asm!(self; and rdx, Rq(r));
            if ones != 0 {
                asm!(self; mov rcx, QWORD ones as i64 ; or rdx, rcx);
            }
            asm!(self; mov [rax + direct.offset as i32], rdx);
        }
        if let Some(back) = back {
            self.resume(back);
        }
        true
    }

    /// The address of the [`Cpu`] to rax, and the checks of an access; those that it fails are the interpreter's.
    fn guard(&mut self, direct: &Direct) -> Option<DynamicLabel> {
        /// HCR_EL2.E2H, a bit of the byte at offset 4.
        const E2H: i8 = (hcr::E2H >> 32) as i8;
        asm!(self; mov rax, [r15 + state!(cpu)]);
        if !direct.needs_sp_sel && direct.e2h.is_none() && direct.fine.is_none() {
            return None;
        }
        let start = self.ops.new_dynamic_label();
        if direct.needs_sp_sel {
            asm!(self; cmp BYTE [rax + CPU_SP_SEL], 0 ; je =>start);
        }
        if let Some(e2h) = direct.e2h {
            asm!(self; test BYTE [rax + (offset::HCR + 4)], E2H);
            if e2h {
                asm!(self; je =>start);
            } else {
                asm!(self; jne =>start);
            }
        }
        if let Some((register, bit)) = direct.fine {
            asm!(self
                ; test BYTE [rax + (register as i32 + i32::from(bit / 8))], (1u8 << (bit % 8)) as i8
                ; jne =>start
            );
        }
        Some(self.or_interpret(start))
    }

    /// Maintenance by address, of which all that a guest can see is that the address is translated.
    fn clean(&mut self, a: u8) {
        let start = self.permit(std::mem::offset_of!(Permits, clean));
        self.load(RAX, a);
        self.look_up(1, READ, start);
        let back = self.or_interpret(start);
        self.resume(back);
    }

    /// DC ZVA.
    fn zero_block(&mut self, a: u8) {
        let start = self.permit(std::mem::offset_of!(Permits, zero_block));
        self.load(RAX, a);
        asm!(self; and rax, -(ZVA_BYTES as i32));
        self.look_up(1, WRITE, start);
        asm!(self; pxor xmm0, xmm0);
        for at in (0..ZVA_BYTES as i32).step_by(16) {
            asm!(self; movups [rax + rcx + at], xmm0);
        }
        let back = self.or_interpret(start);
        self.resume(back);
    }
}
