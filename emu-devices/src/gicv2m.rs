//! The GICv2m MSI frame (Arm SBSA, appendix E): a write of an INTID makes that SPI pending. It works with the SPIs of either
//! GIC. It has no state: what it made pending is the distributor's.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Hit, Listed, Map, Sizes, Target, constants, word};

/// Bytes of the frame.
pub const SIZE: u64 = 0x1000;

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// MSI_TYPER: the first INTID in bits 25:16, the number of SPIs in bits 9:0.
    Typer,
    /// MSI_SETSPI_NS: makes an SPI pending.
    SetSpi,
}

/// The registers (SBSA, appendix E). MSI_IIDR says implementer Arm, product 0.
pub static MAP: Map<Reg> = Map {
    specification: "Arm SBSA, appendix E (GICv2m)",
    window: SIZE,
    rows: &[
        word("MSI_TYPER", 0x008, Reg::Typer).read_only(0x03ff_03ff).varies(),
        word("MSI_SETSPI_NS", 0x040, Reg::SetSpi).takes(Sizes::HALF_OR_WORD).write_only(0x3ff),
        constants("MSI_IIDR", 0xfcc, &[0x43b]),
    ],
};

/// The first SPI as an INTID.
const FIRST_SPI: u32 = 32;

/// See the module's head.
pub struct Gicv2m {
    spis: Arc<dyn IrqSink>,
    first: u32,
    count: u32,
    counters: Arc<Counters>,
}

impl Gicv2m {
    /// A frame for `count` SPIs from `first` on, which is counted from 0.
    #[must_use]
    pub fn new(spis: Arc<dyn IrqSink>, first: u32, count: u32, counters: &Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { spis, first, count, counters: counters.clone() })
    }

    fn peek(&self, reg: Reg) -> u32 {
        match reg {
            Reg::Typer => (self.first + FIRST_SPI) << 16 | self.count,
            // Write-only.
            Reg::SetSpi => 0,
        }
    }

    fn anomaly(&self, what: &str, detail: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: "gic", detail = format_args!("{detail:#x}"), "{what}");
    }
}

impl MmioDevice for Gicv2m {
    fn name(&self) -> &str {
        "gicv2m"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = MAP.find(offset, size).filter(|_| size == Size::B4) else {
            self.anomaly("read of no register of the MSI frame", offset);
            return Ok(0);
        };
        Ok(hit.read(size, |reg| self.peek(reg).into()))
    }

    /// A message is an edge, whatever the SPI is configured for.
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let hit = MAP.find(offset, size).filter(|hit| hit.byte == 0);
        match hit.as_ref().map(Hit::target) {
            Some(Target::Register(Reg::SetSpi)) => {
                let line = (value as u32 & 0x3ff).wrapping_sub(FIRST_SPI);
                if line.wrapping_sub(self.first) < self.count {
                    self.counters.add(Metric::Msis, 1);
                    IrqLine::new(self.spis.clone(), line).pulse();
                } else {
                    self.anomaly("message for an SPI that is not the frame's", value);
                }
            }
            Some(Target::Register(Reg::Typer) | Target::ReadOnly | Target::Ignored) | None => {
                self.anomaly("write of no register of the MSI frame", offset);
            }
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        MAP.list(0, |reg, _| Some(self.peek(reg).into()))
    }
}

#[cfg(test)]
mod tests {
    use test_kit::wires::Wires;

    use super::*;

    const NIC: Requester = Requester::Device(8);

    #[test]
    fn a_message_is_an_edge_of_an_spi() {
        let (log, counters) = (Arc::new(Wires::default()), Arc::<Counters>::default());
        let frame = Gicv2m::new(log.clone(), 48, 64, &counters);
        assert_eq!(frame.read(0x008, Size::B4, NIC), Ok(80 << 16 | 64), "MSI_TYPER: 64 from INTID 80 on");
        for intid in [80, 143] {
            frame.write(0x040, Size::B4, intid, NIC).unwrap();
        }
        frame.write(0x040, Size::B2, 81, NIC).unwrap();
        let expected = [(48, true), (48, false), (111, true), (111, false), (49, true), (49, false)];
        assert_eq!(log.log(), expected);
        assert_eq!((counters.get(Metric::Msis), counters.get(Metric::Anomalies)), (3, 0));
    }

    #[test]
    fn other_spis_are_out_of_reach() {
        let (log, counters) = (Arc::new(Wires::default()), Arc::<Counters>::default());
        let frame = Gicv2m::new(log.clone(), 48, 64, &counters);
        for intid in [0, 31, 32, 79, 144, 1023] {
            frame.write(0x040, Size::B4, intid, NIC).unwrap();
        }
        frame.write(0x040, Size::B8, 80, NIC).unwrap();
        frame.write(0x044, Size::B4, 80, NIC).unwrap();
        assert!(log.log().is_empty());
        assert_eq!(counters.get(Metric::Anomalies), 8);
    }
}
