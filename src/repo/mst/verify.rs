//! Checks a whole tree in bounded memory.

use super::{MstError, Step, Walk};
use crate::{
    ipld::Cid,
    repo::{BlockSource, RecordPath},
};

/// What a whole tree consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// How many nodes.
    pub nodes: u64,
    /// How many records.
    pub records: u64,
}

/// Reads the whole tree, checks each node against its place and each key against the full syntax of record paths.
/// A tree that passes is the only one that its records can have.
///
/// # Errors
/// The first [`MstError`] that is met, in key order.
pub fn verify_whole(blocks: &mut dyn BlockSource, root: &Cid) -> Result<Shape, MstError> {
    let mut shape = Shape::default();
    let mut walk = Walk::new(*root);
    while let Some(step) = walk.step(blocks)? {
        match step {
            Step::Node(_, _) => shape.nodes += 1,
            Step::Entry(key, _) => {
                if key.parse::<RecordPath>().is_err() {
                    return Err(MstError::Key(key));
                }
                shape.records += 1;
            }
        }
    }
    Ok(shape)
}
