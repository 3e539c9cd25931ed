//! A whole machine.

use super::Disk;
use super::{
    Accel, Address, Blob, CharBackend, Characters, Check, CpuChanges, CpuModel, Device, Flash, FwCfgFile,
    GicVersion, Given, Host, HostFile, Kernel, Msi, Netdev, PerfFile, Qtest, Ram, Rtc, StopOn, Time,
    Topology, Tracing, Virt,
};

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineConfig {
    /// It is the machine `none`: without processors and devices, and with RAM only where somebody wants it. Monitors tell
    /// clients at it what the program can do.
    pub empty: bool,
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
    /// Devices that not every board has, in the order in which they get their places.
    pub devices: Vec<Device>,
    /// The back ends that network devices name.
    pub network: Vec<Netdev>,
    /// Disks that no device has, by their ids: one that is plugged in later may.
    pub spare_disks: Vec<(String, Disk)>,
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
    /// Who drives the devices, in a machine whose CPUs do not run.
    pub qtest: Option<Qtest>,
    /// Print what the machine counted when it ends.
    pub stats: bool,
    /// How the guest's time passes.
    pub time: Time,
    /// What is kept of what each device and CPU does.
    pub ledger: Ledger,
    /// Filter of the log on standard error.
    pub log: Option<String>,
}

/// Whether a ledger is kept: what each device and CPU did, by cause.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Ledger {
    /// Nobody wants one.
    #[default]
    Off,
    /// It is kept for whoever built the machine.
    Kept,
    /// It is written to this file when the machine ends.
    File(HostFile),
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

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            empty: false,
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
            network: Vec::new(),
            spare_disks: Vec::new(),
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
            qtest: None,
            stats: false,
            time: Time::Real,
            ledger: Ledger::Off,
            log: None,
        }
    }
}
