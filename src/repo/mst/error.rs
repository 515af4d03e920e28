//! Why a tree, or one node of it, is refused.

use crate::{
    ipld::{CborError, Cid},
    repo::SourceError,
};

/// Why a tree is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MstError {
    /// A node that the tree links to is not among the blocks.
    #[error("the repository's tree lacks the node {0}")]
    Missing(Cid),
    /// The blocks could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A node is malformed.
    #[error("the tree node {cid} is not valid: {why}")]
    Node {
        /// Which node.
        cid: Cid,
        /// What is wrong with it.
        why: NodeError,
    },
    /// A key that is not a valid record path.
    #[error("{0:?} is not a valid record path")]
    Key(String),
    /// A key whose hash makes the tree higher than the bound.
    #[error("the record path {0:?} would make the repository's tree too high: use another record key")]
    TooHigh(String),
    /// An edit would make a node wider than the bound.
    #[error("too many neighbouring record paths fall into one node of the repository's tree: use other record keys")]
    TooWide,
    /// Keys given to a builder that do not ascend.
    #[error("the record path {0:?} does not sort after the one before it")]
    Unsorted(String),
}

/// What is wrong with one node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// It is not canonical DAG-CBOR.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// It has other fields than a node, or in another order.
    #[error("it does not have exactly the fields of a tree node")]
    Fields,
    /// It is larger than the bound.
    #[error("it has more than {} bytes", crate::limits::repo::MAX_NODE_BYTES)]
    TooLarge,
    /// It has more entries than the bound.
    #[error("it has more than {} entries", crate::limits::repo::MAX_NODE_ENTRIES)]
    TooWide,
    /// A prefix length that is negative, longer than the key before, or not the longest possible.
    #[error("a key's prefix length is not the length that it shares with the key before it")]
    PrefixLength,
    /// The same key twice.
    #[error("it has the same key twice")]
    DuplicateKey,
    /// Keys that do not ascend.
    #[error("its keys are not in ascending order")]
    Unordered,
    /// A key that cannot be a record path.
    #[error("a key is not a record path")]
    InvalidKey,
    /// Keys of different heights in one node.
    #[error("its keys are of different heights")]
    MixedHeights,
    /// Keys of another height than the node's place demands.
    #[error("its keys have height {found}, its place in the tree demands {expected}")]
    WrongHeight {
        /// The height that the parent demands.
        expected: u8,
        /// The height of its keys.
        found: u8,
    },
    /// Keys outside the range that the parents leave for it.
    #[error("a key lies outside the range that the nodes above leave for it")]
    OutOfBounds,
    /// Neither entries nor a subtree, and not the root of an empty repository.
    #[error("it is empty, which only the root of an empty repository may be")]
    Empty,
    /// The root has a subtree but no entries.
    #[error("it is the top of the tree but has no entries of its own")]
    EmptyTop,
    /// A subtree below height zero.
    #[error("it links to a subtree although it is at the lowest level")]
    BelowLeaf,
    /// Higher than the bound.
    #[error("it is higher than {} levels", crate::limits::repo::MAX_TREE_HEIGHT)]
    TooHigh,
    /// A link to another node that is not a DAG-CBOR CID.
    #[error("a link to a subtree is not to DAG-CBOR")]
    LinkCodec,
}
