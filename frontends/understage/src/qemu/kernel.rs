//! What runs: `-kernel`, `-initrd`, `-append`, `-dtb`, `-bios`.

use super::option::Action::Value;
use super::option::Row;
use super::{Reader, set};
use crate::config::{Given, HostFile, Kernel};
use crate::error::UserError;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-kernel", Value(kernel), "FILE: arm64 Image (plain, gzip, EFI zboot), ELF or raw code"),
    ("-initrd", Value(|r, o, v| set(&mut r.config.initrd, o, HostFile::new(o, v))), "FILE: initial RAM disk"),
    ("-append", Value(|r, o, v| set(&mut r.config.append, o, Given::new(o, v))), "TEXT: kernel command line"),
    ("-dtb", Value(|r, o, v| set(&mut r.config.dtb, o, HostFile::new(o, v))), "FILE: devicetree"),
    ("-bios", Value(|r, o, v| set(&mut r.bios, o, HostFile::new(o, v))), "FILE: firmware in flash bank 0"),
];

fn kernel(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    set(&mut r.config.kernel, option, Kernel { file: HostFile::new(option, path), raw_allowed: true })
}
