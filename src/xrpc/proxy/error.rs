//! What goes wrong on the way to a service and back, as the caller learns it.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{inflate::inflated, respond::SAFE_HEADERS};
use crate::{
    limits::proxy::{ERROR_BYTES, ERROR_NAME_CHARS, ERROR_TIMEOUT},
    outbound::{FetchError, Streamed},
    xrpc::{IntoReply, Reply, XrpcError},
};

/// A service's own refusal, and those of its headers that go with it.
#[derive(Debug)]
pub struct Refusal {
    /// The error, as it is passed on.
    pub error: XrpcError,
    /// Headers that are passed on.
    pub headers: HeaderMap,
}

impl IntoReply for Refusal {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        let mut reply = self.error.into_reply();
        reply.headers.extend(self.headers);
        Ok(reply)
    }
}

/// 502: the service was not reached, or what came was no answer.
pub(super) fn failure(message: impl Into<String>) -> XrpcError {
    XrpcError::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", message)
}

/// 504: it was reached, and did not answer in time.
pub(super) fn timeout() -> XrpcError {
    let message = "The service that this request was passed to did not answer in time";
    XrpcError::with_status(StatusCode::GATEWAY_TIMEOUT, "UpstreamTimeout", message)
}

/// A failed exchange. What exactly went wrong is logged; the caller learns whose fault it was.
pub(super) fn unreachable(cause: &FetchError) -> XrpcError {
    tracing::info!(cause = %cause, "a request could not be passed on");
    match cause {
        FetchError::Refused(refusal) => {
            XrpcError::invalid(format!("the service's address may not be reached from here: {refusal}"))
        }
        FetchError::TimedOut(_) => timeout(),
        FetchError::Setup(_)
        | FetchError::NoAddress(_)
        | FetchError::Connect(_)
        | FetchError::TooLarge(_)
        | FetchError::TooManyRedirects(_)
        | FetchError::BadRedirect
        | FetchError::Encoded
        | FetchError::Broken(_) => failure("Upstream service unreachable"),
    }
}

/// A service's answer of failure: its name and message if it has them, else what its status says.
pub(super) async fn refusal(answer: Streamed) -> Refusal {
    let Streamed { status, headers, body } = answer;
    let passed = super::respond::chosen(&headers, &SAFE_HEADERS);
    let said = tokio::time::timeout(ERROR_TIMEOUT, read(&headers, body)).await.ok().flatten();
    let text = |name: &str| said.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let (status, own_name) = match status {
        StatusCode::INTERNAL_SERVER_ERROR => (StatusCode::BAD_GATEWAY, None),
        status => (status, text("error").filter(|name| is_name(name))),
    };
    let mut error = XrpcError::with_status(status, name_of(status), "");
    if let Some(name) = own_name {
        error.name = name.into();
    }
    error.message = text("message").filter(|text| !text.is_empty()).unwrap_or_else(|| error.name.to_string());
    Refusal { error, headers: passed }
}

async fn read(
    headers: &HeaderMap,
    mut body: futures_util::stream::BoxStream<'static, Result<Bytes, FetchError>>,
) -> Option<Value> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.ok()?;
        if all.len() + piece.len() > ERROR_BYTES {
            return None;
        }
        all.extend_from_slice(&piece);
    }
    let plain = inflated(headers, all.into(), ERROR_BYTES).await.ok()?;
    serde_json::from_slice(&plain).ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ERROR_NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The reference's name for a status.
fn name_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "AuthenticationRequired",
        403 => "Forbidden",
        404 => "XRPCNotSupported",
        406 => "NotAcceptable",
        413 => "PayloadTooLarge",
        415 => "UnsupportedMediaType",
        429 => "RateLimitExceeded",
        501 => "MethodNotImplemented",
        502 => "UpstreamFailure",
        503 => "NotEnoughResources",
        504 => "UpstreamTimeout",
        400..=499 => "InvalidRequest",
        _ => "InternalServerError",
    }
}
