//! Interrupt lines, and the interface between the GIC's distributor side and a CPU interface.

use std::sync::Arc;

/// Takes interrupt wires: the GIC's distributor, a GPIO, a PCI bridge.
pub trait IrqSink: Send + Sync {
    /// The wire `line` is now at `level`.
    fn set_level(&self, line: u32, level: bool);
}

/// One wire from a device to an interrupt controller.
#[derive(Clone)]
pub struct IrqLine {
    sink: Arc<dyn IrqSink>,
    line: u32,
}

impl IrqLine {
    /// The wire `line` of `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>, line: u32) -> Self {
        Self { sink, line }
    }
    /// Drives the wire.
    pub fn set(&self, level: bool) {
        self.sink.set_level(self.line, level);
    }
    /// An edge: up and down again.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

/// A sink that goes nowhere, for unit tests and unconnected outputs.
pub struct Unconnected;

impl IrqSink for Unconnected {
    fn set_level(&self, _: u32, _: bool) {}
}

/// Makes a vCPU look at its interrupts, timers and requests again: wakes it from WFI/WFE, or makes running code
/// leave at its next check.
pub trait Kick: Send + Sync {
    /// Something that the vCPU must look at has changed.
    fn kick(&self);
}

/// Interrupt groups as a CPU with a single Security state sees them (GIC architecture specification, 4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Group 0, signalled as FIQ.
    G0,
    /// Group 1, signalled as IRQ.
    G1,
}

/// The highest-priority pending interrupt that the distributor and redistributor offer to one PE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// INTID: SGI, PPI, SPI or LPI.
    pub intid: u32,
    /// Priority, 0 highest.
    pub priority: u8,
    /// Group.
    pub group: Group,
}

/// What an ICC_SGI*R_EL1 write asks for (GIC architecture specification, 12.2.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sgi {
    /// INTID 0..=15.
    pub intid: u32,
    /// Group that the generating register stands for.
    pub group: Group,
    /// Every PE but the sender (IRM = 1).
    pub all_others: bool,
    /// Affinity levels 3, 2, 1 of the targets.
    pub aff: [u8; 3],
    /// Range selector: the target list starts at Aff0 = 16 * range.
    pub range: u8,
    /// One bit per Aff0 in the range.
    pub targets: u16,
}

/// One PE's port into the interrupt routing infrastructure: its redistributor, and the distributor behind it. Made by
/// the GIC in `emu-devices`, used by the CPU interface in `emu-pe`. When the answer of [`GicPort::highest_pending`]
/// may have changed, the GIC calls the vCPU's [`Kick`].
pub trait GicPort: Send + Sync {
    /// The highest-priority pending, enabled interrupt for this PE in a group that the distributor forwards. Cheap:
    /// asked at every kick.
    fn highest_pending(&self) -> Option<Pending>;
    /// The CPU interface acknowledges `intid`: pending to active (level-sensitive ones may stay pending; an LPI just
    /// stops being pending). False if it was no longer pending.
    fn acknowledge(&self, intid: u32) -> bool;
    /// Active to inactive.
    fn deactivate(&self, intid: u32);
    /// Sends an SGI from this PE.
    fn send_sgi(&self, sgi: Sgi);
    /// Drives a private peripheral interrupt (INTID 16..=31) of this PE.
    fn set_ppi(&self, intid: u32, level: bool);
    /// Whether the PE can take interrupts of a group at all (ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1), for 1-of-N selection.
    fn set_group_enables(&self, g0: bool, g1: bool);
}

/// The interrupts that are signalled to a PE, as levels. HCR_EL2.VI and VF come on top of the virtual ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Signals {
    /// Physical IRQ.
    pub irq: bool,
    /// Physical FIQ.
    pub fiq: bool,
    /// Virtual IRQ.
    pub virq: bool,
    /// Virtual FIQ.
    pub vfiq: bool,
}

/// One PE's wires to and from a GIC whose CPU interface is registers in memory (GICv2). When the answer of
/// [`GicWires::signals`] may have changed, the GIC calls the vCPU's [`Kick`].
pub trait GicWires: Send + Sync {
    /// What the GIC signals. Cheap: asked at every kick.
    fn signals(&self) -> Signals;
    /// Drives a private peripheral interrupt (INTID 16..=31) of this PE.
    fn set_ppi(&self, intid: u32, level: bool);
}

/// How a PE is connected to the GIC.
#[derive(Clone)]
pub enum GicConnection {
    /// The CPU interface is in the PE, as system registers (GICv3).
    SystemRegisters(Arc<dyn GicPort>),
    /// The CPU interface is in the GIC (GICv2): the PE has no registers of it.
    Wires(Arc<dyn GicWires>),
}

impl GicConnection {
    /// Drives a private peripheral interrupt (INTID 16..=31) of the PE.
    pub fn set_ppi(&self, intid: u32, level: bool) {
        match self {
            Self::SystemRegisters(port) => port.set_ppi(intid, level),
            Self::Wires(wires) => wires.set_ppi(intid, level),
        }
    }
}

/// INTIDs of the private peripheral interrupts (Arm Base System Architecture).
pub mod ppi {
    /// PMU overflow.
    pub const PMU: u32 = 23;
    /// GIC maintenance interrupt.
    pub const MAINTENANCE: u32 = 25;
    /// Non-secure EL2 physical timer.
    pub const HYP_PHYSICAL: u32 = 26;
    /// EL1 virtual timer.
    pub const VIRTUAL: u32 = 27;
    /// Non-secure EL2 virtual timer.
    pub const HYP_VIRTUAL: u32 = 28;
    /// Non-secure EL1 physical timer.
    pub const PHYSICAL: u32 = 30;
}
