//! Data-processing and branch encodings.

use super::{EncodingRow, row};
use crate::features::Feat::{Base, Crc32, FlagM, FlagM2};
use crate::lower::{addsub, bitfield, branch, cond, dp, flagm, logical};

/// The rows.
#[rustfmt::skip]
pub const ROWS: &[EncodingRow] = &[
    // addsub_imm
    row("ADDS_32S_addsub_imm", "x0110001_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::immediate),
    row("ADD_32_addsub_imm", "x0010001_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::immediate),
    row("SUBS_32S_addsub_imm", "x1110001_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::immediate),
    row("SUB_32_addsub_imm", "x1010001_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::immediate),
    // log_imm
    row("ANDS_32S_log_imm", "01110010_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("ANDS_64S_log_imm", "11110010_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("AND_32_log_imm", "00010010_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("AND_64_log_imm", "10010010_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("EOR_32_log_imm", "01010010_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("EOR_64_log_imm", "11010010_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("ORR_32_log_imm", "00110010_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    row("ORR_64_log_imm", "10110010_0xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::immediate),
    // movewide
    row("MOVK_32_movewide", "01110010_10xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    row("MOVK_64_movewide", "11110010_1xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    row("MOVN_32_movewide", "00010010_10xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    row("MOVN_64_movewide", "10010010_1xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    row("MOVZ_32_movewide", "01010010_10xxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    row("MOVZ_64_movewide", "11010010_1xxxxxxx_xxxxxxxx_xxxxxxxx", Base, logical::move_wide),
    // pcreladdr
    row("ADRP_only_pcreladdr", "1xx10000_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::pc_relative),
    row("ADR_only_pcreladdr", "0xx10000_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::pc_relative),
    // bitfield
    row("SBFM_32M_bitfield", "00010011_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::signed),
    row("SBFM_64M_bitfield", "10010011_01xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::signed),
    row("UBFM_32M_bitfield", "01010011_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::unsigned),
    row("UBFM_64M_bitfield", "11010011_01xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::unsigned),
    row("BFM_32M_bitfield", "00110011_00xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::insert),
    row("BFM_64M_bitfield", "10110011_01xxxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::insert),
    // extract
    row("EXTR_32_extract", "00010011_100xxxxx_0xxxxxxx_xxxxxxxx", Base, bitfield::extr),
    row("EXTR_64_extract", "10010011_110xxxxx_xxxxxxxx_xxxxxxxx", Base, bitfield::extr),
    // addsub_shift
    row("ADDS_32_addsub_shift", "x0101011_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::shifted),
    row("ADD_32_addsub_shift", "x0001011_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::shifted),
    row("SUBS_32_addsub_shift", "x1101011_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::shifted),
    row("SUB_32_addsub_shift", "x1001011_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::shifted),
    // addsub_ext
    row("ADDS_32S_addsub_ext", "x0101011_001xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::extended),
    row("ADD_32_addsub_ext", "x0001011_001xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::extended),
    row("SUBS_32S_addsub_ext", "x1101011_001xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::extended),
    row("SUB_32_addsub_ext", "x1001011_001xxxxx_xxxxxxxx_xxxxxxxx", Base, addsub::extended),
    // addsub_carry
    row("ADCS_32_addsub_carry", "x0111010_000xxxxx_000000xx_xxxxxxxx", Base, addsub::carry),
    row("ADC_32_addsub_carry", "x0011010_000xxxxx_000000xx_xxxxxxxx", Base, addsub::carry),
    row("SBCS_32_addsub_carry", "x1111010_000xxxxx_000000xx_xxxxxxxx", Base, addsub::carry),
    row("SBC_32_addsub_carry", "x1011010_000xxxxx_000000xx_xxxxxxxx", Base, addsub::carry),
    // log_shift
    row("ANDS_32_log_shift", "x1101010_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("AND_32_log_shift", "x0001010_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("BICS_32_log_shift", "x1101010_xx1xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("BIC_32_log_shift", "x0001010_xx1xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("EON_32_log_shift", "x1001010_xx1xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("EOR_32_log_shift", "x1001010_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("ORN_32_log_shift", "x0101010_xx1xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    row("ORR_32_log_shift", "x0101010_xx0xxxxx_xxxxxxxx_xxxxxxxx", Base, logical::shifted),
    // dp_1src
    row("CLS_32_dp_1src", "x1011010_11000000_000101xx_xxxxxxxx", Base, dp::one_source),
    row("CLZ_32_dp_1src", "x1011010_11000000_000100xx_xxxxxxxx", Base, dp::one_source),
    row("RBIT_32_dp_1src", "x1011010_11000000_000000xx_xxxxxxxx", Base, dp::one_source),
    row("REV16_32_dp_1src", "x1011010_11000000_000001xx_xxxxxxxx", Base, dp::one_source),
    row("REV32_64_dp_1src", "11011010_11000000_000010xx_xxxxxxxx", Base, dp::one_source),
    row("REV_32_dp_1src", "01011010_11000000_000010xx_xxxxxxxx", Base, dp::one_source),
    row("REV_64_dp_1src", "11011010_11000000_000011xx_xxxxxxxx", Base, dp::one_source),
    // dp_2src
    row("ASRV_32_dp_2src", "x0011010_110xxxxx_001010xx_xxxxxxxx", Base, dp::two_source),
    row("LSLV_32_dp_2src", "x0011010_110xxxxx_001000xx_xxxxxxxx", Base, dp::two_source),
    row("LSRV_32_dp_2src", "x0011010_110xxxxx_001001xx_xxxxxxxx", Base, dp::two_source),
    row("RORV_32_dp_2src", "x0011010_110xxxxx_001011xx_xxxxxxxx", Base, dp::two_source),
    row("SDIV_32_dp_2src", "x0011010_110xxxxx_000011xx_xxxxxxxx", Base, dp::two_source),
    row("UDIV_32_dp_2src", "x0011010_110xxxxx_000010xx_xxxxxxxx", Base, dp::two_source),
    row("CRC32B_32C_dp_2src", "00011010_110xxxxx_010000xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32CB_32C_dp_2src", "00011010_110xxxxx_010100xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32CH_32C_dp_2src", "00011010_110xxxxx_010101xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32CW_32C_dp_2src", "00011010_110xxxxx_010110xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32CX_64C_dp_2src", "10011010_110xxxxx_010111xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32H_32C_dp_2src", "00011010_110xxxxx_010001xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32W_32C_dp_2src", "00011010_110xxxxx_010010xx_xxxxxxxx", Crc32, dp::crc32),
    row("CRC32X_64C_dp_2src", "10011010_110xxxxx_010011xx_xxxxxxxx", Crc32, dp::crc32),
    // dp_3src
    row("MADD_32A_dp_3src", "x0011011_000xxxxx_0xxxxxxx_xxxxxxxx", Base, dp::multiply),
    row("MSUB_32A_dp_3src", "x0011011_000xxxxx_1xxxxxxx_xxxxxxxx", Base, dp::multiply),
    row("SMADDL_64WA_dp_3src", "10011011_001xxxxx_0xxxxxxx_xxxxxxxx", Base, dp::multiply_long),
    row("SMSUBL_64WA_dp_3src", "10011011_001xxxxx_1xxxxxxx_xxxxxxxx", Base, dp::multiply_long),
    row("UMADDL_64WA_dp_3src", "10011011_101xxxxx_0xxxxxxx_xxxxxxxx", Base, dp::multiply_long),
    row("UMSUBL_64WA_dp_3src", "10011011_101xxxxx_1xxxxxxx_xxxxxxxx", Base, dp::multiply_long),
    row("SMULH_64_dp_3src", "10011011_010xxxxx_0xxxxxxx_xxxxxxxx", Base, dp::multiply_high),
    row("UMULH_64_dp_3src", "10011011_110xxxxx_0xxxxxxx_xxxxxxxx", Base, dp::multiply_high),
    // condsel
    row("CSEL_32_condsel", "x0011010_100xxxxx_xxxx00xx_xxxxxxxx", Base, cond::select),
    row("CSINC_32_condsel", "x0011010_100xxxxx_xxxx01xx_xxxxxxxx", Base, cond::select),
    row("CSINV_32_condsel", "x1011010_100xxxxx_xxxx00xx_xxxxxxxx", Base, cond::select),
    row("CSNEG_32_condsel", "x1011010_100xxxxx_xxxx01xx_xxxxxxxx", Base, cond::select),
    // condcmp_imm
    row("CCMN_32_condcmp_imm", "x0111010_010xxxxx_xxxx10xx_xxx0xxxx", Base, cond::compare),
    // condcmp_reg
    row("CCMN_32_condcmp_reg", "x0111010_010xxxxx_xxxx00xx_xxx0xxxx", Base, cond::compare),
    // condcmp_imm
    row("CCMP_32_condcmp_imm", "x1111010_010xxxxx_xxxx10xx_xxx0xxxx", Base, cond::compare),
    // condcmp_reg
    row("CCMP_32_condcmp_reg", "x1111010_010xxxxx_xxxx00xx_xxx0xxxx", Base, cond::compare),
    // rmif
    row("RMIF_only_rmif", "10111010_000xxxxx_x00001xx_xxx0xxxx", FlagM, flagm::rmif),
    // setf
    row("SETF16_only_setf", "00111010_00000000_010010xx_xxx01101", FlagM, flagm::setf),
    row("SETF8_only_setf", "00111010_00000000_000010xx_xxx01101", FlagM, flagm::setf),
    // pstate
    row("CFINV_M_pstate", "11010101_00000000_0100xxxx_00011111", FlagM, flagm::cfinv),
    row("AXFLAG_M_pstate", "11010101_00000000_0100xxxx_01011111", FlagM2, flagm::axflag),
    row("XAFLAG_M_pstate", "11010101_00000000_0100xxxx_00111111", FlagM2, flagm::xaflag),
    // branch_imm
    row("BL_only_branch_imm", "100101xx_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::immediate),
    row("B_only_branch_imm", "000101xx_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::immediate),
    // condbranch
    row("B_only_condbranch", "01010100_xxxxxxxx_xxxxxxxx_xxx0xxxx", Base, branch::conditional),
    // compbranch
    row("CBNZ_32_compbranch", "x0110101_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::compare),
    row("CBZ_32_compbranch", "x0110100_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::compare),
    // testbranch
    row("TBNZ_only_testbranch", "x0110111_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::test_bit),
    row("TBZ_only_testbranch", "x0110110_xxxxxxxx_xxxxxxxx_xxxxxxxx", Base, branch::test_bit),
    // branch_reg
    row("BLR_64_branch_reg", "11010110_00111111_000000xx_xxx00000", Base, branch::register),
    row("BR_64_branch_reg", "11010110_00011111_000000xx_xxx00000", Base, branch::register),
    row("RET_64R_branch_reg", "11010110_01011111_000000xx_xxx00000", Base, branch::register),
];
