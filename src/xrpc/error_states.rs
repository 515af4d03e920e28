//! What errors of account states are on the wire.

use http::StatusCode;

use super::XrpcError;
use crate::{
    service::{
        deletion::DeleteError,
        identity::RotateKeyError,
        invite_codes::DisableInvitesError,
        states::{ActivateError, DeactivateError, ModerationError, NotHere},
    },
    store::AccountState,
};

impl From<NotHere> for XrpcError {
    fn from(error: NotHere) -> Self {
        let message = error.to_string();
        match error {
            NotHere::Endpoint { .. } | NotHere::SigningKey { .. } | NotHere::Unusable(_) => Self::invalid(message),
            NotHere::Unavailable(_) => Self::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", message),
        }
    }
}

/// An account that is in a state of which its owner is not the master.
fn refused(state: &AccountState, message: String) -> XrpcError {
    match state {
        AccountState::Takendown { .. } | AccountState::Suspended => XrpcError::unauthorized("AccountTakedown", message),
        AccountState::Pending | AccountState::Active | AccountState::Deactivated { .. } => XrpcError::invalid(message),
    }
}

impl From<ActivateError> for XrpcError {
    fn from(error: ActivateError) -> Self {
        let message = error.to_string();
        match error {
            ActivateError::NotHere(cause) => cause.into(),
            ActivateError::Refused(state) => refused(&state, message),
            ActivateError::NoRepository => Self::bad("RepoNotFound", message),
            ActivateError::Store(cause) => cause.into(),
        }
    }
}

impl From<DeactivateError> for XrpcError {
    fn from(error: DeactivateError) -> Self {
        let message = error.to_string();
        match error {
            DeactivateError::Past => Self::invalid(message),
            DeactivateError::Refused(state) => refused(&state, message),
            DeactivateError::Gone => Self::with_status(StatusCode::FORBIDDEN, "AccountNotFound", message),
            DeactivateError::Store(cause) => cause.into(),
        }
    }
}

impl From<DeleteError> for XrpcError {
    fn from(error: DeleteError) -> Self {
        let message = error.to_string();
        match error {
            DeleteError::NotFound | DeleteError::PasswordTooLong => Self::invalid(message),
            DeleteError::WrongPassword => Self::unauthorized("AuthenticationRequired", message),
            DeleteError::Code(cause) => cause.into(),
            DeleteError::Conflict => Self::with_status(StatusCode::CONFLICT, "PlcConflict", message),
            DeleteError::Password(cause) => cause.into(),
            DeleteError::Store(cause) => cause.into(),
        }
    }
}

impl From<ModerationError> for XrpcError {
    fn from(error: ModerationError) -> Self {
        let message = error.to_string();
        match error {
            ModerationError::NotFound => Self::bad("NotFound", message),
            ModerationError::TakenDown => Self::invalid(message),
            ModerationError::Store(cause) => cause.into(),
        }
    }
}

impl From<DisableInvitesError> for XrpcError {
    fn from(error: DisableInvitesError) -> Self {
        let message = error.to_string();
        match error {
            DisableInvitesError::Admin | DisableInvitesError::TooMany => Self::invalid(message),
            DisableInvitesError::Store(cause) => cause.into(),
        }
    }
}

impl From<RotateKeyError> for XrpcError {
    fn from(error: RotateKeyError) -> Self {
        let message = error.to_string();
        match error {
            RotateKeyError::NotReserved(_) | RotateKeyError::Operation(_) => Self::invalid(message),
            RotateKeyError::State(cause) => cause.into(),
            RotateKeyError::Journal(cause) => cause.into(),
            RotateKeyError::Store(cause) => cause.into(),
        }
    }
}
