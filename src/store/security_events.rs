//! The security log of each account: what happened to the access to it, the newest few hundred events.

use rusqlite::{Connection, Row};

use super::{AccountId, NewSession, Store, StoreError, sessions, sql};
use crate::{
    clock::Timestamp,
    limits::accounts::{SECURITY_EVENTS_KEPT, SECURITY_FAILURES_KEPT},
};

/// Declares the kinds with their words on the wire, and which of them are refusals.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal $(, $failed:ident)?;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SecurityKind {
            $($(#[$doc])* $kind,)*
        }

        impl SecurityKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its word on the wire.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }

            /// Whether somebody was refused.
            pub const fn is_failure(self) -> bool {
                match self {
                    $(Self::$kind => kinds!(@failed $($failed)?),)*
                }
            }
        }
    };
    (@failed failed) => { true };
    (@failed) => { false };
}

kinds! {
    /// The account was made here, or began to move in.
    AccountCreated = "accountCreated";
    /// A session was opened.
    SignedIn = "signedIn";
    /// A session, or what the detail names, was refused: the password was wrong.
    SignInFailed = "signInFailed", failed;
    /// The same, because too many passwords were wrong: this one was not looked at.
    SignInRefused = "signInRefused", failed;
    /// A refresh token was used that had been exchanged or ended before: it may be stolen.
    RefreshReplayed = "refreshReplayed", failed;
    /// The password was changed.
    PasswordChanged = "passwordChanged";
    /// A code for a new password was asked for.
    PasswordResetRequested = "passwordResetRequested";
    /// The password was replaced with a mailed code.
    PasswordReset = "passwordReset";
    /// The address was confirmed.
    EmailConfirmed = "emailConfirmed";
    /// Another address was set.
    EmailChanged = "emailChanged";
    /// Another handle was taken.
    HandleChanged = "handleChanged";
    /// An app password was made.
    AppPasswordCreated = "appPasswordCreated";
    /// An app password was revoked.
    AppPasswordRevoked = "appPasswordRevoked";
    /// A code for another address was asked for.
    EmailChangeRequested = "emailChangeRequested";
    /// A code for a change of the DID was asked for.
    PlcOperationRequested = "plcOperationRequested";
    /// A change of the DID was signed.
    PlcOperationSigned = "plcOperationSigned";
    /// A change of the DID was submitted.
    PlcOperationSubmitted = "plcOperationSubmitted";
    /// A code for a change of a delegation was asked for.
    DelegationRequested = "delegationRequested";
    /// A delegation was made, changed or ended.
    DelegationChanged = "delegationChanged";
    /// The account was switched off.
    Deactivated = "deactivated";
    /// The account was switched on.
    Activated = "activated";
    /// A code for deletion was asked for.
    DeletionRequested = "deletionRequested";
    /// A repository was brought in.
    Moved = "moved";
    /// The administrator did something that has no word of its own: took down, suspended, restored, made a code.
    AdminAction = "adminAction";
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecurityEvent {
    /// Whose account.
    pub account: AccountId,
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: SecurityKind,
    /// What exactly, in a few words: an app password's name, a handle.
    pub detail: Option<String>,
    /// From which address or network.
    pub address: Option<String>,
    /// By which program, in its own words.
    pub agent: Option<String>,
}

/// Something that happened, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// Its number, which grows with time.
    pub id: i64,
    /// When.
    pub time: Timestamp,
    /// What, by its word.
    pub kind: String,
    /// What exactly.
    pub detail: Option<String>,
    /// From which address or network.
    pub address: Option<String>,
    /// By which program.
    pub agent: Option<String>,
}

impl Store {
    /// Adds events in one transaction; the oldest of these accounts go.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn add_security_events(&self, events: Vec<NewSecurityEvent>) -> Result<(), StoreError> {
        self.write(move |work| events.iter().try_for_each(|event| insert(work.conn, event))).await
    }

    /// Stores a session, and that it was opened, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn open_noted_session(&self, session: NewSession, event: NewSecurityEvent) -> Result<(), StoreError> {
        self.write(move |work| {
            sessions::open(work, session)?;
            insert(work.conn, &event)
        })
        .await
    }

    /// Events of an account with a number smaller than `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn security_events(
        &self,
        account: AccountId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<SecurityEvent>, StoreError> {
        self.point(|conn| {
            sql::all(
                conn,
                "SELECT id, time, kind, detail, address, agent FROM security_events
                 WHERE account = ?1 AND failed IN (0, 1) AND id < ?2 ORDER BY id DESC LIMIT ?3",
                (account.0, before.unwrap_or(i64::MAX), sql::limit(limit)),
                columns,
            )
        })
    }

    /// Whether a session of the account was opened from this address or network, as far as the log goes back.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn has_signed_in_from(&self, account: AccountId, address: &str) -> Result<bool, StoreError> {
        self.point(|conn| {
            sql::exists(
                conn,
                "SELECT 1 FROM security_events WHERE account = ?1 AND failed = 0 AND kind = ?2 AND address = ?3",
                (account.0, SecurityKind::SignedIn.word(), address),
            )
        })
    }
}

/// Adds an event, unless the account was deleted meanwhile.
pub(super) fn insert(conn: &Connection, event: &NewSecurityEvent) -> Result<(), StoreError> {
    let failed = event.kind.is_failure();
    sql::execute(
        conn,
        "INSERT INTO security_events (account, failed, time, kind, detail, address, agent)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM accounts WHERE id = ?1)",
        (
            event.account.0,
            failed,
            event.time.as_micros(),
            event.kind.word(),
            &event.detail,
            &event.address,
            &event.agent,
        ),
    )?;
    let kept = if failed { SECURITY_FAILURES_KEPT } else { SECURITY_EVENTS_KEPT };
    sql::execute(
        conn,
        "DELETE FROM security_events WHERE account = ?1 AND failed = ?2 AND id <= (SELECT id FROM security_events
             WHERE account = ?1 AND failed = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        (event.account.0, failed, sql::limit(kept)),
    )
    .map(drop)
}

fn columns(row: &Row<'_>) -> Result<SecurityEvent, StoreError> {
    Ok(SecurityEvent {
        id: sql::col(row, 0)?,
        time: sql::time(row, 1)?,
        kind: sql::col(row, 2)?,
        detail: sql::col(row, 3)?,
        address: sql::col(row, 4)?,
        agent: sql::col(row, 5)?,
    })
}
