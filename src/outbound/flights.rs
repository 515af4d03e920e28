//! One look-up per name at a time: who asks while one is under way waits for that one.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, watch};

use crate::limits::outbound::{LOOKUPS_AT_ONCE, LOOKUPS_WAITING_MAX};

/// The look-ups of one kind that are under way.
pub(crate) struct Flights<K, V> {
    // A mutex because callers on all threads join; it is held for one map operation and never over an await.
    open: Mutex<Open<K, V>>,
    slots: Semaphore,
}

struct Open<K, V> {
    next: u64,
    flights: HashMap<K, (u64, watch::Receiver<Option<V>>)>,
}

/// What joining gave.
pub(crate) enum Joined<K: Eq + Hash, V> {
    /// One is under way already.
    Other(watch::Receiver<Option<V>>),
    /// The caller starts one, and hands its ticket to the task that does it.
    First(Ticket<K, V>, watch::Receiver<Option<V>>),
    /// Too many are under way.
    Full,
}

/// Held by the task of a flight; when it is dropped, the flight is over, however that came.
pub(crate) struct Ticket<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    number: u64,
    result: watch::Sender<Option<V>>,
}

impl<K: Clone + Eq + Hash, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        let open = Open { next: 0, flights: HashMap::new() };
        Self { open: Mutex::new(open), slots: Semaphore::new(LOOKUPS_AT_ONCE) }
    }

    /// Joins the flight of a key, or begins one.
    pub(crate) fn join(self: &Arc<Self>, key: &K) -> Joined<K, V> {
        let mut open = self.lock();
        if let Some((_, receiver)) = open.flights.get(key) {
            return Joined::Other(receiver.clone());
        }
        if open.flights.len() >= LOOKUPS_WAITING_MAX {
            return Joined::Full;
        }
        let (result, receiver) = watch::channel(None);
        let number = open.next;
        open.next = open.next.wrapping_add(1);
        open.flights.insert(key.clone(), (number, receiver.clone()));
        drop(open);
        Joined::First(Ticket { flights: Arc::clone(self), key: key.clone(), number, result }, receiver)
    }

    /// Lets the flight of a key end without anyone joining it any more: what it finds is outdated.
    pub(crate) fn abandon(&self, key: &K) {
        self.lock().flights.remove(key);
    }
}

impl<K: Eq + Hash, V> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, Open<K, V>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Ticket<K, V> {
    /// Runs `work` when there is a slot.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        // The semaphore is never closed; without a permit the work is done all the same.
        let _slot = self.flights.slots.acquire().await.ok();
        work.await
    }

    /// Whether nobody abandoned the flight so far.
    pub(crate) fn is_current(&self) -> bool {
        self.flights.lock().flights.get(&self.key).is_some_and(|(number, _)| *number == self.number)
    }

    /// Tells everybody who waits.
    pub(crate) fn land(self, value: V) {
        self.result.send_replace(Some(value));
    }
}

impl<K: Eq + Hash, V> Drop for Ticket<K, V> {
    fn drop(&mut self) {
        let mut open = self.flights.lock();
        // An abandoned flight's key may have a successor, which goes on.
        if open.flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            open.flights.remove(&self.key);
        }
    }
}

/// Waits for a flight; `None` when its task ended without landing.
pub(crate) async fn landed<V: Clone>(mut receiver: watch::Receiver<Option<V>>) -> Option<V> {
    match receiver.wait_for(Option::is_some).await {
        Ok(value) => value.clone(),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(flights: &Arc<Flights<u32, u32>>, key: u32) -> (Ticket<u32, u32>, watch::Receiver<Option<u32>>) {
        match flights.join(&key) {
            Joined::First(ticket, receiver) => (ticket, receiver),
            Joined::Other(_) | Joined::Full => panic!("a flight was under way"),
        }
    }

    #[tokio::test]
    async fn who_joins_gets_what_the_first_finds() {
        let flights = Arc::new(Flights::new());
        let (ticket, receiver) = first(&flights, 1);
        let Joined::Other(other) = flights.join(&1) else { panic!("there is no flight") };
        ticket.land(7);
        assert_eq!((landed(receiver).await, landed(other).await), (Some(7), Some(7)));
        drop(first(&flights, 1));
    }

    #[tokio::test]
    async fn a_task_that_dies_ends_its_flight() {
        let flights = Arc::new(Flights::new());
        let (ticket, receiver) = first(&flights, 1);
        drop(ticket);
        assert_eq!(landed(receiver).await, None);
        drop(first(&flights, 1));
    }

    #[test]
    fn an_abandoned_flight_is_not_joined_and_does_not_end_its_successor() {
        let flights = Arc::new(Flights::new());
        let (old, _) = first(&flights, 1);
        flights.abandon(&1);
        assert!(!old.is_current());
        let (new, _) = first(&flights, 1);
        drop(old);
        assert!(new.is_current());
    }

    #[test]
    fn too_many_flights_are_refused() {
        let flights = Arc::new(Flights::new());
        let tickets: Vec<_> = (0..).take(LOOKUPS_WAITING_MAX).map(|key| first(&flights, key)).collect();
        assert!(matches!(flights.join(&u32::MAX), Joined::Full));
        drop(tickets);
        assert!(matches!(flights.join(&u32::MAX), Joined::First(..)));
    }
}
