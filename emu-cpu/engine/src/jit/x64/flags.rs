//! NZCV.
//!
//! An operation that sets the flags leaves its operands where they are ([`super::lazy_flags`]); the host's own flags say the
//! same until an instruction changes them. A condition uses the host's flags, or makes the comparison again. Only what asks
//! for the flags as a value computes them.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use emu_a64::ir::Cond;

use super::lazy_flags::{FlagLocation, LazyFlags, Source};
use super::{Emitter, RAX, RCX, RDX, asm, int_disp, state};
use crate::interp::uop::{NZCV, Uop};
use crate::jit::state::{FlagKind, JitState};

/// What is known about NZCV at a point of a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    /// Where they are.
    pub location: FlagLocation,
    /// The host's flags are those of `location`.
    host: bool,
}

impl Flags {
    /// Something has changed the host's flags.
    pub(super) fn clobber_host(&mut self) {
        self.host = false;
    }
    /// The number of their kind in the frame; 0 if they are in their slot, or it is not known.
    pub(super) fn kind_number(self) -> i32 {
        match self.location {
            FlagLocation::FrameAs(kind) => kind as i32,
            _ => 0,
        }
    }
    /// They are in their slot.
    pub(super) fn in_slot(&mut self) {
        *self = Self { location: FlagLocation::FrameAs(FlagKind::None), host: false };
    }
    /// They are in this location, and the host's are the same.
    pub(super) fn set(&mut self, location: FlagLocation) {
        *self = Self { location, host: true };
    }
    /// Nothing observes them before they are set again.
    pub(super) fn die(&mut self) {
        *self = Self { location: FlagLocation::Dead, host: false };
    }
}

/// The host's condition code after a comparison of this kind, and whether its carry must be inverted before.
///
/// The host's carry after a subtraction is a borrow, the opposite of Arm's; after a sum or TEST it is Arm's.
fn condition_code(kind: FlagKind, cond: Cond) -> (u8, bool) {
    let sub = kind.borrows();
    match cond {
        Cond::Eq => (4, false),
        Cond::Ne => (5, false),
        Cond::Cs => (if sub { 3 } else { 2 }, false),
        Cond::Cc => (if sub { 2 } else { 3 }, false),
        Cond::Mi => (8, false),
        Cond::Pl => (9, false),
        Cond::Vs => (0, false),
        Cond::Vc => (1, false),
        Cond::Hi => (7, !sub),
        Cond::Ls => (6, !sub),
        Cond::Ge => (13, false),
        Cond::Lt => (12, false),
        Cond::Gt => (15, false),
        Cond::Le | Cond::Al | Cond::Nv => (14, false),
    }
}

impl Emitter<'_> {
    /// NZCV's slot has just been written.
    pub(super) fn flags_are_in_slot(&mut self) {
        if self.flags.location != FlagLocation::FrameAs(FlagKind::None) {
            asm!(self; mov DWORD [r15 + state!(flag_kind)], 0);
        }
        self.flags.in_slot();
    }

    /// Computes the flags into NZCV's slot. Changes rax, rcx and rdx.
    pub(super) fn materialise_flags(&mut self) {
        match self.flags.location {
            FlagLocation::FrameAs(FlagKind::None) | FlagLocation::Dead => {}
            FlagLocation::Lazy(lazy) => {
                if !self.flags.host {
                    self.compare_lazy(lazy);
                }
                self.host_flags_to_rax(lazy.kind.borrows());
                asm!(self; mov [r15 + int_disp(NZCV)], rax ; mov DWORD [r15 + state!(flag_kind)], 0);
            }
            FlagLocation::Frame | FlagLocation::FrameAs(_) | FlagLocation::Joined => {
                self.spill_flags(self.flags.location);
                asm!(self; call extern self.thunks.materialise_flags as usize);
            }
        }
        self.flags.in_slot();
    }

    /// Makes the host's flags those of a condition on slot `f`. Gives the condition code that is true if the condition
    /// holds. May change rax, rcx and rdx.
    pub(super) fn condition(&mut self, f: u8, cond: Cond) -> u8 {
        let kind = match self.flags.location {
            FlagLocation::FrameAs(kind) => kind,
            FlagLocation::Lazy(lazy) => lazy.kind,
            _ => FlagKind::None,
        };
        if f == NZCV && kind != FlagKind::None {
            match self.flags.location {
                _ if self.flags.host => {}
                FlagLocation::Lazy(lazy) => self.compare_lazy(lazy),
                _ => self.compare_in_frame(kind),
            }
            self.flags.host = true;
            let (cc, invert) = condition_code(kind, cond);
            if invert {
                asm!(self; cmc);
                self.flags.host = false;
            }
            return cc;
        }
        if f == NZCV && self.flags.location != FlagLocation::FrameAs(FlagKind::None) {
            self.spill_current_flags();
            // As of a subtraction, whatever it was.
            asm!(self; call extern self.thunks.compare as usize);
            let (cc, _) = condition_code(FlagKind::Sub64, cond);
            return cc;
        }
        self.flags.clobber_host();
        self.load32(RCX, f);
        let table = (0..16).filter(|n| cond.holds(n << 28)).fold(0, |t, n| t | 1 << n);
        asm!(self; shr ecx, 28 ; mov eax, table ; bt eax, ecx);
        2
    }

    fn compare_in_frame(&mut self, kind: FlagKind) {
        match kind {
            FlagKind::Sub64 => asm!(self; mov rax, [r15 + state!(flag_a)] ; cmp rax, [r15 + state!(flag_b)]),
            FlagKind::Sub32 => asm!(self; mov eax, [r15 + state!(flag_a)] ; cmp eax, [r15 + state!(flag_b)]),
            FlagKind::Add64 => asm!(self; mov rax, [r15 + state!(flag_a)] ; add rax, [r15 + state!(flag_b)]),
            FlagKind::Add32 => asm!(self; mov eax, [r15 + state!(flag_a)] ; add eax, [r15 + state!(flag_b)]),
            FlagKind::Logic64 => asm!(self; mov rax, [r15 + state!(flag_a)] ; test rax, rax),
            FlagKind::Logic32 => asm!(self; mov eax, [r15 + state!(flag_a)] ; test eax, eax),
            FlagKind::Host => {
                asm!(self; mov rax, [r15 + state!(flag_a)]);
                self.host_flags_of_image();
            }
            FlagKind::None => {}
        }
    }

    /// The flags are those of an operation that has just set the host's.
    fn keep(&mut self, kind: FlagKind, a: Source, b: Source) {
        self.flags.set(FlagLocation::Lazy(LazyFlags { kind, a, b }));
    }

    /// Flags of a sum or difference.
    fn flags_of(&mut self, kind: FlagKind, d: u8, a: u8, b: u8) {
        let sources = [a, b].map(Source::slot);
        let a = self.read(a, RAX);
        let b = self.read(b, RCX);
        match kind {
            FlagKind::Sub64 => asm!(self; cmp Rq(a), Rq(b)),
            FlagKind::Sub32 => asm!(self; cmp Rd(a), Rd(b)),
            FlagKind::Add64 => asm!(self; mov rdx, Rq(a) ; add rdx, Rq(b)),
            _ => asm!(self; mov edx, Rd(a) ; add edx, Rd(b)),
        }
        self.flags_to(kind, d, sources);
    }

    /// Flags of a difference with a constant.
    fn flags_of_immediate(&mut self, kind: FlagKind, d: u8, a: u8, imm: u64) {
        let sources = [Source::slot(a), Source::Number(imm)];
        let a = self.read(a, RAX);
        let word = kind == FlagKind::Sub32;
        let short = if word { Some(imm as i32) } else { i32::try_from(imm as i64).ok() };
        let Some(short) = short else {
            asm!(self; mov rcx, QWORD imm as i64 ; cmp Rq(a), rcx);
            return self.flags_to(kind, d, sources);
        };
        match (word, short) {
            (true, 0) => asm!(self; test Rd(a), Rd(a)),
            (true, _) => asm!(self; cmp Rd(a), short),
            (false, 0) => asm!(self; test Rq(a), Rq(a)),
            (false, _) => asm!(self; cmp Rq(a), short),
        }
        self.flags_to(kind, d, sources);
    }

    /// N and Z of a value.
    fn flags_of_value(&mut self, kind: FlagKind, d: u8, a: u8) {
        let sources = [Source::slot(a), Source::Number(0)];
        let a = self.read(a, RAX);
        match kind {
            FlagKind::Logic64 => asm!(self; test Rq(a), Rq(a)),
            _ => asm!(self; test Rd(a), Rd(a)),
        }
        self.flags_to(kind, d, sources);
    }

    /// Flags that the host has just set, for slot `d`.
    fn flags_to(&mut self, kind: FlagKind, d: u8, [a, b]: [Source; 2]) {
        if d == NZCV {
            self.keep(kind, a, b);
        } else {
            self.host_flags_to_rax(kind.borrows());
            self.store(d, RAX);
            self.flags.clobber_host();
        }
    }

    /// The host's flags as a value of NZCV in rax.
    pub(super) fn host_flags_to_rax(&mut self, borrow: bool) {
        // AH has SF, ZF and CF as bits 7, 6 and 0. The product brings them and OF (bit 0) to the top.
        asm!(self
            ; lahf
            ; seto al
            ; and eax, 0xc101
            ; imul eax, eax, 0x1021_0000
            ; and eax, 0xf000_0000u32 as i32
        );
        if borrow {
            asm!(self; xor eax, 1 << 29);
        }
    }

    /// The carry of slot `c` as the host's. Changes rax, rcx and rdx.
    fn carry_in(&mut self, c: u8) {
        let host = self.flags.host;
        self.flags.clobber_host();
        if c == NZCV {
            let kind = match self.flags.location {
                FlagLocation::FrameAs(kind) => kind,
                FlagLocation::Lazy(lazy) => lazy.kind,
                FlagLocation::Frame | FlagLocation::Joined | FlagLocation::Dead => {
                    self.spill_current_flags();
                    return asm!(self; call extern self.thunks.compare as usize ; cmc);
                }
            };
            if kind != FlagKind::None {
                match self.flags.location {
                    _ if host => {}
                    FlagLocation::Lazy(lazy) => self.compare_lazy(lazy),
                    _ => self.compare_in_frame(kind),
                }
                if kind.borrows() {
                    asm!(self; cmc);
                }
                return;
            }
        }
        match self.reg(c) {
            Some(r) => asm!(self; bt Rd(r), 29),
            None => asm!(self; bt DWORD [r15 + int_disp(c)], 29),
        }
    }

    /// Operations that ask for a condition or the carry; false if it is something else. What the host's flags say is used
    /// before anything changes them.
    pub(super) fn conditional(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::Test { d, a, cond } => {
                if matches!(cond, Cond::Al | Cond::Nv) {
                    asm!(self; mov eax, 1);
                } else {
                    let cc = self.condition(a, cond);
                    self.set_al(cc);
                    asm!(self; movzx eax, al);
                }
                self.store(d, RAX);
            }
            Uop::SelectCond { d, f, cond, a, b } => self.select_condition(d, f, cond, a, b),
            Uop::FlagsAdc64 { d, a, b, c } | Uop::FlagsAdc32 { d, a, b, c } => {
                self.carry_in(c);
                self.load(RDX, a);
                let b = self.read(b, RCX);
                if matches!(uop, Uop::FlagsAdc64 { .. }) {
                    asm!(self; adc rdx, Rq(b));
                } else {
                    asm!(self; adc edx, Rd(b));
                }
                if d == NZCV {
                    self.keep_host_flags(true);
                } else {
                    self.host_flags_to_rax(false);
                    self.store(d, RAX);
                }
            }
            Uop::AddCarry64 { d, a, b, c } => {
                self.carry_in(c);
                self.load(RDX, a);
                let b = self.read(b, RCX);
                asm!(self; adc rdx, Rq(b));
                self.store(d, RDX);
            }
            Uop::AddCarry32 { d, a, b, c } => {
                self.carry_in(c);
                self.load(RDX, a);
                let b = self.read(b, RCX);
                asm!(self; adc edx, Rd(b));
                self.store(d, RDX);
            }
            _ => return false,
        }
        true
    }

    /// Operations on flags; false if it is something else.
    pub(super) fn flag_operation(&mut self, uop: Uop) -> bool {
        match uop {
            Uop::FlagsAdd64 { d, a, b } => self.flags_of(FlagKind::Add64, d, a, b),
            Uop::FlagsAdd32 { d, a, b } => self.flags_of(FlagKind::Add32, d, a, b),
            Uop::FlagsSub64 { d, a, b } => self.flags_of(FlagKind::Sub64, d, a, b),
            Uop::FlagsSub32 { d, a, b } => self.flags_of(FlagKind::Sub32, d, a, b),
            Uop::FlagsSubI64 { d, a, imm } => self.flags_of_immediate(FlagKind::Sub64, d, a, imm),
            Uop::FlagsSubI32 { d, a, imm } => self.flags_of_immediate(FlagKind::Sub32, d, a, u64::from(imm)),
            Uop::FlagsLogic64 { d, a } => self.flags_of_value(FlagKind::Logic64, d, a),
            Uop::FlagsLogic32 { d, a } => self.flags_of_value(FlagKind::Logic32, d, a),
            Uop::Nzcv { d, a } => {
                self.load32(RAX, a);
                asm!(self; and eax, 0xf000_0000u32 as i32);
                self.store(d, RAX);
            }
            Uop::Select { d, c, a, b } => {
                let c = self.read(c, RAX);
                asm!(self; test Rq(c), Rq(c));
                self.select(5, d, a, b);
            }
            _ => return false,
        }
        true
    }

    fn select_condition(&mut self, d: u8, f: u8, cond: Cond, a: u8, b: u8) {
        if matches!(cond, Cond::Al | Cond::Nv) {
            self.load(RAX, a);
            return self.store(d, RAX);
        }
        let cc = self.condition(f, cond);
        self.select(cc, d, a, b);
        if d == NZCV {
            self.flags.clobber_host();
        }
    }

    /// `d` = the host's condition ? `a` : `b`.
    fn select(&mut self, cc: u8, d: u8, a: u8, b: u8) {
        match self.reg(d) {
            Some(r) if self.reg(a) == Some(r) => self.move_if(cc ^ 1, r, b),
            Some(r) => {
                self.load(r, b);
                self.move_if(cc, r, a);
            }
            None => {
                self.load(RDX, b);
                self.move_if(cc, RDX, a);
                self.store(d, RDX);
            }
        }
    }

    /// SETcc AL.
    pub(super) fn set_al(&mut self, cc: u8) {
        self.ops.extend([0x0f, 0x90 | cc, 0xc0]);
    }

    /// CMOVcc of a slot to a host register.
    fn move_if(&mut self, cc: u8, r: u8, slot: u8) {
        let from = self.reg(slot);
        let rex = 0x48 | (r >> 3) << 2 | from.map_or(1, |f| f >> 3);
        self.ops.extend([rex, 0x0f, 0x40 | cc]);
        match from {
            Some(f) => self.ops.push(0xc0 | (r & 7) << 3 | f & 7),
            None => {
                self.ops.push(0x80 | (r & 7) << 3 | 7);
                self.ops.push_i32(int_disp(slot));
            }
        }
    }

    /// Jcc to a label. The displacement is the last four bytes.
    pub(super) fn jump_if(&mut self, cc: u8, to: DynamicLabel) {
        match cc {
            0 => asm!(self; jo =>to),
            1 => asm!(self; jno =>to),
            2 => asm!(self; jb =>to),
            3 => asm!(self; jae =>to),
            4 => asm!(self; je =>to),
            5 => asm!(self; jne =>to),
            6 => asm!(self; jbe =>to),
            7 => asm!(self; ja =>to),
            8 => asm!(self; js =>to),
            9 => asm!(self; jns =>to),
            12 => asm!(self; jl =>to),
            13 => asm!(self; jge =>to),
            14 => asm!(self; jle =>to),
            _ => asm!(self; jg =>to),
        }
    }
}
