//! What the administrator does: take down accounts, records and blobs, suspend accounts, and lift all that again.

use std::sync::Arc;

use super::change::{account_event, current};
use crate::{
    clock::Timestamp,
    event,
    ipld::Cid,
    repo::RecordPath,
    service::{Server, security_log},
    store::{Account, AccountId, AccountState, NewSecurityEvent, OwnState, RecordTakedown, SecurityKind, StoreError},
    syntax::Did,
};

/// What can be taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An account.
    Account(Did),
    /// A record, by its place, and the version that the moderator saw where one is named.
    Record(Did, RecordPath, Option<Cid>),
    /// A blob of an account.
    Blob(Did, Cid),
}

/// Whether something is applied or lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// Applied, under a reference of the moderator's; without one it keeps the one that it has, or the time stands for it.
    Applied {
        /// The reference.
        reference: Option<String>,
    },
    /// Lifted.
    Lifted,
}

/// How a subject stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectStatus {
    /// Whether it was taken down, and under which reference.
    pub takedown: TakedownOf,
    /// Of an account: its state and its owner's part in it.
    pub account: Option<(AccountState, OwnState)>,
    /// Of a record: its CID now; of one that is gone, that of the version that was taken down, where it is known.
    pub cid: Option<Cid>,
}

/// The reference of a takedown; none without one.
pub type TakedownOf = Option<String>;

/// Why nothing was moderated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModerationError {
    /// There is no such account, record or blob here.
    #[error("Subject not found")]
    NotFound,
    /// A takedown is more than a suspension.
    #[error("the account is taken down, which is more than suspended: lift the takedown first")]
    TakenDown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a subject down, or lifts its takedown. An account's sessions end; the network hears of accounts.
///
/// # Errors
/// [`ModerationError`]; nothing was changed then.
pub async fn set_takedown(
    server: &Arc<Server>,
    subject: &Subject,
    moderation: Moderation,
) -> Result<(), ModerationError> {
    let now = server.now();
    match subject {
        Subject::Account(did) => {
            let account = find(server, did).await?;
            let _guard = server.locks.lock(account.id).await;
            let account = current(server, account.id).await?.ok_or(ModerationError::NotFound)?;
            let before = takedown_of(&account.state);
            let is_down = before.is_some();
            match reference_of(moderation, before, now) {
                Some(reference) => moderate(server, &account, AccountState::Takendown { reference }).await,
                None if is_down => lift(server, &account).await,
                None => Ok(()),
            }
        }
        Subject::Record(did, path, cid) => {
            let account = find(server, did).await?;
            let noted = noted(server, account.id, &moderation, &format!("the record {path}"));
            let before = server.store.record_takedown(account.id, path).await?.map(|takedown| takedown.reference);
            let reference = reference_of(moderation, before, now);
            let takedown = reference.map(|reference| RecordTakedown { reference, cid: *cid });
            Ok(server.store.set_record_takedown(account.id, path, takedown, now, Some(noted)).await?)
        }
        Subject::Blob(did, cid) => {
            let account = find(server, did).await?;
            let noted = noted(server, account.id, &moderation, &format!("the blob {cid}"));
            let reference = reference_of(moderation, server.store.blob_takedown(account.id, cid).await?, now);
            Ok(server.store.set_blob_takedown(account.id, cid, reference, now, Some(noted)).await?)
        }
    }
}

/// Suspends an account, or lifts its suspension.
///
/// # Errors
/// [`ModerationError`]; nothing was changed then.
pub async fn set_suspension(server: &Arc<Server>, did: &Did, moderation: Moderation) -> Result<(), ModerationError> {
    let account = find(server, did).await?;
    let _guard = server.locks.lock(account.id).await;
    let account = current(server, account.id).await?.ok_or(ModerationError::NotFound)?;
    match (moderation, &account.state) {
        (_, AccountState::Takendown { .. }) => Err(ModerationError::TakenDown),
        (Moderation::Applied { .. }, _) => moderate(server, &account, AccountState::Suspended).await,
        (Moderation::Lifted, AccountState::Suspended) => lift(server, &account).await,
        (Moderation::Lifted, AccountState::Pending | AccountState::Active | AccountState::Deactivated { .. }) => Ok(()),
    }
}

/// How a subject stands.
///
/// # Errors
/// [`ModerationError::NotFound`] for one that was never here.
pub async fn subject_status(server: &Server, subject: &Subject) -> Result<SubjectStatus, ModerationError> {
    match subject {
        Subject::Account(did) => {
            let account = find(server, did).await?;
            let own = server.store.own_state(account.id).await?.ok_or(ModerationError::NotFound)?;
            Ok(SubjectStatus { takedown: takedown_of(&account.state), account: Some((account.state, own)), cid: None })
        }
        Subject::Record(did, path, _) => {
            let account = find(server, did).await?;
            let takedown = server.store.record_takedown(account.id, path).await?;
            let cid = server.store.record(account.id, path).await?.map(|record| record.cid);
            if takedown.is_none() && cid.is_none() {
                return Err(ModerationError::NotFound);
            }
            let cid = cid.or_else(|| takedown.as_ref()?.cid);
            Ok(SubjectStatus { takedown: takedown.map(|takedown| takedown.reference), account: None, cid })
        }
        Subject::Blob(did, cid) => {
            let account = find(server, did).await?;
            let takedown = server.store.blob_takedown(account.id, cid).await?;
            if takedown.is_none() && server.store.blob(account.id, cid).await?.is_none() {
                return Err(ModerationError::NotFound);
            }
            Ok(SubjectStatus { takedown, account: None, cid: None })
        }
    }
}

async fn find(server: &Server, did: &Did) -> Result<Account, ModerationError> {
    server.store.account_by_did(did).await?.ok_or(ModerationError::NotFound)
}

/// What the owner is told of it; the reference is the moderators' own.
fn noted(server: &Server, account: AccountId, moderation: &Moderation, what: &str) -> NewSecurityEvent {
    let detail = match moderation {
        Moderation::Applied { .. } => format!("{what} was taken down"),
        Moderation::Lifted => format!("{what} was restored"),
    };
    security_log::event(server, account, SecurityKind::AdminAction, Some(&detail))
}

/// What a takedown is kept under: what the moderator says, else what was said before, else the time.
fn reference_of(moderation: Moderation, before: TakedownOf, now: Timestamp) -> TakedownOf {
    match moderation {
        Moderation::Applied { reference } => reference.or(before).or_else(|| Some(now.to_rfc3339_millis())),
        Moderation::Lifted => None,
    }
}

/// The takedown of an account in this state.
fn takedown_of(state: &AccountState) -> TakedownOf {
    match state {
        AccountState::Takendown { reference } => Some(reference.clone()),
        AccountState::Pending | AccountState::Active | AccountState::Deactivated { .. } | AccountState::Suspended => {
            None
        }
    }
}

async fn moderate(server: &Server, account: &Account, state: AccountState) -> Result<(), ModerationError> {
    let events = vec![account_event(account, &state, server.now())];
    let is_takedown = matches!(state, AccountState::Takendown { .. });
    let what = if is_takedown { "the account was taken down" } else { "the account was suspended" };
    let noted = security_log::event(server, account.id, SecurityKind::AdminAction, Some(what));
    Ok(server.store.moderate_account(account.id, state, events, noted).await?)
}

/// Uncovers the owner's own state. Who dropped the repository meanwhile is told where it stands.
async fn lift(server: &Server, account: &Account) -> Result<(), ModerationError> {
    let own = server.store.own_state(account.id).await?.ok_or(ModerationError::NotFound)?;
    let now = server.now();
    let (state, head) = match own {
        OwnState::Active => (AccountState::Active, server.store.commit_block(account.id).await?),
        OwnState::Deactivated { delete_after } => (AccountState::Deactivated { delete_after }, None),
    };
    let mut events = vec![account_event(account, &state, now)];
    events.extend(head.map(|(head, block)| event::sync(&account.did, head.rev, &(head.commit, block), now)));
    let noted = security_log::event(server, account.id, SecurityKind::AdminAction, Some("the account was restored"));
    Ok(server.store.moderate_account(account.id, state, events, noted).await?)
}
