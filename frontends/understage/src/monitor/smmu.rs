//! `smmu`: a look inside the system MMU. The human monitor and the debugger's `monitor` have the same commands; whoever asks
//! holds the CPUs meanwhile. Nothing of the machine changes: tables are read as memory, and nothing is cached or recorded.

use std::sync::Arc;

use emu_core::Security;
use emu_core::clock::Clock;
use emu_core::dma::MemoryType;
use emu_devices::pci::{PciHost, Placed};
use emu_mmu::tlb::TlbStatistics;
use emu_smmu::translation::{Access, Finding, Sanitizers, Stalled, StreamCount, Transaction, stag};
use emu_smmu::v3::streams::Lint;
use emu_smmu::v3::{Reported, Smmuv3};

use crate::board::stats::grouped;
use crate::device::system_mmu::SystemMmu;
use crate::map;
use crate::number::parse_u64;

/// What there is to look at.
#[derive(Clone)]
pub struct View {
    /// The SMMU, if the machine has one.
    pub smmu: Option<SystemMmu>,
    /// Whose functions its streams are of.
    pub pci: Option<Arc<PciHost>>,
    /// The machine's time.
    pub clock: Arc<Clock>,
}

/// A command: its name, arguments, what help says, what it answers. An error is what is wrong with the arguments.
type Command = (&'static str, &'static str, &'static str, fn(&Looked<'_>, &[&str]) -> Result<String, String>);

const COMMANDS: &[Command] = &[
    (
        "streams",
        "",
        "what each stream did: transactions, bytes, how they were translated, faults, stalls",
        |l, words| none(words, || l.streams()),
    ),
    (
        "walk",
        "SID[.SSID] IOVA [write|fetch] [privileged]",
        "the way of an address: each STE, CD and descriptor on it, by its fields; the groups and banks of an SMMUv2",
        |l, words| l.walk(words),
    ),
    (
        "lint",
        "SID[.SSID]",
        "the fields that make an STE or a CD ILLEGAL, and where the specification says so",
        |l, words| l.lint(words),
    ),
    ("events", "", "the last events, the newest first, and whether software can know of them", |l, words| {
        none(words, || l.events())
    }),
    ("faults", "", "the faults that the registers of an SMMUv2 hold", |l, words| none(words, || l.faults())),
    ("stalled", "", "transactions that wait for software (CMD_RESUME, CBn_RESUME)", |l, words| {
        none(words, || l.stalled())
    }),
    ("tlb", "", "what the TLB found, and what was invalidated", |l, words| none(words, || l.tlb())),
    ("findings", "", "what the sanitizers found (check-stale, check-isolation)", |l, words| {
        none(words, || l.findings())
    }),
];

/// What `smmu` and the words after it answer.
pub fn answer(view: &View, words: &[&str]) -> String {
    let Some(smmu) = &view.smmu else {
        return "this machine has no SMMU: give it one with --iommu smmuv3 or -M iommu=smmuv3\n".to_owned();
    };
    let Some((name, rest)) = words.split_first() else { return help() };
    let Some((_, arguments, _, run)) = COMMANDS.iter().find(|c| c.0 == *name) else {
        return format!("there is no command 'smmu {name}'; there are\n{}", help());
    };
    match run(&Looked { smmu, view }, rest) {
        Ok(text) => text,
        Err(why) => format!("{why}usage: smmu {name} {arguments}\n"),
    }
}

/// The commands, a line each.
pub fn help() -> String {
    let form = |(name, arguments, ..): &Command| format!("smmu {name} {arguments}");
    let width = COMMANDS.iter().map(|command| form(command).len()).max().unwrap_or(0);
    COMMANDS.iter().map(|command| format!("{:<width$} -- {}\n", form(command), command.2)).collect()
}

/// The answer of a command without arguments.
fn none(words: &[&str], answer: impl FnOnce() -> String) -> Result<String, String> {
    if words.is_empty() { Ok(answer()) } else { Err(String::new()) }
}

/// The SMMU of a view.
struct Looked<'a> {
    smmu: &'a SystemMmu,
    view: &'a View,
}

/// What only an SMMUv3 has.
const NO_STRUCTURES: &str =
    "an SMMUv2 has no STEs and CDs: 'smmu walk' says what its registers make of a stream\n";
const NO_EVENTS: &str = "an SMMUv2 has no event queue: 'smmu faults' says what its registers hold\n";
/// What only an SMMUv2 has.
const NO_REGISTERS_OF_FAULTS: &str = "an SMMUv3 records faults as events: 'smmu events' lists them\n";

impl Looked<'_> {
    fn streams(&self) -> String {
        let now = self.view.clock.now_ns();
        let stalled = self.smmu.core().stalled();
        let row = |(id, mut count): (u32, StreamCount)| {
            let waiting = stalled.iter().filter(|s| s.transaction.stream == id);
            count.stalled_ns += waiting.map(|s| now.saturating_sub(s.since)).sum::<u64>();
            (id, self.master(id), count)
        };
        table(&self.smmu.core().counts().into_iter().map(row).collect::<Vec<_>>())
    }

    fn v3(&self) -> Option<&Smmuv3> {
        match self.smmu {
            SystemMmu::V3(smmu) => Some(smmu),
            SystemMmu::V2(_) => None,
        }
    }

    fn events(&self) -> String {
        self.v3().map_or_else(|| NO_EVENTS.to_owned(), |smmu| events(&smmu.history()))
    }

    fn faults(&self) -> String {
        match self.smmu {
            SystemMmu::V3(_) => NO_REGISTERS_OF_FAULTS.to_owned(),
            SystemMmu::V2(smmu) => match smmu.faults() {
                faults if faults.is_empty() => "no fault is recorded\n".to_owned(),
                faults => faults.into_iter().map(|fault| fault + "\n").collect(),
            },
        }
    }

    /// Whose stream it is.
    fn master(&self, stream: u32) -> String {
        let of = |f: &Placed| f.function.core().requester().requester_id() == stream;
        let function = self.view.pci.as_ref().and_then(|pci| pci.functions().into_iter().find(of));
        let function = function.map(|f| format!("{} {}", f.function.core().requester(), f.function.name()));
        function.or_else(|| on_system_bus(stream)).unwrap_or_default()
    }

    fn walk(&self, words: &[&str]) -> Result<String, String> {
        let [stream, address, how @ ..] = words else { return Err(String::new()) };
        let (stream, substream) = stream_of(stream)?;
        let address = parse_u64(address).map_err(|e| format!("{e}\n"))?;
        let transaction = asked(Transaction { stream, substream, address, ..READ }, how)?;
        Ok(match self.smmu {
            SystemMmu::V2(_) if substream.is_some() => "an SMMUv2 has no SubstreamIDs\n".to_owned(),
            SystemMmu::V2(smmu) => format!("{}\n", smmu.walk(&transaction)),
            SystemMmu::V3(smmu) => format!("{}\n", smmu.streams().walk(&transaction)),
        })
    }

    fn lint(&self, words: &[&str]) -> Result<String, String> {
        let [stream] = words else { return Err(String::new()) };
        let (stream, substream) = stream_of(stream)?;
        Ok(match self.v3() {
            Some(smmu) => format!("{}\n", Lint(&smmu.streams().explain(stream, substream))),
            None => NO_STRUCTURES.to_owned(),
        })
    }

    fn stalled(&self) -> String {
        waiting(&self.smmu.core().stalled(), self.v3().is_some(), self.view.clock.now_ns())
    }

    fn findings(&self) -> String {
        let core = self.smmu.core();
        findings(core.sanitizers(), core.findings())
    }

    fn tlb(&self) -> String {
        let quick = self.smmu.core().counts().iter().map(|(_, count)| count.quick).sum();
        tlb(self.smmu.core().tlb_statistics(), quick)
    }
}

/// A transaction as a PCI function makes it, but for stream and address.
const READ: Transaction = Transaction {
    stream: 0,
    substream: None,
    address: 0,
    access: Access::Read,
    privileged: false,
    instruction: false,
    security: Security::NonSecure,
    memory: MemoryType::WriteBack,
    translated: false,
    may_stall: false,
};

/// A StreamID, and behind a point a SubstreamID.
fn stream_of(text: &str) -> Result<(u32, Option<u32>), String> {
    let id = |text: &str, bits: u32| match parse_u64(text) {
        Ok(id) if id >> bits == 0 => Ok(id as u32),
        Ok(_) => Err(format!("'{text}' has more than {bits} bits\n")),
        Err(e) => Err(format!("{e}\n")),
    };
    match text.split_once('.') {
        None => Ok((id(text, 32)?, None)),
        Some((stream, substream)) => Ok((id(stream, 32)?, Some(id(substream, 20)?))),
    }
}

/// A transaction with the attributes that words say.
fn asked(mut transaction: Transaction, words: &[&str]) -> Result<Transaction, String> {
    for word in words {
        match *word {
            "read" => {}
            "write" => transaction.access = Access::Write,
            "fetch" => transaction.instruction = true,
            "privileged" => transaction.privileged = true,
            _ => return Err(format!("'{word}' is none of read, write, fetch, privileged\n")),
        }
    }
    Ok(transaction)
}

/// The master on the system bus whose stream it is.
pub(crate) fn on_system_bus(stream: u32) -> Option<String> {
    let behind = |first: u32| stream.checked_sub(first);
    let transport = behind(map::VIRTIO_MMIO_STREAM).filter(|n| *n < map::VIRTIO_MMIO_COUNT);
    if let Some(n) = transport {
        return Some(format!("virtio-mmio@{:x}", map::virtio_mmio(n).base));
    }
    let controller = behind(map::PL330_STREAM).and_then(|n| map::PL330.get(n as usize));
    if let Some(place) = controller {
        return Some(format!("pl330@{:x}", place.range.base));
    }
    if stream == map::ACCELERATOR_STREAM {
        return Some(format!("accelerator@{:x}", map::ACCELERATOR[0].range.base));
    }
    let n = behind(map::TEST_MASTER_STREAM)? / map::TEST_MASTER_STREAMS;
    let master = map::TEST_MASTERS.get(n as usize)?;
    Some(format!("test-master@{:x}", master.range.base))
}

/// Nanoseconds as seconds.
fn seconds(ns: u64) -> String {
    format!("{}.{:06} s", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

/// A title, and what stands under it.
type Column = (&'static str, fn(&StreamCount) -> String);

/// What is shown of each stream.
const COLUMNS: &[Column] = &[
    ("transactions", |c| grouped(c.transactions)),
    ("bytes", |c| grouped(c.bytes)),
    ("in port", |c| grouped(c.quick)),
    ("in TLB", |c| grouped(c.hits)),
    ("walks", |c| grouped(c.walks)),
    ("faults", |c| grouped(c.faults)),
    ("aborts", |c| grouped(c.aborts)),
    ("stalls", |c| grouped(c.stalls)),
    ("stalled for", |c| seconds(c.stalled_ns)),
];

/// Streams, each with who it is of, as a table.
fn table(streams: &[(u32, String, StreamCount)]) -> String {
    let titles = ["stream", "master"].into_iter().chain(COLUMNS.iter().map(|c| c.0)).map(str::to_owned);
    let row = |(id, master, count): &(u32, String, StreamCount)| {
        let counts = COLUMNS.iter().map(|(_, show)| show(count));
        [format!("{id:#x}"), master.clone()].into_iter().chain(counts).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(titles.collect()).chain(streams.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(n, (cell, width))| match n {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

/// Events, one a line.
fn events(events: &[Reported]) -> String {
    if events.is_empty() {
        return "there was no event\n".to_owned();
    }
    let line = |Reported { event, at, recorded }: &Reported| {
        let lost = if *recorded { "" } else { " (not recorded: there was no room, or no event queue)" };
        format!("{:>12}  {event}{lost}\n", seconds(*at))
    };
    events.iter().map(line).collect()
}

/// Transactions that wait, one a line, each with its number if software knows of such.
fn waiting(stalled: &[Stalled], numbered: bool, now: u64) -> String {
    if stalled.is_empty() {
        return "no transaction is stalled\n".to_owned();
    }
    let line = |Stalled { tag, transaction: t, since }: &Stalled| {
        let substream = t.substream.map_or_else(String::new, |id| format!(".{id:#x}"));
        let what = match t.access {
            Access::Read => "read of",
            Access::Write => "write to",
            Access::Atomic => "atomic access to",
        };
        let long = seconds(now.saturating_sub(*since));
        let number = if numbered { format!("STAG {}: ", stag(*tag)) } else { String::new() };
        format!("{number}stream {:#x}{substream}, {what} {:#x}, for {long}\n", t.stream, t.address)
    };
    stalled.iter().map(line).collect()
}

/// What the sanitizers found.
fn findings(on: Sanitizers, (total, first): (u64, Vec<Finding>)) -> String {
    if on == Sanitizers::default() {
        return "no sanitizer is on: give the SMMU check-stale=on or check-isolation=on\n".to_owned();
    }
    if first.is_empty() {
        return "0 findings\n".to_owned();
    }
    let lines: String = first.iter().map(|finding| format!("{finding}\n")).collect();
    format!("{total} findings, of which the first:\n{lines}")
}

/// What happened in the TLB, and how many pages did not get there.
fn tlb(s: TlbStatistics, quick: u64) -> String {
    let lookups = s.hits + s.misses;
    let percent = (s.hits * 100).checked_div(lookups).map_or_else(String::new, |p| format!(" ({p} %)"));
    format!(
        "pages whose way a port knew: {}\npages that the TLB was asked for: {}: {} hits{percent}, {} misses\n\
         entries that gave way to others: {}\ninvalidations: {}, of which {} went through all entries\n",
        grouped(quick),
        grouped(lookups),
        grouped(s.hits),
        grouped(s.misses),
        grouped(s.evictions),
        grouped(s.invalidations),
        grouped(s.scans),
    )
}

#[cfg(test)]
mod tests {
    use emu_core::dma::StallTag;
    use emu_smmu::v3::event::{Event, Kind};

    use super::*;

    #[test]
    fn streams_are_named_by_a_number_and_perhaps_another() {
        assert_eq!(stream_of("0x18"), Ok((0x18, None)));
        assert_eq!(stream_of("24.0xfffff"), Ok((24, Some(0xf_ffff))));
        for bad in ["", "x", "0x100000000", "1.0x100000", "1.", ".1", "1.2.3", "-1"] {
            assert!(stream_of(bad).is_err_and(|why| why.ends_with('\n')), "{bad}");
        }
    }

    #[test]
    fn words_say_what_a_transaction_is_like() {
        let t = asked(READ, &["write", "privileged"]).unwrap();
        assert_eq!((t.access, t.privileged, t.instruction), (Access::Write, true, false));
        assert!(asked(READ, &["fetch"]).is_ok_and(|t| t.instruction));
        assert_eq!(
            asked(READ, &["upside-down"]),
            Err("'upside-down' is none of read, write, fetch, privileged\n".to_owned())
        );
    }

    #[test]
    fn streams_on_the_system_bus_are_those_of_transports_and_masters() {
        let master = |stream| on_system_bus(stream).unwrap_or_default();
        assert_eq!([0x7f00, 0x7f1f].map(master), ["virtio-mmio@a000000", "virtio-mmio@a003e00"]);
        assert_eq!([0x7f43, 0x7f4f].map(master), ["test-master@c100000", "test-master@c106000"]);
        assert_eq!([0x7f50, 0x7f51].map(master), ["pl330@c110000", "pl330@c111000"]);
        assert_eq!(master(0x7f58), "accelerator@c200000");
        assert_eq!([0x18, 0x7f20, 0x7f52].map(on_system_bus), [None, None, None]);
    }

    #[test]
    fn counts_are_a_table() {
        let count = StreamCount {
            transactions: 12_345,
            bytes: 512,
            walks: 7,
            stalls: 1,
            stalled_ns: 1_002_003_999,
            ..StreamCount::default()
        };
        let rows = [(8, "00:01.0 edu@1".to_owned(), count), (0x100, String::new(), StreamCount::default())];
        let expected = "\
stream  master         transactions  bytes  in port  in TLB  walks  faults  aborts  stalls  stalled for
0x8     00:01.0 edu@1        12,345    512        0       0      7       0       0       1   1.002003 s
0x100                             0      0        0       0      0       0       0       0   0.000000 s
";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn events_and_stalls_are_lines() {
        let transaction = Transaction { stream: 8, address: 0x2000, ..READ };
        let event = Event { kind: Kind::BadSte, transaction, mergeable: false };
        let told = events(&[
            Reported { event, at: 12_345_678_000, recorded: false },
            Reported { event, at: 5, recorded: true },
        ]);
        assert_eq!(
            told,
            " 12.345678 s  C_BAD_STE: stream 0x8 (not recorded: there was no room, or no event queue)\n  0.000000 s  C_BAD_STE: stream 0x8\n"
        );
        assert_eq!(events(&[]), "there was no event\n");
        let with_substream = Transaction { substream: Some(3), access: Access::Write, ..transaction };
        let stalled = Stalled { tag: StallTag(5 << 16 | 0x2a), transaction: with_substream, since: 1_000 };
        assert_eq!(
            waiting(&[stalled], true, 5_000_001_000),
            "STAG 42: stream 0x8.0x3, write to 0x2000, for 5.000000 s\n"
        );
        assert_eq!(
            waiting(&[stalled], false, 1_000),
            "stream 0x8.0x3, write to 0x2000, for 0.000000 s\n",
            "an SMMUv2 has no STAGs"
        );
        assert_eq!(waiting(&[], true, 0), "no transaction is stalled\n");
    }

    #[test]
    fn findings_are_lines_if_there_can_be_any() {
        let page = Finding::StaleConfiguration { transaction: asked(READ, &[]).unwrap() };
        let none = "no sanitizer is on: give the SMMU check-stale=on or check-isolation=on\n";
        assert_eq!(findings(Sanitizers::default(), (0, vec![])), none);
        let on = Sanitizers { stale: true, isolation: false };
        assert_eq!(findings(on, (0, vec![])), "0 findings\n");
        let said = findings(on, (7, vec![page]));
        assert_eq!(said, format!("7 findings, of which the first:\n{page}\n"));
    }

    #[test]
    fn statistics_of_nothing_have_no_percentage() {
        assert!(tlb(TlbStatistics::default(), 0).contains("asked for: 0: 0 hits, 0 misses\n"));
        let s = TlbStatistics { hits: 3, misses: 1, ..TlbStatistics::default() };
        assert!(tlb(s, 0).contains("asked for: 4: 3 hits (75 %), 1 misses\n"));
    }
}
