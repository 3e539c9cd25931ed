//! Fine-grained traps, FEAT_FGT (Arm ARM, D1.3.3.4 and HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2, HDFGRTR_EL2, HDFGWTR_EL2):
//! which bit traps which register or instruction.
//!
//! A bit exists in a register if there is something for it to trap: the writable bits of the trap registers follow from
//! this table, the permissions of the rows that it names, and the features of the CPU. All bits here trap when set.
//! (HAFGRTR_EL2 comes with FEAT_AMUv1, which no model has.)

use emu_a64::features::Feat;
use emu_a64::ir::SysEnc;

use super::row::{Perm, Row};
use super::state::Reg;
use crate::cpu::Cpu;
use crate::exception::{Exception, ec};
use crate::sysreg::{hcr, hcrx};

/// Which trap registers a bit is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// HFGRTR_EL2 for reads, HFGWTR_EL2 for writes.
    Registers,
    /// HDFGRTR_EL2 for reads, HDFGWTR_EL2 for writes.
    Debug,
    /// HDFGWTR_EL2 only.
    DebugWrites,
    /// HFGITR_EL2.
    Instructions,
}

/// The bit that traps a register or instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fine {
    /// Where it is.
    pub group: Group,
    /// Its number.
    pub bit: u8,
}

impl Fine {
    /// The trap register that has the bit for reads, or for writes and executions.
    pub(super) const fn register(self, read: bool) -> Option<Reg> {
        match (self.group, read) {
            (Group::Registers, true) => Some(Reg::HFGRTR_EL2),
            (Group::Registers, false) => Some(Reg::HFGWTR_EL2),
            (Group::Debug, true) => Some(Reg::HDFGRTR_EL2),
            (Group::Debug | Group::DebugWrites, false) => Some(Reg::HDFGWTR_EL2),
            (Group::DebugWrites, true) => None,
            (Group::Instructions, _) => Some(Reg::HFGITR_EL2),
        }
    }

    /// An access from the current Exception level traps.
    pub(super) fn traps(self, cpu: &Cpu, enc: SysEnc, read: bool) -> bool {
        let exempt = is_nxs(enc) && cpu.sys[Reg::HCRX_EL2] & hcrx::FGTNXS != 0;
        active(cpu) && !exempt && self.register(read).is_some_and(|reg| cpu.sys[reg] >> self.bit & 1 != 0)
    }
}

/// A TLBI nXS, which HCRX_EL2.FGTnXS exempts.
fn is_nxs(enc: SysEnc) -> bool {
    matches!(enc.parts(), (1, _, 9, _, _))
}

/// Fine-grained traps are made here: below EL2, but for the EL0 of a host.
pub(super) fn active(cpu: &Cpu) -> bool {
    let host = cpu.hcr() & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE;
    cpu.el2 && cpu.features.has(Feat::Fgt) && (cpu.pstate.el == 1 || cpu.pstate.el == 0 && !host)
}

/// HFGITR_EL2 bits that trap instructions outside the table of registers.
const SVC_EL0: u64 = 1 << 52;
const SVC_EL1: u64 = 1 << 53;
const ERET: u64 = 1 << 51;

/// The table: group, bit, what it traps.
const BITS: &[(Group, u8, &[&str])] = &[
    (Group::Registers, 0, &["AFSR0_EL1"]),
    (Group::Registers, 1, &["AFSR1_EL1"]),
    (Group::Registers, 2, &["AIDR_EL1"]),
    (Group::Registers, 3, &["AMAIR_EL1"]),
    (Group::Registers, 4, &["APDAKeyLo_EL1", "APDAKeyHi_EL1"]),
    (Group::Registers, 5, &["APDBKeyLo_EL1", "APDBKeyHi_EL1"]),
    (Group::Registers, 6, &["APGAKeyLo_EL1", "APGAKeyHi_EL1"]),
    (Group::Registers, 7, &["APIAKeyLo_EL1", "APIAKeyHi_EL1"]),
    (Group::Registers, 8, &["APIBKeyLo_EL1", "APIBKeyHi_EL1"]),
    (Group::Registers, 9, &["CCSIDR_EL1"]),
    (Group::Registers, 10, &["CLIDR_EL1"]),
    (Group::Registers, 11, &["CONTEXTIDR_EL1"]),
    (Group::Registers, 12, &["CPACR_EL1"]),
    (Group::Registers, 13, &["CSSELR_EL1"]),
    (Group::Registers, 14, &["CTR_EL0"]),
    (Group::Registers, 15, &["DCZID_EL0"]),
    (Group::Registers, 16, &["ESR_EL1"]),
    (Group::Registers, 17, &["FAR_EL1"]),
    (Group::Registers, 18, &["ISR_EL1"]),
    (Group::Registers, 19, &["LORC_EL1"]),
    (Group::Registers, 20, &["LOREA_EL1"]),
    (Group::Registers, 21, &["LORID_EL1"]),
    (Group::Registers, 22, &["LORN_EL1"]),
    (Group::Registers, 23, &["LORSA_EL1"]),
    (Group::Registers, 24, &["MAIR_EL1"]),
    (Group::Registers, 25, &["MIDR_EL1"]),
    (Group::Registers, 26, &["MPIDR_EL1"]),
    (Group::Registers, 27, &["PAR_EL1"]),
    (Group::Registers, 28, &["REVIDR_EL1"]),
    (Group::Registers, 29, &["SCTLR_EL1"]),
    (Group::Registers, 30, &["SCXTNUM_EL1"]),
    (Group::Registers, 31, &["SCXTNUM_EL0"]),
    (Group::Registers, 32, &["TCR_EL1"]),
    (Group::Registers, 33, &["TPIDR_EL1"]),
    (Group::Registers, 34, &["TPIDRRO_EL0"]),
    (Group::Registers, 35, &["TPIDR_EL0"]),
    (Group::Registers, 36, &["TTBR0_EL1"]),
    (Group::Registers, 37, &["TTBR1_EL1"]),
    (Group::Registers, 38, &["VBAR_EL1"]),
    (Group::Registers, 39, &["ICC_IGRPEN0_EL1", "ICC_IGRPEN1_EL1"]),
    (Group::Registers, 40, &["ERRIDR_EL1"]),
    (Group::Registers, 41, &["ERRSELR_EL1"]),
    (Group::Registers, 42, &["ERXFR_EL1"]),
    (Group::Registers, 43, &["ERXCTLR_EL1"]),
    (Group::Registers, 44, &["ERXSTATUS_EL1"]),
    (Group::Registers, 45, &["ERXMISC0_EL1", "ERXMISC1_EL1"]),
    (Group::Registers, 49, &["ERXADDR_EL1"]),
    (
        Group::Debug,
        0,
        &["DBGBCR0_EL1", "DBGBCR1_EL1", "DBGBCR2_EL1", "DBGBCR3_EL1", "DBGBCR4_EL1", "DBGBCR5_EL1"],
    ),
    (
        Group::Debug,
        1,
        &["DBGBVR0_EL1", "DBGBVR1_EL1", "DBGBVR2_EL1", "DBGBVR3_EL1", "DBGBVR4_EL1", "DBGBVR5_EL1"],
    ),
    (Group::Debug, 2, &["DBGWCR0_EL1", "DBGWCR1_EL1", "DBGWCR2_EL1", "DBGWCR3_EL1"]),
    (Group::Debug, 3, &["DBGWVR0_EL1", "DBGWVR1_EL1", "DBGWVR2_EL1", "DBGWVR3_EL1"]),
    (Group::Debug, 4, &["MDSCR_EL1"]),
    (Group::Debug, 5, &["DBGCLAIMSET_EL1", "DBGCLAIMCLR_EL1"]),
    (Group::Debug, 6, &["DBGAUTHSTATUS_EL1"]),
    (Group::Debug, 7, &["DBGPRCR_EL1"]),
    (Group::Debug, 8, &["OSLAR_EL1"]),
    (Group::Debug, 9, &["OSLSR_EL1"]),
    (Group::Debug, 10, &["OSECCR_EL1"]),
    (Group::Debug, 11, &["OSDLR_EL1"]),
    (
        Group::Debug,
        12,
        &[
            "PMEVCNTR0_EL0",
            "PMEVCNTR1_EL0",
            "PMEVCNTR2_EL0",
            "PMEVCNTR3_EL0",
            "PMEVCNTR4_EL0",
            "PMEVCNTR5_EL0",
            "PMXEVCNTR_EL0",
        ],
    ),
    (
        Group::Debug,
        13,
        &[
            "PMEVTYPER0_EL0",
            "PMEVTYPER1_EL0",
            "PMEVTYPER2_EL0",
            "PMEVTYPER3_EL0",
            "PMEVTYPER4_EL0",
            "PMEVTYPER5_EL0",
            "PMXEVTYPER_EL0",
        ],
    ),
    (Group::Debug, 14, &["PMCCFILTR_EL0"]),
    (Group::Debug, 15, &["PMCCNTR_EL0"]),
    (Group::Debug, 16, &["PMCNTENSET_EL0", "PMCNTENCLR_EL0"]),
    (Group::Debug, 17, &["PMINTENSET_EL1", "PMINTENCLR_EL1"]),
    (Group::Debug, 18, &["PMOVSSET_EL0", "PMOVSCLR_EL0"]),
    (Group::Debug, 19, &["PMSELR_EL0"]),
    (Group::Debug, 20, &["PMSWINC_EL0"]),
    (Group::DebugWrites, 21, &["PMCR_EL0"]),
    (Group::Debug, 22, &["PMMIR_EL1"]),
    (Group::Debug, 57, &["PMUSERENR_EL0"]),
    (Group::Debug, 58, &["PMCEID0_EL0", "PMCEID1_EL0"]),
    (Group::Instructions, 0, &["IC IALLUIS"]),
    (Group::Instructions, 1, &["IC IALLU"]),
    (Group::Instructions, 2, &["IC IVAU"]),
    (Group::Instructions, 3, &["DC IVAC"]),
    (Group::Instructions, 4, &["DC ISW"]),
    (Group::Instructions, 5, &["DC CSW"]),
    (Group::Instructions, 6, &["DC CISW"]),
    (Group::Instructions, 7, &["DC CVAU"]),
    (Group::Instructions, 8, &["DC CVAP"]),
    (Group::Instructions, 9, &["DC CVADP"]),
    (Group::Instructions, 10, &["DC CIVAC"]),
    (Group::Instructions, 11, &["DC ZVA"]),
    (Group::Instructions, 12, &["AT S1E1R"]),
    (Group::Instructions, 13, &["AT S1E1W"]),
    (Group::Instructions, 14, &["AT S1E0R"]),
    (Group::Instructions, 15, &["AT S1E0W"]),
    (Group::Instructions, 16, &["AT S1E1RP"]),
    (Group::Instructions, 17, &["AT S1E1WP"]),
    (Group::Instructions, 18, &["TLBI VMALLE1OS"]),
    (Group::Instructions, 19, &["TLBI VAE1OS"]),
    (Group::Instructions, 20, &["TLBI ASIDE1OS"]),
    (Group::Instructions, 21, &["TLBI VAAE1OS"]),
    (Group::Instructions, 22, &["TLBI VALE1OS"]),
    (Group::Instructions, 23, &["TLBI VAALE1OS"]),
    (Group::Instructions, 24, &["TLBI RVAE1OS"]),
    (Group::Instructions, 25, &["TLBI RVAAE1OS"]),
    (Group::Instructions, 26, &["TLBI RVALE1OS"]),
    (Group::Instructions, 27, &["TLBI RVAALE1OS"]),
    (Group::Instructions, 28, &["TLBI VMALLE1IS"]),
    (Group::Instructions, 29, &["TLBI VAE1IS"]),
    (Group::Instructions, 30, &["TLBI ASIDE1IS"]),
    (Group::Instructions, 31, &["TLBI VAAE1IS"]),
    (Group::Instructions, 32, &["TLBI VALE1IS"]),
    (Group::Instructions, 33, &["TLBI VAALE1IS"]),
    (Group::Instructions, 34, &["TLBI RVAE1IS"]),
    (Group::Instructions, 35, &["TLBI RVAAE1IS"]),
    (Group::Instructions, 36, &["TLBI RVALE1IS"]),
    (Group::Instructions, 37, &["TLBI RVAALE1IS"]),
    (Group::Instructions, 38, &["TLBI RVAE1"]),
    (Group::Instructions, 39, &["TLBI RVAAE1"]),
    (Group::Instructions, 40, &["TLBI RVALE1"]),
    (Group::Instructions, 41, &["TLBI RVAALE1"]),
    (Group::Instructions, 42, &["TLBI VMALLE1"]),
    (Group::Instructions, 43, &["TLBI VAE1"]),
    (Group::Instructions, 44, &["TLBI ASIDE1"]),
    (Group::Instructions, 45, &["TLBI VAAE1"]),
    (Group::Instructions, 46, &["TLBI VALE1"]),
    (Group::Instructions, 47, &["TLBI VAALE1"]),
    (Group::Instructions, 48, &["CFP RCTX"]),
    (Group::Instructions, 49, &["DVP RCTX"]),
    (Group::Instructions, 50, &["CPP RCTX"]),
    (Group::Instructions, 54, &["DC CVAC"]),
    (Group::Instructions, 60, &["COSP RCTX"]),
];

/// The bit for the row of this name.
pub(super) fn of(name: &str) -> Option<Fine> {
    let (group, bit, _) = BITS.iter().find(|(_, _, names)| names.contains(&name))?;
    Some(Fine { group: *group, bit: *bit })
}

/// The trap registers.
pub(super) const TRAP_REGISTERS: [Reg; 5] =
    [Reg::HFGRTR_EL2, Reg::HFGWTR_EL2, Reg::HFGITR_EL2, Reg::HDFGRTR_EL2, Reg::HDFGWTR_EL2];

/// The bits of a trap register that there is something for among `rows`, with the features that it comes with.
pub(super) fn bits_of(register: Reg, rows: &[Row]) -> Vec<(Feat, u64)> {
    let mut bits = Vec::new();
    if register == Reg::HFGITR_EL2 {
        bits.push((Feat::Base, SVC_EL0 | SVC_EL1 | ERET));
    }
    for row in rows {
        let Some(fine) = row.fine else { continue };
        let here = |read: bool| {
            let reachable = row.perm[..2].iter().any(|p: &Perm| p.allows(read));
            reachable && fine.register(read) == Some(register)
        };
        if here(true) || here(false) {
            match bits.iter_mut().find(|(feat, _)| *feat == row.feat) {
                Some((_, mask)) => *mask |= 1 << fine.bit,
                None => bits.push((row.feat, 1 << fine.bit)),
            }
        }
    }
    bits
}

impl Cpu {
    /// HFGITR_EL2.SVC_EL0 and SVC_EL1: an SVC is taken to EL2, to be executed again.
    pub(crate) fn svc_is_trapped(&self) -> bool {
        let bit = if self.pstate.el == 0 { SVC_EL0 } else { SVC_EL1 };
        active(self) && self.sys[Reg::HFGITR_EL2] & bit != 0
    }

    /// HFGITR_EL2.ERET, at EL1; `key_b` says which key ERETAA and ERETAB use.
    pub(crate) fn check_eret(&self, key_b: Option<bool>) -> Result<(), Exception> {
        if active(self) && self.sys[Reg::HFGITR_EL2] & ERET != 0 {
            // ISS: ERET 1, ERETA 0.
            let iss = key_b.map_or(0, |b| 2 | u32::from(b));
            return Err(Exception::Trap { target: 2, ec: ec::ERET, iss });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    #[test]
    fn the_table_names_rows_once() {
        let mut seen = Vec::new();
        for (group, bit, names) in BITS {
            for name in *names {
                assert!(rows().iter().any(|r| r.name == *name), "{name}");
                assert!(!seen.contains(name), "{name}");
                seen.push(name);
            }
            assert_eq!(BITS.iter().filter(|(g, b, _)| g == group && b == bit).count(), 1);
        }
    }
}
