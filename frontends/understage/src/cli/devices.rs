//! The options of `understage run` that add devices: one for each kind that has one of its own, and `--device` for all. What
//! they are called and what they take is in the rows of [`crate::device`].

use std::ffi::OsStr;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{CharBackend, Device, Disk, DiskFormat, HostFile, Label, MachineConfig, Netdev};
use crate::device;
use crate::device::kind::Shape;
use crate::device::line::{CommandLine, Words};
use crate::device::plug::Plug;
use crate::error::{UserError, user_error};
use crate::keyval::Parts;

const OPTION: &str = "--device";
/// The option's name without its dashes.
const LONG: &str = "device";
const ABOUT: &str = "Add a device (repeatable): NAME[,PROPERTY=VALUE...]; 'help' lists them, 'NAME,help' the properties of one";

/// What properties refer to, in this spelling.
static WORDS: Words = Words {
    qemu: false,
    drive: Some("the image; its format=raw|qcow2, readonly and snapshot can stand beside it"),
    characters: Some("where the port goes, as --serial says it"),
    random: Some("a file that gives random bytes; else the host's generator is asked"),
    thread: None,
    network: Some("the id of a --netdev"),
};

/// What was given, by option.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceArgs {
    /// Values of the options of single kinds, in the order of the kinds.
    single: Vec<(&'static str, Vec<String>)>,
    /// Values of `--device`.
    any: Vec<String>,
}

/// The name of an option without its dashes.
fn long(shape: &Shape) -> &'static str {
    shape.name.trim_start_matches('-')
}

fn argument(long: &'static str, about: &'static str) -> Arg {
    Arg::new(long).long(long).help(about).help_heading("Devices")
}

impl Args for DeviceArgs {
    fn augment_args(command: Command) -> Command {
        let any = argument(LONG, ABOUT).value_name("NAME[,...]").action(ArgAction::Append);
        let single = device::options().map(|(_, shape)| {
            let argument = argument(long(&shape), shape.about);
            match shape.value {
                None => argument.action(ArgAction::SetTrue),
                Some(value) if shape.many => argument.value_name(value).action(ArgAction::Append),
                Some(value) => argument.value_name(value).action(ArgAction::Set),
            }
        });
        command.args(single).arg(any)
    }
    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DeviceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut this = Self::default();
        this.update_from_arg_matches(matches)?;
        Ok(this)
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let values = |long: &str| -> Vec<String> {
            matches.get_many::<String>(long).into_iter().flatten().cloned().collect()
        };
        let of = |shape: Shape| match shape.value {
            None => (shape.name, vec![String::new(); usize::from(matches.get_flag(long(&shape)))]),
            Some(_) => (shape.name, values(long(&shape))),
        };
        self.single = device::options().map(|(_, shape)| of(shape)).collect();
        self.any = values(LONG);
        Ok(())
    }
}

impl DeviceArgs {
    /// The text that is asked for with `--device help` or `--device NAME,help`.
    pub(super) fn help(&self) -> Option<Result<String, UserError>> {
        self.any.iter().find_map(|text| {
            if text == "help" {
                return Some(Ok(device::list(&WORDS)));
            }
            let name = text.strip_suffix(",help")?;
            Some(device::find(&WORDS, OPTION, name).map(|driver| driver.help(&WORDS)))
        })
    }

    /// The devices, which may have these back ends.
    pub(super) fn devices(self, network: Vec<Netdev>) -> Result<Vec<Device>, UserError> {
        let mut machine = Machine(MachineConfig { network, ..MachineConfig::default() });
        for ((kind, _), (option, values)) in device::options().zip(&self.single) {
            values.iter().try_for_each(|value| kind.add_by_option(option, value, &mut machine))?;
        }
        for text in &self.any {
            let mut parts = Parts::split(OPTION, text);
            let name = parts.take_first("driver")?.ok_or_else(|| user_error!("{OPTION} needs a device"))?;
            device::find(&WORDS, OPTION, &name)?.add(parts, &mut machine)?;
        }
        Ok(machine.0.devices)
    }
}

/// A machine that gets devices.
struct Machine(MachineConfig);

impl CommandLine for Machine {
    fn words(&self) -> &'static Words {
        &WORDS
    }
    fn machine(&mut self) -> &mut MachineConfig {
        &mut self.0
    }
    fn plug(&self, option: &'static str) -> Plug {
        Plug::new(option, true)
    }
    fn drive(&mut self, name: &str, rest: &mut Parts, _: &str) -> Result<Disk, UserError> {
        Ok(Disk {
            id: Label::default(),
            file: HostFile::new(rest.option(), OsStr::new(name)),
            format: rest.take_with("format", DiskFormat::from_name)?,
            readonly: rest.take_switch("readonly")?.unwrap_or(false),
            snapshot: rest.take_switch("snapshot")?.unwrap_or(false),
        })
    }
    fn characters(&mut self, name: &str, rest: &mut Parts, _: &str) -> Result<CharBackend, UserError> {
        CharBackend::from_text(rest.option(), name)
    }
    fn random(&mut self, name: &str, rest: &mut Parts, _: &str) -> Result<Option<HostFile>, UserError> {
        Ok(Some(HostFile::new(rest.option(), name)))
    }
    fn thread(&mut self, name: &str, user: &str) -> Result<(), UserError> {
        Err(user_error!("there is no thread '{name}' for {user}"))
    }
}
