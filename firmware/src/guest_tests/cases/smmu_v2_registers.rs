//! Registers on their own (Arm IHI 0062): identification, address translation operations, and what is not there.

use crate::guest_tests::layout::SMMU_V2;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{
    BANK_NESTED, BANK1, BANK2, IOVA, IPA, Rig, cb, cr0, fsr, gr1, reg, s2cr, stream,
};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::Dma;

use stream::STAGE1;

/// IDR0 to IDR2 and IDR7 of an SMMU, by fields.
pub(super) fn identified(p: &mut Program, rows: &[(&str, u64, u64, u64)]) {
    for (name, n, mask, value) in rows {
        p.expect_word(name, reg::IDR0 + 4 * n, *mask, *value);
    }
}

/// What hypervisors and drivers demand of an MMU-500.
pub(super) fn identification(p: &mut Program) {
    identified(
        p,
        &[
            // SES, S1TS, S2TS, NTS, SMS.
            ("SMMU_IDR0: stages, stream matching", 0, 0xf800_0000, 0x7800_0000),
            ("SMMU_IDR0.ATOSNS", 0, 1 << 26, 0),
            // Neither format of AArch32.
            ("SMMU_IDR0.PTFS", 0, 3 << 24, 3 << 24),
            ("SMMU_IDR0: CTTW, BTM", 0, 3 << 13, 3 << 13),
            ("SMMU_IDR0.NUMSIDB", 0, 0xf << 9, 15 << 9),
            ("SMMU_IDR0: EXIDS, NUMSMRG", 0, 0x1ff, 64),
            ("SMMU_IDR1: PAGESIZE, NUMPAGENDXB, SMCD, NUMCB", 1, 0xf000_80ff, 4 << 28 | 1 << 15 | 32),
            // None is of stage 2 alone.
            ("SMMU_IDR1.NUMS2CB", 1, 0xff << 16, 0),
            // 64K and 4K; UBS 49 bits, OAS and IAS 48.
            ("SMMU_IDR2", 2, 0xffff, 0x5555),
            ("SMMU_IDR7", 7, 0xff, 0x24),
        ],
    );
    for (n, value) in (0..).zip([0x0d, 0xf0, 0x05, 0xb1]) {
        p.expect_word("SMMU_CIDR", reg::CIDR + 4 * n, 0xff, value);
    }
}

/// Registers of the Secure state and of AArch32, and bits that are not there: RAZ/WI.
pub(super) fn absent(p: &mut Program) {
    let rig = Rig::new(p);
    for offset in [
        // SCR1, sGFSYNR2, STLBIALL, STLBIVALM, STLBIVAM, STLBIALLM.
        0x04, 0x58, 0x60, 0xa0, 0xa8, 0xbc, // Behind the last group, between arrays, FSYNR1.
        0x900, 0xd00, 0x400, 0x1200, 0x2_006c,
        // Pages of no registers: the performance monitors' and the security state determination's.
        0x2000, 0x3000, 0x4000,
    ] {
        p.poke32(SMMU_V2 + offset, u32::MAX);
        p.expect_word(&format!("{offset:#x}"), SMMU_V2 + offset, u64::MAX, 0);
    }
    // GSE; EXIDENABLE and VMID16EN without EXIDS and VMID16.
    p.poke32(reg::CR0, u32::MAX);
    let bits = 1 << 9 | cr0::EXIDENABLE | cr0::VMID16EN;
    p.expect_word("sCR0", reg::CR0, bits.into(), 0);
    p.poke32(rig.window.gr1(gr1::CBA2R, BANK1), 0xffff_0001);
    p.expect_word("CBA2R.VMID16", rig.window.gr1(gr1::CBA2R, BANK1), u64::MAX, 1);
    p.poke32(reg::S2CR, s2cr::EXIDVALID);
    p.expect_word("S2CR.EXIDVALID", reg::S2CR, s2cr::EXIDVALID.into(), 0);
    rig.start(p);
    rig.reads(p, "nothing has changed", &Dma::read(STAGE1, IOVA));
}

/// IDRs, TLBGSTATUS and what else is read-only.
pub(super) fn read_only(p: &mut Program) {
    let rig = Rig::started(p);
    for at in [reg::IDR0, reg::IDR0 + 4, reg::IDR0 + 8, reg::TLBGSTATUS, reg::GATSR] {
        p.peek32(9, at);
        p.poke32(at, 0x5a5a_5a5a);
        p.peek32(0, at);
        a64!(p ; eor x0, x0, x9);
        p.expect("unchanged", 0, 0);
    }
    rig.reads(p, "as before", &Dma::read(STAGE1, IOVA));
}

/// Drivers find the bits of SMRs by writing them with VALID = 0.
pub(super) fn match_bits(p: &mut Program) {
    for (value, name) in [(0x7fff, "ID"), (0x7fff_0000, "MASK")] {
        p.poke32(reg::SMR, value);
        p.expect_word(name, reg::SMR, u64::MAX, value.into());
    }
}

/// Registers of 64 bits can be written by halves.
pub(super) fn halves(p: &mut Program) {
    let rig = Rig::new(p);
    for register in [cb::TTBR0, cb::TTBR1, cb::FAR, cb::PAR] {
        let at = rig.at(BANK1, register);
        p.poke32(at, 0x4567_8000);
        p.poke32(at + 4, 0x0005_0123);
        p.expect_double(&format!("{register:#x}"), at, 0x0005_0123_4567_8000);
    }
}

/// sACR.CACHE_LOCK of MMU-500: CBn_ACTLR cannot be written until it is clear.
pub(super) fn auxiliary_lock(p: &mut Program) {
    let rig = Rig::new(p);
    let at = rig.at(BANK1, cb::ACTLR);
    p.expect_word("sACR.CACHE_LOCK", reg::ACR, 1 << 26, 1 << 26);
    p.poke32(at, 1);
    p.expect_word("locked", at, u64::MAX, 3);
    p.poke32(reg::ACR, 0);
    p.poke32(at, 1);
    p.expect_word("unlocked", at, u64::MAX, 1);
    p.expect_word("another bank", rig.at(BANK2, cb::ACTLR), u64::MAX, 3);
}

// Address translation operations.

/// What PAR has of an address: F, the address, and the attributes in the bits that are as in a PE's PAR.
const ADDRESS: u64 = 0xff00_ffff_ffff_f181;

/// PAR of a page of the cases: normal write-back memory, inner shareable.
const fn par(page: u64) -> u64 {
    0xff << 56 | page | 3 << 7
}

/// PAR of a fault: F, the bits of FSR, the level in 33:32, and STAGE.
const fn par_fault(kind: u64, level: u64, stage2: bool) -> u64 {
    (stage2 as u64) << 35 | level << 32 | kind | 1
}

/// Has a bank translate; expects PAR.
fn translates(p: &mut Program, rig: &Rig, bank: u32, op: u64, address: u64, mask: u64, value: u64) {
    let name = format!("bank {bank}, {op:#x} of {address:#x}");
    p.poke(rig.at(bank, op), address);
    let status = rig.at(bank, cb::ATSR);
    p.until(15, |p| {
        p.peek32(15, status);
        a64!(p ; tst x15, 1 ; cset x15, eq);
    });
    p.peek(0, rig.at(bank, cb::PAR));
    p.expect_bits(&name, 0, mask, value);
}

/// ATS1PR, ATS1PW, ATS1UR and ATS1UW: each looks at its own permission, and nothing is recorded.
pub(super) fn ats1(p: &mut Program) {
    let rig = Rig::new(p);
    let page = |n: u64| IOVA + 0x2_0000 + 0x1000 * n;
    let rows = [
        (0, desc::EL0_RW, [true, true, true, true]),
        (1, desc::EL0_RW | desc::RO, [true, false, true, false]),
        (2, desc::EL1_RW, [true, true, false, false]),
        (3, desc::EL1_RW | desc::RO, [true, false, false, false]),
    ];
    for (n, attributes, _) in rows {
        p.page(rig.s1, page(n), rig.frame, attributes);
    }
    rig.start(p);
    for (n, _, allowed) in rows {
        for (op, allowed) in [cb::ATS1PR, cb::ATS1PW, cb::ATS1UR, cb::ATS1UW].into_iter().zip(allowed) {
            let (mask, value) =
                if allowed { (ADDRESS, par(rig.frame)) } else { (u64::MAX, par_fault(fsr::PF, 3, false)) };
            translates(p, &rig, BANK1, op, page(n), mask, value);
        }
    }
    rig.expect_no_fault(p, "nothing is recorded", BANK1);
}

/// Faults of ATS1*, by kind and level.
pub(super) fn ats1_faults(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, IOVA + 0x2000, rig.frame, desc::SH | desc::EL0);
    p.page(rig.s1, IOVA + 0x3000, 1 << 41, desc::EL0_RW);
    rig.start(p);
    let rows = [
        (IOVA + 0x1000, fsr::TF, 3),
        (IOVA + (1 << 22), fsr::TF, 2),
        (IOVA + (1 << 31), fsr::TF, 1),
        (IOVA + 0x2000, fsr::AFF, 3),
        (IOVA + 0x3000, fsr::ASF, 3),
    ];
    for (address, kind, level) in rows {
        translates(p, &rig, BANK1, cb::ATS1UR, address, u64::MAX, par_fault(kind, level, false));
    }
    rig.expect_no_fault(p, "nothing is recorded", BANK1);
}

/// ATS1* of a nested context: stage 1 alone, so that the address is an IPA; its tables are translated by stage 2.
pub(super) fn ats1_of_nested(p: &mut Program) {
    let rig = Rig::new(p);
    p.put(rig.inner, 0x40_0000_0000, 1, (IPA + 0x1_0000) | desc::PAGE);
    rig.start(p);
    translates(p, &rig, BANK_NESTED, cb::ATS1UR, IOVA, ADDRESS, par(IPA));
    let fault = par_fault(fsr::TF, 3, true);
    translates(p, &rig, BANK_NESTED, cb::ATS1UR, 0x40_0000_0000, u64::MAX, fault);
}

/// GATS1*, which names its bank, and GATS12*, which goes through both stages.
pub(super) fn gats(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.inner, IOVA + 0x1000, IPA + 0x1_0000, desc::EL0_RW | desc::NG);
    rig.start(p);
    let rows = [
        (reg::GATS1PR, IOVA, BANK1, ADDRESS, par(rig.frame)),
        (reg::GATS1PR, IOVA, BANK_NESTED, ADDRESS, par(IPA)),
        (reg::GATS12UR, IOVA, BANK_NESTED, 0xffff_ffff_f001, rig.frame),
        (reg::GATS12PW, IOVA + 0x1000, BANK_NESTED, u64::MAX, par_fault(fsr::TF, 3, true)),
        (reg::GATS12UR, IOVA + 0x2000, BANK_NESTED, u64::MAX, par_fault(fsr::TF, 3, false)),
    ];
    for (op, address, bank, mask, value) in rows {
        p.poke(op, address | u64::from(bank));
        p.until(15, |p| {
            p.peek32(15, reg::GATSR);
            a64!(p ; tst x15, 1 ; cset x15, eq);
        });
        p.peek(0, reg::GPAR);
        p.expect_bits(&format!("{:#x} of bank {bank}", op - SMMU_V2), 0, mask, value);
    }
}
