//! The one place where an error gets its XRPC name and HTTP status. Spec: <https://atproto.com/specs/xrpc#error-responses>.
//!
//! Errors of one area get theirs in `error_<area>.rs` beside this file.

use super::Reply;
use crate::{
    limits::http::ERROR_MESSAGE_CHARS,
    store::StoreError,
    throttle::{Exceeded, Standing},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::borrow::Cow;

/// An XRPC error answer: `{"error": name, "message": message}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XrpcError {
    /// HTTP status.
    pub status: StatusCode,
    /// The wire name.
    pub name: Cow<'static, str>,
    /// One sentence that helps.
    pub message: String,
    /// When to come back, in seconds.
    pub retry_after: Option<u64>,
    /// The budget that is used up, if that is why.
    pub standing: Option<Standing>,
}

impl XrpcError {
    /// 400 with a name of its own.
    pub fn bad(name: &'static str, message: impl Into<String>) -> Self {
        Self::with_status(StatusCode::BAD_REQUEST, name, message)
    }

    /// 400 `InvalidRequest`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::bad("InvalidRequest", message)
    }

    /// 401 with a name of its own.
    pub fn unauthorized(name: &'static str, message: impl Into<String>) -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, name, message)
    }

    /// 413 `PayloadTooLarge`.
    pub fn too_large() -> Self {
        Self::with_status(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", "request entity too large")
    }

    /// Any status and name.
    pub fn with_status(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name: name.into(), message: message.into(), retry_after: None, standing: None }
    }

    /// 429 `RateLimitExceeded`: says when to come back.
    pub fn rate_limited(exceeded: &Exceeded, message: impl Into<String>) -> Self {
        let error = Self::with_status(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", message);
        Self { retry_after: Some(exceeded.retry_after), standing: Some(exceeded.standing), ..error }
    }

    /// 501: no such method here, and nobody to pass it on to.
    pub fn not_implemented() -> Self {
        Self::with_status(StatusCode::NOT_IMPLEMENTED, "MethodNotImplemented", "Method Not Implemented")
    }

    /// 500 `InternalServerError`; the cause is logged here and nowhere else, the caller learns nothing of it.
    pub fn internal(cause: &(dyn std::fmt::Display + Sync)) -> Self {
        tracing::error!(%cause, "request failed: {cause}");
        Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error")
    }

    /// The answer that it is on the wire. Every 503 asks the caller to come back.
    pub fn into_reply(self) -> Reply {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            message: &'a str,
        }
        let body =
            serde_json::to_vec(&Body { error: &self.name, message: &shortened(&self.message) }).unwrap_or_default();
        let mut reply = Reply::bytes("application/json; charset=utf-8", Bytes::from(body));
        reply.status = self.status;
        if let Some(seconds) = self.retry_after {
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(crate::limits::http::RETRY_AFTER_SECONDS));
        }
        if let Some(standing) = &self.standing {
            super::gate::tell(standing, &mut reply.headers);
        }
        reply
    }
}

/// A message may quote what was sent: nobody gets a megabyte back.
fn shortened(message: &str) -> Cow<'_, str> {
    match message.char_indices().nth(ERROR_MESSAGE_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", message.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(message),
    }
}

impl std::fmt::Display for XrpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for XrpcError {}

impl From<StoreError> for XrpcError {
    fn from(error: StoreError) -> Self {
        let unavailable = |message: &str| {
            tracing::warn!(cause = %error, "request refused: {error}");
            Self::with_status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
        };
        match &error {
            StoreError::DiskFull => {
                unavailable("The server's disk is full: nothing can be written until its operator makes room")
            }
            StoreError::Busy => unavailable("The server is busy: try again in a moment"),
            StoreError::Closed => unavailable("The server is stopping: try again in a moment"),
            StoreError::Database(_) | StoreError::File(_) | StoreError::Damaged(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xrpc::ReplyBody;

    fn text(reply: Reply) -> String {
        match reply.body {
            ReplyBody::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            ReplyBody::Stream(_) => panic!("an error is never a stream"),
        }
    }

    #[test]
    fn a_message_that_quotes_too_much_is_cut() {
        let quoted = "é".repeat(ERROR_MESSAGE_CHARS + 1);
        let sent = text(XrpcError::invalid(quoted).into_reply());
        assert!(sent.len() < 2 * ERROR_MESSAGE_CHARS + 100 && sent.contains("é…"), "{}", sent.len());
    }

    #[test]
    fn an_error_is_a_flat_object_of_name_and_message() {
        let reply = XrpcError::bad("ExpiredToken", "Token has expired").into_reply();
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(text(reply), r#"{"error":"ExpiredToken","message":"Token has expired"}"#);
    }

    #[test]
    fn a_full_disk_and_a_busy_writer_ask_to_come_back() {
        for error in [StoreError::DiskFull, StoreError::Busy, StoreError::Closed] {
            let reply = XrpcError::from(error).into_reply();
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(reply.headers.contains_key(header::RETRY_AFTER));
        }
    }

    #[test]
    fn the_cause_of_an_internal_error_stays_here() {
        let error = XrpcError::from(StoreError::Database("secret path".to_owned()));
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!text(error.into_reply()).contains("secret"));
    }
}
