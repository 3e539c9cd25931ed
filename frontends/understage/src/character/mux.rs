//! One character device with several users, as a serial port and the monitor on one terminal. All may write; what is typed
//! goes to one of them, and Ctrl-A c to the next.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::character::Port;
use crate::quit::{OnQuit, Quit};
use crate::terminal::InputQueue;
use crate::terminal::escape::{Escape, Event, HELP};
use crate::terminal::output::Output;

/// Called when a user gets the keys.
type OnFocus = Box<dyn Fn() + Send + Sync>;

struct User {
    input: Arc<InputQueue>,
    on_focus: OnFocus,
}

struct State {
    escape: Escape,
    /// Who gets the keys.
    focus: usize,
    users: Vec<User>,
}

/// See the module's head.
pub struct Mux {
    port: Arc<Port>,
    on_quit: OnQuit,
    state: Mutex<State>,
}

impl Mux {
    /// Takes all input of `port` from now on.
    pub fn new(port: Arc<Port>, on_quit: OnQuit) -> Arc<Self> {
        let state = State { escape: Escape::default(), focus: 0, users: Vec::new() };
        let mux = Arc::new(Self { port, on_quit, state: Mutex::new(state) });
        let pump = Arc::downgrade(&mux);
        mux.port.input().set_notify(Arc::new(move || {
            if let Some(mux) = pump.upgrade() {
                mux.pump();
            }
        }));
        mux
    }

    /// A port for one more user, who gets the keys.
    pub fn user(self: &Arc<Self>, on_focus: OnFocus) -> Arc<Port> {
        let input = Arc::new(InputQueue::default());
        let mut state = self.state.lock();
        state.focus = state.users.len();
        state.users.push(User { input: input.clone(), on_focus });
        drop(state);
        Arc::new(Port::on_top(self.port.clone(), Box::new(Above(self.clone())), input, self.on_quit.clone()))
    }

    /// Gives what has been typed to whom it is for. Keys for the machine are looked for even when no user takes any.
    fn pump(&self) {
        let mut bytes = [0; 256];
        loop {
            // One at a time, so that keys stay in their order.
            let mut state = self.state.lock();
            let n = self.port.input().take(&mut bytes);
            if n == 0 {
                return;
            }
            let (mut typed, mut events) = (Vec::new(), Vec::new());
            for byte in &bytes[..n] {
                match state.escape.feed(*byte) {
                    Some(Event::Byte(b)) => typed.push(b),
                    Some(event) => {
                        give(&state, &std::mem::take(&mut typed));
                        if event == Event::Switch {
                            state.focus = (state.focus + 1) % state.users.len().max(1);
                        }
                        events.push((event, state.focus));
                    }
                    None => {}
                }
            }
            give(&state, &typed);
            for (event, focus) in events {
                match event {
                    Event::Quit => (self.on_quit)(Quit::Keys),
                    Event::Help => self.port.write(HELP.as_bytes()),
                    Event::Switch => state.users.get(focus).iter().for_each(|user| (user.on_focus)()),
                    Event::Byte(_) => {}
                }
            }
        }
    }
}

fn give(state: &State, bytes: &[u8]) {
    let Some(user) = state.users.get(state.focus) else { return };
    if user.input.offer(bytes) < bytes.len() {
        tracing::warn!("keys are lost: those before them have not been taken");
    }
}

/// What a user writes goes to the device below. The users keep what they share.
struct Above(Arc<Mux>);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.port.write(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Output for Above {}
