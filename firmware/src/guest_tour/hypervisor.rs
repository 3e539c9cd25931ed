//! The story that the tour tells, in the order in which it is printed.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say, set, set_to_x1};
use super::layout::{
    EXIT_COUNTS, HYP_DATA, HYP_DATA_END, HYP_STACK, ONE_CONTEXT, ONE_IPA, ONE_PA, PASSED_ON, SMMU_EVENTS,
    STOP_INTID, TWO_CONTEXT, TWO_PA, VIRTIO_INTID, VIRTIO_IPA, VIRTIO_OFFSET, VIRTIO_PAGE,
    VIRTUAL_TIMER_INTID,
};
use super::stage2::{ONE_VTTBR, TWO_VTTBR};
use super::sysreg::{
    CNTFRQ_EL0, CNTHCTL_EL2, CNTHP_CTL_EL2, CNTHP_TVAL_EL2, CPTR_EL2, CURRENT_EL, HCR_EL2, HSTR_EL2,
    ICH_LR0_EL2, ICH_VTR_EL2, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, MDCR_EL2, MIDR_EL1, MPIDR_EL1, VBAR_EL2,
    VMPIDR_EL2, VPIDR_EL2,
};
use super::vcpu::{GPRS, OFF, REPORT, SLICE_OVER, STEP, system};
use super::vectors::class;
use super::{EMULATED, HYPERCALLS, LAST_LINE, Phase, TIMER, VIRTIO, gic, guests, passthrough};

/// HCR_EL2 (Arm ARM, D24.2.52): each bit is a decision about the guests.
const HCR: u64 = VM | FMO | IMO | AMO | TWI | TSC | RW;
const VM: u64 = 1;
const FMO: u64 = 1 << 3;
const IMO: u64 = 1 << 4;
const AMO: u64 = 1 << 5;
const TWI: u64 = 1 << 13;
const TSC: u64 = 1 << 19;
const RW: u64 = 1 << 31;

/// Rounds of time slices; in each, both guests run once.
const ROUNDS: u32 = 3;
/// A time slice is this fraction of a second.
const SLICES_PER_SECOND: u64 = 100;

pub(super) fn emit(a: &mut Asm) {
    start(a);
    who_and_where(a);
    own_house(a);
    interrupts(a);
    second_stage(a);
    traps(a);
    guest_one(a);
    guest_two(a);
    passthrough::emit(a);
    time_slices(a);
    end(a);
    guest_is_wrong(a);
}

/// Begins a step.
pub(super) fn heading(a: &mut Asm, text: &str) {
    say(a, &format!("\n{text}\n"));
}

/// The entry point: a stack, data that are zero, a UART that works.
fn start(a: &mut Asm) {
    asm!(a
        ;; load(a, 0, HYP_STACK)
        ; mov sp, x0
        ;; load(a, 0, HYP_DATA)
        ;; load(a, 1, HYP_DATA_END)
        ; clear:
        ; stp xzr, xzr, [x0], #16
        ; cmp x0, x1
        ; b.lo <clear
        ; bl ->console_init
    );
    say(a, "A tour of virtualization on Arm: a small hypervisor, two guests, and what each step costs.\n");
}

fn who_and_where(a: &mut Asm) {
    heading(a, "1. Where are we?");
    asm!(a
        ;; say(a, "   CurrentEL says EL")
        ; mrs x19, CURRENT_EL
        ; ubfx x19, x19, #2, #2
        ; mov x0, x19
        ; bl ->print_dec
        ; cmp x19, #2
        ; b.eq >right
        ;; say(a, ": a hypervisor needs EL2\n")
        ; b ->machine_off
        ; right:
        ;; say(a, ": above operating systems (EL1) and programs (EL0); the MMU is off\n")
        ;; say(a, "   MIDR_EL1 = ")
        ; mrs x0, MIDR_EL1
        ; bl ->print_hex
        ;; say(a, ": the CPU's name\n   ID_AA64MMFR1_EL1.VH = ")
        ; mrs x0, ID_AA64MMFR1_EL1
        ; ubfx x0, x0, #8, #4
        ; bl ->print_dec
        ;; say(a, ": if 1, a whole kernel could run at EL2 (VHE); we are small and do not need it\n")
        ;; say(a, "   ID_AA64MMFR0_EL1.PARange = ")
        ; mrs x0, ID_AA64MMFR0_EL1
        ; and x19, x0, #0xf
        ; mov x0, x19
        ; bl ->print_dec
        ;; say(a, ": physical addresses have ")
        ; adr x0, >widths
        ; ldrb w0, [x0, x19]
        ; bl ->print_dec
        ;; say(a, " bits\n   ICH_VTR_EL2.ListRegs + 1 = ")
        ; mrs x0, ICH_VTR_EL2
        ; and x0, x0, #0x1f
        ; add x0, x0, #1
        ; bl ->print_dec
        ;; say(a, ": so many virtual interrupts can wait for a guest in registers\n   CNTFRQ_EL0 = ")
        ; mrs x0, CNTFRQ_EL0
        ; bl ->print_dec
        ;; say(a, " Hz: the speed of all timers\n")
        ; b >next
        // PARange 0 to 7 (Arm ARM, D24.2.89).
        ; widths:
        ; .bytes [32, 36, 40, 42, 44, 48, 52, 56]
        ; .bytes [0; 8]
        ; next:
    );
}

fn own_house(a: &mut Asm) {
    heading(a, "2. EL2's own house");
    asm!(a
        ; adr x1, ->vectors
        ;; set_to_x1(a, VBAR_EL2, "exceptions of guests come here; 16 entries of 128 bytes")
        ; bl ->stage1_on
    );
}

fn interrupts(a: &mut Asm) {
    heading(a, "3. Interrupts: a physical GIC for us, virtual interrupts for guests");
    asm!(a ; bl ->gic_init);
}

fn second_stage(a: &mut Asm) {
    heading(a, "4. Memory of the guests: a second translation that they cannot see");
    asm!(a ; bl ->stage2_init);
    say(a, &format!("   guest one: IPA {ONE_IPA:#x} is PA {ONE_PA:#x}, 2 MiB; no device at all (VMID 1)\n"));
    say(a, &format!("   guest two: IPA {TWO_PA:#x} is PA {TWO_PA:#x}, 2 MiB (VMID 2)\n"));
    say(
        a,
        &format!(
            "      and IPA {VIRTIO_IPA:#x} is PA {VIRTIO_PAGE:#x}, one page: the registers of virtio devices\n"
        ),
    );
    say(a, "      the SMMU is off yet: the device sees physical addresses, so this guest is mapped 1:1\n");
    make_guest(a, ONE_CONTEXT, ONE_VTTBR, ONE_IPA, ONE_PA);
    asm!(a
        ; adr x4, ->one_program
        ; adr x5, ->one_program_end
        ; bl ->guest_init
    );
    make_guest(a, TWO_CONTEXT, TWO_VTTBR, TWO_PA, TWO_PA);
    asm!(a
        ; adr x4, ->two_program
        ; adr x5, ->two_program_end
        ; bl ->guest_init
        // X0 at its start: where its device is, in the place of a devicetree.
        ;; load(a, 0, TWO_CONTEXT)
        ;; load(a, 1, VIRTIO_IPA + VIRTIO_OFFSET)
        ; str x1, [x0, GPRS]
    );
}

/// The arguments of `guest_init`, but for the program.
fn make_guest(a: &mut Asm, context: u64, vttbr: u64, ipa: u64, pa: u64) {
    load(a, 0, context);
    load(a, 1, vttbr);
    load(a, 2, ipa);
    load(a, 3, pa);
}

fn traps(a: &mut Asm) {
    heading(a, "5. What guests may do alone, and what brings them here");
    set(a, HCR_EL2, HCR, "decides about guests:");
    say(a, "      VM: stage 2 is on; RW: EL1 is AArch64; IMO, FMO, AMO: interrupts come to EL2\n");
    say(a, "      TWI: a guest that waits lets us know; TSC: its SMC does not reach the machine\n");
    set(a, CNTHCTL_EL2, 1, "guests may read the counter; the physical timer is ours");
    // What these would trap is of no interest here; their reset values are unknown.
    asm!(a
        ;; load(a, 0, 0x33ff)
        ; msr CPTR_EL2, x0
        ; msr HSTR_EL2, xzr
        ; msr MDCR_EL2, xzr
        ; mrs x0, MIDR_EL1
        ; msr VPIDR_EL2, x0
        ; mrs x0, MPIDR_EL1
        ; msr VMPIDR_EL2, x0
        ; isb
    );
}

/// Runs a guest until it has to be left, which has to be for this reason.
pub(super) fn run(a: &mut Asm, context: u64, reason: u64) {
    asm!(a
        ;; load(a, 0, context)
        ; bl ->run_guest
        ; cmp x0, reason as u32
        ; b.ne ->guest_is_wrong
    );
}

/// Runs a guest through a piece of work that is measured: nothing is printed from the end of the line on.
pub(super) fn measure(a: &mut Asm, context: u64, phase: Phase) {
    say(a, &format!("{}\n", phase.line()));
    run(a, context, STEP);
}

fn guest_one(a: &mut Asm) {
    heading(a, "6. Guest one: all its devices are made up");
    say(a, "   ERET goes to EL1 and its first instruction; it prints on a UART as if one were there\n");
    run(a, ONE_CONTEXT, STEP);
    measure(a, ONE_CONTEXT, EMULATED);
    say(a, "   each word that it read was an exit: abort, decode, emulate, return\n");
    run(a, ONE_CONTEXT, STEP);
    // Its checksum, for a comparison later on.
    asm!(a
        ;; load(a, 1, ONE_CONTEXT)
        ; ldr x27, [x1, REPORT]
    );
    measure(a, ONE_CONTEXT, HYPERCALLS);
    say(a, "   a call is an exit without a question: HVC says what is wanted, in registers\n");
    let lr = gic::software_interrupt(VIRTUAL_TIMER_INTID) | 1 << 61 | u64::from(VIRTUAL_TIMER_INTID) << 32;
    say(a, "   now its virtual timer: interrupt 27 comes to EL2 and goes on as a virtual one:\n");
    say(a, &format!("      a list register gets {lr:#x}: pending, group 1, priority 0xa0, INTID 27,\n"));
    say(a, "      and HW: when the guest ends 27, the physical 27 ends, without another exit\n");
    measure(a, ONE_CONTEXT, TIMER);
    asm!(a
        ;; say(a, "   it counted ")
        ;; load(a, 1, ONE_CONTEXT)
        ; ldr x0, [x1, REPORT]
        ; bl ->print_dec
        ;; say(a, " ticks\n")
    );
}

fn guest_two(a: &mut Asm) {
    heading(a, "7. Guest two: a virtio disk of its own");
    say(a, "   its accesses to the disk's registers go through stage 2 and do not come here;\n");
    say(a, "   it has no UART: it prints a line with one hypercall\n");
    run(a, TWO_CONTEXT, STEP);
    say(
        a,
        &format!(
            "   interrupt {VIRTIO_INTID} of the disk will go the way of 27: SPI, EL2, list register, guest\n"
        ),
    );
    measure(a, TWO_CONTEXT, VIRTIO);
    say(a, "   per sector: one notification to the disk, DMA, one interrupt\n");
    run(a, TWO_CONTEXT, STEP);
    asm!(a
        ;; load(a, 1, TWO_CONTEXT)
        ; ldr x28, [x1, REPORT]
        ; cmp x27, x28
        ; b.ne ->guest_is_wrong
        ;; say(a, "   both guests have the same bytes of the disk: checksum ")
        ; mov x0, x28
        ; bl ->print_hex
        ;; say(a, "\n")
    );
}

fn time_slices(a: &mut Asm) {
    heading(a, "9. One CPU for both: a timer of EL2 ends each time slice");
    say(a, "   CNTHP_TVAL_EL2 is set to 10 ms; interrupt 26 then brings us back, whatever the guest does\n");
    let guests = [("one", ONE_CONTEXT, ONE_PA), ("two", TWO_CONTEXT, TWO_PA)];
    for round in 0..ROUNDS {
        for (i, (name, context, pa)) in guests.into_iter().enumerate() {
            asm!(a
                ;; load(a, 22, pa + guests::COUNTER)
                ; ldr x23, [x22]
                // A slice so short that the guest got nowhere is not one.
                ; again:
                ; mrs x0, CNTFRQ_EL0
                ;; load(a, 1, SLICES_PER_SECOND)
                ; udiv x0, x0, x1
                ; msr CNTHP_TVAL_EL2, x0
                ; mov x0, #1
                ; msr CNTHP_CTL_EL2, x0
                ;; run(a, context, SLICE_OVER)
                ; ldr x24, [x22]
                ; cmp x24, x23
                ; b.eq <again
            );
            let slice = 2 * round + i as u32 + 1;
            say(a, &format!("   slice {slice}: guest {name} ran, and its counter has moved on\n"));
        }
    }
    say(
        a,
        &format!(
            "   an interrupt that only exists in a list register ({STOP_INTID}, no HW) asks each to stop:\n"
        ),
    );
    for (name, context, _) in guests {
        asm!(a
            ;; load(a, 0, context)
            ;; load(a, 1, gic::software_interrupt(STOP_INTID))
            ; str x1, [x0, system(ICH_LR0_EL2)]
        );
        run(a, context, OFF);
        say(
            a,
            &format!(
                "   guest {name} called PSCI SYSTEM_OFF by SMC; HCR_EL2.TSC brought it here: only it is off\n"
            ),
        );
    }
}

fn end(a: &mut Asm) {
    heading(a, "10. What the hypervisor counted");
    let counts = [
        (u64::from(class::DATA_ABORT), "stage-2 aborts (emulated accesses)"),
        (u64::from(class::HVC), "hypercalls"),
        (u64::from(class::SMC), "SMC trapped"),
        (PASSED_ON, "interrupts passed on to guests"),
        (SMMU_EVENTS, "events of the SMMU"),
    ];
    for (index, what) in counts {
        asm!(a
            ;; say(a, "   ")
            ;; load(a, 1, EXIT_COUNTS + 8 * index)
            ; ldr x0, [x1]
            ; bl ->print_dec
            ;; say(a, &format!(" {what}\n"))
        );
    }
    say(a, &format!("\n{LAST_LINE}\n"));
    asm!(a ; b ->machine_off);
}

fn guest_is_wrong(a: &mut Asm) {
    asm!(a
        ; ->guest_is_wrong:
        ;; say(a, "   a guest did not do what the tour expects\n")
        ; b ->machine_off
    );
}
