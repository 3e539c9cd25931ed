//! Physical LPIs of one PE (IHI 0069, 5.1): the configuration and pending tables in guest memory.
//!
//! The pending state lives here while LPIs are enabled; it is read from the pending table when software enables LPIs
//! and written back when software disables them. The configuration of an LPI is read when it becomes pending and
//! kept until it is acknowledged, or until software invalidates it.

use std::collections::{BTreeMap, BTreeSet};

use emu_core::addr::Pa;
use emu_core::irq::{Group, Pending};
use serde::{Deserialize, Serialize};

use super::GicTables;
use super::regs::PTZ;

/// The first LPI.
pub(super) const FIRST_LPI: u32 = 8192;
/// INTID bits that this GIC implements.
pub(super) const INTID_BITS: u32 = 16;

/// The LPI half of a redistributor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lpis {
    enabled: bool,
    propbaser: u64,
    pendbaser: u64,
    pending_table_zero: bool,
    /// Pending LPIs with their configuration byte.
    pending: BTreeMap<u32, u8>,
    /// Those of them that are enabled, by (priority, INTID).
    ready: BTreeSet<(u8, u32)>,
}

impl Lpis {
    pub(super) fn enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn propbaser(&self) -> u64 {
        self.propbaser
    }

    pub(super) fn pendbaser(&self) -> u64 {
        self.pendbaser
    }

    /// Writes GICR_PROPBASER. While LPIs are enabled the write is UNPREDICTABLE: ignored, and false.
    pub(super) fn set_propbaser(&mut self, value: u64) -> bool {
        if !self.enabled {
            self.propbaser = value;
        }
        !self.enabled
    }

    /// Writes GICR_PENDBASER, under the same rule.
    pub(super) fn set_pendbaser(&mut self, value: u64) -> bool {
        if !self.enabled {
            self.pendbaser = value & !PTZ;
            self.pending_table_zero = value & PTZ != 0;
        }
        !self.enabled
    }

    /// False of a state that was not saved by a redistributor.
    pub(super) fn is_consistent(&self) -> bool {
        let enabled = self.pending.iter().filter(|(_, config)| **config & 1 != 0);
        self.pending.keys().all(|intid| self.exists(*intid))
            && self.ready == enabled.map(|(intid, config)| (config & 0xfc, *intid)).collect()
    }

    /// INTIDs at and above this one do not exist: GICR_PROPBASER.IDbits, at most what is implemented.
    fn limit(&self) -> u32 {
        1 << ((self.propbaser & 0x1f) as u32 + 1).min(INTID_BITS)
    }

    fn exists(&self, intid: u32) -> bool {
        self.enabled && (FIRST_LPI..self.limit()).contains(&intid)
    }

    /// The configuration byte: priority in bits 7:2, enable in bit 0. A table that cannot be read disables its LPIs.
    fn configuration(&self, intid: u32, tables: &GicTables) -> u8 {
        let base = self.propbaser & 0x000f_ffff_ffff_f000;
        tables.read_u8(Pa(base + u64::from(intid.saturating_sub(FIRST_LPI)))).unwrap_or(0)
    }

    /// GICR_CTLR.EnableLPIs.
    pub(super) fn set_enabled(&mut self, on: bool, tables: &GicTables) {
        match (self.enabled, on) {
            (false, true) => {
                self.enabled = true;
                if !self.pending_table_zero {
                    self.load_pending(tables);
                }
            }
            (true, false) => {
                self.store_pending(tables);
                self.pending.clear();
                self.ready.clear();
                self.enabled = false;
                self.pending_table_zero = false;
            }
            _ => {}
        }
    }

    /// Address and bytes of the part of the pending table that belongs to LPIs.
    fn pending_table(&self) -> (u64, usize) {
        let base = (self.pendbaser & 0x000f_ffff_ffff_0000) + u64::from(FIRST_LPI / 8);
        (base, self.limit().saturating_sub(FIRST_LPI) as usize / 8)
    }

    fn load_pending(&mut self, tables: &GicTables) {
        let (base, bytes) = self.pending_table();
        let mut table = vec![0; bytes];
        if tables.read(Pa(base), &mut table).is_none() {
            return;
        }
        for (i, byte) in table.into_iter().enumerate().filter(|(_, b)| *b != 0) {
            for bit in (0..8).filter(|b| byte >> b & 1 != 0) {
                self.set_pending(FIRST_LPI + 8 * i as u32 + bit, tables);
            }
        }
    }

    fn store_pending(&self, tables: &GicTables) {
        let (base, bytes) = self.pending_table();
        let mut table = vec![0u8; bytes];
        for n in self.pending.keys().filter_map(|k| k.checked_sub(FIRST_LPI)) {
            if let Some(byte) = table.get_mut(n as usize / 8) {
                *byte |= 1 << (n % 8);
            }
        }
        // A pending table that is not in RAM loses the state: software was told where to put it.
        let _ = tables.write(Pa(base), &table);
    }

    /// Makes `intid` pending, if LPIs are enabled and it exists.
    pub(super) fn set_pending(&mut self, intid: u32, tables: &GicTables) {
        if self.exists(intid) && !self.pending.contains_key(&intid) {
            let config = self.configuration(intid, tables);
            self.insert(intid, config);
        }
    }

    fn insert(&mut self, intid: u32, config: u8) {
        self.pending.insert(intid, config);
        if config & 1 != 0 {
            self.ready.insert((config & 0xfc, intid));
        }
    }

    /// Takes the pending state away; true if there was one.
    pub(super) fn clear_pending(&mut self, intid: u32) -> bool {
        let Some(config) = self.pending.remove(&intid) else { return false };
        self.ready.remove(&(config & 0xfc, intid));
        true
    }

    /// Acknowledges `intid`: an LPI has no active state. False if it could not have been signalled.
    pub(super) fn acknowledge(&mut self, intid: u32) -> bool {
        self.pending.get(&intid).is_some_and(|c| c & 1 != 0) && self.clear_pending(intid)
    }

    /// Reads the configuration of `intid` again.
    pub(super) fn invalidate(&mut self, intid: u32, tables: &GicTables) {
        if self.clear_pending(intid) {
            let config = self.configuration(intid, tables);
            self.insert(intid, config);
        }
    }

    /// Reads all configuration again; how many LPIs that touched.
    pub(super) fn invalidate_all(&mut self, tables: &GicTables) -> usize {
        let ids: Vec<u32> = self.pending.keys().copied().collect();
        for &intid in &ids {
            self.invalidate(intid, tables);
        }
        ids.len()
    }

    /// Takes all pending LPIs away (MOVALL).
    pub(super) fn drain(&mut self) -> Vec<u32> {
        self.ready.clear();
        std::mem::take(&mut self.pending).into_keys().collect()
    }

    /// The LPI to signal. LPIs are Group 1.
    pub(super) fn best(&self) -> Option<Pending> {
        let &(priority, intid) = self.ready.first()?;
        Some(Pending { intid, priority, group: Group::G1 })
    }
}
