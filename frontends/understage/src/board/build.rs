//! Putting the `virt` board together from a [`MachineConfig`] and a [`Plan`].

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus, MmioDevice};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DmaPort, WriteObserver};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use emu_devices::block::MemoryDisk;
use emu_devices::flash::cfi::CfiFlash;
use emu_devices::gpio::pl061::Pl061;
use emu_devices::pci::{PciFunction, PciHost, TestDevice};
use emu_devices::rtc::pl031::Pl031;
use emu_devices::uart::pl011::Pl011;
use emu_devices::virtio::{
    Blk, BlkOptions, Console, Interfaces, PortOptions, Rng, VirtioDevice, VirtioMmio, VirtioOptions,
    VirtioPci,
};
use emu_engine::interp::vcpu::Vcpu;
use emu_engine::jit::observe::{Listener, Observers};
use emu_pe::cpu::{Cpu, CpuConfig};
use emu_pe::doorbell::Doorbell;
use emu_pe::mem::shared::Shared;
use emu_pe::mem::{Mem, mmu_features};
use emu_pe::semihosting::Semihosting;
use emu_pe::trace::Trace;
use emu_smmu::GlobalBypass;
use parking_lot::Mutex;

use super::characters::Characters;
use super::chars::{self, HostEntropy};
use super::fw_cfg;
use super::host_code;
use super::interrupts::Gic;
use super::slots::{self, Place};
use super::storage;
use crate::character::Port;
use crate::config::{
    Accel, CharBackend, Check, ConsolePorts, Device, DeviceKind, MachineConfig, Tracing, VirtioBus,
};
use crate::error::{UserError, user_error};
use crate::load::plan::Plan;
use crate::map::{self, Range};
use crate::monitor::Listing;
use crate::power::{Power, SharedVcpu};
use crate::quit::OnQuit;
use crate::semihosting::{self, largest_gap};

/// A machine that is put together, and not yet started.
pub struct Board {
    /// RAM, from [`map::RAM_BASE`] on.
    pub ram: &'static GuestRam,
    /// The bus.
    pub bus: Arc<Bus>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Power states.
    pub power: Arc<Power>,
    /// What vCPUs share.
    pub shared: Arc<Shared>,
    /// Everything but the CPUs, in the order in which it is started.
    pub components: Vec<Arc<dyn Component>>,
    /// The CPUs.
    pub vcpus: Vec<SharedVcpu>,
    /// The PL011's other end.
    pub serial: Arc<Port>,
    /// The other ends of all serial ports and consoles, and the monitors: they are yet to begin.
    pub characters: Mutex<Characters>,
    /// The PCI bus.
    pub pci: Arc<PciHost>,
    /// The wire of the power key.
    pub power_key: IrqLine,
    /// What monitors know of the command line.
    pub listing: Listing,
    /// Who is told of host code, and of the end.
    pub listeners: Vec<Arc<dyn Listener>>,
    /// What devices count.
    pub counters: Arc<Counters>,
    /// What each CPU counts.
    pub cpu_counters: Vec<Arc<Counters>>,
}

/// What construction needs at many places.
struct Builder<'a> {
    config: &'a MachineConfig,
    bus: Arc<Bus>,
    clock: Arc<Clock>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    gic: Gic,
    smmu: Arc<GlobalBypass>,
    components: Vec<Arc<dyn Component>>,
    characters: Characters,
}

impl Board {
    /// Builds the machine and opens its files. Nothing runs yet, and nothing that was there has changed.
    pub fn new(
        config: &MachineConfig,
        plan: &Plan,
        on_quit: &dyn Fn(Arc<Power>) -> OnQuit,
    ) -> Result<Self, UserError> {
        let cpus = config.topology.cpus();
        let ram = super::ram::get(config.memory, &config.ram)?;
        let bus = Arc::new(Bus::new());
        let clock = Clock::new(Mode::RealTime);
        let shared = Arc::new(Shared::new(
            cpus as usize,
            &[
                (Pa(map::RAM_BASE), config.memory),
                (Pa(map::FLASH0.base), map::FLASH0.size),
                (Pa(map::FLASH1.base), map::FLASH1.size),
            ],
        ));
        let counters = Arc::new(Counters::default());
        let power = Power::new(cpus as usize);
        power.set_stop_on(&config.stop_on);
        map_backing(&bus, Range { base: map::RAM_BASE, size: config.memory }, Backing::Ram(ram, 0))?;
        let gic = Gic::new(config, &bus, &shared, &counters)?;
        let mut b = Builder {
            config,
            bus: bus.clone(),
            clock: clock.clone(),
            shared: shared.clone(),
            counters: counters.clone(),
            smmu: GlobalBypass::new(bus.clone(), Some(shared.clone() as Arc<dyn WriteObserver>)),
            characters: Characters::new(config, on_quit(power.clone()))?,
            components: vec![gic.component()],
            gic,
        };
        b.interrupt_controller()?;
        b.flash(plan)?;
        let (serial, power_key) = b.platform_devices(plan)?;
        let pci = b.virtio_and_pci()?;
        let listeners = host_code::listeners(&config.perf)?;
        let semihosting = b.semihosting(plan, &power)?;
        let (vcpus, cpu_counters) = b.cpus(&power, &listeners, semihosting)?;
        let (components, characters) = (b.components, Mutex::new(b.characters));
        Ok(Self {
            ram,
            bus,
            clock,
            power,
            shared,
            components,
            vcpus,
            serial,
            characters,
            pci,
            power_key,
            listing: Listing::of(config),
            listeners,
            counters,
            cpu_counters,
        })
    }
}

fn map_backing(bus: &Bus, range: Range, backing: Backing) -> Result<(), UserError> {
    bus.map(Pa(range.base), range.size, backing)
        .map_err(|e| user_error!("the board does not fit together: {e}"))
}

impl Builder<'_> {
    fn map(&self, range: Range, device: Arc<dyn MmioDevice>) -> Result<(), UserError> {
        map_backing(&self.bus, range, Backing::Mmio(device))
    }

    fn line(&self, spi: u32) -> IrqLine {
        IrqLine::new(self.gic.spis(), spi)
    }

    /// A master's way to memory. Platform devices have no requester ID; theirs is 0.
    fn port(&self, stream_id: u32) -> Arc<dyn DmaPort> {
        self.smmu.port(stream_id)
    }

    fn interrupt_controller(&self) -> Result<(), UserError> {
        for (range, device) in self.gic.regions(self.config, &self.counters) {
            self.map(range, device)?;
        }
        Ok(())
    }

    fn flash(&mut self, plan: &Plan) -> Result<(), UserError> {
        let banks = [(map::FLASH0, "flash0"), (map::FLASH1, "flash1")];
        for (i, (range, name)) in banks.into_iter().enumerate() {
            let image = plan.flash[i].as_deref().unwrap_or_default();
            let programming = storage::programming(self.config.flash[i].as_ref(), image, range.size)?;
            let flash = CfiFlash::new(name, range.size, image, programming, &self.counters)
                .map_err(|e| user_error!("{e}"))?;
            flash
                .attach(&self.bus, Pa(range.base))
                .map_err(|e| user_error!("the board does not fit together: {e}"))?;
            flash.tell(self.shared.clone());
            self.components.push(flash);
        }
        Ok(())
    }

    /// A serial port; gives its other end.
    fn serial_port(
        &mut self,
        (range, spi): (Range, u32),
        backend: &CharBackend,
        label: &str,
    ) -> Result<Arc<Port>, UserError> {
        let port = self.characters.open(backend, label)?;
        let uart = Pl011::new(
            &format!("pl011@{:x}", range.base),
            &self.clock,
            self.line(spi),
            Box::new(chars::UartOutput(port.clone())),
            &self.counters,
        );
        chars::feed_uart(&port, &uart);
        self.map(range, uart.clone())?;
        self.components.push(uart);
        Ok(port)
    }

    /// Gives the first serial port's other end, and the wire of the power key.
    fn platform_devices(&mut self, plan: &Plan) -> Result<(Arc<Port>, IrqLine), UserError> {
        let config = self.config;
        let port = self.serial_port((map::UART, map::UART_SPI), &config.serial, "serial0")?;
        if let Some(backend) = &config.characters.second_serial {
            self.serial_port((map::UART1, map::UART1_SPI), backend, "serial1")?;
        }
        let (clock, now) = super::rtc::clock_and_start(self.config.rtc, &self.clock)?;
        let rtc = Pl031::new("pl031@9010000", &clock, now, self.line(map::RTC_SPI), &self.counters);
        self.map(map::RTC, rtc.clone())?;
        let gpio = Pl061::new("pl061@9030000", self.line(map::GPIO_SPI), [const { None }; 8], &self.counters);
        self.map(map::GPIO, gpio.clone())?;
        let fw_cfg = fw_cfg::build(self.port(0), &self.counters, plan)?;
        self.map(map::FW_CFG, fw_cfg.clone())?;
        let power_key = IrqLine::new(gpio.clone(), map::POWER_BUTTON_PIN);
        self.components.extend([rtc as Arc<dyn Component>, gpio, fw_cfg]);
        Ok((port, power_key))
    }

    fn virtio_and_pci(&mut self) -> Result<Arc<PciHost>, UserError> {
        let smmu = self.smmu.clone();
        let ports = move |requester: u32| smmu.port(requester);
        let intx = [0, 1, 2, 3].map(|pin| self.line(map::PCIE_SPI + pin));
        let pci = PciHost::new(intx, Box::new(ports), &self.counters);
        self.map(map::ecam(self.config.virt), pci.ecam())?;
        self.map(map::PCIE_MMIO, pci.memory_window("pcie-mmio", map::PCIE_MMIO.base))?;
        self.map(map::PCIE_PIO, pci.io_window())?;
        if self.config.virt.highmem_mmio {
            self.map(map::PCIE_MMIO_HIGH, pci.memory_window("pcie-mmio-high", map::PCIE_MMIO_HIGH.base))?;
        }
        let places = slots::assign(&self.config.devices)?;
        let mut transports: Vec<Option<&Device>> = vec![None; map::VIRTIO_MMIO_COUNT as usize];
        for (device, place) in self.config.devices.iter().zip(places) {
            match place {
                Place::Pci(slot) => {
                    let function = self.function(slot, device)?;
                    pci.add(Some(slot), function).map_err(|e| user_error!("{e}"))?;
                }
                Place::Mmio(n) => transports[n as usize] = Some(device),
            }
        }
        for (n, device) in transports.into_iter().enumerate() {
            self.virtio_mmio(n as u32, device)?;
        }
        self.components.push(pci.clone());
        Ok(pci)
    }

    fn function(&mut self, slot: u8, device: &Device) -> Result<Arc<dyn PciFunction>, UserError> {
        if device.kind == DeviceKind::PciTest {
            return Ok(Arc::new(TestDevice::new(&self.counters)));
        }
        let (made, options) = self.virtio_device(device)?;
        Ok(VirtioPci::new(&format!("virtio-pci@{slot:x}"), made, options, &self.counters))
    }

    fn virtio_mmio(&mut self, n: u32, device: Option<&Device>) -> Result<(), UserError> {
        let base = map::VIRTIO_MMIO.base + u64::from(n) * map::VIRTIO_MMIO_STRIDE;
        let (made, options) = match device {
            Some(d) => {
                let (made, options) = self.virtio_device(d)?;
                (Some(made), options)
            }
            None => (None, VirtioOptions::default()),
        };
        let legacy = self.config.virt.legacy_mmio;
        let interfaces = if legacy { Interfaces::Legacy } else { Interfaces::Modern };
        let options = VirtioOptions { interfaces, ..options };
        let line = self.line(map::VIRTIO_MMIO_SPI + n);
        let slot = VirtioMmio::new(
            &format!("virtio-mmio@{base:x}"),
            made,
            line,
            self.port(0),
            options,
            &self.counters,
        );
        self.map(Range { base, size: map::VIRTIO_MMIO_STRIDE }, slot.clone())?;
        self.components.push(slot);
        Ok(())
    }

    fn virtio_device(
        &mut self,
        device: &Device,
    ) -> Result<(Arc<dyn VirtioDevice>, VirtioOptions), UserError> {
        let interfaces = match device.bus {
            VirtioBus::Pci { interfaces, .. } => interfaces,
            // The transports' own choice, which is the same for all.
            VirtioBus::Mmio { .. } => Interfaces::Modern,
        };
        let options =
            VirtioOptions { interfaces, iommu_platform: device.access_platform, ..VirtioOptions::default() };
        let made: Arc<dyn VirtioDevice> = match &device.kind {
            DeviceKind::Block(disk) => {
                let options = storage::block_options(disk);
                Blk::new(storage::open_disk(disk)?, &disk.serial, options, &self.counters)
            }
            DeviceKind::MemoryBlock(contents) => {
                let disk = Arc::new(MemoryDisk::new("memory", contents.clone()));
                Blk::new(disk, "", BlkOptions::default(), &self.counters)
            }
            DeviceKind::Entropy(file) => Rng::new(Arc::new(HostEntropy::open(file.as_ref())?)),
            DeviceKind::Console(ports) => self.console(ports)?,
            DeviceKind::PciTest => return Err(user_error!("pci-testdev is not a virtio device")),
        };
        Ok((made, options))
    }

    fn console(&mut self, wanted: &ConsolePorts) -> Result<Arc<Console>, UserError> {
        let (mut ends, mut options) = (Vec::new(), Vec::new());
        for port in &wanted.ports {
            let end = self.characters.open(&port.backend, &format!("console{}", port.number))?;
            options.push(PortOptions {
                number: port.number,
                console: port.console,
                name: port.name.clone(),
                host_open: end.is_open(),
                backend: Arc::new(chars::ConsoleOutput(end.clone())),
            });
            ends.push((port.number, end));
        }
        let console = Console::with_ports(wanted.most, options);
        ends.iter().for_each(|(number, end)| chars::feed_console(end, &console, *number));
        Ok(console)
    }

    /// Who serves the programs' calls, if anybody does.
    fn semihosting(
        &mut self,
        plan: &Plan,
        power: &Arc<Power>,
    ) -> Result<Option<Arc<semihosting::Host>>, UserError> {
        let Some(asked) = &self.config.semihosting else { return Ok(None) };
        let loaded = plan.segments.iter().map(|s| Range { base: s.address, size: s.size });
        let ram = Range { base: map::RAM_BASE, size: self.config.memory };
        let port =
            asked.console.as_ref().map(|backend| self.characters.open(backend, "semihosting")).transpose()?;
        let console = semihosting::Console::new(self.config, port, self.characters.on_quit());
        Ok(Some(semihosting::Host::new(self.config, largest_gap(ram, loaded), console, power.clone())))
    }

    fn cpus(
        &self,
        power: &Arc<Power>,
        listeners: &[Arc<dyn Listener>],
        semihosting: Option<Arc<semihosting::Host>>,
    ) -> Result<(Vec<SharedVcpu>, Vec<Arc<Counters>>), UserError> {
        let model = Arc::new(self.config.cpu_changes.apply(self.config.cpu.model()));
        let (mut vcpus, mut counters) = (Vec::new(), Vec::new());
        let cpus = self.config.topology.cpus() as usize;
        for index in 0..cpus {
            let doorbell = Arc::new(Doorbell::default());
            power.set_doorbell(index, doorbell.clone());
            let port = self.gic.connect(index, doorbell.clone())?;
            let own: Arc<Counters> = Arc::default();
            counters.push(own.clone());
            let mut cpu = Cpu::new(CpuConfig {
                model: model.clone(),
                el2: self.config.virt.virtualization,
                index,
                counters: own,
                doorbell,
                clock: self.clock.clone(),
                port,
                machine: power.clone(),
            });
            cpu.mem = Mem::new(mmu_features(&model), self.bus.clone(), self.shared.clone(), index);
            cpu.semihosting = semihosting.clone().map(|host| host as Arc<dyn Semihosting>);
            cpu.trace = trace(&self.config.trace);
            let mut vcpu = Vcpu::new(cpu);
            let (host_code, blocks) = self.config.accel.code_bytes(cpus);
            vcpu.bound_blocks(blocks);
            if let Accel::Jit { .. } = self.config.accel {
                if vcpu.use_jit(host_code, COMPILED_AT) {
                    vcpu.observe(Observers {
                        listeners: listeners.to_vec(),
                        profile: self.config.stats.then(Arc::default),
                    });
                } else if let Some(file) = self.config.perf.first() {
                    return Err(user_error!(
                        "{} is about translated code, and this host has no translator",
                        file.option
                    ));
                } else {
                    tracing::info!("instructions are interpreted: there is no translator for this host");
                }
            }
            if let Some(Check::Lockstep(option)) = self.config.check
                && !vcpu.check_lockstep(index as u64)
            {
                return Err(user_error!("{option} has nothing to compare: no host code is made"));
            }
            vcpus.push(Arc::new(Mutex::new(vcpu)));
        }
        Ok((vcpus, counters))
    }
}

/// A block is compiled when it runs for this many times: what runs once is not worth it.
const COMPILED_AT: u8 = 12;

/// What a CPU tells of its blocks.
fn trace(wanted: &Tracing) -> Trace {
    Trace { blocks: wanted.blocks(), code: wanted.has("in_asm"), ranges: wanted.ranges.clone() }
}
