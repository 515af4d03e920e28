//! DIDs and handles to documents: PLC, did:web, DNS, HTTPS; cached with single flight, stale served while a directory
//! is down. Specs: <https://atproto.com/specs/did>, <https://atproto.com/specs/handle>.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use moka::future::Cache;

use super::{
    FetchError, GuardedClient, OutboundOptions, TrustedClient,
    flights::{Flights, Joined, landed},
    lookup::Authorities,
    txt::TxtResolver,
};
use crate::{
    clock::{Clock, Timestamp},
    identity::DidDocument,
    limits::outbound::{
        DID_CACHE_BYTES, DIRECTORY_RETRY_AFTER, HANDLE_CACHE_ENTRIES, HANDLE_CACHE_NEGATIVE_TTL, HANDLE_CACHE_TTL,
        RESOLVE_TIMEOUT,
    },
    syntax::{Did, Handle},
    tasks::Tasks,
};

/// Settings of the resolver.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// The PLC directory (trusted).
    pub plc_url: url::Url,
    /// Age after which a document is refreshed in the background.
    pub stale: Duration,
    /// Age after which it is not used, unless the directory is down.
    pub max: Duration,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The cache will do.
    Cached,
    /// Ask now (refreshIdentity, a bad signature).
    Now,
}

/// Why nothing was resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The DID or handle does not exist, says the authority for it.
    #[error("{0} was not found")]
    NotFound(String),
    /// A did:plc that was tombstoned.
    #[error("{0} is deactivated")]
    Deactivated(String),
    /// The method is neither plc nor web.
    #[error("the DID method of {0} is not supported")]
    UnsupportedMethod(String),
    /// The document is not usable.
    #[error("the DID document of {0} is not valid: {1}")]
    BadDocument(String, String),
    /// The network failed, and nothing was cached.
    #[error("{0} could not be resolved: {1}")]
    Unavailable(String, String),
}

type DidResult = Result<Arc<DidDocument>, ResolveError>;
type HandleResult = Result<Did, ResolveError>;

/// Resolves identities. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    options: ResolverOptions,
    authorities: Authorities,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    documents: Cache<Did, CachedDocument>,
    handles: Cache<Handle, (HandleResult, Timestamp)>,
    did_flights: Arc<Flights<Did, DidResult>>,
    handle_flights: Arc<Flights<Handle, HandleResult>>,
    local: OnceLock<Arc<dyn LocalDocuments>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What the resolver has in memory, for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Bytes of DID documents, about.
    pub bytes: u64,
    /// Documents that were found in memory.
    pub hits: u64,
    /// Documents that had to be asked for.
    pub misses: u64,
}

/// The DIDs whose documents this server itself serves.
pub trait LocalDocuments: Send + Sync {
    /// The document as it is this instant; none for a DID that is served elsewhere.
    fn document<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Option<Result<Arc<DidDocument>, ResolveError>>>;
}

#[derive(Clone)]
struct CachedDocument {
    document: Arc<DidDocument>,
    bytes: u32,
    fetched: Timestamp,
    /// When its directory could not be reached last, if that was after it was fetched.
    failed: Option<Timestamp>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver over a guarded client; look-ups run as `tasks`, so that nobody who gives up waiting breaks one off.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the CA bundle is not PEM.
    pub fn new(
        options: ResolverOptions,
        outbound: &OutboundOptions,
        client: GuardedClient,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, FetchError> {
        let trusted = TrustedClient::new(outbound)?;
        let txt = TxtResolver::new(&outbound.dns_servers);
        let authorities = Authorities { plc_url: options.plc_url.clone(), trusted, guarded: client, txt };
        Ok(Self(Arc::new(Inner {
            options,
            authorities,
            clock,
            tasks,
            documents: Cache::builder()
                .max_capacity(DID_CACHE_BYTES)
                .weigher(|_: &Did, cached: &CachedDocument| cached.bytes)
                .build(),
            handles: Cache::builder().max_capacity(HANDLE_CACHE_ENTRIES).build(),
            did_flights: Arc::new(Flights::new()),
            handle_flights: Arc::new(Flights::new()),
            local: OnceLock::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })))
    }

    /// What is in memory, and how often that was enough.
    pub fn remembered(&self) -> Remembered {
        let Inner { documents, hits, misses, .. } = &*self.0;
        Remembered { bytes: documents.weighted_size(), hits: hits.load(Relaxed), misses: misses.load(Relaxed) }
    }

    /// Has these documents given without a request from now on; once.
    pub fn set_local(&self, local: Arc<dyn LocalDocuments>) {
        // Set when the server is put together, and never again.
        drop(self.0.local.set(local));
    }

    /// The document of a DID.
    ///
    /// # Errors
    /// [`ResolveError`]; [`ResolveError::Unavailable`] only when no earlier document is at hand, or with
    /// [`Freshness::Now`].
    pub async fn did(&self, did: &Did, freshness: Freshness) -> DidResult {
        let inner = &self.0;
        if did.is_web()
            && let Some(local) = inner.local.get()
            && let Some(answer) = local.document(did).await
        {
            return answer;
        }
        let cached = match freshness {
            Freshness::Cached => inner.documents.get(did).await,
            Freshness::Now => None,
        };
        let Some(cached) = cached else { return inner.look_up_did(did).await };
        let now = inner.clock.now();
        let age = now.since(cached.fetched);
        let failed_lately = cached.failed.is_some_and(|at| now.since(at) < DIRECTORY_RETRY_AFTER);
        if age < inner.options.stale || failed_lately {
            return Ok(inner.found(cached));
        }
        if age < inner.options.max {
            // Nobody waits for this one.
            drop(inner.start_did(did));
            return Ok(inner.found(cached));
        }
        match inner.look_up_did(did).await {
            Err(ResolveError::Unavailable(..)) => Ok(cached.document),
            answer => answer,
        }
    }

    /// What a handle says (DNS TXT `_atproto.`, then HTTPS well-known), not checked against the document. Believed for
    /// a minute.
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] when both surely name no DID, [`ResolveError::Unavailable`] when that is not sure.
    pub async fn handle(&self, handle: &Handle) -> HandleResult {
        self.handle_with(handle, Freshness::Cached).await
    }

    /// As [`Resolver::handle`], optionally asking now.
    ///
    /// # Errors
    /// As [`Resolver::handle`].
    pub async fn handle_with(&self, handle: &Handle, freshness: Freshness) -> HandleResult {
        if handle.has_disallowed_tld() {
            return Err(ResolveError::NotFound(handle.to_string()));
        }
        let inner = &self.0;
        if freshness == Freshness::Cached
            && let Some((answer, at)) = inner.handles.get(handle).await
        {
            let ttl = if answer.is_ok() { HANDLE_CACHE_TTL } else { HANDLE_CACHE_NEGATIVE_TTL };
            if inner.clock.now().since(at) < ttl {
                return answer;
            }
        }
        inner.look_up_handle(handle).await
    }

    /// The account that DNS names at `_lexicon.<domain>` as the authority over schemas of that domain; not cached here.
    ///
    /// # Errors
    /// One sentence when DNS could not be asked.
    pub async fn lexicon_authority(&self, domain: &Handle) -> Result<Option<Did>, String> {
        let asking = self.0.authorities.txt.did("_lexicon", domain);
        let answer = tokio::time::timeout(RESOLVE_TIMEOUT, asking).await;
        answer.unwrap_or_else(|_| Err("DNS gave no answer in time".to_owned()))
    }

    /// The document's handle if it points back to the document's DID (`None`: `handle.invalid`).
    pub async fn verified_handle(&self, document: &DidDocument) -> Option<Handle> {
        let handle = document.handle.as_ref()?;
        (self.handle(handle).await.ok()? == document.did).then(|| handle.clone())
    }

    /// Forgets what is cached about a DID (after an operation of our own); what is being fetched is not cached either.
    pub async fn forget(&self, did: &Did) {
        self.0.did_flights.abandon(did);
        self.0.documents.invalidate(did).await;
    }

    /// Forgets what is cached about a handle (after a change of our own).
    pub async fn forget_handle(&self, handle: &Handle) {
        self.0.handle_flights.abandon(handle);
        self.0.handles.invalidate(handle).await;
    }
}

impl Inner {
    fn found(&self, cached: CachedDocument) -> Arc<DidDocument> {
        self.hits.fetch_add(1, Relaxed);
        cached.document
    }

    async fn look_up_did(self: &Arc<Self>, did: &Did) -> DidResult {
        self.misses.fetch_add(1, Relaxed);
        match self.start_did(did) {
            Some(flight) => landed(flight).await.unwrap_or_else(|| Err(unavailable(did, "the server is stopping"))),
            None => Err(unavailable(did, "too many look-ups are under way")),
        }
    }

    /// Starts a look-up or joins the one under way; `None` when there are too many.
    fn start_did(self: &Arc<Self>, did: &Did) -> Option<tokio::sync::watch::Receiver<Option<DidResult>>> {
        let (ticket, flight) = match self.did_flights.join(did) {
            Joined::Other(flight) => return Some(flight),
            Joined::Full => return None,
            Joined::First(ticket, flight) => (ticket, flight),
        };
        let (inner, did, stopping) = (Arc::clone(self), did.clone(), self.tasks.stopping());
        self.tasks.spawn(async move {
            let Some(found) = stopping.run_until_cancelled(ticket.run(inner.authorities.did(&did))).await else {
                return;
            };
            let answer = inner.remember_did(&did, found).await;
            if !ticket.is_current() {
                inner.documents.invalidate(&did).await;
            }
            ticket.land(answer);
        });
        Some(flight)
    }

    async fn remember_did(&self, did: &Did, found: Result<(DidDocument, usize), ResolveError>) -> DidResult {
        let now = self.clock.now();
        match found {
            Ok((document, bytes)) => {
                let document = Arc::new(document);
                // Parsed JSON takes about four times its text.
                let bytes = u32::try_from(bytes.saturating_mul(4)).unwrap_or(u32::MAX).saturating_add(500);
                let cached = CachedDocument { document: Arc::clone(&document), bytes, fetched: now, failed: None };
                self.documents.insert(did.clone(), cached).await;
                Ok(document)
            }
            Err(error @ ResolveError::Unavailable(..)) => {
                if let Some(cached) = self.documents.get(did).await {
                    self.documents.insert(did.clone(), CachedDocument { failed: Some(now), ..cached }).await;
                }
                tracing::info!(did = %did, error = %error, "a DID could not be resolved");
                Err(error)
            }
            Err(error) => {
                self.documents.invalidate(did).await;
                Err(error)
            }
        }
    }

    async fn look_up_handle(self: &Arc<Self>, handle: &Handle) -> HandleResult {
        let (ticket, flight) = match self.handle_flights.join(handle) {
            Joined::Other(flight) => (None, flight),
            Joined::Full => return Err(unavailable(handle, "too many look-ups are under way")),
            Joined::First(ticket, flight) => (Some(ticket), flight),
        };
        if let Some(ticket) = ticket {
            let (inner, handle, stopping) = (Arc::clone(self), handle.clone(), self.tasks.stopping());
            self.tasks.spawn(async move {
                let finding = ticket.run(inner.authorities.handle(&handle));
                let Some(answer) = stopping.run_until_cancelled(finding).await else { return };
                // What is not sure is asked again next time.
                if !matches!(answer, Err(ResolveError::Unavailable(..))) {
                    inner.handles.insert(handle.clone(), (answer.clone(), inner.clock.now())).await;
                }
                if !ticket.is_current() {
                    inner.handles.invalidate(&handle).await;
                }
                ticket.land(answer);
            });
        }
        landed(flight).await.unwrap_or_else(|| Err(unavailable(handle, "the server is stopping")))
    }
}

fn unavailable(name: &impl ToString, why: &str) -> ResolveError {
    ResolveError::Unavailable(name.to_string(), why.to_owned())
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
