//! Storage of the system registers: one 64-bit slot per register, named as in the Arm ARM.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! slots {
    ($($id:ident)*) => {
        /// A stored system register. (ID registers are the model's: [`crate::model`]. Registers of the GIC CPU
        /// interface are [`crate::gic`]'s.)
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[allow(non_camel_case_types, missing_docs, reason = "the names are the architecture's")]
        pub enum Reg { $($id,)* }

        impl Reg {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
            /// The architecture's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => stringify!($id),)* }
            }
        }
    };
}

slots! {
    // Stack pointers, but for the one in use, and exception state.
    SP_EL0 SP_EL1 SP_EL2
    ELR_EL1 ELR_EL2 SPSR_EL1 SPSR_EL2
    ESR_EL1 ESR_EL2 FAR_EL1 FAR_EL2 HPFAR_EL2
    VBAR_EL1 VBAR_EL2 DISR_EL1 VDISR_EL2 VSESR_EL2
    // Controls.
    SCTLR_EL1 SCTLR_EL2 CPACR_EL1 CPTR_EL2 HCR_EL2 HCRX_EL2 MDCR_EL2
    HFGRTR_EL2 HFGWTR_EL2 HFGITR_EL2 HDFGRTR_EL2 HDFGWTR_EL2
    // Translation.
    TTBR0_EL1 TTBR1_EL1 TTBR0_EL2 TTBR1_EL2 TCR_EL1 TCR_EL2 MAIR_EL1 MAIR_EL2
    CONTEXTIDR_EL1 CONTEXTIDR_EL2 VTTBR_EL2 VTCR_EL2 PAR_EL1
    // Identification and thread registers.
    VPIDR_EL2 VMPIDR_EL2 CSSELR_EL1 TPIDR_EL0 TPIDRRO_EL0 TPIDR_EL1 TPIDR_EL2
    SCXTNUM_EL0 SCXTNUM_EL1 SCXTNUM_EL2
    // AArch32 at EL1, where a part has it.
    DACR32_EL2 IFSR32_EL2 FPEXC32_EL2 DBGVCR32_EL2
    // Timers.
    CNTFRQ_EL0 CNTKCTL_EL1 CNTHCTL_EL2 CNTVOFF_EL2 CNTPOFF_EL2
    CNTP_CTL_EL0 CNTP_CVAL_EL0 CNTV_CTL_EL0 CNTV_CVAL_EL0
    CNTHP_CTL_EL2 CNTHP_CVAL_EL2 CNTHV_CTL_EL2 CNTHV_CVAL_EL2
    // Keys of pointer authentication.
    APIAKeyLo_EL1 APIAKeyHi_EL1 APIBKeyLo_EL1 APIBKeyHi_EL1 APDAKeyLo_EL1 APDAKeyHi_EL1 APDBKeyLo_EL1 APDBKeyHi_EL1
    APGAKeyLo_EL1 APGAKeyHi_EL1
    // Performance monitors.
    PMCR_EL0 PMCNTENSET_EL0 PMOVSSET_EL0 PMINTENSET_EL1 PMSELR_EL0 PMUSERENR_EL0 PMCCNTR_EL0 PMCCFILTR_EL0
    PMEVCNTR0_EL0 PMEVCNTR1_EL0 PMEVCNTR2_EL0 PMEVCNTR3_EL0 PMEVCNTR4_EL0 PMEVCNTR5_EL0
    PMEVTYPER0_EL0 PMEVTYPER1_EL0 PMEVTYPER2_EL0 PMEVTYPER3_EL0 PMEVTYPER4_EL0 PMEVTYPER5_EL0
    // Debug.
    MDSCR_EL1 MDCCINT_EL1 OSDTRRX_EL1 OSDTRTX_EL1 OSDLR_EL1 OSLAR_EL1 DBGPRCR_EL1 DBGCLAIM_EL1
    DBGBVR0_EL1 DBGBVR1_EL1 DBGBVR2_EL1 DBGBVR3_EL1 DBGBVR4_EL1 DBGBVR5_EL1
    DBGBCR0_EL1 DBGBCR1_EL1 DBGBCR2_EL1 DBGBCR3_EL1 DBGBCR4_EL1 DBGBCR5_EL1
    DBGWVR0_EL1 DBGWVR1_EL1 DBGWVR2_EL1 DBGWVR3_EL1
    DBGWCR0_EL1 DBGWCR1_EL1 DBGWCR2_EL1 DBGWCR3_EL1
}

impl Reg {
    /// The register `n` places after this one: for banks of registers.
    #[must_use]
    pub const fn plus(self, n: usize) -> Self {
        let i = self as usize + n;
        if i < Self::ALL.len() { Self::ALL[i] } else { self }
    }
}

/// The values of all stored registers: one word each, in the order of [`Reg`]: host code reads them.
#[derive(Clone, PartialEq, Debug)]
#[repr(transparent)]
pub struct SysState([u64; Reg::ALL.len()]);

impl Default for SysState {
    fn default() -> Self {
        Self([0; Reg::ALL.len()])
    }
}

impl Index<Reg> for SysState {
    type Output = u64;
    #[inline]
    fn index(&self, r: Reg) -> &u64 {
        &self.0[r as usize]
    }
}

impl IndexMut<Reg> for SysState {
    #[inline]
    fn index_mut(&mut self, r: Reg) -> &mut u64 {
        &mut self.0[r as usize]
    }
}

/// Saved by name: the order of the table is no matter of a saved state.
impl Serialize for SysState {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(Reg::ALL.iter().map(|r| (r.name(), self[*r])))
    }
}

impl<'de> Deserialize<'de> for SysState {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let saved = BTreeMap::<String, u64>::deserialize(d)?;
        let mut state = Self::default();
        for (name, value) in saved {
            let Some(&reg) = Reg::ALL.iter().find(|r| r.name() == name) else {
                return Err(D::Error::custom(format!("there is no system register {name}")));
            };
            state[reg] = value;
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_by_name() {
        let mut s = SysState::default();
        s[Reg::HCR_EL2] = 0x8000_0000;
        s[Reg::DBGWCR3_EL1] = u64::MAX;
        let v = serde_json::to_value(&s).unwrap();
        assert_eq!(v["HCR_EL2"], 0x8000_0000u64);
        assert_eq!(serde_json::from_value::<SysState>(v).unwrap(), s);
    }

    #[test]
    fn banks_are_in_order() {
        assert_eq!(Reg::DBGBVR0_EL1.plus(5), Reg::DBGBVR5_EL1);
        assert_eq!(Reg::DBGWCR0_EL1.plus(3), Reg::DBGWCR3_EL1);
    }
}
