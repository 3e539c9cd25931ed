//! TLB maintenance (Arm IHI 0062; SMMU_TLBI*, SMMU_CBn_TLBI*, SMMU_sTLBGSYNC, SMMU_CBn_TLBSYNC): a descriptor changes, and after the
//! maintenance and its synchronization the new one is used.

use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::smmu_v2::{
    BANK_NESTED, BANK1, BANK2, Bank, DATA, IOVA, IPA, OTHER, Rig, VMID, cb, cr0, reg, s2cr, stream,
};
use crate::guest_tests::tables::{Tables, desc};
use crate::guest_tests::test_master::Dma;

use stream::{NESTED, SPARE, STAGE1, STAGE2};

/// Attributes of a page that belongs to its ASID.
const OWN: u64 = desc::EL0_RW | desc::NG;
/// The context bank of the hypervisor's stream, and a page of it that 32 bits can name.
const BANK: u32 = 6;
const LOW: u64 = 0x3456_7000;

/// A page changes from the frame to the other one; `maintain` makes that known.
fn page_changes(
    p: &mut Program,
    rig: &Rig,
    dma: &Dma,
    (tables, attributes): (Tables, u64),
    address: u64,
    maintain: impl FnOnce(&mut Program, &Rig),
) {
    let slot = p.slot(tables, address, 3);
    p.dma_reads("before", dma, DATA);
    p.poke(slot, 0);
    maintain(p, rig);
    p.poke(slot, rig.other | attributes | desc::PAGE);
    p.dma_reads("afterwards", dma, OTHER);
}

/// Of stage 1, with ASID 1.
fn stage1(p: &mut Program, maintain: impl FnOnce(&mut Program, &Rig)) {
    let rig = Rig::started(p);
    page_changes(p, &rig, &Dma::read(STAGE1, IOVA), (rig.s1, OWN), IOVA, |p, rig| {
        maintain(p, rig);
        p.smmu_sync();
    });
}

/// Of stage 2.
fn stage2(p: &mut Program, maintain: impl FnOnce(&mut Program, &Rig)) {
    let rig = Rig::started(p);
    page_changes(p, &rig, &Dma::read(STAGE2, IPA), (rig.s2, desc::S2_RW), IPA, |p, rig| {
        maintain(p, rig);
        p.smmu_sync();
    });
}

/// Of a hypervisor's context.
fn hypervisor(p: &mut Program, maintain: impl FnOnce(&mut Program, &Rig)) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, LOW, rig.frame, desc::EL0_RW);
    let bank = Bank::hypervisor(rig.s1);
    rig.bank(BANK, |_| bank);
    rig.start(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK));
    page_changes(p, &rig, &Dma::read(SPARE, LOW), (rig.s1, desc::EL0_RW), LOW, |p, rig| {
        maintain(p, rig);
        p.smmu_sync();
    });
}

/// An operand of a page and an ASID.
const fn page(address: u64, asid: u64) -> u64 {
    address >> 12 | asid << 48
}

pub(super) fn tlbiva(p: &mut Program) {
    stage1(p, |p, rig| p.poke(rig.at(BANK1, cb::TLBIVA), page(IOVA, 1)));
}
pub(super) fn tlbival(p: &mut Program) {
    stage1(p, |p, rig| p.poke(rig.at(BANK1, cb::TLBIVAL), page(IOVA, 1)));
}
pub(super) fn tlbivaa(p: &mut Program) {
    stage1(p, |p, rig| p.poke(rig.at(BANK1, cb::TLBIVAA), page(IOVA, 0x77)));
}
pub(super) fn tlbivaal(p: &mut Program) {
    stage1(p, |p, rig| p.poke(rig.at(BANK1, cb::TLBIVAAL), page(IOVA, 0x77)));
}
pub(super) fn tlbiasid(p: &mut Program) {
    stage1(p, |p, rig| p.poke32(rig.at(BANK1, cb::TLBIASID), 1));
}
pub(super) fn tlbiall(p: &mut Program) {
    stage1(p, |p, rig| p.poke32(rig.at(BANK1, cb::TLBIALL), 0));
}
/// The operand in two halves, the upper one first.
pub(super) fn tlbiva_in_halves(p: &mut Program) {
    stage1(p, |p, rig| {
        p.poke32(rig.at(BANK1, cb::TLBIVA) + 4, (page(IOVA, 1) >> 32) as u32);
        p.poke32(rig.at(BANK1, cb::TLBIVA), page(IOVA, 1) as u32);
    });
}
pub(super) fn tlbiipas2(p: &mut Program) {
    stage2(p, |p, rig| p.poke(rig.at(BANK2, cb::TLBIIPAS2), page(IPA, 0)));
}
pub(super) fn tlbiipas2l(p: &mut Program) {
    stage2(p, |p, rig| p.poke(rig.at(BANK2, cb::TLBIIPAS2L), page(IPA, 0)));
}
pub(super) fn tlbivmid(p: &mut Program) {
    stage2(p, |p, _| p.poke32(reg::TLBIVMID, VMID));
}
pub(super) fn tlbivmids1(p: &mut Program) {
    // Stage 1 alone has VMID 0.
    stage1(p, |p, _| p.poke32(reg::TLBIVMIDS1, 0));
}
pub(super) fn tlbiallnsnh(p: &mut Program) {
    stage1(p, |p, _| p.poke32(reg::TLBIALLNSNH, 0));
}
pub(super) fn tlbiallnsnh_of_stage2(p: &mut Program) {
    stage2(p, |p, _| p.poke32(reg::TLBIALLNSNH, 0));
}
pub(super) fn tlbiallh(p: &mut Program) {
    hypervisor(p, |p, _| p.poke32(reg::TLBIALLH, 0));
}
pub(super) fn tlbivah(p: &mut Program) {
    hypervisor(p, |p, _| p.poke32(reg::TLBIVAH, LOW as u32));
}
pub(super) fn tlbivah64(p: &mut Program) {
    hypervisor(p, |p, _| p.poke(reg::TLBIVAH64, page(LOW, 0)));
}
pub(super) fn tlbivalh64(p: &mut Program) {
    hypervisor(p, |p, _| p.poke(reg::TLBIVALH64, page(LOW, 0)));
}
/// A bank's own register names its regime.
pub(super) fn tlbiva_of_a_hypervisor(p: &mut Program) {
    hypervisor(p, |p, rig| p.poke(rig.at(BANK, cb::TLBIVA), page(LOW, 0)));
}

/// TLBIIPAS2, and then stage 1 of the VMID: what is cached of both stages together is gone.
pub(super) fn stage2_of_nested(p: &mut Program) {
    let rig = Rig::started(p);
    page_changes(p, &rig, &Dma::read(NESTED, IOVA), (rig.s2, desc::S2_RW), IPA, |p, rig| {
        p.poke(rig.at(BANK2, cb::TLBIIPAS2), page(IPA, 0));
        p.smmu_sync();
        p.poke32(reg::TLBIVMIDS1, VMID);
        p.smmu_sync();
    });
}

/// Stage 1 of both, by the bank's registers.
pub(super) fn stage1_of_nested(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s2, rig.other, rig.other, desc::S2_RW);
    rig.start(p);
    page_changes(p, &rig, &Dma::read(NESTED, IOVA), (rig.inner, OWN), IOVA, |p, rig| {
        p.poke(rig.at(BANK_NESTED, cb::TLBIVA), page(IOVA, 2));
        p.smmu_sync();
    });
}

/// CBn_TLBSYNC and CBn_TLBSTATUS.
pub(super) fn sync_of_a_bank(p: &mut Program) {
    let rig = Rig::started(p);
    page_changes(p, &rig, &Dma::read(STAGE1, IOVA), (rig.s1, OWN), IOVA, |p, rig| {
        p.poke32(rig.at(BANK1, cb::TLBIALL), 0);
        p.poke32(rig.at(BANK1, cb::TLBSYNC), 0);
        let status = rig.at(BANK1, cb::TLBSTATUS);
        p.until(15, |p| {
            p.peek32(15, status);
            a64!(p ; tst x15, 1 ; cset x15, eq);
        });
        p.expect_word("SACTIVE", status, 1, 0);
    });
}

/// Maintenance of other ASIDs, VMIDs and regimes: what is cached stays right.
pub(super) fn of_others(p: &mut Program) {
    let rig = Rig::started(p);
    let dma = Dma::read(STAGE1, IOVA);
    rig.reads(p, "before", &dma);
    p.poke32(rig.at(BANK1, cb::TLBIASID), 2);
    p.poke32(reg::TLBIVMID, 0x55);
    p.poke32(reg::TLBIALLH, 0);
    p.poke(rig.at(BANK1, cb::TLBIVA), page(IOVA + 0x1000, 1));
    p.smmu_sync();
    rig.reads(p, "afterwards", &dma);
}

/// TLB maintenance of PEs, with sCR0.PTM = 0 (IDR0.BTM).
fn broadcast(p: &mut Program, maintain: impl FnOnce(&mut Program)) {
    let mut rig = Rig::new(p);
    rig.cr0 &= !cr0::PTM;
    rig.start(p);
    page_changes(p, &rig, &Dma::read(STAGE1, IOVA), (rig.s1, OWN), IOVA, |p, _| {
        maintain(p);
        a64!(p ; dsb sy ; isb);
    });
}

pub(super) fn broadcast_all(p: &mut Program) {
    broadcast(p, |p| p.msr(r::TLBI_ALLE1IS, 31));
}
pub(super) fn broadcast_asid(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(1, 1 << 48);
        p.msr(r::TLBI_ASIDE1IS, 1);
    });
}
pub(super) fn broadcast_address(p: &mut Program) {
    broadcast(p, |p| {
        p.mov(1, page(IOVA, 1));
        p.msr(r::TLBI_VAE1IS, 1);
    });
}

/// By a PE that has the VMID of stage 2.
pub(super) fn broadcast_ipa(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.cr0 &= !cr0::PTM;
    rig.start(p);
    page_changes(p, &rig, &Dma::read(STAGE2, IPA), (rig.s2, desc::S2_RW), IPA, |p, _| {
        p.set_now(r::VTTBR_EL2, u64::from(VMID) << 48);
        p.mov(1, IPA >> 12);
        p.msr(r::TLBI_IPAS2E1IS, 1);
        a64!(p ; dsb sy);
        p.msr(r::TLBI_VMALLE1IS, 31);
        a64!(p ; dsb sy ; isb);
    });
}

/// With sCR0.PTM = 1 an SMMU need not listen, and everything else works.
pub(super) fn private(p: &mut Program) {
    let rig = Rig::started(p);
    p.msr(r::TLBI_ALLE1IS, 31);
    a64!(p ; dsb sy);
    rig.reads(p, "as before", &Dma::read(STAGE1, IOVA));
    let page = (rig.s1, OWN);
    page_changes(p, &rig, &Dma::read(STAGE1, IOVA), page, IOVA, |p, rig| {
        p.poke32(rig.at(BANK1, cb::TLBIALL), 0);
        p.smmu_sync();
    });
}
