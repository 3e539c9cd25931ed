//! Translations belong to their stream, ASID and VMID, and transfers go where these lead (Arm IHI 0070, 3.3.2, 3.17).

use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::command::tlbi;
use crate::guest_tests::smmu::structures::{Event, cd, class, ste};
use crate::guest_tests::smmu::{DATA, E2H, IOVA, IPA, OTHER, Rig, VMID, stream};
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::{Dma, End};

use stream::{SPARE, STAGE1, STAGE2};

/// Tables that lead from an address to the other frame.
fn to_other(p: &mut Program, rig: &Rig, address: u64, attributes: u64) -> Tables {
    let tables = Tables { root: p.table(Granule::K4), granule: Granule::K4 };
    p.page(tables, address, rig.other, attributes);
    tables
}

/// Two streams with one address each, in turn.
fn in_turn(p: &mut Program, rig: &Rig, address: u64, streams: [u32; 2]) {
    for _ in 0..2 {
        rig.reads_value(p, "the one", &Dma::read(streams[0], address), DATA);
        rig.reads_value(p, "the other", &Dma::read(streams[1], address), OTHER);
    }
}

/// Two ASIDs; an invalidation of the one leaves the other as it is.
pub(super) fn asids(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IOVA, desc::EL0_RW | desc::NG);
    rig.put_cd(p, 2, cd::of(tables, 0x1001));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)));
    rig.start(p);
    in_turn(p, &rig, IOVA, [STAGE1, SPARE[0]]);
    rig.smmu.complete(p, tlbi(0x11, 0, 1, 0));
    in_turn(p, &rig, IOVA, [STAGE1, SPARE[0]]);
}

/// Two VMIDs of stage 2.
pub(super) fn vmids(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IPA, desc::S2_RW);
    rig.put_ste(p, SPARE[0], ste::stage2(tables, VMID | 0x100));
    rig.start(p);
    in_turn(p, &rig, IPA, [STAGE2, SPARE[0]]);
    rig.smmu.complete(p, tlbi(0x28, VMID, 0, 0));
    in_turn(p, &rig, IPA, [STAGE2, SPARE[0]]);
}

/// One ASID in two VMs: they have nothing in common.
pub(super) fn asid_in_two_vms(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = to_other(p, &rig, IOVA, desc::EL0_RW | desc::NG);
    rig.put_cd(p, 2, cd::of(tables, 1));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)).with(ste::S2VMID, 9));
    rig.start(p);
    in_turn(p, &rig, IOVA, [STAGE1, SPARE[0]]);
}

/// EL2 and EL1 with one ASID.
pub(super) fn stream_worlds(p: &mut Program) {
    for e2h in [0, E2H] {
        let mut rig = Rig::new(p);
        rig.smmu.cr2 |= e2h;
        let tables = to_other(p, &rig, IOVA, desc::EL0_RW);
        rig.put_cd(p, 2, cd::of(tables, 1));
        rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)).with(ste::STRW, 0b10));
        rig.start(p);
        in_turn(p, &rig, IOVA, [STAGE1, SPARE[0]]);
    }
}

/// EL2 without E2H has one half, and nothing that is unprivileged: AP\[1\] does not matter.
pub(super) fn el2_has_no_user(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame) = (rig.s1, rig.frame);
    p.page(s1, IOVA, frame, desc::EL1_RW);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::STRW, 0b10));
    rig.start(p);
    rig.reads(p, "unprivileged, of EL2", &Dma::read(SPARE[0], IOVA));
    let dma = Dma::read(STAGE1, IOVA);
    rig.faults(p, "unprivileged, of EL1", &dma, &Event::fault(Event::PERMISSION, &dma));
}

/// Pages next to each other in addresses of the master, and not in memory: one transfer.
pub(super) fn scattered_pages(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame, other) = (rig.s1, rig.frame, rig.other);
    p.page(s1, IOVA, other, desc::EL0_RW);
    p.page(s1, IOVA + 0x1000, frame, desc::EL0_RW);
    rig.start(p);
    p.poke(other + 0xff8, 0x11);
    rig.smmu.sync(p);
    let dma = Dma::read(STAGE1, IOVA + 0xff8).bytes(16);
    rig.reads_value(p, "the end of the first page", &dma, 0x11);
    // Its second doubleword is the first one of the second page: written to memory, and looked at there.
    let back = Dma::write(STAGE1, IOVA + 0x100).bytes(16);
    p.dma("back to memory", &back, End::Done);
    for (at, value) in [(0x100, 0x11), (0x108, DATA)] {
        p.mov(18, other + at);
        a64!(p ; ldr x0, [x18]);
        p.expect("a doubleword", 0, value);
    }
}

/// A transfer over two pages of which the second is not there moves nothing, and the event names the second.
pub(super) fn second_page_is_absent(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.start(p);
    p.fill_buffer(&Dma::read(STAGE1, 0), 0, 0x77);
    let dma = Dma::write(STAGE1, IOVA + 0xffc);
    let event = Event::fault(Event::TRANSLATION, &Dma::write(STAGE1, IOVA + 0x1000));
    rig.faults(p, "over two pages", &dma, &event);
    p.peek32(0, rig.frame + 0xffc);
    p.expect("nothing was written", 0, 0);
}

/// A master with 32 address lines reaches memory that is above 4 GiB in its own addresses by translation, and below it what it names.
pub(super) fn narrow_master(p: &mut Program) {
    let mut rig = Rig::new(p);
    let (s1, frame, other) = (rig.s1, rig.frame, rig.other);
    let low = IOVA & 0xffff_ffff;
    p.page(s1, low, other, desc::EL0_RW);
    p.page(s1, IOVA, frame, desc::EL0_RW);
    rig.start(p);
    let narrow = Dma { width: 32, ..Dma::read(STAGE1, IOVA) };
    rig.reads_value(p, "32 lines", &narrow, OTHER);
    rig.reads_value(p, "39 lines", &Dma { width: 39, ..narrow }, DATA);
}

/// Stage 2 from concatenated tables: 40 bits of input, from level 1.
pub(super) fn concatenated(p: &mut Program) {
    let mut rig = Rig::new(p);
    let tables = p.stage2_concatenated();
    let frame = rig.frame;
    p.page(tables, IPA, frame, desc::S2_RW);
    rig.put_ste(p, SPARE[0], ste::stage2(tables, 7).with(ste::S2T0SZ, 24));
    rig.start(p);
    rig.reads(p, "the first table", &Dma::read(SPARE[0], IPA));
    let dma = Dma::read(SPARE[0], 1 << 39 | IPA);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::IN, dma.address);
    rig.faults(p, "the second table", &dma, &event);
}
