//! What fresh posts quote: only the service can show it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Unseen;
use crate::syntax::AtUri;

/// Something that a post quotes, and how to ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quote {
    /// Its AT-URI.
    pub uri: String,
    /// The method that shows it.
    pub method: &'static str,
    /// The method's parameter for the URI.
    pub parameter: &'static str,
}

/// Quoted records by their AT-URI, as embeds show them.
pub type Quotes = HashMap<String, Value>;

/// Everything that fresh posts quote and that can be asked for.
pub fn quoted(unseen: &Unseen) -> Vec<Quote> {
    let mut found: Vec<Quote> = Vec::new();
    for post in &unseen.posts {
        let quote = post.record.get("embed").and_then(embedded_record).and_then(quoted_uri).and_then(Quote::of);
        found.extend(quote.filter(|quote| !found.contains(quote)));
    }
    found
}

impl Quote {
    fn of(uri: &str) -> Option<Self> {
        let parsed: AtUri = uri.parse().ok()?;
        let (method, parameter) = match parsed.collection?.as_str() {
            "app.bsky.feed.post" => ("app.bsky.feed.getPosts", "uris"),
            "app.bsky.feed.generator" => ("app.bsky.feed.getFeedGenerator", "feed"),
            "app.bsky.graph.list" => ("app.bsky.graph.getList", "list"),
            _ => return None,
        };
        Some(Self { uri: uri.to_owned(), method, parameter })
    }

    /// The view within the method's answer; none when the service does not have it.
    pub fn view(&self, answer: &Value) -> Option<Value> {
        match self.method {
            "app.bsky.feed.getPosts" => answer.get("posts")?.get(0).map(post_view),
            "app.bsky.feed.getFeedGenerator" => typed(answer.get("view")?, "app.bsky.feed.defs#generatorView"),
            _ => typed(answer.get("list")?, "app.bsky.graph.defs#listView"),
        }
    }
}

/// The `app.bsky.embed.record` in an embed.
fn embedded_record(embed: &Value) -> Option<&Value> {
    match embed.get("$type")?.as_str()? {
        "app.bsky.embed.record" => Some(embed),
        "app.bsky.embed.recordWithMedia" => embed.get("record"),
        _ => None,
    }
}

/// What an `app.bsky.embed.record` points to.
pub(super) fn quoted_uri(embed: &Value) -> Option<&str> {
    embed.get("record")?.get("uri")?.as_str()
}

/// `app.bsky.embed.record#viewNotFound`.
pub(super) fn not_found(uri: &str) -> Value {
    json!({ "$type": "app.bsky.embed.record#viewNotFound", "uri": uri, "notFound": true })
}

/// `app.bsky.embed.record#viewRecord` of a post view.
fn post_view(post: &Value) -> Value {
    let mut view = Map::new();
    view.insert("$type".to_owned(), "app.bsky.embed.record#viewRecord".into());
    for (from, to) in [
        ("uri", "uri"),
        ("cid", "cid"),
        ("author", "author"),
        ("record", "value"),
        ("labels", "labels"),
        ("indexedAt", "indexedAt"),
    ] {
        if let Some(value) = post.get(from) {
            view.insert(to.to_owned(), value.clone());
        }
    }
    if let Some(embed) = post.get("embed") {
        view.insert("embeds".to_owned(), json!([embed]));
    }
    Value::Object(view)
}

fn typed(view: &Value, kind: &str) -> Option<Value> {
    let mut view = view.as_object()?.clone();
    view.insert("$type".to_owned(), kind.into());
    Some(Value::Object(view))
}
