//! Registers on their own (Arm IHI 0070, chapter 6): what they say, what cannot be written, and when.

use crate::guest_tests::layout::SMMU;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::{CMDQEN, EVENTQEN, IOVA, Rig, SMMUEN, Smmu, reg, stream};
use crate::guest_tests::test_master::Dma;

/// IRQ_CTRL.
const GERROR_IRQEN: u32 = 1;
const EVENTQ_IRQEN: u32 = 1 << 2;

/// A register, whether it has 64 bits, and what is written to it.
type Row = (&'static str, u64, bool, u64);

fn read(p: &mut Program, rt: u8, (_, at, wide, _): Row) {
    if wide { p.peek(rt, at) } else { p.peek32(rt, at) }
}

fn write(p: &mut Program, (_, at, wide, value): Row) {
    if wide { p.poke(at, value) } else { p.poke32(at, value as u32) }
}

/// Writes of these have no effect now.
fn refused(p: &mut Program, when: &str, rows: &[Row]) {
    for row in rows {
        read(p, 9, *row);
        write(p, *row);
        read(p, 0, *row);
        a64!(p ; eor x0, x0, x9);
        p.expect(&format!("{}, {when}", row.0), 0, 0);
    }
}

/// Now they have.
fn accepted(p: &mut Program, when: &str, rows: &[Row]) {
    for row in rows {
        write(p, *row);
        read(p, 0, *row);
        p.expect(&format!("{}, {when}", row.0), 0, row.3);
    }
}

fn started(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.start(p);
    rig
}

/// SMMUEN guards CR2, the attributes of tables in CR1, and where the stream table is.
pub(super) fn guarded_by_smmuen(p: &mut Program) {
    const ROWS: &[Row] = &[
        ("CR1: of tables", reg::CR1, false, 0x540),
        ("CR2", reg::CR2, false, 5),
        ("STRTAB_BASE", reg::STRTAB_BASE, true, 0x5555_0000),
        ("STRTAB_BASE_CFG", reg::STRTAB_BASE_CFG, false, 3),
    ];
    let rig = started(p);
    refused(p, "enabled", ROWS);
    rig.reads(p, "as before", &Dma::read(stream::STAGE1, IOVA));
    Smmu::control(p, CMDQEN | EVENTQEN);
    // The attributes of queues are guarded still.
    accepted(p, "disabled", ROWS);
}

/// CMDQEN guards where the command queue is, and what has been consumed.
pub(super) fn guarded_by_cmdqen(p: &mut Program) {
    const ROWS: &[Row] =
        &[("CMDQ_BASE", reg::CMDQ_BASE, true, 0x5555_0007), ("CMDQ_CONS", reg::CMDQ_CONS, false, 0x33)];
    let mut rig = started(p);
    refused(p, "enabled", ROWS);
    rig.smmu.sync(p);
    Smmu::control(p, SMMUEN | EVENTQEN);
    accepted(p, "disabled", ROWS);
}

/// EVENTQEN guards where the event queue is, and what has been produced.
pub(super) fn guarded_by_eventqen(p: &mut Program) {
    const ROWS: &[Row] = &[
        ("EVENTQ_BASE", reg::EVENTQ_BASE, true, 0x5555_0007),
        ("EVENTQ_PROD", reg::EVENTQ_PROD, false, 0x33),
    ];
    started(p);
    refused(p, "enabled", ROWS);
    Smmu::control(p, SMMUEN | CMDQEN);
    accepted(p, "disabled", ROWS);
}

/// Either of the two queues guards their attributes in CR1.
pub(super) fn guarded_by_either_queue(p: &mut Program) {
    const ROWS: &[Row] = &[("CR1: of queues", reg::CR1, false, 0x15)];
    Smmu::control(p, 0);
    p.poke32(reg::CR1, 0);
    for on in [CMDQEN, EVENTQEN, CMDQEN | EVENTQEN] {
        Smmu::control(p, on);
        refused(p, "a queue is enabled", ROWS);
    }
    Smmu::control(p, 0);
    accepted(p, "neither is", ROWS);
}

/// GERROR_IRQEN guards its message.
pub(super) fn guarded_by_gerror_irqen(p: &mut Program) {
    const ROWS: &[Row] = &[
        ("GERROR_IRQ_CFG0", reg::GERROR_IRQ_CFG0, true, 0x5555_0040),
        ("GERROR_IRQ_CFG1", reg::GERROR_IRQ_CFG0 + 8, false, 0x1234),
        ("GERROR_IRQ_CFG2", reg::GERROR_IRQ_CFG0 + 12, false, 0x3f),
    ];
    p.poke32(reg::IRQ_CTRL, GERROR_IRQEN);
    refused(p, "enabled", ROWS);
    // That of the event queue is another one.
    p.poke32(reg::IRQ_CTRL, EVENTQ_IRQEN);
    accepted(p, "disabled", ROWS);
}

/// EVENTQ_IRQEN guards its own.
pub(super) fn guarded_by_eventq_irqen(p: &mut Program) {
    const ROWS: &[Row] = &[
        ("EVENTQ_IRQ_CFG0", reg::EVENTQ_IRQ_CFG0, true, 0x5555_0040),
        ("EVENTQ_IRQ_CFG1", reg::EVENTQ_IRQ_CFG0 + 8, false, 0x1234),
        ("EVENTQ_IRQ_CFG2", reg::EVENTQ_IRQ_CFG0 + 12, false, 0x3f),
    ];
    p.poke32(reg::IRQ_CTRL, EVENTQ_IRQEN);
    refused(p, "enabled", ROWS);
    p.poke32(reg::IRQ_CTRL, GERROR_IRQEN);
    accepted(p, "disabled", ROWS);
}

/// What can only be read.
pub(super) fn read_only(p: &mut Program) {
    const ROWS: &[Row] = &[
        ("IDR0", reg::IDR0, false, 0),
        ("IDR1", reg::IDR0 + 4, false, 0),
        ("IDR5", reg::IDR0 + 20, false, 0),
        ("AIDR", reg::AIDR, false, 0xff),
        ("CR0ACK", reg::CR0ACK, false, 0),
        ("IRQ_CTRLACK", reg::IRQ_CTRLACK, false, 5),
        ("GERROR", reg::GERROR, false, 0x1ff),
        ("CIDR0", reg::CIDR, false, 0xff),
    ];
    let rig = started(p);
    refused(p, "always", ROWS);
    rig.reads(p, "as before", &Dma::read(stream::STAGE1, IOVA));
}

/// CR0ACK and IRQ_CTRLACK follow, and have no bits that are RES0.
pub(super) fn acknowledged(p: &mut Program) {
    started(p);
    for cr0 in [CMDQEN, CMDQEN | EVENTQEN, SMMUEN | CMDQEN | EVENTQEN, 0] {
        Smmu::control(p, cr0);
        p.expect_word("CR0ACK", reg::CR0ACK, u64::MAX, cr0.into());
    }
    for enables in [EVENTQ_IRQEN, GERROR_IRQEN | EVENTQ_IRQEN, 0] {
        p.poke32(reg::IRQ_CTRL, enables);
        p.until(15, |p| {
            p.peek32(15, reg::IRQ_CTRLACK);
            a64!(p ; cmp x15, enables ; cset x15, eq);
        });
        p.expect_word("IRQ_CTRLACK", reg::IRQ_CTRLACK, u64::MAX, enables.into());
    }
    // Bits 31:16 are RES0 in both.
    p.poke32(reg::IRQ_CTRL, 0xffff_0000);
    p.expect_word("IRQ_CTRL", reg::IRQ_CTRL, u64::MAX, 0);
    Smmu::control(p, 0);
    p.poke32(reg::CR0, 0xffff_0000);
    p.expect_word("CR0", reg::CR0, u64::MAX, 0);
}

/// Registers of 64 bits, by halves.
pub(super) fn halves(p: &mut Program) {
    for at in [reg::STRTAB_BASE, reg::CMDQ_BASE, reg::EVENTQ_BASE, reg::GERROR_IRQ_CFG0] {
        p.poke32(at, 0x4567_8000);
        p.poke32(at + 4, 0x0000_0123);
        p.expect_double(&format!("{:#x}", at - SMMU), at, 0x0123_4567_8000);
        p.expect_word(&format!("{:#x}, the upper half", at - SMMU), at + 4, u64::MAX, 0x123);
    }
}

/// Places where there is no register, and registers of what is not there: RAZ/WI.
pub(super) fn absent(p: &mut Program) {
    for offset in [0x30, 0x3c, 0x40, 0x48, 0x4c, 0x58, 0x5c, 0x78, 0x8c, 0x8000] {
        p.poke32(SMMU + offset, u32::MAX);
        p.expect_word(&format!("{offset:#x}"), SMMU + offset, u64::MAX, 0);
    }
    let rig = started(p);
    rig.reads(p, "nothing has changed", &Dma::read(stream::STAGE1, IOVA));
}

/// IDR3 and IDR5: HAD, XNX, FWB, RIL, BBML; addresses, granules, VAX and STALL_MAX. Component identification.
pub(super) fn identification(p: &mut Program) {
    let rows = [
        ("SMMU_IDR3", 3, 0x1d14, 1 << 2 | 1 << 4 | 1 << 8 | 1 << 10 | 2 << 11),
        ("SMMU_IDR5", 5, 0xffff_0c77, 128 << 16 | 1 << 10 | 7 << 4 | 6),
    ];
    for (name, n, mask, value) in rows {
        p.expect_word(name, reg::IDR0 + 4 * n, mask, value);
    }
    for (n, value) in (0..).zip([0x0d, 0xf0, 0x05, 0xb1]) {
        p.expect_word("SMMU_CIDR", reg::CIDR + 4 * n, 0xff, value);
    }
}
