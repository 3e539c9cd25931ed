//! The MMIO transport: version 2, and the legacy interface's version 1 (virtio 1.2, 4.2).

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::{CountedPort, DmaClient, DmaPort};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, RestoreError, Saved};
use emu_core::metrics::Counters;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::core::{CoreState, Interface, Signals, WeakClient};
use super::{Interfaces, VirtioCore, VirtioDevice, VirtioOptions};

/// Bytes of a slot.
pub const MMIO_SIZE: u64 = 0x200;
/// Where the device's configuration space begins.
const CONFIG: u64 = 0x100;
/// Version of the saved state.
const VERSION: u32 = 2;
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
    GuestPageSize,
    QueueAlign,
    QueuePage,
}

/// The versions of the transport that have a register.
const V1: u8 = 1;
const V2: u8 = 2;
const BOTH: u8 = V1 | V2;

/// The register map (virtio 1.2, tables 4.1 and 4.2). What is not in it reads as zero and ignores writes.
const REGISTERS: &[(u64, Reg, Access, u8)] = &[
    (0x000, Reg::Magic, Access::Read, BOTH),
    (0x004, Reg::Version, Access::Read, BOTH),
    (0x008, Reg::DeviceId, Access::Read, BOTH),
    (0x00c, Reg::VendorId, Access::Read, BOTH),
    (0x010, Reg::DeviceFeatures, Access::Read, BOTH),
    (0x014, Reg::DeviceFeaturesSel, Access::Write, BOTH),
    (0x020, Reg::DriverFeatures, Access::Write, BOTH),
    (0x024, Reg::DriverFeaturesSel, Access::Write, BOTH),
    (0x028, Reg::GuestPageSize, Access::Write, V1),
    (0x030, Reg::QueueSel, Access::Write, BOTH),
    (0x034, Reg::QueueSizeMax, Access::Read, BOTH),
    (0x038, Reg::QueueSize, Access::Write, BOTH),
    (0x03c, Reg::QueueAlign, Access::Write, V1),
    (0x040, Reg::QueuePage, Access::Both, V1),
    (0x044, Reg::QueueReady, Access::Both, V2),
    (0x050, Reg::QueueNotify, Access::Write, BOTH),
    (0x060, Reg::InterruptStatus, Access::Read, BOTH),
    (0x064, Reg::InterruptAck, Access::Write, BOTH),
    (0x070, Reg::Status, Access::Both, BOTH),
    (0x080, Reg::QueueDescLow, Access::Write, V2),
    (0x084, Reg::QueueDescHigh, Access::Write, V2),
    (0x090, Reg::QueueDriverLow, Access::Write, V2),
    (0x094, Reg::QueueDriverHigh, Access::Write, V2),
    (0x0a0, Reg::QueueDeviceLow, Access::Write, V2),
    (0x0a4, Reg::QueueDeviceHigh, Access::Write, V2),
    (0x0ac, Reg::ShmSel, Access::Write, V2),
    (0x0b0, Reg::ShmNone, Access::Read, V2),
    (0x0b4, Reg::ShmNone, Access::Read, V2),
    (0x0b8, Reg::ShmNone, Access::Read, V2),
    (0x0bc, Reg::ShmNone, Access::Read, V2),
    (0x0c0, Reg::QueueReset, Access::Both, V2),
    (0x0fc, Reg::ConfigGeneration, Access::Read, V2),
];

fn lookup(interface: Interface, offset: u64, refused: Access) -> Option<Reg> {
    let version = if interface == Interface::Legacy { V1 } else { V2 };
    let i = REGISTERS.binary_search_by_key(&offset, |row| row.0).ok()?;
    let (_, reg, access, versions) = REGISTERS[i];
    (access != refused && versions & version != 0).then_some(reg)
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
    guest_page_size: u32,
    interrupt: u32,
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

    fn read_reg(&self, reg: Reg) -> u32 {
        let core = self.core.as_deref();
        let ask = |f: fn(&VirtioCore) -> u32| core.map_or(0, f);
        match reg {
            Reg::Magic => u32::from_le_bytes(*b"virt"),
            Reg::Version => {
                if self.interface == Interface::Legacy {
                    1
                } else {
                    2
                }
            }
            Reg::VendorId => VENDOR,
            Reg::DeviceId => ask(|c| c.device().kind().id.into()),
            Reg::DeviceFeatures => core.map_or(0, |c| c.device_features(self.interface)),
            Reg::QueueSizeMax => ask(|c| c.queue_max().into()),
            Reg::QueuePage => core.map_or(0, |c| c.queue_page(self.guest_page_size.load(Ordering::Relaxed))),
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
            Reg::GuestPageSize if v.is_power_of_two() => self.guest_page_size.store(v, Ordering::Relaxed),
            Reg::GuestPageSize => core.anomaly("a size of pages that is no power of two"),
            Reg::QueueAlign => core.set_queue_align(v),
            Reg::QueuePage => core.set_queue_page(v, self.guest_page_size.load(Ordering::Relaxed)),
            Reg::QueueReady => core.enable_queue(v & 1 != 0),
            Reg::QueueNotify => core.notify(v),
            Reg::InterruptAck => self.interrupt.change(|s| s & !v),
            Reg::Status => {
                core.set_status(v as u8, self.interface);
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
            return Ok(lookup(self.interface, offset, Access::Write).map_or(0, |r| self.read_reg(r).into()));
        };
        if let Some(at) = offset.checked_sub(CONFIG) {
            let mut bytes = [0; 8];
            core.device().config_read(at, &mut bytes[..size.bytes() as usize]);
            return Ok(u64::from_le_bytes(bytes));
        }
        match lookup(self.interface, offset, Access::Write) {
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
        match lookup(self.interface, offset, Access::Read) {
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
    fn save(&self) -> Saved {
        let core = self.core.as_ref().map(|c| c.save());
        let guest_page_size = self.guest_page_size.load(Ordering::Relaxed);
        Saved::new(
            &self.name,
            VERSION,
            &State { core, guest_page_size, interrupt: *self.interrupt.status.lock() },
        )
    }
    fn restore(&self, saved: &Saved) -> Result<(), RestoreError> {
        let state: State = saved.get(VERSION)?;
        let form = |why: &str| RestoreError::Form { name: self.name.clone(), why: why.to_owned() };
        match (&self.core, &state.core) {
            (Some(core), Some(s)) => core.restore(s).map_err(|why| form(&why))?,
            (None, None) => {}
            _ => return Err(form("the slot is empty on one side only")),
        }
        self.guest_page_size.store(state.guest_page_size, Ordering::Relaxed);
        self.interrupt.change(|_| state.interrupt);
        Ok(())
    }
}

impl Drop for VirtioMmio {
    fn drop(&mut self) {
        self.halt();
    }
}
