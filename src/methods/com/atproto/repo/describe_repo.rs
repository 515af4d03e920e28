//! `com.atproto.repo.describeRepo`
use crate::{
    outbound::Freshness,
    service::{
        Server,
        repos::{Sight, available},
    },
    syntax::{AtIdentifier, Did, Handle, Nsid},
    xrpc::{Json, Query, XrpcError, auth::Public},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An account's identity and the collections that it has records in.
pub struct DescribeRepo;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    repo: AtIdentifier,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    handle: Handle,
    did: Did,
    did_doc: serde_json::Value,
    collections: Vec<Nsid>,
    handle_is_correct: bool,
}

impl Query for DescribeRepo {
    const NSID: &'static str = "com.atproto.repo.describeRepo";
    type Auth = Public;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Json<Output>, XrpcError> {
        let account = available(server, &params.repo, Sight::Active).await?;
        let document = server
            .resolver
            .did(&account.did, Freshness::Cached)
            .await
            .map_err(|cause| XrpcError::invalid(format!("Could not resolve DID: {cause}")))?;
        let collections = server.store.collections(account.id).await?;
        Ok(Json(Output {
            handle_is_correct: document.handle.as_ref() == Some(&account.handle),
            did_doc: document.json.clone(),
            handle: account.handle,
            did: account.did,
            collections,
        }))
    }
}
