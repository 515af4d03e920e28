//! What the owner is told by mail. A courtesy: the alarm that counts is the owner's own client.

use crate::{
    crypto::DelegateKey,
    delegation::{DelegationId, safety_number::fingerprint},
    outbound::{Mail, MailError},
    service::Server,
    store::{Account, DelegationChange},
};

/// A key as people compare it.
pub(super) fn shown(key: Option<&str>) -> String {
    let Some(text) = key else { return "none".to_owned() };
    text.parse::<DelegateKey>().map_or_else(|_| text.to_owned(), |key| fingerprint(&key))
}

/// Tells the owner that a change is true now.
pub(in crate::service) async fn tell_owner_of_change(
    server: &Server,
    account: &Account,
    change: &DelegationChange,
    before: Option<&str>,
) {
    let text = include_str!("../../../assets/mail/delegation_changed.txt");
    send(
        server,
        account,
        "Your end-to-end encryption key was changed",
        text,
        &change.id,
        before,
        change.key.as_deref(),
    )
    .await;
}

/// Tells the owner that the DID document names a key that no statement here bears out.
pub(super) async fn tell_owner_of_unproven(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    before: Option<&str>,
    key: Option<&str>,
) {
    let text = include_str!("../../../assets/mail/delegation_unproven.txt");
    send(server, account, "Your end-to-end encryption key was changed from elsewhere", text, id, before, key).await;
}

#[expect(clippy::too_many_arguments, reason = "the parts of one mail; a struct would only rename them")]
async fn send(
    server: &Server,
    account: &Account,
    subject: &str,
    template: &str,
    id: &DelegationId,
    before: Option<&str>,
    key: Option<&str>,
) {
    let did = &account.did;
    let Some(to) = account.email.clone() else { return };
    let text = template
        .replace("{handle}", account.handle.as_str())
        .replace("{did}", did.as_str())
        .replace("{id}", id.as_str())
        .replace("{old}", &shown(before))
        .replace("{new}", &shown(key));
    match server.mailer.send(&Mail { to, subject: subject.to_owned(), text, html: None }).await {
        Ok(()) | Err(MailError::NotConfigured) => {}
        Err(cause @ (MailError::Address(_) | MailError::NotTaken(_))) => {
            tracing::warn!(%did, "the owner could not be told of a delegation: {cause}");
        }
    }
}
