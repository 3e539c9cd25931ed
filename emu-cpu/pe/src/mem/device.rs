//! Accesses to registers of devices.

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::Requester;
use emu_core::metrics::Metric;

use super::Mem;
use super::translate::{EXTERNAL_ABORT, plain_abort};
use crate::exception::Exception;

impl Mem {
    /// Who makes this vCPU's accesses.
    pub(super) fn requester(&self) -> Requester {
        Requester::Cpu(self.index as u32)
    }

    /// Loads up to 16 bytes at `pa`; `va` is for the syndrome.
    pub(super) fn load_device(&mut self, pa: Pa, va: u64, bytes: u64) -> Result<u128, Exception> {
        if bytes < 16 {
            return self.read_register(pa, va, bytes).map(u128::from);
        }
        let low = self.read_register(pa, va, 8)?;
        Ok(u128::from(self.read_register(pa.offset(8), va.wrapping_add(8), 8)?) << 64 | u128::from(low))
    }

    /// Stores up to 16 bytes.
    pub(super) fn store_device(&mut self, pa: Pa, va: u64, bytes: u64, value: u128) -> Result<(), Exception> {
        if bytes < 16 {
            return self.write_register(pa, va, bytes, value as u64);
        }
        self.write_register(pa, va, 8, value as u64)?;
        self.write_register(pa.offset(8), va.wrapping_add(8), 8, (value >> 64) as u64)
    }

    /// One read.
    pub(super) fn read_register(&mut self, pa: Pa, va: u64, bytes: u64) -> Result<u64, Exception> {
        self.counters.bump(Metric::MmioReads);
        match Size::from_bytes(bytes).map(|size| self.view.read(pa, size, self.requester())) {
            Some(Ok(value)) => Ok(value),
            _ => Err(Exception::Data(plain_abort(va, EXTERNAL_ABORT, false))),
        }
    }

    /// One write.
    pub(super) fn write_register(
        &mut self,
        pa: Pa,
        va: u64,
        bytes: u64,
        value: u64,
    ) -> Result<(), Exception> {
        self.counters.bump(Metric::MmioWrites);
        let done = Size::from_bytes(bytes).map(|size| self.view.write(pa, size, value, self.requester()));
        // A write may have changed the map itself (flash leaving array mode).
        self.refresh_view();
        match done {
            Some(Ok(())) => Ok(()),
            _ => Err(Exception::Data(plain_abort(va, EXTERNAL_ABORT, true))),
        }
    }
}
