//! The result block: its format, what a case expects in it, and the comparison.
//!
//! | offset | contents |
//! |---|---|
//! | 0 | [`STARTED`] once the program runs |
//! | 8 | [`DONE`] once it came to its end |
//! | 16 | number of exceptions that were recorded |
//! | [`VALUES`] | values, 8 bytes each |
//! | [`LOG`] | exceptions, [`LOG_ENTRY`] bytes each |

use std::fmt::Write;

/// "BARE-RUN": the program has begun.
pub const STARTED: u64 = 0x4241_5245_2d52_554e;
/// "BARE-END": the program came to its end.
pub const DONE: u64 = 0x4241_5245_2d45_4e44;
/// Offset of the mark [`DONE`].
pub const DONE_AT: u64 = 8;
/// Offset of the number of recorded exceptions.
pub const COUNT_AT: u64 = 16;
/// Offset of the values.
pub const VALUES: u64 = 0x100;
/// Most values.
pub const MAX_VALUES: usize = 0x1e0;
/// Offset of the record of exceptions.
pub const LOG: u64 = 0x1000;
/// Bytes of a recorded exception.
pub const LOG_ENTRY: u64 = 64;
/// Most exceptions that are recorded; at the next one the program gives up.
pub const MAX_LOG: u64 = 32;

/// Kind of exception: the offset in its quarter of the vector table (Arm ARM, D1.3.1).
pub mod kind {
    /// Synchronous.
    pub const SYNC: u64 = 0;
    /// IRQ or vIRQ.
    pub const IRQ: u64 = 0x80;
    /// FIQ or vFIQ.
    pub const FIQ: u64 = 0x100;
    /// SError or vSError.
    pub const SERROR: u64 = 0x180;
}

/// Where an exception comes from: the quarter of the vector table.
pub mod from {
    /// The same Exception level, with SP_EL0.
    pub const SP0: u64 = 0;
    /// The same Exception level, with SP_ELx.
    pub const SPX: u64 = 0x200;
    /// A lower Exception level, in AArch64.
    pub const LOWER: u64 = 0x400;
}

/// PSTATE bits that cases agree on: M, DAIF, IL, SS, PAN, UAO. Flags and SSBS are left out, for the suite's own code
/// changes them or they have no architected reset value.
pub const SPSR_MASK: u64 = 0x00f0_03df;

/// Bits that must have a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bits {
    /// The bits that count.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

impl Bits {
    /// All 64.
    #[must_use]
    pub const fn all(value: u64) -> Self {
        Self { mask: u64::MAX, value }
    }
    fn holds(self, seen: u64) -> bool {
        (seen ^ self.value) & self.mask == 0
    }
}

/// A value that is expected.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub name: String,
    pub bits: Bits,
}

/// An exception that is expected. What is `None` may be anything.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The Exception level that takes it.
    pub el: u8,
    /// Offset of the vector.
    pub vector: u64,
    /// The syndrome.
    pub esr: Option<Bits>,
    /// The return address.
    pub elr: Option<u64>,
    /// The fault address.
    pub far: Option<u64>,
    /// HPFAR_EL2.
    pub hpfar: Option<u64>,
    /// The saved PSTATE.
    pub spsr: Option<Bits>,
    /// What the suite's handler read from ICC_IAR: the INTID.
    pub intid: Option<u64>,
}

impl Taken {
    /// An exception to `el` by way of `vector` ([`from`] plus [`kind`]).
    #[must_use]
    pub const fn to(el: u8, vector: u64) -> Self {
        Self { el, vector, esr: None, elr: None, far: None, hpfar: None, spsr: None, intid: None }
    }
    /// A synchronous exception from a lower Exception level.
    #[must_use]
    pub const fn lower(el: u8) -> Self {
        Self::to(el, from::LOWER | kind::SYNC)
    }
    /// A synchronous exception from the same Exception level with SP_ELx.
    #[must_use]
    pub const fn same(el: u8) -> Self {
        Self::to(el, from::SPX | kind::SYNC)
    }
    /// The whole syndrome: EC, IL and ISS.
    #[must_use]
    pub const fn esr(mut self, value: u64) -> Self {
        self.esr = Some(Bits { mask: 0xffff_ffff, value });
        self
    }
    /// Class and ISS of a 32-bit instruction (IL is one).
    #[must_use]
    pub const fn class(self, ec: u64, iss: u64) -> Self {
        self.esr(ec << 26 | 1 << 25 | iss)
    }
    /// Some bits of the syndrome.
    #[must_use]
    pub const fn esr_bits(mut self, mask: u64, value: u64) -> Self {
        self.esr = Some(Bits { mask, value });
        self
    }
    /// The return address.
    #[must_use]
    pub const fn elr(mut self, value: u64) -> Self {
        self.elr = Some(value);
        self
    }
    /// The fault address.
    #[must_use]
    pub const fn far(mut self, value: u64) -> Self {
        self.far = Some(value);
        self
    }
    /// The IPA (bits 47:12) in HPFAR_EL2, given as an address.
    #[must_use]
    pub const fn ipa(mut self, address: u64) -> Self {
        self.hpfar = Some((address >> 12) << 4);
        self
    }
    /// The saved PSTATE, under [`SPSR_MASK`].
    #[must_use]
    pub const fn spsr(mut self, value: u64) -> Self {
        self.spsr = Some(Bits { mask: SPSR_MASK, value });
        self
    }
    /// The INTID that the handler acknowledged.
    #[must_use]
    pub const fn intid(mut self, value: u64) -> Self {
        self.intid = Some(value);
        self
    }
}

/// What one PE must leave behind.
#[derive(Clone, Default, Debug)]
pub struct Expected {
    pub(super) values: Vec<Value>,
    pub(super) taken: Vec<Taken>,
    /// The PE runs in this case.
    pub(super) used: bool,
}

/// A recorded exception.
struct Seen {
    tag: u64,
    esr: u64,
    elr: u64,
    far: u64,
    hpfar: u64,
    spsr: u64,
    intid: u64,
}

struct Block<'a>(&'a [u8]);

impl Block<'_> {
    /// The doubleword at an offset; zero outside.
    fn at(&self, offset: u64) -> u64 {
        let bytes = usize::try_from(offset).ok().and_then(|o| self.0.get(o..o + 8));
        bytes.map_or(0, |b| b.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
    }

    fn seen(&self, n: u64) -> Seen {
        let f = |field: u64| self.at(LOG + n * LOG_ENTRY + 8 * field);
        Seen { tag: f(0), esr: f(1), elr: f(2), far: f(3), hpfar: f(4), spsr: f(5), intid: f(6) }
    }
}

impl Seen {
    fn describe(&self) -> String {
        let Self { tag, esr, elr, far, hpfar, spsr, intid } = self;
        let (el, vector, ec) = (tag >> 12, tag & 0xfff, esr >> 26 & 63);
        format!(
            "EL{el}+{vector:#05x} ESR {esr:#010x} (EC {ec:#04x}) ELR {elr:#x} FAR {far:#x} HPFAR {hpfar:#x} SPSR {spsr:#x} \
             INTID {intid}"
        )
    }

    fn compare(&self, n: usize, want: &Taken, wrong: &mut Vec<String>) {
        let mut check = |what: &str, want: Option<Bits>, seen: u64| {
            if let Some(want) = want.filter(|w| !w.holds(seen)) {
                wrong.push(format!(
                    "exception {n}: {what} is {seen:#x}, not {:#x} (mask {:#x})",
                    want.value, want.mask
                ));
            }
        };
        check("the vector", Some(Bits::all(u64::from(want.el) << 12 | want.vector)), self.tag);
        check("ESR", want.esr, self.esr);
        check("ELR", want.elr.map(Bits::all), self.elr);
        check("FAR", want.far.map(Bits::all), self.far);
        check("HPFAR", want.hpfar.map(Bits::all), self.hpfar);
        check("SPSR", want.spsr, self.spsr);
        check("the INTID", want.intid.map(Bits::all), self.intid);
    }
}

impl Expected {
    /// True if the PE has a part in the case.
    #[must_use]
    pub fn used(&self) -> bool {
        self.used
    }

    /// Compares with a result block. The list of differences is empty if all is well.
    #[must_use]
    pub fn differences(&self, block: &[u8]) -> Vec<String> {
        let block = Block(block);
        let mut wrong = Vec::new();
        if block.at(0) != STARTED {
            return vec!["the program did not start".into()];
        }
        if block.at(DONE_AT) != DONE {
            wrong.push("the program did not come to its end".into());
        }
        for (i, Value { name, bits }) in self.values.iter().enumerate() {
            let seen = block.at(VALUES + 8 * i as u64);
            if !bits.holds(seen) {
                wrong.push(format!("{name} is {seen:#x}, not {:#x} (mask {:#x})", bits.value, bits.mask));
            }
        }
        let count = block.at(COUNT_AT).min(MAX_LOG);
        if count != self.taken.len() as u64 {
            wrong.push(format!("{count} exceptions were taken, not {}", self.taken.len()));
        }
        for (i, want) in self.taken.iter().enumerate().take(count as usize) {
            block.seen(i as u64).compare(i, want, &mut wrong);
        }
        if !wrong.is_empty() {
            wrong.extend((0..count).map(|i| format!("  taken {i}: {}", block.seen(i).describe())));
        }
        wrong
    }
}

/// The differences of all PEs as one text; `None` if there are none. `memory` is the region of the result blocks.
#[must_use]
pub fn failure(expected: &[Expected], memory: &[u8]) -> Option<String> {
    let mut text = String::new();
    for (cpu, want) in expected.iter().enumerate().filter(|(_, e)| e.used) {
        let size = super::layout::RESULT_SIZE as usize;
        let block = memory.get(cpu * size..(cpu + 1) * size).unwrap_or_default();
        for line in want.differences(block) {
            // Writing to a String does not fail.
            let _ = writeln!(text, "PE {cpu}: {line}");
        }
    }
    (!text.is_empty()).then_some(text)
}
