//! Associated data: one app's entry is set or ended.

use super::{
    DelegationFailure,
    ground::{nsid, standing_entries},
    read::current_row,
};
use crate::{
    crypto::DelegateKey,
    delegation::{APP_DATA_COLLECTION, AppData, DelegationError, DelegationId, app_data::check_put},
    ipld::{Cid, Value, cbor},
    limits::delegation::KEY_READ_TRIES,
    repo::RecordPath,
    service::{
        AccountGuard, Server,
        records::{OwnWrite, WriteError, plan_own},
    },
    store::{Account, CommitRefused},
    syntax::RecordKey,
};

/// Sets or ends the entry of one app; gives where it is and what it is.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub async fn put_associated_data(
    server: &Server,
    account: &Account,
    entry: &serde_json::Value,
) -> Result<(RecordPath, Cid), DelegationFailure> {
    let entry = AppData::from_json(entry).map_err(|cause| DelegationError::InvalidAssociatedData(cause.to_string()))?;
    let path = |rkey: RecordKey| Ok::<_, DelegationFailure>(RecordPath::new(nsid(APP_DATA_COLLECTION)?, rkey));
    let record = entry.to_record();
    let cid = Cid::of_cbor(&cbor::encode(&Value::Map(record.clone())));

    let (_guard, named) = lock_with_key(server, account, entry.id()).await?;
    let key: DelegateKey = named.parse().map_err(|_| DelegationError::DelegationNotFound)?;
    let existing = standing_entries(server, account, entry.id(), &named).await?;
    let ended = check_put(&existing, &entry, (&account.did, entry.id()), &key, server.now())?;
    let ended = existing.iter().find(|other| Some(other.app()) == ended.as_ref());
    let mut writes = vec![OwnWrite { path: path(entry.record_key())?, record: Some(record) }];
    if let Some(ended) = ended {
        writes.push(OwnWrite { path: path(ended.record_key())?, record: None });
    }
    if let Some(commit) = plan_own(server, account, writes).await? {
        server.store.commit(commit).await.map_err(|refused| match refused {
            CommitRefused::Store(cause) => DelegationFailure::Store(cause),
            CommitRefused::Inactive(state) => WriteError::Inactive(state).into(),
            CommitRefused::Gone => WriteError::NoRepository.into(),
            CommitRefused::OverQuota(full) => WriteError::Full(full).into(),
            CommitRefused::StaleHead { .. } | CommitRefused::BlobMissing(_) => WriteError::Contended.into(),
        })?;
    }
    Ok((path(entry.record_key())?, cid))
}

/// The account's lock, and the key that the id names while it is held. The document may have to be fetched for that, and
/// nobody is to wait for the directory in the lock: where a change of the key came in between, it is looked at once more.
async fn lock_with_key(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<(AccountGuard, String), DelegationFailure> {
    for _ in 0..KEY_READ_TRIES {
        let stored = server.store.delegations(account.id).await?;
        let row = current_row(server, account, id).await?;
        let guard = server.locks.lock(account.id).await;
        if server.store.delegations(account.id).await? == stored {
            let key = row.and_then(|row| row.key).ok_or(DelegationError::DelegationNotFound)?;
            return Ok((guard, key));
        }
    }
    Err(WriteError::Contended.into())
}
