//! `dev.housekey.delegation.getDelegation`

use std::sync::Arc;

use serde::Serialize;

use super::answers::{OneParams, state_name};
use crate::{
    delegation::{DelegationId, Statement},
    service::{
        Server,
        delegation::{actor, delegation},
    },
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// The key that a delegation names, and its statements.
pub struct GetDelegation;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    did: Did,
    id: DelegationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    state: &'static str,
    statements: Vec<serde_json::Value>,
}

impl Query for GetDelegation {
    const NSID: &'static str = "dev.housekey.delegation.getDelegation";
    type Auth = Public;
    type Params = OneParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: OneParams) -> Result<Json<Output>, XrpcError> {
        let account = actor(server, &params.actor).await?;
        let found = delegation(server, &account, &params.id).await?;
        Ok(Json(Output {
            did: account.did,
            id: found.row.id,
            key: found.row.key,
            domain: found.domain,
            state: state_name(found.row.state),
            statements: found.statements.iter().map(Statement::to_json).collect(),
        }))
    }
}
