//! Text on the board's PL011 (Arm DDI 0183). The hypervisor is the only one that touches the real UART.
//!
//! These routines change X0 to X3 and nothing else, and use no memory, so that they work before the MMU is on and in the
//! worst of situations. X16 and X17 keep return addresses.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load};
use super::layout::UART;

/// Data register: a byte written here is sent.
const DR: u32 = 0x00;
/// Flag register.
const FR: u32 = 0x18;
/// FR.TXFF: the transmit FIFO is full.
const TXFF: u32 = 5;
/// Line control: 8 data bits, FIFOs on.
const LCR_H: u32 = 0x2c;
/// Control register: the UART and its transmitter are on.
const CR: u32 = 0x30;

pub(super) fn emit(a: &mut Asm) {
    asm!(a
        // Turns the UART on.
        ; ->console_init:
        ;; load(a, 3, UART)
        ; mov w2, #0x70
        ; str w2, [x3, LCR_H]
        ; mov w2, #0x101
        ; str w2, [x3, CR]
        ; ret

        // Sends the byte in W0.
        ; ->putc:
        ;; load(a, 3, UART)
        ; wait:
        ; ldr w2, [x3, FR]
        ; tbnz w2, TXFF, <wait
        ; str w0, [x3, DR]
        ; ret

        // Prints the text that follows the call, up to a zero, and returns to the next instruction behind it.
        ; ->say:
        ; mov x1, x30
        ; next:
        ; ldrb w0, [x1], #1
        ; cbz w0, >done
        ; bl ->putc
        ; b <next
        ; done:
        ; add x1, x1, #3
        ; and x1, x1, #0xffff_ffff_ffff_fffc
        ; br x1

        // Prints X0 in hexadecimal, without leading zeros.
        ; ->print_hex:
        ; mov x17, x30
        ; mov x1, x0
        ; mov w0, '0' as u32
        ; bl ->putc
        ; mov w0, 'x' as u32
        ; bl ->putc
        // The first digit is the one with the highest bit that is 1.
        ; orr x2, x1, #1
        ; clz x2, x2
        ; mov x16, #60
        ; and x2, x2, #0x3c
        ; sub x16, x16, x2
        ; digit:
        ; lsr x0, x1, x16
        ; and x0, x0, #0xf
        ; add x2, x0, 'a' as u32 - 10
        ; add x0, x0, '0' as u32
        ; cmp x0, '9' as u32
        ; csel x0, x2, x0, hi
        ; bl ->putc
        ; subs x16, x16, #4
        ; b.pl <digit
        ; br x17

        // Prints X0 in decimal: finds the power of ten of the first digit, then divides.
        ; ->print_dec:
        ; mov x17, x30
        ; mov x1, x0
        ; mov x2, #1
        ; mov x3, #10
        ; scale:
        ; udiv x16, x1, x2
        ; cmp x16, #10
        ; b.lo >scaled
        ; mul x2, x2, x3
        ; b <scale
        ; scaled:
        ; mov x16, x2
        ; digit:
        ; udiv x0, x1, x16
        ; msub x1, x0, x16, x1
        ; add x0, x0, '0' as u32
        ; bl ->putc
        ; mov x3, #10
        ; udiv x16, x16, x3
        ; cbnz x16, <digit
        ; br x17
    );
}
