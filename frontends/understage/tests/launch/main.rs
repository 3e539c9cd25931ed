//! Command lines as they are found in scripts, read-mes and CI of projects for this board, in their manner: each runs a
//! guest of a few instructions to its end, or is refused as it should be. `lines.rs` is the list.

mod guest;
mod lines;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lines::{Expect, LINES, Line};

const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");
/// A machine that has not come to its end by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// The words of a line: spaces separate, quotation marks hold together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                any = true;
            }
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// What the guest said, wherever the line sends it.
fn said(dir: &Path, stdout: &str) -> bool {
    let files = ["serial.log", "console.log", "uart.txt"];
    stdout.replace('\r', "").contains(guest::SAYS)
        || files.iter().any(|f| std::fs::read_to_string(dir.join(f)).is_ok_and(|t| t.contains(guest::SAYS)))
}

fn until(mut what: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Runs the line in a directory of its own; what is wrong, if anything is.
fn try_line(line: &Line) -> Result<(), String> {
    let args = words(line.options);
    if let Expect::Reads = line.expect {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        return match understage::qemu::parse(&args) {
            Ok(understage::qemu::Request::Run(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        };
    }
    let dir = tempfile::tempdir().unwrap();
    guest::populate(dir.path(), line.options);
    let mut command = Command::new(PROGRAM);
    command.arg("qemu").args(&args).current_dir(dir.path()).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Expect::Stays = line.expect {
        let came = until(|| said(dir.path(), ""));
        std::thread::sleep(Duration::from_millis(100));
        let stays = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        let _ = child.wait();
        return (came && stays).then_some(()).ok_or_else(|| format!("came to its end {came}, stays {stays}"));
    }
    if !until(|| child.try_wait().unwrap().is_some()) {
        let _ = child.kill();
        let out = child.wait_with_output().unwrap();
        return Err(format!("does not end: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let out = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let code = out.status.code();
    match line.expect {
        Expect::Refused(why) if code == Some(2) && stderr.contains(why) && stderr.lines().count() == 1 => {
            Ok(())
        }
        // In the background it may take a moment longer.
        Expect::Runs if code == Some(0) && until(|| said(dir.path(), &stdout)) => Ok(()),
        Expect::Ends if code == Some(0) => Ok(()),
        Expect::Prints(text) if code == Some(0) && stdout.contains(text) => Ok(()),
        _ => Err(format!("status {code:?}, said {stdout:?}, error {stderr:?}")),
    }
}

#[test]
fn every_line_runs_or_is_refused_as_expected() {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(line) = LINES.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(e) = try_line(line) {
                wrong.lock().unwrap().push(format!("{}: {}\n    {e}", line.from, line.options));
            }
        }
    };
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), LINES.len(), wrong.join("\n"));
}

#[test]
fn at_least_eighty_run() {
    let run =
        LINES.iter().filter(|l| matches!(l.expect, Expect::Runs | Expect::Ends | Expect::Stays)).count();
    assert!(run >= 80 && LINES.len() >= 100, "{run} of {} run", LINES.len());
}

/// What `-d` with `more` writes about a kernel at 0x40080000.
fn traced(more: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    guest::populate(dir.path(), "kernel.bin");
    let line = format!("-M virt -cpu max -m 64M -kernel kernel.bin -nographic -D trace.log {more}");
    let mut command = Command::new(PROGRAM);
    let out = command.arg("qemu").args(words(&line)).current_dir(dir.path()).stdin(Stdio::null()).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{more}: {}", String::from_utf8_lossy(&out.stderr));
    std::fs::read_to_string(dir.path().join("trace.log")).unwrap()
}

#[test]
fn each_category_tells_what_it_is_about() {
    let int = traced("-d int");
    assert!(int.contains("int: CPU 0 PSCI call 0x84000008"), "{int}");
    let exec = traced("-d exec");
    assert!(exec.contains("exec: CPU 0 EL1 0000000040080000 12 instructions"), "{exec}");
    assert!(exec.contains("exec: CPU 0 EL1 0000000040080030 1 instructions"), "{exec}");
    let asm = traced("-d in_asm");
    assert!(asm.contains("0000000040080000: d2a12001  movz x1, #0x900, lsl #0x10"), "{asm}");
    assert!(asm.contains("0000000040080030: d4000002  hvc #0x0"), "{asm}");
    let cpu = traced("-d cpu,fpu");
    assert!(cpu.contains("EL1 PC=0000000040080030") && cpu.contains("X01=0000000009000000"), "{cpu}");
    assert!(cpu.contains("Q31=00000000000000000000000000000000"), "{cpu}");
    let reset = traced("-d cpu_reset");
    assert!(reset.contains("cpu_reset: CPU 0 EL1 PC="), "{reset}");
    let mmu = traced("-d mmu");
    assert!(mmu.contains("mmu: CPU 0 walk for Execute of 0x40080000: 0x40080000"), "{mmu}");
    assert_eq!(traced("-d unimp,guest_errors"), "", "the guest does nothing of the kind");
}

#[test]
fn blocks_are_told_of_in_the_ranges_asked_for() {
    let some = traced("-d exec,in_asm -dfilter 0x40080030+4");
    assert!(some.contains("exec: CPU 0 EL1 0000000040080030") && some.contains("hvc"), "{some}");
    assert!(!some.contains("40080000"), "{some}");
    assert_eq!(traced("-d exec,in_asm -dfilter 0..0xfff"), "");
}

#[test]
fn encodings_that_are_not_there_and_senseless_accesses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    // A write to the read-only UARTFR, an undefined instruction at a vector at 0, where there is erased flash.
    let words_of_code: [u32; 4] = [0xd2a1_2001, 0xb900_fc22, 0x0000_0001, 0x1400_0000];
    let code: Vec<u8> = words_of_code.iter().flat_map(|w| w.to_le_bytes()).collect();
    std::fs::write(dir.path().join("k"), code).unwrap();
    let line =
        "-M virt -cpu max -m 64M -kernel k -display none -serial null -d unimp,guest_errors,int -D t.log";
    let mut command = Command::new(PROGRAM);
    let mut child =
        command.arg("qemu").args(words(line)).current_dir(dir.path()).stdin(Stdio::null()).spawn().unwrap();
    let log = || std::fs::read_to_string(dir.path().join("t.log")).unwrap_or_default();
    let told = until(|| {
        let log = log();
        log.contains("unimp: CPU 0 EL1 0x40080008: undefined instruction 00000001")
            && log.contains("guest_errors: pl011@9000000: ")
            && log.contains("int: CPU 0 Synchronous from EL1 to EL1: ELR 0x40080008")
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(told, "{}", log().lines().take(5).collect::<Vec<_>>().join("\n"));
}
