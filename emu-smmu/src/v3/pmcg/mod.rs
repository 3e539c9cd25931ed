//! A performance monitor counter group (PMCG, Arm IHI 0070, chapter 10): counters of what an SMMU does for its streams.
//!
//! It is told of what happens while a counter wants it, and is not there for the SMMU otherwise: see
//! [`crate::translation::Monitor`]. Of what the specification leaves open (10.3):
//! - event 0 is a nanosecond of the machine's time;
//! - a transaction is what a master accesses in one page of 4 KiB; those that are terminated count, and so do those that are not
//!   translated as the SMMU is not enabled; one that is tried again counts again;
//! - an overflow that software sets (OVSSET0) neither interrupts nor captures.
//!
//! # Invariants
//! - Interrupts are raised after what they tell of can be seen, and not under the lock (10.2.1).
//! - The timer is never too late: it is set again until it is set for the state that there is.

mod counters;
mod registers;

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::clock::{Clock, Timer};
use emu_core::dma::DmaPort;
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters as Metrics, Metric};
use emu_core::registers::{Hit, Listed, Map, Target};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use self::counters::{Counters, events};
use self::registers::{FILTER_SID_SPAN, FULL, MMU600, Reg};
use super::Smmuv3;
use super::interrupts::Msi;
use crate::translation::{Core, Happening, Monitor};

pub use self::registers::{PAGE_1, WINDOW};

/// What a counter group has. All can capture their counters (CFGR.CAPTURE), and have two pages of registers (CFGR.RELOC_CTRS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// CFGR.NCTR: how many counters.
    counters: u8,
    /// CFGR.SIZE: their bits.
    bits: u8,
    /// CFGR.SID_FILTER_TYPE: all counters have the filter of the first one.
    one_filter: bool,
    /// Bits of a StreamID.
    stream_bits: u8,
}

impl Group {
    /// Everything that is implemented.
    pub const FULL: Self = Self { counters: 8, bits: 64, one_filter: false, stream_bits: 32 };
    /// That of Arm's MMU-600.
    pub const MMU600: Self = Self { counters: 4, bits: 32, one_filter: true, stream_bits: 32 };

    /// With StreamIDs of another size.
    #[must_use]
    pub const fn with_streams(self, bits: u8) -> Self {
        Self { stream_bits: bits, ..self }
    }

    /// The bits of a counter.
    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits as u32)
    }

    /// The bits of a StreamID.
    const fn all_streams(self) -> u32 {
        match u32::MAX.checked_shr(32 - self.stream_bits as u32) {
            Some(all) => all,
            None => 0,
        }
    }

    fn map(self) -> &'static Map<Reg> {
        if self.one_filter { &MMU600 } else { &FULL }
    }
}

/// What registers hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Registers {
    counters: Counters,
    /// INTENSET0.
    interrupting: u64,
    /// IRQ_CTRL.IRQEN.
    interrupts: bool,
    /// IRQ_STATUS.IRQ_ABT.
    aborted: bool,
    message: Msi,
}

impl Registers {
    /// After reset. What is UNKNOWN is zero.
    fn new(group: Group) -> Self {
        Self {
            counters: Counters::new(group),
            interrupting: 0,
            interrupts: false,
            aborted: false,
            message: Msi::default(),
        }
    }

    /// What is to be sent for counters that have overflowed, if anything is.
    fn notice(&self, overflowed: u64) -> Option<Msi> {
        (self.interrupts && overflowed & self.interrupting != 0).then_some(self.message)
    }
}

/// Registers, and how often something changed that the timer goes by.
struct State {
    registers: Registers,
    generation: u64,
}

/// What a counter group is made of.
pub struct Config {
    /// A name for logs, maps and saved states.
    pub name: String,
    /// The machine's time.
    pub clock: Arc<Clock>,
    /// Its interrupt.
    pub wire: IrqLine,
    /// The way of its messages: its DeviceID is that of the port.
    pub messages: Arc<dyn DmaPort>,
    /// Where accesses are counted that no driver makes.
    pub counters: Arc<Metrics>,
}

/// What never changes of a group, and what its identification registers say.
#[derive(Clone, Copy)]
struct Identity {
    group: Group,
    msi: bool,
    ats: bool,
    version: u8,
    iidr: u32,
    output_bits: u8,
}

impl Identity {
    /// SMMU_PMCG_CFGR (10.5.2.13).
    fn cfgr(&self) -> u32 {
        const CAPTURE: u32 = 1 << 22;
        const RELOC_CTRS: u32 = 1 << 20;
        let Group { counters, bits, one_filter, .. } = self.group;
        u32::from(counters - 1)
            | u32::from(bits - 1) << 8
            | RELOC_CTRS
            | u32::from(self.msi) << 21
            | CAPTURE
            | u32::from(one_filter) << 23
    }

    /// The bits of a register that are there.
    fn present(&self, reg: Reg, index: u32) -> u64 {
        match reg {
            Reg::Smr => self.group.all_streams().into(),
            Reg::Evtyper if self.group.one_filter && index != 0 => !u64::from(FILTER_SID_SPAN),
            Reg::IrqCfg0 | Reg::IrqCfg1 | Reg::IrqCfg2 if !self.msi => 0,
            Reg::IrqCfg0 => u64::MAX >> (64 - u32::from(self.output_bits)),
            _ => u64::MAX,
        }
    }
}

/// A counter group. Its registers are in two pages: one at its start, the other at [`PAGE_1`].
pub struct Pmcg {
    name: String,
    identity: Identity,
    core: Arc<Core>,
    clock: Arc<Clock>,
    timer: Timer,
    wire: IrqLine,
    messages: Arc<dyn DmaPort>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    /// Held while software changes what is counted, until the SMMU knows.
    configuring: Mutex<()>,
    /// Held, shared, while an interrupt is raised.
    raising: RwLock<()>,
}

impl Pmcg {
    /// The counter group beside an SMMU, after reset, if it has one.
    #[must_use]
    pub fn beside(smmu: &Smmuv3, config: Config) -> Option<Arc<Self>> {
        let profile = *smmu.profile();
        let group = profile.pmcg?.with_streams(profile.stream_bits);
        let Config { name, clock, wire, messages, counters: metrics } = config;
        let identity = Identity {
            group,
            msi: profile.msi,
            ats: profile.ats,
            version: profile.version,
            iidr: profile.iidr,
            output_bits: profile.output_bits,
        };
        let state = State { registers: Registers::new(group), generation: 0 };
        let pmcg = Arc::new_cyclic(|this: &Weak<Self>| {
            let alarmed = this.clone();
            let timer = Timer::new(&clock, move || {
                if let Some(pmcg) = alarmed.upgrade() {
                    pmcg.pass();
                }
            });
            Self {
                name,
                identity,
                core: smmu.core().clone(),
                clock,
                timer,
                wire,
                messages,
                metrics,
                state: Mutex::new(state),
                configuring: Mutex::default(),
                raising: RwLock::default(),
            }
        });
        let monitor: Weak<dyn Monitor> = Arc::<Self>::downgrade(&pmcg);
        smmu.core().attach_monitor(monitor);
        Some(pmcg)
    }

    fn group(&self) -> Group {
        self.identity.group
    }

    /// Does something with registers that are up to date, and interrupts if a counter of nanoseconds has overflowed by then.
    fn up_to_date<T>(&self, then: impl FnOnce(&mut Registers) -> T) -> T {
        let now = self.clock.now_ns();
        let (done, notice) = {
            let registers = &mut self.state.lock().registers;
            let overflowed = registers.counters.pass(self.group(), now);
            let notice = registers.notice(overflowed);
            (then(registers), notice)
        };
        self.raise(notice);
        done
    }

    /// Time has passed.
    fn pass(&self) {
        self.up_to_date(|_| ());
        self.arm();
    }

    /// Sets the timer for the next overflow.
    fn arm(&self) {
        loop {
            let (next, generation) = {
                let state = self.state.lock();
                (state.registers.counters.next_overflow(self.group()), state.generation)
            };
            match next {
                Some(at) => self.timer.set(at),
                None => self.timer.clear(),
            }
            if self.state.lock().generation == generation {
                return;
            }
        }
    }

    /// What is counted is another thing now than what the SMMU knows of.
    fn reconfigured(&self, before: u32) {
        let wanted = {
            let mut state = self.state.lock();
            state.generation += 1;
            state.registers.counters.wanted()
        };
        if before | wanted != 0 {
            self.core.want(wanted);
        }
        self.arm();
    }

    /// Interrupts, by wire and by message. A message that is aborted shows in IRQ_STATUS.
    fn raise(&self, notice: Option<Msi>) {
        let Some(message) = notice else { return };
        let sent = {
            let _raising = self.raising.read_recursive();
            self.wire.pulse();
            if self.identity.msi { message.send(&*self.messages, self.identity.output_bits) } else { Ok(()) }
        };
        if sent.is_err() {
            self.state.lock().registers.aborted = true;
        }
    }

    fn value(&self, registers: &Registers, reg: Reg, index: u32) -> u64 {
        let Registers { counters, interrupting, interrupts, aborted, message } = registers;
        let counter = counters.all.get(index as usize).copied().unwrap_or_default();
        match reg {
            Reg::Evcntr => counter.value,
            Reg::Evtyper => counter.kind.into(),
            Reg::Svr => counter.shadow,
            Reg::Smr => counter.streams.into(),
            Reg::CntenSet | Reg::CntenClr => counters.enabled,
            Reg::IntenSet | Reg::IntenClr => *interrupting,
            Reg::OvsSet | Reg::OvsClr => counters.overflowed,
            Reg::Capr => 0,
            Reg::Cfgr => self.identity.cfgr().into(),
            Reg::Cr => counters.counting.into(),
            Reg::Iidr => self.identity.iidr.into(),
            Reg::Ceid => match index {
                0 => events(self.identity.ats),
                _ => 0,
            },
            Reg::IrqCtrl | Reg::IrqCtrlAck => (*interrupts).into(),
            Reg::IrqCfg0 => message.address,
            Reg::IrqCfg1 => message.data.into(),
            Reg::IrqCfg2 => message.attributes.into(),
            Reg::IrqStatus => (*aborted).into(),
            Reg::Aidr => self.identity.version.into(),
        }
    }

    /// Writes a register: its full new value, or the ones that were written where those set or clear. False if that is not allowed.
    fn set(&self, registers: &mut Registers, reg: Reg, index: u32, value: u64) -> bool {
        let Registers { counters, interrupting, interrupts, aborted, message } = registers;
        let value = value & self.identity.present(reg, index);
        match reg {
            Reg::Evcntr | Reg::Evtyper | Reg::Smr => {
                let Some(counter) = counters.all.get_mut(index as usize) else { return false };
                match reg {
                    Reg::Evcntr => counter.value = value,
                    Reg::Evtyper => counter.kind = value as u32,
                    _ => counter.streams = value as u32,
                }
            }
            Reg::CntenSet => counters.enabled |= value,
            Reg::CntenClr => counters.enabled &= !value,
            Reg::IntenSet => *interrupting |= value,
            Reg::IntenClr => *interrupting &= !value,
            Reg::OvsSet => counters.overflowed |= value,
            Reg::OvsClr => counters.overflowed &= !value,
            Reg::Capr if value & 1 != 0 => counters.capture(),
            Reg::Capr => {}
            Reg::Cr => counters.counting = value & 1 != 0,
            Reg::IrqCtrl => {
                let enabled = value & 1 != 0;
                *aborted &= *interrupts || !enabled;
                *interrupts = enabled;
            }
            // Guarded by IRQEN.
            Reg::IrqCfg0 | Reg::IrqCfg1 | Reg::IrqCfg2 if *interrupts => return false,
            Reg::IrqCfg0 => message.address = value,
            Reg::IrqCfg1 => message.data = value as u32,
            Reg::IrqCfg2 => message.attributes = value as u32,
            // Read-only.
            Reg::Svr | Reg::Cfgr | Reg::Iidr | Reg::Ceid => return false,
            Reg::IrqCtrlAck | Reg::IrqStatus | Reg::Aidr => return false,
        }
        true
    }

    fn write_register(&self, hit: &Hit<Reg>, reg: Reg, size: Size, value: u64) -> bool {
        let _configuring = self.configuring.lock();
        let (accepted, wanted) = self.up_to_date(|registers| {
            let wanted = registers.counters.wanted();
            let value = match reg {
                Reg::CntenSet
                | Reg::CntenClr
                | Reg::IntenSet
                | Reg::IntenClr
                | Reg::OvsSet
                | Reg::OvsClr
                | Reg::Capr => hit.written(size, value),
                _ => hit.merged(self.value(registers, reg, hit.index), size, value),
            };
            (self.set(registers, reg, hit.index, value), wanted)
        });
        match reg {
            Reg::Evtyper | Reg::Smr | Reg::CntenSet | Reg::CntenClr | Reg::Cr | Reg::Evcntr => {
                self.reconfigured(wanted);
            }
            // All that were under way are visible when IRQEN is clear (10.5.2.19).
            Reg::IrqCtrl => drop(self.raising.write()),
            _ => {}
        }
        accepted
    }

    /// Goes into a state.
    fn enter(&self, registers: Registers) {
        let _configuring = self.configuring.lock();
        let before = {
            let state = &mut *self.state.lock();
            std::mem::replace(&mut state.registers, registers).counters.wanted()
        };
        self.reconfigured(before);
    }

    /// False of registers that were not saved by a group like this one.
    fn is_possible(&self, registers: &Registers) -> bool {
        let group = self.group();
        let value = |reg, index| self.value(registers, reg, index);
        let rows = group.map().rows.iter();
        let mut values = rows.filter_map(|row| match row.content {
            emu_core::registers::Content::Register(reg) => Some((reg, row.count)),
            _ => None,
        });
        registers.counters.all.len() == usize::from(group.counters)
            && group.map().holds(|reg, index| Some(value(reg, index)))
            && values.all(|(reg, n)| (0..n).all(|i| value(reg, i) & !self.identity.present(reg, i) == 0))
    }

    fn anomaly(&self, what: &str, offset: u64) {
        self.metrics.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }
}

impl Monitor for Pmcg {
    fn happened(&self, stream: u32, what: Happening, times: u64) -> bool {
        let (counted, notice) = self.up_to_date(|registers| {
            let [counted, overflowed] = registers.counters.happened(self.group(), stream, what, times);
            (counted, registers.notice(overflowed))
        });
        self.raise(notice);
        counted != 0
    }
}

impl MmioDevice for Pmcg {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = self.group().map().find(offset, size) else {
            self.anomaly("read of no register", offset);
            return Ok(0);
        };
        Ok(self.up_to_date(|registers| hit.read(size, |reg| self.value(registers, reg, hit.index))))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let hit = self.group().map().find(offset, size);
        let accepted = match hit.as_ref().map(|hit| (hit, hit.target())) {
            Some((hit, Target::Register(reg))) => self.write_register(hit, reg, size, value),
            Some((_, Target::Ignored)) => true,
            Some((_, Target::ReadOnly)) | None => false,
        };
        if !accepted {
            self.anomaly("write of what cannot be written now", offset);
        }
        Ok(())
    }

    /// A write may wait for an interrupt that is being raised.
    fn cpu_only(&self) -> bool {
        true
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let mut registers = self.state.lock().registers.clone();
        registers.counters.pass(self.group(), self.clock.now_ns());
        self.group().map().list(0, |reg, index| Some(self.value(&registers, reg, index)))
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    registers: Registers,
}

impl SavedState for Saved {
    const KIND: &'static str = "smmuv3-pmcg";
    const VERSION: u32 = 1;
}

/// Time that passes while a group is saved is not counted: its clock is the machine's.
impl Component for Pmcg {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&self) {
        self.enter(Registers::new(self.group()));
    }

    fn save(&self) -> Payload {
        Payload::new(&self.name, &Saved { registers: self.state.lock().registers.clone() })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Saved { registers } = saved.state()?;
        if !self.is_possible(&registers) {
            return Err(saved.unfit("its registers have bits that this counter group does not have"));
        }
        Ok(Restore::new(move || self.enter(registers)))
    }
}
