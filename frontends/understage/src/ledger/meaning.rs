//! The keys of counts, and what each means.

use emu_core::ledger::Cause;
use emu_core::metrics::Metric;
use emu_pe::trace::class_name;
use emu_smmu::translation::StreamCount;

/// A count of an SMMU: its key, what it means, where it is.
type OfStream = (&'static str, &'static str, fn(&StreamCount) -> u64);

/// What is counted of each stream.
pub(super) const STREAM: &[OfStream] = &[
    ("smmu_transactions", "its transactions at the SMMU", |c| c.transactions),
    ("smmu_bytes", "bytes that they moved", |c| c.bytes),
    ("smmu_quick", "pages of them that its port of the SMMU knew", |c| c.quick),
    ("smmu_hits", "pages of them that the SMMU's TLB knew", |c| c.hits),
    ("smmu_walks", "pages of them that the SMMU walked tables for", |c| c.walks),
    ("smmu_faults", "its translation faults in the SMMU", |c| c.faults),
    ("smmu_aborts", "its transactions that the SMMU aborted", |c| c.aborts),
    ("smmu_stalls", "stalls of its transactions in the SMMU", |c| c.stalls),
    ("smmu_stalled_ns", "nanoseconds of the machine's time for which they were stalled", |c| c.stalled_ns),
];

/// `ExcToEl2` as `exc_to_el2`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

pub(super) fn of_metric(metric: Metric) -> String {
    snake(&format!("{metric:?}"))
}

pub(super) fn of_cause(cause: Cause) -> String {
    snake(&format!("{cause:?}"))
}

/// Instructions at a level.
pub(super) fn of_level(level: usize) -> String {
    format!("instructions_el{level}")
}

/// Synchronous exceptions of a class.
pub(super) fn of_class(to_el2: bool, ec: u8) -> String {
    format!("to_el{}_ec_{ec:#04x}", if to_el2 { 2 } else { 1 })
}

/// What the count of this key is of.
#[must_use]
pub fn meaning(key: &str) -> String {
    let class = |prefix: &str| key.strip_prefix(prefix).and_then(|ec| u8::from_str_radix(ec, 16).ok());
    for level in [1, 2] {
        if let Some(ec) = class(&format!("to_el{level}_ec_0x")) {
            return format!("synchronous exceptions taken to EL{level}: {}", class_name(ec));
        }
    }
    if let Some(level) = key.strip_prefix("instructions_el") {
        return format!("instructions executed at EL{level}");
    }
    let metric = Metric::ALL.iter().find(|m| of_metric(**m) == key).map(|m| m.name());
    let cause = || Cause::ALL.iter().find(|c| of_cause(**c) == key).map(|c| c.name());
    let stream = || STREAM.iter().find(|(k, ..)| *k == key).map(|(_, name, _)| *name);
    metric.or_else(cause).or_else(stream).unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_words_with_meanings_of_their_own() {
        assert_eq!(of_metric(Metric::ExcToEl2), "exc_to_el2");
        assert_eq!(of_class(true, 0x16), "to_el2_ec_0x16");
        assert_eq!(meaning("to_el2_ec_0x16"), "synchronous exceptions taken to EL2: HVC");
        assert_eq!(meaning("instructions_el1"), "instructions executed at EL1");
        let devices: Vec<String> =
            Cause::ALL.iter().map(|c| of_cause(*c)).chain(STREAM.iter().map(|s| s.0.to_owned())).collect();
        let distinct: BTreeSet<&String> = devices.iter().collect();
        assert_eq!(distinct.len(), devices.len());
        assert!(devices.iter().all(|key| meaning(key) != *key));
        assert!(Metric::ALL.iter().all(|m| meaning(&of_metric(*m)) == m.name() || m.name().contains("DMA")));
    }
}
