//! A bank of interrupts with the state machine of IHI 0069, 4.1.2, which is that of a GICv2, too (IHI 0048B, 3.2.4): the SGIs
//! and PPIs of one PE, or all SPIs.

use emu_core::irq::{Group, Pending};
use serde::{Deserialize, Serialize};

use super::regs::BankReg;

/// Which groups are forwarded to a PE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Groups {
    /// Group 0.
    pub(crate) g0: bool,
    /// Group 1.
    pub(crate) g1: bool,
}

impl Groups {
    /// True if interrupts of `group` are forwarded.
    pub(crate) fn has(self, group: Group) -> bool {
        match group {
            Group::G0 => self.g0,
            Group::G1 => self.g1,
        }
    }
}

/// 32 interrupts; bit n is the n-th.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    /// Pending by an edge, by a message or by a register write, until acknowledged or cleared.
    latch: u32,
    /// The wires.
    level: u32,
    /// Level-sensitive interrupts held up by GICD_SETSPI_NSR until GICD_CLRSPI_NSR (4.3.1).
    message: u32,
    enabled: u32,
    active: u32,
    /// 1: Group 1.
    group: u32,
    /// 1: edge-triggered.
    edge: u32,
}

impl Word {
    /// An edge-triggered interrupt is pending by its latch, a level-sensitive one also while it is asserted.
    fn pending(&self) -> u32 {
        self.latch | ((self.level | self.message) & !self.edge)
    }

    /// What may be forwarded: "active and pending" is not, until it is deactivated.
    fn ready(&self, groups: Groups) -> u32 {
        let forwarded = if groups.g0 { !self.group } else { 0 } | if groups.g1 { self.group } else { 0 };
        self.pending() & self.enabled & !self.active & forwarded
    }
}

/// Interrupts `first .. first + 32 * words`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bank {
    first: u32,
    words: Vec<Word>,
    priority: Vec<u8>,
    /// Interrupts of word 0 whose trigger is fixed to edge (SGIs).
    fixed_edge: u32,
}

impl Bank {
    /// `count` interrupts from `first` on, a multiple of 32.
    pub(crate) fn new(first: u32, count: u32, fixed_edge: u32) -> Self {
        let mut bank = Self {
            first,
            words: vec![Word::default(); count as usize / 32],
            priority: vec![0; count as usize],
            fixed_edge,
        };
        bank.reset();
        bank
    }

    /// The state after reset. The wires keep their levels: they belong to the devices.
    pub(crate) fn reset(&mut self) {
        for w in &mut self.words {
            *w = Word { level: w.level, ..Word::default() };
        }
        if let Some(w) = self.words.first_mut() {
            w.edge = self.fixed_edge;
        }
        self.priority.fill(0);
    }

    /// True if `other` has the same interrupts and complete vectors: a saved bank that fits here.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        self.first == other.first
            && self.words.len() == other.words.len()
            && self.priority.len() == other.priority.len()
            && self.fixed_edge == other.fixed_edge
    }

    fn locate(&self, intid: u32) -> Option<(usize, u32)> {
        let n = intid.checked_sub(self.first)? as usize;
        (n < self.priority.len()).then_some((n / 32, 1 << (n % 32)))
    }

    /// True if the bank has this interrupt.
    pub(crate) fn holds(&self, intid: u32) -> bool {
        self.locate(intid).is_some()
    }

    /// The wire of `intid` is at `level` now. True if that is a change.
    pub(crate) fn set_level(&mut self, intid: u32, level: bool) -> bool {
        let Some((w, bit)) = self.locate(intid) else { return false };
        let word = &mut self.words[w];
        if (word.level & bit != 0) == level {
            return false;
        }
        word.level ^= bit;
        if level {
            word.latch |= bit & word.edge;
        }
        true
    }

    /// An edge that has no wire: an SGI.
    pub(crate) fn trigger(&mut self, intid: u32) {
        if let Some((w, bit)) = self.locate(intid) {
            self.words[w].latch |= bit;
        }
    }

    /// GICD_SETSPI_NSR and GICD_CLRSPI_NSR.
    pub(crate) fn message(&mut self, intid: u32, set: bool) {
        let Some((w, bit)) = self.locate(intid) else { return };
        let word = &mut self.words[w];
        let edge = word.edge & bit != 0;
        let field = if edge { &mut word.latch } else { &mut word.message };
        if set {
            *field |= bit;
        } else {
            *field &= !bit;
        }
    }

    /// Pending to active. False if the interrupt could not have been signalled.
    pub(crate) fn acknowledge(&mut self, intid: u32, groups: Groups) -> bool {
        let Some((w, bit)) = self.locate(intid) else { return false };
        let word = &mut self.words[w];
        if word.ready(groups) & bit == 0 {
            return false;
        }
        word.latch &= !bit;
        word.active |= bit;
        true
    }

    /// Active to inactive.
    pub(crate) fn deactivate(&mut self, intid: u32) {
        if let Some((w, bit)) = self.locate(intid) {
            self.words[w].active &= !bit;
        }
    }

    /// The group that `intid` is configured for.
    pub(crate) fn group(&self, intid: u32) -> Option<Group> {
        let (w, bit) = self.locate(intid)?;
        Some(if self.words[w].group & bit == 0 { Group::G0 } else { Group::G1 })
    }

    /// Calls `f` with every interrupt that may be forwarded.
    pub(crate) fn for_each_ready(&self, groups: Groups, mut f: impl FnMut(Pending)) {
        for (w, word) in self.words.iter().enumerate() {
            let mut ready = word.ready(groups);
            while ready != 0 {
                let b = ready.trailing_zeros();
                let n = w * 32 + b as usize;
                let group = if word.group >> b & 1 == 0 { Group::G0 } else { Group::G1 };
                f(Pending { intid: self.first + n as u32, priority: self.priority[n], group });
                ready &= ready - 1;
            }
        }
    }

    /// Reads the register that holds the interrupts 32n .. 32n + 31 of the bank.
    pub(crate) fn read_bits(&self, reg: BankReg, n: usize) -> u32 {
        let Some(w) = self.words.get(n) else { return 0 };
        match reg {
            BankReg::Group => w.group,
            BankReg::SetEnable | BankReg::ClearEnable => w.enabled,
            BankReg::SetPending | BankReg::ClearPending => w.pending(),
            BankReg::SetActive | BankReg::ClearActive => w.active,
        }
    }

    /// Writes that register.
    pub(crate) fn write_bits(&mut self, reg: BankReg, n: usize, value: u32) {
        let Some(w) = self.words.get_mut(n) else { return };
        match reg {
            BankReg::Group => w.group = value,
            BankReg::SetEnable => w.enabled |= value,
            BankReg::ClearEnable => w.enabled &= !value,
            BankReg::SetPending => w.latch |= value,
            BankReg::ClearPending => w.latch &= !value,
            BankReg::SetActive => w.active |= value,
            BankReg::ClearActive => w.active &= !value,
        }
    }

    /// Reads `bytes` priorities from the n-th on.
    pub(crate) fn read_priority(&self, n: usize, bytes: usize) -> u32 {
        let fields = self.priority.iter().skip(n).take(bytes).enumerate();
        fields.fold(0, |v, (i, &p)| v | u32::from(p) << (8 * i))
    }

    /// Writes `bytes` priorities from the n-th on.
    pub(crate) fn write_priority(&mut self, n: usize, bytes: usize, value: u32) {
        for (i, p) in self.priority.iter_mut().skip(n).take(bytes).enumerate() {
            *p = (value >> (8 * i)) as u8;
        }
    }

    /// Reads the n-th ICFGR: 16 interrupts, two bits each, of which the upper one says "edge".
    pub(crate) fn read_config(&self, n: usize) -> u32 {
        let Some(w) = self.words.get(n / 2) else { return 0 };
        let half = w.edge >> (16 * (n % 2));
        (0..16).fold(0, |v, i| v | (half >> i & 1) << (2 * i + 1))
    }

    /// Writes the n-th ICFGR.
    pub(crate) fn write_config(&mut self, n: usize, value: u32) {
        let fixed = if n / 2 == 0 { self.fixed_edge } else { 0 };
        let Some(w) = self.words.get_mut(n / 2) else { return };
        let shift = 16 * (n % 2);
        let half = (0..16).fold(0u32, |v, i| v | (value >> (2 * i + 1) & 1) << i);
        w.edge = (w.edge & !(0xffff << shift)) | half << shift | fixed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Groups = Groups { g0: true, g1: true };

    fn ready(bank: &Bank) -> Vec<u32> {
        let mut v = Vec::new();
        bank.for_each_ready(BOTH, |p| v.push(p.intid));
        v
    }

    #[test]
    fn level_sensitive_follows_the_wire() {
        let mut b = Bank::new(32, 32, 0);
        b.write_bits(BankReg::SetEnable, 0, !0);
        assert!(b.set_level(40, true) && !b.set_level(40, true));
        assert_eq!(ready(&b), [40]);
        b.write_bits(BankReg::ClearPending, 0, !0);
        assert_eq!(ready(&b), [40], "the wire is still up");
        assert!(b.acknowledge(40, BOTH));
        assert_eq!(b.read_bits(BankReg::SetPending, 0), 1 << 8, "active and pending");
        assert_eq!(ready(&b), [0; 0]);
        b.deactivate(40);
        assert_eq!(ready(&b), [40]);
        b.set_level(40, false);
        assert_eq!(ready(&b), [0; 0]);
        assert!(!b.acknowledge(40, BOTH));
    }

    #[test]
    fn ispendr_on_a_level_sensitive_interrupt_lasts_until_acknowledged() {
        let mut b = Bank::new(32, 32, 0);
        b.write_bits(BankReg::SetEnable, 0, 1);
        b.write_bits(BankReg::SetPending, 0, 1);
        b.set_level(32, true);
        b.set_level(32, false);
        assert_eq!(ready(&b), [32]);
        assert!(b.acknowledge(32, BOTH));
        assert_eq!(b.read_bits(BankReg::ClearPending, 0), 0);
    }

    #[test]
    fn edges_latch() {
        let mut b = Bank::new(32, 32, 0);
        b.write_bits(BankReg::SetEnable, 0, !0);
        b.write_config(0, 0b10 << 2);
        assert_eq!(b.read_config(0), 0b10 << 2);
        b.set_level(33, true);
        b.set_level(33, false);
        assert_eq!(ready(&b), [33]);
        assert!(b.acknowledge(33, BOTH));
        b.set_level(33, true);
        assert_eq!(b.read_bits(BankReg::SetPending, 0), 2, "a new edge while active");
        b.write_bits(BankReg::ClearPending, 0, 2);
        b.deactivate(33);
        assert_eq!(ready(&b), [0; 0], "no new edge");
    }

    #[test]
    fn messages() {
        let mut b = Bank::new(32, 64, 0);
        b.write_bits(BankReg::SetEnable, 1, !0);
        b.message(64, true);
        assert!(b.acknowledge(64, BOTH));
        b.deactivate(64);
        assert_eq!(ready(&b), [64], "level-sensitive: until the clearing message");
        b.message(64, false);
        assert_eq!(ready(&b), [0; 0]);
        b.write_config(2, 0b10);
        b.message(64, true);
        assert!(b.acknowledge(64, BOTH));
        b.deactivate(64);
        assert_eq!(ready(&b), [0; 0]);
    }

    #[test]
    fn groups_gate() {
        let mut b = Bank::new(0, 32, 0xffff);
        b.write_bits(BankReg::SetEnable, 0, !0);
        b.write_bits(BankReg::Group, 0, 1);
        b.trigger(0);
        b.trigger(1);
        let mut only = Vec::new();
        b.for_each_ready(Groups { g0: true, g1: false }, |p| only.push((p.intid, p.group)));
        assert_eq!(only, [(1, Group::G0)]);
        assert!(!b.acknowledge(0, Groups { g0: true, g1: false }));
        b.write_config(0, 0);
        assert_eq!(b.read_config(0), 0xaaaa_aaaa, "SGIs are edge-triggered");
    }

    #[test]
    fn outside_of_the_bank_nothing_happens() {
        let mut b = Bank::new(32, 32, 0);
        b.trigger(64);
        b.trigger(31);
        b.message(5, true);
        b.write_bits(BankReg::SetEnable, 7, !0);
        b.write_priority(30, 4, !0);
        b.write_config(9, !0);
        assert_eq!((b.read_bits(BankReg::SetEnable, 7), b.read_config(9), b.read_priority(32, 4)), (0, 0, 0));
        assert_eq!(b.read_priority(28, 4), 0xffff_0000);
        assert!(!b.acknowledge(9999, BOTH));
    }
}
