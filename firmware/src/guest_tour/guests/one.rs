//! Guest one believes that it is alone on a machine with a UART and a disk. Neither exists.

use dynasmrt::{DynasmApi, DynasmError, DynasmLabelApi};

use super::{ALIAS, BUFFER, VAR_INTERRUPTS};
use crate::guest_tour::asm::{Asm, asm, load, say};
use crate::guest_tour::hypercall::{NOTHING, TRANSLATE};
use crate::guest_tour::layout::{ONE_IPA, TOY_DISK, UART, VIRTUAL_TIMER_INTID};
use crate::guest_tour::sysreg::{CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_TVAL_EL0};
use crate::guest_tour::{CALLS, SECTOR, SECTORS, TICKS};

/// The timer interrupts come at this rate, Hz.
const TIMER_RATE: u64 = 1000;

pub(in super::super) fn assemble() -> Result<Vec<u8>, DynasmError> {
    let mut program = Asm::new(ONE_IPA as usize);
    let a = &mut program;
    super::begin(a, ONE_IPA);
    say(a, "Hello from EL1. For me, this UART is real.\n");
    memory(a);
    disk(a);
    calls(a);
    timer(a);
    super::count(a);
    say(a, "I was interrupted, and stop.\n");
    super::off(a);
    routines(a);
    super::vectors(a);
    program.finalize()
}

/// Its own MMU, with its RAM at two virtual addresses.
fn memory(a: &mut Asm) {
    super::stage1(a, ONE_IPA);
    asm!(a
        ; adr x1, ->vectors
        ;; load(a, 2, ALIAS - ONE_IPA)
        ; ldr x3, [x1, x2]
        ; ldr x1, [x1]
        ; cmp x1, x3
        ; b.eq >same
        ;; super::fail(a, 2)
        ; same:
    );
    say(a, "My MMU is on, and shows me my RAM twice.\n");
    asm!(a
        ;; load(a, 0, TRANSLATE)
        ;; load(a, 1, ALIAS + 0x1234)
        ; hvc #0
    );
    super::done(a);
}

/// Reads all sectors: chooses one, then takes it word by word.
fn disk(a: &mut Asm) {
    asm!(a
        ;; load(a, 1, TOY_DISK)
        ;; load(a, 2, ONE_IPA + BUFFER)
        ; mov w3, wzr
        ; sector:
        ; str w3, [x1]
        ; mov w4, SECTOR as u32 / 4
        ; word:
        ; ldr w5, [x1, #4]
        ; str w5, [x2], #4
        ; subs w4, w4, #1
        ; b.ne <word
        ; add w3, w3, #1
        ; cmp w3, SECTORS as u32
        ; b.lo <sector
        ;; super::done(a)
    );
    say(a, "The disk says:\n");
    asm!(a
        ;; load(a, 6, ONE_IPA + BUFFER)
        ; bl ->say_at
    );
    say(a, "\n");
    super::checksum(a, ONE_IPA + BUFFER);
    super::done(a);
}

fn calls(a: &mut Asm) {
    asm!(a
        ; mov w2, CALLS as u32
        ; call:
        ;; load(a, 0, NOTHING)
        ; hvc #0
        ; subs w2, w2, #1
        ; b.ne <call
        ;; super::done(a)
    );
}

/// One timer interrupt after the other. Interrupts are masked while it is decided whether to wait: one that comes just then
/// stays pending, and WFI returns at once.
fn timer(a: &mut Asm) {
    super::interrupts_on(a);
    asm!(a
        ; mrs x4, CNTFRQ_EL0
        ;; load(a, 5, TIMER_RATE)
        ; udiv x4, x4, x5
        ; mov x6, #1
        ; tick:
        ; msr CNTV_TVAL_EL0, x4
        ; mov x7, #1
        ; msr CNTV_CTL_EL0, x7
        ; wait:
        ; msr daifset, #2
        ; ldr x7, [x28, VAR_INTERRUPTS]
        ; cmp x7, x6
        ; b.hs >came
        ; wfi
        ; msr daifclr, #2
        ; b <wait
        ; came:
        ; msr daifclr, #2
        ; add x6, x6, #1
        ; cmp x6, TICKS as u32
        ; b.ls <tick
        ; mov x1, x7
        ;; super::done(a)
    );
}

fn routines(a: &mut Asm) {
    asm!(a
        // As the hypervisor's own.
        ; ->say:
        ; mov x6, x30
        ; bl ->say_at
        ; add x6, x6, #3
        ; and x6, x6, #0xffff_ffff_ffff_fffc
        ; br x6
        // Prints from X6 up to a zero; X6 is then behind it.
        ; ->say_at:
        ;; load(a, 3, UART)
        ; next:
        ; ldrb w2, [x6], #1
        ; cbz w2, >end
        ; str w2, [x3]
        ; b <next
        ; end:
        ; ret

        // The timer interrupt: the timer is turned off, and the tick counted.
        ; ->device_interrupt:
        ; cmp w0, VIRTUAL_TIMER_INTID
        ; b.ne >other
        ; msr CNTV_CTL_EL0, xzr
        ; isb
        ; ldr x1, [x28, VAR_INTERRUPTS]
        ; add x1, x1, #1
        ; str x1, [x28, VAR_INTERRUPTS]
        ; ret
        ; other:
        ;; super::fail(a, 3)
    );
}
