//! What is told of what a machine does.

use std::ops::RangeInclusive;

use super::HostFile;
use crate::error::{UserError, user_error};
use crate::number::parse_u64;

/// A kind of things that can be told, by its name in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Category(&'static str);

/// All of them, with what the help says.
pub(super) const CATEGORIES: &[(&str, &str)] = &[
    ("int", "exceptions, interrupts, exception returns and PSCI calls, with EL, PC and syndrome"),
    (
        "exec",
        "each block of instructions before it runs: EL and address (nothing is translated to host code then)",
    ),
    ("cpu", "general registers and PSTATE before each block"),
    ("fpu", "with cpu, the SIMD and floating-point registers, too"),
    ("in_asm", "instructions when they are first looked at to be executed"),
    ("mmu", "walks of translation tables and what they give"),
    ("cpu_reset", "registers of a CPU after its reset"),
    ("guest_errors", "accesses to devices that no sane guest makes"),
    ("unimp", "encodings that the CPU does not have"),
];

impl Category {
    /// The category called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        let known = CATEGORIES.iter().find(|(n, _)| *n == name);
        known.map(|(n, _)| Self(n)).ok_or_else(|| {
            let names: Vec<_> = CATEGORIES.iter().map(|(n, _)| *n).collect();
            user_error!("there is nothing called '{name}' to be traced (there are {})", names.join(", "))
        })
    }

    /// Its name, which is the target of its lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// What is told, where, and of which addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tracing {
    /// What is told.
    pub categories: Vec<Category>,
    /// Where it is written, or else to standard error.
    pub file: Option<HostFile>,
    /// Blocks are only told of in these ranges of virtual addresses; everywhere, if there are none.
    pub ranges: Vec<RangeInclusive<u64>>,
    /// A file for a timeline.
    pub timeline: Option<HostFile>,
}

impl Tracing {
    /// Adds the categories of a list like `int,exec`.
    pub fn add(&mut self, list: &str) -> Result<(), UserError> {
        for name in list.split(',').filter(|n| !n.is_empty()) {
            let category = Category::from_name(name)?;
            if !self.categories.contains(&category) {
                self.categories.push(category);
            }
        }
        Ok(())
    }

    /// True if something of this name is told.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.categories.iter().any(|c| c.name() == name)
    }

    /// Blocks are told of before they run.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.has("exec") || self.has("cpu")
    }
}

/// Ranges of addresses like `0x4000..0x4fff,0x8000+0x100,0x9000-0x80`: from and to, from and how many, up to and how many.
pub fn ranges(text: &str) -> Result<Vec<RangeInclusive<u64>>, UserError> {
    text.split(',').map(range).collect()
}

fn range(text: &str) -> Result<RangeInclusive<u64>, UserError> {
    let wrong = || user_error!("'{text}' is not a range of addresses (say 0x4000..0x4fff or 0x4000+0x1000)");
    let pair = |separator: &str| {
        let (a, b) = text.split_once(separator)?;
        Some((parse_u64(a).ok()?, parse_u64(b).ok()?))
    };
    let range = if let Some((first, last)) = pair("..") {
        Some(first..=last)
    } else if let Some((first, size)) = pair("+") {
        size.checked_sub(1).and_then(|n| first.checked_add(n)).map(|last| first..=last)
    } else {
        let (last, size) = pair("-").ok_or_else(wrong)?;
        size.checked_sub(1).and_then(|n| last.checked_sub(n)).map(|first| first..=last)
    };
    range.filter(|r| !r.is_empty()).ok_or_else(wrong)
}

/// The categories, a line each.
#[must_use]
pub fn help() -> String {
    CATEGORIES.iter().map(|(name, about)| format!("  {name:<14}{about}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_named_once() {
        let mut tracing = Tracing::default();
        tracing.add("int,exec").and_then(|()| tracing.add("int")).unwrap();
        assert_eq!(tracing.categories, [Category("int"), Category("exec")]);
        assert!(tracing.blocks() && tracing.has("int") && !tracing.has("mmu"));
        let e = tracing.add("int,colour").unwrap_err().to_string();
        assert!(e.starts_with("there is nothing called 'colour' to be traced (there are int, exec"), "{e}");
    }

    #[test]
    fn ranges_have_three_forms() {
        assert_eq!(
            ranges("0x1000..0x1fff,0x8000+0x100,0x9000-0x80").unwrap(),
            [0x1000..=0x1fff, 0x8000..=0x80ff, 0x8f81..=0x9000]
        );
        for wrong in ["", "0x1000", "0x2000..0x1000", "0x1000+0", "0xffffffffffffffff+2", "0x10-0x20", "a..b"]
        {
            assert!(ranges(wrong).is_err(), "{wrong}");
        }
    }
}
