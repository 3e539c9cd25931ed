//! Context banks (Arm IHI 0062; SMMU_CBARn, SMMU_CBA2Rn, SMMU_CBn_SCTLR, TCR, TCR2, TTBR0, TTBR1): what stages there are, and by which
//! tables.

use super::smmu_v2_faults::{permission, translation};
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{
    BANK_NESTED, BANK1, BANK2, Bank, ContextFault, DATA, GlobalFault, IOVA, IPA, OTHER, Rig, VMID, Window,
    fsr, gfsr, gr1, s2cr, sctlr, stream,
};
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::Dma;
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED, WRITE};

use stream::{NESTED, SPARE, STAGE1, STAGE2};

/// A context bank that the rig does not have.
const BANK: u32 = 6;
/// An address of the upper half.
const UPPER: u64 = 0xffff_ff80_0000_0000;

/// A rig with another bank, to which the spare stream goes.
pub(super) fn with_bank(p: &mut Program, rig: &mut Rig, bank: Bank) {
    rig.bank(BANK, |_| bank);
    rig.start(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK));
}

/// CBAR.TYPE = 0: stage 2 alone.
pub(super) fn stage2(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "a read", &Dma::read(STAGE2, IPA));
    rig.writes(p, "a write", &Dma::write(STAGE2, IPA));
    let dma = Dma::read(STAGE2, IOVA);
    rig.faults(p, "what stage 1 has", &dma, &ContextFault::of(BANK2, fsr::TF, 1, &dma).at(IOVA));
}

/// CBAR.TYPE = 1: stage 1 alone.
pub(super) fn stage1(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "a read", &Dma::read(STAGE1, IOVA));
    rig.writes(p, "a write", &Dma::write(STAGE1, IOVA));
}

/// CBAR.TYPE = 2: stage 1, and stage 2 refuses whatever it gets: Invalid context fault, of the context.
pub(super) fn stage1_with_fault(p: &mut Program) {
    let mut rig = Rig::new(p);
    let bank = Bank { cbar: 2 << 16, ..Bank::stage1(rig.s1, 1) };
    with_bank(p, &mut rig, bank);
    let dma = Dma::read(SPARE, IOVA);
    rig.faults_globally(p, "a page", &dma, &GlobalFault::of(gfsr::ICF, &dma).nested());
}

/// CBAR.TYPE = 3: both stages.
pub(super) fn nested(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "a read", &Dma::read(NESTED, IOVA));
    rig.writes(p, "a write", &Dma::write(NESTED, IOVA));
}

/// CBAR.CBNDX of a bank that is not there, or that is not one of stage 2.
pub(super) fn nested_with_the_wrong_bank(p: &mut Program) {
    let mut rig = Rig::new(p);
    let bank = |n| Bank::nested(rig.inner, 2, n, VMID);
    let banks = [(gfsr::UCBF, bank(32)), (gfsr::ICF, bank(BANK1))];
    with_bank(p, &mut rig, banks[0].1);
    for (kind, bank) in banks {
        p.smmu_bank(rig.window, BANK, &bank);
        let dma = Dma::read(SPARE, IOVA);
        rig.faults_globally(p, "stage 2", &dma, &GlobalFault::of(kind, &dma).nested());
    }
}

/// CBA2R.VA64 = 0: tables of AArch32, which are not there (IDR0.PTFS).
pub(super) fn aarch32(p: &mut Program) {
    let mut rig = Rig::new(p);
    let bank = Bank { cba2r: 0, ..Bank::stage1(rig.s1, 1) };
    with_bank(p, &mut rig, bank);
    let dma = Dma::read(SPARE, IOVA);
    rig.faults_globally(p, "AArch32", &dma, &GlobalFault::of(gfsr::ICF, &dma));
    p.poke32(rig.window.gr1(gr1::CBA2R, BANK), 1);
    rig.reads(p, "AArch64", &dma);
}

/// SCTLR.M = 0: addresses pass as they are, of each stage on its own.
pub(super) fn disabled(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.without(sctlr::M));
    rig.bank(BANK_NESTED, |b| b.without(sctlr::M));
    rig.start(p);
    rig.reads(p, "stage 1", &Dma::read(STAGE1, rig.frame));
    rig.reads(p, "stage 1 of two", &Dma::read(NESTED, IPA));
    p.smmu_bank(rig.window, BANK2, &Bank::stage2(rig.s2, VMID).without(sctlr::M));
    rig.reads(p, "both of two", &Dma::read(NESTED, rig.frame));
}

/// Tables of each granule that IDR2 has, of both stages and of one after the other.
pub(super) fn granule(p: &mut Program, window: Window, granule: Granule) {
    let rig = Rig::with(p, window, granule);
    rig.start(p);
    let page = |va: u64| va & !(granule.size() - 1);
    rig.reads(p, "stage 1", &Dma::read(STAGE1, page(IOVA)));
    rig.reads(p, "stage 2", &Dma::read(STAGE2, page(IPA)));
    rig.reads(p, "both", &Dma::read(NESTED, page(IOVA)));
    let first = u64::from(granule.first_level());
    for level in first..=3 {
        let address = page(IOVA) ^ 1 << granule.shift(level as u32);
        let dma = Dma::read(STAGE1, address);
        rig.faults(p, "not mapped", &dma, &ContextFault::of(BANK1, fsr::TF, level, &dma));
    }
}

/// 4 KiB.
pub(super) fn granule_4k(p: &mut Program) {
    granule(p, Window::MMU500, Granule::K4);
}

/// 64 KiB.
pub(super) fn granule_64k(p: &mut Program) {
    granule(p, Window::MMU500, Granule::K64);
}

/// Blocks of levels 1 and 2.
pub(super) fn blocks(p: &mut Program) {
    let rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    for (va, level, size) in [(0x30_0000_0000, 1, 1 << 30), (0x31_0000_0000, 2, 1 << 21)] {
        p.put(s1, va, level, (frame / size * size) | desc::EL0_RW | desc::BLOCK);
    }
    rig.start(p);
    rig.reads(p, "a GiB", &Dma::read(STAGE1, 0x30_0000_0000 + (frame & 0x3fff_ffff)));
    rig.reads(p, "two MiB", &Dma::read(STAGE1, 0x31_0000_0000 + (frame & 0x1f_ffff)));
}

/// TTBR1, and what is between the halves.
pub(super) fn upper_half(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, UPPER + 0x5000, frame, desc::EL0_RW);
    rig.bank(BANK1, |b| {
        // T1SZ, 4 KiB, and no EPD1.
        let tcr = b.tcr & !(1 << 23) | 25 << 16 | 2 << 30;
        Bank { tcr, ttbr: [b.ttbr[0], s1.root | 1 << 48], ..b }
    });
    rig.start(p);
    rig.reads(p, "the upper half", &Dma::read(STAGE1, UPPER + 0x5000));
    rig.reads(p, "the lower half", &Dma::read(STAGE1, IOVA));
    let between = Dma::read(STAGE1, 1 << 40);
    rig.faults(p, "between them", &between, &ContextFault::of(BANK1, fsr::TF, 0, &between));
}

/// TCR.EPD0 and EPD1.
pub(super) fn epd(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| Bank { tcr: b.tcr | 1 << 7, ..b });
    rig.start(p);
    for address in [IOVA, UPPER] {
        let dma = Dma::read(STAGE1, address);
        rig.faults(p, "no walk", &dma, &ContextFault::of(BANK1, fsr::TF, 0, &dma));
    }
}

/// TCR2.TBI0: the uppermost byte does not matter.
pub(super) fn top_byte(p: &mut Program) {
    let tag = 0x5a << 56;
    let mut rig = Rig::new(p);
    let bank = Bank::stage1(rig.s1, 1);
    with_bank(p, &mut rig, Bank { tcr2: bank.tcr2 | 1 << 5, ..bank });
    rig.reads(p, "TBI0", &Dma::read(SPARE, IOVA | tag));
    let dma = Dma::read(STAGE1, IOVA | tag);
    rig.faults(p, "no TBI0", &dma, &ContextFault::of(BANK1, fsr::TF, 0, &dma));
}

/// TCR2.SEP: addresses are extended from that bit.
pub(super) fn sign_extension(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, UPPER + 0x5000, frame, desc::EL0_RW);
    rig.bank(BANK1, |b| {
        let tcr = b.tcr & !(1 << 23) | 25 << 16 | 2 << 30;
        // Bit 39.
        Bank { tcr, tcr2: b.tcr2 & !(7 << 15) | 2 << 15, ttbr: [b.ttbr[0], s1.root | 1 << 48], ..b }
    });
    rig.start(p);
    rig.reads(p, "of a narrow bus", &Dma::read(STAGE1, (1 << 39) + 0x5000));
    rig.reads(p, "in full", &Dma::read(STAGE1, UPPER + 0x5000));
    rig.reads(p, "the lower half", &Dma::read(STAGE1, IOVA));
}

/// CBAR.HYPC: a context of EL2 has one half, no ASID, and nothing that is unprivileged.
pub(super) fn hypervisor(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA + 0x1000, rig.frame, desc::EL1_RW);
    let bank = Bank::hypervisor(rig.s1);
    // PASize and TBI are where they are in other contexts.
    with_bank(p, &mut rig, bank);
    rig.reads(p, "a page", &Dma::read(SPARE, IOVA));
    rig.reads(p, "AP[1] is 0", &Dma::read(SPARE, IOVA + 0x1000));
    let dma = Dma::read(SPARE, UPPER);
    rig.faults(p, "no upper half", &dma, &ContextFault::of(BANK, fsr::TF, 0, &dma));
}

/// SCTLR.AFFD, of both stages.
pub(super) fn access_flag_fault_disable(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA, rig.frame, desc::SH | desc::EL0 | desc::NG);
    p.page(rig.s2, IPA, rig.frame, desc::S2_RW & !desc::AF);
    rig.bank(BANK1, |b| b.with(sctlr::AFFD));
    rig.bank(BANK2, |b| b.with(sctlr::AFFD));
    rig.start(p);
    rig.reads(p, "stage 1", &Dma::read(STAGE1, IOVA));
    rig.reads(p, "stage 2", &Dma::read(STAGE2, IPA));
}

/// SCTLR.WXN.
pub(super) fn wxn(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.bank(BANK1, |b| b.with(sctlr::WXN));
    rig.start(p);
    rig.reads(p, "data", &Dma::read(STAGE1, IOVA));
    let dma = Dma::read(STAGE1, IOVA).with(INSTRUCTION);
    rig.faults(p, "code", &dma, &permission(&dma));
}

/// SCTLR.PTW of stage 2: no tables in what stage 2 says is a device.
pub(super) fn protected_walks(p: &mut Program) {
    let mut rig = Rig::new(p);
    let root = rig.inner.root;
    p.page(rig.s2, root, root, desc::AF | desc::S2_R | desc::S2_W);
    rig.bank(BANK2, |b| b.with(sctlr::PTW));
    rig.start(p);
    let dma = Dma::read(NESTED, IOVA);
    let fault = ContextFault::of(BANK2, fsr::PF, 3, &dma).at(root).through(BANK_NESTED).on_a_walk();
    rig.faults(p, "the first table", &dma, &fault);
}

/// A block of stage 1 over pages of stage 2.
pub(super) fn block_over_pages(p: &mut Program) {
    let (va, block) = (0x50_0000_0000, 0x24_0000_0000);
    let rig = Rig::new(p);
    p.put(rig.inner, va, 2, block | desc::EL0_RW | desc::BLOCK);
    p.page(rig.s2, block, rig.frame, desc::S2_RW);
    p.page(rig.s2, block + 0x1000, rig.other, desc::S2_RW);
    rig.start(p);
    for _ in 0..2 {
        p.dma_reads("the first page", &Dma::read(NESTED, va), DATA);
        p.dma_reads("the second page", &Dma::read(NESTED, va + 0x1000), OTHER);
    }
    let dma = Dma::read(NESTED, va + 0x2000);
    let fault = ContextFault::of(BANK2, fsr::TF, 3, &dma).at(block + 0x2000).through(BANK_NESTED);
    rig.faults(p, "the third page", &dma, &fault);
}

/// Tables that lead to the other frame.
pub(super) fn to_other(p: &mut Program, rig: &Rig, address: u64, attributes: u64) -> Tables {
    let tables = Tables { root: p.table(Granule::K4), granule: Granule::K4 };
    p.page(tables, address, rig.other, attributes);
    tables
}

/// Two streams with one address, in turn.
pub(super) fn in_turn(p: &mut Program, address: u64, streams: [u32; 2]) {
    for _ in 0..2 {
        p.dma_reads("the one", &Dma::read(streams[0], address), DATA);
        p.dma_reads("the other", &Dma::read(streams[1], address), OTHER);
    }
}

/// Two ASIDs.
pub(super) fn asids(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IOVA, desc::EL0_RW | desc::NG);
    with_bank(p, &mut rig, Bank::stage1(tables, 0x101));
    in_turn(p, IOVA, [STAGE1, SPARE]);
}

/// Two VMIDs.
pub(super) fn vmids(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IPA, desc::S2_RW);
    with_bank(p, &mut rig, Bank::stage2(tables, VMID + 1));
    in_turn(p, IPA, [STAGE2, SPARE]);
}

/// Two streams of one context bank.
pub(super) fn shared(p: &mut Program) {
    let rig = Rig::started(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1));
    for stream in [STAGE1, SPARE] {
        rig.reads(p, "a page", &Dma::read(stream, IOVA));
        let dma = Dma::write(stream, IOVA + 0x1_0000);
        // CBFRSYNRA says whose it was.
        rig.faults(p, "nothing", &dma, &translation(&dma));
    }
}

/// A context bank that changes holds for the next transaction, with the maintenance that tables need.
pub(super) fn change(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IOVA, desc::EL0_RW | desc::NG);
    let bank = Bank::stage1(rig.s1, 1);
    with_bank(p, &mut rig, bank);
    p.dma_reads("before", &Dma::read(SPARE, IOVA), DATA);
    // With another ASID, so that nothing is to be invalidated.
    p.smmu_bank(rig.window, BANK, &Bank::stage1(tables, 7));
    p.dma_reads("other tables", &Dma::read(SPARE, IOVA), OTHER);
    p.smmu_bank(rig.window, BANK, &Bank::stage1(rig.s1, 8).without(sctlr::M));
    p.dma_reads("none", &Dma::read(SPARE, rig.frame), DATA);
}

/// AP of stage 1: who may do what.
pub(super) fn permissions(p: &mut Program) {
    let rig = Rig::new(p);
    let page = |n: u64| IOVA + 0x2_0000 + 0x1000 * n;
    // Unprivileged reads and writes, privileged ones.
    let rows = [
        (0, desc::EL1_RW, [false, false, true, true]),
        (1, desc::EL0_RW, [true, true, true, true]),
        (2, desc::EL1_RW | desc::RO, [false, false, true, false]),
        (3, desc::EL0_RW | desc::RO, [true, false, true, false]),
    ];
    for (n, attributes, _) in rows {
        p.page(rig.s1, page(n), rig.frame, attributes | desc::NG);
    }
    rig.start(p);
    for (n, _, allowed) in rows {
        let (read, write) = (Dma::read(STAGE1, page(n)), Dma::write(STAGE1, page(n)));
        let accesses = [read, write, read.with(PRIVILEGED), write.with(PRIVILEGED)];
        for (dma, is_allowed) in accesses.iter().zip(allowed) {
            let name = format!("page {n}, attributes {:#b}", dma.attributes);
            match (is_allowed, dma.attributes & WRITE) {
                (false, _) => rig.faults(p, &name, dma, &permission(dma)),
                (true, 0) => rig.reads(p, &name, dma),
                (true, _) => rig.writes(p, &name, dma),
            }
        }
    }
}

/// UXN and PXN of stage 1, XN of stage 2.
pub(super) fn execute_never(p: &mut Program) {
    let rig = Rig::new(p);
    let page = |n: u64| IOVA + 0x2_0000 + 0x1000 * n;
    p.page(rig.s1, page(0), rig.frame, desc::EL0_RW | desc::RO | desc::UXN | desc::NG);
    p.page(rig.s1, page(1), rig.frame, desc::EL0_RW | desc::RO | desc::PXN | desc::NG);
    p.page(rig.s2, IPA + 0x1000, rig.frame, desc::S2_RW | desc::UXN);
    rig.start(p);
    let user = |n| Dma::read(STAGE1, page(n)).with(INSTRUCTION);
    let kernel = |n| user(n).with(PRIVILEGED);
    rig.faults(p, "UXN", &user(0), &permission(&user(0)));
    rig.reads(p, "UXN, privileged", &kernel(0));
    rig.faults(p, "PXN", &kernel(1), &permission(&kernel(1)));
    rig.reads(p, "PXN, unprivileged", &user(1));
    let dma = Dma::read(STAGE2, IPA + 0x1000);
    rig.reads(p, "XN, data", &dma);
    let dma = dma.with(INSTRUCTION);
    rig.faults(p, "XN", &dma, &ContextFault::of(BANK2, fsr::PF, 3, &dma).at(IPA + 0x1000));
}
