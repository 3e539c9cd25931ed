//! What a physical and a virtual CPU interface have in common: priority mask, binary points, group enables, EOI mode
//! and active priorities (IHI 0069, 4.8). The physical interface keeps it as `ICC_*`, the virtual one as ICH_VMCR_EL2
//! and `ICH_AP*`; both show it to software through the same registers.

use emu_core::irq::Group;
use serde::{Deserialize, Serialize};

/// Priority bits, and preemption bits: 32 levels of each. ICC_CTLR_EL1.PRIbits, ICH_VTR_EL2.PRIbits and PREbits hold
/// this number less one; there is one active priorities register per group.
pub(super) const PRIORITY_BITS: u32 = 5;
/// The implemented bits of a priority.
pub(super) const PRIORITY_MASK: u8 = !0 << (8 - PRIORITY_BITS);
/// The running priority when nothing is active.
pub(super) const IDLE: u8 = 0xff;
/// Least binary point of Group 0 (12.2.5): 7 less the number of preemption bits.
const MIN_BPR0: u8 = 7 - PRIORITY_BITS as u8;
/// Least binary points; that of Group 1 is one more.
const MIN_BPR: [u8; 2] = [MIN_BPR0, MIN_BPR0 + 1];

/// ICC_CTLR_EL1.CBPR.
const CTLR_CBPR: u64 = 1 << 0;
/// ICC_CTLR_EL1.EOImode.
const CTLR_EOIMODE: u64 = 1 << 1;
/// The constants of ICC_CTLR_EL1 and ICV_CTLR_EL1: PRIbits\[10:8\], IDbits\[13:11\] = 0 (16 bits), SEIS 0, A3V, RSS.
const CTLR_FIXED: u64 = ((PRIORITY_BITS - 1) as u64) << 8 | 1 << 15 | 1 << 18;

/// The state behind ICC_PMR, ICC_BPR0/1, ICC_CTLR, ICC_IGRPEN0/1, ICC_AP0R0 and ICC_AP1R0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Control {
    pub(super) pmr: u8,
    bpr: [u8; 2],
    /// One binary point, that of Group 0, for both groups.
    pub(super) common_bpr: bool,
    /// EOImode 1: EOIR drops the priority only, DIR deactivates.
    pub(super) split_eoi: bool,
    pub(super) enabled: [bool; 2],
    /// Bit n: an interrupt of group priority 8n is active.
    pub(super) active: [u32; 2],
}

impl Default for Control {
    fn default() -> Self {
        Self {
            pmr: 0,
            bpr: MIN_BPR,
            common_bpr: false,
            split_eoi: false,
            enabled: [false; 2],
            active: [0; 2],
        }
    }
}

/// 0 or 1.
pub(super) fn index(group: Group) -> usize {
    match group {
        Group::G0 => 0,
        Group::G1 => 1,
    }
}

impl Control {
    pub(super) fn set_pmr(&mut self, value: u64) {
        self.pmr = value as u8 & PRIORITY_MASK;
    }

    pub(super) fn is_enabled(&self, group: Group) -> bool {
        self.enabled[index(group)]
    }

    /// The stored binary point.
    pub(super) fn raw_bpr(&self, group: Group) -> u8 {
        self.bpr[index(group)]
    }

    /// Stores a binary point; one below the least is the least.
    pub(super) fn set_raw_bpr(&mut self, group: Group, value: u64) {
        let i = index(group);
        self.bpr[i] = (value as u8 & 7).max(MIN_BPR[i]);
    }

    /// What ICC_BPR0/1 reads: with CBPR, that of Group 1 is that of Group 0 plus one, at most 7.
    pub(super) fn bpr(&self, group: Group) -> u64 {
        match group {
            Group::G1 if self.common_bpr => (self.bpr[0] + 1).min(7).into(),
            _ => self.raw_bpr(group).into(),
        }
    }

    /// Writes ICC_BPR0/1: ignored for Group 1 with CBPR.
    pub(super) fn set_bpr(&mut self, group: Group, value: u64) {
        if group == Group::G0 || !self.common_bpr {
            self.set_raw_bpr(group, value);
        }
    }

    pub(super) fn ctlr(&self) -> u64 {
        let cbpr = if self.common_bpr { CTLR_CBPR } else { 0 };
        let mode = if self.split_eoi { CTLR_EOIMODE } else { 0 };
        CTLR_FIXED | cbpr | mode
    }

    pub(super) fn set_ctlr(&mut self, value: u64) {
        self.common_bpr = value & CTLR_CBPR != 0;
        self.split_eoi = value & CTLR_EOIMODE != 0;
    }

    /// The bits of a priority that count for preemption in `group` (4.8.2).
    pub(super) fn group_mask(&self, group: Group) -> u8 {
        let point = match group {
            Group::G1 if !self.common_bpr => self.bpr[1].saturating_sub(1),
            _ => self.bpr[0],
        };
        (0xff_u32 << (point + 1)) as u8
    }

    /// The running priority: [`IDLE`] if nothing is active.
    pub(super) fn running(&self) -> u8 {
        self.highest_active().map_or(IDLE, |(_, p)| p)
    }

    /// Group and group priority of what is being serviced.
    pub(super) fn highest_active(&self) -> Option<(Group, u8)> {
        let [n0, n1] = self.active.map(u32::trailing_zeros);
        let (group, n) = if n0 <= n1 { (Group::G0, n0) } else { (Group::G1, n1) };
        (n < 32).then_some((group, (n as u8) << (8 - PRIORITY_BITS)))
    }

    /// True if an interrupt of this priority is above the mask and preempts what is being serviced (4.8.6).
    pub(super) fn takes(&self, group: Group, priority: u8) -> bool {
        if priority >= self.pmr {
            return false;
        }
        let running = self.running();
        let mask = self.group_mask(group);
        running == IDLE || priority & mask < running & mask
    }

    /// An interrupt is acknowledged: its group priority becomes active.
    pub(super) fn activate(&mut self, group: Group, priority: u8) {
        let level = (priority & self.group_mask(group)) >> (8 - PRIORITY_BITS);
        self.active[index(group)] |= 1 << level;
    }

    /// Priority drop: the highest active priority of either group goes; says which that was.
    pub(super) fn drop_priority(&mut self) -> Option<(Group, u8)> {
        let (group, priority) = self.highest_active()?;
        let bits = &mut self.active[index(group)];
        *bits &= bits.wrapping_sub(1);
        Some((group, priority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_points() {
        let mut c = Control::default();
        assert_eq!((c.bpr(Group::G0), c.bpr(Group::G1)), (2, 3));
        assert_eq!((c.group_mask(Group::G0), c.group_mask(Group::G1)), (0xf8, 0xf8));
        c.set_bpr(Group::G0, 0);
        c.set_bpr(Group::G1, 0);
        assert_eq!((c.bpr(Group::G0), c.bpr(Group::G1)), (2, 3));
        c.set_bpr(Group::G0, 7);
        c.set_bpr(Group::G1, 7);
        assert_eq!((c.group_mask(Group::G0), c.group_mask(Group::G1)), (0, 0x80));
        c.set_ctlr(1);
        assert_eq!((c.bpr(Group::G1), c.group_mask(Group::G1)), (7, 0));
        c.set_bpr(Group::G0, 4);
        c.set_bpr(Group::G1, 3);
        assert_eq!((c.bpr(Group::G1), c.raw_bpr(Group::G1)), (5, 7));
    }

    #[test]
    fn active_priorities_nest() {
        let mut c = Control::default();
        c.set_pmr(0xff);
        assert_eq!((c.pmr, c.running()), (0xf8, IDLE));
        c.activate(Group::G1, 0xa0);
        c.activate(Group::G0, 0x20);
        assert_eq!(c.active, [1 << 4, 1 << 20]);
        assert_eq!(c.running(), 0x20);
        assert!(c.takes(Group::G1, 0x18) && !c.takes(Group::G1, 0x20));
        assert_eq!(c.drop_priority(), Some((Group::G0, 0x20)));
        assert_eq!(c.drop_priority(), Some((Group::G1, 0xa0)));
        assert_eq!(c.drop_priority(), None);
        assert!(!c.takes(Group::G1, 0xf8), "equal to the mask");
    }
}
