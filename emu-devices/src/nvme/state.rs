//! What is saved, and the life of the controller as a part of the machine.

use std::collections::BTreeMap;
use std::io;

use emu_core::host::reason;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use serde::{Deserialize, Serialize};

use super::command::{Command, Completion};
use super::features::Features;
use super::logs::{Events, Health};
use super::queues::{Completions, Ring, Submission};
use super::registers::{Registers, csts};
use super::service::IN_FLIGHT;
use super::{Live, Nvme};
use crate::pci::{FunctionState, OTHER_FUNCTION};

#[derive(Serialize, Deserialize)]
struct SubmissionState {
    ring: Ring,
    cq: u16,
}

#[derive(Serialize, Deserialize)]
struct CompletionState {
    ring: Ring,
    phase: bool,
    vector: Option<u16>,
    waiting: Vec<Completion>,
}

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
    registers: Registers,
    submission: BTreeMap<u16, SubmissionState>,
    completion: BTreeMap<u16, CompletionState>,
    /// Commands that had not ended, with their queues. They begin again: none has told of an end, and to do one twice is to do
    /// it once.
    commands: Vec<(u16, Command)>,
    features: Features,
    events: Events,
    health: Health,
    /// Blocks of the namespaces.
    namespaces: BTreeMap<u32, u64>,
}

impl SavedState for State {
    const KIND: &'static str = "nvme";
    const VERSION: u32 = 1;
}

impl State {
    fn of(nvme: &Nvme, live: &Live) -> Self {
        let submission = live.sqs.iter().map(|(id, q)| (*id, SubmissionState { ring: q.ring, cq: q.cq }));
        let completion = live.cqs.iter().map(|(id, q)| {
            let waiting = q.waiting.iter().copied().collect();
            (*id, CompletionState { ring: q.ring, phase: q.phase, vector: q.vector, waiting })
        });
        let running = live.commands.iter().flatten().filter_map(|r| Some((r.queue?, r.command)));
        Self {
            function: nvme.core.save(),
            registers: live.regs.clone(),
            submission: submission.collect(),
            completion: completion.collect(),
            commands: live.replay.iter().copied().chain(running).collect(),
            features: live.features.clone(),
            events: live.events.clone(),
            health: live.health.clone(),
            namespaces: nvme.sizes(),
        }
    }

    fn is_possible(&self, nvme: &Nvme) -> bool {
        let options = &nvme.options;
        let submission = self.submission.iter().all(|(id, q)| {
            *id <= options.queues && q.ring.is_possible() && self.completion.contains_key(&q.cq)
        });
        let completion = self.completion.iter().all(|(id, q)| {
            *id <= options.queues
                && q.ring.is_possible()
                && q.vector.is_none_or(|v| v < options.vectors)
                && q.waiting.len() <= 2 * IN_FLIGHT
        });
        submission
            && completion
            && nvme.core.fits(&self.function)
            && self.registers.is_possible()
            && self.commands.len() <= IN_FLIGHT
            && self.commands.iter().all(|(queue, _)| self.submission.contains_key(queue))
            && self.features.is_possible(options.queues, options.vectors)
            && self.events.is_possible(usize::from(options.events) + 1)
            && self.health.is_possible()
            && self.namespaces == nvme.sizes()
    }

    fn apply(self, nvme: &Nvme, live: &mut Live) {
        nvme.power_on(live);
        live.regs = self.registers;
        let submission = self.submission.into_iter();
        live.sqs = submission
            .map(|(id, q)| (id, Submission { ring: q.ring, cq: q.cq, ..Submission::default() }))
            .collect();
        let completion = self.completion.into_iter().map(|(id, q)| {
            let CompletionState { ring, phase, vector, waiting } = q;
            // An interrupt too many is no harm, and one may not have been raised.
            let untold = !ring.is_empty();
            (id, Completions { ring, phase, vector, waiting: waiting.into(), posting: None, untold })
        });
        live.cqs = completion.collect();
        live.replay = self.commands;
        (live.features, live.events, live.health) = (self.features, self.events, self.health);
        nvme.core.restore(&self.function);
        nvme.core.set_intx(false);
    }
}

impl Nvme {
    fn sizes(&self) -> BTreeMap<u32, u64> {
        self.namespaces.iter().map(|(id, n)| (*id, n.blocks())).collect()
    }

    /// Begins again what had not ended when the state was saved.
    fn begin_again(&self, live: &mut Live) {
        let mut replay = std::mem::take(&mut live.replay).into_iter();
        for slot in 0..IN_FLIGHT as u16 {
            if live.commands.get(usize::from(slot)).is_some_and(Option::is_none)
                && let Some((queue, command)) = replay.next()
            {
                self.begin(live, slot, queue, command);
            }
        }
        let is_running = live.commands.iter().flatten().any(|r| r.queue.is_none());
        if live.regs.csts & csts::SHUTDOWN == csts::SHUTTING_DOWN && !is_running {
            self.shut_down(live);
        }
    }
}

impl Component for Nvme {
    fn name(&self) -> &str {
        &self.name
    }
    /// Also a function level reset.
    fn reset(&self) {
        let mut live = self.live.lock();
        self.power_on(&mut live);
        self.core.set_intx(false);
        self.core.reset();
        drop(live);
        self.serve();
    }
    fn start(&self) -> io::Result<()> {
        if self.options.inline {
            return Ok(());
        }
        let this = self.this.clone();
        self.worker.start(&self.name, move |interrupted| {
            if let Some(nvme) = this.upgrade() {
                nvme.work(interrupted);
            }
        })
    }
    fn pause(&self) {
        self.live.lock().paused = true;
        self.worker.pause();
        // What was rung and not looked at is a part of the state.
        self.take_doorbells(&mut self.live.lock());
        // What has ended there is looked at when it goes on.
        self.drain();
    }
    fn resume(&self) {
        self.core.send_pending();
        let mut live = self.live.lock();
        live.paused = false;
        self.begin_again(&mut live);
        drop(live);
        self.worker.resume();
        self.run();
    }
    fn halt(&self) {
        self.worker.stop();
        self.drain();
        for namespace in self.namespaces.values() {
            let disk = namespace.disk.backend();
            if let Err(e) = disk.flush() {
                tracing::error!("cannot flush '{}': {}", disk.name(), reason(&e));
            }
        }
    }
    fn save(&self) -> Payload {
        Payload::new(&self.name, &State::of(self, &self.live.lock()))
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        if !state.is_possible(self) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || state.apply(self, &mut self.live.lock())))
    }
}
