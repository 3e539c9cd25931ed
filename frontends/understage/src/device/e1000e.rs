//! e1000e: Intel's 82574L gigabit Ethernet controller.

use emu_devices::net::{E1000e, MacAddress};

use super::kind::{Given, Model, Reference, Row, To};
use crate::config::{Settings, station};
use crate::property::Value::Text;
use crate::property::{property, shown};

/// The controller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Controller {
    /// The Ethernet address in its EEPROM, if one was chosen.
    mac: Option<MacAddress>,
    /// What is at the other end of its cable; without it, none is plugged in.
    netdev: Option<String>,
}

impl Settings for Controller {
    fn netdev(&self) -> Option<&str> {
        self.netdev.as_deref()
    }
}

/// The row.
pub static CONTROLLER: Row<Controller> = Row {
    name: "e1000e",
    about: "Intel 82574L gigabit Ethernet controller",
    given: Given::Anywhere,
    option: None,
    properties: &[shown(
        property(
            "mac",
            Text(|nic, text| {
                nic.mac = Some(station(text)?);
                Ok(())
            }),
            "Ethernet address",
        ),
        |nic| nic.mac.map(|mac| mac.to_string()),
    )],
    references: &[Reference {
        name: "netdev",
        to: To::Network(|nic, id| nic.netdev = Some(id)),
        required: false,
    }],
    check: |_, _| Ok(()),
    model: Model::Pci(|nic, site| {
        let name = site.name("e1000e");
        let cable = nic.netdev.as_deref().map(|id| site.network(id)).transpose()?;
        let mac = nic.mac.unwrap_or_else(|| site.station());
        Ok(E1000e::new(&name, mac, cable, site.clock(), site.counters()))
    }),
};
