//! An SMMU that has no stage 2 (Arm IHI 0070, 6.3.1 IDR0.S2P).

use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, command, ste};
use crate::guest_tests::smmu::{CERROR_ILL, IOVA, IPA, Rig, VMID, reg, stream};
use crate::guest_tests::test_master::Dma;

use stream::STAGE1;

/// IDR0.S2P and S1P; VMID16, XNX and FWB go with stage 2.
pub(super) fn identification(p: &mut Program) {
    p.expect_word("SMMU_IDR0", reg::IDR0, 3, 2);
    p.expect_word("SMMU_IDR3: XNX, FWB", reg::IDR0 + 12, 1 << 4 | 1 << 8, 0);
}

/// STE.Config with stage 2 is ILLEGAL.
pub(super) fn illegal(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    for dma in [Dma::read(stream::STAGE2, IPA), Dma::read(stream::NESTED, IOVA)] {
        rig.faults(p, "stage 2", &dma, &Event::of(Event::BAD_STE, &dma));
    }
    rig.reads(p, "stage 1", &Dma::read(STAGE1, IOVA));
}

/// CMD_TLBI_S12_VMALL and CMD_TLBI_S2_IPA are illegal.
pub(super) fn commands(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    let rows = [
        ("CMD_TLBI_S12_VMALL", command::tlbi(0x28, VMID, 0, 0)),
        ("CMD_TLBI_S2_IPA", command::tlbi(0x2a, VMID, 0, IPA)),
    ];
    for (name, words) in rows {
        rig.smmu.refused(p, name, words, CERROR_ILL);
    }
    rig.reads(p, "translation goes on", &Dma::read(STAGE1, IOVA));
}

/// There are no VMIDs: neither an STE's nor a command's is looked at.
pub(super) fn no_vmids(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, stream::SPARE[0], rig.stage1().with(ste::S2VMID, 0x55));
    rig.start(p);
    let dma = Dma::read(stream::SPARE[0], IOVA);
    rig.reads(p, "before", &dma);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    rig.smmu.complete(p, command::tlbi(0x10, 0x77, 0, 0));
    rig.faults(p, "afterwards", &dma, &Event::fault(Event::TRANSLATION, &dma));
}
