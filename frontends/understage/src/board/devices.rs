//! Putting the devices on the board: those on the system bus, the PCIe root bus with its functions, and the virtio-mmio
//! transports.

use std::sync::Arc;

use emu_core::bus::{Bus as SystemBus, MmioDevice};
use emu_core::clock::Clock;
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::ledger::{Account, Ledger, Owner, Subject};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_devices::net::{MacAddress, NetBackend};
use emu_devices::pci::{BusId, PciHost, Position, Space};
use emu_devices::virtio::{Interfaces, VirtioMmio, VirtioOptions, VirtioPci};
use emu_mmu::Features;
use emu_pe::mem::mmu_features;
use emu_pe::mem::shared::Shared;

use super::build::Builder;
use crate::character::Port;
use crate::config::{Bus, CharBackend, Device};
use crate::device;
use crate::device::disks::Disks;
use crate::device::fw_cfg::Contents;
use crate::device::kind::Built;
use crate::device::places::{self, Place};
use crate::device::site::Site;
use crate::device::system_mmu::SystemMmu;
use crate::error::{UserError, user_error};
use crate::load::plan::Plan;
use crate::map::{self, Range};

impl Builder<'_> {
    /// The devices, those of the board first; gives the PCI bus.
    pub(super) fn devices(&mut self, plan: &Plan) -> Result<Arc<PciHost>, UserError> {
        let own = device::of_board(self.config);
        let devices: Vec<&Device> = own.iter().chain(&self.config.devices).collect();
        let places = places::assign(&devices)?;
        self.bus_names = places::bus_names(&devices);
        // The system MMU first: others have their ways to memory from it.
        for mmu in [true, false] {
            for (device, place) in devices.iter().zip(&places).filter(|(d, _)| d.is_system_mmu() == mmu) {
                if let Place::Platform(_) = place {
                    self.device(plan, device, *place)?;
                }
            }
        }
        let pci = self.pci_host()?;
        let mut transports: Vec<Option<&Device>> = vec![None; map::VIRTIO_MMIO_COUNT as usize];
        for (device, place) in devices.iter().zip(&places) {
            match place {
                Place::Platform(_) => {}
                Place::Mmio(n) => transports[*n as usize] = Some(device),
                Place::Pci(at) => self.function(plan, device, *at, &pci)?,
            }
        }
        for (n, device) in transports.into_iter().enumerate() {
            self.virtio_mmio(plan, n as u32, device)?;
        }
        self.components.push(pci.clone());
        Ok(pci)
    }

    /// A function in its place on PCI.
    fn function(
        &mut self,
        plan: &Plan,
        device: &Device,
        at: Position,
        pci: &PciHost,
    ) -> Result<(), UserError> {
        let function = match self.device(plan, device, Place::Pci(at))? {
            Built::Function(function) => function,
            Built::Virtio(made) => {
                let name = place_name(&self.bus_names, "virtio-pci", Place::Pci(at));
                VirtioPci::new(&name, made, virtio_options(device), &self.counters)
            }
            Built::Installed => return Ok(()),
        };
        if device.pci.multifunction {
            function.core().set_multifunction();
        }
        pci.add_at(at, function).map(|_| ()).map_err(|e| user_error!("{e}"))
    }

    fn device(&mut self, plan: &Plan, device: &Device, place: Place) -> Result<Built, UserError> {
        let kind = device::kind_of(device)?;
        kind.build(&*device.settings, place, &mut OnBoard { builder: self, plan, place })
    }

    fn pci_host(&self) -> Result<Arc<PciHost>, UserError> {
        let intx = [0, 1, 2, 3].map(|pin| self.line(map::PCIE_SPI + pin));
        let around = self.smmu.is_some().then(|| self.ports.clone());
        let pci = PciHost::behind(intx, self.translated_ports.clone(), around, &self.counters);
        self.map(map::ecam(self.config.virt), pci.ecam())?;
        self.window(
            map::PCIE_MMIO,
            pci.memory_window("pcie-mmio", map::PCIE_MMIO.base),
            &pci,
            Space::Memory,
        )?;
        self.window(map::PCIE_PIO, pci.io_window(), &pci, Space::Io)?;
        if self.config.virt.highmem_mmio {
            let high = map::PCIE_MMIO_HIGH;
            self.window(high, pci.memory_window("pcie-mmio-high", high.base), &pci, Space::Memory)?;
        }
        Ok(pci)
    }

    /// A window onto an address space of PCI: what is done there is in the accounts of the functions behind it.
    fn window(
        &self,
        range: Range,
        device: Arc<dyn MmioDevice>,
        pci: &Arc<PciHost>,
        space: Space,
    ) -> Result<(), UserError> {
        let Some(ledger) = &self.ledger else { return self.map(range, device) };
        let first = if space == Space::Memory { range.base } else { 0 };
        let owner = Decoders { pci: pci.clone(), space, first, ledger: ledger.clone() };
        self.map_owned(range, device, owner, ledger)
    }

    /// A virtio-mmio transport, with a device or without. What drivers it is for is the same for all.
    fn virtio_mmio(&mut self, plan: &Plan, n: u32, device: Option<&Device>) -> Result<(), UserError> {
        let range = map::virtio_mmio(n);
        let made = match device {
            Some(device) => match self.device(plan, device, Place::Mmio(n))? {
                Built::Virtio(made) => Some(made),
                Built::Function(_) | Built::Installed => None,
            },
            None => None,
        };
        let legacy = self.config.virt.legacy_mmio;
        let interfaces = if legacy { Interfaces::Legacy } else { Interfaces::Modern };
        let options = VirtioOptions { interfaces, ..device.map(virtio_options).unwrap_or_default() };
        let line = self.line(map::VIRTIO_MMIO_SPI + n);
        // Without ACCESS_PLATFORM addresses are physical, and no IOMMU applies to them (virtio 1.2, 6.1).
        let ports = if options.iommu_platform { &self.translated_ports } else { &self.ports };
        let slot = VirtioMmio::new(
            &format!("virtio-mmio@{:x}", range.base),
            made,
            line,
            (&**ports, map::VIRTIO_MMIO_STREAM + n),
            options,
            &self.counters,
        );
        self.map(range, slot.clone())?;
        self.components.push(slot);
        Ok(())
    }
}

/// What a device of this kind is called in a place; `bus_names` are those of the PCI buses.
pub(super) fn place_name(bus_names: &[String], kind: &str, place: Place) -> String {
    match place {
        Place::Pci(at) => {
            let function = if at.function() == 0 { String::new() } else { format!(".{:x}", at.function()) };
            let bus = bus_names.get(usize::from(at.bus.0)).filter(|_| at.bus != BusId::ROOT);
            let bus = bus.map_or_else(String::new, |bus| format!("{bus}/"));
            format!("{kind}@{bus}{:x}{function}", at.device())
        }
        Place::Mmio(n) => format!("{kind}@{:x}", map::virtio_mmio(n).base),
        Place::Platform(spot) => format!("{kind}@{:x}", spot.resources.range.base),
    }
}

/// The functions behind a window of PCI.
struct Decoders {
    pci: Arc<PciHost>,
    space: Space,
    /// PCI address of the window's first byte.
    first: u64,
    ledger: Arc<Ledger>,
}

impl Owner for Decoders {
    fn at(&self, offset: u64) -> Option<Arc<Account>> {
        let function = self.pci.decoder(self.space, self.first.wrapping_add(offset))?;
        Some(self.ledger.account(Subject::Device(function.name().to_owned())))
    }
}

/// The board as its devices see it.
struct OnBoard<'a, 'b> {
    builder: &'a mut Builder<'b>,
    plan: &'a Plan,
    place: Place,
}

/// What a virtio device offers because of where it is.
pub(super) fn virtio_options(device: &Device) -> VirtioOptions {
    let interfaces = match device.bus {
        Bus::Pci { interfaces, .. } => interfaces,
        Bus::Mmio { .. } | Bus::Platform => Interfaces::Modern,
    };
    VirtioOptions { interfaces, iommu_platform: device.access_platform, ..VirtioOptions::default() }
}

impl Site for OnBoard<'_, '_> {
    fn name(&self, kind: &str) -> String {
        place_name(&self.builder.bus_names, kind, self.place)
    }
    fn counters(&self) -> &Arc<Counters> {
        &self.builder.counters
    }
    fn account(&self, kind: &str) -> Option<Arc<Account>> {
        // A virtio device on the system bus is known by its transport.
        let name = self.name(if let Place::Mmio(_) = self.place { "virtio-mmio" } else { kind });
        self.builder.ledger.as_ref().map(|ledger| ledger.account(Subject::Device(name)))
    }
    fn clock(&self) -> &Arc<Clock> {
        &self.builder.clock
    }
    fn line(&self, spi: u32) -> IrqLine {
        self.builder.line(spi)
    }
    fn ports(&self) -> &dyn Ports {
        &*self.builder.ports
    }
    fn translated_ports(&self) -> &dyn Ports {
        &*self.builder.translated_ports
    }
    fn stand_before_masters(&mut self, smmu: SystemMmu) {
        self.builder.translated_ports = self.builder.accounted(smmu.ports());
        self.builder.smmu = Some(smmu);
    }
    fn bus(&self) -> &Arc<SystemBus> {
        &self.builder.bus
    }
    fn cpus(&self) -> &Arc<Shared> {
        &self.builder.shared
    }
    fn translation(&self) -> Features {
        mmu_features(&self.builder.model)
    }
    fn handed_over(&self) -> Contents<'_> {
        Contents { items: &self.plan.fw_cfg, files: &self.plan.fw_cfg_files }
    }
    fn open(&mut self, backend: &CharBackend, label: &str) -> Result<Arc<Port>, UserError> {
        let port = self.builder.characters.open(backend, label)?;
        if label == FIRST_SERIAL {
            self.builder.serial = Some(port.clone());
        }
        Ok(port)
    }
    fn disks(&self) -> &Arc<Disks> {
        &self.builder.disks
    }
    fn network(&mut self, id: &str) -> Result<Arc<dyn NetBackend>, UserError> {
        self.builder.networks.take(id)
    }
    fn station(&mut self) -> MacAddress {
        self.builder.networks.station()
    }
    fn map(&mut self, range: Range, device: Arc<dyn MmioDevice>) -> Result<(), UserError> {
        self.builder.map(range, device)
    }
    fn add(&mut self, component: Arc<dyn Component>) {
        self.builder.components.push(component);
    }
    fn power_key(&mut self, line: IrqLine) {
        self.builder.power_key = Some(line);
    }
}

/// What the first serial port is called.
const FIRST_SERIAL: &str = "serial0";
