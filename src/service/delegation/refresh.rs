//! What others did to the DIDs of this server's accounts: the log is read again and what is stored is corrected.

use std::sync::Arc;

use super::{
    DelegationFailure,
    change::current_of,
    ground::{ids_with_statements, log_of, statements, verified},
    mails::tell_owner_of_unproven,
};
use crate::{
    crypto::DelegateKey,
    delegation::{
        DelegationId, NamedKey, Statement, VerifiedLog,
        anchor::IdLog,
        history::{Era, last_proven},
        proof::prove,
    },
    event,
    limits::delegation as limits,
    service::Server,
    store::{Account, AccountId, DelegationRow, DelegationState},
};

/// Reads the log of a did:plc and sets its delegations by it. An operation that came from elsewhere is announced, and the
/// owner is mailed where it names a key that no statement here bears out. While a change of the account's own is open,
/// nothing is done: its operation would look like a stranger's.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub async fn refresh(server: &Server, account: &Account) -> Result<(), DelegationFailure> {
    if !account.did.is_plc() {
        return Ok(());
    }
    let log = log_of(server, account).await?;
    // Looked at after the log: an operation of ours that is in it is either open now, or applied with its statement.
    if server.store.has_open_change(&account.did).await? {
        return Ok(());
    }
    let verified = verified(account, &log)?;
    let before = server.store.delegations(account.id).await?;
    let mut ids = ids_with_statements(server, account).await?;
    ids.extend(before.iter().map(|row| row.id.clone()));
    ids.extend(named(&verified));
    ids.sort_unstable();
    ids.dedup();
    let mut changed = Vec::new();
    for id in ids {
        let statements = statements(server, account, &id).await?;
        let row = row_of(&verified, account, &id, &statements);
        let old = before.iter().find(|row| row.id == id);
        if row.as_ref() != old {
            // What nullified operations alone had named was never there: it shows as ended.
            let gone = DelegationRow { id, key: None, state: DelegationState::Ended, statement: None };
            changed.push((old.cloned(), row.unwrap_or(gone)));
        }
    }
    let rows: Vec<_> = changed.iter().map(|(_, row)| row.clone()).collect();
    let keys_changed =
        changed.iter().any(|(old, row)| old.as_ref().and_then(|old| old.key.as_ref()) != row.key.as_ref());
    let head = server.store.plc_head(account.id).await?;
    if rows.is_empty() && head == Some(verified.head()) {
        return Ok(());
    }
    server.store.put_delegations(account.id, rows, Some(verified.head())).await?;
    if keys_changed || head.is_some_and(|head| head != verified.head()) {
        server.resolver.forget(&account.did).await;
        let events = vec![event::identity(&account.did, Some(&account.handle), server.now())];
        server.store.announce(account.id, events).await?;
    }
    for (old, row) in &changed {
        let key_before = old.as_ref().and_then(|old| old.key.as_deref());
        if row.state == DelegationState::Unproven && key_before != row.key.as_deref() {
            tell_owner_of_unproven(server, account, &row.id, key_before, row.key.as_deref()).await;
        }
    }
    Ok(())
}

/// The ids that the log names now with a key that a delegation may have.
fn named(log: &VerifiedLog<'_>) -> Vec<DelegationId> {
    let methods = log.data().into_iter().flat_map(|data| &data.verification_methods);
    let usable = methods.filter(|(_, key)| key.parse::<DelegateKey>().is_ok());
    usable.filter_map(|(id, _)| id.parse().ok()).filter(|id: &DelegationId| !id.is_reserved()).collect()
}

/// A delegation as log and statements have it; none if the log never named a key.
fn row_of(
    log: &VerifiedLog<'_>,
    account: &Account,
    id: &DelegationId,
    statements: &[Statement],
) -> Option<DelegationRow> {
    let eras = prove(&account.did, id, &IdLog::read(log, id), statements, None).eras;
    let last = eras.last()?;
    let state = match &last.key {
        None => DelegationState::Ended,
        Some(_) if last.is_proven() => DelegationState::Active,
        Some(_) => DelegationState::Unproven,
    };
    let shown = if state == DelegationState::Ended { Some(last) } else { last_proven(&eras) };
    let statement = shown.and_then(Era::best_proof).map(|proof| proof.statement);
    // A tombstone leaves no state to ask; the log's last value is none then.
    let key = last.key.as_ref().map(NamedKey::as_str).filter(|key| current_of(log, id).as_deref() == Some(*key));
    Some(DelegationRow { id: id.clone(), key: key.map(str::to_owned), state, statement })
}

/// Reads the logs of all accounts with delegations once.
///
/// # Errors
/// When the database fails.
pub async fn watch_round(server: &Server) -> Result<(), DelegationFailure> {
    let mut after = AccountId(0);
    loop {
        let slice = server.store.accounts_with_delegations(after, limits::WATCH_SLICE).await?;
        let Some(last) = slice.last() else { return Ok(()) };
        after = *last;
        for id in slice {
            let Some(account) = server.store.account_by_id(id).await? else { continue };
            match refresh(server, &account).await {
                Ok(()) => {}
                Err(DelegationFailure::Store(cause)) => return Err(cause.into()),
                Err(cause) => tracing::debug!(did = %account.did, "the PLC log was not looked at: {cause}"),
            }
        }
    }
}

/// Watches the logs of accounts with delegations until the server stops.
pub fn start_watch(server: &Arc<Server>) {
    let (own, stopping) = (Arc::clone(server), server.tasks.stopping());
    server.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(limits::WATCH_EVERY) => {}
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                done = watch_round(&own) => if let Err(cause) = done {
                    tracing::warn!("the logs of delegations could not be watched: {cause}");
                },
            }
        }
    });
}
