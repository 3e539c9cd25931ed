//! SGIs, PPIs and SPIs on their way to a PE (IHI 0048B, chapters 2, 3 and 4.3).

use super::*;

#[test]
fn what_cannot_be_is_refused() {
    let config = |cpus, spis| Gicv2::new(Config { cpus, spis, counters: Arc::default() }).err();
    assert_eq!(config(0, 32), Some(ConfigError::Cpus(0)));
    assert_eq!(config(9, 32).unwrap().to_string(), "a GICv2 serves 1 to 8 CPUs, not 9");
    assert_eq!(config(8, 33), Some(ConfigError::Spis(33)));
    assert_eq!(config(8, 960), None);
    assert!(Rig::cold(2).gic.wires(2).is_none());
}

#[test]
fn banked_registers_are_for_pes_only() {
    let rig = Rig::cold(2);
    for from in [Requester::Device(0), Requester::Machine, Requester::Cpu(2)] {
        for frame in [&rig.dist, &rig.cpu, &rig.control, &rig.virt] {
            assert_eq!(frame.read(0, Size::B4, from), Err(BusFault::Refused));
            assert_eq!(frame.write(0, Size::B4, 1, from), Err(BusFault::Refused));
        }
    }
}

#[test]
fn an_spi_goes_to_its_target() {
    let rig = Rig::warm(2);
    rig.enable(40, 0b10);
    rig.raise(40);
    assert_eq!((rig.signals(0), rig.signals(1)), (NONE, IRQ));
    assert_eq!((rig.kicked(0), rig.kicked(1)), (0, 1));
    assert_eq!(rig.gicc_read(0, gicc::IAR), NOTHING);
    assert_eq!(rig.gicc_read(1, gicc::IAR), 40);
    assert_eq!((rig.signals(1), rig.kicked(1)), (NONE, 1));
    assert_eq!(rig.gicd_read(gicd::ISPENDR + 4), 1 << 8, "the wire is up: active and pending");
    assert_eq!(rig.gicd_read(gicd::ISACTIVER + 4), 1 << 8);
    rig.gicc(1, gicc::EOIR, 40);
    assert_eq!(rig.signals(1), IRQ, "again, for it is level-sensitive");
    rig.lower(40);
    assert_eq!(rig.signals(1), NONE);
    assert_eq!(rig.gicc_read(1, gicc::IAR), NOTHING);
}

#[test]
fn every_word_of_the_path_can_stop_an_interrupt() {
    let rig = Rig::warm(1);
    rig.gicd(gicd::ISENABLER + 4, 1 << 8);
    rig.raise(40);
    assert_eq!(rig.signals(0), IRQ, "with one PE there is no target to choose");
    rig.gicd(gicd::CTLR, 2);
    assert_eq!(rig.signals(0), NONE, "GICD_CTLR.EnableGrp0");
    rig.gicd(gicd::CTLR, 1);
    rig.gicc(0, gicc::CTLR, 2);
    assert_eq!(rig.signals(0), NONE, "GICC_CTLR.EnableGrp0");
    rig.gicc(0, gicc::CTLR, 1);
    rig.gicc(0, gicc::PMR, 0xa0);
    assert_eq!(rig.signals(0), NONE, "GICC_PMR: equal is not enough");
    rig.gicc(0, gicc::PMR, 0xa8);
    assert_eq!(rig.signals(0), IRQ);
    rig.gicd(gicd::ICENABLER + 4, 1 << 8);
    assert_eq!(rig.signals(0), NONE, "GICD_ICENABLER");
}

#[test]
fn one_of_several_targets_gets_an_spi() {
    let rig = Rig::warm(4);
    rig.enable(50, 0b1011);
    rig.gicd(gicd::ICFGR + 4 * (50 / 16), 2 << (2 * (50 % 16)));
    rig.raise(50);
    assert_eq!([0, 1, 2, 3].map(|cpu| rig.signals(cpu)), [IRQ, IRQ, NONE, IRQ]);
    assert_eq!(rig.gicc_read(3, gicc::IAR), 50);
    assert_eq!(
        [0, 1].map(|cpu| rig.gicc_read(cpu, gicc::IAR)),
        [NOTHING; 2],
        "1-N: the others come too late"
    );
    assert_eq!([0, 1, 2, 3].map(|cpu| rig.signals(cpu)), [NONE; 4]);
}

#[test]
fn targets_of_absent_pes_read_as_zero() {
    let rig = Rig::cold(3);
    rig.gicd(gicd::ITARGETSR + 32, 0xff04_03ff);
    assert_eq!(rig.gicd_read(gicd::ITARGETSR + 32), 0x0704_0307);
    assert_eq!(rig.dist.read(gicd::ITARGETSR + 34, Size::B1, Requester::Cpu(0)), Ok(4));
    for cpu in 0..3 {
        let own = 0x0101_0101 << cpu;
        write(&rig.dist, cpu, gicd::ITARGETSR, 0);
        assert_eq!(read(&rig.dist, cpu, gicd::ITARGETSR), own, "SGIs and PPIs: read-only");
        assert_eq!(read(&rig.dist, cpu, gicd::ITARGETSR + 28), own);
    }
    let alone = Rig::cold(1);
    alone.gicd(gicd::ITARGETSR + 32, !0);
    assert_eq!((alone.gicd_read(gicd::ITARGETSR + 32), alone.gicd_read(gicd::ITARGETSR)), (0, 0), "RAZ/WI");
}

#[test]
fn sgis_say_who_sent_them() {
    let rig = Rig::warm(3);
    write(&rig.dist, 2, gicd::SGIR, 1 << 16 | 5);
    write(&rig.dist, 1, gicd::SGIR, 1 << 16 | 5);
    assert_eq!(rig.gicd_read(gicd::SPENDSGIR + 4), 0b110 << 8);
    assert_eq!(rig.gicd_read(gicd::ISPENDR), 1 << 5);
    assert_eq!(rig.gicc_read(0, gicc::HPPIR), 1 << 10 | 5);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1 << 10 | 5, "from PE 1");
    assert_eq!(rig.gicd_read(gicd::SPENDSGIR + 4), 0b100 << 8);
    assert_eq!(rig.gicc_read(0, gicc::IAR), NOTHING, "it is active");
    rig.gicc(0, gicc::EOIR, 1 << 10 | 5);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 2 << 10 | 5, "from PE 2");
    rig.gicc(0, gicc::EOIR, 2 << 10 | 5);
    assert_eq!((rig.signals(0), rig.gicc_read(0, gicc::IAR)), (NONE, NOTHING));
    assert_eq!(rig.counters.get(Metric::Sgis), 2);
}

#[test]
fn target_list_filters() {
    for (filter, reached) in
        [(0b101 << 16, 0b101), (1 << 24, 0b1101), (2 << 24 | 0xff << 16, 0b10), (3 << 24, 0)]
    {
        let rig = Rig::warm(4);
        write(&rig.dist, 1, gicd::SGIR, filter | 9);
        let got = (0..4).fold(0, |v, cpu| v | u32::from(rig.signals(cpu) == IRQ) << cpu);
        assert_eq!(got, reached, "{filter:#x}");
    }
}

#[test]
fn sgis_are_set_and_cleared_by_sender() {
    let rig = Rig::warm(2);
    rig.byte(gicd::SPENDSGIR + 7, 0b11);
    assert_eq!(rig.signals(0), IRQ);
    rig.byte(gicd::CPENDSGIR + 7, 0b01);
    assert_eq!(rig.gicd_read(gicd::CPENDSGIR + 4), 0b10 << 24);
    assert_eq!(rig.signals(0), IRQ);
    rig.byte(gicd::CPENDSGIR + 7, 0xff);
    assert_eq!((rig.signals(0), rig.gicd_read(gicd::ISPENDR)), (NONE, 0));
    rig.byte(gicd::SPENDSGIR + 7, 0b100);
    assert_eq!(rig.signals(0), NONE, "there is no PE 2");
    // What an SGI has in other registers cannot be changed.
    rig.gicd(gicd::ISPENDR, !0);
    assert_eq!(rig.gicd_read(gicd::ISPENDR), 0xffff_0000);
    rig.gicd(gicd::ICPENDR, !0);
    rig.gicd(gicd::ICENABLER, !0);
    assert_eq!(rig.gicd_read(gicd::ISENABLER), 0xffff);
    rig.gicd(gicd::ICFGR, 0);
    assert_eq!(rig.gicd_read(gicd::ICFGR), 0xaaaa_aaaa);
}

#[test]
fn private_interrupts_belong_to_one_pe() {
    let rig = Rig::warm(2);
    write(&rig.dist, 1, gicd::ISENABLER, 1 << 27);
    assert_eq!((rig.gicd_read(gicd::ISENABLER), read(&rig.dist, 1, gicd::ISENABLER)), (0xffff, 0x0800_ffff));
    rig.wires[0].set_ppi(27, true);
    assert_eq!(rig.signals(0), NONE);
    rig.wires[1].set_ppi(27, true);
    assert_eq!(rig.signals(1), IRQ);
    rig.wires[1].set_ppi(27, false);
    assert_eq!(rig.signals(1), NONE);
    rig.wires[1].set_ppi(40, true);
    assert_eq!(rig.gicd_read(gicd::ISPENDR + 4), 0, "that is no PPI");
}

#[test]
fn priorities_have_five_bits() {
    let rig = Rig::cold(1);
    rig.gicd(gicd::IPRIORITYR + 32, 0xff07_08a4);
    assert_eq!(rig.gicd_read(gicd::IPRIORITYR + 32), 0xf800_08a0);
    rig.gicd(gicd::IPRIORITYR, !0);
    assert_eq!(rig.gicd_read(gicd::IPRIORITYR), 0xf8f8_f8f8);
}

#[test]
fn software_that_makes_a_mistake_is_counted() {
    let rig = Rig::cold(1);
    rig.gicd(0x004, 1);
    rig.gicd(0xfe8, 1);
    rig.gicd(0x1000, 1);
    assert_eq!(rig.gicd_read(0x00c), 0);
    rig.gicc(0, gicc::IAR, 1);
    rig.gicc(0, gicc::RPR, 1);
    rig.gicc_read(0, 0x30);
    rig.gich(0x004, 1);
    rig.lr(4, 1);
    rig.gicv(0x02c, 1);
    assert_eq!(rig.anomalies(), 10);
}
