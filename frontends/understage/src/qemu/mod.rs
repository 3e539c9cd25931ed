//! QEMU's spelling of the command line, as `understage qemu ...` or by the name `qemu-system-aarch64`.
//!
//! It covers the options that describe the `virt` board and its devices as far as this machine has them, so that
//! scripts written for QEMU run after a change of one path. Everything else is refused by name.
//!
//! # Invariant
//! An option, or a part of one, is either honoured or refused; nothing is accepted and then ignored. What turns off
//! something that this machine does not have (`-nic none`, `-M acpi=off`) is honoured by that.

mod blockdev;
mod board;
mod chardev;
mod cpu;
mod debug;
mod device;
mod display;
mod drive;
mod global;
mod help;
mod host;
mod json;
mod kernel;
mod memory;
mod network;
mod object;
mod option;
mod semihosting;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::{Flash, GicVersion, HostFile, MachineConfig, Msi, QtestLog};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use option::Action::{OnlyNone, Plain, Print, Refused, Short, Value};

/// What a command line in QEMU's spelling asks for.
#[derive(Debug)]
pub enum Request {
    /// A machine.
    Run(Box<MachineConfig>),
    /// Text to print: help, version.
    Print(String),
}

/// What has been read so far. Some options refer to others that may come later, so the devices are made at the end.
#[derive(Default)]
struct Reader {
    config: MachineConfig,
    /// The board that `-M` named.
    version: Option<board::Version>,
    has_cpu: bool,
    /// What was asked for of the interrupt controller.
    gic: Option<GicVersion>,
    its: Option<bool>,
    msi: Option<Msi>,
    /// `-M iommu=`.
    smmu: Option<board::Generation>,
    nographic: bool,
    /// `-display none`.
    headless: bool,
    nodefaults: bool,
    snapshot: bool,
    bios: Option<HostFile>,
    /// Where `-L` says that files may be.
    data_dirs: Vec<PathBuf>,
    drives: Vec<drive::Drive>,
    blockdevs: Vec<blockdev::Node>,
    /// The nodes that `-M pflash0=` and `pflash1=` name.
    flash_nodes: [Option<String>; 2],
    objects: Vec<object::Object>,
    /// `-M memory-backend=`.
    memory_backend: Option<String>,
    /// `-m` gave a size.
    memory_given: bool,
    cpu_wish: cpu::Wish,
    /// `-qtest-log`.
    qtest_log: QtestLog,
    globals: Vec<global::Global>,
    characters: chardev::Characters,
    devices: Vec<Parts>,
    semihosting: Option<semihosting::Asked>,
}

/// Reads the options; `args` does not include the program's name.
pub fn parse(args: &[OsString]) -> Result<Request, UserError> {
    let mut reader = Reader::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let given = text_of(arg)?;
        // QEMU takes two dashes for one.
        let name = if given.starts_with("--") { &given[1..] } else { given };
        let Some((name, action, _)) = option::find(name) else {
            if name.starts_with('-') {
                return Err(user_error!("the option '{given}' is not supported"));
            }
            drive::disk(&mut reader, "the command line", given)?;
            continue;
        };
        let mut value = || {
            let v = args.next().ok_or_else(|| user_error!("the option {name} needs a value"))?;
            text_of(v)
        };
        match action {
            Plain(f) => f(&mut reader),
            Short(f) => f(&mut reader)?,
            Value(f) => {
                let value = value()?;
                if let Some(text) = help::asked(name, value) {
                    return Ok(Request::Print(text?));
                }
                f(&mut reader, name, value)?;
            }
            OnlyNone(what) => match value()? {
                "none" => {}
                other => return Err(user_error!("'{name} {other}' is not supported: there is no {what}")),
            },
            Refused(why) => return Err(user_error!("'{name}' is not supported: {why}")),
            Print(f) => return Ok(Request::Print(f())),
        }
    }
    reader.finish().map(|c| Request::Run(Box::new(c)))
}

fn text_of(arg: &OsString) -> Result<&str, UserError> {
    arg.to_str().ok_or_else(|| user_error!("'{}' is not valid UTF-8", arg.to_string_lossy()))
}

/// Sets what may be given once.
fn set<T>(slot: &mut Option<T>, option: &str, value: T) -> Result<(), UserError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(user_error!("{option} is given twice")),
    }
}

impl Reader {
    fn new() -> Self {
        let mut config = MachineConfig::default();
        // QEMU's defaults for the board.
        config.virt.virtualization = false;
        config.virt.legacy_mmio = true;
        config.memory = 128 << 20;
        // The clock of the board goes by the host's there.
        config.rtc.follows_host = true;
        Self { config, ..Self::default() }
    }

    fn finish(mut self) -> Result<MachineConfig, UserError> {
        if self.config.empty {
            return board::empty(self);
        }
        let version = self
            .version
            .ok_or_else(|| user_error!("-M is needed: there is no default, and the board is 'virt'"))?;
        if !self.has_cpu {
            return Err(user_error!(
                "-cpu is needed: the board's default is the cortex-a15, a 32-bit processor that no 64-bit program runs on (say -cpu max)"
            ));
        }
        board::compat(&mut self, version)?;
        board::iommu(&mut self, version);
        cpu::finish(&self)?;
        if let Some(id) = self.memory_backend.take() {
            object::board_memory(&mut self, &id)?;
        }
        chardev::build(&mut self)?;
        if let Some(file) = kernel::firmware(&mut self) {
            self.config.flash[0] = Some(Flash { file, readonly: false, snapshot: true });
        }
        device::build(&mut self)?;
        drive::build_rest(&mut self)?;
        object::finish(&self)?;
        semihosting::finish(&mut self)?;
        chardev::finish(&self)?;
        board::interrupt_controller(&mut self)?;
        self.config.check()?;
        Ok(self.config)
    }
}

pub(crate) use self::board::names as boards;
pub(crate) use self::device::{WORDS, add_later, later_parts};

#[cfg(test)]
mod tests;
