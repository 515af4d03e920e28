//! `/export` and `/export/stream`: every operation of every DID.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::Failure;
use crate::{
    clock::Timestamp,
    ipld::Cid,
    limits::plc::{EXPORT_MAX_ENTRIES, EXPORT_STREAM_PAGE},
    store::{DirectoryEntry, Store, StoreError},
    syntax::{Datetime, Did},
    web::{WebReply, WebRequest},
    xrpc::{Reply, StreamItem},
};

/// One page as JSON lines; `after` decides the format: a number gives the sequenced one, a time or nothing the old one.
pub(super) async fn page(store: &Store, query: &str) -> Result<Reply, Failure> {
    let bad = |message: &str| Failure::new(StatusCode::BAD_REQUEST, message);
    let count = match param(query, "count") {
        None => EXPORT_MAX_ENTRIES,
        Some(text) => match leading_integer(&text).map(usize::try_from) {
            Some(Ok(count)) if count > 0 => count.min(EXPORT_MAX_ENTRIES),
            _ => return Err(bad("Invalid count parameter")),
        },
    };
    let after = param(query, "after");
    let sequenced = after.as_ref().is_some_and(|after| after.bytes().all(|byte| byte.is_ascii_digit()));
    let mut lines = String::new();
    if sequenced {
        // More digits than a number holds lie after everything.
        let after = after.and_then(|after| after.parse().ok()).unwrap_or(i64::MAX);
        for entry in store.directory_export_after_seq(after, count).await? {
            push(&mut lines, &sequenced_line(&entry)?);
        }
    } else {
        let after = match after {
            None => Timestamp::from_micros(i64::MIN),
            Some(after) => instant(&after).ok_or_else(|| bad("Invalid after parameter"))?,
        };
        for entry in store.directory_export_after_time(after, count).await? {
            push(&mut lines, &old_line(&entry)?);
        }
    }
    Ok(Reply::bytes("application/jsonlines", Bytes::from(lines)))
}

/// Becomes a WebSocket that sends what is there after `cursor`, and then what comes.
pub(super) fn stream(store: &Store, request: &WebRequest) -> Result<WebReply, Failure> {
    if !request.headers.contains_key(header::UPGRADE) {
        return Err(Failure::new(StatusCode::UPGRADE_REQUIRED, "upgrade required"));
    }
    let mut latest = store.directory_latest();
    let newest = *latest.borrow_and_update();
    let cursor = match param(&request.query, "cursor") {
        None => newest,
        Some(text) => leading_integer(&text)
            .filter(|cursor| *cursor >= 0)
            .ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "Invalid cursor parameter"))?,
    };
    if cursor > newest {
        let close = StreamItem::CloseFor(NORMAL, "FutureCursor");
        return Ok(WebReply::Socket(stream::iter([close]).boxed()));
    }
    let follower = Follower { store: store.clone(), latest, cursor, waiting: VecDeque::new() };
    Ok(WebReply::Socket(stream::unfold(Some(follower), follow).boxed()))
}

/// The WebSocket close code for an ordinary end; the public directory tells the reason in words alone.
const NORMAL: u16 = 1000;

/// The WebSocket close code for a fault of the server.
const FAULT: u16 = 1011;

/// Reads the log in pages at its subscriber's pace: nothing is queued for a slow one, and nothing is lost.
struct Follower {
    store: Store,
    latest: watch::Receiver<i64>,
    cursor: i64,
    waiting: VecDeque<DirectoryEntry>,
}

async fn follow(follower: Option<Follower>) -> Option<(StreamItem, Option<Follower>)> {
    let mut follower = follower?;
    match follower.next().await {
        Ok(Some(text)) => Some((StreamItem::Text(text), Some(follower))),
        Ok(None) | Err(StoreError::Closed) => None,
        Err(cause) => {
            tracing::error!(%cause, "an export stream failed: {cause}");
            Some((StreamItem::Close(FAULT), None))
        }
    }
}

impl Follower {
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                self.cursor = entry.seq;
                return sequenced_line(&entry).map(Some);
            }
            // Seen before it is read: what comes in between wakes the wait below.
            self.latest.borrow_and_update();
            self.waiting = self.store.directory_export_after_seq(self.cursor, EXPORT_STREAM_PAGE).await?.into();
            if self.waiting.is_empty() && self.latest.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

fn old_line(entry: &DirectoryEntry) -> Result<String, StoreError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        did: &'a Did,
        operation: &'a RawValue,
        cid: &'a Cid,
        nullified: bool,
        created_at: String,
    }
    line(&Line {
        did: &entry.did,
        operation: operation(entry)?,
        cid: &entry.cid,
        nullified: entry.nullified,
        created_at: entry.created_at.to_rfc3339_millis(),
    })
}

fn sequenced_line(entry: &DirectoryEntry) -> Result<String, StoreError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        seq: i64,
        #[serde(rename = "type")]
        kind: &'static str,
        did: &'a Did,
        operation: &'a RawValue,
        cid: &'a Cid,
        created_at: String,
    }
    line(&Line {
        seq: entry.seq,
        kind: "sequenced_op",
        did: &entry.did,
        operation: operation(entry)?,
        cid: &entry.cid,
        created_at: entry.created_at.to_rfc3339_millis(),
    })
}

/// The operation as it was stored, which is JSON on one line.
fn operation(entry: &DirectoryEntry) -> Result<&RawValue, StoreError> {
    serde_json::from_str(&entry.operation).map_err(|cause| damaged(&cause))
}

fn line(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|cause| damaged(&cause))
}

fn damaged(cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("a PLC operation: {cause}"))
}

/// Lines are separated by line ends, and there is none after the last: clients split.
fn push(lines: &mut String, line: &str) {
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(line);
}

/// A parameter that is there exactly once and not empty; the public directory takes any other as absent.
fn param(query: &str, name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let (first, second) = (values.next()?.1, values.next());
    (second.is_none() && !first.is_empty()).then(|| first.into_owned())
}

/// The integer that a text begins with, as JavaScript reads it.
fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return None;
    }
    // Too many digits are more than anything.
    Some(sign * digits.parse::<i64>().unwrap_or(i64::MAX))
}

/// A datetime, or a date for its first instant.
fn instant(text: &str) -> Option<Timestamp> {
    let datetime: Option<Datetime> = text.parse().ok().or_else(|| format!("{text}T00:00:00.000Z").parse().ok());
    datetime.map(|datetime| datetime.timestamp())
}
