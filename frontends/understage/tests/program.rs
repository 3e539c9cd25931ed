//! The program as a user meets it: exit statuses, messages, the names it goes by.

use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");

fn run(program: impl AsRef<Path>, args: &[&str]) -> Output {
    Command::new(program.as_ref()).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_mistake_is_one_sentence_and_status_2() {
    let cases: [(&[&str], &str); 5] = [
        (
            &["run", "--kernel", "k", "--log", "emu_core=loud"],
            "understage: 'emu_core=loud' is not a filter for the log: error parsing level filter: \
             expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5\n",
        ),
        (
            &["run", "--kernel", "/no/Image"],
            "understage: could not open kernel '/no/Image' given with --kernel: No such file or directory\n",
        ),
        (
            &["run", "--cpu", "z80"],
            "understage: invalid value 'z80' for '--cpu <MODEL>': there is no CPU model 'z80' (there are cortex-a35, \
             cortex-a53, cortex-a57, cortex-a72, cortex-a55, cortex-a76, neoverse-n1, neoverse-v1, neoverse-n2, max, \
             max-qarma5)\n",
        ),
        (
            &["qemu", "-M", "virt,secure=on", "-cpu", "max"],
            "understage: 'secure=on' in -M is not supported: there is no EL3 and no Secure state\n",
        ),
        (
            &["qemu", "-M", "virt", "-cpu", "max", "-device", "mptsas1068"],
            "understage: '-device mptsas1068' is not supported: there is no such device here\n",
        ),
    ];
    for (args, expected) in cases {
        let out = run(PROGRAM, args);
        assert_eq!(text(&out.stderr), expected);
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(2), String::new()));
    }
}

#[test]
fn a_devicetree_is_dumped_under_both_names() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("a.dtb");
    let out = run(PROGRAM, &["run", "--smp", "2", "--dump-dtb", ours.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));

    let link = dir.path().join("qemu-system-aarch64");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let theirs = dir.path().join("b.dtb");
    let machine = format!("virt,virtualization=on,gic-version=3,dumpdtb={}", theirs.display());
    let out = run(&link, &["-M", &machine, "-cpu", "max", "-smp", "2", "-m", "2G", "-display", "none"]);
    assert!(out.status.success(), "{}", text(&out.stderr));

    let read = |path: &Path| understage::fdt::read::read(&std::fs::read(path).unwrap()).unwrap();
    let (mut a, mut b) = (read(&ours), read(&theirs));
    for tree in [&mut a, &mut b] {
        // Fresh in every run.
        tree.root.child_mut("chosen").properties.retain(|p| !p.name.ends_with("-seed"));
    }
    assert_eq!(a, b);
}

#[test]
fn help_teaches() {
    for args in [&["--help"][..], &["run", "--help"], &["qemu", "-h"]] {
        let out = run(PROGRAM, args);
        assert!(out.status.success() && text(&out.stdout).contains("Example"), "{args:?}");
    }
}
