//! The commands of a disk, as rows (ATA8-ACS, 7).

/// How data go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    Dma,
    /// A sector at a time.
    Pio,
    /// As many as SET MULTIPLE MODE says.
    Multiple,
    /// First-party DMA, queued.
    Queue,
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Read(By),
    Write(By),
    /// A write that is on the medium when it has ended.
    WriteThrough(By),
    Verify,
    Flush,
    Identify,
    SetFeatures,
    SetMultiple,
    Trim,
    ReadLog(By),
    NativeMax,
    /// Power management: there is nothing that sleeps.
    Power,
    CheckPower,
    Diagnose,
}
use Action::{
    CheckPower, Diagnose, Flush, Identify, NativeMax, Power, Read, ReadLog, SetFeatures, SetMultiple, Trim,
    Verify, Write, WriteThrough,
};

/// A command: its code, its name, what it does, whether its addresses have 48 bits.
pub(super) struct Row(pub(super) u8, pub(super) &'static str, pub(super) Action, pub(super) bool);

/// All commands; any other one is aborted.
pub(super) const ROWS: &[Row] = &[
    Row(0x06, "DATA SET MANAGEMENT", Trim, true),
    Row(0x20, "READ SECTOR(S)", Read(By::Pio), false),
    Row(0x21, "READ SECTOR(S) without retries", Read(By::Pio), false),
    Row(0x24, "READ SECTOR(S) EXT", Read(By::Pio), true),
    Row(0x25, "READ DMA EXT", Read(By::Dma), true),
    Row(0x27, "READ NATIVE MAX ADDRESS EXT", NativeMax, true),
    Row(0x29, "READ MULTIPLE EXT", Read(By::Multiple), true),
    Row(0x2f, "READ LOG EXT", ReadLog(By::Pio), true),
    Row(0x30, "WRITE SECTOR(S)", Write(By::Pio), false),
    Row(0x31, "WRITE SECTOR(S) without retries", Write(By::Pio), false),
    Row(0x34, "WRITE SECTOR(S) EXT", Write(By::Pio), true),
    Row(0x35, "WRITE DMA EXT", Write(By::Dma), true),
    Row(0x39, "WRITE MULTIPLE EXT", Write(By::Multiple), true),
    Row(0x3d, "WRITE DMA FUA EXT", WriteThrough(By::Dma), true),
    Row(0x40, "READ VERIFY SECTOR(S)", Verify, false),
    Row(0x42, "READ VERIFY SECTOR(S) EXT", Verify, true),
    Row(0x47, "READ LOG DMA EXT", ReadLog(By::Dma), true),
    Row(0x60, "READ FPDMA QUEUED", Read(By::Queue), true),
    Row(0x61, "WRITE FPDMA QUEUED", Write(By::Queue), true),
    Row(0x90, "EXECUTE DEVICE DIAGNOSTIC", Diagnose, false),
    Row(0xc4, "READ MULTIPLE", Read(By::Multiple), false),
    Row(0xc5, "WRITE MULTIPLE", Write(By::Multiple), false),
    Row(0xc6, "SET MULTIPLE MODE", SetMultiple, false),
    Row(0xc8, "READ DMA", Read(By::Dma), false),
    Row(0xca, "WRITE DMA", Write(By::Dma), false),
    Row(0xce, "WRITE MULTIPLE FUA EXT", WriteThrough(By::Multiple), true),
    Row(0xe0, "STANDBY IMMEDIATE", Power, false),
    Row(0xe1, "IDLE IMMEDIATE", Power, false),
    Row(0xe2, "STANDBY", Power, false),
    Row(0xe3, "IDLE", Power, false),
    Row(0xe5, "CHECK POWER MODE", CheckPower, false),
    Row(0xe6, "SLEEP", Power, false),
    Row(0xe7, "FLUSH CACHE", Flush, false),
    Row(0xea, "FLUSH CACHE EXT", Flush, true),
    Row(0xec, "IDENTIFY DEVICE", Identify, false),
    Row(0xef, "SET FEATURES", SetFeatures, false),
    Row(0xf8, "READ NATIVE MAX ADDRESS", NativeMax, false),
];

/// The command with this code.
pub(super) fn find(code: u8) -> Option<&'static Row> {
    ROWS.binary_search_by_key(&code, |row| row.0).ok().map(|at| &ROWS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_order() {
        assert!(ROWS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(find(0xec).map(|row| row.1), Some("IDENTIFY DEVICE"));
        assert!(find(0x00).is_none(), "NOP is aborted, as it always is");
    }
}
