//! SIMD and cryptographic instructions: decoded, lowered, evaluated, and compared with what another implementation made
//! of the same instructions (`../data/simd.bin`, made with `record.c`); and standard vectors of the cryptographic
//! algorithms, computed by programs of those instructions.

mod ciphers;
mod inputs;
mod machine;

use emu_a64::decode::table_simd;
use inputs::Random;
use machine::Machine;

const QC: u32 = 1 << 27;

/// Reads the recording.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }
    fn byte(&mut self) -> usize {
        self.take(1)[0] as usize
    }
    /// The state after a case, from the state before it and the recorded changes.
    fn after(&mut self, before: &Machine) -> Machine {
        let mut m = before.clone();
        for _ in 0..self.byte() {
            let i = self.byte();
            m.v[i] = u128::from_le_bytes(self.take(16).try_into().unwrap());
        }
        for _ in 0..self.byte() {
            let i = self.byte();
            m.x[i] = u64::from_le_bytes(self.take(8).try_into().unwrap());
        }
        m.env.fpsr = if self.byte() != 0 { QC } else { 0 };
        let n = self.byte();
        if n != 0 {
            let at = self.byte();
            m.mem[at..at + n].copy_from_slice(self.take(n));
        }
        m
    }
}

fn difference(word: u32, got: &Machine, want: &Machine) -> String {
    use std::fmt::Write;
    let mut s = String::new();
    for i in 0..32 {
        if got.v[i] != want.v[i] {
            write!(s, " v{i} {:032x} should be {:032x}", got.v[i], want.v[i]).unwrap();
        }
        if got.x[i] != want.x[i] {
            write!(s, " x{i} {:x} should be {:x}", got.x[i], want.x[i]).unwrap();
        }
    }
    if got.env != want.env {
        write!(s, " fpsr {:x} should be {:x}", got.env.fpsr, want.env.fpsr).unwrap();
    }
    if got.mem != want.mem {
        s.push_str(" memory");
    }
    format!("{word:08x} {}:{s}", machine::find(word).map_or("?", |r| r.name))
}

#[test]
fn agrees_with_the_recording() {
    let mut r = Reader(include_bytes!("../data/simd.bin"));
    let (mut wrong, mut cases) = (Vec::new(), 0);
    let mut seen = std::collections::HashSet::new();
    while !r.0.is_empty() {
        let word = u32::from_le_bytes(r.take(4).try_into().unwrap());
        let sets = r.byte();
        if sets == 0 && machine::translate(word).is_ok() {
            wrong.push(format!("{word:08x} {} should be UNDEFINED", machine::find(word).unwrap().name));
        }
        for set in 0..sets {
            let before = inputs::initial(word, set as u8);
            let want = r.after(&before);
            let mut got = before.clone();
            match got.step(word) {
                Err(_) => wrong.push(format!("{word:08x} is UNDEFINED and should not be")),
                Ok(()) if got != want => wrong.push(difference(word, &got, &want)),
                Ok(()) => {
                    seen.insert(machine::find(word).unwrap().name);
                }
            }
            cases += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
    let missing: Vec<_> = table_simd::ROWS.iter().map(|r| r.name).filter(|n| !seen.contains(n)).collect();
    assert!(missing.is_empty(), "rows without a recorded case: {missing:?}");
}

/// What the recording cannot have: SP as the base, and its check.
#[test]
fn structures_on_the_stack() {
    use emu_a64::ir::{MemSize, Op};
    let word = 0x4cdf_7be0; // LD1 {V0.4S}, [SP], #16
    let mut m = inputs::initial(word, 0);
    m.x[31] = machine::MEM_ADDR + 16;
    m.step(word).unwrap();
    assert_eq!(m.v[0].to_le_bytes(), m.mem[16..32]);
    assert_eq!(m.x[31], machine::MEM_ADDR + 32);
    let block = machine::translate(word).unwrap();
    let acc = block.insts.iter().find_map(|i| match i.op {
        Op::Load { acc, .. } => Some((acc.sp_base, acc.elem_align)),
        _ => None,
    });
    assert_eq!(acc, Some((true, Some(MemSize::B4))));
}

/// Field values that no encoding has; many more are in the recording.
#[test]
fn reserved_values_are_undefined() {
    for (word, why) in [
        (0x0ee2_8420, "ADD of one doubleword in a vector"),
        (0x4ee2_9c20, "MUL of doublewords"),
        (0x5e62_8420, "scalar ADD of halfwords"),
        (0x4e22_b420, "SQDMULH of bytes"),
        (0x0eb1_b820, "ADDV of two words"),
        (0x4e60_5820, "CNT of halfwords"),
        (0x4e60_1820, "REV16 of halfwords"),
        (0x2e02_4020, "EXT of 64 bits from byte 8"),
        (0x4e00_0420, "DUP without an element size"),
        (0x0e08_0420, "DUP of doublewords into 64 bits"),
        (0x0f40_0420, "SSHR of one doubleword in a vector"),
        (0x0f40_8420, "SHRN to doublewords"),
        (0x0fc2_8020, "MUL by a doubleword"),
        (0x0e62_e020, "PMULL of halfwords"),
        (0x0e42_9420, "SDOT of halfwords"),
        (0x0c40_8c20, "LD2 of one doubleword"),
        (0x0d40_4420, "LD1 of a halfword at an odd byte"),
        (0x0d40_9420, "LD1 of a doubleword with S set"),
        (0x0d40_d020, "LD1R with S set"),
    ] {
        assert!(machine::translate(word).is_err(), "{why}: {word:08x}");
    }
}

/// Prints the instructions to record, with the number of operand sets for each.
#[test]
#[ignore = "used to make a new recording"]
fn words() {
    println!();
    let mut random = Random::new(2026);
    for row in table_simd::ROWS {
        let structure = row.value & 0xbe00_0000 == 0x0c00_0000;
        let (words, sets) = if structure { (8, 2) } else { (20, 4) };
        let mut made = std::collections::HashSet::new();
        for _ in 0..words {
            let mut word = row.value | random.next() as u32 & !row.mask;
            // General registers are X0 to X15, or 31.
            let x_fields = [
                (5, structure || row.name == "DUP_asimdins_DR_r" || row.name == "INS_asimdins_IR_r"),
                (16, structure && row.mask >> 16 & 31 == 0),
                (0, row.name.contains("MOV_asimdins")),
            ];
            for (lsb, general) in x_fields {
                let is_31 = word >> lsb & 31 == 31 && !(structure && lsb == 5);
                if general && !is_31 {
                    word &= !(16 << lsb);
                }
            }
            // A shift by immediate with immh = 0 is another instruction.
            let modified_immediate = row.name.contains("shf") && word >> 19 & 15 == 0;
            if !modified_immediate && made.insert(word) {
                println!("word {word:08x} {sets}");
            }
        }
    }
}
