//! Reset, save, restore, and many threads.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use emu_core::lifecycle::Component;

use super::*;

/// Offset and value after reset (IHI 0048B, chapter 4; values that it leaves open are ours).
type Rows = &'static [(&'static str, u64, u32)];

const DISTRIBUTOR: Rows = &[
    ("GICD_CTLR", 0x000, 0),
    ("GICD_TYPER: 64 SPIs, two PEs", 0x004, 0x22),
    ("GICD_IIDR", 0x008, 0x43b),
    ("GICD_IGROUPR0", 0x080, 0),
    ("GICD_IGROUPR1", 0x084, 0),
    ("GICD_ISENABLER0: SGIs are always enabled", 0x100, 0xffff),
    ("GICD_ISENABLER1", 0x104, 0),
    ("GICD_ICENABLER0", 0x180, 0xffff),
    ("GICD_ISPENDR0", 0x200, 0),
    ("GICD_ISPENDR1", 0x204, 0),
    ("GICD_ICPENDR0", 0x280, 0),
    ("GICD_ISACTIVER0", 0x300, 0),
    ("GICD_ICACTIVER1", 0x384, 0),
    ("GICD_IPRIORITYR0", 0x400, 0),
    ("GICD_IPRIORITYR8", 0x420, 0),
    ("GICD_ITARGETSR0: the second PE", 0x800, 0x0202_0202),
    ("GICD_ITARGETSR8", 0x820, 0),
    ("GICD_ICFGR0: SGIs are edge-triggered", 0xc00, 0xaaaa_aaaa),
    ("GICD_ICFGR1", 0xc04, 0),
    ("GICD_ICFGR2", 0xc08, 0),
    ("GICD_NSACR0: no Security Extensions", 0xe00, 0),
    ("GICD_SGIR", 0xf00, 0),
    ("GICD_CPENDSGIR0", 0xf10, 0),
    ("GICD_SPENDSGIR3", 0xf2c, 0),
    ("PIDR4", 0xfd0, 0x04),
    ("PIDR0", 0xfe0, 0x90),
    ("PIDR1", 0xfe4, 0xb4),
    ("PIDR2: architecture 2", 0xfe8, 0x2b),
    ("CIDR0", 0xff0, 0x0d),
    ("CIDR3", 0xffc, 0xb1),
];

const INTERFACE: Rows = &[
    ("CTLR", 0x0000, 0),
    ("PMR", 0x0004, 0),
    ("BPR: the least", 0x0008, 2),
    ("IAR", 0x000c, 1023),
    ("RPR: idle", 0x0014, 0xff),
    ("HPPIR", 0x0018, 1023),
    ("ABPR: one more", 0x001c, 3),
    ("AIAR", 0x0020, 1023),
    ("AHPPIR", 0x0028, 1023),
    ("APR0", 0x00d0, 0),
    ("APR3", 0x00dc, 0),
    ("IIDR: architecture 2, Arm", 0x00fc, 0x2_043b),
];

const CONTROL: Rows = &[
    ("GICH_HCR", 0x000, 0),
    ("GICH_VTR: 5 and 5 bits, 4 list registers", 0x004, 0x9000_0003),
    ("GICH_VMCR: the least binary points", 0x008, 0x004c_0000),
    ("GICH_MISR", 0x010, 0),
    ("GICH_EISR0", 0x020, 0),
    ("GICH_EISR1", 0x024, 0),
    ("GICH_ELRSR0: all are free", 0x030, 0xf),
    ("GICH_ELRSR1", 0x034, 0),
    ("GICH_APR", 0x0f0, 0),
    ("GICH_LR0", 0x100, 0),
    ("GICH_LR3", 0x10c, 0),
];

fn holds(rig: &Rig) {
    for (frame, rows) in
        [(&rig.dist, DISTRIBUTOR), (&rig.cpu, INTERFACE), (&rig.virt, INTERFACE), (&rig.control, CONTROL)]
    {
        for (name, offset, value) in rows {
            assert_eq!(read(frame, 1, *offset), *value, "{name} of {}", frame.name());
        }
    }
    assert_eq!(read(&rig.cpu, 1, gicc::NSAPR), 0);
}

#[test]
fn after_power_on_and_after_every_later_reset() {
    let rig = Rig::cold(2);
    holds(&rig);
    assert_eq!(rig.anomalies(), 0, "every row is a register");
    for offset in (0..0x1004).step_by(4) {
        write(&rig.dist, 1, offset, 0x0303_0303);
        for frame in [&rig.cpu, &rig.virt, &rig.control] {
            write(frame, 1, offset, 0x1f0f_0f0f);
        }
    }
    rig.gic.reset();
    holds(&rig);
    assert_eq!((rig.signals(0), rig.signals(1)), (NONE, NONE));
}

#[test]
fn wires_keep_their_levels_over_a_reset() {
    let rig = Rig::warm(1);
    rig.raise(40);
    rig.gic.reset();
    assert_eq!(rig.gicd_read(gicd::ISPENDR + 4), 1 << 8);
}

#[test]
fn save_and_restore() {
    let rig = Rig::warm(2);
    rig.enable(40, 0b01);
    rig.enable(41, 0b10);
    rig.raise(40);
    rig.raise(41);
    write(&rig.dist, 1, gicd::SGIR, 1 << 16 | 6);
    rig.byte(gicd::IPRIORITYR + 6, 0x20);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 1 << 10 | 6);
    rig.gich(0x00, 1);
    rig.lr(3, 1 << 28 | 77);
    let saved = rig.gic.save();
    let text = serde_json::to_string(&saved).unwrap();

    let other = Rig::cold(2);
    other.gic.restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(other.gic.save(), saved);
    assert_eq!((other.signals(0), other.signals(1)), (NONE, IRQ), "SGI 6 is active on PE 0");
    assert_eq!((other.kicked(0), other.kicked(1)), (0, 1));
    other.gicc(0, gicc::EOIR, 1 << 10 | 6);
    assert_eq!(other.gicc_read(0, gicc::IAR), 40);
    assert_eq!(other.gich_read(0x10c), 1 << 28 | 77);
    for misfit in [Rig::cold(1), Rig::cold(3)] {
        let before = misfit.gic.save();
        assert!(misfit.gic.restore(saved.clone()).is_err());
        assert_eq!(misfit.gic.save(), before);
    }
}

/// Two PEs that serve what a third thread and they themselves raise: nothing is lost, nothing comes twice.
#[test]
fn concurrent_sgis_and_spis() {
    const ROUNDS: u32 = 200;
    let rig = Rig::warm(2);
    rig.enable(40, 0b11);
    rig.gicd(gicd::ICFGR + 8, 2 << 16);
    let taken = AtomicU32::new(0);
    std::thread::scope(|s| {
        for pe in 0..2 {
            let (rig, taken) = (&rig, &taken);
            s.spawn(move || {
                let (mut sent, mut got) = (0, 0);
                while sent < ROUNDS || got < ROUNDS || taken.load(SeqCst) < ROUNDS {
                    // Ping from PE 0, pong from PE 1: one SGI is under way at a time, so that none merge.
                    if sent < ROUNDS && (sent < got || pe == 0 && sent == got) {
                        write(&rig.dist, pe, gicd::SGIR, 1 << 24);
                        sent += 1;
                    }
                    match rig.gicc_read(pe, gicc::IAR) {
                        NOTHING => std::thread::yield_now(),
                        40 => {
                            rig.gicc(pe, gicc::EOIR, 40);
                            taken.fetch_add(1, SeqCst);
                        }
                        sgi => {
                            assert_eq!(sgi, (1 - pe as u32) << 10);
                            rig.gicc(pe, gicc::EOIR, sgi);
                            got += 1;
                        }
                    }
                }
            });
        }
        for n in 0..ROUNDS {
            rig.raise(40);
            rig.lower(40);
            while taken.load(SeqCst) <= n {
                std::thread::yield_now();
            }
        }
    });
    assert_eq!((taken.load(SeqCst), rig.signals(0), rig.signals(1)), (ROUNDS, NONE, NONE));
}
