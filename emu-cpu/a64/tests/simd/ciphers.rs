//! Test vectors of the standards, computed by the instructions in the way that real implementations use them.

use emu_a64::decode::table_simd;

use crate::machine::Machine;

/// Executes the instruction of a row with Vd, Vn, Vm, Va = V0 to V3 of these values and more bits set; the new Vd.
fn run(name: &str, extra: u32, [d, n, m, a]: [u128; 4]) -> u128 {
    let row = table_simd::ROWS.iter().find(|r| r.name.starts_with(name)).expect(name);
    // Rm and Ra where the row leaves them open.
    let registers = (1 << 5 | 2 << 16 | 3 << 10) & !row.mask;
    let mut machine = Machine::default();
    machine.v[..4].copy_from_slice(&[d, n, m, a]);
    machine.step(row.value | registers & !immediate(name) | extra).unwrap();
    machine.v[0]
}

/// Bits that are an immediate rather than Ra.
fn immediate(name: &str) -> u32 {
    match name {
        "XAR_" => 63 << 10,
        "EXT_" => 15 << 11,
        "SM3TT1A_" | "SM3TT1B_" | "SM3TT2A_" | "SM3TT2B_" => 3 << 12,
        _ => 0,
    }
}

fn dn(name: &str, d: u128, n: u128) -> u128 {
    run(name, 0, [d, n, 0, 0])
}

fn dnm(name: &str, d: u128, n: u128, m: u128) -> u128 {
    run(name, 0, [d, n, m, 0])
}

/// ADD on elements of 1 << `size` bytes, 128 bits.
fn add(size: u32, n: u128, m: u128) -> u128 {
    run("ADD_asimdsame", 1 << 30 | size << 22, [0, n, m, 0])
}

fn ext(n: u128, m: u128, bytes: u32) -> u128 {
    run("EXT_", 1 << 30 | bytes << 11, [0, n, m, 0])
}

/// Words, first in lane 0.
fn words(w: [u32; 4]) -> u128 {
    w.iter().rev().fold(0, |v, &x| v << 32 | u128::from(x))
}

fn lanes(v: u128) -> [u32; 4] {
    std::array::from_fn(|i| (v >> (32 * i)) as u32)
}

/// A message shorter than a block, padded by the rule of MD4's family (lengths of 8 or 16 bytes).
fn padded(message: &[u8], block: usize) -> Vec<u8> {
    let mut out = message.to_vec();
    out.push(0x80);
    out.resize(block - 8, 0);
    out.extend((message.len() as u64 * 8).to_be_bytes());
    out
}

/// The block as four registers of big-endian words.
fn schedule32(message: &[u8]) -> [u128; 4] {
    let block = padded(message, 64);
    let word = |i: usize| u32::from_be_bytes(block[4 * i..4 * i + 4].try_into().unwrap());
    std::array::from_fn(|r| words(std::array::from_fn(|i| word(4 * r + i))))
}

fn hex(words: impl IntoIterator<Item = u32>) -> String {
    words.into_iter().map(|w| format!("{w:08x}")).collect()
}

#[test]
fn aes_128_of_fips_197() {
    let key: [u8; 16] = std::array::from_fn(|i| i as u8);
    let plain: [u8; 16] = std::array::from_fn(|i| 17 * i as u8);
    let cipher = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.swap_bytes();
    // Key expansion: AESE of equal columns substitutes a word.
    let mut keys = vec![u128::from_le_bytes(key)];
    let mut rcon = 1u32;
    for i in 0..10 {
        let k = lanes(keys[i]);
        let sub = lanes(dn("AESE_", words([k[3]; 4]), 0))[0].rotate_right(8) ^ rcon;
        rcon = if rcon == 0x80 { 0x1b } else { rcon << 1 };
        let mut t = sub;
        keys.push(words(k.map(|x| {
            t ^= x;
            t
        })));
    }
    let mut s = u128::from_le_bytes(plain);
    for k in &keys[..9] {
        s = run("AESMC_", 0, [0, dn("AESE_", s, *k), 0, 0]);
    }
    assert_eq!(dn("AESE_", s, keys[9]) ^ keys[10], cipher);

    let mut s = dn("AESD_", cipher, keys[10]);
    for k in keys[1..10].iter().rev() {
        s = run("AESIMC_", 0, [0, s, 0, 0]);
        s = dn("AESD_", s, run("AESIMC_", 0, [0, *k, 0, 0]));
    }
    assert_eq!(s ^ keys[0], u128::from_le_bytes(plain));
}

#[test]
fn sha_1_of_abc() {
    let start = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let (mut abcd, mut e) = (words([start[0], start[1], start[2], start[3]]), u128::from(start[4]));
    let mut w = schedule32(b"abc");
    for i in 0..20 {
        let (op, k) = [
            ("SHA1C_", 0x5a82_7999),
            ("SHA1P_", 0x6ed9_eba1),
            ("SHA1M_", 0x8f1b_bcdc),
            ("SHA1P_", 0xca62_c1d6),
        ][i / 5];
        let kw = add(2, w[0], words([k; 4]));
        let next_e = run("SHA1H_", 0, [0, abcd & 0xffff_ffff, 0, 0]);
        abcd = dnm(op, abcd, e, kw);
        e = next_e;
        let next = dn("SHA1SU1_", dnm("SHA1SU0_", w[0], w[1], w[2]), w[3]);
        w = [w[1], w[2], w[3], next];
    }
    let end = [lanes(abcd).as_slice(), &[e as u32]].concat();
    let digest = end.iter().zip(start).map(|(a, b)| a.wrapping_add(b));
    assert_eq!(hex(digest), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

/// The first primes.
fn primes(n: usize) -> Vec<u32> {
    (2..).filter(|p| (2..*p).all(|d| p % d != 0)).take(n).collect()
}

/// The first 64 bits of the fraction of the `k`th root of `p`, the constants of SHA-2, digit by digit with exact products.
fn root_fraction(p: u32, k: usize) -> u64 {
    fn times(a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut out = vec![0u32; a.len() + b.len()];
        for (i, &x) in a.iter().enumerate() {
            let mut carry = 0;
            for (j, &y) in b.iter().enumerate() {
                let t = u64::from(x) * u64::from(y) + u64::from(out[i + j]) + carry;
                out[i + j] = t as u32;
                carry = t >> 32;
            }
            out[i + b.len()] = carry as u32;
        }
        out
    }
    // The greatest x with x^k < p << (64 k): the root of a prime is never exact.
    let mut x = 0u128;
    for bit in (0..70).rev() {
        let t = x | 1 << bit;
        let digits = lanes(t);
        let power = (1..k).fold(digits.to_vec(), |r, _| times(&r, &digits));
        let whole = &power[2 * k..];
        if whole[0] < p && whole[1..].iter().all(|&d| d == 0) {
            x = t;
        }
    }
    x as u64
}

#[test]
fn sha_256_of_abc() {
    let start: Vec<u32> = primes(8).into_iter().map(|p| (root_fraction(p, 2) >> 32) as u32).collect();
    let k: Vec<u32> = primes(64).into_iter().map(|p| (root_fraction(p, 3) >> 32) as u32).collect();
    let mut abcd = words(start[..4].try_into().unwrap());
    let mut efgh = words(start[4..].try_into().unwrap());
    let mut w = schedule32(b"abc");
    for k in k.chunks_exact(4) {
        let kw = add(2, w[0], words(k.try_into().unwrap()));
        (abcd, efgh) = (dnm("SHA256H_", abcd, efgh, kw), dnm("SHA256H2_", efgh, abcd, kw));
        let next = dnm("SHA256SU1_", dn("SHA256SU0_", w[0], w[1]), w[2], w[3]);
        w = [w[1], w[2], w[3], next];
    }
    let end = lanes(abcd).into_iter().chain(lanes(efgh)).zip(start).map(|(a, b)| a.wrapping_add(b));
    assert_eq!(hex(end), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn sha_512_of_abc() {
    let pair = |lo: u64, hi: u64| u128::from(lo) | u128::from(hi) << 64;
    let start: Vec<u64> = primes(8).into_iter().map(|p| root_fraction(p, 2)).collect();
    let k: Vec<u64> = primes(80).into_iter().map(|p| root_fraction(p, 3)).collect();
    let block = padded(b"abc", 128);
    let word = |i: usize| u64::from_be_bytes(block[8 * i..8 * i + 8].try_into().unwrap());
    let mut w: [u128; 8] = std::array::from_fn(|i| pair(word(2 * i), word(2 * i + 1)));
    let [mut ab, mut cd, mut ef, mut gh] = std::array::from_fn(|i| pair(start[2 * i], start[2 * i + 1]));
    for k in k.chunks_exact(2) {
        let kw = add(3, w[0], pair(k[0], k[1]));
        let sum = add(3, gh, ext(kw, kw, 8));
        let t = dnm("SHA512H_", sum, ext(ef, gh, 8), ext(cd, ef, 8));
        (ab, cd, ef, gh) = (dnm("SHA512H2_", t, cd, ab), ab, add(3, cd, t), ef);
        let next = dnm("SHA512SU1_", dn("SHA512SU0_", w[0], w[1]), w[7], ext(w[4], w[5], 8));
        w.rotate_left(1);
        w[7] = next;
    }
    let end = [ab, cd, ef, gh].into_iter().flat_map(|v| [v as u64, (v >> 64) as u64]);
    let digest: String = end.zip(start).map(|(a, b)| format!("{:016x}", a.wrapping_add(b))).collect();
    assert_eq!(
        digest,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    );
}

/// Keccak-f[1600] (FIPS 202, 3.3); lane (x, y) is element 5 y + x, in the low half of a register.
fn keccak(a: &mut [u128; 25]) {
    let mut lfsr = 1u8;
    for _ in 0..24 {
        let c: [u128; 5] = std::array::from_fn(|x| {
            let three = run("EOR3_", 0, [0, a[x], a[x + 5], a[x + 10]]);
            run("EOR3_", 0, [0, three, a[x + 15], a[x + 20]])
        });
        let d: [u128; 5] = std::array::from_fn(|x| run("RAX1_", 0, [0, c[(x + 4) % 5], c[(x + 1) % 5], 0]));
        let mut b = [0; 25];
        b[0] = run("XAR_", 0, [0, a[0], d[0], 0]);
        let (mut x, mut y) = (1, 0);
        for t in 0..24 {
            let left = (t + 1) * (t + 2) / 2 % 64;
            let turned = run("XAR_", ((64 - left) % 64) << 10, [0, a[5 * y + x], d[x], 0]);
            (x, y) = (y, (2 * x + 3 * y) % 5);
            b[5 * y + x] = turned;
        }
        for i in 0..25 {
            let row = i / 5 * 5;
            a[i] = run("BCAX_", 0, [0, b[i], b[row + (i + 2) % 5], b[row + (i + 1) % 5]]);
        }
        for j in 0..7 {
            if lfsr & 1 != 0 {
                a[0] ^= 1 << ((1 << j) - 1);
            }
            lfsr = lfsr << 1 ^ if lfsr & 0x80 != 0 { 0x71 } else { 0 };
        }
    }
}

#[test]
fn sha3_256_of_nothing() {
    let mut a = [0; 25];
    a[0] = 6;
    a[16] = 1 << 63;
    keccak(&mut a);
    let digest: String = a[..4].iter().map(|v| format!("{:016x}", (*v as u64).swap_bytes())).collect();
    assert_eq!(digest, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
}

#[test]
fn sm3_of_abc() {
    let start = [
        0x7380_166f,
        0x4914_b2b9,
        0x1724_42d7,
        0xda8a_0600,
        0xa96f_30bc,
        0x1631_38aa,
        0xe38d_ee4d,
        0xb0fb_0e4e_u32,
    ];
    // The state is kept with a and e in the highest lanes.
    let mut abcd = words([start[3], start[2], start[1], start[0]]);
    let mut efgh = words([start[7], start[6], start[5], start[4]]);
    let mut w = schedule32(b"abc");
    for j in 0..64 {
        let early = j < 16;
        let t = if early { 0x79cc_4519_u32 } else { 0x7a87_9d8a }.rotate_left(j % 32);
        let ss1 = run("SM3SS1_", 0, [0, abcd, efgh, words([0, 0, 0, t])]);
        let (tt1, tt2) = if early { ("SM3TT1A_", "SM3TT2A_") } else { ("SM3TT1B_", "SM3TT2B_") };
        abcd = run(tt1, (j % 4) << 12, [abcd, ss1, w[0] ^ w[1], 0]);
        efgh = run(tt2, (j % 4) << 12, [efgh, ss1, w[0], 0]);
        if j % 4 == 3 {
            let half = dnm("SM3PARTW1_", ext(w[1], w[2], 12), w[0], w[3]);
            let next = dnm("SM3PARTW2_", half, ext(w[2], w[3], 8), ext(w[0], w[1], 12));
            w = [w[1], w[2], w[3], next];
        }
    }
    let end = lanes(abcd).into_iter().rev().chain(lanes(efgh).into_iter().rev());
    let digest = end.zip(start).map(|(a, b)| a ^ b);
    assert_eq!(hex(digest), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
}

#[test]
fn sm4_of_the_standard() {
    let block = [0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, 0x7654_3210];
    let mut k = words(block) ^ words([0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc]);
    let mut state = words(block);
    for i in 0..8 {
        let constant = |n: u32| (0..4).fold(0, |c, j| (c << 8) | ((4 * n + j) * 7 % 256));
        k = run("SM4EKEY_", 0, [0, k, words(std::array::from_fn(|n| constant(4 * i + n as u32))), 0]);
        state = dn("SM4E_", state, k);
    }
    assert_eq!(hex(lanes(state).into_iter().rev()), "681edf34d206965e86b3e94f536e4246");
}
