//! Sessions with the debugger's stub, packet by packet; no gdb is needed. One with gdb itself is asked for by name.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");
/// Where the program is loaded and starts.
const START: u64 = 0x4008_0000;
/// Offsets in it: the ERET, EL1's first instruction, the loop, its store, what it counts.
const ERET: u64 = START + 0x24;
const EL1: u64 = START + 0x28;
const LOOP: u64 = START + 0x30;
const STORE: u64 = START + 0x38;
const COUNTER: u64 = START + 0x58;
/// ICH_LR0_EL2 in the program: pending, Group 1, priority 0xa0, virtual INTID 33.
const LIST_REGISTER: u64 = 0x50a0_0000_0000_0021;

/// Starts at EL2, fills a list register, drops to EL1, counts to five in memory, turns the machine off.
const CODE: &[u32] = &[
    0xd2b0_0001, // mov x1, #0x80000000
    0xd51c_1101, // msr hcr_el2, x1
    0xd280_0422, // mov x2, #0x21
    0xf2ea_1402, // movk x2, #0x50a0, lsl #48
    0xd51c_cc02, // msr ich_lr0_el2, x2
    0x1000_00a3, // adr x3, el1
    0xd51c_4023, // msr elr_el2, x3
    0xd280_78a4, // mov x4, #0x3c5
    0xd51c_4004, // msr spsr_el2, x4
    0xd69f_03e0, // eret
    0x1000_0186, // el1: adr x6, counter
    0xd280_00a8, // mov x8, #5
    0xf940_00c7, // loop: ldr x7, [x6]
    0x9100_04e7, // add x7, x7, #1
    0xf900_00c7, // str x7, [x6]
    0xd100_0508, // sub x8, x8, #1
    0xb5ff_ff88, // cbnz x8, loop
    0xd2b0_8000, // mov x0, #0x84000000
    0xf280_0100, // movk x0, #8 (PSCI SYSTEM_OFF)
    0xd400_0003, // smc #0
    0x1400_0000, // b .
    0xd503_201f, // nop
    0,           // counter: .quad 0
    0,
];

/// Where the second CPU starts in [`TWO_CPUS`], what it executes then, and what it tells the first.
const SECOND: u64 = START + 0x30;
const FLAG: u64 = START + 0x40;

/// Turns a second CPU on, waits for its word in memory, turns the machine off.
const TWO_CPUS: &[u32] = &[
    0xd2b8_8000, // mov x0, #0xc4000000
    0xf280_0060, // movk x0, #3 (PSCI CPU_ON)
    0xd280_0021, // mov x1, #1
    0x1000_0122, // adr x2, second
    0xd280_00e3, // mov x3, #7
    0xd400_0003, // smc #0
    0x1000_0146, // adr x6, flag
    0xf940_00c7, // wait: ldr x7, [x6]
    0xb4ff_ffe7, // cbz x7, wait
    0xd2b0_8000, // mov x0, #0x84000000
    0xf280_0100, // movk x0, #8 (PSCI SYSTEM_OFF)
    0xd400_0003, // smc #0
    0x1000_0086, // second: adr x6, flag
    0xf900_00c0, // str x0, [x6]
    0x1400_0000, // b .
    0xd503_201f, // nop
    0,           // flag: .quad 0
    0,
];

/// Counts in X0 for ever, and puts it into memory.
const FOREVER: &[u32] = &[
    0x1000_0086, // adr x6, counter
    0x9100_0400, // loop: add x0, x0, #1
    0xf900_00c0, // str x0, [x6]
    0x17ff_fffe, // b loop
    0,           // counter: .quad 0
    0,
];

/// Waits for a key by a semihosting call.
const KEY: &[u32] = &[
    0x5280_00e0, // mov w0, #7 (SYS_READC)
    0xd280_0001, // mov x1, #0
    0xd45e_0000, // hlt #0xf000
    0x1400_0000, // b .
];

/// A machine that waits for a debugger.
struct Machine {
    child: Child,
    address: String,
    /// What it prints, which nobody reads; but it can be printed.
    _errors: BufReader<ChildStderr>,
    _dir: tempfile::TempDir,
}

impl Machine {
    /// One that runs a program.
    fn start(program: &[u32], more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program.bin");
        let bytes: Vec<u8> = program.iter().flat_map(|w| w.to_le_bytes()).collect();
        std::fs::write(&file, bytes).unwrap();
        let load = format!("{}@{START:#x}", file.display());
        let entry = format!("{START:#x}");
        let mut child = Command::new(PROGRAM)
            .args(["run", "--memory", "64M", "--cpu", "cortex-a72", "--serial", "null", "--load", &load])
            .args(["--entry", &entry, "--gdb", "127.0.0.1:0", "--gdb-wait"])
            .args(more)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("understage: a debugger can connect to ")
            .unwrap_or_else(|| panic!("{line}"));
        Self { address: address.to_owned(), child, _errors: errors, _dir: dir }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    /// The exit status, once the machine has ended by itself.
    fn status(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A debugger that knows packets and acknowledgements.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn send(&mut self, body: &str) {
        let sum = body.bytes().fold(0u8, |a, b| a.wrapping_add(b));
        self.stream.write_all(format!("${body}#{sum:02x}").as_bytes()).unwrap();
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// The next packet, with repeated characters written out.
    fn receive(&mut self) -> String {
        while self.byte() != b'$' {}
        let mut body = String::new();
        loop {
            match self.byte() {
                b'#' => break,
                b'*' => {
                    let (last, count) = (body.chars().last().unwrap(), self.byte() - 29);
                    body.extend(std::iter::repeat_n(last, count.into()));
                }
                b => body.push(b.into()),
            }
        }
        let _checksum = [self.byte(), self.byte()];
        self.stream.write_all(b"+").unwrap();
        body
    }

    fn ask(&mut self, body: &str) -> String {
        self.send(body);
        self.receive()
    }

    fn number(&mut self, body: &str) -> u64 {
        let text = self.ask(body);
        let word =
            u64::from_str_radix(text.get(..16).unwrap_or_else(|| panic!("{body}: {text}")), 16).unwrap();
        word.swap_bytes()
    }

    fn pc(&mut self) -> u64 {
        self.number("p20")
    }

    /// The answer to a `monitor` command.
    fn monitor(&mut self, command: &str) -> String {
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let mut answer = self.ask(&format!("qRcmd,{}", hex(command)));
        let mut out = Vec::new();
        while let Some(text) = answer.strip_prefix('O').filter(|t| *t != "K") {
            let pairs = (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap());
            out.extend(pairs);
            answer = self.receive();
        }
        assert_eq!(answer, "OK");
        String::from_utf8(out).unwrap()
    }

    /// What is said of a thread.
    fn extra(&mut self, thread: u8) -> String {
        let hex = self.ask(&format!("qThreadExtraInfo,{thread:x}"));
        let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    }

    /// The whole target description.
    fn description(&mut self) -> String {
        let mut out = String::new();
        loop {
            let piece = self.ask(&format!("qXfer:features:read:target.xml:{:x},800", out.len()));
            out.push_str(&piece[1..]);
            if piece.starts_with('l') {
                return out;
            }
        }
    }

    /// The value of a system register.
    fn system(&mut self, name: &str) -> u64 {
        let number = self.number_of(name);
        self.number(&format!("p{number:x}"))
    }

    /// The number of a system register in the description.
    fn number_of(&mut self, name: &str) -> u64 {
        let xml = self.description();
        let at = xml.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("{name}"));
        let number = xml[at..].split("regnum=\"").nth(1).unwrap();
        number.split('"').next().unwrap().parse().unwrap()
    }
}

#[test]
fn stops_and_registers() {
    let machine = Machine::start(CODE, &["--smp", "2"]);
    let mut c = machine.connect();
    assert!(c.ask("qSupported:swbreak+;hwbreak+").contains("qXfer:features:read+"));
    assert_eq!(c.ask("?"), "T05thread:01;");
    assert_eq!((c.ask("qfThreadInfo"), c.pc()), ("m01,02".to_owned(), START));
    // Core and FPU registers in one packet: 33 of 64 bits, PSTATE, 32 of 128, FPSR and FPCR.
    assert_eq!(c.ask("g").len(), 2 * (33 * 8 + 4 + 32 * 16 + 8));

    assert_eq!(c.ask("vCont;s:1;c"), "T05thread:01;");
    assert_eq!(c.pc(), START + 4);
    assert_eq!(c.ask(&format!("Z0,{ERET:x},4")), "OK");
    assert_eq!(c.ask("vCont;c"), "T05thread:01;swbreak:;");
    assert_eq!(c.pc(), ERET);
    let lr = c.number_of("ICH_LR0_EL2");
    assert_eq!((c.system("HCR_EL2"), c.system("ICH_LR0_EL2")), (0x8000_0000, LIST_REGISTER));
    // A register that can be written, and one that cannot.
    let value = format!("{:016x}", (LIST_REGISTER | 1 << 6).swap_bytes());
    assert_eq!(c.ask(&format!("P{lr:x}={value}")), "OK");
    assert_eq!(c.number(&format!("p{lr:x}")), LIST_REGISTER | 1 << 6);
    let midr = c.number_of("MIDR_EL1");
    assert_eq!(c.ask(&format!("P{midr:x}={value}")), "E16");

    // A step over the exception return, with the breakpoint still set.
    assert_eq!(c.ask("vCont;s:1;c"), "T05thread:01;");
    assert_eq!(c.pc(), EL1);
    assert_eq!(c.ask("p21"), "c5030000", "PSTATE: EL1h, masked");
    let shown = c.monitor("interrupts");
    assert!(
        shown.contains("ICH_LR0_EL2 0x50a0000000000061: pending, virtual INTID 97, priority 0xa0, group 1"),
        "{shown}"
    );
    assert!(c.monitor("walk 0x40080000").contains("is at physical address 0x40080000"));
    assert!(c.monitor("regs hcr_el2").contains("HCR_EL2 0x0000000080000000"));
    assert!(c.monitor("nonsense").contains("there is no command 'nonsense'"));
    assert!(c.monitor("help").contains("step-interrupts on|off"));
    assert!(c.monitor("smmu streams").starts_with("this machine has no SMMU: "));

    assert_eq!(c.ask(&format!("z0,{ERET:x},4")), "OK");
    assert_eq!(c.ask("vCont;c"), "W00");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn inside_the_smmu_while_the_machine_is_stopped() {
    let machine = Machine::start(FOREVER, &["--iommu", "smmuv3"]);
    let mut c = machine.connect();
    c.ask("?");
    assert!(c.monitor("smmu").contains("smmu lint SID[.SSID]"));
    assert!(c.monitor("smmu streams").starts_with("stream  master  transactions  bytes "));
    assert_eq!(c.monitor("smmu walk 8 0x1000"), "stream 0x8\nthe SMMU is not enabled: bypassed\n");
    assert_eq!(c.monitor("smmu walk 8"), "usage: smmu walk SID[.SSID] IOVA [write|fetch] [privileged]\n");
    assert!(c.monitor("smmu nonsense").starts_with("there is no command 'smmu nonsense'; there are\n"));
}

/// Names and numbers are gdb's to keep apart; it refuses a description with the same one twice.
#[test]
fn the_description() {
    let machine = Machine::start(CODE, &[]);
    let xml = machine.connect().description();
    let attributes = |name: &str| -> Vec<&str> {
        let start = format!(" {name}=\"");
        let registers = xml.split("<reg").skip(1).filter_map(|r| r.split("/>").next());
        registers.filter_map(|r| r.split(&start).nth(1)?.split('"').next()).collect()
    };
    let (names, numbers) = (attributes("name"), attributes("regnum"));
    assert!(names.len() > 200, "{}", names.len());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(names.len() - numbers.len(), 34 + 34, "core and FP registers are numbered from 0 on");
    assert!(numbers.iter().map(|n| n.parse::<u32>().unwrap()).is_sorted_by(|a, b| a < b));
    for name in
        ["x0", "sp", "cpsr", "v31", "fpcr", "HCR_EL2", "VTTBR_EL2", "ICH_LR3_EL2", "ESR_EL1", "CNTV_CTL_EL0"]
    {
        assert!(names.contains(&name), "{name}");
    }
    for (open, close) in [("<target ", "</target>"), ("<feature ", "</feature>"), ("<union ", "</union>")] {
        assert_eq!(xml.matches(open).count(), xml.matches(close).count(), "{open}");
    }
}

#[test]
fn a_thread_for_each_cpu() {
    let machine = Machine::start(TWO_CPUS, &["--smp", "2"]);
    let mut c = machine.connect();
    assert_eq!(c.extra(2), "CPU 1, off");
    assert_eq!(c.ask(&format!("Z0,{SECOND:x},4")), "OK");
    assert_eq!(c.ask("vCont;c"), "T05thread:02;swbreak:;");
    assert_eq!((c.extra(1), c.extra(2)), ("CPU 0, EL2".into(), "CPU 1, EL2".into()));
    // The second CPU's registers, then the first one's: what it was told, and the function it called.
    assert_eq!(
        (c.ask("Hg2"), c.pc(), c.number("p0"), c.system("MPIDR_EL1") & 0xff),
        ("OK".into(), SECOND, 7, 1)
    );
    assert_eq!((c.ask("Hg1"), c.system("MPIDR_EL1") & 0xff), ("OK".into(), 0));
    let first = c.pc();
    assert!((START + 0x14..START + 0x24).contains(&first), "{first:#x}");
    // One goes, the other stays.
    for pc in [SECOND + 4, SECOND + 8] {
        assert_eq!(c.ask("vCont;s:2"), "T05thread:02;");
        assert_eq!((c.ask("Hg2"), c.pc()), ("OK".into(), pc));
        assert_eq!((c.ask("Hg1"), c.pc()), ("OK".into(), first));
    }
    assert_eq!(c.number(&format!("m{FLAG:x},8")), 7);
    assert_eq!(c.ask("vCont;c"), "W00");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn time_stands_still_while_the_debugger_looks() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    let before = c.system("CNTPCT_EL0");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(c.system("CNTPCT_EL0"), before);
    // Half an instruction later, so to speak: a step lets it go on, if it may.
    assert_eq!(c.ask("Qqemu.sstep=3"), "OK");
    assert_eq!(c.ask("vCont;s:1"), "T05thread:01;");
    let frequency = c.system("CNTFRQ_EL0");
    assert!(c.system("CNTPCT_EL0") - before < frequency / 20, "less than the 50 ms that were slept");
}

/// The debugger goes without a word, or with one: the machine goes on.
#[test]
fn the_machine_goes_on_without_the_debugger() {
    for word in [None, Some("D")] {
        let machine = Machine::start(CODE, &[]);
        let mut c = machine.connect();
        assert_eq!(c.ask(&format!("Z0,{LOOP:x},4")), "OK");
        assert_eq!(c.ask(&format!("Z2,{COUNTER:x},8")), "OK");
        assert_eq!(c.ask("vCont;c"), "T05thread:01;swbreak:;");
        if let Some(word) = word {
            assert_eq!(c.ask(word), "OK");
        }
        drop(c);
        assert_eq!(machine.status(), Some(0), "{word:?}");
    }
}

#[test]
fn killing_is_answered() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    assert_eq!(c.ask("vKill;1"), "OK");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn memory_and_watchpoints() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    assert_eq!(c.ask(&format!("m{START:x},4")), "0100b0d2");
    assert_eq!(c.ask("m9000000,4"), "E0e", "registers of the UART are left alone");
    assert_eq!(c.ask("m0,4").len(), 8, "flash can be read");
    assert_eq!(c.ask("M0,1:00"), "E0e", "and not written");

    assert_eq!(c.ask("qqemu.PhyMemMode"), "0");
    assert_eq!(c.ask("Qqemu.PhyMemMode:1"), "OK");
    assert_eq!(c.ask("qqemu.PhyMemMode"), "1");
    assert_eq!(c.ask(&format!("M{COUNTER:x},8:1000000000000000")), "OK");
    assert!(c.monitor("phys off").contains("physical addresses: off"));
    assert_eq!(c.number(&format!("m{COUNTER:x},8")), 0x10);

    // Stores stop before they are made.
    assert_eq!(c.ask(&format!("Z2,{COUNTER:x},8")), "OK");
    assert_eq!(c.ask("vCont;c"), format!("T05thread:01;watch:{COUNTER:x};"));
    assert_eq!((c.pc(), c.number(&format!("m{COUNTER:x},8"))), (STORE, 0x10));
    assert_eq!(c.ask(&format!("z2,{COUNTER:x},8")), "OK");
    assert_eq!(c.ask("vCont;s:1;c"), "T05thread:01;");
    assert_eq!((c.pc(), c.number(&format!("m{COUNTER:x},8"))), (STORE + 4, 0x11));
    // Loads, and a breakpoint in the middle of a block.
    assert_eq!(c.ask(&format!("Z3,{:x},1", COUNTER + 7)), "OK");
    assert_eq!(c.ask("vCont;c"), format!("T05thread:01;rwatch:{:x};", COUNTER + 7));
    assert_eq!(c.pc(), LOOP);
    assert_eq!(c.ask(&format!("z3,{:x},1", COUNTER + 7)), "OK");
    assert_eq!(c.ask(&format!("Z1,{STORE:x},4")), "OK");
    for count in 0x11..0x15 {
        assert_eq!(c.ask("vCont;c"), "T05thread:01;swbreak:;");
        assert_eq!((c.pc(), c.number(&format!("m{COUNTER:x},8"))), (STORE, count));
        assert_eq!(c.ask("vCont;s:1;c"), "T05thread:01;");
    }
    // Code that the debugger changes: the machine is not turned off, but goes around `b .`.
    assert_eq!(c.ask(&format!("M{:x},4:1f2003d5", START + 0x4c)), "OK");
    c.send("vCont;c");
    std::thread::sleep(Duration::from_millis(200));
    c.stream.write_all(&[3]).unwrap();
    assert_eq!(c.receive(), "T02thread:01;");
    assert_eq!(c.pc(), START + 0x50);

    // Another debugger after this one; it ends the machine.
    assert_eq!(c.ask("D"), "OK");
    drop(c);
    let mut c = machine.connect();
    assert_eq!((c.ask("?"), c.pc()), ("T05thread:01;".to_owned(), START + 0x50));
    c.send("k");
    assert_eq!(machine.status(), Some(0));
}

/// While the machine runs nobody can look at it: what asks for that is refused, and a key stops it.
#[test]
fn packets_while_the_machine_runs() {
    let machine = Machine::start(FOREVER, &["--smp", "2"]);
    let mut c = machine.connect();
    for go in ["c", "vCont;c", "vCont;c:1"] {
        c.send(go);
        for packet in
            ["g", "m40080000,4", "vCont;c", "vCont;s:1", "c", "?", "p20", "Hg1", "Z0,40080004,4", "T1"]
        {
            assert_eq!(c.ask(packet), "E01", "{packet}");
        }
        assert_eq!(c.ask("qRcmd,68656c70"), "E01");
        assert_eq!(c.ask("qqemu.sstep"), "0x7", "what is no business of a CPU's is answered");
        c.stream.write_all(&[3]).unwrap();
        assert_eq!(c.receive(), "T02thread:01;");
        assert_eq!(c.ask("m40080000,4"), "86000010", "after {go}");
    }
    // A word in passing is heard, too.
    c.send("vCont;c");
    assert_eq!(c.ask("D"), "OK");
    let mut c = machine.connect();
    assert_eq!(c.ask("?"), "T05thread:01;");
    c.send("vCont;c");
    assert_eq!(c.ask("vKill;1"), "OK");
    assert_eq!(machine.status(), Some(0));
}

/// What is not understood is an error, and no more: the session goes on with the same thread selected.
#[test]
fn packets_that_make_no_sense() {
    let machine = Machine::start(FOREVER, &["--smp", "2"]);
    let mut c = machine.connect();
    assert_eq!(c.ask("Hg2"), "OK");
    let mpidr = format!("p{:x}", c.number_of("MPIDR_EL1"));
    let senseless = [
        "Hg99",
        "Hg3",
        "Hgp1.3",
        "Hq1",
        "vCont;s:3",
        "vCont;q",
        "vCont;s",
        "vCont",
        "mxyz,4",
        "m40080000",
        "M0,4:0",
        "Z0,zz,4",
        "Z7",
        "P0=x",
        "G00",
        "qXfer:features:read:target.xml:x,y",
        "qThreadExtraInfo",
        "Txx",
        "qRcmd,zz",
        "m123456789123456789,4",
        "Hg-1",
        "vKill",
        "X0,4",
    ];
    for packet in senseless {
        let answer = c.ask(packet);
        assert!(answer.starts_with('E') || answer.is_empty(), "{packet}: {answer}");
        assert_eq!(c.number(&mpidr) & 0xff, 1, "after {packet}");
    }
    assert_eq!(c.ask(&format!("M0,1:{}", "0".repeat(20_000))), "E01", "longer than a packet can be");
    // A packet with a wrong sum is asked for again, and an answer can be asked for again.
    c.stream.write_all(b"$?#00").unwrap();
    assert_eq!(c.byte(), b'-');
    assert_eq!(c.ask("?"), "T05thread:01;");
    c.stream.write_all(b"-").unwrap();
    assert_eq!(c.receive(), "T05thread:01;");
    // No more memory than a packet holds.
    for much in ["40000000", "ffffffffffffffffffff"] {
        let answer = c.ask(&format!("m{START:x},{much}"));
        assert!((4096..16384).contains(&answer.len()) && answer.starts_with("86000010"), "{}", answer.len());
    }
    assert_eq!(c.ask("QStartNoAckMode"), "OK");
    c.stream.write_all(b"$?#00").unwrap();
    assert_eq!(c.receive(), "E01");
    c.send("k");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn points_that_are_refused_are_not_kept() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    for point in [format!("2,{COUNTER:x},0"), "2,ffffffffffffffff,2".to_owned(), "4,0,0".to_owned()] {
        assert_eq!(c.ask(&format!("Z{point}")), "E16", "{point}");
        assert_eq!(c.ask(&format!("z{point}")), "E16", "{point} is not there");
    }
    // The same one twice is one; two kinds at one address are two.
    for point in [format!("0,{LOOP:x},4"), format!("2,{COUNTER:x},8")] {
        assert_eq!((c.ask(&format!("Z{point}")), c.ask(&format!("Z{point}"))), ("OK".into(), "OK".into()));
    }
    assert_eq!(c.ask(&format!("Z1,{LOOP:x},4")), "OK");
    assert_eq!(c.ask(&format!("z0,{LOOP:x},4")), "OK");
    assert_eq!(c.ask("vCont;c"), "T05thread:01;swbreak:;");
    assert_eq!(c.ask(&format!("z1,{LOOP:x},4")), "OK");
    assert_eq!(c.ask(&format!("z2,{COUNTER:x},8")), "OK");
    assert_eq!(c.ask("vCont;c"), "W00");
    // As many watchpoints as anybody needs, but not as many as one likes.
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    let refused = (0..2000).find(|n| c.ask(&format!("Z2,{:x},1", 0x4010_0000 + n)) != "OK");
    assert_eq!(refused, Some(1024));
}

/// Who asks and never reads is not read from either.
#[test]
fn a_debugger_that_does_not_read() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    c.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let packets = "$g#67".repeat(1000);
    const MUCH: usize = 200 << 20;
    let mut sent = 0;
    // The host keeps some megabytes for a connection.
    while sent < MUCH && c.stream.write_all(packets.as_bytes()).is_ok() {
        sent += packets.len();
    }
    assert!(sent < MUCH / 4, "{sent}");
    drop(c);
    assert_eq!(machine.status(), Some(0), "the machine goes on");
}

/// A call that waits is as if it had not been made, until there is what it waits for.
#[test]
fn a_program_that_waits_for_a_key() {
    let mut machine = Machine::start(KEY, &["--semihosting"]);
    let mut c = machine.connect();
    assert_eq!(c.ask(&format!("Z0,{:x},4", START + 8)), "OK");
    assert_eq!(c.ask("vCont;c"), "T05thread:01;swbreak:;");
    assert_eq!(c.ask(&format!("z0,{:x},4", START + 8)), "OK");
    c.send("vCont;c");
    std::thread::sleep(Duration::from_millis(100));
    c.stream.write_all(&[3]).unwrap();
    assert_eq!((c.receive(), c.pc(), c.number("p0")), ("T02thread:01;".into(), START + 8, 7));
    assert_eq!(c.ask(&format!("Z0,{:x},4", START + 12)), "OK");
    c.send("vCont;c");
    machine.child.stdin.as_mut().unwrap().write_all(b"k").unwrap();
    assert_eq!((c.receive(), c.pc()), ("T05thread:01;swbreak:;".into(), START + 12));
    assert_eq!(c.number("p0"), u64::from(b'k'));
    c.send("k");
    assert_eq!(machine.status(), Some(0));
}

/// What QEMU's users type.
#[test]
fn packets_and_commands_of_qemu() {
    let machine = Machine::start(CODE, &[]);
    let mut c = machine.connect();
    assert_eq!(c.ask("qqemu.Supported"), "sstepbits;sstep;PhyMemMode");
    assert_eq!(c.ask("qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4");
    assert_eq!(c.ask("qqemu.sstep"), "0x7");
    assert_eq!(c.ask("Qqemu.sstep=8"), "E22");
    assert_eq!(c.ask("Qqemu.sstep=x"), "E22");
    // Time stands still in a step, or it does not.
    let time = |c: &mut Client| c.system("CNTPCT_EL0");
    let before = time(&mut c);
    assert_eq!((c.ask("vCont;s:1"), time(&mut c)), ("T05thread:01;".into(), before));
    assert_eq!(c.ask("Qqemu.sstep=0x3"), "OK");
    assert_eq!((c.ask("qqemu.sstep"), c.ask("vCont;s:1")), ("0x3".into(), "T05thread:01;".into()));
    assert!(time(&mut c) > before);
    assert!(c.monitor("step-interrupts").contains("off"));
    assert_eq!(c.ask("Qqemu.sstep=5"), "OK");
    assert!(c.monitor("step-interrupts").contains("on"));

    let shown = c.monitor("info registers");
    for part in ["CPU#0\n PC=0000000040080008 X00=", "X01=0000000080000000\n", "PSTATE=000003c9 ---- EL2h"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert!(c.monitor("info mice").contains("usage: info registers"));
    // Without ENABLE a step goes on.
    assert_eq!(c.ask("Qqemu.sstep=0"), "OK");
    assert_eq!(c.ask("vCont;s:1"), "W00");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn the_address_is_taken_or_is_none() {
    let machine = Machine::start(CODE, &[]);
    let run = |address: &str| {
        let out = Command::new(PROGRAM)
            .args(["run", "--entry", "0x40000000", "--serial", "null", "--gdb", address])
            .output();
        let out = out.unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let port = machine.address.rsplit(':').next().unwrap();
    let taken =
        format!("understage: cannot listen at '127.0.0.1:{port}' given with --gdb: Address already in use\n");
    assert_eq!(run(&machine.address), (Some(2), taken));
    let (status, message) = run("nowhere");
    assert_eq!(status, Some(2));
    assert!(message.contains("'nowhere' given with --gdb is not HOST:PORT"), "{message}");
}

/// Runs gdb with these commands.
fn gdb(address: &str, commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-nx", "-batch", "-ex", "set pagination off", "-ex", "set tcp connect-timeout 20"]);
    gdb.args(["-ex", &format!("target remote {address}")]);
    commands.iter().for_each(|c| {
        gdb.args(["-ex", c]);
    });
    let out = gdb.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
#[ignore = "needs gdb-multiarch"]
fn a_session_with_gdb() {
    let machine = Machine::start(CODE, &["--smp", "2"]);
    let commands = [
        "hbreak *0x40080024",
        "continue",
        "printf \"EL%d HCR_EL2 %#lx LR0 %#lx\\n\", ($cpsr >> 2) & 3, $HCR_EL2, $ICH_LR0_EL2",
        "stepi",
        "printf \"EL%d pc %#lx\\n\", ($cpsr >> 2) & 3, $pc",
        "watch *(long*)0x40080058",
        "continue",
        "printf \"counter %d\\n\", *(long*)0x40080058",
        "delete",
        "info threads",
        "print $v0.d.u[0]",
        "monitor walk 0x40080000",
        "continue",
    ];
    let text = gdb(&machine.address, &commands);
    for expected in [
        "EL2 HCR_EL2 0x80000000 LR0 0x50a0000000000021",
        "EL1 pc 0x40080028",
        "counter 1",
        "(CPU 1, off)",
        "is at physical address 0x40080000",
        "exited normally",
    ] {
        assert!(text.contains(expected), "no '{expected}' in:\n{text}");
    }
    assert_eq!(machine.status(), Some(0));
}
