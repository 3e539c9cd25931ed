//! Address translation operations (Arm IHI 0070, chapter 9): where an address of a stream leads, as software asks by registers.
//!
//! All is read from memory, so that no answer is older than its question. Faults are told in SMMU_GATOS_PAR alone: nothing is
//! recorded, and nothing stalls. Of what the specification leaves open:
//! - with HTTUI nothing is updated, the access flag neither;
//! - where S1DSS has stage 1 bypassed, the answer is the address with the size 4 KiB, as Normal memory.

use emu_core::Security;
use emu_mmu::{Fault, FaultKind, Stage1, Translation, translate, translate_and_commit};
use serde::{Deserialize, Serialize};

use super::super::tables::{Lookup, Wrong};
use super::{Streams, kind_of, record_of};
use crate::translation::{Access, Context, Faulted, Override, Transaction};

/// SMMU_GATOS_SID and SMMU_GATOS_ADDR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Question {
    /// SMMU_GATOS_SID.
    pub sid: u64,
    /// SMMU_GATOS_ADDR.
    pub addr: u64,
}

/// GATOS_ADDR.TYPE: which stages are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Stage1,
    Stage2,
    Both,
}

/// GATOS_PAR.FAULTCODE: the question makes no sense.
const INV_REQ: u8 = 0xff;
/// The stream has other stages than those that are asked for.
const INV_STAGE: u8 = 0xfe;
/// F_CD_FETCH and F_WALK_EABT, which faults of stage 2 show as to who asks for stage 1.
const CD_FETCH: u8 = 0x09;
const WALK_EABT: u8 = 0x0b;
/// Anything else.
const INTERNAL_ERR: u8 = 0xfd;

/// The smallest size that is told; others are told by the place of a bit.
const SMALLEST: u8 = 12;

/// A fault: GATOS_PAR.FAULTCODE, REASON and FADDR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Failure {
    code: u8,
    reason: u8,
    address: u64,
}

impl Failure {
    const fn of(code: u8) -> Self {
        Self { code, reason: 0, address: 0 }
    }
}

impl Question {
    /// What is asked for, if an SMMU with these stages can be asked for it.
    fn asks(&self, stages: [bool; 2]) -> Result<Type, Failure> {
        match (self.addr >> 10 & 3, stages) {
            (0b01, [true, _]) => Ok(Type::Stage1),
            (0b10, [_, true]) if self.substream().is_none() => Ok(Type::Stage2),
            (0b11, [true, true]) => Ok(Type::Both),
            _ => Err(Failure::of(INV_REQ)),
        }
    }

    const fn stream(&self) -> u32 {
        self.sid as u32
    }

    fn substream(&self) -> Option<u32> {
        (self.sid >> 52 & 1 != 0).then_some((self.sid >> 32) as u32 & 0xf_ffff)
    }

    fn transaction(&self) -> Transaction {
        let bit = |n: u32| self.addr >> n & 1 != 0;
        Transaction {
            stream: self.stream(),
            substream: self.substream(),
            address: self.addr & !0xfff,
            access: if bit(8) { Access::Read } else { Access::Write },
            privileged: bit(9),
            instruction: bit(7),
            security: Security::NonSecure,
            memory: emu_core::dma::MemoryType::default(),
            translated: false,
            may_stall: false,
        }
    }

    /// HTTUI is 0.
    const fn updates(&self) -> bool {
        self.addr >> 6 & 1 == 0
    }
}

impl Streams {
    /// The answer to a question: SMMU_GATOS_PAR.
    pub fn look_up(&self, question: &Question) -> u64 {
        match self.answer(question) {
            Ok((t, output_bits)) => success(&t, output_bits),
            Err(Failure { code, reason, address }) => {
                address & 0x00ff_ffff_ffff_f000 | u64::from(code) << 4 | u64::from(reason) << 1 | 1
            }
        }
    }

    fn answer(&self, question: &Question) -> Result<(Translation, u8), Failure> {
        let profile = &self.profile;
        let asked = question.asks([profile.stage1, profile.stage2])?;
        let (settings, memory) = (*self.settings.read(), self.memory());
        let commits = question.updates();
        let mut lookup = Lookup { memory: &memory, profile, settings: &settings, witness: (), commits };
        let context = context(&mut lookup, question, asked);
        let found = context.and_then(|context| {
            // The attributes are those of the question, whatever the STE says.
            let context =
                Context { privileged: Override::Incoming, instruction: Override::Incoming, ..context };
            let mut request = context.request(&question.transaction());
            request.stage1_only = asked == Type::Stage1;
            let features = profile.features();
            let stage1 = context.stage1.unwrap_or_else(|| Stage1::bypass(&features, Security::NonSecure));
            let stage2 = context.stage2.as_ref();
            let walked = if commits {
                translate_and_commit(&stage1, stage2, &features, &request, &memory)
            } else {
                translate(&stage1, stage2, &features, &request, &memory)
            };
            walked.map_err(|fault| failure(asked, &fault, false))
        });
        self.accessed(question.stream(), &memory);
        found.map(|translation| (translation, profile.output_bits))
    }
}

/// What the stream is translated under, of the stages that are asked for.
fn context(lookup: &mut Lookup<'_, ()>, question: &Question, asked: Type) -> Result<Context, Failure> {
    let wrong = |wrong: Wrong| match wrong {
        Wrong::Recorded { kind, .. } => Failure::of(kind.name().0),
        Wrong::OnContext { fault, .. } => failure(asked, &fault, true),
        Wrong::Disabled => Failure::of(INTERNAL_ERR),
    };
    let ste = lookup.ste(question.stream()).map_err(wrong)?;
    let there = match asked {
        Type::Stage1 => ste.stage1(),
        Type::Stage2 => ste.stage2(),
        Type::Both => ste.stage1() && ste.stage2(),
    };
    match (there, asked) {
        (false, _) => Err(Failure::of(INV_STAGE)),
        (true, Type::Stage2) => Ok(lookup.of_ste(&ste)),
        (true, _) => lookup.context_of(&ste, question.substream()).map_err(wrong),
    }
}

/// 9.1.4: what is told of a fault depends on what was asked for.
fn failure(asked: Type, fault: &Fault, on_context: bool) -> Failure {
    let record = record_of(&Faulted { fault: *fault, on_context });
    let code = kind_of(fault, record).0.name().0;
    match asked {
        _ if !record.stage2 => Failure::of(code),
        Type::Stage1 => Failure::of(if on_context { CD_FETCH } else { WALK_EABT }),
        Type::Stage2 => Failure { code, reason: record.class.reason(), address: 0 },
        Type::Both => {
            let aborted = fault.kind == FaultKind::ExternalAbortOnWalk;
            let address = if aborted { 0 } else { record.ipa };
            Failure { code, reason: record.class.reason(), address }
        }
    }
}

/// 6.3.40: an address, its size by the lowest bit that is set, and its attributes.
fn success(t: &Translation, output_bits: u8) -> u64 {
    let bits = if t.bits() < output_bits { t.bits().max(SMALLEST) } else { SMALLEST };
    let address = t.pa.0 & u64::MAX >> (64 - u32::from(output_bits)) & u64::MAX << bits;
    let size = if bits > SMALLEST { 1 << (bits - 1) | 1 << 11 } else { 0 };
    // Device memory is Outer Shareable.
    let shareability = u64::from(t.attrs.effective().sh.bits());
    u64::from(t.attrs.mair()) << 56 | address | size | shareability << 8
}
