//! The host's files behind flash banks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use emu_devices::flash::Programming;
use emu_devices::hostfile::{self, Claim};

use crate::config::Flash;
use crate::error::{UserError, reason, user_error};

/// How much of a flash image is compared at a time.
const PIECE: usize = 1 << 20;

/// What becomes of what the guest programs into a flash bank of `size` bytes, whose contents were read as `image`.
pub(super) fn programming(flash: Option<&Flash>, image: &[u8], size: u64) -> Result<Programming, UserError> {
    match flash {
        Some(f) if f.readonly => Ok(Programming::Protected),
        Some(f) if !f.snapshot => Ok(Programming::Kept(Box::new(open_store(f, image, size)?))),
        _ => Ok(Programming::Lost),
    }
}

/// The file that takes a bank's changes. Nobody else may write it from here on, and nobody has since it was read.
fn open_store(flash: &Flash, image: &[u8], size: u64) -> Result<File, UserError> {
    let name = flash.file.describe();
    if image.len() as u64 != size {
        return Err(user_error!(
            "{name} has {} bytes, and a flash that the guest can write has {size}: pad it, or make it read-only or a snapshot",
            image.len()
        ));
    }
    let refused = |e: io::Error| user_error!("cannot open {name}: {}", reason(&e));
    let (file, _) = hostfile::open(&flash.file.value, true).map_err(refused)?;
    if !hostfile::lock(&file, Claim::Write).map_err(refused)? {
        return Err(user_error!(
            "{name} is in use by another process; make it read-only or a snapshot, or stop that one"
        ));
    }
    if !holds(&file, image).map_err(refused)? {
        return Err(user_error!("{name} was changed while it was read"));
    }
    Ok(file)
}

/// True if these are the first bytes of the file.
fn holds(file: &File, image: &[u8]) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    for (expected, n) in image.chunks(PIECE).zip(0..) {
        let now = &mut piece[..expected.len()];
        file.read_exact_at(now, n * PIECE as u64)?;
        if now != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::HostFile;

    fn flash(path: &Path, readonly: bool, snapshot: bool) -> Flash {
        Flash { file: HostFile::new("--flash1", path), readonly, snapshot }
    }

    fn refusal(flash: &Flash, image: &[u8]) -> String {
        programming(Some(flash), image, image.len() as u64).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn one_machine_programs_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let image = vec![7; 3 << 20];
        std::fs::write(file.path(), &image).unwrap();
        let kept = flash(file.path(), false, false);
        let first = programming(Some(&kept), &image, image.len() as u64).unwrap();
        assert!(matches!(first, Programming::Kept(_)));
        assert!(refusal(&kept, &image).contains("given with --flash1 is in use by another process"));
        drop(first);
        assert_eq!(refusal(&kept, &image), "");
        std::fs::write(file.path(), vec![8; 3 << 20]).unwrap();
        assert!(refusal(&kept, &image).contains("was changed while it was read"));
    }

    #[test]
    fn what_is_not_kept_needs_no_file() {
        let gone = Path::new("/no/file");
        let of = |flash: Flash| programming(Some(&flash), &[1], 64).unwrap();
        assert!(matches!(of(flash(gone, true, false)), Programming::Protected));
        assert!(matches!(of(flash(gone, true, true)), Programming::Protected));
        assert!(matches!(of(flash(gone, false, true)), Programming::Lost));
        assert!(matches!(programming(None, &[], 64).unwrap(), Programming::Lost));
        let e = refusal(&flash(Path::new("/dev/null"), false, false), &[0; 64]);
        assert!(e.contains("/dev/null' given with --flash1: it is a character device"), "{e}");
    }
}
