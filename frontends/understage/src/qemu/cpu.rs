//! `-cpu`, `-smp`, `-accel`: the processors, and how they are executed.

use super::Reader;
use super::option::Action::{Refused, Value};
use super::option::Row;
use crate::config::{Accel, Check, CpuModel, Given, Topology, check_cpus};
use crate::error::UserError;
use crate::keyval::Parts;
use crate::number::{parse_size, parse_u64};
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-cpu", Value(cpu), "MODEL: neoverse-n1, cortex-a72, max[,pauth-qarma5=on] and others"),
    ("-smp", Value(smp), "[cpus=]N[,sockets=N][,clusters=N][,cores=N]: up to 8 CPUs"),
    (
        "-accel",
        Value(accel),
        "tcg: whatever executes instructions here, with tb-size=MIB of host code, check=lockstep; interp: the interpreter",
    ),
    ("-enable-kvm", Refused("instructions are executed in software only"), ""),
];

/// `-cpu`. The features that may be turned off are those that no model has.
fn cpu(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let model = parts.take_first("model")?.ok_or_else(|| user_error!("{option} needs a model"))?;
    r.config.cpu = CpuModel::from_name(&model)?;
    r.has_cpu = true;
    if r.config.cpu == CpuModel::max() && parts.take_switch("pauth-qarma5")? == Some(true) {
        r.config.cpu = CpuModel::from_name("max-qarma5")?;
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
fn smp(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
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

/// `-accel`: `tcg` is whatever executes instructions here, `interp` the interpreter.
fn accel(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
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
