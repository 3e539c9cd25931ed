//! `-M`, `-cpu`, `-smp`, `-m`, `-accel`.

use super::Reader;
use crate::config::{Accel, Check, CpuModel, Given, HostFile, Topology, check_cpus, check_memory};
use crate::error::UserError;
use crate::keyval::{Parts, on_off};
use crate::number::{parse_size, parse_u64};
use crate::user_error;

/// What an option of the board accepts.
enum Rule {
    /// on or off.
    Switch(fn(&mut Reader, bool)),
    /// These values, all of which mean what the machine does anyway.
    Only(&'static [&'static str], &'static str),
    /// A file.
    File(fn(&mut Reader, HostFile)),
}

use Rule::{File, Only, Switch};

/// The options of the board. For those that are `Only`, the last column says why.
const BOARD: &[(&str, Rule)] = &[
    ("virtualization", Switch(|r, on| r.config.virt.virtualization = on)),
    ("its", Switch(|r, on| r.config.virt.its = on)),
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
    ("gic-version", Only(&["3", "max"], "the interrupt controller is a GICv3")),
    ("iommu", Only(&["none"], "there is no system MMU yet")),
    ("acpi", Only(&["off", "auto"], "there are no ACPI tables yet")),
    ("secure", Only(&["off"], "there is no EL3 and no Secure state")),
    ("mte", Only(&["off"], "there is no memory tagging")),
    ("ras", Only(&["off"], "there is no error injection")),
    ("graphics", Only(&["off"], "there is no display")),
    ("usb", Only(&["off"], "there is no USB")),
    ("accel", Only(&["tcg"], "instructions are executed in software only")),
];

/// `-M`: may be given several times, each adds to the others.
pub(super) fn board(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if let Some(board) = parts.take_first("type")? {
        if board != "virt" {
            return Err(user_error!("there is no board '{board}': {option} takes 'virt'"));
        }
        r.has_board = true;
    }
    while let Some(part) = parts.next_part() {
        let (key, value) = (part.key.as_str(), part.value.as_deref().unwrap_or("on"));
        match BOARD.iter().find(|(k, _)| *k == key) {
            None => return Err(user_error!("'{key}={value}' is not supported for the board in {option}")),
            Some((_, Switch(f))) => {
                f(r, on_off(value).map_err(|e| user_error!("{e}, given as '{key}' in {option}"))?);
            }
            Some((_, File(f))) => f(r, HostFile::new(option, value)),
            Some((_, Only(values, _))) if values.contains(&value) => {}
            Some((_, Only(_, why))) => {
                return Err(user_error!("'{key}={value}' in {option} is not supported: {why}"));
            }
        }
    }
    Ok(())
}

/// `-cpu`. The features that may be turned off are those that no model has.
pub(super) fn cpu(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let model = parts.take_first("model")?.ok_or_else(|| user_error!("{option} needs a model"))?;
    r.config.cpu = CpuModel::from_name(&model)?;
    r.has_cpu = true;
    if r.config.cpu == CpuModel::Max && parts.take_switch("pauth-qarma5")? == Some(true) {
        r.config.cpu = CpuModel::MaxQarma5;
    }
    for absent in ["sve", "sme", "aarch64"] {
        let on = absent == "aarch64";
        if parts.take_switch(absent)?.is_some_and(|asked| asked != on) {
            let state = if on { "off" } else { "on" };
            return Err(user_error!(
                "'{absent}={state}' is not supported for the CPU model {model} in {option}"
            ));
        }
    }
    parts.finish(&format!("the CPU model {model}"))
}

/// `-smp`: what is not given follows from the rest, cores before clusters and sockets.
pub(super) fn smp(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let number = |parts: &mut Parts, key: &str| {
        parts.take_with(key, |v| Ok(u32::try_from(parse_u64(v)?).unwrap_or(u32::MAX)))
    };
    let cpus = match parts.take_first("cpus")? {
        Some(v) => {
            Some(u32::try_from(parse_u64(&v).map_err(|e| user_error!("{option}: {e}"))?).unwrap_or(u32::MAX))
        }
        None => None,
    };
    let sockets = number(&mut parts, "sockets")?;
    let clusters = number(&mut parts, "clusters")?;
    let cores = number(&mut parts, "cores")?;
    let threads = number(&mut parts, "threads")?;
    let most = number(&mut parts, "maxcpus")?;
    parts.finish("the CPUs")?;
    if threads.is_some_and(|t| t != 1) {
        return Err(user_error!("threads in {option} can only be 1: a core has one thread"));
    }
    let around = sockets.unwrap_or(1).saturating_mul(clusters.unwrap_or(1));
    let total = cpus.unwrap_or_else(|| around.saturating_mul(cores.unwrap_or(1)));
    check_cpus(total)?;
    let cores = cores.unwrap_or_else(|| total.checked_div(around).unwrap_or(0));
    let topology = Topology { sockets: sockets.unwrap_or(1), clusters: clusters.unwrap_or(1), cores };
    if topology.cpus() != total {
        return Err(user_error!(
            "the sockets, clusters and cores in '{option} {text}' do not make {total} CPUs"
        ));
    }
    if most.is_some_and(|m| m != total) {
        return Err(user_error!("maxcpus in {option} can only be {total}: CPUs are not added later"));
    }
    r.config.topology = topology;
    Ok(())
}

/// `-m`.
pub(super) fn memory(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let size = parts.take_first("size")?.ok_or_else(|| user_error!("{option} needs a size"))?;
    r.config.memory = check_memory(parse_size(&size, Some(1 << 20))?)?;
    parts.finish("the RAM")
}

/// `-accel`: `tcg` is whatever executes instructions here, `interp` the interpreter.
pub(super) fn accel(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    match parts.take_first("accel")?.as_deref() {
        Some("tcg") => {
            // QEMU takes 0 for its default size.
            let size = parts.take_with("tb-size", |mib| parse_size(mib, Some(1 << 20)))?.filter(|s| *s != 0);
            r.config.accel = size.map_or_else(Accel::default, |bytes| Accel::Jit {
                cache: Given::new("-accel tb-size", bytes),
            });
            r.config.check = parts.take_with("check", |text| match text {
                "lockstep" => Ok(Check::Lockstep("-accel tcg,check=lockstep")),
                _ => Err(user_error!("'{text}' is no check (there is lockstep)")),
            })?;
            parts.finish("the accelerator")
        }
        Some("interp") => {
            r.config.accel = Accel::Interp;
            parts.finish("the interpreter")
        }
        other => Err(user_error!(
            "'{option} {}' is not supported: instructions are executed in software only",
            other.unwrap_or(text)
        )),
    }
}
