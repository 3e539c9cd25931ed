//! Pointer authentication: FEAT_PAuth with FEAT_PAuth2, and FEAT_FPAC with FEAT_FPACCOMBINE (Arm ARM,
//! D8.10; pseudocode functions AddPAC, Auth, Strip).

mod permit;
#[cfg(test)]
mod tests;

pub use permit::{OFF, Quick, READY, key};

use emu_a64::features::Feat;
use emu_a64::ir::PacOp;
use emu_a64::level::El;
use emu_a64::pac::{qarma, quick};

use crate::cpu::Cpu;
use crate::exception::{Exception, ec};
use crate::sysreg::{Reg, hcr, sctlr};

/// A key: bits 63:0 and 127:64, the bit of SCTLR_ELx that enables it, and its number in the syndrome of a failure.
struct Key {
    low: Reg,
    high: Reg,
    enable: u64,
    number: u32,
}

const IA: Key = Key { low: Reg::APIAKeyLo_EL1, high: Reg::APIAKeyHi_EL1, enable: sctlr::ENIA, number: 0 };
const IB: Key = Key { low: Reg::APIBKeyLo_EL1, high: Reg::APIBKeyHi_EL1, enable: sctlr::ENIB, number: 1 };
const DA: Key = Key { low: Reg::APDAKeyLo_EL1, high: Reg::APDAKeyHi_EL1, enable: sctlr::ENDA, number: 2 };
const DB: Key = Key { low: Reg::APDBKeyLo_EL1, high: Reg::APDBKeyHi_EL1, enable: sctlr::ENDB, number: 3 };

impl Cpu {
    fn pac(&self, data: u64, modifier: u64, low: Reg, high: Reg) -> u64 {
        let key = (self.sys[high], self.sys[low]);
        if self.identity.has(Feat::PAuthQarma5) {
            qarma::compute(data, modifier, key)
        } else {
            quick::compute(data, modifier, key)
        }
    }

    /// HCR_EL2.API traps below EL2, but not in the EL0 of a host.
    fn check_pac_trap(&self) -> Result<(), Exception> {
        if self.is_in_guest() && self.hcr() & hcr::API == 0 {
            return Err(Exception::Trap { target: El::El2, ec: ec::PAC_TRAP, iss: 0 });
        }
        Ok(())
    }

    /// Executes a pointer authentication instruction.
    #[inline(never)]
    pub fn authenticate(&mut self, op: PacOp, ptr: u64, modifier: u64) -> Result<u64, Exception> {
        let (key, data, add) = match op {
            PacOp::XpacI => return Ok(self.strip(ptr, false)),
            PacOp::XpacD => return Ok(self.strip(ptr, true)),
            PacOp::PacGa => {
                self.check_pac_trap()?;
                let code = self.pac(ptr, modifier, Reg::APGAKeyLo_EL1, Reg::APGAKeyHi_EL1);
                return Ok(code & 0xffff_ffff_0000_0000);
            }
            PacOp::PacIa => (IA, false, true),
            PacOp::PacIb => (IB, false, true),
            PacOp::PacDa => (DA, true, true),
            PacOp::PacDb => (DB, true, true),
            PacOp::AutIa => (IA, false, false),
            PacOp::AutIb => (IB, false, false),
            PacOp::AutDa => (DA, true, false),
            PacOp::AutDb => (DB, true, false),
        };
        if crate::mem::context::sctlr(self) & key.enable == 0 {
            return Ok(ptr);
        }
        self.check_pac_trap()?;
        if add {
            Ok(self.add_code(ptr, modifier, &key, data))
        } else {
            self.check_code(ptr, modifier, &key, data)
        }
    }

    /// AddPAC.
    fn add_code(&self, ptr: u64, modifier: u64, key: &Key, data: bool) -> u64 {
        let upper = self.code_selector(ptr, data);
        let field = self.mem.code_field(upper, data);
        let code = self.pac(extended(ptr, field, upper), modifier, key.low, key.high);
        let signed = ptr & !HALF | if upper { HALF } else { 0 };
        signed ^ code & field
    }

    /// The bit of a pointer that says which half it belongs to: 55 where the top byte can be a tag, else 63.
    fn code_selector(&self, ptr: u64, data: bool) -> bool {
        let tagged = |upper| self.mem.code_field(upper, data) >> 56 == 0;
        let by_55 = tagged(false) || tagged(true);
        ptr >> if by_55 { 55 } else { 63 } & 1 != 0
    }

    /// Auth.
    fn check_code(&self, ptr: u64, modifier: u64, key: &Key, data: bool) -> Result<u64, Exception> {
        let upper = ptr & HALF != 0;
        let field = self.mem.code_field(upper, data);
        let original = extended(ptr, field, upper);
        let code = self.pac(original, modifier, key.low, key.high);
        let result = ptr ^ code & field;
        // Without FEAT_FPAC what is wrong stays in the pointer, which then is no address.
        if result == original || !self.identity.has(Feat::Fpac) {
            return Ok(result);
        }
        Err(Exception::Trap { target: El::El1, ec: ec::PAC_FAIL, iss: key.number })
    }

    /// Strip.
    fn strip(&self, ptr: u64, data: bool) -> u64 {
        let upper = ptr & HALF != 0;
        extended(ptr, self.mem.code_field(upper, data), upper)
    }
}

/// The bit of an address that says which half it is of.
const HALF: u64 = 1 << 55;

/// `ptr` with the bits of `field`, and bit 55, as in an address of the half.
const fn extended(ptr: u64, field: u64, upper: bool) -> u64 {
    let all = field | HALF;
    if upper { ptr | all } else { ptr & !all }
}
