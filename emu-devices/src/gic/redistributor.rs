//! The redistributors' registers: the RD frame (IHI 0069, 12.10) and the SGI frame (12.11) of each PE.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};

use super::regs::{self, REDISTRIBUTOR, Redist, SGI_FRAME, SgiFrame};
use super::{Gicv3, REDISTRIBUTOR_STRIDE, flag};

/// GICR_CTLR.EnableLPIs.
const ENABLE_LPIS: u64 = 1 << 0;
/// GICR_CTLR.CES: EnableLPIs can be cleared again.
const CES: u64 = 1 << 1;
/// GICR_CTLR.IR: GICR_INVLPIR and GICR_INVALLR work without DirectLPI.
const IR: u64 = 1 << 2;
/// GICR_CTLR.DPG0.
const DPG0: u64 = 1 << 24;
/// GICR_CTLR.DPG1NS.
const DPG1NS: u64 = 1 << 25;
/// GICR_WAKER.ProcessorSleep.
const PROCESSOR_SLEEP: u64 = 1 << 1;
/// GICR_WAKER.ChildrenAsleep.
const CHILDREN_ASLEEP: u64 = 1 << 2;

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
        (pe < self.end).then_some(match within.checked_sub(0x1_0000) {
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
            self.gic.with_lpis(pe, |l| l.set_enabled(value & ENABLE_LPIS != 0, &self.gic.memory));
        }
    }

    /// ChildrenAsleep follows ProcessorSleep at once: nothing is in flight between here and the CPU interface.
    fn waker(&self, pe: usize) -> u64 {
        let asleep = self.gic.pes[pe].flags.load(SeqCst) & flag::ASLEEP != 0;
        if asleep { PROCESSOR_SLEEP | CHILDREN_ASLEEP } else { 0 }
    }

    fn read_rd(&self, pe: usize, offset: u64, size: Size) -> u64 {
        let Some(hit) = regs::find(REDISTRIBUTOR, offset, size) else {
            self.gic.anomaly("read of no redistributor register", offset);
            return 0;
        };
        let lpis = || self.gic.pes[pe].lpis.lock();
        let value = match hit.reg {
            Redist::Ctlr => self.ctlr(pe),
            Redist::Iidr => regs::IIDR.into(),
            Redist::Typer => self.typer(pe),
            Redist::Waker => self.waker(pe),
            Redist::PropBaser => lpis().propbaser(),
            Redist::PendBaser => lpis().pendbaser(),
            // Invalidations are complete when the write is: never busy.
            Redist::Sync | Redist::InvLpi | Redist::InvAll | Redist::Zero => 0,
            Redist::Id => return regs::id_register(hit.at, 0x93).into(),
        };
        regs::part_of(value, hit.at, size)
    }

    fn write_rd(&self, pe: usize, offset: u64, size: Size, value: u64) {
        let Some(hit) = regs::find(REDISTRIBUTOR, offset, size) else {
            self.gic.anomaly("write of no redistributor register", offset);
            return;
        };
        let (gic, lpis) = (&self.gic, self.gic.its.is_some());
        let accepted = match hit.reg {
            Redist::Ctlr => {
                self.write_ctlr(pe, value);
                true
            }
            Redist::Waker => {
                let asleep = if value & PROCESSOR_SLEEP != 0 { flag::ASLEEP } else { 0 };
                gic.change_flags(pe, flag::ASLEEP, asleep);
                true
            }
            Redist::PropBaser if lpis => {
                gic.with_lpis(pe, |l| l.set_propbaser(regs::merged(l.propbaser(), hit.at, size, value)))
            }
            Redist::PendBaser if lpis => {
                gic.with_lpis(pe, |l| l.set_pendbaser(regs::merged(l.pendbaser(), hit.at, size, value)))
            }
            Redist::InvLpi if lpis => {
                if hit.at == 0 {
                    gic.with_lpis(pe, |l| l.invalidate(value as u32, &gic.memory));
                }
                true
            }
            Redist::InvAll if lpis => {
                gic.with_lpis(pe, |l| l.invalidate_all(&gic.memory));
                true
            }
            Redist::Zero => true,
            _ => false,
        };
        if !accepted {
            gic.anomaly(hit.name, value);
        }
    }

    fn read_sgi(&self, pe: usize, offset: u64, size: Size) -> u64 {
        let Some(hit) = regs::find(SGI_FRAME, offset, size) else {
            self.gic.anomaly("read of no redistributor register", offset);
            return 0;
        };
        let bank = self.gic.pes[pe].private.lock();
        let at = hit.at as usize;
        let value = match hit.reg {
            SgiFrame::Bits(reg) => bank.read_bits(reg, 0),
            SgiFrame::Priority => bank.read_priority(at, size.bytes() as usize),
            SgiFrame::Config => bank.read_config(at / 4),
            SgiFrame::Zero => 0,
        };
        value.into()
    }

    fn write_sgi(&self, pe: usize, offset: u64, size: Size, value: u64) {
        let Some(hit) = regs::find(SGI_FRAME, offset, size) else {
            self.gic.anomaly("write of no redistributor register", offset);
            return;
        };
        let (at, word) = (hit.at as usize, value as u32);
        self.gic.with_private(pe, |bank| match hit.reg {
            SgiFrame::Bits(reg) => bank.write_bits(reg, 0, word),
            SgiFrame::Priority => bank.write_priority(at, size.bytes() as usize, word),
            SgiFrame::Config => bank.write_config(at / 4, word),
            SgiFrame::Zero => {}
        });
    }
}

impl MmioDevice for Frames {
    fn name(&self) -> &str {
        "gicv3-redistributors"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        match self.place(offset) {
            Some(Place::Rd(pe, o)) => Ok(self.read_rd(pe, o, size)),
            Some(Place::Sgi(pe, o)) => Ok(self.read_sgi(pe, o, size)),
            None => Err(BusFault::Unmapped),
        }
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        match self.place(offset) {
            Some(Place::Rd(pe, o)) => self.write_rd(pe, o, size, value),
            Some(Place::Sgi(pe, o)) => self.write_sgi(pe, o, size, value),
            None => return Err(BusFault::Unmapped),
        }
        Ok(())
    }
}
