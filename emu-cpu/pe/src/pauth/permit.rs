//! Which pointer authentication instructions host code does by itself, with the fast algorithm.

use emu_a64::features::Feat;

use super::{DA, DB, IA, IB, Key};
use crate::cpu::Cpu;

/// Keys in the order of [`Quick`]'s arrays: A and B for instructions, A and B for data.
const KEYS: [Key; 4] = [IA, IB, DA, DB];

/// For each key, what its instructions do at present.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Quick {
    /// PACIA and so on: [`ASK`], [`READY`] or [`OFF`].
    pub sign: [u8; 4],
    /// AUTIA and so on.
    pub check: [u8; 4],
    /// Where the code is in a pointer: for instructions and data, in the lower and the upper half.
    pub fields: [[u64; 2]; 2],
}

/// The instruction must be interpreted.
pub(crate) const ASK: u8 = 0;
/// It can be computed.
pub const READY: u8 = 1;
/// The key is not enabled: pointers stay as they are.
pub const OFF: u8 = 2;

impl Quick {
    /// In the current state.
    pub(crate) fn of(cpu: &Cpu) -> Self {
        if !cpu.identity.has(Feat::PAuth) {
            return Self::default();
        }
        let sctlr = crate::mem::context::sctlr(cpu);
        let asks = cpu.check_pac_trap().is_err() || cpu.identity.has(Feat::PAuthQarma5);
        let fields = [false, true].map(|data| [false, true].map(|upper| cpu.mem.code_field(upper, data)));
        let state = |n: usize, asks: bool| match () {
            () if sctlr & KEYS[n].enable == 0 => OFF,
            () if asks => ASK,
            () => READY,
        };
        // Without tags in either half, the half is found by another bit.
        let by_55 = fields.map(|halves| halves.iter().any(|field| field >> 56 == 0));
        Self {
            sign: [0, 1, 2, 3].map(|n| state(n, asks || !by_55[n / 2])),
            check: [0, 1, 2, 3].map(|n| state(n, asks)),
            fields,
        }
    }
}

/// Where the two halves of a key are, and the arrays' index.
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), allow(dead_code, reason = "for host code"))]
pub const fn key(n: usize) -> (crate::sysreg::Reg, crate::sysreg::Reg) {
    (KEYS[n].low, KEYS[n].high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::pauth::tests::el1;
    use crate::sysreg::{Reg, hcr, sctlr};

    #[test]
    fn keys_are_ready_off_or_ask() {
        const TBI: u64 = 1 << 37;
        let mut b = el1(Model::max(), TBI);
        let c = &mut b.cpu;
        assert_eq!(Quick::of(c).check, [READY; 4]);
        assert_eq!(Quick::of(c).sign, [READY; 4], "the lower half has tags");
        assert_eq!(Quick::of(&el1(Model::max(), 0).cpu).sign, [ASK; 4], "neither half has");
        c.sys[Reg::SCTLR_EL1] &= !sctlr::ENIB;
        assert_eq!(Quick::of(c).check, [READY, OFF, READY, READY]);
        c.sys[Reg::HCR_EL2] &= !hcr::API;
        c.refresh();
        crate::mem::context::select(c);
        assert_eq!(c.derived.permits().pauth.check, [ASK, OFF, ASK, ASK], "what is off does not trap");
        let qarma = el1(Model::by_name("max-qarma5").unwrap(), 0);
        assert_eq!(Quick::of(&qarma.cpu).check, [ASK; 4]);
    }
}
