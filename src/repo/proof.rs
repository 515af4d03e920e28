//! Proofs of records and of their absence; inversion of commits (sync 1.1).
//! Spec: <https://atproto.com/specs/sync>, <https://atproto.com/specs/repository#repository-diffs>.

use bytes::Bytes;

use super::{
    BlockSource, Commit, CommitError, RecordPath, SourceError,
    mst::{self, MstError, Tree},
};
use crate::{crypto::DidKey, event::CommitOp, ipld::Cid, syntax::Did};

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The record's CID, or none: the proof is one of absence.
    pub cid: Option<Cid>,
    /// The nodes from the root down.
    pub nodes: Vec<(Cid, Bytes)>,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The commit block is not among the blocks.
    #[error("the proof lacks the commit {0}")]
    NoCommit(Cid),
    /// The blocks could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The commit is malformed or its signature is not valid.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The commit is another account's.
    #[error("the proof is of the repository of {0}")]
    OtherAccount(Did),
    /// The nodes do not lead to the record's place.
    #[error(transparent)]
    Tree(#[from] MstError),
}

/// Why ops cannot be undone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvertError {
    /// An op with another action, or whose `cid` and `prev` do not go with its action.
    #[error("the {action} of {path} does not have the CIDs that such an op has")]
    Malformed {
        /// The op's action.
        action: String,
        /// The op's path.
        path: String,
    },
    /// The new tree does not have what the op claims to have put there.
    #[error("the new tree does not hold at {0} what the op says")]
    NotAsClaimed(String),
    /// The tree is malformed or lacks a node.
    #[error(transparent)]
    Tree(#[from] MstError),
}

/// The nodes that prove what is at `path`.
///
/// # Errors
/// [`MstError`] when a node on the path is missing or malformed.
pub fn record_proof(blocks: &mut dyn BlockSource, root: &Cid, path: &RecordPath) -> Result<RecordProof, MstError> {
    let found = mst::path_nodes(blocks, root, &path.to_string())?;
    Ok(RecordProof { cid: found.value, nodes: found.nodes })
}

/// Checks a proof from the signed commit down and says which record is at `path`; `None` is proven absence.
///
/// # Errors
/// The [`ProofError`] that says which link of the chain does not hold.
pub fn verify_record_proof(
    blocks: &mut dyn BlockSource,
    commit: &Cid,
    did: &Did,
    key: &DidKey,
    path: &RecordPath,
) -> Result<Option<Cid>, ProofError> {
    let block = blocks.block(commit)?.ok_or(ProofError::NoCommit(*commit))?;
    let signed = Commit::decode(&block)?;
    if signed.unsigned.did != *did {
        return Err(ProofError::OtherAccount(signed.unsigned.did));
    }
    signed.verify(key)?;
    Ok(mst::get(blocks, &signed.unsigned.data, &path.to_string())?)
}

/// Undoes the ops of a commit, last first, starting from the new MST root with nothing but the event's blocks, and says
/// the root that was before: it must be the event's `prevData`.
///
/// # Errors
/// The [`InvertError`] of the first op that cannot be undone.
pub fn invert(blocks: &mut dyn BlockSource, new_root: &Cid, ops: &[CommitOp<'_>]) -> Result<Cid, InvertError> {
    let mut tree = Tree::open(blocks, new_root)?;
    for op in ops.iter().rev() {
        let now = match (op.action, op.cid, op.prev) {
            ("create", Some(cid), None) | ("update", Some(cid), Some(_)) => Some(cid),
            ("delete", None, Some(_)) => None,
            _ => return Err(InvertError::Malformed { action: op.action.to_owned(), path: op.path.to_owned() }),
        };
        if tree.get(blocks, op.path)? != now {
            return Err(InvertError::NotAsClaimed(op.path.to_owned()));
        }
        match op.prev {
            Some(prev) => tree.put(blocks, op.path, prev)?,
            None => {
                tree.remove(blocks, op.path)?;
            }
        }
    }
    Ok(tree.seal()?.root)
}
