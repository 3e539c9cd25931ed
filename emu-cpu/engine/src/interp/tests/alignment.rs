//! SCTLR_ELx.A: what is not aligned to its elements faults, interpreted, as host code, and in lockstep.

use emu_core::metrics::Metric;
use emu_pe::sysreg::{Reg, sctlr};

use super::{RAM, mapped};
use crate::interp::vcpu::Vcpu;

/// Where data is in RAM, and where the list of addresses is that a program accesses one after the other.
const DATA: u64 = RAM + 0x4000;
const LIST: u64 = RAM + 0x6000;
/// So many aligned accesses come first: host code is made, and made anew as a loop.
const ROUNDS: u64 = 40;

/// LDR X0, [X21], #8; B to the start.
const NEXT: [u32; 2] = [0xf840_86a0, 0x17ff_fffe];

/// Whether an access that faults is reported as a write (ESR_ELx.ISS.WnR).
#[derive(Clone, Copy, PartialEq)]
enum As {
    Read,
    Write,
    /// What reads and writes: see the tests of exclusives and atomics.
    Both,
}
use As::{Both, Read, Write};

/// Accesses at X0, with the bytes that their address must be a multiple of (Arm ARM, B2.5.2 and the pseudocode of each).
const ACCESSES: [(&str, u32, u64, As); 56] = [
    ("ldr x1, [x0]", 0xf940_0001, 8, Read),
    ("ldr w1, [x0]", 0xb940_0001, 4, Read),
    ("ldrsw x1, [x0]", 0xb980_0001, 4, Read),
    ("ldrh w1, [x0]", 0x7940_0001, 2, Read),
    ("ldrsh x1, [x0]", 0x7980_0001, 2, Read),
    ("ldrb w1, [x0]", 0x3940_0001, 1, Read),
    ("str x1, [x0]", 0xf900_0001, 8, Write),
    ("str w1, [x0]", 0xb900_0001, 4, Write),
    ("strh w1, [x0]", 0x7900_0001, 2, Write),
    ("strb w1, [x0]", 0x3900_0001, 1, Write),
    ("ldp x1, x2, [x0]", 0xa940_0801, 8, Read),
    ("ldp w1, w2, [x0]", 0x2940_0801, 4, Read),
    ("ldpsw x1, x2, [x0]", 0x6940_0801, 4, Read),
    ("ldnp x1, x2, [x0]", 0xa840_0801, 8, Read),
    ("stp x1, x2, [x0]", 0xa900_0801, 8, Write),
    ("stp w1, w2, [x0]", 0x2900_0801, 4, Write),
    ("ldr q1, [x0]", 0x3dc0_0001, 16, Read),
    ("ldr d1, [x0]", 0xfd40_0001, 8, Read),
    ("ldr s1, [x0]", 0xbd40_0001, 4, Read),
    ("ldr h1, [x0]", 0x7d40_0001, 2, Read),
    ("ldr b1, [x0]", 0x3d40_0001, 1, Read),
    ("str q1, [x0]", 0x3d80_0001, 16, Write),
    ("str d1, [x0]", 0xfd00_0001, 8, Write),
    ("str s1, [x0]", 0xbd00_0001, 4, Write),
    ("ldp q1, q2, [x0]", 0xad40_0801, 16, Read),
    ("stp q1, q2, [x0]", 0xad00_0801, 16, Write),
    ("ldp d1, d2, [x0]", 0x6d40_0801, 8, Read),
    ("stp s1, s2, [x0]", 0x2d00_0801, 4, Write),
    ("ld1 {v1.16b}, [x0]", 0x4c40_7001, 1, Read),
    ("ld1 {v1.8h}, [x0]", 0x4c40_7401, 2, Read),
    ("ld1 {v1.4s}, [x0]", 0x4c40_7801, 4, Read),
    ("ld1 {v1.2d}, [x0]", 0x4c40_7c01, 8, Read),
    ("ld1 {v1.2s}, [x0]", 0x0c40_7801, 4, Read),
    ("ld1 {v1.4s, v2.4s}, [x0]", 0x4c40_a801, 4, Read),
    ("ld2 {v1.8h, v2.8h}, [x0]", 0x4c40_8401, 2, Read),
    ("st1 {v1.16b}, [x0]", 0x4c00_7001, 1, Write),
    ("st1 {v1.4s, v2.4s}, [x0]", 0x4c00_a801, 4, Write),
    ("st2 {v1.2d, v2.2d}, [x0]", 0x4c00_8c01, 8, Write),
    ("ld1 {v1.h}[3], [x0]", 0x0d40_5801, 2, Read),
    ("ld1r {v1.4s}, [x0]", 0x4d40_c801, 4, Read),
    ("ldar x1, [x0]", 0xc8df_fc01, 8, Read),
    ("ldar w1, [x0]", 0x88df_fc01, 4, Read),
    ("stlr x1, [x0]", 0xc89f_fc01, 8, Write),
    ("stlr w1, [x0]", 0x889f_fc01, 4, Write),
    ("ldapr x1, [x0]", 0xf8bf_c001, 8, Read),
    ("ldapur x1, [x0]", 0xd940_0001, 8, Read),
    ("stlur x1, [x0]", 0xd900_0001, 8, Write),
    ("ldxr x1, [x0]", 0xc85f_7c01, 8, Read),
    ("ldxp x1, x2, [x0]", 0xc87f_0801, 16, Read),
    ("ldaxr w1, [x0]", 0x885f_fc01, 4, Read),
    ("ldadd x1, x2, [x0]", 0xf821_0002, 8, Both),
    ("swp w1, w2, [x0]", 0xb821_8002, 4, Both),
    ("cas x1, x2, [x0]", 0xc8a1_7c02, 8, Both),
    ("casp x2, x3, x4, x5, [x0]", 0x4822_7c04, 16, Both),
    ("ldtr x1, [x0]", 0xf840_0801, 8, Read),
    ("dc zva, x0", 0xd50b_7420, 1, Write),
];

/// How a program is run.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Interpreted,
    Baseline,
    Host,
    Lockstep,
}

/// Runs the access at aligned addresses, then at `DATA + off`, then at the unmapped address 0. `None` where there is no host
/// code.
fn run(word: u32, off: u64, way: Way) -> Option<Vcpu> {
    let (mut v, ram) = mapped(&[word, NEXT[0], NEXT[1]], 0);
    let addresses = (0..ROUNDS).map(|n| DATA + 16 * n).chain([DATA + off, 0]);
    for (n, va) in addresses.enumerate() {
        ram.store_u64(LIST - RAM + 8 * n as u64, va).unwrap();
    }
    v.cpu.sys[Reg::SCTLR_EL2] |= sctlr::A;
    v.cpu.refresh();
    v.cpu.regs.x[0] = DATA;
    v.cpu.regs.x[21] = LIST;
    let there = match way {
        Way::Interpreted => true,
        Way::Baseline => v.use_baseline_jit(1 << 20, 1),
        Way::Host => v.use_jit(1 << 20, 1),
        Way::Lockstep => v.use_jit(1 << 20, 1) && v.check_lockstep(off),
    };
    if !there {
        return None;
    }
    for _ in 0..10_000 {
        v.run_turns(1);
        assert_eq!(v.take_difference(), None, "{word:08x} at {off}");
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            return Some(v);
        }
    }
    panic!("no fault");
}

#[test]
fn what_is_not_aligned_to_its_elements_faults() {
    for (name, word, elem, as_what) in ACCESSES {
        for way in [Way::Interpreted, Way::Baseline, Way::Host, Way::Lockstep] {
            for off in [1, 2, 4, 8] {
                let Some(v) = run(word, off, way) else { continue };
                let what = format!("{name} at {off}, {way:?}");
                let sys = &v.cpu.sys;
                let misaligned = off % elem != 0;
                assert_eq!(sys[Reg::FAR_EL2], if misaligned { DATA + off } else { 0 }, "{what}");
                if misaligned {
                    // A data abort of the same level, IL, alignment.
                    let esr = 0x25 << 26 | 1 << 25 | u64::from(as_what == Write) << 6 | 0x21;
                    let known = if as_what == Both { !(1 << 6) } else { u64::MAX };
                    assert_eq!(sys[Reg::ESR_EL2] & known, esr, "{what}");
                    assert_eq!((sys[Reg::ELR_EL2], v.cpu.regs.x[0]), (RAM, DATA + off), "{what}");
                }
                let count = |m| v.cpu.counters.get(m);
                if way != Way::Interpreted {
                    assert!(count(Metric::HostEntries) > 0, "{what}: it ran as host code");
                    assert_eq!(count(Metric::InterpretedAlways), 0, "{what}");
                }
            }
        }
    }
}

/// The same code runs with checks and without, in turns, and each time as it must.
#[test]
fn code_of_both_kinds_stands_side_by_side() {
    // ldr x1, [x0]; subs x3, x3, #1; b.ne -8
    let program = [0xf940_0001, 0xf100_0463, 0x54ff_ffc1];
    for jit in [false, true] {
        let (mut v, _) = mapped(&program, 0);
        if jit && !v.use_jit(1 << 20, 1) {
            return;
        }
        for round in 0..6 {
            let checked = round % 2 == 1;
            let control = v.cpu.sys[Reg::SCTLR_EL2] & !sctlr::A;
            v.cpu.sys[Reg::SCTLR_EL2] = control | if checked { sctlr::A } else { 0 };
            v.cpu.refresh();
            v.cpu.derived.note_change();
            v.cpu.regs.pc = RAM;
            v.cpu.regs.x[3] = 100;
            v.cpu.regs.x[0] = DATA + 4;
            v.cpu.sys[Reg::ESR_EL2] = 0;
            for _ in 0..1000 {
                v.run_turns(1);
                if v.cpu.sys[Reg::ESR_EL2] != 0 {
                    break;
                }
            }
            let (esr, left) = (v.cpu.sys[Reg::ESR_EL2], v.cpu.regs.x[3]);
            let expected = if checked { (0x9600_0021, 100) } else { (0x5a00_0123, 0) };
            assert_eq!((esr, left), expected, "round {round}, host code {jit}");
        }
    }
}
