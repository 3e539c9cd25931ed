//! Whole programs, MMU off, on one PE.

mod accesses;
mod alignment;
mod calls;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod code_cache;
mod exclusives;
mod lse2;
mod mops;
mod semihosting;
mod spans;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod stale_code;
mod system;

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::cpu::{Cpu, Entry};
use emu_pe::model::Model;
use emu_pe::sysreg::Reg;
use test_kit::pe::alone;

use crate::interp::vcpu::Vcpu;

pub(crate) const RAM: u64 = 0x4000_0000;
/// The end of a test program: HVC #0x123.
const END: u32 = 0xd400_0002 | 0x123 << 5;

/// A PE at EL2 with 64 KiB of RAM that holds `program` at its start.
pub(crate) fn vcpu(program: &[u32]) -> (Vcpu, &'static GuestRam) {
    vcpu_with(program, 0x10000)
}

/// The same with other RAM.
pub(super) fn vcpu_with(program: &[u32], bytes: u64) -> (Vcpu, &'static GuestRam) {
    let ram = GuestRam::new(bytes).unwrap();
    for (i, word) in program.iter().chain([&END]).enumerate() {
        ram.store_u32(4 * i as u64, *word).unwrap();
    }
    let bus = Arc::new(Bus::new());
    bus.map(Pa(RAM), bytes, Backing::Ram(ram, 0)).unwrap();
    let mut cpu = Cpu::new(alone(Model::max(), bus));
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

#[test]
fn the_pmu_counts_to_the_instruction() {
    // Counter 0 counts INST_RETIRED at EL2: PMEVTYPER0_EL0 = NSH | 8, PMCNTENSET_EL0 = 1, PMCR_EL0 = 1.
    // movz x0, #8; movk x0, #0x800, lsl #16; msr pmevtyper0_el0, x0; mov x0, #1; msr pmcntenset_el0, x0;
    // msr pmcr_el0, x0; mrs x1, pmevcntr0_el0; nop; nop; mrs x2, pmevcntr0_el0; nop
    let program = [
        0xd280_0100,
        0xf2a1_0000,
        0xd51b_ec00,
        0xd280_0020,
        0xd51b_9c20,
        0xd51b_9c00,
        0xd53b_e801,
        0xd503_201f,
        0xd503_201f,
        0xd53b_e802,
        0xd503_201f,
    ];
    let (v, _) = run(&program);
    assert_eq!(v.cpu.regs.x[1..3], [1, 4]);
}

/// A PE at EL2 whose memory, mapped one to one by a block of 1 GiB, is guarded.
fn guarded(program: &[u32]) -> Vcpu {
    mapped(program, 1 << 50).0
}

/// A PE at EL2 whose memory is mapped one to one by a block of 1 GiB, with more bits in its descriptor.
pub(super) fn mapped(program: &[u32], more: u64) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    // Level 1, entry 1: AF, AP[1], a block.
    ram.store_u64(0x8008, RAM | more | 1 << 10 | 1 << 6 | 1).unwrap();
    let sys = &mut v.cpu.sys;
    sys[Reg::TTBR0_EL2] = RAM + 0x8000;
    sys[Reg::MAIR_EL2] = 0xff;
    // T0SZ = 25, 4 KiB granule, PS = 40 bits.
    sys[Reg::TCR_EL2] = 25 | 2 << 16;
    sys[Reg::SCTLR_EL2] |= 1;
    v.cpu.refresh();
    (v, ram)
}

#[test]
fn indirect_branches_need_landing_pads() {
    // adr x0, +12 (or x16); br x0 (or blr x0); nop; landing; hvc
    let (adr_x0, adr_x16) = (0x1000_0060, 0x1000_0070);
    let (br_x0, br_x16, blr_x0) = (0xd61f_0000, 0xd61f_0200, 0xd63f_0000);
    let (bti_c, bti_j, nop) = (0xd503_245f, 0xd503_249f, 0xd503_201f);
    for (adr, branch, landing, btype) in [
        (adr_x0, br_x0, bti_j, None),
        (adr_x0, br_x0, bti_c, Some(3)),
        (adr_x0, br_x0, nop, Some(3)),
        (adr_x16, br_x16, bti_c, None),
        (adr_x16, br_x16, nop, Some(1)),
        (adr_x0, blr_x0, bti_c, None),
        (adr_x0, blr_x0, bti_j, Some(2)),
    ] {
        let mut v = guarded(&[adr, branch, nop, landing]);
        v.run_turns(1);
        let (esr, spsr) = (v.cpu.sys[Reg::ESR_EL2], v.cpu.sys[Reg::SPSR_EL2]);
        let expected = btype.map_or(0x5a00_0123, |btype| 0x3600_0000 | btype);
        assert_eq!(esr, expected, "{branch:08x} to {landing:08x}");
        assert_eq!(spsr >> 10 & 3, btype.unwrap_or(0), "SPSR_EL2.BTYPE");
        assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + if btype.is_some() { 12 } else { 20 });
    }
    // Where nothing is guarded, one lands anywhere.
    let (v, _) = run(&[adr_x0, br_x0, nop, nop]);
    assert_eq!(v.cpu.pstate.btype, 0);
}

#[test]
fn random_numbers_set_the_flags() {
    // cmp xzr, xzr; mrs x0, rndr; mrs x1, rndrrs; cset x2, eq
    let (v, _) = run(&[0xeb1f_03ff, 0xd53b_2400, 0xd53b_2421, 0x9a9f_17e2]);
    assert_ne!(v.cpu.regs.x[0], v.cpu.regs.x[1]);
    assert_eq!(v.cpu.regs.x[2], 0);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn host_code_of_forgotten_blocks_is_not_entered() {
    // a: sub x1, x1, #1; cbnz x1, b; hvc #0x123; b: add x3, x3, #1; br x2
    let (mut v, _) = vcpu(&[0xd100_0421, 0xb500_0041, 0xd400_2462, 0x9100_0463, 0xd61f_0040]);
    assert!(v.use_jit(1 << 20, 1));
    for (start, exceptions) in [(RAM, 1), (RAM + 12, 2)] {
        v.cpu.regs.pc = start;
        (v.cpu.regs.x[1], v.cpu.regs.x[2]) = (5, RAM);
        for _ in 0..1000 {
            v.run_turns(1);
            if v.cpu.counters.get(Metric::ExcToEl2) == exceptions {
                break;
            }
        }
        assert_eq!(v.cpu.sys[Reg::ELR_EL2], RAM + 12);
        // As when there are too many blocks: those found next get other numbers.
        v.cache.clear();
    }
    assert_eq!(v.cpu.regs.x[3], 4 + 5);
}
