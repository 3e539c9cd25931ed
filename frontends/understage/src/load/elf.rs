//! ELF programs: segments by physical address.

use std::ops::Range;

use bytes::Bytes;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_AARCH64};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::{Elf, Header, ProgramHeader, program_header};

use super::plan::Segment;
use crate::config::HostFile;
use crate::error::{UserError, user_error};

/// A program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// What goes into RAM.
    pub segments: Vec<Segment>,
    /// Where it starts.
    pub entry: u64,
}

/// True if the bytes begin as ELF files do.
#[must_use]
pub fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(ELFMAG)
}

/// Reads the loadable segments. Only the two headers are looked at: a program may well have no sections.
///
/// Where segments overlap, what is in the file counts, and not the zeros behind what is in the file. Segments refer to
/// `bytes`: a small file can say that it wants the same bytes many times, and costs nothing by that.
pub fn parse(bytes: &Bytes, file: &HostFile) -> Result<Program, UserError> {
    let damaged =
        |why: &dyn std::fmt::Display| user_error!("the ELF file {} is damaged: {why}", file.describe());
    if !has_magic(bytes) {
        return Err(user_error!("{} is not an ELF file", file.describe()));
    }
    let header: Header = Elf::parse_header(bytes).map_err(|e| damaged(&e))?;
    let ident = header.e_ident;
    if ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_AARCH64 {
        return Err(user_error!("{} is not a little-endian AArch64 program", file.describe()));
    }
    let ctx = Ctx::new(Container::Big, Endian::Little);
    let (offset, count) = (header.e_phoff as usize, usize::from(header.e_phnum));
    let fits =
        count.checked_mul(program_header::program_header64::SIZEOF_PHDR).and_then(|n| n.checked_add(offset));
    if fits.is_none_or(|end| end > bytes.len()) {
        return Err(damaged(&"its program headers are outside of the file"));
    }
    let headers = ProgramHeader::parse(bytes, offset, count, ctx).map_err(|e| damaged(&e))?;
    let mut data = Vec::new();
    let mut memory = Vec::new();
    for h in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0) {
        let end = h.p_offset.checked_add(h.p_filesz).and_then(|e| usize::try_from(e).ok());
        if end.is_none_or(|end| end > bytes.len()) {
            return Err(damaged(&"a segment is outside of the file"));
        }
        if h.p_filesz > h.p_memsz {
            return Err(damaged(&"a segment is smaller in memory than in the file"));
        }
        let end = h.p_paddr.checked_add(h.p_memsz);
        let end = end.ok_or_else(|| damaged(&"a segment ends beyond all addresses"))?;
        memory.push(h.p_paddr..end);
        if h.p_filesz > 0 {
            data.push(Piece { start: h.p_paddr, end: h.p_paddr + h.p_filesz, offset: h.p_offset });
        }
    }
    if memory.is_empty() {
        return Err(user_error!("the ELF file {} has nothing to load", file.describe()));
    }
    let data = join_data(data).map_err(|at| {
        damaged(&format_args!("two of its segments have different contents for the address {at:#x}"))
    })?;
    let segments = lay_out(&join(memory), &data, bytes, file);
    let entry = physical_entry(header.e_entry, &headers);
    Ok(Program { segments, entry })
}

/// Bytes of the file, and the addresses where they go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Piece {
    start: u64,
    end: u64,
    offset: u64,
}

/// Pieces that do not overlap, in order. Those that do must be the same bytes of the file; else the address is given.
fn join_data(mut pieces: Vec<Piece>) -> Result<Vec<Piece>, u64> {
    pieces.sort_unstable();
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match out.last_mut() {
            Some(last) if piece.start < last.end => {
                if piece.start - last.start != piece.offset.wrapping_sub(last.offset) {
                    return Err(piece.start);
                }
                last.end = last.end.max(piece.end);
            }
            _ => out.push(piece),
        }
    }
    Ok(out)
}

/// The ranges in order, with those that overlap or touch made one.
fn join(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|r| r.start);
    let mut out: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// What is in `memory`: the pieces of the file, and zeros around them.
fn lay_out(memory: &[Range<u64>], data: &[Piece], bytes: &Bytes, file: &HostFile) -> Vec<Segment> {
    let mut out = Vec::new();
    let mut add = |address: u64, end: u64, bytes: Bytes| {
        let what = format!("the segment at {address:#x} of {}", file.describe());
        out.push(Segment { address, bytes, size: end - address, what });
    };
    let mut data = data.iter().peekable();
    for range in memory {
        let mut at = range.start;
        while let Some(piece) = data.next_if(|p| p.start < range.end) {
            if at < piece.start {
                add(at, piece.start, Bytes::new());
            }
            at = data.peek().map_or(range.end, |next| next.start.min(range.end));
            let len = piece.end - piece.start;
            add(piece.start, at, bytes.slice(piece.offset as usize..(piece.offset + len) as usize));
        }
        if at < range.end {
            add(at, range.end, Bytes::new());
        }
    }
    out
}

/// The entry point is a virtual address; the CPU starts with the MMU off. Programs that are linked at one address and
/// loaded at another have it translated by the segment that holds it.
fn physical_entry(entry: u64, headers: &[ProgramHeader]) -> u64 {
    let holds = |h: &&ProgramHeader| h.p_type == PT_LOAD && entry.wrapping_sub(h.p_vaddr) < h.p_memsz;
    match headers.iter().find(holds) {
        Some(h) => entry.wrapping_sub(h.p_vaddr).wrapping_add(h.p_paddr),
        None => entry,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program of segments (virtual address, physical address, bytes, size in memory).
    pub(crate) fn elf(entry: u64, segments: &[(u64, u64, &[u8], u64)]) -> Vec<u8> {
        let mut out = vec![0; 64 + 56 * segments.len()];
        out[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        out[16..18].copy_from_slice(&2u16.to_le_bytes());
        out[18..20].copy_from_slice(&EM_AARCH64.to_le_bytes());
        out[20..24].copy_from_slice(&1u32.to_le_bytes());
        out[24..32].copy_from_slice(&entry.to_le_bytes());
        out[32..40].copy_from_slice(&64u64.to_le_bytes());
        out[52..54].copy_from_slice(&64u16.to_le_bytes());
        out[54..56].copy_from_slice(&56u16.to_le_bytes());
        out[56..58].copy_from_slice(&(segments.len() as u16).to_le_bytes());
        for (i, (va, pa, bytes, size)) in segments.iter().enumerate() {
            let (at, offset) = (64 + 56 * i, out.len() as u64);
            out[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
            for (j, v) in [offset, *va, *pa, bytes.len() as u64, *size].iter().enumerate() {
                out[at + 8 + 8 * j..at + 16 + 8 * j].copy_from_slice(&v.to_le_bytes());
            }
            out.extend(*bytes);
        }
        out
    }

    fn file() -> HostFile {
        HostFile::new("--load", "p.elf")
    }

    #[test]
    fn segments_go_to_physical_addresses() {
        let bytes = elf(
            0xffff_0000_0000_1004,
            &[(0xffff_0000_0000_1000, 0x4000_1000, b"code1234", 8), (0, 0x4800_0000, b"d", 0x1000)],
        );
        let p = parse(&bytes.into(), &file()).unwrap();
        assert_eq!(p.entry, 0x4000_1004);
        assert_eq!((p.segments[0].address, &p.segments[0].bytes[..]), (0x4000_1000, &b"code1234"[..]));
        assert_eq!((p.segments[1].address, p.segments[1].size), (0x4800_0000, 0x1000));
    }

    /// Address, bytes, size of each segment.
    fn parts(segments: &[(u64, u64, &[u8], u64)]) -> Vec<(u64, Vec<u8>, u64)> {
        let program = parse(&elf(0, segments).into(), &file()).unwrap();
        program.segments.iter().map(|s| (s.address, s.bytes.to_vec(), s.size)).collect()
    }

    #[test]
    fn data_wins_over_the_zeros_of_another_segment() {
        let bss_over_data = parts(&[(0, 0x1000, b"text", 0x100), (0, 0x1080, b"data", 0x200)]);
        let expected = [(0x1000, b"text".to_vec(), 0x80), (0x1080, b"data".to_vec(), 0x200)];
        assert_eq!(bss_over_data, expected);
        let within = parts(&[(0, 0x1080, b"data", 4), (0, 0x1000, b"", 0x200)]);
        assert_eq!(within, [(0x1000, vec![], 0x80), (0x1080, b"data".to_vec(), 0x180)]);
        let apart = parts(&[(0, 0x3000, b"", 0x10), (0, 0x1000, b"abcd", 0x10)]);
        assert_eq!(apart, [(0x1000, b"abcd".to_vec(), 0x10), (0x3000, vec![], 0x10)]);
    }

    /// Two segments of `elf` over these bytes of the file.
    fn overlapping(second: (u64, u64)) -> Result<Program, UserError> {
        let mut bytes = elf(0, &[(0, 0x1000, b"0123456789", 10), (0, 0x1004, b"", 4)]);
        let first = 64 + 2 * 56;
        bytes[64 + 56 + 8..64 + 56 + 16].copy_from_slice(&(first + second.0).to_le_bytes());
        bytes[64 + 56 + 32..64 + 56 + 40].copy_from_slice(&second.1.to_le_bytes());
        bytes[64 + 56 + 40..64 + 56 + 48].copy_from_slice(&second.1.to_le_bytes());
        parse(&bytes.into(), &file())
    }

    #[test]
    fn the_same_bytes_may_be_in_two_segments() {
        let program = overlapping((4, 4)).unwrap();
        assert_eq!(program.segments.len(), 1);
        assert_eq!(program.segments[0].bytes, &b"0123456789"[..]);
        let e = overlapping((5, 4)).unwrap_err().to_string();
        assert!(e.contains("two of its segments have different contents for the address 0x1004"), "{e}");
    }

    /// As many segments as there can be, each with all of the file.
    #[test]
    fn a_file_is_held_once() {
        let count = 0xffff_usize;
        let mut bytes = elf(0, &[(0, 0, &[7; 1 << 20], 1 << 20)]);
        let table = bytes.len() as u64;
        bytes[32..40].copy_from_slice(&table.to_le_bytes());
        bytes[56..58].copy_from_slice(&(count as u16).to_le_bytes());
        let one = bytes[64..64 + 56].to_vec();
        for n in 0..count {
            bytes.extend(&one);
            let at = bytes.len() - 56 + 24;
            // Beside one another in memory.
            bytes[at..at + 8].copy_from_slice(&((n as u64) << 20).to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        let program = parse(&bytes, &file()).unwrap();
        assert_eq!(program.segments.len(), count);
        let inside = |s: &Segment| bytes.as_ptr_range().contains(&s.bytes.as_ptr());
        assert!(program.segments.iter().all(inside), "nothing is copied");
    }

    #[test]
    fn refusals() {
        let good = elf(0, &[(0, 0x4000_0000, b"abcd", 4)]);
        let e = |bytes: &[u8]| parse(&Bytes::copy_from_slice(bytes), &file()).unwrap_err().to_string();
        assert_eq!(e(b"MZ"), "'p.elf' given with --load is not an ELF file");
        let change = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        assert!(e(&change(18, 62)).contains("not a little-endian AArch64 program"));
        assert!(e(&change(4, 1)).contains("not a little-endian AArch64 program"));
        assert!(e(&change(56, 0)).contains("nothing to load"));
        assert!(e(&change(57, 0xff)).contains("program headers are outside"));
        assert!(e(&good[..good.len() - 1]).contains("a segment is outside"));
        assert!(e(&change(64 + 40, 2)).contains("smaller in memory"));
    }

    #[test]
    fn no_damage_to_the_headers_panics() {
        let good = elf(0x10, &[(0, 0x4000_0000, b"abcd", 4)]);
        for at in 0..120 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _ = parse(&Bytes::copy_from_slice(&bytes[..at]), &file());
                let _ = parse(&bytes.into(), &file());
            }
        }
    }
}
