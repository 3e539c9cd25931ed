//! What a translation costs, in time on a processor. Not a test: `cargo test -p emu-smmu costs -- --ignored --nocapture`.

use std::hint::black_box;
use std::thread;

use emu_core::dma::DirectPort;

use super::*;

const TIMES: u32 = 1_000_000;

/// Nanoseconds that this thread has run (Linux, proc(5)): others that want the processor make nothing slower.
fn now() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedule.split(' ').next().unwrap().parse().unwrap()
}

/// Nanoseconds for each of several accesses of 8 bytes, the page of which `page` tells by its number.
fn cost(port: &Arc<dyn DmaPort>, times: u32, page: impl Fn(u32) -> u64) -> f64 {
    let mut buf = [0; 8];
    let begun = now();
    for n in 0..times {
        port.read(DmaAttrs::default(), black_box(page(n) << 12), &mut buf).unwrap();
    }
    black_box(buf);
    (now() - begun) / f64::from(times)
}

#[test]
#[ignore = "it measures"]
fn costs() {
    let rig = Rig::new();
    let root = rig.translate(1, 1);
    let first = DATA >> 12;
    for n in 0..4096 {
        rig.memory.map(root, 3, (first + n) << 12, (DATA + ((n % 1024) << 12)) | PAGE);
    }
    rig.say(2, Verdict::Bypass);
    let direct: Arc<dyn DmaPort> =
        Arc::new(DirectPort::new(rig.core.bus.clone(), Master::new(3, Stalls::Never)));
    let (translated, bypassed) = (rig.port(1), rig.port(2));
    let one = |_| first;
    let few = |n: u32| first + u64::from(n % 128);
    let many = |n: u32| first + u64::from(n % 4096);
    println!("no SMMU             {:6.1} ns", cost(&direct, TIMES, few));
    println!("bypass              {:6.1} ns", cost(&bypassed, TIMES, few));
    println!("one page            {:6.1} ns", cost(&translated, TIMES, one));
    println!("pages of the port   {:6.1} ns", cost(&translated, TIMES, few));
    cost(&translated, 4096, many);
    println!("pages of the TLB    {:6.1} ns", cost(&translated, TIMES / 4, many));
    let begun = now();
    for n in 0..TIMES / 20 {
        let start = few(n) << 12;
        let scope = Scope::Va { regime: Regime::El10, vmid: 0, asid: Some(1), start, end: start | 0xfff };
        rig.core.invalidate(&scope);
        rig.core.sync();
    }
    println!("invalidate and sync {:6.1} ns", (now() - begun) / f64::from(TIMES / 20));
    let walks = cost(&translated, TIMES / 20, |n| {
        rig.core.invalidate_all();
        few(n)
    });
    println!("a walk, and all invalidated {walks:6.1} ns");
    for threads in [1, 2] {
        let each = thread::scope(|s| {
            let all: Vec<_> = (0..threads).map(|_| s.spawn(|| cost(&rig.port(1), TIMES, few))).collect();
            all.into_iter().map(|t| t.join().unwrap()).sum::<f64>() / f64::from(threads)
        });
        println!("{threads} threads           {each:6.1} ns");
    }
}
