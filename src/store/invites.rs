//! Invite codes.

use rusqlite::Connection;

use super::{Store, StoreError, sql};
use crate::{clock::Timestamp, limits::store::INVITE_USES_SHOWN, syntax::Did};

/// An invite code to store.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// The code.
    pub code: String,
    /// How many accounts it opens.
    pub uses: u32,
    /// Whose it is: a DID or `admin`.
    pub for_account: String,
    /// Who made it.
    pub created_by: String,
    /// Now.
    pub created_at: Timestamp,
}
/// A stored invite code.
#[derive(Clone, Debug)]
pub struct InviteCode {
    /// What was stored.
    pub invite: NewInvite,
    /// Whether it was disabled.
    pub disabled: bool,
    /// Who used it, when.
    pub used_by: Vec<(Did, Timestamp)>,
}
impl Store {
    /// Stores codes; one that exists stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn put_invites(&self, invites: Vec<NewInvite>) -> Result<(), StoreError> {
        self.write(move |work| {
            for invite in &invites {
                sql::execute(
                    work.conn,
                    "INSERT INTO invites (code, uses, for_account, created_by, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO NOTHING",
                    (&invite.code, invite.uses, &invite.for_account, &invite.created_by, invite.created_at.as_micros()),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Whether a code can be used now.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invite_is_available(&self, code: &str) -> Result<bool, StoreError> {
        self.point(|conn| {
            sql::exists(
                conn,
                "SELECT 1 FROM invites WHERE code = ?1 AND disabled = 0
                 AND uses > (SELECT count(*) FROM invite_uses WHERE code = ?1)",
                [code],
            )
        })
    }

    /// Whether a code is somebody's: a DID's or `admin`'s.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invite_is_of(&self, code: &str, owner: &str) -> Result<bool, StoreError> {
        self.point(|conn| {
            sql::exists(conn, "SELECT 1 FROM invites WHERE code = ?1 AND for_account = ?2", [code, owner])
        })
    }

    /// Codes, newest first, each with at most 500 of its uses.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_invites(&self, limit: usize) -> Result<Vec<InviteCode>, StoreError> {
        self.page(move |conn| {
            let mut codes = sql::all(
                conn,
                "SELECT code, uses, for_account, created_by, created_at, disabled FROM invites
                 ORDER BY created_at DESC, code LIMIT ?1",
                [sql::limit(limit)],
                |row| {
                    let invite = NewInvite {
                        code: sql::col(row, 0)?,
                        uses: sql::col(row, 1)?,
                        for_account: sql::col(row, 2)?,
                        created_by: sql::col(row, 3)?,
                        created_at: sql::time(row, 4)?,
                    };
                    Ok(InviteCode { invite, disabled: sql::col(row, 5)?, used_by: Vec::new() })
                },
            )?;
            for code in &mut codes {
                code.used_by = used_by(conn, &code.invite.code)?;
            }
            Ok(codes)
        })
        .await
    }
}

pub(super) fn used_by(conn: &Connection, code: &str) -> Result<Vec<(Did, Timestamp)>, StoreError> {
    sql::all(
        conn,
        "SELECT did, used_at FROM invite_uses WHERE code = ?1 ORDER BY used_at, did LIMIT ?2",
        (code, sql::limit(INVITE_USES_SHOWN)),
        |row| Ok((sql::parsed(row, 0)?, sql::time(row, 1)?)),
    )
}
