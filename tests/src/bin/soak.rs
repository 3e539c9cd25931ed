//! Random programs in lockstep from the command line.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use understage_tests::soak::{Until, run};

const USAGE: &str = "usage:
  soak --minutes N [--seed S]    random programs in lockstep for so long; S is a number or new
  soak --seconds N [--seed S]    the same
  soak --seed S --program N      one of them again";
const SEED: u64 = 0x736f_616b;

fn options() -> Option<(u64, Until)> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut seed, mut until) = (SEED, None);
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        let number = value.parse::<u64>().ok();
        match (name.as_str(), number) {
            ("--minutes", Some(n)) => until = Some(Until::Time(Duration::from_secs(60 * n))),
            ("--seconds", Some(n)) => until = Some(Until::Time(Duration::from_secs(n))),
            ("--program", Some(n)) => until = Some(Until::Program(n)),
            ("--seed", Some(n)) => seed = n,
            ("--seed", None) if value == "new" => {
                seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
            }
            _ => return None,
        }
    }
    Some((seed, until?))
}

fn main() -> ExitCode {
    let Some((seed, until)) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("seed {seed}");
    match run(seed, until, |done| println!("{done}")) {
        Ok(done) => {
            println!("no difference: {done}");
            ExitCode::SUCCESS
        }
        Err(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}
