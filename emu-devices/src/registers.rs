//! The bus side of devices that are a bank of 32-bit registers (Arm's PrimeCells): any width of access, and the count of
//! accesses that no driver makes. Such accesses read as zero and write nothing.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Map, Target};

/// PCellID0 to PCellID3 of every PrimeCell, which are at 0xff0.
pub const PCELL_ID: &[u32] = &[0x0d, 0xf0, 0x05, 0xb1];

/// PeriphID0 to PeriphID3, which are at 0xfe0: Arm's part `part` in the given revision (PeriphID2\[7:4\]).
#[must_use]
pub const fn periph_id(part: u32, revision: u32) -> [u32; 4] {
    [part, 0x10, revision << 4 | 4, 0x00]
}

/// Bytes of a PrimeCell's registers.
pub const WINDOW: u64 = 0x1000;

/// A bank of the registers of a [`Map`].
pub struct RegisterBank<R: 'static> {
    name: String,
    map: &'static Map<R>,
    counters: Arc<Counters>,
}

impl<R: Copy> RegisterBank<R> {
    /// A bank for the device called `name`.
    #[must_use]
    pub fn new(name: &str, map: &'static Map<R>, counters: &Arc<Counters>) -> Self {
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

    /// Reads `size` at `offset`; `word` reads a register, of an array the one with this index. A doubleword is two words.
    pub fn read(&self, offset: u64, size: Size, word: impl Fn(R, u32) -> u32) -> u64 {
        let one = |at: u64| match self.map.at(at) {
            Some(hit) => hit.value(|reg| word(reg, hit.index).into()),
            None => {
                self.anomaly(at, "read of nothing");
                0
            }
        };
        let low = one(offset);
        match size {
            Size::B8 => low | one(offset.wrapping_add(4)) << 32,
            _ => low >> (8 * (offset & 3)) & size.mask(),
        }
    }

    /// Writes `size` at `offset`; a narrow write gives zeros for the bytes that it leaves out, as on a bus without
    /// byte strobes.
    pub fn write(&self, offset: u64, size: Size, value: u64, mut word: impl FnMut(R, u32, u32)) {
        let mut one = |at: u64, value: u64| match self.map.at(at).map(|hit| (hit.target(), hit)) {
            Some((Target::Register(reg), hit)) => word(reg, hit.index, (value & hit.row.writable) as u32),
            Some(_) => self.anomaly(at, "write of a read-only register"),
            None => self.anomaly(at, "write of nothing"),
        };
        one(offset, (value & size.mask()) << (8 * (offset & 3)) & 0xffff_ffff);
        if size == Size::B8 {
            one(offset.wrapping_add(4), value >> 32);
        }
    }
}

#[cfg(test)]
mod all_maps;

#[cfg(test)]
mod tests {
    use emu_core::registers::{constants, word};

    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Reg {
        A,
        B,
        W,
    }

    static MAP: Map<Reg> = Map {
        specification: "test",
        window: WINDOW,
        rows: &[
            word("A", 0, Reg::A).bits(0x7fff_ffff),
            word("B", 4, Reg::B).read_only(!0 >> 32),
            word("W", 0x10, Reg::W).array(4).write_only(0xff),
            constants("PeriphID", 0xfe0, &periph_id(0x11, 1)),
            constants("PCellID", 0xff0, PCELL_ID),
        ],
    };

    #[test]
    fn widths_and_anomalies() {
        let counters = Arc::new(Counters::default());
        let bank = RegisterBank::new("test", &MAP, &counters);
        let word = |reg: Reg, _| 0x9122_3344 + reg as u32;
        assert_eq!(bank.read(1, Size::B1, word), 0x33);
        assert_eq!(bank.read(0, Size::B8, word), 0x9122_3345_1122_3344);
        assert_eq!(bank.read(0x10, Size::B4, word), 0);
        let ids: Vec<u64> = (0..8).map(|i| bank.read(0xfe0 + 4 * i, Size::B4, word)).collect();
        assert_eq!(ids, [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
        assert_eq!(counters.get(Metric::Anomalies), 0);
        assert_eq!(bank.read(0x20, Size::B4, word), 0);
        let mut seen = Vec::new();
        bank.write(0, Size::B1, 0xfff, |r, i, v| seen.push((r, i, v)));
        bank.write(0x1d, Size::B1, 0xff, |r, i, v| seen.push((r, i, v)));
        bank.write(4, Size::B4, 1, |r, i, v| seen.push((r, i, v)));
        bank.write(0xfe0, Size::B4, 1, |r, i, v| seen.push((r, i, v)));
        assert_eq!(seen, [(Reg::A, 0, 0xff), (Reg::W, 3, 0)], "what a narrow write leaves out is zero");
        assert_eq!(counters.get(Metric::Anomalies), 3);
    }
}
