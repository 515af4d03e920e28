//! What the store itself can do, without HTTP: writes, reads, exports, replay, bytes on disk.
//!
//! `cargo bench --bench store [-- DIR [RECORDS]]` prints one line per quantity.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring program: it prints, and stops when anything fails"
)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use housekey::{
    clock::{Clock, SystemClock, Timestamp},
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    event::{self, CommitEvent, CommitOp},
    ipld::{Cid, Map, Value, cbor},
    repo::{RecordPath, WriteOp, WritePlan, genesis, plan},
    store::{
        AccountId, ChangeSet, Durability, JournalEffect, JournalKind, ListRecords, NewAccount, NewJournalRow,
        RecordChange, RecordPut, Store, StoreOptions,
    },
    syntax::{Did, Nsid, RecordKey, Tid},
    tasks::Tasks,
};

struct Account {
    id: AccountId,
    did: Did,
    key: SigningKey,
    last: Tid,
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn change_set(account: AccountId, did: &Did, expected: Option<Cid>, planned: &WritePlan) -> ChangeSet {
    let paths: Vec<String> = planned.ops.iter().map(|op| op.path.to_string()).collect();
    let ops: Vec<CommitOp<'_>> = planned
        .ops
        .iter()
        .zip(&paths)
        .map(|(op, path)| CommitOp { action: "create", path, cid: op.cid, prev: op.prev })
        .collect();
    let event = CommitEvent {
        did,
        commit: planned.head.commit,
        rev: planned.head.rev,
        since: planned.since,
        prev_data: planned.prev_data,
        ops: &ops,
        blocks: &planned.event_blocks,
    };
    let put = |cid, value| RecordPut { cid, value, blobs: Vec::new(), backlinks: Vec::new() };
    ChangeSet {
        account,
        expected_head: expected,
        head: planned.head,
        commit: planned.commit.clone(),
        new_nodes: planned.new_nodes.clone(),
        removed_nodes: planned.removed_nodes.clone(),
        records: planned
            .ops
            .iter()
            .map(|op| RecordChange {
                path: op.path.clone(),
                put: op.cid.zip(op.record.clone()).map(|(c, v)| put(c, v)),
            })
            .collect(),
        events: vec![event::commit(&event, now())],
    }
}

fn post(n: u64) -> (Cid, Bytes) {
    let mut map = Map::new();
    map.insert("$type", "app.bsky.feed.post");
    map.insert("text", format!("a small post of about a hundred characters, which is what people usually write {n}"));
    map.insert("createdAt", "2026-01-01T00:00:00.000Z");
    map.insert("langs", vec![Value::from("en")]);
    let bytes = Bytes::from(cbor::encode(&Value::Map(map)));
    (Cid::of_cbor(&bytes), bytes)
}

impl Account {
    async fn new(store: &Store, n: usize) -> Self {
        let letters: String =
            (0..24).map(|i| char::from(b'a' + u8::try_from((n >> (i % 6 * 4)) & 15).unwrap())).collect();
        let did: Did = format!("did:plc:{letters}").parse().unwrap();
        let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(n as u64));
        let account = NewAccount {
            did: did.clone(),
            handle: format!("user{n}.example.com").parse().unwrap(),
            email: Some(format!("user{n}@example.com")),
            password_hash:
                "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
                    .to_owned(),
            sealed_signing_key: vec![0; 72],
            signing_key: key.did_key().to_string(),
            invite_code: None,
            created_at: now(),
        };
        let operation = "x".repeat(900);
        let operation_cid = Cid::of_cbor(operation.as_bytes());
        let row = NewJournalRow {
            did: did.clone(),
            kind: JournalKind::CreateAccount,
            operation,
            operation_cid,
            prev: None,
            at: now(),
        };
        let (id, journal) = store.begin_account(account, row).await.unwrap();
        let last = Tid::new(now(), 0);
        let planned = genesis(&did, last, &key);
        let effect = JournalEffect::CreateAccount(change_set(id, &did, None, &planned));
        store.journal_apply(journal, effect, now(), None).await.unwrap();
        Self { id, did, key, last }
    }

    async fn posts(&mut self, store: &Store, count: u64) {
        let head = store.head(self.id).await.unwrap().unwrap();
        let collection: Nsid = "app.bsky.feed.post".parse().unwrap();
        let mut ops = Vec::new();
        for n in 0..count {
            self.last = Tid::after(Some(self.last), now(), 0);
            let rkey: RecordKey = self.last.to_string().parse().unwrap();
            let (cid, record) = post(n);
            ops.push(WriteOp::Create { path: RecordPath::new(collection.clone(), rkey), cid, record });
        }
        let keys = ops.iter().map(|op| op.path().to_string()).collect();
        let mut blocks = store.plan_blocks(self.id, head.data, keys).await.unwrap();
        let rev = Tid::after(Some(head.rev), now(), 0);
        let planned = plan(&self.did, &head, &mut blocks, &ops, rev, &self.key).unwrap();
        store.commit(change_set(self.id, &self.did, Some(head.commit), &planned)).await.unwrap();
    }
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.get(11..13).map_or(0, |times| times.iter().filter_map(|t| t.parse::<u64>().ok()).sum());
    Duration::from_millis(ticks * 10)
}

fn size(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("data/housekey.sqlite")).map_or(0, |file| file.len())
}

/// fdatasync of 16 KiB appended to a file: what one flush costs on this disk.
fn flush_p50(dir: &Path) -> f64 {
    use std::io::Write as _;
    let mut file = std::fs::File::create(dir.join("flush")).unwrap();
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            file.write_all(&[0; 16384]).unwrap();
            let start = Instant::now();
            file.sync_data().unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[150]
}

async fn sequential(store: &Store, account: &mut Account, name: &str) {
    let (cpu_before, mut times) = (cpu(), Vec::new());
    for _ in 0..1000 {
        let start = Instant::now();
        account.posts(store, 1).await;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let used = (cpu().saturating_sub(cpu_before)).as_secs_f64();
    println!("{name}: p50 {:.2} ms, p99 {:.2} ms, CPU {used:.2} ms each", times[500], times[990]);
}

async fn reads(store: &Store, account: &Account, name: &str) {
    let collection: Nsid = "app.bsky.feed.post".parse().unwrap();
    let list =
        ListRecords { account: account.id, collection: collection.clone(), cursor: None, limit: 100, reverse: false };
    let start = Instant::now();
    for _ in 0..2000 {
        assert_eq!(store.list_records(list.clone()).await.unwrap().len(), 100);
    }
    println!("{name}: listRecords(100) {:.0}/s on one thread", 2000.0 / start.elapsed().as_secs_f64());
    let listed = store.list_records(ListRecords { limit: 10_000, ..list }).await.unwrap();
    let start = Instant::now();
    for n in 0..20_000_usize {
        let path = RecordPath::new(collection.clone(), listed[n * 7919 % listed.len()].rkey.clone());
        assert!(store.record(account.id, &path).await.unwrap().is_some());
    }
    println!("{name}: getRecord {:.0}/s on one thread", 20_000.0 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for n in 0..5000_usize {
        let path = RecordPath::new(collection.clone(), listed[n * 7919 % listed.len()].rkey.clone());
        assert!(store.record_proof(account.id, &path).await.unwrap().is_some());
    }
    println!("{name}: proof {:.0}/s on one thread", 5000.0 / start.elapsed().as_secs_f64());
    for _ in 0..2 {
        let start = Instant::now();
        let mut export = store.open_export(account.id, None).await.unwrap().unwrap();
        let (mut blocks, mut bytes) = (0, 0);
        loop {
            let page = export.next_page().await.unwrap();
            if page.is_empty() {
                break;
            }
            blocks += page.len();
            bytes += page.iter().map(|(_, block)| block.len()).sum::<usize>();
        }
        println!("{name}: export {blocks} blocks, {bytes} bytes in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let dir = args.first().map_or_else(std::env::temp_dir, PathBuf::from).join("store-bench");
    let records: u64 = args.get(1).map_or(100_000, |n| n.parse().unwrap());
    drop(std::fs::remove_dir_all(&dir));
    let options = StoreOptions { dir: dir.join("data"), blobs: dir.join("blobs"), durability: Durability::Full };
    let start = Instant::now();
    let store = Store::open(&options, &Tasks::new()).unwrap();
    println!("first open {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    println!("one flush (fdatasync) p50 {:.2} ms", flush_p50(&dir));

    let mut first = Account::new(&store, 0).await;
    sequential(&store, &mut first, "empty repository: createRecord").await;

    let start = Instant::now();
    let mut accounts = Vec::new();
    for n in 1..=1000 {
        accounts.push(Account::new(&store, n).await);
    }
    println!("1,000 accounts in {:.1} s", start.elapsed().as_secs_f64());
    concurrent(&store, accounts.split_off(1000 - 32)).await;

    let mut small = Account::new(&store, 2000).await;
    for _ in 0..50 {
        small.posts(&store, 200).await;
    }
    reads(&store, &small, "10,000 records").await;
    let mut large = Account::new(&store, 2001).await;
    for _ in 0..records / 200 {
        large.posts(&store, 200).await;
    }
    reads(&store, &large, "100,000 records").await;
    sequential(&store, &mut large, "100,000 records: createRecord").await;
    replay(&store).await;
    store.close().await;
    println!("database {} MiB", size(&dir) >> 20);
    let start = Instant::now();
    let store = Store::open(&options, &Tasks::new()).unwrap();
    println!("open again {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    replay(&store).await;
    store.close().await;
}

async fn concurrent(store: &Store, accounts: Vec<Account>) {
    let cpu_before = cpu();
    let start = Instant::now();
    let tasks = Tasks::new();
    let store = Arc::new(store.clone());
    let count = accounts.len();
    for mut account in accounts {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..200 {
                account.posts(&store, 1).await;
            }
        });
    }
    tasks.finished().await;
    let writes = count as f64 * 200.0;
    let (elapsed, used) = (start.elapsed().as_secs_f64(), (cpu().saturating_sub(cpu_before)).as_secs_f64());
    println!(
        "{count} accounts at once: {:.0} createRecord/s, CPU {:.2} ms each",
        writes / elapsed,
        used * 1e3 / writes
    );
}

async fn replay(store: &Store) {
    let start = Instant::now();
    let (mut after, mut count, mut bytes) = (0, 0, 0);
    loop {
        let page = store.events_after(after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        count += page.len();
        bytes += page.iter().map(|event| event.frame.len()).sum::<usize>();
    }
    println!(
        "replay {:.0} events/s ({count} events, {} MiB)",
        count as f64 / start.elapsed().as_secs_f64(),
        bytes >> 20
    );
}
