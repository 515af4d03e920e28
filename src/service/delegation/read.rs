//! What everybody may read. Nothing here is more than a hint until it is checked against the PLC log.

use super::{
    DelegationFailure,
    ground::{document_key, document_keys, holds, standing_entries, statements},
    refresh::{Occasion, refresh},
};
use crate::{
    delegation::{AppData, DelegationError, DelegationId, Statement, WellKnown},
    identity::DidDocument,
    ipld::Cid,
    limits::accounts::SESSION_DOCUMENT_WAIT,
    outbound::Freshness,
    service::{
        Server,
        repos::{self, RepoUnavailable, Sight},
    },
    store::{Account, DelegationRow, DelegationState, StoreError},
    syntax::AtIdentifier,
};
use std::sync::Arc;

/// One delegation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Key and state.
    pub row: DelegationRow,
    /// Every statement of the id that is here.
    pub statements: Vec<Statement>,
    /// The host to ask; none means this server.
    pub domain: Option<String>,
}

/// What a peer needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Associated {
    /// The statement and the entry of each app, as the well-known resource has them.
    pub said: WellKnown,
    /// The host to ask; none means this server.
    pub domain: Option<String>,
}

/// The account that is asked for.
///
/// # Errors
/// [`DelegationFailure::NoAccount`] and the states in which nobody sees a repository.
pub async fn actor(server: &Server, actor: &AtIdentifier) -> Result<Account, DelegationFailure> {
    repos::available(server, actor, Sight::Active).await.map_err(|cause| match cause {
        RepoUnavailable::Store(cause) => DelegationFailure::Store(cause),
        RepoUnavailable::NotFound(_)
        | RepoUnavailable::Takendown(_)
        | RepoUnavailable::Suspended(_)
        | RepoUnavailable::Deactivated(_) => DelegationFailure::NoAccount(actor.to_string()),
    })
}

/// One delegation with its statements.
///
/// # Errors
/// [`DelegationError::DelegationNotFound`] if there never was one.
pub async fn delegation(server: &Server, account: &Account, id: &DelegationId) -> Result<Found, DelegationFailure> {
    let row = current_row(server, account, id).await?.ok_or(DelegationError::DelegationNotFound)?;
    let statements = statements(server, account, id).await?;
    let domain = domain_of(&entries_of(server, account, &row).await?);
    Ok(Found { row, statements, domain })
}

/// All delegations of an account, ended ones included, each with the host to ask.
///
/// # Errors
/// When the database fails.
pub async fn delegations(
    server: &Server,
    account: &Account,
) -> Result<Vec<(DelegationRow, Option<String>)>, DelegationFailure> {
    let mut found = Vec::new();
    for row in current_rows(server, account, None).await? {
        let domain = domain_of(&entries_of(server, account, &row).await?);
        found.push((row, domain));
    }
    Ok(found)
}

/// The statement and the entries of a delegation.
///
/// # Errors
/// [`DelegationError::DelegationNotFound`] if there never was one.
pub async fn associated_data(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<Associated, DelegationFailure> {
    let row = current_row(server, account, id).await?.ok_or(DelegationError::DelegationNotFound)?;
    let statement = match row.statement {
        Some(cid) => statement(server, account, id, &cid).await?,
        None => None,
    };
    let did = account.did.clone();
    if row.state == DelegationState::Ended {
        return Ok(Associated { said: WellKnown::ended(did, id.clone(), statement), domain: None });
    }
    let entries = entries_of(server, account, &row).await?;
    let domain = domain_of(&entries);
    Ok(Associated { said: WellKnown::active(did, id.clone(), statement, entries), domain })
}

/// One delegation as the DID document has it.
pub(super) async fn current_row(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<Option<DelegationRow>, DelegationFailure> {
    if id.is_reserved() {
        return Ok(None);
    }
    Ok(current_rows(server, account, Some(id)).await?.into_iter().find(|row| row.id == *id))
}

/// What is stored, corrected where the DID document says something else: somebody else submitted an operation then.
async fn current_rows(
    server: &Server,
    account: &Account,
    wanted: Option<&DelegationId>,
) -> Result<Vec<DelegationRow>, DelegationFailure> {
    let rows = server.store.delegations(account.id).await?;
    let Some(document) = document(server, account).await else { return Ok(rows) };
    // What an open change does is not shown before it is applied.
    if !differs(&rows, &document, wanted) || server.store.has_open_change(&account.did).await? {
        return Ok(rows);
    }
    match refresh(server, account, Occasion::Round).await {
        Ok(_) => return Ok(server.store.delegations(account.id).await?),
        Err(DelegationFailure::Store(cause)) => return Err(cause.into()),
        Err(cause) => tracing::warn!(did = %account.did, "delegations could not be brought up to date: {cause}"),
    }
    Ok(overlaid(rows, &document))
}

/// The account's DID document, if it can be had at once.
pub(super) async fn document(server: &Server, account: &Account) -> Option<Arc<DidDocument>> {
    let resolving = server.resolver.did(&account.did, Freshness::Cached);
    tokio::time::timeout(SESSION_DOCUMENT_WAIT, resolving).await.ok()?.ok()
}

fn differs(rows: &[DelegationRow], document: &DidDocument, wanted: Option<&DelegationId>) -> bool {
    let wanted = |id: &DelegationId| wanted.is_none_or(|wanted| wanted == id);
    rows.iter().any(|row| wanted(&row.id) && row.key != document_key(document, &row.id))
        || document_keys(document).iter().any(|(id, _)| wanted(id) && rows.iter().all(|row| row.id != *id))
}

/// The rows with the document's keys: what differs from the stored ones is not known to be proven.
fn overlaid(mut rows: Vec<DelegationRow>, document: &DidDocument) -> Vec<DelegationRow> {
    for row in &mut rows {
        let key = document_key(document, &row.id);
        if row.key != key {
            row.state = if key.is_some() { DelegationState::Unproven } else { DelegationState::Ended };
            row.key = key;
        }
    }
    for (id, key) in document_keys(document) {
        if rows.iter().all(|row| row.id != id) {
            rows.push(DelegationRow { id, key: Some(key), state: DelegationState::Unproven, statement: None });
        }
    }
    rows
}

async fn statement(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    cid: &Cid,
) -> Result<Option<Statement>, StoreError> {
    Ok(statements(server, account, id).await?.into_iter().find(|statement| statement.cid() == *cid))
}

async fn entries_of(server: &Server, account: &Account, row: &DelegationRow) -> Result<Vec<AppData>, StoreError> {
    let Some(key) = row.key.as_deref() else { return Ok(Vec::new()) };
    let mut entries = standing_entries(server, account, &row.id, key).await?;
    entries.retain(|entry| holds(entry, server.now()));
    Ok(entries)
}

fn domain_of(entries: &[AppData]) -> Option<String> {
    entries.iter().find_map(AppData::domain).map(str::to_owned)
}
