//! Memory copy and set encodings (FEAT_MOPS). A row has all sizes and options of its instruction.

use super::{EncodingRow, row};
use crate::features::Feat::Mops;
use crate::lower::mops::copy_or_set;

/// The rows.
#[rustfmt::skip]
pub const ROWS: &[EncodingRow] = &[
    // ldst_memcms
    row("CPYFP_CPY_memcms", "xx011001_000xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
    row("CPYFM_CPY_memcms", "xx011001_010xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
    row("CPYFE_CPY_memcms", "xx011001_100xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
    row("SETP_SET_memcms", "xx011001_110xxxxx_00xx01xx_xxxxxxxx", Mops, copy_or_set),
    row("SETM_SET_memcms", "xx011001_110xxxxx_01xx01xx_xxxxxxxx", Mops, copy_or_set),
    row("SETE_SET_memcms", "xx011001_110xxxxx_10xx01xx_xxxxxxxx", Mops, copy_or_set),
    row("CPYP_CPY_memcms", "xx011101_000xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
    row("CPYM_CPY_memcms", "xx011101_010xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
    row("CPYE_CPY_memcms", "xx011101_100xxxxx_xxxx01xx_xxxxxxxx", Mops, copy_or_set),
];
