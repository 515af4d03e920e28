use super::{subscribe as subscribe_to, *};
use crate::{
    event::{AccountStatus, Frame, account as account_frame},
    ipld::{Cid, car},
    repo::{Commit, MemoryBlocks, mst, proof},
    service::{
        fixture::Fixture,
        records::{SwapRecord, Write, WriteRequest, write},
    },
    store::Account,
    syntax::{Did, Nsid, RecordKey},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use proptest::prelude::*;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

const POST: &str = "com.example.post";

fn nsid() -> Nsid {
    POST.parse().unwrap()
}

fn put(rkey: &str, n: i64) -> Write {
    Write::Put { collection: nsid(), rkey: rkey.parse().unwrap(), record: json!({ "n": n }), swap: SwapRecord::Any }
}

fn delete(rkey: &str) -> Write {
    Write::Delete { collection: nsid(), rkey: rkey.parse::<RecordKey>().unwrap(), swap: SwapRecord::Any, lenient: true }
}

async fn apply(fixture: &Fixture, account: &Account, writes: Vec<Write>) {
    let request = WriteRequest { writes, ..WriteRequest::default() };
    write(&fixture.server, account, request).await.unwrap();
}

fn feed(fixture: &Fixture) -> Feed {
    let server = &fixture.server;
    Feed::new(&server.store, &server.tasks, server.now().minus(server.policy.backfill))
}

async fn subscribe(fixture: &Fixture, cursor: Option<i64>) -> BoxStream<'static, Item> {
    subscribe_to(feed(fixture), cursor).await.unwrap()
}

async fn impatient(fixture: &Fixture, cursor: Option<i64>, lag: i64) -> BoxStream<'static, Item> {
    subscribe_to(Feed { lag, ..feed(fixture) }, cursor).await.unwrap()
}

/// What a stream has to say until it would wait.
fn ready(stream: &mut BoxStream<'static, Item>) -> Vec<Item> {
    let mut items = Vec::new();
    while let Some(Some(item)) = stream.next().now_or_never() {
        items.push(item);
    }
    items
}

/// Everything that the log holds behind `cursor`, whether or not reading it has to wait for a thread.
async fn all(fixture: &Fixture, cursor: i64) -> Vec<Frame> {
    let newest = *fixture.server.store.latest_seq().borrow();
    let mut stream = subscribe(fixture, Some(cursor)).await;
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame| seq(frame) < newest) {
        frames.push(frame(&stream.next().await.unwrap()));
    }
    frames
}

fn frame(item: &Item) -> Frame {
    match item {
        Item::Frame(bytes) => Frame::decode(bytes).unwrap(),
        Item::End(reason) => panic!("the stream ended: {reason:?}"),
    }
}

fn seq(frame: &Frame) -> i64 {
    match frame {
        Frame::Commit(frame) => frame.seq,
        Frame::Sync(frame) => frame.seq,
        Frame::Identity(frame) => frame.seq,
        Frame::Account(frame) => frame.seq,
        Frame::Info(_) | Frame::Error(_) => 0,
    }
}

/// Error name and close reason of a stream that ends at once.
async fn ending(mut stream: BoxStream<'static, Item>) -> (Option<String>, CloseReason) {
    let mut error = None;
    while let Some(item) = stream.next().await {
        match item {
            Item::End(reason) => {
                assert_eq!(stream.next().await, None);
                return (error, reason);
            }
            Item::Frame(bytes) => {
                if let Frame::Error(frame) = Frame::decode(&bytes).unwrap() {
                    error = Some(frame.error);
                }
            }
        }
    }
    panic!("the stream ended without a reason");
}

#[tokio::test]
async fn a_new_account_is_announced_as_identity_account_commit_and_sync() {
    let fixture = Fixture::new().await;
    fixture.account("alice").await;
    let frames = all(&fixture, 0).await;
    assert!(matches!(frames.as_slice(), [Frame::Identity(_), Frame::Account(_), Frame::Commit(_), Frame::Sync(_)]));
}

#[tokio::test]
async fn without_a_cursor_only_what_happens_from_now_on_is_sent() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let mut stream = subscribe(&fixture, None).await;
    assert_eq!(ready(&mut stream), []);
    apply(&fixture, &alice, vec![put("a", 1)]).await;
    apply(&fixture, &alice, vec![put("b", 2)]).await;
    let frames: Vec<i64> =
        [stream.next().await, stream.next().await].iter().map(|item| seq(&frame(item.as_ref().unwrap()))).collect();
    assert_eq!(frames, [5, 6]);
    assert_eq!(ready(&mut stream), []);
}

#[tokio::test]
async fn a_cursor_continues_behind_the_event_that_it_names_and_goes_on_live() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let mut stream = subscribe(&fixture, Some(2)).await;
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 3);
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 4);
    assert_eq!(ready(&mut stream), []);
    apply(&fixture, &alice, vec![put("a", 1)]).await;
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 5);
}

#[tokio::test]
async fn subscribers_share_the_bytes_of_a_frame() {
    let fixture = Fixture::new().await;
    fixture.account("alice").await;
    let mut first = subscribe(&fixture, Some(0)).await;
    let mut second = subscribe(&fixture, Some(0)).await;
    let (Some(Item::Frame(one)), Some(Item::Frame(two))) = (first.next().await, second.next().await) else {
        panic!("both get a frame");
    };
    assert_eq!(one.as_ptr(), two.as_ptr());
}

#[tokio::test]
async fn a_cursor_from_the_future_is_an_error_and_the_end() {
    let fixture = Fixture::new().await;
    fixture.account("alice").await;
    let stream = subscribe(&fixture, Some(5)).await;
    assert_eq!(ending(stream).await, (Some("FutureCursor".to_owned()), CloseReason::FutureCursor));
    let stream = subscribe(&fixture, Some(i64::MAX)).await;
    assert_eq!(ending(stream).await.1, CloseReason::FutureCursor);
}

#[tokio::test]
async fn a_cursor_before_the_window_is_told_so_and_starts_with_the_window() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    fixture.clock.advance(Duration::from_hours(25));
    apply(&fixture, &alice, vec![put("a", 1)]).await;
    for outdated in [0, 2, 3, -7] {
        let mut stream = subscribe(&fixture, Some(outdated)).await;
        let Frame::Info(info) = frame(&stream.next().await.unwrap()) else { panic!("{outdated} is outdated") };
        assert_eq!(info.name, "OutdatedCursor");
        assert_eq!(seq(&frame(&stream.next().await.unwrap())), 5);
    }
    let mut stream = subscribe(&fixture, Some(4)).await;
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 5);
}

#[tokio::test]
async fn a_cursor_before_what_is_kept_is_told_so_even_when_nothing_is_left() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    fixture.clock.advance(Duration::from_hours(100));
    apply(&fixture, &alice, vec![put("a", 1)]).await;
    assert_eq!(crate::service::maintain(&fixture.server).await.unwrap().events, 4);
    let mut stream = subscribe(&fixture, Some(1)).await;
    assert!(matches!(frame(&stream.next().await.unwrap()), Frame::Info(_)));
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 5);
    fixture.clock.advance(Duration::from_hours(100));
    assert_eq!(crate::service::maintain(&fixture.server).await.unwrap().events, 1);
    let mut stream = subscribe(&fixture, Some(1)).await;
    assert!(matches!(frame(&stream.next().await.unwrap()), Frame::Info(_)));
    apply(&fixture, &alice, vec![put("a", 2)]).await;
    assert_eq!(seq(&frame(&stream.next().await.unwrap())), 6);
}

#[tokio::test]
async fn a_subscriber_that_had_caught_up_and_falls_too_far_behind_is_cut() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let mut slow = impatient(&fixture, None, 5).await;
    assert_eq!(ready(&mut slow), []);
    for n in 0..6 {
        apply(&fixture, &alice, vec![put("a", n)]).await;
    }
    assert_eq!(ending(slow).await, (Some("ConsumerTooSlow".to_owned()), CloseReason::ConsumerTooSlow));
    // Who comes back with a cursor may take its time.
    let mut back = impatient(&fixture, Some(0), 5).await;
    for expected in 1..=10 {
        assert_eq!(seq(&frame(&back.next().await.unwrap())), expected);
    }
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let fixture = Fixture::new().await;
    let stream = subscribe(&fixture, None).await;
    fixture.server.tasks.stop();
    assert_eq!(ending(stream).await, (None, CloseReason::Stopping));
}

#[tokio::test]
async fn changes_of_state_are_in_the_stream() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let mut stream = subscribe(&fixture, None).await;
    let event = account_frame(&alice.did, Some(AccountStatus::Deactivated), fixture.server.now());
    fixture.server.store.announce(alice.id, vec![event]).await.unwrap();
    let Frame::Account(frame) = frame(&stream.next().await.unwrap()) else { panic!("an account event") };
    assert!(!frame.active);
}

#[tokio::test]
async fn a_reader_under_whom_the_log_was_pruned_is_cut_rather_than_left_with_a_hole() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let behind = subscribe(&fixture, Some(0)).await;
    fixture.clock.advance(Duration::from_hours(100));
    apply(&fixture, &alice, vec![put("a", 1)]).await;
    assert_eq!(crate::service::maintain(&fixture.server).await.unwrap().events, 4);
    // Recent events are read from memory: only many of them push the old ones out.
    let note = account_frame(&alice.did, None, fixture.server.now());
    let many = vec![note; crate::limits::store::EVENT_RING_COUNT];
    fixture.server.store.announce(alice.id, many).await.unwrap();
    assert_eq!(ending(behind).await, (Some("ConsumerTooSlow".to_owned()), CloseReason::ConsumerTooSlow));
}

/// A repository rebuilt from nothing but the stream.
#[derive(Default)]
struct Mirror {
    records: BTreeMap<String, Cid>,
    root: Option<Cid>,
    rev: Option<crate::syntax::Tid>,
}

impl Mirror {
    fn follow(&mut self, did: &Did, frame: &Frame) {
        let Frame::Commit(frame) = frame else { return };
        if frame.repo != *did {
            return;
        }
        let (roots, blocks) = car::read_all(&frame.blocks).unwrap();
        assert_eq!(roots, [frame.commit]);
        let blocks: HashMap<Cid, Bytes> = blocks.into_iter().collect();
        let commit = Commit::decode(&blocks[&frame.commit]).unwrap();
        assert_eq!(frame.since, self.rev);
        assert_eq!(commit.unsigned.rev, frame.rev);
        for op in &frame.ops {
            let before = match op.cid {
                Some(cid) => {
                    assert!(blocks.contains_key(&cid), "the event holds the record at {}", op.path);
                    self.records.insert(op.path.clone(), cid)
                }
                None => self.records.remove(&op.path),
            };
            assert_eq!(before, op.prev, "{}", op.path);
        }
        if let Some(before) = self.root {
            assert_eq!(frame.prev_data, Some(before));
            let ops: Vec<_> = frame.ops.iter().map(crate::event::FrameOp::as_op).collect();
            let inverted = proof::invert(&mut MemoryBlocks(blocks), &commit.unsigned.data, &ops).unwrap();
            assert_eq!(inverted, before);
        }
        self.root = Some(commit.unsigned.data);
        self.rev = Some(frame.rev);
    }
}

/// Head, tree and blocks of a CAR export, checked against itself.
async fn exported(fixture: &Fixture, account: &Account) -> (crate::repo::Head, BTreeMap<String, Cid>) {
    let export = fixture.server.store.open_export(account.id, None).await.unwrap().unwrap();
    let head = *export.head();
    let pieces: Vec<Bytes> = car_stream(export).map(|piece| piece.unwrap()).collect().await;
    (head, tree_of(&pieces.concat(), &head))
}

fn tree_of(file: &[u8], head: &crate::repo::Head) -> BTreeMap<String, Cid> {
    let (roots, blocks) = car::read_all(file).unwrap();
    assert_eq!(roots, [head.commit]);
    assert_eq!(blocks[0].0, head.commit, "the commit comes first");
    assert_eq!(Commit::decode(&blocks[0].1).unwrap().unsigned.data, head.data);
    let mut blocks = MemoryBlocks(blocks.into_iter().collect());
    let mut walk = mst::Walk::new(head.data);
    let mut records = BTreeMap::new();
    while let Some(step) = walk.step(&mut blocks).unwrap() {
        if let mst::Step::Entry(key, cid) = step {
            assert!(blocks.0.contains_key(&cid), "the record of {key} is in the file");
            records.insert(key, cid);
        }
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_stream_rebuilds_the_repository_and_every_commit_inverts(
        batches in prop::collection::vec(prop::collection::btree_map(0_u8..40, prop::option::of(0_i64..4), 1..8), 1..30)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let alice = fixture.account("alice").await;
            let bob = fixture.account("bob").await;
            for (i, batch) in batches.into_iter().enumerate() {
                let writes = batch.into_iter().map(|(key, n)| {
                    let rkey = format!("key{key}");
                    n.map_or_else(|| delete(&rkey), |n| put(&rkey, n))
                });
                let account = if i % 3 == 2 { &bob } else { &alice };
                apply(&fixture, account, writes.collect()).await;
            }
            let frames = all(&fixture, 0).await;
            let seqs: Vec<i64> = frames.iter().map(seq).collect();
            assert_eq!(seqs, (1..=i64::try_from(frames.len()).unwrap()).collect::<Vec<_>>());
            for account in [&alice, &bob] {
                let mut mirror = Mirror::default();
                for frame in &frames {
                    mirror.follow(&account.did, frame);
                }
                let (head, records) = exported(&fixture, account).await;
                assert_eq!(mirror.root, Some(head.data));
                assert_eq!(mirror.rev, Some(head.rev));
                assert_eq!(mirror.records, records);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_the_tree_that_it_began_with_while_writes_go_on() {
    let fixture = Fixture::new().await;
    let alice = fixture.account("alice").await;
    let big = |n: i64| Write::Put {
        collection: nsid(),
        rkey: format!("key{n}").parse().unwrap(),
        record: json!({ "n": n, "text": "x".repeat(8_000) }),
        swap: SwapRecord::Any,
    };
    for from in (0..300).step_by(100) {
        apply(&fixture, &alice, (from..from + 100).map(big).collect()).await;
    }
    let (_, before) = exported(&fixture, &alice).await;
    let export = fixture.server.store.open_export(alice.id, None).await.unwrap().unwrap();
    let head = *export.head();
    let mut stream = car_stream(export);
    let mut file = stream.next().await.unwrap().unwrap().to_vec();
    let mut n = 0;
    while let Some(piece) = stream.next().await {
        file.extend_from_slice(&piece.unwrap());
        apply(&fixture, &alice, vec![delete(&format!("key{n}")), put(&format!("key{}", 299 - n), -n)]).await;
        n += 1;
    }
    assert!(n >= 2, "the export took several pages");
    assert_eq!(tree_of(&file, &head), before);
    let (_, after) = exported(&fixture, &alice).await;
    assert_ne!(after, before);
}
