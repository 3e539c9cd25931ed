//! What an SMMUv3 implements, from which its identification registers follow.

use emu_mmu::Features;

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
    /// IDR0.ATS. Split-stage ATS is never there (IDR0.NS1ATS = 1).
    pub ats: bool,
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
        ats: false,
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
    };

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
