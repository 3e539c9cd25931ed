//! Branch target identification, FEAT_BTI (Arm ARM, D8.8; pseudocode functions BranchTargetCheck and
//! BTypeCompatible): what an indirect branch says about itself, and where it may land.

use super::Lower;
use crate::features::Feat;
use crate::ir::Link;
use crate::mode::Mode;

/// PSTATE.BTYPE after an indirect branch by register `rn`.
pub(super) fn btype(l: &Lower<'_>, link: Link, rn: u32) -> u8 {
    match link {
        _ if !l.pe.features.has(Feat::Bti) => 0,
        Link::Return => 0,
        Link::Call => 0b10,
        Link::Jump if matches!(rn, 16 | 17) || !l.mode.guarded => 0b01,
        Link::Jump => 0b11,
    }
}

/// The first instruction of a block may be executed in this mode: in a guarded page an indirect branch must lead to one
/// that expects it.
pub(super) fn may_start(word: u32, mode: Mode) -> bool {
    if !mode.guarded || mode.btype == 0 {
        return true;
    }
    // BTI with its operand: none, c, j, jc.
    if word & 0xffff_ff3f == 0xd503_241f {
        return match word >> 6 & 3 {
            0 => false,
            1 => mode.btype != 0b11,
            2 => mode.btype != 0b10,
            _ => true,
        };
    }
    match word {
        // PACIASP, PACIBSP.
        0xd503_233f | 0xd503_237f => !mode.strict,
        // BRK, HLT.
        _ => word & 0xffe0_001f == 0xd420_0000 || word & 0xffe0_001f == 0xd440_0000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landing_pads() {
        // For BTYPE 01, 10, 11: which are compatible (Arm ARM, table of BTI's operands).
        for (word, strict, expected) in [
            (0xd503_241f /* bti */, false, [false, false, false]),
            (0xd503_245f /* bti c */, false, [true, true, false]),
            (0xd503_249f /* bti j */, false, [true, false, true]),
            (0xd503_24df /* bti jc */, false, [true, true, true]),
            (0xd503_233f /* paciasp */, false, [true, true, true]),
            (0xd503_237f /* pacibsp */, true, [true, true, false]),
            (0xd503_231f /* paciaz */, false, [false, false, false]),
            (0xd420_0020 /* brk #1 */, false, [true, true, true]),
            (0xd440_0000 /* hlt #0 */, false, [true, true, true]),
            (0xd503_201f /* nop */, false, [false, false, false]),
        ] {
            for (btype, expected) in (1..).zip(expected) {
                let mode = Mode { guarded: true, btype, strict: strict && btype == 3, ..Mode::default() };
                assert_eq!(may_start(word, mode), expected, "{word:08x} {btype}");
                assert!(may_start(word, Mode { guarded: false, ..mode }));
                assert!(may_start(word, Mode { btype: 0, ..mode }));
            }
        }
    }
}
