//! The machine `none`: no processor and no device, and RAM if that was given a size. Clients that want to know what this
//! program has ask at its monitors.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::{Clock, Mode};
use emu_core::irq::{IrqLine, IrqSink};

use super::characters::Characters;
use crate::config::{Accel, MachineConfig};
use crate::end::Ending;
use crate::error::{UserError, reason, user_error};
use crate::monitor::{self, Listing, Machine, Parts};
use crate::network::Networks;
use crate::power::{Power, Stop};
use crate::process::Presence;
use crate::qmp::events::Cause;
use crate::qtest::{self, intercept::Intercept};
use crate::quit::STATUS_SIGNALS;
use crate::terminal::signals;

/// Where wires end that nobody listens to.
struct Nowhere;

impl IrqSink for Nowhere {
    fn set_level(&self, _: u32, _: bool) {}
}

/// Serves the monitors of such a machine until one of them, or a signal, ends it; gives the exit status.
pub fn run(config: &MachineConfig, presence: &Presence) -> Result<u8, UserError> {
    let power = Power::new(0);
    let on_quit = Ending::new()?.of(power.clone());
    signals::watch(qtest::of_signals(config, on_quit.clone()))
        .map_err(|e| user_error!("cannot watch for signals: {}", reason(&e)))?;
    let bus = Arc::new(Bus::new());
    if config.memory != 0 {
        let ram = super::ram::get(config.memory, &config.ram)?;
        bus.map(Pa(0), config.memory, Backing::Ram(ram, 0))
            .map_err(|e| user_error!("the RAM has no place: {e}"))?;
    }
    let clock = Clock::new(if config.accel == Accel::Qtest { Mode::Counted } else { Mode::RealTime });
    let mut characters = Characters::new(config, on_quit.clone())?;
    // Nobody has a cable to them; they listen and connect all the same.
    let networks = Networks::open(config, &mut characters)?;
    let wires = Intercept::new(Arc::new(Nowhere));
    if let Some(qtest) = &config.qtest {
        let port = characters.open(&qtest.client, "qtest")?;
        let (bus, clock) = (bus.clone(), clock.clone());
        let parts =
            qtest::Parts { bus, clock, wires: wires.clone(), outside: Vec::new(), on_quit: on_quit.clone() };
        qtest::start(parts, port, &qtest.log)?;
    }
    let machine = Machine::new(Parts {
        vcpus: Vec::new(),
        power: power.clone(),
        clock: clock.clone(),
        bus,
        plugger: None,
        pci: None,
        smmu: monitor::smmu::View { smmu: None, pci: None, clock },
        book: None,
        power_key: IrqLine::new(wires, 0),
        characters: characters.described(),
        rings: characters.rings(),
        networks: networks.shown.clone(),
        disks: Arc::default(),
        listing: Listing::of(config),
        on_quit,
    });
    characters.begin(&machine)?;
    presence.ready()?;
    Ok(until_ended(config, &machine))
}

/// Nothing is reset, and those who listen are told of it all the same.
fn until_ended(config: &MachineConfig, machine: &Machine) -> u8 {
    loop {
        machine.power.start(None);
        match machine.power.wait_for_stop() {
            Stop::Reset if !config.no_reboot => machine.events.reset(Cause::GuestReset),
            Stop::Quit(status) => {
                machine.events.shut_down(if status > STATUS_SIGNALS { Cause::Signal } else { Cause::User });
                return status;
            }
            Stop::Off | Stop::Reset => {
                machine.events.shut_down(Cause::GuestShutdown);
                return 0;
            }
        }
    }
}
