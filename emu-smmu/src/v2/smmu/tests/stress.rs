//! Stalls of several streams in one context, while another CPU invalidates and writes the configuration: none is lost, none is
//! answered twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const MASTERS: u32 = 4;
const PAGES: u64 = 100;

/// Sends on what it is told.
struct Answers(Mutex<mpsc::Sender<(StallTag, bool)>>);

impl DmaClient for Answers {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().send((tag, retry)).unwrap();
    }
}

/// Reads each of its pages; each read stalls at least once.
fn master(m: &Machine, master: u32) -> Vec<Result<u64, DmaFault>> {
    let (sender, answers) = mpsc::channel();
    let client = Arc::new(Answers(Mutex::new(sender)));
    let weak: Weak<dyn DmaClient> = Arc::<Answers>::downgrade(&client);
    let port = m.smmu.port(Master::new(STREAM + master, Stalls::Notify(weak)));
    let one = |page: u64| loop {
        let end = read(&port, (u64::from(master) * PAGES + page) << 12);
        let Err(DmaFault::Stalled(tag)) = end else { return end };
        let (answered, retry) = answers.recv_timeout(Duration::from_secs(60)).expect("a lost stall");
        assert_eq!(answered, tag, "an answer to something else");
        if !retry {
            return Err(DmaFault::Abort);
        }
    };
    let ends = (0..PAGES).map(one).collect();
    assert!(answers.try_recv().is_err(), "answered twice");
    ends
}

/// Every second page is mapped, the others are terminated.
fn is_mapped(page: u64) -> bool {
    page.is_multiple_of(2)
}

/// A handler of faults, until the masters have ended.
fn handler(m: &Machine, left: &AtomicUsize) {
    while left.load(Ordering::SeqCst) != 0 {
        let fsr = m.r(cb(3) + FSR);
        if fsr & 1 << 30 == 0 {
            m.w(cb(3) + FSR, fsr);
            std::thread::yield_now();
            continue;
        }
        let page = m.r64(cb(3) + FAR) >> 12;
        if is_mapped(page) {
            m.map(S1, page << 12, DATA | PAGE);
        }
        m.w(cb(3) + FSR, fsr);
        m.w(cb(3) + RESUME, (!is_mapped(page)).into());
    }
}

fn run(sctlr: u64) {
    let m = Machine::new();
    m.enable();
    // All streams of the test in one group.
    m.w(0xc00, 3);
    m.w(0x800, 1 << 31 | 7 << 16 | u64::from(STREAM));
    m.stage1(3, 0x0001_0000, sctlr);
    m.put(S1, (S1 + 0x1000) | 3);
    m.put(S1 + 0x1000, (S1 + 0x2000) | 3);
    m.put(DATA, 0x1234_5678);
    let left = AtomicUsize::new(MASTERS as usize);
    let ends: Vec<_> = std::thread::scope(|s| {
        let masters: Vec<_> = (0..MASTERS)
            .map(|n| {
                let (m, left) = (&m, &left);
                s.spawn(move || {
                    let ends = master(m, n);
                    left.fetch_sub(1, Ordering::SeqCst);
                    ends
                })
            })
            .collect();
        s.spawn(|| handler(&m, &left));
        s.spawn(|| {
            while left.load(Ordering::SeqCst) != 0 {
                m.w(cb(3) + 0x610, 5);
                m.w(cb(3) + 0x7f0, 0);
                m.w(0xc00, 3);
                std::thread::yield_now();
            }
        });
        masters.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (n, ends) in (0..).zip(ends) {
        for (page, end) in (0..).zip(ends) {
            let expected = if is_mapped(n * PAGES + page) { Ok(0x1234_5678) } else { Err(DmaFault::Abort) };
            assert_eq!(end, expected, "master {n}, page {page}");
        }
    }
    assert!(m.smmu.core().stalled().is_empty());
}

#[test]
fn stalls_that_hold_others_back_are_answered_once() {
    run(USUAL | CFCFG);
}

#[test]
fn stalls_that_hold_nobody_back_are_answered_once() {
    run(USUAL | CFCFG | HUPCF);
}
