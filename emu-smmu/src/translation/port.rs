//! A master's port: where its transactions are translated and made.
//!
//! An access is cut into pages; all of them are translated before a byte moves, for a stalled transaction has moved none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use emu_core::addr::PAGE_SIZE;
use emu_core::atomic::Atomic;
use emu_core::bus::Requester;
use emu_core::dma::ats::{Completion, PageRequest, PageResponse, TranslationRequest};
use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, Master};
use emu_core::ledger::TIMELINE;
use emu_core::{Pa, Security};
use parking_lot::Mutex;

use super::counts::{Counts, StreamCount};
use super::flight::Traffic;
use super::micro::{Key, MicroTlb};
use super::output::Output;
use super::probe::Happening;
use super::{Access, Answer, Core, Refusal, Transaction, Verdict, ats};

/// What the core knows of a port. Ports share no line of the host's cache.
#[repr(align(128))]
pub(super) struct PortState {
    pub(super) master: Master,
    pub(super) traffic: Traffic,
    pub(super) counts: Counts,
    pub(super) zeroes: Zeroes,
}

impl PortState {
    pub(super) fn new(master: Master) -> Self {
        Self { master, traffic: Traffic::default(), counts: Counts::default(), zeroes: Zeroes::default() }
    }

    pub(super) fn count(&self) -> StreamCount {
        self.counts.with(&self.traffic)
    }
}

/// One access of a master: what it tries again as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    first: Transaction,
    len: usize,
}

impl Whole {
    /// Its pages, each with how many bytes are in it. Addresses wrap.
    fn pages(self) -> impl Iterator<Item = (Transaction, usize)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let page = self.at(done);
            let room = (PAGE_SIZE - page.address % PAGE_SIZE) as usize;
            let n = room.min(self.len - done);
            done += n;
            (n != 0).then_some((page, n))
        })
    }

    /// From byte `n` on.
    fn at(&self, n: usize) -> Transaction {
        Transaction { address: self.first.address.wrapping_add(n as u64), ..self.first }
    }
}

/// Pages that are to give zeroes, or to ignore what is written, when their access is tried again: software or the front has said so,
/// and need not say it twice. They are forgotten with the end of the access. A master that never tries again leaves some behind,
/// and so there is an upper limit: what is lost faults again.
#[derive(Default)]
pub(super) struct Zeroes {
    count: AtomicUsize,
    pages: Mutex<Vec<(Whole, Transaction)>>,
}

impl Zeroes {
    const MAX: usize = 64;

    pub(super) fn keep(&self, whole: Whole, page: Transaction) {
        self.change(|all| {
            all.retain(|kept| *kept != (whole, page));
            if all.len() == Self::MAX {
                all.remove(0);
            }
            all.push((whole, page));
        });
    }

    /// The access has ended.
    pub(super) fn forget(&self, whole: Whole) {
        if !self.is_empty() {
            self.change(|all| all.retain(|(of, _)| *of != whole));
        }
    }

    pub(super) fn clear(&self) {
        self.change(Vec::clear);
    }

    fn change(&self, f: impl FnOnce(&mut Vec<(Whole, Transaction)>)) {
        let mut all = self.pages.lock();
        f(&mut all);
        self.count.store(all.len(), Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    fn has(&self, whole: Whole, page: Transaction) -> bool {
        !self.is_empty() && self.pages.lock().contains(&(whole, page))
    }
}

/// Where bytes of an access go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    To(Output),
    /// Nowhere: a read gives zeroes.
    Zero,
}

impl Place {
    /// The place `len` bytes further on.
    fn after(self, len: usize) -> Self {
        match self {
            Self::To(output) => Self::To(output.after(len as u64)),
            Self::Zero => Self::Zero,
        }
    }
}

/// The bytes of an access.
enum Bytes<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8]),
}

impl Bytes<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Read(buf) => buf.len(),
            Self::Write(bytes) => bytes.len(),
        }
    }

    fn access(&self) -> Access {
        match self {
            Self::Read(_) => Access::Read,
            Self::Write(_) => Access::Write,
        }
    }
}

pub(super) struct Port {
    pub(super) core: Arc<Core>,
    pub(super) state: Arc<PortState>,
    micro: MicroTlb,
}

impl Port {
    pub(super) fn new(core: Arc<Core>, state: Arc<PortState>) -> Self {
        Self { core, state, micro: MicroTlb::new() }
    }

    fn access(&self, attrs: DmaAttrs, addr: u64, mut bytes: Bytes<'_>) -> Result<(), DmaFault> {
        let len = bytes.len();
        if len == 0 {
            return Ok(());
        }
        let under_way = self.state.traffic.enter(&self.core.phases);
        let done = match self.known(&attrs, addr, &bytes) {
            Some((block, offset)) => self.go_to_ram(block, offset, 0..len, &mut bytes),
            None => self.find_out(attrs, addr, &mut bytes),
        };
        match done {
            Ok(()) => under_way.moved(len as u64),
            Err(fault) => self.count(fault),
        }
        done
    }

    fn count(&self, fault: DmaFault) {
        match fault {
            DmaFault::Abort => self.state.counts.aborts.add(1),
            DmaFault::Stalled(_) => self.state.counts.stalls.add(1),
        }
    }

    /// An access that is made in one action when all else is known, so that one that was stalled has had no effect.
    fn access_atomically(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        let under_way = self.state.traffic.enter(&self.core.phases);
        let t = self.transaction(DmaAttrs { instruction: false, ..attrs }, addr, Access::Atomic);
        let whole = Whole { first: t, len: atomic.bytes() };
        let zeroed = self.state.zeroes.has(whole, t);
        let place = if zeroed { Ok(Place::Zero) } else { self.place(&t, whole) };
        let done = place.and_then(|place| self.go_atomically(&t, place, atomic));
        if !matches!(done, Err(DmaFault::Stalled(_))) {
            self.state.zeroes.forget(whole);
        }
        match done {
            Ok(_) => under_way.moved(atomic.bytes() as u64),
            Err(fault) => self.count(fault),
        }
        done
    }

    fn go_atomically(&self, t: &Transaction, place: Place, atomic: Atomic) -> Result<u64, DmaFault> {
        let bus = &self.core.bus;
        match place {
            Place::Zero => Ok(0),
            Place::To(Output::Ram { block, offset }) => {
                let ram = self.core.blocks.get(block).ok_or(DmaFault::Abort)?;
                Ok(bus.atomic_block(ram, offset, atomic)?)
            }
            Place::To(Output::At(pa)) => bus.atomic(pa, atomic, Requester::Device(t.stream)).map_err(|_| {
                self.core.front.external_abort(t, pa);
                DmaFault::Abort
            }),
        }
    }

    /// Where an access goes that is to one page of RAM which the port knows: a block and an offset in it. Most are, and cost no
    /// more than this and the copying.
    #[inline]
    fn known(&self, attrs: &DmaAttrs, addr: u64, bytes: &Bytes<'_>) -> Option<(usize, u64)> {
        if !is_within_a_page(addr, bytes.len()) || !self.state.zeroes.is_empty() {
            return None;
        }
        let key = Key::of(attrs, addr, bytes.access())?;
        match self.micro.get(key, self.core.port_epoch(self.core.epoch()))? {
            Output::Ram { block, offset } => Some((block, offset + addr % PAGE_SIZE)),
            Output::At(_) => None,
        }
    }

    /// Any access: its transactions, and what the front and the tables say of them.
    fn find_out(&self, attrs: DmaAttrs, addr: u64, bytes: &mut Bytes<'_>) -> Result<(), DmaFault> {
        let len = bytes.len();
        let first = self.transaction(attrs, addr, bytes.access());
        let whole = Whole { first, len };
        if is_within_a_page(addr, len) && self.state.zeroes.is_empty() {
            self.place(&first, whole).and_then(|place| self.go(&first, place, 0..len, bytes))
        } else {
            self.pages(whole, bytes)
        }
    }

    pub(super) fn transaction(&self, attrs: DmaAttrs, address: u64, access: Access) -> Transaction {
        let translated = attrs.translated;
        Transaction {
            stream: self.state.master.stream_id(),
            substream: attrs.substream.filter(|_| !translated),
            address,
            access,
            privileged: attrs.privileged && !translated,
            instruction: attrs.instruction && !translated,
            security: attrs.security,
            memory: attrs.memory,
            translated,
            may_stall: self.state.master.may_stall(),
        }
    }

    /// An access to several pages, or one that may have been answered in part.
    fn pages(&self, whole: Whole, bytes: &mut Bytes<'_>) -> Result<(), DmaFault> {
        let done = self.runs(whole).and_then(|runs| {
            let mut at = 0;
            for (place, n) in runs {
                self.go(&whole.at(at), place, at..at + n, bytes)?;
                at += n;
            }
            Ok(())
        });
        if !matches!(done, Err(DmaFault::Stalled(_))) {
            self.state.zeroes.forget(whole);
        }
        done
    }

    /// The places that the bytes go to, in order, with how many of them: pages that are next to each other are one.
    fn runs(&self, whole: Whole) -> Result<Vec<(Place, usize)>, DmaFault> {
        let mut runs: Vec<(Place, usize)> = Vec::new();
        for (n, (page, len)) in whole.pages().enumerate() {
            if n != 0 {
                self.state.counts.more_pages.add(1);
            }
            let place =
                if self.state.zeroes.has(whole, page) { Place::Zero } else { self.place(&page, whole)? };
            if place == Place::Zero {
                self.state.zeroes.keep(whole, page);
            }
            match runs.last_mut() {
                Some((start, so_far)) if start.after(*so_far) == place => *so_far += len,
                _ => runs.push((place, len)),
            }
        }
        Ok(runs)
    }

    /// Where a transaction within a page goes, of an access.
    fn place(&self, t: &Transaction, whole: Whole) -> Result<Place, DmaFault> {
        let (key, epoch) = (Key::of(&t.attrs(), t.address, t.access), self.core.epoch());
        let kept = self.core.port_epoch(epoch);
        match key.and_then(|key| self.micro.get(key, kept)) {
            Some(page) => Ok(Place::To(page.after(t.address % PAGE_SIZE))),
            None => self.place_unknown(t, whole, key, epoch),
        }
    }

    fn place_unknown(
        &self,
        t: &Transaction,
        whole: Whole,
        key: Option<Key>,
        mut epoch: u64,
    ) -> Result<Place, DmaFault> {
        self.state.counts.misses.add(1);
        loop {
            // Before the map is looked at.
            let kept = self.core.port_epoch(epoch);
            let counted = self.counted(t);
            let refusal = match self.ask(t, epoch) {
                Ok(pa) => {
                    let output = self.core.output(pa);
                    if let Some(key) = key.filter(|_| !counted && self.core.watch.is_off()) {
                        self.micro.put(key, kept, output);
                    }
                    return Ok(Place::To(output));
                }
                Err(refusal) => refusal,
            };
            match refusal {
                Refusal::Abort => return Err(DmaFault::Abort),
                Refusal::Zero => return Ok(Place::Zero),
                Refusal::Stall(tag) => match self.core.stalls.park(tag, &self.state, whole) {
                    None => return Err(DmaFault::Stalled(tag)),
                    Some(Answer::Abort) => return Err(DmaFault::Abort),
                    Some(Answer::Zero) => return Ok(Place::Zero),
                    // Software was quicker than this thread.
                    Some(Answer::Retry) => epoch = self.core.epoch(),
                },
            }
        }
    }

    /// Tells a performance monitor. What it counts is to come this way again.
    fn counted(&self, t: &Transaction) -> bool {
        let probe = &self.core.probe;
        let translated = t.translated && probe.tell(t.stream, Happening::TranslatedTransaction, 1);
        probe.tell(t.stream, Happening::Transaction, 1) | translated
    }

    /// What the front says, and the tables.
    fn ask(&self, t: &Transaction, epoch: u64) -> Result<Pa, Refusal> {
        let front = &self.core.front;
        let verdict = front.verdict(t);
        if !self.core.watch.is_off() {
            self.core.look_at_verdict(t);
        }
        match verdict {
            // All streams are Non-secure, whatever space their masters ask for (Arm IHI 0070, 13.4).
            Verdict::Bypass => Pa::new(t.address, Security::NonSecure).ok_or(Refusal::Abort),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Translate(context) => {
                self.core.translate(t, &context, epoch, &self.state.counts).map_err(|fault| {
                    self.state.counts.faults.add(1);
                    tracing::trace!(target: TIMELINE, stream = t.stream, fault = t.address);
                    front.fault(t, &context, &super::Faulted { fault, on_context: false })
                })
            }
        }
    }

    /// Moves a part of the bytes from or to a block of RAM. A page that is RAM is so as a whole, and a moment ago the map said so.
    #[inline]
    fn go_to_ram(
        &self,
        block: usize,
        offset: u64,
        part: std::ops::Range<usize>,
        bytes: &mut Bytes<'_>,
    ) -> Result<(), DmaFault> {
        let bus = &self.core.bus;
        let ram = self.core.blocks.get(block).ok_or(DmaFault::Abort)?;
        match bytes {
            Bytes::Read(buf) => bus.read_block(ram, offset, &mut buf[part])?,
            Bytes::Write(bytes) => bus.write_block(ram, offset, &bytes[part])?,
        }
        Ok(())
    }

    /// Moves a part of the bytes.
    fn go(
        &self,
        t: &Transaction,
        place: Place,
        part: std::ops::Range<usize>,
        bytes: &mut Bytes<'_>,
    ) -> Result<(), DmaFault> {
        let output = match place {
            Place::To(output) => output,
            Place::Zero => {
                if let Bytes::Read(buf) = bytes {
                    buf[part].fill(0);
                }
                return Ok(());
            }
        };
        let pa = match output {
            Output::Ram { block, offset } => return self.go_to_ram(block, offset, part, bytes),
            Output::At(pa) => pa,
        };
        let bus = &self.core.bus;
        let from = Requester::Device(t.stream);
        let gone = match bytes {
            Bytes::Read(buf) => bus.read_bytes(pa, &mut buf[part], from),
            Bytes::Write(bytes) => bus.write_bytes(pa, &bytes[part], from),
        };
        gone.map_err(|_| {
            self.core.front.external_abort(t, pa);
            DmaFault::Abort
        })
    }
}

/// All bytes of an access are in one page.
#[inline]
const fn is_within_a_page(addr: u64, len: usize) -> bool {
    len as u64 <= PAGE_SIZE - addr % PAGE_SIZE
}

impl DmaPort for Port {
    fn stream_id(&self) -> u32 {
        self.state.master.stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.access(attrs, addr, Bytes::Read(buf))
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.access(attrs, addr, Bytes::Write(bytes))
    }
    fn atomic(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        // No interconnect carries another one: it does not come to the SMMU.
        if !atomic.is_aligned(addr) {
            self.count(DmaFault::Abort);
            return Err(DmaFault::Abort);
        }
        self.access_atomically(attrs, addr, atomic)
    }
    fn translate(&self, request: &TranslationRequest) -> Completion {
        let _under_way = self.state.traffic.enter(&self.core.phases);
        ats::complete(self, request)
    }
    fn request_page(&self, request: &PageRequest) -> Option<PageResponse> {
        self.core.front.page_request(self.stream_id(), request)
    }
}
