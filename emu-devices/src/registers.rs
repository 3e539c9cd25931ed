//! Register maps as data, and the bus side of devices that are a bank of 32-bit registers.
//!
//! A device lists its registers once, as rows of a [`RegisterMap`]. The map decides what is decoded, who may read and
//! write, and what constants (identification registers) read as; documentation and debuggers read the same rows.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::metrics::{Counters, Metric};

/// Who may do what with a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads as its reset value, for ever.
    Constant,
    /// Writes are ignored.
    ReadOnly,
    /// Reads as zero.
    WriteOnly,
    /// Both.
    ReadWrite,
}

/// One register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Offset of the first byte.
    pub offset: u64,
    /// Length in bytes: 4, or more for a window.
    pub length: u64,
    /// Name in the specification.
    pub name: &'static str,
    /// Access.
    pub access: Access,
    /// Value after reset.
    pub reset: u32,
}

/// Makes a 4-byte row.
#[must_use]
pub const fn row(offset: u64, name: &'static str, access: Access, reset: u32) -> Register {
    Register { offset, length: 4, name, access, reset }
}

/// The registers of a device.
#[derive(Debug)]
pub struct RegisterMap {
    /// The specification that the names are from.
    pub specification: &'static str,
    /// The registers, by offset.
    pub rows: &'static [Register],
    /// PrimeCell identification: the low bytes of PeriphID0..3 and PCellID0..3 at 0xFE0, or `None`.
    pub primecell: Option<[u8; 8]>,
}

impl RegisterMap {
    /// The register that holds `offset`.
    #[must_use]
    pub fn find(&self, offset: u64) -> Option<Register> {
        let i = self.rows.partition_point(|r| r.offset <= offset);
        let listed = self.rows[..i].last().filter(|r| offset - r.offset < r.length).copied();
        listed.or_else(|| self.identification(offset))
    }

    fn identification(&self, offset: u64) -> Option<Register> {
        const NAMES: [&str; 8] = [
            "PeriphID0",
            "PeriphID1",
            "PeriphID2",
            "PeriphID3",
            "PCellID0",
            "PCellID1",
            "PCellID2",
            "PCellID3",
        ];
        let i = offset.checked_sub(0xfe0)? as usize / 4;
        let value = *self.primecell.as_ref()?.get(i)?;
        Some(row(0xfe0 + 4 * i as u64, NAMES[i], Access::Constant, value.into()))
    }

    /// The reset value of the register at `offset`, zero if there is none.
    #[must_use]
    pub fn reset(&self, offset: u64) -> u32 {
        self.find(offset).map_or(0, |r| r.reset)
    }
}

/// The last four identification bytes of every PrimeCell.
pub const PCELL_ID: [u8; 4] = [0x0d, 0xf0, 0x05, 0xb1];

/// The PrimeCell identification of Arm's part `part` in the given revision (PeriphID2\[7:4\]).
#[must_use]
pub const fn primecell(part: u8, revision: u8) -> Option<[u8; 8]> {
    let [a, b, c, d] = PCELL_ID;
    Some([part, 0x10, revision << 4 | 4, 0x00, a, b, c, d])
}

/// The bus side of a bank of registers: decoding, access widths, and the count of accesses that no driver makes. Such
/// accesses read as zero and write nothing.
pub struct RegisterBank {
    name: String,
    map: &'static RegisterMap,
    counters: Arc<Counters>,
}

impl RegisterBank {
    /// A bank for the device called `name`.
    #[must_use]
    pub fn new(name: &str, map: &'static RegisterMap, counters: &Arc<Counters>) -> Self {
        Self { name: name.to_owned(), map, counters: counters.clone() }
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts something that no sane guest does.
    pub fn anomaly(&self, offset: u64, what: &str) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }

    /// Reads `size` at `offset`; `word` reads a register by its 4-byte aligned offset. A doubleword is two words.
    pub fn read(&self, offset: u64, size: Size, word: impl Fn(u64) -> u32) -> u64 {
        let one = |at: u64| match self.map.find(at) {
            Some(r) => match r.access {
                Access::Constant => r.reset,
                Access::ReadOnly | Access::ReadWrite => word(at & !3),
                Access::WriteOnly => 0,
            },
            None => {
                self.anomaly(at, "read of nothing");
                0
            }
        };
        let low = u64::from(one(offset));
        match size {
            Size::B8 => low | u64::from(one(offset.wrapping_add(4))) << 32,
            _ => low >> (8 * (offset & 3)) & size.mask(),
        }
    }

    /// Writes `size` at `offset`; a narrow write gives zeros for the bytes that it leaves out, as on a bus without
    /// byte strobes.
    pub fn write(&self, offset: u64, size: Size, value: u64, mut word: impl FnMut(u64, u32)) {
        let mut one = |at: u64, value: u32| match self.map.find(at).map(|r| r.access) {
            Some(Access::WriteOnly | Access::ReadWrite) => word(at & !3, value),
            Some(_) => self.anomaly(at, "write of a read-only register"),
            None => self.anomaly(at, "write of nothing"),
        };
        one(offset, ((value & size.mask()) << (8 * (offset & 3))) as u32);
        if size == Size::B8 {
            one(offset.wrapping_add(4), (value >> 32) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static MAP: RegisterMap = RegisterMap {
        specification: "test",
        rows: &[
            row(0, "A", Access::ReadWrite, 7),
            row(4, "B", Access::ReadOnly, 0),
            Register { offset: 0x10, length: 0x10, name: "W", access: Access::WriteOnly, reset: 0 },
        ],
        primecell: primecell(0x11, 1),
    };

    #[test]
    fn decode() {
        assert_eq!(MAP.find(0x1c).map(|r| r.name), Some("W"));
        assert_eq!(MAP.find(0x20), None);
        assert_eq!(MAP.find(8), None);
        assert_eq!(MAP.reset(0), 7);
        let ids: Vec<u32> = (0..8).map(|i| MAP.reset(0xfe0 + 4 * i)).collect();
        assert_eq!(ids, [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
        assert_eq!(MAP.find(0x1000), None);
    }

    #[test]
    fn widths_and_anomalies() {
        let counters = Arc::new(Counters::default());
        let bank = RegisterBank::new("test", &MAP, &counters);
        let word = |o| 0x1122_3344 + o as u32;
        assert_eq!(bank.read(1, Size::B1, word), 0x33);
        assert_eq!(bank.read(0, Size::B8, word), 0x1122_3348_1122_3344);
        assert_eq!(bank.read(0x10, Size::B4, word), 0);
        assert_eq!(counters.get(Metric::Anomalies), 0);
        assert_eq!(bank.read(0x20, Size::B4, word), 0);
        let mut seen = Vec::new();
        bank.write(0, Size::B1, 0xfff, |o, v| seen.push((o, v)));
        bank.write(4, Size::B4, 1, |o, v| seen.push((o, v)));
        bank.write(0xfe0, Size::B4, 1, |o, v| seen.push((o, v)));
        assert_eq!(seen, [(0, 0xff)]);
        assert_eq!(counters.get(Metric::Anomalies), 3);
    }
}
