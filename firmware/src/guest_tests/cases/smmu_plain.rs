//! An SMMU without what is optional (Arm IHI 0070, 6.3.1 to 6.3.6): what is not advertised is ILLEGAL, refused, or not looked at.

use crate::guest_tests::interrupts::NOTHING;
use crate::guest_tests::layout::SMMU_SPI;
use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::smmu::structures::{Entry, Event, Field, cd, command, ste};
use crate::guest_tests::smmu::{CERROR_ILL, E2H, IOVA, IPA, PTM, RECINVSID, Rig, VMID, reg, stream};
use crate::guest_tests::tables::desc;
use crate::guest_tests::test_master::Dma;
use crate::guest_tests::test_master::attributes::{INSTRUCTION, PRIVILEGED};

use stream::{SPARE, STAGE1, STAGE2};

/// Starts the SMMU, which has no CMD_TLBI_EL2_ALL.
fn start(p: &mut Program, rig: &mut Rig) {
    rig.smmu.has_el2 = false;
    rig.start(p);
}

fn started(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    start(p, &mut rig);
    rig
}

/// What it says of itself.
pub(super) fn identification(p: &mut Program) {
    let rows = [(0, 0x0d44_101b), (1, 0x0273_0010), (3, 0x1414), (5, 0x74)];
    for (n, value) in rows {
        p.expect_word(&format!("SMMU_IDR{n}"), reg::IDR0 + 4 * n, u64::MAX, value);
    }
    p.expect_word("SMMU_AIDR", reg::AIDR, 0xff, 1);
}

/// Streams of each kind are dealt with as by the largest one.
pub(super) fn translation(p: &mut Program) {
    let rig = started(p);
    rig.reads(p, "stage 1", &Dma::read(STAGE1, IOVA));
    rig.reads(p, "stage 2", &Dma::read(STAGE2, IPA));
    rig.reads(p, "both", &Dma::read(stream::NESTED, IOVA));
    rig.writes(p, "bypass", &Dma::write(stream::BYPASS, rig.frame));
}

/// Each of these CDs is ILLEGAL.
fn illegal_contexts(p: &mut Program, rows: &[(&str, &[(Field, u64)])]) {
    let mut rig = started(p);
    let dma = Dma::read(STAGE1, IOVA);
    for (name, changes) in rows {
        let entry =
            changes.iter().fold(cd::of(rig.s1, 1), |entry, (field, value)| entry.with(*field, *value));
        p.write_entry(rig.cd(0), entry);
        rig.smmu.complete(p, command::cfgi_cd(STAGE1, 0));
        rig.faults(p, name, &dma, &Event::of(Event::BAD_CD, &dma));
    }
}

/// Each of these STEs is.
fn illegal_streams(p: &mut Program, base: impl Fn(&Rig) -> Entry, rows: &[(&str, &[(Field, u64)])]) {
    let mut rig = started(p);
    let dma = Dma::read(SPARE[0], IOVA);
    for (name, changes) in rows {
        let entry = changes.iter().fold(base(&rig), |entry, (field, value)| entry.with(*field, *value));
        p.write_entry(rig.smmu.ste(SPARE[0]), entry);
        rig.smmu.complete(p, command::cfgi_ste(SPARE[0]));
        rig.faults(p, name, &dma, &Event::of(Event::BAD_STE, &dma));
    }
}

/// STALL_MODEL = 1: CD.S.
pub(super) fn stalling_context(p: &mut Program) {
    illegal_contexts(p, &[("S", &[(cd::S, 1)])]);
}

/// STALL_MODEL = 1: STE.S2S and S1STALLD.
pub(super) fn stalling_stream(p: &mut Program) {
    illegal_streams(p, |rig| ste::stage2(rig.s2, VMID), &[("S2S", &[(ste::S2S, 1)])]);
}

/// STALL_MODEL = 1: nor can stalls be disabled.
pub(super) fn stalls_disabled(p: &mut Program) {
    illegal_streams(p, Rig::stage1, &[("S1STALLD", &[(ste::S1STALLD, 1)])]);
}

/// TERM_MODEL = 1: CD.A = 0.
pub(super) fn terminating_as_zero(p: &mut Program) {
    illegal_contexts(p, &[("A", &[(cd::A, 0)]), ("A, without R", &[(cd::A, 0), (cd::R, 0)])]);
}

/// HTTU = 0: CD.HA and HD.
pub(super) fn updating_context(p: &mut Program) {
    illegal_contexts(p, &[("HA", &[(cd::HA, 1)]), ("HD", &[(cd::HD, 1)])]);
}

/// HTTU = 0: STE.S2HA and S2HD.
pub(super) fn updating_stream(p: &mut Program) {
    let rows: &[(&str, &[_])] = &[("S2HA", &[(ste::S2HA, 1)]), ("S2HD", &[(ste::S2HD, 1)])];
    illegal_streams(p, |rig| ste::stage2(rig.s2, VMID), rows);
}

/// VAX = 0: no range of 52 bits, also with 64 KiB.
pub(super) fn wide_addresses(p: &mut Program) {
    illegal_contexts(p, &[("64 KiB", &[(cd::T0SZ, 12), (cd::TG0, 1)]), ("4 KiB", &[(cd::T0SZ, 15)])]);
}

/// OAS = 44 bits: tables beyond it, whatever IPS says.
pub(super) fn tables_beyond_oas(p: &mut Program) {
    let rows: &[(&str, &[_])] = &[("IPS is 48 bits", &[(cd::IPS, 5), (cd::TTB0, 1 << (44 - 4))])];
    illegal_contexts(p, rows);
}

/// OAS = 44 bits: the output of stage 1 is too large, although IPS says 48 bits.
pub(super) fn output_beyond_oas(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA + 0x1000, 1 << 44, desc::EL0_RW);
    rig.put_cd(p, 0, cd::of(rig.s1, 1).with(cd::IPS, 5));
    start(p, &mut rig);
    let dma = Dma::read(STAGE1, IOVA + 0x1000);
    rig.faults(p, "44 bits", &dma, &Event::fault(Event::ADDR_SIZE, &dma));
}

/// The same of what is not translated.
pub(super) fn bypass_beyond_oas(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::read(stream::BYPASS, 1 << 44);
    rig.faults(p, "44 bits", &dma, &Event::fault(Event::ADDR_SIZE, &dma));
    rig.aborts_silently(p, "nobody is there", &Dma::read(stream::BYPASS, 1 << 43));
}

/// SSIDSIZE = 0: a SubstreamID is C_BAD_SUBSTREAMID, and S1CDMax is not looked at.
pub(super) fn substreams(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::S1CDMAX, 31).with(ste::S1FMT, 1));
    start(p, &mut rig);
    for stream in [STAGE1, SPARE[0], stream::BYPASS] {
        let dma = Dma::read(stream, IOVA).of(0);
        rig.faults(p, "a substream", &dma, &Event::bad_substream(&dma));
    }
    rig.reads(p, "without one", &Dma::read(SPARE[0], IOVA));
}

/// HYP = 0: STE.STRW is not looked at, and CR2.E2H is RES0.
pub(super) fn stream_world(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::STRW, 0b10));
    rig.put_ste(p, SPARE[1], rig.stage1().with(ste::STRW, 0b01));
    rig.smmu.cr2 |= E2H;
    start(p, &mut rig);
    p.expect_word("CR2.E2H", reg::CR2, E2H.into(), 0);
    for stream in SPARE {
        rig.reads(p, "it is EL1's", &Dma::read(stream, IOVA));
    }
    // And goes with what is EL1's.
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    rig.smmu.complete(p, command::tlbi(0x11, 0, 1, 0));
    let dma = Dma::read(SPARE[0], IOVA);
    rig.faults(p, "invalidated", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// ATTR_PERMS_OVR = 0: PRIVCFG and INSTCFG are not looked at.
pub(super) fn overrides(p: &mut Program) {
    let mut rig = Rig::new(p);
    p.page(rig.s1, IOVA, rig.frame, desc::EL1_RW | desc::PXN);
    rig.put_ste(p, SPARE[0], rig.stage1().with(ste::PRIVCFG, 0b10).with(ste::INSTCFG, 0b11));
    start(p, &mut rig);
    rig.reads(p, "as it comes", &Dma::read(SPARE[0], IOVA).with(PRIVILEGED));
    let dma = Dma::read(SPARE[0], IOVA).with(PRIVILEGED | INSTRUCTION);
    rig.faults(p, "an instruction", &dma, &Event::fault(Event::PERMISSION, &dma));
}

/// Commands of stalls, EL2, ATS and PRI.
pub(super) fn commands(p: &mut Program) {
    let mut rig = started(p);
    let rows = [
        ("CMD_RESUME", command::of_stream(0x44, STAGE1)),
        ("CMD_STALL_TERM", command::of_stream(0x45, STAGE1)),
        ("CMD_TLBI_EL2_ALL", command::TLBI_EL2_ALL),
        ("CMD_TLBI_EL2_ASID", command::tlbi(0x21, 0, 1, 0)),
        ("CMD_TLBI_EL2_VA", command::tlbi(0x22, 0, 1, IOVA)),
        ("CMD_TLBI_EL2_VAA", command::tlbi(0x23, 0, 0, IOVA)),
        ("CMD_ATC_INV", command::of_stream(0x40, STAGE1)),
        ("CMD_PRI_RESP", command::of_stream(0x41, STAGE1)),
    ];
    for (name, words) in rows {
        rig.smmu.refused(p, name, words, CERROR_ILL);
    }
    rig.reads(p, "translation goes on", &Dma::read(STAGE1, IOVA));
}

/// MSI = 0: IRQ_CFG registers are RES0, and CMD_SYNC with CS = 1 has its edge by wire, whatever message it describes.
pub(super) fn messages(p: &mut Program) {
    const CMDQ_SYNC: u64 = 32 + SMMU_SPI as u64 + 2;
    let mut rig = Rig::new(p);
    p.start_gic();
    p.start_spi(CMDQ_SYNC);
    start(p, &mut rig);
    for at in [reg::EVENTQ_IRQ_CFG0, reg::GERROR_IRQ_CFG0] {
        p.poke(at, rig.frame + 0x80);
        p.poke32(at + 8, 0x55);
        p.expect_double("IRQ_CFG0", at, 0);
        p.expect_word("IRQ_CFG1", at + 8, u64::MAX, 0);
    }
    rig.smmu.give(p, [0x46 | 1 << 12 | 0x1234 << 32, rig.frame + 0x80]);
    p.take_and_acknowledge("INTID", CMDQ_SYNC);
    p.end_of_interrupt(CMDQ_SYNC);
    p.open_for_a_while();
    p.acknowledge("once", NOTHING);
    p.expect_word("no message", rig.frame + 0x80, u64::MAX, 0);
}

/// SEV = 0: CMD_SYNC with CS = 2 is complete, and that is all.
pub(super) fn events(p: &mut Program) {
    let mut rig = started(p);
    rig.smmu.give(p, [0x46 | 2 << 12, 0]);
    rig.reads(p, "it is complete", &Dma::read(STAGE1, IOVA));
}

/// BTM = 0: CR2.PTM is RES0, and after TLB maintenance of a PE the SMMU's own is still due, and enough.
pub(super) fn broadcast(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.cr2 = RECINVSID | PTM;
    start(p, &mut rig);
    p.expect_word("CR2.PTM", reg::CR2, PTM.into(), 0);
    rig.reads(p, "before", &Dma::read(STAGE1, IOVA));
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    p.msr(r::TLBI_ALLE1IS, 31);
    a64!(p ; dsb sy);
    rig.smmu.complete(p, command::tlbi(0x12, 0, 1, IOVA));
    let dma = Dma::read(STAGE1, IOVA);
    rig.faults(p, "afterwards", &dma, &Event::fault(Event::TRANSLATION, &dma));
}

/// A fault is an abort and an event, of either stage.
pub(super) fn faults(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::write(STAGE1, IOVA + 0x1000);
    rig.faults(p, "stage 1", &dma, &Event::fault(Event::TRANSLATION, &dma));
    let dma = Dma::read(STAGE2, IPA + 0x1000);
    let event = Event::fault(Event::TRANSLATION, &dma).stage2(2, IPA + 0x1000);
    rig.faults(p, "stage 2", &dma, &event);
}
