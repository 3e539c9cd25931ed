//! Our interpreter as the machine that runs a program: EL2, a flat map of Normal memory.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::ram::GuestRam;
use emu_engine::interp::vcpu::Vcpu;
use emu_pe::cpu::{Cpu, Entry};
use emu_pe::model::Model;
use emu_pe::sysreg::Reg;
use test_kit::pe::alone;

use crate::state::{BUFFER, BUFFER_SIZE, CODE, Outcome, State};

const RAM: u64 = 0x5000_0000;
const RAM_SIZE: u64 = 0x4_0000;
/// A level 1 table: entry 1 maps the gigabyte at 0x4000_0000.
const TABLE: u64 = 0x5003_0000;
/// Exception vectors: a page that is never executed, because the run ends with the exception.
const VECTORS: u64 = 0x5003_8000;
/// The end of a program: HVC #0x123.
const END: u32 = 0xd400_0002 | 0x123 << 5;

/// What executes programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Interpreter,
    /// Every block as host code.
    HostCode,
    /// The same without anything that only newer hosts have.
    Baseline,
}

/// The interpreter with its memory.
pub(crate) struct Ours {
    vcpu: Vcpu,
    ram: &'static GuestRam,
    /// SCTLR_EL2.A.
    checks_alignment: bool,
}

impl Ours {
    /// An interpreter, or with every block as host code.
    pub(crate) fn new(jit: bool) -> Self {
        Self::with(if jit { Engine::HostCode } else { Engine::Interpreter })
    }

    /// With this engine.
    pub(crate) fn with(engine: Engine) -> Self {
        let ram = GuestRam::new(RAM_SIZE).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).unwrap();
        let cpu = Cpu::new(alone(Model::max(), bus));
        // Block descriptor: AF, inner shareable, AttrIndx 0.
        ram.store_u64(TABLE - RAM + 8, 0x4000_0000 | 1 << 10 | 3 << 8 | 1).unwrap();
        let mut vcpu = Vcpu::new(cpu);
        let there = match engine {
            Engine::Interpreter => true,
            Engine::HostCode => vcpu.use_jit(1 << 20, 1),
            Engine::Baseline => vcpu.use_baseline_jit(1 << 20, 1),
        };
        assert!(there, "this host has a code generator");
        Self { vcpu, ram, checks_alignment: false }
    }

    /// With an alignment fault for whatever is not aligned.
    pub(crate) fn checking_alignment(self) -> Self {
        Self { checks_alignment: true, ..self }
    }

    /// Puts a program in place of the last.
    pub(crate) fn load(&mut self, words: &[u32]) {
        for (i, word) in words.iter().chain([&END]).enumerate() {
            self.ram.store_u32(CODE - RAM + 4 * i as u64, *word).unwrap();
        }
        let cpu = &mut self.vcpu.cpu;
        cpu.reset(Entry { pc: CODE, x0: 0 });
        cpu.sys[Reg::MAIR_EL2] = 0xff;
        // T0SZ 25, write-back tables, inner shareable, 48-bit PA; RES1 bits.
        cpu.sys[Reg::TCR_EL2] = 1 << 31 | 1 << 23 | 5 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
        cpu.sys[Reg::TTBR0_EL2] = TABLE;
        cpu.sys[Reg::VBAR_EL2] = VECTORS;
        // M, C, I; no check of SP's alignment; EL2 may use the FP registers.
        let checks = u64::from(self.checks_alignment) << 1;
        cpu.sys[Reg::SCTLR_EL2] = 0x30c5_0830 & !(1 << 3 | 1 << 1) | 1 << 12 | 1 << 2 | checks | 1;
        cpu.sys[Reg::CPTR_EL2] = 0;
        cpu.refresh();
        self.vcpu.reset_caches();
    }

    /// Runs the loaded program from a state.
    pub(crate) fn run(&mut self, initial: &State) -> Outcome {
        let cpu = &mut self.vcpu.cpu;
        cpu.regs.pc = CODE;
        cpu.regs.x = initial.x;
        cpu.regs.v = initial.v;
        cpu.regs.nzcv = initial.nzcv;
        cpu.regs.fpcr = initial.fpcr;
        cpu.regs.fpsr = initial.fpsr;
        cpu.pstate.daif = 15;
        self.ram.write(BUFFER - RAM, &initial.buffer).unwrap();
        self.vcpu.cpu.mem.clear_exclusive();
        self.vcpu.cpu.sys[Reg::ESR_EL2] = 0;
        for _ in 0..100 {
            self.vcpu.run_turns(1);
            if self.vcpu.cpu.sys[Reg::ESR_EL2] != 0 {
                break;
            }
        }
        let cpu = &self.vcpu.cpu;
        let mut buffer = vec![0; BUFFER_SIZE];
        self.ram.read(BUFFER - RAM, &mut buffer).unwrap();
        let esr = cpu.sys[Reg::ESR_EL2];
        Outcome {
            faulted: (esr >> 26, esr & 0xffff) != (0x16, 0x123),
            state: State {
                x: cpu.regs.x,
                v: cpu.regs.v,
                nzcv: cpu.regs.nzcv,
                fpcr: cpu.regs.fpcr,
                fpsr: cpu.regs.fpsr,
                buffer,
            },
        }
    }

    /// The syndrome and the address of the last exception.
    pub(crate) fn exception(&self) -> (u64, u64) {
        (self.vcpu.cpu.sys[Reg::ESR_EL2], self.vcpu.cpu.sys[Reg::ELR_EL2])
    }

    /// The address that the last abort was about.
    pub(crate) fn fault_address(&self) -> u64 {
        self.vcpu.cpu.sys[Reg::FAR_EL2]
    }
}
