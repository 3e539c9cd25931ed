//! The cache of translations, before a port that grants what it is told to.

use std::sync::OnceLock;
use std::sync::mpsc;

use emu_core::dma::DmaFault;
use emu_core::dma::ats::{Completion, Grant, PageRequest, PageStatus, Refused, TranslationRequest};

use super::*;

const SUBSTREAM: u64 = 0x18;
const REQUEST: u64 = 0x3c;
const CACHE: u64 = 0x40;
const CONTROL: u64 = 0x44;
const CACHE_ADDRESS: u64 = 0x48;
const INVALIDATIONS: u64 = 0x50;
const HELD: u64 = 0x54;
const FIRST: u64 = 0x58;
const LAST: u64 = 0x60;
const INVALIDATION_SUBSTREAM: u64 = 0x68;
const RESPONSES: u64 = 0x6c;
const RESPONSE: u64 = 0x70;
const RESPONSE_SUBSTREAM: u64 = 0x74;

const TRANSLATE: u64 = 1 << 2;
const REQUEST_PAGE: u64 = 1 << 3;
const COMPLETE: u64 = 1 << 4;
const LOSE: u64 = 1 << 5;

/// What stands before the master, and what it was asked.
#[derive(Default)]
struct Agent {
    master: OnceLock<Master>,
    completion: Mutex<Option<Completion>>,
    answer: Mutex<Option<PageResponse>>,
    asked: Mutex<Vec<TranslationRequest>>,
    pages: Mutex<Vec<PageRequest>>,
    attrs: Mutex<Vec<(DmaAttrs, u64)>>,
}

impl DmaPort for Agent {
    fn stream_id(&self) -> u32 {
        self.master.get().unwrap().stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, _: &mut [u8]) -> Result<(), DmaFault> {
        self.attrs.lock().push((attrs, addr));
        Ok(())
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, _: &[u8]) -> Result<(), DmaFault> {
        self.attrs.lock().push((attrs, addr));
        Ok(())
    }
    fn translate(&self, request: &TranslationRequest) -> Completion {
        self.asked.lock().push(*request);
        self.completion.lock().clone().unwrap()
    }
    fn request_page(&self, request: &PageRequest) -> Option<PageResponse> {
        self.pages.lock().push(*request);
        *self.answer.lock()
    }
}

struct Agents(Arc<Agent>);

impl Ports for Agents {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        assert!(self.0.master.set(master).is_ok(), "there is one");
        self.0.clone()
    }
}

const GRANT: Grant =
    Grant { address: 0x8000_0000, bits: 16, read: true, write: true, execute: false, privileged: false };

struct Function {
    agent: Arc<Agent>,
    master: Arc<TestMaster>,
}

impl Function {
    fn new() -> Self {
        let agent = Arc::<Agent>::default();
        let master = TestMaster::new(Config {
            name: "test-master",
            streams: &[7],
            may_stall: false,
            ports: &Agents(agent.clone()),
            irq: IrqLine::new(Arc::<Wires>::default() as Arc<dyn IrqSink>, 3),
            counters: Arc::default(),
        });
        Self { agent, master }
    }

    fn get(&self, at: u64) -> u64 {
        self.master.read(at, Size::B4, CPU).unwrap()
    }
    fn get_double(&self, at: u64) -> u64 {
        self.master.read(at, Size::B8, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.master, at, Size::B4, value, CPU).unwrap();
    }

    /// Asks for a translation; gives TM_CACHE and TM_CACHE_ADDRESS.
    fn translate(&self, address: u64, completion: Completion) -> (u64, u64) {
        *self.agent.completion.lock() = Some(completion);
        MmioDevice::write(&*self.master, ADDRESS, Size::B8, address, CPU).unwrap();
        self.set(COMMAND, TRANSLATE);
        (self.get(CACHE), self.get_double(CACHE_ADDRESS))
    }

    /// Has something invalidated; what is said of it comes by the channel.
    fn invalidate(&self, what: Invalidation) -> mpsc::Receiver<bool> {
        let (said, heard) = mpsc::channel();
        let done = InvalidationDone::new(move |complete| said.send(complete).unwrap());
        self.agent.master.get().unwrap().cache().unwrap().invalidate(&what, done);
        heard
    }
}

const PAGE: Invalidation = Invalidation { pasid: None, global: false, start: 0x1234_0000, end: 0x1234_0fff };

#[test]
fn what_is_granted_is_shown() {
    let f = Function::new();
    let granted = 1 | 1 << 1 | 1 << 2 | 1 << 8 | 16 << 16 | 1 << 24;
    assert_eq!(f.translate(0x1234_5678, Ok(vec![GRANT])), (granted, 0x8000_5678));
    let expected = TranslationRequest { address: 0x1234_5000, units: 1, no_write: true, pasid: None };
    assert_eq!(f.agent.asked.lock().pop(), Some(expected));
    f.set(REQUEST, 5 << 24 | 1 << 17);
    f.set(SUBSTREAM, 1 << 31 | 9);
    f.set(ATTRIBUTES, 6);
    let none = Grant::none(true);
    assert_eq!(f.translate(0x5000, Ok(vec![none; 5])).0, 1 << 4 | 1 << 8 | 12 << 16 | 5 << 24);
    let pasid = emu_core::dma::ats::Pasid { id: 9, privileged: true, execute: true };
    let expected = TranslationRequest { address: 0x5000, units: 5, no_write: false, pasid: Some(pasid) };
    assert_eq!(f.agent.asked.lock().pop(), Some(expected));
    assert_eq!(f.translate(0x5000, Err(Refused::Unsupported)), (2 << 8, 0));
    assert_eq!(f.translate(0x5000, Err(Refused::Abort)), (3 << 8, 0));
}

#[test]
fn an_invalidation_of_the_region_takes_the_entry_away() {
    let f = Function::new();
    let valid = || f.get(CACHE) & 1;
    f.translate(0x1234_5678, Ok(vec![GRANT]));
    let others = [
        Invalidation { start: 0x1235_0000, end: 0x1235_0fff, ..PAGE },
        Invalidation { pasid: Some(1), global: true, ..PAGE },
    ];
    for what in others {
        assert_eq!((f.invalidate(what).try_recv(), valid()), (Ok(true), 1));
    }
    assert_eq!(f.get(INVALIDATION_SUBSTREAM), 1 << 31 | 1 << 30 | 1);
    assert_eq!((f.invalidate(PAGE).try_recv(), valid()), (Ok(true), 0), "of the same 64 KiB");
    assert_eq!((f.get_double(FIRST), f.get_double(LAST)), (PAGE.start, PAGE.end));
    assert_eq!((f.get(INVALIDATION_SUBSTREAM), f.get(INVALIDATIONS), f.get(HELD)), (0, 3, 0));
}

#[test]
fn what_is_held_is_complete_or_lost_as_it_is_told() {
    let f = Function::new();
    f.set(CONTROL, 1);
    let held = [f.invalidate(PAGE), f.invalidate(PAGE)];
    assert_eq!((f.get(HELD), held[0].try_recv().is_err()), (2, true));
    f.set(COMMAND, COMPLETE);
    assert_eq!((f.get(HELD), held.map(|h| h.try_recv())), (0, [Ok(true); 2]));
    let held = f.invalidate(PAGE);
    f.set(COMMAND, LOSE);
    assert_eq!(held.try_recv(), Ok(false));
    let held = f.invalidate(PAGE);
    f.master.reset();
    assert_eq!((held.try_recv(), f.get(HELD), f.get(CONTROL)), (Ok(false), 0, 0));
}

#[test]
fn page_requests_and_what_they_are_answered() {
    let f = Function::new();
    f.set(REQUEST, 0x1a5 | 7 << 16);
    f.set(ADDRESS, 0x5678);
    f.set(COMMAND, REQUEST_PAGE);
    let expected =
        PageRequest { address: 0x5000, read: true, write: true, last: true, group: 0x1a5, pasid: None };
    assert_eq!((f.agent.pages.lock().pop(), f.get(RESPONSES)), (Some(expected), 0));
    let later = PageResponse { group: 0x1a5, pasid: Some(4), status: PageStatus::Invalid };
    f.agent.master.get().unwrap().cache().unwrap().page_response(later);
    assert_eq!((f.get(RESPONSES), f.get(RESPONSE), f.get(RESPONSE_SUBSTREAM)), (1, 0x11a5, 1 << 31 | 4));
    *f.agent.answer.lock() = Some(expected.answer(PageStatus::Failure));
    f.set(COMMAND, REQUEST_PAGE);
    assert_eq!((f.get(RESPONSES), f.get(RESPONSE), f.get(RESPONSE_SUBSTREAM)), (2, 0xf1a5, 0));
}

#[test]
fn a_transfer_says_that_its_address_was_translated() {
    let f = Function::new();
    for (attributes, translated) in [(0, false), (1 << 4, true)] {
        f.set(ATTRIBUTES, attributes);
        f.set(LENGTH, 8);
        f.set(COMMAND, 1);
        let attrs = DmaAttrs { translated, ..DmaAttrs::default() };
        assert_eq!(f.agent.attrs.lock().pop(), Some((attrs, 0)));
    }
}

/// What it was to forget is forgotten.
#[test]
fn a_restored_master_keeps_no_translation() {
    let f = Function::new();
    f.translate(0x1234_5678, Ok(vec![GRANT]));
    f.set(CONTROL, 1);
    let held = f.invalidate(Invalidation { start: 0, end: 0xfff, ..PAGE });
    let saved = f.master.save();
    f.master.restore(saved).unwrap();
    assert_eq!((f.get(CACHE) & 1, f.get(CACHE) >> 8 & 3, f.get(HELD)), (0, 1, 0));
    assert_eq!((f.get(CONTROL), held.try_recv()), (1, Ok(false)));
}
