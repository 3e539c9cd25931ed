//! Putting the `virt` board together from a [`MachineConfig`] and a [`Plan`].

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus, MmioDevice};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPorts, Ports};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::ledger::{AccountedLines, AccountedPorts, AccountedRegisters, Ledger, Owner, Subject};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use emu_devices::flash::cfi::CfiFlash;
use emu_devices::pci::PciHost;
use emu_engine::interp::vcpu::Vcpu;
use emu_engine::jit::observe::{Listener, Observers};
use emu_pe::cpu::{Cpu, CpuConfig};
use emu_pe::doorbell::Doorbell;
use emu_pe::mem::mmu_features;
use emu_pe::mem::shared::Shared;
use emu_pe::model::Model;
use emu_pe::trace::Trace;
use parking_lot::Mutex;

use super::characters::Characters;
use super::hotplug::{Kit, Plugger};
use super::interrupts::Gic;
use super::whole::{self, CpuPart};
use super::{flash, host_code};
use crate::character::Port;
use crate::config::{self, Accel, Check, MachineConfig, QtestLog, Time, Tracing};
use crate::device::disks::Disks;
use crate::device::system_mmu::SystemMmu;
use crate::error::{UserError, user_error};
use crate::ledger::{Book, Sources};
use crate::load::plan::Plan;
use crate::map::{self, Range};
use crate::monitor::{self, Listing};
use crate::network::{Networks, Shown};
use crate::power::{Power, SharedVcpu};
use crate::qtest::intercept::Intercept;
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
    /// All components, in the order in which they are started.
    pub components: Vec<Arc<dyn Component>>,
    /// The CPUs.
    pub vcpus: Vec<SharedVcpu>,
    /// The PL011's other end.
    pub serial: Arc<Port>,
    /// The other ends of all serial ports and consoles, and the monitors: they are yet to begin.
    pub characters: Mutex<Characters>,
    /// The networks that monitors know of.
    pub networks: Shown,
    /// The images that devices use.
    pub disks: Arc<Disks>,
    /// The PCI bus.
    pub pci: Arc<PciHost>,
    /// Adds devices to it, and takes them away.
    pub plugger: Arc<Plugger>,
    /// The system MMU in front of it, if there is one.
    pub smmu: Option<SystemMmu>,
    /// The wire of the power key.
    pub power_key: IrqLine,
    /// The CPUs run; else devices are driven from outside.
    pub runs: bool,
    /// By whom.
    pub driven: Option<Driven>,
    /// What monitors know of the command line.
    pub listing: Listing,
    /// Who is told of host code, and of the end.
    pub listeners: Vec<Arc<dyn Listener>>,
    /// What CPUs and devices did by cause, if that is asked for.
    pub book: Option<Arc<Book>>,
    /// What devices count.
    pub counters: Arc<Counters>,
    /// What each CPU counts.
    pub cpu_counters: Vec<Arc<Counters>>,
}

/// Where the client is that drives the devices, and what it needs of the board.
pub struct Driven {
    /// The wires of interrupts.
    pub wires: Arc<Intercept>,
    /// The client.
    pub port: Arc<Port>,
    /// Where it is written what was said.
    pub log: QtestLog,
    /// Connections by which others send to devices.
    pub outside: Vec<Arc<Port>>,
}

/// What construction needs at many places.
pub(super) struct Builder<'a> {
    pub(super) config: &'a MachineConfig,
    pub(super) bus: Arc<Bus>,
    pub(super) clock: Arc<Clock>,
    pub(super) shared: Arc<Shared>,
    pub(super) model: Arc<Model>,
    pub(super) counters: Arc<Counters>,
    pub(super) gic: Gic,
    /// Where it is written what devices do, if that is asked for.
    pub(super) ledger: Option<Arc<Ledger>>,
    /// Where the wires of devices end.
    spis: Arc<dyn IrqSink>,
    /// The ways to memory with nothing in them.
    pub(super) ports: Arc<dyn Ports>,
    /// Those behind the system MMU, if there is one; else the same.
    pub(super) translated_ports: Arc<dyn Ports>,
    /// The system MMU in front of the PCI functions, if there is one.
    pub(super) smmu: Option<SystemMmu>,
    pub(super) components: Vec<Arc<dyn Component>>,
    pub(super) characters: Characters,
    /// The other ends of network cables.
    pub(super) networks: Networks,
    /// The images that devices have opened.
    pub(super) disks: Arc<Disks>,
    /// The other end of the first serial port.
    pub(super) serial: Option<Arc<Port>>,
    pub(super) power_key: Option<IrqLine>,
    /// What the PCI buses are called.
    pub(super) bus_names: Vec<String>,
}

impl Board {
    /// What monitors see of the SMMU.
    #[must_use]
    pub fn smmu_view(&self) -> monitor::smmu::View {
        monitor::smmu::View {
            smmu: self.smmu.clone(),
            pci: Some(self.pci.clone()),
            clock: self.clock.clone(),
        }
    }

    /// Builds the machine and opens its files. Nothing runs yet, and nothing that was there has changed.
    pub fn new(
        config: &MachineConfig,
        plan: &Plan,
        on_quit: &dyn Fn(Arc<Power>) -> OnQuit,
    ) -> Result<Self, UserError> {
        let cpus = config.topology.cpus();
        let ram = super::ram::get(config.memory, &config.ram)?;
        let bus = Arc::new(Bus::new());
        let runs = config.accel != Accel::Qtest;
        let counted = !runs || config.time != Time::Real;
        let clock = Clock::new(if counted { Mode::Counted } else { Mode::RealTime });
        let shared = Arc::new(Shared::new(cpus as usize));
        let counters = Arc::new(Counters::default());
        let power = Power::new(cpus as usize);
        power.set_stop_on(&config.stop_on);
        map_backing(&bus, Range { base: map::RAM_BASE, size: config.memory }, Backing::Ram(ram, 0))?;
        let gic = Gic::new(config, &bus, &counters)?;
        let wires = config.qtest.as_ref().map(|_| Intercept::new(gic.spis()));
        let spis = wires.clone().map_or_else(|| gic.spis(), |wires| wires as Arc<dyn IrqSink>);
        let accounts = config.ledger != config::Ledger::Off || config.trace.timeline.is_some();
        let book = accounts.then(Arc::<Book>::default);
        let ledger = book.as_ref().map(|book| book.ledger().clone());
        let spis = match &ledger {
            Some(ledger) => Arc::new(AccountedLines::new(spis, ledger.clone())) as Arc<dyn IrqSink>,
            None => spis,
        };
        let ports = accounted(ledger.as_ref(), Arc::new(DirectPorts(bus.clone())));
        let mut characters = Characters::new(config, on_quit(power.clone()))?;
        let networks = Networks::open(config, &mut characters)?;
        let mut b = Builder {
            config,
            bus: bus.clone(),
            clock: clock.clone(),
            shared: shared.clone(),
            model: Arc::new(config.cpu_changes.apply(config.cpu.model())),
            counters: counters.clone(),
            translated_ports: ports.clone(),
            ports,
            smmu: None,
            characters,
            networks,
            disks: Arc::default(),
            components: vec![clock.clone(), gic.component()],
            gic,
            ledger,
            spis,
            serial: None,
            power_key: None,
            bus_names: Vec::new(),
        };
        b.interrupt_controller()?;
        b.flash(plan)?;
        let pci = b.devices(plan)?;
        let listeners = host_code::listeners(&config.perf)?;
        let semihosting = b.semihosting(plan, &power, book.clone())?;
        let (vcpus, cpu_counters) = b.cpus(&power, &listeners, semihosting)?;
        b.components.push(Arc::new(whole::Ram(ram)));
        b.components.extend(vcpus.iter().map(|vcpu| CpuPart::new(vcpu) as Arc<dyn Component>));
        // Started last and paused first: what is below it is still then.
        b.components.push(power.clone());
        let (Some(serial), Some(power_key)) = (b.serial, b.power_key) else {
            return Err(user_error!(
                "the board does not fit together: it has no serial port or no power key"
            ));
        };
        let driven = match (&config.qtest, wires) {
            (Some(qtest), Some(wires)) => {
                let port = b.characters.open(&qtest.client, "qtest")?;
                Some(Driven { wires, port, log: qtest.log.clone(), outside: b.networks.ports.clone() })
            }
            _ => None,
        };
        let networks = b.networks.shown.clone();
        let kit = Kit {
            counters: counters.clone(),
            clock: clock.clone(),
            ports: b.ports,
            translated_ports: b.translated_ports,
            bus: bus.clone(),
            shared: shared.clone(),
            translation: mmu_features(&b.model),
            ledger: b.ledger,
            networks: Mutex::new(b.networks),
            disks: b.disks.clone(),
        };
        let plugger = Plugger::new(kit, pci.clone(), b.bus_names, config.clone());
        let (components, characters) = (b.components, Mutex::new(b.characters));
        let board = Self {
            ram,
            bus,
            clock,
            power,
            shared,
            components,
            vcpus,
            serial,
            characters,
            networks,
            disks: b.disks,
            pci,
            plugger,
            smmu: b.smmu,
            power_key,
            runs,
            driven,
            listing: Listing::of(config),
            listeners,
            book,
            counters,
            cpu_counters,
        };
        if let Some(book) = &board.book {
            book.open(Sources::of(&board));
        }
        Ok(board)
    }
}

/// `ports`, with an account of what passes if there is a ledger.
fn accounted(ledger: Option<&Arc<Ledger>>, ports: Arc<dyn Ports>) -> Arc<dyn Ports> {
    match ledger {
        Some(ledger) => Arc::new(AccountedPorts::new(ports, ledger.clone())),
        None => ports,
    }
}

fn map_backing(bus: &Bus, range: Range, backing: Backing) -> Result<(), UserError> {
    bus.map(Pa(range.base), range.size, backing)
        .map_err(|e| user_error!("the board does not fit together: {e}"))
}

impl Builder<'_> {
    /// Ways to memory, with an account of what passes if there is a ledger.
    pub(super) fn accounted(&self, ports: Arc<dyn Ports>) -> Arc<dyn Ports> {
        accounted(self.ledger.as_ref(), ports)
    }

    pub(super) fn map(&self, range: Range, device: Arc<dyn MmioDevice>) -> Result<(), UserError> {
        let Some(ledger) = &self.ledger else { return map_backing(&self.bus, range, Backing::Mmio(device)) };
        let owner = ledger.account(Subject::Device(device.name().to_owned()));
        self.map_owned(range, device, owner, ledger)
    }

    /// Registers whose accesses go into the accounts of `owner`.
    pub(super) fn map_owned(
        &self,
        range: Range,
        device: Arc<dyn MmioDevice>,
        owner: impl Owner + 'static,
        ledger: &Arc<Ledger>,
    ) -> Result<(), UserError> {
        let device = AccountedRegisters::new(device, owner, ledger.clone());
        map_backing(&self.bus, range, Backing::Mmio(Arc::new(device)))
    }

    pub(super) fn line(&self, spi: u32) -> IrqLine {
        IrqLine::new(self.spis.clone(), spi)
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
            let programming = flash::programming(self.config.flash[i].as_ref(), image, range.size)?;
            let bank = CfiFlash::new(name, range.size, image, programming, &self.counters)
                .map_err(|e| user_error!("{e}"))?;
            bank.attach(&self.bus, Pa(range.base))
                .map_err(|e| user_error!("the board does not fit together: {e}"))?;
            self.components.push(bank);
        }
        Ok(())
    }

    /// Who serves the programs' calls, if anybody does.
    fn semihosting(
        &mut self,
        plan: &Plan,
        power: &Arc<Power>,
        book: Option<Arc<Book>>,
    ) -> Result<Option<Arc<semihosting::Host>>, UserError> {
        let Some(asked) = &self.config.semihosting else { return Ok(None) };
        let loaded = plan.segments.iter().map(|s| Range { base: s.address, size: s.size });
        let ram = Range { base: map::RAM_BASE, size: self.config.memory };
        let port =
            asked.console.as_ref().map(|backend| self.characters.open(backend, "semihosting")).transpose()?;
        let console = semihosting::Console::new(self.config, port, self.characters.on_quit());
        let heap = largest_gap(ram, loaded);
        Ok(Some(semihosting::Host::new(self.config, heap, console, power.clone(), book)))
    }

    fn cpus(
        &self,
        power: &Arc<Power>,
        listeners: &[Arc<dyn Listener>],
        semihosting: Option<Arc<semihosting::Host>>,
    ) -> Result<(Vec<SharedVcpu>, Vec<Arc<Counters>>), UserError> {
        let (mut vcpus, mut counters) = (Vec::new(), Vec::new());
        let cpus = self.config.topology.cpus() as usize;
        for index in 0..cpus {
            let doorbell = Arc::new(Doorbell::default());
            power.set_doorbell(index, doorbell.clone());
            let port = self.gic.connect(index, doorbell.clone())?;
            let own: Arc<Counters> = Arc::default();
            counters.push(own.clone());
            let mut cpu = Cpu::new(CpuConfig {
                model: self.model.clone(),
                levels: self.config.virt.levels(),
                index,
                counters: own,
                doorbell,
                clock: self.clock.clone(),
                port,
                machine: power.clone(),
                bus: self.bus.clone(),
                shared: self.shared.clone(),
            });
            if let Some(host) = semihosting.clone() {
                cpu.wires.serve_semihosting(host);
            }
            cpu.trace = trace(&self.config.trace);
            let mut vcpu = Vcpu::new(cpu);
            let (host_code, blocks) = self.config.accel.code_bytes(cpus);
            vcpu.bound_blocks(blocks);
            if let Time::Counted(shift) = &self.config.time {
                vcpu.count_time(**shift);
            } else if let Accel::Jit { .. } = self.config.accel {
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
