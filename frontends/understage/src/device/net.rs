//! virtio-net.

use emu_devices::net::MacAddress;
use emu_devices::virtio::Net;

use super::kind::{Given, Model, Reference, Row, To};
use crate::config::{Settings, station};
use crate::error::user_error;
use crate::property::Value::{Number, Only, Text};
use crate::property::{property, shown};

/// A network device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Card {
    /// Its Ethernet address, if one was chosen.
    mac: Option<MacAddress>,
    /// What is at the other end of its cable; without it, none is plugged in.
    netdev: Option<String>,
    /// The MTU that it tells its driver.
    mtu: Option<u16>,
}

impl Settings for Card {
    fn netdev(&self) -> Option<&str> {
        self.netdev.as_deref()
    }
}

/// What properties about offloads say: none is offered.
const NO_OFFLOAD: &str = "checksums and segments are the driver's";

/// The row.
pub static CARD: Row<Card> = Row {
    name: "virtio-net",
    about: "network device",
    given: Given::Anywhere,
    option: None,
    properties: &[
        shown(
            property(
                "mac",
                Text(|card, text| {
                    card.mac = Some(station(text)?);
                    Ok(())
                }),
                "Ethernet address",
            ),
            |card| card.mac.map(|mac| mac.to_string()),
        ),
        shown(
            property(
                "host_mtu",
                Number(|card, n| {
                    let mtu = u16::try_from(n).ok().filter(|n| *n >= 68);
                    card.mtu = Some(mtu.ok_or_else(|| user_error!("'host_mtu={n}' is not 68 to 65535"))?);
                    Ok(())
                }),
                "the MTU that the driver is told",
            ),
            |card| card.mtu.map(|mtu| mtu.to_string()),
        ),
        property("mq", Only(&["off"]), "there is one pair of queues"),
        property("csum", Only(&["off"]), NO_OFFLOAD),
        property("guest_csum", Only(&["off"]), NO_OFFLOAD),
        property("gso", Only(&["off"]), NO_OFFLOAD),
        property("mrg_rxbuf", Only(&["off"]), "each frame is in one buffer"),
        property("ctrl_vq", Only(&["on"]), "there is a control queue"),
        property("romfile", Only(&[""]), "there is no option ROM"),
    ],
    references: &[Reference {
        name: "netdev",
        to: To::Network(|card, id| card.netdev = Some(id)),
        required: false,
    }],
    check: |_, _| Ok(()),
    model: Model::Virtio(|card, site| {
        let cable = card.netdev.as_deref().map(|id| site.network(id)).transpose()?;
        let mac = card.mac.unwrap_or_else(|| site.station());
        Ok(Net::new(mac, card.mtu, cable, site.counters()))
    }),
};
