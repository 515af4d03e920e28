//! Passwords and addresses: what changes together with the code that permits it, in one transaction.

use rusqlite::Connection;

use super::{
    AccountId, CodePurpose, NewSecurityEvent, Store, StoreError, TakeCode, codes, security_events::insert as note, sql,
};
use crate::clock::Timestamp;

/// What came of a change that a code permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeChange {
    /// It is done, and the code used up.
    Done(AccountId),
    /// The code is wrong, unknown, or had too many attempts.
    Invalid,
    /// The code is right but too late.
    Expired,
    /// The address is not the account's.
    WrongAddress,
    /// The address is another account's.
    AddressTaken,
    /// The account's address is confirmed, so that a code is needed.
    CodeNeeded,
}

impl Store {
    /// Replaces the password hash, ends all sessions of the account and the codes that would reset the password.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_password(&self, id: AccountId, hash: String, noted: NewSecurityEvent) -> Result<(), StoreError> {
        self.write(move |work| set_password(work.conn, id, &hash, &noted)).await
    }

    /// The same with a hash that no password has, and ends all app passwords.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn revoke_credentials(&self, id: AccountId, noted: NewSecurityEvent) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(work.conn, "DELETE FROM app_passwords WHERE account = ?1", [id.0])?;
            set_password(work.conn, id, "", &noted)
        })
        .await
    }

    /// Replaces the password hash as [`Store::set_password`] does, permitted by a code: of two at once, one is refused.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reset_password(
        &self,
        code: [u8; 32],
        hash: String,
        now: Timestamp,
        noted: NewSecurityEvent,
    ) -> Result<CodeChange, StoreError> {
        self.write(move |work| {
            let found = codes::find(work.conn, CodePurpose::ResetPassword, &code)?;
            let Some((account, taken)) = found.map(|found| (found.account, found.judge(now))) else {
                return Ok(CodeChange::Invalid);
            };
            if let Some(refused) = refusal(taken) {
                return Ok(refused);
            }
            set_password(work.conn, account, &hash, &noted)?;
            Ok(CodeChange::Done(account))
        })
        .await
    }

    /// What would come of [`Store::reset_password`], without any change.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn check_reset(&self, code: [u8; 32], now: Timestamp) -> Result<CodeChange, StoreError> {
        self.point(|conn| {
            Ok(match codes::find(conn, CodePurpose::ResetPassword, &code)? {
                Some(found) => refusal(found.judge(now)).unwrap_or(CodeChange::Done(found.account)),
                None => CodeChange::Invalid,
            })
        })
    }

    /// Replaces the hash of a password by another of the same password: sessions stay. Nothing happens if the password
    /// was changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn rehash_password(&self, id: AccountId, old: String, new: String) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
                (id.0, old, new),
            )
            .map(drop)
        })
        .await
    }

    /// Confirms the address, if it is the account's, with the code that was mailed there.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn confirm_email(
        &self,
        id: AccountId,
        email: &str,
        code: [u8; 32],
        now: Timestamp,
        noted: NewSecurityEvent,
    ) -> Result<CodeChange, StoreError> {
        let email = email.to_owned();
        self.write(move |work| {
            if !sql::exists(work.conn, "SELECT 1 FROM accounts WHERE id = ?1 AND email = ?2", (id.0, &email))? {
                return Ok(CodeChange::WrongAddress);
            }
            if let Some(refused) = refusal(codes::try_code(work.conn, id, CodePurpose::ConfirmEmail, &code, now)?) {
                return Ok(refused);
            }
            codes::remove(work.conn, id, CodePurpose::ConfirmEmail)?;
            sql::execute(
                work.conn,
                "UPDATE accounts SET email_confirmed_at = ?2 WHERE id = ?1",
                (id.0, now.as_micros()),
            )?;
            note(work.conn, &noted)?;
            Ok(CodeChange::Done(id))
        })
        .await
    }

    /// Replaces the address: with a code if the one before is confirmed. The new one is not confirmed, and codes that were
    /// mailed to the old one are over.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn change_email(
        &self,
        id: AccountId,
        email: &str,
        code: Option<[u8; 32]>,
        now: Timestamp,
        noted: NewSecurityEvent,
    ) -> Result<CodeChange, StoreError> {
        let email = email.to_owned();
        self.write(move |work| {
            let is_confirmed = sql::exists(
                work.conn,
                "SELECT 1 FROM accounts WHERE id = ?1 AND email_confirmed_at IS NOT NULL",
                [id.0],
            )?;
            let refused = match code {
                Some(code) => refusal(codes::try_code(work.conn, id, CodePurpose::UpdateEmail, &code, now)?),
                None => is_confirmed.then_some(CodeChange::CodeNeeded),
            };
            if let Some(refused) = refused {
                return Ok(refused);
            }
            set_email(work.conn, id, &email, &noted)
        })
        .await
    }

    /// Replaces the address, as the administrator.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_email(
        &self,
        id: AccountId,
        email: &str,
        noted: NewSecurityEvent,
    ) -> Result<CodeChange, StoreError> {
        let email = email.to_owned();
        self.write(move |work| set_email(work.conn, id, &email, &noted)).await
    }
}

/// What a code that does not permit the change comes to.
const fn refusal(taken: TakeCode) -> Option<CodeChange> {
    match taken {
        TakeCode::Accepted => None,
        TakeCode::Invalid => Some(CodeChange::Invalid),
        TakeCode::Expired => Some(CodeChange::Expired),
    }
}

fn set_password(conn: &Connection, id: AccountId, hash: &str, noted: &NewSecurityEvent) -> Result<(), StoreError> {
    sql::execute(
        conn,
        "UPDATE accounts SET password_hash = ?2, session_epoch = session_epoch + 1 WHERE id = ?1",
        (id.0, hash),
    )?;
    sql::execute(conn, "DELETE FROM sessions WHERE account = ?1", [id.0])?;
    note(conn, noted)?;
    codes::remove(conn, id, CodePurpose::ResetPassword)
}

fn set_email(
    conn: &Connection,
    id: AccountId,
    email: &str,
    noted: &NewSecurityEvent,
) -> Result<CodeChange, StoreError> {
    if sql::exists(conn, "SELECT 1 FROM accounts WHERE email = ?1 AND id <> ?2", (email, id.0))? {
        return Ok(CodeChange::AddressTaken);
    }
    sql::execute(conn, "UPDATE accounts SET email = ?2, email_confirmed_at = NULL WHERE id = ?1", (id.0, email))?;
    sql::execute(conn, "DELETE FROM codes WHERE account = ?1", [id.0])?;
    note(conn, noted)?;
    Ok(CodeChange::Done(id))
}
