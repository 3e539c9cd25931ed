//! Semihosting calls: who may make them, what they leave, and which memory they reach.

use std::sync::Arc;

use emu_a64::level::El;
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::cpu::Cpu;
use emu_pe::semihosting::{Semihosting, Served};
use emu_pe::sysreg::Reg;
use parking_lot::Mutex;

use super::{RAM, vcpu};
use crate::interp::vcpu::Vcpu;

/// HLT #0xF000.
const CALL: u32 = 0xd45e_0000;

/// What a call does.
type Serve = Box<dyn Fn(&mut Cpu) -> Served + Send + Sync>;

/// Serves calls as a test wants.
struct Server {
    el0: bool,
    serve: Serve,
}

impl Semihosting for Server {
    fn serves_el0(&self) -> bool {
        self.el0
    }
    fn serve(&self, cpu: &mut Cpu) -> Served {
        (self.serve)(cpu)
    }
}

/// A program at an Exception level.
fn machine(program: &[u32], el: El, el0: bool, serve: Serve) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = vcpu(program);
    v.cpu.sys[Reg::VBAR_EL1] = RAM + 0x8000;
    assert!(v.cpu.set_spsr(if el == El::El1 { 0x3c5 } else { 0x3c0 }));
    v.cpu.wires.serve_semihosting(Arc::new(Server { el0, serve }));
    (v, ram)
}

fn run(v: &mut Vcpu, until: u64) {
    for _ in 0..100 {
        if v.cpu.regs.pc == until {
            return;
        }
        v.run_turns(1);
    }
    panic!("at {:#x}", v.cpu.regs.pc);
}

/// Runs to the HVC behind the program.
fn run_to_end(v: &mut Vcpu) {
    for _ in 0..100 {
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            return;
        }
        v.run_turns(1);
    }
    panic!("at {:#x}", v.cpu.regs.pc);
}

#[test]
fn the_result_is_in_x0_and_the_program_goes_on() {
    let serve = |cpu: &mut Cpu| {
        assert_eq!(cpu.regs.pc, RAM + 8);
        Served::Done(cpu.regs.x[1] + 1)
    };
    // mov x1, #41; hlt; mov x2, x0
    let (mut v, _) = machine(&[0xd280_0521, CALL, 0xaa00_03e2], El::El1, false, Box::new(serve));
    run_to_end(&mut v);
    assert_eq!((v.cpu.regs.x[2], v.cpu.counters.get(Metric::SemihostingCalls)), (42, 1));
    assert_eq!(v.cpu.counters.get(Metric::Instructions), 4);
}

#[test]
fn a_call_that_waits_is_made_again() {
    let calls = Mutex::new(0);
    let serve = move |_: &mut Cpu| {
        *calls.lock() += 1;
        if *calls.lock() == 3 { Served::Done(7) } else { Served::Again }
    };
    let (mut v, _) = machine(&[CALL], El::El1, false, Box::new(serve));
    v.run_turns(1);
    assert_eq!((v.cpu.regs.pc, v.cpu.counters.get(Metric::Instructions)), (RAM, 0));
    run(&mut v, RAM + 4);
    assert_eq!((v.cpu.regs.x[0], v.cpu.counters.get(Metric::Instructions)), (7, 1));
}

#[test]
fn what_is_no_call_is_undefined() {
    for (word, el, el0, served) in [
        (CALL, El::El1, false, true),
        (CALL, El::El0, false, false),
        (CALL, El::El0, true, true),
        (0xd45e_0020 /* hlt #0xf001 */, El::El1, true, false),
        (0xd440_0000 /* hlt #0 */, El::El1, true, false),
    ] {
        let (mut v, _) = machine(&[word], el, el0, Box::new(|_| Served::Done(1)));
        // From the same level, or from below.
        run(&mut v, if served { RAM + 4 } else { RAM + 0x8000 + if el == El::El1 { 0x200 } else { 0x400 } });
        if !served {
            assert_eq!(v.cpu.sys[Reg::ESR_EL1] >> 26, 0, "unknown reason");
        }
    }
}

/// Pages of RAM, by number: for EL1 to read, for both, and one that is not mapped. The others are EL1's.
const READ_ONLY: u64 = 4;
const SHARED: u64 = 5;
const MISSING: u64 = 6;

/// Turns translation on: 39 bits, one table at each of three levels, the same addresses.
fn translate(v: &mut Vcpu, ram: &GuestRam) {
    const PAGE: u64 = 3 | 3 << 8 | 1 << 10;
    let put = |table: u64, index: u64, value: u64| {
        ram.store_u64(0xd000 + 0x1000 * table + 8 * index, value).unwrap()
    };
    put(0, 1, RAM + 0xe000 + 3);
    put(1, 0, RAM + 0xf000 + 3);
    for n in 0..16 {
        let permissions = match n {
            READ_ONLY => 2 << 6,
            SHARED => 1 << 6,
            _ => 0,
        };
        put(2, n, if n == MISSING { 0 } else { RAM + 0x1000 * n + PAGE + permissions });
    }
    v.cpu.sys[Reg::MAIR_EL1] = 0xff;
    v.cpu.sys[Reg::TCR_EL1] = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23;
    v.cpu.sys[Reg::TTBR0_EL1] = RAM + 0xd000;
    v.cpu.sys[Reg::SCTLR_EL1] |= 1;
    v.cpu.refresh();
}

#[test]
fn memory_is_what_the_program_can_reach() {
    let at = |page: u64| RAM + 0x1000 * page;
    // Read and write of 16 bytes at an address: how many there are for EL1, and for EL0.
    let cases: [(u64, [usize; 2], [usize; 2]); 5] = [
        (at(1), [16, 16], [0, 0]),
        (at(READ_ONLY), [16, 0], [0, 0]),
        (at(SHARED), [16, 16], [16, 16]),
        (at(SHARED) + 0xff8, [8, 8], [8, 8]),
        (at(MISSING), [0, 0], [0, 0]),
    ];
    let serve = |cpu: &mut Cpu| {
        let (at, mut bytes) = (cpu.regs.x[1], [0; 16]);
        let read = cpu.mem.read_as_program(at, &mut bytes);
        Served::Done((read << 8 | cpu.mem.write_as_program(at, &bytes)) as u64)
    };
    for (address, el1, el0) in cases {
        for (el, expected) in [(El::El1, el1), (El::El0, el0)] {
            // At EL0 the program is in the shared page.
            let start = if el == El::El0 { at(SHARED) + 0x100 } else { RAM };
            let (mut v, ram) = machine(&[CALL], el, true, Box::new(serve));
            ram.store_u32(start - RAM, CALL).unwrap();
            translate(&mut v, ram);
            v.cpu.regs.pc = start;
            v.cpu.regs.x[1] = address;
            run(&mut v, start + 4);
            let found = v.cpu.regs.x[0] as usize;
            assert_eq!([found >> 8, found & 0xff], expected, "{el}, {address:#x}");
        }
    }
}

/// What is written to a page with code is what runs.
#[test]
fn code_that_is_read_from_a_file() {
    let serve = |cpu: &mut Cpu| {
        // mov x5, #2
        Served::Done(cpu.mem.write_as_program(RAM + 0x1000, &0xd280_0045_u32.to_le_bytes()) as u64)
    };
    // bl f; mov x6, x5; hlt; bl f; f, a page further: mov x5, #1; ret
    let program = [0x9400_0400, 0xaa05_03e6, CALL, 0x9400_03fd];
    let (mut v, ram) = machine(&program, El::El1, false, Box::new(serve));
    ram.store_u32(0x1000, 0xd280_0025).unwrap();
    ram.store_u32(0x1004, 0xd65f_03c0).unwrap();
    run_to_end(&mut v);
    assert_eq!((v.cpu.regs.x[6], v.cpu.regs.x[0], v.cpu.regs.x[5]), (1, 4, 2));
}
