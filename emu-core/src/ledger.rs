//! The ledger: what each device did, by cause.
//!
//! [`crate::metrics`] counts for the machine as a whole, always. A [`Ledger`] is kept on request, and has an [`Account`] for each
//! device: who keeps one puts something that counts between the device and what it talks to (a port, the bus, a disk), so that
//! a machine without a ledger has nothing of it in any way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::addr::Size;
use crate::bus::{BusFault, MmioDevice, Requester};
use crate::dma::{CountedPort, DmaPort, Master, Ports, Tally};
use crate::irq::IrqSink;
use crate::registers::Listed;

/// The target of events of `tracing` from which a timeline is made. They have fields that say what happened and to whom: those of
/// this file `stream`, `read`, `wrote`, `device`, `doorbell`, `message`, `line`.
pub const TIMELINE: &str = "timeline";

macro_rules! causes {
    ($($id:ident = $name:literal,)*) => {
        /// What is written in an account.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Cause { $(#[doc = $name] $id,)* }

        impl Cause {
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

causes! {
    RegisterReads = "reads of its registers by CPUs",
    RegisterWrites = "writes of its registers by CPUs (doorbells)",
    RegisterBytes = "bytes that CPUs moved through its registers",
    Messages = "its writes to registers of others (message-signalled interrupts)",
    LineRaised = "times that its interrupt line was raised",
    DmaReads = "its reads of memory",
    DmaWrites = "its writes of memory",
    DmaBytesRead = "bytes that it read from memory",
    DmaBytesWritten = "bytes that it wrote to memory",
    RequestsBegun = "requests to its storage begun",
    RequestsCompleted = "requests completed",
    RequestsFailed = "requests failed",
    StorageBytesRead = "bytes read from its storage",
    StorageBytesWritten = "bytes written to its storage",
    StorageNs = "nanoseconds of the machine's time from begin to end of its requests, added up",
}

/// Who an account is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// What goes by this name on the bus.
    Device(String),
    /// The master with this StreamID.
    Master(u32),
    /// A wire to the interrupt controller.
    Line(u32),
}

/// What one of them did.
pub struct Account {
    subject: Subject,
    counts: [AtomicU64; Cause::ALL.len()],
}

impl Account {
    /// An empty one.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self { subject, counts: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Adds `n`, from any thread.
    pub fn add(&self, cause: Cause, n: u64) {
        self.counts[cause as usize].fetch_add(n, Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self, cause: Cause) -> u64 {
        self.counts[cause as usize].load(Relaxed)
    }
}

impl Tally for Account {
    fn read(&self, bytes: u64) {
        self.add(Cause::DmaReads, 1);
        self.add(Cause::DmaBytesRead, bytes);
        if let Subject::Master(stream) = self.subject {
            tracing::trace!(target: TIMELINE, stream, read = bytes);
        }
    }
    fn wrote(&self, bytes: u64) {
        self.add(Cause::DmaWrites, 1);
        self.add(Cause::DmaBytesWritten, bytes);
        if let Subject::Master(stream) = self.subject {
            tracing::trace!(target: TIMELINE, stream, wrote = bytes);
        }
    }
}

/// The accounts of a machine.
#[derive(Default)]
pub struct Ledger(Mutex<BTreeMap<Subject, Arc<Account>>>);

impl Ledger {
    /// The account of `subject`, from now on if there was none.
    pub fn account(&self, subject: Subject) -> Arc<Account> {
        let mut accounts = self.0.lock();
        let account = accounts.entry(subject.clone()).or_insert_with(|| Arc::new(Account::new(subject)));
        account.clone()
    }

    /// All accounts.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Subject, Arc<Account>)> {
        self.0.lock().iter().map(|(subject, account)| (subject.clone(), account.clone())).collect()
    }
}

/// Ways to memory that are accounted for by StreamID.
pub struct AccountedPorts {
    ports: Arc<dyn Ports>,
    ledger: Arc<Ledger>,
}

impl AccountedPorts {
    /// Those of `ports`.
    #[must_use]
    pub fn new(ports: Arc<dyn Ports>, ledger: Arc<Ledger>) -> Self {
        Self { ports, ledger }
    }
}

impl Ports for AccountedPorts {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        let account = self.ledger.account(Subject::Master(master.stream_id()));
        Arc::new(CountedPort::new(self.ports.port(master), account))
    }
}

/// Whose registers are at an offset of a region, and in which account what is done with them goes.
pub trait Owner: Send + Sync {
    /// The account; `None` if nobody answers there.
    fn at(&self, offset: u64) -> Option<Arc<Account>>;
}

impl Owner for Arc<Account> {
    fn at(&self, _: u64) -> Option<Arc<Account>> {
        Some(self.clone())
    }
}

/// Registers whose accesses are accounted for: those of CPUs with their owner, those of devices with the device that makes them.
pub struct AccountedRegisters<O> {
    device: Arc<dyn MmioDevice>,
    owner: O,
    ledger: Arc<Ledger>,
}

impl<O: Owner> AccountedRegisters<O> {
    /// The registers of `device`, which belong to `owner`.
    #[must_use]
    pub fn new(device: Arc<dyn MmioDevice>, owner: O, ledger: Arc<Ledger>) -> Self {
        Self { device, owner, ledger }
    }

    fn by_cpu(&self, offset: u64, size: Size, cause: Cause) {
        if let Some(account) = self.owner.at(offset) {
            account.add(cause, 1);
            account.add(Cause::RegisterBytes, size.bytes());
        }
    }
}

impl<O: Owner> MmioDevice for AccountedRegisters<O> {
    fn name(&self) -> &str {
        self.device.name()
    }
    fn read(&self, offset: u64, size: Size, from: Requester) -> Result<u64, BusFault> {
        if let Requester::Cpu(_) = from {
            self.by_cpu(offset, size, Cause::RegisterReads);
        }
        self.device.read(offset, size, from)
    }
    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        match from {
            Requester::Cpu(_) => {
                self.by_cpu(offset, size, Cause::RegisterWrites);
                if let Some(Subject::Device(device)) = self.owner.at(offset).as_ref().map(|a| &a.subject) {
                    tracing::trace!(target: TIMELINE, device = device.as_str(), doorbell = offset, value);
                }
            }
            Requester::Device(stream) => {
                tracing::trace!(target: TIMELINE, stream, message = value);
                self.ledger.account(Subject::Master(stream)).add(Cause::Messages, 1);
            }
            Requester::Machine => {}
        }
        self.device.write(offset, size, value, from)
    }
    fn cpu_only(&self) -> bool {
        self.device.cpu_only()
    }
    fn registers(&self, from: Requester) -> Vec<Listed> {
        self.device.registers(from)
    }
}

/// Wires whose rising edges are accounted for.
pub struct AccountedLines {
    sink: Arc<dyn IrqSink>,
    ledger: Arc<Ledger>,
    raised: Mutex<BTreeSet<u32>>,
}

impl AccountedLines {
    /// Those that end in `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>, ledger: Arc<Ledger>) -> Self {
        Self { sink, ledger, raised: Mutex::default() }
    }
}

impl IrqSink for AccountedLines {
    fn set_level(&self, line: u32, level: bool) {
        let mut raised = self.raised.lock();
        let changed = if level { raised.insert(line) } else { raised.remove(&line) };
        drop(raised);
        if changed && level {
            tracing::trace!(target: TIMELINE, line);
            self.ledger.account(Subject::Line(line)).add(Cause::LineRaised, 1);
        }
        self.sink.set_level(line, level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pa;
    use crate::bus::{Backing, Bus};
    use crate::dma::{DirectPorts, DmaAttrs, Stalls};
    use crate::ram::GuestRam;

    /// A register that holds its last value.
    #[derive(Default)]
    struct Register(AtomicU64);

    impl MmioDevice for Register {
        fn name(&self) -> &str {
            "register"
        }
        fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
            Ok(self.0.load(Relaxed))
        }
        fn write(&self, _: u64, _: Size, value: u64, _: Requester) -> Result<(), BusFault> {
            self.0.store(value, Relaxed);
            Ok(())
        }
    }

    /// A bus with a page of RAM at 0 and an accounted register at 0x1000.
    fn rig() -> (Arc<Bus>, Arc<Ledger>) {
        let (bus, ledger) = (Arc::new(Bus::new()), Arc::<Ledger>::default());
        let ram: &'static GuestRam = GuestRam::new(4096).unwrap();
        bus.map(Pa(0), 4096, Backing::Ram(ram, 0)).unwrap();
        let owner = ledger.account(Subject::Device("register".into()));
        let registers = AccountedRegisters::new(Arc::<Register>::default(), owner, ledger.clone());
        bus.map(Pa(0x1000), 8, Backing::Mmio(Arc::new(registers))).unwrap();
        (bus, ledger)
    }

    fn counts(ledger: &Ledger, subject: Subject) -> Vec<(Cause, u64)> {
        let account = ledger.account(subject);
        let all = Cause::ALL.iter().map(|cause| (*cause, account.get(*cause)));
        all.filter(|(_, n)| *n != 0).collect()
    }

    #[test]
    fn accesses_of_cpus_are_the_registers_owners_and_those_of_masters_their_own() {
        let (bus, ledger) = rig();
        let cpu = Requester::Cpu(0);
        bus.write(Pa(0x1000), Size::B4, 5, cpu).unwrap();
        assert_eq!(bus.read(Pa(0x1000), Size::B8, cpu), Ok(5));
        bus.read(Pa(0x1000), Size::B4, Requester::Machine).unwrap();
        bus.write(Pa(0x1000), Size::B4, 7, Requester::Device(8)).unwrap();
        assert_eq!(
            counts(&ledger, Subject::Device("register".into())),
            [(Cause::RegisterReads, 1), (Cause::RegisterWrites, 1), (Cause::RegisterBytes, 12)]
        );
        assert_eq!(counts(&ledger, Subject::Master(8)), [(Cause::Messages, 1)]);
    }

    #[test]
    fn what_a_master_moves_is_in_its_account_and_what_is_aborted_is_not() {
        let (bus, ledger) = rig();
        let ports = AccountedPorts::new(Arc::new(DirectPorts(bus)), ledger.clone());
        let port = ports.port(Master::new(3, Stalls::Never));
        port.write(DmaAttrs::default(), 16, &[1; 100]).unwrap();
        port.read(DmaAttrs::default(), 16, &mut [0; 20]).unwrap();
        port.read(DmaAttrs::default(), 0x8000, &mut [0; 20]).unwrap_err();
        assert_eq!(
            counts(&ledger, Subject::Master(3)),
            [
                (Cause::DmaReads, 1),
                (Cause::DmaWrites, 1),
                (Cause::DmaBytesRead, 20),
                (Cause::DmaBytesWritten, 100)
            ]
        );
    }

    #[test]
    fn a_line_counts_when_it_rises() {
        let ledger = Arc::<Ledger>::default();
        let lines = AccountedLines::new(Arc::new(crate::irq::Unconnected), ledger.clone());
        [true, true, false, true, false, false].iter().for_each(|level| lines.set_level(4, *level));
        assert_eq!(counts(&ledger, Subject::Line(4)), [(Cause::LineRaised, 2)]);
    }
}
