//! The database: one `SQLite` file in WAL mode, one writer thread with group commit, a few readers; and the blob files.
//!
//! No closure, no transaction and no rusqlite type crosses this boundary: values in, values out.
//!
//! Point reads and short lists run on the calling thread: handing them to another costs more than they take. Exports,
//! replays, scans and counts, which take milliseconds, run on the blocking pool with read connections of their own, so that
//! they never hold up a point read.

#![expect(clippy::unused_async, reason = "the boundary is async so that an engine that must wait fits behind it")]

mod accounts;
mod app_passwords;
mod audit;
mod blob_files;
mod blobs;
mod checkpoint;
mod codes;
mod commit;
mod credentials;
mod delegations;
mod deletion;
mod error;
mod events;
mod export;
mod hidden;
mod import;
mod invite_rules;
mod invites;
mod journal;
mod node_cache;
mod nodes;
mod outbox;
mod plc_directory;
mod preferences;
mod readers;
mod recent;
mod repo;
mod reserved_keys;
mod reset_requests;
mod schema;
mod security_events;
mod sessions;
mod settings;
mod shared;
mod sql;
mod states;
mod takedowns;
mod takeover;
#[cfg(test)]
mod tests;
mod usage;
mod writer;

pub use accounts::{Account, AccountId, AccountState, CreateConflict, NewAccount, WebDid};
pub use app_passwords::{AppPassword, ListedAppPassword, NewAppPassword, PutAppPassword};
pub use audit::{AuditAccount, AuditBlob, AuditCollection, AuditFile, AuditHead, AuditNode, AuditReader, AuditRecord};
pub use blob_files::{BlobFile, BlobFiles, BlobWrite, StagedBlob};
pub use blobs::{BlobRow, ListedBlob, MissingBlob, PutBlobError};
pub use codes::{CodePurpose, TakeCode};
pub use credentials::CodeChange;
pub use delegations::{DelegationRow, DelegationState};
pub use deletion::{Deletion, Purge};
pub use error::{OpenError, StoreError};
pub use events::StoredEvent;
pub use export::Export;
pub use import::{AddBlock, Flip, Import, ImportBlocks, ImportRefused, StagedRows};
pub use invite_rules::{InviteOrder, InvitePlace, InviteRights};
pub use invites::{InviteCode, NewInvite};
pub use journal::{
    DelegationChange, JournalEffect, JournalId, JournalKind, JournalRow, JournalState, NewJournalRow, OpenJournal,
};
pub use node_cache::Cached;
pub use outbox::{DueMail, Enqueued, ListedMail, MailBudget, MailState, NewCode, NewMail, Settled};
pub use plc_directory::{DirectoryAppend, DirectoryEntry};
pub use preferences::Preference;
pub use repo::{
    Backlink, ChangeSet, CommitRefused, Committed, ListRecords, ListedRecord, ListedRepo, RecordChange, RecordPut,
    RepoStats, StoredRecord,
};
pub use reset_requests::ResetRequest;
pub use security_events::{NewSecurityEvent, SecurityEvent, SecurityKind};
pub use sessions::{NewSession, Rotation};
pub use states::OwnState;
pub use takedowns::RecordTakedown;
pub use usage::{Quota, QuotaExceeded, Usage};

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, watch};

use self::{
    checkpoint::Checkpointer,
    import::LooseTrees,
    readers::Readers,
    shared::Shared,
    writer::{Work, Writer},
};
use crate::{limits::store::READERS_MAX, meters::Writes, tasks::Tasks};

/// How the database is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory: `housekey.sqlite`, its WAL and the lock file live here.
    pub dir: PathBuf,
    /// Where blob files live.
    pub blobs: PathBuf,
    /// Whether acknowledged writes survive power loss (`synchronous=FULL`); off only for `dev`, whose data is gone afterwards anyway.
    pub durability: Durability,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Power loss.
    Full,
    /// A crash of the process only: for data that is thrown away afterwards.
    Process,
}

/// The open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Writer,
    shared: Arc<Shared>,
    /// For reads of microseconds.
    points: Readers,
    /// For reads of milliseconds; they run on the blocking pool.
    pages: Readers,
    /// One scan of a whole account at a time: many at once could hold up every page.
    scans: Semaphore,
    /// The data directory.
    dir: PathBuf,
    blob_files: BlobFiles,
    closed: AtomicBool,
    /// The writer's thread, and the lock file, which is released after the thread has ended.
    // A mutex so that whoever closes first takes them; held for that move only.
    running: Mutex<Option<(JoinHandle<()>, File)>>,
}

impl Store {
    /// Opens (and creates or migrates) the database; takes the lock file.
    ///
    /// # Errors
    /// In words: another process has the directory, the database is newer than this program, the directory is on a
    /// network file system, or the file cannot be opened.
    pub fn open(options: &StoreOptions, _tasks: &Tasks) -> Result<Self, OpenError> {
        let lock = schema::claim(&options.dir)?;
        let path = schema::database_path(&options.dir);
        let conn = schema::open_writer(&path, options.durability)?;
        let blob_files = BlobFiles::open_dir(&options.blobs, options.durability)
            .map_err(|cause| OpenError::File { path: options.blobs.clone(), cause: cause.to_string() })?;
        import::empty_dir(&options.dir)
            .map_err(|cause| OpenError::File { path: import::dir_of(&options.dir), cause: cause.to_string() })?;
        let start = || -> Result<Self, StoreError> {
            sql::execute(&conn, "DELETE FROM retired_nodes", [])?;
            sql::execute(&conn, "DELETE FROM retired_records", [])?;
            // Another version may have other steps.
            sql::execute(&conn, "UPDATE deletions SET step = 0", [])?;
            let last_seq = number(
                &conn,
                "SELECT max(value, (SELECT coalesce(max(seq), 0) FROM events)) FROM counters WHERE name = 'seq'",
            )?;
            let last_entry = number(&conn, "SELECT coalesce(max(seq), 0) FROM directory")?;
            let shared =
                Arc::new(Shared::new(last_seq, last_entry, LooseTrees::load(&conn)?, hidden::Hidden::load(&conn)?));
            let cores = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, READERS_MAX);
            let points = Readers::open(&path, cores)?;
            let pages = Readers::open(&path, cores)?;
            let checkpointer = Checkpointer::start(&path, options.durability)?;
            let (writer, thread) = Writer::start(conn, Arc::clone(&shared), checkpointer, last_seq)
                .map_err(|cause| StoreError::File(cause.to_string()))?;
            let inner = Inner {
                writer,
                shared,
                points,
                pages,
                scans: Semaphore::new(1),
                dir: options.dir.clone(),
                blob_files,
                closed: AtomicBool::new(false),
                running: Mutex::new(Some((thread, lock))),
            };
            Ok(Self { inner: Arc::new(inner) })
        };
        start().map_err(|cause| OpenError::Database { path: path.clone(), cause: cause.to_string() })
    }

    /// The number of the latest event that is committed; changes wake subscribers.
    pub fn latest_seq(&self) -> watch::Receiver<i64> {
        self.inner.shared.latest.subscribe()
    }

    /// What the writer counts.
    pub fn writes(&self) -> &Writes {
        &self.inner.shared.writes
    }

    /// What is in memory.
    pub fn cached(&self) -> Cached {
        self.inner.shared.nodes.cached()
    }

    /// Where blob files are.
    pub fn blob_files(&self) -> &BlobFiles {
        &self.inner.blob_files
    }

    /// A cheap query that fails when the database does (health).
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.point(|conn| sql::exists(conn, "SELECT 1 FROM counters", [])).map(drop)
    }

    /// Finishes queued writes, checkpoints and closes. Later calls answer [`StoreError::Closed`].
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        // Only a panic or a stopping runtime can end this early, and then there is nobody left to tell.
        drop(tokio::task::spawn_blocking(move || inner.close()).await);
    }

    /// A short read on the calling thread.
    fn point<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.inner.points.with(read)
    }

    /// A read of milliseconds, on the blocking pool, in one snapshot.
    async fn page<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.pages.snapshot(read)).await.map_err(|_| StoreError::Closed)?
    }

    /// A write: runs in the writer, answers when it is durable.
    async fn write<T, E>(&self, job: impl FnOnce(&mut Work<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed.into());
        }
        self.inner.writer.run(job).await
    }
}

impl Inner {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((thread, lock)) = running else { return };
        self.points.close();
        self.pages.close();
        self.writer.close();
        // The last handle may be dropped with an answer that nobody waits for, in the writer's own thread.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the database's writer thread panicked");
        }
        drop(lock);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn number(conn: &Connection, query: &str) -> Result<i64, StoreError> {
    sql::one(conn, query, [], |row| sql::col(row, 0))?
        .ok_or_else(|| StoreError::Damaged("a counter is missing".to_owned()))
}
