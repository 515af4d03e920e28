//! `com.atproto.sync.listRepos`
use super::answers::status;
use crate::{
    ipld::Cid,
    methods::reading::{cursor, next_cursor, page_length},
    service::Server,
    store::AccountId,
    syntax::{Did, Tid},
    xrpc::{Json, Query, XrpcError, auth::Public},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Every repository that is hosted here, in the order in which the accounts came.
pub struct ListRepos;

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
    repos: Vec<Repo>,
}

#[derive(Debug, Serialize)]
struct Repo {
    did: Did,
    head: Cid,
    rev: Tid,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

impl Query for ListRepos {
    const NSID: &'static str = "com.atproto.sync.listRepos";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let limit = page_length(params.limit, 500, 1000)?;
        let after = AccountId(cursor::<i64>(params.cursor.as_deref())?.unwrap_or(0));
        let listed = server.store.list_repos(after, limit).await?;
        let cursor = next_cursor(&listed, limit, |last| last.id.0);
        let repos = listed
            .into_iter()
            .map(|repo| {
                let status = status(&repo.state);
                Repo { did: repo.did, head: repo.head.commit, rev: repo.head.rev, active: status.is_none(), status }
            })
            .collect();
        Ok(Json(Output { cursor, repos }))
    }
}
