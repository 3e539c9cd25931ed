//! Which slots live in host registers while a unit of code runs.
//!
//! Between units every guest register of [`PINNED`] is in its *home* register and everything else is in the frame. Inside a
//! loop, whose code is left much more rarely than it goes round, registers belong to the slots that the loop uses most.
//! Vector slots have no homes; a unit loads those that it uses at its start and puts those that it wrote back at its exits.

use super::step;
use super::{PINNED, TEMP, pairs};
use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, NZCV, Operand, Uop, ZERO};

/// The register that counts instructions, and how long the blocks of a loop are on average that need it more for a slot:
/// then the count is in the frame, which costs more where blocks are short.
pub(super) const COUNT: u8 = 13;
const LONG: usize = 10;
/// Registers for vector slots: the lower ones are scratch.
const VECTORS: std::ops::RangeInclusive<u8> = 5..=15;
const NONE: u8 = 0xff;

/// A slot in a register that is not its home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub slot: u8,
    pub register: u8,
    /// The unit writes it.
    pub written: bool,
    /// Nothing but a write comes first: it is not loaded before, and what is written goes to the frame at once as well.
    pub through: bool,
}

impl Placed {
    /// A guest register, which has a value before and after the unit; not a temporary.
    pub(super) fn is_guest(&self) -> bool {
        self.slot < FIRST_TEMP
    }
}

/// See the module's head.
pub(super) struct Assignment {
    int: [u8; 256],
    vec: [u8; 256],
    /// Vector slots whose register has no value yet.
    empty: [bool; 256],
    /// Integer slots outside their homes.
    pub ints: Vec<Placed>,
    /// Slots of [`PINNED`] whose home has another slot.
    pub evicted: Vec<(u8, u8)>,
    pub vectors: Vec<Placed>,
    /// A guest register that has the place of the first temporary: see [`written_first`].
    pub guest_temp: Option<u8>,
    /// The count of instructions is in the frame: its register has a slot.
    pub counts_in_frame: bool,
}

#[derive(Clone, Copy, Default)]
struct Usage {
    times: u32,
    written: bool,
    /// Read before it was written.
    needed: bool,
    writes: u32,
}

impl Usage {
    fn note(&mut self, write: bool, times: u32) {
        self.times = self.times.saturating_add(times);
        self.needed |= !write && !self.written;
        self.written |= write;
        self.writes += u32::from(write);
    }
}

struct Usages {
    int: [Usage; 256],
    vec: [Usage; 256],
}

impl Usages {
    /// Of blocks, each with how often it runs.
    fn of<'a>(codes: impl Iterator<Item = (&'a Code, u32)>) -> Self {
        let mut this = Self { int: [Usage::default(); 256], vec: [Usage::default(); 256] };
        for (code, weight) in codes {
            let (mut passed, mut next) = (None, 0);
            while let Some(uop) = code.uops.get(next) {
                // What goes from one operation to the next through a scratch register needs none.
                let (came, goes) = (passed, pairs::passed_on(code, next));
                passed = goes;
                if let Some(step) = step::at(code, next) {
                    this.note(&step.access, weight, [None; 2]);
                    this.note(&step.add, weight, [None; 2]);
                    next += 3;
                } else {
                    this.note(uop, weight, [came, goes]);
                    next += 1;
                }
            }
        }
        // Flags are kept in another way, and zero is a constant.
        for slot in [NZCV, ZERO] {
            this.int[slot as usize].times = 0;
            this.vec[slot as usize].times = 0;
        }
        this
    }

    fn note(&mut self, uop: &Uop, weight: u32, [came, goes]: [Option<u8>; 2]) {
        for operand in uop.operands() {
            match operand {
                Operand::Reads(slot) if came == Some(slot) => {}
                Operand::Writes(slot) if goes == Some(slot) => {}
                Operand::Reads(slot) | Operand::ReadsFlags(slot) => {
                    self.int[slot as usize].note(false, weight);
                }
                Operand::Writes(slot) => self.int[slot as usize].note(true, weight),
                Operand::ReadsVector(slot) => self.vec[slot as usize].note(false, weight),
                Operand::WritesVector(slot) => self.vec[slot as usize].note(true, weight),
            }
        }
    }
}

fn uses_vectors(uop: &Uop) -> bool {
    uop.operands().into_iter().any(|o| matches!(o, Operand::ReadsVector(_) | Operand::WritesVector(_)))
}

/// Slots used at least `least` times, the most used first.
fn most_used(usages: &[Usage; 256], least: u32) -> Vec<u8> {
    let mut slots: Vec<u8> = (0..=255).filter(|s| usages[*s as usize].times >= least).collect();
    slots.sort_by_key(|s| std::cmp::Reverse(usages[*s as usize].times));
    slots
}

/// The guest register without a home that a block uses most, if it writes it before it reads it and has no temporary in
/// the place of the first one: calls of the runtime save that register where the temporary would be. What is written goes
/// to the frame at once as well, so that nothing has to be done for it at the end.
fn written_first(code: &Code) -> Option<u8> {
    const LEAST: u32 = 3;
    if code.uops.len() < LEAST as usize {
        return None;
    }
    let mut times = [0; FIRST_TEMP as usize + 1];
    let (mut needed, mut written) = (0u64, 0u64);
    for operand in code.uops.iter().flat_map(Uop::operands) {
        let (slot, writes) = match operand {
            Operand::Reads(slot) | Operand::ReadsFlags(slot) => (slot, false),
            Operand::Writes(slot) => (slot, true),
            Operand::ReadsVector(_) | Operand::WritesVector(_) => continue,
        };
        let Some(n) = times.get_mut(slot as usize) else { continue };
        *n += 1;
        if writes {
            written |= 1 << slot;
        } else if written >> slot & 1 == 0 {
            needed |= 1 << slot;
        }
    }
    if times[FIRST_TEMP as usize] != 0 {
        return None;
    }
    (0..31u8)
        .filter(|s| PINNED.iter().all(|p| p.0 != *s) && needed >> s & 1 == 0)
        .filter(|s| times[*s as usize] >= LEAST)
        .max_by_key(|s| times[*s as usize])
}

impl Assignment {
    /// Of a block: homes, and one register for the first temporary. Vector slots that are used only once are operands in
    /// memory.
    pub(super) fn of_block(code: &Code) -> Self {
        let mut this = Self::homes();
        this.guest_temp = written_first(code);
        this.int[this.guest_temp.unwrap_or(FIRST_TEMP) as usize] = TEMP;
        if code.uops.iter().any(uses_vectors) {
            this.place_vectors(&Usages::of(std::iter::once((code, 1))), 2, true);
        }
        this
    }

    /// Of a loop's blocks, each with how often it runs.
    pub(super) fn of_loop<'a>(codes: impl Iterator<Item = (&'a Code, u32)> + Clone) -> Self {
        let (blocks, words) =
            codes.clone().fold((0, 0), |(n, words), code| (n + 1, words + code.0.words.len()));
        let usages = Usages::of(codes);
        let mut this = Self::homes();
        let mut wanted = most_used(&usages.int, 1);
        this.counts_in_frame = wanted.len() > PINNED.len() + 1 && words > LONG * blocks;
        wanted.truncate(PINNED.len() + 1 + usize::from(this.counts_in_frame));
        let home = |slot: u8| PINNED.iter().find(|p| p.0 == slot).map(|p| p.1);
        let unwanted = PINNED.iter().filter(|p| !wanted.contains(&p.0)).map(|p| p.1);
        let mut free: Vec<u8> = unwanted.chain([TEMP]).chain(this.counts_in_frame.then_some(COUNT)).collect();
        let mut homeless = wanted.into_iter().filter(|slot| home(*slot).is_none());
        while let (Some(register), Some(slot)) = (free.pop(), homeless.next()) {
            if let Some((evicted, _)) = PINNED.iter().find(|p| p.1 == register) {
                this.int[*evicted as usize] = NONE;
                this.evicted.push((*evicted, register));
            }
            this.int[slot as usize] = register;
            let written = usages.int[slot as usize].written;
            this.ints.push(Placed { slot, register, written, through: false });
        }
        this.place_vectors(&usages, 1, false);
        this
    }

    fn homes() -> Self {
        let mut this = Self {
            int: [NONE; 256],
            vec: [NONE; 256],
            empty: [false; 256],
            ints: Vec::new(),
            evicted: Vec::new(),
            vectors: Vec::new(),
            guest_temp: None,
            counts_in_frame: false,
        };
        for (slot, register) in PINNED {
            this.int[slot as usize] = register;
        }
        this
    }

    fn place_vectors(&mut self, usages: &Usages, least: u32, straight: bool) {
        for (slot, register) in most_used(&usages.vec, least).into_iter().zip(VECTORS) {
            let usage = usages.vec[slot as usize];
            let written = usage.written;
            // A slot that is written often is stored once, at the end.
            let through = straight && slot < FIRST_TEMP && written && !usage.needed && usage.writes <= 2;
            self.vec[slot as usize] = register;
            self.empty[slot as usize] = through;
            self.vectors.push(Placed { slot, register, written, through });
        }
    }

    /// The register of an integer slot.
    pub(super) fn int(&self, slot: u8) -> Option<u8> {
        Some(self.int[slot as usize]).filter(|r| *r != NONE)
    }

    /// The register of a vector slot.
    pub(super) fn vector(&self, slot: u8) -> Option<u8> {
        Some(self.vec[slot as usize]).filter(|r| *r != NONE)
    }

    /// The register of a vector slot, if it has the slot's value.
    pub(super) fn current_vector(&self, slot: u8) -> Option<u8> {
        self.vector(slot).filter(|_| !self.empty[slot as usize])
    }

    /// Notes that a vector slot's register has its value now. True if the frame must get it as well.
    pub(super) fn fill_vector(&mut self, slot: u8) -> bool {
        self.empty[slot as usize] = false;
        self.vectors.iter().any(|p| p.slot == slot && p.through)
    }

    /// True if code between units could run with this assignment: nothing to do at the start and at exits.
    pub(super) fn is_plain(&self) -> bool {
        self.ints.is_empty() && self.evicted.is_empty() && self.vectors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::ir::MemSize;

    use super::*;

    fn code(uops: Vec<Uop>) -> Code {
        Code { uops, ..Code::default() }
    }

    #[test]
    fn a_loop_gives_homes_to_what_it_uses() {
        let uops = vec![Uop::Add64 { d: 9, a: 10, b: 0 }, Uop::Add64 { d: 9, a: 9, b: 11 }, Uop::Goto];
        let a = Assignment::of_loop(std::iter::once((&code(uops), 1)));
        assert_eq!(a.int(0), PINNED.iter().find(|p| p.0 == 0).map(|p| p.1), "it stays at home");
        for slot in [9, 10, 11] {
            assert!(a.int(slot).is_some(), "X{slot}");
        }
        assert_eq!(
            a.ints.iter().map(|p| (p.slot, p.written)).collect::<Vec<_>>(),
            [(9, true), (10, false), (11, false)]
        );
        assert_eq!(a.evicted.len(), 3 - 1, "one register had no slot at all");
        for (slot, register) in &a.evicted {
            assert_eq!(a.int(*slot), None);
            assert!(a.ints.iter().any(|p| p.register == *register));
        }
    }

    #[test]
    fn no_register_has_two_slots() {
        let uops: Vec<Uop> = (0..40).map(|n| Uop::Add64 { d: n, a: n / 2, b: n / 3 }).collect();
        let a = Assignment::of_loop(std::iter::once((&code(uops), 1)));
        let mut registers: Vec<u8> = (0..=255).filter_map(|s| a.int(s)).collect();
        let n = registers.len();
        registers.sort_unstable();
        registers.dedup();
        assert_eq!((registers.len(), n), (9, 9));
        assert!(!a.counts_in_frame, "it is short");
    }

    #[test]
    fn a_long_loop_has_the_register_of_the_count() {
        let uops: Vec<Uop> = (0..40).map(|n| Uop::Add64 { d: n % 12, a: n % 11, b: n % 10 }).collect();
        let code = Code { words: vec![0; 40], ..code(uops) };
        let a = Assignment::of_loop(std::iter::once((&code, 1)));
        assert!(a.counts_in_frame);
        assert_eq!((0..=255).filter(|slot| a.int(*slot).is_some()).count(), 10);
    }

    #[test]
    fn a_guest_register_can_have_the_place_of_a_temporary() {
        // ADRP X16; LDR X17, [X16]; ADD X16, X16
        let stub = [
            Uop::PcPage { d: 16, rel: 0x1000 },
            Uop::Ld64 { d: 17, a: 16, off: 8 },
            Uop::AddI64 { d: 16, a: 16, imm: 8 },
            Uop::Indirect { a: 17 },
        ];
        let a = Assignment::of_block(&code(stub.to_vec()));
        assert_eq!((a.guest_temp, a.int(16), a.int(FIRST_TEMP)), (Some(16), Some(TEMP), None));
        assert!(a.is_plain(), "nothing to do at the exits");
        let a = Assignment::of_block(&code(stub[1..].to_vec()));
        assert_eq!(
            (a.guest_temp, a.int(16), a.int(FIRST_TEMP)),
            (None, None, Some(TEMP)),
            "it is read first"
        );
        let mut temps = stub.to_vec();
        temps.push(Uop::Const { d: FIRST_TEMP, imm: 1 });
        assert_eq!(Assignment::of_block(&code(temps)).guest_temp, None, "there is a temporary");
    }

    #[test]
    fn what_a_block_writes_first_has_no_value_before() {
        let ld = |d| Uop::LdV { d, a: 0, size: MemSize::B16, elem: MemSize::B16, off: 0 };
        let st = |b| Uop::StV { a: 0, b, size: MemSize::B16, elem: MemSize::B16, off: 16 };
        let uops = vec![ld(1), st(2), ld(2), st(1), ld(3), ld(3), ld(3), Uop::Goto];
        let mut a = Assignment::of_block(&code(uops.clone()));
        assert!(a.vector(1).is_some() && a.current_vector(1).is_none(), "written first");
        assert!(a.current_vector(2).is_some(), "read first");
        assert!(a.current_vector(3).is_some(), "written often");
        assert!(a.fill_vector(1) && !a.fill_vector(2) && !a.fill_vector(3));
        assert!(a.current_vector(1).is_some());
        let a = Assignment::of_loop(std::iter::once((&code(uops), 1)));
        assert!(a.vectors.iter().all(|p| !p.through), "what one round wrote the next one reads");
    }

    #[test]
    fn what_a_block_uses_once_stays_in_memory() {
        let uops = vec![Uop::VMov { d: 40, a: 3 }, Uop::VLane { d: 2, a: 40, esize: 3, lane: 0 }, Uop::Goto];
        let a = Assignment::of_block(&code(uops));
        assert!(a.vector(40).is_some() && a.vector(3).is_none());
        assert!(Assignment::of_block(&code(vec![Uop::Goto])).is_plain());
    }
}
