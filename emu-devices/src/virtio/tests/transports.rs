//! What transports and queues do for any device.

use std::thread;

use emu_core::addr::{Pa, Size};
use emu_core::bus::{Backing, Bus, BusFault, MmioDevice, Requester};
use emu_core::dma::DirectPorts;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;

use super::driver::*;
use super::*;
use crate::pci::{PciFunction, PciHost};
use crate::virtio::{VirtioMmio, VirtioOptions, VirtioPci, feature, status};

#[test]
fn block_requests_on_every_transport() {
    for transport in ALL {
        let disk = disk();
        let rig = Rig::new(transport, blk(disk.clone()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert!(!rig.interrupted(Some(0)));
        assert_eq!(block(&rig, ring, 0, 5, 1024, true), 0, "{transport:?}");
        assert_eq!(rig.bytes(BUFFER, 1024), [[5; 512], [6; 512]].concat());
        until(|| rig.interrupted(Some(0)));
        rig.set_bytes(BUFFER, &[0xab; 512]);
        assert_eq!(block(&rig, ring, 1, 127, 512, false), 0);
        let mut sector = [0; 512];
        disk.read_at(127 * 512, &mut sector).unwrap();
        assert_eq!(sector, [0xab; 512]);
        assert_eq!((block(&rig, ring, 4, 0, 0, false), disk.flushes()), (0, 1));
        assert_eq!(block(&rig, ring, 8, 0, 20, true), 0);
        assert_eq!(rig.bytes(BUFFER, 20), b"serial-0123456789-to");
        until(|| rig.counters.get(Metric::VirtioRequests) == 4);
        assert_eq!(rig.counters.get(Metric::VirtioNotifies), 4);
        assert!(rig.counters.get(Metric::DmaBytesWritten) > 1024);
        assert_eq!(rig.counters.get(Metric::Anomalies), 0);
        rig.component.halt();
        assert_eq!(disk.flushes(), 2, "a halt flushes");
    }
}

#[test]
fn indirect_chains_and_many_requests() {
    for transport in ALL {
        let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        let table = DATA + 0x800;
        for round in 0..100_u64 {
            header(&rig, 0, round);
            // Buffers of odd lengths, and the status byte behind the data in the same buffer.
            let buffers =
                [(HEADER, 9, false), (HEADER + 9, 7, false), (BUFFER, 300, true), (BUFFER + 300, 213, true)];
            rig.chain(table, 0, &buffers);
            rig.descriptor(Rig::rings(0)[0], 3, (table, 64, 4, 0));
            rig.publish(ring, 3);
            rig.notify(0);
            assert_eq!(rig.wait_used(ring), (3, 513));
            assert_eq!(rig.bytes(BUFFER, 513), [vec![round as u8; 512], vec![0]].concat());
        }
    }
}

#[test]
fn batches_wrap_around_the_ring() {
    let rig = Rig::new(Transport::Pci { msix: true }, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    for round in 0..20_u64 {
        header(&rig, 0, round);
        for i in 0..5 {
            let at = BUFFER + 0x400 * u64::from(i);
            rig.chain(Rig::rings(0)[0], 3 * i, &[(HEADER, 16, false), (at, 512, true), (at + 512, 1, true)]);
            rig.publish(ring, 3 * i);
        }
        rig.notify(0);
        let mut heads: Vec<u32> = (0..5).map(|_| rig.wait_used(ring).0).collect();
        heads.sort_unstable();
        assert_eq!(heads, [0, 3, 6, 9, 12]);
    }
}

#[test]
fn event_index_suppresses_both_ways() {
    let rig = Rig::new(Transport::Mmio, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    let [_, avail, used] = Rig::rings(0);
    let used_event = avail + 4 + 2 * u64::from(QUEUE_SIZE);
    let avail_event = used + 4 + 8 * u64::from(QUEUE_SIZE);
    // An interrupt is wanted for the third completion only.
    rig.put(used_event, Size::B2, 2);
    for n in 1..=4 {
        assert_eq!(block(&rig, ring, 0, 0, 512, true), 0);
        // The device asks for a notification of the next request once it has seen the queue empty.
        until(|| rig.get(avail_event, Size::B2) == n);
        assert_eq!(rig.interrupted(Some(0)), n == 3, "completion {n}");
    }
    // Without the feature the flag decides.
    let ring = &mut rig.initialise(1, !feature::EVENT_IDX)[0];
    rig.put(avail, Size::B2, 1);
    assert_eq!(block(&rig, ring, 0, 0, 512, true), 0);
    rig.component.pause();
    assert!(!rig.interrupted(Some(0)));
    rig.component.resume();
    rig.put(avail, Size::B2, 0);
    assert_eq!(block(&rig, ring, 0, 0, 512, true), 0);
    until(|| rig.interrupted(Some(0)));
}

#[test]
fn negotiation() {
    for transport in TRANSPORTS {
        let options = VirtioOptions { iommu_platform: true, ..VirtioOptions::default() };
        let rig = Rig::new(transport, blk(disk()), options);
        rig.enumerate();
        let offered = rig.features();
        assert_eq!(offered >> 32, 3);
        assert!(!rig.negotiate(offered & !feature::VERSION_1), "a legacy driver");
        assert!(!rig.negotiate(offered & !feature::ACCESS_PLATFORM), "one that would use raw addresses");
        assert!(!rig.negotiate(offered | 1 << 50), "features that were not offered");
        assert!(rig.negotiate(offered));
        let plain = VirtioOptions { event_idx: false, indirect_desc: false, ..VirtioOptions::default() };
        let rig = Rig::new(transport, blk(disk()), plain);
        rig.enumerate();
        assert_eq!(
            rig.features() & (feature::EVENT_IDX | feature::INDIRECT_DESC | feature::ACCESS_PLATFORM),
            0
        );
    }
}

/// A disk of 32 MiB that reads one piece for each permit.
fn slow_disk() -> Arc<Gate> {
    let disk = Arc::new(MemoryDisk::new("disk", vec![7; 32 << 20]));
    Arc::new(Gate { disk, permits: Mutex::new(0), waiting: Mutex::new(0) })
}

/// Publishes a request that reads 12 MiB, each of them into the same memory, and waits until it is at work.
fn begin_long_request(rig: &Rig, ring: &mut Ring, gate: &Gate) {
    header(rig, 0, 0);
    let mut buffers = vec![(HEADER, 16, false)];
    buffers.extend([(BUFFER, 0x7_0000, true); 13]);
    buffers.push((STATUS, 1, true));
    rig.chain(Rig::rings(0)[0], 0, &buffers);
    rig.publish(ring, 0);
    rig.notify(0);
    until(|| *gate.waiting.lock() == 1);
}

/// Lets the disk go on, a piece at a time, until `what` has ended; gives the number of pieces.
fn meanwhile(gate: &Gate, what: impl FnOnce() + Send) -> u32 {
    let ended = Mutex::new(false);
    let mut pieces = 0;
    thread::scope(|s| {
        s.spawn(|| {
            what();
            *ended.lock() = true;
        });
        while !*ended.lock() {
            // Time enough to begin, and for the piece.
            thread::sleep(std::time::Duration::from_millis(200));
            gate.open(1);
            pieces += 1;
        }
    });
    pieces
}

#[test]
fn nobody_waits_for_the_end_of_a_long_request() {
    const PIECES: u32 = (13 * 0x7_0000_u32).div_ceil(256 << 10);
    // Of the status, the queue's registers and the device as a whole.
    let waits: [fn(&Rig); 3] = [|r| r.set_status(0), |r| r.set_status(0x8f), |r| r.component.reset()];
    for wait in waits {
        let gate = slow_disk();
        let rig = Rig::new(Transport::Mmio, blk(gate.clone()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        begin_long_request(&rig, ring, &gate);
        let pieces = meanwhile(&gate, || wait(&rig));
        assert!(pieces < PIECES, "{pieces} of {PIECES}");
        gate.open(1000);
    }
}

#[test]
fn a_request_that_was_put_off_is_executed_again() {
    let gate = slow_disk();
    let rig = Rig::new(Transport::Mmio, blk(gate.clone()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    begin_long_request(&rig, ring, &gate);
    meanwhile(&gate, || rig.component.pause());
    let (used, saved) = (rig.used_index(ring), rig.component.save());
    assert_eq!(used, 0, "it is still in the ring");
    rig.component.restore(saved).unwrap();
    gate.open(1000);
    rig.component.resume();
    assert_eq!(rig.wait_used(ring), (0, 13 * 0x7_0000 + 1));
    assert_eq!(rig.get(STATUS, Size::B1), 0);
    assert_eq!(rig.bytes(BUFFER, 0x7_0000), vec![7; 0x7_0000]);
}

#[test]
fn reset_waits_for_the_request_at_hand() {
    for transport in ALL {
        let gate = Gate::new(0);
        let rig = Rig::new(transport, blk(gate.clone()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        header(&rig, 0, 1);
        rig.chain(Rig::rings(0)[0], 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
        rig.publish(ring, 0);
        rig.publish(ring, 0);
        rig.notify(0);
        until(|| *gate.waiting.lock() == 2);
        let finished = Mutex::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                rig.set_status(0);
                *finished.lock() = true;
            });
            thread::sleep(std::time::Duration::from_millis(5));
            assert!(!*finished.lock());
            until(|| {
                gate.open(1);
                *finished.lock()
            });
        });
        // The requests are cancelled, and nothing happens after the reset: memory is the driver's again.
        let used = rig.used_index(ring);
        assert_eq!((rig.status(), used), (0, 0));
        rig.set_bytes(BUFFER, &[0x77; 16]);
        gate.open(5);
        thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!((rig.used_index(ring), rig.bytes(BUFFER, 16)), (used, vec![0x77; 16]));
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert_eq!(block(&rig, ring, 0, 9, 512, true), 0);
        assert_eq!(rig.bytes(BUFFER, 2), [9, 9]);
    }
}

/// A chain of its own for request `n`, which reads sector *n*; its data are at `BUFFER` + 0x400 *n*.
fn read_of_its_own(rig: &Rig, ring: &mut Ring, n: u16) {
    let (header, data) = (HEADER + 0x200 + 0x10 * u64::from(n), BUFFER + 0x400 * u64::from(n));
    rig.put(header, Size::B8, 0);
    rig.put(header + 8, Size::B8, n.into());
    rig.chain(
        Rig::rings(ring.queue)[0],
        3 * n,
        &[(header, 16, false), (data, 512, true), (data + 512, 1, true)],
    );
    rig.publish(ring, 3 * n);
}

/// What the disk does for one request it does beside others, and they end in its order, not in the ring's.
#[test]
fn several_requests_are_in_flight() {
    for transport in ALL {
        let gate = Gate::new(0);
        let rig = Rig::new(transport, blk(gate.clone()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        (0..3).for_each(|n| read_of_its_own(&rig, ring, n));
        rig.notify(0);
        until(|| *gate.waiting.lock() == 3);
        assert_eq!(rig.used_index(ring), 0);
        // One that the disk has no part in overtakes them.
        header(&rig, 8, 0);
        rig.chain(
            Rig::rings(0)[0],
            9,
            &[(HEADER, 16, false), (BUFFER + 0x2000, 20, true), (STATUS, 1, true)],
        );
        rig.publish(ring, 9);
        rig.notify(0);
        assert_eq!(rig.wait_used(ring), (9, 21));
        gate.open(3);
        let mut heads: Vec<u32> = (0..3).map(|_| rig.wait_used(ring).0).collect();
        heads.sort_unstable();
        assert_eq!(heads, [0, 3, 6]);
        for n in 0..3 {
            assert_eq!(rig.bytes(BUFFER + 0x400 * n, 513), [vec![n as u8; 512], vec![0]].concat());
        }
    }
}

/// A stalled transaction is of one request: others of the queue go on.
#[test]
fn a_stalled_request_does_not_hold_others() {
    for transport in ALL {
        let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.port.arm(BUFFER + 0x100);
        (0..3).for_each(|n| read_of_its_own(&rig, ring, n));
        rig.notify(0);
        let heads: Vec<u32> = (0..2).map(|_| rig.wait_used(ring).0).collect();
        assert_eq!(heads, [3, 6], "{transport:?}");
        rig.answer(true);
        assert_eq!(rig.wait_used(ring), (0, 513));
        assert_eq!(rig.bytes(BUFFER, 513), [0; 513]);
    }
}

/// What stands still when the machine is saved begins again after the restore, and what has ended does not.
#[test]
fn requests_in_flight_are_a_part_of_the_snapshot() {
    for transport in ALL {
        let ram = GuestRam::new(RAM_SIZE).unwrap();
        let rig = Rig::with_ram(transport, blk(disk()), VirtioOptions::default(), ram);
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.port.arm(BUFFER + 0x500);
        (0..3).for_each(|n| read_of_its_own(&rig, ring, n));
        rig.notify(0);
        let heads: Vec<u32> = (0..2).map(|_| rig.wait_used(ring).0).collect();
        assert_eq!(heads, [0, 6]);
        rig.component.pause();
        let saved = rig.component.save();
        rig.component.halt();
        let other = Rig::with_ram(transport, blk(disk()), VirtioOptions::default(), ram);
        other.component.pause();
        other.component.restore(saved.clone()).unwrap();
        assert_eq!(other.component.save(), saved);
        other.component.resume();
        assert_eq!(other.wait_used(ring), (3, 513));
        assert_eq!(other.bytes(BUFFER + 0x400, 513), [vec![1; 512], vec![0]].concat());
        read_of_its_own(&other, ring, 4);
        other.notify(0);
        assert_eq!(other.wait_used(ring), (12, 513));
    }
}

/// VIRTIO_BLK_F_MQ: a disk with several queues, each with requests of its own.
#[test]
fn a_disk_has_as_many_queues_as_it_says() {
    for transport in ALL {
        let options = BlkOptions { queues: 3, ..BlkOptions::default() };
        let rig = Rig::new(transport, blk_with(disk(), options), VirtioOptions::default());
        let rings = &mut rig.initialise(3, u64::MAX);
        assert!(rig.features() & 1 << 12 != 0);
        assert_eq!(rig.config(34, Size::B2), 3);
        for ring in rings {
            let n = ring.queue + 1;
            read_of_its_own(&rig, ring, n);
            rig.notify(ring.queue);
            assert_eq!(rig.wait_used(ring), (3 * u32::from(n), 513));
            assert_eq!(rig.bytes(BUFFER + 0x400 * u64::from(n), 512), [n as u8; 512]);
            until(|| rig.interrupted(Some(ring.queue)));
        }
    }
}

#[test]
fn a_ring_can_be_reset_alone() {
    for transport in TRANSPORTS {
        let options = VirtioOptions { ring_reset: true, ..VirtioOptions::default() };
        let rig = Rig::new(transport, blk(disk()), options);
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        assert_eq!(block(&rig, ring, 0, 1, 512, true), 0);
        let (reset, enabled) = if rig.is_mmio() { (0xc0, 0x44) } else { (58, 28) };
        let read = |at| if rig.is_mmio() { rig.mmio(at) } else { rig.get(BAR4 + at, Size::B2) };
        if rig.is_mmio() {
            rig.set_mmio(reset, 1)
        } else {
            rig.put(BAR4 + reset, Size::B2, 1)
        }
        assert_eq!((read(reset), read(enabled)), (0, 0));
        let ring = &mut rig.setup_queue(0);
        assert_eq!(block(&rig, ring, 0, 2, 512, true), 0);
        assert_eq!(rig.bytes(BUFFER, 1), [2]);
    }
}

#[test]
fn snapshots_go_on_where_they_were() {
    for transport in ALL {
        let ram = GuestRam::new(RAM_SIZE).unwrap();
        let rig = Rig::with_ram(transport, blk(disk()), VirtioOptions::default(), ram);
        let mut ring = rig.initialise(1, !feature::EVENT_IDX)[0];
        for n in 0..20 {
            assert_eq!(block(&rig, &mut ring, 0, n, 512, true), 0);
        }
        // A request that is notified while the machine is paused belongs to the snapshot.
        rig.component.pause();
        header(&rig, 0, 42);
        rig.chain(Rig::rings(0)[0], 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
        rig.publish(&mut ring, 0);
        rig.notify(0);
        let saved = rig.component.save();
        assert_eq!(rig.used_index(&ring), ring.used);
        rig.component.halt();

        let other = Rig::with_ram(transport, blk(disk()), VirtioOptions::default(), ram);
        other.component.pause();
        other.component.restore(saved.clone()).unwrap();
        assert_eq!(other.component.save(), saved);
        other.component.resume();
        assert_eq!(other.wait_used(&mut ring), (0, 513));
        assert_eq!(other.bytes(BUFFER, 512), [42; 512]);
        assert_eq!(block(&other, &mut ring, 0, 3, 512, true), 0);
        until(|| other.interrupted(Some(0)));
        let smaller = Arc::new(MemoryDisk::new("small", vec![0; 512]));
        let refused = Rig::new(transport, blk(smaller), VirtioOptions::default()).component.restore(saved);
        assert!(refused.unwrap_err().to_string().contains("128 sectors"));
    }
}

#[test]
fn pause_stops_the_worker() {
    let rig = Rig::new(Transport::Mmio, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    rig.component.pause();
    header(&rig, 0, 1);
    rig.chain(Rig::rings(0)[0], 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
    rig.publish(ring, 0);
    rig.notify(0);
    thread::sleep(std::time::Duration::from_millis(3));
    assert_eq!(rig.used_index(ring), 0);
    rig.component.resume();
    assert_eq!(rig.wait_used(ring), (0, 513));
}

#[test]
fn deterministic_devices_answer_at_once() {
    let options = VirtioOptions { deterministic: true, ..VirtioOptions::default() };
    let rig = Rig::new(Transport::Mmio, blk(disk()), options);
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    rig.chain(Rig::rings(0)[0], 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
    rig.publish(ring, 0);
    rig.notify(0);
    assert_eq!(rig.used_index(ring), 1);
}

#[test]
fn stalled_requests_are_parked_and_tried_again() {
    for transport in ALL {
        let [desc, avail, used] = Rig::rings(0);
        // The ring's parts, the header, the data, the status byte.
        for place in [avail + 2, avail + 4, desc, HEADER, BUFFER + 100, STATUS, used + 4, used + 2] {
            let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
            let ring = &mut rig.initialise(1, u64::MAX)[0];
            until(|| rig.get(used + 4 + 8 * u64::from(QUEUE_SIZE), Size::B2) == 0);
            header(&rig, 0, 3);
            rig.chain(desc, 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
            // Armed first: a worker that looks by itself must not find the request before.
            rig.port.arm(place);
            rig.publish(ring, 0);
            rig.notify(0);
            until(|| !rig.port.stalled.lock().is_empty());
            assert_eq!(rig.used_index(ring), 0, "{transport:?} {place:#x}");
            // Other notifications do not wake it.
            rig.notify(0);
            rig.answer(true);
            assert_eq!(rig.wait_used(ring), (0, 513));
            assert_eq!((rig.bytes(BUFFER, 512), rig.get(STATUS, Size::B1)), (vec![3; 512], 0));
        }
    }
}

#[test]
fn terminated_stalls_are_aborts() {
    for transport in ALL {
        let rig = Rig::new(transport, blk(disk()), VirtioOptions::default());
        let ring = &mut rig.initialise(1, u64::MAX)[0];
        rig.port.arm(BUFFER);
        header(&rig, 0, 3);
        rig.chain(Rig::rings(0)[0], 0, &[(HEADER, 16, false), (BUFFER, 512, true), (STATUS, 1, true)]);
        rig.publish(ring, 0);
        rig.notify(0);
        rig.answer(false);
        assert_eq!(rig.wait_used(ring), (0, 1));
        assert_eq!(rig.get(STATUS, Size::B1), 1, "the data cannot be reached: an I/O error");
        // In the ring itself it is the end of the device, until it is reset.
        rig.port.arm(Rig::rings(0)[1] + 2);
        rig.notify(0);
        rig.answer(false);
        until(|| rig.status() & status::NEEDS_RESET != 0);
    }
}

#[test]
fn a_stalled_msi_is_sent_later() {
    let rig = Rig::new(Transport::Pci { msix: true }, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    rig.port.arm(0x0808_0040);
    assert_eq!(block(&rig, ring, 0, 3, 512, true), 0);
    until(|| !rig.port.stalled.lock().is_empty());
    assert!(!rig.interrupted(Some(0)));
    rig.answer(true);
    until(|| rig.interrupted(Some(0)));
}

#[test]
fn mmio_registers() {
    let rig = Rig::new(Transport::Mmio, blk(disk()), VirtioOptions::default());
    assert_eq!([0, 4, 8, 12].map(|at| rig.mmio(at)), [0x7472_6976, 2, 2, 0x554d_4551]);
    assert_eq!([0xb0, 0xb4].map(|at| rig.mmio(at)), [0xffff_ffff; 2]);
    assert_eq!((rig.config(0, Size::B8), rig.config(0, Size::B2), rig.config(0xf8, Size::B8)), (128, 128, 0));
    assert_eq!(rig.mmio(0x34), 256);
    rig.set_mmio(0x30, 0x1_0000);
    assert_eq!(rig.mmio(0x34), 0, "no such queue");
    let anomalies = || rig.counters.get(Metric::Anomalies);
    rig.get(0x0a00_0070, Size::B1);
    rig.put(0x0a00_0072, Size::B2, 0);
    rig.set_mmio(0x40, 5);
    rig.set_mmio(0x44, 1);
    rig.set_mmio(0x38, 48);
    rig.set_mmio(0x50, 77);
    assert_eq!(anomalies(), 6);
    let from = Requester::Device(3);
    assert_eq!(rig.bus.write(Pa(0x0a00_0070), Size::B4, 0, from), Err(BusFault::Refused));
}

#[test]
fn empty_slot() {
    let counters = Arc::new(Counters::default());
    let ports = DirectPorts(Arc::default());
    let irq = IrqLine::new(Arc::new(Unconnected), 0);
    let slot =
        VirtioMmio::new("virtio-mmio@a000000", None, irq, (&ports, 0), VirtioOptions::default(), &counters);
    let read = |at| MmioDevice::read(&*slot, at, Size::B4, Requester::Cpu(0)).unwrap();
    assert_eq!([0, 4, 8, 0x34, 0x70, 0x100].map(read), [0x7472_6976, 2, 0, 0, 0, 0]);
    slot.write(0x70, Size::B4, 1, Requester::Cpu(0)).unwrap();
    slot.restore(slot.save()).unwrap();
}

#[test]
fn pci_identity_and_layout() {
    let rig = Rig::new(Transport::Pci { msix: true }, blk(disk()), VirtioOptions::default());
    rig.enumerate();
    assert_eq!(rig.get(ECAM, Size::B4), 0x1042_1af4);
    assert_eq!(rig.get(ECAM + 8, Size::B4), 0x0100_0001);
    assert_eq!(rig.get(ECAM + 0x2c, Size::B4), 0x1100_1af4);
    for (structure, offset) in [(1, 0), (3, 0x1000), (4, 0x2000), (2, 0x3000)] {
        let at = ECAM + rig.capability(Some(structure));
        assert_eq!((rig.get(at + 4, Size::B1), rig.get(at + 8, Size::B4)), (4, offset));
        assert_eq!(rig.get(at + 12, Size::B4), 0x1000);
    }
    assert_eq!(rig.get(ECAM + rig.capability(Some(2)) + 16, Size::B4), 4);
    assert_eq!(rig.get(BAR4 + 18, Size::B2), 1);
    // A vector that does not exist is refused.
    rig.put(BAR4 + 16, Size::B2, 9);
    assert_eq!(rig.get(BAR4 + 16, Size::B2), 0xffff);
    // All structures are within reach of configuration cycles alone (virtio 1.2, 4.1.4.9).
    let at = ECAM + rig.capability(Some(5));
    rig.put(at + 4, Size::B1, 4);
    rig.put(at + 8, Size::B4, 0x2000);
    rig.put(at + 12, Size::B4, 4);
    assert_eq!(rig.get(at + 16, Size::B4), 128);
    rig.put(at + 8, Size::B4, 22);
    rig.put(at + 12, Size::B4, 2);
    rig.put(at + 16, Size::B2, 7);
    assert_eq!(rig.get(BAR4 + 22, Size::B2), 7);
    for (bar, offset, length) in [(1, 0, 4), (4, 0xffff_fffc, 4), (4, 0, 3), (4, 0, 8)] {
        rig.put(at + 4, Size::B1, bar);
        rig.put(at + 8, Size::B4, offset);
        rig.put(at + 12, Size::B4, length);
        rig.get(at + 16, Size::B4);
        rig.put(at + 16, Size::B4, 0);
    }
}

#[test]
fn without_bus_mastering_nothing_moves() {
    let rig = Rig::new(Transport::Pci { msix: true }, blk(disk()), VirtioOptions::default());
    let ring = &mut rig.initialise(1, u64::MAX)[0];
    rig.put(ECAM + 4, Size::B2, 2);
    rig.publish(ring, 0);
    rig.notify(0);
    until(|| rig.status() & status::NEEDS_RESET != 0);
    assert_eq!(rig.used_index(ring), 0);
}

/// Behind an IOMMU a driver that knows of none gives physical addresses, and these are what the device takes; one that has
/// accepted ACCESS_PLATFORM gives those that the IOMMU translates.
#[test]
fn who_offers_access_platform_goes_through_the_iommu_and_who_does_not_goes_around() {
    for through in [false, true] {
        let counters = Arc::new(Counters::default());
        let (memory, nothing) = (Arc::new(Bus::new()), Arc::new(Bus::new()));
        memory.map(Pa(RAM), 0x10000, Backing::Ram(GuestRam::new(0x10000).unwrap(), 0)).unwrap();
        let line = IrqLine::new(Arc::new(Unconnected), 0);
        let host = PciHost::behind(
            [line.clone(), line.clone(), line.clone(), line],
            Arc::new(DirectPorts(nothing)),
            Some(Arc::new(DirectPorts(memory))),
            &counters,
        );
        let options = VirtioOptions { iommu_platform: through, ..VirtioOptions::default() };
        let function = VirtioPci::new("virtio-pci", blk(disk()), options, &counters);
        let at = host.add(Some(1), function.clone()).unwrap();
        host.start().unwrap();
        host.config_write(at, 4, Size::B2, 6);
        let set = |offset, size, value| function.bar_write(4, offset, size, value);
        set(0x14, Size::B1, 3);
        set(8, Size::B4, 1);
        set(0xc, Size::B4, if through { 3 } else { 1 });
        set(0x14, Size::B1, 8);
        for (offset, ring) in [(0x20, 0), (0x28, 0x1000), (0x30, 0x2000)] {
            set(offset, Size::B8, RAM + ring);
        }
        set(0x1c, Size::B2, 1);
        set(0x14, Size::B1, 4);
        set(0x3000, Size::B2, 0);
        let needs_reset = || function.bar_read(4, 0x14, Size::B1) & u64::from(status::NEEDS_RESET) != 0;
        match through {
            true => until(needs_reset),
            false => until(|| counters.get(Metric::DmaReads) != 0),
        }
        host.halt();
        assert_eq!(needs_reset(), through);
    }
}
