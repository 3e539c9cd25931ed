//! Stalled transactions: every answer, early and late, and what takes them away.

use emu_core::atomic::{Atomic, Operation};

use super::*;

const STREAM: u32 = 9;

/// A stream that stalls, with its master.
fn rig() -> (Rig, u64, Arc<Patient>, Arc<dyn DmaPort>) {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    *rig.front.on_fault.lock() = OnFault::Stall;
    let master = Arc::<Patient>::default();
    let port = master.port(&rig.core, STREAM);
    (rig, root, master, port)
}

fn stalled(result: Result<Vec<u8>, DmaFault>) -> StallTag {
    match result {
        Err(DmaFault::Stalled(tag)) => tag,
        other => panic!("not stalled: {other:?}"),
    }
}

#[test]
fn a_stalled_transaction_waits_and_is_tried_again() {
    let (rig, root, master, port) = rig();
    let tag = stalled(rig.read(&port, 0x1004, 4));
    let waiting = rig.core.stalled();
    assert_eq!((waiting.len(), waiting[0].tag, waiting[0].transaction.address), (1, tag, 0x1004));
    assert!(!rig.core.resume(STREAM + 1, stag(tag), Answer::Retry), "another stream's");
    assert!(!rig.core.resume(STREAM, stag(tag) + 1, Answer::Retry), "no such STAG");
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    rig.memory.store(DATA, 0x4433_2211_0000_0000);
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Retry));
    assert_eq!(*master.told.lock(), [(tag, true)]);
    assert!(!rig.core.resume(STREAM, stag(tag), Answer::Retry), "an answer counts once");
    assert_eq!(rig.read(&port, 0x1004, 4), Ok(vec![0x11, 0x22, 0x33, 0x44]));
    let count = rig.count(STREAM);
    assert_eq!((count.transactions, count.stalls, count.faults, count.bytes), (2, 1, 1, 4));
}

#[test]
fn the_time_that_transactions_wait_is_the_machines() {
    let (rig, _, _, port) = rig();
    rig.clock.advance(1_000);
    let first = stalled(rig.read(&port, 0x1000, 4));
    rig.clock.advance(30);
    let second = stalled(rig.read(&port, 0x2000, 4));
    assert_eq!(rig.core.stalled().iter().map(|s| s.since).collect::<Vec<_>>(), [1_000, 1_030]);
    assert_eq!(rig.count(STREAM).stalled_ns, 0, "those that wait still");
    rig.clock.advance(500);
    assert!(rig.core.resume(STREAM, stag(first), Answer::Retry));
    rig.clock.advance(7);
    rig.core.terminate_stalls(None);
    assert!(!rig.core.resume(STREAM, stag(second), Answer::Retry));
    assert_eq!(rig.count(STREAM).stalled_ns, 530 + 507);
}

#[test]
fn a_retry_that_faults_again_is_another_stall() {
    let (rig, _, _, port) = rig();
    let first = stalled(rig.read(&port, 0x1000, 4));
    assert!(rig.core.resume(STREAM, stag(first), Answer::Retry));
    let second = stalled(rig.read(&port, 0x1000, 4));
    assert_ne!(stag(first), stag(second), "a number rests before it is used again");
    assert_eq!(rig.core.stalled().len(), 1);
}

#[test]
fn aborted_means_aborted() {
    let (rig, _, master, port) = rig();
    let tag = stalled(rig.read(&port, 0x1000, 4));
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Abort));
    assert_eq!(*master.told.lock(), [(tag, false)]);
    assert_eq!(rig.core.stalled(), []);
}

#[test]
fn zeroes_are_given_once() {
    let (rig, root, master, port) = rig();
    // In the middle of three pages, and then the last one stalls as well.
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    rig.memory.store(DATA + 0xff8, u64::MAX);
    let read = || rig.read(&port, 0x1ff8, 0x1010);
    let tag = stalled(read());
    assert_eq!(rig.core.stalled()[0].transaction.address, 0x2000);
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Zero));
    assert_eq!(*master.told.lock(), [(tag, true)], "its master tries again");
    let last = stalled(read());
    assert_eq!(rig.core.stalled()[0].transaction.address, 0x3000);
    rig.memory.map(root, 3, 0x3000, (DATA + 0x1000) | PAGE);
    rig.memory.store(DATA + 0x1000, u64::MAX);
    assert!(rig.core.resume(STREAM, stag(last), Answer::Retry));
    let expected = [vec![0xff; 8], vec![0; 0x1000], vec![0xff; 8]].concat();
    assert_eq!(read(), Ok(expected));
    let again = stalled(read());
    assert_eq!(rig.core.stalled()[0].transaction.address, 0x2000, "only once");
    // A write is ignored.
    rig.core.resume(STREAM, stag(again), Answer::Abort);
    let Err(DmaFault::Stalled(tag)) = rig.write(&port, 0x2000, b"abc") else { panic!() };
    rig.core.resume(STREAM, stag(tag), Answer::Zero);
    assert_eq!(rig.write(&port, 0x2000, b"abd"), Ok(()));
    assert!(matches!(rig.write(&port, 0x2000, b"abc"), Err(DmaFault::Stalled(_))));
}

#[test]
fn an_abort_forgets_the_zeroes_of_its_access() {
    let (rig, _, _, port) = rig();
    let write = |addr, len| match rig.write(&port, addr, &vec![1; len]) {
        Err(DmaFault::Stalled(tag)) => (stag(tag), rig.core.stalled()[0].transaction.address),
        other => panic!("not stalled: {other:?}"),
    };
    for (answer, at) in [(Answer::Zero, 0x1ff8), (Answer::Abort, 0x2000), (Answer::Zero, 0x1ff8)] {
        let (stag, address) = write(0x1ff8, 16);
        assert_eq!(address, at);
        assert!(rig.core.resume(STREAM, stag, answer));
    }
    let (_, address) = write(0x1ff8, 8);
    assert_eq!(address, 0x1ff8, "another access was not answered");
}

#[test]
fn an_answer_may_come_before_the_port_has_seen_the_stall() {
    for (answer, outcome) in [
        (Answer::Retry, Ok(vec![7; 4])),
        (Answer::Zero, Ok(vec![0; 4])),
        (Answer::Abort, Err(DmaFault::Abort)),
    ] {
        let (rig, _, master, port) = rig();
        rig.memory.ram.write(DATA - RAM, &[7; 4]).unwrap();
        *rig.front.on_fault.lock() = OnFault::StallAnswered(answer);
        assert_eq!(rig.read(&port, 0x1000, 4), outcome);
        assert_eq!((master.told.lock().len(), rig.core.stalled().len()), (0, 0));
        assert_eq!(rig.count(STREAM).faults, 1);
    }
}

#[test]
fn who_cannot_wait_does_not_and_neither_do_too_many() {
    let (rig, _, _, port) = rig();
    let impatient = rig.port(STREAM);
    assert_eq!(rig.read(&impatient, 0x1000, 4), Err(DmaFault::Abort));
    let tags: Vec<StallTag> = (0..16).map(|n| stalled(rig.read(&port, n << 12, 4))).collect();
    assert_eq!(rig.read(&port, 0x5000, 4), Err(DmaFault::Abort), "there is room for 16");
    assert!(rig.core.resume(STREAM, stag(tags[7]), Answer::Abort));
    let next = stalled(rig.read(&port, 0x5000, 4));
    assert_eq!(rig.core.stalled().len(), 16);
    rig.core.withdraw(tags[7]);
    assert_eq!(rig.core.stalled().len(), 16, "that one is gone already");
    rig.core.withdraw(next);
    assert_eq!(rig.core.stalled().len(), 15);
}

#[test]
fn termination_is_of_a_stream_or_of_all() {
    let (rig, _, master, port) = rig();
    let other_master = Arc::<Patient>::default();
    let other = other_master.port(&rig.core, STREAM + 1);
    rig.translate(STREAM + 1, 2);
    let mine = [0x1000, 0x2000].map(|va| stalled(rig.read(&port, va, 4)));
    let theirs = stalled(rig.read(&other, 0x1000, 4));
    rig.core.terminate_stalls(Some(STREAM));
    assert_eq!(*master.told.lock(), mine.map(|tag| (tag, false)));
    assert_eq!(rig.core.stalled().iter().map(|s| s.tag).collect::<Vec<_>>(), [theirs]);
    rig.core.terminate_stalls(None);
    assert_eq!(*other_master.told.lock(), [(theirs, false)]);
    // A reset leaves no answer behind that nobody has fetched.
    let tag = stalled(rig.read(&port, 0x1000, 4));
    rig.core.resume(STREAM, stag(tag), Answer::Zero);
    rig.core.reset();
    stalled(rig.read(&port, 0x1000, 4));
}

#[test]
fn stags_come_round_again_and_tags_do_not() {
    let (rig, _, _, port) = rig();
    let kept = stalled(rig.read(&port, 0x1000, 4));
    let mut last = kept;
    for _ in 0..0x1_0002 {
        let transaction = rig.core.stalled()[0].transaction;
        last = rig.core.stall(&transaction).unwrap();
        assert_ne!(stag(last), stag(kept), "it is in use");
        rig.core.withdraw(last);
    }
    assert!(last.0 > 0x1_0000);
}

#[test]
fn a_master_that_is_gone_is_told_nothing() {
    let (rig, _, master, port) = rig();
    let tag = stalled(rig.read(&port, 0x1000, 4));
    drop(port);
    drop(master);
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Zero));
    assert_eq!(rig.core.stalled(), []);
}

#[test]
fn an_atomic_access_waits_as_a_whole() {
    let (rig, root, master, port) = rig();
    let add = || {
        port.atomic(rig.attrs, 0x1008, Atomic::Doubleword(Operation::FetchAdd(3))).map(|old| vec![old as u8])
    };
    rig.memory.store(DATA + 8, 5);
    let tag = stalled(add());
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Zero));
    assert_eq!((add(), rig.memory.load(DATA + 8)), (Ok(vec![0]), 5), "it reads as zero, and is ignored");
    // Read permission alone is not enough, and what it would have read is not kept.
    rig.memory.map(root, 3, 0x1000, DATA | PAGE | READ_ONLY);
    rig.core.invalidate_all();
    let tag = stalled(add());
    let access = rig.core.stalled()[0].transaction.access;
    assert_eq!((access, rig.memory.load(DATA + 8)), (Access::Atomic, 5));
    rig.memory.store(DATA + 8, 40);
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    rig.core.invalidate_all();
    assert!(rig.core.resume(STREAM, stag(tag), Answer::Retry));
    assert_eq!((add(), rig.memory.load(DATA + 8)), (Ok(vec![40]), 43));
    assert_eq!(master.told.lock().len(), 2);
    // The port knows the page now, for atomic accesses alone.
    assert_eq!((add(), rig.memory.load(DATA + 8)), (Ok(vec![43]), 46));
    let word = Atomic::Word(Operation::Swap(1));
    assert_eq!(port.atomic(rig.attrs, 0x100a, word), Err(DmaFault::Abort), "not aligned");
    assert_eq!(rig.core.stalled(), []);
}
