//! A PE that takes one exception after the other and executes nothing between them, or always the same few instructions:
//! its vectors are at nothing, or their first store faults. The architecture has no end for that, and the user would see
//! a machine that is busy and silent.

use emu_a64::level::El;

use crate::cpu::Cpu;
use crate::level::Banked;

/// So many times in a row, with no exception return between, are taken for endless.
const MANY: u32 = 10_000;

/// An exception that a PE takes again and again, at the Exception level that it is taken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndlessException {
    /// The Exception level.
    pub el: El,
    /// Where it happens each time: the preferred return address.
    pub pc: u64,
    /// ESR_ELx.
    pub esr: u64,
    /// FAR_ELx, which may be of an earlier exception.
    pub far: u64,
    /// VBAR_ELx.
    pub vbar: u64,
}

/// What a PE keeps about the exceptions that it takes.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Repeats {
    /// The address and the syndrome of the last one.
    last: (u64, u64),
    /// How often it came in a row.
    times: u32,
    /// The machine has been told, once until the next reset.
    told: bool,
}

impl Repeats {
    /// An exception return, or an exception from another level: there is somebody who deals with it.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.times = 0;
    }

    /// One more, whose level is that of the PE; true if there were too many just now.
    fn count(&mut self, pc: u64, esr: u64) -> bool {
        if self.last != (pc, esr) {
            (self.last, self.times) = ((pc, esr), 0);
        }
        self.times = self.times.saturating_add(1);
        self.times >= MANY && !std::mem::replace(&mut self.told, self.times >= MANY)
    }
}

impl Cpu {
    /// A synchronous exception is taken to `target`, whose syndrome registers have been written; it comes from `pc`.
    pub(super) fn count_repeats(&mut self, target: El, pc: u64) {
        if target != self.pstate.el {
            return self.repeats.end();
        }
        let [esr, far, vbar] = [Banked::ESR, Banked::FAR, Banked::VBAR].map(|bank| self.sys[bank.at(target)]);
        if self.repeats.count(pc, esr) {
            self.wires.machine().endless_exception(
                self.identity.index(),
                EndlessException { el: target, pc, esr, far, vbar },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::ExcOp;

    use super::*;
    use crate::exception::{Abort, Exception};
    use crate::sysreg::Reg;
    use crate::test_pe::{Bench, max};

    fn undefined() -> Exception {
        Exception::Insn(ExcOp::Undefined)
    }

    /// What the machine was told.
    fn told(b: &Bench) -> Vec<String> {
        b.machine.log.lock().clone()
    }

    #[test]
    fn vectors_at_nothing_are_told_once() {
        let mut b = max();
        b.cpu.sys[Reg::VBAR_EL2] = 0x4000;
        b.cpu.raise(undefined(), 0x1000, 0);
        for _ in 0..2 * MANY {
            let pc = b.cpu.regs.pc;
            b.cpu.raise(undefined(), pc, 0);
        }
        assert_eq!(told(&b), ["endless at EL2, 0x4200: ESR 0x2000000, FAR 0x0, VBAR 0x4000"]);
        b.cpu.reset(Default::default());
        assert_eq!(told(&b).len(), 1);
        (0..2 * MANY).for_each(|_| b.cpu.raise(undefined(), 0x200, 0));
        assert_eq!(told(&b).len(), 2, "a reset is another beginning");
    }

    #[test]
    fn a_handler_that_faults_itself_is_told() {
        let mut b = max();
        b.cpu.sys[Reg::VBAR_EL1] = 0x8000;
        b.cpu.set_level(El::El1, true);
        // Its store moves down a stack that is not there.
        for n in 0..u64::from(MANY) {
            let va = 0xffff_0000 - 16 * n;
            let fault = Abort {
                va,
                status: 7,
                stage2: false,
                s1ptw: false,
                ipa: None,
                write: true,
                maintenance: false,
            };
            b.cpu.raise(Exception::Data(fault), 0x8204, 0);
        }
        assert_eq!(told(&b).len(), 1);
        assert!(told(&b)[0].starts_with("endless at EL1, 0x8204: ESR 0x96000047, FAR "), "{:?}", told(&b));
    }

    #[test]
    fn exceptions_that_are_dealt_with_are_nobodys_concern() {
        let mut b = max();
        b.cpu.set_level(El::El2, true);
        for _ in 0..2 * MANY {
            b.cpu.raise(Exception::Insn(ExcOp::Brk(1)), 0x1000, 0);
            b.cpu.eret().unwrap();
        }
        // One after the other, at different places, as a program that never returns from them does.
        (0..2 * u64::from(MANY)).for_each(|n| b.cpu.raise(undefined(), 4 * n, 0));
        assert!(told(&b).is_empty());
    }
}
