//! Which ends of a transaction are right: by the tables as they are, and by what the SMMU may still know of how they were.
//!
//! What was fetched for a transaction may be used until an invalidation that covers it and a CMD_SYNC (Arm IHI 0070, 3.17, 4.3, 4.4).
//! So there may be several right ends. This SMMU keeps STEs, CDs and whole translations, and no parts of walks; it looks at
//! nothing before a transaction needs it. What one may keep that does more is not allowed here.

use super::entries::{
    Bad, Registers, Words, World, bits, cd_address, cd_at, config, context, fetch_ste, has_stage1,
    has_stage2, is_illegal_cd, set, world,
};
use super::memory::Mirror;
use super::walk::{Access, End, Setting, Translation, Update, Walk, bypass, canonical};

/// A transaction within a page of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) stream: u32,
    pub(super) substream: Option<u32>,
    pub(super) address: u64,
    pub(super) write: bool,
    pub(super) privileged: bool,
    pub(super) instruction: bool,
    pub(super) translated: bool,
    pub(super) may_stall: bool,
}

/// A right end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right {
    pub(super) end: End,
    /// Also by what may have been kept.
    pub(super) cached: bool,
}

/// What is right of a transaction.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) ends: Vec<Right>,
    /// Descriptors that hardware may change in the course of it.
    pub(super) updates: Vec<Update>,
    learnt: Learnt,
}

/// What the SMMU may know after it.
#[derive(Default)]
struct Learnt {
    stes: Vec<(u32, Words)>,
    cds: Vec<((u32, u32), Words)>,
    translations: Vec<(Tag, Translation)>,
}

/// What translations in a TLB are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag {
    world: World,
    vmid: u64,
    asid: u64,
    stage1: bool,
}

/// What an invalidation names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    /// Streams of a range, with their CDs.
    Streams(u32, u32),
    /// The CDs of a stream; one of them, or all.
    Contexts(u32, Option<u32>),
    /// All of EL1, or of EL2.
    World { el1: bool },
    /// One VMID: stage 1, and stage 2 alone, too.
    Vm { vmid: u64, stage2: bool },
    /// One ASID, but what is global.
    Asid { el1: bool, vmid: u64, asid: u64 },
    /// A range of input addresses of stage 1, of one ASID or all; of one granule.
    Va { world: World, vmid: u64, asid: Option<u64>, range: (u64, u64), page: Option<u32> },
    /// A range of addresses of stage 2 alone.
    Ipa { vmid: u64, range: (u64, u64), page: Option<u32> },
}

#[derive(Clone)]
struct Known<K, V> {
    key: K,
    value: V,
    /// When it was learnt.
    at: u64,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Checker {
    pub(super) registers: Registers,
    stes: Vec<Known<u32, Words>>,
    cds: Vec<Known<(u32, u32), Words>>,
    translations: Vec<Known<Tag, Translation>>,
    /// Invalidations without a CMD_SYNC so far.
    pending: Vec<(Scope, u64)>,
    time: u64,
}

fn add<K: PartialEq, V: PartialEq>(all: &mut Vec<Known<K, V>>, key: K, value: V, at: u64) {
    match all.iter_mut().find(|k| k.key == key && k.value == value) {
        Some(known) => known.at = at,
        None => all.push(Known { key, value, at }),
    }
}

fn touches(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

impl Checker {
    /// What is right of a transaction. What it may make known is not known yet.
    pub(super) fn verdict(&self, memory: &Mirror, asked: &Asked) -> Verdict {
        let mut verdict = Verdict::default();
        let aborts = asked.translated || !self.registers.enabled && self.registers.aborts;
        if aborts {
            verdict.add(End::Abort, false, asked);
        } else if self.registers.enabled {
            self.configured(memory, asked, &mut verdict);
        } else {
            verdict.add(bypass(asked.address), false, asked);
        }
        verdict
    }

    /// By each STE that may be that of the stream.
    fn configured(&self, memory: &Mirror, asked: &Asked, verdict: &mut Verdict) {
        match fetch_ste(memory, &self.registers, asked.stream) {
            Ok(ste) => {
                verdict.learnt.stes.push((asked.stream, ste));
                self.by_ste(memory, asked, &ste, false, verdict);
            }
            Err(Bad) => verdict.add(End::Abort, false, asked),
        }
        for known in self.stes.iter().filter(|k| k.key == asked.stream) {
            self.by_ste(memory, asked, &known.value, true, verdict);
        }
    }

    fn by_ste(&self, memory: &Mirror, asked: &Asked, ste: &Words, cached: bool, verdict: &mut Verdict) {
        if config(ste) & 4 == 0 {
            return verdict.add(End::Abort, cached, asked);
        }
        let setting = Setting { ste: *ste, cd: None, world: world(ste, self.registers.e2h) };
        match context(ste, asked.substream) {
            Err(Bad) => verdict.add(End::Abort, cached, asked),
            Ok(None) => self.translated(memory, asked, setting, cached, verdict),
            Ok(Some(index)) => {
                let key = (asked.stream, index);
                match fetch_cd(memory, setting, index, verdict) {
                    Err(end) => verdict.add(end, cached, asked),
                    Ok(cd) => {
                        verdict.learnt.cds.push((key, cd));
                        self.by_cd(memory, asked, setting, cd, cached, verdict);
                    }
                }
                for known in self.cds.iter().filter(|k| k.key == key) {
                    self.by_cd(memory, asked, setting, known.value, true, verdict);
                }
            }
        }
    }

    fn by_cd(
        &self,
        memory: &Mirror,
        asked: &Asked,
        setting: Setting,
        cd: Words,
        cached: bool,
        verdict: &mut Verdict,
    ) {
        if is_illegal_cd(&cd, &setting.ste, setting.world) {
            return verdict.add(End::Abort, cached, asked);
        }
        self.translated(memory, asked, Setting { cd: Some(cd), ..setting }, cached, verdict);
    }

    /// By a translation that may be in a TLB, or by a walk.
    fn translated(
        &self,
        memory: &Mirror,
        asked: &Asked,
        setting: Setting,
        cached: bool,
        verdict: &mut Verdict,
    ) {
        let alone = setting.cd.is_none();
        let within = bypass(asked.address);
        if alone && (!has_stage2(&setting.ste) || within == End::Abort) {
            return verdict.add(within, cached, asked);
        }
        let access = access(asked, &setting.ste);
        let va = canonical(&setting, asked.address);
        let tag = Tag::of(&setting);
        let pan = setting.cd.is_some_and(|cd| set(cd[0], 40));
        for known in self.translations.iter().filter(|k| k.key.serves(&k.value, &tag)) {
            if let Some(pa) = known.value.output(va).filter(|_| known.value.allows(access, pan)) {
                verdict.add(End::Through(pa), true, asked);
            }
        }
        let mut walk = Walk { memory, setting, access, updates: Vec::new() };
        let end = match walk.run(asked.address) {
            Ok(translation) => {
                verdict.learnt.translations.push((tag, translation));
                translation.output(va).map_or(End::Abort, End::Through)
            }
            Err(end) => end,
        };
        verdict.updates.append(&mut walk.updates);
        verdict.add(end, cached, asked);
    }

    /// Of a transaction that was made the SMMU may know what it has fetched.
    pub(super) fn learn(&mut self, verdict: Verdict) {
        self.time += 1;
        let Learnt { stes, cds, translations } = verdict.learnt;
        stes.into_iter().for_each(|(key, ste)| add(&mut self.stes, key, ste, self.time));
        cds.into_iter().for_each(|(key, cd)| add(&mut self.cds, key, cd, self.time));
        translations.into_iter().for_each(|(tag, t)| add(&mut self.translations, tag, t, self.time));
    }

    /// An invalidation, which counts from the next CMD_SYNC on.
    pub(super) fn invalidate(&mut self, scope: Scope) {
        self.time += 1;
        self.pending.push((scope, self.time));
    }

    /// CMD_SYNC: what was known before an invalidation is not used any more.
    pub(super) fn sync(&mut self) {
        for (scope, before) in std::mem::take(&mut self.pending) {
            self.stes.retain(|k| k.at >= before || !scope.names_stream(k.key));
            self.cds.retain(|k| k.at >= before || !scope.names_context(k.key));
            self.translations.retain(|k| k.at >= before || !scope.names(&k.key, &k.value));
        }
    }

    /// TLB maintenance of a CPU, which is complete at once.
    pub(super) fn broadcast(&mut self, scope: Scope) {
        let before = std::mem::take(&mut self.pending);
        self.invalidate(scope);
        self.sync();
        self.pending = before;
    }

    /// How much may be known.
    pub(super) fn known(&self) -> usize {
        self.stes.len() + self.cds.len() + self.translations.len()
    }
}

impl Verdict {
    fn add(&mut self, end: End, cached: bool, asked: &Asked) {
        // Who cannot wait is told.
        let end = if end == End::Stall && !asked.may_stall { End::Abort } else { end };
        match self.ends.iter_mut().find(|r| r.end == end) {
            Some(right) => right.cached |= cached,
            None => self.ends.push(Right { end, cached }),
        }
    }
}

/// PRIVCFG and INSTCFG; what is written is data.
fn access(asked: &Asked, ste: &Words) -> Access {
    let of = |field, incoming| match field {
        2 => false,
        3 => true,
        _ => incoming,
    };
    Access {
        write: asked.write,
        privileged: of(bits(ste[1], 49, 48), asked.privileged),
        instruction: !asked.write && of(bits(ste[1], 51, 50), asked.instruction),
    }
}

/// The CD of an index, through stage 2 if there is one.
fn fetch_cd(memory: &Mirror, setting: Setting, index: u32, verdict: &mut Verdict) -> Result<Words, End> {
    let access = Access { write: false, privileged: true, instruction: false };
    let mut walk = Walk { memory, setting, access, updates: Vec::new() };
    let mut read = |at| walk.table(at).and_then(|pa| memory.get(pa).ok_or(End::Abort));
    let found = cd_address(&setting.ste, index, &mut read, || End::Abort)
        .and_then(|at| walk.table(at))
        .and_then(|pa| cd_at(memory, pa).map_err(|Bad| End::Abort));
    verdict.updates.append(&mut walk.updates);
    found
}

impl Tag {
    fn of(setting: &Setting) -> Self {
        let Setting { ste, cd, world } = *setting;
        let asid = cd.map_or(0, |cd| bits(cd[0], 63, 48));
        Self {
            world,
            vmid: if world == World::El1 { bits(ste[2], 15, 0) } else { 0 },
            asid: if world == World::El2 || !has_stage1(&ste) { 0 } else { asid },
            stage1: cd.is_some(),
        }
    }

    /// A translation with this tag serves a transaction with another one: the same but for the ASID, if it is global.
    fn serves(&self, translation: &Translation, other: &Self) -> bool {
        let global = translation.leaf1.is_none_or(|l| l.is_global());
        *self == *other || global && Self { asid: other.asid, ..*self } == *other
    }
}

impl Scope {
    fn names_stream(&self, stream: u32) -> bool {
        matches!(*self, Self::Streams(first, last) if (first..=last).contains(&stream))
    }

    fn names_context(&self, (stream, index): (u32, u32)) -> bool {
        let named = |of: u32, which: Option<u32>| of == stream && which.is_none_or(|n| n == index);
        self.names_stream(stream) || matches!(*self, Self::Contexts(of, which) if named(of, which))
    }

    /// A translation must go. One of both stages need not for an address of stage 2 (Arm ARM D8.14).
    fn names(&self, tag: &Tag, t: &Translation) -> bool {
        let el1 = tag.world == World::El1;
        let global = t.leaf1.is_none_or(|l| l.is_global());
        match *self {
            Self::Streams(..) | Self::Contexts(..) => false,
            Self::World { el1: of } => of == el1,
            Self::Vm { vmid, stage2 } => el1 && tag.vmid == vmid && (tag.stage1 || stage2),
            Self::Asid { el1: of, vmid, asid } => {
                of == el1 && tag.vmid == vmid && tag.asid == asid && tag.stage1 && !global
            }
            Self::Va { world, vmid, asid, range, page } => {
                let of = asid.is_none_or(|asid| tag.asid == asid || global);
                let at = |l: super::walk::Leaf1| {
                    page.is_none_or(|page| page == l.page) && touches(l.range(), range)
                };
                tag.world == world && tag.vmid == vmid && of && t.leaf1.is_some_and(at)
            }
            Self::Ipa { vmid, range, page } => {
                let at = |l: super::walk::Leaf2| {
                    page.is_none_or(|page| page == l.page) && touches(l.range(), range)
                };
                el1 && tag.vmid == vmid && !tag.stage1 && t.leaf2.is_some_and(at)
            }
        }
    }
}
