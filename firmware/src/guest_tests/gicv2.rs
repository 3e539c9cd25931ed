//! Setting a GICv2 up, and talking to it (GIC: IHI 0048B).

use super::interrupts::PRIORITY;
use super::layout;
use super::program::Program;
use super::registers as r;

/// What GICC_IAR gives when there is nothing (3.2.5).
pub const NOTHING: u64 = 1023;

/// Distributor registers: those of a GICv3 and two more.
pub mod gicd {
    use super::layout::GICD;
    pub use crate::guest_tests::interrupts::gicd::*;
    /// GICD_ITARGETSR\<n\>.
    pub const ITARGETSR: u64 = GICD + 0x800;
    /// GICD_SGIR.
    pub const SGIR: u64 = GICD + 0xf00;
}

/// A CPU interface: the physical one at EL2, the virtual one at EL1.
#[derive(Clone, Copy, Debug)]
pub struct Interface(u64);

/// GICC.
pub const PHYSICAL: Interface = Interface(layout::GICC);
/// GICV.
pub const VIRTUAL: Interface = Interface(layout::GICV);

impl Interface {
    /// GICC_CTLR.
    pub const CTLR: u64 = 0x00;
    /// GICC_PMR.
    pub const PMR: u64 = 0x04;
    /// GICC_IAR.
    pub const IAR: u64 = 0x0c;
    /// GICC_EOIR.
    pub const EOIR: u64 = 0x10;
    /// GICC_RPR.
    pub const RPR: u64 = 0x14;
    /// GICC_HPPIR.
    pub const HPPIR: u64 = 0x18;
    /// GICC_AIAR.
    pub const AIAR: u64 = 0x20;
    /// GICC_AEOIR.
    pub const AEOIR: u64 = 0x24;
    /// GICC_DIR.
    pub const DIR: u64 = 0x1000;

    /// The address of a register.
    #[must_use]
    pub const fn at(self, offset: u64) -> u64 {
        self.0 + offset
    }
}

/// Control of the virtual interface.
pub mod gich {
    use super::layout::GICH;
    /// GICH_HCR.
    pub const HCR: u64 = GICH;
    /// GICH_VMCR.
    pub const VMCR: u64 = GICH + 0x08;
    /// GICH_MISR.
    pub const MISR: u64 = GICH + 0x10;
    /// GICH_EISR0.
    pub const EISR: u64 = GICH + 0x20;
    /// GICH_ELRSR0.
    pub const ELRSR: u64 = GICH + 0x30;
    /// GICH_LR\<n\>.
    pub const LR: u64 = GICH + 0x100;
}

/// A list register (GICH_LR\<n\>, 5.3.9).
#[derive(Clone, Copy, Debug)]
pub struct ListRegister(pub u32);

impl ListRegister {
    /// State\[29:28\].
    pub const STATE: u64 = 3 << 28;
    /// State: active.
    pub const ACTIVE: u64 = 2 << 28;

    /// A pending Group 0 interrupt.
    #[must_use]
    pub const fn pending(id: u32, priority: u32) -> Self {
        Self(1 << 28 | priority >> 3 << 23 | id)
    }
    /// Of Group 1.
    #[must_use]
    pub const fn group_1(self) -> Self {
        Self(self.0 | 1 << 30)
    }
    /// Tied to a physical interrupt.
    #[must_use]
    pub const fn hardware(self, id: u32) -> Self {
        Self(self.0 | 1 << 31 | id << 10)
    }
    /// With a maintenance interrupt at its end.
    #[must_use]
    pub const fn eoi(self) -> Self {
        Self(self.0 | 1 << 19)
    }
}

impl Program {
    /// From EL2: all SGIs and PPIs of this PE enabled with [`PRIORITY`], in Group 0, which comes as IRQ; to EL2.
    pub fn start_gicv2(&mut self) {
        self.poke32(gicd::CTLR, 1);
        for n in 0..8 {
            self.poke32(gicd::IPRIORITYR + 4 * n, PRIORITY * 0x0101_0101);
        }
        self.poke32(gicd::ISENABLER, u32::MAX);
        self.poke32(PHYSICAL.at(Interface::PMR), 0xff);
        self.poke32(PHYSICAL.at(Interface::CTLR), 1);
        self.set_now(r::HCR_EL2, super::interrupts::TO_EL2);
    }

    /// From EL2: the virtual interface with Group 0 enabled and no priority masked.
    pub fn start_virtual_gicv2(&mut self, hcr: u32) {
        self.poke32(gich::VMCR, 0x1f << 27 | 1);
        self.poke32(gich::HCR, 1 | hcr);
    }

    /// Gives an interrupt another priority.
    pub fn priority_v2(&mut self, intid: u64, priority: u8) {
        self.mov(18, gicd::IPRIORITYR + intid);
        self.mov(27, priority.into());
        a64!(self ; strb w27, [x18] ; dsb sy);
    }

    /// Sends an SGI to PEs, a bit for each.
    pub fn send_sgi_v2(&mut self, intid: u32, targets: u32) {
        self.poke32(gicd::SGIR, targets << 16 | intid);
    }

    /// Enables an SPI: edge-triggered, with [`PRIORITY`], for these PEs.
    pub fn start_spi_v2(&mut self, intid: u64, targets: u8) {
        self.poke32(gicd::ICFGR + 4 * (intid / 16), 2 << (2 * (intid % 16)));
        self.priority_v2(intid, PRIORITY as u8);
        self.mov(18, gicd::ITARGETSR + intid);
        self.mov(27, targets.into());
        a64!(self ; strb w27, [x18]);
        self.poke32(gicd::ISENABLER + 4 * (intid / 32), 1 << (intid % 32));
    }

    /// Reads a register of the GIC and expects a value in it.
    pub fn expect_at(&mut self, name: &str, address: u64, value: u64) {
        self.expect_bits_at(name, address, u64::MAX, value);
    }

    /// Reads a register of the GIC and expects a value in some of its bits.
    pub fn expect_bits_at(&mut self, name: &str, address: u64, mask: u64, value: u64) {
        self.peek32(0, address);
        self.expect_bits(name, 0, mask, value);
    }
}
