//! The GIC's system registers (IHI 0069, 12.2 and 12.4) and their directions. Their rows, with encodings, are in
//! `sysreg::table_gic`.

/// A system register of the CPU interface (`ICC_*`) or of its hypervisor control (`ICH_*`). The virtual registers
/// (`ICV_*`) share the encodings of the `ICC_*` ones.
#[allow(non_camel_case_types, missing_docs, reason = "the architecture's names say what they are")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum GicReg {
    ICC_PMR_EL1,
    ICC_IAR0_EL1,
    ICC_EOIR0_EL1,
    ICC_HPPIR0_EL1,
    ICC_BPR0_EL1,
    /// ICC_AP0R&lt;n&gt;_EL1, n in 0..=3.
    ICC_AP0R_EL1(u8),
    /// ICC_AP1R&lt;n&gt;_EL1, n in 0..=3.
    ICC_AP1R_EL1(u8),
    ICC_DIR_EL1,
    ICC_RPR_EL1,
    ICC_SGI1R_EL1,
    ICC_ASGI1R_EL1,
    ICC_SGI0R_EL1,
    ICC_IAR1_EL1,
    ICC_EOIR1_EL1,
    ICC_HPPIR1_EL1,
    ICC_BPR1_EL1,
    ICC_CTLR_EL1,
    ICC_SRE_EL1,
    ICC_IGRPEN0_EL1,
    ICC_IGRPEN1_EL1,
    /// ICH_AP0R&lt;n&gt;_EL2, n in 0..=3.
    ICH_AP0R_EL2(u8),
    /// ICH_AP1R&lt;n&gt;_EL2, n in 0..=3.
    ICH_AP1R_EL2(u8),
    ICC_SRE_EL2,
    ICH_HCR_EL2,
    ICH_VTR_EL2,
    ICH_MISR_EL2,
    ICH_EISR_EL2,
    ICH_ELRSR_EL2,
    ICH_VMCR_EL2,
    /// ICH_LR&lt;n&gt;_EL2, n in 0..=15.
    ICH_LR_EL2(u8),
}

/// Which directions a register has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Read-only: a write is UNDEFINED.
    ReadOnly,
    /// Write-only: a read is UNDEFINED.
    WriteOnly,
    /// Both.
    ReadWrite,
}

use Direction::{ReadOnly as RO, ReadWrite as RW, WriteOnly as WO};
use GicReg as R;

impl GicReg {
    /// Its directions.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            R::ICC_IAR0_EL1
            | R::ICC_IAR1_EL1
            | R::ICC_HPPIR0_EL1
            | R::ICC_HPPIR1_EL1
            | R::ICC_RPR_EL1
            | R::ICH_VTR_EL2
            | R::ICH_MISR_EL2
            | R::ICH_EISR_EL2
            | R::ICH_ELRSR_EL2 => RO,
            R::ICC_EOIR0_EL1
            | R::ICC_EOIR1_EL1
            | R::ICC_DIR_EL1
            | R::ICC_SGI0R_EL1
            | R::ICC_SGI1R_EL1
            | R::ICC_ASGI1R_EL1 => WO,
            _ => RW,
        }
    }
}
