//! Handing mails over to the mail server.

use std::sync::Arc;

use futures_util::StreamExt;

use super::{Content, MailKind, purpose, wake};
use crate::{
    clock::Timestamp,
    limits::mail as limits,
    outbound::{Mail, MailError},
    service::{Server, credentials},
    store::{DueMail, Settled, StoreError},
};

/// Says whether the mail server can be used, at start: an operator who mistyped a setting reads it in the log.
pub async fn check_connection(server: Arc<Server>) {
    let stopping = server.tasks.stopping();
    let verified = tokio::select! {
        () = stopping.cancelled() => return,
        verified = server.mailer.verify() => verified,
    };
    match verified {
        Ok(()) => tracing::info!("the mail server answers: mail can be sent"),
        Err(MailError::NotConfigured) => tracing::warn!(
            "[email] is not configured, so no code can be mailed: issue codes with \"housekey account code\""
        ),
        Err(cause) => tracing::warn!(
            "the mail server of [email] smtp_url cannot be used: {cause}. Mails wait until it can; \"housekey mail test\" \
             tries it"
        ),
    }
}

/// Hands mails over as they become due, until the server stops.
pub async fn run_outbox(server: Arc<Server>) {
    let stopping = server.tasks.stopping();
    loop {
        let delivered = tokio::select! {
            () = stopping.cancelled() => return,
            delivered = deliver_due(&server) => delivered,
        };
        let next = match delivered {
            Ok(next) => next,
            Err(StoreError::Closed) => return,
            Err(cause) => {
                tracing::warn!(%cause, "the outbox could not be read: {cause}");
                None
            }
        };
        let wait = next.map_or(limits::OUTBOX_EVERY, |next| next.since(server.now()));
        tokio::select! {
            () = stopping.cancelled() => return,
            () = server.outbox.bell.notified() => {}
            () = tokio::time::sleep(wait.clamp(limits::OUTBOX_PAUSE, limits::OUTBOX_EVERY)) => {}
        }
    }
}

/// Hands over what is due now, and says when the next mail is due, if one waits. One at a time does this.
///
/// # Errors
/// When the database fails.
pub async fn deliver_due(server: &Server) -> Result<Option<Timestamp>, StoreError> {
    let turn = server.outbox.turn.lock().await;
    credentials::answer_reset_requests(server).await?;
    if server.mailer.is_configured() {
        loop {
            let due = server.store.due_mails(server.now(), limits::OUTBOX_SLICE).await?;
            if due.is_empty() {
                break;
            }
            let mut handed_over = futures_util::stream::iter(due.into_iter().map(|mail| hand_over(server, mail)))
                .buffer_unordered(limits::AT_ONCE);
            while let Some(done) = handed_over.next().await {
                done?;
            }
        }
    }
    server.store.prune_mails(server.now().minus(limits::KEEP_SETTLED), limits::OUTBOX_SLICE).await?;
    let next = server.store.next_mail_at().await?;
    drop(turn);
    Ok(next)
}

/// Puts mails that were given up into the outbox again, as if they had been written now: these, or all of them. Gives their
/// numbers; mails that told a code are not among them.
///
/// # Errors
/// When the database fails.
pub async fn retry(server: &Server, ids: Option<Vec<i64>>) -> Result<Vec<i64>, StoreError> {
    let now = server.now();
    let again = server.store.retry_mails(ids, now, now.plus(limits::GIVE_UP_AFTER), limits::MAILS_PER_PAGE).await?;
    wake(server).await;
    Ok(again)
}

/// One attempt. However it ends, the mail is not due at this instant any more.
async fn hand_over(server: &Server, mail: DueMail) -> Result<(), StoreError> {
    let now = server.now();
    if mail.useful_until <= now {
        return give_up(server, &mail, "it was not worth sending any more before the mail server took it").await;
    }
    let next = now.plus(wait_after(mail.attempts));
    server.store.begin_mail(mail.id, next).await?;
    let opened = server.master_key.open(&purpose(&mail.message_id), &mail.sealed).ok();
    let Some(content) = opened.and_then(|plain| serde_json::from_slice::<Content>(&plain).ok()) else {
        return give_up(server, &mail, "its text could not be opened").await;
    };
    let message = Mail {
        to: mail.recipient.clone(),
        subject: content.subject,
        text: content.text,
        html: Some(content.html),
        message_id: Some(mail.message_id.clone()),
    };
    match server.mailer.send(&message).await {
        Ok(()) => {
            tracing::debug!(mail = mail.id, kind = %mail.kind, "a mail was handed over");
            server.meters.mails.count("sent");
            server.store.settle_mail(mail.id, Settled::Sent, server.now()).await
        }
        Err(MailError::NotTaken(cause)) if next < mail.useful_until => {
            tracing::warn!(mail = mail.id, kind = %mail.kind, "a mail could not be handed over yet: {cause}");
            server.meters.mails.count("failed");
            server.store.note_mail_error(mail.id, &cause).await
        }
        Err(cause) => give_up(server, &mail, &cause.to_string()).await,
    }
}

async fn give_up(server: &Server, mail: &DueMail, why: &str) -> Result<(), StoreError> {
    tracing::error!(mail = mail.id, kind = %mail.kind, "a mail was given up: {why}");
    server.meters.mails.count("given_up");
    // A code is over soon, and whoever needs one asks anew.
    let keeps_text = MailKind::ALL.iter().any(|kind| kind.name() == mail.kind && !kind.has_code());
    server.store.settle_mail(mail.id, Settled::GivenUp { why: why.to_owned(), keeps_text }, server.now()).await
}

/// How long after an attempt the next one is due, after so many before it.
fn wait_after(attempts: u32) -> std::time::Duration {
    let first = limits::FIRST_WAIT.saturating_mul(limits::WAIT_FACTOR.saturating_pow(attempts));
    first.min(limits::LONGEST_WAIT)
}
