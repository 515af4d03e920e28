//! The identity journal: one durable row per PLC operation that the server submits (delegation contract, section 6).

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use super::{
    AccountId, AccountState, ChangeSet, CommitRefused, CreateConflict, DelegationRow, NewSecurityEvent, Store,
    StoreError,
    accounts::{handle_is_held, has_open_row, write_handle},
    commit::{Prepared, prepare, timed},
    delegations::{write_head, write_row},
    security_events::insert as note,
    sql,
    states::write_state,
    writer::Work,
};
use crate::{
    clock::Timestamp,
    delegation::DelegationId,
    event::UnnumberedFrame,
    ipld::Cid,
    syntax::{Did, Handle},
};

/// A journal row's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId(pub i64);
/// What the change is, with what must be known to apply it after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum JournalKind {
    /// A new account: applied by its genesis commit and first events.
    CreateAccount,
    /// A new handle.
    UpdateHandle {
        /// The handle to set.
        handle: Handle,
    },
    /// An operation that the owner submitted by `submitPlcOperation`, or one that only moves the service endpoint.
    Submit,
    /// A delegation that is created, updated or ended.
    Delegation(DelegationChange),
    /// Another signing key, one of those that were reserved.
    #[serde(rename_all = "camelCase")]
    SigningKey {
        /// Its public half.
        did_key: String,
    },
}
/// What a change of a delegation writes into the repository once its operation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegationChange {
    /// Its id.
    pub id: DelegationId,
    /// The did:key that it names from then on; none ends it.
    pub key: Option<String>,
    /// The CID of the statement; none for an end without one.
    pub statement_cid: Option<Cid>,
    /// The statement as data-model JSON.
    pub statement: Option<serde_json::Value>,
    /// The entries of associated data that stand under the new key, as data-model JSON.
    pub entries: Vec<serde_json::Value>,
}
/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// Written, not posted.
    Prepared,
    /// Posted at least once; the answer may be unknown.
    Posted,
    /// True here and in the directory.
    Applied,
    /// Refused or overtaken.
    Failed,
}
/// A change to journal.
#[derive(Clone, Debug)]
pub struct NewJournalRow {
    /// The DID that changes.
    pub did: Did,
    /// What the change is.
    pub kind: JournalKind,
    /// The signed operation as JSON.
    pub operation: String,
    /// Its CID.
    pub operation_cid: Cid,
    /// The operation that it builds on; none for genesis.
    pub prev: Option<Cid>,
    /// Now.
    pub at: Timestamp,
}
/// A journaled change.
#[derive(Clone, Debug)]
pub struct JournalRow {
    /// Its number.
    pub id: JournalId,
    /// The account.
    pub account: AccountId,
    /// What was journaled.
    pub change: NewJournalRow,
    /// Where it stands.
    pub state: JournalState,
    /// How often it was posted.
    pub posts: u32,
    /// When a repeated refusal was first confirmed by a reading of the log.
    pub refused_at: Option<Timestamp>,
    /// Why it failed, in words.
    pub error: Option<String>,
}
/// Why a change cannot be journaled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenJournal {
    /// Another change of this DID is open.
    #[error("another change of this identity is still under way")]
    Conflict,
    /// The handle that the change wants is in use or held.
    #[error("Handle already taken: {0}")]
    HandleTaken(Handle),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
/// What becomes true with a row's `applied`.
#[derive(Clone, Debug)]
pub enum JournalEffect {
    /// The pending account becomes active with its genesis commit; events in this order.
    CreateAccount(ChangeSet),
    /// The handle, and `#identity`.
    UpdateHandle(Handle, Vec<UnnumberedFrame>),
    /// Only events.
    Events(Vec<UnnumberedFrame>),
    /// The records' commit with its events, or events alone where no record changes; and the delegation as it is now.
    Delegation {
        /// The commit; none when no record changes.
        commit: Option<ChangeSet>,
        /// What is announced after it.
        events: Vec<UnnumberedFrame>,
        /// The delegation.
        row: DelegationRow,
    },
    /// The account's key, and its latest commit signed anew, with all events.
    SigningKey {
        /// The private half, sealed for the account.
        sealed: Vec<u8>,
        /// The public half.
        did_key: String,
        /// The commit.
        commit: ChangeSet,
    },
}
/// The start of the journal's queries, with the columns that [`row_columns`] reads.
macro_rules! select_row {
    () => {
        "SELECT id, account, did, kind, operation, operation_digest, prev_digest, created_at, state, posts, refused_at,
         error FROM journal"
    };
}

/// The latest row of a statement (its digest) and DID.
pub(super) const STATEMENT_ROWS: &str =
    concat!(select_row!(), " WHERE statement_digest = ?1 AND did = ?2 ORDER BY id DESC LIMIT 1");

/// The latest row of an operation (its digest) and DID.
pub(super) const OPERATION_ROWS: &str =
    concat!(select_row!(), " WHERE operation_digest = ?1 AND did = ?2 ORDER BY id DESC LIMIT 1");

/// An effect with everything that can be found out before the writer has it.
enum PreparedEffect {
    CreateAccount(Box<Prepared>),
    UpdateHandle(Handle, Vec<(UnnumberedFrame, Timestamp)>),
    Events(Vec<(UnnumberedFrame, Timestamp)>),
    Delegation(Option<Box<Prepared>>, Vec<(UnnumberedFrame, Timestamp)>, DelegationRow),
    SigningKey { sealed: Vec<u8>, did_key: String, commit: Box<Prepared> },
}

impl Store {
    /// Writes a row `prepared`. One open row per DID.
    ///
    /// # Errors
    /// [`OpenJournal`]: another change is open, or the handle is held.
    pub async fn journal_open(&self, account: AccountId, row: NewJournalRow) -> Result<JournalId, OpenJournal> {
        self.write(move |work| {
            if has_open_row(work.conn, &row.did)? {
                return Err(OpenJournal::Conflict);
            }
            if let JournalKind::UpdateHandle { handle } = &row.kind
                && handle_is_held(work.conn, handle, Some(account))?
            {
                return Err(OpenJournal::HandleTaken(handle.clone()));
            }
            Ok(insert_row(work.conn, account, &row)?)
        })
        .await
    }

    /// `posted`, counting the attempt; durable before the operation leaves.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_posted(&self, id: JournalId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE journal SET state = 1, posts = posts + 1, posted_at = ?2 WHERE id = ?1 AND state IN (0, 1)",
                (id.0, at.as_micros()),
            )
            .map(drop)
        })
        .await
    }

    /// Notes that a repeated POST was refused and the log, read at `at`, does not have the operation. The first time stays.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_refused(&self, id: JournalId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE journal SET refused_at = coalesce(refused_at, ?2) WHERE id = ?1 AND state IN (0, 1)",
                (id.0, at.as_micros()),
            )
            .map(drop)
        })
        .await
    }

    /// `failed`: nothing changed; a pending account of a genesis row is deleted and what it held is freed. Without effect
    /// on a row that is not open.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_fail(&self, id: JournalId, error: &str, at: Timestamp) -> Result<(), StoreError> {
        let error = error.to_owned();
        self.write(move |work| {
            let failed = sql::execute(
                work.conn,
                "UPDATE journal SET state = 3, error = ?2, settled_at = ?3 WHERE id = ?1 AND state IN (0, 1)",
                (id.0, &error, at.as_micros()),
            )?;
            if failed == 1
                && let Some(row) = read_row(work.conn, id)?
                && row.change.kind == JournalKind::CreateAccount
            {
                free_pending(work.conn, row.account, &row.change.did)?;
            }
            Ok(())
        })
        .await
    }

    /// `applied` with its effect, and its entry in the security log, in one transaction. Applying twice is an error-free no-op.
    ///
    /// # Errors
    /// [`CreateConflict::HandleTaken`] when a failed change is applied late and its handle has gone to another; else
    /// [`CreateConflict::Store`], also where a failed creation's account is no longer here.
    pub async fn journal_apply(
        &self,
        id: JournalId,
        effect: JournalEffect,
        at: Timestamp,
        noted: Option<NewSecurityEvent>,
    ) -> Result<(), CreateConflict> {
        let inner = &self.inner;
        let effect = match effect {
            JournalEffect::CreateAccount(change) => {
                PreparedEffect::CreateAccount(Box::new(prepare(&inner.shared, &inner.points, change)?))
            }
            JournalEffect::UpdateHandle(handle, events) => PreparedEffect::UpdateHandle(handle, timed(events)?),
            JournalEffect::Events(events) => PreparedEffect::Events(timed(events)?),
            JournalEffect::Delegation { commit, events, row } => {
                let commit = commit.map(|change| prepare(&inner.shared, &inner.points, change)).transpose()?;
                PreparedEffect::Delegation(commit.map(Box::new), timed(events)?, row)
            }
            JournalEffect::SigningKey { sealed, did_key, commit } => {
                let commit = Box::new(prepare(&inner.shared, &inner.points, commit)?);
                PreparedEffect::SigningKey { sealed, did_key, commit }
            }
        };
        let settled = self
            .write(move |work| {
                if apply(work, id, &effect, at)?
                    && let Some(noted) = &noted
                {
                    note(work.conn, noted)?;
                }
                Ok::<_, CreateConflict>(effect)
            })
            .await?;
        match settled {
            PreparedEffect::CreateAccount(prepared)
            | PreparedEffect::Delegation(Some(prepared), ..)
            | PreparedEffect::SigningKey { commit: prepared, .. } => {
                prepared.settle(&inner.shared);
            }
            PreparedEffect::UpdateHandle(..) | PreparedEffect::Events(_) | PreparedEffect::Delegation(None, ..) => {}
        }
        Ok(())
    }

    /// Rows that are `prepared` or `posted`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_open_rows(&self, limit: usize) -> Result<Vec<JournalRow>, StoreError> {
        const QUERY: &str = concat!(select_row!(), " WHERE state IN (0, 1) ORDER BY id LIMIT ?1");
        self.page(move |conn| sql::all(conn, QUERY, [sql::limit(limit)], row_columns)).await
    }

    /// Rows that failed at `since` or later, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_failed_rows(&self, since: Timestamp, limit: usize) -> Result<Vec<JournalRow>, StoreError> {
        const QUERY: &str = concat!(select_row!(), " WHERE state = 3 AND settled_at >= ?1 ORDER BY id LIMIT ?2");
        self.page(move |conn| sql::all(conn, QUERY, (since.as_micros(), sql::limit(limit)), row_columns)).await
    }

    /// One row.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_row(&self, id: JournalId) -> Result<Option<JournalRow>, StoreError> {
        self.point(|conn| read_row(conn, id))
    }
}

/// Writes a row `prepared`; whoever calls has looked for conflicts.
pub(super) fn insert_row(conn: &Connection, account: AccountId, row: &NewJournalRow) -> Result<JournalId, StoreError> {
    let kind = serde_json::to_string(&row.kind).map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    let held = match &row.kind {
        JournalKind::UpdateHandle { handle } => Some(handle.as_str()),
        JournalKind::CreateAccount
        | JournalKind::Submit
        | JournalKind::Delegation(_)
        | JournalKind::SigningKey { .. } => None,
    };
    let statement = match &row.kind {
        JournalKind::Delegation(change) => change.statement_cid.as_ref().map(Cid::digest),
        JournalKind::CreateAccount
        | JournalKind::Submit
        | JournalKind::UpdateHandle { .. }
        | JournalKind::SigningKey { .. } => None,
    };
    sql::execute(
        conn,
        "INSERT INTO journal (did, account, kind, held_handle, operation, operation_digest, prev_digest, created_at, state,
         statement_digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9)",
        (
            row.did.as_str(),
            account.0,
            kind,
            held,
            &row.operation,
            row.operation_cid.digest(),
            row.prev.as_ref().map(Cid::digest),
            row.at.as_micros(),
            statement,
        ),
    )?;
    Ok(JournalId(conn.last_insert_rowid()))
}

/// Whether anything was left to do.
fn apply(work: &mut Work<'_>, id: JournalId, effect: &PreparedEffect, at: Timestamp) -> Result<bool, CreateConflict> {
    let Some(row) = read_row(work.conn, id)? else {
        return Err(StoreError::Damaged(format!("there is no journal row {}", id.0)).into());
    };
    if row.state == JournalState::Applied {
        return Ok(false);
    }
    // Before the effect, so that the row no longer holds the handle against itself.
    sql::execute(
        work.conn,
        "UPDATE journal SET state = 2, error = NULL, settled_at = ?2 WHERE id = ?1",
        (id.0, at.as_micros()),
    )?;
    match effect {
        PreparedEffect::CreateAccount(prepared) => {
            if !sql::exists(work.conn, "SELECT 1 FROM accounts WHERE id = ?1 AND state = 0", [row.account.0])? {
                return Err(StoreError::Damaged("the account of a creation is not pending here".to_owned()).into());
            }
            write_state(work.conn, row.account, &AccountState::Active)?;
            prepared.apply(work).map_err(commit_failed)?;
        }
        PreparedEffect::UpdateHandle(handle, events) => {
            write_handle(work, row.account, handle)?;
            work.announce(events)?;
        }
        PreparedEffect::Events(events) => {
            work.announce(events)?;
        }
        PreparedEffect::Delegation(commit, events, delegation) => {
            if let Some(commit) = commit {
                commit.apply(work).map_err(commit_failed)?;
            }
            write_row(work.conn, row.account, delegation)?;
            work.announce(events)?;
        }
        PreparedEffect::SigningKey { sealed, did_key, commit } => {
            sql::execute(
                work.conn,
                "UPDATE accounts SET sealed_signing_key = ?2, signing_key = ?3 WHERE id = ?1",
                (row.account.0, sealed, did_key),
            )?;
            sql::execute(work.conn, "DELETE FROM reserved_keys WHERE did_key = ?1", [did_key])?;
            commit.apply(work).map_err(commit_failed)?;
        }
    }
    // What stands beyond it came from elsewhere.
    write_head(work.conn, row.account, &row.change.operation_cid)?;
    Ok(true)
}

fn commit_failed(refused: CommitRefused) -> CreateConflict {
    match refused {
        CommitRefused::Store(cause) => cause.into(),
        CommitRefused::StaleHead { .. }
        | CommitRefused::BlobMissing(_)
        | CommitRefused::Inactive(_)
        | CommitRefused::OverQuota(_)
        | CommitRefused::Gone => StoreError::Damaged(format!("a journaled commit was refused: {refused}")).into(),
    }
}

/// Deletes a pending account: handle, address and invite use are free again.
fn free_pending(conn: &Connection, account: AccountId, did: &Did) -> Result<(), StoreError> {
    if sql::execute(conn, "DELETE FROM accounts WHERE id = ?1 AND state = 0", [account.0])? == 1 {
        sql::execute(conn, "DELETE FROM invite_uses WHERE did = ?1", [did.as_str()])?;
    }
    Ok(())
}

fn read_row(conn: &Connection, id: JournalId) -> Result<Option<JournalRow>, StoreError> {
    sql::one(conn, concat!(select_row!(), " WHERE id = ?1"), [id.0], row_columns)
}

pub(super) fn row_columns(row: &Row<'_>) -> Result<JournalRow, StoreError> {
    let kind: String = sql::col(row, 3)?;
    let prev = if sql::col::<Option<[u8; 32]>>(row, 6)?.is_some() { Some(sql::cbor_cid(row, 6)?) } else { None };
    Ok(JournalRow {
        id: JournalId(sql::col(row, 0)?),
        account: AccountId(sql::col(row, 1)?),
        change: NewJournalRow {
            did: sql::parsed(row, 2)?,
            kind: serde_json::from_str(&kind).map_err(|cause| StoreError::Damaged(cause.to_string()))?,
            operation: sql::col(row, 4)?,
            operation_cid: sql::cbor_cid(row, 5)?,
            prev,
            at: sql::time(row, 7)?,
        },
        state: match sql::col::<i64>(row, 8)? {
            0 => JournalState::Prepared,
            1 => JournalState::Posted,
            2 => JournalState::Applied,
            3 => JournalState::Failed,
            other => return Err(StoreError::Damaged(format!("{other} is not a journal state"))),
        },
        posts: sql::col(row, 9)?,
        refused_at: sql::col::<Option<i64>>(row, 10)?.map(Timestamp::from_micros),
        error: sql::col(row, 11)?,
    })
}
