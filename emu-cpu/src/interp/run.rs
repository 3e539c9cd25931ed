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

/// Where a vCPU is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Address of the block that runs, or is looked for.
    pub pc: u64,
    /// Its number.
    pub index: u32,
    /// PSTATE.BTYPE at its first instruction.
    pub landed: u8,
}

/// A vCPU in its fast loop.
pub(super) struct Blocks<'a> {
    pub cpu: &'a mut Cpu,
    pub frame: &'a mut Frame,
    pub cache: &'a mut Cache,
    pub native: Option<&'a mut Native>,
    /// With PSTATE.BTYPE of the block that is looked for.
    pub mode: Mode,
    pub came: Came,
}

impl Blocks<'_> {
    /// Finds the block at an address, and remembers where control came from.
    #[inline]
    pub(super) fn find(&mut self, at: &mut Place) -> Result<(), Exception> {
        at.index = self.cache.find(self.cpu, at.pc, self.mode)?;
        if let Came::ByExit { serial, epoch, from, n } = self.came
            && serial == self.cpu.mem.serial()
        {
            self.cache.link(epoch, from, n, serial, at.index);
        }
        self.link_native(at);
        at.landed = self.mode.btype;
        if at.landed != 0 {
            // The first instruction resets it; should it not complete, that is taken back.
            self.cpu.pstate.btype = 0;
            self.mode = self.cpu.mode();
        }
        Ok(())
    }

    /// An indirect branch, from wherever the vCPU is.
    #[inline]
    pub(super) fn branch(&mut self, at: &mut Place, target: u64, btype: u8) {
        self.came = Came::ByTarget(target);
        at.pc = self.cpu.branch_address(target);
        if btype != 0 {
            self.cpu.pstate.btype = btype;
            self.mode = self.cpu.mode();
        }
    }

    /// Where host code led to a block that has host code, too, the way is made direct.
    #[inline]
    pub(super) fn link_native(&mut self, at: &Place) {
        let came = std::mem::replace(&mut self.came, Came::Anywhere);
        if let Some(native) = &mut self.native
            && let Some(to) = self.cache.get(at.index).filter(|b| b.is_native)
            // A way inside a page leads behind the check of the generation.
            && to.generation == self.cpu.mem.shared.code.generation(to.page)
            && let Some(to) = to.native
        {
            let serial = self.cpu.mem.serial();
            let key = Native::key(serial, self.mode);
            match came {
                Came::ByExit { serial: then, epoch, from, n }
                    if then == serial && epoch == self.cache.epoch() =>
                {
                    if let Some(from) = self.cache.get(from).filter(|b| b.is_native)
                        && let Some(host) = from.native
                    {
                        let start = at.pc.wrapping_sub(from.code.exits[n & 1].rel as u64);
                        native.link(&host, n, &to, start & !0xfff, key);
                    }
                }
                Came::ByTarget(target) if target == at.pc => {
                    Native::remember(&mut self.frame.jit, target, key, &to);
                }
                _ => {}
            }
        }
    }

    /// Runs the block, and maybe more; gives the end of the last one, which is then the place. `None`: nothing was left
    /// to do but going on at its address.
    #[inline]
    pub(super) fn run(&mut self, at: &mut Place) -> Option<End> {
        let block = self.cache.get(at.index)?;
        if self.native.is_some() && (block.is_native || self.warm(at.index)) {
            return self.run_native(at);
        }
        let code = &self.cache.get(at.index)?.code;
        self.cpu.counters.bump_by(Metric::Instructions, code.words.len() as u64);
        self.cpu.counters.bump(Metric::Blocks);
        Some(exec::run(code, at.pc, self.frame, self.cpu))
    }

    /// Counts a run of a block that is not compiled; compiles it when it was run often enough. True if it was compiled.
    pub(super) fn warm(&mut self, index: u32) -> bool {
        let epoch = self.cache.epoch();
        let (Some(native), Some(block)) = (&mut self.native, self.cache.get_mut(index)) else { return false };
        block.cold = block.cold.saturating_sub(1);
        if block.cold != 0 {
            return false;
        }
        native.begin(epoch, &mut self.frame.jit);
        if !native.has_room() {
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
    pub(super) fn run_native(&mut self, at: &mut Place) -> Option<End> {
        let native = self.native.as_mut()?;
        let entry = self.cache.get(at.index)?.native?;
        self.frame.jit.page = at.pc & !0xfff;
        self.frame.jit.key = Native::key(self.cpu.mem.serial(), self.mode);
        // The block counts itself when it starts: this is what it would find if an indirect branch had led to it.
        self.frame.jit.landed_at = self.frame.jit.count;
        self.frame.jit.landed = u32::from(at.landed);
        self.cpu.counters.bump(Metric::Blocks);
        let (left, last) = native.enter(&entry, self.frame, self.cpu, self.cache);
        let block = self.cache.get(last)?;
        let jit = &mut self.frame.jit;
        at.index = last;
        at.pc = jit.page.wrapping_add(block.offset());
        // Only the block that was landed in has started at this count.
        let length = if left == Left::Event { 0 } else { block.code.words.len() as u64 };
        at.landed = if jit.count.wrapping_sub(length) == jit.landed_at { jit.landed as u8 } else { 0 };
        Some(match left {
            Left::Exit(n) => End::Exit(n),
            Left::Fault => End::Fault(jit.fault.take()?, jit.at_insn as u16),
            Left::Event => {
                if at.landed != 0 {
                    self.cpu.pstate.btype = at.landed;
                    self.mode = self.cpu.mode();
                }
                return None;
            }
            Left::Indirect => match *block.code.uops.last()? {
                Uop::IndirectTyped { btype, .. } => End::Landing(jit.target, btype),
                _ => End::Indirect(jit.target),
            },
            Left::End => match *block.code.uops.last()? {
                Uop::Exception(e) => End::Exception(e),
                Uop::Leave { kind } => End::Leave(kind),
                _ => return None,
            },
        })
    }
}
