//! What is in the machine when it starts: kernels, programs, files of fw_cfg.

use super::HostFile;

/// The kernel that the machine boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// The file: an arm64 `Image` (also compressed) or an ELF file.
    pub file: HostFile,
    /// A file of no known format is taken as code to be put 512 KiB into RAM, rather than refused.
    pub raw_allowed: bool,
}

/// Something put into RAM before the machine starts, beside the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blob {
    /// The bytes of a file, at this address.
    Raw {
        /// The file.
        file: HostFile,
        /// Physical address.
        address: u64,
    },
    /// The segments of an ELF file, at their physical addresses.
    Elf {
        /// The file.
        file: HostFile,
        /// Execution starts at its entry point.
        run: bool,
    },
    /// A value in memory.
    Data {
        /// The bytes.
        bytes: Vec<u8>,
        /// Physical address.
        address: u64,
    },
    /// The bytes of a file, with a node in the devicetree.
    Module(Module),
}

/// A file for a hypervisor that looks for its guests in the devicetree (Xen's "multiboot" binding).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// The file.
    pub file: HostFile,
    /// Physical address.
    pub address: u64,
    /// What it is.
    pub kind: ModuleKind,
}

/// What a [`Module`] is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModuleKind {
    /// A guest's kernel.
    Kernel {
        /// Its command line.
        bootargs: Option<String>,
    },
    /// A guest's initial RAM disk.
    Ramdisk,
}

/// A file that fw_cfg shows to the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FwCfgFile {
    /// Its name there.
    pub name: String,
    /// Its contents.
    pub contents: FwCfgContents,
}

/// Where the contents of a [`FwCfgFile`] come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FwCfgContents {
    /// A file of the host.
    File(HostFile),
    /// These bytes.
    Bytes(Vec<u8>),
}
