//! The advisory byte locks of QEMU's block layer (its option `file.locking`), so that both programs see each other.
//!
//! Each permission has a number. Who uses permission *n* holds a shared lock on byte 100 + *n* of the file; who does not
//! let others use it holds one on byte 200 + *n*. Nobody ever takes an exclusive lock: after taking its own locks, each
//! looks whether anyone else holds one of the bytes that exclude what it wants. The locks belong to the open file
//! description (fcntl_locking(2)), so they also hold between two disks of one process, and go when it is closed.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock};

/// Numbers of the permissions.
mod permission {
    pub(super) const CONSISTENT_READ: u8 = 1 << 0;
    pub(super) const WRITE: u8 = 1 << 1;
    pub(super) const WRITE_UNCHANGED: u8 = 1 << 2;
    pub(super) const RESIZE: u8 = 1 << 3;
}

/// How many there are.
const PERMISSIONS: i64 = 4;
/// The byte of permission 0 in use, and not shared.
const USED: i64 = 100;
const UNSHARED: i64 = 200;

/// What a file is opened for. Nobody may write to it at the same time but us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It is only read.
    Read,
    /// Its contents are written.
    Write,
    /// It is written and may grow: the file of an image format.
    WriteAndGrow,
}

impl Claim {
    const fn uses(self) -> u8 {
        use permission::{CONSISTENT_READ, RESIZE, WRITE};
        match self {
            Self::Read => CONSISTENT_READ,
            Self::Write => CONSISTENT_READ | WRITE,
            Self::WriteAndGrow => CONSISTENT_READ | WRITE | RESIZE,
        }
    }

    const fn refuses(self) -> u8 {
        !(permission::CONSISTENT_READ | permission::WRITE_UNCHANGED) & ((1 << PERMISSIONS) - 1)
    }
}

fn range(kind: c_int, byte: i64) -> flock {
    flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: byte, l_len: 1, l_pid: 0 }
}

/// The bytes that stand for these permissions.
fn bytes(base: i64, permissions: u8) -> impl Iterator<Item = i64> {
    (0..PERMISSIONS).filter(move |n| permissions & 1 << n != 0).map(move |n| base + n)
}

/// True if another open file description holds a lock on this byte.
fn is_held(file: &File, byte: i64) -> Result<bool, Errno> {
    let mut probe = range(F_WRLCK, byte);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut probe))?;
    Ok(c_int::from(probe.l_type) != F_UNLCK)
}

/// Claims `file` until it is closed. False if somebody else uses it in a way that excludes this.
///
/// A file system without such locks is used without.
pub fn lock(file: &File, claim: Claim) -> io::Result<bool> {
    match try_lock(file, claim) {
        Ok(free) => Ok(free),
        // Somebody holds one of the bytes exclusively, which QEMU never does: it is in use by whatever it is.
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(Errno::EINVAL | Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            tracing::debug!("the host has no locks for this file");
            Ok(true)
        }
        Err(e) => Err(e.into()),
    }
}

fn try_lock(file: &File, claim: Claim) -> Result<bool, Errno> {
    let (uses, refuses) = (claim.uses(), claim.refuses());
    for byte in bytes(USED, uses).chain(bytes(UNSHARED, refuses)) {
        fcntl(file, FcntlArg::F_OFD_SETLK(&range(F_RDLCK, byte)))?;
    }
    for byte in bytes(UNSHARED, uses).chain(bytes(USED, refuses)) {
        if is_held(file, byte)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file description of its own for each claim, as another process would have.
    struct Claims(tempfile::NamedTempFile);

    impl Claims {
        fn new() -> Self {
            Self(tempfile::NamedTempFile::new().unwrap())
        }
        fn try_claim(&self, claim: Claim) -> Option<File> {
            let file = File::options().read(true).write(true).open(self.0.path()).unwrap();
            lock(&file, claim).unwrap().then_some(file)
        }
        /// Locks bytes as another program would, and says which of the bytes are held.
        fn bytes(&self, held: &[i64]) -> File {
            let file = self.0.reopen().unwrap();
            for byte in held {
                fcntl(&file, FcntlArg::F_OFD_SETLK(&range(F_RDLCK, *byte))).unwrap();
            }
            file
        }
    }

    #[test]
    fn many_read_and_one_writes() {
        for writer in [Claim::Write, Claim::WriteAndGrow] {
            let f = Claims::new();
            let readers = [f.try_claim(Claim::Read).unwrap(), f.try_claim(Claim::Read).unwrap()];
            assert!(f.try_claim(writer).is_none());
            drop(readers);
            let only = f.try_claim(writer).unwrap();
            assert!(f.try_claim(Claim::Read).is_none());
            assert!(f.try_claim(Claim::Write).is_none());
            drop(only);
            assert!(f.try_claim(Claim::Read).is_some());
        }
    }

    /// The bytes are an interface to other programs.
    #[test]
    fn claims_are_these_bytes() {
        let expected: [(Claim, &[i64]); 3] = [
            (Claim::Read, &[100, 201, 203]),
            (Claim::Write, &[100, 101, 201, 203]),
            (Claim::WriteAndGrow, &[100, 101, 103, 201, 203]),
        ];
        for (claim, held) in expected {
            let f = Claims::new();
            let _mine = f.try_claim(claim).unwrap();
            let other = f.0.reopen().unwrap();
            let seen: Vec<i64> = (90..220).filter(|b| is_held(&other, *b).unwrap()).collect();
            assert_eq!(seen, held, "{claim:?}");
        }
    }

    /// What QEMU 10 holds: a guest's raw disk, a read-only one, a backing file, and the file of a qcow2 image.
    #[test]
    fn what_qemu_holds_excludes_what_it_must() {
        let writable: &[i64] = &[100, 101, 201];
        let backing: &[i64] = &[100, 201, 203];
        let qcow2: &[i64] = &[100, 101, 103, 201, 203];
        for (held, may_read) in [(writable, false), (qcow2, false), (&[100, 201], true), (backing, true)] {
            let f = Claims::new();
            let _other = f.bytes(held);
            assert_eq!(f.try_claim(Claim::Read).is_some(), may_read, "{held:?}");
            assert!(f.try_claim(Claim::Write).is_none() && f.try_claim(Claim::WriteAndGrow).is_none());
        }
    }

    #[test]
    fn a_claim_is_held_by_the_process_that_has_the_file() {
        let f = Claims::new();
        let claimed = f.try_claim(Claim::Write).unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").stdin(claimed).spawn().unwrap();
        assert!(f.try_claim(Claim::Read).is_none(), "the child has it");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(f.try_claim(Claim::Write).is_some(), "and with the child it goes");
    }
}
