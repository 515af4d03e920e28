//! The store as its users see it, on real files.

mod accounts;
mod blobs;
mod codes;
mod events;
mod exports;
mod journal;
mod preferences;
mod repos;
mod robustness;
mod takeover;
mod usage;

use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    event::{self, CommitEvent, CommitOp, UnnumberedFrame},
    ipld::{Cid, Map, Value, cbor},
    repo::{Action, Head, RecordPath, WriteOp, WritePlan, genesis, plan},
    syntax::{Did, Handle, Tid},
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// What the log of the first account says of a change.
pub(super) fn noted(kind: SecurityKind) -> NewSecurityEvent {
    NewSecurityEvent { account: AccountId(1), time: NOW, kind, detail: None, address: None, agent: None }
}

/// A store in a directory of its own.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) dir: TempDir,
    key: SigningKey,
}

/// An account that writes.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) id: AccountId,
    pub(super) did: Did,
}

pub(super) fn options(dir: &Path) -> StoreOptions {
    StoreOptions { dir: dir.join("data"), blobs: dir.join("blobs"), durability: Durability::Process }
}

pub(super) fn did(n: usize) -> Did {
    let digits: String = (0..24).map(|i| char::from(b'a' + u8::try_from((n >> (i % 6 * 4)) & 15).unwrap())).collect();
    format!("did:plc:{digits}").parse().unwrap()
}

pub(super) fn handle(name: &str) -> Handle {
    format!("{name}.example.com").parse().unwrap()
}

pub(super) fn path(path: &str) -> RecordPath {
    path.parse().unwrap()
}

/// A record with some text, encoded.
pub(super) fn record(text: &str) -> (Cid, Bytes) {
    let mut map = Map::new();
    map.insert("$type", "com.example.note");
    map.insert("text", text);
    let bytes = Bytes::from(cbor::encode(&Value::Map(map)));
    (Cid::of_cbor(&bytes), bytes)
}

pub(super) fn create(at: &str, text: &str) -> WriteOp {
    let (cid, record) = record(text);
    WriteOp::Create { path: path(at), cid, record }
}

pub(super) fn update(at: &str, text: &str) -> WriteOp {
    let (cid, record) = record(text);
    WriteOp::Update { path: path(at), cid, record }
}

pub(super) fn delete(at: &str) -> WriteOp {
    WriteOp::Delete { path: path(at) }
}

pub(super) fn new_account(n: usize, name: &str) -> NewAccount {
    NewAccount {
        did: did(n),
        handle: handle(name),
        email: Some(format!("{name}@example.com")),
        password_hash: "$argon2id$".to_owned(),
        sealed_signing_key: vec![1, 2, 3],
        signing_key: "did:key:zExample".to_owned(),
        invite_code: None,
        created_at: NOW,
    }
}

pub(super) fn journal_row(did: &Did, kind: JournalKind) -> NewJournalRow {
    let operation = format!("{{\"did\":\"{did}\"}}");
    let operation_cid = Cid::of_cbor(operation.as_bytes());
    NewJournalRow { did: did.clone(), kind, operation, operation_cid, prev: None, at: NOW }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Durability::Process)
    }

    pub(super) fn with(durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { durability, ..options(dir.path()) };
        let store = Store::open(&options, &Tasks::new()).unwrap();
        Self { store, dir, key: SigningKey::generate(Curve::K256, &SeededEntropy::new(1)) }
    }

    /// Closes and opens again.
    pub(super) async fn reopen(self) -> Self {
        self.store.close().await;
        let Self { store, dir, key } = self;
        drop(store);
        let store = Store::open(&options(dir.path()), &Tasks::new()).unwrap();
        Self { store, dir, key }
    }

    /// An active account with an empty repository.
    pub(super) async fn account(&self, n: usize, name: &str) -> Writer {
        let row = journal_row(&did(n), JournalKind::CreateAccount);
        let (id, journal) = self.store.begin_account(new_account(n, name), row).await.unwrap();
        let writer = Writer { id, did: did(n) };
        let effect = JournalEffect::CreateAccount(self.genesis(&writer));
        self.store.journal_apply(journal, effect, NOW, None).await.unwrap();
        writer
    }

    pub(super) fn genesis(&self, writer: &Writer) -> ChangeSet {
        let planned = genesis(&writer.did, Tid::new(NOW, 0), &self.key);
        change_set(writer, None, &planned)
    }

    /// Plans writes on the present head.
    pub(super) async fn plan(&self, writer: &Writer, ops: &[WriteOp]) -> ChangeSet {
        let head = self.store.head(writer.id).await.unwrap().unwrap();
        self.plan_on(writer, &head, ops).await
    }

    pub(super) async fn plan_on(&self, writer: &Writer, head: &Head, ops: &[WriteOp]) -> ChangeSet {
        let keys = ops.iter().map(|op| op.path().to_string()).collect();
        let mut blocks = self.store.plan_blocks(writer.id, head.data, keys).await.unwrap();
        let rev = Tid::after(Some(head.rev), NOW, 0);
        let planned = plan(&writer.did, head, &mut blocks, ops, rev, &self.key).unwrap();
        change_set(writer, Some(head.commit), &planned)
    }

    pub(super) async fn write(&self, writer: &Writer, ops: &[WriteOp]) -> Committed {
        let change = self.plan(writer, ops).await;
        self.store.commit(change).await.unwrap()
    }

    pub(super) async fn records(&self, writer: &Writer, collection: &str) -> Vec<String> {
        let list = ListRecords {
            account: writer.id,
            collection: collection.parse().unwrap(),
            cursor: None,
            limit: 100_000,
            reverse: true,
        };
        let listed = self.store.list_records(list).await.unwrap();
        listed.into_iter().map(|record| record.rkey.as_str().to_owned()).collect()
    }
}

pub(super) fn change_set(writer: &Writer, expected_head: Option<Cid>, planned: &WritePlan) -> ChangeSet {
    let paths: Vec<String> = planned.ops.iter().map(|op| op.path.to_string()).collect();
    let ops: Vec<CommitOp<'_>> = planned
        .ops
        .iter()
        .zip(&paths)
        .map(|(op, path)| CommitOp {
            action: match op.action {
                Action::Create => "create",
                Action::Update => "update",
                Action::Delete => "delete",
            },
            path,
            cid: op.cid,
            prev: op.prev,
        })
        .collect();
    let event = CommitEvent {
        did: &writer.did,
        commit: planned.head.commit,
        rev: planned.head.rev,
        since: planned.since,
        prev_data: planned.prev_data,
        ops: &ops,
        blocks: &planned.event_blocks,
    };
    let records = planned.ops.iter().map(|op| RecordChange {
        path: op.path.clone(),
        put: op.cid.zip(op.record.clone()).map(|(cid, value)| RecordPut {
            cid,
            value,
            blobs: Vec::new(),
            backlinks: Vec::new(),
        }),
    });
    ChangeSet {
        account: writer.id,
        expected_head,
        head: planned.head,
        commit: planned.commit.clone(),
        new_nodes: planned.new_nodes.clone(),
        removed_nodes: planned.removed_nodes.clone(),
        records: records.collect(),
        events: vec![event::commit(&event, NOW)],
    }
}

/// An event that says `time`.
pub(super) fn identity_event(writer: &Writer, time: Timestamp) -> UnnumberedFrame {
    event::identity(&writer.did, None, time)
}
