//! The nodes that let a consumer of the event stream check a commit from the new tree alone (sync 1.1).

use bytes::Bytes;

use super::{Edited, MstError, Node, Tree, edit::Neighbours, read::Nodes};
use crate::{
    ipld::Cid,
    repo::{Action, BlockSource},
};

/// The root of a tree without records.
pub fn empty_root() -> (Cid, Bytes) {
    let bytes = Node::default().encode();
    (Cid::of_cbor(&bytes), bytes)
}

/// The nodes of a `#commit` event, root first: all new ones, and what undoing each op reads besides them. Undoing
///
/// - a creation joins what is left and right of the key: the paths to the key and to its neighbours;
/// - a deletion parts what is where the key was: the path to its place;
/// - an update needs the path to the key.
///
/// Nodes that are on those paths suffice whatever the order in which the ops are undone, since undoing one op only
/// joins or parts nodes that are among them. `tree` is the new tree, sealed.
///
/// # Errors
/// [`MstError`] when a node of the new tree is missing or malformed.
pub fn event_nodes<'a>(
    tree: &mut Tree,
    blocks: &mut dyn BlockSource,
    edited: &Edited,
    ops: impl IntoIterator<Item = (&'a str, Action)>,
) -> Result<Vec<(Cid, Bytes)>, MstError> {
    let mut nodes = Nodes::default();
    for (cid, bytes) in &edited.new_nodes {
        nodes.add(cid, bytes);
    }
    // Also for a commit without ops: consumers read the tree from its root.
    nodes.visit_root(tree);
    for (key, action) in ops {
        let neighbours = match action {
            Action::Create => Neighbours::Too,
            Action::Update | Action::Delete => Neighbours::No,
        };
        tree.visit_path(blocks, key, neighbours, &mut |cid, bytes| nodes.add(cid, bytes))?;
    }
    Ok(nodes.list)
}
