//! The debugger's stub, over a connection, with a machine that is stopped or runs.
//!
//! An input is a list of lines. The first one's first byte says in which state the machine is; each line is then sent as a
//! packet with the right sum, but for those that begin with one of these:
//!
//! | byte | what is sent |
//! |---|---|
//! | `!` | the rest of the line as it is |
//! | `^` | Ctrl-C, and the rest as a packet |
//! | `~` | the rest as a packet, once something has been answered or some milliseconds have passed |
//!
//! Afterwards another debugger comes, and must be served in both states: whatever the first one said, it neither stopped
//! the stub for ever nor kept the machine.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use emu_a64::level::El;
use emu_pe::psci::Machine as _;
use understage::board::build::Board;
use understage::board::run;
use understage::config::{Address, CharBackend, Given, MachineConfig, Topology};
use understage::gdb::server::Server;
use understage::load::plan::{Boot, Plan, Segment};
use understage::map;
use understage::power::Stop;
use understage::quit::OnQuit;

/// What the stub may take for an answer, on a host that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a line that waits for an answer does.
const PAUSE: Duration = Duration::from_millis(5);
/// Packets that are sent for one input.
const MOST: usize = 256;

/// Starts the second CPU at the loop, and counts: `mov x0, #0xc4000003; mov x1, #1; adr x2, loop; smc #0; loop: add x5, x5,
/// #1; adr x6, data; str x5, [x6]; b loop; data: 0`.
const PROGRAM: [u32; 11] = [
    0xd2b8_8000,
    0xf280_0060,
    0xd280_0021,
    0x1000_0042,
    0xd400_0003,
    0x9100_04a5,
    0x1000_0066,
    0xf900_00c5,
    0x17ff_fffd,
    0,
    0,
];

/// A machine with a stub. It ends if a debugger or the guest wants it to.
struct Debugged {
    board: Arc<Board>,
    address: SocketAddr,
    thread: JoinHandle<Stop>,
}

fn plan() -> Plan {
    let bytes = PROGRAM.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let program = Segment {
        address: map::RAM_BASE,
        size: bytes.len() as u64,
        bytes: bytes.into(),
        what: "a program".to_owned(),
    };
    Plan {
        segments: vec![program],
        flash: [None, None],
        fw_cfg: Vec::new(),
        fw_cfg_files: Vec::new(),
        dtb: Vec::new(),
        boot: Some(Boot { entry_pc: map::RAM_BASE, x0: 0, el: El::El2 }),
    }
}

impl Debugged {
    fn new() -> Self {
        let config = MachineConfig {
            topology: Topology::flat(2),
            memory: 1 << 20,
            serial: CharBackend::Null,
            ..MachineConfig::default()
        };
        let on_quit = |_| -> OnQuit { Arc::new(|_| {}) };
        let board = Arc::new(Board::new(&config, &plan(), &on_quit).unwrap_or_else(|e| panic!("{e}")));
        let address = Given::new("--gdb", Address { host: "127.0.0.1".to_owned(), port: 0 });
        let server = Server::start(&address, &board).unwrap_or_else(|e| panic!("{e}"));
        let address = server.address();
        let b = board.clone();
        let body = move || {
            let plan = plan();
            run::prepare(&b, &plan)
                .and_then(|ready| ready.run(false, false))
                .unwrap_or_else(|e| panic!("{e}"))
        };
        let thread = std::thread::spawn(body);
        Self { board, address, thread }
    }

    /// Lets a debugger in; `None` if there is no machine any more.
    fn connect(&self) -> Option<Client> {
        Client::new(TcpStream::connect(self.address).ok()?).ok()
    }
}

thread_local! {
    /// A machine is used as long as it lives: guest RAM is never given back.
    static MACHINE: RefCell<Option<Debugged>> = const { RefCell::new(None) };
}

/// The target.
pub(super) fn run(data: &[u8]) {
    MACHINE.with_borrow_mut(|slot| {
        let machine = slot.take().filter(|m| !m.thread.is_finished()).unwrap_or_else(Debugged::new);
        // From power-on, but for RAM outside the program.
        machine.board.power.system_reset();
        if let Some(client) = machine.connect() {
            client.talk(data);
        }
        *slot = match machine.connect().and_then(Client::ask_sense) {
            Some(()) => Some(machine),
            None => {
                machine.gone();
                None
            }
        };
    });
}

impl Debugged {
    /// A machine whose debuggers find nobody has ended, or is about to.
    fn gone(self) {
        let end = std::time::Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            assert!(std::time::Instant::now() < end, "the stub serves nobody, and the machine has not ended");
            std::thread::sleep(PAUSE);
        }
        // The stub notices when somebody comes.
        let _ = TcpStream::connect(self.address);
        self.thread.join().unwrap_or_else(|_| panic!("the machine's thread panicked"));
    }
}

/// A debugger, whose answers are read by a thread of their own.
struct Client {
    stream: TcpStream,
    answers: std::sync::mpsc::Receiver<Vec<u8>>,
}

fn framed(body: &[u8]) -> Vec<u8> {
    let sum = body.iter().fold(0u8, |a, b| a.wrapping_add(*b));
    [b"$", body, format!("#{sum:02x}").as_bytes()].concat()
}

impl Client {
    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut reader = stream.try_clone()?;
        let (sender, answers) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                // Nobody may want to know.
                let _ = sender.send(buffer[..n].to_vec());
            }
        });
        Ok(Self { stream, answers })
    }

    /// Says what an input has. The machine may end meanwhile.
    fn talk(mut self, data: &[u8]) {
        let runs = data.first().is_some_and(|b| b & 1 != 0);
        if runs && self.stream.write_all(&framed(b"vCont;c")).is_err() {
            return;
        }
        for line in data.get(1..).unwrap_or_default().split(|b| *b == b'\n').take(MOST) {
            let bytes = match line {
                [b'!', raw @ ..] => raw.to_vec(),
                [b'^', body @ ..] => [b"\x03", &framed(body)[..]].concat(),
                [b'~', body @ ..] => {
                    // An answer or none: both are well.
                    let _ = self.answers.recv_timeout(PAUSE);
                    framed(body)
                }
                body => framed(body),
            };
            match self.stream.write_all(&bytes) {
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("the stub does not read"),
                Err(_) => return,
                Ok(()) => {}
            }
        }
    }

    /// The text of the answers up to one that ends with `end`; `None` if the connection is closed before.
    fn until(&self, end: &str) -> Option<String> {
        let mut text = String::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while !text.contains(end) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(_) => panic!("the stub does not answer: '{text}'"),
            }
        }
        Some(text)
    }

    /// The stub serves a debugger that makes sense, with the machine stopped and running. `None` if it has ended.
    fn ask_sense(mut self) -> Option<()> {
        let mut ask = |bytes: &[u8], end| {
            self.stream.write_all(bytes).ok()?;
            self.until(end)
        };
        ask(&framed(b"?"), "T05thread:01;#07")?;
        ask(&framed(b"g"), "#")?;
        // All go on, but for a guest that is at an end.
        ask(&[&framed(b"vCont;c")[..], &framed(b"g")].concat(), "E01#a6")?;
        let stopped = ask(b"\x03", "#")?;
        if stopped.contains("$W") {
            return None;
        }
        assert!(stopped.contains("$T02thread:"), "{stopped}");
        ask(&framed(b"D"), "OK#9a").map(drop)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Whoever reads has the connection, too.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Conversations as they should be.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let stopped: &[&str] = &[
        "0qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+",
        "?\nqfThreadInfo\nqsThreadInfo\nqC\nqAttached",
        "vCont?\ng\np20\np44\nP0=1122334455667788\nHgp1.2\nHc-1\nT2\nqThreadExtraInfo,p1.1",
        "qXfer:features:read:target.xml:0,ffb\nqXfer:features:read:target.xml:ffb,ffb",
        "m40000000,40\nM40000100,4:deadbeef\nX40000100,4:abcd\nm9000000,4\nm0,8\nmffffffffffffff00,1000",
        "Z0,40000018,4\nvCont;c\n~z0,40000018,4\nZ2,40000024,8\nvCont;c\n~z2,40000024,8\nvCont;s:1;c\n~g",
        "qRcmd,68656c70\nqRcmd,696e666f20726567697374657273202d61\nqRcmd,77616c6b2030783430303030303030",
        "qqemu.sstepbits\nQqemu.sstep=3\nqqemu.sstep\nQqemu.PhyMemMode:1\nm40000000,8\nQStartNoAckMode\n?",
    ];
    let running: &[&str] = &[
        "1g\nm40000000,4\nvCont;c\n^?\nvCont;s:2;c\n~vCont;c\n^g\nvCont;c:1\nc\ns\n^D",
        "1!-+-\nvCtrlC\n!$#00\n!$g#\n!\u{3}\u{3}\u{3}\n?\nk",
        "1vKill;1\ng",
        "1G0000\nvCont;s:1\nHg99\nZ2,0,0\nm0,40000000\n^vCont;C05\n~S05\n^vMustReplyEmpty",
    ];
    let texts = [stopped.join("\n").into_bytes()].into_iter();
    texts.chain(stopped.iter().chain(running).map(|s| s.as_bytes().to_vec())).collect()
}
