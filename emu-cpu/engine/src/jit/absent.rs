//! The same interface on hosts that there is no code generator for: there is never any host code.

use emu_a64::mode::Mode;
use emu_pe::cpu::Cpu;

use super::UnitBlock;
use super::observe::{Observers, Size};
use crate::interp::cache::Cache;
use crate::interp::uop::Frame;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub enum CompiledUnit {}

#[allow(missing_docs, reason = "see the other version")]
impl CompiledUnit {
    pub fn begin_recording_attempt(&mut self) -> bool {
        match *self {}
    }
}

/// See the other version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "see the other version")]
pub enum ExitReason {
    Exit(usize),
    Indirect,
    End,
    Event,
    Fault,
    LoopCandidate,
}

/// There is none.
pub enum Native {}

#[allow(missing_docs, reason = "see the other version")]
impl Native {
    #[must_use]
    pub fn new(_: usize, _: u32) -> Option<Self> {
        None
    }

    /// See `new`.
    #[must_use]
    pub fn baseline(_: usize, _: u32) -> Option<Self> {
        None
    }
    pub fn observe(&mut self, _: Observers) {
        match *self {}
    }
    #[must_use]
    pub fn size(&self) -> Size {
        match *self {}
    }
    #[must_use]
    pub fn has_room(&self) -> bool {
        match *self {}
    }
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        match *self {}
    }
    pub fn begin(&mut self, _: u64) {
        match *self {}
    }
    pub fn compile(&mut self, _: &[UnitBlock<'_>], _: u64, _: (&Cpu, Mode)) -> Option<CompiledUnit> {
        match *self {}
    }
    #[must_use]
    pub fn code(&self, _: &CompiledUnit) -> (u64, &[u8]) {
        match *self {}
    }
    pub fn link(&mut self, _: (u32, usize), _: (u32, &CompiledUnit), _: u64, _: u64) {
        match *self {}
    }
    pub fn finalise_unit(&mut self, unit: &mut CompiledUnit) {
        match *unit {}
    }
    pub fn remember(&mut self, _: u64, _: u64, _: &CompiledUnit) {
        match *self {}
    }
    pub fn replace(&mut self, _: &CompiledUnit, _: &mut CompiledUnit) {
        match *self {}
    }
    pub fn enter(&mut self, _: &CompiledUnit, _: &mut Frame, _: &mut Cpu, _: &Cache) -> (ExitReason, u32) {
        match *self {}
    }
    #[must_use]
    pub fn salt(_: u64) -> u32 {
        0
    }
    #[must_use]
    pub fn key(_: u64, _: Mode) -> u64 {
        0
    }
}

/// Files for `perf`: there is nothing to write to them.
#[allow(missing_docs, reason = "see the other version")]
pub mod perf {
    use std::io;
    use std::path::{Path, PathBuf};

    use crate::jit::observe::{Listener, What};

    macro_rules! absent {
        ($name:ident) => {
            pub enum $name {}

            impl $name {
                #[must_use]
                pub fn path() -> PathBuf {
                    PathBuf::new()
                }
                pub fn create(_: &Path) -> io::Result<Self> {
                    Err(io::ErrorKind::Unsupported.into())
                }
            }

            impl Listener for $name {
                fn made(&self, _: u64, _: &[u8], _: What) {
                    match *self {}
                }
            }
        };
    }

    absent!(Map);
    absent!(Dump);
}
