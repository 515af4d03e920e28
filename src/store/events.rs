//! The event log: frames stored whole, numbered by the writer; recent ones also in memory.

use bytes::Bytes;
use rusqlite::Connection;

use super::{Store, StoreError, sql};
use crate::{
    clock::Timestamp,
    limits::store::{EVENT_PAGE_BYTES, SWEEP_SLICE},
};

/// One stored event: its number and its whole frame, encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: i64,
    /// The frame as it goes over the wire.
    pub frame: Bytes,
}

impl Store {
    /// Events with seq > `after`, in order: from memory when they are recent, else a page from disk. At most `limit`,
    /// and on disk at most about 4 MiB; empty only at the end of the log.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn events_after(&self, after: i64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let shared = &self.inner.shared;
        if after >= *shared.latest.borrow() {
            return Ok(Vec::new());
        }
        if let Some(recent) = shared.ring.after(after, limit) {
            return Ok(recent);
        }
        self.page(move |conn| read_page(conn, after, limit)).await
    }

    /// The greatest seq of all events older than `time`, removed ones included: a cursor at the start of the window, or
    /// at the start of what is kept. 0 if there are none.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn seq_before(&self, time: Timestamp) -> Result<i64, StoreError> {
        // Read first: an event that comes meanwhile is not older than `time`.
        let latest = *self.inner.shared.latest.borrow();
        Ok(self.inner.points.snapshot(|conn| seq_before(conn, time))?.unwrap_or(latest))
    }

    /// Removes a slice of events older than `before`; returns how many went. `seq` still only grows.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn prune_events(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(SWEEP_SLICE);
        self.write(move |work| {
            let last = seq_before(work.conn, before)?.unwrap_or(0);
            sql::execute(
                work.conn,
                "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
                (last, sql::limit(limit)),
            )
        })
        .await
    }
}

fn read_page(conn: &Connection, after: i64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
    let mut bytes = 0_usize;
    let mut page = Vec::new();
    let mut statement = conn
        .prepare_cached("SELECT seq, frame FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")
        .map_err(sql::failed)?;
    let mut rows = statement.query((after, sql::limit(limit))).map_err(sql::failed)?;
    while bytes < EVENT_PAGE_BYTES
        && let Some(row) = rows.next().map_err(sql::failed)?
    {
        let event = StoredEvent { seq: sql::col(row, 0)?, frame: sql::bytes(row, 1)? };
        bytes += event.frame.len();
        page.push(event);
    }
    Ok(page)
}

/// By bisection, since times grow with numbers (as well as the machine's clock does) and need no index. Removed events
/// count as older; `None` if no event is left.
fn seq_before(conn: &Connection, time: Timestamp) -> Result<Option<i64>, StoreError> {
    let ends = sql::one(conn, "SELECT min(seq), max(seq) FROM events", [], |row| {
        Ok((sql::col::<Option<i64>>(row, 0)?, sql::col::<Option<i64>>(row, 1)?))
    })?;
    let Some((Some(first), Some(last))) = ends else { return Ok(None) };
    let (mut low, mut high) = (first - 1, last);
    while low < high {
        let middle = low + (high - low + 1) / 2;
        // The event at or before `middle`: there are gaps only where a restore jumped ahead.
        let at = sql::one(
            conn,
            "SELECT seq, time FROM events WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
            [middle],
            |row| Ok((sql::col::<i64>(row, 0)?, sql::time(row, 1)?)),
        )?;
        match at {
            Some((seq, _)) if seq <= low => high = low,
            Some((_, at)) if at < time => low = middle,
            Some((seq, _)) => high = seq - 1,
            None => high = low,
        }
    }
    Ok(Some(low))
}
