//! MRS, MSR and SYS: an encoding is looked up, the access is checked, then it is done.

use emu_a64::features::Feat;
use emu_a64::ir::{ExcOp, PstateField, PstateRow, SysEnc};
use emu_a64::level::El;
use emu_a64::regs::Pstate;
use emu_core::metrics::Metric;

use super::row::{Cell, Effect, Row, Source};
use super::table::{Entry, find, rows, trap_bits};
use super::trap::Trap;
use super::{Reg, hcr, sctlr, trap};
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::gic::{self, GicReg};

/// A register that host code accesses by itself.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    /// Where it is in [`Cpu`].
    pub offset: usize,
    /// It cannot be named while SP_EL0 is the stack pointer.
    pub needs_sp_sel: bool,
    /// It is this one as long as HCR_EL2.E2H is that.
    pub e2h: Option<bool>,
    /// What a write changes ...
    pub writable: u64,
    /// ... and which of the other bits are ones.
    pub ones: u64,
    /// Where in [`Cpu`] the register of fine-grained traps is that can trap it, and which bit does.
    pub fine: Option<(usize, u8)>,
}

const UNDEFINED: Exception = Exception::Insn(ExcOp::Undefined);

impl Cpu {
    /// MRS: the value of a register, read at the current Exception level; `rt` is for the syndrome of a trap.
    pub fn mrs(&mut self, enc: SysEnc, rt: u8) -> Result<u64, Exception> {
        let row = self.checked(enc, rt, true)?;
        match row.cell {
            Cell::Slot { reg, .. } => Ok(self.sp_or_slot(reg)),
            Cell::TrapBits(reg) => Ok(self.sys[reg]),
            Cell::Id(place) => Ok(self.identity.registers().get(place)),
            Cell::Value(v) => Ok(v),
            Cell::Fn { read, .. } => Ok(read(self)),
            Cell::Gic(reg) => {
                let env = self.gic_access(reg, enc, rt, true)?;
                self.derived.note_change_if(row.source == Source::Acknowledge);
                self.gic.registers_mut().map(|gic| gic.read(reg, &env)).ok_or(UNDEFINED)
            }
            Cell::Insn(_) => Err(UNDEFINED),
        }
    }

    /// MSR (register).
    pub fn msr(&mut self, enc: SysEnc, rt: u8, val: u64) -> Result<(), Stop> {
        let entry = self.entry_of(enc, rt, false)?;
        self.check(&entry, enc, rt, false)?;
        let row = self.register_of(&entry);
        if row.ends_block(false) && self.finds_overflow() {
            return Err(Stop::Interrupted);
        }
        match row.cell {
            Cell::Gic(reg) => {
                let env = self.gic_access(reg, enc, rt, false)?;
                if let GicReg::ICH_LR_EL2(_) = reg
                    && gic::is_pending(val)
                {
                    self.counters.bump(Metric::ListRegisters);
                }
                self.gic.registers_mut().ok_or(UNDEFINED)?.write(reg, val, &env);
            }
            Cell::Insn(_) => return Err(UNDEFINED.into()),
            _ => self.put(row, val),
        }
        if row.effect == Effect::Context {
            self.refresh();
        }
        self.derived.note_change_if(entry.row.ends_block(false));
        Ok(())
    }

    /// SYS: cache, TLB and address translation instructions.
    pub fn sys_insn(&mut self, enc: SysEnc, rt: u8, val: u64) -> Result<(), Stop> {
        match self.checked(enc, rt, false)?.cell {
            Cell::Insn(insn) => crate::mem::maintenance(self, insn, val),
            _ => Err(UNDEFINED.into()),
        }
    }

    /// MSR (immediate).
    pub fn msr_imm(&mut self, field: PstateField, imm: u8) -> Result<(), Exception> {
        let row = field.row();
        if !self.identity.has(row.feat) || !self.pstate.el.is_privileged() && !row.el0 {
            return Err(UNDEFINED);
        }
        let set = imm & 1 != 0;
        match field {
            PstateField::SpSel => self.set_level(self.pstate.el, set),
            PstateField::DaifSet => {
                self.check_daif(row, imm)?;
                self.pstate.daif |= imm & 15;
            }
            PstateField::DaifClr => {
                self.check_daif(row, imm)?;
                self.pstate.daif &= !imm & (Pstate::D | Pstate::A | Pstate::I | Pstate::F);
            }
            PstateField::Pan => self.pstate.pan = set,
            PstateField::Uao => self.pstate.uao = set,
            PstateField::Dit => self.pstate.dit = set,
            PstateField::Ssbs => self.pstate.ssbs = set,
        }
        self.derived.note_change_if(row.ends_block);
        Ok(())
    }

    /// DAIFSet and DAIFClr at EL0: SCTLR_EL1.UMA; always trapped in a host.
    fn check_daif(&self, row: &PstateRow, imm: u8) -> Result<(), Exception> {
        let allowed = self.pstate.el.is_privileged()
            || !self.is_in_host(El::El0) && self.sys[Reg::SCTLR_EL1] & sctlr::UMA != 0;
        // The syndrome describes MSR (immediate): op0 = 0, CRn = 4, CRm the immediate, Rt = 31.
        let enc = SysEnc::new(0, row.op1, 4, u32::from(imm), row.op2);
        if allowed { Ok(()) } else { Err(trap::trap(El::El1, enc, 31, false)) }
    }

    /// The value of a register by its row, without checks and without effects of the access: for a debugger. `None`
    /// for what has no value (instructions, and registers that are not in this CPU).
    pub fn peek(&mut self, row: &Row) -> Option<u64> {
        if !self.has(row) {
            return None;
        }
        match row.cell {
            Cell::Slot { reg, .. } => Some(self.sp_or_slot(reg)),
            Cell::TrapBits(reg) => Some(self.sys[reg]),
            Cell::Id(place) => Some(self.identity.registers().get(place)),
            Cell::Value(v) => Some(v),
            Cell::Fn { read, .. } => Some(read(self)),
            Cell::Gic(reg) => self.gic.registers().map(|gic| gic.look(reg, false)),
            Cell::Insn(_) => None,
        }
    }

    /// How host code made for Exception level `el` reads or writes a register, if that is only stored and no setting but
    /// HCR_EL2.E2H makes it inaccessible or another one.
    pub fn direct_register(&self, enc: SysEnc, el: El, read: bool) -> Option<Direct> {
        let entry = find(enc).filter(|e| self.has(e.row) && (e.host.is_none() || el.is_privileged()))?;
        let by_e2h = entry.row.only_e2h || entry.host.is_some() && el == El::El2;
        let e2h = self.hcr() & hcr::E2H != 0;
        let row = if e2h && el == El::El2 { entry.host.unwrap_or(entry.row) } else { entry.row };
        let applies = |t: &&Trap| !t.spares(el) && **t != Trap::NeedsSpSel;
        let trapped = entry.row.traps.iter().any(|t| applies(&t));
        let fine = entry.row.fine.filter(|_| el < El::El2 && self.identity.has(Feat::Fgt)).and_then(|fine| {
            Some((std::mem::offset_of!(Self, sys) + 8 * fine.register(read)? as usize, fine.bit))
        });
        let allowed = entry.row.perm.at(el).allows(read)
            && (read || !row.ends_block(false) && !entry.row.ends_block(false));
        match row.cell {
            Cell::Slot { reg, bits, ones } if allowed && !trapped => Some(Direct {
                offset: std::mem::offset_of!(Self, sys) + 8 * reg as usize,
                needs_sp_sel: entry.row.traps.contains(&Trap::NeedsSpSel),
                e2h: by_e2h.then_some(e2h),
                writable: self.bits_of_features(bits),
                ones,
                fine,
            }),
            _ => None,
        }
    }

    /// True if the CPU has the register of a row, though perhaps not in its present state (`_EL12` names): what a
    /// debugger lists.
    #[must_use]
    pub fn lists(&self, row: &Row) -> bool {
        let built = self.identity.has(row.feat) && self.has_by_model(row);
        let level = row.perm.lowest().is_some_and(|el| self.has_el(el));
        let readable = match row.cell {
            Cell::Gic(reg) => {
                let env = gic::Env { el: El::El2, hcr_el2: 0, levels: self.identity.levels() };
                self.gic
                    .registers()
                    .is_some_and(|gic| gic.access(reg, false, &env) == gic::RegisterAccess::Allowed)
            }
            Cell::Insn(_) => false,
            _ => row.perm.allow(true),
        };
        built && level && readable
    }

    /// Writes a register by its row as software at EL2 would, without checks: for a debugger. False for what cannot be
    /// written.
    pub fn poke(&mut self, row: &Row, value: u64) -> bool {
        if !self.has(row) || !row.perm.allow(false) {
            return false;
        }
        match row.cell {
            Cell::Id(_) | Cell::Value(_) | Cell::Insn(_) => return false,
            Cell::Gic(reg) => {
                let env = gic::Env { el: El::El2, hcr_el2: self.hcr(), levels: self.identity.levels() };
                let Some(gic) = self.gic.registers_mut() else { return false };
                gic.write(reg, value, &env);
                self.derived.note_change();
            }
            Cell::Slot { .. } | Cell::TrapBits(_) | Cell::Fn { .. } => self.put(row, value),
        }
        if row.effect == Effect::Context {
            self.refresh();
        }
        true
    }

    /// The stored registers after a reset.
    pub(crate) fn reset_registers(&mut self) {
        for row in rows() {
            if let Cell::Slot { reg, ones, .. } = row.cell {
                self.sys[reg] = ones;
            }
            if let Some(reset) = row.on_reset {
                reset(self);
            }
        }
    }

    fn checked(&self, enc: SysEnc, rt: u8, read: bool) -> Result<&'static Row, Exception> {
        let entry = self.entry_of(enc, rt, read)?;
        self.check(&entry, enc, rt, read)?;
        Ok(self.register_of(&entry))
    }

    fn entry_of(&self, enc: SysEnc, rt: u8, read: bool) -> Result<Entry, Exception> {
        // The implementation defined encodings, allocated or not, are trapped by HCR_EL2.TIDCP at EL1, and by
        // SCTLR_ELx.TIDCP (FEAT_TIDCP1) at EL0, where they are UNDEFINED else.
        if let (1 | 3, _, 11 | 15, _, _) = enc.parts() {
            if self.hcr() & hcr::TIDCP != 0 && self.pstate.el == El::El1 {
                return Err(trap::trap(El::El2, enc, rt, read));
            }
            Trap::El0Forbids(sctlr::TIDCP).check(self, enc, rt, read)?;
        }
        find(enc).filter(|e| self.has(e.row)).ok_or_else(|| self.not_there(enc, rt, read))
    }

    /// The exception for what cannot be accessed here. With FEAT_IDST one of reading the feature ID space (Arm ARM,
    /// ID_AA64MMFR2_EL1.IDS) says what was read.
    fn not_there(&self, enc: SysEnc, rt: u8, read: bool) -> Exception {
        let space = matches!(enc.parts(), (3, 0 | 1 | 3, 0, 0..=7, _));
        if read && space && self.identity.has(Feat::Idst) {
            trap::trap(self.pstate.el.max(El::El1), enc, rt, read)
        } else {
            UNDEFINED
        }
    }

    fn has(&self, row: &Row) -> bool {
        self.identity.has(row.feat) && self.has_by_model(row) && (!row.only_e2h || self.hcr() & hcr::E2H != 0)
    }

    fn has_by_model(&self, row: &Row) -> bool {
        row.models.is_none_or(|names| names.contains(&self.identity.model().name))
    }

    /// The row of the register that an encoding means here.
    fn register_of(&self, entry: &Entry) -> &'static Row {
        match entry.host {
            Some(row) if self.is_in_host(self.pstate.el) => row,
            _ => entry.row,
        }
    }

    fn check(&self, entry: &Entry, enc: SysEnc, rt: u8, read: bool) -> Result<(), Exception> {
        let row = entry.row;
        if !row.perm.at(self.pstate.el).allows(read) {
            return Err(self.not_there(enc, rt, read));
        }
        row.traps.iter().try_for_each(|t| t.check(self, enc, rt, read))?;
        match row.fine {
            Some(fine) if fine.traps(self, read) => Err(trap::trap(El::El2, enc, rt, read)),
            _ => Ok(()),
        }
    }

    fn gic_access(&self, reg: GicReg, enc: SysEnc, rt: u8, read: bool) -> Result<gic::Env, Exception> {
        let env = gic::Env { el: self.pstate.el, hcr_el2: self.hcr(), levels: self.identity.levels() };
        match self.gic.registers().map_or(gic::RegisterAccess::Undefined, |gic| gic.access(reg, !read, &env))
        {
            gic::RegisterAccess::Allowed => Ok(env),
            gic::RegisterAccess::Undefined => Err(UNDEFINED),
            gic::RegisterAccess::TrapToEl2 => Err(trap::trap(El::El2, enc, rt, read)),
        }
    }

    /// Those of a register's bits whose features the CPU has.
    fn bits_of_features(&self, bits: &[(Feat, u64)]) -> u64 {
        let has = bits.iter().filter(|(feat, _)| self.identity.has(*feat));
        has.fold(0, |all, (_, mask)| all | mask)
    }

    /// Writes what is behind a row.
    fn put(&mut self, row: &Row, val: u64) {
        match row.cell {
            Cell::Slot { reg, bits, ones } => {
                let writable = self.bits_of_features(bits);
                self.set_sp(reg, val & writable | ones & !writable);
            }
            Cell::TrapBits(reg) => self.sys[reg] = val & self.bits_of_features(trap_bits(reg)),
            Cell::Fn { write, .. } => write(self, val),
            Cell::Id(_) | Cell::Value(_) | Cell::Gic(_) | Cell::Insn(_) => {}
        }
    }

    /// A slot, or the stack pointer in use.
    fn sp_or_slot(&self, reg: Reg) -> u64 {
        self.sp(reg)
    }
}
