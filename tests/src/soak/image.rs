//! The memory that programs of the soak start with: vectors, translation tables, and the way into the program.
//!
//! | offset in RAM | contents |
//! |---|---|
//! | 0 | entry: a branch to the prologue |
//! | [`EL2_VECTORS`], [`EL1_VECTORS`] | handlers |
//! | [`PROLOGUE`] | writes registers of the GIC and system registers, then returns to the program |
//! | [`PROLOGUE_DATA`] | what the prologue writes |
//! | [`BODY`] | the program |
//! | [`CONSTANTS`] | what the program loads its registers from, and where its functions are |
//! | [`TABLES`] | translation tables |
//! | [`DATA`] | pages with different permissions |
//! | [`STACKS`] | one page for each Exception level |
//! | [`PATCHED`] | functions that the program changes |

use firmware::guest_tests::layout::{GICD, GICR, RAM};
use firmware::guest_tests::registers::{self as r, SysReg};

use super::words as w;
use crate::fuzz::Random;

const EL2_VECTORS: u64 = 0x800;
const EL1_VECTORS: u64 = 0x1000;
const PROLOGUE: u64 = 0x2000;
const PROLOGUE_DATA: u64 = 0x3000;
pub(super) const BODY: u64 = 0x4000;
/// Bytes of the program at most.
pub(super) const BODY_SIZE: u64 = 0xa000;
pub(super) const CONSTANTS: u64 = 0xe000;
const TABLES: u64 = 0x1_0000;
/// The table whose entries are the pages of RAM.
pub(super) const LEAVES: u64 = TABLES + 0x2000;
pub(super) const DATA: u64 = 0x2_0000;
pub(super) const DATA_PAGES: u64 = 16;
/// Of EL0; those of EL1 and EL2 are the next pages.
pub(super) const STACKS: u64 = 0x4_0000;
pub(super) const PATCHED: u64 = 0x5_0000;
pub(super) const PATCHED_PAGES: u64 = 2;
const SIZE: usize = 0x6_0000;

/// AP[2:1] of a page.
const PRIVILEGED: u64 = 0;
const EVERYBODY: u64 = 1;
const READ_ONLY: u64 = 3;

/// A page of RAM that is mapped to itself: Normal memory, accessed, Inner Shareable.
pub(super) fn page(offset: u64, ap: u64) -> u64 {
    (RAM + offset) | 0x703 | ap << 6
}

/// What an entry of [`LEAVES`] for the data page `n` may be.
pub(super) fn leaf(n: u64, random: &mut Random) -> u64 {
    let offset = DATA + 0x1000 * n;
    match random.below(30) {
        0 => page(offset, READ_ONLY),
        1 => page(offset, 2),
        2 => 0,
        // Not accessed yet.
        3 => page(offset, EVERYBODY) & !(1 << 10),
        // Device memory.
        4 => page(offset, EVERYBODY) | 2 << 2,
        // Another page, so that there are two ways to it.
        5 => page(DATA + 0x1000 * random.below(DATA_PAGES), EVERYBODY),
        // Written by hardware management of dirty state.
        6 => page(offset, READ_ONLY) | 1 << 51,
        7 => page(offset, PRIVILEGED),
        _ => page(offset, EVERYBODY),
    }
}

/// An address in the program rather than in what leads there.
pub(super) fn is_in_program(pc: u64) -> bool {
    (RAM + BODY..RAM + BODY + BODY_SIZE).contains(&pc)
}

/// Memory while it is put together.
pub(super) struct Image(pub Vec<u8>);

impl Image {
    pub(super) fn word(&mut self, at: u64, word: u32) {
        self.0[at as usize..at as usize + 4].copy_from_slice(&word.to_le_bytes());
    }
    pub(super) fn words(&mut self, at: u64, words: &[u32]) {
        words.iter().zip(0..).for_each(|(w, i)| self.word(at + 4 * i, *w));
    }
    pub(super) fn double(&mut self, at: u64, value: u64) {
        self.0[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Everything but the program and its constants.
    pub(super) fn new(random: &mut Random) -> Self {
        let mut image = Self(vec![0; SIZE]);
        image.word(0, w::b(PROLOGUE as i64));
        for (base, level) in [(EL2_VECTORS, 2), (EL1_VECTORS, 1)] {
            for vector in 0..16 {
                let interrupt = vector % 4 != 0;
                let code =
                    if interrupt { on_interrupt(level, random) } else { on_synchronous(level, random) };
                image.words(base + 0x80 * vector, &code);
            }
        }
        image.tables(random);
        image.prologue(random);
        image
    }

    fn tables(&mut self, random: &mut Random) {
        let (one, two) = (TABLES, TABLES + 0x1000);
        // Registers of devices in the first GiB, RAM in the second one.
        self.double(one, 0x401 | 2 << 2);
        self.double(one + 8, (RAM + two) | 3);
        self.double(two, (RAM + LEAVES) | 3);
        for n in 0..256 {
            let offset = n << 12;
            let data = (DATA..DATA + (DATA_PAGES << 12)).contains(&offset);
            let entry = match offset {
                _ if data => leaf((offset - DATA) >> 12, random),
                CONSTANTS => page(offset, READ_ONLY),
                STACKS => page(offset, EVERYBODY),
                // The tables are the kernel's; so is code, which all may execute.
                _ => page(offset, PRIVILEGED),
            };
            self.double(LEAVES + 8 * n, entry);
        }
        // Of EL2, and stage 2: 1 GiB blocks.
        for n in 0..2_u64 {
            self.double(TABLES + 0x3000 + 8 * n, n << 30 | 0x701);
            self.double(TABLES + 0x4000 + 8 * n, n << 30 | 0x7fd);
        }
    }

    fn prologue(&mut self, random: &mut Random) {
        let any = |random: &mut Random| random.below(2);
        let tcr = 25 | 0x3500 | 1 << 23 | 2 << 32 | any(random) << 39 | any(random) << 40;
        let sctlr = 0x30d0_1804 | 1 << 23 | any(random) << 9 | any(random) << 15 | 1 << 14 | 1 << 26;
        // IMO, FMO and AMO together: physical interrupts go to EL2, and EL1 has virtual ones.
        let hcr = 1 << 31 | any(random) | if random.below(3) == 0 { 7 << 3 } else { 0 };
        let mode = [0, 0, 4, 5, 5, 5, 9][random.below(7) as usize];
        let registers: &[(SysReg, u64)] = &[
            (r::VBAR_EL2, RAM + EL2_VECTORS),
            (r::VBAR_EL1, RAM + EL1_VECTORS),
            (r::MAIR_EL1, 0x00_44_ff),
            (r::MAIR_EL2, 0x00_44_ff),
            (r::TCR_EL1, tcr),
            (r::TTBR0_EL1, RAM + TABLES),
            (r::SCTLR_EL1, sctlr | u64::from(random.below(8) != 0)),
            (r::TCR_EL2, 25 | 0x3500 | 2 << 16 | 1 << 31 | 1 << 23),
            (r::TTBR0_EL2, RAM + TABLES + 0x3000),
            (r::VTCR_EL2, 25 | 0x3500 | 1 << 6 | 2 << 16),
            (r::VTTBR_EL2, RAM + TABLES + 0x4000),
            (r::SCTLR_EL2, 0x30c5_0830 | any(random)),
            (r::HCR_EL2, hcr),
            (r::CPACR_EL1, 3 << 20),
            (r::CPTR_EL2, 0x33ff),
            (r::CNTHCTL_EL2, 3),
            (r::CNTKCTL_EL1, 0x303),
            (r::ICC_SRE_EL2, 15),
            (r::ICC_SRE_EL1, 7),
            (r::ICC_PMR_EL1, 0xf0),
            (r::ICC_IGRPEN1_EL1, 1),
            (r::ICH_HCR_EL2, 1),
            (r::ICH_VMCR_EL2, 0xf0 << 24 | 2),
            (r::CNTV_TVAL_EL0, 100),
            (r::CNTP_TVAL_EL0, 300),
            (r::CNTV_CTL_EL0, any(random)),
            (r::CNTP_CTL_EL0, any(random)),
            (r::SP_EL0, RAM + STACKS + 0x1000),
            (r::SP_EL1, RAM + STACKS + 0x2000),
            (r::SPSR_EL2, mode | if random.below(4) == 0 { 0x3c0 } else { 0 }),
            (r::ELR_EL2, RAM + BODY),
        ];
        // Group 1, enabled, for SGIs and PPIs.
        let frames: &[(u64, u64)] =
            &[(GICD, 0x12), (GICR + 0x1_0080, 0xffff_ffff), (GICR + 0x1_0100, 0xffff_ffff)];
        let mut code = w::constant(1, RAM + PROLOGUE_DATA);
        let mut data = PROLOGUE_DATA;
        for (address, value) in frames {
            // LDP X0, X2, [X1], 16; STR W2, [X0].
            code.extend([0xa8c1_0820, 0xb900_0002]);
            self.double(data, *address);
            self.double(data + 8, *value);
            data += 16;
        }
        for (register, value) in registers {
            // LDR X0, [X1], 8.
            code.extend([0xf840_8420, w::msr(*register, 0)]);
            self.double(data, *value);
            data += 8;
        }
        code.extend(w::constant(0, RAM + STACKS + 0x3000));
        // MOV SP, X0; TLBI ALLE1; DSB SY; ISB; ERET.
        code.extend([0x9100_001f, 0xd50c_879f, w::DSB, w::ISB, w::ERET]);
        self.words(PROLOGUE, &code);
    }
}

/// Goes on behind the instruction. From where there is no code the program starts again. SVC with an odd number raises
/// EL0 to EL1; HVC with one makes a virtual interrupt pending.
fn on_synchronous(level: u32, random: &mut Random) -> Vec<u32> {
    let (esr, elr, spsr) = match level {
        2 => (r::ESR_EL2, r::ELR_EL2, r::SPSR_EL2),
        _ => (r::ESR_EL1, r::ELR_EL1, r::SPSR_EL1),
    };
    let extra = match level {
        // A list register: pending, Group 1, INTID 32 and up.
        2 => {
            let intid = 32 + random.below(16);
            [w::movz(1, 0x5000, 3), w::movk(1, intid, 0), w::msr(r::ICH_LR0_EL2, 1)]
        }
        // X0 is an odd number, and may be changed: EL1h is 5. ORR X1, X1, X0.
        _ => [w::mrs(spsr, 1), 0xaa00_0021, w::msr(spsr, 1)],
    };
    let (first, second) = spare(level);
    let mut code = vec![
        w::msr(first, 0),
        w::msr(second, 1),
        w::mrs(esr, 0),
        // LSR W1, W0, 26: the class. SUB W1, W1, 0x20; CMP W1, 2; B.LS bad.
        0x531a_7c01,
        0x5100_8021,
        0x7100_083f,
    ];
    let bad = code.len();
    code.push(0);
    // ADD W1, W1, 0x0b: class - 0x15; CMP W1, 2; B.HI step.
    code.extend([0x1100_2c21, 0x7100_083f]);
    let step = code.len();
    code.push(0);
    // TBZ W0, 0, done; MOV X0, 5.
    let even = code.len();
    code.extend([0, w::movz(0, 5, 0)]);
    code.extend(extra);
    let done_early = code.len();
    code.push(0);
    code[step] = w::b_cond(w::HI, (code.len() - step) as i64 * 4);
    // ADD X1, X1, 4.
    code.extend([w::mrs(elr, 1), 0x9100_1021, w::msr(elr, 1)]);
    let done = code.len();
    code[even] = w::tbz(0, 0, (done - even) as i64 * 4);
    code[done_early] = w::b((done - done_early) as i64 * 4);
    code.extend([w::mrs(first, 0), w::mrs(second, 1), w::ERET]);
    code[bad] = w::b_cond(w::LS, (code.len() - bad) as i64 * 4);
    code.extend([w::movz(1, (RAM + BODY) >> 16, 1), w::movk(1, (RAM + BODY) & 0xffff, 0), w::msr(elr, 1)]);
    // The stack is as it was at the start. MOV SP, X1.
    let stack = RAM + STACKS + 0x1000 + 0x1000 * u64::from(level);
    code.extend([w::movz(1, stack >> 16, 1), w::movk(1, stack & 0xffff, 0), 0x9100_003f]);
    let back = code.len();
    code.push(w::b((done as i64 - back as i64) * 4));
    assert!(code.len() <= 32, "a vector has 32 instructions");
    code
}

/// Where handlers keep X0 and X1: in memory they might find no stack.
fn spare(level: u32) -> (SysReg, SysReg) {
    if level == 2 { (r::TPIDR_EL2, r::FAR_EL2) } else { (r::TPIDR_EL1, r::FAR_EL1) }
}

/// Takes the interrupt, and sets the timers to come again.
fn on_interrupt(level: u32, random: &mut Random) -> Vec<u32> {
    let (first, second) = spare(level);
    vec![
        w::msr(first, 0),
        w::msr(second, 1),
        w::mrs(r::ICC_IAR1_EL1, 0),
        w::msr(r::ICC_EOIR1_EL1, 0),
        w::movz(1, 500 + random.below(20_000), 0),
        w::msr(r::CNTV_TVAL_EL0, 1),
        w::movz(1, 500 + random.below(60_000), 0),
        w::msr(r::CNTP_TVAL_EL0, 1),
        w::mrs(first, 0),
        w::mrs(second, 1),
        w::ERET,
    ]
}
