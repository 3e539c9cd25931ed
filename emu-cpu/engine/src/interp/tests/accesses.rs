//! MEM_ACCESS of the performance monitors: interpreted, as host code, and in lockstep.

use emu_pe::sysreg::Reg;

use super::{RAM, mapped};
use crate::interp::vcpu::Vcpu;

const DATA: u64 = RAM + 0x4000;
const ROUNDS: u64 = 100;

/// Instructions at X0, and how often they access memory.
const INSTRUCTIONS: [(&str, u32, u64); 13] = [
    ("add x1, x1, #1", 0x9100_0421, 0),
    ("cmp x1, x2", 0xeb02_003f, 0),
    ("ldr x1, [x0]", 0xf940_0001, 1),
    ("strb w1, [x0]", 0x3900_0001, 1),
    ("ldp x1, x2, [x0]", 0xa940_0801, 1),
    ("stp q1, q2, [x0]", 0xad00_0801, 2),
    ("ldar x1, [x0]", 0xc8df_fc01, 1),
    ("ldxr x1, [x0]", 0xc85f_7c01, 1),
    ("swp w1, w2, [x0]", 0xb821_8002, 1),
    ("cas x1, x2, [x0]", 0xc8a1_7c02, 1),
    ("ld1 {v1.4s, v2.4s}, [x0]", 0x4c40_a801, 2),
    ("prfm pldl1keep, [x0]", 0xf980_0000, 0),
    ("dmb ish", 0xd503_3bbf, 0),
];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Interpreted,
    Host,
    Lockstep,
}

/// A loop of [`ROUNDS`] rounds around an instruction, before SVC. `None` where there is no host code.
fn looping(word: u32, way: Way) -> Option<Vcpu> {
    // Between two flag-setting instructions and their reader: sub x3, x3, #1; cmp x3, #0; WORD; b.ne -12; svc #0x123
    let cmp = word == 0xeb02_003f;
    let program = if cmp {
        [0xd100_0463, word, 0xf100_007f, 0x54ff_ffa1, 0xd400_2461]
    } else {
        [0xd100_0463, 0xf100_007f, word, 0x54ff_ffa1, 0xd400_2461]
    };
    let (mut v, _) = mapped(&program, 0);
    v.cpu.regs.x[0] = DATA;
    let there = match way {
        Way::Interpreted => true,
        Way::Host => v.use_jit(1 << 20, 1),
        Way::Lockstep => v.use_jit(1 << 20, 1) && v.check_lockstep(0),
    };
    there.then_some(v)
}

/// From the start of the program to its SVC.
fn run(v: &mut Vcpu) {
    v.cpu.regs.pc = RAM;
    v.cpu.regs.x[3] = ROUNDS;
    v.cpu.sys[Reg::ESR_EL2] = 0;
    for _ in 0..10_000 {
        v.run_turns(1);
        assert_eq!(v.take_difference(), None);
        if v.cpu.sys[Reg::ESR_EL2] != 0 {
            assert_eq!((v.cpu.sys[Reg::ESR_EL2], v.cpu.regs.x[3]), (0x5600_0123, 0));
            return;
        }
    }
    panic!("no end");
}

/// Counter 0 counts MEM_ACCESS at EL2, or does nothing.
fn count(v: &mut Vcpu, on: bool) {
    v.cpu.sys[Reg::PMEVTYPER0_EL0] = 0x13 | 1 << 27;
    v.cpu.sys[Reg::PMCNTENSET_EL0] = u64::from(on);
    v.cpu.sys[Reg::PMCR_EL0] = 1;
    v.cpu.update_pmu();
}

#[test]
fn each_access_is_counted_while_a_counter_wants_it() {
    for (name, word, accesses) in INSTRUCTIONS {
        for way in [Way::Interpreted, Way::Host, Way::Lockstep] {
            let Some(mut v) = looping(word, way) else { continue };
            let what = format!("{name}, {way:?}");
            // Code that does not count stands beside code that does.
            for (round, counts) in [false, true, true, false, true].into_iter().enumerate() {
                count(&mut v, counts);
                let before = v.cpu.sys[Reg::PMEVCNTR0_EL0];
                run(&mut v);
                v.cpu.sync_pmu();
                let counted = v.cpu.sys[Reg::PMEVCNTR0_EL0] - before;
                let expected = if counts { accesses * ROUNDS } else { 0 };
                assert_eq!(counted, expected, "{what}, run {round}");
            }
        }
    }
}

/// An access that faults is not one: the instruction that is done again counts once.
#[test]
fn a_fault_counts_nothing() {
    for way in [Way::Interpreted, Way::Host, Way::Lockstep] {
        // ldr x1, [x0]; ldr x1, [x2]
        let (mut v, _) = mapped(&[0xf940_0001, 0xf940_0041], 0);
        if way != Way::Interpreted && !v.use_jit(1 << 20, 1) {
            return;
        }
        if way == Way::Lockstep {
            assert!(v.check_lockstep(0));
        }
        v.cpu.regs.x[0] = DATA;
        count(&mut v, true);
        v.run_turns(1);
        v.cpu.sync_pmu();
        assert_eq!((v.cpu.sys[Reg::FAR_EL2], v.cpu.sys[Reg::PMEVCNTR0_EL0]), (0, 1), "{way:?}");
    }
}
