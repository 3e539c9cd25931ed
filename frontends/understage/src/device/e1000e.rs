//! e1000e: Intel's 82574L gigabit Ethernet controller.

use emu_devices::net::{E1000e, MacAddress};

use super::kind::{Given, Model, Row};
use crate::config::Settings;
use crate::error::{UserError, user_error};
use crate::property::Value::Text;
use crate::property::{property, shown};

/// The controller, with no cable plugged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Controller {
    /// The Ethernet address in its EEPROM.
    mac: MacAddress,
}

impl Default for Controller {
    fn default() -> Self {
        Self { mac: MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]) }
    }
}

impl Settings for Controller {}

/// An address of one station, as six numbers of two hexadecimal digits.
fn station(text: &str) -> Result<MacAddress, UserError> {
    let wrong =
        || user_error!("'{text}' is not the Ethernet address of one station, such as 52:54:00:12:34:56");
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| digits(part));
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    let mac = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()).ok_or_else(wrong)?;
    if mac[0] & 1 == 0 { Ok(MacAddress(mac)) } else { Err(wrong()) }
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
                nic.mac = station(text)?;
                Ok(())
            }),
            "Ethernet address",
        ),
        |nic| Some(nic.mac.to_string()),
    )],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Pci(|nic, site| {
        let name = site.name("e1000e");
        Ok(E1000e::new(&name, nic.mac, None, site.clock(), site.counters()))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_stations() {
        assert_eq!(station("52:54:00:aB:cd:ef").unwrap().to_string(), "52:54:00:ab:cd:ef");
        for wrong in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:0:12:34:56",
            "01:00:5e:00:00:01",
            "+2:54:00:12:34:56",
        ] {
            assert!(station(wrong).unwrap_err().to_string().contains("Ethernet address"), "{wrong}");
        }
    }
}
