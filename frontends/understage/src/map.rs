//! The `virt` memory map and interrupt numbers, as data. They are QEMU's, so that what was built for that board runs
//! unmodified. The devicetree and the board read the same constants.

use emu_devices::gic::ITS_SIZE;
use emu_devices::gicv2::REGION_SIZE;
use emu_devices::virtio::MMIO_SIZE;

use crate::config::Virt;

/// A range of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

const fn range(base: u64, size: u64) -> Range {
    Range { base, size }
}

impl Range {
    /// The address just after the range.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base + self.size
    }
    /// True if the ranges have an address in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.base < other.end() && other.base < self.end()
    }
}

/// Numbers from `first` on.
const fn consecutive<const N: usize>(first: u32) -> [u32; N] {
    let mut all = [first; N];
    let mut n = 1;
    while n < N {
        all[n] = all[n - 1] + 1;
        n += 1;
    }
    all
}

/// What a device on the system bus has there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resources {
    /// Its registers.
    pub range: Range,
    /// Its interrupts, as SPIs.
    pub spis: &'static [u32],
}

const fn resources(base: u64, size: u64, spis: &'static [u32]) -> Resources {
    Resources { range: range(base, size), spis }
}

/// Flash bank 0: firmware.
pub const FLASH0: Range = range(0, 64 << 20);
/// Flash bank 1: the firmware's variables.
pub const FLASH1: Range = range(64 << 20, 64 << 20);
/// GIC distributor.
pub const GICD: Range = range(0x0800_0000, 0x1_0000);
/// GICv2 CPU interfaces.
pub const GICC: Range = range(0x0801_0000, REGION_SIZE);
/// GICv2m frame: messages become SPIs.
pub const GICV2M: Range = range(0x0802_0000, 0x1000);
/// GICv2 control of the virtual CPU interfaces.
pub const GICH: Range = range(0x0803_0000, REGION_SIZE);
/// GICv2 virtual CPU interfaces.
pub const GICV: Range = range(0x0804_0000, REGION_SIZE);
/// GICv3 interrupt translation service.
pub const ITS: Range = range(0x0808_0000, ITS_SIZE);
/// GICv3 redistributors, 128 KiB for each CPU.
pub const GICR: Range = range(0x080a_0000, 0xf6_0000);
/// PL011 UARTs. The second one is only there when it goes somewhere.
pub const UARTS: [Resources; 2] =
    [resources(0x0900_0000, 0x1000, &[1]), resources(0x0904_0000, 0x1000, &[8])];
/// PL031 real-time clock.
pub const RTC: Resources = resources(0x0901_0000, 0x1000, &[2]);
/// fw_cfg by MMIO.
pub const FW_CFG: Resources = resources(0x0902_0000, 0x18, &[]);
/// PL061 GPIO: the power button.
pub const GPIO: Resources = resources(0x0903_0000, 0x1000, &[7]);
/// SMMUv3: event queue, PRI queue, CMD_SYNC, global errors.
pub const SMMU: Resources = resources(0x0905_0000, 0x2_0000, &[74, 75, 76, 77]);
/// The performance monitor counter group of an SMMUv3, wherever that is: two pages, and what is between them.
pub const SMMU_PMCG: Resources = resources(0x090e_0000, emu_smmu::v3::pmcg::WINDOW, &[120]);
/// SMMUv2 of 32 context banks in pages of 4 KiB: global faults, then each bank.
pub const SMMUV2: Resources = resources(0x0b00_0000, 0x4_0000, SMMUV2_SPIS.split_at(33).0);
/// SMMUv2 of 64 context banks in pages of 64 KiB.
pub const SMMUV2_FULL: Resources = resources(0x0b00_0000, 0x80_0000, &SMMUV2_SPIS);
const SMMUV2_SPIS: [u32; 65] = consecutive(176);
/// virtio-mmio transports, one after the other.
pub const VIRTIO_MMIO: Range = range(0x0a00_0000, MMIO_SIZE * VIRTIO_MMIO_COUNT as u64);
/// Number of virtio-mmio transports.
pub const VIRTIO_MMIO_COUNT: u32 = 32;
/// For devices that are plugged into the board without PCI.
pub const PLATFORM_BUS: Range = range(0x0c00_0000, 0x200_0000);
/// The first device there, if it is an SMMUv3.
pub const PLATFORM_SMMU: Resources = resources(PLATFORM_BUS.base, 0x2_0000, &[112, 113, 114, 115]);
/// Test masters, on the platform bus.
pub const TEST_MASTERS: [Resources; 4] = [
    resources(0x0c10_0000, 0x2000, &[116]),
    resources(0x0c10_2000, 0x2000, &[117]),
    resources(0x0c10_4000, 0x2000, &[118]),
    resources(0x0c10_6000, 0x2000, &[119]),
];
/// DMA controllers, on the platform bus.
pub const PL330: [Resources; 2] =
    [resources(0x0c11_0000, 0x1000, &[128]), resources(0x0c11_1000, 0x1000, &[129])];
/// The accelerator, on the platform bus: an interrupt for each queue.
pub const ACCELERATOR: [Resources; 1] =
    [resources(0x0c20_0000, emu_devices::accelerator::WINDOW, &consecutive::<8>(130))];
/// PCIe memory window below 4 GiB.
pub const PCIE_MMIO: Range = range(0x1000_0000, 0x2eff_0000);
/// PCIe I/O ports.
pub const PCIE_PIO: Range = range(0x3eff_0000, 0x1_0000);
/// PCIe configuration space, the small one: 16 buses.
pub const PCIE_ECAM_LOW: Range = range(0x3f00_0000, 0x100_0000);
/// PCIe configuration space, the large one: 256 buses.
pub const PCIE_ECAM_HIGH: Range = range(0x40_1000_0000, 0x1000_0000);
/// PCIe memory window above 4 GiB.
pub const PCIE_MMIO_HIGH: Range = range(0x80_0000_0000, 0x80_0000_0000);
/// Where RAM begins.
pub const RAM_BASE: u64 = 0x4000_0000;

/// Number of the first SPI as an INTID.
pub const SPI_BASE: u32 = 32;
/// PCIe INTA, as SPI; INTB to INTD follow.
pub const PCIE_SPI: u32 = 3;
/// First virtio-mmio transport, as SPI; the others follow.
pub const VIRTIO_MMIO_SPI: u32 = 16;
/// The first SPI of the GICv2m frame.
pub const GICV2M_SPI: u32 = 48;
/// Number of SPIs of the GICv2m frame.
pub const GICV2M_SPIS: u32 = 64;
/// StreamIDs of masters on the system bus that a system MMU can be in front of. They are the last that an SMMUv2 has (15 bits),
/// and would be requester IDs of functions on bus 7f, which is not there.
pub const MASTER_STREAMS: std::ops::Range<u32> = 0x7f00..0x8000;
/// StreamID of the first virtio-mmio transport; the others follow.
pub const VIRTIO_MMIO_STREAM: u32 = MASTER_STREAMS.start;
/// The first StreamID of the first test master; those of the others follow.
pub const TEST_MASTER_STREAM: u32 = 0x7f40;
/// StreamIDs of each test master.
pub const TEST_MASTER_STREAMS: u32 = 4;
/// StreamID of the first DMA controller; that of the other follows.
pub const PL330_STREAM: u32 = 0x7f50;
/// StreamID of the accelerator.
pub const ACCELERATOR_STREAM: u32 = 0x7f58;
/// StreamID of fw_cfg, which no system MMU is in front of: behind all that have 16 bits.
pub const FW_CFG_STREAM: u32 = 0x1_0000;
/// DeviceID of the messages that the SMMU itself sends: an ITS has 16 bits for it, and no function is there.
pub const SMMU_STREAM: u32 = 0xffff;
/// DeviceID of the messages of its counter group.
pub const SMMU_PMCG_STREAM: u32 = 0xfffe;
/// Pin of the PL061 with the power button.
pub const POWER_BUTTON_PIN: u32 = 3;

/// The virtio-mmio transport with this number.
#[must_use]
pub const fn virtio_mmio(n: u32) -> Range {
    range(VIRTIO_MMIO.base + n as u64 * MMIO_SIZE, MMIO_SIZE)
}

/// The PCIe configuration space of a board with these options.
#[must_use]
pub const fn ecam(virt: Virt) -> Range {
    if virt.highmem_ecam { PCIE_ECAM_HIGH } else { PCIE_ECAM_LOW }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps() {
        let ram = range(RAM_BASE, crate::config::MAX_MEMORY);
        let all = [
            FLASH0,
            FLASH1,
            GICD,
            GICC,
            GICV2M,
            GICH,
            GICV,
            ITS,
            GICR,
            UARTS[0].range,
            RTC.range,
            FW_CFG.range,
            GPIO.range,
            UARTS[1].range,
            SMMU.range,
            SMMU_PMCG.range,
            VIRTIO_MMIO,
            SMMUV2_FULL.range,
            PLATFORM_BUS,
            PCIE_MMIO,
            PCIE_PIO,
            PCIE_ECAM_LOW,
            ram,
            PCIE_ECAM_HIGH,
            PCIE_MMIO_HIGH,
        ];
        for pair in all.windows(2) {
            assert!(pair[0].end() <= pair[1].base, "{pair:x?}");
        }
    }

    /// Behind whichever system MMU: an SMMUv2 has 15 bits for StreamIDs.
    #[test]
    fn each_master_on_the_system_bus_has_streams_of_its_own() {
        let transports = VIRTIO_MMIO_STREAM..VIRTIO_MMIO_STREAM + VIRTIO_MMIO_COUNT;
        let masters =
            TEST_MASTER_STREAM..TEST_MASTER_STREAM + TEST_MASTER_STREAMS * TEST_MASTERS.len() as u32;
        let controllers = PL330_STREAM..PL330_STREAM + PL330.len() as u32;
        let mut streams: Vec<u32> =
            transports.chain(masters).chain(controllers).chain([ACCELERATOR_STREAM]).collect();
        let bus = emu_devices::pci::Bdf::new(0x7f, 0, 0).requester_id();
        assert_eq!(MASTER_STREAMS, bus..bus + 0x100);
        assert!(streams.iter().all(|stream| MASTER_STREAMS.contains(stream)), "{streams:x?}");
        streams.sort_unstable();
        assert!(streams.is_sorted_by(|a, b| a < b), "each has its own: {streams:x?}");
    }

    #[test]
    fn what_is_on_the_platform_bus_has_room_there() {
        let all = std::iter::once(&PLATFORM_SMMU).chain(&TEST_MASTERS).chain(&PL330).chain(&ACCELERATOR);
        let all: Vec<&Resources> = all.collect();
        assert!(all.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.base));
        assert!(
            all.iter().all(|at| at.range.base >= PLATFORM_BUS.base && at.range.end() <= PLATFORM_BUS.end())
        );
        let others = SMMUV2_FULL.spis.iter().chain(SMMU_PMCG.spis);
        let mut spis: Vec<u32> = all.iter().flat_map(|at| at.spis).chain(others).copied().collect();
        let n = spis.len();
        spis.sort_unstable();
        spis.dedup();
        assert_eq!(spis.len(), n, "each has its own");
        assert_eq!((SMMUV2.spis, SMMUV2_FULL.spis.last()), (&SMMUV2_FULL.spis[..33], Some(&240)));
    }

    #[test]
    fn messages_have_spis_of_their_own() {
        assert_eq!(VIRTIO_MMIO_SPI + VIRTIO_MMIO_COUNT, GICV2M_SPI);
        assert_eq!(GICV2M_SPI + GICV2M_SPIS, PLATFORM_SMMU.spis[0]);
    }

    #[test]
    fn there_is_a_redistributor_for_each_cpu() {
        assert!(u64::from(crate::config::MAX_CPUS) * emu_devices::gic::REDISTRIBUTOR_STRIDE <= GICR.size);
    }
}
