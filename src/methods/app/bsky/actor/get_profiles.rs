//! `app.bsky.actor.getProfiles`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// Profiles, with what the caller just changed in its own.
pub struct GetProfiles;

impl Piped for GetProfiles {
    const NSID: &'static str = "app.bsky.actor.getProfiles";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::Profiles).await
    }
}
