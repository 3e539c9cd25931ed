//! Interrupts: the physical GICv3 for the hypervisor, and the virtual one for guests (Arm IHI 0069).
//!
//! With HCR_EL2.IMO every physical interrupt comes to EL2, whatever a guest has masked. EL2 acknowledges it and, if it is
//! the guest's, writes it into a *list register*: the guest's CPU interface then has a virtual interrupt pending, and the
//! guest acknowledges and ends it without any further exit. With the HW bit the end of the virtual interrupt also
//! deactivates the physical one.
//!
//! There is no virtual distributor: the guests of the tour find their interrupts enabled. A hypervisor for real guests
//! emulates GICD and GICR as `mmio` emulates a UART.

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::asm::{Asm, asm, load, say, set};
use super::layout::{
    EXIT_COUNTS, HYP_TIMER_INTID, PASSED_ON, SMMU_EVENT_INTID, SMMU_EVENTS, VIRTIO_INTID, VIRTUAL_TIMER_INTID,
};
use super::sysreg::{
    CNTHP_CTL_EL2, ICC_CTLR_EL1, ICC_DIR_EL1, ICC_EOIR1_EL1, ICC_IAR1_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1,
    ICC_SRE_EL2, ICH_ELRSR_EL2, ICH_HCR_EL2, ICH_LR, MPIDR_EL1,
};
use super::vcpu::{CONTINUE, SLICE_OVER, SMMU_EVENT};

/// Distributor.
const GICD: u64 = 0x0800_0000;
/// Redistributor of the first CPU, and its second frame with SGIs and PPIs.
const GICR: u64 = 0x080a_0000;
const GICR_SGI: u64 = GICR + 0x1_0000;

/// GICD_CTLR: affinity routing (ARE, bit 4) and Group 1 (bit 1).
const GICD_CTLR_ARE: u32 = 1 << 4;
const GICD_CTLR_GROUP1: u32 = 1 << 1;
/// GICD_CTLR.RWP: a change is still on its way.
const RWP: u32 = 31;
/// GICR_WAKER and its bits ProcessorSleep and ChildrenAsleep.
const WAKER: u32 = 0x14;
const PROCESSOR_SLEEP: u32 = 1;
const CHILDREN_ASLEEP: u32 = 2;
/// IGROUPR, ISENABLER, IPRIORITYR: the same offsets in GICD and in the redistributor's second frame.
const IGROUPR: u64 = 0x80;
const ISENABLER: u64 = 0x100;
const IPRIORITYR: u64 = 0x400;
/// GICD_ICFGR: two bits for each, of which the upper one says that it is an edge.
const ICFGR: u32 = 0xc00;
/// GICD_IROUTER.
const IROUTER: u64 = 0x6000;

/// The priority of all interrupts but one.
const PRIORITY: u64 = 0xa0;
/// That of the SMMU's events is higher: what it has to say of a device is heard before the device itself is.
const EVENT_PRIORITY: u64 = 0x80;
/// The lowest INTID that IAR gives for "nothing".
const SPECIAL: u32 = 1020;

/// A list register without its INTIDs: State is pending (bit 62), Group 1 (bit 60), the priority.
const LR_PENDING: u64 = 1 << 62 | 1 << 60 | PRIORITY << 48;
/// The physical interrupt with the same INTID is deactivated with the virtual one.
const LR_HW: u64 = 1 << 61;

/// A list register for a virtual interrupt that no physical one stands behind.
pub(super) const fn software_interrupt(intid: u32) -> u64 {
    LR_PENDING | intid as u64
}

pub(super) fn emit(a: &mut Asm) {
    init(a);
    take_interrupt(a);
}

/// The physical side, as an operating system would set it up, and the virtual side turned on.
fn init(a: &mut Asm) {
    asm!(a
        ; ->gic_init:
        ; mov x21, x30
        ;; load(a, 0, GICD)
        ; mov w1, GICD_CTLR_ARE
        ; str w1, [x0]
        ; settle:
        ; ldr w1, [x0]
        ; tbnz w1, RWP, <settle
        ; mov w1, GICD_CTLR_ARE | GICD_CTLR_GROUP1
        ; str w1, [x0]
        // The SMMU's events are edges.
        ;; load(a, 1, 2 << (SMMU_EVENT_INTID % 16 * 2))
        ; str w1, [x0, ICFGR + SMMU_EVENT_INTID / 16 * 4]
        ;; spi(a, VIRTIO_INTID, PRIORITY)
        ;; spi(a, SMMU_EVENT_INTID, EVENT_PRIORITY)
        // The redistributor sleeps at reset.
        ;; load(a, 0, GICR)
        ; ldr w1, [x0, WAKER]
        ; and w1, w1, !(1 << PROCESSOR_SLEEP)
        ; str w1, [x0, WAKER]
        ; asleep:
        ; ldr w1, [x0, WAKER]
        ; tbnz w1, CHILDREN_ASLEEP, <asleep
        // The two timers' PPIs.
        ;; load(a, 0, GICR_SGI)
        ; mov w1, wzr
        ; mvn w1, w1
        ; str w1, [x0, IGROUPR as u32]
        ; mov w2, PRIORITY as u32
        ; strb w2, [x0, IPRIORITYR as u32 + HYP_TIMER_INTID]
        ; strb w2, [x0, IPRIORITYR as u32 + VIRTUAL_TIMER_INTID]
        ;; load(a, 1, 1 << HYP_TIMER_INTID | 1 << VIRTUAL_TIMER_INTID)
        ; str w1, [x0, ISENABLER as u32]
        ; dsb sy
        ;; say(a, "   GICD_CTLR, GICR_WAKER: interrupts go by affinity; the redistributor is awake;\n")
        ;; say(a, "      enabled are 26 (EL2 timer), 27 (virtual timer), 79 (the disk) and 106 (events of the SMMU)\n")
        ;; set(a, ICC_SRE_EL2, 0xf, "the CPU interface is system registers, and guests may use them")
        ;; set(a, ICC_PMR_EL1, 0xf8, "no interrupt is masked by its priority")
        ;; set(a, ICC_CTLR_EL1, 0x2, "EOImode: EL2 drops the priority, deactivating can be left to a guest")
        ;; set(a, ICC_IGRPEN1_EL1, 1, "Group 1 interrupts are signalled to this CPU")
        ;; set(a, ICH_HCR_EL2, 1, "En: list registers give virtual interrupts to EL1")
        ; br x21
    );
}

/// An SPI: Group 1, a priority, routed to this CPU, enabled. X0 is the distributor. Changes X1 to X3.
fn spi(a: &mut Asm, intid: u32, priority: u64) {
    let word = intid / 32 * 4;
    asm!(a
        ;; load(a, 1, 1 << (intid % 32))
        ; str w1, [x0, IGROUPR as u32 + word]
        ; mov w2, priority as u32
        ; strb w2, [x0, IPRIORITYR as u32 + intid]
        ;; load(a, 3, GICD + IROUTER + 8 * u64::from(intid))
        ; mrs x2, MPIDR_EL1
        ; and x2, x2, #0xffffff
        ; str x2, [x3]
        ; str w1, [x0, ISENABLER as u32 + word]
    );
}

/// One more. Changes X2 and X3.
fn count(a: &mut Asm, index: u64) {
    asm!(a
        ;; load(a, 2, EXIT_COUNTS + 8 * index)
        ; ldr x3, [x2]
        ; add x3, x3, #1
        ; str x3, [x2]
    );
}

/// Acknowledges a physical interrupt. Gives in X0 why a guest has to be left, or [`CONTINUE`]. X19 is the context of the
/// guest that ran, and that gets the interrupt if it is not EL2's own: in the tour a guest's device only works while
/// that guest does. Changes X0 to X4.
fn take_interrupt(a: &mut Asm) {
    asm!(a
        ; ->take_interrupt:
        ; mrs x1, ICC_IAR1_EL1
        ; mov x0, CONTINUE
        ; cmp w1, SPECIAL
        ; b.hs >out
        // Priority drop. The interrupt stays active, and so cannot come again for now.
        ; msr ICC_EOIR1_EL1, x1
        ; cmp w1, HYP_TIMER_INTID
        ; b.eq >slice
        ; cmp w1, SMMU_EVENT_INTID
        ; b.eq >event
        ;; count(a, PASSED_ON)
        // A virtual interrupt in the first list register that is empty. There is always one: three sources, four
        // list registers.
        ;; load(a, 2, LR_PENDING | LR_HW)
        ; orr x2, x2, x1
        ; orr x2, x2, x1, lsl #32
        ; mrs x3, ICH_ELRSR_EL2
    );
    for (n, register) in ICH_LR.into_iter().enumerate() {
        asm!(a
            ; tbz x3, n as u32, >used
            ; msr register, x2
            ; b >out
            ; used:
        );
    }
    asm!(a
        ; b ->no_list_register
        // The time slice is over. This interrupt ends here: the timer is stopped, then it is deactivated.
        ; slice:
        ; msr CNTHP_CTL_EL2, xzr
        ; isb
        ; msr ICC_DIR_EL1, x1
        ; mov x0, SLICE_OVER
        ; b >out
        // The SMMU has something to say of a device, and that is not for the guest.
        ; event:
        ;; count(a, SMMU_EVENTS)
        ; msr ICC_DIR_EL1, x1
        ; mov x0, SMMU_EVENT
        ; out:
        ; isb
        ; ret
    );
}
