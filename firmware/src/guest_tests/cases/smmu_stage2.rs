//! An SMMU that has no stage 1 (Arm IHI 0070, 6.3.1 IDR0.S1P).

use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, command};
use crate::guest_tests::smmu::{CERROR_ILL, IOVA, IPA, Rig, VMID, reg, stream};
use crate::guest_tests::test_master::Dma;

use stream::STAGE2;

fn started(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.smmu.has_el2 = false;
    rig.start(p);
    rig
}

/// IDR0.S2P and S1P; substreams go with stage 1.
pub(super) fn identification(p: &mut Program) {
    p.expect_word("SMMU_IDR0", reg::IDR0, 3 | 1 << 19, 1);
    p.expect_word("SMMU_IDR1.SSIDSIZE", reg::IDR0 + 4, 0x7c0, 0);
}

/// STE.Config with stage 1 is ILLEGAL.
pub(super) fn illegal(p: &mut Program) {
    let mut rig = started(p);
    for dma in [Dma::read(stream::STAGE1, IOVA), Dma::read(stream::NESTED, IOVA)] {
        rig.faults(p, "stage 1", &dma, &Event::of(Event::BAD_STE, &dma));
    }
    rig.reads(p, "stage 2", &Dma::read(STAGE2, IPA));
}

/// Commands about CDs, and about translations of stage 1 alone, are illegal.
pub(super) fn commands(p: &mut Program) {
    let mut rig = started(p);
    let rows = [
        ("CMD_CFGI_CD", command::cfgi_cd(STAGE2, 0)),
        ("CMD_CFGI_CD_ALL", command::of_stream(0x06, STAGE2)),
        ("CMD_TLBI_NH_ASID", command::tlbi(0x11, VMID, 1, 0)),
        ("CMD_TLBI_NH_VA", command::tlbi(0x12, VMID, 1, IOVA)),
        ("CMD_TLBI_NH_VAA", command::tlbi(0x13, VMID, 0, IOVA)),
        ("CMD_TLBI_EL2_ALL", command::TLBI_EL2_ALL),
    ];
    for (name, words) in rows {
        rig.smmu.refused(p, name, words, CERROR_ILL);
    }
    rig.reads(p, "translation goes on", &Dma::read(STAGE2, IPA));
}

/// Stage 2 is invalidated as ever.
pub(super) fn invalidation(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::read(STAGE2, IPA);
    rig.reads(p, "before", &dma);
    let slot = p.slot(rig.s2, IPA, 3);
    p.poke(slot, 0);
    rig.smmu.complete(p, command::tlbi(0x2a, VMID, 0, IPA));
    rig.faults(p, "afterwards", &dma, &Event::fault(Event::TRANSLATION, &dma).stage2(2, IPA));
}
