//! The distributor's registers (IHI 0069, 12.9).

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::registers::{Hit, Listed, Target};

use super::Gicv3;
use super::lpi::INTID_BITS;
use super::regs::{DISTRIBUTOR, Dist, gicd_ctlr};

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
        let old = self.gic.ctlr.swap(value, SeqCst);
        if old != value {
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

    /// A register, in full. The first word of each array of bits belongs to SGIs and PPIs, which are in the redistributors:
    /// RAZ/WI.
    fn peek(&self, reg: Dist, index: u32) -> u64 {
        let spis = || self.gic.spis.lock();
        let n = index as usize;
        let word = match reg {
            Dist::Ctlr => return u64::from(self.gic.ctlr.load(SeqCst)) | gicd_ctlr::FIXED,
            Dist::Typer => self.typer(),
            Dist::Bits(reg) => n.checked_sub(1).map_or(0, |n| spis().state.bank.read_bits(reg, n)),
            Dist::Priority => n.checked_sub(8).map_or(0, |n| spis().state.bank.read_priority(4 * n, 4)),
            Dist::Config => n.checked_sub(2).map_or(0, |n| spis().state.bank.read_config(n)),
            Dist::Router => return n.checked_sub(32).and_then(|n| spis().router(n)).unwrap_or(0),
            // Write-only.
            Dist::SetSpi | Dist::ClearSpi => 0,
        };
        word.into()
    }

    /// True if the registers of an array are those of an SPI that there is.
    fn is_there(&self, reg: Dist, index: u32) -> bool {
        let interrupts = match reg {
            Dist::Bits(_) => 32,
            Dist::Priority => 4,
            Dist::Config => 16,
            Dist::Router => 1,
            Dist::Ctlr | Dist::Typer | Dist::SetSpi | Dist::ClearSpi => return true,
        };
        let first = index * interrupts;
        (32..32 + self.gic.spi_count).contains(&first)
    }

    fn write_reg(&self, hit: &Hit<Dist>, reg: Dist, size: Size, value: u64) {
        let n = hit.index as usize;
        let word = hit.written(size, value) as u32;
        match reg {
            Dist::Ctlr => self.write_ctlr(word),
            Dist::SetSpi => self.message(value, true),
            Dist::ClearSpi => self.message(value, false),
            Dist::Bits(reg) if n >= 1 => self.gic.with_spis(|s| s.state.bank.write_bits(reg, n - 1, word)),
            Dist::Priority if n >= 8 => {
                let (at, bytes) = (hit.at() as usize - 32, size.bytes() as usize);
                self.gic.with_spis(|s| s.state.bank.write_priority(at, bytes, value as u32));
            }
            Dist::Config if n >= 2 => self.gic.with_spis(|s| s.state.bank.write_config(n - 2, word)),
            Dist::Router if n >= 32 => self.gic.with_spis(|s| {
                if let Some(old) = s.router(n - 32) {
                    s.set_router(n - 32, hit.merged(old, size, value));
                }
            }),
            // Those of SGIs and PPIs: ignored.
            Dist::Bits(_) | Dist::Priority | Dist::Config | Dist::Router => {}
            // Read-only: the map lets no write through.
            Dist::Typer => {}
        }
    }
}

impl MmioDevice for Frame {
    fn name(&self) -> &str {
        "gicv3-distributor"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = DISTRIBUTOR.find(offset, size) else {
            self.gic.anomaly("read of no distributor register", offset);
            return Ok(0);
        };
        Ok(hit.read(size, |reg| self.peek(reg, hit.index)))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let Some(hit) = DISTRIBUTOR.find(offset, size) else {
            self.gic.anomaly("write of no distributor register", offset);
            return Ok(());
        };
        match hit.target() {
            Target::Register(reg) => self.write_reg(&hit, reg, size, value),
            Target::ReadOnly => self.gic.anomaly(hit.row.name, value),
            Target::Ignored => {}
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        DISTRIBUTOR.list(0, |reg, index| self.is_there(reg, index).then(|| self.peek(reg, index)))
    }
}
