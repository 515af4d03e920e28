//! `app.bsky.feed.getTimeline`
use crate::{
    service::{Server, read_after_write::View},
    xrpc::{Call, Piped, Reply, RequestBody, XrpcError, proxy::read_after_write},
};
use std::sync::Arc;

/// The timeline, with what the caller just posted.
pub struct GetTimeline;

impl Piped for GetTimeline {
    const NSID: &'static str = "app.bsky.feed.getTimeline";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        read_after_write(server, call, View::Timeline).await
    }
}
