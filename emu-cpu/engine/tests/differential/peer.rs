//! Another implementation: `runner.c`, under the command that `A64_PEER` names, or the machine itself.

use std::io::{BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::program::Program;
use crate::state::{BUFFER_SIZE, Outcome, State};

const MAX_WORDS: usize = 96;
const STATE_SIZE: usize = 32 * 8 + 64 * 8 + 3 * 8;

fn put(out: &mut Vec<u8>, p: &Program, set: usize, s: &State) {
    assert!(p.words.len() < MAX_WORDS);
    out.extend((p.words.len() as u32).to_le_bytes());
    out.extend(u32::from(set != 0).to_le_bytes());
    let words = p.words.iter().copied().chain(std::iter::repeat(0)).take(MAX_WORDS);
    out.extend(words.flat_map(u32::to_le_bytes));
    out.extend(s.x.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(s.v.iter().flat_map(|v| v.to_le_bytes()));
    out.extend([s.nzcv, s.fpcr, s.fpsr].iter().flat_map(|w| u64::from(*w).to_le_bytes()));
    out.extend(&s.buffer);
}

fn get(bytes: &[u8]) -> (u64, Outcome) {
    let u64_at = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap());
    let v = |i: usize| u128::from(u64_at(33 + 2 * i)) | u128::from(u64_at(34 + 2 * i)) << 64;
    let state = State {
        x: std::array::from_fn(|i| u64_at(1 + i)),
        v: std::array::from_fn(v),
        nzcv: u64_at(97) as u32,
        fpcr: u64_at(98) as u32,
        fpsr: u64_at(99) as u32,
        buffer: bytes[8 + STATE_SIZE..].to_vec(),
    };
    (u64_at(0), Outcome { faulted: u64_at(0) != 0, state })
}

/// Runs each program from its first `sets` states; gives program, set, status and outcome. False, with the reason
/// printed, if there is no peer.
pub(crate) fn run(
    programs: impl Iterator<Item = (usize, Program)> + Send,
    sets: usize,
    mut each: impl FnMut(usize, Program, Vec<(u64, Outcome)>),
) -> bool {
    let (Ok(runner), peer) = (std::env::var("A64_RUNNER"), std::env::var("A64_PEER").unwrap_or_default())
    else {
        println!(
            "skipped: A64_RUNNER names no program made of runner.c (and A64_PEER no command that runs it)"
        );
        return false;
    };
    let mut words = peer.split_whitespace().chain([runner.as_str()]);
    let mut child = Command::new(words.next().expect("a command"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("A64_PEER and A64_RUNNER can be run");
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let (send, sent) = std::sync::mpsc::sync_channel(1024);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (n, p) in programs {
                let mut bytes = Vec::new();
                for set in 0..sets {
                    put(&mut bytes, &p, set, &State::initial(n as u64, set));
                }
                send.send((n, p)).unwrap();
                to.write_all(&bytes).unwrap();
            }
        });
        for (n, p) in sent {
            let outcomes = (0..sets).map(|_| {
                let mut bytes = [0; 8 + STATE_SIZE + BUFFER_SIZE];
                from.read_exact(&mut bytes).expect("the peer answers");
                get(&bytes)
            });
            let outcomes = outcomes.collect();
            each(n, p, outcomes);
        }
    });
    child.wait().unwrap().success()
}
