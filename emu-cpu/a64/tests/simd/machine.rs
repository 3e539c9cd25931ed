//! A small evaluator of the operations that lowerings of SIMD instructions emit.

use emu_a64::decode::{EncodingRow, table_simd};
use emu_a64::features::{Feat, FeatureSet};
use emu_a64::fp::FpEnv;
use emu_a64::ir::{BinOp, Block, Builder, Link, MemSize, Op, Term, Ty, Val, verify};
use emu_a64::lower::{Flow, Implementation, Lower, Undefined};
use emu_a64::mode::Mode;

/// Address of the memory.
pub(crate) const MEM_ADDR: u64 = 0x5000_0000;
/// Its size.
pub(crate) const MEM_SIZE: usize = 160;

/// Registers and a little memory.
#[derive(Clone, PartialEq)]
pub(crate) struct Machine {
    pub(crate) v: [u128; 32],
    pub(crate) x: [u64; 32],
    pub(crate) env: FpEnv,
    pub(crate) mem: [u8; MEM_SIZE],
}

impl Default for Machine {
    fn default() -> Self {
        Self { v: [0; 32], x: [0; 32], env: FpEnv::default(), mem: [0; MEM_SIZE] }
    }
}

/// The row of a word: of those that match, the one with most fixed bits.
pub(crate) fn find(word: u32) -> Option<&'static EncodingRow> {
    let hit = |r: &&EncodingRow| word & r.mask == r.value;
    table_simd::ROWS.iter().filter(hit).max_by_key(|r| r.mask.count_ones())
}

/// The verified IR of one instruction.
pub(crate) fn translate(word: u32) -> Result<Block, Undefined> {
    let row = find(word).ok_or(Undefined)?;
    let mut b = Builder::new();
    b.begin_insn(word);
    let pe = Implementation::cautious(FeatureSet::of(Feat::ALL));
    let mode = Mode { fp_enabled: true, ..Mode::default() };
    let mut l = Lower { b: &mut b, word, rel: 0, pe, mode };
    assert_eq!((row.lower)(&mut l)?, Flow::Next, "{}", row.name);
    let block = b.finish(Term::Goto { rel: 4, link: Link::Jump });
    assert_eq!(verify(&block), Ok(()), "{} {word:08x}\n{block}", row.name);
    Ok(block)
}

impl Machine {
    /// Executes one instruction.
    pub(crate) fn step(&mut self, word: u32) -> Result<(), Undefined> {
        let block = translate(word)?;
        let mut values = Vec::new();
        for inst in &block.insts {
            let r = self.eval(&inst.op, &values);
            values.push(r);
        }
        Ok(())
    }

    fn eval(&mut self, op: &Op, values: &[u128]) -> u128 {
        let get = |v: Val| if v.is_some() { values[v.0 as usize] } else { 0 };
        let element = |e: u8| u128::MAX >> (128 - (8 << e));
        match *op {
            Op::Const(_, c) => u128::from(c),
            Op::GetX(r) => u128::from(self.x[r as usize]),
            Op::SetX(r, v) => {
                self.x[r as usize] = get(v) as u64;
                0
            }
            Op::GetV(r) => self.v[r as usize],
            Op::SetV(r, v) => {
                self.v[r as usize] = get(v);
                0
            }
            Op::Bin(BinOp::Add, Ty::I64, a, b) => u128::from((get(a) as u64).wrapping_add(get(b) as u64)),
            Op::Ext { bits, signed: true, to, a } => {
                let v = (get(a) as i64) << (64 - bits) >> (64 - bits);
                u128::from(if to == Ty::I32 { u64::from(v as u32) } else { v as u64 })
            }
            Op::VFromInt(a) => get(a),
            Op::VLane(e, lane, a) => get(a) >> (u32::from(lane) * (8 << e)) & element(e),
            Op::VSetLane(e, lane, v, a) => {
                let at = u32::from(lane) * (8 << e);
                get(v) & !(element(e) << at) | (get(a) & element(e)) << at
            }
            Op::VDup(e, bytes, a) => {
                (0..u32::from(bytes) >> e).fold(0, |v, i| v | (get(a) & element(e)) << (i * (8 << e)))
            }
            Op::VLow(bytes, a) => get(a) & u128::MAX >> (128 - 8 * bytes),
            Op::Vec { op, imm, args } => {
                op.eval(&mut self.env, imm, get(args[0]), get(args[1]), get(args[2]))
            }
            Op::Load { size, addr, .. } => {
                let mut bytes = [0; 16];
                let n = size.bytes() as usize;
                let at = offset(get(addr), size);
                bytes[..n].copy_from_slice(&self.mem[at..at + n]);
                u128::from_le_bytes(bytes)
            }
            Op::Store { size, addr, val, .. } => {
                let n = size.bytes() as usize;
                let at = offset(get(addr), size);
                self.mem[at..at + n].copy_from_slice(&get(val).to_le_bytes()[..n]);
                0
            }
            ref other => panic!("no lowering of SIMD emits {other}"),
        }
    }
}

fn offset(addr: u128, size: MemSize) -> usize {
    let at = (addr as u64).wrapping_sub(MEM_ADDR) as usize;
    assert!(at + size.bytes() as usize <= MEM_SIZE, "access of {size:?} at {addr:#x}");
    at
}
