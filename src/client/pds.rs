//! A PDS as a client meets it: XRPC over HTTP, with or without a session.

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::{StreamExt, stream::BoxStream};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde_json::Value;
use std::{io::Read, time::Duration};
use url::Url;

use crate::{
    crypto::Secret,
    limits::client::{
        ANSWER_MAX_BYTES, ANSWER_TIMEOUT, MOVE_ANSWER_TIMEOUT, MOVE_TRANSFER_TIMEOUT, UPLOAD_PIECE_BYTES,
    },
    outbound::{FetchError, GuardedClient, Outgoing, OutgoingBody, Streamed, TrustedClient},
};

pub use super::call_error::CallError;

/// The MIME type of a repository's archive.
pub const CAR_TYPE: &str = "application/vnd.ipld.car";

/// Who fetches: what the user named is trusted, what a document names is guarded.
#[derive(Clone, Debug)]
pub enum Through {
    /// The address comes from the user.
    Trusted(TrustedClient),
    /// The address comes from others.
    Guarded(GuardedClient),
}

/// A body of bytes to send.
pub struct Upload {
    /// Its MIME type.
    pub kind: String,
    /// How many bytes it has, where that is known.
    pub size: Option<u64>,
    /// The bytes as they come.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Upload {
    /// What `from` gives, read in pieces while it is sent.
    pub fn read(kind: String, size: u64, from: impl Read + Send + 'static) -> Self {
        let body = futures_util::stream::unfold(Some(from), async |from| {
            let mut from = from?;
            let mut piece = vec![0; UPLOAD_PIECE_BYTES];
            match from.read(&mut piece) {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some((Ok(piece.into()), Some(from)))
                }
                Err(cause) => Some((Err(cause), None)),
            }
        });
        Self { kind, size: Some(size), body: body.boxed() }
    }
}

/// An answer of bytes that are still coming.
pub struct Download {
    /// Its MIME type.
    pub kind: Option<String>,
    /// How many bytes it has, where the server says so.
    pub size: Option<u64>,
    /// The bytes as they come.
    pub body: BoxStream<'static, Result<Bytes, FetchError>>,
}

/// A server, and perhaps a session there.
#[derive(Clone, Debug)]
pub struct Pds {
    base: Url,
    through: Through,
    /// The text of the header: a kind of credentials and these.
    authorization: Option<Secret>,
    refresh: Option<Secret>,
}

impl Pds {
    /// The server at `base`.
    pub const fn new(base: Url, through: Through) -> Self {
        Self { base, through, authorization: None, refresh: None }
    }

    /// Its address.
    pub const fn url(&self) -> &Url {
        &self.base
    }

    /// Makes every call from now on in the session of these tokens.
    pub(super) fn keep(&mut self, access: &str, refresh: Option<&str>) {
        self.authorization = Some(bearer(access));
        self.refresh = refresh.map(Secret::new);
    }

    /// The token by which the session that is kept goes on.
    pub(super) const fn refresh_token(&self) -> Option<&Secret> {
        self.refresh.as_ref()
    }

    /// The same server without a session.
    #[must_use]
    pub(super) fn without_token(&self) -> Self {
        Self::new(self.base.clone(), self.through.clone())
    }

    /// Calls a query.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get(&self, nsid: &str, query: &[(&str, &str)]) -> Result<Value, CallError> {
        let mut url = self.method(nsid)?;
        url.query_pairs_mut().extend_pairs(query);
        self.call(Method::GET, url, None).await
    }

    /// Calls a procedure, once; without a body where that is null, since a server may refuse one that it does not expect.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post(&self, nsid: &str, body: &Value) -> Result<Value, CallError> {
        self.call(Method::POST, self.method(nsid)?, (!body.is_null()).then_some(body)).await
    }

    /// The same server with another token.
    #[must_use]
    pub fn with_token(&self, token: &Secret) -> Self {
        Self { authorization: Some(bearer(token.expose())), ..self.clone() }
    }

    /// The same server, asked as its administrator.
    #[must_use]
    pub fn as_admin(&self, password: &Secret) -> Self {
        let pair = BASE64.encode(format!("admin:{}", password.expose()).as_bytes());
        Self { authorization: Some(Secret::new(format!("Basic {pair}"))), ..self.clone() }
    }

    /// Calls a query that answers bytes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn download(&self, nsid: &str, query: &[(&str, &str)]) -> Result<Download, CallError> {
        let mut url = self.method(nsid)?;
        url.query_pairs_mut().extend_pairs(query);
        let request = Outgoing { method: Method::GET, url, headers: self.headers()?, body: OutgoingBody::Empty };
        let answer = self.send(request, MOVE_ANSWER_TIMEOUT).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            let body = whole(answer.body, ANSWER_MAX_BYTES).await.map_err(|cause| self.unreachable(&cause))?;
            return self.read(status, &body).and(Err(CallError::Strange(self.host(), "a query")));
        }
        let text = |name: http::HeaderName| answer.headers.get(name)?.to_str().ok().map(str::to_owned);
        if text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(self.unreachable(&FetchError::Encoded));
        }
        let (kind, size) = (text(CONTENT_TYPE), text(CONTENT_LENGTH).and_then(|size| size.parse().ok()));
        Ok(Download { kind, size, body: answer.body })
    }

    /// Calls a procedure that takes bytes, once.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn upload(&self, nsid: &str, upload: Upload) -> Result<Value, CallError> {
        let mut headers = self.headers()?;
        if let Ok(kind) = HeaderValue::try_from(upload.kind) {
            headers.insert(CONTENT_TYPE, kind);
        }
        headers.extend(upload.size.map(|size| (CONTENT_LENGTH, HeaderValue::from(size))));
        let body = OutgoingBody::Stream(upload.body);
        let request = Outgoing { method: Method::POST, url: self.method(nsid)?, headers, body };
        let answer = self.send(request, MOVE_TRANSFER_TIMEOUT).await?;
        let status = answer.status.as_u16();
        let body = whole(answer.body, ANSWER_MAX_BYTES).await.map_err(|cause| self.unreachable(&cause))?;
        self.read(status, &body)
    }

    async fn send(&self, request: Outgoing, wait: Duration) -> Result<Streamed, CallError> {
        let answer = match &self.through {
            Through::Trusted(client) => client.send(request, wait).await,
            Through::Guarded(client) => client.send(request, wait).await,
        };
        answer.map_err(|cause| self.unreachable(&cause))
    }

    fn unreachable(&self, cause: &FetchError) -> CallError {
        CallError::Unreachable(self.host(), cause.to_string())
    }

    fn headers(&self) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.authorization {
            let value = HeaderValue::try_from(authorization.expose());
            let mut value = value.map_err(|cause| CallError::Unreachable(self.host(), cause.to_string()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// The name that errors speak of.
    pub fn host(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    fn method(&self, nsid: &str) -> Result<Url, CallError> {
        let unreachable = |cause: url::ParseError| CallError::Unreachable(self.host(), cause.to_string());
        self.base.join(&format!("/xrpc/{nsid}")).map_err(unreachable)
    }

    async fn call(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, CallError> {
        let mut headers = self.headers()?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map_or(OutgoingBody::Empty, |body| OutgoingBody::Bytes(body.to_string().into()));
        let request = Outgoing { method, url, headers, body };
        let answer = async {
            let answer = self.send(request, ANSWER_TIMEOUT).await?;
            let status = answer.status.as_u16();
            let body = whole(answer.body, ANSWER_MAX_BYTES).await.map_err(|cause| self.unreachable(&cause))?;
            self.read(status, &body)
        };
        let timed_out = FetchError::TimedOut(ANSWER_TIMEOUT);
        tokio::time::timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| Err(self.unreachable(&timed_out)))
    }

    fn read(&self, status: u16, body: &[u8]) -> Result<Value, CallError> {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        match (status, json) {
            (200..=299, Some(json)) => Ok(json),
            // A procedure may answer nothing.
            (200..=299, None) if body.is_empty() => Ok(Value::Null),
            (200..=299, None) => Err(CallError::Unreachable(self.host(), "the answer is not JSON".to_owned())),
            (_, json) => {
                let text = |name: &str| Some(json.as_ref()?.get(name)?.as_str()?.to_owned());
                let message = text("message").unwrap_or_else(|| format!("the answer has status {status}"));
                Err(CallError::Refused { host: self.host(), status, name: text("error"), message })
            }
        }
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

/// A whole body, within its bounds of bytes and time.
pub(super) async fn whole(
    mut body: BoxStream<'static, Result<Bytes, FetchError>>,
    most: usize,
) -> Result<Vec<u8>, FetchError> {
    let read = async {
        let mut all = Vec::new();
        while let Some(piece) = body.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > most {
                return Err(FetchError::TooLarge(most));
            }
        }
        Ok(all)
    };
    tokio::time::timeout(ANSWER_TIMEOUT, read).await.unwrap_or(Err(FetchError::TimedOut(ANSWER_TIMEOUT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_end_is_given_up_by_its_time_or_its_bytes() {
        let begun = futures_util::stream::iter([Ok(Bytes::from_static(b"{"))]).chain(futures_util::stream::pending());
        assert_eq!(whole(begun.boxed(), 10).await, Err(FetchError::TimedOut(ANSWER_TIMEOUT)));
        let endless = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(b"{{{{")));
        assert_eq!(whole(endless.boxed(), 10).await, Err(FetchError::TooLarge(10)));
    }
}
