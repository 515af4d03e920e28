use crate::{
    crypto::jwt::Scope,
    methods::testing::Bench,
    store::{Account, AccountState},
    xrpc::RequestBody,
};
use http::{Method, header};
use serde_json::{Value as Json, json};

const POST: &str = "com.example.post";
const CREATE: &str = "com.atproto.repo.createRecord";
const PUT: &str = "com.atproto.repo.putRecord";
const DELETE: &str = "com.atproto.repo.deleteRecord";
const APPLY: &str = "com.atproto.repo.applyWrites";
const UPLOAD: &str = "com.atproto.repo.uploadBlob";

async fn alice() -> (Bench, Account) {
    let bench = Bench::new().await;
    let account = bench.fixture.account("alice").await;
    (bench, account)
}

async fn create(bench: &Bench, account: &Account, rkey: &str, record: Json) -> Json {
    let body = json!({ "repo": account.did, "collection": POST, "rkey": rkey, "record": record });
    bench.post(CREATE, &account.did, &body).await.ok()
}

async fn upload(bench: &Bench, account: &Account, kind: &str, bytes: &'static [u8]) -> Json {
    let body = RequestBody::full(kind, bytes);
    bench.call(Method::POST, UPLOAD, &[bench.bearer(&account.did)], body).await.ok()["blob"].clone()
}

async fn get(bench: &Bench, account: &Account, rkey: &str) -> crate::methods::testing::Answer {
    bench.get(&format!("com.atproto.repo.getRecord?repo={}&collection={POST}&rkey={rkey}", account.did), &[]).await
}

#[tokio::test]
async fn a_record_is_created_read_put_listed_and_deleted() {
    let (bench, alice) = alice().await;
    let created = create(&bench, &alice, "one", json!({ "text": "é\"<\u{1f600}", "n": -7 })).await;
    assert_eq!(created["uri"], format!("at://{}/{POST}/one", alice.did));
    assert_eq!(created["validationStatus"], "unknown");
    assert!(created["commit"]["cid"].is_string() && created["commit"]["rev"].is_string());
    let read = get(&bench, &alice, "one").await.ok();
    let value = json!({ "$type": POST, "text": "é\"<\u{1f600}", "n": -7 });
    assert_eq!(read, json!({ "uri": created["uri"], "cid": created["cid"], "value": value }));

    let put = json!({ "repo": "alice.test", "collection": POST, "rkey": "one", "record": { "n": 2 } });
    let changed = bench.post(PUT, &alice.did, &put).await.ok();
    assert_ne!(changed["cid"], created["cid"]);
    let again = bench.post(PUT, &alice.did, &put).await.ok();
    assert_eq!(again["cid"], changed["cid"]);
    assert_eq!(again.get("commit"), None);

    let gone = json!({ "repo": alice.did, "collection": POST, "rkey": "one" });
    assert!(bench.post(DELETE, &alice.did, &gone).await.ok()["commit"]["cid"].is_string());
    assert_eq!(bench.post(DELETE, &alice.did, &gone).await.ok(), json!({}));
    assert_eq!(get(&bench, &alice, "one").await.error(), (400, "RecordNotFound".to_owned()));
}

#[tokio::test]
async fn writes_without_or_with_the_wrong_credentials_are_refused() {
    let (bench, alice) = alice().await;
    let bob = bench.fixture.account("bob").await;
    let body = json!({ "repo": alice.did, "collection": POST, "record": {} });
    let anonymous =
        bench.call(Method::POST, CREATE, &[], RequestBody::full("application/json", body.to_string())).await;
    assert_eq!(anonymous.error(), (401, "AuthMissing".to_owned()));
    assert_eq!(bench.post(CREATE, &bob.did, &body).await.error(), (401, "AuthenticationRequired".to_owned()));
    let nobody = json!({ "repo": "nobody.test", "collection": POST, "record": {} });
    assert_eq!(bench.post(CREATE, &bob.did, &nobody).await.error(), (403, "AccountNotFound".to_owned()));
    let takendown = [(header::AUTHORIZATION, format!("Bearer {}", bench.fixture.token(&alice.did, Scope::Takendown)))];
    let refused =
        bench.call(Method::POST, CREATE, &takendown, RequestBody::full("application/json", body.to_string())).await;
    assert_eq!(refused.error(), (400, "InvalidToken".to_owned()));
    bench.fixture.set_state(&alice, AccountState::Deactivated { delete_after: None }).await;
    assert_eq!(bench.post(CREATE, &alice.did, &body).await.error().1, "AccountDeactivated");
}

#[tokio::test]
async fn malformed_writes_are_400_and_change_nothing() {
    let (bench, alice) = alice().await;
    let head = bench.fixture.server.store.head(alice.id).await.unwrap();
    let did = alice.did.as_str();
    for body in [
        json!({}),
        json!([]),
        json!({ "repo": did, "collection": POST }),
        json!({ "repo": did, "record": {} }),
        json!({ "repo": 1, "collection": POST, "record": {} }),
        json!({ "repo": "../etc", "collection": POST, "record": {} }),
        json!({ "repo": did, "collection": "notannsid", "record": {} }),
        json!({ "repo": did, "collection": POST, "rkey": "../../x", "record": {} }),
        json!({ "repo": did, "collection": POST, "rkey": "a/b", "record": {} }),
        json!({ "repo": did, "collection": POST, "rkey": "", "record": {} }),
        json!({ "repo": did, "collection": POST, "rkey": "x".repeat(513), "record": {} }),
        json!({ "repo": did, "collection": POST, "record": "text" }),
        json!({ "repo": did, "collection": POST, "record": null }),
        json!({ "repo": did, "collection": POST, "record": { "n": 1.5 } }),
        json!({ "repo": did, "collection": POST, "record": { "$type": "app.bsky.feed.like" } }),
        json!({ "repo": did, "collection": POST, "record": {}, "validate": "yes" }),
        json!({ "repo": did, "collection": POST, "record": {}, "validate": true }),
        json!({ "repo": did, "collection": POST, "record": {}, "swapCommit": "nonsense" }),
    ] {
        let answer = bench.post(CREATE, &alice.did, &body).await;
        assert_eq!(answer.error(), (400, "InvalidRequest".to_owned()), "{body}");
    }
    let deep = format!(
        r#"{{"repo":"{did}","collection":"{POST}","record":{{"x":{}1{}}}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let answer = bench
        .call(Method::POST, CREATE, &[bench.bearer(&alice.did)], RequestBody::full("application/json", deep))
        .await;
    assert_eq!(answer.error(), (400, "InvalidRequest".to_owned()));
    assert_eq!(bench.fixture.server.store.head(alice.id).await.unwrap(), head);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_413() {
    let (bench, alice) = alice().await;
    let body = json!({ "repo": alice.did, "collection": POST, "record": { "text": "x".repeat(1_000_000) } });
    assert_eq!(bench.post(CREATE, &alice.did, &body).await.status, 413);
    let body = json!({ "repo": alice.did, "collection": POST, "record": { "text": "x".repeat(900_000) } });
    bench.post(CREATE, &alice.did, &body).await.ok();
}

#[tokio::test]
async fn swaps_that_do_not_fit_are_invalid_swap() {
    let (bench, alice) = alice().await;
    let stale = crate::ipld::Cid::of_cbor(b"stale");
    let put = |extra: Json| {
        let mut body = json!({ "repo": alice.did, "collection": POST, "rkey": "self", "record": { "n": 1 } });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for extra in [json!({ "swapCommit": stale }), json!({ "swapRecord": stale })] {
        assert_eq!(bench.post(PUT, &alice.did, &put(extra)).await.error(), (400, "InvalidSwap".to_owned()));
    }
    let cid = bench.post(PUT, &alice.did, &put(json!({ "swapRecord": null }))).await.ok()["cid"].clone();
    let other = json!({ "swapRecord": null, "record": { "n": 2 } });
    assert_eq!(bench.post(PUT, &alice.did, &put(other)).await.error(), (400, "InvalidSwap".to_owned()));
    bench.post(PUT, &alice.did, &put(json!({ "swapRecord": cid, "record": { "n": 2 } }))).await.ok();
    let delete = json!({ "repo": alice.did, "collection": POST, "rkey": "self", "swapRecord": cid });
    assert_eq!(bench.post(DELETE, &alice.did, &delete).await.error(), (400, "InvalidSwap".to_owned()));
    let create = json!({ "repo": alice.did, "collection": POST, "record": {}, "swapCommit": stale });
    assert_eq!(bench.post(CREATE, &alice.did, &create).await.error(), (400, "InvalidSwap".to_owned()));
}

fn op(kind: &str, rkey: Option<&str>, value: Option<Json>) -> Json {
    let mut op = json!({ "$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": POST });
    if let Some(rkey) = rkey {
        op["rkey"] = rkey.into();
    }
    if let Some(value) = value {
        op["value"] = value;
    }
    op
}

#[tokio::test]
async fn a_batch_answers_one_result_per_write() {
    let (bench, alice) = alice().await;
    let apply = |writes: Vec<Json>| json!({ "repo": alice.did, "writes": writes });
    let first =
        apply(vec![op("create", Some("a"), Some(json!({ "n": 1 }))), op("create", None, Some(json!({ "n": 2 })))]);
    let answer = bench.post(APPLY, &alice.did, &first).await.ok();
    assert_eq!(answer["results"][0]["$type"], "com.atproto.repo.applyWrites#createResult");
    assert_eq!(answer["results"][0]["uri"], format!("at://{}/{POST}/a", alice.did));
    assert_eq!(answer["results"][1]["validationStatus"], "unknown");
    assert!(answer["commit"]["rev"].is_string());
    let second = apply(vec![op("update", Some("a"), Some(json!({ "n": 3 }))), op("delete", Some("b"), None)]);
    assert_eq!(bench.post(APPLY, &alice.did, &second).await.error(), (400, "InvalidRequest".to_owned()));
    assert_eq!(get(&bench, &alice, "a").await.ok()["value"]["n"], 1);
    let third = apply(vec![op("delete", Some("a"), None)]);
    let answer = bench.post(APPLY, &alice.did, &third).await.ok();
    assert_eq!(answer["results"], json!([{ "$type": "com.atproto.repo.applyWrites#deleteResult" }]));
}

#[tokio::test]
async fn malformed_batches_are_refused_by_the_write_that_is_wrong() {
    let (bench, alice) = alice().await;
    let many: Vec<Json> = (0..201).map(|_| op("create", None, Some(json!({})))).collect();
    for (writes, word) in [
        (json!([op("create", None, None)]), "writes/0"),
        (json!([op("create", None, Some(json!({}))), op("update", None, Some(json!({})))]), "writes/1"),
        (json!([op("delete", None, None)]), "rkey"),
        (
            json!([op("destroy", Some("a"), None)]),
            "Input/writes/0 $type must be one of lex:com.atproto.repo.applyWrites#create, ",
        ),
        (json!([{ "collection": POST }]), "$type"),
        (json!("all"), ""),
        (json!(many), "Max: 200"),
    ] {
        let body = json!({ "repo": alice.did, "writes": writes });
        let answer = bench.post(APPLY, &alice.did, &body).await;
        assert_eq!(answer.error(), (400, "InvalidRequest".to_owned()), "{word}");
        assert!(answer.json()["message"].as_str().unwrap().contains(word), "{answer:?}");
    }
}

#[tokio::test]
async fn records_of_nobody_or_of_inactive_accounts_are_not_shown() {
    let (bench, alice) = alice().await;
    create(&bench, &alice, "a", json!({})).await;
    let list = format!("com.atproto.repo.listRecords?repo={}&collection={POST}", alice.did);
    bench.fixture.set_state(&alice, AccountState::Takendown { reference: "1".into() }).await;
    assert_eq!(get(&bench, &alice, "a").await.error(), (400, "RecordNotFound".to_owned()));
    assert_eq!(bench.get(&list, &[]).await.error(), (400, "InvalidRequest".to_owned()));
    let describe = format!("com.atproto.repo.describeRepo?repo={}", alice.did);
    assert_eq!(bench.get(&describe, &[]).await.error(), (400, "RepoTakendown".to_owned()));
    let nobody = format!("com.atproto.repo.getRecord?repo=nobody.test&collection={POST}&rkey=a");
    assert_eq!(bench.get(&nobody, &[]).await.error(), (400, "RecordNotFound".to_owned()));
    assert_eq!(
        bench.get("com.atproto.repo.describeRepo?repo=nobody.test", &[]).await.error(),
        (400, "RepoNotFound".to_owned())
    );
}

#[tokio::test]
async fn a_record_can_be_demanded_by_its_cid() {
    let (bench, alice) = alice().await;
    let created = create(&bench, &alice, "a", json!({})).await;
    let target = format!("com.atproto.repo.getRecord?repo=alice.test&collection={POST}&rkey=a&cid=");
    let cid = created["cid"].as_str().unwrap();
    assert_eq!(bench.get(&format!("{target}{cid}"), &[]).await.ok()["uri"], created["uri"]);
    let other = crate::ipld::Cid::of_cbor(b"other");
    assert_eq!(bench.get(&format!("{target}{other}"), &[]).await.error(), (400, "RecordNotFound".to_owned()));
    assert_eq!(bench.get(&format!("{target}nonsense"), &[]).await.error(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn reads_with_missing_or_hostile_parameters_are_400() {
    let (bench, alice) = alice().await;
    let did = &alice.did;
    for target in [
        "com.atproto.repo.getRecord".to_owned(),
        format!("com.atproto.repo.getRecord?repo={did}&collection={POST}"),
        format!("com.atproto.repo.getRecord?repo={did}&collection={POST}&rkey=..%2F..%2Fetc"),
        format!("com.atproto.repo.getRecord?repo={did}&collection=..&rkey=a"),
        format!("com.atproto.repo.getRecord?repo=%00&collection={POST}&rkey=a"),
        format!("com.atproto.repo.listRecords?repo={did}"),
        format!("com.atproto.repo.listRecords?repo={did}&collection={POST}&limit=0"),
        format!("com.atproto.repo.listRecords?repo={did}&collection={POST}&limit=101"),
        format!("com.atproto.repo.listRecords?repo={did}&collection={POST}&limit=ten"),
        format!("com.atproto.repo.listRecords?repo={did}&collection={POST}&reverse=perhaps"),
        format!("com.atproto.repo.listRecords?repo={did}&collection={POST}&cursor={}", "x".repeat(600)),
        "com.atproto.repo.describeRepo".to_owned(),
    ] {
        assert_eq!(bench.get(&target, &[]).await.error(), (400, "InvalidRequest".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn a_collection_is_listed_newest_first_in_pages() {
    let (bench, alice) = alice().await;
    for key in ["a", "b", "c", "d", "e"] {
        create(&bench, &alice, key, json!({ "key": key })).await;
    }
    let base = format!("com.atproto.repo.listRecords?repo=alice.test&collection={POST}&limit=2");
    for (reverse, expected) in [("", "edcba"), ("&reverse=true", "abcde")] {
        let (mut seen, mut cursor, mut pages) = (String::new(), String::new(), 0);
        loop {
            let page = bench.get(&format!("{base}{reverse}{cursor}"), &[]).await.ok();
            for record in page["records"].as_array().unwrap() {
                assert_eq!(
                    record["uri"],
                    format!("at://{}/{POST}/{}", alice.did, record["value"]["key"].as_str().unwrap())
                );
                seen += record["value"]["key"].as_str().unwrap();
            }
            pages += 1;
            let Some(next) = page["cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen.as_str(), pages), (expected, 3));
    }
    let hostile = bench.get(&format!("{base}&cursor=%27%20OR%201%3D1%20--"), &[]).await.ok();
    assert_eq!(hostile["records"], json!([]));
    let empty = bench.get("com.atproto.repo.listRecords?repo=alice.test&collection=com.example.none", &[]).await.ok();
    assert_eq!(empty, json!({ "records": [] }));
}

#[tokio::test]
async fn an_uploaded_blob_is_described_as_its_bytes_say() {
    let (bench, alice) = alice().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let blob = upload(&bench, &alice, "text/html", png).await;
    let cid = crate::ipld::Cid::of_raw(png);
    assert_eq!(blob, json!({ "$type": "blob", "ref": { "$link": cid }, "mimeType": "image/png", "size": png.len() }));
    create(&bench, &alice, "a", json!({ "image": blob })).await;
    let wrong = json!({ "$type": "blob", "ref": { "$link": crate::ipld::Cid::of_raw(b"x") }, "mimeType": "image/png", "size": 1 });
    let body = json!({ "repo": alice.did, "collection": POST, "record": { "image": wrong } });
    assert_eq!(bench.post(CREATE, &alice.did, &body).await.error(), (400, "BlobNotFound".to_owned()));
}

#[tokio::test]
async fn uploads_are_refused_without_credentials_and_beyond_the_bound() {
    let (bench, alice) = alice().await;
    let anonymous = bench.call(Method::POST, UPLOAD, &[], RequestBody::full("text/plain", "x")).await;
    assert_eq!(anonymous.error(), (401, "AuthMissing".to_owned()));
    let large = RequestBody::full("text/plain", vec![0; 1_000_001]);
    let refused = bench.call(Method::POST, UPLOAD, &[bench.bearer(&alice.did)], large).await;
    assert_eq!(refused.error(), (413, "PayloadTooLarge".to_owned()));
    bench.fixture.set_state(&alice, AccountState::Deactivated { delete_after: None }).await;
    upload(&bench, &alice, "text/plain", b"moving in").await;
}

#[tokio::test]
async fn a_repository_is_described_with_its_document_and_collections() {
    let (bench, alice) = alice().await;
    create(&bench, &alice, "a", json!({})).await;
    let described = bench.get("com.atproto.repo.describeRepo?repo=alice.test", &[]).await.ok();
    assert_eq!((&described["did"], &described["handle"]), (&json!(alice.did), &json!("alice.test")));
    assert_eq!(described["didDoc"]["id"], json!(alice.did));
    assert_eq!((&described["collections"], &described["handleIsCorrect"]), (&json!([POST]), &json!(true)));
}

#[tokio::test]
async fn a_record_of_a_known_kind_must_fit_its_schema_unless_nobody_asks() {
    let (bench, alice) = alice().await;
    let kind = "app.bsky.feed.post";
    let fine = json!({ "text": "hello", "createdAt": "2026-01-01T00:00:00Z" });
    let body = |extra: Json| {
        let mut body = json!({ "repo": alice.did, "collection": kind, "record": fine });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for validate in [json!({}), json!({ "validate": true })] {
        let created = bench.post(CREATE, &alice.did, &body(validate.clone())).await.ok();
        assert_eq!(created["validationStatus"], "valid");
        let mut wrong = validate;
        wrong["record"] = json!({ "text": 7, "createdAt": "2026-01-01T00:00:00Z" });
        let refused = bench.post(CREATE, &alice.did, &body(wrong)).await;
        assert_eq!(refused.error(), (400, "InvalidRequest".to_owned()));
        assert_eq!(refused.json()["message"], "Invalid app.bsky.feed.post record: Record/text must be a string");
    }
    let missing =
        bench.post(CREATE, &alice.did, &body(json!({ "record": { "createdAt": "2026-01-01T00:00:00Z" } }))).await;
    assert_eq!(missing.json()["message"], "Invalid app.bsky.feed.post record: Record must have the property \"text\"");
    let unchecked = json!({ "record": { "text": 7 }, "validate": false, "rkey": "anything" });
    let created = bench.post(CREATE, &alice.did, &body(unchecked)).await.ok();
    assert_eq!(created.get("validationStatus"), None);
    let keyed = bench.post(CREATE, &alice.did, &body(json!({ "rkey": "anything" }))).await;
    let words = "Invalid record key for app.bsky.feed.post: it must be a TID, not \"anything\"";
    assert_eq!(keyed.json()["message"], words);
    let unknown = json!({ "repo": alice.did, "collection": "com.example.none", "record": {}, "validate": true });
    let refused = bench.post(CREATE, &alice.did, &unknown).await;
    assert_eq!(refused.json()["message"], "Unknown lexicon type: com.example.none");
}

#[tokio::test]
async fn each_write_of_a_batch_and_a_put_are_checked_too() {
    let (bench, alice) = alice().await;
    let write = |kind: &str, rkey: &str, value: Json| json!({ "$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": "app.bsky.actor.profile", "rkey": rkey, "value": value });
    let apply = |writes: Vec<Json>| json!({ "repo": alice.did, "writes": writes });
    let head = bench.fixture.server.store.head(alice.id).await.unwrap();
    let long = json!({ "displayName": "x".repeat(641) });
    for (writes, words) in [
        (
            vec![write("create", "me", json!({}))],
            "Invalid record key for app.bsky.actor.profile: it must be \"self\", not \"me\"",
        ),
        (
            vec![write("create", "self", json!({})), write("update", "self", long.clone())],
            "Invalid app.bsky.actor.profile record: Record/displayName must not be longer than 640 characters",
        ),
    ] {
        assert_eq!(bench.post(APPLY, &alice.did, &apply(writes)).await.json()["message"], words);
    }
    assert_eq!(bench.fixture.server.store.head(alice.id).await.unwrap(), head);
    let done =
        bench.post(APPLY, &alice.did, &apply(vec![write("create", "self", json!({ "displayName": "Alice" }))])).await;
    assert_eq!(done.ok()["results"][0]["validationStatus"], "valid");
    let put = json!({ "repo": alice.did, "collection": "app.bsky.actor.profile", "rkey": "self", "record": long });
    assert_eq!(bench.post(PUT, &alice.did, &put).await.error(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn a_full_account_is_refused_in_words_and_takes_deletions() {
    let bench = Bench::new().await;
    let alice = bench.fixture.account("alice").await;
    let quota = crate::store::Quota { records: Some(1), blobs: Some(0), ..crate::store::Quota::default() };
    bench.fixture.server.store.limit_accounts(quota);
    let create =
        |rkey: &str| json!({ "repo": alice.did, "collection": "com.example.note", "rkey": rkey, "record": {} });
    bench.post("com.atproto.repo.createRecord", &alice.did, &create("a")).await.ok();
    let refused = bench.post("com.atproto.repo.createRecord", &alice.did, &create("b")).await;
    assert_eq!(refused.error(), (400, "QuotaExceeded".to_owned()));
    assert!(refused.json()["message"].as_str().unwrap().contains("at most 1 records"), "{refused:?}");
    let upload = RequestBody::full("image/png", "not a picture");
    let refused = bench.call(Method::POST, "com.atproto.repo.uploadBlob", &[bench.bearer(&alice.did)], upload).await;
    assert_eq!(refused.error(), (400, "QuotaExceeded".to_owned()));
    let delete = json!({ "repo": alice.did, "collection": "com.example.note", "rkey": "a" });
    bench.post("com.atproto.repo.deleteRecord", &alice.did, &delete).await.ok();
    bench.post("com.atproto.repo.createRecord", &alice.did, &create("b")).await.ok();
    let status = bench.get("com.atproto.server.checkAccountStatus", &[bench.bearer(&alice.did)]).await.ok();
    assert_eq!(status["housekeyUsage"]["records"], json!({ "used": 1, "limit": 1 }));
    assert_eq!(status["housekeyUsage"]["recordBytes"]["used"].as_u64(), Some(24));
    assert_eq!(status["housekeyUsage"]["blobs"], json!({ "used": 0, "limit": 0 }));
}
