//! Deletion of accounts: at one instant an account is gone for everybody, and then everything that hangs on it goes in
//! slices, whatever comes between two of them.

use rusqlite::Connection;

use super::{
    AccountId, Store, StoreError,
    blobs::{has_row, note_orphan},
    commit::timed,
    hidden::Hiding,
    sql,
    writer::Work,
};
use crate::{
    clock::Timestamp,
    event::{Frame, UnnumberedFrame},
    limits::store::{EVENT_PAGE_BYTES, SWEEP_SLICE, UNLINK_SLICE},
    syntax::Did,
};

/// The tables whose rows belong to an account by its integer, each with the columns that tell the rows of one account
/// apart. Blobs have a step of their own, because their files may be others' as well.
const OWNED: &[(&str, &str)] = &[
    ("sessions", "id"),
    ("codes", "purpose"),
    ("app_passwords", "id"),
    ("outbox", "id"),
    ("records", "tree, collection, rkey"),
    ("nodes", "tree, first, height"),
    ("retired_nodes", "rowid"),
    ("retired_records", "rowid"),
    ("backlinks", "tree, collection, hash, rkey"),
    ("record_blobs", "tree, digest, collection, rkey"),
    ("tree_usage", "tree"),
    ("loose_trees", "tree"),
    ("account_usage", "account"),
    ("account_collections", "collection"),
    ("record_takedowns", "collection, rkey"),
    ("blob_takedowns", "digest"),
    ("delegations", "id"),
    ("plc_heads", "account"),
    ("journal", "id"),
    ("preferences", "position"),
    ("repos", "account"),
    ("security_events", "id"),
];

/// Which rows of a table are the account's, ?1: those of a repository hang on its trees.
fn scope_of(table: &str) -> &'static str {
    match table {
        "records" | "nodes" | "retired_nodes" | "retired_records" | "backlinks" | "record_blobs" | "tree_usage" => {
            "tree IN (SELECT tree FROM loose_trees WHERE account = ?1 UNION ALL SELECT ?1)"
        }
        _ => "account = ?1",
    }
}

/// The step that removes blobs.
const BLOBS: usize = OWNED.len();
/// The step that removes events.
const EVENTS: usize = BLOBS + 1;

/// A deletion that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The account that was.
    pub account: AccountId,
    /// Its DID.
    pub did: Did,
    /// When it was deleted.
    pub begun_at: Timestamp,
    /// Whether its data is gone, and only what requests under way may have left behind is looked for once more.
    pub is_swept: bool,
}

/// What a slice of a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// There is more to remove.
    More,
    /// The data is gone.
    Swept,
}

/// How far a deletion has come.
struct Progress {
    did: String,
    announced: i64,
    step: usize,
    scanned: i64,
    pass: i64,
}

impl Store {
    /// One transaction: the account is gone, its handle and address are free, its end is announced, and what is left of it
    /// is noted for removal. False when it is not here (any more).
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn begin_deletion(
        &self,
        id: AccountId,
        event: UnnumberedFrame,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let events = timed(vec![event])?;
        self.write(move |work| {
            let did = sql::one(work.conn, "SELECT did FROM accounts WHERE id = ?1 AND state <> 0", [id.0], |row| {
                sql::col::<String>(row, 0)
            })?;
            let Some(did) = did else { return Ok(false) };
            sql::execute(
                work.conn,
                "INSERT INTO loose_trees (tree, account, since) SELECT tree, account, ?2 FROM repos WHERE account = ?1",
                (id.0, now.as_micros()),
            )?;
            for statement in [
                "DELETE FROM accounts WHERE id = ?1",
                "DELETE FROM repos WHERE account = ?1",
                "DELETE FROM sessions WHERE account = ?1",
                // Few rows each: nobody is mailed, and nothing is permitted, in the name of somebody who is gone.
                "DELETE FROM codes WHERE account = ?1",
                "DELETE FROM outbox WHERE account = ?1",
                // An open change would keep the DID from coming back; its outcome is nobody's business here any more.
                "DELETE FROM journal WHERE account = ?1 AND state IN (0, 1)",
            ] {
                sql::execute(work.conn, statement, [id.0])?;
            }
            sql::execute(work.conn, "DELETE FROM reserved_keys WHERE did = ?1", [&did])?;
            work.set_head(id, None);
            let announced = work.announce(&events)?;
            work.hide(Hiding::Deleted(did.clone(), announced));
            sql::execute(
                work.conn,
                "INSERT INTO deletions (account, did, begun_at, announced) VALUES (?1, ?2, ?3, ?4)",
                (id.0, did, now.as_micros(), announced),
            )?;
            Ok(true)
        })
        .await
    }

    /// Deletions that are not done, those with data left first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn deletions(&self, limit: usize) -> Result<Vec<Deletion>, StoreError> {
        const QUERY: &str = "SELECT account, did, begun_at, pass FROM deletions ORDER BY pass, account LIMIT ?1";
        self.point(|conn| {
            sql::all(conn, QUERY, [sql::limit(limit)], |row| {
                Ok(Deletion {
                    account: AccountId(sql::col(row, 0)?),
                    did: sql::parsed(row, 1)?,
                    begun_at: sql::time(row, 2)?,
                    is_swept: sql::col::<i64>(row, 3)? > 0,
                })
            })
        })
    }

    /// Accounts whose owner deactivated them until a time that has come.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn accounts_to_delete(&self, now: Timestamp, limit: usize) -> Result<Vec<AccountId>, StoreError> {
        const QUERY: &str =
            "SELECT id FROM accounts WHERE state = 2 AND delete_after IS NOT NULL AND delete_after <= ?1
                             ORDER BY delete_after LIMIT ?2";
        self.point(|conn| {
            sql::all(conn, QUERY, (now.as_micros(), sql::limit(limit)), |row| sql::col(row, 0).map(AccountId))
        })
    }

    /// Removes a slice of what a deleted account left. Every slice is durable by itself and safe to repeat; after the one
    /// that answers [`Purge::Swept`] for the second time, the deletion is forgotten.
    ///
    /// # Errors
    /// [`StoreError`] as the database or the file system says; what was removed stays removed.
    pub async fn purge_slice(&self, account: AccountId) -> Result<Purge, StoreError> {
        let Some(progress) = self.point(|conn| progress(conn, account))? else { return Ok(Purge::Swept) };
        if progress.step == EVENTS {
            return self.purge_events(account, progress).await;
        }
        let step = progress.step;
        if step == BLOBS {
            let removed = self.write(move |work| purge_blobs(work, account)).await?;
            while self.unlink_orphans(UNLINK_SLICE).await? > 0 {}
            if removed == 0 {
                self.write(move |work| advance(work.conn, account, step)).await?;
            }
            return Ok(Purge::More);
        }
        let (table, key) =
            OWNED.get(step).ok_or_else(|| StoreError::Damaged(format!("{step} is not a step of a deletion")))?;
        let scope = scope_of(table);
        let statement = format!(
            "DELETE FROM {table} WHERE {scope} AND ({key}) IN (SELECT {key} FROM {table} WHERE {scope} LIMIT ?2)"
        );
        self.write(move |work| {
            let removed = sql::execute(work.conn, &statement, (account.0, sql::limit(SWEEP_SLICE)))?;
            if removed < SWEEP_SLICE { advance(work.conn, account, step) } else { Ok(()) }
        })
        .await?;
        Ok(Purge::More)
    }

    /// How many rows each table has of an account.
    #[cfg(test)]
    pub(crate) async fn rows_of(&self, account: AccountId) -> Result<Vec<(&'static str, i64)>, StoreError> {
        let tables = OWNED.iter().map(|(table, _)| *table).chain(["blobs"]);
        let count = |table| {
            let query = format!("SELECT count(*) FROM {table} WHERE {}", scope_of(table));
            self.point(|conn| sql::one(conn, &query, [account.0], |row| sql::col::<i64>(row, 0)))
        };
        tables.map(|table| Ok((table, count(table)?.unwrap_or(0)))).collect()
    }

    /// Looks through a page of the log, and removes the account's events from it.
    async fn purge_events(&self, account: AccountId, progress: Progress) -> Result<Purge, StoreError> {
        let Progress { did, announced, scanned, pass, .. } = progress;
        let of = did.clone();
        let (found, scanned) = self.page(move |conn| events_of(conn, &of, scanned, announced)).await?;
        for slice in found.chunks(SWEEP_SLICE) {
            let slice = slice.to_vec();
            self.write(move |work| {
                slice
                    .iter()
                    .try_for_each(|seq| sql::execute(work.conn, "DELETE FROM events WHERE seq = ?1", [seq]).map(drop))
            })
            .await?;
        }
        let is_done = scanned + 1 >= announced;
        self.write(move |work| match (is_done, pass) {
            (false, _) => {
                let statement = "UPDATE deletions SET scanned = max(scanned, ?2) WHERE account = ?1";
                sql::execute(work.conn, statement, (account.0, scanned)).map(drop)
            }
            (true, 0) => {
                let statement = "UPDATE deletions SET pass = 1, step = 0, scanned = ?2 WHERE account = ?1";
                sql::execute(work.conn, statement, (account.0, scanned)).map(drop)
            }
            (true, _) => {
                sql::execute(work.conn, "DELETE FROM deletions WHERE account = ?1", [account.0])?;
                work.hide(Hiding::Purged(did.clone(), announced));
                Ok(())
            }
        })
        .await?;
        // What is kept in memory for live subscribers is read from disk again, without what is gone.
        self.inner.shared.ring.clear();
        Ok(if is_done { Purge::Swept } else { Purge::More })
    }
}

fn progress(conn: &Connection, account: AccountId) -> Result<Option<Progress>, StoreError> {
    sql::one(conn, "SELECT did, announced, step, scanned, pass FROM deletions WHERE account = ?1", [account.0], |row| {
        Ok(Progress {
            did: sql::col(row, 0)?,
            announced: sql::col(row, 1)?,
            step: usize::try_from(sql::col::<i64>(row, 2)?).unwrap_or(usize::MAX),
            scanned: sql::col(row, 3)?,
            pass: sql::col(row, 4)?,
        })
    })
}

/// On to the next step, unless somebody else has taken it already.
fn advance(conn: &Connection, account: AccountId, step: usize) -> Result<(), StoreError> {
    let statement = "UPDATE deletions SET step = ?2 + 1 WHERE account = ?1 AND step = ?2";
    sql::execute(conn, statement, (account.0, i64::try_from(step).unwrap_or(i64::MAX))).map(drop)
}

/// A slice of blob rows; files that no other account's row names are noted for removal.
fn purge_blobs(work: &Work<'_>, account: AccountId) -> Result<usize, StoreError> {
    let digests = sql::all(
        work.conn,
        "SELECT digest FROM blobs WHERE account = ?1 LIMIT ?2",
        (account.0, sql::limit(SWEEP_SLICE)),
        |row| sql::col::<[u8; 32]>(row, 0),
    )?;
    for digest in &digests {
        sql::execute(work.conn, "DELETE FROM blobs WHERE account = ?1 AND digest = ?2", (account.0, digest))?;
        if !has_row(work.conn, digest)? {
            note_orphan(work, digest)?;
        }
    }
    Ok(digests.len())
}

/// The numbers of the account's events in the page behind `after`, and the number up to which it was looked through.
fn events_of(conn: &Connection, did: &str, after: i64, announced: i64) -> Result<(Vec<i64>, i64), StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT seq, frame FROM events WHERE seq > ?1 AND seq < ?2 ORDER BY seq")
        .map_err(sql::failed)?;
    let mut rows = statement.query((after, announced)).map_err(sql::failed)?;
    let (mut found, mut scanned, mut bytes) = (Vec::new(), announced - 1, 0_usize);
    while let Some(row) = rows.next().map_err(sql::failed)? {
        let (seq, frame) = (sql::col::<i64>(row, 0)?, sql::bytes(row, 1)?);
        if is_about(&frame, did) {
            found.push(seq);
        }
        bytes += frame.len();
        if bytes >= EVENT_PAGE_BYTES {
            scanned = seq;
            break;
        }
    }
    Ok((found, scanned))
}

/// Whether an event is the account's own.
fn is_about(frame: &[u8], did: &str) -> bool {
    // Most are not, and need not be decoded.
    if !frame.windows(did.len()).any(|bytes| bytes == did.as_bytes()) {
        return false;
    }
    match Frame::decode(frame) {
        Ok(Frame::Commit(frame)) => frame.repo.as_str() == did,
        Ok(Frame::Sync(frame)) => frame.did.as_str() == did,
        Ok(Frame::Identity(frame)) => frame.did.as_str() == did,
        Ok(Frame::Account(frame)) => frame.did.as_str() == did,
        Ok(Frame::Info(_) | Frame::Error(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables by account whose rows go with the account itself, by steps of their own, or not at all.
    const OTHERWISE: &[&str] = &["blobs", "deletions"];
    /// Tables by DID: what is public or must outlive the account stays, the rest goes at once.
    const BY_DID: &[&str] =
        &["accounts", "deletions", "directory", "invite_uses", "journal", "reserved_keys", "web_dids"];

    fn tables_with(conn: &Connection, column: &str) -> Vec<String> {
        let query = "SELECT t.name FROM pragma_table_list AS t, pragma_table_info(t.name) AS c
                     WHERE t.schema = 'main' AND t.type = 'table' AND c.name = ?1 ORDER BY t.name";
        sql::all(conn, query, [column], |row| sql::col(row, 0)).unwrap()
    }

    #[test]
    fn every_table_that_belongs_to_accounts_is_emptied_by_a_deletion() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::store::schema::database_path(dir.path());
        let conn = crate::store::schema::open_writer(&path, crate::store::Durability::Process).unwrap();
        for table in tables_with(&conn, "tree").into_iter().filter(|table| table != "repos") {
            assert!(OWNED.iter().any(|(owned, _)| *owned == table), "{table} has rows of trees: add it to OWNED");
            assert!(table == "loose_trees" || scope_of(&table).starts_with("tree"), "{table} hangs on trees");
        }
        for table in tables_with(&conn, "account") {
            let is_known = OWNED.iter().any(|(owned, _)| *owned == table) || OTHERWISE.contains(&table.as_str());
            assert!(is_known, "{table} has rows of accounts: add it to OWNED");
        }
        for table in tables_with(&conn, "did") {
            assert!(
                BY_DID.contains(&table.as_str()),
                "{table} has rows of DIDs: decide what a deletion does with them"
            );
        }
        for (table, key) in OWNED {
            conn.prepare(&format!("SELECT {key} FROM {table} WHERE {}", scope_of(table))).unwrap();
        }
    }
}
