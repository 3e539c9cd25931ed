//! Reset, save, restore, and many threads.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use emu_core::irq::Sgi;
use emu_core::lifecycle::Component;

use super::*;

#[test]
fn save_and_restore() {
    let rig = Rig::warm(&[0, 1]);
    for intid in [40, 41, 60] {
        rig.enable(intid);
        rig.raise(intid);
    }
    rig.route(60, 1);
    assert!(rig.ports[0].acknowledge(40));
    rig.gicr64(0, 0x70, RAM | 15);
    rig.its.write(0x80, Size::B8, 1 << 63 | RAM, CPU).unwrap();
    let saved = rig.gic.save();
    let text = serde_json::to_string(&saved).unwrap();

    let other = Rig::cold(&[0, 1]);
    other.gic.restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(other.gic.save(), saved);
    assert_eq!((other.intid(0), other.intid(1)), (Some(41), Some(60)));
    assert_eq!((other.kicked(0), other.kicked(1)), (1, 1));
    other.ports[0].deactivate(40);
    assert_eq!(other.intid(0), Some(40), "its wire is up");
    assert!(Rig::cold(&[0, 2]).gic.restore(saved.clone()).is_err());
    assert!(Rig::cold(&[0]).gic.restore(saved.clone()).is_err());

    rig.gic.reset();
    assert_eq!((rig.intid(0), rig.gicd_read(0x0), rig.gicd_read(0x104)), (None, 0x50, 0));
    rig.gic.restore(saved.clone()).unwrap();
    assert_eq!(rig.intid(0), Some(41));
}

#[test]
fn pending_lpis_are_saved() {
    let rig = Rig::warm(&[0]);
    rig.gicr64(0, 0x70, RAM | 15);
    rig.bus.write(Pa(RAM + 5), Size::B1, 0x81, CPU).unwrap();
    rig.bus.write(Pa(RAM + 0x1_0000 + 1024), Size::B1, 1 << 5, CPU).unwrap();
    rig.gicr64(0, 0x78, RAM + 0x1_0000);
    rig.gicr(0, 0x0, 1);
    assert_eq!(rig.intid(0), Some(8197));
    let other = Rig::cold(&[0]);
    other.gic.restore(rig.gic.save()).unwrap();
    assert_eq!(other.pending(0), rig.pending(0));
}

/// Two PEs that acknowledge what a third thread and they themselves raise: nothing is lost, nothing comes twice.
#[test]
fn concurrent_sgis_and_spis() {
    const ROUNDS: u32 = 200;
    let rig = Rig::warm(&[0, 1]);
    rig.sgi(0, 0x100, 1);
    rig.sgi(1, 0x100, 1);
    rig.gicd(0xc08, 0xaaaa_aaaa);
    rig.enable(40);
    rig.route(40, 1 << 31);
    let taken = AtomicU32::new(0);
    let sgi = Sgi { intid: 0, group: Group::G1, all_others: true, aff: [0; 3], range: 0, targets: 0 };
    std::thread::scope(|s| {
        for pe in 0..2 {
            let (rig, taken) = (&rig, &taken);
            s.spawn(move || {
                let (mut sent, mut got) = (0, 0);
                while sent < ROUNDS || got < ROUNDS || taken.load(SeqCst) < ROUNDS {
                    // Ping from PE 0, pong from PE 1: one SGI is under way at a time, so that none merge.
                    if sent < ROUNDS && (sent < got || pe == 0 && sent == got) {
                        rig.ports[pe].send_sgi(sgi);
                        sent += 1;
                    }
                    let Some(p) = rig.ports[pe].highest_pending() else {
                        std::thread::yield_now();
                        continue;
                    };
                    if rig.ports[pe].acknowledge(p.intid) {
                        rig.ports[pe].deactivate(p.intid);
                        if p.intid == 0 {
                            got += 1;
                        } else {
                            taken.fetch_add(1, SeqCst);
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
    assert_eq!((taken.load(SeqCst), rig.intid(0), rig.intid(1)), (ROUNDS, None, None));
}
