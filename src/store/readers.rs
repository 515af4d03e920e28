//! Read-only connections, shared by the threads that need one for a moment.

use std::{
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, Transaction};

use super::{StoreError, sql::failed};
use crate::limits::store::{BUSY_TIMEOUT, READER_CACHE_KIB, STATEMENT_CACHE};

/// A fixed number of read-only connections.
#[derive(Debug)]
pub(super) struct Readers {
    // A mutex because any thread lends and gives back; held for one push or pop, never over an await.
    idle: Mutex<Idle>,
    freed: Condvar,
}

#[derive(Debug)]
struct Idle {
    connections: Vec<Connection>,
    closed: bool,
}

impl Readers {
    /// Opens `count` connections.
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, StoreError> {
        let connections = (0..count).map(|_| open_one(path)).collect::<Result<_, _>>()?;
        Ok(Self { idle: Mutex::new(Idle { connections, closed: false }), freed: Condvar::new() })
    }

    /// Lends a connection to `read`; waits while all are lent. Nested calls could wait for themselves: there are none.
    pub(super) fn with<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let lent = Lent { home: self, connection: Some(self.take()?) };
        match &lent.connection {
            Some(connection) => read(connection),
            None => Err(StoreError::Closed.into()),
        }
    }

    /// The same inside one read transaction: all statements see the same instant.
    pub(super) fn snapshot<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.with(|connection| {
            let snapshot: Transaction<'_> = connection.unchecked_transaction().map_err(failed)?;
            read(&snapshot)
        })
    }

    /// Closes idle connections; lent ones close when they come back.
    pub(super) fn close(&self) {
        let connections = {
            let mut idle = self.lock();
            idle.closed = true;
            std::mem::take(&mut idle.connections)
        };
        drop(connections);
        self.freed.notify_all();
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = self
            .freed
            .wait_while(self.lock(), |idle| idle.connections.is_empty() && !idle.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if idle.closed {
            return Err(StoreError::Closed);
        }
        idle.connections.pop().ok_or(StoreError::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lent connection: comes home when dropped, also when `read` panics.
struct Lent<'a> {
    home: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.home.lock();
            if !idle.closed {
                idle.connections.push(connection);
                drop(idle);
                self.home.freed.notify_one();
            }
        }
    }
}

fn open_one(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection
        .execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
        ))
        .map_err(failed)?;
    Ok(connection)
}
