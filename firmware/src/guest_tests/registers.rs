//! System registers and system instructions by their encoding (Arm ARM, C5.3 to C5.5 and D24; GIC: IHI 0069, 12).
//!
//! The encodings are written down here again, apart from the emulator's table: a wrong row there does not agree with them.

/// An encoding in the space of MSR, MRS and SYS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SysReg(u32);

impl SysReg {
    /// op0, op1, CRn, CRm, op2.
    #[must_use]
    pub const fn new(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Self {
        Self(op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5)
    }
    /// The bits of the instruction.
    #[must_use]
    pub const fn field(self) -> u32 {
        self.0
    }
    /// ISS of a trapped access by MSR, MRS or SYS (Arm ARM, ESR_ELx, EC 0x18): op0 21:20, op2 19:17, op1 16:14,
    /// CRn 13:10, Rt 9:5, CRm 4:1, direction 0 (1: read).
    #[must_use]
    pub fn iss(self, rt: u32, read: bool) -> u64 {
        let f = |shift: u32, mask: u32| self.0 >> shift & mask;
        let iss = f(19, 3) << 20 | f(5, 7) << 17 | f(16, 7) << 14 | f(12, 15) << 10 | rt << 5 | f(8, 15) << 1;
        u64::from(iss) | u64::from(read)
    }
}

macro_rules! encodings {
    ($($name:ident = $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {
        $(#[doc = stringify!($name)]
        pub const $name: SysReg = SysReg::new($op0, $op1, $crn, $crm, $op2);)*
    };
}

// Registers.
encodings! {
    AIDR_EL1 = 3 1 0 0 7;
    REVIDR_EL1 = 3 0 0 0 6;
    CCSIDR_EL1 = 3 1 0 0 0;
    CLIDR_EL1 = 3 1 0 0 1;
    CSSELR_EL1 = 3 2 0 0 0;
    MVFR0_EL1 = 3 0 0 3 0;
    ID_AA64DFR0_EL1 = 3 0 0 5 0;
    ID_AA64ISAR1_EL1 = 3 0 0 6 1;
    MDRAR_EL1 = 2 0 1 0 0;
    OSDLR_EL1 = 2 0 1 3 4;
    DBGPRCR_EL1 = 2 0 1 4 4;
    DBGBVR0_EL1 = 2 0 0 0 4;
    AMAIR_EL1 = 3 0 10 3 0;
    AFSR1_EL1 = 3 0 5 1 1;
    SCTLR_EL1 = 3 0 1 0 0;
    ACTLR_EL1 = 3 0 1 0 1;
    CPACR_EL1 = 3 0 1 0 2;
    TTBR0_EL1 = 3 0 2 0 0;
    TTBR1_EL1 = 3 0 2 0 1;
    TCR_EL1 = 3 0 2 0 2;
    SPSR_EL1 = 3 0 4 0 0;
    ELR_EL1 = 3 0 4 0 1;
    SP_EL0 = 3 0 4 1 0;
    SPSEL = 3 0 4 2 0;
    CURRENT_EL = 3 0 4 2 2;
    PAN = 3 0 4 2 3;
    UAO = 3 0 4 2 4;
    AFSR0_EL1 = 3 0 5 1 0;
    ESR_EL1 = 3 0 5 2 0;
    FAR_EL1 = 3 0 6 0 0;
    PAR_EL1 = 3 0 7 4 0;
    MAIR_EL1 = 3 0 10 2 0;
    VBAR_EL1 = 3 0 12 0 0;
    ISR_EL1 = 3 0 12 1 0;
    CONTEXTIDR_EL1 = 3 0 13 0 1;
    TPIDR_EL1 = 3 0 13 0 4;
    CNTKCTL_EL1 = 3 0 14 1 0;
    PMCR_EL0 = 3 3 9 12 0;
    PMCNTENSET_EL0 = 3 3 9 12 1;
    PMCNTENCLR_EL0 = 3 3 9 12 2;
    PMOVSCLR_EL0 = 3 3 9 12 3;
    PMCCNTR_EL0 = 3 3 9 13 0;
    PMOVSSET_EL0 = 3 3 9 14 3;
    PMINTENSET_EL1 = 3 0 9 14 1;
    PMINTENCLR_EL1 = 3 0 9 14 2;
    PMEVCNTR0_EL0 = 3 3 14 8 0;
    PMEVTYPER0_EL0 = 3 3 14 12 0;
    PMCCFILTR_EL0 = 3 3 14 15 7;
    MIDR_EL1 = 3 0 0 0 0;
    MPIDR_EL1 = 3 0 0 0 5;
    ID_AA64PFR0_EL1 = 3 0 0 4 0;
    ID_AA64ISAR0_EL1 = 3 0 0 6 0;
    ID_AA64MMFR0_EL1 = 3 0 0 7 0;
    ID_AA64MMFR1_EL1 = 3 0 0 7 1;
    MDSCR_EL1 = 2 0 0 2 2;
    OSLAR_EL1 = 2 0 1 0 4;
    OSLSR_EL1 = 2 0 1 1 4;
    DAIF = 3 3 4 2 1;
    NZCV = 3 3 4 2 0;
    FPCR = 3 3 4 4 0;
    FPSR = 3 3 4 4 1;
    CTR_EL0 = 3 3 0 0 1;
    DCZID_EL0 = 3 3 0 0 7;
    TPIDR_EL0 = 3 3 13 0 2;
    TPIDRRO_EL0 = 3 3 13 0 3;
    CNTFRQ_EL0 = 3 3 14 0 0;
    CNTPCT_EL0 = 3 3 14 0 1;
    CNTVCT_EL0 = 3 3 14 0 2;
    CNTP_TVAL_EL0 = 3 3 14 2 0;
    CNTP_CTL_EL0 = 3 3 14 2 1;
    CNTP_CVAL_EL0 = 3 3 14 2 2;
    CNTV_TVAL_EL0 = 3 3 14 3 0;
    CNTV_CTL_EL0 = 3 3 14 3 1;
    CNTV_CVAL_EL0 = 3 3 14 3 2;
    VPIDR_EL2 = 3 4 0 0 0;
    VMPIDR_EL2 = 3 4 0 0 5;
    SCTLR_EL2 = 3 4 1 0 0;
    HCR_EL2 = 3 4 1 1 0;
    MDCR_EL2 = 3 4 1 1 1;
    CPTR_EL2 = 3 4 1 1 2;
    HSTR_EL2 = 3 4 1 1 3;
    TTBR0_EL2 = 3 4 2 0 0;
    TTBR1_EL2 = 3 4 2 0 1;
    TCR_EL2 = 3 4 2 0 2;
    VTTBR_EL2 = 3 4 2 1 0;
    VTCR_EL2 = 3 4 2 1 2;
    SPSR_EL2 = 3 4 4 0 0;
    ELR_EL2 = 3 4 4 0 1;
    SP_EL1 = 3 4 4 1 0;
    ESR_EL2 = 3 4 5 2 0;
    VSESR_EL2 = 3 4 5 2 3;
    FAR_EL2 = 3 4 6 0 0;
    HPFAR_EL2 = 3 4 6 0 4;
    MAIR_EL2 = 3 4 10 2 0;
    VBAR_EL2 = 3 4 12 0 0;
    TPIDR_EL2 = 3 4 13 0 2;
    CNTVOFF_EL2 = 3 4 14 0 3;
    CNTHCTL_EL2 = 3 4 14 1 0;
    CNTHP_TVAL_EL2 = 3 4 14 2 0;
    CNTHP_CTL_EL2 = 3 4 14 2 1;
    CNTHP_CVAL_EL2 = 3 4 14 2 2;
    CNTHV_TVAL_EL2 = 3 4 14 3 0;
    CNTHV_CTL_EL2 = 3 4 14 3 1;
    CNTHV_CVAL_EL2 = 3 4 14 3 2;
    SCTLR_EL12 = 3 5 1 0 0;
    CPACR_EL12 = 3 5 1 0 2;
    TTBR0_EL12 = 3 5 2 0 0;
    SPSR_EL12 = 3 5 4 0 0;
    ELR_EL12 = 3 5 4 0 1;
    ESR_EL12 = 3 5 5 2 0;
    FAR_EL12 = 3 5 6 0 0;
    VBAR_EL12 = 3 5 12 0 0;
    CNTKCTL_EL12 = 3 5 14 1 0;
    CNTP_CTL_EL02 = 3 5 14 2 1;
    CNTP_CVAL_EL02 = 3 5 14 2 2;
    CNTV_CTL_EL02 = 3 5 14 3 1;
    CNTV_CVAL_EL02 = 3 5 14 3 2;
    ICC_PMR_EL1 = 3 0 4 6 0;
    ICC_IAR0_EL1 = 3 0 12 8 0;
    ICC_EOIR0_EL1 = 3 0 12 8 1;
    ICC_HPPIR0_EL1 = 3 0 12 8 2;
    ICC_BPR0_EL1 = 3 0 12 8 3;
    ICC_AP0R0_EL1 = 3 0 12 8 4;
    ICC_AP1R0_EL1 = 3 0 12 9 0;
    ICC_DIR_EL1 = 3 0 12 11 1;
    ICC_RPR_EL1 = 3 0 12 11 3;
    ICC_SGI1R_EL1 = 3 0 12 11 5;
    ICC_SGI0R_EL1 = 3 0 12 11 7;
    ICC_IAR1_EL1 = 3 0 12 12 0;
    ICC_EOIR1_EL1 = 3 0 12 12 1;
    ICC_HPPIR1_EL1 = 3 0 12 12 2;
    ICC_BPR1_EL1 = 3 0 12 12 3;
    ICC_CTLR_EL1 = 3 0 12 12 4;
    ICC_SRE_EL1 = 3 0 12 12 5;
    ICC_IGRPEN0_EL1 = 3 0 12 12 6;
    ICC_IGRPEN1_EL1 = 3 0 12 12 7;
    ICC_SRE_EL2 = 3 4 12 9 5;
    ICH_AP1R0_EL2 = 3 4 12 9 0;
    ICH_HCR_EL2 = 3 4 12 11 0;
    ICH_VTR_EL2 = 3 4 12 11 1;
    ICH_MISR_EL2 = 3 4 12 11 2;
    ICH_EISR_EL2 = 3 4 12 11 3;
    ICH_ELRSR_EL2 = 3 4 12 11 5;
    ICH_VMCR_EL2 = 3 4 12 11 7;
    ICH_LR0_EL2 = 3 4 12 12 0;
    ICH_LR1_EL2 = 3 4 12 12 1;
    ICH_LR2_EL2 = 3 4 12 12 2;
    ICH_LR3_EL2 = 3 4 12 12 3;
}
// Instructions.
encodings! {
    IC_IALLU = 1 0 7 5 0;
    IC_IALLUIS = 1 0 7 1 0;
    IC_IVAU = 1 3 7 5 1;
    DC_CVAU = 1 3 7 11 1;
    DC_CIVAC = 1 3 7 14 1;
    DC_ZVA = 1 3 7 4 1;
    DC_ISW = 1 0 7 6 2;
    DC_CISW = 1 0 7 14 2;
    DC_IVAC = 1 0 7 6 1;
    AT_S1E1R = 1 0 7 8 0;
    AT_S1E1W = 1 0 7 8 1;
    AT_S1E0R = 1 0 7 8 2;
    AT_S1E0W = 1 0 7 8 3;
    AT_S1E2R = 1 4 7 8 0;
    AT_S1E2W = 1 4 7 8 1;
    AT_S1E1RP = 1 0 7 9 0;
    AT_S1E1WP = 1 0 7 9 1;
    AT_S12E1R = 1 4 7 8 4;
    AT_S12E1W = 1 4 7 8 5;
    AT_S12E0R = 1 4 7 8 6;
    TLBI_VMALLE1 = 1 0 8 7 0;
    TLBI_VAE1 = 1 0 8 7 1;
    TLBI_ASIDE1 = 1 0 8 7 2;
    TLBI_VAAE1 = 1 0 8 7 3;
    TLBI_VMALLE1IS = 1 0 8 3 0;
    TLBI_ASIDE1IS = 1 0 8 3 2;
    TLBI_VAAE1IS = 1 0 8 3 3;
    TLBI_VALE1 = 1 0 8 7 5;
    TLBI_VAE1IS = 1 0 8 3 1;
    TLBI_IPAS2E1 = 1 4 8 4 1;
    TLBI_IPAS2E1IS = 1 4 8 0 1;
    TLBI_ALLE2IS = 1 4 8 3 0;
    TLBI_VAE2IS = 1 4 8 3 1;
    TLBI_ALLE2 = 1 4 8 7 0;
    TLBI_VAE2 = 1 4 8 7 1;
    TLBI_ALLE1 = 1 4 8 7 4;
    TLBI_VMALLS12E1 = 1 4 8 7 6;
    TLBI_VMALLS12E1IS = 1 4 8 3 6;
    TLBI_ALLE1IS = 1 4 8 3 4;
}
