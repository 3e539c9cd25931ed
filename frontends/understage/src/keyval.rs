//! `first,key=value,flag`: the syntax of options with parts. A comma inside a value is written twice.

use crate::error::{UserError, user_error};

/// One part of such an option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The key, or the whole part if it has no `=`.
    pub key: String,
    /// What follows the `=`.
    pub value: Option<String>,
}

/// The parts of one option, and the option's name for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    option: &'static str,
    parts: Vec<Part>,
}

impl Parts {
    /// Splits `text`, which was given with `option`.
    #[must_use]
    pub fn split(option: &'static str, text: &str) -> Self {
        let mut raw = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ',' && chars.next_if_eq(&',').is_none() {
                raw.push(String::new());
            } else if let Some(part) = raw.last_mut() {
                part.push(c);
            }
        }
        let part = |p: String| match p.split_once('=') {
            Some((k, v)) => Part { key: k.to_owned(), value: Some(v.to_owned()) },
            None => Part { key: p, value: None },
        };
        Self { option, parts: raw.into_iter().filter(|p| !p.is_empty()).map(part).collect() }
    }

    /// No parts of `option`.
    #[must_use]
    pub fn empty(option: &'static str) -> Self {
        Self { option, parts: Vec::new() }
    }

    /// Adds a part.
    pub fn push(&mut self, key: &str, value: &str) {
        self.parts.push(Part { key: key.to_owned(), value: Some(value.to_owned()) });
    }

    /// The option that the parts belong to, as `-device`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }

    /// Takes the first part away if it has no `=`; or else the value of `key`, wherever that is.
    pub fn take_first(&mut self, key: &str) -> Result<Option<String>, UserError> {
        match self.parts.first() {
            Some(Part { value: None, .. }) => Ok(Some(self.parts.remove(0).key)),
            _ => self.take(key),
        }
    }

    /// Takes the value of `key` away, if it was given.
    pub fn take(&mut self, key: &str) -> Result<Option<String>, UserError> {
        let Some(i) = self.parts.iter().position(|p| p.key == key) else { return Ok(None) };
        let part = self.parts.remove(i);
        if self.parts.iter().any(|p| p.key == key) {
            return Err(user_error!("'{key}' is given twice in {}", self.option));
        }
        part.value.map(Some).ok_or_else(|| user_error!("'{key}' in {} needs a value", self.option))
    }

    /// Takes the value of `key`, which must be there.
    pub fn require(&mut self, key: &str) -> Result<String, UserError> {
        self.take(key)?.ok_or_else(|| user_error!("{} needs '{key}='", self.option))
    }

    /// Takes a switch away: `key`, `key=on` or `key=off`.
    pub fn take_switch(&mut self, key: &str) -> Result<Option<bool>, UserError> {
        if let Some(part) = self.parts.iter_mut().find(|p| p.key == key && p.value.is_none()) {
            part.value = Some("on".into());
        }
        self.take(key)?.map(|v| on_off(&v).map_err(|e| self.wrap(key, &e))).transpose()
    }

    /// Takes `key` and reads it with `parse`.
    pub fn take_with<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, UserError>,
    ) -> Result<Option<T>, UserError> {
        self.take(key)?.map(|v| parse(&v).map_err(|e| self.wrap(key, &e))).transpose()
    }

    fn wrap(&self, key: &str, e: &UserError) -> UserError {
        user_error!("{e}, given as '{key}' in {}", self.option)
    }

    /// Takes the first part whose key `is_wanted`.
    pub fn take_one(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<Part> {
        let i = self.parts.iter().position(|p| is_wanted(&p.key))?;
        Some(self.parts.remove(i))
    }

    /// Takes the next part, whatever it is.
    pub fn next_part(&mut self) -> Option<Part> {
        (!self.parts.is_empty()).then(|| self.parts.remove(0))
    }

    /// Gives `key` a value, unless it has one.
    pub fn add_default(&mut self, key: &str, value: &str) {
        if self.parts.iter().all(|p| p.key != key) {
            self.parts.push(Part { key: key.to_owned(), value: Some(value.to_owned()) });
        }
    }

    /// Every part must have been taken: what is left is not supported, and is named. `what` says whose part it is.
    pub fn finish(self, what: &str) -> Result<(), UserError> {
        match self.parts.first() {
            None => Ok(()),
            Some(p) => {
                let shown = p.value.as_ref().map_or_else(|| p.key.clone(), |v| format!("{}={v}", p.key));
                Err(user_error!("'{shown}' is not supported for {what} in {}", self.option))
            }
        }
    }
}

/// `on` or `off`, also `true`, `yes`, `false` and `no`.
pub fn on_off(text: &str) -> Result<bool, UserError> {
    match text {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err(user_error!("'{text}' is neither 'on' nor 'off'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_takes() {
        let mut p = Parts::split("-drive", "if=none,file=a,,b=c.img,snapshot=on,readonly");
        assert_eq!(p.take("file"), Ok(Some("a,b=c.img".into())));
        assert_eq!(p.require("if"), Ok("none".into()));
        assert_eq!(p.take_switch("snapshot"), Ok(Some(true)));
        assert_eq!(p.take_switch("readonly"), Ok(Some(true)));
        assert_eq!(p.take("id"), Ok(None));
        assert_eq!(p.finish("a drive"), Ok(()));
    }

    #[test]
    fn the_first_part_may_lack_its_key() {
        let mut p = Parts::split("-M", "virt,gic-version=3");
        assert_eq!(p.take_first("type"), Ok(Some("virt".into())));
        let mut p = Parts::split("-M", "gic-version=3,type=virt");
        assert_eq!(p.take_first("type"), Ok(Some("virt".into())));
    }

    #[test]
    fn refusals_name_the_part() {
        let mut p = Parts::split("-drive", "file=a,file=b");
        assert_eq!(p.take("file").unwrap_err().to_string(), "'file' is given twice in -drive");
        let mut p = Parts::split("-drive", "snapshot=maybe");
        assert_eq!(
            p.take_switch("snapshot").unwrap_err().to_string(),
            "'maybe' is neither 'on' nor 'off', given as 'snapshot' in -drive"
        );
        let p = Parts::split("-drive", "cache=none");
        assert_eq!(
            p.finish("a drive").unwrap_err().to_string(),
            "'cache=none' is not supported for a drive in -drive"
        );
        assert_eq!(Parts::split("-x", "a").require("b").unwrap_err().to_string(), "-x needs 'b='");
        assert_eq!(Parts::split("-x", "a").take("a").unwrap_err().to_string(), "'a' in -x needs a value");
    }
}
