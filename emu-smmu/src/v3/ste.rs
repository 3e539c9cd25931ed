//! Stream Table Entries (Arm IHI 0070, 5.2), of Non-secure streams.

use emu_mmu::{Features, Granule, Regime, Shareability, Stage2};

use super::event::Kind;
use super::layout::{Broken, Field, Rule, Words, as_ttbr, effective_size, fields, low, out_of_range};
use super::profile::Profile;
use crate::translation::{FaultPolicy, Override};

fields! {
    V "V" new 0:0;
    CONFIG "Config" new 3:1;
    S1FMT "S1Fmt" new 5:4;
    S1CONTEXTPTR "S1ContextPtr" address 55:6;
    S1CDMAX "S1CDMax" new 63:59;
    S1DSS "S1DSS" new 65:64;
    PPAR "PPAR" new 82:82;
    MEV "MEV" new 83:83;
    S2FWB "S2FWB" new 89:89;
    S1STALLD "S1STALLD" new 91:91;
    EATS "EATS" new 93:92;
    STRW "STRW" new 95:94;
    PRIVCFG "PRIVCFG" new 113:112;
    INSTCFG "INSTCFG" new 115:114;
    S2VMID "S2VMID" new 143:128;
    S2T0SZ "S2T0SZ" new 165:160;
    S2SL0 "S2SL0" new 167:166;
    S2TG "S2TG" new 175:174;
    S2PS "S2PS" new 178:176;
    S2AA64 "S2AA64" new 179:179;
    S2ENDI "S2ENDI" new 180:180;
    S2AFFD "S2AFFD" new 181:181;
    S2PTW "S2PTW" new 182:182;
    S2HD "S2HD" new 183:183;
    S2HA "S2HA" new 184:184;
    S2S "S2S" new 185:185;
    S2R "S2R" new 186:186;
    S2TTB "S2TTB" address 243:196;
}

/// STE.Config: what stages there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Config {
    /// Nothing passes, and nothing is recorded.
    Abort,
    /// Neither stage.
    Bypass,
    /// Stage 1.
    Stage1,
    /// Stage 2.
    Stage2,
    /// Both.
    Nested,
}

/// The layout of a table of CDs (STE.S1Fmt).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContextTable {
    /// CDs, indexed by the SubstreamID.
    Linear,
    /// L1CDs, each of which points to 2^n CDs.
    TwoLevel(u32),
}

/// What translation requests of a stream are answered with (STE.EATS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ats {
    /// What all stages give: translated transactions pass.
    Full,
    /// What stage 1 gives: stage 2 translates them.
    SplitStage,
}

/// A Stream Table Entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ste(pub Words);

type SteRule = Rule<fn(&Ste, &Profile) -> bool>;

/// What makes an STE ILLEGAL, in the order of the specification's function SteIllegal (5.2.2). The first is of all STEs, the
/// others of those that let something pass. What this implementation never has (AArch32 tables, big-endian tables, DPT,
/// the Secure state) makes a rule shorter, not absent.
pub(crate) const RULES: &[SteRule] = &[
    Rule { field: V, section: "5.2", why: "the entry is not valid", broken: |s, _| !s.bit(V) },
    Rule {
        field: CONFIG,
        section: "5.2",
        why: "stage 1 is enabled and not implemented (IDR0.S1P)",
        broken: |s, p| s.stage1() && !p.stage1,
    },
    Rule {
        field: CONFIG,
        section: "5.2",
        why: "stage 2 is enabled and not implemented (IDR0.S2P)",
        broken: |s, p| s.stage2() && !p.stage2,
    },
    Rule {
        field: EATS,
        section: "5.2, 3.9.1",
        why: "Split-stage ATS is not supported (IDR0.NS1ATS)",
        broken: |s, p| s.eats(p) == 0b10 && !p.split_stage_ats,
    },
    Rule {
        field: EATS,
        section: "5.2, 13.6.3",
        why: "Split-stage ATS without both stages (Config)",
        broken: |s, p| s.eats(p) == 0b10 && s.config() != Config::Nested,
    },
    Rule {
        field: EATS,
        section: "5.2",
        why: "Split-stage ATS and faults of stage 2 stall (S2S)",
        broken: |s, p| s.eats(p) == 0b10 && s.bit(S2S),
    },
    Rule {
        field: EATS,
        section: "5.2",
        why: "ATS is enabled and faults of stage 2 stall (S2S)",
        broken: |s, p| s.eats(p) == 0b01 && s.stage2() && s.bit(S2S),
    },
    Rule {
        field: STRW,
        section: "5.2",
        why: "the StreamWorld is reserved",
        broken: |s, p| s.uses_strw(p) && s.get(STRW) & 1 != 0,
    },
    Rule {
        field: S1STALLD,
        section: "5.5",
        why: "stalls are disabled and are not there (IDR0.STALL_MODEL is not 0)",
        broken: |s, p| s.stage1() && s.bit(S1STALLD) && !p.stall,
    },
    Rule {
        field: S1CDMAX,
        section: "5.2",
        why: "more substreams than are supported (IDR1.SSIDSIZE)",
        broken: |s, p| s.stage1() && p.substream_bits != 0 && s.get(S1CDMAX) > u64::from(p.substream_bits),
    },
    Rule {
        field: S1FMT,
        section: "5.2",
        why: "two-level tables of context descriptors are not supported (IDR0.CD2L)",
        broken: |s, p| {
            s.stage1()
                && s.substream_bits(p) != 0
                && !p.two_level_contexts
                && s.context_table() != ContextTable::Linear
        },
    },
    Rule {
        field: S1CONTEXTPTR,
        section: "3.4.3",
        why: "the address is beyond the address size (IDR5.OAS)",
        broken: |s, p| s.stage1() && s.context_pointer() >> p.output_bits != 0,
    },
    Rule {
        field: S2S,
        section: "5.5",
        why: "faults stall and stalls are not there (IDR0.STALL_MODEL is 1)",
        broken: |s, p| s.stage2() && s.bit(S2S) && !p.stall,
    },
    Rule {
        field: S2AA64,
        section: "5.2",
        why: "AArch32 tables are not supported (IDR0.TTF)",
        broken: |s, _| s.stage2() && !s.bit(S2AA64),
    },
    Rule {
        field: S2HA,
        section: "5.2",
        why: "hardware does not update the access flag (IDR0.HTTU)",
        broken: |s, p| s.stage2() && s.bit(S2HA) && !p.access_flag,
    },
    Rule {
        field: S2HD,
        section: "5.2",
        why: "hardware does not update the dirty state (IDR0.HTTU)",
        broken: |s, p| s.stage2() && s.bit(S2HD) && !p.dirty_state,
    },
    Rule {
        field: S2TG,
        section: "5.2",
        why: "the granule is reserved or not supported (IDR5)",
        broken: |s, p| s.stage2() && supported(s.granule(), p).is_none(),
    },
    Rule {
        field: S2TTB,
        section: "5.2",
        why: "the address is beyond S2PS, or beyond what the granule can name",
        broken: |s, p| {
            let base = S2TTB.in_place(&s.0);
            s.stage2() && s.granule().is_some_and(|g| out_of_range(base, s.output_size(p), g))
        },
    },
    Rule {
        field: S2T0SZ,
        section: "5.2",
        why: "the size of the input is out of range",
        broken: |s, p| s.stage2() && supported(s.granule(), p).is_some_and(|g| s.bad_t0sz(p, g)),
    },
    Rule {
        field: S2SL0,
        section: "5.2.1",
        why: "the start level fits neither S2T0SZ nor S2TG",
        broken: |s, p| {
            s.stage2()
                && supported(s.granule(), p).is_some_and(|g| !s.bad_t0sz(p, g))
                && s.stage2_controls(p).start_level(&p.features()).is_none()
        },
    },
    Rule {
        field: S2ENDI,
        section: "5.2",
        why: "big-endian tables are not supported (IDR0.TTENDIAN)",
        broken: |s, _| s.stage2() && s.bit(S2ENDI),
    },
    Rule {
        field: S2VMID,
        section: "5.2",
        why: "bits 15:8 are set and VMIDs have 8 bits (IDR0.VMID16)",
        broken: |s, p| s.has_vmid(p) && !p.vmid16 && s.get(S2VMID) >> 8 != 0,
    },
];

/// The granule of S2TG or CD.TGx, if the implementation has it.
pub(crate) fn supported(granule: Option<Granule>, profile: &Profile) -> Option<Granule> {
    let [k4, k16, k64] = profile.granules;
    granule.filter(|g| match g {
        Granule::K4 => k4,
        Granule::K16 => k16,
        Granule::K64 => k64,
    })
}

impl Ste {
    fn get(&self, field: Field) -> u64 {
        field.of(&self.0)
    }

    fn bit(&self, field: Field) -> bool {
        field.is_set(&self.0)
    }

    /// What stages there are.
    #[must_use]
    pub fn config(&self) -> Config {
        match self.get(CONFIG) {
            0b100 => Config::Bypass,
            0b101 => Config::Stage1,
            0b110 => Config::Stage2,
            0b111 => Config::Nested,
            _ => Config::Abort,
        }
    }

    /// Something passes, translated or not.
    #[must_use]
    pub fn lets_pass(&self) -> bool {
        self.config() != Config::Abort
    }

    /// Stage 1 translates.
    #[must_use]
    pub fn stage1(&self) -> bool {
        matches!(self.config(), Config::Stage1 | Config::Nested)
    }

    /// Stage 2 translates.
    #[must_use]
    pub fn stage2(&self) -> bool {
        matches!(self.config(), Config::Stage2 | Config::Nested)
    }

    /// The rules that the entry breaks. One that lets nothing pass breaks none.
    pub fn lint(&self, profile: &Profile) -> impl Iterator<Item = Broken> {
        let (entry, profile) = (*self, *profile);
        let checked = if !entry.bit(V) {
            &RULES[..1]
        } else if !entry.lets_pass() {
            &[]
        } else {
            RULES
        };
        checked.iter().filter(move |rule| (rule.broken)(&entry, &profile)).map(Rule::finding)
    }

    /// C_BAD_STE.
    #[must_use]
    pub fn is_illegal(&self, profile: &Profile) -> bool {
        self.lint(profile).next().is_some()
    }

    fn uses_strw(&self, profile: &Profile) -> bool {
        profile.hyp && self.config() == Config::Stage1
    }

    /// The regime of stage 1: the StreamWorlds NS-EL1, NS-EL2 and NS-EL2-E2H (`e2h`: CR2.E2H).
    #[must_use]
    pub fn regime(&self, profile: &Profile, e2h: bool) -> Regime {
        match (self.uses_strw(profile) && self.get(STRW) == 0b10, e2h) {
            (false, _) => Regime::El10,
            (true, false) => Regime::El2,
            (true, true) => Regime::El20,
        }
    }

    /// S2VMID is not IGNORED: the stream's translations have a VMID.
    fn has_vmid(&self, profile: &Profile) -> bool {
        profile.stage2
            && (self.stage2() || self.stage1())
            && !(self.uses_strw(profile) && self.get(STRW) != 0)
    }

    /// The VMID that translations are tagged with, also those of stage 1 alone.
    #[must_use]
    pub fn vmid(&self, profile: &Profile) -> u16 {
        if self.has_vmid(profile) { self.get(S2VMID) as u16 } else { 0 }
    }

    /// log2 of the CDs: 0 if substreams are disabled, or none are supported.
    #[must_use]
    pub fn substream_bits(&self, profile: &Profile) -> u32 {
        if profile.substream_bits == 0 { 0 } else { self.get(S1CDMAX) as u32 }
    }

    /// The layout of the table of CDs, if there are substreams.
    #[must_use]
    pub fn context_table(&self) -> ContextTable {
        match self.get(S1FMT) {
            0b01 => ContextTable::TwoLevel(6),
            0b10 => ContextTable::TwoLevel(10),
            _ => ContextTable::Linear,
        }
    }

    /// S1ContextPtr: an IPA, if stage 2 translates.
    #[must_use]
    pub fn context_pointer(&self) -> u64 {
        S1CONTEXTPTR.in_place(&self.0)
    }

    /// The CD of a transaction with this SubstreamID; `None` if it bypasses stage 1 (S1DSS; 3.3.2).
    pub fn context_index(&self, substream: Option<u32>, profile: &Profile) -> Result<Option<u32>, Kind> {
        let bits = self.substream_bits(profile);
        match (self.stage1(), bits, substream) {
            (false, _, None) => Ok(None),
            (true, 0, None) => Ok(Some(0)),
            (false, _, Some(_)) | (_, 0, Some(_)) => Err(Kind::BadSubstreamId),
            (true, _, Some(id)) if u64::from(id) >> bits != 0 => Err(Kind::BadSubstreamId),
            (true, _, id) => match (self.get(S1DSS), id) {
                (0b01, None) => Ok(None),
                (0b10, None) => Ok(Some(0)),
                (_, None) | (0b10, Some(0)) => Err(Kind::StreamDisabled),
                (_, id) => Ok(id),
            },
        }
    }

    /// The granule of stage 2's tables, unless it is reserved.
    fn granule(&self) -> Option<Granule> {
        match self.get(S2TG) {
            0b00 => Some(Granule::K4),
            0b01 => Some(Granule::K64),
            0b10 => Some(Granule::K16),
            _ => None,
        }
    }

    /// The effective S2PS, in bits.
    fn output_size(&self, profile: &Profile) -> u8 {
        effective_size(self.get(S2PS), profile.output_bits)
    }

    fn bad_t0sz(&self, profile: &Profile, granule: Granule) -> bool {
        let least = if granule == Granule::K64 { 12 } else { 16 };
        let least = least.max(64 - u64::from(profile.output_bits));
        let most = u64::from(profile.features().max_txsz(granule));
        !(least..=most).contains(&self.get(S2T0SZ))
    }

    /// Stage 2 as the walker has it, of an entry that is legal and enables it.
    #[must_use]
    pub fn stage2_controls(&self, profile: &Profile) -> Stage2 {
        let features: Features = profile.features();
        let granule = self.granule().unwrap_or(Granule::K4);
        let output = self.output_size(profile);
        let wide = features.lpa && granule == Granule::K64 && output >= 52;
        let (ha, hd) = (self.bit(S2HA), self.bit(S2HD));
        Stage2 {
            enabled: true,
            vttbr: as_ttbr(S2TTB.in_place(&self.0), wide),
            vmid: self.vmid(profile),
            txsz: self.get(S2T0SZ) as u8,
            sl0: self.get(S2SL0) as u8,
            sl2: false,
            granule,
            output,
            ds: false,
            sh: Shareability::Non,
            ha: features.haf && ha,
            hd: features.hdbs && ha && hd,
            af_fault_disable: self.bit(S2AFFD),
            ptw: self.config() == Config::Nested && self.bit(S2PTW),
            cache_disable: false,
            fwb: features.fwb && self.bit(S2FWB),
        }
    }

    /// What happens at faults of stage 2: they abort, as though with an implied A.
    #[must_use]
    pub fn policy(&self) -> FaultPolicy {
        FaultPolicy { record: self.bit(S2R), abort: true, stall: self.bit(S2S) }
    }

    /// S1STALLD: CDs must not configure stalls.
    #[must_use]
    pub fn stalls_disabled(&self) -> bool {
        self.bit(S1STALLD)
    }

    /// MEV: events may be merged.
    #[must_use]
    pub fn merges_events(&self) -> bool {
        self.bit(MEV)
    }

    /// PRIVCFG and INSTCFG.
    #[must_use]
    pub fn overrides(&self, profile: &Profile) -> [Override; 2] {
        [PRIVCFG, INSTCFG].map(|field| match self.get(field) {
            0b10 if profile.attribute_overrides => Override::Never,
            0b11 if profile.attribute_overrides => Override::Always,
            _ => Override::Incoming,
        })
    }

    /// EATS, where it is not IGNORED; else 0.
    fn eats(&self, profile: &Profile) -> u64 {
        if profile.ats && (self.stage1() || self.stage2()) { self.get(EATS) } else { 0 }
    }

    /// The effective EATS, of an entry that is legal (`checked`: CR0.ATSCHK). There is no DPT, without which 0b11 is as 0b00.
    #[must_use]
    pub fn ats(&self, profile: &Profile, checked: bool) -> Option<Ats> {
        match self.eats(profile) {
            0b01 => Some(Ats::Full),
            0b10 if checked => Some(Ats::SplitStage),
            _ => None,
        }
    }

    /// PPAR: automatic answers to page requests have a PASID.
    #[must_use]
    pub fn answers_with_pasid(&self) -> bool {
        self.bit(PPAR)
    }
}

/// An L1STD (5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamDescriptor(pub u64);

impl StreamDescriptor {
    /// Where the STE of a stream is, whose index in the second level is `index`. `None`: the StreamID is invalid.
    #[must_use]
    pub fn entry(self, index: u64, split: u32) -> Option<u64> {
        let span = (self.0 & 0x1f) as u32;
        let reserved = span == 0 || span > 11 || span > split + 1;
        if reserved || index >> (span - 1) != 0 {
            return None;
        }
        Some((self.0 & low(56) & !low(6 + span - 1)) + index * 64)
    }
}

#[cfg(test)]
mod tests;
