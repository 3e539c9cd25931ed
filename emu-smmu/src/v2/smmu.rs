//! An SMMUv2 as a whole: registers, streams, and the core that translates.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{Bus, BusFault, MmioDevice, Requester};
use emu_core::clock::Clock;
use emu_core::dma::{DmaPort, Master, Ports};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Target};
use emu_core::table::TableBus;
use serde::{Deserialize, Serialize};

use super::commands::{Command, NO_CONTEXT, Translate};
use super::profile::Profile;
use super::registers::{CLIENTPD, Effect, Found, PTM, Reg, Registers, find};
use super::shown::Walk;
use super::streams::{Streams, Wires};
use crate::translation::{self, Core, Transaction};

/// What an SMMU is made of.
pub struct Config {
    /// A name for logs, maps and saved states.
    pub name: String,
    /// What it implements.
    pub profile: Profile,
    /// The memory and registers behind it.
    pub bus: Arc<Bus>,
    /// The machine's time.
    pub clock: Arc<Clock>,
    /// The interrupt of global faults.
    pub global: IrqLine,
    /// The interrupts of the context banks, in their order.
    pub contexts: Vec<IrqLine>,
    /// Where accesses are counted that no driver makes.
    pub counters: Arc<Counters>,
}

/// An SMMUv2. Its registers are in [`Profile::window`] bytes; masters that it translates for have their ports from it.
pub struct Smmuv2 {
    name: String,
    counters: Arc<Counters>,
    bus: Arc<Bus>,
    streams: Arc<Streams>,
    core: Arc<Core>,
}

impl Smmuv2 {
    /// An SMMU after reset.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        let Config { name, profile, bus, clock, global, contexts, counters } = config;
        let streams = Streams::new(profile, Wires { global, contexts });
        let limits = translation::Config { features: profile.features(), stall_max: profile.stall_max };
        let core = Core::new(streams.clone(), bus.clone(), clock, limits);
        streams.attach(&core);
        let smmu = Self { name, counters, bus, streams, core };
        smmu.reset();
        Arc::new(smmu)
    }

    /// What it implements.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        self.streams.profile()
    }

    /// What translates: it listens to TLB maintenance of CPUs; for monitors, counts and what is stalled.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Where a transaction would go, by registers and tables as they are now.
    #[must_use]
    pub fn walk(&self, transaction: &Transaction) -> Walk {
        let mut walk = self.streams.read(|r| Walk::new(r, transaction.stream, self.profile()));
        let memory = TableBus::new(self.bus.view());
        let features = self.profile().features();
        walk.way = walk.context().map(|context| context.way(transaction, &features, &memory));
        walk
    }

    /// The faults that software has not cleared, a line each: the global one first, then those of context banks.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.streams.read(Registers::faults)
    }

    fn anomaly(&self, what: &str, offset: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }

    /// Whether TLB maintenance of CPUs has anything to do here.
    fn listen(&self, cr0: u32) {
        self.core.take_part(self.profile().broadcast && cr0 & PTM == 0, cr0 & CLIENTPD == 0);
    }

    /// Goes into a state.
    fn enter(&self, registers: Registers) {
        self.listen(registers.cr0);
        self.streams.enter(registers);
    }

    /// Writes what an access reaches, and does what comes of it. False if the write is not allowed.
    fn write_register(&self, found: &Found, size: Size, value: u64) -> bool {
        let reg = match found.hit.target() {
            Target::Register(Reg::Command(command)) => return self.command(command, found, size, value),
            Target::Register(reg) => reg,
            Target::Ignored => return true,
            Target::ReadOnly => return false,
        };
        let profile = *self.profile();
        let write = |r: &mut Registers| {
            let old = r.read(reg, found.n, &profile).unwrap_or(0);
            r.write(reg, found.n, found.hit.merged(old, size, value), &profile)
        };
        let accepted = match reg.effect() {
            Effect::Configuration => self.streams.configure(write),
            Effect::None | Effect::GlobalFaults | Effect::Faults => self.streams.change(write),
        };
        match reg {
            Reg::Cr0 => {
                self.listen(self.streams.read(|r| r.cr0));
                self.streams.drive_global();
            }
            Reg::Gfsr | Reg::GfsrRestore => self.streams.drive_global(),
            Reg::Sctlr => self.streams.control_changed(found.n),
            Reg::Fsr | Reg::FsrRestore => self.streams.faults_changed(found.n),
            _ => {}
        }
        accepted
    }

    fn command(&self, command: Command, found: &Found, size: Size, value: u64) -> bool {
        let Some(operand) = self.streams.change(|r| r.operand(found, size, value)) else { return true };
        match (command, found.bank) {
            (Command::Invalidate(op), bank) => {
                let scope = self.streams.read(|r| match bank {
                    None => op.global(operand, r.cr0),
                    Some(n) => r.banks.get(n).and_then(|bank| op.of(bank, operand, r.cr0)),
                });
                if let Some(scope) = scope {
                    self.core.invalidate(&scope);
                }
            }
            (Command::Sync, _) => self.core.sync(),
            (Command::Resume, Some(n)) => self.streams.resume(n, operand & 1 != 0),
            (Command::Resume, None) => return false,
            (Command::Translate(op), bank) => self.translate(op, operand, bank),
        }
        true
    }

    /// An address translation operation is complete when its write is.
    fn translate(&self, op: Translate, operand: u64, bank: Option<usize>) {
        let (n, address) = op.target(operand, bank);
        let profile = *self.profile();
        let context = self.streams.read(|r| r.context_of(n as u8, &profile));
        let memory = TableBus::new(self.bus.view());
        let par = match context {
            Ok(context) => op.run(address, &context, &profile.features(), &memory),
            Err(_) => NO_CONTEXT,
        };
        self.streams.change(|r| match bank.and_then(|n| r.banks.get_mut(n)) {
            Some(bank) => bank.par = par,
            None => r.gpar = par,
        });
    }
}

impl Ports for Smmuv2 {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        self.core.port(master)
    }
}

impl MmioDevice for Smmuv2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(found) = find(self.profile(), offset, size) else {
            self.anomaly("read of no register", offset);
            return Ok(0);
        };
        let peek = |reg| self.streams.read(|r| r.read(reg, found.n, self.profile()).unwrap_or(0));
        Ok(found.hit.read(size, peek))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        match find(self.profile(), offset, size) {
            Some(found) if self.write_register(&found, size, value) => {}
            Some(_) => self.anomaly("write of what cannot be written now", offset),
            None => self.anomaly("write of no register", offset),
        }
        Ok(())
    }

    /// A write may wait for transactions, which must not wait for it.
    fn cpu_only(&self) -> bool {
        true
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        self.streams.read(|r| r.list(self.profile()))
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    registers: Registers,
}

impl SavedState for State {
    const KIND: &'static str = "smmuv2";
    const VERSION: u32 = 1;
}

/// Registers are the state: tables are in memory. A master whose transaction is stalled when its state is saved begins it anew
/// afterwards, so that FSR.SS is not restored.
impl Component for Smmuv2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&self) {
        self.enter(Registers::new(self.profile()));
    }

    fn save(&self) -> Payload {
        Payload::new(&self.name, &State { registers: self.streams.read(Registers::clone) })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { registers } = saved.state()?;
        if !registers.is_possible(self.profile()) {
            return Err(saved.unfit("its registers have bits that this SMMU does not have"));
        }
        Ok(Restore::new(move || self.enter(registers)))
    }
}

#[cfg(test)]
mod tests;
