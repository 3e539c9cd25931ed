//! Atomic accesses: TM_ATOMIC and the operands in the buffer.

use emu_core::atomic::{Atomic, Operation};

use super::registers::Registers;

/// Values of TM_ATOMIC. With 0 a transfer is a transfer.
const FETCH_ADD: u32 = 1;
const SWAP: u32 = 2;
const COMPARE_AND_SWAP: u32 = 3;
/// Its bits.
pub(super) const ALL: u32 = 3;

/// The access that the registers describe, with operands of TM_LENGTH bytes each at the beginning of `bytes`; `None` if there is no
/// such access.
pub(super) fn access(registers: &Registers, bytes: &[u8]) -> Option<Atomic> {
    let (code, wanted) = (registers.atomic, registers.list == 0);
    match registers.length {
        4 if wanted => operation(code, bytes, u32::from_le_bytes).map(Atomic::Word),
        8 if wanted => operation(code, bytes, u64::from_le_bytes).map(Atomic::Doubleword),
        _ => None,
    }
}

fn operation<T, const N: usize>(code: u32, bytes: &[u8], number: fn([u8; N]) -> T) -> Option<Operation<T>> {
    let (operands, _) = bytes.as_chunks::<N>();
    let operand = |n: usize| operands.get(n).map(|bytes| number(*bytes));
    match code {
        FETCH_ADD => operand(0).map(Operation::FetchAdd),
        SWAP => operand(0).map(Operation::Swap),
        COMPARE_AND_SWAP => Some(Operation::CompareAndSwap { expected: operand(0)?, new: operand(1)? }),
        _ => None,
    }
}
