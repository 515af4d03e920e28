//! The bodies of the well-known resource, kept as they were made: peers ask again and again, and what they are told
//! changes seldom.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::{
    DelegationFailure,
    read::{actor, associated_data, document},
};
use crate::{
    clock::Timestamp,
    delegation::{DelegationError, DelegationId},
    identity::DidDocument,
    ipld::Cid,
    limits::delegation as limits,
    service::Server,
    store::{AccountId, DelegationRow},
    syntax::{AtIdentifier, Did},
};

/// A body and its strong tag, in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// JSON.
    pub body: Bytes,
    /// SHA-256 of it.
    pub tag: String,
}

/// Bodies by account and id, bounded by their bytes.
#[derive(Clone, Debug)]
pub struct RenderedBodies(Cache<(AccountId, DelegationId), Arc<Kept>>);

/// A body with what it follows from.
#[derive(Debug)]
struct Kept {
    rendered: Rendered,
    basis: Basis,
    /// From when on it says too much: an entry has expired.
    until: Option<Timestamp>,
}

/// All that a body follows from, besides the time.
#[derive(Debug)]
struct Basis {
    /// The commit that the records were read from.
    commit: Option<Cid>,
    rows: Vec<DelegationRow>,
    /// The very document: another reading of it is another one.
    document: Option<Arc<DidDocument>>,
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        let same_document = match (&self.document, &other.document) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_document && self.commit == other.commit && self.rows == other.rows
    }
}

impl Default for RenderedBodies {
    fn default() -> Self {
        let weigh = |_: &(AccountId, DelegationId), kept: &Arc<Kept>| {
            u32::try_from(kept.rendered.body.len() + limits::WELL_KNOWN_CACHE_ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(limits::WELL_KNOWN_CACHE_BYTES).weigher(weigh).build())
    }
}

/// The body of the well-known resource; none if there never was such a delegation here.
///
/// # Errors
/// When the database fails.
pub async fn well_known(server: &Server, did: &Did, id: &DelegationId) -> Result<Option<Rendered>, DelegationFailure> {
    let account = match actor(server, &AtIdentifier::Did(did.clone())).await {
        Ok(account) => account,
        Err(DelegationFailure::NoAccount(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    // Read before what is made of it: what changes in between is seen the next time.
    let basis = Basis {
        commit: account.head.map(|head| head.commit),
        rows: server.store.delegations(account.id).await?,
        document: document(server, &account).await,
    };
    let (place, now) = ((account.id, id.clone()), server.now());
    if let Some(kept) = server.rendered.0.get(&place).await
        && kept.basis.is(&basis)
        && kept.until.is_none_or(|until| now < until)
    {
        return Ok(Some(kept.rendered.clone()));
    }
    let said = match associated_data(server, &account, id).await {
        Ok(found) => found.said,
        Err(DelegationFailure::Refused(DelegationError::DelegationNotFound)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let body = Bytes::from(said.to_bytes());
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&body)));
    let until = said.apps.values().map(|entry| entry.expires_at().timestamp()).min();
    let rendered = Rendered { body, tag };
    server.rendered.0.insert(place, Arc::new(Kept { rendered: rendered.clone(), basis, until })).await;
    Ok(Some(rendered))
}
