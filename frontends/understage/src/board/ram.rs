//! The guest's RAM as the host gives it.

use std::fs::File;
use std::io;
use std::path::Path;

use emu_core::ram::GuestRam;

use crate::config::{HostFile, Ram, RamBacking};
use crate::error::{UserError, reason, user_error};
use crate::number::show_size;

/// RAM of `size` bytes as `settings` want it.
pub(super) fn get(size: u64, settings: &Ram) -> Result<&'static GuestRam, UserError> {
    let ram = match &settings.backing {
        RamBacking::Anonymous => GuestRam::new(size),
        RamBacking::File { file, share } => GuestRam::over_file(size, &open(file, size)?, *share),
    };
    let ram = ram.map_err(|e| user_error!("{e}"))?;
    let asked = |what: &str, done: io::Result<()>| {
        done.map_err(|e| user_error!("the host cannot {what} the RAM: {}", reason(&e)))
    };
    if !settings.in_core_dump {
        asked("hide", ram.hide_from_core_dumps())?;
    }
    if settings.mergeable {
        asked("merge equal pages of", ram.allow_merging())?;
    }
    if settings.prealloc {
        asked("give all pages of", ram.populate())?;
    }
    Ok(ram)
}

/// Opens the file of the RAM, and makes a new or empty one large enough. In a directory it is one without a name.
fn open(file: &HostFile, size: u64) -> Result<File, UserError> {
    let failed = |e: io::Error| user_error!("cannot open {}: {}", file.describe(), reason(&e));
    let path: &Path = &file.value;
    let opened = match path.is_dir() {
        true => without_name(path),
        false => File::options().read(true).write(true).create(true).truncate(false).open(path),
    };
    let opened = opened.map_err(failed)?;
    let kind = opened.metadata().map_err(failed)?;
    if !kind.is_file() {
        return Err(user_error!("{} is no file that RAM can be in", file.describe()));
    }
    match kind.len() {
        0 => opened
            .set_len(size)
            .map_err(|e| user_error!("cannot give {} its size: {}", file.describe(), reason(&e)))?,
        n if n < size => {
            return Err(user_error!(
                "{} has {}, and the RAM has {}: it must be empty or large enough",
                file.describe(),
                show_size(n),
                show_size(size)
            ));
        }
        _ => {}
    }
    Ok(opened)
}

/// A file in `directory` that is gone when this program ends.
fn without_name(directory: &Path) -> io::Result<File> {
    let path = directory.join(format!("understage-ram-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Given;

    fn over(path: &Path, share: bool) -> Ram {
        let file: HostFile = Given::new("-object memory-backend-file", path);
        Ram { backing: RamBacking::File { file, share }, ..Ram::default() }
    }

    #[test]
    fn a_new_file_gets_the_size_of_the_ram_and_its_contents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ram");
        let ram = get(1 << 20, &Ram { prealloc: false, ..over(&path, true) }).unwrap();
        ram.write(0x1234, b"guest").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[0x1234..0x1239]), (1 << 20, &b"guest"[..]));
        let e = get(2 << 20, &over(&path, true)).unwrap_err().to_string();
        assert!(e.ends_with("has 1 MiB, and the RAM has 2 MiB: it must be empty or large enough"), "{e}");
    }

    #[test]
    fn in_a_directory_the_file_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let ram = get(1 << 20, &over(dir.path(), false)).unwrap();
        ram.write(0, b"x").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let e = get(1 << 20, &over(Path::new("/dev/null"), false)).unwrap_err().to_string();
        assert!(e.ends_with("is no file that RAM can be in"), "{e}");
    }
}
