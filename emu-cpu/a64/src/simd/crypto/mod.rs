//! Steps of cryptographic algorithms, one function per instruction (Arm ARM, C3.5.29 and the pseudocode of each).
//!
//! The operands a, b, c are Vd, Vn, Vm where the instruction has them all; where it does not read Vd, they are Vn, Vm, Va.

mod aes;
mod sbox;
mod sha;
mod sm;

use crate::fp::VecFn;

macro_rules! crypto_ops {
    ($($(#[$doc:meta])* $id:ident $name:literal = $f:expr;)*) => {
        /// A step of a cryptographic algorithm, named for its instruction.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum CryptoOp { $($(#[$doc])* $id,)* }

        impl CryptoOp {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$id,)*];

            pub(super) fn func(self) -> VecFn {
                match self { $(Self::$id => $f,)* }
            }
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }
    };
}

crypto_ops! {
    /// AddRoundKey, ShiftRows, SubBytes of the state a with the key b.
    AesE "aese" = |_, _, a, b, _| aes::encrypt(a ^ b);
    /// AddRoundKey, InvShiftRows, InvSubBytes.
    AesD "aesd" = |_, _, a, b, _| aes::decrypt(a ^ b);
    /// MixColumns of a.
    AesMc "aesmc" = |_, _, a, _, _| aes::mix_columns(a);
    /// InvMixColumns of a.
    AesImc "aesimc" = |_, _, a, _, _| aes::inv_mix_columns(a);
    /// Four rounds with choose.
    Sha1C "sha1c" = |_, _, a, b, c| sha::sha1_rounds(a, b, c, sha::choose);
    /// Four rounds with parity.
    Sha1P "sha1p" = |_, _, a, b, c| sha::sha1_rounds(a, b, c, sha::parity);
    /// Four rounds with majority.
    Sha1M "sha1m" = |_, _, a, b, c| sha::sha1_rounds(a, b, c, sha::majority);
    /// The fixed rotation of the low word of a.
    Sha1H "sha1h" = |_, _, a, _, _| u128::from((a as u32).rotate_left(30));
    /// First half of the schedule.
    Sha1Su0 "sha1su0" = |_, _, a, b, c| (a >> 64 | b << 64) ^ a ^ c;
    /// Second half of the schedule.
    Sha1Su1 "sha1su1" = |_, _, a, b, _| sha::sha1_schedule(a, b);
    /// Four rounds, the first half of the state.
    Sha256H "sha256h" = |_, _, a, b, c| sha::sha256_rounds(a, b, c).0;
    /// Four rounds, the second half of the state.
    Sha256H2 "sha256h2" = |_, _, a, b, c| sha::sha256_rounds(b, a, c).1;
    /// First half of the schedule.
    Sha256Su0 "sha256su0" = |_, _, a, b, _| sha::sha256_schedule0(a, b);
    /// Second half of the schedule.
    Sha256Su1 "sha256su1" = |_, _, a, b, c| sha::sha256_schedule1(a, b, c);
    /// Two rounds, first part.
    Sha512H "sha512h" = |_, _, a, b, c| sha::sha512_rounds1(a, b, c);
    /// Two rounds, second part.
    Sha512H2 "sha512h2" = |_, _, a, b, c| sha::sha512_rounds2(a, b, c);
    /// First half of the schedule.
    Sha512Su0 "sha512su0" = |_, _, a, b, _| sha::sha512_schedule0(a, b);
    /// Second half of the schedule.
    Sha512Su1 "sha512su1" = |_, _, a, b, c| sha::sha512_schedule1(a, b, c);
    /// SS1 of a round (operands Vn, Vm, Va).
    Sm3Ss1 "sm3ss1" = |_, _, a, b, c| sm::sm3_ss1(a, b, c);
    /// TT1 of an early round; imm chooses the word of c.
    Sm3Tt1A "sm3tt1a" = |_, imm, a, b, c| sm::sm3_tt1(a, b, c, imm, sm::parity);
    /// TT1 of a late round.
    Sm3Tt1B "sm3tt1b" = |_, imm, a, b, c| sm::sm3_tt1(a, b, c, imm, sm::majority);
    /// TT2 of an early round.
    Sm3Tt2A "sm3tt2a" = |_, imm, a, b, c| sm::sm3_tt2(a, b, c, imm, sm::parity);
    /// TT2 of a late round.
    Sm3Tt2B "sm3tt2b" = |_, imm, a, b, c| sm::sm3_tt2(a, b, c, imm, sm::choose);
    /// First half of the schedule.
    Sm3PartW1 "sm3partw1" = |_, _, a, b, c| sm::sm3_schedule1(a, b, c);
    /// Second half of the schedule.
    Sm3PartW2 "sm3partw2" = |_, _, a, b, c| sm::sm3_schedule2(a, b, c);
    /// Four rounds of the state a with the keys b.
    Sm4E "sm4e" = |_, _, a, b, _| sm::sm4_rounds(a, b);
    /// Four round keys from a with the constants b (operands Vn, Vm).
    Sm4EKey "sm4ekey" = |_, _, a, b, _| sm::sm4_keys(a, b);
}

/// The four words of a register.
const fn words(v: u128) -> [u32; 4] {
    [v as u32, (v >> 32) as u32, (v >> 64) as u32, (v >> 96) as u32]
}

/// The opposite of [`words`].
const fn from_words(w: [u32; 4]) -> u128 {
    w[0] as u128 | (w[1] as u128) << 32 | (w[2] as u128) << 64 | (w[3] as u128) << 96
}
