//! Mails on their way.

use std::time::Duration;

use rusqlite::{Connection, Row};

use super::{AccountId, CodePurpose, NewSecurityEvent, Store, StoreError, codes, security_events::insert as note, sql};
use crate::clock::Timestamp;

/// A mail to put into the outbox.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// What its `Message-ID` is, in every attempt.
    pub message_id: String,
    /// Whose it is; none for a mail that belongs to no account.
    pub account: Option<AccountId>,
    /// What kind of mail it is.
    pub kind: &'static str,
    /// The address.
    pub recipient: String,
    /// Subject and bodies, sealed.
    pub sealed: Vec<u8>,
    /// Now.
    pub created_at: Timestamp,
    /// From when on it is not worth sending.
    pub useful_until: Timestamp,
}

/// A code to set together with the mail that tells it.
#[derive(Clone, Copy, Debug)]
pub struct NewCode {
    /// Whose.
    pub account: AccountId,
    /// What for.
    pub purpose: CodePurpose,
    /// What is stored of it.
    pub hash: [u8; 32],
    /// When it ends.
    pub expires_at: Timestamp,
}

/// So many mails of one kind may one account be sent within a span.
pub type MailBudget<'a> = &'a [(Duration, usize)];

/// What came of putting a mail into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is there.
    Yes,
    /// The account had enough of this kind; from this instant on there is room again.
    TooMany(Timestamp),
}

/// A mail that is to be handed over now.
#[derive(Clone, Debug)]
pub struct DueMail {
    /// Its number.
    pub id: i64,
    /// What its `Message-ID` is.
    pub message_id: String,
    /// What kind of mail it is.
    pub kind: String,
    /// The address.
    pub recipient: String,
    /// Subject and bodies, sealed.
    pub sealed: Vec<u8>,
    /// From when on it is not worth sending.
    pub useful_until: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
}

/// Where a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// In the outbox.
    Waiting,
    /// With the mail server.
    Sent,
    /// Not delivered, and not tried any more.
    GivenUp,
}

/// How a mail was done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Handed over.
    Sent,
    /// Given up.
    GivenUp {
        /// Why.
        why: String,
        /// Whether what it says is kept for another try.
        keeps_text: bool,
    },
}

/// A mail as the administrator sees it: not what it says.
#[derive(Clone, Debug)]
pub struct ListedMail {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub account: Option<AccountId>,
    /// What kind of mail it is.
    pub kind: String,
    /// The address.
    pub recipient: String,
    /// Where it is.
    pub state: MailState,
    /// When it was written.
    pub created_at: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Whether it was given up and can be tried again.
    pub can_be_retried: bool,
}

impl Store {
    /// Puts a mail into the outbox, together with the code that it tells, unless the account had its budget of this kind.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn enqueue_mail(
        &self,
        mail: NewMail,
        code: Option<NewCode>,
        budget: MailBudget<'static>,
        noted: Option<NewSecurityEvent>,
    ) -> Result<Enqueued, StoreError> {
        self.write(move |work| {
            if let Some(again_at) = over_budget(work.conn, &mail, budget)? {
                return Ok(Enqueued::TooMany(again_at));
            }
            if let Some(code) = code {
                codes::put(work.conn, &code)?;
            }
            if let Some(noted) = &noted {
                note(work.conn, noted)?;
            }
            sql::execute(
                work.conn,
                "INSERT INTO outbox (message_id, account, kind, recipient, sealed, created_at, useful_until, next_attempt_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6)",
                (
                    &mail.message_id,
                    mail.account.map(|id| id.0),
                    mail.kind,
                    &mail.recipient,
                    &mail.sealed,
                    mail.created_at.as_micros(),
                    mail.useful_until.as_micros(),
                ),
            )?;
            Ok(Enqueued::Yes)
        })
        .await
    }

    /// Mails that are to be handed over now, the longest due first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<DueMail>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT id, message_id, kind, recipient, sealed, useful_until, attempts FROM outbox
                 WHERE state = 0 AND next_attempt_at <= ?1 ORDER BY next_attempt_at, id LIMIT ?2",
                (now.as_micros(), sql::limit(limit)),
                |row| {
                    Ok(DueMail {
                        id: sql::col(row, 0)?,
                        message_id: sql::col(row, 1)?,
                        kind: sql::col(row, 2)?,
                        recipient: sql::col(row, 3)?,
                        sealed: sql::col::<Option<Vec<u8>>>(row, 4)?.unwrap_or_default(),
                        useful_until: sql::time(row, 5)?,
                        attempts: sql::col(row, 6)?,
                    })
                },
            )
        })
    }

    /// When the next mail is due, if one waits.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.point(|conn| {
            let next = sql::one(conn, "SELECT min(next_attempt_at) FROM outbox WHERE state = 0", [], |row| {
                sql::col::<Option<i64>>(row, 0)
            })?;
            Ok(next.flatten().map(Timestamp::from_micros))
        })
    }

    /// Notes that an attempt begins, and when the next one is due if this one comes to nothing, a crash included.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn begin_mail(&self, id: i64, next_attempt_at: Timestamp) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = ?2 WHERE id = ?1 AND state = 0",
                (id, next_attempt_at.as_micros()),
            )
            .map(drop)
        })
        .await
    }

    /// Notes why an attempt failed; the mail stays.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn note_mail_error(&self, id: i64, error: &str) -> Result<(), StoreError> {
        let error = error.to_owned();
        self.write(move |work| {
            sql::execute(work.conn, "UPDATE outbox SET error = ?2 WHERE id = ?1 AND state = 0", (id, error)).map(drop)
        })
        .await
    }

    /// Notes that a mail is done with. What it said is gone then, unless it is kept for another try.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn settle_mail(&self, id: i64, settled: Settled, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |work| {
            let (state, why, keeps_text) = match settled {
                Settled::Sent => (MailState::Sent, None, false),
                Settled::GivenUp { why, keeps_text } => (MailState::GivenUp, Some(why), keeps_text),
            };
            sql::execute(
                work.conn,
                "UPDATE outbox SET state = ?2, settled_at = ?3, error = ?4, sealed = CASE WHEN ?5 THEN sealed END
                 WHERE id = ?1",
                (id, state.number(), now.as_micros(), why, keeps_text),
            )
            .map(drop)
        })
        .await
    }

    /// Puts mails that were given up and keep what they say back into the outbox, at most `limit`: these, or all. Gives their
    /// numbers.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn retry_mails(
        &self,
        ids: Option<Vec<i64>>,
        now: Timestamp,
        useful_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<i64>, StoreError> {
        const KEPT: &str = "SELECT id FROM outbox WHERE state = 2 AND sealed IS NOT NULL ORDER BY id";
        const AGAIN: &str = "UPDATE outbox SET state = 0, attempts = 0, next_attempt_at = ?2, useful_until = ?3,
                             settled_at = NULL, error = NULL WHERE id = ?1";
        self.write(move |work| {
            let mut again = sql::all(work.conn, KEPT, [], |row| sql::col::<i64>(row, 0))?;
            again.retain(|id| ids.as_ref().is_none_or(|ids| ids.contains(id)));
            again.truncate(limit);
            for id in &again {
                sql::execute(work.conn, AGAIN, (id, now.as_micros(), useful_until.as_micros()))?;
            }
            Ok(again)
        })
        .await
    }

    /// How many mails wait, and when the oldest of them was written.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub fn waiting_mails(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const QUERY: &str = "SELECT count(*), min(created_at) FROM outbox WHERE state = 0";
        let read = |row: &Row<'_>| Ok((sql::col::<i64>(row, 0)?, sql::col::<Option<i64>>(row, 1)?));
        let (count, oldest) = self.point(|conn| sql::one(conn, QUERY, [], read))?.unwrap_or_default();
        Ok((u64::try_from(count).unwrap_or(0), oldest.map(Timestamp::from_micros)))
    }

    /// Removes mails that were done with before `before`, at most `limit`; says how many.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn prune_mails(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "DELETE FROM outbox WHERE id IN
                     (SELECT id FROM outbox WHERE state <> 0 AND settled_at < ?1 ORDER BY settled_at LIMIT ?2)",
                (before.as_micros(), sql::limit(limit)),
            )
        })
        .await
    }

    /// Mails with a number below `before` (the latest if none), newest first; optionally only those in one state.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn list_mails(
        &self,
        state: Option<MailState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ListedMail>, StoreError> {
        self.page(move |conn| {
            sql::all(
                conn,
                "SELECT id, account, kind, recipient, state, created_at, attempts, next_attempt_at, error,
                     state = 2 AND sealed IS NOT NULL FROM outbox
                 WHERE id < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY id DESC LIMIT ?3",
                (before.unwrap_or(i64::MAX), state.map(MailState::number), sql::limit(limit)),
                listed,
            )
        })
        .await
    }
}

impl MailState {
    /// Its number in the database.
    const fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Sent => 1,
            Self::GivenUp => 2,
        }
    }
}

/// When the account may be sent a mail of this kind again, if not now.
fn over_budget(conn: &Connection, mail: &NewMail, budget: MailBudget<'_>) -> Result<Option<Timestamp>, StoreError> {
    let Some(account) = mail.account else { return Ok(None) };
    let mut again_at = None;
    for (span, most) in budget {
        // The oldest of the last so many: when it leaves the span there is room.
        let oldest = sql::one(
            conn,
            "SELECT created_at FROM outbox WHERE account = ?1 AND kind = ?2 AND created_at > ?3
             ORDER BY created_at DESC LIMIT 1 OFFSET ?4",
            (account.0, mail.kind, mail.created_at.minus(*span).as_micros(), sql::limit(most.saturating_sub(1))),
            |row| sql::time(row, 0),
        )?;
        again_at = again_at.max(oldest.map(|oldest| oldest.plus(*span)));
    }
    Ok(again_at)
}

fn listed(row: &Row<'_>) -> Result<ListedMail, StoreError> {
    let state = match sql::col::<i64>(row, 4)? {
        0 => MailState::Waiting,
        1 => MailState::Sent,
        2 => MailState::GivenUp,
        other => return Err(StoreError::Damaged(format!("{other} is not a state of a mail"))),
    };
    let next = sql::time(row, 7)?;
    Ok(ListedMail {
        id: sql::col(row, 0)?,
        account: sql::col::<Option<i64>>(row, 1)?.map(AccountId),
        kind: sql::col(row, 2)?,
        recipient: sql::col(row, 3)?,
        state,
        created_at: sql::time(row, 5)?,
        attempts: sql::col(row, 6)?,
        next_attempt_at: (state == MailState::Waiting).then_some(next),
        error: sql::col(row, 8)?,
        can_be_retried: sql::col(row, 9)?,
    })
}
