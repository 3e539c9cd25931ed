//! What commands, and TLB maintenance of PEs, take away (Arm IHI 0070, 4.3, 4.4, 3.17): a table or a descriptor changes, and after the
//! command and a CMD_SYNC the new one is used.

use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::smmu::structures::command::{self, Words, tlbi};
use crate::guest_tests::smmu::structures::{Entry, Event, cd, ste};
use crate::guest_tests::smmu::{DATA, E2H, IOVA, IPA, ON, OTHER, PTM, RECINVSID, Rig, Smmu, VMID, stream};
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::Dma;

use stream::SPARE;

/// Attributes of a page that belongs to its ASID.
const OWN: u64 = desc::EL0_RW | desc::NG;

/// A page changes from the frame to the other one; `makes` does what makes that known.
fn page_changes(p: &mut Program, rig: &mut Rig, dma: &Dma, page: (Tables, u64, u64), makes: &[Words]) {
    let (tables, address, attributes) = page;
    let slot = p.slot(tables, address, 3);
    rig.reads_value(p, "before", dma, DATA);
    // By way of an invalid one (Arm ARM, D8.16).
    p.poke(slot, 0);
    for words in makes {
        rig.smmu.give(p, *words);
    }
    rig.smmu.sync(p);
    p.poke(slot, rig.other | attributes | desc::PAGE);
    rig.reads_value(p, "afterwards", dma, OTHER);
}

/// Of stage 1, with ASID 1 and without a VMID.
fn stage1(p: &mut Program, words: Words) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let page = (rig.s1, IOVA, OWN);
    page_changes(p, &mut rig, &Dma::read(stream::STAGE1, IOVA), page, &[words]);
}

/// Of stage 1 over stage 2, with ASID 2.
fn inner(p: &mut Program, words: Words) {
    let mut rig = Rig::new(p);
    let (inner, s2, other) = (rig.inner, rig.s2, rig.other);
    p.page(s2, other, other, desc::S2_RW);
    rig.start(p);
    page_changes(p, &mut rig, &Dma::read(stream::NESTED, IOVA), (inner, IOVA, OWN), &[words]);
}

/// Of stage 2.
fn stage2(p: &mut Program, words: Words) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let page = (rig.s2, IPA, desc::S2_RW);
    page_changes(p, &mut rig, &Dma::read(stream::STAGE2, IPA), page, &[words]);
}

pub(super) fn nh_all(p: &mut Program) {
    stage1(p, tlbi(0x10, 0, 0, 0));
}
pub(super) fn nh_asid(p: &mut Program) {
    stage1(p, tlbi(0x11, 0, 1, 0));
}
pub(super) fn nh_va(p: &mut Program) {
    stage1(p, tlbi(0x12, 0, 1, IOVA));
}
pub(super) fn nh_va_leaf(p: &mut Program) {
    stage1(p, tlbi(0x12, 0, 1, IOVA | 1));
}
pub(super) fn nh_vaa(p: &mut Program) {
    stage1(p, tlbi(0x13, 0, 0x77, IOVA));
}
pub(super) fn nsnh_all(p: &mut Program) {
    stage1(p, command::TLBI_NSNH_ALL);
}
pub(super) fn nh_all_of_vm(p: &mut Program) {
    inner(p, tlbi(0x10, VMID, 0, 0));
}
pub(super) fn nh_asid_of_vm(p: &mut Program) {
    inner(p, tlbi(0x11, VMID, 2, 0));
}
pub(super) fn nh_va_of_vm(p: &mut Program) {
    inner(p, tlbi(0x12, VMID, 2, IOVA));
}
pub(super) fn nh_vaa_of_vm(p: &mut Program) {
    inner(p, tlbi(0x13, VMID, 0, IOVA));
}
pub(super) fn s12_vmall_of_stage1(p: &mut Program) {
    inner(p, tlbi(0x28, VMID, 0, 0));
}
pub(super) fn s12_vmall(p: &mut Program) {
    stage2(p, tlbi(0x28, VMID, 0, 0));
}
pub(super) fn s2_ipa(p: &mut Program) {
    stage2(p, tlbi(0x2a, VMID, 0, IPA));
}
pub(super) fn nsnh_all_of_stage2(p: &mut Program) {
    stage2(p, command::TLBI_NSNH_ALL);
}

/// TG = 1 (4 KiB), of NUM + 1 pages times 2^SCALE from one below.
fn range(opcode: u64, vmid: u64, asid: u64, page: u64, num: u64, scale: u64) -> Words {
    [opcode | num << 12 | scale << 20 | vmid << 32 | asid << 48, page | 1 << 10]
}

pub(super) fn nh_va_range(p: &mut Program) {
    stage1(p, range(0x12, 0, 1, IOVA - 0x3000, 3, 0));
}
pub(super) fn nh_vaa_range(p: &mut Program) {
    stage1(p, range(0x13, 0, 0, IOVA & !0xffff, 1, 3));
}
pub(super) fn s2_ipa_range(p: &mut Program) {
    stage2(p, range(0x2a, VMID, 0, IPA - 0x1000, 1, 0));
}

/// Of EL2.
pub(super) fn el2_va_range(p: &mut Program) {
    el2(p, 0, range(0x22, 0, 0, IOVA - 0x1000, 1, 0));
}

/// TG = 3: 64 KiB.
pub(super) fn nh_va_range_64k(p: &mut Program) {
    let mut rig = Rig::with(p, Granule::K64);
    rig.start(p);
    let (tables, page) = (rig.s1, IOVA & !0xffff);
    let [first, second] = range(0x12, 0, 1, page - 0x1_0000, 1, 0);
    page_changes(
        p,
        &mut rig,
        &Dma::read(stream::STAGE1, page),
        (tables, page, OWN),
        &[[first, second | 3 << 10]],
    );
}

/// One granule, with a level hint.
pub(super) fn nh_va_level(p: &mut Program) {
    stage1(p, tlbi(0x12, 0, 1, IOVA | 1 << 10 | 3 << 8));
}

/// CMD_TLBI_S2_IPA and CMD_TLBI_NH_ALL reach what is cached of both stages together (4.4.4).
pub(super) fn s2_ipa_of_both(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let page = (rig.s2, IPA, desc::S2_RW);
    let makes = [tlbi(0x2a, VMID, 0, IPA), tlbi(0x10, VMID, 0, 0)];
    page_changes(p, &mut rig, &Dma::read(stream::NESTED, IOVA), page, &makes);
}

/// A rig with a stream of EL2, or of EL2 with E2H.
fn el2(p: &mut Program, cr2: u32, words: Words) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 |= cr2;
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::STRW, 0b10));
    rig.start(p);
    let page = (rig.s1, IOVA, OWN);
    page_changes(p, &mut rig, &Dma::read(SPARE[0], IOVA), page, &[words]);
}

pub(super) fn el2_all(p: &mut Program) {
    el2(p, 0, command::TLBI_EL2_ALL);
}
pub(super) fn el2_va(p: &mut Program) {
    el2(p, 0, tlbi(0x22, 0, 0, IOVA));
}
pub(super) fn el2_vaa(p: &mut Program) {
    el2(p, 0, tlbi(0x23, 0, 0, IOVA));
}
pub(super) fn e2h_all(p: &mut Program) {
    el2(p, E2H, command::TLBI_EL2_ALL);
}
pub(super) fn e2h_asid(p: &mut Program) {
    el2(p, E2H, tlbi(0x21, 0, 1, 0));
}
pub(super) fn e2h_va(p: &mut Program) {
    el2(p, E2H, tlbi(0x22, 0, 1, IOVA));
}
pub(super) fn e2h_vaa(p: &mut Program) {
    el2(p, E2H, tlbi(0x23, 0, 0, IOVA));
}

/// TLB maintenance of a PE, by broadcast, with CR2.PTM = 0 (IDR0.BTM).
fn broadcast(p: &mut Program, maintain: impl FnOnce(&mut Program)) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID;
    // The VMID that a PE without stage 2 uses is 0.
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.reads_value(p, "before", &dma, DATA);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    maintain(p);
    a64!(p ; dsb sy ; isb);
    p.poke(slot, rig.other | OWN | desc::PAGE);
    rig.reads_value(p, "afterwards", &dma, OTHER);
}

pub(super) fn broadcast_all(p: &mut Program) {
    broadcast(p, |p| p.msr(r::TLBI_ALLE1IS, 31));
}
pub(super) fn broadcast_context(p: &mut Program) {
    broadcast(p, |p| p.msr(r::TLBI_VMALLE1IS, 31));
}
pub(super) fn broadcast_asid(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(1, 1 << 48);
        p.msr(r::TLBI_ASIDE1IS, 1);
    });
}
pub(super) fn broadcast_address(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(1, 1 << 48 | IOVA >> 12);
        p.msr(r::TLBI_VAE1IS, 1);
    });
}
pub(super) fn broadcast_address_of_all(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(1, IOVA >> 12);
        p.msr(r::TLBI_VAAE1IS, 1);
    });
}

/// By another PE.
pub(super) fn broadcast_by_another(p: &mut Program) {
    broadcast(p, |p| {
        p.start_second(0, |p| {
            p.msr(r::TLBI_ALLE1IS, 31);
            a64!(p ; dsb sy);
        });
        p.join();
    });
}

/// Of stage 2, by a PE that has its VMID.
fn broadcast_of_stage2(p: &mut Program, maintain: impl FnOnce(&mut Program)) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID;
    rig.start(p);
    let dma = Dma::read(stream::STAGE2, IPA);
    rig.reads_value(p, "before", &dma, DATA);
    let slot = p.slot(rig.s2, IPA, 3);
    p.poke(slot, 0);
    p.set_now(r::VTTBR_EL2, VMID << 48);
    maintain(p);
    a64!(p ; dsb sy ; isb);
    p.poke(slot, rig.other | desc::S2_RW | desc::PAGE);
    rig.reads_value(p, "afterwards", &dma, OTHER);
}

pub(super) fn broadcast_ipa(p: &mut Program) {
    broadcast_of_stage2(p, |p| {
        p.mov(1, IPA >> 12);
        p.msr(r::TLBI_IPAS2E1IS, 1);
    });
}
pub(super) fn broadcast_vm(p: &mut Program) {
    broadcast_of_stage2(p, |p| p.msr(r::TLBI_VMALLS12E1IS, 31));
}

/// Of EL2, by a PE without E2H.
fn broadcast_of_el2(p: &mut Program, maintain: impl FnOnce(&mut Program)) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID;
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::STRW, 0b10));
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA);
    rig.reads_value(p, "before", &dma, DATA);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    maintain(p);
    a64!(p ; dsb sy ; isb);
    p.poke(slot, rig.other | OWN | desc::PAGE);
    rig.reads_value(p, "afterwards", &dma, OTHER);
}

pub(super) fn broadcast_el2(p: &mut Program) {
    broadcast_of_el2(p, |p| p.msr(r::TLBI_ALLE2IS, 31));
}
pub(super) fn broadcast_el2_address(p: &mut Program) {
    broadcast_of_el2(p, |p| {
        p.mov(1, IOVA >> 12);
        p.msr(r::TLBI_VAE2IS, 1);
    });
}

/// With CR2.PTM = 1 an SMMU need not listen, and everything else works.
pub(super) fn private_tlb(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID | PTM;
    rig.start(p);
    p.msr(r::TLBI_ALLE1IS, 31);
    a64!(p ; dsb sy);
    rig.reads(p, "as before", &Dma::read(stream::STAGE1, IOVA));
}

/// CR0.VMW = 1: VMIDs 2 and 3 are a group, and what names one of them names both. VMIDs 0 to 15 are with 4.
pub(super) fn vmid_wildcard(p: &mut Program) {
    for (vmw, words) in [
        (1, tlbi(0x2a, VMID - 1, 0, IPA)),
        (2, tlbi(0x2a, VMID - 3, 0, IPA)),
        (3, tlbi(0x28, VMID + 4, 0, 0)),
        (4, tlbi(0x28, VMID + 12, 0, 0)),
    ] {
        let mut rig = Rig::new(p);
        rig.start(p);
        Smmu::control(p, ON | vmw << 6);
        let page = (rig.s2, IPA, desc::S2_RW);
        page_changes(p, &mut rig, &Dma::read(stream::STAGE2, IPA), page, &[words]);
    }
}

/// So does TLB maintenance of a PE, whose VMID is 0.
pub(super) fn broadcast_vmid_wildcard(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID;
    rig.put_ste(p, stream::STAGE1, rig.stage1().with(ste::S2VMID, 5));
    rig.start(p);
    Smmu::control(p, ON | 3 << 6);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.reads_value(p, "before", &dma, DATA);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    p.msr(r::TLBI_VMALLE1IS, 31);
    a64!(p ; dsb sy ; isb);
    p.poke(slot, rig.other | OWN | desc::PAGE);
    rig.reads_value(p, "afterwards", &dma, OTHER);
}

// Configuration.

/// A stream's STE or CD changes from tables that lead to the frame to others that lead to the other one.
fn entry_changes(p: &mut Program, entry: impl FnOnce(&Rig) -> (u64, Entry), words: Words) {
    let mut rig = Rig::new(p);
    let (inner, other) = (rig.inner, rig.other);
    p.page(inner, IOVA, other, OWN);
    rig.start(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.reads_value(p, "before", &dma, DATA);
    let (at, new) = entry(&rig);
    p.write_entry(at, new);
    rig.smmu.complete(p, words);
    rig.reads_value(p, "afterwards", &dma, OTHER);
}

/// The STE points to another CD.
fn ste_changes(p: &mut Program, words: Words) {
    entry_changes(p, |rig| (rig.smmu.ste(stream::STAGE1), ste::stage1(rig.cd(1))), words);
}

/// The CD points to other tables, with another ASID.
fn cd_changes(p: &mut Program, words: Words) {
    entry_changes(p, |rig| (rig.cd(0), cd::of(rig.inner, 9)), words);
}

pub(super) fn cfgi_ste(p: &mut Program) {
    ste_changes(p, command::cfgi_ste(stream::STAGE1));
}
pub(super) fn cfgi_ste_range(p: &mut Program) {
    // Streams 0 to 3.
    ste_changes(p, [0x04 | 2 << 32, 1]);
}
pub(super) fn cfgi_all(p: &mut Program) {
    ste_changes(p, command::CFGI_ALL);
}
pub(super) fn cfgi_cd(p: &mut Program) {
    cd_changes(p, command::cfgi_cd(stream::STAGE1, 0));
}
pub(super) fn cfgi_cd_all(p: &mut Program) {
    cd_changes(p, command::of_stream(0x06, stream::STAGE1));
}
/// An STE takes its CDs with it.
pub(super) fn cfgi_ste_of_cd(p: &mut Program) {
    cd_changes(p, command::cfgi_ste(stream::STAGE1));
}
/// The STE of a stream of the second level: an L1STD that was not valid is read again.
pub(super) fn cfgi_ste_of_the_first_level(p: &mut Program) {
    let mut rig = Rig::new(p);
    let [first, second] = [p.frame(0x1000), p.frame(0x1000)];
    (rig.smmu.stream_table, rig.smmu.stream_table_cfg) = (first, 1 << 16 | 6 << 6 | 10);
    rig.start(p);
    let dma = Dma::read(0x149, rig.frame);
    rig.faults(p, "no second level", &dma, &Event::of(Event::BAD_STREAMID, &dma));
    p.write_entry(second + 64 * 9, ste::BYPASS);
    p.poke(first + 8 * 5, second | 7);
    // With Leaf = 0.
    rig.smmu.complete(p, [0x03 | 0x149 << 32, 0]);
    rig.reads(p, "a second level", &dma);
}
/// The CD of a substream of the second level: an L1CD is read again.
pub(super) fn cfgi_cd_of_the_first_level(p: &mut Program) {
    let mut rig = Rig::new(p);
    let [first, second] = [p.frame(0x1000), p.frame(0x1_0000)];
    rig.put_ste(p, SPARE[0], ste::stage1(first).with(ste::S1CDMAX, 12).with(ste::S1FMT, 1));
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA).of(67);
    rig.faults(p, "no second level", &dma, &Event::bad_substream(&dma));
    p.write_entry(second + 64 * 3, cd::of(rig.s1, 5));
    p.poke(first + 8, second | 1);
    rig.smmu.complete(p, [0x05 | 67 << 12 | u64::from(SPARE[0]) << 32, 0]);
    rig.reads(p, "a second level", &dma);
}
/// A substream's CD alone.
pub(super) fn cfgi_cd_of_a_substream(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.inner, IOVA, rig.other, OWN);
    rig.put_cd(p, 4 + 2, cd::of(rig.s1, 5));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(4)).with(ste::S1CDMAX, 2));
    rig.start(p);
    let dma = Dma::read(SPARE[0], IOVA).of(2);
    rig.reads_value(p, "before", &dma, DATA);
    p.write_entry(rig.cd(4 + 2), cd::of(rig.inner, 9));
    rig.smmu.complete(p, command::cfgi_cd(SPARE[0], 2));
    rig.reads_value(p, "afterwards", &dma, OTHER);
}
