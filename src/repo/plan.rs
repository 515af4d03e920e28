//! Turns a list of writes into everything that one commit changes, without touching anything.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    BlockSource, RecordPath, UnsignedCommit,
    mst::{Edited, MstError, Tree, event_nodes},
};
use crate::{
    clock::Timestamp,
    crypto::SigningKey,
    event::{self, CommitEvent, CommitOp, UnnumberedFrame},
    ipld::{Cid, car},
    syntax::{Did, Tid},
};

/// Where a repository stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// CID of the commit block.
    pub commit: Cid,
    /// Its revision.
    pub rev: Tid,
    /// The MST root.
    pub data: Cid,
}

/// One write as asked for. `record` is canonical DAG-CBOR and `cid` its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOp {
    /// A record that must not exist yet.
    Create {
        /// Where.
        path: RecordPath,
        /// Its CID.
        cid: Cid,
        /// Its bytes.
        record: Bytes,
    },
    /// A record that must exist.
    Update {
        /// Where.
        path: RecordPath,
        /// Its CID.
        cid: Cid,
        /// Its bytes.
        record: Bytes,
    },
    /// A record that must exist.
    Delete {
        /// Where.
        path: RecordPath,
    },
}

impl WriteOp {
    /// Where it writes.
    pub const fn path(&self) -> &RecordPath {
        match self {
            Self::Create { path, .. } | Self::Update { path, .. } | Self::Delete { path } => path,
        }
    }
}

/// What a planned write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `create`
    Create,
    /// `update`
    Update,
    /// `delete`
    Delete,
}

impl Action {
    /// The name that the event stream uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One write as it will be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOp {
    /// What it does.
    pub action: Action,
    /// Where.
    pub path: RecordPath,
    /// The new CID; none for a deletion.
    pub cid: Option<Cid>,
    /// The CID before; none for a creation.
    pub prev: Option<Cid>,
    /// The record's bytes; none for a deletion.
    pub record: Option<Bytes>,
}

impl PlannedOp {
    /// The op as the event stream has it; `path` is [`PlannedOp::path`] as text.
    pub const fn announced<'a>(&self, path: &'a str) -> CommitOp<'a> {
        CommitOp { action: self.action.as_str(), path, cid: self.cid, prev: self.prev }
    }
}

/// Everything that one commit changes.
#[derive(Clone, Debug)]
pub struct WritePlan {
    /// The new head.
    pub head: Head,
    /// The new commit block.
    pub commit: Bytes,
    /// MST nodes that are new (not in the old tree), with their bytes.
    pub new_nodes: Vec<(Cid, Bytes)>,
    /// MST nodes of the old tree that the new one does not use.
    pub removed_nodes: Vec<Cid>,
    /// The writes in the order given.
    pub ops: Vec<PlannedOp>,
    /// The old MST root (`prevData`); none for the first commit.
    pub prev_data: Option<Cid>,
    /// The old revision (`since`); none for the first commit.
    pub since: Option<Tid>,
    /// The blocks of the `#commit` event, commit first: it, the new nodes, the covering proof of every op (sync 1.1
    /// inversion), and the new records.
    pub event_blocks: Vec<(Cid, Bytes)>,
}

impl WritePlan {
    /// The `#commit` frame that announces the commit.
    pub fn event(&self, did: &Did, time: Timestamp) -> UnnumberedFrame {
        let paths: Vec<String> = self.ops.iter().map(|op| op.path.to_string()).collect();
        let ops: Vec<CommitOp<'_>> = self.ops.iter().zip(&paths).map(|(op, path)| op.announced(path)).collect();
        event::commit(
            &CommitEvent {
                did,
                commit: self.head.commit,
                rev: self.head.rev,
                since: self.since,
                prev_data: self.prev_data,
                ops: &ops,
                blocks: &self.event_blocks,
            },
            time,
        )
    }

    /// Bytes of the CAR that the `#commit` event carries. The stream takes at most
    /// [`MAX_EVENT_BLOCKS_BYTES`](crate::limits::repo::MAX_EVENT_BLOCKS_BYTES): whoever plans refuses what is more.
    pub fn event_size(&self) -> usize {
        let frame = |block: &Bytes| {
            let length = self.head.commit.as_bytes().len() + block.len();
            varint_len(length) + length
        };
        car::header(&[self.head.commit]).len() + self.event_blocks.iter().map(|(_, block)| frame(block)).sum::<usize>()
    }
}

/// Why writes cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A creation where a record is.
    #[error("there is already a record at {0}")]
    Exists(RecordPath),
    /// An update or deletion where no record is.
    #[error("there is no record at {0}")]
    Missing(RecordPath),
    /// The same path twice in one commit.
    #[error("{0} is written twice in one commit")]
    Twice(RecordPath),
    /// The tree itself is unreadable.
    #[error(transparent)]
    Tree(#[from] MstError),
}

/// The first commit of a new, empty repository.
pub fn genesis(did: &Did, rev: Tid, key: &SigningKey) -> WritePlan {
    let (cid, bytes) = super::mst::empty_root();
    let edited = Edited { root: cid, new_nodes: vec![(cid, bytes)], removed_nodes: Vec::new() };
    let nodes = edited.new_nodes.clone();
    Draft { did, rev, key, old: None, edited, ops: Vec::new(), nodes }.finish()
}

/// Plans `ops` on top of `head`. `blocks` must give what [`super::mst::touched_nodes`] named for the same paths.
/// No ops at all make an empty commit: a new revision of the same tree.
///
/// # Errors
/// The [`PlanError`] of the first op that does not fit, or of the tree.
pub fn plan(
    did: &Did,
    head: &Head,
    blocks: &mut dyn BlockSource,
    ops: &[WriteOp],
    rev: Tid,
    key: &SigningKey,
) -> Result<WritePlan, PlanError> {
    let mut tree = Tree::open(blocks, &head.data)?;
    let mut seen = HashSet::with_capacity(ops.len());
    let mut planned = Vec::with_capacity(ops.len());
    for op in ops {
        if !seen.insert(op.path()) {
            return Err(PlanError::Twice(op.path().clone()));
        }
        planned.push(apply(&mut tree, blocks, op)?);
    }
    let edited = tree.seal()?;
    let paths: Vec<(String, Action)> = planned.iter().map(|op| (op.path.to_string(), op.action)).collect();
    let nodes = event_nodes(&mut tree, blocks, &edited, paths.iter().map(|(key, action)| (key.as_str(), *action)))?;
    Ok(Draft { did, rev, key, old: Some(head), edited, ops: planned, nodes }.finish())
}

fn apply(tree: &mut Tree, blocks: &mut dyn BlockSource, op: &WriteOp) -> Result<PlannedOp, PlanError> {
    let key = op.path().to_string();
    let prev = tree.get(blocks, &key)?;
    let (action, cid, record) = match op {
        WriteOp::Create { cid, record, .. } => (Action::Create, Some(*cid), Some(record.clone())),
        WriteOp::Update { cid, record, .. } => (Action::Update, Some(*cid), Some(record.clone())),
        WriteOp::Delete { .. } => (Action::Delete, None, None),
    };
    match (action, prev) {
        (Action::Create, Some(_)) => return Err(PlanError::Exists(op.path().clone())),
        (Action::Update | Action::Delete, None) => return Err(PlanError::Missing(op.path().clone())),
        (Action::Create, None) | (Action::Update | Action::Delete, Some(_)) => {}
    }
    match cid {
        Some(cid) => tree.put(blocks, &key, cid)?,
        None => {
            tree.remove(blocks, &key)?;
        }
    }
    Ok(PlannedOp { action, path: op.path().clone(), cid, prev, record })
}

/// A plan without its commit.
struct Draft<'a> {
    did: &'a Did,
    rev: Tid,
    key: &'a SigningKey,
    old: Option<&'a Head>,
    edited: Edited,
    ops: Vec<PlannedOp>,
    /// The nodes that the event carries.
    nodes: Vec<(Cid, Bytes)>,
}

impl Draft<'_> {
    fn finish(self) -> WritePlan {
        let data = self.edited.root;
        let commit = UnsignedCommit { did: self.did.clone(), data, rev: self.rev }.sign(self.key).encode();
        let head = Head { commit: Cid::of_cbor(&commit), rev: self.rev, data };
        let mut event_blocks = Vec::with_capacity(1 + self.nodes.len() + self.ops.len());
        event_blocks.push((head.commit, commit.clone()));
        event_blocks.extend(self.nodes);
        let mut held: HashSet<Cid> = event_blocks.iter().map(|(cid, _)| *cid).collect();
        for op in &self.ops {
            if let (Some(cid), Some(record)) = (op.cid, &op.record)
                && held.insert(cid)
            {
                event_blocks.push((cid, record.clone()));
            }
        }
        WritePlan {
            head,
            commit,
            new_nodes: self.edited.new_nodes,
            removed_nodes: self.edited.removed_nodes,
            ops: self.ops,
            prev_data: self.old.map(|old| old.data),
            since: self.old.map(|old| old.rev),
            event_blocks,
        }
    }
}

/// Bytes of a length as CAR writes it: seven bits a byte.
fn varint_len(length: usize) -> usize {
    let bits = usize::try_from(usize::BITS - length.leading_zeros()).unwrap_or(0);
    bits.div_ceil(7).max(1)
}
