//! Answers, before they become HTTP.

use super::{Json, XrpcError};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The content type of every JSON answer.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Room for the headers that most answers get on their way out, so that the map need not grow.
const HEADERS: usize = 16;

/// An answer before HTTP.
pub struct Reply {
    /// Status, 200 unless said.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: ReplyBody,
}

/// The body of an answer.
pub enum ReplyBody {
    /// In memory.
    Full(Bytes),
    /// Streamed; an error cuts the connection (the reader must see that it is incomplete).
    Stream(BoxStream<'static, Result<Bytes, XrpcError>>),
}

/// What can be an answer.
pub trait IntoReply: Send {
    /// Turns it into one.
    ///
    /// # Errors
    /// When it cannot be written as what it claims to be.
    fn into_reply(self) -> Result<Reply, XrpcError>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        Ok(self)
    }
}

impl<T: serde::Serialize + Send> IntoReply for Json<T> {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        serde_json::to_vec(&self.0).map(Reply::raw_json).map_err(|cause| XrpcError::internal(&cause))
    }
}

/// 200 with an empty body.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl IntoReply for Empty {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        Ok(Reply::new(StatusCode::OK, ReplyBody::Full(Bytes::new())))
    }
}

impl Reply {
    /// An answer without headers.
    pub fn new(status: StatusCode, body: ReplyBody) -> Self {
        Self { status, headers: HeaderMap::with_capacity(HEADERS), body }
    }

    /// 200 with JSON text that is ready (stored CBOR transcoded without a tree).
    pub fn raw_json(json: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, ReplyBody::Full(Bytes::from(json))).with_header(header::CONTENT_TYPE, JSON)
    }

    /// 200 with bytes of a type.
    pub fn bytes(content_type: &'static str, body: Bytes) -> Self {
        Self::new(StatusCode::OK, ReplyBody::Full(body))
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// 200 with a stream of a type.
    pub fn stream(content_type: &'static str, body: BoxStream<'static, Result<Bytes, XrpcError>>) -> Self {
        Self::new(StatusCode::OK, ReplyBody::Stream(body))
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with a header set.
    #[must_use]
    pub fn with_header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("headers", &self.headers).finish_non_exhaustive()
    }
}
