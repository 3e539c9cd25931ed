//! How the parts of an operation are written, and how a line is taken apart again.
//!
//! A row of the table has one format string for both: `"flags_add.{ty} {a}, {b}"` prints the parts in its braces, and
//! [`Parts`] finds them in a line of that form.

use std::fmt::{self, Debug, Display, Formatter, LowerHex};
use std::str::FromStr;

use super::mops::MopsInsn;
use super::value::{Ty, Val};
use super::words::{Acc, Order, SysEnc};
use crate::fp::FpOp;
use crate::simd::VecOp;

/// Something that has a form in text.
pub(super) trait Text: Sized {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result;
    /// From what [`Text::print`] gives; `None` if it is something else.
    fn read(text: &str) -> Option<Self>;
}

/// Displays as text.
pub(super) struct Shown<T>(pub T);

impl<T: Text> Display for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.print(f)
    }
}

/// Numbers that their row wants in hexadecimal.
impl<T: LowerHex> LowerHex for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The Debug form in lower case.
pub(super) fn lower_case(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// Defines enums that have a form in text: the variant's name in lower case, `svc(1)` with a parameter.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$doc:meta])* $word:ident $( ($param:ty) )? $( = $number:literal )? ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $( $(#[$doc])* $word $( ($param) )? $( = $number )?, )+
        }

        impl $crate::ir::text::Text for $name {
            fn print(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::ir::text::lower_case(self))
            }
            fn read(text: &str) -> Option<Self> {
                let word = text.split('(').next()?;
                let found = match word {
                    $( _ if stringify!($word).to_lowercase() == word => {
                        Self::$word $( ($crate::ir::text::parameter::<$param>(text)?) )?
                    } )+
                    _ => return None,
                };
                // No parameter where there is none.
                ($crate::ir::text::lower_case(found) == text).then_some(found)
            }
        }
    };
}
pub(super) use words;

/// What is between the parentheses.
pub(super) fn parameter<T: FromStr>(text: &str) -> Option<T> {
    text.strip_suffix(')')?.split_once('(')?.1.parse().ok()
}

/// A number, decimal or hexadecimal, with a sign or without.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let n = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { (n as i64).wrapping_neg() } else { n as i64 })
}

/// A distance: hexadecimal with a sign.
impl Text for i64 {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:#x}", if *self < 0 { '-' } else { '+' }, self.unsigned_abs())
    }
    fn read(text: &str) -> Option<Self> {
        number(text)
    }
}

impl Text for u64 {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
    fn read(text: &str) -> Option<Self> {
        number(text).map(|n| n as Self)
    }
}

impl Text for u32 {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
    fn read(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }
}

impl Text for u8 {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
    fn read(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }
}

/// Not written: it chooses between two forms of its operation.
impl Text for bool {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Text for Val {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_some() { write!(f, "%{}", self.0) } else { f.write_str("_") }
    }
    fn read(text: &str) -> Option<Self> {
        text.strip_prefix('%')?.parse().ok().map(Self)
    }
}

/// Operands of an operation that takes up to three.
impl Text for [Val; 3] {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.map(Shown);
        write!(f, "{a}, {b}, {c}")
    }
    fn read(_: &str) -> Option<Self> {
        None
    }
}

/// X0..X30, SP as 31.
pub(super) struct XReg(pub u8);

impl Text for XReg {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 31 { f.write_str("sp") } else { write!(f, "x{}", self.0) }
    }
    fn read(text: &str) -> Option<Self> {
        if text == "sp" { Some(Self(31)) } else { register('x', text).filter(|n| *n < 31).map(Self) }
    }
}

/// V0..V31.
pub(super) struct VReg(pub u8);

impl Text for VReg {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
    fn read(text: &str) -> Option<Self> {
        register('v', text).filter(|n| *n < 32).map(Self)
    }
}

fn register(file: char, text: &str) -> Option<u8> {
    text.strip_prefix(file)?.parse().ok()
}

/// What is not plain about an access, in braces behind it.
impl Text for Acc {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if *self == Self::PLAIN {
            return Ok(());
        }
        let mut words = Vec::new();
        if self.order != Order::Plain {
            words.push(lower_case(self.order));
        }
        if self.unpriv {
            words.push("unpriv".into());
        }
        if self.sp_base {
            words.push("sp".into());
        }
        words.extend(self.elem_align.map(lower_case));
        write!(f, " {{{}}}", words.join(" "))
    }
    fn read(text: &str) -> Option<Self> {
        let mut acc = Self::PLAIN;
        if text.is_empty() {
            return Some(acc);
        }
        for word in text.strip_prefix(" {")?.strip_suffix('}')?.split(' ') {
            match word {
                "unpriv" => acc.unpriv = true,
                "sp" => acc.sp_base = true,
                _ => match Text::read(word) {
                    Some(size) => acc.elem_align = Some(size),
                    None => acc.order = Text::read(word)?,
                },
            }
        }
        Some(acc)
    }
}

impl Text for SysEnc {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
    fn read(text: &str) -> Option<Self> {
        let parts = text.strip_prefix('S')?.split('_');
        let numbers: Option<Vec<u32>> = parts.map(|p| p.trim_start_matches('C').parse().ok()).collect();
        let [op0, op1, crn, crm, op2] = *numbers?.as_slice() else { return None };
        Some(Self::new(op0, op1, crn, crm, op2))
    }
}

impl Text for MopsInsn {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
    fn read(text: &str) -> Option<Self> {
        u32::read(text).map(Self)
    }
}

/// Written for a reader only: these are not known by name.
impl Text for VecOp {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
    fn read(_: &str) -> Option<Self> {
        None
    }
}

/// As [`VecOp`].
impl Text for FpOp {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
    fn read(_: &str) -> Option<Self> {
        None
    }
}

/// One form of an operation: its format string, and the part that chooses it, with its value.
pub(super) type Form = (&'static str, Option<(&'static str, &'static str)>);

/// The parts of a line, by their names.
pub(super) struct Parts<'a> {
    parts: Vec<(&'static str, &'a str)>,
    result: Ty,
}

impl<'a> Parts<'a> {
    /// Those of a line of this form, whose value has the type `result`.
    pub(super) fn of((mut form, chosen): Form, mut text: &'a str, result: Ty) -> Option<Self> {
        let mut parts = Vec::from_iter(chosen);
        while let Some((before, rest)) = form.split_once('{') {
            text = text.strip_prefix(before)?;
            let (hole, after) = rest.split_once('}')?;
            let end = match after.split_once('{').map_or(after, |(literal, _)| literal) {
                // Behind another part without anything between them is only how an access is made.
                "" => text.find(" {").filter(|_| !after.is_empty()).unwrap_or(text.len()),
                literal => text.find(literal)?,
            };
            let part;
            (part, text) = text.split_at(end);
            // What follows a colon is for printing.
            parts.push((hole.split(':').next()?, part));
            form = after;
        }
        (text == form).then_some(Self { parts, result })
    }

    /// A part.
    pub(super) fn get<T: Text>(&self, name: &str) -> Option<T> {
        self.parts.iter().find(|part| part.0 == name).and_then(|part| T::read(part.1))
    }

    /// A type: that of the result if it is not written.
    pub(super) fn ty(&self, name: &str) -> Option<Ty> {
        match self.parts.iter().any(|part| part.0 == name) {
            true => self.get(name),
            false => Some(self.result).filter(|ty| *ty != Ty::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AtomicOp, ExcOp, MemSize};
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let form = "rmw.{op}.{size} {addr}, {val}{acc}";
        let parts = Parts::of((form, None), "rmw.add.b4 %3, %12 {acquire sp}", Ty::I64).unwrap();
        assert_eq!(parts.get("op"), Some(AtomicOp::Add));
        assert_eq!(parts.get("size"), Some(MemSize::B4));
        assert_eq!((parts.get("addr"), parts.get("val")), (Some(Val(3)), Some(Val(12))));
        assert_eq!(parts.get("acc"), Some(Acc { order: Order::Acquire, sp_base: true, ..Acc::PLAIN }));
        let plain = Parts::of((form, None), "rmw.add.b4 %3, %12", Ty::I64).unwrap();
        assert_eq!(plain.get("acc"), Some(Acc::PLAIN));
        for other in ["rmw.add.b4 %3", "cas.add.b4 %3, %12", "rmw.add %3, %12"] {
            assert!(Parts::of((form, None), other, Ty::I64).is_none_or(|p| p.get::<Val>("val").is_none()));
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        assert_eq!(ExcOp::read("svc(18)"), Some(ExcOp::Svc(18)));
        for not in ["svc", "svc()", "undefined(1)", "svc(99999)", "Undefined"] {
            assert_eq!(ExcOp::read(not), None, "{not}");
        }
    }

    #[test]
    fn registers_exist() {
        assert!(XReg::read("x30").is_some() && XReg::read("sp").is_some_and(|r| r.0 == 31));
        assert!(XReg::read("x31").is_none() && VReg::read("v32").is_none());
    }
}
