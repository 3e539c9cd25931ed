//! The PCI transport (virtio 1.2, 4.1): the structures that capabilities point to, and the registers of the legacy interface.
//!
//! A transitional function has both; its driver chooses by what it uses.

mod layout;
mod legacy;

use std::io;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::dma::{DmaClient, DmaPort, StallTag, Stalls};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Content, Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::layout::STRUCTURE_MAP;
#[cfg(test)]
pub(crate) use self::layout::{ACCESS_CAPABILITY, CAPABILITY, NOTIFY_CAPABILITY};
use self::layout::{BAR, CFG_BAR, CFG_DATA, CFG_LENGTH, CFG_OFFSET, Field, LEGACY_BAR, PAGE, Reg};
#[cfg(test)]
pub(crate) use self::legacy::MAP as LEGACY_MAP;
use super::core::{CoreState, Interface, Signals};
use super::{VirtioCore, VirtioDevice, VirtioOptions};
use crate::pci::{ConfigEffect, FunctionCore, FunctionState, OTHER_FUNCTION, PciFunction};

/// The vector number that stands for none.
const NO_VECTOR: u16 = 0xffff;
/// ISR: a used buffer.
const ISR_QUEUE: u8 = 1;
/// ISR: a configuration change.
const ISR_CONFIG: u8 = 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Vectors {
    isr: u8,
    config: u16,
    queues: Vec<u16>,
}

/// The PCI side: configuration space and interrupts.
struct Side {
    function: FunctionCore,
    vectors: Mutex<Vectors>,
}

impl Side {
    fn signal(&self, isr: u8, vector: impl FnOnce(&Vectors) -> u16) {
        if self.function.msix().is_some_and(crate::pci::Msix::enabled) {
            let vector = vector(&self.vectors.lock());
            self.function.raise_msix(vector);
        } else {
            let mut v = self.vectors.lock();
            v.isr |= isr;
            self.function.set_intx(true);
        }
    }

    fn reset_vectors(&self) {
        let mut v = self.vectors.lock();
        v.isr = 0;
        v.config = NO_VECTOR;
        v.queues.fill(NO_VECTOR);
        self.function.set_intx(false);
    }

    /// Reading acknowledges (virtio 1.2, 4.1.4.5).
    fn take_isr(&self) -> u8 {
        let mut v = self.vectors.lock();
        let isr = std::mem::take(&mut v.isr);
        self.function.set_intx(false);
        isr
    }

    /// A vector that does not exist cannot be chosen.
    fn checked(&self, vector: u16) -> u16 {
        let n = self.function.msix().map_or(0, |m| m.layout().vectors);
        if vector < n { vector } else { NO_VECTOR }
    }
}

impl Signals for Side {
    fn queue(&self, queue: u16) {
        self.signal(ISR_QUEUE, |v| v.queues.get(usize::from(queue)).copied().unwrap_or(NO_VECTOR));
    }
    fn config(&self) {
        self.signal(ISR_CONFIG, |v| v.config);
    }
}

/// Resumes messages and requests of one function.
struct Client {
    side: Arc<Side>,
    core: Arc<VirtioCore>,
}

impl DmaClient for Client {
    fn resume(&self, tag: StallTag, retry: bool) {
        if !self.side.function.resume_message(tag, retry) {
            self.core.resume(tag, retry);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    core: CoreState,
    function: FunctionState,
    vectors: Vectors,
}

impl SavedState for State {
    const KIND: &'static str = "virtio-pci";
    const VERSION: u32 = 3;
}

/// A virtio device as a PCI function: the legacy registers in BAR 0, MSI-X in BAR 1, the virtio
/// structures in BAR 4.
pub struct VirtioPci {
    side: Arc<Side>,
    core: Arc<VirtioCore>,
    /// Who is told of stalls.
    client: Arc<dyn DmaClient>,
    /// Offset of the PCI configuration access capability, if there is one.
    cfg_access: Option<u16>,
}

impl VirtioPci {
    /// The function for `device`, to be given to [`crate::pci::PciHost::add`].
    #[must_use]
    pub fn new(
        name: &str,
        device: Arc<dyn VirtioDevice>,
        options: VirtioOptions,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let queues = device.queue_sizes().len();
        let interfaces = layout::possible(&*device, options.interfaces);
        let options = VirtioOptions { interfaces, ..options };
        let (function, cfg_access) = layout::build(&*device, interfaces, counters);
        let vectors = Vectors { isr: 0, config: NO_VECTOR, queues: vec![NO_VECTOR; queues] };
        let side = Arc::new(Side { function, vectors: Mutex::new(vectors) });
        // Without ACCESS_PLATFORM addresses are physical, and no IOMMU applies to them (virtio 1.2, 6.1).
        let port: Arc<dyn DmaPort> = match options.iommu_platform {
            true => side.function.port().clone(),
            false => side.function.physical_port().clone(),
        };
        let core = VirtioCore::new(name, device, |_| port, options, side.clone(), counters.clone());
        let client = Arc::new(Client { side: side.clone(), core: core.clone() });
        Arc::new(Self { side, core, client, cfg_access })
    }

    fn set_status(&self, value: u8, interface: Interface) {
        self.core.set_status(value, interface);
        if value == 0 {
            self.side.reset_vectors();
        }
    }

    /// The vector of the selected queue.
    fn queue_vector(&self) -> u16 {
        let selected = usize::from(self.core.regs().queue_select);
        self.side.vectors.lock().queues.get(selected).copied().unwrap_or(NO_VECTOR)
    }

    fn set_queue_vector(&self, vector: u16) {
        let selected = usize::from(self.core.regs().queue_select);
        let vector = self.side.checked(vector);
        if let Some(slot) = self.side.vectors.lock().queues.get_mut(selected) {
            *slot = vector;
        }
    }

    fn common_read(&self, field: Field) -> u64 {
        let core = &*self.core;
        match field {
            Field::DeviceFeatureSelect => core.regs().device_feature_select.into(),
            Field::DeviceFeature => core.device_features(Interface::Modern).into(),
            Field::DriverFeatureSelect => core.regs().driver_feature_select.into(),
            Field::DriverFeature => core.driver_features().into(),
            Field::ConfigVector => self.side.vectors.lock().config.into(),
            Field::NumQueues => core.queue_count().into(),
            Field::Status => core.regs().status.into(),
            Field::Generation => core.regs().generation.into(),
            Field::QueueSelect => core.regs().queue_select.into(),
            Field::QueueSize => core.queue().size.into(),
            Field::QueueVector => self.queue_vector().into(),
            Field::QueueEnable => core.queue().enabled.into(),
            // Also the number that QueueNotifyData would have: queues are notified by their own number.
            Field::QueueNotifyOff | Field::QueueNotifyData => core.regs().queue_select.into(),
            Field::QueueDesc => core.queue().desc,
            Field::QueueDriver => core.queue().avail,
            Field::QueueDevice => core.queue().used,
            // A queue's reset is complete when the write to the field returns.
            Field::QueueReset => 0,
        }
    }

    fn common_write(&self, field: Field, v: u64) {
        let core = &*self.core;
        match field {
            Field::DeviceFeatureSelect => core.regs().device_feature_select = v as u32,
            Field::DriverFeatureSelect => core.regs().driver_feature_select = v as u32,
            Field::DriverFeature => core.set_driver_features(v as u32),
            Field::ConfigVector => self.side.vectors.lock().config = self.side.checked(v as u16),
            Field::Status => self.set_status(v as u8, Interface::Modern),
            Field::QueueSelect => core.regs().queue_select = v as u16,
            Field::QueueSize => core.set_queue_size(v as u32),
            Field::QueueVector => self.set_queue_vector(v as u16),
            // The driver does not disable a queue this way (virtio 1.2, 4.1.4.3.2).
            Field::QueueEnable if v == 1 => core.enable_queue(true),
            Field::QueueDesc => core.set_queue(|q| q.desc = v),
            Field::QueueDriver => core.set_queue(|q| q.avail = v),
            Field::QueueDevice => core.set_queue(|q| q.used = v),
            Field::QueueReset if v == 1 => core.reset_queue(),
            Field::QueueEnable | Field::QueueReset => {
                core.anomaly("a write to a field of the common configuration that does not take it");
            }
            // Read-only: the map lets no write through.
            Field::DeviceFeature | Field::NumQueues | Field::Generation => {}
            Field::QueueNotifyOff | Field::QueueNotifyData => {}
        }
    }

    /// The value of a register whose reading changes nothing.
    fn structure_peek(&self, reg: Reg, index: u32) -> u64 {
        match reg {
            Reg::Common(field) => self.common_read(field),
            Reg::Config => {
                let mut bytes = [0; 4];
                self.core.device().config_read(u64::from(4 * index), &mut bytes);
                u32::from_le_bytes(bytes).into()
            }
            // One is taken, the other is write-only.
            Reg::Isr | Reg::Notify => 0,
        }
    }

    fn structure_read(&self, offset: u64, size: Size) -> u64 {
        let Some(hit) = STRUCTURE_MAP.at(offset) else { return 0 };
        match hit.row.content {
            Content::Register(Reg::Isr) => self.side.take_isr().into(),
            // Of any size and alignment: a device type has fields of its own.
            Content::Register(Reg::Config) => {
                let mut bytes = [0; 8];
                self.core.device().config_read(hit.at().into(), &mut bytes[..size.bytes() as usize]);
                u64::from_le_bytes(bytes)
            }
            _ => hit.read(size, |reg| self.structure_peek(reg, hit.index)),
        }
    }

    fn structure_write(&self, offset: u64, size: Size, value: u64) {
        let nothing = || self.core.anomaly("a write to a place where virtio-pci has nothing to write");
        let Some(hit) = STRUCTURE_MAP.at(offset) else { return nothing() };
        match hit.row.content {
            Content::Register(Reg::Common(field)) => self.common_access(offset, size, value, field),
            Content::Register(Reg::Config) => {
                self.core
                    .device()
                    .config_write(hit.at().into(), &value.to_le_bytes()[..size.bytes() as usize]);
            }
            Content::Register(Reg::Notify) if hit.byte == 0 => self.core.notify(hit.index),
            _ => nothing(),
        }
    }

    /// A write to the common configuration: whole fields, or halves of 64-bit ones.
    fn common_access(&self, offset: u64, size: Size, value: u64, field: Field) {
        let Some(hit) = STRUCTURE_MAP.find(offset, size).filter(|h| h.byte == 0 || h.row.bytes == 8) else {
            return self.core.anomaly("a write to a part of a field of the common configuration");
        };
        match hit.target() {
            Target::Register(_) => {
                let old = if hit.row.bytes > size.bytes() as u32 { self.common_read(field) } else { 0 };
                self.common_write(field, hit.merged(old, size, value));
            }
            _ => self.core.anomaly("a write to a field of the common configuration that does not take it"),
        }
    }

    /// What the PCI configuration access capability points to, if `offset` is its data and it makes sense (virtio 1.2,
    /// 4.1.4.9).
    fn window(&self, offset: u16) -> Option<(u64, Size)> {
        let access = self.cfg_access.filter(|at| at + CFG_DATA == offset)?;
        let get = |at, size| self.side.function.config_read(access + at, size);
        let (bar, offset) = (get(CFG_BAR, Size::B1), u64::from(get(CFG_OFFSET, Size::B4)));
        let size = Size::from_bytes(get(CFG_LENGTH, Size::B4).into()).filter(|s| *s != Size::B8)?;
        let inside = offset + size.bytes() <= u64::from(4 * PAGE) && offset % size.bytes() == 0;
        (bar == u32::from(BAR) && inside).then_some((offset, size))
    }
}

impl PciFunction for VirtioPci {
    fn core(&self) -> &FunctionCore {
        &self.side.function
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(Arc::downgrade(&self.client))
    }
    fn config_read(&self, offset: u16, size: Size) -> u32 {
        match self.window(offset) {
            Some((at, length)) => self.structure_read(at, length) as u32 & size.mask() as u32,
            None => self.side.function.config_read(offset, size),
        }
    }
    fn config_write(&self, offset: u16, size: Size, value: u32) -> ConfigEffect {
        let effect = self.side.function.config_write(offset, size, value);
        if let Some((at, length)) = self.window(offset) {
            self.structure_write(at, length, u64::from(value) & length.mask());
        }
        effect
    }
    fn bar_read(&self, bar: u8, offset: u64, size: Size) -> u64 {
        match bar {
            BAR => self.structure_read(offset, size),
            LEGACY_BAR => self.legacy_read(offset, size),
            _ => 0,
        }
    }
    fn bar_write(&self, bar: u8, offset: u64, size: Size, value: u64) {
        match bar {
            BAR => self.structure_write(offset, size, value),
            LEGACY_BAR => self.legacy_write(offset, size, value),
            _ => {}
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        let there = |reg, index| reg != Reg::Notify || index < u32::from(self.core.queue_count());
        match bar {
            BAR => {
                STRUCTURE_MAP.list(0, |reg, index| there(reg, index).then(|| self.structure_peek(reg, index)))
            }
            LEGACY_BAR => self.legacy_list(),
            _ => Vec::new(),
        }
    }
}

impl Component for VirtioPci {
    fn name(&self) -> &str {
        self.core.name()
    }
    fn reset(&self) {
        self.core.reset();
        self.side.reset_vectors();
        self.side.function.reset();
    }
    fn start(&self) -> io::Result<()> {
        self.core.start()
    }
    fn pause(&self) {
        self.core.pause();
    }
    /// Messages that were on their way when the state was saved are sent again.
    fn resume(&self) {
        self.core.unpause();
        self.side.function.send_pending();
    }
    fn halt(&self) {
        self.core.halt();
    }
    fn save(&self) -> Payload {
        let vectors = self.side.vectors.lock().clone();
        let state = State { core: self.core.save(), function: self.side.function.save(), vectors };
        Payload::new(self.name(), &state).part(self.core.save_device())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { core, function, vectors } = saved.state()?;
        if !self.side.function.fits(&function) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        let possible = |v: &u16| self.side.checked(*v) == *v;
        if vectors.queues.len() != usize::from(self.core.queue_count())
            || vectors.isr & !(ISR_QUEUE | ISR_CONFIG) != 0
            || !vectors.queues.iter().chain([&vectors.config]).all(possible)
        {
            return Err(saved.unfit("its interrupts are not those of this function"));
        }
        let core = self.core.check(core, saved)?;
        Ok(Restore::new(move || {
            core.apply();
            *self.side.vectors.lock() = vectors;
            self.side.function.restore(&function);
        }))
    }
}

impl Drop for VirtioPci {
    fn drop(&mut self) {
        self.halt();
    }
}
