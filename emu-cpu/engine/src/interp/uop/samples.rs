//! Values for the parts of operations, for tests of all of them.

use std::ops::RangeFrom;

use emu_a64::ir::mops::MopsInsn;
use emu_a64::ir::{AtomicOp, BarrierKind, Cond, ExcOp, LeaveKind, MemSize, PacOp, PstateField, SysEnc};

/// A part's type.
pub(super) trait Sample: Sized {
    /// The value that the next number stands for.
    fn next(numbers: &mut RangeFrom<u8>) -> Self {
        Self::of(numbers.next().unwrap())
    }
    fn of(n: u8) -> Self;
}

macro_rules! samples {
    ($($type:ty: |$n:ident| $value:expr;)+) => {
        $(
            impl Sample for $type {
                fn of($n: u8) -> Self {
                    $value
                }
            }
        )+
    };
}

samples! {
    u8: |n| n;
    u16: |n| n.into();
    u32: |n| n.into();
    u64: |n| n.into();
    i32: |n| n.into();
    i64: |n| n.into();
    bool: |n| n.is_multiple_of(2);
    Cond: |n| Cond::from_bits(n.into());
    MemSize: |n| MemSize::from_log2(u32::from(n) % 5);
    AtomicOp: |_n| AtomicOp::Eor;
    BarrierKind: |_n| BarrierKind::Dsb;
    SysEnc: |n| SysEnc(n.into());
    PacOp: |_n| PacOp::AutIa;
    MopsInsn: |n| MopsInsn(n.into());
    PstateField: |_n| PstateField::Pan;
    ExcOp: |n| ExcOp::Svc(n.into());
    LeaveKind: |n| LeaveKind::Wfi(n);
}
