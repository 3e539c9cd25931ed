//! The translation context: which tables, with which controls, for whom.

use emu_a64::level::El;
use emu_mmu::{Features, Half, Regime, Stage1, Stage1Regs, Stage2, Stage2Regs, TlbContext};

use super::watch;
use crate::cpu::Cpu;
use crate::level::Banked;
use crate::sysreg::{Permits, Reg, hcr};

/// Everything that a fast translation depends on. Two contexts with equal keys see the same memory in the same way (until
/// maintenance says otherwise).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    regime: Regime,
    privileged: bool,
    pan: bool,
    regs: Stage1Regs,
    s2: Stage2Regs,
}

impl Key {
    /// The part that the translation of instruction addresses in the upper half depends on. The Exception level is not: it
    /// is part of what a block is known by. ASIDs are not, for they only say what is invalidated.
    pub(super) fn of_upper_half(mut self) -> Self {
        const ASID: u64 = 0xffff << 48;
        self.privileged = false;
        self.pan = false;
        if self.regime.has_unprivileged() {
            self.regs.ttbr0 = 0;
            self.regs.ttbr1 &= !ASID;
        }
        self
    }
}

/// The current context, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub(super) key: Key,
    pub(super) stage1: Stage1,
    pub(super) stage2: Option<Stage2>,
    pub(super) vmid: u16,
    pub(super) asid: u16,
    /// Where pointers have their authentication code: by half (lower, upper), for instructions and data.
    code_fields: [[u64; 2]; 2],
}

impl Default for Context {
    fn default() -> Self {
        let features = Features::cortex_a72();
        let regs = Stage1Regs::default();
        let stage1 = Stage1::from_regs(&features, Regime::El10, &regs);
        let key = Key { regime: Regime::El10, privileged: true, pan: false, regs, s2: Stage2Regs::default() };
        Self { key, stage1, stage2: None, vmid: 0, asid: 0, code_fields: [[0; 2]; 2] }
    }
}

impl Context {
    pub(super) const fn regime(&self) -> Regime {
        self.key.regime
    }
    /// Accesses are made by EL1 or EL2.
    pub(super) const fn privileged(&self) -> bool {
        self.key.privileged
    }
    /// SCTLR_ELx of the regime.
    pub(super) const fn sctlr(&self) -> u64 {
        self.key.regs.sctlr
    }
    /// PSTATE.PAN is set.
    pub(super) const fn pan(&self) -> bool {
        self.key.pan
    }
    /// The bits of a pointer to the lower or upper half that hold its authentication code (FEAT_PAuth).
    pub(crate) const fn code_field(&self, upper: bool, data: bool) -> u64 {
        self.code_fields[upper as usize][data as usize]
    }
    /// The same tables, seen by EL0.
    pub(super) fn unprivileged(mut self) -> Self {
        self.key.privileged = false;
        self.key.pan = false;
        self
    }
    pub(super) const fn tlb_context(&self) -> TlbContext {
        TlbContext {
            security: self.stage1.security,
            regime: self.key.regime,
            vmid: self.vmid,
            asid: self.asid,
            stage1: self.stage1.enabled,
        }
    }
    fn decode(features: &Features, key: Key, with_stage2: bool) -> Self {
        let stage1 = Stage1::from_regs(features, key.regime, &key.regs);
        let stage2 = with_stage2.then(|| Stage2::from_regs(features, &key.s2));
        let code_fields = [0, 1 << 55].map(|half| {
            let half = stage1.half(half);
            [false, true].map(|data| code_field(half, features, data))
        });
        Self { key, stage1, stage2, vmid: stage2.map_or(0, |s| s.vmid), asid: stage1.asid, code_fields }
    }
}

/// The bits of a pointer that are neither address nor tag nor bit 55, which says what half it is of.
fn code_field(half: &Half, features: &Features, data: bool) -> u64 {
    let tagged = half.tbi && (data || !half.tbid);
    let bottom = half.address_bits(features);
    u64::MAX << bottom & !(1 << 55) & if tagged { u64::MAX >> 8 } else { u64::MAX }
}

/// The bits of HCR_EL2 that translation looks at.
const HCR_BITS: u64 = hcr::VM | hcr::PTW | hcr::DC | hcr::TGE | hcr::CD | hcr::ID | hcr::E2H | hcr::FWB;

/// The regime of accesses made at `el`.
#[must_use]
pub fn regime_of(cpu: &Cpu, el: El) -> Regime {
    if cpu.is_in_host(el) {
        return Regime::El20;
    }
    match el {
        El::El0 | El::El1 => Regime::El10,
        El::El2 | El::El3 => Regime::El2,
    }
}

/// The level whose registers control a regime.
pub(super) const fn controller_of(regime: Regime) -> El {
    match regime {
        Regime::El10 => El::El1,
        Regime::El20 | Regime::El2 => El::El2,
    }
}

/// SCTLR_ELx of the current regime.
#[must_use]
pub fn sctlr(cpu: &Cpu) -> u64 {
    cpu.sys[Banked::SCTLR.at(cpu.controller_of(cpu.pstate.el))]
}

fn stage1_regs(cpu: &Cpu, regime: Regime) -> Stage1Regs {
    let controller = controller_of(regime);
    let value = |register: Banked| cpu.sys[register.at(controller)];
    Stage1Regs {
        sctlr: value(Banked::SCTLR),
        tcr: value(Banked::TCR),
        ttbr0: value(Banked::TTBR0),
        ttbr1: value(Banked::TTBR1),
        mair: value(Banked::MAIR),
        hcr: cpu.hcr() & HCR_BITS,
        security: cpu.security(),
    }
}

/// The key of accesses through `regime`.
fn key_for(cpu: &Cpu, regime: Regime, privileged: bool, pan: bool) -> Key {
    let s2 = if has_stage2(cpu, regime) {
        Stage2Regs { vtcr: cpu.sys[Reg::VTCR_EL2], vttbr: cpu.sys[Reg::VTTBR_EL2], hcr: cpu.hcr() & HCR_BITS }
    } else {
        Stage2Regs::default()
    };
    Key { regime, privileged, pan, regs: stage1_regs(cpu, regime), s2 }
}

fn has_stage2(cpu: &Cpu, regime: Regime) -> bool {
    cpu.el2_enabled() && regime.has_stage2()
}

/// VTTBR_EL2.VMID as it counts: what TLBI names in EL1&0.
pub(super) fn current_vmid(cpu: &Cpu) -> u16 {
    let regs = key_for(cpu, Regime::El10, true, false).s2;
    if cpu.el2_enabled() { Stage2::from_regs(&cpu.mem.translation, &regs).vmid } else { 0 }
}

/// The context of `regime`, for accesses with these attributes.
pub(super) fn context_for(cpu: &Cpu, regime: Regime, privileged: bool, pan: bool) -> Context {
    let key = key_for(cpu, regime, privileged, pan);
    Context::decode(&cpu.mem.translation, key, has_stage2(cpu, regime))
}

/// Finds the context of the current state again, and makes its fast TLB bank the current one; with it what needs no check
/// there.
pub fn select(cpu: &mut Cpu) {
    cpu.mem.refresh_view();
    watch::refresh(cpu);
    let el = cpu.pstate.el;
    let regime = regime_of(cpu, el);
    let privileged = el.is_privileged();
    let key = key_for(cpu, regime, privileged, cpu.pstate.pan && privileged);
    let with_stage2 = has_stage2(cpu, regime);
    let features = cpu.mem.translation;
    cpu.mem.fast.select(&key, || Context::decode(&features, key, with_stage2));
    cpu.mem.fast.set_alignment_check(key.regs.sctlr >> 1 & 1 != 0);
    let permits = Permits::of(cpu);
    cpu.derived.context_is_selected(permits);
}
