//! The board's real-time clock (PL031): what it shows, and which clock it goes by.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use emu_core::clock::{Clock, Mode};
use emu_devices::rtc::pl031::Pl031;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::{Rtc, RtcBase, Settings};
use crate::error::{UserError, reason, user_error};
use crate::fdt::nodes::primecell;
use crate::map::{self, Resources};

/// The clock.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RealTimeClock(pub Rtc);

impl Settings for RealTimeClock {}

/// The row.
pub static CLOCK: Row<RealTimeClock> = Row {
    name: "pl031",
    about: "real-time clock",
    given: Given::Board,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &[map::RTC],
        build,
        nodes: |_, at, _| vec![primecell("pl031", at, &["apb_pclk"])],
    }),
};

fn build(told: &RealTimeClock, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let (clock, now) = clock_and_start(told.0, site.clock())?;
    let name = format!("pl031@{:x}", range.base);
    let rtc = Pl031::new(&name, &clock, now, site.line(spis[0]), site.counters());
    site.map(range, rtc.clone())?;
    site.add(rtc);
    Ok(())
}

/// The clock of the PL031, and the seconds that it shows first. One that follows the host has a clock of its own, which a
/// debugger does not stop.
fn clock_and_start(rtc: Rtc, machine: &Arc<Clock>) -> Result<(Arc<Clock>, u64), UserError> {
    let clock = match rtc.follows_host {
        false => machine.clone(),
        true => {
            let own = Clock::new(Mode::RealTime);
            own.fire_timers()
                .map_err(|e| user_error!("cannot start a thread for the real-time clock: {}", reason(&e)))?;
            own
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let start = match rtc.base {
        RtcBase::Utc => now,
        RtcBase::At(seconds) => seconds,
        RtcBase::Local => {
            let zone = TimeZone::try_system()
                .map_err(|e| user_error!("-rtc base=localtime: the host's time zone is not known ({e})"))?;
            now.saturating_add_signed(offset(&zone, now))
        }
    };
    Ok((clock, start))
}

/// Seconds by which the clocks of `zone` are ahead of UTC at `now`.
fn offset(zone: &TimeZone, now: u64) -> i64 {
    let at = i64::try_from(now).ok().and_then(|s| Timestamp::from_second(s).ok());
    at.map_or(0, |t| zone.to_offset(t).seconds().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_core::clock::Timer;

    #[test]
    fn the_start_is_what_was_asked_for() {
        let machine = Clock::new(Mode::Counted);
        let start = |base, follows_host| clock_and_start(Rtc { base, follows_host }, &machine).unwrap();
        let (clock, seconds) = start(RtcBase::At(1_000_000_000), false);
        assert!(Arc::ptr_eq(&clock, &machine));
        assert_eq!(seconds, 1_000_000_000);
        let (clock, utc) = start(RtcBase::Utc, true);
        assert!(!Arc::ptr_eq(&clock, &machine));
        assert!(utc > 1_700_000_000);
    }

    #[test]
    fn alarms_of_a_clock_of_its_own_strike() {
        let rtc = Rtc { base: RtcBase::Utc, follows_host: true };
        let (clock, _) = clock_and_start(rtc, &Clock::new(Mode::Counted)).unwrap();
        let (strike, struck) = std::sync::mpsc::channel();
        let timer = Timer::new(&clock, move || strike.send(()).unwrap_or(()));
        timer.set(1);
        struck.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn local_time_is_ahead_by_the_offset_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        assert_eq!(offset(&zone, 1_000_000_000), -3 * 3600);
    }
}
