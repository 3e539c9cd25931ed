//! What is compared beside memory, and put back.

use std::fmt::Write as _;

use emu_a64::regs::{Pstate, Regs, SP};
use emu_pe::cpu::Cpu;
use emu_pe::mem::Exclusive;
use emu_pe::sysreg::{Reg, SysState};

use crate::interp::exec;
use crate::interp::uop::Frame;

/// The registers at one moment.
#[derive(Clone)]
pub(super) struct RegisterSnapshot {
    regs: Regs,
    pstate: Pstate,
    sys: SysState,
    exclusive: Exclusive,
}

impl RegisterSnapshot {
    /// What is in the frame and in the CPU.
    pub(super) fn of(frame: &Frame, cpu: &mut Cpu) -> Self {
        exec::to_regs(frame, cpu);
        cpu.regs.v.copy_from_slice(&frame.v[..32]);
        Self {
            regs: cpu.regs.clone(),
            pstate: cpu.pstate.clone(),
            sys: cpu.sys.clone(),
            exclusive: cpu.mem.monitor(),
        }
    }

    /// Puts it back.
    pub(super) fn restore(&self, frame: &mut Frame, cpu: &mut Cpu) {
        cpu.regs = self.regs.clone();
        cpu.pstate = self.pstate.clone();
        cpu.sys = self.sys.clone();
        cpu.mem.set_monitor(self.exclusive);
        exec::from_regs(frame, cpu);
        frame.v[..32].copy_from_slice(&cpu.regs.v);
    }

    /// True if nothing differs but the program counter, which is not kept up to date.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let (a, b) = (&self.regs, &other.regs);
        a.x == b.x
            && a.v == b.v
            && (a.nzcv, a.fpcr, a.fpsr, a.accesses) == (b.nzcv, b.fpcr, b.fpsr, b.accesses)
            && self.pstate == other.pstate
            && self.sys == other.sys
            && self.exclusive == other.exclusive
    }

    /// One line for each register that differs between `native` and `interpreted`; `self` is what it was before both.
    pub(super) fn differences(&self, native: &Self, interpreted: &Self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, values: [String; 3]| {
            let [before, n, i] = values;
            if n != i {
                let _ = writeln!(
                    text,
                    "  {name:12} before {before}\n  {:12} jit    {n}\n  {:12} interp {i}",
                    "", ""
                );
            }
        };
        let all = [self, native, interpreted];
        for r in 0..32 {
            let name = if r == SP { "SP".to_owned() } else { format!("X{r}") };
            line(&name, all.map(|s| format!("{:016x}", s.regs.x[r])));
        }
        for r in 0..32 {
            line(&format!("V{r}"), all.map(|s| format!("{:032x}", s.regs.v[r])));
        }
        line("NZCV", all.map(|s| format!("{:04b}", s.regs.nzcv >> 28)));
        line("FPCR", all.map(|s| format!("{:08x}", s.regs.fpcr)));
        line("FPSR", all.map(|s| format!("{:08x}", s.regs.fpsr)));
        line("accesses", all.map(|s| s.regs.accesses.to_string()));
        line("PSTATE", all.map(|s| format!("{:x?}", s.pstate)));
        for reg in Reg::ALL {
            line(&format!("{reg:?}"), all.map(|s| format!("{:016x}", s.sys[*reg])));
        }
        line("monitor", all.map(|s| format!("{:x?}", s.exclusive)));
        text
    }
}
