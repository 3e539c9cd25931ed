//! The virtual CPU interface: list registers, ICH_HCR_EL2, ICH_VMCR_EL2, and the maintenance interrupt
//! (IHI 0069, chapter 6 and 12.4).

use emu_core::irq::{GicPort, Group};
use serde::{Deserialize, Serialize};

use super::control::{Control, PRIORITY_BITS, PRIORITY_MASK};
use super::{FIRST_LPI, SPURIOUS, is_special};

/// Most list registers that the architecture has.
pub(super) const MAX_LIST_REGISTERS: usize = 16;

/// ICH_HCR_EL2.
pub(super) mod hcr {
    /// The virtual CPU interface works.
    pub(crate) const EN: u64 = 1 << 0;
    /// Underflow interrupt enable.
    pub(crate) const UIE: u64 = 1 << 1;
    /// List register entry not present interrupt enable.
    pub(crate) const LRENPIE: u64 = 1 << 2;
    /// No pending interrupt enable.
    pub(crate) const NPIE: u64 = 1 << 3;
    /// VM Group 0 enabled interrupt enable; the next three are VGrp0DIE, VGrp1EIE and VGrp1DIE.
    pub(crate) const VGRP0EIE: u64 = 1 << 4;
    /// Trap EL1 accesses of the registers that are common to both groups.
    pub(crate) const TC: u64 = 1 << 10;
    /// Trap EL1 accesses of Group 0 registers.
    pub(crate) const TALL0: u64 = 1 << 11;
    /// Trap EL1 accesses of Group 1 registers.
    pub(crate) const TALL1: u64 = 1 << 12;
    /// Trap EL1 writes of ICC_DIR_EL1.
    pub(crate) const TDIR: u64 = 1 << 14;
    /// EOIcount, bits 31:27.
    pub(crate) const EOICOUNT_ONE: u64 = 1 << 27;
    /// Bits 31:27.
    pub(crate) const EOICOUNT: u64 = 0x1f << 27;
    /// What can be written. TSEI is RES0 (no SErrors from the GIC), as are the bits of GICv4.
    pub(crate) const WRITABLE: u64 = EOICOUNT | TDIR | TALL1 | TALL0 | TC | 0xff;
}

/// `ICH_LR<n>_EL2`.
pub(super) mod lr {
    /// State: active.
    pub(crate) const ACTIVE: u64 = 1 << 63;
    /// State: pending.
    pub(crate) const PENDING: u64 = 1 << 62;
    /// State\[63:62\]; 0 is invalid.
    pub(crate) const STATE: u64 = ACTIVE | PENDING;
    /// Maps a physical interrupt.
    pub(crate) const HW: u64 = 1 << 61;
    /// Group 1.
    pub(crate) const GROUP: u64 = 1 << 60;
    /// With HW = 0: maintenance interrupt at EOI.
    pub(crate) const EOI: u64 = 1 << 41;
    /// State, HW, Group, Priority\[55:51\], pINTID\[44:32\], vINTID\[15:0\].
    pub(crate) const WRITABLE: u64 = 0xf0f8_1fff_0000_ffff;
}

/// ICH_MISR_EL2.
mod misr {
    pub(super) const EOI: u64 = 1 << 0;
    pub(super) const U: u64 = 1 << 1;
    pub(super) const LRENP: u64 = 1 << 2;
    pub(super) const NP: u64 = 1 << 3;
}

/// The state of a virtual CPU interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Virtual {
    pub(super) control: Control,
    pub(super) hcr: u64,
    lr: [u64; MAX_LIST_REGISTERS],
    count: usize,
}

fn group_of(lr: u64) -> Group {
    if lr & lr::GROUP == 0 { Group::G0 } else { Group::G1 }
}

fn priority_of(lr: u64) -> u8 {
    (lr >> 48) as u8
}

fn vintid_of(lr: u64) -> u32 {
    lr as u32
}

impl Virtual {
    pub(super) fn new(list_registers: usize) -> Self {
        Self {
            control: Control::default(),
            hcr: 0,
            lr: [0; MAX_LIST_REGISTERS],
            count: list_registers.clamp(1, MAX_LIST_REGISTERS),
        }
    }

    /// Number of list registers.
    pub(super) fn list_registers(&self) -> usize {
        self.count
    }

    /// True if a restored state keeps this type's invariants.
    pub(super) fn is_sound(&self) -> bool {
        (1..=MAX_LIST_REGISTERS).contains(&self.count)
    }

    /// The list registers that exist.
    fn lrs(&self) -> &[u64] {
        &self.lr[..self.count]
    }

    /// ICH_VTR_EL2: ListRegs, TDS (ICH_HCR_EL2.TDIR works), nV4 (no direct injection), A3V, SEIS 0, IDbits 0 (16
    /// bits), PREbits, PRIbits.
    pub(super) fn vtr(&self) -> u64 {
        let bits = u64::from(PRIORITY_BITS - 1);
        (self.count as u64 - 1) | 1 << 19 | 1 << 20 | 1 << 21 | bits << 26 | bits << 29
    }

    pub(super) fn lr(&self, n: u8) -> u64 {
        self.lrs().get(usize::from(n)).copied().unwrap_or(0)
    }

    pub(super) fn set_lr(&mut self, n: u8, value: u64) {
        if let Some(lr) = self.lr[..self.count].get_mut(usize::from(n)) {
            *lr = value & lr::WRITABLE;
        }
    }

    /// ICH_VMCR_EL2: VENG0, VENG1, VFIQEn (RES1), VCBPR, VEOIM, VBPR1, VBPR0, VPMR.
    pub(super) fn vmcr(&self) -> u64 {
        let c = &self.control;
        u64::from(c.enabled[0])
            | u64::from(c.enabled[1]) << 1
            | 1 << 3
            | u64::from(c.common_bpr) << 4
            | u64::from(c.split_eoi) << 9
            | u64::from(c.raw_bpr(Group::G1)) << 18
            | u64::from(c.raw_bpr(Group::G0)) << 21
            | u64::from(c.pmr) << 24
    }

    pub(super) fn set_vmcr(&mut self, value: u64) {
        let c = &mut self.control;
        c.enabled = [value & 1 != 0, value & 2 != 0];
        c.common_bpr = value & 1 << 4 != 0;
        c.split_eoi = value & 1 << 9 != 0;
        c.set_raw_bpr(Group::G1, value >> 18);
        c.set_raw_bpr(Group::G0, value >> 21);
        c.set_pmr(value >> 24);
    }

    /// A bit per list register for which `f` holds.
    fn bits(&self, f: impl Fn(u64) -> bool) -> u64 {
        self.lrs().iter().enumerate().fold(0, |v, (i, &lr)| v | u64::from(f(lr)) << i)
    }

    /// ICH_EISR_EL2: invalid, not mapped to hardware, and marked to tell of its EOI.
    pub(super) fn eisr(&self) -> u64 {
        self.bits(|lr| lr & (lr::STATE | lr::HW | lr::EOI) == lr::EOI)
    }

    /// ICH_ELRSR_EL2: free for use.
    pub(super) fn elrsr(&self) -> u64 {
        self.bits(|lr| lr & lr::STATE == 0 && lr & (lr::HW | lr::EOI) != lr::EOI)
    }

    /// ICH_MISR_EL2.
    pub(super) fn misr(&self) -> u64 {
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
        let [e0, e1] = self.control.enabled;
        for (i, condition) in [e0, !e0, e1, !e1].into_iter().enumerate() {
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
        let candidates = self
            .lrs()
            .iter()
            .enumerate()
            .filter(|(_, lr)| **lr & lr::STATE == lr::PENDING && self.control.is_enabled(group_of(**lr)));
        candidates.min_by_key(|(_, lr)| priority_of(**lr)).map(|(i, _)| i)
    }

    /// The group of the virtual interrupt that is signalled to the PE.
    pub(super) fn signalled(&self) -> Option<Group> {
        let lr = self.lr[self.highest_pending()?];
        self.control.takes(group_of(lr), priority_of(lr)).then_some(group_of(lr))
    }

    /// ICV_HPPIR0/1_EL1.
    pub(super) fn hppir(&self, group: Group) -> u64 {
        let lr = self.highest_pending().map(|i| self.lr[i]).filter(|lr| group_of(*lr) == group);
        lr.map_or(SPURIOUS, vintid_of).into()
    }

    /// ICV_IAR0/1_EL1.
    pub(super) fn acknowledge(&mut self, group: Group) -> u64 {
        let Some(i) = self.highest_pending() else { return SPURIOUS.into() };
        let lr = self.lr[i];
        if group_of(lr) != group || !self.control.takes(group, priority_of(lr)) {
            return SPURIOUS.into();
        }
        let intid = vintid_of(lr);
        self.lr[i] &= !lr::PENDING;
        if !is_special(intid) {
            self.control.activate(group, priority_of(lr));
            // An LPI has no active state.
            if intid < FIRST_LPI {
                self.lr[i] |= lr::ACTIVE;
            }
        }
        intid.into()
    }

    fn find_active(&self, intid: u32) -> Option<usize> {
        self.lrs().iter().position(|lr| lr & lr::ACTIVE != 0 && vintid_of(*lr) == intid)
    }

    fn count_eoi(&mut self) {
        let count = self.hcr.wrapping_add(hcr::EOICOUNT_ONE) & hcr::EOICOUNT;
        self.hcr = self.hcr & !hcr::EOICOUNT | count;
    }

    fn deactivate(&mut self, i: usize, port: &dyn GicPort) {
        self.lr[i] &= !lr::ACTIVE;
        if self.lr[i] & lr::HW != 0 {
            let physical = (self.lr[i] >> 32) as u32 & 0x1fff;
            if physical < super::FIRST_SPECIAL {
                port.deactivate(physical);
            }
        }
    }

    /// ICV_EOIR0/1_EL1. EOIs that drop no priority do nothing at all; those without a list register are counted.
    pub(super) fn end_of_interrupt(&mut self, group: Group, value: u64, port: &dyn GicPort) {
        let intid = value as u32 & 0xff_ffff;
        if is_special(intid) {
            return;
        }
        let Some((_, dropped)) = self.control.drop_priority() else { return };
        if self.control.split_eoi || intid >= FIRST_LPI {
            return;
        }
        match self.find_active(intid) {
            None => self.count_eoi(),
            Some(i) => {
                let lr = self.lr[i];
                let priority = priority_of(lr) & self.control.group_mask(group);
                if group_of(lr) == group && priority & PRIORITY_MASK == dropped {
                    self.deactivate(i, port);
                }
            }
        }
    }

    /// ICV_DIR_EL1: works in EOImode 1 only.
    pub(super) fn deactivate_interrupt(&mut self, value: u64, port: &dyn GicPort) {
        let intid = value as u32 & 0xff_ffff;
        if !self.control.split_eoi || is_special(intid) || intid >= FIRST_LPI {
            return;
        }
        match self.find_active(intid) {
            None => self.count_eoi(),
            Some(i) => self.deactivate(i, port),
        }
    }
}
