//! `dev.housekey.delegation.listDelegations`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answers::state_name;
use crate::{
    delegation::DelegationId,
    service::{
        Server,
        delegation::{actor, delegations},
    },
    syntax::{AtIdentifier, Did},
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// All delegations of an account.
pub struct ListDelegations;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    actor: AtIdentifier,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    did: Did,
    delegations: Vec<Summary>,
}

/// One delegation.
#[derive(Debug, Serialize)]
struct Summary {
    id: DelegationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
}

impl Query for ListDelegations {
    const NSID: &'static str = "dev.housekey.delegation.listDelegations";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let account = actor(server, &params.actor).await?;
        let found = delegations(server, &account).await?.into_iter();
        let delegations = found
            .map(|(row, domain)| Summary { id: row.id, key: row.key, state: state_name(row.state), domain })
            .collect();
        Ok(Json(Output { did: account.did, delegations }))
    }
}
