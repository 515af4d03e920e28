//! Any origin may call: the protocol's clients are web pages of strangers, and credentials travel in headers only.

use crate::xrpc::{Reply, ReplyBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
/// One day: the reference's.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
/// What scripts may read of an answer besides the few headers that they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "DPoP-Nonce, WWW-Authenticate, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit-Policy, Retry-After, \
     Atproto-Repo-Rev, Atproto-Content-Labelers, Atproto-Upstream-Lag, Content-Length, Content-Range, Accept-Ranges, \
     ETag, X-Request-Id",
);

/// Lets scripts of any origin read this answer.
pub(super) fn allow(headers: &mut HeaderMap) {
    headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(ANY);
    headers.entry(header::ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(EXPOSED);
}

/// The answer to a browser that asks before it calls.
pub(super) fn preflight(request: &HeaderMap) -> Reply {
    let mut reply = Reply::new(StatusCode::NO_CONTENT, ReplyBody::Full(Bytes::new()))
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY)
        .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with_header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
        .with_header(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        reply.headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    reply
}
