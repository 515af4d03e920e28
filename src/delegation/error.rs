//! What may be wrong with a request about a delegation: the names on the wire, in the order in which they are looked for.

use std::time::Duration;

use crate::{ipld::Cid, limits::delegation as limits};

/// An error of the delegation methods. The variants stand in the order in which they are looked for; [`Self::name`] is
/// the `error` of the answer, the text its `message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// Shape, `$type`, DID or clock.
    #[error("the statement is not valid: {0}")]
    InvalidStatement(String),
    /// A name that the protocol has for itself.
    #[error("the delegation id {0} is reserved: atproto and every atproto_… belong to the protocol")]
    ReservedDelegationId(String),
    /// The account has as many as it may.
    #[error("an account may have {} delegations: end one first", limits::DELEGATIONS_MAX_PER_ACCOUNT)]
    TooManyDelegations,
    /// The id names another key, or this one already.
    #[error("{0}")]
    DelegationExists(&'static str),
    /// There is nothing to change.
    #[error("there is no delegation with this id")]
    DelegationNotFound,
    /// The key is of a kind, or in a form, that is not supported.
    #[error("{0}")]
    UnsupportedKeyType(String),
    /// A server could use the key.
    #[error("the key must be one that only the user holds: this one signs or signed for the account or its DID")]
    KeyNotUserHeld,
    /// `prev` is not the head.
    #[error("prev must be {}: make and sign the statement anew", head_text(.0.as_ref()))]
    StaleStatement(Option<Cid>),
    /// The claim is not the key's.
    #[error("the claim is not valid: {0}")]
    InvalidClaim(&'static str),
    /// The endorsement is not the previous key's.
    #[error("the endorsement is not valid: {0}")]
    InvalidEndorsement(&'static str),
    /// Consent must be shown by a mailed code.
    #[error("this change needs the code that requestDelegationToken mails")]
    TokenRequired,
    /// The code is wrong, or for something else.
    #[error("the code is not valid for this change")]
    InvalidToken,
    /// The code is too old.
    #[error("the code has expired: ask for another")]
    ExpiredToken,
    /// The PLC operation does something else, or breaks a bound of the directory.
    #[error("the operation is not valid: {0}")]
    InvalidOperation(String),
    /// A did:web whose document is served elsewhere.
    #[error("{0}")]
    DidNotManaged(String),
    /// The directory's budget for this DID is used up.
    #[error("the DID has had as many operations as its directory takes; try again in {} seconds", .0.as_secs())]
    PlcRateLimited(Duration),
    /// Another change is under way, or came first.
    #[error("another change of the DID came first: read the log and make the statement anew")]
    PlcConflict,
    /// In the directory's words.
    #[error("{0}")]
    PlcRejected(String),
    /// Nothing was posted.
    #[error("the PLC directory can not be reached; nothing was changed")]
    PlcUnavailable,
    /// A generic method would change a delegated key.
    #[error("#{0} is delegated: the methods of dev.housekey.delegation change it")]
    DelegationProtected(String),
    /// A generic method would write what only the delegation methods may.
    #[error("records of {0} are written by the methods of dev.housekey.delegation alone")]
    ReservedCollection(String),
    /// An entry of associated data is not valid.
    #[error("the associated data is not valid: {0}")]
    InvalidAssociatedData(String),
    /// An entry's `rev` does not grow.
    #[error("rev must be greater than that of the entry that is there")]
    StaleRevision,
}

impl DelegationError {
    /// The names of all, in order.
    pub const NAMES: [&str; 23] = [
        "InvalidStatement",
        "ReservedDelegationId",
        "TooManyDelegations",
        "DelegationExists",
        "DelegationNotFound",
        "UnsupportedKeyType",
        "KeyNotUserHeld",
        "StaleStatement",
        "InvalidClaim",
        "InvalidEndorsement",
        "TokenRequired",
        "InvalidToken",
        "ExpiredToken",
        "InvalidOperation",
        "DidNotManaged",
        "PlcRateLimited",
        "PlcConflict",
        "PlcRejected",
        "PlcUnavailable",
        "DelegationProtected",
        "ReservedCollection",
        "InvalidAssociatedData",
        "StaleRevision",
    ];

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InvalidStatement(_) => "InvalidStatement",
            Self::ReservedDelegationId(_) => "ReservedDelegationId",
            Self::TooManyDelegations => "TooManyDelegations",
            Self::DelegationExists(_) => "DelegationExists",
            Self::DelegationNotFound => "DelegationNotFound",
            Self::UnsupportedKeyType(_) => "UnsupportedKeyType",
            Self::KeyNotUserHeld => "KeyNotUserHeld",
            Self::StaleStatement(_) => "StaleStatement",
            Self::InvalidClaim(_) => "InvalidClaim",
            Self::InvalidEndorsement(_) => "InvalidEndorsement",
            Self::TokenRequired => "TokenRequired",
            Self::InvalidToken => "InvalidToken",
            Self::ExpiredToken => "ExpiredToken",
            Self::InvalidOperation(_) => "InvalidOperation",
            Self::DidNotManaged(_) => "DidNotManaged",
            Self::PlcRateLimited(_) => "PlcRateLimited",
            Self::PlcConflict => "PlcConflict",
            Self::PlcRejected(_) => "PlcRejected",
            Self::PlcUnavailable => "PlcUnavailable",
            Self::DelegationProtected(_) => "DelegationProtected",
            Self::ReservedCollection(_) => "ReservedCollection",
            Self::InvalidAssociatedData(_) => "InvalidAssociatedData",
            Self::StaleRevision => "StaleRevision",
        }
    }

    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::DelegationNotFound => 404,
            Self::PlcConflict => 409,
            Self::PlcRateLimited(_) => 429,
            Self::PlcUnavailable => 502,
            Self::InvalidStatement(_)
            | Self::ReservedDelegationId(_)
            | Self::TooManyDelegations
            | Self::DelegationExists(_)
            | Self::UnsupportedKeyType(_)
            | Self::KeyNotUserHeld
            | Self::StaleStatement(_)
            | Self::InvalidClaim(_)
            | Self::InvalidEndorsement(_)
            | Self::TokenRequired
            | Self::InvalidToken
            | Self::ExpiredToken
            | Self::InvalidOperation(_)
            | Self::DidNotManaged(_)
            | Self::PlcRejected(_)
            | Self::DelegationProtected(_)
            | Self::ReservedCollection(_)
            | Self::InvalidAssociatedData(_)
            | Self::StaleRevision => 400,
        }
    }
}

fn head_text(head: Option<&Cid>) -> String {
    head.map_or_else(|| "null, for this is the first statement".to_owned(), Cid::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_statement_is_told_the_head() {
        let head = Cid::of_cbor(b"head");
        assert!(DelegationError::StaleStatement(Some(head)).to_string().contains(&head.to_string()));
        assert!(DelegationError::StaleStatement(None).to_string().contains("null"));
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        let expected = [
            (DelegationError::DelegationNotFound, 404),
            (DelegationError::PlcConflict, 409),
            (DelegationError::PlcRateLimited(Duration::from_mins(1)), 429),
            (DelegationError::PlcUnavailable, 502),
            (DelegationError::KeyNotUserHeld, 400),
        ];
        for (error, status) in expected {
            assert_eq!(error.status(), status, "{}", error.name());
            assert!(DelegationError::NAMES.contains(&error.name()));
        }
    }
}
