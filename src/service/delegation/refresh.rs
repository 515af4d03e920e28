//! What others did to the DIDs of this server's accounts: the log is read again and what is stored is corrected.

use super::{
    DelegationFailure,
    change::current_of,
    ground::{document_key, document_keys, ids_with_statements, log_of, statements, verified},
    mails::{noted_change, tell_owner_of_unproven},
};
use crate::{
    crypto::DelegateKey,
    delegation::{
        DelegationError, DelegationId, NamedKey, Statement, VerifiedLog,
        anchor::IdLog,
        history::{Era, last_proven},
        proof::prove,
        web::{Chain, WebDocument},
    },
    event,
    limits::journal::FAILED_ROWS_WATCHED_FOR,
    outbound::Freshness,
    service::Server,
    store::{Account, AccountState, DelegationRow, DelegationState, JournalState, NewSecurityEvent},
};

/// Why a log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The directory told of an operation that is not this server's.
    Told,
    /// Nobody told anything: to see whether something was missed, or because the DID document differs.
    Round,
}

/// Whether a log was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// What is stored is as the log has it.
    Done,
    /// A change of this server's own is being made: to be looked at again when it is over.
    Busy,
}

/// Reads the log of a did:plc, or the document of a did:web, and sets the account's delegations by it. An operation that
/// came from elsewhere is announced, and the owner is mailed where it names a key that no statement here bears out, or none
/// any more. While a change of the account's own is open, nothing is done: its operation would look like a stranger's.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub(super) async fn refresh(
    server: &Server,
    account: &Account,
    occasion: Occasion,
) -> Result<Looked, DelegationFailure> {
    if !account.did.is_plc() {
        return refresh_web(server, account).await;
    }
    let log = log_of(server, account).await?;
    let verified = verified(account, &log)?;
    // Looked at after the log: an operation of ours that is in it is either open now, or applied with its statement.
    if server.store.has_open_change(&account.did).await? || awaits_the_reconciler(server, account, &verified).await? {
        return Ok(Looked::Busy);
    }
    let before = server.store.delegations(account.id).await?;
    let changed = differences(server, account, &verified, &before).await?;
    let known = server.store.plc_head(account.id).await?;
    if changed.is_empty() && known == Some(verified.head()) {
        return Ok(Looked::Done);
    }
    let has_moved = known.map_or(occasion == Occasion::Told, |known| known != verified.head())
        || changed.iter().any(Difference::is_of_key);
    let rows = changed.iter().map(|difference| difference.now.clone()).collect();
    // An account that was switched off here may have moved: what happens to it is its new server's to tell.
    let is_here = !matches!(account.state, AccountState::Deactivated { .. });
    let events = if has_moved && is_here {
        vec![event::identity(&account.did, Some(&account.handle), server.now())]
    } else {
        Vec::new()
    };
    let noted = if is_here { notes(server, account, &changed) } else { Vec::new() };
    server.store.put_delegations(account.id, rows, Some(verified.head()), events, noted).await?;
    if has_moved {
        server.resolver.forget(&account.did).await;
    }
    tell_owner(server, account, &changed).await;
    Ok(Looked::Done)
}

/// The same after a repository was brought in: its statements may bear out what the log names.
///
/// # Errors
/// [`DelegationFailure`]: nothing was changed.
pub(in crate::service) async fn after_import(server: &Server, account: &Account) -> Result<(), DelegationFailure> {
    refresh(server, account, Occasion::Round).await.map(|_| ())
}

/// Whether the head is an operation of ours that counts as failed, which the reconciler is about to find.
async fn awaits_the_reconciler(
    server: &Server,
    account: &Account,
    log: &VerifiedLog<'_>,
) -> Result<bool, DelegationFailure> {
    let row = server.store.journal_of_operation(&account.did, &log.head()).await?;
    Ok(row.is_some_and(|row| {
        row.state == JournalState::Failed && row.change.at.plus(FAILED_ROWS_WATCHED_FOR) > server.now()
    }))
}

/// A delegation that is not as it is stored.
struct Difference {
    before: Option<DelegationRow>,
    now: DelegationRow,
}

impl Difference {
    fn key_before(&self) -> Option<&str> {
        self.before.as_ref()?.key.as_deref()
    }

    fn is_of_key(&self) -> bool {
        self.key_before() != self.now.key.as_deref()
    }

    /// Whether the key changed without a statement.
    fn is_unproven(&self) -> bool {
        self.is_of_key()
            && match self.now.state {
                DelegationState::Unproven => true,
                DelegationState::Ended => self.now.statement.is_none(),
                DelegationState::Active => false,
            }
    }
}

/// What log and statements say otherwise than what is stored.
async fn differences(
    server: &Server,
    account: &Account,
    log: &VerifiedLog<'_>,
    before: &[DelegationRow],
) -> Result<Vec<Difference>, DelegationFailure> {
    let mut ids = ids_with_statements(server, account).await?;
    ids.extend(before.iter().map(|row| row.id.clone()));
    ids.extend(named(log));
    ids.sort_unstable();
    ids.dedup();
    let mut changed = Vec::new();
    for id in ids {
        let statements = statements(server, account, &id).await?;
        let row = row_of(log, account, &id, &statements);
        let old = before.iter().find(|row| row.id == id);
        if row.as_ref() != old {
            // What nullified operations alone had named was never there: it shows as ended.
            let gone = DelegationRow { id, key: None, state: DelegationState::Ended, statement: None };
            changed.push(Difference { before: old.cloned(), now: row.unwrap_or(gone) });
        }
    }
    Ok(changed)
}

/// The same for a did:web: the document says which keys there are, the statements which of them are borne out. There is no
/// history to announce, and whoever changes the document announces it; the owner hears of a key without a statement all the
/// same. A document that this server serves is as it is stored.
async fn refresh_web(server: &Server, account: &Account) -> Result<Looked, DelegationFailure> {
    if server.store.is_served_did(&account.did).await? {
        return Ok(Looked::Done);
    }
    let document = server.resolver.did(&account.did, Freshness::Now).await.map_err(|cause| {
        DelegationError::DidNotManaged(format!("the DID document of {} cannot be read: {cause}", account.did))
    })?;
    let server_keys: Vec<String> = document.signing_key.iter().map(ToString::to_string).collect();
    let before = server.store.delegations(account.id).await?;
    let mut ids = ids_with_statements(server, account).await?;
    ids.extend(before.iter().map(|row| row.id.clone()));
    ids.extend(document_keys(&document).into_iter().map(|(id, _)| id));
    ids.sort_unstable();
    ids.dedup();
    let mut changed = Vec::new();
    for id in ids {
        let statements = statements(server, account, &id).await?;
        let key = document_key(&document, &id);
        let web = WebDocument { key: key.as_deref(), server_keys: &server_keys };
        let (proven, _) = Chain::read(&account.did, &id, &statements).prove(web);
        let old = before.iter().find(|row| row.id == id);
        if let Some(now) = row_by(&proven.eras, &id, key.as_deref())
            && old != Some(&now)
        {
            changed.push(Difference { before: old.cloned(), now });
        }
    }
    if !changed.is_empty() {
        let rows = changed.iter().map(|difference| difference.now.clone()).collect();
        let noted = notes(server, account, &changed);
        server.store.put_delegations(account.id, rows, None, Vec::new(), noted).await?;
    }
    tell_owner(server, account, &changed).await;
    Ok(Looked::Done)
}

/// What the owner's log says of keys that changed.
fn notes(server: &Server, account: &Account, changed: &[Difference]) -> Vec<NewSecurityEvent> {
    let of_keys = changed.iter().filter(|difference| difference.is_of_key());
    let note = |difference: &Difference| {
        let (before, now) = (difference.key_before(), difference.now.key.as_deref());
        noted_change(server, account.id, &difference.now.id, before, now)
    };
    of_keys.map(note).collect()
}

/// Mails the owner of the keys that came without a statement. An account that was switched off here may have moved: what
/// happens to it is its new server's to tell.
async fn tell_owner(server: &Server, account: &Account, changed: &[Difference]) {
    if matches!(account.state, AccountState::Deactivated { .. }) {
        return;
    }
    for difference in changed.iter().filter(|difference| difference.is_unproven()) {
        let (before, now) = (difference.key_before(), difference.now.key.as_deref());
        tell_owner_of_unproven(server, account, &difference.now.id, before, now).await;
    }
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
    // A tombstone leaves no state to ask; the log's last value is none then.
    row_by(&eras, id, current_of(log, id).as_deref())
}

/// A delegation by its history and the key that the document names now.
fn row_by(eras: &[Era], id: &DelegationId, current: Option<&str>) -> Option<DelegationRow> {
    let last = eras.last()?;
    let state = match &last.key {
        None => DelegationState::Ended,
        Some(_) if last.is_proven() => DelegationState::Active,
        Some(_) => DelegationState::Unproven,
    };
    let shown = if state == DelegationState::Ended { Some(last) } else { last_proven(eras) };
    let statement = shown.and_then(Era::best_proof).map(|proof| proof.statement);
    let key = last.key.as_ref().map(NamedKey::as_str).filter(|key| current == Some(*key));
    Some(DelegationRow { id: id.clone(), key: key.map(str::to_owned), state, statement })
}
