//! Blocks from text, in the form that printing gives them.

use thiserror::Error;

use super::block::{Block, ExcOp, InsnInfo, Inst, Link, Term};
use super::op::Op;
use super::text::Text;
use super::value::{Ty, Val};

/// Text that is not a block.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: cannot read {text:?}")]
pub struct ParseError {
    /// Line, from 1; one after the last if the end of the block is missing.
    pub line: usize,
    /// What is not understood.
    pub text: String,
}

/// Reads a block; empty lines and comments (`#` at the start of a line) are skipped. Blocks with vector and
/// floating-point operations ([`Op::Vec`], [`Op::Fp`]) cannot be read: their operations are not known by name.
pub fn parse(text: &str) -> Result<Block, ParseError> {
    let mut block = Block { insts: Vec::new(), insns: Vec::new(), term: Term::Exception(ExcOp::Undefined) };
    let mut ended = false;
    let mut lines = 0;
    for (n, full) in text.lines().enumerate() {
        lines = n + 1;
        let line = full.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = if ended { None } else { parse_line(&mut block, line) };
        ended = read.ok_or_else(|| ParseError { line: lines, text: line.to_owned() })?;
    }
    if ended { Ok(block) } else { Err(ParseError { line: lines + 1, text: String::new() }) }
}

/// One line; true if it is the block's end.
fn parse_line(block: &mut Block, line: &str) -> Option<bool> {
    if let Some((at, word)) = line.strip_prefix('+').and_then(|l| l.split_once(": ")) {
        if i64::read(at)? != block.insns.len() as i64 * 4 {
            return None;
        }
        let word = u32::from_str_radix(word, 16).ok()?;
        block.insns.push(InsnInfo { word, first: u16::try_from(block.insts.len()).ok()? });
        return Some(false);
    }
    if let Some(term) = parse_term(line) {
        block.term = term;
        return Some(true);
    }
    let (ty, text) = match line.split_once(" = ") {
        Some((result, text)) => {
            let (val, ty) = result.split_once(": ")?;
            if Val::read(val)?.0 as usize != block.insts.len() {
                return None;
            }
            (Ty::read(ty)?, text)
        }
        None => (Ty::None, line),
    };
    let op = Op::read(text, ty)?;
    block.insts.push(Inst { op, insn: block.insns.len().saturating_sub(1) as u16 });
    Some(false)
}

fn parse_term(line: &str) -> Option<Term> {
    let (head, rest) = line.split_once(' ')?;
    let mut parts = rest.split(", ");
    let first = parts.next()?;
    let mut rel = || i64::read(parts.next()?);
    Some(match head {
        "if" => Term::If { cond: Val::read(first)?, then_rel: rel()?, else_rel: rel()? },
        "exception" => Term::Exception(Text::read(first)?),
        "leave" => Term::Leave { kind: Text::read(first)?, next: rel()? },
        _ => {
            let link = Link::read(head)?;
            match Val::read(first) {
                Some(target) => {
                    Term::Indirect { target, link, btype: parts.next().map_or(Some(0), u8::read)? }
                }
                None => Term::Goto { rel: i64::read(first)?, link },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_block() {
        assert_eq!(parse("").map_err(|e| e.line), Err(1));
        assert_eq!(parse("+0x0: d503201f\n").map_err(|e| e.line), Err(2));
        assert_eq!(parse("+0x4: d503201f\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    %1: i64 = get x0\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    %0: i32 = get x0\n    jump +0x4\n").map_err(|e| e.line), Err(1));
        assert_eq!(parse("    jump +0x4\n    jump +0x4\n").map_err(|e| e.line), Err(2));
        assert!(parse("# nothing\n    jump -0x4\n").is_ok());
    }
}
