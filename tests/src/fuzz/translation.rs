//! The walk by itself: tables that are a function of the address, so that every pointer leads somewhere.

use std::cell::Cell;

use emu_core::{Pa, Security};
use emu_mmu::walker::{Access, Request};
use emu_mmu::{
    ExternalAbort, Features, Regime, Stage1, Stage1Regs, Stage2, Stage2Regs, TableMemory, Tlb, TlbContext,
    TlbiContext, TlbiOp, TlbiScope, UpdateError, at, translate_and_commit, walk,
};

use super::source::Source;

/// Descriptors: the address picks one, and changes its address bits a little.
struct Garbage {
    descriptors: Vec<u64>,
    reads: Cell<u32>,
}

impl Garbage {
    fn new(s: &mut Source) -> Self {
        let n = 1 + s.below(32);
        let descriptors = (0..n)
            .map(|_| match s.u8() % 4 {
                0 => s.value(),
                1 => s.u64() | 3,
                2 => s.u64() & 0x0000_ffff_ffff_f000 | 3,
                _ => s.u64() & 0x0000_ffff_ffff_f000 | 1 << 10 | 1,
            })
            .collect();
        Self { descriptors, reads: Cell::new(0) }
    }
    fn slot(&self, pa: Pa) -> usize {
        (pa.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % self.descriptors.len()
    }
}

impl TableMemory for Garbage {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        assert_eq!(pa.0 & 7, 0, "a descriptor is aligned");
        let address = pa.in_space(Security::NonSecure);
        assert!(address.0 < 1 << 52, "{pa} is no physical address");
        self.reads.set(self.reads.get() + 1);
        // Five levels of stage 1, each below five levels of stage 2, and those of the output.
        assert!(self.reads.get() <= 6 * 6, "a walk has an end");
        if address.0 >> 40 == 0xff { Err(ExternalAbort) } else { Ok(self.descriptors[self.slot(pa)]) }
    }
    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        assert_ne!(old, new, "an update changes something");
        self.reads.set(0);
        match pa.0 >> 3 & 15 {
            0 => Ok(false),
            1 => Err(UpdateError::Unsupported),
            2 => Err(UpdateError::ExternalAbort),
            _ => Ok(true),
        }
    }
}

const ACCESSES: [Access; 8] = [
    Access::Read,
    Access::Write,
    Access::ReadWrite,
    Access::Execute,
    Access::CacheClean,
    Access::CacheInvalidate,
    Access::AtRead,
    Access::AtWrite,
];

const OPERATIONS: [TlbiOp; 13] = [
    TlbiOp::AllE1,
    TlbiOp::AllE2,
    TlbiOp::VmAllE1,
    TlbiOp::VmAllS12E1,
    TlbiOp::VaE1,
    TlbiOp::VaaE1,
    TlbiOp::AsidE1,
    TlbiOp::VaE2,
    TlbiOp::IpaS2E1,
    TlbiOp::RvaE1,
    TlbiOp::RvaaE1,
    TlbiOp::RvaE2,
    TlbiOp::RipaS2E1,
];

/// A TCR or VTCR whose sizes are often possible.
fn control(s: &mut Source) -> u64 {
    let value = s.u64();
    if s.one_in(3) {
        value
    } else {
        value & !(0x3f | 0x3f << 16) | (16 + s.below(30)) | (16 + s.below(30)) << 16
    }
}

fn stages(s: &mut Source, features: &Features) -> (Stage1, Stage2) {
    let regime = s.pick(&[Regime::El10, Regime::El10, Regime::El20, Regime::El2]);
    let hcr = s.value() | u64::from(s.u8() & 1);
    let sctlr = s.value() | u64::from(!s.one_in(4));
    let (tcr, ttbr0, ttbr1, mair) = (control(s), s.u64(), s.u64(), s.u64());
    let security = s.pick(&[Security::NonSecure, Security::NonSecure, Security::Secure, Security::Realm]);
    let regs = Stage1Regs { sctlr, tcr, ttbr0, ttbr1, mair, hcr, security };
    let stage1 = Stage1::from_regs(features, regime, &regs);
    let regs = Stage2Regs { vtcr: control(s), vttbr: s.u64(), hcr };
    (stage1, Stage2::from_regs(features, &regs))
}

fn request(s: &mut Source) -> Request {
    let flags = s.u8();
    let flag = |n: u8| flags >> n & 1 != 0;
    let va = if s.one_in(2) { s.value() } else { s.u64() >> s.below(40) };
    let va = if flag(7) { !va } else { va };
    let access = s.pick(&ACCESSES);
    Request {
        va,
        access,
        privileged: flag(0),
        pan: flag(1),
        unaligned: flag(2) && matches!(access, Access::Read | Access::Write | Access::ReadWrite),
        stage1_only: flag(3) && flag(4),
    }
}

/// Walks, keeps what comes out in a TLB, finds it again, and drops it.
pub(super) fn run(data: &[u8]) {
    let s = &mut Source::new(data);
    let features = s.pick(&[Features::cortex_a72(), Features::neoverse_n1(), Features::max()]);
    let memory = Garbage::new(s);
    let mut tlb = Tlb::new();
    while !s.is_empty() {
        let (stage1, stage2) = stages(s, &features);
        // Other registers under the same tags: software invalidates in between.
        tlb.invalidate(&TlbiScope::AllEl1);
        tlb.invalidate(&TlbiScope::AllEl2);
        for _ in 0..1 + s.below(16) {
            let request = request(s);
            memory.reads.set(0);
            let walked = walk(&stage1, Some(&stage2), &features, &request, &memory);
            let _ = at::par(&walked.result, s.one_in(2));
            memory.reads.set(0);
            let result = translate_and_commit(&stage1, Some(&stage2), &features, &request, &memory);
            let Ok(t) = result else { continue };
            assert!(request.stage1_only || t.allows(&request), "{request:?} is not allowed by {t:?}");
            assert_eq!(t.pa.space(), stage1.security);
            let address = t.pa.in_space(Security::NonSecure);
            assert!(address.0 < 1 << features.pa_bits.max(48), "{} is beyond all memory", t.pa);
            let el10 = stage1.regime == Regime::El10;
            let context = TlbContext {
                security: stage1.security,
                regime: stage1.regime,
                vmid: if el10 { stage2.vmid } else { 0 },
                asid: stage1.asid,
                stage1: stage1.enabled,
            };
            let va = stage1.canonical(request.va, request.access == Access::Execute);
            if request.stage1_only {
                continue;
            }
            tlb.insert(&context, va, &t);
            let found = tlb.lookup(&context, va).expect("what was just inserted");
            assert_eq!(found.pa, t.pa);
            if s.one_in(4) {
                let flags = s.u8();
                let tlbi = TlbiContext {
                    vmid: stage2.vmid,
                    host: flags & 1 != 0,
                    e2h: flags & 2 != 0,
                    asid16: flags & 4 != 0,
                    ds: flags & 8 != 0,
                };
                if let Some(scope) = s.pick(&OPERATIONS).scope(s.value(), &tlbi) {
                    tlb.invalidate(&scope);
                }
            }
        }
    }
}
