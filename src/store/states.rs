//! Changes of an account's state, each with the events that announce it.

use rusqlite::{Connection, Row};

use super::{
    AccountId, AccountState, NewSecurityEvent, Store, StoreError, commit::timed, hidden::Hiding,
    security_events::insert as note, sql, writer::Work,
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

    /// Changes state and announces it in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        events: Vec<UnnumberedFrame>,
    ) -> Result<(), StoreError> {
        let events = timed(events)?;
        self.write(move |work| {
            set_state(work, id, &state)?;
            work.announce(&events).map(drop)
        })
        .await
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
}

/// An account's state, pending ones too.
pub(super) fn state_of(conn: &Connection, id: AccountId) -> Result<Option<AccountState>, StoreError> {
    sql::one(conn, "SELECT state, delete_after, takedown_reference FROM accounts WHERE id = ?1", [id.0], |row| {
        state_columns(row, 0)
    })
}

/// Sets the state of an account that is there, and with it whether its events are passed on.
fn set_state(work: &mut Work<'_>, id: AccountId, state: &AccountState) -> Result<(), StoreError> {
    write_state(work.conn, id, state)?;
    let did = sql::one(work.conn, "SELECT did FROM accounts WHERE id = ?1", [id.0], |row| sql::col(row, 0))?;
    if let Some(did) = did {
        work.hide(Hiding::State(did, state.clone()));
    }
    Ok(())
}

/// Sets a state. A takedown or suspension keeps the owner's own state, and when the account is to be deleted.
pub(super) fn write_state(conn: &Connection, id: AccountId, state: &AccountState) -> Result<(), StoreError> {
    let (number, delete_after, reference) = match state {
        AccountState::Pending => (0, None, None),
        AccountState::Active => (1, None, None),
        AccountState::Deactivated { delete_after } => (2, delete_after.map(Timestamp::as_micros), None),
        AccountState::Takendown { reference } => (3, None, Some(reference)),
        AccountState::Suspended => (4, None, None),
    };
    sql::execute(
        conn,
        "UPDATE accounts SET state = ?2, takedown_reference = ?4,
             delete_after = CASE WHEN ?2 IN (3, 4) THEN delete_after ELSE ?3 END,
             beneath = CASE WHEN ?2 IN (1, 2) THEN ?2 ELSE beneath END
         WHERE id = ?1",
        (id.0, number, delete_after, reference),
    )?;
    Ok(())
}

/// A state from three columns: number, time of deletion, reference.
pub(super) fn state_columns(row: &Row<'_>, index: usize) -> Result<AccountState, StoreError> {
    match sql::col::<i64>(row, index)? {
        0 => Ok(AccountState::Pending),
        1 => Ok(AccountState::Active),
        2 => {
            let delete_after = sql::col::<Option<i64>>(row, index + 1)?.map(Timestamp::from_micros);
            Ok(AccountState::Deactivated { delete_after })
        }
        3 => Ok(AccountState::Takendown { reference: sql::col::<Option<String>>(row, index + 2)?.unwrap_or_default() }),
        4 => Ok(AccountState::Suspended),
        other => Err(StoreError::Damaged(format!("{other} is not an account state"))),
    }
}
