//! What a master's transactions do, and what they must do: the port that a [`Dma`](emu_core::dma::Dma) moves its bytes through
//! keeps account of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, StallTag};
use parking_lot::Mutex;

use super::rig::{PAGE, WINDOW, physical};
use super::{Run, count};

/// Pages of a stream that a processor has had answered with zeroes since their transfer began.
#[derive(Default)]
pub(super) struct Zeroed(Mutex<BTreeSet<u64>>);

impl Zeroed {
    /// To be noted before the answer is given.
    pub(super) fn note(&self, page: u64) {
        self.0.lock().insert(page);
    }

    fn begin(&self, pages: &std::ops::Range<u64>) {
        self.0.lock().retain(|page| !pages.contains(page));
    }

    fn has(&self, page: u64) -> bool {
        self.0.lock().contains(&page)
    }
}

/// What is in a buffer before it is read into.
pub(super) const UNREAD: u8 = 0xee;

/// How often each stall of a master was seen and was answered.
#[derive(Default)]
pub(super) struct Answers(Mutex<BTreeMap<u64, (u32, u32)>>);

impl Answers {
    fn stalled(&self, tag: StallTag) {
        self.0.lock().entry(tag.0).or_default().0 += 1;
    }

    pub(super) fn answered(&self, tag: StallTag) {
        self.0.lock().entry(tag.0).or_default().1 += 1;
    }

    /// Each stall was answered, and once. One that is still under way is not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.0.lock().iter().find(|(_, counts)| **counts != (1, 1)) {
            None => Ok(()),
            Some((tag, (stalled, answered))) => {
                Err(format!("tag {tag:#x} was seen {stalled} times and answered {answered} times"))
            }
        }
    }

    /// All stalls that were seen have been answered.
    pub(super) fn are_complete(&self) -> bool {
        self.0.lock().values().all(|(stalled, answered)| stalled <= answered)
    }
}

/// The transfer under way.
#[derive(Default)]
struct Account {
    /// Address and length of the transaction that is stalled.
    stalled: Option<(u64, usize)>,
    /// What is left of the transfer.
    left: Vec<(u64, usize)>,
    /// Bytes that were moved.
    moved: usize,
    problem: Option<String>,
}

/// The way to memory of one task of a master, which has some of the stream's pages for itself.
pub(super) struct Ledger {
    run: Arc<Run>,
    port: Arc<dyn DmaPort>,
    answers: Arc<Answers>,
    stream: u32,
    pages: std::ops::Range<u64>,
    /// What must be in the pages.
    mirror: Mutex<Vec<u8>>,
    account: Mutex<Account>,
}

impl Ledger {
    /// In front of the port that the master has from the SMMU.
    pub(super) fn new(
        run: &Arc<Run>,
        port: Arc<dyn DmaPort>,
        answers: Arc<Answers>,
        stream: u32,
        pages: std::ops::Range<u64>,
    ) -> Self {
        let mut mirror = vec![0; ((pages.end - pages.start) * PAGE) as usize];
        for (page, bytes) in pages.clone().zip(mirror.chunks_mut(PAGE as usize)) {
            run.rig.ram.read(physical(stream, page), bytes).expect("it is in memory");
        }
        let (mirror, account) = (Mutex::new(mirror), Mutex::default());
        Self { run: run.clone(), port, answers, stream, pages, mirror, account }
    }

    fn is_zeroed(&self, page: u64) -> bool {
        self.run.zeroed[self.stream as usize].has(page)
    }

    fn memory(&self, page: u64, offset: u64, bytes: &mut [u8]) {
        self.run.rig.ram.read(physical(self.stream, page) + offset, bytes).expect("it is in memory");
    }

    /// The first address of the pages.
    pub(super) fn window(&self) -> u64 {
        WINDOW + self.pages.start * PAGE
    }

    /// A transfer begins, of these segments.
    pub(super) fn begin(&self, segments: Vec<(u64, usize)>) {
        self.run.zeroed[self.stream as usize].begin(&self.pages);
        *self.account.lock() = Account { left: segments, ..Account::default() };
    }

    /// Bytes that the transfer has moved so far.
    pub(super) fn moved(&self) -> usize {
        self.account.lock().moved
    }

    /// What is in memory is what was written, and no byte more.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(problem) = self.account.lock().problem.take() {
            return Err(problem);
        }
        let mirror = self.mirror.lock();
        let mut found = [0; PAGE as usize];
        for (page, expected) in self.pages.clone().zip(mirror.chunks(PAGE as usize)) {
            self.memory(page, 0, &mut found);
            if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
                return Err(format!(
                    "byte {at:#x} of page {page} is {:#x} and should be {:#x}",
                    found[at], expected[at]
                ));
            }
        }
        Ok(())
    }

    /// A transaction is made: it must be the one that stalled, or the next one.
    fn made(&self, addr: u64, len: usize) {
        let account = &mut *self.account.lock();
        let expected = account.stalled.or(account.left.first().copied());
        if expected != Some((addr, len)) {
            account.problem = Some(format!("{len} bytes at {addr:#x} instead of {expected:x?}"));
        }
    }

    /// How it ended.
    fn ended(&self, addr: u64, len: usize, how: Result<(), DmaFault>) {
        if let Err(DmaFault::Stalled(tag)) = how {
            self.answers.stalled(tag);
            count(&self.run.counts.stalls);
        }
        let account = &mut *self.account.lock();
        account.stalled = matches!(how, Err(DmaFault::Stalled(_))).then_some((addr, len));
        if how.is_ok() {
            account.moved += len;
            if !account.left.is_empty() {
                account.left.remove(0);
            }
        }
    }

    /// The parts of an access by page: where they are in it and in the pages, and if the page was answered with zeroes.
    fn parts(&self, addr: u64, len: usize) -> impl Iterator<Item = (std::ops::Range<usize>, usize, u64)> {
        let first = (addr - self.window()) as usize;
        let mut done = 0;
        std::iter::from_fn(move || {
            let at = first + done;
            let n = (PAGE as usize - at % PAGE as usize).min(len - done);
            let part = done..done + n;
            done += n;
            (n != 0).then_some((part, at, at as u64 / PAGE))
        })
    }

    fn problem(&self, problem: String) {
        self.account.lock().problem.get_or_insert(problem);
    }

    /// What was read of a page is what is there, or zeroes where they were the answer.
    fn is_right(&self, found: &[u8], there: &[u8], page: u64) -> bool {
        found == there || found.iter().all(|b| *b == 0) && self.is_zeroed(self.pages.start + page)
    }

    /// Bytes have been read. A page of zeroes is one that was answered so.
    fn has_read(&self, addr: u64, bytes: &[u8]) {
        let mirror = self.mirror.lock();
        for (part, at, page) in self.parts(addr, bytes.len()) {
            if !self.is_right(&bytes[part.clone()], &mirror[at..at + part.len()], page) {
                self.problem(format!("{} bytes read at {addr:#x} are not those of memory", part.len()));
            }
        }
    }

    /// Bytes have been written, but to a page that was answered so.
    fn has_written(&self, addr: u64, bytes: &[u8]) {
        let mirror = &mut *self.mirror.lock();
        for (part, at, page) in self.parts(addr, bytes.len()) {
            let page = self.pages.start + page;
            let there = &mut mirror[at..at + part.len()];
            let mut found = vec![0; part.len()];
            self.memory(page, at as u64 % PAGE, &mut found);
            let ignored = self.is_zeroed(page) && found == there;
            if !ignored {
                there.copy_from_slice(&bytes[part]);
            }
        }
    }

    /// An access that was aborted may have moved its first pages, where a later one went to memory that is not there: as the SMMU
    /// was reset meanwhile, and does not translate. They are forgotten.
    fn has_read_in_part(&self, addr: u64, bytes: &mut [u8]) {
        let mirror = self.mirror.lock();
        let last = self.parts(addr, bytes.len()).count() - 1;
        for (part, at, page) in self.parts(addr, bytes.len()).take(last) {
            let bytes = &mut bytes[part];
            if !self.is_right(bytes, &mirror[at..at + bytes.len()], page) {
                return;
            }
            bytes.fill(UNREAD);
        }
    }

    /// The same of what is written.
    fn has_written_in_part(&self, addr: u64, bytes: &[u8]) {
        let mirror = &mut *self.mirror.lock();
        let last = self.parts(addr, bytes.len()).count() - 1;
        for (part, at, page) in self.parts(addr, bytes.len()).take(last) {
            let mut found = vec![0; part.len()];
            self.memory(self.pages.start + page, at as u64 % PAGE, &mut found);
            let there = &mut mirror[at..at + part.len()];
            if found == bytes[part] {
                there.copy_from_slice(&found);
            } else if !(self.is_zeroed(self.pages.start + page) && found == *there) {
                return;
            }
        }
    }
}

impl DmaPort for Ledger {
    fn stream_id(&self) -> u32 {
        self.stream
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.made(addr, buf.len());
        let how = self.port.read(attrs, addr, buf);
        match how {
            Ok(()) => self.has_read(addr, buf),
            Err(DmaFault::Abort) => self.has_read_in_part(addr, buf),
            Err(DmaFault::Stalled(_)) => {}
        }
        self.ended(addr, buf.len(), how);
        how
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.made(addr, bytes.len());
        let how = self.port.write(attrs, addr, bytes);
        match how {
            Ok(()) => self.has_written(addr, bytes),
            Err(DmaFault::Abort) => self.has_written_in_part(addr, bytes),
            Err(DmaFault::Stalled(_)) => {}
        }
        self.ended(addr, bytes.len(), how);
        how
    }
}
