//! What is said about a difference.

use std::fmt::Write as _;

use super::Difference;
use super::follow::{Reached, StretchEnd};
use super::state::RegisterSnapshot;
use crate::interp::run::Position;
use crate::interp::vcpu::Vcpu;
use crate::jit::HostCode;

/// Blocks before the last one that are listed.
const TRAIL: usize = 24;
/// Blocks whose code is printed.
const CODE: usize = 3;

pub(super) fn report(
    vcpu: &Vcpu,
    pc: u64,
    before: &RegisterSnapshot,
    found: &Difference,
    budget: u64,
    history: &str,
) -> String {
    let mut text = String::new();
    let Difference { native, interpreted, states: [after_native, after], bytes } = found;
    let cpu = &vcpu.cpu;
    let _ = writeln!(
        text,
        "lockstep: host code and interpreter differ on CPU {}, at {}, in a stretch from {pc:#x} (budget {budget})",
        cpu.identity.index(),
        cpu.pstate.el
    );
    let _ = writeln!(text, "ends: jit    {}", ending(vcpu, native));
    let _ = writeln!(text, "      interp {}", ending(vcpu, interpreted));
    let registers = before.differences(after_native, after);
    if !registers.is_empty() {
        let _ = writeln!(text, "registers that differ:\n{}", registers.trim_end());
    }
    if !bytes.is_empty() {
        let _ = writeln!(text, "memory that differs (physical address: before, jit, interp):");
        for b in bytes {
            let _ = writeln!(text, "  {:#x}: {:02x} {:02x} {:02x}", b.pa.0, b.before, b.first, b.second);
        }
    }
    let _ = writeln!(text, "blocks of the stretch, in the interpreter (the last ones):");
    let skipped = interpreted.trail.len().saturating_sub(TRAIL);
    if skipped > 0 {
        let _ = writeln!(text, "  ({skipped} more)");
    }
    for at in interpreted.trail.iter().skip(skipped) {
        let _ = writeln!(text, "  {:#x}  block {}", at.pc, at.index);
    }
    let mut shown: Vec<u32> = Vec::new();
    for at in interpreted.trail.iter().rev().chain(native.trail.last()) {
        if shown.len() >= CODE {
            break;
        }
        if !shown.contains(&at.index) {
            shown.push(at.index);
            block(&mut text, vcpu, *at);
        }
    }
    let _ = writeln!(text, "stretches before:\n  {history}");
    text
}

fn ending(vcpu: &Vcpu, reached: &Reached) -> String {
    let code = vcpu.cache.get(reached.at.index).map(|b| &b.code);
    format!("{:#x}: {:x?}, after {} instructions", reached.pc(code), Shown(reached.why), reached.done)
}

struct Shown(StretchEnd);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            StretchEnd::Budget => f.write_str("enough"),
            StretchEnd::TooFar => f.write_str("went past where host code ended"),
            StretchEnd::NotReplayable(_) => f.write_str("before an operation that is done once"),
            why => write!(f, "{why:x?}"),
        }
    }
}

/// A block: instructions, operations, host code.
fn block(text: &mut String, vcpu: &Vcpu, at: Position) {
    let Some(block) = vcpu.cache.get(at.index) else { return };
    let _ = writeln!(text, "block {} at {:#x} (physical page {:#x}):", at.index, at.pc, block.page());
    for (n, word) in block.code.words.iter().enumerate() {
        let _ = writeln!(text, "  {:#x}: {word:08x}", at.pc.wrapping_add(4 * n as u64));
        let ops = block.code.uops.iter().zip(&block.code.insn_of);
        for (uop, _) in ops.filter(|(_, insn)| usize::from(**insn) == n) {
            let _ = writeln!(text, "      {uop:x?}");
        }
    }
    if let (Some(native), Some(host)) = (&vcpu.native, &block.native) {
        let (at, bytes) = native.code(host);
        let _ = write!(text, "  host code at {at:#x}, {} bytes:", bytes.len());
        for (n, byte) in bytes.iter().enumerate() {
            let _ = write!(text, "{}{byte:02x}", if n % 32 == 0 { "\n    " } else { " " });
        }
        text.push('\n');
    }
}
