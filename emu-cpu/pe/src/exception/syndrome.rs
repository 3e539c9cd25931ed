//! Syndromes: the fields of ESR_ELx (Arm ARM, D17.2.37 and D17.2.38).

use super::Abort;

/// Exception classes: ESR_ELx.EC.
pub mod ec {
    /// Unknown reason: UNDEFINED instructions.
    pub const UNKNOWN: u8 = 0x00;
    /// WFI, WFE, WFIT, WFET.
    pub const WFX: u8 = 0x01;
    /// SIMD&FP access trapped by CPACR_EL1.FPEN or CPTR_EL2.
    pub const FP: u8 = 0x07;
    /// Pointer authentication trapped by HCR_EL2.API.
    pub const PAC_TRAP: u8 = 0x09;
    /// Branch target exception (FEAT_BTI).
    pub const BRANCH_TARGET: u8 = 0x0d;
    /// Illegal execution state.
    pub const ILLEGAL: u8 = 0x0e;
    /// SVC.
    pub const SVC: u8 = 0x15;
    /// HVC.
    pub const HVC: u8 = 0x16;
    /// SMC.
    pub const SMC: u8 = 0x17;
    /// MSR, MRS or system instruction.
    pub const SYSREG: u8 = 0x18;
    /// ERET, ERETAA, ERETAB trapped by HFGITR_EL2.ERET.
    pub const ERET: u8 = 0x1a;
    /// Pointer authentication failure (FEAT_FPAC).
    pub const PAC_FAIL: u8 = 0x1c;
    /// Instruction abort from a lower Exception level; from the same level it is one more.
    pub const FETCH_LOWER: u8 = 0x20;
    /// PC alignment fault.
    pub const PC_ALIGNMENT: u8 = 0x22;
    /// Data abort from a lower Exception level; from the same level it is one more.
    pub const DATA_LOWER: u8 = 0x24;
    /// SP alignment fault.
    pub const SP_ALIGNMENT: u8 = 0x26;
    /// Memory copy or set instructions in a wrong sequence (FEAT_MOPS).
    pub const MEMORY_COPY: u8 = 0x27;
    /// SError.
    pub const SERROR: u8 = 0x2f;
    /// Breakpoint from a lower Exception level; from the same level it is one more.
    pub const BREAKPOINT_LOWER: u8 = 0x30;
    /// Software step from a lower Exception level; from the same level it is one more.
    pub const STEP_LOWER: u8 = 0x32;
    /// Watchpoint from a lower Exception level; from the same level it is one more.
    pub const WATCHPOINT_LOWER: u8 = 0x34;
    /// BRK.
    pub const BRK: u8 = 0x3c;
}

/// ESR_ELx.IL: set for every 32-bit instruction, and wherever the architecture says that it is set.
pub const IL: u64 = 1 << 25;

/// Fault status codes (DFSC, IFSC) that are not made by the translation.
pub mod fsc {
    /// Synchronous external abort, not on a table walk.
    pub const EXTERNAL: u8 = 0x10;
    /// Alignment fault.
    pub const ALIGNMENT: u8 = 0x21;
    /// Debug exception.
    pub const DEBUG: u8 = 0x22;
}

/// True for synchronous external aborts, on a table walk or not, which HCR_EL2.TEA routes to EL2.
#[must_use]
pub const fn is_external(status: u8) -> bool {
    matches!(status, 0x10 | 0x13..=0x17)
}

const S1PTW: u32 = 1 << 7;
const CM: u32 = 1 << 8;
const WNR: u32 = 1 << 6;

/// ISS of an instruction abort.
#[must_use]
pub const fn fetch_iss(abort: &Abort) -> u32 {
    abort.status as u32 & 0x3f | if abort.s1ptw { S1PTW } else { 0 }
}

/// ISS of a data abort by the instruction `word`; `to_el2` if it is taken to EL2.
#[must_use]
pub fn data_iss(abort: &Abort, word: u32) -> u32 {
    let mut iss = u32::from(abort.status & 0x3f);
    if abort.s1ptw {
        iss |= S1PTW;
    }
    if abort.maintenance {
        // Maintenance and address translation instructions report WnR = 1.
        iss |= CM | WNR;
    } else if abort.write {
        iss |= WNR;
    }
    if abort.stage2 && !abort.s1ptw && !abort.maintenance {
        iss |= transfer(word).unwrap_or(0);
    }
    iss
}

/// Bytes of the access that the syndrome of a data abort describes (ISV, SAS), if it does.
pub(super) fn emulated_bytes(iss: u32) -> Option<u64> {
    (iss & ISV != 0).then(|| 1 << (iss >> 22 & 3))
}

const ISV: u32 = 1 << 24;
const SSE: u32 = 1 << 21;
const SF: u32 = 1 << 15;
const AR: u32 = 1 << 14;

const fn isv(size: u32, sse: bool, rt: u32, sf: bool, ordered: bool) -> u32 {
    ISV | size << 22
        | if sse { SSE } else { 0 }
        | rt << 16
        | if sf { SF } else { 0 }
        | if ordered { AR } else { 0 }
}

/// The instruction syndrome (ISV, SAS, SSE, SRT, SF, AR) of a load or store of one general-purpose register without
/// writeback: `None` for any other instruction, which reports ISV = 0.
///
/// Acquire and release forms count; exclusives, atomics, pairs and SIMD&FP registers do not (Arm ARM, ESR_ELx, ISS
/// encoding for an exception from a Data Abort, ISV).
#[must_use]
pub const fn transfer(word: u32) -> Option<u32> {
    let size = word >> 30;
    let rt = word & 31;
    // Loads and stores by register: size 111 V 0x opc ...; V = 1 is SIMD&FP.
    if word >> 24 & 0b11_1110 == 0b11_1000 {
        let opc = word >> 22 & 3;
        let indexed = word >> 24 & 1 == 0 && word >> 21 & 1 == 0 && word >> 10 & 1 == 1;
        let atomic = word >> 24 & 1 == 0 && word >> 21 & 1 == 1 && word >> 10 & 3 != 0b10;
        let prefetch = size == 3 && opc >= 2;
        if prefetch {
            return None;
        }
        if atomic {
            // LDAPR is the only one here that is not a read-modify-write.
            let ldapr = word & 0x3fff_fc00 == 0x38bf_c000;
            return if ldapr { Some(isv(size, false, rt, size == 3, true)) } else { None };
        }
        if indexed {
            return None;
        }
        return Some(plain(size, opc, rt, false));
    }
    // LDAPUR, STLUR: size 011001 opc 0 imm9 00.
    if word & 0x3f20_0c00 == 0x1900_0000 {
        let opc = word >> 22 & 3;
        return if size == 3 && opc >= 2 { None } else { Some(plain(size, opc, rt, true)) };
    }
    // LDAR, STLR, LDLAR, STLLR: size 001000 1 L 0 Rs o0 Rt2.
    if word & 0x3fa0_0000 == 0x0880_0000 {
        return Some(isv(size, false, rt, size == 3, true));
    }
    None
}

/// The syndrome by `opc`: 0 store, 1 load zero-extended, 2 load sign-extended to 64 bits, 3 to 32 bits.
const fn plain(size: u32, opc: u32, rt: u32, ordered: bool) -> u32 {
    let sf = match opc {
        2 => true,
        3 => false,
        _ => size == 3,
    };
    isv(size, opc >= 2, rt, sf, ordered)
}

/// ISS of a trapped MRS, MSR or system instruction (EC 0x18), given its encoding (bits 20:5 of the instruction).
#[must_use]
pub const fn sysreg_iss(enc: emu_a64::ir::SysEnc, rt: u8, read: bool) -> u32 {
    let (op0, op1, crn, crm, op2) = enc.parts();
    (op0 as u32) << 20
        | (op2 as u32) << 17
        | (op1 as u32) << 14
        | (crn as u32) << 10
        | (rt as u32 & 31) << 5
        | (crm as u32) << 1
        | read as u32
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::SysEnc;

    use super::*;

    fn parts(word: u32) -> Option<(u32, bool, u32, bool, bool)> {
        transfer(word)
            .map(|i| (i >> 22 & 3, i >> 21 & 1 != 0, i >> 16 & 31, i >> 15 & 1 != 0, i >> 14 & 1 != 0))
    }

    #[test]
    fn instruction_syndromes() {
        // (SAS, SSE, SRT, SF, AR); words as an assembler gives them.
        assert_eq!(parts(0xb940_0041), Some((2, false, 1, false, false)), "ldr w1, [x2]");
        assert_eq!(parts(0xf940_0041), Some((3, false, 1, true, false)), "ldr x1, [x2]");
        assert_eq!(parts(0x3900_0041), Some((0, false, 1, false, false)), "strb w1, [x2]");
        assert_eq!(parts(0x7940_0041), Some((1, false, 1, false, false)), "ldrh w1, [x2]");
        assert_eq!(parts(0xb980_0041), Some((2, true, 1, true, false)), "ldrsw x1, [x2]");
        assert_eq!(parts(0x39c0_0041), Some((0, true, 1, false, false)), "ldrsb w1, [x2]");
        assert_eq!(parts(0x3980_0041), Some((0, true, 1, true, false)), "ldrsb x1, [x2]");
        assert_eq!(parts(0xb863_6841), Some((2, false, 1, false, false)), "ldr w1, [x2, x3]");
        assert_eq!(parts(0xb840_4041), Some((2, false, 1, false, false)), "ldur w1, [x2, #4]");
        assert_eq!(parts(0xb840_4841), Some((2, false, 1, false, false)), "ldtr w1, [x2, #4]");
        assert_eq!(parts(0xb900_005f), Some((2, false, 31, false, false)), "str wzr, [x2]");
        assert_eq!(parts(0x88df_fc41), Some((2, false, 1, false, true)), "ldar w1, [x2]");
        assert_eq!(parts(0xc89f_fc41), Some((3, false, 1, true, true)), "stlr x1, [x2]");
        assert_eq!(parts(0xb8bf_c041), Some((2, false, 1, false, true)), "ldapr w1, [x2]");
        assert_eq!(parts(0xd940_4041), Some((3, false, 1, true, true)), "ldapur x1, [x2, #4]");
        for (word, name) in [
            (0xb840_4441, "ldr w1, [x2], #4"),
            (0xb840_4c41, "ldr w1, [x2, #4]!"),
            (0x2940_0c41, "ldp w1, w3, [x2]"),
            (0x885f_7c41, "ldxr w1, [x2]"),
            (0x8803_7c41, "stxr w3, w1, [x2]"),
            (0xbd40_0041, "ldr s1, [x2]"),
            (0xb823_0041, "ldadd w3, w1, [x2]"),
            (0x88a3_7c41, "cas w3, w1, [x2]"),
            (0x4c40_7041, "ld1 {v1.16b}, [x2]"),
            (0x5800_0041, "ldr x1, label"),
        ] {
            assert_eq!(parts(word), None, "{name}");
        }
    }

    #[test]
    fn data_abort_bits() {
        let mut a = Abort {
            va: 0,
            status: 0x07,
            stage2: true,
            s1ptw: false,
            ipa: Some(0x0900_0000),
            write: true,
            maintenance: false,
        };
        assert_eq!(data_iss(&a, 0xb900_0041), 0x0181_0047, "str w1, [x2]: what a hypervisor's UART sees");
        a.s1ptw = true;
        assert_eq!(data_iss(&a, 0xb900_0041), 0xc7, "no syndrome on a walk");
        a = Abort { status: 0x0f, s1ptw: false, ..a };
        a = Abort { write: false, maintenance: true, ..a };
        assert_eq!(data_iss(&a, 0xd50b_7e20), 0x14f, "CM implies WnR");
    }

    #[test]
    fn system_register_syndrome() {
        // MRS X3, SCTLR_EL1 and MSR SCTLR_EL1, X3.
        let enc = SysEnc::new(3, 0, 1, 0, 0);
        assert_eq!(sysreg_iss(enc, 3, true), 3 << 20 | 1 << 10 | 3 << 5 | 1);
        assert_eq!(sysreg_iss(enc, 3, false), 3 << 20 | 1 << 10 | 3 << 5);
        // DC CVAC, X1: op1 = 3, CRn = 7, CRm = 10, op2 = 1.
        assert_eq!(sysreg_iss(SysEnc::new(1, 3, 7, 10, 1), 1, false), 0x12_dc34);
    }
}
