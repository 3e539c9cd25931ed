//! What happened when: a file that Perfetto opens, written as it happens.
//!
//! | module | what lives there |
//! |---|---|
//! | [`messages`] | the messages of Perfetto's format that are used |
//! | [`levels`] | what exceptions and returns begin and end on a CPU's track |
//! | this file | events of the log's target `timeline`, and the packets that are made of them |
//!
//! Who has something to tell makes an event of `tracing` ([`emu_core::ledger::TIMELINE`]); nobody listens unless a file was asked for.
//!
//! **Invariant: memory does not grow with time.** Packets go to the file; what is kept is a track for each CPU and device, and a
//! bounded stack for each CPU.

mod levels;
pub mod messages;

use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, OnceLock};

use emu_core::clock::Clock;
use emu_core::ledger::TIMELINE;
use parking_lot::Mutex;
use prost::Message;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::levels::{Change, Levels};
use self::messages::{CounterDescriptor, DebugAnnotation, Kind, Packet, TrackDescriptor, TrackEvent};
use crate::board::build::Board;
use crate::config::Tracing;
use crate::error::{UserError, reason, user_error};
use crate::ledger::{Book, line_name};
use crate::{end, out};

/// The file, from the moment at which the machine is put together.
static FILE: OnceLock<Mutex<Writer<BufWriter<File>>>> = OnceLock::new();

/// Makes the file of `wanted`, if one is asked for. Not before all that can be refused has been looked at.
pub fn open(wanted: &Tracing, board: &Board) -> Result<(), UserError> {
    let (Some(file), Some(book)) = (&wanted.timeline, &board.book) else { return Ok(()) };
    let made = File::create(&file.value)
        .map_err(|e| user_error!("cannot write {}: {}", file.describe(), reason(&e)))?;
    let writer = Writer::new(BufWriter::new(made), board.clock.clone(), Some(book.clone()));
    // A second machine in one process writes where the first one does.
    let _ = FILE.set(Mutex::new(writer));
    end::at_end(|| {
        if let Some(mut writer) = FILE.get().and_then(|file| file.try_lock_for(LOCK)) {
            writer.finish();
        }
    });
    Ok(())
}

/// How long the end waits for who writes.
const LOCK: std::time::Duration = std::time::Duration::from_secs(1);

/// Who listens, if a file is asked for.
#[must_use]
pub fn layer<S>(wanted: &Tracing) -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    wanted.timeline.as_ref()?;
    let target = Targets::new().with_target(TIMELINE, LevelFilter::TRACE);
    Some(Box::new(Listener.with_filter(target)))
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(file) = FILE.get() {
            let mut told = Told::default();
            event.record(&mut told);
            file.lock().tell(&told);
        }
    }
}

/// The fields of an event.
#[derive(Default)]
struct Told {
    numbers: Vec<(&'static str, u64)>,
    texts: Vec<(&'static str, String)>,
}

impl Told {
    fn number(&self, name: &str) -> Option<u64> {
        self.numbers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Told {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.push((field.name(), value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.push((field.name(), value.to_owned()));
    }
    /// There are no others.
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Makes packets of what is told.
struct Writer<W> {
    out: W,
    clock: Arc<Clock>,
    book: Option<Arc<Book>>,
    /// Tracks by name, with the values of those that are counters.
    tracks: HashMap<String, Track>,
    streams: HashMap<u32, String>,
    cpus: HashMap<u64, Levels>,
    /// The host takes no more.
    failed: bool,
}

#[derive(Clone, Copy)]
struct Track {
    uuid: u64,
    value: i64,
}

/// The one writer.
const SEQUENCE: u32 = 1;
/// Perfetto's number for a counter of bytes.
const BYTES: i32 = 3;

impl<W: Write> Writer<W> {
    fn new(out: W, clock: Arc<Clock>, book: Option<Arc<Book>>) -> Self {
        let (tracks, streams, cpus) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { out, clock, book, tracks, streams, cpus, failed: false }
    }

    fn tell(&mut self, told: &Told) {
        let now = self.clock.now_ns();
        if let Some(cpu) = told.number("cpu") {
            return self.exception(now, cpu, told);
        }
        if let Some(mark) = told.text("mark") {
            return self.instant(now, "marks", mark, "mark", &[]);
        }
        if let Some(line) = told.number("line") {
            let name = line_name(u32::try_from(line).unwrap_or(u32::MAX));
            return self.instant(now, &name, "interrupt line raised", "interrupt", &[]);
        }
        if let (Some(device), Some(offset)) = (told.text("device"), told.number("doorbell")) {
            let details = [("offset", offset), ("value", told.number("value").unwrap_or(0))];
            return self.instant(now, device, "register written", "doorbell", &details);
        }
        let Some(stream) = told.number("stream") else { return };
        let name = self.master(u32::try_from(stream).unwrap_or(u32::MAX));
        for (field, text, category) in [
            ("message", "message (MSI)", "interrupt"),
            ("walk", "SMMU walks tables", "smmu"),
            ("fault", "SMMU translation fault", "smmu"),
        ] {
            if let Some(value) = told.number(field) {
                self.instant(now, &name, text, category, &[(field, value)]);
            }
        }
        for (field, what) in [("read", "bytes read by DMA"), ("wrote", "bytes written by DMA")] {
            if let Some(bytes) = told.number(field) {
                self.count(now, &format!("{name}: {what}"), bytes);
            }
        }
    }

    /// The device of a stream.
    fn master(&mut self, stream: u32) -> String {
        let book = &self.book;
        let name = || book.as_ref().map_or_else(|| format!("stream {stream:#x}"), |book| book.master(stream));
        self.streams.entry(stream).or_insert_with(name).clone()
    }

    /// An exception, or a return.
    fn exception(&mut self, now: u64, cpu: u64, told: &Told) {
        let (Some(from), Some(to)) = (told.number("from"), told.number("to")) else { return };
        let levels = self.cpus.entry(cpu).or_default();
        let changes = match told.text("cause") {
            Some(cause) => levels.entered(to, format!("EL{from} to EL{to}: {cause}")),
            None => levels.returned(to),
        };
        let track = format!("cpu{cpu}");
        for change in changes {
            match change {
                Change::End => self.event(now, &track, Kind::SliceEnd, None, None, &[]),
                Change::Begin(name) => {
                    self.event(now, &track, Kind::SliceBegin, Some(&name), Some("exception"), &[]);
                }
            }
        }
    }

    fn instant(&mut self, now: u64, track: &str, name: &str, category: &str, details: &[(&str, u64)]) {
        self.event(now, track, Kind::Instant, Some(name), Some(category), details);
    }

    fn event(
        &mut self,
        now: u64,
        track: &str,
        kind: Kind,
        name: Option<&str>,
        category: Option<&str>,
        details: &[(&str, u64)],
    ) {
        let uuid = self.track(track, None).uuid;
        let detail = |(name, value): &(&str, u64)| DebugAnnotation {
            uint_value: Some(*value),
            name: Some((*name).to_owned()),
        };
        let event = TrackEvent {
            debug_annotations: details.iter().map(detail).collect(),
            kind: Some(kind as i32),
            track_uuid: Some(uuid),
            categories: category.iter().map(|c| (*c).to_owned()).collect(),
            name: name.map(str::to_owned),
            counter_value: None,
        };
        self.write(&packet(now, event));
    }

    /// Adds to a counter.
    fn count(&mut self, now: u64, track: &str, bytes: u64) {
        let Track { uuid, value } = self.track(track, Some(CounterDescriptor { unit: Some(BYTES) }));
        let value = value.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.tracks.insert(track.to_owned(), Track { uuid, value });
        let event = TrackEvent {
            kind: Some(Kind::Counter as i32),
            track_uuid: Some(uuid),
            counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.write(&packet(now, event));
    }

    /// The track of this name, which is told of before it is used.
    fn track(&mut self, name: &str, counter: Option<CounterDescriptor>) -> Track {
        if let Some(track) = self.tracks.get(name) {
            return *track;
        }
        let track = Track { uuid: self.tracks.len() as u64 + 1, value: 0 };
        self.tracks.insert(name.to_owned(), track);
        let descriptor = TrackDescriptor {
            uuid: Some(track.uuid),
            name: Some(name.to_owned()),
            parent_uuid: None,
            counter,
        };
        self.write(&Packet {
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_descriptor: Some(descriptor),
            ..Packet::default()
        });
        track
    }

    /// Appends a packet: a field 1 of the file's message.
    fn write(&mut self, packet: &Packet) {
        if self.failed {
            return;
        }
        let mut bytes = Vec::with_capacity(packet.encoded_len() + 8);
        prost::encoding::message::encode(1, packet, &mut bytes);
        if let Err(e) = self.out.write_all(&bytes) {
            self.failed = true;
            out::say(&format!("{}: the timeline ends here: {}\n", out::speaker(), reason(&e)));
        }
    }

    /// Ends what goes on, and puts out what is left.
    fn finish(&mut self) {
        let now = self.clock.now_ns();
        let open: Vec<(u64, usize)> =
            self.cpus.iter_mut().map(|(cpu, levels)| (*cpu, levels.end())).collect();
        for (cpu, slices) in open {
            for _ in 0..slices {
                self.event(now, &format!("cpu{cpu}"), Kind::SliceEnd, None, None, &[]);
            }
        }
        if let Err(e) = self.out.flush()
            && !self.failed
        {
            out::say(&format!("{}: the timeline is not whole: {}\n", out::speaker(), reason(&e)));
        }
        // The CPUs of a machine that does not end may go on.
        self.failed = true;
    }
}

fn packet(now: u64, event: TrackEvent) -> Packet {
    Packet {
        timestamp: Some(now),
        trusted_packet_sequence_id: Some(SEQUENCE),
        track_event: Some(event),
        track_descriptor: None,
    }
}

#[cfg(test)]
mod tests {
    use emu_core::clock::Mode;

    use super::messages::Trace;
    use super::*;

    fn told(numbers: &[(&'static str, u64)], texts: &[(&'static str, &str)]) -> Told {
        let texts = texts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Told { numbers: numbers.to_vec(), texts }
    }

    /// What a writer writes of what is told, 10 ns apart.
    fn written(all: &[Told]) -> Vec<Packet> {
        let clock = Clock::new(Mode::Counted);
        let mut writer = Writer::new(Vec::new(), clock.clone(), None);
        for told in all {
            writer.tell(told);
            clock.advance(10);
        }
        writer.finish();
        Trace::decode(&writer.out[..]).unwrap().packet
    }

    #[test]
    fn a_track_is_told_of_before_its_first_event() {
        let packets =
            written(&[told(&[("stream", 8), ("read", 100)], &[]), told(&[("stream", 8), ("read", 28)], &[])]);
        let track = packets[0].track_descriptor.as_ref().unwrap();
        assert_eq!(track.name.as_deref(), Some("stream 0x8: bytes read by DMA"));
        assert_eq!(track.counter.as_ref().unwrap().unit, Some(BYTES));
        let values: Vec<_> = packets[1..]
            .iter()
            .map(|p| (p.timestamp.unwrap(), p.track_event.as_ref().unwrap().counter_value.unwrap()))
            .collect();
        assert_eq!(values, [(0, 100), (10, 128)]);
    }

    #[test]
    fn what_is_open_at_the_end_is_ended() {
        let hvc = told(&[("cpu", 0), ("from", 1), ("to", 2)], &[("cause", "HVC")]);
        let packets = written(&[hvc, told(&[], &[("mark", "here")])]);
        let events: Vec<_> = packets.iter().filter_map(|p| p.track_event.as_ref()).collect();
        let kinds: Vec<_> = events.iter().map(|e| (e.kind(), e.name.as_deref())).collect();
        assert_eq!(
            kinds,
            [
                (Kind::SliceBegin, Some("EL1 to EL2: HVC")),
                (Kind::Instant, Some("here")),
                (Kind::SliceEnd, None)
            ]
        );
        assert_eq!(events[0].track_uuid, events[2].track_uuid);
    }
}
