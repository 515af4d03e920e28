//! The blocks of an import before they are checked as a whole: a file of their own, so that memory stays flat whatever the
//! order in which they came, and so that other accounts' writes do not wait.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use crate::{
    ipld::{Cid, Codec},
    limits::import::{BLOCKS_CACHE_KIB, BLOCKS_MAX},
    repo::{BlockSource, SourceError},
    store::{StoreError, sql::failed},
};

/// Blocks by CID in a file that is removed with this.
#[derive(Debug)]
pub struct ImportBlocks {
    // An option only so that the connection is closed before the file is removed.
    conn: Option<Connection>,
    path: PathBuf,
    count: u64,
}

/// Why a block is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddBlock {
    /// More blocks than an import may have.
    #[error("the file has more than {BLOCKS_MAX} blocks")]
    TooMany,
    /// The file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportBlocks {
    /// An empty file at `path`, over one that is there.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be made.
    pub fn create(path: PathBuf) -> Result<Self, StoreError> {
        remove(&path).map_err(|cause| StoreError::File(cause.to_string()))?;
        let conn = Connection::open(&path).map_err(failed)?;
        let made = Self { conn: Some(conn), path, count: 0 };
        // Nothing of it outlives this process, so nothing is flushed and nothing can be rolled back.
        made.conn()?
            .execute_batch(&format!(
                "PRAGMA page_size = 4096;
                 PRAGMA journal_mode = OFF;
                 PRAGMA synchronous = OFF;
                 PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA temp_store = MEMORY;
                 PRAGMA cache_size = -{BLOCKS_CACHE_KIB};
                 CREATE TABLE blocks (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, block BLOB NOT NULL) STRICT;
                 BEGIN;"
            ))
            .map_err(failed)?;
        Ok(made)
    }

    /// Adds a block whose hash was checked. One that is not DAG-CBOR is no part of a repository and not kept; one that
    /// comes twice is kept once. Blocks the thread for the disk.
    ///
    /// # Errors
    /// [`AddBlock`]; the whole import is to be given up then.
    pub fn add(&mut self, cid: &Cid, block: &[u8]) -> Result<(), AddBlock> {
        self.count += 1;
        if self.count > BLOCKS_MAX {
            return Err(AddBlock::TooMany);
        }
        if cid.codec() != Codec::DagCbor {
            return Ok(());
        }
        const QUERY: &str = "INSERT INTO blocks (digest, block) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let added = self.conn()?.prepare_cached(QUERY).and_then(|mut add| add.execute((cid.digest(), block)));
        added.map(drop).map_err(|cause| failed(cause).into())
    }

    fn conn(&self) -> Result<&Connection, StoreError> {
        self.conn.as_ref().ok_or(StoreError::Closed)
    }
}

impl BlockSource for ImportBlocks {
    fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError> {
        if cid.codec() != Codec::DagCbor {
            return Ok(None);
        }
        let read = |conn: &Connection| {
            conn.prepare_cached("SELECT block FROM blocks WHERE digest = ?1")?
                .query_row([cid.digest()], |row| {
                    row.get_ref(0)?.as_blob().map(Bytes::copy_from_slice).map_err(Into::into)
                })
                .optional()
        };
        let conn = self.conn().map_err(|cause| SourceError(cause.to_string()))?;
        read(conn).map_err(|cause| SourceError(cause.to_string()))
    }
}

impl Drop for ImportBlocks {
    fn drop(&mut self) {
        drop(self.conn.take());
        if let Err(cause) = remove(&self.path) {
            tracing::warn!(%cause, "the file of an import stays until the next start: {}", self.path.display());
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}
