//! Access flag and dirty state, updated by hardware (Arm IHI 0070, 3.13).

use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::command::tlbi;
use crate::guest_tests::smmu::structures::{Entry, Event, cd, class, ste};
use crate::guest_tests::smmu::{IOVA, IPA, Rig, VMID, stream};
use crate::guest_tests::tables::{Tables, desc};
use crate::guest_tests::test_master::Dma;

const STREAM: u32 = stream::STAGE1;

/// Expects a descriptor of level 3.
fn expect_descriptor(p: &mut Program, name: &str, tables: Tables, address: u64, value: u64) {
    let slot = p.slot(tables, address, 3);
    p.mov(18, slot);
    a64!(p ; ldr x0, [x18]);
    p.expect(name, 0, value);
}

/// Stage 1 with these of HA and HD, and a page with these attributes; gives the descriptor.
fn stage1(p: &mut Program, ha: u64, hd: u64, attributes: u64) -> (Rig, u64) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA, frame, attributes);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::HA, ha).with(cd::HD, hd));
    rig.start(p);
    (rig, frame | attributes | desc::PAGE)
}

/// HA: the first access sets AF.
pub(super) fn access_flag(p: &mut Program) {
    let (rig, before) = stage1(p, 1, 0, desc::SH | desc::EL0);
    expect_descriptor(p, "before", rig.s1, IOVA, before);
    rig.reads(p, "a read", &Dma::read(STREAM, IOVA));
    expect_descriptor(p, "afterwards", rig.s1, IOVA, before | desc::AF);
}

/// An access that is not allowed: AF may be set or not, and the fault is one of permission.
pub(super) fn access_flag_of_a_fault(p: &mut Program) {
    let (mut rig, _) = stage1(p, 1, 0, desc::SH | desc::EL0 | desc::RO);
    let dma = Dma::write(STREAM, IOVA);
    rig.faults(p, "a write", &dma, &Event::fault(Event::PERMISSION, &dma));
}

/// HD: the first write makes a page with DBM writable.
pub(super) fn dirty_state(p: &mut Program) {
    let (rig, before) = stage1(p, 1, 1, desc::EL0_RW | desc::RO | desc::DBM);
    rig.reads(p, "a read", &Dma::read(STREAM, IOVA));
    expect_descriptor(p, "after a read", rig.s1, IOVA, before);
    rig.writes(p, "a write", &Dma::write(STREAM, IOVA));
    expect_descriptor(p, "after a write", rig.s1, IOVA, before & !desc::RO);
}

/// HD without HA, and DBM without HD: no update.
pub(super) fn dirty_state_off(p: &mut Program) {
    let (mut rig, before) = stage1(p, 1, 0, desc::EL0_RW | desc::RO | desc::DBM);
    let dma = Dma::write(STREAM, IOVA);
    rig.faults(p, "HD is 0", &dma, &Event::fault(Event::PERMISSION, &dma));
    expect_descriptor(p, "HD is 0", rig.s1, IOVA, before);
}

/// A page that is read-only and has no DBM stays so.
pub(super) fn no_dbm(p: &mut Program) {
    let (mut rig, before) = stage1(p, 1, 1, desc::EL0_RW | desc::RO);
    let dma = Dma::write(STREAM, IOVA);
    rig.faults(p, "a write", &dma, &Event::fault(Event::PERMISSION, &dma));
    expect_descriptor(p, "afterwards", rig.s1, IOVA, before);
}

/// An unprivileged write to a page of EL1: nothing becomes dirty.
pub(super) fn not_dirty_by_a_fault(p: &mut Program) {
    let (mut rig, before) = stage1(p, 1, 1, desc::EL1_RW | desc::RO | desc::DBM);
    let dma = Dma::write(STREAM, IOVA);
    rig.faults(p, "a write", &dma, &Event::fault(Event::PERMISSION, &dma));
    expect_descriptor(p, "afterwards", rig.s1, IOVA, before);
}

/// Both at once.
pub(super) fn both(p: &mut Program) {
    let (rig, before) = stage1(p, 1, 1, desc::SH | desc::EL0 | desc::RO | desc::DBM);
    rig.writes(p, "a write", &Dma::write(STREAM, IOVA));
    expect_descriptor(p, "afterwards", rig.s1, IOVA, (before | desc::AF) & !desc::RO);
}

/// Stage 2 with these of S2HA and S2HD, and a page with these attributes; gives the descriptor.
fn stage2(p: &mut Program, change: impl FnOnce(Entry) -> Entry, attributes: u64) -> (Rig, u64) {
    let mut rig = Rig::new(p);
    let (s2, frame) = (rig.s2, rig.frame);
    p.page(s2, IPA, frame, attributes);
    rig.put_ste(p, stream::STAGE2, change(ste::stage2(s2, VMID)));
    rig.start(p);
    (rig, frame | attributes | desc::PAGE)
}

/// S2HA.
pub(super) fn access_flag_of_stage2(p: &mut Program) {
    let (rig, before) = stage2(p, |e| e.with(ste::S2HA, 1), desc::S2_RW & !desc::AF);
    rig.reads(p, "a read", &Dma::read(stream::STAGE2, IPA));
    expect_descriptor(p, "afterwards", rig.s2, IPA, before | desc::AF);
}

/// S2AFFD: nobody looks at AF.
pub(super) fn no_access_flag_faults_of_stage2(p: &mut Program) {
    let (rig, before) = stage2(p, |e| e.with(ste::S2AFFD, 1), desc::S2_RW & !desc::AF);
    rig.reads(p, "a read", &Dma::read(stream::STAGE2, IPA));
    expect_descriptor(p, "afterwards", rig.s2, IPA, before);
}

/// S2HD.
pub(super) fn dirty_state_of_stage2(p: &mut Program) {
    let clean = desc::S2_RW & !desc::S2_W | desc::DBM;
    let (rig, before) = stage2(p, |e| e.with(ste::S2HA, 1).with(ste::S2HD, 1), clean);
    rig.reads(p, "a read", &Dma::read(stream::STAGE2, IPA));
    expect_descriptor(p, "after a read", rig.s2, IPA, before);
    rig.writes(p, "a write", &Dma::write(stream::STAGE2, IPA));
    expect_descriptor(p, "after a write", rig.s2, IPA, before | desc::S2_W);
}

/// The update of a table of stage 1 that stage 2 lets only be read: CLASS = TT, TTRnW = 0.
pub(super) fn table_that_is_read_only(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2) = (rig.inner, rig.s2);
    p.page(inner, IOVA, IPA, desc::SH | desc::EL0);
    let table = p.slot(inner, IOVA, 3) & !0xfff;
    p.page(s2, table, table, desc::S2_RW & !desc::S2_W);
    rig.put_cd(p, 1, cd::of(inner, 2).with(cd::HA, 1));
    rig.start(p);
    let dma = Dma::read(stream::NESTED, IOVA);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::TT, table);
    rig.faults(p, "AF is 0", &dma, &event);
}

/// The update of a table of stage 1 makes the page of stage 2 dirty that it is in.
pub(super) fn table_becomes_dirty(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2) = (rig.inner, rig.s2);
    p.page(inner, IOVA, IPA, desc::SH | desc::EL0);
    let table = p.slot(inner, IOVA, 3) & !0xfff;
    let clean = desc::S2_RW & !desc::S2_W | desc::DBM;
    p.page(s2, table, table, clean);
    rig.put_cd(p, 1, cd::of(inner, 2).with(cd::HA, 1));
    rig.put_ste(p, stream::NESTED, rig.nested().with(ste::S2HA, 1).with(ste::S2HD, 1));
    rig.start(p);
    rig.reads(p, "a read", &Dma::read(stream::NESTED, IOVA));
    expect_descriptor(p, "stage 1", inner, IOVA, IPA | desc::SH | desc::EL0 | desc::AF | desc::PAGE);
    expect_descriptor(p, "stage 2", s2, table, table | clean | desc::S2_W | desc::PAGE);
}

/// A block.
pub(super) fn block(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    let (va, base) = (0x31_0000_0000, frame & !0x1f_ffff);
    let before = base | desc::SH | desc::EL0 | desc::RO | desc::DBM | desc::BLOCK;
    p.put(s1, va, 2, before);
    rig.put_cd(p, 0, cd::of(s1, 1).with(cd::HA, 1).with(cd::HD, 1));
    rig.start(p);
    rig.writes(p, "a write", &Dma::write(STREAM, va + (frame & 0x1f_ffff)));
    let slot = p.slot(s1, va, 2);
    p.expect_double("the block", slot, (before | desc::AF) & !desc::RO);
}

/// Both stages at once: a write sets all four.
pub(super) fn both_stages(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (inner, s2, frame) = (rig.inner, rig.s2, rig.frame);
    let first = IPA | desc::SH | desc::EL0 | desc::RO | desc::DBM | desc::NG | desc::PAGE;
    let second = frame | desc::S2_RW & !(desc::AF | desc::S2_W) | desc::DBM | desc::PAGE;
    p.put(inner, IOVA, 3, first);
    p.put(s2, IPA, 3, second);
    rig.put_cd(p, 1, cd::of(inner, 2).with(cd::HA, 1).with(cd::HD, 1));
    rig.put_ste(p, stream::NESTED, rig.nested().with(ste::S2HA, 1).with(ste::S2HD, 1));
    rig.start(p);
    rig.writes(p, "a write", &Dma::write(stream::NESTED, IOVA));
    expect_descriptor(p, "stage 1", inner, IOVA, (first | desc::AF) & !desc::RO);
    expect_descriptor(p, "stage 2", s2, IPA, second | desc::AF | desc::S2_W);
}

/// Two masters whose first accesses are of one page: each update is made, and none is lost.
pub(super) fn by_two_streams(p: &mut Program) {
    let (mut rig, before) = stage1(p, 1, 1, desc::SH | desc::EL0 | desc::RO | desc::DBM);
    rig.reads(p, "a read", &Dma::read(STREAM, IOVA));
    rig.writes(p, "a write of another master", &Dma::write(STREAM, IOVA).by(2));
    expect_descriptor(p, "afterwards", rig.s1, IOVA, (before | desc::AF) & !desc::RO);
    // What is known of the page before the write is no longer so: cleaned and invalidated, it is dirtied again.
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, before | desc::AF);
    rig.smmu.complete(p, tlbi(0x12, 0, 1, IOVA));
    rig.writes(p, "a write", &Dma::write(STREAM, IOVA));
    expect_descriptor(p, "again", rig.s1, IOVA, (before | desc::AF) & !desc::RO);
}
