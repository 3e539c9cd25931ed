//! Machines that are killed while their guests write (see `understage_tests::crash`).

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use understage_tests::crash::{self, Device, Format, guest};

const USAGE: &str = "usage:
  crash [--kills N] [--seed S]      N machines (200) of each device with each format of an image; S is a number or new";
const SEED: u64 = 0x6372_6173;
const KILLS: u64 = 200;

fn options(words: &[String]) -> Option<(u64, u64)> {
    let (mut seed, mut kills) = (SEED, KILLS);
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        match (name.as_str(), value.parse::<u64>().ok()) {
            ("--kills", Some(n)) => kills = n,
            ("--seed", Some(n)) => seed = n,
            ("--seed", None) if value == "new" => {
                seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
            }
            _ => return None,
        }
    }
    Some((seed, kills))
}

fn run(words: &[String]) -> Result<(), String> {
    if words.first().is_some_and(|word| word == guest::WORD) {
        return guest::main(&words[1..]);
    }
    let (seed, kills) = options(words).ok_or(USAGE)?;
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    println!("seed {seed}");
    for device in Device::ALL {
        for format in Format::ALL {
            let (name, kind) = (device.name(), format.name());
            let seen = crash::run(&program, device, format, seed, kills)
                .map_err(|why| format!("{name}, {kind}: {why}"))?;
            println!("{name}, {kind}: nothing lost: {seen}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
