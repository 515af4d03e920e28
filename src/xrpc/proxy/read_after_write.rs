//! Answers into which is put what the account just wrote.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::{Answer, Codings, Message, Refusal, Target, Upstream, Whole, ask, inflate::inflated};
use crate::{
    limits::proxy::{QUOTES_TIMEOUT, RESPONSE_BYTES},
    service::{
        Server,
        read_after_write::{Quotes, Unseen, View, freshen, parent_to_ask_for, quoted, unseen, unseen_thread},
    },
    store::Account,
    syntax::Tid,
    xrpc::{
        Call, IntoReply, Reply, XrpcError,
        auth::{AnyAccess, Authenticate},
    },
};

const UPSTREAM_LAG: HeaderName = HeaderName::from_static("atproto-upstream-lag");

/// Passes a query on, and puts into the answer what the service has not seen yet. Whatever goes wrong with that, the
/// service's own answer is the answer.
///
/// # Errors
/// As [`super::pipe`].
pub async fn read_after_write(server: &Arc<Server>, call: &Call, view: View) -> Result<Reply, XrpcError> {
    let AnyAccess { account, .. } = AnyAccess::authenticate(server, &call.head).await?;
    let target = Target::of(server, &call.head).await?;
    let nsid = call.head.nsid.as_str();
    let message = Message::get(&target, nsid, call.uri.query(), &call.head.headers, Codings::Shared).speaking_for(
        server,
        &account,
        target.did.as_str(),
        nsid,
    )?;
    let asked = Asked { server, account: &account, target: &target, view, query: call.uri.query().unwrap_or("") };
    match message.send(server).await? {
        Answer::Success(upstream) => asked.answered(upstream).await,
        Answer::Refused(refusal) if view == View::PostThread && refusal.error.name == "NotFound" => {
            match asked.not_found(&refusal).await {
                Some(reply) => Ok(reply),
                None => refusal.into_reply(),
            }
        }
        Answer::Refused(refusal) => refusal.into_reply(),
    }
}

/// A query that was passed on.
struct Asked<'a> {
    server: &'a Server,
    account: &'a Account,
    target: &'a Target,
    view: View,
    query: &'a str,
}

impl Asked<'_> {
    async fn answered(&self, upstream: Upstream) -> Result<Reply, XrpcError> {
        let seen = upstream.repo_rev().map(str::to_owned).filter(|_| upstream.is_json());
        let Some(unseen) = self.unseen(seen.as_deref()).await else { return upstream.into_reply() };
        let whole = upstream.buffered(RESPONSE_BYTES).await?;
        match self.freshened(&whole, &unseen).await {
            Some(json) => Ok(whole.with_json(json, self.lag(&unseen))),
            None => whole.into_reply(),
        }
    }

    /// What the service does not know, if it told how much it knows and there is anything.
    async fn unseen(&self, seen: Option<&str>) -> Option<Unseen> {
        let rev: Tid = seen?.parse().ok()?;
        match unseen(self.server, self.account, rev).await {
            Ok(unseen) => Some(unseen).filter(|unseen| !unseen.is_empty()),
            Err(cause) => {
                tracing::warn!(%cause, "what an account wrote could not be put into a service's answer");
                None
            }
        }
    }

    async fn freshened(&self, whole: &Whole, unseen: &Unseen) -> Option<Vec<u8>> {
        let plain = inflated(&whole.headers, whole.body.clone(), RESPONSE_BYTES).await.ok()?;
        let answer: Value = serde_json::from_slice(&plain).ok()?;
        let pages = Pages::of(self.query);
        let mut unseen = unseen.clone();
        // What is new stands on the first page.
        if self.view != View::PostThread && pages.cursor.is_some() {
            unseen.posts.clear();
        }
        let quotes = if self.view.shows_posts() { self.quotes(&unseen).await? } else { Quotes::new() };
        serde_json::to_vec(&freshen(self.view, answer, &unseen, &quotes)).ok()
    }

    /// What fresh posts quote; none when the service does not say in time, in words, whether it has it.
    async fn quotes(&self, unseen: &Unseen) -> Option<Quotes> {
        let asking = quoted(unseen).into_iter().map(|quote| async move {
            let uri: String = byte_serialize(quote.uri.as_bytes()).collect();
            let query = format!("{}={uri}", quote.parameter);
            let answer = ask(self.server, self.target, Some(self.account), (quote.method, &query)).await?;
            Some((quote.uri.clone(), quote.view(&answer)))
        });
        let answers = tokio::time::timeout(QUOTES_TIMEOUT, join_all(asking)).await.ok()?;
        let mut quotes = Quotes::new();
        for answer in answers {
            let (uri, view) = answer?;
            quotes.extend(view.map(|view| (uri, view)));
        }
        Some(quotes)
    }

    /// The thread of the account's own post that the service has not heard of.
    async fn not_found(&self, refusal: &Refusal) -> Option<Reply> {
        let seen = refusal.headers.get("atproto-repo-rev")?.to_str().ok()?;
        let unseen = self.unseen(Some(seen)).await?;
        let uri = self.own_uri(Pages::of(self.query).uri?.as_str())?;
        let quotes = self.quotes(&unseen).await?;
        let mut answer = unseen_thread(&uri, &unseen, &quotes)?;
        if let Some(parent) = self.parents(&answer).await
            && let Some(thread) = answer.get_mut("thread").and_then(Value::as_object_mut)
        {
            thread.insert("parent".to_owned(), parent);
        }
        let mut reply = Reply::raw_json(serde_json::to_vec(&answer).ok()?);
        reply.headers.extend(self.lag(&unseen));
        Some(reply)
    }

    /// An AT-URI of the account's, with its DID.
    fn own_uri(&self, uri: &str) -> Option<String> {
        let rest = uri.strip_prefix("at://")?;
        let (authority, path) = rest.split_once('/')?;
        let did = self.account.did.as_str();
        let is_own = authority == did || authority.eq_ignore_ascii_case(self.account.handle.as_str());
        is_own.then(|| format!("at://{did}/{path}"))
    }

    /// The posts above a thread, as far as the service has them.
    async fn parents(&self, answer: &Value) -> Option<Value> {
        let uri: String = byte_serialize(parent_to_ask_for(answer)?.as_bytes()).collect();
        let height = Pages::of(self.query).parent_height.map(|height| format!("&parentHeight={height}"));
        let query = format!("uri={uri}{}&depth=0", height.unwrap_or_default());
        let asking = ask(self.server, self.target, Some(self.account), ("app.bsky.feed.getPostThread", &query));
        let mut above = tokio::time::timeout(QUOTES_TIMEOUT, asking).await.ok()??;
        above.get_mut("thread").map(Value::take)
    }

    fn lag(&self, unseen: &Unseen) -> Option<(HeaderName, HeaderValue)> {
        let lag = unseen.lag(self.server.now())?;
        Some((UPSTREAM_LAG, HeaderValue::from_str(&lag.to_string()).ok()?))
    }
}

/// The parameters that matter here.
#[derive(Debug, Default, Deserialize)]
struct Pages {
    cursor: Option<String>,
    uri: Option<String>,
    #[serde(rename = "parentHeight")]
    parent_height: Option<u32>,
}

impl Pages {
    /// What cannot be read is the service's to refuse.
    fn of(query: &str) -> Self {
        serde_html_form::from_str(query).unwrap_or_default()
    }
}
