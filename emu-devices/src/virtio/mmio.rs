//! The MMIO transport, version 2 (virtio 1.2, 4.2).

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::{CountedPort, DmaClient, DmaPort};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, RestoreError, Saved};
use emu_core::metrics::Counters;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::core::{CoreState, Signals, WeakClient};
use super::{VirtioCore, VirtioDevice, VirtioOptions};

/// Bytes of a slot.
pub const MMIO_SIZE: u64 = 0x200;
/// Where the device's configuration space begins.
const CONFIG: u64 = 0x100;
/// Version of the saved state.
const VERSION: u32 = 1;
/// The vendor ID that guests know from other machines: "QEMU".
const VENDOR: u32 = 0x554d_4551;
/// Interrupt status: a used buffer.
const ISR_QUEUE: u32 = 1;
/// Interrupt status: a configuration change.
const ISR_CONFIG: u32 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Read,
    Write,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reg {
    Magic,
    Version,
    DeviceId,
    VendorId,
    DeviceFeatures,
    DeviceFeaturesSel,
    DriverFeatures,
    DriverFeaturesSel,
    QueueSel,
    QueueSizeMax,
    QueueSize,
    QueueReady,
    QueueNotify,
    InterruptStatus,
    InterruptAck,
    Status,
    QueueDescLow,
    QueueDescHigh,
    QueueDriverLow,
    QueueDriverHigh,
    QueueDeviceLow,
    QueueDeviceHigh,
    ShmSel,
    ShmNone,
    QueueReset,
    ConfigGeneration,
}

/// The register map (virtio 1.2, table 4.1). What is not in it reads as zero and ignores writes; so do the legacy
/// registers GuestPageSize, QueueAlign and QueuePFN.
const REGISTERS: &[(u64, Reg, Access)] = &[
    (0x000, Reg::Magic, Access::Read),
    (0x004, Reg::Version, Access::Read),
    (0x008, Reg::DeviceId, Access::Read),
    (0x00c, Reg::VendorId, Access::Read),
    (0x010, Reg::DeviceFeatures, Access::Read),
    (0x014, Reg::DeviceFeaturesSel, Access::Write),
    (0x020, Reg::DriverFeatures, Access::Write),
    (0x024, Reg::DriverFeaturesSel, Access::Write),
    (0x030, Reg::QueueSel, Access::Write),
    (0x034, Reg::QueueSizeMax, Access::Read),
    (0x038, Reg::QueueSize, Access::Write),
    (0x044, Reg::QueueReady, Access::Both),
    (0x050, Reg::QueueNotify, Access::Write),
    (0x060, Reg::InterruptStatus, Access::Read),
    (0x064, Reg::InterruptAck, Access::Write),
    (0x070, Reg::Status, Access::Both),
    (0x080, Reg::QueueDescLow, Access::Write),
    (0x084, Reg::QueueDescHigh, Access::Write),
    (0x090, Reg::QueueDriverLow, Access::Write),
    (0x094, Reg::QueueDriverHigh, Access::Write),
    (0x0a0, Reg::QueueDeviceLow, Access::Write),
    (0x0a4, Reg::QueueDeviceHigh, Access::Write),
    (0x0ac, Reg::ShmSel, Access::Write),
    (0x0b0, Reg::ShmNone, Access::Read),
    (0x0b4, Reg::ShmNone, Access::Read),
    (0x0b8, Reg::ShmNone, Access::Read),
    (0x0bc, Reg::ShmNone, Access::Read),
    (0x0c0, Reg::QueueReset, Access::Both),
    (0x0fc, Reg::ConfigGeneration, Access::Read),
];

fn lookup(offset: u64, refused: Access) -> Option<Reg> {
    let i = REGISTERS.binary_search_by_key(&offset, |row| row.0).ok()?;
    (REGISTERS[i].2 != refused).then_some(REGISTERS[i].1)
}

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
    interrupt: u32,
}

/// A virtio-mmio slot, with a device or empty.
pub struct VirtioMmio {
    name: String,
    core: Option<Arc<VirtioCore>>,
    interrupt: Arc<Interrupt>,
}

impl VirtioMmio {
    /// A slot. An empty one says so with device ID 0.
    #[must_use]
    pub fn new(
        name: &str,
        device: Option<Arc<dyn VirtioDevice>>,
        irq: IrqLine,
        port: Arc<dyn DmaPort>,
        options: VirtioOptions,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let interrupt = Arc::new(Interrupt { status: Mutex::new(0), line: irq });
        let core = device.map(|device| {
            let counted = Arc::new(CountedPort::new(port.clone(), counters.clone()));
            let core = VirtioCore::new(name, device, counted, options, interrupt.clone(), counters.clone());
            let client: Weak<dyn DmaClient> = Arc::<VirtioCore>::downgrade(&core);
            port.set_client(Arc::new(WeakClient(client)));
            core
        });
        Arc::new(Self { name: name.to_owned(), core, interrupt })
    }

    fn read_reg(&self, reg: Reg) -> u32 {
        let core = self.core.as_deref();
        let ask = |f: fn(&VirtioCore) -> u32| core.map_or(0, f);
        match reg {
            Reg::Magic => u32::from_le_bytes(*b"virt"),
            Reg::Version => 2,
            Reg::VendorId => VENDOR,
            Reg::DeviceId => ask(|c| c.device().kind().id.into()),
            Reg::DeviceFeatures => ask(VirtioCore::device_features),
            Reg::QueueSizeMax => ask(|c| c.queue_max().into()),
            Reg::QueueReady => ask(|c| c.queue().enabled.into()),
            Reg::InterruptStatus => *self.interrupt.status.lock(),
            Reg::Status => ask(|c| c.regs().status.into()),
            // There is no shared memory region: length and base are all ones.
            Reg::ShmNone => u32::MAX,
            Reg::ConfigGeneration => ask(|c| c.regs().generation.into()),
            // A queue's reset is complete when the write to the register returns; the rest is write-only.
            _ => 0,
        }
    }

    fn write_reg(&self, core: &VirtioCore, reg: Reg, v: u32) {
        let low = |old: u64| old & !0xffff_ffff | u64::from(v);
        let high = |old: u64| old & 0xffff_ffff | u64::from(v) << 32;
        match reg {
            Reg::DeviceFeaturesSel => core.regs().device_feature_select = v,
            Reg::DriverFeatures => core.set_driver_features(v),
            Reg::DriverFeaturesSel => core.regs().driver_feature_select = v,
            // A number that no queue has selects none.
            Reg::QueueSel => core.regs().queue_select = u16::try_from(v).unwrap_or(u16::MAX),
            Reg::QueueSize => core.set_queue_size(v),
            Reg::QueueReady => core.enable_queue(v & 1 != 0),
            Reg::QueueNotify => core.notify(v),
            Reg::InterruptAck => self.interrupt.change(|s| s & !v),
            Reg::Status => {
                core.set_status(v as u8);
                if v as u8 == 0 {
                    self.interrupt.change(|_| 0);
                }
            }
            Reg::QueueDescLow => core.set_queue(|q| q.desc = low(q.desc)),
            Reg::QueueDescHigh => core.set_queue(|q| q.desc = high(q.desc)),
            Reg::QueueDriverLow => core.set_queue(|q| q.avail = low(q.avail)),
            Reg::QueueDriverHigh => core.set_queue(|q| q.avail = high(q.avail)),
            Reg::QueueDeviceLow => core.set_queue(|q| q.used = low(q.used)),
            Reg::QueueDeviceHigh => core.set_queue(|q| q.used = high(q.used)),
            Reg::QueueReset if v == 1 => core.reset_queue(),
            _ => {}
        }
    }
}

impl MmioDevice for VirtioMmio {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, from: Requester) -> Result<u64, BusFault> {
        refuse_devices(from)?;
        let Some(core) = &self.core else {
            return Ok(lookup(offset, Access::Write).map_or(0, |r| self.read_reg(r).into()));
        };
        if let Some(at) = offset.checked_sub(CONFIG) {
            let mut bytes = [0; 8];
            core.device().config_read(at, &mut bytes[..size.bytes() as usize]);
            return Ok(u64::from_le_bytes(bytes));
        }
        match lookup(offset, Access::Write) {
            Some(reg) if size == Size::B4 => Ok(self.read_reg(reg).into()),
            _ => {
                core.anomaly("a read of a register that does not exist, or of a part of one");
                Ok(0)
            }
        }
    }

    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        refuse_devices(from)?;
        let Some(core) = &self.core else { return Ok(()) };
        if let Some(at) = offset.checked_sub(CONFIG) {
            core.device().config_write(at, &value.to_le_bytes()[..size.bytes() as usize]);
            return Ok(());
        }
        match lookup(offset, Access::Read) {
            Some(reg) if size == Size::B4 => self.write_reg(core, reg, value as u32),
            _ => core.anomaly("a write to a register that does not exist, or to a part of one"),
        }
        Ok(())
    }
}

/// Devices do not program each other: a device whose DMA reached its own registers would wait for itself.
fn refuse_devices(from: Requester) -> Result<(), BusFault> {
    match from {
        Requester::Device(_) => Err(BusFault::Refused),
        Requester::Cpu(_) | Requester::Machine => Ok(()),
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
        self.interrupt.change(|_| 0);
    }
    fn start(&self) {
        if let Some(core) = &self.core {
            core.start();
        }
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
    fn save(&self) -> Saved {
        let core = self.core.as_ref().map(|c| c.save());
        Saved::new(&self.name, VERSION, &State { core, interrupt: *self.interrupt.status.lock() })
    }
    fn restore(&self, saved: &Saved) -> Result<(), RestoreError> {
        let state: State = saved.get(VERSION)?;
        let form = |why: &str| RestoreError::Form { name: self.name.clone(), why: why.to_owned() };
        match (&self.core, &state.core) {
            (Some(core), Some(s)) => core.restore(s).map_err(|why| form(&why))?,
            (None, None) => {}
            _ => return Err(form("the slot is empty on one side only")),
        }
        self.interrupt.change(|_| state.interrupt);
        Ok(())
    }
}

impl Drop for VirtioMmio {
    fn drop(&mut self) {
        self.halt();
    }
}
