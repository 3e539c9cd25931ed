//! The registers (DDI 0424, table 3-1), and the configuration that this controller has.

use emu_core::registers::{Map, constants, word};

use crate::registers::{PCELL_ID, WINDOW};

/// Channel threads.
pub(super) const CHANNELS: usize = 8;
/// Bytes of an access of the data bus: 128 bits.
pub(super) const BUS_BYTES: u32 = 16;
/// Lines of the MFIFO, of [`BUS_BYTES`] each.
const FIFO_LINES: u32 = 256;
/// Bytes of the MFIFO.
pub(super) const FIFO_BYTES: usize = (FIFO_LINES * BUS_BYTES) as usize;
/// Lines of a thread's instruction cache.
pub(super) const CACHE_LINES: usize = 16;
/// Bytes of such a line.
pub(super) const CACHE_LINE: usize = 16;

/// CR0: eight channels, 32 events, no peripheral requests; the manager is Non-secure and starts Stopped.
const CR0: u32 = 31 << 17 | (CHANNELS as u32 - 1) << 4 | 1 << 2;
/// CR1: lines of 16 bytes.
const CR1: u32 = (CACHE_LINES as u32 - 1) << 4 | 4;
/// CRD: 128 bits, queues of 16, 8 outstanding.
const CRD: u32 = (FIFO_LINES - 1) << 20 | 15 << 16 | 7 << 12 | 15 << 8 | 7 << 4 | 4;
/// CCRn after reset.
pub(super) const CCR_RESET: u32 = 0x0080_0200;
/// Bits of CCRn.
pub(super) const CCR_BITS: u32 = 0x7fff_ffff;

/// Bits of FTRD and FTRn.
pub(super) mod fault {
    pub(crate) const UNDEFINED: u32 = 1 << 0;
    pub(crate) const OPERAND: u32 = 1 << 1;
    /// FTRD: a Non-secure manager was to start a Secure channel.
    pub(crate) const GO: u32 = 1 << 4;
    /// FTRn: a Non-secure channel was to make Secure accesses.
    pub(crate) const SECURE_ACCESS: u32 = 1 << 7;
    pub(crate) const NO_DATA: u32 = 1 << 13;
    pub(crate) const FETCH: u32 = 1 << 16;
    pub(crate) const WRITE: u32 = 1 << 17;
    pub(crate) const READ: u32 = 1 << 18;
    pub(crate) const DEBUG: u32 = 1 << 30;
    pub(crate) const LOCK_UP: u32 = 1 << 31;
    pub(super) const MANAGER: u32 = UNDEFINED | OPERAND | GO | DEBUG;
    pub(super) const CHANNEL: u32 =
        UNDEFINED | OPERAND | SECURE_ACCESS | NO_DATA | FETCH | WRITE | READ | DEBUG | LOCK_UP;
}

/// The registers, by their meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// DMA manager status.
    Dsr,
    /// DMA program counter.
    Dpc,
    /// Interrupt enable.
    Inten,
    /// Event and interrupt raw status.
    Ris,
    /// Interrupt status.
    Mis,
    /// Interrupt clear.
    Intclr,
    /// Fault status of the manager.
    Fsrd,
    /// Fault status of the channels.
    Fsrc,
    /// Fault type of the manager.
    Ftrd,
    /// Fault type of a channel.
    Ftr,
    /// Channel status.
    Csr,
    /// Channel program counter.
    Cpc,
    /// Source address.
    Sar,
    /// Destination address.
    Dar,
    /// Channel control.
    Ccr,
    /// Loop counter 0.
    Lc0,
    /// Loop counter 1.
    Lc1,
    /// Debug status.
    Dbgstatus,
    /// Debug command.
    Dbgcmd,
    /// Debug instruction, and whose.
    Dbginst0,
    /// Debug instruction, the rest.
    Dbginst1,
    /// Watchdog.
    Wd,
}

/// DDI 0424, table 3-1.
pub static MAP: Map<Reg> = Map {
    specification: "Arm DDI 0424 (CoreLink DMA-330)",
    window: WINDOW,
    rows: &[
        word("DSR", 0x000, Reg::Dsr).read_only(0x3ff).reset(1 << 9),
        word("DPC", 0x004, Reg::Dpc).read_only(0xffff_ffff),
        word("INTEN", 0x020, Reg::Inten),
        word("INT_EVENT_RIS", 0x024, Reg::Ris).read_only(0xffff_ffff),
        word("INTMIS", 0x028, Reg::Mis).read_only(0xffff_ffff),
        word("INTCLR", 0x02c, Reg::Intclr).write_only(0xffff_ffff),
        word("FSRD", 0x030, Reg::Fsrd).read_only(1),
        word("FSRC", 0x034, Reg::Fsrc).read_only(0xff),
        word("FTRD", 0x038, Reg::Ftrd).read_only(fault::MANAGER as u64),
        word("FTR", 0x040, Reg::Ftr).array(CHANNELS as u32).read_only(fault::CHANNEL as u64),
        word("CSR", 0x100, Reg::Csr).array(CHANNELS as u32).stride(8).read_only(0x20_c1ff).reset(1 << 21),
        word("CPC", 0x104, Reg::Cpc).array(CHANNELS as u32).stride(8).read_only(0xffff_ffff),
        word("SAR", 0x400, Reg::Sar).array(CHANNELS as u32).stride(32).read_only(0xffff_ffff),
        word("DAR", 0x404, Reg::Dar).array(CHANNELS as u32).stride(32).read_only(0xffff_ffff),
        word("CCR", 0x408, Reg::Ccr)
            .array(CHANNELS as u32)
            .stride(32)
            .read_only(CCR_BITS as u64)
            .reset(CCR_RESET as u64),
        word("LC0", 0x40c, Reg::Lc0).array(CHANNELS as u32).stride(32).read_only(0xff),
        word("LC1", 0x410, Reg::Lc1).array(CHANNELS as u32).stride(32).read_only(0xff),
        word("DBGSTATUS", 0xd00, Reg::Dbgstatus).read_only(1),
        word("DBGCMD", 0xd04, Reg::Dbgcmd).write_only(3),
        word("DBGINST0", 0xd08, Reg::Dbginst0).write_only(0xffff_0701),
        word("DBGINST1", 0xd0c, Reg::Dbginst1).write_only(0xffff_ffff),
        // CR2 is boot_addr, CR3 says that all events are Non-secure, CR4 is about peripherals.
        constants("CR", 0xe00, &[CR0, CR1, 0, 0xffff_ffff, 0, CRD]),
        word("WD", 0xe80, Reg::Wd).bits(1),
        // Part 0x330, designer 0x41, r1p2.
        constants("periph_id_", 0xfe0, &[0x30, 0x13, 0x34, 0x00]),
        constants("pcell_id_", 0xff0, PCELL_ID),
    ],
};
