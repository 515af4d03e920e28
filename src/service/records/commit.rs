//! Under the account's lock: read what planning needs, plan, sign, announce, and hand it all to the store at once.
use super::{CommitMeta, Prepared, SwapRecord, WriteError, prepare::Encoded};
use crate::{
    ipld::{BlobRef, Cid},
    limits::{
        records::COMMIT_ATTEMPTS,
        repo::{MAX_COMMIT_OPS, MAX_EVENT_BLOCKS_BYTES},
    },
    repo::{self, Action, Head, RecordPath, WriteOp},
    service::Server,
    store::{Account, ChangeSet, CommitRefused, RecordChange},
};
use std::collections::HashSet;

/// What is planned and stored of one write.
#[derive(Default)]
struct Changes {
    ops: Vec<WriteOp>,
    records: Vec<RecordChange>,
}

/// Refuses references to blobs that are not here, and to fresh uploads that are not as the record claims.
///
/// A blob that is in use already is not compared again: a record that came from elsewhere may describe it differently,
/// and its owner must be able to edit that record.
pub(super) async fn check_blobs(server: &Server, account: &Account, writes: &[Prepared]) -> Result<(), WriteError> {
    let mut seen: HashSet<(Cid, &str, i64)> = HashSet::new();
    for claim in writes.iter().filter_map(Prepared::record).flat_map(|record| &record.blobs) {
        if seen.insert((claim.cid, &claim.mime_type, claim.size)) {
            check_blob(server, account, claim).await?;
        }
    }
    Ok(())
}

async fn check_blob(server: &Server, account: &Account, claim: &BlobRef) -> Result<(), WriteError> {
    let found = server.store.blob(account.id, &claim.cid).await?.filter(|found| !found.takendown);
    let found = found.ok_or(WriteError::BlobNotFound(claim.cid))?;
    if found.permanent {
        return Ok(());
    }
    if found.mime_type != claim.mime_type {
        return Err(WriteError::BlobMimeType { expected: found.mime_type, got: claim.mime_type.clone() });
    }
    if u64::try_from(claim.size) != Ok(found.size) {
        return Err(WriteError::BlobSize { expected: found.size, got: claim.size });
    }
    Ok(())
}

/// Makes the commit; `None` when the writes change nothing.
pub(super) async fn commit(
    server: &Server,
    account: &Account,
    writes: &[Prepared],
    swap_commit: Option<Cid>,
) -> Result<Option<CommitMeta>, WriteError> {
    let _guard = server.locks.lock_unless_crowded(account.id).await?;
    for _ in 0..COMMIT_ATTEMPTS {
        let changes = changes(server, account, writes).await?;
        if changes.ops.is_empty() {
            return Ok(None);
        }
        let head = server.store.head(account.id).await?.ok_or(WriteError::NoRepository)?;
        if let Some(expected) = swap_commit
            && expected != head.commit
        {
            return Err(WriteError::CommitSwap(head.commit));
        }
        let change = plan(server, account, &head, changes).await?;
        let made = change.head;
        match server.store.commit(change).await {
            Ok(_) => return Ok(Some(CommitMeta { cid: made.commit, rev: made.rev })),
            Err(CommitRefused::StaleHead { .. }) => {}
            Err(CommitRefused::BlobMissing(cid)) => return Err(WriteError::BlobNotFound(cid)),
            Err(CommitRefused::Inactive(state)) => return Err(WriteError::Inactive(state)),
            Err(CommitRefused::Gone) => return Err(WriteError::NoRepository),
            Err(CommitRefused::OverQuota(full)) => return Err(full.into()),
            Err(CommitRefused::Store(cause)) => return Err(cause.into()),
        }
    }
    Err(WriteError::Contended)
}

/// The commit that the writes come to, for whoever holds the lock; `None` when they change nothing.
pub(super) async fn plan_own(
    server: &Server,
    account: &Account,
    writes: &[Prepared],
) -> Result<Option<ChangeSet>, WriteError> {
    let changes = changes(server, account, writes).await?;
    if changes.ops.is_empty() {
        return Ok(None);
    }
    let head = server.store.head(account.id).await?.ok_or(WriteError::NoRepository)?;
    plan(server, account, &head, changes).await.map(Some)
}

/// What each write comes to, given what is there now.
async fn changes(server: &Server, account: &Account, writes: &[Prepared]) -> Result<Changes, WriteError> {
    let mut changes = Changes::default();
    for write in writes {
        match write {
            Prepared::Create { path, record, replace } => {
                if *replace {
                    changes.delete_duplicates(server, account, path, record).await?;
                }
                changes.put(Action::Create, path, record);
            }
            Prepared::Update { path, record } => changes.put(Action::Update, path, record),
            Prepared::Put { path, record, swap } => match current(server, account, path).await? {
                Some(current) if current == record.cid => {}
                current => {
                    check_swap(*swap, current)?;
                    let action = if current.is_some() { Action::Update } else { Action::Create };
                    changes.put(action, path, record);
                }
            },
            Prepared::Delete { path, swap, lenient } => {
                if *swap != SwapRecord::Any || *lenient {
                    let current = current(server, account, path).await?;
                    if current.is_none() && *lenient {
                        continue;
                    }
                    check_swap(*swap, current)?;
                }
                changes.delete(path.clone());
            }
        }
    }
    Ok(changes)
}

async fn current(server: &Server, account: &Account, path: &RecordPath) -> Result<Option<Cid>, WriteError> {
    Ok(server.store.record(account.id, path).await?.map(|record| record.cid))
}

fn check_swap(swap: SwapRecord, current: Option<Cid>) -> Result<(), WriteError> {
    let fits = match swap {
        SwapRecord::Any => true,
        SwapRecord::Absent => current.is_none(),
        SwapRecord::Is(expected) => current == Some(expected),
    };
    if fits { Ok(()) } else { Err(WriteError::RecordSwap(current)) }
}

impl Changes {
    fn put(&mut self, action: Action, path: &RecordPath, record: &Encoded) {
        let (path, cid, bytes) = (path.clone(), record.cid, record.bytes.clone());
        self.records.push(RecordChange { path: path.clone(), put: Some(record.to_put()) });
        self.ops.push(match action {
            Action::Create | Action::Delete => WriteOp::Create { path, cid, record: bytes },
            Action::Update => WriteOp::Update { path, cid, record: bytes },
        });
    }

    fn delete(&mut self, path: RecordPath) {
        self.records.push(RecordChange { path: path.clone(), put: None });
        self.ops.push(WriteOp::Delete { path });
    }

    /// The like, repost, follow or block of the same subject goes when a new one is made.
    async fn delete_duplicates(
        &mut self,
        server: &Server,
        account: &Account,
        path: &RecordPath,
        record: &Encoded,
    ) -> Result<(), WriteError> {
        for link in &record.backlinks {
            let duplicates = server.store.backlinks(account.id, &path.collection, link).await?;
            // At the new record's own key there must be none: creating it says so.
            for rkey in duplicates.into_iter().filter(|rkey| *rkey != path.rkey).take(MAX_COMMIT_OPS - 1) {
                self.delete(RecordPath::new(path.collection.clone(), rkey));
            }
        }
        Ok(())
    }
}

async fn plan(server: &Server, account: &Account, head: &Head, changes: Changes) -> Result<ChangeSet, WriteError> {
    let keys = changes.records.iter().map(|change| change.path.to_string()).collect();
    let mut blocks = server.store.plan_blocks(account.id, head.data, keys).await?;
    let key = server.signing_key(account)?;
    let now = server.now();
    let rev = server.tids.rev_after(head.rev, now);
    let plan = repo::plan(&account.did, head, &mut blocks, &changes.ops, rev, &key)?;
    if plan.event_size() > MAX_EVENT_BLOCKS_BYTES {
        return Err(WriteError::EventTooLarge);
    }
    Ok(ChangeSet {
        account: account.id,
        expected_head: Some(head.commit),
        events: vec![plan.event(&account.did, now)],
        head: plan.head,
        commit: plan.commit,
        new_nodes: plan.new_nodes,
        removed_nodes: plan.removed_nodes,
        records: changes.records,
    })
}
