//! `com.atproto.sync.getRepo`
use super::answers::{repo_car, visible};
use crate::{
    service::Server,
    syntax::{Did, Tid},
    throttle::Bucket,
    xrpc::{Query, Reply, XrpcError, auth::Viewer},
};
use serde::Deserialize;
use std::sync::Arc;

/// A repository as a CAR file, streamed.
pub struct GetRepo;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
    since: Option<Tid>,
}

impl Query for GetRepo {
    const NSID: &'static str = "com.atproto.sync.getRepo";
    const BUCKETS: &'static [Bucket] = &[Bucket::GetRepo];
    type Auth = Viewer;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: Params) -> Result<Reply, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        repo_car(server, &account, params.since).await
    }
}
