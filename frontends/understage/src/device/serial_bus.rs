//! virtio-serial devices, and the ports that are plugged into them.

use std::sync::Arc;

use emu_devices::virtio::{Console, MAX_PORTS, PortOptions, VirtioDevice};

use super::feed::{ConsoleOutput, feed_console};
use super::kind::{Given, Model, Reference, Row, RunOption, Takes, To};
use super::plug::{self, Plug};
use super::site::Site;
use crate::config::{CharBackend, MachineConfig, Settings};
use crate::error::{UserError, user_error};
use crate::property::Value::{Number, Text};
use crate::property::{Property, property, shown};

/// The most ports that a device has, which is what it has unless it is told.
const MOST: u32 = MAX_PORTS;

/// A virtio-serial device: its ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsolePorts {
    /// How many it says that it can have; with 1 it has no control queues.
    pub most: u32,
    /// Those that it has.
    pub ports: Vec<ConsolePort>,
}

/// A port of a virtio-serial device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsolePort {
    /// Its number.
    pub number: u32,
    /// The guest may use it as a terminal.
    pub console: bool,
    /// What the guest knows it by.
    pub name: String,
    /// Its other end.
    pub backend: CharBackend,
}

impl ConsolePorts {
    /// A console with one port.
    #[must_use]
    pub fn single(backend: CharBackend) -> Self {
        let port = ConsolePort { number: 0, console: true, name: String::new(), backend };
        Self { most: 1, ports: vec![port] }
    }
}

impl Default for ConsolePorts {
    fn default() -> Self {
        Self { most: MOST, ports: Vec::new() }
    }
}

impl Settings for ConsolePorts {
    fn characters(&self) -> Vec<&CharBackend> {
        self.ports.iter().map(|port| &port.backend).collect()
    }
}

/// The row of the device.
pub static DEVICE: Row<ConsolePorts> = Row {
    name: "virtio-serial",
    about: "device with console ports",
    given: Given::Anywhere,
    option: Some(RunOption {
        name: "--virtio-console",
        about: "Add a virtio console that goes to one of these places",
        takes: Takes::Value("WHERE", |option, text| {
            CharBackend::from_text(option, text).map(ConsolePorts::single)
        }),
    }),
    properties: &[shown(
        property(
            "max_ports",
            Number(|device, n| {
                device.most = u32::try_from(n).unwrap_or(u32::MAX);
                Ok(())
            }),
            "how many ports it can have; with 1 it has no control queues",
        ),
        |device| Some(device.most.to_string()),
    )],
    references: &[],
    check: |device, name| match device.most {
        1..=MOST => Ok(()),
        _ => Err(user_error!("max_ports of {name} is 1 to {MOST}")),
    },
    model: Model::Virtio(build),
};

fn build(wanted: &ConsolePorts, site: &mut dyn Site) -> Result<Arc<dyn VirtioDevice>, UserError> {
    let (mut ends, mut options) = (Vec::new(), Vec::new());
    for port in &wanted.ports {
        let end = site.open(&port.backend, &format!("console{}", port.number))?;
        options.push(PortOptions {
            number: port.number,
            console: port.console,
            name: port.name.clone(),
            host_open: end.is_open(),
            backend: Arc::new(ConsoleOutput(end.clone())),
        });
        ends.push((port.number, end));
    }
    let console = Console::with_ports(wanted.most, options);
    let name = site.name("virtio-serial");
    for (number, end) in &ends {
        site.add(feed_console(&name, end, &console, *number));
    }
    Ok(console)
}

/// What a port is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Port {
    number: Option<u32>,
    name: String,
    backend: CharBackend,
}

impl Settings for Port {}

const PORT: &[Property<Port>] = &[
    property(
        "nr",
        Number(|port, n| {
            port.number = Some(u32::try_from(n).unwrap_or(u32::MAX));
            Ok(())
        }),
        "its number in the device; else the first one that is free",
    ),
    property(
        "name",
        Text(|port, name| {
            name.clone_into(&mut port.name);
            Ok(())
        }),
        "what the guest knows it by",
    ),
];

const BACKEND: &[Reference<Port>] = &[Reference {
    name: "chardev",
    to: To::Characters(|port, backend| port.backend = backend),
    required: false,
}];

/// A port that the guest may use as a terminal.
pub static CONSOLE: Row<Port> = Row {
    name: "virtconsole",
    about: "port that is a terminal",
    given: Given::Anywhere,
    option: None,
    properties: PORT,
    references: BACKEND,
    check: |_, _| Ok(()),
    model: Model::Part(plug::PORT, |port, plug, name, machine| add(port, plug, name, machine, true)),
};

/// A port for programs of the guest.
pub static SERIAL: Row<Port> = Row {
    name: "virtserialport",
    about: "port for programs",
    model: Model::Part(plug::PORT, |port, plug, name, machine| add(port, plug, name, machine, false)),
    given: Given::Anywhere,
    option: None,
    properties: PORT,
    references: BACKEND,
    check: |_, _| Ok(()),
};

/// The virtio-serial devices of a machine, each with what `bus=` of its ports says.
fn devices(machine: &mut MachineConfig) -> impl Iterator<Item = (String, &mut ConsolePorts)> {
    let mut unnamed = 0..;
    machine.devices.iter_mut().filter_map(move |device| {
        let id = device.id.clone();
        let ports = device.told_mut::<ConsolePorts>()?;
        let name = match id {
            Some(id) => format!("{id}.0"),
            None => format!("virtio-serial-bus.{}", unnamed.next().unwrap_or(0)),
        };
        Some((name, ports))
    })
}

fn add(
    port: Port,
    plug: &Plug,
    name: &str,
    machine: &mut MachineConfig,
    console: bool,
) -> Result<(), UserError> {
    let wanted = |bus: &str| plug.bus.as_deref().is_none_or(|name| name == bus);
    let device = devices(machine).find(|(bus, _)| wanted(bus)).map(|(_, device)| device);
    let device = device.ok_or_else(|| match &plug.bus {
        Some(bus) => user_error!("there is no bus '{bus}' for {name} before it"),
        None => user_error!("{name} needs a virtio-serial device before it"),
    })?;
    let number = number(device, port.number, name, console)?;
    device.ports.push(ConsolePort { number, console, name: port.name, backend: port.backend });
    Ok(())
}

/// The number of a port. Port 0 is for a console: drivers without the feature for several ports know no other.
fn number(device: &ConsolePorts, wanted: Option<u32>, name: &str, console: bool) -> Result<u32, UserError> {
    let taken = |n: u32| device.ports.iter().any(|p| p.number == n);
    let first = if console { 0 } else { 1 };
    let free = || (first..device.most).find(|n| !taken(*n)).unwrap_or(device.most);
    let number = wanted.unwrap_or_else(free);
    if number >= device.most {
        return Err(user_error!("there is no port for {name}: the virtio-serial device has {}", device.most));
    }
    if taken(number) {
        return Err(user_error!("two ports of a virtio-serial device are to have nr={number}"));
    }
    if number == 0 && !console {
        return Err(user_error!("port 0 of a virtio-serial device is for virtconsole, not for {name}"));
    }
    Ok(number)
}
