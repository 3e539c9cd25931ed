//! A machine from its configuration to its end.

use std::sync::Arc;

use crate::board::build::Board;
use crate::board::{self, empty};
use crate::config::MachineConfig;
use crate::end::{self, Ending};
use crate::error::{UserError, reason, user_error};
use crate::load::plan::Plan;
use crate::power::Stop;
use crate::process::{self, Presence};
use crate::{devicetree, fdt, gdb, ledger, load, log, out, qtest, terminal, timeline, tracefile};

/// Builds the machine and runs it to its end.
pub fn run(config: &MachineConfig) -> Result<u8, UserError> {
    if let Some(name) = &config.host.name {
        out::call_machine(name);
    }
    log::start(config.log.as_deref().unwrap_or("warn"), &config.trace)?;
    if config.empty {
        return begun(config, |presence| empty::run(config, presence));
    }
    let plan = plan(config)?;
    if let Some(file) = &config.dump_dtb {
        load::plan::dump(&plan.dtb, file)?;
        return Ok(0);
    }
    begun(config, |presence| execute(config, &plan, presence))
}

/// Runs `machine` as the process that `config` wants; gives the exit status.
fn begun(
    config: &MachineConfig,
    machine: impl FnOnce(&Presence) -> Result<u8, UserError>,
) -> Result<u8, UserError> {
    match process::begin(&config.host)? {
        process::Part::Done(status) => Ok(status),
        process::Part::Machine(presence) => {
            let presence = Arc::new(presence);
            let own = presence.clone();
            end::at_end(move || own.end());
            machine(&presence)
        }
    }
}

/// What is in memory when the machine starts.
pub(crate) fn plan(config: &MachineConfig) -> Result<Plan, UserError> {
    let seeds = fdt::Seeds::from_host()
        .map_err(|e| user_error!("cannot get random numbers from /dev/urandom: {}", reason(&e)))?;
    load::plan(config, devicetree::CpuTraits::of_machine(config), seeds)
}

/// Builds a machine that signals and the user can end.
pub(crate) fn build(config: &MachineConfig, plan: &Plan) -> Result<Board, UserError> {
    let ending = Ending::new()?;
    let board = Board::new(config, plan, &|power| ending.of(power))?;
    terminal::signals::watch(qtest::of_signals(config, ending.of(board.power.clone())))
        .map_err(|e| user_error!("cannot watch for signals: {}", reason(&e)))?;
    for listener in &board.listeners {
        let listener = listener.clone();
        end::at_end(move || listener.finish());
    }
    Ok(board)
}

/// Runs a machine until the guest or the user ends it; gives the exit status.
fn execute(config: &MachineConfig, plan: &Plan, presence: &Presence) -> Result<u8, UserError> {
    let board = build(config, plan)?;
    let debugger = match &config.gdb {
        Some(address) => Some(gdb::server::Server::start(address, &board)?),
        None => None,
    };
    if config.gdb_wait.is_some() && config.gdb.is_some() {
        board.power.hold();
    }
    tracefile::open(&config.trace)?;
    let file = ledger::create(&config.ledger)?;
    timeline::open(&config.trace, &board)?;
    let ready = board::run::prepare(&board, plan)?;
    presence.ready()?;
    let stop = ready.run(config.no_reboot, config.no_shutdown)?;
    if let Some(debugger) = debugger {
        debugger.farewell();
    }
    if let (Some(file), Some(book)) = (file, &board.book) {
        file.write(&book.close())?;
    }
    if config.stats {
        terminal::raw::restore();
        out::say(&format!("{}{}", board::stats::table(&board), board::host_code::table(&board)));
    }
    // The machine ends with the process: to free some hundred thousand blocks one by one would only take time.
    std::mem::forget(board);
    Ok(match stop {
        Stop::Quit(status) => status,
        Stop::Off | Stop::Reset => 0,
    })
}
