//! Properties of devices, objects, drives and nodes, as rows of tables: from one row come the reading of `key=value`, the
//! refusal, the line of the help, the default that the help shows, and the list of what something was told.

use crate::error::{UserError, user_error};
use crate::keyval::{Part, Parts, on_off};
use crate::number::parse_u64;

/// A property of something that collects its properties in a `T`.
pub struct Property<T: 'static> {
    /// The key.
    pub name: &'static str,
    /// What its value is, and where that goes.
    pub value: Value<T>,
    /// What the help says.
    pub about: &'static str,
    /// The way back: the value as text, if there is one.
    shown: fn(&T) -> Option<String>,
}

/// What a property's value is.
pub enum Value<T: 'static> {
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
pub const fn property<T>(name: &'static str, value: Value<T>, about: &'static str) -> Property<T> {
    Property { name, value, about, shown: |_| None }
}

/// A row with the way back: `shown` gives the value as text that would be read.
pub const fn shown<T>(row: Property<T>, shown: fn(&T) -> Option<String>) -> Property<T> {
    Property { name: row.name, value: row.value, about: row.about, shown }
}

/// The word for on or off.
#[must_use]
pub fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// What `from` was told, as far as its properties can show it.
#[must_use]
pub fn told<T>(tables: &[&[Property<T>]], from: &T) -> Vec<(&'static str, String)> {
    tables.iter().copied().flatten().filter_map(|p| Some((p.name, (p.shown)(from)?))).collect()
}

/// Reads all that is left of `parts` by the rows of `tables`; `owner` is whose properties they are.
pub fn read<T>(
    mut parts: Parts,
    tables: &[&[Property<T>]],
    owner: &str,
    into: &mut T,
) -> Result<(), UserError> {
    take(&mut parts, tables, owner, into)?;
    refuse_leftovers(parts, owner)
}

/// Every part must have been taken: what is left is refused by name.
pub fn refuse_leftovers(mut parts: Parts, owner: &str) -> Result<(), UserError> {
    match parts.next_part() {
        None => Ok(()),
        Some(part) => {
            let text = part.value.as_deref().unwrap_or("on");
            Err(user_error!("'{}={text}' is not supported for {owner} in {}", part.key, parts.option()))
        }
    }
}

/// Takes those of `parts` that `tables` have a row for; `owner` is whose properties they are.
pub fn take<T>(
    parts: &mut Parts,
    tables: &[&[Property<T>]],
    owner: &str,
    into: &mut T,
) -> Result<(), UserError> {
    let option = parts.option();
    let mut seen: Vec<&str> = Vec::new();
    let row = |key: &str| tables.iter().copied().flatten().find(|p| p.name == key);
    while let Some(part) = parts.take_one(|key| row(key).is_some()) {
        let Some(row) = row(&part.key) else { continue };
        if seen.contains(&row.name) {
            return Err(user_error!("'{}' is given twice in {option}", row.name));
        }
        seen.push(row.name);
        row.set(&part, option, owner, into)?;
    }
    Ok(())
}

impl<T> Property<T> {
    fn set(&self, part: &Part, option: &str, owner: &str, into: &mut T) -> Result<(), UserError> {
        let text = part.value.as_deref().unwrap_or("on");
        let named = |e: UserError| user_error!("{e}, given as '{}' in {option}", self.name);
        match (&self.value, part.value.is_some()) {
            (Value::Switch(set), _) => set(into, on_off(text).map_err(named)?),
            (Value::Only(values), _) => only(values, text).map_err(|()| {
                user_error!("'{}={text}' is not supported for {owner}: {}", self.name, self.about)
            })?,
            (_, false) => return Err(user_error!("'{}' in {option} needs a value", self.name)),
            (Value::Text(set), true) => set(into, text)?,
            (Value::Number(set), true) => set(into, parse_u64(text).map_err(named)?)?,
        }
        Ok(())
    }
}

/// Whether `text` is one of `values`; the words for on and off are one each.
fn only(values: &[&str], text: &str) -> Result<(), ()> {
    let same = |v: &&str| **v == *text || on_off(v).is_ok_and(|on| on_off(text) == Ok(on));
    values.iter().any(same).then_some(()).ok_or(())
}

/// A line of the help.
#[must_use]
pub fn help_line(name: &str, kind: &str, about: &str) -> String {
    format!("  {:<22} - {about}\n", format!("{name}=<{kind}>"))
}

/// The lines that help has for `tables`, in the order of the alphabet; the defaults are those of `T`.
#[must_use]
pub fn help<T: Default>(tables: &[&[Property<T>]]) -> String {
    let mut lines = help_lines(tables);
    lines.sort();
    lines.concat()
}

/// The same, not yet in order.
#[must_use]
pub fn help_lines<T: Default>(tables: &[&[Property<T>]]) -> Vec<String> {
    let default = T::default();
    let line = |p: &Property<T>| {
        let mut about = p.about.to_owned();
        if let Value::Only(values) = &p.value {
            about.push_str(&format!(" (only {})", values.join(", ")));
        }
        if let Some(text) = (p.shown)(&default) {
            about.push_str(&format!(" (default: {text})"));
        }
        help_line(p.name, p.value.kind(), &about)
    };
    tables.iter().copied().flatten().map(line).collect()
}
