//! `com.atproto.sync.getHead` (deprecated)
use super::answers::{DidParams, visible};
use crate::{
    ipld::Cid,
    service::Server,
    xrpc::{Json, Query, XrpcError, auth::Viewer},
};
use serde::Serialize;
use std::sync::Arc;

/// The latest commit's CID: the older form of `getLatestCommit`.
pub struct GetHead;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    root: Cid,
}

impl Query for GetHead {
    const NSID: &'static str = "com.atproto.sync.getHead";
    type Auth = Viewer;
    type Params = DidParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: DidParams) -> Result<Json<Output>, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        let head = server.store.head(account.id).await?;
        let head =
            head.ok_or_else(|| XrpcError::bad("HeadNotFound", format!("Could not find root for DID: {}", params.did)))?;
        Ok(Json(Output { root: head.commit }))
    }
}
