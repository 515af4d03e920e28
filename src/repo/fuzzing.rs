//! What the fuzz targets call: these parsers must not panic, and must accept only what they would write themselves.

use super::{Commit, mst::Node};

/// One MST node's bytes.
///
/// # Panics
/// When a node that decodes does not encode to the same bytes.
pub fn node(bytes: &[u8]) {
    if let Ok(node) = Node::decode(bytes) {
        assert_eq!(node.encode(), bytes, "a node was accepted that would be written otherwise");
    }
}

/// One commit block's bytes.
///
/// # Panics
/// When a commit that decodes does not encode to the same bytes.
pub fn commit(bytes: &[u8]) {
    if let Ok(commit) = Commit::decode(bytes) {
        assert_eq!(commit.encode(), bytes, "a commit was accepted that would be written otherwise");
    }
}
