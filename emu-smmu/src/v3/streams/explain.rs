//! What a stream is translated under, told step by step: for the monitor.

use std::fmt;
use std::sync::Arc;

use emu_mmu::Fault;

use super::super::cd;
use super::super::layout::{Field, Words};
use super::super::settings::Settings;
use super::super::ste;
use super::super::tables::{Fetched, Lookup, Structure, Wrong};
use super::Streams;
use crate::translation::{Context, Transaction, Way};

/// Where the look ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// SMMUEN = 0: all transactions are aborted (GBPA.ABORT), or bypass.
    NotEnabled {
        /// GBPA.ABORT.
        aborts: bool,
    },
    /// STE.Config lets nothing pass.
    Disabled,
    /// Both stages are bypassed.
    Bypass,
    /// Under this.
    Translated(Arc<Context>),
    /// Transactions are aborted with an event of this name.
    Event(&'static str),
    /// Stage 2 faults on the way to a context descriptor.
    Stage2Fault(Fault),
}

/// All that is fetched for a stream, and what comes of it. Nothing is recorded, cached or updated by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// StreamID.
    pub stream: u32,
    /// SubstreamID.
    pub substream: Option<u32>,
    /// The structures in memory, in the order in which they are fetched.
    pub fetched: Vec<Fetched>,
    /// What they come to.
    pub outcome: Outcome,
    /// Transactions are translated under something else: an older context is cached, and awaits CMD_CFGI_STE or CMD_CFGI_CD.
    pub stale: bool,
}

/// An explanation of a stream and of one address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The configuration.
    pub explanation: Explanation,
    /// The way of the address; `None` if nothing translates it.
    pub way: Option<Way>,
}

/// Said where [`Explanation::stale`] holds.
pub(super) const STALE: &str = "STALE: another context is cached; CMD_CFGI_STE or CMD_CFGI_CD is missing";

impl Streams {
    /// Where a transaction would go, by the tables as they are in memory now.
    #[must_use]
    pub fn walk(&self, transaction: &Transaction) -> Walk {
        let explanation = self.explain(transaction.stream, transaction.substream);
        let way = match &explanation.outcome {
            Outcome::Translated(context) => {
                Some(context.way(transaction, &self.profile.features(), &self.memory()))
            }
            _ => None,
        };
        Walk { explanation, way }
    }

    /// What the transactions of a stream are translated under, as memory says it now.
    #[must_use]
    pub fn explain(&self, stream: u32, substream: Option<u32>) -> Explanation {
        let settings: Settings = *self.settings.read();
        let mut fetched = Vec::new();
        let outcome = if settings.enabled {
            let memory = self.memory();
            let witness = &mut fetched;
            let mut lookup = Lookup {
                memory: &memory,
                profile: &self.profile,
                settings: &settings,
                witness,
                commits: false,
            };
            outcome(lookup.context(stream, substream))
        } else {
            Outcome::NotEnabled { aborts: settings.bypass_aborts }
        };
        let cached = self.cache.find(stream, substream);
        let stale = settings.enabled && cached.is_some_and(|c| outcome != known(c));
        Explanation { stream, substream, fetched, outcome, stale }
    }
}

fn known(context: Arc<Context>) -> Outcome {
    if context.stage1.is_none() && context.stage2.is_none() {
        Outcome::Bypass
    } else {
        Outcome::Translated(context)
    }
}

fn outcome(found: Result<Context, Wrong>) -> Outcome {
    match found {
        Ok(context) => known(Arc::new(context)),
        Err(Wrong::Disabled) => Outcome::Disabled,
        Err(Wrong::Recorded { kind, .. }) => Outcome::Event(kind.name().1),
        Err(Wrong::OnContext { fault, .. }) => Outcome::Stage2Fault(fault),
    }
}

impl Structure {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StreamDescriptor => "L1STD",
            Self::Ste => "STE",
            Self::ContextPointer => "L1CD",
            Self::Cd => "CD",
        }
    }

    const fn fields(self) -> &'static [Field] {
        match self {
            Self::Ste => ste::FIELDS,
            Self::Cd => cd::FIELDS,
            Self::StreamDescriptor | Self::ContextPointer => &[],
        }
    }
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#x} at {:#x}", self.what.name(), self.index, self.address)?;
        match self.physical {
            Ok(pa) if pa != self.address => write!(f, " (physical {pa:#x})")?,
            Ok(_) => {}
            Err(fault) => return write!(f, ": {fault}"),
        }
        match (&*self.words, <&Words>::try_from(&*self.words)) {
            ([], _) => f.write_str(": external abort")?,
            ([word], _) => write!(f, ": {word:#018x}")?,
            (_, Ok(words)) => {
                let set = self.what.fields().iter().map(|field| (field, field.shown(words)));
                for (i, (field, value)) in set.filter(|(_, value)| *value != 0).enumerate() {
                    write!(f, "{}{} {value:#x}", if i == 0 { ": " } else { ", " }, field.name)?;
                }
            }
            _ => {}
        }
        for broken in &self.broken {
            write!(f, "\n  ILLEGAL: {} ({}): {}", broken.field.name, broken.section, broken.why)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnabled { aborts: true } => f.write_str("the SMMU is not enabled: aborted"),
            Self::NotEnabled { aborts: false } => f.write_str("the SMMU is not enabled: bypassed"),
            Self::Disabled => f.write_str("the stream is disabled: aborted in silence"),
            Self::Bypass => f.write_str("bypassed"),
            Self::Event(name) => write!(f, "aborted: {name}"),
            Self::Stage2Fault(fault) => write!(f, "no context descriptor: {fault}"),
            Self::Translated(context) => write!(f, "{context}"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {:#x}", self.stream)?;
        if let Some(id) = self.substream {
            write!(f, ".{id:#x}")?;
        }
        for fetched in &self.fetched {
            write!(f, "\n{fetched}")?;
        }
        write!(f, "\n{}", self.outcome)?;
        if self.stale {
            write!(f, "\n{STALE}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.explanation)?;
        self.way.as_ref().map_or(Ok(()), |way| write!(f, "\n{way}"))
    }
}
