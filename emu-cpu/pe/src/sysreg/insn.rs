//! System instructions: cache, TLB and address translation operations (Arm ARM, C5.3 to C5.5).

/// How far a TLBI goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    /// This PE.
    Local,
    /// Inner Shareable domain: all PEs of the machine.
    Inner,
    /// Outer Shareable domain (FEAT_TLBIOS): all PEs of the machine.
    Outer,
}

/// What a TLBI invalidates, named as in the Arm ARM. The names stand for the encoding: VAE1 executed at EL2 with
/// HCR_EL2.{E2H, TGE} = {1, 1} means the EL2&0 regime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum TlbiOp {
    VmallE1,
    Vae1,
    Aside1,
    Vaae1,
    Vale1,
    Vaale1,
    Ipas2e1,
    Ipas2le1,
    Alle2,
    Vae2,
    Vale2,
    Alle1,
    Vmalls12e1,
    // FEAT_TLBIRANGE.
    Rvae1,
    Rvaae1,
    Rvale1,
    Rvaale1,
    Ripas2e1,
    Ripas2le1,
    Rvae2,
    Rvale2,
}

impl TlbiOp {
    /// Takes a range as operand (FEAT_TLBIRANGE).
    #[must_use]
    pub const fn is_range(self) -> bool {
        use TlbiOp::*;
        matches!(self, Rvae1 | Rvaae1 | Rvale1 | Rvaale1 | Ripas2e1 | Ripas2le1 | Rvae2 | Rvale2)
    }
    /// Last level of the walk only.
    #[must_use]
    pub const fn last_level_only(self) -> bool {
        use TlbiOp::*;
        matches!(self, Vale1 | Vaale1 | Ipas2le1 | Vale2 | Rvale1 | Rvaale1 | Ripas2le1 | Rvale2)
    }
}

/// Address translation instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum AtOp {
    S1E1R,
    S1E1W,
    S1E0R,
    S1E0W,
    S1E1RP,
    S1E1WP,
    S1E2R,
    S1E2W,
    S12E1R,
    S12E1W,
    S12E0R,
    S12E0W,
}

/// Data cache instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum DcOp {
    Ivac,
    Isw,
    Csw,
    Cisw,
    Cvac,
    Cvau,
    Cvap,
    Cvadp,
    Civac,
    Zva,
}

/// Instruction cache instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum IcOp {
    Iallu,
    Ialluis,
    Ivau,
}

/// A system instruction whose access checks have passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SysInsn {
    /// TLB maintenance.
    Tlbi(TlbiOp, Reach),
    /// Address translation: sets PAR_EL1.
    At(AtOp),
    /// Data cache maintenance and DC ZVA.
    Dc(DcOp),
    /// Instruction cache maintenance.
    Ic(IcOp),
    /// CFP, DVP, COSP, CPP: prediction restriction.
    Predict,
}
