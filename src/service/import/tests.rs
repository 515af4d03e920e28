use std::{collections::BTreeMap, convert::Infallible};

use futures_util::stream;
use serde_json::json;

use super::*;
use crate::{
    clock::Clock,
    crypto::{Curve, KeyType, SigningKey},
    delegation::{DelegationId, Draft, Statement, testing::delegate},
    entropy::SeededEntropy,
    event::Frame,
    ipld::{Value, car, cbor, json::from_json},
    limits::repo::MAX_TREE_HEIGHT,
    repo::mst,
    service::{
        blobs,
        records::{Write, WriteRequest, write},
        testing::World,
    },
    store::ListRecords,
    syntax::AtIdentifier,
};

/// A repository in the making: paths to records.
type Records = BTreeMap<String, Bytes>;

/// Everything that a CAR file is made of, so that a test can spoil each part.
struct File {
    roots: Vec<Cid>,
    blocks: Vec<(Cid, Bytes)>,
}

impl File {
    fn of(did: &Did, rev: Tid, key: &SigningKey, records: &Records) -> Self {
        let mut blocks = Vec::new();
        let entries = records.iter().map(|(path, bytes)| (path.as_str(), Cid::of_cbor(bytes)));
        let data = mst::build(entries, &mut |built| blocks.push((built.cid, built.block))).unwrap();
        blocks.extend(records.values().map(|bytes| (Cid::of_cbor(bytes), bytes.clone())));
        Self::over(did, rev, key, data, blocks)
    }

    fn over(did: &Did, rev: Tid, key: &SigningKey, data: Cid, mut blocks: Vec<(Cid, Bytes)>) -> Self {
        let commit = UnsignedCommit { did: did.clone(), data, rev }.sign(key).encode();
        let root = Cid::of_cbor(&commit);
        blocks.push((root, commit));
        Self { roots: vec![root], blocks }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = car::header(&self.roots);
        for (cid, block) in &self.blocks {
            car::write_block(&mut out, cid, block);
        }
        out
    }
}

/// A server with one account.
struct Bench {
    world: World,
    account: Account,
    key: SigningKey,
}

impl Bench {
    async fn new() -> Self {
        let world = World::new().await;
        let account = world.account("alice").await;
        let key = world.server.signing_key(&account).unwrap();
        Self { world, account, key }
    }

    /// A revision that nobody used.
    fn rev(&self) -> Tid {
        self.world.server.tids.next(self.world.clock.now())
    }

    fn file(&self, records: &Records) -> File {
        File::of(&self.account.did, self.rev(), &self.key, records)
    }

    async fn import(&self, bytes: Vec<u8>) -> Result<Imported, ImportFault> {
        // Odd pieces, so that items are torn.
        let pieces: Vec<Result<Bytes, Infallible>> =
            bytes.chunks(1_013).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let imported = import(&self.world.server, &self.account, stream::iter(pieces), NewCommit::Signed).await;
        imported.map_err(|error| match error {
            ImportError::Refused(fault) => fault,
            ImportError::Read(never) => match never {},
        })
    }

    async fn refused(&self, file: &File) -> ImportFault {
        self.import(file.bytes()).await.unwrap_err()
    }

    async fn rkeys(&self, collection: &str) -> Vec<String> {
        let account = self.account.id;
        let collection = collection.parse().unwrap();
        let list = ListRecords { account, collection, cursor: None, limit: 100_000, reverse: true };
        let listed = self.world.server.store.list_records(list).await.unwrap();
        listed.into_iter().map(|record| record.rkey.as_str().to_owned()).collect()
    }

    async fn create(&self, collection: &str, rkey: &str, record: serde_json::Value) {
        let write_one = Write::Create {
            collection: collection.parse().unwrap(),
            rkey: Some(rkey.parse().unwrap()),
            record,
            replace_duplicates: false,
        };
        let request = WriteRequest { writes: vec![write_one], ..WriteRequest::default() };
        write(&self.world.server, &self.account, request).await.unwrap();
    }

    async fn head(&self) -> Head {
        self.world.server.store.head(self.account.id).await.unwrap().unwrap()
    }

    /// The blocks of an export, which are a whole repository again.
    async fn exported(&self) -> Vec<(Cid, Bytes)> {
        let mut export = self.world.server.store.open_export(self.account.id, None).await.unwrap().unwrap();
        blocks_of(&mut export).await
    }

    fn count(&self, table: &str) -> i64 {
        let conn = rusqlite::Connection::open(self.world.data_dir().join("housekey.sqlite")).unwrap();
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// Lets the writer remove what is loose.
    async fn swept(&self) {
        for _ in 0..100_000 {
            if self.count("loose_trees") == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("loose trees stay");
    }
}

async fn blocks_of(export: &mut crate::store::Export) -> Vec<(Cid, Bytes)> {
    let mut blocks = Vec::new();
    loop {
        let page = export.next_page().await.unwrap();
        if page.is_empty() {
            return blocks;
        }
        blocks.extend(page);
    }
}

fn record(json: &serde_json::Value) -> Bytes {
    cbor::encode(&from_json(json).unwrap()).into()
}

fn post(text: &str) -> Bytes {
    record(&json!({ "$type": "com.example.post", "text": text }))
}

fn posts(n: usize) -> Records {
    (0..n).map(|n| (format!("com.example.post/k{n:05}"), post(&n.to_string()))).collect()
}

#[tokio::test]
async fn an_import_replaces_the_repository_by_a_commit_of_our_own() {
    let bench = Bench::new().await;
    bench.create("com.example.old", "gone", json!({})).await;
    let (before, events) = (bench.head().await, bench.world.events().await.len());
    let mut records = posts(700);
    let follow = json!({ "$type": "app.bsky.graph.follow", "subject": "did:plc:ewvi7nxzyoun6zhxrhs64oiz" });
    records.insert("app.bsky.graph.follow/3aaaaaaaaaa22".to_owned(), record(&follow));
    let file = bench.file(&records);

    let imported = bench.import(file.bytes()).await.unwrap();
    assert_eq!(imported.records, 701);
    let head = bench.head().await;
    assert_eq!(head, imported.head);
    assert!(head.rev > before.rev && head.commit != file.roots[0]);
    assert!(bench.rkeys("com.example.old").await.is_empty());
    assert_eq!(bench.rkeys("com.example.post").await.len(), 700);
    let collections = bench.world.server.store.collections(bench.account.id).await.unwrap();
    assert_eq!(
        collections.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["app.bsky.graph.follow", "com.example.post"]
    );
    // The same tree under a new signature, and the stream hears of it.
    let exported: BTreeMap<Cid, Bytes> = bench.exported().await.into_iter().collect();
    let commit = Commit::decode(&exported[&head.commit]).unwrap();
    commit.verify(&bench.key.did_key()).unwrap();
    assert!(file.blocks.iter().filter(|(cid, _)| *cid != file.roots[0]).all(|(cid, block)| exported[cid] == *block));
    assert_eq!(exported.len(), file.blocks.len());
    let told = bench.world.events().await.split_off(events);
    assert!(matches!(told.as_slice(), [Frame::Sync(sync)] if sync.rev == head.rev), "{told:?}");
    let noted = bench.world.server.store.security_events(bench.account.id, None, 1).await.unwrap();
    assert_eq!((noted[0].kind.as_str(), noted[0].detail.as_deref()), ("moved", Some("701 records")));
}

#[tokio::test]
async fn an_imported_repository_goes_on_like_any_other() {
    let bench = Bench::new().await;
    bench.import(bench.file(&posts(300)).bytes()).await.unwrap();
    for n in 0..20 {
        bench.create("com.example.new", &format!("n{n}"), json!({ "n": n })).await;
    }
    let deletion = Write::Delete {
        collection: "com.example.post".parse().unwrap(),
        rkey: "k00123".parse().unwrap(),
        swap: crate::service::records::SwapRecord::Any,
        lenient: false,
    };
    let request = WriteRequest { writes: vec![deletion], ..WriteRequest::default() };
    write(&bench.world.server, &bench.account, request).await.unwrap();
    let head = bench.head().await;
    let blocks = bench.exported().await;
    let shape = mst::verify_whole(&mut crate::repo::MemoryBlocks(blocks.into_iter().collect()), &head.data).unwrap();
    assert_eq!(shape.records, 319);
    // And so does one that came in twice: what was there before is gone without a trace.
    bench.import(bench.file(&posts(3)).bytes()).await.unwrap();
    bench.swept().await;
    assert_eq!((bench.count("records"), bench.count("backlinks")), (3, 0));
    bench.create("com.example.new", "again", json!({})).await;
    assert_eq!(bench.rkeys("com.example.new").await, ["again"]);
}

#[tokio::test]
async fn a_deactivated_accounts_import_tells_the_stream_nothing() {
    let mut bench = Bench::new().await;
    let state = AccountState::Deactivated { delete_after: None };
    bench.world.server.store.set_account_state(bench.account.id, state, Vec::new()).await.unwrap();
    bench.account = bench.world.reread(&bench.account).await;
    let events = bench.world.events().await.len();
    bench.import(bench.file(&posts(3)).bytes()).await.unwrap();
    assert_eq!(bench.world.events().await.len(), events);
}

#[tokio::test]
async fn an_export_that_is_open_goes_on_with_what_was_there() {
    let bench = Bench::new().await;
    bench.import(bench.file(&posts(50)).bytes()).await.unwrap();
    let mut export = bench.world.server.store.open_export(bench.account.id, None).await.unwrap().unwrap();
    let old = *export.head();
    let other: Records = [("com.example.other/x".to_owned(), post("other"))].into();
    bench.import(bench.file(&other).bytes()).await.unwrap();
    let blocks = blocks_of(&mut export).await;
    assert_eq!(blocks.iter().filter(|(_, block)| cbor::decode(block).unwrap().get("text").is_some()).count(), 50);
    assert_eq!(blocks[0].0, old.commit);
    drop(export);
    bench.swept().await;
    assert_eq!(bench.count("records"), 1);
}

#[tokio::test]
async fn blobs_that_a_record_brings_are_missing_until_they_come_and_go_when_nothing_uses_them() {
    let bench = Bench::new().await;
    let server = &bench.world.server;
    let (here, legacy) = (Cid::of_raw(b"here"), Cid::of_raw(b"legacy"));
    let blob = |cid: Cid| json!({ "$type": "blob", "ref": { "$link": cid }, "mimeType": "text/plain", "size": 4 });
    let old_form = json!({ "cid": legacy, "mimeType": "image/png" });
    let records: Records = [
        ("com.example.a/1".to_owned(), record(&json!({ "$type": "com.example.a", "file": blob(here) }))),
        ("com.example.a/2".to_owned(), record(&json!({ "$type": "com.example.a", "file": old_form }))),
    ]
    .into();
    let upload = |bytes: &'static [u8]| {
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(bytes))]);
        blobs::upload(server, &bench.account, blobs::Upload { content_type: None, content_length: None, body })
    };
    assert!(!upload(b"here").await.unwrap().permanent);
    bench.import(bench.file(&records).bytes()).await.unwrap();
    assert!(server.store.blob(bench.account.id, &here).await.unwrap().unwrap().permanent);
    let missing = server.store.missing_blobs(bench.account.id, None, 10).await.unwrap();
    assert_eq!(
        missing.iter().map(|blob| (blob.cid, blob.record.to_string())).collect::<Vec<_>>(),
        [(legacy, "com.example.a/2".to_owned())]
    );
    assert!(upload(b"legacy").await.unwrap().permanent);
    let stats = server.store.repo_stats(bench.account.id).await.unwrap();
    assert_eq!((stats.expected_blobs, stats.imported_blobs), (2, 2));

    bench.import(bench.file(&posts(1)).bytes()).await.unwrap();
    bench.swept().await;
    let row = server.store.blob(bench.account.id, &here).await.unwrap().unwrap();
    assert!(!row.permanent);
    assert_eq!(server.store.repo_stats(bench.account.id).await.unwrap().expected_blobs, 0);
}

#[tokio::test]
async fn statements_that_are_here_stay_beside_those_that_come() {
    let bench = Bench::new().await;
    let (ours, theirs) = (bench.statement(1), bench.statement(2));
    let path = |statement: &Statement| format!("dev.housekey.delegation.statement/{}", statement.record_key());
    let as_record = |statement: &Statement| Bytes::from(cbor::encode(&Value::Map(statement.to_record())));
    let mut first = posts(1);
    first.insert(path(&ours), as_record(&ours));
    bench.import(bench.file(&first).bytes()).await.unwrap();
    let mut second = posts(2);
    second.insert(path(&theirs), as_record(&theirs));
    // Junk under a name that is taken does not take its place.
    second.insert(path(&ours), record(&json!({ "$type": "com.example.junk" })));
    second.insert("zz.example.last/1".to_owned(), post("last"));
    let imported = bench.import(bench.file(&second).bytes()).await.unwrap();
    assert_eq!(imported.records, 5);
    let mut expected = vec![ours.record_key().as_str().to_owned(), theirs.record_key().as_str().to_owned()];
    expected.sort();
    assert_eq!(bench.rkeys("dev.housekey.delegation.statement").await, expected);
    let stored = bench.world.server.store.record(bench.account.id, &path(&ours).parse().unwrap()).await.unwrap();
    assert_eq!(stored.unwrap().value, as_record(&ours));
    let head = bench.head().await;
    let blocks = bench.exported().await.into_iter().collect();
    assert_eq!(mst::verify_whole(&mut crate::repo::MemoryBlocks(blocks), &head.data).unwrap().records, 5);
}

impl Bench {
    fn statement(&self, seed: u64) -> Statement {
        let key = delegate(KeyType::Ed25519, seed);
        let draft = Draft {
            did: self.account.did.clone(),
            id: DelegationId::default(),
            key: Some(key.public()),
            prev: Some(Cid::of_cbor(b"an operation")),
            created_at: self.world.clock.now(),
        };
        draft.sign(Some(&key), None).unwrap()
    }
}

#[tokio::test]
async fn a_commit_that_an_earlier_key_of_the_did_signed_is_taken_and_a_strangers_is_not() {
    let mut bench = Bench::new().await;
    let stranger = SigningKey::generate(Curve::P256, &SeededEntropy::new(99));
    let file = File::of(&bench.account.did, bench.rev(), &stranger, &posts(2));
    assert_eq!(bench.refused(&file).await, ImportFault::WrongKey(bench.account.did.clone()));
    bench.world.directory.set_down(true);
    assert!(matches!(bench.refused(&file).await, ImportFault::KeysUnavailable(_)));
    bench.world.directory.set_down(false);
    // The account's key here is another by now; the log remembers the one before.
    let file = bench.file(&posts(2));
    bench.account.signing_key = stranger.did_key().to_string();
    bench.import(file.bytes()).await.unwrap();
    assert_eq!(bench.rkeys("com.example.post").await.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_taken_over_keeps_its_commit() {
    let bench = Bench::new().await;
    let file = bench.file(&posts(20));
    let events = bench.world.events().await.len();
    let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from(file.bytes()))]);
    let imported = import(&bench.world.server, &bench.account, bytes, NewCommit::AsBrought).await.unwrap();
    assert_eq!(imported.head.commit, file.roots[0]);
    assert_eq!(bench.world.events().await.len(), events);
    bench.create("com.example.new", "next", json!({})).await;
    assert!(bench.head().await.rev > imported.head.rev);
}

/// Runs `spoil` over a good file and says what is refused; nothing may have changed.
async fn spoiled(bench: &Bench, spoil: impl FnOnce(&mut File)) -> ImportFault {
    let before = (bench.head().await, bench.exported().await);
    let mut file = bench.file(&posts(40));
    spoil(&mut file);
    let fault = bench.refused(&file).await;
    assert_eq!((bench.head().await, bench.exported().await), before, "{fault}");
    fault
}

#[tokio::test]
async fn files_that_are_not_whole_are_refused_and_nothing_changes() {
    let bench = Bench::new().await;
    bench.create("com.example.mine", "stays", json!({})).await;
    let whole = bench.file(&posts(40)).bytes();
    for cut in [0, 1, 30, whole.len() / 2, whole.len() - 1] {
        assert!(bench.import(whole[..cut].to_vec()).await.is_err(), "{cut}");
    }
    let at = whole.len() - 40;
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    assert!(matches!(bench.import(flipped).await, Err(ImportFault::Car(CarError::HashMismatch(_)))));
    assert!(matches!(bench.import(b"\x1f\x8b\x08\0\0\0\0\0".to_vec()).await, Err(ImportFault::Car(_))));
    assert!(matches!(spoiled(&bench, |file| drop(file.blocks.pop())).await, ImportFault::NoCommit(_)));
    assert!(matches!(spoiled(&bench, |file| file.roots.push(file.roots[0])).await, ImportFault::Roots(2)));
    let missing = spoiled(&bench, |file| file.blocks.retain(|(cid, _)| *cid != Cid::of_cbor(&post("7")))).await;
    assert!(matches!(missing, ImportFault::RecordMissing(path) if path.rkey.as_str() == "k00007"));
    let lacking = spoiled(&bench, |file| drop(file.blocks.remove(0))).await;
    assert!(matches!(lacking, ImportFault::Tree(MstError::Missing(_))), "{lacking}");
    let no_commit = spoiled(&bench, |file| file.roots = vec![file.blocks[0].0]).await;
    assert!(matches!(no_commit, ImportFault::Commit(_)), "{no_commit}");
    assert_eq!(bench.rkeys("com.example.mine").await, ["stays"]);
    bench.swept().await;
    assert_eq!(bench.count("records"), 1);
}

#[tokio::test]
async fn somebody_elses_repository_is_refused() {
    let bench = Bench::new().await;
    let bob = bench.world.account("bob").await;
    let file = File::of(&bob.did, bench.rev(), &bench.key, &posts(1));
    assert_eq!(
        bench.refused(&file).await,
        ImportFault::WrongDid { expected: bench.account.did.clone(), found: bob.did }
    );
}

/// A node as somebody else might write it.
fn node(left: Option<Cid>, entries: &[(&str, Cid, Option<Cid>)]) -> (Cid, Bytes) {
    let entries =
        entries.iter().map(|(key, value, right)| mst::NodeEntry { key: (*key).into(), value: *value, right: *right });
    let block = mst::Node { left, entries: entries.collect() }.encode();
    (Cid::of_cbor(&block), block)
}

/// Keys of one height in ascending order.
fn keys_of(height: u8, n: usize) -> Vec<String> {
    let keys = (0..).map(|n: usize| format!("com.example.post/k{n:08}"));
    keys.filter(|key| mst::height_of(key) == height).take(n).collect()
}

#[tokio::test]
async fn trees_that_are_not_as_they_must_be_are_refused() {
    let bench = Bench::new().await;
    let value = (Cid::of_cbor(&post("x")), post("x"));
    let over = |data: Cid, mut blocks: Vec<(Cid, Bytes)>| {
        blocks.push(value.clone());
        File::over(&bench.account.did, bench.rev(), &bench.key, data, blocks)
    };
    // 20,000 nodes deep, each but the lowest without entries: a tree's height is bounded by the hash of its keys.
    let keys = keys_of(0, 3);
    let mut chain = vec![node(None, &[(&keys[0], value.0, None)])];
    for _ in 0..20_000 {
        let below = chain.last().unwrap().0;
        chain.push(node(Some(below), &[]));
    }
    let deep = bench.refused(&over(chain.last().unwrap().0, chain.clone())).await;
    assert!(matches!(deep, ImportFault::Tree(MstError::Node { .. })), "{deep}");
    assert!(chain.len() > usize::from(MAX_TREE_HEIGHT) * 100);
    // Two keys the wrong way round, in two nodes: each alone is in order.
    let high = keys_of(1, 1);
    let after: Vec<String> = keys_of(0, 400).into_iter().filter(|key| *key > high[0]).collect();
    let left = node(None, &[(&after[0], value.0, None)]);
    let top = node(Some(left.0), &[(&high[0], value.0, None)]);
    let unordered = bench.refused(&over(top.0, vec![left, top])).await;
    assert!(unordered.to_string().contains("outside the range"), "{unordered}");
    // A key that is no record path, and a record that is no map or not DAG-CBOR at all.
    let odd = node(None, &[("com.example.post/..", value.0, None)]);
    let odd = bench.refused(&over(odd.0, vec![odd])).await;
    assert!(matches!(odd, ImportFault::Tree(_)), "{odd}");
    for bytes in [&b"\x80"[..], b"\xfb\x3f\xf8\0\0\0\0\0\0", b"\xa1\x61"] {
        let block = Bytes::copy_from_slice(bytes);
        let named = node(None, &[(&keys[0], Cid::of_cbor(&block), None)]);
        let refused = bench.refused(&over(named.0, vec![named, (Cid::of_cbor(&block), block)])).await;
        assert!(matches!(refused, ImportFault::Record { .. }), "{refused}");
    }
    let raw = node(None, &[(&keys[0], Cid::of_raw(b"x"), None)]);
    let raw = bench.refused(&over(raw.0, vec![raw])).await;
    assert!(matches!(raw, ImportFault::Record { why: RecordFault::Codec, .. }), "{raw}");
    bench.swept().await;
    assert_eq!(bench.count("records"), 0);
}

#[tokio::test]
async fn one_large_record_under_many_keys_does_not_fill_the_disk() {
    let mut policy = crate::service::testing::policy();
    policy.import_bytes = 1_000_000;
    let world = World::with(policy).await;
    let account = world.account("alice").await;
    let key = world.server.signing_key(&account).unwrap();
    let bench = Bench { world, account, key };
    let large = post(&"x".repeat(50_000));
    let records: Records = (0..100).map(|n| (format!("com.example.post/k{n:05}"), large.clone())).collect();
    let mut file = bench.file(&records);
    file.blocks.dedup();
    assert!(file.bytes().len() < 100_000);
    assert_eq!(bench.refused(&file).await, ImportFault::RecordsTooLarge(1_000_000));
    let file = bench.file(
        &(0..30).map(|n| (format!("com.example.post/k{n}"), post(&format!("{n}{}", "y".repeat(50_000))))).collect(),
    );
    assert_eq!(bench.refused(&file).await, ImportFault::TooLarge(1_000_000));
    bench.swept().await;
    assert_eq!(bench.count("records"), 0);
}

#[tokio::test]
async fn one_import_at_a_time_and_nothing_stays_of_one_that_is_given_up() {
    let bench = Bench::new().await;
    let (store, now) = (&bench.world.server.store, bench.world.clock.now());
    let (first, blocks) = store.begin_import(bench.account.id, now).await.unwrap();
    let second = bench.import(bench.file(&posts(1)).bytes()).await;
    assert_eq!(second, Err(ImportFault::Store(ImportRefused::Running)));
    let dir = bench.world.data_dir().join("imports");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    drop((first, blocks));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    bench.import(bench.file(&posts(1)).bytes()).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_left_of_an_import_is_gone_after_the_next_start() {
    let bench = Bench::new().await;
    bench.create("com.example.mine", "stays", json!({})).await;
    let (store, now) = (bench.world.server.store.clone(), bench.world.clock.now());
    let (mut import, blocks) = store.begin_import(bench.account.id, now).await.unwrap();
    let put = crate::store::RecordPut {
        cid: Cid::of_cbor(&post("x")),
        value: post("x"),
        blobs: Vec::new(),
        backlinks: Vec::new(),
    };
    let records = vec![("com.example.staged/1".parse().unwrap(), put)];
    import.stage(crate::store::StagedRows { nodes: Vec::new(), records }, bench.rev()).await.unwrap();
    assert_eq!(bench.count("records"), 2);
    // The process ends without dropping anything.
    let _leaked = std::mem::ManuallyDrop::new((import, blocks));
    drop(store);
    let bench = Bench { world: bench.world.restart().await, account: bench.account, key: bench.key };
    bench.swept().await;
    assert_eq!(bench.count("records"), 1);
    assert_eq!(std::fs::read_dir(bench.world.data_dir().join("imports")).unwrap().count(), 0);
    let found = crate::service::repos::find(&bench.world.server, &AtIdentifier::Did(bench.account.did.clone())).await;
    assert_eq!(found.unwrap().unwrap().head, Some(bench.head().await));
}

#[tokio::test]
async fn another_accounts_writes_go_on_while_a_repository_comes_in() {
    let bench = Bench::new().await;
    let bob = bench.world.account("bob").await;
    let file = bench.file(&posts(3_000)).bytes();
    let importing = bench.import(file);
    tokio::pin!(importing);
    let mut written = 0;
    loop {
        let one = Write::Create {
            collection: "com.example.post".parse().unwrap(),
            rkey: None,
            record: json!({}),
            replace_duplicates: false,
        };
        let request = WriteRequest { writes: vec![one], ..WriteRequest::default() };
        tokio::select! {
            biased;
            done = &mut importing => { done.unwrap(); break }
            wrote = write(&bench.world.server, &bob, request) => { wrote.unwrap(); written += 1 }
        }
    }
    assert!(written > 5, "{written}");
}
