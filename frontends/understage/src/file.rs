//! Reading files of the host.

use std::fs::File;
use std::io::Read;

use goblin::elf::header::ELFMAG;

use crate::config::HostFile;
use crate::error::{UserError, reason, user_error};
use crate::number::show_size;

/// Opens a file for reading; a directory is refused here rather than at the first read.
pub fn open(file: &HostFile) -> Result<File, UserError> {
    let handle = File::open(&file.value)
        .map_err(|e| user_error!("cannot open {}: {}", file.describe(), reason(&e)))?;
    match handle.metadata() {
        Ok(m) if m.is_dir() => Err(user_error!("cannot open {}: it is a directory", file.describe())),
        _ => Ok(handle),
    }
}

/// Reads a kernel. Runners of test suites try a machine with a kernel that is not there, and look for the words of QEMU's
/// message.
pub fn read_kernel(file: &HostFile, limit: u64, place: &str) -> Result<Vec<u8>, UserError> {
    File::open(&file.value)
        .map_err(|e| user_error!("could not open kernel {}: {}", file.describe(), reason(&e)))?;
    read(file, limit, place)
}

/// Reads a file of at most `limit` bytes; `place` says what the limit is the size of.
pub fn read(file: &HostFile, limit: u64, place: &str) -> Result<Vec<u8>, UserError> {
    let mut bytes = Vec::new();
    let read = open(file)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|e| user_error!("cannot read {}: {}", file.describe(), reason(&e)))?;
    if bytes.len() as u64 > limit {
        return Err(user_error!("{} is larger than {place} ({})", file.describe(), show_size(limit)));
    }
    Ok(bytes)
}

/// True if a file begins as ELF files do.
pub fn is_elf(file: &HostFile) -> Result<bool, UserError> {
    let mut head = Vec::new();
    let read = open(file)?.take(ELFMAG.len() as u64).read_to_end(&mut head);
    read.map_err(|e| user_error!("cannot read {}: {}", file.describe(), reason(&e)))?;
    Ok(head == ELFMAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_file_and_option() {
        let dir = tempfile::tempdir().unwrap();
        let e = read(&HostFile::new("--disk", "/no/x.img"), 1, "it").unwrap_err();
        assert_eq!(e.to_string(), "cannot open '/no/x.img' given with --disk: No such file or directory");
        let e = open(&HostFile::new("--disk", dir.path())).unwrap_err();
        assert!(e.to_string().ends_with("it is a directory"));
        let path = dir.path().join("f");
        std::fs::write(&path, [0; 5]).unwrap();
        let file = HostFile::new("--firmware", path.clone());
        assert_eq!(read(&file, 5, "flash").unwrap(), [0; 5]);
        let e = read(&file, 4, "a flash bank").unwrap_err().to_string();
        assert!(e.ends_with("is larger than a flash bank (4 bytes)"), "{e}");
    }
}
