//! The redistributors' registers: the RD frame (IHI 0069, 12.10) and the SGI frame (12.11) of each PE.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::registers::{Hit, Listed, Target};

use super::regs::{
    REDISTRIBUTOR, Redist, SGI_FRAME, SgiFrame,
    gicr_ctlr::{CES, DPG0, DPG1NS, ENABLE_LPIS, IR},
    gicr_waker,
};
use super::{FRAME, Gicv3, REDISTRIBUTOR_STRIDE, flag};

/// A run of redistributors on the bus.
pub(super) struct Frames {
    gic: Arc<Gicv3>,
    first: usize,
    end: usize,
}

/// One of the two 64 KiB frames of a redistributor.
enum Place {
    Rd(usize, u64),
    Sgi(usize, u64),
}

impl Frames {
    pub(super) fn new(gic: Arc<Gicv3>, first: usize, end: usize) -> Self {
        Self { gic, first, end }
    }

    fn place(&self, offset: u64) -> Option<Place> {
        let pe = self.first + usize::try_from(offset / REDISTRIBUTOR_STRIDE).ok()?;
        let within = offset % REDISTRIBUTOR_STRIDE;
        (pe < self.end).then_some(match within.checked_sub(FRAME) {
            None => Place::Rd(pe, within),
            Some(sgi) => Place::Sgi(pe, sgi),
        })
    }

    /// GICR_TYPER: PLPIS, Last, DPGS, Processor_Number, CommonLPIAff 0 (all PEs share the configuration table), and
    /// the affinity.
    fn typer(&self, pe: usize) -> u64 {
        let lpis = u64::from(self.gic.its.is_some());
        let last = u64::from(pe + 1 == self.end);
        lpis | last << 4 | 1 << 5 | (pe as u64) << 8 | u64::from(self.gic.pes[pe].affinity) << 32
    }

    fn ctlr(&self, pe: usize) -> u64 {
        let flags = self.gic.pes[pe].flags.load(SeqCst);
        let dpg =
            if flags & flag::DPG0 != 0 { DPG0 } else { 0 } | if flags & flag::DPG1 != 0 { DPG1NS } else { 0 };
        if self.gic.its.is_none() {
            return dpg;
        }
        let on = if self.gic.pes[pe].lpis.lock().enabled() { ENABLE_LPIS } else { 0 };
        dpg | on | CES | IR
    }

    fn write_ctlr(&self, pe: usize, value: u64) {
        let dpg =
            if value & DPG0 != 0 { flag::DPG0 } else { 0 } | if value & DPG1NS != 0 { flag::DPG1 } else { 0 };
        self.gic.change_flags(pe, flag::DPG0 | flag::DPG1, dpg);
        if self.gic.its.is_some() {
            self.gic.with_lpis(pe, |l| l.set_enabled(value & ENABLE_LPIS != 0, &self.gic.tables()));
        }
    }

    /// ChildrenAsleep follows ProcessorSleep at once: nothing is in flight between here and the CPU interface.
    fn waker(&self, pe: usize) -> u64 {
        let asleep = self.gic.pes[pe].flags.load(SeqCst) & flag::ASLEEP != 0;
        if asleep { gicr_waker::ASLEEP } else { 0 }
    }

    fn peek_rd(&self, pe: usize, reg: Redist) -> u64 {
        let lpis = || self.gic.pes[pe].lpis.lock();
        match reg {
            Redist::Ctlr => self.ctlr(pe),
            Redist::Typer => self.typer(pe),
            Redist::Waker => self.waker(pe),
            Redist::PropBaser => lpis().propbaser(),
            Redist::PendBaser => lpis().pendbaser(),
            // Invalidations are complete when the write is: never busy. The others are write-only.
            Redist::Sync | Redist::InvLpi | Redist::InvAll => 0,
        }
    }

    /// Writes a register of the RD frame; false if the write is not allowed.
    fn write_rd(&self, pe: usize, hit: &Hit<Redist>, reg: Redist, size: Size, value: u64) -> bool {
        let (gic, lpis) = (&self.gic, self.gic.its.is_some());
        match reg {
            Redist::Ctlr => self.write_ctlr(pe, hit.written(size, value)),
            Redist::Waker => {
                let asleep = hit.written(size, value) & gicr_waker::PROCESSOR_SLEEP != 0;
                gic.change_flags(pe, flag::ASLEEP, if asleep { flag::ASLEEP } else { 0 });
            }
            Redist::PropBaser if lpis => {
                return gic.with_lpis(pe, |l| l.set_propbaser(hit.merged(l.propbaser(), size, value)));
            }
            Redist::PendBaser if lpis => {
                return gic.with_lpis(pe, |l| l.set_pendbaser(hit.merged(l.pendbaser(), size, value)));
            }
            Redist::InvLpi if lpis => {
                if hit.byte == 0 {
                    gic.with_lpis(pe, |l| l.invalidate(value as u32, &gic.tables()));
                }
            }
            Redist::InvAll if lpis => {
                gic.with_lpis(pe, |l| l.invalidate_all(&gic.tables()));
            }
            // Without LPIs; and those that are read-only.
            Redist::PropBaser | Redist::PendBaser | Redist::InvLpi | Redist::InvAll => return false,
            Redist::Typer | Redist::Sync => return false,
        }
        true
    }

    fn peek_sgi(&self, pe: usize, reg: SgiFrame, index: u32) -> u64 {
        let bank = self.gic.pes[pe].private.lock();
        let n = index as usize;
        let word = match reg {
            SgiFrame::Bits(reg) => bank.read_bits(reg, 0),
            SgiFrame::Priority => bank.read_priority(4 * n, 4),
            SgiFrame::Config => bank.read_config(n),
        };
        word.into()
    }

    fn write_sgi(&self, pe: usize, hit: &Hit<SgiFrame>, reg: SgiFrame, size: Size, value: u64) {
        let word = hit.written(size, value) as u32;
        self.gic.with_private(pe, |bank| match reg {
            SgiFrame::Bits(reg) => bank.write_bits(reg, 0, word),
            SgiFrame::Priority => {
                bank.write_priority(hit.at() as usize, size.bytes() as usize, value as u32);
            }
            SgiFrame::Config => bank.write_config(hit.index as usize, word),
        });
    }

    /// A write of `hit`, whatever the frame: `register` writes a register, and says whether that was allowed.
    fn write_hit<R: Copy>(&self, hit: &Hit<R>, value: u64, register: impl FnOnce(R) -> bool) {
        let accepted = match hit.target() {
            Target::Register(reg) => register(reg),
            Target::ReadOnly => false,
            Target::Ignored => true,
        };
        if !accepted {
            self.gic.anomaly(hit.row.name, value);
        }
    }
}

impl MmioDevice for Frames {
    fn name(&self) -> &str {
        "gicv3-redistributors"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let value = match self.place(offset).ok_or(BusFault::Unmapped)? {
            Place::Rd(pe, at) => {
                REDISTRIBUTOR.find(at, size).map(|hit| hit.read(size, |reg| self.peek_rd(pe, reg)))
            }
            Place::Sgi(pe, at) => {
                SGI_FRAME.find(at, size).map(|hit| hit.read(size, |reg| self.peek_sgi(pe, reg, hit.index)))
            }
        };
        Ok(value.unwrap_or_else(|| {
            self.gic.anomaly("read of no redistributor register", offset % FRAME);
            0
        }))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let done = match self.place(offset).ok_or(BusFault::Unmapped)? {
            Place::Rd(pe, at) => REDISTRIBUTOR.find(at, size).map(|hit| {
                self.write_hit(&hit, value, |reg| self.write_rd(pe, &hit, reg, size, value));
            }),
            Place::Sgi(pe, at) => SGI_FRAME.find(at, size).map(|hit| {
                self.write_hit(&hit, value, |reg| {
                    self.write_sgi(pe, &hit, reg, size, value);
                    true
                });
            }),
        };
        if done.is_none() {
            self.gic.anomaly("write of no redistributor register", offset % FRAME);
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let one = |pe: usize| {
            let base = (pe - self.first) as u64 * REDISTRIBUTOR_STRIDE;
            let rd = REDISTRIBUTOR.list(base, |reg, _| Some(self.peek_rd(pe, reg)));
            let sgi = SGI_FRAME.list(base + FRAME, |reg, index| Some(self.peek_sgi(pe, reg, index)));
            rd.into_iter().chain(sgi)
        };
        (self.first..self.end).flat_map(one).collect()
    }
}
