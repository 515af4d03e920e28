//! `com.atproto.sync.listReposByCollection`
use crate::{
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    store::AccountId,
    syntax::{Did, Nsid},
    xrpc::{Json, Query, XrpcError, auth::Public},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The active repositories that have records in a collection.
pub struct ListReposByCollection;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    collection: Nsid,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    repos: Vec<Repo>,
}

#[derive(Debug, Serialize)]
struct Repo {
    did: Did,
}

impl Query for ListReposByCollection {
    const NSID: &'static str = "com.atproto.sync.listReposByCollection";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, 500, 2000)?;
        let after = AccountId(cursor::<i64>(params.cursor.as_deref())?.unwrap_or(0));
        let listed = server.store.list_repos_by_collection(&params.collection, after, limit).await?;
        let cursor = next_cursor(&listed, limit, |(id, _)| id.0);
        Ok(Json(Output { cursor, repos: listed.into_iter().map(|(_, did)| Repo { did }).collect() }))
    }
}
