//! The CPU interfaces: acknowledging and ending interrupts (IHI 0048B, 3.2 and 4.4).

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::irq::{Group, Pending};

use super::interface::{FIRST_SPECIAL, SPURIOUS, View, index};
use super::regs::{CPU_INTERFACE, Interface as Reg};
use super::{Gicv2, State};
use crate::gic::regs::find;

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

    fn read_interface(&mut self, cpu: usize, reg: Reg) -> u32 {
        match reg {
            Reg::Iar => self.acknowledge(cpu, View::Plain),
            Reg::Aiar => self.acknowledge(cpu, View::Aliased),
            Reg::Hppir => self.highest_pending(cpu, View::Plain),
            Reg::Ahppir => self.highest_pending(cpu, View::Aliased),
            _ => self.cpus[cpu].interface.read(reg).unwrap_or(0),
        }
    }

    /// False if the register is read-only.
    fn write_interface(&mut self, cpu: usize, reg: Reg, value: u32) -> bool {
        match reg {
            Reg::Eoir => self.end_of_interrupt(cpu, View::Plain, value),
            Reg::Aeoir => self.end_of_interrupt(cpu, View::Aliased, value),
            // With EOImode 0 a write is UNPREDICTABLE: ignored.
            Reg::Dir if self.cpus[cpu].interface.splits_eoi() => {
                self.distributor.deactivate(cpu, intid_of(value));
            }
            Reg::Dir => {}
            _ => return self.cpus[cpu].interface.write(reg, value),
        }
        true
    }
}

/// The CPU interfaces on the bus.
pub(super) struct Frame {
    gic: Arc<Gicv2>,
}

impl Frame {
    pub(super) fn new(gic: Arc<Gicv2>) -> Self {
        Self { gic }
    }
}

impl MmioDevice for Frame {
    fn name(&self) -> &str {
        "gicv2-cpu-interfaces"
    }

    fn read(&self, offset: u64, size: Size, from: Requester) -> Result<u64, BusFault> {
        let cpu = self.gic.accessor(from)?;
        let Some(hit) = find(CPU_INTERFACE, offset, size) else {
            self.gic.anomaly("read of no CPU interface register", offset);
            return Ok(0);
        };
        let read = |s: &mut State| s.read_interface(cpu, hit.reg);
        Ok(if hit.reg.acknowledges() { self.gic.change(read) } else { read(&mut self.gic.state.lock()) }
            .into())
    }

    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        let cpu = self.gic.accessor(from)?;
        let Some(hit) = find(CPU_INTERFACE, offset, size) else {
            self.gic.anomaly("write of no CPU interface register", offset);
            return Ok(());
        };
        if !self.gic.change(|s| s.write_interface(cpu, hit.reg, value as u32)) {
            self.gic.anomaly(hit.name, value);
        }
        Ok(())
    }
}
