//! Every FP encoding, lowered and evaluated, against outcomes recorded on an independent implementation.
//!
//! `data/fp_vectors.bin` holds, for some words of each row of the table, the outcomes of cases whose inputs are made
//! again here from the word and the case's number: operands from a grid of special and random values, and every mode of
//! FPCR. To record anew: run the ignored test `write_cases` with FP_CASES naming a file, give that file to
//! `data/fp_recorder.c` on an AArch64 machine, and run `pack_outcomes` with FP_OUTCOMES naming what it wrote.
//! FP_WORDS and FP_PER_WORD ask for more cases; `compare_outcomes` then checks them without packing.

use std::path::Path;

use emu_a64::decode::{EncodingRow, table_fp};
use emu_a64::features::{Feat, FeatureSet};
use emu_a64::fp::{Fmt, FpEnv, FpOp, IntFmt, fpsr};
use emu_a64::ir::{Block, Builder, Cond, Link, Op, Term, Ty, Val, verify};
use emu_a64::lower::{Flow, Implementation, Lower};
use emu_a64::mode::Mode;
use emu_core::random::SplitMix64;

/// Words per row and cases per word in the packed file.
const WORDS: usize = 3;
const PER_WORD: usize = 16;

/// What an instruction starts from.
struct Case {
    v: [u128; 4],
    x1: u64,
    fpcr: u32,
    nzcv: u32,
}

/// What it leaves.
#[derive(PartialEq, Eq, Default, Clone, Copy)]
struct Outcome {
    v: u128,
    x0: u64,
    nzcv: u32,
    fpsr: u32,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v {:032x} x {:016x} nzcv {:x} fpsr {:02x}", self.v, self.x0, self.nzcv >> 28, self.fpsr)
    }
}

struct Rng(SplitMix64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
    fn next(&mut self) -> u64 {
        self.0.number()
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A floating-point number: special exponents and fractions are as frequent as ordinary ones.
    fn float(&mut self, fmt: Fmt) -> u64 {
        let (exp_bits, frac_bits) = match fmt {
            Fmt::H => (5, 10),
            Fmt::S => (8, 23),
            Fmt::D => (11, 52),
        };
        let (top, bias) = ((1u64 << exp_bits) - 1, (1u64 << (exp_bits - 1)) - 1);
        let exp = match self.below(16) {
            0 => 0,
            1 => 1,
            2 => top - 1,
            3 => top,
            4 => self.below(top),
            5 => bias / 2 + self.below(4),
            6 => bias + bias / 2 - self.below(4),
            7 => (bias + self.below(70)).min(top),
            8..=10 => bias - 3 + self.below(7),
            _ => (bias + self.below(frac_bits)).saturating_sub(frac_bits / 2).min(top),
        };
        let ones = (1u64 << frac_bits) - 1;
        let frac = match self.below(12) {
            0 | 1 => 0,
            2 => 1,
            3 => ones,
            4 => 1 << (frac_bits - 1),
            5 | 6 => ones ^ 1 << self.below(frac_bits),
            7 => 1 << self.below(frac_bits),
            8 => (self.next() & 7) << self.below(frac_bits) & ones,
            _ => self.next() & ones,
        };
        self.below(2) << (exp_bits + frac_bits) | exp << frac_bits | frac
    }

    /// An integer near a power of two, or any.
    fn int(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(4).wrapping_sub(2),
            1 => (1u64 << self.below(64)).wrapping_add(self.below(3)).wrapping_sub(1),
            2 => (1u64 << self.below(64)).wrapping_neg().wrapping_add(self.below(3)).wrapping_sub(1),
            3 => (self.next() as i64 >> self.below(64)) as u64,
            4 => (self.below(8)).rotate_right(self.below(64) as u32),
            _ => self.next(),
        }
    }
}

/// What the operands of an instruction are made of.
#[derive(Clone, Copy)]
enum Operand {
    Float(Fmt),
    Bf,
    Int(u32),
}

fn int_bits(int: IntFmt) -> u32 {
    match int {
        IntFmt::I16 | IntFmt::U16 => 16,
        IntFmt::I32 | IntFmt::U32 => 32,
        IntFmt::I64 | IntFmt::U64 => 64,
    }
}

fn operand(block: &Block) -> Operand {
    let op = block.insts.iter().find_map(|i| if let Op::Fp { op, .. } = i.op { Some(op) } else { None });
    match op {
        None => Operand::Int(64),
        Some(op) => match op {
            FpOp::Bin(_, l)
            | FpOp::Pair(_, l)
            | FpOp::Reduce(_, l)
            | FpOp::Fused(_, l)
            | FpOp::Un(_, l)
            | FpOp::ToIntVec { lanes: l, .. }
            | FpOp::ComplexAdd(l)
            | FpOp::ComplexMulAdd(l) => Operand::Float(l.fmt()),
            FpOp::Cmp { fmt, .. } => Operand::Float(fmt),
            FpOp::Convert { from, .. } | FpOp::Widen { from, .. } | FpOp::ToInt { from, .. } => {
                Operand::Float(from)
            }
            FpOp::Narrow { to: Fmt::H, .. } | FpOp::ToBf | FpOp::NarrowBf { .. } => Operand::Float(Fmt::S),
            FpOp::Narrow { .. } | FpOp::JsCvt => Operand::Float(Fmt::D),
            FpOp::FromInt { from, .. } => Operand::Int(int_bits(from)),
            FpOp::FromIntVec { lanes, .. } => Operand::Int(8 << lanes.fmt().log2_bytes()),
            FpOp::MulAddLong { .. } => Operand::Float(Fmt::H),
            FpOp::BfMulAddLong | FpOp::BfDot { .. } | FpOp::BfMatMul => Operand::Bf,
            FpOp::UnsignedRecpE { .. } | FpOp::UnsignedRsqrtE { .. } => Operand::Int(32),
        },
    }
}

fn case(word: u32, n: usize, what: Operand) -> Case {
    let mut rng = Rng::new(u64::from(word) << 20 ^ n as u64);
    let modes = rng.next() as u32;
    // RMode, FZ, DN, AHP and FZ16; half of the cases have only a rounding mode.
    let fpcr = modes & 3 << 22 | if modes & 1 != 0 { modes & 0x0708_0000 } else { 0 };
    let v = [(); 4].map(|()| {
        let mut v = 0u128;
        // Now and then another format than the instruction's: mixed-precision addends, and noise.
        let what = if rng.below(8) == 0 { Operand::Float(Fmt::S) } else { what };
        let bits = match what {
            Operand::Float(f) => 8 << f.log2_bytes(),
            Operand::Bf => 16,
            Operand::Int(bits) => bits,
        };
        for i in 0..128 / bits {
            let e = match what {
                Operand::Float(f) => rng.float(f),
                Operand::Bf => rng.float(Fmt::S) >> 16,
                Operand::Int(_) => rng.int(),
            };
            v |= u128::from(e & u64::MAX >> (64 - bits)) << (bits * i);
        }
        v
    });
    Case { v, x1: rng.int(), fpcr, nzcv: (rng.next() as u32) & 0xf000_0000 }
}

/// Lowers one instruction; None if it is UNDEFINED.
fn lower(row: &EncodingRow, word: u32) -> Option<Block> {
    let mut b = Builder::new();
    b.begin_insn(word);
    let pe = Implementation::cautious(FeatureSet::of(Feat::ALL));
    let mut l = Lower { b: &mut b, word, rel: 0, pe, mode: Mode { fp_enabled: true, ..Mode::default() } };
    match (row.lower)(&mut l) {
        Ok(Flow::Next) => {
            let block = b.finish(Term::Goto { rel: 4, link: Link::Jump });
            verify(&block).unwrap_or_else(|e| panic!("{} {word:08x}: {e}\n{block}", row.name));
            Some(block)
        }
        Ok(Flow::End(_)) => panic!("{} ends a block", row.name),
        Err(_) => None,
    }
}

/// Evaluates a block, twice: with IXC set before, when the host's FPU may be used more often, all else must be the same.
fn eval(block: &Block, case: &Case) -> Outcome {
    let (out, mut again) = (eval_from(block, case, 0), eval_from(block, case, fpsr::IXC));
    again.fpsr ^= !out.fpsr & fpsr::IXC;
    assert_eq!(out, again, "{:08x} depends on FPSR.IXC", block.insns[0].word);
    out
}

/// Evaluates the operations that FP lowerings use.
fn eval_from(block: &Block, case: &Case, fpsr: u32) -> Outcome {
    let mut out = Outcome { nzcv: case.nzcv, ..Outcome::default() };
    let mut env = FpEnv { fpcr: case.fpcr, fpsr };
    let mut vals: Vec<u128> = Vec::new();
    let rd = (block.insns[0].word & 31) as usize;
    out.v = case.v[rd % 4];
    let mask = |bytes: u8| if bytes >= 16 { u128::MAX } else { (1u128 << (8 * bytes)) - 1 };
    for inst in &block.insts {
        let get = |v: Val| if v.is_some() { vals[v.0 as usize] } else { 0 };
        let r = match inst.op {
            Op::Const(_, c) => u128::from(c),
            Op::GetX(1) => u128::from(case.x1),
            Op::SetX(0, v) => {
                out.x0 = get(v) as u64;
                0
            }
            Op::GetV(r) => case.v[r as usize % 4],
            Op::SetV(r, v) => {
                assert_eq!(r as usize, rd);
                out.v = get(v);
                0
            }
            Op::GetFlags => u128::from(case.nzcv),
            Op::SetFlags(v) => {
                out.nzcv = get(v) as u32;
                0
            }
            Op::Ext { bits: 32, signed: false, to: Ty::I32, a } => get(a) & 0xffff_ffff,
            Op::FlagsConst(f) => u128::from(f) << 28,
            Op::FlagsFromNzcv(v) => get(v) & 0xf000_0000,
            Op::Test(cond, v) => u128::from(Cond::holds(cond, get(v) as u32)),
            Op::Select(_, c, a, b) => get(if get(c) != 0 { a } else { b }),
            Op::VFromInt(v) => get(v),
            Op::VLane(esize, lane, v) => get(v) >> (u32::from(lane) << esize << 3) & mask(1 << esize),
            Op::VSetLane(esize, lane, v, a) => {
                let shift = u32::from(lane) << esize << 3;
                get(v) & !(mask(1 << esize) << shift) | (get(a) & mask(1 << esize)) << shift
            }
            Op::VDup(esize, bytes, a) => {
                let e = get(a) & mask(1 << esize);
                (0..bytes >> esize).fold(0, |v, i| v | e << (u32::from(i) << esize << 3))
            }
            Op::VLow(bytes, v) => get(v) & mask(bytes),
            Op::Fp { op, imm, args: [a, b, c] } => op.eval(&mut env, imm, get(a), get(b), get(c)),
            ref other => panic!("FP lowerings do not use {other}"),
        };
        vals.push(r);
    }
    out.fpsr = env.fpsr;
    out
}

/// The bits of a row that no case varies: those that tell it from others, and Rm of a comparison with zero, which should
/// be zero.
fn fixed(row: &EncodingRow) -> u32 {
    row.mask | if row.name.ends_with("Z_floatcmp") { 0x1f << 16 } else { 0 }
}

/// `count` defined words of each row, with general-purpose registers X1 as source and X0 as destination.
fn words(count: usize) -> Vec<(&'static EncodingRow, u32, Block)> {
    let mut all = Vec::new();
    for row in table_fp::ROWS {
        let fixed = fixed(row);
        let mut rng = Rng::new(u64::from(row.value) << 32 | u64::from(fixed));
        let mut found = 0;
        for _ in 0..100 * count {
            let mut word = row.value | rng.next() as u32 & !fixed;
            if row.name.contains("float2") {
                let (from_gpr, to_gpr) = (gpr_source(row.name), !gpr_source(row.name));
                if from_gpr {
                    word = word & !(31 << 5) | 1 << 5;
                }
                if to_gpr {
                    word &= !31;
                }
            }
            if let Some(block) = lower(row, word) {
                all.push((row, word, block));
                found += 1;
                if found == count {
                    break;
                }
            }
        }
        assert!(found > 0, "{} is never defined", row.name);
    }
    all
}

/// The source of these conversions and moves is a general-purpose register.
fn gpr_source(name: &str) -> bool {
    let (mnemonic, rest) = name.split_once('_').unwrap_or((name, ""));
    matches!(mnemonic, "SCVTF" | "UCVTF")
        || mnemonic == "FMOV" && !rest.starts_with(|c: char| c.is_ascii_digit())
}

/// What of an outcome the packed file keeps: whether V, X and the flags are written.
fn kept(block: &Block) -> (bool, bool, bool) {
    let has = |f: fn(&Op) -> bool| block.insts.iter().any(|i| f(&i.op));
    (
        has(|o| matches!(o, Op::SetV(..))),
        has(|o| matches!(o, Op::SetX(..))),
        has(|o| matches!(o, Op::SetFlags(_))),
    )
}

fn pack(block: &Block, o: Outcome, to: &mut Vec<u8>) {
    let (v, x, flags) = kept(block);
    if v {
        to.extend(o.v.to_le_bytes());
    }
    if x {
        to.extend(o.x0.to_le_bytes());
    }
    to.push(if flags { (o.nzcv >> 28) as u8 } else { 0 });
    to.push(o.fpsr as u8);
}

fn data_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fp_vectors.bin")
}

#[test]
fn recorded_outcomes() {
    let recorded = std::fs::read(data_file()).expect("the recorded outcomes");
    let (mut at, mut bad) = (0, Vec::new());
    for (row, word, block) in words(WORDS) {
        let what = operand(&block);
        for n in 0..PER_WORD {
            let case = case(word, n, what);
            let mut ours = Vec::new();
            let out = eval(&block, &case);
            pack(&block, out, &mut ours);
            let theirs = recorded.get(at..at + ours.len()).unwrap_or_default();
            at += ours.len();
            if ours != theirs {
                bad.push(format!(
                    "{} {word:08x} case {n} fpcr {:08x} {:x?}\n  {out:?}\n  {theirs:x?}",
                    row.name, case.fpcr, case.v
                ));
            }
        }
    }
    assert!(bad.is_empty(), "{} differ\n{}", bad.len(), bad[..bad.len().min(10)].join("\n"));
    assert_eq!(at, recorded.len(), "the file belongs to another table");
}

#[test]
fn all_variable_fields_lower_to_valid_ir() {
    // `words` verifies every block it makes.
    assert!(words(64).len() > 20_000);
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "makes the input of fp_recorder"]
fn write_cases() {
    let mut bytes = Vec::new();
    for (_, word, block) in words(setting("FP_WORDS", WORDS)) {
        let what = operand(&block);
        for n in 0..setting("FP_PER_WORD", PER_WORD) {
            let c = case(word, n, what);
            c.v.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            bytes.extend(c.x1.to_le_bytes());
            [word, c.fpcr, c.nzcv, 0].iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        }
    }
    std::fs::write(std::env::var("FP_CASES").expect("FP_CASES names a file"), bytes).expect("written");
}

/// The outcomes that fp_recorder wrote.
fn outcomes() -> Vec<Outcome> {
    let bytes =
        std::fs::read(std::env::var("FP_OUTCOMES").expect("FP_OUTCOMES names a file")).expect("readable");
    let int = |b: &[u8]| b.iter().rev().fold(0u128, |n, &x| n << 8 | u128::from(x));
    let outcome = |b: &[u8]| Outcome {
        v: int(&b[..16]),
        x0: int(&b[16..24]) as u64,
        nzcv: int(&b[24..28]) as u32,
        fpsr: int(&b[28..32]) as u32,
    };
    bytes.chunks_exact(32).map(outcome).collect()
}

#[test]
#[ignore = "packs the output of fp_recorder"]
fn pack_outcomes() {
    let outcomes = outcomes();
    let mut bytes = Vec::new();
    for ((_, _, block), some) in words(WORDS).iter().zip(outcomes.chunks(PER_WORD)) {
        some.iter().for_each(|&o| pack(block, o, &mut bytes));
    }
    std::fs::write(data_file(), bytes).expect("written");
}

#[test]
#[ignore = "needs the output of fp_recorder"]
fn compare_outcomes() {
    let per_word = setting("FP_PER_WORD", PER_WORD);
    let outcomes = outcomes();
    let (mut bad, mut count) = (std::collections::BTreeMap::<&str, Vec<String>>::new(), 0);
    for ((row, word, block), some) in words(setting("FP_WORDS", WORDS)).iter().zip(outcomes.chunks(per_word))
    {
        let what = operand(block);
        for (n, theirs) in some.iter().enumerate() {
            let c = case(*word, n, what);
            let ours = eval(block, &c);
            count += 1;
            if ours != *theirs {
                bad.entry(row.name).or_default().push(format!(
                    "{word:08x} case {n} fpcr {:08x} in {:032x?} x {:x}\n  ours   {ours:?}\n  theirs {theirs:?}",
                    c.fpcr, c.v, c.x1
                ));
            }
        }
    }
    for (name, list) in &bad {
        println!("{name}: {} differ\n{}", list.len(), list[..list.len().min(3)].join("\n"));
    }
    assert!(bad.is_empty(), "{count} cases, {} rows differ", bad.len());
}
