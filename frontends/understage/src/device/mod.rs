//! The kinds of devices, as rows: the names of each, what it can be told, where it is plugged in, and how it is built. Both
//! command lines and their help, the places, the devicetree and the board read them, so a new kind is a row (and, if it is
//! on the system bus, a place in [`crate::map`]).
//!
//! | module | what lives there |
//! |---|---|
//! | [`kind`] | what a row says |
//! | [`plug`] | the forms of names, and the properties that come with a bus |
//! | [`mod@line`] | the command line that devices are added to |
//! | [`places`] | which device gets which place |
//! | [`site`] | what a board offers to the devices that are built for it |
//! | [`system_mmu`] | the system MMU of a board, of whatever generation |
//! | [`feed`] | between a device's characters and a port |
//! | all others | the rows |

pub mod accelerator;
pub mod ahci;
pub mod block;
pub mod disks;
pub mod e1000e;
pub mod edu;
pub mod entropy;
mod feed;
pub mod fw_cfg;
pub mod gpio;
pub mod iommu_test;
pub mod kind;
pub mod line;
pub mod memory;
pub mod net;
pub mod nvme;
pub mod pl330;
pub mod places;
pub mod plug;
pub mod root_port;
pub mod rtc;
pub mod serial_bus;
pub mod site;
pub mod smmu;
pub mod smmuv2;
pub mod system_mmu;
pub mod test_function;
pub mod test_master;
pub mod uart;

use self::kind::{Given, Kind, Shape};
use self::line::{CommandLine, Words};
use self::places::Place;
use self::plug::{Form, Plugs};
use crate::config::{Bus, Device, MachineConfig};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::property;

/// All kinds, in the order of lists.
pub static KINDS: &[&dyn Kind] = &[
    &block::DISK,
    &ahci::CONTROLLER,
    &ahci::DISK,
    &serial_bus::DEVICE,
    &entropy::GENERATOR,
    &net::CARD,
    &test_function::FUNCTION,
    &edu::FUNCTION,
    &e1000e::CONTROLLER,
    &nvme::CONTROLLER,
    &nvme::NAMESPACE,
    &iommu_test::FUNCTION,
    &root_port::PORT,
    &smmu::SMMU,
    &smmuv2::SMMU,
    &test_master::MASTER,
    &pl330::CONTROLLER,
    &accelerator::ACCELERATOR,
    &serial_bus::CONSOLE,
    &serial_bus::SERIAL,
    &memory::LOADER,
    &memory::GUEST_LOADER,
    &fw_cfg::DEVICE,
    &gpio::CONTROLLER,
    &rtc::CLOCK,
    &uart::UART,
];

/// The devices that every board has, and those that it has because of an option that is not about devices, in the order in
/// which they are built. Those that were added come behind them.
#[must_use]
pub fn of_board(config: &MachineConfig) -> Vec<Device> {
    let on_system_bus = [
        Device::new(fw_cfg::FirmwareConfig, Bus::Platform),
        Device::new(gpio::Gpio, Bus::Platform),
        Device::new(rtc::RealTimeClock(config.rtc), Bus::Platform),
        Device::new(uart::Uart(config.serial.clone()), Bus::Platform),
    ];
    let second = config.characters.second_serial.clone();
    let second = second.map(|backend| Device::new(uart::Uart(backend), Bus::Platform));
    on_system_bus.into_iter().chain(second).collect()
}

/// A kind by one of its names, and what that name says of where the device is.
#[derive(Clone, Copy)]
pub struct Driver {
    kind: &'static dyn Kind,
    form: &'static Form,
}

/// Everything that can be asked for in the spelling of `words`.
fn drivers(words: &Words) -> impl Iterator<Item = Driver> {
    let kinds = KINDS.iter().filter(|kind| match kind.given() {
        Given::Anywhere => true,
        Given::Qemu => words.qemu,
        Given::Board => false,
    });
    kinds.flat_map(|kind| kind.forms().iter().map(|form| Driver { kind: *kind, form }))
}

/// The name of a device of this kind that is there.
#[must_use]
pub fn form_of(kind: &'static dyn Kind, place: Place) -> String {
    let bus = match place {
        Place::Pci(_) => Plugs::Pci,
        Place::Mmio(_) => Plugs::Virtio,
        Place::Platform(_) => Plugs::System,
    };
    let form = kind.forms().iter().find(|form| form.bus == bus);
    format!("{}{}", kind.name(), form.map_or("", |form| form.suffix))
}

/// The names of everything that can be asked for.
#[must_use]
pub fn names(words: &Words) -> Vec<String> {
    drivers(words).map(Driver::name).collect()
}

/// What goes by the name `name`, asked for with `option`.
pub fn find(words: &Words, option: &str, name: &str) -> Result<Driver, UserError> {
    let driver = drivers(words).find(|d| d.name() == name || d.alias() == Some(name));
    driver.ok_or_else(|| user_error!("'{option} {name}' is not supported: there is no such device here"))
}

/// Whether devices that go by the name `driver`, or are of that kind, have the property.
#[must_use]
pub fn has(words: &Words, driver: &str, property: &str) -> bool {
    drivers(words).filter(|d| d.is(driver)).any(|d| d.has(property))
}

/// The list of all devices.
#[must_use]
pub fn list(words: &Words) -> String {
    let line = |d: Driver| {
        let bus = d.form.bus.name().map_or_else(String::new, |bus| format!(", bus {bus}"));
        let alias = d.alias().map_or_else(String::new, |alias| format!(", alias \"{alias}\""));
        format!("name \"{}\"{bus}{alias}, desc \"{}\"\n", d.name(), d.kind.about())
    };
    drivers(words).map(line).collect()
}

/// The options of `understage run` that add devices of one kind, in the order in which their devices get their places.
pub fn options() -> impl Iterator<Item = (&'static dyn Kind, Shape)> {
    KINDS.iter().filter_map(|kind| Some((*kind, kind.option()?)))
}

/// The kind of a device.
pub fn kind_of(device: &Device) -> Result<&'static dyn Kind, UserError> {
    let kind = KINDS.iter().find(|kind| kind.is_for(&*device.settings));
    kind.copied().ok_or_else(|| user_error!("there is no kind of device for {:?}", device.settings))
}

/// There is a PCI bus below the device.
#[must_use]
pub fn is_bridge(device: &Device) -> bool {
    kind_of(device).is_ok_and(Kind::is_bridge)
}

impl Driver {
    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}{}", self.kind.name(), self.form.suffix)
    }

    /// The shorter name, if this is what it stands for.
    fn alias(self) -> Option<&'static str> {
        let first = self.kind.forms().first().is_some_and(|form| std::ptr::eq(form, self.form));
        (first && !self.form.suffix.is_empty()).then(|| self.kind.name())
    }

    /// Whether it goes by this name, or is of the kind.
    #[must_use]
    pub fn is(self, name: &str) -> bool {
        let virtio_pci = self.form.bus == Plugs::Pci && self.kind.name().starts_with("virtio-");
        virtio_pci && name == "virtio-pci" || self.name() == name || self.alias() == Some(name)
    }

    /// Adds one, as `parts` say.
    pub fn add(self, parts: Parts, line: &mut dyn CommandLine) -> Result<(), UserError> {
        self.kind.add(self.form, parts, &self.name(), line)
    }

    fn has(self, property: &str) -> bool {
        self.form.properties.iter().copied().flatten().any(|p| p.name == property) || self.kind.has(property)
    }

    /// What it can be told, with what the help says of it.
    #[must_use]
    pub fn properties(self) -> Vec<(&'static str, &'static str)> {
        let of_bus = self.form.properties.iter().copied().flatten().map(|p| (p.name, p.about));
        of_bus.chain(self.kind.properties()).collect()
    }

    /// What it can be told.
    #[must_use]
    pub fn help(self, words: &Words) -> String {
        let mut lines = property::help_lines(self.form.properties);
        lines.extend(self.kind.help(words));
        lines.sort();
        format!("{} options:\n{}", self.name(), lines.concat())
    }
}

#[cfg(test)]
mod tests;
