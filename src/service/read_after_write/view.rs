//! The answers into which fresh records are put.

use serde_json::{Value, json};

use super::{
    Fresh, Quotes, Unseen,
    post::{Detail, post_view, update_profile},
};

const THREAD_VIEW_POST: &str = "app.bsky.feed.defs#threadViewPost";

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// `app.bsky.actor.getProfile`
    Profile,
    /// `app.bsky.actor.getProfiles`
    Profiles,
    /// `app.bsky.feed.getTimeline`
    Timeline,
    /// `app.bsky.feed.getAuthorFeed`
    AuthorFeed,
    /// `app.bsky.feed.getActorLikes`
    ActorLikes,
    /// `app.bsky.feed.getPostThread`
    PostThread,
}

impl View {
    /// Whether fresh posts are put into it.
    pub const fn shows_posts(self) -> bool {
        match self {
            Self::Timeline | Self::AuthorFeed | Self::PostThread => true,
            Self::Profile | Self::Profiles | Self::ActorLikes => false,
        }
    }
}

/// Puts what is unseen into an answer. What has not the shape that it should have stays as it is.
pub fn freshen(view: View, mut answer: Value, unseen: &Unseen, quotes: &Quotes) -> Value {
    match view {
        View::Profile => freshen_profile(&mut answer, Detail::Detailed, unseen),
        View::Profiles => {
            for profile in list(&mut answer, "profiles").into_iter().flatten() {
                freshen_profile(profile, Detail::Detailed, unseen);
            }
        }
        View::ActorLikes => freshen_authors(&mut answer, unseen),
        View::Timeline => insert_posts(&mut answer, unseen, quotes),
        View::AuthorFeed if is_own_feed(&answer, unseen) => {
            freshen_authors(&mut answer, unseen);
            insert_posts(&mut answer, unseen, quotes);
        }
        View::AuthorFeed => {}
        View::PostThread => {
            if let Some(thread) = answer.get_mut("thread").filter(|thread| is_thread(thread)) {
                add_to_thread(thread, &unseen.posts, unseen, quotes);
            }
        }
    }
    answer
}

/// The thread of a post that the service does not know at all; none when it is not among the fresh ones.
pub fn unseen_thread(uri: &str, unseen: &Unseen, quotes: &Quotes) -> Option<Value> {
    let post = unseen.posts.iter().find(|post| post.uri == uri)?;
    let mut thread = thread_post(post, unseen, quotes);
    let others: Vec<Fresh> = unseen.posts.iter().filter(|other| other.uri != uri).cloned().collect();
    add_to_thread(&mut thread, &others, unseen, quotes);
    Some(json!({ "thread": thread }))
}

/// The post that a thread's first one answers.
pub fn parent_to_ask_for(answer: &Value) -> Option<&str> {
    reply_uri(answer.get("thread")?.get("post")?.get("record")?, "parent")
}

fn freshen_profile(view: &mut Value, detail: Detail, unseen: &Unseen) {
    if let Some(profile) = &unseen.profile
        && view.get("did").and_then(Value::as_str) == Some(&unseen.did)
    {
        update_profile(view, &profile.record, detail, unseen);
    }
}

fn freshen_authors(answer: &mut Value, unseen: &Unseen) {
    for item in list(answer, "feed").into_iter().flatten() {
        if let Some(author) = item.get_mut("post").and_then(|post| post.get_mut("author")) {
            freshen_profile(author, Detail::Basic, unseen);
        }
    }
}

/// By the first entry, as the reference judges: the caller's own post, or a repost by the caller.
fn is_own_feed(answer: &Value, unseen: &Unseen) -> bool {
    let Some(first) = answer.get("feed").and_then(|feed| feed.get(0)) else { return false };
    let is_caller = |profile: Option<&Value>| {
        profile.and_then(|profile| profile.get("did")).and_then(Value::as_str) == Some(&unseen.did)
    };
    match first.get("reason") {
        None => is_caller(first.get("post").and_then(|post| post.get("author"))),
        Some(reason) => {
            let is_repost = reason.get("$type").and_then(Value::as_str) == Some("app.bsky.feed.defs#reasonRepost");
            is_repost && is_caller(reason.get("by"))
        }
    }
}

/// Where each would stand by its time, unless it is older than everything that is shown.
fn insert_posts(answer: &mut Value, unseen: &Unseen, quotes: &Quotes) {
    let Some(feed) = list(answer, "feed") else { return };
    let last = feed.last().and_then(indexed_at).unwrap_or_default().to_owned();
    for post in unseen.posts.iter().rev() {
        let time = post.indexed_at.to_rfc3339_millis();
        let is_known = feed.iter().any(|item| uri_of(item) == Some(&post.uri));
        if time <= last || is_known {
            continue;
        }
        let at = feed.iter().position(|item| indexed_at(item).is_some_and(|other| *other < *time));
        feed.insert(at.unwrap_or(feed.len()), json!({ "post": post_view(post, unseen, quotes) }));
    }
}

fn add_to_thread(thread: &mut Value, posts: &[Fresh], unseen: &Unseen, quotes: &Quotes) {
    let own = uri_of(thread).map(str::to_owned);
    let root = thread.get("post").and_then(|post| reply_uri(post.get("record")?, "root")).map(str::to_owned);
    for post in posts {
        let of = reply_uri(&post.record, "root");
        if of.is_some() && (of == own.as_deref() || of == root.as_deref()) {
            add_reply(thread, post, unseen, quotes);
        }
    }
}

/// Puts a reply below the post that it answers, which is this one or one below. The parser bounds how deep that is.
fn add_reply(thread: &mut Value, reply: &Fresh, unseen: &Unseen, quotes: &Quotes) {
    let is_parent = reply_uri(&reply.record, "parent").is_some_and(|parent| Some(parent) == uri_of(thread));
    if !is_parent {
        for below in list(thread, "replies").into_iter().flatten().filter(|below| is_thread(below)) {
            add_reply(below, reply, unseen, quotes);
        }
        return;
    }
    let is_known = list(thread, "replies").is_some_and(|all| all.iter().any(|one| uri_of(one) == Some(&reply.uri)));
    if is_known {
        return;
    }
    let view = thread_post(reply, unseen, quotes);
    if let Some(replies) = list(thread, "replies") {
        replies.insert(0, view);
    } else if let Some(thread) = thread.as_object_mut() {
        thread.insert("replies".to_owned(), json!([view]));
    }
}

fn thread_post(post: &Fresh, unseen: &Unseen, quotes: &Quotes) -> Value {
    json!({ "$type": THREAD_VIEW_POST, "post": post_view(post, unseen, quotes) })
}

fn is_thread(value: &Value) -> bool {
    value.get("$type").and_then(Value::as_str) == Some(THREAD_VIEW_POST)
}

fn list<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(name)?.as_array_mut()
}

fn indexed_at(item: &Value) -> Option<&str> {
    item.get("post")?.get("indexedAt")?.as_str()
}

fn uri_of(item: &Value) -> Option<&str> {
    item.get("post")?.get("uri")?.as_str()
}

/// The `root` or `parent` of a post that is a reply.
fn reply_uri<'a>(record: &'a Value, end: &str) -> Option<&'a str> {
    record.get("reply")?.get(end)?.get("uri")?.as_str()
}
