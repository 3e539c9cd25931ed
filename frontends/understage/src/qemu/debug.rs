//! Looking at what runs: `-gdb`, `-s`, `-S`, and files for `perf`.

use super::option::Action::{Plain, Refused, Short, Value};
use super::option::Row;
use super::{Reader, set};
use crate::config::{Given, HostFile, Ledger, PerfFile, QtestLog, trace_help, trace_ranges};
use crate::error::{UserError, user_error};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-gdb", Value(gdb), "tcp:[HOST]:PORT: listen for gdb; without HOST only this computer can connect"),
    ("-s", Short(|r| gdb(r, "-s", "tcp:localhost:1234")), "the same as -gdb tcp:localhost:1234"),
    ("-S", Plain(|r| r.config.gdb_wait = Some("-S")), "wait for the debugger before the first instruction"),
    ("-d", Value(trace), "CATEGORY,...: tell of what the machine does; 'help' lists the categories"),
    (
        "-D",
        Value(|r, o, v| set(&mut r.config.trace.file, o, HostFile::new(o, v))),
        "FILE where -d goes, instead of standard error",
    ),
    (
        "-dfilter",
        Value(ranges),
        "FROM..TO or FROM+SIZE,...: exec, cpu and in_asm only tell of blocks at these addresses",
    ),
    ("-trace", Refused("QEMU's trace events are not there; -d and --log say what happens"), ""),
    ("-plugin", Refused("there are no plugins"), ""),
    (
        "-qtest",
        Value(super::chardev::qtest),
        "CHARDEV (as -serial has it) of a client that drives the devices, with -accel qtest: no CPU runs",
    ),
    (
        "-qtest-log",
        Value(qtest_log),
        "FILE of what the client and the machine say, or none; without it, standard error",
    ),
    ("-record", Refused("machines are not recorded"), ""),
    (
        "-perfmap",
        Plain(|r| perf(r, "-perfmap", PerfFile::Map)),
        "write /tmp/perf-PID.map, from which 'perf report' names translated code",
    ),
    (
        "-ledger",
        Value(|r, o, v| {
            r.config.ledger = Ledger::File(HostFile::new(o, v));
            Ok(())
        }),
        "FILE for what each CPU and device did, by cause, as JSON; it is written when the machine ends",
    ),
    (
        "-timeline",
        Value(|r, o, v| set(&mut r.config.trace.timeline, o, HostFile::new(o, v))),
        "FILE of what happens when, for Perfetto (ui.perfetto.dev)",
    ),
    (
        "-jitdump",
        Plain(|r| perf(r, "-jitdump", PerfFile::Dump)),
        "write jit-PID.dump, for 'perf record -k mono' and 'perf inject --jit'",
    ),
];

/// Categories of QEMU's for which there is nothing here, and why.
const ABSENT: &[(&str, &str)] = &[
    ("out_asm", "host code is written by -jitdump"),
    ("op", "there are no micro-operations of QEMU's"),
    ("op_opt", "there are no micro-operations of QEMU's"),
    ("op_ind", "there are no micro-operations of QEMU's"),
    ("op_plugin", "there are no plugins"),
    ("plugin", "there are no plugins"),
    ("pcall", "it is about x86"),
    ("page", "it is about user mode"),
    ("strace", "it is about user mode"),
    ("tid", "there is one file for all threads"),
    ("vpu", "there are no vector registers but those of fpu"),
    ("invalid_mem", "accesses to nothing are exceptions: say int"),
];

fn trace(r: &mut Reader, option: &'static str, list: &str) -> Result<(), UserError> {
    for name in list.split(',') {
        if let Some((_, why)) = ABSENT.iter().find(|(n, _)| *n == name) {
            return Err(user_error!("'{name}' in {option} is not supported: {why}"));
        }
        if name.starts_with("trace:") {
            return Err(user_error!(
                "'{name}' in {option} is not supported: QEMU's trace events are not there"
            ));
        }
        // Blocks that are told of are never chained.
        if name != "nochain" {
            r.config.trace.add(name).map_err(|e| user_error!("{option}: {e}"))?;
        }
    }
    Ok(())
}

fn ranges(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    r.config.trace.ranges.extend(trace_ranges(text).map_err(|e| user_error!("{option}: {e}"))?);
    Ok(())
}

/// The categories, for `-d help`.
pub(super) fn help(_: Option<&str>) -> Result<String, UserError> {
    Ok(format!("Categories (comma separated):\n{}", trace_help()))
}

fn perf(r: &mut Reader, option: &'static str, file: PerfFile) {
    let file = Given::new(option, file);
    if !r.config.perf.contains(&file) {
        r.config.perf.push(file);
    }
}

fn qtest_log(r: &mut Reader, option: &'static str, file: &str) -> Result<(), UserError> {
    r.qtest_log = match file {
        "none" => QtestLog::Nowhere,
        file => QtestLog::File(HostFile::new(option, file)),
    };
    Ok(())
}

fn gdb(r: &mut Reader, option: &'static str, device: &str) -> Result<(), UserError> {
    let address = device.strip_prefix("tcp:").filter(|a| !a.contains(','));
    let address =
        address.ok_or_else(|| user_error!("'{device}' given with {option} is not tcp:HOST:PORT"))?;
    set(&mut r.config.gdb, option, crate::config::address(option, address)?)
}
