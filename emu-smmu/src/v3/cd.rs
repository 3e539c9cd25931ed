//! Context Descriptors (Arm IHI 0070, 5.4), reached through Non-secure STEs.

use emu_core::Security;
use emu_mmu::{Granule, Half, Regime, Shareability, Stage1};

use super::layout::{Broken, Field, Rule, Words, as_ttbr, effective_size, fields, low, out_of_range};
use super::profile::Profile;
use super::ste::supported;
use crate::translation::FaultPolicy;

fields! {
    T0SZ = 5:0;
    TG0 = 7:6;
    EPD0 = 14:14;
    ENDI = 15:15;
    T1SZ = 21:16;
    TG1 = 23:22;
    EPD1 = 30:30;
    V = 31:31;
    IPS = 34:32;
    AFFD = 35:35;
    WXN = 36:36;
    TBI0 = 38:38;
    TBI1 = 39:39;
    PAN = 40:40;
    AA64 = 41:41;
    HD = 42:42;
    HA = 43:43;
    S = 44:44;
    R = 45:45;
    A = 46:46;
    ASET = 47:47;
    ASID = 63:48;
    HAD0 = 65:65;
    TTB0 = 115:68;
    HAD1 = 129:129;
    TTB1 = 179:132;
    MAIR = 255:192;
}

/// What the STE that a CD is reached through says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The StreamWorld.
    pub regime: Regime,
    /// STE.S1STALLD.
    pub stalls_disabled: bool,
}

/// A Context Descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cd(pub Words);

/// The fields of one half of the address space.
struct HalfFields {
    txsz: Field,
    tg: Field,
    epd: Field,
    tbi: Field,
    had: Field,
    ttb: Field,
}

const LOWER: HalfFields = HalfFields { txsz: T0SZ, tg: TG0, epd: EPD0, tbi: TBI0, had: HAD0, ttb: TTB0 };
const UPPER: HalfFields = HalfFields { txsz: T1SZ, tg: TG1, epd: EPD1, tbi: TBI1, had: HAD1, ttb: TTB1 };

type CdRule = Rule<fn(&Cd, &Reached, &Profile) -> bool>;

/// What makes a CD ILLEGAL, in the order of the specification's function CdIllegal (5.4.2). The first is of all CDs.
pub(crate) const RULES: &[CdRule] = &[
    Rule { field: V, section: "5.4", why: "the descriptor is not valid", broken: |c, _, _| !c.bit(V) },
    Rule {
        field: S,
        section: "5.5",
        why: "faults stall and the stream must not (STE.S1STALLD)",
        broken: |c, r, _| c.bit(S) && r.stalls_disabled,
    },
    Rule {
        field: A,
        section: "5.5",
        why: "terminated transactions are always aborted (IDR0.TERM_MODEL)",
        broken: |c, _, p| !c.bit(A) && p.always_aborts,
    },
    Rule {
        field: S,
        section: "5.5",
        why: "faults stall and stalls are not there (IDR0.STALL_MODEL is 1)",
        broken: |c, _, p| c.bit(S) && !p.stall,
    },
    Rule {
        field: ENDI,
        section: "5.4",
        why: "big-endian tables are not supported (IDR0.TTENDIAN)",
        broken: |c, r, _| c.bit(ENDI) && (c.walks(&LOWER, r) || c.walks(&UPPER, r)),
    },
    Rule {
        field: AA64,
        section: "5.4",
        why: "AArch32 tables are not supported (IDR0.TTF)",
        broken: |c, _, _| !c.bit(AA64),
    },
    Rule {
        field: HA,
        section: "5.4",
        why: "hardware does not update the access flag (IDR0.HTTU)",
        broken: |c, _, p| c.bit(HA) && !p.access_flag,
    },
    Rule {
        field: HD,
        section: "5.4",
        why: "hardware does not update the dirty state (IDR0.HTTU)",
        broken: |c, _, p| c.bit(HD) && !p.dirty_state,
    },
    Rule {
        field: ASID,
        section: "5.4",
        why: "bits 15:8 are set and ASIDs have 8 bits (IDR0.ASID16)",
        broken: |c, r, p| r.regime.has_asids() && !p.asid16 && c.get(ASID) >> 8 != 0,
    },
    Rule { field: T0SZ, section: "5.4", why: BAD_SIZE, broken: |c, r, p| c.bad_size(&LOWER, r, p) },
    Rule { field: T1SZ, section: "5.4", why: BAD_SIZE, broken: |c, r, p| c.bad_size(&UPPER, r, p) },
    Rule { field: TG0, section: "5.4", why: BAD_GRANULE, broken: |c, r, p| c.bad_granule(&LOWER, r, p) },
    Rule { field: TTB0, section: "5.4", why: BAD_BASE, broken: |c, r, p| c.bad_base(&LOWER, r, p) },
    Rule { field: TG1, section: "5.4", why: BAD_GRANULE, broken: |c, r, p| c.bad_granule(&UPPER, r, p) },
    Rule { field: TTB1, section: "5.4", why: BAD_BASE, broken: |c, r, p| c.bad_base(&UPPER, r, p) },
];

const BAD_SIZE: &str = "the size of the address range is out of range";
const BAD_GRANULE: &str = "the granule is reserved or not supported (IDR5)";
const BAD_BASE: &str = "the address is beyond IPS, or beyond what the granule can name";

impl Cd {
    fn get(&self, field: Field) -> u64 {
        field.of(&self.0)
    }

    fn bit(&self, field: Field) -> bool {
        field.is_set(&self.0)
    }

    /// The rules that the descriptor breaks, reached through an STE.
    pub fn lint(&self, reached: &Reached, profile: &Profile) -> impl Iterator<Item = Broken> {
        let (cd, reached, profile) = (*self, *reached, *profile);
        let checked = if cd.bit(V) { RULES } else { &RULES[..1] };
        checked.iter().filter(move |rule| (rule.broken)(&cd, &reached, &profile)).map(Rule::finding)
    }

    /// C_BAD_CD.
    #[must_use]
    pub fn is_illegal(&self, reached: &Reached, profile: &Profile) -> bool {
        self.lint(reached, profile).next().is_some()
    }

    /// Tables of this half are walked: EPDx counts where there are two halves, and EL2 has but the lower one (5.4.1).
    fn walks(&self, half: &HalfFields, reached: &Reached) -> bool {
        if reached.regime.has_unprivileged() { !self.bit(half.epd) } else { half.epd == EPD0 }
    }

    fn granule(&self, half: &HalfFields) -> Option<Granule> {
        match (half.tg == TG0, self.get(half.tg)) {
            (true, 0b00) | (false, 0b10) => Some(Granule::K4),
            (true, 0b01) | (false, 0b11) => Some(Granule::K64),
            (true, 0b10) | (false, 0b01) => Some(Granule::K16),
            _ => None,
        }
    }

    fn bad_granule(&self, half: &HalfFields, reached: &Reached, profile: &Profile) -> bool {
        self.walks(half, reached) && supported(self.granule(half), profile).is_none()
    }

    fn bad_size(&self, half: &HalfFields, reached: &Reached, profile: &Profile) -> bool {
        let Some(granule) = supported(self.granule(half), profile) else { return false };
        let least = if profile.vax52 && granule == Granule::K64 { 12 } else { 16 };
        let most = u64::from(profile.features().max_txsz(granule));
        self.walks(half, reached) && !(least..=most).contains(&self.get(half.txsz))
    }

    fn bad_base(&self, half: &HalfFields, reached: &Reached, profile: &Profile) -> bool {
        let base = half.ttb.in_place(&self.0);
        let beyond = |granule| out_of_range(base, self.output_size(profile), granule);
        self.walks(half, reached) && self.granule(half).is_some_and(beyond)
    }

    /// The effective IPS, in bits.
    fn output_size(&self, profile: &Profile) -> u8 {
        effective_size(self.get(IPS), profile.output_bits)
    }

    fn half(&self, fields: &HalfFields, reached: &Reached, profile: &Profile) -> Half {
        let features = profile.features();
        let granule = self.granule(fields).unwrap_or(Granule::K4);
        let wide = features.lpa && granule == Granule::K64 && self.output_size(profile) >= 52;
        Half {
            ttbr: as_ttbr(fields.ttb.in_place(&self.0), wide),
            txsz: self.get(fields.txsz) as u8,
            granule,
            tbi: self.bit(fields.tbi),
            tbid: false,
            epd: !self.walks(fields, reached),
            hpd: features.hpds && self.bit(fields.had),
            e0pd: false,
            ds: false,
            sh: Shareability::Non,
        }
    }

    /// Stage 1 as the walker has it, of a descriptor that is legal.
    #[must_use]
    pub fn stage1_controls(&self, reached: &Reached, profile: &Profile) -> Stage1 {
        let features = profile.features();
        let regime = reached.regime;
        let (ha, hd) = (self.bit(HA), self.bit(HD));
        let lower = self.half(&LOWER, reached, profile);
        let upper = if regime.has_unprivileged() { self.half(&UPPER, reached, profile) } else { lower };
        let asid = self.get(ASID) & low(if profile.asid16 { 16 } else { 8 });
        Stage1 {
            regime,
            security: Security::NonSecure,
            enabled: true,
            halves: [lower, upper],
            asid: if regime.has_asids() { asid as u16 } else { 0 },
            output: self.output_size(profile),
            ha: features.haf && ha,
            hd: features.hdbs && ha && hd,
            af_fault_disable: self.bit(AFFD),
            mair: self.get(MAIR),
            wxn: self.bit(WXN),
            epan: false,
            cacheable: true,
            default_cacheable: false,
            nv1: false,
        }
    }

    /// PAN, where there are unprivileged accesses.
    #[must_use]
    pub fn pan(&self, reached: &Reached) -> bool {
        reached.regime.has_unprivileged() && self.bit(PAN)
    }

    /// What happens at faults of stage 1.
    #[must_use]
    pub fn policy(&self) -> FaultPolicy {
        FaultPolicy { record: self.bit(R), abort: self.bit(A), stall: self.bit(S) }
    }
}

/// An L1CD (5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextPointer(pub u64);

impl ContextPointer {
    /// Where the table of 2^`bits` CDs is, if there is one.
    #[must_use]
    pub const fn table(self, bits: u32) -> Option<u64> {
        if self.0 & 1 == 0 { None } else { Some(self.0 & low(56) & !low(bits + 6)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{FULL, words};
    use super::*;

    const EL1: Reached = Reached { regime: Regime::El10, stalls_disabled: false };
    const EL2: Reached = Reached { regime: Regime::El2, stalls_disabled: false };
    const HOST: Reached = Reached { regime: Regime::El20, stalls_disabled: false };

    fn cd(bits: &[(u16, u64)]) -> Cd {
        Cd(words(bits))
    }

    /// T0SZ 25, EPD1, V, 48 bits of output, AA64, R, A.
    const PLAIN: [(u16, u64); 7] = [(0, 25), (30, 1), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1)];
    /// As that, with an upper half of T1SZ 25 and 4 KiB.
    const BOTH: [(u16, u64); 8] = [(0, 25), (16, 25), (22, 2), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1)];

    fn with(base: &[(u16, u64)], more: &[(u16, u64)]) -> Cd {
        cd(&[base, more].concat())
    }

    fn blamed(c: Cd, reached: &Reached, profile: &Profile) -> Vec<&'static str> {
        c.lint(reached, profile).map(|b| b.field.name).collect()
    }

    #[test]
    fn an_invalid_descriptor_is_illegal_whatever_else_it_says() {
        assert_eq!(blamed(cd(&PLAIN[..2]), &EL1, &FULL), ["V"]);
        assert_eq!(blamed(cd(&PLAIN), &EL1, &Profile::QEMU), [""; 0]);
        assert_eq!(blamed(cd(&BOTH), &EL1, &Profile::QEMU), [""; 0]);
    }

    #[test]
    fn every_rule_has_a_case() {
        let no_stalls = Reached { stalls_disabled: true, ..EL1 };
        let asid8 = Profile { asid16: false, ..FULL };
        let cases: &[(&str, Cd, Reached, Profile)] = &[
            ("S", with(&PLAIN, &[(44, 1)]), no_stalls, FULL),
            ("A", cd(&PLAIN[..6]), EL1, Profile { always_aborts: true, ..FULL }),
            ("S", with(&PLAIN, &[(44, 1)]), EL1, Profile { stall: false, ..FULL }),
            ("ENDI", with(&PLAIN, &[(15, 1)]), EL1, FULL),
            ("AA64", cd(&[(0, 25), (30, 1), (31, 1), (32, 5)]), EL1, FULL),
            ("HA", with(&PLAIN, &[(43, 1)]), EL1, Profile { access_flag: false, ..FULL }),
            ("HD", with(&PLAIN, &[(43, 1), (42, 1)]), EL1, Profile { dirty_state: false, ..FULL }),
            ("ASID", with(&PLAIN, &[(56, 1)]), EL1, asid8),
            ("ASID", with(&PLAIN, &[(56, 1)]), HOST, asid8),
            ("T0SZ", with(&PLAIN[1..], &[(0, 40)]), EL1, FULL),
            ("T0SZ", with(&PLAIN[1..], &[(0, 15)]), EL1, FULL),
            ("T0SZ", with(&PLAIN[1..], &[(0, 12), (6, 1)]), EL1, Profile { vax52: false, ..FULL }),
            ("T1SZ", with(&BOTH[2..], &[(0, 25), (16, 15)]), EL1, FULL),
            ("TG0", with(&PLAIN, &[(6, 3)]), EL1, FULL),
            ("TG0", with(&PLAIN, &[(6, 2)]), EL1, Profile { granules: [true, false, true], ..FULL }),
            ("TG1", cd(&[(0, 25), (16, 25), (31, 1), (41, 1)]), EL1, FULL),
            ("TTB0", cd(&[(0, 25), (30, 1), (31, 1), (41, 1), (68 + 28, 1)]), EL1, FULL),
            ("TTB0", cd(&[(0, 25), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 1)]), EL1, FULL),
            ("TTB1", with(&BOTH, &[(132 + 44, 1)]), EL1, FULL),
        ];
        for (field, descriptor, reached, profile) in cases {
            assert_eq!(blamed(*descriptor, reached, profile), [*field], "{descriptor:x?}");
        }
    }

    /// 5.4.1.1: EPDx makes the fields of its half IGNORED.
    #[test]
    fn a_disabled_half_is_not_checked() {
        let junk = [(16, 63), (22, 0), (132 + 44, 15)];
        assert_eq!(blamed(with(&PLAIN, &junk), &EL1, &FULL), [""; 0]);
        let lower_off = cd(&[(0, 63), (6, 3), (14, 1), (16, 25), (22, 2), (31, 1), (41, 1), (68 + 44, 1)]);
        assert_eq!(blamed(lower_off, &EL1, &FULL), [""; 0]);
        let neither = cd(&[(14, 1), (15, 1), (30, 1), (31, 1), (41, 1)]);
        assert_eq!(blamed(neither, &HOST, &FULL), [""; 0], "not even ENDI");
    }

    /// EL2 has one half: EPD0 is IGNORED, and everything of TTB1 is RES0.
    #[test]
    fn el2_has_the_lower_half_only() {
        let c = cd(&[(0, 25), (14, 1), (16, 63), (31, 1), (32, 5), (40, 1), (41, 1), (56, 1), (132 + 44, 1)]);
        assert_eq!(blamed(c, &EL2, &Profile { asid16: false, ..FULL }), [""; 0]);
        let s1 = c.stage1_controls(&EL2, &FULL);
        assert_eq!((s1.regime, s1.asid, s1.halves[0].epd, s1.halves[0].txsz), (Regime::El2, 0, false, 25));
        assert_eq!(s1.halves[0], s1.halves[1]);
        assert!(!c.pan(&EL2) && c.pan(&HOST));
        assert_eq!(blamed(cd(&[(0, 40), (14, 1), (31, 1), (41, 1)]), &EL2, &FULL), ["T0SZ"]);
    }

    #[test]
    fn what_is_there_is_legal() {
        let cases: &[&[(u16, u64)]] = &[
            // 64 KiB with 52 bits of VA and output, its table above 48 bits.
            &[(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 15)],
            // HD without HA is reserved, and not ILLEGAL. Stalls.
            &[(0, 25), (30, 1), (31, 1), (41, 1), (42, 1), (44, 1)],
            // The encodings of TG1: 16, 4 and 64 KiB.
            &[(0, 25), (16, 25), (22, 1), (31, 1), (41, 1)],
            &[(0, 25), (16, 25), (22, 2), (31, 1), (41, 1)],
            &[(0, 25), (16, 12), (22, 3), (31, 1), (41, 1)],
        ];
        for bits in cases {
            assert_eq!(blamed(cd(bits), &EL1, &FULL), [""; 0], "{bits:?}");
        }
    }

    #[test]
    fn stage1_comes_from_the_fields() {
        let c = with(
            &BOTH,
            &[
                (35, 1),
                (36, 1),
                (39, 1),
                (42, 1),
                (43, 1),
                (48, 0xabcd),
                (65, 1),
                (68, 0x8_0000 >> 4),
                (132, 0x9_0000 >> 4),
                (192, 0xff44),
            ],
        );
        let s1 = c.stage1_controls(&EL1, &FULL);
        let [lower, upper] = s1.halves;
        assert_eq!((lower.ttbr, upper.ttbr, s1.mair, s1.asid), (0x8_0000, 0x9_0000, 0xff44, 0xabcd));
        assert_eq!((lower.tbi, upper.tbi, lower.hpd, upper.hpd), (false, true, true, false));
        assert!(s1.ha && s1.hd && s1.wxn && s1.af_fault_disable && s1.enabled && !lower.epd);
        assert_eq!((s1.output, c.policy()), (48, FaultPolicy { record: true, abort: true, stall: false }));
        let plain = with(&PLAIN, &[(42, 1)]).stage1_controls(&EL1, &FULL);
        assert!(plain.halves[1].epd && !plain.ha && !plain.hd, "HD counts with HA");
        let wide =
            cd(&[(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 0xa), (68, 0x1_0000 >> 4)]);
        assert_eq!(wide.stage1_controls(&EL1, &FULL).halves[0].ttbr, 0x1_0000 | 0xa << 2);
        assert_eq!(wide.stage1_controls(&EL1, &Profile { output_bits: 48, ..FULL }).output, 48);
    }

    #[test]
    fn a_level_1_descriptor_points_to_an_aligned_table() {
        assert_eq!(ContextPointer(0x1234_5000).table(6), None);
        assert_eq!(ContextPointer(0x1234_5001).table(6), Some(0x1234_5000));
        assert_eq!(ContextPointer(0xff00_0000_1234_5fff).table(6), Some(0x1234_5000));
        assert_eq!(ContextPointer(0x1234_5001).table(10), Some(0x1234_0000));
    }
}
