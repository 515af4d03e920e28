//! Refresh tokens.

use super::{AccountId, AppPassword, Store, StoreError, app_passwords, sql, writer::Work};
use crate::clock::Timestamp;

/// A refresh token to store.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its jti.
    pub id: String,
    /// The account.
    pub account: AccountId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The app password, if opened with one.
    pub app_password: Option<AppPassword>,
    /// When the session was opened with the password (a refresh keeps it).
    pub opened_at: Timestamp,
    /// The account's session epoch when its password was checked.
    pub epoch: i64,
}
/// What a rotation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next token's jti (the same again within the grace period), whose session ends at `expires_at`.
    Next {
        /// The next jti.
        id: String,
        /// When the password was given.
        opened_at: Timestamp,
        /// The app password that it was opened with, if it was.
        app_password: Option<AppPassword>,
    },
    /// The token is unknown, revoked or past its grace.
    Revoked,
}

/// A token as it is stored.
struct Row {
    id: String,
    account: AccountId,
    expires_at: Timestamp,
    app_password: Option<String>,
    opened_at: Timestamp,
}

/// A stored token, as rotation needs it.
struct Session {
    expires_at: i64,
    app_password: Option<String>,
    opened_at: Timestamp,
    next: Option<String>,
}

impl Store {
    /// Stores a session, unless the password or app password that opened it is not good any more: it ended with them.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn open_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.write(move |work| open(work, session)).await
    }

    /// Exchanges `id`: it ends at `grace_end` at the latest, `next` takes its place; repeated within the grace period, the
    /// answer names the same next jti. Expired rows of the account go.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    #[expect(clippy::too_many_arguments, reason = "two tokens and three instants; a struct would only rename them")]
    pub async fn rotate_session(
        &self,
        account: AccountId,
        id: &str,
        next: &str,
        next_expires_at: Timestamp,
        grace_end: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let (id, next) = (id.to_owned(), next.to_owned());
        self.write(move |work| {
            sql::execute(
                work.conn,
                "DELETE FROM sessions WHERE account = ?1 AND expires_at <= ?2",
                (account.0, now.as_micros()),
            )?;
            let Some(session) = find(work, account, &id)? else { return Ok(Rotation::Revoked) };
            let Session { expires_at, app_password: name, opened_at, next: given } = session;
            let app_password = match &name {
                Some(name) => match app_passwords::named(work.conn, account, name)? {
                    Some(found) => Some(found),
                    None => return Ok(Rotation::Revoked),
                },
                None => None,
            };
            if let Some(given) = given {
                // A successor that was closed took the session with it.
                return Ok(match find(work, account, &given)? {
                    Some(_) => Rotation::Next { id: given, opened_at, app_password },
                    None => Rotation::Revoked,
                });
            }
            sql::execute(
                work.conn,
                "UPDATE sessions SET next_id = ?2, expires_at = ?3 WHERE id = ?1",
                (&id, &next, expires_at.min(grace_end.as_micros())),
            )?;
            let row = Row { id: next.clone(), account, expires_at: next_expires_at, app_password: name, opened_at };
            insert(work, &row)?;
            Ok(Rotation::Next { id: next, opened_at, app_password })
        })
        .await
    }

    /// Ends one session (and its successors).
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn close_session(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |work| {
            sql::execute(
                work.conn,
                "WITH RECURSIVE chain (id) AS (
                     SELECT ?1 UNION SELECT next_id FROM sessions JOIN chain USING (id) WHERE next_id IS NOT NULL)
                 DELETE FROM sessions WHERE id IN chain",
                [id],
            )
            .map(drop)
        })
        .await
    }

    /// Ends all sessions of an account.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn close_all_sessions(&self, account: AccountId) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(work.conn, "DELETE FROM sessions WHERE account = ?1", [account.0]).map(drop)
        })
        .await
    }
}

/// Stores a session, unless the password or app password that opened it is not good any more.
pub(super) fn open(work: &Work<'_>, session: NewSession) -> Result<(), StoreError> {
    const CURRENT: &str = "SELECT 1 FROM accounts WHERE id = ?1 AND session_epoch = ?2
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM app_passwords WHERE id = ?3 AND account = ?1))";
    let opened_with = session.app_password.as_ref().map(|opened_with| opened_with.id);
    if !sql::exists(work.conn, CURRENT, (session.account.0, session.epoch, opened_with))? {
        return Ok(());
    }
    let row = Row {
        id: session.id,
        account: session.account,
        expires_at: session.expires_at,
        app_password: session.app_password.map(|opened_with| opened_with.name),
        opened_at: session.opened_at,
    };
    insert(work, &row)
}

fn insert(work: &Work<'_>, session: &Row) -> Result<(), StoreError> {
    sql::execute(
        work.conn,
        "INSERT INTO sessions (id, account, expires_at, app_password, opened_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &session.id,
            session.account.0,
            session.expires_at.as_micros(),
            &session.app_password,
            session.opened_at.as_micros(),
        ),
    )
    .map(drop)
}

fn find(work: &Work<'_>, account: AccountId, id: &str) -> Result<Option<Session>, StoreError> {
    sql::one(
        work.conn,
        "SELECT expires_at, app_password, opened_at, next_id FROM sessions WHERE id = ?1 AND account = ?2",
        (id, account.0),
        |row| {
            Ok(Session {
                expires_at: sql::col(row, 0)?,
                app_password: sql::col(row, 1)?,
                opened_at: sql::time(row, 2)?,
                next: sql::col(row, 3)?,
            })
        },
    )
}
