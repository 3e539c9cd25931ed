//! SGIs, PPIs and SPIs.

use emu_core::irq::{Sgi, ppi};

use super::*;

#[test]
fn identification() {
    let rig = Rig::cold(&[0, 1, 0x100]);
    assert_eq!(rig.gicd_read(0x0), 0x50, "DS and ARE");
    assert_eq!(rig.gicd_read(0x4) & 0x1f, 8, "288 interrupt lines");
    assert_eq!(rig.gicd_read(0x4) >> 19 & 0x1f, 15);
    assert_eq!(rig.gicd_read(0x4) >> 16 & 3, 3, "MBIS, LPIS");
    assert_eq!(rig.gicd_read(0xffe8), 0x3b);
    assert_eq!(rig.gicr_read(1, 0xffe8, Size::B4), 0x3b);
    assert_eq!(rig.gicr_read(1, 0xffe4, Size::B4), 0xb4);
    assert_eq!(rig.its.read(0xffe8, Size::B4, CPU), Ok(0x3b));
    assert_eq!(rig.gicr_read(1, 0x8, Size::B8), 1 << 32 | 1 << 8 | 1 << 5 | 1);
    assert_eq!(rig.gicr_read(2, 0x8, Size::B8), 0x100 << 32 | 2 << 8 | 1 << 5 | 1 << 4 | 1);
    assert_eq!(rig.gicr_read(2, 0xc, Size::B4), 0x100);
    assert_eq!(rig.gicr_read(0, 0x14, Size::B4), 0b110);
    rig.gicr(0, 0x14, 0);
    assert_eq!(rig.gicr_read(0, 0x14, Size::B4), 0);
    rig.gicd(0x0, !0);
    assert_eq!(rig.gicd_read(0x0), 0x53);
    assert_eq!(rig.anomalies(), 0);
}

#[test]
fn refuses_what_cannot_be() {
    let config = |cpus, spis| {
        let counters = Arc::default();
        let bus = Arc::default();
        Gicv3::new(GicConfig { cpus, spis, its: false, bus, counters })
    };
    assert_eq!(config(&[], 32).err(), Some(GicError::Cpus(0)));
    assert_eq!(config(&[0, 1, 0], 32).err(), Some(GicError::Affinity(0)));
    assert_eq!(config(&[0], 33).err(), Some(GicError::Spis(33)));
    let gic = config(&[0], 0).unwrap();
    assert!(gic.its().is_none() && gic.port(1).is_none() && gic.redistributors(0, 2).is_none());
    assert_eq!(gic.distributor().read(4, Size::B4, CPU).unwrap() >> 17 & 1, 0);
    assert_eq!(gic.redistributors(0, 1).unwrap().read(0, Size::B4, CPU), Ok(0), "no LPIs: no CES, IR");
}

#[test]
fn a_disabled_word_of_the_path_stops_an_interrupt() {
    let rig = Rig::warm(&[0]);
    rig.raise(40);
    assert_eq!(rig.intid(0), None, "not enabled");
    rig.enable(40);
    assert_eq!(rig.pending(0), Some(Pending { intid: 40, priority: 0xa0, group: Group::G1 }));
    rig.gicd(0x0, 0b01);
    assert_eq!(rig.intid(0), None, "Group 1 off in the distributor");
    rig.gicd(0x0, 0b10);
    assert_eq!(rig.intid(0), Some(40));
    rig.ports[0].set_group_enables(true, false);
    assert_eq!(rig.intid(0), None, "Group 1 off in the CPU interface");
    rig.ports[0].set_group_enables(false, true);
    rig.gicr(0, 0x14, 2);
    assert_eq!(rig.intid(0), None, "asleep");
    rig.gicr(0, 0x14, 0);
    assert_eq!(rig.intid(0), Some(40));
    rig.gicd(0x184, 1 << 8);
    assert_eq!(rig.intid(0), None, "ICENABLER");
}

#[test]
fn priority_then_intid() {
    let rig = Rig::warm(&[0]);
    for intid in [50, 41, 60] {
        rig.enable(intid);
        rig.raise(intid);
    }
    assert_eq!(rig.intid(0), Some(41));
    rig.dist.write(0x400 + 60, Size::B1, 0x98, CPU).unwrap();
    assert_eq!(rig.gicd_read(0x400 + 60), 0xa0a0_a098);
    assert_eq!(rig.pending(0), Some(Pending { intid: 60, priority: 0x98, group: Group::G1 }));
    rig.sgi(0, 0x100, 1 << 27);
    rig.ports[0].set_ppi(ppi::VIRTUAL, true);
    assert_eq!(rig.intid(0), Some(60), "the PPI has a lower priority");
    rig.sgi(0, 0x400 + 24, 0x98a0_a0a0);
    assert_eq!(rig.intid(0), Some(27), "same priority, lower INTID");
}

#[test]
fn a_disabled_group_does_not_hide_the_other() {
    let rig = Rig::warm(&[0]);
    rig.gicd(0x84, !(1 << 1));
    rig.dist.write(0x400 + 33, Size::B1, 0, CPU).unwrap();
    for intid in [33, 34] {
        rig.enable(intid);
        rig.raise(intid);
    }
    assert_eq!(rig.pending(0), Some(Pending { intid: 33, priority: 0, group: Group::G0 }));
    rig.ports[0].set_group_enables(false, true);
    assert_eq!(rig.intid(0), Some(34));
}

#[test]
fn level_spi_through_its_life() {
    let rig = Rig::warm(&[0]);
    rig.enable(33);
    rig.raise(33);
    assert_eq!(rig.kicked(0), 1);
    assert!(rig.ports[0].acknowledge(33));
    assert!(!rig.ports[0].acknowledge(33), "already active");
    assert_eq!((rig.gicd_read(0x204), rig.gicd_read(0x304)), (2, 2), "active and pending");
    assert_eq!(rig.intid(0), None);
    rig.ports[0].deactivate(33);
    assert_eq!(rig.intid(0), Some(33), "the wire is still up");
    assert!(rig.ports[0].acknowledge(33));
    rig.lower(33);
    rig.ports[0].deactivate(33);
    assert_eq!((rig.intid(0), rig.gicd_read(0x204), rig.gicd_read(0x304)), (None, 0, 0));
    rig.gicd(0x304, 2);
    rig.raise(33);
    assert_eq!(rig.intid(0), None, "made active by ISACTIVER");
    rig.gicd(0x384, 2);
    assert_eq!(rig.intid(0), Some(33));
    assert_eq!(rig.counters.get(Metric::SpisRaised), 2);
}

#[test]
fn edge_spi_and_register_pending() {
    let rig = Rig::warm(&[0]);
    rig.gicd(0xc08, 0b10 << 4);
    rig.enable(34);
    rig.raise(34);
    rig.lower(34);
    assert_eq!(rig.intid(0), Some(34));
    assert!(rig.ports[0].acknowledge(34));
    rig.raise(34);
    rig.ports[0].deactivate(34);
    assert_eq!(rig.intid(0), Some(34), "an edge while active");
    rig.gicd(0x284, 1 << 2);
    assert_eq!(rig.intid(0), None);
    rig.gicd(0x204, 1 << 2);
    assert_eq!(rig.intid(0), Some(34));
}

#[test]
fn kicks_only_when_the_best_changes() {
    let rig = Rig::warm(&[0, 1]);
    rig.enable(40);
    rig.enable(41);
    rig.raise(40);
    assert_eq!((rig.kicked(0), rig.kicked(1)), (1, 0));
    rig.raise(41);
    rig.raise(40);
    rig.lower(41);
    assert_eq!((rig.kicked(0), rig.kicked(1)), (0, 0));
    rig.lower(40);
    assert_eq!(rig.kicked(0), 1);
    rig.raise(40);
    rig.forget_kicks();
    rig.route(40, 1);
    assert_eq!((rig.kicked(0), rig.kicked(1)), (1, 1));
    assert_eq!((rig.intid(0), rig.intid(1)), (None, Some(40)));
}

#[test]
fn sgis_between_pes() {
    // Two clusters of Aff1, and one PE beyond the first range of 16.
    let rig = Rig::warm(&[0, 1, 0x100, 0x11, 1 << 32]);
    for pe in 0..5 {
        rig.sgi(pe, 0x100, 0xffff);
    }
    let sgi = Sgi { intid: 3, group: Group::G1, all_others: false, aff: [0; 3], range: 0, targets: 0b10 };
    let got = || (0..5).map(|pe| rig.intid(pe).is_some()).collect::<Vec<_>>();
    let eat = || {
        (0..5).for_each(|pe| {
            rig.ports[pe].acknowledge(3);
            rig.ports[pe].deactivate(3);
        })
    };
    rig.ports[0].send_sgi(sgi);
    assert_eq!(got(), [false, true, false, false, false]);
    assert_eq!(rig.kicked(1), 1);
    eat();
    rig.ports[1].send_sgi(Sgi { aff: [0, 0, 1], targets: 1, ..sgi });
    assert_eq!(got(), [false, false, true, false, false]);
    eat();
    rig.ports[1].send_sgi(Sgi { range: 1, ..sgi });
    assert_eq!(got(), [false, false, false, true, false]);
    eat();
    rig.ports[1].send_sgi(Sgi { aff: [1, 0, 0], targets: 1, ..sgi });
    assert_eq!(got(), [false, false, false, false, true]);
    eat();
    rig.ports[2].send_sgi(Sgi { all_others: true, ..sgi });
    assert_eq!(got(), [true, true, false, true, true]);
    eat();
    rig.ports[0].send_sgi(Sgi { group: Group::G0, targets: 1, ..sgi });
    assert_eq!(got(), [false; 5], "configured for Group 1");
    rig.sgi(0, 0x80, !(1 << 3));
    rig.ports[0].send_sgi(Sgi { group: Group::G0, targets: 1, ..sgi });
    assert_eq!(rig.pending(0).map(|p| p.group), Some(Group::G0));
    rig.sgi(0, 0x280, 1 << 3);
    assert_eq!(rig.intid(0), None, "GICR_ICPENDR0");
    assert_eq!(rig.counters.get(Metric::Sgis), 7);
}

#[test]
fn ppis_are_private() {
    let rig = Rig::warm(&[0, 1]);
    rig.sgi(0, 0x100, 1 << 30);
    rig.sgi(1, 0x100, 1 << 30);
    rig.ports[1].set_ppi(ppi::PHYSICAL, true);
    assert_eq!((rig.intid(0), rig.intid(1)), (None, Some(30)));
    rig.ports[1].set_ppi(3, true);
    assert_eq!(rig.gicr_read(1, 0x1_0200, Size::B4), 1 << 30, "an SGI has no wire");
    assert_eq!(rig.gicr_read(1, 0x1_0c00, Size::B4), 0xaaaa_aaaa);
}

#[test]
fn routing() {
    let rig = Rig::warm(&[0, 1, 0x0100]);
    rig.enable(100);
    rig.raise(100);
    assert_eq!(rig.intid(0), Some(100), "IROUTER is zero after reset");
    assert!(!rig.ports[1].acknowledge(100), "not its interrupt");
    rig.dist.write(0x6000 + 800, Size::B4, 0x100, CPU).unwrap();
    assert_eq!((rig.intid(0), rig.intid(2)), (None, Some(100)));
    rig.dist.write(0x6000 + 804, Size::B4, 1, CPU).unwrap();
    assert_eq!(rig.dist.read(0x6000 + 800, Size::B8, CPU), Ok(0x1_0000_0100));
    assert_eq!(rig.intid(2), None, "no PE has this affinity");
    assert_eq!(rig.gicd_read(0x20c), 1 << 4, "it stays pending");
    rig.route(100, !0);
    assert_eq!(rig.dist.read(0x6000 + 800, Size::B8, CPU), Ok(0xff_80ff_ffff));
}

#[test]
fn one_of_n_goes_to_exactly_one_that_takes_part() {
    let rig = Rig::warm(&[0, 1, 2]);
    let holders = || (0..3).filter(|&pe| rig.intid(pe) == Some(96)).collect::<Vec<_>>();
    rig.enable(96);
    rig.route(96, 1 << 31);
    rig.raise(96);
    let first = holders();
    assert_eq!(first.len(), 1);
    rig.gicr(first[0], 0x0, 1 << 25);
    assert_eq!(rig.gicr_read(first[0], 0x0, Size::B4) >> 24, 2, "DPG1NS");
    let second = holders();
    assert!(second.len() == 1 && second != first);
    rig.ports[second[0]].set_group_enables(true, false);
    let third = holders();
    assert!(third.len() == 1 && third != first && third != second);
    assert!(!rig.ports[first[0]].acknowledge(96));
    assert!(rig.ports[third[0]].acknowledge(96));
    assert_eq!(holders(), [0; 0]);
    rig.ports[third[0]].deactivate(96);
    rig.gicr(third[0], 0x14, 2);
    assert_eq!(holders(), [0; 0], "nobody takes part");
}

#[test]
fn message_spis() {
    let rig = Rig::warm(&[0]);
    rig.gicd(0xc08, 0b10);
    rig.enable(32);
    rig.dist.write(0x40, Size::B2, 32, Requester::Device(1)).unwrap();
    assert_eq!(rig.intid(0), Some(32));
    rig.dist.write(0x48, Size::B4, 32, Requester::Device(1)).unwrap();
    assert_eq!(rig.intid(0), None);
    rig.gicd(0x40, 31);
    rig.gicd(0x40, 999);
    assert_eq!(rig.anomalies(), 2);
}

#[test]
fn nothing_a_guest_writes_panics() {
    let rig = Rig::warm(&[0, 1]);
    for (dev, size) in
        [(&rig.dist, DISTRIBUTOR_SIZE), (&rig.redist, 2 * REDISTRIBUTOR_STRIDE), (&rig.its, ITS_SIZE)]
    {
        for offset in (0..size).chain([size, u64::MAX - 7]) {
            for access in [Size::B1, Size::B2, Size::B4, Size::B8] {
                let _ = dev.write(offset, access, !0, CPU);
                let _ = dev.read(offset, access, CPU);
            }
        }
    }
    let _ = (rig.pending(0), rig.pending(1));
    assert!(rig.anomalies() > 0);
}

/// Sixty-four PEs as on the board: 16 of them share Aff1, so that one target list names them all.
#[test]
fn sgis_reach_every_one_of_many_clusters() {
    let cpus: Vec<u64> = (0..64).map(|n| ((n / 16) << 8) + n % 16).collect();
    let rig = Rig::warm(&cpus);
    for pe in 0..64 {
        rig.sgi(pe, 0x100, 1 << 3);
    }
    let sgi = |aff1: u8, targets| Sgi {
        intid: 3,
        group: Group::G1,
        all_others: false,
        aff: [0, 0, aff1],
        range: 0,
        targets,
    };
    rig.ports[0].send_sgi(sgi(3, 0x8001));
    let with: Vec<usize> = (0..64).filter(|pe| rig.intid(*pe) == Some(3)).collect();
    assert_eq!(with, [48, 63]);
    rig.ports[5].send_sgi(sgi(4, 0xffff));
    assert_eq!((0..64).filter(|pe| rig.intid(*pe).is_some()).count(), 2, "nobody has Aff1 4");
    rig.ports[5].send_sgi(Sgi { all_others: true, ..sgi(0, 0) });
    let without: Vec<usize> = (0..64).filter(|pe| rig.intid(*pe).is_none()).collect();
    assert_eq!(without, [5]);
    assert_eq!(
        rig.gicr_read(63, 0x8, Size::B8),
        0x30f << 32 | 63 << 8 | 1 << 5 | 1 << 4 | 1,
        "GICR_TYPER, Last"
    );
    rig.enable(40);
    rig.route(40, 0x20a);
    rig.raise(40);
    assert_eq!(rig.intid(42), Some(3), "the lower INTID first");
    assert!(rig.ports[42].acknowledge(3));
    assert_eq!(rig.intid(42), Some(40));
}
