//! Vectors that code needs as operands in memory. They are part of the frame.

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        /// See the module's head.
        #[derive(Clone, Copy)]
        #[repr(C, align(16))]
        pub struct Constants {
            $($(#[$doc])* pub $name: u128,)*
        }

        impl Constants {
            /// The only value.
            pub const ALL: Self = Self { $($name: $value,)* };
        }
    };
}

/// Four equal words.
const fn words(w: u32) -> u128 {
    doublewords((w as u64) << 32 | w as u64)
}

/// Two equal doublewords.
const fn doublewords(d: u64) -> u128 {
    (d as u128) << 64 | d as u128
}

constants! {
    /// All but the sign of doubles.
    absolute64 = doublewords(u64::MAX >> 1);
    /// All but the sign of singles.
    absolute32 = words(u32::MAX >> 1);
    /// The signs of doubles.
    sign64 = doublewords(1 << 63);
    /// The signs of singles.
    sign32 = words(1 << 31);
    /// The sign of the first double.
    sign_d1 = 1 << 63;
    /// The sign of the first single.
    sign_s1 = 1 << 31;
    /// The exponents of doubles.
    exponent64 = doublewords(0x7ff << 52);
    /// The exponents of singles.
    exponent32 = words(0xff << 23);
    /// The second exponent of a normal double.
    least64 = doublewords(2 << 52);
    /// The second exponent of a normal single.
    least32 = words(2 << 23);
    /// All ones.
    ones = u128::MAX;
    /// The low bytes of halfwords.
    low_bytes = words(0x00ff_00ff);
    /// The low halfwords of words.
    low_halves = words(0x0000_ffff);
    /// The low words of doublewords.
    low_words = doublewords(0xffff_ffff);
    /// The bytes with even numbers, gathered.
    even_bytes = 0x8080_8080_8080_8080_0e0c_0a08_0604_0200;
    /// The bytes with odd numbers, gathered.
    odd_bytes = 0x8080_8080_8080_8080_0f0d_0b09_0705_0301;
    /// The halfwords with even numbers, gathered.
    even_halves = 0x8080_8080_8080_8080_0d0c_0908_0504_0100;
    /// The halfwords with odd numbers, gathered.
    odd_halves = 0x8080_8080_8080_8080_0f0e_0b0a_0706_0302;
    /// Bytes of 15.
    fifteen = words(0x0f0f_0f0f);
    /// The number of ones in 0 to 15.
    ones_in = 0x0403_0302_0302_0201_0302_0201_0201_0100;
    /// Bytes in the opposite order in each doubleword.
    reverse8 = 0x0809_0a0b_0c0d_0e0f_0001_0203_0405_0607;
    /// Bytes in the opposite order in each word.
    reverse4 = 0x0c0d_0e0f_0809_0a0b_0405_0607_0001_0203;
    /// Bytes in the opposite order in each halfword.
    reverse2 = 0x0e0f_0c0d_0a0b_0809_0607_0405_0203_0001;
}
