//! How many connections each address has open: one that opens all of them must not lock out everybody else.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::throttle::network_of;

/// Open connections by address, or network for IPv6. Only those with a connection are here, so it is as bounded as they.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(
    // A mutex because connections end on any thread; held for one map operation.
    Arc<Mutex<HashMap<IpAddr, u32>>>,
);

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    network: IpAddr,
}

impl Crowd {
    /// A place for one more connection of this address, if it has fewer than `most`.
    pub(super) fn enter(&self, address: IpAddr, most: u32) -> Option<Place> {
        let network = network_of(address);
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { crowd: self.clone(), network })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open();
        if let Some(count) = open.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_so_many_places_and_a_place_that_is_left_is_free_again() {
        let crowd = Crowd::default();
        let enter = |address: &str| crowd.enter(address.parse().unwrap(), 2);
        let (first, _second) = (enter("203.0.113.9").unwrap(), enter("::ffff:203.0.113.9").unwrap());
        assert!(enter("203.0.113.9").is_none());
        assert!(enter("203.0.113.10").is_some());
        drop(first);
        assert!(enter("203.0.113.9").is_some());
        let (_a, _b) = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none(), "one network");
    }

    #[test]
    fn nobody_is_remembered_without_a_connection() {
        let crowd = Crowd::default();
        drop(crowd.enter("203.0.113.9".parse().unwrap(), 2));
        assert!(crowd.open().is_empty());
        assert!(crowd.enter("203.0.113.9".parse().unwrap(), 0).is_none());
    }
}
