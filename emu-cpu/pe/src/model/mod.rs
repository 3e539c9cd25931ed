//! CPU models: what a named CPU has, and the ID registers that say so.

mod ids;
mod table;

pub use ids::{FIELDS, Field, Id, IdRegs};
pub use table::MODELS;

use emu_a64::features::{Feat, FeatureSet};

/// Translation granules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named for what they are")]
pub struct Granules {
    pub k4: bool,
    pub k16: bool,
    pub k64: bool,
}

/// One cache, as CCSIDR_EL1 describes it. The caches do not exist; guests size their loops by this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheLevel {
    /// Number of sets.
    pub sets: u32,
    /// Associativity.
    pub ways: u32,
}

/// A CPU model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// As on the command line.
    pub name: &'static str,
    /// What it is, in a line of help.
    pub summary: &'static str,
    /// `compatible` of its node in a devicetree.
    pub compatible: &'static str,
    /// MIDR_EL1.
    pub midr: u32,
    /// REVIDR_EL1.
    pub revidr: u32,
    /// CTR_EL0.
    pub ctr: u32,
    /// CLIDR_EL1.
    pub clidr: u64,
    /// What it has.
    pub features: FeatureSet,
    /// Width of a physical address: 32, 36, 40, 42, 44, 48 or 52 bits.
    pub pa_bits: u8,
    /// Granules at both stages.
    pub granules: Granules,
    /// Nanoseconds per tick of the counters: CNTFRQ_EL0 is 1 GHz divided by this.
    pub tick_ns: u64,
    /// Hardware breakpoints, of which the last `context_breakpoints` can match a context.
    pub breakpoints: u8,
    /// Context-aware breakpoints.
    pub context_breakpoints: u8,
    /// Hardware watchpoints.
    pub watchpoints: u8,
    /// L1 data, L1 instruction, L2 (unified) cache; lines of 64 bytes.
    pub caches: [CacheLevel; 3],
    /// PMCR_EL0.IDCODE; 0 says that the PE is identified by MIDR_EL1 alone.
    pub pmu_idcode: u8,
    /// Fields of ID registers that describe the implementation rather than a feature: register, lowest bit, value.
    pub id_extra: &'static [(Id, u32, u8)],
}

impl Model {
    /// The model of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        MODELS.iter().find(|model| model.name == name).map(Self::on_this_host)
    }

    /// Without what this host cannot do: LSE2 needs atomic accesses of 16 bytes.
    fn on_this_host(&self) -> Self {
        let model = self.clone();
        let features =
            if crate::host::is_atomic() { model.features } else { model.features.without(Feat::Lse2) };
        Self { features, ..model }
    }

    /// Cortex-A72 r0p3: Armv8.0.
    #[must_use]
    pub fn cortex_a72() -> Self {
        table::CORTEX_A72.on_this_host()
    }

    /// Neoverse N1 r4p1: Armv8.2.
    #[must_use]
    pub fn neoverse_n1() -> Self {
        table::NEOVERSE_N1.on_this_host()
    }

    /// Everything that this program implements.
    #[must_use]
    pub fn max() -> Self {
        table::MAX.on_this_host()
    }

    /// CNTFRQ_EL0 in Hz.
    #[must_use]
    pub const fn frequency(&self) -> u64 {
        1_000_000_000 / self.tick_ns
    }

    /// The counter's value at a time.
    #[must_use]
    pub const fn ticks(&self, ns: u64) -> u64 {
        ns / self.tick_ns
    }

    /// The time at which the counter reaches a value, if that is ever.
    #[must_use]
    pub const fn ns_of(&self, ticks: u64) -> Option<u64> {
        ticks.checked_mul(self.tick_ns)
    }
}
