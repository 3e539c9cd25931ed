//! Who has which memory. Physical addresses (PA) are the machine's; intermediate physical addresses (IPA) are what a
//! guest takes for physical, and stage 2 translates.

/// The image of the hypervisor: where it is loaded, and its entry point. A loader may put a devicetree below.
pub(super) const IMAGE: u64 = 0x4020_0000;
/// The hypervisor's data. It clears them itself: RAM holds anything at power-on.
pub(super) const HYP_DATA: u64 = 0x4028_0000;
/// End of the data.
pub(super) const HYP_DATA_END: u64 = 0x402a_0000;

/// Stage 1 of EL2: one level 1 table.
pub(super) const EL2_L1: u64 = HYP_DATA;
/// Stage 2 of guest one: level 1, and level 2 for the GiB with its RAM.
pub(super) const ONE_L1: u64 = HYP_DATA + 0x1000;
pub(super) const ONE_L2: u64 = HYP_DATA + 0x2000;
/// Stage 2 of guest two: level 1, level 2 for its RAM, and levels 2 and 3 for its device.
pub(super) const TWO_L1: u64 = HYP_DATA + 0x3000;
pub(super) const TWO_L2: u64 = HYP_DATA + 0x4000;
pub(super) const TWO_DEVICE_L2: u64 = HYP_DATA + 0x5000;
pub(super) const TWO_DEVICE_L3: u64 = HYP_DATA + 0x6000;
/// Contexts of the guests: what is of a guest while it does not run.
pub(super) const ONE_CONTEXT: u64 = HYP_DATA + 0x7000;
pub(super) const TWO_CONTEXT: u64 = HYP_DATA + 0x8000;
/// How often a guest came to EL2: 64 counters by exception class, one for interrupts that went on to it, and one for
/// those that were of the SMMU.
pub(super) const EXIT_COUNTS: u64 = HYP_DATA + 0x9000;
/// Index of the counter of interrupts.
pub(super) const PASSED_ON: u64 = 64;
/// Index of that of the SMMU's events.
pub(super) const SMMU_EVENTS: u64 = 65;
/// State of the emulated devices, see `mmio`.
pub(super) const MMIO_STATE: u64 = HYP_DATA + 0xa000;
/// What the SMMU reads and writes: the stream table, of two levels, and its two queues.
pub(super) const STREAMS_L1: u64 = HYP_DATA + 0xb000;
pub(super) const STREAMS_L2: u64 = HYP_DATA + 0xc000;
pub(super) const COMMANDS: u64 = HYP_DATA + 0xd000;
pub(super) const EVENTS: u64 = HYP_DATA + 0xe000;
/// Stage 2 of guest two, level 3 for its scattered pages.
pub(super) const SCATTERED_L3: u64 = HYP_DATA + 0xf000;
/// The stack of EL2 grows down from here.
pub(super) const HYP_STACK: u64 = HYP_DATA_END;

/// Bytes of RAM of a guest: one block of a level 2 table.
pub(super) const GUEST_RAM: u64 = 2 << 20;
/// Guest one believes that its RAM is at the start of the board's.
pub(super) const ONE_IPA: u64 = 0x4000_0000;
/// Where it really is.
pub(super) const ONE_PA: u64 = 0x4120_0000;
/// The RAM of guest two: IPA and PA are the same, for a reason that `guests::two` gives.
pub(super) const TWO_PA: u64 = 0x4140_0000;

/// More memory of guest two: pages that follow each other for the guest,
pub(super) const SCATTERED_IPA: u64 = 0x5000_0000;
/// so many of them, of which the last one is not there at first,
pub(super) const SCATTERED_PAGES: u64 = 10;
/// and which are here and there for the machine.
pub(super) const fn scattered_pa(page: u64) -> u64 {
    0x4160_0000 + (page * 7 + 5) % SCATTERED_PAGES * 0x3000
}
/// Bytes of a page.
pub(super) const PAGE: u64 = 0x1000;

/// The PL011 of the board, and the address at which guest one finds one that does not exist.
pub(super) const UART: u64 = 0x0900_0000;
/// An emulated disk: guest one finds it at this IPA. It has two registers, see `mmio`.
pub(super) const TOY_DISK: u64 = 0x0a00_0000;

/// The page with the board's last eight virtio-mmio transports.
pub(super) const VIRTIO_PAGE: u64 = 0x0a00_3000;
/// The disk is behind the last transport, which is at this offset in the page.
pub(super) const VIRTIO_OFFSET: u64 = 0xe00;
/// Where guest two finds that page.
pub(super) const VIRTIO_IPA: u64 = 0x1000_0000;
/// The interrupt of the last transport: SPI 16 + 31, and SPIs begin at INTID 32.
pub(super) const VIRTIO_INTID: u32 = 32 + 16 + 31;

/// What the SMMU calls the last transport: the StreamID of the first one is 0x7f00.
pub(super) const VIRTIO_STREAM: u32 = 0x7f00 + 31;

/// The SMMU (Arm IHI 0070), and its interrupt for events: SPI 74.
pub(super) const SMMU: u64 = 0x0905_0000;
pub(super) const SMMU_EVENT_INTID: u32 = 32 + 74;

/// The EL2 physical timer's interrupt.
pub(super) const HYP_TIMER_INTID: u32 = 26;
/// The virtual timer's interrupt.
pub(super) const VIRTUAL_TIMER_INTID: u32 = 27;
/// A virtual interrupt with no physical one behind it: the hypervisor asks a guest to stop.
pub(super) const STOP_INTID: u32 = 8;
