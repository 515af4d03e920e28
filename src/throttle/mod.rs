//! How often something may be asked for: points in fixed windows, by address, account, or both.
//!
//! Windows are fixed, from a key's first call on, because that is what clients are told and act on: so many calls are left
//! until then, and all of them come back at once (`RateLimit-Remaining`, `RateLimit-Reset`). A bucket that refills drop by
//! drop (GCRA) has no such instant, and cannot take back what was drawn for a call that turned out not to count.

mod bucket;
mod windows;

pub use bucket::Bucket;

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    clock::{Clock, Timestamp},
    crypto::{Secret, token::constant_time_eq},
    limits::throttle::IPV6_PREFIX,
};
use bucket::{Allowance, Budget};
use windows::{KeyHash, Windows};

/// Whether calls are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Counted, and refused when there are too many.
    #[default]
    Enforced,
    /// Not counted: everybody always has everything left.
    Off,
}

/// What the operator decided.
#[derive(Clone, Default)]
pub struct Settings {
    /// Whether calls are counted.
    pub mode: Mode,
    /// Points of an account's writes in an hour, if not the reference's.
    pub write_hour: Option<u32>,
    /// Points of an account's writes in a day, if not the reference's.
    pub write_day: Option<u32>,
    /// Whoever knows it is not counted.
    pub bypass_key: Option<Secret>,
    /// Whose calls are not counted.
    pub bypass_addresses: Vec<IpNet>,
}

/// Whose budget it is.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// An address, or its network for IPv6.
    Address(IpAddr),
    /// An account's DID, or whatever else names what is asked for.
    Name(&'a str),
    /// Both.
    NameFrom(&'a str, IpAddr),
}

/// One draw on one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The bucket.
    pub bucket: Bucket,
    /// Whose.
    pub key: Key<'a>,
    /// How much.
    pub points: u32,
}

/// Where a caller stands with a budget: what the `RateLimit-…` headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Points in a window.
    pub limit: u32,
    /// Points that are left in this one.
    pub remaining: u32,
    /// When all of them are back, in seconds since 1970, rounded up.
    pub reset: i64,
    /// The window in seconds.
    pub window: u64,
}

/// Too much was asked for. Nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Rate Limit Exceeded: try again in {retry_after} seconds")]
pub struct Exceeded {
    /// The bucket that is empty.
    pub bucket: Bucket,
    /// Where the caller stands with it.
    pub standing: Standing,
    /// How long it stays so, in seconds, at least one.
    pub retry_after: u64,
}

/// What was drawn, to be given back if the call turns out not to count.
#[derive(Debug, Default)]
#[must_use = "what is not given back stays drawn"]
pub struct Drawn {
    parts: Vec<(Budget, KeyHash, Timestamp, u32)>,
    /// The tightest of all budgets that were drawn on; none if there was none.
    pub standing: Option<Standing>,
}

/// All windows of a server.
pub struct Throttle {
    settings: Settings,
    allowances: [Allowance; Budget::COUNT],
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    // One mutex for all, so that several budgets are drawn on at one instant or not at all; held for a few look-ups.
    windows: Mutex<[Windows; Budget::COUNT]>,
    refused: AtomicU64,
}

impl Throttle {
    /// With nothing counted yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let mut allowances = ALL.map(|budget| Allowance::from(budget.points()));
        for (budget, points) in [(Budget::WriteHour, settings.write_hour), (Budget::WriteDay, settings.write_day)] {
            if let (Some(allowance), Some(points)) = (allowances.get_mut(budget.index()), points) {
                allowance.points = points;
            }
        }
        Self {
            settings,
            allowances,
            clock,
            hasher: RandomState::new(),
            windows: Mutex::new(std::array::from_fn(|_| Windows::default())),
            refused: AtomicU64::new(0),
        }
    }

    /// Draws on all of these buckets, or on none of them.
    ///
    /// # Errors
    /// [`Exceeded`] for the first budget that has not enough left.
    pub fn draw(&self, draws: &[Draw<'_>]) -> Result<Drawn, Exceeded> {
        let now = self.clock.now();
        if self.settings.mode == Mode::Off {
            return Ok(self.untouched(draws, now));
        }
        let mut drawn = Drawn::default();
        let mut windows = self.windows();
        for draw in draws {
            let key = self.hash(draw.key);
            for budget in draw.bucket.budgets() {
                let (allowance, window) = self.look(&windows, *budget, key, now);
                let left = allowance.points.saturating_sub(window.used);
                if left < draw.points {
                    drop(windows);
                    return Err(self.refuse(draw.bucket, standing(allowance, left, window.opened), now));
                }
                drawn.parts.push((*budget, key, window.opened, draw.points));
                drawn.tighten(standing(allowance, left - draw.points, window.opened));
            }
        }
        for (budget, key, _, points) in &drawn.parts {
            let (allowance, mut window) = self.look(&windows, *budget, *key, now);
            window.used = window.used.saturating_add(*points);
            if let Some(windows) = windows.get_mut(budget.index()) {
                windows.put(*key, window, now, allowance.window);
            }
        }
        drop(windows);
        Ok(drawn)
    }

    /// Gives back what was drawn, as far as its windows are still open.
    pub fn give_back(&self, drawn: &Drawn) {
        let mut windows = self.windows();
        for (budget, key, opened, points) in &drawn.parts {
            if let Some(windows) = windows.get_mut(budget.index()) {
                windows.give_back(*key, *opened, *points);
            }
        }
    }

    /// Where callers stand who are not counted: everything is left.
    pub fn untouched(&self, draws: &[Draw<'_>], now: Timestamp) -> Drawn {
        let mut drawn = Drawn::default();
        for budget in draws.iter().flat_map(|draw| draw.bucket.budgets()) {
            let allowance = self.allowance(*budget);
            drawn.tighten(standing(allowance, allowance.points, now));
        }
        drawn
    }

    /// Whether calls of this address, or with this bypass key, are not counted. Wrong passwords are.
    pub fn is_exempt(&self, address: IpAddr, key: Option<&[u8]>) -> bool {
        let knows_the_key = key
            .zip(self.settings.bypass_key.as_ref())
            .is_some_and(|(given, right)| constant_time_eq(given, right.expose().as_bytes()));
        let address = address.to_canonical();
        knows_the_key || self.settings.bypass_addresses.iter().any(|net| net.contains(&address))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many draws were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many windows are remembered.
    pub fn keys(&self) -> u64 {
        let keys: usize = self.windows().iter().map(Windows::len).sum();
        u64::try_from(keys).unwrap_or(u64::MAX)
    }

    fn look(
        &self,
        windows: &[Windows; Budget::COUNT],
        budget: Budget,
        key: KeyHash,
        now: Timestamp,
    ) -> (Allowance, windows::Window) {
        let allowance = self.allowance(budget);
        let fresh = windows::Window { opened: now, used: 0 };
        let window = windows.get(budget.index()).map_or(fresh, |open| open.current(key, now, allowance.window));
        (allowance, window)
    }

    fn allowance(&self, budget: Budget) -> Allowance {
        self.allowances.get(budget.index()).copied().unwrap_or_else(|| budget.points().into())
    }

    fn refuse(&self, bucket: Bucket, standing: Standing, now: Timestamp) -> Exceeded {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let retry_after = u64::try_from(standing.reset.saturating_sub(now.as_secs())).unwrap_or(1).max(1);
        Exceeded { bucket, standing, retry_after }
    }

    fn hash(&self, key: Key<'_>) -> KeyHash {
        match key {
            Key::Address(address) => self.hasher.hash_one(network_of(address)),
            Key::Name(name) => self.hasher.hash_one(name),
            Key::NameFrom(name, address) => self.hasher.hash_one((name, network_of(address))),
        }
    }

    fn windows(&self) -> MutexGuard<'_, [Windows; Budget::COUNT]> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("mode", &self.settings.mode).finish_non_exhaustive()
    }
}

impl Drawn {
    /// Keeps the tighter of two standings: the one with less left.
    fn tighten(&mut self, other: Standing) {
        if self.standing.is_none_or(|standing| other.remaining < standing.remaining) {
            self.standing = Some(other);
        }
    }
}

/// The address as it is counted: an IPv4 address itself, of an IPv6 address the network that one customer has.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host_bits = 128 - u32::from(IPV6_PREFIX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn standing(allowance: Allowance, remaining: u32, opened: Timestamp) -> Standing {
    // Rounded up: who comes at that second finds everything there.
    let ends = opened.plus(allowance.window).plus(Duration::from_micros(999_999));
    Standing { limit: allowance.points, remaining, reset: ends.as_secs(), window: allowance.window.as_secs() }
}

/// Every budget at its place.
const ALL: [Budget; Budget::COUNT] = [
    Budget::Address,
    Budget::GetRepo,
    Budget::WriteHour,
    Budget::WriteDay,
    Budget::CreateSession,
    Budget::CreateSessionDay,
    Budget::CreateAccount,
    Budget::ResetPassword,
    Budget::DeleteAccount,
    Budget::RequestPasswordReset,
    Budget::RequestPasswordResetDay,
    Budget::RequestEmailConfirmation,
    Budget::RequestEmailConfirmationDay,
    Budget::RequestEmailUpdate,
    Budget::RequestEmailUpdateDay,
    Budget::RequestAccountDelete,
    Budget::RequestAccountDeleteDay,
    Budget::UpdateHandle,
    Budget::UpdateHandleDay,
    Budget::UploadBlob,
    Budget::WrongPasswordsFrom,
    Budget::WrongPasswordsForFrom,
    Budget::WrongPasswordsFor,
    Budget::WrongPasswordsForNobody,
];

#[cfg(test)]
mod tests;
