//! The repository of an archive, read to its last record.

use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{ArchiveError, Tell, Told};
use crate::{
    delegation::{APP_DATA_COLLECTION, STATEMENT_COLLECTION},
    ipld::{
        Cid, Codec, Map, Value,
        car::{Item, Reader},
        cbor,
        json::to_json,
    },
    limits::{
        archive::{BLOBS_MAX, PIECE_BYTES},
        import::KEPT_BYTES_MAX,
        repo::MAX_RECORD_BYTES,
    },
    repo::{
        BlockSource, Commit, RecordPath,
        mst::{MstError, Step, Walk},
    },
    service::import::{ImportFault, RecordFault, blobs_of},
    store::ImportBlocks,
};

/// What a repository is.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) root: Cid,
    pub(super) commit: Commit,
    pub(super) records: u64,
    /// Blobs that its records use.
    pub(super) blobs: HashSet<Cid>,
    /// Records of the two collections of delegations by their keys.
    pub(super) statements: BTreeMap<String, Map>,
    pub(super) data: BTreeMap<String, Map>,
    /// SHA-256 of the file.
    pub(super) digest: [u8; 32],
}

/// Reads a CAR file of `size` bytes: every block's hash, the commit, the tree, each record. `scratch` is a file for its
/// blocks, which is removed again; memory grows with the number of blobs alone.
pub(super) fn read(
    car: &mut dyn Read,
    size: u64,
    scratch: &Path,
    tell: Tell<'_>,
    failed: &dyn Fn(io::Error) -> ArchiveError,
) -> Result<Repository, ArchiveError> {
    let mut blocks = ImportBlocks::create(scratch.to_owned())?;
    let (roots, digest) = take_apart(car, size, &mut blocks, tell, failed)?;
    let [root] = roots.as_slice() else { return Err(ImportFault::Roots(roots.len()).into()) };
    let block = block_of(&mut blocks, root)?.ok_or(ImportFault::NoCommit(*root))?;
    let commit = Commit::decode(&block).map_err(ImportFault::from)?;
    let data = commit.unsigned.data;
    let mut found = Repository {
        root: *root,
        commit,
        records: 0,
        blobs: HashSet::new(),
        statements: BTreeMap::new(),
        data: BTreeMap::new(),
        digest,
    };
    let (mut walk, mut kept) = (Walk::new(data), 0);
    while let Some(step) = walk.step(&mut blocks).map_err(ImportFault::from)? {
        let Step::Entry(key, cid) = step else { continue };
        let path: RecordPath = key.parse().map_err(|_| ImportFault::Tree(MstError::Key(key)))?;
        kept += found.take(&mut blocks, &path, &cid)?;
        if kept > KEPT_BYTES_MAX {
            return Err(ImportFault::TooMuchKept.into());
        }
    }
    Ok(found)
}

/// Every block of the file with its hash checked; roots, and the digest of the file.
fn take_apart(
    car: &mut dyn Read,
    size: u64,
    blocks: &mut ImportBlocks,
    tell: Tell<'_>,
    failed: &dyn Fn(io::Error) -> ArchiveError,
) -> Result<(Vec<Cid>, [u8; 32]), ArchiveError> {
    let (mut reader, mut roots, mut hasher) = (Reader::new(), Vec::new(), Sha256::new());
    let (mut piece, mut done) = (vec![0; PIECE_BYTES], 0);
    loop {
        let count = car.read(&mut piece).map_err(failed)?;
        let bytes = piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
        reader.push(bytes);
        while let Some(item) = reader.next_item().map_err(ImportFault::from)? {
            match item {
                Item::Header(named) => roots = named,
                Item::Block(cid, block) => blocks.add(&cid, &block)?,
            }
        }
        done += count as u64;
        tell(Told::Progress { what: "checking records", done, all: size });
    }
    reader.finish().map_err(ImportFault::from)?;
    Ok((roots, hasher.finalize().into()))
}

fn block_of(blocks: &mut ImportBlocks, cid: &Cid) -> Result<Option<bytes::Bytes>, ArchiveError> {
    blocks.block(cid).map_err(|cause| ImportFault::Tree(cause.into()).into())
}

impl Repository {
    /// Takes in one record. How many bytes of it are kept.
    fn take(&mut self, blocks: &mut ImportBlocks, path: &RecordPath, cid: &Cid) -> Result<usize, ArchiveError> {
        let refused = |why: RecordFault| ImportFault::Record { path: path.clone(), why };
        if cid.codec() != Codec::DagCbor {
            return Err(refused(RecordFault::Codec).into());
        }
        let value = block_of(blocks, cid)?.ok_or_else(|| ImportFault::RecordMissing(path.clone()))?;
        if value.len() > MAX_RECORD_BYTES {
            return Err(refused(RecordFault::TooLarge(value.len())).into());
        }
        let record = cbor::decode(&value).map_err(|cause| refused(cause.into()))?;
        self.blobs.extend(blobs_of(&record));
        if self.blobs.len() > BLOBS_MAX {
            return Err(ArchiveError::TooManyBlobs);
        }
        self.records += 1;
        let Value::Map(map) = record else { return Err(refused(RecordFault::NotAnObject).into()) };
        let kept = match path.collection.as_str() {
            STATEMENT_COLLECTION => &mut self.statements,
            APP_DATA_COLLECTION => &mut self.data,
            _ => return Ok(0),
        };
        kept.insert(path.rkey.as_str().to_owned(), map);
        Ok(value.len())
    }

    /// The part that shows delegations.
    pub(super) fn delegations(&self) -> serde_json::Value {
        let json = |records: &BTreeMap<String, Map>| -> serde_json::Map<String, serde_json::Value> {
            records.iter().map(|(rkey, map)| (rkey.clone(), to_json(&Value::Map(map.clone())))).collect()
        };
        serde_json::json!({"statements": json(&self.statements), "data": json(&self.data)})
    }
}
