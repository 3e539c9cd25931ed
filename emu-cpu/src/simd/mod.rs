//! Exact integer vector and cryptographic functions, behind the operations [`VecOp`] of the IR.

/// An integer vector operation of the IR on up to three 128-bit operands. Operations on 64-bit vectors give a zero high
/// half. (Variants are added with their lowerings.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VecOp {}
