//! Stage 2: what a guest takes for a physical address is translated once more, by tables that only the hypervisor sees.
//!
//! The format is that of stage 1, but for permissions and memory type, which are in the descriptor itself (Arm ARM,
//! D8.3.1 and D8.5). IPAs have 39 bits here, so that the first table is one of level 1: an entry is 1 GiB there, 2 MiB at
//! level 2 and 4 KiB at level 3. What has no entry is a stage-2 abort: for the hypervisor a way to see the access.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, set};
use super::layout::{
    ONE_IPA, ONE_L1, ONE_L2, ONE_PA, PAGE, SCATTERED_IPA, SCATTERED_L3, TWO_DEVICE_L2, TWO_DEVICE_L3, TWO_L1,
    TWO_L2, TWO_PA, VIRTIO_IPA, VIRTIO_PAGE,
};
use super::sysreg::VTCR_EL2;

/// VTTBR_EL2 of guest one: its table, and VMID 1. The TLB keeps guests apart by VMID, so that nothing has to be thrown
/// out of it when the guest changes.
pub(super) const ONE_VTTBR: u64 = 1 << 48 | ONE_L1;
/// VTTBR_EL2 of guest two, with VMID 2.
pub(super) const TWO_VTTBR: u64 = TWO_VMID << 48 | TWO_L1;
pub(super) const TWO_VMID: u64 = 2;

/// VTCR_EL2: T0SZ 25, SL0 1, write-back and inner shareable walks, TG0 4 KiB, PS 40 bits.
pub(super) const VTCR: u64 = 0x8002_3559;

/// Bits 1:0 of a descriptor that points to a table.
const TABLE: u64 = 0b11;
/// A block of Normal memory: MemAttr write-back, S2AP read and write, inner shareable, AF.
const RAM_BLOCK: u64 = 0b01 | 0b1111 << 2 | 0b11 << 6 | 0b11 << 8 | 1 << 10;
/// A page of the same.
const RAM_PAGE: u64 = RAM_BLOCK | 0b11;
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

/// Where the entry of a scattered page of guest two is.
pub(super) const fn scattered_entry(page: u64) -> u64 {
    SCATTERED_L3 + 8 * (l3(SCATTERED_IPA) + page)
}

/// Every entry of every table that is not zero at first: table, index, descriptor.
const ENTRIES: [(u64, u64, u64); 8] = [
    (ONE_L1, l1(ONE_IPA), ONE_L2 | TABLE),
    (ONE_L2, l2(ONE_IPA), ONE_PA | RAM_BLOCK),
    (TWO_L1, l1(TWO_PA), TWO_L2 | TABLE),
    (TWO_L2, l2(TWO_PA), TWO_PA | RAM_BLOCK),
    (TWO_L2, l2(SCATTERED_IPA), SCATTERED_L3 | TABLE),
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
        ;; set(a, VTCR_EL2, VTCR, "IPAs of 39 bits, walks begin at level 1, PAs of 40 bits, 4 KiB granule")
        ; br x21
        ; .align 8, 0
        ; entries:
    );
    for (table, index, descriptor) in ENTRIES {
        asm!(a ; .u64 table + 8 * index ; .u64 descriptor);
    }
    give_page(a);
}

/// Gives a guest a page more: X0 is where its entry is, in a table of level 3, and X1 its PA. Where there was no entry
/// no TLB has one, so that nothing has to be invalidated. Changes X1 to X3.
fn give_page(a: &mut Asm) {
    asm!(a
        ; ->give_page:
        // It is clean, and it is so before anybody can see it.
        ; mov x2, x1
        ;; load(a, 3, PAGE)
        ; add x3, x3, x1
        ; clear:
        ; stp xzr, xzr, [x2], #16
        ; cmp x2, x3
        ; b.lo <clear
        ;; load(a, 2, RAM_PAGE)
        ; orr x1, x1, x2
        ; dsb ish
        ; str x1, [x0]
        ; dsb ish
        ; ret
    );
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
        // A page descriptor of Normal memory, write-back, inner shareable: Arm ARM, D8.3.1.
        assert_eq!(RAM_PAGE, 0x7ff);
        assert_eq!(scattered_entry(2), SCATTERED_L3 + 16);
    }
}
