//! What most cases begin with: a stream of each kind, and a page that they reach.

use super::Smmu;
use super::structures::{Entry, Event, cd, ste};
use crate::guest_tests::program::Program;
use crate::guest_tests::tables::{Granule, Tables, desc};
use crate::guest_tests::test_master::{Dma, End};

/// The streams.
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
    pub const ABORT: u32 = 5;
    /// Its STE is not valid.
    pub const INVALID: u32 = 6;
    /// For the case to define.
    pub const SPARE: [u32; 2] = [7, 8];
}

/// The page of stage 1 that leads to the frame.
pub const IOVA: u64 = 0x12_3456_7000;
/// The page of stage 2 that does.
pub const IPA: u64 = 0x23_4567_8000;
/// The first doubleword of the frame.
pub const DATA: u64 = 0x1122_3344_5566_7788;
/// The first doubleword of the other frame.
pub const OTHER: u64 = 0x99aa_bbcc_ddee_ff00;

/// VMIDs of the streams with stage 2; ASIDs are 1 without it and 2 with it.
pub const VMID: u64 = 3;

/// See the module's head.
pub struct Rig {
    /// The SMMU.
    pub smmu: Smmu,
    /// Stage 1 of [`stream::STAGE1`]: [`IOVA`] to the frame.
    pub s1: Tables,
    /// Stage 1 of [`stream::NESTED`]: [`IOVA`] to [`IPA`].
    pub inner: Tables,
    /// Stage 2: [`IPA`] to the frame; and all tables and CDs to themselves.
    pub s2: Tables,
    /// A page of CDs, 64: the first one is that of [`stream::STAGE1`], the second one that of [`stream::NESTED`].
    pub contexts: u64,
    /// The frame, which begins with [`DATA`].
    pub frame: u64,
    /// Another one, with [`OTHER`].
    pub other: u64,
}

impl Rig {
    /// With an SMMU that is yet to be started.
    pub fn new(p: &mut Program) -> Self {
        Self::with(p, Granule::K4)
    }

    /// With tables of this granule.
    pub fn with(p: &mut Program, granule: Granule) -> Self {
        let smmu = Smmu::new(p);
        let s1 = Tables { root: p.table(granule), granule };
        let inner = Tables { root: p.table(granule), granule };
        let s2 = p.stage2(granule);
        let contexts = p.table(Granule::K4);
        let (frame, other) = (p.frame(0x1_0000), p.frame(0x1_0000));
        let page = |va: u64| va & !(granule.size() - 1);
        p.page(s1, page(IOVA), frame, desc::EL0_RW | desc::NG);
        p.page(inner, page(IOVA), page(IPA), desc::EL0_RW | desc::NG);
        p.page(s2, page(IPA), frame, desc::S2_RW);
        let rig = Self { smmu, s1, inner, s2, contexts, frame, other };
        rig.put_cd(p, 0, cd::of(s1, 1));
        rig.put_cd(p, 1, cd::of(inner, 2));
        rig.put_ste(p, stream::STAGE1, rig.stage1());
        rig.put_ste(p, stream::STAGE2, ste::stage2(s2, VMID));
        rig.put_ste(p, stream::NESTED, rig.nested());
        rig.put_ste(p, stream::BYPASS, ste::BYPASS);
        rig.put_ste(p, stream::ABORT, ste::ABORT);
        rig
    }

    /// The STE of [`stream::STAGE1`].
    #[must_use]
    pub fn stage1(&self) -> Entry {
        ste::stage1(self.cd(0))
    }

    /// The STE of [`stream::NESTED`].
    #[must_use]
    pub fn nested(&self) -> Entry {
        ste::nested(self.cd(1), self.s2, VMID)
    }

    /// Where a CD is.
    #[must_use]
    pub fn cd(&self, n: u64) -> u64 {
        self.contexts + 64 * n
    }

    /// Puts an STE into the image.
    pub fn put_ste(&self, p: &mut Program, stream: u32, entry: Entry) {
        p.put_entry(self.smmu.ste(stream), entry);
    }

    /// Puts a CD into the image.
    pub fn put_cd(&self, p: &mut Program, n: u64, entry: Entry) {
        p.put_entry(self.cd(n), entry);
    }

    /// Starts the SMMU; there is something to be read.
    pub fn start(&mut self, p: &mut Program) {
        p.poke(self.frame, DATA);
        p.poke(self.other, OTHER);
        self.smmu.start(p);
    }

    /// A read of the first doubleword of the frame.
    pub fn reads(&self, p: &mut Program, name: &str, dma: &Dma) {
        self.reads_value(p, name, dma, DATA);
    }

    /// A read that gives this.
    pub fn reads_value(&self, p: &mut Program, name: &str, dma: &Dma, value: u64) {
        p.dma_reads(name, dma, value);
    }

    /// A write to the first doubleword of the frame.
    pub fn writes(&self, p: &mut Program, name: &str, dma: &Dma) {
        p.dma_writes(name, dma, self.frame, DATA);
    }

    /// A transfer that is aborted, and this event.
    pub fn faults(&mut self, p: &mut Program, name: &str, dma: &Dma, event: &Event) {
        p.dma(name, dma, End::Aborted(0));
        self.smmu.expect_event(p, name, event);
        self.smmu.expect_no_event(p, name);
    }

    /// A transfer that is aborted, of which nothing is told.
    pub fn aborts_silently(&self, p: &mut Program, name: &str, dma: &Dma) {
        p.dma(name, dma, End::Aborted(0));
        self.smmu.expect_no_event(p, name);
    }

    /// A transfer that is stalled, and this event.
    pub fn stalls(&mut self, p: &mut Program, name: &str, dma: &Dma, event: &Event) {
        p.dma(name, dma, End::Waiting);
        self.smmu.expect_event(p, name, &event.stalled());
    }
}
