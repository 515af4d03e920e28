//! What the methods share: inputs and answers of changes, the parameters of queries.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    delegation::{DelegationId, Purpose},
    ipld::Cid,
    service::{
        Server,
        delegation::{ChangeRequest, ChangeState, Changed, change, session},
    },
    store::DelegationState,
    syntax::{AtIdentifier, Did},
    xrpc::{Json, XrpcError, auth::OwnerAccess},
};

/// The input of `createDelegation` and `updateDelegation`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeInput {
    statement: serde_json::Value,
    #[serde(default, deserialize_with = "present")]
    token: Option<String>,
    #[serde(default, deserialize_with = "present")]
    operation: Option<serde_json::Value>,
    #[serde(default)]
    app_data: Vec<serde_json::Value>,
}

/// A property that may be absent, and is not null where it is there.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl From<ChangeInput> for ChangeRequest {
    fn from(input: ChangeInput) -> Self {
        let ChangeInput { statement, token, operation, app_data } = input;
        Self { statement, token, operation, app_data }
    }
}

/// Makes the change of a statement that came for this purpose.
pub(super) async fn changed(
    server: &Arc<Server>,
    auth: &OwnerAccess,
    purpose: Purpose,
    request: ChangeRequest,
) -> Result<Json<ChangeOutput>, XrpcError> {
    let session = session(auth.opened_at, server.now());
    Ok(Json(change(server, &auth.account, session, purpose, request).await?.into()))
}

/// `dev.housekey.delegation.defs#change`.
#[derive(Debug, Serialize)]
pub struct ChangeOutput {
    did: Did,
    id: DelegationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Cid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Cid>,
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nullified: Vec<Cid>,
}

impl From<Changed> for ChangeOutput {
    fn from(changed: Changed) -> Self {
        let Changed { did, id, key, statement, operation, state, nullified } = changed;
        let state = match state {
            ChangeState::Active => "active",
            ChangeState::Ended => "ended",
            ChangeState::Pending => "pending",
        };
        Self { did, id, key, statement, operation, state, nullified }
    }
}

/// The parameters of the queries of one delegation.
#[derive(Clone, Debug, Deserialize)]
pub struct OneParams {
    pub(super) actor: AtIdentifier,
    #[serde(default)]
    pub(super) id: DelegationId,
}

/// A state as queries name it.
pub(super) const fn state_name(state: DelegationState) -> &'static str {
    match state {
        DelegationState::Active => "active",
        DelegationState::Ended => "ended",
        DelegationState::Unproven => "unproven",
    }
}
