//! Time as an argument: the one place that reads the operating system's clock.
//!
//! Everything else takes a [`Clock`] or a [`Timestamp`], so that a test can pass ninety days in a millisecond.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// Microseconds since the Unix epoch; negative before 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by `span` into the future, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This instant moved by `span` into the past, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `YYYY-MM-DDTHH:mm:ss.sssZ`, the form that the protocol prefers.
    pub fn to_rfc3339_millis(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => format!("{instant:.3}"),
            Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
        }
    }
}

/// A source of the present time.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may step back when the operator sets the machine's clock.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock standing at `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The system clock shifted so that it read `start` when this was made: `dev --clock START`.
#[derive(Clone, Copy, Debug)]
pub struct ShiftedClock {
    shift_micros: i64,
}

impl ShiftedClock {
    /// A clock that reads `start` now and runs at the system's pace.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { shift_micros: start.0.saturating_sub(SystemClock.now().0) }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.shift_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_milliseconds_and_z() {
        assert_eq!(Timestamp::from_micros(1_700_000_000_123_456).to_rfc3339_millis(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::EPOCH.to_rfc3339_millis(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_manual_clock_stands_until_it_is_moved() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        assert_eq!(clock.now(), Timestamp::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now().since(Timestamp::from_secs(10)), Duration::from_secs(5));
        clock.set(Timestamp::EPOCH);
        assert_eq!(clock.now(), Timestamp::EPOCH);
    }

    #[test]
    fn seconds_round_down_before_the_epoch() {
        assert_eq!(Timestamp::from_micros(-1).as_secs(), -1);
    }
}
