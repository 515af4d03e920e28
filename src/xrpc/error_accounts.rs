//! What errors of accounts, sessions and identities are on the wire.

use http::StatusCode;

use super::XrpcError;
use crate::{
    service::{
        CheckPasswordError, GuessError, PasswordsBusy,
        accounts::SignUpError,
        email::EmailError,
        handles::HandleError,
        identity::{PlcOperationError, ResolveIdentityError, StateError, UpdateHandleError},
        invites::InviteError,
        journal::JournalError,
        preferences::PreferencesError,
        service_auth::ServiceAuthError,
        sessions::{LoginError, RefreshError},
    },
    store::CreateConflict,
};

/// 502 with the reference's name for "somebody whom this server had to ask did not answer".
fn upstream(message: String) -> XrpcError {
    XrpcError::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", message)
}

impl From<PasswordsBusy> for XrpcError {
    fn from(error: PasswordsBusy) -> Self {
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", error.to_string())
    }
}

impl From<GuessError> for XrpcError {
    fn from(error: GuessError) -> Self {
        let message = error.to_string();
        match error {
            GuessError::TooMany(exceeded) => Self::rate_limited(&exceeded, message),
            GuessError::Store(cause) => cause.into(),
        }
    }
}

impl From<CheckPasswordError> for XrpcError {
    fn from(error: CheckPasswordError) -> Self {
        match error {
            CheckPasswordError::Guess(cause) => cause.into(),
            CheckPasswordError::Busy(cause) => cause.into(),
        }
    }
}

impl From<HandleError> for XrpcError {
    fn from(error: HandleError) -> Self {
        let message = error.to_string();
        match error {
            HandleError::Invalid(_) => Self::bad("InvalidHandle", message),
            HandleError::UnsupportedDomain => Self::bad("UnsupportedDomain", message),
            HandleError::Reserved | HandleError::Taken(_) => Self::bad("HandleNotAvailable", message),
            HandleError::DoesNotPointHere { .. } | HandleError::NotResolved(_) => Self::invalid(message),
            HandleError::Store(cause) => cause.into(),
        }
    }
}

impl From<SignUpError> for XrpcError {
    fn from(error: SignUpError) -> Self {
        let message = error.to_string();
        match error {
            SignUpError::MissingAuth(_) | SignUpError::MovingAlready(_) => {
                Self::unauthorized("AuthenticationRequired", message)
            }
            SignUpError::DidTaken(_)
            | SignUpError::WebDid(_)
            | SignUpError::PlcOp
            | SignUpError::Closed
            | SignUpError::ClosedToMoves
            | SignUpError::EmailTaken(_)
            | SignUpError::Operation(_)
            | SignUpError::Email(EmailError::Missing) => Self::invalid(message),
            SignUpError::Email(EmailError::Unsupported) => Self::bad("InvalidEmail", message),
            SignUpError::TooManyFromThere => {
                Self::with_status(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", message)
            }
            SignUpError::Password(_) => Self::bad("InvalidPassword", message),
            SignUpError::NoInvite | SignUpError::InviteUnavailable => Self::bad("InvalidInviteCode", message),
            SignUpError::Handle(cause) => cause.into(),
            SignUpError::Busy(cause) => cause.into(),
            SignUpError::Journal(cause) => cause.into(),
            SignUpError::Check(cause) => cause.into(),
            SignUpError::Store(cause) => cause.into(),
        }
    }
}

impl From<JournalError> for XrpcError {
    fn from(error: JournalError) -> Self {
        let message = error.to_string();
        match error {
            JournalError::Conflict(_) => Self::with_status(StatusCode::CONFLICT, "PlcConflict", message),
            JournalError::HandleTaken(handle) | JournalError::Begin(CreateConflict::HandleTaken(handle)) => {
                HandleError::Taken(handle).into()
            }
            JournalError::Begin(CreateConflict::InviteUnavailable) => Self::bad("InvalidInviteCode", message),
            JournalError::Begin(CreateConflict::EmailTaken(_) | CreateConflict::DidTaken) => Self::invalid(message),
            JournalError::Begin(CreateConflict::Store(cause)) | JournalError::Store(cause) => cause.into(),
            JournalError::Rejected(_) => Self::bad("PlcRejected", message),
            JournalError::Unavailable(_) => Self::with_status(StatusCode::BAD_GATEWAY, "PlcUnavailable", message),
            JournalError::Pending => upstream(message),
            JournalError::Key(cause) => Self::internal(&cause),
        }
    }
}

impl From<LoginError> for XrpcError {
    fn from(error: LoginError) -> Self {
        let message = error.to_string();
        match error {
            LoginError::PasswordTooLong | LoginError::Wrong => Self::unauthorized("AuthenticationRequired", message),
            LoginError::Takendown => Self::unauthorized("AccountTakedown", message),
            LoginError::Guess(cause) => cause.into(),
            LoginError::Busy(cause) => cause.into(),
            LoginError::Store(cause) => cause.into(),
        }
    }
}

impl From<RefreshError> for XrpcError {
    fn from(error: RefreshError) -> Self {
        let message = error.to_string();
        match error {
            RefreshError::Revoked => Self::bad("ExpiredToken", message),
            RefreshError::Takendown => Self::unauthorized("AccountTakedown", message),
            RefreshError::Store(cause) => cause.into(),
        }
    }
}

impl From<ServiceAuthError> for XrpcError {
    fn from(error: ServiceAuthError) -> Self {
        let message = error.to_string();
        match error {
            ServiceAuthError::Audience | ServiceAuthError::Privileged(_) | ServiceAuthError::Protected(_) => {
                Self::invalid(message)
            }
            ServiceAuthError::Scope => Self::bad("InvalidToken", message),
            ServiceAuthError::Expiration(_) => Self::bad("BadExpiration", message),
            ServiceAuthError::Key(cause) => Self::internal(&cause),
        }
    }
}

impl From<PreferencesError> for XrpcError {
    fn from(error: PreferencesError) -> Self {
        let message = error.to_string();
        match error {
            PreferencesError::Untyped
            | PreferencesError::Namespace
            | PreferencesError::Forbidden(_)
            | PreferencesError::TooMany => Self::invalid(message),
            PreferencesError::Store(cause) => cause.into(),
        }
    }
}

impl From<InviteError> for XrpcError {
    fn from(error: InviteError) -> Self {
        let message = error.to_string();
        match error {
            InviteError::TooMany | InviteError::Uses => Self::invalid(message),
            InviteError::Store(cause) => cause.into(),
        }
    }
}

impl From<ResolveIdentityError> for XrpcError {
    fn from(error: ResolveIdentityError) -> Self {
        let message = error.to_string();
        match error {
            ResolveIdentityError::HandleNotFound => Self::bad("HandleNotFound", message),
            ResolveIdentityError::DidNotFound(_) => Self::bad("DidNotFound", message),
            ResolveIdentityError::DidDeactivated(_) => Self::bad("DidDeactivated", message),
            ResolveIdentityError::HandleUnavailable(_) | ResolveIdentityError::DidUnusable(_) => Self::invalid(message),
            ResolveIdentityError::DidUnavailable(_) => upstream(message),
            ResolveIdentityError::Store(cause) => cause.into(),
        }
    }
}

impl From<StateError> for XrpcError {
    fn from(error: StateError) -> Self {
        let message = error.to_string();
        match error {
            StateError::NotPlc | StateError::NotRegistered | StateError::Tombstoned | StateError::NotOurs => {
                Self::invalid(message)
            }
            StateError::Unavailable(_) => Self::with_status(StatusCode::BAD_GATEWAY, "PlcUnavailable", message),
        }
    }
}

impl From<UpdateHandleError> for XrpcError {
    fn from(error: UpdateHandleError) -> Self {
        let message = error.to_string();
        match error {
            UpdateHandleError::Handle(cause) => cause.into(),
            UpdateHandleError::DocumentDoesNotClaim { .. }
            | UpdateHandleError::Document(_)
            | UpdateHandleError::Operation(_) => Self::invalid(message),
            UpdateHandleError::State(cause) => cause.into(),
            UpdateHandleError::Journal(cause) => cause.into(),
            UpdateHandleError::Store(cause) => cause.into(),
        }
    }
}

impl From<PlcOperationError> for XrpcError {
    fn from(error: PlcOperationError) -> Self {
        let message = error.to_string();
        match error {
            PlcOperationError::TokenRequired | PlcOperationError::Constraint(_) | PlcOperationError::Operation(_) => {
                Self::invalid(message)
            }
            PlcOperationError::Code(cause) => cause.into(),
            PlcOperationError::State(cause) => cause.into(),
            PlcOperationError::Delegation(cause) => cause.into(),
            PlcOperationError::Journal(cause) => cause.into(),
        }
    }
}
