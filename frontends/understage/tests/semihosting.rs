//! Programs that call the host. Each is a list of calls with their parameters, which a few instructions make one after the
//! other; what the calls left in memory is written to a file by the last of them.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");
/// Where the program is; raw code goes there in QEMU's spelling, too.
const START: u64 = 0x4008_0000;
/// In the program: the list of calls, the exception vectors, the data.
const CALLS: usize = 0x40;
const VECTORS: usize = 0x800;
const DATA: u64 = START + 0x1000;
const RAM: u64 = 0x4000_0000;
/// Where nothing is.
const HOLE: u64 = 0x3_0000_0000;

const OPEN: u64 = 1;
const CLOSE: u64 = 2;
const WRITEC: u64 = 3;
const WRITE0: u64 = 4;
const WRITE: u64 = 5;
const READ: u64 = 6;
const READC: u64 = 7;
const ISERROR: u64 = 8;
const ISTTY: u64 = 9;
const SEEK: u64 = 0xa;
const FLEN: u64 = 0xc;
const TMPNAM: u64 = 0xd;
const REMOVE: u64 = 0xe;
const RENAME: u64 = 0xf;
const CLOCK: u64 = 0x10;
const TIME: u64 = 0x11;
const SYSTEM: u64 = 0x12;
const ERRNO: u64 = 0x13;
const GET_CMDLINE: u64 = 0x15;
const HEAPINFO: u64 = 0x16;
const EXIT: u64 = 0x18;
const EXIT_EXTENDED: u64 = 0x20;
const ELAPSED: u64 = 0x30;
const TICKFREQ: u64 = 0x31;

/// A mark for the ledger: one of the numbers that are left to applications.
const MARK: u64 = 0x100;

const FAILED: u64 = u64::MAX;

/// To EL0, with vectors that turn the machine off.
const TO_EL0: [u32; 7] = [
    0x1000_4000, // adr x0, vectors
    0xd518_c000, // msr vbar_el1, x0
    0x1000_00c0, // adr x0, calls
    0xd518_4020, // msr elr_el1, x0
    0xd280_7800, // mov x0, #0x3c0
    0xd518_4000, // msr spsr_el1, x0
    0xd69f_03e0, // eret
];
/// The same, but for the ERET.
const TO_CALLS: [u32; 3] = [0x1000_4000, 0xd518_c000, 0x1400_0006 /* b calls */];
/// The calls, at offset 0x20: a record is W0, X1, and where X0 goes.
const LOOP: [u32; 6] = [
    0x1000_0113, // adr x19, list
    0xa8c1_0660, // loop: ldp x0, x1, [x19], #16
    0xd45e_0000, // hlt #0xf000
    0xf840_8662, // ldr x2, [x19], #8
    0xf900_0040, // str x0, [x2]
    0x17ff_fffc, // b loop
];
/// PSCI SYSTEM_OFF: `mov x0, #0x84000000; movk x0, #8; hvc #0`.
const OFF: [u32; 3] = [0xd2b0_8000, 0xf280_0100, 0xd400_0002];

/// A program that is being made.
#[derive(Default)]
struct Calls {
    list: Vec<[u64; 3]>,
    data: Vec<u8>,
}

impl Calls {
    /// Puts bytes into memory, and gives their address.
    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = DATA + self.data.len() as u64;
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        at
    }

    fn block(&mut self, fields: &[u64]) -> u64 {
        let bytes: Vec<u8> = fields.iter().flat_map(|f| f.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// Makes a call; gives the address of its result.
    fn call(&mut self, operation: u64, parameter: u64) -> u64 {
        let to = self.block(&[0x5a5a]);
        self.call_to(operation, parameter, to);
        to
    }

    fn call_to(&mut self, operation: u64, parameter: u64, to: u64) {
        self.list.push([operation, parameter, to]);
    }

    /// Makes a call whose parameter is a block of these fields.
    fn with(&mut self, operation: u64, fields: &[u64]) -> u64 {
        let block = self.block(fields);
        self.call(operation, block)
    }

    /// Opens a file; gives the address of the result. Handles are numbered from 1 on, and closed ones come again.
    fn open(&mut self, name: &str, mode: u64) -> u64 {
        let at = self.bytes(name.as_bytes());
        self.with(OPEN, &[at, mode, name.len() as u64])
    }

    /// Ends with `status`.
    fn exit(&mut self, status: u64) {
        self.with(EXIT_EXTENDED, &[0x2_0026, status]);
    }

    /// The program. `prelude` comes before its calls.
    fn image(&self, prelude: &[u32]) -> Vec<u8> {
        let mut image = vec![0; (DATA - START) as usize];
        let mut put = |at: usize, words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        };
        put(0, prelude);
        put(0x20, &LOOP);
        put(VECTORS + 0x200, &OFF);
        put(VECTORS + 0x400, &OFF);
        let list: Vec<u8> = self.list.iter().flatten().flat_map(|f| f.to_le_bytes()).collect();
        assert!(CALLS + list.len() <= VECTORS, "too many calls");
        image[CALLS..CALLS + list.len()].copy_from_slice(&list);
        image.extend(&self.data);
        image
    }

    /// As the last of its calls, the program writes its data to a file; then it exits with 42. Gives the data, and what was
    /// printed.
    fn run(mut self, dir: &Path, more: &[&str]) -> (Data, Output) {
        let (name, block) = (self.bytes(b"data"), self.block(&[0; 3]));
        let open = self.block(&[name, 5, 4]);
        // The handle goes to where the next call finds it.
        self.call_to(OPEN, open, block);
        self.call(WRITE, block);
        self.exit(42);
        let length = self.data.len();
        let at = (block - DATA) as usize;
        self.data[at + 8..at + 16].copy_from_slice(&DATA.to_le_bytes());
        self.data[at + 16..at + 24].copy_from_slice(&(length as u64).to_le_bytes());
        let out = start(dir, &self.image(&TO_CALLS), more).wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(42), "{out:?}");
        (Data(std::fs::read(dir.join("data")).unwrap()), out)
    }
}

/// What a program had in memory at its end.
struct Data(Vec<u8>);

impl Data {
    fn bytes(&self, at: u64, length: usize) -> &[u8] {
        let at = (at - DATA) as usize;
        &self.0[at..at + length]
    }

    fn word(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    fn words<const N: usize>(&self, at: [u64; N]) -> [u64; N] {
        at.map(|at| self.word(at))
    }
}

/// Starts a program in `dir`, with pipes for its standard streams.
fn start(dir: &Path, image: &[u8], more: &[&str]) -> Child {
    std::fs::write(dir.join("program"), image).unwrap();
    let (load, entry) = (format!("program@{START:#x}"), format!("{START:#x}"));
    Command::new(PROGRAM)
        .args(["run", "--memory", "2M", "--cpu", "cortex-a72", "--virtualization", "off", "--serial", "null"])
        .args(["--load", &load, "--entry", &entry])
        .args(more)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn files() {
    use_files(&["--semihosting"]);
}

/// A call is made once, although the code around it is executed twice.
#[test]
fn files_in_lockstep() {
    use_files(&["--semihosting", "--check", "lockstep"]);
}

fn use_files(more: &[&str]) {
    let (dir, mut c) = (dir(), Calls::default());
    let (text, room) = (c.bytes(b"0123456789"), c.block(&[0; 4]));
    let opened = [c.open("a.txt", 6), c.open("a.txt", 8), c.open("no/such", 0)];
    let errno = c.call(ERRNO, 0);
    let wrote = [
        c.with(WRITE, &[1, text, 10]),
        c.with(SEEK, &[1, 4]),
        c.with(WRITE, &[1, text, 2]),
        c.with(WRITE, &[2, text + 8, 2]),
        c.with(FLEN, &[1]),
        c.with(SEEK, &[1, 2]),
    ];
    let read = [c.with(READ, &[1, room, 6]), c.with(READ, &[1, room + 8, 16]), c.with(READ, &[1, room, 8])];
    let rest = [
        c.with(ISTTY, &[1]),
        c.with(CLOSE, &[1]),
        c.with(CLOSE, &[1]),
        c.call(ERRNO, 0),
        c.open("a.txt", 0),
        c.with(WRITE, &[1, text, 1]),
        c.call(ERRNO, 0),
    ];
    let names = [c.bytes(b"a.txt"), c.bytes(b"b.txt"), c.bytes(b"c.txt")];
    std::fs::write(dir.path().join("c.txt"), "").unwrap();
    let moved = [
        c.with(RENAME, &[names[0], 5, names[1], 5]),
        c.with(REMOVE, &[names[2], 5]),
        c.with(REMOVE, &[names[2], 5]),
    ];
    let temporary = [c.with(TMPNAM, &[room + 24, 7, 4]), c.with(TMPNAM, &[room, 256, 100])];
    let errors = [c.with(ISERROR, &[FAILED]), c.with(ISERROR, &[0]), c.with(ISERROR, &[1])];
    let (data, _) = c.run(dir.path(), more);

    assert_eq!(data.words(opened), [1, 2, FAILED]);
    assert_eq!(data.word(errno), 2, "ENOENT");
    assert_eq!(data.words(wrote), [0, 0, 0, 0, 12, 0]);
    assert_eq!(data.words(read), [0, 12, 8], "what was not read: at the end it is all");
    assert_eq!(data.bytes(room, 6), b"230167");
    assert_eq!(data.bytes(room + 8, 4), b"8989");
    assert_eq!(data.words(rest), [0, 0, FAILED, 9, 1, FAILED, 9], "EBADF");
    assert_eq!(data.words(moved), [0, 0, FAILED]);
    assert_eq!(data.words(temporary), [FAILED, FAILED]);
    assert_eq!(data.words(errors), [1, 0, 0]);
    assert_eq!(std::fs::read(dir.path().join("b.txt")).unwrap(), b"012301678989");
}

/// Marks divide what the ledger says into phases, whose sums are the whole.
#[test]
fn marks_of_a_program_divide_the_ledger() {
    let (dir, mut c) = (dir(), Calls::default());
    let names = [c.bytes(b"quiet\0"), c.bytes(&[b'b'; 300])];
    let marks = names.map(|name| c.call(MARK, name));
    let nowhere = c.call(MARK, HOLE);
    let (data, _) = c.run(dir.path(), &["--semihosting", "--ledger", "ledger.json"]);
    assert_eq!(data.words(marks), [0, 0]);
    assert_eq!(data.word(nowhere), FAILED);

    let text = std::fs::read_to_string(dir.path().join("ledger.json")).unwrap();
    let ledger: serde_json::Value = serde_json::from_str(&text).unwrap();
    let phases = ledger["phases"].as_array().unwrap();
    let named: Vec<&str> = phases.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["start", "quiet", &"b".repeat(80)]);
    let count = |of: &serde_json::Value, key: &str| of["accounts"]["cpu0"][key].as_u64().unwrap_or(0);
    // From one HLT to the next is one round of the loop.
    assert_eq!(count(&phases[1], "instructions"), 5);
    assert_eq!(count(&phases[1], "instructions_el1"), 5);
    assert_eq!(count(&phases[1], "semihosting_calls"), 1);
    for key in ["instructions", "instructions_el1", "semihosting_calls"] {
        let sum: u64 = phases.iter().map(|p| count(p, key)).sum();
        assert_eq!(sum, count(&ledger["whole"], key), "{key}");
    }
}

/// In counted time an instruction takes what it is said to take, and nothing else takes any.
#[test]
fn time_is_counted_in_instructions() {
    let elapsed = |shift: &str| {
        let (dir, mut c) = (dir(), Calls::default());
        let at = [c.block(&[0]), c.block(&[0]), c.block(&[0])];
        for at in at {
            c.call(ELAPSED, at);
        }
        let (data, _) = c.run(dir.path(), &["--semihosting", "--count-time", shift]);
        data.words(at)
    };
    let [first, second, third] = elapsed("3");
    // A call sees the time of the one before it; from one to the next is one round of the loop, five instructions.
    assert_eq!(third - second, 5 << 3);
    assert_eq!(elapsed("3"), [first, second, third]);
    assert_eq!(elapsed("0"), [first >> 3, second >> 3, third >> 3]);
}

/// Without a ledger a mark fails, and changes nothing.
#[test]
fn marks_need_a_ledger() {
    let (dir, mut c) = (dir(), Calls::default());
    let name = c.bytes(b"x\0");
    let mark = c.call(MARK, name);
    let (data, out) = c.run(dir.path(), &["--semihosting"]);
    assert_eq!((data.word(mark), out.stderr.len()), (FAILED, 0));
}

#[test]
fn names_of_temporary_files() {
    let (dir, mut c) = (dir(), Calls::default());
    let room = c.block(&[0; 32]);
    let named = c.with(TMPNAM, &[room, 7, 256]);
    let (data, _) = c.run(dir.path(), &["--semihosting"]);
    assert_eq!(data.word(named), 0);
    let name = data.bytes(room, 256).split(|b| *b == 0).next().unwrap();
    assert!(name.ends_with(b"07") && name.contains(&b'/'), "{}", String::from_utf8_lossy(name));
}

#[test]
fn the_list_of_features() {
    let (dir, mut c) = (dir(), Calls::default());
    let room = c.block(&[0]);
    let results = [
        c.open(":semihosting-features", 4),
        c.open(":semihosting-features", 0),
        c.with(FLEN, &[1]),
        c.with(READ, &[1, room, 8]),
        c.with(SEEK, &[1, 4]),
        c.with(READ, &[1, room + 7, 1]),
    ];
    let (data, _) = c.run(dir.path(), &["--semihosting"]);
    assert_eq!(data.words(results), [FAILED, 1, 5, 3, 0, 0]);
    assert_eq!(data.bytes(room, 8), b"SHFB\x03\0\0\x03", "SH_EXT_EXIT_EXTENDED, SH_EXT_STDOUT_STDERR");
}

#[test]
fn time_heap_and_the_command_line() {
    let (dir, mut c) = (dir(), Calls::default());
    let (ticks, heap, line) = (c.block(&[0]), c.block(&[0; 4]), c.block(&[0; 2]));
    let results = [c.call(ELAPSED, ticks), c.with(HEAPINFO, &[heap])];
    let counts = [c.call(TICKFREQ, 0), c.call(CLOCK, 0), c.call(TIME, 0)];
    let block = c.block(&[line, 13]);
    let small = c.block(&[line, 12]);
    let lines = [c.call(GET_CMDLINE, small), c.call(GET_CMDLINE, block)];
    let arguments = [
        "--semihosting",
        "--semihosting-arg",
        "prog",
        "--semihosting-arg",
        "-v",
        "--semihosting-arg",
        "a, b",
    ];
    let (data, _) = c.run(dir.path(), &arguments);
    assert_eq!(data.words(results), [0, 0]);
    let [frequency, hundredths, seconds] = data.words(counts);
    assert_eq!(frequency, 1_000_000_000);
    let elapsed = data.word(ticks);
    assert!(
        elapsed > 0 && elapsed < 600 * frequency && hundredths >= elapsed / (frequency / 100),
        "{elapsed}"
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(seconds) < 600, "{seconds}");
    // From the end of the program to that of RAM, in both directions.
    let [low, high, stack, limit] = data.words([heap, heap + 8, heap + 16, heap + 24]);
    assert_eq!((high, stack, limit), (RAM + (2 << 20), high, low));
    assert!(low > DATA && low < DATA + 0x2000, "{low:#x}");
    assert_eq!(data.words(lines), [FAILED, 0]);
    assert_eq!((data.word(block + 8), data.bytes(line, 13)), (12, &b"prog -v a, b\0"[..]));
}

/// Whatever the parameters are, a call fails and no more.
#[test]
fn parameters_that_make_no_sense() {
    let (dir, mut c) = (dir(), Calls::default());
    let text = c.bytes(b"x");
    let open = c.open("out", 4);
    let mut failed = Vec::new();
    for operation in
        [OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ, ISERROR, ISTTY, SEEK, FLEN, TMPNAM, REMOVE, RENAME]
    {
        // Nothing, a device, and the end of the address space.
        failed.extend([HOLE, 0x900_0000, u64::MAX - 3].map(|at| c.call(operation, at)));
    }
    for handle in [0, 2, 257, 1 << 32, FAILED] {
        failed.extend([CLOSE, ISTTY, FLEN].map(|operation| c.with(operation, &[handle])));
    }
    failed.extend([
        c.with(WRITE, &[1, HOLE, 1]),
        c.with(WRITE, &[1, 0x900_0000, 1]),
        c.with(OPEN, &[text, 12, 1]),
        c.with(OPEN, &[text, 0, 1 << 40]),
        c.with(OPEN, &[text, 0, 3]),
        c.with(SEEK, &[1, u64::MAX]),
        c.call(0x99, 0),
        c.with(SYSTEM, &[text, 1]),
    ]);
    let errno = c.call(ERRNO, 0);
    // As much as there is.
    let long = c.with(WRITE, &[1, START, u64::MAX]);
    let (data, out) = c.run(dir.path(), &["--semihosting"]);
    assert_eq!(data.word(open), 1);
    for (n, at) in failed.iter().enumerate() {
        assert_eq!(data.word(*at), FAILED, "number {n}");
    }
    assert_eq!(data.word(errno), 1, "EPERM");
    let rest = RAM + (2 << 20) - START;
    assert_eq!(data.word(long), u64::MAX - rest);
    assert_eq!(std::fs::metadata(dir.path().join("out")).unwrap().len(), rest);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("operation 0x99") && said.contains("SYS_SYSTEM"), "{said}");
}

#[test]
fn the_console_is_the_standard_streams() {
    let program = || {
        let mut c = Calls::default();
        let (out, err, word) = (c.bytes(b"out\n"), c.bytes(b"err\n"), c.bytes(b"word\n\0"));
        let opened = [c.open(":tt", 0), c.open(":tt", 4), c.open(":tt", 8)];
        c.with(WRITE, &[2, out, 4]);
        c.with(WRITE, &[3, err, 4]);
        c.call(WRITE0, word);
        c.call(WRITEC, word);
        let wrong =
            [c.with(WRITE, &[1, out, 4]), c.with(SEEK, &[2, 0]), c.with(FLEN, &[2]), c.with(ISTTY, &[2])];
        (c, opened, wrong)
    };
    let dir = dir();
    let (c, opened, wrong) = program();
    let (data, printed) = c.run(dir.path(), &["--semihosting"]);
    assert_eq!(data.words(opened), [1, 2, 3]);
    assert_eq!(data.words(wrong), [FAILED, FAILED, FAILED, 0]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), "out\n");
    assert_eq!(String::from_utf8_lossy(&printed.stderr), "err\nword\nw");

    let (c, ..) = program();
    let (_, printed) = c.run(dir.path(), &["--semihosting", "--semihosting-console", "file:log"]);
    assert_eq!((printed.stdout.len(), printed.stderr.len()), (0, 0));
    assert_eq!(std::fs::read(dir.path().join("log")).unwrap(), b"out\nerr\nword\nwout\n");
}

#[test]
fn keys() {
    let (dir, mut c) = (dir(), Calls::default());
    let room = c.block(&[0]);
    c.open(":tt", 0);
    let first = c.call(READC, 0);
    let line = c.with(READ, &[1, room, 8]);
    let end = [c.with(READ, &[1, room, 8]), c.call(READC, 0)];
    let length = c.data.len() as u64;
    c.open("data", 4);
    c.with(WRITE, &[2, DATA, length]);
    c.exit(7);
    let mut child = start(dir.path(), &c.image(&TO_CALLS), &["--semihosting"]);
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"abcd").unwrap();
    drop(keys);
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let data = Data(std::fs::read(dir.path().join("data")).unwrap());
    assert_eq!((data.word(first), data.word(line)), (b'a'.into(), 5));
    assert_eq!(data.bytes(room, 3), b"bcd");
    assert_eq!(data.words(end), [8, FAILED], "nothing of 8 was read: the end");
}

/// With a port of its own, the console is that for both directions.
#[test]
fn keys_of_a_port() {
    let (dir, mut c) = (dir(), Calls::default());
    let key = c.block(&[0]);
    c.call_to(READC, 0, key);
    c.call(WRITEC, key);
    c.exit(8);
    let mut child =
        start(dir.path(), &c.image(&TO_CALLS), &["--semihosting", "--semihosting-console", "stdio"]);
    child.stdin.as_mut().unwrap().write_all(b"k").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), &out.stdout[..]), (Some(8), &b"k"[..]));
}

/// A program that waits for a key is no obstacle.
#[test]
fn who_waits_for_a_key_can_be_ended() {
    let (dir, mut c) = (dir(), Calls::default());
    let ready = c.bytes(b"ready\0");
    c.call(WRITE0, ready);
    c.call(READC, 0);
    let mut child = start(dir.path(), &c.image(&TO_CALLS), &["--semihosting"]);
    // To wait for a child closes its input, which would be an end of keys.
    let _keys = child.stdin.take().unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_ne!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn exit_statuses() {
    let cases: [(u64, &[u64], i32); 4] = [
        (EXIT, &[0x2_0026, 3], 3),
        (EXIT_EXTENDED, &[0x2_0026, 0], 0),
        (EXIT, &[0x2_0023, 0], 1),
        (EXIT, &[0x2_0026, 0x103], 3),
    ];
    for (operation, block, status) in cases {
        let (dir, mut c) = (dir(), Calls::default());
        c.with(operation, block);
        let child = start(dir.path(), &c.image(&TO_CALLS), &["--semihosting"]);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(status), "{block:x?}");
    }
}

/// Without the option HLT is UNDEFINED, and at EL0 it is unless that is asked for.
#[test]
fn who_may_call() {
    let cases: [(&[u32], &[&str], i32); 6] = [
        (&TO_CALLS, &[], 0),
        (&TO_CALLS, &["--semihosting"], 9),
        (&TO_CALLS, &["--semihosting", "--accel", "interp"], 9),
        (&TO_EL0, &["--semihosting"], 0),
        (&TO_EL0, &["--semihosting", "--semihosting-user"], 9),
        (&TO_EL0, &["--semihosting", "--semihosting-user", "--check", "lockstep"], 9),
    ];
    for (prelude, more, status) in cases {
        let (dir, mut c) = (dir(), Calls::default());
        c.exit(9);
        let out = start(dir.path(), &c.image(prelude), more).wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(status), "{more:?}: {out:?}");
    }
}

#[test]
fn the_spelling_of_qemu() {
    let run = |more: &str| {
        let (dir, mut c) = (dir(), Calls::default());
        let line = c.block(&[0; 4]);
        let block = c.block(&[line, 32]);
        c.call(GET_CMDLINE, block);
        c.call(WRITE0, line);
        c.exit(5);
        std::fs::write(dir.path().join("program"), c.image(&TO_CALLS)).unwrap();
        let out = Command::new(PROGRAM)
            .args(["qemu", "-M", "virt", "-cpu", "cortex-a72", "-display", "none", "-kernel", "program"])
            .args(more.split(' '))
            .current_dir(dir.path())
            .output()
            .unwrap();
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        (out.status.code(), String::from_utf8(out.stderr).unwrap() + &log)
    };
    let ran = |text: &str| (Some(5), text.to_owned());
    assert_eq!(run("-semihosting"), ran("program"));
    assert_eq!(run("-semihosting -append now"), ran("program now"));
    assert_eq!(run("-semihosting-config enable=on,target=native,arg=a,arg=b"), ran("a b"));
    assert_eq!(run("-semihosting -semihosting-config arg=a"), ran("a"));
    assert_eq!(
        run("-chardev file,id=c,path=log -semihosting-config on,chardev=c,target=auto"),
        ran("program")
    );
    assert_eq!(run("-semihosting-config enable=off"), (Some(0), String::new()));
    let refused = |message: &str| (Some(2), format!("understage: {message}\n"));
    assert_eq!(
        run("-semihosting-config target=gdb"),
        refused("'target=gdb' is not supported in -semihosting-config: calls are served by this program")
    );
    assert_eq!(
        run("-semihosting-config chardev=c"),
        refused("there is no free character device 'c' for -semihosting-config")
    );
    assert!(
        run("-semihosting-config mode=fast")
            .1
            .contains("'mode=fast' is not supported in -semihosting-config")
    );
}
