//! The distributor's registers (IHI 0069, 12.9).

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};

use super::Gicv3;
use super::lpi::INTID_BITS;
use super::regs::{self, DISTRIBUTOR, Dist};

/// GICD_CTLR: EnableGrp0 and EnableGrp1 can be written.
const CTLR_RW: u32 = 0b11;
/// GICD_CTLR: ARE and DS read as one (one Security state, no legacy operation).
const CTLR_FIXED: u32 = 1 << 4 | 1 << 6;

/// The distributor on the bus.
pub(super) struct Frame {
    gic: Arc<Gicv3>,
}

impl Frame {
    pub(super) fn new(gic: Arc<Gicv3>) -> Self {
        Self { gic }
    }

    /// GICD_TYPER: ITLinesNumber, CPUNumber 0 (affinity routing only), SecurityExtn 0, MBIS, LPIS, IDbits, A3V,
    /// No1N 0, RSS.
    fn typer(&self) -> u32 {
        let lpis = u32::from(self.gic.its.is_some());
        (self.gic.spi_count / 32) | 1 << 16 | lpis << 17 | (INTID_BITS - 1) << 19 | 1 << 24 | 1 << 26
    }

    fn write_ctlr(&self, value: u32) {
        let old = self.gic.ctlr.swap(value & CTLR_RW, SeqCst);
        if old != value & CTLR_RW {
            for pe in 0..self.gic.pes.len() {
                self.gic.with_private(pe, |_| ());
                self.gic.with_lpis(pe, |_| ());
            }
            self.gic.with_spis(|_| ());
        }
    }

    /// A message-based SPI (GICD_SETSPI_NSR, GICD_CLRSPI_NSR): INTID in bits 12:0.
    fn message(&self, value: u64, set: bool) {
        let intid = value as u32 & 0x1fff;
        let known = self.gic.with_spis(|s| {
            s.state.bank.message(intid, set);
            s.state.bank.holds(intid)
        });
        if !known {
            self.gic.anomaly("message for an SPI that does not exist", intid.into());
        }
    }
}

impl MmioDevice for Frame {
    fn name(&self) -> &str {
        "gicv3-distributor"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = regs::find(DISTRIBUTOR, offset, size) else {
            self.gic.anomaly("read of no distributor register", offset);
            return Ok(0);
        };
        let at = hit.at as usize;
        // The first word of each array belongs to SGIs and PPIs, which are in the redistributors: RAZ/WI.
        let value = match hit.reg {
            Dist::Ctlr => self.gic.ctlr.load(SeqCst) | CTLR_FIXED,
            Dist::Typer => self.typer(),
            Dist::Iidr => regs::IIDR,
            Dist::Bits(reg) if at >= 4 => self.gic.spis.lock().state.bank.read_bits(reg, at / 4 - 1),
            Dist::Priority if at >= 32 => {
                self.gic.spis.lock().state.bank.read_priority(at - 32, size.bytes() as usize)
            }
            Dist::Config if at >= 8 => self.gic.spis.lock().state.bank.read_config(at / 4 - 2),
            Dist::Router if at >= 0x100 => {
                let router = self.gic.spis.lock().router(at / 8 - 32).unwrap_or(0);
                return Ok(regs::part_of(router, hit.at, size));
            }
            Dist::Id => regs::id_register(hit.at, 0x92),
            Dist::SetSpi
            | Dist::ClearSpi
            | Dist::Bits(_)
            | Dist::Priority
            | Dist::Config
            | Dist::Router
            | Dist::Zero => 0,
        };
        Ok(value.into())
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let Some(hit) = regs::find(DISTRIBUTOR, offset, size) else {
            self.gic.anomaly("write of no distributor register", offset);
            return Ok(());
        };
        let at = hit.at as usize;
        let word = value as u32;
        match hit.reg {
            Dist::Ctlr => self.write_ctlr(word),
            Dist::SetSpi => self.message(value, true),
            Dist::ClearSpi => self.message(value, false),
            Dist::Bits(reg) if at >= 4 => {
                self.gic.with_spis(|s| s.state.bank.write_bits(reg, at / 4 - 1, word));
            }
            Dist::Priority if at >= 32 => {
                self.gic.with_spis(|s| s.state.bank.write_priority(at - 32, size.bytes() as usize, word))
            }
            Dist::Config if at >= 8 => self.gic.with_spis(|s| s.state.bank.write_config(at / 4 - 2, word)),
            Dist::Router if at >= 0x100 => self.gic.with_spis(|s| {
                let n = at / 8 - 32;
                if let Some(old) = s.router(n) {
                    s.set_router(n, regs::merged(old, hit.at, size, value));
                }
            }),
            Dist::Typer | Dist::Iidr | Dist::Id => self.gic.anomaly(hit.name, value),
            Dist::Bits(_) | Dist::Priority | Dist::Config | Dist::Router | Dist::Zero => {}
        }
        Ok(())
    }
}
