//! Mail to owners: written, kept in the outbox until the mail server has it, and handed over in the background.
//!
//! A mail is durable before its request is answered, so a crash loses none. It is handed over by one task at a time, each
//! attempt being noted before it begins and every attempt having the same `Message-ID`, so a mail goes out twice only when
//! the server stops, or the mail server falls silent, between taking it and saying so. What a mail says is sealed under
//! the master key while it waits, since it may hold a code, and erased as soon as it does not wait any more; only a mail without a code that was
//! given up keeps it for a while, for the administrator to try again.

mod delivery;
pub mod letters;
mod markup;
#[cfg(test)]
mod tests;

pub use delivery::{check_connection, deliver_due, retry, run_outbox};
pub use letters::{Letter, MailKind};

use std::{sync::Arc, time::Duration};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

use self::letters::{About, NotWritten};
use super::{Server, security_log};
use crate::{
    entropy::random_bytes,
    limits::mail as limits,
    store::{Account, Enqueued, NewCode, NewMail, SecurityKind, StoreError},
};

/// Wakes whoever hands mails over, one at a time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    turn: Arc<Mutex<()>>,
    bell: Arc<Notify>,
}

/// Why no mail was put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFailure {
    /// The account has no address.
    #[error("account does not have an email address")]
    NoEmail,
    /// No mail can be sent.
    #[error(
        "this server cannot send mail: ask its administrator for a code (housekey account code), or to configure [email] \
         smtp_url and from"
    )]
    NotConfigured,
    /// The account was sent many of these already.
    #[error("too many of these mails were sent to this account: the last ones may be in the spam folder; try again in {} minutes", .0.as_secs().div_ceil(60))]
    TooMany(Duration),
    /// A template could not be filled in.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is sealed of a waiting mail.
#[derive(Serialize, Deserialize)]
struct Content {
    subject: String,
    text: String,
    html: String,
}

/// Mails an account's owner.
///
/// # Errors
/// [`MailFailure`]; nothing was sent then.
pub async fn send(server: &Server, account: &Account, letter: Letter) -> Result<(), MailFailure> {
    send_with(server, account, letter, None).await
}

/// The same, and sets the code that the mail tells.
///
/// # Errors
/// [`MailFailure`]; nothing was sent and no code replaced then.
pub(super) async fn send_with(
    server: &Server,
    account: &Account,
    letter: Letter,
    code: Option<NewCode>,
) -> Result<(), MailFailure> {
    let to = account.email.clone().ok_or(MailFailure::NoEmail)?;
    send_to(server, account, to, letter, code).await
}

/// The same, to an address that may be the account's no more.
///
/// # Errors
/// [`MailFailure`]; nothing was sent and no code replaced then.
pub(super) async fn send_to(
    server: &Server,
    account: &Account,
    recipient: String,
    letter: Letter,
    code: Option<NewCode>,
) -> Result<(), MailFailure> {
    enqueue(server, account, recipient, letter, code).await?;
    wake(server).await;
    Ok(())
}

/// The same, and the outbox is left to itself.
///
/// # Errors
/// [`MailFailure`]; nothing was sent and no code replaced then.
pub(super) async fn enqueue(
    server: &Server,
    account: &Account,
    recipient: String,
    letter: Letter,
    code: Option<NewCode>,
) -> Result<(), MailFailure> {
    if !server.mailer.is_configured() {
        return Err(MailFailure::NotConfigured);
    }
    let now = server.now();
    let kind = letter.kind;
    let random = HEXLOWER.encode(&random_bytes::<{ limits::MESSAGE_ID_BYTES }>(server.entropy.as_ref()));
    let message_id = format!("<{random}@{}>", server.policy.hostname);
    let useful_until = code.map_or_else(|| now.plus(limits::GIVE_UP_AFTER), |code| code.expires_at);
    let mail = NewMail {
        sealed: seal(server, &message_id, letter)?,
        message_id,
        account: Some(account.id),
        kind: kind.name(),
        recipient,
        created_at: now,
        useful_until,
    };
    let budget = if kind.has_code() { limits::CODE_BUDGET } else { limits::NOTICE_BUDGET };
    let noted = asked_for(kind).map(|kind| security_log::event(server, account.id, kind, None));
    match server.store.enqueue_mail(mail, code, budget, noted).await? {
        Enqueued::Yes => {
            server.meters.mails.count("queued");
            Ok(())
        }
        Enqueued::TooMany(again_at) => Err(MailFailure::TooMany(again_at.since(now))),
    }
}

/// What the owner's log says about the request for a mail, which somebody else may have made.
const fn asked_for(kind: MailKind) -> Option<SecurityKind> {
    match kind {
        MailKind::UpdateEmail => Some(SecurityKind::EmailChangeRequested),
        MailKind::ResetPassword => Some(SecurityKind::PasswordResetRequested),
        MailKind::DeleteAccount => Some(SecurityKind::DeletionRequested),
        MailKind::PlcOperation => Some(SecurityKind::PlcOperationRequested),
        MailKind::DelegationToken => Some(SecurityKind::DelegationRequested),
        MailKind::ConfirmEmail
        | MailKind::DelegationChanged
        | MailKind::DelegationUnproven
        | MailKind::OperationNullified
        | MailKind::PasswordChanged
        | MailKind::EmailChanged
        | MailKind::Administrator
        | MailKind::Test => None,
    }
}

/// Tells an owner something that did not have to be told for what happened to be true: a failure is only logged.
pub(super) async fn tell(server: &Server, account: &Account, letter: Result<Letter, NotWritten>) {
    let sent = match letter {
        Ok(letter) => send(server, account, letter).await,
        Err(cause) => Err(cause.into()),
    };
    match sent {
        Ok(()) | Err(MailFailure::NotConfigured | MailFailure::NoEmail) => {}
        Err(cause @ (MailFailure::TooMany(_) | MailFailure::NotWritten(_) | MailFailure::Store(_))) => {
            tracing::warn!(did = %account.did, "the owner could not be told: {cause}");
        }
    }
}

/// What the letters about an account say of it.
pub(super) fn about<'a>(server: &'a Server, account: &'a Account) -> About<'a> {
    About { host: &server.policy.hostname, handle: account.handle.as_str(), did: account.did.as_str() }
}

/// Has the outbox looked at. Where handing over takes no time, it is done when this returns.
pub(super) async fn wake(server: &Server) {
    if !server.mailer.is_immediate() {
        server.outbox.bell.notify_one();
        return;
    }
    if let Err(cause) = deliver_due(server).await {
        tracing::warn!(%cause, "the outbox could not be read: {cause}");
    }
}

fn seal(server: &Server, message_id: &str, letter: Letter) -> Result<Vec<u8>, MailFailure> {
    let content = Content { subject: letter.subject, text: letter.text, html: letter.html };
    let plain = serde_json::to_vec(&content).map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    Ok(server.master_key.seal(&purpose(message_id), &plain, server.entropy.as_ref()))
}

/// The purpose under which a waiting mail is sealed.
fn purpose(message_id: &str) -> String {
    format!("mail:{message_id}")
}
