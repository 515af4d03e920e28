//! When a relay is told of news. Pure: what to do next follows from what was done, the latest event and the time.

use crate::{
    clock::Timestamp,
    limits::relays::{ANNOUNCE_EVERY, BANNED_PAUSE, FIRST_PAUSE, LONGEST_PAUSE},
    outbound::RelayError,
};

/// An announcement that the relay took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// When.
    pub at: Timestamp,
    /// The latest event at that time.
    pub seq: i64,
}

/// What was done about one relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The last announcement that it took.
    pub announced: Option<Announced>,
    /// Whether this run has told it anything: a relay may have lost us while the server was down.
    pub told_in_this_run: bool,
    /// Announcements that failed since then.
    pub failures: u32,
    /// Until when nothing is tried after a failure.
    pub not_before: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Announce now.
    Now,
    /// Announce then.
    At(Timestamp),
    /// Nothing to announce before the next event.
    AtNextEvent,
}

impl Schedule {
    /// What to do when `latest` is the latest event.
    pub(super) fn next(&self, latest: i64, now: Timestamp) -> Next {
        let known = self.announced.is_some_and(|announced| announced.seq == latest);
        if latest == 0 || (known && self.told_in_this_run) {
            return Next::AtNextEvent;
        }
        // A clock that was set back must not silence the server for longer than one interval.
        let rested = self.announced.map(|announced| announced.at.min(now).plus(ANNOUNCE_EVERY));
        match rested.max(self.not_before) {
            Some(from) if from > now => Next::At(from),
            Some(_) | None => Next::Now,
        }
    }

    /// The relay took an announcement.
    pub(super) fn taken(&mut self, announced: Announced) {
        *self = Self { announced: Some(announced), told_in_this_run: true, ..Self::default() };
    }

    /// It did not.
    pub(super) fn failed(&mut self, cause: &RelayError, now: Timestamp) {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        let pause = match cause {
            RelayError::Banned(_) => BANNED_PAUSE,
            RelayError::TooManyRequests(_) => doubled.max(ANNOUNCE_EVERY),
            RelayError::Unreachable(_)
            | RelayError::UnknownHost(_)
            | RelayError::Refused(_)
            | RelayError::Unexpected(_) => doubled,
        };
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now.plus(pause));
        self.last_error = Some(cause.to_string());
    }
}

impl Announced {
    /// As it is kept across restarts.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        format!("{} {}", self.at.as_micros(), self.seq).into_bytes()
    }

    /// From what was kept.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, seq) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some(Self { at: Timestamp::from_micros(at.parse().ok()?), seq: seq.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn told(seq: i64) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.taken(Announced { at: NOW, seq });
        schedule
    }

    #[test]
    fn the_first_event_is_announced_at_once_and_nothing_before_it() {
        assert_eq!(Schedule::default().next(0, NOW), Next::AtNextEvent);
        assert_eq!(Schedule::default().next(1, NOW), Next::Now);
    }

    #[test]
    fn a_write_within_the_interval_is_announced_when_it_ends() {
        let schedule = told(5);
        assert_eq!(schedule.next(5, NOW), Next::AtNextEvent);
        let end = NOW.plus(ANNOUNCE_EVERY);
        assert_eq!(schedule.next(6, NOW.plus(Duration::from_secs(1))), Next::At(end));
        assert_eq!(schedule.next(6, end.minus(Duration::from_micros(1))), Next::At(end));
        assert_eq!(schedule.next(6, end), Next::Now);
    }

    #[test]
    fn after_a_restart_a_relay_is_told_once_even_without_news_but_not_too_soon() {
        let schedule = Schedule { announced: Some(Announced { at: NOW, seq: 5 }), ..Schedule::default() };
        assert_eq!(schedule.next(5, NOW), Next::At(NOW.plus(ANNOUNCE_EVERY)));
        assert_eq!(schedule.next(5, NOW.plus(ANNOUNCE_EVERY)), Next::Now);
    }

    #[test]
    fn failures_are_tried_again_after_pauses_that_double_up_to_a_bound() {
        let mut schedule = Schedule::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            schedule.failed(&RelayError::Unreachable("x".to_owned()), NOW);
            let Next::At(at) = schedule.next(1, NOW) else { panic!("a pause") };
            pauses.push(at.since(NOW));
        }
        assert_eq!(pauses[..3], [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]);
        assert_eq!(pauses[9], LONGEST_PAUSE);
        schedule.taken(Announced { at: NOW, seq: 1 });
        assert_eq!((schedule.failures, schedule.last_error.clone()), (0, None));
    }

    #[test]
    fn a_relay_that_banned_us_or_wants_fewer_requests_is_left_alone_for_longer() {
        let mut schedule = Schedule::default();
        schedule.failed(&RelayError::TooManyRequests("x".to_owned()), NOW);
        assert_eq!(schedule.next(1, NOW), Next::At(NOW.plus(ANNOUNCE_EVERY)));
        schedule.failed(&RelayError::Banned("x".to_owned()), NOW);
        assert_eq!(schedule.next(1, NOW), Next::At(NOW.plus(BANNED_PAUSE)));
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nobody_for_longer_than_an_interval() {
        let schedule = told(5);
        let before = NOW.minus(Duration::from_hours(1000));
        assert_eq!(schedule.next(6, before), Next::At(before.plus(ANNOUNCE_EVERY)));
    }

    #[test]
    fn an_announcement_is_kept_and_read_back_and_nonsense_is_not() {
        let announced = Announced { at: NOW, seq: 42 };
        assert_eq!(Announced::from_bytes(&announced.to_bytes()), Some(announced));
        for bad in [&b""[..], b"1", b"a b", b"1 b", b"\xff 1"] {
            assert_eq!(Announced::from_bytes(bad), None);
        }
    }
}
