//! The memory-model litmus set from the command line: as many rounds as one likes, and a table of what was seen.

use std::process::ExitCode;

use emu_pe::model::{MODELS, Model};
use firmware::guest_tests::litmus::{self, Kind, Litmus};
use understage_tests::litmus::{Accel, is_for, run};

const USAGE: &str = "usage: litmus [OPTION]... [TEST]...
  TEST                 a name, a family, or the beginning of a name with '*' behind it; without, all tests
  --iterations N       rounds of each test (default 100000; they come in batches of 512)
  --accel interp|jit   how instructions are executed (default jit)
  --cpu MODEL          the CPU model (default max)
  --histograms         print all outcomes of every test
  --list               print names and sections, and run nothing";

struct Options {
    iterations: u64,
    accel: Accel,
    cpu: String,
    histograms: bool,
    list: bool,
    tests: Vec<&'static Litmus>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match options(&words) {
        Ok(o) if o.list => {
            o.tests.iter().for_each(|t| println!("{:36} {:?}  {}", t.name, t.needs, t.section));
            ExitCode::SUCCESS
        }
        Ok(o) => run_all(&o),
        Err(text) => {
            eprintln!("litmus: {text}");
            ExitCode::from(2)
        }
    }
}

fn options(words: &[String]) -> Result<Options, String> {
    let mut o = Options {
        iterations: 100_000,
        accel: Accel::Jit,
        cpu: "max".into(),
        histograms: false,
        list: false,
        tests: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--iterations" => {
                let text = value()?;
                let number = text.replace('_', "").parse().ok().filter(|n| (1..=1_000_000_000).contains(n));
                o.iterations =
                    number.ok_or(format!("'{text}' given with --iterations is no number up to a billion"))?;
            }
            "--accel" => {
                o.accel = match value()?.as_str() {
                    "interp" => Accel::Interp,
                    "jit" => Accel::Jit,
                    other => return Err(format!("'{other}' given with --accel is neither interp nor jit")),
                }
            }
            "--cpu" => {
                o.cpu.clone_from(value()?);
                if Model::by_name(&o.cpu).is_none() {
                    return Err(format!(
                        "'{}' given with --cpu is none of {}",
                        o.cpu,
                        MODELS.iter().map(|m| m.name).collect::<Vec<_>>().join(", ")
                    ));
                }
            }
            "--histograms" => o.histograms = true,
            "--list" => o.list = true,
            option if option.starts_with('-') => return Err(format!("there is no option {option}\n{USAGE}")),
            name => o.tests.extend(named(name)?),
        }
    }
    if o.tests.is_empty() {
        o.tests = litmus::all().collect();
    }
    Ok(o)
}

fn named(name: &str) -> Result<Vec<&'static Litmus>, String> {
    let family = litmus::FAMILIES.iter().find(|(family, _)| *family == name);
    let found: Vec<_> = match (family, name.strip_suffix('*')) {
        (Some((_, tests)), _) => tests.iter().collect(),
        (None, Some(beginning)) => litmus::all().filter(|t| t.name.starts_with(beginning)).collect(),
        (None, None) => litmus::find(name).into_iter().collect(),
    };
    if found.is_empty() {
        return Err(format!("there is no test '{name}'; --list shows them"));
    }
    Ok(found)
}

fn run_all(o: &Options) -> ExitCode {
    let (mut failed, mut ran) = (0, 0);
    println!(
        "{:36} {:>10} {:>8} {:>10} {:>10} {:>8}",
        "test", "rounds", "outcomes", "weak", "forbidden", "s"
    );
    for test in &o.tests {
        let Some(model) = Model::by_name(&o.cpu).filter(|m| is_for(test, m)) else {
            println!("{:36} not on this model or host: it needs {:?}", test.name, test.needs);
            continue;
        };
        ran += 1;
        match run(test, model, o.accel, o.iterations) {
            Ok(seen) => {
                // "never": the outcome is allowed, and was not seen. "-": there is none.
                let weak = match seen.rounds(Kind::Weak) {
                    0 if test.weak.is_empty() => "-".to_owned(),
                    0 => "never".to_owned(),
                    n => n.to_string(),
                };
                let (outcomes, wrong) = (seen.counts.len(), seen.violations());
                println!(
                    "{:36} {:>10} {outcomes:>8} {weak:>10} {wrong:>10} {:>8.2}",
                    test.name,
                    seen.total(),
                    seen.time.as_secs_f64()
                );
                if o.histograms || wrong > 0 {
                    print!("{}", seen.histogram(test));
                }
                failed += u32::from(wrong > 0);
            }
            Err(text) => {
                println!("{text}");
                failed += 1;
            }
        }
    }
    println!("{} of {ran} tests without a forbidden outcome", ran - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
