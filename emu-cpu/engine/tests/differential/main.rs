//! Random programs of every instruction class, run by the interpreter as it runs a guest, and by another implementation:
//! registers, flags and memory must be the same bit for bit.
//!
//! `../data/differential.bin.gz` has the digests of what the other implementation made of the first programs; the test
//! replays those. To run against it live: make `runner.c`, name it in `A64_RUNNER`, and the command that runs AArch64
//! programs in `A64_PEER` (nothing on an AArch64 machine); `cargo test --test differential -- --ignored --nocapture live`.
//! `DIFF_FROM` and `DIFF_PROGRAMS` choose the programs. `record` makes the recording anew, after `rows` has written the
//! list of what programs are made of.

mod machine;
mod peer;
mod program;
mod random;
mod rows;
mod state;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod vectors;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use emu_a64::decode;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use machine::Ours;
use program::Program;
use rows::Class;
use state::State;

/// Programs in the recording, and states from which each is run.
const RECORDED: usize = 10_000;
const SETS: usize = 4;

/// Where a file of recorded data is.
fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", name].iter().collect()
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A check of a program's words, to tell a changed generator from a changed interpreter.
fn check(p: &Program) -> u32 {
    p.words.iter().fold(0x811c_9dc5, |h, w| (h ^ w).wrapping_mul(0x0100_0193).rotate_left(7))
}

fn listing(p: &Program) -> String {
    p.words
        .iter()
        .enumerate()
        .map(|(i, w)| format!("  {i:2} {w:08x} {}\n", decode::find(*w).map_or("?", |r| r.name)))
        .collect()
}

#[test]
fn recorded() {
    replay(false);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn recorded_as_host_code() {
    replay(true);
}

/// Replays the recording, as host code or not.
fn replay(jit: bool) {
    let rows = rows::read();
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(data("differential.bin.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    let records = bytes.chunks_exact(4 + 8 * SETS);
    assert!(records.len() >= RECORDED);
    let mut ours = Ours::new(jit);
    let mut wrong = Vec::new();
    let mut seen = HashSet::new();
    for (n, record) in records.enumerate() {
        let p = program::make(&rows, n);
        seen.extend(p.words.iter().filter_map(|w| decode::find(*w)).map(|row| row.name));
        let same = check(&p).to_le_bytes() == record[..4];
        assert!(same, "program {n} is not the recorded one: the generator has changed, make a new recording");
        ours.load(&p.words);
        for (set, digests) in record[4..].chunks_exact(8).enumerate() {
            let got = ours.run(&State::initial(n as u64, set)).digests();
            let want: [u16; 4] =
                std::array::from_fn(|i| u16::from_le_bytes([digests[2 * i], digests[2 * i + 1]]));
            if got != want {
                let what = ["general registers", "vector registers", "memory", "flags"];
                let what: Vec<_> = (0..4).filter(|&i| got[i] != want[i]).map(|i| what[i]).collect();
                wrong.push(format!("program {n} from state {set}: {}\n{}", what.join(", "), listing(&p)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} runs differ:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    let missing = rows.iter().filter(|r| r.class != Class::System && !seen.contains(r.name.as_str()));
    let missing: Vec<_> = missing.map(|r| &r.name).collect();
    assert!(missing.is_empty(), "rows that no program has: {missing:?}");
}

/// With SCTLR_EL2.A every third program ends in an alignment fault somewhere: where it does, in which state, and with which
/// syndrome, is the same in host code. One that does not ends as recorded.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn alignment_faults_as_host_code() {
    let rows = rows::read();
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(data("differential.bin.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    let mut interpreter = Ours::new(false).checking_alignment();
    let mut engines =
        [machine::Engine::HostCode, machine::Engine::Baseline].map(|e| Ours::with(e).checking_alignment());
    let (mut faults, mut ends) = (0, 0);
    for (n, record) in bytes.chunks_exact(4 + 8 * SETS).enumerate().step_by(5) {
        let p = program::make(&rows, n);
        interpreter.load(&p.words);
        engines.iter_mut().for_each(|e| e.load(&p.words));
        for (set, digests) in record[4..].chunks_exact(8).enumerate().skip(n / 5 % 2).step_by(2) {
            let initial = State::initial(n as u64, set);
            let want = interpreter.run(&initial);
            for engine in &mut engines {
                let got = engine.run(&initial);
                let what = || format!("program {n} from state {set}\n{}", listing(&p));
                assert_eq!(engine.exception(), interpreter.exception(), "{}", what());
                assert!(got.state == want.state, "{}{}", what(), got.state.difference(&want.state));
                if want.faulted {
                    assert_eq!(engine.fault_address(), interpreter.fault_address(), "{}", what());
                }
            }
            if want.faulted {
                assert_eq!(interpreter.exception().0 & 0x3f, 0x21, "program {n}: an alignment fault");
                faults += 1;
            } else {
                let recorded: [u16; 4] =
                    std::array::from_fn(|i| u16::from_le_bytes([digests[2 * i], digests[2 * i + 1]]));
                assert_eq!(want.digests(), recorded, "program {n} from state {set}");
                ends += 1;
            }
        }
    }
    assert!(faults > 500 && ends > 500, "{faults} faults, {ends} without");
}

/// Where interpreter and host code differ: shows programs `DIFF_FROM` and up, `DIFF_PROGRAMS` of them.
#[test]
#[ignore = "shows one difference; `recorded_as_host_code` finds them"]
fn engines() {
    let rows = rows::read();
    let first = number("DIFF_FROM", 0);
    let (mut interp, mut jit) = (Ours::new(false), Ours::new(true));
    for n in first..first + number("DIFF_PROGRAMS", 1) {
        let p = program::make(&rows, n);
        interp.load(&p.words);
        jit.load(&p.words);
        for set in 0..SETS {
            let (a, b) =
                (interp.run(&State::initial(n as u64, set)), jit.run(&State::initial(n as u64, set)));
            let same = a.faulted == b.faulted && a.state == b.state;
            assert!(same, "program {n} from state {set}:\n{}{}", listing(&p), b.state.difference(&a.state));
        }
    }
}

#[test]
#[ignore = "needs another implementation"]
fn live() {
    let rows = rows::read();
    let (first, count) = (number("DIFF_FROM", 0), number("DIFF_PROGRAMS", 20_000));
    let mut ours = Ours::new(number("DIFF_JIT", 0) != 0);
    let (mut runs, mut instructions, mut wrong, mut faulted) = (0, 0, 0, 0);
    let (mut last, mut shown) = (usize::MAX, 0);
    let programs = (first..first + count).map(|n| (n, program::make(&rows, n)));
    let there = peer::run(programs, SETS, |n, p, outcomes| {
        ours.load(&p.words);
        for (set, (status, want)) in outcomes.into_iter().enumerate() {
            let got = ours.run(&State::initial(n as u64, set));
            runs += 1;
            instructions += p.words.len();
            faulted += usize::from(want.faulted);
            if want.faulted || got.faulted || got.state != want.state {
                wrong += 1;
                if n != last && shown < number("DIFF_SHOW", 20) {
                    (last, shown) = (n, shown + 1);
                    println!(
                        "program {n} from state {set}: the peer's status {status:x}, ours {:x?}\n{}{}  (fpcr was {:x}, fpsr {:x})\n",
                        if got.faulted { ours.exception() } else { (0, 0) },
                        listing(&p),
                        if want.faulted || got.faulted {
                            String::new()
                        } else {
                            got.state.difference(&want.state)
                        },
                        State::initial(n as u64, set).fpcr,
                        State::initial(n as u64, set).fpsr,
                    );
                }
            }
        }
    });
    println!("{runs} runs, {instructions} instructions, {faulted} runs faulted, {wrong} differ");
    assert!(!there || wrong == 0, "{wrong} runs differ");
}

#[test]
#[ignore = "used to make a new recording"]
fn record() {
    let rows = rows::read();
    let mut out = GzEncoder::new(File::create(data("differential.bin.gz")).unwrap(), Compression::best());
    let programs = (0..RECORDED).map(|n| (n, program::make(&rows, n)));
    peer::run(programs, SETS, |_, p, outcomes| {
        out.write_all(&check(&p).to_le_bytes()).unwrap();
        for (_, outcome) in outcomes {
            outcome.digests().iter().for_each(|d| out.write_all(&d.to_le_bytes()).unwrap());
        }
    });
    out.finish().unwrap();
}

#[test]
#[ignore = "used to make a new recording"]
fn list_rows() {
    std::fs::write(data("differential-rows.tsv"), rows::from_table()).unwrap();
}
