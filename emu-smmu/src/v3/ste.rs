//! Stream Table Entries (Arm IHI 0070, 5.2), of Non-secure streams.

use emu_mmu::{Features, Granule, Regime, Shareability, Stage2};

use super::event::Kind;
use super::layout::{Broken, Field, Rule, Words, as_ttbr, effective_size, fields, low, out_of_range};
use super::profile::Profile;
use crate::translation::{FaultPolicy, Override};

fields! {
    V = 0:0;
    CONFIG = 3:1;
    S1FMT = 5:4;
    S1CONTEXTPTR = 55:6;
    S1CDMAX = 63:59;
    S1DSS = 65:64;
    MEV = 83:83;
    S2FWB = 89:89;
    S1STALLD = 91:91;
    EATS = 93:92;
    STRW = 95:94;
    PRIVCFG = 113:112;
    INSTCFG = 115:114;
    S2VMID = 143:128;
    S2T0SZ = 165:160;
    S2SL0 = 167:166;
    S2TG = 175:174;
    S2PS = 178:176;
    S2AA64 = 179:179;
    S2ENDI = 180:180;
    S2AFFD = 181:181;
    S2PTW = 182:182;
    S2HD = 183:183;
    S2HA = 184:184;
    S2S = 185:185;
    S2R = 186:186;
    S2TTB = 243:196;
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

/// A Stream Table Entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ste(pub Words);

type SteRule = Rule<fn(&Ste, &Profile) -> bool>;

/// What makes an STE ILLEGAL, in the order of the specification's function SteIllegal (5.2.2). The first is of all STEs, the
/// others of those that let something pass. What this implementation never has (AArch32 tables, big-endian tables, split-stage
/// ATS, the Secure state) makes a rule shorter, not absent.
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
        why: "split-stage ATS is not supported (IDR0.NS1ATS)",
        broken: |s, p| p.ats && (s.stage1() || s.stage2()) && s.get(EATS) == 0b10,
    },
    Rule {
        field: EATS,
        section: "5.2",
        why: "ATS is enabled and faults of stage 2 stall (S2S)",
        broken: |s, p| p.ats && s.stage2() && s.get(EATS) == 0b01 && s.bit(S2S),
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

    /// EATS, as it has an effect: translated transactions may pass.
    #[must_use]
    pub fn allows_translated(&self, profile: &Profile) -> bool {
        profile.ats && (self.stage1() || self.stage2()) && self.get(EATS) == 0b01
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
mod tests {
    use super::super::bench::{FULL, words};
    use super::*;

    fn ste(bits: &[(u16, u64)]) -> Ste {
        Ste(words(bits))
    }

    /// V, Config = 6, 4 KiB, T0SZ 24 from level 1, 48 bits of output, AArch64.
    const STAGE2: [(u16, u64); 6] = [(0, 1), (1, 0b110), (160, 24), (166, 1), (176, 5), (179, 1)];

    fn with(base: &[(u16, u64)], more: &[(u16, u64)]) -> Ste {
        ste(&[base, more].concat())
    }

    fn blamed(s: Ste, profile: &Profile) -> Vec<&'static str> {
        s.lint(profile).map(|b| b.field.name).collect()
    }

    #[test]
    fn an_invalid_entry_is_illegal_whatever_else_it_says() {
        assert_eq!(blamed(ste(&[(1, 0b110)]), &FULL), ["V"]);
        assert_eq!(blamed(with(&STAGE2, &[]), &FULL), [""; 0]);
    }

    #[test]
    fn an_entry_that_lets_nothing_pass_is_legal() {
        for config in 0..4 {
            let s = ste(&[(0, 1), (1, config), (59, 31), (94, 3)]);
            assert_eq!((s.config(), s.is_illegal(&Profile::QEMU)), (Config::Abort, false));
        }
    }

    /// Fields of a stage that is not enabled are IGNORED.
    #[test]
    fn a_bypassed_stage_is_not_checked() {
        let bypass = ste(&[(0, 1), (1, 0b100), (59, 31), (91, 1), (94, 3), (92, 2), (174, 3), (185, 1)]);
        assert_eq!((bypass.config(), blamed(bypass, &Profile::QEMU)), (Config::Bypass, vec![]));
        let stage1 = ste(&[(0, 1), (1, 0b101), (174, 3), (180, 1), (185, 1)]);
        assert_eq!(blamed(stage1, &Profile::QEMU), [""; 0]);
        let stage2 = with(&STAGE2, &[(4, 1), (59, 31), (91, 1), (94, 3)]);
        assert_eq!(blamed(stage2, &Profile::QEMU), [""; 0]);
    }

    #[test]
    fn every_rule_has_a_case() {
        const STAGE1: [(u16, u64); 2] = [(0, 1), (1, 0b101)];
        let base = FULL;
        let no_stall = Profile { stall: false, ..base };
        let cases: &[(&str, Ste, Profile)] = &[
            ("Config 5 without S1P", ste(&STAGE1), Profile { stage1: false, ..base }),
            ("Config 6 without S2P", with(&STAGE2, &[]), Profile { stage2: false, ..base }),
            ("EATS 2 without NS1ATS", with(&STAGE2, &[(92, 2)]), base),
            ("EATS 1 with S2S", with(&STAGE2, &[(92, 1), (185, 1)]), base),
            ("STRW 1", with(&STAGE1, &[(94, 1)]), base),
            ("STRW 3", with(&STAGE1, &[(94, 3)]), base),
            ("S1STALLD without stalls", with(&STAGE1, &[(91, 1)]), no_stall),
            ("S1CDMax 21", with(&STAGE1, &[(59, 21)]), base),
            (
                "S1Fmt 1 without CD2L",
                with(&STAGE1, &[(59, 4), (4, 1)]),
                Profile { two_level_contexts: false, ..base },
            ),
            (
                "S1Fmt 2 without CD2L",
                with(&STAGE1, &[(59, 4), (4, 2)]),
                Profile { two_level_contexts: false, ..base },
            ),
            ("S1ContextPtr", with(&STAGE1, &[(44, 1)]), Profile { output_bits: 44, ..base }),
            ("S2S without stalls", with(&STAGE2, &[(185, 1)]), no_stall),
            ("AArch32", ste(&STAGE2[..5]), base),
            ("S2HA without HTTU", with(&STAGE2, &[(184, 1)]), Profile { access_flag: false, ..base }),
            (
                "S2HD with HTTU 1",
                with(&STAGE2, &[(184, 1), (183, 1)]),
                Profile { dirty_state: false, ..base },
            ),
            ("S2TG 3", with(&STAGE2, &[(174, 3)]), base),
            (
                "16 KiB without GRAN16K",
                with(&STAGE2, &[(174, 2)]),
                Profile { granules: [true, false, true], ..base },
            ),
            (
                "S2TTB beyond S2PS",
                ste(&[(0, 1), (1, 6), (160, 24), (166, 1), (176, 0), (179, 1), (196 + 28, 1)]),
                base,
            ),
            (
                "S2TTB beyond 48 bits",
                ste(&[(0, 1), (1, 6), (160, 24), (166, 1), (176, 6), (179, 1), (196 + 44, 1)]),
                base,
            ),
            ("S2T0SZ 40", ste(&[(0, 1), (1, 6), (160, 40), (166, 1), (179, 1)]), base),
            ("S2T0SZ 15", ste(&[(0, 1), (1, 6), (160, 15), (166, 2), (179, 1)]), base),
            ("S2SL0", ste(&[(0, 1), (1, 6), (160, 39), (166, 2), (179, 1)]), base),
            ("big-endian", with(&STAGE2, &[(180, 1)]), base),
            ("S2VMID", with(&STAGE2, &[(136, 1)]), Profile { vmid16: false, ..base }),
            ("S2VMID of stage 1", with(&STAGE1, &[(136, 1)]), Profile { vmid16: false, ..base }),
        ];
        let expected = [
            "CONFIG",
            "CONFIG",
            "EATS",
            "EATS",
            "STRW",
            "STRW",
            "S1STALLD",
            "S1CDMAX",
            "S1FMT",
            "S1FMT",
            "S1CONTEXTPTR",
            "S2S",
            "S2AA64",
            "S2HA",
            "S2HD",
            "S2TG",
            "S2TG",
            "S2TTB",
            "S2TTB",
            "S2T0SZ",
            "S2T0SZ",
            "S2SL0",
            "S2ENDI",
            "S2VMID",
            "S2VMID",
        ];
        assert_eq!(cases.len(), expected.len());
        for ((what, entry, profile), field) in cases.iter().zip(expected) {
            assert_eq!(blamed(*entry, profile), [field], "{what}");
        }
    }

    #[test]
    fn what_is_there_is_legal() {
        let cases: &[&[(u16, u64)]] = &[
            // 20 bits of SubstreamID in 64 KiB leaves, STRW = EL2, S1STALLD, S1DSS = 2.
            &[(0, 1), (1, 5), (4, 2), (59, 20), (64, 2), (91, 1), (94, 2)],
            // S1Fmt 3 behaves as 0.
            &[(0, 1), (1, 5), (4, 3), (59, 4)],
            // Nested, both of HTTU, stalls, a VMID of 16 bits, a reserved STRW that is IGNORED.
            &[
                (0, 1),
                (1, 7),
                (94, 3),
                (128, 0xffff),
                (160, 24),
                (166, 1),
                (176, 5),
                (179, 1),
                (183, 1),
                (184, 1),
                (185, 1),
            ],
            // 64 KiB and 52 bits at both sides, the table above 48 bits.
            &[(0, 1), (1, 6), (160, 12), (166, 2), (174, 1), (176, 6), (179, 1), (196 + 44, 5)],
            // S2HD without S2HA is reserved, and not ILLEGAL.
            &[(0, 1), (1, 6), (160, 24), (166, 1), (179, 1), (183, 1)],
        ];
        for bits in cases {
            assert_eq!(blamed(ste(bits), &FULL), [""; 0], "{bits:?}");
        }
        // With 8-bit VMIDs an EL2 stream's S2VMID is IGNORED.
        let el2 = ste(&[(0, 1), (1, 5), (94, 2), (136, 1)]);
        assert!(!el2.is_illegal(&Profile { vmid16: false, ..FULL }));
    }

    #[test]
    fn stage2_comes_from_the_s2_fields() {
        let s = with(
            &STAGE2,
            &[(128, 0x1234), (89, 1), (181, 1), (182, 1), (184, 1), (186, 1), (196, 0x8_0000 >> 4)],
        );
        let s2 = s.stage2_controls(&FULL);
        assert_eq!((s2.vttbr, s2.vmid, s2.txsz, s2.sl0, s2.output), (0x8_0000, 0x1234, 24, 1, 48));
        assert_eq!(
            (s2.granule, s2.ha, s2.hd, s2.fwb, s2.af_fault_disable),
            (Granule::K4, true, false, true, true)
        );
        assert!(!s2.ptw, "S2PTW is of nested configurations");
        assert_eq!(s.policy(), FaultPolicy { record: true, abort: true, stall: false });
        let nested = Ste([s.0[0] | 1 << 1, s.0[1], s.0[2], s.0[3], 0, 0, 0, 0]);
        assert!(nested.config() == Config::Nested && nested.stage2_controls(&FULL).ptw);
        // Bits 51:48 of S2TTB go where VTTBR_EL2 has them.
        let wide = ste(&[
            (0, 1),
            (1, 6),
            (160, 12),
            (166, 2),
            (174, 1),
            (176, 6),
            (179, 1),
            (196 + 44, 5),
            (196, 0x1_0000 >> 4),
        ]);
        assert_eq!(wide.stage2_controls(&FULL).vttbr, 0x1_0000 | 5 << 2);
        // S2PS is capped by the implementation.
        assert_eq!(wide.output_size(&Profile { output_bits: 44, ..FULL }), 44);
    }

    #[test]
    fn stream_worlds() {
        let el1 = ste(&[(0, 1), (1, 5)]);
        let el2 = ste(&[(0, 1), (1, 5), (94, 2)]);
        let nested = ste(&[(0, 1), (1, 7), (94, 2)]);
        for e2h in [false, true] {
            assert_eq!(el1.regime(&FULL, e2h), Regime::El10);
            assert_eq!(nested.regime(&FULL, e2h), Regime::El10, "STRW is IGNORED with stage 2");
            assert_eq!(el2.regime(&Profile { hyp: false, ..FULL }, e2h), Regime::El10, "STRW is RES0");
        }
        assert_eq!((el2.regime(&FULL, false), el2.regime(&FULL, true)), (Regime::El2, Regime::El20));
        let tagged = |strw| ste(&[(0, 1), (1, 5), (94, strw), (128, 7)]).vmid(&FULL);
        assert_eq!((tagged(0), tagged(2)), (7, 0));
        assert_eq!(with(&[(0, 1), (1, 5)], &[(128, 7)]).vmid(&Profile { stage2: false, ..FULL }), 0);
    }

    #[test]
    fn substreams_select_a_context() {
        const BAD: Result<Option<u32>, Kind> = Err(Kind::BadSubstreamId);
        const DISABLED: Result<Option<u32>, Kind> = Err(Kind::StreamDisabled);
        let select = |bits: &[(u16, u64)], id| ste(bits).context_index(id, &FULL);
        // Without stage 1, or without substreams, none may come.
        assert_eq!((select(&[(1, 4)], None), select(&[(1, 4)], Some(0))), (Ok(None), BAD));
        assert_eq!((select(&[(1, 6)], None), select(&[(1, 6)], Some(1))), (Ok(None), BAD));
        assert_eq!((select(&[(1, 5)], None), select(&[(1, 5)], Some(0))), (Ok(Some(0)), BAD));
        // S1DSS 0 and 3: the stream without a substream is disabled.
        for dss in [0, 3] {
            let bits = [(1, 5), (59, 4), (64, dss)];
            assert_eq!((select(&bits, None), select(&bits, Some(0))), (DISABLED, Ok(Some(0))));
            assert_eq!((select(&bits, Some(15)), select(&bits, Some(16))), (Ok(Some(15)), BAD));
        }
        // 1: it bypasses stage 1. 2: it has substream 0, and nobody else has.
        assert_eq!(select(&[(1, 7), (59, 4), (64, 1)], None), Ok(None));
        let bits = [(1, 5), (59, 20), (64, 2)];
        assert_eq!((select(&bits, None), select(&bits, Some(0))), (Ok(Some(0)), DISABLED));
        assert_eq!(select(&bits, Some(0xf_ffff)), Ok(Some(0xf_ffff)));
        // With SSIDSIZE = 0 S1CDMax is IGNORED.
        let none = Profile { substream_bits: 0, ..FULL };
        let s = ste(&[(0, 1), (1, 5), (59, 4)]);
        assert_eq!((s.context_index(None, &none), s.context_index(Some(1), &none)), (Ok(Some(0)), BAD));
        assert!(!s.is_illegal(&none));
    }

    #[test]
    fn overrides_and_the_rest() {
        let s = ste(&[(0, 1), (1, 5), (83, 1), (112, 2), (114, 3)]);
        assert_eq!(s.overrides(&FULL), [Override::Never, Override::Always]);
        assert_eq!(s.overrides(&Profile::QEMU), [Override::Incoming; 2]);
        assert_eq!(ste(&[(112, 1), (114, 1)]).overrides(&FULL), [Override::Incoming; 2]);
        assert!(s.merges_events() && !s.stalls_disabled());
        assert!(ste(&[(1, 5), (92, 1)]).allows_translated(&FULL));
        assert!(!ste(&[(1, 5), (92, 3)]).allows_translated(&FULL), "reserved without DPT");
        assert!(!ste(&[(1, 4), (92, 1)]).allows_translated(&FULL));
        assert!(!ste(&[(1, 5), (92, 1)]).allows_translated(&Profile::QEMU));
    }

    #[test]
    fn a_level_1_descriptor_spans_what_it_says() {
        let at = |span: u64, index, split| StreamDescriptor(0x1_2345_6000 | span).entry(index, split);
        assert_eq!((at(0, 0, 8), at(12, 0, 10), at(31, 0, 10)), (None, None, None));
        assert_eq!((at(1, 0, 8), at(1, 1, 8)), (Some(0x1_2345_6000), None));
        assert_eq!((at(3, 3, 8), at(3, 4, 8)), (Some(0x1_2345_60c0), None));
        // The array is aligned to its size: 256 STEs are 16 KiB.
        assert_eq!(at(9, 255, 8), Some(0x1_2345_4000 + 255 * 64));
        assert_eq!((at(10, 0, 8), at(10, 0, 10).is_some()), (None, true));
        assert_eq!((at(7, 63, 6), at(8, 0, 6)), (Some(0x1_2345_6000 + 63 * 64), None));
        // Bits 63:56 are no address.
        assert_eq!(StreamDescriptor(0xff00_0000_0001_0001).entry(0, 6), Some(0x1_0000));
    }
}
