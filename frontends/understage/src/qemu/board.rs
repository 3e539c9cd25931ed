//! `-M`: the board, its versions and its options.

use emu_smmu::v3::profile::{Choices, Stages};

use super::Reader;
use super::option::Action::Value;
use super::option::Row;
use crate::config::{
    Bus, CharBackend, Device, GicVersion, HostFile, MAX_CPUS_GICV2, MachineConfig, Msi, Smmu, SmmuProfile,
    Smmuv2, Smmuv2Profile,
};
use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-M",
        Value(board),
        "virt[-VERSION][,OPTION=VALUE...]: 'help' lists the versions, 'virt,help' the options",
    ),
    ("-machine", Value(board), "the same"),
];

/// What one value of an option does.
type Choose = fn(&mut Reader);

/// What an option of the board accepts.
enum Rule {
    /// on or off.
    Switch(fn(&mut Reader, bool)),
    /// One of these values, or it is refused.
    Choice(&'static [(&'static str, Choose)], &'static str),
    /// These values, all of which mean what the machine does anyway.
    Only(&'static [&'static str], &'static str),
    /// A file.
    File(fn(&mut Reader, HostFile)),
    /// The name of an object or a node.
    Name(fn(&mut Reader, &str)),
}

use Rule::{Choice, File, Name, Only, Switch};

/// A generation of system MMUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    /// An MMU-500.
    V2,
    /// As QEMU has it.
    V3,
}

/// The options of the board. For those that are `Choice` or `Only`, the last column says why others are refused.
const BOARD: &[(&str, Rule)] = &[
    ("virtualization", Switch(|r, on| r.config.virt.virtualization = on)),
    ("its", Switch(|r, on| r.its = Some(on))),
    (
        "msi",
        Choice(
            &[
                ("auto", |r| r.msi = None),
                ("its", |r| r.msi = Some(Msi::Its)),
                ("gicv2m", |r| r.msi = Some(Msi::Gicv2m)),
                ("off", |r| r.msi = Some(Msi::Off)),
            ],
            "messages can go to its, gicv2m, or nothing",
        ),
    ),
    (
        "highmem",
        Switch(|r, on| {
            r.config.virt.highmem_ecam = on;
            r.config.virt.highmem_mmio = on;
        }),
    ),
    ("highmem-ecam", Switch(|r, on| r.config.virt.highmem_ecam = on)),
    ("highmem-mmio", Switch(|r, on| r.config.virt.highmem_mmio = on)),
    ("dumpdtb", File(|r, f| r.config.dump_dtb = Some(f))),
    (
        "gic-version",
        Choice(
            &[
                ("2", |r| r.gic = Some(GicVersion::V2)),
                ("3", |r| r.gic = Some(GicVersion::V3)),
                ("max", |r| r.gic = Some(GicVersion::V3)),
            ],
            "the interrupt controller is a GICv2 or a GICv3",
        ),
    ),
    (
        "iommu",
        Choice(
            &[
                ("none", |r| r.smmu = None),
                ("smmuv2", |r| r.smmu = Some(Generation::V2)),
                ("smmuv3", |r| r.smmu = Some(Generation::V3)),
            ],
            "in front of the PCI bus there is nothing, an SMMUv2, or an SMMUv3 with both stages",
        ),
    ),
    ("acpi", Only(&["off", "auto"], "there are no ACPI tables yet")),
    ("secure", Only(&["off"], "there is no EL3 and no Secure state")),
    ("mte", Only(&["off"], "there is no memory tagging")),
    ("ras", Only(&["off"], "there is no error injection")),
    ("graphics", Only(&["off"], "there is no display")),
    ("usb", Only(&["off"], "there is no USB")),
    ("nvdimm", Only(&["off"], "there is no persistent memory")),
    ("hmat", Only(&["off"], "there are no ACPI tables yet")),
    ("default-bus-bypass-iommu", Only(&["off"], "all of the PCI bus is behind the system MMU")),
    (
        "compact-highmem",
        Only(&["on"], "regions above RAM are where the newest version of the board has them"),
    ),
    ("highmem-redists", Only(&["on", "off"], "there is one region of redistributors")),
    ("accel", Name(super::cpu::accel_of_board)),
    ("memory-backend", Name(|r, id| r.memory_backend = Some(id.to_owned()))),
    ("pflash0", Name(|r, node| r.flash_nodes[0] = Some(node.to_owned()))),
    ("pflash1", Name(|r, node| r.flash_nodes[1] = Some(node.to_owned()))),
    ("dump-guest-core", Switch(|r, on| r.config.ram.in_core_dump = on)),
    ("mem-merge", Switch(|r, on| r.config.ram.mergeable = on)),
    ("dtb-randomness", Switch(|r, on| r.config.dtb_randomness = on)),
    ("dtb-kaslr-seed", Switch(|r, on| r.config.dtb_randomness = on)),
];

/// Major and minor number of a release of QEMU.
pub(super) type Version = (u32, u32);

/// The releases whose boards this one can be, newest first. What they do in another way than the newest: see [`compat`].
const VERSIONS: &[Version] = &[
    (11, 1),
    (11, 0),
    (10, 2),
    (10, 1),
    (10, 0),
    (9, 2),
    (9, 1),
    (9, 0),
    (8, 2),
    (8, 1),
    (8, 0),
    (7, 2),
    (7, 1),
    (7, 0),
    (6, 2),
    (6, 1),
    (6, 0),
    (5, 2),
];

fn version(option: &str, board: &str) -> Result<Version, UserError> {
    let newest = VERSIONS[0];
    if board == "virt" {
        return Ok(newest);
    }
    let numbers = board.strip_prefix("virt-").and_then(|v| v.split_once('.'));
    let asked = numbers.and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    asked.filter(|v| VERSIONS.contains(v)).ok_or_else(|| {
        let oldest = VERSIONS[VERSIONS.len() - 1];
        let ((a, b), (c, d)) = (oldest, newest);
        user_error!(
            "there is no board '{board}': {option} takes virt, virt-{a}.{b} to virt-{c}.{d}, and none"
        )
    })
}

/// What a guest can see of an older version of the board, after all options were read.
pub(super) fn compat(r: &mut Reader, version: Version) -> Result<(), UserError> {
    // Until then the emulated GICv3 of QEMU had no ITS.
    if version <= (6, 1) {
        r.its.get_or_insert(false);
    }
    super::cpu::compat(r, version)
}

/// The system MMU that the board has of its own. Until 9.1 it had stage 1 only.
pub(super) fn iommu(r: &mut Reader, version: Version) {
    let stages = (version <= (9, 1)).then_some(Stages::One);
    let choices = Choices { stages, ..Choices::default() };
    let smmu = r.smmu.map(|generation| match generation {
        Generation::V2 => {
            Device::new(Smmuv2 { profile: Smmuv2Profile::Mmu500, ..Smmuv2::default() }, Bus::Platform)
        }
        Generation::V3 => Device::new(Smmu { choices, ..Smmu::of_board(SmmuProfile::Qemu) }, Bus::Platform),
    });
    r.config.devices.extend(smmu);
}

/// The names of all boards.
pub(crate) fn names() -> Vec<String> {
    let versions = VERSIONS.iter().map(|(a, b)| format!("virt-{a}.{b}"));
    ["virt", NONE].into_iter().map(str::to_owned).chain(versions).collect()
}

/// The versions, for `-M help`.
pub(super) fn help(name: Option<&str>) -> Result<String, UserError> {
    match name {
        None => {
            let line = |(a, b): &Version| {
                let is = if (*a, *b) == VERSIONS[0] { " (the same as virt)" } else { "" };
                // Scripts look for these three words to learn whether there is the board.
                format!("  virt-{:<8}as QEMU {a}.{b} ARM Virtual Machine{is}\n", format!("{a}.{b}"))
            };
            let lines: String = VERSIONS.iter().map(line).collect();
            Ok(format!("Boards:\n  virt         the newest\n{lines}  none         empty machine\n"))
        }
        Some(NONE) => Ok("none options:\n  accel=<name>\n".to_owned()),
        Some(board) => {
            version("-M", board)?;
            let line = |(name, rule): &(&str, Rule)| match rule {
                Switch(_) => format!("  {name}=<on|off>\n"),
                File(_) => format!("  {name}=<file>\n"),
                Name(_) => format!("  {name}=<name>\n"),
                Choice(values, why) => {
                    let names: Vec<_> = values.iter().map(|(value, _)| *value).collect();
                    format!("  {name}=<{}> - {why}\n", names.join("|"))
                }
                Only(values, why) => format!("  {name}=<{}> - {why}\n", values.join("|")),
            };
            Ok(format!("{board} options:\n{}", BOARD.iter().map(line).collect::<String>()))
        }
    }
}

/// The machine without anything.
const NONE: &str = "none";

/// There is nothing to choose of it but the accelerator.
fn empty_options(r: &mut Reader, mut parts: Parts) -> Result<(), UserError> {
    if let Some(accel) = parts.take("accel")? {
        super::cpu::accel_of_board(r, &accel);
    }
    parts.finish("the machine 'none'")
}

/// The machine `none`, once all options are read: it has monitors, and RAM if that was given a size.
pub(super) fn empty(mut r: Reader) -> Result<MachineConfig, UserError> {
    if r.has_cpu {
        return Err(user_error!("-cpu is not supported with the machine 'none': it has no processors"));
    }
    if r.characters.serials_given() {
        return Err(user_error!("-serial is not supported with the machine 'none': it has no serial port"));
    }
    super::cpu::finish(&r)?;
    super::chardev::build(&mut r)?;
    super::device::build(&mut r)?;
    super::drive::build_rest(&mut r)?;
    super::object::finish(&r)?;
    super::chardev::finish(&r)?;
    let mut config = r.config;
    config.serial = CharBackend::Null;
    config.memory = if r.memory_given { config.memory } else { 0 };
    let plain = Reader::new().config;
    let (own, rest) = (config.clone(), plain);
    let all_there_is = MachineConfig {
        empty: true,
        memory: own.memory,
        ram: own.ram,
        serial: own.serial,
        characters: own.characters,
        accel: own.accel,
        gdb_wait: own.gdb_wait,
        no_reboot: own.no_reboot,
        no_shutdown: own.no_shutdown,
        trace: own.trace,
        network: own.network,
        uuid: own.uuid,
        host: own.host,
        qtest: own.qtest,
        log: own.log,
        ..rest
    };
    if config != all_there_is {
        return Err(user_error!(
            "the machine 'none' has monitors and RAM only: nothing can be loaded, plugged in, debugged or counted"
        ));
    }
    config.check()?;
    Ok(config)
}

/// `-M`: may be given several times, each adds to the others.
fn board(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if let Some(board) = parts.take_first("type")? {
        r.config.empty = board == NONE;
        if r.config.empty {
            return empty_options(r, parts);
        }
        r.version = Some(version(option, &board)?);
    }
    while let Some(part) = parts.next_part() {
        let (key, value) = (part.key.as_str(), part.value.as_deref().unwrap_or("on"));
        match BOARD.iter().find(|(k, _)| *k == key) {
            None => return Err(user_error!("'{key}={value}' is not supported for the board in {option}")),
            Some((_, Switch(f))) => {
                f(r, on_off(value).map_err(|e| user_error!("{e}, given as '{key}' in {option}"))?);
            }
            Some((_, File(f))) => f(r, HostFile::new(option, value)),
            Some((_, Name(f))) => f(r, value),
            Some((_, Choice(values, why))) => match values.iter().find(|(v, _)| *v == value) {
                Some((_, f)) => f(r),
                None => return Err(user_error!("'{key}={value}' in {option} is not supported: {why}")),
            },
            Some((_, Only(values, _))) if values.contains(&value) => {}
            Some((_, Only(_, why))) => {
                return Err(user_error!("'{key}={value}' in {option} is not supported: {why}"));
            }
        }
    }
    Ok(())
}

/// The interrupt controller, after all options: without a version, a GICv2 if that serves all CPUs.
pub(super) fn interrupt_controller(r: &mut Reader) -> Result<(), UserError> {
    let few = r.config.topology.cpus() <= MAX_CPUS_GICV2;
    let gic = r.gic.unwrap_or(if few { GicVersion::V2 } else { GicVersion::V3 });
    r.config.virt.gic = gic;
    r.config.virt.msi = Msi::of(gic, r.its, r.msi)?;
    Ok(())
}
