//! What a row of the options' tables is. Each group of options has its table in the file that reads them.

use super::Reader;
use crate::error::UserError;

/// An option: its name, what is done with it, and what the help says. One that is refused has no help.
pub(super) type Row = (&'static str, Action, &'static str);

/// What is done with an option.
pub(super) enum Action {
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

/// A group of options, with its heading in the help.
pub(super) struct Group {
    /// The heading.
    pub(super) title: &'static str,
    /// The options.
    pub(super) options: &'static [Row],
}

const fn group(title: &'static str, options: &'static [Row]) -> Group {
    Group { title, options }
}

/// Every option that is known.
pub(super) const GROUPS: &[Group] = &[
    group("Board", super::board::OPTIONS),
    group("Processors", super::cpu::OPTIONS),
    group("Memory", super::memory::OPTIONS),
    group("What runs", super::kernel::OPTIONS),
    group("Disks and flash", super::drive::OPTIONS),
    group("Devices", super::device::OPTIONS),
    group("Properties of all devices", super::global::OPTIONS),
    group("Objects", super::object::OPTIONS),
    group("Characters", super::chardev::OPTIONS),
    group("Display", super::display::OPTIONS),
    group("Network", super::network::OPTIONS),
    group("Debugging", super::debug::OPTIONS),
    group("Calls to the host", super::semihosting::OPTIONS),
    group("The host", super::host::OPTIONS),
    group("Help", super::help::OPTIONS),
];

/// The option called `name`.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    GROUPS.iter().flat_map(|g| g.options).find(|(n, ..)| *n == name)
}
