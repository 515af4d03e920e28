//! Request bodies as they come off the wire: inflated piece by piece, never slower than they may be.

use super::guarded::Phase;
use crate::{
    limits::http as limits,
    xrpc::{RequestBody, XrpcError},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::{pin::Pin, sync::Arc};
use tokio::time::{Instant, timeout};
use tower::{ServiceExt, service_fn};
use tower_http::decompression::Decompression;

/// The body of a request with these headers, inflated.
///
/// # Errors
/// 415 for an encoding that is neither gzip nor deflate, 501 for a transfer coding besides chunked.
pub(super) async fn body(
    headers: &HeaderMap,
    incoming: Incoming,
    phase: &Arc<Phase>,
) -> Result<RequestBody, XrpcError> {
    let raw = raw_body(headers, incoming, phase)?;
    match encoding(headers)? {
        Some(encoding) if raw.content_length != Some(0) => {
            let stream = inflated(encoding, raw.stream).await?;
            Ok(RequestBody { content_type: raw.content_type, content_length: None, stream })
        }
        Some(_) | None => Ok(raw),
    }
}

/// The body of a request with these headers, as it comes.
///
/// # Errors
/// 501 for a transfer coding besides chunked.
pub(super) fn raw_body(headers: &HeaderMap, incoming: Incoming, phase: &Arc<Phase>) -> Result<RequestBody, XrpcError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if incoming.is_end_stream() {
        return Ok(RequestBody { content_type, content_length: Some(0), ..RequestBody::empty() });
    }
    phase.set_unread(true);
    if headers.get_all(header::TRANSFER_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        let message =
            "The request body must be sent with the transfer coding \"chunked\" alone, or with a Content-Length";
        return Err(XrpcError::with_status(StatusCode::NOT_IMPLEMENTED, "UnsupportedTransferCoding", message));
    }
    let content_length = incoming.size_hint().exact();
    Ok(RequestBody { content_type, content_length, stream: paced(incoming, phase).boxed() })
}

fn encoding(headers: &HeaderMap) -> Result<Option<&'static str>, XrpcError> {
    let unsupported = || {
        XrpcError::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "unsupported content-encoding",
        )
    };
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(unsupported());
    }
    match value.to_str().map_err(|_| unsupported())?.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some("gzip")),
        "deflate" => Ok(Some("deflate")),
        _ => Err(unsupported()),
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, XrpcError>> + Send>>;

/// Lets tower-http inflate: it holds one buffer, so a bomb costs time in proportion to what the reader takes of it.
async fn inflated(
    encoding: &'static str,
    body: impl Stream<Item = Result<Bytes, XrpcError>> + Send + 'static,
) -> Result<Pieces, XrpcError> {
    let compressed = http_body_util::StreamBody::new(body.map(|piece| piece.map(hyper::body::Frame::data)));
    let mut response = Some(Response::new(compressed));
    if let Some(response) = &mut response {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let service =
        service_fn(move |_: Request<()>| std::future::ready(response.take().map_or_else(|| Err("called twice"), Ok)));
    let inflated = Decompression::new(service).oneshot(Request::new(())).await;
    let body = inflated.map_err(|cause| XrpcError::internal(&cause))?.into_body();
    Ok(body
        .into_data_stream()
        .map(|piece| {
            piece.map_err(|cause| match cause.downcast::<XrpcError>() {
                Ok(error) => *error,
                Err(_) => XrpcError::invalid("The request body is not what its Content-Encoding says"),
            })
        })
        .boxed())
}

/// What is known while a body comes.
struct Pace {
    incoming: Incoming,
    phase: Arc<Phase>,
    received: u64,
    since: Instant,
}

/// The bytes of a body, 408 when they come too slowly.
fn paced(
    incoming: Incoming,
    phase: &Arc<Phase>,
) -> impl Stream<Item = Result<Bytes, XrpcError>> + Send + use<> + 'static {
    let start = Pace { incoming, phase: Arc::clone(phase), received: 0, since: Instant::now() };
    futures_util::stream::try_unfold(start, |mut pace| async move {
        loop {
            let Ok(frame) = timeout(limits::BODY_IDLE, pace.incoming.frame()).await else { return Err(too_slow()) };
            let Some(frame) = frame else {
                pace.phase.set_unread(false);
                return Ok(None);
            };
            let frame = frame.map_err(|cause| XrpcError::invalid(format!("The request body broke off: {cause}")))?;
            // Trailers say nothing here.
            let Ok(data) = frame.into_data() else { continue };
            pace.received += data.len() as u64;
            let elapsed = pace.since.elapsed();
            if elapsed > limits::BODY_GRACE && pace.received < elapsed.as_secs() * limits::BODY_BYTES_PER_SECOND {
                return Err(too_slow());
            }
            return Ok(Some((data, pace)));
        }
    })
}

fn too_slow() -> XrpcError {
    XrpcError::with_status(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The request body came too slowly")
}
