//! A root port: a bridge from the root bus to a link, with a slot at its end.
//!
//! What is in the slot is reached while the link is up: the slot is occupied and has power, software has not disabled the link,
//! and does not hold it in reset. When it goes down, what is below it is reset (PCIe 6.0, 2.9.1).

mod capability;
mod slot;

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::dma::Stalls;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(super) use self::capability::EXPRESS;
use self::capability::{Port, reg};
use self::slot::Slot;
use super::bridge::{reg as header, touches_forwarding};
use super::{
    BarKind, Bridge, ConfigEffect, Forwarding, FunctionBuilder, FunctionCore, FunctionState, Identity, Msix,
    MsixLayout, OTHER_FUNCTION, PciFunction,
};

/// The identity of the generic root port that guests know from other machines.
const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x000c,
    class: 0x06_0400,
    revision: 0,
    subsystem_vendor: 0,
    subsystem: 0,
};

/// One message for hot-plug.
const MSIX: MsixLayout = MsixLayout { vectors: 1, bar: 0, table_offset: 0, pba_offset: 0x800 };

/// What a root port is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootPortOptions {
    /// The physical number of the slot, 13 bits.
    pub slot: u16,
    /// The number of the port, in Link Capabilities.
    pub port: u8,
    /// What is in the slot can be exchanged while the machine runs.
    pub hotplug: bool,
}

impl RootPortOptions {
    fn value(self, register: Port) -> u64 {
        // Attention button, power controller, attention and power indicator, hot-plug.
        let hotplug = if self.hotplug { 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 } else { 0 };
        match register {
            Port::LinkCapabilities => 1 | 1 << 4 | 1 << 20 | 1 << 22 | u64::from(self.port) << 24,
            Port::LinkStatus => 1 | 1 << 4,
            Port::SlotCapabilities => hotplug | u64::from(self.slot & 0x1fff) << 19,
            // Both indicators are off, and so is the power.
            Port::SlotControl if self.hotplug => 0x07c0,
            // The map says what all others are.
            _ => 0,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
    slot: Slot,
}

impl SavedState for State {
    const KIND: &'static str = "pcie-root-port";
    const VERSION: u32 = 1;
}

/// A root port.
pub struct RootPort {
    name: String,
    core: FunctionCore,
    options: RootPortOptions,
    /// Where the PCI Express capability is.
    express: u16,
    slot: Mutex<Slot>,
}

impl RootPort {
    /// A root port with nothing in its slot.
    #[must_use]
    pub fn new(name: &str, options: RootPortOptions, counters: &Arc<Counters>) -> Arc<Self> {
        let mut express = 0;
        let builder = FunctionBuilder::bridge(IDENTITY)
            .bar(0, BarKind::Memory32, 0x1000)
            .capability(&EXPRESS, |register| options.value(register), &mut express)
            .msix(MSIX)
            .intx_pin(1);
        // Without hot-plug there is nothing to be controlled.
        let builder =
            if options.hotplug { builder } else { builder.read_only(express + reg::SLOT_CONTROL, 2) };
        let (core, slot) = (builder.build(counters), Mutex::default());
        Arc::new(Self { name: name.to_owned(), core, options, express, slot })
    }

    fn get(&self, offset: u16) -> u16 {
        self.core.config_read(self.express + offset, Size::B2) as u16
    }

    fn change(&self, offset: u16, mask: u16, bits: u16) {
        self.core.set_config16(self.express + offset, mask, bits);
    }

    fn bridge_control(&self) -> u16 {
        self.core.config_read(header::BRIDGE_CONTROL, Size::B2) as u16
    }

    fn link_is_up(&self) -> bool {
        self.get(reg::LINK_STATUS) & reg::LINK_ACTIVE != 0
    }

    /// What the link is to be, by what is in the slot and what software says.
    fn link_can_be_up(&self, slot: &Slot) -> bool {
        let power = self.get(reg::SLOT_CONTROL) & reg::POWER_OFF == 0;
        let enabled = self.get(reg::LINK_CONTROL) & reg::LINK_DISABLE == 0;
        slot.occupied && power && enabled && self.bridge_control() & header::CONTROL_RESET == 0
    }

    /// The link follows; true if it was up and is not now.
    fn update_link(&self, slot: &Slot) -> bool {
        let (was, is) = (self.link_is_up(), self.link_can_be_up(slot));
        if was != is {
            self.change(reg::LINK_STATUS, reg::LINK_ACTIVE, if is { reg::LINK_ACTIVE } else { 0 });
            self.change(reg::SLOT_STATUS, reg::LINK_CHANGED, reg::LINK_CHANGED);
        }
        was && !is
    }

    /// Power and its indicator are on from the start if something is in the slot.
    fn after_reset(&self, slot: &mut Slot) {
        slot.asserted = false;
        if self.options.hotplug && slot.occupied {
            let bits = reg::POWER_OFF | reg::POWER_INDICATOR;
            self.change(reg::SLOT_CONTROL, bits, reg::INDICATOR_ON);
        }
        let present = if slot.occupied { reg::PRESENT } else { 0 };
        self.change(reg::SLOT_STATUS, reg::PRESENT, present);
        let up = if self.link_can_be_up(slot) { reg::LINK_ACTIVE } else { 0 };
        self.change(reg::LINK_STATUS, reg::LINK_ACTIVE, up);
    }

    /// Something happens at the slot that gives these events; the link follows, and software is told.
    fn event(&self, happens: impl FnOnce(&mut Slot) -> u16) {
        let mut slot = self.slot.lock();
        let events = happens(&mut slot);
        self.change(reg::SLOT_STATUS, events, events);
        // What is put in was not reached before, and what is taken out is reset by who takes it.
        let _ = self.update_link(&slot);
        let message = self.update_interrupt(&mut slot);
        drop(slot);
        if message {
            self.core.raise_msix(0);
        }
    }

    /// Tells of events as software wants it; true if a message is to be sent (PCIe 6.0, 6.7.3.4).
    fn update_interrupt(&self, slot: &mut Slot) -> bool {
        let wanted = slot::interrupt(self.get(reg::SLOT_CONTROL), self.get(reg::SLOT_STATUS));
        let by_message = self.core.msix().is_some_and(Msix::enabled);
        self.core.set_intx(wanted && !by_message);
        let rises = wanted && !slot.asserted;
        slot.asserted = wanted;
        rises && by_message
    }
}

impl Bridge for RootPort {
    fn forwarding(&self) -> Forwarding {
        let ari = self.get(reg::DEVICE_CONTROL_2) & reg::ARI_FORWARDING != 0;
        Forwarding { link: self.link_is_up(), ari, ..Forwarding::of(&self.core) }
    }

    fn occupied_from_start(&self) {
        let mut slot = self.slot.lock();
        slot.occupied = true;
        self.after_reset(&mut slot);
    }

    fn is_hot_pluggable(&self) -> bool {
        self.options.hotplug
    }

    /// Somebody puts it in, and presses the attention button: software then need not wait for whether the first was meant.
    fn plugged(&self) {
        self.event(|slot| {
            slot.occupied = true;
            self.change(reg::SLOT_STATUS, reg::PRESENT, reg::PRESENT);
            reg::PRESENCE_CHANGED | reg::BUTTON_PRESSED
        });
    }

    /// By the attention button. Without power what is in the slot is not in use.
    fn ask_to_release(&self) -> bool {
        if self.get(reg::SLOT_CONTROL) & reg::POWER_OFF != 0 {
            return true;
        }
        self.event(|slot| {
            slot.asked = true;
            reg::BUTTON_PRESSED
        });
        false
    }

    fn is_asked(&self) -> bool {
        self.slot.lock().asked
    }

    fn emptied(&self) {
        self.event(|slot| {
            (slot.occupied, slot.asked) = (false, false);
            self.change(reg::SLOT_STATUS, reg::PRESENT, 0);
            reg::PRESENCE_CHANGED
        });
    }
}

impl PciFunction for RootPort {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Never
    }
    fn config_write(&self, offset: u16, size: Size, value: u32) -> ConfigEffect {
        let bytes = size.bytes() as u16;
        let mut slot = self.slot.lock();
        let mut effect = self.core.config_write(offset, size, value);
        effect.decode_changed |= touches_forwarding(offset, bytes);
        let control = self.express + reg::SLOT_CONTROL;
        if self.options.hotplug && offset < control + 2 && offset + bytes > control {
            // A command is carried out at once.
            self.change(reg::SLOT_STATUS, reg::COMMAND_COMPLETED, reg::COMMAND_COMPLETED);
        }
        let was_up = self.link_is_up();
        effect.reset_below = self.update_link(&slot);
        effect.decode_changed |= was_up != self.link_is_up();
        effect.released = slot.asked && self.get(reg::SLOT_CONTROL) & reg::POWER_OFF != 0;
        // ARI forwarding changes what configuration requests get to, which is asked each time.
        let message = self.update_interrupt(&mut slot);
        drop(slot);
        if message {
            self.core.raise_msix(0);
        }
        effect
    }
    fn bar_read(&self, _: u8, _: u64, _: Size) -> u64 {
        0
    }
    fn bar_write(&self, _: u8, _: u64, _: Size, _: u64) {}
    fn bridge(&self) -> Option<&dyn Bridge> {
        Some(self)
    }
}

impl Component for RootPort {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        let mut slot = self.slot.lock();
        self.core.reset();
        self.after_reset(&mut slot);
    }
    fn save(&self) -> Payload {
        let slot = *self.slot.lock();
        Payload::new(self.name(), &State { function: self.core.save(), slot })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function, slot } = saved.state()?;
        if !self.core.fits(&function) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        if slot.occupied != self.slot.lock().occupied {
            return Err(saved.unfit("its slot is not occupied as that of this machine is"));
        }
        Ok(Restore::new(move || {
            let mut own = self.slot.lock();
            self.core.restore(&function);
            *own = slot;
        }))
    }
}
