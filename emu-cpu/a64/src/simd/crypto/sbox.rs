//! Substitution boxes, computed from their definitions in GF(2^8).

/// AES (FIPS 197, 5.1.1).
pub(super) static AES: [u8; 256] = aes();
/// Its inverse.
pub(super) static AES_INV: [u8; 256] = inverse_table(&aes());
/// SM4 (GB/T 32907-2016).
pub(super) static SM4: [u8; 256] = sm4();

/// The product modulo the field's polynomial (without its x^8).
pub(super) const fn mul(mut a: u8, mut b: u8, poly: u8) -> u8 {
    let mut r = 0;
    while b != 0 {
        if b & 1 != 0 {
            r ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { poly } else { 0 };
        b >>= 1;
    }
    r
}

/// x^254: the inverse, and 0 for 0.
const fn inverse(x: u8, poly: u8) -> u8 {
    let (mut r, mut square, mut i) = (1, mul(x, x, poly), 0);
    while i < 7 {
        r = mul(r, square, poly);
        square = mul(square, square, poly);
        i += 1;
    }
    r
}

const fn aes() -> [u8; 256] {
    let (mut t, mut x) = ([0; 256], 0);
    while x < 256 {
        let b = inverse(x as u8, 0x1b);
        t[x] = b ^ b.rotate_left(1) ^ b.rotate_left(2) ^ b.rotate_left(3) ^ b.rotate_left(4) ^ 0x63;
        x += 1;
    }
    t
}

const fn sm4() -> [u8; 256] {
    let (mut t, mut x) = ([0; 256], 0);
    while x < 256 {
        t[x] = sm4_affine(inverse(sm4_affine(x as u8), 0xf5));
        x += 1;
    }
    t
}

const fn sm4_affine(x: u8) -> u8 {
    let (mut y, mut i) = (0xd3, 0);
    while i < 8 {
        y ^= ((0xa7u8.rotate_left(i) & x).count_ones() as u8 & 1) << i;
        i += 1;
    }
    y
}

const fn inverse_table(s: &[u8; 256]) -> [u8; 256] {
    let (mut t, mut x) = ([0; 256], 0);
    while x < 256 {
        t[s[x] as usize] = x as u8;
        x += 1;
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_standards() {
        assert_eq!(AES[..4], [0x63, 0x7c, 0x77, 0x7b]);
        assert_eq!(AES[0x53], 0xed);
        assert_eq!(AES[0xff], 0x16);
        assert!((0..=255).all(|x| AES_INV[AES[x as usize] as usize] == x));
        assert_eq!(SM4[..8], [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7]);
        assert_eq!(SM4[0xff], 0x48);
    }
}
