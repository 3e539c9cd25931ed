//! Context Descriptors (Arm IHI 0070, 5.4), reached through Non-secure STEs.

use emu_core::Security;
use emu_mmu::{Granule, Half, Regime, Shareability, Stage1};

use super::layout::{Broken, Field, Rule, Words, as_ttbr, effective_size, fields, low, out_of_range};
use super::profile::Profile;
use super::ste::supported;
use crate::translation::FaultPolicy;

fields! {
    T0SZ "T0SZ" new 5:0;
    TG0 "TG0" new 7:6;
    EPD0 "EPD0" new 14:14;
    ENDI "ENDI" new 15:15;
    T1SZ "T1SZ" new 21:16;
    TG1 "TG1" new 23:22;
    EPD1 "EPD1" new 30:30;
    V "V" new 31:31;
    IPS "IPS" new 34:32;
    AFFD "AFFD" new 35:35;
    WXN "WXN" new 36:36;
    TBI0 "TBI0" new 38:38;
    TBI1 "TBI1" new 39:39;
    PAN "PAN" new 40:40;
    AA64 "AA64" new 41:41;
    HD "HD" new 42:42;
    HA "HA" new 43:43;
    S "S" new 44:44;
    R "R" new 45:45;
    A "A" new 46:46;
    ASET "ASET" new 47:47;
    ASID "ASID" new 63:48;
    HAD0 "HAD0" new 65:65;
    TTB0 "TTB0" address 115:68;
    HAD1 "HAD1" new 129:129;
    TTB1 "TTB1" address 179:132;
    MAIR "MAIR" new 255:192;
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
mod tests;
