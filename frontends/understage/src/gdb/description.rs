//! The target description: which registers there are, as XML, made from the same table that MRS and MSR ask.

use std::fmt::Write;

use emu_pe::cpu::Cpu;
use emu_pe::sysreg::rows;

use super::registers::FIRST_SYSTEM;

/// Views of a vector register: name of the element's field, its type, elements, name of the group.
const VIEWS: [(&str, &str, u32, char); 14] = [
    ("f", "ieee_double", 2, 'd'),
    ("u", "uint64", 2, 'd'),
    ("s", "int64", 2, 'd'),
    ("f", "ieee_single", 4, 's'),
    ("u", "uint32", 4, 's'),
    ("s", "int32", 4, 's'),
    ("f", "ieee_half", 8, 'h'),
    ("u", "uint16", 8, 'h'),
    ("s", "int16", 8, 'h'),
    ("u", "uint8", 16, 'b'),
    ("s", "int8", 16, 'b'),
    ("u", "uint128", 1, 'q'),
    ("s", "int128", 1, 'q'),
    ("f", "bfloat16", 8, 'z'),
];

/// The description of a CPU.
#[must_use]
pub fn xml(cpu: &Cpu) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n\
         <architecture>aarch64</architecture>\n",
    );
    core(&mut out);
    fpu(&mut out);
    system(&mut out, cpu);
    out.push_str("</target>\n");
    out
}

fn register(out: &mut String, name: &str, bits: u32, kind: &str, rest: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\"{rest}/>");
}

fn core(out: &mut String) {
    out.push_str("<feature name=\"org.gnu.gdb.aarch64.core\">\n");
    (0..31).for_each(|n| register(out, &format!("x{n}"), 64, "int", ""));
    register(out, "sp", 64, "data_ptr", "");
    register(out, "pc", 64, "code_ptr", "");
    register(out, "cpsr", 32, "uint32", "");
    out.push_str("</feature>\n");
}

fn fpu(out: &mut String) {
    out.push_str("<feature name=\"org.gnu.gdb.aarch64.fpu\">\n");
    for (field, kind, count, group) in VIEWS {
        let _ = writeln!(out, "<vector id=\"v{count}{group}{field}\" type=\"{kind}\" count=\"{count}\"/>");
    }
    let mut groups: Vec<char> = VIEWS.iter().map(|v| v.3).collect();
    groups.dedup();
    for group in &groups {
        let _ = writeln!(out, "<union id=\"vn{group}\">");
        for (field, _, count, _) in VIEWS.iter().filter(|v| v.3 == *group) {
            let _ = writeln!(out, "<field name=\"{field}\" type=\"v{count}{group}{field}\"/>");
        }
        out.push_str("</union>\n");
    }
    out.push_str("<union id=\"aarch64v\">\n");
    for group in &groups {
        let _ = writeln!(out, "<field name=\"{group}\" type=\"vn{group}\"/>");
    }
    out.push_str("</union>\n");
    (0..32).for_each(|n| register(out, &format!("v{n}"), 128, "aarch64v", ""));
    register(out, "fpsr", 32, "uint32", "");
    register(out, "fpcr", 32, "uint32", "");
    out.push_str("</feature>\n");
}

/// Every register that the CPU has, by its number in the table.
fn system(out: &mut String, cpu: &Cpu) {
    out.push_str("<feature name=\"org.understage.aarch64.system\">\n");
    for (n, row) in rows().iter().enumerate().filter(|(_, row)| cpu.lists(row)) {
        let rest = format!(" regnum=\"{}\" group=\"system\" save-restore=\"no\"", FIRST_SYSTEM + n);
        register(out, row.name, 64, "uint64", &rest);
    }
    out.push_str("</feature>\n");
}
