//! Answers that must be read here, inflated within a bound.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower::{ServiceExt, service_fn};
use tower_http::decompression::Decompression;

/// Why a body is not to be had plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPlain {
    /// Its encoding is none that is known here.
    Unknown,
    /// It is not what its encoding says.
    Broken,
    /// It is longer than the bound.
    TooLarge,
}

/// A body without its `Content-Encoding`, at most `max` bytes.
pub(super) async fn inflated(headers: &HeaderMap, body: Bytes, max: usize) -> Result<Bytes, NotPlain> {
    let encoding = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => return if body.len() > max { Err(NotPlain::TooLarge) } else { Ok(body) },
        Some(b"gzip" | b"x-gzip") => "gzip",
        Some(b"deflate") => "deflate",
        Some(_) => return Err(NotPlain::Unknown),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    let mut response = Some(response);
    let service =
        service_fn(move |_: Request<()>| std::future::ready(response.take().map_or_else(|| Err("called twice"), Ok)));
    let inflated = Decompression::new(service).oneshot(Request::new(())).await.map_err(|_| NotPlain::Broken)?;
    let mut body = inflated.into_body();
    let mut plain = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| NotPlain::Broken)?.into_data() else { continue };
        if plain.len() + piece.len() > max {
            return Err(NotPlain::TooLarge);
        }
        plain.extend_from_slice(&piece);
    }
    Ok(plain.freeze())
}
