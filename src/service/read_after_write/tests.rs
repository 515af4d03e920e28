use serde_json::{Value, json};

use super::*;
use crate::service::testing::{As, World};

const DID: &str = "did:plc:alice";

fn post(n: i64, record: Value) -> Fresh {
    Fresh {
        uri: format!("at://{DID}/app.bsky.feed.post/{n}"),
        cid: format!("cid{n}"),
        indexed_at: Timestamp::from_secs(n),
        record,
    }
}

fn text(n: i64) -> Fresh {
    post(n, json!({ "$type": "app.bsky.feed.post", "text": n.to_string() }))
}

fn reply(n: i64, root: i64, parent: i64) -> Fresh {
    let at = |n: i64| json!({ "uri": format!("at://{DID}/app.bsky.feed.post/{n}"), "cid": "x" });
    post(n, json!({ "text": "re", "reply": { "root": at(root), "parent": at(parent) } }))
}

fn unseen_with(profile: Option<Value>, posts: Vec<Fresh>) -> Unseen {
    let profile = profile.map(|record| Fresh {
        uri: format!("at://{DID}/app.bsky.actor.profile/self"),
        cid: "p".to_owned(),
        indexed_at: Timestamp::from_secs(7),
        record,
    });
    Unseen {
        did: DID.to_owned(),
        handle: "alice.test".to_owned(),
        current_profile: profile.as_ref().map(|profile| profile.record.clone()),
        profile,
        posts,
        images: Images { pattern: None, server: "https://pds.example.com".parse().unwrap() },
    }
}

fn item(n: i64, did: &str) -> Value {
    json!({ "post": {
        "uri": format!("at://{did}/app.bsky.feed.post/{n}"),
        "author": { "did": did, "handle": "h", "displayName": "old", "avatar": "old" },
        "indexedAt": Timestamp::from_secs(n).to_rfc3339_millis(),
    } })
}

fn uris(answer: &Value) -> Vec<String> {
    let feed = answer["feed"].as_array().unwrap().iter();
    feed.map(|item| item["post"]["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

fn fresh_answer(view: View, answer: &Value, unseen: &Unseen) -> Value {
    freshen(view, answer.clone(), unseen, &Quotes::new())
}

#[test]
fn posts_stand_in_the_timeline_where_their_time_puts_them() {
    let timeline =
        json!({ "feed": [item(50, "did:plc:b"), item(30, "did:plc:b"), item(20, "did:plc:b")], "cursor": "c" });
    let unseen = unseen_with(None, vec![text(10), text(25), text(40), text(60)]);
    let answer = fresh_answer(View::Timeline, &timeline, &unseen);
    assert_eq!(uris(&answer), ["60", "50", "40", "30", "25", "20"]);
    assert_eq!(answer["cursor"], "c");
    let shown = &answer["feed"][0]["post"];
    assert_eq!(shown["author"], json!({ "did": DID, "handle": "alice.test" }));
    assert_eq!(shown["record"]["text"], "60");
    assert_eq!(shown["indexedAt"], "1970-01-01T00:01:00.000Z");
    assert_eq!(shown["likeCount"], 0);
    assert!(shown.get("embed").is_none());
}

#[test]
fn an_empty_timeline_gets_every_post_newest_first_and_a_known_post_is_not_shown_twice() {
    let answer = fresh_answer(View::Timeline, &json!({ "feed": [] }), &unseen_with(None, vec![text(1), text(2)]));
    assert_eq!(uris(&answer), ["2", "1"]);
    let known = json!({ "feed": [item(2, DID), item(1, "did:plc:b")] });
    let answer = fresh_answer(View::Timeline, &known, &unseen_with(None, vec![text(2)]));
    assert_eq!(uris(&answer), ["2", "1"]);
}

#[test]
fn a_changed_profile_shows_in_every_view_of_its_owner_only() {
    let image = json!({ "$type": "blob", "ref": { "$link": "bafyimage" }, "mimeType": "image/png", "size": 1 });
    let record = json!({ "displayName": "New", "description": "new", "avatar": image, "banner": { "cid": "bafyold" } });
    let unseen = unseen_with(Some(record), vec![]);
    let profile =
        |did: &str| json!({ "did": did, "handle": "h", "displayName": "old", "description": "old", "banner": "old" });
    let shown = fresh_answer(View::Profile, &profile(DID), &unseen);
    assert_eq!(shown["displayName"], "New");
    assert_eq!(shown["description"], "new");
    let url = "https://pds.example.com/xrpc/com.atproto.sync.getBlob?did=did%3Aplc%3Aalice&cid=bafyimage";
    assert_eq!(shown["avatar"], url);
    assert!(shown["banner"].as_str().unwrap().ends_with("cid=bafyold"));
    assert_eq!(fresh_answer(View::Profile, &profile("did:plc:b"), &unseen), profile("did:plc:b"));

    let both = json!({ "profiles": [profile("did:plc:b"), profile(DID)] });
    let shown = fresh_answer(View::Profiles, &both, &unseen);
    assert_eq!(shown["profiles"][0], profile("did:plc:b"));
    assert_eq!(shown["profiles"][1]["displayName"], "New");

    let likes = json!({ "feed": [item(3, DID), item(2, "did:plc:b")] });
    let shown = fresh_answer(View::ActorLikes, &likes, &unseen);
    assert_eq!(shown["feed"][0]["post"]["author"]["displayName"], "New");
    assert!(shown["feed"][0]["post"]["author"].get("description").is_none());
    assert_eq!(shown["feed"][1], likes["feed"][1]);
}

#[test]
fn what_a_profile_no_longer_has_goes() {
    let unseen = unseen_with(Some(json!({})), vec![]);
    let shown =
        fresh_answer(View::Profile, &json!({ "did": DID, "displayName": "old", "avatar": "old", "x": 1 }), &unseen);
    assert_eq!(shown, json!({ "did": DID, "x": 1 }));
}

#[test]
fn only_the_callers_own_feed_gets_its_posts() {
    let unseen = unseen_with(Some(json!({ "displayName": "New" })), vec![text(60)]);
    let own = fresh_answer(View::AuthorFeed, &json!({ "feed": [item(50, DID)] }), &unseen);
    assert_eq!(uris(&own), ["60", "50"]);
    assert_eq!(own["feed"][1]["post"]["author"]["displayName"], "New");
    let mut repost = item(50, "did:plc:b");
    repost["reason"] = json!({ "$type": "app.bsky.feed.defs#reasonRepost", "by": { "did": DID } });
    assert_eq!(uris(&fresh_answer(View::AuthorFeed, &json!({ "feed": [repost] }), &unseen)), ["60", "50"]);
    let mut pinned = item(50, DID);
    pinned["reason"] = json!({ "$type": "app.bsky.feed.defs#reasonPin" });
    for others in [json!({ "feed": [item(50, "did:plc:b")] }), json!({ "feed": [] }), json!({ "feed": [pinned] })] {
        assert_eq!(fresh_answer(View::AuthorFeed, &others, &unseen), others);
    }
}

fn thread(n: i64, replies: Option<Vec<Value>>) -> Value {
    let mut view = json!({ "$type": "app.bsky.feed.defs#threadViewPost", "post": {
        "uri": format!("at://{DID}/app.bsky.feed.post/{n}"), "record": {} } });
    if let Some(replies) = replies {
        view["replies"] = replies.into();
    }
    view
}

#[test]
fn replies_come_first_below_the_post_that_they_answer() {
    let answer =
        json!({ "thread": thread(1, Some(vec![thread(2, Some(vec![])), json!({ "$type": "x#blockedPost" })])) });
    let unseen =
        unseen_with(None, vec![reply(10, 1, 2), reply(11, 1, 10), reply(12, 1, 1), reply(13, 99, 1), text(14)]);
    let shown = fresh_answer(View::PostThread, &answer, &unseen);
    let replies = &shown["thread"]["replies"];
    let number = |view: &Value| view["post"]["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(number(&replies[0]), "12");
    assert_eq!(number(&replies[1]), "2");
    assert_eq!(number(&replies[1]["replies"][0]), "10");
    assert_eq!(number(&replies[1]["replies"][0]["replies"][0]), "11");
    assert_eq!(replies.as_array().unwrap().len(), 3);
    let other = json!({ "thread": { "$type": "app.bsky.feed.defs#notFoundPost", "uri": "x" } });
    assert_eq!(fresh_answer(View::PostThread, &other, &unseen), other);
}

#[test]
fn the_thread_of_a_post_that_nobody_else_knows_is_made_here() {
    let unseen = unseen_with(None, vec![reply(10, 1, 2), reply(11, 1, 10)]);
    let shown = unseen_thread(&unseen.posts[0].uri, &unseen, &Quotes::new()).unwrap();
    assert_eq!(shown["thread"]["replies"][0]["post"]["uri"], unseen.posts[1].uri);
    assert_eq!(parent_to_ask_for(&shown), Some("at://did:plc:alice/app.bsky.feed.post/2"));
    assert!(unseen_thread("at://did:plc:alice/app.bsky.feed.post/99", &unseen, &Quotes::new()).is_none());
}

#[test]
fn embeds_are_shown_as_the_service_would() {
    let blob = |cid: &str| json!({ "$type": "blob", "ref": { "$link": cid } });
    let quote = json!({ "uri": "at://did:plc:b/app.bsky.feed.post/1", "cid": "q" });
    let images = json!({ "$type": "app.bsky.embed.images", "images": [{ "alt": "a", "image": blob("i"), "aspectRatio": { "width": 1, "height": 2 } }] });
    let external = json!({ "$type": "app.bsky.embed.external", "external": { "uri": "https://x.example", "title": "t", "description": "d", "thumb": blob("t") } });
    let record = json!({ "$type": "app.bsky.embed.record", "record": quote });
    let with_media = json!({ "$type": "app.bsky.embed.recordWithMedia", "record": record, "media": images });
    let embeds = [images, external, record, with_media, json!({ "$type": "app.bsky.embed.video" }), json!(3)];
    let posts = (1..).zip(embeds).map(|(n, embed)| post(n, json!({ "embed": embed }))).collect();
    let mut unseen = unseen_with(None, posts);
    unseen.images.pattern = Some("https://cdn.example/img/%s/plain/%s/%s@jpeg".to_owned());

    let asked = quoted(&unseen);
    assert_eq!(asked.len(), 1, "each quote is asked for once");
    assert_eq!((asked[0].method, asked[0].parameter), ("app.bsky.feed.getPosts", "uris"));
    let answer = json!({ "posts": [{ "uri": asked[0].uri, "cid": "q", "author": { "did": "did:plc:b" },
        "record": { "text": "quoted" }, "embed": { "$type": "e" }, "indexedAt": "t" }] });
    let quotes = Quotes::from([(asked[0].uri.clone(), asked[0].view(&answer).unwrap())]);
    let shown = freshen(View::Timeline, json!({ "feed": [] }), &unseen, &quotes);
    let embed = |n: usize| &shown["feed"][6 - n]["post"]["embed"];
    assert_eq!(embed(1)["images"][0]["thumb"], "https://cdn.example/img/feed_thumbnail/plain/did:plc:alice/i@jpeg");
    assert_eq!(embed(1)["images"][0]["aspectRatio"]["height"], 2);
    assert_eq!(embed(2)["external"]["title"], "t");
    assert_eq!(embed(3)["record"]["$type"], "app.bsky.embed.record#viewRecord");
    assert_eq!(embed(3)["record"]["value"]["text"], "quoted");
    assert_eq!(embed(3)["record"]["embeds"][0]["$type"], "e");
    assert_eq!(embed(4)["media"]["$type"], "app.bsky.embed.images#view");
    assert_eq!(embed(4)["record"]["record"]["uri"], asked[0].uri);
    assert!(embed(5).is_null() && embed(6).is_null());
    let nobody_has_it = freshen(View::Timeline, json!({ "feed": [] }), &unseen, &Quotes::new());
    assert_eq!(nobody_has_it["feed"][3]["post"]["embed"]["record"]["notFound"], true);
}

#[test]
fn an_answer_of_another_shape_stays_as_it_is() {
    let unseen = unseen_with(Some(json!({ "displayName": "New" })), vec![text(60)]);
    for view in [View::Profile, View::Profiles, View::Timeline, View::AuthorFeed, View::ActorLikes, View::PostThread] {
        for odd in [json!(null), json!([]), json!({ "feed": {} }), json!({ "feed": 3, "thread": 1, "profiles": "x" })] {
            assert_eq!(fresh_answer(view, &odd, &unseen), odd, "{view:?}");
        }
    }
    let odd_items = json!({ "feed": [null, 3, { "post": 1 }, { "post": { "author": [] } }] });
    assert_eq!(fresh_answer(View::ActorLikes, &odd_items, &unseen), odd_items);
}

#[test]
fn the_lag_is_the_age_of_the_oldest_that_is_not_seen() {
    let unseen = unseen_with(Some(json!({})), vec![text(9), text(12)]);
    assert_eq!(unseen.lag(Timestamp::from_secs(20)), Some(13_000));
    assert_eq!(unseen_with(None, vec![]).lag(Timestamp::from_secs(20)), None);
}

/// Writes through the method, and returns the revision.
async fn write(world: &World, token: &str, did: &Did, collection: &str, record: Value) -> Tid {
    let key = if collection == "app.bsky.actor.profile" { "self" } else { "" };
    let mut input = json!({ "repo": did, "collection": collection, "record": record });
    if !key.is_empty() {
        input["rkey"] = key.into();
    }
    world.clock.advance(std::time::Duration::from_secs(1));
    let answer = world.post("com.atproto.repo.createRecord", As::Bearer(token), &input).await.ok();
    answer["commit"]["rev"].as_str().unwrap().parse().unwrap()
}

fn valid_post(text: &str) -> Value {
    json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00Z" })
}

#[tokio::test]
async fn what_was_written_since_a_revision_is_unseen() {
    let world = World::new().await;
    let signed_up = world.signed_up("alice").await;
    let (alice, token) = (signed_up.account, signed_up.tokens.access_jwt);
    let first = write(&world, &token, &alice.did, "app.bsky.feed.post", valid_post("one")).await;
    let profile = json!({ "$type": "app.bsky.actor.profile", "displayName": "Alice" });
    let second = write(&world, &token, &alice.did, "app.bsky.actor.profile", profile).await;
    let third = write(&world, &token, &alice.did, "app.bsky.feed.post", valid_post("two")).await;
    let texts = |unseen: &Unseen| -> Vec<String> {
        unseen.posts.iter().map(|post| post.record["text"].as_str().unwrap().to_owned()).collect()
    };
    let since_first = unseen(&world.server, &alice, first).await.unwrap();
    assert_eq!(texts(&since_first), ["two"]);
    assert_eq!(since_first.profile.as_ref().unwrap().record["displayName"], "Alice");
    assert_eq!(since_first.posts[0].indexed_at, third.timestamp());
    let since_second = unseen(&world.server, &alice, second).await.unwrap();
    assert!(since_second.profile.is_none() && since_second.current_profile.is_some());
    assert_eq!(texts(&since_second), ["two"]);
    assert!(unseen(&world.server, &alice, third).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_knows_nothing_of_a_repository_is_not_taken_for_a_little_late() {
    let world = World::new().await;
    let signed_up = world.signed_up("alice").await;
    let (alice, token) = (signed_up.account, signed_up.tokens.access_jwt);
    let before = Tid::new(world.server.now().minus(std::time::Duration::from_hours(1)), 0);
    write(&world, &token, &alice.did, "app.bsky.feed.post", valid_post("one")).await;
    assert!(unseen(&world.server, &alice, before).await.unwrap().is_empty());
}
