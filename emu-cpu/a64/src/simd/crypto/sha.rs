//! SHA-1, SHA-256, SHA-512 (FIPS 180-4).

use super::{from_words, words};

pub(super) fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

pub(super) fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

pub(super) fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

/// Four rounds: a to d in `abcd`, e in the low word of `e`, schedule words with the round constant added in `w`.
pub(super) fn sha1_rounds(abcd: u128, e: u128, w: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([mut a, mut b, mut c, mut d], mut e) = (words(abcd), e as u32);
    for w in words(w) {
        let t = a.rotate_left(5).wrapping_add(f(b, c, d)).wrapping_add(e).wrapping_add(w);
        (a, b, c, d, e) = (t, a, b.rotate_left(30), c, d);
    }
    from_words([a, b, c, d])
}

pub(super) fn sha1_schedule(d: u128, n: u128) -> u128 {
    let t = words(d ^ n >> 32);
    let r = t.map(|x| x.rotate_left(1));
    from_words([r[0], r[1], r[2], r[3] ^ t[0].rotate_left(2)])
}

/// Four rounds; the new a to d and e to h.
pub(super) fn sha256_rounds(abcd: u128, efgh: u128, w: u128) -> (u128, u128) {
    let ([mut a, mut b, mut c, mut d], [mut e, mut f, mut g, mut h]) = (words(abcd), words(efgh));
    for w in words(w) {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let t = h.wrapping_add(s1).wrapping_add(choose(e, f, g)).wrapping_add(w);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let u = t.wrapping_add(s0).wrapping_add(majority(a, b, c));
        (a, b, c, d, e, f, g, h) = (u, a, b, c, d.wrapping_add(t), e, f, g);
    }
    (from_words([a, b, c, d]), from_words([e, f, g, h]))
}

pub(super) fn sha256_schedule0(d: u128, n: u128) -> u128 {
    let (d, t) = (words(d), words(d >> 32 | n << 96));
    from_words(std::array::from_fn(|i| {
        let s = t[i].rotate_right(7) ^ t[i].rotate_right(18) ^ t[i] >> 3;
        d[i].wrapping_add(s)
    }))
}

pub(super) fn sha256_schedule1(d: u128, n: u128, m: u128) -> u128 {
    let (d, t, m) = (words(d), words(n >> 32 | m << 96), words(m));
    let next = |x: u32, i: usize| {
        let s = x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
        s.wrapping_add(d[i]).wrapping_add(t[i])
    };
    let (r0, r1) = (next(m[2], 0), next(m[3], 1));
    from_words([r0, r1, next(r0, 2), next(r1, 3)])
}

/// The two halves of a register: low, high.
fn halves(v: u128) -> (u64, u64) {
    (v as u64, (v >> 64) as u64)
}

fn from_halves(lo: u64, hi: u64) -> u128 {
    u128::from(lo) | u128::from(hi) << 64
}

pub(super) fn sha512_rounds1(w: u128, x: u128, y: u128) -> u128 {
    let ((w0, w1), (x0, x1), (y0, y1)) = (halves(w), halves(x), halves(y));
    let sigma = |v: u64| v.rotate_right(14) ^ v.rotate_right(18) ^ v.rotate_right(41);
    let hi = (y1 & x0 ^ !y1 & x1).wrapping_add(sigma(y1)).wrapping_add(w1);
    let t = hi.wrapping_add(y0);
    let lo = (t & y1 ^ !t & x0).wrapping_add(sigma(t)).wrapping_add(w0);
    from_halves(lo, hi)
}

pub(super) fn sha512_rounds2(w: u128, x: u128, y: u128) -> u128 {
    let ((w0, w1), (x0, _), (y0, y1)) = (halves(w), halves(x), halves(y));
    let sigma = |v: u64| v.rotate_right(28) ^ v.rotate_right(34) ^ v.rotate_right(39);
    let majority = |a: u64, b: u64, c: u64| a & b ^ a & c ^ b & c;
    let hi = majority(x0, y1, y0).wrapping_add(sigma(y0)).wrapping_add(w1);
    let lo = majority(hi, y0, y1).wrapping_add(sigma(hi)).wrapping_add(w0);
    from_halves(lo, hi)
}

pub(super) fn sha512_schedule0(w: u128, x: u128) -> u128 {
    let ((w0, w1), (x0, _)) = (halves(w), halves(x));
    let sigma = |v: u64| v.rotate_right(1) ^ v.rotate_right(8) ^ v >> 7;
    from_halves(w0.wrapping_add(sigma(w1)), w1.wrapping_add(sigma(x0)))
}

pub(super) fn sha512_schedule1(w: u128, x: u128, y: u128) -> u128 {
    let ((w0, w1), (x0, x1), (y0, y1)) = (halves(w), halves(x), halves(y));
    let sigma = |v: u64| v.rotate_right(19) ^ v.rotate_right(61) ^ v >> 6;
    from_halves(w0.wrapping_add(sigma(x0)).wrapping_add(y0), w1.wrapping_add(sigma(x1)).wrapping_add(y1))
}
