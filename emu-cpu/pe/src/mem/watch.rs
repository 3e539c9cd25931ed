//! Watchpoints: those of a debugger outside the machine, and those of the guest (`DBGWCR<n>_EL1`, `DBGWVR<n>_EL1`).
//!
//! A page that holds a watched byte gets no tag in the fast TLB, so every access to it takes the slow path, which asks
//! here after the translation has succeeded (a watchpoint has a lower priority than an MMU fault; Arm ARM, D1.3.5).

use emu_a64::level::El;
use emu_mmu::Access;

use super::Mem;
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::sysreg::Reg;

const PAGE: u64 = 4096;
/// The bits of an address that are compared: not the tag byte.
const UNTAGGED: u64 = (1 << 56) - 1;

/// Which accesses a debugger's watchpoint stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchKind {
    /// Loads.
    Read,
    /// Stores.
    Write,
    /// Both.
    Any,
}

/// A debugger's watchpoint, on virtual addresses of whatever context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watchpoint {
    /// First address.
    pub va: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Which accesses.
    pub kind: WatchKind,
}

impl Watchpoint {
    /// The first watched byte of `bytes` bytes from `va` on.
    fn overlap(&self, va: u64, bytes: u64) -> Option<u64> {
        let into = va.wrapping_sub(self.va) & UNTAGGED;
        if into < self.bytes {
            return Some(self.va.wrapping_add(into));
        }
        let ahead = self.va.wrapping_sub(va) & UNTAGGED;
        (ahead < bytes && self.bytes != 0).then_some(self.va)
    }

    fn selects(&self, access: Access) -> bool {
        match self.kind {
            WatchKind::Read => access != Access::Write,
            WatchKind::Write => access != Access::Read,
            WatchKind::Any => true,
        }
    }
}

/// A debugger's watchpoint that an access met. The access was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchHit {
    /// The first watched byte of the access.
    pub va: u64,
    /// The watchpoint.
    pub point: Watchpoint,
}

/// What one vCPU watches.
#[derive(Default)]
pub struct Watch {
    points: Vec<Watchpoint>,
    /// Control and value of the guest's enabled watchpoints, as the fast TLB was filled under them.
    guest: Vec<(u64, u64)>,
}

impl Watch {
    pub(super) fn is_on(&self) -> bool {
        !self.points.is_empty() || !self.guest.is_empty()
    }
}

impl Mem {
    /// Watches exactly `points` for the debugger.
    pub fn set_watchpoints(&mut self, points: &[Watchpoint]) {
        if self.watch.points != points {
            self.watch.points = points.to_vec();
            self.fast.flush_all();
        }
    }

    /// The guest's enabled watchpoints are these: control and value.
    fn set_guest_watchpoints(&mut self, enabled: Vec<(u64, u64)>) {
        if self.watch.guest != enabled {
            self.watch.guest = enabled;
            self.fast.flush_all();
        }
    }
}

/// Looks for new values of the guest's watchpoint registers. Called before code runs under a changed context.
pub(super) fn refresh(cpu: &mut Cpu) {
    if !cpu.debug().monitors() && cpu.mem.watch.guest.is_empty() {
        return;
    }
    let registers = |n| (cpu.sys[Reg::DBGWCR0_EL1.plus(n)], cpu.sys[Reg::DBGWVR0_EL1.plus(n)]);
    let all = if cpu.debug().monitors() { usize::from(cpu.identity.model().watchpoints) } else { 0 };
    let enabled = (0..all).map(registers).filter(|(control, _)| control & 1 != 0).collect();
    cpu.mem.set_guest_watchpoints(enabled);
}

/// The page of `va` holds a byte that may be watched.
pub(super) fn page_is_watched(cpu: &Cpu, va: u64) -> bool {
    let page = va & !(PAGE - 1);
    cpu.mem.watch.points.iter().any(|p| p.overlap(page, PAGE).is_some())
        || !cpu.mem.watch.guest.is_empty() && cpu.debug().watchpoint_covers(page, PAGE)
}

/// Whether an access that translation allows meets a watchpoint; it is made as at `el`.
#[cold]
pub(super) fn check(cpu: &Cpu, va: u64, bytes: u64, access: Access, el: El) -> Result<(), Stop> {
    let write = access != Access::Read;
    let seen = cpu.mem.watch.points.iter().filter(|p| p.selects(access));
    let hit = seen.filter_map(|p| p.overlap(va, bytes).map(|va| WatchHit { va, point: *p })).next();
    if let Some(hit) = hit {
        return Err(Stop::Watchpoint(hit));
    }
    if cpu.mem.watch.guest.is_empty() || !cpu.debug().events_enabled() {
        return Ok(());
    }
    // An atomic access is a load, then a store.
    let load = (access != Access::Write).then(|| cpu.debug().watchpoint_hit(va, bytes, false, el)).flatten();
    let store = || write.then(|| cpu.debug().watchpoint_hit(va, bytes, true, el)).flatten();
    match load.or_else(store) {
        Some(at) => Err(Exception::Watchpoint { va: at, write: load.is_none(), maintenance: false }.into()),
        None => Ok(()),
    }
}

/// DC IVAC of a line is a store as far as the guest's watchpoints are concerned (Arm ARM, D2.10). A debugger's are not:
/// nothing changes in memory.
pub(super) fn check_invalidation(cpu: &Cpu, line: u64, bytes: u64) -> Result<(), Exception> {
    if cpu.mem.watch.guest.is_empty() || !cpu.debug().events_enabled() {
        return Ok(());
    }
    match cpu.debug().watchpoint_hit(line, bytes, true, cpu.pstate.el) {
        Some(va) => Err(Exception::Watchpoint { va, write: true, maintenance: true }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let point = Watchpoint { va: 0xffff_0000_0000_1004, bytes: 4, kind: WatchKind::Write };
        assert_eq!(point.overlap(point.va - 4, 4), None);
        assert_eq!(point.overlap(point.va - 4, 8), Some(point.va));
        assert_eq!(point.overlap(point.va + 2, 8), Some(point.va + 2));
        assert_eq!(point.overlap(point.va + 4, 8), None);
        assert_eq!(point.overlap(0x12ff_0000_0000_1004, 1), Some(point.va), "the tag byte does not count");
        assert!(point.selects(Access::Write) && point.selects(Access::ReadWrite));
        assert!(!point.selects(Access::Read));
    }
}
