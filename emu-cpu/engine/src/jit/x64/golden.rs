//! The host code of representative guest instructions, held against a file: a change of the generator shows in review.
//!
//! `UPDATE_GOLDEN=1 cargo test -p emu-engine golden` writes the file anew. Each entry has the guest's instructions, how
//! many instructions and bytes of host code they take (beside what every block has), and the code. What differs
//! between hosts and builds has names: fields of the frame, functions of the runtime, offsets in Rust's structures.

use std::collections::BTreeMap;
use std::fmt::Write;

use emu_a64::ir::Term;
use emu_a64::level::El;
use emu_a64::lower::translate;
use emu_a64::mode::Mode;
use emu_pe::cpu::Cpu;
use emu_pe::sysreg::implementation;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, OpKind, Register};
use iced_x86::{Mnemonic, SymbolResolver, SymbolResult};

use super::{BIAS, HostFeatures, Input, Thunks, build_thunks, compile};
use crate::interp::predecode::predecode;
use crate::interp::tests::vcpu;
use crate::interp::uop::{FIRST_TEMP, Frame, NZCV, ZERO};
use crate::jit::UnitBlock;
use crate::jit::constants::Constants;
use crate::jit::state::JitState;

const INSTRUCTIONS: &str = include_str!("../../../tests/data/host_code.tsv");
const GOLDEN: &str = "tests/golden/host_code.txt";

/// Where code is made for: nothing ever runs there.
const THUNKS_AT: u64 = 0x1000_0000;
const CODE_AT: u64 = 0x1010_0000;
/// Of the first instruction in its page.
const OFFSET: u32 = 0x100;
/// Where programs and libraries are in a process.
const HOST_ADDRESSES: std::ops::Range<u64> = 0x5000_0000_0000..0x8000_0000_0000;
/// The end that is put behind instructions that end no block: SVC #0.
const SVC: u32 = 0xd400_0001;
const NOP: u32 = 0xd503_201f;

/// A host with everything that the generator asks for.
const HOST: HostFeatures =
    HostFeatures { bmi2: true, lzcnt: true, avx: true, fma: true, aes: true, sha: true, pclmul: true };
const MODE: Mode = Mode {
    el: El::El1,
    fp_enabled: true,
    fp_plain: true,
    guarded: false,
    btype: 0,
    mops: true,
    strict: false,
    aligned: false,
    counts_accesses: false,
};
/// What the text of instructions begins with that are compiled with SCTLR_ELx.A set.
const CHECKED: &str = "checked: ";

/// Names of what an address or an offset stands for.
struct Names {
    thunks: BTreeMap<u64, String>,
    labels: BTreeMap<u64, usize>,
}

/// A byte of the frame.
fn frame_name(offset: u64) -> String {
    let (offset, vectors, jit) =
        (offset as usize, std::mem::offset_of!(Frame, v), std::mem::offset_of!(Frame, jit));
    let inside = |name: String, rest: usize| if rest == 0 { name } else { format!("{name}.{rest}") };
    if offset < vectors {
        let name = match (offset / 8) as u8 {
            31 => "SP".into(),
            NZCV => "NZCV".into(),
            ZERO => "ZERO".into(),
            slot @ FIRST_TEMP.. => format!("T{}", slot - FIRST_TEMP),
            slot => format!("X{slot}"),
        };
        return inside(name, offset % 8);
    }
    if offset < jit {
        let name = match ((offset - vectors) / 16) as u8 {
            slot @ FIRST_TEMP.. => format!("VT{}", slot - FIRST_TEMP),
            slot => format!("V{slot}"),
        };
        return inside(name, (offset - vectors) % 16);
    }
    state_name(offset - jit)
}

/// A byte of [`JitState`].
fn state_name(offset: usize) -> String {
    macro_rules! fields {
        ($($name:ident)*) => {
            [$((std::mem::offset_of!(JitState, $name), stringify!($name))),*]
        };
    }
    let fields = fields!(
        constants page key salt tlb cpu cache count counted btype_set_at btype_on_entry target out flag_kind faulted flag_a
        flag_b saved_a saved_b flag_form at_block at_insn mxcsr host_mxcsr fp_on limit fault profile targets
    );
    let (start, name) = fields.into_iter().filter(|f| f.0 <= offset).max().unwrap_or((0, "state"));
    match (name, offset - start) {
        ("constants", at) if at < size_of::<Constants>() => format!("constant.{at}"),
        (name, 0) => name.to_owned(),
        (name, at) => format!("{name}.{at}"),
    }
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        operand: u32,
        of_instruction: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let label = || self.labels.get(&address).map(|n| format!("L{n}"));
        let name = match instruction.op_kind(of_instruction.unwrap_or(operand)) {
            OpKind::Memory => match (instruction.memory_base(), instruction.memory_index()) {
                (Register::R15, _) => Some(frame_name(address.wrapping_add(BIAS as u64))),
                // Rust orders the fields of the CPU as it likes.
                (Register::RAX | Register::RCX | Register::RDX, Register::None)
                    if (64..1 << 31).contains(&address) =>
                {
                    Some("cpu_field".into())
                }
                (Register::RIP, _) => label(),
                _ => None,
            },
            OpKind::NearBranch64 => {
                let thunk = || self.thunks.get(&address).cloned();
                label().or_else(thunk).or_else(|| Some("elsewhere".into()))
            }
            // Where programs and libraries are.
            _ => HOST_ADDRESSES.contains(&address).then(|| "host_address".into()),
        };
        name.map(|name| SymbolResult::with_string(address, name))
    }
}

/// Names of the thunks.
fn thunk_names(thunks: &Thunks) -> BTreeMap<u64, String> {
    let mut names: BTreeMap<u64, String> = [
        (thunks.enter, "enter"),
        (thunks.exit, "exit"),
        (thunks.materialise_flags, "materialise_flags"),
        (thunks.compare, "compare"),
    ]
    .map(|(at, name)| (at, name.to_owned()))
    .into();
    for (calls, how) in [(&thunks.saving, ""), (&thunks.plain, ".plain")] {
        let named = [
            (calls.operation, "operation"),
            (calls.exact, "exact"),
            (calls.load_words, "load_words"),
            (calls.store_words, "store_words"),
            (calls.load_pair, "load_pair"),
            (calls.store_pair, "store_pair"),
            (calls.load_vector, "load_vector"),
            (calls.store_vector, "store_vector"),
            (calls.copy_or_set, "copy_or_set"),
        ];
        names.extend(named.map(|(at, name)| (at, format!("{name}{how}"))));
        for (n, (load, store)) in calls.load.into_iter().zip(calls.store).enumerate() {
            names.insert(load, format!("load{}{how}", 8 << n));
            names.insert(store, format!("store{}{how}", 8 << n));
        }
    }
    names
}

/// One line of host code: its label, if anything leads there, and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    label: Option<usize>,
    text: String,
}

/// The host code of a block behind its checks.
struct Listing {
    lines: Vec<Line>,
    bytes: usize,
}

fn list(words: &[u32], mode: Mode, cpu: &Cpu, thunks: &Thunks) -> Listing {
    let (bytes, fast) = code_of(words, mode, cpu, thunks);
    disassemble(&bytes, fast, thunks)
}

/// Host code of a block, and where its checks end.
fn code_of(words: &[u32], mode: Mode, cpu: &Cpu, thunks: &Thunks) -> (Vec<u8>, usize) {
    let block = translate(
        |rel| words.get(rel as usize / 4).copied(),
        implementation(cpu.identity.features()),
        mode,
        words.len(),
    );
    assert_eq!(block.insns.len(), words.len(), "one block: {words:x?}");
    let code = predecode(&block).unwrap();
    let block = UnitBlock {
        code: &code,
        number: 1,
        page: 0,
        valid: (0x1122_3344_5566_7788, 7),
        offset: OFFSET,
        successors: [None; 2],
        indirect_successors: [None; 3],
        frequency: 1,
        counter: None,
    };
    let input = Input { block, at: CODE_AT, cpu, mode, key: 0, first_exit: 0, foreign_entries: None };
    let output = compile(&[block], input, thunks, HOST, &mut 0).unwrap();
    (output.bytes, output.fast)
}

fn disassemble(bytes: &[u8], from: usize, thunks: &Thunks) -> Listing {
    let start = CODE_AT + from as u64;
    let end = CODE_AT + bytes.len() as u64;
    let mut decoder = Decoder::with_ip(64, &bytes[from..], start, DecoderOptions::NONE);
    let (mut instructions, mut targets, mut data) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = BTreeMap::new();
    while decoder.can_decode() {
        let instruction: Instruction = decoder.decode();
        assert!(!instruction.is_invalid(), "at {:#x}", instruction.ip());
        let (next, over) = (instruction.next_ip(), instruction.near_branch_target());
        targets.push(over);
        // The record of a link stands where a jump leads over it, and has been named before.
        let is_record = |at: &u64| (next..over).contains(at);
        if instruction.mnemonic() == Mnemonic::Jmp && over <= end && data.iter().any(is_record) {
            records.insert(next, over - next);
            decoder.set_ip(over);
            decoder.set_position((over - start) as usize).unwrap();
        }
        if instruction.is_ip_rel_memory_operand() {
            data.push(instruction.ip_rel_memory_address());
        }
        instructions.push(instruction);
    }
    let mut named = [targets, data].concat();
    named.retain(|at| (start..end).contains(at));
    named.sort_unstable();
    named.dedup();
    let labels: BTreeMap<u64, usize> = named.into_iter().zip(1..).collect();
    let names = Names { thunks: thunk_names(thunks), labels: labels.clone() };
    let mut formatter = IntelFormatter::with_options(Some(Box::new(names)), None);
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(true);
    let mut lines = Vec::new();
    for instruction in &instructions {
        let mut text = String::new();
        formatter.format(instruction, &mut text);
        lines.push(Line { label: labels.get(&instruction.ip()).copied(), text });
        if let Some(bytes) = records.get(&instruction.next_ip()) {
            let inside = labels.range(instruction.next_ip()..instruction.next_ip() + bytes);
            for (_, label) in inside {
                lines.push(Line { label: Some(*label), text: "(half of a link's record)".into() });
            }
        }
    }
    Listing { lines, bytes: bytes.len() - from }
}

/// The code of an entry, without what the code of an instruction that does nothing has in the same way.
fn entry(text: &str, words: &[u32], cpu: &Cpu, thunks: &Thunks, empty: &Listing) -> String {
    let ends = {
        let block = translate(
            |rel| words.get(rel as usize / 4).copied(),
            implementation(cpu.identity.features()),
            MODE,
            words.len(),
        );
        !matches!(block.term, Term::Goto { rel, .. } if rel == 4 * words.len() as i64)
    };
    let mode = Mode { aligned: text.starts_with(CHECKED), ..MODE };
    let mut listing = if ends {
        list(words, mode, cpu, thunks)
    } else {
        list(&[words, &[SVC]].concat(), mode, cpu, thunks)
    };
    let mut text = text.to_owned();
    let (mut instructions, mut bytes) = (listing.lines.len() as i64, listing.bytes as i64);
    if !ends {
        instructions -= empty.lines.len() as i64;
        bytes -= empty.bytes as i64;
        listing.leave_out(empty);
    }
    let plural = if instructions == 1 { "" } else { "s" };
    let with = if ends { ", with the end of the block" } else { "" };
    let _ = write!(text, "    # {instructions} instruction{plural}, {bytes} bytes{with}");
    text.push('\n');
    text + &listing.text()
}

impl Listing {
    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let label = line.label.map_or(String::new(), |n| format!("L{n}:"));
            let _ = writeln!(text, "{label:<8}{}", line.text);
        }
        text
    }

    /// Leaves out the count of instructions and the exit for events where they are as in `empty`; in place of the end by
    /// SVC comes a line that says so.
    fn leave_out(&mut self, empty: &Self) {
        // `lea r13, [r13+2]`, then two instructions each of the end and of the exit.
        let [count, end @ .., _, _] = &empty.lines[..] else { return };
        let exit = &empty.lines[empty.lines.len() - 2..];
        self.lines.retain(|line| line.text.split(',').next() != count.text.split(',').next());
        let find = |lines: &[Line], part: &[Line]| {
            let same = |lines: &[Line]| lines.iter().zip(part).all(|(a, b)| a.text == b.text);
            lines.windows(part.len()).rposition(same)
        };
        if let Some(at) = find(&self.lines, exit) {
            self.lines.drain(at..at + exit.len());
        }
        if let Some(at) = find(&self.lines, end) {
            let label = self.lines[at].label;
            self.lines.splice(at..at + end.len(), [Line { label, text: "(end)".into() }]);
            self.lines
                .truncate(self.lines.len() - usize::from(at + 1 == self.lines.len() && label.is_none()));
        }
    }
}

#[test]
fn host_code_is_as_recorded() {
    let (v, _) = vcpu(&[]);
    let (_, thunks) = build_thunks(THUNKS_AT).unwrap();
    let empty = list(&[NOP, SVC], MODE, &v.cpu, &thunks);
    // The checks, the count, the end and the exit for events, which the other entries leave out.
    let whole = disassemble(&code_of(&[NOP, SVC], MODE, &v.cpu, &thunks).0, 0, &thunks);
    let mut entries = vec![format!("nop; svc #0, the whole block\n{}", whole.text())];
    for line in INSTRUCTIONS.lines() {
        if let Some((text, words)) = line.split_once('\t') {
            let words: Vec<u32> = words.split(' ').map(|w| u32::from_str_radix(w, 16).unwrap()).collect();
            entries.push(entry(text, &words, &v.cpu, &thunks, &empty));
        } else {
            entries.push(format!("{line}\n"));
        }
    }
    let made = entries.join("\n");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, made).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap();
    let recorded: Vec<&str> = recorded.split("\n\n").map(str::trim_end).collect();
    for (entry, recorded) in entries.iter().zip(&recorded) {
        assert_eq!(entry.trim_end(), *recorded, "host code changed (UPDATE_GOLDEN=1 records it)");
    }
    assert_eq!(entries.len(), recorded.len());
}
