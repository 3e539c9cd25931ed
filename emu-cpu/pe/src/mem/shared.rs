//! What the vCPUs of a machine share on their memory side.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use emu_core::Pa;
use emu_core::addr::PAGE_SHIFT;
use emu_core::dma::WriteObserver;
use emu_mmu::TlbiScope;
use parking_lot::Mutex;

use crate::doorbell::{Doorbell, reason};

/// Which pages hold translated code, and a generation that grows when such a page is written. It knows the pages of RAM, and
/// those of memory that is written through a device (flash), which tells of what it changes ([`WriteObserver`]).
///
/// One word per page: bit 0 says that some vCPU has made code from the page since its last write, the other bits are the
/// generation that a block must match to be run.
pub struct CodeMap {
    ranges: Vec<(u64, Box<[AtomicU32]>)>,
}

impl CodeMap {
    fn new(memory: &[(Pa, u64)]) -> Self {
        let words = |bytes: u64| (0..bytes >> PAGE_SHIFT).map(|_| AtomicU32::new(0)).collect();
        Self { ranges: memory.iter().map(|&(base, size)| (base.page_number(), words(size))).collect() }
    }

    /// The ranges of memory: number of the first page, and how many.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, usize)> {
        self.ranges.iter().map(|(first, words)| (*first, words.len()))
    }

    /// Writes to the page are noticed.
    pub(super) fn has(&self, page: u64) -> bool {
        self.word(page).is_some()
    }

    #[inline]
    fn word(&self, page: u64) -> Option<&AtomicU32> {
        self.ranges.iter().find_map(|(first, words)| words.get(page.checked_sub(*first)? as usize))
    }

    /// The generation of a page; constant for pages that nobody knows to be memory.
    #[inline]
    #[must_use]
    pub fn generation(&self, page: u64) -> u32 {
        self.word(page).map_or(0, |w| w.load(Ordering::Acquire) >> 1)
    }

    /// For host code: the host address of the page's word, and its value as long as code of this generation is good.
    /// `None` for pages that nobody knows to be memory, whose code is always good.
    pub fn validity(&self, page: u64, generation: u32) -> Option<(u64, u32)> {
        self.word(page).map(|w| (w.as_ptr().expose_provenance() as u64, generation << 1 | 1))
    }

    /// True if code was made from the page and it has not been written since.
    #[must_use]
    pub fn has_code(&self, page: u64) -> bool {
        self.word(page).is_some_and(|w| w.load(Ordering::Acquire) & 1 != 0)
    }

    /// Says that code will be made from the page. True if that is news: then all write tags must be revoked, before the
    /// page is read. The generation is that of the very moment of the marking: a write in between would clear the mark,
    /// and code under the generation after it would never be out of date again.
    fn mark(&self, page: u64) -> (bool, u32) {
        let before = self.word(page).map_or(1, |w| w.fetch_or(1, Ordering::AcqRel));
        (before & 1 == 0, before >> 1)
    }

    /// The page was, or may have been, written: code made from it is out of date. True if there is such code.
    pub(super) fn wrote(&self, page: u64) -> bool {
        let next = |v: u32| (v & 1 != 0).then_some((v & !1).wrapping_add(2));
        self.word(page).is_some_and(|w| w.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok())
    }
}

/// A request from one vCPU to another.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// TLB maintenance.
    Tlbi(TlbiScope),
    /// Code is made from this physical page: drop write tags for it.
    Revoke(u64),
    /// There were more of the latter than are kept: drop all write tags.
    RevokeAll,
}

/// Requests that wait for a vCPU, at most: one that is off or asleep takes none. More than these are worth a full flush.
const MOST_REQUESTS: usize = 1024;

/// Puts a request into an inbox. When there are too many, those of each kind become one that includes them.
fn put(inbox: &mut Vec<Request>, request: Request) {
    if inbox.len() >= MOST_REQUESTS {
        let is_tlbi = |r: &Request| matches!(r, Request::Tlbi(_));
        let (tlbi, revoke) = (inbox.iter().any(is_tlbi), !inbox.iter().all(is_tlbi));
        inbox.clear();
        if tlbi {
            inbox.extend([TlbiScope::AllEl1, TlbiScope::AllEl2].map(Request::Tlbi));
        }
        if revoke {
            inbox.push(Request::RevokeAll);
        }
    }
    inbox.push(request);
}

/// One vCPU as others see it.
#[derive(Default)]
struct Peer {
    inbox: Mutex<Vec<Request>>,
    /// Requests put into the inbox, and taken out and done, so far.
    posted: AtomicU64,
    served: AtomicU64,
    /// It runs no guest code, and will serve its inbox before it does.
    parked: AtomicBool,
    bell: OnceLock<Arc<Doorbell>>,
}

/// See the module's head.
pub struct Shared {
    /// Pages with translated code.
    pub code: CodeMap,
    /// In lockstep, one vCPU runs at a time.
    pub turn: Mutex<()>,
    peers: Vec<Peer>,
}

impl Shared {
    /// For `cpus` vCPUs and these ranges of memory (base, bytes): RAM, and flash that tells what it changes.
    #[must_use]
    pub fn new(cpus: usize, memory: &[(Pa, u64)]) -> Self {
        let parked = || Peer { parked: AtomicBool::new(true), ..Peer::default() };
        Self {
            code: CodeMap::new(memory),
            turn: Mutex::default(),
            peers: (0..cpus).map(|_| parked()).collect(),
        }
    }

    /// Says how to get the attention of a vCPU.
    pub fn set_doorbell(&self, index: usize, bell: Arc<Doorbell>) {
        if let Some(peer) = self.peers.get(index) {
            // A second doorbell for the same vCPU has no meaning; the first one stays.
            let _ = peer.bell.set(bell);
        }
    }

    /// True if there is more than one vCPU.
    #[inline]
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.peers.len() > 1
    }

    /// The vCPU is about to run guest code (after which it must serve its inbox), or has stopped doing so.
    pub fn set_parked(&self, index: usize, parked: bool) {
        if let Some(peer) = self.peers.get(index) {
            peer.parked.store(parked, Ordering::SeqCst);
        }
    }

    /// Posts a request to every vCPU but `me`.
    pub fn post(&self, me: usize, request: Request) {
        for (_, peer) in self.peers.iter().enumerate().filter(|(i, _)| *i != me) {
            {
                let mut inbox = peer.inbox.lock();
                put(&mut inbox, request);
                peer.posted.fetch_add(1, Ordering::SeqCst);
            }
            if let Some(bell) = peer.bell.get()
                && !peer.parked.load(Ordering::SeqCst)
            {
                bell.ring(reason::REQUEST);
            }
        }
    }

    /// True if there is something in the inbox of `me`.
    #[inline]
    pub(super) fn has_requests(&self, me: usize) -> bool {
        let news = |p: &Peer| p.posted.load(Ordering::SeqCst) != p.served.load(Ordering::SeqCst);
        self.peers.get(me).is_some_and(news)
    }

    /// Does what is in the inbox of `me`.
    pub fn serve(&self, me: usize, mut each: impl FnMut(Request)) {
        if !self.has_requests(me) {
            return;
        }
        let Some(peer) = self.peers.get(me) else { return };
        let (requests, posted) = {
            let mut inbox = peer.inbox.lock();
            (std::mem::take(&mut *inbox), peer.posted.load(Ordering::SeqCst))
        };
        requests.into_iter().for_each(&mut each);
        peer.served.store(posted, Ordering::SeqCst);
    }

    /// Waits until every other vCPU has done what was posted so far, or is parked; `serve_own` is called meanwhile, so
    /// that two of them waiting for each other go on.
    pub fn wait_served(&self, me: usize, mut serve_own: impl FnMut()) {
        for (_, peer) in self.peers.iter().enumerate().filter(|(i, _)| *i != me) {
            let target = peer.posted.load(Ordering::SeqCst);
            let mut spins = 0u32;
            while peer.served.load(Ordering::SeqCst) < target && !peer.parked.load(Ordering::SeqCst) {
                serve_own();
                spins += 1;
                if spins < 64 {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Marks a page as holding code; on news, revokes write tags everywhere but at `me`, who revokes its own. True on
    /// news; and the generation that the code belongs to.
    pub(crate) fn mark_code(&self, me: usize, page: u64) -> (bool, u32) {
        let (news, generation) = self.code.mark(page);
        if news && self.has_peers() {
            self.post(me, Request::Revoke(page));
        }
        (news, generation)
    }

    /// A page was, or may have been, written. Code that was made from it ends at its next check, on every vCPU; one that is
    /// parked checks before it runs anything.
    pub fn wrote_page(&self, page: u64) {
        if self.code.wrote(page) {
            let awake = self.peers.iter().filter(|p| !p.parked.load(Ordering::SeqCst));
            awake.filter_map(|p| p.bell.get()).for_each(|b| b.ring(reason::REQUEST));
        }
    }

    /// Sets the event register of all vCPUs.
    pub fn send_event_to_all(&self) {
        self.peers.iter().filter_map(|p| p.bell.get()).for_each(|b| b.send_event());
    }
}

impl WriteObserver for Shared {
    fn wrote(&self, pa: Pa, len: u64) {
        if len == 0 {
            return;
        }
        for page in pa.page_number()..=pa.offset(len - 1).page_number() {
            self.wrote_page(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_code_is_a_new_generation() {
        let shared = Shared::new(1, &[(Pa(0x4000_0000), 0x4000)]);
        let page = 0x40001;
        shared.wrote(Pa(0x4000_1000), 16);
        assert_eq!(shared.code.generation(page), 0, "no code, no news");
        assert_eq!(shared.mark_code(0, page), (true, 0));
        assert_eq!(shared.mark_code(0, page), (false, 0));
        shared.wrote(Pa(0x4000_0ff8), 16);
        assert_eq!(shared.code.generation(page), 1);
        assert!(!shared.code.has_code(page));
        assert_eq!(shared.code.generation(0x1234), 0, "not RAM");
    }

    #[test]
    fn a_write_right_after_the_marking_is_seen() {
        let shared = Shared::new(2, &[(Pa(0x4000_0000), 0x4000)]);
        let page = 0x40001;
        for _ in 0..3 {
            let (news, generation) = shared.mark_code(0, page);
            assert!(news);
            // Another vCPU writes before the page is read.
            shared.code.wrote(page);
            assert_ne!(shared.code.generation(page), generation, "what was made is out of date");
        }
    }

    /// 100,000 rounds of self-modifying code on a machine whose other CPUs are off.
    #[test]
    fn requests_to_a_cpu_that_is_off_do_not_pile_up() {
        let shared = Shared::new(2, &[]);
        for n in 0..100_000 {
            shared.post(0, Request::Revoke(n));
            if n == 500 {
                shared.post(0, Request::Tlbi(TlbiScope::AllEl2));
            }
        }
        assert!(shared.peers[1].inbox.lock().capacity() <= 2 * MOST_REQUESTS);
        let mut seen = Vec::new();
        shared.serve(1, |r| seen.push(format!("{r:?}")));
        assert!(seen.len() <= MOST_REQUESTS);
        assert_eq!(seen[..3], ["Tlbi(AllEl1)", "Tlbi(AllEl2)", "RevokeAll"], "nothing is forgotten");
        assert_eq!(seen.last().unwrap(), "Revoke(99999)");
        assert!(!shared.has_requests(1));
    }

    #[test]
    fn requests_reach_others_and_are_waited_for() {
        let shared = Shared::new(2, &[]);
        shared.set_parked(1, false);
        shared.post(0, Request::Revoke(7));
        let mut seen = Vec::new();
        shared.serve(0, |r| seen.push(format!("own {r:?}")));
        // The other one serves while we wait.
        shared.wait_served(0, || shared.serve(1, |r| seen.push(format!("{r:?}"))));
        assert_eq!(seen, ["Revoke(7)"]);
        shared.set_parked(1, true);
        shared.post(0, Request::Revoke(8));
        shared.wait_served(0, || panic!("a parked vCPU is not waited for"));
    }
}
