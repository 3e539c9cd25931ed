//! `-global`: properties that all devices of a kind have, unless they say otherwise.

use super::Reader;
use super::device;
use super::option::Action::Value;
use super::option::Row;
use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[(
    "-global",
    Value(global),
    "DRIVER.PROPERTY=VALUE: for every -device of the kind; virtio-mmio.force-legacy=off for modern transports",
)];

/// One of them.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) driver: String,
    pub(super) property: String,
    pub(super) value: String,
}

fn global(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let global = read(option, text)?;
    let Global { driver, property, value } = &global;
    match (driver.as_str(), property.as_str()) {
        ("virtio-mmio", "force-legacy") => {
            r.config.virt.legacy_mmio =
                on_off(value).map_err(|e| user_error!("{e}, given as '{property}' in {option}"))?;
            Ok(())
        }
        _ if device::has(driver, property) => {
            r.globals.push(global);
            Ok(())
        }
        _ => Err(user_error!("'{option} {driver}.{property}={value}' is not supported")),
    }
}

/// `DRIVER.PROPERTY=VALUE`, or its three parts by name.
fn read(option: &'static str, text: &str) -> Result<Global, UserError> {
    let short = text.split_once('=').and_then(|(name, value)| Some((name.rsplit_once('.')?, value)));
    if let Some(((driver, property), value)) = short.filter(|((d, _), _)| !d.contains([',', '='])) {
        let (driver, property, value) = (driver.to_owned(), property.to_owned(), value.to_owned());
        return Ok(Global { driver, property, value });
    }
    let mut parts = Parts::split(option, text);
    let global = Global {
        driver: parts.require("driver")?,
        property: parts.require("property")?,
        value: parts.require("value")?,
    };
    parts.finish("a property of all devices")?;
    Ok(global)
}
