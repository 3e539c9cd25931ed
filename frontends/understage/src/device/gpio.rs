//! The board's GPIO controller (PL061), which has the power key.

use emu_core::irq::IrqLine;
use emu_devices::gpio::pl061::Pl061;

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::Settings;
use crate::error::UserError;
use crate::fdt::Node;
use crate::fdt::nodes::{phandle, primecell};
use crate::map::{self, Resources};

/// The controller, which is told nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gpio;

impl Settings for Gpio {}

/// The row.
pub static CONTROLLER: Row<Gpio> = Row {
    name: "pl061",
    about: "GPIO controller",
    given: Given::Board,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform { places: |_| &[map::GPIO], build, nodes: |_, at, _| nodes(at) }),
};

fn build(_: &Gpio, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let name = format!("pl061@{:x}", range.base);
    let gpio = Pl061::new(&name, site.line(spis[0]), [const { None }; 8], site.counters());
    site.map(range, gpio.clone())?;
    site.power_key(IrqLine::new(gpio.clone(), map::POWER_BUTTON_PIN));
    site.add(gpio);
    Ok(())
}

fn nodes(at: &Resources) -> Vec<Node> {
    const KEY_POWER: u32 = 116;
    let key = Node::new("poweroff")
        .cells("gpios", &[phandle::GPIO, map::POWER_BUTTON_PIN, 0])
        .cells("linux,code", &[KEY_POWER])
        .strings("label", &["GPIO Key Poweroff"]);
    let controller = primecell("pl061", at, &["apb_pclk"])
        .flag("gpio-controller")
        .cells("#gpio-cells", &[2])
        .cells("phandle", &[phandle::GPIO]);
    vec![Node::new("gpio-keys").strings("compatible", &["gpio-keys"]).child(key), controller]
}
