//! Copies the write-ahead log into the database beside the writer, so that no commit pays for it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{Durability, StoreError, schema::open_read_write};
use crate::limits::store::{CHECKPOINT_GROUPS, CHECKPOINT_INTERVAL, WAL_FILE_BYTES, WAL_PAGES};

/// The writer's handle of the checkpointing thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    signal: Arc<Signal>,
    thread: JoinHandle<()>,
    log: PathBuf,
}

#[derive(Debug, Default)]
struct Signal {
    // A mutex because a condition variable needs one; held for reading or setting three numbers.
    state: Mutex<State>,
    changed: Condvar,
    // Held by the thread while it copies, so that the writer can wait for the end of that.
    copying: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Groups written since the last checkpoint began.
    groups: u64,
    /// The log is long: the writer is to copy the rest itself, so that its next commit starts the log again.
    writer_helps: bool,
    stop: bool,
}

impl Checkpointer {
    /// Starts the thread with a connection of its own.
    pub(super) fn start(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let conn = open_read_write(path, durability)?;
        let signal = Arc::new(Signal::default());
        let theirs = Arc::clone(&signal);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&conn, &theirs))
            .map_err(|cause| StoreError::File(cause.to_string()))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self { signal, thread, log: log.into() })
    }

    /// The writer finished a group and holds no transaction.
    pub(super) fn group_written(&self, conn: &Connection) {
        let mut state = self.signal.lock();
        state.groups += 1;
        let wake = state.groups == 1 || state.groups == CHECKPOINT_GROUPS;
        let help = std::mem::take(&mut state.writer_helps);
        drop(state);
        if wake {
            self.signal.changed.notify_one();
        }
        let length = fs::metadata(&self.log).map_or(0, |log| log.len());
        if length > 2 * WAL_FILE_BYTES {
            // Writes come faster than the disk takes them: they wait until the thread has caught up.
            drop(self.signal.copying.lock());
        }
        if help || length > WAL_FILE_BYTES {
            // Short: the thread has copied all but the latest pages, or is about to and then this does nothing.
            drop(checkpoint(conn, "PASSIVE"));
        }
    }

    /// Ends the thread and empties the log, so that a closed database is one file.
    pub(super) fn finish(self, conn: &Connection) {
        self.signal.lock().stop = true;
        self.signal.changed.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the checkpointing thread panicked");
        }
        let _state = checkpoint(conn, "TRUNCATE");
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a first group, then for more of them or the interval; false when it is time to end.
    fn wait(&self) -> bool {
        let idle = |state: &mut State| !state.stop && state.groups == 0;
        let few = |state: &mut State| !state.stop && state.groups < CHECKPOINT_GROUPS;
        drop(self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner));
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), CHECKPOINT_INTERVAL, few)
            .unwrap_or_else(PoisonError::into_inner);
        state.groups = 0;
        let go_on = !state.stop;
        drop(state);
        go_on
    }
}

fn run(conn: &Connection, signal: &Signal) {
    while signal.wait() {
        let copied = {
            let _copying = signal.copying.lock().unwrap_or_else(PoisonError::into_inner);
            checkpoint(conn, "PASSIVE")
        };
        match copied {
            Ok(pages) if pages > WAL_PAGES => signal.lock().writer_helps = true,
            Ok(_) => {}
            Err(cause) => tracing::error!(%cause, "the write-ahead log could not be copied into the database"),
        }
    }
}

/// Runs a checkpoint; returns how many pages the log has.
fn checkpoint(conn: &Connection, mode: &str) -> Result<i64, StoreError> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1)).map_err(super::sql::failed)
}
