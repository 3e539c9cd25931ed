//! The registers (82574 datasheet, 10).

use emu_core::registers::{Map, Row, word};

/// Offsets of registers that the model itself looks at.
pub(super) mod at {
    pub(in super::super) const CTRL: u32 = 0x0000;
    pub(in super::super) const CTRL_EXT: u32 = 0x0018;
    pub(in super::super) const MDIC: u32 = 0x0020;
    pub(in super::super) const VET: u32 = 0x0038;
    pub(in super::super) const EECD: u32 = 0x0010;
    pub(in super::super) const EERD: u32 = 0x0014;
    pub(in super::super) const ICR: u32 = 0x00c0;
    pub(in super::super) const ITR: u32 = 0x00c4;
    pub(in super::super) const IMS: u32 = 0x00d0;
    pub(in super::super) const EIAC: u32 = 0x00dc;
    pub(in super::super) const IAM: u32 = 0x00e0;
    pub(in super::super) const IVAR: u32 = 0x00e4;
    pub(in super::super) const EITR: u32 = 0x00e8;
    pub(in super::super) const RCTL: u32 = 0x0100;
    pub(in super::super) const TCTL: u32 = 0x0400;
    pub(in super::super) const EEWR: u32 = 0x102c;
    pub(in super::super) const PSRCTL: u32 = 0x2170;
    pub(in super::super) const RDBAL: u32 = 0x2800;
    pub(in super::super) const TDBAL: u32 = 0x3800;
    pub(in super::super) const RXCSUM: u32 = 0x5000;
    pub(in super::super) const RFCTL: u32 = 0x5008;
    pub(in super::super) const MTA: u32 = 0x5200;
    pub(in super::super) const RAL: u32 = 0x5400;
    pub(in super::super) const VFTA: u32 = 0x5600;
    pub(in super::super) const MRQC: u32 = 0x5818;
    pub(in super::super) const SYSTIML: u32 = 0xb600;
    pub(in super::super) const TIMINCA: u32 = 0xb608;
    pub(in super::super) const RETA: u32 = 0x5c00;
    pub(in super::super) const RSSRK: u32 = 0x5c80;
    /// From one queue's registers to the next one's.
    pub(in super::super) const QUEUE: u32 = 0x100;
}

/// Offsets of the statistics that are counted.
pub(super) mod statistic {
    pub(in super::super) const MPC: u32 = 0x4010;
    pub(in super::super) const PRC64: u32 = 0x405c;
    pub(in super::super) const GPRC: u32 = 0x4074;
    pub(in super::super) const BPRC: u32 = 0x4078;
    pub(in super::super) const MPRC: u32 = 0x407c;
    pub(in super::super) const GPTC: u32 = 0x4080;
    pub(in super::super) const GORC: u32 = 0x4088;
    pub(in super::super) const GOTC: u32 = 0x4090;
    pub(in super::super) const ROC: u32 = 0x40ac;
    pub(in super::super) const TOR: u32 = 0x40c0;
    pub(in super::super) const TOT: u32 = 0x40c8;
    pub(in super::super) const TPR: u32 = 0x40d0;
    pub(in super::super) const TPT: u32 = 0x40d4;
    pub(in super::super) const PTC64: u32 = 0x40d8;
    pub(in super::super) const MPTC: u32 = 0x40f0;
    pub(in super::super) const BPTC: u32 = 0x40f4;
    pub(in super::super) const TSCTC: u32 = 0x40f8;
    pub(in super::super) const IAC: u32 = 0x4100;
}

/// The registers, by what an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    /// Has what was written.
    Stored,
    /// The same; what is to be done may change.
    Kick,
    Control,
    Status,
    ControlExt,
    Eeprom,
    EepromRead,
    EepromWrite,
    Mdic,
    Cause,
    CauseSet,
    Mask,
    MaskClear,
    Semaphore,
    Time,
    TimeIncrement,
    Statistic,
}

const fn stored(name: &'static str, offset: u32) -> Row<Reg> {
    word(name, offset, Reg::Stored)
}
/// One of two queues.
const fn queue(name: &'static str, offset: u32, reg: Reg) -> Row<Reg> {
    word(name, offset, reg).array(2).stride(at::QUEUE)
}
/// A counter, which reading clears.
const fn count(name: &'static str, offset: u32) -> Row<Reg> {
    word(name, offset, Reg::Statistic).read_only(0xffff_ffff).read_has_effect()
}

/// All of them. The wake-up and manageability registers keep what is written, and nothing comes of it: there is no sleep.
pub(crate) static MAP: Map<Reg> = Map {
    specification: "82574 datasheet, 10 (memory BAR)",
    window: super::MEMORY_SIZE,
    rows: &[
        // Full duplex, 1000 Mb/s. Reset and PHY reset read as zero.
        // The link is set up where the EEPROM enables APM, as here.
        word("CTRL", 0x0000, Reg::Control).bits(0x7bff_ffff).writes(0xffff_ffff).reset(0x241),
        word("STATUS", 0x0008, Reg::Status).read_only(0x8_06cf).varies(),
        // Present and read; software may have it when it asks.
        word("EECD", 0x0010, Reg::Eeprom).read_only(0x3c0).writes(0x40).reset(0x300),
        word("EERD", 0x0014, Reg::EepromRead),
        word("CTRL_EXT", 0x0018, Reg::ControlExt).bits(0xffff_dfff).writes(0xffff_ffff),
        stored("FLA", 0x001c),
        word("MDIC", 0x0020, Reg::Mdic).bits(0x7fff_ffff),
        stored("FCAL", 0x0028),
        stored("FCAH", 0x002c),
        stored("FCT", 0x0030),
        stored("VET", 0x0038).bits(0xffff).reset(0x8100),
        word("ICR", 0x00c0, Reg::Cause).read_has_effect(),
        stored("ITR", 0x00c4).bits(0xffff),
        word("ICS", 0x00c8, Reg::CauseSet).write_only(0x7fff_ffff),
        word("IMS", 0x00d0, Reg::Mask).bits(0x7fff_ffff),
        word("IMC", 0x00d8, Reg::MaskClear).write_only(0xffff_ffff),
        stored("EIAC", 0x00dc).bits(0x01f0_0000),
        stored("IAM", 0x00e0),
        stored("IVAR", 0x00e4).bits(0x800f_ffff),
        stored("EITR", 0x00e8).bits(0xffff).array(5),
        word("RCTL", 0x0100, Reg::Kick).bits(0x06df_fffe),
        stored("FCTTV", 0x0170).bits(0xffff),
        stored("TXCW", 0x0178),
        word("RXCW", 0x0180, Reg::Status).read_only(0),
        word("TCTL", 0x0400, Reg::Kick),
        stored("TCTL_EXT", 0x0404),
        stored("TIPG", 0x0410),
        stored("AIT", 0x0458),
        stored("LEDCTL", 0x0e00),
        stored("EXTCNF_CTRL", 0x0f00),
        stored("EXTCNF_SIZE", 0x0f08),
        stored("POEMB", 0x0f10),
        stored("PBA", 0x1000).reset(0x0014_0014),
        stored("PBS", 0x1008),
        stored("EEMNGCTL", 0x1010).reset(0x4_0000),
        word("EEWR", 0x102c, Reg::EepromWrite),
        stored("FLOP", 0x103c),
        stored("PBACLR", 0x1068),
        stored("PBECCSTS", 0x1100),
        stored("ERT", 0x2008),
        stored("FCRTL", 0x2160),
        stored("FCRTH", 0x2168),
        stored("PSRCTL", 0x2170),
        stored("RDFH", 0x2410),
        stored("RDFT", 0x2418),
        stored("RDFHS", 0x2420),
        stored("RDFTS", 0x2428),
        stored("RDFPC", 0x2430),
        queue("RDBAL", 0x2800, Reg::Stored).bits(0xffff_fff0),
        queue("RDBAH", 0x2804, Reg::Stored),
        queue("RDLEN", 0x2808, Reg::Stored).bits(0xf_ff80),
        queue("RDH", 0x2810, Reg::Stored).bits(0xffff),
        queue("RDT", 0x2818, Reg::Kick).bits(0xffff),
        queue("RDTR", 0x2820, Reg::Stored).bits(0xffff),
        queue("RXDCTL", 0x2828, Reg::Stored),
        queue("RADV", 0x282c, Reg::Stored).bits(0xffff),
        stored("RSRPD", 0x2c00),
        stored("RAID", 0x2c08),
        stored("TDFH", 0x3410),
        stored("TDFT", 0x3418),
        stored("TDFHS", 0x3420),
        stored("TDFTS", 0x3428),
        stored("TDFPC", 0x3430),
        queue("TDBAL", 0x3800, Reg::Stored).bits(0xffff_fff0),
        queue("TDBAH", 0x3804, Reg::Stored),
        queue("TDLEN", 0x3808, Reg::Stored).bits(0xf_ff80),
        queue("TDH", 0x3810, Reg::Stored).bits(0xffff),
        queue("TDT", 0x3818, Reg::Kick).bits(0xffff),
        queue("TIDV", 0x3820, Reg::Stored),
        queue("TXDCTL", 0x3828, Reg::Stored),
        queue("TADV", 0x382c, Reg::Stored).bits(0xffff),
        queue("TARC", 0x3840, Reg::Stored),
        count("CRCERRS", 0x4000),
        count("ALGNERRC", 0x4004),
        count("SYMERRS", 0x4008),
        count("RXERRC", 0x400c),
        count("MPC", 0x4010),
        count("SCC", 0x4014),
        count("ECOL", 0x4018),
        count("MCC", 0x401c),
        count("LATECOL", 0x4020),
        count("COLC", 0x4028),
        count("DC", 0x4030),
        count("TNCRS", 0x4034),
        count("SEC", 0x4038),
        count("CEXTERR", 0x403c),
        count("RLEC", 0x4040),
        count("XONRXC", 0x4048),
        count("XONTXC", 0x404c),
        count("XOFFRXC", 0x4050),
        count("XOFFTXC", 0x4054),
        count("FCRUC", 0x4058),
        count("PRC64", 0x405c),
        count("PRC127", 0x4060),
        count("PRC255", 0x4064),
        count("PRC511", 0x4068),
        count("PRC1023", 0x406c),
        count("PRC1522", 0x4070),
        count("GPRC", 0x4074),
        count("BPRC", 0x4078),
        count("MPRC", 0x407c),
        count("GPTC", 0x4080),
        count("GORCL", 0x4088),
        count("GORCH", 0x408c),
        count("GOTCL", 0x4090),
        count("GOTCH", 0x4094),
        count("RNBC", 0x40a0),
        count("RUC", 0x40a4),
        count("RFC", 0x40a8),
        count("ROC", 0x40ac),
        count("RJC", 0x40b0),
        count("MNGPRC", 0x40b4),
        count("MNGPDC", 0x40b8),
        count("MNGPTC", 0x40bc),
        count("TORL", 0x40c0),
        count("TORH", 0x40c4),
        count("TOTL", 0x40c8),
        count("TOTH", 0x40cc),
        count("TPR", 0x40d0),
        count("TPT", 0x40d4),
        count("PTC64", 0x40d8),
        count("PTC127", 0x40dc),
        count("PTC255", 0x40e0),
        count("PTC511", 0x40e4),
        count("PTC1023", 0x40e8),
        count("PTC1522", 0x40ec),
        count("MPTC", 0x40f0),
        count("BPTC", 0x40f4),
        count("TSCTC", 0x40f8),
        count("TSCTFC", 0x40fc),
        count("IAC", 0x4100),
        count("ICRXPTC", 0x4104),
        count("ICRXATC", 0x4108),
        count("ICTXPTC", 0x410c),
        count("ICTXATC", 0x4110),
        count("ICTXQEC", 0x4118),
        count("ICTXQMTC", 0x411c),
        count("ICRXDMTC", 0x4120),
        count("ICRXOC", 0x4124),
        stored("RXCSUM", 0x5000).reset(0x300),
        stored("RFCTL", 0x5008),
        stored("MTA", 0x5200).array(128),
        // The first address is the EEPROM's.
        stored("RAL", 0x5400).array(16).stride(8).varies(),
        stored("RAH", 0x5404).bits(0x8003_ffff).array(16).stride(8).varies(),
        stored("VFTA", 0x5600).array(128),
        stored("WUC", 0x5800).reset(1),
        stored("WUFC", 0x5808),
        stored("WUS", 0x5810),
        stored("MRQC", 0x5818),
        stored("MANC", 0x5820),
        stored("IPAV", 0x5838),
        stored("IP4AT", 0x5840).array(4).stride(8),
        stored("MANC2H", 0x5860),
        stored("WUPL", 0x5900),
        stored("GCR", 0x5b00),
        word("FACTPS", 0x5b30, Reg::Status).read_only(0),
        word("SWSM", 0x5b50, Reg::Semaphore).bits(0x3).read_has_effect(),
        stored("FWSM", 0x5b54),
        stored("SWSM2", 0x5b58),
        stored("GCR2", 0x5b64),
        stored("RETA", 0x5c00).array(32),
        stored("RSSRK", 0x5c80).array(10),
        word("SYSTIML", 0xb600, Reg::Time),
        word("SYSTIMH", 0xb604, Reg::Time),
        word("TIMINCA", 0xb608, Reg::TimeIncrement),
    ],
};
