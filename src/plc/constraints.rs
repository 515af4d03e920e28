//! What an operation may hold: the sizes and kinds that the public directory enforces.

use std::collections::BTreeSet;

use super::{Operation, UnsignedOperation};
use crate::{
    crypto::{DidKey, is_did_key_syntax},
    limits::plc as limits,
};

/// Bytes that `sig` adds to an operation: its key (4), the header of a text (2), 64 bytes in base64url (86).
const SIGNATURE_CBOR_BYTES: usize = 92;

/// Why the content of an operation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Too many bytes in DAG-CBOR.
    #[error("Operation too large ({} bytes maximum in cbor encoding)", limits::OPERATION_MAX_BYTES)]
    TooLarge,
    /// The old form of a genesis, which is only read.
    #[error("Not a valid operation: the type create is no longer accepted")]
    LegacyCreate,
    /// Too many entries of one field.
    #[error("Too many {field} entries (max {max})")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The bound.
        max: usize,
    },
    /// Too long a text.
    #[error("{what} too long (max {max}): {text}")]
    TooLong {
        /// What the text is.
        what: &'static str,
        /// The bound in characters.
        max: usize,
        /// The text.
        text: String,
    },
    /// The same name twice.
    #[error("duplicate alsoKnownAs entry: {0}")]
    DuplicateName(String),
    /// A rotation key that is no did:key of K-256 or P-256.
    #[error("Invalid rotationKey: {0}")]
    RotationKey(String),
    /// No rotation key: nobody could ever change the DID again.
    #[error("rotationKeys must not be empty")]
    NoRotationKey,
    /// The same rotation key twice.
    #[error("duplicate rotationKey: {0}")]
    DuplicateRotationKey(String),
    /// A verification method without the syntax of a did:key.
    #[error("Invalid verificationMethod key: {0}")]
    VerificationMethod(String),
}

/// Whether the public directory would take this content, and the spec's rules for rotation keys hold that it does not
/// enforce (at least one, none twice). To be asked before signing: the signature's bytes are counted.
///
/// # Errors
/// [`ConstraintError`] names the first bound that is broken.
pub fn validate_constraints(operation: &UnsignedOperation) -> Result<(), ConstraintError> {
    if operation.to_cbor().len() + SIGNATURE_CBOR_BYTES > limits::OPERATION_MAX_BYTES {
        return Err(ConstraintError::TooLarge);
    }
    check_content(operation)?;
    if operation.rotation_keys.is_empty() {
        return Err(ConstraintError::NoRotationKey);
    }
    let mut seen = BTreeSet::new();
    match operation.rotation_keys.iter().find(|key| !seen.insert(*key)) {
        Some(key) => Err(ConstraintError::DuplicateRotationKey(key.clone())),
        None => Ok(()),
    }
}

/// The same for a signed operation of any kind.
pub(super) fn check_signed(operation: &Operation) -> Result<(), ConstraintError> {
    if operation.to_cbor().len() > limits::OPERATION_MAX_BYTES {
        return Err(ConstraintError::TooLarge);
    }
    match operation {
        Operation::Operation(operation) => check_content(&operation.unsigned),
        Operation::Tombstone(_) => Ok(()),
        Operation::Create(_) => Err(ConstraintError::LegacyCreate),
    }
}

fn check_content(operation: &UnsignedOperation) -> Result<(), ConstraintError> {
    at_most("alsoKnownAs", operation.also_known_as.len(), limits::ALSO_KNOWN_AS_MAX_ENTRIES)?;
    let mut seen = BTreeSet::new();
    for name in &operation.also_known_as {
        short("alsoKnownAs entry", name, limits::ALSO_KNOWN_AS_MAX_CHARS)?;
        if !seen.insert(name) {
            return Err(ConstraintError::DuplicateName(name.clone()));
        }
    }
    at_most("rotationKey", operation.rotation_keys.len(), limits::ROTATION_KEYS_MAX_ENTRIES)?;
    for key in &operation.rotation_keys {
        if key.parse::<DidKey>().is_err() {
            return Err(ConstraintError::RotationKey(key.clone()));
        }
    }
    at_most("service", operation.services.len(), limits::SERVICES_MAX_ENTRIES)?;
    for (id, service) in &operation.services {
        short("Service id", id, limits::ID_MAX_CHARS)?;
        short("Service type", &service.kind, limits::SERVICE_TYPE_MAX_CHARS)?;
        short("Service endpoint", &service.endpoint, limits::SERVICE_ENDPOINT_MAX_CHARS)?;
    }
    at_most("Verification Method", operation.verification_methods.len(), limits::VERIFICATION_METHODS_MAX_ENTRIES)?;
    for (id, key) in &operation.verification_methods {
        short("Verification Method id", id, limits::ID_MAX_CHARS)?;
        short("Verification Method key", key, limits::DID_KEY_MAX_CHARS)?;
        if !is_did_key_syntax(key) {
            return Err(ConstraintError::VerificationMethod(key.clone()));
        }
    }
    Ok(())
}

const fn at_most(field: &'static str, entries: usize, max: usize) -> Result<(), ConstraintError> {
    if entries > max { Err(ConstraintError::TooMany { field, max }) } else { Ok(()) }
}

fn short(what: &'static str, text: &str, max: usize) -> Result<(), ConstraintError> {
    // The directory counts UTF-16 units.
    if text.encode_utf16().count() > max {
        return Err(ConstraintError::TooLong { what, max, text: text.to_owned() });
    }
    Ok(())
}
