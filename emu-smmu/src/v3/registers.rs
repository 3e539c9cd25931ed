//! The registers (Arm IHI 0070, chapter 6): where they are, what they hold, and when they can be written.
//!
//! There is the Non-secure programming interface alone. Of what the specification leaves open:
//! - page 0 has aliases of the registers that belong to page 1, and page 1 has nothing else (6.2);
//! - an access of another size than a register takes, also of 64 bits to two registers, is RAZ/WI;
//! - every update takes effect at once, so that CR0ACK and IRQ_CTRLACK follow their registers;
//! - a write that another register forbids is ignored, as SMMUv3.2 demands of every one of them.

use emu_core::registers::{Content, Map, Row, constants, double, reserved, word};
use serde::{Deserialize, Serialize};

use super::gerror::{ERRORS, Gerror, PRIQ_ERRORS};
use super::interrupts::Msi;
use super::layout::low;
use super::profile::Profile;
use super::queue::{INDEX, Queue, Shape};
use super::settings::Settings;
use super::streams::Question;

/// CR0.SMMUEN: transactions are translated.
pub(super) const SMMUEN: u32 = 1 << 0;
/// CR0.PRIQEN: page requests are written to the queue, while SMMUEN is set as well.
pub(super) const PRIQEN: u32 = 1 << 1;
/// CR0.EVENTQEN: events are written to the queue.
pub(super) const EVENTQEN: u32 = 1 << 2;
/// CR0.CMDQEN: commands are executed.
pub(super) const CMDQEN: u32 = 1 << 3;
/// CR0.ATSCHK: whether a stream may use translated addresses is looked up.
const ATSCHK: u32 = 1 << 4;
/// CR0.VMW: bits of a VMID that invalidations ignore.
const VMW: u32 = 7 << 6;
/// What CR0 has.
const CR0: u64 = (SMMUEN | PRIQEN | EVENTQEN | CMDQEN | ATSCHK | VMW) as u64;

/// CR1, its fields about tables, and those about queues.
const CR1_TABLE: u64 = 0xfc0;
const CR1_QUEUE: u64 = 0x03f;

/// CR2.E2H: EL2 has ASIDs and two halves.
pub(super) const E2H: u32 = 1 << 0;
/// CR2.RECINVSID: C_BAD_STREAMID is recorded.
const RECINVSID: u32 = 1 << 1;
/// CR2.PTM: no part in TLB maintenance of CPUs.
const PTM: u32 = 1 << 2;

/// GBPA.Update: a write is meant.
const GBPA_UPDATE: u32 = 1 << 31;
/// GBPA.ABORT.
const GBPA_ABORT: u32 = 1 << 20;
/// What can be read back of GBPA: ABORT, INSTCFG, PRIVCFG, SHCFG, ALLOCCFG, MTCFG and MemAttr.
const GBPA: u64 = 0x001f_3f1f;
/// GBPA.SHCFG: shareability is used as it comes.
const GBPA_RESET: u32 = 1 << 12;

/// IRQ_CTRL.GERROR_IRQEN.
pub(super) const GERROR_IRQEN: u32 = 1 << 0;
/// IRQ_CTRL.PRIQ_IRQEN.
pub(super) const PRIQ_IRQEN: u32 = 1 << 1;
/// IRQ_CTRL.EVENTQ_IRQEN.
pub(super) const EVENTQ_IRQEN: u32 = 1 << 2;
const IRQ_CTRL: u64 = (GERROR_IRQEN | PRIQ_IRQEN | EVENTQ_IRQEN) as u64;

/// IRQ_CFG0.ADDR, IRQ_CFG2.SH and MemAttr.
const MSI_ADDRESS: u64 = 0x000f_ffff_ffff_fffc;
const MSI_ATTRIBUTES: u64 = 0x3f;
/// PRIQ_IRQ_CFG2.LO: the last request of a group interrupts, and no other.
pub(super) const LAST_ONLY: u32 = 1 << 31;

/// A hint, an address and a size.
const QUEUE_BASE: u64 = 1 << 62 | 0x000f_ffff_ffff_ffff;
/// CMDQ_CONS: ERR and RD.
const CMDQ_CONS: u64 = CMDQ_ERR | INDEX as u64;
const CMDQ_ERR: u64 = 0x7f00_0000;
/// EVENTQ_PROD and PRIQ_PROD: OVFLG and WR; EVENTQ_CONS and PRIQ_CONS: OVACKFLG and RD.
const OUTPUT_INDEX: u64 = 1 << 31 | INDEX as u64;

/// Bytes of the two pages of 64 KiB.
pub const WINDOW: u64 = 0x2_0000;

/// GATOS_CTRL.RUN: a lookup is asked for. It is over when the write is.
pub(super) const RUN: u64 = 1;
/// GATOS_SID: SSID_VALID, SUBSTREAMID and STREAMID.
const GATOS_SID: u64 = 1 << 52 | 0x000f_ffff_ffff_ffff;
/// GATOS_ADDR: ADDR, TYPE, PnU, RnW, InD and HTTUI.
const GATOS_ADDR: u64 = !0x3f;

/// Who can send a message that registers describe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    Gerror,
    Eventq,
    Priq,
}

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reg {
    Idr,
    Iidr,
    Aidr,
    Cr0,
    Cr0Ack,
    Cr1,
    Cr2,
    Gbpa,
    IrqCtrl,
    IrqCtrlAck,
    Gerror,
    Gerrorn,
    IrqCfg0(Sender),
    IrqCfg1(Sender),
    IrqCfg2(Sender),
    StrtabBase,
    StrtabBaseCfg,
    CmdqBase,
    CmdqProd,
    CmdqCons,
    EventqBase,
    EventqProd,
    EventqCons,
    PriqBase,
    PriqProd,
    PriqCons,
    GatosCtrl,
    GatosSid,
    GatosAddr,
    GatosPar,
}

const EVENTQ_PROD: [Row<Reg>; 2] = [eventq_prod(0xa8), eventq_prod(0x1_00a8)];
const EVENTQ_CONS: [Row<Reg>; 2] = [eventq_cons(0xac), eventq_cons(0x1_00ac)];

const fn eventq_prod(offset: u32) -> Row<Reg> {
    word("SMMU_EVENTQ_PROD", offset, Reg::EventqProd).bits(OUTPUT_INDEX)
}

const fn eventq_cons(offset: u32) -> Row<Reg> {
    word("SMMU_EVENTQ_CONS", offset, Reg::EventqCons).bits(OUTPUT_INDEX)
}

const PRIQ_PROD: [Row<Reg>; 2] = [priq_prod(0xc8), priq_prod(0x1_00c8)];
const PRIQ_CONS: [Row<Reg>; 2] = [priq_cons(0xcc), priq_cons(0x1_00cc)];

const fn priq_prod(offset: u32) -> Row<Reg> {
    word("SMMU_PRIQ_PROD", offset, Reg::PriqProd).bits(OUTPUT_INDEX)
}

const fn priq_cons(offset: u32) -> Row<Reg> {
    word("SMMU_PRIQ_CONS", offset, Reg::PriqCons).bits(OUTPUT_INDEX)
}

/// The specification's map.
pub(super) static MAP: Map<Reg> = Map {
    specification: "Arm IHI 0070, 6.2.1 and 6.2.2 (SMMUv3)",
    window: WINDOW,
    rows: &[
        word("SMMU_IDR", 0x00, Reg::Idr).array(6).read_only(0xffff_ffff).varies(),
        word("SMMU_IIDR", 0x18, Reg::Iidr).read_only(0xffff_ffff).varies(),
        word("SMMU_AIDR", 0x1c, Reg::Aidr).read_only(0xff).varies(),
        word("SMMU_CR0", 0x20, Reg::Cr0).bits(CR0),
        word("SMMU_CR0ACK", 0x24, Reg::Cr0Ack).read_only(CR0),
        word("SMMU_CR1", 0x28, Reg::Cr1).bits(CR1_TABLE | CR1_QUEUE),
        word("SMMU_CR2", 0x2c, Reg::Cr2).bits((E2H | RECINVSID | PTM) as u64).varies(),
        reserved("SMMU_STATUSR", 0x40),
        word("SMMU_GBPA", 0x44, Reg::Gbpa)
            .bits(GBPA)
            .writes(GBPA | GBPA_UPDATE as u64)
            .reset(GBPA_RESET as u64),
        reserved("SMMU_AGBPA", 0x48),
        word("SMMU_IRQ_CTRL", 0x50, Reg::IrqCtrl).bits(IRQ_CTRL),
        word("SMMU_IRQ_CTRLACK", 0x54, Reg::IrqCtrlAck).read_only(IRQ_CTRL),
        word("SMMU_GERROR", 0x60, Reg::Gerror).read_only(ERRORS),
        word("SMMU_GERRORN", 0x64, Reg::Gerrorn).bits(ERRORS),
        double("SMMU_GERROR_IRQ_CFG0", 0x68, Reg::IrqCfg0(Sender::Gerror)).bits(MSI_ADDRESS),
        word("SMMU_GERROR_IRQ_CFG1", 0x70, Reg::IrqCfg1(Sender::Gerror)),
        word("SMMU_GERROR_IRQ_CFG2", 0x74, Reg::IrqCfg2(Sender::Gerror)).bits(MSI_ATTRIBUTES),
        double("SMMU_STRTAB_BASE", 0x80, Reg::StrtabBase).bits(1 << 62 | 0x000f_ffff_ffff_ffc0),
        // FMT, SPLIT and LOG2SIZE.
        word("SMMU_STRTAB_BASE_CFG", 0x88, Reg::StrtabBaseCfg).bits(0x3_07ff),
        double("SMMU_CMDQ_BASE", 0x90, Reg::CmdqBase).bits(QUEUE_BASE),
        word("SMMU_CMDQ_PROD", 0x98, Reg::CmdqProd).bits(INDEX as u64),
        word("SMMU_CMDQ_CONS", 0x9c, Reg::CmdqCons).bits(CMDQ_CONS),
        double("SMMU_EVENTQ_BASE", 0xa0, Reg::EventqBase).bits(QUEUE_BASE),
        EVENTQ_PROD[0],
        EVENTQ_CONS[0],
        double("SMMU_EVENTQ_IRQ_CFG0", 0xb0, Reg::IrqCfg0(Sender::Eventq)).bits(MSI_ADDRESS),
        word("SMMU_EVENTQ_IRQ_CFG1", 0xb8, Reg::IrqCfg1(Sender::Eventq)),
        word("SMMU_EVENTQ_IRQ_CFG2", 0xbc, Reg::IrqCfg2(Sender::Eventq)).bits(MSI_ATTRIBUTES),
        double("SMMU_PRIQ_BASE", 0xc0, Reg::PriqBase).bits(QUEUE_BASE),
        PRIQ_PROD[0],
        PRIQ_CONS[0],
        double("SMMU_PRIQ_IRQ_CFG0", 0xd0, Reg::IrqCfg0(Sender::Priq)).bits(MSI_ADDRESS),
        word("SMMU_PRIQ_IRQ_CFG1", 0xd8, Reg::IrqCfg1(Sender::Priq)),
        word("SMMU_PRIQ_IRQ_CFG2", 0xdc, Reg::IrqCfg2(Sender::Priq)).bits(LAST_ONLY as u64 | MSI_ATTRIBUTES),
        word("SMMU_GATOS_CTRL", 0x100, Reg::GatosCtrl).bits(RUN),
        double("SMMU_GATOS_SID", 0x108, Reg::GatosSid).bits(GATOS_SID),
        double("SMMU_GATOS_ADDR", 0x110, Reg::GatosAddr).bits(GATOS_ADDR),
        double("SMMU_GATOS_PAR", 0x118, Reg::GatosPar).read_only(u64::MAX),
        // Arm's, and its SMMU: 6.2.1 leaves the numbers to the implementer, and drivers do not look at them.
        constants("SMMU_PIDR4", 0xfd0, &[0x04, 0, 0, 0]).first(4),
        constants("SMMU_PIDR0", 0xfe0, &[0x84, 0xb4, 0xf0, 0x10]),
        constants("SMMU_CIDR", 0xff0, &[0x0d, 0xf0, 0x05, 0xb1]),
        EVENTQ_PROD[1],
        EVENTQ_CONS[1],
        PRIQ_PROD[1],
        PRIQ_CONS[1],
    ],
};

/// Which bits of a register are read-only while one of some enables is set: "Guarded" in the specification (6.2).
#[derive(Clone, Copy)]
enum Guard {
    Cr0(u32),
    IrqCtrl(u32),
}

static GUARDS: &[(Reg, u64, Guard)] = &[
    (Reg::Cr1, CR1_TABLE, Guard::Cr0(SMMUEN)),
    (Reg::Cr1, CR1_QUEUE, Guard::Cr0(PRIQEN | EVENTQEN | CMDQEN)),
    (Reg::Cr2, u64::MAX, Guard::Cr0(SMMUEN)),
    (Reg::StrtabBase, u64::MAX, Guard::Cr0(SMMUEN)),
    (Reg::StrtabBaseCfg, u64::MAX, Guard::Cr0(SMMUEN)),
    (Reg::CmdqBase, u64::MAX, Guard::Cr0(CMDQEN)),
    (Reg::CmdqCons, u64::MAX, Guard::Cr0(CMDQEN)),
    (Reg::EventqBase, u64::MAX, Guard::Cr0(EVENTQEN)),
    (Reg::EventqProd, u64::MAX, Guard::Cr0(EVENTQEN)),
    (Reg::PriqBase, u64::MAX, Guard::Cr0(PRIQEN)),
    (Reg::PriqProd, u64::MAX, Guard::Cr0(PRIQEN)),
    (Reg::IrqCfg0(Sender::Gerror), u64::MAX, Guard::IrqCtrl(GERROR_IRQEN)),
    (Reg::IrqCfg1(Sender::Gerror), u64::MAX, Guard::IrqCtrl(GERROR_IRQEN)),
    (Reg::IrqCfg2(Sender::Gerror), u64::MAX, Guard::IrqCtrl(GERROR_IRQEN)),
    (Reg::IrqCfg0(Sender::Eventq), u64::MAX, Guard::IrqCtrl(EVENTQ_IRQEN)),
    (Reg::IrqCfg1(Sender::Eventq), u64::MAX, Guard::IrqCtrl(EVENTQ_IRQEN)),
    (Reg::IrqCfg2(Sender::Eventq), u64::MAX, Guard::IrqCtrl(EVENTQ_IRQEN)),
    (Reg::IrqCfg0(Sender::Priq), u64::MAX, Guard::IrqCtrl(PRIQ_IRQEN)),
    (Reg::IrqCfg1(Sender::Priq), u64::MAX, Guard::IrqCtrl(PRIQ_IRQEN)),
    (Reg::IrqCfg2(Sender::Priq), u64::MAX, Guard::IrqCtrl(PRIQ_IRQEN)),
];

/// The contents of the registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) cr0: u32,
    cr1: u32,
    cr2: u32,
    gbpa: u32,
    pub(super) irq_ctrl: u32,
    pub(super) gerror: Gerror,
    pub(super) gerror_irq: Msi,
    strtab_base: u64,
    strtab_base_cfg: u32,
    pub(super) cmdq: Queue,
    pub(super) eventq: Queue,
    pub(super) eventq_irq: Msi,
    pub(super) priq: Queue,
    pub(super) priq_irq: Msi,
    /// GATOS_SID and GATOS_ADDR.
    pub(super) gatos: Question,
    pub(super) gatos_par: u64,
}

impl Registers {
    /// After reset. What the specification leaves UNKNOWN is zero, but for PTM, which it recommends to be set.
    pub(super) fn new(profile: &Profile) -> Self {
        Self {
            cr0: 0,
            cr1: 0,
            cr2: if profile.broadcast { PTM } else { 0 },
            gbpa: GBPA_RESET,
            irq_ctrl: 0,
            gerror: Gerror::default(),
            gerror_irq: Msi::default(),
            strtab_base: 0,
            strtab_base_cfg: 0,
            cmdq: Queue::default(),
            eventq: Queue::default(),
            eventq_irq: Msi::default(),
            priq: Queue::default(),
            priq_irq: Msi::default(),
            gatos: Question::default(),
            gatos_par: 0,
        }
    }

    /// The value of a register; reading changes nothing.
    pub(super) fn read(&self, reg: Reg, index: u32, profile: &Profile) -> u64 {
        match reg {
            Reg::Idr => profile.idr(index).into(),
            Reg::Iidr => profile.iidr.into(),
            Reg::Aidr => profile.version.into(),
            Reg::Cr0 | Reg::Cr0Ack => self.cr0.into(),
            Reg::Cr1 => self.cr1.into(),
            Reg::Cr2 => self.cr2.into(),
            Reg::Gbpa => self.gbpa.into(),
            Reg::IrqCtrl | Reg::IrqCtrlAck => self.irq_ctrl.into(),
            Reg::Gerror => self.gerror.gerror.into(),
            Reg::Gerrorn => self.gerror.gerrorn.into(),
            Reg::IrqCfg0(sender) => self.message(sender).address,
            Reg::IrqCfg1(sender) => self.message(sender).data.into(),
            Reg::IrqCfg2(sender) => self.message(sender).attributes.into(),
            Reg::StrtabBase => self.strtab_base,
            Reg::StrtabBaseCfg => self.strtab_base_cfg.into(),
            Reg::CmdqBase => self.cmdq.base,
            Reg::CmdqProd => self.cmdq.prod.into(),
            Reg::CmdqCons => self.cmdq.cons.into(),
            Reg::EventqBase => self.eventq.base,
            Reg::EventqProd => self.eventq.prod.into(),
            Reg::EventqCons => self.eventq.cons.into(),
            Reg::PriqBase => self.priq.base,
            Reg::PriqProd => self.priq.prod.into(),
            Reg::PriqCons => self.priq.cons.into(),
            Reg::GatosCtrl => 0,
            Reg::GatosSid => self.gatos.sid,
            Reg::GatosAddr => self.gatos.addr,
            Reg::GatosPar => self.gatos_par,
        }
    }

    /// Writes a register, given as its full new value. False if that is forbidden now, wholly or in part.
    pub(super) fn write(&mut self, reg: Reg, value: u64, profile: &Profile) -> bool {
        let guarded = self.guarded(reg);
        let old = self.read(reg, 0, profile);
        let new = (old & guarded | value & !guarded) & present(reg, profile);
        match reg {
            Reg::Cr0 => self.cr0 = new as u32,
            Reg::Cr1 => self.cr1 = new as u32,
            Reg::Cr2 => self.cr2 = new as u32,
            Reg::Gbpa if new as u32 & GBPA_UPDATE == 0 => return false,
            Reg::Gbpa => self.gbpa = new as u32 & !GBPA_UPDATE,
            Reg::IrqCtrl => self.irq_ctrl = new as u32,
            Reg::Gerrorn => self.gerror.gerrorn = new as u32,
            Reg::IrqCfg0(sender) => self.message_mut(sender).address = new,
            Reg::IrqCfg1(sender) => self.message_mut(sender).data = new as u32,
            Reg::IrqCfg2(sender) => self.message_mut(sender).attributes = new as u32,
            Reg::StrtabBase => self.strtab_base = new,
            Reg::StrtabBaseCfg => self.strtab_base_cfg = new as u32,
            Reg::CmdqBase => self.cmdq.base = new,
            Reg::CmdqProd => self.cmdq.prod = new as u32,
            Reg::CmdqCons => self.cmdq.cons = new as u32,
            Reg::EventqBase => self.eventq.base = new,
            Reg::EventqProd => self.eventq.prod = new as u32,
            Reg::EventqCons => self.eventq.cons = new as u32,
            Reg::PriqBase => self.priq.base = new,
            Reg::PriqProd => self.priq.prod = new as u32,
            Reg::PriqCons => self.priq.cons = new as u32,
            Reg::GatosSid => self.gatos.sid = new,
            Reg::GatosAddr => self.gatos.addr = new,
            // A question, or nothing.
            Reg::GatosCtrl => return false,
            // Read-only.
            Reg::GatosPar => return false,
            Reg::Idr | Reg::Iidr | Reg::Aidr | Reg::Cr0Ack | Reg::IrqCtrlAck | Reg::Gerror => return false,
        }
        (old ^ value) & guarded == 0
    }

    /// The bits of a register that cannot be written now.
    fn guarded(&self, reg: Reg) -> u64 {
        let closed = |guard: &Guard| match guard {
            Guard::Cr0(enables) => self.cr0 & enables != 0,
            Guard::IrqCtrl(enables) => self.irq_ctrl & enables != 0,
        };
        GUARDS.iter().filter(|(r, _, guard)| *r == reg && closed(guard)).fold(0, |bits, row| bits | row.1)
    }

    fn message(&self, sender: Sender) -> &Msi {
        match sender {
            Sender::Gerror => &self.gerror_irq,
            Sender::Eventq => &self.eventq_irq,
            Sender::Priq => &self.priq_irq,
        }
    }

    fn message_mut(&mut self, sender: Sender) -> &mut Msi {
        match sender {
            Sender::Gerror => &mut self.gerror_irq,
            Sender::Eventq => &mut self.eventq_irq,
            Sender::Priq => &mut self.priq_irq,
        }
    }

    /// False of a state that was not saved by an SMMU of this profile.
    pub(super) fn is_possible(&self, profile: &Profile) -> bool {
        let present = |row: &Row<Reg>| match row.content {
            Content::Register(reg) => self.read(reg, 0, profile) & !present(reg, profile) == 0,
            Content::Constant(_) | Content::Reserved => true,
        };
        MAP.holds(|reg, index| Some(self.read(reg, index, profile))) && MAP.rows.iter().all(present)
    }

    /// What they say of transactions.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            enabled: self.cr0 & SMMUEN != 0,
            ats_check: self.cr0 & ATSCHK != 0,
            bypass_aborts: self.gbpa & GBPA_ABORT != 0,
            strtab_base: self.strtab_base,
            strtab_base_cfg: self.strtab_base_cfg,
            record_bad_stream: self.cr2 & RECINVSID != 0,
            e2h: self.cr2 & E2H != 0,
            private_tlb: self.cr2 & PTM != 0,
            // Others are reserved, and behave as 0.
            vmid_wildcard: match (self.cr0 & VMW) >> 6 {
                bits @ 1..=4 => bits as u8,
                _ => 0,
            },
        }
    }

    /// SMMU_CMDQ_CONS.ERR.
    pub(super) fn set_command_error(&mut self, code: u8) {
        self.cmdq.cons = self.cmdq.cons & !(CMDQ_ERR as u32) | u32::from(code) << 24;
    }
}

/// The bits of a register that are there with a profile.
fn present(reg: Reg, profile: &Profile) -> u64 {
    let given = |there: bool, bits: u32| if there { 0 } else { u64::from(bits) };
    match reg {
        Reg::Cr0 => {
            let absent = given(profile.ats, ATSCHK) | given(profile.pri, PRIQEN);
            !(absent | given(profile.vmid_wildcards, VMW))
        }
        Reg::GatosCtrl | Reg::GatosSid | Reg::GatosAddr | Reg::GatosPar if !profile.atos => 0,
        Reg::GatosSid => {
            let substream = match profile.substream_bits {
                0 => 0,
                bits => 1 << 20 | low(bits.into()),
            };
            low(profile.stream_bits.into()) | substream << 32
        }
        Reg::IrqCtrl => !given(profile.pri, PRIQ_IRQEN),
        Reg::Gerrorn => !given(profile.pri, PRIQ_ERRORS),
        Reg::PriqBase | Reg::PriqProd | Reg::PriqCons if !profile.pri => 0,
        Reg::IrqCfg0(Sender::Priq) | Reg::IrqCfg1(Sender::Priq) | Reg::IrqCfg2(Sender::Priq)
            if !profile.pri =>
        {
            0
        }
        Reg::IrqCfg2(Sender::Priq) if !profile.msi => LAST_ONLY.into(),
        Reg::Cr2 => !(given(profile.hyp, E2H) | given(profile.broadcast, PTM)),
        Reg::IrqCfg0(_) | Reg::IrqCfg1(_) | Reg::IrqCfg2(_) if !profile.msi => 0,
        _ => u64::MAX,
    }
}

/// The shape of the command queue, whose entries have 16 bytes.
pub(super) fn command_shape(profile: &Profile) -> Shape {
    Shape { max_bits: profile.queue_bits[0], entry_bits: 4, output_bits: profile.output_bits }
}

/// The shape of the PRI queue, whose entries have 16 bytes.
pub(super) fn page_request_shape(profile: &Profile) -> Shape {
    Shape { max_bits: profile.queue_bits[2], entry_bits: 4, output_bits: profile.output_bits }
}

/// The shape of the event queue, whose entries have 32 bytes.
pub(super) fn event_shape(profile: &Profile) -> Shape {
    Shape { max_bits: profile.queue_bits[1], entry_bits: 5, output_bits: profile.output_bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_core::addr::Size;

    const P: Profile = Profile::FULL;

    fn registers() -> Registers {
        Registers::new(&P)
    }

    fn offset(reg: Reg) -> u32 {
        MAP.rows.iter().rev().find(|r| r.content == Content::Register(reg)).unwrap().offset
    }

    #[test]
    fn the_map_has_no_flaw() {
        assert_eq!(MAP.flaw(), None);
    }

    /// 6.2.1 and 6.2.2.
    #[test]
    fn registers_are_where_the_specification_has_them() {
        use Reg::*;
        let places = [
            (Iidr, 0x18),
            (Cr0, 0x20),
            (Cr2, 0x2c),
            (Gbpa, 0x44),
            (IrqCtrlAck, 0x54),
            (Gerrorn, 0x64),
            (IrqCfg0(Sender::Gerror), 0x68),
            (IrqCfg2(Sender::Gerror), 0x74),
            (StrtabBase, 0x80),
            (StrtabBaseCfg, 0x88),
            (CmdqCons, 0x9c),
            (IrqCfg0(Sender::Eventq), 0xb0),
            (IrqCfg2(Sender::Eventq), 0xbc),
            (EventqProd, 0x1_00a8),
            (EventqCons, 0x1_00ac),
            (PriqBase, 0xc0),
            (GatosCtrl, 0x100),
            (GatosSid, 0x108),
            (GatosAddr, 0x110),
            (GatosPar, 0x118),
            (PriqProd, 0x1_00c8),
            (PriqCons, 0x1_00cc),
            (IrqCfg0(Sender::Priq), 0xd0),
            (IrqCfg1(Sender::Priq), 0xd8),
            (IrqCfg2(Sender::Priq), 0xdc),
        ];
        for (reg, place) in places {
            assert_eq!(offset(reg), place, "{reg:?}");
        }
        // The aliases in page 0, and halves of what has 64 bits; nothing of 64 bits over two registers.
        assert!(MAP.find(0xa8, Size::B4).is_some() && MAP.find(0x84, Size::B4).is_some());
        assert!(MAP.find(0x20, Size::B8).is_none() && MAP.find(0x80, Size::B2).is_none());
    }

    #[test]
    fn after_reset_they_are_as_the_rows_say() {
        let r = registers();
        for row in MAP.rows {
            if let (Content::Register(reg), Some(reset)) = (row.content, row.reset) {
                assert_eq!(r.read(reg, 0, &P), reset, "{}", row.name);
            }
        }
        assert!(r.is_possible(&P));
        assert_eq!(r.read(Reg::Cr2, 0, &P), 4);
    }

    /// Each guard of the table: while the enable is set the register keeps its value, afterwards it takes another.
    #[test]
    fn guarded_registers_are_read_only_while_their_enable_is_set() {
        for (reg, bits, guard) in GUARDS {
            let enables = match guard {
                Guard::Cr0(e) | Guard::IrqCtrl(e) => *e,
            };
            for enable in (0..4).map(|n| 1 << n).filter(|e| enables & e != 0) {
                let mut r = registers();
                let control = if matches!(guard, Guard::Cr0(_)) { Reg::Cr0 } else { Reg::IrqCtrl };
                assert!(r.write(control, enable.into(), &P));
                let before = r.read(*reg, 0, &P);
                let value = before ^ 1 << 2 ^ 1 << 9;
                let accepted = r.write(*reg, value, &P);
                assert_eq!((r.read(*reg, 0, &P) ^ before) & bits, 0, "{reg:?}");
                assert!(!accepted);
                assert!(r.write(control, 0, &P) && r.write(*reg, value, &P));
            }
        }
    }

    #[test]
    fn the_producer_of_commands_and_the_consumer_of_events_are_always_writable() {
        let mut r = registers();
        r.write(Reg::Cr0, 0xd, &P);
        assert!(r.write(Reg::CmdqProd, 5, &P) && r.write(Reg::EventqCons, 1 << 31 | 6, &P));
        r.write(Reg::Cr0, 0xf, &P);
        assert!(r.write(Reg::PriqCons, 1 << 31 | 7, &P));
        assert_eq!((r.cmdq.prod, r.eventq.cons, r.priq.cons), (5, 0x8000_0006, 0x8000_0007));
    }

    #[test]
    fn cr1_has_two_groups_of_fields_with_guards_of_their_own() {
        let mut r = registers();
        r.write(Reg::Cr0, SMMUEN.into(), &P);
        r.write(Reg::Cr1, 0xfff, &P);
        assert_eq!(r.cr1, 0x03f);
        r.write(Reg::Cr0, EVENTQEN.into(), &P);
        r.write(Reg::Cr1, 0xfc0, &P);
        assert_eq!(r.cr1, 0xfff);
    }

    #[test]
    fn acknowledges_follow() {
        let mut r = registers();
        r.write(Reg::Cr0, 0xd, &P);
        r.write(Reg::IrqCtrl, 5, &P);
        assert_eq!((r.read(Reg::Cr0Ack, 0, &P), r.read(Reg::IrqCtrlAck, 0, &P)), (0xd, 5));
    }

    #[test]
    fn gbpa_is_written_only_with_update() {
        let mut r = registers();
        assert!(!r.write(Reg::Gbpa, 1 << 20, &P));
        assert!(!r.settings().bypass_aborts && r.gbpa == 0x1000);
        assert!(r.write(Reg::Gbpa, 1 << 31 | 1 << 20, &P));
        assert!(r.settings().bypass_aborts);
        assert_eq!(r.read(Reg::Gbpa, 0, &P), 1 << 20, "the update is over");
    }

    #[test]
    fn what_a_profile_does_not_have_is_res0() {
        let mut r = Registers::new(&Profile::QEMU);
        for reg in [Reg::Cr2, Reg::IrqCfg0(Sender::Eventq), Reg::IrqCfg1(Sender::Gerror)] {
            r.write(reg, 7, &Profile::QEMU);
        }
        assert_eq!(r.cr2, RECINVSID);
        r.write(Reg::Cr0, 0x1f, &Profile::QEMU);
        assert_eq!(r.cr0, 0xd);
        for reg in [Reg::PriqBase, Reg::PriqProd, Reg::PriqCons, Reg::IrqCfg2(Sender::Priq)] {
            r.write(reg, 1 << 31 | 1, &Profile::QEMU);
            assert_eq!(r.read(reg, 0, &Profile::QEMU), 0, "{reg:?}");
        }
        r.write(Reg::IrqCtrl, 7, &Profile::QEMU);
        assert_eq!(r.irq_ctrl, 5);
        assert_eq!((r.eventq_irq, r.gerror_irq), (Msi::default(), Msi::default()));
        let mut other = registers();
        other.write(Reg::IrqCfg0(Sender::Eventq), 0x1000, &P);
        assert!(other.is_possible(&P) && !other.is_possible(&Profile::QEMU));
    }

    #[test]
    fn settings_are_what_registers_say() {
        let mut r = registers();
        r.write(Reg::StrtabBase, 1 << 62 | 0x4000_0000, &P);
        r.write(Reg::StrtabBaseCfg, 1 << 16 | 8 << 6 | 16, &P);
        r.write(Reg::Cr2, 3, &P);
        r.write(Reg::Cr0, 1, &P);
        let expected = Settings {
            enabled: true,
            strtab_base: 1 << 62 | 0x4000_0000,
            strtab_base_cfg: 0x1_0210,
            record_bad_stream: true,
            e2h: true,
            ..Settings::default()
        };
        assert_eq!(r.settings(), expected);
    }

    #[test]
    fn with_ats_translated_addresses_can_be_checked() {
        let mut r = registers();
        r.write(Reg::Cr0, 0x1d, &P);
        assert_eq!((r.cr0, r.settings().ats_check), (0x1d, true));
    }

    /// 6.3.36: what decides when it interrupts is there also where there are no messages.
    #[test]
    fn the_pri_queue_is_told_of_by_wire_as_by_message() {
        let wired = Profile { msi: false, ..P };
        let mut r = Registers::new(&wired);
        r.write(Reg::IrqCfg2(Sender::Priq), 0xffff_ffff, &wired);
        assert_eq!(r.priq_irq.attributes, 1 << 31);
        let mut r = registers();
        r.write(Reg::IrqCfg2(Sender::Priq), 0x8000_003f, &P);
        assert_eq!(r.priq_irq.attributes, 0x8000_003f);
    }

    #[test]
    fn an_error_code_stands_beside_the_index() {
        let mut r = registers();
        r.cmdq.cons = 0x7f00_0005;
        r.set_command_error(1);
        assert_eq!(r.cmdq.cons, 0x0100_0005);
    }
}
