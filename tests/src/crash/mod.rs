//! A machine that is killed while its guest writes: what the guest had flushed is there afterwards, and the image is sound.
//!
//! The guest is a driver in a process of its own ([`guest`]): the whole board without a CPU, whose disk it uses through the
//! device's registers. It makes batches of writes, all of a batch in flight at a time, has each flushed, and says so. [`run`]
//! starts it, kills it at a random moment, and looks at the image.

mod drivers;
pub mod guest;
mod image;
mod workload;

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use emu_core::random::SplitMix64;

pub use drivers::Device;
pub use image::Format;
use image::Image;
use workload::Workload;

/// Machines in a row that have the same image.
const LIVES: u64 = 8;
/// The longest life of one, in microseconds.
const LIFE_US: u64 = 60_000;
/// What the guest says when its disk can be used, and when a batch is flushed.
const READY: &str = "ready";
const FLUSHED: &str = "flushed";

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Machines that were killed.
    pub kills: u64,
    /// Batches that were flushed before.
    pub flushed: u64,
    /// Machines that were killed between two flushes of theirs.
    pub midway: u64,
    /// Images that another program looked at, too.
    pub checked: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, flushed, midway, checked } = self;
        write!(
            f,
            "{kills} kills, {midway} of them amid writes, {flushed} flushes, {checked} images checked by qemu-img"
        )
    }
}

/// Kills `kills` machines that `program` runs when it is given the words of [`guest::main`]. An error says what was lost.
pub fn run(program: &Path, device: Device, format: Format, seed: u64, kills: u64) -> Result<Summary, String> {
    let mut random = SplitMix64::new(seed);
    let mut summary = Summary::default();
    while summary.kills < kills {
        let mut image = Image::create(format)?;
        for _ in 0..LIVES.min(kills - summary.kills) {
            let (seed, life) = (random.number(), Duration::from_micros(random.number() % LIFE_US));
            let first = image.next_stamp();
            let mut child = start(program, device, &image, seed)?;
            let flushed = live(&mut child, life).map_err(|e| format!("seed {seed:#x}: {e}"))?;
            let mut workload = Workload::new(seed, first);
            (0..flushed).for_each(|_| workload.batch().iter().for_each(|w| image.expect(w)));
            workload.batch().iter().for_each(|w| image.allow(w));
            let seen = image.check().map_err(|e| format!("seed {seed:#x}, after {flushed} flushes: {e}"))?;
            image.reserve(workload.next_stamp());
            summary.kills += 1;
            summary.flushed += flushed;
            summary.midway += u64::from(seen.midway);
            summary.checked += u64::from(seen.by_other);
        }
    }
    Ok(summary)
}

fn start(program: &Path, device: Device, image: &Image, seed: u64) -> Result<Child, String> {
    Command::new(program)
        .args([guest::WORD, device.name(), image.format().name()])
        .arg(image.path())
        .args([seed.to_string(), image.next_stamp().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", program.display()))
}

/// Lets the machine live for some time after it is ready; gives the number of batches that it has flushed.
fn live(child: &mut Child, life: Duration) -> Result<u64, String> {
    let stdout = child.stdout.take().ok_or("the guest has no output")?;
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    let ready = lines.read_line(&mut line).is_ok() && line.trim() == READY;
    if ready {
        thread::sleep(life);
    }
    // Its id belongs to it until it is waited for.
    let _ = child.kill();
    let mut said = String::new();
    let read = lines.read_to_string(&mut said);
    child.wait().map_err(|e| format!("cannot wait for the guest: {e}"))?;
    read.map_err(|e| format!("cannot read what the guest says: {e}"))?;
    if !ready {
        return Err(format!("the guest does not begin: {line}{said}"));
    }
    // A line that has no end was not yet said.
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    match whole.lines().find(|line| !line.starts_with(FLUSHED)) {
        Some(other) => Err(format!("the guest says: {other}")),
        None => Ok(whole.lines().count() as u64),
    }
}
