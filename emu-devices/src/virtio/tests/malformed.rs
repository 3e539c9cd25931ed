//! Rings that no sane driver makes.

use emu_core::metrics::Metric;

use super::driver::*;
use super::*;
use crate::virtio::{VirtioOptions, status};

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// Sets up one broken request in queue 0; descriptor 0 is its head.
type Breakage = fn(&Rig, u64);

const TABLE: u64 = DATA + 0x4000;

/// Every kind of nonsense: what it is, and how to make it.
const BREAKAGES: &[(&str, Breakage)] = &[
    ("a loop of one", |r, t| r.descriptor(t, 0, (HEADER, 16, NEXT, 0))),
    ("a loop of two", |r, t| {
        r.descriptor(t, 0, (HEADER, 16, NEXT, 1));
        r.descriptor(t, 1, (HEADER, 16, NEXT, 0));
    }),
    ("next outside the table", |r, t| r.descriptor(t, 0, (HEADER, 16, NEXT, QUEUE_SIZE))),
    ("no bytes", |r, t| r.descriptor(t, 0, (HEADER, 0, 0, 0))),
    ("outside memory", |r, t| r.descriptor(t, 0, (0xdead_0000_0000, 16, 0, 0))),
    ("a status byte outside memory", |r, t| r.chain(t, 0, &[(HEADER, 16, false), (1, 1, true)])),
    ("around the end of the address space", |r, t| r.descriptor(t, 0, (u64::MAX - 3, 16, 0, 0))),
    ("4 GiB and more", |r, t| {
        r.chain(t, 0, &[(HEADER, 16, false), (RAM, u32::MAX, true), (RAM, u32::MAX, true)]);
    }),
    ("readable behind writable", |r, t| r.chain(t, 0, &[(STATUS, 1, true), (HEADER, 16, false)])),
    ("no status byte", |r, t| r.chain(t, 0, &[(HEADER, 16, false)])),
    ("no header", |r, t| r.chain(t, 0, &[(STATUS, 1, true)])),
    ("half a header", |r, t| r.chain(t, 0, &[(HEADER, 8, false), (STATUS, 1, true)])),
    ("an empty indirect table", |r, t| r.descriptor(t, 0, (TABLE, 0, INDIRECT, 0))),
    ("part of an indirect descriptor", |r, t| r.descriptor(t, 0, (TABLE, 24, INDIRECT, 0))),
    ("a huge indirect table", |r, t| r.descriptor(t, 0, (RAM, 0xffff_fff0, INDIRECT, 0))),
    ("an indirect table outside memory", |r, t| r.descriptor(t, 0, (16, 64, INDIRECT, 0))),
    ("indirect and next", |r, t| r.descriptor(t, 0, (TABLE, 64, INDIRECT | NEXT, 1))),
    ("indirect in indirect", |r, t| {
        r.descriptor(TABLE, 0, (TABLE, 64, INDIRECT, 0));
        r.descriptor(t, 0, (TABLE, 64, INDIRECT, 0));
    }),
    ("a loop in an indirect table", |r, t| {
        r.descriptor(TABLE, 0, (HEADER, 16, NEXT, 1));
        r.descriptor(TABLE, 1, (HEADER, 16, NEXT, 0));
        r.descriptor(t, 0, (TABLE, 64, INDIRECT, 0));
    }),
    ("next outside an indirect table", |r, t| {
        r.descriptor(TABLE, 0, (HEADER, 16, NEXT | WRITE, 4));
        r.descriptor(t, 0, (TABLE, 64, INDIRECT, 0));
    }),
    ("a head outside the table", |r, _| r.put(Rig::rings(0)[1] + 4, Size::B2, 0x8000)),
    ("an index that jumps", |r, _| r.put(Rig::rings(0)[1] + 2, Size::B2, 0x1000)),
];

#[test]
fn nonsense_needs_a_reset_and_harms_nothing() {
    for transport in ALL {
        let disk = disk();
        let rig = Rig::new(transport, blk(disk.clone()), VirtioOptions::default());
        for (what, break_it) in BREAKAGES {
            let ring = &mut rig.initialise(1, u64::MAX)[0];
            let before = rig.counters.get(Metric::Anomalies);
            rig.publish(ring, 0);
            break_it(&rig, Rig::rings(0)[0]);
            rig.notify(0);
            until(|| rig.status() & status::NEEDS_RESET != 0);
            assert_eq!(
                (rig.used_index(ring), rig.counters.get(Metric::Anomalies)),
                (0, before + 1),
                "{what}"
            );
            until(|| rig.interrupted(None));
            // A broken device stays quiet.
            rig.notify(0);
            assert_eq!(rig.used_index(ring), 0);
        }
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert_eq!(block(&rig, ring, 0, 7, 512, true), 0, "after a reset it works as before");
        assert_eq!(rig.bytes(BUFFER, 1), [7]);
    }
}

#[test]
fn rings_outside_memory() {
    let rig = Rig::new(Transport::Mmio, blk(disk()), VirtioOptions::default());
    for (low, high) in [(0x80, 0x84), (0x90, 0x94), (0xa0, 0xa4)] {
        assert!(rig.negotiate(rig.features()));
        rig.setup_queue(0);
        rig.set_mmio(0x44, 0);
        rig.set_mmio(low, 0xffff_fff0);
        rig.set_mmio(high, 0xffff_ffff);
        rig.set_mmio(0x44, 1);
        rig.set_status(0x0f);
        rig.publish(&mut Ring::default(), 0);
        rig.notify(0);
        until(|| rig.status() & status::NEEDS_RESET != 0);
    }
}

#[test]
fn unlucky_descriptors_never_panic() {
    // Random tables, followed by whoever: a fixed generator, so that a failure can be repeated.
    let rig = Rig::new(
        Transport::Mmio,
        blk(disk()),
        VirtioOptions { deterministic: true, ..VirtioOptions::default() },
    );
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..2000 {
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        let table = Rig::rings(0)[0];
        for i in 0..QUEUE_SIZE {
            let addr = match random() % 4 {
                0 => random(),
                1 => table + random() % 0x200,
                _ => DATA + random() % 0x2000,
            };
            let len = if random() % 8 == 0 { random() as u32 } else { (random() % 700) as u32 };
            rig.descriptor(table, i, (addr, len, (random() % 8) as u16, (random() % 17) as u16));
        }
        rig.put(HEADER, Size::B8, random() % 16);
        rig.put(HEADER + 8, Size::B8, random() % 130);
        for _ in 0..random() % 17 {
            rig.publish(ring, (random() % 16) as u16);
        }
        rig.notify(0);
    }
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    assert_eq!(block(&rig, ring, 0, 7, 512, true), 0);
}
