//! Running a board: one thread for each CPU, and the loop that waits for the end.
//!
//! # Invariant
//! A CPU's thread holds the lock of its `Vcpu` while it executes, and not while it waits for work: who has seen
//! [`Power::wait_held`] may lock it at once.

use std::sync::Arc;
use std::thread::JoinHandle;

use emu_core::lifecycle::Component;
use emu_pe::cpu::Entry;

use super::build::{Board, Driven};
use crate::error::{UserError, reason, user_error};
use crate::load::plan::{Boot, Plan};
use crate::monitor::{Machine, Parts};
use crate::out::say;
use crate::power::{Power, SharedVcpu, Stop, Work};
use crate::qmp::events::Cause;
use crate::qtest;
use crate::quit::{STATUS_FAILED, STATUS_SIGNALS};

/// A CPU's thread.
fn cpu_thread(index: usize, vcpu: &SharedVcpu, power: &Power) {
    let mut executing = false;
    power.own_thread(index);
    loop {
        match power.next_work(index, executing) {
            Work::End => return,
            Work::Resume => {
                let mut vcpu = vcpu.lock();
                vcpu.run();
                if let Some(report) = vcpu.take_difference() {
                    crate::terminal::raw::restore();
                    say(&report.to_string());
                    power.quit(STATUS_FAILED);
                }
                if let Some(stop) = vcpu.take_debug_stop() {
                    power.debug_stop(index, stop);
                }
            }
            Work::Start(entry) => {
                let mut vcpu = vcpu.lock();
                vcpu.cpu.reset(entry);
                vcpu.reset_caches();
            }
        }
        executing = true;
    }
}

fn spawn(index: usize, vcpu: SharedVcpu, power: Arc<Power>) -> Result<JoinHandle<()>, UserError> {
    let name = format!("cpu{index}");
    std::thread::Builder::new()
        .name(name)
        .spawn(move || cpu_thread(index, &vcpu, &power))
        .map_err(|e| user_error!("cannot start a thread for a CPU: {}", reason(&e)))
}

/// A machine that is ready: all that the host may refuse has been asked for.
pub struct Ready<'a> {
    board: &'a Board,
    plan: &'a Plan,
    /// Where CPU 0 starts, if CPUs run.
    boot: Option<Boot>,
    machine: Arc<Machine>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the machine's threads, which wait, and fills its memory; last of all, files of serial ports are emptied and the
/// terminal is prepared. So what the host may refuse comes before the first change to anything.
pub fn prepare<'a>(board: &'a Board, plan: &'a Plan) -> Result<Ready<'a>, UserError> {
    let boot = plan.boot.filter(|_| board.runs);
    if board.runs && boot.is_none() {
        return Err(user_error!("there is nothing to run: give a kernel or firmware"));
    }
    let vcpus = board.vcpus.iter().filter(|_| board.runs).cloned().enumerate();
    let threads: Vec<_> = vcpus.map(|(i, v)| spawn(i, v, board.power.clone())).collect::<Result<_, _>>()?;
    for component in &board.components {
        component
            .start()
            .map_err(|e| user_error!("cannot start a thread for {}: {}", component.name(), reason(&e)))?;
    }
    plan.fill(board.ram)?;
    let mut characters = board.characters.lock();
    let machine = Machine::new(Parts {
        vcpus: board.vcpus.clone(),
        power: board.power.clone(),
        clock: board.clock.clone(),
        bus: board.bus.clone(),
        pci: Some(board.pci.clone()),
        plugger: Some(board.plugger.clone()),
        smmu: board.smmu_view(),
        book: board.book.clone(),
        power_key: board.power_key.clone(),
        characters: characters.described(),
        rings: characters.rings(),
        networks: board.networks.clone(),
        disks: board.disks.clone(),
        listing: board.listing.clone(),
        on_quit: characters.on_quit(),
    });
    let told = Arc::downgrade(&machine);
    board.plugger.tell(Box::new(move |id| {
        if let Some(machine) = told.upgrade() {
            machine.events.device_deleted(id);
        }
    }));
    if let Some(Driven { wires, port, log, outside }) = &board.driven {
        let parts = qtest::Parts {
            bus: board.bus.clone(),
            clock: board.clock.clone(),
            wires: wires.clone(),
            outside: outside.clone(),
            on_quit: characters.on_quit(),
        };
        qtest::start(parts, port.clone(), log)?;
    }
    characters.begin(&machine)?;
    drop(characters);
    Ok(Ready { board, plan, boot, machine, threads })
}

impl Ready<'_> {
    /// Lets the machine run until it ends; gives the reason. With `no_reboot` a reset is an end, too; with `no_shutdown` a
    /// power-off is none, and the machine stays with all CPUs off.
    pub fn run(self, no_reboot: bool, no_shutdown: bool) -> Result<Stop, UserError> {
        let outcome = self.until_stopped(no_reboot, no_shutdown);
        self.end();
        outcome
    }

    fn until_stopped(&self, no_reboot: bool, no_shutdown: bool) -> Result<Stop, UserError> {
        let power = &self.board.power;
        loop {
            power.start(self.boot.map(|boot| Entry { pc: boot.entry_pc, x0: boot.x0 }));
            let mut stop = power.wait_for_stop();
            while stop == Stop::Off && no_shutdown {
                self.machine.events.shut_down(Cause::GuestShutdown);
                power.all_off();
                stop = power.wait_for_stop();
            }
            match stop {
                Stop::Reset if !no_reboot => {
                    reset(&self.board.components, self.board, self.plan)?;
                    self.machine.events.reset(Cause::GuestReset);
                }
                stop => {
                    self.machine.events.shut_down(match stop {
                        Stop::Off => Cause::GuestShutdown,
                        Stop::Reset => Cause::GuestReset,
                        Stop::Quit(status) if status > STATUS_SIGNALS => Cause::Signal,
                        Stop::Quit(_) => Cause::User,
                    });
                    return Ok(stop);
                }
            }
        }
    }

    /// The end: threads are joined, disks flushed.
    fn end(self) {
        self.board.power.end();
        for thread in self.threads {
            // A panic has ended the process; in a test, it has been shown.
            let _ = thread.join();
        }
        self.board.components.iter().rev().for_each(|c| c.halt());
        if let Some(text) = super::stats::lockstep(self.board) {
            crate::terminal::raw::restore();
            say(&text);
        }
    }
}

/// Everything to the state after power-on; RAM gets what was loaded again, the rest of it keeps its contents.
fn reset(components: &[Arc<dyn Component>], board: &Board, plan: &Plan) -> Result<(), UserError> {
    components.iter().rev().for_each(|c| c.pause());
    components.iter().for_each(|c| c.reset());
    plan.refill(board.ram)?;
    components.iter().for_each(|c| c.resume());
    Ok(())
}
