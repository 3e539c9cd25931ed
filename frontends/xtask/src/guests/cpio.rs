//! Writing cpio archives in the "newc" form, which is what Linux unpacks as its initial RAM file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

/// File types of the mode field.
mod kind {
    pub(super) const DIRECTORY: u32 = 0o040_000;
    pub(super) const FILE: u32 = 0o100_000;
    pub(super) const SYMLINK: u32 = 0o120_000;
    pub(super) const CHAR_DEVICE: u32 = 0o020_000;
}

/// An archive that is being written. Everything belongs to root and has no date, so the same contents give the same
/// bytes.
#[derive(Default)]
pub(crate) struct Archive {
    out: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A directory; those above it must be there already.
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, kind::DIRECTORY | 0o755, &[], (0, 0));
    }

    /// A regular file with these permissions.
    pub(crate) fn file(&mut self, name: &str, permissions: u32, bytes: &[u8]) {
        self.entry(name, kind::FILE | permissions, bytes, (0, 0));
    }

    /// A symbolic link.
    pub(crate) fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, kind::SYMLINK | 0o777, target.as_bytes(), (0, 0));
    }

    /// A character device.
    pub(crate) fn char_device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, kind::CHAR_DEVICE | 0o600, &[], (major, minor));
    }

    /// Ends the archive; padded to a whole number of sectors, as cpio pads.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.pad(512);
        self.out
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8], (major, minor): (u32, u32)) {
        self.entries += 1;
        let links = if mode & 0o170_000 == kind::DIRECTORY { 2 } else { 1 };
        // Inode, mode, uid, gid, links, mtime, size, device (major, minor), rdev (major, minor), name's size, checksum.
        let size = bytes.len() as u32;
        let fields = [self.entries, mode, 0, 0, links, 0, size, 0, 0, major, minor, name.len() as u32 + 1, 0];
        self.out.extend(b"070701");
        for field in fields {
            self.out.extend(format!("{field:08x}").bytes());
        }
        self.out.extend(name.bytes());
        self.out.push(0);
        self.pad(4);
        self.out.extend(bytes);
        self.pad(4);
    }

    fn pad(&mut self, to: usize) {
        self.out.resize(self.out.len().next_multiple_of(to), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, contents, device number.
    type Entry = (String, u32, Vec<u8>, (u32, u32));

    /// Reads an archive back.
    fn read(mut bytes: &[u8]) -> Vec<Entry> {
        let mut all = Vec::new();
        let total = bytes.len();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |i: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * i..14 + 8 * i]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (name_len, size) = (field(11) as usize, field(6) as usize);
            let name = String::from_utf8(bytes[110..110 + name_len - 1].to_vec()).unwrap();
            let data = (110 + name_len).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(total % 512, 0);
                return all;
            }
            all.push((name, field(1), bytes[data..data + size].to_vec(), (field(9), field(10))));
            bytes = &bytes[(data + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn entries() {
        let mut a = Archive::default();
        a.directory("bin");
        a.file("bin/x", 0o755, b"12345");
        a.symlink("sh", "bin/x");
        a.char_device("console", 5, 1);
        let expected = [
            ("bin", 0o40755, &b""[..], (0, 0)),
            ("bin/x", 0o100755, b"12345", (0, 0)),
            ("sh", 0o120777, b"bin/x", (0, 0)),
            ("console", 0o20600, b"", (5, 1)),
        ];
        let got = read(&a.finish());
        assert_eq!(got.len(), 4);
        for ((name, mode, data, rdev), e) in got.iter().zip(expected) {
            assert_eq!((name.as_str(), *mode, &data[..], *rdev), e);
        }
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let make = || {
            let mut a = Archive::default();
            a.file("f", 0o644, b"x");
            a.finish()
        };
        assert_eq!(make(), make());
        // Linux takes the header's first field as the magic of an archive without checksums.
        assert!(make().starts_with(b"07070100000001000081a4"));
    }
}
