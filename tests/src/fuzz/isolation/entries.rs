//! STEs and CDs by the bits of the specification (Arm IHI 0070, 5.2 and 5.4): where they are, and which are ILLEGAL. Of an SMMUv3.2
//! that has all of the profile `full`, but ATS.

use super::memory::Mirror;

/// An STE or a CD: those doublewords of which anything here depends.
pub(super) type Words = [u64; 4];

pub(super) const fn bits(value: u64, hi: u32, lo: u32) -> u64 {
    value << (63 - hi) >> (63 - hi + lo)
}

pub(super) const fn set(value: u64, at: u32) -> bool {
    value >> at & 1 != 0
}

/// IDR1.SIDSIZE and SSIDSIZE, and IDR5.OAS.
const STREAM_BITS: u64 = 16;
const SUBSTREAM_BITS: u64 = 20;
pub(super) const OUTPUT_BITS: u32 = 52;

/// What is wrong with a configuration: the transaction is aborted, whatever is recorded.
pub(super) struct Bad;

/// What the registers say, as they were written.
#[derive(Clone, Copy, Default)]
pub(super) struct Registers {
    /// CR0.SMMUEN.
    pub(super) enabled: bool,
    /// GBPA.ABORT.
    pub(super) aborts: bool,
    /// CR2.E2H.
    pub(super) e2h: bool,
    /// CR2.PTM.
    pub(super) private: bool,
    /// STRTAB_BASE.ADDR.
    pub(super) table: u64,
    /// STRTAB_BASE_CFG.
    pub(super) shape: u64,
}

/// StreamWorlds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum World {
    /// NS-EL1.
    El1,
    /// NS-EL2.
    El2,
    /// NS-EL2-E2H.
    E2h,
}

/// log2 of the page, of TG0 and S2TG.
pub(super) fn granule0(tg: u64) -> Option<u32> {
    [Some(12), Some(16), Some(14), None][tg as usize]
}

/// log2 of the page, of TG1.
pub(super) fn granule1(tg: u64) -> Option<u32> {
    [None, Some(14), Some(12), Some(16)][tg as usize]
}

/// Bits of an address, of IPS and S2PS.
pub(super) fn size(ps: u64) -> u32 {
    [32, 36, 40, 42, 44, 48, 52, 52][ps as usize]
}

/// What a table maps at a level: log2.
pub(super) fn span(page: u32, level: u32) -> u32 {
    page + (page - 3) * (3 - level)
}

/// The most bits that descriptors of a granule can name.
pub(super) fn format(page: u32) -> u32 {
    if page == 16 { 52 } else { 48 }
}

fn words(memory: &Mirror, at: u64) -> Result<Words, Bad> {
    let word = |n: u64| memory.get(at + 8 * n).ok_or(Bad);
    Ok([word(0)?, word(1)?, word(2)?, word(3)?])
}

/// The STE of a stream (3.3.1), valid and legal.
pub(super) fn fetch_ste(memory: &Mirror, registers: &Registers, stream: u32) -> Result<Words, Bad> {
    let stream = u64::from(stream);
    let log2size = bits(registers.shape, 5, 0);
    if stream >> log2size.min(STREAM_BITS) != 0 {
        return Err(Bad);
    }
    let at = if bits(registers.shape, 17, 16) == 1 {
        let split = bits(registers.shape, 10, 6);
        let descriptor = memory.get(registers.table + 8 * (stream >> split)).ok_or(Bad)?;
        let (span, index) = (bits(descriptor, 4, 0), stream & ((1 << split) - 1));
        if span == 0 || span > split + 1 || index >> (span - 1) != 0 {
            return Err(Bad);
        }
        (bits(descriptor, 55, 0) >> (span + 5) << (span + 5)) + 64 * index
    } else {
        registers.table + 64 * stream
    };
    let ste = words(memory, at)?;
    if is_illegal_ste(&ste) { Err(Bad) } else { Ok(ste) }
}

/// STE.Config.
pub(super) fn config(ste: &Words) -> u64 {
    bits(ste[0], 3, 1)
}

pub(super) fn has_stage1(ste: &Words) -> bool {
    matches!(config(ste), 5 | 7)
}

pub(super) fn has_stage2(ste: &Words) -> bool {
    matches!(config(ste), 6 | 7)
}

/// SteIllegal (5.2.2).
fn is_illegal_ste(ste: &Words) -> bool {
    if !set(ste[0], 0) {
        return true;
    }
    let reserved_world = config(ste) == 5 && set(ste[1], 30);
    let too_many = bits(ste[0], 63, 59) > SUBSTREAM_BITS;
    let pointer = bits(ste[0], 55, 6) << 6 >> OUTPUT_BITS != 0;
    let bad1 = has_stage1(ste) && (reserved_world || too_many || pointer);
    config(ste) & 4 != 0 && (bad1 || has_stage2(ste) && is_illegal_stage2(ste))
}

/// What makes the fields of stage 2 illegal: AArch32 or big-endian tables, or sizes that do not fit.
fn is_illegal_stage2(ste: &Words) -> bool {
    let s = ste[2];
    let Some(page) = granule0(bits(s, 47, 46)) else { return true };
    let least = if page == 16 { 12 } else { 16 };
    let beyond = bits(ste[3], 51, 4) << 4 >> size(bits(s, 50, 48)).min(format(page)) != 0;
    let out_of_range = !(least..=39).contains(&bits(s, 37, 32));
    !set(s, 51) || set(s, 52) || beyond || out_of_range || start2(ste).is_none()
}

/// The first level of stage 2: S2SL0 under S2TG, if it fits S2T0SZ (5.2.1).
pub(super) fn start2(ste: &Words) -> Option<u32> {
    let s = ste[2];
    let page = granule0(bits(s, 47, 46))?;
    let sl0 = bits(s, 39, 38) as u32;
    let level = if page == 12 { 2_u32.checked_sub(sl0)? } else { 3 - Some(sl0).filter(|n| *n != 3)? };
    // One table at the first level, or up to sixteen.
    let resolved = (64 - bits(s, 37, 32) as u32).checked_sub(span(page, level))?;
    (1..=page - 3 + 4).contains(&resolved).then_some(level)
}

/// The regime that stage 1 belongs to.
pub(super) fn world(ste: &Words, e2h: bool) -> World {
    match (config(ste) == 5 && bits(ste[1], 31, 30) == 2, e2h) {
        (false, _) => World::El1,
        (true, false) => World::El2,
        (true, true) => World::E2h,
    }
}

/// Which CD a transaction has (3.3.2, STE.S1DSS): none if it bypasses stage 1.
pub(super) fn context(ste: &Words, substream: Option<u32>) -> Result<Option<u32>, Bad> {
    let max = bits(ste[0], 63, 59);
    match (has_stage1(ste), substream) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(Bad),
        (true, None) if max == 0 => Ok(Some(0)),
        (true, None) => match bits(ste[1], 1, 0) {
            1 => Ok(None),
            2 => Ok(Some(0)),
            _ => Err(Bad),
        },
        (true, Some(id)) if max == 0 || u64::from(id) >> max != 0 => Err(Bad),
        (true, Some(0)) if bits(ste[1], 1, 0) == 2 => Err(Bad),
        (true, Some(id)) => Ok(Some(id)),
    }
}

/// Where a CD is, by a function that reads a doubleword at an address of stage 1's: `E` is why it cannot.
pub(super) fn cd_address<E>(
    ste: &Words,
    index: u32,
    mut read: impl FnMut(u64) -> Result<u64, E>,
    bad: impl Fn() -> E,
) -> Result<u64, E> {
    let (index, max) = (u64::from(index), bits(ste[0], 63, 59) as u32);
    let pointer = bits(ste[0], 55, 6) << 6;
    let split = match bits(ste[0], 5, 4) {
        1 => 6,
        2 => 10,
        _ => return Ok((pointer >> (6 + max) << (6 + max)) + 64 * index),
    };
    if max == 0 {
        return Ok(pointer);
    }
    let align = (max + 3).saturating_sub(split).max(6);
    let descriptor = read((pointer >> align << align) + 8 * (index >> split))?;
    let table = bits(descriptor, 55, 12) << 12;
    if !set(descriptor, 0) || table >> OUTPUT_BITS != 0 {
        return Err(bad());
    }
    Ok((table >> (split + 6) << (split + 6)) + 64 * (index & ((1 << split) - 1)))
}

/// One half of the addresses that a CD has tables for.
pub(super) struct Half {
    pub(super) input: u32,
    /// None if TG is reserved.
    pub(super) page: Option<u32>,
    pub(super) disabled: bool,
    pub(super) tbi: bool,
    pub(super) had: bool,
    pub(super) table: u64,
}

/// The lower or the upper half. EL2 without E2H has but the lower one, always.
pub(super) fn half(cd: &Words, world: World, upper: bool) -> Half {
    let c = cd[0];
    let (tsz, page, epd, tbi, word) = if upper {
        (bits(c, 21, 16), granule1(bits(c, 23, 22)), 30, 39, cd[2])
    } else {
        (bits(c, 5, 0), granule0(bits(c, 7, 6)), 14, 38, cd[1])
    };
    let disabled = if world == World::El2 { upper } else { set(c, epd) };
    let table = bits(word, 51, 4) << 4;
    Half { input: 64 - tsz as u32, page, disabled, tbi: set(c, tbi), had: set(word, 1), table }
}

/// CdIllegal (5.4.2), of a CD that was reached through an STE.
pub(super) fn is_illegal_cd(cd: &Words, ste: &Words, world: World) -> bool {
    let c = cd[0];
    let halves = [false, true].map(|upper| half(cd, world, upper));
    let walked = || halves.iter().filter(|h| !h.disabled);
    let bad = |h: &Half| {
        let Some(page) = h.page else { return true };
        let most = format(page);
        let beyond = h.table >> size(bits(c, 34, 32)).min(most) != 0;
        !(25..=most).contains(&h.input) || beyond
    };
    let stalls = set(c, 44) && set(ste[1], 27);
    let big_endian = set(c, 15) && walked().next().is_some();
    !set(c, 31) || stalls || big_endian || !set(c, 41) || walked().any(bad)
}

/// The CD at an address that stage 1 has no more to say of.
pub(super) fn cd_at(memory: &Mirror, at: u64) -> Result<Words, Bad> {
    words(memory, at)
}
