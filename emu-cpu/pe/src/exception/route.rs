//! Synchronous exceptions: where each goes and what it reports (Arm ARM, D1.3 and the AArch64 exception pseudocode).

use emu_a64::ir::ExcOp;
use emu_a64::level::El;
use emu_core::metrics::Metric;

use super::entry::Vector;
use super::syndrome::{IL, data_iss, ec, emulated_bytes, fetch_iss, fsc, is_external};
use super::{Abort, Exception};
use crate::cpu::Cpu;
use crate::level::Banked;
use crate::sysreg::{Reg, cptr, hcr};
use crate::trace;

/// An exception that is ready to be taken.
struct Taken {
    target: El,
    ec: u8,
    iss: u32,
    far: Option<u64>,
    /// Preferred return address.
    ret: u64,
}

impl Cpu {
    /// Takes a synchronous exception by the instruction `word` at `pc`, or serves the call if it is one to the
    /// firmware that the machine stands for.
    pub fn raise(&mut self, e: Exception, pc: u64, word: u32) {
        self.regs.pc = pc;
        if matches!(e, Exception::Insn(ExcOp::Undefined)) {
            trace::undefined(self, pc, word);
        }
        match e {
            Exception::Insn(op) => self.raise_insn(op, pc),
            Exception::Trap { target, ec, iss } => self.raise_trap(target, ec, iss, pc),
            Exception::MemoryCopy { iss } => {
                self.counters.bump(Metric::OtherTraps);
                self.take(Taken { target: self.mops_target(), ec: ec::MEMORY_COPY, iss, far: None, ret: pc });
            }
            Exception::Fetch(a) => {
                let target = self.abort_target(&a);
                let ec = ec::FETCH_LOWER + u8::from(target == self.pstate.el);
                self.raise_abort(&a, Taken { target, ec, iss: fetch_iss(&a), far: Some(a.va), ret: pc });
            }
            Exception::Data(a) => {
                let target = self.abort_target(&a);
                let ec = ec::DATA_LOWER + u8::from(target == self.pstate.el);
                self.raise_abort(&a, Taken { target, ec, iss: data_iss(&a, word), far: Some(a.va), ret: pc });
            }
            Exception::PcAlignment(va) => {
                self.counters.bump(Metric::OtherTraps);
                let target = self.default_target();
                self.take(Taken { target, ec: ec::PC_ALIGNMENT, iss: 0, far: Some(va), ret: pc });
            }
            Exception::SpAlignment => self.raise_plain(ec::SP_ALIGNMENT, pc),
            Exception::IllegalState => self.raise_plain(ec::ILLEGAL, pc),
            Exception::Breakpoint => self.raise_debug(ec::BREAKPOINT_LOWER, u32::from(fsc::DEBUG), None, pc),
            Exception::Watchpoint { va, write, maintenance } => {
                let iss = u32::from(fsc::DEBUG) | u32::from(write) << 6 | u32::from(maintenance) << 8;
                self.raise_debug(ec::WATCHPOINT_LOWER, iss, Some(va), pc);
            }
            Exception::SoftwareStep { exclusive } => {
                // ISV is bit 24, EX bit 6.
                let known = exclusive.map_or(0, |ex| 1 << 24 | u32::from(ex) << 6);
                self.raise_debug(ec::STEP_LOWER, known | u32::from(fsc::DEBUG), None, pc);
            }
        }
    }

    /// EL1, or EL2 for what happens there or in a host's EL0.
    pub(crate) fn default_target(&self) -> El {
        match self.pstate.el {
            El::El0 if self.hcr() & hcr::TGE != 0 => El::El2,
            El::El0 => El::El1,
            el => el,
        }
    }

    fn raise_plain(&mut self, ec: u8, pc: u64) {
        self.counters.bump(Metric::OtherTraps);
        let target = self.default_target();
        self.take(Taken { target, ec, iss: 0, far: None, ret: pc });
    }

    fn raise_trap(&mut self, target: El, ec: u8, iss: u32, pc: u64) {
        let target = target.max(self.default_target());
        if ec == ec::WFX && target == El::El2 {
            self.counters.bump(Metric::WfxTraps);
        } else if ec == ec::SYSREG && target == El::El2 {
            self.counters.bump(Metric::SysregTraps);
        } else {
            self.counters.bump(Metric::OtherTraps);
        }
        self.take(Taken { target, ec, iss, far: None, ret: pc });
    }

    fn abort_target(&self, a: &Abort) -> El {
        let external_to_el2 = self.hcr() & hcr::TEA != 0 && is_external(a.status) && self.pstate.el < El::El2;
        if a.stage2 || external_to_el2 { El::El2 } else { self.default_target() }
    }

    fn raise_abort(&mut self, a: &Abort, t: Taken) {
        self.counters.bump(if a.stage2 { Metric::Stage2Aborts } else { Metric::Stage1Aborts });
        if let (true, Some(ipa)) = (a.stage2, a.ipa) {
            // The architecture asks for this only where software cannot find it out; parts do it always.
            // FIPA: IPA[51:12] at bits 43:4.
            self.sys[Reg::HPFAR_EL2] = (ipa & 0x000f_ffff_ffff_f000) >> 8;
        }
        if let Some(bytes) = emulated_bytes(t.iss).filter(|_| t.ec == ec::DATA_LOWER && a.stage2) {
            self.counters.bump_by(Metric::EmulatedBytes, bytes);
        }
        self.take(t);
    }

    fn raise_debug(&mut self, ec: u8, iss: u32, far: Option<u64>, pc: u64) {
        self.counters.bump(Metric::OtherTraps);
        let target = self.debug_target();
        let ec = ec + u8::from(target == self.pstate.el);
        self.take(Taken { target, ec, iss, far, ret: pc });
    }

    /// Under software step a call counts as executed (SSAdvance): its SPSR.SS is 0. What is to be executed again keeps 1.
    fn raise_insn(&mut self, op: ExcOp, pc: u64) {
        let next = pc.wrapping_add(4);
        match op {
            ExcOp::Undefined => self.raise_plain(ec::UNKNOWN, pc),
            // Without halting debug an HLT is UNDEFINED, unless it is a call.
            ExcOp::Hlt(imm) if self.semihosting_call(imm, pc) => {}
            ExcOp::Hlt(_) => self.raise_plain(ec::UNKNOWN, pc),
            ExcOp::FpAccess => self.raise_fp(pc),
            ExcOp::BranchTarget => {
                self.counters.bump(Metric::OtherTraps);
                let (target, iss) = (self.default_target(), u32::from(self.pstate.btype & 3));
                self.take(Taken { target, ec: ec::BRANCH_TARGET, iss, far: None, ret: pc });
            }
            ExcOp::Svc(imm) => {
                self.counters.bump(Metric::Svc);
                if self.svc_is_trapped() {
                    let iss = u32::from(imm);
                    return self.take(Taken { target: El::El2, ec: ec::SVC, iss, far: None, ret: pc });
                }
                self.pstate.ss = false;
                let target = self.default_target();
                self.take(Taken { target, ec: ec::SVC, iss: u32::from(imm), far: None, ret: next });
            }
            ExcOp::Brk(imm) => {
                self.counters.bump(Metric::OtherTraps);
                let target = self.debug_target();
                self.take(Taken { target, ec: ec::BRK, iss: u32::from(imm), far: None, ret: pc });
            }
            ExcOp::Hvc(imm) => self.raise_hvc(imm, pc),
            ExcOp::Smc(imm) => self.raise_smc(imm, pc),
        }
    }

    /// HVC: UNDEFINED at EL0 and if HCR_EL2.HCD disables it. Without EL2 it is the way to the firmware.
    fn raise_hvc(&mut self, imm: u16, pc: u64) {
        if !self.pstate.el.is_privileged() {
            self.raise_plain(ec::UNKNOWN, pc);
        } else if !self.has_el(El::El2) {
            self.counters.bump(Metric::Hvc);
            self.regs.pc = pc.wrapping_add(4);
            self.call_firmware();
        } else if self.hcr() & hcr::HCD != 0 {
            self.raise_plain(ec::UNKNOWN, pc);
        } else {
            self.counters.bump(Metric::Hvc);
            self.pstate.ss = false;
            let ret = pc.wrapping_add(4);
            self.take(Taken { target: El::El2, ec: ec::HVC, iss: u32::from(imm), far: None, ret });
        }
    }

    /// SMC: UNDEFINED at EL0; from EL1 to EL2 if HCR_EL2.TSC traps it; else the way to the firmware, if EL2 is the
    /// guest's. A machine that starts at EL1 has its firmware behind HVC, and an SMC is UNDEFINED.
    fn raise_smc(&mut self, imm: u16, pc: u64) {
        if !self.pstate.el.is_privileged() || !self.has_el(El::El2) {
            self.raise_plain(ec::UNKNOWN, pc);
        } else if self.pstate.el == El::El1 && self.hcr() & hcr::TSC != 0 {
            self.counters.bump(Metric::Smc);
            self.take(Taken { target: El::El2, ec: ec::SMC, iss: u32::from(imm), far: None, ret: pc });
        } else {
            self.counters.bump(Metric::Smc);
            self.regs.pc = pc.wrapping_add(4);
            self.call_firmware();
        }
    }

    fn call_firmware(&mut self) {
        let function = self.regs.x[0];
        self.firmware_call();
        trace::firmware_call(self, function);
    }

    fn raise_fp(&mut self, pc: u64) {
        self.counters.bump(Metric::FpTraps);
        match self.fp_trap() {
            // CV = 1, COND = 0b1110.
            Some(El::El2) => {
                self.take(Taken { target: El::El2, ec: ec::FP, iss: 0x1e << 20, far: None, ret: pc })
            }
            // A trap to EL1 that TGE routes to EL2 is reported there as of unknown reason.
            Some(_) if self.hcr() & hcr::TGE != 0 && self.pstate.el == El::El0 => {
                self.take(Taken { target: El::El2, ec: ec::UNKNOWN, iss: 0, far: None, ret: pc });
            }
            Some(_) => self.take(Taken { target: El::El1, ec: ec::FP, iss: 0x1e << 20, far: None, ret: pc }),
            // Not trapped after all: the block was made before the trap was taken away. It is run again.
            None => self.derived.note_change(),
        }
    }

    /// The Exception level that an access to the SIMD&FP registers traps to, if it does (CheckFPAdvSIMDEnabled64).
    #[must_use]
    pub fn fp_trap(&self) -> Option<El> {
        let (el, h) = (self.pstate.el, self.hcr());
        if el < El::El2 && !self.is_in_host(el) {
            let disabled = match self.sys[Reg::CPACR_EL1] >> cptr::FPEN_SHIFT & 3 {
                0b11 => false,
                0b01 => el == El::El0,
                _ => true,
            };
            if disabled {
                return Some(El::El1);
            }
        }
        if !self.el2_enabled() {
            return None;
        }
        let control = self.sys[Reg::CPTR_EL2];
        let trapped = if h & hcr::E2H != 0 {
            match control >> cptr::FPEN_SHIFT & 3 {
                0b11 => false,
                0b01 => el == El::El0 && h & hcr::TGE != 0,
                _ => !(el == El::El1 && h & hcr::TGE != 0),
            }
        } else {
            control & cptr::TFP != 0
        };
        trapped.then_some(El::El2)
    }

    /// Where debug exceptions go: to [`crate::debug::SelfHostedDebug::level`], or to EL2 from there.
    fn debug_target(&self) -> El {
        self.pstate.el.max(self.debug().level())
    }

    fn take(&mut self, t: Taken) {
        let esr = u64::from(t.ec) << 26 | IL | u64::from(t.iss & 0x1ff_ffff);
        self.sys[Banked::ESR.at(t.target)] = esr;
        if let Some(va) = t.far {
            self.sys[Banked::FAR.at(t.target)] = va;
        }
        self.count_repeats(t.target, t.ret);
        self.counters.bump_class(t.target == El::El2, t.ec);
        let from = self.pstate.el;
        self.enter(t.target, Vector::Synchronous, t.ret);
        trace::exception(self, from, Vector::Synchronous);
    }
}
