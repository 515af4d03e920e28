//! Filling a new database with what another server kept: accounts as they are, the numbers of its event stream.

use super::{
    AccountId, ChangeSet, CommitRefused, Committed, CreateConflict, InviteCode, NewAccount, Store, StoreError,
    StoredEvent, accounts::insert_account, commit::prepare, sql,
};
use crate::clock::Timestamp;

impl Store {
    /// An account that is active at once, without a change of its identity and without events.
    ///
    /// # Errors
    /// [`CreateConflict`]: what is in use.
    pub async fn take_over_account(
        &self,
        account: NewAccount,
        email_confirmed_at: Option<Timestamp>,
    ) -> Result<AccountId, CreateConflict> {
        self.write(move |work| {
            let id = insert_account(work.conn, &account)?;
            sql::execute(
                work.conn,
                "UPDATE accounts SET state = 1, email_confirmed_at = ?2 WHERE id = ?1",
                (id.0, email_confirmed_at.map(Timestamp::as_micros)),
            )?;
            Ok(id)
        })
        .await
    }

    /// The repository that an account had elsewhere, in one commit. Blobs that are not here are missing blobs afterwards.
    ///
    /// # Errors
    /// [`CommitRefused`], but never for a blob.
    pub async fn take_over_repository(&self, change: ChangeSet) -> Result<Committed, CommitRefused> {
        let prepared = prepare(&self.inner.shared, &self.inner.points, change)?;
        self.commit_prepared(prepared.noting_missing_blobs()).await
    }

    /// Invite codes with who used them.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn take_over_invites(&self, invites: Vec<InviteCode>) -> Result<(), StoreError> {
        self.write(move |work| {
            for InviteCode { invite, disabled, used_by } in &invites {
                sql::execute(
                    work.conn,
                    "INSERT INTO invites (code, uses, for_account, created_by, created_at, disabled)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                    (
                        &invite.code,
                        invite.uses,
                        &invite.for_account,
                        &invite.created_by,
                        invite.created_at.as_micros(),
                        *disabled,
                    ),
                )?;
                for (did, used_at) in used_by {
                    sql::execute(
                        work.conn,
                        "INSERT INTO invite_uses (code, did, used_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                        (&invite.code, did.as_str(), used_at.as_micros()),
                    )?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Events that another server numbered, each with its time; to be followed by [`Store::continue_after`].
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn take_over_events(&self, events: Vec<(StoredEvent, Timestamp)>) -> Result<(), StoreError> {
        self.write(move |work| {
            for (event, time) in &events {
                sql::execute(
                    work.conn,
                    "INSERT INTO events (seq, time, frame) VALUES (?1, ?2, ?3)",
                    (event.seq, time.as_micros(), &event.frame[..]),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// The next event gets a number greater than `seq`; numbers never go back. Subscribers see it with that event.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn continue_after(&self, seq: i64) -> Result<(), StoreError> {
        self.write(move |work| {
            work.skip_to(seq.saturating_add(1));
            Ok(())
        })
        .await
    }
}
