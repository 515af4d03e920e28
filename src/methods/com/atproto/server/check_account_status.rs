//! `com.atproto.server.checkAccountStatus`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    ipld::Cid,
    methods::usage::{UsageView, usage_of},
    service::{Server, accounts::check_status},
    syntax::Tid,
    xrpc::{Json, NoParams, Query, XrpcError, auth::AnyAccess},
};

/// How the account stands, for its owner who moves it.
pub struct CheckAccountStatus;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    activated: bool,
    valid_did: bool,
    repo_commit: Cid,
    repo_rev: Tid,
    repo_blocks: u64,
    indexed_records: u64,
    // The preferences.
    private_state_values: usize,
    expected_blobs: u64,
    imported_blobs: u64,
    // Not in the lexicon: how much of its quota the account uses.
    housekey_usage: UsageView,
}

impl Query for CheckAccountStatus {
    const NSID: &'static str = "com.atproto.server.checkAccountStatus";
    type Auth = AnyAccess;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, auth: AnyAccess, _: NoParams) -> Result<Json<Output>, XrpcError> {
        let status = check_status(server, &auth.account).await?;
        let head = server.store.head(auth.account.id).await?;
        let head = head.ok_or_else(|| XrpcError::bad("RepoNotFound", "The account has no repository yet"))?;
        Ok(Json(Output {
            activated: status.activated,
            valid_did: status.valid_did,
            repo_commit: head.commit,
            repo_rev: head.rev,
            repo_blocks: status.stats.blocks,
            indexed_records: status.stats.records,
            private_state_values: status.preferences,
            expected_blobs: status.stats.expected_blobs,
            imported_blobs: status.stats.imported_blobs,
            housekey_usage: usage_of(server, auth.account.id).await?,
        }))
    }
}
