//! Forms of tables, and of what leads to them (Arm IHI 0070, 3.4, 5.2, 5.4).

use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Entry, Event, cd, class, command, ste};
use crate::guest_tests::smmu::{DATA, IOVA, IPA, OTHER, Rig, VMID, stream};
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};
use crate::guest_tests::test_master::{Dma, End};

use stream::{NESTED, SPARE, STAGE1, STAGE2};

const ABSENT: u64 = IOVA + 0x1_0000;
/// An address of the upper half.
const UPPER: u64 = 0xffff_ff80_0000_5000;
/// Table descriptors: PXNTable, UXNTable, APTable.
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const NO_EL0_TABLE: u64 = 1 << 61;
const READ_ONLY_TABLE: u64 = 1 << 62;

/// The CD of both halves.
fn both_halves(tables: Tables) -> Entry {
    cd::of(tables, 1).with(cd::EPD1, 0).with(cd::T1SZ, 25).with(cd::TG1, 2).at(cd::TTB1, tables.root)
}

/// What table descriptors refuse is refused, unless CD.HAD0 says that they are not looked at.
pub(super) fn hierarchical(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA, rig.frame, desc::EL0_RW | desc::RO | desc::NG);
    rig.put_cd(p, 2, cd::of(rig.s1, 2).with(cd::HAD0, 1));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)));
    let slot = p.slot(rig.s1, IOVA, 2);
    let table = p.slot(rig.s1, IOVA, 3) & !0xfff;
    rig.start(p);
    let read = Dma::read(STAGE1, IOVA);
    let rows = [
        ("APTable: not for EL0", NO_EL0_TABLE, read),
        ("UXNTable", UXN_TABLE, read.with(INSTRUCTION)),
        ("PXNTable", PXN_TABLE, read.with(INSTRUCTION | PRIVILEGED)),
    ];
    for (name, bits, dma) in rows {
        p.poke(slot, table | desc::PAGE | bits);
        rig.smmu.complete(p, command::TLBI_NSNH_ALL);
        rig.faults(p, name, &dma, &Event::fault(Event::PERMISSION, &dma));
        rig.reads(p, &format!("{name}, HAD0"), &Dma { stream: SPARE[0], ..dma });
    }
}

/// APTable\[1\]: read-only; and HAD1 is about the other half.
pub(super) fn hierarchical_of_the_upper_half(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, UPPER, rig.frame, desc::EL0_RW | desc::NG);
    rig.put_cd(p, 0, both_halves(rig.s1).with(cd::HAD0, 1));
    rig.put_cd(p, 2, both_halves(rig.s1).with(cd::HAD1, 1).with(cd::ASID, 2));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)));
    let slot = p.slot(rig.s1, UPPER, 2);
    p.or_at(slot, READ_ONLY_TABLE);
    rig.start(p);
    let dma = Dma::write(STAGE1, UPPER);
    rig.faults(p, "HAD0", &dma, &Event::fault(Event::PERMISSION, &dma));
    rig.reads(p, "a read", &Dma::read(STAGE1, UPPER));
    rig.writes(p, "HAD1", &Dma::write(SPARE[0], UPPER));
}

/// TBI1.
pub(super) fn top_byte_of_the_upper_half(p: &mut Program) {
    let tagged = UPPER & !(0xff << 56) | 0x5a << 56;
    let mut rig = Rig::new(p);
    p.page(rig.s1, UPPER, rig.frame, desc::EL0_RW);
    rig.put_cd(p, 0, both_halves(rig.s1));
    rig.put_cd(p, 2, both_halves(rig.s1).with(cd::TBI1, 1));
    rig.put_ste(p, SPARE[0], ste::stage1(rig.cd(2)));
    rig.start(p);
    rig.reads(p, "ignored", &Dma::read(SPARE[0], tagged));
    let dma = Dma::read(STAGE1, tagged);
    rig.faults(p, "not ignored", &dma, &Event::fault(Event::TRANSLATION, &dma));
    let dma = Dma::read(SPARE[0], IOVA | 0x5a << 56);
    rig.faults(p, "of the other half", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// Four levels of 4 KiB: T0SZ = 16.
pub(super) fn four_levels(p: &mut Program) {
    let mut rig = Rig::new(p);
    let root = p.table(Granule::K4);
    p.put_at(root + 8 * 300, rig.s1.root | desc::PAGE);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::T0SZ, 16).at(cd::TTB0, root));
    rig.start(p);
    rig.reads(p, "48 bits", &Dma::read(STAGE1, 300 << 39 | IOVA));
    for address in [IOVA, 1 << 48] {
        let dma = Dma::read(STAGE1, address);
        rig.faults(p, "nothing", &dma, &Event::fault(Event::TRANSLATION, &dma));
    }
}

/// The smallest range: T0SZ = 39, which begins at level 2 with 16 descriptors.
pub(super) fn smallest_range(p: &mut Program) {
    let mut rig = Rig::new(p);
    let slot = p.slot(rig.s1, IOVA, 2);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::T0SZ, 39).at(cd::TTB0, slot & !0x7f));
    rig.start(p);
    rig.reads(p, "25 bits", &Dma::read(STAGE1, IOVA & 0x1ff_ffff));
    let dma = Dma::read(STAGE1, 1 << 25);
    rig.faults(p, "26 bits", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// IDR5.VAX: virtual addresses of 52 bits, with 64 KiB.
pub(super) fn wide_input(p: &mut Program) {
    let page = IOVA & !0xffff;
    let mut rig = Rig::with(p, Granule::K64);
    let root = p.frame(0x1_0000);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::T0SZ, 12).at(cd::TTB0, root));
    rig.start(p);
    p.poke(root + 8 * 0x205, rig.s1.root | desc::PAGE);
    rig.reads(p, "52 bits", &Dma::read(STAGE1, 0x205 << 42 | page));
    for address in [page, 1 << 52 | 0x205 << 42 | page] {
        let dma = Dma::read(STAGE1, address);
        rig.faults(p, "nothing", &dma, &Event::fault(Event::TRANSLATION, &dma));
    }
}

/// IDR5.OAS of 52 bits, with 64 KiB: bits 51:48 of an output are in bits 15:12 of the descriptor. Where such an address leads nowhere,
/// it is no fault of translation.
pub(super) fn wide_output(p: &mut Program) {
    let mut rig = Rig::with(p, Granule::K64);
    let page = ABSENT & !0xffff;
    p.page(rig.s1, page, rig.frame | 8 << 12, desc::EL0_RW);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::IPS, 6));
    rig.start(p);
    rig.aborts_silently(p, "nobody is there", &Dma::read(STAGE1, page));
    rig.reads(p, "a page of 48 bits", &Dma::read(STAGE1, IOVA & !0xffff));
}

/// The same of the first table: the event has the whole address.
pub(super) fn wide_table(p: &mut Program) {
    let mut rig = Rig::with(p, Granule::K64);
    let address = IOVA & !0xffff;
    let at = 9 << 48 | 0x5_0000;
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::IPS, 6).at(cd::TTB0, at));
    rig.start(p);
    let dma = Dma::read(STAGE1, address);
    let event = Event::fault(Event::WALK_EABT, &dma).class(class::TT).fetching(at + 8 * (address >> 29));
    rig.faults(p, "no table", &dma, &event);
}

/// Large pages of stage 1 over small ones of stage 2.
pub(super) fn large_over_small(p: &mut Program) {
    let mut rig = Rig::new(p);
    let ipa = IPA & !0xffff;
    let large = Tables { root: p.table(Granule::K64), granule: Granule::K64 };
    p.page(large, IOVA & !0xffff, ipa, desc::EL0_RW | desc::NG);
    for (n, frame) in [(2, rig.frame), (3, rig.other)] {
        p.page(rig.s2, ipa + 0x1000 * n, frame, desc::S2_RW);
    }
    rig.put_cd(p, 1, cd::of(large, 2));
    rig.start(p);
    let at = |n: u64| Dma::read(NESTED, (IOVA & !0xffff) + 0x1000 * n);
    for _ in 0..2 {
        rig.reads_value(p, "the third", &at(2), DATA);
        rig.reads_value(p, "the fourth", &at(3), OTHER);
    }
    let dma = at(4);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(class::IN, ipa + 0x4000);
    rig.faults(p, "the fifth", &dma, &event);
}

/// Small ones over large ones.
pub(super) fn small_over_large(p: &mut Program) {
    let mut rig = Rig::new(p);
    let large = p.stage2(Granule::K64);
    let ipa = IPA & !0xffff;
    p.page(large, ipa, rig.frame, desc::S2_RW);
    for n in 0..3 {
        p.page(rig.inner, ABSENT + 0x1000 * n, ipa + 0x2000 * n, desc::EL0_RW | desc::NG);
    }
    rig.put_ste(p, NESTED, ste::nested(rig.cd(1), large, VMID));
    rig.start(p);
    for n in 0..3 {
        p.poke(rig.frame + 0x2000 * n, 0xa0 + n);
    }
    for n in 0..3 {
        rig.reads_value(p, "a page", &Dma::read(NESTED, ABSENT + 0x1000 * n), 0xa0 + n);
    }
}

/// The contiguous bit: sixteen pages that may be one entry, each of which leads to its own.
pub(super) fn contiguous(p: &mut Program) {
    let mut rig = Rig::new(p);
    let first = ABSENT & !0xffff;
    for n in 0..16 {
        p.page(
            rig.s1,
            first + 0x1000 * n,
            rig.frame + 0x1000 * n,
            desc::EL0_RW | desc::NG | desc::CONTIGUOUS,
        );
    }
    rig.start(p);
    for n in [15, 0, 7] {
        p.poke(rig.frame + 0x1000 * n, DATA + n);
        rig.reads_value(p, "a page", &Dma::read(STAGE1, first + 0x1000 * n), DATA + n);
    }
    // The whole is invalidated by the address of any of them.
    for n in 0..16 {
        let slot = p.slot(rig.s1, first + 0x1000 * n, 3);
        p.poke(slot, 0);
    }
    rig.smmu.complete(p, command::tlbi(0x12, 0, 1, first));
    rig.smmu.complete(p, command::tlbi(0x12, 0, 1, first + 0xf000));
    for n in [0, 15] {
        let dma = Dma::read(STAGE1, first + 0x1000 * n);
        rig.faults(p, "gone", &dma, &Event::fault(Event::TRANSLATION, &dma));
    }
}

/// STE.S2FWB: MemAttr of stage 2 is in the form of FEAT_S2FWB. 0b0110 is normal memory, where tables can be whatever S2PTW says,
/// and 0b0001 is a device, where they cannot.
pub(super) fn forced_write_back(p: &mut Program) {
    const NORMAL: u64 = desc::AF | desc::SH | desc::S2_R | desc::S2_W | 0b0110 << 2;
    const DEVICE: u64 = desc::AF | desc::S2_R | desc::S2_W | 0b0001 << 2;
    let mut rig = Rig::new(p);
    let entry = rig.nested().with(ste::S2FWB, 1).with(ste::S2PTW, 1);
    rig.put_ste(p, NESTED, entry);
    rig.put_ste(p, STAGE2, ste::stage2(rig.s2, VMID).with(ste::S2FWB, 1));
    p.page(rig.s2, IPA, rig.frame, NORMAL);
    let root = rig.inner.root;
    // All that the walk and the CD need.
    for address in
        [root, p.slot(rig.inner, IOVA, 2) & !0xfff, p.slot(rig.inner, IOVA, 3) & !0xfff, rig.contexts]
    {
        p.page(rig.s2, address, address, NORMAL);
    }
    rig.start(p);
    rig.reads(p, "stage 2", &Dma::read(STAGE2, IPA));
    rig.reads(p, "both", &Dma::read(NESTED, IOVA));
    let slot = p.slot(rig.s2, root, 3);
    p.poke(slot, root | DEVICE | desc::PAGE);
    rig.smmu.complete(p, command::TLBI_NSNH_ALL);
    let dma = Dma::read(NESTED, IOVA);
    let event = Event::fault(Event::PERMISSION, &dma).stage2(class::TT, root).table_read();
    rig.faults(p, "a table in a device", &dma, &event);
}

/// Bits of an STE and of a CD at the positions that the specification draws, written as numbers: S1STALLD is bit 91 of the STE, STRW
/// 95:94, and A, R and S of the CD are its bits 46, 45 and 44.
pub(super) fn literal_bits(p: &mut Program) {
    const STE: u64 = 0b1011;
    const CD: u64 = 25 | 1 << 30 | 1 << 31 | 2 << 32 | 1 << 41 | 1 << 48;
    const MAIR: u64 = 0xff;
    let mut rig = Rig::new(p);
    rig.start(p);
    let dma = Dma::read(SPARE[0], ABSENT);
    let fault = Event::fault(Event::TRANSLATION, &dma);
    let write = |p: &mut Program, rig: &mut Rig, ste: u64, cd: u64| {
        p.write_entry(rig.cd(2), Entry([CD | cd, rig.s1.root, 0, MAIR, 0, 0, 0, 0]));
        p.write_entry(rig.smmu.ste(SPARE[0]), Entry([STE | rig.cd(2), ste, 0, 0, 0, 0, 0, 0]));
        rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
    };
    write(p, &mut rig, 0, 1 << 46 | 1 << 45);
    rig.reads(p, "a page", &Dma::read(SPARE[0], IOVA));
    rig.faults(p, "A and R", &dma, &fault);
    write(p, &mut rig, 0, 1 << 46);
    rig.aborts_silently(p, "A", &dma);
    write(p, &mut rig, 0, 1 << 45);
    rig.reads_value(p, "R", &dma, 0);
    rig.smmu.expect_event(p, "R", &fault);
    write(p, &mut rig, 0, 1 << 44);
    rig.stalls(p, "S", &dma, &fault);
    rig.smmu.resume(p, SPARE[0], 2);
    p.end_dma("S", &dma, End::Aborted(0));
    write(p, &mut rig, 1 << 27, 1 << 44);
    rig.faults(p, "S and S1STALLD", &dma, &Event::of(Event::BAD_CD, &dma));
    for (name, bits) in [("STRW = 1", 1 << 30), ("STRW = 3", 3 << 30)] {
        write(p, &mut rig, bits, 1 << 46 | 1 << 45);
        rig.faults(p, name, &dma, &Event::of(Event::BAD_STE, &dma));
    }
}
