//! Pointer authentication encodings (FEAT_PAuth).

use super::{EncodingRow, row};
use crate::features::Feat::{Base, PAuth};
use crate::lower::pauth;

/// The rows.
#[rustfmt::skip]
pub const ROWS: &[EncodingRow] = &[
    // dp_1src, dp_2src
    row("PACIA_64P_dp_1src", "11011010_11000001_000000xx_xxxxxxxx", PAuth, pauth::one_source),
    row("PACIZA_64Z_dp_1src", "11011010_11000001_00100011_111xxxxx", PAuth, pauth::one_source),
    row("PACIB_64P_dp_1src", "11011010_11000001_000001xx_xxxxxxxx", PAuth, pauth::one_source),
    row("PACIZB_64Z_dp_1src", "11011010_11000001_00100111_111xxxxx", PAuth, pauth::one_source),
    row("PACDA_64P_dp_1src", "11011010_11000001_000010xx_xxxxxxxx", PAuth, pauth::one_source),
    row("PACDZA_64Z_dp_1src", "11011010_11000001_00101011_111xxxxx", PAuth, pauth::one_source),
    row("PACDB_64P_dp_1src", "11011010_11000001_000011xx_xxxxxxxx", PAuth, pauth::one_source),
    row("PACDZB_64Z_dp_1src", "11011010_11000001_00101111_111xxxxx", PAuth, pauth::one_source),
    row("AUTIA_64P_dp_1src", "11011010_11000001_000100xx_xxxxxxxx", PAuth, pauth::one_source),
    row("AUTIZA_64Z_dp_1src", "11011010_11000001_00110011_111xxxxx", PAuth, pauth::one_source),
    row("AUTIB_64P_dp_1src", "11011010_11000001_000101xx_xxxxxxxx", PAuth, pauth::one_source),
    row("AUTIZB_64Z_dp_1src", "11011010_11000001_00110111_111xxxxx", PAuth, pauth::one_source),
    row("AUTDA_64P_dp_1src", "11011010_11000001_000110xx_xxxxxxxx", PAuth, pauth::one_source),
    row("AUTDZA_64Z_dp_1src", "11011010_11000001_00111011_111xxxxx", PAuth, pauth::one_source),
    row("AUTDB_64P_dp_1src", "11011010_11000001_000111xx_xxxxxxxx", PAuth, pauth::one_source),
    row("AUTDZB_64Z_dp_1src", "11011010_11000001_00111111_111xxxxx", PAuth, pauth::one_source),
    row("XPACI_64Z_dp_1src", "11011010_11000001_01000011_111xxxxx", PAuth, pauth::strip),
    row("XPACD_64Z_dp_1src", "11011010_11000001_01000111_111xxxxx", PAuth, pauth::strip),
    row("PACGA_64P_dp_2src", "10011010_110xxxxx_001100xx_xxxxxxxx", PAuth, pauth::generic),
    // branch_reg
    row("BRAAZ_64_branch_reg", "11010110_00011111_000010xx_xxx11111", PAuth, pauth::branch),
    row("BRAA_64P_branch_reg", "11010111_00011111_000010xx_xxxxxxxx", PAuth, pauth::branch),
    row("BRABZ_64_branch_reg", "11010110_00011111_000011xx_xxx11111", PAuth, pauth::branch),
    row("BRAB_64P_branch_reg", "11010111_00011111_000011xx_xxxxxxxx", PAuth, pauth::branch),
    row("BLRAAZ_64_branch_reg", "11010110_00111111_000010xx_xxx11111", PAuth, pauth::branch),
    row("BLRAA_64P_branch_reg", "11010111_00111111_000010xx_xxxxxxxx", PAuth, pauth::branch),
    row("BLRABZ_64_branch_reg", "11010110_00111111_000011xx_xxx11111", PAuth, pauth::branch),
    row("BLRAB_64P_branch_reg", "11010111_00111111_000011xx_xxxxxxxx", PAuth, pauth::branch),
    row("RETAA_64E_branch_reg", "11010110_01011111_00001011_11111111", PAuth, pauth::ret),
    row("ERETAA_64E_branch_reg", "11010110_10011111_00001011_11111111", PAuth, pauth::eret),
    row("RETAB_64E_branch_reg", "11010110_01011111_00001111_11111111", PAuth, pauth::ret),
    row("ERETAB_64E_branch_reg", "11010110_10011111_00001111_11111111", PAuth, pauth::eret),
    // ldst_pac
    row("LDRAA_64W_ldst_pac", "11111000_0x1xxxxx_xxxx11xx_xxxxxxxx", PAuth, pauth::load),
    row("LDRAA_64_ldst_pac", "11111000_0x1xxxxx_xxxx01xx_xxxxxxxx", PAuth, pauth::load),
    row("LDRAB_64W_ldst_pac", "11111000_1x1xxxxx_xxxx11xx_xxxxxxxx", PAuth, pauth::load),
    row("LDRAB_64_ldst_pac", "11111000_1x1xxxxx_xxxx01xx_xxxxxxxx", PAuth, pauth::load),
    // hints: NOPs without the feature
    row("XPACLRI_HI_hints", "11010101_00000011_00100000_11111111", Base, pauth::hint),
    row("PACIA1716_HI_hints", "11010101_00000011_00100001_00011111", Base, pauth::hint),
    row("PACIB1716_HI_hints", "11010101_00000011_00100001_01011111", Base, pauth::hint),
    row("AUTIA1716_HI_hints", "11010101_00000011_00100001_10011111", Base, pauth::hint),
    row("AUTIB1716_HI_hints", "11010101_00000011_00100001_11011111", Base, pauth::hint),
    row("PACIAZ_HI_hints", "11010101_00000011_00100011_00011111", Base, pauth::hint),
    row("PACIASP_HI_hints", "11010101_00000011_00100011_00111111", Base, pauth::hint),
    row("PACIBZ_HI_hints", "11010101_00000011_00100011_01011111", Base, pauth::hint),
    row("PACIBSP_HI_hints", "11010101_00000011_00100011_01111111", Base, pauth::hint),
    row("AUTIAZ_HI_hints", "11010101_00000011_00100011_10011111", Base, pauth::hint),
    row("AUTIASP_HI_hints", "11010101_00000011_00100011_10111111", Base, pauth::hint),
    row("AUTIBZ_HI_hints", "11010101_00000011_00100011_11011111", Base, pauth::hint),
    row("AUTIBSP_HI_hints", "11010101_00000011_00100011_11111111", Base, pauth::hint),
];
