//! The registers of the HBA (AHCI 1.3.1, 3), and what its ports have in them.

use emu_core::registers::{Map, constants, reserved, word};
use serde::{Deserialize, Serialize};

/// Ports of the HBA.
pub const PORTS: usize = 6;
/// Bytes of the registers.
pub(crate) const WINDOW: u64 = 0x1000;

/// GHC: interrupts are enabled; the HBA is reset.
pub(super) mod ghc {
    pub(crate) const HR: u32 = 1;
    pub(crate) const IE: u32 = 1 << 1;
    pub(crate) const AE: u32 = 1 << 31;
}

/// PxCMD (3.3.7).
pub(super) mod cmd {
    pub(crate) const ST: u32 = 1;
    /// Spin-up and power: always on.
    pub(crate) const ON: u32 = 6;
    pub(crate) const CLO: u32 = 1 << 3;
    pub(crate) const FRE: u32 = 1 << 4;
    pub(crate) const FR: u32 = 1 << 14;
    pub(crate) const CR: u32 = 1 << 15;
    /// What software writes and reads again: ST, FRE, ATAPI, DLAE.
    pub(crate) const KEPT: u32 = 0x0300_0011;
}

/// PxIS and PxIE (3.3.5).
pub(super) mod is {
    /// A D2H Register FIS, PIO Setup FIS, DMA Setup FIS or Set Device Bits FIS with its I bit.
    pub(crate) const DHRS: u32 = 1;
    pub(crate) const PSS: u32 = 1 << 1;
    pub(crate) const SDBS: u32 = 1 << 3;
    /// A descriptor of the PRDT with its I bit.
    pub(crate) const DPS: u32 = 1 << 5;
    /// As PxSERR.DIAG.X and PxSERR.DIAG.N say.
    pub(crate) const PCS: u32 = 1 << 6;
    pub(crate) const PRCS: u32 = 1 << 22;
    /// More bytes than the PRDT has room for.
    pub(crate) const OFS: u32 = 1 << 24;
    pub(crate) const IFS: u32 = 1 << 27;
    pub(crate) const HBFS: u32 = 1 << 29;
    pub(crate) const TFES: u32 = 1 << 30;
    pub(crate) const ALL: u64 = 0xfdc0_00ff;
    pub(crate) const CLEARED_BY_ONE: u64 = 0xfd80_00af;
}

/// PxSERR (3.3.12): PhyRdy changed, device exchanged.
pub(super) const SERR_N: u32 = 1 << 16;
pub(super) const SERR_X: u32 = 1 << 26;
/// PxSSTS (3.3.10): a device is there, at the first generation's speed, active.
const SSTS_UP: u32 = 0x113;
const SSTS_OFFLINE: u32 = 4;

/// CAP (3.1.1): six ports, 32 slots, AHCI only, the first generation's speed, CLO, NCQ, 64-bit addresses.
const CAP: u32 = (PORTS as u32 - 1) | 31 << 8 | 1 << 18 | 1 << 20 | 1 << 24 | 1 << 30 | 1 << 31;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    GlobalControl,
    InterruptStatus,
    List,
    ListHigh,
    Fis,
    FisHigh,
    Status,
    Enable,
    Command,
    TaskFile,
    Signature,
    LinkStatus,
    LinkControl,
    LinkError,
    Active,
    Issue,
}

/// See the module's head. The rows of ports are arrays.
pub(crate) static MAP: Map<Reg> = Map {
    specification: "AHCI 1.3.1",
    window: WINDOW,
    rows: &[
        constants("CAP", 0x00, &[CAP]),
        word("GHC", 0x04, Reg::GlobalControl).reset(0x8000_0000).bits(0x8000_0003).writes(3),
        word("IS", 0x08, Reg::InterruptStatus).bits(0x3f),
        constants("PI", 0x0c, &[0x3f]),
        constants("VS", 0x10, &[0x0001_0301]),
        reserved("CCC_CTL", 0x14),
        reserved("CCC_PORTS", 0x18),
        reserved("EM_LOC", 0x1c),
        reserved("EM_CTL", 0x20),
        constants("CAP2", 0x24, &[0]),
        reserved("BOHC", 0x28),
        word("PxCLB", 0x100, Reg::List).array(6).stride(0x80).bits(0xffff_fc00),
        word("PxCLBU", 0x104, Reg::ListHigh).array(6).stride(0x80),
        word("PxFB", 0x108, Reg::Fis).array(6).stride(0x80).bits(0xffff_ff00),
        word("PxFBU", 0x10c, Reg::FisHigh).array(6).stride(0x80),
        word("PxIS", 0x110, Reg::Status)
            .array(6)
            .stride(0x80)
            .bits(is::ALL)
            .writes(is::CLEARED_BY_ONE)
            .varies(),
        word("PxIE", 0x114, Reg::Enable).array(6).stride(0x80).bits(is::ALL),
        word("PxCMD", 0x118, Reg::Command).array(6).stride(0x80).reset(6).writes(0xf300_0019),
        word("PxTFD", 0x120, Reg::TaskFile).array(6).stride(0x80).read_only(0xffff).varies(),
        word("PxSIG", 0x124, Reg::Signature).array(6).stride(0x80).read_only(0xffff_ffff).varies(),
        word("PxSSTS", 0x128, Reg::LinkStatus).array(6).stride(0x80).read_only(0xfff).varies(),
        word("PxSCTL", 0x12c, Reg::LinkControl).array(6).stride(0x80).bits(0xfff),
        word("PxSERR", 0x130, Reg::LinkError).array(6).stride(0x80).bits(0x07ff_0f03).varies(),
        word("PxSACT", 0x134, Reg::Active).array(6).stride(0x80),
        word("PxCI", 0x138, Reg::Issue).array(6).stride(0x80),
    ],
};

/// Status of a device (PxTFD.STS).
pub(crate) const BSY: u8 = 0x80;
pub(crate) const DRQ: u8 = 0x08;

/// A port's registers, and how far its commands are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Port {
    pub(super) list: u64,
    pub(super) fis: u64,
    pub(super) status: u32,
    pub(super) enable: u32,
    pub(super) command: u32,
    pub(super) task_file: u16,
    pub(super) signature: u32,
    pub(super) link_status: u32,
    pub(super) link_control: u32,
    pub(super) link_error: u32,
    pub(super) active: u32,
    pub(super) issued: u32,
    /// Commands that were begun and have not ended, though PxCI may say so: queued ones.
    pub(super) begun: u32,
    /// The command that was begun last.
    pub(super) current: u8,
    /// After an error nothing is begun until PxCMD.ST is cleared (6.2.2).
    pub(super) halted: bool,
    /// The device is to say what it is (its signature FIS).
    pub(super) signature_due: bool,
    /// The device is held in a software reset.
    pub(super) soft_reset: bool,
    /// All that is under way is to be forgotten. Until then nothing is begun.
    pub(super) cancel: bool,
}

impl Port {
    /// After power-on or a reset of the HBA, which leaves the addresses as they are (10.4.3).
    pub(super) fn reset(&mut self, there: bool) {
        let (list, fis) = (self.list, self.fis);
        *self = Self { list, fis, command: cmd::ON, ..Self::default() };
        self.link_down();
        if there {
            self.link_up();
        }
    }

    fn link_down(&mut self) {
        (self.link_status, self.task_file, self.signature) = (0, 0x7f, u32::MAX);
        self.signature_due = false;
    }

    /// The device answers, and is busy until it has said what it is.
    fn link_up(&mut self) {
        self.link_status = SSTS_UP;
        self.link_error |= SERR_N | SERR_X;
        self.task_file = BSY.into();
        self.signature_due = true;
        self.soft_reset = false;
    }

    pub(super) fn device_status(&self) -> u8 {
        self.task_file as u8
    }

    /// PxIS.
    pub(super) fn status(&self) -> u32 {
        let link = |bit, of| if self.link_error & of != 0 { bit } else { 0 };
        self.status | link(is::PCS, SERR_X) | link(is::PRCS, SERR_N)
    }

    pub(super) fn wants_interrupt(&self) -> bool {
        self.status() & self.enable != 0
    }

    /// Commands can be begun.
    pub(super) fn runs(&self) -> bool {
        self.command & cmd::ST != 0 && !self.halted && !self.cancel && self.link_status == SSTS_UP
    }

    /// PxCMD is written.
    pub(super) fn write_command(&mut self, value: u32) {
        let before = self.command;
        self.command = before & !cmd::KEPT | value & cmd::KEPT;
        if value & cmd::CLO != 0 {
            self.task_file &= !u16::from(BSY | DRQ);
        }
        match (before & cmd::ST, value & cmd::ST) {
            (0, cmd::ST) => {
                self.command |= cmd::CR;
                self.halted = false;
            }
            (cmd::ST, 0) => self.stop(),
            _ => {}
        }
        self.command &= !cmd::FR;
        if self.command & cmd::FRE != 0 {
            self.command |= cmd::FR;
        }
    }

    /// All commands are forgotten; PxCMD.CR says when.
    fn stop(&mut self) {
        (self.issued, self.active, self.begun, self.current) = (0, 0, 0, 0);
        self.cancel = true;
    }

    /// PxSCTL is written (3.3.11, 10.10): DET 1 resets the link, and 4 turns it off.
    pub(super) fn write_link_control(&mut self, value: u32, there: bool) {
        let before = std::mem::replace(&mut self.link_control, value) & 0xf;
        match (before, value & 0xf) {
            (_, det @ (1 | 4)) => {
                self.stop();
                self.link_down();
                if det == 4 {
                    self.link_status = SSTS_OFFLINE;
                }
            }
            (1 | 4, 0) if there => self.link_up(),
            (4, 0) => self.link_down(),
            _ => {}
        }
    }

    /// The worker has forgotten what was under way.
    pub(super) fn cancelled(&mut self) {
        self.cancel = false;
        if self.command & cmd::ST == 0 {
            self.command &= !cmd::CR;
        }
    }

    /// True of what can be a port's state.
    pub(super) fn is_possible(&self) -> bool {
        self.list & 0x3ff == 0 && self.fis & 0xff == 0 && self.current < 32
    }
}
