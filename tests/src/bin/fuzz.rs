//! One fuzz target from the command line: a kept input, or a campaign.

use std::process::ExitCode;

use understage_tests::fuzz::{Options, TARGETS, Target, campaign};

const USAGE: &str = "usage:
  fuzz list             the targets
  fuzz TARGET           a campaign, as the tests do it (UNDERSTAGE_FUZZ_SECONDS, UNDERSTAGE_FUZZ_SEED)
  fuzz TARGET FILE...   inputs from files
  fuzz again TARGET NUMBER
                        one input of a campaign, with the same UNDERSTAGE_FUZZ_SEED; after a crash the number is in
                        understage-fuzz-TARGET-current in the directory for temporary files
  fuzz corpus TARGET DIRECTORY
                        well-formed inputs as files, for cargo-fuzz to start from";

fn run(words: &[&str]) -> Result<(), String> {
    match words {
        ["corpus", name, directory] => {
            let target = Target::find(name).ok_or_else(|| format!("there is no target {name}\n{USAGE}"))?;
            std::fs::create_dir_all(directory).map_err(|e| format!("cannot make {directory}: {e}"))?;
            for (i, sample) in (target.samples)().into_iter().enumerate() {
                let file = format!("{directory}/sample-{i}");
                std::fs::write(&file, sample).map_err(|e| format!("cannot write {file}: {e}"))?;
            }
        }
        ["again", name, number] => {
            let target = Target::find(name).ok_or_else(|| format!("there is no target {name}\n{USAGE}"))?;
            let number = number.parse().map_err(|_| format!("{number} is no number"))?;
            let samples = (target.samples)();
            (target.run)(&campaign::input(target, &samples, Options::from_env().seed, number));
        }
        ["list"] => TARGETS.iter().for_each(|t| println!("{:14} {}", t.name, t.about)),
        [name, files @ ..] => {
            let target = Target::find(name).ok_or_else(|| format!("there is no target {name}\n{USAGE}"))?;
            for file in files {
                (target.run)(&std::fs::read(file).map_err(|e| format!("cannot read {file}: {e}"))?);
            }
            if files.is_empty() {
                campaign(target, Options::from_env())?;
            }
        }
        [] => return Err(USAGE.to_owned()),
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
