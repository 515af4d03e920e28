//! Follows the PLC directory, so that what others do to this server's accounts is seen: by its export stream of every
//! operation, and where there is none by reading every account's log in turn.
//!
//! The stream only says when to look, and at whom: what is concluded comes from the verified log. A message costs one
//! look-up of its DID; what is kept are the ids of accounts that wait to be looked at, one after the other.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::MissedTickBehavior};

use super::{
    DelegationFailure,
    refresh::{Looked, Occasion, refresh},
};
use crate::{
    clock::Timestamp,
    ipld::Cid,
    limits::delegation as limits,
    outbound::FetchError,
    service::Server,
    store::{AccountId, StoreError},
};

/// The setting under which the place in the stream is kept.
const PLACE: &str = "plc-export-stream";

/// How the directory is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchBy {
    /// By its export stream, and by rounds while there is none.
    Stream,
    /// By rounds over all accounts' logs.
    Rounds,
}

/// Watches the logs of this server's accounts until the server stops.
pub fn start_watch(server: &Arc<Server>, by: WatchBy) {
    Arc::new(Watch::new(Arc::clone(server))).start(by);
}

struct Watch {
    server: Arc<Server>,
    // Held for one look at it, never over an await.
    todo: Mutex<Todo>,
    /// Rings when there is something to look at.
    bell: Notify,
}

/// What there is to look at.
#[derive(Debug, Default)]
struct Todo {
    /// Accounts that the stream told of.
    told: BTreeSet<AccountId>,
    /// Those of them that are to be tried again at the next tick.
    later: BTreeSet<AccountId>,
    /// The one that is being looked at.
    in_hand: Option<AccountId>,
    /// A round that is under way: the account that was looked at last.
    round: Option<AccountId>,
    /// When the next round is due; none while it is not known whether there is a stream.
    next_round: Option<Timestamp>,
    /// Whether the stream is open.
    has_stream: bool,
    /// Logs in a row that could not be read.
    unavailable: usize,
    /// The number of the last message that was read.
    read: Option<i64>,
    /// What is written down of that, and when it was.
    saved: Option<(i64, Timestamp)>,
}

/// The place in a directory's stream as it is written down.
#[derive(Serialize, Deserialize)]
struct Place {
    directory: String,
    cursor: i64,
}

/// A message of the stream, as far as it matters.
#[derive(Deserialize)]
struct Message {
    seq: i64,
    did: String,
    #[serde(default)]
    cid: String,
}

impl Todo {
    /// An account is to be looked at. Returns whether that is news to the one who looks.
    fn tell(&mut self, account: AccountId) -> bool {
        if self.told.len() + self.later.len() >= limits::WATCH_WAITING_MAX {
            self.told.clear();
            self.later.clear();
            self.round = Some(AccountId(0));
            return true;
        }
        self.told.insert(account)
    }

    /// Whether everything that was read has been looked at.
    fn is_done(&self) -> bool {
        self.told.is_empty() && self.later.is_empty() && self.in_hand.is_none() && self.round.is_none()
    }
}

impl Watch {
    fn new(server: Arc<Server>) -> Self {
        Self { server, todo: Mutex::default(), bell: Notify::new() }
    }

    fn start(self: Arc<Self>, by: WatchBy) {
        let tasks = self.server.tasks.clone();
        let stopping = tasks.stopping();
        tasks.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.run(by) => {}
            }
            self.save_place().await;
        });
    }

    async fn run(&self, by: WatchBy) {
        match by {
            WatchBy::Stream => drop(tokio::join!(self.listen(), self.work())),
            WatchBy::Rounds => {
                self.begin_round();
                self.work().await;
            }
        }
    }

    fn todo(&self) -> MutexGuard<'_, Todo> {
        self.todo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_round(&self) {
        self.todo().round = Some(AccountId(0));
        self.bell.notify_one();
    }

    /// Keeps the stream open.
    async fn listen(&self) {
        let mut pause = limits::WATCH_FIRST_PAUSE;
        self.read_place().await;
        loop {
            match self.follow(&mut pause).await {
                Ok(()) => tracing::debug!("the PLC directory closed its export stream"),
                Err(cause) => tracing::debug!("the PLC directory's export stream cannot be read: {cause}"),
            }
            self.rounds_instead();
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(limits::WATCH_LONGEST_PAUSE);
        }
    }

    /// There is no stream: a round is due at once if there never was one, else once it has been gone for a while.
    fn rounds_instead(&self) {
        let (mut todo, now) = (self.todo(), self.server.now());
        let soon = now.plus(limits::WATCH_EVERY);
        if todo.next_round.is_none() {
            tracing::info!("the PLC directory gives no export stream: the accounts' logs are read in turn");
        }
        todo.has_stream = false;
        todo.next_round = Some(todo.next_round.map_or(now, |due| due.min(soon)));
        self.bell.notify_one();
    }

    /// One connection, from where the last one ended.
    async fn follow(&self, pause: &mut Duration) -> Result<(), FetchError> {
        let cursor = self.todo().read;
        let mut messages = self.server.plc.export_stream(cursor).await?;
        tracing::debug!(?cursor, "the PLC directory's export stream is open");
        {
            let mut todo = self.todo();
            todo.has_stream = true;
            todo.next_round = Some(self.server.now().plus(limits::WATCH_EVERY_BESIDE_STREAM));
            if cursor.is_none() && todo.round.is_none() {
                // What happened before the stream began.
                todo.round = Some(AccountId(0));
            }
        }
        self.bell.notify_one();
        let mut has_spoken = false;
        while let Some(text) = messages.next().await? {
            (has_spoken, *pause) = (true, limits::WATCH_FIRST_PAUSE);
            let Ok(message) = serde_json::from_str::<Message>(&text) else { continue };
            let cid: Option<Cid> = message.cid.parse().ok();
            let found = self.server.store.account_with_foreign_operation(&message.did, cid.as_ref()).await;
            match found {
                Ok(Some(account)) if self.todo().tell(account) => self.bell.notify_one(),
                Ok(_) => {}
                // Read again from before it.
                Err(cause) => return Err(FetchError::Broken(format!("the database failed: {cause}"))),
            }
            self.todo().read = Some(message.seq);
        }
        if !has_spoken && cursor.is_some() {
            // The cursor is one that the directory does not go on from: too old, or of another log.
            self.todo().read = None;
        }
        Ok(())
    }

    /// Looks at what there is to look at, one account at a time.
    async fn work(&self) {
        let mut ticks = tokio::time::interval(limits::WATCH_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if ticks.tick().now_or_never().is_some() {
                self.tick().await;
            }
            match self.step().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        _ = ticks.tick() => self.tick().await,
                        () = self.bell.notified() => {}
                    }
                }
                Err(cause) => {
                    tracing::warn!("what others did to identities could not be noted: {cause}");
                    tokio::time::sleep(limits::WATCH_TICK).await;
                }
            }
        }
    }

    /// What is to be done now and then.
    async fn tick(&self) {
        let now = self.server.now();
        let is_old = {
            let mut todo = self.todo();
            let again = std::mem::take(&mut todo.later);
            todo.told.extend(again);
            todo.saved.is_none_or(|(_, at)| now >= at.plus(limits::WATCH_CURSOR_EVERY))
        };
        if is_old {
            self.save_place().await;
        }
    }

    /// Looks at one account; false when there is none to look at.
    async fn step(&self) -> Result<bool, StoreError> {
        if let Some(account) = self.next_told() {
            let looked = self.look(account, Occasion::Told).await;
            self.todo().in_hand = None;
            if looked.is_err() {
                self.todo().later.insert(account);
            }
            return looked.map(|()| true);
        }
        let Some(after) = self.round() else { return Ok(false) };
        let next = self.server.store.watched_account_after(after).await?;
        if let Some(account) = next {
            self.todo().round = Some(account);
            self.look(account, Occasion::Round).await?;
        } else {
            let has_stream = self.todo().has_stream;
            self.end_round(if has_stream { limits::WATCH_EVERY_BESIDE_STREAM } else { limits::WATCH_EVERY });
        }
        Ok(true)
    }

    fn next_told(&self) -> Option<AccountId> {
        let mut todo = self.todo();
        todo.in_hand = todo.told.pop_first();
        todo.in_hand
    }

    /// The place of the round that is under way, or of one that is due.
    fn round(&self) -> Option<AccountId> {
        let (mut todo, now) = (self.todo(), self.server.now());
        if todo.round.is_none() && todo.next_round.is_some_and(|due| due <= now) {
            todo.round = Some(AccountId(0));
        }
        todo.round
    }

    fn end_round(&self, rest: Duration) {
        let mut todo = self.todo();
        (todo.round, todo.unavailable) = (None, 0);
        todo.next_round = Some(self.server.now().plus(rest));
    }

    async fn look(&self, id: AccountId, occasion: Occasion) -> Result<(), StoreError> {
        let Some(account) = self.server.store.account_by_id(id).await? else { return Ok(()) };
        let again = match refresh(&self.server, &account, occasion).await {
            Ok(looked) => {
                self.todo().unavailable = 0;
                looked == Looked::Busy
            }
            Err(DelegationFailure::Store(cause)) => return Err(cause),
            Err(cause) => {
                tracing::debug!(did = %account.did, "the PLC log was not looked at: {cause}");
                let is_over = {
                    let mut todo = self.todo();
                    todo.unavailable += 1;
                    todo.round.is_some() && todo.unavailable >= limits::WATCH_UNAVAILABLE_MAX
                };
                if is_over {
                    self.end_round(limits::WATCH_EVERY);
                }
                occasion == Occasion::Told
            }
        };
        if again {
            self.todo().later.insert(id);
        }
        Ok(())
    }

    /// Goes on from what an earlier run wrote down, if that was of the same directory.
    async fn read_place(&self) {
        let place = match self.server.store.setting(PLACE).await {
            Ok(place) => place,
            Err(cause) => {
                tracing::warn!("the place in the PLC directory's export stream cannot be read: {cause}");
                return;
            }
        };
        let place = place.and_then(|json| serde_json::from_slice::<Place>(&json).ok());
        let place = place.filter(|place| place.directory == self.server.plc.url().as_str());
        self.todo().read = place.map(|place| place.cursor);
    }

    /// Writes the place down, once everything before it was looked at.
    async fn save_place(&self) {
        let now = self.server.now();
        let cursor = {
            let todo = self.todo();
            let known = todo.saved.map(|(cursor, _)| cursor);
            todo.read.filter(|read| todo.is_done() && known != Some(*read))
        };
        let Some(cursor) = cursor else { return };
        let place = Place { directory: self.server.plc.url().to_string(), cursor };
        let Ok(json) = serde_json::to_vec(&place) else { return };
        match self.server.store.put_setting(PLACE, json).await {
            Ok(()) => self.todo().saved = Some((cursor, now)),
            Err(cause) => tracing::warn!("the place in the PLC directory's export stream was not kept: {cause}"),
        }
    }
}

/// Reads the logs of all accounts once.
#[cfg(test)]
pub(crate) async fn watch_round(server: &Arc<Server>) -> Result<(), StoreError> {
    let watch = Watch::new(Arc::clone(server));
    watch.begin_round();
    while watch.todo().round.is_some() {
        watch.step().await?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
