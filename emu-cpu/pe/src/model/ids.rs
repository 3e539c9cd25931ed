//! ID registers, computed from what the model has: an ID register cannot advertise what is not there.
//!
//! [`FIELDS`] says which value of which field stands for which feature (Arm ARM, D17.2.60 and following). Exception
//! levels are AArch64 only, so the AArch32 ID registers read as zero.

use emu_a64::features::Feat;
use emu_a64::level::{El, Levels};

use super::{Granules, Model};

/// An ID register: its place among the 64 with op0 = 3, op1 = 0, CRn = 0, as CRm * 8 + op2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(non_camel_case_types, missing_docs, reason = "the names are the architecture's")]
pub enum Id {
    ID_AA64PFR0_EL1 = 4 * 8,
    ID_AA64PFR1_EL1 = 4 * 8 + 1,
    ID_AA64DFR0_EL1 = 5 * 8,
    ID_AA64ISAR0_EL1 = 6 * 8,
    ID_AA64ISAR1_EL1 = 6 * 8 + 1,
    ID_AA64ISAR2_EL1 = 6 * 8 + 2,
    ID_AA64MMFR0_EL1 = 7 * 8,
    ID_AA64MMFR1_EL1 = 7 * 8 + 1,
    ID_AA64MMFR2_EL1 = 7 * 8 + 2,
}

/// A field: the register, its lowest bit, and what each value needs, in the order of the values: the last value counts
/// whose feature, and those of all values before it, are there. The field is 0 if the first is not.
pub struct Field {
    /// The register.
    pub reg: Id,
    /// Lowest of its four bits.
    pub lsb: u32,
    /// The architecture's name.
    pub name: &'static str,
    /// Values and the features they stand for.
    pub values: &'static [(u8, Feat)],
}

const fn field(reg: Id, lsb: u32, name: &'static str, values: &'static [(u8, Feat)]) -> Field {
    Field { reg, lsb, name, values }
}

use Feat as F;
use Id::*;

/// ID_AA64PFR0_EL1.GIC: the CPU interface is system registers.
const GIC: u32 = 24;

/// The table: also what a debugger shows the fields by.
pub const FIELDS: &[Field] = &[
    // EL1 and EL0: AArch64 only.
    field(ID_AA64PFR0_EL1, 0, "EL0", &[(1, F::Base)]),
    field(ID_AA64PFR0_EL1, 4, "EL1", &[(1, F::Base)]),
    field(ID_AA64PFR0_EL1, GIC, "GIC", &[(1, F::Base)]),
    field(ID_AA64PFR0_EL1, 28, "RAS", &[(1, F::Ras)]),
    field(ID_AA64PFR0_EL1, 48, "DIT", &[(1, F::Dit)]),
    field(ID_AA64PFR0_EL1, 56, "CSV2", &[(3, F::Csv2)]),
    field(ID_AA64PFR1_EL1, 0, "BT", &[(1, F::Bti)]),
    field(ID_AA64PFR1_EL1, 4, "SSBS", &[(1, F::Ssbs), (2, F::Ssbs2)]),
    // Debug: v8, with VHE, v8.2.
    field(ID_AA64DFR0_EL1, 0, "DebugVer", &[(6, F::Base), (7, F::Vhe), (8, F::Ras)]),
    field(ID_AA64DFR0_EL1, 8, "PMUVer", &[(1, F::Pmuv3), (4, F::Pmuv3p1), (5, F::Pmuv3p4), (6, F::Pmuv3p5)]),
    field(ID_AA64ISAR0_EL1, 4, "AES", &[(1, F::Aes), (2, F::Pmull)]),
    field(ID_AA64ISAR0_EL1, 8, "SHA1", &[(1, F::Sha1)]),
    field(ID_AA64ISAR0_EL1, 12, "SHA2", &[(1, F::Sha256), (2, F::Sha512)]),
    field(ID_AA64ISAR0_EL1, 16, "CRC32", &[(1, F::Crc32)]),
    field(ID_AA64ISAR0_EL1, 20, "Atomic", &[(2, F::Lse)]),
    field(ID_AA64ISAR0_EL1, 28, "RDM", &[(1, F::Rdm)]),
    field(ID_AA64ISAR0_EL1, 32, "SHA3", &[(1, F::Sha3)]),
    field(ID_AA64ISAR0_EL1, 36, "SM3", &[(1, F::Sm3)]),
    field(ID_AA64ISAR0_EL1, 40, "SM4", &[(1, F::Sm4)]),
    field(ID_AA64ISAR0_EL1, 44, "DP", &[(1, F::DotProd)]),
    field(ID_AA64ISAR0_EL1, 48, "FHM", &[(1, F::Fhm)]),
    field(ID_AA64ISAR0_EL1, 52, "TS", &[(1, F::FlagM), (2, F::FlagM2)]),
    field(ID_AA64ISAR0_EL1, 56, "TLB", &[(1, F::TlbiOs), (2, F::TlbiRange)]),
    field(ID_AA64ISAR0_EL1, 60, "RNDR", &[(1, F::Rng)]),
    field(ID_AA64ISAR1_EL1, 0, "DPB", &[(1, F::Dpb), (2, F::Dpb2)]),
    // 3: FEAT_PAuth2, 5: FEAT_FPACCOMBINE.
    field(ID_AA64ISAR1_EL1, 4, "APA", &[(3, F::PAuthQarma5), (5, F::Fpac)]),
    field(ID_AA64ISAR1_EL1, 8, "API", &[(3, F::PAuthImpdef), (5, F::Fpac)]),
    field(ID_AA64ISAR1_EL1, 24, "GPA", &[(1, F::PAuthQarma5)]),
    field(ID_AA64ISAR1_EL1, 28, "GPI", &[(1, F::PAuthImpdef)]),
    field(ID_AA64ISAR1_EL1, 12, "JSCVT", &[(1, F::Jscvt)]),
    field(ID_AA64ISAR1_EL1, 16, "FCMA", &[(1, F::Fcma)]),
    field(ID_AA64ISAR1_EL1, 20, "LRCPC", &[(1, F::Lrcpc), (2, F::Lrcpc2)]),
    field(ID_AA64ISAR1_EL1, 32, "FRINTTS", &[(1, F::FrintTs)]),
    field(ID_AA64ISAR1_EL1, 36, "SB", &[(1, F::Sb)]),
    field(ID_AA64ISAR1_EL1, 40, "SPECRES", &[(1, F::Specres), (2, F::Specres2)]),
    field(ID_AA64ISAR1_EL1, 44, "BF16", &[(1, F::Bf16)]),
    field(ID_AA64ISAR1_EL1, 48, "DGH", &[(1, F::Dgh)]),
    field(ID_AA64ISAR1_EL1, 52, "I8MM", &[(1, F::I8mm)]),
    field(ID_AA64ISAR1_EL1, 56, "XS", &[(1, F::Xs)]),
    field(ID_AA64ISAR2_EL1, 0, "WFxT", &[(2, F::Wfxt)]),
    field(ID_AA64ISAR2_EL1, 16, "MOPS", &[(1, F::Mops)]),
    // 16-bit ASIDs.
    field(ID_AA64MMFR0_EL1, 4, "ASIDBits", &[(2, F::Base)]),
    field(ID_AA64MMFR0_EL1, 56, "FGT", &[(1, F::Fgt)]),
    field(ID_AA64MMFR0_EL1, 60, "ECV", &[(1, F::Ecv), (2, F::EcvPoff)]),
    field(ID_AA64MMFR1_EL1, 0, "HAFDBS", &[(2, F::Hafdbs)]),
    field(ID_AA64MMFR1_EL1, 4, "VMIDBits", &[(2, F::Vmid16)]),
    field(ID_AA64MMFR1_EL1, 8, "VH", &[(1, F::Vhe)]),
    field(ID_AA64MMFR1_EL1, 12, "HPDS", &[(1, F::Hpds)]),
    field(ID_AA64MMFR1_EL1, 16, "LO", &[(1, F::Lor)]),
    field(ID_AA64MMFR1_EL1, 20, "PAN", &[(1, F::Pan), (2, F::Pan2), (3, F::Pan3)]),
    field(ID_AA64MMFR1_EL1, 28, "XNX", &[(1, F::Xnx)]),
    field(ID_AA64MMFR1_EL1, 40, "HCX", &[(1, F::Hcx)]),
    field(ID_AA64MMFR1_EL1, 52, "TIDCP1", &[(1, F::Tidcp1)]),
    field(ID_AA64MMFR2_EL1, 0, "CnP", &[(1, F::Ttcnp)]),
    field(ID_AA64MMFR2_EL1, 4, "UAO", &[(1, F::Uao)]),
    field(ID_AA64MMFR2_EL1, 16, "VARange", &[(1, F::Lva)]),
    field(ID_AA64MMFR2_EL1, 20, "CCIDX", &[(1, F::Ccidx)]),
    field(ID_AA64MMFR2_EL1, 24, "NV", &[(1, F::Nv), (2, F::Nv2)]),
    field(ID_AA64MMFR2_EL1, 28, "ST", &[(1, F::Ttst)]),
    field(ID_AA64MMFR2_EL1, 32, "AT", &[(1, F::Lse2)]),
    field(ID_AA64MMFR2_EL1, 36, "IDS", &[(1, F::Idst)]),
    field(ID_AA64MMFR2_EL1, 40, "FWB", &[(1, F::S2fwb)]),
    field(ID_AA64MMFR2_EL1, 48, "TTL", &[(1, F::Ttl)]),
    field(ID_AA64MMFR2_EL1, 52, "BBM", &[(2, F::Bbm)]),
    field(ID_AA64MMFR2_EL1, 56, "EVT", &[(2, F::Evt)]),
    field(ID_AA64MMFR2_EL1, 60, "E0PD", &[(1, F::E0pd)]),
];

/// The values of the ID registers of a PE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdRegs([u64; 64]);

impl IdRegs {
    /// Those of `model` with these Exception levels, with the GIC CPU interface as system registers.
    #[must_use]
    pub fn new(model: &Model, levels: Levels) -> Self {
        Self::of(model, levels, true)
    }

    /// The same, with or without system registers of a GIC CPU interface.
    #[must_use]
    pub fn of(model: &Model, levels: Levels, gic_registers: bool) -> Self {
        let mut ids = Self([0; 64]);
        for f in FIELDS {
            let have = f.values.iter().take_while(|(_, feat)| model.features.has(*feat)).last();
            ids.put(f.reg, f.lsb, have.map_or(0, |(value, _)| *value));
        }
        ids.put(ID_AA64PFR0_EL1, 8, u8::from(levels.contains(El::El2)));
        ids.floating_point(model);
        ids.debug(model);
        ids.memory(model);
        for (reg, lsb, value) in model.id_extra {
            ids.put(*reg, *lsb, *value);
        }
        if !gic_registers {
            ids.put(ID_AA64PFR0_EL1, GIC, 0);
        }
        ids
    }

    /// The value of the register with op0 = 3, op1 = 0, CRn = 0 at CRm * 8 + op2; 0 for those that are reserved.
    #[must_use]
    pub fn get(&self, place: u8) -> u64 {
        self.0[usize::from(place & 63)]
    }

    /// The value of a register.
    #[must_use]
    pub fn value(&self, reg: Id) -> u64 {
        self.get(reg as u8)
    }

    fn put(&mut self, reg: Id, lsb: u32, value: u8) {
        let word = &mut self.0[reg as usize];
        *word = *word & !(15 << lsb) | u64::from(value & 15) << lsb;
    }

    /// FP and AdvSIMD: signed fields, 0b1111 for "not implemented".
    fn floating_point(&mut self, model: &Model) {
        let value = match (model.features.has(F::AdvSimd), model.features.has(F::Fp16)) {
            (false, _) => 15,
            (true, half) => u8::from(half),
        };
        self.put(ID_AA64PFR0_EL1, 16, value);
        self.put(ID_AA64PFR0_EL1, 20, value);
    }

    /// Numbers of breakpoints, watchpoints, context-aware breakpoints, each less one.
    fn debug(&mut self, model: &Model) {
        self.put(ID_AA64DFR0_EL1, 12, model.breakpoints.saturating_sub(1));
        self.put(ID_AA64DFR0_EL1, 20, model.watchpoints.saturating_sub(1));
        self.put(ID_AA64DFR0_EL1, 28, model.context_breakpoints.saturating_sub(1));
    }

    fn memory(&mut self, model: &Model) {
        let range = match model.pa_bits {
            52.. => 6,
            48.. => 5,
            44.. => 4,
            42.. => 3,
            40.. => 2,
            36.. => 1,
            _ => 0,
        };
        self.put(ID_AA64MMFR0_EL1, 0, range);
        let Granules { k4, k16, k64 } = model.granules;
        let large = model.features.has(F::Lpa2);
        // Stage 1: 4K and 64K are signed fields (0 supported, 15 not); LPA2 is one more than "supported".
        let pick = |have: bool, no: u8, yes: u8, lpa2: u8| match (have, large) {
            (false, _) => no,
            (true, false) => yes,
            (true, true) => lpa2,
        };
        self.put(ID_AA64MMFR0_EL1, 28, pick(k4, 15, 0, 1));
        self.put(ID_AA64MMFR0_EL1, 24, if k64 { 0 } else { 15 });
        self.put(ID_AA64MMFR0_EL1, 20, pick(k16, 0, 1, 2));
        // Stage 2: 0 says "as stage 1", the only value before Armv8.5.
        if large {
            self.put(ID_AA64MMFR0_EL1, 40, pick(k4, 1, 2, 3));
            self.put(ID_AA64MMFR0_EL1, 36, if k64 { 2 } else { 1 });
            self.put(ID_AA64MMFR0_EL1, 32, pick(k16, 1, 2, 3));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;

    const EL2: Levels = Levels::BASE.with(El::El2);

    fn ids(model: &Model) -> impl Fn(Id) -> u64 + use<> {
        let ids = IdRegs::new(model, EL2);
        move |r| ids.value(r)
    }

    /// What the Technical Reference Manual says of a part, and what is here. `docs/cpu-models.md` has the differences in words.
    type Values = &'static [(Id, u64, u64)];
    const PARTS: &[(&str, Values)] = &[
        (
            "cortex-a35",
            &[
                (ID_AA64PFR0_EL1, 0x2222, 0x0100_0111),
                (ID_AA64DFR0_EL1, 0x1030_5106, 0x1030_5106),
                (ID_AA64ISAR0_EL1, 0x0001_1120, 0x0001_1120),
                (ID_AA64MMFR0_EL1, 0x0010_1122, 0x0010_0022),
            ],
        ),
        (
            "cortex-a53",
            &[
                (ID_AA64PFR0_EL1, 0x2222, 0x0100_0111),
                (ID_AA64DFR0_EL1, 0x1030_5106, 0x1030_5106),
                (ID_AA64ISAR0_EL1, 0x0001_1120, 0x0001_1120),
                (ID_AA64MMFR0_EL1, 0x0000_1122, 0x0000_0022),
            ],
        ),
        (
            "cortex-a57",
            &[
                (ID_AA64PFR0_EL1, 0x2222, 0x0100_0111),
                (ID_AA64DFR0_EL1, 0x1030_5106, 0x1030_5106),
                (ID_AA64ISAR0_EL1, 0x0001_1120, 0x0001_1120),
                (ID_AA64MMFR0_EL1, 0x0000_1124, 0x0000_0024),
            ],
        ),
        (
            "cortex-a72",
            &[
                (ID_AA64PFR0_EL1, 0x2222, 0x0100_0111),
                (ID_AA64DFR0_EL1, 0x1030_5106, 0x1030_5106),
                (ID_AA64ISAR0_EL1, 0x0001_1120, 0x0001_1120),
                (ID_AA64MMFR0_EL1, 0x0000_1124, 0x0000_0024),
            ],
        ),
        (
            "cortex-a55",
            &[
                (ID_AA64PFR0_EL1, 0x1011_2222, 0x1111_0111),
                (ID_AA64PFR1_EL1, 0x10, 0x10),
                (ID_AA64DFR0_EL1, 0x1030_5408, 0x1030_5408),
                (ID_AA64ISAR0_EL1, 0x1000_1021_1120, 0x1000_1021_1120),
                (ID_AA64ISAR1_EL1, 0x0010_0001, 0x0010_0001),
                (ID_AA64MMFR0_EL1, 0x0010_1122, 0x0010_0022),
                (ID_AA64MMFR1_EL1, 0x1021_2122, 0x1021_1122),
                (ID_AA64MMFR2_EL1, 0x1011, 0x0011),
            ],
        ),
        (
            "cortex-a76",
            &[
                (ID_AA64PFR0_EL1, 0x1100_0000_1011_1112, 0x1100_0000_1111_0111),
                (ID_AA64PFR1_EL1, 0x10, 0x10),
                (ID_AA64DFR0_EL1, 0x1030_5408, 0x1030_5408),
                (ID_AA64ISAR0_EL1, 0x1000_1021_1120, 0x1000_1021_1120),
                (ID_AA64ISAR1_EL1, 0x0010_0001, 0x0010_0001),
                (ID_AA64MMFR0_EL1, 0x0010_1122, 0x0010_0022),
                (ID_AA64MMFR1_EL1, 0x1021_2122, 0x1021_1122),
                (ID_AA64MMFR2_EL1, 0x1011, 0x0011),
            ],
        ),
        (
            "neoverse-n1",
            &[
                (ID_AA64PFR0_EL1, 0x1100_0000_1011_1112, 0x1100_0000_1111_0111),
                (ID_AA64PFR1_EL1, 0x20, 0x20),
                (ID_AA64DFR0_EL1, 0x1_1030_5408, 0x1030_5408),
                (ID_AA64ISAR0_EL1, 0x1000_1021_1120, 0x1000_1021_1120),
                (ID_AA64ISAR1_EL1, 0x0010_0001, 0x0010_0001),
                (ID_AA64MMFR0_EL1, 0x0010_1125, 0x0010_0025),
                (ID_AA64MMFR1_EL1, 0x1021_2122, 0x1021_1122),
                (ID_AA64MMFR2_EL1, 0x1011, 0x0011),
            ],
        ),
        (
            "neoverse-v1",
            &[
                (ID_AA64PFR0_EL1, 0x1101_1101_2011_1112, 0x1101_0000_1111_0111),
                (ID_AA64PFR1_EL1, 0x20, 0x20),
                (ID_AA64DFR0_EL1, 0x01f2_1030_5519, 0x1030_5508),
                (ID_AA64ISAR0_EL1, 0x1011_1111_1021_2120, 0x1011_1111_1021_2120),
                (ID_AA64ISAR1_EL1, 0x0011_1000_0121_1032, 0x0011_1000_0121_1032),
                (ID_AA64MMFR0_EL1, 0x0010_1125, 0x0010_0025),
                (ID_AA64MMFR1_EL1, 0x1021_2122, 0x1021_1122),
                (ID_AA64MMFR2_EL1, 0x0220_0111_0210_1011, 0x0220_0111_0010_0011),
            ],
        ),
        (
            "neoverse-n2",
            &[
                (ID_AA64PFR0_EL1, 0x1201_1111_2011_1112, 0x1201_0000_1111_0111),
                (ID_AA64PFR1_EL1, 0x221, 0x21),
                (ID_AA64DFR0_EL1, 0x11f2_1030_5619, 0x1030_5608),
                (ID_AA64ISAR0_EL1, 0x1221_1111_1021_2120, 0x1221_1111_1021_2120),
                (ID_AA64ISAR1_EL1, 0x0011_1111_0121_1052, 0x0011_1111_0121_1052),
                (ID_AA64MMFR0_EL1, 0x0222_0010_1125, 0x0222_0010_0025),
                (ID_AA64MMFR1_EL1, 0x1021_2122, 0x1021_1122),
                (ID_AA64MMFR2_EL1, 0x1221_0111_1210_1011, 0x1221_0111_1010_0011),
            ],
        ),
    ];

    #[test]
    fn parts() {
        for (name, values) in PARTS {
            let model = Model::by_name(name).unwrap();
            let ids = IdRegs::new(&model, EL2);
            for (reg, _, here) in *values {
                // A host without atomic accesses of 16 bytes has no FEAT_LSE2.
                let host =
                    if *reg == ID_AA64MMFR2_EL1 && !model.features.has(F::Lse2) { !(15 << 32) } else { !0 };
                assert_eq!(ids.value(*reg), here & host, "{name} {reg:?}");
            }
            for reg in REGISTERS.iter().filter(|reg| values.iter().all(|(named, ..)| named != *reg)) {
                assert_eq!(ids.value(*reg), 0, "{name} {reg:?}");
            }
        }
    }

    /// Fields where more is said here than in the part's manual: the GIC, which a part has as it is built.
    #[test]
    fn no_part_has_more_than_the_real_one() {
        for (name, values) in PARTS {
            for (reg, part, here) in *values {
                for lsb in (0..64).step_by(4) {
                    let (part, here) = (part >> lsb & 15, here >> lsb & 15);
                    // DoubleLock: 15 says that there is none.
                    let less = here <= part || (*reg, lsb) == (ID_AA64PFR0_EL1, 24);
                    assert!(less, "{name} {reg:?} bit {lsb}: {here} for {part}");
                }
            }
        }
    }

    const REGISTERS: [Id; 9] = [
        ID_AA64PFR0_EL1,
        ID_AA64PFR1_EL1,
        ID_AA64DFR0_EL1,
        ID_AA64ISAR0_EL1,
        ID_AA64ISAR1_EL1,
        ID_AA64ISAR2_EL1,
        ID_AA64MMFR0_EL1,
        ID_AA64MMFR1_EL1,
        ID_AA64MMFR2_EL1,
    ];

    /// What is said by registers outside the ID space's group 3: MIDR, REVIDR, CTR, CLIDR, and the three caches as sets
    /// and ways.
    #[test]
    fn identities_and_caches() {
        type Caches = [(u32, u32); 3];
        type Identity = (&'static str, u32, u32, u32, u64, Caches);
        let rows: [Identity; 9] = [
            ("cortex-a35", 0x411f_d040, 0, 0x8444_8004, 0x0a20_0023, [(128, 4), (256, 2), (1024, 8)]),
            ("cortex-a53", 0x410f_d034, 0x100, 0x8444_8004, 0x0a20_0023, [(128, 4), (256, 2), (1024, 16)]),
            ("cortex-a55", 0x412f_d050, 0, 0x8444_8004, 0x8200_0023, [(128, 4), (128, 4), (1024, 4)]),
            ("cortex-a57", 0x411f_d070, 0, 0x8444_c004, 0x0a20_0023, [(256, 2), (256, 3), (2048, 16)]),
            ("cortex-a72", 0x410f_d083, 0, 0x8444_c004, 0x0a20_0023, [(256, 2), (256, 3), (1024, 16)]),
            ("cortex-a76", 0x414f_d0b1, 0, 0x8444_c004, 0x8200_0023, [(256, 4), (256, 4), (1024, 8)]),
            ("neoverse-n1", 0x414f_d0c1, 0, 0xb444_c004, 0x8200_0023, [(256, 4), (256, 4), (2048, 8)]),
            ("neoverse-v1", 0x411f_d402, 0, 0xb444_c004, 0x8200_0023, [(256, 4), (256, 4), (2048, 8)]),
            ("neoverse-n2", 0x410f_d493, 0, 0xb444_c004, 0x8200_0023, [(256, 4), (256, 4), (1024, 8)]),
        ];
        for (name, midr, revidr, ctr, clidr, caches) in rows {
            let model = Model::by_name(name).unwrap();
            assert_eq!(
                (model.midr, model.revidr, model.ctr, model.clidr),
                (midr, revidr, ctr, clidr),
                "{name}"
            );
            assert_eq!(model.caches.map(|c| (c.sets, c.ways)), caches, "{name}");
        }
    }

    /// Nobody has to look up a model by half a name: names are unique, and so are MIDRs but for the two of `max`.
    #[test]
    fn names_are_unique() {
        for (i, a) in MODELS.iter().enumerate() {
            for b in &MODELS[i + 1..] {
                assert_ne!(a.name, b.name);
                assert!(a.midr != b.midr || a.name.starts_with("max"), "{} and {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn max_has_52_bits_everywhere() {
        let id = ids(&Model::max());
        assert_eq!(id(ID_AA64MMFR0_EL1) & 15, 6);
        assert_eq!(id(ID_AA64MMFR0_EL1) >> 20 & 0xfff, 0x102);
        assert_eq!(id(ID_AA64MMFR0_EL1) >> 32 & 0xfff, 0x323);
        assert_eq!(id(ID_AA64ISAR0_EL1) >> 56 & 15, 2);
        assert_eq!(id(ID_AA64PFR0_EL1) & 0xffff, 0x0111);
    }

    #[test]
    fn max_says_what_it_has() {
        let id = ids(&Model::max());
        let field = |reg, lsb: u32| id(reg) >> lsb & 15;
        for (reg, lsb, value, name) in [
            (ID_AA64PFR0_EL1, 56, 3, "CSV2_3"),
            (ID_AA64PFR1_EL1, 0, 1, "BTI"),
            (ID_AA64DFR0_EL1, 8, 6, "PMUv3p5"),
            (ID_AA64ISAR0_EL1, 60, 1, "RNG"),
            (ID_AA64ISAR1_EL1, 4, 0, "no QARMA5"),
            (ID_AA64ISAR1_EL1, 8, 5, "FPACCOMBINE"),
            (ID_AA64ISAR1_EL1, 28, 1, "PACGA"),
            (ID_AA64ISAR1_EL1, 40, 2, "SPECRES2"),
            (ID_AA64ISAR1_EL1, 56, 1, "XS"),
            (ID_AA64ISAR2_EL1, 0, 2, "WFxT"),
            (ID_AA64ISAR2_EL1, 16, 1, "MOPS"),
            (ID_AA64MMFR0_EL1, 56, 1, "FGT"),
            (ID_AA64MMFR0_EL1, 60, 2, "ECV with CNTPOFF_EL2"),
            (ID_AA64MMFR1_EL1, 40, 1, "HCX"),
            (ID_AA64MMFR1_EL1, 52, 1, "TIDCP1"),
            (ID_AA64MMFR2_EL1, 28, 1, "TTST"),
            (ID_AA64MMFR2_EL1, 32, u64::from(crate::host::is_atomic()), "LSE2"),
            (ID_AA64MMFR2_EL1, 36, 1, "IDST"),
            (ID_AA64MMFR2_EL1, 56, 2, "EVT"),
            (ID_AA64MMFR2_EL1, 60, 1, "E0PD"),
        ] {
            assert_eq!(field(reg, lsb), value, "{name}");
        }
        let qarma = ids(&Model::by_name("max-qarma5").unwrap());
        assert_eq!(qarma(ID_AA64ISAR1_EL1) & 0xff00_0ff0, 0x0100_0050);
    }

    #[test]
    fn without_el2() {
        assert_eq!(IdRegs::new(&Model::max(), Levels::BASE).value(ID_AA64PFR0_EL1) >> 8 & 15, 0);
    }

    #[test]
    fn no_two_fields_overlap() {
        for (i, a) in FIELDS.iter().enumerate() {
            assert!(a.lsb % 4 == 0 && a.lsb < 64, "{}", a.name);
            assert!(a.values.iter().all(|(v, _)| *v < 16), "{}", a.name);
            for b in &FIELDS[i + 1..] {
                assert!(a.reg != b.reg || a.lsb != b.lsb, "{} and {}", a.name, b.name);
            }
        }
    }

    /// A feature that a field's higher value stands for comes with those of its lower values, in every model.
    #[test]
    fn models_are_closed() {
        for model in MODELS {
            let name = model.name;
            for f in FIELDS {
                let mut missing = false;
                for (_, feat) in f.values {
                    let has = model.features.has(*feat);
                    // DebugVer's steps are versions, not features; FEAT_FPAC is the same for both algorithms.
                    assert!(
                        !(missing && has) || matches!(f.name, "DebugVer" | "APA" | "API"),
                        "{name}: {} without what comes before",
                        f.name
                    );
                    missing |= !has;
                }
            }
        }
    }
}
