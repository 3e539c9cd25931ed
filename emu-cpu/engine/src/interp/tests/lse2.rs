//! Unaligned ordered and atomic accesses: FEAT_LSE2.

use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use emu_pe::sysreg::{Reg, sctlr};

use super::{RAM, mapped};
use crate::interp::vcpu::Vcpu;

const LDAR: u32 = 0xc8df_fc01;
const STLR: u32 = 0xc89f_fc01;
const LDADD: u32 = 0xf821_0002;
const SWP_W: u32 = 0xb821_8002;
const LDSMAXH: u32 = 0x7821_4002;
const LDUMAXH: u32 = 0x7821_6002;
const CAS: u32 = 0xc8a1_7c02;
const LDXR: u32 = 0xc85f_7c01;
const STXR: u32 = 0xc803_7c02;

/// Runs a program on Normal memory, with X0 at an offset in a block of bytes 0, 1, 2 ... and X1, X2 given.
fn run(program: &[u32], control: u64, at: u64, x: [u64; 2]) -> (Vcpu, &'static GuestRam) {
    let (mut v, ram) = mapped(program, 0);
    (0..32).for_each(|n| ram.store_u8(0x4000 + n, n as u8).unwrap());
    v.cpu.sys[Reg::SCTLR_EL2] |= control;
    v.cpu.refresh();
    v.cpu.regs.x[0] = RAM + 0x4000 + at;
    v.cpu.regs.x[1..3].copy_from_slice(&x);
    for _ in 0..10 {
        v.run_turns(1);
        if v.cpu.counters.get(Metric::ExcToEl2) != 0 {
            break;
        }
    }
    (v, ram)
}

/// The alignment fault that ended a program, by WnR.
fn fault(v: &Vcpu) -> Option<bool> {
    let esr = v.cpu.sys[Reg::ESR_EL2];
    (esr >> 26 == 0x25 && esr & 0x3f == 0x21).then_some(esr >> 6 & 1 != 0)
}

fn bytes(ram: &GuestRam, at: u64) -> u64 {
    (0..8).fold(0, |v, n| v | u64::from(ram.load_u8(0x4000 + at + n).unwrap()) << (8 * n))
}

#[test]
fn inside_sixteen_bytes_everything_is_allowed() {
    for at in 0..=8 {
        let before = 0x0706_0504_0302_0100u64.wrapping_add(at * 0x0101_0101_0101_0101);
        let (v, _) = run(&[LDAR], 0, at, [0; 2]);
        assert_eq!((fault(&v), v.cpu.regs.x[1]), (None, before), "{at}");
        let (v, ram) = run(&[STLR], 0, at, [0x1122_3344_5566_7788, 0]);
        assert_eq!((fault(&v), bytes(ram, at)), (None, 0x1122_3344_5566_7788), "{at}");
        let (v, ram) = run(&[LDADD], 0, at, [0x1_0000_0001, 0]);
        assert_eq!((fault(&v), v.cpu.regs.x[2]), (None, before), "{at}");
        assert_eq!(bytes(ram, at), before.wrapping_add(0x1_0000_0001));
        let (v, ram) = run(&[CAS], 0, at, [before, 5]);
        assert_eq!((fault(&v), v.cpu.regs.x[1], bytes(ram, at)), (None, before, 5), "{at}");
        let (v, ram) = run(&[CAS], 0, at, [1, 5]);
        assert_eq!((fault(&v), v.cpu.regs.x[1], bytes(ram, at)), (None, before, before), "{at}");
        let (v, ram) = run(&[LDXR, STXR], 0, at, [0, 77]);
        assert_eq!(
            (fault(&v), v.cpu.regs.x[1], v.cpu.regs.x[3], bytes(ram, at)),
            (None, before, 0, 77),
            "{at}"
        );
    }
    let (v, ram) = run(&[SWP_W], 0, 9, [0xffff_ffff_aabb_ccdd, 0]);
    assert_eq!((v.cpu.regs.x[2], bytes(ram, 8)), (0x0c0b_0a09, 0x0f0e_0daa_bbcc_dd08));
    // Signed and unsigned halfwords: 0x0e0d in memory.
    let (v, ram) = run(&[LDSMAXH], 0, 13, [0x8000, 0]);
    assert_eq!((v.cpu.regs.x[2], bytes(ram, 8)), (0x0e0d, 0x0f0e_0d0c_0b0a_0908));
    let (v, ram) = run(&[LDUMAXH], 0, 13, [0x8000, 0]);
    assert_eq!((v.cpu.regs.x[2], bytes(ram, 8)), (0x0e0d, 0x0f80_000c_0b0a_0908));
}

#[test]
fn across_sixteen_bytes_only_what_naa_allows() {
    for at in 9..16 {
        for (insn, write, ordered) in [
            (LDAR, false, true),
            (STLR, true, true),
            // A read would fault there, too, so WnR is 0.
            (LDADD, false, false),
            (CAS, false, false),
            (LDXR, false, false),
        ] {
            let (v, _) = run(&[insn], 0, at, [0; 2]);
            assert_eq!(fault(&v), Some(write), "{insn:08x} {at}");
            let (v, _) = run(&[insn], sctlr::NAA, at, [0; 2]);
            assert_eq!(fault(&v), (!ordered).then_some(write), "{insn:08x} {at} with nAA");
            let (v, _) = run(&[insn], sctlr::NAA | sctlr::A, at, [0; 2]);
            assert_eq!(fault(&v), Some(write), "{insn:08x} {at} with A");
        }
    }
}
