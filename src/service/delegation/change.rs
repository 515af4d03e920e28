//! Creating, updating and ending a delegation.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    ChangeState, Changed, DelegationFailure,
    claim::claim,
    consent::{Consent, Subject},
    ground::{invalid_statement, log_of, server_keys, standing_entries, verified},
    journal_failure,
    operation::{check_budget, operation, same_operation},
    web,
};
use crate::{
    clock::Timestamp,
    delegation::{
        Account as Checked, AppData, CheckedStatement, DelegationError, DelegationId, Effect, Ground, Purpose, Session,
        Statement, VerifiedLog,
        anchor::{Anchor, IdLog},
        app_data::check_brought,
        check_form, check_statement,
    },
    ipld::Cid,
    plc::Operation,
    repo::RecordPath,
    service::{Server, journal},
    store::{Account, DelegationChange, JournalKind, JournalState},
};

/// A change with a statement.
#[derive(Clone, Debug, Default)]
pub struct ChangeRequest {
    /// The statement as JSON.
    pub statement: Json,
    /// The mailed code.
    pub token: Option<String>,
    /// A PLC operation that the user signed.
    pub operation: Option<Json>,
    /// Entries under the new key.
    pub app_data: Vec<Json>,
}

/// The end of a delegation whose key is lost.
#[derive(Clone, Debug, Default)]
pub struct EndRequest {
    /// The delegation id.
    pub id: String,
    /// The mailed code.
    pub token: Option<String>,
    /// A PLC operation that the user signed.
    pub operation: Option<Json>,
}

/// Creates, updates or ends a delegation by a statement.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub async fn change(
    server: &Arc<Server>,
    account: &Account,
    session: Session,
    purpose: Purpose,
    request: ChangeRequest,
) -> Result<Changed, DelegationFailure> {
    let statement = Statement::from_json(&request.statement).map_err(invalid_statement)?;
    check_form(&statement, purpose, &account.did, server.now())?;
    if !account.did.is_plc() {
        return web::change(server, account, session, purpose, &statement, &request).await;
    }
    let log = match repeated_in_journal(server, account, &statement, request.operation.as_ref()).await? {
        Some(answer) => return Ok(answer),
        None => log_of(server, account).await?,
    };
    let verified = verified(account, &log)?;
    if let Some(answer) = repeated(server, account, &verified, &statement, request.operation.as_ref()).await? {
        return Ok(answer);
    }
    let ids = delegated_ids(server, account, &verified).await?;
    let keys = server_keys(server, account);
    let facts = plc_account(account, &verified, &ids, &keys, server.now());
    let checked = check_statement(&statement, purpose, &facts)?;
    let entries = brought_entries(server, account, &statement, &checked, &request.app_data).await?;
    let consent = consent_to(server, account, session, &checked, request.token.as_deref()).await?;
    let change = DelegationChange {
        id: statement.id().clone(),
        key: statement.key().map(|key| key.as_str().to_owned()),
        statement_cid: Some(checked.cid),
        statement: Some(statement.to_json()),
        entries: request.app_data,
    };
    if checked.effect == Effect::Claims {
        if request.operation.is_some() {
            let text = "the document names the key already: no operation is needed";
            return Err(DelegationError::InvalidOperation(text.to_owned()).into());
        }
        consent.take(server, account).await?;
        return claim(server, account, Some(&statement), &entries, &change).await;
    }
    let operation = operation(server, &verified, &change.id, checked.key.as_ref(), request.operation.as_ref())?;
    check_budget(server, account, &log).await?;
    consent.take(server, account).await?;
    submit(server, account, change, &operation).await
}

/// Ends a delegation whose key is lost: the mailed code is the only consent.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub async fn end(server: &Arc<Server>, account: &Account, request: EndRequest) -> Result<Changed, DelegationFailure> {
    let id = parse_id(&request.id)?;
    if !account.did.is_plc() {
        return web::end(server, account, &id, request.token.as_deref()).await;
    }
    let log = log_of(server, account).await?;
    let verified = verified(account, &log)?;
    current_of(&verified, &id).ok_or(DelegationError::DelegationNotFound)?;
    let consent = Consent::by_code(server, account, &Subject::End(id.clone()), request.token.as_deref()).await?;
    let operation = operation(server, &verified, &id, None, request.operation.as_ref())?;
    check_budget(server, account, &log).await?;
    consent.take(server, account).await?;
    let change = DelegationChange { id, key: None, statement_cid: None, statement: None, entries: Vec::new() };
    submit(server, account, change, &operation).await
}

/// The id, and the key that it names now.
pub(super) async fn required_current(
    server: &Server,
    account: &Account,
    id: &str,
) -> Result<(DelegationId, String), DelegationFailure> {
    let id = parse_id(id)?;
    if !account.did.is_plc() {
        let current = web::named(server, account, &id).await?;
        return Ok((id, current.ok_or(DelegationError::DelegationNotFound)?));
    }
    let log = log_of(server, account).await?;
    let current = current_of(&verified(account, &log)?, &id).ok_or(DelegationError::DelegationNotFound)?;
    Ok((id, current))
}

fn parse_id(text: &str) -> Result<DelegationId, DelegationFailure> {
    let id: DelegationId = text.parse().map_err(invalid_statement)?;
    if id.is_reserved() {
        return Err(DelegationError::ReservedDelegationId(id.to_string()).into());
    }
    Ok(id)
}

/// The key that an id names now.
pub(super) fn current_of(log: &VerifiedLog<'_>, id: &DelegationId) -> Option<String> {
    log.data()?.verification_methods.get(id.as_str()).cloned()
}

/// What a statement of a did:plc is checked against.
pub(super) const fn plc_account<'a>(
    account: &'a Account,
    log: &'a VerifiedLog<'a>,
    delegations: &'a [DelegationId],
    server_keys: &'a [String],
    now: Timestamp,
) -> Checked<'a> {
    Checked { did: &account.did, ground: Ground::Plc(log), delegations, server_keys, now }
}

/// The ids that the account has delegated now: named by the log, with a statement here.
pub(super) async fn delegated_ids(
    server: &Server,
    account: &Account,
    log: &VerifiedLog<'_>,
) -> Result<Vec<DelegationId>, DelegationFailure> {
    let mut ids = super::ground::ids_with_statements(server, account).await?;
    ids.retain(|id| current_of(log, id).is_some());
    Ok(ids)
}

/// The entries that the request brings along for its key.
pub(super) async fn brought_entries(
    server: &Server,
    account: &Account,
    statement: &Statement,
    checked: &CheckedStatement,
    json: &[Json],
) -> Result<Vec<AppData>, DelegationFailure> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let invalid = |text: String| DelegationError::InvalidAssociatedData(text);
    let key = checked.key.as_ref().ok_or_else(|| invalid("an ended delegation has no associated data".to_owned()))?;
    let entries = json.iter().map(AppData::from_json).collect::<Result<Vec<_>, _>>();
    let entries = entries.map_err(|cause| invalid(cause.to_string()))?;
    let existing = standing_entries(server, account, statement.id(), &key.to_string()).await?;
    check_brought(&entries, &existing, (&account.did, statement.id()), key, server.now())?;
    Ok(entries)
}

pub(super) async fn consent_to(
    server: &Server,
    account: &Account,
    session: Session,
    checked: &CheckedStatement,
    token: Option<&str>,
) -> Result<Consent, DelegationFailure> {
    if !checked.needs_token(session) {
        return Ok(Consent::GIVEN);
    }
    Consent::by_code(server, account, &Subject::Statement(checked.cid), token).await
}

/// The answer to a statement that an open change is being made with.
async fn repeated_in_journal(
    server: &Server,
    account: &Account,
    statement: &Statement,
    operation: Option<&Json>,
) -> Result<Option<Changed>, DelegationFailure> {
    let row = server.store.journal_of_statement(&account.did, &statement.cid()).await?;
    let Some(row) = row.filter(|row| matches!(row.state, JournalState::Prepared | JournalState::Posted)) else {
        return Ok(None);
    };
    same_operation(operation, Some(row.change.operation_cid))?;
    Ok(Some(Changed {
        did: account.did.clone(),
        id: statement.id().clone(),
        key: statement.key().map(|key| key.as_str().to_owned()),
        statement: Some(statement.cid()),
        operation: Some(row.change.operation_cid),
        state: ChangeState::Pending,
        nullified: Vec::new(),
    }))
}

/// The answer to a statement that is here and that the log bears out.
async fn repeated(
    server: &Server,
    account: &Account,
    log: &VerifiedLog<'_>,
    statement: &Statement,
    operation: Option<&Json>,
) -> Result<Option<Changed>, DelegationFailure> {
    if !is_here(server, account, statement).await?
        || !matches!(IdLog::read(log, statement.id()).anchor(statement), Anchor::At(_))
    {
        return Ok(None);
    }
    let row = server.store.journal_of_statement(&account.did, &statement.cid()).await?;
    let made_with = row.filter(|row| row.state == JournalState::Applied).map(|row| row.change.operation_cid);
    same_operation(operation, made_with)?;
    Ok(Some(present(account, statement, current_of(log, statement.id()), made_with)))
}

/// The present state as the answer to a statement that was sent before.
pub(super) fn present(
    account: &Account,
    statement: &Statement,
    key: Option<String>,
    operation: Option<Cid>,
) -> Changed {
    Changed {
        did: account.did.clone(),
        id: statement.id().clone(),
        state: if key.is_some() { ChangeState::Active } else { ChangeState::Ended },
        key,
        statement: Some(statement.cid()),
        operation,
        nullified: Vec::new(),
    }
}

/// Whether the record of a statement is here.
pub(super) async fn is_here(
    server: &Server,
    account: &Account,
    statement: &Statement,
) -> Result<bool, DelegationFailure> {
    let collection = super::ground::nsid(crate::delegation::STATEMENT_COLLECTION)?;
    let path = RecordPath::new(collection, statement.record_key());
    Ok(server.store.record(account.id, &path).await?.is_some())
}

async fn submit(
    server: &Arc<Server>,
    account: &Account,
    change: DelegationChange,
    operation: &Operation,
) -> Result<Changed, DelegationFailure> {
    let mut changed = Changed {
        did: account.did.clone(),
        id: change.id.clone(),
        key: change.key.clone(),
        statement: change.statement_cid,
        operation: Some(operation.cid()),
        state: if change.key.is_some() { ChangeState::Active } else { ChangeState::Ended },
        nullified: Vec::new(),
    };
    match journal::submit(server, account, JournalKind::Delegation(change), operation).await {
        Ok(applied) => changed.nullified = applied.nullified,
        Err(error) => match journal_failure(error) {
            Some(failure) => return Err(failure),
            None => changed.state = ChangeState::Pending,
        },
    }
    Ok(changed)
}
