//! Where things are: in physical memory, and in identity-mapped address spaces.

/// Where RAM begins.
pub const RAM: u64 = 0x4000_0000;
/// Bytes of RAM that a program may count on.
pub const RAM_SIZE: u64 = 16 << 20;
/// Where an image is loaded, and entered. Some boards put a devicetree into the first MiB of RAM.
pub const IMAGE: u64 = 0x4020_0000;
/// Bytes at the start of the image that are code.
pub const CODE_SIZE: u64 = 0x1_0000;
/// The translation tables, in the image behind the code.
pub const TABLES: u64 = IMAGE + CODE_SIZE;
/// Where the tables must end.
pub const TABLES_END: u64 = RESULTS;
/// Most PEs of a program.
pub const PES: usize = 4;
/// The result blocks, one for each PE.
pub const RESULTS: u64 = 0x4040_0000;
/// Bytes of one result block.
pub const RESULT_SIZE: u64 = 0x4000;
/// Bytes of the region that holds the result blocks: a page of the largest granule.
pub const RESULTS_SIZE: u64 = 0x1_0000;
/// Memory for data of the cases, zero at the start.
pub const FRAMES: u64 = 0x4050_0000;
/// A bank of parallel NOR flash, two 16-bit devices side by side with the Intel command set, that can be programmed.
pub const FLASH: u64 = 0x0400_0000;
/// GIC distributor.
pub const GICD: u64 = 0x0800_0000;
/// GICv2 CPU interfaces.
pub const GICC: u64 = 0x0801_0000;
/// GICv2 control of the virtual CPU interfaces.
pub const GICH: u64 = 0x0803_0000;
/// GICv2 virtual CPU interfaces.
pub const GICV: u64 = 0x0804_0000;
/// GICv3 redistributors, [`GICR_STRIDE`] bytes each.
pub const GICR: u64 = 0x080a_0000;
/// GICv3 ITS: control frame, then translation frame.
pub const ITS: u64 = 0x0808_0000;
/// Bytes of a redistributor: RD_base frame, then SGI_base frame.
pub const GICR_STRIDE: u64 = 0x2_0000;
/// An address at which the board has nothing but its RAM's continuation in intermediate physical space: cases that want
/// an unmapped IPA take it.
pub const NOWHERE: u64 = 0x5000_0000;
/// SMMUv3, of a machine with a GICv3; its first SPI is [`SMMU_SPI`].
pub const SMMU: u64 = 0x0905_0000;
/// SPIs: eventq, priq, cmdq-sync, gerror.
pub const SMMU_SPI: u32 = 74;
/// The DeviceID of its own messages.
pub const SMMU_DEVICE: u32 = 0x30;
/// The counter group beside it.
pub const SMMU_PMCG: u64 = 0x090e_0000;
/// Its SPI.
pub const SMMU_PMCG_SPI: u32 = 120;
/// SMMUv2, of the same machine.
pub const SMMU_V2: u64 = 0x0b00_0000;
/// Its SPI of global faults.
pub const SMMU_V2_SPI: u32 = 80;
/// Its SPIs of context banks, one for each of the first 32.
pub const SMMU_V2_CONTEXT_SPI: u32 = 136;
/// Where the test masters behind the SMMU are, one behind the other.
pub const TEST_MASTER: u64 = 0x0d00_0000;
/// The SPI of the first one.
pub const TEST_MASTER_SPI: u32 = 128;
/// Bytes of the registers of one.
pub const TEST_MASTER_SIZE: u64 = 0x2000;
/// The StreamIDs of each test master, and whether it can wait. Of the first one they are those of a small table, one beyond it, one for a
/// table of two levels, the same with a sixteenth bit, one that no SMMU with 16 bits of StreamID has. The last two have streams of the
/// first one, too: so that one stream has several transactions.
pub const TEST_MASTERS: [(&[u32], bool); 4] = [
    (&[1, 2, 3, 4, 5, 6, 7, 8, 0x40, 0x149, 0x8149, 0x1_0001], true),
    (&[0x10], false),
    (&[0x20, 1, 2, 3, 7], true),
    (&[0x21, 1, 2, 3, 7], true),
];
