//! App passwords.

use rusqlite::Connection;

use super::{AccountId, NewSecurityEvent, Store, StoreError, security_events::insert as note, sql};
use crate::clock::Timestamp;

/// An app password as a session knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// Its number, which no other will have.
    pub id: i64,
    /// Its name, one of the account's.
    pub name: String,
    /// Whether it opens private messages.
    pub privileged: bool,
}

/// An app password as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAppPassword {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it opens private messages.
    pub privileged: bool,
}

/// An app password to store.
#[derive(Clone, Debug)]
pub struct NewAppPassword {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// What is stored of it.
    pub hash: String,
    /// Whether it opens private messages.
    pub privileged: bool,
    /// Now.
    pub created_at: Timestamp,
}

/// What came of storing an app password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutAppPassword {
    /// It is there.
    Stored,
    /// The account has one of that name.
    NameTaken,
    /// The account has as many as it may have.
    TooMany,
}

impl Store {
    /// Stores an app password unless its name is taken or the account has `most` already.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn put_app_password(
        &self,
        new: NewAppPassword,
        most: usize,
        noted: Option<NewSecurityEvent>,
    ) -> Result<PutAppPassword, StoreError> {
        self.write(move |work| {
            let count =
                sql::one(work.conn, "SELECT count(*) FROM app_passwords WHERE account = ?1", [new.account.0], |row| {
                    sql::col::<i64>(row, 0)
                })?;
            if named(work.conn, new.account, &new.name)?.is_some() {
                return Ok(PutAppPassword::NameTaken);
            }
            if count.unwrap_or(0) >= sql::limit(most) {
                return Ok(PutAppPassword::TooMany);
            }
            sql::execute(
                work.conn,
                "INSERT INTO app_passwords (account, name, hash, privileged, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                (new.account.0, &new.name, &new.hash, new.privileged, new.created_at.as_micros()),
            )?;
            noted.as_ref().map_or(Ok(()), |noted| note(work.conn, noted))?;
            Ok(PutAppPassword::Stored)
        })
        .await
    }

    /// The app passwords of an account, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn app_passwords(&self, account: AccountId) -> Result<Vec<ListedAppPassword>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT name, created_at, privileged FROM app_passwords WHERE account = ?1
                 ORDER BY created_at DESC, id DESC",
                [account.0],
                |row| {
                    Ok(ListedAppPassword {
                        name: sql::col(row, 0)?,
                        created_at: sql::time(row, 1)?,
                        privileged: sql::col(row, 2)?,
                    })
                },
            )
        })
    }

    /// The app password of an account with this hash.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn app_password_by_hash(
        &self,
        account: AccountId,
        hash: &str,
    ) -> Result<Option<AppPassword>, StoreError> {
        self.point(|conn| {
            sql::one(
                conn,
                "SELECT id, name, privileged FROM app_passwords WHERE account = ?1 AND hash = ?2",
                (account.0, hash),
                |row| Ok(AppPassword { id: sql::col(row, 0)?, name: sql::col(row, 1)?, privileged: sql::col(row, 2)? }),
            )
        })
    }

    /// The app password of an account with this name.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn app_password_named(&self, account: AccountId, name: &str) -> Result<Option<AppPassword>, StoreError> {
        self.point(|conn| named(conn, account, name))
    }

    /// Whether a session's app password is still there.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn has_app_password(&self, account: AccountId, id: i64) -> Result<bool, StoreError> {
        self.point(|conn| {
            sql::exists(conn, "SELECT 1 FROM app_passwords WHERE id = ?2 AND account = ?1", (account.0, id))
        })
    }

    /// One hash of the account that came from the reference, if there is any: all of them have one salt.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn foreign_app_password_hash(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        self.point(|conn| {
            sql::one(
                conn,
                "SELECT hash FROM app_passwords WHERE account = ?1 AND hash LIKE '%:%' LIMIT 1",
                [account.0],
                |row| sql::col(row, 0),
            )
        })
    }

    /// Replaces what is stored of an app password.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn replace_app_password_hash(&self, id: i64, hash: String) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(work.conn, "UPDATE app_passwords SET hash = ?2 WHERE id = ?1", (id, hash)).map(drop)
        })
        .await
    }

    /// Removes an app password and ends its sessions; nothing happens if there is none of that name.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn revoke_app_password(
        &self,
        account: AccountId,
        name: &str,
        noted: NewSecurityEvent,
    ) -> Result<(), StoreError> {
        const PASSWORD: &str = "DELETE FROM app_passwords WHERE account = ?1 AND name = ?2";
        const SESSIONS: &str = "DELETE FROM sessions WHERE account = ?1 AND app_password = ?2";
        let name = name.to_owned();
        self.write(move |work| {
            if sql::execute(work.conn, PASSWORD, (account.0, &name))? > 0 {
                note(work.conn, &noted)?;
            }
            sql::execute(work.conn, SESSIONS, (account.0, &name)).map(drop)
        })
        .await
    }
}

/// The app password of that name.
pub(super) fn named(conn: &Connection, account: AccountId, name: &str) -> Result<Option<AppPassword>, StoreError> {
    sql::one(
        conn,
        "SELECT id, privileged FROM app_passwords WHERE account = ?1 AND name = ?2",
        (account.0, name),
        |row| Ok(AppPassword { id: sql::col(row, 0)?, name: name.to_owned(), privileged: sql::col(row, 1)? }),
    )
}
