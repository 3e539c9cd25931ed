//! The builder that a case emits its code and its expectations into.
//!
//! # Registers
//! | register | holds |
//! |---|---|
//! | X0-X18, X29, X30 | the case's own |
//! | X19-X23 | scratch of the exception handlers |
//! | X24, X25 | where the code below an [`Program::enter`] at EL1, EL2 goes on |
//! | X26 | where an exception lands ([`Program::catching`]); 0 to return from it |
//! | X27 | scratch of the builder |
//! | X28 | the PE's result block |

use dynasmrt::aarch64::Aarch64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, VecAssembler};

use super::cases::Gic;
use super::layout;
use super::registers::{self as r, SysReg};
use super::report::{Bits, DONE, DONE_AT, Expected, MAX_VALUES, STARTED, Taken, VALUES, Value};
use super::vectors::{self, LEAVE_TO_EL1, LEAVE_TO_EL2};

/// Instructions of AArch64 into a [`Program`].
macro_rules! a64 {
    ($p:expr ; $($t:tt)*) => {{
        // The traits that the expansion calls; which ones depends on the instructions.
        #[allow(unused_imports)]
        use dynasmrt::{DynasmApi as _, DynasmLabelApi as _};
        dynasmrt::dynasm!($p.asm ; .arch aarch64 ; $($t)*);
    }};
}

/// PSCI SYSTEM_OFF (DEN 0022, 5.10).
pub(super) const SYSTEM_OFF: u64 = 0x8400_0008;
/// PSCI CPU_ON, 64-bit (DEN 0022, 5.6).
const CPU_ON: u64 = 0xc400_0003;
/// Rounds that a loop which waits for something makes before it gives up: about a second, for the thread of another PE
/// may have to wait for a busy host.
const PATIENCE: u64 = 40_000_000;
/// Rounds in which an interrupt that must not come would have come.
const SHORT_WHILE: u64 = 3000;

/// SCTLR_EL1 with stage 1 off: RES1 bits (SPAN, EIS, TSCXT, EOS, SED, ITD among them), and WFI and WFE of EL0 allowed.
pub(super) const SCTLR_EL1: u64 = 0x30d5_0980;

/// Exception level and stack pointer, as in SPSR_ELx.M.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// EL0.
    El0 = 0,
    /// EL1 with SP_EL0.
    El1t = 4,
    /// EL1 with SP_EL1.
    El1h = 5,
    /// EL2 with SP_EL0.
    El2t = 8,
    /// EL2 with SP_EL2.
    El2h = 9,
}

impl Level {
    /// The number of the Exception level.
    #[must_use]
    pub const fn el(self) -> u8 {
        self as u8 >> 2
    }
    /// SPSR_ELx with this level and D, A, I, F set.
    #[must_use]
    pub const fn masked(self) -> u64 {
        self as u64 | 0x3c0
    }
}

/// An assembled case.
pub struct Image {
    /// What is loaded at [`layout::IMAGE`].
    pub bytes: Vec<u8>,
    /// What each PE must leave behind.
    pub expected: [Expected; layout::PES],
}

/// See the module's head.
pub struct Program {
    pub(super) asm: VecAssembler<Aarch64Relocation>,
    /// The translation tables, from [`layout::TABLES`] on.
    pub(super) tables: Vec<u8>,
    next_frame: u64,
    /// The Exception level that the code being emitted runs at.
    el: u8,
    /// The PE that it runs on.
    cpu: usize,
    /// The interrupt controller that the handlers serve.
    pub(super) gic: Gic,
    expected: [Expected; layout::PES],
}

impl Program {
    /// Assembles a case. Panics if the case is not well formed: that is a defect of the suite.
    #[must_use]
    pub fn assemble(emit: impl FnOnce(&mut Self)) -> Image {
        Self::assemble_for(Gic::default(), emit)
    }

    /// The same, for a machine with this interrupt controller.
    #[must_use]
    pub fn assemble_for(gic: Gic, emit: impl FnOnce(&mut Self)) -> Image {
        let mut p = Self {
            asm: VecAssembler::new(layout::IMAGE as usize),
            tables: Vec::new(),
            next_frame: layout::FRAMES,
            el: 2,
            cpu: 0,
            gic,
            expected: Default::default(),
        };
        let start = p.label();
        a64!(p ; b =>start);
        vectors::emit(&mut p);
        p.bind(start);
        p.begin();
        emit(&mut p);
        assert!(p.el == 2 && p.cpu == 0, "a case ends at EL2 of the first PE");
        p.end();
        let mut bytes = p.asm.finalize().expect("every label is bound, and near enough");
        assert!(bytes.len() <= layout::CODE_SIZE as usize, "too much code");
        bytes.resize(layout::CODE_SIZE as usize, 0);
        bytes.extend(p.tables);
        Image { bytes, expected: p.expected }
    }

    /// Brings a PE to the state that cases start from: EL2 without VHE, EL1 in AArch64, nothing trapped, all masked.
    fn begin(&mut self) {
        self.expected[self.cpu].used = true;
        self.mov(28, layout::RESULTS + self.cpu as u64 * layout::RESULT_SIZE);
        self.mov(26, 0);
        self.set(r::VBAR_EL2, vectors::EL2_TABLE);
        self.set(r::VBAR_EL1, vectors::EL1_TABLE);
        for (reg, value) in INITIAL {
            self.set(*reg, *value);
        }
        a64!(self ; isb);
        self.mov(27, STARTED);
        a64!(self ; str x27, [x28]);
    }

    /// Marks the PE's results as complete.
    fn mark_done(&mut self) {
        self.mov(27, DONE);
        a64!(self ; dsb sy ; str x27, [x28, DONE_AT as u32] ; dsb sy);
    }

    fn end(&mut self) {
        self.mark_done();
        self.mov(0, SYSTEM_OFF);
        a64!(self ; smc 0 ; forever: ; b <forever);
    }

    // Code.

    /// The address of the next instruction.
    #[must_use]
    pub fn here(&self) -> u64 {
        layout::IMAGE + self.asm.offset().0 as u64
    }

    /// A label, to be bound later.
    pub fn label(&mut self) -> DynamicLabel {
        self.asm.new_dynamic_label()
    }

    /// Binds a label to the next instruction.
    pub fn bind(&mut self, label: DynamicLabel) {
        a64!(self ; =>label);
    }

    /// A word that is not in the assembler's vocabulary.
    pub fn word(&mut self, word: u32) {
        self.asm.push_u32(word);
    }

    /// Nothing, up to an address that is a multiple of `n` (counted from the image's start).
    pub(super) fn align(&mut self, n: usize) {
        while !self.asm.offset().0.is_multiple_of(n) {
            a64!(self ; nop);
        }
    }

    /// `X[rd] = value`.
    pub fn mov(&mut self, rd: u32, value: u64) {
        let chunk = |i: u32| (value >> (16 * i)) as u32 & 0xffff;
        self.word(0xd280_0000 | chunk(0) << 5 | rd);
        for i in (1..4).filter(|i| chunk(*i) != 0) {
            self.word(0xf280_0000 | i << 21 | chunk(i) << 5 | rd);
        }
    }

    /// `MSR reg, X[rt]`, or the SYS instruction with this encoding.
    pub fn msr(&mut self, reg: SysReg, rt: u32) {
        self.word(0xd500_0000 | reg.field() | rt);
    }

    /// `MRS X[rt], reg`.
    pub fn mrs(&mut self, rt: u32, reg: SysReg) {
        self.word(0xd520_0000 | reg.field() | rt);
    }

    /// `MSR reg, value` by way of X27.
    pub fn set(&mut self, reg: SysReg, value: u64) {
        self.mov(27, value);
        self.msr(reg, 27);
    }

    /// [`Program::set`] and a context synchronization event.
    pub fn set_now(&mut self, reg: SysReg, value: u64) {
        self.set(reg, value);
        a64!(self ; isb);
    }

    /// A 64-bit store of `value` to `address`, by way of X27 and X18.
    pub fn poke(&mut self, address: u64, value: u64) {
        self.mov(18, address);
        self.mov(27, value);
        a64!(self ; str x27, [x18] ; dsb sy);
    }

    /// A 32-bit store of `value` to `address`, by way of X27 and X18.
    pub fn poke32(&mut self, address: u64, value: u32) {
        self.mov(18, address);
        self.mov(27, value.into());
        a64!(self ; str w27, [x18] ; dsb sy);
    }

    /// `W[rt]` from `address`, by way of X18.
    pub fn peek32(&mut self, rt: u8, address: u64) {
        self.mov(18, address);
        a64!(self ; ldr W(rt), [x18]);
    }

    /// A doubleword from `address` in `X[rt]`, by way of X18.
    pub fn peek(&mut self, rt: u8, address: u64) {
        self.mov(18, address);
        a64!(self ; ldr X(rt), [x18]);
    }

    /// Zeroed memory of `size` bytes, aligned to 64 KiB.
    pub fn frame(&mut self, size: u64) -> u64 {
        let at = self.next_frame;
        self.next_frame += size.next_multiple_of(0x1_0000);
        assert!(self.next_frame <= layout::RAM + layout::RAM_SIZE, "out of frames");
        at
    }

    /// The number of the PE that the code being emitted runs on.
    pub(super) fn cpu(&self) -> u64 {
        self.cpu as u64
    }

    // Exception levels.

    /// Runs `body` at a lower Exception level, with everything masked, and comes back to this one.
    pub fn enter(&mut self, level: Level, body: impl FnOnce(&mut Self)) {
        self.enter_with(level, level.masked(), body);
    }

    /// As [`Program::enter`], with a whole SPSR.
    pub fn enter_with(&mut self, level: Level, spsr: u64, body: impl FnOnce(&mut Self)) {
        let (home, to) = (self.el, level.el());
        assert!(to <= home && home >= 1, "EL{home} cannot enter EL{to}");
        let (inside, after) = (self.label(), self.label());
        let (spsr_reg, elr_reg) =
            if home == 2 { (r::SPSR_EL2, r::ELR_EL2) } else { (r::SPSR_EL1, r::ELR_EL1) };
        self.set(spsr_reg, spsr);
        a64!(self ; adr x27, =>inside);
        self.msr(elr_reg, 27);
        if home == 2 {
            a64!(self ; adr x25, =>after);
        } else {
            a64!(self ; adr x24, =>after);
        }
        a64!(self ; eret);
        self.bind(inside);
        self.el = to;
        body(self);
        match (self.el, home) {
            (0, 2) => a64!(self ; svc LEAVE_TO_EL2),
            (1, 2) => a64!(self ; hvc LEAVE_TO_EL2),
            (0, _) => a64!(self ; svc LEAVE_TO_EL1),
            // The level itself, or an exception has already landed here.
            _ => {}
        }
        self.bind(after);
        self.el = home;
    }

    /// Runs `body`; the first exception that is taken to the current Exception level ends it (after it was recorded).
    pub fn catching(&mut self, body: impl FnOnce(&mut Self)) {
        self.catching_at(self.el, body);
    }

    /// Runs `body`, which goes on at `el` behind it when an exception is taken to that level.
    pub fn catching_at(&mut self, el: u8, body: impl FnOnce(&mut Self)) {
        let land = self.label();
        a64!(self ; adr x26, =>land);
        body(self);
        a64!(self ; mov x26, xzr);
        self.bind(land);
        self.el = el;
    }

    // Interrupts.

    /// Lets interrupts come (PSTATE.I and F clear) until one lands here; gives up after a while.
    pub fn take_interrupt(&mut self) {
        self.catching(|p| p.open(PATIENCE));
        a64!(self ; msr daifset, 3);
    }

    /// Lets interrupts come for a while; the case expects none, or that the handlers serve them.
    pub fn open_for_a_while(&mut self) {
        self.open(SHORT_WHILE);
    }

    fn open(&mut self, rounds: u64) {
        self.mov(27, rounds);
        a64!(self ; msr daifclr, 3 ; again: ; sub x27, x27, 1 ; cbnz x27, <again ; msr daifset, 3);
    }

    /// Does nothing, until an interrupt that lands elsewhere ends it; gives up after a while.
    pub fn linger(&mut self) {
        self.mov(27, PATIENCE);
        a64!(self ; again: ; sub x27, x27, 1 ; cbnz x27, <again);
    }

    /// Repeats `question`, which leaves its answer in `X[rt]`, until that is not 0; gives up after a while.
    pub fn until(&mut self, rt: u8, question: impl FnOnce(&mut Self)) {
        let (again, out) = (self.label(), self.label());
        self.mov(17, PATIENCE);
        self.bind(again);
        question(self);
        a64!(self ; cbnz X(rt), =>out ; sub x17, x17, 1 ; cbnz x17, =>again);
        self.bind(out);
    }

    // Expectations.

    /// Stores `X[rt]`, which must be `value`.
    pub fn expect(&mut self, name: &str, rt: u8, value: u64) {
        self.expect_bits(name, rt, u64::MAX, value);
    }

    /// Stores `X[rt]`, whose bits under `mask` must be `value`.
    pub fn expect_bits(&mut self, name: &str, rt: u8, mask: u64, value: u64) {
        assert!(self.el > 0, "EL0 cannot write results: {name}");
        let values = &mut self.expected[self.cpu].values;
        let at = VALUES + 8 * values.len() as u64;
        assert!(values.len() < MAX_VALUES, "too many values");
        values.push(Value { name: name.to_owned(), bits: Bits { mask, value } });
        a64!(self ; str X(rt), [x28, at as u32]);
    }

    /// Expects 32 bits at an address to be these, under a mask.
    pub fn expect_word(&mut self, name: &str, address: u64, mask: u64, value: u64) {
        self.peek32(0, address);
        self.expect_bits(name, 0, mask, value);
    }

    /// Expects 64 bits at an address.
    pub fn expect_double(&mut self, name: &str, address: u64, value: u64) {
        self.peek(0, address);
        self.expect(name, 0, value);
    }

    /// Reads a register and expects a value in it; by way of X27.
    pub fn expect_reg(&mut self, name: &str, reg: SysReg, mask: u64, value: u64) {
        self.mrs(27, reg);
        self.expect_bits(name, 27, mask, value);
    }

    /// Expects the next exception of this PE to be like this.
    pub fn expect_taken(&mut self, taken: Taken) {
        self.expected[self.cpu].taken.push(taken);
    }

    /// Emits one instruction that raises an exception, and expects it with the instruction's own address in ELR; the
    /// handler goes on behind it.
    pub fn faulting(&mut self, taken: Taken, instruction: impl FnOnce(&mut Self)) {
        let at = self.here();
        instruction(self);
        assert_eq!(self.here(), at + 4, "one instruction");
        self.expect_taken(taken.elr(at));
    }

    /// The same for instructions whose preferred return address is behind them (SVC, HVC).
    pub fn calling(&mut self, taken: Taken, instruction: impl FnOnce(&mut Self)) {
        let at = self.here();
        instruction(self);
        self.expect_taken(taken.elr(at + 4));
    }

    // More PEs.

    /// Starts another PE, number `pe`, with `body`, and goes on on the first. X0 is what CPU_ON answered.
    pub fn start(&mut self, pe: usize, context: u64, body: impl FnOnce(&mut Self)) {
        assert!(self.cpu == 0 && pe != 0, "the first PE starts the others");
        let (entry, after) = (self.label(), self.label());
        a64!(self ; adr x2, =>entry);
        self.mov(1, pe as u64);
        self.mov(3, context);
        self.mov(0, CPU_ON);
        a64!(self ; smc 0 ; b =>after);
        self.bind(entry);
        self.cpu = pe;
        self.begin();
        body(self);
        self.mark_done();
        a64!(self ; forever: ; wfi ; b <forever);
        self.cpu = 0;
        self.bind(after);
    }

    /// [`Program::start`] for programs with two PEs.
    pub fn start_second(&mut self, context: u64, body: impl FnOnce(&mut Self)) {
        self.start(1, context, body);
    }

    /// Waits until the second PE is done.
    pub fn join(&mut self) {
        self.join_with(1);
    }

    /// Waits until a PE is done.
    pub fn join_with(&mut self, pe: usize) {
        self.mov(16, layout::RESULTS + pe as u64 * layout::RESULT_SIZE + DONE_AT);
        self.until(15, |p| a64!(p ; yield ; ldr x15, [x16]));
        a64!(self ; dmb sy);
    }
}

/// Control registers at the start of a case. GIC registers are in [`super::interrupts`].
const INITIAL: &[(SysReg, u64)] = &[
    // RW.
    (r::HCR_EL2, 1 << 31),
    // The bits that are RES1 without the extensions that give them a meaning.
    (r::SCTLR_EL2, 0x30c5_0830),
    (r::SCTLR_EL1, SCTLR_EL1),
    // RES1 with TZ, TSM; not TFP.
    (r::CPTR_EL2, 0x33ff),
    (r::CPACR_EL1, 3 << 20),
    (r::MDCR_EL2, 0),
    (r::HSTR_EL2, 0),
    (r::CNTHCTL_EL2, 3),
    (r::CNTVOFF_EL2, 0),
    (r::CNTKCTL_EL1, 0),
    (r::VTTBR_EL2, 0),
    (r::ELR_EL1, 0),
    (r::FAR_EL1, 0),
    (r::FAR_EL2, 0),
    (r::HPFAR_EL2, 0),
    (r::ESR_EL1, 0),
    (r::ESR_EL2, 0),
];
