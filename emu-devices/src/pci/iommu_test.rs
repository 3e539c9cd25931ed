//! A function for tests of an IOMMU by bare-metal programs: what QEMU calls `iommu-testdev` (QEMU, docs/specs/iommu-testdev).
//!
//! It writes a pattern through the IOMMU and reads it back around it, from where a program knows that it must be: the program
//! writes both addresses and a length, arms the function, and reads a register, which begins the transfer.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::task::Poll;

use emu_core::Security;
use emu_core::addr::Size;
use emu_core::dma::{Direction, Dma, DmaAttrs, DmaClient, Segment, StallTable, StallTag, Stalls, Task};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Map, Target, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{BarKind, FunctionBuilder, FunctionCore, FunctionState, Identity, OTHER_FUNCTION, PciFunction};

const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x0005,
    class: 0x00_ff00,
    revision: 0,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

/// Bytes of its BAR.
const BAR_SIZE: u64 = 4096;
/// What is written, again and again.
const PATTERN: [u8; 4] = 0x1234_5678_u32.to_le_bytes();
/// The longest transfer.
const LONGEST: u32 = 1 << 20;
/// It has one transfer at a time.
const SLOT: u16 = 0;

/// Values of the result register.
mod result {
    pub(super) const DONE: u32 = 0;
    pub(super) const IDLE: u32 = 0xffff_ffff;
    /// Armed, or under way.
    pub(super) const BUSY: u32 = 0xffff_fffe;
    pub(super) const BAD_LENGTH: u32 = 0xdead_0001;
    pub(super) const WRITE_FAILED: u32 = 0xdead_0002;
    pub(super) const READ_FAILED: u32 = 0xdead_0003;
    pub(super) const MISMATCH: u32 = 0xdead_0004;
    pub(super) const NOT_ARMED: u32 = 0xdead_0005;
    pub(super) const BAD_ATTRIBUTES: u32 = 0xdead_0006;
}

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reg {
    Trigger,
    AddressLow,
    AddressHigh,
    Length,
    Result,
    Doorbell,
    Attributes,
    PhysicalLow,
    PhysicalHigh,
}

/// See the module's head.
pub(super) static MAP: Map<Reg> = Map {
    specification: "QEMU docs/specs/iommu-testdev",
    window: 0x24,
    rows: &[
        word("DMA Triggering", 0x00, Reg::Trigger).read_only(0xffff_ffff).read_has_effect(),
        word("DMA GVA Low", 0x04, Reg::AddressLow),
        word("DMA GVA High", 0x08, Reg::AddressHigh),
        word("DMA Length", 0x0c, Reg::Length),
        word("DMA Result", 0x10, Reg::Result).read_only(0xffff_ffff).reset(result::IDLE as u64),
        word("DMA Doorbell", 0x14, Reg::Doorbell).bits(1),
        // Secure, the physical address space, and whether that is said.
        word("DMA Attributes", 0x18, Reg::Attributes).bits(0xf),
        word("DMA GPA Low", 0x1c, Reg::PhysicalLow),
        word("DMA GPA High", 0x20, Reg::PhysicalHigh),
    ],
};

/// Their values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Registers {
    address: [u32; 2],
    length: u32,
    result: u32,
    armed: bool,
    attributes: u32,
    physical: [u32; 2],
    /// The transfer has begun.
    running: bool,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            address: [0; 2],
            length: 0,
            result: result::IDLE,
            armed: false,
            attributes: 0,
            physical: [0; 2],
            running: false,
        }
    }
}

impl Registers {
    fn peek(&self, reg: Reg) -> u64 {
        let value = match reg {
            Reg::Trigger => 0,
            Reg::AddressLow => self.address[0],
            Reg::AddressHigh => self.address[1],
            Reg::Length => self.length,
            Reg::Result => self.result,
            Reg::Doorbell => self.armed.into(),
            Reg::Attributes => self.attributes,
            Reg::PhysicalLow => self.physical[0],
            Reg::PhysicalHigh => self.physical[1],
        };
        value.into()
    }

    /// The physical address space that the transaction asks for; none if the attributes contradict each other.
    fn space(&self) -> Option<Security> {
        let (secure, said) = (self.attributes & 1 != 0, self.attributes & 8 != 0);
        match self.attributes >> 1 & 3 {
            _ if !said => Some(Security::NonSecure),
            0 => secure.then_some(Security::Secure),
            1 => (!secure).then_some(Security::NonSecure),
            2 => Some(Security::Root),
            _ => Some(Security::Realm),
        }
    }
}

const fn wide([low, high]: [u32; 2]) -> u64 {
    (high as u64) << 32 | low as u64
}

#[derive(Default)]
struct Inner {
    registers: Registers,
    running: Option<Task<u32>>,
}

/// See the module's head.
pub struct IommuTestDevice {
    name: String,
    core: FunctionCore,
    inner: Mutex<Inner>,
    stalls: Arc<StallTable>,
    counters: Arc<Counters>,
    this: Weak<Self>,
}

impl IommuTestDevice {
    /// The function, idle.
    #[must_use]
    pub fn new(name: &str, counters: &Arc<Counters>) -> Arc<Self> {
        let builder = FunctionBuilder::new(IDENTITY).bar(0, BarKind::Memory32, BAR_SIZE);
        Arc::new_cyclic(|this| Self {
            name: name.to_owned(),
            core: builder.build(counters),
            inner: Mutex::default(),
            stalls: Arc::default(),
            counters: counters.clone(),
            this: this.clone(),
        })
    }

    /// The register that begins a transfer was read.
    fn trigger(&self, inner: &mut Inner) {
        if inner.registers.running {
            return;
        }
        let armed = std::mem::take(&mut inner.registers.armed);
        inner.registers.running = armed;
        if armed {
            self.begin(inner);
            Self::go_on(inner);
        } else {
            inner.registers.result = result::NOT_ARMED;
        }
    }

    fn begin(&self, inner: &mut Inner) {
        let r = &inner.registers;
        let refused = match (r.length, r.space()) {
            (1..=LONGEST, Some(security)) => {
                let attrs = DmaAttrs { security, ..DmaAttrs::default() };
                let through = Dma::new(self.core.port().clone(), self.stalls.clone(), SLOT, attrs);
                let around = Dma::new(self.core.physical_port().clone(), self.stalls.clone(), SLOT, attrs);
                let segment = |addr| vec![Segment { addr, len: r.length }];
                let (to, from) = (segment(wide(r.address)), segment(wide(r.physical)));
                inner.running = Some(Task::new(write_and_read(through, around, to, from, r.length as usize)));
                return;
            }
            (1..=LONGEST, None) => result::BAD_ATTRIBUTES,
            _ => result::BAD_LENGTH,
        };
        inner.registers.result = refused;
        inner.registers.running = false;
    }

    /// Goes on with the transfer until it is done, or stands still.
    fn go_on(inner: &mut Inner) {
        if let Some(Poll::Ready(result)) = inner.running.as_mut().map(Task::poll) {
            inner.running = None;
            inner.registers.running = false;
            inner.registers.result = result;
        }
    }

    fn write(inner: &mut Inner, reg: Reg, value: u32) {
        let r = &mut inner.registers;
        match reg {
            Reg::AddressLow => r.address[0] = value,
            Reg::AddressHigh => r.address[1] = value,
            Reg::Length => r.length = value,
            Reg::Attributes => r.attributes = value,
            Reg::PhysicalLow => r.physical[0] = value,
            Reg::PhysicalHigh => r.physical[1] = value,
            // What is under way is given up.
            Reg::Doorbell => {
                inner.running = None;
                r.running = false;
                r.armed = value != 0;
                r.result = if r.armed { result::BUSY } else { result::IDLE };
            }
            // Read-only: the map lets no write through.
            Reg::Trigger | Reg::Result => {}
        }
    }
}

/// The transfer; gives its result.
async fn write_and_read(
    through: Dma,
    around: Dma,
    to: Vec<Segment>,
    from: Vec<Segment>,
    length: usize,
) -> u32 {
    let pattern: Vec<u8> = PATTERN.into_iter().cycle().take(length).collect();
    let Ok(written) = through.transfer(Direction::ToMemory, to, pattern).await else {
        return result::WRITE_FAILED;
    };
    match around.transfer(Direction::FromMemory, from, vec![0; length]).await {
        Ok(read) if read == written => result::DONE,
        Ok(_) => result::MISMATCH,
        Err(_) => result::READ_FAILED,
    }
}

impl PciFunction for IommuTestDevice {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(self.this.clone())
    }
    fn bar_read(&self, _: u8, offset: u64, size: Size) -> u64 {
        let Some(hit) = MAP.find(offset, size) else { return size.mask() };
        hit.read(size, |reg| {
            let mut inner = self.inner.lock();
            if reg == Reg::Trigger {
                self.trigger(&mut inner);
            }
            inner.registers.peek(reg)
        })
    }
    fn bar_write(&self, _: u8, offset: u64, size: Size, value: u64) {
        let hit = MAP.find(offset, size);
        match hit.map(|hit| (hit.target(), hit)) {
            Some((Target::Register(reg), hit)) => {
                Self::write(&mut self.inner.lock(), reg, hit.written(size, value) as u32);
            }
            _ => {
                tracing::debug!(target: crate::GUEST_ERRORS, "{}: a write to no register at {offset:#x}", self.name);
                self.counters.add(Metric::Anomalies, 1);
            }
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        let inner = self.inner.lock();
        if bar == 0 { MAP.list(0, |reg, _| Some(inner.registers.peek(reg))) } else { Vec::new() }
    }
}

impl DmaClient for IommuTestDevice {
    fn resume(&self, tag: StallTag, retry: bool) {
        if self.stalls.resume(tag, retry).is_some() {
            Self::go_on(&mut self.inner.lock());
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
    registers: Registers,
}

impl SavedState for State {
    const KIND: &'static str = "iommu-testdev";
    const VERSION: u32 = 1;
}

impl Component for IommuTestDevice {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        *self.inner.lock() = Inner::default();
        self.core.reset();
    }
    /// A transfer that was under way when the state was saved begins again.
    fn resume(&self) {
        let mut inner = self.inner.lock();
        if inner.registers.running && inner.running.is_none() {
            self.begin(&mut inner);
        }
        Self::go_on(&mut inner);
    }
    fn save(&self) -> Payload {
        let registers = self.inner.lock().registers.clone();
        Payload::new(&self.name, &State { function: self.core.save(), registers })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function, registers } = saved.state()?;
        let possible =
            MAP.holds(|reg, _| Some(registers.peek(reg))) && !(registers.armed && registers.running);
        if !self.core.fits(&function) || !possible {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || {
            *self.inner.lock() = Inner { registers, running: None };
            self.core.restore(&function);
        }))
    }
}
