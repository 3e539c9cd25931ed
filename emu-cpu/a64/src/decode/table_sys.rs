//! System, hint, barrier and exception-generating encodings.

use super::{EncodingRow, row};
use crate::features::Feat::{Base, Sb, Wfxt, Xs};
use crate::lower::{branch, system};

/// The rows.
#[rustfmt::skip]
pub const ROWS: &[EncodingRow] = &[
    // branch_reg
    row("ERET_64E_branch_reg", "11010110_10011111_00000011_11100000", Base, branch::eret),
    row("DRPS_64E_branch_reg", "11010110_10111111_00000011_11100000", Base, branch::undefined),
    // exception
    row("BRK_EX_exception", "11010100_001xxxxx_xxxxxxxx_xxx00000", Base, branch::exception),
    row("HLT_EX_exception", "11010100_010xxxxx_xxxxxxxx_xxx00000", Base, branch::exception),
    row("HVC_EX_exception", "11010100_000xxxxx_xxxxxxxx_xxx00010", Base, branch::exception),
    row("SMC_EX_exception", "11010100_000xxxxx_xxxxxxxx_xxx00011", Base, branch::exception),
    row("SVC_EX_exception", "11010100_000xxxxx_xxxxxxxx_xxx00001", Base, branch::exception),
    row("DCPS1_DC_exception", "11010100_101xxxxx_xxxxxxxx_xxx00001", Base, branch::undefined),
    row("DCPS2_DC_exception", "11010100_101xxxxx_xxxxxxxx_xxx00010", Base, branch::undefined),
    row("DCPS3_DC_exception", "11010100_101xxxxx_xxxxxxxx_xxx00011", Base, branch::undefined),
    // perm_undef
    row("UDF_only_perm_undef", "00000000_00000000_xxxxxxxx_xxxxxxxx", Base, branch::undefined),
    // hints
    row("HINT_HM_hints", "11010101_00000011_0010xxxx_xxx11111", Base, system::nop),
    row("NOP_HI_hints", "11010101_00000011_00100000_00011111", Base, system::nop),
    row("YIELD_HI_hints", "11010101_00000011_00100000_00111111", Base, system::yield_),
    row("WFE_HI_hints", "11010101_00000011_00100000_01011111", Base, system::wfe),
    row("WFI_HI_hints", "11010101_00000011_00100000_01111111", Base, system::wfi),
    row("SEVL_HI_hints", "11010101_00000011_00100000_10111111", Base, system::send_event),
    row("SEV_HI_hints", "11010101_00000011_00100000_10011111", Base, system::send_event),
    row("ESB_HI_hints", "11010101_00000011_00100010_00011111", Base, system::esb),
    row("BTI_HB_hints", "11010101_00000011_00100100_xx011111", Base, system::nop),
    row("CSDB_HI_hints", "11010101_00000011_00100010_10011111", Base, system::speculation),
    row("DGH_HI_hints", "11010101_00000011_00100000_11011111", Base, system::nop),
    // systeminstrswithreg
    row("WFET_only_systeminstrswithreg", "11010101_00000011_00010000_000xxxxx", Wfxt, system::wait_timeout),
    row("WFIT_only_systeminstrswithreg", "11010101_00000011_00010000_001xxxxx", Wfxt, system::wait_timeout),
    // barriers
    row("CLREX_BN_barriers", "11010101_00000011_0011xxxx_01011111", Base, system::clrex),
    row("DMB_BO_barriers", "11010101_00000011_0011xxxx_10111111", Base, system::dmb),
    row("DSB_BO_barriers", "11010101_00000011_0011xxxx_10011111", Base, system::dsb),
    row("DSB_BOn_barriers", "11010101_00000011_0011xx10_00111111", Xs, system::dsb),
    row("ISB_BI_barriers", "11010101_00000011_0011xxxx_11011111", Base, system::isb),
    row("SB_only_barriers", "11010101_00000011_0011xxxx_11111111", Sb, system::speculation),
    // pstate
    row("MSR_SI_pstate", "11010101_00000xxx_0100xxxx_xxx11111", Base, system::msr_immediate),
    // systemmove
    row("MRS_RS_systemmove", "11010101_0011xxxx_xxxxxxxx_xxxxxxxx", Base, system::mrs),
    row("MSR_SR_systemmove", "11010101_0001xxxx_xxxxxxxx_xxxxxxxx", Base, system::msr),
    // systeminstrs
    row("SYS_CR_systeminstrs", "11010101_00001xxx_xxxxxxxx_xxxxxxxx", Base, system::sys),
    row("SYSL_RC_systeminstrs", "11010101_00101xxx_xxxxxxxx_xxxxxxxx", Base, system::mrs),
];
