//! `app.bsky.feed.getAuthorFeed`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// Somebody's posts; one's own with what was just posted.
pub struct GetAuthorFeed;

impl Piped for GetAuthorFeed {
    const NSID: &'static str = "app.bsky.feed.getAuthorFeed";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::AuthorFeed).await
    }
}
