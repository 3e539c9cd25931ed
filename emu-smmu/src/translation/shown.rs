//! A context, and the way of one address under it, in words: for monitors.

use std::fmt;

use emu_core::Security;
use emu_mmu::{Fault, Features, Regime, Stage1, Stage2, TableMemory, Translation, WalkStep, walk_observed};

use super::{Context, Transaction};

/// The way of one address. Nothing was cached or updated by the look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// The descriptors, in the order in which they are fetched.
    pub steps: Vec<WalkStep>,
    /// Where the address leads, or why it does not.
    pub result: Result<Translation, Fault>,
}

impl Context {
    /// Where a transaction would go, by the tables as they are in `memory` now.
    #[must_use]
    pub fn way(&self, transaction: &Transaction, features: &Features, memory: &impl TableMemory) -> Way {
        let mut steps = Vec::new();
        let stage1 = self.stage1.unwrap_or(Stage1::bypass(features, Security::NonSecure));
        let request = self.request(transaction);
        let walk = walk_observed(&stage1, self.stage2.as_ref(), features, &request, memory, &mut steps);
        Way { steps, result: walk.result }
    }
}

/// Each step on a line of its own, and the end.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        match &self.result {
            Ok(t) => write!(f, "physical {}, intermediate {}", t.pa, t.ipa),
            Err(fault) => write!(f, "{fault}"),
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage1 {
            Some(s1) => stage1(f, s1)?,
            None => f.write_str("stage 1 bypassed")?,
        }
        match &self.stage2 {
            Some(s2) => stage2(f, s2),
            None => write!(f, "; VMID {}", self.vmid),
        }
    }
}

fn stage1(f: &mut fmt::Formatter<'_>, s1: &Stage1) -> fmt::Result {
    let world = match s1.regime {
        Regime::El10 => "EL1&0",
        Regime::El20 => "EL2&0",
        Regime::El2 => "EL2",
    };
    write!(f, "stage 1 of {world}, ASID {}", s1.asid)?;
    let halves = if s1.regime.has_unprivileged() { &s1.halves[..] } else { &s1.halves[..1] };
    for (n, half) in halves.iter().enumerate().filter(|(_, half)| !half.epd) {
        let bits = 64 - u32::from(half.txsz);
        // An ASID may be above it.
        let ttb = half.ttbr & 0xffff_ffff_ffff;
        write!(f, ", TTB{n} {ttb:#x} {:?} {bits} bits", half.granule)?;
    }
    Ok(())
}

fn stage2(f: &mut fmt::Formatter<'_>, s2: &Stage2) -> fmt::Result {
    let bits = 64 - u32::from(s2.txsz);
    write!(f, "; stage 2 of VMID {}, S2TTB {:#x} {:?} {bits} bits", s2.vmid, s2.vttbr, s2.granule)
}
