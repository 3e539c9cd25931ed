//! CPU models: what a named CPU has, and the ID registers that say so.

mod ids;

pub use ids::{FIELDS, Field, Id, IdRegs};

use crate::features::{Feat, FeatureSet};

/// Translation granules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named for what they are")]
pub struct Granules {
    pub k4: bool,
    pub k16: bool,
    pub k64: bool,
}

/// One level of cache, as CCSIDR_EL1 describes it. The caches do not exist; guests size their loops by this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheLevel {
    /// Number of sets.
    pub sets: u32,
    /// Associativity.
    pub ways: u32,
}

/// A CPU model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// As on the command line.
    pub name: &'static str,
    /// MIDR_EL1.
    pub midr: u32,
    /// REVIDR_EL1.
    pub revidr: u32,
    /// What it has.
    pub features: FeatureSet,
    /// Width of a physical address: 32, 36, 40, 42, 44, 48 or 52 bits.
    pub pa_bits: u8,
    /// Granules at both stages.
    pub granules: Granules,
    /// Nanoseconds per tick of the counters: CNTFRQ_EL0 is 1 GHz divided by this.
    pub tick_ns: u64,
    /// Hardware breakpoints, of which the last `context_breakpoints` can match a context.
    pub breakpoints: u8,
    /// Context-aware breakpoints.
    pub context_breakpoints: u8,
    /// Hardware watchpoints.
    pub watchpoints: u8,
    /// L1 data, L1 instruction, L2 (unified) cache; lines of 64 bytes.
    pub caches: [CacheLevel; 3],
    /// PMCR_EL0.IDCODE.
    pub pmu_idcode: u8,
    /// Fields of ID registers that describe the implementation rather than a feature: register, lowest bit, value.
    pub id_extra: &'static [(Id, u32, u8)],
}

impl Model {
    /// Names of all models.
    pub const NAMES: &'static [&'static str] = &["cortex-a72", "neoverse-n1", "max"];

    /// The model of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "cortex-a72" => Some(Self::cortex_a72()),
            "neoverse-n1" => Some(Self::neoverse_n1()),
            "max" => Some(Self::max()),
            _ => None,
        }
    }

    /// Cortex-A72 r0p3: Armv8.0.
    #[must_use]
    pub fn cortex_a72() -> Self {
        Self {
            name: "cortex-a72",
            midr: 0x410f_d083,
            revidr: 0,
            features: V8_0,
            pa_bits: 44,
            granules: Granules { k4: true, k16: false, k64: true },
            tick_ns: 16,
            breakpoints: 6,
            context_breakpoints: 2,
            watchpoints: 4,
            caches: [
                CacheLevel { sets: 256, ways: 2 },
                CacheLevel { sets: 256, ways: 3 },
                CacheLevel { sets: 1024, ways: 16 },
            ],
            pmu_idcode: 0x02,
            id_extra: &[],
        }
    }

    /// Neoverse N1 r4p1: Armv8.2.
    #[must_use]
    pub fn neoverse_n1() -> Self {
        Self {
            name: "neoverse-n1",
            midr: 0x414f_d0c1,
            revidr: 0,
            features: NEOVERSE_N1,
            pa_bits: 48,
            granules: Granules { k4: true, k16: true, k64: true },
            tick_ns: 16,
            breakpoints: 6,
            context_breakpoints: 2,
            watchpoints: 4,
            caches: [
                CacheLevel { sets: 256, ways: 4 },
                CacheLevel { sets: 256, ways: 4 },
                CacheLevel { sets: 2048, ways: 8 },
            ],
            pmu_idcode: 0x0c,
            id_extra: &[SPECULATION_CSV2, SPECULATION_CSV3],
        }
    }

    /// Everything that this program implements.
    #[must_use]
    pub fn max() -> Self {
        Self {
            name: "max",
            midr: 0x000f_0510,
            revidr: 0,
            features: if crate::mem::wide::host_is_atomic() { MAX } else { MAX.without(Feat::Lse2) },
            pa_bits: 52,
            granules: Granules { k4: true, k16: true, k64: true },
            tick_ns: 1,
            breakpoints: 6,
            context_breakpoints: 2,
            watchpoints: 4,
            caches: [
                CacheLevel { sets: 256, ways: 4 },
                CacheLevel { sets: 256, ways: 4 },
                CacheLevel { sets: 2048, ways: 8 },
            ],
            pmu_idcode: 0,
            id_extra: &[SPECULATION_CSV3],
        }
    }

    /// The model with the architected algorithm of pointer authentication in place of the fast one, if it has any.
    #[must_use]
    pub fn with_qarma5(mut self) -> Self {
        if self.features.has(Feat::PAuth) {
            let algorithm = FeatureSet::of(&[Feat::PAuthQarma5]);
            self.features = self.features.without(Feat::PAuthImpdef).union(algorithm);
        }
        self
    }

    /// CNTFRQ_EL0 in Hz.
    #[must_use]
    pub const fn frequency(&self) -> u64 {
        1_000_000_000 / self.tick_ns
    }

    /// The counter's value at a time.
    #[must_use]
    pub const fn ticks(&self, ns: u64) -> u64 {
        ns / self.tick_ns
    }

    /// The time at which the counter reaches a value, if that is ever.
    #[must_use]
    pub const fn ns_of(&self, ticks: u64) -> Option<u64> {
        ticks.checked_mul(self.tick_ns)
    }
}

/// Branch targets of one context do not steer another: nothing is speculated.
const SPECULATION_CSV2: (Id, u32, u8) = (Id::ID_AA64PFR0_EL1, 56, 1);
/// No data is used that was loaded under speculation.
const SPECULATION_CSV3: (Id, u32, u8) = (Id::ID_AA64PFR0_EL1, 60, 1);

/// Armv8.0 with the Cryptographic Extension.
const V8_0: FeatureSet = FeatureSet::of(&[
    Feat::Base,
    Feat::AdvSimd,
    Feat::Aes,
    Feat::Pmull,
    Feat::Sha1,
    Feat::Sha256,
    Feat::Crc32,
    Feat::Pmuv3,
]);

const NEOVERSE_N1: FeatureSet = V8_0.union(FeatureSet::of(&[
    Feat::Lse,
    Feat::Rdm,
    Feat::Fp16,
    Feat::DotProd,
    Feat::Lrcpc,
    Feat::Dpb,
    Feat::Lor,
    Feat::Pan,
    Feat::Pan2,
    Feat::Uao,
    Feat::Vhe,
    Feat::Vmid16,
    Feat::Xnx,
    Feat::Hafdbs,
    Feat::Hpds,
    Feat::Ttcnp,
    Feat::Ras,
    Feat::Ssbs,
    Feat::Ssbs2,
    Feat::Pmuv3p1,
]));

const MAX: FeatureSet = NEOVERSE_N1.union(FeatureSet::of(&[
    Feat::Sha512,
    Feat::Sha3,
    Feat::Sm3,
    Feat::Sm4,
    Feat::I8mm,
    Feat::Bf16,
    Feat::Jscvt,
    Feat::Fcma,
    Feat::Fhm,
    Feat::Lrcpc2,
    Feat::FlagM,
    Feat::FlagM2,
    Feat::FrintTs,
    Feat::Sb,
    Feat::Dit,
    Feat::Dpb2,
    Feat::Wfxt,
    Feat::Pan3,
    Feat::Ttl,
    Feat::TlbiRange,
    Feat::TlbiOs,
    Feat::Ttst,
    Feat::S2fwb,
    Feat::Idst,
    Feat::Evt,
    Feat::E0pd,
    Feat::Lpa,
    Feat::Lva,
    Feat::Lpa2,
    Feat::Csv2,
    Feat::Bbm,
    Feat::Pmuv3p4,
    Feat::Pmuv3p5,
    Feat::Bti,
    Feat::Dgh,
    Feat::Rng,
    Feat::PAuth,
    Feat::PAuthImpdef,
    Feat::Lse2,
    Feat::Hcx,
    Feat::Mops,
    Feat::Fgt,
    Feat::Ecv,
    Feat::EcvPoff,
    Feat::Xs,
    Feat::Specres,
    Feat::Specres2,
    Feat::Tidcp1,
]));
