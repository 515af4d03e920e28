//! One-time codes that were mailed.

use rusqlite::Connection;

use super::{AccountId, NewCode, NewSecurityEvent, Store, StoreError, security_events::insert as note, sql};
use crate::{clock::Timestamp, crypto::token::constant_time_eq, limits::store::CODE_ATTEMPTS};

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// `signPlcOperation`.
    PlcOperation,
    /// Confirm an address.
    ConfirmEmail,
    /// Change an address.
    UpdateEmail,
    /// Reset a password.
    ResetPassword,
    /// Delete an account.
    DeleteAccount,
    /// Change a delegation; the hash is of the code together with the one change that it is for.
    Delegation,
}
/// What came of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeCode {
    /// Right, and used up now.
    Accepted,
    /// Wrong, unknown, or too many attempts.
    Invalid,
    /// Right but too late.
    Expired,
}
impl Store {
    /// Sets the code of a purpose (its SHA-256), replacing one before.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn put_code(&self, code: NewCode, noted: Option<NewSecurityEvent>) -> Result<(), StoreError> {
        self.write(move |work| {
            put(work.conn, &code)?;
            noted.as_ref().map_or(Ok(()), |noted| note(work.conn, noted))
        })
        .await
    }

    /// Tries a code: single use, attempts counted and bounded.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn take_code(
        &self,
        account: AccountId,
        purpose: CodePurpose,
        hash: [u8; 32],
        now: Timestamp,
        noted: Option<NewSecurityEvent>,
    ) -> Result<TakeCode, StoreError> {
        self.write(move |work| {
            let taken = try_code(work.conn, account, purpose, &hash, now)?;
            if taken != TakeCode::Invalid {
                remove(work.conn, account, purpose)?;
            }
            if taken == TakeCode::Accepted
                && let Some(noted) = &noted
            {
                note(work.conn, noted)?;
            }
            Ok(taken)
        })
        .await
    }

    /// Tries a code without using it up: a wrong one counts as an attempt.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn check_code(
        &self,
        account: AccountId,
        purpose: CodePurpose,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<TakeCode, StoreError> {
        self.write(move |work| try_code(work.conn, account, purpose, &hash, now)).await
    }
}

/// A code that is stored.
pub(super) struct Found {
    pub(super) account: AccountId,
    expires_at: Timestamp,
    attempts: i64,
}

impl Found {
    /// What comes of the right code now.
    pub(super) fn judge(&self, now: Timestamp) -> TakeCode {
        if self.attempts >= CODE_ATTEMPTS {
            TakeCode::Invalid
        } else if self.expires_at <= now {
            TakeCode::Expired
        } else {
            TakeCode::Accepted
        }
    }
}

/// Sets the code of a purpose, replacing one before.
pub(super) fn put(conn: &Connection, code: &NewCode) -> Result<(), StoreError> {
    sql::execute(
        conn,
        "INSERT INTO codes (account, purpose, hash, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET hash = ?3, expires_at = ?4, attempts = 0",
        (code.account.0, code.purpose.number(), code.hash, code.expires_at.as_micros()),
    )
    .map(drop)
}

/// The code with this hash, whosever it is: for purposes whose code comes without its account.
pub(super) fn find(conn: &Connection, purpose: CodePurpose, hash: &[u8; 32]) -> Result<Option<Found>, StoreError> {
    sql::one(
        conn,
        "SELECT account, expires_at, attempts FROM codes WHERE purpose = ?1 AND hash = ?2",
        (purpose.number(), hash),
        |row| {
            let account = AccountId(sql::col(row, 0)?);
            Ok(Found { account, expires_at: sql::time(row, 1)?, attempts: sql::col(row, 2)? })
        },
    )
}

/// Tries a code without using it up: a wrong one counts as an attempt.
pub(super) fn try_code(
    conn: &Connection,
    account: AccountId,
    purpose: CodePurpose,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<TakeCode, StoreError> {
    let key = (account.0, purpose.number());
    let stored = sql::one(
        conn,
        "SELECT hash, expires_at, attempts FROM codes WHERE account = ?1 AND purpose = ?2",
        key,
        |row| {
            let found = Found { account, expires_at: sql::time(row, 1)?, attempts: sql::col(row, 2)? };
            Ok((sql::col::<[u8; 32]>(row, 0)?, found))
        },
    )?;
    let Some((stored, found)) = stored else { return Ok(TakeCode::Invalid) };
    if constant_time_eq(&stored, hash) {
        return Ok(found.judge(now));
    }
    sql::execute(conn, "UPDATE codes SET attempts = attempts + 1 WHERE account = ?1 AND purpose = ?2", key)?;
    Ok(TakeCode::Invalid)
}

/// Removes the code of a purpose.
pub(super) fn remove(conn: &Connection, account: AccountId, purpose: CodePurpose) -> Result<(), StoreError> {
    sql::execute(conn, "DELETE FROM codes WHERE account = ?1 AND purpose = ?2", (account.0, purpose.number())).map(drop)
}

impl CodePurpose {
    /// Its number in the database.
    const fn number(self) -> i64 {
        match self {
            Self::PlcOperation => 0,
            Self::ConfirmEmail => 1,
            Self::UpdateEmail => 2,
            Self::ResetPassword => 3,
            Self::DeleteAccount => 4,
            Self::Delegation => 5,
        }
    }
}
