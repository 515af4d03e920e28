//! From a schema's name to its record: DNS names the account that has authority, its document the server, and the
//! server proves the record. Spec: <https://atproto.com/specs/lexicon#lexicon-publication-and-resolution>.

use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::{LexiconError, Resolved, unavailable};
use crate::{
    identity::DidDocument,
    ipld::{Cid, car, cbor},
    lexicon::Document,
    limits::lexicon::{FETCH_TIMEOUT, PROOF_MAX_BYTES},
    outbound::{FetchLimits, Freshness, ResolveError},
    repo::{MemoryBlocks, RecordPath, proof::verify_record_proof},
    service::Server,
    store::AccountState,
    syntax::{Did, Handle, Nsid},
};

/// The collection in which schemas are published.
const COLLECTION: &str = "com.atproto.lexicon.schema";

const PROOF: FetchLimits = FetchLimits { body_bytes: PROOF_MAX_BYTES, total: FETCH_TIMEOUT, redirects: 0 };

/// Looks up a schema, now.
pub(super) async fn look_up(server: &Server, nsid: &Nsid) -> Result<Resolved, LexiconError> {
    let did = authority(server, nsid).await?;
    let path = path(nsid)?;
    let (cid, record) = match own(server, &did, &path).await? {
        Some(found) => found,
        None => published(server, &did, &path).await?,
    };
    let document = judged(nsid, &record)?;
    Ok(Resolved { document: Arc::new(document), did, cid, record })
}

/// The account that DNS names for the domain of the name; there is no going up to the domain's parent.
async fn authority(server: &Server, nsid: &Nsid) -> Result<Did, LexiconError> {
    let domain = nsid.authority();
    let none = || {
        LexiconError::NotFound(format!(
            "nobody has authority over schemas of {domain}: DNS names no DID at _lexicon.{domain}"
        ))
    };
    let name: Handle = domain.parse().map_err(|_| none())?;
    if name.has_disallowed_tld() {
        return Err(none());
    }
    server.resolver.lexicon_authority(&name).await.map_err(|cause| unavailable(&cause))?.ok_or_else(none)
}

fn path(nsid: &Nsid) -> Result<RecordPath, LexiconError> {
    let collection = COLLECTION.parse().map_err(|cause| unavailable(&cause))?;
    Ok(RecordPath::new(collection, nsid.as_str().parse().map_err(|_| missing(nsid.as_str()))?))
}

fn missing(what: &str) -> LexiconError {
    LexiconError::NotFound(format!("the account that has authority over {what} has not published such a schema"))
}

/// The record of an account on this server, which needs no proof. `None` when the account is elsewhere.
async fn own(server: &Server, did: &Did, path: &RecordPath) -> Result<Option<(Cid, Bytes)>, LexiconError> {
    let Some(account) = server.store.account_by_did(did).await.map_err(|cause| unavailable(&cause))? else {
        return Ok(None);
    };
    if account.state != AccountState::Active {
        return Ok(None);
    }
    let record = server.store.record(account.id, path).await.map_err(|cause| unavailable(&cause))?;
    record.map(|record| Some((record.cid, record.value))).ok_or_else(|| missing(path.rkey.as_str()))
}

/// The record of an account elsewhere, proven by its server.
async fn published(server: &Server, did: &Did, path: &RecordPath) -> Result<(Cid, Bytes), LexiconError> {
    let document = server.resolver.did(did, Freshness::Cached).await.map_err(|cause| identity(&cause))?;
    let car = fetch(server, &document, path).await?;
    if let Ok(found) = proven(&document, path, &car) {
        return found.ok_or_else(|| missing(path.rkey.as_str()));
    }
    // The account may have changed its key since its document was read.
    let document = server.resolver.did(did, Freshness::Now).await.map_err(|cause| identity(&cause))?;
    let found = proven(&document, path, &car).map_err(|why| unavailable(&format!("{did} proves nothing: {why}")))?;
    found.ok_or_else(|| missing(path.rkey.as_str()))
}

fn identity(cause: &ResolveError) -> LexiconError {
    match cause {
        ResolveError::NotFound(_) | ResolveError::Deactivated(_) => LexiconError::NotFound(cause.to_string()),
        ResolveError::UnsupportedMethod(_) | ResolveError::BadDocument(..) | ResolveError::Unavailable(..) => {
            LexiconError::Unavailable(cause.to_string())
        }
    }
}

async fn fetch(server: &Server, document: &DidDocument, path: &RecordPath) -> Result<Bytes, LexiconError> {
    let did = &document.did;
    let mut url: Url = document.pds.clone().ok_or_else(|| unavailable(&format!("{did} names no server")))?;
    url.set_path("/xrpc/com.atproto.sync.getRecord");
    url.query_pairs_mut()
        .clear()
        .append_pair("did", did.as_str())
        .append_pair("collection", path.collection.as_str())
        .append_pair("rkey", path.rkey.as_str());
    let fetched = server.client.get(&url, PROOF).await;
    let fetched = fetched.map_err(|cause| unavailable(&format!("the server of {did} could not be asked: {cause}")))?;
    match fetched.status {
        200 => Ok(fetched.body),
        400 | 404 => Err(missing(path.rkey.as_str())),
        status => Err(unavailable(&format!("the server of {did} answered with status {status}"))),
    }
}

/// What a proof shows at `path`; `None` is proven absence.
fn proven(document: &DidDocument, path: &RecordPath, file: &[u8]) -> Result<Option<(Cid, Bytes)>, String> {
    let key = document.signing_key.as_ref().ok_or("its document has no key")?;
    let (roots, blocks) = car::read_all(file).map_err(|cause| cause.to_string())?;
    let commit = roots.first().ok_or("the proof has no root")?;
    let mut blocks = MemoryBlocks(blocks.into_iter().collect());
    let found =
        verify_record_proof(&mut blocks, commit, &document.did, key, path).map_err(|cause| cause.to_string())?;
    let Some(cid) = found else { return Ok(None) };
    let record = blocks.0.remove(&cid).ok_or("the proof lacks the record")?;
    Ok(Some((cid, record)))
}

/// The record as the schema that it must be.
fn judged(nsid: &Nsid, record: &[u8]) -> Result<Document, LexiconError> {
    let refused = |why: String| unavailable(&format!("what is published as {nsid} is no schema: {why}"));
    if record.len() > crate::limits::lexicon::DOCUMENT_MAX_BYTES {
        return Err(refused(format!("it has {} bytes", record.len())));
    }
    let value = cbor::decode(record).map_err(|cause| refused(cause.to_string()))?;
    if value.type_name() != Some(COLLECTION) {
        return Err(refused(format!("its $type is not {COLLECTION}")));
    }
    let document = Document::from_value(&value).map_err(|cause| refused(cause.to_string()))?;
    if document.id != *nsid {
        return Err(refused(format!("its id is {}", document.id)));
    }
    Ok(document)
}
