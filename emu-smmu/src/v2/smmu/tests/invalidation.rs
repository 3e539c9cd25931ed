//! What TLB maintenance takes away, and what it leaves.

use emu_mmu::{Regime, TlbiListener, TlbiScope};

use super::*;

/// Streams 1 and 2 have stage 1 with ASIDs 1 and 2, VMID 0; stream 3 stage 2 with VMID 9; stream 4 EL2. All have a page at 0x5000
/// and at 0x6000.
struct Rig {
    m: Machine,
    ports: [Arc<dyn DmaPort>; 4],
}

const ROOTS: [u64; 4] = [RAM + 0x1_0000, RAM + 0x2_0000, RAM + 0x3_0000, RAM + 0x4_0000];
const OLD: u64 = DATA;
const NEW: u64 = DATA + 0x1000;

impl Rig {
    fn new() -> Self {
        let m = Machine::new();
        // Without PTM.
        m.w(0, 0x0020_0c36);
        m.put(OLD, 1);
        m.put(NEW, 2);
        for (n, root) in (0_u64..).zip(ROOTS) {
            m.stream(n, n as u32 + 1, n);
            m.w(0x1800 + 4 * n, 1);
            m.w(0x1000 + 4 * n, [0x0001_0000, 0x0001_0000, 9, 0x0001_0400][n as usize]);
            m.w(cb(n) + TCR2, 5 | 1 << 4 | 7 << 15);
            m.w(cb(n) + TCR, if n == 2 { 25 | 1 << 6 | 5 << 16 } else { 25 | 1 << 23 });
            m.w64(cb(n) + TTBR0, root | if n < 2 { (n + 1) << 48 } else { 0 });
            m.w(cb(n) + 0x38, 0xff);
            m.w(cb(n) + SCTLR, USUAL);
            for at in [0x5000, 0x6000] {
                m.map(root, at, OLD | if n == 2 { PAGE2 } else { PAGE });
            }
        }
        let ports = [1, 2, 3, 4].map(|stream| m.port(stream));
        Self { m, ports }
    }

    /// Which of the pages at 0x5000 and 0x6000 of the four streams are gone after an invalidation.
    fn gone(&self, invalidate: impl FnOnce(&Machine)) -> [[bool; 2]; 4] {
        let all =
            || [0, 1, 2, 3].map(|n: usize| [0x5000, 0x6000].map(|at| read(&self.ports[n], at).unwrap()));
        assert_eq!(all(), [[1; 2]; 4]);
        for (n, root) in ROOTS.into_iter().enumerate() {
            for at in [0x5000, 0x6000] {
                self.m.map(root, at, NEW | if n == 2 { PAGE2 } else { PAGE });
            }
        }
        assert_eq!(all(), [[1; 2]; 4], "all are known");
        invalidate(&self.m);
        all().map(|pages| pages.map(|value| value == 2))
    }
}

const NONE: [bool; 2] = [false; 2];
const FIRST: [bool; 2] = [true, false];
const BOTH: [bool; 2] = [true; 2];

fn check(register: u64, value: u64, wide: bool, gone: [[bool; 2]; 4]) {
    let found = Rig::new().gone(|m| if wide { m.w64(register, value) } else { m.w(register, value) });
    assert_eq!(found, gone, "{register:#x}");
}

#[test]
fn tlbiva_takes_a_page_of_an_asid() {
    check(cb(0) + 0x600, 5 | 1 << 48, true, [FIRST, NONE, NONE, NONE]);
    check(cb(0) + 0x620, 5 | 2 << 48, true, [NONE, FIRST, NONE, NONE]);
}

#[test]
fn tlbivaa_takes_a_page_of_every_asid() {
    check(cb(0) + 0x608, 5, true, [FIRST, FIRST, NONE, NONE]);
    check(cb(1) + 0x628, 5, true, [FIRST, FIRST, NONE, NONE]);
}

#[test]
fn tlbiasid_takes_an_asid() {
    check(cb(1) + 0x610, 2, false, [NONE, BOTH, NONE, NONE]);
}

#[test]
fn tlbiall_takes_the_vmid_of_the_bank() {
    check(cb(0) + 0x618, 0, false, [BOTH, BOTH, NONE, NONE]);
    check(cb(3) + 0x618, 0, false, [NONE, NONE, NONE, BOTH]);
}

#[test]
fn tlbiipas2_takes_a_page_of_stage_2() {
    check(cb(2) + 0x630, 5, true, [NONE, NONE, FIRST, NONE]);
    check(cb(2) + 0x638, 5, true, [NONE, NONE, FIRST, NONE]);
}

#[test]
fn tlbivmid_takes_a_vmid() {
    check(0x64, 9, false, [NONE, NONE, BOTH, NONE]);
    check(0xb8, 0, false, [BOTH, BOTH, NONE, NONE]);
}

#[test]
fn tlbiallnsnh_and_tlbiallh_take_one_regime_each() {
    check(0x68, 0, false, [BOTH, BOTH, BOTH, NONE]);
    check(0x6c, 0, false, [NONE, NONE, NONE, BOTH]);
}

#[test]
fn tlbivah_takes_a_page_of_el2() {
    check(0x78, 0x5000, false, [NONE, NONE, NONE, FIRST]);
    check(0xb0, 5, true, [NONE, NONE, NONE, FIRST]);
    check(0xc0, 5, true, [NONE, NONE, NONE, FIRST]);
    check(cb(3) + 0x600, 5, true, [NONE, NONE, NONE, FIRST]);
}

#[test]
fn a_command_in_halves_is_one_command() {
    let gone = Rig::new().gone(|m| {
        m.w(cb(0) + 0x604, 1 << 16);
        m.w(cb(0) + 0x600, 5);
    });
    assert_eq!(gone, [FIRST, NONE, NONE, NONE]);
}

#[test]
fn maintenance_by_cpus_reaches_it_unless_ptm_is_set() {
    let scope = TlbiScope::Context { regime: Regime::El10, vmid: 9 };
    let gone = Rig::new().gone(|m| TlbiListener::invalidate(&**m.smmu.core(), &scope));
    assert_eq!(gone, [NONE, NONE, BOTH, NONE]);
    let gone = Rig::new().gone(|m| {
        m.w(0, 0x0020_1c36);
        TlbiListener::invalidate(&**m.smmu.core(), &scope);
    });
    assert_eq!(gone, [NONE; 4]);
}

#[test]
fn a_change_of_the_configuration_holds_for_the_next_transaction() {
    let rig = Rig::new();
    assert_eq!(read(&rig.ports[0], 0x5000), Ok(1));
    // Another bank, with the other ASID's tables.
    rig.m.map(ROOTS[1], 0x5000, NEW | PAGE);
    rig.m.w(0xc00, 1);
    assert_eq!(read(&rig.ports[0], 0x5000), Ok(2));
    rig.m.w(0xc00, 2 << 16);
    assert_eq!(read(&rig.ports[0], 0x5000), Err(DmaFault::Abort));
    rig.m.w(0x800, 0);
    rig.m.w(0x48, 0xffff_ffff);
    assert_eq!((read(&rig.ports[0], 0x5000), rig.m.r(0x48)), (Err(DmaFault::Abort), 2));
    rig.m.w(0, 1);
    assert_eq!(read(&rig.ports[0], OLD), Ok(1));
}

#[test]
fn vmids_have_16_bits_where_they_are_enabled() {
    let m = Machine::with(Profile::FULL);
    let (page, banks) = (0x1_0000, 128);
    let at = |n: u64| (banks + n) * page;
    m.w(0, 1 << 31 | 0x1c36);
    for (n, vmid) in [(0_u64, 0x1234_u64), (1, 0x34)] {
        m.stream(n, n as u32 + 1, n);
        m.w(page + 0x800 + 4 * n, vmid << 16 | 1);
        m.w(page + 4 * n, 0x34);
        m.w(at(n) + TCR, 25 | 1 << 6 | 5 << 16);
        m.w64(at(n) + TTBR0, ROOTS[n as usize]);
        m.w(at(n) + SCTLR, USUAL);
        m.map(ROOTS[n as usize], 0x5000, (DATA + 0x1000 * n) | PAGE2);
    }
    m.put(DATA, 10);
    m.put(DATA + 0x1000, 11);
    let ports = [m.port(1), m.port(2)];
    let both = || [0, 1].map(|n: usize| read(&ports[n], 0x5000).unwrap());
    assert_eq!(both(), [10, 11]);
    for root in &ROOTS[..2] {
        m.map(*root, 0x5000, (DATA + 0x2000) | PAGE2);
    }
    m.w(0x64, 0x1234);
    assert_eq!(both(), [0, 11]);
}
