//! What `resolveIdentity` and `refreshIdentity` answer.

use serde::Serialize;

use crate::{service::identity::Identity, syntax::Did};

/// An identity: DID, document, and the handle if both point at each other.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityInfo {
    did: Did,
    handle: String,
    did_doc: serde_json::Value,
}

impl From<Identity> for IdentityInfo {
    fn from(identity: Identity) -> Self {
        Self {
            did: identity.did,
            handle: identity.handle.map_or_else(|| "handle.invalid".to_owned(), String::from),
            did_doc: identity.document.json.clone(),
        }
    }
}
