//! The tour: the program of [`firmware::guest_tour`] on a small board, and what the machine counted meanwhile.
//!
//! # How work is measured
//! The program on the board knows nothing of this. It prints a line before each piece of work, [`Phase::line`], and
//! nothing during it. So this module watches the serial port: the counters are read when such a line has ended, and again
//! at the next character. That happens in the thread of the CPU that sends the character, so what CPUs count is exact.
//! What devices count in threads of their own may be ahead or behind by a request.

use std::fmt::Write;
use std::sync::Arc;

use emu_core::metrics::Metric::{self, *};
use emu_smmu::translation::StreamCount;
use firmware::guest_tour::{self, LAST_LINE, PHASES, Phase};
use parking_lot::Mutex;

use crate::board::build::Board;
use crate::board::stats::{self, Snapshot, grouped};
use crate::config::{
    Blob, Bus, CharBackend, Check, CpuModel, Device, MachineConfig, Smmu, SmmuProfile, Tracing,
};
use crate::device::block::Block;
use crate::error::{UserError, user_error};
use crate::power::Stop;
use crate::quit::{STATUS_FAILED, STATUS_OUTPUT_CLOSED};
use crate::{out, terminal};

/// What the second table shows: one row for each, per operation of a phase.
const ROWS: [(Metric, &str); 12] = [
    (Instructions, "instructions"),
    (ExcToEl2, "exits to EL2"),
    (Stage2Aborts, "  stage-2 aborts"),
    (Hvc, "  hypercalls"),
    (WfxTraps, "  WFI trapped"),
    (Irqs, "  physical interrupts taken"),
    (VirtualIrqs, "virtual interrupts at EL1"),
    (MmioReads, "device registers read"),
    (MmioWrites, "device registers written"),
    (DmaBytesRead, "bytes read by DMA"),
    (DmaBytesWritten, "bytes written by DMA"),
    (BlockBytesRead, "bytes read from the disk"),
];

/// A count of an SMMU, and its row.
type SmmuRow = (fn(&StreamCount) -> u64, &'static str);
/// The rows behind those, about the SMMU.
const SMMU_ROWS: [SmmuRow; 2] =
    [(|c| c.transactions, "transactions at the SMMU"), (|c| c.walks, "  pages walked for")];

/// The machine of the tour, with its serial port here. The disk is behind the SMMU: it takes what its driver gives it for addresses to be translated.
pub(crate) fn config(image: &guest_tour::Image, serial: CharBackend) -> MachineConfig {
    let disk = Device::new(Block::memory(guest_tour::disk()), Bus::MMIO);
    let disk = Device { access_platform: true, ..disk };
    let smmu = Device::new(Smmu::of_board(SmmuProfile::Full), Bus::Platform);
    MachineConfig {
        cpu: CpuModel::max(),
        memory: guest_tour::MEMORY,
        blobs: vec![Blob::Data { bytes: image.bytes.clone(), address: image.base }],
        entry: Some(image.entry),
        devices: vec![disk, smmu],
        serial,
        no_reboot: true,
        ..MachineConfig::default()
    }
}

/// Runs the tour and prints its tables; the status is 0 if it came to its end.
pub fn run(check: Option<Check>) -> Result<u8, UserError> {
    crate::log::start("warn", &Tracing::default())?;
    let image = guest_tour::image().map_err(|e| user_error!("the tour does not assemble: {e}"))?;
    let config = MachineConfig { check, ..config(&image, CharBackend::Stdio { escapes: false }) };
    let plan = crate::launch::plan(&config)?;
    let board = crate::launch::build(&config, &plan)?;

    let journal = Arc::new(Mutex::new(Journal::default()));
    let (sets, watched) = (stats::sets(&board), journal.clone());
    let smmu = board.smmu.as_ref().map(|smmu| smmu.core().clone());
    let now = move || Reading {
        counted: Snapshot::of(&sets),
        smmu: of_smmu(&smmu.as_deref().map(stats::streams).unwrap_or_default()),
    };
    board.serial.watch(Box::new(move |bytes| watched.lock().feed(bytes, &now)));
    let stop = crate::board::run::prepare(&board, &plan)?.run(config.no_reboot, config.no_shutdown)?;
    terminal::raw::restore();
    match stop {
        Stop::Quit(status) => return Ok(status),
        Stop::Off | Stop::Reset => {}
    }
    let journal = journal.lock();
    let Some(measured) = journal.whole() else {
        out::say("understage: the tour ended before its end; its last lines say why\n");
        return Ok(STATUS_FAILED);
    };
    let status = out::print(&format!("{}{}", totals(&board), per_operation(measured)));
    // That nobody reads the tables any more is no failure of the tour.
    Ok(if status == STATUS_OUTPUT_CLOSED { 0 } else { status })
}

/// What is read at the beginning of a phase and at its end.
struct Reading {
    counted: Snapshot,
    /// By row.
    smmu: [u64; SMMU_ROWS.len()],
}

fn of_smmu(count: &StreamCount) -> [u64; SMMU_ROWS.len()] {
    SMMU_ROWS.map(|(row, _)| row(count))
}

/// What was read at some moment.
pub(crate) trait Since {
    /// What was counted after `earlier`.
    fn since(&self, earlier: &Self) -> Self;
}

impl Since for Reading {
    fn since(&self, earlier: &Self) -> Self {
        let smmu = std::array::from_fn(|row| self.smmu[row].wrapping_sub(earlier.smmu[row]));
        Self { counted: self.counted.since(&earlier.counted), smmu }
    }
}

/// What the serial port said, and the counts that go with it.
pub(crate) struct Journal<R> {
    line: Vec<u8>,
    /// The phase that goes on, and the counts at its beginning.
    open: Option<(Phase, R)>,
    /// The phases that are over, with what was counted in them.
    measured: Vec<(Phase, R)>,
    /// The last line was seen.
    complete: bool,
}

impl<R> Default for Journal<R> {
    fn default() -> Self {
        Self { line: Vec::new(), open: None, measured: Vec::new(), complete: false }
    }
}

impl<R: Since> Journal<R> {
    /// What was measured, if the tour came to its end.
    pub(crate) fn whole(&self) -> Option<&[(Phase, R)]> {
        (self.complete && self.measured.len() == PHASES.len()).then_some(&self.measured)
    }

    /// The phase that goes on.
    pub(crate) fn present(&self) -> Option<&Phase> {
        self.open.as_ref().map(|(phase, _)| phase)
    }

    /// Takes what was sent; `now` reads the counters.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: impl Fn() -> R) {
        for byte in bytes {
            if let Some((phase, before)) = self.open.take() {
                self.measured.push((phase, now().since(&before)));
            }
            match byte {
                b'\n' => self.end_of_line(&now),
                _ => self.line.push(*byte),
            }
        }
    }

    fn end_of_line(&mut self, now: impl Fn() -> R) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        self.complete |= line == LAST_LINE;
        if let Some(phase) = PHASES.iter().find(|p| p.line() == line) {
            self.open = Some((*phase, now()));
        }
    }
}

/// What was counted from the first instruction to the last.
fn totals(board: &Board) -> String {
    format!("\nWhat the machine counted in the whole tour\n\n{}", stats::table(board))
}

/// A count per operation, with one decimal place where it is not a whole number.
pub(crate) fn per(count: u64, operations: u64) -> String {
    let tenths = (u128::from(count) * 10 + u128::from(operations) / 2) / u128::from(operations.max(1));
    let whole = grouped(u64::try_from(tenths / 10).unwrap_or(u64::MAX));
    match (count, tenths % 10) {
        (0, _) => "-".into(),
        _ if tenths == 0 => "<0.1".into(),
        _ if count.is_multiple_of(operations.max(1)) => whole,
        (_, tenth) => format!("{whole}.{tenth}"),
    }
}

/// What one operation of each phase cost.
fn per_operation(measured: &[(Phase, Reading)]) -> String {
    let mut out = String::from("\nWhat one operation cost\n\n");
    let mut row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let _ = write!(out, "{name:<28}");
        cells.for_each(|cell| {
            let _ = write!(out, "{cell:>16}");
        });
        out.push('\n');
    };
    row("", &mut measured.iter().map(|(p, _)| p.title.to_owned()));
    row("", &mut measured.iter().map(|(p, _)| format!("1 {} of {}", p.unit, p.operations)));
    for (metric, name) in ROWS {
        row(name, &mut measured.iter().map(|(p, reading)| per(reading.counted.get(metric), p.operations)));
    }
    for (index, (_, name)) in SMMU_ROWS.into_iter().enumerate() {
        row(name, &mut measured.iter().map(|(p, reading)| per(reading.smmu[index], p.operations)));
    }
    row("bytes that the guest got", &mut measured.iter().map(|(p, _)| per(p.bytes, p.operations)));
    out.push_str("(with the one hypercall that ends each measurement)\n");
    out.push_str(&conclusion(measured));
    out
}

/// The ways to read a sector, side by side.
fn conclusion(measured: &[(Phase, Reading)]) -> String {
    let mut out = String::new();
    for (phase, reading) in measured.iter().filter(|(p, _)| p.bytes != 0) {
        let _ = write!(
            out,
            "\n{}: {} instructions and {} exits for a {} of {} bytes.",
            phase.title,
            per(reading.counted.get(Instructions), phase.operations),
            per(reading.counted.get(ExcToEl2), phase.operations),
            phase.unit,
            phase.bytes / phase.operations.max(1),
        );
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use emu_a64::level::El;
    use emu_core::metrics::Counters;

    use super::*;
    use crate::devicetree::CpuTraits;
    use crate::fdt::Seeds;
    use crate::load;

    #[test]
    fn a_phase_lasts_from_the_end_of_its_line_to_the_next_character() {
        let counters = [Arc::new(Counters::default())];
        let count = |n| counters[0].add(Hvc, n);
        let now = || Reading {
            counted: Snapshot::of(&counters),
            smmu: of_smmu(&StreamCount { walks: counters[0].get(Hvc) / 2, ..StreamCount::default() }),
        };
        let mut journal = Journal::default();
        count(1);
        journal.feed(b"something else\n", now);
        journal.feed(PHASES[1].line().as_bytes(), now);
        count(10);
        journal.feed(b"\n", now);
        count(100);
        assert!(journal.measured.is_empty());
        journal.feed(b"x", now);
        count(1000);
        journal.feed(b"y\n", now);
        assert_eq!(journal.measured.len(), 1);
        assert_eq!(journal.measured[0].0, PHASES[1]);
        assert_eq!(journal.measured[0].1.counted.get(Hvc), 100);
        assert_eq!(journal.measured[0].1.smmu, [0, 50]);
        assert!(!journal.complete);
        journal.feed(format!("{LAST_LINE}\n").as_bytes(), now);
        assert!(journal.complete);
    }

    #[test]
    fn counts_per_operation() {
        assert_eq!(per(0, 32), "-");
        assert_eq!(per(1, 32), "<0.1");
        assert_eq!(per(64, 32), "2");
        assert_eq!(per(33, 32), "1.0");
        assert_eq!(per(4129, 32), "129.0");
        assert_eq!(per(40_016, 32), "1,250.5");
    }

    #[test]
    fn the_machine_is_one_that_can_be_built() {
        let image = guest_tour::image().unwrap();
        let config = config(&image, CharBackend::Null);
        config.check().unwrap();
        let plan = load::plan(&config, CpuTraits::of(config.cpu), Seeds { rng: [0; 32], kaslr: 0 }).unwrap();
        assert_eq!(plan.boot.unwrap().entry_pc, image.entry);
        assert_eq!(plan.boot.unwrap().el, El::El2);
    }
}
