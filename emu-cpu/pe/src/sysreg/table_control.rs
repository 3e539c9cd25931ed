//! Rows of control, exception, translation and thread registers (Arm ARM, D17.2).

use emu_a64::features::Feat as F;
use emu_a64::ir::SysEnc;

use super::fine::hfgrtr;
use super::row::{ALL, LOW32, Perm, Row, reg};
use super::special as f;
use super::state::Reg;
use super::trap::Trap;
use super::{cptr, hcr, hcrx, sctlr};

const RW: Perm = Perm::RW;
const RO: Perm = Perm::RO;
const NO: Perm = Perm::NO;

/// Virtual memory controls: writes trap by TVM, reads by TRVM.
const VM: &[Trap] = &[Trap::HcrWrite(hcr::TVM), Trap::HcrRead(hcr::TRVM)];
const SCXTNUM: &[Trap] = &[Trap::El0Forbids(sctlr::TSCXT), Trap::HcrClear(hcr::ENSCXT)];
const RAS: &[Trap] = &[Trap::Hcr(hcr::TERR)];
const LOR: &[Trap] = &[Trap::Hcr(hcr::TLOR)];

/// Bits of SCTLR_EL1 that can be written. Of the rest those in [`SCTLR_EL1_ONES`] are RES1, among them ITD and SED,
/// because there is no AArch32.
const SCTLR_EL1: &[(F, u64)] = &[
    (
        F::Base,
        sctlr::M
            | sctlr::A
            | sctlr::C
            | sctlr::SA
            | sctlr::SA0
            | sctlr::UMA
            | sctlr::I
            | sctlr::DZE
            | sctlr::UCT
            | sctlr::NTWI
            | sctlr::NTWE
            | sctlr::WXN
            | sctlr::UCI,
    ),
    (F::Lse2, sctlr::NAA),
    (F::Csv2, sctlr::TSCXT),
    (F::Pan, sctlr::SPAN),
    (F::Ssbs, sctlr::DSSBS),
    (F::Pan3, sctlr::EPAN),
    (F::Mops, sctlr::MSCEN),
    (F::Specres, sctlr::ENRCTX),
    (F::Tidcp1, sctlr::TIDCP),
    (F::Bti, sctlr::BT0 | sctlr::BT1),
    (F::PAuth, sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB),
];
const SCTLR_EL1_ONES: u64 =
    sctlr::LSMAOE | sctlr::NTLSMD | sctlr::SPAN | sctlr::EIS | sctlr::TSCXT | sctlr::EOS | 1 << 8 | 1 << 7;

/// Bits of SCTLR_EL2. Those of EL0 exist with E2H only; they are stored without it too, and not acted on.
const SCTLR_EL2: &[(F, u64)] = &[
    (F::Base, sctlr::M | sctlr::A | sctlr::C | sctlr::SA | sctlr::I | sctlr::WXN),
    (F::Lse2, sctlr::NAA),
    (F::Ssbs, sctlr::DSSBS),
    (
        F::Vhe,
        sctlr::SA0
            | sctlr::DZE
            | sctlr::UCT
            | sctlr::NTWI
            | sctlr::NTWE
            | sctlr::TSCXT
            | sctlr::SPAN
            | sctlr::UCI,
    ),
    (F::Pan3, sctlr::EPAN),
    (F::Mops, sctlr::MSCEN),
    (F::Specres, sctlr::ENRCTX),
    (F::Tidcp1, sctlr::TIDCP),
    (F::Bti, sctlr::BT0 | sctlr::BT1),
    (F::PAuth, sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB),
];
const SCTLR_EL2_ONES: u64 = sctlr::LSMAOE
    | sctlr::NTLSMD
    | sctlr::SPAN
    | sctlr::EIS
    | sctlr::NTWE
    | sctlr::NTWI
    | sctlr::EOS
    | 1 << 5
    | sctlr::SA0;

const HCR: &[(F, u64)] = &[
    // RW is RAO/WI: EL1 is AArch64.
    (F::Base, 0x3_7fff_ffff),
    (F::Vhe, hcr::E2H),
    (F::Lor, hcr::TLOR),
    (F::Ras, hcr::TERR | hcr::TEA),
    (F::PAuth, hcr::APK | hcr::API),
    (F::S2fwb, hcr::FWB),
    (F::Evt, hcr::TID4 | hcr::TICAB | hcr::TOCU | hcr::TTLBIS | hcr::TTLBOS),
    (F::Csv2, hcr::ENSCXT),
];

/// HCRX_EL2, where a field exists only with what it controls.
const HCRX: &[(F, u64)] = &[(F::Mops, hcrx::MSCEN | hcrx::MCE2), (F::Xs, hcrx::FNXS | hcrx::FGTNXS)];

const TCR_EL1: &[(F, u64)] = &[
    // T0SZ to TG0; T1SZ to TG1; IPS; AS, TBI0, TBI1.
    (F::Base, 0x0000_0077_ffff_ffbf),
    // HA, HD.
    (F::Hafdbs, 3 << 39),
    // HPD0, HPD1.
    (F::Hpds, 3 << 41),
    (F::E0pd, 3 << 55),
    // TBID0, TBID1.
    (F::PAuth, 3 << 51),
    // DS.
    (F::Lpa2, 1 << 59),
];

/// TCR_EL2 has one layout without E2H and TCR_EL1's with it: both are stored.
const TCR_EL2: &[(F, u64)] = &[
    // T0SZ to TG0, PS, TBI.
    (F::Base, 0x0017_ff3f),
    (F::Vhe, 0x0000_0077_ffff_ffbf),
    (F::Hafdbs, 3 << 39 | 3 << 21),
    (F::Hpds, 3 << 41 | 1 << 24),
    (F::E0pd, 3 << 55),
    (F::PAuth, 3 << 51 | 1 << 29),
    (F::Lpa2, 1 << 59 | 1 << 32),
];

const VTCR: &[(F, u64)] = &[
    // T0SZ, SL0, IRGN0, ORGN0, SH0, TG0, PS.
    (F::Base, 0x7_ffff),
    // VS.
    (F::Vmid16, 1 << 19),
    (F::Hafdbs, 3 << 21),
    // DS, SL2.
    (F::Lpa2, 3 << 32),
];

/// CPACR_EL1.FPEN.
const CPACR: &[(F, u64)] = &[(F::Base, 3 << cptr::FPEN_SHIFT)];
/// TTBRx and VTTBR_EL2: CnP is bit 0.
const TTBR: &[(F, u64)] = &[(F::Base, !1), (F::Ttcnp, 1)];
const VECTORS: &[(F, u64)] = &[(F::Base, !0x7ff)];
/// A, IDS and the syndrome.
const DISR: &[(F, u64)] = &[(F::Base, 1 << 31 | 0x1ff_ffff)];
/// What a PSTATE can be saved as.
const SPSR: &[(F, u64)] = &[
    (F::Base, 0xf030_03df),
    (F::Dit, 1 << 24),
    (F::Uao, 1 << 23),
    (F::Pan, 1 << 22),
    (F::Ssbs, 1 << 12),
    (F::Bti, 3 << 10),
];

/// Half of a key of pointer authentication.
const fn key(name: &'static str, crm: u32, op2: u32, slot: Reg) -> Row {
    reg(name, 3, 0, 2, crm, op2).el1(RW).needs(F::PAuth).traps(&[Trap::HcrClear(hcr::APK)]).slot(slot, ALL)
}

/// A register of fine-grained traps, whose bits are those that there is something to trap for.
const fn trap_register(name: &'static str, crn: u32, op2: u32, slot: Reg) -> Row {
    reg(name, 3, 4, crn, 1, op2).el2(RW).needs(F::Fgt).trap_bits(slot).context()
}

pub(super) const ROWS: &[Row] = &[
    // EL1.
    reg("SCTLR_EL1", 3, 0, 1, 0, 0)
        .el1(RW)
        .traps(VM)
        .slot_res1(Reg::SCTLR_EL1, SCTLR_EL1, SCTLR_EL1_ONES)
        .nv2(0x110)
        .context()
        .fine(hfgrtr::SCTLR_EL1)
        .moves("SCTLR_EL12"),
    reg("ACTLR_EL1", 3, 0, 1, 0, 1).el1(RW).traps(&[Trap::Hcr(hcr::TACR)]).nv2(0x118),
    reg("CPACR_EL1", 3, 0, 1, 0, 2)
        .el1(RW)
        .traps(&[Trap::Tcpac])
        .slot(Reg::CPACR_EL1, CPACR)
        .nv2(0x100)
        .context()
        .fine(hfgrtr::CPACR_EL1)
        .moves_to("CPACR_EL12", SysEnc::new(3, 4, 1, 1, 2)),
    reg("TTBR0_EL1", 3, 0, 2, 0, 0)
        .el1(RW)
        .traps(VM)
        .slot(Reg::TTBR0_EL1, TTBR)
        .nv2(0x200)
        .context()
        .fine(hfgrtr::TTBR0_EL1)
        .moves("TTBR0_EL12"),
    reg("TTBR1_EL1", 3, 0, 2, 0, 1)
        .el1(RW)
        .traps(VM)
        .slot(Reg::TTBR1_EL1, TTBR)
        .nv2(0x210)
        .context()
        .fine(hfgrtr::TTBR1_EL1)
        .moves("TTBR1_EL12"),
    reg("TCR_EL1", 3, 0, 2, 0, 2)
        .el1(RW)
        .traps(VM)
        .slot(Reg::TCR_EL1, TCR_EL1)
        .nv2(0x120)
        .context()
        .fine(hfgrtr::TCR_EL1)
        .moves("TCR_EL12"),
    reg("SPSR_EL1", 3, 0, 4, 0, 0)
        .el1(RW)
        .slot(Reg::SPSR_EL1, SPSR)
        .nv2(0x160)
        .no_effect()
        .moves("SPSR_EL12"),
    reg("ELR_EL1", 3, 0, 4, 0, 1).el1(RW).slot(Reg::ELR_EL1, ALL).nv2(0x230).no_effect().moves("ELR_EL12"),
    reg("AFSR0_EL1", 3, 0, 5, 1, 0)
        .el1(RW)
        .traps(VM)
        .nv2(0x128)
        .fine(hfgrtr::AFSR0_EL1)
        .no_effect()
        .moves("AFSR0_EL12"),
    reg("AFSR1_EL1", 3, 0, 5, 1, 1)
        .el1(RW)
        .traps(VM)
        .nv2(0x130)
        .fine(hfgrtr::AFSR1_EL1)
        .no_effect()
        .moves("AFSR1_EL12"),
    reg("ESR_EL1", 3, 0, 5, 2, 0)
        .el1(RW)
        .traps(VM)
        .slot(Reg::ESR_EL1, LOW32)
        .nv2(0x138)
        .fine(hfgrtr::ESR_EL1)
        .no_effect()
        .moves("ESR_EL12"),
    reg("FAR_EL1", 3, 0, 6, 0, 0)
        .el1(RW)
        .traps(VM)
        .slot(Reg::FAR_EL1, ALL)
        .nv2(0x220)
        .fine(hfgrtr::FAR_EL1)
        .no_effect()
        .moves("FAR_EL12"),
    reg("PAR_EL1", 3, 0, 7, 4, 0).el1(RW).slot(Reg::PAR_EL1, ALL).fine(hfgrtr::PAR_EL1).no_effect(),
    reg("MAIR_EL1", 3, 0, 10, 2, 0)
        .el1(RW)
        .traps(VM)
        .slot(Reg::MAIR_EL1, ALL)
        .nv2(0x140)
        .context()
        .fine(hfgrtr::MAIR_EL1)
        .moves("MAIR_EL12"),
    reg("AMAIR_EL1", 3, 0, 10, 3, 0).el1(RW).traps(VM).nv2(0x148).fine(hfgrtr::AMAIR_EL1).moves("AMAIR_EL12"),
    reg("VBAR_EL1", 3, 0, 12, 0, 0)
        .el1(RW)
        .slot(Reg::VBAR_EL1, VECTORS)
        .nv2(0x250)
        .fine(hfgrtr::VBAR_EL1)
        .no_effect()
        .moves("VBAR_EL12"),
    reg("CONTEXTIDR_EL1", 3, 0, 13, 0, 1)
        .el1(RW)
        .traps(VM)
        .slot(Reg::CONTEXTIDR_EL1, LOW32)
        .nv2(0x108)
        .fine(hfgrtr::CONTEXTIDR_EL1)
        .no_effect()
        .moves("CONTEXTIDR_EL12"),
    reg("TPIDR_EL1", 3, 0, 13, 0, 4).el1(RW).slot(Reg::TPIDR_EL1, ALL).fine(hfgrtr::TPIDR_EL1).no_effect(),
    reg("SCXTNUM_EL1", 3, 0, 13, 0, 7)
        .el1(RW)
        .needs(F::Csv2)
        .traps(&[Trap::HcrClear(hcr::ENSCXT)])
        .slot(Reg::SCXTNUM_EL1, ALL)
        .nv2(0x188)
        .fine(hfgrtr::SCXTNUM_EL1)
        .moves("SCXTNUM_EL12"),
    // Keys.
    key("APIAKeyLo_EL1", 1, 0, Reg::APIAKeyLo_EL1).fine(hfgrtr::APIAKey),
    key("APIAKeyHi_EL1", 1, 1, Reg::APIAKeyHi_EL1).fine(hfgrtr::APIAKey),
    key("APIBKeyLo_EL1", 1, 2, Reg::APIBKeyLo_EL1).fine(hfgrtr::APIBKey),
    key("APIBKeyHi_EL1", 1, 3, Reg::APIBKeyHi_EL1).fine(hfgrtr::APIBKey),
    key("APDAKeyLo_EL1", 2, 0, Reg::APDAKeyLo_EL1).fine(hfgrtr::APDAKey),
    key("APDAKeyHi_EL1", 2, 1, Reg::APDAKeyHi_EL1).fine(hfgrtr::APDAKey),
    key("APDBKeyLo_EL1", 2, 2, Reg::APDBKeyLo_EL1).fine(hfgrtr::APDBKey),
    key("APDBKeyHi_EL1", 2, 3, Reg::APDBKeyHi_EL1).fine(hfgrtr::APDBKey),
    key("APGAKeyLo_EL1", 3, 0, Reg::APGAKeyLo_EL1).fine(hfgrtr::APGAKey),
    key("APGAKeyHi_EL1", 3, 1, Reg::APGAKeyHi_EL1).fine(hfgrtr::APGAKey),
    // EL0.
    reg("TPIDR_EL0", 3, 3, 13, 0, 2).el0(RW).slot(Reg::TPIDR_EL0, ALL).fine(hfgrtr::TPIDR_EL0).no_effect(),
    reg("TPIDRRO_EL0", 3, 3, 13, 0, 3)
        .perms(RO, RW, RW)
        .slot(Reg::TPIDRRO_EL0, ALL)
        .fine(hfgrtr::TPIDRRO_EL0)
        .no_effect(),
    reg("SCXTNUM_EL0", 3, 3, 13, 0, 7)
        .el0(RW)
        .needs(F::Csv2)
        .traps(SCXTNUM)
        .slot(Reg::SCXTNUM_EL0, ALL)
        .fine(hfgrtr::SCXTNUM_EL0),
    // EL2.
    reg("SCTLR_EL2", 3, 4, 1, 0, 0).el2(RW).slot_res1(Reg::SCTLR_EL2, SCTLR_EL2, SCTLR_EL2_ONES).context(),
    reg("ACTLR_EL2", 3, 4, 1, 0, 1).el2(RW),
    reg("HCR_EL2", 3, 4, 1, 1, 0).el2(RW).slot_res1(Reg::HCR_EL2, HCR, hcr::RW).nv2(0x78).context(),
    reg("HCRX_EL2", 3, 4, 1, 2, 2).el2(RW).needs(F::Hcx).slot(Reg::HCRX_EL2, HCRX).nv2(0xa0).context(),
    trap_register("HFGRTR_EL2", 1, 4, Reg::HFGRTR_EL2).nv2(0x1b8),
    trap_register("HFGWTR_EL2", 1, 5, Reg::HFGWTR_EL2).nv2(0x1c0),
    trap_register("HFGITR_EL2", 1, 6, Reg::HFGITR_EL2).nv2(0x1c8),
    trap_register("HDFGRTR_EL2", 3, 4, Reg::HDFGRTR_EL2).nv2(0x1d0),
    trap_register("HDFGWTR_EL2", 3, 5, Reg::HDFGWTR_EL2).nv2(0x1d8),
    reg("MDCR_EL2", 3, 4, 1, 1, 1)
        .el2(RW)
        .computed(|cpu| cpu.sys[Reg::MDCR_EL2])
        .write(f::write_mdcr)
        .on_reset(f::reset_mdcr)
        .context(),
    reg("CPTR_EL2", 3, 4, 1, 1, 2).el2(RW).computed(f::read_cptr).write(f::write_cptr).context(),
    // Both have meaning for AArch32 or for what an implementation defines only.
    reg("HSTR_EL2", 3, 4, 1, 1, 3).el2(RW).nv2(0x80),
    reg("HACR_EL2", 3, 4, 1, 1, 7).el2(RW),
    reg("TTBR0_EL2", 3, 4, 2, 0, 0).el2(RW).slot(Reg::TTBR0_EL2, TTBR).context(),
    reg("TTBR1_EL2", 3, 4, 2, 0, 1).el2(RW).needs(F::Vhe).slot(Reg::TTBR1_EL2, TTBR).context(),
    reg("TCR_EL2", 3, 4, 2, 0, 2).el2(RW).slot(Reg::TCR_EL2, TCR_EL2).context(),
    reg("VTTBR_EL2", 3, 4, 2, 1, 0).el2(RW).slot(Reg::VTTBR_EL2, TTBR).nv2(0x20).context(),
    reg("VTCR_EL2", 3, 4, 2, 1, 2).el2(RW).slot_res1(Reg::VTCR_EL2, VTCR, 1 << 31).nv2(0x40).context(),
    reg("SPSR_EL2", 3, 4, 4, 0, 0).el2(RW).slot(Reg::SPSR_EL2, SPSR).no_effect(),
    reg("ELR_EL2", 3, 4, 4, 0, 1).el2(RW).slot(Reg::ELR_EL2, ALL).no_effect(),
    // State of AArch32 at EL1, for EL2 to save and restore: on parts that have it.
    reg("DACR32_EL2", 3, 4, 3, 0, 0).el2(RW).needs(F::AArch32Registers).slot(Reg::DACR32_EL2, LOW32),
    // FnV, ExT, FS, LPAE, STATUS.
    reg("IFSR32_EL2", 3, 4, 5, 0, 1)
        .el2(RW)
        .needs(F::AArch32Registers)
        .slot(Reg::IFSR32_EL2, &[(F::Base, 0x1_163f)]),
    // EN. VECITR is RES1.
    reg("FPEXC32_EL2", 3, 4, 5, 3, 0).el2(RW).needs(F::AArch32Registers).traps(&[Trap::Fp]).slot_res1(
        Reg::FPEXC32_EL2,
        &[(F::Base, 1 << 30)],
        7 << 8,
    ),
    // Banked registers of AArch32 modes: RES0 without AArch32.
    reg("SPSR_irq", 3, 4, 4, 3, 0).el2(RW),
    reg("SPSR_abt", 3, 4, 4, 3, 1).el2(RW),
    reg("SPSR_und", 3, 4, 4, 3, 2).el2(RW),
    reg("SPSR_fiq", 3, 4, 4, 3, 3).el2(RW),
    reg("AFSR0_EL2", 3, 4, 5, 1, 0).el2(RW).no_effect(),
    reg("AFSR1_EL2", 3, 4, 5, 1, 1).el2(RW).no_effect(),
    reg("ESR_EL2", 3, 4, 5, 2, 0).el2(RW).slot(Reg::ESR_EL2, LOW32).no_effect(),
    reg("VSESR_EL2", 3, 4, 5, 2, 3)
        .el2(RW)
        .needs(F::Ras)
        .slot(Reg::VSESR_EL2, &[(F::Base, 0x1ff_ffff)])
        .nv2(0x508),
    reg("FAR_EL2", 3, 4, 6, 0, 0).el2(RW).slot(Reg::FAR_EL2, ALL).no_effect(),
    reg("HPFAR_EL2", 3, 4, 6, 0, 4).el2(RW).slot(Reg::HPFAR_EL2, &[(F::Base, 0xfff_ffff_fff0)]).no_effect(),
    reg("MAIR_EL2", 3, 4, 10, 2, 0).el2(RW).slot(Reg::MAIR_EL2, ALL).context(),
    reg("AMAIR_EL2", 3, 4, 10, 3, 0).el2(RW),
    reg("VBAR_EL2", 3, 4, 12, 0, 0).el2(RW).slot(Reg::VBAR_EL2, VECTORS).no_effect(),
    reg("VDISR_EL2", 3, 4, 12, 1, 1).el2(RW).needs(F::Ras).slot(Reg::VDISR_EL2, DISR).nv2(0x500),
    reg("CONTEXTIDR_EL2", 3, 4, 13, 0, 1).el2(RW).needs(F::Vhe).slot(Reg::CONTEXTIDR_EL2, LOW32).no_effect(),
    reg("TPIDR_EL2", 3, 4, 13, 0, 2).el2(RW).slot(Reg::TPIDR_EL2, ALL).nv2(0x90).no_effect(),
    reg("SCXTNUM_EL2", 3, 4, 13, 0, 7).el2(RW).needs(F::Csv2).slot(Reg::SCXTNUM_EL2, ALL),
    // RAS: no error records (ERRIDR_EL1.NUM = 0), so the record registers are RAZ/WI.
    reg("ERRIDR_EL1", 3, 0, 5, 3, 0).el1(RO).needs(F::Ras).traps(RAS).fine(hfgrtr::ERRIDR_EL1),
    reg("ERRSELR_EL1", 3, 0, 5, 3, 1).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERRSELR_EL1),
    reg("ERXFR_EL1", 3, 0, 5, 4, 0).el1(RO).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXFR_EL1),
    reg("ERXCTLR_EL1", 3, 0, 5, 4, 1).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXCTLR_EL1),
    reg("ERXSTATUS_EL1", 3, 0, 5, 4, 2).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXSTATUS_EL1),
    reg("ERXADDR_EL1", 3, 0, 5, 4, 3).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXADDR_EL1),
    reg("ERXMISC0_EL1", 3, 0, 5, 5, 0).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXMISCn_EL1),
    reg("ERXMISC1_EL1", 3, 0, 5, 5, 1).el1(RW).needs(F::Ras).traps(RAS).fine(hfgrtr::ERXMISCn_EL1),
    // No LORegions (LORID_EL1 = 0): the registers that describe them are RES0.
    reg("LORSA_EL1", 3, 0, 10, 4, 0).el1(RW).needs(F::Lor).traps(LOR).fine(hfgrtr::LORSA_EL1),
    reg("LOREA_EL1", 3, 0, 10, 4, 1).el1(RW).needs(F::Lor).traps(LOR).fine(hfgrtr::LOREA_EL1),
    reg("LORN_EL1", 3, 0, 10, 4, 2).el1(RW).needs(F::Lor).traps(LOR).fine(hfgrtr::LORN_EL1),
    reg("LORC_EL1", 3, 0, 10, 4, 3).el1(RW).needs(F::Lor).traps(LOR).fine(hfgrtr::LORC_EL1),
    reg("LORID_EL1", 3, 0, 10, 4, 7).el1(RO).needs(F::Lor).traps(LOR).fine(hfgrtr::LORID_EL1),
    // DISR_EL1 is VDISR_EL2 to a guest whose SErrors are virtual.
    reg("DISR_EL1", 3, 0, 12, 1, 1).perms(NO, RW, RW).needs(F::Ras).read(f::read_disr).write(f::write_disr),
];
