//! What an SMMUv3 implements, from which its identification registers follow.

use emu_mmu::Features;
use thiserror::Error;

use super::pmcg::Group;

/// The features and sizes of one SMMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// IDR0.S1P.
    pub stage1: bool,
    /// IDR0.S2P.
    pub stage2: bool,
    /// IDR0.ST_LEVEL: two-level stream tables.
    pub two_level_streams: bool,
    /// IDR0.CD2L: two-level tables of context descriptors.
    pub two_level_contexts: bool,
    /// IDR1.SIDSIZE, in bits.
    pub stream_bits: u8,
    /// IDR1.SSIDSIZE, in bits.
    pub substream_bits: u8,
    /// IDR1.CMDQS, EVENTQS, PRIQS: log2 of the entries.
    pub queue_bits: [u8; 3],
    /// IDR0.ASID16 and VMID16.
    pub asid16: bool,
    /// See `asid16`.
    pub vmid16: bool,
    /// IDR0.STALL_MODEL is 0: stall and terminate are both there. Otherwise 1: no stall.
    pub stall: bool,
    /// IDR5.STALL_MAX: transactions that can be stalled at a time.
    pub stall_max: u16,
    /// IDR0.TERM_MODEL is 1: a transaction that is terminated is aborted, and CD.A = 0 is illegal.
    pub always_aborts: bool,
    /// IDR0.HTTU: the access flag, and the dirty state.
    pub access_flag: bool,
    /// See `access_flag`.
    pub dirty_state: bool,
    /// IDR0.BTM.
    pub broadcast: bool,
    /// IDR0.HYP.
    pub hyp: bool,
    /// IDR0.MSI.
    pub msi: bool,
    /// IDR0.SEV.
    pub sev: bool,
    /// IDR0.ATOS: software can ask where an address leads (GATOS). VATOS is never there.
    pub atos: bool,
    /// IDR0.VMW: invalidations may ignore bits of a VMID. Without stage 2 they do not.
    pub vmid_wildcards: bool,
    /// IDR0.ATS.
    pub ats: bool,
    /// IDR0.NS1ATS is 0: Split-stage ATS, where both stages are there.
    pub split_stage_ats: bool,
    /// IDR0.PRI, which needs ATS.
    pub pri: bool,
    /// IDR1.ATTR_PERMS_OVR and ATTR_TYPES_OVR: the STE and GBPA override the attributes of transactions.
    pub attribute_overrides: bool,
    /// IDR3.RIL.
    pub range_invalidation: bool,
    /// IDR3.BBML.
    pub break_before_make: u8,
    /// IDR3.FWB.
    pub fwb: bool,
    /// IDR3.HAD: hierarchical attribute disables.
    pub had: bool,
    /// IDR3.XNX.
    pub xnx: bool,
    /// IDR5.VAX: 52-bit virtual addresses.
    pub vax52: bool,
    /// IDR5.OAS, in bits.
    pub output_bits: u8,
    /// IDR5.GRAN4K, GRAN16K, GRAN64K.
    pub granules: [bool; 3],
    /// AIDR: 0 for 3.0, 1 for 3.1, 2 for 3.2.
    pub version: u8,
    /// IIDR: who made it. Zero is nobody, for whose parts no driver has a workaround.
    pub iidr: u32,
    /// The performance monitor counter group beside it.
    pub pmcg: Option<Group>,
}

/// Which stages of translation there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stages {
    /// Stage 1 alone.
    One,
    /// Stage 2 alone.
    Two,
    /// Both, and one after the other.
    Nested,
}

/// What a user chooses differently from a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Choices {
    /// The stages.
    pub stages: Option<Stages>,
    /// AIDR: 0 for 3.0, 1 for 3.1, 2 for 3.2. What a version demands comes with it, what it does not have goes.
    pub version: Option<u8>,
    /// IDR1.SIDSIZE.
    pub stream_bits: Option<u8>,
    /// IDR1.SSIDSIZE.
    pub substream_bits: Option<u8>,
    /// IDR5.OAS, in bits.
    pub output_bits: Option<u8>,
    /// IDR3.RIL.
    pub range_invalidation: Option<bool>,
    /// IDR0.ATS. Without it there is no PRI.
    pub ats: Option<bool>,
}

/// A choice that no SMMU can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProfileError {
    /// AIDR.
    #[error("SMMUv3.{0} is not known: 0, 1 and 2 are")]
    Version(u8),
    /// SIDSIZE.
    #[error("a StreamID of {0} bits is not possible: it has at most 32")]
    StreamBits(u8),
    /// SSIDSIZE.
    #[error("a SubstreamID of {0} bits is not possible: it has at most 20")]
    SubstreamBits(u8),
    /// OAS.
    #[error("an output address of {0} bits is not possible: it has 32, 36, 40, 42, 44, 48 or 52")]
    OutputBits(u8),
    /// OAS of 52 bits in SMMUv3.0.
    #[error("SMMUv3.0 has output addresses of at most 48 bits")]
    OutputBitsOfVersion,
    /// RIL of SMMUv3.2.
    #[error("SMMUv3.2 always has invalidation by range")]
    RangesOfVersion,
}

impl Profile {
    /// What QEMU's `smmuv3` says: IDR0 0x0d44101b, IDR1 0x02730010, IDR3 0x1414, IDR5 0x74, AIDR 1, but for the stages.
    pub const QEMU: Self = Self {
        stage1: true,
        stage2: true,
        two_level_streams: true,
        two_level_contexts: false,
        stream_bits: 16,
        substream_bits: 0,
        queue_bits: [19, 19, 0],
        asid16: true,
        vmid16: true,
        stall: false,
        stall_max: 0,
        always_aborts: true,
        access_flag: false,
        dirty_state: false,
        broadcast: false,
        hyp: false,
        msi: false,
        sev: false,
        atos: false,
        vmid_wildcards: false,
        ats: false,
        split_stage_ats: true,
        pri: false,
        attribute_overrides: false,
        range_invalidation: true,
        break_before_make: 2,
        fwb: false,
        had: true,
        xnx: true,
        vax52: false,
        output_bits: 44,
        granules: [true; 3],
        version: 1,
        iidr: 0,
        pmcg: None,
    };

    /// What there is of Arm's CoreLink MMU-600 r2p0: an SMMUv3.1, without its AArch32 tables.
    pub const MMU600: Self = Self {
        two_level_contexts: true,
        stream_bits: 24,
        substream_bits: 20,
        queue_bits: [19; 3],
        stall: true,
        stall_max: 128,
        always_aborts: false,
        access_flag: true,
        dirty_state: true,
        broadcast: true,
        hyp: true,
        msi: true,
        sev: true,
        vmid_wildcards: true,
        ats: true,
        split_stage_ats: false,
        pri: true,
        attribute_overrides: true,
        range_invalidation: false,
        break_before_make: 0,
        output_bits: 48,
        iidr: 0x4832_043b,
        pmcg: Some(Group::MMU600),
        ..Self::QEMU
    };

    /// Everything that is implemented.
    pub const FULL: Self = Self {
        atos: true,
        range_invalidation: true,
        break_before_make: 2,
        fwb: true,
        vax52: true,
        split_stage_ats: true,
        output_bits: 52,
        version: 2,
        stream_bits: 16,
        iidr: 0,
        pmcg: Some(Group::FULL),
        ..Self::MMU600
    };

    /// The profiles by name.
    pub const NAMED: [(&'static str, Self); 3] =
        [("qemu", Self::QEMU), ("mmu600", Self::MMU600), ("full", Self::FULL)];

    /// The profile called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(n, _)| *n == name).map(|(_, profile)| profile)
    }

    /// The profile, with what the user chooses.
    pub fn with(self, choices: &Choices) -> Result<Self, ProfileError> {
        let mut chosen = Self {
            version: choices.version.unwrap_or(self.version),
            stream_bits: choices.stream_bits.unwrap_or(self.stream_bits),
            substream_bits: choices.substream_bits.unwrap_or(self.substream_bits),
            output_bits: choices.output_bits.unwrap_or(self.output_bits),
            range_invalidation: choices.range_invalidation.unwrap_or(self.range_invalidation),
            ats: choices.ats.unwrap_or(self.ats),
            ..self
        };
        if let Some(stages) = choices.stages {
            chosen.stage1 = stages != Stages::Two;
            chosen.stage2 = stages != Stages::One;
        }
        if chosen.version > 2 {
            return Err(ProfileError::Version(chosen.version));
        }
        if chosen.stream_bits > 32 {
            return Err(ProfileError::StreamBits(chosen.stream_bits));
        }
        if chosen.substream_bits > 20 {
            return Err(ProfileError::SubstreamBits(chosen.substream_bits));
        }
        if !OUTPUT_SIZES.contains(&chosen.output_bits) {
            return Err(ProfileError::OutputBits(chosen.output_bits));
        }
        if choices.version == Some(2) && choices.range_invalidation == Some(false) {
            return Err(ProfileError::RangesOfVersion);
        }
        if chosen.version == 0 && choices.output_bits == Some(52) {
            return Err(ProfileError::OutputBitsOfVersion);
        }
        Ok(chosen.as_its_version_demands())
    }

    /// What is not there without something else that is not, and what a version of the architecture demands or does not
    /// have yet (2.3 to 2.5, 6.3.4).
    fn as_its_version_demands(mut self) -> Self {
        if !self.stage1 {
            (self.two_level_contexts, self.substream_bits) = (false, 0);
        }
        self.pri &= self.ats;
        self.vmid_wildcards &= self.stage2;
        let (v1, v2) = (self.version >= 1, self.version >= 2);
        self.had = self.stage1 && (self.had || v1);
        self.xnx = self.stage2 && v1;
        self.fwb = self.stage2 && (self.fwb || v2);
        self.range_invalidation |= v2;
        self.break_before_make = if v2 { self.break_before_make.max(1) } else { self.break_before_make };
        self.vax52 &= v1;
        self.output_bits = if v1 { self.output_bits } else { self.output_bits.min(48) };
        self
    }

    /// The profile beside a CPU like `cpu`: it has the same physical addresses, and nothing of the formats of tables that
    /// the CPU does not have. Software that shares tables between them (SVA) demands that.
    #[must_use]
    pub fn beside(self, cpu: &Features) -> Self {
        Self {
            output_bits: cpu.pa_bits,
            granules: [self.granules[0], cpu.granule16, cpu.granule64],
            vax52: self.vax52 && cpu.lva,
            vmid16: self.vmid16 && cpu.vmid16,
            asid16: self.asid16 && cpu.asid16,
            ..self
        }
    }

    /// What its walks can do: AArch64 tables (IDR0.TTF = 2), little-endian (TTENDIAN = 2), with neither small tables (IDR3.STT)
    /// nor 52-bit addresses in small pages (IDR5.DS).
    #[must_use]
    pub const fn features(&self) -> Features {
        Features {
            pa_bits: self.output_bits,
            granule16: self.granules[1],
            granule64: self.granules[2],
            lpa: self.output_bits >= 52,
            lva: self.vax52,
            lpa2: false,
            ttst: false,
            haf: self.access_flag,
            hdbs: self.dirty_state,
            hpds: self.had,
            xnx: self.xnx,
            pan: true,
            pan3: false,
            e0pd: false,
            tbid: false,
            fwb: self.fwb,
            vmid16: self.vmid16,
            asid16: self.asid16,
            nv: false,
            mte2: false,
        }
    }
}

/// The sizes of output addresses, as IDR5.OAS counts them.
pub(super) const OUTPUT_SIZES: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_what_its_version_demands() {
        for (name, profile) in Profile::NAMED {
            assert_eq!(profile.with(&Choices::default()), Ok(profile), "{name}");
            assert_eq!(Profile::named(name), Some(profile));
        }
        assert_eq!(Profile::named("mmu700"), None);
    }

    #[test]
    fn a_version_brings_what_it_demands_and_loses_what_it_does_not_have() {
        let with =
            |p: Profile, version| p.with(&Choices { version: Some(version), ..Choices::default() }).unwrap();
        let v2 = with(Profile::MMU600, 2);
        assert!(v2.fwb && v2.range_invalidation && v2.break_before_make == 1);
        let v0 = with(Profile::FULL, 0);
        assert!(!v0.xnx && !v0.vax52 && v0.output_bits == 48);
    }

    #[test]
    fn page_requests_need_translation_services() {
        let with = |p: Profile, ats| p.with(&Choices { ats: Some(ats), ..Choices::default() }).unwrap();
        let none = with(Profile::FULL, false);
        assert!(!none.ats && !none.pri);
        assert!(with(Profile::FULL, true).pri);
        let some = with(Profile::QEMU, true);
        assert!(some.ats && !some.pri);
    }

    #[test]
    fn stages_can_be_chosen() {
        let with =
            |stages| Profile::FULL.with(&Choices { stages: Some(stages), ..Choices::default() }).unwrap();
        let (one, two) = (with(Stages::One), with(Stages::Two));
        assert!(one.stage1 && !one.stage2 && !one.fwb && !one.xnx && one.two_level_contexts);
        assert!(!two.stage1 && two.stage2 && !two.had && two.substream_bits == 0 && !two.two_level_contexts);
        assert_eq!(with(Stages::Nested), Profile::FULL);
    }

    #[test]
    fn impossible_choices_are_refused() {
        let none = Choices::default();
        let refused = [
            (Choices { version: Some(3), ..none }, ProfileError::Version(3)),
            (Choices { stream_bits: Some(33), ..none }, ProfileError::StreamBits(33)),
            (Choices { substream_bits: Some(21), ..none }, ProfileError::SubstreamBits(21)),
            (Choices { output_bits: Some(43), ..none }, ProfileError::OutputBits(43)),
            (Choices { output_bits: Some(52), version: Some(0), ..none }, ProfileError::OutputBitsOfVersion),
            (
                Choices { version: Some(2), range_invalidation: Some(false), ..none },
                ProfileError::RangesOfVersion,
            ),
        ];
        for (choices, why) in refused {
            assert_eq!(Profile::QEMU.with(&choices), Err(why));
        }
    }

    #[test]
    fn beside_a_small_cpu_it_has_no_more_than_that() {
        let beside = Profile::FULL.beside(&Features::cortex_a72());
        assert_eq!(beside.output_bits, 44);
        assert!(!beside.vax52 && !beside.granules[1] && !beside.vmid16 && beside.asid16);
        assert_eq!(Profile::FULL.beside(&Features::max()), Profile::FULL);
    }
}
