//! CR0.VMW: invalidations of groups of VMIDs (Arm IHI 0070, 3.17.6).

use super::*;

/// A stream whose page is known under VMID 0x23, and not mapped any more; and what CR0.VMW is.
fn known(vmw: u64) -> Machine {
    let m = Machine::new(Profile::FULL);
    m.reset_by_linux();
    // Broadcast maintenance is taken part in.
    m.w(0x20, 0xc);
    m.w(0x2c, 2);
    m.w_sync(0x20, 0x24, 0xd | vmw << 6);
    m.put(STRTAB + 64 * u64::from(STREAM) + 16, 0x23);
    m.attach(false);
    m.map(0, Some(BUFFER));
    m.read(IOVA, 4).unwrap();
    m.map(0, None);
    assert!(m.read(IOVA, 4).is_ok(), "nobody has said a word");
    m
}

#[test]
fn commands_reach_the_group_of_a_vmid() {
    // VMW, the VMID that is named, and whether 0x23 is of its group.
    for (vmw, vmid, gone) in [
        (0, 0x22, false),
        (0, 0x23, true),
        (1, 0x22, true),
        (1, 0x21, false),
        (2, 0x20, true),
        (2, 0x24, false),
        (3, 0x27, true),
        (3, 0x28, false),
        (4, 0x2f, true),
        (4, 0x33, false),
        // Reserved values behave as 0.
        (5, 0x22, false),
        (7, 0x22, false),
    ] {
        let vmid = vmid << 32;
        for command in [
            [0x10 | vmid, 0],
            [0x11 | vmid | ASID << 48, 0],
            [0x12 | vmid | ASID << 48, IOVA],
            [0x13 | vmid, IOVA],
            [0x28 | vmid, 0],
        ] {
            let m = known(vmw);
            m.commands(&[command]);
            assert_eq!(m.read(IOVA, 4).is_err(), gone, "VMW {vmw}, {command:x?}");
        }
    }
}

#[test]
fn broadcast_maintenance_reaches_it_as_commands_do() {
    for (vmw, gone) in [(0, false), (2, true)] {
        let m = known(vmw);
        let scope = TlbiScope::Asid { regime: Regime::El10, vmid: 0x21, asid: 5 };
        TlbiListener::invalidate(&**m.smmu.core(), &scope);
        assert_eq!(m.read(IOVA, 4).is_err(), gone);
    }
}

/// The group is for invalidations: a lookup goes by the whole VMID.
#[test]
fn streams_of_a_group_do_not_share_translations() {
    let m = known(4);
    m.put(STRTAB + 64 * u64::from(STREAM) + 16, 0x22);
    m.commands(&[[0x03 | u64::from(STREAM) << 32, 1]]);
    assert_eq!(m.read(IOVA, 4), Err(DmaFault::Abort));
}

#[test]
fn there_is_no_field_without_the_feature() {
    let m = Machine::new(Profile::QEMU);
    m.w(0x20, 7 << 6);
    assert_eq!((m.r(0x20), m.r(0) >> 17 & 1), (0, 0));
}
