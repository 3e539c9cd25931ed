//! A PCI Express root port: a bridge from the root bus to a slot.

use emu_devices::pci::{RootPort, RootPortOptions};

use super::kind::{Given, Model, Row};
use crate::config::{Device, Settings};
use crate::error::{UserError, user_error};
use crate::property::Value::{Number, Switch};
use crate::property::{property, shown};

/// The port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// The number of the chassis that the slot is in.
    chassis: u8,
    /// What the port is told itself.
    options: RootPortOptions,
}

impl Default for Port {
    fn default() -> Self {
        Self { chassis: 0, options: RootPortOptions { slot: 0, port: 0, hotplug: true } }
    }
}

impl Settings for Port {}

impl Port {
    /// What is in its slot can be exchanged while the machine runs.
    #[must_use]
    pub fn has_hotplug(&self) -> bool {
        self.options.hotplug
    }
}

fn byte(into: &mut u8, value: u64, name: &str) -> Result<(), UserError> {
    *into = u8::try_from(value).map_err(|_| user_error!("{name}={value} is not from 0 to 255"))?;
    Ok(())
}

/// The row.
pub static PORT: Row<Port> = Row {
    name: "pcie-root-port",
    about: "PCI Express root port, with a slot for one device",
    given: Given::Anywhere,
    option: None,
    properties: &[
        shown(
            property(
                "chassis",
                Number(|port, n| byte(&mut port.chassis, n, "chassis")),
                "number of the chassis; slots in one chassis have different numbers",
            ),
            |port| Some(port.chassis.to_string()),
        ),
        shown(
            property(
                "slot",
                Number(|port, n| {
                    let slot = u16::try_from(n).ok().filter(|n| *n < 1 << 13);
                    port.options.slot = slot.ok_or_else(|| user_error!("slot={n} is not from 0 to 8191"))?;
                    Ok(())
                }),
                "physical number of the slot",
            ),
            |port| Some(port.options.slot.to_string()),
        ),
        shown(
            property("port", Number(|port, n| byte(&mut port.options.port, n, "port")), "number of the port"),
            |port| Some(port.options.port.to_string()),
        ),
        shown(
            property(
                "hotplug",
                Switch(|port, on| port.options.hotplug = on),
                "what is in the slot can be exchanged while the machine runs",
            ),
            |port| Some(if port.options.hotplug { "on" } else { "off" }.to_owned()),
        ),
    ],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Bridge(|port, site| {
        Ok(RootPort::new(&site.name("pcie-root-port"), port.options, site.counters()))
    }),
};

/// Root ports are on the root bus, and their slots have different numbers in each chassis.
pub(super) fn check(devices: &[&Device]) -> Result<(), UserError> {
    let mut seen = Vec::new();
    for (device, port) in devices.iter().filter_map(|d| Some((d, d.told::<Port>()?))) {
        if let Some(bus) = &device.pci.bus {
            return Err(user_error!("a pcie-root-port can be on the bus pcie.0 only, and not on '{bus}'"));
        }
        let number = (port.chassis, port.options.slot);
        if seen.contains(&number) {
            let (chassis, slot) = number;
            return Err(user_error!(
                "two pcie-root-ports are to have chassis={chassis},slot={slot}: give them different numbers"
            ));
        }
        seen.push(number);
    }
    Ok(())
}
