//! The GIC's system registers (IHI 0069, 12.2 and 12.4): names, encodings and directions, as data.

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

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The architecture's name.
    pub name: &'static str,
    /// op0, op1, CRn, CRm, op2.
    pub encoding: [u8; 5],
    /// Directions.
    pub direction: Direction,
    /// The register.
    pub reg: GicReg,
}

const fn row(name: &'static str, encoding: [u8; 5], direction: Direction, reg: GicReg) -> Row {
    Row { name, encoding, direction, reg }
}

use Direction::{ReadOnly as RO, ReadWrite as RW, WriteOnly as WO};
use GicReg as R;

/// All registers, whether an implementation has them or not.
pub static TABLE: &[Row] = &[
    row("ICC_PMR_EL1", [3, 0, 4, 6, 0], RW, R::ICC_PMR_EL1),
    row("ICC_IAR0_EL1", [3, 0, 12, 8, 0], RO, R::ICC_IAR0_EL1),
    row("ICC_EOIR0_EL1", [3, 0, 12, 8, 1], WO, R::ICC_EOIR0_EL1),
    row("ICC_HPPIR0_EL1", [3, 0, 12, 8, 2], RO, R::ICC_HPPIR0_EL1),
    row("ICC_BPR0_EL1", [3, 0, 12, 8, 3], RW, R::ICC_BPR0_EL1),
    row("ICC_AP0R0_EL1", [3, 0, 12, 8, 4], RW, R::ICC_AP0R_EL1(0)),
    row("ICC_AP0R1_EL1", [3, 0, 12, 8, 5], RW, R::ICC_AP0R_EL1(1)),
    row("ICC_AP0R2_EL1", [3, 0, 12, 8, 6], RW, R::ICC_AP0R_EL1(2)),
    row("ICC_AP0R3_EL1", [3, 0, 12, 8, 7], RW, R::ICC_AP0R_EL1(3)),
    row("ICC_AP1R0_EL1", [3, 0, 12, 9, 0], RW, R::ICC_AP1R_EL1(0)),
    row("ICC_AP1R1_EL1", [3, 0, 12, 9, 1], RW, R::ICC_AP1R_EL1(1)),
    row("ICC_AP1R2_EL1", [3, 0, 12, 9, 2], RW, R::ICC_AP1R_EL1(2)),
    row("ICC_AP1R3_EL1", [3, 0, 12, 9, 3], RW, R::ICC_AP1R_EL1(3)),
    row("ICC_DIR_EL1", [3, 0, 12, 11, 1], WO, R::ICC_DIR_EL1),
    row("ICC_RPR_EL1", [3, 0, 12, 11, 3], RO, R::ICC_RPR_EL1),
    row("ICC_SGI1R_EL1", [3, 0, 12, 11, 5], WO, R::ICC_SGI1R_EL1),
    row("ICC_ASGI1R_EL1", [3, 0, 12, 11, 6], WO, R::ICC_ASGI1R_EL1),
    row("ICC_SGI0R_EL1", [3, 0, 12, 11, 7], WO, R::ICC_SGI0R_EL1),
    row("ICC_IAR1_EL1", [3, 0, 12, 12, 0], RO, R::ICC_IAR1_EL1),
    row("ICC_EOIR1_EL1", [3, 0, 12, 12, 1], WO, R::ICC_EOIR1_EL1),
    row("ICC_HPPIR1_EL1", [3, 0, 12, 12, 2], RO, R::ICC_HPPIR1_EL1),
    row("ICC_BPR1_EL1", [3, 0, 12, 12, 3], RW, R::ICC_BPR1_EL1),
    row("ICC_CTLR_EL1", [3, 0, 12, 12, 4], RW, R::ICC_CTLR_EL1),
    row("ICC_SRE_EL1", [3, 0, 12, 12, 5], RW, R::ICC_SRE_EL1),
    row("ICC_IGRPEN0_EL1", [3, 0, 12, 12, 6], RW, R::ICC_IGRPEN0_EL1),
    row("ICC_IGRPEN1_EL1", [3, 0, 12, 12, 7], RW, R::ICC_IGRPEN1_EL1),
    row("ICH_AP0R0_EL2", [3, 4, 12, 8, 0], RW, R::ICH_AP0R_EL2(0)),
    row("ICH_AP0R1_EL2", [3, 4, 12, 8, 1], RW, R::ICH_AP0R_EL2(1)),
    row("ICH_AP0R2_EL2", [3, 4, 12, 8, 2], RW, R::ICH_AP0R_EL2(2)),
    row("ICH_AP0R3_EL2", [3, 4, 12, 8, 3], RW, R::ICH_AP0R_EL2(3)),
    row("ICH_AP1R0_EL2", [3, 4, 12, 9, 0], RW, R::ICH_AP1R_EL2(0)),
    row("ICH_AP1R1_EL2", [3, 4, 12, 9, 1], RW, R::ICH_AP1R_EL2(1)),
    row("ICH_AP1R2_EL2", [3, 4, 12, 9, 2], RW, R::ICH_AP1R_EL2(2)),
    row("ICH_AP1R3_EL2", [3, 4, 12, 9, 3], RW, R::ICH_AP1R_EL2(3)),
    row("ICC_SRE_EL2", [3, 4, 12, 9, 5], RW, R::ICC_SRE_EL2),
    row("ICH_HCR_EL2", [3, 4, 12, 11, 0], RW, R::ICH_HCR_EL2),
    row("ICH_VTR_EL2", [3, 4, 12, 11, 1], RO, R::ICH_VTR_EL2),
    row("ICH_MISR_EL2", [3, 4, 12, 11, 2], RO, R::ICH_MISR_EL2),
    row("ICH_EISR_EL2", [3, 4, 12, 11, 3], RO, R::ICH_EISR_EL2),
    row("ICH_ELRSR_EL2", [3, 4, 12, 11, 5], RO, R::ICH_ELRSR_EL2),
    row("ICH_VMCR_EL2", [3, 4, 12, 11, 7], RW, R::ICH_VMCR_EL2),
    row("ICH_LR0_EL2", [3, 4, 12, 12, 0], RW, R::ICH_LR_EL2(0)),
    row("ICH_LR1_EL2", [3, 4, 12, 12, 1], RW, R::ICH_LR_EL2(1)),
    row("ICH_LR2_EL2", [3, 4, 12, 12, 2], RW, R::ICH_LR_EL2(2)),
    row("ICH_LR3_EL2", [3, 4, 12, 12, 3], RW, R::ICH_LR_EL2(3)),
    row("ICH_LR4_EL2", [3, 4, 12, 12, 4], RW, R::ICH_LR_EL2(4)),
    row("ICH_LR5_EL2", [3, 4, 12, 12, 5], RW, R::ICH_LR_EL2(5)),
    row("ICH_LR6_EL2", [3, 4, 12, 12, 6], RW, R::ICH_LR_EL2(6)),
    row("ICH_LR7_EL2", [3, 4, 12, 12, 7], RW, R::ICH_LR_EL2(7)),
    row("ICH_LR8_EL2", [3, 4, 12, 13, 0], RW, R::ICH_LR_EL2(8)),
    row("ICH_LR9_EL2", [3, 4, 12, 13, 1], RW, R::ICH_LR_EL2(9)),
    row("ICH_LR10_EL2", [3, 4, 12, 13, 2], RW, R::ICH_LR_EL2(10)),
    row("ICH_LR11_EL2", [3, 4, 12, 13, 3], RW, R::ICH_LR_EL2(11)),
    row("ICH_LR12_EL2", [3, 4, 12, 13, 4], RW, R::ICH_LR_EL2(12)),
    row("ICH_LR13_EL2", [3, 4, 12, 13, 5], RW, R::ICH_LR_EL2(13)),
    row("ICH_LR14_EL2", [3, 4, 12, 13, 6], RW, R::ICH_LR_EL2(14)),
    row("ICH_LR15_EL2", [3, 4, 12, 13, 7], RW, R::ICH_LR_EL2(15)),
];

impl GicReg {
    /// The register with this encoding.
    #[must_use]
    pub fn from_encoding(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Option<Self> {
        let encoding = [op0, op1, crn, crm, op2];
        TABLE.iter().find(|r| r.encoding == encoding).map(|r| r.reg)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_agree() {
        for (i, r) in TABLE.iter().enumerate() {
            assert_eq!(
                GicReg::from_encoding(3, r.encoding[1], r.encoding[2], r.encoding[3], r.encoding[4]),
                Some(r.reg)
            );
            assert_eq!(r.reg.direction(), r.direction, "{}", r.name);
            assert!(TABLE[..i].iter().all(|q| q.reg != r.reg && q.name != r.name));
        }
        assert_eq!(GicReg::from_encoding(3, 4, 12, 13, 2), Some(R::ICH_LR_EL2(10)));
        assert_eq!(GicReg::from_encoding(3, 0, 12, 12, 0), Some(R::ICC_IAR1_EL1));
        assert_eq!(GicReg::from_encoding(3, 0, 12, 11, 0), None);
    }
}
