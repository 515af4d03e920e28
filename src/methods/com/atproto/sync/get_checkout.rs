//! `com.atproto.sync.getCheckout` (deprecated)
use super::answers::{DidParams, repo_car, visible};
use crate::{
    service::Server,
    xrpc::{Query, Reply, XrpcError, auth::Viewer},
};
use std::sync::Arc;

/// A whole repository as a CAR file: the older name of `getRepo`.
pub struct GetCheckout;

impl Query for GetCheckout {
    const NSID: &'static str = "com.atproto.sync.getCheckout";
    type Auth = Viewer;
    type Params = DidParams;
    type Output = Reply;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: DidParams) -> Result<Reply, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        repo_car(server, &account, None).await
    }
}
