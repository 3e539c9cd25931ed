//! What programs are made of: `../data/differential-rows.tsv`, a copy of the decode table's rows, so that a recording does
//! not change with the table; and words for the system class.

use emu_a64::decode::{table_fp, table_int, table_ldst, table_simd};
use emu_a64::features::Feat;

/// How a row's instructions are put into a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Integer,
    Memory,
    Vector,
    Branch,
    System,
}

impl Class {
    pub(crate) const ALL: [Self; 10] = [
        Self::Integer,
        Self::Integer,
        Self::Integer,
        Self::Memory,
        Self::Memory,
        Self::Memory,
        Self::Vector,
        Self::Vector,
        Self::Branch,
        Self::System,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Memory => "memory",
            Self::Vector => "vector",
            Self::Branch => "branch",
            Self::System => "system",
        }
    }
}

/// A set of words.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) mask: u32,
    pub(crate) value: u32,
    pub(crate) fp: bool,
}

impl Row {
    /// True if bits lsb+4:lsb are not fixed, as those of a register are.
    pub(crate) fn register(&self, lsb: u32) -> bool {
        self.mask >> lsb & 31 == 0
    }

    /// The encoding's group: the end of its name.
    pub(crate) fn form(&self) -> &str {
        // As in LDRB_32_ldst_pos; the structure loads and stores have it in the middle.
        let (_, rest) = self.name.split_once('_').unwrap_or_default();
        if rest.starts_with("asisdls") { rest } else { rest.split_once('_').unwrap_or_default().1 }
    }

    /// Register 31 as the target is SP.
    pub(crate) fn may_write_sp(&self) -> bool {
        let sets_flags = self.value >> 29 & 1 != 0;
        (self.name.ends_with("addsub_imm") || self.name.ends_with("addsub_ext")) && !sets_flags
            || self.name.ends_with("log_imm") && self.value >> 29 & 3 != 3
    }
}

/// System instructions of EL0: name, mask, value.
const SYSTEM: &[(&str, u32, u32)] = &[
    ("MRS_NZCV_flags", !31, 0xd53b_4200),
    ("MSR_NZCV_flags", !31, 0xd51b_4200),
    ("MRS_FPCR_flags", !31, 0xd53b_4400),
    ("MSR_FPCR_flags", !31, 0xd51b_4400),
    ("MRS_FPSR_flags", !31, 0xd53b_4420),
    ("MSR_FPSR_flags", !31, 0xd51b_4420),
    ("NOP_HI_hints", !0, 0xd503_201f),
    ("CSDB_HI_hints", !0, 0xd503_229f),
    ("HINT_HM_hints", !(7 << 5), 0xd503_2d1f),
    ("DMB_BO_barriers", !(15 << 8), 0xd503_30bf),
    ("DSB_BO_barriers", !0, 0xd503_3b9f),
    ("ISB_BI_barriers", !0, 0xd503_3fdf),
    ("SB_only_barriers", !0, 0xd503_30ff),
    ("CLREX_BN_barriers", !(15 << 8), 0xd503_305f),
];

/// The rows as the file has them.
pub(crate) fn read() -> Vec<Row> {
    let text = std::fs::read_to_string(crate::data("differential-rows.tsv")).unwrap();
    let hex = |s: &str| u32::from_str_radix(s, 16).unwrap();
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| {
            let f: Vec<&str> = l.split('\t').collect();
            let class = Class::ALL.into_iter().find(|c| c.name() == f[0]).expect("a class");
            Row { name: f[1].into(), class, mask: hex(f[2]), value: hex(f[3]), fp: f[4] == "fp" }
        })
        .collect()
}

/// The rows of the decode table that programs can have.
pub(crate) fn from_table() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "# Class, name, mask and value of the rows of the decode table that programs are made of.\n",
    );
    // Bits that SHOULD have a value get it: other implementations differ there.
    let encodings =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../a64/tests/data/a64-encodings.tsv"))
            .unwrap();
    let mut line = |class: Class, name: &str, mut mask: u32, mut value: u32, fp: bool| {
        let is = |l: &&str| l.split('\t').next() == Some(name);
        if let Some(l) = encodings.lines().find(is) {
            let f: Vec<u32> =
                l.split('\t').skip(1).take(3).map(|h| u32::from_str_radix(h, 16).unwrap()).collect();
            mask |= f[2];
            value |= f[1] & f[2];
        }
        writeln!(text, "{}\t{name}\t{mask:08x}\t{value:08x}\t{}", class.name(), if fp { "fp" } else { "-" })
            .unwrap();
    };
    let known = |f: Feat| !matches!(f, Feat::PAuth | Feat::Mops | Feat::Bti);
    for r in table_int::ROWS.iter().filter(|r| known(r.feat)) {
        let branch = ["branch_imm", "condbranch", "compbranch", "testbranch", "branch_reg"]
            .iter()
            .any(|g| r.name.ends_with(g));
        line(if branch { Class::Branch } else { Class::Integer }, r.name, r.mask, r.value, false);
    }
    for r in table_ldst::ROWS.iter().filter(|r| known(r.feat)) {
        let prefetch = r.name.starts_with("PRF") || r.name.starts_with("RPRF");
        line(if prefetch { Class::Integer } else { Class::Memory }, r.name, r.mask, r.value, r.fp);
    }
    for r in table_fp::ROWS.iter().chain(table_simd::ROWS) {
        let memory = r.value & 0xbe00_0000 == 0x0c00_0000;
        line(if memory { Class::Memory } else { Class::Vector }, r.name, r.mask, r.value, true);
    }
    for (name, mask, value) in SYSTEM {
        line(Class::System, name, *mask, *value, false);
    }
    text
}
