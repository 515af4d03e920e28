//! The one write path of repositories: prepared beside the writer, applied in it.

use bytes::Bytes;
use rusqlite::Row;
use sha2::{Digest, Sha256};

use super::{
    AccountId, Backlink, ChangeSet, CommitRefused, Committed, RecordChange, RecordPut, StoreError,
    node_cache::{Place, PlacedNode},
    nodes::{NodeReader, Placing, places_of},
    readers::Readers,
    shared::Shared,
    sql,
    writer::Work,
};
use crate::{
    clock::Timestamp,
    event::{EventKind, Frame, UnnumberedFrame},
    ipld::{Cid, Codec},
    repo::Head,
};

/// Half a SHA-256: enough that no two links of one account meet.
pub(super) type LinkHash = [u8; 16];

/// A change set with everything that can be found out before the writer has it.
#[derive(Debug)]
pub(super) struct Prepared {
    account: AccountId,
    expected_head: Option<Cid>,
    head: Head,
    commit: Bytes,
    nodes: Vec<(Cid, PlacedNode)>,
    /// Places that become empty; none when the old tree was not found here (the head is stale then).
    emptied: Option<Vec<Place>>,
    removed: Vec<Cid>,
    records: Vec<RecordChange>,
    events: Vec<(UnnumberedFrame, Timestamp)>,
    lacking: Lacking,
}

/// What becomes of a commit whose records reference blobs that are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    /// It is refused.
    Refused,
    /// They are missing blobs afterwards.
    Noted,
}

/// Finds the places of nodes, on the caller's thread.
pub(super) fn prepare(shared: &Shared, readers: &Readers, change: ChangeSet) -> Result<Prepared, StoreError> {
    let ChangeSet { account, expected_head, head, commit, new_nodes, removed_nodes, records, events } = change;
    let nodes = Placing::new(account, &new_nodes, &shared.nodes, readers).place(head.data)?;
    let old =
        if removed_nodes.is_empty() { Some(Vec::new()) } else { old_places(shared, readers, account, &removed_nodes)? };
    let emptied = match (&nodes, old) {
        (Some(nodes), Some(old)) => {
            Some(old.into_iter().filter(|place| nodes.iter().all(|(_, node)| node.place != *place)).collect())
        }
        _ => None,
    };
    let time = head.rev.timestamp();
    let events = events
        .into_iter()
        .map(|event| {
            // Decoding a commit's frame would cost more than its revision, which says the time as well.
            let time = if event.kind == EventKind::Commit { Ok(time) } else { time_of(&event) }?;
            Ok((event, time))
        })
        .collect::<Result<_, StoreError>>()?;
    let nodes = nodes.unwrap_or_default();
    let (removed, lacking) = (removed_nodes, Lacking::Refused);
    Ok(Prepared { account, expected_head, head, commit, nodes, emptied, removed, records, events, lacking })
}

fn old_places(
    shared: &Shared,
    readers: &Readers,
    account: AccountId,
    removed: &[Cid],
) -> Result<Option<Vec<Place>>, StoreError> {
    if let Some(places) = removed.iter().map(|cid| shared.nodes.get(cid).map(|node| node.place)).collect() {
        return Ok(Some(places));
    }
    let Some(head) = readers.with(|conn| read_head(conn, account))? else { return Ok(None) };
    readers
        .snapshot(|conn| places_of(&mut NodeReader::open(account, head.data, &shared.nodes, conn), head.data, removed))
}

/// The time that an event says: retention goes by it.
fn time_of(event: &UnnumberedFrame) -> Result<Timestamp, StoreError> {
    // Any number will do: a frame is only whole with one.
    let time = match Frame::decode(&event.number(1)) {
        Ok(Frame::Commit(frame)) => frame.time,
        Ok(Frame::Sync(frame)) => frame.time,
        Ok(Frame::Identity(frame)) => frame.time,
        Ok(Frame::Account(frame)) => frame.time,
        Ok(Frame::Info(_) | Frame::Error(_)) => {
            return Err(StoreError::Damaged("an event without a number".to_owned()));
        }
        Err(cause) => return Err(StoreError::Damaged(format!("an event: {cause}"))),
    };
    Ok(time.timestamp())
}

/// Events with their times.
pub(super) fn timed(events: Vec<UnnumberedFrame>) -> Result<Vec<(UnnumberedFrame, Timestamp)>, StoreError> {
    events
        .into_iter()
        .map(|event| {
            let time = time_of(&event)?;
            Ok((event, time))
        })
        .collect()
}

/// The head as the database has it.
pub(super) fn read_head(conn: &rusqlite::Connection, account: AccountId) -> Result<Option<Head>, StoreError> {
    sql::one(conn, "SELECT commit_digest, rev, data_digest FROM repos WHERE account = ?1", [account.0], |row| {
        head_columns(row, 0)
    })
}

/// A head from three columns: commit, revision, root.
pub(super) fn head_columns(row: &Row<'_>, index: usize) -> Result<Head, StoreError> {
    Ok(Head {
        commit: sql::cbor_cid(row, index)?,
        rev: sql::tid(row, index + 1)?,
        data: sql::cbor_cid(row, index + 2)?,
    })
}

/// The hash under which a link is found.
pub(super) fn link_hash(link: &Backlink) -> LinkHash {
    let digest = Sha256::new()
        .chain_update(link.path.as_bytes())
        .chain_update([0])
        .chain_update(link.target.as_bytes())
        .finalize();
    let mut hash = LinkHash::default();
    for (to, from) in hash.iter_mut().zip(digest) {
        *to = from;
    }
    hash
}

impl Prepared {
    /// The same, for a repository that comes without all of its blobs.
    pub(super) fn noting_missing_blobs(self) -> Self {
        Self { lacking: Lacking::Noted, ..self }
    }

    /// Whether anybody will be told.
    pub(super) const fn is_silent(&self) -> bool {
        self.events.is_empty()
    }

    /// Whose repository it changes.
    pub(super) const fn account(&self) -> AccountId {
        self.account
    }

    /// The same for another account, whose number was not known yet: good for a first commit only.
    pub(super) fn make_for(&mut self, account: AccountId) {
        self.account = account;
    }

    /// The nodes and the CIDs that leave, for the cache.
    pub(super) fn settle(&self, shared: &Shared) {
        for (cid, node) in &self.nodes {
            shared.nodes.insert(*cid, node.clone());
        }
        shared.nodes.remove(&self.removed);
    }

    /// Compares the head and writes everything.
    pub(super) fn apply(&self, work: &mut Work<'_>) -> Result<Committed, CommitRefused> {
        let current = read_head(work.conn, self.account)?;
        if current.map(|head| head.commit) != self.expected_head {
            return Err(match current {
                Some(head) => CommitRefused::StaleHead { current: head.commit },
                None => StoreError::Damaged("the account has no repository".to_owned()).into(),
            });
        }
        let Some(emptied) = &self.emptied else {
            return Err(StoreError::Damaged("nodes of the old tree are missing".to_owned()).into());
        };
        let tree = tree_of(work.conn, self.account)?;
        let target = Target {
            account: self.account.0,
            tree,
            rev: sql::rev(self.head.rev),
            retire: work.shared.exports.is_open(tree),
        };
        self.write_nodes(work, emptied, target)?;
        let mut dropped_blobs = Vec::new();
        for change in &self.records {
            let missing = write_record(work, change, target, &mut dropped_blobs)?;
            if let (Lacking::Refused, Some(missing)) = (self.lacking, missing) {
                return Err(CommitRefused::BlobMissing(missing));
            }
        }
        self.demote_blobs(work, &dropped_blobs)?;
        sql::execute(
            work.conn,
            "INSERT INTO repos (account, commit_digest, rev, data_digest, block, tree) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET commit_digest = ?2, rev = ?3, data_digest = ?4, block = ?5",
            (self.account.0, self.head.commit.digest(), target.rev, self.head.data.digest(), &self.commit[..], tree),
        )?;
        work.set_head(self.account, Some(self.head));
        Ok(Committed { last_seq: work.announce(&self.events)? })
    }

    fn write_nodes(&self, work: &Work<'_>, emptied: &[Place], target: Target) -> Result<(), StoreError> {
        let Target { tree, rev, .. } = target;
        if target.retire {
            let places = self.nodes.iter().map(|(_, node)| &node.place).chain(emptied);
            for place in places {
                sql::execute(
                    work.conn,
                    "INSERT INTO retired_nodes (tree, first, height, digest, rev, block, gone)
                     SELECT tree, first, height, digest, rev, block, ?4 FROM nodes
                     WHERE tree = ?1 AND first = ?2 AND height = ?3",
                    (tree, &*place.first, place.height, rev),
                )?;
            }
        }
        for place in emptied {
            sql::execute(
                work.conn,
                "DELETE FROM nodes WHERE tree = ?1 AND first = ?2 AND height = ?3",
                (tree, &*place.first, place.height),
            )?;
        }
        for (cid, node) in &self.nodes {
            write_node(work.conn, tree, cid, node, rev)?;
        }
        Ok(())
    }

    /// Blobs that lost a reference in this commit and have none left are temporary again, from this commit on.
    fn demote_blobs(&self, work: &Work<'_>, digests: &[[u8; 32]]) -> Result<(), StoreError> {
        let now = self.head.rev.timestamp().as_micros();
        for digest in digests {
            sql::execute(
                work.conn,
                "UPDATE blobs SET permanent = 0, created_at = ?3 WHERE account = ?1 AND digest = ?2 AND permanent = 1
                 AND NOT EXISTS (SELECT 1 FROM record_blobs WHERE digest = ?2 AND tree IN (
                     SELECT tree FROM repos WHERE account = ?1
                     UNION ALL SELECT tree FROM loose_trees WHERE account = ?1))",
                (self.account.0, digest, now),
            )?;
        }
        Ok(())
    }
}

/// Where a change is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) account: i64,
    /// The tree that the rows hang on.
    pub(super) tree: i64,
    pub(super) rev: i64,
    /// Whether what is replaced is kept for an open export.
    pub(super) retire: bool,
}

/// Tree, collection and record key.
type RecordKeyColumns<'a> = (i64, i64, &'a str);

/// The tree that is the account's repository, or will be with its first commit.
pub(super) fn tree_of(conn: &rusqlite::Connection, account: AccountId) -> Result<i64, StoreError> {
    const QUERY: &str = "SELECT tree FROM repos WHERE account = ?1";
    Ok(sql::one(conn, QUERY, [account.0], |row| sql::col(row, 0))?.unwrap_or(account.0))
}

/// Writes a node at its place.
pub(super) fn write_node(
    conn: &rusqlite::Connection,
    tree: i64,
    cid: &Cid,
    node: &PlacedNode,
    rev: i64,
) -> Result<(), StoreError> {
    sql::execute(
        conn,
        "INSERT INTO nodes (tree, first, height, digest, rev, block) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET digest = ?4, rev = ?5, block = ?6",
        (tree, &*node.place.first, node.place.height, cid.digest(), rev, &node.block[..]),
    )
    .map(drop)
}

/// Returns the first blob that is not here.
fn write_record(
    work: &mut Work<'_>,
    change: &RecordChange,
    target: Target,
    dropped_blobs: &mut Vec<[u8; 32]>,
) -> Result<Option<Cid>, StoreError> {
    let collection = work.collection_id(&change.path.collection)?;
    let rkey = change.path.rkey.as_str();
    let key = (target.tree, collection, rkey);
    let old = sql::one(
        work.conn,
        "SELECT links, blobs FROM records WHERE tree = ?1 AND collection = ?2 AND rkey = ?3",
        key,
        |row| Ok((sql::col::<Option<Vec<u8>>>(row, 0)?, sql::col::<Option<Vec<u8>>>(row, 1)?)),
    )?;
    if old.is_some() && target.retire {
        sql::execute(
            work.conn,
            "INSERT INTO retired_records (tree, collection, rkey, digest, rev, value, gone)
             SELECT tree, collection, rkey, digest, rev, value, ?4 FROM records
             WHERE tree = ?1 AND collection = ?2 AND rkey = ?3",
            (key.0, key.1, key.2, target.rev),
        )?;
    }
    let existed = old.is_some();
    if let Some((links, blobs)) = old {
        drop_links(work, key, links.as_deref().unwrap_or_default())?;
        drop_blobs(work, key, blobs.as_deref().unwrap_or_default(), dropped_blobs)?;
    }
    let Some(put) = &change.put else {
        delete(work, target.account, key)?;
        return Ok(None);
    };
    let missing = write_put(work.conn, target, (collection, rkey), put)?;
    if !existed {
        sql::execute(
            work.conn,
            "INSERT INTO account_collections (account, collection) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            (target.account, collection),
        )?;
    }
    Ok(missing)
}

/// Writes a record with its links and references to blobs, which become permanent; returns the first blob that is not
/// here.
pub(super) fn write_put(
    conn: &rusqlite::Connection,
    target: Target,
    (collection, rkey): (i64, &str),
    put: &RecordPut,
) -> Result<Option<Cid>, StoreError> {
    let Target { account, tree, rev, .. } = target;
    let hashes: Vec<LinkHash> = put.backlinks.iter().map(link_hash).collect();
    for hash in &hashes {
        sql::execute(
            conn,
            "INSERT INTO backlinks (tree, collection, hash, rkey) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            (tree, collection, hash, rkey),
        )?;
    }
    let mut missing = None;
    for blob in &put.blobs {
        let uploaded = blob.codec() == Codec::Raw
            && sql::execute(
                conn,
                "UPDATE blobs SET permanent = 1 WHERE account = ?1 AND digest = ?2",
                (account, blob.digest()),
            )? == 1;
        if !uploaded {
            missing = missing.or(Some(*blob));
        }
        sql::execute(
            conn,
            "INSERT INTO record_blobs (tree, digest, collection, rkey, rev) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            (tree, blob.digest(), collection, rkey, rev),
        )?;
    }
    let links = (!hashes.is_empty()).then(|| hashes.concat());
    let blobs: Option<Vec<u8>> =
        (!put.blobs.is_empty()).then(|| put.blobs.iter().flat_map(|cid| *cid.digest()).collect());
    sql::execute(
        conn,
        "INSERT INTO records (tree, collection, rkey, digest, rev, value, links, blobs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET digest = ?4, rev = ?5, value = ?6, links = ?7, blobs = ?8",
        (tree, collection, rkey, put.cid.digest(), rev, &put.value[..], links, blobs),
    )?;
    Ok(missing)
}

fn delete(work: &Work<'_>, account: i64, (tree, collection, rkey): RecordKeyColumns<'_>) -> Result<(), StoreError> {
    sql::execute(
        work.conn,
        "DELETE FROM records WHERE tree = ?1 AND collection = ?2 AND rkey = ?3",
        (tree, collection, rkey),
    )?;
    sql::execute(
        work.conn,
        "DELETE FROM account_collections WHERE account = ?3 AND collection = ?2
         AND NOT EXISTS (SELECT 1 FROM records WHERE tree = ?1 AND collection = ?2)",
        (tree, collection, account),
    )?;
    Ok(())
}

fn drop_links(work: &Work<'_>, (tree, collection, rkey): RecordKeyColumns<'_>, links: &[u8]) -> Result<(), StoreError> {
    for hash in links.as_chunks::<16>().0 {
        sql::execute(
            work.conn,
            "DELETE FROM backlinks WHERE tree = ?1 AND collection = ?2 AND hash = ?3 AND rkey = ?4",
            (tree, collection, hash, rkey),
        )?;
    }
    Ok(())
}

fn drop_blobs(
    work: &Work<'_>,
    (tree, collection, rkey): RecordKeyColumns<'_>,
    blobs: &[u8],
    dropped: &mut Vec<[u8; 32]>,
) -> Result<(), StoreError> {
    for digest in blobs.as_chunks::<32>().0 {
        sql::execute(
            work.conn,
            "DELETE FROM record_blobs WHERE tree = ?1 AND digest = ?2 AND collection = ?3 AND rkey = ?4",
            (tree, digest, collection, rkey),
        )?;
        dropped.push(*digest);
    }
    Ok(())
}
