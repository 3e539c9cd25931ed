//! Pointer authentication (Arm ARM, D8.10; AddPAC and Auth), with the fast algorithm ([`quick`]).
//!
//! All blocks share a routine for each key, to sign and to check. It asks [`Quick`] first. What that does not permit is
//! interpreted, and so is a check that fails.

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::ir::PacOp;
use emu_a64::pac::quick;
use emu_pe::cpu::Cpu;
use emu_pe::offset;
use emu_pe::pauth::{self, OFF, Quick, READY};
use emu_pe::sysreg::Permits;

use super::thunks::Builder;
use super::{Emitter, RAX, RDX, asm, state};
use crate::interp::uop::Uop;
use crate::jit::state::JitState;

const QUICK: usize = offset::PERMITS as usize + std::mem::offset_of!(Permits, pauth);
/// The bit of an address that says which half it is of.
const HALF: i8 = 55;

/// Number of the routine: that of the key, and 4 more to check.
fn routine(op: PacOp) -> Option<usize> {
    Some(match op {
        PacOp::PacIa => 0,
        PacOp::PacIb => 1,
        PacOp::PacDa => 2,
        PacOp::PacDb => 3,
        PacOp::AutIa => 4,
        PacOp::AutIb => 5,
        PacOp::AutDa => 6,
        PacOp::AutDb => 7,
        PacOp::PacGa | PacOp::XpacI | PacOp::XpacD => return None,
    })
}

impl Emitter<'_> {
    /// Signs or checks a pointer; false if it is something else.
    pub(super) fn pointer_authentication(&mut self, uop: Uop) -> bool {
        let Uop::Pac { d, a, b, op } = uop else { return false };
        let Some(n) = routine(op) else { return false };
        let start = self.ops.new_dynamic_label();
        self.load(RAX, a);
        self.load(RDX, b);
        asm!(self; call extern self.thunks.pac[n] as usize ; jne =>start);
        self.store(d, RAX);
        let back = self.or_interpret(start);
        self.resume(back);
        true
    }
}

impl Builder {
    /// The routines. Each gets a pointer in rax and a modifier in rdx, and gives the result in rax and ZF if it is good.
    /// Changes rcx and rdx.
    pub(super) fn pac(&mut self) -> [u64; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|n| self.routine(n % 4, n >= 4))
    }

    fn routine(&mut self, n: usize, check: bool) -> u64 {
        let at = self.here();
        let cell = |reg| (std::mem::offset_of!(Cpu, sys) + 8 * reg as usize) as i32;
        let (low, high) = pauth::key(n);
        let states =
            if check { std::mem::offset_of!(Quick, check) } else { std::mem::offset_of!(Quick, sign) };
        let state = (QUICK + states + n) as i32;
        let fields = (QUICK + std::mem::offset_of!(Quick, fields) + n / 2 * 16) as i32;
        let [first, second] = quick::FACTORS;
        asm!(self
            ; mov rcx, [r15 + state!(cpu)]
            ; cmp BYTE [rcx + state], READY as i8
            ; jne >other
            ; push rbx
            ; push rsi
            ; rol rdx, quick::ROTATION as i8
            ; xor rdx, [rcx + cell(high)]
            // The pointer without a code, and where that is.
            ; mov rbx, rax
            ; bt rax, BYTE HALF
            ; jc >upper
            ; mov rsi, [rcx + fields]
            ; not rsi
            ; and rbx, rsi
            ; btr rbx, BYTE HALF
            ; not rsi
            ; jmp >compute
            ; upper:
            ; mov rsi, [rcx + fields + 8]
            ; or rbx, rsi
            ; compute:
            ; mov rcx, [rcx + cell(low)]
            ; xor rcx, rbx
            ; push rax
            ; mov rax, QWORD first as i64
            ; imul rcx, rax
            ; xor rdx, rcx
            ; shr rcx, 32
            ; xor rdx, rcx
            ; mov rax, QWORD second as i64
            ; imul rdx, rax
            ; mov rcx, rdx
            ; shr rcx, 32
            ; xor rdx, rcx
            ; pop rax
            ; and rdx, rsi
            ; xor rax, rdx
        );
        if check {
            asm!(self; cmp rax, rbx);
        } else {
            asm!(self; xor ecx, ecx);
        }
        asm!(self
            ; pop rsi
            ; pop rbx
            ; ret
            ; other:
            ; cmp BYTE [rcx + state], OFF as i8
            ; ret
        );
        at
    }
}
