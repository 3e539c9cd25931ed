//! The tour: a small hypervisor at EL2 with two guests at EL1, which explains each step on the serial port.
//!
//! This is the program to read for how a hypervisor works on Arm. It is written in assembly because there is nothing
//! below it, and assembled by `dynasm` while the emulator starts, so that no cross-compiler is needed. The order to read
//! it in:
//!
//! | module | what it shows |
//! |---|---|
//! | `hypervisor` | the story: the steps in their order, as they are printed |
//! | `console` | text on a PL011 |
//! | `stage1` | EL2's own MMU |
//! | `stage2` | the guests' second translation, which they do not see |
//! | `gic` | physical interrupts, and virtual ones through list registers |
//! | `vcpu` | a guest's context, entering and leaving it: the world switch |
//! | `vectors` | why a guest came to EL2, and who handles it |
//! | `mmio` | devices that do not exist: stage-2 aborts, decoded and emulated |
//! | `hypercall` | what guests ask for with HVC, and SMC that is trapped |
//! | `smmu` | stage 2 for devices: streams, commands, events |
//! | `passthrough` | the part of the story that is about it |
//! | `psci` | the machine's power |
//! | `guests` | the guests: one with emulated devices, one with a virtio disk of its own |
//! | `layout`, `sysreg`, `asm` | addresses, names of registers, help for assembling |
//!
//! # Measuring
//! The program has no secret channel to the emulator, and prints only text. What is measured is framed by that text: a
//! measurement begins when a line with a [`Phase::line`] ends, and it ends with the first character of the next line.
//! Guests print nothing in between, so that the counts are those of the work, and of one hypercall that reports its
//! result.

// dynasm! converts every register number that is computed, whatever type it has.
#![allow(clippy::useless_conversion)]

mod asm;
mod console;
mod gic;
mod guests;
mod hypercall;
mod hypervisor;
mod layout;
mod mmio;
mod passthrough;
mod psci;
mod smmu;
mod stage1;
mod stage2;
mod sysreg;
mod vcpu;
mod vectors;

use dynasmrt::DynasmError;

use asm::Asm;

/// A program as it is in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Physical address of the first byte.
    pub base: u64,
    /// Physical address of the first instruction; it expects EL2 with the MMU off.
    pub entry: u64,
    /// Code and data.
    pub bytes: Vec<u8>,
}

/// RAM that the tour needs, from the start of the board's RAM on, in bytes.
pub const MEMORY: u64 = 64 << 20;

/// A piece of work that is worth measuring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phase {
    /// What is done.
    pub name: &'static str,
    /// The same in two words.
    pub title: &'static str,
    /// How often.
    pub operations: u64,
    /// What is counted as one operation.
    pub unit: &'static str,
    /// Bytes of payload that all the operations move together.
    pub bytes: u64,
}

impl Phase {
    /// The line after which the work begins, as the hypervisor prints it.
    #[must_use]
    pub fn line(&self) -> String {
        format!("   measured: {}", self.name)
    }
}

/// Sectors of the disk.
const SECTORS: u64 = 32;
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Hypercalls that are measured.
const CALLS: u64 = 64;
/// Timer interrupts that are measured.
const TICKS: u64 = 8;

/// Guest one reads the disk.
const EMULATED: Phase = Phase {
    name: "guest one reads 32 sectors, word by word, from the emulated disk",
    title: "emulated disk",
    operations: SECTORS,
    unit: "sector",
    bytes: SECTORS * SECTOR,
};
/// Guest one calls.
const HYPERCALLS: Phase = Phase {
    name: "guest one makes 64 hypercalls that do nothing",
    title: "hypercall",
    operations: CALLS,
    unit: "call",
    bytes: 0,
};
/// Guest one waits for its timer.
const TIMER: Phase = Phase {
    name: "guest one waits for 8 timer interrupts",
    title: "virtual timer",
    operations: TICKS,
    unit: "tick",
    bytes: 0,
};
/// Guest two reads the disk.
const VIRTIO: Phase = Phase {
    name: "guest two reads 32 sectors from the virtio disk",
    title: "virtio disk",
    operations: SECTORS,
    unit: "sector",
    bytes: SECTORS * SECTOR,
};
/// Guest two reads it once more.
const BEHIND: Phase = Phase {
    name: "guest two reads 32 sectors into scattered pages, with the SMMU between disk and memory",
    title: "behind the SMMU",
    operations: SECTORS,
    unit: "sector",
    bytes: SECTORS * SECTOR,
};

/// All of them, in the order in which they happen.
pub const PHASES: [Phase; 5] = [EMULATED, HYPERCALLS, TIMER, VIRTIO, BEHIND];

/// The last line: without it, something went wrong, and the lines before it say what.
pub const LAST_LINE: &str = "The tour is over: PSCI SYSTEM_OFF, by SMC.";

/// What the first sector says.
const GREETING: &str = "Greetings from sector 0. Both guests read this, each in its own way.";

/// The contents of the disk. The virtio disk of the board has to have them; a copy is in the hypervisor, for the disk that
/// it emulates.
#[must_use]
pub fn disk() -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..SECTORS * SECTOR).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    let text = GREETING.as_bytes();
    bytes[..SECTOR as usize].fill(0);
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

/// Assembles the hypervisor with its guests. An error is a defect of the program: nothing in it depends on anything
/// outside.
pub fn image() -> Result<Image, DynasmError> {
    let one = guests::one::assemble()?;
    let two = guests::two::assemble()?;
    let mut a = Asm::new(layout::IMAGE as usize);
    hypervisor::emit(&mut a);
    psci::emit(&mut a);
    console::emit(&mut a);
    stage1::emit(&mut a);
    stage2::emit(&mut a);
    gic::emit(&mut a);
    vcpu::emit(&mut a);
    vectors::emit(&mut a);
    smmu::emit(&mut a);
    mmio::emit(&mut a);
    hypercall::emit(&mut a);
    guests::embed(&mut a, &one, &two);
    Ok(Image { base: layout::IMAGE, entry: layout::IMAGE, bytes: a.finalize()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_fits_between_its_neighbours() {
        let image = image().unwrap();
        assert_eq!(image.entry, image.base);
        assert_eq!(image.base % 4096, 0);
        assert!(image.bytes.len() as u64 <= layout::HYP_DATA - layout::IMAGE, "{:#x}", image.bytes.len());
        const { assert!(layout::TWO_PA + layout::GUEST_RAM <= layout::scattered_pa(5)) };
    }

    #[test]
    fn scattered_pages_are_in_the_tours_ram_and_no_two_are_neighbours() {
        let mut pages: Vec<u64> = (0..layout::SCATTERED_PAGES).map(layout::scattered_pa).collect();
        assert_eq!(pages[..3], [0x4160_f000, 0x4160_6000, 0x4161_b000]);
        pages.sort_unstable();
        assert!(pages.windows(2).all(|pair| pair[1] - pair[0] > layout::PAGE));
        assert!(pages[0] >= layout::TWO_PA + layout::GUEST_RAM && pages[9] < 0x4000_0000 + MEMORY);
    }

    #[test]
    fn assembling_is_repeatable() {
        assert_eq!(image(), image());
    }

    #[test]
    fn the_disk_is_whole_sectors_and_begins_with_the_greeting() {
        let disk = disk();
        assert_eq!(disk.len() as u64, SECTORS * SECTOR);
        assert!(disk.starts_with(GREETING.as_bytes()) && disk[GREETING.len()] == 0);
    }

    #[test]
    fn every_phase_is_announced_in_the_image_once() {
        let image = image().unwrap();
        for phase in PHASES {
            let line = phase.line();
            let found = image.bytes.windows(line.len()).filter(|w| *w == line.as_bytes()).count();
            assert_eq!(found, 1, "{line}");
            assert!(phase.name.contains(&phase.operations.to_string()));
        }
        assert!(image.bytes.windows(LAST_LINE.len()).any(|w| w == LAST_LINE.as_bytes()));
    }
}
