//! Compares ways to store the blocks of repositories in `SQLite`: which key gives commits the fewest pages to write.
//!
//! `cargo bench --bench block_layout [-- DIR [RECORDS]]` prints one line per layout. The numbers that decided are in `store::nodes`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measuring program: it prints, and stops when anything fails"
)]

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

/// How the nodes of the tree are keyed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `WITHOUT ROWID`, primary key (account, CID).
    Cid,
    /// Rows appended, unique index (account, CID).
    Append,
    /// `WITHOUT ROWID`, by place in the tree: (account, height, smallest key below).
    HeightKey,
    /// `WITHOUT ROWID`, in tree order: (account, smallest key below, height downwards).
    TreeOrder,
}

struct Case {
    name: &'static str,
    layout: Layout,
    page_size: u32,
    record_index: bool,
}

const CASES: [Case; 7] = [
    Case { name: "a cid", layout: Layout::Cid, page_size: 4096, record_index: false },
    Case { name: "b append", layout: Layout::Append, page_size: 4096, record_index: false },
    Case { name: "c height,key", layout: Layout::HeightKey, page_size: 4096, record_index: false },
    Case { name: "d tree order", layout: Layout::TreeOrder, page_size: 4096, record_index: false },
    Case { name: "d 8k pages", layout: Layout::TreeOrder, page_size: 8192, record_index: false },
    Case { name: "d 16k pages", layout: Layout::TreeOrder, page_size: 16384, record_index: false },
    Case { name: "d +digest index", layout: Layout::TreeOrder, page_size: 4096, record_index: true },
];

/// One height of the right edge of a tree that grows at its end.
#[derive(Clone, Default)]
struct Level {
    first: String,
    left: Option<[u8; 32]>,
    entries: Vec<(String, [u8; 32], Option<[u8; 32]>)>,
    stored: Option<[u8; 32]>,
}

/// The right edge: all that an append can change.
#[derive(Default)]
struct Tree {
    levels: Vec<Level>,
    count: u64,
}

struct NodeChange {
    old: Option<[u8; 32]>,
    first: String,
    height: usize,
    digest: [u8; 32],
    block: Vec<u8>,
}

impl Tree {
    fn append(&mut self, key: &str, value: [u8; 32]) -> Vec<NodeChange> {
        let hash = Sha256::digest(key.as_bytes());
        let zeros = hash.iter().take_while(|b| **b == 0).count() * 8
            + hash.iter().find(|b| **b != 0).map_or(0, |b| b.leading_zeros() as usize);
        let at = zeros / 2;
        for height in 0..at.min(self.levels.len().saturating_sub(1)) {
            self.levels[height] = Level::default();
        }
        let top = self.levels.len();
        while self.levels.len() <= at {
            let below = self.levels.last().cloned().unwrap_or_default();
            if self.levels.len() > top || top > 0 {
                let fresh = self.levels.len() - 1;
                if fresh < at {
                    self.levels[fresh] = if fresh + 1 == top { Level::default() } else { self.levels[fresh].clone() };
                }
            }
            self.levels.push(Level { first: below.first, left: below.stored, ..Level::default() });
        }
        let level = &mut self.levels[at];
        if level.first.is_empty() {
            key.clone_into(&mut level.first);
        }
        level.entries.push((key.to_owned(), value, None));
        self.count += 1;
        self.restore(at, key)
    }

    fn restore(&mut self, at: usize, key: &str) -> Vec<NodeChange> {
        let mut changes = Vec::new();
        let mut below: Option<[u8; 32]> = None;
        for height in at..self.levels.len() {
            let level = &mut self.levels[height];
            if level.first.is_empty() {
                key.clone_into(&mut level.first);
            }
            if let Some(digest) = below {
                match level.entries.last_mut() {
                    Some(last) => last.2 = Some(digest),
                    None => level.left = Some(digest),
                }
            }
            let block = encode(level);
            let digest: [u8; 32] = Sha256::digest(&block).into();
            changes.push(NodeChange { old: level.stored, first: level.first.clone(), height, digest, block });
            level.stored = Some(digest);
            below = Some(digest);
        }
        changes
    }
}

/// Bytes as long as a real node's.
fn encode(level: &Level) -> Vec<u8> {
    let mut out = vec![0xa2, 0x61, b'l'];
    link(&mut out, level.left);
    out.extend([0x61, b'e', 0x98]);
    let mut before = String::new();
    for (key, value, child) in &level.entries {
        let shared = key.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        out.extend([0xa4, 0x61, b'k', 0x58]);
        out.extend(&key.as_bytes()[shared..]);
        out.extend([0x61, b'p', 0x18, u8::try_from(shared).unwrap(), 0x61, b't']);
        link(&mut out, *child);
        out.extend([0x61, b'v']);
        link(&mut out, Some(*value));
        before.clone_from(key);
    }
    out
}

fn link(out: &mut Vec<u8>, digest: Option<[u8; 32]>) {
    match digest {
        Some(digest) => {
            out.extend([0xd8, 0x2a, 0x58, 0x25, 0, 1, 0x71, 0x12, 0x20]);
            out.extend(digest);
        }
        None => out.push(0xf6),
    }
}

struct Bench {
    conn: Connection,
    path: PathBuf,
    layout: Layout,
    trees: Vec<Tree>,
    clock: u64,
}

impl Bench {
    fn new(dir: &Path, case: &Case, accounts: usize) -> Self {
        let path = dir.join("layout.sqlite");
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(dir.join(format!("layout.sqlite{suffix}"))));
        }
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(&format!(
            "PRAGMA page_size={}; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;
             PRAGMA wal_autocheckpoint=4000;
             CREATE TABLE repos(acct INTEGER PRIMARY KEY, head BLOB, block BLOB) STRICT;
             CREATE TABLE records(acct INTEGER, coll INTEGER, rkey TEXT, digest BLOB, rev INTEGER, value BLOB,
                 PRIMARY KEY(acct, coll, rkey)) STRICT, WITHOUT ROWID;
             CREATE TABLE events(seq INTEGER PRIMARY KEY, frame BLOB) STRICT;",
            case.page_size
        ))
        .unwrap();
        conn.execute_batch(match case.layout {
            Layout::Cid => "CREATE TABLE nodes(acct INTEGER, digest BLOB, rev INTEGER, block BLOB, PRIMARY KEY(acct, digest)) STRICT, WITHOUT ROWID",
            Layout::Append => "CREATE TABLE nodes(id INTEGER PRIMARY KEY, acct INTEGER, digest BLOB, rev INTEGER, block BLOB, UNIQUE(acct, digest)) STRICT",
            Layout::HeightKey => "CREATE TABLE nodes(acct INTEGER, height INTEGER, first TEXT, digest BLOB, rev INTEGER, block BLOB, PRIMARY KEY(acct, height, first)) STRICT, WITHOUT ROWID",
            Layout::TreeOrder => "CREATE TABLE nodes(acct INTEGER, first TEXT, height INTEGER, digest BLOB, rev INTEGER, block BLOB, PRIMARY KEY(acct, first, height DESC)) STRICT, WITHOUT ROWID",
        })
        .unwrap();
        if case.record_index {
            conn.execute_batch(
                "ALTER TABLE records ADD COLUMN prefix INTEGER; CREATE INDEX by_prefix ON records(acct, prefix)",
            )
            .unwrap();
        }
        conn.set_prepared_statement_cache_capacity(32);
        Self {
            conn,
            path,
            layout: case.layout,
            trees: (0..accounts).map(|_| Tree::default()).collect(),
            clock: 1_700_000_000_000_000,
        }
    }

    fn commit(&mut self, account: usize, indexed: bool) {
        const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
        self.clock += 1_234_567;
        let mut rkey = String::new();
        for shift in (0..13).rev() {
            rkey.push(char::from(ALPHABET[usize::try_from((self.clock << 10 >> (shift * 5)) & 31).unwrap()]));
        }
        let mut value = String::from("$type app.bsky.feed.post createdAt 2026-01-01T00:00:00.000Z langs en text ");
        write!(value, "a small post with about a hundred and twenty characters of text in it, which is what people usually write {}", self.clock).unwrap();
        let digest: [u8; 32] = Sha256::digest(value.as_bytes()).into();
        let changes = self.trees[account].append(&format!("app.bsky.feed.post/{rkey}"), digest);
        let (acct, rev) = (i64::try_from(account).unwrap(), i64::try_from(self.clock).unwrap());
        let mut frame = vec![0_u8; 500];
        for change in &changes {
            frame.extend(&change.block);
            self.write_node(acct, rev, change);
        }
        frame.extend(value.as_bytes());
        let conn = &self.conn;
        if indexed {
            let prefix = i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
            conn.prepare_cached("INSERT INTO records VALUES(?,1,?,?,?,?,?)")
                .unwrap()
                .execute(params![acct, rkey, digest, rev, value.as_bytes(), prefix])
                .unwrap();
        } else {
            conn.prepare_cached("INSERT INTO records VALUES(?,1,?,?,?,?)")
                .unwrap()
                .execute(params![acct, rkey, digest, rev, value.as_bytes()])
                .unwrap();
        }
        conn.prepare_cached("INSERT OR REPLACE INTO repos VALUES(?,?,?)")
            .unwrap()
            .execute(params![acct, digest, [0_u8; 220]])
            .unwrap();
        conn.prepare_cached("INSERT INTO events(frame) VALUES(?)").unwrap().execute(params![frame]).unwrap();
    }

    fn write_node(&self, acct: i64, rev: i64, change: &NodeChange) {
        let NodeChange { old, first, digest, block, .. } = change;
        let height = i64::try_from(change.height).unwrap();
        match self.layout {
            Layout::Cid | Layout::Append => {
                if let Some(old) = old {
                    self.conn
                        .prepare_cached("DELETE FROM nodes WHERE acct=? AND digest=?")
                        .unwrap()
                        .execute(params![acct, old])
                        .unwrap();
                }
                self.conn
                    .prepare_cached("INSERT INTO nodes(acct,digest,rev,block) VALUES(?,?,?,?)")
                    .unwrap()
                    .execute(params![acct, digest, rev, block])
                    .unwrap();
            }
            Layout::HeightKey | Layout::TreeOrder => {
                self.conn
                    .prepare_cached(
                        "INSERT INTO nodes(acct,first,height,digest,rev,block) VALUES(?,?,?,?,?,?)
                         ON CONFLICT DO UPDATE SET digest=excluded.digest, rev=excluded.rev, block=excluded.block",
                    )
                    .unwrap()
                    .execute(params![acct, first, height, digest, rev, block])
                    .unwrap();
            }
        }
    }

    /// Commits per second and WAL bytes per commit, `group` commits to a transaction.
    fn measure(&mut self, indexed: bool, transactions: usize, accounts: &[usize]) -> (f64, f64) {
        self.conn
            .execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        let start = Instant::now();
        for _ in 0..transactions {
            self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            for account in accounts {
                self.commit(*account, indexed);
            }
            self.conn.execute_batch("COMMIT").unwrap();
        }
        let commits = u32::try_from(transactions * accounts.len()).unwrap();
        let rate = f64::from(commits) / start.elapsed().as_secs_f64();
        let wal = std::fs::metadata(format!("{}-wal", self.path.display())).unwrap().len();
        (rate, f64::from(u32::try_from(wal).unwrap()) / f64::from(commits))
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let dir = args.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let records: usize = args.get(1).map_or(100_000, |n| n.parse().unwrap());
    println!(
        "layout            | 1 per txn: commits/s, WAL B | 32 accounts per txn: commits/s, WAL B | nodes+records+index B/record | load s"
    );
    for case in &CASES {
        let mut bench = Bench::new(&dir, case, 33);
        let start = Instant::now();
        let rounds = records / 1000;
        for _ in 0..rounds {
            bench.conn.execute_batch("BEGIN").unwrap();
            for _ in 0..1000 {
                bench.commit(0, case.record_index);
            }
            for account in 1..33 {
                for _ in 0..10 {
                    bench.commit(account, case.record_index);
                }
            }
            bench.conn.execute_batch("COMMIT").unwrap();
        }
        let load = start.elapsed().as_secs_f64();
        let bytes: i64 = bench
            .conn
            .query_row("SELECT sum(pgsize) FROM dbstat WHERE name IN ('nodes','records','by_prefix','sqlite_autoindex_nodes_1')", [], |row| row.get(0))
            .unwrap();
        let total = i64::try_from(rounds * 1320).unwrap();
        let (one, one_wal) = bench.measure(case.record_index, 1000, &[0]);
        let many: Vec<usize> = (1..33).collect();
        let (group, group_wal) = bench.measure(case.record_index, 100, &many);
        println!(
            "{:17} | {one:8.0} {one_wal:10.0} | {group:8.0} {group_wal:10.0} | {:6} | {load:.1}",
            case.name,
            bytes / total.max(1)
        );
    }
}
