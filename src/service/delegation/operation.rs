//! The PLC operation of a change: signed here or by its owner, and within what the directory takes.

use serde_json::Value as Json;

use super::DelegationFailure;
use crate::{
    clock::Timestamp,
    crypto::DelegateKey,
    delegation::{DelegationError, DelegationId, VerifiedLog, check_operation, plan_operation},
    ipld::Cid,
    limits::delegation as limits,
    plc::{Entry, Operation},
    service::Server,
    store::Account,
};

/// Whether a statement that is sent again comes with the operation that it was made with, or with none.
pub(super) fn same_operation(sent: Option<&Json>, made_with: Option<Cid>) -> Result<(), DelegationError> {
    let Some(sent) = sent else { return Ok(()) };
    if Some(read_operation(sent)?.cid()) == made_with {
        return Ok(());
    }
    Err(DelegationError::InvalidOperation("the statement was sent before with another operation".to_owned()))
}

fn read_operation(json: &Json) -> Result<Operation, DelegationError> {
    serde_json::from_value(json.clone())
        .map_err(|cause| DelegationError::InvalidOperation(format!("it is no PLC operation: {cause}")))
}

/// The operation that makes the change: the user's own, or one that the server signs.
pub(super) fn operation(
    server: &Server,
    log: &VerifiedLog<'_>,
    id: &DelegationId,
    key: Option<&DelegateKey>,
    sent: Option<&Json>,
) -> Result<Operation, DelegationError> {
    if let Some(sent) = sent {
        let operation = read_operation(sent)?;
        check_operation(&operation, log, id, key)?;
        return Ok(operation);
    }
    let planned = plan_operation(log, id, key)?;
    if !planned.rotation_keys.contains(&server.rotation_key.did_key().to_string()) {
        let text = "this server's rotation key is not among the rotation keys of the DID, so it cannot sign: send an \
                    operation that a rotation key of your own signed";
        return Err(DelegationError::InvalidOperation(text.to_owned()));
    }
    Ok(planned.sign(&server.rotation_key))
}

/// Whether the directory would still take an operation of the DID: it counts what is in the log, and this server also
/// what it submitted without success.
pub(super) async fn check_budget(server: &Server, account: &Account, log: &[Entry]) -> Result<(), DelegationFailure> {
    if !server.policy.plc_limits {
        return Ok(());
    }
    let now = server.now();
    let longest = limits::PLC_BUDGET.iter().map(|(span, _)| *span).max().unwrap_or_default();
    let submitted = server.store.journaled_since(&account.did, now.minus(longest), limits::PLC_BUDGET_ROWS).await?;
    let elsewhere = log.iter().filter(|entry| submitted.iter().all(|(cid, _)| *cid != entry.cid));
    let mut times: Vec<Timestamp> =
        elsewhere.map(|entry| entry.created_at).chain(submitted.iter().map(|(_, at)| *at)).collect();
    times.sort_unstable();
    for (span, count) in limits::PLC_BUDGET {
        // The one that must be over before another may come.
        if let Some(oldest) = times.iter().rev().nth(count - 1)
            && oldest.plus(span) > now
        {
            return Err(DelegationError::PlcRateLimited(oldest.plus(span).since(now)).into());
        }
    }
    Ok(())
}
