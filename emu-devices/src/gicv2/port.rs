//! The wires of the PEs and of the SPIs.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::irq::{GicWires, IrqSink, Signals};
use emu_core::metrics::Metric;

use super::{Gicv2, unpack};

/// One PE's wires.
pub(super) struct Wires {
    gic: Arc<Gicv2>,
    cpu: usize,
}

impl Wires {
    pub(super) fn new(gic: Arc<Gicv2>, cpu: usize) -> Self {
        Self { gic, cpu }
    }
}

impl GicWires for Wires {
    fn signals(&self) -> Signals {
        unpack(self.gic.outlets[self.cpu].signals.load(SeqCst))
    }

    fn set_ppi(&self, intid: u32, level: bool) {
        if (16..32).contains(&intid) {
            self.gic.change(|s| s.distributor.set_ppi(self.cpu, intid, level));
        }
    }
}

/// The SPI inputs.
pub(super) struct SpiWires {
    gic: Arc<Gicv2>,
}

impl SpiWires {
    pub(super) fn new(gic: Arc<Gicv2>) -> Self {
        Self { gic }
    }
}

impl IrqSink for SpiWires {
    fn set_level(&self, line: u32, level: bool) {
        let changed = self.gic.change(|s| s.distributor.set_spi(line, level));
        if changed && level {
            self.gic.counters.add(Metric::SpisRaised, 1);
        }
    }
}
