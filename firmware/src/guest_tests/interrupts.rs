//! Setting the GIC up, and talking to it (GIC: IHI 0069).

use super::layout;
use super::program::Program;
use super::registers as r;
use super::report::{Taken, from, kind};

/// The priority that everything gets at first.
pub const PRIORITY: u32 = 0xa0;
/// HCR_EL2 with RW and IMO, FMO: physical interrupts are taken to EL2.
pub const TO_EL2: u64 = 1 << 31 | 1 << 4 | 1 << 3;
/// What ICC_IAR1_EL1 gives when there is nothing (12.2.14, Table 12-3).
pub const NOTHING: u64 = 1023;

/// Distributor registers.
pub mod gicd {
    use super::layout::GICD;
    /// GICD_CTLR.
    pub const CTLR: u64 = GICD;
    /// GICD_IGROUPR\<n\>.
    pub const IGROUPR: u64 = GICD + 0x80;
    /// GICD_ISENABLER\<n\>.
    pub const ISENABLER: u64 = GICD + 0x100;
    /// GICD_ISPENDR\<n\>.
    pub const ISPENDR: u64 = GICD + 0x200;
    /// GICD_ICPENDR\<n\>.
    pub const ICPENDR: u64 = GICD + 0x280;
    /// GICD_ISACTIVER\<n\>.
    pub const ISACTIVER: u64 = GICD + 0x300;
    /// GICD_IPRIORITYR\<n\>.
    pub const IPRIORITYR: u64 = GICD + 0x400;
    /// GICD_ICFGR\<n\>.
    pub const ICFGR: u64 = GICD + 0xc00;
    /// GICD_IROUTER\<n\>.
    pub const IROUTER: u64 = GICD + 0x6000;
}

/// Offsets in the SGI_base frame of a redistributor (from the start of the redistributor).
pub mod gicr {
    /// GICR_WAKER (RD_base).
    pub const WAKER: u64 = 0x14;
    /// GICR_IGROUPR0.
    pub const IGROUPR0: u64 = 0x1_0080;
    /// GICR_ISENABLER0.
    pub const ISENABLER0: u64 = 0x1_0100;
    /// GICR_ICENABLER0.
    pub const ICENABLER0: u64 = 0x1_0180;
    /// GICR_ISPENDR0.
    pub const ISPENDR0: u64 = 0x1_0200;
    /// GICR_ISACTIVER0.
    pub const ISACTIVER0: u64 = 0x1_0300;
    /// GICR_IPRIORITYR\<n\>.
    pub const IPRIORITYR: u64 = 0x1_0400;
}

/// A list register (ICH_LR\<n\>_EL2, 12.4.7).
#[derive(Clone, Copy, Debug)]
pub struct ListRegister(pub u64);

impl ListRegister {
    /// A pending group 1 interrupt of priority 0x80.
    #[must_use]
    pub const fn pending(vintid: u64) -> Self {
        Self(1 << 62 | 1 << 60 | 0x80 << 48 | vintid)
    }
    /// Tied to a physical interrupt.
    #[must_use]
    pub const fn hardware(self, pintid: u64) -> Self {
        Self(self.0 | 1 << 61 | pintid << 32)
    }
    /// With a maintenance interrupt at its end.
    #[must_use]
    pub const fn eoi(self) -> Self {
        Self(self.0 | 1 << 41)
    }
}

impl Program {
    /// The address of a register of this PE's redistributor.
    #[must_use]
    pub fn gicr(&self, offset: u64) -> u64 {
        layout::GICR + self.cpu() * layout::GICR_STRIDE + offset
    }

    /// From EL2: all interrupts in group 1, SGIs and PPIs enabled with [`PRIORITY`], physical interrupts to EL2.
    pub fn start_gic(&mut self) {
        // ARE, EnableGrp1, EnableGrp0.
        self.poke32(gicd::CTLR, 1 << 4 | 3);
        let waker = self.gicr(gicr::WAKER);
        self.poke32(waker, 0);
        // Until ChildrenAsleep is clear.
        self.until(15, |p| {
            p.peek32(15, waker);
            a64!(p ; tst x15, 4 ; cset x15, eq);
        });
        self.poke32(self.gicr(gicr::IGROUPR0), u32::MAX);
        for n in 0..8 {
            self.poke32(self.gicr(gicr::IPRIORITYR + 4 * n), PRIORITY * 0x0101_0101);
        }
        self.poke32(self.gicr(gicr::ISENABLER0), u32::MAX);
        // SRE with DFB, DIB and Enable.
        self.set_now(r::ICC_SRE_EL2, 15);
        self.set_now(r::ICC_SRE_EL1, 7);
        self.set(r::ICC_PMR_EL1, 0xff);
        self.set(r::ICC_BPR1_EL1, 0);
        self.set(r::ICC_CTLR_EL1, 0);
        self.set(r::ICC_IGRPEN1_EL1, 1);
        self.set_now(r::HCR_EL2, TO_EL2);
    }

    /// Gives an SGI or PPI another priority.
    pub fn priority(&mut self, intid: u64, priority: u8) {
        self.mov(18, self.gicr(gicr::IPRIORITYR + intid));
        self.mov(27, priority.into());
        a64!(self ; strb w27, [x18] ; dsb sy);
    }

    /// Sends a group 1 SGI to the PE with affinity 0.0.0.`target`.
    pub fn send_sgi(&mut self, intid: u64, target: u64) {
        self.set(r::ICC_SGI1R_EL1, intid << 24 | 1 << target);
        a64!(self ; isb);
    }

    /// Enables an SPI: group 1, [`PRIORITY`], edge-triggered, routed to the first PE.
    pub fn start_spi(&mut self, intid: u64) {
        let (word, bit) = (4 * (intid / 32), 1_u32 << (intid % 32));
        self.poke32(gicd::IGROUPR + word, u32::MAX);
        self.poke32(gicd::ICFGR + 4 * (intid / 16), 2 << (2 * (intid % 16)));
        self.mov(18, gicd::IPRIORITYR + intid);
        self.mov(27, PRIORITY.into());
        a64!(self ; strb w27, [x18]);
        self.poke(gicd::IROUTER + 8 * intid, 0);
        self.poke32(gicd::ISENABLER + word, bit);
    }

    /// The same of a level-sensitive one.
    pub fn start_level_spi(&mut self, intid: u64) {
        self.start_spi(intid);
        self.poke32(gicd::ICFGR + 4 * (intid / 16), 0);
    }

    /// Acknowledges a group 1 interrupt; expects this INTID.
    pub fn acknowledge(&mut self, name: &str, intid: u64) {
        self.mrs(0, r::ICC_IAR1_EL1);
        self.expect(name, 0, intid);
    }

    /// Takes an interrupt at EL2, and acknowledges it; expects this INTID.
    pub fn take_and_acknowledge(&mut self, name: &str, intid: u64) {
        self.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
        self.take_interrupt();
        self.acknowledge(name, intid);
    }

    /// Ends a group 1 interrupt.
    pub fn end_of_interrupt(&mut self, intid: u64) {
        self.set_now(r::ICC_EOIR1_EL1, intid);
    }

    /// From EL2: the virtual CPU interface with group 1 enabled and no priority masked.
    pub fn start_virtual_interface(&mut self, hcr: u64) {
        self.set(r::ICH_VMCR_EL2, 0xff << 24 | 1 << 1);
        self.set_now(r::ICH_HCR_EL2, 1 | hcr);
    }
}
