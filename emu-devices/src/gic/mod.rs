//! The GICv3 (Arm IHI 0069): distributor, redistributors and ITS.
//!
//! One Security state (GICD_CTLR.DS reads as one, no EL3), affinity routing always on (GICD_CTLR.ARE reads as one),
//! 8 bits of priority, 16 bits of INTID, physical LPIs. The CPU interfaces are in `emu-pe`; each talks to its PE's
//! [`GicPort`].
//!
//! # Invariants
//! - Three sources offer interrupts to a PE: its SGIs and PPIs, the SPIs, its LPIs. Each has its own lock and
//!   publishes its best candidate in an atomic while it holds the lock; the PE's best is the least of the three. So
//!   asking for it takes no lock.
//! - Every change goes through [`Gicv3::with_private`], [`Gicv3::with_spis`] or [`Gicv3::with_lpis`], which publish
//!   and kick. The kick comes after the lock is released, and only if the PE's best changed.
//! - Locks are taken in the order: ITS, then one source. Never two sources at once.

pub(crate) mod bank;
mod distributor;
mod its;
mod lpi;
mod port;
mod redistributor;
pub(crate) mod regs;
mod spi;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use emu_core::bus::{Bus, BusView, MmioDevice};
use emu_core::irq::{GicPort, Group, IrqSink, Kick, Pending};
use emu_core::metrics::{Counters, Metric};
use emu_core::table::TableBus;
use parking_lot::{Mutex, RwLock};
use thiserror::Error;

use bank::{Bank, Groups};
use its::Its;
use lpi::Lpis;
use spi::Spis;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] =
    &[&regs::DISTRIBUTOR, &regs::REDISTRIBUTOR, &regs::SGI_FRAME, &its::MAP];

/// Most PEs that one GIC serves.
pub const MAX_CPUS: usize = 512;
/// Most SPIs: INTIDs 32 to 991, in words of 32.
pub const MAX_SPIS: u32 = 960;
/// Bytes of the distributor's region.
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Bytes of a frame.
const FRAME: u64 = 0x1_0000;
/// Bytes of the redistributor region per PE: the RD frame and the SGI frame.
pub const REDISTRIBUTOR_STRIDE: u64 = 0x2_0000;
/// Bytes of the ITS region: the control frame and the translation frame.
pub const ITS_SIZE: u64 = 0x2_0000;

/// The tables of LPIs and of the ITS.
type GicTables = TableBus<Arc<BusView>>;

/// What a GIC is made from.
pub struct GicConfig<'a> {
    /// The affinity of each PE, as in its MPIDR_EL1 (other bits are ignored).
    pub cpus: &'a [u64],
    /// Number of SPIs: a multiple of 32, at most [`MAX_SPIS`].
    pub spis: u32,
    /// With LPIs and an ITS.
    pub its: bool,
    /// Where the LPI and ITS tables are: guest RAM on this bus.
    pub bus: Arc<Bus>,
    /// What it counts on.
    pub counters: Arc<Counters>,
}

/// A GIC that cannot be built.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GicError {
    /// Too few or too many PEs.
    #[error("a GICv3 serves 1 to {MAX_CPUS} CPUs, not {0}")]
    Cpus(usize),
    /// Two PEs with the same affinity.
    #[error("two CPUs have the affinity {0:#x}")]
    Affinity(u64),
    /// A number of SPIs that is not possible.
    #[error("a GICv3 has SPIs in multiples of 32, at most {MAX_SPIS}, not {0}")]
    Spis(u32),
}

/// The affinity of MPIDR_EL1 or GICD_IROUTER packed as in GICR_TYPER\[63:32\]: Aff3.Aff2.Aff1.Aff0.
fn pack_affinity(mpidr: u64) -> u32 {
    (mpidr >> 32 << 24) as u32 | (mpidr as u32 & 0x00ff_ffff)
}

/// A candidate as one number that orders as the architecture does: by priority, then by INTID (IHI 0069, 4.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Best(u64);

impl Best {
    const NONE: Self = Self(u64::MAX);

    fn of(p: Option<Pending>) -> Self {
        p.map_or(Self::NONE, |p| {
            Self(u64::from(p.priority) << 33 | u64::from(p.intid) << 1 | u64::from(p.group == Group::G1))
        })
    }

    fn get(self) -> Option<Pending> {
        (self != Self::NONE).then_some(Pending {
            intid: (self.0 >> 1) as u32,
            priority: (self.0 >> 33) as u8,
            group: if self.0 & 1 == 0 { Group::G0 } else { Group::G1 },
        })
    }
}

/// Where a candidate comes from.
#[derive(Clone, Copy)]
enum Source {
    Private = 0,
    Spi = 1,
    Lpi = 2,
}

/// Bits of [`Pe::flags`].
mod flag {
    /// ICC_IGRPEN0_EL1.Enable.
    pub(super) const G0: u32 = 1 << 0;
    /// ICC_IGRPEN1_EL1.Enable.
    pub(super) const G1: u32 = 1 << 1;
    /// GICR_WAKER.ProcessorSleep.
    pub(super) const ASLEEP: u32 = 1 << 2;
    /// GICR_CTLR.DPG0: not chosen for Group 0 1-of-N interrupts.
    pub(super) const DPG0: u32 = 1 << 3;
    /// GICR_CTLR.DPG1NS: the same for Group 1.
    pub(super) const DPG1: u32 = 1 << 4;
    /// All of them.
    pub(super) const ALL: u32 = G0 | G1 | ASLEEP | DPG0 | DPG1;
}

/// One PE's redistributor.
struct Pe {
    affinity: u32,
    /// SGIs and PPIs.
    private: Mutex<Bank>,
    lpis: Mutex<Lpis>,
    flags: AtomicU32,
    best: [AtomicU64; 3],
    kick: RwLock<Option<Arc<dyn Kick>>>,
}

impl Pe {
    fn new(affinity: u32) -> Self {
        Self {
            affinity,
            private: Mutex::new(Bank::new(0, 32, 0xffff)),
            lpis: Mutex::default(),
            flags: AtomicU32::new(0),
            best: std::array::from_fn(|_| AtomicU64::new(Best::NONE.0)),
            kick: RwLock::new(None),
        }
    }

    /// The best of the three sources.
    fn best(&self) -> Best {
        Best(self.best.iter().map(|b| b.load(SeqCst)).min().unwrap_or(u64::MAX))
    }

    /// Publishes what `source` offers; its lock is held. True if the PE's best changed by that.
    ///
    /// Sequential consistency makes one of two sources that publish at the same time see the other, so a change of
    /// the least of them is noticed by at least one.
    fn publish(&self, source: Source, best: Best) -> bool {
        let slot = &self.best[source as usize];
        if slot.load(SeqCst) == best.0 {
            return false;
        }
        let old = slot.swap(best.0, SeqCst);
        let others = (0..3).filter(|&i| i != source as usize).map(|i| self.best[i].load(SeqCst));
        let other = others.min().unwrap_or(u64::MAX);
        old.min(other) != best.0.min(other)
    }

    fn kick(&self) {
        let kick = self.kick.read().clone();
        if let Some(k) = kick {
            k.kick();
        }
    }
}

/// A set of PEs.
#[derive(Default)]
struct PeSet([u64; MAX_CPUS / 64]);

impl PeSet {
    fn insert(&mut self, pe: usize) {
        self.0[pe / 64] |= 1 << (pe % 64);
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |w: u64| (0..64).filter(move |b| w >> b & 1 != 0);
        self.0
            .iter()
            .enumerate()
            .filter(|(_, w)| **w != 0)
            .flat_map(move |(i, &w)| bits(w).map(move |b| i * 64 + b))
    }
}

/// The interrupt controller. Its parts are handed out as bus devices, ports and wires.
pub struct Gicv3 {
    pes: Vec<Pe>,
    by_affinity: HashMap<u32, usize>,
    spi_count: u32,
    /// GICD_CTLR.EnableGrp0 and EnableGrp1, bits 0 and 1.
    ctlr: AtomicU32,
    spis: Mutex<Spis>,
    its: Option<Mutex<Its>>,
    /// Where its tables are.
    bus: Arc<Bus>,
    counters: Arc<Counters>,
}

impl Gicv3 {
    /// A GIC in its state after power-on.
    pub fn new(config: GicConfig<'_>) -> Result<Arc<Self>, GicError> {
        if config.cpus.is_empty() || config.cpus.len() > MAX_CPUS {
            return Err(GicError::Cpus(config.cpus.len()));
        }
        if !config.spis.is_multiple_of(32) || config.spis > MAX_SPIS {
            return Err(GicError::Spis(config.spis));
        }
        let mut by_affinity = HashMap::new();
        for (i, &mpidr) in config.cpus.iter().enumerate() {
            if by_affinity.insert(pack_affinity(mpidr), i).is_some() {
                return Err(GicError::Affinity(mpidr));
            }
        }
        let gic = Self {
            pes: config.cpus.iter().map(|&m| Pe::new(pack_affinity(m))).collect(),
            spis: Mutex::new(Spis::new(config.spis, &by_affinity)),
            by_affinity,
            spi_count: config.spis,
            ctlr: AtomicU32::new(0),
            its: config.its.then(Mutex::default),
            bus: config.bus,
            counters: config.counters,
        };
        gic.reset_state();
        Ok(Arc::new(gic))
    }

    /// The tables in memory.
    fn tables(&self) -> GicTables {
        TableBus::new(self.bus.view())
    }

    /// Number of PEs.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.pes.len()
    }

    /// Number of SPIs.
    #[must_use]
    pub fn spis(&self) -> u32 {
        self.spi_count
    }

    /// Gives the GIC the vCPU to kick when the best pending interrupt of `cpu` changes.
    pub fn set_kick(&self, cpu: usize, kick: Arc<dyn Kick>) {
        if let Some(pe) = self.pes.get(cpu) {
            *pe.kick.write() = Some(kick);
        }
    }

    /// The port of one PE. None if there is no such PE.
    #[must_use]
    pub fn port(self: &Arc<Self>, cpu: usize) -> Option<Arc<dyn GicPort>> {
        (cpu < self.pes.len()).then(|| Arc::new(port::Port::new(self.clone(), cpu)) as Arc<dyn GicPort>)
    }

    /// The SPI wires: line n is INTID 32 + n.
    #[must_use]
    pub fn spi_sink(self: &Arc<Self>) -> Arc<dyn IrqSink> {
        Arc::new(port::SpiWires::new(self.clone()))
    }

    /// The distributor's frame, [`DISTRIBUTOR_SIZE`] bytes.
    #[must_use]
    pub fn distributor(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(distributor::Frame::new(self.clone()))
    }

    /// The redistributors of the PEs `first .. first + count`, contiguous: [`REDISTRIBUTOR_STRIDE`] bytes each. The
    /// last one of a region has GICR_TYPER.Last set. None if there are no such PEs.
    #[must_use]
    pub fn redistributors(self: &Arc<Self>, first: usize, count: usize) -> Option<Arc<dyn MmioDevice>> {
        let end = first.checked_add(count)?;
        let ok = count != 0 && end <= self.pes.len();
        ok.then(|| Arc::new(redistributor::Frames::new(self.clone(), first, end)) as Arc<dyn MmioDevice>)
    }

    /// The ITS region, [`ITS_SIZE`] bytes: control frame, then translation frame. None without an ITS.
    #[must_use]
    pub fn its(self: &Arc<Self>) -> Option<Arc<dyn MmioDevice>> {
        self.its.is_some().then(|| Arc::new(its::Frames::new(self.clone())) as Arc<dyn MmioDevice>)
    }

    /// The groups that are forwarded to a PE: enabled in the distributor and in the PE's CPU interface, and the PE
    /// awake. Folding in the CPU interface keeps a disabled group from hiding the other one (IHI 0069, 4.8).
    fn groups(&self, pe: &Pe) -> Groups {
        let flags = pe.flags.load(SeqCst);
        let on = if flags & flag::ASLEEP == 0 { flags & self.ctlr.load(SeqCst) } else { 0 };
        Groups { g0: on & flag::G0 != 0, g1: on & flag::G1 != 0 }
    }

    /// Whether a PE may be chosen for a 1-of-N SPI of `group` (IHI 0069, 3.4.2).
    fn takes_one_of_n(&self, pe: &Pe, group: Group) -> bool {
        let dpg = match group {
            Group::G0 => flag::DPG0,
            Group::G1 => flag::DPG1,
        };
        self.groups(pe).has(group) && pe.flags.load(SeqCst) & dpg == 0
    }

    /// Changes SGIs and PPIs of a PE.
    fn with_private<R>(&self, n: usize, f: impl FnOnce(&mut Bank) -> R) -> R {
        let pe = &self.pes[n];
        let (result, changed) = {
            let mut bank = pe.private.lock();
            let result = f(&mut bank);
            let mut best = Best::NONE;
            bank.for_each_ready(self.groups(pe), |p| best = best.min(Best::of(Some(p))));
            (result, pe.publish(Source::Private, best))
        };
        if changed {
            pe.kick();
        }
        result
    }

    /// Changes LPIs of a PE.
    fn with_lpis<R>(&self, n: usize, f: impl FnOnce(&mut Lpis) -> R) -> R {
        let (result, changed) = self.change_lpis(n, f);
        if changed {
            self.pes[n].kick();
        }
        result
    }

    /// The same, but leaves the kick to the caller, who may hold the lock of the ITS: true if it is due.
    fn change_lpis<R>(&self, n: usize, f: impl FnOnce(&mut Lpis) -> R) -> (R, bool) {
        let pe = &self.pes[n];
        let mut lpis = pe.lpis.lock();
        let result = f(&mut lpis);
        let best = lpis.best().filter(|p| self.groups(pe).has(p.group));
        (result, pe.publish(Source::Lpi, Best::of(best)))
    }

    /// Changes SPIs.
    fn with_spis<R>(&self, f: impl FnOnce(&mut Spis) -> R) -> R {
        let mut changed = PeSet::default();
        let result = {
            let mut spis = self.spis.lock();
            let result = f(&mut spis);
            spis.select(self);
            for (n, pe) in self.pes.iter().enumerate() {
                if pe.publish(Source::Spi, spis.best(n)) {
                    changed.insert(n);
                }
            }
            result
        };
        self.kick_all(&changed);
        result
    }

    fn kick_all(&self, pes: &PeSet) {
        for n in pes.iter() {
            self.pes[n].kick();
        }
    }

    /// Selects again for one PE, after what is forwarded to it changed. The choice for 1-of-N SPIs may move.
    fn reselect(&self, n: usize) {
        self.with_private(n, |_| ());
        self.with_lpis(n, |_| ());
        self.with_spis(|_| ());
    }

    /// Sets and clears bits of a PE's flags, and selects again if that changes them.
    fn change_flags(&self, n: usize, mask: u32, value: u32) {
        let flags = &self.pes[n].flags;
        let set = flags.fetch_or(mask & value, SeqCst);
        let cleared = flags.fetch_and(!(mask & !value), SeqCst);
        let before = set;
        let after = cleared & !(mask & !value);
        if before != after {
            self.reselect(n);
        }
    }

    /// Counts what no sane guest does.
    fn anomaly(&self, what: &str, detail: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "GIC: {what} ({detail:#x})");
    }
}
