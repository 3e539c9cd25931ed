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
    OtherTraps = "other synchronous exceptions",
    Irqs = "physical IRQs taken",
    Fiqs = "physical FIQs taken",
    VirtualIrqs = "virtual IRQs taken",
    VirtualFiqs = "virtual FIQs taken",
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

/// A set of counters.
pub struct Counters([AtomicU64; Metric::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
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
        let c = &self.0[m as usize];
        c.store(c.load(Relaxed).wrapping_add(n), Relaxed);
    }
    /// Adds `n`, from any thread.
    pub fn add(&self, m: Metric, n: u64) {
        self.0[m as usize].fetch_add(n, Relaxed);
    }
    /// The count.
    #[must_use]
    pub fn get(&self, m: Metric) -> u64 {
        self.0[m as usize].load(Relaxed)
    }
}
