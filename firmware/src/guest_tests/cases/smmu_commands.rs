//! The command queue (Arm IHI 0070, 4.1, 4.7, 7.1).

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::Event;
use crate::guest_tests::smmu::structures::command::{self, Words, of_stream};
use crate::guest_tests::smmu::{
    CERROR_ABT, CERROR_ILL, CMDQEN, EVENTQEN, IOVA, Rig, SMMUEN, Smmu, gerror, reg, stream,
};
use crate::guest_tests::test_master::Dma;

/// MSI_CMDQ_ABT_ERR.
const MSI_CMDQ_ABORT: u32 = 4;

fn started(p: &mut Program) -> Rig {
    let mut rig = Rig::new(p);
    rig.start(p);
    rig
}

/// Each of these is CERROR_ILL, and the queue goes on when it is acknowledged.
fn illegal(p: &mut Program, rows: &[(&str, Words)]) {
    let mut rig = started(p);
    for (name, words) in rows {
        rig.smmu.refused(p, name, *words, CERROR_ILL);
    }
    rig.reads(p, "translation goes on", &Dma::read(stream::STAGE1, IOVA));
}

/// Opcodes that there are not.
pub(super) fn unknown(p: &mut Program) {
    illegal(p, &[("0x00", [0, 0]), ("0x47", [0x47, 0]), ("0xff", [0xff, 0])]);
}

/// Commands of what is not implemented: DPT, partition IDs of VMs, the Secure state, EL3.
pub(super) fn not_implemented(p: &mut Program) {
    let rows = [
        ("CMD_DPTI_ALL", [0x70, 0]),
        ("CMD_CFGI_VMS_PIDM", [0x07, 0]),
        ("CMD_TLBI_EL3_ALL", [0x18, 0]),
        ("CMD_TLBI_EL3_VA", [0x1a, IOVA]),
        ("CMD_TLBI_SNH_ALL", [0x60, 0]),
        ("CMD_CFGI_STE of a Secure stream", [0x03 | 1 << 10, 1]),
    ];
    illegal(p, &rows);
}

/// CMD_SYNC with CS = 3.
pub(super) fn reserved_signal(p: &mut Program) {
    illegal(p, &[("CS = 3", [0x46 | 3 << 12, 0])]);
}

/// A granule, with neither a range nor a level.
pub(super) fn reserved_range(p: &mut Program) {
    illegal(p, &[("CMD_TLBI_NH_VA", [0x12 | 1 << 48, IOVA | 1 << 10]), ("CMD_TLBI_S2_IPA", [0x2a, 2 << 10])]);
}

/// What is behind an error waits until the error is acknowledged.
pub(super) fn stands_at_an_error(p: &mut Program) {
    let mut rig = started(p);
    rig.smmu.post(p, [0xff, 0]);
    rig.smmu.post(p, command::SYNC);
    p.until(15, |p| gerror(p, 15, 0));
    p.peek32(0, reg::CMDQ_CONS);
    // Four commands came before, and index 4 is the one.
    p.expect("CMDQ_CONS", 0, CERROR_ILL << 24 | 4);
    // The bad one again: it is another error.
    Smmu::acknowledge_errors(p);
    p.until(15, |p| gerror(p, 15, 0));
    p.peek32(0, reg::CMDQ_CONS);
    p.expect("CMDQ_CONS, again", 0, CERROR_ILL << 24 | 4);
    // A harmless one in its place.
    p.poke(rig.smmu.commands + 16 * 4, 0x46);
    Smmu::acknowledge_errors(p);
    rig.smmu.sync(p);
}

/// CERROR_ABT: a queue where nothing answers.
pub(super) fn abort(p: &mut Program) {
    let rig = started(p);
    Smmu::control(p, SMMUEN | EVENTQEN);
    p.poke(reg::CMDQ_BASE, NOWHERE | 6);
    p.poke32(reg::CMDQ_PROD, 0);
    p.poke32(reg::CMDQ_CONS, 0);
    Smmu::control(p, SMMUEN | EVENTQEN | CMDQEN);
    p.poke32(reg::CMDQ_PROD, 1);
    p.until(15, |p| gerror(p, 15, 0));
    p.peek32(0, reg::CMDQ_CONS);
    p.expect("CMDQ_CONS", 0, CERROR_ABT << 24);
    rig.reads(p, "translation goes on", &Dma::read(stream::STAGE1, IOVA));
}

/// Indexes wrap, and the bit above them changes.
pub(super) fn wraps(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.command_bits = 2;
    rig.start(p);
    for _ in 0..7 {
        rig.smmu.sync(p);
    }
    p.peek32(0, reg::CMDQ_CONS);
    // Eleven of eight.
    p.expect("CMDQ_CONS", 0, 3);
}

/// CMDQEN = 0: commands wait.
pub(super) fn off(p: &mut Program) {
    let mut rig = started(p);
    Smmu::control(p, SMMUEN | EVENTQEN);
    rig.smmu.post(p, command::SYNC);
    p.peek32(0, reg::CMDQ_CONS);
    p.expect("CMDQ_CONS while it is off", 0, 4);
    Smmu::control(p, SMMUEN | EVENTQEN | CMDQEN);
    rig.smmu.sync(p);
}

/// CMD_PREFETCH_*: no effect that shows, whatever they name.
pub(super) fn prefetch(p: &mut Program) {
    let mut rig = started(p);
    for stream in [stream::STAGE1, stream::INVALID, 0x1234] {
        rig.smmu.give(p, of_stream(0x01, stream));
        rig.smmu.complete(p, [0x02 | u64::from(stream) << 32, IOVA]);
    }
    rig.smmu.expect_no_event(p, "prefetches");
}

/// CS = 1 with a message: the word is in memory when the command is consumed.
pub(super) fn sync_message(p: &mut Program) {
    let mut rig = started(p);
    let word = rig.frame + 0x40;
    // Inner shareable, write-back.
    rig.smmu.give(p, [0x46 | 1 << 12 | 3 << 22 | 0xf << 24 | 0x1234_5678 << 32, word]);
    p.mov(12, word);
    p.until(15, |p| a64!(p ; ldr w15, [x12]));
    p.peek32(0, word);
    p.expect("the word", 0, 0x1234_5678);
}

/// The message of a CMD_SYNC into its own slot of the queue, as Linux has it.
pub(super) fn sync_message_into_the_queue(p: &mut Program) {
    let mut rig = started(p);
    let slot = rig.smmu.commands + 16 * 4;
    rig.smmu.give(p, [0x46 | 1 << 12 | 3 << 22 | 0xf << 24, slot]);
    p.mov(12, slot);
    p.until(15, |p| a64!(p ; ldr w15, [x12] ; cmp w15, 0 ; cset x15, eq));
    p.peek32(0, slot);
    p.expect("the slot", 0, 0);
}

/// A message that is aborted.
pub(super) fn sync_message_aborts(p: &mut Program) {
    let mut rig = started(p);
    rig.smmu.give(p, [0x46 | 1 << 12 | 1 << 32, NOWHERE]);
    p.until(15, |p| gerror(p, 15, MSI_CMDQ_ABORT));
    gerror(p, 0, MSI_CMDQ_ABORT);
    p.expect("MSI_CMDQ_ABT_ERR", 0, 1);
    Smmu::acknowledge_errors(p);
    gerror(p, 0, MSI_CMDQ_ABORT);
    p.expect("acknowledged", 0, 0);
    rig.smmu.sync(p);
}

/// CS = 2: an event, for which WFE waits.
pub(super) fn sync_event(p: &mut Program) {
    let mut rig = started(p);
    a64!(p ; sevl ; wfe);
    rig.smmu.give(p, [0x46 | 2 << 12, 0]);
    a64!(p ; wfe);
    rig.smmu.sync(p);
}

/// What reads of identification registers say that the cases rely on.
pub(super) fn identification(p: &mut Program) {
    let rows = [
        // S2P, S1P, TTF = 2, COHACC, BTM, HTTU = 2, HYP, ATS, not NS1ATS, ASID16, MSI, SEV, ATOS, PRI, VMID16, CD2L; STALL_MODEL = 0, TERM_MODEL = 0, ST_LEVEL = 1.
        ("SMMU_IDR0", reg::IDR0, 0x1f7d_feff, 0x084d_f6bb),
        ("SMMU_AIDR", reg::AIDR, 0xff, 2),
        // PRIQS = 19, SSIDSIZE = 20, SIDSIZE = 16.
        ("SMMU_IDR1", reg::IDR0 + 4, 0xffff, 19 << 11 | 20 << 6 | 16),
    ];
    for (name, register, mask, value) in rows {
        p.peek32(0, register);
        p.expect_bits(name, 0, mask, value);
    }
}

/// SSec = 1: the streams that commands of the Non-secure queue name are Non-secure.
pub(super) fn secure_streams(p: &mut Program) {
    const SSEC: u64 = 1 << 10;
    let [first, second] = of_stream(SSEC, stream::STAGE1);
    let row = |opcode: u64| [first | opcode, second];
    let rows = [
        ("CMD_PREFETCH_CONFIG", row(0x01)),
        ("CMD_PREFETCH_ADDR", row(0x02)),
        ("CMD_CFGI_STE_RANGE", row(0x04)),
        ("CMD_CFGI_CD", row(0x05)),
        ("CMD_CFGI_CD_ALL", row(0x06)),
        ("CMD_RESUME", row(0x44)),
        ("CMD_STALL_TERM", row(0x45)),
    ];
    illegal(p, &rows);
}

/// What is named and is not there: no error, and no effect.
pub(super) fn out_of_range(p: &mut Program) {
    let mut rig = started(p);
    for words in [
        command::cfgi_ste(u32::MAX),
        command::cfgi_cd(u32::MAX, 0xf_ffff),
        command::cfgi_cd(stream::STAGE2, 7),
        of_stream(0x06, 0x1_0000),
        command::tlbi(0x11, 0xffff, 0xffff, 0),
        command::tlbi(0x2a, 0xffff, 0, !0xfff & 0xf_ffff_ffff_ffff),
        command::tlbi(0x12, 0, 1, !0xfff),
    ] {
        rig.smmu.complete(p, words);
    }
    p.peek32(0, reg::GERROR);
    p.expect("GERROR", 0, 0);
    rig.reads(p, "translation goes on", &Dma::read(stream::STAGE1, IOVA));
}

/// A queue that is full: all that is in it is executed, in its order.
pub(super) fn full(p: &mut Program) {
    let mut rig = Rig::new(p);
    rig.smmu.command_bits = 3;
    rig.start(p);
    Smmu::control(p, SMMUEN | EVENTQEN);
    // Eight: the last one is a message that tells of the others.
    for _ in 0..7 {
        rig.smmu.post(p, command::TLBI_NSNH_ALL);
    }
    let word = rig.frame + 0x40;
    rig.smmu.post(p, [0x46 | 1 << 12 | 3 << 22 | 0xf << 24 | 0x77 << 32, word]);
    p.peek32(0, reg::CMDQ_PROD);
    p.peek32(1, reg::CMDQ_CONS);
    a64!(p ; eor x0, x0, x1);
    p.expect("it is full", 0, 8);
    Smmu::control(p, SMMUEN | EVENTQEN | CMDQEN);
    p.mov(12, word);
    p.until(15, |p| a64!(p ; ldr w15, [x12]));
    p.expect_word("the message", word, u64::MAX, 0x77);
    rig.smmu.sync(p);
}

/// What is before an illegal command is done, what is behind it is not.
pub(super) fn before_an_error(p: &mut Program) {
    let mut rig = started(p);
    let dma = Dma::read(stream::STAGE1, IOVA);
    rig.reads(p, "before", &dma);
    let slot = p.slot(rig.s1, IOVA, 3);
    p.poke(slot, 0);
    rig.smmu.post(p, command::tlbi(0x12, 0, 1, IOVA));
    rig.smmu.refused(p, "illegal", [0xff, 0], CERROR_ILL);
    rig.faults(p, "invalidated", &dma, &Event::fault(Event::TRANSLATION, &dma));
}
