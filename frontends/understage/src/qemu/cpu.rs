//! `-cpu`, `-smp`, `-accel`: the processors, and how they are executed.

use emu_a64::features::Feat;

use super::Reader;
use super::board::Version;
use super::option::Action::{Refused, Value};
use super::option::Row;
use crate::config::{Accel, Check, CpuModel, Given, Topology, check_cpus};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::{parse_size, parse_u64};

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
    ("-tb-size", Refused("say -accel tcg,tb-size="), ""),
    (
        "-singlestep",
        Refused("instructions are executed in blocks; -accel interp does not translate them"),
        "",
    ),
    ("-numa", Refused("there are no NUMA nodes"), ""),
];

/// What a property of `-cpu` is.
enum Rule {
    /// These features can be turned off.
    Removes(&'static [Feat]),
    /// No model has it.
    Absent,
    /// Every model has it.
    Present,
}

use Rule::{Absent, Present, Removes};

/// The properties that turn something on or off.
const SWITCHES: &[(&str, Rule)] = &[
    ("pmu", Removes(&[Feat::Pmuv3, Feat::Pmuv3p1, Feat::Pmuv3p4, Feat::Pmuv3p5])),
    ("pauth", Removes(&[Feat::PAuth, Feat::PAuthImpdef, Feat::PAuthQarma5])),
    ("lpa2", Removes(&[Feat::Lpa2])),
    ("sve", Absent),
    ("sme", Absent),
    ("mte", Absent),
    ("rme", Absent),
    ("x-rme", Absent),
    ("has_el3", Absent),
    ("pauth-qarma3", Absent),
    ("aarch64", Present),
    ("vfp", Present),
    ("neon", Present),
];

/// What `-cpu` says beside the model, as far as it waits for other options.
#[derive(Default)]
pub(super) struct Wish {
    /// A choice of the algorithm of pointer authentication.
    qarma5: Option<bool>,
    /// The counter's frequency was given.
    has_frequency: bool,
    /// `-accel tcg,thread=single`.
    single_thread: bool,
    /// An accelerator that is not there; another one may be.
    absent: Option<String>,
    /// `-accel tcg` or `interp`, or the board's.
    pub(super) present: bool,
}

/// `-cpu`.
fn cpu(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let model = parts.take_first("model")?.ok_or_else(|| user_error!("{option} needs a model"))?;
    if model == "host" {
        return Err(user_error!(
            "'{option} host' is not supported: instructions are executed in software only"
        ));
    }
    r.config.cpu = CpuModel::from_name(&model)?;
    r.has_cpu = true;
    let owner = format!("the CPU model {model}");
    for (name, rule) in SWITCHES {
        let Some(on) = parts.take_switch(name)? else { continue };
        match (rule, on) {
            (Removes(features), false) => r.config.cpu_changes.without.extend(*features),
            (Removes(features), true) if features.iter().any(|f| r.config.cpu.has(*f)) => {}
            (Absent, false) | (Present, true) => {}
            _ => {
                let state = if on { "on" } else { "off" };
                return Err(user_error!("'{name}={state}' is not supported for {owner} in {option}"));
            }
        }
    }
    if model == "max" {
        if let Some(true) = parts.take_switch("pauth-impdef")? {
            r.cpu_wish.qarma5 = Some(false);
        }
        if let Some(true) = parts.take_switch("pauth-qarma5")? {
            r.cpu_wish.qarma5 = Some(true);
        }
    }
    if let Some(hz) = parts.take_with("cntfrq", parse_u64)? {
        r.config.cpu_changes.tick_ns = Some(tick(hz).map_err(|e| user_error!("{e} in {option}"))?);
        r.cpu_wish.has_frequency = true;
    }
    parts.finish(&owner)
}

/// Nanoseconds of a tick at `hz`: a whole number of them.
fn tick(hz: u64) -> Result<u64, UserError> {
    match hz {
        1..=1_000_000_000 if 1_000_000_000 % hz == 0 => Ok(1_000_000_000 / hz),
        _ => Err(user_error!("a tick of 'cntfrq={hz}' is not a whole number of nanoseconds")),
    }
}

/// What older versions of the board do with processors.
pub(super) fn compat(r: &mut Reader, version: Version) -> Result<(), UserError> {
    let is_max = r.config.cpu.name() == "max";
    // Every counter had 62.5 MHz.
    if version <= (9, 0) && !r.cpu_wish.has_frequency {
        r.config.cpu_changes.tick_ns = Some(16);
    }
    if version <= (6, 2) && is_max {
        r.config.cpu_changes.without.push(Feat::Lpa2);
    }
    // The architected algorithm was what `max` had.
    if is_max && r.cpu_wish.qarma5.unwrap_or(version <= (9, 2)) {
        r.config.cpu = CpuModel::from_name("max-qarma5")?;
    }
    Ok(())
}

/// Rules for which all options must be known.
pub(super) fn finish(r: &Reader) -> Result<(), UserError> {
    let wish = &r.cpu_wish;
    if let (Some(absent), false) = (&wish.absent, wish.present) {
        return Err(user_error!(
            "the accelerator '{absent}' is not supported: instructions are executed in software only"
        ));
    }
    if wish.single_thread && r.config.topology.cpus() > 1 {
        return Err(user_error!(
            "'thread=single' in -accel is not supported with several CPUs: each is a thread of the host"
        ));
    }
    Ok(())
}

/// `-M accel=`: the first that there is.
pub(super) fn accel_of_board(r: &mut Reader, names: &str) {
    for name in names.split(':') {
        match name {
            "tcg" => r.cpu_wish.present = true,
            "qtest" if !r.cpu_wish.present => {
                r.config.accel = Accel::Qtest;
                r.cpu_wish.present = true;
            }
            other => r.cpu_wish.absent = Some(other.to_owned()),
        }
    }
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
    if most.is_some_and(|m| m < total) {
        return Err(user_error!("maxcpus in '{option} {text}' is less than the {total} CPUs"));
    }
    // The topology is that of the most CPUs; those that are not there at the start never come.
    let (present, total) = (total, most.unwrap_or(total));
    let cores = cores.unwrap_or_else(|| total.checked_div(around).unwrap_or(0));
    let topology = Topology { sockets: sockets.unwrap_or(1), clusters: clusters.unwrap_or(1), cores };
    if topology.cpus() != total {
        return Err(user_error!(
            "the sockets, clusters and cores in '{option} {text}' do not make {total} CPUs"
        ));
    }
    let part = first(topology, present).ok_or_else(|| {
        user_error!(
            "'{option} {text}' is not supported: {present} CPUs do not fill whole clusters and sockets"
        )
    })?;
    r.config.topology = part;
    Ok(())
}

/// The topology of the first `n` CPUs of `all`, if they fill what they are in.
fn first(all: Topology, n: u32) -> Option<Topology> {
    let socket = all.clusters * all.cores;
    match n {
        n if n <= all.cores => Some(Topology::flat(n)),
        n if n <= socket && n % all.cores == 0 => {
            Some(Topology { sockets: 1, clusters: n / all.cores, cores: all.cores })
        }
        n if n % socket == 0 => Some(Topology { sockets: n / socket, ..all }),
        _ => None,
    }
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
            r.cpu_wish.present = true;
            match parts.take("thread")?.as_deref() {
                None | Some("multi") => {}
                Some("single") => r.cpu_wish.single_thread = true,
                Some(other) => {
                    return Err(user_error!("'thread={other}' in {option} is neither single nor multi"));
                }
            }
            if parts.take_switch("one-insn-per-tb")? == Some(true) {
                return Err(user_error!(
                    "'one-insn-per-tb=on' in {option} is not supported: say -accel interp to have nothing translated"
                ));
            }
            if parts.take_switch("split-wx")? == Some(false) {
                return Err(user_error!(
                    "'split-wx=off' in {option} is not supported: host code is written in one place and executed in another"
                ));
            }
            r.config.check = parts.take_with("check", |text| match text {
                "lockstep" => Ok(Check::Lockstep("-accel tcg,check=lockstep")),
                _ => Err(user_error!("'{text}' is no check (there is lockstep)")),
            })?;
            parts.finish("the accelerator")
        }
        Some("qtest") => {
            r.config.accel = Accel::Qtest;
            r.cpu_wish.present = true;
            parts.finish("the accelerator qtest")
        }
        Some("interp") => {
            r.config.accel = Accel::Interp;
            r.cpu_wish.present = true;
            parts.finish("the interpreter")
        }
        // Scripts name several, the fastest first; what it is given besides is its own.
        other => {
            r.cpu_wish.absent = Some(other.unwrap_or(text).to_owned());
            Ok(())
        }
    }
}

/// The models, for `-cpu help`.
pub(super) fn help_cpu(model: Option<&str>) -> Result<String, UserError> {
    match model {
        None => Ok(CpuModel::help()),
        Some(model) => {
            CpuModel::from_name(model)?;
            let names: String = SWITCHES.iter().map(|(name, _)| format!("  {name}=<on|off>\n")).collect();
            Ok(format!(
                "{model} options:\n{names}  pauth-impdef=<on|off>\n  pauth-qarma5=<on|off>\n  cntfrq=<hz>\n"
            ))
        }
    }
}

/// What executes instructions, for `-accel help`.
pub(super) fn help_accel(_: Option<&str>) -> Result<String, UserError> {
    Ok("Accelerators:\n  tcg     translation to host code\n  interp  the interpreter\n  qtest   none: devices are driven by -qtest\n".into())
}
