//! Trees that are nobody's repository: those of imports under way are left alone, the others are removed in slices while
//! the writer has nothing else to do.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;

use super::ImportRefused;
use crate::{
    clock::Timestamp,
    limits::{
        import::{AT_ONCE, SWEEP_BYTES},
        store::SWEEP_SLICE,
    },
    store::{AccountId, StoreError, export::Exports, sql, writer::Work},
};

/// Which imports are under way, and which trees are to be removed.
#[derive(Debug, Default)]
pub(in crate::store) struct LooseTrees {
    // A mutex because imports begin and end anywhere and the writer removes; held for a few map operations.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Accounts whose import is under way.
    running: HashSet<AccountId>,
    /// Trees to remove, if they are still loose then.
    removable: Vec<i64>,
}

impl LooseTrees {
    /// Those that an earlier process left behind.
    pub(in crate::store) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let removable = sql::all(conn, "SELECT tree FROM loose_trees", [], |row| sql::col(row, 0))?;
        Ok(Self { state: Mutex::new(State { running: HashSet::new(), removable }) })
    }

    /// Notes that an import begins; [`LooseTrees::release`] says that it has ended.
    pub(super) fn hold(&self, account: AccountId) -> Result<(), ImportRefused> {
        let mut state = self.lock();
        if state.running.contains(&account) {
            return Err(ImportRefused::Running);
        }
        if state.running.len() >= AT_ONCE {
            return Err(ImportRefused::Busy);
        }
        state.running.insert(account);
        drop(state);
        Ok(())
    }

    /// An import has ended, well or not: its tree is removed if it is still loose.
    pub(super) fn release(&self, account: AccountId, tree: Option<i64>) {
        let mut state = self.lock();
        state.running.remove(&account);
        state.removable.extend(tree);
    }

    /// A tree that is not an account's any more, once the transaction at hand is committed.
    pub(in crate::store) fn replaced(&self, tree: i64) {
        self.lock().removable.push(tree);
    }

    /// Removes a slice of a tree that nobody needs; false when there is nothing to do now.
    pub(in crate::store) fn sweep_slice(&self, conn: &Connection, exports: &Exports) -> bool {
        let ready = |tree: &i64| !exports.is_open(*tree);
        let Some(tree) = self.lock().removable.iter().copied().find(ready) else { return false };
        let more = remove_slice(conn, tree);
        if !matches!(more, Ok(true)) {
            self.lock().removable.retain(|done| *done != tree);
        }
        if let Err(cause) = more {
            tracing::warn!(%cause, "a replaced repository stays until the next start: {cause}");
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that a tree is no repository, in the transaction at hand. [`LooseTrees::replaced`] has it removed soon; the next
/// start does at the latest.
pub(in crate::store) fn set_loose(
    work: &Work<'_>,
    tree: i64,
    account: AccountId,
    since: Timestamp,
) -> Result<(), StoreError> {
    sql::execute(
        work.conn,
        "INSERT INTO loose_trees (tree, account, since) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET since = ?3",
        (tree, account.0, since.as_micros()),
    )
    .map(drop)
}

/// Removes some rows of a tree, in a transaction of its own; whether there may be more.
fn remove_slice(conn: &Connection, tree: i64) -> Result<bool, StoreError> {
    let Some((account, since)) = sql::one(
        conn,
        "SELECT account, since FROM loose_trees WHERE tree = ?1
         AND NOT EXISTS (SELECT 1 FROM repos WHERE repos.tree = loose_trees.tree)",
        [tree],
        |row| Ok((sql::col::<i64>(row, 0)?, sql::col::<i64>(row, 1)?)),
    )?
    else {
        return Ok(false);
    };
    conn.execute_batch("BEGIN IMMEDIATE").map_err(sql::failed)?;
    let done = remove_rows(conn, tree, account, since);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    conn.execute_batch(end).map_err(sql::failed)?;
    done
}

fn remove_rows(conn: &Connection, tree: i64, account: i64, since: i64) -> Result<bool, StoreError> {
    let gone = remove_records(conn, tree)? + remove_blob_uses(conn, tree, account, since)?;
    if gone > 0 {
        return Ok(true);
    }
    for table in ["nodes", "backlinks"] {
        let key = if table == "nodes" { "first, height" } else { "collection, hash, rkey" };
        let removed = sql::execute(
            conn,
            &format!(
                "DELETE FROM {table} WHERE tree = ?1 AND ({key}) IN (SELECT {key} FROM {table} WHERE tree = ?1 LIMIT ?2)"
            ),
            (tree, sql::limit(SWEEP_SLICE)),
        )?;
        if removed > 0 {
            return Ok(true);
        }
    }
    sql::execute(conn, "DELETE FROM loose_trees WHERE tree = ?1", [tree])?;
    Ok(false)
}

/// Records are removed by their bytes too: the length of a value is known without reading it.
fn remove_records(conn: &Connection, tree: i64) -> Result<usize, StoreError> {
    let rows = sql::all(
        conn,
        "SELECT collection, rkey, length(value) FROM records WHERE tree = ?1 ORDER BY collection, rkey LIMIT ?2",
        (tree, sql::limit(SWEEP_SLICE)),
        |row| Ok((sql::col::<i64>(row, 0)?, sql::col::<String>(row, 1)?, sql::col::<i64>(row, 2)?)),
    )?;
    let mut bytes = 0;
    let within = rows.iter().take_while(|(_, _, length)| {
        let fits = bytes < SWEEP_BYTES;
        bytes += length;
        fits
    });
    let Some((collection, rkey, _)) = within.last() else { return Ok(0) };
    sql::execute(
        conn,
        "DELETE FROM records WHERE tree = ?1 AND (collection, rkey) <= (?2, ?3)",
        (tree, collection, rkey),
    )
}

/// Blobs that no other tree of the account uses are temporary again.
fn remove_blob_uses(conn: &Connection, tree: i64, account: i64, since: i64) -> Result<usize, StoreError> {
    let uses = sql::all(
        conn,
        "SELECT digest, collection, rkey FROM record_blobs WHERE tree = ?1 LIMIT ?2",
        (tree, sql::limit(SWEEP_SLICE)),
        |row| Ok((sql::col::<[u8; 32]>(row, 0)?, sql::col::<i64>(row, 1)?, sql::col::<String>(row, 2)?)),
    )?;
    for (digest, collection, rkey) in &uses {
        sql::execute(
            conn,
            "DELETE FROM record_blobs WHERE tree = ?1 AND digest = ?2 AND collection = ?3 AND rkey = ?4",
            (tree, digest, collection, rkey),
        )?;
        sql::execute(
            conn,
            "UPDATE blobs SET permanent = 0, created_at = max(created_at, ?3)
             WHERE account = ?1 AND digest = ?2 AND permanent = 1
             AND NOT EXISTS (SELECT 1 FROM record_blobs WHERE digest = ?2 AND tree IN (
                 SELECT tree FROM repos WHERE account = ?1
                 UNION ALL SELECT tree FROM loose_trees WHERE account = ?1))",
            (account, digest, since),
        )?;
    }
    Ok(uses.len())
}

/// Where the blocks of imports wait.
pub(in crate::store) fn dir_of(data: &Path) -> PathBuf {
    data.join("imports")
}

/// Makes the directory, without what a crash left in it.
pub(in crate::store) fn empty_dir(data: &Path) -> io::Result<()> {
    let dir = dir_of(data);
    match fs::remove_dir_all(&dir) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    fs::create_dir(&dir)
}
