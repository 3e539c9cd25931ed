//! Random programs that get somewhere.
//!
//! Words are taken from the table of encodings and made tame: they write X0 to X15 and any vector register, and access
//! memory through X19 to X24, which hold addresses of pages with all kinds of permissions. What is left, X16, X17, X25 to
//! X30 and SP, belongs to the structure around them: loops, calls, computed branches, changes of Exception level, of
//! code, of translation tables.

use emu_a64::decode::{EncodingRow, table_fp, table_int, table_ldst, table_pauth, table_simd};
use emu_a64::features::FeatureSet;
use emu_a64::ir::{ExcOp, Term};
use emu_a64::level::El;
use emu_a64::lower::translate;
use emu_a64::mode::Mode;
use emu_pe::sysreg::implementation;
use firmware::guest_tests::layout::RAM;
use firmware::guest_tests::registers as r;

use super::image::{
    BODY, BODY_SIZE, CONSTANTS, DATA, DATA_PAGES, Image, LEAVES, PATCHED, PATCHED_PAGES, STACKS, leaf,
};
use super::words as w;
use crate::fuzz::Random;

/// Base registers.
const BASES: (u32, u64) = (19, 6);
/// Holds a small number.
const INDEX: u32 = 18;
const COUNTER: u32 = 27;
const CONSTANT: u32 = 25;
/// Functions of a program.
const FUNCTIONS: u64 = 6;
/// Functions that are changed, and their words.
const PATCHES: u64 = 16;
const PATCH: u64 = 28;
/// Offsets in [`CONSTANTS`].
const POINTERS: u64 = 0;
const GENERAL: u64 = 0x100;
const VECTORS: u64 = 0x200;

/// A program while it is put together.
struct Program<'a> {
    random: &'a mut Random,
    features: FeatureSet,
    code: Vec<u32>,
    /// Where functions begin.
    functions: Vec<u64>,
    in_loop: bool,
}

/// Puts a program and its constants into an image.
pub(super) fn place(image: &mut Image, random: &mut Random, features: FeatureSet) {
    for n in 0..PATCHES {
        let at = patch_at(n);
        for i in 0..PATCH - 1 {
            let word = changed(i, random, features);
            image.word(at + 4 * i, word);
        }
        image.word(at + 4 * (PATCH - 1), w::RET);
    }
    let mut p = Program { random, features, code: Vec::new(), functions: Vec::new(), in_loop: false };
    p.restart();
    let main = p.code.len();
    let calls: Vec<usize> = (0..1 + p.random.below(2 * FUNCTIONS))
        .map(|_| {
            let at = p.code.len();
            p.code.push(w::NOP);
            p.items(3, 1);
            at
        })
        .collect();
    p.code.push(w::b((main as i64 - p.code.len() as i64) * 4));
    // The last function first: functions call those that are there already.
    for _ in 0..FUNCTIONS {
        p.function();
    }
    for at in calls {
        let target = p.function_at();
        p.code[at] = w::bl((target as i64 - at as i64) * 4);
    }
    p.code.truncate(BODY_SIZE as usize / 4);
    let Program { code, functions, .. } = p;
    image.words(BODY, &code);
    constants(image, random, &functions);
}

/// A word of a function that is changed, `i` words from its start: at times a branch further down in it, so that blocks
/// of one page lead to each other.
fn changed(i: u64, random: &mut Random, features: FeatureSet) -> u32 {
    if random.below(6) != 0 {
        return straight(random, features);
    }
    let distance = 4 * (1 + random.below(8)).min(PATCH - 1 - i) as i64;
    match random.below(3) {
        0 => w::cbz(random.below(16) as u32, distance),
        1 => w::b(distance),
        _ => w::b_cond(random.below(14) as u32, distance),
    }
}

/// Offset of the function number `n` that is changed; they are spread over their pages.
fn patch_at(n: u64) -> u64 {
    PATCHED + n % PATCHED_PAGES * 0x1000 + n / PATCHED_PAGES * 0x80
}

fn constants(image: &mut Image, random: &mut Random, functions: &[u64]) {
    for n in 0..16_u64 {
        let target = functions[n as usize % functions.len()];
        image.double(CONSTANTS + POINTERS + 8 * n, RAM + BODY + 4 * target);
    }
    for n in 0..16 {
        image.double(CONSTANTS + GENERAL + 8 * n, value(random));
    }
    for n in 0..BASES.1 {
        let base = RAM + DATA + 0x1000 * random.below(DATA_PAGES);
        let base = match random.below(8) {
            // Across the end of a page, unaligned, another address of all kinds.
            0 => base + 0xff0 + random.below(16),
            1 if random.below(3) == 0 => base + random.below(0x1000),
            2 => (RAM + PATCHED + random.below(0x1000)) & !15,
            3 if random.below(4) == 0 => value(random),
            _ => base + (random.below(0xf00) & !15),
        };
        image.double(CONSTANTS + GENERAL + 0x80 + 8 * n, base);
    }
    image.double(CONSTANTS + GENERAL + 0x80 + 8 * BASES.1, random.below(0x100) & !7);
    for n in 0..32 {
        image.double(CONSTANTS + VECTORS + 16 * n, number(random));
        image.double(CONSTANTS + VECTORS + 16 * n + 8, number(random));
    }
}

/// An integer.
fn value(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => random.below(16),
        1 => u64::MAX - random.below(16),
        2 => 1 << random.below(64),
        3 => (1 << random.below(64)) - 1,
        _ => random.next(),
    }
}

/// Bits of floating-point numbers, of all sizes and kinds.
fn number(random: &mut Random) -> u64 {
    const DOUBLES: [u64; 8] = [
        0,
        1 << 63,
        0x3ff0_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0x7ff8_0000_0000_0000,
        0xfff4_0000_0000_0001,
        1,
        0x7fef_ffff_ffff_ffff,
    ];
    const SINGLES: [u64; 8] =
        [0, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 0xffa0_0001, 1, 0x7f7f_ffff];
    match random.below(5) {
        0 => DOUBLES[random.below(8) as usize],
        1 => SINGLES[random.below(8) as usize] | SINGLES[random.below(8) as usize] << 32,
        2 => (random.next() as i32 as f64).to_bits(),
        3 => u64::from((random.next() as i16 as f32).to_bits()) * 0x1_0000_0001,
        _ => random.next(),
    }
}

fn from(random: &mut Random, rows: &[EncodingRow]) -> u32 {
    let row = &rows[random.below(rows.len() as u64) as usize];
    row.value | random.next() as u32 & !row.mask
}

/// Instructions without memory and without branches.
fn calculation(random: &mut Random) -> u32 {
    let rows = match random.below(16) {
        0..7 => table_int::ROWS,
        7..10 => table_fp::ROWS,
        10..15 => table_simd::ROWS,
        _ => table_pauth::ROWS,
    };
    let word = from(random, rows);
    // Branches, exceptions and system instructions have 101 in bits 28:26, loads x1x0 in 28:25.
    if word >> 26 & 7 == 5 || word >> 25 & 5 == 4 {
        return w::NOP;
    }
    word & !0x10
}

/// A load, store, atomic or exclusive.
fn access(random: &mut Random) -> u32 {
    let word = from(random, table_ldst::ROWS);
    let vector = word >> 26 & 1 != 0;
    let class = word >> 27 & 7;
    let base = BASES.0 + random.below(BASES.1) as u32;
    let field = |word: u32, at: u32, value: u32| word & !(31 << at) | value << at;
    let mut word = field(word, 5, base);
    if !vector {
        word &= !0x10;
    }
    match class {
        // Exclusives and compare-and-swap; structures of vectors.
        1 if !vector => word & !(1 << 20 | 1 << 14),
        1 => field(word, 16, if random.below(4) == 0 { INDEX } else { 31 }),
        // Literals: near ones.
        3 if word >> 24 & 3 == 0 => word & !(31 << 5) & !0x00ff_ff00 | (random.next() as u32 & 0x3f) << 5,
        // Pairs.
        5 if !vector => word & !(1 << 14),
        7 if word >> 24 & 1 == 0 && word >> 21 & 1 != 0 => match word >> 10 & 3 {
            2 => field(word, 16, INDEX),
            _ => word & !(1 << 20),
        },
        _ => word,
    }
}

/// An instruction that does something on this CPU, but for one in some hundred.
fn straight(random: &mut Random, features: FeatureSet) -> u32 {
    let mut word = w::NOP;
    for _ in 0..8 {
        word = if random.below(3) == 0 { access(random) } else { calculation(random) };
        let block = translate(|rel| (rel == 0).then_some(word), implementation(features), MODE, 1);
        if !matches!(block.term, Term::Exception(ExcOp::Undefined)) {
            break;
        }
    }
    word
}

/// What decides whether an instruction is there.
const MODE: Mode = Mode {
    el: El::El1,
    fp_enabled: true,
    fp_plain: true,
    guarded: false,
    btype: 0,
    mops: false,
    strict: false,
    aligned: false,
    counts_accesses: false,
};

impl Program<'_> {
    fn words(&mut self, words: &[u32]) {
        self.code.extend_from_slice(words);
    }

    /// A constant in a register.
    fn set(&mut self, rd: u32, value: u64) {
        let words = w::constant(rd, value);
        self.words(&words);
    }

    fn reload_bases(&mut self) {
        for n in 0..=BASES.1 as u32 {
            let rd = if u64::from(n) == BASES.1 { INDEX } else { BASES.0 + n };
            self.code.push(w::ldr(rd, CONSTANT, GENERAL + 0x80 + 8 * u64::from(n)));
        }
    }

    /// Where programs begin, and begin again: at any Exception level.
    fn restart(&mut self) {
        // EL0 cannot read CurrentEL: the handler goes on behind the instruction.
        self.words(&[w::movz(16, 0, 0), w::mrs(r::CURRENT_EL, 16)]);
        self.set(17, RAM + STACKS + 0x1000);
        // ADD X17, X17, X16, LSL 10; MOV SP, X17.
        self.words(&[0x8b10_2a31, 0x9100_023f]);
        self.set(CONSTANT, RAM + CONSTANTS);
        for n in 0..16 {
            self.code.push(w::ldr(n, CONSTANT, GENERAL + 8 * u64::from(n)));
        }
        for n in 0..32 {
            self.code.push(w::ldr_q(n, CONSTANT, VECTORS + 16 * u64::from(n)));
        }
        self.reload_bases();
    }

    fn function(&mut self) {
        self.functions.push(self.code.len() as u64);
        // STP X27, X30, [SP, -16]!
        self.code.push(0xa9bf_7bfb);
        if self.random.below(2) == 0 {
            self.reload_bases();
        }
        let n = 4 + self.random.below(24);
        self.items(n, 3);
        // LDP X27, X30, [SP], 16.
        self.words(&[0xa8c1_7bfb, w::RET]);
    }

    /// A function that is there, as an index into the code.
    fn function_at(&mut self) -> u64 {
        self.functions[self.random.below(self.functions.len() as u64) as usize]
    }

    fn items(&mut self, n: u64, depth: u32) {
        for _ in 0..n {
            self.item(depth);
        }
    }

    fn item(&mut self, depth: u32) {
        match self.random.below(64) {
            0..36 => {
                let word = straight(self.random, self.features);
                self.code.push(word);
            }
            36..40 if depth > 0 => self.skip(depth - 1),
            40..44 if depth > 0 && !self.in_loop => self.repeat(depth - 1),
            44..47 if !self.functions.is_empty() => self.call(),
            47 => self.computed_branch(),
            48..50 => self.patch(),
            50..52 => {
                let imm = self.random.below(4) as u32;
                let kind = [0xd400_0001, 0xd400_0002, 0xd420_0000, 0][self.random.below(4) as usize];
                self.code.push(kind | imm << 5);
            }
            52 => self.change_level(),
            53 => self.exclusive(),
            54 => self.small_loop(),
            55 => {
                let word = if self.random.below(3) == 0 { 0xd503_40df } else { 0xd503_40ff };
                self.code.push(word | (self.random.below(16) as u32) << 8);
            }
            56 => {
                let intid = self.random.below(16);
                self.set(16, intid << 24 | 1);
                self.code.push(w::msr(r::ICC_SGI1R_EL1, 16));
            }
            57 => self.change_page(),
            58 => {
                let barriers =
                    [w::ISB, w::DSB, 0xd503_3bbf, 0xd503_39bf, 0xd503_3abf, 0xd503_309f, 0xd503_203f];
                let word = barriers[self.random.below(barriers.len() as u64) as usize];
                self.code.push(word);
            }
            59 => self.maintenance(),
            _ => self.register(),
        }
    }

    /// Items that are executed or not.
    fn skip(&mut self, depth: u32) {
        let at = self.code.len();
        self.code.push(0);
        let n = 1 + self.random.below(4);
        self.items(n, depth);
        let distance = (self.code.len() - at) as i64 * 4;
        let rt = self.random.below(16) as u32;
        self.code[at] = match self.random.below(4) {
            0 => w::cbz(rt, distance),
            1 => w::cbnz(rt, distance),
            2 => w::tbz(rt, self.random.below(64) as u32, distance),
            _ => w::b_cond(self.random.below(14) as u32, distance),
        };
    }

    fn repeat(&mut self, depth: u32) {
        let most = if self.random.below(4) == 0 { 300 } else { 24 };
        let rounds = 1 + self.random.below(most);
        self.code.push(w::movz(COUNTER, rounds, 0));
        let top = self.code.len();
        self.in_loop = true;
        let n = 1 + self.random.below(8);
        self.items(n, depth);
        self.in_loop = false;
        // SUB X27, X27, 1.
        self.code.push(0xd100_077b);
        self.code.push(w::cbnz(COUNTER, (top as i64 - self.code.len() as i64) * 4));
    }

    /// A loop of one or two blocks without anything in it that ends a block: the kind that is compiled as a loop.
    fn small_loop(&mut self) {
        if self.in_loop {
            return;
        }
        self.code.push(w::movz(COUNTER, 8 + self.random.below(120), 0));
        let top = self.code.len();
        for _ in 0..1 + self.random.below(10) {
            let word = straight(self.random, self.features);
            self.code.push(word);
            if self.random.below(6) == 0 {
                // Over one instruction.
                let cond = self.random.below(14) as u32;
                let word = calculation(self.random);
                self.words(&[w::b_cond(cond, 8), word]);
            }
        }
        // SUBS X27, X27, 1; B.NE top.
        self.code.push(0xf100_077b);
        self.code.push(w::b_cond(1, (top as i64 - self.code.len() as i64) * 4));
    }

    fn call(&mut self) {
        if self.random.below(2) == 0 {
            let distance = self.function_at() as i64 - self.code.len() as i64;
            // Nothing calls a function that is being written: all calls end.
            self.code.push(w::bl(distance * 4));
        } else {
            let last = self.functions.len() as u64 - 1;
            let n = self.random.below(last.max(1));
            self.words(&[w::ldr(16, CONSTANT, POINTERS + 8 * n), w::blr(16)]);
        }
    }

    /// To one of four instructions.
    fn computed_branch(&mut self) {
        let by = self.random.below(16) as u32;
        // AND W16, Wn, 3; ADR X17, first; ADD X17, X17, X16, LSL 2; BR X17.
        self.words(&[0x1200_0410 | by << 5, w::adr(17, 12), 0x8b10_0a31, w::br(17)]);
        for _ in 0..4 {
            let word = calculation(self.random);
            self.code.push(word);
        }
    }

    /// Changes a function and calls it, with or without what the architecture asks for in between.
    fn patch(&mut self) {
        let at = patch_at(self.random.below(PATCHES));
        let i = self.random.below(PATCH - 1);
        let word = changed(i, self.random, self.features);
        self.set(16, word.into());
        self.set(17, RAM + at + 4 * i);
        // STR W16, [X17].
        self.code.push(0xb900_0230);
        if self.random.below(3) != 0 {
            // DC CVAU, X17; IC IVAU, X17.
            self.words(&[0xd50b_7b31, w::DSB, 0xd50b_7531, w::DSB, w::ISB]);
        }
        // Several times, so that some of its blocks are compiled before others are run at all.
        let times = if self.random.below(2) == 0 { 1 } else { 1 + self.random.below(8) };
        for _ in 0..times {
            self.set(17, RAM + at);
            self.code.push(w::blr(17));
            let word = calculation(self.random);
            self.code.push(word);
        }
    }

    fn change_level(&mut self) {
        let mode = [0, 4, 5, 5][self.random.below(4) as usize];
        let masks = if self.random.below(4) == 0 { self.random.below(16) << 6 } else { 0 };
        let flags = self.random.below(16) << 28;
        self.set(16, mode | masks | flags);
        // MRS X17, CurrentEL, which EL0 cannot; CBZ X17, end; TBNZ X17, 3, at EL2.
        let start = self.code.len();
        self.words(&[w::movz(17, 0, 0), w::mrs(r::CURRENT_EL, 17), 0, 0]);
        self.words(&[w::msr(r::SPSR_EL1, 16), 0, w::msr(r::ELR_EL1, 17), w::ERET]);
        let two = self.code.len();
        self.words(&[w::msr(r::SPSR_EL2, 16), 0, w::msr(r::ELR_EL2, 17), w::ERET]);
        let end = self.code.len();
        let distance = |from: usize, to: usize| (to as i64 - from as i64) * 4;
        self.code[start + 2] = w::cbz(17, distance(start + 2, end));
        self.code[start + 3] = w::tbz(17, 3, distance(start + 3, two)) | 1 << 24;
        self.code[start + 5] = w::adr(17, distance(start + 5, end));
        self.code[two + 1] = w::adr(17, distance(two + 1, end));
    }

    fn exclusive(&mut self) {
        let base = BASES.0 + self.random.below(BASES.1) as u32;
        let word = calculation(self.random);
        // LDXR X2, [base]; something; STXR W3, X2, [base]; CBNZ W3, back.
        self.words(&[0xc85f_7c02 | base << 5, word, 0xc803_7c02 | base << 5, w::cbnz(3, -12) & !(1 << 31)]);
    }

    /// Another leaf for a page of data.
    fn change_page(&mut self) {
        let n = self.random.below(DATA_PAGES);
        let entry = leaf(n, self.random);
        self.set(16, entry);
        self.set(17, RAM + LEAVES + 8 * (((DATA) >> 12) + n));
        // STR X16, [X17].
        self.code.push(0xf900_0230);
        if self.random.below(8) != 0 {
            self.set(17, (RAM + DATA + 0x1000 * n) >> 12);
            // TLBI VAAE1, X17.
            self.words(&[w::DSB, 0xd508_8771, w::DSB, w::ISB]);
        }
    }

    fn maintenance(&mut self) {
        let base = BASES.0 + self.random.below(BASES.1) as u32;
        let insns =
            [0xd50b_7420, 0xd50b_7420, 0xd50b_7a20, 0xd50b_7e20, 0xd508_7800, 0xd508_871f, 0xf980_0000];
        let insn = insns[self.random.below(insns.len() as u64) as usize];
        let rt = match insn {
            0xd508_871f => 0,
            0xf980_0000 => base << 5,
            _ => base,
        };
        self.code.push(insn & !if rt == base { 31 } else { 0 } | rt);
    }

    fn register(&mut self) {
        let (rt, to) = (self.random.below(16) as u32, self.random.below(2) == 0);
        let word = match self.random.below(12) {
            0 => {
                // Modes of rounding, FZ, DN and AHP; traps are not there.
                let mode = self.random.next() & 0x07c0_0000;
                self.set(16, mode);
                w::msr(r::FPCR, 16)
            }
            1 => w::msr(r::FPCR, 31),
            2 if to => w::msr(r::FPSR, rt),
            2 => w::mrs(r::FPSR, rt),
            3 if to => w::msr(r::NZCV, rt),
            3 => w::mrs(r::NZCV, rt),
            4 if to => w::msr(r::TPIDR_EL0, rt),
            4 => w::mrs(r::TPIDR_EL0, rt),
            5 => w::mrs(r::CNTVCT_EL0, rt),
            6 => w::mrs([r::ESR_EL1, r::FAR_EL1, r::SPSR_EL1, r::DAIF][self.random.below(4) as usize], rt),
            7 => w::msr(r::SPSEL, 31),
            8 => {
                // MSR SPSel, imm; MSR PAN, imm; MSR DIT, imm; MSR UAO, imm.
                let fields = [0xd500_40bf, 0xd500_409f, 0xd503_405f, 0xd500_407f];
                fields[self.random.below(4) as usize] | (self.random.below(2) as u32) << 8
            }
            9 => {
                let ticks = self.random.below(3000);
                self.set(16, ticks);
                w::msr(r::CNTV_TVAL_EL0, 16)
            }
            10 => w::msr(r::TPIDR_EL1, rt),
            _ => {
                self.reload_bases();
                return;
            }
        };
        self.code.push(word);
    }
}
