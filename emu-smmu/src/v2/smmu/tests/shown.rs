//! What a monitor is told of streams and faults.

use emu_core::Security;
use emu_core::dma::MemoryType;

use super::*;
use crate::translation::Access;

const READ: Transaction = Transaction {
    stream: STREAM,
    substream: None,
    address: 0x5008,
    access: Access::Read,
    privileged: false,
    instruction: false,
    security: Security::NonSecure,
    memory: MemoryType::WriteBack,
    translated: false,
    may_stall: false,
};

#[test]
fn a_walk_names_groups_banks_and_each_descriptor_and_changes_nothing() {
    let m = Machine::new();
    assert_eq!(m.smmu.walk(&READ).to_string(), "stream 0x18\nbypassed", "CLIENTPD");
    m.enable();
    assert_eq!(m.smmu.walk(&READ).to_string(), "stream 0x18\nglobal fault: USF (unidentified stream)");
    m.stage1(3, 0x1_0007, USUAL);
    m.stream(0, STREAM, 3);
    m.map(S1, 0x5000, DATA | PAGE);
    let told = m.smmu.walk(&READ).to_string();
    assert_eq!(
        told,
        "stream 0x18
SMR 0: ID 0x18, MASK 0x0; S2CR: context bank 3
CB 3: stage 1 of EL1&0, ASID 5, TTB0 0x40010000 K4 39 bits; VMID 7
S1 L1 0x5008 at 0x40010000: 0x0000000040011003 table 0x40011000
S1 L2 0x5008 at 0x40011000: 0x0000000040012003 table 0x40012000
S1 L3 0x5008 at 0x40012028: 0x0000000040080f43 page 0x40080000, 2^12 bytes
physical 0x40080008, intermediate 0x40080008"
    );
    let absent = m.smmu.walk(&Transaction { address: 0x6000, ..READ }).to_string();
    assert!(absent.ends_with("\nstage 1 translation fault, level 3, VA 0x6000"), "{absent}");
    // The same stream in another group.
    m.stream(9, STREAM, 1 << 16);
    let twice = m.smmu.walk(&READ).to_string();
    assert!(
        twice.ends_with(
            "S2CR: context bank 3\nSMR 9: ID 0x18, MASK 0x0; S2CR: bypass\nglobal fault: SMCF (stream match conflict)"
        ),
        "{twice}"
    );
    assert!(m.smmu.faults().is_empty());
    assert_eq!((m.r(0x48), m.r(cb(3) + FSR)), (0, 0));
}

#[test]
fn a_nested_context_is_told_with_both_banks() {
    let m = Machine::new();
    m.enable();
    m.stage1(1, 3 << 16 | 2 << 8 | 9, USUAL);
    m.stage2(2, USUAL);
    m.identity2();
    m.map(S1, 0x5000, DATA | PAGE);
    m.stream(0, STREAM, 1);
    let told = m.smmu.walk(&READ).to_string();
    assert!(told.contains("\nCB 1, CB 2: stage 1 of EL1&0, ASID 5, "), "{told}");
    assert!(told.contains("; stage 2 of VMID 9, S2TTB 0x40020000 "), "{told}");
    assert!(told.ends_with("\nphysical 0x40080008, intermediate 0x40080008"), "{told}");
}

#[test]
fn faults_are_told_until_software_clears_them() {
    let m = Machine::new();
    m.enable();
    m.stage1(3, 0x1_0007, USUAL);
    m.stream(0, STREAM, 3);
    let port = m.port(STREAM);
    assert_eq!(write(&port, 0x6010, 1), Err(DmaFault::Abort));
    assert_eq!(read(&m.port(0x20), 0x7000), Err(DmaFault::Abort));
    assert_eq!(
        m.smmu.faults(),
        [
            "global: USF (unidentified stream): stream 0x20, read of 0x7000",
            "CB 3: TF (translation): stream 0x18, write of 0x6010, level 1",
        ]
    );
    m.w(0x48, 2);
    m.w(cb(3) + FSR, 2);
    assert!(m.smmu.faults().is_empty());
}
