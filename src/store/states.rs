//! Changes of an account's state, each with the events that announce it.

use rusqlite::Connection;

use super::{
    AccountId, AccountState, NewSecurityEvent, Store, StoreError,
    accounts::{set_state, state_columns},
    commit::timed,
    security_events::insert as note,
    sql,
};
use crate::{clock::Timestamp, event::UnnumberedFrame};

/// The part of an account's state that its owner decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnState {
    /// In use.
    Active,
    /// Switched off.
    Deactivated {
        /// When it is to be deleted, if ever.
        delete_after: Option<Timestamp>,
    },
}

impl Store {
    /// Sets the owner's own state and announces it in one transaction; a takedown or suspension stays on top of it.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_own_state(
        &self,
        id: AccountId,
        own: OwnState,
        events: Vec<UnnumberedFrame>,
        noted: NewSecurityEvent,
    ) -> Result<(), StoreError> {
        let events = timed(events)?;
        let (number, delete_after) = match own {
            OwnState::Active => (1, None),
            OwnState::Deactivated { delete_after } => (2, delete_after.map(Timestamp::as_micros)),
        };
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE accounts SET beneath = ?2, delete_after = ?3, state = CASE WHEN state IN (1, 2) THEN ?2 ELSE state END
                 WHERE id = ?1 AND state <> 0",
                (id.0, number, delete_after),
            )?;
            note(work.conn, &noted)?;
            work.announce(&events).map(drop)
        })
        .await
    }

    /// The owner's own state, whatever lies on top of it; none for an account that is not here.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn own_state(&self, id: AccountId) -> Result<Option<OwnState>, StoreError> {
        self.point(|conn| {
            sql::one(conn, "SELECT beneath, delete_after FROM accounts WHERE id = ?1 AND state <> 0", [id.0], |row| {
                Ok(match sql::col::<i64>(row, 0)? {
                    2 => {
                        let delete_after = sql::col::<Option<i64>>(row, 1)?.map(Timestamp::from_micros);
                        OwnState::Deactivated { delete_after }
                    }
                    _ => OwnState::Active,
                })
            })
        })
    }

    /// Takes an account down, suspends it or lifts that: its sessions end, and the change is announced and noted, in the same
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn moderate_account(
        &self,
        id: AccountId,
        state: AccountState,
        events: Vec<UnnumberedFrame>,
        noted: NewSecurityEvent,
    ) -> Result<(), StoreError> {
        let events = timed(events)?;
        self.write(move |work| {
            set_state(work, id, &state)?;
            sql::execute(work.conn, "DELETE FROM sessions WHERE account = ?1", [id.0])?;
            note(work.conn, &noted)?;
            work.announce(&events).map(drop)
        })
        .await
    }

    /// Ends every session and app password of an account and makes its password one that nothing matches.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn revoke_credentials(&self, id: AccountId, noted: NewSecurityEvent) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE accounts SET password_hash = '', session_epoch = session_epoch + 1 WHERE id = ?1",
                [id.0],
            )?;
            sql::execute(work.conn, "DELETE FROM app_passwords WHERE account = ?1", [id.0])?;
            note(work.conn, &noted)?;
            sql::execute(work.conn, "DELETE FROM sessions WHERE account = ?1", [id.0]).map(drop)
        })
        .await
    }
}

/// An account's state, pending ones too.
pub(super) fn state_of(conn: &Connection, id: AccountId) -> Result<Option<AccountState>, StoreError> {
    sql::one(conn, "SELECT state, delete_after, takedown_reference FROM accounts WHERE id = ?1", [id.0], |row| {
        state_columns(row, 0)
    })
}
