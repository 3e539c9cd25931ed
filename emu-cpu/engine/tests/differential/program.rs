//! Random programs: straight lines of all classes, whose memory accesses fall into the buffer and whose branches skip.

use emu_a64::features::{Feat, FeatureSet};
use emu_a64::ir::{ExcOp, Term};
use emu_a64::level::El;
use emu_a64::lower::translate;
use emu_a64::mode::Mode;
use emu_pe::sysreg::implementation;

use crate::random::Random;
use crate::rows::{Class, Row};
use crate::state::{BASES, BUFFER, BUFFER_SIZE, CODE, INDEX, START};

/// Instructions of a program at most, so that with its end it is one block of the interpreter.
const LONGEST: usize = 46;

/// A program.
pub(crate) struct Program {
    pub(crate) words: Vec<u32>,
}

/// A base register and where in the buffer it points.
#[derive(Clone, Copy)]
struct Base {
    reg: u32,
    at: i64,
}

struct Maker<'a> {
    r: Random,
    rows: &'a [Row],
    words: Vec<u32>,
    /// Where X26, X27 and SP point.
    bases: [i64; 3],
    /// Without branches and system instructions: the program is one block.
    straight: bool,
}

/// Makes program `n`: the short ones go through all rows in turn, the long ones mix them.
pub(crate) fn make(rows: &[Row], n: usize) -> Program {
    let mut m = Maker {
        r: Random::new(n as u64 ^ 0x5eed << 40),
        rows,
        words: Vec::new(),
        bases: START.map(|s| s as i64),
        straight: n % 4 == 1,
    };
    if n.is_multiple_of(2) {
        m.instruction(n / 2 % rows.len());
        let more = m.r.below(3);
        (0..more).for_each(|_| m.any());
    } else {
        let length = 10 + m.r.below(LONGEST - 16);
        while m.words.len() < length {
            m.any();
        }
    }
    // What a branch at the end skips.
    m.words.push(NOP);
    Program { words: m.words }
}

const NOP: u32 = 0xd503_201f;

/// True for words that end in UNDEFINED; the others are compared.
fn undefined(word: u32) -> bool {
    let mode = Mode { el: El::El2, fp_enabled: true, ..Mode::default() };
    translate(|rel| (rel == 0).then_some(word), implementation(FeatureSet::of(Feat::ALL)), mode, 1).term
        == Term::Exception(ExcOp::Undefined)
}

fn field(word: u32, lsb: u32) -> u32 {
    word >> lsb & 31
}

impl Maker<'_> {
    fn any(&mut self) {
        // Each class is as frequent as the others, but for the few rows of the last.
        let class = self.r.pick(if self.straight { &Class::ALL[..8] } else { &Class::ALL });
        let of_class: Vec<usize> = (0..self.rows.len()).filter(|&i| self.rows[i].class == class).collect();
        let i = self.r.below(of_class.len());
        self.instruction(of_class[i]);
    }

    /// Adds an instruction of a row, with what it needs before it.
    fn instruction(&mut self, row: usize) {
        let row = &self.rows[row];
        for _ in 0..64 {
            let word = row.value | self.r.next() as u32 & !row.mask;
            let done = match row.class {
                Class::Integer | Class::Vector => self.plain(row, word),
                Class::Memory => self.memory(row, word),
                Class::Branch => self.branch(row, word),
                Class::System => self.system(row, word),
            };
            if done {
                return;
            }
        }
    }

    /// A register that may be written: none of those that address, or that the runner needs.
    fn target(&mut self) -> u32 {
        let few = self.r.chance(60);
        match self.r.below(27) {
            // Few registers, so that instructions meet each other's results.
            n if few => n as u32 % 6,
            25 => 29,
            26 => 30,
            n => n as u32,
        }
    }

    /// As [`Self::target`], or 31.
    fn target_or_31(&mut self) -> u32 {
        if self.r.chance(4) { 31 } else { self.target() }
    }

    fn with(word: u32, lsb: u32, reg: u32) -> u32 {
        word & !(31 << lsb) | reg << lsb
    }

    /// Source registers near the registers that are written.
    fn sources(&mut self, row: &Row, mut word: u32) -> u32 {
        for lsb in [5, 16, 10] {
            if row.register(lsb) && self.r.chance(60) {
                let reg = self.r.below(6) as u32;
                word = Self::with(word, lsb, reg);
            }
        }
        word
    }

    /// An instruction that makes no access.
    fn plain(&mut self, row: &Row, word: u32) -> bool {
        let mut word = self.sources(row, word);
        if row.register(0) {
            // ADD and AND of immediates and extended registers write SP, which is one of the bases.
            let to = if row.may_write_sp() { self.target() } else { self.target_or_31() };
            word = Self::with(word, 0, to);
        }
        if undefined(word) {
            return false;
        }
        self.words.push(word);
        true
    }

    /// A base: one of the registers that keep pointing into the buffer, or one made for the purpose, which the access may
    /// overwrite. `aligned`: to 16 bytes.
    fn base(&mut self, aligned: bool, kept: bool) -> Base {
        let n = self.r.below(3);
        if kept || (self.r.chance(40) && !aligned) {
            return Base { reg: [BASES[0], BASES[1], 31][n], at: self.bases[n] };
        }
        let mut at = 128 + self.r.below(BUFFER_SIZE - 256) as i64;
        if aligned {
            at &= !15;
        }
        let reg = self.target();
        // ADD (immediate) or SUB from one of the bases.
        let (from, delta) = ([BASES[0], BASES[1], 31][n], at - self.bases[n]);
        let op = if delta < 0 { 0xd100_0000 } else { 0x9100_0000 };
        self.words.push(op | (delta.unsigned_abs() as u32) << 10 | from << 5 | reg);
        Base { reg, at }
    }

    /// A memory access, by the form of its address.
    fn memory(&mut self, row: &Row, word: u32) -> bool {
        let form = row.form();
        let before = self.words.len();
        let done = match form {
            "loadlit" => self.literal(row, word),
            "ldst_pos" | "ldst_unscaled" | "ldst_unpriv" | "ldapstl_unscaled" | "ldst_immpost"
            | "ldst_immpre" | "ldstpair_off" | "ldstpair_pre" | "ldstpair_post" | "ldstnapair_offs" => {
                self.immediate(row, word)
            }
            "ldst_regoff" => self.register_offset(row, word),
            "ldstexclr" | "ldstexclp" => self.exclusive(row, word),
            "ldstord" | "memop" | "comswap" | "comswappr" => self.ordered(row, word),
            _ if form.starts_with("asisdls") => self.structure(row, word),
            _ => panic!("{}: a form of address that the generator does not know", row.name),
        };
        if !done {
            self.words.truncate(before);
        }
        done
    }

    /// Rt, Rt2, Rs: general registers that may be written get a target.
    fn transferred(&mut self, row: &Row, mut word: u32, fields: &[u32]) -> u32 {
        for &lsb in fields {
            let reg = if row.fp { self.r.next() as u32 & 31 } else { self.target_or_31() };
            if row.register(lsb) {
                word = Self::with(word, lsb, reg);
            }
        }
        word
    }

    /// The size of a register in a load or store of one or two, as a power of two.
    fn scale(word: u32, pair: bool) -> u32 {
        let (size, vector) = (word >> 30, word >> 26 & 1 != 0);
        match (pair, vector) {
            (true, true) => 2 + size,
            (true, false) if size == 2 => 3,
            (true, false) => 2,
            (false, true) => size | (word >> 23 & 1) << 2,
            (false, false) => size,
        }
    }

    fn literal(&mut self, row: &Row, word: u32) -> bool {
        let here = CODE as i64 + 4 * self.words.len() as i64;
        let to = BUFFER as i64 + 4 * self.r.below(BUFFER_SIZE / 4 - 4) as i64;
        let imm19 = (to - here) >> 2;
        let word = self.transferred(row, word, &[0]) & !(0x7_ffff << 5) | (imm19 as u32 & 0x7_ffff) << 5;
        self.words.push(word);
        !undefined(word)
    }

    fn immediate(&mut self, row: &Row, word: u32) -> bool {
        let form = row.form();
        let pair = form.contains("pair");
        let writeback = ["ldst_immpost", "ldst_immpre", "ldstpair_pre", "ldstpair_post"].contains(&form);
        let scale = Self::scale(word, pair);
        if scale > 4 {
            return false;
        }
        let kept = writeback && self.r.chance(50);
        let base = self.base(false, kept);
        let (imm, lsb, width, offset) = if form == "ldst_pos" {
            let imm = self.r.below((256 >> scale).max(1)) as i64;
            (imm, 10, 12, imm << scale)
        } else if pair {
            let imm = self.r.below(128) as i64 - 64;
            (imm, 15, 7, imm << scale)
        } else {
            let imm = self.r.below(512) as i64 - 256;
            (imm, 12, 9, imm)
        };
        let first = if form.ends_with("post") { base.at } else { base.at + offset };
        let bytes = if pair { 2 } else { 1 } << scale;
        let inside = |at: i64| at >= 0 && at + bytes <= BUFFER_SIZE as i64;
        // Ordered accesses are aligned: without FEAT_LSE2 others fault.
        if form == "ldapstl_unscaled" && first & ((1 << scale) - 1) != 0 {
            return false;
        }
        if !inside(first) || writeback && !(64..BUFFER_SIZE as i64 - 64).contains(&(base.at + offset)) {
            return false;
        }
        let mut word = self.transferred(row, word, &[0]);
        if pair {
            word = self.transferred(row, word, &[10]);
        }
        word = Self::with(word, 5, base.reg);
        word = word & !(((1 << width) - 1) << lsb) | (imm as u32 & ((1 << width) - 1)) << lsb;
        let (rt, rt2) = (field(word, 0), field(word, 10));
        let load = word >> 22 & 1 != 0 || !pair && word >> 23 & 1 != 0;
        // CONSTRAINED UNPREDICTABLE: the base among the transferred registers, a pair of the same register.
        if writeback && !row.fp && base.reg != 31 && (rt == base.reg || pair && rt2 == base.reg)
            || pair && load && rt == rt2
            || undefined(word)
        {
            return false;
        }
        if writeback && let Some(n) = [BASES[0], BASES[1], 31].iter().position(|b| *b == base.reg) {
            self.bases[n] += offset;
        }
        self.words.push(word);
        true
    }

    fn register_offset(&mut self, row: &Row, word: u32) -> bool {
        let scale = Self::scale(word, false);
        if scale > 4 {
            return false;
        }
        let base = self.base(false, false);
        let shift = if word >> 12 & 1 != 0 { scale } else { 0 };
        // X25 holds up to 32; else a register made for the purpose, negative where the extension allows.
        let option = word >> 13 & 7;
        let (rm, value) = if self.r.chance(40) {
            (INDEX, 32)
        } else {
            let rm = self.target();
            let n = self.r.below(24) as i64;
            match option {
                // MOVN of X, and of W, whose high half is zero.
                3 | 7 => {
                    self.words.push(0x9280_0000 | (n as u32) << 5 | rm);
                    (rm, !n)
                }
                6 => {
                    self.words.push(0x1280_0000 | (n as u32) << 5 | rm);
                    (rm, !n)
                }
                _ => {
                    self.words.push(0xd280_0000 | (n as u32) << 5 | rm);
                    (rm, n)
                }
            }
        };
        let inside = |at: i64| at >= 0 && at + (1 << scale) <= BUFFER_SIZE as i64;
        let word = self.transferred(row, word, &[0]);
        let word = Self::with(Self::with(word, 5, base.reg), 16, rm);
        self.words.push(word);
        inside(base.at + (value << shift)) && inside(base.at) && rm != base.reg && !undefined(word)
    }

    /// Load and store exclusive, each completed to a pair of them, or a store that has no reservation.
    fn exclusive(&mut self, row: &Row, word: u32) -> bool {
        let base = self.base(true, false);
        let word = self.transferred(row, word, &[0, 10, 16]);
        let pair = row.form() == "ldstexclp";
        let word = Self::with(word, 5, base.reg);
        let word = if pair { word } else { Self::with(word, 10, 31) };
        let load = word >> 22 & 1 != 0;
        let (rt, rt2) = (field(word, 0), field(word, 10));
        let status = if load { self.target() } else { field(word, 16) };
        let clash = |a: u32, b: u32| a == b;
        if clash(status, base.reg)
            || clash(status, rt)
            || pair && (clash(status, rt2) || clash(rt, rt2))
            || rt == base.reg
            || pair && rt2 == base.reg
        {
            return false;
        }
        let other = |load: bool| {
            Self::with(word & !(1 << 22) | u32::from(load) << 22, 16, if load { 31 } else { status })
        };
        let (first, second) = (other(true), other(false));
        if undefined(first) || undefined(second) {
            return false;
        }
        if load || self.r.chance(70) {
            self.words.push(first);
            if self.r.chance(50) {
                self.words.push(0x8b00_0000 | rt << 16 | rt << 5 | rt); // ADD Xt, Xt, Xt
            }
            self.words.push(second);
        } else {
            self.words.extend([0xd503_3f5f, second]); // CLREX
        }
        true
    }

    fn ordered(&mut self, row: &Row, word: u32) -> bool {
        let base = self.base(true, false);
        let word = self.transferred(row, word, &[0, 16]);
        let mut word = Self::with(word, 5, base.reg);
        // Fields that should be ones.
        if row.form() != "memop" {
            word = Self::with(word, 10, 31);
        }
        if row.form() == "ldstord" || row.name.starts_with("LDAPR") {
            word = Self::with(word, 16, 31);
        }
        if row.form() == "comswap" && self.r.chance(60) || row.form() == "comswappr" {
            // A comparison that holds: the register is loaded first.
            let (rs, size) = (field(word, 16), word >> 30);
            if row.form() == "comswap" && rs != base.reg {
                self.words.push(0x3940_0000 | size << 30 | base.reg << 5 | rs);
            } else if rs & 1 == 0 && rs != base.reg && rs + 1 != base.reg && rs < 24 && self.r.chance(60) {
                self.words.push(0x2940_0000 | (size & 1) << 31 | (rs + 1) << 10 | base.reg << 5 | rs);
            }
        }
        let last = |reg: u32| row.form() == "comswappr" && (24..31).contains(&reg);
        self.words.push(word);
        !undefined(word) && !last(field(word, 16)) && !last(field(word, 0))
    }

    /// Structures of up to four registers.
    fn structure(&mut self, row: &Row, word: u32) -> bool {
        let base = self.base(false, false);
        if BASES.contains(&base.reg) || base.reg == 31 || !(0..BUFFER_SIZE as i64 - 64).contains(&base.at) {
            return false;
        }
        let mut word = Self::with(word, 5, base.reg);
        if row.register(16) && self.r.chance(50) {
            word = Self::with(word, 16, 31);
        }
        self.words.push(word);
        !undefined(word)
    }

    /// A branch that skips one instruction, or none.
    fn branch(&mut self, row: &Row, word: u32) -> bool {
        let word = self.sources(row, word);
        let form = row.form();
        let distance = 1 + self.r.below(2) as u32;
        match form {
            "branch_imm" => self.words.push(word & !0x3ff_ffff | distance),
            "condbranch" | "compbranch" => self.words.push(word & !(0x7_ffff << 5) | distance << 5),
            "testbranch" => self.words.push(word & !(0x3fff << 5) | distance << 5),
            _ => {
                let to = self.target();
                // ADR to the instruction after the skipped one.
                self.words.push(0x1000_0000 | (1 + distance) << 5 | to);
                self.words.push(Self::with(word, 5, to));
            }
        }
        // What is skipped: an addition.
        let (d, n, m) = (self.target(), self.r.below(6) as u32, self.r.below(6) as u32);
        self.words.push(0x8b00_0000 | m << 16 | n << 5 | d);
        true
    }

    /// What EL0 may do of the system instructions: the row's bits say all but Rt.
    fn system(&mut self, row: &Row, word: u32) -> bool {
        let to = self.target();
        if row.name.starts_with("MSR") {
            // A value of bits that both have: MOVZ of bits 31:16.
            let known = match row.value {
                0xd51b_4400 => 0x07c8,
                0xd51b_4420 => 0x0800,
                _ => 0xf000,
            };
            self.words.push(0xd2a0_0000 | (self.r.next() as u32 & known) << 5 | to);
        }
        self.words.push(if row.register(0) { Self::with(word, 0, to) } else { word });
        true
    }
}
