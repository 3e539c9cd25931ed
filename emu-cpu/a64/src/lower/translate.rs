//! From instructions to a block.

use super::{Flow, Implementation, Lower, Undefined, landing};
use crate::decode;
use crate::ir::{Block, Builder, ExcOp, Link, Op, Term};
use crate::mode::Mode;

/// Translates the instructions that `fetch` gives for relative addresses 0, 4, 8 ... into a block.
///
/// The block ends where an instruction ends it, after `max_insns` instructions, or where `fetch` gives `None`, as it must
/// at the end of the 4 KiB page: IR names addresses relative to the page of the block's first instruction. The caller has
/// seen to it that the first instruction can be fetched; without any the block is empty and leads to itself.
#[must_use]
pub fn translate(
    mut fetch: impl FnMut(i64) -> Option<u32>,
    pe: Implementation,
    mode: Mode,
    max_insns: usize,
) -> Block {
    let mut b = Builder::new();
    let mut rel = 0;
    let mut term = None;
    for _ in 0..max_insns {
        let Some(word) = fetch(rel) else { break };
        b.begin_insn(word);
        term = if rel == 0 && !landing::may_start(word, mode) {
            Some(Term::Exception(ExcOp::BranchTarget))
        } else {
            instruction(&mut b, word, rel, pe, mode)
        };
        if mode.counts_accesses
            && let n @ 1.. = b.accesses_of_insn()
        {
            b.push(Op::CountAccesses(n));
        }
        rel += 4;
        if term.is_some() {
            break;
        }
    }
    let block = b.finish(term.unwrap_or(Term::Goto { rel, link: Link::Jump }));
    debug_assert_eq!(crate::ir::verify(&block), Ok(()), "\n{block}");
    block
}

/// Lowers one instruction; the way the block ends if it ends here.
fn instruction(b: &mut Builder, word: u32, rel: i64, pe: Implementation, mode: Mode) -> Option<Term> {
    let Some(row) = decode::find(word).filter(|row| pe.features.has(row.feat)) else {
        return Some(Term::Exception(ExcOp::Undefined));
    };
    match (row.lower)(&mut Lower { b, word, rel, pe, mode }) {
        Err(Undefined) => {
            b.rollback_insn();
            Some(Term::Exception(ExcOp::Undefined))
        }
        // Unallocated field values are UNDEFINED whether or not the registers may be used, so this comes second.
        Ok(_) if row.fp && !mode.fp_enabled => {
            b.rollback_insn();
            Some(Term::Exception(ExcOp::FpAccess))
        }
        Ok(Flow::Next) => None,
        Ok(Flow::End(term)) => Some(term),
    }
}
