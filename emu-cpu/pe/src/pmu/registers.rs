//! What reads and writes of the PMU's registers do. Every write counts up to now first, by the old controls.

use emu_a64::features::Feat;
use emu_a64::level::El;

use super::{CYCLE, EVENT_COUNTERS, Pmu, bit, event, event_regs, filter, pmcr};
use crate::cpu::Cpu;
use crate::sysreg::Reg;

/// All counters, one bit for each.
const ALL_COUNTERS: u64 = ((1 << EVENT_COUNTERS) - 1) | 1 << CYCLE;

/// Counts, changes, and looks at the consequences.
fn change(cpu: &mut Cpu, change: impl FnOnce(&mut Cpu)) {
    cpu.sync_pmu();
    change(cpu);
    cpu.update_pmu();
}

/// The counters that the current Exception level may see: below EL2, not EL2's own.
fn visible(cpu: &Cpu) -> u64 {
    if cpu.pstate.el == El::El2 {
        ALL_COUNTERS
    } else {
        (bit(cpu.pmu.guest_counters(&cpu.sys)) - 1) | bit(CYCLE)
    }
}

/// PMCR_EL0: N is the number of counters that can be seen here; IMP and IDCODE are the model's, IMP 0 without the other.
pub(crate) fn read_pmcr(cpu: &mut Cpu) -> u64 {
    let n = if cpu.pstate.el == El::El2 { EVENT_COUNTERS } else { cpu.pmu.guest_counters(&cpu.sys) };
    let implementer =
        if cpu.identity.model().pmu_idcode == 0 { 0 } else { u64::from(cpu.identity.model().midr >> 24) };
    cpu.sys[Reg::PMCR_EL0]
        | pmcr::LC
        | (n as u64) << 11
        | u64::from(cpu.identity.model().pmu_idcode) << 16
        | implementer << 24
}

/// PMCR_EL0: P and C reset counters, event counters only as far as they can be seen.
pub(crate) fn write_pmcr(cpu: &mut Cpu, v: u64) {
    change(cpu, |cpu| {
        let long = if cpu.identity.has(Feat::Pmuv3p5) { pmcr::LP } else { 0 };
        cpu.sys[Reg::PMCR_EL0] = v & (pmcr::E | pmcr::X | pmcr::DP | long);
        if v & pmcr::P != 0 {
            let seen = visible(cpu);
            for n in (0..EVENT_COUNTERS).filter(|n| seen & bit(*n) != 0) {
                cpu.sys[event_regs(n).0] = 0;
            }
        }
        if v & pmcr::C != 0 {
            cpu.sys[Reg::PMCCNTR_EL0] = 0;
        }
    });
}

/// A register with a bit for each counter.
pub(crate) fn read_bits(cpu: &mut Cpu, reg: Reg) -> u64 {
    // Overflows only: a read of anything else does not end its block, where instructions are counted ahead.
    if reg == Reg::PMOVSSET_EL0 {
        cpu.sync_pmu();
    }
    cpu.sys[reg] & visible(cpu)
}

/// Sets the bits that are one, of counters that can be seen.
pub(crate) fn set_bits(cpu: &mut Cpu, reg: Reg, v: u64) {
    change(cpu, |cpu| cpu.sys[reg] |= v & visible(cpu));
}

/// Clears them.
pub(crate) fn clear_bits(cpu: &mut Cpu, reg: Reg, v: u64) {
    change(cpu, |cpu| cpu.sys[reg] &= !(v & visible(cpu)));
}

/// PMSWINC_EL0: the counters that are named and count SW_INCR count one.
pub(crate) fn write_swinc(cpu: &mut Cpu, v: u64) {
    change(cpu, |cpu| {
        let named = v & visible(cpu);
        for n in (0..EVENT_COUNTERS).filter(|n| named & bit(*n) != 0) {
            let el = cpu.pstate.el;
            if Pmu::source_of(&cpu.sys, n) == event::Source::Software && cpu.pmu.counts_here(&cpu.sys, el, n)
            {
                cpu.pmu.add_to_counter(&mut cpu.sys, el, n, 1);
            }
        }
    });
}

/// PMCEID0_EL0 and PMCEID1_EL0.
pub(crate) fn read_ceid(cpu: &mut Cpu, half: u16) -> u64 {
    event::implemented(cpu.identity.features(), half)
}

/// PMCCNTR_EL0.
pub(crate) fn read_cycles(cpu: &mut Cpu) -> u64 {
    cpu.sync_pmu();
    cpu.sys[Reg::PMCCNTR_EL0]
}

/// PMCCNTR_EL0.
pub(crate) fn write_cycles(cpu: &mut Cpu, v: u64) {
    change(cpu, |cpu| cpu.sys[Reg::PMCCNTR_EL0] = v);
}

/// PMCCFILTR_EL0.
pub(crate) fn write_cycle_filter(cpu: &mut Cpu, v: u64) {
    change(cpu, |cpu| cpu.sys[Reg::PMCCFILTR_EL0] = v & filters(cpu));
}

/// The filter bits that exist: NSH needs EL2.
fn filters(cpu: &Cpu) -> u64 {
    filter::P | filter::U | if cpu.has_el(El::El2) { filter::NSH } else { 0 }
}

/// PMEVCNTR<n>_EL0: 32 bits before FEAT_PMUv3p5.
pub(crate) fn read_counter(cpu: &mut Cpu, n: usize) -> u64 {
    cpu.sync_pmu();
    if n < EVENT_COUNTERS { cpu.sys[event_regs(n).0] } else { 0 }
}

/// PMEVCNTR<n>_EL0.
pub(crate) fn write_counter(cpu: &mut Cpu, n: usize, v: u64) {
    if n < EVENT_COUNTERS {
        let value = if cpu.identity.has(Feat::Pmuv3p5) { v } else { v & 0xffff_ffff };
        change(cpu, |cpu| cpu.sys[event_regs(n).0] = value);
    }
}

/// PMEVTYPER<n>_EL0, and PMCCFILTR_EL0 as number 31.
pub(crate) fn read_type(cpu: &mut Cpu, n: usize) -> u64 {
    match n {
        CYCLE => cpu.sys[Reg::PMCCFILTR_EL0],
        _ if n < EVENT_COUNTERS => cpu.sys[event_regs(n).1],
        _ => 0,
    }
}

/// PMEVTYPER<n>_EL0: the event number has ten bits, sixteen with FEAT_PMUv3p1.
pub(crate) fn write_type(cpu: &mut Cpu, n: usize, v: u64) {
    if n == CYCLE {
        return write_cycle_filter(cpu, v);
    }
    if n < EVENT_COUNTERS {
        let number = if cpu.identity.has(Feat::Pmuv3p1) { 0xffff } else { 0x3ff };
        change(cpu, |cpu| cpu.sys[event_regs(n).1] = v & (number | filters(cpu)));
    }
}

/// The counter that PMSELR_EL0 selects.
pub(crate) fn selected(cpu: &Cpu) -> usize {
    (cpu.sys[Reg::PMSELR_EL0] & 31) as usize
}

/// True for a counter that is EL2's own, asked for below EL2.
pub(crate) fn is_hidden(cpu: &Cpu, n: usize) -> bool {
    cpu.pstate.el < El::El2 && n < EVENT_COUNTERS && visible(cpu) & bit(n) == 0
}

/// MDCR_EL2, of which the PMU's bits decide what counts.
pub(crate) fn write_mdcr(cpu: &mut Cpu, v: u64, writable: u64) {
    change(cpu, |cpu| cpu.sys[Reg::MDCR_EL2] = v & writable);
}
