//! The walk: stage 1, stage 2 under each of its steps, and both combined into one [`Translation`].
//!
//! The order of checks is that of the Arm pseudocode (AArch64.S1Translate, S1Walk, S2Translate, S2Walk).

use emu_core::{Ipa, Pa};

use crate::attributes::{MemAttrs, Shareability};
use crate::config::{Features, field, low_mask};
use crate::descriptor::{self, Descriptor, Format};
use crate::fault::{Fault, FaultKind, Stage};
use crate::permissions::{Denied, Permissions, Stage1Controls};
use crate::stage1::{Half, Stage1};
use crate::stage2::Stage2;
use crate::trace::{Observer, WalkStep};
use crate::update::{DescriptorUpdate, TableMemory, UpdateError, Updates};

/// Kinds of access, as far as permissions and syndromes differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store, or DC ZVA.
    Write,
    /// An atomic, which needs both permissions.
    ReadWrite,
    /// An instruction fetch.
    Execute,
    /// DC CVA*, DC CIVAC, IC IVAU.
    CacheClean,
    /// DC IVAC, which needs write permission.
    CacheInvalidate,
    /// AT for a read.
    AtRead,
    /// AT for a write; never changes dirty state.
    AtWrite,
}

impl Access {
    /// ESR_ELx.WnR of a fault that is not a permission fault.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self, Self::Read | Self::ReadWrite | Self::Execute)
    }
    /// Really stores, so a clean page becomes dirty.
    const fn dirties(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// What is to be translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The address, with its tag.
    pub va: u64,
    /// What for.
    pub access: Access,
    /// False for EL0 and for LDTR, STTR and their kin when they act as EL0.
    pub privileged: bool,
    /// PSTATE.PAN counts: set and the access is a privileged load or store, or AT S1E1RP/WP.
    pub pan: bool,
    /// Not aligned so that Device memory takes it; also DC ZVA.
    pub unaligned: bool,
    /// Stop at the IPA: AT S1*. Stage 2 still translates the addresses of the tables.
    pub stage1_only: bool,
}

impl Request {
    const fn new(va: u64, access: Access) -> Self {
        Self { va, access, privileged: true, pan: false, unaligned: false, stage1_only: false }
    }
    /// A privileged, aligned read without PAN; change fields for others.
    #[must_use]
    pub const fn read(va: u64) -> Self {
        Self::new(va, Access::Read)
    }
    /// A privileged, aligned write without PAN.
    #[must_use]
    pub const fn write(va: u64) -> Self {
        Self::new(va, Access::Write)
    }
    /// A privileged instruction fetch.
    #[must_use]
    pub const fn execute(va: u64) -> Self {
        Self::new(va, Access::Execute)
    }
    /// The same by EL0.
    #[must_use]
    pub const fn unprivileged(self) -> Self {
        Self { privileged: false, ..self }
    }
}

/// Where an address leads, and everything that a TLB needs to know about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The physical address of exactly the requested byte.
    pub pa: Pa,
    /// The intermediate physical address; equal to `pa` where no stage 2 follows.
    pub ipa: Ipa,
    /// log2 of the stage 1 block or page; 64 if stage 1 is off.
    pub s1_bits: u8,
    /// log2 of the stage 2 block or page; 64 if there is no stage 2.
    pub s2_bits: u8,
    /// Level of the stage 1 leaf, `None` if stage 1 is off.
    pub s1_level: Option<i8>,
    /// Level of the stage 2 leaf, `None` if there is no stage 2.
    pub s2_level: Option<i8>,
    /// Attributes of both stages together, as data accesses see them.
    pub attrs: MemAttrs,
    /// Permissions of both stages together.
    pub permissions: Permissions,
    /// A write must be walked first: the page is clean at a stage whose dirty state hardware manages.
    pub write_needs_update: bool,
    /// The stage 1 leaf is not global: it belongs to the ASID.
    pub not_global: bool,
    /// The stage 1 leaf has its Contiguous bit set (where it means something).
    pub contiguous: bool,
    /// GP: a guarded page (FEAT_BTI).
    pub guarded: bool,
}

impl Translation {
    /// log2 of the region that this translation holds for: the smaller of both stages.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        if self.s1_bits < self.s2_bits { self.s1_bits } else { self.s2_bits }
    }
    /// True if a TLB may answer `request` from this translation; otherwise it is walked again.
    #[must_use]
    pub fn allows(&self, request: &Request) -> bool {
        self.permissions.check(request).is_ok()
            && !(self.write_needs_update && request.access.dirties())
            && !(request.unaligned && self.attrs.is_device())
    }
}

/// The outcome of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The translation, which counts once the updates are committed, or the fault.
    pub result: Result<Translation, Fault>,
    /// The updates, also of walks that fault later on.
    pub updates: Updates,
}

/// Walks the tables for `request`. `stage2` only counts in a regime that has it, and while it is enabled.
pub fn walk(
    stage1: &Stage1,
    stage2: Option<&Stage2>,
    features: &Features,
    request: &Request,
    memory: &impl TableMemory,
) -> Walk {
    walk_observed(stage1, stage2, features, request, memory, &mut ())
}

/// As [`walk`], telling `observer` every step.
pub fn walk_observed(
    stage1: &Stage1,
    stage2: Option<&Stage2>,
    features: &Features,
    request: &Request,
    memory: &impl TableMemory,
    observer: &mut impl Observer,
) -> Walk {
    let stage2 = stage2.filter(|s2| s2.enabled && stage1.regime.has_stage2());
    let mut walker =
        Walker { stage1, stage2, features, request, memory, observer, updates: Updates::default() };
    let result = walker.run();
    Walk { result, updates: walker.updates }
}

/// The result of [`walk`] alone: for debuggers, and where hardware updates are off.
pub fn translate(
    stage1: &Stage1,
    stage2: Option<&Stage2>,
    features: &Features,
    request: &Request,
    memory: &impl TableMemory,
) -> Result<Translation, Fault> {
    walk(stage1, stage2, features, request, memory).result
}

/// How often a walk is tried while others change its descriptors under it.
const MAX_TRIES: u32 = 256;

/// Walks and commits the updates by compare-and-swap; walks again if one was lost. A guest that keeps changing the
/// descriptors gets an unsupported-update fault after a bounded number of tries.
pub fn translate_and_commit(
    stage1: &Stage1,
    stage2: Option<&Stage2>,
    features: &Features,
    request: &Request,
    memory: &impl TableMemory,
) -> Result<Translation, Fault> {
    let failed = |kind, u: &DescriptorUpdate| Fault {
        kind,
        level: u.level,
        stage: u.stage,
        s1ptw: u.s1ptw,
        va: request.va,
        ipa: None,
        write: request.access.is_write(),
        descriptor: Some(u.pa),
        update: true,
    };
    let mut lost = None;
    'again: for _ in 0..MAX_TRIES {
        let Walk { result, updates } = walk(stage1, stage2, features, request, memory);
        for u in updates.iter() {
            match memory.update_descriptor(u.pa, u.old, u.new_value()) {
                Ok(true) => {}
                Ok(false) => {
                    lost = Some(*u);
                    continue 'again;
                }
                Err(UpdateError::ExternalAbort) => return Err(failed(FaultKind::ExternalAbortOnWalk, u)),
                Err(UpdateError::Unsupported) => return Err(failed(FaultKind::UnsupportedAtomicUpdate, u)),
            }
        }
        return result;
    }
    match lost {
        Some(u) => Err(failed(FaultKind::UnsupportedAtomicUpdate, &u)),
        None => walk(stage1, stage2, features, request, memory).result,
    }
}

/// Why stage 2 is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// For the output of stage 1.
    Output,
    /// To read a descriptor of stage 1.
    TableRead,
    /// To update one.
    TableUpdate,
}

/// What stage 1 gives.
struct Stage1Leaf {
    ipa: u64,
    bits: u32,
    level: Option<i8>,
    attrs: MemAttrs,
    permissions: Permissions,
    clean: bool,
    not_global: bool,
    contiguous: bool,
    guarded: bool,
}

/// What stage 2 gives.
struct Stage2Leaf {
    pa: u64,
    bits: u32,
    level: i8,
    attrs: MemAttrs,
    permissions: Permissions,
    clean: bool,
}

/// A leaf descriptor and where it was found.
struct Found {
    descriptor: u64,
    address: u64,
    level: i8,
    output: u64,
}

struct Walker<'a, M, O> {
    stage1: &'a Stage1,
    stage2: Option<&'a Stage2>,
    features: &'a Features,
    request: &'a Request,
    memory: &'a M,
    observer: &'a mut O,
    updates: Updates,
}

impl<M: TableMemory, O: Observer> Walker<'_, M, O> {
    fn run(&mut self) -> Result<Translation, Fault> {
        let s1 = if self.stage1.enabled { self.translate_stage1()? } else { self.stage1_off()? };
        let mut t = Translation {
            pa: self.physical(s1.ipa),
            ipa: Ipa(s1.ipa),
            s1_bits: s1.bits as u8,
            s2_bits: 64,
            s1_level: s1.level,
            s2_level: None,
            attrs: s1.attrs.effective(),
            permissions: s1.permissions,
            write_needs_update: s1.clean,
            not_global: s1.not_global,
            contiguous: s1.contiguous,
            guarded: s1.guarded,
        };
        if let (Some(stage2), false) = (self.stage2, self.request.stage1_only) {
            let s2 = self.translate_stage2(stage2, s1.ipa, s1.attrs, Purpose::Output)?;
            t.pa = self.physical(s2.pa);
            t.s2_bits = s2.bits as u8;
            t.s2_level = Some(s2.level);
            t.attrs = s2.attrs;
            t.permissions &= s2.permissions;
            t.write_needs_update |= s2.clean;
        }
        Ok(t)
    }

    /// An address that a table names.
    fn physical(&self, address: u64) -> Pa {
        Pa(address).in_space(self.stage1.security)
    }

    fn fault1(&self, kind: FaultKind, level: i8) -> Fault {
        Fault {
            kind,
            level,
            stage: Stage::S1,
            s1ptw: false,
            va: self.request.va,
            ipa: None,
            write: self.request.access.is_write(),
            descriptor: None,
            update: false,
        }
    }

    fn fault2(&self, kind: FaultKind, level: i8, ipa: u64, purpose: Purpose) -> Fault {
        let s1ptw = purpose != Purpose::Output;
        let update = purpose == Purpose::TableUpdate;
        Fault { stage: Stage::S2, s1ptw, ipa: Some(ipa), update, ..self.fault1(kind, level) }
    }

    /// A permission fault's WnR, which tells the missing half of an atomic access.
    fn denied(&self, fault: Fault, denied: Denied) -> Fault {
        let write = if self.request.access == Access::ReadWrite { denied.write } else { fault.write };
        Fault { write, ..fault }
    }

    /// Stage 1 off: flat (AArch64.S1DisabledOutput).
    fn stage1_off(&self) -> Result<Stage1Leaf, Fault> {
        let va = self.request.va;
        let half = self.stage1.half(va);
        let tagged = half.tbi && !(half.tbid && self.request.access == Access::Execute);
        let address = if tagged { va & low_mask(56) } else { va };
        if address >> self.features.pa_bits != 0 {
            return Err(self.fault1(FaultKind::AddressSize, 0));
        }
        let attrs =
            if self.stage1.default_cacheable { MemAttrs::DEFAULT_CACHEABLE } else { MemAttrs::DEVICE };
        if self.request.unaligned && attrs.is_device() && self.request.access != Access::Execute {
            return Err(self.fault1(FaultKind::Alignment, 0));
        }
        Ok(Stage1Leaf {
            ipa: address,
            bits: 64,
            level: None,
            attrs,
            permissions: Permissions::all(),
            clean: false,
            not_global: false,
            contiguous: false,
            guarded: false,
        })
    }

    fn translate_stage1(&mut self) -> Result<Stage1Leaf, Fault> {
        let (stage1, features, request) = (self.stage1, self.features, self.request);
        let va = stage1.canonical(request.va, request.access == Access::Execute);
        let half = stage1.half(va);
        let unreachable =
            half.bad_size(features) || !stage1.in_range(va, half) || half.e0pd && !request.privileged;
        if unreachable || half.epd {
            return Err(self.fault1(FaultKind::Translation, 0));
        }
        let format = Format::new(half.granule, half.ds, features);
        let mut controls = Stage1Controls::default();
        let found = self.walk_stage1(half, &format, va, &mut controls)?;
        let (d, level) = (found.descriptor, found.level);
        let accessed = d & descriptor::AF != 0 || stage1.ignores_af();
        if !accessed && !stage1.ha {
            return Err(self.fault1(FaultKind::AccessFlag, level));
        }
        let attrs = stage1.attributes(features, half, d);
        if request.unaligned && attrs.is_device() && request.access != Access::Execute {
            return Err(self.fault1(FaultKind::Alignment, level));
        }
        let permissions = stage1.permissions(features, half, d, controls);
        permissions.check(request).map_err(|e| self.denied(self.fault1(FaultKind::Permission, level), e))?;

        let clean = stage1.hd && d & descriptor::DBM != 0 && d & descriptor::AP2 != 0;
        let dirties = clean && request.access.dirties();
        let update = DescriptorUpdate {
            pa: Pa(found.address),
            old: d,
            set: if accessed { 0 } else { descriptor::AF },
            clear: if dirties { descriptor::AP2 } else { 0 },
            stage: Stage::S1,
            s1ptw: false,
            level,
        };
        self.update_stage1(update)?;
        Ok(Stage1Leaf {
            ipa: found.output,
            bits: half.granule.block_bits(level),
            level: Some(level),
            attrs,
            permissions,
            clean: clean && !dirties,
            not_global: stage1.regime.has_unprivileged() && d & descriptor::NG != 0,
            contiguous: half.granule.contiguous_bits(level) != 0 && d & descriptor::CONTIGUOUS != 0,
            guarded: d & descriptor::GP != 0,
        })
    }

    /// Notes an update of a stage 1 descriptor, whose address is that of stage 1; stage 2 must let the table be written.
    fn update_stage1(&mut self, mut update: DescriptorUpdate) -> Result<(), Fault> {
        if update.new_value() == update.old {
            return Ok(());
        }
        let address = match self.stage2 {
            Some(stage2) => {
                let attrs = MemAttrs::DEFAULT_CACHEABLE;
                self.translate_stage2(stage2, update.pa.0, attrs, Purpose::TableUpdate)?.pa
            }
            None => update.pa.0,
        };
        update.pa = self.physical(address);
        self.updates.push(update);
        Ok(())
    }

    /// The tables of stage 1. The address in the result is an IPA if there is a stage 2.
    fn walk_stage1(
        &mut self,
        half: &Half,
        format: &Format,
        va: u64,
        controls: &mut Stage1Controls,
    ) -> Result<Found, Fault> {
        let limit = self.features.output_bits(self.stage1.output, half.granule, half.ds);
        let too_big = |address: u64| address >> limit != 0;
        let start = half.start_level();
        let mut base = half.base(format, self.stage1.output);
        let mut level = start;
        if too_big(base) {
            return Err(self.fault1(FaultKind::AddressSize, 0));
        }
        loop {
            let bits = half.granule.block_bits(level);
            let top = if level == start { half.input_bits() } else { bits + half.granule.stride() };
            let address = base | field(va, top - 1, bits) << 3;
            let physical = match self.stage2 {
                Some(stage2) => {
                    let attrs = MemAttrs::DEFAULT_CACHEABLE;
                    self.translate_stage2(stage2, address, attrs, Purpose::TableRead)?.pa
                }
                None => address,
            };
            let physical = self.physical(physical);
            let mut step = WalkStep {
                stage: Stage::S1,
                s1ptw: false,
                level,
                input: va,
                address: physical,
                descriptor: None,
                meaning: Descriptor::Invalid,
                bits,
            };
            let Ok(d) = self.memory.read_descriptor(physical) else {
                self.observer.step(step);
                let fault = self.fault1(FaultKind::ExternalAbortOnWalk, level);
                return Err(Fault { descriptor: Some(physical), ..fault });
            };
            step.descriptor = Some(d);
            step.meaning = format.decode(d, level);
            self.observer.step(step);
            match step.meaning {
                Descriptor::Invalid => return Err(self.fault1(FaultKind::Translation, level)),
                Descriptor::Table(next) | Descriptor::Leaf(next) if too_big(next) => {
                    return Err(self.fault1(FaultKind::AddressSize, level));
                }
                Descriptor::Table(next) => {
                    self.stage1.table_controls(half, d, controls);
                    base = next;
                    level += 1;
                }
                Descriptor::Leaf(base) => {
                    let output = base | va & low_mask(bits);
                    return Ok(Found { descriptor: d, address, level, output });
                }
            }
        }
    }

    fn translate_stage2(
        &mut self,
        stage2: &Stage2,
        ipa: u64,
        attrs: MemAttrs,
        purpose: Purpose,
    ) -> Result<Stage2Leaf, Fault> {
        let start = stage2
            .start_level(self.features)
            .filter(|_| ipa >> stage2.input_bits() == 0)
            .ok_or_else(|| self.fault2(FaultKind::Translation, 0, ipa, purpose))?;
        let format = Format::new(stage2.granule, stage2.ds, self.features);
        let found = self.walk_stage2(stage2, &format, start, ipa, purpose)?;
        let (d, level) = (found.descriptor, found.level);
        let accessed = d & descriptor::AF != 0 || stage2.ignores_af();
        if !accessed && !stage2.ha {
            return Err(self.fault2(FaultKind::AccessFlag, level, ipa, purpose));
        }
        let combined = stage2.attributes(d, attrs);
        // In stage 2 proper only: a device page of stage 1 has had its alignment fault already.
        let device = combined.is_device();
        let data = purpose == Purpose::Output && self.request.access != Access::Execute;
        if device && data && self.request.unaligned {
            return Err(self.fault2(FaultKind::Alignment, level, ipa, purpose));
        }
        let permissions = stage2.permissions(self.features, d);
        self.check_stage2(stage2, permissions, device, purpose).map_err(|e| {
            let fault = self.fault2(FaultKind::Permission, level, ipa, purpose);
            if purpose == Purpose::Output { self.denied(fault, e) } else { fault }
        })?;

        let clean = stage2.hd && d & descriptor::DBM != 0 && d & descriptor::AP2 == 0;
        let writes = match purpose {
            Purpose::Output => self.request.access.dirties(),
            Purpose::TableRead => false,
            Purpose::TableUpdate => true,
        };
        let dirty = if clean && writes { descriptor::AP2 } else { 0 };
        self.updates.push(DescriptorUpdate {
            pa: self.physical(found.address),
            old: d,
            set: dirty | if accessed { 0 } else { descriptor::AF },
            clear: 0,
            stage: Stage::S2,
            s1ptw: purpose != Purpose::Output,
            level,
        });
        let bits = stage2.granule.block_bits(level);
        Ok(Stage2Leaf {
            pa: found.output,
            bits,
            level,
            attrs: combined,
            permissions,
            clean: clean && !writes,
        })
    }

    /// Permission checks of stage 2 (AArch64.S2CheckPermissions).
    fn check_stage2(
        &self,
        stage2: &Stage2,
        permissions: Permissions,
        device: bool,
        purpose: Purpose,
    ) -> Result<(), Denied> {
        let need = |p, write| if permissions.contains(p) { Ok(()) } else { Err(Denied { write }) };
        match purpose {
            // Stage 2 knows no PAN, and its data permissions are the same at EL0 and EL1.
            Purpose::Output => permissions.check(&Request { pan: false, ..*self.request }),
            _ if stage2.ptw && device => Err(Denied { write: false }),
            Purpose::TableRead => need(Permissions::PRIV_READ, false),
            Purpose::TableUpdate => {
                need(Permissions::PRIV_READ, false).and_then(|()| need(Permissions::PRIV_WRITE, true))
            }
        }
    }

    /// The tables of stage 2.
    fn walk_stage2(
        &mut self,
        stage2: &Stage2,
        format: &Format,
        start: i8,
        ipa: u64,
        purpose: Purpose,
    ) -> Result<Found, Fault> {
        let limit = self.features.output_bits(stage2.output, stage2.granule, stage2.ds);
        let too_big = |address: u64| address >> limit != 0;
        let mut base = stage2.base(format, start);
        let mut level = start;
        if too_big(base) {
            return Err(self.fault2(FaultKind::AddressSize, 0, ipa, purpose));
        }
        loop {
            let bits = stage2.granule.block_bits(level);
            let top = if level == start { stage2.input_bits() } else { bits + stage2.granule.stride() };
            let address = base | field(ipa, top - 1, bits) << 3;
            let physical = self.physical(address);
            let mut step = WalkStep {
                stage: Stage::S2,
                s1ptw: purpose != Purpose::Output,
                level,
                input: ipa,
                address: physical,
                descriptor: None,
                meaning: Descriptor::Invalid,
                bits,
            };
            let Ok(d) = self.memory.read_descriptor(physical) else {
                self.observer.step(step);
                let fault = self.fault2(FaultKind::ExternalAbortOnWalk, level, ipa, purpose);
                return Err(Fault { descriptor: Some(physical), ..fault });
            };
            step.descriptor = Some(d);
            step.meaning = format.decode(d, level);
            self.observer.step(step);
            match step.meaning {
                Descriptor::Invalid => {
                    return Err(self.fault2(FaultKind::Translation, level, ipa, purpose));
                }
                Descriptor::Table(next) | Descriptor::Leaf(next) if too_big(next) => {
                    return Err(self.fault2(FaultKind::AddressSize, level, ipa, purpose));
                }
                Descriptor::Table(next) => {
                    base = next;
                    level += 1;
                }
                Descriptor::Leaf(base) => {
                    let output = base | ipa & low_mask(bits);
                    return Ok(Found { descriptor: d, address, level, output });
                }
            }
        }
    }
}

impl Stage2 {
    /// Stage 1 attributes under the leaf `d`.
    fn attributes(&self, d: u64, stage1: MemAttrs) -> MemAttrs {
        let sh = if self.ds { self.sh } else { Shareability::from_sh(field(d, 9, 8)) };
        let mem_attr = field(d, 5, 2);
        let combined = if self.fwb { stage1.combine_fwb(mem_attr, sh) } else { stage1.combine(mem_attr, sh) };
        if self.cache_disable { combined.uncached().effective() } else { combined }
    }
}

#[cfg(test)]
mod tests;
