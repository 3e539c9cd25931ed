//! Breakpoints and watchpoints: which registers match (Arm ARM, D2.8 and D2.9, pseudocode functions
//! AArch64.BreakpointMatch and AArch64.WatchpointMatch).
//!
//! Whether debug exceptions are taken at all is [`SelfHostedDebug::events_enabled`]'s to say, which is to be asked first.

use emu_a64::features::Feat;
use emu_a64::level::El;
use emu_core::Security;

use super::SelfHostedDebug;
use crate::sysreg::Reg;

/// Fields that DBGBCR<n>_EL1 and DBGWCR<n>_EL1 have in common.
#[derive(Clone, Copy)]
struct Control(u64);

impl Control {
    const fn enabled(self) -> bool {
        self.0 & 1 != 0
    }
    /// PMC or PAC.
    const fn privilege(self) -> u64 {
        self.0 >> 1 & 3
    }
    const fn hmc(self) -> bool {
        self.0 >> 13 & 1 != 0
    }
    const fn ssc(self) -> u64 {
        self.0 >> 14 & 3
    }
    /// LBN.
    const fn linked(self) -> usize {
        (self.0 >> 16 & 15) as usize
    }
    /// BT of a breakpoint.
    const fn kind(self) -> u64 {
        self.0 >> 20 & 15
    }
    /// WT of a watchpoint.
    const fn is_linked_watchpoint(self) -> bool {
        self.0 >> 20 & 1 != 0
    }
    /// LSC of a watchpoint: bit 0 loads, bit 1 stores.
    const fn selects(self, write: bool) -> bool {
        self.0 >> 3 & if write { 2 } else { 1 } != 0
    }
    /// BAS of a watchpoint.
    const fn bytes(self) -> u64 {
        self.0 >> 5 & 0xff
    }
    /// MASK of a watchpoint.
    const fn mask(self) -> u64 {
        self.0 >> 24 & 31
    }

    /// HMC, SSC and PMC/PAC select Exception levels and Security states (pseudocode function AArch64.StateMatch).
    fn matches_state(self, el: El, security: Security) -> bool {
        let (hmc, ssc, p) = (self.hmc(), self.ssc(), self.privilege());
        let security = match ssc {
            0 => true,
            1 => security == Security::NonSecure,
            2 => security == Security::Secure,
            _ => hmc || security == Security::Secure,
        };
        let level = match el {
            El::El0 => p & 2 != 0,
            El::El1 => p & 1 != 0,
            El::El2 | El::El3 => hmc && !(ssc == 2 && p == 0) || ssc == 3,
        };
        security && level
    }
}

/// What a breakpoint's value is compared with (DBGBCR<n>_EL1.BT without its lowest bit, which says that it is linked).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Address,
    /// CONTEXTIDR_EL1, or CONTEXTIDR_EL2 in a host.
    Context,
    ContextEl1,
    Vmid,
    ContextAndVmid,
    ContextEl2,
    BothContexts,
}

impl Compare {
    const fn of(kind: u64) -> Option<Self> {
        Some(match kind >> 1 {
            0 => Self::Address,
            1 => Self::Context,
            3 => Self::ContextEl1,
            4 => Self::Vmid,
            5 => Self::ContextAndVmid,
            6 => Self::ContextEl2,
            7 => Self::BothContexts,
            // Address mismatch is of AArch32.
            _ => return None,
        })
    }
}

impl SelfHostedDebug<'_> {
    fn address_bits(&self) -> u64 {
        if self.identity.has(Feat::Lva) { 1 << 53 } else { 1 << 49 }
    }

    /// A breakpoint matches an instruction at `pc`.
    #[must_use]
    pub fn breakpoint_hit(&self, pc: u64) -> bool {
        (0..usize::from(self.identity.model().breakpoints)).any(|n| {
            let control = Control(self.sys[Reg::DBGBCR0_EL1.plus(n)]);
            control.enabled()
                && control.matches_state(self.pstate.el, self.security)
                && self.breakpoint_value(n, Some(pc))
        })
    }

    /// Some breakpoint is enabled, whatever it matches.
    #[must_use]
    pub fn has_breakpoints(&self) -> bool {
        (0..usize::from(self.identity.model().breakpoints))
            .any(|n| Control(self.sys[Reg::DBGBCR0_EL1.plus(n)]).enabled())
    }

    /// The value of breakpoint `n` matches; `pc` is `None` if it is the linked half of another.
    fn breakpoint_value(&self, n: usize, pc: Option<u64>) -> bool {
        let control = Control(self.sys[Reg::DBGBCR0_EL1.plus(n)]);
        let value = self.sys[Reg::DBGBVR0_EL1.plus(n)];
        let linked = control.kind() & 1 != 0;
        let Some(compare) = Compare::of(control.kind()) else { return false };
        match (compare, pc) {
            (Compare::Address, Some(pc)) => {
                let mask = (self.address_bits() - 1) & !3;
                (pc ^ value) & mask == 0 && (!linked || self.linked_context(control.linked()))
            }
            (Compare::Address, None) => false,
            // A context breakpoint that is linked matches only through what links to it.
            (_, Some(_)) if linked => false,
            (_, None) if !linked => false,
            (compare, _) => self.is_context_aware(n) && self.context_matches(compare, value),
        }
    }

    fn is_context_aware(&self, n: usize) -> bool {
        let all = usize::from(self.identity.model().breakpoints);
        n < all && n + usize::from(self.identity.model().context_breakpoints) >= all
    }

    fn linked_context(&self, n: usize) -> bool {
        self.is_context_aware(n)
            && Control(self.sys[Reg::DBGBCR0_EL1.plus(n)]).enabled()
            && self.breakpoint_value(n, None)
    }

    fn context_matches(&self, compare: Compare, value: u64) -> bool {
        let (low, high) = (value & 0xffff_ffff, value >> 32);
        let el = self.pstate.el;
        let host = self.is_in_host(el);
        let guest = el < El::El2 && !host;
        let one = guest && self.sys[Reg::CONTEXTIDR_EL1] == low;
        let width = if self.identity.has(Feat::Vmid16) { 0xffff } else { 0xff };
        let vmid = self.el2_enabled() && guest && (self.sys[Reg::VTTBR_EL2] >> 48 ^ high) & width == 0;
        let two = self.el2_enabled() && self.identity.has(Feat::Vhe) && self.sys[Reg::CONTEXTIDR_EL2] == high;
        match compare {
            Compare::Address => false,
            Compare::Context if host => self.sys[Reg::CONTEXTIDR_EL2] == low,
            Compare::Context => one,
            Compare::ContextEl1 => self.identity.has(Feat::Vhe) && one,
            Compare::Vmid => vmid,
            Compare::ContextAndVmid => one && vmid,
            Compare::ContextEl2 => two,
            Compare::BothContexts => one && two,
        }
    }

    /// The address to report if a watchpoint matches an access of `bytes` bytes at `va`, made as at `el` (EL0 for the
    /// unprivileged loads and stores).
    #[must_use]
    pub fn watchpoint_hit(&self, va: u64, bytes: u64, write: bool, el: El) -> Option<u64> {
        (0..usize::from(self.identity.model().watchpoints)).find_map(|n| {
            let control = Control(self.sys[Reg::DBGWCR0_EL1.plus(n)]);
            let on = control.enabled() && control.selects(write) && control.matches_state(el, self.security);
            if !on || control.is_linked_watchpoint() && !self.linked_context(control.linked()) {
                return None;
            }
            let value = self.sys[Reg::DBGWVR0_EL1.plus(n)];
            self.watched(control, value, va, bytes)
        })
    }

    /// Some enabled watchpoint watches one of the `bytes` bytes from `va` on, for whatever kind of access.
    #[must_use]
    pub fn watchpoint_covers(&self, va: u64, bytes: u64) -> bool {
        (0..usize::from(self.identity.model().watchpoints)).any(|n| {
            let control = Control(self.sys[Reg::DBGWCR0_EL1.plus(n)]);
            let value = self.sys[Reg::DBGWVR0_EL1.plus(n)];
            control.enabled() && self.watched(control, value, va, bytes).is_some()
        })
    }

    /// The first byte of the access that is watched.
    fn watched(&self, control: Control, value: u64, va: u64, bytes: u64) -> Option<u64> {
        let low = self.address_bits() - 1;
        let (start, watched) = match control.mask() {
            // BAS counts from WVR, whose bit 2 may be set to watch the upper word by BAS[3:0].
            0 => (value & low, control.bytes()),
            // MASK 1 and 2 are reserved; a mask selects whole doublewords.
            1 | 2 => return None,
            m => {
                let size = 1u64 << m;
                let (first, last) = (value & low & !(size - 1), (value & low) | (size - 1));
                let at = (va & low).max(first);
                return (at <= last && at - (va & low) < bytes).then(|| va.wrapping_add(at - (va & low)));
            }
        };
        (0..8).filter(|i| watched >> i & 1 != 0).find_map(|i| {
            let offset = start.wrapping_add(i).wrapping_sub(va) & low;
            (offset < bytes).then(|| va.wrapping_add(offset))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pe::max;

    /// E = 1, PMC = 0b11, BAS = 0b1111: EL1 and EL0.
    const EL10: u64 = 0x1e7;

    #[test]
    fn addresses() {
        let mut b = max();
        let c = &mut b.cpu;
        c.set_level(El::El1, true);
        c.sys[Reg::DBGBVR0_EL1.plus(3)] = 0xffff_8000_1234_5678;
        c.sys[Reg::DBGBCR0_EL1.plus(3)] = EL10;
        assert!(c.debug().breakpoint_hit(0xffff_8000_1234_5678));
        assert!(!c.debug().breakpoint_hit(0xffff_8000_1234_567c));
        c.set_level(El::El2, true);
        assert!(!c.debug().breakpoint_hit(0xffff_8000_1234_5678), "EL2 is not selected");
        c.sys[Reg::DBGBCR0_EL1.plus(3)] = EL10 | 1 << 13;
        assert!(c.debug().breakpoint_hit(0xffff_8000_1234_5678), "HMC");
        c.set_level(El::El0, false);
        c.sys[Reg::DBGBCR0_EL1.plus(3)] = 0x1e3;
        assert!(!c.debug().breakpoint_hit(0xffff_8000_1234_5678), "PMC = 0b01: EL1 only");
    }

    /// Table D2-9 of the Arm ARM, for EL1 (PMC = 0b01).
    #[test]
    fn security_states() {
        let all = [Security::NonSecure, Security::Secure];
        let matches = |ssc: u64, hmc: u64| {
            all.map(|s| Control(1 | 1 << 1 | hmc << 13 | ssc << 14).matches_state(El::El1, s))
        };
        assert_eq!(
            [0, 1, 2, 3].map(|ssc| matches(ssc, 0)),
            [[true, true], [true, false], [false, true], [false, true]]
        );
        assert_eq!(matches(3, 1), [true, true]);
    }

    #[test]
    fn linked_contexts() {
        let mut b = max();
        let c = &mut b.cpu;
        c.set_level(El::El0, false);
        c.sys[Reg::CONTEXTIDR_EL1] = 42;
        c.sys[Reg::DBGBVR0_EL1] = 0x1000;
        // Linked address match, to breakpoint 5: linked context match.
        c.sys[Reg::DBGBCR0_EL1] = EL10 | 1 << 20 | 5 << 16;
        c.sys[Reg::DBGBVR5_EL1] = 42;
        c.sys[Reg::DBGBCR5_EL1] = EL10 | 3 << 20;
        assert!(c.debug().breakpoint_hit(0x1000));
        assert!(!c.debug().breakpoint_hit(0x2000), "the linked one alone does not match");
        c.sys[Reg::CONTEXTIDR_EL1] = 43;
        assert!(!c.debug().breakpoint_hit(0x1000));
    }

    #[test]
    fn watched_bytes() {
        let mut b = max();
        let c = &mut b.cpu;
        c.set_level(El::El1, true);
        // Stores to bytes 4 to 7 of the doubleword: E, PAC = 0b01, LSC = 0b10.
        c.sys[Reg::DBGWVR0_EL1] = 0x8000;
        c.sys[Reg::DBGWCR0_EL1] = 1 | 1 << 1 | 2 << 3 | 0xf0 << 5;
        assert_eq!(c.debug().watchpoint_hit(0x8000, 4, true, El::El1), None);
        assert_eq!(c.debug().watchpoint_hit(0x8000, 8, true, El::El1), Some(0x8004));
        assert_eq!(c.debug().watchpoint_hit(0x7ff0, 16, true, El::El1), None);
        assert_eq!(c.debug().watchpoint_hit(0x7ffe, 8, true, El::El1), Some(0x8004));
        assert_eq!(c.debug().watchpoint_hit(0x8006, 1, true, El::El1), Some(0x8006));
        assert_eq!(c.debug().watchpoint_hit(0x8006, 1, false, El::El1), None, "loads");
        assert_eq!(c.debug().watchpoint_hit(0x8006, 1, true, El::El0), None, "EL0");
        // MASK = 12: a page.
        c.sys[Reg::DBGWCR0_EL1] = 1 | 1 << 1 | 3 << 3 | 0xff << 5 | 12 << 24;
        assert_eq!(c.debug().watchpoint_hit(0x8fff, 1, false, El::El1), Some(0x8fff));
        assert_eq!(c.debug().watchpoint_hit(0x7ffc, 8, false, El::El1), Some(0x8000));
        assert_eq!(c.debug().watchpoint_hit(0x9000, 8, false, El::El1), None);
    }
}
