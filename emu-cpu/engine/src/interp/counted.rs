//! Time that passes with instructions: so many nanoseconds for each, and none meanwhile. A run is then the same every time, as far
//! as nothing else comes from outside.
//!
//! Code is interpreted, in stretches that end where a timer is due; a timer fires at most a block late. Waiting (WFI, WFE) lets
//! time jump to the next timer.

use emu_core::metrics::Metric;

use super::block_loop::Policy;
use super::run::{Blocks, Position};
use super::vcpu::Vcpu;

/// Instructions after which time passes, if no timer is due before: what reads the counter sees it this coarse.
const STRETCH: u64 = 1000;

/// The loop that ends after so many instructions.
struct Counted {
    /// The count of instructions at which it ends.
    until: u64,
}

impl Policy for Counted {
    fn ends(&mut self, blocks: &Blocks<'_>, _: &Position) -> bool {
        let left = self.until.wrapping_sub(blocks.cpu.counters.get(Metric::Instructions));
        blocks.cpu.wires.doorbell().is_rung() || left == 0 || left > STRETCH
    }
}

impl Vcpu {
    /// Each instruction takes 2^`shift` nanoseconds from now on, of a clock whose time is counted
    /// ([`emu_core::clock::Mode::Counted`]). Instructions are interpreted.
    pub fn count_time(&mut self, shift: u32) {
        self.counted = Some(shift);
    }

    /// Runs blocks until something must be looked at or time is to pass, and lets it pass.
    pub(super) fn run_counted(&mut self, shift: u32) {
        let Self { cpu, frame, cache, .. } = self;
        let begun = cpu.counters.get(Metric::Instructions);
        let due = cpu.clock.next_deadline().map_or(u64::MAX, |at| at.saturating_sub(cpu.clock.now_ns()));
        let stretch = (due >> shift).clamp(1, STRETCH);
        let mut at = Position::at(cpu.regs.pc);
        let mut policy = Counted { until: begun.wrapping_add(stretch) };
        let ended = Blocks::new(cpu, frame, cache, None).follow(&mut at, &mut policy);
        let leave = self.end(at, ended, None);
        let done = self.cpu.counters.get(Metric::Instructions).wrapping_sub(begun);
        self.cpu.clock.advance(done << shift);
        self.leave(leave);
    }
}
