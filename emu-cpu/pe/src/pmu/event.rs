//! The events that can be counted (Arm ARM, D13.12).

use emu_a64::features::{Feat, FeatureSet};

/// What makes an event happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Writes of PMSWINC_EL0.
    Software,
    /// A total that the PE keeps anyway: place in [`super::Totals`].
    Total(usize),
    /// The counter before this one overflows.
    Chain,
    /// Never: nothing stalls here.
    Never,
}

/// Places in [`super::Totals`].
pub(super) const INSTRUCTIONS: usize = 0;
pub(super) const CYCLES: usize = 1;
pub(super) const EXCEPTIONS: usize = 2;
pub(super) const RETURNS: usize = 3;
pub(super) const ACCESSES: usize = 4;

/// Number, first version of the PMU that has it, source.
const EVENTS: &[(u16, Feat, Source)] = &[
    // SW_INCR, INST_RETIRED, EXC_TAKEN, EXC_RETURN, CPU_CYCLES, MEM_ACCESS, CHAIN.
    (0x00, Feat::Pmuv3, Source::Software),
    (0x08, Feat::Pmuv3, Source::Total(INSTRUCTIONS)),
    (0x09, Feat::Pmuv3, Source::Total(EXCEPTIONS)),
    (0x0a, Feat::Pmuv3, Source::Total(RETURNS)),
    (0x11, Feat::Pmuv3, Source::Total(CYCLES)),
    (0x13, Feat::Pmuv3, Source::Total(ACCESSES)),
    (0x1e, Feat::Pmuv3, Source::Chain),
    // STALL_FRONTEND, STALL_BACKEND: FEAT_PMUv3p1 requires them. STALL: FEAT_PMUv3p4.
    (0x23, Feat::Pmuv3p1, Source::Never),
    (0x24, Feat::Pmuv3p1, Source::Never),
    (0x3c, Feat::Pmuv3p4, Source::Never),
];

/// What the event with this number counts. Numbers without an event count nothing.
pub(super) fn source(number: u64) -> Source {
    EVENTS.iter().find(|e| u64::from(e.0) == number).map_or(Source::Never, |e| e.2)
}

/// PMCEID0_EL0 (`half` 0) and PMCEID1_EL0 (1): the common events that are implemented. No event of the extended
/// range, 0x4000 and above, is.
pub(super) fn implemented(features: FeatureSet, half: u16) -> u64 {
    EVENTS
        .iter()
        .filter(|(number, feat, _)| number >> 5 == half && features.has(*feat))
        .fold(0, |bits, (number, ..)| bits | 1 << (number & 31))
}
