//! `dev.housekey.delegation.getAssociatedData`

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::answers::OneParams;
use crate::{
    delegation::{AppData, DelegationId, Statement},
    service::{
        Server,
        delegation::{actor, associated_data},
    },
    syntax::Did,
    xrpc::{Json, Query, XrpcError, auth::Public},
};

/// The host to ask, and the signed data of each app.
pub struct GetAssociatedData;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    did: Did,
    id: DelegationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    apps: BTreeMap<String, serde_json::Value>,
}

impl Query for GetAssociatedData {
    const NSID: &'static str = "dev.housekey.delegation.getAssociatedData";
    type Auth = Public;
    type Params = OneParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: OneParams) -> Result<Json<Output>, XrpcError> {
        let account = actor(server, &params.actor).await?;
        let found = associated_data(server, &account, &params.id).await?;
        let apps = found.said.apps.iter().map(|(app, entry): (_, &AppData)| (app.to_string(), entry.to_json()));
        Ok(Json(Output {
            apps: apps.collect(),
            statement: found.said.statement.as_ref().map(Statement::to_json),
            did: found.said.did,
            id: found.said.id,
            domain: found.domain,
        }))
    }
}
