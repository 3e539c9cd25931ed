//! Every floating-point and vector encoding as host code, with operands that are hard, against the interpreter: registers
//! and FPSR must be the same. FPCR is at its defaults, where host code computes in line.

use emu_a64::decode::{EncodingRow, table_fp, table_simd};

use crate::machine::{Engine, Ours};
use crate::program::Program;
use crate::random::Random;
use crate::state::State;
use crate::{SETS, listing, number};

/// Words of each encoding that are tried.
const WORDS: usize = 6;

/// Where rounding, tininess, overflow and the kinds of NaN are decided.
const DOUBLES: [u64; 22] = [
    0,
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x0010_0000_0000_0001,
    0x0020_0000_0000_0000,
    0x3fd5_5555_5555_5555,
    0x3fdf_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000,
    0x3fef_ffff_ffff_ffff,
    0x3ff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0x3ff8_0000_0000_0000,
    0x380f_ffff_ffff_ffff,
    0x41df_ffff_ffe0_0000,
    0x41e0_0000_0010_0000,
    0x43e0_0000_0000_0000,
    0x4330_0000_0000_0001,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff8_0000_0000_0001,
    0x7ff0_0000_0000_0001,
];
const SINGLES: [u32; 20] = [
    0,
    1,
    0x007f_ffff,
    0x0080_0000,
    0x0080_0001,
    0x0100_0000,
    0x3eaa_aaab,
    0x3eff_ffff,
    0x3f00_0000,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3f80_0001,
    0x3fc0_0000,
    0x4f00_0000,
    0x5f00_0000,
    0x4b00_0001,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7fc0_0001,
    0x7f80_0001,
];

fn operand(r: &mut Random) -> u128 {
    let half = |r: &mut Random| match r.below(2) {
        0 => r.pick(&DOUBLES) | (r.next() & 1) << 63,
        _ => (0..2).fold(0, |v, _| v << 32 | u64::from(r.pick(&SINGLES)) | (r.next() & 1) << 31),
    };
    match r.below(4) {
        0 => r.vector(),
        // A scalar, with nothing above it.
        1 => u128::from(half(r)),
        _ => u128::from(half(r)) | u128::from(half(r)) << 64,
    }
}

/// The whole state, on the stack of operands and with no flag of FPSR set.
fn state(seed: u64, set: usize) -> State {
    let mut r = Random::new(seed << 8 | set as u64);
    let mut s = State::initial(seed, set);
    s.v = std::array::from_fn(|_| operand(&mut r));
    (s.fpcr, s.fpsr) = (0, 0);
    s
}

/// A word of a row. Half of them use few registers, so that operands and results meet.
fn word(row: &EncodingRow, r: &mut Random) -> u32 {
    let few = if r.chance(50) { !(0x1c | 0x1c << 5 | 0x1c << 16 | 0x1c << 10) } else { u32::MAX };
    row.value | r.next() as u32 & few & !row.mask
}

fn is_memory(row: &EncodingRow) -> bool {
    row.name.starts_with("LD") || row.name.starts_with("ST")
}

fn compare(engine: Engine) {
    let rows: Vec<_> = table_fp::ROWS.iter().chain(table_simd::ROWS).filter(|r| !is_memory(r)).collect();
    let (mut ours, mut theirs) = (Ours::with(engine), Ours::new(false));
    let mut wrong = Vec::new();
    let mut r = Random::new(1);
    let per_row = number("VECTOR_WORDS", WORDS);
    for (n, row) in rows.iter().enumerate() {
        for k in 0..per_row {
            let mut words = vec![word(row, &mut r)];
            // What one instruction leaves of a register, others must be able to use.
            if k % 2 != 0 {
                words.extend((0..2).map(|_| word(rows[r.below(rows.len())], &mut r)));
            }
            let p = Program { words };
            ours.load(&p.words);
            theirs.load(&p.words);
            for set in 0..3 * SETS {
                let s = state((n * per_row + k) as u64, set);
                let (got, want) = (ours.run(&s), theirs.run(&s));
                if want.faulted {
                    break;
                }
                if got.faulted || got.state != want.state {
                    wrong.push(format!("{}{}", listing(&p), got.state.difference(&want.state)));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn vectors_as_host_code() {
    compare(Engine::HostCode);
}

#[test]
fn vectors_as_host_code_of_plain_hosts() {
    compare(Engine::Baseline);
}
