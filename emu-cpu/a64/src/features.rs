//! Architectural features (Arm ARM, A2.2 and following) that decoding, registers and translation depend on.

use std::fmt;

macro_rules! features {
    ($($id:ident = $doc:literal,)*) => {
        /// One `FEAT_*` of the architecture.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        #[allow(non_camel_case_types, reason = "the names are the architecture's")]
        pub enum Feat { $(#[doc = $doc] $id,)* }

        impl Feat {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
        }
    };
}

features! {
    Base = "What every Armv8.0-A PE has.",
    AdvSimd = "Floating point and Advanced SIMD.",
    AArch32Registers = "Registers at EL2 for AArch32 at EL1, as storage: the part has that, the model has not.",
    Aes = "AESE and its kin.",
    Pmull = "64-bit polynomial multiply.",
    Sha1 = "SHA1 instructions.",
    Sha256 = "SHA256 instructions.",
    Sha512 = "SHA512 instructions.",
    Sha3 = "SHA3 instructions.",
    Sm3 = "SM3 instructions.",
    Sm4 = "SM4 instructions.",
    Crc32 = "CRC32 instructions.",
    Lse = "Large System Extensions: atomics.",
    Lse2 = "Single-copy atomicity of unaligned accesses within 16 bytes.",
    Rdm = "SQRDMLAH, SQRDMLSH.",
    Fp16 = "Half-precision arithmetic.",
    Fhm = "FMLAL, FMLSL.",
    DotProd = "SDOT, UDOT.",
    Jscvt = "FJCVTZS.",
    Fcma = "FCADD, FCMLA.",
    Lrcpc = "LDAPR.",
    Lrcpc2 = "LDAPUR, STLUR.",
    FlagM = "CFINV, RMIF, SETF.",
    FlagM2 = "AXFLAG, XAFLAG.",
    FrintTs = "FRINT32, FRINT64.",
    Sb = "The SB barrier.",
    Ssbs = "PSTATE.SSBS without the instructions.",
    Ssbs2 = "MRS and MSR of SSBS.",
    Dit = "PSTATE.DIT.",
    Dpb = "DC CVAP.",
    Dpb2 = "DC CVADP.",
    PAuth = "Pointer authentication, with FEAT_PAuth2.",
    Fpac = "A failed authentication is an exception, with FEAT_FPACCOMBINE.",
    PAuthQarma5 = "Pointer authentication by the architected algorithm.",
    PAuthImpdef = "Pointer authentication by an algorithm of our own.",
    Bti = "Branch target identification.",
    I8mm = "Int8 matrix multiply.",
    Bf16 = "BFloat16.",
    Mops = "Memory copy and set instructions.",
    Dgh = "The DGH hint.",
    Rng = "RNDR, RNDRRS.",
    Wfxt = "WFET, WFIT.",
    Lor = "Limited ordering regions.",
    Pan = "Privileged access never.",
    Pan2 = "AT S1E1RP, AT S1E1WP.",
    Pan3 = "SCTLR_ELx.EPAN.",
    Uao = "User access override.",
    Vhe = "Virtualization host extensions.",
    Vmid16 = "16-bit VMIDs.",
    Xnx = "Execute-never control for stage 2 by EL.",
    Hafdbs = "Hardware update of the access flag and dirty state.",
    Hpds = "Hierarchical permission disables.",
    Ttcnp = "Common not private translations.",
    Ras = "RAS registers and ESB.",
    Pmuv3 = "Performance monitors.",
    Pmuv3p1 = "PMU: 16-bit event numbers, MDCR_EL2.HPMD.",
    Pmuv3p4 = "PMU: PMMIR_EL1.",
    Pmuv3p5 = "PMU: 64-bit event counters, MDCR_EL2.HCCD.",
    Ttl = "Translation table level hints.",
    TlbiRange = "TLB range invalidation.",
    TlbiOs = "Outer-shareable TLB invalidation.",
    Ttst = "Small translation tables.",
    S2fwb = "Stage 2 forced write-back.",
    Idst = "ID space trap handling.",
    Evt = "Enhanced virtualization traps.",
    E0pd = "EL0 access prevention by half.",
    Ecv = "Enhanced counter virtualization.",
    Fgt = "Fine-grained traps.",
    Hcx = "HCRX_EL2.",
    EcvPoff = "CNTPOFF_EL2.",
    Xs = "TLBI and DSB that do not wait for XS accesses.",
    Specres = "CFP, DVP and CPP.",
    Specres2 = "COSP.",
    Tidcp1 = "Traps of implementation defined functionality at EL0.",
    Lpa = "52-bit physical addresses with 64K granules.",
    Lva = "52-bit virtual addresses with 64K granules.",
    Lpa2 = "52-bit addresses with 4K and 16K granules.",
    Nv = "Nested virtualization.",
    Nv2 = "Enhanced nested virtualization.",
    Ccidx = "The 64-bit format of CCSIDR_EL1.",
    Csv2 = "CSV2 and SCXTNUM registers.",
    Bbm = "Break-before-make level 2.",
}

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureSet(u128);

impl FeatureSet {
    /// The set of these features.
    #[must_use]
    pub const fn of(list: &[Feat]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < list.len() {
            bits |= 1 << list[i] as u8;
            i += 1;
        }
        Self(bits)
    }
    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// This set without `f`.
    #[must_use]
    pub const fn without(self, f: Feat) -> Self {
        Self(self.0 & !(1 << f as u8))
    }
    /// True if `f` is in the set.
    #[must_use]
    pub const fn has(self, f: Feat) -> bool {
        self.0 >> f as u8 & 1 != 0
    }
}

impl fmt::Debug for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Feat::ALL.iter().filter(|x| self.has(**x))).finish()
    }
}
