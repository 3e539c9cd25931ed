//! The Interrupt Translation Service (IHI 0069, chapters 5 and 12.19).
//!
//! A device writes an EventID to GITS_TRANSLATER; its DeviceID comes with the write. Tables in guest memory, which
//! only the commands of the ITS change, turn the pair into an LPI and a PE. Commands are read from a ring in guest
//! memory; a command that is wrong is counted and skipped (5.3.1 allows that: GITS_TYPER.SEIS is 0 and the queue
//! never stalls).

mod commands;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::metrics::Metric;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::lpi::Lpis;
use super::regs::{self, ITS, TRANSLATER};
use super::{Gicv3, PeSet};
use tables::{Baser, COLLECTION_ENTRY, DEVICE_ENTRY};

/// Bits of DeviceID (GITS_TYPER.Devbits + 1): a PCI requester ID.
const DEVICE_BITS: u32 = 16;
/// Bits of EventID (GITS_TYPER.ID_bits + 1).
const EVENT_BITS: u32 = 16;
/// Bits of a collection's ID (16 with GITS_TYPER.CIL = 0).
const COLLECTION_BITS: u32 = 16;
/// Bytes of an interrupt translation table entry.
const ITT_ENTRY: u64 = 8;

/// GITS_TYPER: Physical, ITT_entry_size, ID_bits, Devbits; PTA 0 (an RDbase is a PE number), HCC 0, CIL 0.
const TYPER: u64 = 1 | (ITT_ENTRY - 1) << 4 | (EVENT_BITS as u64 - 1) << 8 | (DEVICE_BITS as u64 - 1) << 13;
/// GITS_CTLR.Enabled.
const ENABLED: u64 = 1 << 0;
/// GITS_CTLR.Quiescent.
const QUIESCENT: u64 = 1 << 31;
/// Valid, in GITS_CBASER, GITS_BASER and all table entries.
const VALID: u64 = 1 << 63;
/// GITS_CBASER without its RES0 bits.
const CBASER_MASK: u64 = 0xb8ef_ffff_ffff_fcff;
/// Offsets in GITS_CREADR and GITS_CWRITER.
const QUEUE_OFFSET: u64 = 0xf_ffe0;
/// Bytes of a command.
const COMMAND: u64 = 32;
/// Units of work that one access may do: more than the longest queue (32768) has commands. Commands that touch many
/// LPIs cost more; what is left over is done at the next access of the ITS, such as the poll of GITS_CREADR.
const BUDGET: u64 = 1 << 16;
/// Translations that are remembered.
const CACHE_LIMIT: usize = 4096;

/// Where an event goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Route {
    intid: u32,
    pe: usize,
}

/// The registers of an ITS: all its state, as the tables are in guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ItsState {
    enabled: bool,
    cbaser: u64,
    cwriter: u64,
    creadr: u64,
    /// GITS_BASER0 (devices) and GITS_BASER1 (collections), the writable part.
    baser: [u64; 2],
}

impl Default for ItsState {
    /// The registers after reset. GITS_BASER<n>.Page_Size starts at the largest size (12.19.1 leaves it open; this is what
    /// implementations do, and software that does not choose a size relies on it).
    fn default() -> Self {
        Self { enabled: false, cbaser: 0, cwriter: 0, creadr: 0, baser: [Baser::PAGE_64K; 2] }
    }
}

/// The ITS.
#[derive(Default)]
pub(super) struct Its {
    pub(super) state: ItsState,
    /// Translations by (DeviceID, EventID), dropped by every command that maps something.
    cache: HashMap<(u32, u32), Route>,
    /// PEs to kick when the lock of the ITS is released.
    due: PeSet,
}

impl Its {
    pub(super) fn reset(&mut self) {
        self.restore(ItsState::default());
    }

    pub(super) fn restore(&mut self, state: ItsState) {
        self.state = state;
        self.cache.clear();
    }

    fn baser(&self, n: u32) -> u64 {
        match n {
            0 => self.state.baser[0] | Baser::fixed(1, DEVICE_ENTRY),
            1 => self.state.baser[1] | Baser::fixed(4, COLLECTION_ENTRY),
            // Type 0: not implemented, RES0.
            _ => 0,
        }
    }

    /// While the ITS is enabled, writing GITS_BASER or GITS_CBASER is UNPREDICTABLE: ignored, and false.
    fn set_baser(&mut self, n: u32, value: u64) -> bool {
        let keep = match n {
            0 => Baser::WRITABLE,
            1 => Baser::WRITABLE & !Baser::INDIRECT,
            _ => return true,
        };
        if !self.state.enabled {
            self.state.baser[n as usize] = value & keep;
            self.cache.clear();
        }
        !self.state.enabled
    }

    fn set_cbaser(&mut self, value: u64) -> bool {
        if !self.state.enabled {
            self.state.cbaser = value & CBASER_MASK;
            self.state.creadr = 0;
        }
        !self.state.enabled
    }

    /// Bytes of the command queue.
    fn queue_size(&self) -> u64 {
        ((self.state.cbaser & 0xff) + 1) * 4096
    }

    /// Works on the queue until it is empty or the budget is spent.
    fn process(&mut self, gic: &Gicv3) {
        if !self.state.enabled || self.state.cbaser & VALID == 0 {
            return;
        }
        let base = self.state.cbaser & 0x000f_ffff_ffff_f000;
        let size = self.queue_size();
        let mut work = 0;
        // A GITS_CWRITER beyond the queue would never be reached: nothing is executed until it is put right.
        while self.state.creadr != self.state.cwriter && self.state.cwriter < size && work < BUDGET {
            let mut raw = [0; COMMAND as usize];
            let read = gic.memory.read(base + self.state.creadr, &mut raw);
            work += match read {
                Some(()) => self.run(&raw, gic),
                None => {
                    gic.anomaly("ITS command queue is not in RAM", base);
                    1
                }
            };
            self.state.creadr = (self.state.creadr + COMMAND) % size;
        }
    }

    fn run(&mut self, raw: &[u8; COMMAND as usize], gic: &Gicv3) -> u64 {
        match commands::decode(raw).and_then(|c| self.execute(c, gic)) {
            Ok(extra) => 1 + extra,
            Err(why) => {
                gic.anomaly(why.text(), raw[0].into());
                1
            }
        }
    }

    /// Changes LPIs of a PE.
    fn with_lpis<R>(&mut self, pe: usize, gic: &Gicv3, f: impl FnOnce(&mut Lpis) -> R) -> R {
        let (result, changed) = gic.change_lpis(pe, f);
        if changed {
            self.due.insert(pe);
        }
        result
    }

    /// The route of an event; from the tables, or remembered.
    fn route(&mut self, device: u32, event: u32, gic: &Gicv3) -> Option<Route> {
        if let Some(&route) = self.cache.get(&(device, event)) {
            return Some(route);
        }
        let (_, entry) = self.event(device, event, gic).ok()?;
        let pe = self.collection(entry.collection, gic).ok()?;
        let route = Route { intid: entry.intid, pe };
        if self.cache.len() >= CACHE_LIMIT {
            self.cache.clear();
        }
        self.cache.insert((device, event), route);
        Some(route)
    }

    /// A write to GITS_TRANSLATER.
    fn translate(&mut self, device: u32, event: u32, gic: &Gicv3) {
        self.process(gic);
        let route = if self.state.enabled { self.route(device, event, gic) } else { None };
        match route {
            Some(r) => self.with_lpis(r.pe, gic, |l| l.set_pending(r.intid, &gic.memory)),
            None => gic.anomaly("MSI that the ITS does not map", u64::from(device) << 32 | u64::from(event)),
        }
    }

    fn read(&mut self, reg: regs::Its, at: u32, gic: &Gicv3) -> u64 {
        match reg {
            regs::Its::Ctlr => u64::from(self.state.enabled) | if self.idle() { QUIESCENT } else { 0 },
            regs::Its::Iidr => regs::IIDR.into(),
            regs::Its::Typer => TYPER,
            regs::Its::Cbaser => self.state.cbaser,
            regs::Its::Cwriter => self.state.cwriter,
            regs::Its::Creadr => {
                self.process(gic);
                self.state.creadr
            }
            regs::Its::Baser => self.baser(at / 8),
            regs::Its::Zero | regs::Its::Id => 0,
        }
    }

    /// Disabled, and nothing under way.
    fn idle(&self) -> bool {
        !self.state.enabled
    }

    /// Writes a register, given as its full new value; false if the write is not allowed.
    fn write(&mut self, reg: regs::Its, at: u32, value: u64, gic: &Gicv3) -> bool {
        match reg {
            regs::Its::Ctlr => {
                self.state.enabled = value & ENABLED != 0;
                self.process(gic);
                true
            }
            regs::Its::Cbaser => self.set_cbaser(value),
            regs::Its::Cwriter => {
                self.state.cwriter = value & QUEUE_OFFSET;
                self.process(gic);
                self.state.cwriter < self.queue_size()
            }
            regs::Its::Baser => self.set_baser(at / 8, value),
            regs::Its::Zero => true,
            regs::Its::Iidr | regs::Its::Typer | regs::Its::Creadr | regs::Its::Id => false,
        }
    }
}

/// The ITS region on the bus.
pub(super) struct Frames {
    gic: Arc<Gicv3>,
}

impl Frames {
    pub(super) fn new(gic: Arc<Gicv3>) -> Self {
        Self { gic }
    }

    /// Does something with the ITS, then kicks whom that concerns.
    fn with_its<R>(&self, its: &Mutex<Its>, f: impl FnOnce(&mut Its) -> R) -> R {
        let (result, due) = {
            let mut its = its.lock();
            let result = f(&mut its);
            (result, std::mem::take(&mut its.due))
        };
        self.gic.kick_all(&due);
        result
    }

    /// A message. Only a device has a DeviceID.
    fn message(&self, size: Size, value: u64, from: Requester) {
        let Some(its) = &self.gic.its else { return };
        match (from, size) {
            (Requester::Device(device), Size::B2 | Size::B4) => {
                self.gic.counters.add(Metric::Msis, 1);
                self.with_its(its, |its| its.translate(device, value as u32, &self.gic));
            }
            _ => self.gic.anomaly("write to GITS_TRANSLATER by no device", value),
        }
    }
}

impl MmioDevice for Frames {
    fn name(&self) -> &str {
        "gicv3-its"
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let (Some(its), Some(hit)) = (&self.gic.its, regs::find(ITS, offset, size)) else {
            self.gic.anomaly("read of no ITS register", offset);
            return Ok(0);
        };
        if hit.reg == regs::Its::Id {
            return Ok(regs::id_register(hit.at, 0x94).into());
        }
        let value = self.with_its(its, |its| its.read(hit.reg, hit.at, &self.gic));
        Ok(regs::part_of(value, hit.at, size))
    }

    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        if offset == TRANSLATER {
            self.message(size, value, from);
            return Ok(());
        }
        let (Some(its), Some(hit)) = (&self.gic.its, regs::find(ITS, offset, size)) else {
            self.gic.anomaly("write of no ITS register", offset);
            return Ok(());
        };
        let accepted = self.with_its(its, |its| {
            let old = match hit.reg {
                regs::Its::Cbaser => its.state.cbaser,
                regs::Its::Cwriter => its.state.cwriter,
                regs::Its::Baser => its.baser(hit.at / 8),
                _ => 0,
            };
            its.write(hit.reg, hit.at, regs::merged(old, hit.at, size, value), &self.gic)
        });
        if !accepted {
            self.gic.anomaly(hit.name, value);
        }
        Ok(())
    }
}
