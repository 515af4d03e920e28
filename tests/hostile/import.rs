//! What `importRepo` may be sent: each hostile file gets its named 4xx, nothing changes, and memory stays flat.

use super::{Answer, Server, address, support};
use bytes::Bytes;
use housekey::{
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    ipld::{Cid, Map, Value, car, cbor},
    plc::{Operation, Service, UnsignedOperation},
    repo::{UnsignedCommit, mst},
    syntax::{Did, Tid},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use support::Running;

const IMPORT: &str = "/xrpc/com.atproto.repo.importRepo";
/// The bound of an imported file, in bytes.
const IMPORT_BYTES: usize = 40_000_000;
/// Bytes that the server's memory may grow by while it refuses files of any size: page caches and pieces.
const MEMORY_KIB: u64 = 64 * 1024;

type Blocks = Vec<(Cid, Bytes)>;

/// A server with one account whose signing key is the test's.
pub(super) struct Bench {
    pub(super) server: Server,
    directory: Server,
    _dir: tempfile::TempDir,
    pub(super) did: Did,
    pub(super) token: String,
    key: SigningKey,
}

impl Bench {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self::naming(settings, &[])
    }

    /// The same; its DID names these services besides.
    pub(super) fn naming(settings: &[(&str, &str)], services: &[(String, String)]) -> Self {
        let directory = Server::directory();
        let dir = tempfile::tempdir().unwrap();
        let mut command = support::serve(dir.path(), support::free_port(), directory.running.text("plc"));
        command.env("HOUSEKEY_LIMITS_IMPORT_BYTES", IMPORT_BYTES.to_string()).envs(settings.iter().copied());
        let running = Running::start(&mut command);
        let server = Server { address: address(running.text("pds")), running };
        let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(7));
        let owner = SigningKey::generate(Curve::K256, &SeededEntropy::new(8));
        let body = json!({
            "handle": "alice.test", "email": "alice@example.com", "password": "correct horse",
            "recoveryKey": owner.did_key().to_string(),
        });
        let made = server.post("/xrpc/com.atproto.server.createAccount", &[], &body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let did: Did = text("did").parse().unwrap();
        let bench = Self { token: text("accessJwt"), server, directory, _dir: dir, did, key };
        bench.name_key(&owner, services);
        bench
    }

    /// Lets the DID name the test's key for the repository, as somebody who brings an old one may have had it.
    fn name_key(&self, owner: &SigningKey, services: &[(String, String)]) {
        let log = self.directory.get(&format!("/{}/log", self.did), &[]);
        let last: Operation = serde_json::from_value(log.as_array().unwrap().last().unwrap().clone()).unwrap();
        let mut next = UnsignedOperation { prev: Some(last.cid()), ..last.normalized().unwrap() };
        next.set_signing_key(&self.key.did_key());
        let services =
            services.iter().cloned().map(|(id, endpoint)| (id, Service { kind: "Any".to_owned(), endpoint }));
        next.services.extend(services);
        let operation = serde_json::to_value(next.sign(owner)).unwrap();
        let json = [("Content-Type", "application/json")];
        let posted = self.directory.call("POST", &format!("/{}", self.did), &json, operation.to_string().as_bytes());
        assert_eq!(posted.status, 200, "{}", posted.text());
    }

    fn import(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/vnd.ipld.car")];
        all.extend(headers);
        self.server.call("POST", IMPORT, &all, body)
    }

    /// Everything that an import could have changed.
    fn state(&self) -> [Json; 2] {
        let bearer = format!("Bearer {}", self.token);
        let status = self.server.get("/xrpc/com.atproto.server.checkAccountStatus", &[("Authorization", &bearer)]);
        [status, self.server.get("/xrpc/com.atproto.sync.listRepos", &[])]
    }

    /// A whole file over this tree.
    fn over(&self, data: Cid, blocks: Blocks) -> Vec<u8> {
        signed(&self.did, &self.key, data, blocks)
    }
}

impl Server {
    fn post(&self, target: &str, headers: &[(&str, &str)], body: &Json) -> Json {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        let answer = self.call("POST", target, &all, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }
}

/// A tree of so many records.
fn records(count: usize) -> (Cid, Blocks) {
    let records: BTreeMap<String, Bytes> = (0..count).map(|n| (path(n), record(n))).collect();
    let mut blocks = Blocks::new();
    let entries = records.iter().map(|(path, bytes)| (path.as_str(), Cid::of_cbor(bytes)));
    let data = mst::build(entries, &mut |built| blocks.push((built.cid, built.block))).unwrap();
    blocks.extend(records.into_values().map(|bytes| (Cid::of_cbor(&bytes), bytes)));
    (data, blocks)
}

fn path(n: usize) -> String {
    format!("com.example.post/k{n:08}")
}

fn record(n: usize) -> Bytes {
    let mut map = Map::new();
    map.insert("text", format!("post {n}").as_str());
    Bytes::from(cbor::encode(&Value::Map(map)))
}

fn file(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Vec<u8> {
    let mut out = car::header(roots);
    for (cid, block) in blocks {
        car::write_block(&mut out, cid, block);
    }
    out
}

/// A whole file of this account, signed by this key.
fn signed(did: &Did, key: &SigningKey, data: Cid, mut blocks: Blocks) -> Vec<u8> {
    let rev: Tid = "3kabcdefghi22".parse().unwrap();
    let commit = UnsignedCommit { did: did.clone(), data, rev }.sign(key).encode();
    let root = Cid::of_cbor(&commit);
    blocks.push((root, commit));
    file(&[root], &blocks)
}

fn node(left: Option<Cid>, entries: &[(&str, Cid, Option<Cid>)]) -> (Cid, Bytes) {
    let entries =
        entries.iter().map(|(key, value, right)| mst::NodeEntry { key: (*key).into(), value: *value, right: *right });
    let block = mst::Node { left, entries: entries.collect() }.encode();
    (Cid::of_cbor(&block), block)
}

/// Paths whose height in a tree is this, ascending.
fn paths_of(height: u8, count: usize) -> Vec<String> {
    (0..).map(path).filter(|path| mst::height_of(path) == height).take(count).collect()
}

/// A deflate stream in the making: bytes as they are, and runs of zeros in a thousandth of their size.
#[derive(Default)]
struct Gzip {
    out: Vec<u8>,
    bits: Vec<bool>,
}

impl Gzip {
    fn new() -> Self {
        Self { out: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], bits: Vec::new() }
    }

    fn flush(&mut self) {
        for byte in self.bits.chunks(8) {
            self.out.push(byte.iter().enumerate().fold(0, |all, (i, bit)| all | (u8::from(*bit) << i)));
        }
        self.bits.clear();
    }

    /// A stored block.
    fn plain(&mut self, bytes: &[u8]) {
        self.bits.extend([false; 3]);
        self.flush();
        let len = u16::try_from(bytes.len()).unwrap();
        self.out.extend(len.to_le_bytes());
        self.out.extend((!len).to_le_bytes());
        self.out.extend(bytes);
    }

    /// A block with the fixed codes: a zero, then repetitions of 258 at distance 1; the next block begins with a byte.
    fn zeros(&mut self, repetitions: usize) {
        self.bits.extend([false, true, false]);
        self.bits.extend([false, false, true, true, false, false, false, false]);
        for _ in 0..repetitions {
            self.bits.extend([true, true, false, false, false, true, false, true]);
            self.bits.extend([false; 5]);
        }
        self.bits.extend([false; 7]);
    }
}

/// The most memory that a process has had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_car_file_that_inflates_without_end_is_413_and_memory_stays_flat() {
    let bench = Bench::start(&[]);
    let (before, peak) = (bench.state(), peak_kib(&bench.server));
    // Good blocks of a megabyte of zeros, as many as make ten times the bound.
    let repetitions = 4_000;
    let block = vec![0; 1 + 258 * repetitions];
    let cid = Cid::of_raw(&block);
    let mut framed = Vec::new();
    car::write_block(&mut framed, &cid, &block);
    let frame = framed[..framed.len() - block.len()].to_vec();
    let mut bomb = Gzip::new();
    bomb.plain(&car::header(&[cid]));
    for _ in 0..10 * IMPORT_BYTES / block.len() {
        bomb.plain(&frame);
        bomb.zeros(repetitions);
    }
    bomb.flush();
    assert!(bomb.out.len() < IMPORT_BYTES / 10, "{} bytes", bomb.out.len());
    let answer = bench.import(&[("Content-Encoding", "gzip")], &bomb.out);
    assert_eq!((answer.status, answer.refusal("a bomb").as_str()), (413, "PayloadTooLarge"), "{}", answer.text());
    assert!(answer.text().contains("at most 40000000 bytes"), "{}", answer.text());
    // The same without a length, and what announces its size.
    let large = format!(
        "POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
                         Content-Type: application/vnd.ipld.car\r\nContent-Length: {}\r\n\r\n",
        bench.token,
        u64::MAX / 2
    );
    assert_eq!(bench.server.send(large.as_bytes()).refusal("a length"), "PayloadTooLarge");
    assert_eq!(bench.state(), before);
    let grown = peak_kib(&bench.server) - peak;
    assert!(grown < MEMORY_KIB, "memory grew by {grown} KiB");
}

/// What is sent, in words; the file; words of the refusal.
type Case = (&'static str, Vec<u8>, &'static str);

/// Files that are not whole, or not this account's.
fn files(bench: &Bench) -> Vec<Case> {
    let (data, blocks) = records(60);
    let whole = bench.over(data, blocks.clone());
    let mut flipped = whole.clone();
    let at = flipped.len() - 30;
    flipped[at] ^= 1;
    let stranger: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    let forger = SigningKey::generate(Curve::K256, &SeededEntropy::new(9));
    let lacking: Blocks = blocks.iter().filter(|(cid, _)| *cid != Cid::of_cbor(&record(5))).cloned().collect();
    vec![
        ("no file", b"x".repeat(5_000), "CAR"),
        ("nothing", Vec::new(), "ends too early"),
        ("one byte", whole[..1].to_vec(), "ends too early"),
        ("half a header", whole[..30].to_vec(), "ends too early"),
        ("half a file", whole[..whole.len() / 2].to_vec(), "ends too early"),
        ("all but a byte", whole[..whole.len() - 1].to_vec(), "ends too early"),
        ("a wrong hash", flipped, "does not match its CID"),
        ("a frame without end", [car::header(&[data]), vec![0xff; 64]].concat(), "varint"),
        ("a huge frame", [car::header(&[data]), vec![0xff, 0xff, 0xff, 0x7f]].concat(), "more than"),
        ("two roots", file(&[data, data], &blocks), "2 roots"),
        ("no commit", file(&[Cid::of_cbor(b"x")], &blocks), "lacks its root"),
        ("a root that is no commit", file(&[data], &blocks), "commit"),
        ("another's", signed(&stranger, &bench.key, data, blocks.clone()), "ewvi7nxzyoun6zhxrhs64oiz, the account is"),
        ("another's signature", signed(&bench.did, &forger, data, blocks.clone()), "is not signed by a key"),
        ("a tree that is not there", bench.over(Cid::of_cbor(b"x"), blocks), "lacks the node"),
        ("a record that is not there", bench.over(data, lacking), "lacks the record com.example.post/k00000005"),
    ]
}

/// Trees that are none.
fn trees(bench: &Bench) -> Vec<Case> {
    let value = (Cid::of_cbor(&record(0)), record(0));
    let low = paths_of(0, 3);
    let leaf = node(None, &[(&low[0], value.0, None)]);
    // A hash cannot contain itself: what comes closest to a circle is a tree that leads to one node over and over, at
    // heights that its keys cannot have.
    let again = node(Some(leaf.0), &[(&low[1], value.0, Some(leaf.0))]);
    let mut chain = vec![leaf.clone()];
    for _ in 0..20_000 {
        let below = chain.last().unwrap().0;
        chain.push(node(Some(below), &[]));
    }
    let top = chain.last().unwrap().0;
    chain.push(value.clone());
    let high = &paths_of(1, 1)[0];
    let after = paths_of(0, 400).into_iter().find(|path| path > high).unwrap();
    let left = node(None, &[(&after, value.0, None)]);
    let unordered = node(Some(left.0), &[(high, value.0, None)]);
    let twice = node(None, &[(&low[1], value.0, None), (&low[0], value.0, None)]);
    let odd = node(None, &[("com.example.post/..", value.0, None)]);
    let deep = Bytes::from([vec![0x81; 20_000], vec![0x00]].concat());
    let nested = node(None, &[(&low[0], Cid::of_cbor(&deep), None)]);
    vec![
        ("a circle", bench.over(again.0, vec![leaf, again, value.clone()]), "tree"),
        ("20,000 deep", bench.over(top, chain), "tree"),
        ("unordered keys", bench.over(unordered.0, vec![left, unordered, value.clone()]), "outside the range"),
        ("unordered keys in one node", bench.over(twice.0, vec![twice, value.clone()]), "tree"),
        ("a key that is no path", bench.over(odd.0, vec![odd, value]), "com.example.post/.."),
        ("a record 20,000 deep", bench.over(nested.0, vec![nested, (Cid::of_cbor(&deep), deep)]), "deep"),
    ]
}

#[test]
fn hostile_car_files_are_refused_by_name_and_nothing_changes() {
    let bench = Bench::start(&[]);
    let (before, peak) = (bench.state(), peak_kib(&bench.server));
    for (what, body, words) in files(&bench).into_iter().chain(trees(&bench)) {
        let answer = bench.import(&[], &body);
        assert_eq!(
            (answer.status, answer.refusal(what).as_str()),
            (400, "InvalidRequest"),
            "{what}: {}",
            answer.text()
        );
        assert!(answer.text().contains(words), "{what}: {}", answer.text());
        assert_eq!(bench.state(), before, "{what}");
    }
    let grown = peak_kib(&bench.server) - peak;
    assert!(grown < MEMORY_KIB, "memory grew by {grown} KiB");
    // The same server takes a good one.
    let (data, blocks) = records(60);
    let taken = bench.import(&[], &bench.over(data, blocks));
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(bench.state()[0]["housekeyUsage"]["records"]["used"], 60);
}

#[test]
fn an_import_is_held_to_the_quota_of_its_account_and_the_meters_are_right_after() {
    let settings = [("HOUSEKEY_LIMITS_ACCOUNT_RECORDS", "20"), ("HOUSEKEY_LIMITS_ACCOUNT_RECORD_BYTES", "400")];
    let bench = Bench::start(&settings);
    let import = |records: (Cid, Blocks)| bench.import(&[], &bench.over(records.0, records.1));
    assert_eq!(import(records(10)).status, 200);
    let used = |state: &[Json; 2]| {
        let usage = &state[0]["housekeyUsage"];
        (usage["records"]["used"].as_u64().unwrap(), usage["recordBytes"]["used"].as_u64().unwrap())
    };
    let bytes = |count| (0..count).map(|n| record(n).len() as u64).sum::<u64>();
    let before = bench.state();
    assert_eq!(used(&before), (10, bytes(10)));
    let many = import(records(21));
    assert_eq!((many.status, many.refusal("many").as_str()), (400, "QuotaExceeded"));
    assert!(many.text().contains("at most 20 records on this server and would have 21"), "{}", many.text());
    // Few, but large.
    let mut large = Map::new();
    large.insert("text", "x".repeat(500).as_str());
    let large = Bytes::from(cbor::encode(&Value::Map(large)));
    let tree = node(None, &[(&paths_of(0, 1)[0], Cid::of_cbor(&large), None)]);
    let refused = import((tree.0, vec![tree, (Cid::of_cbor(&large), large)]));
    assert_eq!((refused.status, refused.refusal("large").as_str()), (400, "QuotaExceeded"));
    assert!(refused.text().contains("at most 400 bytes of records"), "{}", refused.text());
    assert_eq!(bench.state(), before);
    assert_eq!(import(records(20)).status, 200);
    assert_eq!(used(&bench.state()), (20, bytes(20)));
    assert_eq!(import(records(1)).status, 200);
    assert_eq!(used(&bench.state()), (1, bytes(1)));
}
