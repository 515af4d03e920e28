//! The parts that do no I/O, one by one: CBOR, JSON, MST, CAR, commits, signatures.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use housekey::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    ipld::{Cid, Map, Value, car, cbor, json},
    repo::{
        Commit, MemoryBlocks, RecordPath, WriteOp, genesis,
        mst::{self, Tree},
        plan,
    },
    syntax::{Did, RecordKey, Tid},
};
use std::hint::black_box;

/// Keys of the tree that is edited: a repository of somebody who posts much.
const KEYS: u64 = 10_000;

fn post(n: u64) -> Value {
    let mut map = Map::new();
    map.insert("$type", "app.bsky.feed.post");
    map.insert("text", format!("a small post of about a hundred characters, which is what people usually write {n}"));
    map.insert("createdAt", "2026-01-01T00:00:00.000Z");
    map.insert("langs", vec![Value::from("en")]);
    Value::Map(map)
}

fn encoded(n: u64) -> (Cid, Bytes) {
    let bytes = Bytes::from(cbor::encode(&post(n)));
    (Cid::of_cbor(&bytes), bytes)
}

/// The path of the post `n`, its key a TID of its second.
fn path(n: u64) -> RecordPath {
    let at = Timestamp::from_secs(1_700_000_000 + i64::try_from(n).unwrap_or(0));
    let key: RecordKey = Tid::new(at, 0).to_string().parse().unwrap_or_else(|_| unreachable_key());
    RecordPath::new("app.bsky.feed.post".parse().unwrap_or_else(|_| unreachable_key()), key)
}

#[expect(clippy::panic, reason = "constants that are known to parse")]
fn unreachable_key<T>() -> T {
    panic!("a constant does not parse")
}

/// A tree of [`KEYS`] posts.
fn tree() -> (Cid, MemoryBlocks) {
    let mut blocks = MemoryBlocks::default();
    let entries: Vec<(String, Cid)> = (0..KEYS).map(|n| (path(n).to_string(), encoded(n).0)).collect();
    let root = mst::build(entries, &mut |built| {
        blocks.0.insert(built.cid, built.block);
    });
    (root.unwrap_or_else(|_| unreachable_key()), blocks)
}

fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a small post");
    let value = post(1);
    let (_, bytes) = encoded(1);
    let as_json = json::to_json(&value).to_string();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("CBOR encode", |bencher| bencher.iter(|| cbor::encode(black_box(&value))));
    group.bench_function("CBOR decode", |bencher| bencher.iter(|| cbor::decode(black_box(&bytes))));
    group.bench_function("CID", |bencher| bencher.iter(|| Cid::of_cbor(black_box(&bytes))));
    group.bench_function("JSON to CBOR", |bencher| {
        bencher.iter(|| {
            let parsed = serde_json::from_str(black_box(&as_json)).unwrap_or_default();
            json::from_json(&parsed).map(|value| cbor::encode(&value))
        });
    });
    group.bench_function("CBOR to JSON", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            json::write_cbor_as_json(black_box(&bytes), &mut out).is_ok()
        });
    });
    group.finish();
}

fn archives(criterion: &mut Criterion) {
    let blocks: Vec<(Cid, Bytes)> = (0..1_000).map(encoded).collect();
    let mut archive = car::header(&[blocks.first().map_or_else(unreachable_key, |(cid, _)| *cid)]);
    for (cid, bytes) in &blocks {
        car::write_block(&mut archive, cid, bytes);
    }
    let mut group = criterion.benchmark_group("a CAR of 1,000 small blocks");
    group.throughput(Throughput::Bytes(archive.len() as u64));
    group.bench_function("read and verify", |bencher| bencher.iter(|| car::read_all(black_box(&archive))));
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::with_capacity(archive.len());
            for (cid, bytes) in &blocks {
                car::write_block(&mut out, cid, bytes);
            }
            out
        });
    });
    group.finish();
}

fn trees(criterion: &mut Criterion) {
    let (root, blocks) = tree();
    let mut group = criterion.benchmark_group("a tree of 10,000 records");
    group.bench_function("build", |bencher| bencher.iter(tree));
    group.bench_function("look one up", |bencher| {
        let (mut blocks, key) = (blocks.clone(), path(4_321).to_string());
        bencher.iter(|| mst::get(&mut blocks, &root, black_box(&key)));
    });
    group.bench_function("put one", |bencher| {
        let (mut blocks, key, value) = (blocks.clone(), path(KEYS).to_string(), encoded(0).0);
        bencher.iter(|| {
            let mut edit = Tree::open(&mut blocks, &root)?;
            edit.put(&mut blocks, black_box(&key), value)?;
            edit.seal()
        });
    });
    group.bench_function("verify whole", |bencher| {
        let mut blocks = blocks.clone();
        bencher.iter(|| mst::verify_whole(&mut blocks, black_box(&root)));
    });
    group.finish();
}

fn commits(criterion: &mut Criterion) {
    let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap_or_else(|_| unreachable_key());
    let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(1));
    let (root, mut blocks) = tree();
    let rev = Tid::new(Timestamp::from_secs(1_800_000_000), 0);
    let first = genesis(&did, rev, &key);
    let mut head = first.head;
    head.data = root;
    let (cid, record) = encoded(KEYS);
    let ops = [WriteOp::Create { path: path(KEYS), cid, record }];
    let next = Tid::after(Some(rev), Timestamp::from_secs(1_800_000_001), 0);
    let mut group = criterion.benchmark_group("a commit of one record to 10,000");
    group.bench_function("plan and sign", |bencher| {
        bencher.iter(|| plan(&did, &head, &mut blocks, black_box(&ops), next, &key));
    });
    let planned = plan(&did, &head, &mut blocks, &ops, next, &key).unwrap_or_else(|_| unreachable_key());
    group.bench_function("encode its event", |bencher| {
        bencher.iter(|| planned.event(&did, Timestamp::from_secs(1_800_000_002)));
    });
    let public = key.did_key();
    group.bench_function("verify its signature", |bencher| {
        bencher.iter(|| Commit::decode(black_box(&planned.commit)).map(|commit| commit.verify(&public)));
    });
    group.finish();
}

fn signatures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signatures");
    for (name, curve) in [("K-256", Curve::K256), ("P-256", Curve::P256)] {
        let key = SigningKey::generate(curve, &SeededEntropy::new(1));
        let public = key.did_key();
        let message = [7_u8; 200];
        let signature = key.sign(&message);
        group.bench_function(format!("{name} sign"), |bencher| bencher.iter(|| key.sign(black_box(&message))));
        group.bench_function(format!("{name} verify"), |bencher| {
            bencher.iter(|| public.verify(black_box(&message), &signature.0).is_ok());
        });
        let text = public.to_string();
        group.bench_function(format!("{name} did:key parse"), |bencher| {
            bencher.iter(|| black_box(text.as_str()).parse::<housekey::crypto::DidKey>().is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, formats, archives, trees, commits, signatures);
criterion_main!(benches);
