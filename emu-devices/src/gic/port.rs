//! The PEs' ports and the SPI wires.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::irq::{GicPort, IrqSink, Pending, Sgi};
use emu_core::metrics::Metric;

use super::lpi::FIRST_LPI;
use super::{Gicv3, flag};

/// One PE's way into the GIC.
pub(super) struct Port {
    gic: Arc<Gicv3>,
    pe: usize,
}

impl Port {
    pub(super) fn new(gic: Arc<Gicv3>, pe: usize) -> Self {
        Self { gic, pe }
    }

    /// An SGI reaches a PE only if that PE has it in the group that the sender named (IHI 0069, 12.2.9 and 4.6).
    fn send_to(&self, pe: usize, sgi: Sgi) {
        self.gic.with_private(pe, |b| {
            if b.group(sgi.intid) == Some(sgi.group) {
                b.trigger(sgi.intid);
            }
        });
    }
}

impl GicPort for Port {
    fn highest_pending(&self) -> Option<Pending> {
        self.gic.pes[self.pe].best().get()
    }

    fn acknowledge(&self, intid: u32) -> bool {
        let groups = self.gic.groups(&self.gic.pes[self.pe]);
        match intid {
            0..=31 => self.gic.with_private(self.pe, |b| b.acknowledge(intid, groups)),
            32..FIRST_LPI => {
                self.gic.with_spis(|s| s.is_for(intid, self.pe) && s.state.bank.acknowledge(intid, groups))
            }
            _ => groups.g1 && self.gic.with_lpis(self.pe, |l| l.acknowledge(intid)),
        }
    }

    fn deactivate(&self, intid: u32) {
        match intid {
            0..=31 => self.gic.with_private(self.pe, |b| b.deactivate(intid)),
            32..FIRST_LPI => self.gic.with_spis(|s| s.state.bank.deactivate(intid)),
            // An LPI has no active state.
            _ => {}
        }
    }

    fn send_sgi(&self, sgi: Sgi) {
        self.gic.counters.add(Metric::Sgis, 1);
        if sgi.intid > 15 {
            return;
        }
        if sgi.all_others {
            for pe in (0..self.gic.pes.len()).filter(|&pe| pe != self.pe) {
                self.send_to(pe, sgi);
            }
            return;
        }
        let [aff3, aff2, aff1] = sgi.aff.map(u32::from);
        let cluster = aff3 << 24 | aff2 << 16 | aff1 << 8;
        for bit in (0..16).filter(|b| sgi.targets >> b & 1 != 0) {
            let aff0 = u32::from(sgi.range) * 16 + bit;
            let pe = (aff0 < 256).then(|| self.gic.by_affinity.get(&(cluster | aff0))).flatten();
            if let Some(&pe) = pe {
                self.send_to(pe, sgi);
            }
        }
    }

    fn set_ppi(&self, intid: u32, level: bool) {
        if (16..32).contains(&intid) {
            self.gic.with_private(self.pe, |b| b.set_level(intid, level));
        }
    }

    /// Enabling a group while the redistributor is asleep is a write of a CPU interface that is said to be quiescent,
    /// which is UNPREDICTABLE (11.1). Here it wakes the redistributor as clearing GICR_WAKER.ProcessorSleep does: software
    /// that was written for machines whose firmware had done that gets its interrupts.
    fn set_group_enables(&self, g0: bool, g1: bool) {
        let value = if g0 { flag::G0 } else { 0 } | if g1 { flag::G1 } else { 0 };
        let enabled = value & !self.gic.pes[self.pe].flags.load(SeqCst);
        let woken = if enabled != 0 { flag::ASLEEP } else { 0 };
        self.gic.change_flags(self.pe, flag::G0 | flag::G1 | woken, value);
    }
}

/// The SPI inputs.
pub(super) struct SpiWires {
    gic: Arc<Gicv3>,
}

impl SpiWires {
    pub(super) fn new(gic: Arc<Gicv3>) -> Self {
        Self { gic }
    }
}

impl IrqSink for SpiWires {
    fn set_level(&self, line: u32, level: bool) {
        if line >= self.gic.spi_count {
            return;
        }
        let changed = self.gic.with_spis(|s| s.state.bank.set_level(32 + line, level));
        if changed && level {
            self.gic.counters.add(Metric::SpisRaised, 1);
        }
    }
}
