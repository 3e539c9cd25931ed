//! Host code on hosts that there is no code generator for: there is never any.

use std::convert::Infallible;

use emu_a64::mode::Mode;
use emu_pe::cpu::Cpu;

use super::observe::{CodeSize, Observers};
use super::{ExitReason, HostCode, UnitBlock};
use crate::interp::cache::Cache;
use crate::interp::uop::Frame;

/// Has no values.
#[cfg_attr(test, allow(unreachable_pub, reason = "re-exported where there is no generator"))]
#[derive(Debug)]
pub enum Native {}

impl HostCode for Native {
    type Unit = Infallible;

    fn new(_: usize, _: u32) -> Option<Self> {
        None
    }

    fn baseline(_: usize, _: u32) -> Option<Self> {
        None
    }

    fn observe(&mut self, _: Observers) {
        match *self {}
    }

    fn size(&self) -> CodeSize {
        match *self {}
    }

    fn has_room(&self) -> bool {
        match *self {}
    }

    fn table_bytes(&self) -> usize {
        match *self {}
    }

    fn begin(&mut self, _: u64) {
        match *self {}
    }

    fn compile(&mut self, _: &[UnitBlock<'_>], _: u64, _: (&Cpu, Mode)) -> Option<Infallible> {
        match *self {}
    }

    fn begin_recording_attempt(unit: &mut Infallible) -> bool {
        match *unit {}
    }

    fn code(&self, _: &Infallible) -> (u64, &[u8]) {
        match *self {}
    }

    fn link(&mut self, _: (u32, usize), _: (u32, &Infallible), _: u64, _: u64) {
        match *self {}
    }

    fn remember(&mut self, _: u64, _: u64, _: &Infallible) {
        match *self {}
    }

    fn finalise_unit(&mut self, _: &mut Infallible) {
        match *self {}
    }

    fn replace(&mut self, _: &Infallible, _: &mut Infallible) {
        match *self {}
    }

    fn enter(&mut self, _: &Infallible, _: &mut Frame, _: &mut Cpu, _: &Cache) -> (ExitReason, u32) {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_host_code() {
        assert!(Native::new(1 << 20, 1).is_none() && Native::baseline(1 << 20, 1).is_none());
    }
}
