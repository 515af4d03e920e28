//! Walks the tree that was brought, checks it to the last record, merges what is kept, and builds the tree anew, so that
//! every node's place is known. Runs beside the async threads; what it finds is staged while it goes on.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use super::{
    ImportFault, RecordFault,
    indexed::indexed,
    kept::{Kept, wins},
};
use crate::{
    ipld::{Cid, Codec},
    limits::import::{STAGE_BYTES, STAGE_ROWS},
    repo::{
        BlockSource, RecordPath,
        mst::{Builder, MstError, Step, Walk},
    },
    store::{ImportBlocks, ImportRefused, Quota, RecordPut, StagedRows, StoreError, Usage},
};

/// How much a tree may name.
pub(super) struct Bounds {
    /// Bytes of all records, each as often as the tree names it: the same record under many keys takes the room of many.
    pub(super) records_bytes: u64,
    /// What the account may use. It is compared once more when the tree becomes its repository; this spares the disk.
    pub(super) quota: Quota,
    /// What it uses now.
    pub(super) usage: Usage,
}

impl Bounds {
    /// Refuses more than the account may have, of what is kept and what is brought together.
    fn check(&self, made: &Assembly) -> Result<(), ImportFault> {
        let after = Usage { records: made.records, record_bytes: made.bytes, ..self.usage };
        Ok(self.quota.check(&self.usage, &after).map_err(ImportRefused::from)?)
    }
}

/// What came of it.
pub(super) struct Assembled {
    pub(super) root: Cid,
    pub(super) records: u64,
}

/// Gives the rows of the tree under `root` and of what is kept to `slices`. Blocks the thread.
pub(super) fn assemble(
    mut blocks: ImportBlocks,
    root: Cid,
    mut kept: VecDeque<Kept>,
    bounds: &Bounds,
    slices: &Sender<StagedRows>,
) -> Result<Assembled, ImportFault> {
    let mut walk = Walk::new(root);
    let mut made = Assembly::default();
    let mut bytes: u64 = 0;
    while let Some(step) = walk.step(&mut blocks)? {
        let Step::Entry(key, cid) = step else { continue };
        let path: RecordPath = key.parse().map_err(|_| MstError::Key(key.clone()))?;
        while let Some(before) = kept.pop_front_if(|kept| kept.key < key) {
            made.keep(before, slices)?;
        }
        let value = block_of(&mut blocks, &path, cid)?;
        bytes = bytes.saturating_add(u64::try_from(value.len()).unwrap_or(u64::MAX));
        if bytes > bounds.records_bytes {
            return Err(ImportFault::RecordsTooLarge(bounds.records_bytes));
        }
        match kept.pop_front_if(|kept| kept.key == key) {
            Some(same) if same.cid == cid || wins(&same, &value) => made.keep(same, slices)?,
            Some(_) | None => {
                let put = indexed(&path, cid, value).map_err(|why| ImportFault::Record { path: path.clone(), why })?;
                made.add(&key, path, put, slices)?;
            }
        }
        bounds.check(&made)?;
    }
    for left in kept {
        made.keep(left, slices)?;
    }
    bounds.check(&made)?;
    made.finish(slices)
}

fn block_of(blocks: &mut ImportBlocks, path: &RecordPath, cid: Cid) -> Result<Bytes, ImportFault> {
    if cid.codec() != Codec::DagCbor {
        return Err(ImportFault::Record { path: path.clone(), why: RecordFault::Codec });
    }
    let block = blocks.block(&cid).map_err(MstError::from)?;
    block.ok_or_else(|| ImportFault::RecordMissing(path.clone()))
}

/// The tree that is being built, and the rows that were not given away yet.
#[derive(Default)]
struct Assembly {
    builder: Builder,
    rows: StagedRows,
    /// Bytes of the rows.
    size: usize,
    /// Links and references to blobs among them, each of which is a row too.
    uses: usize,
    /// Records of the whole tree so far.
    records: u64,
    /// Their bytes.
    bytes: u64,
}

impl Assembly {
    fn keep(&mut self, kept: Kept, slices: &Sender<StagedRows>) -> Result<(), ImportFault> {
        let put = indexed(&kept.path, kept.cid, kept.value);
        let put = put.map_err(|cause| StoreError::Damaged(format!("the record {}: {cause}", kept.key)))?;
        self.add(&kept.key, kept.path, put, slices)
    }

    fn add(
        &mut self,
        key: &str,
        path: RecordPath,
        put: RecordPut,
        slices: &Sender<StagedRows>,
    ) -> Result<(), ImportFault> {
        let (nodes, size) = (&mut self.rows.nodes, &mut self.size);
        self.builder.push(key, put.cid, &mut |built| {
            *size += built.block.len();
            nodes.push(built);
        })?;
        self.size += put.value.len();
        self.uses += put.blobs.len() + put.backlinks.len();
        self.records += 1;
        self.bytes += u64::try_from(put.value.len()).unwrap_or(0);
        self.rows.records.push((path, put));
        if self.size >= STAGE_BYTES || self.rows.len() + self.uses >= STAGE_ROWS {
            self.give(slices)?;
        }
        Ok(())
    }

    fn give(&mut self, slices: &Sender<StagedRows>) -> Result<(), ImportFault> {
        (self.size, self.uses) = (0, 0);
        let rows = std::mem::take(&mut self.rows);
        // Nobody takes them any more: the import was given up.
        slices.blocking_send(rows).map_err(|_| StoreError::Closed.into())
    }

    fn finish(mut self, slices: &Sender<StagedRows>) -> Result<Assembled, ImportFault> {
        let builder = std::mem::take(&mut self.builder);
        let nodes = &mut self.rows.nodes;
        let root = builder.finish(&mut |built| nodes.push(built));
        self.give(slices)?;
        Ok(Assembled { root, records: self.records })
    }
}
