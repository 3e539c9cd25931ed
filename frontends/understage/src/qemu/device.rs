//! `-device`: devices by the names that QEMU gives them. The registry ([`crate::device`]) has the names and the properties;
//! here is what they refer to, which other options name.

use super::option::Action::Value;
use super::option::Row;
use super::{Reader, chardev, drive, json, object};
use crate::config::{CharBackend, Disk, HostFile, MachineConfig};
use crate::device;
use crate::device::line::{CommandLine, Words};
use crate::device::plug::Plug;
use crate::error::{UserError, user_error};
use crate::keyval::Parts;

const OPTION: &str = "-device";

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[(
    OPTION,
    Value(given),
    "NAME[,PROPERTY=VALUE...]: add a device; 'help' lists them, 'NAME,help' its properties",
)];

/// What properties refer to, in this spelling.
pub(crate) static WORDS: Words = Words {
    qemu: true,
    drive: Some("the id of a -drive, or node-name of a -blockdev"),
    characters: Some("the id of a -chardev"),
    random: Some("the id of an -object rng-random or rng-builtin"),
    thread: Some("the id of an -object iothread: each disk has a thread of its own"),
    network: Some("the id of a -netdev"),
};

fn given(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    r.devices.push(json::parts(option, text)?);
    Ok(())
}

/// Makes all devices, in order.
pub(super) fn build(r: &mut Reader) -> Result<(), UserError> {
    for mut parts in std::mem::take(&mut r.devices) {
        let name = parts.take_first("driver")?.ok_or_else(|| user_error!("{OPTION} needs a device"))?;
        let driver = device::find(&WORDS, OPTION, &name)?;
        for global in r.globals.iter().filter(|g| driver.is(&g.driver)) {
            parts.add_default(&global.property, &global.value);
        }
        driver.add(parts, r)?;
    }
    Ok(())
}

/// What `device_add` is called in messages.
const LATER: &str = "device_add";

/// The parts of a `device_add`: an object's, or those of a line.
pub(crate) fn later_parts(text: &str) -> Result<Parts, UserError> {
    json::parts(LATER, text)
}

/// The machine with one device more, that is added while it runs.
pub(crate) fn add_later(machine: &MachineConfig, mut parts: Parts) -> Result<MachineConfig, UserError> {
    let mut reader = Reader { config: machine.clone(), ..Reader::default() };
    let spare = std::mem::take(&mut reader.config.spare_disks);
    reader.drives = spare.into_iter().map(|(id, disk)| drive::Drive::spare(id, disk)).collect();
    let name = parts.take_first("driver")?.ok_or_else(|| user_error!("Parameter 'driver' is missing"))?;
    device::find(&WORDS, LATER, &name)?.add(parts, &mut reader)?;
    let left = std::mem::take(&mut reader.drives).into_iter().filter_map(|d| Some((d.id?, d.disk)));
    reader.config.spare_disks = left.collect();
    Ok(reader.config)
}

impl CommandLine for Reader {
    fn words(&self) -> &'static Words {
        &WORDS
    }
    fn machine(&mut self) -> &mut MachineConfig {
        &mut self.config
    }
    fn plug(&self, option: &'static str) -> Plug {
        Plug::new(option, false)
    }
    fn drive(&mut self, name: &str, _: &mut Parts, user: &str) -> Result<Disk, UserError> {
        drive::take(self, name, user)
    }
    fn characters(&mut self, name: &str, _: &mut Parts, user: &str) -> Result<CharBackend, UserError> {
        chardev::take(self, name, user)
    }
    fn random(&mut self, name: &str, _: &mut Parts, user: &str) -> Result<Option<HostFile>, UserError> {
        object::entropy(self, name, user)
    }
    fn thread(&mut self, name: &str, user: &str) -> Result<(), UserError> {
        object::iothread(self, name, user)
    }
}

/// Whether devices of the kind `driver` have the property.
pub(super) fn has(driver: &str, property: &str) -> bool {
    device::has(&WORDS, driver, property)
}

/// `-device help`, or what `-device NAME,help` says of one.
pub(super) fn help(name: Option<&str>) -> Result<String, UserError> {
    match name {
        None => Ok(device::list(&WORDS)),
        Some(name) => Ok(device::find(&WORDS, OPTION, name)?.help(&WORDS)),
    }
}
