//! The programmer's interface over memory, with nothing behind it that translates.

mod caches;
mod pages;

use std::collections::BTreeMap;

use emu_core::bus::{Backing, Bus};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, Master, MemoryType, Stalls};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::ram::GuestRam;
use emu_core::{Pa, Security};
use emu_mmu::Regime;

use super::*;
use crate::translation::{Access, Transaction};
use crate::v3::event::{Class, Event, Kind, Recorder, TranslationRecord};
use crate::v3::interrupts::Interrupts;
use crate::v3::profile::Profile;
use crate::v3::registers::MAP;

const RAM: u64 = 0x4000_0000;
const CMDQ: u64 = RAM + 0x1000;
const EVENTQ: u64 = RAM + 0x2000;
const DOORBELL: u64 = RAM + 0x3000;
/// log2 of the entries of both queues.
const BITS: u64 = 3;

const GERROR_MSI: u64 = DOORBELL + 0x10;
const EVENTQ_MSI: u64 = DOORBELL + 0x20;
const SYNC_MSI: u64 = DOORBELL + 0x30;

const READ: Transaction = Transaction {
    stream: 0x18,
    substream: None,
    address: 0,
    access: Access::Read,
    privileged: false,
    instruction: false,
    security: Security::NonSecure,
    memory: MemoryType::WriteBack,
    translated: false,
    may_stall: true,
};

/// What was asked of the machinery.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked {
    Configure(Settings),
    Forget(Configuration),
    Invalidate(TlbiScope),
    Sync,
    LookUp(Question),
    Resume(u32, u16, Answer),
    Terminate(Option<u32>),
    Reset,
}

#[derive(Default)]
struct Notes(Mutex<Vec<Asked>>, Mutex<BTreeMap<u32, Arc<dyn TranslationCache>>>);

impl Machinery for Notes {
    fn configure(&self, settings: &Settings) {
        self.0.lock().push(Asked::Configure(*settings));
    }
    fn forget(&self, what: Configuration) {
        self.0.lock().push(Asked::Forget(what));
    }
    fn invalidate(&self, scope: &TlbiScope) {
        self.0.lock().push(Asked::Invalidate(*scope));
    }
    fn sync(&self) {
        self.0.lock().push(Asked::Sync);
    }
    fn caches(&self, stream: u32) -> Vec<Arc<dyn TranslationCache>> {
        self.1.lock().get(&stream).cloned().into_iter().collect()
    }
    fn look_up(&self, question: &Question) -> u64 {
        self.0.lock().push(Asked::LookUp(*question));
        0x1234_5000
    }
    fn resume(&self, stream: u32, stag: u16, answer: Answer) {
        self.0.lock().push(Asked::Resume(stream, stag, answer));
    }
    fn terminate(&self, stream: Option<u32>) {
        self.0.lock().push(Asked::Terminate(stream));
    }
    fn reset(&self) {
        self.0.lock().push(Asked::Reset);
    }
}

/// Counts the edges of each wire.
#[derive(Default)]
struct Edges(Mutex<[u32; 4]>);

impl IrqSink for Edges {
    fn set_level(&self, line: u32, level: bool) {
        self.0.lock()[line as usize] += u32::from(level);
    }
}

struct Rig {
    ram: &'static GuestRam,
    edges: Arc<Edges>,
    notes: Arc<Notes>,
    events: Arc<Mutex<u32>>,
    clock: Arc<Clock>,
    interface: Arc<Interface>,
    control: Arc<Control>,
}

impl Rig {
    fn new(profile: Profile) -> Self {
        let ram = GuestRam::new(0x10000).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10000, Backing::Ram(ram, 0)).unwrap();
        let edges = Arc::new(Edges::default());
        let wires = [0, 1, 2, 3].map(|line| IrqLine::new(edges.clone(), line));
        let port = Arc::new(DirectPort::new(bus.clone(), Master::new(0xff00, Stalls::Never)));
        let interrupts = Interrupts::new(wires, port, profile.msi, profile.output_bits);
        let clock = Clock::new(Mode::Counted);
        let interface = Arc::new(Interface::new(profile, bus, clock.clone(), interrupts));
        let (notes, events) = (Arc::new(Notes::default()), Arc::new(Mutex::new(0)));
        let sent = events.clone();
        let send_event: SendEvent = Arc::new(move || *sent.lock() += 1);
        let control = Control::new(interface.clone(), notes.clone(), Some(send_event));
        Self { ram, edges, notes, events, clock, interface, control }
    }

    /// With both queues, and interrupts as the profile has them.
    fn running(profile: Profile) -> Self {
        let rig = Self::new(profile);
        rig.w64(0x90, 1 << 62 | CMDQ | BITS);
        rig.w64(0xa0, 1 << 62 | EVENTQ | BITS);
        for (offset, value) in [(0x68, GERROR_MSI), (0xb0, EVENTQ_MSI)] {
            rig.w64(offset, value);
        }
        rig.w(0x70, 0x6e);
        rig.w(0xb8, 0xe0);
        rig.w(0x50, 5);
        rig.w(0x20, 0xc);
        rig
    }

    fn access(&self, offset: u64, size: Size, value: u64) -> bool {
        self.control.write(&MAP.find(offset, size).unwrap(), size, value)
    }
    fn w(&self, offset: u64, value: u64) -> bool {
        self.access(offset, Size::B4, value)
    }
    fn w64(&self, offset: u64, value: u64) {
        assert!(self.access(offset, Size::B8, value));
    }
    fn r(&self, offset: u64) -> u64 {
        self.interface.read(&MAP.find(offset, Size::B4).unwrap(), Size::B4)
    }

    /// Puts commands behind those that are there, and writes PROD.
    fn submit(&self, commands: &[Words]) {
        let mut prod = self.r(0x98);
        for words in commands {
            let at = CMDQ - RAM + 16 * (prod & 7);
            self.ram.store_u64(at, words[0]).unwrap();
            self.ram.store_u64(at + 8, words[1]).unwrap();
            prod = (prod + 1) & 0xf;
        }
        self.w(0x98, prod);
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.notes.0.lock())
    }

    /// Edges of eventq, priq, sync and gerror since the last time.
    fn edges(&self) -> [u32; 4] {
        std::mem::take(&mut *self.edges.0.lock())
    }

    /// What messages have written since the last time: of gerror, eventq and sync.
    fn messages(&self) -> [u32; 3] {
        [GERROR_MSI, EVENTQ_MSI, SYNC_MSI].map(|at| {
            let old = self.ram.load_u32(at - RAM).unwrap();
            self.ram.store_u32(at - RAM, 0).unwrap();
            old
        })
    }

    fn fault(&self, address: u64, stall: Option<u16>, mergeable: bool) -> bool {
        let t = TranslationRecord { stall, stage2: false, class: Class::In, ipa: 0, table_write: false };
        let transaction = Transaction { address, ..READ };
        self.interface.record(&Event { kind: Kind::Translation(t), transaction, mergeable })
    }

    /// InputAddr of the record in a place.
    fn recorded(&self, place: u64) -> u64 {
        self.ram.load_u64(EVENTQ - RAM + 32 * place + 16).unwrap()
    }
}

const SYNC: Words = [0x46, 0];
const SYNC_IRQ: Words = [0x46 | 1 << 12 | 0x5c << 32, SYNC_MSI];

#[test]
fn commands_are_executed_in_order_when_prod_is_written() {
    let rig = Rig::running(Profile::FULL);
    rig.asked();
    rig.submit(&[[0x04, 31], [0x30, 0], [0x44 | 1 << 12 | 7 << 32, 9], [0x45 | 7 << 32, 0], SYNC, [0x01, 0]]);
    let expected = [
        Asked::Forget(Configuration::All),
        Asked::Invalidate(TlbiScope::AllEl1),
        Asked::Resume(7, 9, Answer::Retry),
        Asked::Terminate(Some(7)),
        Asked::Sync,
    ];
    assert_eq!(rig.asked(), expected);
    assert_eq!((rig.r(0x98), rig.r(0x9c)), (6, 6));
    // Round the end of the queue.
    rig.submit(&[[0x28 | 5 << 32, 0]; 4]);
    assert_eq!((rig.asked().len(), rig.r(0x9c)), (4, 10));
    let scope = TlbiScope::Context { regime: Regime::El10, vmid: 5 };
    rig.submit(&[[0x28 | 5 << 32, 0]]);
    assert_eq!(rig.asked(), [Asked::Invalidate(scope)]);
}

#[test]
fn commands_wait_until_the_queue_is_enabled() {
    let rig = Rig::new(Profile::QEMU);
    rig.w64(0x90, CMDQ | BITS);
    rig.submit(&[SYNC, SYNC]);
    assert_eq!((rig.asked(), rig.r(0x9c)), (vec![], 0));
    rig.w(0x20, 8);
    assert_eq!((rig.asked(), rig.r(0x9c)), (vec![Asked::Sync; 2], 2));
}

/// 7.1: consumption stops at the command, and goes on with what stands there when the error is acknowledged.
#[test]
fn an_illegal_command_stops_the_queue_until_it_is_acknowledged() {
    let rig = Rig::running(Profile::FULL);
    rig.asked();
    rig.submit(&[SYNC, [0xff, 0], SYNC]);
    assert_eq!(rig.asked(), [Asked::Sync]);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (1 << 24 | 1, 1));
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 0, 1], [0x6e, 0, 0]));
    // More commands change nothing.
    rig.submit(&[SYNC]);
    assert_eq!((rig.asked(), rig.r(0x9c) & 0xff), (vec![], 1));
    // Linux puts a CMD_SYNC without a signal in its place.
    rig.ram.store_u64(CMDQ - RAM + 16, 0x46).unwrap();
    rig.w(0x64, 1);
    assert_eq!((rig.asked().len(), rig.r(0x9c) & 0xff), (3, 4));
    // The next error toggles back.
    rig.submit(&[[0x46 | 3 << 12, 0]]);
    assert_eq!((rig.r(0x60), rig.r(0x64)), (0, 1));
}

#[test]
fn a_queue_outside_memory_is_an_abort() {
    let rig = Rig::running(Profile::QEMU);
    rig.w(0x20, 0);
    rig.w64(0x90, 0x9000_0000 | BITS);
    rig.w(0x20, 8);
    rig.w(0x98, 1);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (2 << 24, 1));
    assert_eq!(rig.edges(), [0, 0, 0, 1]);
}

#[test]
fn a_nonsensical_prod_ends() {
    let rig = Rig::running(Profile::FULL);
    rig.asked();
    for i in 0..8 {
        rig.ram.store_u64(CMDQ - RAM + 16 * i, 0x46).unwrap();
    }
    rig.w(0x98, 0xf_fff0 | 15);
    assert_eq!((rig.asked().len(), rig.r(0x9c)), (15, 15));
}

#[test]
fn completion_is_an_edge_and_a_message_or_an_event() {
    let rig = Rig::running(Profile::FULL);
    rig.submit(&[SYNC, SYNC_IRQ]);
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 1, 0], [0, 0, 0x5c]));
    // Without an address there is the wire alone; a message may go into the slot of its command, as with Linux.
    rig.submit(&[[0x46 | 1 << 12 | 0x5c << 32, 0], [0x46 | 1 << 12, CMDQ + 16 * 3]]);
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 2, 0], [0; 3]));
    assert_eq!(rig.ram.load_u32(CMDQ - RAM + 16 * 3), Some(0));
    rig.submit(&[[0x46 | 2 << 12, 0]]);
    assert_eq!((rig.edges(), *rig.events.lock()), ([0; 4], 1));
    // Wires alone, where there are no messages.
    let rig = Rig::running(Profile::QEMU);
    rig.submit(&[SYNC_IRQ]);
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 1, 0], [0; 3]));
}

#[test]
fn a_queue_that_is_no_longer_full_is_an_event() {
    let rig = Rig::running(Profile::FULL);
    rig.w(0x20, 4);
    rig.submit(&[SYNC; 8]);
    assert_eq!(*rig.events.lock(), 0);
    rig.w(0x20, 0xc);
    assert_eq!((rig.r(0x9c), *rig.events.lock()), (8, 1));
}

#[test]
fn a_message_that_is_aborted_is_an_error_of_its_source() {
    let rig = Rig::running(Profile::FULL);
    let nowhere = 0x9000_0000;
    rig.submit(&[[0x46 | 1 << 12, nowhere]]);
    assert_eq!((rig.r(0x60), rig.r(0x9c)), (1 << 4, 1), "the command is consumed");
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 1, 1], [0x6e, 0, 0]));
    rig.w(0x50, 0);
    rig.w64(0xb0, nowhere);
    rig.w64(0x68, nowhere);
    rig.w(0x50, 5);
    rig.fault(0x1000, None, false);
    assert_eq!(rig.r(0x60), 1 << 4 | 1 << 5 | 1 << 7, "and that of the error is another, which tells nobody");
    assert_eq!(rig.edges(), [1, 0, 0, 1]);
}

#[test]
fn the_first_event_of_an_empty_queue_interrupts() {
    let rig = Rig::running(Profile::FULL);
    assert!(rig.fault(0x1000, None, false) && rig.fault(0x2000, None, false));
    assert_eq!((rig.edges(), rig.messages()), ([1, 0, 0, 0], [0, 0xe0, 0]));
    assert_eq!((rig.r(0x1_00a8), rig.r(0xa8), rig.recorded(1)), (2, 2, 0x2000));
    rig.w(0x1_00ac, 2);
    rig.w(0x50, 0);
    assert!(rig.fault(0x3000, None, false));
    assert_eq!((rig.edges(), rig.messages()), ([0; 4], [0; 3]), "not while it is disabled");
    rig.w(0x50, 5);
    assert_eq!(rig.edges(), [0; 4], "nor for what was before");
}

/// 7.4, and not EVENTQ_ABT_ERR.
#[test]
fn overflow_toggles_its_flag_once_until_it_is_acknowledged() {
    let rig = Rig::running(Profile::FULL);
    for i in 0..8 {
        assert!(rig.fault(i << 12, None, false));
    }
    assert_eq!(rig.r(0x1_00a8), 8);
    for _ in 0..2 {
        assert!(!rig.fault(0x9000, None, false));
        assert_eq!((rig.r(0x1_00a8), rig.r(0x60)), (1 << 31 | 8, 0));
    }
    // Room without an acknowledgement: records, and no second overflow can be told of.
    rig.w(0x1_00ac, 1);
    assert!(rig.fault(0xa000, None, false) && !rig.fault(0xb000, None, false));
    assert_eq!((rig.r(0x1_00a8), rig.recorded(0)), (1 << 31 | 9, 0xa000));
    rig.w(0x1_00ac, 1 << 31 | 1);
    assert!(!rig.fault(0xb000, None, false));
    assert_eq!(rig.r(0x1_00a8), 9, "the next one toggles back");
}

#[test]
fn events_of_a_queue_that_is_off_are_lost_without_overflow() {
    let rig = Rig::running(Profile::FULL);
    rig.w(0x20, 8);
    assert!(!rig.fault(0x1000, None, false));
    assert_eq!(rig.r(0x1_00a8), 0);
}

#[test]
fn the_last_events_are_kept_for_monitors() {
    let rig = Rig::running(Profile::FULL);
    for i in 0..100 {
        rig.fault(i << 12, None, false);
    }
    let history = rig.interface.history();
    let of = |n: usize| (history[n].event.transaction.address, history[n].recorded);
    assert_eq!((history.len(), of(0), of(63)), (64, (99 << 12, false), (36 << 12, false)));
    rig.w(0x1_00ac, 8);
    rig.fault(0x1000, None, true);
    rig.clock.advance(7);
    rig.fault(0x1000, None, true);
    let history = rig.interface.history();
    assert!(history[..2].iter().all(|e| e.recorded));
    assert_eq!((history[0].at, history[1].at), (7, 0));
}

/// 7.2.2: the index stays, and nothing is written until the error is acknowledged.
#[test]
fn an_event_queue_outside_memory_is_a_global_error() {
    let rig = Rig::running(Profile::FULL);
    rig.w(0x20, 0);
    rig.w64(0xa0, 0x9000_0000 | BITS);
    rig.w(0x20, 4);
    assert!(!rig.fault(0x1000, None, false));
    assert_eq!((rig.r(0x60), rig.r(0x1_00a8)), (4, 0));
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 0, 1], [0x6e, 0, 0]));
    assert!(!rig.fault(0x1000, None, false));
    assert_eq!((rig.r(0x60), rig.edges()), (4, [0; 4]), "not told twice");
    rig.w(0x20, 0);
    rig.w64(0xa0, EVENTQ | BITS);
    rig.w(0x20, 4);
    assert!(!rig.fault(0x1000, None, false), "the error is active");
    rig.w(0x64, 4);
    assert!(rig.fault(0x1000, None, false));
}

/// 7.2.1: a stalled transaction is told of when there is room, by trying again.
#[test]
fn stalls_wait_for_room_and_cause_no_overflow() {
    let rig = Rig::running(Profile::FULL);
    for i in 0..8 {
        rig.fault(i << 12, None, false);
    }
    rig.asked();
    for stag in [5, 6, 7] {
        assert!(!rig.fault(0x9000, Some(stag), true));
    }
    assert_eq!((rig.r(0x1_00a8), rig.asked()), (8, vec![]));
    rig.w(0x1_00ac, 1);
    let retried = |stag| Asked::Resume(READ.stream, stag, Answer::Retry);
    // The queue is still as it was, as nothing has tried again: the next ones are asked, too.
    assert_eq!(rig.asked(), [retried(5), retried(6), retried(7)]);
    // Terminated ones are forgotten.
    rig.fault(0, None, false);
    assert!(!rig.fault(0x9000, Some(8), false));
    rig.submit(&[[0x45 | u64::from(READ.stream) << 32, 0]]);
    rig.w(0x1_00ac, 2);
    assert_eq!(rig.asked(), [Asked::Terminate(Some(READ.stream))]);
    // So are those that software has answered by chance.
    rig.fault(0, None, false);
    assert!(!rig.fault(0x9000, Some(8), false) && !rig.fault(0x9000, Some(9), false));
    rig.submit(&[[0x44 | u64::from(READ.stream) << 32, 8]]);
    rig.w(0x1_00ac, 3);
    assert_eq!(rig.asked(), [Asked::Resume(READ.stream, 8, Answer::Zero), retried(9)]);
}

#[test]
fn stalls_wait_for_the_queue_and_for_the_end_of_an_error() {
    let rig = Rig::running(Profile::FULL);
    rig.w(0x20, 8);
    rig.asked();
    assert!(!rig.fault(0x9000, Some(5), false));
    rig.w(0x20, 0xc);
    assert_eq!(rig.asked(), [Asked::Resume(READ.stream, 5, Answer::Retry)]);
    rig.w(0x20, 8);
    rig.w64(0xa0, 0x9000_0000 | BITS);
    rig.w(0x20, 0xc);
    assert!(!rig.fault(0x9000, Some(6), false), "lost to an abort");
    assert_eq!((rig.r(0x60), rig.asked()), (4, vec![]));
    rig.w(0x64, 4);
    assert_eq!(rig.asked(), [Asked::Resume(READ.stream, 6, Answer::Retry)]);
}

/// 7.3.1.
#[test]
fn like_events_are_merged_if_the_stream_says_so_and_none_has_been_read() {
    let rig = Rig::running(Profile::FULL);
    assert!(rig.fault(0x1000, None, true) && rig.fault(0x1008, None, true));
    assert_eq!(rig.r(0x1_00a8), 1);
    assert!(rig.fault(0x1000, None, false) && rig.fault(0x1000, None, true));
    assert_eq!(rig.r(0x1_00a8), 3, "not with one that forbids it");
    assert!(rig.fault(0x1000, Some(1), true) && rig.fault(0x1000, Some(2), true));
    assert_eq!(rig.r(0x1_00a8), 5, "nor stalls");
    rig.w(0x1_00ac, 5);
    assert!(rig.fault(0x1000, None, true));
    assert_eq!(rig.r(0x1_00a8), 6);
}

#[test]
fn registers_take_effect_before_their_write_is_over() {
    let rig = Rig::running(Profile::FULL);
    rig.asked();
    rig.w64(0x80, 0x4000_8000);
    rig.w(0x20, 0xd);
    let settings = Settings { strtab_base: 0x4000_8000, private_tlb: true, ..Settings::default() };
    let on = Settings { enabled: true, ..settings };
    assert_eq!(rig.asked(), [Asked::Configure(settings), Asked::Sync, Asked::Configure(on), Asked::Sync]);
    assert!(!rig.w(0x2c, 2), "guarded");
    assert_eq!(rig.asked(), []);
    // Nothing stays stalled, and nothing is told of it later.
    rig.w(0x20, 0x9);
    rig.fault(0, Some(1), false);
    rig.w(0x20, 0x8);
    rig.w(0x20, 0xc);
    assert_eq!(rig.asked(), [Asked::Configure(settings), Asked::Sync, Asked::Terminate(None)]);
}

#[test]
fn a_state_is_entered_as_a_whole() {
    let rig = Rig::running(Profile::FULL);
    rig.fault(0, None, false);
    let saved = rig.interface.registers();
    rig.asked();
    rig.control.enter(Registers::new(&Profile::FULL));
    let settings = Settings { private_tlb: true, ..Settings::default() };
    assert_eq!(rig.asked(), [Asked::Configure(settings), Asked::Reset]);
    assert_eq!((rig.r(0x20), rig.r(0x1_00a8)), (0, 0));
    rig.control.enter(saved.clone());
    assert_eq!((rig.interface.registers(), rig.r(0x1_00a8)), (saved, 1));
}

/// A queue under fire from several CPUs: every command is executed once.
#[test]
fn cpus_submit_at_the_same_time() {
    let rig = Rig::running(Profile::FULL);
    rig.asked();
    for i in 0..8 {
        rig.ram.store_u64(CMDQ - RAM + 16 * i, 0x46).unwrap();
    }
    let next = Mutex::new(0_u64);
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..500 {
                    let mut next = next.lock();
                    *next = (*next + 1) & 0xf;
                    rig.w(0x98, *next);
                }
            });
        }
    });
    assert_eq!((rig.asked().len(), rig.r(0x9c)), (1500, 1500 & 0xf));
}
