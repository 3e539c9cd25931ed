//! The registers of the ITS (IHI 0069, 12.19 and 12.20).

use emu_core::registers::{Map, Row, Sizes, constants, double, reserved, word};

use super::tables::Baser;
use super::{QUEUE_OFFSET, TYPER};
use crate::gic::ITS_SIZE;
use crate::gic::regs::{IIDR, identification, pidr};

/// GITS_CTLR.Enabled.
pub(super) const ENABLED: u64 = 1 << 0;
/// GITS_CTLR.Quiescent.
pub(super) const QUIESCENT: u64 = 1 << 31;
/// GITS_CBASER without its RES0 bits.
const CBASER: u64 = 0xb8ef_ffff_ffff_fcff;

/// See the module's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::gic) enum Reg {
    Ctlr,
    Typer,
    Cbaser,
    Cwriter,
    Creadr,
    Baser,
    Translater,
}

static PIDR: [u32; 4] = pidr(0x94, 3);
const ID: [Row<Reg>; 3] = identification(["GITS_PIDR", "GITS_CIDR"], &PIDR);

/// The control frame, and behind it the translation frame.
pub(in crate::gic) static MAP: Map<Reg> = Map {
    specification: "Arm IHI 0069, 12.19 and 12.20 (GIC ITS)",
    window: ITS_SIZE,
    rows: &[
        word("GITS_CTLR", 0x0000, Reg::Ctlr).bits(ENABLED | QUIESCENT).writes(ENABLED).reset(QUIESCENT),
        constants("GITS_IIDR", 0x0004, IIDR),
        double("GITS_TYPER", 0x0008, Reg::Typer).read_only(u64::MAX).reset(TYPER),
        reserved("GITS_MPAMIDR", 0x0010),
        reserved("GITS_PARTIDR", 0x0014),
        reserved("GITS_MPIDR", 0x0018),
        reserved("GITS_STATUSR", 0x0040),
        reserved("GITS_UMSIR", 0x0048).array(2).takes(Sizes::DOUBLE_OR_WORD),
        double("GITS_CBASER", 0x0080, Reg::Cbaser).bits(CBASER),
        double("GITS_CWRITER", 0x0088, Reg::Cwriter).bits(QUEUE_OFFSET),
        // A read lets commands that are left be executed, which any access does: no effect of the register's.
        double("GITS_CREADR", 0x0090, Reg::Creadr).read_only(QUEUE_OFFSET),
        double("GITS_BASER", 0x0100, Reg::Baser).array(8).writes(Baser::WRITABLE).varies(),
        ID[0],
        ID[1],
        ID[2],
        word("GITS_TRANSLATER", 0x1_0040, Reg::Translater).takes(Sizes::HALF_OR_WORD).write_only(0xffff_ffff),
    ],
};
