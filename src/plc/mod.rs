//! did:plc: operations, genesis hash, audit-log verification, directory rules. Pure.
//!
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>. Where it is silent, or its numbers differ from what the public
//! directory's server enforces, this does what that server does: an operation that it refuses is worth nothing.

mod constraints;
pub mod directory;
pub mod document;
pub mod log;
mod operation;
mod rules;

pub use constraints::{ConstraintError, validate_constraints};
pub use document::DidDocument;
pub use log::{Entry, LogError, State, verify_log};
pub use operation::{
    ATPROTO_KEY, ATPROTO_PDS, ATPROTO_PDS_TYPE, LegacyCreate, OpSignature, OpSignatureError, Operation, Service,
    SignedOperation, Tombstone, UnsignedOperation,
};
pub use rules::RuleError;

/// Bodies of the fuzz targets: each must neither panic nor accept what it would not write back.
#[doc(hidden)]
pub mod fuzzing {
    use super::{Entry, Operation, directory, verify_log};
    use crate::clock::Timestamp;

    /// An operation that parses is written back with the same meaning, and no rule panics over it.
    ///
    /// # Panics
    /// When that is not so.
    pub fn operation(data: &[u8]) {
        let Ok(operation) = serde_json::from_slice::<Operation>(data) else { return };
        let Ok(json) = serde_json::to_vec(&operation) else { return };
        assert_eq!(serde_json::from_slice::<Operation>(&json).ok().as_ref(), Some(&operation), "does not round-trip");
        let did = operation.did_for_genesis();
        drop(directory::accept(&did, &[], &operation, Timestamp::EPOCH));
        let entry = Entry::new(did.clone(), operation, Timestamp::EPOCH);
        drop(verify_log(&did, &[entry]));
    }

    /// Verifying an audit log never panics.
    pub fn audit_log(data: &[u8]) {
        let Ok(log) = serde_json::from_slice::<Vec<Entry>>(data) else { return };
        if let Some(first) = log.first() {
            drop(verify_log(&first.did, &log));
        }
    }
}

#[cfg(test)]
mod tests;
