//! What every register holds after reset (IHI 0069, chapter 12; values that it leaves open are ours).

use emu_core::lifecycle::Component;

use super::*;

/// Name, offset, size, value.
type Row = (&'static str, u64, Size, u64);

use Size::{B4, B8};

/// 256 SPIs, an ITS, two PEs.
const DISTRIBUTOR: &[Row] = &[
    ("GICD_CTLR: DS, ARE", 0x0000, B4, 0x50),
    ("GICD_TYPER: 256 SPIs, MBIS, LPIS, 16 bits of INTID, A3V, RSS", 0x0004, B4, 0x057b_0008),
    ("GICD_IIDR", 0x0008, B4, 0x43b),
    ("GICD_TYPER2", 0x000c, B4, 0),
    ("GICD_STATUSR", 0x0010, B4, 0),
    ("GICD_IGROUPR0: in the redistributors", 0x0080, B4, 0),
    ("GICD_IGROUPR1", 0x0084, B4, 0),
    ("GICD_ISENABLER1", 0x0104, B4, 0),
    ("GICD_ICENABLER1", 0x0184, B4, 0),
    ("GICD_ISPENDR1", 0x0204, B4, 0),
    ("GICD_ICPENDR1", 0x0284, B4, 0),
    ("GICD_ISACTIVER1", 0x0304, B4, 0),
    ("GICD_ICACTIVER1", 0x0384, B4, 0),
    ("GICD_IPRIORITYR8", 0x0420, B4, 0),
    ("GICD_ITARGETSR8: affinity routing", 0x0820, B4, 0),
    ("GICD_ICFGR2", 0x0c08, B4, 0),
    ("GICD_IGRPMODR1", 0x0d04, B4, 0),
    ("GICD_NSACR2", 0x0e08, B4, 0),
    ("GICD_IROUTER32", 0x6100, B8, 0),
    ("GICD_PIDR2", 0xffe8, B4, 0x3b),
];

/// Of the second PE, the last one.
const REDISTRIBUTOR: &[Row] = &[
    ("GICR_CTLR: CES, IR", 0x0000, B4, 0x6),
    ("GICR_IIDR", 0x0004, B4, 0x43b),
    ("GICR_TYPER: affinity 0.0.0.1, number 1, DPGS, Last, PLPIS", 0x0008, B8, 0x1_0000_0131),
    ("GICR_STATUSR", 0x0010, B4, 0),
    ("GICR_WAKER: ChildrenAsleep, ProcessorSleep", 0x0014, B4, 0x6),
    ("GICR_PROPBASER", 0x0070, B8, 0),
    ("GICR_PENDBASER", 0x0078, B8, 0),
    ("GICR_SYNCR", 0x00c0, B4, 0),
    ("GICR_PIDR2", 0xffe8, B4, 0x3b),
    ("GICR_IGROUPR0", 0x1_0080, B4, 0),
    ("GICR_ISENABLER0", 0x1_0100, B4, 0),
    ("GICR_ICENABLER0", 0x1_0180, B4, 0),
    ("GICR_ISPENDR0", 0x1_0200, B4, 0),
    ("GICR_ICPENDR0", 0x1_0280, B4, 0),
    ("GICR_ISACTIVER0", 0x1_0300, B4, 0),
    ("GICR_ICACTIVER0", 0x1_0380, B4, 0),
    ("GICR_IPRIORITYR0", 0x1_0400, B4, 0),
    ("GICR_IPRIORITYR7", 0x1_041c, B4, 0),
    ("GICR_ICFGR0: SGIs are edge-triggered", 0x1_0c00, B4, 0xaaaa_aaaa),
    ("GICR_ICFGR1", 0x1_0c04, B4, 0),
    ("GICR_IGRPMODR0", 0x1_0d00, B4, 0),
    ("GICR_NSACR", 0x1_0e00, B4, 0),
];

const ITS: &[Row] = &[
    ("GITS_CTLR: Quiescent", 0x0000, B4, 1 << 31),
    ("GITS_IIDR", 0x0004, B4, 0x43b),
    ("GITS_TYPER: Physical, 8 bytes an entry, 16 bits each", 0x0008, B8, 0x1_ef71),
    ("GITS_CBASER", 0x0080, B8, 0),
    ("GITS_CWRITER", 0x0088, B8, 0),
    ("GITS_CREADR", 0x0090, B8, 0),
    ("GITS_BASER0: devices, 8 bytes an entry, pages of 64 KiB", 0x0100, B8, 0x0107_0000_0000_0200),
    ("GITS_BASER1: collections, the same", 0x0108, B8, 0x0407_0000_0000_0200),
    ("GITS_BASER2: not implemented", 0x0110, B8, 0),
    ("GITS_BASER7: not implemented", 0x0138, B8, 0),
    ("GITS_PIDR2", 0xffe8, B4, 0x3b),
];

fn holds(rig: &Rig) {
    for (name, offset, size, value) in DISTRIBUTOR {
        assert_eq!(rig.dist.read(*offset, *size, CPU), Ok(*value), "{name}");
    }
    for (name, offset, size, value) in REDISTRIBUTOR {
        assert_eq!(rig.gicr_read(1, *offset, *size), *value, "{name}");
    }
    for (name, offset, size, value) in ITS {
        assert_eq!(rig.its.read(*offset, *size, CPU), Ok(*value), "{name}");
    }
}

#[test]
fn after_power_on_and_after_every_later_reset() {
    let rig = Rig::cold(&[0, 1]);
    holds(&rig);
    assert_eq!(rig.anomalies(), 0, "every row is a register");
    // Everything that can be written holds something else.
    for offset in (0..0x1000).step_by(4).chain((0x6100..0x6200).step_by(4)) {
        rig.gicd(offset, 0x0101_0103);
    }
    for offset in (0..0x2_0000).step_by(4) {
        rig.gicr(1, offset, 0x0101_0101);
    }
    for offset in (0x80..0x140).step_by(8) {
        rig.its.write(offset, B8, 0x8000_0000_4000_0001, CPU).unwrap();
    }
    rig.its.write(0, B4, 1, CPU).unwrap();
    rig.gic.reset();
    holds(&rig);
}

#[test]
fn a_sleeping_redistributor_gives_no_interrupt() {
    let rig = Rig::warm(&[0]);
    rig.enable(40);
    rig.raise(40);
    rig.sgi(0, 0x100, 1 << 20);
    rig.ports[0].set_ppi(20, true);
    assert_eq!(rig.intid(0), Some(20));
    rig.gicr(0, 0x14, 2);
    assert_eq!((rig.intid(0), rig.ports[0].acknowledge(20)), (None, false));
    rig.gicr(0, 0x14, 0);
    assert_eq!(rig.intid(0), Some(20));
}

/// UNPREDICTABLE by 11.1; what is chosen here is that GICR_WAKER says the truth.
#[test]
fn enabling_a_group_in_the_cpu_interface_wakes_the_redistributor() {
    let rig = Rig::cold(&[0, 1]);
    rig.gicd(0x0, 0b11);
    for pe in 0..2 {
        rig.sgi(pe, 0x100, 1 << 20);
        rig.ports[pe].set_ppi(20, true);
    }
    rig.ports[0].set_group_enables(false, false);
    assert_eq!((rig.gicr_read(0, 0x14, B4), rig.intid(0)), (6, None));
    rig.ports[0].set_group_enables(true, false);
    assert_eq!((rig.gicr_read(0, 0x14, B4), rig.intid(0)), (0, Some(20)));
    assert_eq!((rig.gicr_read(1, 0x14, B4), rig.intid(1)), (6, None));
}
