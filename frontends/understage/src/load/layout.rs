//! Who gets which part of RAM, and of the flash that a loaded program may be in.

use std::collections::BTreeMap;

use crate::error::{UserError, user_error};
use crate::map::{self, Range};
use crate::number::show_size;

/// The parts of memory that are taken.
#[derive(Debug)]
pub struct Layout {
    ram: Range,
    /// By first address; they do not overlap.
    taken: BTreeMap<u64, (Range, String)>,
}

impl Layout {
    /// Nothing is taken.
    #[must_use]
    pub fn new(ram: Range) -> Self {
        Self { ram, taken: BTreeMap::new() }
    }

    fn outside(&self, what: &str, size: u64) -> UserError {
        user_error!("the {} of RAM cannot hold {what} ({})", show_size(self.ram.size), show_size(size))
    }

    /// What is taken and overlaps `range`, the last of it.
    fn overlapping(&self, range: Range) -> Option<&(Range, String)> {
        let (_, last) = self.taken.range(..range.end()).next_back()?;
        last.0.overlaps(range).then_some(last)
    }

    /// The bank of flash that the address is in.
    #[must_use]
    pub fn flash_bank(address: u64) -> Option<usize> {
        [map::FLASH0, map::FLASH1].iter().position(|b| (b.base..b.end()).contains(&address))
    }

    /// Takes `size` bytes at `base` for `what`.
    pub fn take(&mut self, what: &str, base: u64, size: u64) -> Result<Range, UserError> {
        let bank = Self::flash_bank(base).map(|n| [map::FLASH0, map::FLASH1][n]);
        let (home, name) = match bank {
            Some(bank) => (bank, "a flash bank"),
            None => (self.ram, "RAM"),
        };
        if base < home.base {
            return Err(user_error!(
                "{what} would be at {base:#x}, which is not RAM (RAM starts at {:#x})",
                self.ram.base
            ));
        }
        if base.checked_add(size).is_none_or(|end| end > home.end()) {
            return Err(user_error!(
                "{what} would be at {base:#x} and {} long, beyond the {} of {name}",
                show_size(size),
                show_size(home.size)
            ));
        }
        let range = Range { base, size };
        if let Some((other, name)) = self.overlapping(range) {
            return Err(user_error!(
                "{what} at {:#x}..{:#x} would overlap {name} at {:#x}..{:#x}",
                range.base,
                range.end(),
                other.base,
                other.end()
            ));
        }
        if size != 0 {
            self.taken.insert(base, (range, what.to_owned()));
        }
        Ok(range)
    }

    /// Takes `size` bytes for `what` at the first free multiple of `align` (a power of two) from `preferred` on, or
    /// else from the start of RAM on.
    pub fn place(&mut self, what: &str, size: u64, preferred: u64, align: u64) -> Result<Range, UserError> {
        let from = [preferred, self.ram.base];
        let base = from.into_iter().find_map(|start| self.first_free(start, size, align));
        self.take(what, base.ok_or_else(|| self.outside(what, size))?, size)
    }

    fn first_free(&self, start: u64, size: u64, align: u64) -> Option<u64> {
        let mut base = start.max(self.ram.base).checked_next_multiple_of(align)?;
        loop {
            if base.checked_add(size)? > self.ram.end() {
                return None;
            }
            let range = Range { base, size };
            match self.overlapping(range) {
                None => return Some(base),
                Some((t, _)) => base = t.end().max(base + 1).checked_next_multiple_of(align)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn layout() -> Layout {
        Layout::new(Range { base: 0x4000_0000, size: 64 * MIB })
    }

    #[test]
    fn placement_goes_around_what_is_taken() {
        let mut l = layout();
        l.take("the kernel", 0x4020_0000, 20 * MIB).unwrap();
        l.take("x", 0x4200_0000, 0x1001).unwrap();
        assert_eq!(l.place("a", 0x100, 0x4200_0000, 0x1000).unwrap().base, 0x4200_2000);
        assert_eq!(l.place("b", 30 * MIB, 0x4200_0000, 2 * MIB).unwrap().base, 0x4220_0000);
        assert_eq!(l.place("c", 2 * MIB, 0x43e0_0000, 2 * MIB).unwrap().base, 0x4000_0000);
    }

    /// As many as an ELF file can have segments.
    #[test]
    fn there_may_be_many_of_them() {
        let mut l = layout();
        for n in 0..0xffff {
            l.take("a piece", 0x4000_0000 + n * 512, 256).unwrap();
        }
        assert!(l.take("z", 0x4000_0000 + 512 * 40_000 + 255, 2).is_err());
        assert_eq!(l.place("a", 512, 0x4000_0000, 4096).unwrap().base, 0x4200_0000);
    }

    #[test]
    fn refusals() {
        let mut l = layout();
        l.take("the kernel", 0x4020_0000, MIB).unwrap();
        let e = l.take("the blob", 0x4010_0000, 2 * MIB).unwrap_err().to_string();
        assert_eq!(
            e,
            "the blob at 0x40100000..0x40300000 would overlap the kernel at 0x40200000..0x40300000"
        );
        let e = l.take("the blob", 0x4380_0000, 9 * MIB).unwrap_err().to_string();
        assert_eq!(e, "the blob would be at 0x43800000 and 9 MiB long, beyond the 64 MiB of RAM");
        assert!(l.take("z", 0x900_0000, 1).unwrap_err().to_string().contains("not RAM"));
        let e = l.take("z", 0x3ff_ffff, 2).unwrap_err().to_string();
        assert_eq!(e, "z would be at 0x3ffffff and 2 bytes long, beyond the 64 MiB of a flash bank");
        assert!(
            l.take("in flash", 0x3ff_ffff, 1).is_ok() && l.take("and more", 0x400_0000, 64 * MIB).is_ok()
        );
        assert!(l.take("z", 0x7ff_ffff, 1).unwrap_err().to_string().contains("would overlap and more"));
        assert!(l.take("z", u64::MAX, 2).unwrap_err().to_string().contains("beyond"));
        let e = l.place("the initrd", 80 * MIB, 0x4000_0000, 4096).unwrap_err().to_string();
        assert_eq!(e, "the 64 MiB of RAM cannot hold the initrd (80 MiB)");
    }
}
