//! Validating a post with facets, an embed and a reply; the parameters of `getRecord`; compiling what the program carries.
#![expect(clippy::unwrap_used, reason = "a benchmark may stop with a backtrace")]

use criterion::{Criterion, criterion_group, criterion_main};
use housekey::{
    ipld::{Value, json::from_json},
    lexicon::{Document, check_params, check_record, published},
};
use serde_json::json;
use std::hint::black_box;

fn post() -> Value {
    let text =
        "A post of about the length that people write, with a mention of @alice.test and a link to example.com. "
            .repeat(2);
    let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let cid = "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";
    let image = "bafkreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";
    let parent = json!({ "uri": format!("at://{did}/app.bsky.feed.post/3jzfcijpj2z2a"), "cid": cid });
    from_json(&json!({
        "$type": "app.bsky.feed.post",
        "text": text,
        "createdAt": "2026-01-01T12:34:56.789Z",
        "langs": ["en", "de"],
        "reply": { "root": parent, "parent": parent },
        "facets": [
            { "index": { "byteStart": 50, "byteEnd": 61 }, "features": [{ "$type": "app.bsky.richtext.facet#mention", "did": did }] },
            { "index": { "byteStart": 76, "byteEnd": 87 }, "features": [{ "$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/a" }] },
        ],
        "embed": { "$type": "app.bsky.embed.images", "images": [
            { "alt": "One picture", "aspectRatio": { "width": 4, "height": 3 },
              "image": { "$type": "blob", "ref": { "$link": image }, "mimeType": "image/jpeg", "size": 900_000 } },
            { "alt": "Another", "image": { "$type": "blob", "ref": { "$link": image }, "mimeType": "image/png", "size": 800_000 } },
        ] },
    }))
    .unwrap()
}

fn validating(c: &mut Criterion) {
    let post = post();
    let document = published().get("app.bsky.feed.post").unwrap();
    let kind = document.record().unwrap();
    check_record(published(), kind, &post).unwrap();
    c.bench_function("validate a post", |b| b.iter(|| check_record(published(), kind, black_box(&post))));

    let method = published().get("com.atproto.repo.getRecord").unwrap().method().unwrap();
    let params = method.params.as_ref().unwrap();
    let query = "repo=did%3Aplc%3Aewvi7nxzyoun6zhxrhs64oiz&collection=app.bsky.feed.post&rkey=3jzfcijpj2z2a";
    c.bench_function("check the parameters of getRecord", |b| {
        b.iter(|| {
            let pairs: Vec<_> = url::form_urlencoded::parse(black_box(query).as_bytes()).collect();
            check_params(published(), params, &pairs)
        });
    });

    let text = include_str!("../assets/lexicons/published/app.bsky.jsonl");
    let line = text.lines().find(|line| line.contains("\"id\":\"app.bsky.feed.post\"")).unwrap();
    c.bench_function("compile the schema of a post", |b| b.iter(|| Document::from_json(black_box(line.as_bytes()))));
}

criterion_group!(benches, validating);
criterion_main!(benches);
