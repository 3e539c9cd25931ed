//! The log on standard error.
//!
//! What is logged by default, warnings and errors, may be caused by the guest, as often as it likes. So each place in the
//! code has a rate; what is above it is counted, and said with the next message from there or at the end.

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::Tracing;
use crate::error::{UserError, user_error};
use crate::out::Stderr;

/// Messages that a place may say at once.
const BURST: u32 = 10;
/// How long it takes until it may say one more.
const INTERVAL: Duration = Duration::from_secs(1);

/// What became of the messages of one place.
struct Place {
    /// Messages that may be said.
    left: u32,
    /// When the last one was earned.
    since: Instant,
    /// Messages that were not said since the last one that was.
    suppressed: u64,
    /// Where it is.
    name: String,
}

impl Place {
    fn new(meta: &Metadata<'_>, now: Instant) -> Self {
        let name = format!("{}:{}", meta.file().unwrap_or(meta.target()), meta.line().unwrap_or(0));
        Self { left: BURST, since: now, suppressed: 0, name }
    }

    /// Whether one more may be said now.
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.since).as_secs() / INTERVAL.as_secs();
        if earned > 0 {
            self.left = BURST.min(self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)));
            self.since = now;
        }
        if self.left == 0 {
            self.suppressed += 1;
            return false;
        }
        self.left -= 1;
        true
    }
}

/// The rates of all places.
#[derive(Clone, Default)]
struct Rates(Arc<Mutex<HashMap<Identifier, Place>>>);

impl Rates {
    fn allow(&self, meta: &'static Metadata<'static>, now: Instant) -> bool {
        self.0.lock().entry(meta.callsite()).or_insert_with(|| Place::new(meta, now)).take(now)
    }

    /// How many were suppressed before the one that is said now.
    fn take_suppressed(&self, meta: &'static Metadata<'static>) -> u64 {
        self.0.lock().get_mut(&meta.callsite()).map_or(0, |p| std::mem::take(&mut p.suppressed))
    }

    fn summary(&self) -> String {
        let mut lines: Vec<String> = self
            .0
            .lock()
            .values_mut()
            .filter(|p| p.suppressed != 0)
            .map(|p| {
                format!(
                    "understage: {} more such messages from {}\n",
                    std::mem::take(&mut p.suppressed),
                    p.name
                )
            })
            .collect();
        lines.sort();
        lines.concat()
    }
}

/// Only what is logged by default has a rate: who asks for more gets all of it.
fn is_limited(meta: &Metadata<'_>) -> bool {
    *meta.level() <= Level::WARN
}

impl<S: Subscriber> Filter<S> for Rates {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }
    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        !is_limited(event.metadata()) || self.allow(event.metadata(), Instant::now())
    }
}

/// A message, and how many like it were not said.
struct Counted {
    format: Format,
    rates: Rates,
}

impl<S, N> FormatEvent<S, N> for Counted
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let suppressed =
            if is_limited(event.metadata()) { self.rates.take_suppressed(event.metadata()) } else { 0 };
        if suppressed != 0 {
            writeln!(writer, "understage: {suppressed} messages like the following were not said")?;
        }
        if let Some(name) = crate::out::machine() {
            write!(writer, "{name}: ")?;
        }
        self.format.format_event(ctx, writer, event)
    }
}

static RATES: OnceLock<Rates> = OnceLock::new();

/// Logs to standard error what `filter` selects, and what is traced where that goes, from now on.
pub fn start(filter: &str, trace: &Tracing) -> Result<(), UserError> {
    // A second machine in one process logs as the first one does.
    let _ = subscriber(filter, trace)?.try_init();
    Ok(())
}

/// What [`start`] has listen.
pub fn subscriber(filter: &str, trace: &Tracing) -> Result<impl Subscriber + Send + Sync, UserError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|e| user_error!("'{filter}' is not a filter for the log: {e}"))?;
    let rates = RATES.get_or_init(Rates::default).clone();
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Stderr)
        .with_ansi(colours)
        // What the layer says of its own failures it says in a way that panics.
        .log_internal_errors(false)
        .event_format(Counted { format: Format::default().with_ansi(colours), rates: rates.clone() })
        .with_filter(filter.and(rates));
    // Only layers that are there: beside one that is not, places that nobody listens to count as perhaps listened to, and
    // whoever asks `tracing::enabled!` before making a message for them makes it each time.
    let layers: Vec<_> = std::iter::once(lines.boxed())
        .chain(crate::tracefile::layer(trace))
        .chain(crate::timeline::layer(trace))
        .collect();
    Ok(tracing_subscriber::registry().with(layers))
}

/// Lines that say how many messages were suppressed, and are not to be followed by another.
#[must_use]
pub fn suppressed() -> String {
    RATES.get().map(Rates::summary).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { left: BURST, since: Instant::now(), suppressed: 0, name: "here".into() }
    }

    #[test]
    fn a_burst_is_said_and_the_rest_counted() {
        let mut place = place();
        let now = place.since;
        let said = (0..1000).filter(|_| place.take(now)).count();
        assert_eq!((said, place.suppressed), (BURST as usize, 1000 - u64::from(BURST)));
    }

    #[test]
    fn a_place_that_was_silenced_may_speak_again() {
        let mut place = place();
        let start = place.since;
        (0..1000).for_each(|_| {
            place.take(start);
        });
        assert!(!place.take(start + INTERVAL / 2));
        assert!(place.take(start + INTERVAL));
        assert!(!place.take(start + INTERVAL), "one for each interval");
        assert_eq!(place.suppressed, 1000 - u64::from(BURST) + 2);
        let said = (0..1000).filter(|_| place.take(start + 1000 * INTERVAL)).count();
        assert_eq!(said, BURST as usize, "silence is not saved up");
    }
}
