//! Devices that come and go while the machine runs: functions below root ports that have hot-plug.

use std::sync::{Arc, OnceLock, Weak};
use std::thread;

use emu_core::bus::{Bus as SystemBus, MmioDevice};
use emu_core::clock::Clock;
use emu_core::dma::Ports;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::ledger::{Account, Ledger, Subject};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_devices::net::{MacAddress, NetBackend};
use emu_devices::pci::{BusId, PciError, PciFunction, PciHost, Placed, Position};
use emu_devices::virtio::VirtioPci;
use emu_mmu::Features;
use emu_pe::mem::shared::Shared;
use parking_lot::Mutex;

use super::devices::{place_name, virtio_options};
use crate::character::Port;
use crate::config::{Bus, CharBackend, Device, MachineConfig};
use crate::device;
use crate::device::disks::Disks;
use crate::device::fw_cfg::Contents;
use crate::device::kind::Built;
use crate::device::places::{self, Place};
use crate::device::site::Site;
use crate::device::system_mmu::SystemMmu;
use crate::error::{UserError, reason, user_error};
use crate::keyval::Parts;
use crate::map::Range;
use crate::network::Networks;
use crate::qemu;

/// Is told of the name of a device that is gone, if it has one.
type Told = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// What a board has of what a function may ask for.
pub(super) struct Kit {
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<Clock>,
    pub(super) ports: Arc<dyn Ports>,
    pub(super) translated_ports: Arc<dyn Ports>,
    pub(super) bus: Arc<SystemBus>,
    pub(super) shared: Arc<Shared>,
    pub(super) translation: Features,
    pub(super) ledger: Option<Arc<Ledger>>,
    /// The cables that no device has.
    pub(super) networks: Mutex<Networks>,
    /// The images that devices use.
    pub(super) disks: Arc<Disks>,
}

/// Why a device cannot be taken away.
#[derive(Debug)]
pub enum NotRemoved {
    /// There is none of that name.
    Unknown,
    /// For this reason.
    Refused(UserError),
}

/// Adds and takes away devices.
pub struct Plugger {
    kit: Kit,
    pci: Arc<PciHost>,
    bus_names: Vec<String>,
    /// The machine as it is now.
    machine: Mutex<MachineConfig>,
    told: OnceLock<Told>,
}

/// The sentence for a bus that keeps what it has.
fn not_hot_pluggable(bus: &str) -> UserError {
    user_error!("Bus '{bus}' does not support hotplugging")
}

impl Plugger {
    pub(super) fn new(
        kit: Kit,
        pci: Arc<PciHost>,
        bus_names: Vec<String>,
        machine: MachineConfig,
    ) -> Arc<Self> {
        let plugger =
            Arc::new(Self { kit, pci, bus_names, machine: Mutex::new(machine), told: OnceLock::new() });
        let of: Weak<Self> = Arc::downgrade(&plugger);
        plugger.pci.give_released_to(Box::new(move |functions| {
            let Some(plugger) = of.upgrade() else { return };
            // Their threads are waited for, which the thread of a CPU must not do.
            let end = move || functions.iter().for_each(|placed| plugger.end(placed));
            if let Err(e) = thread::Builder::new().name("unplug".to_owned()).spawn(end) {
                tracing::warn!("cannot start a thread to end a device: {}", reason(&e));
            }
        }));
        plugger
    }

    /// Who is told when a device is gone. It is said once.
    pub fn tell(&self, told: Told) {
        let _ = self.told.set(told);
    }

    /// What the machine has now.
    pub fn machine(&self) -> MachineConfig {
        self.machine.lock().clone()
    }

    /// Adds a device, as the properties say.
    pub fn add(&self, parts: Parts) -> Result<(), UserError> {
        let mut machine = self.machine.lock();
        let next = qemu::add_later(&machine, parts)?;
        let device = match &*next.devices {
            [old @ .., new] if *old == *machine.devices => new,
            _ => return Err(user_error!("this device becomes a part of another one, which exists already")),
        };
        if let Some(id) = device.id.as_ref()
            && machine.devices.iter().any(|d| d.id.as_ref() == Some(id))
        {
            return Err(user_error!("Duplicate device ID '{id}'"));
        }
        let bus = match (device.bus, &device.pci.bus) {
            (Bus::Pci { .. }, Some(bus)) => bus,
            (Bus::Pci { .. }, None) => return Err(not_hot_pluggable("pcie.0")),
            (Bus::Mmio { .. }, _) => return Err(not_hot_pluggable("virtio-mmio-bus")),
            (Bus::Platform, _) => return Err(not_hot_pluggable("main-system-bus")),
        };
        if device.pci.function != 0 || device.pci.multifunction {
            return Err(user_error!("a device that is plugged in later has one function"));
        }
        let places = places::assign(&next.devices.iter().collect::<Vec<_>>())?;
        let Some(Place::Pci(at)) = places.last().copied() else { return Err(not_hot_pluggable(bus)) };
        if !self.is_hot_pluggable(at.bus) {
            return Err(not_hot_pluggable(bus));
        }
        let function = self.build(device, at)?;
        function
            .start()
            .map_err(|e| user_error!("cannot start a thread for {}: {}", function.name(), reason(&e)))?;
        if let Err(e) = self.pci.plug(at, function.clone()) {
            function.halt();
            return Err(user_error!("{e}"));
        }
        *machine = next;
        Ok(())
    }

    fn is_hot_pluggable(&self, bus: BusId) -> bool {
        let above = self.pci.functions().into_iter().find(|placed| placed.below == Some(bus));
        above.is_some_and(|placed| placed.function.bridge().is_some_and(|b| b.is_hot_pluggable()))
    }

    fn build(&self, device: &Device, at: Position) -> Result<Arc<dyn PciFunction>, UserError> {
        let place = Place::Pci(at);
        let mut site = Later { plugger: self, place };
        match device::kind_of(device)?.build(&*device.settings, place, &mut site)? {
            Built::Function(function) => Ok(function),
            Built::Virtio(made) => {
                let name = place_name(&self.bus_names, "virtio-pci", place);
                Ok(VirtioPci::new(&name, made, virtio_options(device), &self.kit.counters))
            }
            Built::Installed => Err(user_error!("this device is no PCI function")),
        }
    }

    /// Asks the guest to let go of a device, which is gone at once if the guest does not use it.
    pub fn remove(&self, id: &str) -> Result<(), NotRemoved> {
        let machine = self.machine();
        let number = machine.devices.iter().position(|d| d.id.as_deref() == Some(id));
        let number = number.ok_or(NotRemoved::Unknown)?;
        let places =
            places::assign(&machine.devices.iter().collect::<Vec<_>>()).map_err(NotRemoved::Refused)?;
        let bus = match places.get(number) {
            Some(Place::Pci(at)) => at.bus,
            Some(Place::Mmio(_)) => return Err(NotRemoved::Refused(not_hot_pluggable("virtio-mmio-bus"))),
            _ => return Err(NotRemoved::Refused(not_hot_pluggable("main-system-bus"))),
        };
        if self.pci.is_asked(bus) {
            return Err(NotRemoved::Refused(user_error!("Device {id} is already in the process of unplug")));
        }
        self.pci.ask_to_release(bus).map_err(|e| {
            let name = self.bus_names.get(usize::from(bus.0)).map_or("", String::as_str);
            NotRemoved::Refused(match e {
                PciError::NotHotPluggable => not_hot_pluggable(name),
                other => user_error!("{other}"),
            })
        })
    }

    /// The end of a function that the guest has let go of.
    fn end(&self, placed: &Placed) {
        placed.function.pause();
        placed.function.halt();
        let mut machine = self.machine.lock();
        let places = places::assign(&machine.devices.iter().collect::<Vec<_>>()).unwrap_or_default();
        let number = places.iter().position(|place| *place == Place::Pci(placed.position));
        let id = number.and_then(|number| machine.devices.remove(number).id);
        drop(machine);
        if let Some(told) = self.told.get() {
            told(id.as_deref());
        }
    }
}

/// The board as a device sees it that comes later.
struct Later<'a> {
    plugger: &'a Plugger,
    place: Place,
}

impl Site for Later<'_> {
    fn name(&self, kind: &str) -> String {
        place_name(&self.plugger.bus_names, kind, self.place)
    }
    fn counters(&self) -> &Arc<Counters> {
        &self.plugger.kit.counters
    }
    fn account(&self, kind: &str) -> Option<Arc<Account>> {
        let ledger = self.plugger.kit.ledger.as_ref();
        ledger.map(|ledger| ledger.account(Subject::Device(self.name(kind))))
    }
    fn clock(&self) -> &Arc<Clock> {
        &self.plugger.kit.clock
    }
    /// No function has a wire of its own.
    fn line(&self, spi: u32) -> IrqLine {
        IrqLine::new(Arc::new(Unconnected), spi)
    }
    fn ports(&self) -> &dyn Ports {
        &*self.plugger.kit.ports
    }
    fn translated_ports(&self) -> &dyn Ports {
        &*self.plugger.kit.translated_ports
    }
    /// There is none on PCI.
    fn stand_before_masters(&mut self, _: SystemMmu) {}
    fn bus(&self) -> &Arc<SystemBus> {
        &self.plugger.kit.bus
    }
    fn cpus(&self) -> &Arc<Shared> {
        &self.plugger.kit.shared
    }
    fn translation(&self) -> Features {
        self.plugger.kit.translation
    }
    fn handed_over(&self) -> Contents<'_> {
        Contents { items: &[], files: &[] }
    }
    fn open(&mut self, _: &CharBackend, label: &str) -> Result<Arc<Port>, UserError> {
        Err(user_error!(
            "{label} cannot be opened while the machine runs: a device with ports is there from the start"
        ))
    }
    fn disks(&self) -> &Arc<Disks> {
        &self.plugger.kit.disks
    }
    fn network(&mut self, id: &str) -> Result<Arc<dyn NetBackend>, UserError> {
        self.plugger.kit.networks.lock().take(id)
    }
    fn station(&mut self) -> MacAddress {
        self.plugger.kit.networks.lock().station()
    }
    fn map(&mut self, _: Range, device: Arc<dyn MmioDevice>) -> Result<(), UserError> {
        Err(user_error!("{} cannot be put on the system bus while the machine runs", device.name()))
    }
    /// What a PCI function brings along is a part of it.
    fn add(&mut self, _: Arc<dyn Component>) {}
    /// No function has the board's power key.
    fn power_key(&mut self, _: IrqLine) {}
}
