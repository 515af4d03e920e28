//! Changes that need no PLC operation: the document says already what they lead to, or changes with them.

use super::{
    ChangeState, Changed, DelegationFailure,
    mails::{noted_change, tell_owner_of_change},
    records,
};
use crate::{
    delegation::{AppData, DelegationError, Statement},
    event::UnnumberedFrame,
    service::{AccountGuard, Server},
    store::{Account, CommitRefused, DelegationChange},
};

/// Writes the records of what the document says already: no operation is needed.
pub(super) async fn claim(
    server: &Server,
    account: &Account,
    statement: Option<&Statement>,
    entries: &[AppData],
    change: &DelegationChange,
) -> Result<Changed, DelegationFailure> {
    let guard = server.locks.lock(account.id).await;
    claim_held(server, (account, guard), statement, entries, change, Vec::new()).await
}

/// The same for whoever holds the account's lock, with events that go with it.
pub(super) async fn claim_held(
    server: &Server,
    (account, guard): (&Account, AccountGuard),
    statement: Option<&Statement>,
    entries: &[AppData],
    change: &DelegationChange,
    events: Vec<UnnumberedFrame>,
) -> Result<Changed, DelegationFailure> {
    let rows = server.store.delegations(account.id).await?;
    let before = rows.into_iter().find(|row| row.id == change.id).and_then(|row| row.key);
    {
        let _guard = guard;
        let row = records::row(&change.id, change.key.clone(), statement);
        let key = change.key.as_deref();
        let noted = noted_change(server, account.id, &change.id, before.as_deref(), key);
        match records::plan(server, account, &change.id, statement, key, entries).await? {
            Some(mut commit) => {
                commit.events.extend(events);
                server.store.commit_delegation(commit, row, noted).await.map_err(|refused| match refused {
                    CommitRefused::Store(cause) => DelegationFailure::Store(cause),
                    CommitRefused::StaleHead { .. }
                    | CommitRefused::BlobMissing(_)
                    | CommitRefused::Inactive(_)
                    | CommitRefused::OverQuota(_)
                    | CommitRefused::Gone => DelegationError::PlcConflict.into(),
                })?;
            }
            None => server.store.put_delegations(account.id, vec![row], None, events, vec![noted]).await?,
        }
    }
    tell_owner_of_change(server, account, change, before.as_deref()).await;
    Ok(Changed {
        did: account.did.clone(),
        id: change.id.clone(),
        key: change.key.clone(),
        statement: change.statement_cid,
        operation: None,
        state: if change.key.is_some() { ChangeState::Active } else { ChangeState::Ended },
        nullified: Vec::new(),
    })
}
