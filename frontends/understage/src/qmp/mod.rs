//! QMP, the machine protocol of QEMU's monitors (its documentation, "QEMU Machine Protocol Specification"): a program asks, and is
//! told of events, in JSON.
//!
//! | module | what lives there |
//! |---|---|
//! | [`json`] | objects out of bytes |
//! | [`commands`] | the commands |
//! | [`queries`] | those that only ask |
//! | [`events`] | what is told without being asked |

mod commands;
pub mod events;
mod json;
mod queries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use self::commands::{Answer, Failure};
use self::json::Objects;
use crate::character::{Bell, Port};
use crate::error::{UserError, reason, user_error};
use crate::monitor::Machine;

/// How often it is looked whether answers are taken.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long an answer may take to leave when the machine is about to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A control monitor that is to be started.
pub struct Control {
    port: Arc<Port>,
    pretty: bool,
    bell: Arc<Bell>,
}

impl Control {
    /// At `port`. With `pretty` its answers are for people's eyes, too.
    #[must_use]
    pub fn new(port: Arc<Port>, pretty: bool) -> Self {
        let bell = Arc::<Bell>::default();
        let comes = bell.clone();
        if port.is_open() {
            bell.ring(true);
        }
        port.on_open(Box::new(move |open| {
            if open {
                comes.ring(true);
            }
        }));
        Self { port, pretty, bell }
    }

    /// Serves its clients, one after the other, in a thread of its own.
    pub fn start(self, machine: Arc<Machine>) -> Result<(), UserError> {
        let bell = self.bell.clone();
        self.port.input().set_notify(Arc::new(move || bell.ring(false)));
        let session =
            Arc::new(Session { port: self.port, pretty: self.pretty, ready: AtomicBool::new(false) });
        let told = session.clone();
        machine.events.listen(Arc::new(move |event| told.tell(event)));
        thread::Builder::new()
            .name("qmp".into())
            .spawn(move || serve(&session, &self.bell, &machine))
            .map(drop)
            .map_err(|e| user_error!("cannot start a thread for QMP: {}", reason(&e)))
    }
}

/// One client's.
struct Session {
    port: Arc<Port>,
    pretty: bool,
    /// Capabilities have been negotiated.
    ready: AtomicBool,
}

impl Session {
    fn say(&self, value: &Value) {
        // Values have no keys that are not text.
        let text =
            if self.pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.port.write(format!("{}\r\n", text.unwrap_or_default()).as_bytes());
    }

    /// An event. Before the negotiation there are none.
    fn tell(&self, event: &Value) {
        if self.ready.load(SeqCst) {
            self.say(event);
        }
    }

    fn greet(&self) {
        self.ready.store(false, SeqCst);
        self.say(&json!({ "QMP": { "version": queries::version(), "capabilities": [] } }));
    }

    /// What one object that was received is answered.
    fn answer(&self, machine: &Machine, text: Result<String, &'static str>) {
        let request = text.map_err(str::to_owned);
        let request = request
            .and_then(|text| serde_json::from_str(&text).map_err(|e| format!("JSON parse error, {e}")));
        let request: Value = match request {
            Ok(request) => request,
            Err(why) => return self.say(&Failure::generic(why).reply(None)),
        };
        let id = request.get("id").cloned();
        match commands::run(machine, &self.ready, &request) {
            Ok(Answer { value, then }) => {
                self.say(&with_id(json!({ "return": value }), id));
                if let Some(then) = then {
                    self.port.drain(FAREWELL);
                    then(machine);
                }
            }
            Err(failure) => self.say(&failure.reply(id)),
        }
    }
}

/// A reply says whose it is.
fn with_id(mut reply: Value, id: Option<Value>) -> Value {
    if let (Some(id), Some(object)) = (id, reply.as_object_mut()) {
        object.insert("id".to_owned(), id);
    }
    reply
}

fn serve(session: &Session, bell: &Bell, machine: &Machine) {
    let (mut objects, mut bytes) = (Objects::default(), [0; 4096]);
    loop {
        if bell.wait() {
            objects = Objects::default();
            session.greet();
        }
        loop {
            // Who does not read the answers gets no more of them.
            while !session.port.room() {
                thread::sleep(PATIENCE);
            }
            let n = session.port.input().take(&mut bytes);
            if n == 0 {
                break;
            }
            for object in bytes[..n].iter().filter_map(|byte| objects.feed(*byte)) {
                session.answer(machine, object);
            }
        }
    }
}
