//! What is not XRPC: the root, `.well-known`, `/tls-check`, the PLC directory's face.

mod delegation;
mod delegation_page;
mod dev_mail;
mod metrics;
mod pds;
mod plc_directory;
#[cfg(test)]
mod shown_tests;

pub use metrics::MetricsSite;
pub use pds::PdsSite;
pub use plc_directory::{PlcDirectory, RateLimits, SubmitError};

use crate::xrpc::{Reply, StreamItem};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use http::{HeaderMap, Method};
use std::{net::IpAddr, sync::Arc};

/// A request outside `/xrpc/`, its body buffered within
/// [`crate::limits::http::WEB_BODY_BYTES`].
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// The HTTP method.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query without `?`, empty if there is none.
    pub query: String,
    /// The host that was asked for, lower-cased, without port.
    pub host: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The client's address, after trusted proxies.
    pub client_ip: IpAddr,
    /// The body.
    pub body: Bytes,
}

/// An answer to a [`WebRequest`].
pub enum WebReply {
    /// An ordinary answer.
    Reply(Reply),
    /// The request becomes a WebSocket that sends this (only if the client asked to upgrade).
    Socket(BoxStream<'static, StreamItem>),
}

/// A set of pages behind one listener. `http` gives it every request that no other rule takes.
pub trait Site: Send + Sync + 'static {
    /// Answers a request.
    fn handle(self: Arc<Self>, request: WebRequest) -> BoxFuture<'static, WebReply>;
}
