//! Relays: told that there is news, and asked how they stand.
//!
//! A relay follows the event stream by itself; telling it is for when it has lost us. Each configured relay has a task of
//! its own that watches the latest number: no write waits for it, and one relay that hangs delays no other.

mod schedule;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use url::Url;

use super::{Policy, Server};
use crate::{
    outbound::{HostStatus, RelayClient, RelayError},
    store::StoreError,
};

pub use schedule::{Announced, Next, Schedule};
pub use standing::Standing;

/// The configured relays.
#[derive(Debug)]
pub struct Relays {
    client: RelayClient,
    relays: Vec<Relay>,
}

/// One relay.
#[derive(Debug)]
struct Relay {
    url: Url,
    // A mutex because the administrator may ask while the relay's own task announces: held for a copy only.
    schedule: Mutex<Schedule>,
}

/// How a relay stands, and what it was told.
#[derive(Clone, Debug)]
pub struct RelayReport {
    /// The relay.
    pub url: Url,
    /// How it stands.
    pub standing: Standing,
    /// What it said, if it said something.
    pub answer: Option<HostStatus>,
    /// What it was told.
    pub schedule: Schedule,
    /// When it is told next.
    pub next: Next,
}

impl Relays {
    /// These relays.
    pub fn new(urls: &[Url], client: RelayClient) -> Self {
        let relays = urls.iter().map(|url| Relay { url: url.clone(), schedule: Mutex::default() }).collect();
        Self { client, relays }
    }
}

impl Relay {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name under which the last announcement is kept.
    fn setting(&self) -> String {
        format!("relay:{}", self.url)
    }
}

/// Tells each relay of news from now on, in a task of its own.
pub fn start_announcing(server: &Arc<Server>) {
    for index in 0..server.relays.relays.len() {
        let (own, stopping) = (Arc::clone(server), server.tasks.stopping());
        server.tasks.spawn(async move {
            let Some(relay) = own.relays.relays.get(index) else { return };
            tokio::select! {
                () = stopping.cancelled() => {}
                done = keep_announcing(&own, relay) => if let Err(cause) = done {
                    tracing::error!(relay = %relay.url, "the relay is not told of news any more: {cause}");
                }
            }
        });
    }
}

async fn keep_announcing(server: &Server, relay: &Relay) -> Result<(), StoreError> {
    remember(server, relay).await?;
    let mut latest = server.store.latest_seq();
    loop {
        let seq = *latest.borrow_and_update();
        match announce_if_due(server, relay, seq).await {
            Next::Now => {}
            Next::At(time) => tokio::time::sleep(time.since(server.now())).await,
            Next::AtNextEvent => {
                if latest.changed().await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Takes up what an earlier run announced.
async fn remember(server: &Server, relay: &Relay) -> Result<(), StoreError> {
    let kept = server.store.setting(&relay.setting()).await?;
    relay.schedule().announced = kept.as_deref().and_then(Announced::from_bytes);
    Ok(())
}

/// Announces if it is time; answers when to look again ([`Next::Now`]: at once, for something may have changed).
async fn announce_if_due(server: &Server, relay: &Relay, seq: i64) -> Next {
    let next = relay.schedule().next(seq, server.now());
    if next == Next::Now
        && let Err(cause) = announce(server, relay, seq).await
    {
        tracing::warn!(relay = %relay.url, "a relay could not be told of news: {cause}");
    }
    next
}

/// One announcement, whatever the schedule says; its outcome becomes part of it.
async fn announce(server: &Server, relay: &Relay, seq: i64) -> Result<(), RelayError> {
    let outcome = server.relays.client.request_crawl(&relay.url, &announced_host(&server.policy)).await;
    let now = server.now();
    match &outcome {
        Ok(()) => {
            let announced = Announced { at: now, seq };
            relay.schedule().taken(announced);
            if let Err(cause) = server.store.put_setting(&relay.setting(), announced.to_bytes()).await {
                // Only a restart within the interval would announce too soon.
                tracing::debug!("an announcement could not be noted: {cause}");
            }
        }
        Err(cause) => relay.schedule().failed(cause, now),
    }
    outcome
}

/// Asks every relay to crawl this host now, whenever they were told last.
pub async fn request_crawl(server: &Server) -> Vec<(Url, Result<(), RelayError>)> {
    let seq = *server.store.latest_seq().borrow();
    let asked = server.relays.relays.iter().map(async |relay| (relay.url.clone(), announce(server, relay, seq).await));
    join_all(asked).await
}

/// Asks every relay how it stands to this server.
pub async fn reports(server: &Server) -> Vec<RelayReport> {
    let host = announced_host(&server.policy);
    let asked = server.relays.relays.iter().map(async |relay| {
        let answer = server.relays.client.host_status(&relay.url, &host).await;
        // Read after the answer: what was written meanwhile must not look like a rewound sequence.
        let seq = *server.store.latest_seq().borrow();
        let schedule = relay.schedule().clone();
        RelayReport {
            url: relay.url.clone(),
            standing: Standing::of(&answer, seq),
            next: schedule.next(seq, server.now()),
            answer: answer.ok(),
            schedule,
        }
    });
    join_all(asked).await
}

/// Whether this server answers at its own public address, its event stream included, as seen from this machine.
///
/// # Errors
/// What is wrong, as a sentence.
pub async fn reach_self(server: &Server) -> Result<(), String> {
    server.relays.client.reach_self(&server.policy.public_url, server.policy.service_did.as_str()).await
}

/// The name under which relays know this server: with the port if it is not the usual one.
pub fn announced_host(policy: &Policy) -> String {
    match policy.public_url.port() {
        Some(port) => format!("{}:{port}", policy.hostname),
        None => policy.hostname.clone(),
    }
}
