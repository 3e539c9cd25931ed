//! QEMU's spelling of the command line, as `understage qemu ...` or by the name `qemu-system-aarch64`.
//!
//! It covers the options that describe the `virt` board and its devices as far as this machine has them, so that
//! scripts written for QEMU run after a change of one path. Everything else is refused by name.
//!
//! # Invariant
//! An option, or a part of one, is either honoured or refused; nothing is accepted and then ignored. What turns off
//! something that this machine does not have (`-nic none`, `-M acpi=off`) is honoured by that.

mod chardev;
mod device;
mod drive;
mod machine;

use std::ffi::OsString;

use crate::config::{CharBackend, Flash, Given, HostFile, Kernel, MachineConfig, PerfFile};
use crate::error::UserError;
use crate::keyval::Parts;
use crate::user_error;

/// What a command line in QEMU's spelling asks for.
#[derive(Debug)]
pub enum Request {
    /// A machine.
    Run(Box<MachineConfig>),
    /// Text to print: help, version.
    Print(String),
}

/// What has been read so far. Some options refer to others that may come later, so the devices are made at the end.
struct Reader {
    config: MachineConfig,
    /// `-M` named the board.
    has_board: bool,
    has_cpu: bool,
    serial: Option<Serial>,
    nographic: bool,
    /// `-display none`.
    headless: bool,
    nodefaults: bool,
    snapshot: bool,
    bios: Option<HostFile>,
    drives: Vec<drive::Drive>,
    chardevs: Vec<chardev::Chardev>,
    devices: Vec<Parts>,
}

/// What `-serial` says.
enum Serial {
    Backend(CharBackend),
    Chardev(String),
}

/// What is done with an option.
enum Action {
    /// It takes no argument.
    Plain(fn(&mut Reader)),
    /// It takes an argument.
    Value(fn(&mut Reader, &'static str, &str) -> Result<(), UserError>),
    /// It stands for another one with an argument.
    Short(fn(&mut Reader) -> Result<(), UserError>),
    /// Its only meaningful argument is `none`: there is no such thing in this machine.
    OnlyNone(&'static str),
    /// Known, and refused with a reason.
    Refused(&'static str),
    /// Prints a text.
    Print(fn() -> String),
}

use Action::{OnlyNone, Plain, Print, Refused, Short, Value};

/// Every option that is known, with what its help says.
const OPTIONS: &[(&str, Action, &str)] = &[
    (
        "-M",
        Value(machine::board),
        "virt[,virtualization=on|off][,gic-version=3][,its=on|off][,highmem=on|off][,dumpdtb=FILE]",
    ),
    ("-machine", Value(machine::board), "the same"),
    ("-cpu", Value(machine::cpu), "cortex-a72, neoverse-n1 or max[,pauth-qarma5=on]"),
    ("-smp", Value(machine::smp), "[cpus=]N[,sockets=N][,clusters=N][,cores=N]: up to 8 CPUs"),
    ("-m", Value(machine::memory), "[size=]SIZE: RAM, in MiB unless it has a unit"),
    (
        "-accel",
        Value(machine::accel),
        "tcg: whatever executes instructions here, with tb-size=MIB of host code, check=lockstep; interp: the interpreter",
    ),
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
    ("-kernel", Value(kernel), "FILE: arm64 Image (plain, gzip, EFI zboot), ELF or raw code"),
    ("-initrd", Value(|r, o, v| set(&mut r.config.initrd, o, HostFile::new(o, v))), "FILE: initial RAM disk"),
    ("-append", Value(|r, o, v| set(&mut r.config.append, o, Given::new(o, v))), "TEXT: kernel command line"),
    ("-dtb", Value(|r, o, v| set(&mut r.config.dtb, o, HostFile::new(o, v))), "FILE: devicetree"),
    ("-bios", Value(|r, o, v| set(&mut r.bios, o, HostFile::new(o, v))), "FILE: firmware in flash bank 0"),
    ("-pflash", Value(drive::pflash), "FILE: the next flash bank"),
    (
        "-drive",
        Value(drive::drive),
        "file=FILE,if=none|virtio|pflash[,id=][,format=raw|qcow2][,snapshot=on][,readonly=on][,serial=][,unit=]",
    ),
    (
        "-device",
        Value(|r, o, v| {
            r.devices.push(Parts::split(o, v));
            Ok(())
        }),
        "virtio-blk-pci|virtio-blk-device,drive=ID; virtio-rng-*; virtio-serial-* and virtconsole,chardev=ID; loader,...",
    ),
    ("-chardev", Value(chardev::chardev), "stdio|null|file,id=ID[,path=FILE][,mux=on]"),
    ("-serial", Value(serial), "stdio, mon:stdio, null, none, file:FILE or chardev:ID"),
    ("-nographic", Plain(|r| r.nographic = true), "serial port on the terminal, Ctrl-A x ends"),
    ("-display", Value(display), "none"),
    ("-snapshot", Plain(|r| r.snapshot = true), "no disk or flash image is changed"),
    ("-no-reboot", Plain(|r| r.config.no_reboot = true), "end when the guest asks for a reset"),
    ("-nodefaults", Plain(|r| r.nodefaults = true), "no serial port backend unless -serial names one"),
    ("-no-user-config", Plain(|_| ()), "there are no configuration files"),
    ("-monitor", OnlyNone("monitor"), "none"),
    ("-nic", OnlyNone("network"), "none"),
    ("-net", OnlyNone("network"), "none"),
    ("-vga", OnlyNone("display adapter"), "none"),
    ("-parallel", OnlyNone("parallel port"), "none"),
    ("-gdb", Value(gdb), "tcp:[HOST]:PORT: listen for gdb; without HOST only this computer can connect"),
    ("-s", Short(|r| gdb(r, "-s", "tcp:localhost:1234")), "the same as -gdb tcp:localhost:1234"),
    ("-S", Plain(|r| r.config.gdb_wait = Some("-S")), "wait for the debugger before the first instruction"),
    ("-qmp", Refused("QMP is not there yet"), ""),
    ("-enable-kvm", Refused("instructions are executed in software only"), ""),
    ("-netdev", Refused("there is no network yet"), ""),
    ("-version", Print(version), "version"),
    ("-h", Print(help), "this text"),
    ("-help", Print(help), "this text"),
];

fn version() -> String {
    format!("understage {} (QEMU's spelling of the command line)\n", env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    let mut text = String::from(
        "usage: understage qemu OPTION...    (or call the program qemu-system-aarch64)\n\n\
         Options of qemu-system-aarch64 that this machine takes; any other is refused. The interrupt controller is\n\
         always a GICv3, and there are no default devices but the board's own.\n\n",
    );
    for (name, action, about) in OPTIONS {
        if !matches!(action, Refused(_)) {
            text.push_str(&format!("  {name:<16}{about}\n"));
        }
    }
    text.push_str(
        "\nExample:\n  understage qemu -M virt,virtualization=on -cpu max -smp 2 -m 2G -nographic -no-reboot \\\n    \
         -kernel Image -initrd shell.cpio -append console=ttyAMA0 \\\n    \
         -drive if=none,id=d0,file=disk.img,format=raw,snapshot=on -device virtio-blk-pci,drive=d0\n",
    );
    text
}

/// Reads the options; `args` does not include the program's name.
pub fn parse(args: &[OsString]) -> Result<Request, UserError> {
    let mut reader = Reader::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let given = text_of(arg)?;
        // QEMU takes two dashes for one.
        let name = if given.starts_with("--") { &given[1..] } else { given };
        let Some((name, action, _)) = OPTIONS.iter().find(|(n, ..)| *n == name) else {
            return Err(match name.starts_with('-') {
                true => user_error!("the option '{given}' is not supported"),
                false => user_error!("'{given}' is not an option (a disk is given with -drive)"),
            });
        };
        let mut value = || {
            let v = args.next().ok_or_else(|| user_error!("the option {name} needs a value"))?;
            text_of(v)
        };
        match action {
            Plain(f) => f(&mut reader),
            Short(f) => f(&mut reader)?,
            Value(f) => f(&mut reader, name, value()?)?,
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

fn kernel(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    set(&mut r.config.kernel, option, Kernel { file: HostFile::new(option, path), raw_allowed: true })
}

fn display(r: &mut Reader, _: &'static str, what: &str) -> Result<(), UserError> {
    r.headless = true;
    match what {
        "none" => Ok(()),
        _ => Err(user_error!("'-display {what}' is not supported: there is no display")),
    }
}

fn serial(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let serial = match text.strip_prefix("chardev:") {
        Some(id) => Serial::Chardev(id.to_owned()),
        None => Serial::Backend(chardev::backend(option, text)?),
    };
    if r.serial.replace(serial).is_some() {
        return Err(user_error!("a second -serial is not supported: the board has one serial port"));
    }
    Ok(())
}

impl Reader {
    fn new() -> Self {
        let mut config = MachineConfig::default();
        // QEMU's defaults for the board.
        config.virt.virtualization = false;
        config.memory = 128 << 20;
        Self {
            config,
            has_board: false,
            has_cpu: false,
            serial: None,
            nographic: false,
            headless: false,
            nodefaults: false,
            snapshot: false,
            bios: None,
            drives: Vec::new(),
            chardevs: Vec::new(),
            devices: Vec::new(),
        }
    }

    fn finish(mut self) -> Result<MachineConfig, UserError> {
        if !self.has_board {
            return Err(user_error!("-M is needed: the board is 'virt'"));
        }
        if !self.has_cpu {
            return Err(user_error!("-cpu is needed: the board's default, a 32-bit processor, is not there"));
        }
        self.config.serial = match self.serial.take() {
            Some(Serial::Backend(b)) => b,
            Some(Serial::Chardev(id)) => chardev::take(&mut self.chardevs, &id, "-serial")?,
            None if self.nodefaults || self.headless && !self.nographic => CharBackend::Null,
            None => CharBackend::Stdio { escapes: true },
        };
        if let Some(file) = self.bios.take() {
            self.config.flash[0] = Some(Flash { file, readonly: false, snapshot: true });
        }
        let devices = std::mem::take(&mut self.devices);
        device::build(&mut self, devices)?;
        drive::build_rest(&mut self)?;
        if let Some(c) = self.chardevs.first() {
            return Err(user_error!("the character device '{}' is not used by anything", c.id));
        }
        self.config.check()?;
        Ok(self.config)
    }
}

#[cfg(test)]
mod tests;
