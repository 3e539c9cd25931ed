//! A session with a debugger.
//!
//! It has one loop, fed by a channel: bytes from a thread that reads the connection, and a word when the machine may have
//! an event for the debugger. The channel is short, and sending to the debugger waits until it reads: so no end can make the
//! other one's memory grow.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, GdbStubError, MultiThreadStopReason};

use super::PACKET_BYTES;
use super::incoming::{Assembler, Incoming};
use super::packets::{self, ERROR};
use super::target::{Debuggee, thread};
use super::wire::{SharedWire, Wire};
use crate::power::DebugEvent;

/// Pieces of input that wait for the session.
pub(super) const WAITING: usize = 4;
/// How long the debugger may not read before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(60);

type Machine<'a> = GdbStubStateMachine<'a, Debuggee, SharedWire>;
type Failure = GdbStubError<Infallible, std::io::Error>;

/// What a session hears of.
pub(super) enum Event {
    /// The debugger said something.
    Bytes(Vec<u8>),
    /// The debugger has gone.
    Closed,
    /// The machine may have something to tell.
    Machine,
}

/// Sends what the connection says as events, until it is closed or the session is over. Waits while too many wait.
fn listen(mut stream: TcpStream, events: &SyncSender<Event>) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(n @ 1..) if events.send(Event::Bytes(buffer[..n].to_vec())).is_ok() => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    // A session that is over does not hear it.
    let _ = events.send(Event::Closed);
}

/// A debugger is connected: stops the machine, and does what it says until it goes.
pub(super) fn hold(
    stream: TcpStream,
    sender: SyncSender<Event>,
    events: &Receiver<Event>,
    debuggee: &mut Debuggee,
) -> Result<(), Failure> {
    if !debuggee.attach() {
        return Ok(());
    }
    let own = stream.try_clone();
    let result = match &own {
        Ok(own) => match start_listening(own, sender) {
            Ok(()) => converse(stream, events, debuggee),
            Err(_) => Ok(None),
        },
        Err(_) => Ok(None),
    };
    if let Ok(own) = own {
        // The other end may have closed it.
        let _ = own.shutdown(Shutdown::Both);
    }
    match result {
        Ok(Some(DisconnectReason::Kill)) => debuggee.kill(),
        Ok(Some(DisconnectReason::TargetExited(_) | DisconnectReason::TargetTerminated(_))) => {}
        // Detached, or gone without a word.
        _ => debuggee.detach(),
    }
    result.map(drop)
}

fn start_listening(stream: &TcpStream, sender: SyncSender<Event>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let reader = stream.try_clone()?;
    let listener = std::thread::Builder::new().name("gdb-input".into());
    listener.spawn(move || listen(reader, &sender)).map(drop)
}

/// The loop of a session. Gives why it ended, or nothing if the connection or the machine did.
fn converse(
    stream: TcpStream,
    events: &Receiver<Event>,
    debuggee: &mut Debuggee,
) -> Result<Option<DisconnectReason>, Failure> {
    let wire = SharedWire(Rc::new(RefCell::new(Wire::new(stream))));
    let Some(mut machine) = library(&wire, debuggee)? else { return Ok(None) };
    let mut session = Session { wire, no_acks: false, supported: None, selected: None };
    let mut assembler = Assembler::default();
    while let Ok(event) = events.recv() {
        let bytes = match event {
            Event::Closed => return Ok(None),
            Event::Machine => Vec::new(),
            Event::Bytes(bytes) => bytes,
        };
        for incoming in bytes.into_iter().filter_map(|b| assembler.take(b)) {
            let Some(next) = session.serve(machine, incoming, debuggee)? else { return Ok(None) };
            machine = next;
            if let GdbStubStateMachine::Disconnected(m) = &machine {
                return Ok(Some(session.farewell(m.get_reason())));
            }
        }
        // There may be an event of the machine that nobody could announce: the channel was full.
        let Some(next) = session.report_event(machine, debuggee)? else { return Ok(None) };
        machine = next;
        if let GdbStubStateMachine::Disconnected(m) = &machine {
            return Ok(Some(m.get_reason()));
        }
    }
    Ok(None)
}

/// The library's side of a session, at its start.
fn library<'a>(wire: &SharedWire, debuggee: &mut Debuggee) -> Result<Option<Machine<'a>>, Failure> {
    let stub = GdbStub::builder(wire.clone()).packet_buffer_size(PACKET_BYTES).build();
    stub.ok().map(|stub| stub.run_state_machine(debuggee)).transpose()
}

/// Gives a packet to the library.
fn feed<'a>(mut machine: Machine<'a>, body: &[u8], debuggee: &mut Debuggee) -> Result<Machine<'a>, Failure> {
    let sum = body.iter().fold(0u8, |a, b| a.wrapping_add(*b));
    let end = format!("#{sum:02x}");
    for byte in [b"$", body, end.as_bytes()].concat() {
        machine = match machine {
            GdbStubStateMachine::Idle(m) => m.incoming_data(debuggee, byte)?,
            GdbStubStateMachine::Running(m) => m.incoming_data(debuggee, byte)?,
            other => other,
        };
    }
    Ok(machine)
}

/// What there is to know of a session beside the library's part.
struct Session {
    wire: SharedWire,
    no_acks: bool,
    /// The last packets with which the debugger said what it can do, and selected a thread. The library forgets them with
    /// each packet that it does not understand, and is told again.
    supported: Option<Vec<u8>>,
    selected: Option<Vec<u8>>,
}

impl Session {
    fn answer(&self, body: &str) -> Result<(), std::io::Error> {
        self.wire.0.borrow_mut().answer(body)
    }

    fn acknowledge(&self, byte: u8) -> Result<(), std::io::Error> {
        if self.no_acks { Ok(()) } else { self.wire.0.borrow_mut().acknowledge(byte) }
    }

    /// Does what came in. Nothing if the connection or the machine has ended.
    fn serve<'a>(
        &mut self,
        machine: Machine<'a>,
        incoming: Incoming,
        debuggee: &mut Debuggee,
    ) -> Result<Option<Machine<'a>>, Failure> {
        let written = match incoming {
            Incoming::Packet(body) => {
                return match self.acknowledge(b'+') {
                    Ok(()) => self.packet(machine, body, debuggee),
                    Err(_) => Ok(None),
                };
            }
            Incoming::Interrupt => return self.interrupt(machine, debuggee).map(Some),
            Incoming::Again => self.wire.0.borrow_mut().again(),
            Incoming::TooLong => self.acknowledge(b'+').and_then(|()| self.answer(ERROR)),
            // Without acknowledgements nobody can ask for it again.
            Incoming::Damaged if self.no_acks => self.answer(ERROR),
            Incoming::Damaged => self.acknowledge(b'-'),
        };
        Ok(written.is_ok().then_some(machine))
    }

    fn packet<'a>(
        &mut self,
        machine: Machine<'a>,
        body: Vec<u8>,
        debuggee: &mut Debuggee,
    ) -> Result<Option<Machine<'a>>, Failure> {
        let own = if body == b"QStartNoAckMode" {
            self.no_acks = true;
            Some("OK".to_owned())
        } else if let Some(text) = packets::qemu(&body, debuggee) {
            Some(text)
        } else if packets::ends_session(&body) {
            // The library asks nothing of the machine for it, in whichever state.
            None
        } else if debuggee.held.is_none() || !packets::threads_exist(&body, debuggee.cpus.count()) {
            Some(ERROR.to_owned())
        } else {
            None
        };
        match own {
            Some(text) => Ok(self.answer(&text).is_ok().then_some(machine)),
            None => self.library(machine, &packets::modest(body), debuggee),
        }
    }

    /// Lets the library answer. Most of what it does not understand ends its state machine; a packet is no reason to end
    /// the session.
    fn library<'a>(
        &mut self,
        machine: Machine<'a>,
        body: &[u8],
        debuggee: &mut Debuggee,
    ) -> Result<Option<Machine<'a>>, Failure> {
        match feed(machine, body, debuggee) {
            Ok(machine) => {
                if body.starts_with(b"qSupported") {
                    self.supported = Some(body.to_vec());
                } else if body.starts_with(b"Hg") {
                    self.selected = Some(body.to_vec());
                }
                Ok(Some(machine))
            }
            Err(e) if e.is_connection_error() => Ok(None),
            Err(e) => {
                tracing::debug!("a packet of the debugger's is refused: {e}");
                if self.answer(ERROR).is_err() {
                    return Ok(None);
                }
                self.wire.0.borrow_mut().mute(true);
                let again = self.again(debuggee);
                self.wire.0.borrow_mut().mute(false);
                again
            }
        }
    }

    /// The library from its start to where it was.
    fn again<'a>(&self, debuggee: &mut Debuggee) -> Result<Option<Machine<'a>>, Failure> {
        let Some(machine) = library(&self.wire, debuggee)? else { return Ok(None) };
        let mut told = [&self.supported, &self.selected].into_iter().flatten();
        told.try_fold(machine, |machine, body| feed(machine, body, debuggee)).map(Some)
    }

    /// Tells the debugger why the machine has stopped.
    fn report<'a>(
        &mut self,
        machine: Machine<'a>,
        reason: MultiThreadStopReason<u64>,
        debuggee: &mut Debuggee,
    ) -> Result<Machine<'a>, Failure> {
        // From now on the library means this thread.
        self.selected = Some(format!("Hg{:x}", thread(debuggee.current)).into_bytes());
        match machine {
            GdbStubStateMachine::Running(m) => m.report_stop(debuggee, reason),
            other => Ok(other),
        }
    }

    /// Stops the machine if it runs.
    fn interrupt<'a>(
        &mut self,
        machine: Machine<'a>,
        debuggee: &mut Debuggee,
    ) -> Result<Machine<'a>, Failure> {
        if debuggee.held.is_some() {
            return Ok(machine);
        }
        let reason = if debuggee.stop() {
            let tid = thread(debuggee.current);
            MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGINT }
        } else {
            ended(debuggee)
        };
        self.report(machine, reason, debuggee)
    }

    /// Reports what the machine has to tell. Nothing if it ended while the debugger thought it stopped: there is no way
    /// to tell it then but to close the connection.
    fn report_event<'a>(
        &mut self,
        machine: Machine<'a>,
        debuggee: &mut Debuggee,
    ) -> Result<Option<Machine<'a>>, Failure> {
        let reason = match (debuggee.held.is_none(), debuggee.cpus.take_debug_event()) {
            (true, Some(DebugEvent::Stopped(cpu, stop))) => {
                if debuggee.stop() {
                    debuggee.reason(cpu, stop)
                } else {
                    ended(debuggee)
                }
            }
            (true, Some(DebugEvent::Ended(status))) => MultiThreadStopReason::Exited(status),
            (false, Some(DebugEvent::Ended(_))) => return Ok(None),
            _ => return Ok(Some(machine)),
        };
        self.report(machine, reason, debuggee).map(Some)
    }

    /// The last word. gdb waits for an answer to 'vKill', and the library has none; after 'k' nobody reads it.
    fn farewell(&self, reason: DisconnectReason) -> DisconnectReason {
        if matches!(reason, DisconnectReason::Kill) {
            let _ = self.answer("OK");
        }
        reason
    }
}

fn ended(debuggee: &Debuggee) -> MultiThreadStopReason<u64> {
    let status =
        if let Some(DebugEvent::Ended(status)) = debuggee.cpus.take_debug_event() { status } else { 0 };
    MultiThreadStopReason::Exited(status)
}
