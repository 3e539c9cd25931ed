//! What a physical and a virtual CPU interface have in common: the registers about priorities, groups and the end of
//! interrupts (IHI 0048B, 3.3 to 3.6, 4.4, 5.5).

use emu_core::irq::Group;
use serde::{Deserialize, Serialize};

use super::regs::{Interface as Reg, MIN_BPR};
use crate::gic::bank::Groups;

/// Bits of a priority, and of its part that counts for preemption: 32 levels.
pub(super) const PRIORITY_BITS: u32 = 5;
/// The running priority when nothing is active (4.4.7).
const IDLE: u8 = 0xff;

/// The INTID that says "nothing to acknowledge" (3.2.5).
pub(super) const SPURIOUS: u32 = 1023;
/// The INTID that says "something of Group 1, which this register does not give".
const OF_GROUP_1: u32 = 1022;
/// The first special INTID.
pub(super) const FIRST_SPECIAL: u32 = 1020;

/// GICC_CTLR and GICV_CTLR. There are no interrupt signals to bypass the GIC with: the bits for that are RAZ/WI.
pub(super) mod ctlr {
    /// EnableGrp0.
    pub(crate) const ENABLE_GRP0: u32 = 1 << 0;
    /// EnableGrp1.
    pub(crate) const ENABLE_GRP1: u32 = 1 << 1;
    /// AckCtl: GICC_IAR also gives interrupts of Group 1.
    pub(crate) const ACK_CTL: u32 = 1 << 2;
    /// FIQEn: Group 0 is signalled as FIQ.
    pub(crate) const FIQ_EN: u32 = 1 << 3;
    /// CBPR: GICC_BPR counts for both groups.
    pub(crate) const CBPR: u32 = 1 << 4;
    /// EOImode: GICC_EOIR drops the priority only, GICC_DIR deactivates.
    pub(crate) const EOI_MODE: u32 = 1 << 9;
    /// What can be written.
    pub(crate) const WRITABLE: u32 = EOI_MODE | 0x1f;
}

/// The two sets of IAR, EOIR and HPPIR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// GICC_IAR, GICC_EOIR, GICC_HPPIR: Group 0, with AckCtl also Group 1.
    Plain,
    /// GICC_AIAR, GICC_AEOIR, GICC_AHPPIR: Group 1.
    Aliased,
}

/// The state of a CPU interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interface {
    ctlr: u32,
    pmr: u8,
    /// GICC_BPR, GICC_ABPR.
    bpr: [u8; 2],
    /// GICC_APR0, GICC_NSAPR0: bit n says that an interrupt of group priority 8n is active. A virtual interface keeps both
    /// groups in the first.
    pub(super) active: [u32; 2],
}

impl Default for Interface {
    fn default() -> Self {
        Self { ctlr: 0, pmr: 0, bpr: MIN_BPR, active: [0; 2] }
    }
}

/// 0 or 1.
pub(super) fn index(group: Group) -> usize {
    match group {
        Group::G0 => 0,
        Group::G1 => 1,
    }
}

impl Interface {
    fn has(&self, bit: u32) -> bool {
        self.ctlr & bit != 0
    }

    /// The groups that it signals.
    pub(super) fn groups(&self) -> Groups {
        Groups { g0: self.has(ctlr::ENABLE_GRP0), g1: self.has(ctlr::ENABLE_GRP1) }
    }

    /// EOIR does not deactivate.
    pub(super) fn splits_eoi(&self) -> bool {
        self.has(ctlr::EOI_MODE)
    }

    /// IRQ and FIQ when an interrupt of this group is to be signalled.
    pub(super) fn wires(&self, group: Option<Group>) -> (bool, bool) {
        let fiq = group == Some(Group::G0) && self.has(ctlr::FIQ_EN);
        (group.is_some() && !fiq, fiq)
    }

    /// What an IAR or HPPIR gives in place of an interrupt of `group`, if it does not give that (3.7.2).
    pub(super) fn instead(&self, view: View, group: Group) -> Option<u32> {
        match (view, group) {
            (View::Plain, Group::G1) if !self.has(ctlr::ACK_CTL) => Some(OF_GROUP_1),
            (View::Aliased, Group::G0) => Some(SPURIOUS),
            _ => None,
        }
    }

    /// Whether an EOIR is for interrupts of `group`.
    pub(super) fn ends(&self, view: View, group: Group) -> bool {
        self.instead(view, group).is_none()
    }

    /// The bits of a priority that count for preemption in `group` (3.3.3).
    pub(super) fn group_mask(&self, group: Group) -> u8 {
        let point = match group {
            Group::G1 if !self.has(ctlr::CBPR) => self.bpr[1].saturating_sub(1),
            _ => self.bpr[0],
        };
        (0xff_u32 << (point.min(7) + 1)) as u8
    }

    /// Which of the two registers has the highest active priority, and that priority.
    pub(super) fn highest_active(&self) -> Option<(usize, u8)> {
        let [n0, n1] = self.active.map(u32::trailing_zeros);
        let (slot, n) = if n0 <= n1 { (0, n0) } else { (1, n1) };
        (n < 32).then_some((slot, (n as u8) << (8 - PRIORITY_BITS)))
    }

    /// True if an interrupt of this priority is above the mask and preempts what is being serviced.
    pub(super) fn takes(&self, group: Group, priority: u8) -> bool {
        if priority >= self.pmr {
            return false;
        }
        let mask = self.group_mask(group);
        self.highest_active().is_none_or(|(_, running)| priority & mask < running & mask)
    }

    /// An interrupt is acknowledged: its group priority becomes active in one of the two registers.
    pub(super) fn activate(&mut self, slot: usize, group: Group, priority: u8) {
        let level = (priority & self.group_mask(group)) >> (8 - PRIORITY_BITS);
        self.active[slot] |= 1 << level;
    }

    /// Priority drop: the highest active priority goes.
    pub(super) fn drop_priority(&mut self) {
        if let Some((slot, _)) = self.highest_active() {
            self.active[slot] &= self.active[slot].wrapping_sub(1);
        }
    }

    /// A register that only stores, or is found from stored ones; 0 for the others.
    pub(super) fn read(&self, reg: Reg) -> u32 {
        match reg {
            Reg::Ctlr => self.ctlr,
            Reg::Pmr => self.pmr.into(),
            Reg::Bpr => self.bpr[0].into(),
            Reg::Abpr => self.bpr[1].into(),
            Reg::Rpr => self.highest_active().map_or(IDLE, |(_, p)| p).into(),
            Reg::Apr => self.active[0],
            Reg::Nsapr => self.active[1],
            // Those of an interrupt, which is not the interface's; and those that are write-only.
            Reg::Iar | Reg::Aiar | Reg::Hppir | Reg::Ahppir => 0,
            Reg::Eoir | Reg::Aeoir | Reg::Dir => 0,
        }
    }

    /// Writes a register that only stores. A binary point below the least is the least.
    pub(super) fn write(&mut self, reg: Reg, value: u32) {
        match reg {
            Reg::Ctlr => self.ctlr = value,
            Reg::Pmr => self.pmr = value as u8,
            Reg::Bpr => self.bpr[0] = (value as u8).max(MIN_BPR[0]),
            Reg::Abpr => self.bpr[1] = (value as u8).max(MIN_BPR[1]),
            Reg::Apr => self.active[0] = value,
            Reg::Nsapr => self.active[1] = value,
            // Read-only, or about an interrupt.
            Reg::Iar | Reg::Aiar | Reg::Hppir | Reg::Ahppir | Reg::Rpr => {}
            Reg::Eoir | Reg::Aeoir | Reg::Dir => {}
        }
    }
}
