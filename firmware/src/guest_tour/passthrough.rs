//! The part of the story that is about the SMMU: guest two has the disk to itself, in memory that is here and there, and
//! can do no harm with it.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say};
use super::hypervisor::{heading, measure, run};
use super::layout::{IMAGE, PAGE, SCATTERED_IPA, SCATTERED_PAGES, TWO_CONTEXT, VIRTIO_STREAM, scattered_pa};
use super::smmu::{DISK_HAS_NO_TRANSLATION, STALL};
use super::stage2::scattered_entry;
use super::vcpu::{REPORT, SMMU_EVENT, STEP};
use super::{BEHIND, SECTOR};

/// What guest two has no right to: our first instructions.
pub(super) const FORBIDDEN: u64 = IMAGE;
/// The page that is not there at first.
const LATE: u64 = SCATTERED_PAGES - 1;
/// The IPA from which on two pages get what the disk begins with; the second one is [`LATE`].
pub(super) const LATE_BUFFER: u64 = SCATTERED_IPA + (LATE - 1) * PAGE;

/// X28 is the checksum of the disk.
pub(super) fn emit(a: &mut Asm) {
    heading(a, "8. The SMMU: what stage 2 is for CPUs, it is for devices");
    say(
        a,
        "   so far it let everything pass: the disk saw physical addresses, and guest two could have had\n",
    );
    say(a, "   it write anywhere: over guest one, over us\n");
    asm!(a ; bl ->smmu_on);
    scattered(a);
    rogue(a);
    late(a);
}

/// Memory need not be where the guest believes it is any more.
fn scattered(a: &mut Asm) {
    for page in 0..LATE {
        give(a, page);
    }
    let pa = scattered_pa;
    say(
        a,
        &format!(
            "   guest two gets {LATE} pages more, at IPA {SCATTERED_IPA:#x}; where they are, only we know:\n"
        ),
    );
    let [first, second, third] = [pa(0), pa(1), pa(2)];
    say(a, &format!("      PA {first:#x}, {second:#x}, {third:#x}, ... for CPU and disk alike\n"));
    run(a, TWO_CONTEXT, STEP);
    measure(a, TWO_CONTEXT, BEHIND);
    say(a, "   the same driver at the same price: the SMMU brought each byte to the right page\n");
    run(a, TWO_CONTEXT, STEP);
    asm!(a
        ;; load(a, 1, TWO_CONTEXT)
        ; ldr x0, [x1, REPORT]
        ; cmp x0, x28
        ; b.ne ->guest_is_wrong
        ;; say(a, "   and the bytes are the same again: checksum ")
        ; mov x0, x28
        ; bl ->print_hex
        ;; say(a, "\n")
    );
}

/// Gives a page to guest two.
fn give(a: &mut Asm, page: u64) {
    asm!(a
        ;; load(a, 0, scattered_entry(page))
        ;; load(a, 1, scattered_pa(page))
        ; bl ->give_page
    );
}

/// The record in X22 to X25 has to be about a write of the disk to `address`.
fn expect_event(a: &mut Asm, address: u64) {
    asm!(a
        ; bl ->smmu_event
        ;; load(a, 0, DISK_HAS_NO_TRANSLATION)
        ; cmp x22, x0
        ; b.ne ->smmu_is_wrong
        ;; load(a, 0, address)
        ; cmp x24, x0
        ; b.ne ->smmu_is_wrong
    );
}

/// A DMA to somebody else's memory.
fn rogue(a: &mut Asm) {
    say(
        a,
        "   now guest two gives the disk an address that is ours; without an SMMU, this would be our end\n",
    );
    asm!(a
        ;; sum(a)
        ; mov x26, x0
        ;; run(a, TWO_CONTEXT, SMMU_EVENT)
        ;; expect_event(a, FORBIDDEN)
        ;; run(a, TWO_CONTEXT, STEP)
        ;; sum(a)
        ; cmp x0, x26
        ; b.ne >written
        ;; say(a, &format!("   no byte at PA {FORBIDDEN:#x} has changed: checksum "))
        ; mov x0, x26
        ; bl ->print_hex
        ;; say(a, " before and after\n")
        ; b >unharmed
        ; written:
        ;; say(a, "   a device has written over the hypervisor\n")
        ; b ->machine_off
        ; unharmed:
    );
}

/// X0 = a checksum of what a sector would be written over. Changes X1 to X4.
fn sum(a: &mut Asm) {
    asm!(a
        ;; load(a, 1, FORBIDDEN)
        ;; load(a, 2, FORBIDDEN + SECTOR)
        ; mov x0, xzr
        ; mov x3, #31
        ; next:
        ; ldr x4, [x1], #8
        ; madd x0, x0, x3, x4
        ; cmp x1, x2
        ; b.lo <next
    );
}

/// A DMA to a page that is the guest's, and not there yet.
fn late(a: &mut Asm) {
    say(
        a,
        &format!(
            "   an abort is not the only answer: with S2S in the STE of {VIRTIO_STREAM:#x} the device waits for ours\n"
        ),
    );
    say(a, "      (we write it, then CMD_CFGI_STE and CMD_SYNC: the SMMU keeps entries, too)\n");
    let late = SCATTERED_IPA + LATE * PAGE;
    asm!(a
        ; bl ->smmu_let_faults_stall
        ;; run(a, TWO_CONTEXT, SMMU_EVENT)
        ;; expect_event(a, late)
        ; tbz x23, STALL, ->smmu_is_wrong
        ;; give(a, LATE)
    );
    say(a, &format!("   the guest may have this page: IPA {late:#x} is PA {:#x} now\n", scattered_pa(LATE)));
    say(a, "   CMD_RESUME with that STAG and Ac = 1: the disk tries again, and knows nothing of all this\n");
    asm!(a
        ; and x1, x23, 0xffff
        ; bl ->smmu_retry
        ;; run(a, TWO_CONTEXT, STEP)
    );
    for (page, at) in [(LATE - 1, 0), (LATE, PAGE)] {
        compare(a, scattered_pa(page), at);
    }
    say(a, "   both pages, the old one and the new one, have the bytes of sectors 0 to 15\n");
}

/// A page has to have the bytes of the disk from the offset `at` on.
fn compare(a: &mut Asm, page: u64, at: u64) {
    asm!(a
        ;; load(a, 1, page)
        ;; load(a, 2, page + PAGE)
        ; adr x3, ->disk_bytes
        ;; load(a, 4, at)
        ; add x3, x3, x4
        ; next:
        ; ldr x4, [x1], #8
        ; ldr x5, [x3], #8
        ; cmp x4, x5
        ; b.ne ->smmu_is_wrong
        ; cmp x1, x2
        ; b.lo <next
    );
}
