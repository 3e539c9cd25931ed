//! A fast algorithm of our own: two keyed multiplications. What it lacks in strength a guest cannot tell.

/// What is multiplied by, first and second; host code computes codes as well.
pub const FACTORS: [u64; 2] = [0xd6e8_feb8_6659_fd93, 0x9fb2_1c65_1e98_df25];
/// How far to the left the modifier is rotated.
pub const ROTATION: u32 = 29;

/// The code of `data` under `modifier` and the key.
#[must_use]
pub fn compute(data: u64, modifier: u64, (high, low): (u64, u64)) -> u64 {
    let x = (data ^ low).wrapping_mul(FACTORS[0]);
    // The high bits, which all others have reached, go down before the second one.
    let x = (x ^ x >> 32 ^ modifier.rotate_left(ROTATION) ^ high).wrapping_mul(FACTORS[1]);
    x ^ x >> 32
}
