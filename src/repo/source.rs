//! Where blocks come from.
use crate::ipld::Cid;
use bytes::Bytes;
use std::collections::HashMap;

/// The place blocks are read from failed (not: a block is missing).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("blocks could not be read: {0}")]
pub struct SourceError(pub String);

/// Gives blocks by CID. Whoever implements it has checked, once, that the bytes match the CID.
pub trait BlockSource {
    /// The block, or `None` if it is not here.
    ///
    /// # Errors
    /// [`SourceError`] when the place itself failed.
    fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError>;
}

/// Blocks in memory: a proof, an event's CAR, or what the store read for one plan.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlocks(pub HashMap<Cid, Bytes>);

impl BlockSource for MemoryBlocks {
    fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError> {
        Ok(self.0.get(cid).cloned())
    }
}
