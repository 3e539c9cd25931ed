//! Whole programs, MMU off, on one PE.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::{Clock, Mode};
use emu_core::irq::{GicPort, Pending, Sgi};
use emu_core::metrics::{Counters, Metric};
use emu_core::ram::GuestRam;

use super::vcpu::Vcpu;
use crate::cpu::{Cpu, CpuConfig, Entry};
use crate::doorbell::Doorbell;
use crate::mem::shared::Shared;
use crate::mem::{Mem, mmu_features};
use crate::model::Model;
use crate::psci::{AffinityState, Machine, PsciError};
use crate::sysreg::Reg;

/// A machine and a redistributor with nothing in them.
struct Nothing;

impl Machine for Nothing {
    fn cpu_on(&self, _: u64, _: u64, _: u64) -> Result<(), PsciError> {
        Err(PsciError::InvalidParameters)
    }
    fn cpu_off(&self, _: usize) {}
    fn affinity_info(&self, _: u64, _: u32) -> Result<AffinityState, PsciError> {
        Err(PsciError::InvalidParameters)
    }
    fn system_off(&self) {}
    fn system_reset(&self) {}
    fn send_event(&self) {}
}

impl GicPort for Nothing {
    fn highest_pending(&self) -> Option<Pending> {
        None
    }
    fn acknowledge(&self, _: u32) -> bool {
        false
    }
    fn deactivate(&self, _: u32) {}
    fn send_sgi(&self, _: Sgi) {}
    fn set_ppi(&self, _: u32, _: bool) {}
    fn set_group_enables(&self, _: bool, _: bool) {}
}

pub(super) const RAM: u64 = 0x4000_0000;
/// The end of a test program: HVC #0x123.
const END: u32 = 0xd400_0002 | 0x123 << 5;

/// A PE at EL2 with 64 KiB of RAM that holds `program` at its start.
pub(super) fn vcpu(program: &[u32]) -> (Vcpu, &'static GuestRam) {
    let ram = GuestRam::new(0x10000).unwrap();
    for (i, word) in program.iter().chain([&END]).enumerate() {
        ram.store_u32(4 * i as u64, *word).unwrap();
    }
    let bus = Arc::new(Bus::new());
    bus.map(Pa(RAM), 0x10000, Backing::Ram(ram, 0)).unwrap();
    let model = Arc::new(Model::max());
    let mem = Mem::new(mmu_features(&model), bus, Arc::new(Shared::new(1, &[(Pa(RAM), 0x10000)])), 0);
    let mut cpu = Cpu::new(CpuConfig {
        model,
        el2: true,
        index: 0,
        counters: Arc::new(Counters::default()),
        doorbell: Arc::new(Doorbell::default()),
        clock: Clock::new(Mode::Counted),
        port: Arc::new(Nothing),
        machine: Arc::new(Nothing),
    });
    cpu.mem = mem;
    cpu.reset(Entry { pc: RAM, x0: 0 });
    (Vcpu::new(cpu), ram)
}

/// Runs to the HVC at the end.
fn run(program: &[u32]) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    for _ in 0..10_000 {
        v.run_turns(1);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            break;
        }
    }
    assert_eq!(
        v.cpu.sys[Reg::ESR_EL2] & 0xffff,
        0x123,
        "ESR {:#x}, ELR {:#x}",
        v.cpu.sys[Reg::ESR_EL2],
        v.cpu.sys[Reg::ELR_EL2]
    );
    (v, ram)
}

#[test]
fn a_loop_that_sums() {
    // mov x0, #0; mov x1, #1000; add x0, x0, x1; subs x1, x1, #1; b.ne -8
    let (v, _) = run(&[0xd280_0000, 0xd280_7d01, 0x8b01_0000, 0xf100_0421, 0x54ff_ffc1]);
    assert_eq!(v.cpu.regs.x[0], 500_500);
    assert_eq!(v.cpu.counters.get(Metric::Instructions), 2 + 3 * 1000 + 1);
}

#[test]
fn swapped_registers_do_not_clobber_each_other() {
    // mov x1, #1; mov x2, #2; then three EORs that swap them; then mov x3, x1; mov x1, x2; mov x2, x3
    let program = [
        0xd280_0021,
        0xd280_0042,
        0xca02_0021,
        0xca02_0022,
        0xca02_0021,
        0xaa01_03e3,
        0xaa02_03e1,
        0xaa03_03e2,
    ];
    let (v, _) = run(&program);
    assert_eq!(v.cpu.regs.x[1..4], [1, 2, 2]);
}

#[test]
fn pairs_and_writeback() {
    // mov x0, #0x40008000 (movz, lsl 16; movk); mov x1, #7; mov x2, #9; stp x1, x2, [x0, #16]!; ldp x4, x3, [x0], #8
    let program = [0xd2a8_0000, 0xf290_0000, 0xd280_00e1, 0xd280_0122, 0xa981_0801, 0xa8c0_8c04];
    let (v, ram) = run(&program);
    assert_eq!((ram.load_u64(0x8010), ram.load_u64(0x8018)), (Some(7), Some(9)));
    assert_eq!((v.cpu.regs.x[4], v.cpu.regs.x[3], v.cpu.regs.x[0]), (7, 9, 0x4000_8018));
}

#[test]
fn code_that_writes_code() {
    // The program overwrites the instruction after an ISB in its own page: mov w5, #1 becomes mov w5, #2.
    // mov x0, #RAM; ldr w1, [x0, #32]; str w1, [x0, #24]; isb; b +4; nop; (24) mov w5, #1; b +8; (32) mov w5, #2
    let program = [
        0xd2a8_0000,
        0xb940_2001,
        0xb900_1801,
        0xd503_3fdf,
        0x1400_0001,
        0xd503_201f,
        0x5280_0025,
        0x1400_0002,
        0x5280_0045,
    ];
    let (v, _) = run(&program);
    assert_eq!(v.cpu.regs.x[5], 2);
}

#[test]
fn vectors() {
    // movi v0.16b, #3; movi v1.16b, #4; add v2.16b, v0.16b, v1.16b; umov x0, v2.d[1]
    let program = [0x4f00_e460, 0x4f00_e481, 0x4e21_8402, 0x4e18_3c40];
    let mut with_cptr = vec![0xd280_0000, 0xd51c_1140];
    with_cptr.extend(program);
    let (mut v, _) = vcpu(&with_cptr[2..]);
    v.cpu.sys[Reg::CPTR_EL2] = 0;
    v.cpu.refresh();
    v.run_turns(4);
    assert_eq!(v.cpu.regs.x[0], 0x0707_0707_0707_0707);
    assert_eq!(v.cpu.regs.v[2], 0x0707_0707_0707_0707_0707_0707_0707_0707);
}

#[test]
fn unused_fp_results_set_their_flags() {
    // fcvtzs wzr, s0: inexact; fcmp s1, s1 before cmp x0, x0: invalid operation.
    let (mut v, _) = vcpu(&[0x1e38_001f, 0x1e21_2020, 0xeb00_001f]);
    v.cpu.sys[Reg::CPTR_EL2] = 0;
    v.cpu.refresh();
    v.cpu.regs.v[0] = u128::from(1.5f32.to_bits());
    v.cpu.regs.v[1] = 0x7f80_0001;
    v.run_turns(1);
    assert_eq!(v.cpu.regs.fpsr, 0x11);
    assert_eq!(v.cpu.regs.nzcv >> 28, 0b0110);
}

#[test]
fn a_fault_leaves_the_registers_as_they_were() {
    // mov x0, #0x8000; ldr x1, [x0], #8: nothing is at that address.
    let (mut v, _) = vcpu(&[0xd290_0000, 0xf840_8401]);
    v.cpu.regs.x[1] = 77;
    v.run_turns(1);
    assert_eq!(v.cpu.counters.get(Metric::ExcToEl2), 1);
    assert_eq!((v.cpu.regs.x[0], v.cpu.regs.x[1]), (0x8000, 77));
    assert_eq!(v.cpu.sys[Reg::FAR_EL2], 0x8000);
    assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + 4);
    // Data abort from the same level, synchronous external abort.
    assert_eq!((v.cpu.sys[Reg::ESR_EL2] >> 26, v.cpu.sys[Reg::ESR_EL2] & 0x3f), (0x25, 0x10));
}

/// Not a test of anything but speed; prints millions of instructions a second. `cargo test --release -p emu-cpu mips --
/// --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn mips() {
    // mov x1, #0x8000000; add x0, x0, x1; eor x2, x0, x1, lsl #3; subs x1, x1, #1; b.ne
    let program = [0xd2a1_0001, 0x8b01_0000, 0xca01_0c02, 0xf100_0421, 0x54ff_ffa1];
    let (mut v, _) = vcpu(&program);
    let start = std::time::Instant::now();
    v.run_turns(1);
    let n = v.cpu.counters.get(Metric::Instructions);
    println!("{:.0} MIPS", n as f64 / start.elapsed().as_secs_f64() / 1e6);
}
