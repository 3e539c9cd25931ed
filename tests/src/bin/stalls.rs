//! Stalls under stress from the command line.

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use understage_tests::stalls::run;

const USAGE: &str = "usage:
  stalls [--stalls N] [--seed S]    until there were so many stalls (100000); S is a number or new";
const SEED: u64 = 0x7374_616c;
const STALLS: u64 = 100_000;

fn options() -> Option<(u64, u64)> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut seed, mut stalls) = (SEED, STALLS);
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        match (name.as_str(), value.parse::<u64>().ok()) {
            ("--stalls", Some(n)) => stalls = n,
            ("--seed", Some(n)) => seed = n,
            ("--seed", None) if value == "new" => {
                seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
            }
            _ => return None,
        }
    }
    Some((seed, stalls))
}

fn main() -> ExitCode {
    let Some((seed, stalls)) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("seed {seed}");
    let begun = Instant::now();
    match run(seed, stalls) {
        Ok(done) => {
            println!("nothing lost, nothing twice: {done} in {:.1} s", begun.elapsed().as_secs_f32());
            ExitCode::SUCCESS
        }
        Err(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}
