//! What the vCPUs of a machine share on their memory side.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use emu_core::bus::Requester;
use emu_core::page::{DirectWriters, Page};
use emu_mmu::{TlbiListener, TlbiScope};
use parking_lot::{Mutex, RwLock};

use crate::doorbell::{Doorbell, reason};

/// What one vCPU asks of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerRequest {
    /// TLB maintenance.
    Tlbi(TlbiScope),
    /// This page is watched: drop write tags for it.
    Revoke(Page),
    /// There were more of the latter than are kept: drop all write tags.
    RevokeAll,
}

/// Requests that wait for a vCPU, at most: one that is off or asleep takes none. More than these are worth a full flush.
const MOST_REQUESTS: usize = 1024;

/// Puts a request into an inbox. When there are too many, those of each kind become one that includes them.
fn put(inbox: &mut Vec<PeerRequest>, request: PeerRequest) {
    if inbox.len() >= MOST_REQUESTS {
        let is_tlbi = |r: &PeerRequest| matches!(r, PeerRequest::Tlbi(_));
        let (tlbi, revoke) = (inbox.iter().any(is_tlbi), !inbox.iter().all(is_tlbi));
        inbox.clear();
        if tlbi {
            inbox.extend([TlbiScope::AllEl1, TlbiScope::AllEl2].map(PeerRequest::Tlbi));
        }
        if revoke {
            inbox.push(PeerRequest::RevokeAll);
        }
    }
    inbox.push(request);
}

/// One vCPU as others see it.
#[derive(Default)]
struct Peer {
    inbox: Mutex<Vec<PeerRequest>>,
    /// Requests put into the inbox, and taken out and done, so far.
    posted: AtomicU64,
    served: AtomicU64,
    /// It runs no guest code, and will serve its inbox before it does.
    parked: AtomicBool,
    bell: OnceLock<Arc<Doorbell>>,
}

/// See the module's head.
pub struct Shared {
    peers: Vec<Peer>,
    /// Who else is told of TLB maintenance.
    listeners: RwLock<Vec<Arc<dyn TlbiListener>>>,
}

impl Shared {
    /// For `cpus` vCPUs.
    #[must_use]
    pub fn new(cpus: usize) -> Self {
        let parked = || Peer { parked: AtomicBool::new(true), ..Peer::default() };
        Self { peers: (0..cpus).map(|_| parked()).collect(), listeners: RwLock::default() }
    }

    /// Says how to get the attention of a vCPU.
    pub(super) fn set_doorbell(&self, index: usize, bell: Arc<Doorbell>) {
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

    /// Tells `listener` of all TLB maintenance that is broadcast: an SMMU that takes part in it, say.
    pub fn listen(&self, listener: Arc<dyn TlbiListener>) {
        self.listeners.write().push(listener);
    }

    /// TLB maintenance by `me` that is broadcast in the Inner or Outer Shareable domain.
    pub(super) fn broadcast(&self, me: usize, scope: TlbiScope) {
        self.listeners.read().iter().for_each(|l| l.invalidate(&scope));
        if self.has_peers() {
            self.post(me, PeerRequest::Tlbi(scope));
        }
    }

    /// Posts a request to every vCPU but `me`.
    pub fn post(&self, me: usize, request: PeerRequest) {
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
    pub fn serve(&self, me: usize, mut each: impl FnMut(PeerRequest)) {
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

    /// Sets the event register of all vCPUs.
    pub fn send_event_to_all(&self) {
        self.peers.iter().filter_map(|p| p.bell.get()).for_each(|b| b.send_event());
    }
}

impl DirectWriters for Shared {
    /// By their inboxes: they give up their write tags before they pass a barrier that waits for it, or look for requests.
    fn revoke(&self, page: Page, except: Requester) {
        let me = if let Requester::Cpu(index) = except { index as usize } else { usize::MAX };
        self.post(me, PeerRequest::Revoke(page));
    }

    /// Code that was made from the page ends at its next check, on every vCPU; one that is parked checks before it runs
    /// anything.
    fn wrote(&self) {
        let awake = self.peers.iter().filter(|p| !p.parked.load(Ordering::SeqCst));
        awake.filter_map(|p| p.bell.get()).for_each(|b| b.ring(reason::REQUEST));
    }
}

#[cfg(test)]
mod tests {
    use emu_core::ram::GuestRam;

    use super::*;

    fn pages<const N: usize>() -> [Page; N] {
        let ram = GuestRam::new(N as u64 * 4096).unwrap();
        std::array::from_fn(|n| ram.place(n as u64 * 4096).unwrap().page())
    }

    #[test]
    fn a_write_to_a_watched_page_rings_for_those_that_run() {
        let ram = GuestRam::new(4096).unwrap();
        let shared = Arc::new(Shared::new(2));
        let writers: Arc<dyn DirectWriters> = shared.clone();
        ram.attach(&writers);
        let bells = [0, 1].map(|n| {
            let bell = Arc::new(Doorbell::default());
            shared.set_doorbell(n, bell.clone());
            bell
        });
        shared.set_parked(0, false);
        let rung = || bells.each_ref().map(|b| b.is_rung());
        ram.store_u8(0, 1).unwrap();
        assert_eq!(rung(), [false, false], "nobody watches");
        let _ = ram.place(0).unwrap().page().watch(Requester::Cpu(0));
        assert_eq!((shared.has_requests(0), shared.has_requests(1)), (false, true));
        ram.store_u8(0, 1).unwrap();
        assert_eq!(rung(), [true, false]);
    }

    /// 100,000 rounds of self-modifying code on a machine whose other CPUs are off.
    #[test]
    fn requests_to_a_cpu_that_is_off_do_not_pile_up() {
        let shared = Shared::new(2);
        let [page, last] = pages();
        for n in 0..100_000 {
            shared.post(0, PeerRequest::Revoke(if n == 99_999 { last } else { page }));
            if n == 500 {
                shared.post(0, PeerRequest::Tlbi(TlbiScope::AllEl2));
            }
        }
        assert!(shared.peers[1].inbox.lock().capacity() <= 2 * MOST_REQUESTS);
        let mut seen = Vec::new();
        shared.serve(1, |r| seen.push(r));
        assert!(seen.len() <= MOST_REQUESTS);
        let all = [
            PeerRequest::Tlbi(TlbiScope::AllEl1),
            PeerRequest::Tlbi(TlbiScope::AllEl2),
            PeerRequest::RevokeAll,
        ];
        assert_eq!(seen[..3], all, "nothing is forgotten");
        assert_eq!(seen.last(), Some(&PeerRequest::Revoke(last)));
        assert!(!shared.has_requests(1));
    }

    #[test]
    fn requests_reach_others_and_are_waited_for() {
        let shared = Shared::new(2);
        let [page] = pages();
        shared.set_parked(1, false);
        shared.post(0, PeerRequest::Revoke(page));
        let mut seen = Vec::new();
        shared.serve(0, |r| panic!("own {r:?}"));
        // The other one serves while we wait.
        shared.wait_served(0, || shared.serve(1, |r| seen.push(r)));
        assert_eq!(seen, [PeerRequest::Revoke(page)]);
        shared.set_parked(1, true);
        shared.post(0, PeerRequest::Revoke(page));
        shared.wait_served(0, || panic!("a parked vCPU is not waited for"));
    }
}
