//! `account.sqlite`: accounts, their passwords, sessions and invite codes.

use rusqlite::Row;

use super::foreign::{Foreign, Unreadable};
use crate::clock::Timestamp;

/// An account as the reference has it.
#[derive(Clone, Debug)]
pub(super) struct ForeignAccount {
    pub(super) did: String,
    pub(super) handle: Option<String>,
    pub(super) email: Option<String>,
    pub(super) email_confirmed_at: Option<String>,
    /// `salt:hash`, both in hex, by scrypt.
    pub(super) password: Option<String>,
    pub(super) created_at: String,
    pub(super) takedown_reference: Option<String>,
    pub(super) deactivated_at: Option<String>,
    pub(super) delete_after: Option<String>,
    /// Whether it may make no invite codes.
    pub(super) invites_disabled: bool,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct ForeignSession {
    pub(super) id: String,
    pub(super) expires_at: String,
    pub(super) app_password: Option<String>,
}

/// An app password.
#[derive(Clone, Debug)]
pub(super) struct ForeignAppPassword {
    pub(super) name: String,
    /// `salt:hash`, both in hex, by scrypt; the salt comes from the DID.
    pub(super) hash: String,
    pub(super) privileged: bool,
    pub(super) created_at: String,
}

/// An invite code.
#[derive(Clone, Debug)]
pub(super) struct ForeignInvite {
    pub(super) code: String,
    pub(super) uses: i64,
    pub(super) disabled: bool,
    pub(super) for_account: String,
    pub(super) created_by: String,
    pub(super) created_at: String,
    /// Who used it, when.
    pub(super) used_by: Vec<(String, String)>,
}

/// Whether the schema has everything that is read here: servers that were not updated since early 2024 lack some.
pub(super) fn is_recent(db: &Foreign) -> Result<bool, Unreadable> {
    Ok(db.has("actor", "deleteAfter")? && db.has("app_password", "privileged")?)
}

/// All accounts, the oldest first.
pub(super) fn accounts(db: &Foreign) -> Result<Vec<ForeignAccount>, Unreadable> {
    db.all(
        "SELECT actor.did, handle, email, emailConfirmedAt, passwordScrypt, createdAt, takedownRef, deactivatedAt,
             deleteAfter, invitesDisabled
         FROM actor LEFT JOIN account ON account.did = actor.did ORDER BY createdAt, actor.did",
        [],
        |row| {
            Ok(ForeignAccount {
                did: row.get(0)?,
                handle: row.get(1)?,
                email: row.get(2)?,
                email_confirmed_at: row.get(3)?,
                password: row.get(4)?,
                created_at: row.get(5)?,
                takedown_reference: row.get(6)?,
                deactivated_at: row.get(7)?,
                delete_after: row.get(8)?,
                invites_disabled: row.get::<_, Option<i64>>(9)?.unwrap_or(0) != 0,
            })
        },
    )
}

/// Sessions that can go on: tokens that were not exchanged for others.
pub(super) fn sessions(db: &Foreign, did: &str) -> Result<Vec<ForeignSession>, Unreadable> {
    db.all("SELECT id, expiresAt, appPasswordName FROM refresh_token WHERE did = ?1 AND nextId IS NULL", [did], |row| {
        Ok(ForeignSession { id: row.get(0)?, expires_at: row.get(1)?, app_password: row.get(2)? })
    })
}

/// The app passwords of an account, the oldest first.
pub(super) fn app_passwords(db: &Foreign, did: &str) -> Result<Vec<ForeignAppPassword>, Unreadable> {
    const QUERY: &str = "SELECT name, passwordScrypt, privileged, createdAt FROM app_password WHERE did = ?1
                         ORDER BY createdAt, name";
    db.all(QUERY, [did], |row| {
        Ok(ForeignAppPassword {
            name: row.get(0)?,
            hash: row.get(1)?,
            privileged: row.get::<_, Option<i64>>(2)?.unwrap_or(0) != 0,
            created_at: row.get(3)?,
        })
    })
}

/// All invite codes.
pub(super) fn invites(db: &Foreign) -> Result<Vec<ForeignInvite>, Unreadable> {
    let mut invites = db.all(
        "SELECT code, availableUses, disabled, forAccount, createdBy, createdAt FROM invite_code ORDER BY createdAt, code",
        [],
        |row| {
            Ok(ForeignInvite {
                code: row.get(0)?,
                uses: row.get(1)?,
                disabled: row.get::<_, Option<i64>>(2)?.unwrap_or(0) != 0,
                for_account: row.get(3)?,
                created_by: row.get(4)?,
                created_at: row.get(5)?,
                used_by: Vec::new(),
            })
        },
    )?;
    for invite in &mut invites {
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let query = "SELECT usedBy, usedAt FROM invite_code_use WHERE code = ?1 ORDER BY usedAt";
        invite.used_by = db.all(query, [&invite.code], read)?;
    }
    Ok(invites)
}

/// How many apps signed in by OAuth.
pub(super) fn oauth_clients(db: &Foreign) -> Result<usize, Unreadable> {
    count(db, "token", "did")
}

/// How many browsers remember an account.
pub(super) fn devices(db: &Foreign) -> Result<usize, Unreadable> {
    count(db, "account_device", "did")
}

/// How many codes were mailed and not used yet.
pub(super) fn mailed_codes(db: &Foreign) -> Result<usize, Unreadable> {
    count(db, "email_token", "did")
}

/// How many rows a table has, which must have this column; older versions lack some tables.
fn count(db: &Foreign, table: &str, column: &str) -> Result<usize, Unreadable> {
    if !db.has(table, column)? {
        return Ok(0);
    }
    let count: Option<i64> = db.one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
}

/// A time as the reference writes it.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}
