//! What the registers say of how transactions are dealt with, as one value that the stream side reads.

/// A snapshot of the registers, replaced as a whole when one of them takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// CR0.SMMUEN.
    pub enabled: bool,
    /// CR0.ATSCHK.
    pub ats_check: bool,
    /// GBPA.ABORT: transactions are aborted while the SMMU is not enabled.
    pub bypass_aborts: bool,
    /// STRTAB_BASE.
    pub strtab_base: u64,
    /// STRTAB_BASE_CFG.
    pub strtab_base_cfg: u32,
    /// CR2.RECINVSID: C_BAD_STREAMID is recorded.
    pub record_bad_stream: bool,
    /// CR2.E2H.
    pub e2h: bool,
    /// CR2.PTM: TLB maintenance of CPUs is not taken part in.
    pub private_tlb: bool,
    /// CR0.VMW: how many bits of a VMID invalidations ignore.
    pub vmid_wildcard: u8,
}
