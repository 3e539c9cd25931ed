//! Options in JSON, as programs that start machines write them: `{"driver":"file","filename":"disk.img"}`.

use serde_json::Value as Json;

use crate::error::{UserError, user_error};
use crate::keyval::Parts;

/// The parts of an option that may also be an object of JSON; there, what is in an object inside has `outer.inner` as its
/// key.
pub(super) fn parts(option: &'static str, text: &str) -> Result<Parts, UserError> {
    if !text.starts_with('{') {
        return Ok(Parts::split(option, text));
    }
    let value: Json = serde_json::from_str(text).map_err(|e| user_error!("{option}: {e}"))?;
    let mut parts = Parts::empty(option);
    flatten("", &value, &mut parts)?;
    Ok(parts)
}

fn flatten(key: &str, value: &Json, parts: &mut Parts) -> Result<(), UserError> {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), value, parts)?;
            }
            Ok(())
        }
        Json::String(text) => {
            parts.push(key, text);
            Ok(())
        }
        Json::Bool(on) => {
            parts.push(key, if *on { "on" } else { "off" });
            Ok(())
        }
        Json::Number(n) => {
            parts.push(key, &n.to_string());
            Ok(())
        }
        Json::Null | Json::Array(_) => Err(user_error!("'{key}' is not supported in {}", parts.option())),
    }
}
