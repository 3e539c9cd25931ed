//! The stream side of an SMMUv2: what transactions are translated under, what becomes of those that fault, and those that wait.
//!
//! # Invariants
//! - The routes that are kept follow from the registers: whoever changes a register that routes follow from forgets them under
//!   the same lock, and then has the core forget what it knows of them.
//! - A transaction that is stalled is in [`Stalled`] of one context bank from the moment that software can know of it until it is
//!   answered: it is the one of FSR.SS, which RESUME answers, or it waits until the bank has no fault, and is tried again.
//! - No lock is held while the core answers a transaction, waits for some, or reads memory. A wire is driven by one thread at a
//!   time, to the level that registers say then.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use emu_core::irq::IrqLine;
use emu_mmu::Stage;
use parking_lot::{Mutex, RwLock};

use super::fault::{GlobalFault, SS};
use super::profile::Profile;
use super::registers::{Bank, CLIENTPD, GFIE, GFRE, Registers};
use super::routing::Route;
use crate::translation::{
    Answer, Context, Core, FaultPolicy, Faulted, Front, Refusal, Transaction, Verdict, stag,
};

/// StreamIDs that there can be.
const STREAMS: u32 = 1 << 16;

/// A stalled transaction: its StreamID, and the core's number of it.
type Stall = (u32, u16);

/// The stalled transactions of a context bank.
#[derive(Default)]
struct Stalled {
    /// That of FSR.SS.
    shown: Option<Stall>,
    /// Those that are to be tried again when there is no fault any more.
    waiting: Vec<Stall>,
}

struct State {
    registers: Registers,
    stalled: Vec<Stalled>,
}

impl State {
    fn new(registers: Registers) -> Self {
        let stalled = registers.banks.iter().map(|_| Stalled::default()).collect();
        Self { registers: registers.without_stalls(), stalled }
    }

    /// Which of a context's banks holds transactions back.
    fn holds_back(&self, context: &Context) -> Option<Stage> {
        let holds = |n: u8| self.registers.banks.get(usize::from(n)).is_some_and(|bank| bank.holds_back());
        match context.banks.map(holds) {
            [true, _] => Some(Stage::S1),
            [false, true] => Some(Stage::S2),
            [false, false] => None,
        }
    }
}

/// How a transaction ends that does not wait.
const fn terminated(policy: FaultPolicy) -> Refusal {
    if policy.abort { Refusal::Abort } else { Refusal::Zero }
}

/// A stage's context bank, and what it does at a fault.
const fn of_stage(context: &Context, stage: Stage) -> (usize, FaultPolicy) {
    match stage {
        Stage::S1 => (context.banks[0] as usize, context.policy1),
        Stage::S2 => (context.banks[1] as usize, context.policy2),
    }
}

/// The interrupts.
pub(super) struct Wires {
    /// NSgIrpt: of global faults.
    pub(super) global: IrqLine,
    /// One for each context bank.
    pub(super) contexts: Vec<IrqLine>,
}

/// The streams of an SMMUv2.
pub(super) struct Streams {
    profile: Profile,
    state: RwLock<State>,
    routes: RwLock<BTreeMap<u32, Route>>,
    wires: Mutex<Wires>,
    core: OnceLock<Weak<Core>>,
}

impl Streams {
    pub(super) fn new(profile: Profile, wires: Wires) -> Arc<Self> {
        Arc::new(Self {
            profile,
            state: RwLock::new(State::new(Registers::new(&profile))),
            routes: RwLock::default(),
            wires: Mutex::new(wires),
            core: OnceLock::new(),
        })
    }

    /// Says whose front this is. Nothing stalls before.
    pub(super) fn attach(&self, core: &Arc<Core>) {
        // The first core stays: an SMMU has one.
        let _ = self.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    pub(super) const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Reads registers.
    pub(super) fn read<T>(&self, f: impl FnOnce(&Registers) -> T) -> T {
        f(&self.state.read().registers)
    }

    /// Changes registers that nothing else follows from.
    pub(super) fn change<T>(&self, f: impl FnOnce(&mut Registers) -> T) -> T {
        f(&mut self.state.write().registers)
    }

    /// Changes registers that say how transactions are dealt with: that holds for all that begin afterwards, and those under way
    /// are at their end when this returns.
    pub(super) fn configure<T>(&self, f: impl FnOnce(&mut Registers) -> T) -> T {
        let done = {
            let mut state = self.state.write();
            self.routes.write().clear();
            f(&mut state.registers)
        };
        if let Some(core) = self.core() {
            core.forget_contexts();
            core.sync();
        }
        done
    }

    /// Goes into a state; what was stalled in another one is gone.
    pub(super) fn enter(&self, registers: Registers) {
        // So that nothing is under way that could fault in the new state by the old one.
        self.configure(|r| r.cr0 = CLIENTPD);
        {
            let mut state = self.state.write();
            self.routes.write().clear();
            *state = State::new(registers);
        }
        if let Some(core) = self.core() {
            core.reset();
        }
        self.drive_global();
        (0..usize::from(self.profile.banks)).for_each(|n| self.drive(n));
    }

    /// Global faults have changed, or whether they interrupt.
    pub(super) fn drive_global(&self) {
        let wires = self.wires.lock();
        wires.global.set(self.read(|r| r.gfsr != 0 && r.cr0 & GFIE != 0));
    }

    /// The faults of a context bank have changed, or whether they interrupt.
    fn drive(&self, n: usize) {
        let wires = self.wires.lock();
        let level = self.read(|r| r.banks.get(n).is_some_and(|bank| bank.interrupts()));
        if let Some(wire) = wires.contexts.get(n) {
            wire.set(level);
        }
    }

    /// The same, by software: transactions that waited for the fault to go may be tried again. With HUPCF they have faults of their
    /// own, which are recorded when there is none any more, and nothing is stalled that RESUME would answer first.
    pub(super) fn faults_changed(&self, n: usize) {
        self.drive(n);
        self.try_again(n, |bank| !bank.has_fault());
    }

    /// SCTLR has changed: with HUPCF nobody waits any more for faults of others.
    pub(super) fn control_changed(&self, n: usize) {
        self.drive(n);
        self.try_again(n, |bank| !bank.holds_back());
    }

    /// Those who wait try again, if they may.
    fn try_again(&self, n: usize, may: impl FnOnce(&Bank) -> bool) {
        let free = {
            let State { registers, stalled } = &mut *self.state.write();
            match (registers.banks.get(n), stalled.get_mut(n)) {
                (Some(bank), Some(stalled)) if may(bank) => std::mem::take(&mut stalled.waiting),
                _ => Vec::new(),
            }
        };
        free.into_iter().for_each(|stall| self.answer(stall, Answer::Retry));
    }

    /// CBn_RESUME: the stalled transaction is tried again, or terminated as SCTLR.CFRE says.
    pub(super) fn resume(&self, n: usize, terminate: bool) {
        let (shown, answer) = {
            let State { registers, stalled } = &mut *self.state.write();
            let (Some(bank), Some(stalled)) = (registers.banks.get_mut(n), stalled.get_mut(n)) else {
                return;
            };
            bank.fsr &= !SS;
            bank.clear(0);
            let answer = match (terminate, bank.policy(true).abort) {
                (false, _) => Answer::Retry,
                (true, true) => Answer::Abort,
                (true, false) => Answer::Zero,
            };
            (stalled.shown.take(), answer)
        };
        if let Some(stall) = shown {
            self.drive(n);
            self.answer(stall, answer);
        }
        self.faults_changed(n);
    }

    fn answer(&self, (stream, stag): Stall, answer: Answer) {
        if let Some(core) = self.core() {
            // One that a reset has aborted meanwhile is not there any more.
            let _ = core.resume(stream, stag, answer);
        }
    }

    /// What is to be done with the transactions of a stream.
    fn route(&self, stream: u32) -> Route {
        if let Some(route) = self.routes.read().get(&stream) {
            return route.clone();
        }
        // Under this lock no register changes between the route and the keeping of it.
        let state = self.state.read();
        let route = state.registers.route(stream, &self.profile);
        if stream < STREAMS {
            self.routes.write().insert(stream, route.clone());
        }
        route
    }

    fn global_fault(&self, fault: GlobalFault, nested: bool, t: &Transaction) -> Refusal {
        let aborts = self.change(|r| {
            r.record_global(fault, nested, t);
            r.cr0 & GFRE != 0
        });
        tracing::debug!(target: "smmu", ?fault, nested, stream = t.stream, address = t.address);
        self.drive_global();
        if aborts { Refusal::Abort } else { Refusal::Zero }
    }

    /// SCTLR.HUPCF is 0 and an earlier transaction of the context has faulted: this one waits behind it, or is terminated.
    fn held_back(&self, t: &Transaction, context: &Context) -> Option<Refusal> {
        self.state.read().holds_back(context)?;
        let state = &mut *self.state.write();
        let (n, policy) = of_stage(context, state.holds_back(context)?);
        let tag = if policy.stall { self.core().and_then(|core| core.stall(t)) } else { None };
        match (tag, state.stalled.get_mut(n)) {
            (Some(tag), Some(stalled)) => {
                stalled.waiting.push((t.stream, stag(tag)));
                Some(Refusal::Stall(tag))
            }
            _ => Some(terminated(policy)),
        }
    }
}

impl Front for Streams {
    fn verdict(&self, t: &Transaction) -> Verdict {
        match self.route(t.stream) {
            Route::Bypass => Verdict::Bypass,
            Route::Fault(fault, nested) => Verdict::Refuse(self.global_fault(fault, nested, t)),
            Route::Context(context) => match self.held_back(t, &context) {
                Some(refusal) => Verdict::Refuse(refusal),
                None => Verdict::Translate(context),
            },
        }
    }

    /// The bank of the stage that faulted records it, and says whether the transaction stalls or is terminated.
    fn fault(&self, t: &Transaction, context: &Context, faulted: &Faulted) -> Refusal {
        let core = self.core();
        let fault = &faulted.fault;
        let (n, policy) = of_stage(context, fault.stage);
        let refusal = {
            let State { registers, stalled } = &mut *self.state.write();
            let (Some(bank), Some(stalled)) = (registers.banks.get_mut(n), stalled.get_mut(n)) else {
                return Refusal::Abort;
            };
            let first = bank.record(&context.reported(t, faulted), context, fault);
            let tag = if policy.stall { core.as_ref().and_then(|core| core.stall(t)) } else { None };
            match tag {
                None => terminated(policy),
                Some(tag) => {
                    let stall = (t.stream, stag(tag));
                    if first {
                        bank.fsr |= SS;
                        stalled.shown = Some(stall);
                    } else {
                        stalled.waiting.push(stall);
                    }
                    Refusal::Stall(tag)
                }
            }
        };
        tracing::debug!(target: "smmu", bank = n, stream = t.stream, ?refusal, "{fault}");
        // With HUPCF = 0 nothing else gets through, whatever ports know.
        if let Some(core) = core {
            core.forget_contexts();
        }
        self.drive(n);
        refusal
    }
}
