//! `com.atproto.sync.getRepoStatus`
use super::answers::{DidParams, status};
use crate::{
    service::{
        Server,
        repos::{Sight, available},
    },
    syntax::{AtIdentifier, Did, Tid},
    xrpc::{Json, Query, XrpcError, auth::Public},
};
use serde::Serialize;
use std::sync::Arc;

/// Whether a repository is hosted here and active.
pub struct GetRepoStatus;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    did: Did,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<Tid>,
}

impl Query for GetRepoStatus {
    const NSID: &'static str = "com.atproto.sync.getRepoStatus";
    type Auth = Public;
    type Params = DidParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: DidParams) -> Result<Json<Output>, XrpcError> {
        let account = available(server, &AtIdentifier::Did(params.did), Sight::All).await?;
        let status = status(&account.state);
        let rev = match status {
            None => server.store.head(account.id).await?.map(|head| head.rev),
            Some(_) => None,
        };
        Ok(Json(Output { did: account.did, active: status.is_none(), status, rev }))
    }
}
