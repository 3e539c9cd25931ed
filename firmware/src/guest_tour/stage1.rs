//! EL2's own translation: stage 1 of the EL2 regime, with virtual addresses equal to physical ones.
//!
//! A hypervisor can run with its MMU off, but then all its accesses are Device accesses: not cached, never unaligned, and
//! not coherent with guests that do cache. One table of two 1 GiB blocks is all it takes (Arm ARM, D8.3).

use dynasmrt::DynasmLabelApi;

use super::asm::{Asm, asm, load, set};
use super::layout::EL2_L1;
use super::sysreg::{MAIR_EL2, SCTLR_EL2, TCR_EL2, TTBR0_EL2};

/// A block descriptor: valid (bit 0), accessed before (AF, bit 10), AP\[1\] (bit 6), which is RES1 at EL2.
const BLOCK: u64 = 1 | 1 << 6 | 1 << 10;
/// AttrIndx: Device memory is attribute 0 of MAIR_EL2; XN: no code is there.
const DEVICE: u64 = BLOCK | 1 << 54;
/// AttrIndx 1 is Normal memory; SH says inner shareable.
const NORMAL: u64 = BLOCK | 1 << 2 | 0b11 << 8;

pub(super) fn emit(a: &mut Asm) {
    asm!(a
        ; ->stage1_on:
        ; mov x21, x30
        ;; load(a, 0, EL2_L1)
        ;; load(a, 1, DEVICE)
        ;; load(a, 2, 0x4000_0000 | NORMAL)
        ; stp x1, x2, [x0]
        ; dsb ish
        ;; set(a, MAIR_EL2, 0xff04, "attribute 0 is Device-nGnRE, attribute 1 is Normal, write-back")
        ;; set(a, TCR_EL2, 0x8082_3519, "addresses of 39 bits (T0SZ 25), 4 KiB granule, tables are cached")
        ;; set(a, TTBR0_EL2, EL2_L1, "the table: devices in the first GiB, RAM in the second")
        // What an earlier life may have left in the TLB must not be used.
        ; tlbi alle2
        ; dsb ish
        ; isb
        ;; set(a, SCTLR_EL2, 0x30c5_1835, "M turns the MMU on, C and I the caches")
        ; br x21
    );
}
