//! What the rows say beside who may access a register, held against what accesses do.

use emu_a64::level::El;

use super::fine::{FIELDS, Fine, OF_NO_ROW};
use crate::mem::context::select;
use crate::sysreg::*;
use crate::test_pe::{Bench, max};

const ONES: u64 = u64::MAX;

/// True if a register or instruction of this name is what a field of this name traps: `DBGBCRn_EL1`, `APIAKey`, `TLBIVAE1`.
fn is_named_by(row: &Row, field: &str) -> bool {
    let name = row.name.replace(' ', "");
    let name = if matches!(row.fine, Some(Fine { is_nxs: true, .. })) {
        name.trim_end_matches("NXS")
    } else {
        &name
    };
    // One of several: PMXEVCNTR_EL0 is the selected one of PMEVCNTR<n>_EL0.
    let numbered = || {
        let (stem, level) = field.split_once("n_EL")?;
        let (register, of) = name.rsplit_once("_EL")?;
        let register = register.replacen("PMX", "PM", 1);
        Some(register.trim_end_matches(|c: char| c.is_ascii_digit()) == stem && of == level)
    };
    // Lo and Hi, SET and CLR.
    let parts = !field.contains("_EL") && row.enc.parts().0 != 1 && name.starts_with(field);
    name == field || parts || numbered().unwrap_or(false)
}

/// Each field of the trap registers traps what it is named after, and each row that names a field can be trapped.
#[test]
fn fields_of_fine_grained_traps_are_those_of_their_rows() {
    for (name, field) in FIELDS.into_iter().flatten() {
        let is_here = |row: &&Row| row.fine.is_some_and(|f| (f.group, f.bit) == (field.group, field.bit));
        let trapped: Vec<_> = rows().iter().filter(is_here).collect();
        assert_eq!(trapped.is_empty(), OF_NO_ROW.contains(field), "{name} traps something");
        for row in trapped {
            assert!(is_named_by(row, name), "{name} traps {}", row.name);
            assert!(row.perm.below_el2() != Perm::NO, "{} is EL2's alone", row.name);
            let is_instruction = matches!(row.cell, Cell::Insn(_));
            assert_eq!(is_instruction, field.group == Group::Instructions, "{}", row.name);
            assert_eq!(row.fine.is_some_and(|f| f.is_nxs), row.name.ends_with("NXS"), "{}", row.name);
        }
    }
}

/// A register is at one offset of the memory that VNCR_EL2 points to: of 4 KiB, in doublewords (Arm ARM, D8.11).
#[test]
fn offsets_of_nv2_are_apart() {
    let mut seen = std::collections::BTreeMap::new();
    for (offset, name) in rows().iter().filter_map(|row| Some((row.nv2?, row.name))) {
        assert!(offset % 8 == 0 && offset < 0x1000, "{name} at {offset:#x}");
        assert_eq!(seen.insert(offset, name), None, "{name} at {offset:#x}");
    }
}

/// Code is translated without knowing HCR_EL2.E2H, and so which register a name means.
#[test]
fn both_registers_of_a_name_are_alike_to_running_code() {
    for (el1, moved) in rows().iter().filter_map(|row| Some((row, row.moved?))) {
        let el2 = row(moved.host).unwrap();
        for read in [true, false] {
            assert_eq!(el1.ends_block(read), el2.ends_block(read), "{} and {}", el1.name, el2.name);
            assert_eq!(el1.is_repeatable(read), el2.is_repeatable(read), "{} and {}", el1.name, el2.name);
        }
        assert_eq!((el1.in_line, el2.in_line), (None, None), "{} and {}", el1.name, el2.name);
    }
}

/// Puts a PE at an Exception level, with its context selected.
fn at_level(el: El) -> Bench {
    let mut b = max();
    b.cpu.set_level(el, el.is_privileged());
    select(&mut b.cpu);
    b
}

/// Writes to what changes something that is derived from registers say so, and those that say that they change nothing for
/// running code do not.
#[test]
fn effects_are_what_writes_do() {
    for row in rows() {
        for el in [El::El0, El::El1, El::El2] {
            let mut b = at_level(el);
            let c = &mut b.cpu;
            let derived = |c: &crate::cpu::Cpu| (c.hcr(), c.mode(), c.timers.next_deadline(&c.sys));
            let selected = |c: &crate::cpu::Cpu| (*c.derived.permits(), c.mem.serial(0), c.mem.serial(ONES));
            let before = (derived(c), selected(c));
            if !c.poke(row, ONES) {
                continue;
            }
            let written = derived(c);
            c.refresh();
            assert_eq!(written, derived(c), "{} at {el} is not marked as context", row.name);
            select(c);
            if row.effect == Effect::None {
                assert_eq!(before, (derived(c), selected(c)), "{} at {el} has an effect", row.name);
            }
        }
    }
}

/// What lockstep does twice: reads give the same later, and writes are undone by putting registers back.
#[test]
fn what_is_repeatable_can_be_repeated() {
    for row in rows().iter().filter(|row| row.is_repeatable(true)) {
        let mut b = at_level(El::El2);
        b.cpu.poke(row, ONES);
        let first = b.cpu.peek(row);
        b.clock.advance(1_000_000);
        b.cpu.regs.accesses += 1000;
        b.cpu.sync_pmu();
        assert_eq!(b.cpu.peek(row), first, "{}", row.name);
    }
    let mut writes = 0;
    for row in rows().iter().filter(|row| row.is_repeatable(false)) {
        let mut b = at_level(El::El2);
        let c = &mut b.cpu;
        let state = |c: &crate::cpu::Cpu| format!("{:?}", c.save());
        let (before, kept) = (state(c), (c.regs.clone(), c.pstate.clone(), c.sys.clone()));
        if !c.poke(row, ONES) {
            continue;
        }
        let after = state(c);
        (c.regs, c.pstate, c.sys) = kept;
        assert_eq!(state(c), before, "{}", row.name);
        c.poke(row, ONES);
        assert_eq!(state(c), after, "{}", row.name);
        writes += 1;
    }
    assert!(writes > 20, "{writes}");
}

/// Some that have an effect elsewhere, or in the order of events.
#[test]
fn what_has_effects_is_done_once() {
    let is = |name: &str, read| row(super::enc(name)).unwrap().is_repeatable(read);
    for name in ["CNTVCT_EL0", "CNTV_CTL_EL0", "ICC_IAR1_EL1", "ISR_EL1", "PMCCNTR_EL0", "RNDR"] {
        assert!(!is(name, true), "{name}");
    }
    for name in ["VBAR_EL1", "ESR_EL1", "CTR_EL0", "FPCR", "TTBR0_EL12"] {
        assert!(is(name, true), "{name}");
    }
    for name in ["SCTLR_EL1", "ICC_EOIR1_EL1", "ICH_LR0_EL2", "PMSWINC_EL0", "AT S1E1R", "TLBI VMALLE1"] {
        assert!(!is(name, false), "{name}");
    }
    for name in ["TPIDR_EL0", "DAIF", "VBAR_EL1", "ELR_EL12", "DC ZVA", "IC IVAU"] {
        assert!(is(name, false), "{name}");
    }
}
