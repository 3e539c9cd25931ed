//! Rows of the system instructions (Arm ARM, C5.3 to C5.5).

use emu_a64::features::Feat;

use super::fine::hfgitr;
use super::insn::{AtOp, DcOp, IcOp, Reach, SysInsn, TlbiOp};
use super::row::{InLine, Perm, Row, reg};
use super::trap::Trap;
use super::{hcr, sctlr};

const fn tlbi(name: &'static str, crn: u32, op1: u32, crm: u32, op2: u32, op: TlbiOp, reach: Reach) -> Row {
    let row = reg(name, 1, op1, crn, crm, op2).insn(SysInsn::Tlbi(op, reach));
    let row = if op1 == 0 { row.el1(Perm::WO) } else { row.el2(Perm::WO) };
    let row = match reach {
        Reach::Local => row.traps(&[Trap::Hcr(hcr::TTLB)]),
        Reach::Inner => row.traps(&[Trap::Hcr(hcr::TTLB | hcr::TTLBIS)]),
        Reach::Outer => row.traps(&[Trap::Hcr(hcr::TTLB | hcr::TTLBOS)]).needs(Feat::TlbiOs),
    };
    match crn {
        9 => row.needs(Feat::Xs),
        _ if op.is_range() => row.needs(Feat::TlbiRange),
        _ => row,
    }
}

/// The TLBI instructions, and their nXS forms with CRn = 9 (FEAT_XS), with their field of HFGITR_EL2 if there is one. As all
/// maintenance here is complete after a DSB, with or without nXS, these do the same.
macro_rules! tlbi {
    ($($name:literal, $op1:literal, $crm:literal, $op2:literal, $op:ident, $reach:ident $(, $field:ident)?;)*) => {
        pub(super) const TLBI: &[Row] =
            &[$(tlbi($name, 8, $op1, $crm, $op2, $op, $reach)$(.fine(hfgitr::$field))?,)*];
        pub(super) const TLBI_NXS: &[Row] = &[
            $(tlbi(concat!($name, "NXS"), 9, $op1, $crm, $op2, $op, $reach)$(.fine(hfgitr::$field.nxs()))?,)*
        ];
    };
}

const fn at(name: &'static str, op1: u32, crm: u32, op2: u32, op: AtOp) -> Row {
    let row = reg(name, 1, op1, 7, crm, op2).insn(SysInsn::At(op));
    let row = if op1 == 0 { row.el1(Perm::WO) } else { row.el2(Perm::WO) };
    if crm == 9 { row.needs(Feat::Pan2) } else { row }
}

const fn dc(name: &'static str, op1: u32, crm: u32, op2: u32, op: DcOp) -> Row {
    let row = reg(name, 1, op1, 7, crm, op2).insn(SysInsn::Dc(op)).no_effect().repeatable_write();
    if op1 == 0 { row.el1(Perm::WO) } else { row.el0(Perm::WO) }
}

const fn ic(name: &'static str, op1: u32, crm: u32, op2: u32, op: IcOp) -> Row {
    let row = reg(name, 1, op1, 7, crm, op2).insn(SysInsn::Ic(op)).repeatable_write();
    if op1 == 0 { row.el1(Perm::WO) } else { row.el0(Perm::WO) }
}

/// Restrictions of prediction by context: nothing is predicted.
const fn predict(name: &'static str, op2: u32) -> Row {
    reg(name, 1, 3, 7, 3, op2).insn(SysInsn::Predict).el0(Perm::WO).traps(&[Trap::El0Needs(sctlr::ENRCTX)])
}

/// Maintenance by address to a point of coherency or persistence, from EL0.
const TO_POC: &[Trap] = &[Trap::El0Needs(sctlr::UCI), Trap::Hcr(hcr::TPCP)];
/// To the point of unification, from EL0.
const TO_POU: &[Trap] = &[Trap::El0Needs(sctlr::UCI), Trap::Hcr(hcr::TPU | hcr::TOCU)];
const BY_SET_WAY: &[Trap] = &[Trap::Hcr(hcr::TSW)];

use AtOp::*;
use Reach::{Inner, Local, Outer};
use TlbiOp::*;

pub(super) const ROWS: &[Row] = &[
    dc("DC IVAC", 0, 6, 1, DcOp::Ivac).traps(&[Trap::Hcr(hcr::TPCP)]).fine(hfgitr::DCIVAC),
    dc("DC ISW", 0, 6, 2, DcOp::Isw).traps(BY_SET_WAY).fine(hfgitr::DCISW),
    dc("DC CSW", 0, 10, 2, DcOp::Csw).traps(BY_SET_WAY).fine(hfgitr::DCCSW),
    dc("DC CISW", 0, 14, 2, DcOp::Cisw).traps(BY_SET_WAY).fine(hfgitr::DCCISW),
    dc("DC ZVA", 3, 4, 1, DcOp::Zva)
        .traps(&[Trap::El0Needs(sctlr::DZE), Trap::Hcr(hcr::TDZ)])
        .fine(hfgitr::DCZVA)
        .in_line(InLine::ZeroBlock),
    dc("DC CVAC", 3, 10, 1, DcOp::Cvac).traps(TO_POC).fine(hfgitr::DCCVAC).in_line(InLine::Clean),
    dc("DC CVAU", 3, 11, 1, DcOp::Cvau).traps(TO_POU).fine(hfgitr::DCCVAU).in_line(InLine::Clean),
    dc("DC CVAP", 3, 12, 1, DcOp::Cvap).traps(TO_POC).needs(Feat::Dpb).fine(hfgitr::DCCVAP),
    dc("DC CVADP", 3, 13, 1, DcOp::Cvadp).traps(TO_POC).needs(Feat::Dpb2).fine(hfgitr::DCCVADP),
    dc("DC CIVAC", 3, 14, 1, DcOp::Civac).traps(TO_POC).fine(hfgitr::DCCIVAC).in_line(InLine::Clean),
    ic("IC IALLUIS", 0, 1, 0, IcOp::Ialluis)
        .traps(&[Trap::Hcr(hcr::TPU | hcr::TICAB)])
        .fine(hfgitr::ICIALLUIS),
    ic("IC IALLU", 0, 5, 0, IcOp::Iallu).traps(&[Trap::Hcr(hcr::TPU | hcr::TOCU)]).fine(hfgitr::ICIALLU),
    ic("IC IVAU", 3, 5, 1, IcOp::Ivau).traps(TO_POU).fine(hfgitr::ICIVAU).in_line(InLine::Clean),
    at("AT S1E1R", 0, 8, 0, S1E1R).fine(hfgitr::ATS1E1R),
    at("AT S1E1W", 0, 8, 1, S1E1W).fine(hfgitr::ATS1E1W),
    at("AT S1E0R", 0, 8, 2, S1E0R).fine(hfgitr::ATS1E0R),
    at("AT S1E0W", 0, 8, 3, S1E0W).fine(hfgitr::ATS1E0W),
    at("AT S1E1RP", 0, 9, 0, S1E1RP).fine(hfgitr::ATS1E1RP),
    at("AT S1E1WP", 0, 9, 1, S1E1WP).fine(hfgitr::ATS1E1WP),
    at("AT S1E2R", 4, 8, 0, S1E2R),
    at("AT S1E2W", 4, 8, 1, S1E2W),
    at("AT S12E1R", 4, 8, 4, S12E1R),
    at("AT S12E1W", 4, 8, 5, S12E1W),
    at("AT S12E0R", 4, 8, 6, S12E0R),
    at("AT S12E0W", 4, 8, 7, S12E0W),
    predict("CFP RCTX", 4).needs(Feat::Specres).fine(hfgitr::CFPRCTX),
    predict("DVP RCTX", 5).needs(Feat::Specres).fine(hfgitr::DVPRCTX),
    predict("COSP RCTX", 6).needs(Feat::Specres2).fine(hfgitr::COSPRCTX),
    predict("CPP RCTX", 7).needs(Feat::Specres).fine(hfgitr::CPPRCTX),
];

tlbi! {
    "TLBI VMALLE1OS", 0, 1, 0, VmallE1, Outer, TLBIVMALLE1OS;
    "TLBI VAE1OS", 0, 1, 1, Vae1, Outer, TLBIVAE1OS;
    "TLBI ASIDE1OS", 0, 1, 2, Aside1, Outer, TLBIASIDE1OS;
    "TLBI VAAE1OS", 0, 1, 3, Vaae1, Outer, TLBIVAAE1OS;
    "TLBI VALE1OS", 0, 1, 5, Vale1, Outer, TLBIVALE1OS;
    "TLBI VAALE1OS", 0, 1, 7, Vaale1, Outer, TLBIVAALE1OS;
    "TLBI RVAE1IS", 0, 2, 1, Rvae1, Inner, TLBIRVAE1IS;
    "TLBI RVAAE1IS", 0, 2, 3, Rvaae1, Inner, TLBIRVAAE1IS;
    "TLBI RVALE1IS", 0, 2, 5, Rvale1, Inner, TLBIRVALE1IS;
    "TLBI RVAALE1IS", 0, 2, 7, Rvaale1, Inner, TLBIRVAALE1IS;
    "TLBI VMALLE1IS", 0, 3, 0, VmallE1, Inner, TLBIVMALLE1IS;
    "TLBI VAE1IS", 0, 3, 1, Vae1, Inner, TLBIVAE1IS;
    "TLBI ASIDE1IS", 0, 3, 2, Aside1, Inner, TLBIASIDE1IS;
    "TLBI VAAE1IS", 0, 3, 3, Vaae1, Inner, TLBIVAAE1IS;
    "TLBI VALE1IS", 0, 3, 5, Vale1, Inner, TLBIVALE1IS;
    "TLBI VAALE1IS", 0, 3, 7, Vaale1, Inner, TLBIVAALE1IS;
    "TLBI RVAE1OS", 0, 5, 1, Rvae1, Outer, TLBIRVAE1OS;
    "TLBI RVAAE1OS", 0, 5, 3, Rvaae1, Outer, TLBIRVAAE1OS;
    "TLBI RVALE1OS", 0, 5, 5, Rvale1, Outer, TLBIRVALE1OS;
    "TLBI RVAALE1OS", 0, 5, 7, Rvaale1, Outer, TLBIRVAALE1OS;
    "TLBI RVAE1", 0, 6, 1, Rvae1, Local, TLBIRVAE1;
    "TLBI RVAAE1", 0, 6, 3, Rvaae1, Local, TLBIRVAAE1;
    "TLBI RVALE1", 0, 6, 5, Rvale1, Local, TLBIRVALE1;
    "TLBI RVAALE1", 0, 6, 7, Rvaale1, Local, TLBIRVAALE1;
    "TLBI VMALLE1", 0, 7, 0, VmallE1, Local, TLBIVMALLE1;
    "TLBI VAE1", 0, 7, 1, Vae1, Local, TLBIVAE1;
    "TLBI ASIDE1", 0, 7, 2, Aside1, Local, TLBIASIDE1;
    "TLBI VAAE1", 0, 7, 3, Vaae1, Local, TLBIVAAE1;
    "TLBI VALE1", 0, 7, 5, Vale1, Local, TLBIVALE1;
    "TLBI VAALE1", 0, 7, 7, Vaale1, Local, TLBIVAALE1;
    "TLBI IPAS2E1IS", 4, 0, 1, Ipas2e1, Inner;
    "TLBI RIPAS2E1IS", 4, 0, 2, Ripas2e1, Inner;
    "TLBI IPAS2LE1IS", 4, 0, 5, Ipas2le1, Inner;
    "TLBI RIPAS2LE1IS", 4, 0, 6, Ripas2le1, Inner;
    "TLBI ALLE2OS", 4, 1, 0, Alle2, Outer;
    "TLBI VAE2OS", 4, 1, 1, Vae2, Outer;
    "TLBI ALLE1OS", 4, 1, 4, Alle1, Outer;
    "TLBI VALE2OS", 4, 1, 5, Vale2, Outer;
    "TLBI VMALLS12E1OS", 4, 1, 6, Vmalls12e1, Outer;
    "TLBI RVAE2IS", 4, 2, 1, Rvae2, Inner;
    "TLBI RVALE2IS", 4, 2, 5, Rvale2, Inner;
    "TLBI ALLE2IS", 4, 3, 0, Alle2, Inner;
    "TLBI VAE2IS", 4, 3, 1, Vae2, Inner;
    "TLBI ALLE1IS", 4, 3, 4, Alle1, Inner;
    "TLBI VALE2IS", 4, 3, 5, Vale2, Inner;
    "TLBI VMALLS12E1IS", 4, 3, 6, Vmalls12e1, Inner;
    "TLBI IPAS2E1OS", 4, 4, 0, Ipas2e1, Outer;
    "TLBI IPAS2E1", 4, 4, 1, Ipas2e1, Local;
    "TLBI RIPAS2E1", 4, 4, 2, Ripas2e1, Local;
    "TLBI RIPAS2E1OS", 4, 4, 3, Ripas2e1, Outer;
    "TLBI IPAS2LE1OS", 4, 4, 4, Ipas2le1, Outer;
    "TLBI IPAS2LE1", 4, 4, 5, Ipas2le1, Local;
    "TLBI RIPAS2LE1", 4, 4, 6, Ripas2le1, Local;
    "TLBI RIPAS2LE1OS", 4, 4, 7, Ripas2le1, Outer;
    "TLBI RVAE2OS", 4, 5, 1, Rvae2, Outer;
    "TLBI RVALE2OS", 4, 5, 5, Rvale2, Outer;
    "TLBI RVAE2", 4, 6, 1, Rvae2, Local;
    "TLBI RVALE2", 4, 6, 5, Rvale2, Local;
    "TLBI ALLE2", 4, 7, 0, Alle2, Local;
    "TLBI VAE2", 4, 7, 1, Vae2, Local;
    "TLBI ALLE1", 4, 7, 4, Alle1, Local;
    "TLBI VALE2", 4, 7, 5, Vale2, Local;
    "TLBI VMALLS12E1", 4, 7, 6, Vmalls12e1, Local;
}
