//! What is known of accounts' delegations without asking the PLC directory. The statements themselves are records.

use rusqlite::{Connection, Row};

use super::{
    AccountId, ChangeSet, CommitRefused, JournalRow, NewSecurityEvent, Store, StoreError,
    accounts::has_open_row,
    commit::{prepare, timed},
    journal::{OPERATION_ROWS, STATEMENT_ROWS, row_columns},
    security_events::insert as note,
    sql,
};
use crate::{clock::Timestamp, delegation::DelegationId, event::UnnumberedFrame, ipld::Cid, syntax::Did};

/// Where a delegation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelegationState {
    /// A statement bears out the key that the DID document names.
    Active,
    /// The DID document names no key any more.
    Ended,
    /// The DID document names a key that no statement here bears out.
    Unproven,
}

/// One delegation of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationRow {
    /// Its id.
    pub id: DelegationId,
    /// The did:key that the id names; none when it is ended.
    pub key: Option<String>,
    /// Where it stands.
    pub state: DelegationState,
    /// The statement that bears this out; none without one.
    pub statement: Option<Cid>,
}

impl Store {
    /// The delegations of an account by id, ended ones included.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn delegations(&self, account: AccountId) -> Result<Vec<DelegationRow>, StoreError> {
        const QUERY: &str = "SELECT id, key, state, statement FROM delegations WHERE account = ?1 ORDER BY id";
        self.point(|conn| sql::all(conn, QUERY, [account.0], columns))
    }

    /// The head of an account's PLC log as it is known here: when it was last read, else the latest operation of this
    /// server's own that stands; none where neither is.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn plc_head(&self, account: AccountId) -> Result<Option<Cid>, StoreError> {
        const READ: &str = "SELECT digest FROM plc_heads WHERE account = ?1";
        const OWN: &str = "SELECT operation_digest FROM journal
                           WHERE did = (SELECT did FROM accounts WHERE id = ?1) AND account = ?1 AND state = 2
                           ORDER BY created_at DESC, id DESC LIMIT 1";
        self.point(|conn| match sql::one(conn, READ, [account.0], |row| sql::cbor_cid(row, 0))? {
            Some(head) => Ok(Some(head)),
            None => sql::one(conn, OWN, [account.0], |row| sql::cbor_cid(row, 0)),
        })
    }

    /// Sets these delegations of an account, and the head of the PLC log that they were read from, if any; announces
    /// `events` with them.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn put_delegations(
        &self,
        account: AccountId,
        rows: Vec<DelegationRow>,
        head: Option<Cid>,
        events: Vec<UnnumberedFrame>,
        noted: Vec<NewSecurityEvent>,
    ) -> Result<(), StoreError> {
        let events = timed(events)?;
        self.write(move |work| {
            for row in &rows {
                write_row(work.conn, account, row)?;
            }
            noted.iter().try_for_each(|noted| note(work.conn, noted))?;
            if let Some(head) = head {
                write_head(work.conn, account, &head)?;
            }
            work.announce(&events).map(drop)
        })
        .await
    }

    /// Makes a commit of a delegation's records, and sets the delegation with it.
    ///
    /// # Errors
    /// [`CommitRefused`]: nothing changed.
    pub async fn commit_delegation(
        &self,
        change: ChangeSet,
        row: DelegationRow,
        noted: NewSecurityEvent,
    ) -> Result<(), CommitRefused> {
        let (account, inner) = (change.account, &self.inner);
        let prepared = prepare(&inner.shared, &inner.points, change)?;
        let prepared = self
            .write(move |work| {
                prepared.apply(work)?;
                write_row(work.conn, account, &row)?;
                note(work.conn, &noted)?;
                Ok::<_, CommitRefused>(prepared)
            })
            .await?;
        prepared.settle(&inner.shared);
        Ok(())
    }

    /// The account after this one, by id, that is in use here and has a did:plc.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn watched_account_after(&self, after: AccountId) -> Result<Option<AccountId>, StoreError> {
        const QUERY: &str = "SELECT id FROM accounts WHERE id > ?1 AND state NOT IN (0, 2) AND did LIKE 'did:plc:%'
                             ORDER BY id LIMIT 1";
        self.point(|conn| sql::one(conn, QUERY, [after.0], |row| sql::col(row, 0).map(AccountId)))
    }

    /// The account of this DID, if it is here and the operation, where its CID is known, is none that this server
    /// journaled. Asked for every operation of the whole directory.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn account_with_foreign_operation(
        &self,
        did: &str,
        operation: Option<&Cid>,
    ) -> Result<Option<AccountId>, StoreError> {
        const QUERY: &str = "SELECT id FROM accounts WHERE did = ?1 AND state <> 0 AND NOT EXISTS
                             (SELECT 1 FROM journal WHERE did = ?1 AND operation_digest = ?2)";
        let params = (did, operation.map(Cid::digest));
        self.point(|conn| sql::one(conn, QUERY, params, |row| sql::col(row, 0).map(AccountId)))
    }

    /// The latest journaled change of this DID with this operation.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_of_operation(&self, did: &Did, operation: &Cid) -> Result<Option<JournalRow>, StoreError> {
        self.point(|conn| sql::one(conn, OPERATION_ROWS, (operation.digest(), did.as_str()), row_columns))
    }

    /// The latest journaled change that was made with this statement.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journal_of_statement(&self, did: &Did, statement: &Cid) -> Result<Option<JournalRow>, StoreError> {
        self.point(|conn| sql::one(conn, STATEMENT_ROWS, (statement.digest(), did.as_str()), row_columns))
    }

    /// Whether a change of this DID is open: journaled, and not known yet to stand or to have failed.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn has_open_change(&self, did: &Did) -> Result<bool, StoreError> {
        self.point(|conn| has_open_row(conn, did))
    }

    /// When operations of a DID were journaled, from `since` on, whatever became of them; oldest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn journaled_since(
        &self,
        did: &Did,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Cid, Timestamp)>, StoreError> {
        const QUERY: &str = "SELECT operation_digest, created_at FROM journal WHERE did = ?1 AND created_at > ?2
                             ORDER BY created_at LIMIT ?3";
        let params = (did.as_str(), since.as_micros(), sql::limit(limit));
        self.point(|conn| sql::all(conn, QUERY, params, |row| Ok((sql::cbor_cid(row, 0)?, sql::time(row, 1)?))))
    }
}

/// Sets one delegation.
pub(super) fn write_row(conn: &Connection, account: AccountId, row: &DelegationRow) -> Result<(), StoreError> {
    let state = match row.state {
        DelegationState::Active => 0_i64,
        DelegationState::Ended => 1,
        DelegationState::Unproven => 2,
    };
    sql::execute(
        conn,
        "INSERT INTO delegations (account, id, key, state, statement) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET key = ?3, state = ?4, statement = ?5",
        (account.0, row.id.as_str(), &row.key, state, row.statement.as_ref().map(Cid::digest)),
    )
    .map(drop)
}

/// Notes the head of the log.
pub(super) fn write_head(conn: &Connection, account: AccountId, head: &Cid) -> Result<(), StoreError> {
    sql::execute(
        conn,
        "INSERT INTO plc_heads (account, digest) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET digest = ?2",
        (account.0, head.digest()),
    )
    .map(drop)
}

fn columns(row: &Row<'_>) -> Result<DelegationRow, StoreError> {
    let has_statement = sql::col::<Option<[u8; 32]>>(row, 3)?.is_some();
    Ok(DelegationRow {
        id: sql::parsed(row, 0)?,
        key: sql::col(row, 1)?,
        state: match sql::col::<i64>(row, 2)? {
            0 => DelegationState::Active,
            1 => DelegationState::Ended,
            2 => DelegationState::Unproven,
            other => return Err(StoreError::Damaged(format!("{other} is not a delegation's state"))),
        },
        statement: if has_statement { Some(sql::cbor_cid(row, 3)?) } else { None },
    })
}
