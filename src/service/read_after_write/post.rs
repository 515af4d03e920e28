//! An account's own posts and profile in the shapes that an `AppView` gives them.

use serde_json::{Map, Value, json};

use super::{
    Fresh, Quotes, Unseen,
    quote::{not_found, quoted_uri},
};

/// What the embed's record and media are views of.
const IMAGES: &str = "app.bsky.embed.images";
const EXTERNAL: &str = "app.bsky.embed.external";
const RECORD: &str = "app.bsky.embed.record";
const RECORD_WITH_MEDIA: &str = "app.bsky.embed.recordWithMedia";

/// `app.bsky.feed.defs#postView`. Nobody has liked it yet.
pub(super) fn post_view(post: &Fresh, unseen: &Unseen, quotes: &Quotes) -> Value {
    let mut view = Map::new();
    view.insert("uri".to_owned(), post.uri.as_str().into());
    view.insert("cid".to_owned(), post.cid.as_str().into());
    view.insert("author".to_owned(), author(unseen));
    view.insert("record".to_owned(), post.record.clone());
    for count in ["likeCount", "replyCount", "repostCount", "quoteCount"] {
        view.insert(count.to_owned(), 0.into());
    }
    set(&mut view, "embed", post.record.get("embed").and_then(|embed| embed_view(embed, unseen, quotes)));
    view.insert("indexedAt".to_owned(), post.indexed_at.to_rfc3339_millis().into());
    Value::Object(view)
}

/// `app.bsky.actor.defs#profileViewBasic`.
fn author(unseen: &Unseen) -> Value {
    let mut view = Map::new();
    view.insert("did".to_owned(), unseen.did.as_str().into());
    view.insert("handle".to_owned(), unseen.handle.as_str().into());
    if let Some(profile) = &unseen.current_profile {
        update_basic(&mut view, profile, unseen);
    }
    Value::Object(view)
}

/// How much of a profile a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Name and picture.
    Basic,
    /// Everything.
    Detailed,
}

/// Brings a view of the account's profile up to date.
pub(super) fn update_profile(view: &mut Value, profile: &Value, detail: Detail, unseen: &Unseen) {
    let Some(view) = view.as_object_mut() else { return };
    update_basic(view, profile, unseen);
    if detail == Detail::Detailed {
        set(view, "description", profile.get("description").cloned());
        set(view, "banner", image(profile.get("banner"), "banner", unseen));
    }
}

fn update_basic(view: &mut Map<String, Value>, profile: &Value, unseen: &Unseen) {
    set(view, "displayName", profile.get("displayName").cloned());
    set(view, "avatar", image(profile.get("avatar"), "avatar", unseen));
}

fn embed_view(embed: &Value, unseen: &Unseen, quotes: &Quotes) -> Option<Value> {
    match type_of(embed)? {
        IMAGES => images_view(embed, unseen),
        EXTERNAL => external_view(embed, unseen),
        RECORD => record_view(embed, quotes),
        RECORD_WITH_MEDIA => {
            let media = embed.get("media")?;
            let media = match type_of(media)? {
                IMAGES => images_view(media, unseen),
                EXTERNAL => external_view(media, unseen),
                _ => None,
            }?;
            let record = record_view(embed.get("record")?, quotes)?;
            Some(json!({ "$type": "app.bsky.embed.recordWithMedia#view", "record": record, "media": media }))
        }
        _ => None,
    }
}

fn images_view(embed: &Value, unseen: &Unseen) -> Option<Value> {
    let view = |shown: &Value| {
        let mut view = Map::new();
        set(&mut view, "thumb", image(shown.get("image"), "feed_thumbnail", unseen));
        set(&mut view, "fullsize", image(shown.get("image"), "feed_fullsize", unseen));
        set(&mut view, "aspectRatio", shown.get("aspectRatio").cloned());
        set(&mut view, "alt", shown.get("alt").cloned());
        Value::Object(view)
    };
    let images: Vec<Value> = embed.get("images")?.as_array()?.iter().map(view).collect();
    Some(json!({ "$type": "app.bsky.embed.images#view", "images": images }))
}

fn external_view(embed: &Value, unseen: &Unseen) -> Option<Value> {
    let external = embed.get("external")?;
    let mut view = Map::new();
    for name in ["uri", "title", "description"] {
        set(&mut view, name, external.get(name).cloned());
    }
    set(&mut view, "thumb", image(external.get("thumb"), "feed_thumbnail", unseen));
    Some(json!({ "$type": "app.bsky.embed.external#view", "external": view }))
}

fn record_view(embed: &Value, quotes: &Quotes) -> Option<Value> {
    let uri = quoted_uri(embed)?;
    let record = quotes.get(uri).cloned().unwrap_or_else(|| not_found(uri));
    Some(json!({ "$type": "app.bsky.embed.record#view", "record": record }))
}

/// The address of an image of the account's.
fn image(blob: Option<&Value>, preset: &str, unseen: &Unseen) -> Option<Value> {
    let blob = blob?;
    let cid = blob.get("ref").and_then(|link| link.get("$link")).or_else(|| blob.get("cid"))?.as_str()?;
    if let Some(pattern) = &unseen.images.pattern {
        let url = [preset, &unseen.did, cid].iter().fold(pattern.clone(), |url, part| url.replacen("%s", part, 1));
        return Some(url.into());
    }
    let mut url = unseen.images.server.clone();
    url.set_path("/xrpc/com.atproto.sync.getBlob");
    url.query_pairs_mut().append_pair("did", &unseen.did).append_pair("cid", cid);
    Some(String::from(url).into())
}

fn type_of(value: &Value) -> Option<&str> {
    value.get("$type")?.as_str()
}

/// Sets a property, or takes it away.
fn set(view: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => view.insert(name.to_owned(), value),
        None => view.remove(name),
    };
}
