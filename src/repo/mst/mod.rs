//! The Merkle search tree: record paths to record CIDs. Spec: <https://atproto.com/specs/repository#mst-structure>.
//!
//! Nodes are immutable blocks; an edit decodes the nodes on the touched paths only and encodes each changed node once.
//! Every node is checked when it is read (order, heights, prefixes, its parent's bounds): a node below has exactly one
//! level less, and the top's level is known from its own keys, so no tree is deeper than
//! [`MAX_TREE_HEIGHT`](crate::limits::repo::MAX_TREE_HEIGHT) and recursion over a tree is bounded by that.

mod build;
mod cover;
mod diff;
mod edit;
mod error;
mod node;
mod read;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

pub use build::{Builder, Built, build};
pub use cover::{empty_root, event_nodes};
pub use diff::{Change, Diff, diff};
pub use edit::{Edited, Tree};
pub use error::{MstError, NodeError};
pub use node::{Node, NodeEntry, height_of};
pub use read::{KeyPath, get, path_nodes, touched_nodes};
pub use verify::{Shape, verify_whole};
pub use walk::{Step, Walk};

use std::sync::Arc;

/// A key of the tree: shared because nodes, bounds and walks hold the same text.
pub type Key = Arc<str>;
