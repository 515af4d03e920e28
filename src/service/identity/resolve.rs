//! Handles and DIDs to identities: this server's accounts from its database, others from the network.

use std::sync::Arc;

use crate::{
    identity::DidDocument,
    outbound::{Freshness, ResolveError},
    service::Server,
    store::StoreError,
    syntax::{AtIdentifier, Did, Handle},
};

/// An identity whose two halves were looked at together.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The DID.
    pub did: Did,
    /// The handle, if document and handle point at each other.
    pub handle: Option<Handle>,
    /// The DID document.
    pub document: Arc<DidDocument>,
}

/// Why nothing was resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveIdentityError {
    /// The handle points nowhere.
    #[error("Unable to resolve handle")]
    HandleNotFound,
    /// The handle's domain could not be asked.
    #[error("Unable to resolve handle: {0}")]
    HandleUnavailable(String),
    /// The DID does not exist.
    #[error("the DID was not found: {0}")]
    DidNotFound(String),
    /// The DID has ended.
    #[error("the DID was deactivated: {0}")]
    DidDeactivated(String),
    /// The DID's method or document is not one that can be used.
    #[error("{0}")]
    DidUnusable(String),
    /// The DID's authority could not be asked.
    #[error("{0}")]
    DidUnavailable(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a handle points to: an active account here, nothing if it would have to be one, else what its domain says.
///
/// # Errors
/// [`ResolveIdentityError`].
pub async fn resolve_handle(server: &Server, handle: &Handle) -> Result<Did, ResolveIdentityError> {
    if let Some(did) = server.store.did_by_handle(handle).await? {
        return Ok(did);
    }
    if server.policy.is_service_handle(handle) {
        return Err(ResolveIdentityError::HandleNotFound);
    }
    server.resolver.handle(handle).await.map_err(|cause| match cause {
        ResolveError::NotFound(_) => ResolveIdentityError::HandleNotFound,
        ResolveError::Deactivated(_)
        | ResolveError::UnsupportedMethod(_)
        | ResolveError::BadDocument(..)
        | ResolveError::Unavailable(..) => ResolveIdentityError::HandleUnavailable(cause.to_string()),
    })
}

/// The document of a DID.
///
/// # Errors
/// [`ResolveIdentityError`].
pub async fn resolve_did(
    server: &Server,
    did: &Did,
    freshness: Freshness,
) -> Result<Arc<DidDocument>, ResolveIdentityError> {
    server.resolver.did(did, freshness).await.map_err(|cause| match cause {
        ResolveError::NotFound(_) => ResolveIdentityError::DidNotFound(did.to_string()),
        ResolveError::Deactivated(_) => ResolveIdentityError::DidDeactivated(did.to_string()),
        ResolveError::UnsupportedMethod(_) | ResolveError::BadDocument(..) => {
            ResolveIdentityError::DidUnusable(cause.to_string())
        }
        ResolveError::Unavailable(..) => ResolveIdentityError::DidUnavailable(cause.to_string()),
    })
}

/// A handle or DID to the whole identity.
///
/// # Errors
/// [`ResolveIdentityError`].
pub async fn resolve_identity(
    server: &Server,
    identifier: &AtIdentifier,
    freshness: Freshness,
) -> Result<Identity, ResolveIdentityError> {
    let (did, asked) = match identifier {
        AtIdentifier::Did(did) => (did.clone(), None),
        AtIdentifier::Handle(handle) => (resolve_handle(server, handle).await?, Some(handle)),
    };
    let document = resolve_did(server, &did, freshness).await?;
    let handle = match (&document.handle, asked) {
        // The one direction was resolved just now, the document is the other.
        (Some(named), Some(asked)) if named == asked => Some(named.clone()),
        (Some(named), _) => verified(server, named, &document).await?,
        (None, _) => None,
    };
    Ok(Identity { did, handle, document })
}

/// The handle that a document names, if it points back.
async fn verified(server: &Server, named: &Handle, document: &DidDocument) -> Result<Option<Handle>, StoreError> {
    if let Some(did) = server.store.did_by_handle(named).await? {
        return Ok((did == document.did).then(|| named.clone()));
    }
    if server.policy.is_service_handle(named) {
        return Ok(None);
    }
    Ok(server.resolver.verified_handle(document).await)
}
