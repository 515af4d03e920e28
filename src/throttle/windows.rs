//! The windows of one budget: one per key, from its first call on, for a fixed time.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{clock::Timestamp, limits::throttle::KEYS_MAX};

/// What stands for an address, an account or both: a keyed hash, so that no key is larger than another.
pub(super) type KeyHash = u64;

/// The count of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// When its first call came.
    pub(super) opened: Timestamp,
    /// Points that are used up.
    pub(super) used: u32,
}

/// All windows of one budget that are open.
#[derive(Debug, Default)]
pub(super) struct Windows {
    open: HashMap<KeyHash, Window>,
    /// In the order in which they opened, which is the order in which they end.
    order: VecDeque<(KeyHash, Timestamp)>,
}

impl Windows {
    /// The window of a key that is open now, or the one that would open now.
    pub(super) fn current(&self, key: KeyHash, now: Timestamp, length: Duration) -> Window {
        let open = self.open.get(&key).filter(|window| is_open(window.opened, now, length));
        open.copied().unwrap_or(Window { opened: now, used: 0 })
    }

    /// Stores what [`Self::current`] gave and what was added to it.
    pub(super) fn put(&mut self, key: KeyHash, window: Window, now: Timestamp, length: Duration) {
        while let Some((_, opened)) = self.order.front()
            && (!is_open(*opened, now, length) || self.order.len() >= KEYS_MAX)
        {
            self.forget_oldest();
        }
        let before = self.open.insert(key, window);
        if before.is_none_or(|before| before.opened != window.opened) {
            self.order.push_back((key, window.opened));
        }
    }

    /// Takes points off a window if it is still the same one.
    pub(super) fn give_back(&mut self, key: KeyHash, opened: Timestamp, points: u32) {
        if let Some(window) = self.open.get_mut(&key)
            && window.opened == opened
        {
            window.used = window.used.saturating_sub(points);
        }
    }

    /// How many keys are remembered.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    fn forget_oldest(&mut self) {
        let Some((key, opened)) = self.order.pop_front() else { return };
        if self.open.get(&key).is_some_and(|window| window.opened == opened) {
            self.open.remove(&key);
        }
    }
}

/// A window that begins later than now is from before the clock was set back: it is over.
fn is_open(opened: Timestamp, now: Timestamp, length: Duration) -> bool {
    opened <= now && now < opened.plus(length)
}
