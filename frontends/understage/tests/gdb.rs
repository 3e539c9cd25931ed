//! Sessions with the debugger's stub: packet by packet, and with gdb itself where it is installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
const CODE: [u32; 24] = [
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

/// A machine that runs [`CODE`] and waits for a debugger.
struct Machine {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Machine {
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program.bin");
        let bytes: Vec<u8> = CODE.iter().flat_map(|w| w.to_le_bytes()).collect();
        std::fs::write(&file, bytes).unwrap();
        let load = format!("{}@{START:#x}", file.display());
        let entry = format!("{START:#x}");
        let mut child = Command::new(PROGRAM)
            .args(["run", "--memory", "64M", "--cpu", "cortex-a72", "--serial", "null", "--load", &load])
            .args(["--entry", &entry, "--gdb", "127.0.0.1:0", "--gdb-wait"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("understage: a debugger can connect to ")
            .unwrap_or_else(|| panic!("{line}"));
        Self { address: address.to_owned(), child, _dir: dir }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
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
    let machine = Machine::start(&["--smp", "2"]);
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
    let (hcr, lr) = (c.number_of("HCR_EL2"), c.number_of("ICH_LR0_EL2"));
    assert_eq!(c.number(&format!("p{hcr:x}")), 0x8000_0000);
    assert_eq!(c.number(&format!("p{lr:x}")), LIST_REGISTER);
    // A register that can be written, and one that cannot.
    let value = format!("{:016x}", (LIST_REGISTER | 1 << 6).swap_bytes());
    assert_eq!(c.ask(&format!("P{lr:x}={value}")), "OK");
    assert_eq!(c.number(&format!("p{lr:x}")), LIST_REGISTER | 1 << 6);
    let el = c.number_of("MIDR_EL1");
    assert_eq!(c.ask(&format!("P{el:x}={value}")), "E16");

    // A step over the exception return, with the breakpoint still set.
    assert_eq!(c.ask("vCont;s:1;c"), "T05thread:01;");
    assert_eq!((c.pc(), c.number_of("HCR_EL2")), (EL1, hcr));
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

    assert_eq!(c.ask(&format!("z0,{ERET:x},4")), "OK");
    assert_eq!(c.ask("vCont;c"), "W00");
    assert_eq!(machine.status(), Some(0));
}

#[test]
fn memory_and_watchpoints() {
    let machine = Machine::start(&[]);
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

#[test]
fn the_address_is_taken_or_is_none() {
    let machine = Machine::start(&[]);
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

/// Runs gdb with these commands; `None`, with the reason printed, if it is not installed.
fn gdb(address: &str, commands: &[&str]) -> Option<String> {
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-nx", "-batch", "-ex", "set pagination off", "-ex", "set tcp connect-timeout 20"]);
    gdb.args(["-ex", &format!("target remote {address}")]);
    commands.iter().for_each(|c| {
        gdb.args(["-ex", c]);
    });
    match gdb.stdin(Stdio::null()).output() {
        Ok(out) => {
            Some(String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
        }
        Err(e) => {
            println!("skipped: gdb-multiarch cannot be run: {e}");
            None
        }
    }
}

#[test]
fn a_session_with_gdb() {
    let machine = Machine::start(&["--smp", "2"]);
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
    let Some(text) = gdb(&machine.address, &commands) else { return };
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

/// Debian's kernel, if `cargo xtask guests` has fetched it: one session with its first instructions, which run at EL2
/// with the MMU off, and one with the kernel at EL1 some time later.
#[test]
fn a_booting_kernel() {
    let guests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.guests");
    let (kernel, initrd) = (guests.join("Image"), guests.join("shell.cpio"));
    if !kernel.exists() || !initrd.exists() {
        println!("skipped: there is no .guests/Image; 'cargo xtask guests' fetches it");
        return;
    }
    let mut machine = Command::new(PROGRAM)
        .args(["run", "--cpu", "cortex-a72", "--smp", "2", "--memory", "512M", "--serial", "null"])
        .args(["--gdb", "127.0.0.1:0", "--gdb-wait", "--kernel"])
        .arg(&kernel)
        .arg("--initrd")
        .arg(&initrd)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(machine.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let where_it_is = "printf \"EL%d HCR_EL2 %#lx LR0 %#lx\\n\", ($cpsr >> 2) & 3, $HCR_EL2, $ICH_LR0_EL2";
    let first = ["hbreak *($pc + 4)", "continue", where_it_is, "stepi", "delete", "detach"];
    let second = [
        // The vector of interrupts that EL1 takes from itself; its code saves registers below the stack pointer.
        "thread 1",
        "hbreak *($VBAR_EL1 + 0x280)",
        "continue",
        where_it_is,
        "delete",
        "awatch *(char(*)[256])($sp - 256)",
        "continue",
        "delete",
        "kill",
    ];
    let early = gdb(&address, &first);
    let later = early.as_ref().and_then(|_| {
        std::thread::sleep(Duration::from_secs(15));
        gdb(&address, &second)
    });
    // The debugger has ended it, if there is one.
    let _ = machine.kill();
    let _ = machine.wait();
    let (Some(early), Some(later)) = (early, later) else { return };
    assert!(early.contains("EL2 HCR_EL2 "), "{early}");
    assert!(later.contains("EL1 HCR_EL2 0x"), "{later}");
    assert!(later.contains("Hardware access (read/write) watchpoint"), "{later}");
}
