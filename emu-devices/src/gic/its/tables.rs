//! The tables of the ITS in guest memory (IHI 0069, 5.2). Their places and sizes are software's, the form of their
//! entries is ours: 8 bytes each, bit 63 says valid.

use emu_core::addr::Pa;

use super::commands::Refused;
use super::{COLLECTION_BITS, DEVICE_BITS, EVENT_BITS, ITT_ENTRY, Its, VALID};
use crate::gic::Gicv3;

/// Bytes of a device table entry.
pub(super) const DEVICE_ENTRY: u64 = 8;
/// Bytes of a collection table entry.
pub(super) const COLLECTION_ENTRY: u64 = 8;

/// GITS_BASER<n> (12.19.1).
#[derive(Clone, Copy)]
pub(super) struct Baser(u64);

impl Baser {
    /// Indirect: a table of pages of entries.
    pub(super) const INDIRECT: u64 = 1 << 62;
    /// Page_Size, bits 9:8: 64 KiB.
    pub(super) const PAGE_64K: u64 = 2 << 8;
    /// All but Type and Entry_Size.
    pub(super) const WRITABLE: u64 = !(0x7 << 56 | 0x1f << 48);

    /// The read-only fields of a table of `kind` with entries of `bytes`.
    pub(super) const fn fixed(kind: u64, bytes: u64) -> u64 {
        kind << 56 | (bytes - 1) << 48
    }

    fn page_size(self) -> u64 {
        match self.0 >> 8 & 3 {
            0 => 0x1000,
            1 => 0x4000,
            _ => 0x1_0000,
        }
    }

    /// The table's address. With 64 KiB pages, bits 15:12 of the register are address bits 51:48.
    fn base(self) -> u64 {
        if self.page_size() == 0x1_0000 {
            self.0 & 0x0000_ffff_ffff_0000 | (self.0 >> 12 & 0xf) << 48
        } else {
            self.0 & 0x0000_ffff_ffff_f000
        }
    }

    fn bytes(self) -> u64 {
        ((self.0 & 0xff) + 1) * self.page_size()
    }

    /// The address of the n-th 8-byte entry. None if the table does not reach that far.
    fn entry(self, n: u64, gic: &Gicv3) -> Option<u64> {
        if self.0 & VALID == 0 {
            return None;
        }
        if self.0 & Self::INDIRECT == 0 {
            return (n * 8 < self.bytes()).then(|| self.base() + n * 8);
        }
        let per_page = self.page_size() / 8;
        let first = n / per_page * 8;
        let level1 = gic.tables().read_u64((first < self.bytes()).then(|| Pa(self.base() + first))?)?;
        let page = level1 & 0x000f_ffff_ffff_ffff & !(self.page_size() - 1);
        (level1 & VALID != 0).then(|| page + n % per_page * 8)
    }
}

/// A device table entry: the ITT's address in bits 51:8, the number of EventID bits less one in 4:0.
#[derive(Clone, Copy)]
pub(super) struct Device {
    /// Address of the interrupt translation table.
    pub(super) itt: u64,
    /// EventID bits less one.
    pub(super) size: u32,
}

/// An interrupt translation table entry: the collection in bits 47:32, the LPI in 31:0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    /// The LPI.
    pub(super) intid: u32,
    /// The collection.
    pub(super) collection: u32,
}

impl Its {
    fn device_entry(&self, device: u32, gic: &Gicv3) -> Result<u64, Refused> {
        let known = device >> DEVICE_BITS == 0;
        let at = if known { Baser(self.state.baser[0]).entry(device.into(), gic) } else { None };
        at.ok_or(Refused::Device)
    }

    fn collection_entry(&self, collection: u32, gic: &Gicv3) -> Result<u64, Refused> {
        let known = collection >> COLLECTION_BITS == 0;
        let at = if known { Baser(self.state.baser[1]).entry(collection.into(), gic) } else { None };
        at.ok_or(Refused::Collection)
    }

    /// A mapped device.
    fn device(&self, device: u32, gic: &Gicv3) -> Result<Device, Refused> {
        let at = self.device_entry(device, gic)?;
        let entry = gic.tables().read_u64(Pa(at)).filter(|e| e & VALID != 0).ok_or(Refused::Unmapped)?;
        Ok(Device { itt: entry & 0x000f_ffff_ffff_ff00, size: (entry & 0x1f) as u32 })
    }

    /// Maps or unmaps a device.
    pub(super) fn set_device(&self, id: u32, to: Option<Device>, gic: &Gicv3) -> Result<(), Refused> {
        if to.is_some_and(|d| d.size >= EVENT_BITS) {
            return Err(Refused::Range);
        }
        let at = self.device_entry(id, gic)?;
        let entry = to.map_or(0, |d| VALID | d.itt & 0x000f_ffff_ffff_ff00 | u64::from(d.size));
        gic.tables().write_u64(Pa(at), entry).ok_or(Refused::Memory)
    }

    /// The address of an event's ITT entry.
    pub(super) fn event_entry(&self, device: u32, event: u32, gic: &Gicv3) -> Result<u64, Refused> {
        let d = self.device(device, gic)?;
        if u64::from(event) >= 2 << d.size.min(EVENT_BITS - 1) {
            return Err(Refused::Range);
        }
        Ok(d.itt + u64::from(event) * ITT_ENTRY)
    }

    /// A mapped event, and the address of its entry.
    pub(super) fn event(&self, device: u32, event: u32, gic: &Gicv3) -> Result<(u64, Event), Refused> {
        let at = self.event_entry(device, event, gic)?;
        let e = gic.tables().read_u64(Pa(at)).filter(|e| e & VALID != 0).ok_or(Refused::Unmapped)?;
        Ok((at, Event { intid: e as u32, collection: (e >> 32) as u32 & 0xffff }))
    }

    /// Writes an ITT entry.
    pub(super) fn set_event(&self, at: u64, event: Option<Event>, gic: &Gicv3) -> Result<(), Refused> {
        let entry = event.map_or(0, |e| VALID | u64::from(e.collection) << 32 | u64::from(e.intid));
        gic.tables().write_u64(Pa(at), entry).ok_or(Refused::Memory)
    }

    /// The PE that a collection is mapped to. The tables are in memory that the guest can write: the number is
    /// checked here.
    pub(super) fn collection(&self, id: u32, gic: &Gicv3) -> Result<usize, Refused> {
        let at = self.collection_entry(id, gic)?;
        let e = gic.tables().read_u64(Pa(at)).filter(|e| e & VALID != 0).ok_or(Refused::Unmapped)?;
        let pe = (e & 0xffff) as usize;
        if pe < gic.pes.len() { Ok(pe) } else { Err(Refused::Target) }
    }

    /// Maps or unmaps a collection.
    pub(super) fn set_collection(&self, id: u32, pe: Option<usize>, gic: &Gicv3) -> Result<(), Refused> {
        let at = self.collection_entry(id, gic)?;
        let entry = pe.map_or(0, |pe| VALID | pe as u64);
        gic.tables().write_u64(Pa(at), entry).ok_or(Refused::Memory)
    }
}
