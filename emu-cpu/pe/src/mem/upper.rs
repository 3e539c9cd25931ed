//! The code in the upper half of address spaces. Contexts that differ only in what the lower half is mapped by, as those of a
//! kernel under its processes do, see the same code there: what was found in one holds in all of them.

use std::collections::BTreeSet;

use emu_core::page::Watched;
use emu_mmu::{Regime, TlbiScope};

use super::context::{Context, Key};
use super::fast::concerns;
use super::filters::Blocks;

/// Upper halves that are known at a time.
const MOST: usize = 16;

/// True if `va` is in the upper half.
#[inline]
pub(super) const fn is_upper(va: u64) -> bool {
    va >> 55 & 1 != 0
}

/// One upper half.
struct Upper {
    key: Key,
    regime: Regime,
    vmid: u16,
    /// No other one ever has the same.
    id: u64,
    serial: u64,
    /// Pages that instructions were fetched from under this serial.
    pages: BTreeSet<u64>,
    blocks: Blocks,
    /// The pages of the tables that say where those of them are that are not global, which are watched. A kernel
    /// whose user processes do not see it (KPTI) has only such pages, and an invalidation by ASID, which each of its
    /// processes needs now and then, names them all. It changes nothing as long as the tables are what they were.
    tables: Vec<Watched>,
    /// There is a page that is not global, and whose tables are not known.
    unwatched: bool,
    last_used: u64,
}

/// How a bank remembers its upper half.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct UpperId {
    at: usize,
    id: u64,
}

/// The upper halves of a vCPU.
#[derive(Default)]
pub(super) struct Uppers {
    list: Vec<Upper>,
    clock: u64,
}

impl Uppers {
    /// The serial of an upper half that [`Uppers::find`] gave for the current context.
    #[inline]
    pub(super) fn serial(&self, which: UpperId) -> u64 {
        self.list.get(which.at).map_or(0, |u| u.serial)
    }

    /// The upper half of a context; `known` is what its bank remembers. True if it is new: then nothing is noted of
    /// instruction pages that the bank may have.
    pub(super) fn find(
        &mut self,
        known: UpperId,
        context: &Context,
        serial: impl FnOnce() -> u64,
    ) -> (UpperId, bool) {
        self.clock += 1;
        if let Some(u) = self.list.get_mut(known.at).filter(|u| u.id == known.id) {
            u.last_used = self.clock;
            return (known, false);
        }
        let key = context.key.of_upper_half();
        if let Some(at) = self.list.iter().position(|u| u.key == key) {
            let u = &mut self.list[at];
            u.last_used = self.clock;
            return (UpperId { at, id: u.id }, false);
        }
        let new = Upper {
            key,
            regime: context.regime(),
            vmid: context.vmid,
            id: self.clock,
            serial: serial(),
            pages: BTreeSet::new(),
            blocks: Blocks::new(),
            tables: Vec::new(),
            unwatched: false,
            last_used: self.clock,
        };
        let which = |at| UpperId { at, id: new.id };
        let oldest = self.list.iter().enumerate().min_by_key(|(_, u)| u.last_used).map(|(at, _)| at);
        match oldest.filter(|_| self.list.len() >= MOST) {
            Some(at) => {
                let which = which(at);
                self.list[at] = new;
                (which, true)
            }
            None => {
                let which = which(self.list.len());
                self.list.push(new);
                (which, true)
            }
        }
    }

    /// True if instructions were fetched from the page of `va` under the present serial.
    pub(super) fn has(&self, which: UpperId, va: u64) -> bool {
        self.list.get(which.at).is_some_and(|u| u.pages.contains(&(va >> 12)))
    }

    /// Instructions are fetched from the page of `va`, which stage 1 maps by a block of `block_bits`. `unwatched`: it is not
    /// global, and its tables were not given to [`Uppers::watch`].
    pub(super) fn note(&mut self, which: UpperId, va: u64, block_bits: u8, unwatched: bool) {
        if let Some(u) = self.list.get_mut(which.at) {
            u.pages.insert(va >> 12);
            if (13..64).contains(&block_bits) {
                u.blocks.add(va, block_bits, 0);
            }
            u.unwatched |= unwatched;
        }
    }

    /// Translation depends on these pages as they are.
    pub(super) fn watch(&mut self, which: UpperId, tables: &[Watched]) {
        if let Some(u) = self.list.get_mut(which.at) {
            for table in tables {
                if !u.tables.contains(table) {
                    u.tables.push(*table);
                }
            }
        }
    }

    /// Ends the serials under which something that a TLBI names was found; true if there are any. Then all banks must forget
    /// their instruction pages of upper halves: what those know is not noted again.
    pub(super) fn invalidate(&mut self, scope: &TlbiScope, mut serial: impl FnMut() -> u64) -> bool {
        let mut ended = false;
        for u in self.list.iter_mut().filter(|u| concerns(scope, u.regime, u.vmid, None)) {
            let named = match *scope {
                TlbiScope::Va { start, end, .. } => u.has_any(start, end),
                TlbiScope::Asid { .. } => u.unwatched || !u.tables.iter().all(Watched::holds),
                _ => true,
            };
            if named {
                u.begin(serial());
                ended = true;
            }
        }
        ended
    }

    /// Everything may have changed, and no bank has an instruction page any more.
    pub(super) fn clear(&mut self, mut serial: impl FnMut() -> u64) {
        for u in &mut self.list {
            u.begin(serial());
        }
    }
}

impl Upper {
    /// True if instructions may have been fetched from a range.
    fn has_any(&self, start: u64, end: u64) -> bool {
        is_upper(end)
            && (self.pages.range(start >> 12..=end >> 12).next().is_some()
                || self.blocks.touched(start, end) != 0)
    }

    /// A new serial.
    fn begin(&mut self, serial: u64) {
        self.serial = serial;
        self.pages.clear();
        self.blocks.forget(0);
        self.tables.clear();
        self.unwatched = false;
    }
}

#[cfg(test)]
mod tests {
    use emu_core::ram::GuestRam;

    use super::*;
    use crate::cpu::Cpu;
    use crate::mem::Fetched;
    use crate::mem::context::select;
    use crate::sysreg::{Reg, hcr};
    use crate::test_pe::max;

    const UP: u64 = 0xffff_8000_0010_0000;
    const LOW: u64 = 0x40_0000;

    fn process(cpu: &mut Cpu, n: u64) {
        cpu.sys[Reg::TTBR0_EL2] = 0x10_0000 * n;
        cpu.sys[Reg::TTBR1_EL2] = 0x20_0000 | n << 48;
        select(cpu);
    }

    fn host() -> crate::test_pe::Bench {
        let mut b = max();
        b.cpu.sys[Reg::HCR_EL2] = hcr::E2H | hcr::TGE;
        b.cpu.sys[Reg::TCR_EL2] = 1 << 22 | 1 << 36;
        b.cpu.refresh();
        b
    }

    fn fetched(cpu: &mut Cpu, va: u64, bits: u8, unwatched: bool) {
        let memory = GuestRam::new(0x1000).unwrap().place(0).unwrap().page();
        let page = Fetched { page: 1, memory, guarded: false };
        cpu.mem.fast.fill_fetch(va, page, bits, unwatched);
    }

    fn va(asid: Option<u16>, va: u64) -> TlbiScope {
        TlbiScope::Va { regime: Regime::El20, vmid: 0, asid, start: va, end: va | 0xfff }
    }

    #[test]
    fn processes_share_their_kernels_code() {
        let mut b = host();
        let cpu = &mut b.cpu;
        process(cpu, 1);
        let (up, low) = (cpu.mem.serial(UP), cpu.mem.serial(LOW));
        assert_ne!(up, low);
        process(cpu, 2);
        assert_eq!(cpu.mem.serial(UP), up);
        assert_ne!(cpu.mem.serial(LOW), low);
        cpu.sys[Reg::TTBR1_EL2] = 0x30_0000;
        select(cpu);
        assert_ne!(cpu.mem.serial(UP), up, "other tables");
        process(cpu, 1);
        assert_eq!((cpu.mem.serial(UP), cpu.mem.serial(LOW)), (up, low));
    }

    #[test]
    fn what_a_tlbi_names_ends_the_serial_in_all_contexts() {
        let mut b = host();
        let cpu = &mut b.cpu;
        process(cpu, 1);
        fetched(cpu, UP, 21, false);
        fetched(cpu, UP + 0x4000_0000, 12, false);
        let up = cpu.mem.serial(UP);
        process(cpu, 2);
        for scope in [
            va(None, UP + 0x4000_1000),
            va(None, LOW),
            va(None, UP & 0x00ff_ffff_f000),
            TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 1 },
            TlbiScope::AllEl1,
        ] {
            cpu.mem.invalidate(&scope);
            assert_eq!(cpu.mem.serial(UP), up, "{scope:?}");
        }
        let mut last = up;
        for scope in [
            va(None, UP + 0x4000_0000),
            va(Some(9), UP),
            TlbiScope::AllEl2,
            TlbiScope::Context { regime: Regime::El20, vmid: 0 },
        ] {
            cpu.mem.invalidate(&scope);
            assert_ne!(cpu.mem.serial(UP), last, "{scope:?}");
            last = cpu.mem.serial(UP);
            process(cpu, 1);
            assert_eq!(cpu.mem.serial(UP), last);
            process(cpu, 2);
            fetched(cpu, UP, 12, false);
        }
        fetched(cpu, UP, 21, true);
        cpu.mem.invalidate(&TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 7 });
        assert_ne!(cpu.mem.serial(UP), last, "a page that is not global");
    }

    #[test]
    fn an_asid_names_what_tables_say_only_when_they_have_changed() {
        let mut b = host();
        let cpu = &mut b.cpu;
        process(cpu, 1);
        let asid = TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 1 };
        let ram = GuestRam::new(0x4000).unwrap();
        fetched(cpu, UP, 12, false);
        let (_, table) = cpu.mem.watch_page(ram.place(0x3000).unwrap().page());
        cpu.mem.fast.watch_upper(&[table]);
        let up = cpu.mem.serial(UP);
        cpu.mem.invalidate(&asid);
        assert_eq!(cpu.mem.serial(UP), up);
        ram.store_u8(0x3fff, 1).unwrap();
        cpu.mem.invalidate(&asid);
        assert_ne!(cpu.mem.serial(UP), up);
        assert!(cpu.mem.fast.fetch(UP).is_none());
    }

    #[test]
    fn a_bank_that_is_used_again_has_the_upper_half_of_its_new_context() {
        let mut b = host();
        let cpu = &mut b.cpu;
        // More processes of a kernel than there are banks, then one of another kernel.
        (1..=40).for_each(|n| process(cpu, n));
        let up = cpu.mem.serial(UP);
        cpu.sys[Reg::TTBR1_EL2] = 0x30_0000;
        select(cpu);
        assert_ne!(cpu.mem.serial(UP), up);
    }

    #[test]
    fn one_that_was_forgotten_is_found_anew() {
        let mut b = host();
        let cpu = &mut b.cpu;
        process(cpu, 1);
        fetched(cpu, UP, 12, false);
        let up = cpu.mem.serial(UP);
        for n in 0..MOST as u64 {
            cpu.sys[Reg::TTBR1_EL2] = 0x30_0000 + n * 0x1000;
            select(cpu);
        }
        process(cpu, 1);
        assert_ne!(cpu.mem.serial(UP), up);
        assert!(cpu.mem.fast.fetch(UP).is_none(), "nothing is fetched that the filters do not know");
    }
}
