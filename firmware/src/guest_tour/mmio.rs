//! Devices that do not exist. Stage 2 has no entry for their registers, so each access is a stage-2 abort. The syndrome
//! says what the instruction wanted, the hypervisor does it, and the guest goes on after the instruction (Arm ARM,
//! D24.2.40, "ISS encoding for an exception from a Data Abort").
//!
//! | IPA | register | |
//! |---|---|---|
//! | [`UART`] | DR | writing prints a character |
//! | [`UART`] + 0x18 | FR | 0: there is always room |
//! | [`TOY_DISK`] | SECTOR | writing a number chooses a sector |
//! | [`TOY_DISK`] + 4 | DATA | each read gives the next word |

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say};
use super::layout::{MMIO_STATE, TOY_DISK, UART};
use super::sysreg::{ESR_EL2, FAR_EL2, HPFAR_EL2};
use super::vcpu::PC;
use super::{SECTOR, SECTORS};

/// ISS bits: the syndrome is valid; sign extension; write, not read.
const ISV: u32 = 24;
const SSE: u32 = 21;
const WNR: u32 = 6;
/// The number that stands for XZR.
const XZR: u32 = 31;

/// In [`MMIO_STATE`]: the first abort was explained.
const EXPLAINED: u32 = 0;
/// The next character is not the first of its line.
const IN_LINE: u32 = 8;
/// Where in the disk DATA reads next.
const POSITION: u32 = 16;

pub(super) fn emit(a: &mut Asm) {
    decode(a);
    registers(a);
    explain(a);
}

/// X1 is ESR_EL2. Finds out the IPA (X22), the number of the guest's register (X23) and, for a write, its value (X5), and
/// looks for the device.
fn decode(a: &mut Asm) {
    asm!(a
        ; ->data_abort:
        // Only simple loads and stores have a valid syndrome. An emulator of instructions would be needed for others.
        ; tbz x1, ISV, ->unexpected_exit
        ; tbnz x1, SSE, ->unexpected_exit
        // HPFAR_EL2 has the page of the IPA, FAR_EL2 the guest's virtual address with the offset in the page.
        ; mrs x2, HPFAR_EL2
        ; mrs x3, FAR_EL2
        ; ubfx x22, x2, #4, #40
        ; lsl x22, x22, #12
        ; and x3, x3, #0xfff
        ; orr x22, x22, x3
        // SRT: which register; SAS: how many bytes, as a power of two. X24 is how many bits of 64 are not transferred.
        ; ubfx x23, x1, #16, #5
        ; ubfx x2, x1, #22, #2
        ; mov x3, #8
        ; lsl x3, x3, x2
        ; mov x24, #64
        ; sub x24, x24, x3
        ;; load(a, 2, MMIO_STATE)
        ; ldr x3, [x2, EXPLAINED]
        ; cbz x3, ->explain_abort
        ; ->explained:
        ; mrs x1, ESR_EL2
        ; tbz x1, WNR, >read
        ; mov x5, xzr
        ; cmp x23, XZR
        ; b.eq >zero
        ; ldr x5, [x19, x23, lsl #3]
        ; zero:
        ; lsl x5, x5, x24
        ; lsr x5, x5, x24
        ;; load(a, 2, UART)
        ; cmp x22, x2
        ; b.eq ->uart_dr
        ;; load(a, 2, TOY_DISK)
        ; cmp x22, x2
        ; b.eq ->disk_sector
        ; b ->unexpected_exit
        ; read:
        ;; load(a, 2, TOY_DISK + 4)
        ; cmp x22, x2
        ; b.eq ->disk_data
        ;; load(a, 2, UART + 0x18)
        ; cmp x22, x2
        ; b.eq ->uart_fr
        ; b ->unexpected_exit
    );
}

/// Each register, and what all of them end with.
fn registers(a: &mut Asm) {
    asm!(a
        // What the guest prints begins with its name on every line.
        ; ->uart_dr:
        ; mov x25, x5
        ;; load(a, 26, MMIO_STATE)
        ; ldr x3, [x26, IN_LINE]
        ; cbnz x3, >named
        ;; say(a, "      one| ")
        ; named:
        ; cmp w25, '\n' as u32
        ; cset x3, ne
        ; str x3, [x26, IN_LINE]
        ; mov x0, x25
        ; bl ->putc
        ; b >written

        ; ->uart_fr:
        ; mov x5, xzr
        ; b >loaded

        ; ->disk_sector:
        ;; load(a, 2, SECTORS)
        ; cmp x5, x2
        ; b.hs ->unexpected_exit
        ;; load(a, 2, SECTOR)
        ; mul x5, x5, x2
        ;; load(a, 2, MMIO_STATE)
        ; str x5, [x2, POSITION]
        ; b >written

        ; ->disk_data:
        ;; load(a, 2, MMIO_STATE)
        ; ldr x3, [x2, POSITION]
        // After the last word comes the first one again.
        ; and x3, x3, SECTORS * SECTOR - 1
        ; adr x4, ->disk_bytes
        ; ldr w5, [x4, x3]
        ; add x3, x3, #4
        ; str x3, [x2, POSITION]

        // The value of a load goes to the guest's register, which is in its context now.
        ; loaded:
        ; lsl x5, x5, x24
        ; lsr x5, x5, x24
        ; cmp x23, XZR
        ; b.eq >written
        ; str x5, [x19, x23, lsl #3]
        // ELR_EL2 is the instruction that was trapped: it is done now.
        ; written:
        ; ldr x0, [x19, PC]
        ; add x0, x0, #4
        ; str x0, [x19, PC]
        ; b ->resume
    );
}

/// The first abort is shown in full.
fn explain(a: &mut Asm) {
    asm!(a
        ; ->explain_abort:
        ; mov x3, #1
        ; str x3, [x2, EXPLAINED]
        ;; say(a, "   its first exit: ESR_EL2 = ")
        ; mrs x0, ESR_EL2
        ; bl ->print_hex
        ;; say(a, ": class 0x24, a data abort from EL1\n      the access: ")
        ; mov x0, #64
        ; sub x0, x0, x24
        ; bl ->print_dec
        ;; say(a, " bits (SAS) between x")
        ; mov x0, x23
        ; bl ->print_dec
        ;; say(a, " (SRT) and IPA ")
        ; mov x0, x22
        ; bl ->print_hex
        ;; say(a, " (from HPFAR_EL2)\n")
        ;; say(a, "      no device is there: we do what a UART would, then go on behind the instruction\n")
        ; b ->explained
    );
}
