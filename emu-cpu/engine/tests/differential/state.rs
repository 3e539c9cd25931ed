//! What a program starts from and what it leaves.

use crate::random::Random;

/// Where programs stand, as in `runner.c`.
pub(crate) const CODE: u64 = 0x5000_1000;
/// The memory that they use.
pub(crate) const BUFFER: u64 = 0x5001_0000;
/// Its size.
pub(crate) const BUFFER_SIZE: usize = 1024;
/// X28 of every program.
pub(crate) const STATE: u64 = 0x5002_0000;

/// Registers that address the buffer and never are the target of anything but writeback, X25 a small index, X28 that of
/// the runner.
pub(crate) const INDEX: u32 = 25;
pub(crate) const BASES: [u32; 2] = [26, 27];
pub(crate) const SP: usize = 31;
/// Where in the buffer X26, X27 and SP point at first.
pub(crate) const START: [u64; 3] = [512, 637, 384];

/// Registers, flags and memory.
#[derive(Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) x: [u64; 32],
    pub(crate) v: [u128; 32],
    pub(crate) nzcv: u32,
    pub(crate) fpcr: u32,
    pub(crate) fpsr: u32,
    pub(crate) buffer: Vec<u8>,
}

/// What a program leaves.
#[derive(Clone, PartialEq)]
pub(crate) struct Outcome {
    /// It was undefined or faulted, and did not reach its end.
    pub(crate) faulted: bool,
    pub(crate) state: State,
}

impl State {
    /// The initial state number `set` of a program.
    pub(crate) fn initial(seed: u64, set: usize) -> Self {
        let mut r = Random::new(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ (set as u64) << 56);
        let mut x: [u64; 32] = std::array::from_fn(|_| r.integer());
        x[INDEX as usize] = r.next() % 33;
        x[26] = BUFFER + START[0];
        x[27] = BUFFER + START[1];
        x[28] = STATE;
        x[SP] = BUFFER + START[2];
        let v = std::array::from_fn(|_| r.vector());
        // RMode, FZ, DN, FZ16; half of the time none.
        let modes = if r.chance(50) { 0 } else { r.next() as u32 & 0x07c8_0000 };
        Self {
            x,
            v,
            nzcv: (r.next() as u32) << 28,
            fpcr: modes,
            fpsr: if r.chance(70) { 0 } else { r.next() as u32 & 0x0800_009f },
            buffer: (0..BUFFER_SIZE / 8).flat_map(|_| r.integer().to_le_bytes()).collect(),
        }
    }

    /// Lines that name what differs from `want`.
    pub(crate) fn difference(&self, want: &Self) -> String {
        use std::fmt::Write;
        let mut s = String::new();
        for i in 0..32 {
            if self.x[i] != want.x[i] {
                writeln!(s, "  x{i} is {:016x}, should be {:016x}", self.x[i], want.x[i]).unwrap();
            }
        }
        for i in 0..32 {
            if self.v[i] != want.v[i] {
                writeln!(s, "  v{i} is {:032x}, should be {:032x}", self.v[i], want.v[i]).unwrap();
            }
        }
        let flags = |t: &Self| (t.nzcv, t.fpcr, t.fpsr);
        if flags(self) != flags(want) {
            writeln!(s, "  nzcv, fpcr, fpsr are {:x?}, should be {:x?}", flags(self), flags(want)).unwrap();
        }
        for (i, (a, b)) in
            self.buffer.iter().zip(&want.buffer).enumerate().filter(|(_, (a, b))| a != b).take(16)
        {
            writeln!(s, "  buffer[{i}] is {a:02x}, should be {b:02x}").unwrap();
        }
        s
    }
}

/// FNV-1a, folded to 16 bits.
fn digest(bytes: impl Iterator<Item = u8>) -> u16 {
    let h = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    (h ^ h >> 16 ^ h >> 32 ^ h >> 48) as u16
}

impl Outcome {
    /// General registers, vector registers, memory; and flags as they are, or all ones for a program that faulted.
    pub(crate) fn digests(&self) -> [u16; 4] {
        let s = &self.state;
        if self.faulted {
            return [0xffff; 4];
        }
        let flags = (s.nzcv >> 16) as u16 & 0xf000 | (s.fpsr >> 16) as u16 & 0x0800 | s.fpsr as u16 & 0x9f;
        let modes = (s.fpcr >> 16) as u16;
        [
            digest(s.x.iter().flat_map(|x| x.to_le_bytes()).chain(modes.to_le_bytes())),
            digest(s.v.iter().flat_map(|v| v.to_le_bytes())),
            digest(s.buffer.iter().copied()),
            flags,
        ]
    }
}
