//! What MMU-500 has not (Arm IHI 0062): pages of registers of 64 KiB, StreamIDs and VMIDs of 16 bits, tables of 16 KiB.

use super::smmu_v2_contexts::{granule, in_turn, to_other, with_bank};
use super::smmu_v2_registers::identified;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu_v2::{
    BANK1, BANK2, Bank, GlobalFault, IOVA, IPA, Rig, VMID, Window, cr0, gfsr, reg, s2cr, stream,
};
use crate::guest_tests::tables::{Granule, desc};
use crate::guest_tests::test_master::Dma;

use stream::{SPARE, STAGE1, STAGE2};

/// A stream of 15 bits.
const FAR: u32 = 0x149;

/// What it says of itself, and where its registers are: NUMPAGENDXB and PAGESIZE say it.
pub(super) fn identification(p: &mut Program) {
    identified(
        p,
        &[
            ("SMMU_IDR0: EXIDS, NUMSMRG", 0, 0x1ff, 1 << 8 | 128),
            ("SMMU_IDR1: PAGESIZE, NUMPAGENDXB, NUMCB", 1, 0xf000_00ff, 1 << 31 | 6 << 28 | 128),
            ("SMMU_IDR2: VMID16, PTFSv8", 2, 0xf000, 0xf000),
        ],
    );
    let rig = Rig::with(p, Window::FULL, Granule::K4);
    rig.start(p);
    rig.reads(p, "stage 1", &Dma::read(STAGE1, IOVA));
    rig.reads(p, "both stages", &Dma::read(stream::NESTED, IOVA));
}

/// sCR0.EXIDENABLE: 16 bits of ID and of MASK, and S2CR.EXIDVALID says which group is valid.
pub(super) fn extended_ids(p: &mut Program) {
    let mut rig = Rig::with(p, Window::FULL, Granule::K4);
    rig.cr0 |= cr0::EXIDENABLE;
    rig.start(p);
    let group = |p: &mut Program, n: u64, id: u32, s2cr: u32| {
        p.poke32(reg::S2CR + 4 * n, s2cr);
        p.poke32(reg::SMR + 4 * n, id);
    };
    group(p, 100, 0x8149, s2cr::translate(BANK1) | s2cr::EXIDVALID);
    group(p, 101, FAR, s2cr::BYPASS);
    rig.reads(p, "16 bits", &Dma::read(0x8149, IOVA));
    let dma = Dma::read(FAR, rig.frame);
    rig.faults_globally(p, "EXIDVALID is 0", &dma, &GlobalFault::of(gfsr::USF, &dma));
    group(p, 101, FAR, s2cr::BYPASS | s2cr::EXIDVALID);
    rig.reads(p, "EXIDVALID is 1", &Dma::read(FAR, rig.frame));
    group(p, 101, 0x8149 | 0x8000 << 16, s2cr::BYPASS | s2cr::EXIDVALID);
    let dma = Dma::read(0x8149, rig.frame);
    rig.faults_globally(p, "MASK has bit 15", &dma, &GlobalFault::of(gfsr::SMCF, &dma));
}

/// 16 KiB.
pub(super) fn granule_16k(p: &mut Program) {
    granule(p, Window::FULL, Granule::K16);
}

/// sCR0.VMID16EN: VMIDs of 16 bits, in CBA2R; those that differ in the upper byte are different.
pub(super) fn vmids_of_16_bits(p: &mut Program) {
    let mut rig = Rig::with(p, Window::FULL, Granule::K4);
    let tables = to_other(p, &rig, IPA, desc::S2_RW);
    rig.cr0 |= cr0::VMID16EN;
    rig.bank(BANK2, |b| Bank { cba2r: 0x0109 << 16 | 1, ..b });
    with_bank(p, &mut rig, Bank { cba2r: 0x0209 << 16 | 1, ..Bank::stage2(tables, VMID) });
    in_turn(p, IPA, [STAGE2, SPARE]);
}
