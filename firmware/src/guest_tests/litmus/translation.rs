//! TLB maintenance by broadcast (D8.17): after TLBI and DSB no PE uses the old translation, and what was accessed with it is
//! complete.

use super::{BLANK, Litmus, Location, Needs, Observed::Final, Observed::Reg, Third};
use crate::guest_tests::program::Program;
use crate::guest_tests::registers::{self as r, SysReg};

const BASE: Litmus = Litmus { third: Third::Descriptor, ..BLANK };

/// Removes the translation of X29, everywhere.
fn unmap(p: &mut Program, tlbi: SysReg) {
    a64!(p ; str xzr, [x12] ; dsb ishst ; lsr x15, x29, 12);
    p.msr(tlbi, 15);
    a64!(p ; dsb ish);
}

fn unmap_and_tell(p: &mut Program) {
    unmap(p, r::TLBI_VAAE1IS);
    a64!(p ; str x1, [x11]);
}

/// All of the PE's own stage 1 in place of one address.
fn unmap_all_and_tell(p: &mut Program) {
    a64!(p ; str xzr, [x12] ; dsb ishst);
    p.msr(r::TLBI_VMALLE1IS, 31);
    a64!(p ; dsb ish ; str x1, [x11]);
}

/// Looks at x twice, with a while in between.
fn unmap_and_look(p: &mut Program) {
    unmap(p, r::TLBI_VAAE1IS);
    a64!(p ; ldr x4, [x10] ; movz x15, 50 ; again: ; sub x15, x15, 1 ; cbnz x15, <again ; ldr x5, [x10]);
}

/// Break before make: the address translates to y, where 1 is.
fn move_to_y(p: &mut Program) {
    a64!(p ; str x1, [x11]);
    unmap(p, r::TLBI_VAAE1IS);
    a64!(p ; ldr x15, [x12, 8] ; str x15, [x12] ; dsb ishst);
}

/// Makes the address read-only, by break before make, and tells.
fn protect_and_tell(p: &mut Program) {
    a64!(p ; ldr x16, [x12] ; orr x16, x16, 0x80);
    unmap(p, r::TLBI_VAAE1IS);
    a64!(p ; str x16, [x12] ; dsb ishst ; isb ; str x1, [x11]);
}

fn see_then_load(p: &mut Program) {
    a64!(p ; ldr x4, [x11] ; dsb ish ; isb ; ldr x5, [x29]);
}

fn see_then_store(p: &mut Program) {
    a64!(p ; ldr x4, [x11] ; dsb ish ; isb ; str x2, [x29]);
}

pub(super) const TESTS: &[Litmus] = &[
    Litmus {
        name: "TLBI.load",
        section: "D8.17: with the old translation nobody loads after TLBI VAAE1IS and DSB",
        threads: &[unmap_and_tell, see_then_load],
        observed: &[Reg(1, 4), Reg(1, 7)],
        allowed: &["00", "01", "11"],
        forbidden: &["10"],
        ..BASE
    },
    Litmus {
        name: "TLBI.load.all",
        section: "D8.17: with the old translation nobody loads after TLBI VMALLE1IS and DSB",
        threads: &[unmap_all_and_tell, see_then_load],
        observed: &[Reg(1, 4), Reg(1, 7)],
        allowed: &["00", "01", "11"],
        forbidden: &["10"],
        ..BASE
    },
    Litmus {
        name: "TLBI.store",
        section: "D8.17: with the old translation nobody stores after TLBI VAAE1IS and DSB",
        threads: &[unmap_and_tell, see_then_store],
        observed: &[Reg(1, 4), Reg(1, 7), Final(Location::X)],
        allowed: &["002", "010", "110"],
        forbidden: &["102", "012", "112", "000", "100"],
        ..BASE
    },
    Litmus {
        name: "TLBI.store.lands",
        section: "D8.17: a store by the old translation is complete with the DSB, or faults",
        threads: &[unmap_and_look, |p| a64!(p ; str x2, [x29])],
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 7), Final(Location::X)],
        allowed: &["2202", "0010"],
        forbidden: &["0202", "0002", "0212", "2212", "0012"],
        ..BASE
    },
    Litmus {
        name: "TLBI.atomic.lands",
        section: "D8.17: the same for an atomic instruction",
        needs: Needs::V82,
        threads: &[unmap_and_look, |p| a64!(p ; ldadd x2, x15, [x29])],
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 7), Final(Location::X)],
        allowed: &["2202", "0010"],
        forbidden: &["0202", "0002", "0212", "2212", "0012"],
        ..BASE
    },
    Litmus {
        name: "TLBI.exclusive.lands",
        section: "D8.17: the same for a store-exclusive (1:X5 is its status), which may find its reservation gone",
        threads: &[unmap_and_look, |p| a64!(p ; movz x5, 1 ; ldxr x15, [x29] ; stxr w5, x2, [x29] ; clrex)],
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 7), Reg(1, 5), Final(Location::X)],
        allowed: &["22002", "00110"],
        weak: &["00010"],
        forbidden: &["02002", "00002", "00102", "00112"],
        ..BASE
    },
    Litmus {
        name: "TLBI.pair.lands",
        section: "D8.17: the same for a pair in a SIMD and floating-point register",
        threads: &[unmap_and_look, |p| a64!(p ; dup v0.d2, x2 ; str q0, [x29])],
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 7), Final(Location::X)],
        allowed: &["2202", "0010"],
        forbidden: &["0202", "0002", "0212", "2212", "0012"],
        ..BASE
    },
    Litmus {
        name: "TLBI.break-before-make",
        section: "D8.17.1: who has seen the new translation does not see the old one (3: a fault)",
        threads: &[move_to_y, |p| {
            a64!(p ; movz x4, 3 ; movz x5, 3 ; ldr x4, [x29] ; dsb ish ; isb ; ldr x5, [x29]);
        }],
        observed: &[Reg(1, 4), Reg(1, 5)],
        allowed: &["00", "03", "01", "33", "31", "11"],
        forbidden: &["10", "13", "30"],
        ..BASE
    },
    Litmus {
        name: "TLBI.read-only",
        section: "D8.17: nobody stores by a translation that has become read-only",
        threads: &[protect_and_tell, |p| {
            a64!(p ; ldr x4, [x11] ; dsb ish ; isb ; ldr x5, [x29] ; str x2, [x29]);
        }],
        observed: &[Reg(1, 4), Final(Location::X)],
        // A permission fault, too, sets X7.
        allowed: &["00", "02", "10"],
        forbidden: &["12"],
        ..BASE
    },
    Litmus {
        name: "TLBI.three",
        section: "D8.17: the DSB waits for all PEs",
        threads: &[unmap_and_tell, see_then_load, see_then_store],
        observed: &[Reg(1, 4), Reg(1, 7), Reg(2, 4), Reg(2, 7), Final(Location::X)],
        allowed: &["00002", "00010", "00110", "01002", "01010", "01110", "11002", "11010", "11110"],
        forbidden: &["10002", "10010", "10110", "00102", "01102", "11102"],
        ..BASE
    },
];
