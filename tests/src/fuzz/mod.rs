//! Whatever a guest or a file says, the emulator neither panics nor hangs nor grows without bound.
//!
//! A [`Target`] is a plain function of bytes. The ordinary tests (`tests/fuzz.rs`) give each one inputs that are made
//! from a seed, for some seconds ([`campaign()`]); cargo-fuzz (`fuzz/` at the top) calls the same functions and looks for
//! new paths by coverage. Overflow checks and debug assertions are on in both.
//!
//! | to | say |
//! |---|---|
//! | run each target for a minute | `UNDERSTAGE_FUZZ_SECONDS=60 cargo test -p understage-tests --test fuzz` |
//! | try inputs that nobody has tried | the same with `UNDERSTAGE_FUZZ_SEED=new` |
//! | see one input again | `cargo run -p understage-tests --bin fuzz -- TARGET FILE` |
//! | let coverage guide the search | `cargo +nightly fuzz run TARGET` |
//!
//! A PE and a board are used again for the next input, because guest RAM lives as long as the process; each input starts
//! from reset and from the same memory.

mod amplification;
mod board;
pub mod campaign;
mod chains;
mod debugger;
mod gicv2;
mod images;
pub mod isolation;
mod its;
mod keys;
mod nics;
mod nvme;
mod options;
mod pe;
mod pl330;
mod programs;
mod registers;
mod rings;
mod smmu;
mod smmuv2;
mod smmuv3;
mod source;
mod threads;
mod translation;
mod tree;
mod usernet;

pub(crate) use campaign::Random;
pub use campaign::{Options, campaign};
pub(crate) use pe::Pe;
pub use source::Source;

/// Something to try with bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name; also that of its cargo-fuzz target.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Does it. Panics if something is wrong.
    pub run: fn(&[u8]),
    /// Well-formed inputs; inputs are made by damaging them. Without any, they are random bytes.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Bytes of the longest input.
    pub longest: usize,
}

fn none() -> Vec<Vec<u8>> {
    Vec::new()
}

macro_rules! target_table {
    ($($name:ident $run:path, $samples:path, $longest:literal, $about:literal;)*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            about: $about,
            run: $run,
            samples: $samples,
            longest: $longest,
        },)*];
    };
}

crate::fuzz_targets!(target_table);

impl Target {
    /// The target with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|t| t.name == name)
    }
}

/// All targets, for a macro that makes something of them.
#[macro_export]
macro_rules! fuzz_targets {
    ($with:ident) => {
        $with! {
            instructions programs::instructions, none, 4096,
                "words of A64, at every Exception level, with and without translation";
            regimes programs::regimes, none, 4096,
                "control registers of any value, tables of any contents, and accesses under them";
            translation translation::run, none, 1024,
                "the walk alone, and the TLB";
            registers registers::run, none, 2048,
                "accesses of every size to every region of the board, and DMA that they cause";
            rings rings::run, none, 4096,
                "virtio queues as no driver makes them";
            nics nics::run, none, 4096,
                "network controllers: registers, rings and frames of any shape";
            nvme nvme::run, none, 4096,
                "an NVMe controller: registers, queues, commands and lists of any shape";
            tree tree::run, none, 4096,
                "bridges of PCI: bus numbers, windows, resets and power as no software writes them";
            usernet usernet::run, none, 4096,
                "a user-mode network: frames of a hostile guest, and segments of its connections";
            threads threads::run, none, 4096,
                "the same while devices work on threads of their own, from two CPUs at once";
            its its::run, none, 4096,
                "commands for the ITS, tables and messages";
            gicv2 gicv2::run, none, 4096,
                "accesses of a GICv2 by several PEs, wires and messages";
            pl330 pl330::run, none, 4096,
                "programs of a DMA controller as no driver makes them, and stalls of its accesses";
            isolation isolation::run, none, 512,
                "masters behind an SMMUv3 against a slow checker of what they reach";
            smmuv2 smmuv2::run, none, 4096,
                "registers and tables of an SMMUv2, and the DMA that goes through it";
            smmuv3 smmuv3::run, none, 4096,
                "registers, commands and tables of an SMMUv3, and the DMA that goes through it";
            kernels images::kernel, images::kernels, 16384,
                "damaged kernels: Image, gzip, zboot, ELF";
            devicetrees images::devicetree, images::devicetrees, 65536,
                "damaged devicetrees";
            disks images::disk, images::disks, 1048576,
                "damaged qcow2 images";
            chains chains::run, none, 1024,
                "disk images that stand on others, on themselves, and on what is no file";
            amplification amplification::run, none, 256,
                "small files that say that they are large";
            debugger debugger::run, debugger::samples, 4096,
                "what a debugger says while the machine is stopped or runs";
            keys keys::run, none, 4000,
                "what is typed while the guest reads its serial port";
            options options::run, options::samples, 4096,
                "both command lines";
        }
    };
}
