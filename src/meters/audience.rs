//! Who reads the event stream, and how far behind they are.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// The subscribers of one server.
#[derive(Clone, Debug, Default)]
pub struct Audience(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    // A mutex because subscribers come and go on any thread; held for a push, or for a look when numbers are asked for.
    positions: Mutex<Vec<Weak<AtomicI64>>>,
    cut: AtomicU64,
}

/// Where one subscriber is: the number of the last event that it took. It is counted until this is dropped.
#[derive(Clone, Debug, Default)]
pub struct Position(Arc<AtomicI64>);

impl Audience {
    /// A subscriber that has everything up to `at`.
    pub fn join(&self, at: i64) -> Position {
        let position = Position(Arc::new(AtomicI64::new(at)));
        let mut positions = self.0.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.retain(|position| position.strong_count() > 0);
        positions.push(Arc::downgrade(&position.0));
        drop(positions);
        position
    }

    /// A subscriber was cut because it did not keep up.
    pub fn count_cut(&self) {
        self.0.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were cut.
    pub fn cut(&self) -> u64 {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// How many subscribers there are, and how many events the slowest is behind `latest`.
    pub fn count_and_lag(&self, latest: i64) -> (u64, u64) {
        let positions = self.0.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.iter().filter_map(Weak::upgrade).fold((0, 0), |(count, lag), position| {
            let behind = latest.saturating_sub(position.load(Ordering::Relaxed));
            (count + 1, lag.max(u64::try_from(behind).unwrap_or(0)))
        })
    }
}

impl Position {
    /// It took the event of this number.
    pub fn advance(&self, at: i64) {
        self.0.store(at, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_subscriber_is_seen_and_who_left_is_not() {
        let audience = Audience::default();
        let (fast, slow) = (audience.join(10), audience.join(3));
        fast.advance(20);
        assert_eq!(audience.count_and_lag(20), (2, 17));
        drop(slow);
        assert_eq!(audience.count_and_lag(20), (1, 0));
        drop(fast);
        let _next = audience.join(20);
        assert_eq!(audience.0.positions.lock().unwrap().len(), 1, "who left is forgotten");
    }
}
