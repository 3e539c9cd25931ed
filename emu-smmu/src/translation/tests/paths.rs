//! Where transactions go, and what is counted.

use super::*;

const STREAM: u32 = 0x18;

#[test]
fn an_access_goes_page_by_page_where_the_tables_say() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    // Three pages, of which the last two are in another order in memory, and far from the first.
    for (va, pa) in [(0x1000, DATA), (0x2000, DATA + 0x9000), (0x3000, DATA + 0x8000)] {
        rig.memory.map(root, 3, va, pa | PAGE);
    }
    let port = rig.port(STREAM);
    let bytes: Vec<u8> = (0..0x2080).map(|n| (n * 7 % 251) as u8).collect();
    assert_eq!(rig.write(&port, 0x1f80, &bytes), Ok(()));
    assert_eq!(rig.bytes(DATA + 0xf80, 0x80), bytes[..0x80]);
    assert_eq!(rig.bytes(DATA + 0x9000, 0x1000), bytes[0x80..0x1080]);
    assert_eq!(rig.bytes(DATA + 0x8000, 0x1000), bytes[0x1080..0x2080]);
    assert_eq!(rig.read(&port, 0x1f80, 0x2080), Ok(bytes));
}

#[test]
fn what_faults_on_a_later_page_moves_nothing() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    let port = rig.port(STREAM);
    assert_eq!(rig.write(&port, 0x1ff8, &[1; 16]), Err(DmaFault::Abort));
    assert_eq!(rig.bytes(DATA + 0xff8, 8), [0; 8]);
    let (t, faulted) = rig.front.faults.lock()[0];
    assert_eq!((t.stream, t.address, t.access, t.may_stall), (STREAM, 0x2000, Access::Write, false));
    assert_eq!((faulted.fault.kind, faulted.fault.level), (emu_mmu::FaultKind::Translation, 3));
    assert_eq!((rig.count(STREAM).faults, rig.count(STREAM).aborts), (1, 1));
}

#[test]
fn a_verdict_may_need_no_translation() {
    let rig = Rig::new();
    let port = rig.port(STREAM);
    assert_eq!(rig.write(&port, DATA, b"x"), Err(DmaFault::Abort), "the front knows no such stream");
    rig.say(STREAM, Verdict::Bypass);
    assert_eq!(rig.write(&port, DATA, b"x"), Ok(()));
    assert_eq!(rig.bytes(DATA, 1), b"x");
    let secure = DmaAttrs { security: Security::Secure, ..rig.attrs };
    assert_eq!(port.write(secure, DATA + 16, b"s"), Ok(()), "the stream is a Non-secure one");
    assert_eq!(rig.bytes(DATA + 16, 1), b"s");
    assert_eq!(rig.write(&port, 0x9000, b"x"), Err(DmaFault::Abort), "nothing is there");
    assert_eq!(*rig.front.external.lock(), [(0x9000, Pa(0x9000))]);
    assert_eq!(rig.write(&port, u64::MAX, b"xy"), Err(DmaFault::Abort), "beyond all memory");
    rig.say(STREAM, Verdict::Refuse(Refusal::Zero));
    assert_eq!(rig.write(&port, DATA, b"yz"), Ok(()));
    assert_eq!(rig.read(&port, DATA, 2), Ok(vec![0; 2]));
    assert_eq!(rig.bytes(DATA, 2), b"x\0", "the write was ignored");
    assert_eq!(rig.read(&port, DATA, 0), Ok(vec![]));
}

#[test]
fn hits_ask_nobody() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    rig.memory.map(root, 3, 0x2000, (DATA + 0x1000) | PAGE);
    let port = rig.port(STREAM);
    for n in 0..10 {
        assert_eq!(rig.write(&port, 0x1000 + n * 8, &[1; 8]), Ok(()));
    }
    assert_eq!(rig.front.asked.load(SeqCst), 1);
    let count = StreamCount { transactions: 10, bytes: 80, quick: 9, walks: 1, ..StreamCount::default() };
    assert_eq!(rig.count(STREAM), count);
    // A read is a question of its own; after something was forgotten the main TLB knows.
    rig.read(&port, 0x1ff0, 32).unwrap();
    rig.core.forget_contexts();
    rig.read(&port, 0x1ff0, 32).unwrap();
    let count = StreamCount { transactions: 12, bytes: 144, hits: 3, walks: 2, ..count };
    assert_eq!(rig.count(STREAM), count);
}

#[test]
fn capacity_degrades_gracefully() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    let pages = 4096;
    for n in 0..pages {
        rig.memory.map(root, 3, n << 12, (DATA + ((n % 64) << 12)) | PAGE);
    }
    let port = rig.port(STREAM);
    for n in (0..pages).chain(0..pages) {
        assert_eq!(rig.write(&port, n << 12, b"x"), Ok(()));
    }
    let count = rig.count(STREAM);
    assert!(count.walks < pages + pages / 100, "the second pass hits: {count:?}");
}

#[test]
fn attributes_are_those_that_the_configuration_gives() {
    let mut rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    // AP[2:1] = 00: privileged only. UXN and PXN: never executable.
    rig.memory.map(root, 3, 0x1000, DATA | PAGE & !(1 << 6));
    rig.memory.map(root, 3, 0x2000, DATA | PAGE | 3 << 53);
    rig.memory.map(root, 3, 0x3000, DATA | PAGE | READ_ONLY);
    let port = rig.port(STREAM);
    let mut may = |privileged, instruction, addr| {
        rig.attrs = DmaAttrs { privileged, instruction, ..rig.attrs };
        [rig.read(&port, addr, 1).is_ok(), rig.write(&port, addr, b"x").is_ok()]
    };
    assert_eq!(may(false, false, 0x1000), [false, false]);
    assert_eq!(may(true, false, 0x1000), [true, true]);
    assert_eq!(may(false, true, 0x2000), [false, true], "a write is data");
    assert_eq!(may(false, false, 0x2000), [true, true]);
    assert_eq!(may(false, false, 0x3000), [true, false]);
    let mut overridden = context(Some(stage1(root, 1)), None);
    overridden.privileged = Override::Always;
    overridden.instruction = Override::Never;
    rig.say(STREAM, Verdict::Translate(Arc::new(overridden.clone())));
    let may = |addr| [rig.read(&port, addr, 1).is_ok(), rig.write(&port, addr, b"x").is_ok()];
    assert_eq!((may(0x1000), may(0x2000)), ([true, true], [true, true]));
    overridden.pan = true;
    rig.say(STREAM, Verdict::Translate(Arc::new(overridden)));
    assert_eq!((may(0x1000), may(0x2000)), ([true, true], [false, false]));
}

#[test]
fn substreams_have_contexts_of_their_own() {
    let rig = Rig::new();
    let port = rig.port(STREAM);
    rig.say(STREAM, Verdict::Bypass);
    let with = |substream| DmaAttrs { substream, ..DmaAttrs::default() };
    for (n, substream) in [None, Some(0), Some(1), Some(0xf_ffff), Some(0x10_0000)].into_iter().enumerate() {
        assert_eq!(port.write(with(substream), DATA, b"x"), Ok(()));
        assert_eq!(rig.front.asked.load(SeqCst), n as u64 + 1);
    }
    assert_eq!(port.write(with(Some(1)), DATA, b"x"), Ok(()));
    assert_eq!(rig.front.asked.load(SeqCst), 5);
}

#[test]
fn a_clean_page_becomes_dirty_with_the_first_write() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    let s1 = Stage1 { ha: true, hd: true, ..stage1(root, 1) };
    rig.say(STREAM, Verdict::Translate(Arc::new(context(Some(s1), None))));
    // DBM, AP[2] and no AF.
    let clean = DATA | PAGE & !(1 << 10) | READ_ONLY | 1 << 51;
    rig.memory.map(root, 3, 0x1000, clean);
    let at = rig.memory.descriptor(root, 3, 0x1000);
    let port = rig.port(STREAM);
    for _ in 0..2 {
        rig.read(&port, 0x1000, 8).unwrap();
        assert_eq!(rig.memory.load(at), clean | 1 << 10);
    }
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    assert_eq!(rig.memory.load(at), (clean | 1 << 10) & !READ_ONLY);
}

#[test]
fn both_stages_and_either_alone() {
    let rig = Rig::new();
    let (root1, root2) = (rig.memory.table(), rig.memory.table());
    // Stage 2 has the tables of stage 1 where they are, and IPA 0x8000 at the data.
    for page in (TABLES..TABLES + 0x10_0000).step_by(0x1000) {
        rig.memory.map(root2, 3, page, page | PAGE2);
    }
    rig.memory.map(root2, 3, 0x8000, DATA | PAGE2);
    rig.memory.map(root1, 3, 0x1000, 0x8000 | PAGE);
    let port = rig.port(STREAM);
    let say = |s1, s2| rig.say(STREAM, Verdict::Translate(Arc::new(context(s1, s2))));
    say(Some(stage1(root1, 1)), Some(stage2(root2, 5)));
    assert_eq!(rig.write(&port, 0x1000, b"both"), Ok(()));
    assert_eq!(rig.bytes(DATA, 4), b"both");
    say(None, Some(stage2(root2, 5)));
    assert_eq!(rig.write(&port, 0x8000, b"two"), Ok(()));
    assert_eq!(rig.bytes(DATA, 4), b"twoh");
    assert_eq!(rig.write(&port, 0x1000, b"x"), Err(DmaFault::Abort));
    // With neither, nothing is kept that a stage 2 of the same VMID could meet with.
    say(None, None);
    assert_eq!(rig.write(&port, DATA + 8, b"flat"), Ok(()));
    assert_eq!(rig.write(&port, 1 << 50, b"x"), Err(DmaFault::Abort));
    let (_, faulted) = *rig.front.faults.lock().last().unwrap();
    assert_eq!(faulted.fault.kind, emu_mmu::FaultKind::AddressSize);
    say(None, Some(stage2(root2, 0)));
    assert_eq!(rig.write(&port, DATA + 8, b"x"), Err(DmaFault::Abort));
    let (_, faulted) = *rig.front.faults.lock().last().unwrap();
    assert_eq!((faulted.fault.stage, faulted.fault.ipa), (emu_mmu::Stage::S2, Some(DATA + 8)));
}

#[test]
fn counts_of_ports_of_one_stream_are_one() {
    let rig = Rig::new();
    rig.say(STREAM, Verdict::Bypass);
    for port in [rig.port(STREAM), rig.port(STREAM), rig.port(STREAM + 1)] {
        let _ = rig.write(&port, DATA, b"abc");
    }
    assert_eq!((rig.count(STREAM).transactions, rig.count(STREAM).bytes), (2, 6));
    assert_eq!((rig.count(STREAM + 1).transactions, rig.count(STREAM + 1).aborts), (1, 1));
}

/// 16 MiB, of which the last pages lead where the first do: there is less memory.
#[test]
fn four_thousand_pages_are_walked_for_once() {
    const PAGES: u64 = 4096;
    let rig = Rig::new();
    let root = rig.translate(1, 1);
    for n in 0..PAGES {
        rig.memory.map(root, 3, n << 12, (DATA + ((n % 1024) << 12)) | PAGE | NOT_GLOBAL);
    }
    let port = rig.port(1);
    let cycle = || {
        for n in 0..PAGES {
            port.read(rig.attrs, n << 12, &mut [0; 8]).unwrap();
        }
        let StreamCount { walks, hits, quick, .. } = rig.count(1);
        (walks, hits, quick)
    };
    assert_eq!(cycle(), (PAGES, 0, 0));
    let (walks, hits, quick) = cycle();
    assert_eq!((walks, hits + quick), (PAGES, PAGES), "the main TLB has all of them, and the port soon, too");
    let (walks, again, _) = cycle();
    assert_eq!((walks, again), (PAGES, hits), "the port has all of them");
    rig.core.forget_contexts();
    let (walks, main, _) = cycle();
    assert_eq!((walks, main), (PAGES, hits + PAGES), "the main TLB still has all of them");
}

/// What a port remembers holds for one map of the bus.
#[test]
fn memory_that_moves_is_found_where_it_is() {
    let rig = Rig::new();
    let root = rig.translate(1, 1);
    let (first, second) = (0x1_0000_0000, 0x1_0010_0000);
    rig.memory.map(root, 3, 0x1000, first | PAGE);
    let port = rig.port(1);
    let blocks = [1, 2].map(|byte| GuestRam::filled(0x1000, byte).unwrap());
    assert_eq!(rig.read(&port, 0x1000, 1), Err(DmaFault::Abort), "nothing is there");
    rig.core.bus.map(Pa(first), 0x1000, Backing::Ram(blocks[0], 0)).unwrap();
    for _ in 0..2 {
        assert_eq!(rig.read(&port, 0x1000, 1), Ok(vec![1]));
    }
    rig.core.bus.remap(Pa(first), Pa(second), 0x1000, Backing::Ram(blocks[0], 0)).unwrap();
    assert_eq!(rig.write(&port, 0x1000, &[9]), Err(DmaFault::Abort), "it has gone");
    rig.core.bus.map(Pa(first), 0x1000, Backing::Ram(blocks[1], 0)).unwrap();
    assert_eq!(rig.read(&port, 0x1000, 1), Ok(vec![2]));
    assert_eq!(blocks[0].load_u8(0), Some(1), "nothing was written there");
}
