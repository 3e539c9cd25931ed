//! What is peculiar to the legacy interface (virtio 1.2, the sections called so).

use emu_core::metrics::Metric;

use super::driver::*;
use super::*;
use crate::virtio::{Interfaces, Rng, SeededEntropy, VirtioOptions, feature};

const LEGACY: [Transport; 3] =
    [Transport::LegacyMmio, Transport::LegacyPci { msix: true }, Transport::LegacyPci { msix: false }];

#[test]
fn it_has_32_feature_bits_and_nothing_to_agree_on() {
    for transport in LEGACY {
        let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
        rig.enumerate();
        let offered = rig.features();
        assert_eq!(offered >> 32, 0, "{transport:?}");
        let common = feature::ANY_LAYOUT | feature::INDIRECT_DESC | feature::EVENT_IDX;
        assert_eq!(offered & common, common);
        // FEATURES_OK does not exist, and what was not offered cannot be accepted.
        rig.set_status(0x0f);
        assert_eq!(rig.status(), 0x07);
    }
}

#[test]
fn a_driver_need_not_say_that_it_is_ready() {
    // Neither status nor features: the first thing that the device hears of is a queue (3.1.2).
    for transport in LEGACY {
        let rig = Rig::new(transport, Rng::new(Arc::new(SeededEntropy::new(1))), VirtioOptions::default());
        rig.enumerate();
        if rig.is_mmio() {
            rig.set_mmio(0x28, 0x1000);
        }
        let ring = &mut rig.setup_queue(0);
        assert_eq!(rig.request(ring, &[(BUFFER, 100, true)]), 100, "{transport:?}");
        assert_eq!(rig.status(), 0);
    }
}

#[test]
fn page_zero_takes_a_queue_away() {
    for transport in LEGACY {
        let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert_eq!(block(&rig, ring, 0, 5, 512, true), 0);
        if rig.is_mmio() {
            rig.set_mmio(0x30, 0);
            rig.set_mmio(0x40, 0);
        } else {
            rig.put(IO + 14, Size::B2, 0);
            rig.put(IO + 8, Size::B4, 0);
        }
        header(&rig, 0, 6);
        rig.publish(ring, 0);
        rig.notify(0);
        rig.component.pause();
        assert_eq!(rig.used_index(ring), ring.used, "{transport:?}");
        rig.component.resume();
        let ring = &mut rig.setup_queue(0);
        assert_eq!(block(&rig, ring, 0, 7, 512, true), 0);
    }
}

#[test]
fn mmio_registers() {
    let rig = Rig::new(Transport::LegacyMmio, blk(disk()), VirtioOptions::default());
    assert_eq!([0, 4, 8, 12].map(|at| rig.mmio(at)), [0x7472_6976, 1, 2, 0x554d_4551]);
    assert_eq!((rig.mmio(0x34), rig.config(0, Size::B8), rig.config(20, Size::B4)), (256, 128, 512));
    let anomalies = || rig.counters.get(Metric::Anomalies);
    // The modern registers are not there, nor is a queue whose page has no size.
    for at in [0x44, 0x80, 0xa4, 0xc0, 0xfc] {
        rig.set_mmio(at, 1);
    }
    assert_eq!(anomalies(), 5);
    rig.set_mmio(0x40, 0x40010);
    assert_eq!((anomalies(), rig.mmio(0x40)), (6, 0));
    rig.set_mmio(0x28, 3000);
    rig.set_mmio(0x3c, 12);
    assert_eq!(anomalies(), 8);
}

#[test]
fn pages_and_alignment_are_the_drivers() {
    // 64 KiB pages, and the used ring at the next multiple of 256 behind 16 descriptors and the available ring.
    let rig = Rig::new(Transport::LegacyMmio, blk(disk()), VirtioOptions::default());
    let base = RAM + 0x2_0000;
    rig.set_mmio(0x28, 0x1_0000);
    rig.set_mmio(0x30, 0);
    rig.set_mmio(0x38, 16);
    rig.set_mmio(0x3c, 0x100);
    rig.set_mmio(0x40, base >> 16);
    assert_eq!(rig.mmio(0x40), base >> 16);
    header(&rig, 0, 9);
    rig.chain(base, 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
    rig.put(base + 0x102, Size::B2, 1);
    rig.notify(0);
    // 0x100 + 2 * (3 + 16) rounds up to 0x200.
    until(|| rig.get(base + 0x202, Size::B2) == 1);
    assert_eq!((rig.get(base + 0x208, Size::B4), rig.bytes(BUFFER, 512)), (513, vec![9; 512]));
    // The size of pages outlives a reset by the driver, not one of the machine.
    rig.set_status(0);
    rig.set_mmio(0x40, base >> 16);
    assert_eq!(rig.mmio(0x40), base >> 16);
    rig.component.reset();
    rig.set_mmio(0x40, base >> 16);
    assert_eq!(rig.mmio(0x40), 0);
}

#[test]
fn pci_identity() {
    for (interfaces, device, revision, subsystem, io, modern) in [
        (Interfaces::Modern, 0x1042, 1, 0x1100, 0, true),
        (Interfaces::Transitional, 0x1001, 0, 2, 1, true),
        (Interfaces::Legacy, 0x1001, 0, 2, 1, false),
    ] {
        let options = VirtioOptions { interfaces, ..VirtioOptions::default() };
        let rig = Rig::new(Transport::Pci { msix: true }, blk(disk()), options);
        assert_eq!(rig.get(ECAM, Size::B4), device << 16 | 0x1af4, "{interfaces:?}");
        assert_eq!(rig.get(ECAM + 8, Size::B1), revision);
        assert_eq!(rig.get(ECAM + 0x2c, Size::B4), subsystem << 16 | 0x1af4);
        assert_eq!(rig.get(ECAM + 0x10, Size::B4), io, "BAR 0 is I/O, or is not there");
        let mut at = rig.get(ECAM + 0x34, Size::B1);
        let mut vendor = false;
        while at != 0 {
            vendor |= rig.get(ECAM + at, Size::B1) == 9;
            at = rig.get(ECAM + at + 1, Size::B1);
        }
        assert_eq!(vendor, modern);
    }
}

#[test]
fn the_configuration_moves_when_msix_is_enabled() {
    let rig = Rig::new(Transport::LegacyPci { msix: false }, blk(disk()), VirtioOptions::default());
    rig.enumerate();
    assert_eq!(rig.get(IO + 20, Size::B4), 128);
    let control = ECAM + rig.capability(None) + 2;
    rig.put(control, Size::B2, 0x8000);
    assert_eq!((rig.get(IO + 20, Size::B2), rig.get(IO + 24, Size::B4)), (0xffff, 128));
    // A vector that does not exist is refused.
    rig.put(IO + 20, Size::B2, 9);
    assert_eq!(rig.get(IO + 20, Size::B2), 0xffff);
}

#[test]
fn a_transitional_function_takes_either_driver() {
    let rig = Rig::new(Transport::LegacyPci { msix: true }, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    assert_eq!(block(&rig, ring, 0, 5, 512, true), 0);
    let mut modern = rig;
    modern.transport = Transport::Pci { msix: true };
    assert_eq!(modern.features() & feature::ANY_LAYOUT, 0, "only legacy drivers are told");
    assert!(!modern.negotiate(modern.features() & !feature::VERSION_1));
    let ring = &mut modern.initialise(1, u64::MAX)[0];
    assert_eq!(block(&modern, ring, 0, 6, 512, true), 0);
    assert_eq!(modern.bytes(BUFFER, 1), [6]);
}

/// Features that nobody has agreed on are no legacy driver's, whichever way they came.
#[test]
fn features_of_the_modern_interface_are_not_those_of_a_legacy_driver() {
    let accept_all = |rig: &Rig| {
        for half in [0, 1] {
            rig.put(BAR4 + 8, Size::B4, half);
            rig.put(BAR4 + 12, Size::B4, 0xffff_ffff);
        }
    };
    let by_status: fn(&Rig) = |rig| rig.set_status(0x07);
    let by_queue: fn(&Rig) = |rig| {
        rig.setup_queue(0);
    };
    for activate in [by_status, by_queue] {
        let rig = Rig::new(Transport::LegacyPci { msix: true }, blk(disk()), VirtioOptions::default());
        rig.enumerate();
        accept_all(&rig);
        activate(&rig);
        let accepted = |rig: &Rig| rig.get(IO + 4, Size::B4);
        assert_eq!(accepted(&rig), rig.features());
        accept_all(&rig);
        assert_eq!(accepted(&rig), rig.features(), "a modern write behind a legacy driver's back");
        rig.component.restore(rig.component.save()).unwrap();
    }
}
