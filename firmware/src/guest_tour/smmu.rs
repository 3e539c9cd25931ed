//! The SMMU (Arm IHI 0070): what an MMU is for a CPU, it is for devices. A device has no exception level and takes no
//! exceptions, so that all is different but the translation tables:
//!
//! | a CPU | the SMMU |
//! |---|---|
//! | VTTBR_EL2 and VTCR_EL2, one guest at a time | an entry of the *stream table* for each device, which its StreamID finds |
//! | TLBI, DSB | commands in a queue in memory, CMD_SYNC |
//! | an exception, ESR_EL2, HPFAR_EL2 | a record in another queue, an interrupt |
//! | ERET: the instruction is done again | CMD_RESUME: the transaction is, if it was stalled |

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say};
use super::layout::{
    COMMANDS, EVENTS, SMMU, SMMU_EVENT_INTID, STREAMS_L1, STREAMS_L2, TWO_L1, VIRTIO_STREAM,
};
use super::stage2::{TWO_VMID, VTCR};

/// A register (6.3).
struct Register {
    name: &'static str,
    at: u64,
    /// It has 64 bits, and not 32.
    wide: bool,
}

const fn word(name: &'static str, offset: u64) -> Register {
    Register { name, at: SMMU + offset, wide: false }
}
const fn double(name: &'static str, offset: u64) -> Register {
    Register { name, at: SMMU + offset, wide: true }
}

const IDR0: Register = word("SMMU_IDR0", 0x00);
const IDR1: Register = word("SMMU_IDR1", 0x04);
const CR0: Register = word("SMMU_CR0", 0x20);
const CR0ACK: Register = word("SMMU_CR0ACK", 0x24);
const CR1: Register = word("SMMU_CR1", 0x28);
const CR2: Register = word("SMMU_CR2", 0x2c);
const IRQ_CTRL: Register = word("SMMU_IRQ_CTRL", 0x50);
const STRTAB_BASE: Register = double("SMMU_STRTAB_BASE", 0x80);
const STRTAB_BASE_CFG: Register = word("SMMU_STRTAB_BASE_CFG", 0x88);
const CMDQ_BASE: Register = double("SMMU_CMDQ_BASE", 0x90);
const CMDQ_PROD: Register = word("SMMU_CMDQ_PROD", 0x98);
const CMDQ_CONS: Register = word("SMMU_CMDQ_CONS", 0x9c);
const EVENTQ_BASE: Register = double("SMMU_EVENTQ_BASE", 0xa0);
/// Event queues are for whoever handles events: they have their indexes in a page of their own.
const EVENTQ_PROD: Register = word("SMMU_EVENTQ_PROD", 0x1_00a8);
const EVENTQ_CONS: Register = word("SMMU_EVENTQ_CONS", 0x1_00ac);

/// IDR0: stage 2 is there; STALL_MODEL, whose value 0 is that a stream can be stalled or not.
const IDR0_S2P: u32 = 0;
const IDR0_STALL_MODEL: u32 = 24;
/// CR0: transactions are translated; events are recorded; commands are executed.
const SMMUEN: u64 = 1;
const EVENTQEN: u64 = 1 << 2;
const CMDQEN: u64 = 1 << 3;
/// IRQ_CTRL: the event queue has an interrupt.
const EVENTQ_IRQEN: u64 = 1 << 2;

/// Bits of a StreamID that the upper level of the stream table does not look at.
const SPLIT: u32 = 6;
/// Bits that both levels look at together; all others have to be 0.
const STREAM_BITS: u32 = 15;
/// STRTAB_BASE_CFG: two levels (FMT), SPLIT, LOG2SIZE.
const STREAMS_FORMAT: u64 = 1 << 16 | (SPLIT as u64) << 6 | STREAM_BITS as u64;
/// A descriptor of the upper level (5.1): where 64 STEs are, and Span, which is one more than log2 of their number.
const STREAMS: u64 = STREAMS_L2 | 7;
/// Its index.
const STREAMS_INDEX: u64 = (VIRTIO_STREAM >> SPLIT) as u64;
/// The disk's STE.
const STE: u64 = STREAMS_L2 + 64 * (VIRTIO_STREAM & ((1 << SPLIT) - 1)) as u64;

/// An STE (5.2): valid; Config 0b110, stage 2 alone.
const STE_0: u64 = 1 | 0b110 << 1;
/// SHCFG: memory is shared as the device says.
const STE_1: u64 = 0b01 << 44;
/// S2VMID; then S2T0SZ to S2PS, which are bits 18:0 of VTCR_EL2; S2AA64, and S2R: faults are recorded.
const STE_2: u64 = TWO_VMID | (VTCR & 0x7_ffff) << 32 | 1 << 51 | S2R;
const S2R: u64 = 1 << 58;
/// S2S: and they stall the transaction.
const S2S: u64 = 1 << 57;
/// Where [`STE_2`] is in it.
const STE_2_OFFSET: u64 = 16;

/// log2 of the entries of both queues.
const QUEUE_BITS: u32 = 4;
/// An index into a queue, without its wrap bit and with it.
const SLOT: u64 = (1 << QUEUE_BITS) - 1;
const INDEX: u64 = (2 << QUEUE_BITS) - 1;

/// Commands (chapter 4): the first doubleword, and the second one.
type Command = [u64; 2];
const CFGI_ALL: Command = [0x04, 31];
const TLBI_NSNH_ALL: Command = [0x30, 0];
const SYNC: Command = [0x46, 0];
/// CMD_CFGI_STE of the disk; Leaf: nothing else has changed.
const CFGI_STE: Command = [0x03 | STREAM << 32, 1];
/// CMD_RESUME of the disk, with Ac: the transaction is tried again. Its STAG is the second doubleword.
const RESUME_RETRY: u64 = 0x44 | 1 << 12 | STREAM << 32;
const STREAM: u64 = VIRTIO_STREAM as u64;

/// Bits of the second doubleword of an event record (7.3).
pub(super) const STALL: u32 = 31;
const RNW: u32 = 35;
const S2: u32 = 39;
/// Translation-related events.
const EVENT_NAMES: [(u32, &str); 4] =
    [(0x10, "F_TRANSLATION"), (0x11, "F_ADDR_SIZE"), (0x12, "F_ACCESS"), (0x13, "F_PERMISSION")];
/// The first doubleword of an F_TRANSLATION of the disk.
pub(super) const DISK_HAS_NO_TRANSLATION: u64 = 0x10 | STREAM << 32;

pub(super) fn emit(a: &mut Asm) {
    on(a);
    let_faults_stall(a);
    retry(a);
    command(a);
    event(a);
    asm!(a
        ; ->smmu_is_wrong:
        ;; say(a, "   the SMMU did not do what the tour expects\n")
        ; b ->machine_off
    );
}

/// X2 is the register's address, X1 its value.
fn read(a: &mut Asm, register: &Register) {
    load(a, 2, register.at);
    match register.wide {
        true => asm!(a ; ldr x1, [x2]),
        false => asm!(a ; ldr w1, [x2]),
    }
}

/// Writes X1 to it.
fn write(a: &mut Asm, register: &Register) {
    load(a, 2, register.at);
    match register.wide {
        true => asm!(a ; str x1, [x2]),
        false => asm!(a ; str w1, [x2]),
    }
}

/// Reads it and prints `NAME = value: why`. Changes X0 to X3.
fn show(a: &mut Asm, register: &Register, why: &str) {
    say(a, &format!("   {} = ", register.name));
    read(a, register);
    asm!(a ; mov x0, x1 ; bl ->print_hex);
    say(a, &format!(": {why}\n"));
}

/// Writes it, and shows what it is then.
fn set(a: &mut Asm, register: &Register, value: u64, why: &str) {
    load(a, 1, value);
    write(a, register);
    show(a, register, why);
}

/// CR0 changes when CR0ACK says so (6.3.9).
fn control(a: &mut Asm, value: u64, why: &str) {
    set(a, &CR0, value, why);
    asm!(a ; wait:);
    read(a, &CR0ACK);
    asm!(a ; cmp x1, value as u32 ; b.ne <wait);
}

/// Gives a command, and waits until it is consumed.
fn give(a: &mut Asm, [first, second]: Command) {
    load(a, 0, first);
    load(a, 1, second);
    asm!(a ; bl ->smmu_command);
}

/// From reset to translating the disk's addresses by the tables of guest two.
fn on(a: &mut Asm) {
    asm!(a
        ; ->smmu_on:
        ; mov x21, x30
        ;; show(a, &IDR0, "S2P is 1: it has stage 2; STALL_MODEL is 0: a device can be made to wait")
        ;; read(a, &IDR0)
        ; tbz x1, IDR0_S2P, ->smmu_is_wrong
        ; ubfx x1, x1, IDR0_STALL_MODEL, 2
        ; cbnz x1, ->smmu_is_wrong
    );
    say(a, "   SMMU_IDR1.SIDSIZE = ");
    asm!(a
        ;; read(a, &IDR1)
        ; and x0, x1, 0x3f
        ; cmp x0, STREAM_BITS
        ; b.lo ->smmu_is_wrong
        ; bl ->print_dec
        ;; say(a, ": the name of a device, its StreamID, has so many bits\n")
    );
    say(a, "   the stream table says what becomes of each device; nothing is in it but the disk:\n");
    for (word, value) in (0..).zip([STE_0, STE_1, STE_2, TWO_L1]) {
        put(a, STE + 8 * word, value);
    }
    put(a, STREAMS_L1 + 8 * STREAMS_INDEX, STREAMS);
    let [config, vmid, vtcr] = ["Config 0b110: stage 2 alone", "S2VMID 2", "S2T0SZ to S2PS as in VTCR_EL2"];
    say(a, &format!("      StreamID {STREAM:#x}: V; {config}; {vmid}; {vtcr};\n"));
    say(a, &format!("      S2TTB {TWO_L1:#x}: the very tables of guest two; S2R: tell us of faults\n"));
    queues(a);
    asm!(a ; br x21);
}

/// What is said of registers, in the order in which they are to be written.
fn queues(a: &mut Asm) {
    set(a, &CR1, 0xd75, "tables and queues are in shared memory that is cached");
    set(a, &CR2, 2, "RECINVSID: we hear of unknown devices; PTM is 0: TLBI of CPUs reaches it, too");
    set(a, &STRTAB_BASE, STREAMS_L1, "the stream table");
    set(
        a,
        &STRTAB_BASE_CFG,
        STREAMS_FORMAT,
        "it has two levels, for 9 and 6 of 15 bits: what is not used needs no memory",
    );
    set(
        a,
        &CMDQ_BASE,
        COMMANDS | u64::from(QUEUE_BITS),
        "we write commands there, 16 bytes each, room for 16",
    );
    set(
        a,
        &EVENTQ_BASE,
        EVENTS | u64::from(QUEUE_BITS),
        "it writes events there, 32 bytes each, room for 16",
    );
    for register in [CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD, EVENTQ_CONS] {
        asm!(a ; mov x1, xzr ;; write(a, &register));
    }
    let interrupt = format!("events make an interrupt: {SMMU_EVENT_INTID}");
    set(a, &IRQ_CTRL, EVENTQ_IRQEN, &interrupt);
    control(a, CMDQEN | EVENTQEN, "CMDQEN, EVENTQEN: the queues work; CR0ACK says when it is done");
    say(a, "   CMD_CFGI_ALL, CMD_TLBI_NSNH_ALL, CMD_SYNC: what it knows from an earlier life is forgotten\n");
    for command in [CFGI_ALL, TLBI_NSNH_ALL, SYNC] {
        give(a, command);
    }
    control(a, CMDQEN | EVENTQEN | SMMUEN, "SMMUEN: from now on it translates");
}

/// A doubleword of a structure in memory.
fn put(a: &mut Asm, address: u64, value: u64) {
    asm!(a
        ;; load(a, 1, address)
        ;; load(a, 2, value)
        ; str x2, [x1]
    );
}

/// Faults of the disk make it wait from now on.
fn let_faults_stall(a: &mut Asm) {
    asm!(a
        ; ->smmu_let_faults_stall:
        ; mov x21, x30
        ;; put(a, STE + STE_2_OFFSET, STE_2 | S2S)
        ;; give(a, CFGI_STE)
        ;; give(a, SYNC)
        ; br x21
    );
}

/// The transaction whose STAG is X1 is tried again.
fn retry(a: &mut Asm) {
    asm!(a
        ; ->smmu_retry:
        ; mov x21, x30
        ;; load(a, 0, RESUME_RETRY)
        ; bl ->smmu_command
        ;; give(a, SYNC)
        ; br x21
    );
}

/// Puts the command X0, X1 into the queue and waits until the SMMU has consumed it. Changes X1 to X5.
fn command(a: &mut Asm) {
    asm!(a
        ; ->smmu_command:
        ; mov x4, x1
        ;; read(a, &CMDQ_PROD)
        ;; load(a, 3, COMMANDS)
        ; and x5, x1, SLOT
        ; add x3, x3, x5, lsl #4
        ; stp x0, x4, [x3]
        // It must not see the index before the command.
        ; dsb sy
        ; add x1, x1, #1
        ; and x1, x1, INDEX
        ; mov x3, x1
        ;; write(a, &CMDQ_PROD)
        // CMDQ_CONS is the index where it reads next, and in bits 30:24 why it does not.
        ; wait:
        ;; read(a, &CMDQ_CONS)
        ; lsr x5, x1, #24
        ; cbnz x5, ->smmu_is_wrong
        ; cmp x1, x3
        ; b.ne <wait
        ; ret
    );
}

/// Takes a record out of the event queue and prints what it says. It is in X22 to X25 then. Changes X0 to X3.
fn event(a: &mut Asm) {
    asm!(a
        ; ->smmu_event:
        ; mov x21, x30
        ;; read(a, &EVENTQ_PROD)
        ; mov x3, x1
        ;; read(a, &EVENTQ_CONS)
        ; cmp x1, x3
        ; b.eq ->smmu_is_wrong
        ;; load(a, 3, EVENTS)
        ; and x0, x1, SLOT
        ; add x3, x3, x0, lsl #5
        ; ldp x22, x23, [x3]
        ; ldp x24, x25, [x3, #16]
        // The place is free when it has been read.
        ; dmb sy
        ; add x1, x1, #1
        ; and x1, x1, INDEX
        ;; write(a, &EVENTQ_CONS)
        ;; say(a, &format!("   interrupt {SMMU_EVENT_INTID}: a record is in the event queue\n      event "))
        ; and x0, x22, 0xff
        ; bl ->print_hex
    );
    for (number, name) in EVENT_NAMES {
        asm!(a
            ; and x0, x22, 0xff
            ; cmp x0, number
            ; b.ne >other
            ;; say(a, &format!(": {name}"))
            ; other:
        );
    }
    asm!(a
        ;; say(a, ", StreamID ")
        ; lsr x0, x22, #32
        ; bl ->print_hex
        ; tbnz x23, RNW, >reads
        ;; say(a, ", a write to ")
        ; b >address
        ; reads:
        ;; say(a, ", a read from ")
        ; address:
        ; mov x0, x24
        ; bl ->print_hex
        ; tbz x23, S2, >stalled
        ;; say(a, ",\n      S2: it is stage 2 that refuses, at IPA ")
        ; mov x0, x25
        ; bl ->print_hex
        ; stalled:
        ; tbnz x23, STALL, >waits
        ;; say(a, "; Stall 0: it was aborted\n")
        ; b >told
        ; waits:
        ;; say(a, "; Stall 1: it waits, and its name is STAG ")
        ; and x0, x23, 0xffff
        ; bl ->print_dec
        ;; say(a, "\n")
        ; told:
        ; br x21
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_those_of_the_specification() {
        // Arm IHI 0070, 5.1 and 5.2: the level 1 descriptor, and an STE for stage 2 with VMID 2: T0SZ 25, SL0 1, write-back
        // (1, 1) and inner shareable (3) walks, 4 KiB, 40 bits, S2AA64, S2R.
        assert_eq!((STREAMS_INDEX, STREAMS & 0x3f), (0x1fc, 7));
        assert_eq!(
            (STE, STREAMS_L1 % (8 << (STREAM_BITS - SPLIT)), STREAMS_L2 % 4096),
            (STREAMS_L2 + 0x7c0, 0, 0)
        );
        assert_eq!((STE_0, STE_1), (0xd, 0x1000_0000_0000));
        assert_eq!(STE_2, 0x040a_3559_0000_0002);
        assert_eq!(STREAMS_FORMAT, 0x1_018f);
    }

    #[test]
    fn commands_are_those_of_the_specification() {
        assert_eq!(CFGI_STE, [0x7f1f_0000_0003, 1]);
        assert_eq!(RESUME_RETRY, 0x7f1f_0000_1044);
    }
}
