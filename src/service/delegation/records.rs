//! From a change to the records that it writes.

use super::ground::{entries, nsid};
use crate::{
    delegation::{APP_DATA_COLLECTION, AppData, DelegationId, STATEMENT_COLLECTION, Statement},
    event,
    repo::RecordPath,
    service::{
        Server,
        journal::JournalError,
        records::{OwnWrite, WriteError, plan_own},
    },
    store::{Account, ChangeSet, DelegationChange, DelegationRow, DelegationState, JournalEffect, StoreError},
};

/// What a change of a delegation comes to when its operation stands. The account's lock must be held until it is applied.
///
/// # Errors
/// When the records cannot be read or planned.
pub(in crate::service) async fn effect(
    server: &Server,
    account: &Account,
    change: &DelegationChange,
) -> Result<JournalEffect, JournalError> {
    let damaged = |cause: String| JournalError::Store(StoreError::Damaged(cause));
    let statement = change.statement.as_ref().map(Statement::from_json).transpose();
    let statement = statement.map_err(|cause| damaged(format!("a journaled statement: {cause}")))?;
    let mut fresh = Vec::with_capacity(change.entries.len());
    for entry in &change.entries {
        fresh.push(AppData::from_json(entry).map_err(|cause| damaged(format!("a journaled entry: {cause}")))?);
    }
    let commit = match plan(server, account, &change.id, statement.as_ref(), change.key.as_deref(), &fresh).await {
        Ok(commit) => commit,
        Err(WriteError::Store(cause)) => return Err(cause.into()),
        Err(WriteError::Key(cause)) => return Err(cause.into()),
        // Planned from checked records: this is a bug, or a damaged tree.
        Err(other) => return Err(damaged(format!("the records of a delegation: {other}"))),
    };
    Ok(JournalEffect::Delegation {
        commit,
        events: vec![event::identity(&account.did, Some(&account.handle), server.now())],
        row: row(&change.id, change.key.clone(), statement.as_ref()),
    })
}

/// The delegation as it is after a change that was checked.
pub(super) fn row(id: &DelegationId, key: Option<String>, statement: Option<&Statement>) -> DelegationRow {
    let state = if key.is_some() { DelegationState::Active } else { DelegationState::Ended };
    DelegationRow { id: id.clone(), key, state, statement: statement.map(Statement::cid) }
}

/// The commit of a statement and entries: those under other keys than `key` leave.
pub(super) async fn plan(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    statement: Option<&Statement>,
    key: Option<&str>,
    fresh: &[AppData],
) -> Result<Option<ChangeSet>, WriteError> {
    let mut writes = Vec::new();
    if let Some(statement) = statement {
        let path = RecordPath::new(nsid(STATEMENT_COLLECTION)?, statement.record_key());
        writes.push(OwnWrite { path, record: Some(statement.to_record()) });
    }
    let collection = nsid(APP_DATA_COLLECTION)?;
    for (rkey, entry) in entries(server, account, id).await? {
        let stays = entry.is_some_and(|entry| Some(entry.key().as_str()) == key);
        if !stays && !fresh.iter().any(|entry| entry.record_key() == rkey) {
            writes.push(OwnWrite { path: RecordPath::new(collection.clone(), rkey), record: None });
        }
    }
    for entry in fresh {
        let path = RecordPath::new(collection.clone(), entry.record_key());
        writes.push(OwnWrite { path, record: Some(entry.to_record()) });
    }
    plan_own(server, account, writes).await
}
