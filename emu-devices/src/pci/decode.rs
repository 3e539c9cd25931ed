//! Which function answers for an address.

use std::sync::Arc;

use super::{Decoded, PciFunction, Space, Span};

/// A BAR, or the part of one that the bridges above it let through.
struct Range {
    span: Span,
    /// Where the BAR begins.
    base: u64,
    bar: u8,
    function: Arc<dyn PciFunction>,
}

/// What the BARs decode, sorted by address.
#[derive(Default)]
pub(super) struct DecodeTable {
    memory: Vec<Range>,
    io: Vec<Range>,
}

impl DecodeTable {
    /// Adds what of a BAR is in one of `reachable`.
    pub(super) fn add(&mut self, decoded: Decoded, reachable: &[Span], function: &Arc<dyn PciFunction>) {
        let Decoded { bar, space, base, size } = decoded;
        let ranges = match space {
            Space::Memory => &mut self.memory,
            Space::Io => &mut self.io,
        };
        let Some(whole) = Span::new(base, base.saturating_add(size - 1)) else { return };
        let spans = reachable.iter().filter_map(|reachable| whole.common(*reachable));
        ranges.extend(spans.map(|span| Range { span, base, bar, function: function.clone() }));
    }

    /// To be called when all are added.
    pub(super) fn sort(&mut self) {
        self.memory.sort_by_key(|r| r.span.first);
        self.io.sort_by_key(|r| r.span.first);
    }

    /// The function that decodes an address: itself, its BAR, and the offset in it.
    pub(super) fn find(&self, space: Space, address: u64) -> Option<(Arc<dyn PciFunction>, u8, u64)> {
        let ranges = match space {
            Space::Memory => &self.memory,
            Space::Io => &self.io,
        };
        let i = ranges.partition_point(|r| r.span.first <= address);
        let range = ranges[..i].last().filter(|r| address <= r.span.last)?;
        Some((range.function.clone(), range.bar, address - range.base))
    }
}
