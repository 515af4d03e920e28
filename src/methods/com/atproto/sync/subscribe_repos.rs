//! `com.atproto.sync.subscribeRepos`
use crate::{
    service::Server,
    sync::{CloseReason, Feed, Item, subscribe},
    xrpc::{StreamItem, Subscription, XrpcError},
};
use futures_util::{StreamExt, stream::BoxStream};
use serde::Deserialize;
use std::sync::Arc;

/// The event stream of every repository here.
pub struct SubscribeRepos;

/// The parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Params {
    cursor: Option<i64>,
}

impl Subscription for SubscribeRepos {
    const NSID: &'static str = "com.atproto.sync.subscribeRepos";
    type Params = Params;

    async fn open(server: &Arc<Server>, params: Params) -> Result<BoxStream<'static, StreamItem>, XrpcError> {
        let window_start = server.now().minus(server.policy.backfill);
        let audience = server.meters.audience.clone();
        let feed = Feed { audience, ..Feed::new(&server.store, &server.tasks, window_start) };
        let items = subscribe(feed, params.cursor).await?;
        Ok(items
            .map(|item| match item {
                Item::Frame(frame) => StreamItem::Frame(frame),
                Item::End(reason) => StreamItem::Close(close_code(reason)),
            })
            .boxed())
    }
}

/// WebSocket close codes (RFC 6455, 7.4.1).
const fn close_code(reason: CloseReason) -> u16 {
    match reason {
        CloseReason::Stopping => 1001,
        CloseReason::FutureCursor | CloseReason::ConsumerTooSlow => 1008,
        CloseReason::Failed => 1011,
    }
}
