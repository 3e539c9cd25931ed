//! From a stream to what is done with it (Arm IHI 0062, stream matching; SMMU_SMRn, SMMU_S2CRn, SMMU_sCR0), and the global
//! faults on the way.

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::SMMU_V2_SPI;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{BANK1, GlobalFault, IOVA, IPA, Rig, cr0, gfsr, reg, s2cr, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};
use crate::guest_tests::test_master::{Dma, End};

use stream::SPARE;

/// A group that no stream of the rig has.
const GROUP: u32 = 20;
/// Other streams of the first master: 0b0_0000_0100_0000 and 0b0_0001_0100_1001.
const MIDDLE: u32 = 0x40;
const FAR: u32 = 0x149;

/// sCR0 at reset: CLIENTPD, so that everything passes before anybody has programmed it.
pub(super) fn after_reset(p: &mut Program) {
    let rig = Rig::new(p);
    p.poke(rig.frame, crate::guest_tests::smmu_v2::DATA);
    p.expect_word("sCR0.CLIENTPD", reg::CR0, 1, 1);
    for stream in [stream::STAGE1, stream::UNIDENTIFIED] {
        rig.reads(p, "not translated", &Dma::read(stream, rig.frame));
    }
}

/// CLIENTPD: whatever groups say, everything passes, and nothing is recorded.
pub(super) fn client_port_disable(p: &mut Program) {
    let rig = Rig::started(p);
    p.poke32(reg::CR0, cr0::USUAL | cr0::CLIENTPD);
    for stream in [stream::STAGE1, stream::FAULT, stream::UNIDENTIFIED] {
        rig.reads(p, "not translated", &Dma::read(stream, rig.frame));
    }
    p.expect_word("sGFSR", reg::GFSR, u64::MAX, 0);
    p.poke32(reg::CR0, cr0::USUAL);
    rig.reads(p, "translated again", &Dma::read(stream::STAGE1, IOVA));
}

/// S2CR.TYPE = 0: by a context bank.
pub(super) fn translation(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "a read", &Dma::read(stream::STAGE1, IOVA));
    rig.writes(p, "a write", &Dma::write(stream::STAGE1, IOVA));
}

/// S2CR.TYPE = 1.
pub(super) fn bypass(p: &mut Program) {
    let rig = Rig::started(p);
    rig.reads(p, "a read", &Dma::read(stream::BYPASS, rig.frame));
    rig.writes(p, "a write", &Dma::write(stream::BYPASS, rig.frame));
}

/// S2CR.TYPE = 2: Invalid context fault.
pub(super) fn fault(p: &mut Program) {
    let rig = Rig::started(p);
    for dma in [Dma::read(stream::FAULT, IOVA), Dma::write(stream::FAULT, IOVA + 0x28).with(PRIVILEGED)] {
        rig.faults_globally(p, "it faults", &dma, &GlobalFault::of(gfsr::ICF, &dma));
    }
}

/// A stream that matches no group: with USFCFG it is an Unidentified stream fault.
pub(super) fn unidentified(p: &mut Program) {
    let rig = Rig::started(p);
    for dma in [
        Dma::read(stream::UNIDENTIFIED, IOVA),
        Dma::write(stream::UNIDENTIFIED, 1 << 40),
        Dma::read(stream::UNIDENTIFIED, IOVA).with(INSTRUCTION),
    ] {
        rig.faults_globally(p, "no group", &dma, &GlobalFault::of(gfsr::USF, &dma));
    }
}

/// USFCFG = 0: it bypasses.
pub(super) fn unidentified_passes(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.cr0 &= !cr0::USFCFG;
    rig.start(p);
    rig.reads(p, "not translated", &Dma::read(stream::UNIDENTIFIED, rig.frame));
    p.expect_word("sGFSR", reg::GFSR, u64::MAX, 0);
}

/// SMRn.MASK: bits of a StreamID that do not matter.
pub(super) fn mask(p: &mut Program) {
    let rig = Rig::started(p);
    // 0x149 or 0x40, and six others that are nobody's.
    p.smmu_group(GROUP, 0x40 | 0x109 << 16, s2cr::translate(BANK1));
    for stream in [MIDDLE, FAR] {
        rig.reads(p, "it matches", &Dma::read(stream, IOVA));
    }
    // Bit 3 matters now.
    p.smmu_group(GROUP, 0x40 | 0x101 << 16, s2cr::translate(BANK1));
    rig.reads(p, "it matches still", &Dma::read(MIDDLE, IOVA));
    let dma = Dma::read(FAR, IOVA);
    rig.faults_globally(p, "it does not", &dma, &GlobalFault::of(gfsr::USF, &dma));
}

/// A mask of all bits: whatever stream, and no conflict if there is no other group.
pub(super) fn mask_of_all(p: &mut Program) {
    let rig = Rig::new(p);
    rig.start(p);
    for n in 1..=5_u64 {
        p.poke32(reg::SMR + 4 * n, 0);
    }
    p.smmu_group(GROUP, 0x7fff << 16, s2cr::translate(BANK1));
    for stream in [stream::STAGE1, stream::UNIDENTIFIED, MIDDLE, FAR] {
        rig.reads(p, "every stream", &Dma::read(stream, IOVA));
    }
}

/// SMRn.VALID = 0: the group matches nothing.
pub(super) fn not_valid(p: &mut Program) {
    let rig = Rig::started(p);
    p.smmu_group(GROUP, FAR, s2cr::BYPASS);
    rig.reads(p, "valid", &Dma::read(FAR, rig.frame));
    p.poke32(reg::SMR + 4 * u64::from(GROUP), FAR);
    let dma = Dma::read(FAR, rig.frame);
    rig.faults_globally(p, "not valid", &dma, &GlobalFault::of(gfsr::USF, &dma));
}

/// Two groups match: Stream match conflict fault, whatever the two say.
pub(super) fn conflict(p: &mut Program) {
    let rig = Rig::started(p);
    for s2cr in [s2cr::translate(BANK1), s2cr::BYPASS, s2cr::FAULT] {
        p.smmu_group(GROUP, stream::STAGE1, s2cr);
        let dma = Dma::write(stream::STAGE1, IOVA);
        rig.faults_globally(p, "a conflict", &dma, &GlobalFault::of(gfsr::SMCF, &dma));
    }
    p.poke32(reg::SMR + 4 * u64::from(GROUP), 0);
    rig.reads(p, "one group again", &Dma::read(stream::STAGE1, IOVA));
}

/// By masks: the streams that both match are in conflict, no others.
pub(super) fn conflict_of_masks(p: &mut Program) {
    let rig = Rig::started(p);
    p.smmu_group(GROUP, 0x40 | 0x109 << 16, s2cr::translate(BANK1));
    p.smmu_group(GROUP + 1, 0x100 | 0xff << 16, s2cr::BYPASS);
    rig.reads(p, "the first alone", &Dma::read(MIDDLE, IOVA));
    let dma = Dma::read(FAR, IOVA);
    rig.faults_globally(p, "both", &dma, &GlobalFault::of(gfsr::SMCF, &dma));
}

/// SMCFCFG = 0: it bypasses.
pub(super) fn conflict_passes(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.cr0 &= !cr0::SMCFCFG;
    rig.start(p);
    p.smmu_group(GROUP, stream::STAGE1, s2cr::FAULT);
    rig.reads(p, "not translated", &Dma::read(stream::STAGE1, rig.frame));
    p.expect_word("sGFSR", reg::GFSR, u64::MAX, 0);
}

/// S2CR.CBNDX of a context bank that is not there: Unimplemented context bank fault.
pub(super) fn unimplemented_bank(p: &mut Program) {
    let rig = Rig::started(p);
    for bank in [32, 0xff] {
        p.smmu_group(SPARE, SPARE, s2cr::translate(bank));
        let dma = Dma::read(SPARE, IOVA);
        rig.faults_globally(p, "no such bank", &dma, &GlobalFault::of(gfsr::UCBF, &dma));
    }
}

/// A second global fault: MULTI, and the syndrome is that of the first.
pub(super) fn multiple(p: &mut Program) {
    let rig = Rig::started(p);
    let first = Dma::read(stream::FAULT, IOVA);
    p.dma("the first", &first, End::Aborted(0));
    p.dma("the second", &Dma::write(stream::UNIDENTIFIED, IPA), End::Aborted(0));
    rig.expect_global(p, "both", &GlobalFault::of(gfsr::ICF, &first).multiple());
}

/// GFRE = 0: RAZ/WI rather than an abort; recorded all the same.
pub(super) fn not_reported(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.cr0 &= !(cr0::GFRE | cr0::GCFGFRE);
    rig.start(p);
    let dma = Dma::read(stream::UNIDENTIFIED, rig.frame);
    p.dma_reads("a read", &dma, 0);
    rig.expect_global(p, "a read", &GlobalFault::of(gfsr::USF, &dma));
    let dma = Dma::write(stream::UNIDENTIFIED, rig.frame);
    p.dma("a write", &dma, End::Done);
    rig.expect_global(p, "a write", &GlobalFault::of(gfsr::USF, &dma));
    rig.reads(p, "nothing was written", &Dma::read(stream::BYPASS, rig.frame));
}

/// The interrupt of global faults: a level, while sGFSR is not 0 and GFIE is 1.
pub(super) fn interrupt(p: &mut Program) {
    const INTID: u64 = 32 + SMMU_V2_SPI as u64;
    let rig = Rig::new(p);
    p.start_gic();
    p.start_level_spi(INTID);
    rig.start(p);
    let dma = Dma::read(stream::UNIDENTIFIED, IOVA);
    p.dma("a fault", &dma, End::Aborted(0));
    p.take_and_acknowledge("INTID", INTID);
    p.end_of_interrupt(INTID);
    p.take_and_acknowledge("it is a level", INTID);
    rig.expect_global(p, "a fault", &GlobalFault::of(gfsr::USF, &dma));
    p.end_of_interrupt(INTID);
    p.open_for_a_while();
    p.acknowledge("it is cleared", NOTHING);
    p.poke32(reg::CR0, cr0::USUAL & !cr0::GFIE);
    p.dma("another one", &dma, End::Aborted(0));
    p.open_for_a_while();
    p.acknowledge("GFIE is 0", NOTHING);
    p.poke32(reg::CR0, cr0::USUAL);
    p.take_and_acknowledge("GFIE is 1 again", INTID);
    rig.expect_global(p, "another one", &GlobalFault::of(gfsr::USF, &dma));
    p.end_of_interrupt(INTID);
}

/// sGFSRRESTORE sets what it is given.
pub(super) fn restore(p: &mut Program) {
    let rig = Rig::started(p);
    p.poke32(reg::GFSRRESTORE, (gfsr::SMCF | gfsr::MULTI) as u32);
    p.expect_word("sGFSR", reg::GFSR, u64::MAX, gfsr::SMCF | gfsr::MULTI);
    p.poke32(reg::GFSR, gfsr::SMCF as u32);
    p.expect_word("one bit cleared", reg::GFSR, u64::MAX, gfsr::MULTI);
    p.poke32(reg::GFSR, gfsr::MULTI as u32);
    rig.reads(p, "as before", &Dma::read(stream::STAGE1, IOVA));
}

/// S2CR.PRIVCFG replaces what a transaction says of its privilege.
pub(super) fn privcfg(p: &mut Program) {
    let rig = Rig::new(p);
    // For EL1 only.
    p.page(rig.s1, IOVA, rig.frame, desc::EL1_RW);
    rig.start(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1) | s2cr::PRIVILEGED);
    rig.reads(p, "always privileged", &Dma::read(SPARE, IOVA));
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1) | s2cr::UNPRIVILEGED);
    let dma = Dma::read(SPARE, IOVA);
    let fault = super::smmu_v2_faults::permission(&dma);
    rig.faults(p, "never privileged", &dma.with(PRIVILEGED), &fault);
    rig.reads(p, "as it says", &Dma::read(stream::STAGE1, IOVA).with(PRIVILEGED));
}

/// S2CR.INSTCFG replaces what it says of instructions.
pub(super) fn instcfg(p: &mut Program) {
    let rig = Rig::new(p);
    p.page(rig.s1, IOVA, rig.frame, desc::EL0_RW | desc::UXN | desc::PXN);
    rig.start(p);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1) | s2cr::INSTRUCTION);
    let dma = Dma::read(SPARE, IOVA);
    let fault = super::smmu_v2_faults::permission(&dma.with(INSTRUCTION));
    rig.faults(p, "always instructions", &dma, &fault);
    p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1) | s2cr::DATA);
    rig.reads(p, "always data", &dma.with(INSTRUCTION));
}

/// A group that changes holds for the next transaction, with no command.
pub(super) fn change(p: &mut Program) {
    let rig = Rig::started(p);
    for _ in 0..2 {
        p.smmu_group(SPARE, SPARE, s2cr::translate(BANK1));
        rig.reads(p, "translated", &Dma::read(SPARE, IOVA));
        p.smmu_group(SPARE, SPARE, s2cr::BYPASS);
        rig.reads(p, "not translated", &Dma::read(SPARE, rig.frame));
        p.smmu_group(SPARE, SPARE, s2cr::FAULT);
        let dma = Dma::read(SPARE, IOVA);
        rig.faults_globally(p, "refused", &dma, &GlobalFault::of(gfsr::ICF, &dma));
    }
}

/// A StreamID of 16 bits is none where there are 15.
pub(super) fn fifteen_bits(p: &mut Program) {
    let rig = Rig::started(p);
    p.smmu_group(GROUP, FAR, s2cr::BYPASS);
    let dma = Dma::read(0x8149, IOVA);
    rig.faults_globally(p, "bit 15", &dma, &GlobalFault::of(gfsr::USF, &dma));
    rig.reads(p, "without it", &Dma::read(FAR, rig.frame));
}
