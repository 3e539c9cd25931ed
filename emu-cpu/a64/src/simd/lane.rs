//! Elements of a vector: the four unsigned integer types as lanes, with the arithmetic of AdvSIMD on one element.
//!
//! Kernels take their operands as references to byte arrays and are not inlined into the function that has them in general
//! registers: only then does the compiler keep them in host vector registers and use one host instruction for all lanes.

/// Bytes of a vector register.
pub(crate) type Bytes = [u8; 16];

/// One element. `S` says whether it is taken as signed.
pub(crate) trait Lane: Copy + Default + PartialEq + 'static {
    /// Width.
    const BITS: u32;
    /// All elements of a register.
    type Lanes: Copy + Default + AsRef<[Self]> + AsMut<[Self]>;

    /// Elements of a register, lowest first.
    fn split(v: &Bytes) -> Self::Lanes;
    /// The opposite of [`Lane::split`].
    fn join(l: Self::Lanes) -> Bytes;
    /// The low bits.
    fn from_i64(v: i64) -> Self;
    /// The low bits.
    fn from_u64(v: u64) -> Self;
    /// Zero-extended.
    fn u(self) -> u64;
    /// Sign-extended.
    fn s(self) -> i64;
    /// All ones if true.
    fn mask(v: bool) -> Self;

    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn not(self) -> Self;
    fn max<const S: bool>(self, b: Self) -> Self;
    fn min<const S: bool>(self, b: Self) -> Self;
    fn abs_diff<const S: bool>(self, b: Self) -> Self;
    fn gt<const S: bool>(self, b: Self) -> bool;
    fn ge<const S: bool>(self, b: Self) -> bool;
    /// (a + b) >> 1 with all bits of the sum.
    fn half_add<const S: bool>(self, b: Self) -> Self;
    /// (a + b + 1) >> 1 with all bits of the sum.
    fn round_half_add<const S: bool>(self, b: Self) -> Self;
    /// (a - b) >> 1 with all bits of the difference.
    fn half_sub<const S: bool>(self, b: Self) -> Self;
    /// Saturated sum.
    fn sat_add<const S: bool>(self, b: Self) -> Self;
    /// Saturated difference.
    fn sat_sub<const S: bool>(self, b: Self) -> Self;
    /// Signed a plus unsigned b, as signed, saturated.
    fn sat_add_unsigned(self, b: Self) -> Self;
    /// Unsigned a plus signed b, as unsigned, saturated.
    fn sat_add_signed(self, b: Self) -> Self;
    /// Shift left by 0 to the width; the width gives 0.
    fn shl(self, n: u32) -> Self;
    /// Shift right by 0 to the width; the width gives 0 or the sign.
    fn shr<const S: bool>(self, n: u32) -> Self;
    fn leading_zeros(self) -> u32;
    fn count_ones(self) -> u32;
    fn reverse_bits(self) -> Self;
    /// Rotated right.
    fn ror(self, n: u32) -> Self;
}

/// A lane whose double is a lane too.
pub(crate) trait Narrow: Lane {
    /// Twice as wide.
    type Wide: Lane;
    /// Extended.
    fn widen<const S: bool>(self) -> Self::Wide;
}

macro_rules! lane {
    ($u:ident, $i:ident, $n:literal) => {
        impl Lane for $u {
            const BITS: u32 = $u::BITS;
            type Lanes = [$u; $n];

            #[inline(always)]
            fn split(v: &Bytes) -> [$u; $n] {
                const W: usize = size_of::<$u>();
                std::array::from_fn(|i| $u::from_le_bytes(std::array::from_fn(|k| v[i * W + k])))
            }
            #[inline(always)]
            fn join(l: [$u; $n]) -> Bytes {
                const W: usize = size_of::<$u>();
                let mut out = [0; 16];
                for i in 0..$n {
                    out[i * W..(i + 1) * W].copy_from_slice(&l[i].to_le_bytes());
                }
                out
            }
            #[inline(always)]
            fn from_i64(v: i64) -> Self {
                v as $u
            }
            #[inline(always)]
            fn from_u64(v: u64) -> Self {
                v as $u
            }
            #[inline(always)]
            fn u(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn s(self) -> i64 {
                i64::from(self as $i)
            }
            #[inline(always)]
            fn mask(v: bool) -> Self {
                if v { $u::MAX } else { 0 }
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            #[inline(always)]
            fn and(self, b: Self) -> Self {
                self & b
            }
            #[inline(always)]
            fn or(self, b: Self) -> Self {
                self | b
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn max<const S: bool>(self, b: Self) -> Self {
                if S { Ord::max(self as $i, b as $i) as $u } else { Ord::max(self, b) }
            }
            #[inline(always)]
            fn min<const S: bool>(self, b: Self) -> Self {
                if S { Ord::min(self as $i, b as $i) as $u } else { Ord::min(self, b) }
            }
            #[inline(always)]
            fn abs_diff<const S: bool>(self, b: Self) -> Self {
                if S { $i::abs_diff(self as $i, b as $i) } else { $u::abs_diff(self, b) }
            }
            #[inline(always)]
            fn gt<const S: bool>(self, b: Self) -> bool {
                if S { self as $i > b as $i } else { self > b }
            }
            #[inline(always)]
            fn ge<const S: bool>(self, b: Self) -> bool {
                if S { self as $i >= b as $i } else { self >= b }
            }
            #[inline(always)]
            fn half_add<const S: bool>(self, b: Self) -> Self {
                (self & b).wrapping_add(Lane::shr::<S>(self ^ b, 1))
            }
            #[inline(always)]
            fn round_half_add<const S: bool>(self, b: Self) -> Self {
                (self | b).wrapping_sub(Lane::shr::<S>(self ^ b, 1))
            }
            #[inline(always)]
            fn half_sub<const S: bool>(self, b: Self) -> Self {
                Lane::shr::<S>(self ^ b, 1).wrapping_sub(!self & b)
            }
            #[inline(always)]
            fn sat_add<const S: bool>(self, b: Self) -> Self {
                if S { (self as $i).saturating_add(b as $i) as $u } else { self.saturating_add(b) }
            }
            #[inline(always)]
            fn sat_sub<const S: bool>(self, b: Self) -> Self {
                if S { (self as $i).saturating_sub(b as $i) as $u } else { self.saturating_sub(b) }
            }
            #[inline(always)]
            fn sat_add_unsigned(self, b: Self) -> Self {
                (self as $i).saturating_add_unsigned(b) as $u
            }
            #[inline(always)]
            fn sat_add_signed(self, b: Self) -> Self {
                self.saturating_add_signed(b as $i)
            }
            #[inline(always)]
            fn shl(self, n: u32) -> Self {
                if n < $u::BITS { self << n } else { 0 }
            }
            #[inline(always)]
            fn shr<const S: bool>(self, n: u32) -> Self {
                if S {
                    (self as $i >> Ord::min(n, $u::BITS - 1)) as $u
                } else if n < $u::BITS {
                    self >> n
                } else {
                    0
                }
            }
            #[inline(always)]
            fn leading_zeros(self) -> u32 {
                $u::leading_zeros(self)
            }
            #[inline(always)]
            fn count_ones(self) -> u32 {
                $u::count_ones(self)
            }
            #[inline(always)]
            fn reverse_bits(self) -> Self {
                $u::reverse_bits(self)
            }
            #[inline(always)]
            fn ror(self, n: u32) -> Self {
                self.rotate_right(n)
            }
        }
    };
}

lane!(u8, i8, 16);
lane!(u16, i16, 8);
lane!(u32, i32, 4);
lane!(u64, i64, 2);

macro_rules! narrow {
    ($u:ident, $i:ident, $w:ident, $iw:ident) => {
        impl Narrow for $u {
            type Wide = $w;
            #[inline(always)]
            fn widen<const S: bool>(self) -> $w {
                if S { self as $i as $iw as $w } else { $w::from(self) }
            }
        }
    };
}

narrow!(u8, i8, u16, i16);
narrow!(u16, i16, u32, i32);
narrow!(u32, i32, u64, i64);
