//! How the machine lives on the host: its name and process, its clock, its end, who controls it.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::option::Action::{Plain, Refused, Value};
use super::option::Row;
use super::{Reader, set};
use crate::config::{Given, HostFile, RtcBase, Time};
use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-name", Value(name), "[guest=]NAME[,process=NAME][,debug-threads=on]: NAME goes before messages"),
    ("-uuid", Value(uuid), "UUID of the machine, which the guest finds in fw_cfg"),
    (
        "-rtc",
        Value(rtc),
        "[base=utc|localtime|DATE][,clock=host|rt|vm]: real-time clock; vm stops with the machine",
    ),
    ("-no-reboot", Plain(|r| r.config.no_reboot = true), "end when the guest asks for a reset"),
    ("-no-shutdown", Plain(|r| r.config.no_shutdown = true), "stay, stopped, after power-off by the guest"),
    (
        "-action",
        Value(action),
        "[reboot=reset|shutdown][,shutdown=poweroff|pause][,panic=...][,watchdog=...]",
    ),
    (
        "-pidfile",
        Value(|r, o, v| set(&mut r.config.host.pidfile, o, HostFile::new(o, v))),
        "FILE with the process ID",
    ),
    (
        "-daemonize",
        Plain(|r| r.config.host.daemonize = Some(Given { value: (), option: "-daemonize" })),
        "go on in the background when the machine is put together",
    ),
    (
        "-overcommit",
        Value(overcommit),
        "[mem-lock=on|off][,cpu-pm=off]: mem-lock=on keeps all memory in the host's RAM",
    ),
    ("-nodefaults", Plain(|r| r.nodefaults = true), "no serial port backend unless -serial names one"),
    ("-no-user-config", Plain(|_| ()), "there are no configuration files"),
    ("-nouserconfig", Plain(|_| ()), "the same"),
    ("-msg", Value(msg), "timestamp=on: lines of the log have their time"),
    ("-sandbox", Value(sandbox), "off"),
    ("-k", Value(|_, _, _| Ok(())), "LANGUAGE of the keyboard of a display, and there is none"),
    ("-readconfig", Refused("options are read from the command line only"), ""),
    ("-writeconfig", Refused("options are read from the command line only"), ""),
    ("-set", Refused("say the property where the device, drive or object is given"), ""),
    (
        "-qmp",
        Value(|r, o, v| super::chardev::qmp(r, o, v, false)),
        "CHARDEV (as -serial has it) of a program that asks and commands by QMP",
    ),
    (
        "-qmp-pretty",
        Value(|r, o, v| super::chardev::qmp(r, o, v, true)),
        "the same, with answers that are pleasant to read",
    ),
    ("-incoming", Refused("machines do not migrate"), ""),
    ("-only-migratable", Refused("machines do not migrate"), ""),
    ("-loadvm", Refused("there are no saved machines"), ""),
    ("-preconfig", Refused("a machine is complete when it starts"), ""),
    (
        "-icount",
        Value(icount),
        "shift=N,sleep=off[,align=off]: an instruction takes 2^N nanoseconds, and a guest that waits no time of the host",
    ),
    ("-seed", Refused("random numbers come from the host"), ""),
    ("-watchdog-action", Refused("there is no watchdog device"), ""),
    ("-runas", Refused("the program keeps its user"), ""),
    ("-run-with", Refused("the program keeps its user and its root directory"), ""),
    ("-chroot", Refused("the program keeps its root directory"), ""),
    ("-add-fd", Refused("files are opened by their names"), ""),
    ("-compat", Refused("there are no deprecated options"), ""),
];

fn name(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    r.config.host.name = parts.take_first("guest")?;
    r.config.host.process = parts.take("process")?;
    // Threads have names that say what they do, always.
    if parts.take_switch("debug-threads")? == Some(false) {
        return Err(user_error!("'debug-threads=off' in {option} is not supported: threads have names"));
    }
    parts.finish("the name")
}

/// 32 hexadecimal digits; dashes group them (RFC 9562, 4).
fn uuid(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let digits: Option<Vec<u8>> =
        text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() == 32 && groups == [8, 4, 4, 4, 12]);
    let digits = digits.ok_or_else(|| user_error!("'{text}' given with {option} is not a UUID"))?;
    let bytes = std::array::from_fn(|i| digits[2 * i] << 4 | digits[2 * i + 1]);
    set(&mut r.config.uuid, option, bytes)
}

/// Time by instructions. What QEMU does without `sleep=off`, to wait in the host's time, is not done here.
fn icount(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let refused = |what: &str, why: &str| Err(user_error!("'{what}' in {option} is not supported: {why}"));
    let shift = parts.take_first("shift")?.unwrap_or_else(|| "auto".to_owned());
    if shift == "auto" {
        return refused("shift=auto", "say how long an instruction takes, as shift=3");
    }
    let known = shift.parse::<u32>().ok().filter(|n| *n <= Time::MOST);
    let shift = known
        .ok_or_else(|| user_error!("'shift={shift}' in {option} is no number from 0 to {}", Time::MOST))?;
    if parts.take_switch("sleep")? != Some(false) {
        return refused("sleep=on", "who waits lets time jump: say sleep=off");
    }
    if parts.take_switch("align")? == Some(true) {
        return refused("align=on", "counted time does not follow the host's clock");
    }
    if let Some(how) = parts.take("rr")? {
        return refused(&format!("rr={how}"), "machines are not recorded");
    }
    r.config.time = Time::Counted(Given::<u32>::new(option, shift));
    parts.finish("counted time")
}

fn rtc(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if let Some(base) = parts.take_with("base", rtc_base)? {
        r.config.rtc.base = base;
    }
    match parts.take("clock")?.as_deref() {
        None | Some("host" | "rt") => r.config.rtc.follows_host = true,
        Some("vm") => r.config.rtc.follows_host = false,
        Some(other) => return Err(user_error!("'clock={other}' in {option} is none of host, rt, vm")),
    }
    match parts.take("driftfix")?.as_deref() {
        None | Some("none") => {}
        Some(other) => {
            return Err(user_error!("'driftfix={other}' in {option} is not supported: no tick is lost"));
        }
    }
    parts.finish("the real-time clock")
}

fn rtc_base(text: &str) -> Result<RtcBase, UserError> {
    let date = || {
        let time = Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?;
        u64::try_from(time.as_second()).ok().map(RtcBase::At)
    };
    match text {
        "utc" => Ok(RtcBase::Utc),
        "localtime" => Ok(RtcBase::Local),
        _ => date().ok_or_else(|| {
            user_error!("'{text}' is none of utc, localtime, and no date as 2006-06-17T16:01:21 from 1970 on")
        }),
    }
}

fn action(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let mut choice = |key: &str, values: &[&str]| -> Result<Option<usize>, UserError> {
        parts.take_with(key, |v| {
            let known = values.iter().position(|known| *known == v);
            known.ok_or_else(|| user_error!("'{v}' is none of {}", values.join(", ")))
        })
    };
    if let Some(n) = choice("reboot", &["reset", "shutdown"])? {
        r.config.no_reboot = n == 1;
    }
    if let Some(n) = choice("shutdown", &["poweroff", "pause"])? {
        r.config.no_shutdown = n == 1;
    }
    // These events come from devices that the board does not have (pvpanic, a watchdog): they never happen.
    choice("panic", &["pause", "shutdown", "exit-failure", "none"])?;
    choice("watchdog", &["reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none"])?;
    parts.finish("what the machine does at events")
}

fn overcommit(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let lock = parts.take_switch("mem-lock")?;
    if lock == Some(true) {
        r.config.host.lock_memory = Some(Given { value: (), option: "-overcommit mem-lock=on" });
    }
    if parts.take_switch("cpu-pm")? == Some(true) {
        return Err(user_error!(
            "'cpu-pm=on' in {option} is not supported: a guest that waits uses no CPU time"
        ));
    }
    parts.finish("the host's memory and CPUs")
}

fn msg(_: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if parts.take_switch("timestamp")? == Some(false) {
        return Err(user_error!(
            "'timestamp=off' in {option} is not supported: lines of the log have their time"
        ));
    }
    if parts.take_switch("guest-name")? == Some(false) {
        return Err(user_error!("'guest-name=off' in {option} is not supported: -name goes before messages"));
    }
    parts.finish("messages")
}

fn sandbox(_: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    match on_off(text) {
        Ok(false) => Ok(()),
        _ => Err(user_error!("'{option} {text}' is not supported: system calls are not filtered")),
    }
}
