//! The options of `understage run`.

use std::path::PathBuf;

use clap::Args;

use super::Request;
use super::devices::DeviceArgs;
use crate::config::{
    self, Accel, Address, Blob, CharBackend, Characters, Check, CpuModel, Flash, GicVersion, Given, HostFile,
    Kernel, MachineConfig, Msi, Netdev, PerfFile, Semihosting, StopOn, Topology, Tracing, Virt,
};
use crate::device::system_mmu;
use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};
use crate::number::{parse_size, parse_u64};

const EXAMPLES: &str = "\
Examples:
  A Linux kernel at EL2 with a shell in its initial RAM disk ('cargo xtask guests' fetches both):
    understage run --kernel .guests/Image --initrd .guests/shell.cpio

  The same with four CPUs that have VHE, and a disk whose changes are forgotten at the end:
    understage run --kernel Image --initrd shell.cpio --cpu neoverse-n1 --smp 4 --disk disk.img,snapshot

  Firmware in flash, booting from a disk:
    understage run --firmware u-boot.bin --disk disk.qcow2,format=qcow2

  A bare-metal program, and a blob beside it:
    understage run --load program.elf --load table.bin@0x48000000

  A kernel that waits for a debugger at its first instruction ('target remote :1234' in gdb-multiarch):
    understage run --kernel Image --gdb :1234 --gdb-wait

  The machine's devicetree, without running anything:
    understage run --smp 2 --dump-dtb virt.dtb

In the terminal, Ctrl-A x ends the machine and Ctrl-A h lists the other keys.";

/// The options of `understage run`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Board
    #[arg(long, value_name = "BOARD", default_value = "virt", value_parser = ["virt"], help_heading = "Machine")]
    machine: String,
    /// Give the CPUs EL2, so that a hypervisor can run
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = on_off,
          action = clap::ArgAction::Set, help_heading = "Machine")]
    virtualization: bool,
    /// Version of the interrupt controller, 2 or 3
    #[arg(long = "gic", alias = "gic-version", value_name = "VERSION", default_value = "3", value_parser = gic_version,
          help_heading = "Machine")]
    gic: GicVersion,
    /// Give the interrupt controller an ITS, so that PCIe functions can send MSIs [default: on with version 3]
    #[arg(long, value_name = "on|off", value_parser = on_off, action = clap::ArgAction::Set, help_heading = "Machine")]
    its: Option<bool>,
    /// What makes interrupts of MSIs: its, gicv2m (a frame that makes SPIs of them) or off [default: its with version 3,
    /// gicv2m with version 2]
    #[arg(long, value_name = "WHAT", value_parser = msi, help_heading = "Machine")]
    msi: Option<Msi>,
    /// System MMU in front of the PCI bus: none, smmuv2[:PROFILE] or smmuv3[:PROFILE][,PROPERTY=VALUE...], which translates the DMA
    /// of PCI functions as drivers tell it; virtio devices take part unless they say iommu_platform=off. The profile is the set of
    /// its features: full (all that is implemented and the CPUs have too; the default), of an SMMUv2 mmu500 (Arm's MMU-500), of an
    /// SMMUv3 mmu600 (Arm's MMU-600) or qemu (QEMU's board). Properties change that of an SMMUv3: stage=1|2|nested, oas=BITS (output addresses), sidsize=BITS (StreamIDs), ssidsize=BITS (SubstreamIDs),
    /// aidr=3.N (version of the architecture), ril=on|off (invalidation by range)
    #[arg(long, value_name = "MMU", default_value = "none", help_heading = "Machine")]
    iommu: String,
    /// Processor: cortex-a72 (Armv8.0), neoverse-n1 (Armv8.2, VHE), max (all that is implemented) or another; 'help' lists them
    #[arg(long, value_name = "MODEL", default_value = "max", value_parser = cpu, help_heading = "Machine")]
    cpu: Cpu,
    /// Number of CPUs, 1 to 64 (1 to 8 with a GICv2)
    #[arg(long, value_name = "CPUS", default_value = "1", value_parser = cpus, help_heading = "Machine")]
    smp: u32,
    /// RAM, with a unit: 512M, 2G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = memory, help_heading = "Machine")]
    memory: u64,

    /// Kernel: an arm64 Image (plain, gzip or EFI zboot) or an ELF file
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    kernel: Option<PathBuf>,
    /// Initial RAM disk of the kernel
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    initrd: Option<PathBuf>,
    /// Command line of the kernel
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "What runs")]
    append: Option<String>,
    /// Devicetree in place of the board's own; /chosen and /memory are brought up to date in it
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    dtb: Option<PathBuf>,
    /// Firmware in flash bank 0, where the CPU then starts; the file is not changed
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    firmware: Option<PathBuf>,
    /// Contents of flash bank 1 (variables of the firmware); written back unless readonly or snapshot
    #[arg(long, value_name = "FILE[,readonly][,snapshot]", help_heading = "What runs")]
    flash1: Option<String>,
    /// Put a file into RAM: raw bytes at an address, or an ELF file, which is run if nothing else is (repeatable)
    #[arg(long, value_name = "FILE[@ADDRESS]", help_heading = "What runs")]
    load: Vec<String>,
    /// Address at which CPU 0 starts
    #[arg(long, value_name = "ADDRESS", value_parser = parse_u64, help_heading = "What runs")]
    entry: Option<u64>,

    /// Where the serial port goes: stdio; null; file:PATH; pty (a terminal whose name is printed); pipe:PATH (PATH.in and
    /// PATH.out); tcp:HOST:PORT, telnet:HOST:PORT or unix:PATH, which connect, or with ',server' listen and begin when
    /// somebody has connected, or with ',server,wait=off' at once
    #[arg(long, value_name = "WHERE", default_value = "stdio", help_heading = "Devices")]
    serial: String,
    /// Add a network back end, for 'netdev=ID' of a device (repeatable): KIND,id=ID[,...]; 'help' lists the kinds
    #[arg(long, value_name = "KIND,id=ID[,...]", help_heading = "Devices")]
    netdev: Vec<String>,
    /// Give the board a second serial port, which goes to one of these places
    #[arg(long, value_name = "WHERE", help_heading = "Devices")]
    serial2: Option<String>,
    /// Where a monitor is: one of these places. On a terminal there is one anyway, behind Ctrl-A c
    #[arg(long, value_name = "WHERE", help_heading = "Devices")]
    monitor: Option<String>,
    #[command(flatten)]
    devices: DeviceArgs,

    /// Write the devicetree to a file and do not run
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    dump_dtb: Option<PathBuf>,
    /// How instructions are executed: jit (what runs often is translated to host code) or interp
    #[arg(long, value_name = "HOW", default_value = "jit", value_parser = ["jit", "interp"], help_heading = "Running")]
    accel: String,
    /// Compare how the machine is executed with another way; lockstep: host code with the interpreter, stretch by
    /// stretch, until they differ
    #[arg(long, value_name = "HOW", value_parser = ["lockstep"], help_heading = "Running")]
    check: Option<String>,
    /// What translated code may cost, for all CPUs together: at least 1M and at most 1G for each of them. A quarter is host code,
    /// the rest what is kept of the guest's [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Running")]
    code_cache: Option<u64>,
    /// Write what Linux's perf needs to name translated code: map (/tmp/perf-PID.map, which 'perf report' reads) or
    /// jitdump (jit-PID.dump in the current directory, with the code itself, for 'perf record -k mono' and 'perf
    /// inject --jit'); repeatable
    #[arg(long, value_name = "FORMAT", value_parser = ["map", "jitdump"], help_heading = "Running")]
    perf: Vec<String>,
    /// Listen for gdb ('target remote HOST:PORT'); without HOST only this computer can connect, and with port 0 a free
    /// one is chosen and printed
    #[arg(long, value_name = "HOST:PORT", value_parser = gdb_address, help_heading = "Running")]
    gdb: Option<Given<Address>>,
    /// Wait for the debugger before the first instruction
    #[arg(long, help_heading = "Running")]
    gdb_wait: bool,
    /// Serve semihosting calls (HLT #0xF000) of programs above EL0: files of the host, relative to the current directory,
    /// console, time, and the end of the machine with a status
    #[arg(long, help_heading = "Running")]
    semihosting: bool,
    /// Serve them at EL0, too
    #[arg(long, requires = "semihosting", help_heading = "Running")]
    semihosting_user: bool,
    /// A word of the program's command line (repeatable) [default: the kernel's name and command line]
    #[arg(
        long,
        value_name = "WORD",
        requires = "semihosting",
        allow_hyphen_values = true,
        help_heading = "Running"
    )]
    semihosting_arg: Vec<String>,
    /// The program's console: stdio, null or file:PATH [default: the standard streams; input only if nothing else reads it]
    #[arg(long, value_name = "WHERE", requires = "semihosting", help_heading = "Running")]
    semihosting_console: Option<String>,
    /// End when the guest asks for a reset
    #[arg(long, help_heading = "Running")]
    no_reboot: bool,
    /// End with status 3 when the guest does this; endless-exception: a CPU takes the same exception again and again, and
    /// nothing deals with it, as where its vectors are not in memory (it is logged in any case)
    #[arg(long, value_name = "EVENT", value_parser = StopOn::from_name, help_heading = "Running")]
    stop_on: Vec<StopOn>,
    /// Let the guest's time pass with instructions, 2^N nanoseconds for each (0 to 10), and jump to the next timer when the guest
    /// waits: with one CPU and without input from outside, a run is the same every time. Instructions are interpreted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(config::Time::MOST)), help_heading = "Running")]
    count_time: Option<u32>,
    /// At the end, print what the machine counted, how host code did, and where the guest spent its instructions;
    /// host code that counts is a few per cent slower
    #[arg(long, help_heading = "Running")]
    stats: bool,
    /// When the machine ends, write to FILE, as JSON, what each CPU and device did by cause (exits by class, doorbells, interrupts,
    /// DMA, translations, requests), in the phases that marks of the guest divide it into (docs/ledger.md)
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    ledger: Option<PathBuf>,
    /// Write what happens when to FILE, as it happens, for Perfetto (ui.perfetto.dev, 'Open trace file'): Exception levels and
    /// exits of each CPU, doorbells, DMA, interrupts, walks and faults of the SMMU, the guest's marks (docs/ledger.md)
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    timeline: Option<PathBuf>,
    /// Tell of what the machine does: CATEGORY,... of int, exec, cpu, fpu, in_asm, mmu, cpu_reset, guest_errors, unimp
    #[arg(long, value_name = "CATEGORY,...", help_heading = "Running")]
    trace: Option<String>,
    /// Write what --trace tells to a file instead of standard error
    #[arg(long, value_name = "FILE", requires = "trace", help_heading = "Running")]
    trace_file: Option<PathBuf>,
    /// Of blocks, --trace only tells of those at these addresses: FROM..TO or FROM+SIZE, several with commas
    #[arg(long, value_name = "RANGE,...", requires = "trace", help_heading = "Running")]
    trace_range: Option<String>,
    /// Log to standard error what FILTER selects, as 'info' or 'emu_devices=debug'
    #[arg(long, value_name = "FILTER", help_heading = "Running")]
    log: Option<String>,
}

fn cpus(text: &str) -> Result<u32, UserError> {
    config::check_cpus(parse_u64(text)?.try_into().unwrap_or(u32::MAX))
}

/// What `--cpu` says.
#[derive(Clone, Copy, Debug)]
enum Cpu {
    /// `help`: which models there are.
    Help,
    Model(CpuModel),
}

fn cpu(text: &str) -> Result<Cpu, UserError> {
    if text == "help" { Ok(Cpu::Help) } else { CpuModel::from_name(text).map(Cpu::Model) }
}

fn gic_version(text: &str) -> Result<GicVersion, UserError> {
    match text {
        "2" => Ok(GicVersion::V2),
        "3" => Ok(GicVersion::V3),
        _ => Err(user_error!("there is no GIC version '{text}' (there are 2, 3)")),
    }
}

fn msi(text: &str) -> Result<Msi, UserError> {
    match text {
        "its" => Ok(Msi::Its),
        "gicv2m" => Ok(Msi::Gicv2m),
        "off" => Ok(Msi::Off),
        _ => Err(user_error!("'{text}' does not take messages (there are its, gicv2m, off)")),
    }
}

fn gdb_address(text: &str) -> Result<Given<Address>, UserError> {
    crate::config::address("--gdb", text)
}

fn size(text: &str) -> Result<u64, UserError> {
    parse_size(text, None)
}

fn memory(text: &str) -> Result<u64, UserError> {
    config::check_memory(parse_size(text, None)?)
}

impl RunArgs {
    /// What the options ask for: a machine, or a list.
    pub(super) fn into_request(self) -> Result<Request, UserError> {
        if let Some(text) = self.devices.help() {
            return text.map(Request::Print);
        }
        if self.netdev.iter().any(|text| text == "help") {
            return Ok(Request::Print(config::netdev_help()));
        }
        match self.cpu {
            Cpu::Help => Ok(Request::Print(CpuModel::help())),
            Cpu::Model(model) => Ok(Request::Run(Box::new(self.into_config(model)?))),
        }
    }

    /// The machine that the options describe.
    fn into_config(self, cpu: CpuModel) -> Result<MachineConfig, UserError> {
        let iommu = system_mmu::from_text("--iommu", &self.iommu)?;
        let network = netdevs(&self.netdev)?;
        let devices = iommu.into_iter().chain(self.devices.devices(network.clone())?).collect();
        let alone = self.kernel.is_none() && self.firmware.is_none() && self.entry.is_none();
        let firmware = self.firmware.map(|f| Flash {
            file: HostFile::new("--firmware", f),
            readonly: false,
            snapshot: true,
        });
        let console = self
            .semihosting_console
            .as_deref()
            .map(|text| CharBackend::from_text("--semihosting-console", text));
        let semihosting = Semihosting {
            arguments: self.semihosting_arg,
            user: self.semihosting_user,
            console: console.transpose()?,
        };
        let second_serial =
            self.serial2.as_deref().map(|text| CharBackend::from_text("--serial2", text)).transpose()?;
        let monitors =
            self.monitor.as_deref().map(|text| CharBackend::from_text("--monitor", text)).transpose()?;
        let monitors = monitors.into_iter().collect();
        let accel = accel(&self.accel, self.code_cache)?;
        let mut trace = Tracing {
            timeline: self.timeline.map(|f| HostFile::new("--timeline", f)),
            file: self.trace_file.map(|f| HostFile::new("--trace-file", f)),
            ranges: self.trace_range.as_deref().map_or(Ok(Vec::new()), config::trace_ranges)?,
            ..Tracing::default()
        };
        trace.add(self.trace.as_deref().unwrap_or_default()).map_err(|e| user_error!("--trace: {e}"))?;
        let config = MachineConfig {
            virt: Virt {
                virtualization: self.virtualization,
                gic: self.gic,
                msi: Msi::of(self.gic, self.its, self.msi)?,
                highmem_ecam: true,
                highmem_mmio: true,
                legacy_mmio: false,
            },
            cpu,
            topology: Topology::flat(self.smp),
            memory: self.memory,
            kernel: self.kernel.map(|k| Kernel { file: HostFile::new("--kernel", k), raw_allowed: false }),
            initrd: self.initrd.map(|f| HostFile::new("--initrd", f)),
            append: self.append.map(|t| Given::new("--append", t)),
            dtb: self.dtb.map(|f| HostFile::new("--dtb", f)),
            flash: [firmware, self.flash1.as_deref().map(flash1).transpose()?],
            blobs: self.load.iter().map(|text| blob(text, alone)).collect::<Result<_, _>>()?,
            entry: self.entry,
            devices,
            network,
            serial: CharBackend::from_text("--serial", &self.serial)?,
            characters: Characters { second_serial, monitors, ..Characters::default() },
            dump_dtb: self.dump_dtb.map(|f| HostFile::new("--dump-dtb", f)),
            accel,
            perf: perf(&self.perf)?,
            check: self.check.map(|_| Check::Lockstep("--check lockstep")),
            gdb: self.gdb,
            gdb_wait: self.gdb_wait.then_some("--gdb-wait"),
            no_reboot: self.no_reboot,
            stop_on: self.stop_on,
            semihosting: self.semihosting.then_some(semihosting),
            time: count_time(self.count_time),
            stats: self.stats,
            ledger: self
                .ledger
                .map_or(config::Ledger::Off, |f| config::Ledger::File(HostFile::new("--ledger", f))),
            log: self.log,
            trace,
            ..MachineConfig::default()
        };
        config.check()?;
        Ok(config)
    }
}

fn count_time(shift: Option<u32>) -> config::Time {
    shift.map_or(config::Time::Real, |shift| config::Time::Counted(Given::new("--count-time", shift)))
}

fn netdevs(given: &[String]) -> Result<Vec<Netdev>, UserError> {
    let mut machine = MachineConfig::default();
    for text in given {
        let netdev = Netdev::from_parts(Parts::split("--netdev", text), None)?;
        machine.add_netdev("--netdev", netdev)?;
    }
    Ok(machine.network)
}

fn accel(how: &str, code_cache: Option<u64>) -> Result<Accel, UserError> {
    match (how, code_cache) {
        ("interp", Some(_)) => {
            Err(user_error!("--code-cache is about translated code, and --accel interp does not make any"))
        }
        ("interp", None) => Ok(Accel::Interp),
        (_, None) => Ok(Accel::default()),
        (_, Some(bytes)) => Ok(Accel::Jit { cache: Given::new("--code-cache", bytes) }),
    }
}

fn perf(formats: &[String]) -> Result<Vec<Given<PerfFile>>, UserError> {
    let mut files = Vec::new();
    for format in formats {
        let file = Given::new("--perf", if format == "map" { PerfFile::Map } else { PerfFile::Dump });
        if files.contains(&file) {
            return Err(user_error!("--perf {format} is given twice"));
        }
        files.push(file);
    }
    Ok(files)
}

/// A file name that opens an option with parts.
fn leading_file(parts: &mut Parts) -> Result<HostFile, UserError> {
    let option = parts.option();
    let path = parts.take_first("file")?.ok_or_else(|| user_error!("{option} needs a file"))?;
    Ok(HostFile::new(option, path))
}

fn flash1(text: &str) -> Result<Flash, UserError> {
    let mut parts = Parts::split("--flash1", text);
    let flash = Flash {
        file: leading_file(&mut parts)?,
        readonly: parts.take_switch("readonly")?.unwrap_or(false),
        snapshot: parts.take_switch("snapshot")?.unwrap_or(false),
    };
    parts.finish("a flash bank")?;
    Ok(flash)
}

/// `FILE@ADDRESS` is raw; a file without an address is ELF, and runs if `alone`.
fn blob(text: &str, alone: bool) -> Result<Blob, UserError> {
    match text.rsplit_once('@') {
        Some((path, address)) => {
            let address = parse_u64(address).map_err(|e| user_error!("--load {text}: {e}"))?;
            Ok(Blob::Raw { file: HostFile::new("--load", path), address })
        }
        None => Ok(Blob::Elf { file: HostFile::new("--load", text), run: alone }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;
    use crate::config::{Bus, Device, Disk, DiskFormat, Smmu, SmmuProfile, Smmuv2, Smmuv2Profile};
    use crate::device::block::Block;
    use crate::device::entropy::Entropy;
    use crate::device::serial_bus::ConsolePorts;
    use emu_smmu::v3::profile::{Choices, Stages};
    use std::ffi::OsString;

    fn run(line: &str) -> Result<MachineConfig, String> {
        let args: Vec<OsString> =
            ["understage", "run"].into_iter().chain(line.split(' ')).map(Into::into).collect();
        match parse(&args) {
            Ok(Request::Run(c)) => Ok(*c),
            Ok(other) => panic!("{other:?}"),
            Err(e) => Err(e.to_string()),
        }
    }

    #[test]
    fn models_are_listed() {
        let args = ["understage", "run", "--cpu", "help"].map(OsString::from);
        let Ok(Request::Print(text)) = parse(&args) else { panic!() };
        let named = |line: &str| text.lines().any(|l| l.split_whitespace().next() == Some(line));
        assert!(named("cortex-a35") && named("neoverse-n2") && named("max-qarma5"), "{text}");
        assert!(text.contains("  cortex-a76   Cortex-A76 r4p1: Armv8.2 with VHE\n"), "{text}");
    }

    #[test]
    fn a_full_machine() {
        let c = run("--machine virt --virtualization off --gic-version 3 --cpu cortex-a72 --smp 4 --memory 512M \
                     --kernel Image --initrd i.cpio --append console=ttyAMA0 --dtb a.dtb --flash1 vars,snapshot \
                     --disk a,,b.img,format=raw,snapshot,bus=mmio,serial=S1 --disk c.qcow2,format=qcow2,readonly \
                     --virtio-console file:log --rng --serial null --no-reboot --stats --log info \
                     --load x.bin@0x48000000")
        .unwrap();
        assert!(!c.virt.virtualization && c.no_reboot && c.stats);
        assert_eq!(
            (c.cpu, c.topology.cpus(), c.memory),
            (CpuModel::from_name("cortex-a72").unwrap(), 4, 512 << 20)
        );
        let image = Disk {
            id: config::Label::default(),
            file: HostFile::new("", "a,b.img"),
            format: Some(DiskFormat::Raw),
            readonly: false,
            snapshot: true,
        };
        let first = Block { serial: "S1".into(), ..Block::image(image) };
        assert_eq!((c.devices[0].told(), c.devices[0].bus), (Some(&first), Bus::MMIO));
        assert_eq!(c.devices.len(), 4);
        let console = ConsolePorts::single(CharBackend::File(HostFile::new("", "log")));
        assert_eq!(c.devices[2].told(), Some(&console));
        assert_eq!(c.devices[3].told(), Some(&Entropy(None)));
        assert_eq!(c.blobs, [Blob::Raw { file: HostFile::new("", "x.bin"), address: 0x4800_0000 }]);
        assert!(c.flash[1].as_ref().unwrap().snapshot);
    }

    #[test]
    fn devices_of_any_kind() {
        let c = run("--kernel k --device virtio-blk,drive=a,queue-size=64,format=qcow2,readonly --rng \
                     --device virtio-serial-device,id=s --device virtconsole,bus=s.0,chardev=file:log \
                     --device virtio-rng-pci-transitional,rng=/dev/random --device pci-testdev,addr=7")
        .unwrap();
        let [rng, disk, serial, other, function] = &c.devices[..] else { panic!("{:?}", c.devices) };
        assert_eq!((rng.told(), rng.bus, rng.access_platform), (Some(&Entropy(None)), Bus::PCI, true));
        let block = disk.told::<Block>().unwrap();
        let image = block.disk().unwrap();
        assert_eq!(
            (image.file.to_str(), image.format, image.readonly),
            (Some("a"), Some(DiskFormat::Qcow2), true)
        );
        assert_eq!((disk.bus, block.tuning.queue_size), (Bus::PCI, 64));
        let ports = &serial.told::<ConsolePorts>().unwrap().ports;
        assert_eq!(ports[0].backend, CharBackend::File(HostFile::new("", "log")));
        assert_eq!(other.told(), Some(&Entropy(Some(HostFile::new("", "/dev/random")))));
        assert!(!other.access_platform, "drivers of before virtio 1.0 know nothing of it");
        assert!(matches!(function.bus, Bus::Pci { slot: Some(7), .. }));
    }

    #[test]
    fn a_system_mmu() {
        let smmus = |line: &str| -> Vec<Smmu> {
            let machine = run(format!("--kernel k {line}").trim()).unwrap();
            machine.devices.iter().filter_map(Device::told).copied().collect()
        };
        assert_eq!((smmus(""), smmus("--iommu none")), (vec![], vec![]));
        let board = Smmu::of_board(SmmuProfile::Qemu);
        assert_eq!(smmus("--iommu smmuv3"), [Smmu::of_board(SmmuProfile::Full)]);
        assert_eq!(smmus("--iommu smmuv3:qemu"), [board]);
        assert_eq!(
            smmus("--iommu smmuv3:qemu,stage=1,oas=48,ssidsize=8,sidsize=6,aidr=3.0,ril=off,ats=on"),
            [Smmu {
                choices: Choices {
                    stages: Some(Stages::One),
                    output_bits: Some(48),
                    substream_bits: Some(8),
                    stream_bits: Some(6),
                    version: Some(0),
                    range_invalidation: Some(false),
                    ats: Some(true),
                },
                ..board
            }]
        );
        // The same machine as in the other spelling.
        let words = "-M virt,iommu=smmuv3 -cpu max -kernel k -display none";
        let args: Vec<OsString> = words.split(' ').map(Into::into).collect();
        let Ok(crate::qemu::Request::Run(other)) = crate::qemu::parse(&args) else { panic!() };
        assert_eq!(run("--kernel k --iommu smmuv3:qemu").unwrap().devices, other.devices);
    }

    #[test]
    fn an_smmuv2() {
        let profile = |line: &str| {
            let machine = run(&format!("--kernel k --iommu {line}")).unwrap();
            assert!(machine.has_system_mmu());
            machine.devices[0].told::<Smmuv2>().unwrap().profile
        };
        assert_eq!(profile("smmuv2"), Smmuv2Profile::Full);
        assert_eq!(profile("smmuv2:mmu500"), Smmuv2Profile::Mmu500);
        assert_eq!(profile("smmuv2,profile=mmu500"), Smmuv2Profile::Mmu500);
    }

    #[test]
    fn devices_are_listed() {
        let printed = |text: &str| {
            let args = ["understage", "run", "--device", text].map(OsString::from);
            match parse(&args) {
                Ok(Request::Print(text)) => text,
                other => panic!("{other:?}"),
            }
        };
        let list = printed("help");
        assert!(list.contains("name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\""), "{list}");
        assert!(!list.contains("loader"), "there is --load for that");
        let disk = printed("virtio-blk,help");
        assert!(disk.contains("drive=<str>") && !disk.contains("iothread"), "{disk}");
    }

    #[test]
    fn an_elf_runs_when_it_is_alone() {
        let elf = |run| Blob::Elf { file: HostFile::new("", "p.elf"), run };
        assert_eq!(run("--load p.elf").unwrap().blobs, [elf(true)]);
        assert_eq!(run("--load p.elf --kernel k").unwrap().blobs, [elf(false)]);
        assert_eq!(run("--load p.elf --entry 0x40000000").unwrap().blobs, [elf(false)]);
    }

    #[test]
    fn translated_code() {
        let accel = |line: &str| run(&format!("--kernel k {line}")).unwrap().accel;
        let cache = |bytes: u64| Accel::Jit { cache: Given::new("", bytes) };
        assert_eq!(accel("--smp 8"), cache(512 << 20));
        // A quarter of each CPU's part is host code.
        assert_eq!(accel("--smp 8").code_bytes(8), (16 << 20, 48 << 20));
        assert_eq!(accel("--smp 4 --accel interp").code_bytes(4), (0, 128 << 20));
        assert_eq!(accel("--code-cache 8M --smp 8"), cache(8 << 20));
        assert_eq!(accel("--accel interp"), Accel::Interp);
        let perf = run("--kernel k --perf map --perf jitdump").unwrap().perf;
        assert_eq!(perf, [Given::new("", PerfFile::Map), Given::new("", PerfFile::Dump)]);
    }

    #[test]
    fn refusals() {
        let cases = [
            ("--cpu cortex-a15", "there is no CPU model 'cortex-a15' (there are cortex-a35, cortex-a53,"),
            ("--smp 65", "a machine has 1 to 64 CPUs, not 65"),
            ("--smp 0", "a machine has 1 to 64 CPUs, not 0"),
            ("--memory 1000G", "more than the 255 GiB"),
            ("--gic 4", "there is no GIC version '4' (there are 2, 3)"),
            ("--kernel k --gic 2 --smp 9", "a machine with a GICv2 has 1 to 8 CPUs, not 9"),
            ("--kernel k --gic 2 --its on", "a GICv2 has no ITS: messages go to a GICv2m frame"),
            ("--kernel k --gic 2 --msi its", "a GICv2 has no ITS"),
            ("--kernel k --its off --msi its", "messages cannot go to an ITS that is off"),
            ("--kernel k --msi intx", "'intx' does not take messages (there are its, gicv2m, off)"),
            (
                "--kernel k --iommu smmuv1",
                "there is no system MMU 'smmuv1' for --iommu (there are none, smmuv2, smmuv3)",
            ),
            ("--kernel k --iommu smmuv2:qemu", "there is no SMMUv2 profile 'qemu' (there are mmu500, full)"),
            ("--kernel k --iommu smmuv2,stage=1", "'stage=1' is not supported for smmuv2 in --iommu"),
            ("--kernel k --iommu none:qemu", "there is no system MMU 'none:qemu'"),
            ("--kernel k --iommu none,stage=1", "'stage=1' is not supported for none in --iommu"),
            ("--kernel k --iommu smmuv3:tpu", "there is no SMMU profile 'tpu' (there are qemu"),
            ("--kernel k --iommu smmuv3,stage=2,ssidsize=4", "ssidsize of smmuv3 needs stage 1"),
            (
                "--kernel k --iommu smmuv3,aidr=3.2,ril=off",
                "smmuv3: SMMUv3.2 always has invalidation by range",
            ),
            ("--kernel k --iommu smmuv3,ats=maybe", "given as 'ats'"),
            ("--accel kvm", "invalid value 'kvm' for '--accel <HOW>'"),
            ("--kernel k --disk a,bus=usb", "there is no bus 'usb' in --disk: there is pcie.0"),
            ("--kernel k --disk a,cache=none", "'cache=none' is not supported for a disk in --disk"),
            ("--kernel k --disk format=raw", "--disk needs a file"),
            (
                "--kernel k --device mptsas1068",
                "'--device mptsas1068' is not supported: there is no such device here",
            ),
            ("--kernel k --device loader,file=x", "'--device loader' is not supported"),
            ("--kernel k --device pl011", "'--device pl011' is not supported"),
            ("--kernel k --device virtio-blk", "--device virtio-blk-pci needs 'drive='"),
            ("--kernel k --device virtio-blk,drive=a,iothread=t", "'iothread=t' is not supported"),
            ("--kernel k --device virtio-rng,addr=20", "'addr=20' in --device is not a free slot"),
            ("--kernel k --device virtio-rng,bus=pci.1", "there is no bus 'pci.1' in --device"),
            ("--kernel k --disk a,serial=123456789012345678901", "longer than 20 bytes"),
            (
                "--kernel k --serial udp:1",
                "'udp:1' given with --serial is none of stdio, null, file:FILE, pty",
            ),
            ("--kernel k --serial tcp:1", "'tcp:1' in --serial is not tcp:HOST:PORT"),
            ("--kernel k --monitor stdio", "only one of the serial ports, the consoles and the monitors"),
            ("--load a@b", "--load a@b: 'b' is not a number"),
            ("--virtualization maybe", "'maybe' is neither 'on' nor 'off'"),
            (
                "--kernel k --code-cache 7M --smp 8",
                "--code-cache 7 MiB is too little: each CPU needs at least 1 MiB",
            ),
            ("--kernel k --code-cache 2G", "--code-cache 2 GiB is too much: each CPU can have at most 1 GiB"),
            ("--kernel k --code-cache 64M --accel interp", "--code-cache is about translated code"),
            ("--kernel k --perf map --accel interp", "--perf is about translated code"),
            ("--kernel k --perf map --perf map", "--perf map is given twice"),
            ("--kernel k --perf all", "invalid value 'all' for '--perf <FORMAT>'"),
            ("--append x", "--append needs a kernel"),
            ("--kernel k --stop-on rain", "there is no event 'rain' to stop on (there is endless-exception)"),
            ("--load a.elf --load b.elf", "only one of the loaded ELF files can be run"),
        ];
        for (line, expected) in cases {
            let e = run(line).unwrap_err();
            assert!(e.contains(expected), "{line}: {e}");
            assert!(!e.contains('\n'));
        }
    }
}
