//! Fine-grained traps, FEAT_FGT (Arm ARM, D1.3.3.4 and HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2, HDFGRTR_EL2, HDFGWTR_EL2):
//! the fields of the trap registers. The row of a register or instruction names the one that traps it.
//!
//! A field exists in a trap register if there is something for it to trap: the writable bits follow from the rows that name
//! it, their permissions, and the features of the CPU. All fields here trap when set.
//! (HAFGRTR_EL2 comes with FEAT_AMUv1, which no model has.)

use emu_a64::features::Feat;
use emu_a64::level::El;

use super::row::Row;
use super::state::Reg;
use crate::cpu::Cpu;
use crate::exception::{Exception, ec};
use crate::sysreg::hcrx;

/// Which trap registers a field is in.
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

/// The field that traps a register or instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fine {
    /// Where it is.
    pub group: Group,
    /// The number of its bit.
    pub bit: u8,
    /// HCRX_EL2.FGTnXS exempts what it is the trap of: the nXS form of a TLBI.
    pub is_nxs: bool,
}

impl Fine {
    const fn new(group: Group, bit: u8) -> Self {
        assert!(bit < 64, "a trap register has 64 bits");
        Self { group, bit, is_nxs: false }
    }

    /// The same field, as the trap of a TLBI's nXS form.
    pub(super) const fn nxs(self) -> Self {
        Self { is_nxs: true, ..self }
    }

    /// The field as a mask of its register.
    pub(super) const fn mask(self) -> u64 {
        1 << self.bit
    }

    /// The trap register that has the field for reads, or for writes and executions.
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
    pub(super) fn traps(self, cpu: &Cpu, read: bool) -> bool {
        let exempt = self.is_nxs && cpu.sys[Reg::HCRX_EL2] & hcrx::FGTNXS != 0;
        active(cpu) && !exempt && self.register(read).is_some_and(|reg| cpu.sys[reg] & self.mask() != 0)
    }
}

/// Fine-grained traps are made here: below EL2, but for the EL0 of a host.
pub(super) fn active(cpu: &Cpu) -> bool {
    cpu.is_in_guest() && cpu.identity.has(Feat::Fgt)
}

/// Fields by their names in the architecture, and the list of them.
macro_rules! fields {
    ($(#[$doc:meta])* $module:ident: $group:ident { $($name:ident = $bit:literal,)* }) => {
        $(#[$doc])*
        #[allow(non_upper_case_globals, reason = "the architecture's names")]
        pub(super) mod $module {
            use super::{Fine, Group};
            $(pub(in super::super) const $name: Fine = Fine::new(Group::$group, $bit);)*
            pub(in super::super) const FIELDS: &[(&str, Fine)] = &[$((stringify!($name), $name),)*];
        }
    };
}

fields! {
    /// Fields of HFGRTR_EL2 for reads, and of HFGWTR_EL2 for writes.
    hfgrtr: Registers {
        AFSR0_EL1 = 0, AFSR1_EL1 = 1, AIDR_EL1 = 2, AMAIR_EL1 = 3, APDAKey = 4, APDBKey = 5, APGAKey = 6,
        APIAKey = 7, APIBKey = 8, CCSIDR_EL1 = 9, CLIDR_EL1 = 10, CONTEXTIDR_EL1 = 11, CPACR_EL1 = 12,
        CSSELR_EL1 = 13, CTR_EL0 = 14, DCZID_EL0 = 15, ESR_EL1 = 16, FAR_EL1 = 17, ISR_EL1 = 18,
        LORC_EL1 = 19, LOREA_EL1 = 20, LORID_EL1 = 21, LORN_EL1 = 22, LORSA_EL1 = 23, MAIR_EL1 = 24,
        MIDR_EL1 = 25, MPIDR_EL1 = 26, PAR_EL1 = 27, REVIDR_EL1 = 28, SCTLR_EL1 = 29, SCXTNUM_EL1 = 30,
        SCXTNUM_EL0 = 31, TCR_EL1 = 32, TPIDR_EL1 = 33, TPIDRRO_EL0 = 34, TPIDR_EL0 = 35, TTBR0_EL1 = 36,
        TTBR1_EL1 = 37, VBAR_EL1 = 38, ICC_IGRPENn_EL1 = 39, ERRIDR_EL1 = 40, ERRSELR_EL1 = 41,
        ERXFR_EL1 = 42, ERXCTLR_EL1 = 43, ERXSTATUS_EL1 = 44, ERXMISCn_EL1 = 45, ERXADDR_EL1 = 49,
    }
}

fields! {
    /// Fields of HDFGRTR_EL2 for reads, and of HDFGWTR_EL2 for writes.
    hdfgrtr: Debug {
        DBGBCRn_EL1 = 0, DBGBVRn_EL1 = 1, DBGWCRn_EL1 = 2, DBGWVRn_EL1 = 3, MDSCR_EL1 = 4, DBGCLAIM = 5,
        DBGAUTHSTATUS_EL1 = 6, DBGPRCR_EL1 = 7, OSLAR_EL1 = 8, OSLSR_EL1 = 9, OSECCR_EL1 = 10,
        OSDLR_EL1 = 11, PMEVCNTRn_EL0 = 12, PMEVTYPERn_EL0 = 13, PMCCFILTR_EL0 = 14, PMCCNTR_EL0 = 15,
        PMCNTEN = 16, PMINTEN = 17, PMOVS = 18, PMSELR_EL0 = 19, PMSWINC_EL0 = 20, PMMIR_EL1 = 22,
        PMUSERENR_EL0 = 57, PMCEIDn_EL0 = 58,
    }
}

fields! {
    /// A field of HDFGWTR_EL2 that HDFGRTR_EL2 does not have, though the register can be read.
    hdfgwtr: DebugWrites {
        PMCR_EL0 = 21,
    }
}

fields! {
    /// Fields of HFGITR_EL2.
    hfgitr: Instructions {
        ICIALLUIS = 0, ICIALLU = 1, ICIVAU = 2, DCIVAC = 3, DCISW = 4, DCCSW = 5, DCCISW = 6, DCCVAU = 7,
        DCCVAP = 8, DCCVADP = 9, DCCIVAC = 10, DCZVA = 11, ATS1E1R = 12, ATS1E1W = 13, ATS1E0R = 14,
        ATS1E0W = 15, ATS1E1RP = 16, ATS1E1WP = 17, TLBIVMALLE1OS = 18, TLBIVAE1OS = 19, TLBIASIDE1OS = 20,
        TLBIVAAE1OS = 21, TLBIVALE1OS = 22, TLBIVAALE1OS = 23, TLBIRVAE1OS = 24, TLBIRVAAE1OS = 25,
        TLBIRVALE1OS = 26, TLBIRVAALE1OS = 27, TLBIVMALLE1IS = 28, TLBIVAE1IS = 29, TLBIASIDE1IS = 30,
        TLBIVAAE1IS = 31, TLBIVALE1IS = 32, TLBIVAALE1IS = 33, TLBIRVAE1IS = 34, TLBIRVAAE1IS = 35,
        TLBIRVALE1IS = 36, TLBIRVAALE1IS = 37, TLBIRVAE1 = 38, TLBIRVAAE1 = 39, TLBIRVALE1 = 40,
        TLBIRVAALE1 = 41, TLBIVMALLE1 = 42, TLBIVAE1 = 43, TLBIASIDE1 = 44, TLBIVAAE1 = 45, TLBIVALE1 = 46,
        TLBIVAALE1 = 47, CFPRCTX = 48, DVPRCTX = 49, CPPRCTX = 50, ERET = 51, SVC_EL0 = 52, SVC_EL1 = 53,
        DCCVAC = 54, COSPRCTX = 60,
    }
}

/// All fields.
pub(super) const FIELDS: [&[(&str, Fine)]; 4] =
    [hfgrtr::FIELDS, hdfgrtr::FIELDS, hdfgwtr::FIELDS, hfgitr::FIELDS];

const _: () = assert!(are_apart(&FIELDS), "two fields are the same bit of a register");

/// No bit of a trap register belongs to two fields.
const fn are_apart(lists: &[&[(&str, Fine)]]) -> bool {
    // Of HFGxTR_EL2, HDFGxTR_EL2 and HFGITR_EL2.
    let mut taken = [0u64; 3];
    let mut i = 0;
    while i < lists.len() {
        let mut j = 0;
        while j < lists[i].len() {
            let field = lists[i][j].1;
            let register = match field.group {
                Group::Registers => 0,
                Group::Debug | Group::DebugWrites => 1,
                Group::Instructions => 2,
            };
            if taken[register] & field.mask() != 0 {
                return false;
            }
            taken[register] |= field.mask();
            j += 1;
        }
        i += 1;
    }
    true
}

/// What traps instructions that have no row: SVC and ERET.
pub(super) const OF_NO_ROW: [Fine; 3] = [hfgitr::ERET, hfgitr::SVC_EL0, hfgitr::SVC_EL1];

/// The bits of a trap register that there is something for among `rows`, with the features that it comes with.
pub(super) fn bits_of(register: Reg, rows: &[Row]) -> Vec<(Feat, u64)> {
    let mut bits = Vec::new();
    let mut add = |feat: Feat, field: Fine| match bits.iter_mut().find(|(with, _)| *with == feat) {
        Some((_, mask)) => *mask |= field.mask(),
        None => bits.push((feat, field.mask())),
    };
    for field in OF_NO_ROW.into_iter().filter(|field| field.register(false) == Some(register)) {
        add(Feat::Base, field);
    }
    for row in rows {
        let Some(field) = row.fine else { continue };
        let here = |read: bool| {
            let reachable = row.perm.below_el2().allows(read);
            reachable && field.register(read) == Some(register)
        };
        if here(true) || here(false) {
            add(row.feat, field);
        }
    }
    bits
}

impl Cpu {
    /// HFGITR_EL2.SVC_EL0 and SVC_EL1: an SVC is taken to EL2, to be executed again.
    pub(crate) fn svc_is_trapped(&self) -> bool {
        let field = if self.pstate.el == El::El0 { hfgitr::SVC_EL0 } else { hfgitr::SVC_EL1 };
        field.traps(self, false)
    }

    /// HFGITR_EL2.ERET, at EL1; `key_b` says which key ERETAA and ERETAB use.
    pub(crate) fn check_eret(&self, key_b: Option<bool>) -> Result<(), Exception> {
        if hfgitr::ERET.traps(self, false) {
            // ISS: ERET 1, ERETA 0.
            let iss = key_b.map_or(0, |b| 2 | u32::from(b));
            return Err(Exception::Trap { target: El::El2, ec: ec::ERET, iss });
        }
        Ok(())
    }
}
