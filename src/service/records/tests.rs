use super::*;
use crate::{
    service::{
        blobs::{self, Upload},
        fixture::Fixture,
    },
    store::StoredRecord,
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value as Json, json};
use std::{convert::Infallible, sync::Arc};

const POST: &str = "com.example.post";
const LIKE: &str = "app.bsky.feed.like";

fn nsid(text: &str) -> Nsid {
    text.parse().unwrap()
}

fn key(text: &str) -> RecordKey {
    text.parse().unwrap()
}

fn create(collection: &str, rkey: Option<&str>, record: Json) -> Write {
    Write::Create { collection: nsid(collection), rkey: rkey.map(key), record, replace_duplicates: true }
}

fn update(rkey: &str, record: Json) -> Write {
    Write::Update { collection: nsid(POST), rkey: key(rkey), record }
}

fn put(rkey: &str, record: Json, swap: SwapRecord) -> Write {
    Write::Put { collection: nsid(POST), rkey: key(rkey), record, swap }
}

fn delete(rkey: &str, swap: SwapRecord, lenient: bool) -> Write {
    Write::Delete { collection: nsid(POST), rkey: key(rkey), swap, lenient }
}

/// A server, an account on it, and what a test does with them.
struct Bench {
    fixture: Fixture,
    account: Account,
}

impl Bench {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let account = fixture.account("alice").await;
        Self { fixture, account }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Written, WriteError> {
        self.request(WriteRequest { writes, ..WriteRequest::default() }).await
    }

    async fn request(&self, request: WriteRequest) -> Result<Written, WriteError> {
        write(&self.fixture.server, &self.account, request).await
    }

    async fn head(&self) -> crate::repo::Head {
        self.fixture.server.store.head(self.account.id).await.unwrap().unwrap()
    }

    async fn record(&self, collection: &str, rkey: &str) -> Option<StoredRecord> {
        let path = RecordPath::new(nsid(collection), key(rkey));
        self.fixture.server.store.record(self.account.id, &path).await.unwrap()
    }

    async fn upload(&self, bytes: &'static [u8], content_type: &str) -> crate::store::BlobRow {
        let upload = Upload {
            content_type: Some(content_type.to_owned()),
            content_length: None,
            body: stream::iter([Ok::<_, Infallible>(Bytes::from_static(bytes))]),
        };
        blobs::upload(&self.fixture.server, &self.account, upload).await.unwrap()
    }

    /// Expects a refusal that changes nothing.
    async fn refused(&self, request: WriteRequest) -> WriteError {
        let before = self.head().await;
        let refused = self.request(request).await.unwrap_err();
        assert_eq!(self.head().await, before, "{refused}");
        refused
    }

    async fn refused_writes(&self, writes: Vec<Write>) -> WriteError {
        self.refused(WriteRequest { writes, ..WriteRequest::default() }).await
    }
}

fn created(written: &Written) -> (String, Cid) {
    match &written.results[0] {
        WriteResult::Created { path, cid, .. } | WriteResult::Updated { path, cid, .. } => {
            (path.rkey.to_string(), *cid)
        }
        WriteResult::Deleted => panic!("nothing was created"),
    }
}

fn blob_record(cid: &Cid, mime_type: &str, size: u64) -> Json {
    json!({ "image": { "$type": "blob", "ref": { "$link": cid }, "mimeType": mime_type, "size": size } })
}

#[tokio::test]
async fn a_created_record_is_there_with_its_type_filled_in() {
    let bench = Bench::new().await;
    let written = bench.write(vec![create(POST, Some("one"), json!({ "text": "hi" }))]).await.unwrap();
    let (_, cid) = created(&written);
    let record = bench.record(POST, "one").await.unwrap();
    assert_eq!(record.cid, cid);
    let value = crate::ipld::cbor::decode(&record.value).unwrap();
    assert_eq!(crate::ipld::json::to_json(&value), json!({ "$type": POST, "text": "hi" }));
    let head = bench.head().await;
    assert_eq!(written.commit, Some(CommitMeta { cid: head.commit, rev: head.rev }));
    assert_eq!(record.rev, head.rev);
}

#[tokio::test]
async fn keys_that_are_left_out_are_tids_that_grow() {
    let bench = Bench::new().await;
    let mut last = None;
    for _ in 0..3 {
        let (rkey, _) = created(&bench.write(vec![create(POST, None, json!({}))]).await.unwrap());
        let tid: Tid = rkey.parse().unwrap();
        assert!(Some(tid) > last);
        last = Some(tid);
    }
}

#[tokio::test]
async fn revisions_grow_when_the_clock_steps_back() {
    let bench = Bench::new().await;
    let first = bench.write(vec![create(POST, None, json!({}))]).await.unwrap().commit.unwrap();
    bench.fixture.clock.set(crate::clock::Timestamp::from_secs(1_000));
    let second = bench.write(vec![create(POST, None, json!({}))]).await.unwrap().commit.unwrap();
    assert!(second.rev > first.rev);
}

#[tokio::test]
async fn records_that_are_not_in_the_data_model_are_refused() {
    let bench = Bench::new().await;
    for record in [
        json!(null),
        json!([]),
        json!("text"),
        json!({ "$type": LIKE }),
        json!({ "$type": 7 }),
        json!({ "n": 1.5 }),
        json!({ "n": 9_007_199_254_740_992_i64 }),
        json!({ "x": { "$link": "nonsense" } }),
        json!({ "x": { "$bytes": "*" } }),
    ] {
        let refused = bench.refused_writes(vec![create(POST, None, record.clone())]).await;
        assert!(
            matches!(refused, WriteError::Json(_) | WriteError::NotAnObject | WriteError::WrongType { .. }),
            "{record}"
        );
    }
}

#[tokio::test]
async fn a_schema_that_is_demanded_must_be_known() {
    let bench = Bench::new().await;
    let writes = vec![create(POST, None, json!({}))];
    let refused = bench.refused(WriteRequest { writes, validate: Some(true), swap_commit: None }).await;
    assert_eq!(refused.to_string(), "Unknown lexicon type: com.example.post");
}

#[tokio::test]
async fn putting_the_same_record_again_makes_no_commit() {
    let bench = Bench::new().await;
    let first = bench.write(vec![put("self", json!({ "n": 1 }), SwapRecord::Any)]).await.unwrap();
    let again = bench.write(vec![put("self", json!({ "n": 1 }), SwapRecord::Any)]).await.unwrap();
    assert!(first.commit.is_some());
    assert_eq!(again.commit, None);
    assert_eq!(created(&again), created(&first));
    let other = bench.write(vec![put("self", json!({ "n": 2 }), SwapRecord::Any)]).await.unwrap();
    assert!(other.commit.is_some());
    assert_eq!(bench.record(POST, "self").await.unwrap().cid, created(&other).1);
}

#[tokio::test]
async fn deleting_what_is_not_there_changes_nothing() {
    let bench = Bench::new().await;
    assert_eq!(bench.write(vec![delete("gone", SwapRecord::Any, true)]).await.unwrap().commit, None);
    let refused = bench.refused_writes(vec![delete("gone", SwapRecord::Any, false)]).await;
    assert!(matches!(refused, WriteError::Missing(_)));
    let refused = bench.refused_writes(vec![update("gone", json!({}))]).await;
    assert!(matches!(refused, WriteError::Missing(_)));
}

#[tokio::test]
async fn a_stale_swap_commit_is_refused_and_the_right_one_accepted() {
    let bench = Bench::new().await;
    let old = bench.head().await.commit;
    bench.write(vec![create(POST, Some("a"), json!({}))]).await.unwrap();
    let now = bench.head().await.commit;
    let request = |swap| WriteRequest {
        writes: vec![create(POST, Some("b"), json!({}))],
        validate: None,
        swap_commit: Some(swap),
    };
    assert_eq!(bench.refused(request(old)).await, WriteError::CommitSwap(now));
    bench.request(request(now)).await.unwrap();
}

#[tokio::test]
async fn a_swap_record_must_be_what_is_there() {
    let bench = Bench::new().await;
    let (_, one) = created(&bench.write(vec![put("x", json!({ "n": 1 }), SwapRecord::Absent)]).await.unwrap());
    let wrong = Cid::of_cbor(b"other");
    for swap in [SwapRecord::Absent, SwapRecord::Is(wrong)] {
        let refused = bench.refused_writes(vec![put("x", json!({ "n": 2 }), swap)]).await;
        assert_eq!(refused, WriteError::RecordSwap(Some(one)));
    }
    let refused = bench.refused_writes(vec![put("y", json!({}), SwapRecord::Is(wrong))]).await;
    assert_eq!(refused, WriteError::RecordSwap(None));
    let refused = bench.refused_writes(vec![delete("x", SwapRecord::Is(wrong), true)]).await;
    assert_eq!(refused, WriteError::RecordSwap(Some(one)));
    bench.write(vec![put("x", json!({ "n": 2 }), SwapRecord::Is(one))]).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_one_commit_or_nothing() {
    let bench = Bench::new().await;
    let refused = bench.refused_writes(vec![create(POST, Some("a"), json!({})), update("missing", json!({}))]).await;
    assert!(matches!(refused, WriteError::Missing(_)));
    assert_eq!(bench.record(POST, "a").await, None);
    let refused = bench.refused_writes(vec![create(POST, Some("a"), json!({})), update("a", json!({ "n": 2 }))]).await;
    assert!(matches!(refused, WriteError::Twice(_)));
    bench.write(vec![create(POST, Some("a"), json!({})), create(POST, Some("b"), json!({}))]).await.unwrap();
    let refused =
        bench.refused_writes(vec![create(POST, Some("c"), json!({})), create(POST, Some("a"), json!({}))]).await;
    assert!(matches!(refused, WriteError::Exists(_)));
    let written = bench
        .write(vec![
            delete("a", SwapRecord::Any, false),
            update("b", json!({ "n": 2 })),
            create(POST, Some("c"), json!({})),
        ])
        .await
        .unwrap();
    assert_eq!(written.results.len(), 3);
    assert_eq!(written.results[0], WriteResult::Deleted);
    assert!(bench.record(POST, "a").await.is_none() && bench.record(POST, "c").await.is_some());
}

#[tokio::test]
async fn two_hundred_writes_fit_one_commit_and_no_more() {
    let bench = Bench::new().await;
    let batch = |n| (0..n).map(|i| create(POST, None, json!({ "i": i }))).collect::<Vec<_>>();
    assert_eq!(bench.refused_writes(batch(201)).await, WriteError::TooManyWrites);
    assert_eq!(bench.write(batch(200)).await.unwrap().results.len(), 200);
    let empty = bench.write(Vec::new()).await.unwrap();
    assert_eq!((empty.commit, empty.results.len()), (None, 0));
}

#[tokio::test]
async fn records_and_events_have_a_largest_size() {
    let bench = Bench::new().await;
    let text = |n: usize| json!({ "text": "x".repeat(n) });
    let refused = bench.refused_writes(vec![create(POST, None, text(1_000_001))]).await;
    assert!(matches!(refused, WriteError::RecordTooLarge(_)));
    let three = (0..3).map(|i| create(POST, None, text(700_000 + i))).collect();
    assert_eq!(bench.refused_writes(three).await, WriteError::EventTooLarge);
}

#[tokio::test]
async fn an_account_that_is_not_active_cannot_write() {
    let mut bench = Bench::new().await;
    for state in [
        AccountState::Deactivated { delete_after: None },
        AccountState::Suspended,
        AccountState::Takendown { reference: "1".to_owned() },
    ] {
        bench.account.state = state.clone();
        let refused = bench.refused_writes(vec![create(POST, None, json!({}))]).await;
        assert_eq!(refused, WriteError::Inactive(state));
    }
}

#[tokio::test]
async fn a_second_like_of_the_same_post_replaces_the_first() {
    let bench = Bench::new().await;
    let uri = format!("at://{}/{POST}/1", bench.account.did);
    let cid = Cid::of_cbor(b"");
    let like_of = |uri: &str, n: i64| json!({ "subject": { "uri": uri, "cid": cid }, "n": n, "createdAt": "2026-01-01T00:00:00Z" });
    let like = |n: i64| like_of(&uri, n);
    let [first, second, third, other] = ["3jzfcijpj2z22", "3jzfcijpj2z23", "3jzfcijpj2z24", "3jzfcijpj2z25"];
    bench.write(vec![create(LIKE, Some(first), like(1))]).await.unwrap();
    bench.write(vec![create(LIKE, Some(other), like_of("at://alice.test/a.b.c/1", 0))]).await.unwrap();
    bench.write(vec![create(LIKE, Some(second), like(2))]).await.unwrap();
    assert!(bench.record(LIKE, first).await.is_none());
    assert!(bench.record(LIKE, second).await.is_some() && bench.record(LIKE, other).await.is_some());
    let keep =
        Write::Create { collection: nsid(LIKE), rkey: Some(key(third)), record: like(3), replace_duplicates: false };
    bench.write(vec![keep]).await.unwrap();
    assert!(bench.record(LIKE, second).await.is_some() && bench.record(LIKE, third).await.is_some());
}

#[tokio::test]
async fn a_follow_of_the_same_account_is_replaced_too() {
    let bench = Bench::new().await;
    let follow =
        |n: i64| json!({ "subject": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "n": n, "createdAt": "2026-01-01T00:00:00Z" });
    let [first, second, third] = ["3jzfcijpj2z22", "3jzfcijpj2z23", "3jzfcijpj2z24"];
    bench.write(vec![create("app.bsky.graph.follow", Some(first), follow(1))]).await.unwrap();
    bench.write(vec![create("app.bsky.graph.follow", Some(second), follow(2))]).await.unwrap();
    // A block of the same account is another matter.
    bench.write(vec![create("app.bsky.graph.block", Some(third), follow(3))]).await.unwrap();
    assert!(bench.record("app.bsky.graph.follow", first).await.is_none());
    assert!(bench.record("app.bsky.graph.follow", second).await.is_some());
}

#[tokio::test]
async fn equal_records_share_a_block_and_deleting_one_keeps_the_other() {
    let bench = Bench::new().await;
    bench
        .write(vec![create(POST, Some("a"), json!({ "n": 1 })), create(POST, Some("b"), json!({ "n": 1 }))])
        .await
        .unwrap();
    let cid = bench.record(POST, "a").await.unwrap().cid;
    assert_eq!(bench.record(POST, "b").await.unwrap().cid, cid);
    bench.write(vec![delete("a", SwapRecord::Any, false)]).await.unwrap();
    assert_eq!(bench.record(POST, "b").await.unwrap().cid, cid);
    let store = &bench.fixture.server.store;
    assert_eq!(store.blocks(bench.account.id, &[cid]).await.unwrap().len(), 1);
    bench.write(vec![delete("b", SwapRecord::Any, false)]).await.unwrap();
    assert_eq!(store.blocks(bench.account.id, &[cid]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_referenced_blob_must_be_here_and_as_the_record_says() {
    let bench = Bench::new().await;
    let missing = Cid::of_raw(b"missing");
    let refused = bench.refused_writes(vec![create(POST, None, blob_record(&missing, "text/plain", 7))]).await;
    assert_eq!(refused, WriteError::BlobNotFound(missing));
    let blob = bench.upload(b"hello", "text/plain").await;
    assert!(!blob.permanent);
    let refused = bench.refused_writes(vec![create(POST, None, blob_record(&blob.cid, "text/html", 5))]).await;
    assert_eq!(refused, WriteError::BlobMimeType { expected: "text/plain".into(), got: "text/html".into() });
    let refused = bench.refused_writes(vec![create(POST, None, blob_record(&blob.cid, "text/plain", 6))]).await;
    assert_eq!(refused, WriteError::BlobSize { expected: 5, got: 6 });
    bench.write(vec![create(POST, Some("a"), blob_record(&blob.cid, "text/plain", 5))]).await.unwrap();
    let stored = bench.fixture.server.store.blob(bench.account.id, &blob.cid).await.unwrap().unwrap();
    assert!(stored.permanent);
    assert_eq!(bench.fixture.server.store.list_blobs(bench.account.id, None, None, 10).await.unwrap(), [blob.cid]);
}

#[tokio::test]
async fn a_blob_of_another_account_is_not_here() {
    let bench = Bench::new().await;
    let blob = bench.upload(b"hello", "text/plain").await;
    let other = bench.fixture.account("bob").await;
    let request = WriteRequest {
        writes: vec![create(POST, None, blob_record(&blob.cid, "text/plain", 5))],
        ..WriteRequest::default()
    };
    let refused = write(&bench.fixture.server, &other, request).await.unwrap_err();
    assert_eq!(refused, WriteError::BlobNotFound(blob.cid));
}

#[tokio::test]
async fn legacy_blob_references_are_refused_wherever_they_hide() {
    let bench = Bench::new().await;
    let cid = Cid::of_raw(b"x").to_string();
    let legacy = json!({ "cid": cid, "mimeType": "image/png" });
    for record in [json!({ "avatar": legacy }), json!({ "a": [{ "b": legacy }] })] {
        let refused = bench.refused_writes(vec![create(POST, None, record)]).await;
        assert_eq!(refused, WriteError::LegacyBlob(cid.clone()));
    }
    let harmless =
        json!({ "a": { "cid": cid, "mimeType": "image/png", "more": 1 }, "b": { "cid": "x", "mimeType": "y" } });
    bench.write(vec![create(POST, None, harmless)]).await.unwrap();
}

#[tokio::test]
async fn concurrent_writes_of_one_account_all_succeed_one_after_the_other() {
    let bench = Arc::new(Bench::new().await);
    let writes = (0..24).map(|i| {
        let bench = Arc::clone(&bench);
        async move {
            bench.write(vec![create(POST, Some(&format!("k{i}")), json!({ "i": i }))]).await.unwrap().commit.unwrap()
        }
    });
    let commits = futures_util::future::join_all(writes).await;
    let mut revs: Vec<Tid> = commits.iter().map(|commit| commit.rev).collect();
    revs.sort_unstable();
    revs.dedup();
    assert_eq!(revs.len(), 24);
    assert_eq!(bench.fixture.server.store.repo_stats(bench.account.id).await.unwrap().records, 24);
}

#[tokio::test]
async fn a_temporary_blob_is_swept_after_its_grace_and_a_referenced_one_never() {
    let bench = Bench::new().await;
    let server = &bench.fixture.server;
    let unused = bench.upload(b"unused", "text/plain").await;
    let used = bench.upload(b"used", "text/plain").await;
    bench.write(vec![create(POST, Some("a"), blob_record(&used.cid, "text/plain", 4))]).await.unwrap();
    bench.fixture.clock.advance(std::time::Duration::from_hours(5));
    crate::service::maintain(server).await.unwrap();
    assert!(server.store.blob_files().open(&unused.cid).await.unwrap().is_some());
    bench.fixture.clock.advance(std::time::Duration::from_hours(2));
    crate::service::maintain(server).await.unwrap();
    assert!(server.store.blob(bench.account.id, &unused.cid).await.unwrap().is_none());
    assert!(server.store.blob_files().open(&unused.cid).await.unwrap().is_none());
    assert!(server.store.blob_files().open(&used.cid).await.unwrap().is_some());
    let refused = bench.refused_writes(vec![create(POST, None, blob_record(&unused.cid, "text/plain", 6))]).await;
    assert_eq!(refused, WriteError::BlobNotFound(unused.cid));
}

#[tokio::test]
async fn a_blob_that_is_uploaded_again_survives_the_sweep_of_its_first_upload() {
    let bench = Bench::new().await;
    let server = &bench.fixture.server;
    let first = bench.upload(b"again", "text/plain").await;
    bench.fixture.clock.advance(std::time::Duration::from_hours(5));
    let second = bench.upload(b"again", "text/plain").await;
    assert_eq!(first.cid, second.cid);
    bench.fixture.clock.advance(std::time::Duration::from_hours(2));
    crate::service::maintain(server).await.unwrap();
    assert!(server.store.blob_files().open(&second.cid).await.unwrap().is_some());
    bench.write(vec![create(POST, Some("a"), blob_record(&second.cid, "text/plain", 5))]).await.unwrap();
}

#[tokio::test]
async fn a_blob_goes_with_the_last_record_that_uses_it_unless_another_account_has_it() {
    let bench = Bench::new().await;
    let server = &bench.fixture.server;
    let other = bench.fixture.account("bob").await;
    let blob = bench.upload(b"shared", "text/plain").await;
    let upload = Upload {
        content_type: Some("text/plain".to_owned()),
        content_length: Some(6),
        body: stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"shared"))]),
    };
    blobs::upload(server, &other, upload).await.unwrap();
    let record = blob_record(&blob.cid, "text/plain", 6);
    bench.write(vec![create(POST, Some("a"), record.clone())]).await.unwrap();
    let request = WriteRequest { writes: vec![create(POST, Some("b"), record)], ..WriteRequest::default() };
    write(server, &other, request).await.unwrap();
    bench.write(vec![delete("a", SwapRecord::Any, false)]).await.unwrap();
    bench.fixture.clock.advance(std::time::Duration::from_hours(7));
    crate::service::maintain(server).await.unwrap();
    assert!(server.store.blob_files().open(&blob.cid).await.unwrap().is_some());
    let gone = WriteRequest { writes: vec![delete("b", SwapRecord::Any, false)], ..WriteRequest::default() };
    write(server, &other, gone).await.unwrap();
    bench.fixture.clock.advance(std::time::Duration::from_hours(7));
    crate::service::maintain(server).await.unwrap();
    assert!(server.store.blob_files().open(&blob.cid).await.unwrap().is_none());
}

#[tokio::test]
async fn an_upload_that_is_too_large_or_breaks_off_leaves_nothing() {
    let bench = Bench::new().await;
    let server = &bench.fixture.server;
    let told =
        Upload { content_type: None, content_length: Some(1_000_001), body: stream::empty::<Result<Bytes, &str>>() };
    let refused = blobs::upload(server, &bench.account, told).await.unwrap_err();
    assert_eq!(refused, blobs::UploadError::TooLarge(1_000_000));
    let pieces = (0..11).map(|_| Ok::<_, &str>(Bytes::from(vec![7; 100_000])));
    let long = Upload { content_type: None, content_length: None, body: stream::iter(pieces) };
    let refused = blobs::upload(server, &bench.account, long).await.unwrap_err();
    assert_eq!(refused, blobs::UploadError::TooLarge(1_000_000));
    let broken = Upload {
        content_type: None,
        content_length: None,
        body: stream::iter([Ok(Bytes::from_static(b"half")), Err("reset")]),
    };
    let refused = blobs::upload(server, &bench.account, broken).await.unwrap_err();
    assert_eq!(refused, blobs::UploadError::Body("reset"));
    assert!(server.store.blob(bench.account.id, &Cid::of_raw(b"half")).await.unwrap().is_none());
    assert!(server.store.blob_files().open(&Cid::of_raw(b"half")).await.unwrap().is_none());
}
