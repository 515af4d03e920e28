//! Delegations of this server's accounts: made, changed and ended by their owners, read by everybody
//! (`docs/delegation.md`).
//!
//! The PLC log decides which key an id names. What is stored beside the statements only saves asking the directory; it is
//! corrected from the log as soon as the DID document differs.

mod change;
mod claim;
mod consent;
mod data;
mod generic;
mod ground;
mod inspect;
mod mails;
mod operation;
mod read;
mod records;
mod refresh;
mod rendered;
mod watch;
mod web;

pub use change::{ChangeRequest, EndRequest, change, end};
pub use consent::{TokenRequest, issue_token, request_token};
pub use data::put_associated_data;
pub use inspect::inspect;
pub use read::{Associated, Found, actor, associated_data, delegation, delegations};
pub use rendered::{Rendered, RenderedBodies, well_known};
#[cfg(test)]
pub(crate) use watch::watch_round;
pub use watch::{WatchBy, start_watch};

pub(super) use generic::{delegated_keys, protected};
pub(super) use mails::{noted_change, tell_owner_of_change};
pub(super) use records::effect;
pub(super) use refresh::after_import;

use crate::{
    clock::Timestamp,
    crypto::seal::CannotOpen,
    delegation::{DelegationError, DelegationId, Session},
    ipld::Cid,
    limits::delegation as limits,
    service::{journal::JournalError, mails::MailFailure, records::WriteError},
    store::StoreError,
    syntax::Did,
};

/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// The id names the key.
    Active,
    /// The id names no key any more.
    Ended,
    /// It is not known yet whether the directory took the operation.
    Pending,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The did:key that the id names now, or will name once the change is no longer pending.
    pub key: Option<String>,
    /// The statement.
    pub statement: Option<Cid>,
    /// The PLC operation.
    pub operation: Option<Cid>,
    /// Where it stands.
    pub state: ChangeState,
    /// Operations of others that this one nullified: almost always none.
    pub nullified: Vec<Cid>,
}

/// Why a delegation was not changed or shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationFailure {
    /// By the contract.
    #[error(transparent)]
    Refused(#[from] DelegationError),
    /// There is no such account here.
    #[error("there is no account {0} on this server")]
    NoAccount(String),
    /// The code could not be mailed.
    #[error(transparent)]
    Mail(#[from] MailFailure),
    /// The account's key cannot be opened.
    #[error(transparent)]
    Key(#[from] CannotOpen),
    /// The repository refused the records.
    #[error(transparent)]
    Write(WriteError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WriteError> for DelegationFailure {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// What a session is worth as consent. No second factor exists yet, so none was used.
pub fn session(opened_at: Option<Timestamp>, now: Timestamp) -> Session {
    match opened_at {
        Some(opened_at) if now < opened_at.plus(limits::FRESH_SESSION) => Session::Fresh { second_factor: false },
        Some(_) | None => Session::Full,
    }
}

/// What a failed submission is by the contract; `None` while it is not known what became of the operation.
fn journal_failure(error: JournalError) -> Option<DelegationFailure> {
    Some(match error {
        JournalError::Pending => return None,
        JournalError::Conflict(_) => DelegationError::PlcConflict.into(),
        JournalError::Rejected(words) => DelegationError::PlcRejected(words).into(),
        JournalError::Unavailable(_) => DelegationError::PlcUnavailable.into(),
        JournalError::Key(cause) => cause.into(),
        JournalError::Store(cause) => cause.into(),
        // Neither handles nor new accounts are in play.
        other @ (JournalError::HandleTaken(_) | JournalError::Begin(_)) => {
            StoreError::Damaged(other.to_string()).into()
        }
    })
}
