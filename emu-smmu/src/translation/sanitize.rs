//! Sanitizers: what no hardware tells of a guest's use of its SMMU. They are asked for, and cost a walk for each page of a
//! transaction: with them on, ports remember nothing.
//!
//! - [`Sanitizers::stale`]: a transaction was let through by a translation, or by a configuration, that memory no longer holds:
//!   tables were changed, and the invalidation or its CMD_SYNC is missing or came too late for this transaction. It may be a master
//!   that still goes to what its driver has unmapped. That the access flag or the dirty state is another one is no finding:
//!   software clears them without invalidation.
//! - [`Sanitizers::isolation`]: a page of RAM was reached through two address spaces, each with tables of its own, while both could
//!   reach it and one of them could write. Where no page is shared on purpose, as by a host that reads a file
//!   into the memory of a guest, that is a hole between two guests. What is mapped and not accessed is not known.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use emu_core::addr::PAGE_SIZE;
use emu_core::bus::{Bus, Target};
use emu_core::table::TableBus;
use emu_core::{Pa, Security};
use emu_mmu::{FaultKind, Features, Request, Stage1, Translation, translate};
use parking_lot::Mutex;

use super::{Access, Context, Transaction};

/// Which sanitizers are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sanitizers {
    /// Translations and configurations that memory no longer holds.
    pub stale: bool,
    /// Pages that two address spaces reach.
    pub isolation: bool,
}

/// Who reached a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// StreamID.
    pub stream: u32,
    /// SubstreamID.
    pub substream: Option<u32>,
    /// The input address.
    pub address: u64,
    /// It could write.
    pub writes: bool,
    /// The tables of its address space: those of stage 2, if there is one, else of stage 1.
    pub root: u64,
}

/// Something that a sanitizer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A transaction went to `used`; the tables say `now`.
    StaleTranslation {
        /// The transaction.
        transaction: Transaction,
        /// Where it went.
        used: Pa,
        /// Where it would go after an invalidation.
        now: Result<Pa, FaultKind>,
    },
    /// A transaction was translated under a configuration that the structures in memory do not give any more.
    StaleConfiguration {
        /// The transaction.
        transaction: Transaction,
    },
    /// A page of RAM that two address spaces reach.
    SharedPage {
        /// Its address.
        page: Pa,
        /// Who reached it before.
        before: Reach,
        /// Who reaches it now.
        now: Reach,
    },
}

/// A stream, and what is in it.
struct Named(u32, Option<u32>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            None => write!(f, "stream {:#x}", self.0),
            Some(substream) => write!(f, "stream {:#x}.{substream:#x}", self.0),
        }
    }
}

fn access(t: &Transaction) -> &'static str {
    match t.access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Atomic => "atomic access",
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |t: &Transaction| {
            format!("a {} of {} at {:#x}", access(t), Named(t.stream, t.substream), t.address)
        };
        match self {
            Self::StaleTranslation { transaction, used, now } => {
                let now = match now {
                    Ok(pa) => format!("lead to {:#x}", pa.0),
                    Err(kind) => format!("fault ({kind:?})"),
                };
                write!(
                    f,
                    "stale translation: {} went to {:#x}, and the tables {now}",
                    of(transaction),
                    used.0
                )
            }
            Self::StaleConfiguration { transaction } => write!(
                f,
                "stale configuration: {} was translated by an STE or CD that memory no longer holds",
                of(transaction)
            ),
            Self::SharedPage { page, before, now } => {
                let who = |r: &Reach| {
                    format!(
                        "{} at {:#x} (tables at {:#x}, {})",
                        Named(r.stream, r.substream),
                        r.address,
                        r.root,
                        if r.writes { "may write" } else { "reads" }
                    )
                };
                write!(
                    f,
                    "no isolation: page {:#x} is reached by {} and by {}",
                    page.0,
                    who(before),
                    who(now)
                )
            }
        }
    }
}

/// A way to a page that was taken once, and can be looked at again.
#[derive(Clone)]
struct Taken {
    reach: Reach,
    context: Context,
    request: Request,
}

/// Pages that are remembered: all are forgotten when there are more.
const PAGES: usize = 1 << 16;
/// Ways to a page that are remembered.
const WAYS: usize = 4;
/// Findings that are kept to be shown.
const KEPT: usize = 64;

#[derive(Default)]
struct Found {
    total: u64,
    kept: Vec<Finding>,
    pages: HashMap<u64, Vec<Taken>>,
}

/// What is looked for, and what was found.
#[derive(Default)]
pub(super) struct Watch {
    what: OnceLock<Sanitizers>,
    found: Mutex<Found>,
}

impl Watch {
    /// The first call decides.
    pub(super) fn set(&self, what: Sanitizers) {
        let _ = self.what.set(what);
    }

    pub(super) fn what(&self) -> Sanitizers {
        self.what.get().copied().unwrap_or_default()
    }

    /// Ports may remember where pages are.
    pub(super) fn is_off(&self) -> bool {
        self.what() == Sanitizers::default()
    }

    pub(super) fn total(&self) -> u64 {
        self.found.lock().total
    }

    pub(super) fn kept(&self) -> Vec<Finding> {
        self.found.lock().kept.clone()
    }

    /// Something was found.
    pub(super) fn report(&self, finding: Finding) {
        let mut found = self.found.lock();
        found.total += 1;
        if !found.kept.contains(&finding) && found.kept.len() < KEPT {
            found.kept.push(finding);
        }
        drop(found);
        tracing::warn!(target: "sanitizer", "{finding}");
    }

    /// A transaction goes where `used` says. What it is with the tables as they are now is compared.
    pub(super) fn used(
        &self,
        t: &Transaction,
        way: (&Context, &Request),
        used: &Translation,
        with: (&Features, &Bus),
    ) {
        let now = look(way, with);
        let differs = match now {
            Ok(now) => now.pa != used.pa,
            // These are changed without invalidation.
            Err(kind) => kind != FaultKind::AccessFlag,
        };
        if differs {
            self.report(Finding::StaleTranslation {
                transaction: *t,
                used: used.pa,
                now: now.map(|now| now.pa),
            });
        }
    }

    /// A transaction has found its page. If it is RAM, others that found the same one are looked at again.
    pub(super) fn reached(
        &self,
        t: &Transaction,
        (context, request): (&Context, &Request),
        found: &Translation,
        with: (&Features, &Bus),
    ) {
        let page = found.pa.0 & !(PAGE_SIZE - 1);
        let Some(root) = root(context) else { return };
        // Registers, as those that take MSIs, are shared on purpose.
        if !matches!(with.1.view().target(Pa(page)), Some(Target::Ram(_))) {
            return;
        }
        let writes = found.allows(&Request { access: emu_mmu::Access::Write, ..*request });
        let reach = Reach { stream: t.stream, substream: t.substream, address: t.address, writes, root };
        let taken = Taken { reach, context: context.clone(), request: *request };
        let others = self.found.lock().remember(page, taken);
        let still = |other: &Taken| {
            look((&other.context, &other.request), with).is_ok_and(|now| now.pa.0 & !(PAGE_SIZE - 1) == page)
        };
        let mut shared = others.into_iter().filter(|other| writes || other.reach.writes);
        let shared = shared.find(still).map(|other| other.reach);
        if let Some(before) = shared {
            self.report(Finding::SharedPage { page: Pa(page), before, now: reach });
        }
    }
}

impl Found {
    /// Keeps a way to a page, in place of an older one of the same address space; gives those of others.
    fn remember(&mut self, page: u64, taken: Taken) -> Vec<Taken> {
        if self.pages.len() >= PAGES && !self.pages.contains_key(&page) {
            self.pages.clear();
        }
        let ways = self.pages.entry(page).or_default();
        ways.retain(|other| other.reach.root != taken.reach.root);
        let others = ways.clone();
        if ways.len() == WAYS {
            ways.remove(0);
        }
        ways.push(taken);
        others
    }
}

/// Which tables make an address space.
fn root(context: &Context) -> Option<u64> {
    const ADDRESS: u64 = 0xffff_ffff_fffe;
    let of_stage1 = || context.stage1.filter(|s| s.enabled).map(|s| s.halves[0].ttbr & ADDRESS);
    context.stage2.map(|s| s.vttbr & ADDRESS).or_else(of_stage1)
}

/// Walks without changing anything.
fn look(
    (context, request): (&Context, &Request),
    (features, bus): (&Features, &Bus),
) -> Result<Translation, FaultKind> {
    let stage1 = context.stage1.unwrap_or_else(|| Stage1::bypass(features, Security::NonSecure));
    let memory = TableBus::new(bus.view());
    translate(&stage1, context.stage2.as_ref(), features, request, &memory).map_err(|fault| fault.kind)
}
