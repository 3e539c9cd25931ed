//! Looking a word up in the table.

use std::sync::LazyLock;

use super::{EncodingRow, TABLES};

/// Bits of a word that choose a bucket: 28:21, which split the encoding space best.
const BUCKET_LSB: u32 = 21;
const BUCKETS: usize = 256;

/// Per bucket, the rows that can match, the most specific first. Most words are decided within a few comparisons.
static BUCKET_ROWS: LazyLock<Box<[Vec<&'static EncodingRow>]>> = LazyLock::new(|| {
    (0..BUCKETS as u32)
        .map(|n| {
            let field = (BUCKETS as u32 - 1) << BUCKET_LSB;
            let key = n << BUCKET_LSB;
            let fits = |row: &&EncodingRow| (key ^ row.value) & row.mask & field == 0;
            let mut rows: Vec<_> = TABLES.iter().copied().flatten().filter(fits).collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row.mask.count_ones()));
            rows
        })
        .collect()
});

/// The row of a word. Where the patterns of rows overlap, the one with the most fixed bits counts.
#[must_use]
pub fn find(word: u32) -> Option<&'static EncodingRow> {
    let bucket = (word >> BUCKET_LSB) as usize % BUCKETS;
    BUCKET_ROWS[bucket].iter().copied().find(|row| word & row.mask == row.value)
}
