//! Lowerings against the architecture: each block is run by the evaluator of the IR's tests. Numbers are what the Arm ARM's
//! pseudocode gives.

mod integer;
mod memory;
mod system;

use super::{Implementation, translate};
use crate::features::{Feat, FeatureSet};
use crate::ir::eval::{Machine, Next};
use crate::ir::{Block, SysEnc};
use crate::level::El;
use crate::mode::Mode;

/// Where test code lies.
const PC: u64 = 0x4000_0100;
const EL1: Mode = Mode {
    el: El::El1,
    fp_enabled: true,
    mops: true,
    fp_plain: true,
    guarded: false,
    btype: 0,
    strict: false,
    aligned: false,
    counts_accesses: false,
};

/// Every feature. Only a write of TPIDR_EL0 does not end a block.
const ALL: Implementation =
    Implementation { features: FeatureSet::of(Feat::ALL), ends_block: |enc, read| !read && enc != TPIDR_EL0 };
const TPIDR_EL0: SysEnc = SysEnc::new(3, 3, 13, 0, 2);

fn lower(words: &[u32]) -> Block {
    translate(|rel| words.get(rel as usize / 4).copied(), ALL, EL1, 64)
}

/// Runs instructions at [`PC`] from a state.
fn run(words: &[u32], setup: impl FnOnce(&mut Machine)) -> (Machine, Next) {
    let mut m = Machine::default();
    m.regs.pc = PC;
    setup(&mut m);
    let next = m.run(&lower(words));
    (m, next)
}

/// X0 after one instruction, from values of X1, X2, X3 (and X0 = all ones) and the flags N Z C V in bits 3:0.
fn x0(word: u32, x: [u64; 3], nzcv: u32) -> u64 {
    run(&[word], |m| {
        m.regs.x[..4].copy_from_slice(&[u64::MAX, x[0], x[1], x[2]]);
        m.regs.nzcv = nzcv << 28;
    })
    .0
    .regs
    .x[0]
}

/// The flags N Z C V in bits 3:0 after one instruction.
fn nzcv(word: u32, x: [u64; 2], before: u32) -> u32 {
    run(&[word], |m| {
        m.regs.x[1..3].copy_from_slice(&x);
        m.regs.nzcv = before << 28;
    })
    .0
    .regs
    .nzcv
        >> 28
}
