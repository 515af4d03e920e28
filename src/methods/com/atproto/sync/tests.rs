use crate::{
    crypto::DidKey,
    event::Frame,
    ipld::{Cid, car},
    methods::testing::{Answer, Bench},
    repo::{MemoryBlocks, RecordPath, proof},
    store::{Account, AccountState},
    xrpc::{RequestBody, StreamItem},
};
use http::{HeaderName, Method, header};
use serde_json::{Value as Json, json};

const POST: &str = "com.example.post";

async fn alice() -> (Bench, Account) {
    let bench = Bench::new().await;
    let account = bench.fixture.account("alice").await;
    (bench, account)
}

async fn create(bench: &Bench, account: &Account, rkey: &str, record: Json) -> Json {
    let body = json!({ "repo": account.did, "collection": POST, "rkey": rkey, "record": record });
    bench.post("com.atproto.repo.createRecord", &account.did, &body).await.ok()
}

/// Uploads bytes and references them.
async fn blob(bench: &Bench, account: &Account, bytes: &'static [u8]) -> Cid {
    let body = RequestBody::full("text/plain", bytes);
    let headers = [bench.bearer(&account.did)];
    let blob = bench.call(Method::POST, "com.atproto.repo.uploadBlob", &headers, body).await.ok()["blob"].clone();
    create(bench, account, &format!("b{}", bytes.len()), json!({ "file": blob })).await;
    Cid::of_raw(bytes)
}

/// The blocks of a CAR file without a root, which our reader refuses.
fn rootless(answer: &Answer) -> Vec<Cid> {
    let none = car::header(&[]);
    assert!(answer.body.starts_with(&none), "{answer:?}");
    let with_root = [&car::header(&[Cid::of_cbor(b"root")])[..], &answer.body[none.len()..]].concat();
    car::read_all(&with_root).unwrap().1.into_iter().map(|(cid, _)| cid).collect()
}

fn blocks(answer: &Answer) -> (Vec<Cid>, Vec<Cid>, MemoryBlocks) {
    assert_eq!((answer.status, answer.header(&header::CONTENT_TYPE)), (200, "application/vnd.ipld.car"), "{answer:?}");
    let (roots, blocks) = car::read_all(&answer.body).unwrap();
    let cids = blocks.iter().map(|(cid, _)| *cid).collect();
    (roots, cids, MemoryBlocks(blocks.into_iter().collect()))
}

/// Every method that reads one repository, with what else it needs.
fn readers(account: &Account) -> Vec<String> {
    let did = &account.did;
    let cid = Cid::of_raw(b"x");
    [
        ("getRepo", String::new()),
        ("getCheckout", String::new()),
        ("getHead", String::new()),
        ("getLatestCommit", String::new()),
        ("listBlobs", String::new()),
        ("getRecord", format!("&collection={POST}&rkey=a")),
        ("getBlocks", format!("&cids={cid}")),
        ("getBlob", format!("&cid={cid}")),
    ]
    .map(|(name, more)| format!("com.atproto.sync.{name}?did={did}{more}"))
    .into()
}

#[tokio::test]
async fn a_repository_that_is_not_here_is_repo_not_found() {
    let bench = Bench::new().await;
    let alice = bench.fixture.account("alice").await;
    let mut nobody = alice.clone();
    nobody.did = crate::service::fixture::unknown_did("nobody");
    for target in readers(&nobody) {
        assert_eq!(bench.get(&target, &[]).await.error(), (400, "RepoNotFound".to_owned()), "{target}");
    }
    let status = format!("com.atproto.sync.getRepoStatus?did={}", nobody.did);
    assert_eq!(bench.get(&status, &[]).await.error(), (400, "RepoNotFound".to_owned()));
}

#[tokio::test]
async fn inactive_repositories_are_shown_to_the_owner_and_the_administrator_only() {
    let (bench, alice) = alice().await;
    let bob = bench.fixture.account("bob").await;
    for (state, name) in [
        (AccountState::Deactivated { delete_after: None }, "RepoDeactivated"),
        (AccountState::Suspended, "RepoSuspended"),
        (AccountState::Takendown { reference: "1".to_owned() }, "RepoTakendown"),
    ] {
        bench.fixture.set_state(&alice, state).await;
        for target in readers(&alice) {
            assert_eq!(bench.get(&target, &[]).await.error(), (400, name.to_owned()), "{target}");
            assert_eq!(bench.get(&target, &[bench.bearer(&bob.did)]).await.error().1, name, "{target}");
            for seen_by in [bench.bearer(&alice.did), Bench::admin()] {
                let answer = bench.get(&target, &[seen_by]).await;
                assert!(answer.status == 200 || !answer.error().1.starts_with("Repo"), "{target}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn malformed_parameters_are_400() {
    let (bench, alice) = alice().await;
    let did = &alice.did;
    for target in [
        "getRepo".to_owned(),
        "getRepo?did=alice.test".to_owned(),
        format!("getRepo?did={did}&since=yesterday"),
        "getHead?did=did:plc:..%2F..".to_owned(),
        format!("getRecord?did={did}&collection={POST}"),
        format!("getRecord?did={did}&collection={POST}&rkey=..%2Fx"),
        format!("getBlob?did={did}"),
        format!("getBlob?did={did}&cid=..%2F..%2Fetc%2Fpasswd"),
        format!("getBlob?did={did}&cid=bafy"),
        format!("getBlocks?did={did}"),
        format!("getBlocks?did={did}&cids=nonsense"),
        format!("listBlobs?did={did}&limit=1001"),
        format!("listBlobs?did={did}&cursor=nonsense"),
        "listRepos?limit=0".to_owned(),
        "listRepos?cursor=abc".to_owned(),
        "listReposByCollection".to_owned(),
        format!("listReposByCollection?collection={POST}&limit=2001"),
        format!("listReposByCollection?collection={POST}&cursor=%3B"),
    ] {
        let answer = bench.get(&format!("com.atproto.sync.{target}"), &[]).await;
        assert_eq!(answer.error(), (400, "InvalidRequest".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn the_head_is_told_in_three_forms() {
    let (bench, alice) = alice().await;
    let commit = create(&bench, &alice, "a", json!({})).await["commit"].clone();
    let did = &alice.did;
    assert_eq!(bench.get(&format!("com.atproto.sync.getLatestCommit?did={did}"), &[]).await.ok(), commit);
    assert_eq!(
        bench.get(&format!("com.atproto.sync.getHead?did={did}"), &[]).await.ok(),
        json!({ "root": commit["cid"] })
    );
    let status = format!("com.atproto.sync.getRepoStatus?did={did}");
    assert_eq!(bench.get(&status, &[]).await.ok(), json!({ "did": did, "active": true, "rev": commit["rev"] }));
    bench.fixture.set_state(&alice, AccountState::Deactivated { delete_after: None }).await;
    assert_eq!(bench.get(&status, &[]).await.ok(), json!({ "did": did, "active": false, "status": "deactivated" }));
}

#[tokio::test]
async fn a_record_is_proven_from_the_signed_commit_down_and_so_is_its_absence() {
    let (bench, alice) = alice().await;
    for n in 0..30 {
        create(&bench, &alice, &format!("k{n}"), json!({ "n": n })).await;
    }
    let key: DidKey = alice.signing_key.parse().unwrap();
    for (rkey, there) in [("k7", true), ("none", false)] {
        let target = format!("com.atproto.sync.getRecord?did={}&collection={POST}&rkey={rkey}", alice.did);
        let (roots, cids, mut found) = blocks(&bench.get(&target, &[]).await);
        assert_eq!(roots, cids[..1]);
        let path = RecordPath::new(POST.parse().unwrap(), rkey.parse().unwrap());
        let proven = proof::verify_record_proof(&mut found, &roots[0], &alice.did, &key, &path).unwrap();
        assert_eq!(proven.is_some(), there);
        assert!(proven.is_none_or(|cid| found.0.contains_key(&cid)));
    }
}

#[tokio::test]
async fn the_whole_repository_and_what_came_since_are_exported() {
    let (bench, alice) = alice().await;
    create(&bench, &alice, "a", json!({ "n": 1 })).await;
    let rev = create(&bench, &alice, "b", json!({ "n": 2 })).await["commit"]["rev"].clone();
    let last = create(&bench, &alice, "c", json!({ "n": 3 })).await;
    let whole = format!("com.atproto.sync.getRepo?did={}", alice.did);
    let (roots, all, _) = blocks(&bench.get(&whole, &[]).await);
    assert_eq!(roots[0].to_string(), last["commit"]["cid"]);
    let (_, since, _) = blocks(&bench.get(&format!("{whole}&since={}", rev.as_str().unwrap()), &[]).await);
    assert!(since.len() < all.len() && since.iter().all(|cid| all.contains(cid)));
    assert!(since.contains(&last["cid"].as_str().unwrap().parse().unwrap()));
    let checkout = bench.get(&format!("com.atproto.sync.getCheckout?did={}", alice.did), &[]).await;
    assert_eq!(blocks(&checkout).1, all);
}

#[tokio::test]
async fn blocks_come_all_or_not_at_all() {
    let (bench, alice) = alice().await;
    let created = create(&bench, &alice, "a", json!({})).await;
    let (record, commit) = (created["cid"].as_str().unwrap(), created["commit"]["cid"].as_str().unwrap());
    let target = format!("com.atproto.sync.getBlocks?did={}&cids={record}&cids={commit}&cids={record}", alice.did);
    assert_eq!(rootless(&bench.get(&target, &[]).await).len(), 2);
    let missing = Cid::of_cbor(b"missing");
    let refused = bench.get(&format!("{target}&cids={missing}"), &[]).await;
    assert_eq!(refused.error(), (400, "BlockNotFound".to_owned()));
    assert!(refused.json()["message"].as_str().unwrap().contains(&missing.to_string()));
    let bob = bench.fixture.account("bob").await;
    let foreign = format!("com.atproto.sync.getBlocks?did={}&cids={record}", bob.did);
    assert_eq!(bench.get(&foreign, &[]).await.error().1, "BlockNotFound");
}

#[tokio::test]
async fn repositories_are_listed_in_pages_with_their_state() {
    let (bench, alice) = alice().await;
    let bob = bench.fixture.account("bob").await;
    let carol = bench.fixture.account("carol").await;
    create(&bench, &alice, "a", json!({})).await;
    create(&bench, &carol, "a", json!({})).await;
    bench.fixture.set_state(&bob, AccountState::Suspended).await;
    let first = bench.get("com.atproto.sync.listRepos?limit=2", &[]).await.ok();
    assert_eq!(first["repos"][0]["did"], json!(alice.did));
    assert_eq!((&first["repos"][1]["active"], &first["repos"][1]["status"]), (&json!(false), &json!("suspended")));
    assert!(first["repos"][0]["head"].is_string() && first["repos"][0]["rev"].is_string());
    let next = format!("com.atproto.sync.listRepos?limit=2&cursor={}", first["cursor"].as_str().unwrap());
    let second = bench.get(&next, &[]).await.ok();
    assert_eq!((&second["repos"][0]["did"], second.get("cursor")), (&json!(carol.did), None));
    let target = format!("com.atproto.sync.listReposByCollection?collection={POST}");
    let listed = bench.get(&target, &[]).await.ok();
    assert_eq!(listed["repos"], json!([{ "did": alice.did }, { "did": carol.did }]));
    let none = bench.get("com.atproto.sync.listReposByCollection?collection=com.example.none", &[]).await.ok();
    assert_eq!(none, json!({ "repos": [] }));
}

#[tokio::test]
async fn a_blob_is_served_inert_and_cacheable() {
    let (bench, alice) = alice().await;
    let cid = blob(&bench, &alice, b"<script>alert(1)</script>").await;
    let target = format!("com.atproto.sync.getBlob?did={}&cid={cid}", alice.did);
    let answer = bench.get(&target, &[]).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"<script>alert(1)</script>"[..]));
    assert_eq!(answer.header(&header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(answer.header(&header::CONTENT_SECURITY_POLICY), "default-src 'none'; sandbox");
    assert_eq!(answer.header(&header::CONTENT_DISPOSITION), format!("attachment; filename=\"{cid}\""));
    assert_eq!(answer.header(&header::CONTENT_LENGTH), "25");
    assert!(answer.header(&header::CACHE_CONTROL).contains("immutable"));
    let etag = answer.header(&header::ETAG).to_owned();
    let fresh = bench.get(&target, &[(header::IF_NONE_MATCH, etag)]).await;
    assert_eq!((fresh.status, fresh.body.len()), (304, 0));
    let own = bench.get(&target, &[bench.bearer(&alice.did)]).await;
    assert_eq!(own.header(&header::CACHE_CONTROL), "private");
}

#[tokio::test]
async fn parts_of_a_blob_are_served_by_range() {
    let (bench, alice) = alice().await;
    let cid = blob(&bench, &alice, b"0123456789").await;
    let target = format!("com.atproto.sync.getBlob?did={}&cid={cid}", alice.did);
    let range = |spec: &str| -> [(HeaderName, String); 1] { [(header::RANGE, spec.to_owned())] };
    for (spec, body, content_range) in
        [("bytes=2-4", "234", "bytes 2-4/10"), ("bytes=7-", "789", "bytes 7-9/10"), ("bytes=-2", "89", "bytes 8-9/10")]
    {
        let part = bench.get(&target, &range(spec)).await;
        assert_eq!((part.status, &part.body[..]), (206, body.as_bytes()), "{spec}");
        assert_eq!(part.header(&header::CONTENT_RANGE), content_range);
        assert_eq!(part.header(&header::CONTENT_LENGTH), body.len().to_string());
    }
    let behind = bench.get(&target, &range("bytes=10-")).await;
    assert_eq!((behind.status, behind.header(&header::CONTENT_RANGE)), (416, "bytes */10"));
    assert_eq!(bench.get(&target, &range("bytes=nonsense")).await.status, 200);
}

#[tokio::test]
async fn temporary_and_missing_blobs_are_blob_not_found_and_not_listed() {
    let (bench, alice) = alice().await;
    let body = RequestBody::full("text/plain", "temporary");
    bench.call(Method::POST, "com.atproto.repo.uploadBlob", &[bench.bearer(&alice.did)], body).await.ok();
    let mut cids = vec![blob(&bench, &alice, b"one").await, blob(&bench, &alice, b"three").await];
    for missing in [Cid::of_raw(b"temporary"), Cid::of_raw(b"never")] {
        let target = format!("com.atproto.sync.getBlob?did={}&cid={missing}", alice.did);
        assert_eq!(bench.get(&target, &[bench.bearer(&alice.did)]).await.error(), (400, "BlobNotFound".to_owned()));
    }
    cids.sort_unstable();
    let list = format!("com.atproto.sync.listBlobs?did={}&limit=1", alice.did);
    let first = bench.get(&list, &[]).await.ok();
    let second = bench.get(&format!("{list}&cursor={}", first["cursor"].as_str().unwrap()), &[]).await.ok();
    assert_eq!(json!([first["cids"][0], second["cids"][0]]), json!(cids));
    let since = crate::syntax::Tid::new(bench.fixture.server.now().plus(std::time::Duration::from_mins(1)), 0);
    let none = bench.get(&format!("com.atproto.sync.listBlobs?did={}&since={since}", alice.did), &[]).await.ok();
    assert_eq!(none, json!({ "cids": [] }));
}

#[tokio::test]
async fn the_stream_opens_replays_and_refuses_nonsense() {
    let (bench, alice) = alice().await;
    create(&bench, &alice, "a", json!({})).await;
    let items = bench.subscribe("com.atproto.sync.subscribeRepos?cursor=4").await.unwrap();
    let [StreamItem::Frame(frame)] = items.as_slice() else { panic!("one frame: {items:?}") };
    let Frame::Commit(commit) = Frame::decode(frame).unwrap() else { panic!("a commit") };
    assert_eq!((commit.seq, commit.ops[0].path.as_str()), (5, "com.example.post/a"));
    let items = bench.subscribe("com.atproto.sync.subscribeRepos?cursor=99").await.unwrap();
    assert!(matches!(items.as_slice(), [StreamItem::Frame(_), StreamItem::Close(1008)]));
    assert_eq!(bench.subscribe("com.atproto.sync.subscribeRepos").await.unwrap(), []);
    assert_eq!(bench.subscribe("com.atproto.sync.subscribeRepos?cursor=now").await, Err(400));
}
