//! Stalls over several streams while another CPU invalidates: none is lost, none is answered twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const MASTERS: u32 = 4;
const PAGES: u64 = 100;
/// The first page of a master in the window at 1 GiB.
const fn window(master: u32) -> u64 {
    1 << 30 | (master as u64 * PAGES) << 12
}

/// Sends on what it is told.
struct Answers(Mutex<mpsc::Sender<(StallTag, bool)>>);

impl DmaClient for Answers {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().send((tag, retry)).unwrap();
    }
}

/// How one read ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Bytes(u64),
    Abort,
}

/// Reads a page for each of its transfers; each of them stalls at least once.
fn master(m: &Machine, master: u32) -> Vec<End> {
    let (sender, answers) = mpsc::channel();
    let client = Arc::new(Answers(Mutex::new(sender)));
    let weak: Weak<dyn DmaClient> = Arc::<Answers>::downgrade(&client);
    let port = m.smmu.port(Master::new(STREAM + master, Stalls::Notify(weak)));
    let one = |page: u64| loop {
        let mut buf = [0xee; 8];
        match port.read(DmaAttrs::default(), window(master) + (page << 12), &mut buf) {
            Ok(()) => return End::Bytes(u64::from_le_bytes(buf)),
            Err(DmaFault::Abort) => return End::Abort,
            Err(DmaFault::Stalled(tag)) => {
                let (answered, retry) = answers.recv_timeout(Duration::from_secs(60)).expect("a lost stall");
                assert_eq!(answered, tag, "an answer to something else");
                if !retry {
                    return End::Abort;
                }
            }
        }
    };
    let ends = (0..PAGES).map(one).collect();
    assert!(answers.try_recv().is_err(), "answered twice");
    ends
}

/// What a handler of faults does with the page `n` of a master: it is retried, aborted, or reads zeroes.
fn decision(n: u64) -> u64 {
    n % 3
}

/// Reads events, and answers; ends with the masters.
fn handler(m: &Machine, driver: &Mutex<()>, left: &AtomicUsize) {
    while left.load(Ordering::SeqCst) != 0 {
        let Some([first, second, address, _]) = m.event() else {
            std::thread::yield_now();
            continue;
        };
        assert_eq!((first as u8, second >> 31 & 1), (0x10, 1));
        let page = (address & 0x3fff_ffff) >> 12;
        let ac_ab = [1, 2, 0][decision(page) as usize];
        if ac_ab == 1 {
            m.put(TABLES[2] + 8 * page, BUFFER | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3);
        }
        let _driver = driver.lock();
        m.commands(&[[0x44 | ac_ab << 12 | first >> 32 << 32, second & 0xffff]]);
    }
}

#[test]
fn stalls_are_answered_once_whatever_happens_meanwhile() {
    let m = Machine::stalling();
    // An event queue with one entry: most stalls wait for room.
    m.w(0x20, 9);
    m.w(0xa0, EVENTQ);
    m.w(0x20, 0xd);
    m.put(TABLES[0] + 8, TABLES[1] | 3);
    m.put(TABLES[1], TABLES[2] | 3);
    m.put(BUFFER, 0x1234_5678);
    for other in 1..MASTERS {
        let ste = |stream: u32| STRTAB + 64 * u64::from(stream);
        for dw in [8, 0] {
            m.put(ste(STREAM + other) + dw, m.get(ste(STREAM) + dw));
        }
    }
    let (driver, left) = (Mutex::new(()), AtomicUsize::new(MASTERS as usize));
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
        s.spawn(|| handler(&m, &driver, &left));
        s.spawn(|| {
            while left.load(Ordering::SeqCst) != 0 {
                let driver = driver.lock();
                m.commands(&[[0x11 | ASID << 48, 0], [0x04, 31]]);
                drop(driver);
                std::thread::yield_now();
            }
        });
        masters.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (n, ends) in (0..).zip(ends) {
        for (page, end) in (0..).zip(ends) {
            let expected = [End::Bytes(0x1234_5678), End::Abort, End::Bytes(0)];
            assert_eq!(end, expected[decision(n * PAGES + page) as usize], "master {n}, page {page}");
        }
    }
    assert_eq!(m.smmu.core().stalled(), []);
}
