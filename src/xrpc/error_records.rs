//! What errors of records, blobs and repositories are on the wire.
use super::XrpcError;
use crate::{
    repo::mst::MstError,
    service::{blobs::UploadError, records::WriteError, repos::RepoUnavailable},
    store::AccountState,
};
use http::StatusCode;

impl From<WriteError> for XrpcError {
    fn from(refused: WriteError) -> Self {
        let message = refused.to_string();
        match refused {
            WriteError::Inactive(state) => inactive(&state),
            WriteError::TooManyWrites
            | WriteError::UnknownSchema(_)
            | WriteError::Invalid { .. }
            | WriteError::RecordKey { .. }
            | WriteError::Json(_)
            | WriteError::NotAnObject
            | WriteError::WrongType { .. }
            | WriteError::LegacyBlob(_)
            | WriteError::RecordTooLarge(_)
            | WriteError::Exists(_)
            | WriteError::Missing(_)
            | WriteError::Twice(_)
            | WriteError::EventTooLarge => Self::invalid(message),
            WriteError::Reserved(_) => Self::bad("ReservedCollection", message),
            WriteError::BlobNotFound(_) => Self::bad("BlobNotFound", message),
            WriteError::BlobMimeType { .. } => Self::bad("InvalidMimeType", message),
            WriteError::BlobSize { .. } => Self::bad("InvalidSize", message),
            WriteError::CommitSwap(_) | WriteError::RecordSwap(_) => Self::bad("InvalidSwap", message),
            WriteError::NoRepository => Self::bad("RepoNotFound", message),
            WriteError::Contended => Self::with_status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message),
            WriteError::Full(_) => Self::bad("QuotaExceeded", message),
            WriteError::Key(cause) => Self::internal(&cause),
            WriteError::Tree(cause) => tree(&cause),
            WriteError::Store(cause) => cause.into(),
        }
    }
}

/// Record keys that were picked to bend the tree are their sender's fault; everything else is ours.
fn tree(cause: &MstError) -> XrpcError {
    match cause {
        MstError::Key(_) | MstError::TooHigh(_) | MstError::TooWide => XrpcError::invalid(cause.to_string()),
        MstError::Missing(_) | MstError::Source(_) | MstError::Node { .. } | MstError::Unsorted(_) => {
            XrpcError::internal(cause)
        }
    }
}

/// An account that may not write, in the words that clients know from tokens.
fn inactive(state: &AccountState) -> XrpcError {
    let (name, message) = match state {
        AccountState::Takendown { .. } | AccountState::Suspended => ("AccountTakedown", "Account has been taken down"),
        AccountState::Active | AccountState::Pending | AccountState::Deactivated { .. } => {
            ("AccountDeactivated", "Account is deactivated")
        }
    };
    XrpcError::with_status(StatusCode::UNAUTHORIZED, name, message)
}

impl From<RepoUnavailable> for XrpcError {
    fn from(unavailable: RepoUnavailable) -> Self {
        let message = unavailable.to_string();
        match unavailable {
            RepoUnavailable::NotFound(_) => Self::bad("RepoNotFound", message),
            RepoUnavailable::Takendown(_) => Self::bad("RepoTakendown", message),
            RepoUnavailable::Suspended(_) => Self::bad("RepoSuspended", message),
            RepoUnavailable::Deactivated(_) => Self::bad("RepoDeactivated", message),
            RepoUnavailable::Store(cause) => cause.into(),
        }
    }
}

impl From<UploadError<Self>> for XrpcError {
    fn from(refused: UploadError<Self>) -> Self {
        match refused {
            UploadError::Body(error) => error,
            UploadError::TooLarge(max) => Self::with_status(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PayloadTooLarge",
                format!("request entity too large: a blob may have at most {max} bytes"),
            ),
            UploadError::WrongLength => Self::invalid("the body is not as long as its Content-Length says"),
            UploadError::Takendown => Self::invalid("Blob has been takendown, cannot re-upload"),
            UploadError::Full(full) => Self::bad("QuotaExceeded", full.to_string()),
            UploadError::Store(cause) => cause.into(),
        }
    }
}
