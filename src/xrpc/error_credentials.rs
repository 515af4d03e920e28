//! What errors of passwords, codes, addresses and their mail are on the wire.

use http::StatusCode;

use super::XrpcError;
use crate::service::{
    addresses::AddressError, app_passwords::AppPasswordError, codes::CodeError, credentials::SetPasswordError,
    email::EmailError, mails::MailFailure,
};

impl From<MailFailure> for XrpcError {
    fn from(error: MailFailure) -> Self {
        let message = error.to_string();
        match error {
            MailFailure::NoEmail | MailFailure::NotConfigured => Self::invalid(message),
            MailFailure::TooMany(wait) => Self {
                retry_after: Some(wait.as_secs().max(1)),
                ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", message)
            },
            MailFailure::NotWritten(cause) => Self::internal(&cause),
            MailFailure::Store(cause) => cause.into(),
        }
    }
}

impl From<CodeError> for XrpcError {
    fn from(error: CodeError) -> Self {
        let message = error.to_string();
        match error {
            CodeError::Invalid => Self::bad("InvalidToken", message),
            CodeError::Expired => Self::bad("ExpiredToken", message),
            CodeError::Store(cause) => cause.into(),
        }
    }
}

impl From<SetPasswordError> for XrpcError {
    fn from(error: SetPasswordError) -> Self {
        let message = error.to_string();
        match error {
            SetPasswordError::Password(_) => Self::invalid(message),
            SetPasswordError::Code(cause) => cause.into(),
            SetPasswordError::Busy(cause) => cause.into(),
            SetPasswordError::Store(cause) => cause.into(),
        }
    }
}

impl From<AddressError> for XrpcError {
    fn from(error: AddressError) -> Self {
        let message = error.to_string();
        match error {
            AddressError::Email(EmailError::Missing | EmailError::Unsupported) | AddressError::Taken(_) => {
                Self::invalid(message)
            }
            AddressError::NotTheAccounts => Self::bad("InvalidEmail", message),
            AddressError::TokenRequired => Self::bad("TokenRequired", message),
            AddressError::Code(cause) => cause.into(),
            AddressError::Store(cause) => cause.into(),
        }
    }
}

impl From<AppPasswordError> for XrpcError {
    fn from(error: AppPasswordError) -> Self {
        let message = error.to_string();
        match error {
            AppPasswordError::Name | AppPasswordError::NameTaken | AppPasswordError::TooMany => Self::invalid(message),
            AppPasswordError::Store(cause) => cause.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;
    use std::time::Duration;

    #[test]
    fn too_many_mails_say_when_there_is_room_again() {
        let error = XrpcError::from(MailFailure::TooMany(Duration::from_secs(90)));
        assert_eq!((error.status.as_u16(), error.name.as_ref()), (429, "RateLimitExceeded"));
        assert!(error.message.contains("in 2 minutes"), "{}", error.message);
        assert_eq!(error.into_reply().headers[header::RETRY_AFTER], "90");
    }
}
