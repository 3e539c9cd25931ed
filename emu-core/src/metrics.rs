//! What the machine counts, always.
//!
//! One row per counter in [`Metric`]; a [`Counters`] is a set of them. Each vCPU has its own set and is its only
//! writer ([`Counters::bump`] is a plain load and store); devices share one and use [`Counters::add`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! metrics {
    ($($(#[$doc:meta])* $id:ident = $name:literal,)*) => {
        /// A thing that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Metric { $(#[doc = $name] $id,)* }

        impl Metric {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
            /// What it is, for people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }
    };
}

metrics! {
    Instructions = "instructions executed",
    Blocks = "blocks entered",
    Translated = "blocks translated",
    Renewed = "blocks translated again after a write to their page",
    Compiled = "blocks compiled to host code",
    HostCodeBytes = "bytes of host code made",
    HostCodeDrops = "times that all host code of a CPU was dropped",
    HostEntries = "entries of host code",
    ExitsUnlinked = "exits from host code to a block not linked yet",
    ExitsIndirect = "exits from host code by an indirect branch not known yet",
    ExitsEnd = "exits from host code by an exception or a change of context",
    ExitsEvent = "exits from host code for a pending request or changed code",
    ExitsFault = "exits from host code by a fault",
    ExitsHot = "exits from host code to see what a loop does",
    Interpreted = "operations that host code left to the interpreter",
    InterpretedCold = "because their block has run too few times to be compiled",
    InterpretedRounds = "to see which blocks a loop has",
    InterpretedRefused = "because their block could not be compiled",
    InterpretedWatched = "because there are breakpoints",
    InterpretedSingly = "for a software step or a step of the debugger",
    InterpretedOnce = "because a check cannot do them twice",
    InterpretedAlways = "because there is never host code",
    Exact = "operations that host code left to an exact function",
    TlbFills = "TLB fills",
    Walks = "translation table walks",
    TlbInvalidations = "TLB invalidations",
    ExcToEl1 = "exceptions taken to EL1",
    ExcToEl2 = "exceptions taken to EL2",
    ExceptionReturns = "exception returns",
    Svc = "SVC calls",
    Hvc = "HVC calls",
    Smc = "SMC calls",
    SysregTraps = "system register accesses trapped to EL2",
    WfxTraps = "WFI/WFE trapped to EL2",
    FpTraps = "FP accesses trapped",
    Stage1Aborts = "stage 1 aborts",
    Stage2Aborts = "stage 2 aborts",
    EmulatedBytes = "bytes of loads and stores that stage 2 aborted and EL2 can emulate",
    OtherTraps = "other synchronous exceptions",
    Irqs = "physical IRQs taken",
    Fiqs = "physical FIQs taken",
    VirtualIrqs = "virtual IRQs taken",
    VirtualFiqs = "virtual FIQs taken",
    ListRegisters = "virtual interrupts put into list registers",
    SErrors = "SErrors taken",
    WfiSleeps = "sleeps in WFI or WFE",
    MmioReads = "device register reads by CPUs",
    MmioWrites = "device register writes by CPUs",
    PsciCalls = "PSCI calls served by the machine",
    SemihostingCalls = "semihosting calls served by the machine",
    Anomalies = "accesses or requests that no sane guest makes",
    DmaReads = "DMA reads",
    DmaWrites = "DMA writes",
    DmaBytesRead = "bytes read by DMA",
    DmaBytesWritten = "bytes written by DMA",
    Sgis = "SGIs sent",
    SpisRaised = "SPIs raised",
    Msis = "MSIs received by the ITS",
    VirtioNotifies = "virtqueue notifications",
    VirtioRequests = "virtio requests completed",
    BlockBytesRead = "disk bytes read",
    BlockBytesWritten = "disk bytes written",
}

/// Exception classes that ESR_ELx.EC can say.
pub const CLASSES: usize = 64;
/// Exception levels whose instructions are told apart: 0, 1, 2.
pub const LEVELS: usize = 3;

/// A set of counters.
pub struct Counters {
    metrics: [AtomicU64; Metric::ALL.len()],
    /// Synchronous exceptions by target (EL1, EL2) and class.
    classes: [[AtomicU64; CLASSES]; 2],
    /// Instructions by the level that executed them, up to the last change of level.
    levels: [AtomicU64; LEVELS],
}

impl Default for Counters {
    fn default() -> Self {
        Self { metrics: zeros(), classes: [zeros(), zeros()], levels: zeros() }
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// Adds `n`, in the thread that alone writes.
#[inline]
fn advance(c: &AtomicU64, n: u64) {
    c.store(c.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Counters {
    /// Adds one; only the set's single writer may call this.
    #[inline]
    pub fn bump(&self, m: Metric) {
        self.bump_by(m, 1);
    }
    /// Adds `n`; only the set's single writer may call this.
    #[inline]
    pub fn bump_by(&self, m: Metric, n: u64) {
        advance(&self.metrics[m as usize], n);
    }
    /// Adds `n`, from any thread.
    pub fn add(&self, m: Metric, n: u64) {
        self.metrics[m as usize].fetch_add(n, Relaxed);
    }
    /// The count.
    #[must_use]
    pub fn get(&self, m: Metric) -> u64 {
        self.metrics[m as usize].load(Relaxed)
    }

    /// A synchronous exception of class `ec` was taken, to EL2 or to EL1. Only the set's single writer may call this.
    pub fn bump_class(&self, to_el2: bool, ec: u8) {
        advance(&self.classes[usize::from(to_el2)][usize::from(ec) % CLASSES], 1);
    }
    /// How many synchronous exceptions of class `ec` were taken, to EL2 or to EL1.
    #[must_use]
    pub fn class(&self, to_el2: bool, ec: u8) -> u64 {
        self.classes[usize::from(to_el2)][usize::from(ec) % CLASSES].load(Relaxed)
    }

    /// What was executed since the last call was executed at `level`. Only the set's single writer may call this.
    pub fn settle_level(&self, level: usize) {
        if let Some(own) = self.levels.get(level) {
            advance(own, self.unsettled());
        }
    }
    /// Instructions at `level`, up to the last change of level.
    #[must_use]
    pub fn at_level(&self, level: usize) -> u64 {
        self.levels.get(level).map_or(0, |count| count.load(Relaxed))
    }
    /// Instructions since then.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        let settled = self.levels.iter().map(|c| c.load(Relaxed)).fold(0, u64::wrapping_add);
        self.get(Metric::Instructions).wrapping_sub(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_belong_to_the_level_that_is_left() {
        let counters = Counters::default();
        counters.bump_by(Metric::Instructions, 10);
        counters.settle_level(2);
        counters.bump_by(Metric::Instructions, 5);
        // One that raised an exception has not been executed.
        counters.bump_by(Metric::Instructions, 1u64.wrapping_neg());
        counters.settle_level(0);
        counters.bump_by(Metric::Instructions, 3);
        assert_eq!([0, 1, 2].map(|level| counters.at_level(level)), [4, 0, 10]);
        assert_eq!(counters.unsettled(), 3);
    }

    #[test]
    fn classes_are_counted_by_target() {
        let counters = Counters::default();
        counters.bump_class(true, 0x24);
        counters.bump_class(true, 0x24);
        counters.bump_class(false, 0x15);
        let all = [(true, 0x24), (false, 0x24), (false, 0x15)];
        assert_eq!(all.map(|(to_el2, ec)| counters.class(to_el2, ec)), [2, 0, 1]);
    }
}
