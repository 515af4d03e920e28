//! Fresh TIDs for record keys and revisions.
use crate::{clock::Timestamp, syntax::Tid};
use std::sync::{Mutex, PoisonError};

/// Hands out TIDs that only grow, whatever the clock does.
#[derive(Debug, Default)]
pub struct TidSource {
    clock_id: u16,
    // A blocking mutex: it is held for one comparison and never over an await.
    last: Mutex<Option<Tid>>,
}

impl TidSource {
    /// A source with a clock id (10 bits; the rest is cut off), which keeps apart servers that write to one repository.
    pub const fn new(clock_id: u16) -> Self {
        Self { clock_id, last: Mutex::new(None) }
    }

    /// A TID greater than every one before it.
    pub fn next(&self, now: Timestamp) -> Tid {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Tid::after(*last, now, self.clock_id);
        *last = Some(next);
        next
    }

    /// The revision that follows `last` in one repository.
    pub fn rev_after(&self, last: Tid, now: Timestamp) -> Tid {
        Tid::after(Some(last), now, self.clock_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tids_grow_while_the_clock_stands_and_when_it_steps_back() {
        let source = TidSource::new(7);
        let first = source.next(Timestamp::from_secs(1_000));
        let second = source.next(Timestamp::from_secs(1_000));
        let third = source.next(Timestamp::from_secs(10));
        assert!(first < second && second < third);
        assert_eq!(third.clock_id(), 7);
    }

    #[test]
    fn a_revision_follows_one_from_the_future() {
        let source = TidSource::new(0);
        let future = Tid::new(Timestamp::from_secs(5_000), 3);
        assert!(source.rev_after(future, Timestamp::from_secs(10)) > future);
    }
}
