//! The commands of the ITS (IHI 0069, 5.3): 32 bytes each, four little-endian doublewords.

use super::tables::{Device, Event};
use super::{COMMAND, Its, VALID};
use crate::gic::Gicv3;
use crate::gic::lpi::{FIRST_LPI, INTID_BITS, Lpis};

/// Why a command was skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// No such command.
    Unknown,
    /// A DeviceID outside of the device table.
    Device,
    /// A collection outside of the collection table.
    Collection,
    /// An EventID, INTID or size outside of its range.
    Range,
    /// A device, event or collection that is not mapped.
    Unmapped,
    /// An RDbase that names no PE.
    Target,
    /// A table that is not in RAM.
    Memory,
}

impl Refused {
    /// For the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Unknown => "ITS command that does not exist",
            Self::Device => "ITS command with a DeviceID outside of the device table",
            Self::Collection => "ITS command with a collection outside of the collection table",
            Self::Range => "ITS command with an identifier out of range",
            Self::Unmapped => "ITS command for what is not mapped",
            Self::Target => "ITS command for no PE",
            Self::Memory => "ITS table is not in RAM",
        }
    }
}

/// A command with its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Movi {
        device: u32,
        event: u32,
        collection: u32,
    },
    Int {
        device: u32,
        event: u32,
    },
    Clear {
        device: u32,
        event: u32,
    },
    Sync,
    Mapd {
        device: u32,
        itt: u64,
        size: u32,
        valid: bool,
    },
    Mapc {
        collection: u32,
        rdbase: u64,
        valid: bool,
    },
    /// MAPTI, and MAPI with `intid` equal to `event`.
    Mapti {
        device: u32,
        event: u32,
        intid: u32,
        collection: u32,
    },
    Inv {
        device: u32,
        event: u32,
    },
    Invall {
        collection: u32,
    },
    Movall {
        from: u64,
        to: u64,
    },
    Discard {
        device: u32,
        event: u32,
    },
}

/// Reads a command.
pub(super) fn decode(raw: &[u8; COMMAND as usize]) -> Result<Command, Refused> {
    let mut dw = [0u64; 4];
    for (d, bytes) in dw.iter_mut().zip(raw.chunks_exact(8)) {
        *d = bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b));
    }
    let device = (dw[0] >> 32) as u32;
    let event = dw[1] as u32;
    let collection = dw[2] as u32 & 0xffff;
    // RDbase is bits 50:16; with GITS_TYPER.PTA = 0 it holds a PE number.
    let rdbase = |d: u64| d >> 16 & 0x7_ffff_ffff;
    let valid = dw[2] & VALID != 0;
    Ok(match dw[0] as u8 {
        0x01 => Command::Movi { device, event, collection },
        0x03 => Command::Int { device, event },
        0x04 => Command::Clear { device, event },
        0x05 => Command::Sync,
        0x08 => Command::Mapd { device, itt: dw[2] & 0x000f_ffff_ffff_ff00, size: event & 0x1f, valid },
        0x09 => Command::Mapc { collection, rdbase: rdbase(dw[2]), valid },
        0x0a => Command::Mapti { device, event, intid: (dw[1] >> 32) as u32, collection },
        0x0b => Command::Mapti { device, event, intid: event, collection },
        0x0c => Command::Inv { device, event },
        0x0d => Command::Invall { collection },
        0x0e => Command::Movall { from: rdbase(dw[2]), to: rdbase(dw[3]) },
        0x0f => Command::Discard { device, event },
        _ => return Err(Refused::Unknown),
    })
}

impl Its {
    /// Executes a command; says how many LPIs it had to touch beyond one.
    pub(super) fn execute(&mut self, command: Command, gic: &Gicv3) -> Result<u64, Refused> {
        match command {
            Command::Mapd { device, itt, size, valid } => {
                self.cache.clear();
                self.set_device(device, valid.then_some(Device { itt, size }), gic)?;
            }
            Command::Mapc { collection, rdbase, valid } => {
                self.cache.clear();
                let pe = if valid { Some(pe_number(rdbase, gic)?) } else { None };
                self.set_collection(collection, pe, gic)?;
            }
            Command::Mapti { device, event, intid, collection } => {
                self.cache.clear();
                if !(FIRST_LPI..1 << INTID_BITS).contains(&intid) {
                    return Err(Refused::Range);
                }
                let at = self.event_entry(device, event, gic)?;
                self.set_event(at, Some(Event { intid, collection }), gic)?;
            }
            Command::Movi { device, event, collection } => self.movi(device, event, collection, gic)?,
            Command::Movall { from, to } => return self.movall(from, to, gic),
            Command::Int { device, event } => {
                let (intid, pe) = self.target(device, event, gic)?;
                self.with_lpis(pe, gic, |l| l.set_pending(intid, &gic.tables()));
            }
            Command::Clear { device, event } => {
                let (intid, pe) = self.target(device, event, gic)?;
                self.with_lpis(pe, gic, |l| l.clear_pending(intid));
            }
            Command::Discard { device, event } => self.discard(device, event, gic)?,
            Command::Inv { device, event } => {
                let (intid, pe) = self.target(device, event, gic)?;
                self.with_lpis(pe, gic, |l| l.invalidate(intid, &gic.tables()));
            }
            Command::Invall { collection } => {
                let pe = self.collection(collection, gic)?;
                return Ok(self.with_lpis(pe, gic, |l| l.invalidate_all(&gic.tables())) as u64);
            }
            // Every command is complete before the next one starts.
            Command::Sync => {}
        }
        Ok(0)
    }

    /// The LPI of an event, and its PE.
    fn target(&self, device: u32, event: u32, gic: &Gicv3) -> Result<(u32, usize), Refused> {
        let (_, e) = self.event(device, event, gic)?;
        let intid = e.intid;
        Ok((intid, self.collection(e.collection, gic)?))
    }

    /// Moves an event to another collection, with its pending state.
    fn movi(&mut self, device: u32, event: u32, collection: u32, gic: &Gicv3) -> Result<(), Refused> {
        self.cache.clear();
        let (at, e) = self.event(device, event, gic)?;
        let from = self.collection(e.collection, gic)?;
        let to = self.collection(collection, gic)?;
        self.set_event(at, Some(Event { collection, ..e }), gic)?;
        if from != to && self.with_lpis(from, gic, |l| l.clear_pending(e.intid)) {
            self.with_lpis(to, gic, |l| l.set_pending(e.intid, &gic.tables()));
        }
        Ok(())
    }

    /// Unmaps an event, and takes its pending state away.
    fn discard(&mut self, device: u32, event: u32, gic: &Gicv3) -> Result<(), Refused> {
        self.cache.clear();
        let (at, e) = self.event(device, event, gic)?;
        self.set_event(at, None, gic)?;
        if let Ok(pe) = self.collection(e.collection, gic) {
            self.with_lpis(pe, gic, |l| l.clear_pending(e.intid));
        }
        Ok(())
    }

    /// Moves all pending LPIs of one PE to another.
    fn movall(&mut self, from: u64, to: u64, gic: &Gicv3) -> Result<u64, Refused> {
        let (from, to) = (pe_number(from, gic)?, pe_number(to, gic)?);
        if from == to {
            return Ok(0);
        }
        let moved = self.with_lpis(from, gic, Lpis::drain);
        self.with_lpis(to, gic, |l| moved.iter().for_each(|&intid| l.set_pending(intid, &gic.tables())));
        Ok(moved.len() as u64)
    }
}

fn pe_number(rdbase: u64, gic: &Gicv3) -> Result<usize, Refused> {
    usize::try_from(rdbase).ok().filter(|&pe| pe < gic.pes.len()).ok_or(Refused::Target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(dw: [u64; 4]) -> [u8; 32] {
        let mut out = [0; 32];
        for (o, d) in out.chunks_exact_mut(8).zip(dw) {
            o.copy_from_slice(&d.to_le_bytes());
        }
        out
    }

    #[test]
    fn decodes_operands() {
        let mapd = raw([0x18 << 32 | 0x08, 4, 1 << 63 | 0x4123_4500, 0]);
        let want = Command::Mapd { device: 0x18, itt: 0x4123_4500, size: 4, valid: true };
        assert_eq!(decode(&mapd), Ok(want));
        let mapti = raw([7 << 32 | 0x0a, 8200 << 32 | 3, 9, 0]);
        assert_eq!(decode(&mapti), Ok(Command::Mapti { device: 7, event: 3, intid: 8200, collection: 9 }));
        let mapc = raw([0x09, 0, 1 << 63 | 2 << 16 | 5, 0]);
        assert_eq!(decode(&mapc), Ok(Command::Mapc { collection: 5, rdbase: 2, valid: true }));
        let movall = raw([0x0e, 0, 1 << 16, 2 << 16]);
        assert_eq!(decode(&movall), Ok(Command::Movall { from: 1, to: 2 }));
        assert_eq!(decode(&raw([0x2a, 0, 0, 0])), Err(Refused::Unknown));
    }
}
