//! Memory copy and set: the checks of FEAT_MOPS in line, what is moved by a function of the runtime.

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::ir::mops::{Kind, Stage};
use emu_pe::mem::mops::C;

use super::{Emitter, RAX, RCX, RDX, asm, state};
use crate::interp::uop::Uop;
use crate::jit::state::JitState;

impl Emitter<'_> {
    /// FEAT_MOPS; false if it is something else.
    pub(super) fn copy_or_set(&mut self, uop: Uop) -> bool {
        match uop {
            // What `mops::check` lets pass for sure.
            Uop::MopsCheck { a, b, insn } => {
                let start = self.ops.new_dynamic_label();
                let moves = insn.stage() == Some(Stage::Main);
                if !moves || insn.kind() != Kind::Copy {
                    let size = self.read(a, RAX);
                    asm!(self; test Rq(size), Rq(size));
                    if moves {
                        // Forward, so minus what is left.
                        asm!(self; jns =>start);
                    } else {
                        asm!(self; jnz =>start);
                    }
                }
                if moves {
                    let flags = self.read(b, RDX);
                    asm!(self; test Rd(flags), C as i32 ; jnz =>start);
                }
                let back = self.or_interpret(start);
                self.resume(back);
            }
            Uop::MopsMove { d, a, b, c, insn } => {
                self.spill_current_flags();
                self.note_place();
                asm!(self; mov DWORD [r15 + state!(out)], insn.0 as i32);
                self.load(RAX, a);
                self.load(RDX, b);
                self.load(RCX, c);
                self.call_thunk(|calls| calls.copy_or_set);
                self.flags.in_slot();
                self.store(d, RAX);
            }
            _ => return false,
        }
        true
    }
}
