//! Register maps as data.
//!
//! A device lists its registers once, as rows of a [`Map`]. A row has the name of the specification, the place, the accesses
//! that the register takes, what it is after reset, which of its bits can be read and written, and whose it is: a value of
//! the device's own enumeration, which the device matches without a wildcard. Decoding, masks, constants, tests and what
//! a monitor lists ([`Map::list`]) come from the same rows.

use crate::addr::Size;

/// Sizes of accesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes(u8);

impl Sizes {
    /// 8 bits.
    pub const BYTE: Self = Self(1);
    /// 16 bits.
    pub const HALF: Self = Self(2);
    /// 32 bits.
    pub const WORD: Self = Self(4);
    /// 8 or 32 bits: a byte for each of four.
    pub const BYTE_OR_WORD: Self = Self(1 | 4);
    /// 16 or 32 bits.
    pub const HALF_OR_WORD: Self = Self(2 | 4);
    /// 64 bits, or either half of them.
    pub const DOUBLE_OR_WORD: Self = Self(8 | 4);
    /// All.
    pub const ANY: Self = Self(15);

    /// True if `size` is one of them.
    #[must_use]
    pub const fn has(self, size: Size) -> bool {
        self.0 >> size as u8 & 1 != 0
    }

    /// The size of a register of `bytes` bytes and no other; of 8 bytes, also the halves.
    const fn of(bytes: u32) -> Self {
        match bytes {
            1 => Self::BYTE,
            2 => Self::HALF,
            4 => Self::WORD,
            _ => Self::DOUBLE_OR_WORD,
        }
    }
}

/// What is behind a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content<R: 'static> {
    /// A register that the device answers for.
    Register(R),
    /// Read-only, and one value for each element of the row. The map answers.
    Constant(&'static [u32]),
    /// Reads as zero, and writes are ignored (RAZ/WI). The map answers.
    Reserved,
}

/// One register, or an array of registers of one kind at equal distances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<R: 'static> {
    /// The specification's name, without the number of an element.
    pub name: &'static str,
    /// Offset of the first byte.
    pub offset: u32,
    /// Bytes of one register.
    pub bytes: u32,
    /// How many there are.
    pub count: u32,
    /// Bytes from one to the next.
    pub stride: u32,
    /// The number that the specification gives to the first element.
    pub first: u32,
    /// The accesses that it takes.
    pub sizes: Sizes,
    /// What it is.
    pub content: Content<R>,
    /// Value after reset, the same for all elements; none if it depends on the configuration or on the element.
    pub reset: Option<u64>,
    /// Bits that may read as one. With none, the register is write-only.
    pub readable: u64,
    /// Bits that a write changes, or that mean something in it. With none, the register is read-only.
    pub writable: u64,
    /// Bits that are cleared by writing one, where that is not a matter of the device.
    pub cleared: u64,
    /// Reading it changes something.
    pub read_has_effect: bool,
}

/// The bits of `bytes` bytes.
const fn mask_of(bytes: u32) -> u64 {
    u64::MAX >> (64 - 8 * bytes)
}

impl<R: Copy> Row<R> {
    const fn new(name: &'static str, offset: u32, bytes: u32, content: Content<R>) -> Self {
        Self {
            name,
            offset,
            bytes,
            count: 1,
            stride: bytes,
            first: 0,
            sizes: Sizes::of(bytes),
            content,
            reset: Some(0),
            readable: mask_of(bytes),
            writable: mask_of(bytes),
            cleared: 0,
            read_has_effect: false,
        }
    }

    /// An array of `count` such registers, one behind the other.
    #[must_use]
    pub const fn array(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Other distances than the register's own size.
    #[must_use]
    pub const fn stride(mut self, bytes: u32) -> Self {
        self.stride = bytes;
        self
    }

    /// The specification counts from `first` on.
    #[must_use]
    pub const fn first(mut self, first: u32) -> Self {
        self.first = first;
        self
    }

    /// Other accesses than those of the register's own size.
    #[must_use]
    pub const fn takes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// There are only these bits.
    #[must_use]
    pub const fn bits(mut self, mask: u64) -> Self {
        self.readable = mask;
        self.writable = mask;
        self
    }

    /// Only these bits can be written; what can be read stays as it is.
    #[must_use]
    pub const fn writes(mut self, mask: u64) -> Self {
        self.writable = mask;
        self
    }

    /// Writes are ignored; these bits may read as one.
    #[must_use]
    pub const fn read_only(mut self, mask: u64) -> Self {
        self.readable = mask;
        self.writable = 0;
        self
    }

    /// Reads as zero; these bits mean something in a write.
    #[must_use]
    pub const fn write_only(mut self, mask: u64) -> Self {
        self.readable = 0;
        self.writable = mask;
        self
    }

    /// Writing one to these bits clears them; they are not written otherwise.
    #[must_use]
    pub const fn cleared_by_one(mut self, mask: u64) -> Self {
        self.cleared = mask;
        self
    }

    /// The value after reset.
    #[must_use]
    pub const fn reset(mut self, value: u64) -> Self {
        self.reset = Some(value);
        self
    }

    /// The value after reset is not the same in every machine, or not for every element.
    #[must_use]
    pub const fn varies(mut self) -> Self {
        self.reset = None;
        self
    }

    /// A read changes something.
    #[must_use]
    pub const fn read_has_effect(mut self) -> Self {
        self.read_has_effect = true;
        self
    }

    /// Bytes from the first to behind the last.
    #[must_use]
    pub const fn extent(&self) -> u32 {
        (self.count - 1) * self.stride + self.bytes
    }

    fn hit(&'static self, offset: u32) -> Option<Hit<R>> {
        let at = offset.checked_sub(self.offset)?;
        let (index, byte) = (at / self.stride, at % self.stride);
        (index < self.count && byte < self.bytes).then_some(Hit { row: self, index, byte })
    }

    /// What reading gives without asking the device, if that is so.
    fn fixed(&self, index: u32) -> Option<u64> {
        match self.content {
            Content::Constant(values) => Some(values.get(index as usize).copied().unwrap_or(0).into()),
            Content::Reserved => Some(0),
            Content::Register(_) => (self.readable == 0).then_some(0),
        }
    }
}

/// A register of 32 bits that is zero after reset, and of which all bits can be read and written.
pub const fn word<R: Copy>(name: &'static str, offset: u32, reg: R) -> Row<R> {
    Row::new(name, offset, 4, Content::Register(reg))
}

/// The same with 64 bits. It takes accesses of its halves, too.
pub const fn double<R: Copy>(name: &'static str, offset: u32, reg: R) -> Row<R> {
    Row::new(name, offset, 8, Content::Register(reg))
}

/// The same with 16 bits.
pub const fn half<R: Copy>(name: &'static str, offset: u32, reg: R) -> Row<R> {
    Row::new(name, offset, 2, Content::Register(reg))
}

/// The same with 8 bits.
pub const fn byte<R: Copy>(name: &'static str, offset: u32, reg: R) -> Row<R> {
    Row::new(name, offset, 1, Content::Register(reg))
}

/// Words that never change, one behind the other: identification registers.
pub const fn constants<R: Copy>(name: &'static str, offset: u32, values: &'static [u32]) -> Row<R> {
    let row = Row::new(name, offset, 4, Content::Constant(values));
    row.array(values.len() as u32).read_only(mask_of(4)).varies()
}

/// The same with bytes.
pub const fn byte_constants<R: Copy>(name: &'static str, offset: u32, values: &'static [u32]) -> Row<R> {
    let row = Row::new(name, offset, 1, Content::Constant(values));
    row.array(values.len() as u32).read_only(mask_of(1)).varies()
}

/// A word that reads as zero and ignores writes.
pub const fn reserved<R: Copy>(name: &'static str, offset: u32) -> Row<R> {
    Row::new(name, offset, 4, Content::Reserved).bits(0)
}

/// A register that an access hits.
#[derive(Debug)]
pub struct Hit<R: 'static> {
    /// Its row.
    pub row: &'static Row<R>,
    /// Which element of the row.
    pub index: u32,
    /// Which byte of the element is the access's first.
    pub byte: u32,
}

/// What a write reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<R> {
    /// A register of the device.
    Register(R),
    /// One that cannot be written.
    ReadOnly,
    /// One that ignores writes, as software may rely on.
    Ignored,
}

impl<R: Copy> Hit<R> {
    /// Offset of the access's first byte from the row's.
    #[must_use]
    pub fn at(&self) -> u32 {
        self.index * self.row.stride + self.byte
    }

    /// The whole register. The device's value is asked for only if the map has no answer, and loses bits that the register does
    /// not have.
    pub fn value(&self, device: impl FnOnce(R) -> u64) -> u64 {
        match (self.row.fixed(self.index), self.row.content) {
            (None, Content::Register(reg)) => device(reg) & self.row.readable,
            (fixed, _) => fixed.unwrap_or(0),
        }
    }

    /// What a read of `size` gives.
    pub fn read(&self, size: Size, device: impl FnOnce(R) -> u64) -> u64 {
        self.value(device) >> (8 * self.byte) & size.mask()
    }

    /// What a write reaches.
    #[must_use]
    pub fn target(&self) -> Target<R> {
        match self.row.content {
            Content::Register(reg) if self.row.writable != 0 => Target::Register(reg),
            Content::Reserved => Target::Ignored,
            Content::Register(_) | Content::Constant(_) => Target::ReadOnly,
        }
    }

    /// The writable bits of the register after a write of `value`: those that the access does not reach stay as in `old`.
    #[must_use]
    pub fn merged(&self, old: u64, size: Size, value: u64) -> u64 {
        let shift = 8 * self.byte;
        let reached = size.mask() << shift;
        (old & !reached | value << shift & reached) & self.row.writable
    }

    /// The same of a write that reaches all of the register.
    #[must_use]
    pub fn written(&self, size: Size, value: u64) -> u64 {
        self.merged(0, size, value)
    }
}

/// The registers of a device, or those of a part of it that has a place of its own.
#[derive(Debug)]
pub struct Map<R: 'static> {
    /// The specification that the names are from.
    pub specification: &'static str,
    /// Bytes of the window that the registers are in.
    pub window: u64,
    /// The registers, by offset.
    pub rows: &'static [Row<R>],
}

impl<R: Copy> Map<R> {
    /// The register that has the byte at `offset`, whatever the size of the access.
    #[must_use]
    pub fn at(&self, offset: u64) -> Option<Hit<R>> {
        let offset = u32::try_from(offset).ok()?;
        let before = self.rows.partition_point(|r| r.offset <= offset);
        // The last one is it, but where arrays alternate.
        self.rows[..before].iter().rev().find_map(|r| r.hit(offset))
    }

    /// The register that an access of `size` at `offset` hits. None if nothing is there, or what is there takes no such
    /// access.
    #[must_use]
    pub fn find(&self, offset: u64, size: Size) -> Option<Hit<R>> {
        self.at(offset).filter(|hit| hit.row.sizes.has(size) && offset.is_multiple_of(size.bytes()))
    }

    /// All elements with their values, at `base` and behind. `peek` tells the value of a register whose reading changes
    /// nothing; none if this device has no such element.
    pub fn list(&self, base: u64, mut peek: impl FnMut(R, u32) -> Option<u64>) -> Vec<Listed> {
        let mut out = Vec::new();
        for row in self.rows {
            for index in 0..row.count {
                let Some(value) = row.shown(index, &mut peek) else { continue };
                out.push(Listed {
                    name: row.name,
                    number: (row.count > 1).then_some(row.first + index),
                    offset: base + u64::from(row.offset + index * row.stride),
                    bytes: row.bytes,
                    value,
                    reset: row.reset,
                });
            }
        }
        out
    }

    /// True if no register has bits that it does not have, as a state may that was not saved by the device.
    pub fn holds(&self, mut peek: impl FnMut(R, u32) -> Option<u64>) -> bool {
        self.rows.iter().all(|row| match row.content {
            Content::Register(reg) => {
                (0..row.count).all(|index| peek(reg, index).is_none_or(|v| v & !row.readable == 0))
            }
            Content::Constant(_) | Content::Reserved => true,
        })
    }

    /// What is wrong with the rows, in words: for tests.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        let overlap = self.rows.iter().enumerate().find_map(|(i, row)| {
            let end = row.offset + row.extent();
            self.rows[i + 1..].iter().find(|other| other.offset < end && row.collides(other))
        });
        let sorted = self.rows.is_sorted_by_key(|r| r.offset);
        let outside = self.rows.iter().find(|r| u64::from(r.offset + r.extent()) > self.window);
        let flawed = self.rows.iter().find_map(|r| Some(format!("{}: {}", r.name, r.flaw()?)));
        match (sorted, overlap, outside) {
            (false, ..) => Some("the rows are not sorted".to_owned()),
            (_, Some(r), _) => Some(format!("{} overlaps another register", r.name)),
            (.., Some(r)) => Some(format!("{} is outside of the window", r.name)),
            _ => flawed,
        }
    }
}

impl<R: Copy> Row<R> {
    fn shown(&self, index: u32, peek: &mut impl FnMut(R, u32) -> Option<u64>) -> Option<Shown> {
        match self.content {
            _ if self.read_has_effect => Some(Shown::ReadHasEffect),
            Content::Reserved => None,
            Content::Register(_) if self.readable == 0 => Some(Shown::WriteOnly),
            Content::Register(reg) => peek(reg, index).map(|v| Shown::Value(v & self.readable)),
            Content::Constant(_) => self.fixed(index).map(Shown::Value),
        }
    }

    /// A byte belongs to both.
    fn collides(&self, other: &Self) -> bool {
        let bytes = |r: &Self| {
            let (offset, stride, bytes) = (r.offset, r.stride, r.bytes);
            (0..r.count).map(move |i| (offset + i * stride, bytes))
        };
        bytes(other).any(|(at, n)| {
            let inside = |b: u32| {
                let d = b.wrapping_sub(self.offset);
                d / self.stride < self.count && d % self.stride < self.bytes
            };
            (at..at + n).any(inside)
        })
    }

    fn flaw(&self) -> Option<&'static str> {
        let mask = mask_of(self.bytes);
        let aligned = self.offset.is_multiple_of(self.bytes) && self.stride.is_multiple_of(self.bytes);
        let constants = match self.content {
            Content::Constant(values) => values.len() == self.count as usize && self.writable == 0,
            _ => true,
        };
        let checks = [
            (matches!(self.bytes, 1 | 2 | 4 | 8), "it has an odd size"),
            (self.count > 0 && self.stride >= self.bytes, "its elements overlap"),
            (aligned, "it is not aligned"),
            (
                (self.readable | self.writable | self.cleared) & !mask == 0,
                "a mask is wider than the register",
            ),
            (self.reset.is_none_or(|v| v & !self.readable == 0), "bits of the reset value cannot be read"),
            (self.writable & self.cleared == 0, "bits are both written and cleared"),
            (constants, "its constants do not fit"),
            (!self.read_has_effect || self.readable != 0, "it cannot be read, so that has no effect"),
        ];
        checks.into_iter().find(|(good, _)| !good).map(|(_, why)| why)
    }
}

/// What a monitor shows of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// Its value.
    Value(u64),
    /// It cannot be shown: reading it changes something.
    ReadHasEffect,
    /// It cannot be read.
    WriteOnly,
}

/// A register as a monitor lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Name in the specification.
    pub name: &'static str,
    /// Of an array, which one.
    pub number: Option<u32>,
    /// Offset in the device.
    pub offset: u64,
    /// Bytes.
    pub bytes: u32,
    /// What it has.
    pub value: Shown,
    /// What it has after reset, if that is always the same.
    pub reset: Option<u64>,
}

/// A map, whatever its registers are: for tests that go through all of them.
pub trait AnyMap: Sync {
    /// See [`Map::specification`].
    fn specification(&self) -> &'static str;
    /// See [`Map::flaw`].
    fn flaw(&self) -> Option<String>;
    /// The names that a device lists which has all of the registers.
    fn names(&self) -> Vec<&'static str>;
}

impl<R: Copy + Sync> AnyMap for Map<R> {
    fn specification(&self) -> &'static str {
        self.specification
    }
    fn flaw(&self) -> Option<String> {
        Map::flaw(self)
    }
    fn names(&self) -> Vec<&'static str> {
        self.list(0, |_, _| Some(0)).iter().map(|l| l.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Reg {
        Control,
        Data,
        Table,
        Mask,
        Base,
        Go,
    }

    static MAP: Map<Reg> = Map {
        specification: "none",
        window: 0x100,
        rows: &[
            word("CONTROL", 0x00, Reg::Control).bits(0xff).reset(0x12),
            word("DATA", 0x04, Reg::Data).read_has_effect(),
            double("BASE", 0x08, Reg::Base).bits(0xffff_0000_ffff_f000),
            half("GO", 0x10, Reg::Go).write_only(1),
            word("TABLE", 0x20, Reg::Table).array(4).stride(8),
            byte("MASK", 0x24, Reg::Mask).array(4).stride(8).first(1),
            reserved("OLD", 0x50).array(2),
            constants("ID", 0xf8, &[7, 8]),
        ],
    };

    #[test]
    fn accesses_find_registers() {
        let place = |offset, size| MAP.find(offset, size).map(|h| (h.row.name, h.index, h.byte));
        assert_eq!(place(0, Size::B4), Some(("CONTROL", 0, 0)));
        assert_eq!(place(0, Size::B1), None, "a size that it does not take");
        assert_eq!(place(0xc, Size::B4), Some(("BASE", 0, 4)));
        assert_eq!(place(0xc, Size::B8), None, "not aligned");
        assert_eq!(place(0x30, Size::B4), Some(("TABLE", 2, 0)));
        assert_eq!(place(0x34, Size::B1), Some(("MASK", 2, 0)), "alternating arrays");
        assert_eq!((place(0x25, Size::B1), place(0x40, Size::B4)), (None, None));
        assert_eq!(MAP.at(3).map(|h| h.byte), Some(3), "whatever the size");
        assert_eq!(MAP.at(1 << 40).map(|h| h.byte), None);
    }

    #[test]
    fn masks_and_parts() {
        let hit = MAP.find(0xc, Size::B4).unwrap();
        assert_eq!(hit.read(Size::B4, |_| u64::MAX), 0xffff_0000);
        assert_eq!(hit.merged(0x1_2345_6000, Size::B4, 0xabcd_1234), 0xabcd_0000_2345_6000);
        let at = |offset| MAP.at(offset).unwrap();
        assert_eq!(at(0).written(Size::B4, 0x1ff), 0xff);
        assert_eq!(at(0x10).read(Size::B2, |_| 1), 0, "write-only");
        assert_eq!(at(0xfc).read(Size::B4, |_| 0), 8);
        assert_eq!((at(0xf8).target(), at(0x54).target()), (Target::ReadOnly, Target::Ignored));
        assert_eq!(at(0x10).target(), Target::Register(Reg::Go));
    }

    #[test]
    fn a_list_leaves_out_what_is_not_there() {
        let list = MAP.list(0x1000, |reg, index| (reg != Reg::Table || index < 2).then_some(0x1ff));
        let names: Vec<_> = list.iter().map(|l| (l.name, l.number)).collect();
        assert_eq!(
            names[..6],
            [
                ("CONTROL", None),
                ("DATA", None),
                ("BASE", None),
                ("GO", None),
                ("TABLE", Some(0)),
                ("TABLE", Some(1)),
            ]
        );
        assert_eq!((names[6], names.len()), (("MASK", Some(1)), 12));
        assert_eq!((list[0].value, list[1].value), (Shown::Value(0xff), Shown::ReadHasEffect));
        assert_eq!((list[3].value, list[11].offset), (Shown::WriteOnly, 0x10fc));
    }

    #[test]
    fn flaws_are_found() {
        assert_eq!(MAP.flaw(), None);
        let flaw =
            |rows: &[Row<Reg>]| Map { specification: "", window: 0x10, rows: Box::leak(rows.into()) }.flaw();
        const A: Row<Reg> = word("A", 0, Reg::Control);
        for (rows, why) in [
            (&[word("B", 4, Reg::Data), A] as &[_], "the rows are not sorted"),
            (&[A.array(2), word("B", 4, Reg::Data)], "B overlaps another register"),
            (&[A.array(5)], "A is outside of the window"),
            (&[half("A", 1, Reg::Go)], "A: it is not aligned"),
            (&[A.bits(1).reset(2)], "A: bits of the reset value cannot be read"),
            (&[half("A", 0, Reg::Go).writes(1 << 16)], "A: a mask is wider than the register"),
            (&[A.array(2).stride(2)], "A: its elements overlap"),
            (&[A.cleared_by_one(1)], "A: bits are both written and cleared"),
            (&[constants("A", 0, &[1]).array(2)], "A: its constants do not fit"),
            (&[A.write_only(1).read_has_effect()], "A: it cannot be read, so that has no effect"),
        ] {
            assert_eq!(flaw(rows).as_deref(), Some(why));
        }
    }
}
