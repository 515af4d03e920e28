//! The did:web documents that this server itself serves: those of accounts under its own domain names. What they say is
//! in its own database, so no request goes out for them.

use futures_util::future::BoxFuture;

use crate::{
    crypto::DidKey,
    identity::DidDocument,
    outbound::{LocalDocuments, ResolveError},
    plc::{self, UnsignedOperation},
    store::{Account, DelegationRow, Store, StoreError},
    syntax::Did,
};
use std::sync::Arc;

/// Gives the documents of did:web accounts that were made here.
#[derive(Clone, Debug)]
pub struct WebDids {
    store: Store,
    endpoint: String,
}

impl WebDids {
    /// Over the accounts of this store; their documents name `endpoint` as their PDS.
    pub const fn new(store: Store, endpoint: String) -> Self {
        Self { store, endpoint }
    }

    /// The document of a DID, with its account's key, handle and delegations; none if this server does not serve it. An
    /// account in any state has one: its identity is not its content. A deleted account's is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document(&self, did: &Did) -> Result<Option<serde_json::Value>, StoreError> {
        if !did.is_web() || !self.store.is_served_did(did).await? {
            return Ok(None);
        }
        let Some(account) = self.store.account_by_did(did).await? else { return Ok(None) };
        let delegations = self.store.delegations(account.id).await?;
        document_of(&account, delegations, &self.endpoint).map(Some)
    }
}

fn document_of(
    account: &Account,
    delegations: Vec<DelegationRow>,
    endpoint: &str,
) -> Result<serde_json::Value, StoreError> {
    let damaged = |cause: String| StoreError::Damaged(format!("the document of {}: {cause}", account.did));
    let key: DidKey = account.signing_key.parse().map_err(|_| damaged("its signing key".to_owned()))?;
    // The form is that of the PLC directory's documents, so that whoever reads those can read these.
    let mut state = UnsignedOperation::genesis(&key, &account.handle, endpoint, Vec::new());
    for row in delegations {
        if let Some(key) = row.key {
            state.verification_methods.insert(row.id.to_string(), key);
        }
    }
    serde_json::to_value(plc::DidDocument::of(&account.did, &state)).map_err(|cause| damaged(cause.to_string()))
}

impl LocalDocuments for WebDids {
    fn document<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Option<Result<Arc<DidDocument>, ResolveError>>> {
        Box::pin(async move {
            let failed = |cause: String| ResolveError::Unavailable(did.to_string(), cause);
            match Self::document(self, did).await {
                Ok(None) => None,
                Ok(Some(json)) => {
                    Some(DidDocument::parse(did, json).map(Arc::new).map_err(|cause| failed(cause.to_string())))
                }
                Err(cause) => Some(Err(failed(cause.to_string()))),
            }
        })
    }
}
