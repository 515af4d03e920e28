//! One subscriber's way through the event log: what it missed, then what happens, pushed as it happens.
//!
//! There is no queue per subscriber. A subscriber is a position in the log; it reads pages of shared frames from there,
//! from memory near the end and from disk far behind it, and sleeps at the end until the log grows.
use crate::{
    clock::Timestamp,
    event,
    limits::firehose::{LAG_EVENTS, PAGE_EVENTS},
    meters::{Audience, Position},
    store::{Store, StoreError, StoredEvent},
    tasks::Tasks,
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame, shared by all who get it.
    Frame(Bytes),
    /// The last item: why the stream ends. Error frames come before it.
    End(CloseReason),
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The cursor is greater than every event's number.
    FutureCursor,
    /// The subscriber fell too far behind.
    ConsumerTooSlow,
    /// The server stops.
    Stopping,
    /// The log could not be read.
    Failed,
}

/// Where the events come from, and what bounds a subscriber.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The log.
    pub store: Store,
    /// Resolves when the server stops.
    pub stopping: CancellationToken,
    /// How far back a cursor may reach.
    pub window_start: Timestamp,
    /// How many events a subscriber that had caught up may fall behind; [`LAG_EVENTS`] outside tests.
    pub lag: i64,
    /// Who else reads it.
    pub audience: Audience,
}

impl Feed {
    /// The log of this store until `tasks` stop.
    pub fn new(store: &Store, tasks: &Tasks, window_start: Timestamp) -> Self {
        Self {
            store: store.clone(),
            stopping: tasks.stopping(),
            window_start,
            lag: LAG_EVENTS,
            audience: Audience::default(),
        }
    }
}

/// The event stream from `cursor` (the number of the last event that the subscriber has), or from now on.
///
/// # Errors
/// When the database fails before the stream begins.
pub async fn subscribe(feed: Feed, cursor: Option<i64>) -> Result<BoxStream<'static, Item>, StoreError> {
    let latest = feed.store.latest_seq();
    let newest = *latest.borrow();
    let mut subscriber = Subscriber {
        position: feed.audience.join(newest),
        at: newest,
        caught_up: true,
        page: VecDeque::new(),
        notices: VecDeque::new(),
        ended: false,
        latest,
        feed,
    };
    match cursor {
        None => {}
        Some(cursor) if cursor > newest => {
            subscriber.end(CloseReason::FutureCursor, Some(("FutureCursor", "Cursor in the future.")));
        }
        Some(cursor) => {
            let window = subscriber.feed.store.seq_before(subscriber.feed.window_start).await?;
            subscriber.at = cursor.max(window);
            subscriber.position.advance(subscriber.at);
            subscriber.caught_up = false;
            if cursor < window {
                let text = "Requested cursor exceeded limit. Possibly missing events";
                subscriber.notices.push_back(Item::Frame(event::info("OutdatedCursor", text)));
            }
        }
    }
    let items =
        stream::unfold(
            subscriber,
            |mut subscriber| async move { subscriber.next().await.map(|item| (item, subscriber)) },
        );
    Ok(items.boxed())
}

struct Subscriber {
    feed: Feed,
    latest: watch::Receiver<i64>,
    /// The number of the last event that went out.
    at: i64,
    /// The same, for the operator.
    position: Position,
    /// Whether it has been at the end of the log: from then on it must keep up.
    caught_up: bool,
    page: VecDeque<StoredEvent>,
    /// What goes out before any further event.
    notices: VecDeque<Item>,
    ended: bool,
}

impl Subscriber {
    async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            if self.ended {
                return None;
            }
            if self.feed.stopping.is_cancelled() {
                self.end(CloseReason::Stopping, None);
                continue;
            }
            let newest = *self.latest.borrow_and_update();
            if self.caught_up && newest.saturating_sub(self.at) > self.feed.lag {
                self.cut();
                continue;
            }
            if let Some(event) = self.page.pop_front() {
                self.at = event.seq;
                self.position.advance(event.seq);
                if self.feed.store.hides(&event) {
                    continue;
                }
                return Some(Item::Frame(event.frame));
            }
            if newest > self.at {
                self.read(newest).await;
            } else {
                self.caught_up = true;
                self.wait().await;
            }
        }
    }

    /// Reads the next page; `newest` was the log's end before.
    async fn read(&mut self, newest: i64) {
        match self.page_behind(self.at).await {
            Ok(Some(page)) if page.is_empty() => self.at = newest,
            Ok(Some(page)) => self.page = page.into(),
            Ok(None) => self.cut(),
            Err(StoreError::Closed) => self.end(CloseReason::Stopping, None),
            Err(cause) => {
                tracing::error!(%cause, "the event log cannot be read: {cause}");
                self.end(CloseReason::Failed, None);
            }
        }
    }

    /// Events behind `after`; none when older ones were removed before this subscriber had them.
    async fn page_behind(&self, after: i64) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        let page = self.feed.store.events_after(after, PAGE_EVENTS).await?;
        if page.first().is_some_and(|first| first.seq == after.saturating_add(1)) {
            return Ok(Some(page));
        }
        // A gap: single events may be gone, but if everything up to here is, then the log was pruned under a slow reader.
        let kept_from = self.feed.store.seq_before(Timestamp::EPOCH).await?;
        Ok((kept_from <= after).then_some(page))
    }

    /// Ends the stream of a subscriber that does not keep up; it can come back with its cursor.
    fn cut(&mut self) {
        self.page.clear();
        self.feed.audience.count_cut();
        self.end(CloseReason::ConsumerTooSlow, Some(("ConsumerTooSlow", "Stream consumer too slow")));
    }

    /// Sleeps until the log grows or the server stops.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.feed.stopping.cancelled() => self.end(CloseReason::Stopping, None),
            changed = self.latest.changed() => if changed.is_err() {
                self.end(CloseReason::Stopping, None);
            }
        }
    }

    fn end(&mut self, reason: CloseReason, error: Option<(&str, &str)>) {
        if let Some((name, message)) = error {
            self.notices.push_back(Item::Frame(event::error(name, message)));
        }
        self.notices.push_back(Item::End(reason));
        self.ended = true;
    }
}
