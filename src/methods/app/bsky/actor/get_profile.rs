//! `app.bsky.actor.getProfile`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// A profile, with what its owner just changed.
pub struct GetProfile;

impl Piped for GetProfile {
    const NSID: &'static str = "app.bsky.actor.getProfile";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::Profile).await
    }
}
