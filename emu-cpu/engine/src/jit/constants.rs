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
    /// The signs of bytes.
    sign8 = words(0x8080_8080);
    /// The signs of halfwords.
    sign16 = words(0x8000_8000);
    /// Bytes of 1.
    ones8 = words(0x0101_0101);
    /// Halfwords of 1.
    ones16 = words(0x0001_0001);
    /// What makes bit 7 of bytes from 16 on.
    to_high_bit = words(0x7070_7070);
    /// The constant of SHA-1's rounds with choose.
    sha1_choose = words(0x5a82_7999);
    /// That of the first rounds with parity.
    sha1_parity = words(0x6ed9_eba1);
    /// That of the rounds with majority.
    sha1_majority = words(0x8f1b_bcdc);
    /// The sign of the first double.
    sign_d1 = 1 << 63;
    /// The sign of the first single.
    sign_s1 = 1 << 31;
    /// The signs of two singles.
    sign_s2 = words(1 << 31) >> 64;
    /// All but the sign of the first double.
    absolute_d1 = u128::MAX >> 65;
    /// All but the sign of the first single.
    absolute_s1 = u128::MAX >> 97;
    /// All but the signs of two singles.
    absolute_s2 = words(u32::MAX >> 1) >> 64;
    /// The smallest normal double.
    least64 = doublewords(1 << 52);
    /// The smallest normal single.
    least32 = words(1 << 23);
    /// The greatest double that can have a fraction.
    fraction64 = doublewords(((1023 + 52) << 52) - 1);
    /// The greatest single that can have a fraction.
    fraction32 = words(((127 + 23) << 23) - 1);
    /// 0.5 in double precision.
    half64 = doublewords(0x3fe << 52);
    /// 0.5 in single precision.
    half32 = words(0x7e << 23);
    /// 1 in double precision.
    one64 = doublewords(0x3ff << 52);
    /// 1 in single precision.
    one32 = words(0x7f << 23);
    /// All ones.
    ones = u128::MAX;
    /// The low bytes of halfwords.
    low_bytes = words(0x00ff_00ff);
    /// The low halfwords of words.
    low_halves = words(0x0000_ffff);
    /// The low words of doublewords.
    low_words = doublewords(0xffff_ffff);
    /// Takes the even bytes, with zeros above.
    even_bytes = 0x8080_8080_8080_8080_0e0c_0a08_0604_0200;
    /// Takes the even halfwords, with zeros above.
    even_halves = 0x8080_8080_8080_8080_0d0c_0908_0504_0100;
    /// Takes the even bytes, twice.
    even_bytes_twice = doublewords(0x0e0c_0a08_0604_0200);
    /// Takes the odd bytes, twice.
    odd_bytes_twice = doublewords(0x0f0d_0b09_0705_0301);
    /// Takes the even halfwords, twice.
    even_halves_twice = doublewords(0x0d0c_0908_0504_0100);
    /// Takes the odd halfwords, twice.
    odd_halves_twice = doublewords(0x0f0e_0b0a_0706_0302);
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
