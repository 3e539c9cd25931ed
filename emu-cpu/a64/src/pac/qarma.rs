//! QARMA5, the architected algorithm of FEAT_PAuth (Arm ARM, pseudocode function ComputePAC; Avanzi, "The QARMA Block
//! Cipher Family", 2017: QARMA5-64 with the S-box sigma 2).
//!
//! A block is 16 cells of four bits; cell n is bits 4n + 3 to 4n.

/// Where each cell comes from.
const SHUFFLE: [u8; 16] = [13, 6, 11, 0, 7, 12, 1, 10, 8, 3, 14, 5, 2, 9, 4, 15];
/// The same for the tweak, some of whose cells are then rotated.
const TWEAK_SHUFFLE: [u8; 16] = [4, 5, 6, 7, 11, 2, 3, 8, 12, 13, 14, 15, 0, 1, 10, 9];
/// Cells of the tweak that are rotated.
const TWEAK_ROTATED: u16 = 1 << 2 | 1 << 4 | 1 << 7 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15;
const SBOX: [u8; 16] = [11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10];
const ROUND: [u64; 5] =
    [0, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89, 0x4528_21e6_38d0_1377];
const ALPHA: u64 = 0xc0ac_29b7_c97c_50dd;

const fn inverse(table: [u8; 16]) -> [u8; 16] {
    let mut out = [0; 16];
    let mut i = 0;
    while i < 16 {
        out[table[i] as usize] = i as u8;
        i += 1;
    }
    out
}

const UNSHUFFLE: [u8; 16] = inverse(SHUFFLE);
const SBOX_INVERSE: [u8; 16] = inverse(SBOX);

const fn cell(x: u64, n: u8) -> u8 {
    (x >> (4 * n)) as u8 & 15
}

/// Cell n of the result is `f(n)`.
fn cells(f: impl Fn(u8) -> u8) -> u64 {
    (0..16).fold(0, |x, n| x | u64::from(f(n)) << (4 * n))
}

fn shuffle(x: u64, from: &[u8; 16]) -> u64 {
    cells(|n| cell(x, from[usize::from(n)]))
}

fn substitute(x: u64, table: &[u8; 16]) -> u64 {
    cells(|n| table[usize::from(cell(x, n))])
}

const fn rotate(c: u8, by: u32) -> u8 {
    (c << by | c >> (4 - by)) & 15
}

/// Multiplies each column of four cells by the matrix M4,2: the cell itself does not count, the one opposite is rotated
/// by two and the other two by one.
fn mix(x: u64) -> u64 {
    cells(|n| {
        let other = |rows: u8| cell(x, (n + 4 * rows) % 16);
        rotate(other(1), 1) ^ rotate(other(2), 2) ^ rotate(other(3), 1)
    })
}

fn tweak(x: u64) -> u64 {
    cells(|n| {
        let c = cell(x, TWEAK_SHUFFLE[usize::from(n)]);
        if TWEAK_ROTATED >> n & 1 != 0 { ((c ^ c >> 1) & 1) << 3 | c >> 1 } else { c }
    })
}

fn untweak(x: u64) -> u64 {
    let mut out = 0;
    for n in 0..16 {
        let c = cell(x, n);
        let back = if TWEAK_ROTATED >> n & 1 != 0 { (c << 1 & 14) | (c >> 3 ^ c) & 1 } else { c };
        out |= u64::from(back) << (4 * TWEAK_SHUFFLE[usize::from(n)]);
    }
    out
}

/// The code of `data` under `modifier` and the key (bits 127:64, bits 63:0).
#[must_use]
pub fn compute(data: u64, modifier: u64, (key0, key1): (u64, u64)) -> u64 {
    let reflected = key0.rotate_right(1) ^ key0 >> 63;
    let mut tweaked = modifier;
    let mut x = data ^ key0;
    for (i, constant) in ROUND.into_iter().enumerate() {
        x ^= key1 ^ tweaked ^ constant;
        if i > 0 {
            x = mix(shuffle(x, &SHUFFLE));
        }
        x = substitute(x, &SBOX);
        tweaked = tweak(tweaked);
    }
    x = substitute(mix(shuffle(x ^ reflected ^ tweaked, &SHUFFLE)), &SBOX);
    x = mix(shuffle(x, &SHUFFLE)) ^ key1;
    x = mix(substitute(shuffle(x, &UNSHUFFLE), &SBOX_INVERSE));
    x = shuffle(x, &UNSHUFFLE) ^ key0 ^ tweaked;
    for (i, constant) in ROUND.into_iter().rev().enumerate() {
        x = substitute(x, &SBOX_INVERSE);
        if i < 4 {
            x = shuffle(mix(x), &UNSHUFFLE);
        }
        tweaked = untweak(tweaked);
        x ^= constant ^ key1 ^ tweaked ^ ALPHA;
    }
    x ^ reflected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the paper, appendix A.
    #[test]
    fn published_vector() {
        let key = (0x84be_85ce_9804_e94b, 0xec28_02d4_e0a4_88e9);
        let code = compute(0xfb62_3599_da6e_8127, 0x477d_469d_ec0b_8762, key);
        assert_eq!(code, 0xc003_b939_99b3_3765);
    }

    #[test]
    fn the_tweak_can_be_undone() {
        let x = 0x0123_4567_89ab_cdef;
        assert_eq!(untweak(tweak(x)), x);
    }
}
