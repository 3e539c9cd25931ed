//! Listening for a debugger, and a session with one.
//!
//! A session has one loop, fed by a channel: bytes from a thread that reads the connection, and a word when there is
//! news of the machine. Whoever sends does not wait.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use emu_core::clock::Clock;
use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, GdbStubError, MultiThreadStopReason};
use parking_lot::{Condvar, Mutex};

use super::Address;
use super::packets::{QemuPacket, Sorted, Sorter, packet};
use super::target::{Debuggee, thread};
use super::wire::Wire;
use crate::board::build::SharedVcpu;
use crate::board::power::{News, Power};
use crate::config::Given;
use crate::error::{UserError, reason};
use crate::user_error;

/// How long the end of the program waits for the debugger to hear of it.
const FAREWELL: Duration = Duration::from_secs(2);
/// A packet with all core registers, or a piece of memory.
const PACKET_BYTES: usize = 16384;

type Machine<'a> = GdbStubStateMachine<'a, Debuggee, Wire<TcpStream>>;
type Failure = GdbStubError<std::convert::Infallible, std::io::Error>;

enum Event {
    Bytes(Vec<u8>),
    Closed,
    News,
}

/// What the program's end and the sessions share.
#[derive(Default)]
struct Present {
    /// Where a session's events go, while there is one.
    session: Mutex<Option<Sender<Event>>>,
    left: Condvar,
}

/// A stub that listens.
pub struct Server {
    present: Arc<Present>,
}

impl Server {
    /// Listens at `address` for debuggers of the machine that these CPUs are of, one at a time.
    pub fn start(
        address: &Given<Address>,
        vcpus: Vec<SharedVcpu>,
        power: Arc<Power>,
        clock: Arc<Clock>,
    ) -> Result<Self, UserError> {
        let Address { host, port } = &address.value;
        let listener = TcpListener::bind((host.as_str(), *port)).map_err(|e| {
            user_error!("cannot listen at '{host}:{port}' given with {}: {}", address.option, reason(&e))
        })?;
        if *port == 0
            && let Ok(chosen) = listener.local_addr()
        {
            eprintln!("understage: a debugger can connect to {chosen}");
        }
        let present = Arc::<Present>::default();
        let told = present.clone();
        power.set_poke(Box::new(move || {
            if let Some(session) = &*told.session.lock() {
                // A session that has just ended does not need the news.
                let _ = session.send(Event::News);
            }
        }));
        let shared = present.clone();
        let serve = move || {
            let mut debuggee = Debuggee::new(vcpus, power, clock);
            for stream in listener.incoming().flatten() {
                let (sender, events) = channel();
                *shared.session.lock() = Some(sender.clone());
                if let Err(e) = session(stream, sender, &events, &mut debuggee) {
                    tracing::warn!("the debugger's session ended: {e}");
                }
                *shared.session.lock() = None;
                shared.left.notify_all();
            }
        };
        std::thread::Builder::new()
            .name("gdb".into())
            .spawn(serve)
            .map_err(|e| user_error!("cannot start a thread for the debugger: {}", reason(&e)))?;
        Ok(Self { present })
    }

    /// Waits until the debugger, if there is one, has heard that the machine has ended; not for long.
    pub fn farewell(&self) {
        let mut session = self.present.session.lock();
        if session.is_some() {
            self.present.left.wait_for(&mut session, FAREWELL);
        }
    }
}

/// Sends what the connection says as events, until it is closed.
fn listen(mut stream: TcpStream, events: &Sender<Event>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if events.send(Event::Bytes(buffer[..n].to_vec())).is_err() {
            return;
        }
    }
    let _ = events.send(Event::Closed);
}

/// A debugger is connected: stops the machine, and does what it says until it goes.
fn session(
    stream: TcpStream,
    sender: Sender<Event>,
    events: &Receiver<Event>,
    debuggee: &mut Debuggee,
) -> Result<(), Failure> {
    debuggee.power.hold();
    if !debuggee.halted() {
        return Ok(());
    }
    debuggee.physical = false;
    debuggee.current = 0;
    let (Ok(reader), Ok(mut own)) = (stream.try_clone(), stream.try_clone()) else {
        debuggee.detach();
        return Ok(());
    };
    let reading = std::thread::Builder::new().name("gdb-input".into()).spawn(move || listen(reader, &sender));
    let result = if reading.is_ok() { converse(stream, &mut own, events, debuggee) } else { Ok(None) };
    let _ = own.shutdown(Shutdown::Both);
    match result {
        Ok(Some(DisconnectReason::Kill)) => debuggee.kill(),
        Ok(Some(DisconnectReason::TargetExited(_) | DisconnectReason::TargetTerminated(_))) => {}
        // Detached, or gone without a word.
        _ => debuggee.detach(),
    }
    result.map(drop)
}

/// The loop of a session. Gives why it ended, or nothing if the connection or the machine did.
fn converse(
    stream: TcpStream,
    own: &mut TcpStream,
    events: &Receiver<Event>,
    debuggee: &mut Debuggee,
) -> Result<Option<DisconnectReason>, Failure> {
    let buffer_size = GdbStub::builder(Wire::new(stream)).packet_buffer_size(PACKET_BYTES);
    let Ok(stub) = buffer_size.build() else { return Ok(None) };
    let mut machine = stub.run_state_machine(debuggee)?;
    let mut sorter = Sorter::default();
    while let Ok(event) = events.recv() {
        match event {
            Event::Closed => return Ok(None),
            Event::News => match news(machine, debuggee)? {
                Some(next) => machine = next,
                None => return Ok(None),
            },
            Event::Bytes(bytes) => {
                for byte in bytes {
                    match sorter.sort(byte) {
                        Sorted::Kept => {}
                        Sorted::Qemu(packet) => {
                            if own.write_all(&sorter.answer(qemu(packet, debuggee))).is_err() {
                                return Ok(None);
                            }
                        }
                        Sorted::Pass(bytes) => {
                            for byte in bytes {
                                machine = interrupted(feed(machine, byte, debuggee)?, debuggee)?;
                            }
                        }
                    }
                }
            }
        }
        if let GdbStubStateMachine::Disconnected(m) = machine {
            let reason = m.get_reason();
            if matches!(reason, DisconnectReason::Kill) {
                // gdb waits for an answer to 'vKill', and the library has none; after 'k' nobody reads it.
                let _ = own.write_all(&packet("OK"));
            }
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn qemu(packet: QemuPacket, debuggee: &mut Debuggee) -> &'static str {
    match packet {
        QemuPacket::Supported => "PhyMemMode",
        QemuPacket::AskPhysical if debuggee.physical => "1",
        QemuPacket::AskPhysical => "0",
        QemuPacket::SetPhysical(on) => {
            debuggee.physical = on;
            "OK"
        }
    }
}

fn feed<'a>(machine: Machine<'a>, byte: u8, debuggee: &mut Debuggee) -> Result<Machine<'a>, Failure> {
    match machine {
        GdbStubStateMachine::Idle(m) => m.incoming_data(debuggee, byte),
        GdbStubStateMachine::Running(m) => m.incoming_data(debuggee, byte),
        other => Ok(other),
    }
}

/// Stops the machine if the debugger has just asked for it.
fn interrupted<'a>(machine: Machine<'a>, debuggee: &mut Debuggee) -> Result<Machine<'a>, Failure> {
    let GdbStubStateMachine::CtrlCInterrupt(m) = machine else { return Ok(machine) };
    if !debuggee.running {
        return m.interrupt_handled(debuggee, None::<MultiThreadStopReason<u64>>);
    }
    debuggee.power.hold();
    let reason = if debuggee.halted() {
        let tid = thread(debuggee.current);
        MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGINT }
    } else {
        ended(debuggee)
    };
    m.interrupt_handled(debuggee, Some(reason))
}

fn ended(debuggee: &Debuggee) -> MultiThreadStopReason<u64> {
    let status = if let Some(News::Ended(status)) = debuggee.power.news() { status } else { 0 };
    MultiThreadStopReason::Exited(status)
}

/// Reports what the machine has to tell. Nothing if it ended while the debugger thought it stopped: there is no way
/// to tell it then but to close the connection.
fn news<'a>(machine: Machine<'a>, debuggee: &mut Debuggee) -> Result<Option<Machine<'a>>, Failure> {
    let news = debuggee.power.news();
    let reason = match (&machine, news) {
        (GdbStubStateMachine::Running(_), Some(News::Stopped(cpu, stop))) => {
            if debuggee.halted() {
                debuggee.reason(cpu, stop)
            } else {
                ended(debuggee)
            }
        }
        (GdbStubStateMachine::Running(_), Some(News::Ended(status))) => MultiThreadStopReason::Exited(status),
        (_, Some(News::Ended(_))) => return Ok(None),
        _ => return Ok(Some(machine)),
    };
    match machine {
        GdbStubStateMachine::Running(m) => m.report_stop(debuggee, reason).map(Some),
        other => Ok(Some(other)),
    }
}
