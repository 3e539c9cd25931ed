//! Properties of devices, as rows of tables: from one row come the reading of `key=value`, the refusal, and the line in
//! `-device NAME,help`.

use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};
use crate::number::parse_u64;

/// A property of something that collects its properties in a `T`.
pub(super) struct Property<T: 'static> {
    /// The key.
    pub(super) name: &'static str,
    /// What its value is, and where that goes.
    pub(super) value: Value<T>,
    /// What the help says.
    pub(super) about: &'static str,
}

/// What a property's value is.
pub(super) enum Value<T: 'static> {
    /// Any text.
    Text(fn(&mut T, &str) -> Result<(), UserError>),
    /// A number, decimal or hexadecimal.
    Number(fn(&mut T, u64) -> Result<(), UserError>),
    /// on or off.
    Switch(fn(&mut T, bool)),
    /// One of these, all of which mean what the machine does anyway.
    Only(&'static [&'static str]),
}

impl<T> Value<T> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "str",
            Self::Number(_) => "number",
            Self::Switch(_) => "bool",
            Self::Only(values) if values.iter().all(|v| on_off(v).is_ok()) => "bool",
            Self::Only(_) => "enum",
        }
    }
}

/// A row of a table of properties.
pub(super) const fn property<T>(name: &'static str, value: Value<T>, about: &'static str) -> Property<T> {
    Property { name, value, about }
}

/// Reads all that is left of `parts` by the rows of `tables`; `owner` is whose properties they are.
pub(super) fn read<T>(
    mut parts: Parts,
    tables: &[&[Property<T>]],
    owner: &str,
    into: &mut T,
) -> Result<(), UserError> {
    let option = parts.option();
    let mut seen: Vec<&str> = Vec::new();
    while let Some(part) = parts.next_part() {
        let text = part.value.as_deref().unwrap_or("on");
        let row = tables.iter().copied().flatten().find(|p| p.name == part.key);
        let Some(row) = row else {
            return Err(user_error!("'{}={text}' is not supported for {owner} in {option}", part.key));
        };
        if seen.contains(&row.name) {
            return Err(user_error!("'{}' is given twice in {option}", row.name));
        }
        seen.push(row.name);
        let named = |e: UserError| user_error!("{e}, given as '{}' in {option}", row.name);
        match (&row.value, part.value.is_some()) {
            (Value::Switch(set), _) => set(into, on_off(text).map_err(named)?),
            (Value::Only(values), _) => only(values, text).map_err(|()| {
                user_error!("'{}={text}' is not supported for {owner}: {}", row.name, row.about)
            })?,
            (_, false) => return Err(user_error!("'{}' in {option} needs a value", row.name)),
            (Value::Text(set), true) => set(into, text)?,
            (Value::Number(set), true) => set(into, parse_u64(text).map_err(named)?)?,
        }
    }
    Ok(())
}

/// Whether `text` is one of `values`; the words for on and off are one each.
fn only(values: &[&str], text: &str) -> Result<(), ()> {
    let same = |v: &&str| **v == *text || on_off(v).is_ok_and(|on| on_off(text) == Ok(on));
    values.iter().any(same).then_some(()).ok_or(())
}

/// The lines that help has for `tables`, in the order of the alphabet.
pub(super) fn help<T>(tables: &[&[Property<T>]]) -> String {
    let line = |p: &Property<T>| {
        let values = match &p.value {
            Value::Only(values) => format!(" (only {})", values.join(", ")),
            _ => String::new(),
        };
        format!("  {:<22} - {}{values}\n", format!("{}=<{}>", p.name, p.value.kind()), p.about)
    };
    let mut lines: Vec<String> = tables.iter().copied().flatten().map(line).collect();
    lines.sort();
    lines.concat()
}
