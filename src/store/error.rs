//! What can go wrong with the database itself.

use std::path::PathBuf;

/// A database operation failed for a reason that is not the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full: writes are refused, reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// Too many writes are waiting.
    #[error("too many writes are waiting")]
    Busy,
    /// The store was closed.
    #[error("the server is stopping")]
    Closed,
    /// Anything else: `SQLite`'s own words, for the log.
    #[error("the database failed: {0}")]
    Database(String),
    /// A file operation failed (blobs): the system's own words, for the log.
    #[error("a file operation failed: {0}")]
    File(String),
    /// What is stored does not parse: for the log.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// Why the database cannot be opened, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another Housekey process: stop that one first, or choose another directory",
        .0.display()
    )]
    InUse(PathBuf),
    /// The database was written by a later version.
    #[error(
        "the database {} has schema version {found}, and this program knows versions up to {known}: \
         run the newer Housekey that wrote it, or restore a backup from before the upgrade",
        .path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The directory is on a file system where locks and flushes cannot be relied on.
    #[error(
        "the data directory {} is on a network file system ({kind}), where SQLite can lose data: \
         choose a directory on a local disk",
        .dir.display()
    )]
    NetworkFileSystem {
        /// The directory.
        dir: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// A directory or file cannot be made or opened.
    #[error("{} cannot be opened: {cause}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// `SQLite` refuses the file.
    #[error("the database {} cannot be opened: {cause}", .path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// `SQLite`'s words.
        cause: String,
    },
}
