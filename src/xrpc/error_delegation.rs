//! What errors of delegations are on the wire: names and statuses are the contract's (`docs/delegation.md`).

use http::StatusCode;

use super::XrpcError;
use crate::{delegation::DelegationError, service::delegation::DelegationFailure};

impl From<DelegationError> for XrpcError {
    fn from(error: DelegationError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let message = error.to_string();
        let retry_after =
            if let DelegationError::PlcRateLimited(wait) = error { Some(wait.as_secs().max(1)) } else { None };
        Self { retry_after, ..Self::with_status(status, error.name(), message) }
    }
}

impl From<DelegationFailure> for XrpcError {
    fn from(error: DelegationFailure) -> Self {
        let message = error.to_string();
        match error {
            DelegationFailure::Refused(cause) => cause.into(),
            DelegationFailure::NoAccount(_) => Self::with_status(StatusCode::NOT_FOUND, "DelegationNotFound", message),
            DelegationFailure::Mail(cause) => cause.into(),
            DelegationFailure::Key(cause) => Self::internal(&cause),
            DelegationFailure::Write(cause) => cause.into(),
            DelegationFailure::Store(cause) => cause.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;
    use std::time::Duration;

    #[test]
    fn a_used_up_budget_says_when_to_come_back() {
        let error = XrpcError::from(DelegationError::PlcRateLimited(Duration::from_secs(90)));
        assert_eq!((error.status.as_u16(), error.name.as_ref()), (429, "PlcRateLimited"));
        assert_eq!(error.into_reply().headers[header::RETRY_AFTER], "90");
    }

    #[test]
    fn the_directory_being_away_is_a_bad_gateway_and_a_conflict_a_conflict() {
        for (error, status) in [(DelegationError::PlcUnavailable, 502), (DelegationError::PlcConflict, 409)] {
            assert_eq!(XrpcError::from(error).status.as_u16(), status);
        }
    }
}
