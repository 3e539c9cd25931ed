//! The Interrupt Translation Service (IHI 0069, chapters 5 and 12.19).
//!
//! A device writes an EventID to GITS_TRANSLATER; its DeviceID comes with the write. Tables in guest memory, which
//! only the commands of the ITS change, turn the pair into an LPI and a PE. Commands are read from a ring in guest
//! memory; a command that is wrong is counted and skipped (5.3.1 allows that: GITS_TYPER.SEIS is 0 and the queue
//! never stalls).

mod commands;
mod regs;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;

use emu_core::addr::{Pa, Size};
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::metrics::Metric;
use emu_core::registers::{Content, Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::lpi::Lpis;
use super::{Gicv3, PeSet};
pub(super) use regs::MAP;
use regs::{ENABLED, QUIESCENT, Reg};
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
/// Valid, in GITS_CBASER, GITS_BASER and all table entries.
const VALID: u64 = 1 << 63;
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

impl ItsState {
    /// False of a state that was not saved by an ITS.
    pub(super) fn is_possible(&self) -> bool {
        let its = Its { state: self.clone(), ..Its::default() };
        let fixed = |n: u32| its.baser(n) & !Baser::WRITABLE == Its::default().baser(n) & !Baser::WRITABLE;
        MAP.holds(|reg, index| Some(its.peek(reg, index))) && fixed(0) && fixed(1)
    }
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
        let value = match n {
            0 => value,
            1 => value & !Baser::INDIRECT,
            _ => return true,
        };
        if !self.state.enabled {
            self.state.baser[n as usize] = value;
            self.cache.clear();
        }
        !self.state.enabled
    }

    fn set_cbaser(&mut self, value: u64) -> bool {
        if !self.state.enabled {
            self.state.cbaser = value;
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
            let read = gic.tables().read(Pa(base + self.state.creadr), &mut raw);
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
            Some(r) => self.with_lpis(r.pe, gic, |l| l.set_pending(r.intid, &gic.tables())),
            None => gic.anomaly("MSI that the ITS does not map", u64::from(device) << 32 | u64::from(event)),
        }
    }

    /// The value of a register as it is now.
    fn peek(&self, reg: Reg, index: u32) -> u64 {
        match reg {
            Reg::Ctlr => u64::from(self.state.enabled) | if self.idle() { QUIESCENT } else { 0 },
            Reg::Typer => TYPER,
            Reg::Cbaser => self.state.cbaser,
            Reg::Cwriter => self.state.cwriter,
            Reg::Creadr => self.state.creadr,
            Reg::Baser => self.baser(index),
            // Write-only.
            Reg::Translater => 0,
        }
    }

    fn read(&mut self, reg: Reg, index: u32, gic: &Gicv3) -> u64 {
        if reg == Reg::Creadr {
            self.process(gic);
        }
        self.peek(reg, index)
    }

    /// Disabled, and nothing under way.
    fn idle(&self) -> bool {
        !self.state.enabled
    }

    /// Writes a register, given as its full new value; false if the write is not allowed.
    fn write(&mut self, reg: Reg, index: u32, value: u64, gic: &Gicv3) -> bool {
        match reg {
            Reg::Ctlr => {
                self.state.enabled = value & ENABLED != 0;
                self.process(gic);
                true
            }
            Reg::Cbaser => self.set_cbaser(value),
            Reg::Cwriter => {
                self.state.cwriter = value;
                self.process(gic);
                self.state.cwriter < self.queue_size()
            }
            Reg::Baser => self.set_baser(index, value),
            // The first two are read-only, messages are not register writes of the ITS.
            Reg::Typer | Reg::Creadr | Reg::Translater => false,
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
    fn message(&self, value: u64, from: Requester) {
        let Some(its) = &self.gic.its else { return };
        match from {
            Requester::Device(device) => {
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
        let hit = MAP.find(offset, size).filter(|h| h.row.content != Content::Register(Reg::Translater));
        let (Some(its), Some(hit)) = (&self.gic.its, hit) else {
            self.gic.anomaly("read of no ITS register", offset);
            return Ok(0);
        };
        Ok(hit.read(size, |reg| self.with_its(its, |its| its.read(reg, hit.index, &self.gic))))
    }

    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        let (Some(its), Some(hit)) = (&self.gic.its, MAP.find(offset, size)) else {
            self.gic.anomaly("write of no ITS register", offset);
            return Ok(());
        };
        let accepted = match hit.target() {
            Target::Register(Reg::Translater) if hit.byte == 0 => {
                self.message(value, from);
                true
            }
            Target::Register(reg) => self.with_its(its, |its| {
                let old = its.peek(reg, hit.index);
                its.write(reg, hit.index, hit.merged(old, size, value), &self.gic)
            }),
            Target::ReadOnly => false,
            Target::Ignored => true,
        };
        if !accepted {
            self.gic.anomaly(hit.row.name, value);
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let Some(its) = &self.gic.its else { return Vec::new() };
        let its = its.lock();
        let there = |reg, index| reg != Reg::Baser || its.baser(index) != 0;
        MAP.list(0, |reg, index| there(reg, index).then(|| its.peek(reg, index)))
    }
}
