//! `com.atproto.sync.getBlob`
use super::answers::visible;
use crate::{
    ipld::Cid,
    service::Server,
    store::{BlobFile, BlobRow},
    syntax::Did,
    xrpc::{
        Query, Reply, ReplyBody, RequestHead, XrpcError,
        auth::{Authenticate, Viewer},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::{ops::Range, sync::Arc};

/// A blob that a record references, as inert bytes: it is downloaded, never rendered.
pub struct GetBlob;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
    cid: Cid,
}

/// The caller, and the request's conditions on the answer.
#[derive(Clone, Debug)]
pub struct Conditions {
    viewer: Viewer,
    headers: HeaderMap,
}

impl Authenticate for Conditions {
    // Blobs of active accounts are the same for everybody; the answer says itself how it may be cached.
    const PRIVATE: bool = false;

    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        Ok(Self { viewer: Viewer::authenticate(server, head).await?, headers: head.headers.clone() })
    }
}

impl Query for GetBlob {
    const NSID: &'static str = "com.atproto.sync.getBlob";
    type Auth = Conditions;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, asked: Conditions, params: Params) -> Result<Reply, XrpcError> {
        let account = visible(server, &asked.viewer, &params.did).await?;
        let not_found = || XrpcError::bad("BlobNotFound", "Blob not found");
        let row = server.store.blob(account.id, &params.cid).await?;
        let row = row.filter(|row| row.permanent && !row.takendown).ok_or_else(not_found)?;
        let etag = format!("\"{}\"", row.cid);
        let headers = inert_headers(&row, &etag, &asked.viewer);
        if asked.headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, &etag)) {
            return Ok(Reply { status: StatusCode::NOT_MODIFIED, headers, body: ReplyBody::Full(Bytes::new()) });
        }
        let file = server.store.blob_files().open(&row.cid).await?.ok_or_else(not_found)?;
        match range(&asked.headers, &etag, file.size) {
            Asked::All => Ok(stream(file, headers, None)),
            Asked::Part(part) => Ok(stream(file, headers, Some(part))),
            Asked::Nothing => Ok(unsatisfiable(file.size)),
        }
    }
}

/// Headers that keep browsers from guessing a type, rendering, or running anything.
fn inert_headers(row: &BlobRow, etag: &str, viewer: &Viewer) -> HeaderMap {
    let caching = match viewer {
        Viewer::Anyone => "public, max-age=31536000, immutable",
        Viewer::Account(_) | Viewer::Admin => "private",
    };
    let disposition = format!("attachment; filename=\"{}\"", row.cid);
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, "application/octet-stream");
    set(header::CONTENT_TYPE, &row.mime_type);
    set(header::ETAG, etag);
    set(header::CACHE_CONTROL, caching);
    set(header::VARY, "authorization");
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CONTENT_DISPOSITION, &disposition);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    headers
}

/// Whether an `If-None-Match` value names this tag, compared weakly (RFC 9110, 13.1.2).
fn names(value: &HeaderValue, etag: &str) -> bool {
    value.to_str().is_ok_and(|value| {
        value.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// What part of a blob was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    /// A range that begins behind the end.
    Nothing,
}

/// One byte range (RFC 9110, 14.2); several at once, other units and nonsense are as if there were none.
fn range(headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text(&header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Asked::All;
    }
    let spec =
        text(&header::RANGE).and_then(|value| value.strip_prefix("bytes=")).and_then(|spec| spec.split_once('-'));
    let Some((first, last)) = spec else { return Asked::All };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && (last.is_empty() || number(last) >= Some(first)) => Asked::Nothing,
        (Some(first), None) if last.is_empty() => Asked::Part(first..size),
        (Some(first), Some(last)) if last >= first => Asked::Part(first..last.saturating_add(1).min(size)),
        (None, Some(count)) if first.is_empty() && (count == 0 || size == 0) => Asked::Nothing,
        (None, Some(count)) if first.is_empty() => Asked::Part(size.saturating_sub(count)..size),
        _ => Asked::All,
    }
}

fn stream(blob: BlobFile, mut headers: HeaderMap, part: Option<Range<u64>>) -> Reply {
    let size = blob.size;
    let (status, span) = match part {
        None => (StatusCode::OK, 0..size),
        Some(part) => {
            if let Ok(value) =
                HeaderValue::from_str(&format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1)))
            {
                headers.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, part)
        }
    };
    headers.insert(header::CONTENT_LENGTH, (span.end - span.start).into());
    let bytes = blob.read(span).map_err(XrpcError::from);
    Reply { status, headers, body: ReplyBody::Stream(bytes.boxed()) }
}

fn unsatisfiable(size: u64) -> Reply {
    let body = format!(r#"{{"error":"RangeNotSatisfiable","message":"the blob has {size} bytes"}}"#);
    let mut reply = Reply::raw_json(body.into_bytes());
    reply.status = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        reply.headers.insert(header::CONTENT_RANGE, value);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(spec: &str, size: u64) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, spec.parse().unwrap());
        range(&headers, "\"tag\"", size)
    }

    #[test]
    fn one_byte_range_is_understood_in_its_three_forms() {
        assert_eq!(asked("bytes=2-4", 10), Asked::Part(2..5));
        assert_eq!(asked("bytes=2-", 10), Asked::Part(2..10));
        assert_eq!(asked("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(asked("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(asked("bytes=0-99", 10), Asked::Part(0..10));
        assert_eq!(asked("bytes=0-18446744073709551615", 10), Asked::Part(0..10));
    }

    #[test]
    fn a_range_behind_the_end_cannot_be_satisfied() {
        for spec in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(asked(spec, 10), Asked::Nothing, "{spec}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
        assert_eq!(asked("bytes=-5", 0), Asked::Nothing);
    }

    #[test]
    fn several_ranges_and_nonsense_give_the_whole_blob() {
        for spec in
            ["bytes=0-1,3-4", "lines=0-1", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "bytes=+1-2", "bytes=1--2"]
        {
            assert_eq!(asked(spec, 10), Asked::All, "{spec}");
        }
    }

    #[test]
    fn a_range_of_another_version_gives_the_whole_blob() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
        assert_eq!(range(&headers, "\"tag\"", 10), Asked::All);
        headers.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(range(&headers, "\"tag\"", 10), Asked::Part(0..2));
    }

    #[test]
    fn a_known_tag_is_recognised_in_a_list_and_weakly() {
        let names = |value: &str| names(&value.parse().unwrap(), "\"tag\"");
        assert!(names("\"tag\"") && names("\"a\", W/\"tag\"") && names("*"));
        assert!(!names("\"other\"") && !names("tag"));
    }
}
