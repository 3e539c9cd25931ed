//! TLBI: the instructions of A64, and the scopes that they come to (Arm ARM D8.14, C5.5).

use crate::config::{Regime, bit, field, low_mask};

/// What an invalidation names. Addresses are canonical, ranges are inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlbiScope {
    /// Everything of EL1&0, all VMIDs.
    AllEl1,
    /// Everything of EL2 and EL2&0.
    AllEl2,
    /// Everything of one regime and, in EL1&0, one VMID; both stages.
    Context {
        /// The regime.
        regime: Regime,
        /// VMID; 0 outside EL1&0.
        vmid: u16,
    },
    /// What is not global of one ASID.
    Asid {
        /// The regime.
        regime: Regime,
        /// VMID; 0 outside EL1&0.
        vmid: u16,
        /// The ASID.
        asid: u16,
    },
    /// Translations of addresses.
    Va {
        /// The regime.
        regime: Regime,
        /// VMID; 0 outside EL1&0.
        vmid: u16,
        /// Of this ASID and global ones; `None` for all.
        asid: Option<u16>,
        /// First address.
        start: u64,
        /// Last address.
        end: u64,
    },
    /// Translations that went through these intermediate physical addresses.
    Ipa {
        /// VMID.
        vmid: u16,
        /// First address.
        start: u64,
        /// Last address.
        end: u64,
    },
}

/// Who keeps translations that TLB maintenance by the CPUs names: a TLB outside of them, as that of an SMMU which takes part in
/// broadcast maintenance (Arm IHI 0070, 3.17).
pub trait TlbiListener: Send + Sync {
    /// Drops what `scope` names. It is gone when this returns: a DSB after the instruction waits for nothing else.
    fn invalidate(&self, scope: &TlbiScope);
}

/// The operations; the IS, OS and nXS variants differ in who executes them and when, not in what they name. The last-level
/// forms (VALE1, VAALE1, VALE2, IPAS2LE1 and the ranges) are the same as the others here: no intermediate levels are
/// cached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlbiOp {
    /// TLBI ALLE1.
    AllE1,
    /// TLBI ALLE2.
    AllE2,
    /// TLBI VMALLE1.
    VmAllE1,
    /// TLBI VMALLS12E1.
    VmAllS12E1,
    /// TLBI VAE1, VALE1.
    VaE1,
    /// TLBI VAAE1, VAALE1.
    VaaE1,
    /// TLBI ASIDE1.
    AsidE1,
    /// TLBI VAE2, VALE2.
    VaE2,
    /// TLBI IPAS2E1, IPAS2LE1.
    IpaS2E1,
    /// TLBI RVAE1, RVALE1.
    RvaE1,
    /// TLBI RVAAE1, RVAALE1.
    RvaaE1,
    /// TLBI RVAE2, RVALE2.
    RvaE2,
    /// TLBI RIPAS2E1, RIPAS2LE1.
    RipaS2E1,
}

/// The state of the PE that a TLBI depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TlbiContext {
    /// The current VMID.
    pub vmid: u16,
    /// HCR_EL2.{E2H,TGE} = {1,1}: the EL1 operations act on EL2&0.
    pub host: bool,
    /// HCR_EL2.E2H: the EL2 operations act on EL2&0.
    pub e2h: bool,
    /// ASIDs are 16 bits (TCR_ELx.AS); otherwise the upper half of the operand's is ignored.
    pub asid16: bool,
    /// TCR_ELx.DS or VTCR_EL2.DS of the regime: 4 KiB and 16 KiB ranges count their base in 64 KiB (FEAT_LPA2).
    pub ds: bool,
}

impl TlbiOp {
    /// What the operation with operand `xt` names; `None` if the operand is reserved and it has no effect.
    #[must_use]
    pub fn scope(self, xt: u64, context: &TlbiContext) -> Option<TlbiScope> {
        let (regime, vmid) = self.regime(context);
        let asid = field(xt, 63, 48) as u16 & if context.asid16 { 0xffff } else { 0xff };
        let own_asid = regime.has_asids().then_some(asid);
        let page = || {
            let start = sign_extend(field(xt, 43, 0) << 12, 56, regime);
            (start, start | low_mask(12))
        };
        let va = |asid, (start, end)| TlbiScope::Va { regime, vmid, asid, start, end };
        Some(match self {
            Self::AllE1 => TlbiScope::AllEl1,
            Self::AllE2 => TlbiScope::AllEl2,
            Self::VmAllE1 | Self::VmAllS12E1 => TlbiScope::Context { regime, vmid },
            Self::AsidE1 => TlbiScope::Asid { regime, vmid, asid },
            Self::VaE1 | Self::VaE2 => va(own_asid, page()),
            Self::VaaE1 => va(None, page()),
            Self::RvaE1 | Self::RvaE2 => va(own_asid, range(xt, context.ds, regime, true)?),
            Self::RvaaE1 => va(None, range(xt, context.ds, regime, true)?),
            Self::IpaS2E1 => {
                let start = field(xt, 39, 0) << 12;
                TlbiScope::Ipa { vmid, start, end: start | low_mask(12) }
            }
            Self::RipaS2E1 => {
                let (start, end) = range(xt, context.ds, regime, false)?;
                TlbiScope::Ipa { vmid, start, end }
            }
        })
    }

    fn regime(self, context: &TlbiContext) -> (Regime, u16) {
        match self {
            Self::AllE2 | Self::VaE2 | Self::RvaE2 => {
                (if context.e2h { Regime::El20 } else { Regime::El2 }, 0)
            }
            // These always mean EL1&0 of the current VMID.
            Self::VmAllS12E1 | Self::IpaS2E1 | Self::RipaS2E1 => (Regime::El10, context.vmid),
            _ if context.host => (Regime::El20, 0),
            _ => (Regime::El10, context.vmid),
        }
    }
}

/// Copies bit `bits - 1` upwards, in a regime with two halves.
fn sign_extend(address: u64, bits: u32, regime: Regime) -> u64 {
    let high = u64::MAX << bits;
    if regime.has_unprivileged() && bit(address, bits - 1) { address | high } else { address & !high }
}

/// The addresses of a range operand (TLBIRange): BaseADDR 36:0, TTL 38:37, NUM 43:39, SCALE 45:44, TG 47:46. The range
/// stops at the end of the half that it starts in.
fn range(xt: u64, ds: bool, regime: Regime, is_va: bool) -> Option<(u64, u64)> {
    let granule = match field(xt, 47, 46) {
        1 => 12,
        2 => 14,
        3 => 16,
        _ => return None,
    };
    let unit = if ds { 16 } else { granule };
    let base = field(xt, 36, 0) << unit;
    let start = if is_va { sign_extend(base, 37 + unit, regime) } else { base };
    let length = (field(xt, 43, 39) + 1) << (5 * field(xt, 45, 44) + 1 + u64::from(granule));
    let last = if is_va && bit(start, 63) { u64::MAX } else { low_mask(56) };
    Some((start, start.saturating_add(length - 1).min(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: TlbiContext = TlbiContext { vmid: 7, host: false, e2h: true, asid16: true, ds: false };

    #[test]
    fn by_address() {
        let kernel = TlbiOp::VaE1.scope(0x0012_0fff_ff80_1234, &GUEST);
        assert_eq!(
            kernel,
            Some(TlbiScope::Va {
                regime: Regime::El10,
                vmid: 7,
                asid: Some(0x12),
                start: 0xffff_fff8_0123_4000,
                end: 0xffff_fff8_0123_4fff,
            })
        );
        let host = TlbiContext { host: true, ..GUEST };
        assert!(matches!(
            TlbiOp::VaaE1.scope(0x1234, &host),
            Some(TlbiScope::Va { regime: Regime::El20, vmid: 0, asid: None, start: 0x123_4000, .. })
        ));
        let nvhe = TlbiContext { e2h: false, ..GUEST };
        assert!(matches!(
            TlbiOp::VaE2.scope(0x0fff_ff80_1234, &nvhe),
            Some(TlbiScope::Va { regime: Regime::El2, asid: None, start: 0x00ff_fff8_0123_4000, .. })
        ));
    }

    #[test]
    fn whole_contexts() {
        let host = TlbiContext { host: true, ..GUEST };
        assert_eq!(
            TlbiOp::VmAllE1.scope(0, &host),
            Some(TlbiScope::Context { regime: Regime::El20, vmid: 0 })
        );
        assert_eq!(
            TlbiOp::VmAllS12E1.scope(0, &host),
            Some(TlbiScope::Context { regime: Regime::El10, vmid: 7 })
        );
        let narrow = TlbiContext { asid16: false, ..GUEST };
        assert_eq!(
            TlbiOp::AsidE1.scope(0xabcd << 48, &narrow),
            Some(TlbiScope::Asid { regime: Regime::El10, vmid: 7, asid: 0xcd })
        );
        assert_eq!(TlbiOp::AllE1.scope(0, &GUEST), Some(TlbiScope::AllEl1));
        assert_eq!(TlbiOp::AllE2.scope(0, &GUEST), Some(TlbiScope::AllEl2));
    }

    #[test]
    fn ranges() {
        // 4 KiB, NUM 1, SCALE 0: (1 + 1) * 2 pages.
        let xt = 1 << 46 | 1 << 39 | 0x80000;
        let scope = TlbiOp::RipaS2E1.scope(xt, &GUEST);
        assert_eq!(scope, Some(TlbiScope::Ipa { vmid: 7, start: 0x8000_0000, end: 0x8000_3fff }));
        // 64 KiB, NUM 31, SCALE 3: 32 << 16 pages.
        let xt = 3 << 46 | 3 << 44 | 31 << 39 | 0x10;
        let Some(TlbiScope::Va { start, end, .. }) = TlbiOp::RvaaE1.scope(xt, &GUEST) else { panic!() };
        assert_eq!((start, end), (0x10_0000, 0x10_0000 + (32 << 32) - 1));
        // The upper half, and its end.
        let xt = 1 << 46 | 31 << 39 | 3 << 44 | 0x1f_ffff_ffff;
        let Some(TlbiScope::Va { start, end, .. }) = TlbiOp::RvaE1.scope(xt, &GUEST) else { panic!() };
        assert_eq!((start, end), (0xffff_ffff_ffff_f000, u64::MAX));
        assert_eq!(TlbiOp::RvaE1.scope(0x1234, &GUEST), None);
        let ds = TlbiContext { ds: true, ..GUEST };
        let scope = TlbiOp::RipaS2E1.scope(1 << 46 | 2, &ds);
        assert_eq!(scope, Some(TlbiScope::Ipa { vmid: 7, start: 0x2_0000, end: 0x2_1fff }));
    }
}
