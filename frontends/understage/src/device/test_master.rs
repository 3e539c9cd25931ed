//! The test master: a master on the system bus whose DMA a program drives, behind the system MMU if there is one.

use emu_devices::test_master::{Config, TestMaster};

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

/// The master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Master {
    /// Its transactions can wait for software.
    can_stall: bool,
}

impl Default for Master {
    fn default() -> Self {
        Self { can_stall: true }
    }
}

impl Settings for Master {}

/// The row.
pub static MASTER: Row<Master> = Row {
    name: "test-master",
    about: "a master on the system bus, behind the system MMU, whose DMA a program drives",
    given: Given::Anywhere,
    option: None,
    properties: &[shown(
        property(
            "stall",
            Switch(|master, on| master.can_stall = on),
            "its transactions can wait for software, if the system MMU stalls them",
        ),
        |master| Some(on_or_off(master.can_stall)),
    )],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &map::TEST_MASTERS,
        build,
        nodes: |_, place, machine| vec![node(place, machine)],
    }),
};

/// StreamIDs of the master at a place.
fn streams(place: &Resources) -> Vec<u32> {
    let number = (place.range.base - map::TEST_MASTERS[0].range.base) / place.range.size;
    let first = map::TEST_MASTER_STREAM + number as u32 * map::TEST_MASTER_STREAMS;
    (first..first + map::TEST_MASTER_STREAMS).collect()
}

/// That it can wait is not said: a kernel that does not know how to answer would leave it waiting for ever.
fn node(place: &Resources, machine: &MachineConfig) -> Node {
    let interrupts: Vec<u32> = place.spis.iter().flat_map(|spi| [SPI, *spi, LEVEL]).collect();
    let node = at("test-master", place.range)
        .flag("dma-coherent")
        .cells("interrupts", &interrupts)
        .strings("compatible", &["understage,test-master"]);
    match machine.has_system_mmu() {
        true => {
            let iommus: Vec<u32> = streams(place).into_iter().flat_map(|id| [phandle::IOMMU, id]).collect();
            node.cells("iommus", &iommus)
        }
        false => node,
    }
}

fn build(told: &Master, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let master = TestMaster::new(Config {
        name: &site.name("test-master"),
        streams: &streams(spot.resources),
        may_stall: told.can_stall,
        ports: site.translated_ports(),
        irq: site.line(spis[0]),
        counters: site.counters().clone(),
    });
    site.map(range, master.clone())?;
    site.add(master);
    Ok(())
}
