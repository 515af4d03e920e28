//! The embedded PLC directory as others see it: the HTTP API of the public one.
//! Spec: <https://web.plc.directory/api/redoc>; where it is silent, this does what that directory's server does.
//!
//! The rules are in [`crate::plc::directory`], the log is in the store; this joins the two.

mod export;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::{Site, WebReply, WebRequest};
use crate::{
    clock::Clock,
    limits::plc::DIRECTORY_APPEND_TRIES,
    plc::{
        DidDocument, Entry, Operation,
        directory::{self, Refusal},
        document, log,
    },
    store::{DirectoryAppend, DirectoryEntry, Store, StoreError},
    syntax::Did,
    xrpc::{Object, Reply},
};

const GREETING: &str = "This is a PLC directory for development and closed networks, part of Housekey.\n";

/// Whether a DID may have only so many operations an hour, a day and a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimits {
    /// As on the public directory.
    Enforced,
    /// As many as anybody likes: for tests.
    Off,
}

/// The directory's pages.
pub struct PlcDirectory {
    store: Store,
    clock: Arc<dyn Clock>,
    limits: RateLimits,
    version: String,
}

impl std::fmt::Debug for PlcDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlcDirectory").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl PlcDirectory {
    /// A directory over the log in `store`; `version` is what `/_health` tells.
    pub fn new(store: Store, clock: Arc<dyn Clock>, limits: RateLimits, version: impl Into<String>) -> Self {
        Self { store, clock, limits, version: version.into() }
    }

    /// Takes an operation if the rules allow it: what `POST /{did}` does, without HTTP.
    ///
    /// # Errors
    /// [`SubmitError::Refused`] in the directory's words, [`SubmitError::Store`] when the database fails.
    pub async fn submit(&self, did: &Did, operation: &Operation) -> Result<(), SubmitError> {
        let text = serde_json::to_string(operation).map_err(|cause| StoreError::Damaged(cause.to_string()))?;
        for _ in 0..DIRECTORY_APPEND_TRIES {
            let log = self.log(did).await?;
            let now = self.clock.now();
            let accepted = directory::accept(did, &log, operation, now)?;
            if self.limits == RateLimits::Enforced && accepted.nullifies.is_empty() {
                directory::check_rate(&log, now)?;
            }
            let Entry { cid, created_at, .. } = accepted.entry;
            let append = self.store.directory_append(did, log.len(), text.clone(), cid, accepted.nullifies, created_at);
            if append.await? == DirectoryAppend::Done {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }

    async fn log(&self, did: &Did) -> Result<Vec<Entry>, StoreError> {
        self.store.directory_log(did).await?.into_iter().map(entry).collect()
    }
}

/// Why an operation was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Site for PlcDirectory {
    fn handle(self: Arc<Self>, request: WebRequest) -> BoxFuture<'static, WebReply> {
        Box::pin(async move {
            match self.answer(&request).await {
                Ok(reply) => reply,
                Err(failure) => WebReply::Reply(failure.into_reply()),
            }
        })
    }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Root,
    Health,
    Export,
    ExportStream,
    /// A DID, not parsed yet, and what of it.
    Did(String, View),
}

/// What is asked of a DID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Document,
    Data,
    Log,
    Audit,
    Last,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() {
            return Some(Self::Root);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        Some(match path.split('/').collect::<Vec<_>>().as_slice() {
            [""] => return None,
            ["_health"] => Self::Health,
            ["export"] => Self::Export,
            ["export", "stream"] => Self::ExportStream,
            [did] => Self::Did(percent_decoded(did)?, View::Document),
            [did, "data"] => Self::Did(percent_decoded(did)?, View::Data),
            [did, "log"] => Self::Did(percent_decoded(did)?, View::Log),
            [did, "log", "audit"] => Self::Did(percent_decoded(did)?, View::Audit),
            [did, "log", "last"] => Self::Did(percent_decoded(did)?, View::Last),
            _ => return None,
        })
    }
}

/// An answer other than success: a status and the words for `message`.
struct Failure(StatusCode, String);

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(status, message.into())
    }

    fn into_reply(self) -> Reply {
        let reply = Reply::raw_json(json!({ "message": self.1 }).to_string().into_bytes()).with_status(self.0);
        if self.0 == StatusCode::UPGRADE_REQUIRED {
            return reply.with_header(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        reply
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, refusal.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed | StoreError::DiskFull => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("Not now: {error}"))
            }
            StoreError::Database(_) | StoreError::File(_) | StoreError::Damaged(_) => {
                tracing::error!(%error, "the PLC directory failed: {error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl PlcDirectory {
    async fn answer(&self, request: &WebRequest) -> Result<WebReply, Failure> {
        let route = Route::of(&request.path).ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "Not Found"))?;
        let reply = match (&request.method, route) {
            (&Method::POST, Route::Did(did, View::Document)) => self.post(&did, request).await?,
            (&Method::GET | &Method::HEAD, Route::Did(did, view)) => self.view(&did, view).await?,
            (&Method::GET | &Method::HEAD, Route::Root) => text(GREETING),
            (&Method::GET | &Method::HEAD, Route::Health) => self.health().await,
            (&Method::GET | &Method::HEAD, Route::Export) => export::page(&self.store, &request.query).await?,
            (&Method::GET, Route::ExportStream) => return export::stream(&self.store, request),
            _ => return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")),
        };
        Ok(WebReply::Reply(reply))
    }

    async fn health(&self) -> Reply {
        match self.store.ping().await {
            Ok(()) => Reply::raw_json(json!({ "version": self.version }).to_string().into_bytes()),
            Err(cause) => {
                tracing::error!(%cause, "the PLC directory is unhealthy: {cause}");
                let answer = json!({ "version": self.version, "error": "Service Unavailable" });
                Reply::raw_json(answer.to_string().into_bytes()).with_status(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    async fn post(&self, did: &str, request: &WebRequest) -> Result<Reply, Failure> {
        let bad = |message: String| Failure::new(StatusCode::BAD_REQUEST, message);
        if !is_json(request) {
            return Err(bad("Not a valid operation: the Content-Type must be application/json".to_owned()));
        }
        let Object(operation): Object<Operation> =
            serde_json::from_slice(&request.body).map_err(|cause| bad(format!("Not a valid operation: {cause}")))?;
        let did: Did = did.parse().map_err(|cause| bad(format!("Improperly formatted did: {cause}")))?;
        self.submit(&did, &operation).await?;
        Ok(text("OK"))
    }

    async fn view(&self, text: &str, view: View) -> Result<Reply, Failure> {
        // What is no DID is not registered either.
        let Ok(did) = text.parse::<Did>() else {
            return Err(Failure::new(StatusCode::NOT_FOUND, format!("DID not registered: {text}")));
        };
        let log = self.log(&did).await?;
        let last = directory::last(&did, &log)?;
        match view {
            View::Document => {
                let document = DidDocument::of(&did, &directory::current(&did, &log)?);
                Ok(json_reply(&document)?.with_header(header::CONTENT_TYPE, DOCUMENT_TYPE))
            }
            View::Data => json_reply(&document::Data::of(&did, &directory::current(&did, &log)?)),
            View::Log => json_reply(&log::standing(&log).map(|entry| &entry.operation).collect::<Vec<_>>()),
            View::Audit => json_reply(&log),
            View::Last => json_reply(&last.operation),
        }
    }
}

/// [`document::MEDIA_TYPE`], with the character set that the public directory adds.
const DOCUMENT_TYPE: HeaderValue = HeaderValue::from_static("application/did+ld+json; charset=utf-8");

fn json_reply(value: &impl Serialize) -> Result<Reply, Failure> {
    let json = serde_json::to_vec(value).map_err(|cause| Failure::from(StoreError::Damaged(cause.to_string())))?;
    Ok(Reply::raw_json(json))
}

fn text(text: &'static str) -> Reply {
    Reply::bytes("text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn is_json(request: &WebRequest) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A stored entry in the terms of the rules.
fn entry(stored: DirectoryEntry) -> Result<Entry, StoreError> {
    let damaged = |cause: serde_json::Error| StoreError::Damaged(format!("a PLC operation: {cause}"));
    Ok(Entry {
        operation: serde_json::from_str(&stored.operation).map_err(damaged)?,
        did: stored.did,
        cid: stored.cid,
        nullified: stored.nullified,
        created_at: stored.created_at,
    })
}

/// A path segment with its `%XX` resolved; `None` when they are broken or do not make text.
pub(super) fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(*data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?.first()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
