//! A guest with more code than the code cache holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emu_core::metrics::Metric;
use emu_pe::sysreg::Reg;

use super::{RAM, vcpu_with};
use crate::interp::vcpu::Vcpu;
use crate::jit::HostCode;
use crate::jit::observe::{CodeOrigin, Listener, Observers};

/// Bytes of host code: one block leaves room for hardly more.
const CACHE: usize = 256 << 10;
/// Functions, one for each 64 bytes.
const FUNCTIONS: u32 = 4000;
/// Times that all of them are called.
const ROUNDS: u32 = 5;

/// A program that calls each function in each round; function n adds n to X1 and multiplies X2 by 3 before adding n.
fn program() -> Vec<u32> {
    let mut words = vec![
        0xd280_0001,                                   // mov x1, #0
        0xd280_0002,                                   // mov x2, #0
        0xd280_0065,                                   // mov x5, #3
        0xd280_0004 | ROUNDS << 5,                     // mov x4, #ROUNDS
        0x1000_0003 | ((64 - 16) / 4) << 5,            // adr x3, #(first function)
        0xd280_0006 | FUNCTIONS << 5,                  // mov x6, #FUNCTIONS
        0xd63f_0060,                                   // blr x3
        0x9101_0063,                                   // add x3, x3, #64
        0xf100_04c6,                                   // subs x6, x6, #1
        0x5400_0001 | (0x7ffff & (-3i32) as u32) << 5, // b.ne (blr)
        0xf100_0484,                                   // subs x4, x4, #1
        0x5400_0001 | (0x7ffff & (-7i32) as u32) << 5, // b.ne (adr)
        0xd400_0002 | 0x123 << 5,                      // hvc #0x123
    ];
    words.resize(16, 0);
    for n in 0..FUNCTIONS {
        let function = [
            0xd280_0007 | n << 5, // mov x7, #n
            0x8b07_0021,          // add x1, x1, x7
            0x9b05_1c42,          // madd x2, x2, x5, x7
            0xd65f_03c0,          // ret
        ];
        words.extend(function);
        words.extend([0; 12]);
    }
    words
}

/// What the program leaves in X1 and X2.
fn expected() -> [u64; 2] {
    let (mut sum, mut mixed) = (0u64, 0u64);
    for n in (0..ROUNDS).flat_map(|_| 0..FUNCTIONS) {
        sum = sum.wrapping_add(u64::from(n));
        mixed = mixed.wrapping_mul(3).wrapping_add(u64::from(n));
    }
    [sum, mixed]
}

/// Notes where host code is.
#[derive(Default)]
struct Extent {
    start: AtomicU64,
    end: AtomicU64,
}

impl Listener for Extent {
    fn made(&self, at: u64, bytes: &[u8], what: CodeOrigin) {
        if what == CodeOrigin::Shared {
            self.start.store(at, Relaxed);
        }
        self.end.fetch_max(at + bytes.len() as u64, Relaxed);
    }
}

fn run(observers: Observers) -> Vcpu {
    let (mut v, _) = vcpu_with(&program(), 1 << 20);
    assert!(v.use_jit(CACHE, 1));
    v.observe(observers);
    while v.cpu.counters.get(Metric::ExcToEl2) == 0 {
        v.run_turns(1);
        assert!(v.cpu.counters.get(Metric::Instructions) < 1_000_000, "PC {:#x}", v.cpu.regs.pc);
    }
    assert_eq!(v.cpu.sys[Reg::ESR_EL2] & 0xffff, 0x123, "ELR {:#x}", v.cpu.sys[Reg::ELR_EL2]);
    assert_eq!(v.cpu.regs.x[1..3], expected());
    v
}

#[test]
fn code_that_overflows_the_cache_many_times_is_right() {
    let extent = Arc::new(Extent::default());
    let v = run(Observers { listeners: vec![extent.clone()], profile: None });
    let used = extent.end.load(Relaxed) - extent.start.load(Relaxed);
    assert!(used > CACHE as u64 / 4 && used <= CACHE as u64, "{used}");
    let size = v.host_code().unwrap();
    assert!(size.used <= used.next_multiple_of(16) && size.bound == CACHE as u64, "{size:?}");
    let drops = v.cpu.counters.get(Metric::HostCodeDrops);
    let made = v.cpu.counters.get(Metric::HostCodeBytes);
    assert!(drops >= 10, "{drops} times dropped, {made} bytes made");
    assert!(
        made > drops * CACHE as u64 / 4,
        "{drops} times dropped, {made} bytes made: not before it is full"
    );
}

/// Short blocks cost more by their number than by their operations: all of it counts, in the interpreter and beside host code.
#[test]
fn blocks_never_cost_more_than_they_may() {
    const BOUND: usize = 256 << 10;
    for jit in [false, true] {
        let (mut v, _) = vcpu_with(&program(), 1 << 20);
        assert!(!jit || v.use_jit(8 << 20, 1));
        v.bound_blocks(BOUND);
        let (mut most, start) = (0, v.cache.epoch());
        while v.cpu.counters.get(Metric::ExcToEl2) == 0 {
            v.run_turns(1);
            most = most.max(v.cache.bytes() + v.native.as_ref().map_or(0, |n| n.table_bytes()));
            assert!(v.cpu.counters.get(Metric::Instructions) < 1_000_000, "PC {:#x}", v.cpu.regs.pc);
        }
        assert_eq!(v.cpu.regs.x[1..3], expected());
        let drops = v.cache.epoch() - start;
        assert!(drops >= 10, "{drops} times dropped");
        // Host code may grow its tables after it was asked for room.
        assert!((BOUND / 2..=BOUND + BOUND / 8).contains(&most), "{most} of {BOUND}");
    }
}

#[test]
fn runs_are_counted_over_evictions() {
    let profile = Arc::default();
    let v = run(Observers { profile: Some(Arc::clone(&profile)), ..Observers::default() });
    let report = profile.report();
    // Every function in every round, and what calls it.
    let runs = |pc: u64| report.blocks.iter().find(|b| b.pc == pc).map_or(0, |b| b.runs);
    let of_functions: Vec<u64> = (1..=u64::from(FUNCTIONS)).map(|n| runs(RAM + 64 * n)).collect();
    assert!(of_functions.iter().all(|n| *n <= u64::from(ROUNDS)));
    // The rounds that show what the loops do are interpreted, each time that all code was dropped, and some later on.
    let all = u64::from(ROUNDS * FUNCTIONS);
    let counted = of_functions.iter().sum::<u64>();
    assert!((all - 2000..=all).contains(&counted), "{counted} runs of functions");
    assert!((all - 2000..=all).contains(&runs(RAM + 28)), "the loop behind the call: {}", runs(RAM + 28));
    let all = v.cpu.counters.get(Metric::Instructions);
    assert!((all - 10_000..=all).contains(&report.instructions), "{} of {all}", report.instructions);
    assert_eq!(report.blocks[0].pc, RAM + 28);
    assert_eq!((report.accesses, report.missed), (0, 0));
    let entered = v.cpu.counters.get(Metric::HostEntries);
    assert!(entered > 0 && entered <= report.runs, "{entered} of {}", report.runs);
}
