//! The virtual CPU interfaces (GICV) and their control (GICH): list registers and the maintenance interrupt
//! (IHI 0048B, chapter 5).

use emu_core::irq::Group;
use emu_core::registers::Map;
use serde::{Deserialize, Serialize};

use super::State;
use super::frame::{Block, Write};
use super::interface::{FIRST_SPECIAL, Interface, PRIORITY_BITS, SPURIOUS, View, ctlr};
use super::regs::{Control, Interface as Reg, VIRTUAL_CONTROL, VIRTUAL_INTERFACE};

/// List registers of a PE.
const LIST_REGISTERS: usize = 4;
/// The first INTID that is no SGI.
const FIRST_PPI: u32 = 16;

/// GICH_HCR (5.3.1).
pub(super) mod hcr {
    /// The virtual CPU interface works.
    pub(super) const EN: u32 = 1 << 0;
    /// Underflow interrupt enable.
    pub(super) const UIE: u32 = 1 << 1;
    /// List register entry not present interrupt enable.
    pub(super) const LRENPIE: u32 = 1 << 2;
    /// No pending interrupt enable.
    pub(super) const NPIE: u32 = 1 << 3;
    /// VM Group 0 enabled interrupt enable; the next three are VGrp0DIE, VGrp1EIE and VGrp1DIE.
    pub(super) const VGRP0EIE: u32 = 1 << 4;
    /// EOICount, bits 31:27.
    pub(super) const EOICOUNT: u32 = 0x1f << 27;
    /// One EOI in it.
    pub(super) const EOICOUNT_ONE: u32 = 1 << 27;
    /// What can be written.
    pub(in crate::gicv2) const WRITABLE: u32 = EOICOUNT | 0xff;
}

/// GICH_MISR (5.3.4).
mod misr {
    pub(super) const EOI: u32 = 1 << 0;
    pub(super) const U: u32 = 1 << 1;
    pub(super) const LRENP: u32 = 1 << 2;
    pub(super) const NP: u32 = 1 << 3;
}

/// GICH_VMCR (5.3.3). The bits of GICV_CTLR are at the same places.
pub(super) mod vmcr {
    use super::ctlr;
    use crate::gicv2::regs::{MIN_BPR, PRIORITY};
    pub(super) const CTLR: u32 = ctlr::WRITABLE;
    pub(super) const ABPR: u32 = 18;
    pub(super) const BPR: u32 = 21;
    /// VMPriMask\[31:27\]: the upper five bits of GICV_PMR.
    pub(super) const PMR: u32 = 24;
    /// What can be written.
    pub(in crate::gicv2) const WRITABLE: u32 = CTLR | 7 << ABPR | 7 << BPR | (PRIORITY as u32) << PMR;
    /// The least binary points.
    pub(in crate::gicv2) const RESET: u32 = (MIN_BPR[1] as u32) << ABPR | (MIN_BPR[0] as u32) << BPR;
}

/// `GICH_LR<n>` (5.3.9).
pub(super) mod lr {
    /// Maps a physical interrupt.
    pub(super) const HW: u32 = 1 << 31;
    /// Group 1.
    pub(super) const GROUP: u32 = 1 << 30;
    /// State: active.
    pub(super) const ACTIVE: u32 = 1 << 29;
    /// State: pending.
    pub(super) const PENDING: u32 = 1 << 28;
    /// State\[29:28\]; 0 is invalid.
    pub(super) const STATE: u32 = ACTIVE | PENDING;
    /// With HW = 0: maintenance interrupt at EOI.
    pub(super) const EOI: u32 = 1 << 19;
    /// HW, Group, State, Priority\[27:23\], PhysicalID\[19:10\] (with HW = 0: EOI and CPUID\[12:10\]), VirtualID\[9:0\].
    pub(in crate::gicv2) const WRITABLE: u32 = 0xff8f_ffff;
}

fn group_of(lr: u32) -> Group {
    if lr & lr::GROUP == 0 { Group::G0 } else { Group::G1 }
}

fn priority_of(lr: u32) -> u8 {
    (lr >> 20) as u8 & 0xf8
}

fn virtual_id(lr: u32) -> u32 {
    lr & 0x3ff
}

/// What GICV_IAR gives for a list register: of an SGI that is not mapped to a physical interrupt with the sender.
fn identity(lr: u32) -> u32 {
    let sender = if lr & lr::HW == 0 && virtual_id(lr) < FIRST_PPI { lr & 7 << 10 } else { 0 };
    virtual_id(lr) | sender
}

/// The state of a virtual CPU interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hypervisor {
    pub(super) interface: Interface,
    hcr: u32,
    lr: [u32; LIST_REGISTERS],
}

impl Hypervisor {
    /// A bit for each list register for which `f` holds.
    fn bits(&self, f: impl Fn(u32) -> bool) -> u32 {
        self.lr.iter().enumerate().fold(0, |v, (i, &lr)| v | u32::from(f(lr)) << i)
    }

    /// GICH_EISR0: invalid, not mapped to hardware, and marked to tell of its EOI.
    fn eisr(&self) -> u32 {
        self.bits(|lr| lr & (lr::STATE | lr::HW | lr::EOI) == lr::EOI)
    }

    /// GICH_ELRSR0: free for use.
    fn elrsr(&self) -> u32 {
        self.bits(|lr| lr & lr::STATE == 0 && lr & (lr::HW | lr::EOI) != lr::EOI)
    }

    /// GICH_MISR.
    fn misr(&self) -> u32 {
        let mut m = if self.eisr() != 0 { misr::EOI } else { 0 };
        if self.hcr & hcr::UIE != 0 && self.bits(|lr| lr & lr::STATE != 0).count_ones() < 2 {
            m |= misr::U;
        }
        if self.hcr & hcr::LRENPIE != 0 && self.hcr & hcr::EOICOUNT != 0 {
            m |= misr::LRENP;
        }
        if self.hcr & hcr::NPIE != 0 && self.bits(|lr| lr & lr::STATE == lr::PENDING) == 0 {
            m |= misr::NP;
        }
        // VGrp0E, VGrp0D, VGrp1E, VGrp1D are at the places of their enables.
        let groups = self.interface.groups();
        for (i, condition) in [groups.g0, !groups.g0, groups.g1, !groups.g1].into_iter().enumerate() {
            m |= if condition { self.hcr & hcr::VGRP0EIE << i } else { 0 };
        }
        m
    }

    /// The level of the maintenance interrupt.
    pub(super) fn maintenance(&self) -> bool {
        self.hcr & hcr::EN != 0 && self.misr() != 0
    }

    /// The list register with the highest-priority pending interrupt of an enabled group; of equals, the first.
    fn highest_pending(&self) -> Option<usize> {
        if self.hcr & hcr::EN == 0 {
            return None;
        }
        let groups = self.interface.groups();
        let ready = |lr: u32| lr & lr::STATE == lr::PENDING && groups.has(group_of(lr));
        let candidates = self.lr.iter().enumerate().filter(|(_, lr)| ready(**lr));
        candidates.min_by_key(|(_, lr)| priority_of(**lr)).map(|(i, _)| i)
    }

    /// The list register whose interrupt is signalled.
    fn taken(&self) -> Option<usize> {
        let taken = |i: &usize| self.interface.takes(group_of(self.lr[*i]), priority_of(self.lr[*i]));
        self.highest_pending().filter(taken)
    }

    /// The group of the virtual interrupt that is signalled to the PE.
    pub(super) fn signalled(&self) -> Option<Group> {
        self.taken().map(|i| group_of(self.lr[i]))
    }

    /// GICV_HPPIR, GICV_AHPPIR.
    fn hppir(&self, view: View) -> u32 {
        let Some(lr) = self.highest_pending().map(|i| self.lr[i]) else { return SPURIOUS };
        self.interface.instead(view, group_of(lr)).unwrap_or_else(|| identity(lr))
    }

    /// GICV_IAR, GICV_AIAR.
    fn acknowledge(&mut self, view: View) -> u32 {
        let Some(i) = self.taken() else { return SPURIOUS };
        let lr = self.lr[i];
        if let Some(special) = self.interface.instead(view, group_of(lr)) {
            return special;
        }
        self.lr[i] = lr & !lr::PENDING | lr::ACTIVE;
        self.interface.activate(0, group_of(lr), priority_of(lr));
        identity(lr)
    }

    /// The list register of an active interrupt. An SGI is one for each sender; software that does not say which means
    /// any.
    fn find_active(&self, value: u32) -> Option<usize> {
        let active = |f: &dyn Fn(u32) -> bool| self.lr.iter().position(|lr| lr & lr::ACTIVE != 0 && f(*lr));
        let exact = active(&|lr| identity(lr) == value & 0x1fff);
        exact.or_else(|| active(&|lr| virtual_id(lr) == value & 0x3ff))
    }

    /// Deactivates a virtual interrupt; gives the physical one that goes with it. What no list register has is counted.
    fn deactivate(&mut self, value: u32) -> Option<u32> {
        let Some(i) = self.find_active(value) else {
            let count = self.hcr.wrapping_add(hcr::EOICOUNT_ONE) & hcr::EOICOUNT;
            self.hcr = self.hcr & !hcr::EOICOUNT | count;
            return None;
        };
        self.lr[i] &= !lr::ACTIVE;
        let physical = self.lr[i] >> 10 & 0x3ff;
        (self.lr[i] & lr::HW != 0 && physical < FIRST_SPECIAL).then_some(physical)
    }

    /// GICV_EOIR, GICV_AEOIR; gives the physical interrupt to deactivate. An EOI that drops no priority does nothing at all.
    /// GICH_APR does not know groups, so neither do the two registers here.
    fn end_of_interrupt(&mut self, value: u32) -> Option<u32> {
        if value & 0x3ff >= FIRST_SPECIAL || self.interface.highest_active().is_none() {
            return None;
        }
        self.interface.drop_priority();
        if self.interface.splits_eoi() { None } else { self.deactivate(value) }
    }

    /// GICV_DIR; gives the physical interrupt to deactivate. With EOImode 0 a write is UNPREDICTABLE: ignored.
    fn end_of_activity(&mut self, value: u32) -> Option<u32> {
        let sensible = self.interface.splits_eoi() && value & 0x3ff < FIRST_SPECIAL;
        sensible.then(|| self.deactivate(value)).flatten()
    }

    /// GICH_VMCR: what the guest sees in GICV_CTLR, GICV_BPR, GICV_ABPR and GICV_PMR.
    fn vmcr(&self) -> u32 {
        let get = |reg| self.interface.read(reg);
        get(Reg::Ctlr)
            | get(Reg::Abpr) << vmcr::ABPR
            | get(Reg::Bpr) << vmcr::BPR
            | get(Reg::Pmr) << vmcr::PMR
    }

    fn set_vmcr(&mut self, value: u32) {
        self.interface.write(Reg::Ctlr, value & vmcr::CTLR);
        self.interface.write(Reg::Abpr, value >> vmcr::ABPR & 7);
        self.interface.write(Reg::Bpr, value >> vmcr::BPR & 7);
        self.interface.write(Reg::Pmr, value >> vmcr::PMR);
    }
}

/// The control of the virtual CPU interfaces on the bus.
pub(super) struct ControlRegisters;

impl Block for ControlRegisters {
    type Reg = Control;
    const NAME: &'static str = "gicv2-virtual-control";
    const REGISTER: &'static str = "register of virtual interface control";
    const MAP: &'static Map<Control> = &VIRTUAL_CONTROL;

    fn peek(state: &State, cpu: usize, reg: Control, index: u32) -> Option<u32> {
        let this = &state.cpus[cpu].hypervisor;
        Some(match reg {
            Control::Hcr => this.hcr,
            // PRIbits, PREbits, ListRegs: each one less.
            Control::Vtr => {
                (PRIORITY_BITS - 1) << 29 | (PRIORITY_BITS - 1) << 26 | (LIST_REGISTERS as u32 - 1)
            }
            Control::Vmcr => this.vmcr(),
            Control::Misr => this.misr(),
            Control::Eisr => this.eisr(),
            Control::Elrsr => this.elrsr(),
            Control::Apr => this.interface.active[0],
            Control::Lr => return this.lr.get(index as usize).copied(),
        })
    }

    /// False if it is a list register that is not there.
    fn write(state: &mut State, cpu: usize, write: &Write<'_, Control>) -> bool {
        let (this, value) = (&mut state.cpus[cpu].hypervisor, write.value);
        match write.reg {
            Control::Hcr => this.hcr = value,
            Control::Vmcr => this.set_vmcr(value),
            Control::Apr => this.interface.active[0] = value,
            Control::Lr => match this.lr.get_mut(write.hit.index as usize) {
                Some(lr) => *lr = value,
                None => return false,
            },
            // Read-only: the map lets no write through.
            Control::Vtr | Control::Misr | Control::Eisr | Control::Elrsr => return false,
        }
        true
    }
}

/// The virtual CPU interfaces on the bus.
pub(super) struct InterfaceRegisters;

impl Block for InterfaceRegisters {
    type Reg = Reg;
    const NAME: &'static str = "gicv2-virtual-interfaces";
    const REGISTER: &'static str = "virtual CPU interface register";
    const MAP: &'static Map<Reg> = &VIRTUAL_INTERFACE;

    fn peek(state: &State, cpu: usize, reg: Reg, _: u32) -> Option<u32> {
        let this = &state.cpus[cpu].hypervisor;
        Some(match reg {
            Reg::Hppir => this.hppir(View::Plain),
            Reg::Ahppir => this.hppir(View::Aliased),
            _ => this.interface.read(reg),
        })
    }

    fn take(state: &mut State, cpu: usize, reg: Reg) -> u32 {
        let view = if reg == Reg::Aiar { View::Aliased } else { View::Plain };
        state.cpus[cpu].hypervisor.acknowledge(view)
    }

    /// Deactivating goes on in the distributor.
    fn write(state: &mut State, cpu: usize, write: &Write<'_, Reg>) -> bool {
        let hypervisor = &mut state.cpus[cpu].hypervisor;
        let physical = match write.reg {
            Reg::Eoir | Reg::Aeoir => hypervisor.end_of_interrupt(write.value),
            Reg::Dir => hypervisor.end_of_activity(write.value),
            reg => {
                hypervisor.interface.write(reg, write.value);
                None
            }
        };
        if let Some(intid) = physical {
            state.distributor.deactivate(cpu, intid);
        }
        true
    }
}
