//! `-device loader` and `-device guest-loader`: what else is put into memory before the start. They are no devices.

use super::kind::{Given, Model, Row};
use crate::config::{Blob, HostFile, MachineConfig, Module, ModuleKind, Settings};
use crate::error::{UserError, user_error};
use crate::property::Value::{Number, Switch, Text};
use crate::property::{Property, property};

/// What `-device loader` was given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loader {
    file: Option<HostFile>,
    address: Option<u64>,
    raw: bool,
    data: Option<u64>,
    data_len: Option<u64>,
    big_endian: bool,
    cpu: Option<u64>,
}

impl Settings for Loader {}

/// The row of `loader`.
pub static LOADER: Row<Loader> = Row {
    name: "loader",
    about: "a file or a value in memory, and where CPU 0 starts",
    given: Given::Qemu,
    option: None,
    properties: LOADER_PROPERTIES,
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Memory(Loader::add),
};

const LOADER_PROPERTIES: &[Property<Loader>] = &[
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
    fn add(self, machine: &mut MachineConfig) -> Result<(), UserError> {
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
                (false, None) => machine.blobs.push(Blob::Elf { file, run: cpu.is_some() }),
                (false, Some(_)) if crate::file::is_elf(&file)? => {
                    machine.blobs.push(Blob::Elf { file, run: cpu.is_some() });
                }
                (_, Some(address)) => {
                    machine.blobs.push(Blob::Raw { file, address });
                    set_entry(machine, cpu, address)?;
                }
            },
            (None, Some(value), Some(address)) => {
                machine.blobs.push(Blob::Data { bytes: data_bytes(value, data_len, big_endian)?, address });
            }
            (None, None, Some(address)) if cpu.is_some() => set_entry(machine, cpu, address)?,
            _ => {
                return Err(user_error!(
                    "-device loader needs file=, data= with addr=, or addr= with cpu-num=0"
                ));
            }
        }
        Ok(())
    }
}

fn set_entry(machine: &mut MachineConfig, cpu: Option<u64>, address: u64) -> Result<(), UserError> {
    if cpu.is_some() && machine.entry.replace(address).is_some() {
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GuestLoader {
    address: Option<u64>,
    kernel: Option<HostFile>,
    initrd: Option<HostFile>,
    bootargs: Option<String>,
}

const GUEST: &str = "-device guest-loader";

impl Settings for GuestLoader {}

/// The row of `guest-loader`.
pub static GUEST_LOADER: Row<GuestLoader> = Row {
    name: "guest-loader",
    about: "a hypervisor's guest in memory, with its node in the devicetree",
    given: Given::Qemu,
    option: None,
    properties: GUEST_PROPERTIES,
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Memory(GuestLoader::add),
};

const GUEST_PROPERTIES: &[Property<GuestLoader>] = &[
    property("addr", Number(|l, n| put(&mut l.address, n)), "where it goes"),
    property("kernel", Text(|l, f| put(&mut l.kernel, HostFile::new(GUEST, f))), "a guest's kernel"),
    property("initrd", Text(|l, f| put(&mut l.initrd, HostFile::new(GUEST, f))), "a guest's RAM disk"),
    property("bootargs", Text(|l, t| put(&mut l.bootargs, t.to_owned())), "the kernel's command line"),
];

impl GuestLoader {
    /// A file for a hypervisor that looks for its guests in the devicetree.
    fn add(self, machine: &mut MachineConfig) -> Result<(), UserError> {
        let address = self.address.ok_or_else(|| user_error!("{GUEST} needs addr="))?;
        let (file, kind) = match (self.kernel, self.initrd, self.bootargs) {
            (Some(file), None, bootargs) => (file, ModuleKind::Kernel { bootargs }),
            (None, Some(file), None) => (file, ModuleKind::Ramdisk),
            (None, Some(_), Some(_)) => {
                return Err(user_error!("bootargs in {GUEST} are for a kernel, not for initrd="));
            }
            _ => return Err(user_error!("{GUEST} needs either kernel= or initrd=")),
        };
        machine.blobs.push(Blob::Module(Module { file, address, kind }));
        Ok(())
    }
}
