//! The buckets and what is in them.

use std::time::Duration;

use crate::limits::throttle::{self as limits, Points};

/// What calls draw on. A bucket has one budget or two, a short and a long one, and both must allow a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Everything that an address asks for.
    Address,
    /// `sync.getRepo`, which [`Bucket::Address`] does not count.
    GetRepo,
    /// An account's writes, in points by what they do.
    RepoWrites,
    /// `server.createSession`.
    CreateSession,
    /// `server.createAccount`.
    CreateAccount,
    /// `server.resetPassword`.
    ResetPassword,
    /// `server.deleteAccount`.
    DeleteAccount,
    /// `server.requestPasswordReset`.
    RequestPasswordReset,
    /// `server.requestEmailConfirmation`.
    RequestEmailConfirmation,
    /// `server.requestEmailUpdate`.
    RequestEmailUpdate,
    /// `server.requestAccountDelete`.
    RequestAccountDelete,
    /// `identity.updateHandle`.
    UpdateHandle,
    /// `repo.uploadBlob`.
    UploadBlob,
    /// Wrong passwords from an address.
    WrongPasswordsFrom,
    /// Wrong passwords for an account from one address.
    WrongPasswordsForFrom,
    /// Wrong passwords for an account from everywhere.
    WrongPasswordsFor,
    /// The same for what is no account here: kept apart, so that invented names do not push out real ones.
    WrongPasswordsForNobody,
}

/// One budget of one bucket; its number is its place among the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    Address,
    GetRepo,
    WriteHour,
    WriteDay,
    CreateSession,
    CreateSessionDay,
    CreateAccount,
    ResetPassword,
    DeleteAccount,
    RequestPasswordReset,
    RequestPasswordResetDay,
    RequestEmailConfirmation,
    RequestEmailConfirmationDay,
    RequestEmailUpdate,
    RequestEmailUpdateDay,
    RequestAccountDelete,
    RequestAccountDeleteDay,
    UpdateHandle,
    UpdateHandleDay,
    UploadBlob,
    WrongPasswordsFrom,
    WrongPasswordsForFrom,
    WrongPasswordsFor,
    WrongPasswordsForNobody,
}

impl Budget {
    /// How many there are.
    pub(super) const COUNT: usize = Self::WrongPasswordsForNobody as usize + 1;

    /// Its place.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// What it allows unless the operator decided otherwise.
    pub(super) const fn points(self) -> Points {
        match self {
            Self::Address => limits::ADDRESS,
            Self::GetRepo => limits::GET_REPO,
            Self::WriteHour => limits::WRITE_HOUR,
            Self::WriteDay => limits::WRITE_DAY,
            Self::CreateSession => limits::CREATE_SESSION,
            Self::CreateSessionDay => limits::CREATE_SESSION_DAY,
            Self::CreateAccount => limits::CREATE_ACCOUNT,
            Self::ResetPassword => limits::RESET_PASSWORD,
            Self::DeleteAccount => limits::DELETE_ACCOUNT,
            Self::RequestPasswordReset => limits::REQUEST_PASSWORD_RESET,
            Self::RequestPasswordResetDay => limits::REQUEST_PASSWORD_RESET_DAY,
            Self::RequestEmailConfirmation | Self::RequestEmailUpdate | Self::RequestAccountDelete => {
                limits::REQUEST_MAIL
            }
            Self::RequestEmailConfirmationDay | Self::RequestEmailUpdateDay | Self::RequestAccountDeleteDay => {
                limits::REQUEST_MAIL_DAY
            }
            Self::UpdateHandle => limits::UPDATE_HANDLE,
            Self::UpdateHandleDay => limits::UPDATE_HANDLE_DAY,
            Self::UploadBlob => limits::UPLOAD_BLOB,
            Self::WrongPasswordsFrom => limits::WRONG_PASSWORDS_ADDRESS,
            Self::WrongPasswordsForFrom => limits::WRONG_PASSWORDS_PAIR,
            Self::WrongPasswordsFor | Self::WrongPasswordsForNobody => limits::WRONG_PASSWORDS_ACCOUNT,
        }
    }
}

impl Bucket {
    /// Its budgets.
    pub(super) const fn budgets(self) -> &'static [Budget] {
        match self {
            Self::Address => &[Budget::Address],
            Self::GetRepo => &[Budget::GetRepo],
            Self::RepoWrites => &[Budget::WriteHour, Budget::WriteDay],
            Self::CreateSession => &[Budget::CreateSession, Budget::CreateSessionDay],
            Self::CreateAccount => &[Budget::CreateAccount],
            Self::ResetPassword => &[Budget::ResetPassword],
            Self::DeleteAccount => &[Budget::DeleteAccount],
            Self::RequestPasswordReset => &[Budget::RequestPasswordReset, Budget::RequestPasswordResetDay],
            Self::RequestEmailConfirmation => &[Budget::RequestEmailConfirmation, Budget::RequestEmailConfirmationDay],
            Self::RequestEmailUpdate => &[Budget::RequestEmailUpdate, Budget::RequestEmailUpdateDay],
            Self::RequestAccountDelete => &[Budget::RequestAccountDelete, Budget::RequestAccountDeleteDay],
            Self::UpdateHandle => &[Budget::UpdateHandle, Budget::UpdateHandleDay],
            Self::UploadBlob => &[Budget::UploadBlob],
            Self::WrongPasswordsFrom => &[Budget::WrongPasswordsFrom],
            Self::WrongPasswordsForFrom => &[Budget::WrongPasswordsForFrom],
            Self::WrongPasswordsFor => &[Budget::WrongPasswordsFor],
            Self::WrongPasswordsForNobody => &[Budget::WrongPasswordsForNobody],
        }
    }

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::GetRepo => "get_repo",
            Self::RepoWrites => "repo_writes",
            Self::CreateSession => "create_session",
            Self::CreateAccount => "create_account",
            Self::ResetPassword => "reset_password",
            Self::DeleteAccount => "delete_account",
            Self::RequestPasswordReset => "request_password_reset",
            Self::RequestEmailConfirmation => "request_email_confirmation",
            Self::RequestEmailUpdate => "request_email_update",
            Self::RequestAccountDelete => "request_account_delete",
            Self::UpdateHandle => "update_handle",
            Self::UploadBlob => "upload_blob",
            Self::WrongPasswordsFrom => "wrong_passwords_from",
            Self::WrongPasswordsForFrom => "wrong_passwords_for_from",
            Self::WrongPasswordsFor => "wrong_passwords_for",
            Self::WrongPasswordsForNobody => "wrong_passwords_for_nobody",
        }
    }
}

/// What a budget allows: points in a window, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) points: u32,
    pub(super) window: Duration,
}

impl From<Points> for Allowance {
    fn from((points, window): Points) -> Self {
        Self { points, window }
    }
}
