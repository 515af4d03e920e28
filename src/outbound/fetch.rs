//! The HTTP clients: guarded for what others influence, trusted for what the operator set.
//!
//! Neither follows a redirect unseen, uses a proxy of the environment, keeps cookies, or inflates anything.

use std::{error::Error as StdError, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use http::{
    HeaderMap, Method,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
};
use url::Url;

use super::{
    guard::{Guard, GuardedDns, Lookup, NoAddress, Refusal, SystemLookup},
    tls,
};
use crate::limits::outbound::{
    CONNECT_TIMEOUT, IDLE_CONNECTION_TIMEOUT, IDLE_CONNECTIONS_PER_HOST, RESPONSE_HEADERS_MAX,
};

/// The outbound settings that all clients share.
#[derive(Clone, Debug, Default)]
pub struct OutboundOptions {
    /// Whether the guard lets private addresses and plain http through (development and closed networks).
    pub allow_private_addresses: bool,
    /// PEM bundle of further certificate authorities.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// DNS servers for handle TXT records (`ip:port`); empty: the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// `User-Agent`.
    pub user_agent: String,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Bytes of the body.
    pub body_bytes: usize,
    /// From the look-up of the name to the last byte read, redirects included.
    pub total: Duration,
    /// Redirects followed, each guarded anew.
    pub redirects: usize,
}

/// A fetched answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be made of these settings.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
    /// The guard did not let it through; nothing was sent.
    #[error("the request was not allowed: {0}")]
    Refused(#[from] Refusal),
    /// The host's name has no address, as far as is known; nothing was sent.
    #[error("{0}")]
    NoAddress(String),
    /// The connection could not be made; nothing was sent.
    #[error("no connection could be made: {0}")]
    Connect(String),
    /// The answer did not come, or was not complete, within the time.
    #[error("there was no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The body is longer than the bound, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// It redirects more often than is followed.
    #[error("the answer redirects more than {0} times")]
    TooManyRedirects(usize),
    /// It redirects to something that is no URL.
    #[error("the answer redirects to something that is not a URL")]
    BadRedirect,
    /// The body is compressed, though that was not asked for.
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// A request whose answer is streamed: what the proxy forwards.
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// All headers; `Host` and the length are set by the client.
    pub headers: HeaderMap,
    /// The body, if any.
    pub body: OutgoingBody,
}

/// The body of an [`Outgoing`] request.
pub enum OutgoingBody {
    /// None.
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// As it comes; an error breaks the request off.
    Stream(BoxStream<'static, std::io::Result<Bytes>>),
}

/// An answer whose body is still coming, as it came over the wire (not inflated).
pub struct Streamed {
    /// HTTP status; redirects are not followed.
    pub status: http::StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, unbounded: the reader decides when it is enough.
    pub body: BoxStream<'static, Result<Bytes, FetchError>>,
}

/// Fetches what others influence. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GuardedClient(Http);

impl GuardedClient {
    /// A client; public addresses by https alone, unless the settings allow private ones.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the CA bundle is not PEM.
    pub fn new(options: &OutboundOptions) -> Result<Self, FetchError> {
        let guard = if options.allow_private_addresses { Guard::Anything } else { Guard::Public };
        Http::new(guard, options, Arc::new(SystemLookup), Reuse::Yes).map(Self)
    }

    /// GET.
    ///
    /// # Errors
    /// [`FetchError`], when there is no whole answer within the bounds. A status of failure is an answer.
    pub async fn get(&self, url: &Url, limits: FetchLimits) -> Result<Fetched, FetchError> {
        self.0.get(url, limits).await
    }

    /// Sends a request as it is and gives the answer as it comes; `wait` bounds the time until its headers are there.
    ///
    /// # Errors
    /// [`FetchError`], when there are no headers of an answer.
    pub async fn send(&self, request: Outgoing, wait: Duration) -> Result<Streamed, FetchError> {
        self.0.send(request, wait).await
    }

    #[cfg(test)]
    pub(super) fn with_http(http: Http) -> Self {
        Self(http)
    }
}

/// Fetches from URLs that the operator set: private addresses and plain http are in order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TrustedClient(Http);

impl TrustedClient {
    /// A client.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the CA bundle is not PEM.
    pub fn new(options: &OutboundOptions) -> Result<Self, FetchError> {
        Http::new(Guard::Anything, options, Arc::new(SystemLookup), Reuse::Yes).map(Self)
    }

    /// A client whose every request has a connection of its own, so that it is never sent on one that just died.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the CA bundle is not PEM.
    pub fn without_reuse(options: &OutboundOptions) -> Result<Self, FetchError> {
        Http::new(Guard::Anything, options, Arc::new(SystemLookup), Reuse::No).map(Self)
    }

    /// GET.
    ///
    /// # Errors
    /// [`FetchError`], when there is no whole answer within the bounds. A status of failure is an answer.
    pub async fn get(&self, url: &Url, limits: FetchLimits) -> Result<Fetched, FetchError> {
        self.0.get(url, limits).await
    }

    /// POST of JSON text, once; redirects are not followed.
    ///
    /// # Errors
    /// [`FetchError`], when there is no whole answer within the bounds. Of these, [`FetchError::nothing_sent`] says
    /// which leave no doubt that the other side knows nothing of it.
    pub async fn post_json(&self, url: &Url, json: String, limits: FetchLimits) -> Result<Fetched, FetchError> {
        self.0.post_json(url, json, limits).await
    }

    /// Sends a request as it is and gives the answer as it comes; `wait` bounds the time until its headers are there.
    ///
    /// # Errors
    /// [`FetchError`], when there are no headers of an answer.
    pub async fn send(&self, request: Outgoing, wait: Duration) -> Result<Streamed, FetchError> {
        self.0.send(request, wait).await
    }
}

impl FetchError {
    /// Whether it is certain that the other side got nothing.
    pub const fn nothing_sent(&self) -> bool {
        match self {
            Self::Setup(_) | Self::Refused(_) | Self::NoAddress(_) | Self::Connect(_) => true,
            Self::TimedOut(_)
            | Self::TooLarge(_)
            | Self::TooManyRedirects(_)
            | Self::BadRedirect
            | Self::Encoded
            | Self::Broken(_) => false,
        }
    }
}

/// Whether connections are kept for a next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    Yes,
    No,
}

/// What both clients are.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    guard: Guard,
}

impl Http {
    pub(super) fn new(
        guard: Guard,
        options: &OutboundOptions,
        lookup: Arc<dyn Lookup>,
        reuse: Reuse,
    ) -> Result<Self, FetchError> {
        let tls = tls::client_config(options.extra_ca_pem.as_deref())
            .map_err(|why| FetchError::Setup(format!("the CA bundle cannot be used: {why}")))?;
        let agent = if options.user_agent.is_empty() { "housekey" } else { &options.user_agent };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(GuardedDns::new(guard, lookup))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .pool_max_idle_per_host(if reuse == Reuse::Yes { IDLE_CONNECTIONS_PER_HOST } else { 0 })
            .build()
            .map_err(|cause| FetchError::Setup(innermost(&cause)))?;
        Ok(Self { client, guard })
    }

    async fn get(&self, url: &Url, limits: FetchLimits) -> Result<Fetched, FetchError> {
        let following = async {
            let mut url = url.clone();
            for _ in 0..=limits.redirects {
                self.guard.check(&url)?;
                let request = self.client.get(url.clone()).header(ACCEPT, "application/json, */*;q=0.5");
                let response = request.send().await.map_err(|cause| explain(&cause))?;
                match redirect_target(&url, &response)? {
                    Some(target) => url = target,
                    None => return read(response, limits.body_bytes).await,
                }
            }
            Err(FetchError::TooManyRedirects(limits.redirects))
        };
        tokio::time::timeout(limits.total, following).await.unwrap_or(Err(FetchError::TimedOut(limits.total)))
    }

    async fn post_json(&self, url: &Url, json: String, limits: FetchLimits) -> Result<Fetched, FetchError> {
        self.guard.check(url)?;
        let posting = async {
            let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(json);
            let response = request.send().await.map_err(|cause| explain(&cause))?;
            read(response, limits.body_bytes).await
        };
        tokio::time::timeout(limits.total, posting).await.unwrap_or(Err(FetchError::TimedOut(limits.total)))
    }

    async fn send(&self, request: Outgoing, wait: Duration) -> Result<Streamed, FetchError> {
        self.guard.check(&request.url)?;
        let builder = self.client.request(request.method, request.url).headers(request.headers);
        let builder = match request.body {
            OutgoingBody::Empty => builder,
            OutgoingBody::Bytes(bytes) => builder.body(bytes),
            OutgoingBody::Stream(stream) => builder.body(reqwest::Body::wrap_stream(stream)),
        };
        let answer = tokio::time::timeout(wait, builder.send()).await.map_err(|_| FetchError::TimedOut(wait))?;
        let mut response = answer.map_err(|cause| explain(&cause))?;
        Ok(Streamed {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: response.bytes_stream().map(|chunk| chunk.map_err(|cause| explain(&cause))).boxed(),
        })
    }
}

/// Where a redirect leads; `None` for any other answer.
fn redirect_target(from: &Url, response: &reqwest::Response) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let location = location.to_str().map_err(|_| FetchError::BadRedirect)?;
    from.join(location).map(Some).map_err(|_| FetchError::BadRedirect)
}

async fn read(mut response: reqwest::Response, most: usize) -> Result<Fetched, FetchError> {
    let is_encoded = |value: &http::HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if response.headers().get(CONTENT_ENCODING).is_some_and(is_encoded) {
        return Err(FetchError::Encoded);
    }
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |bytes| bytes > most) {
        return Err(FetchError::TooLarge(most));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| explain(&cause))? {
        if body.len().saturating_add(chunk.len()) > most {
            return Err(FetchError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Fetched { status: response.status().as_u16(), content_type, body: body.freeze() })
}

/// What a client's error means: the guard's refusal is somewhere among its causes.
fn explain(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(refusal) = this.downcast_ref::<Refusal>() {
            return FetchError::Refused(refusal.clone());
        }
        if let Some(none) = this.downcast_ref::<NoAddress>() {
            return FetchError::NoAddress(none.to_string());
        }
        cause = this.source();
    }
    if error.is_builder() {
        FetchError::Setup(innermost(error))
    } else if error.is_connect() {
        FetchError::Connect(innermost(error))
    } else {
        FetchError::Broken(innermost(error))
    }
}

/// The last cause says what happened; those before it say where, and repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
