//! Code that all blocks share: entering, leaving, calling the runtime.

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler};

use super::{BIAS, ExitKind, PINNED, TEMP, asm, int_disp, state};
use crate::interp::uop::{FIRST_TEMP, NZCV};
use crate::jit::runtime;
use crate::jit::state::{FlagKind, JitState};

/// Host addresses.
pub(in crate::jit) struct Thunks {
    /// `extern "sysv64" fn(frame + BIAS, entry of a unit) -> why it was left`.
    pub enter: u64,
    /// Leaves, with the reason in eax.
    pub exit: u64,
    /// Puts the flags into their slot; changes rax and rdx.
    pub materialise_flags: u64,
    /// Makes the host's flags those of the guest, as after a subtraction: the carry is a borrow. Changes rax, rcx, rdx.
    pub compare: u64,
    /// The runtime, for units that only have guest registers in their homes: they are saved and restored.
    pub saving: Calls,
    /// The runtime, for units that see to their registers themselves.
    pub plain: Calls,
    /// Pointer authentication.
    pub pac: [u64; 8],
}

/// Stubs that call functions of the runtime. Arguments are in rax, rdx, rcx, and the result is in rax.
pub(in crate::jit) struct Calls {
    /// Runs operation edx of block eax in the interpreter.
    pub operation: u64,
    /// Computes operation edx of block eax by its exact function.
    pub exact: u64,
    /// Loads by size: address in rax, value to rax.
    pub load: [u64; 4],
    /// Stores by size: address in rax, value in rdx.
    pub store: [u64; 4],
    /// As `load`.
    pub load_words: u64,
    /// As `store`.
    pub store_words: u64,
    /// As `load`, values to `out`.
    pub load_pair: u64,
    /// As `store`, second value in rcx.
    pub store_pair: u64,
    /// How in edx.
    pub load_vector: u64,
    /// How in edx.
    pub store_vector: u64,
    /// Xd, Xs and Xn of the main instruction in `out`; the new Xn.
    pub copy_or_set: u64,
}

pub(super) struct Builder {
    pub(super) ops: VecAssembler<X64Relocation>,
    at: u64,
    /// Leaves; registers are in the frame already.
    exit_saved: u64,
}

/// Makes the code, which will run at `at`.
pub(in crate::jit) fn build(at: u64) -> Option<(Vec<u8>, Thunks)> {
    let mut b = Builder { ops: VecAssembler::new(at as usize), at, exit_saved: 0 };
    let enter = b.enter();
    let exit = b.exit();
    let compare = b.compare();
    let materialise_flags = b.materialise_flags(compare);
    let (saving, plain) = (b.calls(true), b.calls(false));
    let pac = b.pac();
    let thunks = Thunks { enter, exit, materialise_flags, compare, saving, plain, pac };
    Some((b.ops.finalize().ok()?, thunks))
}

impl Builder {
    pub(super) fn here(&self) -> u64 {
        self.at + self.ops.offset().0 as u64
    }

    /// Registers to the frame.
    fn save(&mut self) {
        for (slot, r) in PINNED {
            asm!(self; mov [r15 + int_disp(slot)], Rq(r));
        }
        asm!(self; mov [r15 + int_disp(FIRST_TEMP)], Rq(TEMP) ; mov [r15 + state!(count)], r13);
    }

    /// Registers from the frame.
    fn restore(&mut self) {
        for (slot, r) in PINNED {
            asm!(self; mov Rq(r), [r15 + int_disp(slot)]);
        }
        asm!(self; mov Rq(TEMP), [r15 + int_disp(FIRST_TEMP)] ; mov r13, [r15 + state!(count)]);
    }

    fn enter(&mut self) -> u64 {
        let at = self.here();
        // Seven words and the return address: the stack is aligned to 16 in host code.
        asm!(self
            ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15 ; sub rsp, 8
            ; mov r15, rdi
            ; mov rax, rsi
            ; mov r14, [r15 + state!(tlb)]
        );
        self.restore();
        asm!(self; jmp rax);
        at
    }

    fn exit(&mut self) -> u64 {
        let at = self.here();
        self.save();
        self.exit_saved = self.here();
        asm!(self
            ; cmp DWORD [r15 + state!(fp_on)], 0
            ; je >plain
            ; mov DWORD [r15 + state!(fp_on)], 0
            ; stmxcsr [r15 + state!(mxcsr)]
            ; ldmxcsr [r15 + state!(host_mxcsr)]
            ; plain:
            ; add rsp, 8 ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
            ; ret
        );
        at
    }

    fn calls(&mut self, saving: bool) -> Calls {
        let mut call = |function: *const ()| self.call(function as usize, saving);
        Calls {
            operation: call(runtime::operation as *const ()),
            exact: call(runtime::exact as *const ()),
            load: [
                call(runtime::load::<1> as *const ()),
                call(runtime::load::<2> as *const ()),
                call(runtime::load::<4> as *const ()),
                call(runtime::load::<8> as *const ()),
            ],
            store: [
                call(runtime::store::<1> as *const ()),
                call(runtime::store::<2> as *const ()),
                call(runtime::store::<4> as *const ()),
                call(runtime::store::<8> as *const ()),
            ],
            load_words: call(runtime::load_words as *const ()),
            store_words: call(runtime::store_words as *const ()),
            load_pair: call(runtime::load_pair as *const ()),
            store_pair: call(runtime::store_pair as *const ()),
            load_vector: call(runtime::load_vector as *const ()),
            store_vector: call(runtime::store_vector as *const ()),
            copy_or_set: call(runtime::copy_or_set as *const ()),
        }
    }

    /// A call of a function of the runtime.
    fn call(&mut self, function: usize, saving: bool) -> u64 {
        let at = self.here();
        if saving {
            self.save();
        } else {
            asm!(self; mov [r15 + state!(count)], r13);
        }
        asm!(self
            ; cmp DWORD [r15 + state!(fp_on)], 0
            ; je >plain
            ; stmxcsr [r15 + state!(mxcsr)]
            ; ldmxcsr [r15 + state!(host_mxcsr)]
            ; plain:
            ; lea rdi, [r15 - BIAS]
            ; mov rsi, rax
            ; mov rax, QWORD function as i64
            ; sub rsp, 8
            ; call rax
            ; add rsp, 8
            ; cmp DWORD [r15 + state!(faulted)], 0
            ; jne >faulted
            ; cmp DWORD [r15 + state!(fp_on)], 0
            ; je >plain
            ; ldmxcsr [r15 + state!(mxcsr)]
            ; plain:
        );
        if saving {
            self.restore();
        } else {
            asm!(self; mov r13, [r15 + state!(count)]);
        }
        asm!(self
            ; ret
            ; faulted:
            ; mov DWORD [r15 + state!(faulted)], 0
            ; add rsp, 8
            // It is read again on the way out.
            ; cmp DWORD [r15 + state!(fp_on)], 0
            ; je >plain
            ; ldmxcsr [r15 + state!(mxcsr)]
            ; plain:
            ; mov eax, [r15 + state!(at_block)]
            ; shl eax, super::exits::KIND_BITS as i8
            ; or eax, ExitKind::Fault as i32
            ; jmp extern self.exit_saved as usize
        );
        at
    }

    /// See [`FlagKind`]: the flags as after a subtraction, made a value.
    fn materialise_flags(&mut self, compare: u64) -> u64 {
        let at = self.here();
        asm!(self
            ; cmp DWORD [r15 + state!(flag_kind)], 0
            ; je >done
            ; call extern compare as usize
            // AH has SF, ZF and CF as bits 7, 6 and 0. The product brings them and OF (bit 0) to the top.
            ; lahf ; seto al ; and eax, 0xc101 ; imul eax, eax, 0x1021_0000
            ; and eax, 0xf000_0000u32 as i32
            ; xor eax, 1 << 29
            ; mov [r15 + int_disp(NZCV)], rax
            ; mov DWORD [r15 + state!(flag_kind)], 0
            ; done:
            ; ret
        );
        at
    }

    /// See [`Thunks::compare`].
    fn compare(&mut self) -> u64 {
        let at = self.here();
        asm!(self
            ; mov eax, [r15 + state!(flag_kind)]
            ; mov rdx, [r15 + state!(flag_a)]
            ; cmp eax, FlagKind::Sub64 as i32 ; je >sub64
            ; cmp eax, FlagKind::Sub32 as i32 ; je >sub32
            ; cmp eax, FlagKind::Logic32 as i32 ; je >logic32
            ; cmp eax, FlagKind::Logic64 as i32 ; je >logic64
            ; cmp eax, FlagKind::Add64 as i32 ; je >add64
            ; cmp eax, FlagKind::Add32 as i32 ; je >add32
            ; cmp eax, FlagKind::Host as i32 ; je >host
            ; mov edx, [r15 + int_disp(NZCV)]
            ; mov eax, edx
            ; shr eax, 16
            // No carry is a borrow, bit 0 of AH.
            ; mov ecx, eax
            ; not ecx
            ; and ecx, 0x2000
            ; shr ecx, 5
            ; and eax, 0xc000
            ; or eax, ecx
            // V is OF of a sum with the greatest number.
            ; shr edx, 28
            ; and edx, 1
            ; add dl, 0x7f
            ; sahf
            ; ret
            ; sub64: ; cmp rdx, [r15 + state!(flag_b)] ; ret
            ; sub32: ; cmp edx, [r15 + state!(flag_b)] ; ret
            ; logic64: ; test rdx, rdx ; cmc ; ret
            ; logic32: ; test edx, edx ; cmc ; ret
            ; add64: ; add rdx, [r15 + state!(flag_b)] ; cmc ; ret
            ; add32: ; add edx, [r15 + state!(flag_b)] ; cmc ; ret
            ; host: ; mov eax, edx ; add al, 0x7f ; sahf ; ret
        );
        at
    }
}
