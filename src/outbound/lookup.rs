//! Asks the authority for a DID or a handle, once and now. No cache here.

use std::pin::pin;

use url::Url;

use super::{FetchError, FetchLimits, Fetched, GuardedClient, ResolveError, TrustedClient, txt::TxtResolver};
use crate::{
    identity::DidDocument,
    limits::outbound::{ATPROTO_DID_MAX_BYTES, DID_DOCUMENT_MAX_BYTES, HANDLE_REDIRECTS_MAX, RESOLVE_TIMEOUT},
    syntax::{Did, Handle},
};

/// A DID document; it is never redirected, as the reference has it.
const DOCUMENT: FetchLimits = FetchLimits { body_bytes: DID_DOCUMENT_MAX_BYTES, total: RESOLVE_TIMEOUT, redirects: 0 };

const ATPROTO_DID: FetchLimits =
    FetchLimits { body_bytes: ATPROTO_DID_MAX_BYTES, total: RESOLVE_TIMEOUT, redirects: HANDLE_REDIRECTS_MAX };

/// Who is asked, and how.
pub(super) struct Authorities {
    pub(super) plc_url: Url,
    pub(super) trusted: TrustedClient,
    pub(super) guarded: GuardedClient,
    pub(super) txt: TxtResolver,
}

/// What one way of resolving a handle came to.
enum Said {
    This(Did),
    /// It surely names none.
    Nothing,
    /// It could not be asked, for this reason.
    Unknown(String),
}

impl Authorities {
    /// The document of a DID, and its size in bytes.
    pub(super) async fn did(&self, did: &Did) -> Result<(DidDocument, usize), ResolveError> {
        let fetched = if did.is_plc() {
            self.trusted.get(&directory_url(&self.plc_url, did, ""), DOCUMENT).await
        } else if let Some(url) = DidDocument::did_web_url(did) {
            self.guarded.get(&url, DOCUMENT).await
        } else {
            return Err(ResolveError::UnsupportedMethod(did.to_string()));
        };
        read_document(did, &fetched.map_err(|error| ResolveError::Unavailable(did.to_string(), error.to_string()))?)
    }

    /// The DID of a handle: DNS decides, and only where it names none the website does. Both are asked at once, for
    /// the slower one would else wait for the other's time-out.
    pub(super) async fn handle(&self, handle: &Handle) -> Result<Did, ResolveError> {
        let mut dns = pin!(self.ask_dns(handle));
        let mut website = pin!(self.ask_website(handle));
        let (dns, website) = tokio::select! {
            biased;
            said = &mut dns => match said {
                Said::This(did) => return Ok(did),
                said @ (Said::Nothing | Said::Unknown(_)) => (said, website.await),
            },
            said = &mut website => (dns.await, said),
        };
        let unsure = |why: String| Err(ResolveError::Unavailable(handle.to_string(), why));
        match (dns, website) {
            (Said::This(did), _) | (_, Said::This(did)) => Ok(did),
            (Said::Unknown(why), _) | (_, Said::Unknown(why)) => unsure(why),
            (Said::Nothing, Said::Nothing) => Err(ResolveError::NotFound(handle.to_string())),
        }
    }

    async fn ask_dns(&self, handle: &Handle) -> Said {
        match tokio::time::timeout(RESOLVE_TIMEOUT, self.txt.did("_atproto", handle)).await {
            Ok(Ok(Some(did))) => Said::This(did),
            Ok(Ok(None)) => Said::Nothing,
            Ok(Err(why)) => Said::Unknown(why),
            Err(_) => Said::Unknown("DNS gave no answer in time".to_owned()),
        }
    }

    async fn ask_website(&self, handle: &Handle) -> Said {
        let Ok(url) = Url::parse(&format!("https://{handle}/.well-known/atproto-did")) else { return Said::Nothing };
        match self.guarded.get(&url, ATPROTO_DID).await {
            Ok(fetched) if fetched.status >= 500 || fetched.status == 429 => {
                Said::Unknown(format!("its website answered with status {}", fetched.status))
            }
            Ok(fetched) => did_in(&fetched).map_or(Said::Nothing, Said::This),
            // A handle without a website is the ordinary case; if DNS is down, the TXT record's look-up says so.
            Err(
                FetchError::NoAddress(_)
                | FetchError::Refused(_)
                | FetchError::TooLarge(_)
                | FetchError::TooManyRedirects(_)
                | FetchError::BadRedirect
                | FetchError::Encoded,
            ) => Said::Nothing,
            Err(
                error @ (FetchError::Setup(_)
                | FetchError::Connect(_)
                | FetchError::TimedOut(_)
                | FetchError::Broken(_)),
            ) => Said::Unknown(format!("its website could not be asked: {error}")),
        }
    }
}

/// The DID on the first line of `/.well-known/atproto-did`.
fn did_in(fetched: &Fetched) -> Option<Did> {
    if fetched.status != 200 {
        return None;
    }
    std::str::from_utf8(&fetched.body).ok()?.trim_start().lines().next()?.trim().parse().ok()
}

/// `{directory}/{did}{rest}`; the directory's URL may have a path.
pub(super) fn directory_url(directory: &Url, did: &Did, rest: &str) -> Url {
    let mut url = directory.clone();
    url.set_path(&format!("{}/{did}{rest}", directory.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn read_document(did: &Did, fetched: &Fetched) -> Result<(DidDocument, usize), ResolveError> {
    match fetched.status {
        200 => {}
        // The public directory's server says 404 of a tombstone too; its words tell the two apart.
        404 if did.is_plc() && has(&fetched.body, b"not available") => {
            return Err(ResolveError::Deactivated(did.to_string()));
        }
        410 if did.is_plc() => return Err(ResolveError::Deactivated(did.to_string())),
        404 | 410 => return Err(ResolveError::NotFound(did.to_string())),
        status => {
            let why = format!("the answer had status {status}");
            return Err(ResolveError::Unavailable(did.to_string(), why));
        }
    }
    // Not JSON at all is some proxy's page rather than an authority's word.
    let json = serde_json::from_slice(&fetched.body)
        .map_err(|_| ResolveError::Unavailable(did.to_string(), "the answer is not JSON".to_owned()))?;
    let document =
        DidDocument::parse(did, json).map_err(|error| ResolveError::BadDocument(did.to_string(), error.to_string()))?;
    Ok((document, fetched.body.len()))
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
