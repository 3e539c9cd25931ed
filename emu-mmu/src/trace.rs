//! A walk told step by step, for debuggers and people.

use std::fmt;

use emu_core::Pa;

use crate::descriptor::Descriptor;
use crate::fault::Stage;

/// One descriptor that a walk looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkStep {
    /// Whose table.
    pub stage: Stage,
    /// Stage 2 on behalf of the walk of stage 1.
    pub s1ptw: bool,
    /// Lookup level, -1..=3.
    pub level: i8,
    /// The input address: a VA at stage 1, an IPA at stage 2.
    pub input: u64,
    /// Where the descriptor is: physical.
    pub address: Pa,
    /// What it holds; `None` if reading it aborted.
    pub descriptor: Option<u64>,
    /// What that means at this level.
    pub meaning: Descriptor,
    /// log2 of what one descriptor of the level maps.
    pub bits: u32,
}

/// Watches a walk. The one for `()` does nothing and costs nothing.
pub trait Observer {
    /// A descriptor was read.
    fn step(&mut self, step: WalkStep);
}

impl Observer for () {
    #[inline(always)]
    fn step(&mut self, _: WalkStep) {}
}

impl Observer for Vec<WalkStep> {
    fn step(&mut self, step: WalkStep) {
        self.push(step);
    }
}

impl fmt::Display for WalkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match (self.stage, self.s1ptw) {
            (Stage::S1, _) => "S1",
            (Stage::S2, false) => "S2",
            (Stage::S2, true) => "  S2 of table",
        };
        write!(f, "{stage} L{} {:#x} at {:#x}: ", self.level, self.input, self.address.0)?;
        let Some(d) = self.descriptor else { return f.write_str("external abort") };
        match self.meaning {
            Descriptor::Invalid => write!(f, "{d:#018x} invalid"),
            Descriptor::Table(next) => write!(f, "{d:#018x} table {next:#x}"),
            Descriptor::Leaf(base) => {
                write!(
                    f,
                    "{d:#018x} {} {base:#x}, 2^{} bytes",
                    if self.level == 3 { "page" } else { "block" },
                    self.bits
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let step = WalkStep {
            stage: Stage::S1,
            s1ptw: false,
            level: 2,
            input: 0x4020_1234,
            address: Pa(0x8_1008),
            descriptor: Some(0x4020_0401),
            meaning: Descriptor::Leaf(0x4020_0000),
            bits: 21,
        };
        assert_eq!(
            step.to_string(),
            "S1 L2 0x40201234 at 0x81008: 0x0000000040200401 block 0x40200000, 2^21 bytes"
        );
    }
}
