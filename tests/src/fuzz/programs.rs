//! Programs for a PE: garbage instructions, garbage control registers, garbage tables.
//!
//! | offset in RAM | contents |
//! |---|---|
//! | 0 | entry: a branch to the prologue |
//! | [`EL2_VECTORS`], [`EL1_VECTORS`] | handlers that go on behind the instruction |
//! | [`PROLOGUE`] | writes system registers and general registers, and returns to the body |
//! | [`DATA`] | what the prologue writes |
//! | [`BODY`] | the input's instructions |
//! | [`TABLES`] | translation tables |

use emu_a64::decode::{TABLES as ENCODINGS, table_ldst};
use emu_pe::model::Model;
use emu_pe::sysreg::{Row, rows};
use firmware::guest_tests::layout::RAM;
use firmware::guest_tests::registers::{self as r, SysReg};

use super::pe::{self, PLACES, Pe};
use super::source::Source;
use crate::machine::Execution;

const EL2_VECTORS: u64 = 0x800;
const EL1_VECTORS: u64 = 0x1000;
const PROLOGUE: u64 = 0x2000;
const DATA: u64 = 0x3000;
const BODY: u64 = 0x4000;
const TABLES: u64 = 0x8000;
/// Most instructions of a body.
const MAX_BODY: usize = 1024;
/// Turns of a run: exceptions, changes of context, and sleeps are one each.
const TURNS: usize = 400;

/// MSR, before the register and Rt.
const MSR: u32 = 0xd500_0000;
const MRS: u32 = 0xd520_0000;
const ERET: u32 = 0xd69f_03e0;

fn msr(field: u32, rt: u32) -> u32 {
    MSR | field | rt
}

/// The memory of a program while it is put together.
struct Image(Vec<u8>);

impl Image {
    fn word(&mut self, at: u64, word: u32) {
        self.0[at as usize..at as usize + 4].copy_from_slice(&word.to_le_bytes());
    }
    fn double(&mut self, at: u64, value: u64) {
        self.0[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
    }
    fn words(&mut self, at: u64, words: &[u32]) {
        words.iter().zip(0..).for_each(|(w, i)| self.word(at + 4 * i, *w));
    }

    fn new() -> Self {
        let mut image = Self(vec![0; 0x2_0000]);
        image.word(0, 0x1400_0000 | (PROLOGUE / 4) as u32);
        for (base, elr, scratch) in
            [(EL2_VECTORS, r::ELR_EL2, r::TPIDR_EL2), (EL1_VECTORS, r::ELR_EL1, r::TPIDR_EL1)]
        {
            // Keep X0, add 4 to ELR, X0 again, return.
            let handler = [
                msr(scratch.field(), 0),
                MRS | elr.field(),
                0x9100_1000,
                msr(elr.field(), 0),
                MRS | scratch.field(),
                ERET,
            ];
            (0..16).for_each(|vector| image.words(base + 0x80 * vector, &handler));
        }
        image
    }

    /// The prologue: `registers` get their values in this order, then X0 to X30, then ERET.
    fn prologue(&mut self, registers: &[(u32, u64)], general: &[u64; 32]) {
        // ADR X1, DATA.
        let distance = (DATA - PROLOGUE) as u32;
        self.word(PROLOGUE, 0x1000_0001 | (distance & 3) << 29 | (distance >> 2) << 5);
        let (mut code, mut data) = (PROLOGUE + 4, DATA);
        for (field, value) in registers {
            // LDR X0, [X1], 8.
            self.words(code, &[0xf840_8420, msr(*field, 0)]);
            self.double(data, *value);
            code += 8;
            data += 8;
        }
        for (i, value) in (0..).zip(general) {
            self.double(data + 8 * i, *value);
        }
        for pair in 1..15_u32 {
            // LDP X(2n), X(2n+1), [X1, 16n].
            self.word(code, 0xa940_0020 | (2 * pair) << 15 | (2 * pair + 1) << 10 | (2 * pair));
            code += 4;
        }
        // LDR X30, [X1, 240]; LDP X0, X1, [X1]; ISB; ERET.
        self.words(code, &[0xf940_783e, 0xa940_0420, 0xd503_3fdf, ERET]);
    }
}

const EXECUTIONS: [Execution; 3] = [Execution::Interpreted, Execution::HostCode, Execution::Lockstep];

const MODELS: [fn() -> Model; 3] = [Model::cortex_a72, Model::neoverse_n1, Model::max];

/// A word of the kind that does something.
fn instruction(s: &mut Source, rows: &[Row]) -> u32 {
    let from = |s: &mut Source, table: &[emu_a64::decode::EncodingRow]| {
        let row = s.pick(table);
        row.value | s.u32() & !row.mask
    };
    match s.u8() % 16 {
        0 => s.u32(),
        1..4 => {
            // MSR, MRS or SYS of what there is.
            let row = &rows[s.below(rows.len() as u64) as usize];
            let read = u32::from(s.u8() & 1) << 21;
            MSR | read | u32::from(row.enc.0) << 5 | s.u32() & 31
        }
        4..8 => from(s, table_ldst::ROWS),
        8 => {
            // A near branch: B.cond, CBZ, TBZ, B.
            let distance = (s.u32() & 0x1f).wrapping_sub(8);
            let rt = s.u32() & 31;
            match s.u8() % 4 {
                0 => 0x5400_0000 | (distance & 0x7_ffff) << 5 | rt & 15,
                1 => 0xb400_0000 | (distance & 0x7_ffff) << 5 | rt,
                2 => 0x3600_0000 | (distance & 0x3fff) << 5 | rt,
                _ => 0x1400_0000 | distance & 0x3ff_ffff,
            }
        }
        _ => {
            let table = s.pick(ENCODINGS);
            from(s, table)
        }
    }
}

/// The general registers: addresses, and numbers of all kinds.
fn general(s: &mut Source) -> [u64; 32] {
    std::array::from_fn(|_| if s.one_in(3) { s.value() } else { s.address(PLACES) })
}

/// Where and how the body is entered: SPSR_EL2.
fn spsr(s: &mut Source) -> u64 {
    let mode = s.pick(&[0, 4, 5, 5, 8, 9, 9]);
    mode | u64::from(s.u8() & 15) << 6 | if s.one_in(8) { s.value() & 0xf3f0_0c00 } else { 0 }
}

/// Tables of 39 bits with 1 GiB blocks that map everything to itself; their attributes are the input's.
fn identity(image: &mut Image, at: u64, s: &mut Source, stage2: bool) {
    for entry in 0..512_u64 {
        let attributes = match (stage2, s.is_empty()) {
            // Normal memory, all accesses.
            (true, _) => 0xff,
            (false, true) => 3 << 8 | 1 << 10,
            (false, false) => 3 << 8 | 1 << 10 | u64::from(s.u8() & 3) << 6,
        };
        image.double(at + 8 * entry, entry << 30 | attributes | 1 << 10 | 3 << 8 | 1);
        if entry > 3 {
            break;
        }
    }
}

/// Values of the control registers under which the body's code is fetched by all levels.
fn sane(image: &mut Image, s: &mut Source) -> Vec<(u32, u64)> {
    let on = |s: &mut Source| u64::from(s.u8() & 1);
    let (s1, s2) = (TABLES, TABLES + 0x1000);
    identity(image, s1, s, false);
    identity(image, s2, s, true);
    // 39 bits, write-back, inner shareable; 40 bits of output.
    let tcr = 25 | 0x3500 | 1 << 23 | 2 << 32;
    let sctlr = 0x30d0_1804 | if s.one_in(4) { s.value() & 0x0402_0c9a } else { 0 };
    let hcr = 1 << 31 | on(s) | if s.one_in(3) { s.value() & !(1 << 27 | 1 << 34) } else { 0 };
    let regs = [
        (r::MAIR_EL1, 0x44_00_ff),
        (r::MAIR_EL2, 0x44_00_ff),
        (r::TCR_EL1, tcr),
        (r::TTBR0_EL1, RAM + s1),
        (r::SCTLR_EL1, sctlr | on(s)),
        (r::TCR_EL2, 25 | 0x3500 | 2 << 16 | 1 << 31 | 1 << 23),
        (r::TTBR0_EL2, RAM + s1),
        (r::VTCR_EL2, 25 | 0x3500 | 1 << 6 | 2 << 16),
        (r::VTTBR_EL2, RAM + s2),
        (r::SCTLR_EL2, 0x30c5_0830 | on(s)),
        (r::HCR_EL2, hcr),
        (r::CPACR_EL1, 3 << 20),
        (r::CPTR_EL2, if s.one_in(8) { s.value() } else { 0x33ff }),
        (r::CNTHCTL_EL2, s.u8().into()),
        (r::MDCR_EL2, if s.one_in(8) { s.value() } else { 0 }),
        (r::MDSCR_EL1, if s.one_in(8) { s.value() } else { 0 }),
    ];
    regs.map(|(reg, value)| (reg.field(), value)).to_vec()
}

fn place(s: &mut Source, image: &mut Image, registers: Vec<(u32, u64)>, body: &[u32]) {
    let mut all = vec![(r::VBAR_EL2.field(), RAM + EL2_VECTORS), (r::VBAR_EL1.field(), RAM + EL1_VECTORS)];
    all.extend(registers);
    all.extend([(r::SPSR_EL2.field(), spsr(s)), (r::ELR_EL2.field(), RAM + BODY)]);
    let general = general(s);
    all.extend([(r::SP_EL0.field(), general[31]), (r::SP_EL1.field(), general[30])]);
    image.prologue(&all, &general);
    image.words(BODY, body);
}

fn execute(pe: &mut Pe, image: &Image) {
    pe.load(&image.0);
    pe.run(TURNS);
    if let Some(report) = pe.vcpu.take_difference() {
        panic!("{report}");
    }
    let cpu = &pe.vcpu.cpu;
    assert!(cpu.identity.levels().contains(cpu.pstate.el), "{}", cpu.pstate.el);
    assert!(cpu.pstate.el.is_privileged() || !cpu.pstate.sp_sel, "EL0 with SP_ELx");
    // A snapshot takes the state, whatever it is.
    let saved = pe.vcpu.cpu.save();
    pe.vcpu.cpu.restore(saved).expect("a state that was just saved");
}

/// Garbage instructions.
pub(super) fn instructions(data: &[u8]) {
    let s = &mut Source::new(data);
    pe::with(s.pick(&MODELS), s.pick(&EXECUTIONS), |pe| {
        let mut image = Image::new();
        let registers = sane(&mut image, s);
        let mut body = Vec::new();
        place(s, &mut image, registers, &[]);
        while body.len() < MAX_BODY && !s.is_empty() {
            body.push(instruction(s, rows()));
        }
        image.words(BODY, &body);
        execute(pe, &image);
    });
}

/// Registers that control translation, and what else EL2 decides.
const CONTROLS: &[SysReg] = &[
    r::SCTLR_EL1,
    r::TCR_EL1,
    r::TTBR0_EL1,
    r::TTBR1_EL1,
    r::MAIR_EL1,
    r::HCR_EL2,
    r::VTCR_EL2,
    r::VTTBR_EL2,
    r::TCR_EL2,
    r::TTBR0_EL2,
    r::TTBR1_EL2,
    r::CPTR_EL2,
    r::CNTHCTL_EL2,
    r::ICH_HCR_EL2,
    r::ICH_VMCR_EL2,
    r::ICH_LR0_EL2,
    r::ICH_LR1_EL2,
    r::MDCR_EL2,
    r::CNTVOFF_EL2,
    r::CNTV_CVAL_EL0,
    r::CNTV_CTL_EL0,
    r::VBAR_EL1,
    r::SCTLR_EL2,
];

/// A descriptor: a table or leaf that leads into RAM, or anything.
fn descriptor(s: &mut Source) -> u64 {
    match s.u8() % 8 {
        0 => s.value(),
        1 => 0,
        n => {
            let next = RAM + TABLES + (s.below(8) << 12);
            let leaf = s.address(PLACES) & 0xffff_ffff_f000;
            let kind = if n & 1 == 0 { 1 } else { 3 };
            // AF, SH, AP, attributes; at times the upper ones.
            let low = u64::from(s.u16() & 0x3ff) << 2 | if s.one_in(4) { 0 } else { 1 << 10 };
            let high = if s.one_in(4) { u64::from(s.u16()) << 48 } else { 0 };
            (if n < 5 { next } else { leaf }) | low & 0xffc | high | kind
        }
    }
}

/// Instructions that translate: AT, TLBI, DC, loads and stores of all kinds.
fn translating(s: &mut Source) -> u32 {
    let rt = s.u32() & 31;
    match s.u8() % 8 {
        0 => {
            // Every AT, DC, IC and TLBI.
            let insns = rows().iter().filter(|row| row.enc.0 >> 14 == 1);
            let all: Vec<_> = insns.map(|row| u32::from(row.enc.0)).collect();
            MSR | s.pick(&all) << 5 | rt
        }
        1 => msr(s.pick(CONTROLS).field(), rt),
        2 => s.pick(&[0xd503_3fdf, 0xd503_3f9f, ERET, 0xd400_0001, 0xd400_0002, 0xd503_207f]),
        _ => {
            let row = s.pick(table_ldst::ROWS);
            row.value | s.u32() & !row.mask
        }
    }
}

/// Garbage control registers and tables, and accesses under them.
pub(super) fn regimes(data: &[u8]) {
    let s = &mut Source::new(data);
    pe::with(s.pick(&MODELS), s.pick(&EXECUTIONS), |pe| {
        let mut image = Image::new();
        let mut registers = sane(&mut image, s);
        for _ in 0..s.below(24) {
            let reg = s.pick(CONTROLS);
            // Bases that lead to the tables, with ASID or VMID, offsets and CnP.
            let table = (RAM + TABLES + (s.below(8) << 12)) | (u64::from(s.u8()) << 48);
            let value = if s.one_in(2) { s.value() } else { table };
            // What is already set is changed in a few bits.
            let old = registers.iter().rev().find(|(f, _)| *f == reg.field()).map(|(_, v)| *v);
            let value = match old {
                Some(old) if !s.one_in(4) => old ^ 1 << s.below(64) ^ 1 << s.below(48),
                _ => value,
            };
            registers.push((reg.field(), value));
        }
        for _ in 0..s.below(200) {
            let at = TABLES + (s.below(0x1000) & !7) + (s.below(8) << 12);
            let value = descriptor(s);
            image.double(at, value);
        }
        place(s, &mut image, registers, &[]);
        let mut body = Vec::new();
        while body.len() < MAX_BODY && !s.is_empty() {
            body.push(translating(s));
        }
        image.words(BODY, &body);
        execute(pe, &image);
    });
}
