//! The DMA controller PL330, on the system bus, behind the system MMU if there is one.

use emu_devices::pl330::{Config, Pl330};

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::{MachineConfig, Settings};
use crate::error::UserError;
use crate::fdt::Node;
use crate::fdt::nodes::{phandle, primecell};
use crate::map::{self, Resources};

/// The controller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DmaController;

impl Settings for DmaController {}

/// The row.
pub static CONTROLLER: Row<DmaController> = Row {
    name: "pl330",
    about: "DMA controller on the system bus, behind the system MMU",
    given: Given::Anywhere,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &map::PL330,
        build,
        nodes: |_, place, machine| vec![node(place, machine)],
    }),
};

/// StreamID of the controller at a place.
fn stream(place: &Resources) -> u32 {
    map::PL330_STREAM + ((place.range.base - map::PL330[0].range.base) / place.range.size) as u32
}

fn node(place: &Resources, machine: &MachineConfig) -> Node {
    let node = primecell("pl330", place, &["apb_pclk"]).cells("#dma-cells", &[1]).flag("dma-coherent");
    match machine.has_system_mmu() {
        true => node.cells("iommus", &[phandle::IOMMU, stream(place)]),
        false => node,
    }
}

fn build(_: &DmaController, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let controller = Pl330::new(Config {
        name: &site.name("pl330"),
        stream: stream(spot.resources),
        ports: site.translated_ports(),
        irq: site.line(spis[0]),
        clock: site.clock(),
        counters: site.counters(),
    });
    site.map(range, controller.clone())?;
    site.add(controller);
    Ok(())
}
