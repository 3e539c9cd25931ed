//! The code in the upper half of address spaces. Contexts that differ only in what the lower half is mapped by, as those of a
//! kernel under its processes do, see the same code there: what was found in one holds in all of them.

use emu_mmu::{Regime, TlbiScope};

use super::context::{Context, Key};
use super::fast::{BlockFilter, CodePages, concerns};

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
    /// Where instructions were fetched since the filters were cleared. They are only when all banks have dropped their
    /// instruction pages: what those know is not noted again.
    pages: CodePages,
    blocks: BlockFilter,
    /// Some page is not global, so that it goes when an ASID is invalidated.
    not_global: bool,
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
            pages: CodePages::default(),
            blocks: BlockFilter::default(),
            not_global: false,
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

    /// Instructions are fetched from the page of `va`, which stage 1 maps by a block of `block_bits`.
    pub(super) fn note(&mut self, which: UpperId, va: u64, block_bits: u8, not_global: bool) {
        if let Some(u) = self.list.get_mut(which.at) {
            u.pages.add(va);
            if (13..64).contains(&block_bits) {
                u.blocks.add(va, block_bits);
            }
            u.not_global |= not_global;
        }
    }

    /// Ends the serials under which something that a TLBI names was found.
    pub(super) fn invalidate(&mut self, scope: &TlbiScope, mut serial: impl FnMut() -> u64) {
        for u in self.list.iter_mut().filter(|u| concerns(scope, u.regime, u.vmid, None)) {
            let named = match *scope {
                TlbiScope::Va { start, end, .. } => {
                    u.pages.may_have(start, end) || u.blocks.may_touch(start, end)
                }
                TlbiScope::Asid { .. } => u.not_global,
                _ => true,
            };
            if named {
                u.serial = serial();
            }
            // These name whole banks.
            if !matches!(scope, TlbiScope::Va { .. } | TlbiScope::Asid { .. }) {
                u.forget();
            }
        }
    }

    /// Everything may have changed, and no bank has an instruction page any more.
    pub(super) fn clear(&mut self, mut serial: impl FnMut() -> u64) {
        for u in &mut self.list {
            u.serial = serial();
            u.forget();
        }
    }
}

impl Upper {
    /// No bank has an instruction page of it any more.
    fn forget(&mut self) {
        self.pages = CodePages::default();
        self.blocks = BlockFilter::default();
        self.not_global = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::mem::Fetched;
    use crate::mem::context::select;
    use crate::mem::fast::HostPage;
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

    fn fetched(cpu: &mut Cpu, va: u64, bits: u8, not_global: bool) {
        let page = Fetched { page: 1, host: HostPage::new(std::ptr::null_mut()), guarded: false };
        cpu.mem.fast.fill_fetch(va, page, bits, not_global);
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
            TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 1 },
            TlbiScope::AllEl1,
        ] {
            cpu.mem.invalidate(&scope);
            assert_eq!(cpu.mem.serial(UP), up, "{scope:?}");
        }
        let mut last = up;
        for scope in [
            va(None, UP + 0x4000_0000),
            va(Some(9), UP + 0x10_0000 - 0x1000),
            TlbiScope::AllEl2,
            TlbiScope::Context { regime: Regime::El20, vmid: 0 },
        ] {
            cpu.mem.invalidate(&scope);
            assert_ne!(cpu.mem.serial(UP), last, "{scope:?}");
            last = cpu.mem.serial(UP);
            process(cpu, 1);
            assert_eq!(cpu.mem.serial(UP), last);
            process(cpu, 2);
            fetched(cpu, UP, 12, true);
        }
        cpu.mem.invalidate(&TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 7 });
        assert_ne!(cpu.mem.serial(UP), last, "a page that is not global");
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
