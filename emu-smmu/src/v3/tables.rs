//! From a StreamID and a SubstreamID to a context (Arm IHI 0070, 3.3.1 and 3.3.2): what is fetched from memory for it, and what is
//! wrong with that.

use std::sync::Arc;

use emu_core::bus::BusView;
use emu_core::table::TableBus;
use emu_core::{Pa, Security};
use emu_mmu::{Fault, FaultKind, Request, Stage, Stage1, Stage2, translate, translate_and_commit};

use super::cd::{Cd, ContextPointer, Reached};
use super::event::Kind;
use super::layout::{Broken, Words, low};
use super::profile::Profile;
use super::settings::Settings;
use super::ste::{ContextTable, Ste, StreamDescriptor};
use crate::translation::{Context, Counted, FaultPolicy};

/// Memory with tables in it.
pub(super) type Tables = Counted<TableBus<Arc<BusView>>>;

/// A structure in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Structure {
    /// L1STD.
    StreamDescriptor,
    /// STE.
    Ste,
    /// L1CD.
    ContextPointer,
    /// CD.
    Cd,
}

/// A structure that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// What it is.
    pub what: Structure,
    /// Its number in its table.
    pub index: u64,
    /// Its address, as what points to it has it: an IPA of L1CDs and CDs under stage 2.
    pub address: u64,
    /// Where stage 2 says that this is, or why it does not.
    pub physical: Result<u64, Fault>,
    /// Its doublewords; none if reading them aborted.
    pub words: Vec<u64>,
    /// The rules that it breaks.
    pub broken: Vec<Broken>,
}

/// Who is told of each structure. The one for `()` costs nothing.
pub(super) trait Witness {
    fn saw(&mut self, fetched: impl FnOnce() -> Fetched);
}

impl Witness for () {
    fn saw(&mut self, _: impl FnOnce() -> Fetched) {}
}

impl Witness for &mut Vec<Fetched> {
    fn saw(&mut self, fetched: impl FnOnce() -> Fetched) {
        self.push(fetched());
    }
}

/// Why there is no context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// An event tells. The STE's MEV goes with it.
    Recorded { kind: Kind, mergeable: bool },
    /// STE.Config says so, and nothing is recorded.
    Disabled,
    /// Stage 2 does not give a descriptor to stage 1; its STE makes the context.
    OnContext { fault: Fault, context: Box<Context> },
}

/// A fault of stage 1 that is not there: always recorded, always an abort (3.12).
const BYPASS_POLICY: FaultPolicy = FaultPolicy { record: true, abort: true, stall: false };

/// A look into the tables.
pub(super) struct Lookup<'a, W> {
    pub(super) memory: &'a Tables,
    pub(super) profile: &'a Profile,
    pub(super) settings: &'a Settings,
    pub(super) witness: W,
    /// Hardware updates of stage 2's tables are made.
    pub(super) commits: bool,
}

impl<W: Witness> Lookup<'_, W> {
    /// What the transactions of a substream are translated under. With neither stage they bypass.
    pub(super) fn context(&mut self, stream: u32, substream: Option<u32>) -> Result<Context, Wrong> {
        let ste = self.ste(stream)?;
        if !ste.lets_pass() {
            return Err(Wrong::Disabled);
        }
        self.context_of(&ste, substream)
    }

    /// The same of an STE that lets something pass.
    pub(super) fn context_of(&mut self, ste: &Ste, substream: Option<u32>) -> Result<Context, Wrong> {
        let recorded = |kind| Wrong::Recorded { kind, mergeable: ste.merges_events() };
        let index = ste.context_index(substream, self.profile).map_err(recorded)?;
        let base = self.of_ste(ste);
        let Some(index) = index else { return Ok(base) };
        let cd = self.cd(ste, index)?;
        let reached = self.reached(ste);
        if cd.is_illegal(&reached, self.profile) {
            return Err(recorded(Kind::BadCd));
        }
        Ok(Context {
            stage1: Some(cd.stage1_controls(&reached, self.profile)),
            policy1: cd.policy(),
            pan: cd.pan(&reached),
            ..base
        })
    }

    /// The STE of a stream: valid and legal.
    pub(super) fn ste(&mut self, stream: u32) -> Result<Ste, Wrong> {
        let recorded = |kind| Wrong::Recorded { kind, mergeable: true };
        let at = self.ste_address(stream).map_err(recorded)?;
        let what = Structure::Ste;
        let profile = self.profile;
        let lint = |words: &Words| Ste(*words).lint(profile).collect();
        let words = self.read(what, stream.into(), at, Ok(at), lint);
        let ste = Ste(words.ok_or(recorded(Kind::SteFetch(at)))?);
        if ste.is_illegal(self.profile) { Err(recorded(Kind::BadSte)) } else { Ok(ste) }
    }

    /// Where the STE of a stream is (3.3.1).
    fn ste_address(&mut self, stream: u32) -> Result<u64, Kind> {
        let Settings { strtab_base, strtab_base_cfg, .. } = *self.settings;
        let log2size = strtab_base_cfg & 0x3f;
        let base = strtab_base & low(56);
        let stream = u64::from(stream);
        if stream >> log2size.min(self.profile.stream_bits.into()) != 0 {
            return Err(Kind::BadStreamId);
        }
        if !self.profile.two_level_streams || strtab_base_cfg >> 16 & 3 != 1 {
            return Ok((base & !low(log2size + 6)) + stream * 64);
        }
        let split = match strtab_base_cfg >> 6 & 0x1f {
            split @ (8 | 10) => split,
            _ => 6,
        };
        let first = base & !low((log2size + 3).saturating_sub(split).max(6));
        let (index, within) = (stream >> split, stream & low(split));
        let at = first + index * 8;
        let what = Structure::StreamDescriptor;
        let [descriptor] = self.read(what, index, at, Ok(at), |_| Vec::new()).ok_or(Kind::SteFetch(at))?;
        StreamDescriptor(descriptor).entry(within, split).ok_or(Kind::BadStreamId)
    }

    /// What an STE says by itself: a context without stage 1.
    pub(super) fn of_ste(&self, ste: &Ste) -> Context {
        let [privileged, instruction] = ste.overrides(self.profile);
        Context {
            stage1: None,
            stage2: ste.stage2().then(|| ste.stage2_controls(self.profile)),
            vmid: ste.vmid(self.profile),
            policy1: BYPASS_POLICY,
            policy2: ste.policy(),
            privileged,
            instruction,
            mergeable: ste.merges_events(),
            ..Context::default()
        }
    }

    fn reached(&self, ste: &Ste) -> Reached {
        Reached {
            regime: ste.regime(self.profile, self.settings.e2h),
            stalls_disabled: ste.stalls_disabled(),
        }
    }

    /// The CD of an index.
    fn cd(&mut self, ste: &Ste, index: u32) -> Result<Cd, Wrong> {
        let index = u64::from(index);
        let bits = ste.substream_bits(self.profile);
        let base = ste.context_pointer();
        let at = match ste.context_table() {
            _ if bits == 0 => base,
            ContextTable::Linear => (base & !low(bits + 6)) + index * 64,
            ContextTable::TwoLevel(split) => {
                let first = base & !low((bits + 3).saturating_sub(split).max(6));
                let at = first + (index >> split) * 8;
                let what = Structure::ContextPointer;
                let [pointer] = self.context_structure(ste, what, index >> split, at, |_| Vec::new())?;
                let table = ContextPointer(pointer).table(split);
                let table = table.filter(|at| at >> self.profile.output_bits == 0);
                let bad = Wrong::Recorded { kind: Kind::BadSubstreamId, mergeable: ste.merges_events() };
                table.ok_or(bad)? + (index & low(split)) * 64
            }
        };
        let (reached, profile) = (self.reached(ste), self.profile);
        let lint = |words: &Words| Cd(*words).lint(&reached, profile).collect();
        self.context_structure(ste, Structure::Cd, index, at, lint).map(Cd)
    }

    /// An L1CD or a CD, whose address is an IPA if there is a stage 2.
    fn context_structure<const N: usize>(
        &mut self,
        ste: &Ste,
        what: Structure,
        index: u64,
        at: u64,
        lint: impl FnOnce(&[u64; N]) -> Vec<Broken>,
    ) -> Result<[u64; N], Wrong> {
        let physical = match ste.stage2() {
            true => self.through_stage2(&ste.stage2_controls(self.profile), at),
            false => Ok(at),
        };
        let words = self.read(what, index, at, physical, lint);
        match physical {
            Ok(pa) => {
                let wrong = Wrong::Recorded { kind: Kind::CdFetch(pa), mergeable: ste.merges_events() };
                words.ok_or(wrong)
            }
            Err(fault) => Err(Wrong::OnContext { fault, context: Box::new(self.of_ste(ste)) }),
        }
    }

    /// Where stage 2 has a structure of stage 1.
    fn through_stage2(&self, stage2: &Stage2, ipa: u64) -> Result<u64, Fault> {
        let features = self.profile.features();
        let bypass = Stage1::bypass(&features, Security::NonSecure);
        let (s2, request) = (Some(stage2), Request::read(ipa));
        let t = if self.commits {
            translate_and_commit(&bypass, s2, &features, &request, self.memory)?
        } else {
            translate(&bypass, s2, &features, &request, self.memory)?
        };
        // S2PTW holds for CDs as for tables.
        if stage2.ptw && t.attrs.is_device() {
            return Err(Fault {
                kind: FaultKind::Permission,
                level: t.s2_level.unwrap_or(0),
                stage: Stage::S2,
                s1ptw: false,
                va: ipa,
                ipa: Some(ipa),
                write: false,
                descriptor: None,
                update: false,
            });
        }
        Ok(t.pa.0)
    }

    /// Reads a structure, and shows it.
    fn read<const N: usize>(
        &mut self,
        what: Structure,
        index: u64,
        address: u64,
        physical: Result<u64, Fault>,
        lint: impl FnOnce(&[u64; N]) -> Vec<Broken>,
    ) -> Option<[u64; N]> {
        let words = physical.ok().and_then(|at| self.doublewords(at));
        self.witness.saw(|| Fetched {
            what,
            index,
            address,
            physical,
            words: words.map_or(Vec::new(), |w| w.to_vec()),
            broken: words.as_ref().map_or(Vec::new(), lint),
        });
        words
    }

    /// Doublewords of memory, each of them read at once (3.21).
    fn doublewords<const N: usize>(&self, at: u64) -> Option<[u64; N]> {
        let memory = self.memory.for_structure();
        let mut words = [0; N];
        for (word, pa) in words.iter_mut().zip((at..).step_by(8)) {
            let pa = Some(pa).filter(|pa| pa >> self.profile.output_bits == 0)?;
            *word = memory.read_u64(Pa::new(pa, Security::NonSecure)?)?;
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests;
