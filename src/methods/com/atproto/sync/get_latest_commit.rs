//! `com.atproto.sync.getLatestCommit`
use super::answers::{DidParams, visible};
use crate::{
    ipld::Cid,
    service::Server,
    syntax::Tid,
    xrpc::{Json, Query, XrpcError, auth::Viewer},
};
use serde::Serialize;
use std::sync::Arc;

/// Where a repository stands.
pub struct GetLatestCommit;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    cid: Cid,
    rev: Tid,
}

impl Query for GetLatestCommit {
    const NSID: &'static str = "com.atproto.sync.getLatestCommit";
    type Auth = Viewer;
    type Params = DidParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: DidParams) -> Result<Json<Output>, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        let head = server.store.head(account.id).await?;
        let head =
            head.ok_or_else(|| XrpcError::bad("RepoNotFound", format!("Could not find root for DID: {}", params.did)))?;
        Ok(Json(Output { cid: head.commit, rev: head.rev }))
    }
}
