//! Runs a litmus test many times inside the machine.
//!
//! All PEs go through a batch of rounds at the same time. Every round has cache lines of its own, so that nothing of the
//! round before is in the way, and begins with a rendezvous: each PE says that it is there and waits for the others. Then
//! each waits for a few cycles, a different number in each round. Neither has a barrier in it. After a batch the first PE
//! counts the outcomes and puts the initial values back.
//!
//! The PEs are threads of a host that may have fewer processors, or other work, so a PE may be away for long. Waiting for it
//! in a rendezvous is worth the time, for rounds that meet nobody show nothing; but all of that in one batch is limited.
//! Between batches a PE waits without a break at first, since a sleeping thread takes long to come back, and then by WFE.
//!
//! # Registers
//! Beside those of a test: X8 rounds so far, X9 batches left, X13 where a round's results go, X14 the words by which the PEs
//! meet, X20 rounds left, X22 the time after which it does not wait any more. X19 and X21 belong to the exception handler.

use super::{Litmus, Location, OTHER, Observed, Third};
use crate::guest_tests::program::{Image, Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::vectors;

/// Rounds of a batch.
pub const BATCH: u64 = 1024;
/// Bytes between the locations of two rounds.
const LINE: u64 = 64;
/// Bytes of a round's results.
const RESULTS: u64 = 32;
/// How often a PE looks for another one before it looks at the clock.
const LOOKS: u64 = 50;
/// How long the rendezvous of a batch may take, and the wait for its end without a break: the clock's frequency, shifted
/// right by this. Two PEs have a processor each on most hosts; more are in each other's way.
const fn rendezvous_shift(pes: usize) -> u32 {
    if pes == 2 { 8 } else { 10 }
}
const fn awake_shift(pes: usize) -> u32 {
    if pes == 2 { 12 } else { 15 }
}
/// Offsets of what a PE says: how many rounds it has begun, and finished; a cache line pair for each PE.
const BEGUN: u64 = 0;
const FINISHED: u64 = 0x400;
const APART: u64 = 0x80;
/// Offset of how many rounds are prepared.
const PREPARED: u64 = 0x800;
/// Where the addresses begin that a test's descriptors translate. Two have a cache line between them, so the addresses are
/// eight pages apart.
const ALIAS: u64 = 0x30_0000_0000;
const ALIAS_APART: u64 = 0x1000 * LINE / 8;
/// A page of normal memory for data.
const DATA: u64 = desc::EL1_RW | desc::PXN | desc::UXN;
/// NOP and RET; MOVZ X5, #1; B to it from the first instruction.
const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
const MOVZ_X5_1: u32 = 0xd280_0025;
const BRANCH: u32 = 0x1400_0002;

/// A test's program.
pub struct Assembled {
    /// What is loaded, and what it must leave behind: a PE that took an exception or did not come to its end fails.
    pub image: Image,
    /// Where the counters are: 8 bytes for each outcome, with three bits of the index for each digit.
    pub histogram: u64,
    /// How many.
    pub counters: usize,
    /// Rounds that are run.
    pub rounds: u64,
}

/// Where things are.
struct Places {
    tables: Tables,
    x: u64,
    y: u64,
    z: u64,
    /// Results of each PE.
    results: Vec<u64>,
    meeting: u64,
    histogram: u64,
}

pub(super) fn assemble(test: &Litmus, rounds: u64) -> Assembled {
    let batches = rounds.div_ceil(BATCH).max(1);
    let counters = 1 << (3 * test.observed.len());
    let mut histogram = 0;
    let image = Program::assemble(|p| {
        let places = place(p, test, counters);
        histogram = places.histogram;
        let vectors = (test.third == Third::Descriptor).then(|| emit_vectors(p));
        let run = |p: &mut Program, pe: usize| {
            p.use_stage1(places.tables);
            if let Some(table) = vectors {
                p.set(r::VBAR_EL1, table);
            }
            p.enter(Level::El1h, |p| batches_of(p, test, &places, pe, batches));
        };
        for pe in 1..test.pes() {
            p.start(pe, 0, |p| run(p, pe));
        }
        run(p, 0);
        (1..test.pes()).for_each(|pe| p.join_with(pe));
    });
    Assembled { image, histogram, counters: counters as usize, rounds: batches * BATCH }
}

fn place(p: &mut Program, test: &Litmus, counters: u64) -> Places {
    let tables = p.stage1(Granule::K4);
    let region = |p: &mut Program, bytes: u64, attributes: u64| {
        let at = p.frame(bytes);
        for page in (at..at + bytes).step_by(0x1000) {
            p.page(tables, page, page, attributes);
        }
        at
    };
    let (x, y) = (region(p, BATCH * LINE, DATA), region(p, BATCH * LINE, DATA));
    let results = (0..test.pes()).map(|_| region(p, BATCH * RESULTS, DATA)).collect();
    let (meeting, histogram) = (region(p, 0x1000, DATA), region(p, 8 * counters, DATA));
    let z = match test.third {
        Third::Data => region(p, BATCH * LINE, DATA),
        // Executable at EL1, for EL0 cannot write it.
        Third::Code => region(p, BATCH * LINE, desc::EL1_RW),
        Third::Descriptor => aliases(p, tables),
    };
    Places { tables, x, y, z, results, meeting, histogram }
}

/// Tables for the addresses from [`ALIAS`] on, mapped to themselves. Gives the first descriptor.
fn aliases(p: &mut Program, t: Tables) -> u64 {
    let first = p.slot(t, ALIAS, 3);
    for round in 0..BATCH {
        let slot = p.slot(t, ALIAS + round * ALIAS_APART, 3);
        assert_eq!(slot, first + round * LINE, "the tables are one behind the other");
    }
    let end = (first + BATCH * LINE).next_multiple_of(0x1000);
    for page in (first & !0xfff..end).step_by(0x1000) {
        p.page(t, page, page, DATA);
    }
    first
}

/// A table of EL1 with a handler for translation and permission faults of data accesses: X7 = 1, and on behind the instruction.
/// The suite's handler, to which everything else goes, writes down what it sees.
fn emit_vectors(p: &mut Program) -> u64 {
    const SYNC_SPX: u64 = 0x200;
    vectors::emit_over(p, vectors::EL1_TABLE, SYNC_SPX, |p, others| {
        p.mrs(19, r::ESR_EL1);
        // EC 0x25, DFSC 0b0001xx or 0b0011xx.
        a64!(p
            ; lsr x21, x19, 26
            ; cmp x21, 0x25
            ; b.ne =>others
            ; ubfx x21, x19, 2, 4
            ; orr x21, x21, 2
            ; cmp x21, 3
            ; b.ne =>others
        );
        p.mrs(19, r::ELR_EL1);
        a64!(p ; add x19, x19, 4);
        p.msr(r::ELR_EL1, 19);
        a64!(p ; movz x7, 1 ; eret);
    })
}

/// All batches of a PE.
fn batches_of(p: &mut Program, test: &Litmus, places: &Places, pe: usize, batches: u64) {
    let (batch, round) = (p.label(), p.label());
    a64!(p ; movz x8, 0 ; movz x1, 1 ; movz x2, 2);
    p.mov(9, batches);
    p.mov(14, places.meeting);
    p.bind(batch);
    if pe == 0 {
        prepare(p, test, places);
        a64!(p ; add x16, x8, BATCH as u32);
        tell(p, PREPARED, 16);
    } else {
        a64!(p ; add x18, x8, 1);
        wait_for(p, test.pes(), PREPARED, 18);
    }
    set_deadline(p, rendezvous_shift(test.pes()));
    at_first_round(p, places);
    p.mov(13, places.results[pe]);
    p.mov(29, ALIAS);
    p.mov(20, BATCH);
    p.bind(round);
    a64!(p ; add x8, x8, 1);
    meet(p, test.pes(), pe);
    if test.third == Third::Descriptor {
        // The same offset in the page as x.
        a64!(p ; bfxil x29, x10, 0, 12);
    }
    if test.third == Third::Code {
        p.mov(3, BRANCH.into());
    }
    a64!(p ; movz x4, 0 ; movz x5, 0 ; movz x6, 0 ; movz x7, 0);
    test.threads[pe](p);
    a64!(p ; stp x4, x5, [x13] ; stp x6, x7, [x13, 16] ; add x13, x13, RESULTS as u32);
    next_round(p);
    p.mov(15, ALIAS_APART);
    a64!(p ; add x29, x29, x15 ; sub x20, x20, 1 ; cbnz x20, =>round);
    tell(p, FINISHED + APART * pe as u64, 8);
    if pe == 0 {
        for other in 1..test.pes() {
            a64!(p ; mov x18, x8);
            wait_for(p, test.pes(), FINISHED + APART * other as u64, 18);
        }
        count(p, test, places);
    }
    a64!(p ; sub x9, x9, 1 ; cbnz x9, =>batch);
}

fn at_first_round(p: &mut Program, places: &Places) {
    p.mov(10, places.x);
    p.mov(11, places.y);
    p.mov(12, places.z);
}

fn next_round(p: &mut Program) {
    a64!(p ; add x10, x10, LINE as u32 ; add x11, x11, LINE as u32 ; add x12, x12, LINE as u32);
}

/// Stores X`rt` at `offset` for the other PEs, with all that was before it, and wakes them.
fn tell(p: &mut Program, offset: u64, rt: u8) {
    a64!(p ; add x15, x14, offset as u32 ; stlr X(rt), [x15] ; dsb ish ; sev);
}

/// X22 is the time from which on this PE does not wait.
fn set_deadline(p: &mut Program, shift: u32) {
    p.mrs(15, r::CNTFRQ_EL0);
    p.mrs(16, r::CNTVCT_EL0);
    a64!(p ; add x22, x16, x15, lsr shift);
}

/// Waits until the doubleword at `offset` is X`rt` or more.
fn wait_for(p: &mut Program, pes: usize, offset: u64, rt: u8) {
    let (look, sleep, out) = (p.label(), p.label(), p.label());
    set_deadline(p, awake_shift(pes));
    a64!(p ; add x15, x14, offset as u32);
    p.bind(look);
    a64!(p ; ldar x17, [x15] ; cmp x17, X(rt) ; b.hs =>out);
    p.mrs(16, r::CNTVCT_EL0);
    a64!(p ; cmp x16, x22 ; b.lo =>look);
    p.bind(sleep);
    a64!(p ; ldar x17, [x15] ; cmp x17, X(rt) ; b.hs =>out ; wfe ; b =>sleep);
    p.bind(out);
}

/// The rendezvous, and a wait of 0 to 7 turns: the PEs go through all combinations.
fn meet(p: &mut Program, pes: usize, pe: usize) {
    a64!(p ; str x8, [x14, (BEGUN + APART * pe as u64) as u32]);
    for other in (0..pes).filter(|other| *other != pe) {
        let (again, look, there) = (p.label(), p.label(), p.label());
        p.bind(again);
        p.mov(15, LOOKS);
        p.bind(look);
        a64!(p
            ; ldr x16, [x14, (BEGUN + APART * other as u64) as u32]
            ; cmp x16, x8
            ; b.hs =>there
            ; sub x15, x15, 1
            ; cbnz x15, =>look
        );
        p.mrs(15, r::CNTVCT_EL0);
        a64!(p ; cmp x15, x22 ; b.lo =>again);
        p.bind(there);
    }
    a64!(p
        ; ubfx x15, x8, 3 * pe as u32, 3
        ; turn:
        ; cbz x15, >go
        ; sub x15, x15, 1
        ; b <turn
        ; go:
    );
}

/// For each round of a batch, with X10 to X12 at its locations.
fn each_round(p: &mut Program, places: &Places, body: impl FnOnce(&mut Program)) {
    let next = p.label();
    at_first_round(p, places);
    p.mov(20, BATCH);
    p.bind(next);
    body(p);
    next_round(p);
    a64!(p ; sub x20, x20, 1 ; cbnz x20, =>next);
}

/// Initial values.
fn prepare(p: &mut Program, test: &Litmus, places: &Places) {
    if test.third == Third::Descriptor {
        // Break before make.
        each_round(p, places, |p| a64!(p ; str xzr, [x12] ; str xzr, [x12, 8]));
        a64!(p ; dsb ish);
        p.msr(r::TLBI_VMALLE1IS, 31);
        a64!(p ; dsb ish);
    }
    each_round(p, places, |p| {
        a64!(p ; stp xzr, xzr, [x10] ; stp xzr, xzr, [x11]);
        match test.third {
            Third::Data => a64!(p ; stp xzr, xzr, [x12]),
            Third::Descriptor => {
                p.mov(16, DATA | desc::PAGE);
                a64!(p
                    ; and x15, x10, !0xfff
                    ; orr x15, x15, x16
                    ; and x17, x11, !0xfff
                    ; orr x17, x17, x16
                    ; stp x15, x17, [x12]
                );
            }
            Third::Code => {
                p.mov(15, u64::from(RET) << 32 | u64::from(NOP));
                p.mov(16, u64::from(RET) << 32 | u64::from(MOVZ_X5_1));
                a64!(p ; stp x15, x16, [x12]);
                p.msr(r::DC_CVAU, 12);
            }
        }
    });
    a64!(p ; dsb ish);
    if test.third == Third::Code {
        p.msr(r::IC_IALLUIS, 31);
        a64!(p ; dsb ish);
    }
    a64!(p ; isb);
}

/// Adds the outcomes of a batch to the counters.
fn count(p: &mut Program, test: &Litmus, places: &Places) {
    a64!(p ; movz x13, 0);
    each_round(p, places, |p| {
        a64!(p ; movz x17, 0);
        for observed in test.observed {
            match *observed {
                Observed::Reg(pe, n) => {
                    p.mov(15, places.results[usize::from(pe)] + 8 * (u64::from(n) - 4));
                    a64!(p ; ldr x16, [x15, x13]);
                }
                Observed::Final(Location::X) => a64!(p ; ldr x16, [x10]),
                Observed::Final(Location::Y) => a64!(p ; ldr x16, [x11]),
                Observed::Final(Location::Z) => a64!(p ; ldr x16, [x12]),
            }
            a64!(p
                ; movz x15, OTHER.into()
                ; cmp x16, x15
                ; csel x16, x16, x15, lo
                ; add x17, x16, x17, lsl 3
            );
        }
        p.mov(15, places.histogram);
        a64!(p
            ; ldr x16, [x15, x17, lsl 3]
            ; add x16, x16, 1
            ; str x16, [x15, x17, lsl 3]
            ; add x13, x13, RESULTS as u32
        );
    });
}
