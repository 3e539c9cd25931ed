//! AES (FIPS 197). Byte 4 c + r of a register is row r, column c of the state.

use super::sbox;

/// Multiples of a byte in the field of AES, as the columns of MixColumns: one word per byte of a column.
static MIX: [u32; 256] = columns([2, 1, 1, 3]);
static INV_MIX: [u32; 256] = columns([14, 9, 13, 11]);

const fn columns(m: [u8; 4]) -> [u32; 256] {
    let (mut t, mut x) = ([0; 256], 0);
    while x < 256 {
        let b = x as u8;
        t[x] = u32::from_le_bytes([
            sbox::mul(b, m[0], 0x1b),
            sbox::mul(b, m[1], 0x1b),
            sbox::mul(b, m[2], 0x1b),
            sbox::mul(b, m[3], 0x1b),
        ]);
        x += 1;
    }
    t
}

/// ShiftRows and SubBytes.
pub(super) fn encrypt(state: u128) -> u128 {
    let s = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| sbox::AES[s[(i + 4 * (i % 4)) % 16] as usize]))
}

/// InvShiftRows and InvSubBytes.
pub(super) fn decrypt(state: u128) -> u128 {
    let s = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| sbox::AES_INV[s[(i + 12 * (i % 4)) % 16] as usize]))
}

pub(super) fn mix_columns(state: u128) -> u128 {
    mix(state, &MIX)
}

pub(super) fn inv_mix_columns(state: u128) -> u128 {
    mix(state, &INV_MIX)
}

fn mix(state: u128, table: &[u32; 256]) -> u128 {
    super::from_words(super::words(state).map(|column| {
        let b = column.to_le_bytes().map(|b| table[b as usize]);
        b[0] ^ b[1].rotate_left(8) ^ b[2].rotate_left(16) ^ b[3].rotate_left(24)
    }))
}
