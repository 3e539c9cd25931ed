//! Looking at what runs: `-gdb`, `-s`, `-S`, and files for `perf`.

use super::option::Action::{Plain, Refused, Short, Value};
use super::option::Row;
use super::{Reader, set};
use crate::config::{Given, PerfFile};
use crate::error::UserError;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-gdb", Value(gdb), "tcp:[HOST]:PORT: listen for gdb; without HOST only this computer can connect"),
    ("-s", Short(|r| gdb(r, "-s", "tcp:localhost:1234")), "the same as -gdb tcp:localhost:1234"),
    ("-S", Plain(|r| r.config.gdb_wait = Some("-S")), "wait for the debugger before the first instruction"),
    ("-trace", Refused("QEMU's trace events are not there; -d and --log say what happens"), ""),
    ("-plugin", Refused("there are no plugins"), ""),
    ("-qtest", Refused("devices are driven by the CPUs only"), ""),
    ("-record", Refused("machines are not recorded"), ""),
    (
        "-perfmap",
        Plain(|r| perf(r, "-perfmap", PerfFile::Map)),
        "write /tmp/perf-PID.map, from which 'perf report' names translated code",
    ),
    (
        "-jitdump",
        Plain(|r| perf(r, "-jitdump", PerfFile::Dump)),
        "write jit-PID.dump, for 'perf record -k mono' and 'perf inject --jit'",
    ),
];

fn perf(r: &mut Reader, option: &'static str, file: PerfFile) {
    let file = Given::new(option, file);
    if !r.config.perf.contains(&file) {
        r.config.perf.push(file);
    }
}

fn gdb(r: &mut Reader, option: &'static str, device: &str) -> Result<(), UserError> {
    let address = device.strip_prefix("tcp:").filter(|a| !a.contains(','));
    let address =
        address.ok_or_else(|| user_error!("'{device}' given with {option} is not tcp:HOST:PORT"))?;
    set(&mut r.config.gdb, option, crate::gdb::address(option, address)?)
}
