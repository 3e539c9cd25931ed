//! What clients are told without asking.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::character::Peer;

/// Is told of an event.
type Told = Arc<dyn Fn(&Value) + Send + Sync>;

/// Why a machine was reset or has ended, as QEMU calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The guest asked for a reset.
    GuestReset,
    /// The guest turned it off.
    GuestShutdown,
    /// A client of QMP said so.
    QmpReset,
    /// A client of QMP said so.
    QmpQuit,
    /// The user.
    User,
    /// A signal to the process.
    Signal,
}

impl Cause {
    fn data(self) -> Value {
        let (reason, guest) = match self {
            Self::GuestReset => ("guest-reset", true),
            Self::GuestShutdown => ("guest-shutdown", true),
            Self::QmpReset => ("host-qmp-system-reset", false),
            Self::QmpQuit => ("host-qmp-quit", false),
            Self::User => ("host-ui", false),
            Self::Signal => ("host-signal", false),
        };
        json!({ "guest": guest, "reason": reason })
    }
}

/// Those who are told.
#[derive(Default)]
pub struct Events {
    listeners: Mutex<Vec<Told>>,
    /// What a client has said that is about to happen.
    asked: Mutex<Option<Cause>>,
}

impl Events {
    pub(super) fn listen(&self, told: Told) {
        self.listeners.lock().push(told);
    }

    pub(super) fn ask(&self, cause: Cause) {
        *self.asked.lock() = Some(cause);
    }

    fn tell(&self, name: &str, data: Option<Value>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = json!({ "seconds": since.as_secs(), "microseconds": since.subsec_micros() });
        let mut event = json!({ "event": name, "timestamp": timestamp });
        if let (Some(data), Some(object)) = (data, event.as_object_mut()) {
            object.insert("data".to_owned(), data);
        }
        let listeners = self.listeners.lock().clone();
        listeners.iter().for_each(|told| told(&event));
    }

    /// A user has stopped the machine.
    pub fn stopped(&self) {
        self.tell("STOP", None);
    }

    /// It goes on.
    pub fn resumed(&self) {
        self.tell("RESUME", None);
    }

    /// The guest has let go of a device, and it is gone.
    pub fn device_deleted(&self, id: Option<&str>) {
        self.tell(
            "DEVICE_DELETED",
            Some(match id {
                Some(id) => json!({ "device": id, "path": format!("/machine/peripheral/{id}") }),
                None => json!({ "path": "/machine/peripheral-anon" }),
            }),
        );
    }

    /// Somebody has come to the other end of the connection of a network back end, or has left it.
    pub fn stream(&self, id: &str, open: bool, peer: Option<Peer>) {
        if !open {
            return self.tell("NETDEV_STREAM_DISCONNECTED", Some(json!({ "netdev-id": id })));
        }
        let addr = match peer {
            Some(Peer::Tcp(address)) => {
                json!({ "type": "inet", "host": address.ip().to_string(), "port": address.port().to_string() })
            }
            Some(Peer::Unix(path)) => json!({ "type": "unix", "path": path }),
            None => return,
        };
        self.tell("NETDEV_STREAM_CONNECTED", Some(json!({ "netdev-id": id, "addr": addr })));
    }

    /// Its power key is pressed.
    pub fn power_key(&self) {
        self.tell("POWERDOWN", None);
    }

    /// It is reset, for this reason if no client has said another one.
    pub fn reset(&self, cause: Cause) {
        let cause = self.asked.lock().take().unwrap_or(cause);
        self.tell("RESET", Some(cause.data()));
    }

    /// It is at its end, likewise.
    pub fn shut_down(&self, cause: Cause) {
        let cause = self.asked.lock().take().unwrap_or(cause);
        self.tell("SHUTDOWN", Some(cause.data()));
    }
}
