//! An SMMUv3 as a whole: registers and queues, streams, and the core that translates.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{Bus, BusFault, MmioDevice, Requester};
use emu_core::clock::Clock;
use emu_core::dma::ats::TranslationCache;
use emu_core::dma::{DmaPort, Master, Ports};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::Listed;
use emu_mmu::TlbiScope;
use serde::{Deserialize, Serialize};

use super::commands::Configuration;
use super::control::{Control, Machinery, SendEvent};
use super::interface::{Interface, Reported};
use super::interrupts::Interrupts;
use super::profile::Profile;
use super::registers::{MAP, Registers};
use super::settings::Settings;
use super::streams::{Question, Streams};
use crate::translation::{self, Answer, Core};

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
    /// The wires of its interrupts, in the order of a devicetree: eventq, priq, cmdq-sync, gerror.
    pub wires: [IrqLine; 4],
    /// The way of its own messages: its DeviceID is that of the port.
    pub messages: Arc<dyn DmaPort>,
    /// How WFE is woken. Without it, IDR0.SEV is 0 whatever the profile says.
    pub send_event: Option<SendEvent>,
    /// Where accesses are counted that no driver makes.
    pub counters: Arc<Counters>,
}

/// An SMMUv3. Its registers are in two pages of 64 KiB; masters that it translates for have their ports from it.
pub struct Smmuv3 {
    name: String,
    counters: Arc<Counters>,
    interface: Arc<Interface>,
    control: Arc<Control>,
    translation: Arc<Translation>,
}

impl Smmuv3 {
    /// An SMMU after reset.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        let Config { name, mut profile, bus, clock, wires, messages, send_event, counters } = config;
        profile.sev &= send_event.is_some();
        let interrupts = Interrupts::new(wires, messages, profile.msi, profile.output_bits);
        let interface = Arc::new(Interface::new(profile, bus.clone(), clock.clone(), interrupts));
        let streams = Streams::new(bus.clone(), profile, interface.clone());
        let limits = translation::Config { features: profile.features(), stall_max: profile.stall_max };
        let core = Core::new(streams.clone(), bus, clock, limits);
        streams.attach(&core);
        let translation = Arc::new(Translation::new(streams, core, profile.broadcast));
        let send_event = send_event.filter(|_| profile.sev);
        let control = Control::new(interface.clone(), translation.clone(), send_event);
        let smmu = Self { name, counters, interface, control, translation };
        smmu.reset();
        Arc::new(smmu)
    }

    /// What it implements.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        self.interface.profile()
    }

    /// What is known of streams, for monitors.
    #[must_use]
    pub fn streams(&self) -> &Arc<Streams> {
        &self.translation.streams
    }

    /// What translates: it listens to TLB maintenance of CPUs; for monitors, counts and what is stalled.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.translation.core
    }

    /// The last events, the newest first: for monitors.
    #[must_use]
    pub fn history(&self) -> Vec<Reported> {
        self.interface.history()
    }

    fn anomaly(&self, what: &str, offset: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }
}

/// The stream side and the core, as commands and registers act upon them.
struct Translation {
    streams: Arc<Streams>,
    core: Arc<Core>,
    /// IDR0.BTM.
    broadcast: bool,
}

impl Translation {
    fn new(streams: Arc<Streams>, core: Arc<Core>, broadcast: bool) -> Self {
        Self { streams, core, broadcast }
    }
}

impl Machinery for Translation {
    fn configure(&self, settings: &Settings) {
        self.core.ignore_vmid_bits(settings.vmid_wildcard);
        self.core.take_part(self.broadcast && !settings.private_tlb, settings.enabled);
        self.streams.set(*settings);
        self.core.forget_contexts();
    }

    fn forget(&self, what: Configuration) {
        match what {
            Configuration::All => self.streams.invalidate_all(),
            Configuration::Stream(stream) | Configuration::Contexts(stream) => {
                self.streams.invalidate_ste(stream);
            }
            Configuration::Streams { stream, bits } => self.streams.invalidate_ste_range(stream, bits),
            Configuration::Context { stream, substream } => self.streams.invalidate_cd(stream, substream),
        }
        self.core.forget_contexts();
    }

    fn invalidate(&self, scope: &TlbiScope) {
        self.core.invalidate(scope);
    }

    fn sync(&self) {
        self.core.sync();
    }

    fn caches(&self, stream: u32) -> Vec<Arc<dyn TranslationCache>> {
        self.core.caches(stream)
    }

    fn look_up(&self, question: &Question) -> u64 {
        self.streams.look_up(question)
    }

    fn resume(&self, stream: u32, stag: u16, answer: Answer) {
        // A STAG that names nothing has no effect (4.7.1).
        let _ = self.core.resume(stream, stag, answer);
    }

    fn terminate(&self, stream: Option<u32>) {
        self.core.terminate_stalls(stream);
    }

    fn reset(&self) {
        self.streams.invalidate_all();
        self.core.reset();
    }
}

impl Ports for Smmuv3 {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        self.translation.core.port(master)
    }
}

impl MmioDevice for Smmuv3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = MAP.find(offset, size) else {
            self.anomaly("read of no register", offset);
            return Ok(0);
        };
        Ok(self.interface.read(&hit, size))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        match MAP.find(offset, size) {
            Some(hit) if self.control.write(&hit, size, value) => {}
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
        let registers = self.interface.registers();
        MAP.list(0, |reg, index| Some(registers.read(reg, index, self.profile())))
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    registers: Registers,
}

impl SavedState for State {
    const KIND: &'static str = "smmuv3";
    const VERSION: u32 = 1;
}

/// Registers are the state: tables and queues are in memory, and what is cached may be fetched again. A master whose transaction
/// is stalled when its state is saved begins it anew afterwards, and a function that has not completed an invalidation comes back
/// with nothing to be forgotten: a queue that stood for it goes on.
impl Component for Smmuv3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&self) {
        self.control.enter(Registers::new(self.profile()));
    }

    fn resume(&self) {
        self.control.run();
    }

    fn save(&self) -> Payload {
        Payload::new(&self.name, &State { registers: self.interface.registers() })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { registers } = saved.state()?;
        if !registers.is_possible(self.profile()) {
            return Err(saved.unfit("its registers have bits that this SMMU does not have"));
        }
        Ok(Restore::new(move || self.control.enter(registers)))
    }
}

#[cfg(test)]
mod tests;
