//! A service's answer on its way to the caller: which headers, how many bytes, how long.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{failure, unreachable};
use crate::{
    limits::proxy::{BODY_IDLE, BODY_TOTAL, RESPONSE_BYTES},
    outbound::{FetchError, Streamed},
    xrpc::{IntoReply, Reply, ReplyBody, XrpcError},
};

/// Headers that are passed on with any answer.
pub(super) static SAFE_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("atproto-repo-rev"),
    HeaderName::from_static("atproto-content-labelers"),
    header::RETRY_AFTER,
];

/// Headers that belong to the body, and are passed on with it.
static CONTENT_HEADERS: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE, header::CONTENT_LANGUAGE];

/// An answer of success whose body is still coming.
pub struct Upstream {
    /// Its status: 2xx.
    pub status: StatusCode,
    /// Headers that are passed on.
    pub headers: HeaderMap,
    body: BoxStream<'static, Result<Bytes, XrpcError>>,
}

impl Upstream {
    /// Bounds an answer of success.
    pub(super) fn new(answer: Streamed) -> Result<Self, XrpcError> {
        let Streamed { status, headers, body } = answer;
        if !status.is_success() {
            // A redirect would lead to where nobody looked.
            return Err(failure(format!(
                "The service answered with status {}, which is not passed on",
                status.as_u16()
            )));
        }
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > RESPONSE_BYTES as u64) {
            return Err(too_large());
        }
        let mut kept = chosen(&headers, &CONTENT_HEADERS);
        kept.extend(chosen(&headers, &SAFE_HEADERS));
        Ok(Self { status, headers: kept, body: bounded(body) })
    }

    /// The revision of the caller's repository that the service has seen.
    pub(super) fn repo_rev(&self) -> Option<&str> {
        self.headers.get("atproto-repo-rev")?.to_str().ok()
    }

    /// Whether it says that it is something else than JSON.
    pub(super) fn is_json(&self) -> bool {
        let Some(kind) = self.headers.get(header::CONTENT_TYPE) else { return true };
        let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    }

    /// All of it, as it came over the wire, at most `max` bytes.
    ///
    /// # Errors
    /// When it breaks off or is longer.
    pub async fn buffered(self, max: usize) -> Result<Whole, XrpcError> {
        let Self { status, headers, mut body } = self;
        let mut all = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            if all.len() + piece.len() > max {
                return Err(too_large());
            }
            all.extend_from_slice(&piece);
        }
        Ok(Whole { status, headers, body: all.freeze() })
    }
}

impl IntoReply for Upstream {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        let Self { status, headers, body } = self;
        Ok(Reply { status, headers, body: ReplyBody::Stream(body) })
    }
}

/// An answer of success, whole.
pub struct Whole {
    /// Its status: 2xx.
    pub status: StatusCode,
    /// Headers that are passed on.
    pub headers: HeaderMap,
    /// The body as it came over the wire.
    pub body: Bytes,
}

impl Whole {
    /// An answer with its status and headers, and another body: JSON.
    pub(super) fn with_json(mut self, body: Vec<u8>, more: Option<(HeaderName, HeaderValue)>) -> Reply {
        for name in &CONTENT_HEADERS {
            self.headers.remove(name);
        }
        let mut reply = Reply::raw_json(body).with_status(self.status);
        reply.headers.extend(self.headers);
        reply.headers.extend(more);
        reply
    }
}

impl IntoReply for Whole {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        let Self { status, headers, body } = self;
        Ok(Reply { status, headers, body: ReplyBody::Full(body) })
    }
}

/// Those of some headers that are in a list.
pub(super) fn chosen(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// A body within its bounds; an error in it cuts the connection to the caller, who must see that it is not whole.
fn bounded(body: BoxStream<'static, Result<Bytes, FetchError>>) -> BoxStream<'static, Result<Bytes, XrpcError>> {
    let until = Instant::now() + BODY_TOTAL;
    stream::try_unfold((body, 0_usize), move |(mut body, received)| async move {
        let Ok(Ok(piece)) = timeout_at(until, timeout(BODY_IDLE, body.next())).await else {
            return Err(super::error::timeout());
        };
        let Some(piece) = piece.transpose().map_err(|cause| unreachable(&cause))? else { return Ok(None) };
        let received = received + piece.len();
        if received > RESPONSE_BYTES { Err(too_large()) } else { Ok(Some((piece, (body, received)))) }
    })
    .boxed()
}

fn too_large() -> XrpcError {
    failure("The service's answer is too long")
}
