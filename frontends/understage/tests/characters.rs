//! Serial ports, consoles and monitors at sockets and terminals, as other programs meet them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");
/// More than anything here takes on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends back what arrives at the first serial port.
const ECHO: &[u32] = &[
    0xd2a1_2001, // mov x1, #0x09000000
    0xb940_1822, // loop: ldr w2, [x1, #0x18] (UARTFR)
    0x3727_ffe2, // tbnz w2, #4, loop (RXFE)
    0xb940_0023, // ldr w3, [x1]
    0xb900_0023, // str w3, [x1]
    0x17ff_fffc, // b loop
];

/// Sends for ever, whenever there is room.
const FLOOD: &[u32] = &[
    0xd2a1_2001, // mov x1, #0x09000000
    0x5280_0f03, // mov w3, #'x'
    0xb940_1822, // loop: ldr w2, [x1, #0x18]
    0x372f_ffe2, // tbnz w2, #5, loop (TXFF)
    0xb900_0023, // str w3, [x1]
    0x17ff_fffd, // b loop
];

/// Gives a page of rings at 0x40100000 to the transmit queue of a legacy virtio console in the last transport, and notifies
/// it; it says neither what it understands nor that it is ready, as test suites do.
const LEGACY_CONSOLE: &[u32] = &[
    0xd287_c001, // mov x1, #0x3e00
    0xf2a1_4001, // movk x1, #0xa00, lsl #16
    0x5282_0002, // mov w2, #4096
    0xb900_2822, // str w2, [x1, #0x28] (GuestPageSize)
    0x5280_0023, // mov w3, #1
    0xb900_3023, // str w3, [x1, #0x30] (QueueSel)
    0x5280_0104, // mov w4, #8
    0xb900_3824, // str w4, [x1, #0x38] (QueueNum)
    0xb900_3c22, // str w2, [x1, #0x3c] (QueueAlign)
    0x5280_2005, // mov w5, #0x100
    0x72a0_0085, // movk w5, #4, lsl #16
    0xb900_4025, // str w5, [x1, #0x40] (QueuePFN)
    0xb900_5023, // str w3, [x1, #0x50] (QueueNotify)
    0x1400_0000, // b .
];

/// Stores words at addresses, for each of which there are an address, of 64 bits, and a value behind it; no address ends it.
const STORES: &[u32] = &[
    0x1000_00c0, // adr x0, stores
    0xa8c1_0801, // loop: ldp x1, x2, [x0], #16
    0xb400_0061, // cbz x1, end
    0xb900_0022, // str w2, [x1]
    0x17ff_fffd, // b loop
    0x1400_0000, // end: b .
];

/// The program that does these stores.
fn stores(stores: &[(u64, u32)]) -> Vec<u32> {
    let words = |(at, value): &(u64, u32)| [*at as u32, (*at >> 32) as u32, *value, 0];
    STORES.iter().copied().chain(stores.iter().flat_map(words)).chain([0; 4]).collect()
}

/// Tables of an SMMU for two functions that do DMA. Stream 8 has 2 MiB of addresses from zero on, and waits for software at any
/// other; the entry of stream 16 is ILLEGAL.
const TABLES: &[(u64, u32)] = &[
    (0x4100_0200, 1 | 5 << 1 | 0x4100_1000), // STE 8: V, Config (stage 1), S1ContextPtr
    (0x4100_0400, 1 | 5 << 1 | 0x4100_1000), // STE 16
    (0x4100_0404, 31 << 27),                 // S1CDMax
    (0x4100_1000, 32 | 1 << 30 | 1 << 31),   // CD: T0SZ, EPD1, V
    (0x4100_1004, 2 | 1 << 9 | 0xf << 12 | 1 << 16), // IPS, AA64, S, R, A, ASET, ASID 1
    (0x4100_1008, 0x4100_2000),              // TTB0
    (0x4100_1018, 0xff),                     // MAIR
    (0x4100_2000, 0x4100_3003),              // level 1
    (0x4100_3000, 0x4200_0741),              // level 2: a block
    (0x0c00_0080, 0x4100_0000),              // SMMU_STRTAB_BASE
    (0x0c00_0088, 5),                        // SMMU_STRTAB_BASE_CFG.LOG2SIZE
    (0x0c00_00a0, 0x4100_4004),              // SMMU_EVENTQ_BASE
    (0x0c00_0020, 5),                        // SMMU_CR0: SMMUEN, EVENTQEN
];

/// Two functions get their places and read 64 bytes each: the one at 0x1000 and 0x200000, the other at 0x1000.
const TRANSFERS: &[(u64, u32)] = &[
    (0x40_1000_8010, 0x1000_0000), // BAR0 of 00:01.0
    (0x40_1000_8004, 6),           // memory, bus master
    (0x40_1001_0010, 0x1010_0000), // those of 00:02.0
    (0x40_1001_0004, 6),
    (0x1000_0080, 0x1000),   // source
    (0x1000_0088, 0x4_0000), // destination
    (0x1000_0090, 64),       // count
    (0x1000_0098, 1),        // command
    (0x1010_0080, 0x1000),
    (0x1010_0088, 0x4_0000),
    (0x1010_0090, 64),
    (0x1010_0098, 1),
    (0x1000_0080, 0x20_0000),
    (0x1000_0098, 1),
];

/// A directory with a program, and a machine that runs it.
struct Machine {
    child: Child,
    dir: tempfile::TempDir,
}

fn directory(program: &[u32]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("program.bin");
    std::fs::write(&file, program.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    (dir, file)
}

fn qemu(program: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["qemu", "-M", "virt", "-cpu", "cortex-a72", "-m", "64M", "-display", "none", "-kernel"])
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Machine {
    /// In QEMU's spelling; `DIR` in an argument is the directory.
    fn qemu(program: &[u32], args: &str) -> Self {
        let (dir, file) = directory(program);
        let name = dir.path().display().to_string();
        let args = args.split_whitespace().map(|a| a.replace("DIR", &name));
        let child = qemu(&file).args(args).spawn().unwrap();
        Self { child, dir }
    }

    fn socket(&self, name: &str) -> Peer<UnixStream> {
        let path = self.dir.path().join(name);
        Peer::new(retry(|| UnixStream::connect(&path).ok()))
    }

    fn status(mut self) -> ExitStatus {
        retry(|| self.child.try_wait().unwrap())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until there is something.
fn retry<T>(mut f: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = f() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Who talks with a port of the machine.
struct Peer<S>(S);

impl<S: Read + Write> Peer<S> {
    fn new(stream: S) -> Self {
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to and with `end`.
    fn hear(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let n = self.0.read(&mut byte).unwrap_or(0);
            assert!(n == 1, "it ends with {:?}", String::from_utf8_lossy(&got));
            got.push(byte[0]);
        }
        String::from_utf8(got).unwrap()
    }

    /// What a monitor answers to a command.
    fn command(&mut self, line: &str) -> String {
        self.say(&format!("{line}\r"));
        let answer = self.hear("(qemu) ");
        let answer = answer.strip_prefix(&format!("{line}\r\n")).unwrap_or_else(|| panic!("{answer}"));
        answer.strip_suffix("(qemu) ").unwrap().replace("\r\n", "\n")
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_serial_port_and_a_monitor_at_sockets() {
    let machine = Machine::qemu(
        ECHO,
        "-serial unix:DIR/serial,server,nowait -monitor unix:DIR/monitor,server=on,wait=off",
    );
    let mut serial = machine.socket("serial");
    serial.say("hello");
    serial.hear("hello");
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    assert_eq!(monitor.command("info status"), "VM status: running\n");
    assert_eq!(monitor.command("stop"), "");
    assert_eq!(monitor.command("info status"), "VM status: paused\n");
    serial.say("again");
    let registers = monitor.command("info registers");
    assert!(
        registers.contains("CPU#0\n PC=00000000400800") && registers.contains("X01=0000000009000000"),
        "{registers}"
    );
    assert_eq!(monitor.command("x/2xw 0x40080000"), "0000000040080000: 0xd2a12001 0xb9401822\n");
    assert_eq!(monitor.command("xp /3xb 0x40080000"), "0000000040080000: 0x01 0x20 0xa1\n");
    assert_eq!(monitor.command("xp /x 0x10"), "0000000000000010: 0xff\n");
    assert!(
        monitor.command("x 0xffff000000000000").starts_with("Cannot access memory at 0xffff000000000000")
    );
    // What has arrived is not taken by who looks.
    let uart = monitor.command("info registers pl011@9000000");
    assert!(uart.starts_with("pl011@9000000, at 0x9000000:\n"), "{uart}");
    assert!(uart.contains("UARTDR                       not shown: reading it has an effect\n"), "{uart}");
    assert!(uart.contains("UARTPeriphID0                0x00000011\n"), "{uart}");
    let bridge = monitor.command("info registers pcie-host-bridge");
    assert!(bridge.contains("Vendor ID                    0x1b36\n"), "{bridge}");
    let nothing = monitor.command("info registers nothing");
    assert!(
        nothing.starts_with("there is no device 'nothing' with registers; there are flash0, "),
        "{nothing}"
    );
    assert_eq!(monitor.command("cont"), "");
    serial.hear("again");
    assert!(
        monitor
            .command("info mtree")
            .contains("0000000009000000-0000000009000fff (prio 0, i/o): pl011@9000000\n")
    );
    assert!(monitor.command("info pci").contains("Host bridge: PCI device 1b36:0008\n"));
    assert!(monitor.command("info chardev").contains("serial0: filename=unix:"));
    assert_eq!(monitor.command("info cpus"), "* CPU #0: on\n");
    assert_eq!(
        monitor.command("smmu streams"),
        "this machine has no SMMU: give it one with --iommu smmuv3 or -M iommu=smmuv3\n"
    );
    assert_eq!(monitor.command("frobnicate"), "unknown command: 'frobnicate'\n");
    assert_eq!(monitor.command("info frobnicate"), "unknown command: 'info frobnicate'\n");
    assert!(monitor.command("help").contains("system_powerdown"));
    assert_eq!(monitor.command("system_reset"), "");
    // The machine starts again, and so does its serial port. What was sent before that is lost.
    serial.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    retry(|| {
        serial.say("k");
        serial.0.read(&mut [0; 16]).ok().filter(|n| *n > 0)
    });
    // The next one at the monitor is greeted as well.
    drop(monitor);
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    monitor.say("quit\r");
    let path = machine.dir.path().join("serial");
    let (child, dir) = (machine, path);
    assert_eq!(child.status().code(), Some(0));
    assert!(!dir.exists(), "sockets are taken away");
}

#[test]
fn one_connection_for_serial_port_and_monitor() {
    let port = free_port();
    let machine = Machine::qemu(ECHO, &format!("-serial mon:tcp:127.0.0.1:{port},server,nowait"));
    let mut peer = Peer::new(retry(|| TcpStream::connect(("127.0.0.1", port)).ok()));
    peer.say("ls");
    peer.hear("ls");
    peer.say("\x01c");
    peer.hear("(qemu) ");
    assert_eq!(peer.command("info status"), "VM status: running\n");
    peer.say("\x01c\x01\x01!");
    peer.hear("\x01!");
    peer.say("\x01x");
    assert_eq!(machine.status().code(), Some(0));
}

#[test]
fn a_machine_that_waits_for_its_monitor() {
    let machine = Machine::qemu(
        ECHO,
        "-S -serial unix:DIR/serial,server,nowait -monitor unix:DIR/monitor,server,nowait",
    );
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    let mut serial = machine.socket("serial");
    serial.say("hello");
    assert_eq!(monitor.command("info status"), "VM status: paused\n");
    monitor.command("cont");
    serial.hear("hello");
}

#[test]
fn a_check_that_begins_at_a_monitors_word() {
    let ports = "-smp 2 -serial unix:DIR/serial,server,nowait -monitor unix:DIR/monitor,server,nowait";
    let machine = Machine::qemu(ECHO, ports);
    let mut serial = machine.socket("serial");
    serial.say("hello");
    serial.hear("hello");
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    assert_eq!(monitor.command("info check"), "there is no check\n");
    assert_eq!(monitor.command("check"), "usage: check lockstep\n");
    assert_eq!(monitor.command("check lockstep"), "");
    assert_eq!(monitor.command("check lockstep"), "the check has begun already\n");
    serial.say("again");
    serial.hear("again");
    let compared = monitor.command("info check");
    let stretches = compared.split(" stretches compared").next().and_then(|s| s.rsplit(' ').next());
    assert!(compared.starts_with("lockstep: ") && stretches.is_some_and(|s| s != "0"), "{compared}");

    let machine = Machine::qemu(ECHO, &format!("-accel interp {ports}"));
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    let refused = "there is nothing to compare: no host code is made\n";
    assert_eq!(monitor.command("check lockstep"), refused);
}

#[test]
fn a_monitor_looks_inside_the_smmu() {
    let machine = Machine::qemu(
        &stores(&[TABLES, TRANSFERS].concat()),
        "-device arm-smmuv3,primary-bus=pcie.0,profile=full -device edu,addr=1.0 -device edu,addr=2.0 -serial null \
         -monitor unix:DIR/monitor,server,nowait",
    );
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    let stalled = retry(|| Some(monitor.command("smmu stalled")).filter(|told| told.starts_with("STAG ")));
    assert!(stalled.starts_with("STAG 0: stream 0x8, read of 0x200000, for "), "{stalled}");
    // Each with its time in front of it.
    let events = monitor.command("smmu events");
    let told: Vec<&str> = events.lines().filter_map(|line| Some(line.split_once(" s  ")?.1)).collect();
    assert_eq!(
        told,
        ["F_TRANSLATION: stream 0x8, read of 0x200000, stage 1, stalled as 0", "C_BAD_STE: stream 0x10"],
        "{events}"
    );
    let streams = monitor.command("smmu streams");
    let rows: Vec<Vec<&str>> = streams.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[1][..11],
        ["0x8", "00:01.0", "edu@1", "2", "64", "0", "0", "2", "1", "0", "1"],
        "{streams}"
    );
    assert_eq!(
        rows[2][..11],
        ["0x10", "00:02.0", "edu@2", "1", "0", "0", "0", "0", "0", "1", "0"],
        "{streams}"
    );
    let tlb = monitor.command("smmu tlb");
    assert!(tlb.contains("asked for: 2: 0 hits (0 %), 2 misses\n"), "{tlb}");

    let walk = monitor.command("smmu walk 8 0x1040");
    for step in [
        "stream 0x8\nSTE 0x8 at 0x41000200: V 0x1, Config 0x5, S1ContextPtr 0x41001000\n",
        "\nCD 0x0 at 0x41001000: T0SZ 0x20, ",
        "\nS1 L2 0x1040 at 0x41003000: 0x0000000042000741 block 0x42000000, 2^21 bytes\n",
        "\nphysical 0x42001040, ",
    ] {
        assert!(walk.contains(step), "{step}: {walk}");
    }
    let walk = monitor.command("smmu walk 8 0x200000 write");
    assert!(walk.ends_with("\nstage 1 translation fault, level 2, VA 0x200000\n"), "{walk}");
    let lint = monitor.command("smmu lint 8");
    assert!(
        lint.starts_with("STE 0x8 at 0x41000200: legal\nCD 0x0 at 0x41001000: legal\nstage 1 of EL1&0, "),
        "{lint}"
    );
    let lint = monitor.command("smmu lint 0x10");
    assert!(
        lint.starts_with("STE 0x10 at 0x41000400: ILLEGAL\n  S1CDMax, bits 63:59, is 0x1f: ")
            && lint.ends_with("(Arm IHI 0070, 5.2)\naborted: C_BAD_STE\n"),
        "{lint}"
    );
    let lint = monitor.command("smmu lint 32");
    assert!(
        lint.starts_with("aborted: C_BAD_STREAMID: the StreamID is beyond STRTAB_BASE_CFG.LOG2SIZE "),
        "{lint}"
    );

    assert_eq!(monitor.command("smmu lint"), "usage: smmu lint SID[.SSID]\n");
    assert!(monitor.command("help").contains("smmu [WHAT] "));
    assert!(monitor.command("help smmu").contains("smmu events "));
    // Nothing has changed because somebody looked.
    assert_eq!((monitor.command("smmu tlb"), monitor.command("smmu events")), (tlb, events));
}

#[test]
fn a_terminal_is_made_and_named() {
    let mut machine = Machine::qemu(ECHO, "-serial pty");
    let mut line = String::new();
    BufReader::new(machine.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let name = line.strip_prefix("char device redirected to ").unwrap_or_else(|| panic!("{line}"));
    let name = name.strip_suffix(" (label serial0)\n").unwrap_or_else(|| panic!("{line}"));
    let mut peer = Peer::new(File::options().read(true).write(true).open(name).unwrap());
    peer.say("\x03keys\r");
    peer.hear("\x03keys\r");
}

#[test]
fn the_users_terminal_has_a_monitor() {
    let (_dir, file) = directory(ECHO);
    let pair = nix::pty::openpty(None, None).unwrap();
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let load = format!("{}@0x40080000", file.display());
    let child = Command::new(PROGRAM)
        .args(["run", "--memory", "64M", "--load", &load, "--entry", "0x40080000"])
        .stdin(end(&pair.slave))
        .stdout(end(&pair.slave))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let machine = Machine { child, dir: tempfile::tempdir().unwrap() };
    let mut keys = Peer::new(File::from(pair.master));
    // Before the terminal is in raw mode it echoes by itself; Ctrl-A is no key that it knows.
    retry(|| {
        keys.say("k");
        std::thread::sleep(Duration::from_millis(50));
        let mode = nix::sys::termios::tcgetattr(&pair.slave).unwrap();
        (!mode.local_flags.contains(nix::sys::termios::LocalFlags::ECHO)).then_some(())
    });
    keys.say("?end");
    keys.hear("?end");
    keys.say("\x01c");
    keys.hear("(understage) ");
    keys.say("info status\r");
    assert!(keys.hear("(understage) ").contains("VM status: running"));
    keys.say("\x01cguest");
    keys.hear("guest");
    keys.say("\x01cq\r");
    assert_eq!(machine.status().code(), Some(0));
}

#[test]
fn a_test_device_ends_the_machine() {
    // Eight descriptors, the available ring, and the command for the device.
    let mut rings = vec![0; 0x3000];
    rings[..8].copy_from_slice(&0x4010_2000_u64.to_le_bytes());
    rings[8..12].copy_from_slice(&3_u32.to_le_bytes());
    rings[0x82] = 1;
    rings[0x2000..0x2003].copy_from_slice(b"12q");
    let (dir, file) = directory(LEGACY_CONSOLE);
    let data = dir.path().join("rings.bin");
    std::fs::write(&data, rings).unwrap();
    let child = qemu(&file)
        .args(["-serial", "null", "-chardev", "testdev,id=ctd"])
        .args(["-device", "virtio-serial-device", "-device", "virtconsole,chardev=ctd", "-device"])
        .arg(format!("loader,file={},addr=0x40100000,force-raw=on", data.display()))
        .spawn()
        .unwrap();
    assert_eq!(Machine { child, dir }.status().code(), Some(12 << 1 | 1));
}

#[test]
fn a_peer_that_leaves_or_does_not_read_harms_nobody() {
    let machine =
        Machine::qemu(FLOOD, "-serial unix:DIR/serial,server,nowait -monitor unix:DIR/monitor,server,nowait");
    for _ in 0..3 {
        let mut peer = machine.socket("serial");
        let mut some = vec![0; 100_000];
        peer.0.read_exact(&mut some).unwrap();
        assert!(some.iter().all(|b| *b == b'x'));
        // It leaves with all that is on its way to it.
    }
    let silent = machine.socket("serial");
    let mut monitor = machine.socket("monitor");
    monitor.hear("(qemu) ");
    // The guest is held up, and can be stopped, looked at and ended all the same.
    assert!(monitor.command("info registers").contains("PC=00000000400800"));
    monitor.say("quit\r");
    assert_eq!(machine.status().code(), Some(0));
    drop(silent);
}

#[test]
fn two_serial_ports() {
    // The echo program at the second port: only the address differs.
    let mut program = ECHO.to_vec();
    program[0] = 0xd2a1_2081; // mov x1, #0x09040000
    let machine = Machine::qemu(&program, "-serial null -serial unix:DIR/second,server,nowait");
    let mut peer = machine.socket("second");
    peer.say("second");
    peer.hear("second");
}
