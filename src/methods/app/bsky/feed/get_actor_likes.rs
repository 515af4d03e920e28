//! `app.bsky.feed.getActorLikes`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// What somebody liked, with the profile that the caller just changed.
pub struct GetActorLikes;

impl Piped for GetActorLikes {
    const NSID: &'static str = "app.bsky.feed.getActorLikes";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::ActorLikes).await
    }
}
