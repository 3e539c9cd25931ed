//! What most cases begin with: a stream of each kind, and a page that they reach.

use super::{Bank, ContextFault, GlobalFault, Window, cb, cr0, fsr, gr1, reg, s2cr};
use crate::guest_tests::program::Program;
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::{Dma, End};

pub use crate::guest_tests::smmu::{DATA, IOVA, IPA, OTHER};

/// The streams. Each has the group with its number.
pub mod stream {
    /// Translated by stage 1.
    pub const STAGE1: u32 = 1;
    /// By stage 2.
    pub const STAGE2: u32 = 2;
    /// By both.
    pub const NESTED: u32 = 3;
    /// Not translated.
    pub const BYPASS: u32 = 4;
    /// Nothing of it passes.
    pub const FAULT: u32 = 5;
    /// It has no group.
    pub const UNIDENTIFIED: u32 = 6;
    /// For the case to define.
    pub const SPARE: u32 = 7;
}

/// The context bank of [`stream::STAGE1`].
pub const BANK1: u32 = 3;
/// The context bank of [`stream::STAGE2`], and of stage 2 of [`stream::NESTED`].
pub const BANK2: u32 = 4;
/// The context bank of stage 1 of [`stream::NESTED`].
pub const BANK_NESTED: u32 = 5;
/// The VMID of stage 2. That of stage 1 alone is 0. ASIDs are 1 without stage 2 and 2 with it.
pub const VMID: u32 = 9;

/// See the module's head.
pub struct Rig {
    /// Where the registers are.
    pub window: Window,
    /// What is written to sCR0 at the end.
    pub cr0: u32,
    /// Stage 1 of [`stream::STAGE1`]: [`IOVA`] to the frame.
    pub s1: Tables,
    /// Stage 1 of [`stream::NESTED`]: [`IOVA`] to [`IPA`].
    pub inner: Tables,
    /// Stage 2: [`IPA`] to the frame; and all tables to themselves.
    pub s2: Tables,
    /// The context banks, by number, in which they are written.
    pub banks: Vec<(u32, Bank)>,
    /// The frame, which begins with [`DATA`].
    pub frame: u64,
    /// Another one, with [`OTHER`].
    pub other: u64,
}

impl Rig {
    /// With an SMMU that is yet to be started.
    pub fn new(p: &mut Program) -> Self {
        Self::with(p, Window::MMU500, Granule::K4)
    }

    /// With registers of this shape, and tables of this granule.
    pub fn with(p: &mut Program, window: Window, granule: Granule) -> Self {
        let s1 = Tables { root: p.table(granule), granule };
        let inner = Tables { root: p.table(granule), granule };
        let s2 = p.stage2(granule);
        let (frame, other) = (p.frame(0x1_0000), p.frame(0x1_0000));
        let page = |va: u64| va & !(granule.size() - 1);
        p.page(s1, page(IOVA), frame, desc::EL0_RW | desc::NG);
        p.page(inner, page(IOVA), page(IPA), desc::EL0_RW | desc::NG);
        p.page(s2, page(IPA), frame, desc::S2_RW);
        let banks = vec![
            (BANK1, Bank::stage1(s1, 1)),
            (BANK2, Bank::stage2(s2, VMID)),
            (BANK_NESTED, Bank::nested(inner, 2, BANK2, VMID)),
        ];
        Self { window, cr0: cr0::USUAL, s1, inner, s2, banks, frame, other }
    }

    /// Changes a context bank before it is written, or adds one.
    pub fn bank(&mut self, n: u32, change: impl FnOnce(Bank) -> Bank) {
        let stage1 = Bank::stage1(self.s1, 1);
        match self.banks.iter_mut().find(|(number, _)| *number == n) {
            Some((_, bank)) => *bank = change(*bank),
            None => self.banks.push((n, change(stage1))),
        }
    }

    /// The address of a register of a context bank.
    #[must_use]
    pub const fn at(&self, bank: u32, register: u64) -> u64 {
        self.window.bank(bank, register)
    }

    /// Starts the SMMU as drivers do, in their order; there is something to be read.
    pub fn start(&self, p: &mut Program) {
        p.poke(self.frame, DATA);
        p.poke(self.other, OTHER);
        p.poke32(reg::CR0, cr0::CLIENTPD);
        p.peek32(0, reg::GFSR);
        p.mov(18, reg::GFSR);
        a64!(p ; str w0, [x18]);
        for (n, bank) in &self.banks {
            p.smmu_bank(self.window, *n, bank);
        }
        let groups = [
            (stream::STAGE1, s2cr::translate(BANK1)),
            (stream::STAGE2, s2cr::translate(BANK2)),
            (stream::NESTED, s2cr::translate(BANK_NESTED)),
            (stream::BYPASS, s2cr::BYPASS),
            (stream::FAULT, s2cr::FAULT),
        ];
        for (stream, s2cr) in groups {
            p.smmu_group(stream, stream, s2cr);
        }
        p.poke32(reg::TLBIALLNSNH, 0);
        p.poke32(reg::TLBIALLH, 0);
        p.smmu_sync();
        p.poke32(reg::CR0, self.cr0);
    }

    /// A rig that is started.
    pub fn started(p: &mut Program) -> Self {
        let rig = Self::new(p);
        rig.start(p);
        rig
    }

    /// A read of the first doubleword of the frame.
    pub fn reads(&self, p: &mut Program, name: &str, dma: &Dma) {
        p.dma_reads(name, dma, DATA);
    }

    /// A write to the first doubleword of the frame.
    pub fn writes(&self, p: &mut Program, name: &str, dma: &Dma) {
        p.dma_writes(name, dma, self.frame, DATA);
    }

    /// Expects a context bank to have recorded this.
    pub fn expect_fault(&self, p: &mut Program, name: &str, fault: &ContextFault) {
        let at = |register| self.at(fault.bank, register);
        p.expect_word(&format!("{name}: FSR"), at(cb::FSR), u64::MAX, fault.fsr);
        p.expect_word(&format!("{name}: FSYNR0"), at(cb::FSYNR0), u64::MAX, fault.fsynr0);
        p.expect_double(&format!("{name}: FAR"), at(cb::FAR), fault.far);
        if let Some(ipa) = fault.ipa {
            p.peek(0, at(cb::IPAFAR));
            p.expect_bits(&format!("{name}: IPAFAR"), 0, !0xfff, ipa);
        }
        let syndrome = self.window.gr1(gr1::CBFRSYNRA, fault.bank);
        p.expect_word(&format!("{name}: CBFRSYNRA"), syndrome, 0xffff, fault.stream.into());
    }

    /// Expects a context bank to have no fault.
    pub fn expect_no_fault(&self, p: &mut Program, name: &str, bank: u32) {
        p.expect_word(&format!("{name}: FSR"), self.at(bank, cb::FSR), !fsr::FORMAT, 0);
    }

    /// Software has seen the fault: all that FSR shows is cleared by writing it.
    pub fn clear(&self, p: &mut Program, bank: u32) {
        p.peek32(0, self.at(bank, cb::FSR));
        p.mov(18, self.at(bank, cb::FSR));
        a64!(p ; str w0, [x18] ; dsb sy);
    }

    /// RESUME: a retry, or the end.
    pub fn resume(&self, p: &mut Program, bank: u32, terminate: bool) {
        p.poke32(self.at(bank, cb::RESUME), terminate.into());
    }

    /// A transfer that is aborted, and this in the registers of the bank, which are cleared.
    pub fn faults(&self, p: &mut Program, name: &str, dma: &Dma, fault: &ContextFault) {
        p.dma(name, dma, End::Aborted(0));
        self.expect_fault(p, name, fault);
        self.clear(p, fault.bank);
        self.expect_no_fault(p, &format!("{name}, cleared"), fault.bank);
    }

    /// A transfer that is stalled, and this in the registers of the bank.
    pub fn stalls(&self, p: &mut Program, name: &str, dma: &Dma, fault: &ContextFault) {
        p.dma(name, dma, End::Waiting);
        self.expect_fault(p, name, &fault.stalled());
    }

    /// A transfer that ends like this, and a global fault, which is cleared.
    pub fn faults_globally(&self, p: &mut Program, name: &str, dma: &Dma, fault: &GlobalFault) {
        p.dma(name, dma, End::Aborted(0));
        self.expect_global(p, name, fault);
    }

    /// Expects this to be recorded, and clears it.
    pub fn expect_global(&self, p: &mut Program, name: &str, fault: &GlobalFault) {
        p.expect_word(&format!("{name}: sGFSR"), reg::GFSR, u64::MAX, fault.gfsr);
        p.expect_word(&format!("{name}: sGFSYNR0"), reg::GFSYNR0, u64::MAX, fault.gfsynr0);
        p.expect_word(&format!("{name}: sGFSYNR1"), reg::GFSYNR1, 0xffff, fault.stream.into());
        p.expect_double(&format!("{name}: sGFAR"), reg::GFAR, fault.gfar);
        p.poke32(reg::GFSR, fault.gfsr as u32);
        p.expect_word(&format!("{name}: sGFSR, cleared"), reg::GFSR, u64::MAX, 0);
    }
}
