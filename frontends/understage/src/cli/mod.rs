//! The command line of our own: `understage run`, `understage qemu`, `understage tour`.

mod devices;
pub mod run;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Check;
use crate::error::{UserError, user_error};

const EXAMPLES: &str = "\
Examples:
  understage                                     the tour: a hypervisor and its guest, explained as they run
  understage run --kernel Image --initrd shell.cpio
  understage io-report --html report.html       what each way to a disk costs, as a table and a page with plots
  understage run --help                          all options of a machine
  understage qemu -M virt,virtualization=on -cpu max -m 2G -nographic -kernel Image
";

/// A full-system AArch64 machine that runs unmodified hypervisors and their guests.
#[derive(Parser, Debug)]
#[command(name = "understage", version, about, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Build a machine and run it
    Run(Box<run::RunArgs>),
    /// The same with QEMU's spelling of the options (also by calling the program qemu-system-aarch64)
    #[command(disable_help_flag = true)]
    Qemu {
        /// Options as qemu-system-aarch64 takes them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
        options: Vec<OsString>,
    },
    /// Read a disk in each way that a guest can have one, and write what each costs: a table, JSON, a page with plots
    IoReport(crate::report::Args),
    /// Show what the machine does, with the hypervisor that is built in
    Tour {
        /// Compare how the machine is executed with another way; lockstep: host code with the interpreter
        #[arg(long, value_name = "HOW", value_parser = ["lockstep"])]
        check: Option<String>,
    },
}

/// What the user wants.
#[derive(Debug)]
pub enum Request {
    /// A machine.
    Run(Box<crate::config::MachineConfig>),
    /// QEMU's spelling.
    Qemu(Vec<OsString>),
    /// The tour.
    Tour(Option<Check>),
    /// What ways of I/O cost.
    IoReport(crate::report::Args),
    /// Text to print: help, version.
    Print(String),
}

/// Reads the command line; `args` includes the program's name.
pub fn parse(args: &[OsString]) -> Result<Request, UserError> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => return Ok(Request::Print(e.render().to_string())),
        Err(e) => return Err(sentence(&e)),
    };
    Ok(match cli.command {
        None => Request::Tour(None),
        Some(Verb::Tour { check }) => Request::Tour(check.map(|_| Check::Lockstep("--check lockstep"))),
        Some(Verb::Qemu { options }) => Request::Qemu(options),
        Some(Verb::IoReport(args)) => Request::IoReport(args),
        Some(Verb::Run(args)) => args.into_request()?,
    })
}

/// The definition of the command line, for documentation and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// clap's message as one line: its first paragraph, and its tips.
fn sentence(e: &clap::Error) -> UserError {
    let text = e.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    let joined: Vec<&str> =
        lines.filter(|l| !l.is_empty() && !l.starts_with("For more information")).collect();
    let joined = joined.join(" ");
    user_error!("{}", joined.strip_prefix("error: ").unwrap_or(&joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn verbs() {
        assert!(matches!(parse(&words("understage")), Ok(Request::Tour(None))));
        assert!(matches!(parse(&words("understage tour")), Ok(Request::Tour(None))));
        let Ok(Request::Qemu(rest)) = parse(&words("understage qemu -M virt -h")) else { panic!() };
        assert_eq!(rest, words("-M virt -h"));
        let Ok(Request::Print(help)) = parse(&words("understage run --help")) else { panic!() };
        assert!(help.contains("Examples:") && help.contains("--virtualization"));
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        let e = parse(&words("understage run --kernle x")).unwrap_err().to_string();
        assert!(e.starts_with("unexpected argument '--kernle' found"), "{e}");
        assert!(e.contains("--kernel") && !e.contains('\n'), "{e}");
        let e = parse(&words("understage run --memory 12")).unwrap_err().to_string();
        assert_eq!(e, "invalid value '12' for '--memory <SIZE>': '12' needs a unit (say 12M or 12G)");
    }
}
