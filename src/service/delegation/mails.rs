//! What the owner is told by mail, and in the account's log. A courtesy: the alarm that counts is the owner's own client.

use crate::{
    crypto::DelegateKey,
    delegation::{DelegationId, safety_number::fingerprint},
    service::{
        Server,
        mails::{self, letters},
        security_log,
    },
    store::{Account, AccountId, DelegationChange, NewSecurityEvent, SecurityKind},
};

/// A key as people compare it.
pub(super) fn shown(key: Option<&str>) -> String {
    let Some(text) = key else { return "none".to_owned() };
    text.parse::<DelegateKey>().map_or_else(|_| text.to_owned(), |key| fingerprint(&key))
}

/// What the account's log says of a change.
pub(in crate::service) fn noted_change(
    server: &Server,
    account: AccountId,
    id: &DelegationId,
    before: Option<&str>,
    after: Option<&str>,
) -> NewSecurityEvent {
    let what = match (before, after) {
        (None, Some(_)) => "created",
        (Some(_), Some(_)) => "changed",
        (_, None) => "ended",
    };
    security_log::event(server, account, SecurityKind::DelegationChanged, Some(&format!("{id} was {what}")))
}

/// Tells the owner that a change is true now.
pub(in crate::service) async fn tell_owner_of_change(
    server: &Server,
    account: &Account,
    change: &DelegationChange,
    before: Option<&str>,
) {
    let (old, new) = (shown(before), shown(change.key.as_deref()));
    let change = letters::Change { id: change.id.as_str(), old: &old, new: &new };
    mails::tell(server, account, letters::delegation_changed(mails::about(server, account), change)).await;
}

/// Tells the owner that the DID document names a key that no statement here bears out.
pub(super) async fn tell_owner_of_unproven(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    before: Option<&str>,
    key: Option<&str>,
) {
    let (old, new) = (shown(before), shown(key));
    let change = letters::Change { id: id.as_str(), old: &old, new: &new };
    mails::tell(server, account, letters::delegation_unproven(mails::about(server, account), change)).await;
}
