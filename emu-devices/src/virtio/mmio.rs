//! The MMIO transport: version 2, and the legacy interface's version 1 (virtio 1.2, 4.2).

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::{CountedPort, DmaPort, Master, Ports, Stalls};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Content, Hit, Listed, Map, Sizes, Target, constants, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::core::{CoreState, Interface, Signals};
use super::{Interfaces, VirtioCore, VirtioDevice, VirtioOptions};

/// Bytes of a slot.
pub const MMIO_SIZE: u64 = 0x200;
/// Where the device's configuration space begins.
const CONFIG: u64 = 0x100;
/// The vendor ID that guests know from other machines: "QEMU".
const VENDOR: u32 = 0x554d_4551;
/// Interrupt status: a used buffer.
const ISR_QUEUE: u32 = 1;
/// Interrupt status: a configuration change.
const ISR_CONFIG: u32 = 2;

/// What is at an offset, in both versions of the transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    Version,
    DeviceId,
    DeviceFeatures,
    DeviceFeaturesSel,
    DriverFeatures,
    DriverFeaturesSel,
    QueueSel,
    QueueSizeMax,
    QueueSize,
    QueueNotify,
    InterruptStatus,
    InterruptAck,
    Status,
    /// Of the device type.
    Config,
    /// Only in version 1.
    Legacy(LegacyReg),
    /// Only in version 2.
    Modern(ModernReg),
}

/// Registers of version 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LegacyReg {
    GuestPageSize,
    QueueAlign,
    QueuePage,
}

/// Registers of version 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ModernReg {
    QueueReady,
    QueueDescLow,
    QueueDescHigh,
    QueueDriverLow,
    QueueDriverHigh,
    QueueDeviceLow,
    QueueDeviceHigh,
    ShmSel,
    Shm,
    QueueReset,
    ConfigGeneration,
}

impl Reg {
    fn is_in(self, interface: Interface) -> bool {
        match self {
            Self::Legacy(_) => interface == Interface::Legacy,
            Self::Modern(_) => interface == Interface::Modern,
            _ => true,
        }
    }
}

/// "virt".
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// All bits.
const ALL: u64 = 0xffff_ffff;

/// The register map (virtio 1.2, tables 4.1 and 4.2).
pub(crate) static MAP: Map<Reg> = {
    use LegacyReg::{GuestPageSize, QueueAlign, QueuePage};
    use ModernReg as M;
    Map {
        specification: "virtio 1.2, 4.2.2 and 4.2.4",
        window: MMIO_SIZE,
        rows: &[
            constants("MagicValue", 0x000, &[MAGIC]),
            word("Version", 0x004, Reg::Version).read_only(3).varies(),
            word("DeviceID", 0x008, Reg::DeviceId).read_only(ALL).varies(),
            constants("VendorID", 0x00c, &[VENDOR]),
            word("DeviceFeatures", 0x010, Reg::DeviceFeatures).read_only(ALL).varies(),
            word("DeviceFeaturesSel", 0x014, Reg::DeviceFeaturesSel).write_only(ALL),
            word("DriverFeatures", 0x020, Reg::DriverFeatures).write_only(ALL),
            word("DriverFeaturesSel", 0x024, Reg::DriverFeaturesSel).write_only(ALL),
            word("GuestPageSize", 0x028, Reg::Legacy(GuestPageSize)).write_only(ALL),
            word("QueueSel", 0x030, Reg::QueueSel).write_only(ALL),
            word("QueueSizeMax", 0x034, Reg::QueueSizeMax).read_only(0xffff).varies(),
            word("QueueSize", 0x038, Reg::QueueSize).write_only(ALL),
            word("QueueAlign", 0x03c, Reg::Legacy(QueueAlign)).write_only(ALL),
            word("QueuePFN", 0x040, Reg::Legacy(QueuePage)),
            word("QueueReady", 0x044, Reg::Modern(M::QueueReady)).bits(1),
            word("QueueNotify", 0x050, Reg::QueueNotify).write_only(ALL),
            word("InterruptStatus", 0x060, Reg::InterruptStatus).read_only(3),
            word("InterruptACK", 0x064, Reg::InterruptAck).write_only(ALL),
            word("Status", 0x070, Reg::Status).bits(0xff),
            word("QueueDescLow", 0x080, Reg::Modern(M::QueueDescLow)).write_only(ALL),
            word("QueueDescHigh", 0x084, Reg::Modern(M::QueueDescHigh)).write_only(ALL),
            word("QueueDriverLow", 0x090, Reg::Modern(M::QueueDriverLow)).write_only(ALL),
            word("QueueDriverHigh", 0x094, Reg::Modern(M::QueueDriverHigh)).write_only(ALL),
            word("QueueDeviceLow", 0x0a0, Reg::Modern(M::QueueDeviceLow)).write_only(ALL),
            word("QueueDeviceHigh", 0x0a4, Reg::Modern(M::QueueDeviceHigh)).write_only(ALL),
            word("SHMSel", 0x0ac, Reg::Modern(M::ShmSel)).write_only(ALL),
            // SHMLenLow, SHMLenHigh, SHMBaseLow, SHMBaseHigh. There is no shared memory region: all ones.
            word("SHM", 0x0b0, Reg::Modern(M::Shm)).array(4).read_only(ALL).reset(ALL),
            // A queue's reset is complete when the write to the register returns.
            word("QueueReset", 0x0c0, Reg::Modern(M::QueueReset)),
            word("ConfigGeneration", 0x0fc, Reg::Modern(M::ConfigGeneration)).read_only(0xff),
            word("Config", CONFIG as u32, Reg::Config).array(0x40).takes(Sizes::ANY).varies(),
        ],
    }
};

/// The interrupt status register and the wire that follows it.
struct Interrupt {
    status: Mutex<u32>,
    line: IrqLine,
}

impl Interrupt {
    fn change(&self, f: impl FnOnce(u32) -> u32) {
        let mut status = self.status.lock();
        *status = f(*status);
        self.line.set(*status != 0);
    }
}

impl Signals for Interrupt {
    fn queue(&self, _: u16) {
        self.change(|s| s | ISR_QUEUE);
    }
    fn config(&self) {
        self.change(|s| s | ISR_CONFIG);
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    core: Option<CoreState>,
    guest_page_size: u32,
    interrupt: u32,
}

impl SavedState for State {
    const KIND: &'static str = "virtio-mmio";
    const VERSION: u32 = 4;
}

/// A virtio-mmio slot, with a device or empty.
pub struct VirtioMmio {
    name: String,
    interface: Interface,
    core: Option<Arc<VirtioCore>>,
    /// The unit of a legacy driver's queue addresses; 0 until it has said so. Drivers say so once, and reset the device
    /// after that.
    guest_page_size: AtomicU32,
    interrupt: Arc<Interrupt>,
}

impl VirtioMmio {
    /// A slot; its device is the master with this StreamID. An empty one says so with device ID 0.
    #[must_use]
    pub fn new(
        name: &str,
        device: Option<Arc<dyn VirtioDevice>>,
        irq: IrqLine,
        (ports, stream_id): (&dyn Ports, u32),
        options: VirtioOptions,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let interrupt = Arc::new(Interrupt { status: Mutex::new(0), line: irq });
        let core = device.map(|device| {
            let port = |client: Weak<VirtioCore>| -> Arc<dyn DmaPort> {
                let port = ports.port(Master::new(stream_id, Stalls::Notify(client)));
                Arc::new(CountedPort::new(port, counters.clone()))
            };
            VirtioCore::new(name, device, port, options, interrupt.clone(), counters.clone())
        });
        let interface = match options.interfaces {
            Interfaces::Legacy => Interface::Legacy,
            Interfaces::Modern | Interfaces::Transitional => Interface::Modern,
        };
        Arc::new(Self {
            name: name.to_owned(),
            interface,
            core,
            guest_page_size: AtomicU32::new(0),
            interrupt,
        })
    }

    /// The value of a register; reading one changes nothing. An empty slot has only those that say so.
    fn peek(&self, reg: Reg, index: u32) -> u32 {
        let core = self.core.as_deref();
        let ask = |f: fn(&VirtioCore) -> u32| core.map_or(0, f);
        match reg {
            Reg::Version => match self.interface {
                Interface::Legacy => 1,
                Interface::Modern => 2,
            },
            Reg::DeviceId => ask(|c| c.device().kind().id.into()),
            Reg::DeviceFeatures => core.map_or(0, |c| c.device_features(self.interface)),
            Reg::QueueSizeMax => ask(|c| c.queue_max().into()),
            Reg::InterruptStatus => *self.interrupt.status.lock(),
            Reg::Status => ask(|c| c.regs().status.into()),
            Reg::Config => core.map_or(0, |c| {
                let mut bytes = [0; 4];
                c.device().config_read(u64::from(4 * index), &mut bytes);
                u32::from_le_bytes(bytes)
            }),
            Reg::Legacy(LegacyReg::QueuePage) => {
                core.map_or(0, |c| c.queue_page(self.guest_page_size.load(Ordering::Relaxed)))
            }
            Reg::Modern(ModernReg::QueueReady) => ask(|c| c.queue().enabled.into()),
            Reg::Modern(ModernReg::Shm) => u32::MAX,
            Reg::Modern(ModernReg::ConfigGeneration) => ask(|c| c.regs().generation.into()),
            Reg::Modern(ModernReg::QueueReset) => 0,
            // Write-only.
            Reg::DeviceFeaturesSel | Reg::DriverFeatures | Reg::DriverFeaturesSel => 0,
            Reg::QueueSel | Reg::QueueSize | Reg::QueueNotify | Reg::InterruptAck => 0,
            Reg::Legacy(LegacyReg::GuestPageSize | LegacyReg::QueueAlign) => 0,
            Reg::Modern(ModernReg::QueueDescLow | ModernReg::QueueDescHigh) => 0,
            Reg::Modern(ModernReg::QueueDriverLow | ModernReg::QueueDriverHigh) => 0,
            Reg::Modern(ModernReg::QueueDeviceLow | ModernReg::QueueDeviceHigh | ModernReg::ShmSel) => 0,
        }
    }

    fn write_reg(&self, core: &VirtioCore, reg: Reg, v: u32) {
        match reg {
            Reg::DeviceFeaturesSel => core.regs().device_feature_select = v,
            Reg::DriverFeatures => match self.interface {
                Interface::Modern => core.set_driver_features(v),
                Interface::Legacy if core.regs().driver_feature_select == 0 => core.set_legacy_features(v),
                // There are no other bits than the first 32.
                Interface::Legacy => {}
            },
            Reg::DriverFeaturesSel => core.regs().driver_feature_select = v,
            // A number that no queue has selects none.
            Reg::QueueSel => core.regs().queue_select = u16::try_from(v).unwrap_or(u16::MAX),
            Reg::QueueSize => core.set_queue_size(v),
            Reg::QueueNotify => core.notify(v),
            Reg::InterruptAck => self.interrupt.change(|s| s & !v),
            Reg::Status => {
                core.set_status(v as u8, self.interface);
                if v == 0 {
                    self.interrupt.change(|_| 0);
                }
            }
            Reg::Legacy(reg) => self.write_legacy(core, reg, v),
            Reg::Modern(reg) => write_modern(core, reg, v),
            // Read-only; the device's own configuration is not written in registers.
            Reg::Version | Reg::DeviceId | Reg::DeviceFeatures | Reg::QueueSizeMax => {}
            Reg::InterruptStatus | Reg::Config => {}
        }
    }

    fn write_legacy(&self, core: &VirtioCore, reg: LegacyReg, v: u32) {
        match reg {
            LegacyReg::GuestPageSize if v.is_power_of_two() => {
                self.guest_page_size.store(v, Ordering::Relaxed);
            }
            LegacyReg::GuestPageSize => core.anomaly("a size of pages that is no power of two"),
            LegacyReg::QueueAlign => core.set_queue_align(v),
            LegacyReg::QueuePage => core.set_queue_page(v, self.guest_page_size.load(Ordering::Relaxed)),
        }
    }

    /// The register that an access at its first byte hits.
    fn register(&self, offset: u64) -> Option<Hit<Reg>> {
        let there = |reg: Reg| reg.is_in(self.interface);
        let hit = MAP.at(offset).filter(|hit| hit.byte == 0)?;
        match hit.row.content {
            Content::Register(reg) if !there(reg) => None,
            _ => Some(hit),
        }
    }
}

fn write_modern(core: &VirtioCore, reg: ModernReg, v: u32) {
    let low = |old: u64| old & !0xffff_ffff | u64::from(v);
    let high = |old: u64| old & 0xffff_ffff | u64::from(v) << 32;
    match reg {
        ModernReg::QueueReady => core.enable_queue(v != 0),
        ModernReg::QueueDescLow => core.set_queue(|q| q.desc = low(q.desc)),
        ModernReg::QueueDescHigh => core.set_queue(|q| q.desc = high(q.desc)),
        ModernReg::QueueDriverLow => core.set_queue(|q| q.avail = low(q.avail)),
        ModernReg::QueueDriverHigh => core.set_queue(|q| q.avail = high(q.avail)),
        ModernReg::QueueDeviceLow => core.set_queue(|q| q.used = low(q.used)),
        ModernReg::QueueDeviceHigh => core.set_queue(|q| q.used = high(q.used)),
        ModernReg::QueueReset if v == 1 => core.reset_queue(),
        // There is no shared memory to select; what is left is read-only.
        ModernReg::QueueReset | ModernReg::ShmSel => {}
        ModernReg::Shm | ModernReg::ConfigGeneration => {}
    }
}

impl MmioDevice for VirtioMmio {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let readable = |hit: &Hit<Reg>| hit.row.readable != 0;
        let Some(core) = &self.core else {
            let hit = self.register(offset).filter(readable);
            return Ok(hit.map_or(0, |hit| hit.value(|reg| self.peek(reg, hit.index).into())));
        };
        if let Some(at) = offset.checked_sub(CONFIG) {
            let mut bytes = [0; 8];
            core.device().config_read(at, &mut bytes[..size.bytes() as usize]);
            return Ok(u64::from_le_bytes(bytes));
        }
        match self.register(offset).filter(readable) {
            Some(hit) if size == Size::B4 => Ok(hit.value(|reg| self.peek(reg, hit.index).into())),
            _ => {
                core.anomaly("a read of a register that does not exist, or of a part of one");
                Ok(0)
            }
        }
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let Some(core) = &self.core else { return Ok(()) };
        if let Some(at) = offset.checked_sub(CONFIG) {
            core.device().config_write(at, &value.to_le_bytes()[..size.bytes() as usize]);
            return Ok(());
        }
        match self.register(offset).map(|hit| (hit.target(), hit)) {
            Some((Target::Register(reg), hit)) if size == Size::B4 => {
                self.write_reg(core, reg, hit.written(size, value) as u32);
            }
            _ => core.anomaly("a write to a register that does not exist, or to a part of one"),
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let there = |reg: Reg| reg.is_in(self.interface) && (self.core.is_some() || reg != Reg::Config);
        MAP.list(0, |reg, index| there(reg).then(|| self.peek(reg, index).into()))
    }

    /// A device whose DMA reached its own registers would wait for itself.
    fn cpu_only(&self) -> bool {
        true
    }
}

impl Component for VirtioMmio {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        if let Some(core) = &self.core {
            core.reset();
        }
        self.guest_page_size.store(0, Ordering::Relaxed);
        self.interrupt.change(|_| 0);
    }
    fn start(&self) -> io::Result<()> {
        self.core.as_ref().map_or(Ok(()), |core| core.start())
    }
    fn pause(&self) {
        if let Some(core) = &self.core {
            core.pause();
        }
    }
    fn resume(&self) {
        if let Some(core) = &self.core {
            core.unpause();
        }
    }
    fn halt(&self) {
        if let Some(core) = &self.core {
            core.halt();
        }
    }
    fn save(&self) -> Payload {
        let core = self.core.as_ref().map(|c| c.save());
        let guest_page_size = self.guest_page_size.load(Ordering::Relaxed);
        let state = State { core, guest_page_size, interrupt: *self.interrupt.status.lock() };
        let payload = Payload::new(&self.name, &state);
        match &self.core {
            Some(core) => payload.part(core.save_device()),
            None => payload,
        }
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { core, guest_page_size, interrupt } = saved.state()?;
        if !(guest_page_size == 0 || guest_page_size.is_power_of_two())
            || interrupt & !(ISR_QUEUE | ISR_CONFIG) != 0
        {
            return Err(saved.unfit("a register has bits that there are not"));
        }
        let core = match (&self.core, core) {
            (Some(core), Some(state)) => Some(core.check(state, saved)?),
            (None, None) => None,
            _ => return Err(saved.unfit("the slot is empty on one side only")),
        };
        Ok(Restore::new(move || {
            core.into_iter().for_each(Restore::apply);
            self.guest_page_size.store(guest_page_size, Ordering::Relaxed);
            self.interrupt.change(|_| interrupt);
        }))
    }
}

impl Drop for VirtioMmio {
    fn drop(&mut self) {
        self.halt();
    }
}
