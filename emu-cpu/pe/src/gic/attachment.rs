//! How the PE is attached to the GIC: with a CPU interface of its own, or by wires.

use std::sync::Arc;

use emu_core::irq::{GicConnection, GicWires, Signals};

use super::{CpuInterface, CpuInterfaceState};

/// The PE's side of the GIC.
pub enum Attachment {
    /// A CPU interface as system registers (GICv3).
    Registers(Box<CpuInterface>),
    /// The CPU interface is elsewhere (GICv2): the `ICC_*` and `ICH_*` registers are UNDEFINED here.
    Wires(Arc<dyn GicWires>),
}

impl Attachment {
    /// What a PE with this connection has; `list_registers` is for a CPU interface of its own.
    pub(crate) fn new(connection: &GicConnection, list_registers: usize) -> Self {
        match connection {
            GicConnection::SystemRegisters(port) => {
                Self::Registers(Box::new(CpuInterface::new(port.clone(), list_registers)))
            }
            GicConnection::Wires(wires) => Self::Wires(wires.clone()),
        }
    }

    /// Which interrupts are signalled.
    #[must_use]
    pub fn signals(&self) -> Signals {
        match self {
            Self::Registers(interface) => interface.signals(),
            Self::Wires(wires) => wires.signals(),
        }
    }

    /// The CPU interface, if the PE has one.
    #[must_use]
    pub fn registers(&self) -> Option<&CpuInterface> {
        match self {
            Self::Registers(interface) => Some(interface),
            Self::Wires(_) => None,
        }
    }

    /// The CPU interface, if the PE has one.
    pub fn registers_mut(&mut self) -> Option<&mut CpuInterface> {
        match self {
            Self::Registers(interface) => Some(interface),
            Self::Wires(_) => None,
        }
    }

    /// After a reset of the PE. A CPU interface that is elsewhere is reset with the GIC.
    pub(crate) fn reset(&mut self) {
        if let Self::Registers(interface) = self {
            interface.reset();
        }
    }

    /// The state that is the PE's.
    pub(crate) fn save(&self) -> Option<CpuInterfaceState> {
        self.registers().map(CpuInterface::save)
    }

    /// False of a saved state that is one of another GIC.
    pub(crate) fn fits(&self, state: Option<&CpuInterfaceState>) -> bool {
        match (self, state) {
            (Self::Registers(interface), Some(state)) => interface.fits(state),
            (Self::Wires(_), None) => true,
            _ => false,
        }
    }

    /// Takes a saved state that fits.
    pub(crate) fn restore(&mut self, state: Option<CpuInterfaceState>) {
        if let (Self::Registers(interface), Some(state)) = (self, state) {
            interface.restore(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::{ExcOp, SysEnc};
    use emu_a64::level::{El, Levels};
    use emu_core::bus::Bus;
    use emu_core::clock::{Clock, Mode};
    use emu_core::irq::ppi;
    use parking_lot::Mutex;

    use super::*;
    use crate::cpu::{Cpu, CpuConfig};
    use crate::exception::Exception;
    use crate::mem::shared::Shared;
    use crate::model::{Id, Model};
    use crate::sysreg::{Cell, Reg, hcr, rows};
    use crate::test_pe::{TestMachine, max};

    /// The other end of the wires.
    #[derive(Default)]
    struct Ends {
        signals: Mutex<Signals>,
        ppis: Mutex<Vec<(u32, bool)>>,
    }

    impl GicWires for Ends {
        fn signals(&self) -> Signals {
            *self.signals.lock()
        }
        fn set_ppi(&self, intid: u32, level: bool) {
            self.ppis.lock().push((intid, level));
        }
    }

    fn wired() -> (Cpu, Arc<Ends>) {
        let ends = Arc::new(Ends::default());
        let cpu = Cpu::new(CpuConfig {
            model: Arc::new(Model::max()),
            levels: Levels::BASE.with(El::El2),
            index: 0,
            counters: Arc::default(),
            doorbell: Arc::default(),
            clock: Clock::new(Mode::Counted),
            port: GicConnection::Wires(ends.clone()),
            machine: Arc::new(TestMachine::default()),
            bus: Arc::new(Bus::new()),
            shared: Arc::new(Shared::new(1)),
        });
        (cpu, ends)
    }

    #[test]
    fn without_a_cpu_interface_its_registers_are_undefined() {
        let (mut cpu, _) = wired();
        assert_eq!(cpu.identity.registers().value(Id::ID_AA64PFR0_EL1) >> 24 & 15, 0, "ID_AA64PFR0_EL1.GIC");
        assert_eq!(max().cpu.identity.registers().value(Id::ID_AA64PFR0_EL1) >> 24 & 15, 1);
        for el in [El::El1, El::El2] {
            cpu.set_level(el, true);
            for row in rows().iter().filter(|row| matches!(row.cell, Cell::Gic(_))) {
                let undefined = Exception::Insn(ExcOp::Undefined);
                assert_eq!(cpu.mrs(row.enc, 0), Err(undefined), "{} at {el}", row.name);
                assert_eq!(cpu.msr(row.enc, 0, 1), Err(undefined.into()), "{} at {el}", row.name);
            }
        }
        let listed = rows().iter().filter(|r| r.name.starts_with("IC") && cpu.lists(r));
        assert_eq!(listed.map(|r| r.name).collect::<Vec<_>>(), [""; 0], "a debugger sees none");
    }

    #[test]
    fn what_the_wires_say_is_taken() {
        let (mut cpu, ends) = wired();
        cpu.sys[Reg::VBAR_EL1] = 0x1_0000;
        cpu.sys[Reg::VBAR_EL2] = 0x2_0000;
        let irq = Signals { irq: true, ..Signals::default() };
        let virq = Signals { virq: true, ..Signals::default() };
        for (signals, hcr_el2, vector) in
            [(irq, 0, 0x1_0280), (irq, hcr::IMO, 0x2_0480), (virq, hcr::IMO, 0x1_0280)]
        {
            cpu.set_level(El::El1, true);
            cpu.sys[Reg::HCR_EL2] = hcr::RW | hcr_el2;
            cpu.refresh();
            cpu.pstate.daif = 0;
            *ends.signals.lock() = signals;
            assert!(cpu.wakes_wfi() && cpu.poll_interrupts());
            assert_eq!(cpu.regs.pc, vector);
            *ends.signals.lock() = Signals::default();
            cpu.pstate.daif = 0;
            assert!(!cpu.poll_interrupts());
        }
    }

    #[test]
    fn timers_drive_the_wires() {
        let (mut cpu, ends) = wired();
        cpu.set_level(El::El2, true);
        // CNTHP_CVAL_EL2 is 0: its condition is met.
        cpu.msr(SysEnc::new(3, 4, 14, 2, 1), 0, 1).unwrap();
        assert_eq!(ends.ppis.lock().last(), Some(&(ppi::HYP_PHYSICAL, true)));
    }

    #[test]
    fn a_state_fits_a_pe_with_the_same_attachment() {
        let (mut cpu, _) = wired();
        let saved = cpu.save();
        cpu.restore(saved.clone()).unwrap();
        let mut other = max();
        assert!(other.cpu.restore(saved).is_err() && cpu.restore(other.cpu.save()).is_err());
    }
}
