//! The items of the firmware configuration device, and the directory of those that are files.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

/// Fixed keys (QEMU, docs/specs/fw_cfg.rst and its register list).
pub mod key {
    /// "QEMU".
    pub const SIGNATURE: u16 = 0x00;
    /// Feature bits, little-endian.
    pub const ID: u16 = 0x01;
    /// UUID of the machine, its bytes in the order in which they are written.
    pub const UUID: u16 = 0x02;
    /// Number of CPUs, 16 bits.
    pub const NB_CPUS: u16 = 0x05;
    /// Size of the kernel, 32 bits.
    pub const KERNEL_SIZE: u16 = 0x08;
    /// Size of the initial RAM disk, 32 bits.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// Whether firmware shows a menu of what it can boot, 16 bits.
    pub const BOOT_MENU: u16 = 0x0e;
    /// The kernel.
    pub const KERNEL_DATA: u16 = 0x11;
    /// The initial RAM disk.
    pub const INITRD_DATA: u16 = 0x12;
    /// Size of the command line with its NUL, 32 bits.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// The command line with its NUL.
    pub const CMDLINE_DATA: u16 = 0x15;
    /// The file directory.
    pub const DIRECTORY: u16 = 0x19;
    /// The first file.
    pub const FIRST_FILE: u16 = 0x20;
    /// Keys above are flags (write, architecture).
    pub const LAST_FILE: u16 = 0x3fff;
}

/// The longest file name: the directory has 56 bytes with the zero at the end.
const NAME_MAX: usize = 55;

/// Told what a guest has written into an item.
pub type WriteHook = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Why an item cannot be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ItemError {
    /// The name does not fit the directory.
    #[error("the fw_cfg file name {0:?} is empty, not ASCII, or longer than 55 characters")]
    Name(String),
    /// Too many files.
    #[error("there is no fw_cfg key left for the file {0:?}")]
    Full(String),
    /// The key is the device's own or a file's.
    #[error("the fw_cfg key {0:#x} is reserved")]
    Key(u16),
    /// Longer than a length can say.
    #[error("the fw_cfg item {0} is longer than 4 GiB")]
    Length(String),
}

struct Item {
    contents: Vec<u8>,
    /// For writable ones: the contents after reset, and whom to tell.
    writable: Option<(Vec<u8>, WriteHook)>,
}

/// All items by key.
#[derive(Default)]
pub(super) struct Items {
    items: BTreeMap<u16, Item>,
    /// Keys of files by name.
    files: BTreeMap<String, u16>,
}

impl Items {
    pub(super) fn get(&self, key: u16) -> Option<&[u8]> {
        self.items.get(&key).map(|i| i.contents.as_slice())
    }

    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).and_then(|&k| self.get(k))
    }

    pub(super) fn writable(&mut self, key: u16) -> Option<(&mut [u8], &WriteHook)> {
        let item = self.items.get_mut(&key)?;
        let (_, hook) = item.writable.as_ref()?;
        Some((item.contents.as_mut_slice(), hook))
    }

    pub(super) fn set(&mut self, key: u16, contents: Vec<u8>) {
        self.items.insert(key, Item { contents, writable: None });
    }

    pub(super) fn set_fixed(&mut self, key: u16, contents: Vec<u8>) -> Result<(), ItemError> {
        let own = [key::SIGNATURE, key::ID, key::DIRECTORY].contains(&key);
        if own || (key::FIRST_FILE..=key::LAST_FILE).contains(&key) || key & 0x4000 != 0 {
            return Err(ItemError::Key(key));
        }
        check_length(&contents, || format!("{key:#x}"))?;
        self.set(key, contents);
        Ok(())
    }

    pub(super) fn set_file(
        &mut self,
        name: &str,
        contents: Vec<u8>,
        hook: Option<WriteHook>,
    ) -> Result<u16, ItemError> {
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ItemError::Name(name.to_owned()));
        }
        check_length(&contents, || name.to_owned())?;
        let key = match self.files.get(name) {
            Some(&key) => key,
            None => {
                let next = usize::from(key::FIRST_FILE) + self.files.len();
                u16::try_from(next)
                    .ok()
                    .filter(|k| *k <= key::LAST_FILE)
                    .ok_or_else(|| ItemError::Full(name.to_owned()))?
            }
        };
        self.files.insert(name.to_owned(), key);
        let writable = hook.map(|hook| (contents.clone(), hook));
        self.items.insert(key, Item { contents, writable });
        self.update_directory();
        Ok(key)
    }

    /// Writes the directory: a count, then size, key and name of each file, big-endian, by name.
    pub(super) fn update_directory(&mut self) {
        let mut out = (self.files.len() as u32).to_be_bytes().to_vec();
        for (name, &key) in &self.files {
            let size = self.get(key).map_or(0, <[u8]>::len) as u32;
            out.extend(size.to_be_bytes());
            out.extend(key.to_be_bytes());
            out.extend([0; 2]);
            let mut field = [0; NAME_MAX + 1];
            field[..name.len()].copy_from_slice(name.as_bytes());
            out.extend(field);
        }
        self.set(key::DIRECTORY, out);
    }

    /// Takes back what the guest wrote.
    pub(super) fn reset(&mut self) {
        for item in self.items.values_mut() {
            if let Some((initial, _)) = &item.writable {
                item.contents.clone_from(initial);
            }
        }
    }

    pub(super) fn written(&self) -> Vec<(u16, Vec<u8>)> {
        let writable = self.items.iter().filter(|(_, i)| i.writable.is_some());
        writable.map(|(&k, i)| (k, i.contents.clone())).collect()
    }
}

fn check_length(contents: &[u8], what: impl Fn() -> String) -> Result<(), ItemError> {
    u32::try_from(contents.len()).map(|_| ()).map_err(|_| ItemError::Length(what()))
}
