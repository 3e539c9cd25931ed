//! One PE: its state, and how its parts hang together.
//!
//! [`Cpu`] is owned by its thread. What others may touch of it is in the [`Doorbell`]; what it asks of the machine goes
//! through [`Machine`] and [`GicConnection`]. It is made of parts whose fields are their own; what asks for several of
//! them, as exception entry does, is given the whole.

use std::sync::Arc;

use emu_a64::fp::fpcr;
use emu_a64::level::{El, Levels};
use emu_a64::mode::Mode;
use emu_a64::regs::{Pstate, Regs, SP};
use emu_core::bus::Bus;
use emu_core::clock::Clock;
use emu_core::irq::GicConnection;
use emu_core::metrics::Counters;
use emu_core::random::SplitMix64;
use serde::{Deserialize, Serialize};

use crate::derived::Derived;
use crate::doorbell::Doorbell;
use crate::exception::Repeats;
use crate::gic::Attachment;
use crate::identity::Identity;
use crate::mem::Mem;
use crate::mem::shared::Shared;
use crate::model::Model;
use crate::pmu::Pmu;
use crate::psci::Machine;
use crate::requests::Requests;
use crate::sysreg::{Reg, SysState, sctlr};
use crate::timer::Timers;
use crate::trace::Trace;
use crate::wires::Wires;

/// List registers of the virtual CPU interface.
const LIST_REGISTERS: usize = 4;

/// What a PE is made of.
pub struct CpuConfig {
    /// Which CPU it is.
    pub model: Arc<Model>,
    /// The Exception levels that it has; it starts in the highest.
    pub levels: Levels,
    /// Number in the machine.
    pub index: usize,
    /// Its counters; it is their only writer.
    pub counters: Arc<Counters>,
    /// Its doorbell.
    pub doorbell: Arc<Doorbell>,
    /// The machine's clock.
    pub clock: Arc<Clock>,
    /// Its redistributor, or its wires to a GIC with memory-mapped CPU interfaces.
    pub port: GicConnection,
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// The physical address space.
    pub bus: Arc<Bus>,
    /// What the PEs of the machine share on their memory side.
    pub shared: Arc<Shared>,
}

/// Where a PE starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The program counter.
    pub pc: u64,
    /// X0: the devicetree of the first PE, PSCI's context of another.
    pub x0: u64,
}

/// A processing element.
pub struct Cpu {
    /// General and SIMD&FP registers, flags, PC.
    pub regs: Regs,
    /// PSTATE but for the flags. Change EL and SPSel only through [`Cpu::set_level`].
    pub pstate: Pstate,
    /// The stored system registers.
    pub sys: SysState,
    /// What it is.
    pub identity: Identity,
    /// What this PE counts.
    pub counters: Arc<Counters>,
    /// The machine's clock.
    pub clock: Arc<Clock>,
    /// What loads and stores keep.
    pub mem: Mem,
    /// What it tells of the blocks that it runs.
    pub trace: Trace,
    /// The GIC CPU interface, or the wires that come from it.
    pub gic: Attachment,
    /// The generic timers.
    pub timers: Timers,
    /// What the performance monitors keep.
    pub pmu: Pmu,
    /// RNDR.
    pub(crate) random: SplitMix64,
    /// What leads to the rest of the machine.
    pub wires: Wires,
    /// What was asked of it and is not done yet.
    pub requests: Requests,
    /// Where the PE came out of reset (RVBAR_ELx).
    pub(crate) entry: Entry,
    /// What is found again of registers and PSTATE.
    pub derived: Derived,
    /// The exceptions of late, to see whether anybody deals with them.
    pub(crate) repeats: Repeats,
}

impl Cpu {
    /// A PE in its reset state at address 0.
    #[must_use]
    pub fn new(config: CpuConfig) -> Self {
        let identity = Identity::new(&config);
        let (pmu, mem, wires) = (Pmu::new(&config), Mem::new(&config), Wires::new(&config));
        let CpuConfig { model, levels, index, counters, doorbell, clock, port, .. } = config;
        let mut cpu = Self {
            regs: Regs::default(),
            pstate: Pstate::default(),
            sys: SysState::default(),
            identity,
            gic: Attachment::new(&port, LIST_REGISTERS),
            timers: Timers::new(&clock, &model, &port, levels, doorbell),
            pmu,
            random: crate::random::generator(&clock, index),
            counters,
            clock,
            mem,
            trace: Trace::default(),
            wires,
            requests: Requests::default(),
            entry: Entry::default(),
            derived: Derived::new(),
            repeats: Repeats::default(),
        };
        cpu.reset(Entry::default());
        cpu
    }

    /// What code depends on beside its instructions.
    #[inline]
    #[must_use]
    pub fn mode(&self) -> Mode {
        let btype = self.pstate.btype;
        let strict = btype == 3 && crate::mem::context::sctlr(self) & sctlr::bt(self.pstate.el) != 0;
        Mode {
            el: self.pstate.el,
            fp_enabled: self.derived.fp_enabled(),
            mops: self.derived.mops_enabled(),
            fp_plain: self.regs.fpcr & fpcr::NOT_PLAIN == 0,
            guarded: false,
            btype,
            strict,
            aligned: self.mem.checks_alignment(),
            counts_accesses: self.pmu.counts_accesses(),
        }
    }

    /// To the state after reset (Arm ARM, D1.9), at `entry` in the highest Exception level.
    pub fn reset(&mut self, entry: Entry) {
        self.counters.settle_level(self.pstate.el as usize);
        self.regs = Regs { pc: entry.pc, ..Regs::default() };
        self.regs.x[0] = entry.x0;
        self.pstate =
            Pstate { el: self.identity.levels().highest(), sp_sel: true, daif: 15, ..Pstate::default() };
        self.sys = SysState::default();
        self.reset_registers();
        self.gic.reset();
        self.mem.reset();
        // Lets go of wires that were up.
        self.timers.update(&self.sys);
        self.restart_pmu();
        self.requests = Requests::default();
        self.entry = entry;
        self.repeats = Repeats::default();
        self.refresh();
        crate::trace::reset(self);
    }

    /// Finds again what is derived from registers and PSTATE. Called after every change of what it depends on.
    pub fn refresh(&mut self) {
        let hcr = crate::sysreg::effective_hcr(
            self.sys[Reg::HCR_EL2],
            self.identity.levels(),
            self.identity.features(),
        );
        self.derived.set_hcr(hcr);
        let (fp, mops) = (self.fp_trap().is_none(), self.mops_allowed());
        self.derived.set_enabled(fp, mops);
        self.timers.refresh(&self.sys, hcr);
        self.derived.note_change();
    }

    /// Where the current stack pointer lives when it is not current.
    fn sp_slot(&self) -> Reg {
        match (self.pstate.sp_sel, self.pstate.el) {
            (true, El::El1) => Reg::SP_EL1,
            (true, El::El2) => Reg::SP_EL2,
            _ => Reg::SP_EL0,
        }
    }

    /// Changes Exception level and stack pointer selection.
    pub fn set_level(&mut self, el: El, sp_sel: bool) {
        self.sync_pmu();
        self.counters.settle_level(self.pstate.el as usize);
        let old = self.sp_slot();
        self.sys[old] = self.regs.x[SP];
        self.pstate.el = el;
        self.pstate.sp_sel = sp_sel;
        self.regs.x[SP] = self.sys[self.sp_slot()];
        self.refresh();
    }

    /// A stack pointer, in use or not.
    #[must_use]
    pub fn sp(&self, reg: Reg) -> u64 {
        if self.sp_slot() == reg { self.regs.x[SP] } else { self.sys[reg] }
    }

    /// Writes a stack pointer, in use or not.
    pub fn set_sp(&mut self, reg: Reg, value: u64) {
        if self.sp_slot() == reg {
            self.regs.x[SP] = value;
        } else {
            self.sys[reg] = value;
        }
    }

    /// Effective value of HCR_EL2: 0 without EL2 (but for RW), see [`crate::sysreg::effective_hcr`].
    #[inline]
    #[must_use]
    pub const fn hcr(&self) -> u64 {
        self.derived.hcr()
    }
}

/// The affinity of the PE `index` (Arm ARM, D24.2.125, MPIDR_EL1): Aff0 in clusters of 16 (what one SGI target list
/// reaches), then Aff1 and Aff2.
#[must_use]
pub const fn affinity_of(index: usize) -> u64 {
    let i = index as u64;
    i & 15 | (i >> 4 & 0xff) << 8 | (i >> 12 & 0xff) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_pes_share_aff1() {
        assert_eq!([7, 63, 4096].map(affinity_of), [7, 0x30f, 0x1_0000]);
    }
}
