//! Address translation operations (Arm IHI 0070, chapter 9): where an address of a stream leads, as SMMU_GATOS_* say.

use crate::guest_tests::layout::{NOWHERE, SMMU};
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{cd, ste};
use crate::guest_tests::smmu::{CMDQEN, IOVA, IPA, Rig, Smmu, stream};
use crate::guest_tests::tables::desc;

// Registers (6.3.37 to 6.3.40).
const CTRL: u64 = SMMU + 0x100;
const SID: u64 = SMMU + 0x108;
const ADDR: u64 = SMMU + 0x110;
const PAR: u64 = SMMU + 0x118;

/// GATOS_ADDR.TYPE.
const STAGE1: u64 = 1 << 10;
const STAGE2: u64 = 2 << 10;
const BOTH: u64 = 3 << 10;
/// PnU, RnW and HTTUI.
const PRIVILEGED: u64 = 1 << 9;
const READ: u64 = 1 << 8;
const NO_UPDATES: u64 = 1 << 6;

/// GATOS_PAR of an address, but for its attributes.
const ALL_BUT_ATTRIBUTES: u64 = 0x00ff_ffff_ffff_fcff;

/// A fault: code, reason, and the address that stage 2 had no answer for.
const fn fault(code: u64, reason: u64, address: u64) -> u64 {
    address | code << 4 | reason << 1 | 1
}

/// Asks, and waits for the answer, which is left in X0.
fn ask(p: &mut Program, sid: u64, addr: u64) {
    p.poke(SID, sid);
    p.poke(ADDR, addr);
    p.poke32(CTRL, 1);
    p.until(15, |p| {
        p.peek32(15, CTRL);
        a64!(p ; tst x15, 1 ; cset x15, eq);
    });
    p.mov(18, PAR);
    a64!(p ; ldr x0, [x18]);
}

fn expect(p: &mut Program, name: &str, stream: u32, addr: u64, par: u64) {
    ask(p, stream.into(), addr);
    p.expect_bits(name, 0, if par & 1 == 0 { ALL_BUT_ATTRIBUTES } else { u64::MAX }, par);
}

/// Stage 1 alone: an address, its memory type and shareability; a block is told by the lowest bit that is set.
pub(super) fn stage1(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA + 0x1000, frame, desc::EL0_RW | desc::DEVICE);
    p.put(s1, 0x20_0000, 2, 0x4060_0000 | desc::EL0_RW | desc::BLOCK);
    rig.start(p);
    expect(p, "a page", stream::STAGE1, IOVA | STAGE1 | READ, frame);
    p.expect_bits("its attributes", 0, 0xff << 56 | 3 << 8, 0xff << 56 | 3 << 8);
    expect(p, "a block", stream::STAGE1, 0x21_2000 | STAGE1 | READ, 0x4060_0000 | 1 << 20 | 1 << 11);
    expect(p, "Device memory", stream::STAGE1, (IOVA + 0x1000) | STAGE1 | READ, frame);
    p.expect_bits("outer shareable", 0, 3 << 8, 2 << 8);
    rig.smmu.expect_no_event(p, "nothing is recorded");
}

/// Both stages, and each by itself.
pub(super) fn nested(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    expect(p, "both", stream::NESTED, IOVA | BOTH | READ, rig.frame);
    expect(p, "stage 1", stream::NESTED, IOVA | STAGE1 | READ, IPA);
    expect(p, "stage 2", stream::NESTED, IPA | STAGE2 | READ, rig.frame);
    expect(p, "stage 2 alone", stream::STAGE2, IPA | STAGE2, rig.frame);
}

/// Stages that are not there, questions that make no sense.
pub(super) fn invalid(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    const INV_REQ: u64 = fault(0xff, 0, 0);
    const INV_STAGE: u64 = fault(0xfe, 0, 0);
    let cases = [
        ("TYPE 0", stream::NESTED, 0, INV_REQ),
        ("stage 2 of stage 1", stream::STAGE1, STAGE2, INV_STAGE),
        ("both of stage 1", stream::STAGE1, BOTH, INV_STAGE),
        ("stage 1 of stage 2", stream::STAGE2, STAGE1, INV_STAGE),
        ("a bypass", stream::BYPASS, STAGE1, INV_STAGE),
        ("an abort", stream::ABORT, STAGE2, INV_STAGE),
        ("C_BAD_STE", stream::INVALID, STAGE1, fault(0x04, 0, 0)),
        ("C_BAD_STREAMID", 64, STAGE1, fault(0x02, 0, 0)),
    ];
    for (name, id, kind, par) in cases {
        expect(p, name, id, IOVA | kind | READ, par);
    }
    // SSID_VALID: stage 2 has no substreams, and this stream neither.
    ask(p, 1 << 52 | u64::from(stream::NESTED), IPA | STAGE2);
    p.expect("a substream of stage 2", 0, INV_REQ);
    ask(p, 1 << 52 | u64::from(stream::STAGE1), IOVA | STAGE1);
    p.expect("C_BAD_SUBSTREAMID", 0, fault(0x08, 0, 0));
    rig.smmu.expect_no_event(p, "nothing is recorded");
}

/// Faults of stage 1, whatever the CD says of faults.
pub(super) fn faults_of_stage1(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::S, 1));
    p.page(s1, IOVA + 0x1000, frame, desc::EL1_RW);
    p.page(s1, IOVA + 0x2000, frame, desc::EL0_RW | desc::RO);
    p.page(s1, IOVA + 0x3000, frame, desc::SH | desc::EL0);
    p.put(s1, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.start(p);
    let cases = [
        ("F_TRANSLATION", IOVA + 0x1_0000, READ, 0x10),
        ("F_PERMISSION, unprivileged", IOVA + 0x1000, READ, 0x13),
        ("F_PERMISSION, a write", IOVA + 0x2000, PRIVILEGED, 0x13),
        ("F_ACCESS", IOVA + 0x3000, READ, 0x12),
        ("F_WALK_EABT", 0x40_0000_0000, READ, 0x0b),
    ];
    for (name, address, kind, code) in cases {
        expect(p, name, stream::STAGE1, address | kind | STAGE1, fault(code, 0, 0));
    }
    expect(p, "privileged", stream::STAGE1, (IOVA + 0x1000) | PRIVILEGED | READ | STAGE1, frame);
    rig.smmu.expect_no_event(p, "nothing is recorded, and nothing stalls");
}

/// REASON and FADDR: the output of stage 1, a table, a CD. Who asks for stage 1 alone is told of an abort.
pub(super) fn faults_of_stage2(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2) = (rig.inner, rig.s2);
    p.page(inner, IOVA + 0x1000, NOWHERE, desc::EL0_RW);
    p.put(inner, 0x40_0000_0000, 1, NOWHERE | desc::PAGE);
    rig.put_ste(p, stream::SPARE[0], ste::nested(NOWHERE + 0x2000, s2, 9));
    rig.start(p);
    let output = IOVA + 0x1000;
    let cases = [
        ("the output", stream::NESTED, output, BOTH, fault(0x10, 3, NOWHERE)),
        ("the output, of stage 1", stream::NESTED, output, STAGE1, NOWHERE),
        ("a table", stream::NESTED, 0x40_0000_0000, BOTH, fault(0x10, 2, NOWHERE)),
        ("a table, of stage 1", stream::NESTED, 0x40_0000_0000, STAGE1, fault(0x0b, 0, 0)),
        ("a CD", stream::SPARE[0], IOVA, BOTH, fault(0x10, 1, NOWHERE + 0x2000)),
        ("a CD, of stage 1", stream::SPARE[0], IOVA, STAGE1, fault(0x09, 0, 0)),
        ("an IPA", stream::STAGE2, IPA + 0x1_0000, STAGE2, fault(0x10, 3, 0)),
    ];
    for (name, id, address, kind, par) in cases {
        expect(p, name, id, address | kind | READ, par);
    }
}

/// HTTUI: the access flag stays as it is, and does not matter.
pub(super) fn updates(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA, frame, desc::SH | desc::EL0);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::HA, 1));
    rig.start(p);
    let slot = p.slot(s1, IOVA, 3);
    let flag = |p: &mut Program, name: &str, set: u64| {
        p.mov(18, slot);
        a64!(p ; ldr x0, [x18]);
        p.expect_bits(name, 0, 1 << 10, set << 10);
    };
    expect(p, "inhibited", stream::STAGE1, IOVA | STAGE1 | READ | NO_UPDATES, frame);
    flag(p, "AF, inhibited", 0);
    expect(p, "updated", stream::STAGE1, IOVA | STAGE1 | READ, frame);
    flag(p, "AF, updated", 1);
}

/// RUN is Guarded by SMMUEN: nothing happens while it is 0.
pub(super) fn off(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    expect(p, "on", stream::STAGE1, IOVA | STAGE1 | READ, rig.frame);
    Smmu::control(p, CMDQEN);
    ask(p, stream::STAGE1.into(), (IOVA + 0x1000) | STAGE1 | READ);
    p.expect_bits("the last answer", 0, ALL_BUT_ATTRIBUTES, rig.frame);
}
