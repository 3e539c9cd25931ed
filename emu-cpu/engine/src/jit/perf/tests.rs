//! The files, read back as their formats say.

use emu_a64::level::El;

use super::{Dump, Map};
use crate::jit::observe::{CodeOrigin, Listener};

const BLOCK: CodeOrigin = CodeOrigin::Block { pc: 0xffff_8000_8000_1234, el: El::El1 };

#[test]
fn a_map_has_a_line_for_each_piece_of_code() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("map");
    std::fs::write(&path, "of an earlier process").unwrap();
    let map = Map::create(&path).unwrap();
    map.made(0x7f00_0000_1000, &[0x90; 18], CodeOrigin::Shared);
    map.made(0x7f00_0000_1020, &[0x90; 5], BLOCK);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "7f0000001000 12 understage:shared\n7f0000001020 5 el1:ffff800080001234\n");
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn a_dump_has_a_header_and_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jit-1.dump");
    let dump = Dump::create(&path).unwrap();
    dump.made(0x1000, &[1, 2, 3], BLOCK);
    dump.made(0x2000, &[4], BLOCK);
    dump.finish();
    dump.made(0x3000, &[5], BLOCK);
    dump.finish();
    let bytes = std::fs::read(&path).unwrap();
    // The specification's header: magic, version, size, machine, padding, process, time, flags.
    assert_eq!(&bytes[..4], b"DTiJ");
    let machine = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    assert_eq!([4, 8, 12, 16, 20].map(|at| word(&bytes, at)), [1, 40, machine, 0, std::process::id()]);
    assert_eq!(long(&bytes, 32), 0);
    let (mut at, mut times, mut codes) = (40, vec![long(&bytes, 24)], Vec::new());
    loop {
        let (kind, size) = (word(&bytes, at), word(&bytes, at + 4) as usize);
        times.push(long(&bytes, at + 8));
        let record = &bytes[at..at + size];
        at += size;
        if kind == 3 {
            break;
        }
        assert_eq!((kind, word(record, 16)), (0, std::process::id()));
        assert_eq!(long(record, 24), long(record, 32), "no code is moved");
        let length = long(record, 40) as usize;
        assert_eq!(&record[56..size - length], b"el1:ffff800080001234\0");
        codes.push((long(record, 24), long(record, 48), record[size - length..].to_vec()));
    }
    assert_eq!(at, bytes.len(), "nothing after the last record");
    assert!(times.is_sorted() && times[0] > 0);
    assert_eq!(codes, [(0x1000, 0, vec![1, 2, 3]), (0x2000, 1, vec![4])]);
}
