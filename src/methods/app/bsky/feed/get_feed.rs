//! `app.bsky.feed.getFeed`
use crate::{
    service::Server,
    syntax::{AtUri, Did},
    xrpc::{
        Call, IntoReply, Piped, Reply, RequestBody, XrpcError,
        auth::{AnyAccess, Authenticate},
        proxy::{Codings, Message, Target, ask},
    },
};
use std::sync::Arc;
use url::form_urlencoded;

/// The method that a feed generator serves, and that the token is for.
const SKELETON: &str = "app.bsky.feed.getFeedSkeleton";

/// A feed by its generator: the `AppView` asks that one with the account's token, so it is the audience.
pub struct GetFeed;

impl Piped for GetFeed {
    const NSID: &'static str = "app.bsky.feed.getFeed";

    async fn call(server: &Arc<Server>, call: &Call, _body: RequestBody) -> Result<Reply, XrpcError> {
        let auth = AnyAccess::authenticate(server, &call.head).await?;
        let target = Target::of(server, &call.head).await?;
        let query = call.uri.query().unwrap_or("");
        let generator = generator(server, &target, query).await?;
        Message::get(&target, Self::NSID, Some(query), &call.head.headers, Codings::Callers)
            .speaking_for(server, &auth.account, &generator, SKELETON)?
            .send(server)
            .await?
            .into_reply()
    }
}

/// The DID in the record that describes the feed.
async fn generator(server: &Server, target: &Target, query: &str) -> Result<String, XrpcError> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let feed = pairs.find_map(|(name, value)| (name == "feed").then(|| value.into_owned()));
    let feed = feed.ok_or_else(|| XrpcError::invalid("Params must have the property \"feed\""))?;
    let not_a_feed = || XrpcError::invalid("The parameter \"feed\" is not the AT-URI of a record");
    let uri: AtUri = feed.parse().map_err(|_| not_a_feed())?;
    let (Some(collection), Some(rkey)) = (uri.collection, uri.rkey) else { return Err(not_a_feed()) };
    let record = form_urlencoded::Serializer::new(String::new())
        .append_pair("repo", uri.authority.as_ref())
        .append_pair("collection", collection.as_str())
        .append_pair("rkey", rkey.as_str())
        .finish();
    let found = ask(server, target, None, ("com.atproto.repo.getRecord", &record)).await;
    let did = found.as_ref().and_then(|found| found.get("value")?.get("did")?.as_str());
    match did.filter(|did| did.parse::<Did>().is_ok()) {
        Some(did) => Ok(did.to_owned()),
        None => Err(XrpcError::bad("UnknownFeed", "could not resolve feed did")),
    }
}
