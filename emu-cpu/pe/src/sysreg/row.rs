//! The form of a row of the table, and the small language that rows are written in.

use emu_a64::features::Feat;
use emu_a64::ir::SysEnc;
use emu_a64::level::El;

use super::fine::{Fine, Group};
use super::insn::SysInsn;
use super::state::Reg;
use super::trap::Trap;
use crate::cpu::Cpu;
use crate::gic::GicReg;

/// Who may do what at an Exception level, before traps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Perm(u8);

impl Perm {
    /// Neither.
    pub const NO: Self = Self(0);
    /// Read.
    pub const RO: Self = Self(1);
    /// Write (and: execute, for an instruction).
    pub const WO: Self = Self(2);
    /// Both.
    pub const RW: Self = Self(3);

    /// Reading, or else writing, is allowed.
    #[must_use]
    pub const fn allows(self, read: bool) -> bool {
        self.0 & if read { 1 } else { 2 } != 0
    }
}

/// Who may do what at each Exception level, before traps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Perms([Perm; El::COUNT]);

impl Perms {
    /// At this level.
    #[must_use]
    pub const fn at(self, el: El) -> Perm {
        self.0[el as usize]
    }

    /// At EL0 or EL1: for what EL2 traps.
    #[must_use]
    pub const fn below_el2(self) -> Perm {
        Perm(self.at(El::El0).0 | self.at(El::El1).0)
    }

    /// At some level.
    #[must_use]
    pub fn allow(self, read: bool) -> bool {
        self.0.iter().any(|p| p.allows(read))
    }

    /// The lowest level at which anything is allowed, if there is one.
    #[must_use]
    pub fn lowest(self) -> Option<El> {
        El::ALL.into_iter().find(|el| self.at(*el) != Perm::NO)
    }
}

/// A function behind a register that is more than storage. It sees an access whose checks have passed.
pub type ReadFn = fn(&mut Cpu) -> u64;
/// See [`ReadFn`].
pub type WriteFn = fn(&mut Cpu, u64);
/// Gives a register the value that it has after a reset.
pub type ResetFn = fn(&mut Cpu);

/// What is behind the encoding.
#[derive(Clone, Copy)]
pub enum Cell {
    /// A stored value. A write changes the bits that belong to features the CPU has; of the others, `ones` read as one
    /// (RES1) and the rest as zero (RES0).
    Slot {
        /// Where.
        reg: Reg,
        /// Which bits come with which feature.
        bits: &'static [(Feat, u64)],
        /// RES1.
        ones: u64,
    },
    /// A register of fine-grained traps: stored, its writable bits follow from the whole table.
    TrapBits(Reg),
    /// An ID register of the model, by its place (see [`crate::model::IdRegs::get`]).
    Id(u8),
    /// Always this value; writes are ignored.
    Value(u64),
    /// Functions.
    Fn {
        /// For MRS.
        read: ReadFn,
        /// For MSR.
        write: WriteFn,
    },
    /// A register of the GIC CPU interface.
    Gic(GicReg),
    /// A system instruction.
    Insn(SysInsn),
}

/// What a read's value depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// This PE's registers: a second read gives the same.
    State,
    /// Something else as well: time, a device, chance, events that are counted.
    Elsewhere,
    /// The number of instructions executed, too, which is known at the end of a block: so the block ends.
    InstructionCount,
    /// The interrupt that the read acknowledges: what is signalled afterwards is another.
    Acknowledge,
}

/// What a write, or the execution of an instruction, changes for the code that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: only later accesses of the register, or exceptions that are taken, depend on it. A block goes on.
    None,
    /// How it is translated, which interrupts are pending, what traps: a block ends.
    EndsBlock,
    /// What is derived from registers, too: translation, the CPU's mode, the choice of interrupts, permits. It is found
    /// again ([`Cpu::refresh`]), and a block ends.
    Context,
}

/// What host code does by itself though it is more than to load or store a value. There is code for each of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InLine {
    /// Accesses of PSTATE.DAIF, above EL0.
    Daif,
    /// Reads of FPCR, where FP registers can be accessed.
    Fpcr,
    /// Reads of DCZID_EL0, with [`super::Permits::zero_size`].
    ZeroSize,
    /// DC ZVA, with [`super::Permits::zero_block`].
    ZeroBlock,
    /// Cache maintenance by address, with [`super::Permits::clean`].
    Clean,
}

/// A system register or system instruction.
#[derive(Clone, Copy)]
pub struct Row {
    /// The architecture's name.
    pub name: &'static str,
    /// Encoding.
    pub enc: SysEnc,
    /// Needed; else UNDEFINED.
    pub feat: Feat,
    /// Permissions by Exception level; else UNDEFINED.
    pub perm: Perms,
    /// What traps an access, in order.
    pub traps: &'static [Trap],
    /// The fine-grained trap, which comes after the others.
    pub fine: Option<Fine>,
    /// What it is.
    pub cell: Cell,
    /// What a read's value depends on.
    pub source: Source,
    /// What a write or an execution changes for running code.
    pub effect: Effect,
    /// A write's function or an instruction does nothing that cannot be taken back by putting back memory and this PE's
    /// registers. (Without: a write can be done twice if it only stores.)
    pub repeatable_write: bool,
    /// What host code does by itself.
    pub in_line: Option<InLine>,
    /// What a reset does, after a stored register was set to what is RES1.
    pub on_reset: Option<ResetFn>,
    /// Only in these CPU models (implementation defined registers).
    pub models: Option<&'static [&'static str]>,
    /// Offset in the memory at VNCR_EL2 (FEAT_NV2), where there is one. For information: FEAT_NV2 is not implemented.
    pub nv2: Option<u16>,
    /// What its encoding means in a host.
    pub moved: Option<Moved>,
    /// A name `_EL12` or `_EL02`: UNDEFINED unless HCR_EL2.E2H is 1.
    pub only_e2h: bool,
}

/// FEAT_VHE's renaming of a register of EL1 or EL0: at EL2 with HCR_EL2.E2H, and for a timer in a host's EL0, its encoding
/// means a register of EL2. It has another name for EL2 then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The other name, `_EL12` or `_EL02`. Its encoding has op1 = 5.
    pub name: &'static str,
    /// The register of EL2.
    pub host: SysEnc,
}

/// All 64 bits, in any CPU.
pub(super) const ALL: &[(Feat, u64)] = &[(Feat::Base, u64::MAX)];
/// The low 32 bits.
pub(super) const LOW32: &[(Feat, u64)] = &[(Feat::Base, 0xffff_ffff)];

fn ignore_write(_: &mut Cpu, _: u64) {}

fn read_zero(_: &mut Cpu) -> u64 {
    0
}

/// A row: a register that nobody may access yet.
pub(super) const fn reg(name: &'static str, op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Row {
    Row {
        name,
        enc: SysEnc::new(op0, op1, crn, crm, op2),
        feat: Feat::Base,
        perm: Perms([Perm::NO; El::COUNT]),
        traps: &[],
        fine: None,
        cell: Cell::Value(0),
        source: Source::State,
        effect: Effect::EndsBlock,
        repeatable_write: false,
        in_line: None,
        on_reset: None,
        models: None,
        nv2: None,
        moved: None,
        only_e2h: false,
    }
}

impl Row {
    /// True if a block ends behind a read, or else behind a write or an execution.
    #[must_use]
    pub const fn ends_block(&self, read: bool) -> bool {
        if read {
            matches!(self.source, Source::InstructionCount)
        } else {
            !matches!(self.effect, Effect::None)
        }
    }

    /// True if a read, or else a write or an execution, can be done a second time with the same result, after registers and
    /// memory are put back.
    #[must_use]
    pub const fn is_repeatable(&self, read: bool) -> bool {
        let is_stored = matches!(self.cell, Cell::Slot { .. } | Cell::Value(_));
        if read {
            matches!(self.source, Source::State)
        } else {
            self.repeatable_write || is_stored && matches!(self.effect, Effect::None)
        }
    }

    /// The same permissions at EL0 and above.
    pub(super) const fn el0(self, p: Perm) -> Self {
        self.perms(p, p, p)
    }
    /// At EL1 and above.
    pub(super) const fn el1(self, p: Perm) -> Self {
        self.perms(Perm::NO, p, p)
    }
    /// At EL2 and above.
    pub(super) const fn el2(self, p: Perm) -> Self {
        self.perms(Perm::NO, Perm::NO, p)
    }
    /// At EL0, at EL1, and at EL2 and above.
    pub(super) const fn perms(mut self, el0: Perm, el1: Perm, el2: Perm) -> Self {
        self.perm = Perms([el0, el1, el2, el2]);
        self
    }
    pub(super) const fn needs(mut self, feat: Feat) -> Self {
        self.feat = feat;
        self
    }
    pub(super) const fn traps(mut self, traps: &'static [Trap]) -> Self {
        self.traps = traps;
        self
    }
    /// The fine-grained trap, of what is complete but for this: one of the fields in [`super::fine`].
    pub(super) const fn fine(mut self, field: Fine) -> Self {
        let is_instruction = matches!(self.cell, Cell::Insn(_));
        assert!(
            is_instruction == matches!(field.group, Group::Instructions),
            "a field for another kind of row"
        );
        assert!(self.perm.below_el2().0 != 0, "only what EL1 or EL0 may access is trapped by fields");
        self.fine = Some(field);
        self
    }
    /// Stored, with these writable bits and no RES1.
    pub(super) const fn slot(self, reg: Reg, bits: &'static [(Feat, u64)]) -> Self {
        self.slot_res1(reg, bits, 0)
    }
    pub(super) const fn slot_res1(mut self, reg: Reg, bits: &'static [(Feat, u64)], ones: u64) -> Self {
        self.cell = Cell::Slot { reg, bits, ones };
        self
    }
    pub(super) const fn trap_bits(mut self, reg: Reg) -> Self {
        self.cell = Cell::TrapBits(reg);
        self
    }
    pub(super) const fn value(mut self, v: u64) -> Self {
        self.cell = Cell::Value(v);
        self
    }
    pub(super) const fn id(mut self, place: u8) -> Self {
        self.cell = Cell::Id(place);
        self
    }
    /// Read by a function; writes are ignored unless [`Row::write`] follows.
    pub(super) const fn read(mut self, read: ReadFn) -> Self {
        self.cell = Cell::Fn { read, write: ignore_write };
        self.source = Source::Elsewhere;
        self
    }
    /// Read by a function of nothing but this PE's registers; else as [`Row::read`].
    pub(super) const fn computed(self, read: ReadFn) -> Self {
        Self { source: Source::State, ..self.read(read) }
    }
    /// The function that reads depends on the number of instructions executed.
    pub(super) const fn counts_instructions(mut self) -> Self {
        self.source = Source::InstructionCount;
        self
    }
    /// Written by a function; reads as zero unless [`Row::read`] came before.
    pub(super) const fn write(mut self, write: WriteFn) -> Self {
        self.cell = match self.cell {
            Cell::Fn { read, .. } => Cell::Fn { read, write },
            _ => Cell::Fn { read: read_zero, write },
        };
        self
    }
    pub(super) const fn insn(mut self, insn: SysInsn) -> Self {
        self.cell = Cell::Insn(insn);
        self.source = Source::Elsewhere;
        self
    }
    pub(super) const fn gic(mut self, reg: GicReg) -> Self {
        self.cell = Cell::Gic(reg);
        self.source = Source::Elsewhere;
        self
    }
    /// A read acknowledges an interrupt.
    pub(super) const fn acknowledges(mut self) -> Self {
        self.source = Source::Acknowledge;
        self
    }
    /// A write changes the context.
    pub(super) const fn context(mut self) -> Self {
        self.effect = Effect::Context;
        self
    }
    /// A write or an execution changes nothing for running code.
    pub(super) const fn no_effect(mut self) -> Self {
        self.effect = Effect::None;
        self
    }
    /// See [`Row::repeatable_write`].
    pub(super) const fn repeatable_write(mut self) -> Self {
        self.repeatable_write = true;
        self
    }
    pub(super) const fn in_line(mut self, what: InLine) -> Self {
        self.in_line = Some(what);
        self
    }
    /// See [`Row::on_reset`].
    pub(super) const fn on_reset(mut self, reset: ResetFn) -> Self {
        self.on_reset = Some(reset);
        self
    }
    pub(super) const fn only_in(mut self, models: &'static [&'static str]) -> Self {
        self.models = Some(models);
        self
    }
    pub(super) const fn nv2(mut self, offset: u16) -> Self {
        self.nv2 = Some(offset);
        self
    }
    /// In a host its encoding means the register with op1 = 4, and `name` means this one.
    pub(super) const fn moves(self, name: &'static str) -> Self {
        let (_, _, crn, crm, op2) = self.enc.parts();
        self.moves_to(name, SysEnc::new(3, 4, crn as u32, crm as u32, op2 as u32))
    }
    /// In a host its encoding means the register `host`, and `name` means this one.
    pub(super) const fn moves_to(mut self, name: &'static str, host: SysEnc) -> Self {
        self.moved = Some(Moved { name, host });
        self
    }
}
