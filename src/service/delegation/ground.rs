//! What holds for a DID now: its log, the statements that are here, the keys that a server could use.

use super::DelegationFailure;
use crate::{
    clock::Timestamp,
    crypto::DelegateKey,
    delegation::{
        APP_DATA_COLLECTION, AppData, DelegationError, DelegationId, STATEMENT_COLLECTION, Statement, VerifiedLog,
    },
    identity::DidDocument,
    ipld::{Map, Value, cbor},
    limits::delegation as limits,
    plc::Entry,
    service::{Server, journal::audit_log},
    store::{Account, ListRecords, ListedRecord, StoreError},
    syntax::{Nsid, RecordKey},
};

/// An account's audit log, which is not empty.
pub(super) async fn log_of(server: &Server, account: &Account) -> Result<Vec<Entry>, DelegationError> {
    match audit_log(server, &account.did).await {
        Ok(log) if !log.is_empty() => Ok(log),
        Ok(_) => Err(DelegationError::InvalidOperation("the DID is not registered in the PLC directory".to_owned())),
        Err(cause) => {
            tracing::warn!(did = %account.did, "the PLC log cannot be read: {cause}");
            Err(DelegationError::PlcUnavailable)
        }
    }
}

/// The same log as what the checks take.
pub(super) fn verified<'a>(account: &Account, log: &'a [Entry]) -> Result<VerifiedLog<'a>, DelegationError> {
    VerifiedLog::new(&account.did, log).map_err(|cause| {
        tracing::warn!(did = %account.did, "the PLC log cannot be used: {cause}");
        DelegationError::PlcUnavailable
    })
}

/// did:keys that this server can use: the account's, its own, and the operator's.
pub(super) fn server_keys(server: &Server, account: &Account) -> Vec<String> {
    let own = [account.signing_key.clone(), server.rotation_key.did_key().to_string()];
    own.into_iter().chain(server.policy.recovery_did_key.clone()).collect()
}

/// The statements of an id that are in the repository. What has not the shape of one, or is not where it belongs, is left
/// out.
pub(super) async fn statements(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<Vec<Statement>, StoreError> {
    let records = listed(server, account, STATEMENT_COLLECTION, id, limits::STATEMENTS_MAX_READ).await?;
    Ok(records.iter().filter_map(read_statement).filter(|statement| statement.id() == id).collect())
}

/// The ids of which there are statements in the repository.
pub(super) async fn ids_with_statements(server: &Server, account: &Account) -> Result<Vec<DelegationId>, StoreError> {
    let mut ids: Vec<DelegationId> = Vec::new();
    let mut after = String::new();
    // One look per id: the next one begins behind all of this one's keys.
    while ids.len() < limits::IDS_MAX_READ {
        let Some(next) = page(server, account, STATEMENT_COLLECTION, after, 1).await?.pop() else { break };
        let prefix = next.rkey.as_str().split(':').next().unwrap_or_default().to_owned();
        ids.extend(prefix.parse());
        // The character that follows a colon, so that no key of this id lies behind it.
        after = format!("{prefix};");
    }
    Ok(ids)
}

/// The entries of an id that are in the repository, under whatever key.
pub(super) async fn entries(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<Vec<(RecordKey, Option<AppData>)>, StoreError> {
    let records = listed(server, account, APP_DATA_COLLECTION, id, limits::ENTRIES_MAX_READ).await?;
    let read = |record: ListedRecord| {
        let entry = map_of(&record).and_then(|map| AppData::from_record(&map).ok());
        let entry = entry.filter(|entry| entry.record_key() == record.rkey && entry.did() == &account.did);
        (record.rkey, entry)
    };
    Ok(records.into_iter().map(read).collect())
}

/// The entries of an id that stand under this key, expired ones included: they keep their revision and their place.
pub(super) async fn standing_entries(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    key: &str,
) -> Result<Vec<AppData>, StoreError> {
    let entries = entries(server, account, id).await?.into_iter().filter_map(|(_, entry)| entry);
    Ok(entries.filter(|entry| entry.key().as_str() == key).collect())
}

/// Whether an entry still holds.
pub(super) fn holds(entry: &AppData, now: Timestamp) -> bool {
    entry.expires_at().timestamp() > now
}

async fn listed(
    server: &Server,
    account: &Account,
    collection: &str,
    id: &DelegationId,
    limit: usize,
) -> Result<Vec<ListedRecord>, StoreError> {
    let prefix = format!("{id}:");
    let mut records = page(server, account, collection, prefix.clone(), limit).await?;
    records.retain(|record| record.rkey.as_str().starts_with(&prefix));
    Ok(records)
}

async fn page(
    server: &Server,
    account: &Account,
    collection: &str,
    after: String,
    limit: usize,
) -> Result<Vec<ListedRecord>, StoreError> {
    let list =
        ListRecords { account: account.id, collection: nsid(collection)?, cursor: Some(after), limit, reverse: true };
    server.store.list_records(list).await
}

/// One of the two collections as a type.
pub(super) fn nsid(collection: &str) -> Result<Nsid, StoreError> {
    collection.parse().map_err(|_| StoreError::Damaged(format!("{collection} is no NSID")))
}

fn read_statement(record: &ListedRecord) -> Option<Statement> {
    let statement = Statement::from_record(&map_of(record)?).ok()?;
    (statement.record_key() == record.rkey).then_some(statement)
}

fn map_of(record: &ListedRecord) -> Option<Map> {
    match cbor::decode(&record.value) {
        Ok(Value::Map(map)) => Some(map),
        Ok(_) | Err(_) => None,
    }
}

/// The text of a failure to parse a statement.
#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
pub(super) fn invalid_statement(cause: impl ToString) -> DelegationFailure {
    DelegationError::InvalidStatement(cause.to_string()).into()
}

/// The keys that a DID document names, other than the protocol's own: those that a delegation may have.
pub(super) fn document_keys(document: &DidDocument) -> Vec<(DelegationId, String)> {
    let methods = document.json.get("verificationMethod").and_then(serde_json::Value::as_array);
    let text = |method: &serde_json::Value, name: &str| Some(method.get(name)?.as_str()?.to_owned());
    let read = |method: &serde_json::Value| {
        let name = text(method, "id")?;
        let id: DelegationId = name.rsplit_once('#')?.1.parse().ok().filter(|id: &DelegationId| !id.is_reserved())?;
        let key = format!("did:key:{}", text(method, "publicKeyMultibase")?);
        key.parse::<DelegateKey>().is_ok().then_some((id, key))
    };
    methods.into_iter().flatten().filter_map(read).collect()
}

/// The key that a DID document names under an id.
pub(super) fn document_key(document: &DidDocument, id: &DelegationId) -> Option<String> {
    document_keys(document).into_iter().find_map(|(named, key)| (named == *id).then_some(key))
}
