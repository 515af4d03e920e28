//! Which operation may follow which: the rule that a directory applies and everyone can check afterwards.

use super::{Entry, Operation, UnsignedOperation};
use crate::{clock::Timestamp, ipld::Cid, limits::plc as limits, syntax::Did};

/// Why an operation may not follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// `prev` is not an operation that stands, or it is a tombstone, or the times run backwards.
    #[error("Operations not correctly ordered")]
    Misordered,
    /// A rewrite after the window.
    #[error("Recovery operation occurred outside of the allowed 72 hr recovery window. Time lapsed: {elapsed_ms}")]
    LateRecovery {
        /// Milliseconds since the operation that it would nullify.
        elapsed_ms: u128,
    },
    /// The first operation is another DID's.
    #[error("Hash of genesis operation does not match DID identifier: {expected}")]
    GenesisHash {
        /// The DID that it makes.
        expected: Did,
    },
    /// The first operation names one before it.
    #[error("Improperly formatted operation, expected null prev on create")]
    GenesisPrev,
    /// The old form of a genesis anywhere but first.
    #[error("Improperly formatted operation, a create operation must be the first")]
    LateCreate,
    /// No key that may sign it did.
    #[error("Invalid signature on op: {cid}")]
    Signature {
        /// The operation.
        cid: Cid,
    },
}

/// How many operations at the end of `standing` the next one nullifies. `standing` are the operations that are not
/// nullified, in order.
pub(super) fn nullified_by(
    did: &Did,
    standing: &[&Entry],
    next: &Operation,
    at: Timestamp,
) -> Result<usize, RuleError> {
    if standing.is_empty() {
        return check_genesis(did, next).map(|()| 0);
    }
    if matches!(next, Operation::Create(_)) {
        return Err(RuleError::LateCreate);
    }
    let prev = next.prev().ok_or(RuleError::Misordered)?;
    let index = standing.iter().position(|entry| entry.cid == prev).ok_or(RuleError::Misordered)?;
    let (history, disputed) = standing.split_at_checked(index + 1).ok_or(RuleError::Misordered)?;
    let before = history.last().and_then(|entry| entry.operation.normalized()).ok_or(RuleError::Misordered)?;
    match disputed.first() {
        None => check_signed_by_any(&before.rotation_keys, next).map(|()| 0),
        Some(first) => check_recovery(&before, disputed, first, next, at).map(|()| disputed.len()),
    }
}

fn check_genesis(did: &Did, operation: &Operation) -> Result<(), RuleError> {
    let state = operation.normalized().ok_or(RuleError::Misordered)?;
    signer(&state.rotation_keys, operation)?;
    let expected = operation.did_for_genesis();
    if expected != *did {
        return Err(RuleError::GenesisHash { expected });
    }
    if operation.prev().is_some() { Err(RuleError::GenesisPrev) } else { Ok(()) }
}

fn check_recovery(
    before: &UnsignedOperation,
    disputed: &[&Entry],
    first: &Entry,
    next: &Operation,
    at: Timestamp,
) -> Result<(), RuleError> {
    let disputed_signer = signer(&before.rotation_keys, &first.operation)?;
    let stronger = before.rotation_keys.get(..disputed_signer).unwrap_or_default();
    signer(stronger, next)?;
    if disputed.last().is_some_and(|last| at <= last.created_at) {
        return Err(RuleError::Misordered);
    }
    let elapsed = at.since(first.created_at);
    if elapsed > limits::RECOVERY_WINDOW {
        return Err(RuleError::LateRecovery { elapsed_ms: elapsed.as_millis() });
    }
    Ok(())
}

/// Whether one of these keys signed it, whichever: a key that did not costs a verification too, which on P-256 takes
/// five times as long as on K-256, so the K-256 keys (all begin alike) are tried first.
fn check_signed_by_any(keys: &[String], operation: &Operation) -> Result<(), RuleError> {
    let mut keys = keys.to_vec();
    keys.sort_by_key(|key| !key.starts_with("did:key:zQ3s"));
    signer(&keys, operation).map(drop)
}

fn signer(keys: &[String], operation: &Operation) -> Result<usize, RuleError> {
    operation.signer(keys).ok_or_else(|| RuleError::Signature { cid: operation.cid() })
}
