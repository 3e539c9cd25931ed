//! The CPU interfaces: acknowledging and ending interrupts (IHI 0048B, 3.2 and 4.4).

use emu_core::irq::{Group, Pending};
use emu_core::registers::Map;

use super::State;
use super::frame::{Block, Write};
use super::interface::{FIRST_SPECIAL, SPURIOUS, View, index};
use super::regs::{CPU_INTERFACE, Interface as Reg};

/// The INTID in GICC_EOIR and GICC_DIR; the sender of an SGI is in bits 12:10.
fn intid_of(value: u32) -> u32 {
    value & 0x3ff
}

impl State {
    /// The highest-priority pending interrupt of a PE.
    fn candidate(&self, cpu: usize) -> Option<Pending> {
        self.distributor.candidate(cpu, self.cpus[cpu].interface.groups())
    }

    /// The same, if the CPU interface signals it: its priority is sufficient.
    pub(super) fn taken(&self, cpu: usize) -> Option<Pending> {
        self.candidate(cpu).filter(|p| self.cpus[cpu].interface.takes(p.group, p.priority))
    }

    /// GICC_HPPIR, GICC_AHPPIR.
    fn highest_pending(&self, cpu: usize, view: View) -> u32 {
        let Some(p) = self.candidate(cpu) else { return SPURIOUS };
        let found = || p.intid | self.distributor.source(cpu, p.intid) << 10;
        self.cpus[cpu].interface.instead(view, p.group).unwrap_or_else(found)
    }

    /// GICC_IAR, GICC_AIAR.
    fn acknowledge(&mut self, cpu: usize, view: View) -> u32 {
        let Some(p) = self.taken(cpu) else { return SPURIOUS };
        let interface = &mut self.cpus[cpu].interface;
        if let Some(special) = interface.instead(view, p.group) {
            return special;
        }
        interface.activate(index(p.group), p.group, p.priority);
        p.intid | self.distributor.acknowledge(cpu, p.intid) << 10
    }

    /// GICC_EOIR, GICC_AEOIR. One that does not belong to what is being serviced is UNPREDICTABLE: ignored.
    fn end_of_interrupt(&mut self, cpu: usize, view: View, value: u32) {
        let interface = &mut self.cpus[cpu].interface;
        let Some((slot, _)) = interface.highest_active() else { return };
        let group = if slot == 0 { Group::G0 } else { Group::G1 };
        if intid_of(value) >= FIRST_SPECIAL || !interface.ends(view, group) {
            return;
        }
        interface.drop_priority();
        if !interface.splits_eoi() {
            self.distributor.deactivate(cpu, intid_of(value));
        }
    }
}

/// The CPU interfaces on the bus.
pub(super) struct Registers;

impl Block for Registers {
    type Reg = Reg;
    const NAME: &'static str = "gicv2-cpu-interfaces";
    const REGISTER: &'static str = "CPU interface register";
    const MAP: &'static Map<Reg> = &CPU_INTERFACE;

    fn peek(state: &State, cpu: usize, reg: Reg, _: u32) -> Option<u32> {
        Some(match reg {
            Reg::Hppir => state.highest_pending(cpu, View::Plain),
            Reg::Ahppir => state.highest_pending(cpu, View::Aliased),
            _ => state.cpus[cpu].interface.read(reg),
        })
    }

    fn take(state: &mut State, cpu: usize, reg: Reg) -> u32 {
        state.acknowledge(cpu, if reg == Reg::Aiar { View::Aliased } else { View::Plain })
    }

    fn write(state: &mut State, cpu: usize, write: &Write<'_, Reg>) -> bool {
        let value = write.value;
        match write.reg {
            Reg::Eoir => state.end_of_interrupt(cpu, View::Plain, value),
            Reg::Aeoir => state.end_of_interrupt(cpu, View::Aliased, value),
            // With EOImode 0 a write is UNPREDICTABLE: ignored.
            Reg::Dir if state.cpus[cpu].interface.splits_eoi() => {
                state.distributor.deactivate(cpu, intid_of(value));
            }
            Reg::Dir => {}
            reg => state.cpus[cpu].interface.write(reg, value),
        }
        true
    }
}
