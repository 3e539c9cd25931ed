//! What every function has: configuration space, BARs, MSI or MSI-X, an INTx pin and DMA ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use emu_core::addr::Size;
use emu_core::dma::{DmaPort, StallTag, Stalls};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::registers::{Listed, Map};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::bridge::{self, Bridge};
use super::capability::{
    self, EXPRESS, EXPRESS_DEVICE_CONTROL, INITIATE_FLR, MSI, MSIX, MSIX_CONTROL, MsixCapability,
};
use super::config::{ConfigState, reg};
use super::msi::{Message, Msi};
use super::msix::MsixState;
use super::{Bdf, ConfigSpace, Identity, IntxRouter, MasterPort, Msix, MsixLayout};

/// The address spaces of PCI that BARs decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Memory.
    Memory,
    /// I/O.
    Io,
}

/// The kinds of base address registers (PCI 3.0, 6.2.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarKind {
    /// I/O ports, 4 bytes or more.
    Io,
    /// Memory below 4 GiB, 16 bytes or more.
    Memory32,
    /// Memory anywhere; takes two registers.
    Memory64 {
        /// Reads have no side effects.
        prefetchable: bool,
    },
}

#[derive(Clone, Copy)]
struct Bar {
    kind: BarKind,
    size: u64,
}

/// A range that a BAR decodes now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The BAR, 0..=5.
    pub bar: u8,
    /// Its address space.
    pub space: Space,
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What the host has to do after a write to configuration space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct ConfigEffect {
    /// BARs may have moved, or decode or not decode.
    pub decode_changed: bool,
    /// Software asked for a function level reset.
    pub reset: bool,
    /// Software resets what is below the bridge.
    pub reset_below: bool,
    /// Software lets go of what is below the bridge, as it was asked to.
    pub released: bool,
}

/// A function on a PCI bus. The accessors of registers are called from several threads.
pub trait PciFunction: Component {
    /// What it has in common with all functions.
    fn core(&self) -> &FunctionCore;
    /// Whether its transactions may be stalled, and who is told then.
    fn stalls(&self) -> Stalls;
    /// Reads configuration space.
    fn config_read(&self, offset: u16, size: Size) -> u32 {
        self.core().config_read(offset, size)
    }
    /// Writes configuration space.
    fn config_write(&self, offset: u16, size: Size, value: u32) -> ConfigEffect {
        self.core().config_write(offset, size, value)
    }
    /// Reads behind a BAR, outside the MSI-X structures. `offset` is below the BAR's size.
    fn bar_read(&self, bar: u8, offset: u64, size: Size) -> u64;
    /// Writes behind a BAR, outside the MSI-X structures. `offset` is below the BAR's size.
    fn bar_write(&self, bar: u8, offset: u64, size: Size, value: u64);
    /// The bridge that it is, if it is one.
    fn bridge(&self) -> Option<&dyn Bridge> {
        None
    }
    /// The registers behind a BAR with their values, outside the MSI-X structures. Nothing is changed by that.
    fn bar_registers(&self, _bar: u8) -> Vec<Listed> {
        Vec::new()
    }
}

/// Builds a [`FunctionCore`].
pub struct FunctionBuilder {
    config: ConfigSpace,
    bars: [Option<Bar>; 6],
    msi: Option<u16>,
    msix: Option<(MsixLayout, u16)>,
    express: Option<u16>,
}

impl FunctionBuilder {
    /// A function that has nothing but an identity.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self::with(ConfigSpace::new(identity))
    }

    /// A bridge that has nothing but an identity. It has no subsystem.
    #[must_use]
    pub fn bridge(identity: Identity) -> Self {
        Self::with(bridge::header(identity))
    }

    fn with(config: ConfigSpace) -> Self {
        Self { config, bars: [None; 6], msi: None, msix: None, express: None }
    }

    /// Adds base address register `index` (0..=5) for `size` bytes, a power of two.
    #[must_use]
    pub fn bar(mut self, index: u8, kind: BarKind, size: u64) -> Self {
        debug_assert!(size.is_power_of_two() && size >= 4);
        let at = reg::BAR0 + 4 * u16::from(index);
        let (flags, low): (u32, u64) = match kind {
            BarKind::Io => (1, 3),
            BarKind::Memory32 => (0, 15),
            BarKind::Memory64 { prefetchable } => (4 | u32::from(prefetchable) << 3, 15),
        };
        // The bits below the size are read-only zeros: this is how software finds the size.
        let mask = (!(size - 1) & !low).to_le_bytes();
        self.config.define(at, &flags.to_le_bytes());
        let registers = if matches!(kind, BarKind::Memory64 { .. }) { 8 } else { 4 };
        self.config.allow(at, &mask[..registers]);
        self.bars[usize::from(index)] = Some(Bar { kind, size });
        self
    }

    /// Appends a vendor-specific capability (PCIe 6.0, 7.9.4) and tells its offset to `at`. `value` tells what those registers
    /// are after reset of which the map does not say it.
    #[must_use]
    pub fn capability<R: Copy>(
        mut self,
        map: &'static Map<R>,
        value: impl Fn(R) -> u64,
        at: &mut u16,
    ) -> Self {
        *at = self.config.add_capability(map, value);
        self
    }

    /// Makes it a PCI Express integrated endpoint.
    #[must_use]
    pub fn express(mut self) -> Self {
        // The map says what all registers are after reset.
        self.express = Some(self.config.add_capability(&EXPRESS, |_| 0));
        self
    }

    /// Gives it MSI, with one vector.
    #[must_use]
    pub fn msi(mut self) -> Self {
        // The map says what all registers are after reset.
        self.msi = Some(self.config.add_capability(&MSI, |_| 0));
        self
    }

    /// Gives it MSI-X.
    #[must_use]
    pub fn msix(mut self, layout: MsixLayout) -> Self {
        let at = self.config.add_capability(&MSIX, |register| match register {
            MsixCapability::Control => layout.vectors.saturating_sub(1).into(),
            MsixCapability::Table => (layout.table_offset | u32::from(layout.bar)).into(),
            MsixCapability::PendingBits => (layout.pba_offset | u32::from(layout.bar)).into(),
            // The map says what they are.
            MsixCapability::Id | MsixCapability::Next => 0,
        });
        self.msix = Some((layout, at));
        self
    }

    /// Makes `bytes` bytes from `offset` on read-only.
    #[must_use]
    pub(super) fn read_only(mut self, offset: u16, bytes: usize) -> Self {
        self.config.allow(offset, &vec![0; bytes]);
        self
    }

    /// Gives it an INTx pin: 1 for INTA#.
    #[must_use]
    pub fn intx_pin(mut self, pin: u8) -> Self {
        self.config.define(reg::INTERRUPT_PIN, &[pin]);
        self
    }

    /// The function, with its DMA counted in `counters`.
    #[must_use]
    pub fn build(self, counters: &Arc<Counters>) -> FunctionCore {
        FunctionCore {
            config: Mutex::new(Config { space: self.config, intx: None, driven: false }),
            bars: self.bars,
            msi: self.msi.map(|at| (Msi::new(counters.clone()), at)),
            msix: self.msix.map(|(layout, at)| (Msix::new(layout, counters.clone()), at)),
            express: self.express,
            port: Arc::new(MasterPort::new(counters.clone())),
            physical: Arc::new(MasterPort::new(counters.clone())),
            requester: AtomicU16::new(0),
        }
    }
}

struct Config {
    space: ConfigSpace,
    /// The router and the line of it that the function's pin is wired to.
    intx: Option<(Arc<IntxRouter>, usize)>,
    /// The level that the function drives.
    driven: bool,
}

impl Config {
    /// Drives the pin as status and command registers say.
    fn update_intx(&mut self) {
        let wanted = self.space.get16(reg::STATUS) & reg::STATUS_INTERRUPT != 0;
        let level = wanted && self.space.get16(reg::COMMAND) & reg::COMMAND_INTX_DISABLE == 0;
        if let Some((router, line)) = &self.intx
            && level != self.driven
        {
            self.driven = level;
            router.change(*line, level);
        }
    }
}

/// The saved form of a [`FunctionCore`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionState {
    config: ConfigState,
    msix: Option<MsixState>,
    /// An MSI is on its way, of a function that has MSI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    msi: Option<bool>,
}

/// What is said of a state that does not fit.
pub(crate) const OTHER_FUNCTION: &str = "it is one of another function";

/// The part that all functions have in common.
pub struct FunctionCore {
    config: Mutex<Config>,
    bars: [Option<Bar>; 6],
    msi: Option<(Msi, u16)>,
    msix: Option<(Msix, u16)>,
    express: Option<u16>,
    port: Arc<MasterPort>,
    physical: Arc<MasterPort>,
    /// The requester ID.
    requester: AtomicU16,
}

/// The ways to memory of a function, which carry its requester ID.
pub(super) struct Ways {
    /// The one behind an IOMMU, if there is one.
    pub(super) port: Arc<dyn DmaPort>,
    /// The one around it.
    pub(super) physical: Arc<dyn DmaPort>,
}

impl FunctionCore {
    /// Makes it a function of a bus: `line` says which line of `router` a pin is wired to. One that is not on the root bus is an
    /// endpoint at a link.
    pub(super) fn attach(&self, is_root: bool, router: Arc<IntxRouter>, line: impl Fn(u8) -> usize) {
        let mut config = self.config.lock();
        let pin = config.space.read(reg::INTERRUPT_PIN, Size::B1) as u8;
        config.intx = (pin != 0).then(|| (router, line(pin)));
        if let (false, Some(at)) = (is_root, self.express) {
            capability::END_OF_LINK
                .iter()
                .for_each(|(offset, value)| config.space.define(at + offset, value));
        }
    }

    /// Says in the header that the device may have several functions. For who puts it into its place.
    pub fn set_multifunction(&self) {
        let mut config = self.config.lock();
        let header = config.space.read(reg::HEADER_TYPE, Size::B1) as u8;
        config.space.define(reg::HEADER_TYPE, &[header | reg::MULTIFUNCTION]);
    }

    /// From now on its requests go by `ways`, which carry the requester ID of `bdf`.
    pub(super) fn connect(&self, bdf: Bdf, ways: Ways) {
        self.requester.store(bdf.0, Ordering::Release);
        self.port.connect(ways.port);
        self.physical.connect(ways.physical);
    }

    /// The place that its requester ID says.
    #[must_use]
    pub fn requester(&self) -> Bdf {
        Bdf(self.requester.load(Ordering::Acquire))
    }

    /// Whether all bridges above it forward its requests.
    pub(super) fn set_forwarded(&self, forwarded: bool) {
        self.port.set_forwarded(forwarded);
        self.physical.set_forwarded(forwarded);
    }

    /// Changes bits of a 16-bit register of configuration space from the hardware's side.
    pub(super) fn set_config16(&self, offset: u16, mask: u16, bits: u16) {
        self.config.lock().space.set16(offset, mask, bits);
    }

    /// The function's way to memory.
    #[must_use]
    pub fn port(&self) -> &Arc<MasterPort> {
        &self.port
    }

    /// A way to memory that no IOMMU is in. There is none in hardware: it is for virtio devices whose drivers know of no
    /// IOMMU, and give them physical addresses. Messages do not go there.
    #[must_use]
    pub fn physical_port(&self) -> &Arc<MasterPort> {
        &self.physical
    }

    /// Follows the bus master enable bit.
    fn set_master(&self, enabled: bool) {
        self.port.set_enabled(enabled);
        self.physical.set_enabled(enabled);
    }

    /// The message of MSI, if software has enabled it.
    fn message(&self) -> Option<Message> {
        let at = self.msi.as_ref()?.1;
        Message::of(&self.config.lock().space, at)
    }

    /// True if software uses MSI rather than INTx.
    #[must_use]
    pub fn msi_enabled(&self) -> bool {
        self.message().is_some()
    }

    /// Sends an MSI, if software has enabled it.
    pub fn raise_msi(&self) {
        if let Some((m, _)) = self.msi.as_ref().filter(|_| self.msi_enabled()) {
            m.raise();
            m.send(|| self.message(), &self.port);
        }
    }

    /// Sends the messages that wait for nobody: after a restore, say.
    pub fn send_pending(&self) {
        if let Some((m, _)) = &self.msi {
            m.send(|| self.message(), &self.port);
        }
        if let Some((m, _)) = &self.msix {
            m.send_pending(&self.port);
        }
    }

    /// A stalled message may be sent again, or is lost. False if `tag` is not one of this function's messages.
    pub fn resume_message(&self, tag: StallTag, retry: bool) -> bool {
        let msi = self.msi.as_ref().is_some_and(|(m, _)| m.resume(tag, retry));
        if msi {
            self.send_pending();
        }
        msi || self.msix().is_some_and(|m| m.resume(tag, retry, &self.port))
    }

    /// MSI-X, if the function has it.
    #[must_use]
    pub fn msix(&self) -> Option<&Msix> {
        self.msix.as_ref().map(|(m, _)| m)
    }

    /// Sends MSI-X `vector`.
    pub fn raise_msix(&self, vector: u16) {
        if let Some((m, _)) = &self.msix {
            m.raise(vector, &self.port);
        }
    }

    /// The function wants its INTx asserted, or not.
    pub fn set_intx(&self, level: bool) {
        let mut config = self.config.lock();
        let bit = if level { reg::STATUS_INTERRUPT } else { 0 };
        config.space.set16(reg::STATUS, reg::STATUS_INTERRUPT, bit);
        config.update_intx();
    }

    /// Reads configuration space as the masks define it.
    #[must_use]
    pub fn config_read(&self, offset: u16, size: Size) -> u32 {
        self.config.lock().space.read(offset, size)
    }

    /// The registers of configuration space with their values.
    #[must_use]
    pub fn config_registers(&self) -> Vec<Listed> {
        self.config.lock().space.list()
    }

    /// The registers of the MSI-X structures with their values, if they are in `bar`.
    #[must_use]
    pub fn msix_registers(&self, bar: u8) -> Vec<Listed> {
        self.msix().filter(|m| m.layout().bar == bar).map(Msix::list).unwrap_or_default()
    }

    /// Writes configuration space, and does what the standard registers demand.
    pub fn config_write(&self, offset: u16, size: Size, value: u32) -> ConfigEffect {
        let end = offset.saturating_add(size.bytes() as u16);
        let touches = |at: u16, bytes: u16| offset < at + bytes && at < end;
        let mut config = self.config.lock();
        config.space.write(offset, size, value);
        let mut effect = ConfigEffect::default();
        if touches(reg::COMMAND, 2) {
            self.set_master(config.space.get16(reg::COMMAND) & reg::COMMAND_MASTER != 0);
            config.update_intx();
            effect.decode_changed = true;
        }
        effect.decode_changed |= touches(reg::BAR0, reg::BAR_END - reg::BAR0);
        if let Some((m, at)) = &self.msix
            && touches(at + MSIX_CONTROL, 2)
        {
            m.set_control(config.space.get16(at + MSIX_CONTROL));
        }
        if let Some(at) = self.express.map(|at| at + EXPRESS_DEVICE_CONTROL)
            && touches(at, 2)
            && offset <= at + 1
        {
            // The bit reads as zero, so it is looked for in what was written.
            let written =
                if offset <= at { value.wrapping_shr(8 * u32::from(at - offset)) } else { value << 8 };
            effect.reset = written as u16 & INITIATE_FLR != 0 && end > at + 1;
        }
        drop(config);
        self.send_pending();
        effect
    }

    /// Reads the MSI-X structures; `None` if the address is not theirs.
    pub(super) fn msix_read(&self, bar: u8, offset: u64, size: Size) -> Option<u64> {
        self.msix().filter(|m| m.layout().bar == bar)?.read(offset, size)
    }

    /// Writes the MSI-X structures; false if the address is not theirs.
    pub(super) fn msix_write(&self, bar: u8, offset: u64, size: Size, value: u64) -> bool {
        let msix = self.msix().filter(|m| m.layout().bar == bar);
        msix.is_some_and(|m| m.write(offset, size, value, &self.port))
    }

    /// The ranges that the BARs decode now.
    #[must_use]
    pub fn decoded(&self) -> Vec<Decoded> {
        let config = self.config.lock();
        let command = config.space.get16(reg::COMMAND);
        let mut ranges = Vec::new();
        for (i, bar) in self.bars.iter().enumerate() {
            let Some(Bar { kind, size }) = *bar else { continue };
            let at = reg::BAR0 + 4 * i as u16;
            let low = u64::from(config.space.get32(at));
            let (space, enable, base) = match kind {
                BarKind::Io => (Space::Io, reg::COMMAND_IO, low & !3),
                BarKind::Memory32 => (Space::Memory, reg::COMMAND_MEMORY, low & !15),
                BarKind::Memory64 { .. } => {
                    let high = u64::from(config.space.get32(at + 4));
                    (Space::Memory, reg::COMMAND_MEMORY, high << 32 | low & !15)
                }
            };
            if command & enable != 0 && base.checked_add(size).is_some() {
                ranges.push(Decoded { bar: i as u8, space, base, size });
            }
        }
        ranges
    }

    /// Back to the state after power-on.
    pub fn reset(&self) {
        let mut config = self.config.lock();
        config.space.reset();
        config.update_intx();
        self.set_master(false);
        if let Some((m, _)) = &self.msi {
            m.reset();
        }
        if let Some((m, _)) = &self.msix {
            m.reset();
        }
    }

    /// The state.
    #[must_use]
    pub fn save(&self) -> FunctionState {
        let config = self.config.lock().space.save();
        let msi = self.msi.as_ref().map(|(m, _)| m.is_pending());
        FunctionState { config, msix: self.msix().map(Msix::save), msi }
    }

    /// True if a saved state is one of a function like this.
    #[must_use]
    pub fn fits(&self, state: &FunctionState) -> bool {
        let msix = match (self.msix(), &state.msix) {
            (Some(msix), Some(state)) => msix.fits(state),
            (msix, state) => msix.is_none() && state.is_none(),
        };
        msix && self.msi.is_some() == state.msi.is_some() && self.config.lock().space.fits(&state.config)
    }

    /// Takes a saved state that fits.
    pub fn restore(&self, state: &FunctionState) {
        let mut config = self.config.lock();
        config.space.restore(&state.config);
        config.update_intx();
        self.set_master(config.space.get16(reg::COMMAND) & reg::COMMAND_MASTER != 0);
        if let Some((m, _)) = &self.msi {
            m.reset();
            if state.msi == Some(true) {
                m.raise();
            }
        }
        if let Some((m, at)) = &self.msix {
            if let Some(s) = &state.msix {
                m.restore(s);
            }
            m.set_control(config.space.get16(at + MSIX_CONTROL));
        }
    }
}
