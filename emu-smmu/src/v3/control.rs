//! What writes of registers and commands do.
//!
//! Everything is done by the thread of the CPU that writes, before its write is over: a write of CMDQ_PROD returns when the
//! commands before it have been executed, or one of them could not be, or has to wait for a function that keeps translations: then
//! the queue stands, and goes on by the thread on which the function says that it has forgotten them ([`outstanding`]).
//!
//! # Invariants
//! - A write executes no more commands than the queue had when it began, so that it ends whatever other CPUs write meanwhile.
//! - Commands are executed one at a time, and not while a register changes what transactions are translated by. The lock that is
//!   held for this is one that no transaction needs, so that [`Machinery::sync`] may wait for transactions.

mod outstanding;

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::clock::{Clock, Timer};
use emu_core::dma::ats::{Invalidation, InvalidationDone, TranslationCache};
use emu_core::registers::{Hit, Target};
use emu_mmu::TlbiScope;
use parking_lot::Mutex;

use super::commands::{self, Command, CommandError, Configuration, Decoder, Signal, Words};
use super::interface::Interface;
use super::registers::{RUN, Reg, Registers};
use super::settings::Settings;
use super::streams::Question;
use crate::translation::Answer;
use outstanding::{Outstanding, Settled};

/// What commands and registers act upon: the stream side and the translation core.
pub(super) trait Machinery: Send + Sync {
    /// Transactions that begin afterwards are dealt with by these settings.
    fn configure(&self, settings: &Settings);
    /// Cached configuration is not used any more by transactions that begin afterwards.
    fn forget(&self, what: Configuration);
    /// Nor are translations.
    fn invalidate(&self, scope: &TlbiScope);
    /// Returns when no transaction is under way that began before.
    fn sync(&self);
    /// The functions of a stream that keep translations.
    fn caches(&self, stream: u32) -> Vec<Arc<dyn TranslationCache>>;
    /// Where an address leads: SMMU_GATOS_PAR.
    fn look_up(&self, question: &Question) -> u64;
    /// Answers a stalled transaction, if there is one.
    fn resume(&self, stream: u32, stag: u16, answer: Answer);
    /// Aborts the stalled transactions of a stream, or all.
    fn terminate(&self, stream: Option<u32>);
    /// Nothing is cached, and nothing waits.
    fn reset(&self);
}

/// Sets the event register of every PE.
pub type SendEvent = Arc<dyn Fn() + Send + Sync>;

/// See the module's head.
pub(super) struct Control {
    interface: Arc<Interface>,
    machinery: Arc<dyn Machinery>,
    send_event: Option<SendEvent>,
    executing: Mutex<()>,
    outstanding: Outstanding,
    /// When one of them will have taken too long.
    timer: Timer,
    this: Weak<Self>,
}

/// What has become of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Consumed,
    /// It is tried again when a function has completed an invalidation.
    Stands,
}

impl Control {
    pub(super) fn new(
        interface: Arc<Interface>,
        machinery: Arc<dyn Machinery>,
        send_event: Option<SendEvent>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let control = this.clone();
            let late = move || {
                if let Some(control) = control.upgrade() {
                    control.expire();
                }
            };
            Self {
                timer: Timer::new(interface.clock(), late),
                interface,
                machinery,
                send_event,
                executing: Mutex::new(()),
                outstanding: Outstanding::default(),
                this: this.clone(),
            }
        })
    }

    fn clock(&self) -> &Arc<Clock> {
        self.interface.clock()
    }

    /// Writes what an access reaches, and does what comes of it. False if the write is not allowed.
    pub(super) fn write(&self, hit: &Hit<Reg>, size: Size, value: u64) -> bool {
        let Target::Register(reg) = hit.target() else {
            return hit.target() == Target::Ignored;
        };
        let accepted = match reg {
            Reg::Cr0 | Reg::Cr2 | Reg::Gbpa | Reg::StrtabBase | Reg::StrtabBaseCfg => {
                self.reconfigure(hit, size, value)
            }
            Reg::GatosCtrl => self.look_up(hit.written(size, value)),
            _ => self.interface.write(hit, size, value).accepted,
        };
        if matches!(reg, Reg::Cr0 | Reg::CmdqProd | Reg::Gerrorn) {
            self.run();
        }
        if matches!(reg, Reg::Cr0 | Reg::EventqCons | Reg::Gerrorn) {
            self.tell_of_stalls();
        }
        accepted
    }

    /// A write that may change what happens to transactions, and is acknowledged at once: it holds for all that come, and those
    /// under way are at their end. With SMMUEN = 0 nothing is stalled any more (6.3.9.6).
    fn reconfigure(&self, hit: &Hit<Reg>, size: Size, value: u64) -> bool {
        let _executing = self.executing.lock();
        let written = self.interface.write(hit, size, value);
        if written.before != written.after {
            self.machinery.configure(&written.after);
            self.machinery.sync();
        }
        if written.before.enabled && !written.after.enabled {
            self.terminate(None);
        }
        written.accepted
    }

    /// GATOS_CTRL: with RUN, the answer is there when the write is complete. Configuration and translations stay as they are
    /// meanwhile. False if the SMMU is not enabled (6.3.37).
    fn look_up(&self, ctrl: u64) -> bool {
        if ctrl & RUN == 0 {
            return true;
        }
        let _executing = self.executing.lock();
        let question = self.interface.question();
        if let Some(question) = &question {
            self.interface.answer(self.machinery.look_up(question));
        }
        question.is_some()
    }

    /// Goes into a state; what was cached or waited in another one is gone.
    pub(super) fn enter(&self, registers: Registers) {
        let _executing = self.executing.lock();
        let settings = registers.settings();
        self.interface.set_registers(registers);
        self.machinery.configure(&settings);
        self.machinery.reset();
        self.outstanding.forget();
    }

    /// Executes what is in the queue.
    pub(super) fn run(&self) {
        self.execute_queue();
        self.watch();
    }

    fn execute_queue(&self) {
        let _executing = self.executing.lock();
        self.outstanding.look();
        for _ in 0..self.interface.pending_commands() {
            let done = match self.interface.next_command() {
                None => return,
                Some(Ok((words, settings))) => self.execute(words, &settings),
                Some(Err(why)) => Err(why),
            };
            match done {
                Ok(Progress::Consumed) => {}
                Ok(Progress::Stands) => return,
                Err(why) => return self.interface.refuse(why),
            }
        }
    }

    fn execute(&self, words: Words, settings: &Settings) -> Result<Progress, CommandError> {
        let command = Decoder { profile: self.interface.profile(), e2h: settings.e2h }.decode(words);
        tracing::trace!(target: "smmu", ?command);
        if command.is_err() {
            let name = commands::name(words);
            tracing::debug!(target: crate::GUEST_ERRORS, "SMMU: illegal command ({name}) {words:#x?}");
        }
        let mut signal = Signal::None;
        match command? {
            Command::Nothing => {}
            Command::Forget(what) => self.machinery.forget(what),
            Command::Invalidate(scope) => self.machinery.invalidate(&scope),
            // With SMMUEN = 0 nothing is said to functions (6.3.9.6).
            Command::InvalidateCaches { .. } | Command::AnswerPages { .. } if !settings.enabled => {}
            Command::InvalidateCaches { stream, what } => {
                if !self.outstanding.has_room(stream) {
                    return Ok(Progress::Stands);
                }
                self.invalidate_caches(stream, &what);
            }
            Command::AnswerPages { stream, response } => {
                self.machinery.caches(stream).iter().for_each(|cache| cache.page_response(response));
            }
            Command::Resume { stream, stag, answer } => {
                self.interface.never_mind(Some(stream), Some(stag));
                self.machinery.resume(stream, stag, answer);
            }
            Command::Terminate { stream } => self.terminate(Some(stream)),
            Command::Sync(how) => {
                match self.outstanding.settle() {
                    Settled::Complete => {}
                    Settled::Waiting => return Ok(Progress::Stands),
                    Settled::Lost => return Err(CommandError::InvalidationLost),
                }
                self.machinery.sync();
                signal = how;
            }
        }
        self.consumed(signal);
        Ok(Progress::Consumed)
    }

    /// Tells the functions of a stream what to forget. Where there is none, nothing is to be waited for.
    fn invalidate_caches(&self, stream: u32, what: &Invalidation) {
        for cache in self.machinery.caches(stream) {
            let serial = self.outstanding.begin(stream, self.clock().now_ns());
            let control = self.this.clone();
            let done = InvalidationDone::new(move |complete| {
                if let Some(control) = control.upgrade() {
                    control.invalidated(serial, complete);
                }
            });
            cache.invalidate(what, done);
        }
    }

    /// A function has completed an invalidation, or never will.
    fn invalidated(&self, serial: u64, complete: bool) {
        if self.outstanding.end(serial, complete) {
            self.run();
        }
    }

    /// Time is up for some.
    fn expire(&self) {
        let stood = self.outstanding.expire(self.clock().now_ns());
        self.watch();
        if stood {
            self.run();
        }
    }

    /// Has the timer call not later than is needed. It may call for nothing.
    fn watch(&self) {
        if let Some(deadline) = self.outstanding.deadline() {
            self.timer.set(deadline);
        }
    }

    /// Consumption can be seen before its signal. One more event is for those that wait for room in the queue (4.1.2).
    fn consumed(&self, signal: Signal) {
        let was_full = self.interface.consume();
        if let Signal::Interrupt(message) = signal {
            self.interface.complete(message);
        }
        if let Some(send) = self.send_event.as_ref().filter(|_| was_full || signal == Signal::Event) {
            send();
        }
    }

    fn terminate(&self, stream: Option<u32>) {
        self.interface.never_mind(stream, None);
        self.machinery.terminate(stream);
    }

    /// Stalled transactions that waited for room in the event queue try again, and so tell of themselves.
    fn tell_of_stalls(&self) {
        loop {
            let stalls = self.interface.now_tellable();
            if stalls.is_empty() {
                return;
            }
            for (stream, stag) in stalls {
                self.machinery.resume(stream, stag, Answer::Retry);
            }
        }
    }
}

#[cfg(test)]
mod tests;
