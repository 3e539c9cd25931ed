//! Understage: a full-system AArch64 machine that runs unmodified hypervisors and their guests.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cli`], [`qemu`] | the two spellings of the command line; both give a [`config::MachineConfig`] |
//! | [`config`] | what machine to build, as plain data |
//! | [`load`] | from files to what is in RAM and flash at the start |
//! | [`device`] | the kinds of devices: a row for each |
//! | [`fdt`], [`devicetree`] | devicetrees: making and changing one; the board's own |
//! | [`ledger`] | what CPUs and devices did, by cause and phase |
//! | [`launch`] | a machine from its configuration to its end |
//! | [`end`], [`quit`] | how the process ends, whatever the reason, and with which status |
//! | [`out`], [`log`] | what the program itself says |
//! | [`gdb`] | the stub that debuggers connect to |
//! | [`timeline`] | what happened when, for Perfetto |
//! | [`tracefile`] | where it goes what is told of what the machine does |
//! | [`process`] | the program as a process of the host |
//! | [`map`] | the memory map and interrupt numbers |
//! | [`board`] | who is plugged in where |
//! | [`power`] | which CPUs are on, and whether the machine runs |
//! | [`semihosting`] | calls of programs to the host |
//! | [`terminal`], [`character`] | the user's terminal and the other ends of serial ports |
//! | [`network`] | the other ends of network cables |
//! | [`monitor`] | commands for the machine that are typed at a prompt |
//! | [`report`] | what ways of I/O cost, measured in the tour and written down |
//! | [`tour`] | the built-in hypervisor, run and measured |

#![forbid(unsafe_code)]

pub mod board;
pub mod character;
pub mod cli;
pub mod config;
pub mod device;
pub mod devicetree;
pub mod end;
pub mod error;
pub mod fdt;
pub mod file;
pub mod gdb;
pub mod keyval;
pub mod launch;
pub mod ledger;
pub mod load;
pub mod log;
pub mod map;
pub mod monitor;
pub mod network;
pub mod number;
pub mod out;
pub mod power;
pub mod process;
pub mod property;
pub mod qemu;
pub mod qmp;
pub mod qtest;
pub mod quit;
pub mod report;
pub mod semihosting;
pub mod terminal;
pub mod timeline;
pub mod tour;
pub mod tracefile;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use error::UserError;
use quit::STATUS_USAGE;

/// The name under which the program takes QEMU's options.
const QEMU_NAME: &str = "qemu-system-aarch64";

/// The whole program; `args` includes its name.
pub fn main(args: &[OsString]) -> ! {
    end::prepare();
    let status = dispatch(args).unwrap_or_else(|e| {
        terminal::raw::restore();
        out::say(&format!("{}: {e}\n", out::speaker()));
        STATUS_USAGE
    });
    end::leave(status)
}

/// Does what `args` say; gives the exit status.
fn dispatch(args: &[OsString]) -> Result<u8, UserError> {
    let called = args.first().and_then(|a| Path::new(a).file_name());
    if called == Some(OsStr::new(QEMU_NAME)) {
        return qemu_spelling(&args[1..]);
    }
    match cli::parse(args)? {
        cli::Request::Run(config) => launch::run(&config),
        cli::Request::Qemu(options) => qemu_spelling(&options),
        cli::Request::Tour(check) => tour::run(check),
        cli::Request::IoReport(args) => report::run(&args),
        cli::Request::Print(text) => Ok(out::print(&text)),
    }
}

fn qemu_spelling(options: &[OsString]) -> Result<u8, UserError> {
    match qemu::parse(options)? {
        qemu::Request::Run(config) => launch::run(&config),
        qemu::Request::Print(text) => Ok(out::print(&text)),
    }
}
