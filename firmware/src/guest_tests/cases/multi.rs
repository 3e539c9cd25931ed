//! Two PEs: PSCI, SGIs, locks, events, TLB maintenance by broadcast.

use crate::guest_tests::layout::{CODE_SIZE, IMAGE};
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};
use crate::guest_tests::tables::{Granule, Tables, desc};

const VA: u64 = 0x30_0000_0000;

/// CPU_ON starts the PE at EL2 with the context in X0 (DEN 0022, 5.6, 6.4); a second CPU_ON says ALREADY_ON or ON_PENDING.
pub(super) fn cpu_on(p: &mut Program) {
    p.start_second(0x1234_5678_9abc_def0, |p| {
        // X0 is the first thing that the suite's own code leaves alone.
        p.expect("context", 0, 0x1234_5678_9abc_def0);
        p.expect_reg("CurrentEL", r::CURRENT_EL, u64::MAX, 2 << 2);
        p.expect_reg("Aff0", r::MPIDR_EL1, 0xff, 1);
        p.expect_reg("DAIF", r::DAIF, u64::MAX, 0x3c0);
    });
    p.expect("CPU_ON", 0, 0);
    p.join();
    p.mov(0, 0xc400_0004);
    p.mov(1, 1);
    p.mov(2, 0);
    a64!(p ; smc 0);
    p.expect("AFFINITY_INFO: on", 0, 0);
    p.mov(0, 0xc400_0003);
    p.mov(1, 1);
    p.mov(2, IMAGE + CODE_SIZE);
    a64!(p ; smc 0);
    p.expect("ALREADY_ON", 0, (-4_i64) as u64);
    p.mov(0, 0xc400_0003);
    p.mov(1, 77);
    a64!(p ; smc 0);
    p.expect("INVALID_PARAMETERS", 0, (-2_i64) as u64);
}

/// A message in memory, announced by an SGI, and its answer.
pub(super) fn message_by_sgi(p: &mut Program) {
    let mailbox = p.frame(0x1000);
    p.start_gic();
    p.start_second(mailbox, |p| {
        a64!(p ; mov x10, x0);
        p.start_gic();
        // "Ready", in the second word.
        a64!(p ; movz x1, 1 ; str x1, [x10, 8] ; dsb sy);
        p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
        p.take_interrupt();
        p.acknowledge("INTID at the second", 6);
        a64!(p ; ldr x1, [x10]);
        p.expect("message", 1, 0xfeed);
        p.end_of_interrupt(6);
        a64!(p ; add x1, x1, 1 ; str x1, [x10] ; dsb sy);
        p.send_sgi(7, 0);
    });
    p.mov(10, mailbox);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10, 8]));
    p.mov(1, 0xfeed);
    a64!(p ; str x1, [x10] ; dsb sy);
    p.send_sgi(6, 1);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.acknowledge("INTID at the first", 7);
    p.end_of_interrupt(7);
    a64!(p ; ldr x1, [x10]);
    p.expect("answer", 1, 0xfeee);
    p.join();
}

/// Adds 1 to the word at X1 + 64 a number of times, each under the lock at X1 (taken as by WFE, given back as by STLR).
fn locked_additions(p: &mut Program, times: u64) {
    p.mov(9, times);
    a64!(p
        ; movz w3, 1
        ; next:
        ; sevl
        ; wait:
        ; wfe
        ; again:
        ; ldaxr w4, [x1]
        ; cbnz w4, <wait
        ; stxr w5, w3, [x1]
        ; cbnz w5, <again
        ; ldr x6, [x1, 64]
        ; add x6, x6, 1
        ; str x6, [x1, 64]
        ; stlr wzr, [x1]
        ; sub x9, x9, 1
        ; cbnz x9, <next
    );
}

/// Stage 1 at EL1 with a shared page at [`VA`] for both PEs.
fn shared_page(p: &mut Program) -> (Tables, u64) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    (t, frame)
}

/// A lock that wakes its waiters by its release alone: the store clears the waiters' monitors (B2.12, D1.6).
pub(super) fn lock_with_wfe(p: &mut Program) {
    let (t, _) = shared_page(p);
    let both = |p: &mut Program| {
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            locked_additions(p, 2000);
        });
    };
    p.start_second(0, both);
    both(p);
    p.join();
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; ldr x0, [x1, 64]);
        p.expect("sum", 0, 4000);
    });
}

/// Both PEs add with LDADD and with LDXR/STXR to their own words and to a common one.
pub(super) fn atomics(p: &mut Program) {
    let (t, _) = shared_page(p);
    let both = |p: &mut Program| {
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            p.mov(9, 5000);
            a64!(p
                ; movz x2, 1
                ; add x7, x1, 128
                ; next:
                ; ldadd x2, x0, [x1]
                ; again:
                ; ldxr x4, [x7]
                ; add x4, x4, 1
                ; stxr w5, x4, [x7]
                ; cbnz w5, <again
                ; sub x9, x9, 1
                ; cbnz x9, <next
            );
        });
    };
    p.start_second(0, both);
    both(p);
    p.join();
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; ldr x0, [x1] ; ldr x2, [x1, 128]);
        p.expect("by LDADD", 0, 10_000);
        p.expect("by exclusives", 2, 10_000);
    });
}

/// TLBI by broadcast is complete with the DSB (D8.16): what the other PE reads afterwards is the new page.
pub(super) fn broadcast_invalidation(p: &mut Program) {
    let (t, old) = shared_page(p);
    let new = p.frame(0x1000);
    let slot = p.slot(t, VA, 3);
    let mailbox = p.frame(0x1000);
    p.page(t, VA + 0x1000, mailbox, desc::EL1_RW);
    p.poke(old, 0x01d);
    p.poke(new, 0x4e4);
    p.start_second(0, |p| {
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            p.mov(10, VA + 0x1000);
            a64!(p ; ldr x0, [x1]);
            p.expect("old page", 0, 0x01d);
            a64!(p ; movz x2, 1 ; str x2, [x10, 8] ; dsb sy);
            // The first PE says when.
            p.until(15, |p| a64!(p ; yield ; ldr x15, [x10]));
            a64!(p ; dmb sy ; ldr x0, [x1]);
            p.expect("new page", 0, 0x4e4);
        });
    });
    p.use_stage1(t);
    p.mov(10, mailbox);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10, 8]));
    for descriptor in [0, new | desc::EL1_RW | desc::PAGE] {
        p.poke(slot, descriptor);
        p.mov(2, VA >> 12);
        p.msr(r::TLBI_VAE1IS, 2);
        a64!(p ; dsb sy ; isb);
    }
    a64!(p ; movz x2, 1 ; str x2, [x10] ; dsb sy);
    p.join();
}
