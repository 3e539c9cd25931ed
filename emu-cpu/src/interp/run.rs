//! Running one block after another, by the interpreter or as host code.

use emu_core::metrics::Metric;

use super::cache::Cache;
use super::exec::{self, End};
use super::uop::{Frame, Uop};
use crate::cpu::Cpu;
use crate::exception::Exception;
use crate::jit::{Left, Native};
use crate::lower::Mode;

/// How control came to an address: what can be remembered when its block is known.
#[derive(Clone, Copy)]
pub(super) enum Came {
    /// Nothing to remember.
    Anywhere,
    /// Through exit `n` of block `from`, under this serial and epoch.
    ByExit { serial: u64, epoch: u64, from: u32, n: usize },
    /// By an indirect branch to this address.
    ByTarget(u64),
}

/// A vCPU in its fast loop.
pub(super) struct Blocks<'a> {
    pub cpu: &'a mut Cpu,
    pub frame: &'a mut Frame,
    pub cache: &'a mut Cache,
    pub native: Option<&'a mut Native>,
    pub mode: Mode,
    pub came: Came,
}

impl Blocks<'_> {
    /// The block at `pc`, remembered where control came from.
    #[inline]
    pub(super) fn find(&mut self, pc: u64) -> Result<u32, Exception> {
        let index = self.cache.find(self.cpu, pc, self.mode)?;
        if let Came::ByExit { serial, epoch, from, n } = self.came
            && serial == self.cpu.mem.serial()
        {
            self.cache.link(epoch, from, n, serial, index);
        }
        self.link_native(pc, index);
        Ok(index)
    }

    /// Where host code led to `pc` and its block `index` has host code, too, the way is made direct.
    #[inline]
    pub(super) fn link_native(&mut self, pc: u64, index: u32) {
        let came = std::mem::replace(&mut self.came, Came::Anywhere);
        if let Some(native) = &mut self.native
            && let Some(to) = self.cache.get(index).filter(|b| b.is_native).and_then(|b| b.native)
        {
            let serial = self.cpu.mem.serial();
            let key = Native::key(serial, self.mode);
            match came {
                Came::ByExit { serial: then, epoch, from, n } if then == serial && epoch == self.cache.epoch() => {
                    if let Some(from) = self.cache.get(from).filter(|b| b.is_native)
                        && let Some(host) = from.native
                    {
                        let start = pc.wrapping_sub(from.code.exits[n & 1].rel as u64);
                        native.link(&host, n, &to, start & !0xfff, key);
                    }
                }
                Came::ByTarget(target) if target == pc => Native::remember(&mut self.frame.jit, pc, key, &to),
                _ => {}
            }
        }
    }

    /// Runs block `index`, which stands at `pc`, and maybe more; gives the end of the last one, whose number and address
    /// are then in `index` and `pc`. `None`: nothing was left to do but going on at `pc`.
    #[inline]
    pub(super) fn run(&mut self, index: &mut u32, pc: &mut u64) -> Option<End> {
        let block = self.cache.get(*index)?;
        if self.native.is_some() && (block.is_native || self.warm(*index)) {
            return self.run_native(index, pc);
        }
        let code = &self.cache.get(*index)?.code;
        self.cpu.counters.bump_by(Metric::Instructions, code.words.len() as u64);
        self.cpu.counters.bump(Metric::Blocks);
        Some(exec::run(code, *pc, self.frame, self.cpu))
    }

    /// Counts a run of a block that is not compiled; compiles it when it was run often enough. True if it was compiled.
    fn warm(&mut self, index: u32) -> bool {
        let (Some(native), Some(block)) = (&mut self.native, self.cache.get_mut(index)) else { return false };
        block.cold = block.cold.saturating_sub(1);
        if block.cold != 0 {
            return false;
        }
        if !native.has_room() {
            native.clear(&mut self.frame.jit);
            self.cache.clear();
            return false;
        }
        let valid = self.cpu.mem.shared.code.validity(block.page, block.generation);
        let place = (&*self.cpu, self.mode);
        let Some(made) = native.compile(&block.code, index, block.offset() as u32, valid, place) else {
            // It stays with the interpreter.
            block.cold = u8::MAX;
            return false;
        };
        if let Some(old) = block.native.replace(made) {
            native.replace(&old, &made);
        }
        block.is_native = true;
        true
    }

    #[inline]
    fn run_native(&mut self, index: &mut u32, pc: &mut u64) -> Option<End> {
        let native = self.native.as_mut()?;
        let entry = self.cache.get(*index)?.native?;
        self.frame.jit.page = *pc & !0xfff;
        self.frame.jit.key = Native::key(self.cpu.mem.serial(), self.mode);
        self.cpu.counters.bump(Metric::Blocks);
        let (left, last) = native.enter(&entry, self.frame, self.cpu, self.cache);
        let block = self.cache.get(last)?;
        *index = last;
        *pc = self.frame.jit.page + block.offset();
        Some(match left {
            Left::Exit(n) => End::Exit(n),
            Left::Indirect => End::Indirect(self.frame.jit.target),
            Left::Event => return None,
            Left::Fault => End::Fault(self.frame.jit.fault.take()?, self.frame.jit.at_insn as u16),
            Left::End => match *block.code.uops.last()? {
                Uop::Exception(e) => End::Exception(e),
                Uop::Leave { kind } => End::Leave(kind),
                _ => return None,
            },
        })
    }
}
