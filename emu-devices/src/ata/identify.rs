//! What a disk says of itself: IDENTIFY DEVICE (ATA8-ACS, 7.16).

/// What goes into it.
pub(super) struct Facts<'a> {
    pub(super) sectors: u64,
    pub(super) serial: &'a str,
    pub(super) model: &'a str,
    pub(super) write_cache: bool,
    pub(super) multiple: u8,
    pub(super) trim: bool,
}

/// Sectors that an address of 28 bits reaches.
const MOST_28: u64 = 0x0fff_ffff;

/// Text, two bytes a word, the first in the upper half, with blanks behind.
fn text(words: &mut [u16], text: &str) {
    let mut bytes = text.bytes().chain(std::iter::repeat(b' '));
    for word in words {
        *word = u16::from_be_bytes([bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' ')]);
    }
}

/// The 512 bytes.
pub(super) fn device(facts: &Facts<'_>) -> Vec<u8> {
    let mut w = [0_u16; 256];
    let cylinders = (facts.sectors / (16 * 63)).min(16383) as u16;
    (w[0], w[1], w[3], w[6]) = (0x0040, cylinders, 16, 63);
    text(&mut w[10..20], facts.serial);
    text(&mut w[23..27], env!("CARGO_PKG_VERSION"));
    text(&mut w[27..47], facts.model);
    w[47] = 0x8010;
    // LBA, DMA, IORDY.
    (w[49], w[50], w[53]) = (0x0f00, 0x4000, 0x0006);
    w[59] = if facts.multiple > 0 { 0x100 | u16::from(facts.multiple) } else { 0 };
    let few = facts.sectors.min(MOST_28);
    (w[60], w[61]) = (few as u16, (few >> 16) as u16);
    // Multiword DMA 0 to 2, PIO 3 and 4, cycles of 120 ns.
    (w[63], w[64]) = (0x0007, 0x0003);
    w[65..69].fill(120);
    w[75] = 31;
    // Native command queuing, speeds of the first two generations, of which the first is in use; READ LOG DMA EXT.
    (w[76], w[77]) = (0x8106, 0x0002);
    // ATA/ATAPI-4 to ATA8-ACS.
    w[80] = 0x01f0;
    // Write cache, power management; FLUSH CACHE [EXT], 48-bit addresses; WRITE FUA, general purpose logging.
    let supported = [0x0028, 0x7400, 0x4060];
    w[82..85].copy_from_slice(&supported);
    w[85] = if facts.write_cache { 0x0028 } else { 0x0008 };
    (w[86], w[87]) = (0x3400, 0x4060);
    // Ultra DMA 0 to 5, of which 5 is selected.
    w[88] = 0x203f;
    for n in 0..4 {
        w[100 + n] = (facts.sectors >> (16 * n)) as u16;
    }
    if facts.trim {
        (w[105], w[169]) = (1, 1);
    }
    // One logical sector in a physical one; no rotation; serial transport.
    (w[106], w[217], w[222]) = (0x4000, 1, 0x101f);
    let mut bytes: Vec<u8> = w.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes[510] = 0xa5;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[511] = sum.wrapping_neg();
    bytes
}
