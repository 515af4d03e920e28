//! Accounts.

use rusqlite::{Connection, Params, Row};

use super::{
    ChangeSet, CommitRefused, JournalId, NewJournalRow, NewSecurityEvent, Store, StoreError,
    commit::{head_columns, prepare, timed},
    journal::insert_row,
    security_events::insert as note,
    sql,
    states::{state_columns, write_state},
    writer::Work,
};
use crate::{
    clock::Timestamp,
    event::UnnumberedFrame,
    repo::Head,
    syntax::{Did, Handle},
};

/// The integer that everything an account owns hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub i64);

/// What state an account is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// Its creation is in the identity journal and not applied yet: nobody sees it, its handle and e-mail are held.
    Pending,
    /// In use.
    Active,
    /// Switched off by its owner, or moved in and not activated yet.
    Deactivated {
        /// When it is to be deleted, if ever.
        delete_after: Option<Timestamp>,
    },
    /// Taken down by the administrator.
    Takendown {
        /// The administrator's reference.
        reference: String,
    },
    /// Suspended by the administrator.
    Suspended,
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its integer id.
    pub id: AccountId,
    /// Its DID.
    pub did: Did,
    /// Its handle, as this server last saw it.
    pub handle: Handle,
    /// Its e-mail address, lower-cased.
    pub email: Option<String>,
    /// When the address was confirmed.
    pub email_confirmed_at: Option<Timestamp>,
    /// The PHC string of its password.
    pub password_hash: String,
    /// Its state.
    pub state: AccountState,
    /// Where its repository stands; none while pending.
    pub head: Option<Head>,
    /// Its repository key, sealed for the purpose `repo-key:<did>`.
    pub sealed_signing_key: Vec<u8>,
    /// The public half, as did:key.
    pub signing_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often all its sessions were ended: access tokens of an earlier count are over.
    pub session_epoch: i64,
}

/// What a new account starts with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its DID.
    pub did: Did,
    /// Its handle.
    pub handle: Handle,
    /// Its e-mail address, lower-cased.
    pub email: Option<String>,
    /// The PHC string of its password.
    pub password_hash: String,
    /// Sealed repository key.
    pub sealed_signing_key: Vec<u8>,
    /// Public half, as did:key.
    pub signing_key: String,
    /// The invite code that it uses up.
    pub invite_code: Option<String>,
    /// Now.
    pub created_at: Timestamp,
}

/// Where the document of an account's did:web is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebDid {
    /// This server serves it.
    Served,
    /// Somewhere else, or it is no did:web.
    Elsewhere,
}

/// Why an account cannot be begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateConflict {
    /// The handle is in use or held.
    #[error("Handle already taken: {0}")]
    HandleTaken(Handle),
    /// The address is in use.
    #[error("Email already taken: {0}")]
    EmailTaken(String),
    /// The DID has an account here.
    #[error("there is already an account with this DID")]
    DidTaken,
    /// The invite code is unknown, disabled or used up.
    #[error("Provided invite code not available")]
    InviteUnavailable,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The start of the queries for accounts, with the columns that [`account_columns`] reads.
macro_rules! select_account {
    () => {
        "SELECT id, did, handle, email, email_confirmed_at, password_hash, state, delete_after, takedown_reference,
         sealed_signing_key, signing_key, created_at, commit_digest, rev, data_digest, session_epoch
         FROM accounts LEFT JOIN repos ON account = id"
    };
}
impl Store {
    /// One transaction: the account row as [`AccountState::Pending`] (handle, address and invite use held) and its
    /// journal row `prepared`.
    ///
    /// # Errors
    /// [`CreateConflict`]: what is in use, or that the invite code is not available.
    pub async fn begin_account(
        &self,
        account: NewAccount,
        journal: NewJournalRow,
    ) -> Result<(AccountId, JournalId), CreateConflict> {
        self.write(move |work| {
            let id = insert_account(work.conn, &account)?;
            if has_open_row(work.conn, &journal.did)? {
                return Err(CreateConflict::DidTaken);
            }
            if let Some(code) = &account.invite_code {
                use_invite(work.conn, code, &account)?;
            }
            let row = insert_row(work.conn, id, &journal)?;
            Ok((id, row))
        })
        .await
    }

    /// Makes an account whose DID stands already: the account in this state, its first commit, and the end of the key that
    /// was reserved for it, in one transaction. `first` and `noted` are for
    /// whatever account it becomes.
    ///
    /// # Errors
    /// [`CreateConflict`]: what is in use, or that the invite code is not available.
    pub async fn create_account(
        &self,
        account: NewAccount,
        (state, web_did): (AccountState, WebDid),
        first: ChangeSet,
        noted: NewSecurityEvent,
    ) -> Result<AccountId, CreateConflict> {
        let inner = &self.inner;
        let mut prepared = prepare(&inner.shared, &inner.points, first)?;
        let (id, prepared) = self
            .write(move |work| {
                let id = insert_account(work.conn, &account)?;
                if has_open_row(work.conn, &account.did)? {
                    return Err(CreateConflict::DidTaken);
                }
                if let Some(code) = &account.invite_code {
                    use_invite(work.conn, code, &account)?;
                }
                write_state(work.conn, id, &state)?;
                if web_did == WebDid::Served {
                    sql::execute(
                        work.conn,
                        "INSERT INTO web_dids (did, made_at) VALUES (?1, ?2)",
                        (account.did.as_str(), account.created_at.as_micros()),
                    )?;
                }
                sql::execute(
                    work.conn,
                    "DELETE FROM reserved_keys WHERE did_key = ?1 OR did = ?2",
                    (&account.signing_key, account.did.as_str()),
                )?;
                note(work.conn, &NewSecurityEvent { account: id, ..noted })?;
                prepared.make_for(id);
                prepared.apply(work).map_err(|refused| match refused {
                    CommitRefused::Store(cause) => cause,
                    other @ (CommitRefused::StaleHead { .. }
                    | CommitRefused::BlobMissing(_)
                    | CommitRefused::Inactive(_)
                    | CommitRefused::OverQuota(_)
                    | CommitRefused::Gone) => StoreError::Damaged(format!("a first commit was refused: {other}")),
                })?;
                Ok((id, prepared))
            })
            .await?;
        prepared.settle(&inner.shared);
        Ok(id)
    }

    /// By DID; pending accounts are not found by this and the next two.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn account_by_did(&self, did: &Did) -> Result<Option<Account>, StoreError> {
        self.point(|conn| account(conn, concat!(select_account!(), " WHERE did = ?1 AND state <> 0"), [did.as_str()]))
    }

    /// By handle.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn account_by_handle(&self, handle: &Handle) -> Result<Option<Account>, StoreError> {
        const QUERY: &str = concat!(select_account!(), " WHERE handle = ?1 AND state <> 0");
        self.point(|conn| account(conn, QUERY, [handle.as_str()]))
    }

    /// The DID of the active account with this handle, from memory where it can.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn did_by_handle(&self, handle: &Handle) -> Result<Option<Did>, StoreError> {
        let handles = &self.inner.shared.handles;
        let forgotten = match handles.get(handle) {
            Ok(did) => return Ok(Some(did)),
            Err(forgotten) => forgotten,
        };
        let account = self.account_by_handle(handle).await?.filter(|account| account.state == AccountState::Active);
        let did = account.map(|account| account.did);
        if let Some(did) = &did {
            handles.learn(handle, did, forgotten);
        }
        Ok(did)
    }

    /// By lower-cased e-mail address.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        self.point(|conn| account(conn, concat!(select_account!(), " WHERE email = ?1 AND state <> 0"), [email]))
    }

    /// By id, pending ones too.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.point(|conn| account(conn, concat!(select_account!(), " WHERE id = ?1"), [id.0]))
    }

    /// Whether a handle is in use or held by a pending account or an open journal row.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn handle_is_held(&self, handle: &Handle) -> Result<bool, StoreError> {
        self.inner.points.snapshot(|conn| handle_is_held(conn, handle, None))
    }

    /// Accounts (not pending) with id > `after`, by id, optionally only those whose DID, handle or e-mail contains `search`.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_accounts(
        &self,
        search: Option<&str>,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        const QUERY: &str = concat!(
            select_account!(),
            " WHERE id > ?1 AND state <> 0 AND (?2 IS NULL OR instr(did, ?2) OR instr(handle, ?2) OR instr(email, ?2))
             ORDER BY id LIMIT ?3"
        );
        let search = search.map(str::to_owned);
        self.page(move |conn| sql::all(conn, QUERY, (after.0, search, sql::limit(limit)), account_columns)).await
    }

    /// How many accounts are not pending.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn count_accounts(&self) -> Result<u64, StoreError> {
        self.page(|conn| {
            let count =
                sql::one(conn, "SELECT count(*) FROM accounts WHERE state <> 0", [], |row| sql::col::<i64>(row, 0))?;
            Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
        })
        .await
    }

    /// Whether this server made a did:web and serves its document, even if its account is gone by now.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn is_served_did(&self, did: &Did) -> Result<bool, StoreError> {
        self.point(|conn| sql::exists(conn, "SELECT 1 FROM web_dids WHERE did = ?1", [did.as_str()]))
    }

    /// A handle without a PLC operation (did:web accounts, or the directory says so already), with its events.
    ///
    /// # Errors
    /// [`CreateConflict::HandleTaken`] when another account has or holds it.
    pub async fn set_handle(
        &self,
        id: AccountId,
        handle: &Handle,
        events: Vec<UnnumberedFrame>,
        noted: Option<NewSecurityEvent>,
    ) -> Result<(), CreateConflict> {
        let handle = handle.clone();
        let events = timed(events)?;
        self.write(move |work| {
            write_handle(work, id, &handle)?;
            noted.as_ref().map_or(Ok(()), |noted| note(work.conn, noted))?;
            Ok(work.announce(&events).map(drop)?)
        })
        .await
    }

    /// Announces events that go with no other change (`#identity` after a foreign PLC operation).
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn announce(&self, _id: AccountId, events: Vec<UnnumberedFrame>) -> Result<(), StoreError> {
        let events = timed(events)?;
        self.write(move |work| work.announce(&events).map(drop)).await
    }
}

/// Whether a handle is in use or held by anyone but `except`.
pub(super) fn handle_is_held(
    conn: &Connection,
    handle: &Handle,
    except: Option<AccountId>,
) -> Result<bool, StoreError> {
    let except = except.map_or(-1, |id| id.0);
    Ok(sql::exists(conn, "SELECT 1 FROM accounts WHERE handle = ?1 AND id <> ?2", (handle.as_str(), except))?
        || sql::exists(
            conn,
            "SELECT 1 FROM journal WHERE held_handle = ?1 AND state IN (0, 1) AND account <> ?2",
            (handle.as_str(), except),
        )?)
}

/// Whether a change of the DID is under way.
pub(super) fn has_open_row(conn: &Connection, did: &Did) -> Result<bool, StoreError> {
    sql::exists(conn, "SELECT 1 FROM journal WHERE did = ?1 AND state IN (0, 1)", [did.as_str()])
}

/// Sets a handle that nobody else has or holds.
pub(super) fn write_handle(work: &Work<'_>, id: AccountId, handle: &Handle) -> Result<(), CreateConflict> {
    if handle_is_held(work.conn, handle, Some(id))? {
        return Err(CreateConflict::HandleTaken(handle.clone()));
    }
    sql::execute(work.conn, "UPDATE accounts SET handle = ?2 WHERE id = ?1", (id.0, handle.as_str()))?;
    Ok(())
}

fn account(conn: &Connection, query: &str, params: impl Params) -> Result<Option<Account>, StoreError> {
    sql::one(conn, query, params, account_columns)
}

fn account_columns(row: &Row<'_>) -> Result<Account, StoreError> {
    let has_head = sql::col::<Option<i64>>(row, 13)?.is_some();
    Ok(Account {
        id: AccountId(sql::col(row, 0)?),
        did: sql::parsed(row, 1)?,
        handle: sql::parsed(row, 2)?,
        email: sql::col(row, 3)?,
        email_confirmed_at: sql::col::<Option<i64>>(row, 4)?.map(Timestamp::from_micros),
        password_hash: sql::col(row, 5)?,
        state: state_columns(row, 6)?,
        head: if has_head { Some(head_columns(row, 12)?) } else { None },
        sealed_signing_key: sql::col(row, 9)?,
        signing_key: sql::col(row, 10)?,
        created_at: sql::time(row, 11)?,
        session_epoch: sql::col(row, 15)?,
    })
}

/// Inserts an account as [`AccountState::Pending`] unless something of it is in use.
pub(super) fn insert_account(conn: &Connection, account: &NewAccount) -> Result<AccountId, CreateConflict> {
    if sql::exists(conn, "SELECT 1 FROM accounts WHERE did = ?1", [account.did.as_str()])? {
        return Err(CreateConflict::DidTaken);
    }
    if handle_is_held(conn, &account.handle, None)? {
        return Err(CreateConflict::HandleTaken(account.handle.clone()));
    }
    if let Some(email) = &account.email
        && sql::exists(conn, "SELECT 1 FROM accounts WHERE email = ?1", [email])?
    {
        return Err(CreateConflict::EmailTaken(email.clone()));
    }
    sql::execute(
        conn,
        "INSERT INTO accounts (did, handle, email, password_hash, state, sealed_signing_key, signing_key, created_at)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
        (
            account.did.as_str(),
            account.handle.as_str(),
            &account.email,
            &account.password_hash,
            &account.sealed_signing_key,
            &account.signing_key,
            account.created_at.as_micros(),
        ),
    )?;
    Ok(AccountId(conn.last_insert_rowid()))
}

fn use_invite(conn: &Connection, code: &str, account: &NewAccount) -> Result<(), CreateConflict> {
    let used = sql::execute(
        conn,
        "INSERT INTO invite_uses (code, did, used_at)
         SELECT code, ?2, ?3 FROM invites WHERE code = ?1 AND disabled = 0
         AND uses > (SELECT count(*) FROM invite_uses WHERE code = ?1)",
        (code, account.did.as_str(), account.created_at.as_micros()),
    )?;
    if used == 1 { Ok(()) } else { Err(CreateConflict::InviteUnavailable) }
}
