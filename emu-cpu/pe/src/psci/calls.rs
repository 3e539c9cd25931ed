//! The calls: function identifiers, arguments in X0 to X3, results in X0.

use emu_core::metrics::Metric;

use super::PsciError;
use crate::cpu::Cpu;

/// SMCCC: fast call, and 64-bit convention, in a function identifier.
const FAST: u32 = 1 << 31;
const SMC64: u32 = 1 << 30;
/// SMCCC 1.3: the caller has no live SVE state; not a part of the function's number.
const SVE_HINT: u32 = 1 << 16;

/// NOT_SUPPORTED of SMCCC and PSCI; what an unknown function returns.
const NOT_SUPPORTED: i64 = -1;

/// PSCI 1.1.
const PSCI_VERSION: i64 = 0x1_0001;
/// SMCCC 1.1.
const SMCCC_VERSION: i64 = 0x1_0001;

/// A function that is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Function {
    Version,
    CpuSuspend,
    CpuOff,
    CpuOn,
    AffinityInfo,
    MigrateInfoType,
    SystemOff,
    SystemReset,
    SystemReset2,
    Features,
    SmcccVersion,
    SmcccArchFeatures,
}

/// Function identifiers without the bit for the 64-bit convention, and whether that form exists too (DEN 0022, 5.1;
/// DEN 0028, 7).
const FUNCTIONS: &[(u32, bool, Function)] = &[
    (0x8400_0000, false, Function::Version),
    (0x8400_0001, true, Function::CpuSuspend),
    (0x8400_0002, false, Function::CpuOff),
    (0x8400_0003, true, Function::CpuOn),
    (0x8400_0004, true, Function::AffinityInfo),
    (0x8400_0006, false, Function::MigrateInfoType),
    (0x8400_0008, false, Function::SystemOff),
    (0x8400_0009, false, Function::SystemReset),
    (0x8400_000a, false, Function::Features),
    (0x8400_0012, true, Function::SystemReset2),
    (0x8000_0000, false, Function::SmcccVersion),
    (0x8000_0001, false, Function::SmcccArchFeatures),
];

fn find(id: u32) -> Option<Function> {
    let number = id & !(SMC64 | SVE_HINT);
    FUNCTIONS
        .iter()
        .find(|(n, has_64, _)| *n == number && (*has_64 || id & SMC64 == 0))
        .map(|(_, _, function)| *function)
}

const fn error(e: PsciError) -> i64 {
    e as i64
}

/// MPIDR without what does not belong to the affinity. Callers pass bit 31 (RES1 in MPIDR_EL1) or not: firmware
/// accepts both.
const fn affinity(arg: u64) -> u64 {
    arg & 0xff_00ff_ffff
}

impl Cpu {
    /// Serves the call in X0. The PC is at the next instruction.
    pub(crate) fn firmware_call(&mut self) {
        let id = self.regs.x[0] as u32;
        let function = if id & FAST != 0 { find(id) } else { None };
        let result = match function {
            Some(f) => {
                self.counters.bump(Metric::PsciCalls);
                self.serve(f, id & SMC64 != 0)
            }
            None => NOT_SUPPORTED,
        };
        // A 32-bit function returns 32 bits; both conventions sign-extend the error codes of a 64-bit caller.
        self.regs.x[0] = result as u64;
    }

    fn serve(&mut self, function: Function, wide: bool) -> i64 {
        let arg = |n: usize| if wide { self.regs.x[n] } else { self.regs.x[n] & 0xffff_ffff };
        let (a, b, c) = (arg(1), arg(2), arg(3));
        match function {
            Function::Version => PSCI_VERSION,
            Function::SmcccVersion => SMCCC_VERSION,
            Function::Features => Self::psci_features(a as u32),
            Function::SmcccArchFeatures => Self::arch_features(a as u32),
            Function::CpuOn => match self.wires.machine().cpu_on(affinity(a), b, c) {
                Ok(()) => 0,
                Err(e) => error(e),
            },
            Function::CpuOff => {
                self.wires.machine().cpu_off(self.identity.index());
                // The PE stops before it can see a result.
                0
            }
            Function::CpuSuspend => self.suspend(a as u32),
            Function::AffinityInfo => match self.wires.machine().affinity_info(affinity(a), b as u32) {
                Ok(state) => state as i64,
                Err(e) => error(e),
            },
            // 2: no Trusted OS that would have to migrate.
            Function::MigrateInfoType => 2,
            Function::SystemOff => {
                self.wires.machine().system_off();
                error(PsciError::InternalFailure)
            }
            Function::SystemReset => {
                self.wires.machine().system_reset();
                error(PsciError::InternalFailure)
            }
            // Reset type 0 is SYSTEM_WARM_RESET; bit 31 marks those of the vendor, of which there are none.
            Function::SystemReset2 if a as u32 == 0 => {
                self.wires.machine().system_reset();
                error(PsciError::InternalFailure)
            }
            Function::SystemReset2 => error(PsciError::InvalidParameters),
        }
    }

    /// CPU_SUSPEND: standby is a WFI, and ends with SUCCESS when an interrupt comes. Powerdown states are refused.
    fn suspend(&mut self, power_state: u32) -> i64 {
        // Original format: StateID 15:0, StateType 16, PowerLevel 25:24; the others are zero.
        if power_state & 0xfcfe_0000 != 0 {
            return error(PsciError::InvalidParameters);
        }
        // Powerdown states lose the context, and nobody has told the guest of one: only standby exists.
        if power_state & 1 << 16 != 0 {
            return error(PsciError::InvalidParameters);
        }
        self.requests.ask_for_standby();
        0
    }

    /// PSCI_FEATURES: 0 for what is served (with the flags of CPU_SUSPEND, original format: 0).
    fn psci_features(id: u32) -> i64 {
        match find(id) {
            Some(Function::SmcccArchFeatures) | None => NOT_SUPPORTED,
            Some(_) => 0,
        }
    }

    /// SMCCC_ARCH_FEATURES: the mitigations have no function here, because nothing is speculated.
    fn arch_features(id: u32) -> i64 {
        match find(id) {
            Some(Function::SmcccVersion | Function::SmcccArchFeatures) => 0,
            _ => NOT_SUPPORTED,
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::ExcOp;
    use emu_a64::level::{El, Levels};

    use crate::cpu::Cpu;
    use crate::exception::Exception;
    use crate::model::Model;
    use crate::sysreg::{Reg, hcr};
    use crate::test_pe::{Bench, bench_with, max};

    fn smc(c: &mut Cpu, args: [u64; 4]) -> i64 {
        c.regs.x[..4].copy_from_slice(&args);
        c.regs.pc = 0x1000;
        c.raise(Exception::Insn(ExcOp::Smc(0)), 0x1000, 0xd400_0003);
        assert_eq!(c.regs.pc, 0x1004);
        c.regs.x[0] as i64
    }

    fn log(b: &Bench) -> Vec<String> {
        std::mem::take(&mut b.machine.log.lock())
    }

    #[test]
    fn versions_and_features() {
        let mut b = max();
        let c = &mut b.cpu;
        assert_eq!(smc(c, [0x8400_0000, 0, 0, 0]), 0x1_0001, "PSCI_VERSION");
        assert_eq!(smc(c, [0x8000_0000, 0, 0, 0]), 0x1_0001, "SMCCC_VERSION");
        assert_eq!(smc(c, [0x8001_0000, 0, 0, 0]), 0x1_0001, "with the SVE hint of SMCCC 1.3");
        assert_eq!(smc(c, [0x8400_000a, 0xc400_0003, 0, 0]), 0, "CPU_ON");
        assert_eq!(smc(c, [0x8400_000a, 0x8000_0000, 0, 0]), 0, "SMCCC_VERSION is discovered so");
        assert_eq!(smc(c, [0x8400_000a, 0x8400_0005, 0, 0]), -1, "MIGRATE");
        assert_eq!(smc(c, [0x8000_0001, 0x8000_8000, 0, 0]), -1, "ARCH_WORKAROUND_1");
        assert_eq!(smc(c, [0x8400_0006, 0, 0, 0]), 2, "MIGRATE_INFO_TYPE");
        assert_eq!(smc(c, [0x8600_ff01, 0, 0, 0]), -1, "a hypervisor's call");
        assert_eq!(smc(c, [0xc400_0000, 0, 0, 0]), -1, "there is no 64-bit PSCI_VERSION");
        assert!(b.machine.log.lock().is_empty());
    }

    #[test]
    fn power() {
        let mut b = max();
        assert_eq!(smc(&mut b.cpu, [0xc400_0003, 0x8000_0001, 0x4000_0000_0000, 7]), 0, "MPIDR with bit 31");
        assert_eq!(smc(&mut b.cpu, [0x8400_0003, 9, 0x1_4000_0000, 7]), -2);
        assert_eq!(smc(&mut b.cpu, [0xc400_0004, 1, 0, 0]), 1);
        smc(&mut b.cpu, [0x8400_0002, 0, 0, 0]);
        smc(&mut b.cpu, [0x8400_0008, 0, 0, 0]);
        smc(&mut b.cpu, [0x8400_0009, 0, 0, 0]);
        assert_eq!(
            log(&b),
            [
                "on 0x1 0x400000000000 0x7",
                "on 0x9 0x40000000 0x7",
                "info 0x1 0",
                "off 0",
                "system off",
                "system reset"
            ]
        );
        assert_eq!(smc(&mut b.cpu, [0xc400_0001, 0, 0, 0]), 0);
        assert!(b.cpu.requests.standby());
    }

    #[test]
    fn conduits() {
        // With EL2: SMC, unless HCR_EL2.TSC traps EL1's; HVC is EL2's.
        let mut b = max();
        let c = &mut b.cpu;
        c.sys[Reg::HCR_EL2] = hcr::TSC;
        assert_eq!(smc(c, [0x8400_0000, 0, 0, 0]), 0x1_0001, "EL2 itself is not trapped");
        c.set_level(El::El1, true);
        c.raise(Exception::Insn(ExcOp::Smc(3)), 0x1000, 0);
        assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2], c.sys[Reg::ELR_EL2]), (El::El2, 0x5e00_0003, 0x1000));
        // Without: HVC; SMC is UNDEFINED.
        let mut b = bench_with(Model::neoverse_n1(), Levels::BASE);
        let c = &mut b.cpu;
        c.regs.x[0] = 0x8400_0000;
        c.raise(Exception::Insn(ExcOp::Hvc(0)), 0x1000, 0);
        assert_eq!((c.regs.x[0], c.regs.pc, c.pstate.el), (0x1_0001, 0x1004, El::El1));
        c.raise(Exception::Insn(ExcOp::Smc(0)), 0x1000, 0);
        assert_eq!((c.sys[Reg::ESR_EL1], c.sys[Reg::ELR_EL1]), (0x0200_0000, 0x1000));
    }
}
