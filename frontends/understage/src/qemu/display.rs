//! What a desktop machine would show: `-display`, `-nographic`, `-vga`, `-audio`. There is no display and no sound.

use super::Reader;
use super::option::Action::{OnlyNone, Plain, Refused, Value};
use super::option::Row;
use crate::error::{UserError, user_error};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-nographic", Plain(|r| r.nographic = true), "serial port on the terminal, Ctrl-A x ends"),
    ("-display", Value(display), "none"),
    ("-vga", OnlyNone("display adapter"), "none"),
    ("-vnc", OnlyNone("display"), "none"),
    ("-spice", Refused("there is no display"), ""),
    ("-full-screen", Refused("there is no display"), ""),
    ("-audiodev", Value(audio), "none[,id=ID]"),
    ("-audio", Value(audio), "none"),
    ("-usb", Refused("there is no USB"), ""),
    ("-usbdevice", Refused("there is no USB"), ""),
];

fn display(r: &mut Reader, _: &'static str, what: &str) -> Result<(), UserError> {
    r.headless = true;
    match what {
        "none" => Ok(()),
        _ => Err(user_error!("'-display {what}' is not supported: there is no display")),
    }
}

fn audio(_: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    match text.split(',').next() {
        Some("none" | "driver=none") => Ok(()),
        _ => Err(user_error!("'{option} {text}' is not supported: there is no sound")),
    }
}
