//! The commands. What is not here is not known, and a client is told so.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::{Map, Value, json};

use super::events::Cause;
use super::{queries, with_id};
use crate::board::hotplug::NotRemoved;
use crate::monitor::Machine;
use crate::quit::Quit;

/// What is done when the reply is out.
type Then = fn(&Machine);

/// What a command gives.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) then: Option<Then>,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self { value, then: None }
    }
}

/// Nothing to say.
fn done() -> Answer {
    json!({}).into()
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    class: &'static str,
    description: String,
}

impl Failure {
    pub(super) fn generic(description: impl Into<String>) -> Self {
        Self { class: "GenericError", description: description.into() }
    }

    pub(super) fn not_found(what: &'static str, description: String) -> Self {
        Self { class: what, description }
    }

    pub(super) fn reply(&self, id: Option<Value>) -> Value {
        with_id(json!({ "error": { "class": self.class, "desc": self.description } }), id)
    }
}

type Outcome = Result<Answer, Failure>;

/// A command's arguments: each is there, or is not, and is of one type; there are no others.
pub(super) struct Arguments<'a>(&'a Map<String, Value>);

impl Arguments<'_> {
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.typed(name, "string", Value::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| Failure::generic(format!("Parameter '{name}' is missing")))
    }

    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.typed(name, "boolean", Value::as_bool)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.typed(name, "integer", Value::as_u64)
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let wrong = || Failure::generic(format!("Invalid parameter type for '{name}', expected: {kind}"));
        self.0.get(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }
}

/// Name, arguments that it takes, what it does.
pub(super) type Command = (&'static str, &'static [&'static str], fn(&Machine, &Arguments<'_>) -> Outcome);

/// Of a command that takes whatever arguments there are, and judges them itself.
const ANY: &[&str] = &["*"];

/// Those that do something. Those that only ask are [`queries::ALL`].
pub(super) const ALL: &[Command] = &[
    ("stop", &[], |m, _| {
        m.stop();
        Ok(done())
    }),
    ("cont", &[], |m, _| {
        m.go_on();
        Ok(done())
    }),
    ("system_reset", &[], |m, _| {
        m.events.ask(Cause::QmpReset);
        m.reset();
        Ok(done())
    }),
    ("system_powerdown", &[], |m, _| {
        m.press_power_key();
        Ok(done())
    }),
    ("quit", &[], |m, _| {
        m.events.ask(Cause::QmpQuit);
        Ok(Answer { value: json!({}), then: Some(|m| (m.on_quit)(Quit::Status(0))) })
    }),
    ("device_add", ANY, |m, a| {
        a.required("driver")?;
        let device = serde_json::Value::Object(a.0.clone()).to_string();
        m.add_device(&device).map_err(|e| Failure::generic(e.to_string()))?;
        Ok(done())
    }),
    ("device_del", &["id"], |m, a| {
        let id = a.required("id")?;
        m.remove_device(id).map_err(|e| match e {
            NotRemoved::Unknown => Failure::not_found("DeviceNotFound", format!("Device '{id}' not found")),
            NotRemoved::Refused(e) => Failure::generic(e.to_string()),
        })?;
        Ok(done())
    }),
    ("block_resize", &["device", "node-name", "size"], |m, a| {
        let name = match (a.text("device")?, a.text("node-name")?) {
            (Some(name), None) | (None, Some(name)) => name,
            _ => return Err(Failure::generic("block_resize takes one of 'device' and 'node-name'")),
        };
        let size = a.number("size")?.ok_or_else(|| Failure::generic("Parameter 'size' is missing"))?;
        m.disks.resize(name, size).map_err(|e| Failure::generic(e.to_string()))?;
        Ok(done())
    }),
    ("human-monitor-command", &["command-line", "cpu-index"], |m, a| {
        let cpu = match a.number("cpu-index")?.map(usize::try_from) {
            None => 0,
            Some(Ok(cpu)) if cpu < m.vcpus.len() => cpu,
            Some(_) => return Err(Failure::generic("Parameter 'cpu-index' expects a CPU number")),
        };
        Ok(json!(m.typed(cpu, a.required("command-line")?).replace('\n', "\r\n")).into())
    }),
];

/// The only command before the negotiation, and none after it.
const NEGOTIATION: &str = "qmp_capabilities";

/// Executes a request.
pub(super) fn run(machine: &Machine, ready: &AtomicBool, request: &Value) -> Outcome {
    let object = request.as_object().ok_or_else(|| Failure::generic("QMP input must be a JSON object"))?;
    if let Some(other) = object.keys().find(|k| !matches!(&***k, "execute" | "arguments" | "id")) {
        let oob = "QMP input member 'exec-oob' is not supported: there is no out-of-band execution";
        return Err(Failure::generic(match &**other {
            "exec-oob" => oob.to_owned(),
            other => format!("QMP input member '{other}' is unexpected"),
        }));
    }
    let name = object.get("execute").ok_or_else(|| Failure::generic("QMP input lacks member 'execute'"))?;
    let name =
        name.as_str().ok_or_else(|| Failure::generic("QMP input member 'execute' must be a string"))?;
    let none = Map::new();
    let arguments = match object.get("arguments") {
        None => &none,
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(Failure::generic("QMP input member 'arguments' must be an object")),
    };
    if name == NEGOTIATION {
        return negotiate(ready, arguments);
    }
    if !ready.load(SeqCst) {
        let why = format!("Expecting capabilities negotiation with '{NEGOTIATION}'");
        return Err(Failure::not_found("CommandNotFound", why));
    }
    let unknown = || Failure::not_found("CommandNotFound", format!("The command {name} has not been found"));
    let (_, takes, run) = all().find(|(n, ..)| *n == name).ok_or_else(unknown)?;
    if let Some(other) = arguments.keys().find(|k| *takes != ANY && !takes.contains(&&***k)) {
        return Err(Failure::generic(format!("Parameter '{other}' is unexpected")));
    }
    run(machine, &Arguments(arguments))
}

/// All commands but the negotiation.
pub(super) fn all() -> impl Iterator<Item = &'static Command> {
    ALL.iter().chain(queries::ALL)
}

/// No capability is offered, so none can be asked for.
fn negotiate(ready: &AtomicBool, arguments: &Map<String, Value>) -> Outcome {
    if ready.load(SeqCst) {
        let why = "Capabilities negotiation is already complete, command ignored".to_owned();
        return Err(Failure::not_found("CommandNotFound", why));
    }
    if let Some(other) = arguments.keys().find(|k| *k != "enable") {
        return Err(Failure::generic(format!("Parameter '{other}' is unexpected")));
    }
    match arguments.get("enable") {
        None => {}
        Some(Value::Array(wanted)) if wanted.is_empty() => {}
        Some(Value::Array(_)) => {
            return Err(Failure::generic("Capability is not available: there is none"));
        }
        Some(_) => return Err(Failure::generic("Invalid parameter type for 'enable', expected: array")),
    }
    ready.store(true, SeqCst);
    Ok(done())
}
