//! Stage 2: what a guest takes for a physical address is translated once more, by tables that only the hypervisor sees.
//!
//! The format is that of stage 1, but for permissions and memory type, which are in the descriptor itself (Arm ARM,
//! D8.3.1 and D8.5). IPAs have 39 bits here, so that the first table is one of level 1: an entry is 1 GiB there, 2 MiB at
//! level 2 and 4 KiB at level 3. What has no entry is a stage-2 abort: for the hypervisor a way to see the access.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, set};
use super::layout::{
    ONE_IPA, ONE_L1, ONE_L2, ONE_PA, TWO_DEVICE_L2, TWO_DEVICE_L3, TWO_L1, TWO_L2, TWO_PA, VIRTIO_IPA,
    VIRTIO_PAGE,
};
use super::sysreg::VTCR_EL2;

/// VTTBR_EL2 of guest one: its table, and VMID 1. The TLB keeps guests apart by VMID, so that nothing has to be thrown
/// out of it when the guest changes.
pub(super) const ONE_VTTBR: u64 = 1 << 48 | ONE_L1;
/// VTTBR_EL2 of guest two, with VMID 2.
pub(super) const TWO_VTTBR: u64 = 2 << 48 | TWO_L1;

/// Bits 1:0 of a descriptor that points to a table.
const TABLE: u64 = 0b11;
/// A block of Normal memory: MemAttr write-back, S2AP read and write, inner shareable, AF.
const RAM_BLOCK: u64 = 0b01 | 0b1111 << 2 | 0b11 << 6 | 0b11 << 8 | 1 << 10;
/// A page of Device-nGnRE memory: read and write, AF, XN.
const DEVICE_PAGE: u64 = 0b11 | 0b0001 << 2 | 0b11 << 6 | 1 << 10 | 1 << 54;

/// Index into a table of level 1.
const fn l1(ipa: u64) -> u64 {
    ipa >> 30 & 511
}
/// Index into a table of level 2.
const fn l2(ipa: u64) -> u64 {
    ipa >> 21 & 511
}
/// Index into a table of level 3.
const fn l3(ipa: u64) -> u64 {
    ipa >> 12 & 511
}

/// Every entry of every table that is not zero: table, index, descriptor.
const ENTRIES: [(u64, u64, u64); 7] = [
    (ONE_L1, l1(ONE_IPA), ONE_L2 | TABLE),
    (ONE_L2, l2(ONE_IPA), ONE_PA | RAM_BLOCK),
    (TWO_L1, l1(TWO_PA), TWO_L2 | TABLE),
    (TWO_L2, l2(TWO_PA), TWO_PA | RAM_BLOCK),
    (TWO_L1, l1(VIRTIO_IPA), TWO_DEVICE_L2 | TABLE),
    (TWO_DEVICE_L2, l2(VIRTIO_IPA), TWO_DEVICE_L3 | TABLE),
    (TWO_DEVICE_L3, l3(VIRTIO_IPA), VIRTIO_PAGE | DEVICE_PAGE),
];

pub(super) fn emit(a: &mut Asm) {
    asm!(a
        ; ->stage2_init:
        ; mov x21, x30
        ; adr x0, >entries
        ; mov x1, ENTRIES.len() as u64
        ; next:
        ; ldp x2, x3, [x0], #16
        ; str x3, [x2]
        ; subs x1, x1, #1
        ; b.ne <next
        ; dsb ish
        ; tlbi alle1
        ; dsb ish
        ;; set(a, VTCR_EL2, 0x8002_3559, "IPAs of 39 bits, walks begin at level 1, PAs of 40 bits, 4 KiB granule")
        ; br x21
        ; .align 8, 0
        ; entries:
    );
    for (table, index, descriptor) in ENTRIES {
        asm!(a ; .u64 table + 8 * index ; .u64 descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_pages_are_aligned() {
        for (table, index, descriptor) in ENTRIES {
            assert!(table % 4096 == 0 && index < 512);
            assert_ne!(descriptor & 1, 0);
        }
        assert_eq!(ONE_IPA % (2 << 20), 0);
        assert_eq!(ONE_PA % (2 << 20), 0);
        assert_eq!(TWO_PA % (2 << 20), 0);
        assert_eq!(l2(TWO_PA), 10);
    }
}
