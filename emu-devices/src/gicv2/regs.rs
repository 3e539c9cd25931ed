//! The registers of the GICv2 (IHI 0048B, 4.1, 4.3, 4.4, 5.2, 5.3, 5.5).

use emu_core::registers::{Map, Sizes, constants, reserved, word};

use super::REGION_SIZE;
use super::hypervisor::{hcr, lr, vmcr};
use super::interface::{SPURIOUS, ctlr};
use crate::gic::regs::{BankReg, CIDR, CONFIG_BITS, pidr};

/// Distributor registers (4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dist {
    Ctlr,
    Typer,
    Bits(BankReg),
    Priority,
    Target,
    Config,
    Sgir,
    ClearSgi,
    SetSgi,
}

/// GICD_CTLR.EnableGrp0.
pub(super) const ENABLE_GRP0: u32 = 1 << 0;
/// GICD_CTLR.EnableGrp1.
pub(super) const ENABLE_GRP1: u32 = 1 << 1;
/// GICD_IIDR: implementer Arm, product 0.
const GICD_IIDR: &[u32] = &[0x43b];
/// GICC_IIDR and GICV_IIDR: the same, architecture version 2 in bits 19:16.
const GICC_IIDR: &[u32] = &[2 << 16 | 0x43b];

/// The distributor. What is reserved is about Security states. The identification registers are at the end of a 4 KiB frame
/// (4.3.17).
pub(super) static DISTRIBUTOR: Map<Dist> = Map {
    specification: "Arm IHI 0048B, 4.3 (GICv2 distributor)",
    window: REGION_SIZE,
    rows: &[
        word("GICD_CTLR", 0x000, Dist::Ctlr).bits((ENABLE_GRP0 | ENABLE_GRP1) as u64),
        word("GICD_TYPER", 0x004, Dist::Typer).read_only(0xffff_ffff).varies(),
        constants("GICD_IIDR", 0x008, GICD_IIDR),
        word("GICD_IGROUPR", 0x080, Dist::Bits(BankReg::Group)).array(32),
        // SGIs are enabled, and wires may be up.
        word("GICD_ISENABLER", 0x100, Dist::Bits(BankReg::SetEnable)).array(32).varies(),
        word("GICD_ICENABLER", 0x180, Dist::Bits(BankReg::ClearEnable)).array(32).varies(),
        word("GICD_ISPENDR", 0x200, Dist::Bits(BankReg::SetPending)).array(32).varies(),
        word("GICD_ICPENDR", 0x280, Dist::Bits(BankReg::ClearPending)).array(32).varies(),
        word("GICD_ISACTIVER", 0x300, Dist::Bits(BankReg::SetActive)).array(32),
        word("GICD_ICACTIVER", 0x380, Dist::Bits(BankReg::ClearActive)).array(32),
        // Five bits of each priority.
        word("GICD_IPRIORITYR", 0x400, Dist::Priority)
            .array(256)
            .takes(Sizes::BYTE_OR_WORD)
            .bits(0xf8f8_f8f8),
        // Those of SGIs and PPIs say who reads them.
        word("GICD_ITARGETSR", 0x800, Dist::Target).array(256).takes(Sizes::BYTE_OR_WORD).varies(),
        // SGIs are always edge-triggered.
        word("GICD_ICFGR", 0xc00, Dist::Config).array(64).bits(CONFIG_BITS).varies(),
        reserved("GICD_NSACR", 0xe00).array(64),
        // TargetListFilter, CPUTargetList, SGIINTID.
        word("GICD_SGIR", 0xf00, Dist::Sgir).write_only(0x03ff_000f),
        word("GICD_CPENDSGIR", 0xf10, Dist::ClearSgi).array(4).takes(Sizes::BYTE_OR_WORD),
        word("GICD_SPENDSGIR", 0xf20, Dist::SetSgi).array(4).takes(Sizes::BYTE_OR_WORD),
        constants("GICD_PIDR", 0xfd0, &[0x04, 0, 0, 0]).first(4),
        constants("GICD_PIDR", 0xfe0, &pidr(0x90, 2)),
        constants("GICD_CIDR", 0xff0, CIDR),
    ],
};

/// Registers of a CPU interface (4.4) and of a virtual one (5.5), which has the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interface {
    Ctlr,
    Pmr,
    Bpr,
    Iar,
    Eoir,
    Rpr,
    Hppir,
    Abpr,
    Aiar,
    Aeoir,
    Ahppir,
    /// Active priorities; of Group 0 only in a physical interface.
    Apr,
    /// Active priorities of Group 1.
    Nsapr,
    Dir,
}

/// An INTID, and of an SGI the sender.
const INTERRUPT: u64 = 0x1fff;
/// The implemented bits of a priority.
pub(super) const PRIORITY: u64 = 0xf8;
/// Least values of GICC_BPR and GICC_ABPR (4.4.3): 7 less the number of bits of a priority, and one more.
pub(super) const MIN_BPR: [u8; 2] = [2, 3];

/// The rows that a physical and a virtual CPU interface have in common, with the names of each.
macro_rules! interface {
    ($prefix:literal, $($physical:expr),*) => {
        &[
            word(concat!($prefix, "_CTLR"), 0x0000, Interface::Ctlr).bits(ctlr::WRITABLE as u64),
            word(concat!($prefix, "_PMR"), 0x0004, Interface::Pmr).bits(PRIORITY),
            word(concat!($prefix, "_BPR"), 0x0008, Interface::Bpr).bits(7).reset(MIN_BPR[0] as u64),
            word(concat!($prefix, "_IAR"), 0x000c, Interface::Iar).read_only(INTERRUPT).varies().read_has_effect(),
            word(concat!($prefix, "_EOIR"), 0x0010, Interface::Eoir).write_only(INTERRUPT),
            word(concat!($prefix, "_RPR"), 0x0014, Interface::Rpr).read_only(0xff).reset(0xff),
            word(concat!($prefix, "_HPPIR"), 0x0018, Interface::Hppir).read_only(INTERRUPT).reset(SPURIOUS as u64),
            word(concat!($prefix, "_ABPR"), 0x001c, Interface::Abpr).bits(7).reset(MIN_BPR[1] as u64),
            word(concat!($prefix, "_AIAR"), 0x0020, Interface::Aiar).read_only(INTERRUPT).varies().read_has_effect(),
            word(concat!($prefix, "_AEOIR"), 0x0024, Interface::Aeoir).write_only(INTERRUPT),
            word(concat!($prefix, "_AHPPIR"), 0x0028, Interface::Ahppir).read_only(INTERRUPT).reset(SPURIOUS as u64),
            word(concat!($prefix, "_APR0"), 0x00d0, Interface::Apr),
            // Priorities beyond 32 levels.
            reserved(concat!($prefix, "_APR"), 0x00d4).array(3).first(1),
            $($physical,)*
            constants(concat!($prefix, "_IIDR"), 0x00fc, GICC_IIDR),
            word(concat!($prefix, "_DIR"), 0x1000, Interface::Dir).write_only(INTERRUPT),
        ]
    };
}

/// A CPU interface.
pub(super) static CPU_INTERFACE: Map<Interface> = Map {
    specification: "Arm IHI 0048B, 4.4 (GICv2 CPU interface)",
    window: REGION_SIZE,
    rows: interface!(
        "GICC",
        word("GICC_NSAPR0", 0x00e0, Interface::Nsapr),
        reserved("GICC_NSAPR", 0x00e4).array(3).first(1)
    ),
};

/// A virtual CPU interface.
pub(super) static VIRTUAL_INTERFACE: Map<Interface> = Map {
    specification: "Arm IHI 0048B, 5.5 (GICv2 virtual CPU interface)",
    window: REGION_SIZE,
    rows: interface!("GICV",),
};

/// Control of a virtual CPU interface (5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    Hcr,
    Vtr,
    Vmcr,
    Misr,
    Eisr,
    Elrsr,
    Apr,
    Lr,
}

/// Control of a virtual CPU interface. There are no list registers beyond the 32nd for the second words of two registers.
pub(super) static VIRTUAL_CONTROL: Map<Control> = Map {
    specification: "Arm IHI 0048B, 5.3 (GICv2 virtual interface control)",
    window: REGION_SIZE,
    rows: &[
        word("GICH_HCR", 0x000, Control::Hcr).bits(hcr::WRITABLE as u64),
        word("GICH_VTR", 0x004, Control::Vtr).read_only(0xffff_ffff).varies(),
        word("GICH_VMCR", 0x008, Control::Vmcr).bits(vmcr::WRITABLE as u64).reset(vmcr::RESET as u64),
        word("GICH_MISR", 0x010, Control::Misr).read_only(0xff),
        word("GICH_EISR0", 0x020, Control::Eisr).read_only(0xffff_ffff),
        constants("GICH_EISR1", 0x024, &[0]),
        word("GICH_ELRSR0", 0x030, Control::Elrsr).read_only(0xffff_ffff).varies(),
        constants("GICH_ELRSR1", 0x034, &[0]),
        word("GICH_APR", 0x0f0, Control::Apr),
        word("GICH_LR", 0x100, Control::Lr).array(64).bits(lr::WRITABLE as u64),
    ],
};
