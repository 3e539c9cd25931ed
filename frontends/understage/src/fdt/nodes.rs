//! Nodes of the board as several modules make them, and what they refer to.

use super::Node;
use crate::map::{Range, Resources};

/// Handles by which nodes refer to each other.
pub mod phandle {
    /// The fixed clock of PrimeCells.
    pub const CLOCK: u32 = 0x8000;
    /// The interrupt controller.
    pub const GIC: u32 = 0x8001;
    /// The ITS, or the GICv2m frame.
    pub const MSI: u32 = 0x8002;
    /// The GPIO controller.
    pub const GPIO: u32 = 0x8003;
    /// The system MMU.
    pub const IOMMU: u32 = 0x8004;
    /// The first CPU's; the others follow.
    pub const CPU: u32 = 0x8010;
}

/// Cells of a GIC interrupt specifier (Devicetree bindings of the GIC).
pub mod interrupt {
    /// An SPI.
    pub const SPI: u32 = 0;
    /// A PPI.
    pub const PPI: u32 = 1;
    /// It is triggered by a rising edge.
    pub const EDGE: u32 = 1;
    /// It is triggered by a high level.
    pub const LEVEL: u32 = 4;
}
use interrupt::{LEVEL, SPI};

/// A node named by its address, with `reg`.
#[must_use]
pub fn at(name: &str, range: Range) -> Node {
    Node::new(format!("{name}@{:x}", range.base)).wide("reg", &[range.base, range.size])
}

/// A PrimeCell with one interrupt: its clocks are the fixed one.
#[must_use]
pub fn primecell(name: &str, place: &Resources, clocks: &[&str]) -> Node {
    let interrupts: Vec<u32> = place.spis.iter().flat_map(|spi| [SPI, *spi, LEVEL]).collect();
    at(name, place.range)
        .strings("clock-names", clocks)
        .cells("clocks", &vec![phandle::CLOCK; clocks.len()])
        .cells("interrupts", &interrupts)
        .strings("compatible", &[&format!("arm,{name}"), "arm,primecell"])
}
