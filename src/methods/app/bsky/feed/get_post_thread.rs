//! `app.bsky.feed.getPostThread`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// A thread, with what the caller just posted in it.
pub struct GetPostThread;

impl Piped for GetPostThread {
    const NSID: &'static str = "app.bsky.feed.getPostThread";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::PostThread).await
    }
}
