//! Devices driven from outside, by the program's own door for that.

mod client;
#[path = "../driven/mod.rs"]
mod driven;
mod pci;
mod tree;
mod virtio;

use std::path::PathBuf;
use std::process::Command;

use client::Machine;
use pci::Function;
use virtio::Transport;

/// An image whose sectors are filled with their numbers.
fn image(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("disk");
    std::fs::write(&path, (0..64_u8).flat_map(|n| [n; 512]).collect::<Vec<_>>()).unwrap();
    path
}

#[test]
fn memory_time_and_the_end() {
    let mut m = Machine::start("-M virt -cpu max");
    assert_eq!(m.ok("endianness"), "little");
    m.write('q', 0x4000_0000, 0x1122_3344_5566_7788);
    assert_eq!(m.read('w', 0x4000_0002), 0x5566);
    m.set_bytes(0x4000_1000, b"understage");
    assert_eq!(m.bytes(0x4000_1000, 10), b"understage");
    assert_eq!(m.ask("nonsense 1"), "FAIL Unknown command 'nonsense'");
    // Nobody lets time pass.
    assert_eq!(m.ok("clock_step 0"), m.ok("clock_step 0"));
    assert_eq!(m.ok("clock_set 1000000"), "1000000");
    assert_eq!(m.ok("clock_step 5"), "1000005");
    assert_eq!(m.leave().code(), Some(0));
}

/// The real-time clock's alarm, a second from now: its wire is SPI 2.
#[test]
fn a_wire_is_heard_when_its_time_has_come() {
    const PL031: u64 = 0x0901_0000;
    let mut m = Machine::start("-M virt -cpu max -rtc clock=vm");
    m.ok("irq_intercept_in /machine/gic");
    let now = m.read('l', PL031);
    m.write('l', PL031 + 4, now + 1);
    m.write('l', PL031 + 0x10, 1);
    assert_eq!((m.ok("clock_step 100000000"), m.high.len()), ("100000000".to_owned(), 0));
    m.ok("clock_step 1000000000");
    m.until("the alarm", |m| {
        m.ok("endianness");
        m.high == [2]
    });
    m.write('l', PL031 + 0x1c, 1);
    assert!(m.high.is_empty());
}

#[test]
fn a_function_is_found_and_computes() {
    let mut m = Machine::start("-M virt -cpu max -device edu");
    let edu = Function::find(&mut m, 0x1234, 0x11e8);
    let bar = edu.bars[0];
    m.write('l', bar + 4, 0x0f0f_0f0f);
    assert_eq!(m.read('l', bar + 4), 0xf0f0_f0f0);
    m.write('l', bar + 8, 10);
    m.until("a factorial", |m| m.read('l', bar + 0x20) & 1 == 0);
    assert_eq!(m.read('l', bar + 8), 3_628_800);
}

#[test]
fn a_virtio_disk_works_on_every_transport() {
    let dir = tempfile::tempdir().unwrap();
    let drive = format!("-drive if=none,id=d0,format=raw,file={}", image(&dir).display());
    let mut m = Machine::start(&format!(
        "-M virt -cpu max {drive} -device virtio-blk-pci,drive=d0,disable-legacy=on"
    ));
    Transport::on_pci(&mut m).works(&mut m);
    assert_eq!(m.leave().code(), Some(0));
    for (legacy, line) in [(true, ""), (false, "-global virtio-mmio.force-legacy=false")] {
        let mut m =
            Machine::start(&format!("-M virt -cpu max {drive} -device virtio-blk-device,drive=d0 {line}"));
        let transport = Transport::on_mmio(&mut m);
        assert!(matches!(transport, Transport::Mmio { legacy: l, .. } if l == legacy));
        std::fs::write(dir.path().join("disk"), (0..64_u8).flat_map(|n| [n; 512]).collect::<Vec<_>>())
            .unwrap();
        transport.works(&mut m);
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (options, why) in [
        (
            "-accel tcg -qtest stdio",
            "-qtest drives devices while no CPU runs: it goes with -accel qtest only",
        ),
        ("-accel qtest -s", "-s has nothing to debug: with -accel qtest no CPU runs"),
        ("-qtest nonsense", "'-qtest nonsense' is not supported (there are none, "),
        (
            "-qtest stdio -serial stdio",
            "only one of the serial ports, the consoles and the monitors can be on stdio",
        ),
        (
            "-accel qtest -jitdump",
            "-jitdump is about translated code, and there is none with this accelerator",
        ),
    ] {
        let program = Command::new(env!("CARGO_BIN_EXE_understage"))
            .args("qemu -M virt -cpu max -nodefaults".split(' '))
            .args(options.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8(program.stderr).unwrap();
        assert!(program.status.code() == Some(2) && said.contains(why), "{options}: {said}");
    }
}
