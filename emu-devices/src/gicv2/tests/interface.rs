//! The CPU interface (IHI 0048B, 3.2 to 3.7 and 4.4).

use super::*;

/// Sends an SGI from PE 0 to itself.
fn sgi(rig: &Rig, intid: u32) {
    rig.gicd(gicd::SGIR, 1 << 16 | intid);
}

fn priority(rig: &Rig, intid: u64, value: u8) {
    rig.byte(gicd::IPRIORITYR + intid, value);
}

#[test]
fn by_priority_then_by_intid() {
    let rig = Rig::warm(1);
    priority(&rig, 3, 0x40);
    priority(&rig, 9, 0x20);
    [2, 3, 9, 1].into_iter().for_each(|n| sgi(&rig, n));
    for intid in [9, 3, 1, 2] {
        assert_eq!(rig.gicc_read(0, gicc::IAR), intid);
        rig.gicc(0, gicc::EOIR, intid);
    }
    assert_eq!(rig.gicc_read(0, gicc::IAR), NOTHING);
}

#[test]
fn preemption_nests() {
    let rig = Rig::warm(1);
    priority(&rig, 2, 0x40);
    sgi(&rig, 1);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xff);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1);
    assert_eq!((rig.gicc_read(0, gicc::RPR), rig.gicc_read(0, gicc::APR)), (0xa0, 1 << 20));
    sgi(&rig, 3);
    assert_eq!((rig.signals(0), rig.gicc_read(0, gicc::IAR)), (NONE, NOTHING), "an equal priority waits");
    assert_eq!(rig.gicc_read(0, gicc::HPPIR), 3);
    sgi(&rig, 2);
    assert_eq!((rig.signals(0), rig.gicc_read(0, gicc::IAR)), (IRQ, 2));
    assert_eq!((rig.gicc_read(0, gicc::RPR), rig.gicc_read(0, gicc::APR)), (0x40, 1 << 20 | 1 << 8));
    rig.gicc(0, gicc::EOIR, 2);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xa0);
    rig.gicc(0, gicc::EOIR, 1);
    assert_eq!((rig.gicc_read(0, gicc::RPR), rig.gicc_read(0, gicc::IAR)), (0xff, 3));
}

#[test]
fn binary_points() {
    let rig = Rig::warm(1);
    rig.gicc(0, gicc::BPR, 0);
    rig.gicc(0, gicc::ABPR, 0);
    assert_eq!((rig.gicc_read(0, gicc::BPR), rig.gicc_read(0, gicc::ABPR)), (2, 3), "the least");
    // Group priority: bits 7:6.
    rig.gicc(0, gicc::BPR, 5);
    priority(&rig, 1, 0x80);
    priority(&rig, 2, 0x40);
    sgi(&rig, 3);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 3);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0x80, "the running priority is a group priority");
    sgi(&rig, 1);
    assert_eq!(rig.signals(0), NONE, "0x80 and 0xa0 are of one group priority");
    sgi(&rig, 2);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 2);
}

#[test]
fn end_of_interrupt_modes() {
    let rig = Rig::warm(1);
    for (ctlr, active_after_eoi) in [(1, 0), (1 | 1 << 9, 1 << 4)] {
        rig.gicc(0, gicc::CTLR, ctlr);
        sgi(&rig, 4);
        assert_eq!(rig.gicc_read(0, gicc::IAR), 4);
        assert_eq!(rig.gicd_read(gicd::ISACTIVER), 1 << 4);
        rig.gicc(0, gicc::EOIR, 4);
        assert_eq!((rig.gicd_read(gicd::ISACTIVER), rig.gicc_read(0, gicc::RPR)), (active_after_eoi, 0xff));
    }
    sgi(&rig, 4);
    assert_eq!(rig.signals(0), NONE, "active and pending");
    rig.gicc(0, gicc::DIR, 4);
    assert_eq!((rig.gicd_read(gicd::ISACTIVER), rig.signals(0)), (0, IRQ));
    rig.gicc(0, gicc::CTLR, 1);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 4);
    rig.gicc(0, gicc::DIR, 4);
    assert_eq!(rig.gicd_read(gicd::ISACTIVER), 1 << 4, "GICC_DIR needs EOImode");
}

#[test]
fn ends_of_nothing_are_ignored() {
    let rig = Rig::warm(1);
    rig.gicd(gicd::ISACTIVER, 1 << 4);
    rig.gicc(0, gicc::EOIR, 4);
    assert_eq!(rig.gicd_read(gicd::ISACTIVER), 1 << 4, "nothing is being serviced");
    sgi(&rig, 5);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 5);
    rig.gicc(0, gicc::EOIR, NOTHING);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xa0);
}

/// Both groups: SGI 1 is of Group 0, SGI 2 of Group 1 and more urgent.
fn grouped(ctlr: u32) -> Rig {
    let rig = Rig::warm(1);
    rig.gicd(gicd::CTLR, 3);
    rig.gicd(gicd::IGROUPR, 1 << 2);
    priority(&rig, 2, 0x40);
    rig.gicc(0, gicc::CTLR, ctlr);
    rig
}

#[test]
fn group_1_has_registers_of_its_own() {
    let rig = grouped(0b0011);
    sgi(&rig, 1);
    sgi(&rig, 2);
    assert_eq!((rig.gicc_read(0, gicc::HPPIR), rig.gicc_read(0, gicc::AHPPIR)), (1022, 2));
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1022, "AckCtl is 0");
    assert_eq!(rig.gicc_read(0, gicc::AIAR), 2);
    assert_eq!((rig.gicc_read(0, gicc::APR), rig.gicc_read(0, gicc::NSAPR)), (0, 1 << 8));
    rig.gicc(0, gicc::EOIR, 2);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0x40, "GICC_EOIR is for Group 0");
    rig.gicc(0, gicc::AEOIR, 2);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xff);
    assert_eq!((rig.gicc_read(0, gicc::AHPPIR), rig.gicc_read(0, gicc::AIAR)), (NOTHING, NOTHING));
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1);
    rig.gicc(0, gicc::AEOIR, 1);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xa0, "GICC_AEOIR is for Group 1");
    rig.gicc(0, gicc::EOIR, 1);
    assert_eq!(rig.gicc_read(0, gicc::RPR), 0xff);
}

#[test]
fn ack_ctl_lets_the_plain_registers_serve_both() {
    let rig = grouped(0b0111);
    sgi(&rig, 2);
    assert_eq!((rig.gicc_read(0, gicc::HPPIR), rig.gicc_read(0, gicc::IAR)), (2, 2));
    rig.gicc(0, gicc::EOIR, 2);
    assert_eq!((rig.gicc_read(0, gicc::RPR), rig.gicd_read(gicd::ISACTIVER)), (0xff, 0));
}

#[test]
fn fiq_en_signals_group_0_as_fiq() {
    let rig = grouped(0b1011);
    sgi(&rig, 1);
    assert_eq!(rig.signals(0), FIQ);
    sgi(&rig, 2);
    assert_eq!(rig.signals(0), IRQ, "the more urgent one");
    rig.gicc(0, gicc::CTLR, 0b1001);
    assert_eq!(rig.signals(0), FIQ, "a disabled group hides nothing");
    rig.gicc(0, gicc::CTLR, 0b0011);
    assert_eq!(rig.signals(0), IRQ);
}

#[test]
fn a_common_binary_point() {
    let rig = grouped(0b10011);
    rig.gicc(0, gicc::BPR, 6);
    rig.gicc(0, gicc::ABPR, 3);
    sgi(&rig, 1);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1);
    sgi(&rig, 2);
    assert_eq!(rig.signals(0), IRQ, "bit 7 differs");
    priority(&rig, 2, 0x80);
    assert_eq!(rig.signals(0), NONE, "it does not");
    rig.gicc(0, gicc::CTLR, 0b00011);
    assert_eq!(rig.signals(0), NONE, "GICC_ABPR of 3 compares all five bits, but bit 7 only is running");
}

#[test]
fn what_can_be_written() {
    let rig = Rig::cold(1);
    for (offset, value) in
        [(gicc::CTLR, 0x21f), (gicc::PMR, 0xf8), (gicc::BPR, 7), (gicc::ABPR, 7), (gicc::APR, !0)]
    {
        rig.gicc(0, offset, !0);
        assert_eq!(rig.gicc_read(0, offset), value, "{offset:#x}");
    }
    rig.gicc(0, 0xd4, !0);
    assert_eq!(rig.gicc_read(0, 0xd4), 0, "GICC_APR1: 32 levels need one register");
    rig.gicd(gicd::CTLR, !0);
    assert_eq!(rig.gicd_read(gicd::CTLR), 3);
    assert_eq!(rig.anomalies(), 0);
}
