//! The clock of `dev`: it stands while accounts are seeded, so that all they consist of is the same in every run, and
//! goes from then on.

use crate::clock::{Clock, ShiftedClock, SystemClock, Timestamp};
use std::sync::OnceLock;

/// A clock that stands until it is told to go.
#[derive(Debug)]
pub(super) struct DevClock {
    standing: Timestamp,
    going: OnceLock<Going>,
}

#[derive(Debug)]
enum Going {
    System(SystemClock),
    Shifted(ShiftedClock),
}

impl DevClock {
    /// Stands at `at`.
    pub(super) const fn standing(at: Timestamp) -> Self {
        Self { standing: at, going: OnceLock::new() }
    }

    /// Goes with the system's clock from now on.
    pub(super) fn go_with_the_system(&self) {
        self.going.get_or_init(|| Going::System(SystemClock));
    }

    /// Goes on from where it stands.
    pub(super) fn go_on(&self) {
        self.going.get_or_init(|| Going::Shifted(ShiftedClock::starting_at(self.standing)));
    }
}

impl Clock for DevClock {
    fn now(&self) -> Timestamp {
        match self.going.get() {
            None => self.standing,
            Some(Going::System(clock)) => clock.now(),
            Some(Going::Shifted(clock)) => clock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_until_it_is_told_to_go() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = DevClock::standing(start);
        assert_eq!((clock.now(), clock.now()), (start, start));
        clock.go_on();
        assert!(clock.now() >= start);
        assert!(clock.now() < start.plus(std::time::Duration::from_hours(1)));
        clock.go_with_the_system();
        assert!(clock.now() < start.plus(std::time::Duration::from_hours(1)), "the first word stands");
    }

    #[test]
    fn it_can_go_with_the_system() {
        let clock = DevClock::standing(Timestamp::EPOCH);
        clock.go_with_the_system();
        assert!(clock.now() > Timestamp::from_secs(1_700_000_000));
    }
}
