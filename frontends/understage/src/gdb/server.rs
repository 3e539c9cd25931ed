//! Listening for a debugger: one session after the other.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::session::{self, Event};
use super::target::Debuggee;
use crate::board::build::Board;
use crate::config::{Address, Given};
use crate::error::{UserError, reason, user_error};
use crate::out::say;
use crate::power::DebugEvent;

/// How long the end of the program waits for the debugger to hear of it.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the program's end and the sessions share.
#[derive(Default)]
struct Present {
    /// Where a session's events go, while there is one.
    session: Mutex<Option<SyncSender<Event>>>,
    left: Condvar,
}

/// A stub that listens.
pub struct Server {
    present: Arc<Present>,
    address: SocketAddr,
}

impl Server {
    /// Listens at `address` for debuggers of a machine, one at a time.
    pub fn start(address: &Given<Address>, board: &Board) -> Result<Self, UserError> {
        let Address { host, port } = &address.value;
        let listener = TcpListener::bind((host.as_str(), *port)).map_err(|e| {
            user_error!("cannot listen at '{host}:{port}' given with {}: {}", address.option, reason(&e))
        })?;
        let chosen = listener.local_addr();
        let chosen = chosen.map_err(|e| user_error!("cannot listen for the debugger: {}", reason(&e)))?;
        if *port == 0 {
            say(&format!("understage: a debugger can connect to {chosen}\n"));
        }
        let present = Arc::<Present>::default();
        let told = present.clone();
        board.power.set_debugger(Box::new(move || {
            if let Some(session) = &*told.session.lock() {
                // A session that has just ended needs no event, and one whose channel is full takes it after the others.
                let _ = session.try_send(Event::Machine);
            }
        }));
        let shared = present.clone();
        // Now, while nobody else uses the CPUs.
        let mut debuggee = Debuggee::new(board);
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let (sender, events) = sync_channel(session::WAITING);
                *shared.session.lock() = Some(sender.clone());
                if let Err(e) = session::hold(stream, sender, &events, &mut debuggee) {
                    tracing::warn!("the debugger's session ended: {}", reason(&e));
                }
                *shared.session.lock() = None;
                shared.left.notify_all();
                if matches!(debuggee.cpus.take_debug_event(), Some(DebugEvent::Ended(_))) {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("gdb".into())
            .spawn(serve)
            .map_err(|e| user_error!("cannot start a thread for the debugger: {}", reason(&e)))?;
        Ok(Self { present, address: chosen })
    }

    /// Where debuggers can connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the debugger, if there is one, has heard that the machine has ended; not for long.
    pub fn farewell(&self) {
        let mut session = self.present.session.lock();
        if session.is_some() {
            self.present.left.wait_for(&mut session, FAREWELL);
        }
    }
}
