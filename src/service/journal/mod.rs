//! The identity journal: how a change of a DID becomes true here and in the PLC directory, which cannot commit together
//! (delegation contract, section 6).
//!
//! Every operation that the server submits goes through [`submit`] or [`create_account`]: a durable row `prepared`, then
//! `posted`, one POST, and `applied` with its effect or `failed` without one. What a crash or an unclear answer leaves
//! open, [`reconcile()`] ends by reading the directory's log.

mod carry;
mod crash;
mod log;
mod reconcile;
#[cfg(test)]
mod tests;
mod turns;

pub use log::{LogUnavailable, audit_log};
pub use reconcile::{Reconciled, reconcile, start_reconciler};
pub use turns::JournalTurns;

#[cfg(test)]
pub(crate) use crash::{Step, crashing_at};

use std::sync::Arc;

use tokio::sync::oneshot;

use self::{carry::Carrier, crash::CrashPoint};
use super::{Origin, Server};
use crate::{
    crypto::seal::CannotOpen,
    ipld::Cid,
    plc::Operation,
    store::{
        Account, AccountId, CreateConflict, JournalId, JournalKind, NewAccount, NewJournalRow, OpenJournal, StoreError,
    },
    syntax::{Did, Handle},
};

/// A change that is true here and in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The account that changed.
    pub account: AccountId,
    /// Operations of others that this one nullified because they came between its last reading of the log and its POST.
    /// Almost always empty; the owner is mailed when it is not.
    pub nullified: Vec<Cid>,
}

/// Why a change is not true, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another change of this identity is open, or one from elsewhere came first. Nothing was changed.
    #[error("{0}")]
    Conflict(&'static str),
    /// The handle that the change wants is in use or held. Nothing was changed.
    #[error("Handle already taken: {0}")]
    HandleTaken(Handle),
    /// The account cannot be begun: its handle, address, DID or invite code. Nothing was changed.
    #[error(transparent)]
    Begin(CreateConflict),
    /// The directory refused the operation, in its own words. Nothing was changed.
    #[error("the PLC directory refused the operation: {0}")]
    Rejected(String),
    /// Nothing was posted, and nothing was changed.
    #[error("{0}; nothing was changed, try again later")]
    Unavailable(String),
    /// The directory gave no clear answer: the change may become true any moment, or be given up.
    #[error("the PLC directory gave no clear answer yet; the change is finished or given up within a few minutes")]
    Pending,
    /// The account's key cannot be opened.
    #[error(transparent)]
    Key(#[from] CannotOpen),
    /// The database failed; if the operation was posted, the change is finished later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// Whether the row stays open, for the reconciler.
    const fn leaves_the_row_open(&self) -> bool {
        match self {
            Self::Pending | Self::Key(_) | Self::Store(_) => true,
            Self::Conflict(_) | Self::HandleTaken(_) | Self::Begin(_) | Self::Rejected(_) | Self::Unavailable(_) => {
                false
            }
        }
    }
}

/// The message of a change that meets another one.
const UNDER_WAY: &str = "another change of this identity is still under way: try again in a few minutes";

/// Submits a signed operation of an existing account and applies `kind` with it.
///
/// The work goes on when the caller gives up.
///
/// # Errors
/// [`JournalError`] says what became of the change.
pub async fn submit(
    server: &Arc<Server>,
    account: &Account,
    kind: JournalKind,
    operation: &Operation,
) -> Result<Applied, JournalError> {
    let (id, row) = (account.id, new_row(server, account.did.clone(), kind, operation)?);
    run(server, row.did.clone(), move |server: Arc<Server>| async move {
        server.store.journal_open(id, row).await.map_err(|refused| match refused {
            OpenJournal::Conflict => JournalError::Conflict(UNDER_WAY),
            OpenJournal::HandleTaken(handle) => JournalError::HandleTaken(handle),
            OpenJournal::Store(cause) => JournalError::Store(cause),
        })
    })
    .await
}

/// Creates an account whose DID comes into being with the genesis operation `operation`.
///
/// The work goes on when the caller gives up.
///
/// # Errors
/// [`JournalError`] says what became of it; while it is [`JournalError::Pending`] the handle is held.
pub async fn create_account(
    server: &Arc<Server>,
    account: NewAccount,
    operation: &Operation,
) -> Result<Applied, JournalError> {
    let row = new_row(server, account.did.clone(), JournalKind::CreateAccount, operation)?;
    run(server, row.did.clone(), move |server: Arc<Server>| async move {
        let begun = server.store.begin_account(account, row).await;
        begun.map(|(_, id)| id).map_err(|refused| match refused {
            CreateConflict::Store(cause) => JournalError::Store(cause),
            refused @ (CreateConflict::HandleTaken(_)
            | CreateConflict::EmailTaken(_)
            | CreateConflict::DidTaken
            | CreateConflict::InviteUnavailable) => JournalError::Begin(refused),
        })
    })
    .await
}

fn new_row(server: &Server, did: Did, kind: JournalKind, operation: &Operation) -> Result<NewJournalRow, JournalError> {
    let json = serde_json::to_string(operation).map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    Ok(NewJournalRow {
        did,
        kind,
        operation: json,
        operation_cid: operation.cid(),
        prev: operation.prev(),
        at: server.now(),
    })
}

/// Writes the row by `open` and carries it, in a task of its own: when a client hangs up, the change still ends.
async fn run<F>(
    server: &Arc<Server>,
    did: Did,
    open: impl FnOnce(Arc<Server>) -> F + Send + 'static,
) -> Result<Applied, JournalError>
where
    F: Future<Output = Result<JournalId, JournalError>> + Send + 'static,
{
    let Some(turn) = server.journal.enter(&did) else { return Err(JournalError::Conflict(UNDER_WAY)) };
    let (answer, answered) = oneshot::channel();
    let (own, crash) = (Arc::clone(server), CrashPoint::here());
    let work = async move {
        let done = match open(Arc::clone(&own)).await {
            Ok(id) => Carrier { server: Arc::clone(&own), crash }.carry(id).await,
            Err(refused) => Err(refused),
        };
        let left_open = done.as_ref().is_err_and(JournalError::leaves_the_row_open);
        drop(turn);
        if left_open && !crash.is_set() {
            own.journal.ring();
        }
        // Nobody may be waiting any more.
        drop(answer.send(done));
    };
    server.tasks.spawn(Origin::carry(Origin::current(), work));
    // The task ends without an answer only when the server is going down: the reconciler will see to the row.
    answered.await.unwrap_or(Err(JournalError::Pending))
}
