//! One-time codes that were mailed.

use super::{AccountId, Store, StoreError, sql};
use crate::{clock::Timestamp, limits::store::CODE_ATTEMPTS};

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
    pub async fn put_code(
        &self,
        account: AccountId,
        purpose: CodePurpose,
        hash: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "INSERT INTO codes (account, purpose, hash, expires_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET hash = ?3, expires_at = ?4, attempts = 0",
                (account.0, purpose.number(), hash, expires_at.as_micros()),
            )
            .map(drop)
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
    ) -> Result<TakeCode, StoreError> {
        self.try_code(account, purpose, hash, now, true).await
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
        self.try_code(account, purpose, hash, now, false).await
    }

    async fn try_code(
        &self,
        account: AccountId,
        purpose: CodePurpose,
        hash: [u8; 32],
        now: Timestamp,
        use_up: bool,
    ) -> Result<TakeCode, StoreError> {
        self.write(move |work| {
            let key = (account.0, purpose.number());
            let stored = sql::one(
                work.conn,
                "SELECT hash, expires_at, attempts FROM codes WHERE account = ?1 AND purpose = ?2",
                key,
                |row| Ok((sql::col::<[u8; 32]>(row, 0)?, sql::time(row, 1)?, sql::col::<i64>(row, 2)?)),
            )?;
            let Some((stored, expires_at, attempts)) = stored else { return Ok(TakeCode::Invalid) };
            if attempts >= CODE_ATTEMPTS {
                return Ok(TakeCode::Invalid);
            }
            if stored != hash {
                sql::execute(
                    work.conn,
                    "UPDATE codes SET attempts = attempts + 1 WHERE account = ?1 AND purpose = ?2",
                    key,
                )?;
                return Ok(TakeCode::Invalid);
            }
            if use_up {
                sql::execute(work.conn, "DELETE FROM codes WHERE account = ?1 AND purpose = ?2", key)?;
            }
            Ok(if expires_at <= now { TakeCode::Expired } else { TakeCode::Accepted })
        })
        .await
    }
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
