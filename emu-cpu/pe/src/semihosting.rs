//! Semihosting: calls of a program to whoever runs the machine, by HLT #0xF000 (Arm, "Semihosting for AArch32 and
//! AArch64"). What a call does is the machine's business; here is how it gets there, and how it reaches memory.

use emu_core::metrics::Metric;

use crate::cpu::Cpu;
use crate::doorbell::Doorbell;

/// The immediate of the HLT that is a call (section "The Semihosting interface").
const CALL: u16 = 0xf000;

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// It is done; this goes to X0.
    Done(u64),
    /// It would have had to wait when somebody wanted the CPU. It is made again when the CPU goes on.
    Again,
}

/// Who serves the calls. Called on the vCPU's thread.
pub trait Semihosting: Send + Sync {
    /// Programs at EL0 are served, too; else HLT is UNDEFINED there.
    fn serves_el0(&self) -> bool;
    /// Serves operation W0 with the parameter in X1. The PC is at the next instruction.
    fn serve(&self, cpu: &mut Cpu) -> Served;
}

impl Cpu {
    /// Serves HLT #`imm` at `pc` if it is a call and somebody serves it here.
    pub(crate) fn semihosting_call(&mut self, imm: u16, pc: u64) -> bool {
        let server =
            self.wires.semihosting().cloned().filter(|s| self.pstate.el.is_privileged() || s.serves_el0());
        let Some(server) = server.filter(|_| imm == CALL) else { return false };
        self.regs.pc = pc.wrapping_add(4);
        let btype = std::mem::take(&mut self.pstate.btype);
        match server.serve(self) {
            Served::Done(value) => {
                self.regs.x[0] = value;
                self.counters.bump(Metric::SemihostingCalls);
                // The run loop has taken it back, as of an instruction that causes an exception.
                self.counters.bump(Metric::Instructions);
            }
            Served::Again => {
                self.regs.pc = pc;
                self.pstate.btype = btype;
            }
        }
        true
    }

    /// Does something that may take time, while this CPU counts as one that sleeps: the others do not wait for it.
    pub fn aside<T>(&mut self, what: impl FnOnce(&Doorbell) -> T) -> T {
        self.mem.park();
        let result = what(self.wires.doorbell());
        self.mem.unpark();
        result
    }
}
