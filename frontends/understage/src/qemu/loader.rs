//! `-device loader` and `-device guest-loader`: what else is put into memory before the start.

use super::Reader;
use super::property::Property;
use super::property::Value::{Number, Switch, Text};
use super::property::property;
use crate::config::{Blob, HostFile, Module, ModuleKind};
use crate::error::{UserError, user_error};

/// What `-device loader` was given.
#[derive(Default)]
pub(super) struct Loader {
    file: Option<HostFile>,
    address: Option<u64>,
    raw: bool,
    data: Option<u64>,
    data_len: Option<u64>,
    big_endian: bool,
    cpu: Option<u64>,
}

/// The properties of `loader`.
pub(super) const LOADER: &[Property<Loader>] = &[
    property("id", Text(|_, _| Ok(())), "its name"),
    property("file", Text(|l, f| put(&mut l.file, HostFile::new("-device loader", f))), "file to load"),
    property("addr", Number(|l, n| put(&mut l.address, n)), "where, or where CPU 0 starts"),
    property("force-raw", Switch(|l, on| l.raw = on), "an ELF file is bytes, too"),
    property("data", Number(|l, n| put(&mut l.data, n)), "a value in place of a file"),
    property("data-len", Number(|l, n| put(&mut l.data_len, n)), "its bytes, 1 to 8"),
    property("data-be", Switch(|l, on| l.big_endian = on), "its highest byte comes first"),
    property("cpu-num", Number(|l, n| put(&mut l.cpu, n)), "0: execution starts there"),
];

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), UserError> {
    *slot = Some(value);
    Ok(())
}

impl Loader {
    /// A file or a value into RAM, a start address, or both.
    pub(super) fn build(self, r: &mut Reader) -> Result<(), UserError> {
        let Self { file, address, raw, data, data_len, big_endian, cpu } = self;
        if cpu.is_some_and(|n| n != 0) {
            return Err(user_error!(
                "only CPU 0 runs after a reset: cpu-num in -device loader can only be 0"
            ));
        }
        match (file, data, address) {
            (Some(_), Some(_), _) => {
                return Err(user_error!("-device loader takes file= or data=, not both"));
            }
            (Some(file), None, address) => match (raw, address) {
                (true, None) => return Err(user_error!("{} needs addr=", file.describe())),
                // As QEMU has it: an ELF file goes where it says, anything else to the address.
                (false, None) => r.config.blobs.push(Blob::Elf { file, run: cpu.is_some() }),
                (false, Some(_)) if crate::load::is_elf(&file)? => {
                    r.config.blobs.push(Blob::Elf { file, run: cpu.is_some() });
                }
                (_, Some(address)) => {
                    r.config.blobs.push(Blob::Raw { file, address });
                    set_entry(r, cpu, address)?;
                }
            },
            (None, Some(value), Some(address)) => {
                r.config.blobs.push(Blob::Data { bytes: data_bytes(value, data_len, big_endian)?, address });
            }
            (None, None, Some(address)) if cpu.is_some() => set_entry(r, cpu, address)?,
            _ => {
                return Err(user_error!(
                    "-device loader needs file=, data= with addr=, or addr= with cpu-num=0"
                ));
            }
        }
        Ok(())
    }
}

fn set_entry(r: &mut Reader, cpu: Option<u64>, address: u64) -> Result<(), UserError> {
    if cpu.is_some() && r.config.entry.replace(address).is_some() {
        return Err(user_error!("two -device loader set the start address of CPU 0"));
    }
    Ok(())
}

fn data_bytes(value: u64, len: Option<u64>, big_endian: bool) -> Result<Vec<u8>, UserError> {
    let len = match len {
        Some(n @ 1..=8) => n as usize,
        Some(n) => return Err(user_error!("data-len={n} in -device loader is not 1 to 8")),
        None => return Err(user_error!("data= in -device loader needs data-len=")),
    };
    if len < 8 && value >> (8 * len) != 0 {
        return Err(user_error!("data={value:#x} in -device loader does not fit in {len} bytes"));
    }
    let mut bytes = value.to_le_bytes()[..len].to_vec();
    if big_endian {
        bytes.reverse();
    }
    Ok(bytes)
}

/// What `-device guest-loader` was given.
#[derive(Default)]
pub(super) struct GuestLoader {
    address: Option<u64>,
    kernel: Option<HostFile>,
    initrd: Option<HostFile>,
    bootargs: Option<String>,
}

const GUEST_LOADER: &str = "-device guest-loader";

/// The properties of `guest-loader`.
pub(super) const GUEST: &[Property<GuestLoader>] = &[
    property("id", Text(|_, _| Ok(())), "its name"),
    property("addr", Number(|l, n| put(&mut l.address, n)), "where it goes"),
    property("kernel", Text(|l, f| put(&mut l.kernel, HostFile::new(GUEST_LOADER, f))), "a guest's kernel"),
    property("initrd", Text(|l, f| put(&mut l.initrd, HostFile::new(GUEST_LOADER, f))), "a guest's RAM disk"),
    property("bootargs", Text(|l, t| put(&mut l.bootargs, t.to_owned())), "the kernel's command line"),
];

impl GuestLoader {
    /// A file for a hypervisor that looks for its guests in the devicetree.
    pub(super) fn build(self, r: &mut Reader) -> Result<(), UserError> {
        let address = self.address.ok_or_else(|| user_error!("{GUEST_LOADER} needs addr="))?;
        let (file, kind) = match (self.kernel, self.initrd, self.bootargs) {
            (Some(file), None, bootargs) => (file, ModuleKind::Kernel { bootargs }),
            (None, Some(file), None) => (file, ModuleKind::Ramdisk),
            (None, Some(_), Some(_)) => {
                return Err(user_error!("bootargs in {GUEST_LOADER} are for a kernel, not for initrd="));
            }
            _ => return Err(user_error!("{GUEST_LOADER} needs either kernel= or initrd=")),
        };
        r.config.blobs.push(Blob::Module(Module { file, address, kind }));
        Ok(())
    }
}
