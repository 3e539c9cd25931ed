//! System registers by the name that the Arm ARM (DDI 0487, chapter D24) gives them. An assembler for user programs
//! knows only their numbers.

/// `op0:op1:CRn:CRm:op2` as MRS and MSR (register) have it in their bits 19:5; op0 is 2 or 3, and only its low bit is
/// encoded.
const fn encoding(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

macro_rules! registers {
    ($($name:ident = $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal,)*) => {
        $(pub(super) const $name: u32 = encoding($op0, $op1, $crn, $crm, $op2);)*

        /// The name of a register.
        pub(super) fn name(register: u32) -> &'static str {
            match register {
                $($name => stringify!($name),)*
                _ => "?",
            }
        }
    };
}

registers! {
    // Identification.
    MIDR_EL1 = 3 0 0 0 0,
    MPIDR_EL1 = 3 0 0 0 5,
    ID_AA64MMFR0_EL1 = 3 0 0 7 0,
    ID_AA64MMFR1_EL1 = 3 0 0 7 1,
    CURRENT_EL = 3 0 4 2 2,
    // EL1: a guest's own.
    SCTLR_EL1 = 3 0 1 0 0,
    CPACR_EL1 = 3 0 1 0 2,
    TTBR0_EL1 = 3 0 2 0 0,
    TTBR1_EL1 = 3 0 2 0 1,
    TCR_EL1 = 3 0 2 0 2,
    SPSR_EL1 = 3 0 4 0 0,
    ELR_EL1 = 3 0 4 0 1,
    ESR_EL1 = 3 0 5 2 0,
    FAR_EL1 = 3 0 6 0 0,
    PAR_EL1 = 3 0 7 4 0,
    MAIR_EL1 = 3 0 10 2 0,
    VBAR_EL1 = 3 0 12 0 0,
    TPIDR_EL1 = 3 0 13 0 4,
    SP_EL1 = 3 4 4 1 0,
    // EL2: the hypervisor's.
    VPIDR_EL2 = 3 4 0 0 0,
    VMPIDR_EL2 = 3 4 0 0 5,
    SCTLR_EL2 = 3 4 1 0 0,
    HCR_EL2 = 3 4 1 1 0,
    MDCR_EL2 = 3 4 1 1 1,
    CPTR_EL2 = 3 4 1 1 2,
    HSTR_EL2 = 3 4 1 1 3,
    TTBR0_EL2 = 3 4 2 0 0,
    TCR_EL2 = 3 4 2 0 2,
    VTTBR_EL2 = 3 4 2 1 0,
    VTCR_EL2 = 3 4 2 1 2,
    SPSR_EL2 = 3 4 4 0 0,
    ELR_EL2 = 3 4 4 0 1,
    ESR_EL2 = 3 4 5 2 0,
    FAR_EL2 = 3 4 6 0 0,
    HPFAR_EL2 = 3 4 6 0 4,
    MAIR_EL2 = 3 4 10 2 0,
    VBAR_EL2 = 3 4 12 0 0,
    TPIDR_EL2 = 3 4 13 0 2,
    // Timers.
    CNTFRQ_EL0 = 3 3 14 0 0,
    CNTPCT_EL0 = 3 3 14 0 1,
    CNTV_TVAL_EL0 = 3 3 14 3 0,
    CNTV_CTL_EL0 = 3 3 14 3 1,
    CNTV_CVAL_EL0 = 3 3 14 3 2,
    CNTVOFF_EL2 = 3 4 14 0 3,
    CNTHCTL_EL2 = 3 4 14 1 0,
    CNTHP_TVAL_EL2 = 3 4 14 2 0,
    CNTHP_CTL_EL2 = 3 4 14 2 1,
    // The GIC's CPU interface (IHI 0069); at EL1 the same names reach the virtual one.
    ICC_PMR_EL1 = 3 0 4 6 0,
    ICC_DIR_EL1 = 3 0 12 11 1,
    ICC_IAR1_EL1 = 3 0 12 12 0,
    ICC_EOIR1_EL1 = 3 0 12 12 1,
    ICC_CTLR_EL1 = 3 0 12 12 4,
    ICC_SRE_EL1 = 3 0 12 12 5,
    ICC_IGRPEN1_EL1 = 3 0 12 12 7,
    ICC_SRE_EL2 = 3 4 12 9 5,
    // The GIC's hypervisor interface.
    ICH_AP1R0_EL2 = 3 4 12 9 0,
    ICH_HCR_EL2 = 3 4 12 11 0,
    ICH_VTR_EL2 = 3 4 12 11 1,
    ICH_ELRSR_EL2 = 3 4 12 11 5,
    ICH_VMCR_EL2 = 3 4 12 11 7,
    ICH_LR0_EL2 = 3 4 12 12 0,
    ICH_LR1_EL2 = 3 4 12 12 1,
    ICH_LR2_EL2 = 3 4 12 12 2,
    ICH_LR3_EL2 = 3 4 12 12 3,
}

/// The list registers that this hypervisor uses. Every GICv3 in the field has at least these four.
pub(super) const ICH_LR: [u32; 4] = [ICH_LR0_EL2, ICH_LR1_EL2, ICH_LR2_EL2, ICH_LR3_EL2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_those_of_the_architecture() {
        // MSR HCR_EL2, X0 is 0xd51c1100, and MRS X0, CNTVOFF_EL2 is 0xd53ce060.
        assert_eq!(0xd510_0000 | HCR_EL2 << 5, 0xd51c_1100);
        assert_eq!(0xd530_0000 | CNTVOFF_EL2 << 5, 0xd53c_e060);
        assert_eq!(name(VTTBR_EL2), "VTTBR_EL2");
    }
}
