//! The table put together, and how an encoding is looked up.

use std::sync::OnceLock;

use emu_a64::features::Feat;
use emu_a64::ir::SysEnc;

use super::fine;
use super::row::{Cell, Perm, Row};
use super::state::Reg;
use super::{
    table_control, table_debug, table_gic, table_id, table_impdef, table_insn, table_pmu, table_pstate,
    table_timer,
};

/// The rows that are written down; those of the `_EL12` names are made from them.
pub(super) const WRITTEN: &[&[Row]] = &[
    table_control::ROWS,
    table_pstate::ROWS,
    table_id::ROWS,
    table_timer::ROWS,
    table_timer::PHYSICAL,
    table_timer::VIRTUAL,
    table_timer::HYP_PHYSICAL,
    table_timer::HYP_VIRTUAL,
    table_debug::ROWS,
    table_pmu::ROWS,
    table_pmu::COUNTERS[0],
    table_pmu::COUNTERS[1],
    table_pmu::COUNTERS[2],
    table_pmu::COUNTERS[3],
    table_pmu::COUNTERS[4],
    table_pmu::COUNTERS[5],
    table_impdef::ROWS,
    table_insn::ROWS,
    table_insn::TLBI,
    table_insn::TLBI_NXS,
    table_gic::ROWS,
];

/// What an encoding stands for.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The encoding's own row: says who may access it and what traps.
    pub(super) row: &'static Row,
    /// The row whose register is accessed instead at EL2 with E2H, and in the EL0 of a host.
    pub(super) host: Option<&'static Row>,
}

struct Table {
    rows: Vec<Row>,
    /// Index into `rows` of each of the 65536 encodings, and of what it means in a host; `NONE` if there is none.
    index: Vec<(u16, u16)>,
    /// The writable bits of the registers of fine-grained traps.
    trap_bits: Vec<(Reg, Vec<(Feat, u64)>)>,
}

/// The writable bits of a register of fine-grained traps.
pub(super) fn trap_bits(register: Reg) -> &'static [(Feat, u64)] {
    table().trap_bits.iter().find(|(of, _)| *of == register).map_or(&[], |(_, bits)| bits)
}

const NONE: u16 = u16::MAX;

/// The row of a `_EL12` or `_EL02` name: EL1's register, for EL2 with E2H.
fn moved_row(original: &Row) -> Option<Row> {
    let name = original.moved?.name;
    let (op0, _, crn, crm, op2) = original.enc.parts();
    let enc = SysEnc::new(op0.into(), 5, crn.into(), crm.into(), op2.into());
    let feat = if original.feat == Feat::Base { Feat::Vhe } else { original.feat };
    let row = Row { name, enc, feat, traps: &[], fine: None, nv2: None, moved: None, ..*original };
    Some(Row { only_e2h: true, ..row.el2(Perm::RW) })
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut rows: Vec<Row> = WRITTEN.concat();
        let moved: Vec<Row> = rows.iter().filter_map(moved_row).collect();
        rows.extend(moved);
        let mut index = vec![(NONE, NONE); 1 << 16];
        for (i, row) in rows.iter().enumerate() {
            index[usize::from(row.enc.0)].0 = i as u16;
        }
        for (row, moved) in rows.iter().filter_map(|row| Some((row, row.moved?))) {
            index[usize::from(row.enc.0)].1 = index[usize::from(moved.host.0)].0;
        }
        let trap_bits = rows.iter().filter_map(|row| match row.cell {
            Cell::TrapBits(register) => Some((register, fine::bits_of(register, &rows))),
            _ => None,
        });
        let trap_bits = trap_bits.collect();
        Table { rows, index, trap_bits }
    })
}

/// Every row, for reset, the debugger and documentation.
#[must_use]
pub fn rows() -> &'static [Row] {
    &table().rows
}

/// The row of an encoding, if there is a register or an instruction.
#[must_use]
pub fn row(enc: SysEnc) -> Option<&'static Row> {
    find(enc).map(|entry| entry.row)
}

/// What an encoding stands for, if anything.
pub(super) fn find(enc: SysEnc) -> Option<Entry> {
    let t = table();
    let (row, host) = t.index[usize::from(enc.0)];
    if let Some(row) = t.rows.get(usize::from(row)) {
        return Some(Entry { row, host: t.rows.get(usize::from(host)) });
    }
    let (op0, op1, crn, crm, _) = enc.parts();
    static RESERVED: Row = table_id::RESERVED;
    (op0 == 3 && op1 == 0 && crn == 0 && (1..8).contains(&crm))
        .then_some(Entry { row: &RESERVED, host: None })
}
