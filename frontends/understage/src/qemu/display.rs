//! What a desktop machine would show: `-display`, `-nographic`, `-vga`. There is no display.

use super::Reader;
use super::option::Action::{OnlyNone, Plain, Value};
use super::option::Row;
use crate::error::UserError;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-nographic", Plain(|r| r.nographic = true), "serial port on the terminal, Ctrl-A x ends"),
    ("-display", Value(display), "none"),
    ("-vga", OnlyNone("display adapter"), "none"),
];

fn display(r: &mut Reader, _: &'static str, what: &str) -> Result<(), UserError> {
    r.headless = true;
    match what {
        "none" => Ok(()),
        _ => Err(user_error!("'-display {what}' is not supported: there is no display")),
    }
}
