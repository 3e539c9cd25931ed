//! ELF programs: segments by physical address.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_AARCH64};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::{Elf, Header, ProgramHeader, program_header};

use super::file;
use super::plan::Segment;
use crate::config::HostFile;
use crate::error::UserError;
use crate::user_error;

const MAGIC: [u8; 4] = *b"\x7fELF";

/// A program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// What goes into RAM.
    pub segments: Vec<Segment>,
    /// Where it starts.
    pub entry: u64,
}

/// True if the file begins as ELF files do.
pub fn is_elf(file: &HostFile) -> Result<bool, UserError> {
    Ok(file::head::<4>(file)? == MAGIC)
}

/// True if the bytes begin as ELF files do.
#[must_use]
pub fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads the loadable segments. Only the two headers are looked at: a program may well have no sections.
pub fn parse(bytes: &[u8], file: &HostFile) -> Result<Program, UserError> {
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
    let mut segments = Vec::new();
    for h in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0) {
        let end = h.p_offset.checked_add(h.p_filesz).and_then(|e| usize::try_from(e).ok());
        let data = end.and_then(|end| bytes.get(h.p_offset as usize..end));
        let data = data.ok_or_else(|| damaged(&"a segment is outside of the file"))?;
        if h.p_filesz > h.p_memsz {
            return Err(damaged(&"a segment is smaller in memory than in the file"));
        }
        let what = format!("the segment at {:#x} of {}", h.p_paddr, file.describe());
        segments.push(Segment { address: h.p_paddr, bytes: data.to_vec(), size: h.p_memsz, what });
    }
    if segments.is_empty() {
        return Err(user_error!("the ELF file {} has nothing to load", file.describe()));
    }
    let entry = physical_entry(header.e_entry, &headers);
    Ok(Program { segments, entry })
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
        let p = parse(&bytes, &file()).unwrap();
        assert_eq!(p.entry, 0x4000_1004);
        assert_eq!((p.segments[0].address, &p.segments[0].bytes[..]), (0x4000_1000, &b"code1234"[..]));
        assert_eq!((p.segments[1].address, p.segments[1].size), (0x4800_0000, 0x1000));
    }

    #[test]
    fn refusals() {
        let good = elf(0, &[(0, 0x4000_0000, b"abcd", 4)]);
        let e = |bytes: &[u8]| parse(bytes, &file()).unwrap_err().to_string();
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
                let _ = parse(&bytes, &file());
                let _ = parse(&bytes[..at], &file());
            }
        }
    }
}
