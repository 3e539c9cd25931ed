//! AdvSIMD loads and stores of structures (Arm ARM, C4.1.88): LD1 to LD4, ST1 to ST4, LD1R to LD4R, with post-index.
//!
//! Whole registers are moved in one access each; the elements of LD2 to LD4 and ST2 to ST4 are then taken apart (or were
//! put together before) by permutations.

use super::simd_shape::{BHSD, Form};
use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{Acc, MemSize, Op, Ty, Val};
use crate::simd::{Elem, PermuteOp, VecOp};

/// The base register and how the accesses are made.
struct BaseAccess {
    base: Val,
    acc: Acc,
}

/// Reads the base register.
fn base_access(l: &mut Lower<'_>, e: Elem) -> BaseAccess {
    let n = l.rn();
    let base = l.b.x_or_sp(Ty::I64, n);
    let elem_align = Some(MemSize::from_log2(e.log2()));
    BaseAccess { base, acc: Acc { sp_base: n == 31, elem_align, ..Acc::PLAIN } }
}

/// Writes the base register back if the instruction has post-index: advanced by Xm, or (m = 31) by the bytes accessed.
fn post_index(l: &mut Lower<'_>, base: Val, bytes: u32) -> Lowered {
    if l.bit(23) {
        let (n, m) = (l.rn(), l.rm());
        let next = if m == 31 {
            l.b.add_const(base, i64::from(bytes))
        } else {
            let m = l.b.x(Ty::I64, m);
            l.b.add(Ty::I64, base, m)
        };
        l.b.set_x_or_sp(n, next);
    }
    Ok(Flow::Next)
}

/// Number `i` of the registers from Vt on.
const fn register(l: &Lower<'_>, i: usize) -> u32 {
    (l.rd() + i as u32) % 32
}

/// LD1 and ST1 of `N` registers.
pub(crate) fn consecutive<const N: usize>(l: &mut Lower<'_>) -> Lowered {
    let e = Elem::from_log2(l.bits(11, 10));
    multiple::<N>(l, e, |_, _, v| v)
}

/// LDn and STn of n = `N` registers whose elements alternate in memory.
pub(crate) fn interleaved<const N: usize>(l: &mut Lower<'_>) -> Lowered {
    let e = l.arrangement(Form::Vector, l.bits(11, 10), BHSD)?;
    multiple::<N>(l, e, rearrange)
}

fn multiple<const N: usize>(
    l: &mut Lower<'_>,
    e: Elem,
    rearrange: fn(&mut Lower<'_>, Elem, [Val; N]) -> [Val; N],
) -> Lowered {
    let (size, bytes) = if l.q() { (MemSize::B16, 16) } else { (MemSize::B8, 8) };
    let BaseAccess { base, acc } = base_access(l, e);
    let at = |l: &mut Lower<'_>, i: usize| l.b.add_const(base, i as i64 * bytes);
    if l.bit(22) {
        let parts = std::array::from_fn(|i| {
            let addr = at(l, i);
            l.b.load(Ty::V, size, false, acc, addr)
        });
        for (i, v) in rearrange(l, e, parts).into_iter().enumerate() {
            let t = register(l, i);
            l.b.set_v(t, v);
        }
    } else {
        let regs = std::array::from_fn(|i| {
            let t = register(l, i);
            l.b.v(t)
        });
        for (i, v) in rearrange(l, e, regs).into_iter().enumerate() {
            let addr = at(l, i);
            l.b.store(size, acc, addr, v);
        }
    }
    post_index(l, base, N as u32 * bytes as u32)
}

/// Takes memory apart into registers (loads), or puts registers together into memory (stores).
fn rearrange<const N: usize>(l: &mut Lower<'_>, e: Elem, v: [Val; N]) -> [Val; N] {
    let load = l.bit(22);
    let out = match (load, v.as_slice()) {
        (true, &[a, b]) => split2(l, e, a, b).to_vec(),
        (false, &[a, b]) => join2(l, e, a, b).to_vec(),
        (true, &[a, b, c, d]) => {
            let [ab0, ab1] = split2(l, e, a, b);
            let [cd0, cd1] = split2(l, e, c, d);
            let ([r0, r2], [r1, r3]) = (split2(l, e, ab0, cd0), split2(l, e, ab1, cd1));
            vec![r0, r1, r2, r3]
        }
        (false, &[a, b, c, d]) => {
            let (ac, bd) = (join2(l, e, a, c), join2(l, e, b, d));
            let (lo, hi) = (join2(l, e, ac[0], bd[0]), join2(l, e, ac[1], bd[1]));
            vec![lo[0], lo[1], hi[0], hi[1]]
        }
        (_, parts) => {
            let q = l.q();
            let op = if load { VecOp::Deinterleave3 { e, q } } else { VecOp::Interleave3 { e, q } };
            let operands: [Val; 3] = std::array::from_fn(|i| parts.get(i).copied().unwrap_or(Val::NONE));
            (0..3).map(|i| l.vec(op, i, operands)).collect()
        }
    };
    std::array::from_fn(|i| out.get(i).copied().unwrap_or(Val::NONE))
}

/// Even and odd elements.
fn split2(l: &mut Lower<'_>, e: Elem, a: Val, b: Val) -> [Val; 2] {
    let q = l.q();
    [PermuteOp::Uzp1, PermuteOp::Uzp2].map(|op| l.vec(VecOp::Permute { op, e, q }, 0, [a, b]))
}

/// Alternating elements.
fn join2(l: &mut Lower<'_>, e: Elem, a: Val, b: Val) -> [Val; 2] {
    let q = l.q();
    [PermuteOp::Zip1, PermuteOp::Zip2].map(|op| l.vec(VecOp::Permute { op, e, q }, 0, [a, b]))
}

/// Element size and index of a single structure, from Q, opcode<2:1>, S and size.
fn single_fields(l: &Lower<'_>) -> Result<(Elem, u32), Undefined> {
    let index = l.bits(30, 30) << 3 | l.bits(12, 10);
    match l.bits(15, 14) {
        0 => Ok((Elem::B, index)),
        1 if index & 1 == 0 => Ok((Elem::H, index >> 1)),
        2 if index & 3 == 0 => Ok((Elem::S, index >> 2)),
        2 if index & 7 == 1 => Ok((Elem::D, index >> 3)),
        _ => Err(Undefined),
    }
}

/// LDn and STn of one element of each of `N` registers.
pub(crate) fn single<const N: usize>(l: &mut Lower<'_>) -> Lowered {
    let (e, lane) = single_fields(l)?;
    let (lane, size) = (lane as u8, MemSize::from_log2(e.log2()));
    let BaseAccess { base, acc } = base_access(l, e);
    if l.bit(22) {
        let elements = load_elements::<N>(l, e, base, acc);
        for (i, x) in elements.into_iter().enumerate() {
            let t = register(l, i);
            let v = l.b.v(t);
            let v = l.b.push(Op::VSetLane(e as u8, lane, v, x));
            l.b.set_v(t, v);
        }
    } else {
        for i in 0..N {
            let t = register(l, i);
            let v = l.b.v(t);
            let x = l.b.push(Op::VLane(e as u8, lane, v));
            let addr = l.b.add_const(base, i64::from(e.bytes()) * i as i64);
            l.b.store(size, acc, addr, x);
        }
    }
    post_index(l, base, N as u32 * e.bytes())
}

/// LDnR: one element of each of `N` registers, into all its elements.
pub(crate) fn replicate<const N: usize>(l: &mut Lower<'_>) -> Lowered {
    let e = Elem::from_log2(l.bits(11, 10));
    let BaseAccess { base, acc } = base_access(l, e);
    let elements = load_elements::<N>(l, e, base, acc);
    let bytes = if l.q() { 16 } else { 8 };
    for (i, x) in elements.into_iter().enumerate() {
        let t = register(l, i);
        let v = l.b.push(Op::VDup(e as u8, bytes, x));
        l.b.set_v(t, v);
    }
    post_index(l, base, N as u32 * e.bytes())
}

/// `N` elements beside each other in memory.
fn load_elements<const N: usize>(l: &mut Lower<'_>, e: Elem, base: Val, acc: Acc) -> [Val; N] {
    std::array::from_fn(|i| {
        let addr = l.b.add_const(base, i64::from(e.bytes()) * i as i64);
        l.b.load(Ty::I64, MemSize::from_log2(e.log2()), false, acc, addr)
    })
}
