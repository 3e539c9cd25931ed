//! Memory as a debugger sees it: no descriptor is updated, nothing is cached, no register of a device is touched.

use emu_core::bus::Target;
use emu_core::{Pa, Security};
use emu_mmu::{Fault, Request, Translation, WalkStep, walk_observed};

use super::Mem;
use super::context::{context_for, regime_of};
use crate::cpu::Cpu;

const PAGE: u64 = 4096;

/// Why a debugger cannot have some memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// No translation.
    Fault(Fault),
    /// Nothing is there.
    Empty(Pa),
    /// Registers of a device, or for a write: memory that is read-only. Accessing them would change the machine.
    Device(Pa),
}

/// Walks for `va` in the current regime, with the privileges of its kernel or hypervisor: also at EL0 a debugger sees
/// what EL1 would. `steps` gets every descriptor that was looked at.
pub fn walk(cpu: &Cpu, va: u64, steps: &mut Vec<WalkStep>) -> Result<Translation, Fault> {
    let context = context_for(cpu, regime_of(cpu, cpu.pstate.el), true, false);
    let tables = cpu.mem.tables();
    let (s1, s2, features) = (&context.stage1, context.stage2.as_ref(), &cpu.mem.translation);
    let read = walk_observed(s1, s2, features, &Request::read(va), &tables, steps).result;
    // Memory that may only be executed is shown, too.
    read.or_else(|fault| {
        walk_observed(s1, s2, features, &Request::execute(va), &tables, &mut ()).result.map_err(|_| fault)
    })
}

/// Where `va` leads: see [`walk`].
fn translated(cpu: &Cpu, va: u64) -> Result<Pa, Unreachable> {
    walk(cpu, va, &mut Vec::new()).map(|t| t.pa).map_err(Unreachable::Fault)
}

/// Calls `each` with the pieces of `[at, at + len)` that lie in one page, as physical address and range of bytes.
/// Gives how many bytes were done, or why the first one could not be.
pub(super) fn pieces(
    len: usize,
    at: u64,
    place: impl Fn(u64) -> Result<Pa, Unreachable>,
    mut each: impl FnMut(Pa, std::ops::Range<usize>) -> Result<(), Unreachable>,
) -> Result<usize, Unreachable> {
    let mut done = 0;
    while done < len {
        let here = at.wrapping_add(done as u64);
        let n = ((PAGE - here % PAGE) as usize).min(len - done);
        match place(here).and_then(|pa| each(pa, done..done + n)) {
            Ok(()) => done += n,
            Err(why) if done == 0 => return Err(why),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Reads virtual memory; gives how many bytes could be read, at least one.
pub fn read(cpu: &Cpu, va: u64, out: &mut [u8]) -> Result<usize, Unreachable> {
    pieces(out.len(), va, |at| translated(cpu, at), |pa, range| cpu.mem.read_piece(pa, &mut out[range]))
}

/// Writes virtual memory; gives how many bytes could be written, at least one. Permissions do not count.
pub fn write(cpu: &Cpu, va: u64, bytes: &[u8]) -> Result<usize, Unreachable> {
    pieces(bytes.len(), va, |at| translated(cpu, at), |pa, range| cpu.mem.write_piece(pa, &bytes[range]))
}

/// An address that a debugger gives, in the Non-secure space.
fn physical(address: u64) -> Result<Pa, Unreachable> {
    Pa::new(address, Security::NonSecure).ok_or(Unreachable::Empty(Pa(address)))
}

impl Mem {
    /// Reads physical memory; gives how many bytes could be read, at least one.
    pub fn read_physical(&self, pa: u64, out: &mut [u8]) -> Result<usize, Unreachable> {
        pieces(out.len(), pa, physical, |pa, range| self.read_piece(pa, &mut out[range]))
    }

    /// Writes physical memory; gives how many bytes could be written, at least one.
    pub fn write_physical(&self, pa: u64, bytes: &[u8]) -> Result<usize, Unreachable> {
        pieces(bytes.len(), pa, physical, |pa, range| self.write_piece(pa, &bytes[range]))
    }

    pub(super) fn read_piece(&self, pa: Pa, out: &mut [u8]) -> Result<(), Unreachable> {
        match self.bus.view().target(pa).ok_or(Unreachable::Empty(pa))? {
            Target::Ram(place) | Target::Rom(place) => {
                let (ram, at) = place.in_block();
                ram.read(at, out).ok_or(Unreachable::Empty(pa))
            }
            Target::Mmio => Err(Unreachable::Device(pa)),
        }
    }

    pub(super) fn write_piece(&self, pa: Pa, bytes: &[u8]) -> Result<(), Unreachable> {
        match self.bus.view().target(pa).ok_or(Unreachable::Empty(pa))? {
            Target::Ram(place) => {
                let (ram, at) = place.in_block();
                ram.write(at, bytes).ok_or(Unreachable::Empty(pa))
            }
            Target::Rom(_) | Target::Mmio => Err(Unreachable::Device(pa)),
        }
    }
}
