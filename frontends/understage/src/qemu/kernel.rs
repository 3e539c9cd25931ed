//! What runs: `-kernel`, `-initrd`, `-append`, `-dtb`, `-bios`, `-fw_cfg`, `-boot`.

use std::path::PathBuf;

use super::option::Action::{Refused, Value};
use super::option::Row;
use super::{Reader, set};
use crate::config::{FwCfgContents, FwCfgFile, Given, HostFile, Kernel};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-kernel", Value(kernel), "FILE: arm64 Image (plain, gzip, EFI zboot), ELF or raw code"),
    ("-initrd", Value(|r, o, v| set(&mut r.config.initrd, o, HostFile::new(o, v))), "FILE: initial RAM disk"),
    ("-append", Value(|r, o, v| set(&mut r.config.append, o, Given::new(o, v))), "TEXT: kernel command line"),
    ("-dtb", Value(|r, o, v| set(&mut r.config.dtb, o, HostFile::new(o, v))), "FILE: devicetree"),
    (
        "-bios",
        Value(|r, o, v| set(&mut r.bios, o, HostFile::new(o, v))),
        "FILE or none: firmware in flash bank 0",
    ),
    ("-L", Value(directory), "DIRECTORY where the file of -bios may be"),
    ("-fw_cfg", Value(fw_cfg), "[name=]NAME,file=FILE|string=TEXT: a file that the guest finds in fw_cfg"),
    ("-boot", Value(boot), "[order=LETTERS][,once=LETTERS][,menu=on|off][,strict=off]: menu is for firmware"),
    ("-shim", Refused("the kernel is started by itself"), ""),
    ("-option-rom", Refused("there are no option ROMs"), ""),
    ("-acpitable", Refused("there are no ACPI tables yet"), ""),
    ("-smbios", Refused("there are no SMBIOS tables yet"), ""),
    ("-prom-env", Refused("there is no OpenFirmware"), ""),
];

fn directory(r: &mut Reader, _: &'static str, path: &str) -> Result<(), UserError> {
    r.data_dirs.push(PathBuf::from(path));
    Ok(())
}

/// The file of `-bios`: where it says, or in a directory of `-L`.
pub(super) fn firmware(r: &mut Reader) -> Option<HostFile> {
    let file = r.bios.take().filter(|f| f.value.as_os_str() != "none")?;
    if file.value.exists() {
        return Some(file);
    }
    let found = r.data_dirs.iter().map(|d| d.join(&file.value)).find(|p| p.exists());
    Some(found.map_or(file.clone(), |path| HostFile::new(file.option, path)))
}

/// The longest name that a file of fw_cfg has (its directory, struct FWCfgFile): 55 bytes and a NUL.
const LONGEST_NAME: usize = 55;

fn fw_cfg(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let name = parts.take_first("name")?.ok_or_else(|| user_error!("{option} needs 'name='"))?;
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(user_error!("the name '{name}' in {option} is not 1 to {LONGEST_NAME} bytes long"));
    }
    let contents = match (parts.take("file")?, parts.take("string")?) {
        (Some(file), None) => FwCfgContents::File(HostFile::new(option, file)),
        (None, Some(text)) => FwCfgContents::Bytes(text.into_bytes()),
        _ => return Err(user_error!("{option} needs either file= or string=")),
    };
    parts.finish("a file of fw_cfg")?;
    if r.config.fw_cfg.iter().any(|f| f.name == name) {
        return Err(user_error!("two {option} have the name '{name}'"));
    }
    r.config.fw_cfg.push(FwCfgFile { name, contents });
    Ok(())
}

/// `-boot`. Firmware chooses what it boots from: on this board the letters reach nobody, in QEMU neither.
fn boot(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let order = parts.take_first("order")?;
    let once = parts.take("once")?;
    for letters in [order, once].into_iter().flatten() {
        if letters.is_empty() || !letters.chars().all(|c| ('a'..='p').contains(&c)) {
            return Err(user_error!("'{letters}' in {option} are no letters of drives"));
        }
    }
    if let Some(menu) = parts.take_switch("menu")? {
        r.config.boot_menu = Some(menu);
    }
    if parts.take_switch("strict")? == Some(true) {
        return Err(user_error!(
            "'strict=on' in {option} is not supported: firmware is given no order of devices"
        ));
    }
    parts.finish("booting")
}

fn kernel(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    set(&mut r.config.kernel, option, Kernel { file: HostFile::new(option, path), raw_allowed: true })
}
