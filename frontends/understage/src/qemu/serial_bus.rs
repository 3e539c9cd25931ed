//! virtio-serial devices, and the ports that are plugged into them.

use super::device::{Driver, Wish, add};
use super::{Reader, chardev};
use crate::config::{CharBackend, ConsolePort, ConsolePorts, DeviceKind};
use crate::error::{UserError, user_error};

/// The most ports that a device has, which is what it has unless it is told.
const MOST: u64 = emu_devices::virtio::MAX_PORTS as u64;

/// A virtio-serial device.
pub(super) struct SerialBus {
    /// Index in the list of devices.
    index: usize,
    /// What `bus=` of its ports says.
    name: String,
}

/// Makes a device without ports.
pub(super) fn bus(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    let name = match &wish.id {
        Some(id) => format!("{id}.0"),
        None => {
            let unnamed = r.serial_buses.iter().filter(|b| b.name.starts_with("virtio-serial-bus."));
            format!("virtio-serial-bus.{}", unnamed.count())
        }
    };
    let most = wish.max_ports.unwrap_or(MOST);
    let most = u32::try_from(most).ok().filter(|n| (1..=MOST).contains(&u64::from(*n)));
    let most = most.ok_or_else(|| user_error!("max_ports of {} is 1 to {MOST}", driver.name))?;
    r.serial_buses.push(SerialBus { index: r.config.devices.len(), name });
    add(r, driver, &wish, DeviceKind::Console(ConsolePorts { most, ports: Vec::new() }))
}

/// `virtconsole`: a port that the guest may use as a terminal.
pub(super) fn console(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    port(r, driver, wish, true)
}

/// `virtserialport`: a port for programs of the guest.
pub(super) fn serial(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    port(r, driver, wish, false)
}

fn port(r: &mut Reader, driver: &Driver, wish: Wish, console: bool) -> Result<(), UserError> {
    let name = driver.name;
    let backend = match &wish.chardev {
        Some(id) => chardev::take(r, id, name)?,
        None => CharBackend::Null,
    };
    let bus = match &wish.bus {
        Some(bus) => r.serial_buses.iter().find(|b| b.name == *bus),
        None => r.serial_buses.first(),
    };
    let bus = bus.ok_or_else(|| match &wish.bus {
        Some(bus) => user_error!("there is no bus '{bus}' for {name} before it"),
        None => user_error!("{name} needs a virtio-serial device before it"),
    })?;
    let Some(DeviceKind::Console(device)) = r.config.devices.get_mut(bus.index).map(|d| &mut d.kind) else {
        return Err(user_error!("{name} needs a virtio-serial device before it"));
    };
    let number = number(device, &wish, name, console)?;
    let label = wish.name.unwrap_or_default();
    device.ports.push(ConsolePort { number, console, name: label, backend });
    Ok(())
}

/// The number of a port. Port 0 is for a console: drivers without the feature for several ports know no other.
fn number(device: &ConsolePorts, wish: &Wish, name: &str, console: bool) -> Result<u32, UserError> {
    let taken = |n: u32| device.ports.iter().any(|p| p.number == n);
    let number = match wish.nr {
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
        None => {
            let first = if console { 0 } else { 1 };
            (first..device.most).find(|n| !taken(*n)).unwrap_or(device.most)
        }
    };
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
