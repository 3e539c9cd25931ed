//! The form of the configuration structures (Arm IHI 0070, chapter 5) as data: their fields, by the bits that the
//! specification gives, and the rules by which one is ILLEGAL.
//!
//! Translation, the linter and the explanation of a stream read the same rows.

/// An STE or a CD: 512 bits, as eight doublewords of which each is read at once.
pub type Words = [u64; 8];

/// A field of a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    hi: u16,
    lo: u16,
    /// It holds an address, without the low bits.
    address: bool,
}

impl Field {
    /// Bits `hi` to `lo` of the structure, which are in one doubleword.
    pub(crate) const fn new(name: &'static str, hi: u16, lo: u16) -> Self {
        assert!(hi >= lo && hi / 64 == lo / 64 && hi < 512);
        Self { name, hi, lo, address: false }
    }

    /// A field that holds an address, whose bits are at their places.
    pub(crate) const fn address(name: &'static str, hi: u16, lo: u16) -> Self {
        Self { address: true, ..Self::new(name, hi, lo) }
    }

    /// Its highest and its lowest bit.
    #[must_use]
    pub const fn bits(&self) -> (u16, u16) {
        (self.hi, self.lo)
    }

    const fn mask(&self) -> u64 {
        u64::MAX >> (63 - (self.hi - self.lo)) << (self.lo % 64)
    }

    /// Its value in a structure.
    #[must_use]
    pub const fn of(&self, words: &Words) -> u64 {
        (words[self.lo as usize / 64] & self.mask()) >> (self.lo % 64)
    }

    /// A field of one bit is set.
    #[must_use]
    pub const fn is_set(&self, words: &Words) -> bool {
        self.of(words) != 0
    }

    /// Its bits where they are: the address that it holds.
    #[must_use]
    pub const fn in_place(&self, words: &Words) -> u64 {
        words[self.lo as usize / 64] & self.mask()
    }

    /// What people want to see of it: an address, or its value.
    #[must_use]
    pub const fn shown(&self, words: &Words) -> u64 {
        if self.address { self.in_place(words) } else { self.of(words) }
    }
}

/// Names the fields of a structure, each by its highest and lowest bit, and lists them.
macro_rules! fields {
    ($($name:ident $text:literal $kind:ident $hi:literal : $lo:literal;)*) => {
        $(pub(crate) const $name: $crate::v3::layout::Field =
            $crate::v3::layout::Field::$kind($text, $hi, $lo);)*
        /// The fields that this implementation reads, in the order of their bits.
        pub const FIELDS: &[$crate::v3::layout::Field] = &[$($name),*];
    };
}
pub(crate) use fields;

/// What makes a structure ILLEGAL. `F` is the function that says whether it does.
#[derive(Clone, Copy, Debug)]
pub struct Rule<F> {
    /// The field to blame.
    pub field: Field,
    /// The section of Arm IHI 0070 that has the rule.
    pub section: &'static str,
    /// The rule, as what is wrong.
    pub why: &'static str,
    /// Whether a structure breaks it.
    pub(crate) broken: F,
}

/// A rule that a structure breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The field to blame.
    pub field: Field,
    /// The section of Arm IHI 0070 that has the rule.
    pub section: &'static str,
    /// What is wrong.
    pub why: &'static str,
}

impl<F> Rule<F> {
    /// The finding that a structure breaks this rule.
    pub(crate) const fn finding(&self) -> Broken {
        Broken { field: self.field, section: self.section, why: self.why }
    }
}

/// The lowest `bits` bits set (`bits` up to 64).
pub(crate) const fn low(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// A table base in the form of a TTBR. A register carries address bits 51:48 in its bits 5:2 where addresses of 52 bits are
/// output; an STE and a CD have them in place.
pub(crate) const fn as_ttbr(base: u64, wide: bool) -> u64 {
    if wide { base & low(48) & !low(6) | (base >> 48 & 0xf) << 2 } else { base & low(48) }
}

/// The output size that a PS or IPS field comes to: what is larger than the implementation's counts as that.
pub(crate) fn effective_size(ps: u64, implemented: u8) -> u8 {
    emu_mmu::config::physical_size(ps).min(implemented)
}

/// A table base is beyond an output size, or beyond what descriptors of its granule can name.
pub(crate) const fn out_of_range(base: u64, size: u8, granule: emu_mmu::Granule) -> bool {
    let format = if matches!(granule, emu_mmu::Granule::K64) { 52 } else { 48 };
    let bits = if size < format { size } else { format };
    base >> bits != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_mmu::Granule;

    #[test]
    fn a_field_is_its_bits() {
        const F: Field = Field::new("F", 69, 66);
        let words = [0, 0b10_1100, 0, 0, 0, 0, 0, 0];
        assert_eq!((F.of(&words), F.in_place(&words), F.bits()), (0b1011, 0b10_1100, (69, 66)));
        const WHOLE: Field = Field::new("WHOLE", 127, 64);
        assert_eq!(WHOLE.of(&[0, u64::MAX, 0, 0, 0, 0, 0, 0]), u64::MAX);
        assert!(Field::new("TOP", 511, 511).is_set(&[0, 0, 0, 0, 0, 0, 0, 1 << 63]));
    }

    #[test]
    fn table_bases_take_the_form_of_a_register() {
        assert_eq!(as_ttbr(0x000a_1234_5678_9040, true), 0x1234_5678_9040 | 0xa << 2);
        assert_eq!(as_ttbr(0x1234_5678_9050, false), 0x1234_5678_9050);
        assert!(out_of_range(1 << 48, 52, Granule::K4) && !out_of_range(1 << 48, 52, Granule::K64));
        assert!(out_of_range(1 << 44, 44, Granule::K64));
        assert_eq!((effective_size(5, 44), effective_size(0, 44), effective_size(7, 52)), (44, 32, 52));
    }
}
