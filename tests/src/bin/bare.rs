//! Cases of the bare-metal suite from the command line: to look at one, or to try it on another machine.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use firmware::guest_tests::{CASES, Case, Gic, layout, report};
use understage_tests::bare::run_everywhere;

const USAGE: &str = "usage:
  bare list                          the cases, with the sections of the specification
  bare run CASE...                   run cases on every model, and say what differs
  bare repeat SECONDS CASE...        the same again and again, for so long
  bare dump CASE FILE                write a case as a raw image, to be loaded at 0x40200000 and entered there at EL2
  bare check CASE FILE               compare 64 KiB of memory from 0x40400000, after a run elsewhere
  bare peer MODEL CASE... -- QEMU... run cases on another emulator that takes QEMU's options and monitor commands,
                                     with the CPU model of this name; without cases, all but those about the SMMU";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["list"] => list(),
        ["run", ref cases @ ..] => each(cases, run_everywhere),
        ["repeat", seconds, ref cases @ ..] => repeat(seconds, cases),
        ["dump", case, file] => dump(case, file),
        ["check", case, file] => check(case, file),
        ["peer", model, ref rest @ ..] => peer(model, rest),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{}", text.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Result<&'static Case, String> {
    Case::find(name).ok_or_else(|| format!("there is no case {name}; `bare list` shows them"))
}

fn list() -> Result<(), String> {
    CASES.iter().for_each(|c| println!("{:48} {:?}  {}", c.name, c.needs, c.section));
    Ok(())
}

/// Runs something with each case (all, if none is named) and prints what failed.
fn each(names: &[&str], mut what: impl FnMut(&Case) -> Result<(), String>) -> Result<(), String> {
    let cases = if names.is_empty() {
        CASES.iter().collect()
    } else {
        names.iter().map(|n| find(n)).collect::<Result<Vec<_>, _>>()?
    };
    let mut failed = 0;
    for case in &cases {
        if let Err(text) = what(case) {
            failed += 1;
            println!("{} ({})\n{}", case.name, case.section, text.trim_end());
        }
    }
    println!("{} of {} cases as expected", cases.len() - failed, cases.len());
    if failed == 0 { Ok(()) } else { Err(format!("{failed} cases differ")) }
}

fn repeat(seconds: &str, cases: &[&str]) -> Result<(), String> {
    let seconds = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        each(cases, run_everywhere)?;
    }
    Ok(())
}

fn dump(case: &str, file: &str) -> Result<(), String> {
    std::fs::write(file, find(case)?.assemble().bytes).map_err(|e| format!("cannot write {file}: {e}"))
}

fn check(case: &str, file: &str) -> Result<(), String> {
    let memory = std::fs::read(file).map_err(|e| format!("cannot read {file}: {e}"))?;
    report::failure(&find(case)?.assemble().expected, &memory).map_or(Ok(()), Err)
}

fn peer(model: &str, rest: &[&str]) -> Result<(), String> {
    let at = rest.iter().position(|w| *w == "--").ok_or(USAGE)?;
    let (cases, command) = (&rest[..at], &rest[at + 1..]);
    let (program, first) = command.split_first().ok_or(USAGE)?;
    let directory = std::env::temp_dir().join(format!("bare-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    let image = directory.join("image");
    let memory = directory.join("memory");
    let all: Vec<&str> = CASES.iter().filter(|c| !c.needs_test_master()).map(|c| c.name).collect();
    let result = each(if cases.is_empty() { &all } else { cases }, |case| {
        let _ = std::fs::remove_file(&memory);
        let assembled = case.assemble();
        std::fs::write(&image, &assembled.bytes).map_err(|e| format!("cannot write the image: {e}"))?;
        let mut child = Command::new(program)
            .args(first)
            .args(["-M", board(case), "-cpu", model, "-smp", "2", "-m", "128M"])
            .args(["-display", "none", "-serial", "none", "-no-shutdown", "-monitor", "stdio", "-device"])
            .arg(format!("loader,file={},addr={:#x},cpu-num=0,force-raw=on", image.display(), layout::IMAGE))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {program}: {e}"))?;
        let ended = converse(&mut child, &memory.display().to_string());
        let _ = child.kill();
        let _ = child.wait();
        ended?;
        let memory = std::fs::read(&memory).map_err(|e| format!("the monitor saved nothing: {e}"))?;
        report::failure(&assembled.expected, &memory).map_or(Ok(()), Err)
    });
    let _ = std::fs::remove_dir_all(&directory);
    result
}

/// The peer's board that a case is for.
fn board(case: &Case) -> &'static str {
    match case.gic {
        Gic::V2 => "virt,virtualization=on,gic-version=2",
        Gic::V3 => "virt,virtualization=on,gic-version=3",
    }
}

/// Waits for the program's end by way of the monitor, then has the result blocks saved.
fn converse(child: &mut Child, memory: &str) -> Result<(), String> {
    let (Some(mut monitor), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("the monitor has no pipes".to_owned());
    };
    let lost = |e: std::io::Error| format!("the monitor is gone: {e}");
    let mut answers = BufReader::new(answers).lines();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        writeln!(monitor, "info status").map_err(lost)?;
        let status = answers.by_ref().map_while(Result::ok).find(|l| l.contains("VM status"));
        if status.ok_or("the monitor is silent")?.contains("paused") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    writeln!(monitor, "pmemsave {:#x} {:#x} \"{memory}\"\nquit", layout::RESULTS, layout::RESULTS_SIZE)
        .map_err(lost)?;
    answers.for_each(drop);
    Ok(())
}
