//! The registers (Arm IHI 0062): where they are and what they hold.
//!
//! There is the Non-secure programming interface alone. The global address space has two pages with registers in them,
//! and every context bank has a page of its own in the upper half of the window. Of what the specification leaves open:
//! - an access of another size than a register takes is RAZ/WI, and so is an element of an array that a profile does not have;
//! - 64-bit operands of commands can be written as two halves, the upper one first: the lower one executes;
//! - tables are little-endian, so that SCTLR.E is RES0, and GSE is: stalls are of one context.

use emu_core::addr::Size;
use emu_core::registers::{Hit, Listed, Map, Row, constants, double, reserved, word};
use serde::{Deserialize, Serialize};

use super::commands::{Command, Tlbi, Translate};
use super::fault::{FSR, GFSR, SS};
use super::profile::Profile;

/// sCR0.CLIENTPD: transactions are not dealt with at all.
pub(super) const CLIENTPD: u32 = 1 << 0;
/// sCR0.GFRE: a global fault aborts.
pub(super) const GFRE: u32 = 1 << 1;
/// sCR0.GFIE: a global fault interrupts.
pub(super) const GFIE: u32 = 1 << 2;
/// sCR0.EXIDENABLE: StreamIDs have 16 bits, and S2CRs say which groups are valid.
pub(super) const EXIDENABLE: u32 = 1 << 3;
/// sCR0.STALLD: nothing stalls.
pub(super) const STALLD: u32 = 1 << 8;
/// sCR0.USFCFG: a stream that matches no group faults.
pub(super) const USFCFG: u32 = 1 << 10;
/// sCR0.PTM: no part in TLB maintenance of CPUs.
pub(super) const PTM: u32 = 1 << 12;
/// sCR0.SMCFCFG: a stream that matches several groups faults.
pub(super) const SMCFCFG: u32 = 1 << 21;
/// sCR0.VMID16EN: VMIDs are those of CBA2R.
pub(super) const VMID16EN: u32 = 1 << 31;
/// All that there is of sCR0.
const CR0: u64 = 0x8fff_fdff;

/// sACR.CACHE_LOCK of MMU-500: CBn_ACTLR cannot be written.
const CACHE_LOCK: u32 = 1 << 26;
/// CBn_ACTLR: CMTLB and CPRE.
const ACTLR: u64 = 3;

/// CBn_SCTLR without E.
const SCTLR: u64 = 0x0fff_f7ef;
/// CBn_TCR2: PASize, AS, TBI0, TBI1 and SEP.
const TCR2: u64 = 0x3_8077;
/// CBn_FSYNR0: PLVL, WNR, PNU, IND, NSATTR, PTWF, AFR and S1CBNDX.
const FSYNR0: u64 = 0xff_0d73;

/// S2CR.EXIDVALID.
pub(super) const EXIDVALID: u32 = 1 << 10;

const ALL: u64 = u64::MAX;
const WORD: u64 = 0xffff_ffff;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reg {
    Cr0,
    Cr2,
    Acr,
    Idr,
    Gfar,
    Gfsr,
    GfsrRestore,
    Gfsynr0,
    Gfsynr1,
    Gpar,
    Smr,
    S2cr,
    Cbar,
    Cbfrsynra,
    Cba2r,
    Sctlr,
    Actlr,
    Tcr2,
    Ttbr0,
    Ttbr1,
    Tcr,
    Contextidr,
    Mair0,
    Mair1,
    Par,
    Fsr,
    FsrRestore,
    Far,
    Fsynr0,
    Ipafar,
    /// TLBSTATUS and ATSR: nothing is ever under way.
    Idle,
    Command(Command),
}

/// What else changes with a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// How transactions are dealt with.
    Configuration,
    /// Global faults.
    GlobalFaults,
    /// Faults of the register's context bank.
    Faults,
}

impl Reg {
    pub(super) const fn effect(self) -> Effect {
        match self {
            Self::Cr0
            | Self::Smr
            | Self::S2cr
            | Self::Cbar
            | Self::Cba2r
            | Self::Sctlr
            | Self::Tcr
            | Self::Tcr2
            | Self::Ttbr0
            | Self::Ttbr1
            | Self::Mair0
            | Self::Mair1 => Effect::Configuration,
            Self::Gfsr | Self::GfsrRestore => Effect::GlobalFaults,
            Self::Fsr | Self::FsrRestore => Effect::Faults,
            _ => Effect::None,
        }
    }
}

const fn command(name: &'static str, offset: u32, command: Command) -> Row<Reg> {
    word(name, offset, Reg::Command(command)).write_only(WORD)
}

const fn wide_command(name: &'static str, offset: u32, command: Command) -> Row<Reg> {
    double(name, offset, Reg::Command(command)).write_only(ALL)
}

const fn idle(name: &'static str, offset: u32) -> Row<Reg> {
    word(name, offset, Reg::Idle).read_only(1)
}

const fn tlbi(op: Tlbi) -> Command {
    Command::Invalidate(op)
}

const fn ats(write: bool, privileged: bool, both: bool) -> Command {
    Command::Translate(Translate { write, privileged, both })
}

const RO: u64 = WORD;

/// The Global Address Space 0.
pub(super) static GLOBAL0: Map<Reg> = Map {
    specification: "Arm IHI 0062, Global Address Space 0 (SMMUv2)",
    window: 0x1000,
    rows: &[
        word("SMMU_sCR0", 0x00, Reg::Cr0).bits(CR0).reset(CLIENTPD as u64),
        reserved("SMMU_SCR1", 0x04),
        word("SMMU_sCR2", 0x08, Reg::Cr2).bits(0xff),
        word("SMMU_sACR", 0x10, Reg::Acr).reset(CACHE_LOCK as u64),
        word("SMMU_IDR", 0x20, Reg::Idr).array(8).read_only(RO).varies(),
        double("SMMU_sGFAR", 0x40, Reg::Gfar),
        word("SMMU_sGFSR", 0x48, Reg::Gfsr).bits(GFSR as u64),
        word("SMMU_sGFSRRESTORE", 0x4c, Reg::GfsrRestore).write_only(GFSR as u64),
        word("SMMU_sGFSYNR0", 0x50, Reg::Gfsynr0).bits(0x3f),
        word("SMMU_sGFSYNR1", 0x54, Reg::Gfsynr1).bits(0xffff),
        reserved("SMMU_sGFSYNR2", 0x58),
        reserved("SMMU_STLBIALL", 0x60),
        command("SMMU_TLBIVMID", 0x64, tlbi(Tlbi::Vmid)),
        command("SMMU_TLBIALLNSNH", 0x68, tlbi(Tlbi::AllNsnh)),
        command("SMMU_TLBIALLH", 0x6c, tlbi(Tlbi::AllH)),
        command("SMMU_sTLBGSYNC", 0x70, Command::Sync),
        idle("SMMU_sTLBGSTATUS", 0x74),
        command("SMMU_TLBIVAH", 0x78, tlbi(Tlbi::VaH32)),
        reserved("SMMU_STLBIVALM", 0xa0).array(2),
        reserved("SMMU_STLBIVAM", 0xa8).array(2),
        wide_command("SMMU_TLBIVALH64", 0xb0, tlbi(Tlbi::VaH)),
        command("SMMU_TLBIVMIDS1", 0xb8, tlbi(Tlbi::Vmid)),
        reserved("SMMU_STLBIALLM", 0xbc),
        wide_command("SMMU_TLBIVAH64", 0xc0, tlbi(Tlbi::VaH)),
        wide_command("SMMU_GATS1UR", 0x100, ats(false, false, false)),
        wide_command("SMMU_GATS1UW", 0x108, ats(true, false, false)),
        wide_command("SMMU_GATS1PR", 0x110, ats(false, true, false)),
        wide_command("SMMU_GATS1PW", 0x118, ats(true, true, false)),
        wide_command("SMMU_GATS12UR", 0x120, ats(false, false, true)),
        wide_command("SMMU_GATS12UW", 0x128, ats(true, false, true)),
        wide_command("SMMU_GATS12PR", 0x130, ats(false, true, true)),
        wide_command("SMMU_GATS12PW", 0x138, ats(true, true, true)),
        double("SMMU_GPAR", 0x180, Reg::Gpar),
        idle("SMMU_GATSR", 0x188),
        word("SMMU_SMR", 0x800, Reg::Smr).array(128),
        word("SMMU_S2CR", 0xc00, Reg::S2cr).array(128).bits(0x3fff_ffff),
        constants("SMMU_PIDR4", 0xfd0, &[0x04, 0, 0, 0]).first(4),
        constants("SMMU_PIDR0", 0xfe0, &[0x81, 0xb4, 0x3b, 0x00]),
        constants("SMMU_CIDR", 0xff0, &[0x0d, 0xf0, 0x05, 0xb1]),
    ],
};

/// The Global Address Space 1: what context banks are.
pub(super) static GLOBAL1: Map<Reg> = Map {
    specification: "Arm IHI 0062, Global Address Space 1 (SMMUv2)",
    window: 0x1000,
    rows: &[
        word("SMMU_CBAR", 0x000, Reg::Cbar).array(128).bits(0x00ff_ffff),
        word("SMMU_CBFRSYNRA", 0x400, Reg::Cbfrsynra).array(128).bits(0xffff),
        word("SMMU_CBA2R", 0x800, Reg::Cba2r).array(128).bits(0xffff_0001),
    ],
};

/// The page of a translation context bank.
pub(super) static BANK: Map<Reg> = Map {
    specification: "Arm IHI 0062, Translation Context Bank (SMMUv2)",
    window: 0x1000,
    rows: &[
        word("SMMU_CBn_SCTLR", 0x00, Reg::Sctlr).bits(SCTLR),
        word("SMMU_CBn_ACTLR", 0x04, Reg::Actlr).bits(ACTLR).reset(ACTLR),
        word("SMMU_CBn_RESUME", 0x08, Reg::Command(Command::Resume)).write_only(1),
        word("SMMU_CBn_TCR2", 0x10, Reg::Tcr2).bits(TCR2),
        double("SMMU_CBn_TTBR0", 0x20, Reg::Ttbr0),
        double("SMMU_CBn_TTBR1", 0x28, Reg::Ttbr1),
        word("SMMU_CBn_TCR", 0x30, Reg::Tcr),
        word("SMMU_CBn_CONTEXTIDR", 0x34, Reg::Contextidr),
        word("SMMU_CBn_MAIR0", 0x38, Reg::Mair0),
        word("SMMU_CBn_MAIR1", 0x3c, Reg::Mair1),
        double("SMMU_CBn_PAR", 0x50, Reg::Par),
        word("SMMU_CBn_FSR", 0x58, Reg::Fsr).bits(FSR as u64),
        word("SMMU_CBn_FSRRESTORE", 0x5c, Reg::FsrRestore).write_only(FSR as u64),
        double("SMMU_CBn_FAR", 0x60, Reg::Far),
        word("SMMU_CBn_FSYNR0", 0x68, Reg::Fsynr0).bits(FSYNR0),
        reserved("SMMU_CBn_FSYNR1", 0x6c),
        double("SMMU_CBn_IPAFAR", 0x70, Reg::Ipafar),
        wide_command("SMMU_CBn_TLBIVA", 0x600, tlbi(Tlbi::Va)),
        wide_command("SMMU_CBn_TLBIVAA", 0x608, tlbi(Tlbi::Vaa)),
        command("SMMU_CBn_TLBIASID", 0x610, tlbi(Tlbi::Asid)),
        command("SMMU_CBn_TLBIALL", 0x618, tlbi(Tlbi::All)),
        wide_command("SMMU_CBn_TLBIVAL", 0x620, tlbi(Tlbi::Va)),
        wide_command("SMMU_CBn_TLBIVAAL", 0x628, tlbi(Tlbi::Vaa)),
        wide_command("SMMU_CBn_TLBIIPAS2", 0x630, tlbi(Tlbi::Ipa)),
        wide_command("SMMU_CBn_TLBIIPAS2L", 0x638, tlbi(Tlbi::Ipa)),
        command("SMMU_CBn_TLBSYNC", 0x7f0, Command::Sync),
        idle("SMMU_CBn_TLBSTATUS", 0x7f4),
        wide_command("SMMU_CBn_ATS1PR", 0x800, ats(false, true, false)),
        wide_command("SMMU_CBn_ATS1PW", 0x808, ats(true, true, false)),
        wide_command("SMMU_CBn_ATS1UR", 0x810, ats(false, false, false)),
        wide_command("SMMU_CBn_ATS1UW", 0x818, ats(true, false, false)),
        idle("SMMU_CBn_ATSR", 0x8f0),
    ],
};

/// A register that an access hits, and which one: the element of a global array, or the context bank.
pub(super) struct Found {
    pub(super) hit: Hit<Reg>,
    pub(super) n: usize,
    /// It is in the page of a context bank.
    pub(super) bank: Option<usize>,
}

/// Where an access goes.
pub(super) fn find(profile: &Profile, offset: u64, size: Size) -> Option<Found> {
    let (page, at) = (offset / profile.page(), offset % profile.page());
    let global = |map: &'static Map<Reg>| {
        let hit = map.find(at, size)?;
        let n = hit.index as usize;
        Some(Found { hit, n, bank: None })
    };
    match page {
        0 => global(&GLOBAL0),
        1 => global(&GLOBAL1),
        _ => {
            let n = page.checked_sub(profile.pages()).filter(|&n| n < u64::from(profile.banks))? as usize;
            Some(Found { hit: BANK.find(at, size)?, n, bank: Some(n) })
        }
    }
}

/// A translation context bank, with what global address space 1 says of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bank {
    pub(super) cbar: u32,
    pub(super) cbfrsynra: u32,
    pub(super) cba2r: u32,
    pub(super) sctlr: u32,
    pub(super) actlr: u32,
    pub(super) tcr2: u32,
    pub(super) ttbr: [u64; 2],
    pub(super) tcr: u32,
    pub(super) contextidr: u32,
    pub(super) mair: [u32; 2],
    pub(super) par: u64,
    pub(super) fsr: u32,
    pub(super) far: u64,
    pub(super) fsynr0: u32,
    pub(super) ipafar: u64,
    /// The upper half of a command's operand, until the lower one is written.
    pub(super) upper: u32,
}

/// The contents of the registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) cr0: u32,
    cr2: u32,
    acr: u32,
    pub(super) gfar: u64,
    pub(super) gfsr: u32,
    pub(super) gfsynr0: u32,
    pub(super) gfsynr1: u32,
    pub(super) gpar: u64,
    pub(super) smr: Vec<u32>,
    pub(super) s2cr: Vec<u32>,
    pub(super) banks: Vec<Bank>,
    upper: u32,
}

impl Registers {
    /// After reset. What the specification leaves UNKNOWN is zero.
    pub(super) fn new(profile: &Profile) -> Self {
        let groups = vec![0; profile.groups.into()];
        let bank = Bank { actlr: ACTLR as u32, ..Bank::default() };
        Self {
            cr0: CLIENTPD,
            cr2: 0,
            acr: CACHE_LOCK,
            gfar: 0,
            gfsr: 0,
            gfsynr0: 0,
            gfsynr1: 0,
            gpar: 0,
            smr: groups.clone(),
            s2cr: groups,
            banks: vec![bank; profile.banks.into()],
            upper: 0,
        }
    }

    /// The value of a register; reading changes nothing. `None`: a profile does not have the element.
    pub(super) fn read(&self, reg: Reg, n: usize, profile: &Profile) -> Option<u64> {
        Some(match reg {
            Reg::Cr0 => self.cr0.into(),
            Reg::Cr2 => self.cr2.into(),
            Reg::Acr => self.acr.into(),
            Reg::Idr => profile.idr(n as u32).into(),
            Reg::Gfar => self.gfar,
            Reg::Gfsr => self.gfsr.into(),
            Reg::Gfsynr0 => self.gfsynr0.into(),
            Reg::Gfsynr1 => self.gfsynr1.into(),
            Reg::Gpar => self.gpar,
            Reg::Smr => (*self.smr.get(n)?).into(),
            Reg::S2cr => (*self.s2cr.get(n)?).into(),
            Reg::Idle | Reg::Command(_) | Reg::GfsrRestore | Reg::FsrRestore => 0,
            _ => self.banks.get(n)?.read(reg),
        })
    }

    /// Writes a register, given as its full new value (of FSR and GFSR: the ones that clear). False if it cannot be written.
    pub(super) fn write(&mut self, reg: Reg, n: usize, value: u64, profile: &Profile) -> bool {
        let value = value & present(reg, profile);
        let word = value as u32;
        match reg {
            Reg::Cr0 => self.cr0 = word,
            Reg::Cr2 => self.cr2 = word,
            Reg::Acr => self.acr = word,
            Reg::Gfar => self.gfar = value,
            Reg::Gfsr => self.clear_global(word),
            Reg::GfsrRestore => self.gfsr = word,
            Reg::Gfsynr0 => self.gfsynr0 = word,
            Reg::Gfsynr1 => self.gfsynr1 = word,
            Reg::Gpar => self.gpar = value,
            Reg::Smr => return put(&mut self.smr, n, word),
            Reg::S2cr => return put(&mut self.s2cr, n, word),
            Reg::Actlr if self.acr & CACHE_LOCK != 0 => return false,
            Reg::Idr | Reg::Idle | Reg::Command(_) => return false,
            _ => match self.banks.get_mut(n) {
                Some(bank) => bank.write(reg, value),
                None => return false,
            },
        }
        true
    }

    /// What a command's operand is after a write of it, whole or its lower half. `None`: it was the upper half.
    pub(super) fn operand(&mut self, found: &Found, size: Size, value: u64) -> Option<u64> {
        let upper = match found.bank {
            Some(n) => &mut self.banks.get_mut(n)?.upper,
            None => &mut self.upper,
        };
        if found.hit.byte != 0 {
            *upper = value as u32;
            return None;
        }
        let old = u64::from(std::mem::take(upper)) << 32;
        Some(found.hit.merged(old, size, value))
    }

    /// False of a state that was not saved by an SMMU of this profile.
    pub(super) fn is_possible(&self, profile: &Profile) -> bool {
        let lengths = [self.smr.len(), self.s2cr.len()] == [usize::from(profile.groups); 2]
            && self.banks.len() == usize::from(profile.banks);
        let global = |map: &Map<Reg>| map.holds(|reg, n| self.read(reg, n as usize, profile));
        let bank = |n| BANK.holds(|reg, _| self.read(reg, n, profile));
        let fits = |reg, n| self.read(reg, n, profile).is_some_and(|v| v & !present(reg, profile) == 0);
        lengths
            && global(&GLOBAL0)
            && global(&GLOBAL1)
            && (0..self.banks.len()).all(|n| bank(n) && fits(Reg::Cba2r, n))
            && fits(Reg::Cr0, 0)
            && (0..self.smr.len()).all(|n| fits(Reg::Smr, n) && fits(Reg::S2cr, n))
    }

    /// All of them, for monitors.
    pub(super) fn list(&self, profile: &Profile) -> Vec<Listed> {
        let peek = |reg, n: u32| self.read(reg, n as usize, profile);
        let mut all = GLOBAL0.list(0, peek);
        all.extend(GLOBAL1.list(profile.page(), peek));
        for n in 0..self.banks.len() {
            let base = (profile.pages() + n as u64) * profile.page();
            all.extend(BANK.list(base, |reg, _| self.read(reg, n, profile)));
        }
        all
    }

    /// Nothing is stalled.
    pub(super) fn without_stalls(mut self) -> Self {
        for bank in &mut self.banks {
            bank.fsr &= !SS;
            bank.clear(0);
        }
        self
    }
}

/// The bits of a register that are there with a profile.
fn present(reg: Reg, profile: &Profile) -> u64 {
    let given = |there: bool, bits: u32| if there { 0 } else { u64::from(bits) };
    match reg {
        Reg::Cr0 => !(given(profile.extended_ids, EXIDENABLE) | given(profile.vmid16, VMID16EN)),
        // The uppermost bit of ID; that of MASK is VALID, unless IDs are extended.
        Reg::Smr => !given(profile.extended_ids, 1 << 15),
        Reg::S2cr => !given(profile.extended_ids, EXIDVALID),
        Reg::Cba2r => !given(profile.vmid16, 0xffff_0000),
        _ => u64::MAX,
    }
}

fn put(array: &mut [u32], n: usize, value: u32) -> bool {
    array.get_mut(n).map(|element| *element = value).is_some()
}

impl Bank {
    fn read(&self, reg: Reg) -> u64 {
        match reg {
            Reg::Cbar => self.cbar.into(),
            Reg::Cbfrsynra => self.cbfrsynra.into(),
            Reg::Cba2r => self.cba2r.into(),
            Reg::Sctlr => self.sctlr.into(),
            Reg::Actlr => self.actlr.into(),
            Reg::Tcr2 => self.tcr2.into(),
            Reg::Ttbr0 => self.ttbr[0],
            Reg::Ttbr1 => self.ttbr[1],
            Reg::Tcr => self.tcr.into(),
            Reg::Contextidr => self.contextidr.into(),
            Reg::Mair0 => self.mair[0].into(),
            Reg::Mair1 => self.mair[1].into(),
            Reg::Par => self.par,
            Reg::Fsr => self.fsr.into(),
            Reg::Far => self.far,
            Reg::Fsynr0 => self.fsynr0.into(),
            Reg::Ipafar => self.ipafar,
            _ => 0,
        }
    }

    fn write(&mut self, reg: Reg, value: u64) {
        let word = value as u32;
        match reg {
            Reg::Cbar => self.cbar = word,
            Reg::Cbfrsynra => self.cbfrsynra = word,
            Reg::Cba2r => self.cba2r = word,
            Reg::Sctlr => self.sctlr = word,
            Reg::Actlr => self.actlr = word,
            Reg::Tcr2 => self.tcr2 = word,
            Reg::Ttbr0 => self.ttbr[0] = value,
            Reg::Ttbr1 => self.ttbr[1] = value,
            Reg::Tcr => self.tcr = word,
            Reg::Contextidr => self.contextidr = word,
            Reg::Mair0 => self.mair[0] = word,
            Reg::Mair1 => self.mair[1] = word,
            Reg::Par => self.par = value,
            Reg::Fsr => self.clear(word),
            // What is stalled does not come back.
            Reg::FsrRestore => self.fsr = word & !SS | self.fsr & SS,
            Reg::Far => self.far = value,
            Reg::Fsynr0 => self.fsynr0 = word,
            Reg::Ipafar => self.ipafar = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_core::registers::Content;

    use super::*;

    const P: Profile = Profile::MMU500;

    fn name(offset: u64, size: Size) -> Option<(&'static str, usize)> {
        find(&P, offset, size).map(|found| (found.hit.row.name, found.n))
    }

    #[test]
    fn the_maps_have_no_flaw() {
        assert_eq!([GLOBAL0.flaw(), GLOBAL1.flaw(), BANK.flaw()], [None, None, None]);
    }

    #[test]
    fn registers_are_where_the_specification_has_them() {
        let places = [
            (0x0, "SMMU_sCR0", 0),
            (0x10, "SMMU_sACR", 0),
            (0x3c, "SMMU_IDR", 7),
            (0x48, "SMMU_sGFSR", 0),
            (0x50, "SMMU_sGFSYNR0", 0),
            (0x64, "SMMU_TLBIVMID", 0),
            (0x70, "SMMU_sTLBGSYNC", 0),
            (0x74, "SMMU_sTLBGSTATUS", 0),
            (0x804, "SMMU_SMR", 1),
            (0xc08, "SMMU_S2CR", 2),
            (0x100c, "SMMU_CBAR", 3),
            (0x1410, "SMMU_CBFRSYNRA", 4),
            (0x1814, "SMMU_CBA2R", 5),
            // The banks begin behind 32 pages.
            (0x2_0000, "SMMU_CBn_SCTLR", 0),
            (0x2_1008, "SMMU_CBn_RESUME", 1),
            (0x2_2058, "SMMU_CBn_FSR", 2),
            (0x3_f7f0, "SMMU_CBn_TLBSYNC", 31),
        ];
        for (offset, register, n) in places {
            assert_eq!(name(offset, Size::B4), Some((register, n)), "{offset:#x}");
        }
        assert_eq!(name(0x2_0020, Size::B8), Some(("SMMU_CBn_TTBR0", 0)));
        assert_eq!(name(0x2_0600, Size::B8), Some(("SMMU_CBn_TLBIVA", 0)));
        assert_eq!([name(0x2000, Size::B4), name(0x4_0000, Size::B4), name(0x0, Size::B8)], [None; 3]);
        let large = Profile { large_pages: true, ..P };
        let found = find(&large, 0x21_0058, Size::B4).unwrap();
        assert_eq!((found.hit.row.name, found.bank), ("SMMU_CBn_FSR", Some(1)));
    }

    #[test]
    fn after_reset_they_are_as_the_rows_say() {
        let r = Registers::new(&P);
        for map in [&GLOBAL0, &GLOBAL1, &BANK] {
            for row in map.rows {
                if let (Content::Register(reg), Some(reset)) = (row.content, row.reset) {
                    assert_eq!(r.read(reg, 0, &P), Some(reset), "{}", row.name);
                }
            }
        }
        assert!(r.is_possible(&P) && !r.is_possible(&Profile::FULL));
        assert_eq!(r.cr0, 1, "CLIENTPD");
    }

    /// The order of Linux's probe: the bits that SMRs have are found by writing them with VALID = 0.
    #[test]
    fn match_registers_keep_the_bits_that_there_are() {
        let mut r = Registers::new(&P);
        assert!(r.write(Reg::Smr, 0, 0x7fff_0000, &P) && r.write(Reg::Smr, 1, 0xffff, &P));
        assert_eq!((r.smr[0], r.smr[1]), (0x7fff_0000, 0x7fff));
        assert!(!r.write(Reg::Smr, 64, 1, &P), "there are 64");
        let full = Profile::FULL;
        let mut r = Registers::new(&full);
        r.write(Reg::Cr0, 0, EXIDENABLE.into(), &full);
        r.write(Reg::Smr, 127, 0xffff_ffff, &full);
        r.write(Reg::S2cr, 127, EXIDVALID.into(), &full);
        assert_eq!((r.smr[127], r.s2cr[127]), (0xffff_ffff, 1 << 10));
        assert!(r.is_possible(&full));
    }

    #[test]
    fn what_a_profile_does_not_have_is_res0() {
        let mut r = Registers::new(&P);
        r.write(Reg::Cr0, 0, u64::MAX, &P);
        r.write(Reg::S2cr, 0, u64::MAX, &P);
        r.write(Reg::Cba2r, 0, u64::MAX, &P);
        assert_eq!(r.cr0 & (1 << 3 | 1 << 31), 0);
        assert_eq!((r.s2cr[0] & 1 << 10, r.banks[0].cba2r & 0xffff_0000), (0, 0));
    }

    /// Linux's workaround for MMU-500: CACHE_LOCK, then CPRE.
    #[test]
    fn the_auxiliary_control_of_banks_is_locked_until_it_is_unlocked() {
        let mut r = Registers::new(&P);
        assert!(!r.write(Reg::Actlr, 3, 1, &P));
        assert_eq!(r.banks[3].actlr, 3);
        r.write(Reg::Acr, 0, 1 << 8 | 1 << 10, &P);
        assert!(r.write(Reg::Actlr, 3, 1, &P));
        assert_eq!((r.banks[3].actlr, r.banks[4].actlr), (1, 3));
    }

    #[test]
    fn operands_come_whole_or_in_halves_the_upper_one_first() {
        let mut r = Registers::new(&P);
        let at = |offset, size| find(&P, offset, size).unwrap();
        assert_eq!(r.operand(&at(0x2_0604, Size::B4), Size::B4, 0x12), None);
        assert_eq!(r.operand(&at(0x2_1600, Size::B4), Size::B4, 0x5), Some(5), "of another bank");
        assert_eq!(r.operand(&at(0x2_0600, Size::B4), Size::B4, 0x5), Some(0x12_0000_0005));
        assert_eq!(r.operand(&at(0x2_0600, Size::B4), Size::B4, 0x5), Some(5), "it is used up");
        assert_eq!(r.operand(&at(0xb0, Size::B8), Size::B8, 1 << 40), Some(1 << 40));
    }

    #[test]
    fn restored_faults_do_not_stall() {
        let mut r = Registers::new(&P);
        r.write(Reg::FsrRestore, 1, 0xc000_0402, &P);
        r.write(Reg::GfsrRestore, 0, 0x8000_0002, &P);
        assert_eq!((r.banks[1].fsr, r.gfsr), (0x8000_0402, 0x8000_0002));
        r.write(Reg::Fsr, 1, 0xffff_ffff, &P);
        r.write(Reg::Gfsr, 0, 0xffff_ffff, &P);
        assert_eq!((r.banks[1].fsr, r.gfsr), (0, 0));
    }
}
