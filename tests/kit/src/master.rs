//! A bare master: CPU 0's 32-bit accesses to the registers of a device.

use emu_core::addr::Size;
use emu_core::bus::{MmioDevice, Requester};

/// Who makes the accesses.
pub const CPU: Requester = Requester::Cpu(0);

/// Reads the register at `offset`.
///
/// # Panics
/// If the device answers with an abort.
pub fn read(device: &(impl MmioDevice + ?Sized), offset: u64) -> u32 {
    let value = device.read(offset, Size::B4, CPU);
    value.unwrap_or_else(|fault| panic!("a read of {} at {offset:#x}: {fault:?}", device.name())) as u32
}

/// Writes the register at `offset`.
///
/// # Panics
/// If the device answers with an abort.
pub fn write(device: &(impl MmioDevice + ?Sized), offset: u64, value: u32) {
    let done = device.write(offset, Size::B4, value.into(), CPU);
    done.unwrap_or_else(|fault| panic!("a write of {} at {offset:#x}: {fault:?}", device.name()));
}
