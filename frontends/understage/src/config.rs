//! What machine to build, as plain data. Both command lines produce a [`MachineConfig`]; the loaders, the devicetree
//! and the board read it and nothing else.

mod block;
mod cpu;
mod host;
mod trace;

use std::ops::Deref;
use std::path::{Path, PathBuf};

pub use self::trace::{Category, Tracing, help as trace_help, ranges as trace_ranges};
pub use block::BlockTuning;
pub use cpu::CpuChanges;
use emu_cpu::features::Feat;
use emu_cpu::model::{MODELS, Model};
pub use emu_devices::virtio::Interfaces;
pub use host::{Host, Ram, RamBacking, Rtc, RtcBase};

pub use crate::character::spec::{CharBackend, Characters, ConsolePort, ConsolePorts};
use crate::error::UserError;
use crate::gdb::Address;
use crate::number::show_size;
use crate::user_error;

/// A value and the option that gave it, which is only for messages: two are equal if their values are.
#[derive(Clone, Copy, Debug)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// The option's name, as `--disk`.
    pub option: &'static str,
}

impl<T> Given<T> {
    /// `value`, given with `option`.
    pub fn new(option: &'static str, value: impl Into<T>) -> Self {
        Self { value: value.into(), option }
    }
}

impl<T: PartialEq> PartialEq for Given<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Given<T> {}

impl<T> Deref for Given<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A file of the host.
pub type HostFile = Given<PathBuf>;

impl HostFile {
    /// How messages call the file: `'x.img' given with --disk`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("'{}' given with {}", self.value.display(), self.option)
    }
    /// The path as messages show it.
    #[must_use]
    pub fn shown(&self) -> impl std::fmt::Display + '_ {
        Path::display(&self.value)
    }
}

/// A processor model: one of [`MODELS`].
#[derive(Clone, Copy)]
pub struct CpuModel(&'static Model);

impl CpuModel {
    /// The model called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        MODELS.iter().find(|model| model.name == name).map(Self).ok_or_else(|| {
            let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
            user_error!("there is no CPU model '{name}' (there are {})", names.join(", "))
        })
    }

    /// Everything that is implemented.
    #[must_use]
    pub fn max() -> Self {
        Self(MODELS.iter().find(|model| model.name == "max").unwrap_or(&MODELS[0]))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// What its node in a devicetree is compatible with.
    #[must_use]
    pub const fn compatible(self) -> &'static str {
        self.0.compatible
    }

    /// It has this feature of the architecture.
    #[must_use]
    pub const fn has(self, feature: Feat) -> bool {
        self.0.features.has(feature)
    }

    /// The model of `emu-cpu`.
    #[must_use]
    pub fn model(self) -> Model {
        Model::by_name(self.0.name).unwrap_or_else(Model::max)
    }

    /// A line for each model: what `--cpu help` prints.
    #[must_use]
    pub fn help() -> String {
        let width = MODELS.iter().map(|model| model.name.len()).max().unwrap_or(0);
        let line = |model: &Model| format!("  {:width$}  {}\n", model.name, model.summary);
        format!("CPU models:\n{}", MODELS.iter().map(line).collect::<String>())
    }
}

impl PartialEq for CpuModel {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for CpuModel {}

impl std::fmt::Debug for CpuModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// How the CPUs are grouped; only the devicetree's `cpu-map` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topology {
    /// Sockets in the machine.
    pub sockets: u32,
    /// Clusters in a socket.
    pub clusters: u32,
    /// Cores in a cluster.
    pub cores: u32,
}

impl Topology {
    /// One socket with one cluster of `cores`.
    #[must_use]
    pub const fn flat(cores: u32) -> Self {
        Self { sockets: 1, clusters: 1, cores }
    }
    /// CPUs in the machine.
    #[must_use]
    pub const fn cpus(self) -> u32 {
        self.sockets.saturating_mul(self.clusters).saturating_mul(self.cores)
    }
}

/// Version of the interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GicVersion {
    /// GICv2: CPU interfaces in memory.
    V2,
    /// GICv3: CPU interfaces as system registers.
    V3,
}

/// What makes interrupts of the messages that PCIe functions send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Msi {
    /// Nothing: functions have their INTx wires only.
    Off,
    /// The ITS of a GICv3.
    Its,
    /// A GICv2m frame, which makes SPIs of them.
    Gicv2m,
}

impl Msi {
    /// What a board with this interrupt controller has: `its` and `chosen` are what was asked for, if anything.
    pub fn of(gic: GicVersion, its: Option<bool>, chosen: Option<Self>) -> Result<Self, UserError> {
        match (gic, its, chosen) {
            (GicVersion::V2, Some(true), _) | (GicVersion::V2, _, Some(Self::Its)) => {
                Err(user_error!("a GICv2 has no ITS: messages go to a GICv2m frame"))
            }
            (_, Some(false), Some(Self::Its)) => Err(user_error!("messages cannot go to an ITS that is off")),
            (_, Some(true), Some(Self::Off | Self::Gicv2m)) => {
                Err(user_error!("there can be an ITS or another destination of messages, not both"))
            }
            (_, _, Some(chosen)) => Ok(chosen),
            (GicVersion::V2, _, None) => Ok(Self::Gicv2m),
            (GicVersion::V3, Some(false), None) => Ok(Self::Off),
            (GicVersion::V3, _, None) => Ok(Self::Its),
        }
    }
}

/// The options of the `virt` board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Virt {
    /// The CPUs have EL2.
    pub virtualization: bool,
    /// The interrupt controller.
    pub gic: GicVersion,
    /// What messages of PCIe functions go to.
    pub msi: Msi,
    /// The PCIe configuration space is the large one above 4 GiB.
    pub highmem_ecam: bool,
    /// There is a PCIe memory window above 4 GiB.
    pub highmem_mmio: bool,
    /// The virtio-mmio transports have the interface of the drafts before virtio 1.0.
    pub legacy_mmio: bool,
}

/// Format of a disk image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl DiskFormat {
    /// The format called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(user_error!("there is no disk format '{name}' (there are raw, qcow2)")),
        }
    }
}

/// A disk's contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The image.
    pub file: HostFile,
    /// Its format. Without one it is raw, and a file that looks like another format is refused.
    pub format: Option<DiskFormat>,
    /// The guest cannot write.
    pub readonly: bool,
    /// The guest's writes are kept in memory and lost at the end.
    pub snapshot: bool,
    /// What the device answers to VIRTIO_BLK_T_GET_ID; at most 20 bytes.
    pub serial: String,
    /// What it offers its driver.
    pub tuning: BlockTuning,
}

/// The transport of a virtio device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VirtioBus {
    /// A function of the PCIe root bus, in this slot or in the first free one.
    Pci {
        /// Device number, 1 to 31.
        slot: Option<u8>,
        /// What drivers it is for.
        interfaces: Interfaces,
    },
    /// One of the board's virtio-mmio transports.
    Mmio {
        /// Its number, or else the last free one.
        transport: Option<u8>,
    },
}

impl VirtioBus {
    /// The first free slot, for drivers of today.
    pub const PCI: Self = Self::Pci { slot: None, interfaces: Interfaces::Modern };
}

/// What a device does: virtio, unless it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceKind {
    /// virtio-blk.
    Block(Disk),
    /// virtio-blk with these contents in memory, which are gone at the end.
    MemoryBlock(Vec<u8>),
    /// virtio-rng, with the bytes of this file of the host, or else of the host's own generator.
    Entropy(Option<HostFile>),
    /// virtio-console.
    Console(ConsolePorts),
    /// A PCI function, not virtio, that asks a guest for accesses and counts them.
    PciTest,
}

/// One virtio device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What it does.
    pub kind: DeviceKind,
    /// Where it is.
    pub bus: VirtioBus,
    /// It offers VIRTIO_F_ACCESS_PLATFORM: its addresses are what the platform's IOMMU translates.
    pub access_platform: bool,
}

/// The contents of a flash bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flash {
    /// The image.
    pub file: HostFile,
    /// The guest cannot program the flash.
    pub readonly: bool,
    /// What the guest programs is lost at the end; otherwise it is written to the file.
    pub snapshot: bool,
}

/// Something put into RAM before the machine starts, beside the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blob {
    /// The bytes of a file, at this address.
    Raw {
        /// The file.
        file: HostFile,
        /// Physical address.
        address: u64,
    },
    /// The segments of an ELF file, at their physical addresses.
    Elf {
        /// The file.
        file: HostFile,
        /// Execution starts at its entry point.
        run: bool,
    },
    /// A value in memory.
    Data {
        /// The bytes.
        bytes: Vec<u8>,
        /// Physical address.
        address: u64,
    },
    /// The bytes of a file, with a node in the devicetree.
    Module(Module),
}

/// A file for a hypervisor that looks for its guests in the devicetree (Xen's "multiboot" binding).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// The file.
    pub file: HostFile,
    /// Physical address.
    pub address: u64,
    /// What it is.
    pub kind: ModuleKind,
}

/// What a [`Module`] is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModuleKind {
    /// A guest's kernel.
    Kernel {
        /// Its command line.
        bootargs: Option<String>,
    },
    /// A guest's initial RAM disk.
    Ramdisk,
}

/// A file that fw_cfg shows to the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FwCfgFile {
    /// Its name there.
    pub name: String,
    /// Its contents.
    pub contents: FwCfgContents,
}

/// Where the contents of a [`FwCfgFile`] come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FwCfgContents {
    /// A file of the host.
    File(HostFile),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// The kernel that the machine boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// The file: an arm64 `Image` (also compressed) or an ELF file.
    pub file: HostFile,
    /// A file of no known format is taken as code to be put 512 KiB into RAM, rather than refused.
    pub raw_allowed: bool,
}

/// How instructions are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accel {
    /// The interpreter.
    Interp,
    /// What runs often is translated to host code.
    Jit {
        /// Bytes that all code costs that is kept, for all CPUs together.
        cache: Given<u64>,
    },
}

impl Default for Accel {
    fn default() -> Self {
        Self::Jit { cache: Given::new("--code-cache", CODE_CACHE_BYTES) }
    }
}

/// What code costs if nobody says otherwise.
const CODE_CACHE_BYTES: u64 = 512 << 20;

impl Accel {
    /// Bytes of host code that each of so many CPUs keeps, and bytes of everything else that is kept of code: predecoded
    /// blocks, and tables. What is kept of a guest's instructions takes several times the host code of those that run often.
    #[must_use]
    pub fn code_bytes(&self, cpus: usize) -> (usize, usize) {
        let all = match self {
            Self::Interp => CODE_CACHE_BYTES,
            Self::Jit { cache } => **cache,
        };
        let each = usize::try_from(all / cpus.max(1) as u64).unwrap_or(usize::MAX);
        match self {
            Self::Interp => (0, each),
            Self::Jit { .. } => (each / 4, each - each / 4),
        }
    }
}

/// Something that a guest does which may end the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopOn {
    /// A CPU takes an exception again and again, and nothing deals with it.
    EndlessException,
}

impl StopOn {
    /// All of them, with their names on the command line.
    pub const NAMES: [(&'static str, Self); 1] = [("endless-exception", Self::EndlessException)];

    /// The one called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        let known = Self::NAMES.iter().find(|(n, _)| *n == name);
        known.map(|(_, event)| *event).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(n, _)| *n).collect();
            user_error!("there is no event '{name}' to stop on (there is {})", names.join(", "))
        })
    }
}

/// What is checked while the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Host code against the interpreter. The option that says so.
    Lockstep(&'static str),
}

/// The least and the most that code costs for a CPU: a single block needs some, and jumps reach 2 GiB.
pub const CODE_CACHE: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 30;

/// A file from which Linux's `perf` knows translated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerfFile {
    /// `/tmp/perf-PID.map`: names.
    Map,
    /// `jit-PID.dump` in the current directory: names and code, with times.
    Dump,
}

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineConfig {
    /// Board options.
    pub virt: Virt,
    /// Processor model.
    pub cpu: CpuModel,
    /// Processors.
    pub topology: Topology,
    /// RAM in bytes.
    pub memory: u64,
    /// Kernel.
    pub kernel: Option<Kernel>,
    /// Initial RAM disk.
    pub initrd: Option<HostFile>,
    /// Kernel command line.
    pub append: Option<Given<String>>,
    /// Devicetree in place of the board's own.
    pub dtb: Option<HostFile>,
    /// Flash banks 0 and 1. With bank 0 the CPU starts at its first byte.
    pub flash: [Option<Flash>; 2],
    /// More to load.
    pub blobs: Vec<Blob>,
    /// Where CPU 0 starts, whatever was loaded.
    pub entry: Option<u64>,
    /// Virtio devices in the order in which they get their places.
    pub devices: Vec<Device>,
    /// The PL011's other end.
    pub serial: CharBackend,
    /// More character devices, and monitors.
    pub characters: Characters,
    /// Write the devicetree to this file instead of running.
    pub dump_dtb: Option<HostFile>,
    /// Executor.
    pub accel: Accel,
    /// What to write for `perf`.
    pub perf: Vec<Given<PerfFile>>,
    /// Checks.
    pub check: Option<Check>,
    /// Where to listen for a debugger.
    pub gdb: Option<Given<Address>>,
    /// The CPUs wait for a debugger before their first instruction: the option that says so.
    pub gdb_wait: Option<&'static str>,
    /// A reset by the guest ends the machine.
    pub no_reboot: bool,
    /// After power-off by the guest the machine stays, stopped, until the user ends it.
    pub no_shutdown: bool,
    /// What is told of what the machine does.
    pub trace: Tracing,
    /// What of the guest's doing ends the machine, beside power-off.
    pub stop_on: Vec<StopOn>,
    /// What changes in the processor model.
    pub cpu_changes: CpuChanges,
    /// The devicetree has random numbers for the kernel.
    pub dtb_randomness: bool,
    /// Whether firmware shows a menu, in fw_cfg.
    pub boot_menu: Option<bool>,
    /// UUID of the machine, which fw_cfg gives.
    pub uuid: Option<[u8; 16]>,
    /// What fw_cfg has beside what every board has.
    pub fw_cfg: Vec<FwCfgFile>,
    /// The guest's RAM.
    pub ram: Ram,
    /// Real-time clock.
    pub rtc: Rtc,
    /// The host's side.
    pub host: Host,
    /// Calls of programs to the host are served.
    pub semihosting: Option<Semihosting>,
    /// Print what the machine counted when it ends.
    pub stats: bool,
    /// Filter of the log on standard error.
    pub log: Option<String>,
}

/// Calls of programs to the host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Semihosting {
    /// Words of the program's command line; without any, it is the kernel's name and command line.
    pub arguments: Vec<String>,
    /// Programs at EL0 may call, too.
    pub user: bool,
    /// The program's console; without one it is the standard streams.
    pub console: Option<CharBackend>,
}

/// The most CPUs that a machine has.
pub const MAX_CPUS: u32 = 64;
/// The most CPUs that a machine with a GICv2 has.
pub const MAX_CPUS_GICV2: u32 = emu_devices::gicv2::MAX_CPUS as u32;
/// The most RAM: it ends below the first region above 4 GiB of the board's map.
pub const MAX_MEMORY: u64 = 255 << 30;
/// RAM is a multiple of this.
pub const MEMORY_GRANULE: u64 = 1 << 20;

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            virt: Virt {
                virtualization: true,
                gic: GicVersion::V3,
                msi: Msi::Its,
                highmem_ecam: true,
                highmem_mmio: true,
                legacy_mmio: false,
            },
            cpu: CpuModel::max(),
            topology: Topology::flat(1),
            memory: 2 << 30,
            kernel: None,
            initrd: None,
            append: None,
            dtb: None,
            flash: [None, None],
            blobs: Vec::new(),
            entry: None,
            devices: Vec::new(),
            serial: CharBackend::Stdio { escapes: true },
            characters: Characters::default(),
            dump_dtb: None,
            accel: Accel::default(),
            perf: Vec::new(),
            check: None,
            gdb: None,
            gdb_wait: None,
            no_reboot: false,
            no_shutdown: false,
            trace: Tracing::default(),
            stop_on: Vec::new(),
            cpu_changes: CpuChanges::default(),
            dtb_randomness: true,
            boot_menu: None,
            uuid: None,
            fw_cfg: Vec::new(),
            ram: Ram::default(),
            rtc: Rtc::default(),
            host: Host::default(),
            semihosting: None,
            stats: false,
            log: None,
        }
    }
}

/// Whether `bytes` can be the RAM of a machine.
pub fn check_memory(bytes: u64) -> Result<u64, UserError> {
    if bytes == 0 || !bytes.is_multiple_of(MEMORY_GRANULE) {
        return Err(user_error!("{} of RAM is not a whole number of MiB", show_size(bytes)));
    }
    if bytes > MAX_MEMORY {
        return Err(user_error!(
            "{} of RAM is more than the {} that the board takes",
            show_size(bytes),
            show_size(MAX_MEMORY)
        ));
    }
    Ok(bytes)
}

/// A disk's serial number: what virtio-blk can answer (virtio 1.2, 5.2.6, VIRTIO_BLK_T_GET_ID).
pub fn disk_serial(text: &str) -> Result<String, UserError> {
    match text.len() {
        0..=20 => Ok(text.to_owned()),
        _ => Err(user_error!("the serial number '{text}' is longer than 20 bytes")),
    }
}

/// Whether a machine can have `n` CPUs.
pub fn check_cpus(n: u32) -> Result<u32, UserError> {
    match n {
        1..=MAX_CPUS => Ok(n),
        _ => Err(user_error!("a machine has 1 to {MAX_CPUS} CPUs, not {n}")),
    }
}

impl MachineConfig {
    /// The rules that concern several options at once. Both command lines end with this.
    pub fn check(&self) -> Result<(), UserError> {
        if self.kernel.is_none() {
            let orphan = self.initrd.as_ref().map(|f| f.option).or(self.append.as_ref().map(|a| a.option));
            if let Some(option) = orphan {
                return Err(user_error!("{option} needs a kernel to hand it to"));
            }
        }
        let cpus = self.topology.cpus();
        if self.virt.gic == GicVersion::V2 && cpus > MAX_CPUS_GICV2 {
            return Err(user_error!("a machine with a GICv2 has 1 to {MAX_CPUS_GICV2} CPUs, not {cpus}"));
        }
        let monitor = !self.characters.monitors.is_empty();
        if let (Some(option), None, false) = (self.gdb_wait, &self.gdb, monitor) {
            return Err(user_error!(
                "{option} needs a debugger or a monitor that lets the machine go: say where there is one"
            ));
        }
        self.check_accel()?;
        self.check_daemon()?;
        if let (Some(Check::Lockstep(option)), true) = (&self.check, self.trace.blocks()) {
            return Err(user_error!(
                "{option} compares host code, and there is none while blocks are traced"
            ));
        }
        if let (Some(Check::Lockstep(option)), Accel::Interp) = (&self.check, &self.accel) {
            return Err(user_error!(
                "{option} compares host code with the interpreter, and there is only the latter"
            ));
        }
        if self.backends().filter(|c| c.is_stdio()).count() > 1 {
            return Err(user_error!(
                "only one of the serial ports, the consoles and the monitors can be on stdio"
            ));
        }
        let runs = self.kernel.is_some()
            || self.flash[0].is_some()
            || self.entry.is_some()
            || self.blobs.iter().any(|b| matches!(b, Blob::Elf { run: true, .. }));
        let programs = self.blobs.iter().filter(|b| matches!(b, Blob::Elf { run: true, .. }));
        if programs.count() > 1 && self.entry.is_none() {
            return Err(user_error!(
                "only one of the loaded ELF files can be run: say where to start with an entry point"
            ));
        }
        if !runs && self.dump_dtb.is_none() {
            return Err(user_error!("there is nothing to run: give a kernel, firmware, or an entry point"));
        }
        Ok(())
    }

    /// Every character device.
    pub fn backends(&self) -> impl Iterator<Item = &CharBackend> {
        let consoles = self.devices.iter().filter_map(|d| match &d.kind {
            DeviceKind::Console(console) => Some(&console.ports),
            _ => None,
        });
        let more = &self.characters;
        consoles
            .flatten()
            .map(|port| &port.backend)
            .chain([&self.serial])
            .chain(&more.second_serial)
            .chain(&more.muxes)
            .chain(&more.monitors)
            .chain(self.semihosting.iter().filter_map(|s| s.console.as_ref()))
    }

    /// What goes on in the background has no terminal.
    fn check_daemon(&self) -> Result<(), UserError> {
        let Some(daemonize) = &self.host.daemonize else { return Ok(()) };
        match self.backends().any(CharBackend::is_stdio) {
            true => Err(user_error!(
                "{} takes the terminal away, and a serial port or console is on it: say where else it goes",
                daemonize.option
            )),
            false => Ok(()),
        }
    }

    /// The command line of a program that asks for it by a semihosting call.
    #[must_use]
    pub fn program_arguments(&self) -> Vec<String> {
        match &self.semihosting {
            Some(s) if !s.arguments.is_empty() => s.arguments.clone(),
            _ => {
                let kernel = self.kernel.as_ref().map(|k| k.file.shown().to_string());
                kernel.into_iter().chain(self.append.as_ref().map(|a| a.value.clone())).collect()
            }
        }
    }

    /// Each CPU has its own part of the host code, which has a least and a greatest size.
    fn check_accel(&self) -> Result<(), UserError> {
        let Accel::Jit { cache } = &self.accel else {
            return match self.perf.first() {
                Some(file) => Err(user_error!(
                    "{} is about translated code, and the interpreter does not make any",
                    file.option
                )),
                None => Ok(()),
            };
        };
        let cpus = u64::from(self.topology.cpus()).max(1);
        let (bytes, option) = (show_size(**cache), cache.option);
        let (least, most) = (*CODE_CACHE.start(), *CODE_CACHE.end());
        match **cache / cpus {
            each if each < least => Err(user_error!(
                "{option} {bytes} is too little: each CPU needs at least {}",
                show_size(least)
            )),
            each if each > most => Err(user_error!(
                "{option} {bytes} is too much: each CPU can have at most {}",
                show_size(most)
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Option<Kernel> {
        Some(Kernel { file: HostFile::new("--kernel", "Image"), raw_allowed: false })
    }

    fn refusal(config: MachineConfig) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn rules_across_options() {
        let none = MachineConfig::default();
        assert_eq!(
            refusal(none.clone()),
            "there is nothing to run: give a kernel, firmware, or an entry point"
        );
        let check = Some(Check::Lockstep("--check lockstep"));
        assert_eq!(
            refusal(MachineConfig { check, accel: Accel::Interp, entry: Some(0), ..none.clone() }),
            "--check lockstep compares host code with the interpreter, and there is only the latter"
        );
        let initrd = Some(HostFile::new("--initrd", "i"));
        assert_eq!(
            refusal(MachineConfig { initrd, ..none.clone() }),
            "--initrd needs a kernel to hand it to"
        );
        let stdio = CharBackend::Stdio { escapes: true };
        let kind = DeviceKind::Console(ConsolePorts::single(stdio));
        let devices = vec![Device { kind, bus: VirtioBus::PCI, access_platform: true }];
        assert_eq!(
            refusal(MachineConfig { kernel: kernel(), devices, ..none.clone() }),
            "only one of the serial ports, the consoles and the monitors can be on stdio"
        );
        assert_eq!(MachineConfig { kernel: kernel(), ..none.clone() }.check(), Ok(()));
        let dump_dtb = Some(HostFile::new("--dump-dtb", "x"));
        assert_eq!(MachineConfig { dump_dtb, ..none }.check(), Ok(()));
    }

    #[test]
    fn where_messages_go() {
        use GicVersion::{V2, V3};
        let of = |gic, its, chosen| Msi::of(gic, its, chosen).map_err(|e| e.to_string());
        assert_eq!([of(V2, None, None), of(V2, Some(false), None)], [Ok(Msi::Gicv2m), Ok(Msi::Gicv2m)]);
        assert_eq!([of(V3, None, None), of(V3, Some(false), None)], [Ok(Msi::Its), Ok(Msi::Off)]);
        assert_eq!(of(V3, None, Some(Msi::Gicv2m)), Ok(Msi::Gicv2m));
        assert_eq!(
            [of(V2, None, Some(Msi::Off)), of(V3, None, Some(Msi::Off))],
            [Ok(Msi::Off), Ok(Msi::Off)]
        );
        for refused in [
            of(V2, Some(true), None),
            of(V2, None, Some(Msi::Its)),
            of(V3, Some(false), Some(Msi::Its)),
            of(V3, Some(true), Some(Msi::Gicv2m)),
        ] {
            assert!(refused.is_err());
        }
    }

    #[test]
    fn limits() {
        assert!(check_memory(2 << 30).is_ok());
        assert_eq!(check_memory(4096).unwrap_err().to_string(), "4 KiB of RAM is not a whole number of MiB");
        assert!(check_memory(256 << 30).unwrap_err().to_string().contains("255 GiB"));
        assert_eq!(check_cpus(65).unwrap_err().to_string(), "a machine has 1 to 64 CPUs, not 65");
    }

    #[test]
    fn the_option_is_only_for_messages() {
        assert_eq!(HostFile::new("--disk", "a"), HostFile::new("-drive", "a"));
        assert_eq!(HostFile::new("--disk", "a").describe(), "'a' given with --disk");
    }
}
