//! Bits of control registers that the project's code names. The complete lists are in the Arm ARM, D17.2.

/// HCR_EL2.
#[allow(missing_docs, reason = "the architecture's names")]
pub mod hcr {
    pub const VM: u64 = 1 << 0;
    pub const SWIO: u64 = 1 << 1;
    pub const PTW: u64 = 1 << 2;
    pub const FMO: u64 = 1 << 3;
    pub const IMO: u64 = 1 << 4;
    pub const AMO: u64 = 1 << 5;
    pub const VF: u64 = 1 << 6;
    pub const VI: u64 = 1 << 7;
    pub const VSE: u64 = 1 << 8;
    pub const FB: u64 = 1 << 9;
    pub const BSU: u64 = 3 << 10;
    pub const DC: u64 = 1 << 12;
    pub const TWI: u64 = 1 << 13;
    pub const TWE: u64 = 1 << 14;
    pub const TID0: u64 = 1 << 15;
    pub const TID1: u64 = 1 << 16;
    pub const TID2: u64 = 1 << 17;
    pub const TID3: u64 = 1 << 18;
    pub const TSC: u64 = 1 << 19;
    pub const TIDCP: u64 = 1 << 20;
    pub const TACR: u64 = 1 << 21;
    pub const TSW: u64 = 1 << 22;
    pub const TPCP: u64 = 1 << 23;
    pub const TPU: u64 = 1 << 24;
    pub const TTLB: u64 = 1 << 25;
    pub const TVM: u64 = 1 << 26;
    pub const TGE: u64 = 1 << 27;
    pub const TDZ: u64 = 1 << 28;
    pub const HCD: u64 = 1 << 29;
    pub const TRVM: u64 = 1 << 30;
    pub const RW: u64 = 1 << 31;
    pub const CD: u64 = 1 << 32;
    pub const ID: u64 = 1 << 33;
    pub const E2H: u64 = 1 << 34;
    pub const TLOR: u64 = 1 << 35;
    pub const TERR: u64 = 1 << 36;
    pub const TEA: u64 = 1 << 37;
    pub const MIOCNCE: u64 = 1 << 38;
    pub const APK: u64 = 1 << 40;
    pub const API: u64 = 1 << 41;
    pub const FWB: u64 = 1 << 46;
    pub const FIEN: u64 = 1 << 47;
    pub const TID4: u64 = 1 << 49;
    pub const TICAB: u64 = 1 << 50;
    pub const TOCU: u64 = 1 << 52;
    pub const ENSCXT: u64 = 1 << 53;
    pub const TTLBIS: u64 = 1 << 54;
    pub const TTLBOS: u64 = 1 << 55;
}

/// HCRX_EL2.
#[allow(missing_docs, reason = "the architecture's names")]
pub mod hcrx {
    pub const FNXS: u64 = 1 << 3;
    pub const FGTNXS: u64 = 1 << 4;
    pub const MCE2: u64 = 1 << 10;
    pub const MSCEN: u64 = 1 << 11;
}

/// SCTLR_EL1 and SCTLR_EL2.
#[allow(missing_docs, reason = "the architecture's names")]
pub mod sctlr {
    use emu_a64::level::El;

    pub const M: u64 = 1 << 0;
    pub const A: u64 = 1 << 1;
    pub const C: u64 = 1 << 2;
    pub const SA: u64 = 1 << 3;
    pub const SA0: u64 = 1 << 4;
    pub const NAA: u64 = 1 << 6;
    pub const UMA: u64 = 1 << 9;
    pub const ENRCTX: u64 = 1 << 10;
    pub const EOS: u64 = 1 << 11;
    pub const I: u64 = 1 << 12;
    pub const DZE: u64 = 1 << 14;
    pub const UCT: u64 = 1 << 15;
    pub const NTWI: u64 = 1 << 16;
    pub const NTWE: u64 = 1 << 18;
    pub const WXN: u64 = 1 << 19;
    pub const TSCXT: u64 = 1 << 20;
    pub const IESB: u64 = 1 << 21;
    pub const EIS: u64 = 1 << 22;
    pub const SPAN: u64 = 1 << 23;
    pub const E0E: u64 = 1 << 24;
    pub const EE: u64 = 1 << 25;
    pub const UCI: u64 = 1 << 26;
    pub const MSCEN: u64 = 1 << 33;
    pub const ENDB: u64 = 1 << 13;
    pub const ENDA: u64 = 1 << 27;
    pub const ENIB: u64 = 1 << 30;
    pub const ENIA: u64 = 1 << 31;
    pub const NTLSMD: u64 = 1 << 28;
    pub const LSMAOE: u64 = 1 << 29;
    pub const BT0: u64 = 1 << 35;
    /// BT in SCTLR_EL2 without E2H.
    pub const BT1: u64 = 1 << 36;
    pub const DSSBS: u64 = 1 << 44;
    pub const EPAN: u64 = 1 << 57;
    pub const TIDCP: u64 = 1 << 63;

    /// The one of BT0 and BT1 that is about code at `el`.
    #[must_use]
    pub const fn bt(el: El) -> u64 {
        if el.is_privileged() { BT1 } else { BT0 }
    }
}

/// CPTR_EL2 in both layouts, and CPACR_EL1.
#[allow(missing_docs, reason = "the architecture's names")]
pub mod cptr {
    /// CPACR_EL1.FPEN, CPTR_EL2.FPEN with E2H: lowest bit.
    pub const FPEN_SHIFT: u32 = 20;
    /// CPTR_EL2.TFP without E2H.
    pub const TFP: u64 = 1 << 10;
    /// CPTR_EL2.TCPAC in both layouts.
    pub const TCPAC: u64 = 1 << 31;
}

/// MDCR_EL2.
#[allow(missing_docs, reason = "the architecture's names")]
pub mod mdcr {
    pub const TPMCR: u64 = 1 << 5;
    pub const TPM: u64 = 1 << 6;
    pub const HPME: u64 = 1 << 7;
    pub const TDE: u64 = 1 << 8;
    pub const TDA: u64 = 1 << 9;
    pub const TDOSA: u64 = 1 << 10;
    pub const TDRA: u64 = 1 << 11;
    pub const HPMD: u64 = 1 << 17;
    pub const HCCD: u64 = 1 << 23;
    pub const HLP: u64 = 1 << 26;
    pub const TDCC: u64 = 1 << 27;
}
