//! What is wrong with the configuration of a stream, by the rules of the specification: for monitors.

use std::fmt;

use super::explain::{Explanation, Outcome, STALE};
use crate::v3::layout::{Broken, Words};
use crate::v3::tables::Fetched;

/// The findings of an explanation: the fields that make its structures ILLEGAL, or why else nothing passes.
pub struct Lint<'a>(pub &'a Explanation);

/// What an event means that no field of a structure is to blame for: its name, the meaning, the section of Arm IHI 0070.
const REASONS: &[(&str, &str, &str)] = &[
    (
        "C_BAD_STREAMID",
        "the StreamID is beyond STRTAB_BASE_CFG.LOG2SIZE or IDR1.SIDSIZE, or L1STD.Span has no STE for it",
        "7.3.3",
    ),
    ("F_STE_FETCH", "no memory answers at the address of the STE or the L1STD", "7.3.4"),
    (
        "F_STREAM_DISABLED",
        "STE.S1DSS lets nothing pass without a SubstreamID, or keeps SubstreamID 0 for that",
        "7.3.7",
    ),
    (
        "C_BAD_SUBSTREAMID",
        "the STE has no stage 1, no substreams or too few (S1CDMax), or the L1CD is not valid",
        "7.3.9",
    ),
    ("F_CD_FETCH", "no memory answers at the address of the CD or the L1CD", "7.3.10"),
];

impl fmt::Display for Lint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { fetched, outcome, stale, .. } = self.0;
        for fetched in fetched {
            writeln!(f, "{}", Findings(fetched))?;
        }
        write!(f, "{outcome}")?;
        if let Outcome::Event(name) = outcome
            && let Some((_, why, section)) = REASONS.iter().find(|reason| reason.0 == *name)
        {
            write!(f, ": {why} (Arm IHI 0070, {section})")?;
        }
        if *stale { write!(f, "\n{STALE}") } else { Ok(()) }
    }
}

/// What is wrong with one structure.
struct Findings<'a>(&'a Fetched);

impl fmt::Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fetched { what, index, address, physical, words, broken } = self.0;
        write!(f, "{} {index:#x} at {address:#x}: ", what.name())?;
        match (physical, &**words) {
            (Err(fault), _) => return write!(f, "{fault}"),
            (Ok(_), []) => return f.write_str("external abort"),
            (Ok(_), [word]) => return write!(f, "{word:#018x}, for which there are no rules"),
            (Ok(_), _) if broken.is_empty() => return f.write_str("legal"),
            (Ok(_), _) => f.write_str("ILLEGAL")?,
        }
        broken.iter().try_for_each(|broken| finding(f, broken, words))
    }
}

/// A rule that is broken, with the value that breaks it.
fn finding(f: &mut fmt::Formatter<'_>, broken: &Broken, words: &[u64]) -> fmt::Result {
    let Broken { field, section, why } = broken;
    let value = <&Words>::try_from(words).map_or(0, |words| field.shown(words));
    write!(f, "\n  {}, ", field.name)?;
    match field.bits() {
        (hi, lo) if hi == lo => write!(f, "bit {lo}")?,
        (hi, lo) => write!(f, "bits {hi}:{lo}")?,
    }
    write!(f, ", is {value:#x}: {why} (Arm IHI 0070, {section})")
}
