//! The accelerator, on the system bus, behind the system MMU if there is one.

use emu_devices::accelerator::{Accelerator, Config, LINES};

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::{MachineConfig, Settings};
use crate::error::UserError;
use crate::fdt::Node;
use crate::fdt::nodes::interrupt::{LEVEL, SPI};
use crate::fdt::nodes::{at, phandle};
use crate::map::{self, Resources};
use crate::property::Value::Switch;
use crate::property::{on_or_off, property, shown};

/// Bits of a PASID.
const PASID_BITS: u32 = 20;

/// The accelerator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queues {
    /// Its transactions can wait for software, and the devicetree says so.
    can_stall: bool,
}

impl Queues {
    /// An accelerator that can wait for software, or not.
    #[must_use]
    pub fn new(can_stall: bool) -> Self {
        Self { can_stall }
    }
}

impl Settings for Queues {}

/// The row.
pub static ACCELERATOR: Row<Queues> = Row {
    name: "accelerator",
    about: "queues of copies, fills and checksums, each with a PASID of its own, behind the system MMU",
    given: Given::Anywhere,
    option: None,
    properties: &[shown(
        property(
            "stall",
            Switch(|told, on| told.can_stall = on),
            "its transactions can wait for software, and the devicetree says so: for kernels that answer",
        ),
        |told| Some(on_or_off(told.can_stall)),
    )],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &map::ACCELERATOR,
        build,
        nodes: |told, place, machine| vec![node(told, place, machine)],
    }),
};

fn node(told: &Queues, place: &Resources, machine: &MachineConfig) -> Node {
    let interrupts: Vec<u32> = place.spis.iter().flat_map(|spi| [SPI, *spi, LEVEL]).collect();
    let node = at("accelerator", place.range)
        .flag("dma-coherent")
        .cells("interrupts", &interrupts)
        .strings("compatible", &["understage,accelerator"]);
    if !machine.has_system_mmu() {
        return node;
    }
    let node = node.cells("iommus", &[phandle::IOMMU, map::ACCELERATOR_STREAM]);
    match told.can_stall {
        true => node.flag("dma-can-stall").cells("pasid-num-bits", &[PASID_BITS]),
        false => node,
    }
}

fn build(told: &Queues, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let irqs: [_; LINES] = std::array::from_fn(|n| site.line(spis[n]));
    let accelerator = Accelerator::new(Config {
        name: &site.name("accelerator"),
        stream: map::ACCELERATOR_STREAM,
        may_stall: told.can_stall,
        ports: site.translated_ports(),
        irqs,
        clock: site.clock(),
        counters: site.counters(),
    });
    site.map(range, accelerator.clone())?;
    site.add(accelerator);
    Ok(())
}
