//! Running a target on many inputs: made from a seed, with a limit of time, of memory and of patience.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use emu_core::random::SplitMix64;

use super::Target;

/// How long a campaign of each target takes in the ordinary tests.
const SECONDS: u64 = 5;
/// The seed, unless the user gives one: the ordinary tests repeat themselves.
const SEED: u64 = 0x556e_6465_7273_7461;
/// What one input may take, on a host that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the process may have had of the host's memory at once.
const RESIDENT: u64 = 3 << 30;

/// How to run a campaign.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For how long.
    pub time: Duration,
    /// What the inputs are made from.
    pub seed: u64,
}

impl Options {
    /// What the environment says: `UNDERSTAGE_FUZZ_SECONDS`, and `UNDERSTAGE_FUZZ_SEED`, a number or `new`.
    #[must_use]
    pub fn from_env() -> Self {
        let seconds = std::env::var("UNDERSTAGE_FUZZ_SECONDS").ok();
        let seconds = seconds.map_or(SECONDS, |s| s.parse().expect("UNDERSTAGE_FUZZ_SECONDS is a number"));
        let seed = match std::env::var("UNDERSTAGE_FUZZ_SEED").as_deref() {
            Err(_) => SEED,
            Ok("new") => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64),
            Ok(s) => s.parse().expect("UNDERSTAGE_FUZZ_SEED is a number, or new"),
        };
        Self { time: Duration::from_secs(seconds), seed }
    }
}

/// Numbers that are the same everywhere.
pub(crate) struct Random(SplitMix64);

impl Random {
    /// From a seed. The first number says too much about it.
    pub(crate) fn new(seed: u64) -> Self {
        let mut numbers = SplitMix64::new(seed);
        numbers.number();
        Self(numbers)
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0.number()
    }
    /// Below `n`, or 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out: Vec<u8> = (0..n.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        out.truncate(n);
        out
    }
}

/// Input number `index` of a campaign; a target with samples gets damaged samples.
#[must_use]
pub fn input(target: &Target, samples: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    let mut r = Random::new(seed ^ index.wrapping_mul(0xa076_1d64_78bd_642f));
    if samples.is_empty() {
        // Short inputs are fast, long ones get far.
        let longest = target.longest >> r.index(4);
        let n = 1 + r.index(longest);
        return r.bytes(n);
    }
    let mut bytes = samples[r.index(samples.len())].clone();
    for _ in 0..1 + r.index(6) {
        damage(&mut bytes, &mut r, samples);
    }
    bytes.truncate(target.longest);
    bytes
}

/// One change of the kind that parsers do not like.
fn damage(bytes: &mut Vec<u8>, r: &mut Random, samples: &[Vec<u8>]) {
    let n = bytes.len();
    if n == 0 {
        return bytes.extend(r.bytes(8));
    }
    // Headers are at the start: most changes go there.
    let at = if r.index(3) == 0 { r.index(n) } else { r.index(n.min(256)) };
    let width = [1, 2, 4, 8][r.index(4)].min(n - at);
    match r.index(9) {
        0 => bytes[at] ^= 1 << r.index(8),
        1 => bytes[at] = r.next() as u8,
        2 => {
            let value = [0, 1, 0x7f, 0x80, 0xff][r.index(5)];
            bytes[at..at + width].fill(value);
        }
        3 => {
            // A length or an offset that is a little off, in either order of bytes.
            let i = if r.index(2) == 0 { at } else { at + width - 1 };
            bytes[i] = bytes[i].wrapping_add([1, 0xff, 4, 0xfc, 16][r.index(5)]);
        }
        4 => {
            let word = r.next() >> r.index(64);
            let word = if r.index(2) == 0 { word.to_be_bytes() } else { word.to_le_bytes() };
            bytes[at..at + width].copy_from_slice(&word[..width]);
        }
        5 => bytes.truncate(r.index(n)),
        6 => {
            let from = r.index(n);
            let piece = bytes[from..(from + r.index(64)).min(n)].to_vec();
            let end = (at + piece.len()).min(n);
            bytes[at..end].copy_from_slice(&piece[..end - at]);
        }
        7 => {
            let other = &samples[r.index(samples.len())];
            let from = r.index(other.len());
            let end = (from + r.index(64)).min(other.len());
            bytes.splice(at..at, other[from..end].iter().copied());
        }
        _ => drop(bytes.drain(at..(at + r.index(64)).min(n))),
    }
}

thread_local! {
    /// This thread runs a target; it sees its own panics.
    static CAMPAIGNER: Cell<bool> = const { Cell::new(false) };
}

/// Panics of the other threads: those that devices have started.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CAMPAIGNER.get() {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

/// The most memory that the process has had resident, in bytes; 0 where the host does not say.
fn most_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Ends the process if an input takes too long: a thread that hangs cannot be ended in another way.
struct Watch {
    begun: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn new(name: &'static str, seed: u64) -> Self {
        let watch = Self { begun: Arc::new(AtomicU64::new(0)), over: Arc::default() };
        let (begun, over) = (watch.begun.clone(), watch.over.clone());
        std::thread::spawn(move || {
            let (mut seen, mut since) = (0, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let now = begun.load(Ordering::Relaxed);
                if now != seen {
                    (seen, since) = (now, Instant::now());
                }
                if seen != 0 && since.elapsed() > PATIENCE {
                    eprintln!("{name}: input {} of seed {seed} hangs", seen - 1);
                    std::process::exit(101);
                }
            }
        });
        watch
    }
    fn begin(&self, index: u64) {
        self.begun.store(index + 1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Where a bad input is kept.
fn keep(target: &Target, seed: u64, index: u64, data: &[u8]) -> String {
    let path: PathBuf = std::env::temp_dir().join(format!("understage-fuzz-{}-{seed}-{index}", target.name));
    match fs::write(&path, data) {
        Ok(()) => format!("`cargo run -p understage-tests --bin fuzz -- {} {}`", target.name, path.display()),
        Err(e) => format!("the input cannot be written to {}: {e}", path.display()),
    }
}

/// Gives a target inputs until the time is over; the number of inputs, or what went wrong and how to see it again.
pub fn campaign(target: &Target, options: Options) -> Result<u64, String> {
    count_panics();
    CAMPAIGNER.set(true);
    let Options { time, seed } = options;
    println!("{}: seed {seed}, {} s", target.name, time.as_secs());
    let samples = (target.samples)();
    // What a stack overflow or a fault of the host leaves behind.
    let current = std::env::temp_dir().join(format!("understage-fuzz-{}-current", target.name));
    let current = fs::File::create(current).map_err(|e| format!("cannot write a temporary file: {e}"))?;
    let watch = Watch::new(target.name, seed);
    let begun = Instant::now();
    let mut index = 0;
    while begun.elapsed() < time {
        let data = input(target, &samples, seed, index);
        watch.begin(index);
        // If that fails, a crash has no number.
        let _ = current.write_all_at(format!("{index:20} of seed {seed}\n").as_bytes(), 0);
        let before = PANICS.load(Ordering::SeqCst);
        let slow = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&data)));
        let problem = if outcome.is_err() || PANICS.load(Ordering::SeqCst) != before {
            "a panic".to_owned()
        } else if most_resident() > RESIDENT {
            format!("{} MiB of memory", most_resident() >> 20)
        } else {
            if slow.elapsed() > Duration::from_secs(2) {
                println!("{}: input {index} took {:?}", target.name, slow.elapsed());
            }
            index += 1;
            continue;
        };
        let how = keep(target, seed, index, &data);
        CAMPAIGNER.set(false);
        return Err(format!(
            "{}: {problem} with input {index} of seed {seed}; see it again: {how}",
            target.name
        ));
    }
    CAMPAIGNER.set(false);
    println!("{}: {index} inputs in {:.1} s", target.name, begun.elapsed().as_secs_f32());
    Ok(index)
}
