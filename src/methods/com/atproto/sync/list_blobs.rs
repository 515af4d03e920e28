//! `com.atproto.sync.listBlobs`
use super::answers::visible;
use crate::{
    ipld::Cid,
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    syntax::{Did, Tid},
    xrpc::{Json, Query, XrpcError, auth::Viewer},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The blobs that records of a repository reference.
pub struct ListBlobs;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
    since: Option<Tid>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    cids: Vec<Cid>,
}

impl Query for ListBlobs {
    const NSID: &'static str = "com.atproto.sync.listBlobs";
    type Auth = Viewer;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, 500, 1000)?;
        let after = cursor::<Cid>(params.cursor.as_deref())?;
        let account = visible(server, &viewer, &params.did).await?;
        let cids = server.store.list_blobs(account.id, params.since, after, limit).await?;
        Ok(Json(Output { cursor: next_cursor(&cids, limit, |last| *last), cids }))
    }
}
