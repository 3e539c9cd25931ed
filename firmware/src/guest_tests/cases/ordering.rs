//! Two PEs: what barriers and acquire-release promise, exclusives under contention, events that wake, and broadcasts.

use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::tables::{Granule, Tables, desc};

const VA: u64 = 0x30_0000_0000;
/// Offsets in the shared page, a cache line each: data, flags, and the rendezvous.
const FIRST: u64 = 0;
const SECOND: u64 = 0x100;
const READY: u64 = 0x800;
const GO: u64 = 0x900;
/// Rounds of a litmus test.
const ROUNDS: u64 = 2000;

/// Stage 1 at EL1 with a shared page of normal memory at [`VA`].
fn shared_page(p: &mut Program) -> (Tables, u64) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    (t, frame)
}

/// Both PEs at EL1 with X1 = [`VA`]: `second` on the second one, `first` on the first one, then `check` there.
fn together(
    p: &mut Program,
    first: impl FnOnce(&mut Program),
    second: impl FnOnce(&mut Program),
    check: impl FnOnce(&mut Program),
) {
    let (t, _) = shared_page(p);
    p.start_second(0, |p| {
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            second(p);
        });
    });
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        first(p);
    });
    p.join();
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        check(p);
    });
}

/// Waits until the doubleword at X1 + `offset` is X`rt` or more; gives up after a while.
fn wait_for(p: &mut Program, offset: u64, rt: u8) {
    p.until(15, |p| {
        a64!(p ; yield ; ldr x15, [x1, offset as u32] ; cmp x15, X(rt) ; cset x15, hs);
    });
}

/// Message passing: data, then a flag that counts. The reader counts in X8 how often it sees old data behind a new flag.
fn message_passing(p: &mut Program, write: impl FnOnce(&mut Program), read: impl FnOnce(&mut Program)) {
    let writer = |p: &mut Program| {
        p.mov(9, 1);
        let next = p.label();
        p.bind(next);
        // The reader has seen the one before.
        a64!(p ; sub x10, x9, 1);
        wait_for(p, READY, 10);
        write(p);
        p.mov(10, ROUNDS);
        a64!(p ; add x9, x9, 1 ; cmp x9, x10 ; b.ls =>next);
    };
    let reader = |p: &mut Program| {
        p.mov(8, 0);
        p.mov(9, 1);
        let (next, again) = (p.label(), p.label());
        p.bind(next);
        // Seconds: the writer's thread may have to wait for a processor of the host.
        p.mov(17, 2_000_000_000);
        p.bind(again);
        read(p);
        a64!(p
            ; sub x17, x17, 1
            ; cbz x17, >out
            ; cmp x3, x9
            ; b.lo =>again
            ; out:
            ; cmp x4, x9
            ; cinc x8, x8, lo
            ; dmb sy
            ; str x9, [x1, READY as u32]
        );
        p.mov(10, ROUNDS);
        a64!(p ; add x9, x9, 1 ; cmp x9, x10 ; b.ls =>next);
        p.expect("old data", 8, 0);
    };
    together(p, writer, reader, |p| {
        a64!(p ; ldr x0, [x1, READY as u32]);
        p.expect("rounds", 0, ROUNDS);
    });
}

/// STLR orders the data before the flag, LDAR the flag before the data.
pub(super) fn release_acquire(p: &mut Program) {
    message_passing(
        p,
        |p| a64!(p ; add x2, x1, SECOND as u32 ; str x9, [x1, FIRST as u32] ; stlr x9, [x2]),
        |p| a64!(p ; add x2, x1, SECOND as u32 ; ldar x3, [x2] ; ldr x4, [x1, FIRST as u32]),
    );
}

/// DMB ISHST between the stores, DMB ISHLD between the loads.
pub(super) fn store_and_load_barriers(p: &mut Program) {
    message_passing(
        p,
        |p| a64!(p ; str x9, [x1, FIRST as u32] ; dmb ishst ; str x9, [x1, SECOND as u32]),
        |p| a64!(p ; ldr x3, [x1, SECOND as u32] ; dmb ishld ; ldr x4, [x1, FIRST as u32]),
    );
}

/// An address dependency orders the two loads (B2.3).
pub(super) fn address_dependency(p: &mut Program) {
    message_passing(
        p,
        |p| a64!(p ; str x9, [x1, FIRST as u32] ; dmb ishst ; str x9, [x1, SECOND as u32]),
        |p| a64!(p ; ldr x3, [x1, SECOND as u32] ; eor x5, x3, x3 ; add x5, x5, x1 ; ldr x4, [x5, FIRST as u32]),
    );
}

/// Each PE stores to its own word, then loads the other's: never both see the old value. X`own` and X`other` are the
/// addresses; the loaded value goes to a row of its own, which the first PE compares.
fn store_buffering(p: &mut Program, access: fn(&mut Program)) {
    let (t, _) = shared_page(p);
    let rows = p.frame(0x1_0000);
    for page in 0..16 {
        p.page(t, VA + 0x1_0000 + 0x1000 * page, rows + 0x1000 * page, desc::EL1_RW);
    }
    let rounds = 1000_u64;
    let side = |p: &mut Program, me: u64| {
        p.mov(1, VA);
        p.mov(11, VA + if me == 0 { FIRST } else { SECOND });
        p.mov(12, VA + if me == 0 { SECOND } else { FIRST });
        p.mov(13, VA + 0x1_0000 + 0x8000 * me);
        p.mov(9, 1);
        let next = p.label();
        p.bind(next);
        // Rendezvous: both say that they are in this round, and see that the other one is.
        let (mine, theirs) = if me == 0 { (READY, GO) } else { (GO, READY) };
        a64!(p ; dmb sy ; str x9, [x1, mine as u32]);
        wait_for(p, theirs, 9);
        a64!(p ; dmb sy);
        access(p);
        a64!(p ; str x4, [x13], 8 ; add x9, x9, 1);
        p.mov(10, rounds);
        a64!(p ; cmp x9, x10 ; b.ls =>next);
    };
    p.start_second(0, |p| {
        p.use_stage1(t);
        p.enter(Level::El1h, |p| side(p, 1));
    });
    p.use_stage1(t);
    p.enter(Level::El1h, |p| side(p, 0));
    p.join();
    p.enter(Level::El1h, |p| {
        p.mov(2, VA + 0x1_0000);
        p.mov(3, VA + 0x1_8000);
        p.mov(9, 1);
        p.mov(8, 0);
        p.mov(10, rounds);
        // Both older than this round.
        a64!(p
            ; next:
            ; ldr x4, [x2], 8
            ; ldr x5, [x3], 8
            ; cmp x4, x9
            ; cset x6, lo
            ; cmp x5, x9
            ; cset x7, lo
            ; and x6, x6, x7
            ; add x8, x8, x6
            ; add x9, x9, 1
            ; cmp x9, x10
            ; b.ls <next
        );
        p.expect("both saw the old value", 8, 0);
        p.expect("rounds", 9, rounds + 1);
    });
}

/// DMB SY between store and load.
pub(super) fn full_barrier(p: &mut Program) {
    store_buffering(p, |p| a64!(p ; str x9, [x11] ; dmb ish ; ldr x4, [x12]));
}

/// STLR followed by LDAR. A peer may let the load pass the store; they are observed in program order (B2.3.11, a
/// Load-Acquire behind a Store-Release).
pub(super) fn release_then_acquire(p: &mut Program) {
    store_buffering(p, |p| a64!(p ; stlr x9, [x11] ; ldar x4, [x12]));
}

/// An atomic with acquire and release semantics, followed by an acquiring load.
pub(super) fn swap_then_acquire(p: &mut Program) {
    store_buffering(p, |p| a64!(p ; swpal x9, x5, [x11] ; ldar x4, [x12]));
}

/// Another PE's store to the monitored location makes the store-exclusive fail.
pub(super) fn store_ends_exclusivity(p: &mut Program) {
    let first = |p: &mut Program| {
        p.mov(9, 1);
        a64!(p ; ldxr x0, [x1] ; dmb sy ; str x9, [x1, GO as u32]);
        wait_for(p, READY, 9);
        a64!(p ; dmb sy ; movz x2, 7 ; stxr w3, x2, [x1] ; ldr x4, [x1]);
        p.expect("fails", 3, 1);
        p.expect("the other's value", 4, 0x55);
    };
    let second = |p: &mut Program| {
        p.mov(9, 1);
        wait_for(p, GO, 9);
        a64!(p ; movz x2, 0x55 ; str x2, [x1] ; dmb sy ; str x9, [x1, READY as u32]);
    };
    together(p, first, second, |_| {});
}

/// A lock whose waiters queue by number and wait by WFE; a release wakes them all with SEV, after DSB. `bare repeat` does it
/// for as long as one likes.
pub(super) fn ticket_lock(p: &mut Program) {
    let turns = 3000;
    let both = |p: &mut Program| {
        p.mov(9, turns);
        // [X1]: next ticket; [X1, 256]: now serving; [X1, 512]: what the lock protects, two words that must agree.
        a64!(p
            ; add x12, x1, 256
            ; movz x8, 0
            ; next:
            ; again:
            ; ldaxr w2, [x1]
            ; add w3, w2, 1
            ; stxr w4, w3, [x1]
            ; cbnz w4, <again
            ; wait:
            ; ldar w5, [x12]
            ; cmp w5, w2
            ; b.eq >mine
            ; wfe
            ; b <wait
            ; mine:
            ; ldr x6, [x1, 512]
            ; ldr x7, [x1, 520]
            ; cmp x6, x7
            ; cinc x8, x8, ne
            ; add x6, x6, 1
            ; str x6, [x1, 512]
            ; str x6, [x1, 520]
            ; add w5, w5, 1
            ; stlr w5, [x12]
            ; dsb ishst
            ; sev
            ; sub x9, x9, 1
            ; cbnz x9, <next
        );
        p.expect("someone else was inside", 8, 0);
    };
    together(p, both, both, |p| {
        a64!(p ; ldr x0, [x1, 512]);
        p.expect("turns", 0, 2 * turns);
    });
}

/// A PE that waits by WFE is woken by another one's SEV.
pub(super) fn sev_wakes(p: &mut Program) {
    let rounds = 200_u64;
    let side = |p: &mut Program, mine: u64, theirs: u64| {
        p.mov(9, 1);
        p.mov(10, rounds);
        let next = p.label();
        p.bind(next);
        a64!(p ; str x9, [x1, mine as u32] ; dsb sy ; sev);
        a64!(p ; wait: ; ldr x3, [x1, theirs as u32] ; cmp x3, x9 ; b.hs >there ; wfe ; b <wait ; there:);
        a64!(p ; add x9, x9, 1 ; cmp x9, x10 ; b.ls =>next);
        p.expect("rounds", 9, rounds + 1);
    };
    together(p, |p| side(p, FIRST, SECOND), |p| side(p, SECOND, FIRST), |_| {});
}

/// A changed page is seen by the other PE after a broadcast invalidation of this kind and DSB. X2 is the operand.
fn broadcast(p: &mut Program, tlbi: impl Fn(&mut Program)) {
    let (t, old) = shared_page(p);
    let new = p.frame(0x1000);
    let mailbox = p.frame(0x1000);
    let slot = p.slot(t, VA, 3);
    p.page(t, VA + 0x1000, mailbox, desc::EL1_RW);
    p.page(t, VA, old, desc::EL1_RW | desc::NG);
    p.poke(old, 0x01d);
    p.poke(new, 0x4e4);
    p.start_second(0, |p| {
        p.use_stage1(t);
        p.set_now(r::TTBR0_EL1, t.root | 5 << 48);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            p.mov(10, VA + 0x1000);
            a64!(p ; ldr x0, [x1]);
            p.expect("old page", 0, 0x01d);
            a64!(p ; movz x2, 1 ; str x2, [x10, 8] ; dsb sy);
            p.until(15, |p| a64!(p ; yield ; ldr x15, [x10]));
            a64!(p ; dmb sy ; ldr x0, [x1]);
            p.expect("new page", 0, 0x4e4);
        });
    });
    p.use_stage1(t);
    p.mov(10, mailbox);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10, 8]));
    for descriptor in [0, new | desc::EL1_RW | desc::NG | desc::PAGE] {
        p.poke(slot, descriptor);
        tlbi(p);
        a64!(p ; dsb sy ; isb);
    }
    a64!(p ; movz x2, 1 ; str x2, [x10] ; dsb sy);
    p.join();
}

/// TLBI ASIDE1IS.
pub(super) fn broadcast_by_asid(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(2, 5 << 48);
        p.msr(r::TLBI_ASIDE1IS, 2);
    });
}

/// TLBI VAAE1IS: whatever the ASID.
pub(super) fn broadcast_by_address(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(2, VA >> 12);
        p.msr(r::TLBI_VAAE1IS, 2);
    });
}

/// TLBI VMALLE1IS.
pub(super) fn broadcast_by_vmid(p: &mut Program) {
    broadcast(p, |p| p.msr(r::TLBI_VMALLE1IS, 31));
}

/// TLBI ALLE1IS.
pub(super) fn broadcast_of_all(p: &mut Program) {
    broadcast(p, |p| p.msr(r::TLBI_ALLE1IS, 31));
}

/// HCR_EL2.FB makes EL1's local invalidations broadcasts.
pub(super) fn forced_broadcast(p: &mut Program) {
    broadcast(p, |p| {
        p.set_now(r::HCR_EL2, 1 << 31 | 1 << 9);
        p.enter(Level::El1h, |p| p.msr(r::TLBI_VMALLE1, 31));
        p.set_now(r::HCR_EL2, 1 << 31);
    });
}

/// New instructions reach the other PE after DC CVAU, IC IVAU and DSB here, and ISB there (B2.4.4).
pub(super) fn changed_code(p: &mut Program) {
    let code = p.frame(0x1000);
    let mailbox = p.frame(0x1000);
    let rounds = 20_u64;
    // MOVZ X0, #round; RET.
    let word = |round: u64| 0xd65f_03c0_u64 << 32 | 0xd280_0000 | round << 5;
    p.poke(code, word(0));
    p.start_second(0, |p| {
        p.mov(9, code);
        p.mov(10, mailbox);
        for round in 1..=rounds {
            p.mov(11, round);
            p.until(15, |p| a64!(p ; yield ; ldr x15, [x10] ; cmp x15, x11 ; cset x15, hs));
            a64!(p ; dmb sy ; isb ; blr x9);
            p.expect(&format!("round {round}"), 0, round);
            a64!(p ; str x11, [x10, 8] ; dsb sy);
        }
    });
    p.mov(9, code);
    p.mov(10, mailbox);
    for round in 1..=rounds {
        p.mov(2, word(round));
        a64!(p ; str x2, [x9]);
        p.msr(r::DC_CVAU, 9);
        a64!(p ; dsb sy);
        p.msr(r::IC_IVAU, 9);
        p.mov(11, round);
        a64!(p ; dsb sy ; isb ; str x11, [x10] ; dsb sy);
        p.until(15, |p| a64!(p ; yield ; ldr x15, [x10, 8] ; cmp x15, x11 ; cset x15, hs));
    }
    p.join();
}
