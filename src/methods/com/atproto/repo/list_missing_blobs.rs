//! `com.atproto.repo.listMissingBlobs`
use crate::{
    ipld::Cid,
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    xrpc::{Json, Query, XrpcError, auth::AnyAccess},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The blobs that records of the account reference and that are not here: what is left to upload after an import.
pub struct ListMissingBlobs;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    blobs: Vec<Missing>,
}

/// One blob, and a record that references it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    cid: Cid,
    record_uri: String,
}

impl Query for ListMissingBlobs {
    const NSID: &'static str = "com.atproto.repo.listMissingBlobs";
    type Auth = AnyAccess;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: AnyAccess, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, 500, 1000)?;
        let after = cursor::<Cid>(params.cursor.as_deref())?;
        let missing = server.store.missing_blobs(auth.account.id, after, limit).await?;
        let cursor = next_cursor(&missing, limit, |last| last.cid);
        let did = &auth.account.did;
        let blobs = missing
            .into_iter()
            .map(|blob| Missing { cid: blob.cid, record_uri: format!("at://{did}/{}", blob.record) });
        Ok(Json(Output { cursor, blobs: blobs.collect() }))
    }
}
