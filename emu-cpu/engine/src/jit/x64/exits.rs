//! The ends of blocks.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::ir::{Cond, LeaveKind};
use emu_pe::offset;

use super::lazy_flags::FlagLocation;
use super::{Emitter, Exit, RAX, asm, int_disp, state};
use crate::interp::uop::Uop;
use crate::jit::context_key;
use crate::jit::state::{IndirectTarget, JitState, TARGETS};

/// Why host code returned, in the low bits of what it returns. The rest is the number of an exit for [`ExitKind::Exit`], else
/// that of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(in crate::jit) enum ExitKind {
    /// At an exit.
    Exit,
    /// By an indirect branch, to [`JitState::target`].
    Indirect,
    /// The block ends in an exception or hands over to the machine.
    End,
    /// Before the block: a request is pending, or its code has changed.
    Event,
    /// [`JitState::fault`] in the middle of the block.
    Fault,
    /// Before the block, to which other code has jumped back very often: it may be the head of a loop.
    LoopCandidate,
}

/// Bits of the kind in the returned value.
pub(in crate::jit) const KIND_BITS: u32 = 3;

impl ExitKind {
    /// From the returned value.
    pub(in crate::jit) fn from_word(word: u64) -> Self {
        match word & 7 {
            0 => Self::Exit,
            1 => Self::Indirect,
            2 => Self::End,
            4 => Self::Fault,
            5 => Self::LoopCandidate,
            _ => Self::Event,
        }
    }
}

/// An exit of a loop, whose code comes behind that of the blocks.
pub(super) struct SideExit {
    pub start: DynamicLabel,
    pub block: usize,
    /// Number of the exit.
    pub n: usize,
    /// Where the flags are.
    pub flags: FlagLocation,
}

/// What to change so that an exit leads to another block. Addresses are the host's.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::jit) enum Site {
    /// It never leads anywhere.
    #[default]
    None,
    /// To the same page.
    Page {
        /// The displacement of the jump.
        jump: u64,
        /// It leads to the start of its block, or to one further up.
        backward: bool,
    },
    /// To another page, if page and key are those of the record.
    Cross {
        /// The displacement of the jump.
        jump: u64,
        /// Page and key, 16 bytes.
        record: u64,
    },
}

/// A page that no code is in.
const NO_PAGE: u64 = 1;

impl Emitter<'_> {
    /// Ends of blocks; false if it is something else. A condition of flags uses what the host's say.
    pub(super) fn end(&mut self, uop: Uop) -> bool {
        let in_loop = self.input.is_loop();
        match uop {
            Uop::Goto | Uop::IfCond { cond: Cond::Al | Cond::Nv, .. } if in_loop => self.goto_successor(0),
            Uop::Goto | Uop::IfCond { cond: Cond::Al | Cond::Nv, .. } => {
                self.write_back_all();
                self.exit(0);
            }
            Uop::Indirect { a } => self.end_at_register(a, 0),
            Uop::IndirectTyped { a, btype } => self.end_at_register(a, btype),
            Uop::Leave { kind: LeaveKind::Context } => {
                self.write_back_all();
                self.goto_unless_poll_needed();
            }
            Uop::Exception(_) | Uop::Leave { .. } => {
                self.write_back_all();
                self.leave(ExitKind::End);
            }
            _ => {
                let Some(cc) = self.branch_condition(uop) else { return false };
                if !in_loop {
                    self.write_back_all();
                }
                self.branch(cc);
            }
        }
        true
    }

    /// An indirect branch.
    fn end_at_register(&mut self, a: u8, btype: u8) {
        self.flags.clobber_host();
        if self.input.is_loop() {
            self.indirect_to_successors(a, btype);
        } else {
            self.write_back_all();
            self.indirect(a, btype);
        }
    }

    /// Writes back what is in registers, flags too, to where it is between units. Keeps the host's flags.
    fn write_back_all(&mut self) {
        self.spill_current_flags();
        self.write_back_assigned();
    }

    /// Returns from host code, before or at the end of the current block.
    pub(super) fn leave(&mut self, kind: ExitKind) {
        self.leave_with(kind, self.input.number);
    }

    fn leave_with(&mut self, kind: ExitKind, number: u32) {
        let word = number << KIND_BITS | kind as u32;
        asm!(self; mov eax, word as i32 ; jmp extern self.thunks.exit as usize);
    }

    /// The host's condition code under which a conditional branch takes exit 0; `None` if it is something else.
    fn branch_condition(&mut self, uop: Uop) -> Option<u8> {
        Some(match uop {
            Uop::IfCond { f, cond } => self.condition(f, cond),
            Uop::IfZero64 { a } => self.test_zero(a, true, 4),
            Uop::IfNonZero32 { a } => self.test_zero(a, false, 5),
            Uop::IfZero32 { a } => self.test_zero(a, false, 4),
            Uop::IfBit { a, n, set } => {
                self.flags.clobber_host();
                let (n, r) = (n & 63, self.reg(a));
                match (r, n < 31) {
                    (Some(r), true) => asm!(self; test Rd(r), 1 << n),
                    (Some(r), false) => asm!(self; bt Rq(r), n as i8),
                    (None, true) => asm!(self; test DWORD [r15 + int_disp(a)], 1 << n),
                    (None, false) => asm!(self; bt QWORD [r15 + int_disp(a)], n as i8),
                }
                let cc = if n < 31 { 5 } else { 2 };
                if set { cc } else { cc ^ 1 }
            }
            Uop::IfI1 { a } | Uop::IfNonZero64 { a } => self.test_zero(a, true, 5),
            _ => return None,
        })
    }

    /// Behind an instruction that may have changed the context, which mostly it has not: goes on if there is nothing to poll
    /// for ([`emu_pe::derived::Derived::needs_no_poll`]).
    fn goto_unless_poll_needed(&mut self) {
        let out = self.ops.new_dynamic_label();
        asm!(self
            ; mov rax, [r15 + state!(cpu)]
            ; cmp BYTE [rax + offset::CONTEXT_CHANGED], 0
            ; jne =>out
            ; cmp BYTE [rax + offset::HAS_MASKED_PENDING_EVENT], 0
            ; jne =>out
        );
        self.exit(0);
        if let Some(Exit { site: Site::Page { backward, .. }, .. }) = self.exits.last_mut() {
            // What was written before an ISB is executed after it: the next block looks whether that is pending.
            *backward = true;
        }
        asm!(self; =>out);
        self.leave(ExitKind::End);
    }

    fn test_zero(&mut self, a: u8, wide: bool, cc: u8) -> u8 {
        self.flags.clobber_host();
        let r = self.read(a, RAX);
        if wide {
            asm!(self; test Rq(r), Rq(r));
        } else {
            asm!(self; test Rd(r), Rd(r));
        }
        cc
    }

    /// To exit 0 if the condition holds, else to exit 1.
    fn branch(&mut self, cc: u8) {
        if self.input.is_loop() {
            return self.branch_to_successors(cc);
        }
        let taken = self.ops.new_dynamic_label();
        self.jump_if(cc, taken);
        let jump = self.current_address() - 4;
        self.exit(1);
        asm!(self; =>taken);
        if self.target(0).is_some() {
            let site = Site::Page { jump, backward: self.is_backward(0) };
            self.emit_unlinked_exit(0, site);
        } else {
            self.exit(0);
        }
    }

    /// The exits of a loop.
    pub(super) fn emit_side_exits(&mut self) {
        for SideExit { start, block, n, flags } in std::mem::take(&mut self.side_exits) {
            self.set_current_block(block);
            let write_back = self.labels.write_back;
            asm!(self; =>start);
            self.spill_flags(flags);
            asm!(self; call =>write_back);
            self.exit(n);
        }
    }

    fn current_address(&self) -> u64 {
        self.input.at + self.ops.offset().0 as u64
    }

    /// Offset in the page of the target of exit `n`, if it is in the same page.
    fn target(&self, n: usize) -> Option<u32> {
        let to = i64::from(self.input.offset).wrapping_add(self.input.code.exits[n].rel);
        (0..4096).contains(&to).then_some(to as u32)
    }

    fn is_backward(&self, n: usize) -> bool {
        self.target(n).is_none_or(|to| to <= self.input.offset)
    }

    /// Leaves by exit `n` until it leads somewhere.
    fn emit_unlinked_exit(&mut self, n: usize, site: Site) {
        let number = self.input.first_exit + self.exits.len() as u32;
        self.exits.push(Exit { block: self.input.number, n, site });
        self.leave_with(ExitKind::Exit, number);
    }

    /// Leads to exit `n`.
    fn exit(&mut self, n: usize) {
        let out = self.ops.new_dynamic_label();
        let site = if self.target(n).is_some() {
            asm!(self; jmp =>out);
            Site::Page { jump: self.current_address() - 4, backward: self.is_backward(n) }
        } else {
            self.cross(n, out)
        };
        asm!(self; =>out);
        self.emit_unlinked_exit(n, site);
    }

    /// To another page: the link is good for one page under one key.
    fn cross(&mut self, n: usize, out: DynamicLabel) -> Site {
        let to = i64::from(self.input.offset).wrapping_add(self.input.code.exits[n].rel);
        let Ok(pages) = i32::try_from(to >> 12 << 12) else { return Site::None };
        let (page, key, over) =
            (self.ops.new_dynamic_label(), self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        asm!(self
            ; mov rax, [r15 + state!(page)]
            ; cmp rax, [=>page]
            ; jne =>out
            ; mov rcx, [r15 + state!(key)]
            ; cmp rcx, [=>key]
            ; jne =>out
            ; add rax, pages
            ; mov [r15 + state!(page)], rax
            ; jmp =>over
        );
        let jump = self.current_address() - 4;
        asm!(self; .align 8 ; =>page);
        let record = self.current_address();
        asm!(self; .u64 NO_PAGE ; =>key ; .u64 0 ; =>over);
        Site::Cross { jump, record }
    }

    /// To an address in a register, with PSTATE.BTYPE.
    fn indirect(&mut self, a: u8, btype: u8) {
        self.load(RAX, a);
        self.indirect_to_rax(btype);
    }

    /// To the address in rax, with PSTATE.BTYPE.
    pub(super) fn indirect_to_rax(&mut self, btype: u8) {
        const INDEX: i32 = ((TARGETS - 1) << 5) as i32;
        const PC: usize = std::mem::offset_of!(IndirectTarget, pc);
        const KEY: usize = std::mem::offset_of!(IndirectTarget, key);
        const ENTRY: usize = std::mem::offset_of!(IndirectTarget, entry);
        let miss = self.ops.new_dynamic_label();
        asm!(self
            ; lea ecx, [rax * 8]
            ; xor ecx, [r15 + state!(salt)]
            ; and ecx, INDEX
            ; add rcx, [r15 + state!(targets)]
            ; cmp rax, [rcx + PC as i32]
            ; jne =>miss
            ; mov rdx, [r15 + state!(key)]
        );
        if btype != 0 {
            asm!(self; or rdx, i32::from(btype & 3) << context_key::BTYPE);
        }
        asm!(self
            ; cmp rdx, [rcx + KEY as i32]
            ; jne =>miss
        );
        if btype != 0 {
            asm!(self
                ; mov [r15 + state!(btype_set_at)], r13
                ; mov DWORD [r15 + state!(btype_on_entry)], i32::from(btype)
            );
        }
        asm!(self
            ; and rax, -4096
            ; mov [r15 + state!(page)], rax
            ; jmp QWORD [rcx + ENTRY as i32]
            ; =>miss
            ; mov [r15 + state!(target)], rax
        );
        self.leave(ExitKind::Indirect);
    }
}
