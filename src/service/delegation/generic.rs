//! What the generic PLC methods must know: which delegated ids they keep, and which they may not change.

use std::collections::BTreeMap;

use super::{
    DelegationFailure,
    ground::{ids_with_statements, log_of, statements, verified},
};
use crate::{
    crypto::DelegateKey,
    delegation::{
        DelegationError, DelegationId, NamedKey, anchor::IdLog, check_generic_change, history::last_proven,
        proof::prove,
    },
    plc::UnsignedOperation,
    service::Server,
    store::Account,
};

/// The delegated ids that generic methods may not change, and the state of the DID that they are part of.
#[derive(Clone, Debug)]
pub(in crate::service) struct Protected {
    current: UnsignedOperation,
    ids: Vec<(DelegationId, Option<DelegateKey>)>,
}

impl Protected {
    /// Adds the delegated ids that a request leaves out.
    pub(in crate::service) fn keep(&self, next: &mut UnsignedOperation) {
        for (id, _) in &self.ids {
            if let Some(key) = self.current.verification_methods.get(id.as_str()) {
                next.verification_methods.entry(id.to_string()).or_insert_with(|| key.clone());
            }
        }
    }

    /// Whether a generic method may bring the DID to this state.
    pub(in crate::service) fn check(&self, next: &UnsignedOperation) -> Result<(), DelegationError> {
        check_generic_change(&self.current, next, &self.ids)
    }
}

/// What is protected; none for an account without statements that verify.
pub(in crate::service) async fn protected(
    server: &Server,
    account: &Account,
) -> Result<Option<Protected>, DelegationFailure> {
    let with_statements = ids_with_statements(server, account).await?;
    if with_statements.is_empty() {
        return Ok(None);
    }
    let log = log_of(server, account).await?;
    let verified = verified(account, &log)?;
    let Some(current) = verified.data().cloned() else { return Ok(None) };
    let mut ids = Vec::new();
    for id in with_statements {
        let statements = statements(server, account, &id).await?;
        let eras = prove(&account.did, &id, &IdLog::read(&verified, &id), &statements, None).eras;
        if let Some(era) = last_proven(&eras) {
            let key = era.key.as_ref().map(NamedKey::supported).transpose().ok().flatten().cloned();
            ids.push((id, key));
        }
    }
    Ok(Some(Protected { current, ids }))
}

/// The keys of a did:plc that a delegation may have, as the current PLC operation names them. Imported statements are
/// not asked: a migration must not drop a key whose statements have not arrived yet.
pub(in crate::service) async fn delegated_keys(
    server: &Server,
    account: &Account,
) -> Result<BTreeMap<String, String>, DelegationFailure> {
    if !account.did.is_plc() {
        return Ok(BTreeMap::new());
    }
    let log = match log_of(server, account).await {
        Ok(log) => log,
        // Not registered here: there is nothing that could be lost.
        Err(DelegationError::InvalidOperation(_)) => return Ok(BTreeMap::new()),
        Err(cause) => return Err(cause.into()),
    };
    let verified = verified(account, &log)?;
    let methods = verified.data().map(|data| data.verification_methods.clone()).unwrap_or_default();
    let is_delegated = |id: &str, key: &str| {
        id.parse::<DelegationId>().is_ok_and(|id| !id.is_reserved()) && key.parse::<DelegateKey>().is_ok()
    };
    Ok(methods.into_iter().filter(|(id, key)| is_delegated(id, key)).collect())
}
