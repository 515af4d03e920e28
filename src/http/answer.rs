//! Answers on their way out: from [`Reply`] to HTTP, compressed where that pays.

use super::guarded::Busy;
use crate::{
    limits::http::COMPRESS_FROM_BYTES,
    xrpc::{Reply, ReplyBody},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};
use tower::{ServiceExt, service_fn};
use tower_http::{
    CompressionLevel,
    compression::{Compression, predicate::SizeAbove},
};

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer; the connection is busy as long as it lives.
pub(super) struct Body {
    inner: Inner,
    _busy: Busy,
}

enum Inner {
    Full(Bytes),
    Stream(BoxStream<'static, Result<Bytes, BoxError>>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.inner {
            Inner::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Stream(stream) => {
                stream.as_mut().poll_next(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.inner, Inner::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

/// Whether the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
            let refused = |part: &str| {
                part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|quality| quality <= 0.0)
            };
            is_gzip && !parts.any(refused)
        })
    })
}

/// The answer as HTTP.
pub(super) async fn finish(reply: Reply, gzip: bool, busy: Busy) -> Response<Body> {
    let Reply { status, mut headers, body } = reply;
    let inner = match body {
        ReplyBody::Full(bytes) if bytes.len() >= COMPRESS_FROM_BYTES && pays(&headers) => {
            headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            if gzip { compressed(&mut headers, bytes).await } else { Inner::Full(bytes) }
        }
        ReplyBody::Full(bytes) => Inner::Full(bytes),
        ReplyBody::Stream(stream) => Inner::Stream(stream.map(|piece| piece.map_err(BoxError::from)).boxed()),
    };
    let mut response = Response::new(Body { inner, _busy: busy });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Text pays; CAR files are hashes and signatures mostly, blobs are compressed already. What has a validator or a range
/// must stay the bytes that it names.
fn pays(headers: &HeaderMap) -> bool {
    let is_text = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().starts_with(b"application/json") || value.as_bytes().starts_with(b"text/")
    });
    is_text
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !headers.contains_key(header::ETAG)
}

async fn compressed(headers: &mut HeaderMap, bytes: Bytes) -> Inner {
    let plain = bytes.clone();
    let service = service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, BoxError>(Response::new(Full::new(plain.clone()))))
    });
    // Answers are made for one reader each: the fast level costs a tenth of the default's time for a tenth more bytes.
    let service = Compression::new(service).quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(0));
    let mut request = Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let Ok(response) = service.oneshot(request).await else { return Inner::Full(bytes) };
    match response.into_body().collect().await {
        Ok(body) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.remove(header::CONTENT_LENGTH);
            Inner::Full(body.to_bytes())
        }
        Err(_) => Inner::Full(bytes),
    }
}
