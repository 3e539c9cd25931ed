//! Stalled transactions (Arm IHI 0070, 3.12.2): those that software is told of and has not answered yet.
//!
//! A stall begins when the front makes it, before software can know of it, and is *parked* when the port has seen it. Software may
//! be quicker than the port: then the answer waits for the port instead.
//!
//! # Invariant
//! A stall is answered once. It is gone when its master has been told, or when its port has found the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use emu_core::dma::StallTag;
use parking_lot::Mutex;

use super::Transaction;
use super::port::{PortState, Whole};

/// What software says of a stalled transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is to be tried again (CMD_RESUME with Ac = 1).
    Retry,
    /// It is aborted (Ac = 0, Ab = 1).
    Abort,
    /// A read gives zeroes, a write is ignored (Ac = 0, Ab = 0).
    Zero,
}

/// The STAG of a stalled transaction, as event records and commands have it. [`StallTag`]s are not used again, STAGs are.
#[must_use]
pub const fn stag(tag: StallTag) -> u16 {
    tag.0 as u16
}

/// A transaction that waits for software.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stalled {
    /// Its tag.
    pub tag: StallTag,
    /// The transaction.
    pub transaction: Transaction,
    /// Since when, in nanoseconds of the machine's time.
    pub since: u64,
}

enum State {
    /// Its port has not seen it yet.
    New,
    /// Nor has it seen the answer.
    Answered(Answer),
    /// Its master waits, or is about to.
    Parked(Arc<PortState>, Whole),
}

struct Stall {
    what: Stalled,
    state: State,
}

#[derive(Default)]
struct All {
    by_stag: BTreeMap<u16, Stall>,
    /// The STAG that is tried next: so a number that was just given back rests for a while.
    next: u16,
    /// How many stalls there were.
    serial: u64,
}

/// All stalled transactions of an SMMU.
pub(super) struct Stalls {
    max: u16,
    all: Mutex<All>,
}

/// A master to be told of an answer.
pub(super) struct Woken {
    pub(super) what: Stalled,
    pub(super) port: Arc<PortState>,
    /// The access that it is of.
    pub(super) whole: Whole,
}

impl Stalls {
    pub(super) fn new(max: u16) -> Self {
        Self { max, all: Mutex::default() }
    }

    /// A transaction stalls, at a time. `None` if too many do already.
    pub(super) fn begin(&self, transaction: &Transaction, since: u64) -> Option<StallTag> {
        let all = &mut *self.all.lock();
        if all.by_stag.len() >= usize::from(self.max) {
            return None;
        }
        // There is a free one: there are more numbers than `max` can say.
        while all.by_stag.contains_key(&all.next) {
            all.next = all.next.wrapping_add(1);
        }
        let stag = all.next;
        all.next = stag.wrapping_add(1);
        all.serial += 1;
        let tag = StallTag(all.serial << 16 | u64::from(stag));
        let what = Stalled { tag, transaction: *transaction, since };
        all.by_stag.insert(stag, Stall { what, state: State::New });
        Some(tag)
    }

    /// The port has seen the stall. Gives the answer if there is one already; who is not known was aborted.
    pub(super) fn park(&self, tag: StallTag, port: &Arc<PortState>, whole: Whole) -> Option<Answer> {
        let mut all = self.all.lock();
        let Some(stall) = all.by_stag.get_mut(&stag(tag)).filter(|s| s.what.tag == tag) else {
            return Some(Answer::Abort);
        };
        let State::Answered(answer) = stall.state else {
            stall.state = State::Parked(port.clone(), whole);
            return None;
        };
        all.by_stag.remove(&stag(tag));
        Some(answer)
    }

    /// The stall was none: nobody was told of it.
    pub(super) fn withdraw(&self, tag: StallTag) {
        let mut all = self.all.lock();
        if all.by_stag.get(&stag(tag)).is_some_and(|s| s.what.tag == tag) {
            all.by_stag.remove(&stag(tag));
        }
    }

    /// Software answers one. False if `stream` has no such stall; otherwise who is to be told, if it is not the port that asks.
    pub(super) fn answer(
        &self,
        stream: u32,
        stag: u16,
        answer: Answer,
    ) -> Result<Option<Woken>, NoSuchStall> {
        let mut all = self.all.lock();
        let known = all.by_stag.get(&stag).is_some_and(|s| s.what.transaction.stream == stream);
        if known { all.give(stag, answer) } else { Err(NoSuchStall) }
    }

    /// Aborts all, or those of one stream.
    pub(super) fn abort(&self, stream: Option<u32>) -> Vec<Woken> {
        let mut all = self.all.lock();
        let of = |s: &Stall| stream.is_none_or(|id| id == s.what.transaction.stream);
        let stags: Vec<u16> = all.by_stag.iter().filter(|(_, s)| of(s)).map(|(stag, _)| *stag).collect();
        stags.into_iter().filter_map(|stag| all.give(stag, Answer::Abort).ok().flatten()).collect()
    }

    /// Those that wait, by STAG.
    pub(super) fn list(&self) -> Vec<Stalled> {
        let all = self.all.lock();
        all.by_stag.values().filter(|s| !matches!(s.state, State::Answered(_))).map(|s| s.what).collect()
    }
}

/// There is no stalled transaction of that name.
pub(super) struct NoSuchStall;

impl All {
    fn give(&mut self, stag: u16, answer: Answer) -> Result<Option<Woken>, NoSuchStall> {
        let stall = self.by_stag.get_mut(&stag).ok_or(NoSuchStall)?;
        match &stall.state {
            State::Answered(_) => Err(NoSuchStall),
            State::New => {
                stall.state = State::Answered(answer);
                Ok(None)
            }
            State::Parked(port, whole) => {
                let woken = Woken { what: stall.what, port: port.clone(), whole: *whole };
                self.by_stag.remove(&stag);
                Ok(Some(woken))
            }
        }
    }
}
