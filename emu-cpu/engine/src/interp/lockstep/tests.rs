//! A difference is found, and what has effects happens once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, BusFault, MmioDevice, Requester};
use emu_core::metrics::Metric;

use crate::interp::tests::vcpu;
use crate::interp::uop::Uop;
use crate::interp::vcpu::Vcpu;

/// Host code that is kept.
const BYTES: usize = 1 << 20;

/// In lockstep; `None` where there is no host code.
fn checked(program: &[u32]) -> Option<Vcpu> {
    let (mut v, _) = vcpu(program);
    v.use_jit(BYTES, 1);
    v.check_lockstep(1).then_some(v)
}

/// Runs to the HVC at the end.
fn finish(v: &mut Vcpu) {
    for _ in 0..10_000 {
        v.run_turns(1);
        assert_eq!(v.take_difference(), None);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            return;
        }
    }
    panic!("it does not come to its end");
}

// mov x0, #0; mov x1, #0xffff; add x0, x0, x1; subs x1, x1, #1; b.ne -8
const SUM: [u32; 5] = [0xd280_0000, 0xd29f_ffe1, 0x8b01_0000, 0xf100_0421, 0x54ff_ffc1];

#[test]
fn a_difference_is_reported_with_its_register() {
    let Some(mut v) = checked(&SUM) else { return };
    v.run_turns(10);
    assert_eq!(v.take_difference(), None);
    let mut n = 0;
    while let Some(block) = v.cache.get_mut(n) {
        n += 1;
        for uop in &mut block.code.uops {
            if let Uop::Add64 { d, a, b } = *uop {
                // The interpreter is wrong from now on.
                *uop = Uop::Sub64 { d, a, b };
            }
        }
    }
    v.run_turns(10);
    let report = v.take_difference().unwrap();
    assert!(report.contains("X0  "), "{report}");
    assert!(!report.contains("X1  "), "{report}");
    assert!(report.contains("Sub64") && report.contains("host code at"), "{report}");
}

#[test]
fn everything_is_counted_once() {
    let Some(mut v) = checked(&SUM) else { return };
    finish(&mut v);
    assert_eq!(v.cpu.regs.x[0], 0xffff * 0x1_0000 / 2);
    assert_eq!(v.cpu.counters.get(Metric::Instructions), 2 + 3 * 0xffff + 1);
    let totals = v.lockstep_totals().unwrap();
    assert!(totals.stretches > 10 && totals.instructions > 3 * 0xffff, "{totals:?}");
}

#[test]
fn memory_is_put_back_and_written_again() {
    // adr x3, 0x2000 further; mov x1, #1000; ldr x2, [x3]; add x2, x2, #1; str x2, [x3]; subs x1, x1, #1; b.ne -16
    let program = [0x1001_0003, 0xd280_7d01, 0xf940_0062, 0x9100_0442, 0xf900_0062, 0xf100_0421, 0x54ff_ff81];
    let Some(mut v) = checked(&program) else { return };
    finish(&mut v);
    assert_eq!(v.cpu.regs.x[2], 1000);
}

/// Counts what is asked of it.
#[derive(Default)]
struct Turnstile(AtomicU64);

impl MmioDevice for Turnstile {
    fn name(&self) -> &str {
        "turnstile"
    }
    fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn write(&self, _: u64, _: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        self.0.fetch_add(value, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn registers_of_devices_are_accessed_once() {
    // mov x1, #100; mov x3, #0x9000000; ldr x2, [x3]; str x1, [x3]; subs x1, x1, #1; b.ne -12
    let program = [0xd280_0c81, 0xd2a1_2003, 0xf940_0062, 0xf900_0061, 0xf100_0421, 0x54ff_ffa1];
    let Some(mut v) = checked(&program) else { return };
    let device = Arc::new(Turnstile::default());
    v.cpu.mem.bus().map(Pa(0x900_0000), 0x1000, Backing::Mmio(device.clone())).unwrap();
    v.cpu.mem.refresh_view();
    finish(&mut v);
    assert_eq!(device.0.load(Ordering::Relaxed), 100 + 100 * 101 / 2);
    assert!(v.lockstep_totals().unwrap().unchecked >= 200);
}
