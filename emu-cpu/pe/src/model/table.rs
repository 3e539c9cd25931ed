//! The CPU models: one row each. Values of registers are those of the parts' Technical Reference Manuals, less what is not
//! implemented here; `docs/cpu-models.md` lists that for each model.

use emu_a64::features::{Feat, FeatureSet};

use super::{CacheLevel, Granules, Id, Model};

/// All models, the oldest architecture first.
pub static MODELS: &[Model] = &[
    CORTEX_A35,
    CORTEX_A53,
    CORTEX_A57,
    CORTEX_A72,
    CORTEX_A55,
    CORTEX_A76,
    NEOVERSE_N1,
    NEOVERSE_V1,
    NEOVERSE_N2,
    MAX,
    MAX_QARMA5,
];

/// What parts of Armv8.0 have in common. CTR_EL0: PIPT instruction caches, which need maintenance.
const ARMV8_0: Model = Model {
    name: "",
    summary: "",
    compatible: "",
    midr: 0,
    revidr: 0,
    ctr: 0x8444_c004,
    clidr: LEVELS_WITH_MAINTENANCE,
    features: V8_0.union(AARCH32),
    pa_bits: 40,
    granules: Granules { k4: true, k16: false, k64: true },
    tick_ns: 16,
    breakpoints: 6,
    context_breakpoints: 2,
    watchpoints: 4,
    caches: [cache(32, 4), cache(32, 2), cache(512, 8)],
    pmu_idcode: 0,
    id_extra: &[],
};

/// What parts of Armv8.2 have in common.
const ARMV8_2: Model = Model {
    clidr: LEVELS,
    features: V8_2,
    granules: Granules { k4: true, k16: true, k64: true },
    caches: [cache(64, 4), cache(64, 4), cache(512, 8)],
    id_extra: &[CSV2, CSV3],
    ..ARMV8_0
};

const CORTEX_A35: Model = Model {
    name: "cortex-a35",
    summary: "Cortex-A35 r1p0: Armv8.0",
    compatible: "arm,cortex-a35",
    midr: 0x411f_d040,
    ctr: VIPT,
    granules: Granules { k4: true, k16: true, k64: true },
    pmu_idcode: 0x0a,
    ..ARMV8_0
};

const CORTEX_A53: Model = Model {
    name: "cortex-a53",
    summary: "Cortex-A53 r0p4: Armv8.0",
    compatible: "arm,cortex-a53",
    midr: 0x410f_d034,
    // Bit 8: the part has the correction of erratum 843419.
    revidr: 0x100,
    ctr: VIPT,
    caches: [cache(32, 4), cache(32, 2), cache(1024, 16)],
    pmu_idcode: 0x03,
    ..ARMV8_0
};

const CORTEX_A57: Model = Model {
    name: "cortex-a57",
    summary: "Cortex-A57 r1p0: Armv8.0",
    compatible: "arm,cortex-a57",
    midr: 0x411f_d070,
    pa_bits: 44,
    caches: [cache(32, 2), cache(48, 3), cache(2048, 16)],
    pmu_idcode: 0x01,
    ..ARMV8_0
};

pub(super) const CORTEX_A72: Model = Model {
    name: "cortex-a72",
    summary: "Cortex-A72 r0p3: Armv8.0",
    compatible: "arm,cortex-a72",
    midr: 0x410f_d083,
    pa_bits: 44,
    caches: [cache(32, 2), cache(48, 3), cache(1024, 16)],
    pmu_idcode: 0x02,
    ..ARMV8_0
};

const CORTEX_A55: Model = Model {
    name: "cortex-a55",
    summary: "Cortex-A55 r2p0: Armv8.2 with VHE",
    compatible: "arm,cortex-a55",
    midr: 0x412f_d050,
    ctr: VIPT,
    caches: [cache(32, 4), cache(32, 4), cache(256, 4)],
    pmu_idcode: 0x45,
    features: V8_2.union(AARCH32),
    id_extra: &[],
    ..ARMV8_2
};

const CORTEX_A76: Model = Model {
    name: "cortex-a76",
    summary: "Cortex-A76 r4p1: Armv8.2 with VHE",
    compatible: "arm,cortex-a76",
    midr: 0x414f_d0b1,
    pmu_idcode: 0x0b,
    ..ARMV8_2
};

pub(super) const NEOVERSE_N1: Model = Model {
    name: "neoverse-n1",
    summary: "Neoverse N1 r4p1: Armv8.2 with VHE",
    compatible: "arm,neoverse-n1",
    midr: 0x414f_d0c1,
    // As configured with a coherent instruction cache.
    ctr: COHERENT,
    features: V8_2.union(FeatureSet::of(&[Feat::Ssbs2])),
    pa_bits: 48,
    caches: [cache(64, 4), cache(64, 4), cache(1024, 8)],
    pmu_idcode: 0x0c,
    ..ARMV8_2
};

const NEOVERSE_V1: Model = Model {
    name: "neoverse-v1",
    summary: "Neoverse V1 r1p2: Armv8.4 and parts of Armv8.6, without SVE",
    compatible: "arm,neoverse-v1",
    midr: 0x411f_d402,
    features: V1,
    pmu_idcode: 0x21,
    ..NEOVERSE_N1
};

const NEOVERSE_N2: Model = Model {
    name: "neoverse-n2",
    summary: "Neoverse N2 r0p3: Armv9.0 without SVE2 and MTE",
    compatible: "arm,neoverse-n2",
    midr: 0x410f_d493,
    features: N2,
    caches: [cache(64, 4), cache(64, 4), cache(512, 8)],
    pmu_idcode: 0,
    id_extra: &[CSV2_2, CSV3, STAGE2_K16, STAGE2_K64, STAGE2_K4],
    ..NEOVERSE_N1
};

pub(super) const MAX: Model = Model {
    name: "max",
    summary: "everything that is implemented",
    // The binding keeps this name for software models.
    compatible: "arm,armv8",
    midr: 0x000f_0510,
    clidr: LEVELS_WITH_MAINTENANCE,
    features: ALL,
    pa_bits: 52,
    tick_ns: 1,
    caches: [cache(64, 4), cache(64, 4), cache(1024, 8)],
    pmu_idcode: 0,
    id_extra: &[CSV3],
    ..NEOVERSE_N1
};

const MAX_QARMA5: Model = Model {
    name: "max-qarma5",
    summary: "the same, with the architected pointer authentication in place of a fast one",
    features: ALL.without(Feat::PAuthImpdef).union(FeatureSet::of(&[Feat::PAuthQarma5])),
    ..MAX
};

/// A cache of `kib` KiB with lines of 64 bytes.
const fn cache(kib: u32, ways: u32) -> CacheLevel {
    CacheLevel { sets: kib * 1024 / 64 / ways, ways }
}

/// CTR_EL0: lines of 64 bytes; VIPT instruction caches, which need maintenance.
const VIPT: u32 = 0x8444_8004;
/// PIPT; IDC and DIC: instruction fetches see what was stored without maintenance.
const COHERENT: u32 = 0xb444_c004;
/// CLIDR_EL1: level 1 separate, level 2 unified; level of coherency 2; levels of unification 1.
const LEVELS_WITH_MAINTENANCE: u64 = 0x0a20_0023;
/// The same with levels of unification 0, and the boundary to what is shared behind level 2.
const LEVELS: u64 = 0x8200_0023;

/// Branch targets of one context do not steer another: nothing is speculated.
const CSV2: (Id, u32, u8) = (Id::ID_AA64PFR0_EL1, 56, 1);
/// The same with SCXTNUM_ELx.
const CSV2_2: (Id, u32, u8) = (Id::ID_AA64PFR0_EL1, 56, 2);
/// No data is used that was loaded under speculation.
const CSV3: (Id, u32, u8) = (Id::ID_AA64PFR0_EL1, 60, 1);

/// ID_AA64MMFR0_EL1 of Armv8.5 and later says of stage 2 by itself which granules there are.
const STAGE2_K16: (Id, u32, u8) = (Id::ID_AA64MMFR0_EL1, 32, 2);
const STAGE2_K64: (Id, u32, u8) = (Id::ID_AA64MMFR0_EL1, 36, 2);
const STAGE2_K4: (Id, u32, u8) = (Id::ID_AA64MMFR0_EL1, 40, 2);

/// Of parts with AArch32 at EL1.
const AARCH32: FeatureSet = FeatureSet::of(&[Feat::AArch32Registers]);

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

/// Armv8.2 as the Cortex-A55 and its contemporaries have it.
const V8_2: FeatureSet = V8_0.union(FeatureSet::of(&[
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
    Feat::Pmuv3p1,
]));

/// Neoverse V1: its pointer authentication does not fault, and it has neither TLB range instructions nor BTI.
const V1: FeatureSet = V8_2.union(FeatureSet::of(&[
    Feat::Ssbs2,
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
    Feat::Dit,
    Feat::Dpb2,
    Feat::S2fwb,
    Feat::Idst,
    Feat::Evt,
    Feat::Bbm,
    Feat::Pmuv3p4,
    Feat::Dgh,
    Feat::Rng,
    Feat::PAuth,
    Feat::PAuthQarma5,
    Feat::Lse2,
    Feat::Ccidx,
]));

/// Neoverse N2.
const N2: FeatureSet = V1.union(FeatureSet::of(&[
    Feat::FlagM2,
    Feat::FrintTs,
    Feat::Sb,
    Feat::Specres,
    Feat::TlbiOs,
    Feat::TlbiRange,
    Feat::Ttl,
    Feat::Ttst,
    Feat::E0pd,
    Feat::Csv2,
    Feat::Bti,
    Feat::Fpac,
    Feat::Pmuv3p5,
]));

/// All that there is, but FEAT_CCIDX: older firmware sizes its loops by the 32-bit format of CCSIDR_EL1.
const ALL: FeatureSet = N2.without(Feat::PAuthQarma5).without(Feat::Ccidx).union(FeatureSet::of(&[
    Feat::PAuthImpdef,
    Feat::Wfxt,
    Feat::Pan3,
    Feat::Lpa,
    Feat::Lva,
    Feat::Lpa2,
    Feat::Hcx,
    Feat::Mops,
    Feat::Fgt,
    Feat::Ecv,
    Feat::EcvPoff,
    Feat::Xs,
    Feat::Specres2,
    Feat::Tidcp1,
]));
