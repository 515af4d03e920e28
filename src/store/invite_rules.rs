//! What owners and the administrator see and decide of invite codes; who signed up from where lately.

use rusqlite::{Connection, Row};

use super::{
    AccountId, InviteCode, NewInvite, NewSecurityEvent, Store, StoreError, invites::used_by,
    security_events::insert as note, sql,
};
use crate::{clock::Timestamp, limits::community::INVITES_SHOWN, syntax::Did};

/// Whether an account gets codes of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InviteRights {
    /// It gets none.
    pub is_disabled: bool,
    /// What the administrator noted of that.
    pub note: Option<String>,
}

/// In which order codes are listed; both go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteOrder {
    /// By when they were made.
    Recent,
    /// By how often they were used.
    Usage,
}

/// A place in a listing: time in microseconds or number of uses, and the code.
pub type InvitePlace = (i64, String);

/// The columns that [`columns`] reads.
const COLUMNS: &str = "code, uses, for_account, created_by, created_at, disabled";

impl Store {
    /// The codes of an account (a DID, or `admin`), newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invites_of(&self, account: &str) -> Result<Vec<InviteCode>, StoreError> {
        let account = account.to_owned();
        self.page(move |conn| {
            let query = format!(
                "SELECT {COLUMNS} FROM invites WHERE for_account = ?1 ORDER BY created_at DESC, code DESC LIMIT ?2"
            );
            let codes = sql::all(conn, &query, (account, sql::limit(INVITES_SHOWN)), columns)?;
            codes.into_iter().map(|code| with_uses(conn, code)).collect()
        })
        .await
    }

    /// The code that an account was made with.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invite_used_by(&self, did: &Did) -> Result<Option<InviteCode>, StoreError> {
        let did = did.as_str().to_owned();
        self.page(move |conn| {
            let query = format!(
                "SELECT {COLUMNS} FROM invites WHERE code = (SELECT code FROM invite_uses WHERE did = ?1 LIMIT 1)"
            );
            sql::one(conn, &query, [did], columns)?.map(|code| with_uses(conn, code)).transpose()
        })
        .await
    }

    /// A page of all codes behind a place, each with its own place.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invites_page(
        &self,
        order: InviteOrder,
        after: Option<InvitePlace>,
        limit: usize,
    ) -> Result<Vec<(InvitePlace, InviteCode)>, StoreError> {
        let key = match order {
            InviteOrder::Recent => "created_at",
            InviteOrder::Usage => "(SELECT count(*) FROM invite_uses WHERE invite_uses.code = invites.code)",
        };
        self.page(move |conn| {
            let query = format!(
                "SELECT {COLUMNS}, {key} AS place FROM invites WHERE (place, code) < (?1, ?2)
                 ORDER BY place DESC, code DESC LIMIT ?3"
            );
            // Behind every code: letters of ASCII are smaller than this one.
            let (number, code) = after.unwrap_or_else(|| (i64::MAX, "\u{10ffff}".to_owned()));
            let codes = sql::all(conn, &query, (number, code, sql::limit(limit)), |row| {
                Ok((sql::col::<i64>(row, 6)?, columns(row)?))
            })?;
            let place =
                |(number, code): (i64, InviteCode)| Ok(((number, code.invite.code.clone()), with_uses(conn, code)?));
            codes.into_iter().map(place).collect()
        })
        .await
    }

    /// Disables codes: these, and all that these accounts have now. What is unknown is passed over.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn disable_invites(&self, codes: Vec<String>, accounts: Vec<String>) -> Result<usize, StoreError> {
        self.write(move |work| {
            let mut disabled = 0;
            for code in &codes {
                disabled += sql::execute(work.conn, "UPDATE invites SET disabled = 1 WHERE code = ?1", [code])?;
            }
            for account in &accounts {
                let statement = "UPDATE invites SET disabled = 1 WHERE for_account = ?1";
                disabled += sql::execute(work.conn, statement, [account])?;
            }
            Ok(disabled)
        })
        .await
    }

    /// Sets whether an account gets codes of its own.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_invite_rights(
        &self,
        id: AccountId,
        rights: InviteRights,
        noted: Option<NewSecurityEvent>,
    ) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE accounts SET invites_disabled = ?2, invite_note = ?3 WHERE id = ?1",
                (id.0, rights.is_disabled, &rights.note),
            )?;
            noted.as_ref().map_or(Ok(()), |noted| note(work.conn, noted))
        })
        .await
    }

    /// Whether an account gets codes of its own.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn invite_rights(&self, id: AccountId) -> Result<InviteRights, StoreError> {
        let read = |row: &Row<'_>| Ok(InviteRights { is_disabled: sql::col(row, 0)?, note: sql::col(row, 1)? });
        let found = self.point(|conn| {
            sql::one(conn, "SELECT invites_disabled, invite_note FROM accounts WHERE id = ?1", [id.0], read)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Takes a place for one more sign-up from `origin`, if fewer than `most` came from there since `since`; none if not.
    /// Places older than that are forgotten.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn take_sign_up(
        &self,
        origin: String,
        most: u32,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "DELETE FROM sign_ups WHERE id IN (SELECT id FROM sign_ups WHERE created_at <= ?1 LIMIT 100)",
                [since.as_micros()],
            )?;
            let taken = sql::execute(
                work.conn,
                "INSERT INTO sign_ups (origin, created_at) SELECT ?1, ?4
                 WHERE (SELECT count(*) FROM sign_ups WHERE origin = ?1 AND created_at > ?3) < ?2",
                (origin, most, since.as_micros(), now.as_micros()),
            )?;
            Ok((taken == 1).then(|| work.conn.last_insert_rowid()))
        })
        .await
    }

    /// Gives a place back: no account came of it.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn give_sign_up_back(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |work| sql::execute(work.conn, "DELETE FROM sign_ups WHERE id = ?1", [id]).map(drop)).await
    }

    /// Reserves a handle: no account gets it unless the administrator says so.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reserve_handle(&self, handle: &str, now: Timestamp) -> Result<(), StoreError> {
        let handle = handle.to_owned();
        self.write(move |work| {
            sql::execute(
                work.conn,
                "INSERT INTO reserved_handles (handle, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (handle, now.as_micros()),
            )
            .map(drop)
        })
        .await
    }

    /// Whether the administrator reserved a handle.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn handle_is_reserved(&self, handle: &str) -> Result<bool, StoreError> {
        self.point(|conn| sql::exists(conn, "SELECT 1 FROM reserved_handles WHERE handle = ?1", [handle]))
    }
}

fn columns(row: &Row<'_>) -> Result<InviteCode, StoreError> {
    let invite = NewInvite {
        code: sql::col(row, 0)?,
        uses: sql::col(row, 1)?,
        for_account: sql::col(row, 2)?,
        created_by: sql::col(row, 3)?,
        created_at: sql::time(row, 4)?,
    };
    Ok(InviteCode { invite, disabled: sql::col(row, 5)?, used_by: Vec::new() })
}

fn with_uses(conn: &Connection, mut code: InviteCode) -> Result<InviteCode, StoreError> {
    code.used_by = used_by(conn, &code.invite.code)?;
    Ok(code)
}
