//! More of the physical CPU interface and the distributor: groups together, nesting, register contents (IHI 0069).

use crate::guest_tests::interrupts::{NOTHING, PRIORITY, gicd, gicr};
use crate::guest_tests::layout::{GICD, GICR, GICR_STRIDE};
use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

const IRQ: Taken = Taken::to(2, from::SPX | kind::IRQ);
const FIQ: Taken = Taken::to(2, from::SPX | kind::FIQ);
/// An SPI with no device of the board.
const SPI: u64 = 100;
const SPI_WORD: u64 = 4 * (SPI / 32);
const SPI_BIT: u32 = 1 << (SPI % 32);

/// Puts an SGI into group 0 and enables the group.
fn into_group_0(p: &mut Program, intid: u64) {
    let groups = p.gicr(gicr::IGROUPR0);
    p.poke32(groups, !(1 << intid));
    p.set(r::ICC_BPR0_EL1, 0);
    p.set_now(r::ICC_IGRPEN0_EL1, 1);
}

/// Makes SGI `intid` pending by its redistributor, in whichever group.
fn pend(p: &mut Program, intid: u64) {
    let pending = p.gicr(gicr::ISPENDR0);
    p.poke32(pending, 1 << intid);
}

/// Three interrupts, each in the handler of the one before; AP1R0 has a bit for each, and goes back.
pub(super) fn nesting(p: &mut Program) {
    p.start_gic();
    let levels = [(1, 0xa0), (2, 0x60), (3, 0x20)];
    for (intid, priority) in levels {
        p.priority(intid, priority);
        p.send_sgi(intid, 0);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.acknowledge("INTID", intid);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, priority.into());
    }
    p.mrs(0, r::ICC_AP1R0_EL1);
    // How many bits.
    a64!(p ; mov x1, xzr ; next: ; cbz x0, >out ; sub x2, x0, 1 ; and x0, x0, x2 ; add x1, x1, 1 ; b <next ; out:);
    p.expect("active priorities", 1, 3);
    for (intid, priority) in levels.into_iter().rev() {
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, priority.into());
        p.end_of_interrupt(intid);
    }
    p.expect_reg("idle", r::ICC_RPR_EL1, u64::MAX, 0xff);
    p.expect_reg("AP1R0", r::ICC_AP1R0_EL1, u64::MAX, 0);
}

/// With a group 0 interrupt as the most urgent one, ICC_IAR1_EL1 and ICC_HPPIR1_EL1 have nothing.
pub(super) fn each_group_its_register(p: &mut Program) {
    p.start_gic();
    into_group_0(p, 6);
    pend(p, 6);
    p.acknowledge("by IAR1", NOTHING);
    p.expect_reg("HPPIR1", r::ICC_HPPIR1_EL1, u64::MAX, NOTHING);
    p.expect_reg("HPPIR0", r::ICC_HPPIR0_EL1, u64::MAX, 6);
    p.mrs(0, r::ICC_IAR0_EL1);
    p.expect("by IAR0", 0, 6);
    p.set_now(r::ICC_EOIR0_EL1, 6);
}

/// A group 0 interrupt preempts one of group 1 with a lower priority.
pub(super) fn group_0_preempts_group_1(p: &mut Program) {
    p.start_gic();
    into_group_0(p, 6);
    p.priority(6, 0x40);
    p.send_sgi(1, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("group 1", 1);
    pend(p, 6);
    p.expect_taken(FIQ.intid(6));
    p.open_for_a_while();
    p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, PRIORITY.into());
    p.end_of_interrupt(1);
}

/// Between the groups the priority decides, not the group.
pub(super) fn group_1_first(p: &mut Program) {
    p.start_gic();
    into_group_0(p, 6);
    p.priority(5, 0x20);
    pend(p, 6);
    p.send_sgi(5, 0);
    p.expect_taken(IRQ.intid(5));
    p.expect_taken(FIQ.intid(6));
    p.open_for_a_while();
}

/// An SGI that is pending changes its group.
pub(super) fn group_change(p: &mut Program) {
    p.start_gic();
    pend(p, 7);
    into_group_0(p, 7);
    p.expect_taken(FIQ.intid(7));
    p.open_for_a_while();
}

/// ICC_CTLR_EL1.CBPR: ICC_BPR0_EL1 counts for both groups, ICC_BPR1_EL1 reads as one more and ignores writes.
pub(super) fn common_binary_point(p: &mut Program) {
    p.start_gic();
    p.set(r::ICC_BPR0_EL1, 5);
    p.set_now(r::ICC_CTLR_EL1, 1);
    p.expect_reg("BPR1", r::ICC_BPR1_EL1, u64::MAX, 6);
    p.set_now(r::ICC_BPR1_EL1, 3);
    p.expect_reg("BPR1 as before", r::ICC_BPR1_EL1, u64::MAX, 6);
    // Groups of bits 7:6: 0x90 is not preempted by 0x80, but by 0x40.
    for (intid, priority) in [(1, 0x90), (2, 0x80), (3, 0x40)] {
        p.priority(intid, priority);
    }
    p.send_sgi(1, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("first", 1);
    p.send_sgi(2, 0);
    p.open_for_a_while();
    p.send_sgi(3, 0);
    p.expect_taken(IRQ.intid(3));
    p.open_for_a_while();
    p.end_of_interrupt(1);
    p.expect_taken(IRQ.intid(2));
    p.open_for_a_while();
}

/// The smallest binary point of group 1 is one more than that of group 0.
pub(super) fn smallest_binary_points(p: &mut Program) {
    p.start_gic();
    p.set(r::ICC_BPR0_EL1, 0);
    p.set_now(r::ICC_BPR1_EL1, 0);
    p.mrs(0, r::ICC_BPR0_EL1);
    p.mrs(1, r::ICC_BPR1_EL1);
    a64!(p ; sub x1, x1, x0);
    p.expect("the difference", 1, 1);
    // ICC_CTLR_EL1.PRIbits + 1 bits of priority: all of them are group priority.
    p.mrs(1, r::ICC_CTLR_EL1);
    a64!(p ; lsr x1, x1, 8 ; and x1, x1, 7 ; add x0, x0, x1);
    p.expect("BPR0 + PRIbits", 0, 6);
}

/// ICC_PMR_EL1 and GICD_IPRIORITYR have as many bits as ICC_CTLR_EL1.PRIbits says, five at least.
pub(super) fn priority_bits(p: &mut Program) {
    p.start_gic();
    p.set_now(r::ICC_PMR_EL1, 0xff);
    p.expect_reg("PMR", r::ICC_PMR_EL1, 0xf8, 0xf8);
    p.start_spi(SPI);
    p.mov(18, gicd::IPRIORITYR + SPI);
    a64!(p ; movz w0, 0xff ; strb w0, [x18] ; dsb sy ; ldrb w0, [x18]);
    p.expect_bits("IPRIORITYR", 0, 0xffff_fff8, 0xf8);
}

/// An SGI that comes again while it is active is active and pending, and is taken after its end.
pub(super) fn active_and_pending(p: &mut Program) {
    p.start_gic();
    p.send_sgi(4, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("first", 4);
    p.send_sgi(4, 0);
    let (active, pending) = (p.gicr(gicr::ISACTIVER0), p.gicr(gicr::ISPENDR0));
    p.peek32(0, active);
    p.expect_bits("active", 0, 1 << 4, 1 << 4);
    p.peek32(0, pending);
    p.expect_bits("pending", 0, 1 << 4, 1 << 4);
    p.open_for_a_while();
    p.end_of_interrupt(4);
    p.expect_taken(IRQ.intid(4));
    p.open_for_a_while();
}

/// ICC_EOIR1_EL1 with a special INTID does nothing.
pub(super) fn end_of_nothing(p: &mut Program) {
    p.start_gic();
    p.send_sgi(4, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("INTID", 4);
    p.end_of_interrupt(NOTHING);
    p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, PRIORITY.into());
    p.end_of_interrupt(4);
    p.expect_reg("idle", r::ICC_RPR_EL1, u64::MAX, 0xff);
}

/// An SPI that is not enabled stays pending.
pub(super) fn disabled_spi(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    // GICD_ICENABLER.
    p.poke32(gicd::ISENABLER + 0x80 + SPI_WORD, SPI_BIT);
    p.peek32(0, gicd::ISENABLER + SPI_WORD);
    p.expect_bits("disabled", 0, SPI_BIT.into(), 0);
    p.poke32(gicd::ISPENDR + SPI_WORD, SPI_BIT);
    p.open_for_a_while();
    p.peek32(0, gicd::ICPENDR + SPI_WORD);
    p.expect_bits("pending", 0, SPI_BIT.into(), SPI_BIT.into());
    p.poke32(gicd::ISENABLER + SPI_WORD, SPI_BIT);
    p.expect_taken(IRQ.intid(SPI));
    p.open_for_a_while();
}

/// GICD_IROUTER\<n\> reads back; GICD_ITARGETSR is zero with affinity routing; SGIs are edge-triggered for ever.
pub(super) fn register_contents(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    let router = gicd::IROUTER + 8 * SPI;
    p.poke(router, 1);
    p.mov(18, router);
    a64!(p ; ldr x0, [x18]);
    p.expect("IROUTER", 0, 1);
    p.poke32(GICD + 0x800 + SPI, 0xffff_ffff);
    p.peek32(0, GICD + 0x800 + SPI);
    p.expect("ITARGETSR", 0, 0);
    let sgis = p.gicr(0x1_0c00);
    p.poke32(sgis, 0);
    p.peek32(0, sgis);
    p.expect("ICFGR0", 0, 0xaaaa_aaaa);
}

/// GICR_TYPER: affinity, PE number, Last. GICD_PIDR2 and GICR_PIDR2: GICv3.
pub(super) fn identification(p: &mut Program) {
    for pe in 0..2 {
        p.mov(18, GICR + pe * GICR_STRIDE + 8);
        a64!(p ; ldr x0, [x18]);
        p.expect_bits("TYPER", 0, 0xffff_ffff << 32 | 0xffff << 8 | 1 << 4, pe << 32 | pe << 8 | pe << 4);
    }
    for frame in [GICD, GICR] {
        p.peek32(0, frame + 0xffe8);
        p.expect_bits("ArchRev", 0, 0xf0, 0x30);
    }
}

/// Starts the second PE, which takes one interrupt, and waits until it is ready.
fn second_takes(p: &mut Program, intid: u64) {
    let mailbox = p.frame(0x1000);
    p.start_second(mailbox, |p| {
        a64!(p ; mov x10, x0);
        p.start_gic();
        a64!(p ; movz x1, 1 ; str x1, [x10] ; dsb sy);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.acknowledge("INTID at the second", intid);
        p.end_of_interrupt(intid);
    });
    p.mov(10, mailbox);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10]));
}

/// An SPI goes to the PE that GICD_IROUTER names.
pub(super) fn routed_spi(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    p.poke(gicd::IROUTER + 8 * SPI, 1);
    second_takes(p, SPI);
    p.poke32(gicd::ISPENDR + SPI_WORD, SPI_BIT);
    p.open_for_a_while();
    p.acknowledge("nothing here", NOTHING);
    p.join();
}

/// An SGI with IRM set goes to all others, and not to its sender.
pub(super) fn sgi_to_all_others(p: &mut Program) {
    p.start_gic();
    second_takes(p, 9);
    p.set_now(r::ICC_SGI1R_EL1, 9 << 24 | 1 << 40);
    p.open_for_a_while();
    p.acknowledge("nothing here", NOTHING);
    p.join();
}

/// An SGI whose target list has both PEs, and some that are not there.
pub(super) fn sgi_to_several(p: &mut Program) {
    p.start_gic();
    second_takes(p, 10);
    p.set_now(r::ICC_SGI1R_EL1, 10 << 24 | 0x8003);
    p.expect_taken(IRQ.intid(10));
    p.open_for_a_while();
    p.join();
}
