//! From a stream to its context (Arm IHI 0062, SMMU_SMRn and S2CRn): stream matching, and the context banks
//! that the match leads to.

use std::sync::Arc;

use super::bank::Type;
use super::fault::GlobalFault;
use super::profile::Profile;
use super::registers::{CLIENTPD, EXIDENABLE, EXIDVALID, Registers, SMCFCFG, STALLD, USFCFG};
use crate::translation::{Context, Override};

/// What is to be done with a stream's transactions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// They go through as they are.
    Bypass,
    /// They are dealt with by context banks.
    Context(Arc<Context>),
    /// A global fault; of the context rather than of the stream, if it is nested.
    Fault(GlobalFault, Nested),
}

/// sGFSYNR0.Nested.
type Nested = bool;

/// The fields of SMMU_S2CRn.
#[derive(Clone, Copy)]
pub(super) struct S2cr(pub(super) u32);

impl S2cr {
    /// TYPE: 0 translates, 1 bypasses, 2 faults, and so does what is reserved.
    pub(super) const fn kind(self) -> u32 {
        self.0 >> 16 & 3
    }

    pub(super) const fn bank(self) -> u8 {
        self.0 as u8
    }

    /// PRIVCFG and INSTCFG: 0b10 is never, 0b11 always.
    const fn overrides(self) -> [Override; 2] {
        [attribute(self.0 >> 24), attribute(self.0 >> 26)]
    }
}

const fn attribute(field: u32) -> Override {
    match field & 3 {
        2 => Override::Never,
        3 => Override::Always,
        _ => Override::Incoming,
    }
}

/// How many groups a stream matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Match {
    None,
    One(usize),
    Several,
}

impl Registers {
    /// What is to be done with the transactions of a stream.
    pub(super) fn route(&self, stream: u32, profile: &Profile) -> Route {
        if self.cr0 & CLIENTPD != 0 {
            return Route::Bypass;
        }
        let faults = |configured: u32, fault| {
            if self.cr0 & configured == 0 { Route::Bypass } else { Route::Fault(fault, false) }
        };
        let s2cr = match self.matches(stream) {
            Match::None => return faults(USFCFG, GlobalFault::UnidentifiedStream),
            Match::Several => return faults(SMCFCFG, GlobalFault::StreamMatchConflict),
            Match::One(group) => S2cr(self.s2cr[group]),
        };
        match s2cr.kind() {
            0 => match self.context(s2cr, profile) {
                Ok(context) => Route::Context(Arc::new(context)),
                Err((fault, nested)) => Route::Fault(fault, nested),
            },
            1 => Route::Bypass,
            _ => Route::Fault(GlobalFault::InvalidContext, false),
        }
    }

    /// The groups that a stream matches: those whose ID differs from it in bits of MASK alone.
    pub(super) fn matching(&self, stream: u32) -> impl Iterator<Item = usize> {
        let extended = self.cr0 & EXIDENABLE != 0;
        let bits = if extended { 0xffff } else { 0x7fff };
        let is_match = move |group: &usize| {
            let (smr, s2cr) = (self.smr[*group], self.s2cr[*group]);
            let valid = if extended { s2cr & EXIDVALID != 0 } else { smr >> 31 != 0 };
            valid && stream <= bits && (smr ^ stream) & !(smr >> 16) & bits == 0
        };
        (0..self.smr.len()).filter(is_match)
    }

    fn matches(&self, stream: u32) -> Match {
        let mut matching = self.matching(stream);
        match (matching.next(), matching.next()) {
            (None, _) => Match::None,
            (Some(group), None) => Match::One(group),
            (Some(_), Some(_)) => Match::Several,
        }
    }

    /// The context of the bank that an S2CR names.
    fn context(&self, s2cr: S2cr, profile: &Profile) -> Result<Context, (GlobalFault, Nested)> {
        let [privileged, instruction] = s2cr.overrides();
        let context = self.context_of(s2cr.bank(), profile)?;
        Ok(Context { privileged, instruction, ..context })
    }

    /// The context of a bank, with those that it leads to.
    pub(super) fn context_of(&self, n: u8, profile: &Profile) -> Result<Context, (GlobalFault, Nested)> {
        let unimplemented = |nested| (GlobalFault::UnimplementedContextBank, nested);
        let invalid = |nested| (GlobalFault::InvalidContext, nested);
        let features = profile.features();
        let stalls = self.cr0 & STALLD == 0;
        let bank = self.banks.get(usize::from(n)).ok_or(unimplemented(false))?;
        if !bank.is_aarch64() {
            return Err(invalid(false));
        }
        let vmid = bank.vmid(self.cr0);
        let policy = bank.policy(stalls);
        let alone = Context { vmid, policy1: policy, policy2: policy, banks: [n; 2], ..Context::default() };
        let second = match bank.kind() {
            Type::Stage2 => return Ok(Context { stage2: bank.stage2(&features, vmid), ..alone }),
            Type::Stage1Fault => return Err(invalid(true)),
            Type::Stage1 => None,
            Type::Nested(second) => Some(second),
        };
        let first = Context { stage1: bank.stage1(&features), sign: bank.sign(), ..alone };
        let Some(second) = second else { return Ok(first) };
        let bank = self.banks.get(usize::from(second)).ok_or(unimplemented(true))?;
        if bank.kind() != Type::Stage2 || !bank.is_aarch64() {
            return Err(invalid(true));
        }
        let stage2 = bank.stage2(&features, vmid);
        Ok(Context { stage2, policy2: bank.policy(stalls), banks: [n, second], ..first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::registers::Reg;

    const P: Profile = Profile::MMU500;

    /// Groups by SMR and S2CR, with USFCFG and SMCFCFG.
    fn groups(groups: &[(u32, u32)]) -> Registers {
        let mut r = Registers::new(&P);
        r.cr0 = 1 << 10 | 1 << 21;
        for (n, (smr, s2cr)) in groups.iter().enumerate() {
            (r.smr[n], r.s2cr[n]) = (*smr, *s2cr);
        }
        r
    }

    fn fault(route: &Route) -> (GlobalFault, bool) {
        match route {
            Route::Fault(fault, nested) => (*fault, *nested),
            other => panic!("{other:?}"),
        }
    }

    fn context(route: &Route) -> Context {
        match route {
            Route::Context(context) => Context::clone(context),
            other => panic!("{other:?}"),
        }
    }

    const VALID: u32 = 1 << 31;
    const BYPASS: u32 = 1 << 16;
    const FAULT: u32 = 2 << 16;

    #[test]
    fn the_mask_says_which_bits_of_a_stream_do_not_matter() {
        let r = groups(&[(VALID | 0x00f0 << 16 | 0x1204, BYPASS)]);
        for stream in [0x1204, 0x1214, 0x12f4] {
            assert_eq!(r.route(stream, &P), Route::Bypass);
        }
        for stream in [0x1205, 0x1304, 0x9204, 0x1_1204] {
            assert_eq!(fault(&r.route(stream, &P)), (GlobalFault::UnidentifiedStream, false), "{stream:#x}");
        }
        // Not valid.
        let r = groups(&[(0x1204, BYPASS)]);
        assert_eq!(fault(&r.route(0x1204, &P)).0, GlobalFault::UnidentifiedStream);
    }

    #[test]
    fn an_unidentified_stream_passes_without_usfcfg() {
        let mut r = groups(&[]);
        r.cr0 = 0;
        assert_eq!(r.route(1, &P), Route::Bypass);
    }

    #[test]
    fn a_stream_that_matches_twice_is_a_conflict() {
        let mut r = groups(&[(VALID | 8, BYPASS), (VALID | 0xff << 16, FAULT)]);
        assert_eq!(fault(&r.route(8, &P)), (GlobalFault::StreamMatchConflict, false));
        assert_eq!(fault(&r.route(9, &P)), (GlobalFault::InvalidContext, false));
        r.cr0 &= !(1 << 21);
        assert_eq!(r.route(8, &P), Route::Bypass, "SMCFCFG is 0");
    }

    #[test]
    fn with_extended_ids_16_bits_match_and_s2cr_says_what_is_valid() {
        let mut r = Registers::new(&Profile::FULL);
        r.cr0 = EXIDENABLE | 1 << 10;
        (r.smr[0], r.s2cr[0]) = (0x8000_9234, BYPASS | EXIDVALID);
        (r.smr[1], r.s2cr[1]) = (0x5555, BYPASS);
        for stream in [0x9234, 0x1234] {
            assert_eq!(r.route(stream, &Profile::FULL), Route::Bypass);
        }
        assert_eq!(fault(&r.route(0x5555, &Profile::FULL)).0, GlobalFault::UnidentifiedStream);
    }

    #[test]
    fn with_clientpd_nothing_is_looked_at() {
        let mut r = groups(&[(VALID | 1, FAULT)]);
        r.cr0 |= CLIENTPD;
        assert_eq!([1, 2].map(|stream| r.route(stream, &P)), [Route::Bypass, Route::Bypass]);
    }

    #[test]
    fn every_type_of_s2cr() {
        let mut r = groups(&[(VALID, 0), (VALID | 1, BYPASS), (VALID | 2, FAULT), (VALID | 3, 3 << 16)]);
        r.banks[0].cba2r = 1;
        assert_eq!(context(&r.route(0, &P)).banks, [0, 0]);
        assert_eq!(r.route(1, &P), Route::Bypass);
        assert_eq!(fault(&r.route(2, &P)), (GlobalFault::InvalidContext, false));
        assert_eq!(fault(&r.route(3, &P)), (GlobalFault::InvalidContext, false), "reserved");
    }

    #[test]
    fn privilege_and_instruction_can_be_overridden() {
        let overrides = |bits| {
            let mut r = groups(&[(VALID, bits)]);
            r.banks[0].cba2r = 1;
            let c = context(&r.route(0, &P));
            (c.privileged, c.instruction)
        };
        assert_eq!(overrides(0), (Override::Incoming, Override::Incoming));
        assert_eq!(overrides(2 << 24 | 3 << 26), (Override::Never, Override::Always));
        assert_eq!(overrides(3 << 24 | 2 << 26), (Override::Always, Override::Never));
        assert_eq!(overrides(1 << 24 | 1 << 26), (Override::Incoming, Override::Incoming));
    }

    /// A stream with bank 1, of a type, and bank 2 of stage 2.
    fn banks(cbar: u32) -> Registers {
        let mut r = groups(&[(VALID, 1)]);
        for n in [1, 2] {
            assert!(r.write(Reg::Cba2r, n, 1, &P) && r.write(Reg::Sctlr, n, 0x61, &P));
        }
        r.write(Reg::Cbar, 1, cbar.into(), &P);
        r.write(Reg::Cbar, 2, 7, &P);
        r.banks[2].sctlr = 0xc1;
        r
    }

    #[test]
    fn every_type_of_cbar() {
        let stage2 = context(&banks(0x0000_0007).route(0, &P));
        assert!(stage2.stage1.is_none() && stage2.stage2.is_some_and(|s| s.vmid == 7));
        assert_eq!((stage2.vmid, stage2.banks, stage2.sign), (7, [1, 1], None));

        let stage1 = context(&banks(0x0001_0007).route(0, &P));
        assert!(stage1.stage1.is_some() && stage1.stage2.is_none());
        assert_eq!((stage1.vmid, stage1.banks, stage1.sign), (7, [1, 1], Some(31)));

        assert_eq!(fault(&banks(0x0002_0000).route(0, &P)), (GlobalFault::InvalidContext, true));

        let nested = context(&banks(0x0003_0209).route(0, &P));
        assert!(nested.stage1.is_some() && nested.stage2.is_some_and(|s| s.vmid == 9));
        assert_eq!((nested.vmid, nested.banks), (9, [1, 2]));
        assert!(
            nested.policy1.abort && !nested.policy1.stall && nested.policy2.stall && !nested.policy2.abort
        );
    }

    #[test]
    fn a_stage_that_is_not_enabled_is_bypassed() {
        let mut r = banks(0x0003_0209);
        r.banks[1].sctlr = 0;
        assert!(context(&r.route(0, &P)).stage1.is_none());
        r.banks[2].sctlr = 0;
        let neither = context(&r.route(0, &P));
        assert!(neither.stage1.is_none() && neither.stage2.is_none());
    }

    #[test]
    fn banks_that_cannot_be_are_faults_of_the_stream_or_of_the_context() {
        let mut r = banks(0x0001_0000);
        r.s2cr[0] = 32;
        assert_eq!(fault(&r.route(0, &P)), (GlobalFault::UnimplementedContextBank, false));
        let r = banks(0x0003_2000);
        assert_eq!(fault(&r.route(0, &P)), (GlobalFault::UnimplementedContextBank, true));
        let r = banks(0x0003_0100);
        assert_eq!(fault(&r.route(0, &P)), (GlobalFault::InvalidContext, true), "not one of stage 2");
        let mut r = banks(0x0001_0000);
        r.banks[1].cba2r = 0;
        assert_eq!(fault(&r.route(0, &P)), (GlobalFault::InvalidContext, false), "AArch32 tables");
    }

    #[test]
    fn stalld_forbids_stalls() {
        let mut r = banks(0x0000_0000);
        r.banks[1].sctlr = 0xc1;
        assert!(context(&r.route(0, &P)).policy2.stall);
        r.cr0 |= STALLD;
        assert!(!context(&r.route(0, &P)).policy2.stall);
    }
}
