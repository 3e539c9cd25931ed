//! SM3 (GB/T 32905-2016) and SM4 (GB/T 32907-2016).

pub(super) use super::sha::{majority, parity};
use super::{from_words, sbox, words};

/// As in the late rounds of TT2, where the arguments come as (d1, d2, d3).
pub(super) fn choose(d1: u32, d2: u32, d3: u32) -> u32 {
    super::sha::choose(d3, d2, d1)
}

pub(super) fn sm3_ss1(n: u128, m: u128, a: u128) -> u128 {
    let (n, m, a) = (words(n)[3], words(m)[3], words(a)[3]);
    from_words([0, 0, 0, n.rotate_left(12).wrapping_add(m).wrapping_add(a).rotate_left(7)])
}

pub(super) fn sm3_tt1(d: u128, n: u128, m: u128, i: u32, f: fn(u32, u32, u32) -> u32) -> u128 {
    let (d, w) = (words(d), words(m)[i as usize & 3]);
    let ss2 = words(n)[3] ^ d[3].rotate_left(12);
    let tt1 = f(d[1], d[2], d[3]).wrapping_add(d[0]).wrapping_add(ss2).wrapping_add(w);
    from_words([d[1], d[2].rotate_left(9), d[3], tt1])
}

pub(super) fn sm3_tt2(d: u128, n: u128, m: u128, i: u32, f: fn(u32, u32, u32) -> u32) -> u128 {
    let (d, w) = (words(d), words(m)[i as usize & 3]);
    let tt2 = f(d[1], d[2], d[3]).wrapping_add(d[0]).wrapping_add(words(n)[3]).wrapping_add(w);
    from_words([d[1], d[2].rotate_left(19), d[3], tt2 ^ tt2.rotate_left(9) ^ tt2.rotate_left(17)])
}

/// P1 of the message expansion.
fn p1(x: u32) -> u32 {
    x ^ x.rotate_left(15) ^ x.rotate_left(23)
}

pub(super) fn sm3_schedule1(d: u128, n: u128, m: u128) -> u128 {
    let (x, m) = (words(d ^ n), words(m));
    let r: [u32; 3] = std::array::from_fn(|i| p1(x[i] ^ m[i + 1].rotate_left(15)));
    from_words([r[0], r[1], r[2], p1(x[3] ^ r[0].rotate_left(15))])
}

pub(super) fn sm3_schedule2(d: u128, n: u128, m: u128) -> u128 {
    let (d, n, m) = (words(d), words(n), words(m));
    let t: [u32; 4] = std::array::from_fn(|i| n[i] ^ m[i].rotate_left(7));
    let r: [u32; 4] = std::array::from_fn(|i| d[i] ^ t[i]);
    from_words([r[0], r[1], r[2], r[3] ^ p1(t[0].rotate_left(15))])
}

/// Four steps of SM4's recurrence with the linear part `l`.
fn sm4_steps(state: u128, keys: u128, l: fn(u32) -> u32) -> u128 {
    let mut x = words(state);
    for k in words(keys) {
        let s = (x[1] ^ x[2] ^ x[3] ^ k).to_le_bytes().map(|b| sbox::SM4[b as usize]);
        let s = u32::from_le_bytes(s);
        x = [x[1], x[2], x[3], x[0] ^ s ^ l(s)];
    }
    from_words(x)
}

pub(super) fn sm4_rounds(state: u128, keys: u128) -> u128 {
    sm4_steps(state, keys, |s| s.rotate_left(2) ^ s.rotate_left(10) ^ s.rotate_left(18) ^ s.rotate_left(24))
}

pub(super) fn sm4_keys(n: u128, m: u128) -> u128 {
    sm4_steps(n, m, |s| s.rotate_left(13) ^ s.rotate_left(23))
}
